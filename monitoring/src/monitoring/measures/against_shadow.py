"""Champion against challenger on the same live heats: who was nearer to the result, and is that certain?

Both were asked the same question at the same moment, byte for byte; what they predicted is moved to the
kilograms that were weighed, by each one's own slopes. Per heat, over the elements that have a window:

    d = mean of (|error of live| - |error of shadow|) / (|error of live| + |error of shadow|),  in [-1, 1]

The verdict is a bet (Waudby-Smith & Ramdas, Estimating means of bounded random variables by betting, 2023):
wealth = mean over stakes s of product(1 + s d). While the shadow is not better, wealth is no more likely than
1 in 1/(1 - confidence) ever to reach that: so one may look after every heat and stop when it does.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import polars as pl

from monitoring.measures.treatments import ROW, TREATMENT, final_chemistry, in_force, unrolled

STAKES = tuple(n / 10 for n in range(1, 10))
CONFIDENCE = 0.99
LEAST_HEATS = 30
MOST_HEATS = 600
"""After so many a difference that matters would have shown."""

Verdict = Literal["shadow_better", "live_better", "undecided"]


class Against(NamedTuple):
    """A comparison as it stands; `verdict` None: not decided yet. Errors in standard deviations as the live
    model states them. `wealth_*` are the bets on either."""

    live_version: str | None
    live_bundle: str
    shadow_version: str | None
    shadow_bundle: str
    since_heat: str
    last_heat: str
    heats: int
    live_error_sd: float
    shadow_error_sd: float
    wealth_for_shadow: float
    wealth_for_live: float
    verdict: Verdict | None


def against_shadow(rows: pl.LazyFrame, shadows: pl.LazyFrame) -> Against | None:
    """Compare the newest pair of live and shadow bundle on the heats since both stand behind their addresses;
    None where there is no shadow, or no heat of it has a result yet.

    `rows` and `shadows` are one plant's, of the lake's tables; every revision may be among them.
    """
    said = shadows.unique("event_id").collect()
    if said.is_empty():
        return None
    heats = in_force(rows.collect())
    mine = (
        said.sort("made_at")
        .unique(TREATMENT, keep="last")
        .select(*TREATMENT, shadow="bundle_hash", shadow_version="model_version")
    )
    pairs = (
        heats.select(ROW, *TREATMENT, "heat_no", "completed_at", "model_version", live="weighed_bundle_hash")
        .join(mine, on=TREATMENT, how="left")
        .filter(pl.col("live").is_not_null())
        .sort("completed_at", ROW)
    )
    newest = pairs.filter(pl.col("shadow").is_not_null()).tail(1)
    if newest.is_empty():
        return None
    live, shadow = newest["live"][0], newest["shadow"][0]
    other = (pl.col("live") != live) | (pl.col("shadow") != shadow)
    begun = pairs.with_row_index("at").filter(other)["at"].max()
    of_pair = pairs.slice(0 if begun is None else int(str(begun)) + 1).filter(pl.col("shadow").is_not_null())
    errors = _errors(heats, said.filter(bundle_hash=shadow), of_pair)
    if errors.is_empty():
        return None
    wealth = {
        who: _wealth([sign * d for d in errors["d"]]) for who, sign in (("shadow", 1.0), ("live", -1.0))
    }
    verdict, heats_used = _verdict(wealth["shadow"], wealth["live"])
    used = errors.head(heats_used)
    live_versions = of_pair.filter(pl.col("model_version").is_not_null())["model_version"]
    return Against(
        live_versions[-1] if live_versions.len() else None,
        live,
        newest["shadow_version"][0],
        shadow,
        used["heat_no"][0],
        used["heat_no"][-1],
        heats_used,
        sum(used["live_sd"]) / heats_used,
        sum(used["shadow_sd"]) / heats_used,
        wealth["shadow"][heats_used - 1],
        wealth["live"][heats_used - 1],
        verdict,
    )


def sentence(against: Against) -> str:
    """The comparison in words."""
    live, shadow = (f"version {v or '?'}" for v in (against.live_version, against.shadow_version))
    change = 100 * (against.shadow_error_sd / against.live_error_sd - 1) if against.live_error_sd else 0.0
    on = f"On {against.heats} live heats since {against.since_heat}"
    size = f"its error was {abs(change):.0f} % {'smaller' if change < 0 else 'larger'}"
    match against.verdict:
        case "shadow_better":
            return f"{on} {shadow}, in shadow, was nearer to the result than {live}: {size}."
        case "live_better":
            return f"{on} {shadow}, in shadow, was further from the result than {live}: {size}."
        case "undecided":
            return f"{on} {shadow}, in shadow, and {live} were alike."
        case None:
            return f"{on} {shadow} in shadow is compared with {live}: {size} so far; not certain yet."


def _errors(heats: pl.DataFrame, said: pl.DataFrame, of_pair: pl.DataFrame) -> pl.DataFrame:
    """One row per heat that both predicted and that has a result, oldest first: `d`, `live_sd`,
    `shadow_sd`."""
    treatments = heats.filter(pl.col(ROW).is_in(of_pair[ROW].implode())).lazy()
    numbered = (
        said.sort("made_at")
        .unique(TREATMENT, keep="last", maintain_order=True)
        .join(of_pair.select(ROW, *TREATMENT), on=TREATMENT)
        .lazy()
    )
    weighed = (
        unrolled(treatments, "weighed").group_by(ROW, "additive").agg(weighed_kg=pl.col("added_kg").sum())
    )
    advised = (
        unrolled(numbered, "recommended").group_by(ROW, "additive").agg(advised_kg=pl.col("added_kg").sum())
    )
    moved = (
        weighed.join(advised, on=[ROW, "additive"], how="full", coalesce=True)
        .select(ROW, "additive", kg=pl.col("weighed_kg").fill_null(0.0) - pl.col("advised_kg").fill_null(0.0))
        .join(unrolled(numbered, "slopes"), on=[ROW, "additive"])
        .group_by(ROW, "element")
        .agg(moved_pct=(pl.col("kg") * pl.col("pct_per_kg")).sum())
    )
    shadow = (
        unrolled(numbered, "predicted")
        .join(moved, on=[ROW, "element"], how="left")
        .select(ROW, "element", shadow_pct=pl.col("predicted_pct") + pl.col("moved_pct").fill_null(0.0))
    )
    then = unrolled(treatments, "recommended_predicted").select(ROW, "element", then_pct="correction_pct")
    live = (
        unrolled(treatments, "weighed_predicted")
        .join(then, on=[ROW, "element"], how="left")  # the slow state as it was when both were asked
        .select(
            ROW, "element", "sd_pct",
            live_pct=pl.col("base_pct") + pl.col("then_pct").fill_null(pl.col("correction_pct")),
        )
    )  # fmt: skip
    wanted = unrolled(treatments, "windows").select(ROW, "element").unique()
    result = final_chemistry(treatments).drop_nulls("pct").select(ROW, "element", "pct")
    of_live, of_shadow = ((pl.col(name) - pl.col("pct")).abs() for name in ("live_pct", "shadow_pct"))
    both = of_live + of_shadow
    return (
        result.join(live, on=[ROW, "element"])
        .join(shadow, on=[ROW, "element"])
        .join(wanted, on=[ROW, "element"])
        .filter(pl.col("sd_pct") > 0)
        .group_by(ROW)
        .agg(
            pl.when(both > 0).then((of_live - of_shadow) / both).otherwise(0.0).mean().alias("d"),
            (of_live / pl.col("sd_pct")).mean().alias("live_sd"),
            (of_shadow / pl.col("sd_pct")).mean().alias("shadow_sd"),
        )
        .join(of_pair.lazy().select(ROW, "heat_no", "completed_at"), on=ROW)
        .sort("completed_at", ROW)
        .collect()
    )


def _wealth(d: Sequence[float]) -> list[float]:
    """Of the bet that the mean of `d` is above 0, after each heat."""
    pots, grown = [1.0 / len(STAKES)] * len(STAKES), []
    for one in d:
        pots = [pot * (1 + stake * one) for pot, stake in zip(pots, STAKES, strict=True)]
        grown.append(sum(pots))
    return grown


def _verdict(for_shadow: Sequence[float], for_live: Sequence[float]) -> tuple[Verdict | None, int]:
    """The first verdict that was certain, and after how many heats; None and all of them where none is."""
    enough = 1 / (1 - CONFIDENCE)
    for n in range(LEAST_HEATS, min(len(for_shadow), MOST_HEATS) + 1):
        if max(for_shadow[:n]) >= enough:
            return "shadow_better", n
        if max(for_live[:n]) >= enough:
            return "live_better", n
    return ("undecided", MOST_HEATS) if len(for_shadow) >= MOST_HEATS else (None, len(for_shadow))
