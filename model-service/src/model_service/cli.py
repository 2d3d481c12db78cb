"""Commands: serve a bundle (HTTP, stream), write the cold-start bundle, verify a bundle, print OpenAPI."""

import argparse
import gc
import logging
import math
import sys
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from model_service.app import create_app
from model_service.asgi import Limits
from model_service.bundle import load_bundle, package_sha256, read_manifest, write_bundle
from model_service.documents import pretty
from model_service.errors import ModelServiceError
from model_service.logs import log_json_lines
from model_service.manifest import Release
from model_service.openapi import document
from model_service.priors import golden_requests, prior_parameters
from model_service.settings import Settings
from model_service.stream import stream
from model_service.timing import timing

_log = logging.getLogger("model_service")


def main() -> None:
    """Run one command; expected errors end it with a message and exit code 1."""
    log_json_lines()
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except ModelServiceError as error:
        sys.exit(f"{error.title}: {error.detail}")
    except ValidationError as error:
        places = "; ".join(
            f"MODEL_SERVICE_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}"
            for fault in error.errors()
        )
        sys.exit(f"Settings: {places}")


def serve(_: argparse.Namespace) -> None:
    """Serve the bundle that MODEL_SERVICE_BUNDLE names, once it has reproduced its golden rows."""
    settings = Settings()  # type: ignore[call-arg]  # read from the environment
    bundle = load_bundle(settings.bundle, settings.image_digest)
    made_with = read_manifest(settings.bundle).model_service
    if made_with.source_sha256 != package_sha256():
        _log.warning("the bundle was made with other sources (%s); its golden rows agree", made_with.version)
    _log.info("model %s, bundle %s, port %d", bundle.version, bundle.bundle_hash[:12], settings.port)
    gc.collect()
    gc.freeze()  # the bundle stays, so that no later collection walks it in the middle of a request
    limits = Limits(settings.most_bytes, settings.time_limit_s)
    uvicorn.run(
        create_app(bundle, limits, settings.token.get_secret_value() if settings.token else None),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=math.ceil(settings.time_limit_s),
    )


def answer_stream(arguments: argparse.Namespace) -> None:
    """Answer JSON lines: a recommendation request each on standard input, its answer on standard output."""
    stream(load_bundle(arguments.bundle), sys.stdin.buffer, sys.stdout.buffer)


def priors(arguments: argparse.Namespace) -> None:
    """Write the cold-start bundle, which knows the literature and no heat."""
    bundle_hash = write_bundle(arguments.output, prior_parameters(), {}, golden_requests())
    release = Release(
        version="priors-1",
        created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        bundle_hash=bundle_hash,
        metrics={},
    )
    (arguments.output / "release.json").write_bytes(pretty(release))
    print(bundle_hash)


def verify(arguments: argparse.Namespace) -> None:
    """Load a bundle as `serve` would, and say what it is."""
    bundle = load_bundle(arguments.bundle)
    print(f"{bundle.bundle_hash} version {bundle.version}: checksums and golden rows agree")


def bench(arguments: argparse.Namespace) -> None:
    """Print as JSON how long a bundle takes to answer a file of requests, a line each, in this process."""
    bundle = load_bundle(arguments.bundle)
    bodies = arguments.requests.read_bytes().splitlines()
    gc.freeze()  # as `serve` does
    sys.stdout.buffer.write(pretty(timing(bundle, bodies, arguments.runs)))


def openapi(_: argparse.Namespace) -> None:
    """Print the OpenAPI document."""
    sys.stdout.buffer.write(pretty(document()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="model-service", description=__doc__)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("serve", help=serve.__doc__).set_defaults(run=serve)
    command = commands.add_parser("stream", help=answer_stream.__doc__)
    command.add_argument("--bundle", type=Path, required=True, help="folder that holds manifest.json")
    command.set_defaults(run=answer_stream)
    commands.add_parser("openapi", help=openapi.__doc__).set_defaults(run=openapi)
    command = commands.add_parser("priors", help=priors.__doc__)
    command.add_argument("--output", type=Path, required=True, help="new or empty folder")
    command.set_defaults(run=priors)
    command = commands.add_parser("bench", help=bench.__doc__)
    command.add_argument("--bundle", type=Path, required=True, help="folder that holds manifest.json")
    command.add_argument("--requests", type=Path, required=True, help="file of JSON lines")
    command.add_argument("--runs", type=int, default=1000)
    command.set_defaults(run=bench)
    command = commands.add_parser("verify", help=verify.__doc__)
    command.add_argument("bundle", type=Path, help="folder that holds manifest.json")
    command.set_defaults(run=verify)
    return parser
