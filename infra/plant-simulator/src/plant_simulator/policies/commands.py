"""Commands of the reference side: `do`, `policy`, `bench`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from plant_simulator import catalogue, parameters
from plant_simulator.policies import do, frontier, scenes
from plant_simulator.policies.frontier import MISS_PRICE

Option = Callable[..., None]
TUNING_SEED = 900_001


def add(commands: Any, shared: argparse.ArgumentParser, option: Option) -> None:
    """Add them to the simulator's command line, with its shared options and its way of adding one."""
    command = commands.add_parser(
        "do", parents=[shared], help="what becomes of given heats with given additions: Parquet in and out"
    )
    option(command, "--heats", type=Path, required=True, help="Parquet: seed, heat_no[, line, scenario, parameter_set]")
    option(command, "--additions", type=Path, required=True, help="Parquet: those keys, additive, decided_kg[, policy]")
    option(command, "--output", type=Path, required=True, help="Parquet: truth and measurement of each heat and policy")
    command.set_defaults(run=_do)

    command = commands.add_parser(
        "policy", parents=[shared], help="judge reference policies on the very same heats: cost, in-window, regret"
    )
    option(
        command,
        "--name",
        default="all",
        choices=["all", *frontier.NAMES],
        help="(default: %(default)s); the all-knowing one always comes first",
    )
    option(command, "--heats", type=int, default=2000, help="(default: %(default)s)")
    option(command, "--first-heat-no", type=int, default=1, help="(default: %(default)s)")
    option(command, "--aim", type=float, help="the handbook's aim as a fraction of each window (default: the grade's)")
    option(command, "--in-window", type=float, help="tune the handbook's aim to this true rate, on other heats")
    option(
        command,
        "--confidence",
        type=float,
        help="of each side of a window, for the informed optimum (default: as much as a miss is worth)",
    )
    option(command, "--miss-price", type=float, default=MISS_PRICE, help="money per miss (default: %(default)s)")
    command.set_defaults(run=_policy)


def _do(options: argparse.Namespace) -> None:
    rows = do.run(
        catalogue.load(options.catalogue),
        parameters.load(options.parameters),
        options.heats,
        options.additions,
        options.output,
    )
    sys.stdout.write(f"{rows} outcomes in {options.output}\n")


def _policy(options: argparse.Namespace) -> None:
    plant, figures = catalogue.load(options.catalogue), parameters.load(options.parameters)
    scene = scenes.Scene(options.seed)
    numbers = np.arange(options.first_heat_no, options.first_heat_no + options.heats)
    aim, label = options.aim, "handbook" if options.aim is None else f"handbook at {options.aim:g}"
    if options.in_window is not None:
        others = list(scenes.heats_of(plant, figures, scenes.Scene(TUNING_SEED), np.arange(1, 2001)))
        aim = frontier.tuned_aim(plant, figures, others, options.in_window, options.miss_price)
        label = f"handbook at {aim:g}, tuned to {options.in_window:.1%}"
    names = [n for n in frontier.NAMES if options.name in ("all", n) or n == "all-knowing"]
    policies = {
        label if name == "handbook" else name: frontier.named(name, aim, options.confidence, options.miss_price)
        for name in names
    }
    standings = frontier.compare(
        plant, figures, scenes.heats_of(plant, figures, scene, numbers), policies, options.miss_price
    )
    sys.stdout.write(frontier.text(standings, plant.currency) + "\n")
