"""The files for Prometheus and Grafana name only what the service tells."""

import json
import re
from pathlib import Path

from monitoring.alarms.watch import View
from monitoring.dashboard.bus_position import Position
from monitoring.dashboard.metrics import metrics
from monitoring.dashboard.reading import LakeReader
from monitoring.diagnosis.drift import Drifted
from monitoring.measures.savings import Saving
from tests.dashboard.test_app import store
from tests.lake_rows import heat

FILES = Path(__file__).resolve().parents[2] / "infra" / "observability"
NAME = re.compile(r"\bmonitoring_\w+")


def told(lake: Path) -> set[str]:
    store(lake, heat(1, Mn=0.786))
    view = View(
        drift=(Drifted("tapping", "oxygen_ppm", 1, 0.1, 0.0, 0.0, False),),
        savings=(Saving("tapping", "B500B", 30, "EUR", 1.0, 0.1, 1.0, 1.0, 1.0),),
    )
    text = metrics(LakeReader(lake, None).now(), Position(behind=3), view, 2).decode()
    return set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))


def test_the_dashboard_is_one_that_grafana_imports_and_asks_only_for_what_is_told(lake: Path) -> None:
    dashboard = json.loads((FILES / "grafana-dashboard.json").read_text())
    panels = dashboard["panels"]
    asked = {name for panel in panels for one in panel["targets"] for name in NAME.findall(one["expr"])}

    assert {"title", "uid", "schemaVersion", "templating"} <= set(dashboard)
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all({"type", "title", "gridPos", "datasource"} <= set(panel) for panel in panels)
    assert len(asked) > 8
    assert asked <= told(lake)


def test_rules_ask_only_for_what_is_told(lake: Path) -> None:
    asked = set(NAME.findall((FILES / "rules.yml").read_text()))

    assert len(asked) == 4
    assert asked <= told(lake)
