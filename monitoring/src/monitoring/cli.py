"""`monitoring collect`, `serve`, `backfill`, `replay`, `reference`, `diagnose`, `drift`, `money`."""

import argparse
import asyncio
import gc
import signal
import sys
from pathlib import Path

import msgspec
import polars as pl
import uvicorn
from pydantic import ValidationError

from monitoring.base_predictions import with_base_predictions
from monitoring.collection.backfill import Taken, backfill, replay
from monitoring.collection.collector import collect
from monitoring.dashboard.app import create_app
from monitoring.diagnosis import reference
from monitoring.diagnosis.building import build
from monitoring.diagnosis.drift_history import drift_history
from monitoring.diagnosis.telling import as_json, imported_rows, kept_rows, lake_rows
from monitoring.errors import MonitoringError
from monitoring.logs import log_json_lines
from monitoring.measures.money import money_json
from monitoring.settings import Settings

NEW_UNTIL_WALKED = 500_000
"""Objects between two looks for rings of them: an event is some hundred small ones, and none is in a ring."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog="monitoring", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("collect", help="collect completed heats from the bus into the lake, until stopped")
    commands.add_parser("serve", help="serve the dashboard, JSON and metrics")
    filling = commands.add_parser(
        "backfill", help="take a file of completed heats (JSON lines) into the lake"
    )
    filling.add_argument("file", type=Path)
    commands.add_parser(
        "replay", help="read again what was kept aside; what is valid by now goes into the lake"
    )
    making = commands.add_parser(
        "reference", help="make a model's reference from the heats that it was trained on: those imported"
    )
    making.add_argument("--model-url", metavar="URL", help="a Model Service with that model, to be asked")
    making.add_argument(
        "--heats",
        type=Path,
        metavar="PARQUET",
        help="rows of the lake that the model learnt from, where not those imported: such as the ML pipeline "
        "keeps under the data_sha256 of release.json; with --model-url",
    )
    making.add_argument(
        "--output", type=Path, metavar="FILE", help="default: beside the lake, where `serve` looks for it"
    )
    telling = commands.add_parser(
        "diagnose", help="what changed: model, people, material or instruments; JSON"
    )
    telling.add_argument("--reference", type=Path, required=True, metavar="FILE")
    commands.add_parser(
        "money",
        help="what was saved against the handbook rule and what a model's bias costs, over all heats; JSON",
    )
    drifting = commands.add_parser(
        "drift", help="how the inputs have drifted, month by month, over all heats of the lake; JSON"
    )
    drifting.add_argument("--reference", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    command = options.command
    log_json_lines()
    try:
        settings = Settings()
        match command:
            case "collect":
                asyncio.run(_collect(settings))
            case "serve":
                _serve(settings)
            case "backfill":
                _tell(backfill(settings.lake, options.file))
            case "replay":
                _tell(replay(settings.lake))
            case "reference":
                if options.heats is not None and options.model_url is None:
                    parser.error("--heats needs --model-url: a Model Service predicts for them")
                print(_reference(settings, options.model_url, options.heats, options.output))
            case "diagnose":
                rows = lake_rows(settings.lake, settings.plant_id)
                print(as_json(rows, reference.read(options.reference)))
            case "money":
                rows = lake_rows(settings.lake, settings.plant_id)
                print(money_json(rows, settings.price_per_miss_per_t))
            case "drift":
                rows = lake_rows(settings.lake, settings.plant_id)
                drifted = drift_history(rows, reference.read(options.reference))
                print(msgspec.json.encode({"readings": drifted.rows(named=True)}).decode())
    except ValidationError as error:
        for problem in error.errors():
            print(f"MONITORING_{str(problem['loc'][0]).upper()}: {problem['msg']}", file=sys.stderr)
        return 2
    except MonitoringError as error:
        print(f"monitoring {command}: {error}", file=sys.stderr)
        return 1
    return 0


def _tell(taken: Taken) -> None:
    print(f"{taken.new} new, {taken.known} known already, {taken.refused} refused")


def _reference(settings: Settings, model_url: str | None, heats: Path | None, output: Path | None) -> Path:
    """Without a Model Service, the heats of the bus are taken with the predictions that they came with."""
    if model_url is None:
        rows = lake_rows(settings.lake, settings.plant_id)
        hashes = rows.select(pl.col("weighed_bundle_hash").drop_nulls().unique()).collect().to_series()
        bundle_hash = hashes[0] if hashes.len() == 1 else None
    else:
        learnt_from = kept_rows if heats else imported_rows
        rows, bundle_hash = with_base_predictions(
            learnt_from(heats or settings.lake, settings.plant_id), model_url
        )
    file = output or settings.references_folder / f"{bundle_hash}.json"
    reference.write(build(rows, bundle_hash), file)
    return file


async def _collect(settings: Settings) -> None:
    gc.set_threshold(NEW_UNTIL_WALKED)
    stop = asyncio.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    await collect(settings.lake, settings.nats_url, stop)


def _serve(settings: Settings) -> None:
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, log_level="warning")
