"""People who aim elsewhere than before, told from recommendations that moved without them."""

from typing import Any

import pytest

from monitoring.diagnosis.building import build
from monitoring.diagnosis.people import aims, people
from tests.diagnosis.plants import Trouble, rows

BEGIN = 120


def shown(higher_pct: float, row: dict[str, Any]) -> None:
    """Make of a row one that was recommended for; from BEGIN on so much more Mn than people add."""
    higher = higher_pct if int(row["heat_no"]) >= BEGIN else 0.0
    row.update(
        recommendation_id="R",
        decided_recommendation_id="R",
        recommendation_source="model",
        shown_at=row["registered_at"],
        decided_at=row["registered_at"],
        bundle_hash="b",
        weighed_bundle_hash="b",
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
