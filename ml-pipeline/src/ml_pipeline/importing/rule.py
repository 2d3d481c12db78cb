"""What the plant's handbook rule would have added to each heat, by the Model Service's code for it."""

from typing import NamedTuple

import polars as pl
from model_service.contracts import HandbookEntry, HandbookStep
from model_service.handbook import handbook_additions

from ml_pipeline.importing.mapping import Handbook
from ml_pipeline.requests import heat, offers

MIN_HEATS = 30
MOST = 1.2


class Rule(NamedTuple):
    """`derived`: nominal recoveries that the mapping doesn't give."""

    entry: HandbookEntry
    derived: dict[str, float]


def handbook_rule(heats: pl.DataFrame, given_pct: dict[str, pl.Series], spec: Handbook) -> Rule:
    """Complete the rule: recovery = median of (last - first) / added over enough heats, as plants do."""
    derived = {}
    for element in sorted({step.element for step in spec.steps} - spec.nominal_recovery.keys()):
        if f"after.{element}" not in heats.columns or element not in given_pct:
            continue
        first = _first_pct(heats, element, spec.assumed_pct.get(element))
        added = given_pct[element]
        typical = added.median()
        enough = (added > 0) & (added > 0.3 * (typical if isinstance(typical, float) else 0.0))
        known = ((heats[f"after.{element}"] - first) / added).filter(enough).drop_nulls()
        usual = known.median()
        if known.len() >= MIN_HEATS and isinstance(usual, float) and usual > 0:
            derived[element] = round(min(usual, MOST), 3)
    entry = HandbookEntry(
        nominal_recovery={**dict(sorted(derived.items())), **spec.nominal_recovery},
        assumed_pct=spec.assumed_pct,
        steps=[
            HandbookStep(element=s.element, additives=s.additives, not_beyond_aim_of=s.not_beyond_aim_of)
            for s in spec.steps
        ],
    )
    return Rule(entry, derived)


def with_handbook(rows: pl.DataFrame, entry: HandbookEntry) -> pl.DataFrame:
    """Fill `handbook` and `handbook_cost` of lake rows; heats without windows get nothing."""
    additions, costs = [], []
    for row in rows.iter_rows(named=True):
        result = handbook_additions(heat(row), offers(row), entry) if row["windows"] else None
        tipped = result.additions if result else []
        additions.append([{"additive": a.additive, "lot": a.lot, "added_kg": a.added_kg} for a in tipped])
        costs.append(result.cost.amount if result and result.cost else None)
    return rows.with_columns(
        handbook=pl.Series(additions, dtype=rows.schema["handbook"]),
        handbook_cost=pl.Series(costs, dtype=pl.Float64),
    )


def _first_pct(heats: pl.DataFrame, element: str, assumed_pct: float | None) -> pl.Series:
    """Measured, half a detection limit, or assumed; null where none of them is known."""
    nothing = pl.Series([None] * heats.height, dtype=pl.Float64)
    column = f"before.{element}"
    if column not in heats.columns:
        return nothing if assumed_pct is None else nothing.fill_null(assumed_pct)
    first = heats[column].zip_with(heats[column].is_not_null(), heats[f"below.{column}"] / 2)
    return first if assumed_pct is None else first.fill_null(assumed_pct)
