"""Grafana as compose defines it: it is not started here, so its files are held to what would read them."""

import json
import re
from typing import Any

import yaml
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


def test_no_panel_lies_on_another() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < COLUMNS
