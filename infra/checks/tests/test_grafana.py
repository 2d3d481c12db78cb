"""Grafana as compose defines it: it is not started here, so its files are held to what would read them."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from importlib.util import find_spec
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from rendering import ROOT

COMPOSE = ROOT / "infra" / "compose"
OBSERVABILITY = ROOT / "infra" / "observability"
SERVICES = yaml.safe_load((COMPOSE / "docker-compose.yml").read_text())["services"]
GRAFANA: dict[str, Any] = SERVICES["grafana"]
MOUNTS = {inside: outside for outside, inside in (v.split(":")[:2] for v in GRAFANA["volumes"])}
DASHBOARD = json.loads((OBSERVABILITY / "grafana-dashboard.json").read_text())
COLUMNS = 24


def provisioned(kind: str) -> list[dict[str, Any]]:
    """What Grafana finds in a folder of its provisioning, of the only version there is."""
    folder = COMPOSE / MOUNTS["/etc/grafana/provisioning"].removeprefix("./") / kind
    files = [yaml.safe_load(file.read_text()) for file in sorted(folder.glob("*.yml"))]
    assert files
    assert all(file["apiVersion"] == 1 for file in files)
    return [entry for file in files for entry in file[{"dashboards": "providers"}.get(kind, kind)]]


def test_its_data_source_is_the_prometheus_that_it_reaches() -> None:
    (source,) = provisioned("datasources")
    service, port = re.fullmatch(r"http://([\w-]+):(\d+)", source["url"]).groups()  # type: ignore[union-attr]

    assert source["type"] == "prometheus"
    assert source["isDefault"] is True
    assert SERVICES[service]["ports"][0].endswith(f":{port}")
    assert set(SERVICES[service]["networks"]) & set(GRAFANA["networks"])


def test_the_dashboard_lies_where_it_looks_for_dashboards() -> None:
    (provider,) = provisioned("dashboards")
    (inside,) = [path for path in MOUNTS if path.startswith(provider["options"]["path"])]

    assert provider["type"] == "file"
    assert (COMPOSE / MOUNTS[inside]).resolve() == OBSERVABILITY / "grafana-dashboard.json"


def test_every_panel_asks_the_source_that_the_reader_chooses() -> None:
    (source,) = DASHBOARD["templating"]["list"]

    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    for panel in DASHBOARD["panels"]:
        assert panel["datasource"] == {"type": "prometheus", "uid": f"${{{source['name']}}}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0


def test_grafanas_own_reader_knows_every_property_of_the_dashboard() -> None:
    """What it does not know it drops: read and written again, nothing is missing."""
    register_default_plugins()

    again = Dashboard.from_json(deepcopy(DASHBOARD))

    assert list(lost(DASHBOARD, json.loads(JSONEncoder().encode(again)))) == []
    for panel in DASHBOARD["panels"]:
        assert find_spec(f"grafana_foundation_sdk.models.{panel['type']}"), panel["type"]


def test_a_misspelt_property_of_a_panel_would_be_found() -> None:
    misspelt = deepcopy(DASHBOARD)
    target = misspelt["panels"][0]["targets"][0]
    target["exprs"] = target.pop("expr")

    again = json.loads(JSONEncoder().encode(Dashboard.from_json(deepcopy(misspelt))))

    assert list(lost(misspelt, again)) == ["/panels/0/targets/0/exprs"]


def lost(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """Paths of what is no longer there or is something else."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            yield from lost(value, after.get(name), f"{where}/{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{where}/{number}")
    elif before != after:
        yield where


def test_no_panel_lies_on_another() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < COLUMNS
