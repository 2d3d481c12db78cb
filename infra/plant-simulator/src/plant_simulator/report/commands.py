"""The command `report`: the plant beside what is published, with plots."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plant_simulator import catalogue, parameters

Option = Callable[..., None]


def add(commands: Any, shared: argparse.ArgumentParser, option: Option) -> None:
    """Add it to the simulator's command line, with its shared options and its way of adding one."""
    command = commands.add_parser(
        "report",
        parents=[shared],
        help="write README.md and plots: the simulated plant beside published ones",
    )
    option(
        command,
        "--output",
        type=Path,
        required=True,
        help="folder; what is there of an older report is replaced",
    )
    option(
        command,
        "--policy-heats",
        type=int,
        default=2048,
        help="heats per station that policies are judged on",
    )
    command.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    # Plots need matplotlib, which only who draws them has.
    from plant_simulator.report import document

    plant, figures = catalogue.load(options.catalogue), parameters.load(options.parameters)
    document.write(plant, figures, options.seed, options.policy_heats, options.output)
    sys.stdout.write(f"{options.output / 'README.md'}\n")
