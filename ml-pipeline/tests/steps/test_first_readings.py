"""What heats of a grade come with has a say beside a sample that errs."""

import msgspec
import numpy as np
import polars as pl
import pytest
from model_service.priors import prior_element, prior_parameters

from ml_pipeline.steps.first_readings import MIN_OF_GRADE, first_readings
from ml_pipeline.steps.outcome import terms

USUAL_PCT, LACKS_PCT = {"soft": 0.08, "hard": 0.45}, {"soft": 0.03, "hard": 0.15}
ARRIVES_SD, READ_SD, RECOVERY = 0.006, 0.006, 0.92
N = 1200
SHELL = prior_parameters().stations["ladle_furnace"]
PRIOR = prior_element("ladle_furnace", "C")
assert PRIOR is not None


def heats(read_sd: float, n: int = N) -> pl.DataFrame:
    """Heats of two grades whose steelmaker adds what the sample says is missing."""
    rng = np.random.default_rng(3)
    grade = np.array(list(USUAL_PCT))[np.arange(n) % 2]
    usual = np.array([USUAL_PCT[g] for g in grade])
    aim = usual + np.array([LACKS_PCT[g] for g in grade])
    truth = usual + ARRIVES_SD * rng.normal(size=n)
    read = truth + read_sd * rng.normal(size=n)
    added = np.maximum(aim - read, 0) / RECOVERY * rng.normal(1, 0.03, n)
    times = pl.datetime_range(
        pl.datetime(2025, 1, 1), interval="40m", end=pl.datetime(2026, 1, 1), time_zone="UTC", eager=True
    )[:n]
    return pl.DataFrame(
        {
            "plant_id": ["a"] * n,
            "heat_uid": [f"{i:05d}" for i in range(n)],
            "treatment_no": [1] * n,
            "grade": grade,
            "completed_at": times,
            "steel_mass_t": [100.0] * n,
            "metallic_kg": [0.0] * n,
            "first.C": read,
            "first_sd.C": [None] * n,
            "added_kg.C": added * 1000,
            "reference.C": aim,
            "final.C": truth + RECOVERY * added + 0.004 * rng.normal(size=n),
        },
        schema_overrides={"first_sd.C": pl.Float64},
    )


def test_a_reading_is_believed_as_far_as_it_errs_beside_what_the_grade_comes_with() -> None:
    some = heats(READ_SD)

    found = first_readings(SHELL, "C", PRIOR, some)

    assert set(found) == set(USUAL_PCT)
    for grade, usual in USUAL_PCT.items():
        assert found[grade].pct == pytest.approx(usual, abs=0.002)
        assert found[grade].trust == pytest.approx(0.5, abs=0.1)
    known = terms(SHELL, "C", msgspec.structs.replace(PRIOR, first_readings=found), some)
    gained = RECOVERY * known.added_pct
    believing, as_read = (
        np.std(known.final_pct - first - gained) for first in (known.first_pct, known.read_pct)
    )
    assert believing < 0.9 * as_read


def test_readings_that_hardly_err_are_taken_as_they_are() -> None:
    assert first_readings(SHELL, "C", PRIOR, heats(0.0005)) == {}


def test_a_grade_of_few_heats_is_believed_as_it_was_read() -> None:
    assert first_readings(SHELL, "C", PRIOR, heats(READ_SD, 2 * MIN_OF_GRADE - 2)) == {}
