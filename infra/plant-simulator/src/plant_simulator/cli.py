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
    history,
    master_data,
    options,
    parameters,
    play,
    scenarios,
    true_lots,
)
from plant_simulator.catalogue import LADLE_FURNACE, STATIONS, TAPPING
from plant_simulator.chance import CHUNK_HEATS
from plant_simulator.errors import SimulatorError
from plant_simulator.policies import commands as reference_commands
from plant_simulator.report import commands as report_commands


def main(arguments: list[str] | None = None) -> None:
    """Run one command; an expected failure is one line on stderr and exit code 2."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(
        level=given.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    try:
        given.run(given)
    except SimulatorError as error:
        sys.exit(f"plant-simulator: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="plant-simulator",
        description="Stands in for the plant.",
        epilog=f"Every option may be set as {options.PREFIX}<OPTION>.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = options.shared()

    command = commands.add_parser(
        "master-data", parents=[shared], help="write grades, additives and the handbook rule as JSON"
    )
    options.option(
        command,
        "--first-heat-no",
        type=options.positive,
        default=1,
        help="lots are those in the bins at this heat (default: %(default)s)",
    )
    options.option(
        command,
        "--station",
        default=TAPPING,
        choices=STATIONS,
        help="windows as there (default: %(default)s)",
    )
    options.option(command, "--output", type=Path, required=True)
    options.parameter_set(command)
    command.set_defaults(run=_master_data)

    command = commands.add_parser(
        "history", parents=[shared], help="write heats.csv, additives.csv and mapping.yaml of past heats"
    )
    options.option(command, "--heats", type=options.positive, default=2000, help="(default: %(default)s)")
    options.option(command, "--output", type=Path, required=True, help="folder")
    options.option(
        command,
        "--end-at",
        type=options.instant,
        default=options.instant("2026-01-01T00:00:00Z"),
        help="when the history ends (default: 2026-01-01T00:00:00Z)",
    )
    options.option(
        command,
        "--minutes-between-heats",
        type=options.above_zero,
        default=40.0,
        help="(default: %(default)s)",
    )
    options.option(
        command,
        "--station",
        default=TAPPING,
        choices=STATIONS,
        help="whose heats (default: %(default)s)",
    )
    options.scenario(command)
    options.option(command, "--truth", type=Path, help="also write the hidden truth to this CSV file")
    options.parameter_set(command)
    command.set_defaults(run=_history)

    command = commands.add_parser(
        "bulk",
        parents=[shared],
        help="write many heats of many lines as Parquet, the truth apart",
    )
    options.option(
        command, "--heats", type=options.positive, default=100_000, help="of all lines (default: %(default)s)"
    )
    options.option(
        command, "--lines", type=options.positive, default=256, help="side by side (default: %(default)s)"
    )
    options.option(
        command,
        "--block-heats",
        type=options.positive,
        default=1,
        help=f"what is held at once, x {CHUNK_HEATS} heats of each line (default: %(default)s)",
    )
    options.scenario(command)
    options.option(command, "--output", type=Path, required=True, help="folder")
    options.parameter_set(command)
    command.set_defaults(run=_bulk)

    command = commands.add_parser(
        "true-lots", parents=[shared], help="write what is truly in a line's lots as JSON, to judge by"
    )
    options.option(command, "--heats", type=options.positive, default=2000, help="(default: %(default)s)")
    options.option(command, "--output", type=Path, required=True)
    options.parameter_set(command)
    command.set_defaults(run=_true_lots)

    command = commands.add_parser(
        "play", parents=[shared], help="run the plant live over the bus and the backend's REST"
    )
    options.option(
        command, "--heats", type=options.whole, default=0, help="0 is until stopped (default: %(default)s)"
    )
    options.option(
        command,
        "--stations",
        default=TAPPING,
        choices=[TAPPING, "both"],
        help="both: each heat goes on to the ladle furnace (default: %(default)s)",
    )
    options.scenario(command)
    options.option(
        command,
        "--control",
        type=Path,
        help="file with a scenario a line (NAME or NAME@HEAT), read again whenever it changes",
    )
    options.option(
        command,
        "--first-heat-no",
        type=options.positive,
        default=1,
        help="continue the plant of this seed here, e.g. after its history",
    )
    options.option(
        command, "--run-id", help="heats of another run have other ids (default: the time of the start)"
    )
    options.option(command, "--nats-url", default="nats://127.0.0.1:4222", help="(default: %(default)s)")
    options.option(command, "--backend-url", default="http://127.0.0.1:8000", help="(default: %(default)s)")
    options.option(
        command,
        "--heats-per-minute",
        type=options.amount,
        default=0.0,
        help="0 is as fast as possible (default: %(default)s)",
    )
    options.option(
        command,
        "--in-flight",
        type=options.positive,
        default=8,
        help="heats under way at once (default: %(default)s)",
    )
    options.option(
        command,
        "--leave-every",
        type=options.whole,
        default=0,
        help="each K-th heat is left to a person; 0 is none (default: %(default)s)",
    )
    options.option(
        command,
        "--person-wait-s",
        type=options.amount,
        default=120.0,
        help="how long it is left to him (default: %(default)s)",
    )
    options.option(
        command,
        "--recommendation-wait-s",
        type=options.amount,
        default=20.0,
        help="how long steel waits for advice (default: %(default)s)",
    )
    options.option(
        command,
        "--late-result-s",
        type=options.amount,
        default=2.0,
        help="how late late results and corrections are (default: %(default)s)",
    )
    options.option(
        command,
        "--give-up-s",
        type=options.amount,
        default=60.0,
        help="how long a decision waits for the backend (default: %(default)s)",
    )
    options.option(
        command,
        "--summary",
        type=Path,
        help="also write the counts and the list of treatments to this JSON file",
    )
    options.parameter_set(command)
    command.set_defaults(run=_play)

    command = commands.add_parser(
        "settings", help="print the table of the plant's figures (docs/settings.md)"
    )
    options.option(command, "--log-level", default="info", help=argparse.SUPPRESS)
    command.set_defaults(run=lambda _: sys.stdout.write(parameters.markdown()))
    command = commands.add_parser("scenarios", help="print what can happen to the plant (docs/scenarios.md)")
    options.option(command, "--log-level", default="info", help=argparse.SUPPRESS)
    command.set_defaults(run=lambda _: sys.stdout.write(scenarios.markdown()))
    reference_commands.add(commands, shared)
    report_commands.add(commands, shared)
    return parser


def _bulk(given: argparse.Namespace) -> None:
    plant, figures = options.plant_of(given)
    lines = min(given.lines, given.heats)
    blocks = bulk.simulate(
        plant,
        figures,
        given.seed,
        lines,
        -(-given.heats // lines),
        change=scenarios.change(plant, options.started(given)),
        block_heats=given.block_heats * CHUNK_HEATS,
    )
    heats = archive.write(plant, blocks, given.output, given.heats)
    sys.stdout.write(json.dumps({"heats": heats, "lines": lines, "output": str(given.output)}) + "\n")


def _master_data(given: argparse.Namespace) -> None:
    plant, figures = options.plant_of(given)
    document = master_data.document(
        plant,
        figures,
        given.seed,
        given.first_heat_no,
        given.plant_id,
        given.station,
        given.line,
    )
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _true_lots(given: argparse.Namespace) -> None:
    found = true_lots.true_lots(*options.plant_of(given), given.seed, given.line, given.heats)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _history(given: argparse.Namespace) -> None:
    plant, figures = options.plant_of(given)
    history.write(
        plant,
        figures,
        seed=given.seed,
        heats=given.heats,
        folder=given.output,
        plant_id=given.plant_id,
        end_at=given.end_at,
        minutes_between_heats=given.minutes_between_heats,
        station=given.station,
        line=given.line,
        change=scenarios.change(plant, options.started(given)),
        truth=given.truth,
    )


def _play(given: argparse.Namespace) -> None:
    settings = play.Settings(
        plant_id=given.plant_id,
        seed=given.seed,
        run_id=given.run_id or f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}",
        line=given.line,
        stations=(TAPPING,) if given.stations == TAPPING else (TAPPING, LADLE_FURNACE),
        scenarios=options.started(given),
        control=given.control,
        first_heat_no=given.first_heat_no,
        heats=given.heats,
        heats_per_minute=given.heats_per_minute,
        in_flight=given.in_flight,
        leave_every=given.leave_every,
        person_wait_s=given.person_wait_s,
        recommendation_wait_s=given.recommendation_wait_s,
        late_result_s=given.late_result_s,
        give_up_s=given.give_up_s,
        nats_url=given.nats_url,
        backend_url=given.backend_url,
        # From the environment alone: a command line is for all to see.
        backend_token=os.environ.get(f"{options.PREFIX}BACKEND_TOKEN", ""),
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    counts = asyncio.run(play.play(*options.plant_of(given), settings))
    if given.summary:
        given.summary.parent.mkdir(parents=True, exist_ok=True)
        given.summary.write_text(json.dumps(counts.document(), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(play.summary_line(counts) + "\n")
