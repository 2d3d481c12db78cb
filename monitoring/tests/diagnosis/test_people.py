"""People who aim elsewhere than before, told from recommendations that moved without them."""

from typing import Any

import polars as pl
import pytest

from monitoring.diagnosis.building import build
from monitoring.diagnosis.people import aims, people
from tests.diagnosis.plants import Trouble, rows

BEGIN = 120


def shown(higher_pct: float, row: dict[str, Any]) -> None:
    """Make of a row one whose recommendation people changed; from BEGIN on it has so much more Mn."""
    higher = higher_pct if int(row["heat_no"]) >= BEGIN else 0.0
    row.update(
        recommendation_id="R",
        decision_id="D",
        decided_recommendation_id="R",
        recommendation_source="model",
        shown_at=row["registered_at"],
        decided_at=row["registered_at"],
        bundle_hash="b",
        weighed_bundle_hash="b",
        decided=[{key: of[key] for key in ("additive", "lot", "added_kg")} for of in row["weighed"]],
        recommended_predicted=[
            {**of, "base_pct": of["base_pct"] + (higher if of["element"] == "Mn" else 0.0)}
            for of in row["weighed_predicted"]
        ],
    )


@pytest.mark.parametrize(("aim_pct", "is_told"), [(-0.06, True), (0.0, False), (0.03, False)])
def test_recommendations_that_move_away_from_people_are_not_people_who_moved(
    aim_pct: float, is_told: bool
) -> None:
    trouble = Trouble(begin=BEGIN, aim_pct=aim_pct, change=lambda row: shown(0.06, row))
    reference = build(rows(1200, seed=99))

    aimed = aims(rows(320, trouble, seed=5), reference)
    found = people(aimed, ["Mn"], reference)

    assert aimed["was_shown"].all()
    assert (found.height > 0) == is_told
    assert (found["estimate"] < 0).all()


def test_who_takes_what_is_shown_says_nothing_of_where_he_would_aim() -> None:
    """Every second heat is taken as it is shown, and most of a shift with it."""

    def half_taken(row: dict[str, Any]) -> None:
        shown(0.06, row)  # what people are shown stays where it was
        if int(row["heat_no"]) % 2:
            row["recommended"] = row["decided"]
            row["weighed_predicted"] = row["recommended_predicted"]

    trouble = Trouble(begin=BEGIN, aim_pct=-0.06, change=half_taken)
    reference = build(rows(1200, seed=99))

    aimed = aims(rows(600, trouble, seed=5), reference)

    of_mn = aimed.filter(element="Mn", station="tapping")
    assert of_mn["is_own"].mean() == pytest.approx(0.5, abs=0.01)
    found = people(aimed, ["Mn"], reference).filter(pl.col("station") == "tapping")
    assert found.height > 0
    assert (found["estimate"] < 0).all()
    assert found["row"].min() > 2 * BEGIN  # type: ignore[operator]
