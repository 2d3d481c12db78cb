"""What heats lose, and the next ones too, is seen in how their errors hang together."""

import math
import random

import polars as pl
import pytest

from monitoring.diagnosis.memories import memories

X, LOT_HEATS, LOT_SD_REL = 20.0, 60, 0.01


def errors(sd_rel: float, kept: float, heats: int = 6000, seed: int = 5) -> pl.DataFrame:
    """Of one station and two elements, with lots that differ, and a noise of 1."""
    rng = random.Random(seed)
    rows = []
    for element in ("Mn", "Si"):
        lost = lot = 0.0
        for n in range(heats):
            lost = kept * lost + rng.gauss(0, sd_rel * math.sqrt(1 - kept**2))
            lot = rng.gauss(0, LOT_SD_REL) if n % LOT_HEATS == 0 else lot
            x = X * rng.uniform(0.7, 1.3)
            rows.append(("P", "tapping", element, n, x, rng.gauss(0, 1) + x * (lost + lot)))
    names = ["plant_id", "station", "element", "place", "x", "y"]
    return pl.DataFrame(rows, names, orient="row")


def test_what_heats_share_that_fades_is_their_memory() -> None:
    found = memories(errors(0.02, 0.6))["tapping"]

    for element in ("Mn", "Si"):
        assert found[element].sd_rel == pytest.approx(0.02, rel=0.2)
        assert found[element].kept == pytest.approx(0.6, abs=0.15)


def test_what_lasts_is_the_lot_and_no_memory() -> None:
    assert all(memories(errors(0.0, 0.0, seed=seed)) == {"tapping": {}} for seed in range(3))


def test_few_heats_tell_of_no_memory() -> None:
    assert memories(errors(0.02, 0.6, heats=5)) == {}
