"""The command `report`: the plant beside what is published, with plots."""

import argparse
import sys
from pathlib import Path
from typing import Any

from plant_simulator import options


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add it to the simulator's command line, with its shared options."""
    command = commands.add_parser(
        "report",
        parents=[shared],
        help="write README.md and plots: the simulated plant beside published ones",
    )
    options.option(
        command,
        "--output",
        type=Path,
        required=True,
        help="folder; what is there of an older report is replaced",
    )
    options.option(
        command,
        "--policy-heats",
        type=options.positive,
        default=2048,
        help="heats per station that policies are judged on",
    )
    command.set_defaults(run=_report)


def _report(given: argparse.Namespace) -> None:
    # Plots need matplotlib, which only who draws them has.
    from plant_simulator.report import document

    plant, figures = options.plant_of(given)
    document.write(plant, figures, given.seed, given.policy_heats, given.output)
    sys.stdout.write(f"{given.output / 'README.md'}\n")
