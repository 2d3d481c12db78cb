"""The recommender as a policy, in the simulator: what it saves, where from, what it knows, a bad lot.

Simulator history -> import -> train -> closed loop, all by the components' own commands. A model is trained
per plant, on line 0 of it; what is judged are other lines of the same plant (own lots, crews, wear), with the
grades' internal, narrow windows. Tapping and ladle furnace are played and judged apart, each in heats as they
come there when the steelmaker had them before; *both* adds the money of the two for the same heats.

Every policy plays the very same heats (common random numbers). Money is the cost of what was tipped plus
6,000 for each miss (of the truth), per tonne. Savings are in % of the other policy's money, with 95 %
intervals by resampling lines; over the 20 drawn parameter sets the median set and the range are shown. The
handbook rule plays at its best aim (chosen on other heats). The recommender and the informed optimum are told
the price of a miss and take what margin it is worth; over the frontier both are given a confidence instead.
The optima play some of the lines.

`SIZE=quick` (environment) is a small run to try the bench: its row *heats judged* says so, with its bar not
met.
"""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from bench import policy_figures as figures
from bench.closed_loops import ROOT, STATIONS, Bench, Done, Loop, Plant
from bench.policy_figures import ALL_KNOWING, CEILING, HANDBOOK, INFORMED, OURS, STEELMAKER, Figures

FOLDER = ROOT / "build" / "bench" / "policy"
SKIP, LOT_AFTER, LOT_HEATS = 32, 32, 40
"""Heats of a line before any is judged; then before the bad lot comes; and with it, nearly all of them with
SiMn."""
CONTROLLED = ("C", "Si", "Mn", "Cr", "V", "Mo", "Al")


class Size(NamedTuple):
    """How much is played: judged heats of each line, lines, past heats to train on."""

    seeds: tuple[int, ...]
    lines: int
    heats: int
    optimum_lines: int
    parameter_sets: int
    set_lines: int
    set_heats: int
    past_heats: int
    set_past_heats: int
    few_lines: int
    confidences: tuple[float, ...]


FULL = Size((7, 11, 23), 200, 104, 16, 20, 10, 64, 4000, 2000, 16, (0.9, 0.95, 0.98, 0.99, 0.995, 0.998))
QUICK = Size((7,), 12, 72, 6, 1, 4, 24, 2500, 2000, 8, (0.9, 0.98, 0.998))


def measure() -> Figures:
    """Everything; some twenty minutes on two cores at full size."""
    size = QUICK if os.environ.get("SIZE") == "quick" else FULL
    shutil.rmtree(FOLDER, ignore_errors=True)
    bench = Bench(FOLDER)
    bench.tell("QUICK run: too small to judge by" if size is QUICK else "full size")
    plants = [Plant(seed, 0) for seed in size.seeds]
    sets = [Plant(size.seeds[0], number) for number in range(1, size.parameter_sets + 1)]
    past = dict.fromkeys(plants, size.past_heats) | dict.fromkeys(sets, size.set_past_heats)
    bundles = bench.train(past)
    done = bench.play(_loops(size, plants, sets, bundles))
    return {
        **_money(size, done, plants),
        **_over_sets(done, sets),
        **_lot(done, plants[0]),
        **_frontiers(size, done),
        **_knowledge(done),
    }


def _loops(size: Size, plants: list[Plant], sets: list[Plant], bundles: dict[Plant, Path]) -> list[Loop]:
    """Everything that is played, the longest first."""
    first, loops = plants[0], []

    def add(
        name: str,
        plant: Plant,
        lines: int,
        heats: int,
        optimum_lines: int,
        *more: str,
        c: float | None = None,
    ) -> None:
        for station in STATIONS:
            sizes = (lines, SKIP + heats, SKIP, optimum_lines)
            loops.append(Loop(f"{name} {station}", plant, bundles[plant], station, *sizes, c, more))

    for plant in plants:
        add(f"seed {plant.seed}", plant, size.lines, size.heats, size.optimum_lines)
    bad = ("--scenario", f"simn-lot-low@{SKIP + LOT_AFTER + 1}")
    add("bad lot", first, size.lines, LOT_AFTER + LOT_HEATS, 0, *bad, "--alone")
    for confidence in size.confidences:
        add(f"confidence {confidence}", first, size.few_lines, 64, size.few_lines // 4, c=confidence)
    add("by chance", first, size.few_lines, 64, 0, "--randomised")
    for plant in sets:
        sizes = (size.set_lines, size.set_heats, size.set_lines)
        add(f"set {plant.parameter_set}", plant, *sizes)
    return loops


def _money(size: Size, done: dict[str, Done], plants: list[Plant]) -> Figures:
    found: Figures = {}
    tables = {
        station: figures.together([done[f"seed {p.seed} {station}"] for p in plants]) for station in STATIONS
    }
    judged = min(table.filter(table["policy"] == OURS).height for table in tables.values())
    found["heats judged at each station"] = ([float(judged)], "heats")
    for place, heats in {**tables, "both": figures.both(list(tables.values()))}.items():
        for name, other in (
            ("the steelmaker", STEELMAKER),
            ("the handbook at its best aim", HANDBOOK),
        ):
            found[f"{place}: money saved against {name}"] = (figures.saving(heats, other), "%")
        over = [-value for value in figures.saving(heats, INFORMED)]
        found[f"{place}: money above the informed optimum"] = (over, "%")
        found[f"{place}: regret to the all-knowing optimum"] = (figures.regret(heats), "EUR/t")
    for station, heats in tables.items():
        for part, share in figures.parts(heats).items():
            found[f"{station}: saved against the handbook {part}"] = (share, "%")
        for policy in (OURS, STEELMAKER, HANDBOOK, INFORMED, CEILING, ALL_KNOWING):
            found[f"{station}: in window, {policy}"] = (figures.rate(heats, policy), "%")
        by_sample = figures.rate(heats, OURS, "in_window_by_sample")
        found[f"{station}: in window by the final sample, {OURS}"] = (by_sample, "%")
        for policy in (OURS, STEELMAKER, HANDBOOK, INFORMED, ALL_KNOWING):
            found[f"{station}: money, {policy}"] = ([figures.per_tonne(heats, policy)], "EUR/t")
        for grade, rates in figures.by_grade(heats).items():
            found[f"{station}: in window, {grade}"] = ([rates[OURS]], "%")
            if CEILING in rates:
                found[f"{station}: ceiling of {grade}"] = ([rates[CEILING]], "%")
        given = [done[f"seed {p.seed} {station}"].summary for p in plants]
        share = 100 * sum(s["heats"] - s["advised"] for s in given) / sum(s["heats"] for s in given)
        found[f"{station}: heats without advice, handbook tipped"] = ([share], "%")
    return found


def _over_sets(done: dict[str, Done], sets: list[Plant]) -> Figures:
    found: Figures = {}
    tables = [
        [figures.together([done[f"set {plant.parameter_set} {station}"]]) for station in STATIONS]
        for plant in sets
    ]
    for place, of_sets in {
        **{station: [t[i] for t in tables] for i, station in enumerate(STATIONS)},
        "both": [figures.both(t) for t in tables],
    }.items():
        for name, other in (
            ("saved against the steelmaker", STEELMAKER),
            ("saved against the handbook at its best aim", HANDBOOK),
        ):
            values = [figures.saving(heats, other)[1] for heats in of_sets]
            found[f"{place}, drawn plants: money {name}"] = (values, "%")
        over = [-figures.saving(heats, INFORMED)[1] for heats in of_sets]
        found[f"{place}, drawn plants: money above the informed optimum"] = (over, "%")
        rates = [figures.rate(heats, OURS)[1] for heats in of_sets]
        found[f"{place}, drawn plants: in window, {OURS}"] = (rates, "%")
    return found


def _lot(done: dict[str, Done], plant: Plant) -> Figures:
    found: Figures = {}
    for station in STATIONS:
        usual = done[f"seed {plant.seed} {station}"]
        of = figures.lot(done[f"bad lot {station}"], usual, SKIP + LOT_AFTER + 1)
        found[f"{station}, bad lot: affected heats 11 to 30 against the rate before"] = (
            of["before"],
            "points",
        )
        found[f"{station}, bad lot: against the same heats without it"] = (of["same heats"], "points")
        found[f"{station}, bad lot: replays"] = (of["replays"], "replays")
    return found


def _frontiers(size: Size, done: dict[str, Done]) -> Figures:
    """For a plot of cost against in-window rate: over confidences, over aims, and single policies."""
    found: Figures = {}
    for station in STATIONS:
        points = figures.frontier({c: done[f"confidence {c} {station}"] for c in size.confidences})
        for (policy, at), (cost, rate) in points.items():
            found[f"{station}: frontier, {policy} at {at}, cost"] = ([cost], "EUR/t")
            found[f"{station}: frontier, {policy} at {at}, rate"] = ([rate], "%")
    return found


def _knowledge(done: dict[str, Done]) -> Figures:
    found: Figures = {}
    for station in STATIONS:
        loop = done[f"by chance {station}"]
        pairs = figures.effects(loop)
        near = sum(abs(float(pair["ratio"]) - 1) <= 0.2 for pair in pairs) / max(len(pairs), 1)
        found[f"{station}: pairs whose effect of 1 kg is within 20 %"] = ([near], "share")
        for pair in pairs:
            what = f"{station}: effect of 1 kg {pair['additive']} on {pair['element']}, predicted over true"
            found[what] = ([float(pair["ratio"])], "ratio")
        errors = figures.errors(loop, CONTROLLED)
        better = sum(e["model"] <= min(e["fixed"], e["rolling"]) for e in errors.values())
        what = (
            f"{station}: elements predicted no worse than by fixed or rolling recovery, kilograms by chance"
        )
        found[what] = ([better / max(len(errors), 1)], "share")
        for element, of in errors.items():
            what = f"{station}: error of {element} over the better of fixed and rolling recovery"
            found[what] = ([of["model"] / min(of["fixed"], of["rolling"])], "ratio")
    return found
