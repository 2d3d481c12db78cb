"""Commands of the reference side: `do`, `randomised`, `policy`, `bench`."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plant_simulator import archive, catalogue, parameters
from plant_simulator.catalogue import STATIONS, TAPPING
from plant_simulator.policies import closed_loop, do, frontier, reference, scenes, speed
from plant_simulator.policies.randomised import randomised

Option = Callable[..., None]
LINES, TUNING_SEED, TUNING_HEATS = 16, 900_001, 64


def add(commands: Any, shared: argparse.ArgumentParser, option: Option) -> None:
    """Add them to the simulator's command line, with its shared options and its way of adding one."""
    command = commands.add_parser(
        "do", parents=[shared], help="what becomes of given heats with given additions: Parquet in and out"
    )
    keys = "seed, heat_no[, line, station, scenario, parameter_set]"
    option(command, "--heats", type=Path, required=True, help=f"Parquet: {keys}")
    option(
        command,
        "--additions",
        type=Path,
        required=True,
        help=f"Parquet: {keys}, additive, decided_kg[, policy]",
    )
    option(
        command, "--output", type=Path, required=True, help="Parquet: truth and measurement of each treatment"
    )
    command.set_defaults(run=_do)

    command = commands.add_parser(
        "randomised",
        parents=[shared],
        help="write heats whose kilograms do not depend on their chemistry, as Parquet: for judging models",
    )
    option(
        command, "--heats", type=_count, default=2048, help="in whole lines of --lines (default: %(default)s)"
    )
    option(command, "--lines", type=_count, default=LINES, help="(default: %(default)s)")
    option(command, "--output", type=Path, required=True, help="folder")
    _add_scene(command, option)
    command.set_defaults(run=_randomised)

    command = commands.add_parser(
        "policy",
        parents=[shared],
        help="judge reference policies on the very same heats: cost, in-window, regret",
    )
    option(
        command,
        "--name",
        default="all",
        choices=["all", *frontier.NAMES],
        help="the all-knowing one always comes first (default: %(default)s)",
    )
    option(command, "--station", default=TAPPING, choices=STATIONS, help="(default: %(default)s)")
    option(command, "--heats", type=_count, default=2048, help="in whole lines of 16 (default: %(default)s)")
    option(
        command,
        "--aim",
        type=float,
        help="the handbook's aim as a fraction of each window (default: the grade's)",
    )
    option(
        command, "--in-window", type=float, help="tune the handbook's aim to this true rate, on other heats"
    )
    option(
        command,
        "--confidence",
        type=float,
        help="of each side of a window, for the informed optimum (default: as much as a miss is worth)",
    )
    option(
        command,
        "--miss-price",
        type=_money,
        default=frontier.MISS_PRICE,
        help="per miss (default: %(default)s)",
    )
    _add_scene(command, option)
    command.set_defaults(run=_policy)

    _add_scene(closed_loop.add(commands, shared, option), option)

    command = commands.add_parser(
        "bench", parents=[shared], help="print as JSON how fast heats are made on one core, and their digest"
    )
    option(command, "--heats", type=_count, default=200_000, help="(default: %(default)s)")
    option(command, "--lines", type=_count, default=speed.LINES, help="(default: %(default)s)")
    command.set_defaults(run=_bench)


def _add_scene(command: argparse.ArgumentParser, option: Option) -> None:
    option(
        command,
        "--scenario",
        default=scenes.NONE,
        help="NAME@HEAT, with commas between (default: %(default)s)",
    )
    option(
        command,
        "--parameter-set",
        type=_whole,
        default=0,
        help="another plausible plant (default: %(default)s)",
    )


def _do(options: argparse.Namespace) -> None:
    plant, figures = catalogue.load(options.catalogue), parameters.load(options.parameters)
    rows = do.run(plant, figures, options.heats, options.additions, options.output)
    sys.stdout.write(f"{rows} outcomes in {options.output}\n")


def _randomised(options: argparse.Namespace) -> None:
    plant, figures = catalogue.load(options.catalogue), parameters.load(options.parameters)
    scene = scenes.Scene(options.seed, options.parameter_set, options.scenario)
    policy = randomised(plant, scenes.figures_of(figures, scene), options.seed)
    per_line = -(-options.heats // options.lines)
    blocks = scenes.blocks_of(plant, figures, scene, options.lines, per_line, policy)
    sys.stdout.write(f"{archive.write(plant, blocks, options.output)} heats in {options.output}\n")


def _policy(options: argparse.Namespace) -> None:
    plant, figures = catalogue.load(options.catalogue), parameters.load(options.parameters)
    scene = scenes.Scene(options.seed, options.parameter_set, options.scenario)
    figures_here, per_line = scenes.figures_of(figures, scene), -(-options.heats // LINES)
    aim, label = options.aim, "handbook" if options.aim is None else f"handbook at {options.aim:g}"
    if options.in_window is not None:
        other = scenes.Scene(TUNING_SEED, options.parameter_set)
        others = list(scenes.cases_of(plant, figures, other, options.station, LINES, TUNING_HEATS))
        aim = frontier.tuned_aim(plant, figures_here, others, options.in_window, options.miss_price)
        label = f"handbook at {aim:g}, tuned to {options.in_window:.1%}"
    names = [n for n in frontier.NAMES if options.name in ("all", n) or n == reference.ALL_KNOWING]
    policies = {
        label if name == reference.HANDBOOK else name: frontier.named(
            name, aim, options.confidence, options.miss_price
        )
        for name in names
    }
    heats = scenes.cases_of(plant, figures, scene, options.station, LINES, per_line)
    standings = frontier.compare(plant, figures_here, heats, policies, options.miss_price)
    sys.stdout.write(frontier.text(standings, plant.currency) + "\n")


def _bench(options: argparse.Namespace) -> None:
    plant, figures = catalogue.load(options.catalogue), parameters.load(options.parameters)
    found = speed.measure(plant, figures, options.seed, options.heats, options.lines)
    sys.stdout.write(json.dumps(asdict(found)) + "\n")


def _count(text: str) -> int:
    return _at_least(1, text)


def _whole(text: str) -> int:
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    if not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a whole number >= {least}")
    return int(text)


def _money(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a number >= 0")
    return value
