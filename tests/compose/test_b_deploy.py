"""A model goes live and back by one command, while heats go on; and what fails is undone."""

import json
import subprocess
from typing import Any

import lake
from compose.conftest import Composed
from compose.playing import playing, rows_in_lake
from running_demo import get, wait_until

BATCH, HEATS_PER_MINUTE, BATCH_S = 20, 150, 120.0


def live(composed: Composed) -> dict[str, Any]:
    return dict(get(f"{composed.urls['model_service']}/v1/model") or {})


def started_at(composed: Composed, *services: str) -> list[str]:
    return [composed.container(service)["State"]["StartedAt"] for service in services]


def test_a_model_goes_live_and_back_under_load_and_no_heat_is_lost(
    composed: Composed, second_version: str
) -> None:
    first, backend = str(live(composed)["version"]), ("backend", "backend-consume", "backend-publish")
    before = started_at(composed, *backend)

    with playing(composed, BATCH, HEATS_PER_MINUTE) as reports:
        composed.deploy("live", second_version, "--why", "more heats")
        there = live(composed)
        before_it = len(reports)
        wait_until(lambda: len(reports) > before_it + 1, BATCH_S)  # heats that began and ended with it
        composed.deploy("live", "--roll-back", "--why", "only trying")
        back = live(composed)
    told = {"treatments": [treatment for report in reports for treatment in report["treatments"]]}
    rows = lake.latest(rows_in_lake(composed, told))

    assert (str(there["version"]), str(back["version"])) == (second_version, first)
    assert sum(report["completed"] for report in reports) == rows.height == BATCH * len(reports)
    served = set(rows.filter(rows["recommendation_source"] == "model")["bundle_hash"])
    assert served == {composed.bundle_hash(first), composed.bundle_hash(second_version)}
    # A handbook's answer is one to a heat from which the model abstained, never to a model that was away.
    handbook = rows.filter(rows["recommendation_source"] == "handbook")
    assert handbook.height == sum(report["handbook_advice"] for report in reports)
    assert reasons(composed, handbook["heat_uid"].to_list()) <= {"the model abstained"}
    assert started_at(composed, *backend) == before


def reasons(composed: Composed, heats: list[str]) -> set[str]:
    """Why the handbook answered, in the backend's own words."""
    query = (
        "select heats.heat_uid, fallback_reason from recommendations"
        " join heats on heats.id = heat_id where fallback_reason is not null"
    )
    told = composed.compose(
        "exec", "-T", "postgres", "psql", "-U", "postgres", "-tAF,", "-c", query, "backend"
    )
    pairs = [line.split(",", 1) for line in told.splitlines() if line]
    return {why.split(":")[0] for uid, why in pairs if uid in heats}


def test_every_step_is_in_the_ledger_with_the_image_that_served(
    composed: Composed, second_version: str
) -> None:
    deployed = [entry for entry in composed.ledger if entry["what"] == "live"]

    assert [entry["why"] for entry in deployed[-2:]] == ["more heats", "only trying"]
    assert deployed[-2]["version"] == second_version
    image = json.loads(composed.call("docker", "image", "inspect", deployed[-2]["evidence"]["image"]).stdout)[
        0
    ]
    assert deployed[-2]["evidence"]["image_digest"] == image["Id"]
    assert [e["version"] for e in composed.ledger if e["what"] == "champion"][-1] == deployed[-1]["version"]


def test_a_shadow_is_exchanged_and_live_is_left_alone(composed: Composed, second_version: str) -> None:
    before, slots = live(composed), started_at(composed, "model-blue", "model-green")

    composed.deploy("shadow", second_version, "--why", "beside it")
    port = composed.compose("port", "front", "8011").strip()

    assert str((get(f"http://{port}/v1/model") or {})["version"]) == second_version
    assert live(composed) == before
    assert started_at(composed, "model-blue", "model-green") == slots


def test_an_image_that_holds_another_model_is_undone(composed: Composed, second_version: str) -> None:
    """It starts and is healthy; its golden rows are those of another model."""
    name = f"{composed.environment.get('COMPOSE_PROJECT', 'steel-additives')}/model:{second_version}"
    right = json.loads(composed.call("docker", "image", "inspect", name).stdout)[0]["Id"]
    first, slots = live(composed), f"MODEL_{other_slot(composed).upper()}_IMAGE={name}"
    lines = (composed.folder / "models.env").read_text()
    assert slots in lines
    labels = [f"--label=steel-additives.bundle-hash={composed.bundle_hash(second_version)}"]
    image_of_first = name.replace(f":{second_version}", f":{first['version']}")
    wrong = subprocess.run(
        ["docker", "build", "--tag", name, *labels, "-"],
        input=f"FROM {image_of_first}\n",
        capture_output=True,
        text=True,
        check=False,
        env={**composed.environment, "DOCKER_BUILDKIT": "0"},
    )
    assert wrong.returncode == 0, wrong.stderr
    try:
        done = composed.deploy("live", second_version, "--why", "a lie", check=False)
    finally:
        composed.call("docker", "tag", right, name)

    assert done.returncode == 1
    assert "what served before serves on" in done.stdout
    assert live(composed) == first
    assert (composed.ledger[-1]["what"], composed.ledger[-1]["version"]) == ("undone", second_version)
    assert "not " in composed.ledger[-1]["why"]


def other_slot(composed: Composed) -> str:
    """The slot that is not live."""
    file = json.loads((composed.folder / "front" / "live.yml").read_text())
    (server,) = file["http"]["services"]["live"]["loadBalancer"]["servers"]
    return "green" if "blue" in server["url"] else "blue"
