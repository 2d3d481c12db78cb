"""Rows that cannot be true, or tell nothing: each gets the first rule it breaks, as `what` and `allowed`.

Rules of the extract as a whole use medians, so that the flaws themselves do not move them.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

MASS_RANGE = (0.6, 1.6)
"""Ladles of one plant are filled alike; multiples of the median mass."""
BALANCED = {"C", "Si", "Mn", "Cr", "V", "Ni", "Mo", "Nb", "Cu", "Co", "W"}
"""Elements that mostly stay in the steel; others (Al, Ti, Ca, S, N ...) are lost or picked up as the slag
and air will have it."""
RECOVERY_MOST = 1.3
MAIN_SOURCE = 0.05
"""Additions that usually hold less than this share of the final content say nothing about the balance."""
SLACK_OF_MEDIAN = 0.3
"""What may be found beyond what was added: this share of the usual final content (first chemistry not
measured, slag, scale)."""
LEAST_OF_USUAL = 0.6
SLACK_OF_LEAST = 0.1
"""The least: this share of the plant's usual recovery, less this share of the usual final content."""
BURNT_PER_OXYGEN = {"Si": 0.878}
"""Mass of the element that binds a mass of dissolved oxygen (SiO2): a heat with much more oxygen than usual
may lose so much more. Weaker deoxidisers leave the oxygen to it."""
SOURCES = (0.25, 1.75)
"""Multiples of what a grade usually gets, where it always gets about the same, outside which an addition is
wrong."""


class Rule(NamedTuple):
    """`breaks`: which rows break it. `reason` is its short name for counting."""

    reason: str
    breaks: pl.Expr
    what: pl.Expr
    allowed: str


def judge(
    heats: pl.DataFrame, given_pct: dict[str, pl.Series], plausible_mass_t: tuple[float, float] | None
) -> pl.DataFrame:
    """Return one row per heat: `reason`, `what`, `allowed`; all null where nothing is wrong.

    `heats` has the columns of `readings` and `heat_uid`, `content`; `given_pct`: element -> wt % that the
    additions hold; `plausible_mass_t`: what the mapping calls one, where it does.
    """
    frame = heats.with_columns(pl.Series(f"given.{e}", s) for e, s in given_pct.items())
    none = pl.lit(None, dtype=pl.String)
    reason = what = allowed = none
    for rule in reversed(list(_rules(frame, list(given_pct), plausible_mass_t))):
        hit = rule.breaks.fill_null(value=False)
        reason = pl.when(hit).then(pl.lit(rule.reason)).otherwise(reason)
        what = pl.when(hit).then(rule.what).otherwise(what)
        allowed = pl.when(hit).then(pl.lit(rule.allowed)).otherwise(allowed)
    return frame.select(reason=reason, what=what, allowed=allowed)


def _rules(
    frame: pl.DataFrame, elements: list[str], plausible_mass_t: tuple[float, float] | None
) -> Iterator[Rule]:
    finals = [c for c in frame.columns if c.startswith("after.")]
    final_limits = [c for c in frame.columns if c.startswith("below.after.")]
    firsts = [c for c in frame.columns if c.startswith("before.")]
    added = [c for c in frame.columns if c.startswith("added.")]
    mass = pl.col("steel_mass_t")

    # A plant that analyses nothing measures temperatures.
    results = [*finals, *final_limits] or ["temperature_after_c"]
    empty = pl.all_horizontal(pl.col([*results, *firsts, "steel_mass_t"]).is_null())
    yield _rule("empty row", empty, "neither mass nor chemistry nor result", "a measured heat")
    for column in ("heat_no", "grade"):
        yield _rule(
            f"no {column}",
            pl.col(column).is_null(),
            f"{column} is empty",
            "the plant's own name, 1 to 64 characters",
        )
        yield _rule(
            f"long {column}",
            pl.col(column).str.len_chars() > 64,
            f"{column} is too long",
            "1 to 64 characters",
        )
    yield _rule(
        "no readable time",
        pl.col("registered_at").is_null(),
        "the time is missing, or not in the format of heats.time",
        "a time of that format",
    )
    yield _rule(
        "treatment_no",
        pl.col("treatment_no").is_null() | (pl.col("treatment_no") < 1),
        "treatment_no cannot be read",
        "1, 2, 3 ...",
    )

    copies = pl.len().over("heat_uid", "treatment_no")
    contents = pl.col("content").n_unique().over("heat_uid", "treatment_no")
    first = pl.int_range(pl.len()).over("heat_uid", "treatment_no") == 0
    yield _rule(
        "duplicate heat, different content",
        (copies > 1) & (contents > 1),
        "the heat is there again with other values",
        "one row per heat: which is right cannot be told",
    )
    yield _rule(
        "duplicate heat, same content",
        (copies > 1) & ~first,
        "the same row is there again",
        "one row per heat; the first was taken",
    )

    yield from _mass(frame, plausible_mass_t or (0.0, math.inf))

    for column in [*finals, *firsts]:
        said = pl.format(f"{column} is {{}} wt %", pl.col(column).round(4))
        yield Rule("chemistry above 100 %", pl.col(column) > 100, said, "0 to 100 wt %: is the unit right?")
    for column in added:
        said = pl.format(f"{column} is {{}} kg", pl.col(column))
        yield Rule("negative addition", pl.col(column) < 0, said, "0 kg or more")
        yield _rule(
            "addition unknown",
            pl.col(column).is_null(),
            f"kilograms of {column.removeprefix('added.')} are unknown or no number",
            "a number; an empty cell only where the mapping says it means zero",
        )
        heavy = pl.col(column) > mass * 1000 * 0.2
        yield Rule(
            "addition implausible", heavy, said, "less than a fifth of the steel mass: is the unit right?"
        )
    yield _rule(
        "no result",
        pl.all_horizontal(pl.col(results).is_null()),
        "the result is missing entirely",
        "at least one final element; the temperature after, where the mapping has no chemistry",
    )
    for element in elements:
        yield from _balance(frame, element)


def _mass(frame: pl.DataFrame, plausible: tuple[float, float]) -> Iterator[Rule]:
    """A mass above 0, within what the mapping calls plausible, and like this plant's others."""
    mass = pl.col("steel_mass_t")
    yield _rule(
        "mass missing",
        mass.is_null(),
        "the steel mass is empty, no number, or stuck",
        "a mass in tonnes above 0",
    )
    said = pl.format("the steel mass is {} t", mass.round(2))
    believed = (mass > 0) & mass.is_between(*plausible)
    yield Rule(
        "mass implausible",
        ~believed,
        said,
        f"{plausible[0]:g} to {plausible[1]:g} t, as the mapping says"
        if math.isfinite(plausible[1])
        else "above 0 t",
    )
    usual = frame.select(mass.filter(believed).median()).item()
    if usual is not None:
        low, high = (round(share * usual, 1) for share in MASS_RANGE)
        yield Rule(
            "mass implausible",
            ~mass.is_between(low, high),
            said,
            f"{low:g} to {high:g} t, from the median {usual:g} t",
        )


def _balance(frame: pl.DataFrame, element: str) -> Iterator[Rule]:
    """The increment against what the weighed additions hold, for elements that mainly come from additions."""
    if element not in BALANCED or f"after.{element}" not in frame.columns:
        return
    given = pl.col(f"given.{element}")
    grade_usual = given.median().over("grade")
    tight = (given.quantile(0.05).over("grade") > 0.5 * grade_usual) & (
        given.quantile(0.95).over("grade") < 1.5 * grade_usual
    )
    unseen = pl.col(f"after.{element}").is_null()
    said = pl.format(
        f"the weighed additions hold {{}} wt % {element}, this grade's usually {{}}",
        given.round(3),
        grade_usual.round(3),
    )
    least, most = SOURCES
    yield Rule(
        f"no or double source of {element}",
        unseen & tight & ~given.is_between(least * grade_usual, most * grade_usual),
        said,
        f"{least:g} to {most:g} times what the grade usually gets, as no result tells otherwise",
    )
    usual = frame[f"after.{element}"].median()
    first_usual = frame[f"before.{element}"].median() if f"before.{element}" in frame.columns else None
    usual_given = frame[f"given.{element}"].median()
    if (
        not isinstance(usual, float)
        or not isinstance(usual_given, float)
        or usual_given < MAIN_SOURCE * usual
    ):
        return
    slack = SLACK_OF_MEDIAN * usual
    first = (
        pl.col(f"before.{element}")
        if f"before.{element}" in frame.columns
        else pl.lit(None, dtype=pl.Float64)
    )
    increment = pl.col(f"after.{element}") - first.fill_null(
        first_usual if isinstance(first_usual, float) else 0.0
    )
    share = frame.select((increment / given).filter(given > 0.5 * usual_given).median()).item()
    least_share = round(LEAST_OF_USUAL * min(share if isinstance(share, float) else 0.5, 1.0), 3)
    said = pl.format(
        f"{element} rose by {{}} wt %, the weighed additions hold {{}}", increment.round(3), given.round(3)
    )
    yield Rule(
        f"impossible balance of {element}",
        increment > RECOVERY_MOST * given + slack,
        said,
        f"at most {RECOVERY_MOST:g} x what was added + {slack:.3g} wt %",
    )
    yield Rule(
        f"impossible balance of {element}",
        increment < least_share * given - SLACK_OF_LEAST * usual - _burnt(frame, element),
        said,
        f"at least {least_share:g} x what was added - {SLACK_OF_LEAST * usual:.3g} wt %"
        + (", less what more oxygen than usual burns" if element in BURNT_PER_OXYGEN else ""),
    )


def _burnt(frame: pl.DataFrame, element: str) -> pl.Expr:
    """wt % of the element that the oxygen beyond this plant's usual can burn; none where not measured."""
    usual = frame["oxygen_ppm"].median() if "oxygen_ppm" in frame.columns else None
    if element not in BURNT_PER_OXYGEN or not isinstance(usual, float):
        return pl.lit(0.0)
    return (pl.col("oxygen_ppm") - usual).clip(0.0).fill_null(0.0) / 1e4 * BURNT_PER_OXYGEN[element]


def _rule(reason: str, breaks: pl.Expr, what: str, allowed: str) -> Rule:
    return Rule(reason, breaks, pl.lit(what), allowed)
