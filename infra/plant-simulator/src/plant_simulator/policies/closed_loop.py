"""A recommender from outside in the loop: it advises many lines step by step and lives with what comes of it.

Each step every line's heat is asked about, the advice is tipped, do(Y) tells the truth, and the result comes
back as late as results do, for the advice of the next heats. A recommender that abstains gets the handbook
rule tipped instead. The reference policies play the very same heats, from the same chance.

Where the saving against the handbook comes from is told by policies between the two, all with the handbook's
choice of alloys: `<aim>/<knowledge>`. The aim is the handbook's best (a fraction of each window, or the
grades' own, whichever does better on other heats), or where the recommender's advice would land; kilograms
follow from nominal recoveries, or from what the recommender predicts of them.

Written: `heats.parquet` (a row per heat and policy: kilograms, cost, truth), `answers.parquet` (a row per
heat: what was predicted for what was weighed, and what was measured), `summary.json`.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plant_simulator import handbook, options, scenarios, steelmaker
from plant_simulator.bulk import Block, View, simulate
from plant_simulator.catalogue import MISS_PRICE, STATIONS, TAPPING, Catalogue
from plant_simulator.elements import AL, ELEMENTS, Booleans, Floats
from plant_simulator.instruments import ObservedHeats
from plant_simulator.line import Heats
from plant_simulator.parameters import Parameters
from plant_simulator.policies import frontier, reference, scenes
from plant_simulator.policies.cases import (
    Cases,
    Outcome,
    do,
    part_of,
    score,
    windows_of,
)
from plant_simulator.policies.randomised import randomised
from plant_simulator.policies.recommender import Advice, Desk, Recommender, moved
from plant_simulator.policies.slopes import Slopes
from plant_simulator.tables import rows, stack

TUNING_SEED, TUNING_LINES, TUNING_HEATS = 900_001, 32, 96
LINES_AT_ONCE = 32
"""A recommender that remembers the last thousand heats reads none of them twice (30 of each line come again
with every request)."""
RECOMMENDER, BEST_AIM = "recommender", "handbook at its best aim"
CORNERS = {
    (False, True): "handbook's aim/recommender's knowledge",
    (True, False): "recommender's aim/handbook's knowledge",
    (True, True): "recommender's aim/recommender's knowledge",
}
KNOWLEDGE_ROUNDS, MOST_LESS_PCT, LEAST_SOURCE_PCT = 4, 0.05, 5.0


class Loop(NamedTuple):
    """What is played. The first `skip` heats of each line are played and not judged: a plant has a past. The
    optima, which take long, play the first `optimum_lines` lines, and so does the handbook over its aims.
    Every heat tells the recommender what a miss costs; where a `confidence` is given, that goes into every
    request instead, and the informed optimum keeps it too. Alone: no other policy plays.
    """

    scene: scenes.Scene
    station: str
    first_line: int
    lines: int
    heats_per_line: int
    skip: int
    confidence: float | None
    miss_price: float
    optimum_lines: int
    is_randomised: bool
    is_alone: bool


class Played(NamedTuple):
    """One block: the steelmaker's cases, what was advised, and what came of it."""

    cases: Cases
    advice: Advice
    outcome: Outcome


def play(plant: Catalogue, p: Parameters, loop: Loop, desk: Desk) -> Iterator[Played]:
    """The recommender's heats, block by block."""
    names, scene = list(range(loop.first_line, loop.first_line + loop.lines)), loop.scene
    figures = scenes.figures_of(p, scene)
    begun = [] if scene.scenario == scenes.NONE else scene.scenario.split(",")
    change = scenarios.change(plant, [scenarios.parse(name) for name in begun])
    by_chance = randomised(plant, figures, scene.seed) if loop.is_randomised else None
    given, late = list[Advice](), [np.zeros(loop.lines, dtype=np.bool_)]

    def noting_late(heats: Heats) -> Heats:
        changed = heats if change is None else change(heats)
        told = changed.reporting.tapping if loop.station == TAPPING else changed.reporting.ladle
        late.extend(told.is_late.reshape(-1, loop.lines))
        return changed

    def policy(view: View, step: int) -> Floats:
        if view.station != loop.station:
            return view.own_kg
        advice = desk.ask(view, step, late[step])
        given.append(advice)
        if by_chance is not None:
            return by_chance(view, step)
        rule = by_rule(plant, figures, loop.station, view.heats, aims_of(plant, loop.station, view.heats))
        return np.where(advice.is_given[:, None], advice.kg, rule)

    blocks = simulate(plant, figures, scene.seed, names, loop.heats_per_line, policy, noting_late)
    others = scenes.cases_of(plant, p, scene, loop.station, names, loop.heats_per_line)
    for cases, block in zip(others, blocks, strict=True):
        advice = stack(given)
        given.clear()
        yield Played(cases, advice, _outcome(block, loop.station))


def aims_of(plant: Catalogue, station: str, seen: ObservedHeats, fraction: float | None = None) -> Floats:
    """The handbook's aims (heat, element): the grades' own, or at a fraction of each window, as
    `reference.handbook_rule` has them.
    """
    low, aim, high = (bound[seen.grade, seen.is_al_killed] for bound in plant.bounds(station))
    aim = handbook.aims(low, aim, high)
    if fraction is None:
        return aim
    at = low + fraction * (high - low)
    if station == TAPPING:
        at[:, AL] = np.nan
    return np.where(np.isnan(at), aim, at)


def by_rule(
    plant: Catalogue,
    p: Parameters,
    station: str,
    seen: ObservedHeats,
    aim_pct: Floats,
    advice: Advice | None = None,
) -> Floats:
    """What the handbook rule tips to reach these aims: by nominal recoveries and the first analysis, or by
    what the recommender says of nothing added and of a kilogram more.
    """
    recovery, assumed = plant.nominal(station)
    of = seen.grade, seen.is_al_killed
    now, recovery, mass_t = (
        steelmaker.contents(plant, station, seen),
        recovery[of],
        steelmaker.believed_mass_t(p, seen),
    )
    if advice is not None:
        thrown_pct = np.where(advice.slope > 0, seen.certificate_pct, 0.0) / (1000 * mass_t[:, None, None])
        thrown_pct = np.where(seen.certificate_pct > LEAST_SOURCE_PCT, thrown_pct, 0.0)
        gained_pct = np.where(thrown_pct > 0, advice.slope, 0.0).sum(axis=1)
        thrown = thrown_pct.sum(axis=1)
        recovery = np.divide(gained_pct, thrown, out=recovery.copy(), where=thrown > 0)
        nothing = moved(advice.predicted_pct, advice, np.zeros_like(advice.kg))
        now = np.where(np.isnan(nothing), now, nothing)
    return handbook.work_out(
        rule=handbook.Rule(plant.steps(station), recovery, assumed[of]),
        elements=ELEMENTS,
        additives=plant.additive_names,
        now_pct=now,
        aim_pct=aim_pct,
        steel_mass_t=mass_t,
        offers=steelmaker.offers(plant, seen, np.ones_like(seen.is_offered)),
    ).added_kg


def by_knowledge(
    plant: Catalogue, p: Parameters, station: str, seen: ObservedHeats, aim_pct: Floats, advice: Advice
) -> Floats:
    """What the same rule tips where the recommender tells it where the heat would land: it is asked for a
    little more or less until that is the aim.
    """
    kg, asked = by_rule(plant, p, station, seen, aim_pct, advice), aim_pct
    for _ in range(KNOWLEDGE_ROUNDS):
        off = aim_pct - moved(advice.predicted_pct, advice, kg)
        asked = asked + np.where(np.isnan(off) | ((off < 0) & (asked < aim_pct - MOST_LESS_PCT)), 0.0, off)
        kg = by_rule(plant, p, station, seen, asked, advice)
    return kg


def best_aim_of(plant: Catalogue, p: Parameters, loop: Loop) -> float | None:
    """The fraction of each window at which the handbook's cost and misses are least, on other heats; None
    where the grades' own aims do better still.
    """
    tuning, figures = scenes.Scene(TUNING_SEED, loop.scene.parameter_set), scenes.figures_of(p, loop.scene)
    others = list(scenes.cases_of(plant, p, tuning, loop.station, TUNING_LINES, TUNING_HEATS))
    fraction = frontier.tuned_aim(plant, figures, others, None, loop.miss_price)
    both = {"fraction": reference.handbook_rule(fraction), "own": reference.handbook_rule()}
    at_fraction, at_own = frontier.compare(plant, figures, others, both, loop.miss_price)
    return fraction if at_fraction.total_per_t <= at_own.total_per_t else None


def kilograms(
    plant: Catalogue, p: Parameters, loop: Loop, played: Played, best_aim: float | None
) -> dict[str, Floats]:
    """What every policy but the optima tips in these heats."""
    cases, advice, seen = played.cases, played.advice, played.cases.observed
    own, best = aims_of(plant, loop.station, seen), aims_of(plant, loop.station, seen, best_aim)
    lands = np.where(np.isnan(advice.predicted_pct), best, advice.predicted_pct)
    lands = np.where(np.isnan(best), np.nan, lands)
    found = {
        RECOMMENDER: played.outcome.decided_kg,
        reference.STEELMAKER: cases.steelmaker_kg,
        reference.HANDBOOK: by_rule(plant, p, loop.station, seen, own),
        BEST_AIM: by_rule(plant, p, loop.station, seen, best),
    }
    for (is_own_aim, knows), name in CORNERS.items():
        aim = lands if is_own_aim else best
        told = (
            by_knowledge(plant, p, loop.station, seen, aim, advice)
            if knows
            else by_rule(plant, p, loop.station, seen, aim)
        )
        found[name] = np.where(advice.is_given[:, None], told, played.outcome.decided_kg)
    return found


def optima(loop: Loop) -> dict[str, reference.Policy]:
    """The reference optima; the informed one takes its margins as the recommender is asked to: by the price
    of a miss, or for a confidence.
    """
    price = loop.miss_price
    known = (reference.ALL_KNOWING, reference.CEILING)
    found = {name: frontier.named(name, None, None, price) for name in known}
    return found | {reference.INFORMED: frontier.named(reference.INFORMED, None, loop.confidence, price)}


def heats_table(plant: Catalogue, cases: Cases, policy: str, outcome: Outcome, miss_price: float) -> pa.Table:
    """A row per heat: what a policy tipped, what it cost, what came of it in truth and by the sample."""
    found, truth = score(plant, cases, outcome), outcome.results.chemistry_pct
    low, high = windows_of(plant, cases)
    short, over = truth < low - 1e-9, truth > high + 1e-9
    missed = [
        " ".join(
            [*(f"{ELEMENTS[e]}-" for e in np.flatnonzero(s)), *(f"{ELEMENTS[e]}+" for e in np.flatnonzero(o))]
        )
        for s, o in zip(short, over, strict=True)
    ]
    columns: dict[str, Any] = {
        "policy": pa.array([policy] * len(cases), pa.string()),
        **_keys(plant, cases),
        "steel_mass_t": found.steel_mass_t,
        "cost": found.cost,
        "total_per_t": found.total_per_t(miss_price),
        "in_window": found.in_window,
        "in_window_by_sample": found.in_window_by_sample,
        "missed": pa.array(missed, pa.string()),
    }
    for j, additive in enumerate(plant.additive_names):
        columns[f"tipped_kg_{additive}"] = outcome.tipped_kg[:, j]
    for e, element in enumerate(ELEMENTS):
        columns[f"true_pct_{element}"] = truth[:, e]
    return pa.table(columns)


def answers_table(plant: Catalogue, p: Parameters, loop: Loop, played: Played) -> pa.Table:
    """A row per heat: what was predicted for what was weighed (wt %), and what was measured; added by
    certificate and read mass. NaN as null.
    """
    cases, advice, seen = played.cases, played.advice, played.cases.observed
    weighed, result = played.outcome.observed.weighed_kg, played.outcome.observed
    low, high = windows_of(plant, cases)
    added = np.einsum("na,nae->ne", weighed, seen.certificate_pct)
    added /= 1000 * steelmaker.believed_mass_t(p, seen)[:, None]
    tables = {
        "low_pct": low,
        "high_pct": high,
        "first_pct": steelmaker.contents(plant, loop.station, seen),
        "added_pct": added,
        "nominal_recovery": plant.nominal(loop.station)[0][seen.grade, seen.is_al_killed],
        "base_pct": moved(advice.base_pct, advice, weighed),
        "predicted_pct": moved(advice.predicted_pct, advice, weighed),
        "half_pct": advice.half_pct,
        "measured_pct": np.where(result.is_below, np.nan, result.chemistry_pct),
        "true_pct": played.outcome.results.chemistry_pct,
    }
    columns: dict[str, Any] = {**_keys(plant, cases), "is_given": advice.is_given}
    for name, values in tables.items():
        for e, element in enumerate(ELEMENTS):
            columns[f"{name}_{element}"] = pa.array(np.ascontiguousarray(values[:, e]), from_pandas=True)
    return pa.table(columns)


def run(
    plant: Catalogue, p: Parameters, loop: Loop, command: str, output: Path, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Play, write the two tables and the summary, and return it."""
    begun, figures = time.perf_counter(), scenes.figures_of(p, loop.scene)
    best_aim = None if loop.is_randomised or loop.is_alone else best_aim_of(plant, p, loop)
    output.mkdir(parents=True, exist_ok=True)
    judged, given, slopes, reasons = 0, 0, Slopes(plant), Counter[str]()
    writers: dict[str, pq.ParquetWriter] = {}
    with Recommender(command) as recommender:
        for block in _groups(plant, p, loop, recommender, reasons):
            part = rows_of(block, block.cases.observed.heat_no > loop.skip)
            if not len(part.cases):
                continue
            judged, given = judged + len(part.cases), given + int(part.advice.is_given.sum())
            slopes.add(figures, part.cases, part.outcome, part.advice)
            for name, table in _tables(plant, figures, loop, part, best_aim):
                if name not in writers:
                    writers[name] = pq.ParquetWriter(output / f"{name}.parquet", table.schema)
                writers[name].write_table(table)
            tell(f"{judged} heats judged, {time.perf_counter() - begun:.0f} s")
    for writer in writers.values():
        writer.close()
    summary = {
        **loop.scene._asdict(),
        **{k: v for k, v in loop._asdict().items() if k != "scene"},
        "heats": judged,
        "advised": given,
        "reasons": dict(reasons),
        "handbook_best_aim": best_aim,
        "slopes": slopes.found(),
        "seconds": time.perf_counter() - begun,
    }
    (output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary


def _groups(
    plant: Catalogue, p: Parameters, loop: Loop, recommender: Recommender, reasons: Counter[str]
) -> Iterator[Played]:
    """Every block of some lines after the other; a line's heats are the same whatever others are played."""
    end = loop.first_line + loop.lines
    for first in range(loop.first_line, end, LINES_AT_ONCE):
        some = loop._replace(first_line=first, lines=min(LINES_AT_ONCE, end - first))
        desk = Desk(plant, recommender, loop.station, some.lines, loop.confidence, loop.miss_price)
        yield from play(plant, p, some, desk)
        reasons.update(desk.reasons)


def rows_of(played: Played, index: Booleans) -> Played:
    """Some of the heats."""
    return Played(part_of(played.cases, index), rows(played.advice, index), rows(played.outcome, index))


def _tables(
    plant: Catalogue, figures: Parameters, loop: Loop, part: Played, best_aim: float | None
) -> Iterator[tuple[str, pa.Table]]:
    yield "answers", answers_table(plant, figures, loop, part)
    if loop.is_randomised:
        return
    if loop.is_alone:
        yield "heats", heats_table(plant, part.cases, RECOMMENDER, part.outcome, loop.miss_price)
        return
    for name, kg in kilograms(plant, figures, loop, part, best_aim).items():
        outcome = part.outcome if name == RECOMMENDER else do(plant, figures, part.cases, kg)
        yield "heats", heats_table(plant, part.cases, name, outcome, loop.miss_price)
    few = part_of(part.cases, part.cases.observed.line < loop.first_line + loop.optimum_lines)
    over_aims = {f"{reference.HANDBOOK} at {aim:g}": reference.handbook_rule(aim) for aim in frontier.AIMS}
    for name, policy in {**optima(loop), **over_aims}.items() if len(few) else ():
        outcome = do(plant, figures, few, policy(plant, figures, few))
        yield "heats", heats_table(plant, few, name, outcome, loop.miss_price)


def _outcome(block: Block, station: str) -> Outcome:
    here = block.tapping if station == TAPPING else block.ladle
    truth = block.tapped if station == TAPPING else block.treated.metal
    return Outcome(here.decided_kg, here.tipped_kg, truth, here.after)


def _keys(plant: Catalogue, cases: Cases) -> dict[str, Any]:
    seen = cases.observed
    grades = [plant.grades[g].grade for g in seen.grade.tolist()]
    return {"line": seen.line, "heat_no": seen.heat_no, "grade": pa.array(grades, pa.string())}


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command to the simulator's command line."""
    command = commands.add_parser(
        "closed-loop",
        parents=[shared],
        help="let an outside recommender (a command: JSON lines in and out) advise many lines, and judge it",
    )
    options.option(command, "--recommender", required=True, help="e.g. 'model-service stream --bundle DIR'")
    options.option(command, "--station", default=TAPPING, choices=STATIONS, help="(default: %(default)s)")
    for name, default, what in (
        ("--first-line", 1, "the first line that is played"),
        ("--lines", 16, "lines, side by side"),
        ("--heats-per-line", 128, "heats of each"),
        ("--skip", 32, "heats at the beginning of each line that are played, not judged"),
        ("--optimum-lines", 16, "lines that the optima play too"),
    ):
        options.option(command, name, type=int, default=default, help=f"{what} (default: %(default)s)")
    options.option(command, "--confidence", type=float, help="in every request, instead of a price of misses")
    options.option(
        command,
        "--miss-price",
        type=float,
        default=MISS_PRICE,
        help="per miss (default: %(default)s)",
    )
    command.add_argument(
        "--randomised",
        action="store_true",
        help="tip kilograms that depend on no reading instead of the advice: for judging predictions",
    )
    command.add_argument("--alone", action="store_true", help="play no other policy beside the recommender")
    options.option(command, "--output", type=Path, required=True, help="folder")
    options.scenario(command)
    options.parameter_set(command)
    command.set_defaults(run=_closed_loop)


def _closed_loop(given: argparse.Namespace) -> None:
    plant, figures = options.plant_of(given)
    loop = Loop(
        scene=scenes.named(given.seed, options.started(given)),
        station=given.station,
        first_line=given.first_line,
        lines=given.lines,
        heats_per_line=given.heats_per_line,
        skip=given.skip,
        confidence=given.confidence,
        miss_price=given.miss_price,
        optimum_lines=given.optimum_lines,
        is_randomised=given.randomised,
        is_alone=given.alone,
    )

    def tell(line: str) -> None:
        sys.stderr.write(f"closed-loop: {line}\n")

    run(plant, figures, loop, given.recommender, given.output, tell)
    sys.stdout.write(f"heats.parquet, answers.parquet, summary.json in {given.output}\n")
