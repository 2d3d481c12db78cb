"""One heat, told over the bus and decided over REST, by a plant that is not the simulator."""

import json
import os
import signal
from typing import Any

import httpx

import lake
import plant
from running_demo import RunningDemo, get, wait_until

REGISTERED, WEIGHED, ANALYSED = (
    "plant.heat.registered.v1",
    "plant.addition.weighed.v1",
    "plant.sample.analysed.v1",
)


# Each process, and the first word of what it says of a heat that goes its whole way.
WAY_OF_A_HEAT = {
    ("backend-consume", "heard"),
    ("backend-consume", "recommended"),
    ("model-service", "recommended"),
    ("backend-serve", "decided"),
    ("model-service", "predicted"),
    ("backend-consume", "predicted"),
    ("backend-publish", "published"),
    ("monitoring-collect", "position"),
}


def url_of(demo: RunningDemo, treatment: dict[str, Any]) -> str:
    return f"{demo.urls['backend']}/api/v1/treatments/{plant.path_of(treatment)}"


def recommended(demo: RunningDemo, heat: dict[str, Any]) -> dict[str, Any]:
    """Register a heat over the bus and return its recommendation."""
    plant.publish(demo.urls["nats"], [(REGISTERED, heat)])
    known = wait_until(
        lambda: (get(url_of(demo, heat["treatment"]), demo.headers) or {}).get("recommendation")
    )
    return dict(known)


def finish(demo: RunningDemo, heat: dict[str, Any], recommendation: dict[str, Any]) -> None:
    """Decide as recommended, weigh, analyse."""
    treatment = heat["treatment"]
    body = plant.decision(recommendation["recommendation_id"], recommendation["additions"])
    httpx.put(f"{url_of(demo, treatment)}/decision", json=body, headers=demo.headers).raise_for_status()
    plant.publish(
        demo.urls["nats"], [(WEIGHED, plant.weighed(treatment)), (ANALYSED, plant.sample(treatment))]
    )


def in_lake(demo: RunningDemo, treatment: dict[str, Any], revisions: int = 1) -> list[dict[str, Any]]:
    """Wait until the lake has that many revisions of a treatment and return its rows, oldest first."""
    wait_until(lambda: lake.rows_of(demo.folder, treatment).height >= revisions)
    return list(lake.rows_of(demo.folder, treatment).iter_rows(named=True))


def test_a_heat_goes_all_the_way_into_the_lake(demo: RunningDemo) -> None:
    heat = plant.new_heat()

    recommendation = recommended(demo, heat)
    finish(demo, heat, recommendation)
    (row,) = in_lake(demo, heat["treatment"])

    assert recommendation["source"] == "model"
    assert row["recommendation_id"] == recommendation["recommendation_id"]
    assert [addition["added_kg"] for addition in row["decided"]] == [
        addition["added_kg"] for addition in recommendation["additions"]
    ]
    assert {addition["additive"]: addition["added_kg"] for addition in row["weighed"]} == {
        addition["additive"]: addition["added_kg"] for addition in plant.WEIGHED
    }
    assert row["heat_no"] == heat["heat_no"]


def test_a_heat_is_found_in_the_logs_of_every_process_that_it_went_through(demo: RunningDemo) -> None:
    """JSON lines: the treatment in those of backend and model service, the heat in monitoring's."""
    heat = plant.new_heat()
    finish(demo, heat, recommended(demo, heat))
    in_lake(demo, heat["treatment"])

    assert wait_until(lambda: logs_that_name(demo, heat["treatment"]) >= WAY_OF_A_HEAT)


def logs_that_name(demo: RunningDemo, treatment: dict[str, Any]) -> set[tuple[str, str]]:
    """Which process says something of the heat, and the first word of it."""
    found = set()
    for log in (demo.folder / "logs").glob("*.log"):
        for line in log.read_text().splitlines():
            if treatment["heat_uid"] not in line or not line.startswith("{"):
                continue
            told = json.loads(line)
            if told.get("treatment") == treatment or treatment["heat_uid"] in told.get("heats", ()):
                found.add((log.stem, told["message"].split()[0]))
    return found


def test_a_corrected_sample_is_a_new_revision_and_the_old_one_stays(demo: RunningDemo) -> None:
    heat = plant.new_heat()
    finish(demo, heat, recommended(demo, heat))
    in_lake(demo, heat["treatment"])

    plant.publish(demo.urls["nats"], [(ANALYSED, plant.sample(heat["treatment"], revision=2, mn_pct=0.83))])
    first, second = in_lake(demo, heat["treatment"], revisions=2)

    assert (first["revision"], second["revision"]) == (1, 2)
    assert [manganese_of(first), manganese_of(second)] == [0.79, 0.83]


def test_a_result_that_comes_twice_is_stored_once(demo: RunningDemo) -> None:
    heat, other = plant.new_heat(), plant.new_heat()
    finish(demo, heat, recommended(demo, heat))

    plant.publish(demo.urls["nats"], [(ANALYSED, plant.sample(heat["treatment"]))])
    finish(demo, other, recommended(demo, other))
    in_lake(demo, other["treatment"])

    assert [row["revision"] for row in in_lake(demo, heat["treatment"])] == [1]


def test_an_absurd_heat_gets_no_advice_of_the_model_but_the_handbook_says_why(demo: RunningDemo) -> None:
    heat = plant.new_heat(steel_mass_t=4000.0)

    recommendation = recommended(demo, heat)

    assert recommendation["source"] == "handbook"
    assert recommendation["fallback_reason"]
    assert recommendation["answer"]["status"] == "abstained"
    assert recommendation["answer"]["abstention_reasons"]


def test_a_heat_does_not_wait_for_a_model_service_that_hangs(demo: RunningDemo) -> None:
    heat, model_service = plant.new_heat(), demo.pids["model-service"]

    os.kill(model_service, signal.SIGSTOP)
    try:
        without = recommended(demo, heat)
    finally:
        os.kill(model_service, signal.SIGCONT)
    with_model = recommended(demo, plant.new_heat())

    assert without["source"] == "handbook"
    assert without["additions"]
    assert without["fallback_reason"]
    assert with_model["source"] == "model"


def test_a_bad_message_is_kept_aside_with_the_reason_and_the_rest_goes_on(demo: RunningDemo) -> None:
    nonsense = b"\xff not json " + os.urandom(8).hex().encode()
    negative = plant.event(REGISTERED, plant.new_heat(steel_mass_t=-1.0))
    negative_body = httpx.Request("POST", "http://bus", json=negative).content

    plant.publish_raw(demo.urls["nats"], REGISTERED, [nonsense, negative_body])
    recommendation = recommended(demo, plant.new_heat())
    refused = wait_until(lambda: refusals(demo, "backend", {nonsense, negative_body}))

    assert recommendation["additions"]
    assert all(headers["Dead-Letter-What"] for headers in refused.values())
    assert "steel_mass_t" in refused[negative_body]["Dead-Letter-Where"]
    assert refused[negative_body]["Dead-Letter-Allowed"]


def test_monitoring_keeps_a_bad_event_aside_and_collects_on(demo: RunningDemo) -> None:
    quarantined = (get(f"{demo.urls['monitoring']}/api/v1/summary") or {})["quarantined"]
    heat = plant.new_heat()

    plant.publish_raw(demo.urls["nats"], "product.heat.completed.v1", [b'{"specversion": "1.0"}'])
    finish(demo, heat, recommended(demo, heat))
    rows = in_lake(demo, heat["treatment"])

    assert len(rows) == 1
    assert wait_until(
        lambda: (get(f"{demo.urls['monitoring']}/api/v1/summary") or {})["quarantined"] > quarantined
    )


def test_bad_input_over_http_is_a_problem_that_says_what_where_and_what_is_allowed(demo: RunningDemo) -> None:
    url, heavy = f"{demo.urls['backend']}/api/v1/heats", plant.new_heat(steel_mass_t="heavy")
    answer = httpx.post(url, json=heavy, headers=demo.headers)

    assert answer.is_client_error
    assert answer.headers["content-type"].startswith("application/problem+json")
    (error,) = [error for error in answer.json()["errors"] if "steel_mass_t" in error["where"]]
    assert error["what"]
    assert error["allowed"]


def refusals(demo: RunningDemo, component: str, bodies: set[bytes]) -> dict[bytes, dict[str, str]] | None:
    """Return the headers of these refused messages, None while some are not there."""
    found = {
        body: headers for body, headers in plant.dead_letters(demo.urls["nats"], component) if body in bodies
    }
    return found if set(found) == bodies else None


def manganese_of(row: dict[str, Any]) -> float:
    """Return the Mn of the last revision of the final sample."""
    last = max(row["samples"], key=lambda sample: sample["revision"])
    (found,) = [analysis["pct"] for analysis in last["chemistry"] if analysis["element"] == "Mn"]
    return float(found)
