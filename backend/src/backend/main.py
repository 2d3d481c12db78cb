"""The commands; `backend --help` names them all."""

import argparse
import asyncio
import gc
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import orjson
import uvloop
from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from backend import backup, completed_heats, metrics, migrations
from backend.access import accounts
from backend.clock import now
from backend.consumer import consume
from backend.database import open_engine, reading, writing
from backend.errors import BackendError, validate
from backend.intake import pruning
from backend.logs import log_json_lines
from backend.master_data import kept
from backend.master_data import service as master_data
from backend.master_data.schemas import MasterData
from backend.model_client import ModelClient
from backend.publisher import publish
from backend.settings import Settings
from backend.worker import Worker

# A heat is hundreds of small dicts, and none of them is part of a ring: they go by themselves.
NEW_UNTIL_WALKED = 50_000


def main() -> None:
    given = _arguments()
    log_json_lines()
    for noisy in ("httpx", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        run(given, Settings())
    except ValidationError as invalid:
        errors = invalid.errors(include_input=False)
        sys.exit("\n".join(f"BACKEND_{str(error['loc'][0]).upper()}: {error['msg']}" for error in errors))
    except OperationalError as away:
        sys.exit(f"BACKEND_DATABASE_URL: {away.orig}; allowed: a database that can be opened")
    except BackendError as refused:
        sys.exit(
            "\n".join(f"{error.where}: {error.what}; allowed: {error.allowed}" for error in refused.errors)
        )


def run(given: argparse.Namespace, settings: Settings) -> None:
    url = settings.database_url.get_secret_value()
    if given.command == "migrate":
        migrations.upgrade(url)
        return
    engine = open_engine(url)
    if given.command == "openapi":
        _print_openapi(settings, engine)
        return
    migrations.check_current(engine)
    match given.command:
        case "import":
            new = validate(MasterData, _read_json(given.file))
            with writing(engine) as session:
                master_data.replace(session, new, settings.plant_id)
        case "export":
            with reading(engine) as session:
                document = kept.document(session, settings.plant_id)
            given.file.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        case "export-heats":
            done = completed_heats.export(engine, given.file, given.since)
            print(f"{done.written} completed heats, {done.waiting} are being corrected")
        case "backup":
            print(f"{backup.back_up(engine, given.file)} rows")
        case "restore":
            print(f"{backup.restore(engine, given.file)} rows")
        case "prune":
            before = now() - timedelta(days=settings.event_ids_kept_days)
            print(f"{pruning.forget(engine, before)} ids of messages")
        case "user" | "token" | "access":
            accounts.run(given, engine)
        case "serve":
            _serve(settings, engine)
        case "consume":
            metrics.show(settings.host, settings.metrics_port)
            uvloop.run(_until_signal(_consumer(settings, engine)))
        case "publish":
            metrics.show(settings.host, settings.metrics_port)
            uvloop.run(_until_signal(partial(publish, engine, settings.nats_url)))
    engine.dispose()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="backend", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the database to this version's tables")
    importing = commands.add_parser(
        "import", help="put master data (master-data.v1, JSON) in place of what is kept"
    )
    importing.add_argument("file", type=Path)
    for name, does in (
        ("export", "write the master data that is kept, as import reads it"),
        ("backup", "write the whole database to one file"),
        ("restore", "put a backup into an empty database of the same version"),
    ):
        commands.add_parser(name, help=does).add_argument("file", type=Path)
    heats = commands.add_parser(
        "export-heats",
        help="write every completed heat as it was told last, an event a line, for `monitoring backfill`",
    )
    heats.add_argument("file", type=Path)
    heats.add_argument(
        "--since",
        type=_instant,
        default=completed_heats.EVER,
        metavar="TIME",
        help="of completion, such as 2026-03-01T06:00Z",
    )
    commands.add_parser("prune", help="forget the ids of messages that are old; `consume` does it every hour")
    accounts.add_commands(commands)
    commands.add_parser("serve", help="REST and pages")
    commands.add_parser("consume", help="take what the plant tells from the bus, and make recommendations")
    commands.add_parser("publish", help="put the product's events on the bus")
    commands.add_parser("openapi", help="print the OpenAPI description")
    return parser.parse_args()


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no time zone; allowed: a time that ends in Z")
    return found


def _serve(settings: Settings, engine: Engine) -> None:
    # Loaded here, so that consumer and publisher start without a web framework.
    import uvicorn

    from backend.app import create_app

    app = create_app(settings, engine)
    _keep_what_is_loaded()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=2,  # pages listen for news as long as they are let
    )


def _keep_what_is_loaded() -> None:
    """Have the collector of garbage walk what is new only, and seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_UNTIL_WALKED)


def _print_openapi(settings: Settings, engine: Engine) -> None:
    from backend.app import create_app

    print(json.dumps(create_app(settings, engine).openapi(), indent=2, ensure_ascii=False))


def _consumer(settings: Settings, engine: Engine) -> Callable[[asyncio.Event], Awaitable[None]]:
    timeout_s, url = settings.model_timeout_s, settings.model_shadow_url
    live = ModelClient(str(settings.model_live_url), timeout_s, settings.model_live_token)
    shadow = None if url is None else ModelClient(str(url), timeout_s, settings.model_shadow_token)
    worker = Worker(engine, live, shadow, settings.plant_id)
    keep_ids = timedelta(days=settings.event_ids_kept_days)
    return partial(consume, engine, worker, settings.nats_url, settings.plant_id, keep_ids=keep_ids)


async def _until_signal(run_until: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _keep_what_is_loaded()
    await run_until(stop)


def _read_json(file: Path) -> object:
    try:
        return orjson.loads(file.read_bytes())
    except OSError as missing:
        raise BackendError(
            where=str(file), what=str(missing.strerror), allowed="a file that can be read"
        ) from None
    except orjson.JSONDecodeError as broken:
        raise BackendError(
            where=str(file), what=f"not JSON: {broken}", allowed="master-data.v1 in JSON"
        ) from None


if __name__ == "__main__":
    main()
