"""The product in containers: heats played by the simulator, all of X, Y, Y', X' in the lake once."""

import json
import re

import httpx
import pytest

import lake
import plant
from compose.conftest import Composed
from compose.playing import play, rows_in_lake
from contracts import ROOT
from running_demo import get, wait_until

HEATS = 30
REGISTERED, WEIGHED, ANALYSED = (
    "plant.heat.registered.v1",
    "plant.addition.weighed.v1",
    "plant.sample.analysed.v1",
)
OURS = (
    "backend",
    "backend-consume",
    "backend-publish",
    "monitoring",
    "monitoring-collect",
    "model-blue",
    "model-shadow",
)
SERVERS = ("postgres", "nats", "s3", "mlflow", "front", "prometheus")


@pytest.mark.parametrize("service", [*OURS, *SERVERS])
def test_a_container_runs_as_nobody_on_a_root_that_it_cannot_write(composed: Composed, service: str) -> None:
    told = composed.container(service)

    assert told["State"]["Running"]
    assert told["RestartCount"] == 0
    assert told["HostConfig"]["ReadonlyRootfs"]
    assert told["HostConfig"]["CapDrop"] == ["ALL"]
    user = told["Config"]["User"].split(":")[0]
    assert user not in ("", "0", "root")


def test_every_heat_of_the_plant_is_in_the_lake_once(composed: Composed) -> None:
    report = play(composed, "once", HEATS).finish()

    rows = rows_in_lake(composed, report)

    assert report["completed"] == len(report["treatments"]) == HEATS
    assert rows.select([*lake.KEY, "revision"]).is_duplicated().any() is False
    assert rows["event_id"].is_duplicated().any() is False
    newest = lake.latest(rows)
    assert newest.height == HEATS
    for part in ("additives", "windows", "recommended", "decided", "weighed", "samples"):
        assert newest[part].list.len().min() > 0, part  # type: ignore[operator]


def test_the_model_that_was_released_first_made_the_recommendations(composed: Composed) -> None:
    live = get(f"{composed.urls['model_service']}/v1/model")
    heat = plant.new_heat()

    plant.publish(composed.urls["nats"], [(REGISTERED, heat)])
    made = wait_until(lambda: recommendation(composed, heat))

    assert live is not None
    assert made["source"] == "model"
    assert made["answer"]["model"]["bundle_hash"] == live["bundle_hash"]
    assert live["bundle_hash"] == composed.bundle_hash(str(live["version"]))


def test_a_heat_decided_over_rest_goes_all_the_way(composed: Composed) -> None:
    heat = plant.new_heat()
    treatment = heat["treatment"]
    plant.publish(composed.urls["nats"], [(REGISTERED, heat)])
    made = wait_until(lambda: recommendation(composed, heat))

    body = plant.decision(made["recommendation_id"], made["additions"])
    url = f"{composed.urls['backend']}/api/v1/treatments/{plant.path_of(treatment)}/decision"
    httpx.put(url, json=body, headers=composed.headers).raise_for_status()
    told = [(WEIGHED, plant.weighed(treatment)), (ANALYSED, plant.sample(treatment))]
    plant.publish(composed.urls["nats"], told)
    rows = wait_until(lambda: list(lake.rows_of(composed.folder, treatment).iter_rows(named=True)))

    assert len(rows) == 1
    assert rows[0]["recommendation_id"] == made["recommendation_id"]


def test_the_store_holds_what_the_registry_knows(composed: Composed) -> None:
    """MLflow is on PostgreSQL, its files are in the S3-compatible store."""
    asked = {"filter": "name = 'steel-additives'"}
    url = f"{composed.urls['mlflow']}/api/2.0/mlflow/model-versions/search"
    versions = httpx.get(url, params=asked, timeout=30).raise_for_status().json()["model_versions"]
    tables = composed.compose("exec", "-T", "postgres", "psql", "-U", "postgres", "-tAc", VERSIONS, "mlflow")
    listing = composed.compose("exec", "-T", "mlflow", "python", "-c", LIST_BUCKET)

    assert versions
    assert int(tables) == len(versions)
    assert "manifest.json" in listing


VERSIONS = "select count(*) from model_versions"
LIST_BUCKET = """
import boto3
store = boto3.client("s3", endpoint_url="http://s3:8333")
for page in store.get_paginator("list_objects_v2").paginate(Bucket="mlflow"):
    for entry in page.get("Contents", []):
        print(entry["Key"])
"""


def test_prometheus_sees_every_process(composed: Composed) -> None:
    def all_up() -> bool:
        told = get(f"{composed.urls['prometheus']}/api/v1/query?query=up") or {}
        up = {r["metric"]["instance"]: r["value"][1] for r in told["data"]["result"]}
        return len(up) == 6 and set(up.values()) == {"1"}

    assert wait_until(all_up, timeout_s=60)


def test_every_metric_of_the_dashboard_and_the_rules_is_scraped(composed: Composed) -> None:
    """Grafana itself is not started; what it would ask for is there, and its questions are understood."""
    dashboard = json.loads((ROOT / "infra" / "observability" / "grafana-dashboard.json").read_text())
    rules = (ROOT / "infra" / "observability" / "rules.yml").read_text()
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    names = {name for text in (*asked, rules) for name in re.findall(r"\bmonitoring_\w+", text)}
    address = f"{composed.urls['prometheus']}/api/v1"

    def scraped() -> bool:
        return names <= set((get(f"{address}/metadata") or {}).get("data", {}))

    assert len(names) > 8
    assert wait_until(scraped, timeout_s=60)
    for question in asked:
        told = httpx.get(f"{address}/query", params={"query": question}).raise_for_status().json()
        assert told["status"] == "success", question
    loaded = httpx.get(f"{address}/rules").raise_for_status().json()["data"]["groups"]
    assert [r["name"] for group in loaded for r in group["rules"]] == re.findall(r"alert: (\w+)", rules)
    assert {r["health"] for group in loaded for r in group["rules"]} <= {"ok", "unknown"}


def recommendation(composed: Composed, heat: dict[str, object]) -> dict[str, object] | None:
    path = plant.path_of(dict(heat["treatment"]))  # type: ignore[call-overload]
    known = get(f"{composed.urls['backend']}/api/v1/treatments/{path}", composed.headers)
    return (known or {}).get("recommendation")
