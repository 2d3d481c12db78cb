"""The command `plant-simulator`: master data, a history, heats in bulk, a live plant, settings."""

import argparse
import asyncio
import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from plant_simulator import (
    archive,
    bulk,
    catalogue,
    history,
    master_data,
    parameters,
    plants,
    play,
    scenarios,
)
from plant_simulator.catalogue import LADLE_FURNACE, STATIONS, TAPPING, Catalogue
from plant_simulator.chance import CHUNK_HEATS
from plant_simulator.errors import SimulatorError
from plant_simulator.policies import commands as reference_commands
from plant_simulator.report import commands as report_commands

PREFIX = "PLANT_SIMULATOR_"


def main(arguments: list[str] | None = None) -> None:
    """Run one command; an expected failure is one line on stderr and exit code 2."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    try:
        options.run(options)
    except SimulatorError as error:
        sys.exit(f"plant-simulator: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="plant-simulator",
        description="Stands in for the plant.",
        epilog=f"Every option may be set as {PREFIX}<OPTION>.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    _option(
        shared,
        "--catalogue",
        type=Path,
        help="folder with additives.yaml, grades.yaml, handbook.yaml (default: the demo plant's)",
    )
    _option(
        shared, "--parameters", type=Path, help="YAML file with figures that differ from docs/settings.md"
    )
    _option(shared, "--plant-id", default="demo", help="(default: %(default)s)")
    _option(
        shared,
        "--seed",
        type=_whole,
        default=7,
        help="the same seed gives the same plant (default: %(default)s)",
    )
    _option(
        shared,
        "--line",
        type=_whole,
        default=0,
        help="which furnace line of the seed's; each has its own heats (default: %(default)s)",
    )
    _option(shared, "--log-level", default="info", choices=["debug", "info", "warning", "error"])

    command = commands.add_parser(
        "master-data", parents=[shared], help="write grades, additives and the handbook rule as JSON"
    )
    _option(
        command,
        "--first-heat-no",
        type=_positive,
        default=1,
        help="lots are those in the bins at this heat (default: %(default)s)",
    )
    _option(
        command,
        "--station",
        default=TAPPING,
        choices=STATIONS,
        help="windows as there (default: %(default)s)",
    )
    _option(command, "--output", type=Path, required=True)
    _parameter_set_option(command)
    command.set_defaults(run=_master_data)

    command = commands.add_parser(
        "history", parents=[shared], help="write heats.csv, additives.csv and mapping.yaml of past heats"
    )
    _option(command, "--heats", type=_positive, default=2000, help="(default: %(default)s)")
    _option(command, "--output", type=Path, required=True, help="folder")
    _option(
        command,
        "--end-at",
        type=_instant,
        default=_instant("2026-01-01T00:00:00Z"),
        help="when the history ends (default: 2026-01-01T00:00:00Z)",
    )
    _option(command, "--minutes-between-heats", type=_minutes, default=40.0, help="(default: %(default)s)")
    _option(
        command,
        "--station",
        default=TAPPING,
        choices=STATIONS,
        help="whose heats (default: %(default)s)",
    )
    _scenario_option(command)
    _option(command, "--truth", type=Path, help="also write the hidden truth to this CSV file")
    _parameter_set_option(command)
    command.set_defaults(run=_history)

    command = commands.add_parser(
        "bulk",
        parents=[shared],
        help="write many heats of many lines as Parquet, the truth apart",
    )
    _option(command, "--heats", type=_positive, default=100_000, help="of all lines (default: %(default)s)")
    _option(command, "--lines", type=_positive, default=256, help="side by side (default: %(default)s)")
    _option(
        command,
        "--block-heats",
        type=_positive,
        default=1,
        help=f"what is held at once, x {CHUNK_HEATS} heats of each line (default: %(default)s)",
    )
    _scenario_option(command)
    _option(command, "--output", type=Path, required=True, help="folder")
    _parameter_set_option(command)
    command.set_defaults(run=_bulk)

    command = commands.add_parser(
        "play", parents=[shared], help="run the plant live over the bus and the backend's REST"
    )
    _option(command, "--heats", type=_whole, default=0, help="0 is until stopped (default: %(default)s)")
    _option(
        command,
        "--stations",
        default=TAPPING,
        choices=[TAPPING, "both"],
        help="both: each heat goes on to the ladle furnace (default: %(default)s)",
    )
    _scenario_option(command)
    _option(
        command,
        "--control",
        type=Path,
        help="file with a scenario a line (NAME or NAME@HEAT), read again whenever it changes",
    )
    _option(
        command,
        "--first-heat-no",
        type=_positive,
        default=1,
        help="continue the plant of this seed here, e.g. after its history",
    )
    _option(command, "--run-id", help="heats of another run have other ids (default: the time of the start)")
    _option(command, "--nats-url", default="nats://127.0.0.1:4222", help="(default: %(default)s)")
    _option(command, "--backend-url", default="http://127.0.0.1:8000", help="(default: %(default)s)")
    _option(
        command,
        "--heats-per-minute",
        type=_amount,
        default=0.0,
        help="0 is as fast as possible (default: %(default)s)",
    )
    _option(
        command,
        "--in-flight",
        type=_positive,
        default=8,
        help="heats under way at once (default: %(default)s)",
    )
    _option(
        command,
        "--leave-every",
        type=_whole,
        default=0,
        help="each K-th heat is left to a person; 0 is none (default: %(default)s)",
    )
    _option(
        command,
        "--person-wait-s",
        type=_amount,
        default=120.0,
        help="how long it is left to him (default: %(default)s)",
    )
    _option(
        command,
        "--recommendation-wait-s",
        type=_amount,
        default=20.0,
        help="how long steel waits for advice (default: %(default)s)",
    )
    _option(
        command,
        "--late-result-s",
        type=_amount,
        default=2.0,
        help="how late late results and corrections are (default: %(default)s)",
    )
    _option(
        command,
        "--give-up-s",
        type=_amount,
        default=60.0,
        help="how long a decision waits for the backend (default: %(default)s)",
    )
    _option(
        command,
        "--summary",
        type=Path,
        help="also write the counts and the list of treatments to this JSON file",
    )
    _parameter_set_option(command)
    command.set_defaults(run=_play)

    command = commands.add_parser(
        "settings", help="print the table of the plant's figures (docs/settings.md)"
    )
    _option(command, "--log-level", default="info", help=argparse.SUPPRESS)
    command.set_defaults(run=lambda _: sys.stdout.write(parameters.markdown()))
    command = commands.add_parser("scenarios", help="print what can happen to the plant (docs/scenarios.md)")
    _option(command, "--log-level", default="info", help=argparse.SUPPRESS)
    command.set_defaults(run=lambda _: sys.stdout.write(scenarios.markdown()))
    reference_commands.add(commands, shared, _option)
    report_commands.add(commands, shared, _option)
    return parser


def _plant(options: argparse.Namespace) -> tuple[Catalogue, parameters.Parameters]:
    figures = parameters.load(options.parameters, plants.draw(options.parameter_set))
    return catalogue.load(options.catalogue), figures


def _parameter_set_option(command: argparse.ArgumentParser) -> None:
    _option(
        command,
        "--parameter-set",
        type=_whole,
        default=0,
        help="another plausible plant, drawn from published ranges; 0 is the default plant",
    )


def _scenario_option(command: argparse.ArgumentParser) -> None:
    given = os.environ.get(f"{PREFIX}SCENARIO", "")
    command.add_argument(
        "--scenario",
        action="append",
        default=[name for name in given.split(",") if name],
        metavar="NAME[@HEAT]",
        help=f"may be given again; by default from heat {scenarios.START_HEAT} on; one of "
        + ", ".join(scenarios.SCENARIOS),
    )


def _started(options: argparse.Namespace) -> tuple[scenarios.Started, ...]:
    return tuple(scenarios.parse(text) for text in options.scenario)


def _bulk(options: argparse.Namespace) -> None:
    plant, figures = _plant(options)
    lines = min(options.lines, options.heats)
    blocks = bulk.simulate(
        plant,
        figures,
        options.seed,
        lines,
        -(-options.heats // lines),
        change=scenarios.change(plant, _started(options)),
        block_heats=options.block_heats * CHUNK_HEATS,
    )
    heats = archive.write(plant, blocks, options.output, options.heats)
    sys.stdout.write(json.dumps({"heats": heats, "lines": lines, "output": str(options.output)}) + "\n")


def _master_data(options: argparse.Namespace) -> None:
    plant, figures = _plant(options)
    document = master_data.document(
        plant,
        figures,
        options.seed,
        options.first_heat_no,
        options.plant_id,
        options.station,
        options.line,
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _history(options: argparse.Namespace) -> None:
    plant, figures = _plant(options)
    history.write(
        plant,
        figures,
        seed=options.seed,
        heats=options.heats,
        folder=options.output,
        plant_id=options.plant_id,
        end_at=options.end_at,
        minutes_between_heats=options.minutes_between_heats,
        station=options.station,
        line=options.line,
        change=scenarios.change(plant, _started(options)),
        truth=options.truth,
    )


def _play(options: argparse.Namespace) -> None:
    settings = play.Settings(
        plant_id=options.plant_id,
        seed=options.seed,
        run_id=options.run_id or f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}",
        line=options.line,
        stations=(TAPPING,) if options.stations == TAPPING else (TAPPING, LADLE_FURNACE),
        scenarios=_started(options),
        control=options.control,
        first_heat_no=options.first_heat_no,
        heats=options.heats,
        heats_per_minute=options.heats_per_minute,
        in_flight=options.in_flight,
        leave_every=options.leave_every,
        person_wait_s=options.person_wait_s,
        recommendation_wait_s=options.recommendation_wait_s,
        late_result_s=options.late_result_s,
        give_up_s=options.give_up_s,
        nats_url=options.nats_url,
        backend_url=options.backend_url,
        # From the environment alone: a command line is for all to see.
        backend_token=os.environ.get(f"{PREFIX}BACKEND_TOKEN", ""),
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    counts = asyncio.run(play.play(*_plant(options), settings))
    if options.summary:
        options.summary.parent.mkdir(parents=True, exist_ok=True)
        options.summary.write_text(json.dumps(counts.document(), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(play.summary_line(counts) + "\n")


def _option(parser: argparse.ArgumentParser, name: str, **how: object) -> None:
    """An option that its environment variable sets where it is not given."""
    value = os.environ.get(PREFIX + name.removeprefix("--").replace("-", "_").upper())
    if value is not None:
        how = {**how, "default": value, "required": False}
    parser.add_argument(name, **how)  # type: ignore[arg-type]


def _whole(text: str) -> int:
    return _number(text, int(text) if text.isdigit() else -1, 0, "a whole number >= 0")


def _positive(text: str) -> int:
    return _number(text, int(text) if text.isdigit() else -1, 1, "a whole number >= 1")


def _number(text: str, value: int, least: int, allowed: str) -> int:
    if value < least:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: {allowed}")
    return value


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a number >= 0")
    return value


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a number above 0")
    return value


def _instant(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: UTC such as 2026-01-01T00:00:00Z") from None
