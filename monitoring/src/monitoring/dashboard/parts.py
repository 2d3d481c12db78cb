"""All treatments in parts, by the time of their completion, so that new ones cost the same however many there
are: the newest part is kept with every error, of the older ones what pages need. Pure.
"""

from typing import NamedTuple, Self

import polars as pl

from monitoring.measures.cells import cells_of, joined
from monitoring.measures.summary import Assessed, added, counts_of, merged
from monitoring.measures.treatments import TREATMENT

PART_TREATMENTS = 10_000  # the newest part has up to twice as many
CELL_HEATS = 100
OFTEN = ["stream", "plant_id", "station", "grade", "currency", "recommendation_source", "model_version",
         "weighed_bundle_hash"]  # few different texts, kept once  # fmt: skip


class Part(NamedTuple):
    """Treatments in the order of their completion; `cells` of their errors, `counts` of them."""

    treatments: pl.DataFrame
    counts: pl.DataFrame
    cells: pl.DataFrame


class Parts(NamedTuple):
    """`closed`: the older parts, each ending where the next begins; `newest`: what came after them."""

    closed: tuple[Part, ...]
    newest: Assessed

    def with_later(self, new: Assessed) -> Self:
        """Add treatments that none of the closed parts has, or would have to have."""
        closed, newest = list(self.closed), merged(self.newest, new)
        while newest.treatments.height >= 2 * PART_TREATMENTS:
            begin = newest.treatments["completed_at"][PART_TREATMENTS]
            is_older = pl.col("completed_at") < begin
            older = Assessed(newest.treatments.filter(is_older), newest.errors.filter(is_older))
            if older.treatments.is_empty():  # all at one moment
                break
            closed.append(_part(older))
            newest = Assessed(newest.treatments.filter(~is_older), newest.errors.filter(~is_older))
        return self._replace(closed=tuple(closed), newest=newest)

    def reach_back(self, new: pl.DataFrame) -> bool:
        """Tell whether one of these treatments belongs into a closed part, or is in one already."""
        if not self.closed or new.is_empty():
            return False
        ends = pl.concat([one.treatments["completed_at"].tail(1) for one in self.closed])[-1]
        heats = new["heat_uid"].implode()
        return new["completed_at"].sort()[0] <= ends or any(
            one.treatments["heat_uid"].is_in(heats).any() for one in self.closed
        )

    def treatments(self) -> pl.DataFrame:
        """Return all of them, in the order of their completion."""
        parts = [one.treatments for one in self.closed]
        return pl.concat([*parts, _small(self.newest.treatments)], rechunk=False)

    def counts(self) -> pl.DataFrame:
        return added(pl.concat([*(one.counts for one in self.closed), counts_of(self.newest.treatments)]))

    def cells(self) -> pl.DataFrame:
        return pl.concat([*(one.cells for one in self.closed), cells_of(self.newest.errors)])


def superseded(rows: pl.LazyFrame) -> pl.DataFrame:
    """Return the treatments among rows of the lake that have been corrected, with the revision in force."""
    corrected = rows.filter(pl.col("revision") > 1).group_by(TREATMENT)
    return corrected.agg(pl.col("revision").max().alias("in_force")).collect()


def in_force(assessed: Assessed, corrected: pl.DataFrame) -> Assessed:
    """Leave out what has been corrected by a row elsewhere."""
    old = assessed.treatments.join(corrected, on=TREATMENT).filter(pl.col("revision") < pl.col("in_force"))
    if old.is_empty():
        return assessed
    return Assessed(*(of.join(old, on=TREATMENT, how="anti", maintain_order="left") for of in assessed))


def _part(assessed: Assessed) -> Part:
    return Part(
        _small(assessed.treatments),
        counts_of(assessed.treatments),
        joined(cells_of(assessed.errors), pl.lit(CELL_HEATS)).select(cells_of(assessed.errors).columns),
    )


def _small(treatments: pl.DataFrame) -> pl.DataFrame:
    return treatments.with_columns(pl.col(OFTEN).cast(pl.Categorical)).rechunk()
