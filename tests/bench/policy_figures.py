"""Figures of closed loops: money, in-window rates, where a saving comes from, effects, errors, a bad lot."""

from collections.abc import Mapping, Sequence

import polars as pl

from bench.closed_loops import Done
from bench.resampling import interval

Figures = dict[str, tuple[list[float], str]]
"""What was measured: [low, value, high] of a 95 % interval, or the values of several plants; and the unit."""

OURS, STEELMAKER, HANDBOOK = "recommender", "steelmaker", "handbook at its best aim"
INFORMED, CEILING, ALL_KNOWING = "informed", "ceiling", "all-knowing"
THEIR_AIM_OUR_KNOWLEDGE = "handbook's aim/recommender's knowledge"
OUR_AIM_THEIR_KNOWLEDGE = "recommender's aim/handbook's knowledge"
OUR_AIM_OUR_KNOWLEDGE = "recommender's aim/recommender's knowledge"
AT_AIM = "handbook at 0"
KEYS = ["run", "line", "heat_no"]
FIRST_AFFECTED, LAST_AFFECTED = 12, 31
ROLLING_HEATS, LEAST_ROLLING, LEAST_HEATS = 50, 10, 50
LEAST_SHARE = 0.1


def together(runs: Sequence[Done]) -> pl.DataFrame:
    """The heats of several runs (seeds, or stations) of one kind."""
    return pl.concat(
        done.heats()
        .select("policy", "line", "heat_no", "grade", "total_per_t", "in_window", "in_window_by_sample")
        .with_columns(run=pl.lit(i))
        for i, done in enumerate(runs)
    )


def both(stations: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The same heats at both stations: money of the two together; in window where both are."""
    keys = ["policy", *KEYS, "grade"]
    every = (
        pl.concat(stations)
        .group_by(keys, maintain_order=True)
        .agg(
            pl.col("total_per_t").sum(),
            pl.col("in_window", "in_window_by_sample").all(),
            stations=pl.len(),
        )
    )
    return every.filter(pl.col("stations") == len(stations)).drop("stations")


def saving(heats: pl.DataFrame, other: str) -> list[float]:
    """How much less cost and misses are than another policy's, %, on the heats that both played."""
    return interval(_sums(heats, OURS, other), lambda sums: 100 * (1 - sums[0] / sums[1]))


def regret(heats: pl.DataFrame) -> list[float]:
    """Cost and misses above the all-knowing optimum's, money per tonne."""
    groups = _sums(heats, OURS, ALL_KNOWING, counted=True)
    return interval(groups, lambda sums: (sums[0] - sums[1]) / sums[2])


def per_tonne(heats: pl.DataFrame, policy: str) -> float:
    """Mean cost and misses of a policy, money per tonne."""
    found = heats.filter(pl.col("policy") == policy)["total_per_t"].mean()
    assert isinstance(found, float)
    return found


def parts(heats: pl.DataFrame) -> dict[str, list[float]]:
    """The saving against the handbook at its best aim, % of its cost and misses, in parts that add up to it.

    Between the two stand policies that choose alloys as the handbook does, and differ in where they aim (the
    handbook's best aim, or where the recommendation would land) and in what they know (nominal recoveries, or
    the model's prediction). *Knowledge*: the handbook's aim, reached by the model's prediction. *Aiming*:
    then also the recommendation's aim. *Alloys*: what is left, the cheapest alloys instead of the rule's,
    whole bags included. In this order, because aiming at the edge without knowing where one lands does not
    pay: the last figure shows what that alone would save.
    """
    corners = (HANDBOOK, THEIR_AIM_OUR_KNOWLEDGE, OUR_AIM_OUR_KNOWLEDGE, OURS, OUR_AIM_THEIR_KNOWLEDGE)
    groups = _sums(heats, *corners)
    return {
        "by knowing recoveries better": interval(groups, lambda s: 100 * (s[0] - s[1]) / s[0]),
        "by aiming nearer the edge, knowing that": interval(groups, lambda s: 100 * (s[1] - s[2]) / s[0]),
        "by the choice of alloys": interval(groups, lambda s: 100 * (s[2] - s[3]) / s[0]),
        "by aiming nearer the edge alone": interval(groups, lambda s: 100 * (s[0] - s[4]) / s[0]),
    }


def rate(heats: pl.DataFrame, policy: str, by: str = "in_window") -> list[float]:
    """In-window rate of a policy, %."""
    found = heats.filter(pl.col("policy") == policy).group_by("run", "line", maintain_order=True)
    groups = found.agg(pl.col(by).sum().cast(pl.Float64), pl.len().cast(pl.Float64)).select(by, "len").rows()
    return interval(groups, lambda sums: 100 * sums[0] / sums[1])


def by_grade(heats: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Per grade in-window rates (%, truth) of every policy on the heats it played, and our heats. The ceiling
    knows all of a heat but its first chemistry, of which it has the sample, and spends whatever lands it.
    """
    rows = heats.group_by("grade", "policy").agg(pl.col("in_window").mean() * 100, pl.len()).sort("grade")
    found: dict[str, dict[str, float]] = {}
    for grade, policy, share, count in rows.iter_rows():
        found.setdefault(grade, {})[policy] = share
        if policy == OURS:
            found[grade]["heats"] = count
    return found


def frontier(of_confidence: Mapping[float, Done]) -> dict[tuple[str, str], tuple[float, float]]:
    """(policy, confidence or aim) to mean cost of additives (money per tonne) and in-window rate (%, truth),
    on the lines that the optima played.
    """
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for confidence, done in of_confidence.items():
        heats = done.heats().with_columns(cost_per_t=pl.col("cost") / pl.col("steel_mass_t"))
        few = heats.filter(
            pl.col("line").is_in(heats.filter(pl.col("policy") == INFORMED)["line"].unique().implode())
        )
        means = few.group_by("policy").agg(pl.col("cost_per_t").mean(), pl.col("in_window").mean() * 100)
        of = {policy: (cost, rate) for policy, cost, rate in means.rows()}
        found |= {(OURS, f"{confidence:g}"): of[OURS], (INFORMED, f"{confidence:g}"): of[INFORMED]}
        aims = {name.rsplit(" ", 1)[1]: point for name, point in of.items() if name.startswith(AT_AIM)}
        found |= {("handbook", aim): point for aim, point in aims.items()}
    return found


def lot(bad: Done, usual: Done, start_heat: int) -> dict[str, list[float]]:
    """In-window (points) of the affected heats 11 to 30 after the first result of one came back, minus the
    rate before; and minus the rate of the very same heats without the bad lot.

    Affected: SiMn of the lot was tipped. A result is there before the next heat begins in all but 3 % of
    heats, so the first heat that can know is the second affected one. Before: heats with SiMn before the lot.
    """
    heats, twin = (done.heats().filter(pl.col("policy") == OURS) for done in (bad, usual))
    with_simn = heats.filter(pl.col("tipped_kg_SiMn") > 0).sort("line", "heat_no")
    is_after = pl.col("heat_no") >= start_heat
    numbered = with_simn.filter(is_after).with_columns(
        number=pl.col("heat_no").cum_count().over("line"),
    )
    judged = numbered.filter(pl.col("number").is_between(FIRST_AFFECTED, LAST_AFFECTED))
    same = judged.select("line", "heat_no").join(twin, on=["line", "heat_no"], how="inner")
    tables = (judged, with_simn.filter(~is_after), same)
    sums = [
        t.group_by("line").agg(pl.col("in_window").sum().cast(pl.Float64), pl.len().cast(pl.Float64))
        for t in tables
    ]
    joined = sums[0].join(sums[1], on="line", suffix="_before").join(sums[2], on="line", suffix="_same")
    groups = joined.sort("line").drop("line").rows()
    return {
        "before": interval(groups, lambda s: 100 * (s[0] / s[1] - s[2] / s[3])),
        "same heats": interval(groups, lambda s: 100 * (s[0] / s[1] - s[4] / s[5])),
        "replays": [float(len(groups))],
    }


def effects(done: Done) -> list[dict[str, float | str]]:
    """The pairs that matter by the data: the additive brought a tenth or more of the element (no less than
    that), which has a window, in 50 heats or more. `ratio` is the predicted effect of 1 kg over the finite
    difference of do(Y).
    """
    found = done.summary["slopes"]
    return [p for p in found if p["share_of_element"] >= LEAST_SHARE and p["heats"] >= LEAST_HEATS]


def errors(done: Done, elements: Sequence[str]) -> dict[str, dict[str, float]]:
    """Mean absolute error (wt %) where kilograms were by chance: of the prediction, of the handbook's fixed
    recovery, and of the rolling recovery (median of the line's last 50 heats in which enough was added).
    """
    answers, found = done.answers().sort("line", "heat_no"), {}
    for e in elements:
        added, first = pl.col(f"added_pct_{e}"), pl.col(f"first_pct_{e}")
        measured, nominal = pl.col(f"measured_pct_{e}"), pl.col(f"nominal_recovery_{e}")
        heats = answers.filter(measured.is_not_null() & pl.col(f"predicted_pct_{e}").is_not_null())
        heats = heats.filter(first.is_not_null() & (added > 0))
        if heats.height < LEAST_HEATS:
            continue
        tells = added > 0.3 * added.median()
        seen = pl.when(tells).then((measured - first) / added)
        rolling = seen.rolling_median(ROLLING_HEATS, min_samples=LEAST_ROLLING).shift(1).forward_fill()
        heats = heats.with_columns(rolling=rolling.over("line").fill_null(nominal))
        errors = heats.select(
            model=(measured - pl.col(f"predicted_pct_{e}")).abs().mean(),
            fixed=(measured - first - nominal * added).abs().mean(),
            rolling=(measured - first - pl.col("rolling") * added).abs().mean(),
        )
        found[e] = {name: float(value) for name, value in errors.row(0, named=True).items()}
    return found


def _sums(heats: pl.DataFrame, *policies: str, counted: bool = False) -> list[tuple[float, ...]]:
    """Per run and line the sums of money per tonne of each policy, over the heats that all of them played."""
    wide = heats.filter(pl.col("policy").is_in(policies)).pivot("policy", index=KEYS, values="total_per_t")
    wide = wide.drop_nulls()
    sums = wide.group_by("run", "line", maintain_order=True).agg(
        *(pl.col(name).sum() for name in policies), pl.len().cast(pl.Float64)
    )
    names = [*policies, "len"] if counted else list(policies)
    return sums.select(names).rows()
