"""Commands of the reference side: `do`, `randomised`, `policy`, `bench`."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plant_simulator import archive, catalogue, options
from plant_simulator.catalogue import STATIONS, TAPPING
from plant_simulator.policies import closed_loop, do, frontier, reference, scenes, speed, sweep
from plant_simulator.policies.randomised import randomised

LINES, TUNING_SEED, TUNING_HEATS = 16, 900_001, 64


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add them to the simulator's command line, with its shared options."""
    command = commands.add_parser(
        "do", parents=[shared], help="what becomes of given heats with given additions: Parquet in and out"
    )
    keys = "seed, heat_no[, line, station, scenario, parameter_set]"
    options.option(command, "--heats", type=Path, required=True, help=f"Parquet: {keys}")
    options.option(
        command,
        "--additions",
        type=Path,
        required=True,
        help=f"Parquet: {keys}, additive, decided_kg[, policy]",
    )
    options.option(
        command, "--output", type=Path, required=True, help="Parquet: truth and measurement of each treatment"
    )
    command.set_defaults(run=_do)

    command = commands.add_parser(
        "randomised",
        parents=[shared],
        help="write heats whose kilograms do not depend on their chemistry, as Parquet: for judging models",
    )
    options.option(
        command,
        "--heats",
        type=options.positive,
        default=2048,
        help="in whole lines of --lines (default: %(default)s)",
    )
    options.option(command, "--lines", type=options.positive, default=LINES, help="(default: %(default)s)")
    options.option(command, "--output", type=Path, required=True, help="folder")
    options.scenario(command)
    options.parameter_set(command)
    command.set_defaults(run=_randomised)

    command = commands.add_parser(
        "policy",
        parents=[shared],
        help="judge reference policies on the very same heats: cost, in-window, regret",
    )
    options.option(
        command,
        "--name",
        default="all",
        choices=["all", *frontier.NAMES],
        help="the all-knowing one always comes first (default: %(default)s)",
    )
    options.option(command, "--station", default=TAPPING, choices=STATIONS, help="(default: %(default)s)")
    options.option(
        command,
        "--heats",
        type=options.positive,
        default=2048,
        help="in whole lines of 16 (default: %(default)s)",
    )
    options.option(
        command,
        "--aim",
        type=float,
        help="the handbook's aim as a fraction of each window (default: the grade's)",
    )
    options.option(
        command, "--in-window", type=float, help="tune the handbook's aim to this true rate, on other heats"
    )
    options.option(
        command,
        "--confidence",
        type=float,
        help="of each side of a window, for the informed optimum (default: as much as a miss is worth)",
    )
    options.option(
        command,
        "--miss-price",
        type=options.amount,
        default=catalogue.MISS_PRICE,
        help="per miss (default: %(default)s)",
    )
    options.scenario(command)
    options.parameter_set(command)
    command.set_defaults(run=_policy)

    closed_loop.add(commands, shared)

    command = commands.add_parser(
        "sweep", parents=[shared], help="judge reference policies on many drawn plants, as Markdown"
    )
    options.option(
        command,
        "--parameter-sets",
        type=options.positive,
        default=20,
        help="1 to this one (default: %(default)s)",
    )
    options.option(
        command,
        "--heats",
        type=options.positive,
        default=128,
        help="of each plant at each station, in whole lines of 16 (default: %(default)s)",
    )
    options.option(
        command,
        "--miss-price",
        type=options.amount,
        default=catalogue.MISS_PRICE,
        help="per miss (default: %(default)s)",
    )
    options.option(command, "--output", type=Path, required=True, help="Markdown file")
    command.set_defaults(run=_sweep)

    command = commands.add_parser(
        "bench", parents=[shared], help="print as JSON how fast heats are made on one core, and their digest"
    )
    options.option(command, "--heats", type=options.positive, default=200_000, help="(default: %(default)s)")
    options.option(
        command, "--lines", type=options.positive, default=speed.LINES, help="(default: %(default)s)"
    )
    command.set_defaults(run=_bench)


def _do(given: argparse.Namespace) -> None:
    plant, figures = options.plant_of(given)
    rows = do.run(plant, figures, given.heats, given.additions, given.output)
    sys.stdout.write(f"{rows} outcomes in {given.output}\n")


def _randomised(given: argparse.Namespace) -> None:
    plant, figures = options.plant_of(given)
    scene = scenes.named(given.seed, options.started(given))
    policy = randomised(plant, figures, given.seed)
    per_line = -(-given.heats // given.lines)
    blocks = scenes.blocks_of(plant, figures, scene, given.lines, per_line, policy)
    sys.stdout.write(f"{archive.write(plant, blocks, given.output)} heats in {given.output}\n")


def _policy(given: argparse.Namespace) -> None:
    plant, figures = options.plant_of(given)
    scene = scenes.named(given.seed, options.started(given))
    per_line = -(-given.heats // LINES)
    aim, label = given.aim, "handbook" if given.aim is None else f"handbook at {given.aim:g}"
    if given.in_window is not None:
        other = scenes.Scene(TUNING_SEED)
        others = list(scenes.cases_of(plant, figures, other, given.station, LINES, TUNING_HEATS))
        aim = frontier.tuned_aim(plant, figures, others, given.in_window, given.miss_price)
        label = f"handbook at {aim:g}, tuned to {given.in_window:.1%}"
    names = [n for n in frontier.NAMES if given.name in ("all", n) or n == reference.ALL_KNOWING]
    policies = {
        label if name == reference.HANDBOOK else name: frontier.named(
            name, aim, given.confidence, given.miss_price
        )
        for name in names
    }
    heats = scenes.cases_of(plant, figures, scene, given.station, LINES, per_line)
    standings = frontier.compare(plant, figures, heats, policies, given.miss_price)
    tables = (frontier.text(standings, plant.currency), frontier.text_by_grade(standings))
    sys.stdout.write("\n\n".join(tables) + "\n")


def _sweep(given: argparse.Namespace) -> None:
    plant = catalogue.load(given.catalogue)

    def tell(swept: sweep.Swept) -> None:
        costs = ", ".join(f"{s.policy} {s.total_per_t:.2f}" for s in swept.standings)
        where = f"{swept.parameter_set} of {given.parameter_sets}, {swept.station}"
        sys.stderr.write(f"{where}: {plant.currency}/t with misses: {costs}\n")

    found = sweep.sweep(plant, given.seed, given.parameter_sets, given.heats, given.miss_price, tell)
    text = sweep.markdown(found, given.heats, given.seed, given.miss_price, plant.currency)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{given.output}\n")


def _bench(given: argparse.Namespace) -> None:
    plant, figures = options.plant_of(given)
    found = speed.measure(plant, figures, given.seed, given.heats, given.lines)
    sys.stdout.write(json.dumps(asdict(found)) + "\n")
