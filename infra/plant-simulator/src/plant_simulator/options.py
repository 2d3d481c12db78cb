"""Options that commands share, and what they mean; each may also be set as PLANT_SIMULATOR_<OPTION>."""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from plant_simulator import catalogue, parameters, plants, scenarios
from plant_simulator.catalogue import Catalogue
from plant_simulator.parameters import Parameters
from plant_simulator.scenarios import Started

PREFIX = "PLANT_SIMULATOR_"
NO_SCENARIO = "none"


def option(parser: argparse.ArgumentParser, name: str, **how: object) -> None:
    """An option that its environment variable sets where it is not given."""
    value = os.environ.get(PREFIX + name.removeprefix("--").replace("-", "_").upper())
    if value is not None:
        how = {**how, "default": value, "required": False}
    parser.add_argument(name, **how)  # type: ignore[arg-type]


def shared() -> argparse.ArgumentParser:
    """What every command about a plant takes: its data, its figures, its name, its seed and line."""
    parser = argparse.ArgumentParser(add_help=False)
    option(
        parser,
        "--catalogue",
        type=Path,
        help="folder with additives.yaml, grades.yaml, handbook.yaml (default: the demo plant's)",
    )
    option(parser, "--parameters", type=Path, help="YAML file with figures that differ from docs/settings.md")
    option(parser, "--plant-id", default="demo", help="(default: %(default)s)")
    option(
        parser,
        "--seed",
        type=whole,
        default=7,
        help="the same seed gives the same plant (default: %(default)s)",
    )
    option(
        parser,
        "--line",
        type=whole,
        default=0,
        help="which furnace line of the seed's; each has its own heats (default: %(default)s)",
    )
    option(parser, "--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser


def parameter_set(command: argparse.ArgumentParser) -> None:
    """`--parameter-set N`."""
    option(
        command,
        "--parameter-set",
        type=whole,
        default=0,
        help="another plausible plant, drawn from published ranges; 0 is the default plant",
    )


def scenario(command: argparse.ArgumentParser) -> None:
    """`--scenario NAME[@HEAT]`, as often as there are scenarios."""
    given = os.environ.get(f"{PREFIX}SCENARIO", "")
    command.add_argument(
        "--scenario",
        action="append",
        default=[given] if given else [],
        metavar="NAME[@HEAT]",
        help=f"may be given again, or with commas; by default from heat {scenarios.START_HEAT} on; one of "
        + ", ".join(scenarios.SCENARIOS),
    )


def plant_of(options: argparse.Namespace) -> tuple[Catalogue, Parameters]:
    """The plant that the options name. Raises BadSettingError for what cannot be."""
    start = plants.draw(getattr(options, "parameter_set", 0))
    return catalogue.load(options.catalogue), parameters.load(options.parameters, start)


def started(options: argparse.Namespace) -> tuple[Started, ...]:
    """The scenarios that the options name. Raises BadSettingError for one that is none."""
    names = [name.strip() for given in options.scenario for name in given.split(",")]
    return tuple(scenarios.parse(name) for name in names if name and name != NO_SCENARIO)


def whole(text: str) -> int:
    return _number(text, 0)


def positive(text: str) -> int:
    return _number(text, 1)


def amount(text: str) -> float:
    """A number >= 0."""
    value = _float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a number >= 0")
    return value


def above_zero(text: str) -> float:
    value = _float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a number above 0")
    return value


def instant(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: UTC such as 2026-01-01T00:00:00Z") from None


def _number(text: str, least: int) -> int:
    if not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a whole number >= {least}")
    return int(text)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
