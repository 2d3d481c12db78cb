"""Champion against challenger: the verdict, its confidence, and which heats are compared."""

import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from monitoring.events import read_shadow
from monitoring.lake.rows import shadow_row_of
from monitoring.lake.tables import arrow_schema, delta_schema
from monitoring.measures.against_shadow import against_shadow, sentence
from tests.generator import body, completed
from tests.lake_rows import as_rows

SHADOW, LIVE = "cd" * 32, "ab" * 32


def shadow_event(of: dict[str, Any], off_pct: float, bundle: str = SHADOW) -> dict[str, Any]:
    """What a shadow said of a heat: the live recommendation, with its predictions this much off."""
    made = deepcopy(of["y"])
    made |= {"role": "shadow", "bundle_hash": bundle, "model_version": "4"}
    result = of["x_prime"]["samples"][0]["chemistry"]
    weighed: dict[str, float] = {}
    for one in of["y_prime"]["weighed"]:
        weighed[one["additive"]] = weighed.get(one["additive"], 0.0) + one["added_kg"]
    advised = {one["additive"]: one["added_kg"] for one in made["additions"]}
    for element, estimate in made["answer"]["elements"].items():
        slopes = estimate["slope_pct_per_kg"]
        moved = sum(k * (weighed.get(a, 0.0) - advised.get(a, 0.0)) for a, k in slopes.items())
        estimate["predicted_pct"] = result[element] + off_pct - moved if element in result else 0.0
    key = f"shadow {of['treatment']['heat_uid']}"
    return {"id": key, "data": {"treatment": of["treatment"], "recommendation": made}}


def as_shadows(events: list[dict[str, Any]]) -> pl.LazyFrame:
    read = [read_shadow(body(event)) for event in events]
    rows = [
        shadow_row_of(event, {"stream": "PRODUCT then", "stream_seq": n})
        for n, event in enumerate(read, start=1)
        if event is not None
    ]
    frame = pl.from_arrow(pa.Table.from_pylist(rows, schema=arrow_schema(delta_schema("shadows"))))
    assert isinstance(frame, pl.DataFrame)
    return frame.lazy()


def heats(count: int, first: int = 1) -> list[dict[str, Any]]:
    return [completed(number) for number in range(first, first + count)]


def test_a_shadow_that_is_nearer_is_found_better_and_one_that_is_further_worse() -> None:
    of = heats(80)

    better = against_shadow(as_rows(of), as_shadows([shadow_event(one, 0.001) for one in of]))
    worse = against_shadow(as_rows(of), as_shadows([shadow_event(one, 0.2) for one in of]))

    assert better is not None
    assert worse is not None
    assert (better.verdict, worse.verdict) == ("shadow_better", "live_better")
    assert better.shadow_error_sd < better.live_error_sd
    assert (better.live_bundle, better.shadow_bundle, better.shadow_version) == (LIVE, SHADOW, "4")
    assert better.heats < 80
    assert "version 4, in shadow, was nearer" in sentence(better)


def test_predictions_are_moved_to_what_was_weighed() -> None:
    of = heats(40)
    for one in of:
        one["y_prime"]["weighed"][0]["added_kg"] += 100.0

    found = against_shadow(as_rows(of), as_shadows([shadow_event(one, 0.0) for one in of]))

    assert found is not None
    assert found.shadow_error_sd < 1e-9


def test_equals_are_told_apart_no_more_often_than_the_confidence_says() -> None:
    """However often one looks: the first of 600 looks that is certain counts."""
    rng, told = random.Random(5), 0
    for _ in range(300):
        wealth = _wealth_of([rng.choice((-0.6, -0.2, 0.2, 0.6)) for _ in range(600)])
        told += max(wealth) >= 100

    assert told <= 7  # 3 are expected at most; more than 7 has a chance of 1 %


def test_only_heats_since_both_stand_there_are_compared() -> None:
    old, new = heats(50), heats(20, first=51)
    before = [shadow_event(one, 0.3, bundle="ef" * 32) for one in old]

    found = against_shadow(as_rows(old + new), as_shadows(before + [shadow_event(one, 0.0) for one in new]))

    assert found is not None
    assert (found.heats, found.since_heat, found.verdict) == (20, "26-00051", None)


def test_a_live_recommendation_is_no_shadow() -> None:
    (one,) = heats(1)
    event = shadow_event(one, 0.0)
    event["data"]["recommendation"]["role"] = "live"

    assert read_shadow(body(event)) is None


def test_without_a_shadow_nothing_is_compared() -> None:
    assert against_shadow(as_rows(heats(3)), as_shadows([])) is None


def test_the_schema_that_is_shipped_is_the_contract() -> None:
    contract = Path(__file__).resolve().parents[3] / "contracts" / "lake" / "shadows.v1.delta-schema.json"

    assert (
        delta_schema("shadows").to_json() == delta_schema("shadows").from_json(contract.read_text()).to_json()
    )


def _wealth_of(d: list[float]) -> list[float]:
    from monitoring.measures.against_shadow import _wealth

    return _wealth(d)
