"""The command line: `local-runner demo`, `loop`, `front`, `doctor`."""

import argparse
import os
import signal
import sys
from pathlib import Path

from local_runner.demo import demo
from local_runner.doctor import problems
from local_runner.errors import AlreadyRunning, PortTaken, RunnerError, StopAsked
from local_runner.front import serve
from local_runner.loop import STORIES, loop
from local_runner.progress import say
from local_runner.settings import read_settings


def main() -> int:
    """Run a command and return its exit code: 0 done (or stopped by a person), 1 failed."""
    parser = argparse.ArgumentParser(prog="local-runner", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "demo", help="start the whole product on this machine; settings come from the environment"
    )
    run.add_argument("--root", type=Path, default=Path.cwd(), help="the repository's root")
    commands.add_parser("doctor", help="say what this machine lacks")
    telling = commands.add_parser("loop", help="the story of the loop; exit code 1 where a stage is missing")
    telling.add_argument("--root", type=Path, default=Path.cwd(), help="the repository's root")
    telling.add_argument("--scenario", default="story", choices=sorted(STORIES))
    fronting = commands.add_parser("front", help="the fixed addresses of the Model Service")
    fronting.add_argument("--program", required=True)
    fronting.add_argument("--models", type=Path, required=True)
    fronting.add_argument("--live-port", type=int, required=True)
    fronting.add_argument("--shadow-port", type=int, required=True)
    arguments = parser.parse_args()
    if arguments.command == "front":
        return serve(arguments.program, arguments.models, arguments.live_port, arguments.shadow_port)

    missing = problems()
    for sentence in missing:
        print(sentence, file=sys.stderr)
    if missing or arguments.command == "doctor":
        return 1 if missing else 0
    try:
        settings = read_settings(os.environ, arguments.root.resolve())
    except RunnerError as error:
        return _told(error)
    try:
        if arguments.command == "loop":
            loop(settings, dict(os.environ), arguments.scenario)
        else:
            demo(settings, dict(os.environ))
    except StopAsked as stop:
        say(f"   stopped by {signal.Signals(stop.signal_number).name}; the next start goes on from here")
        return 128 + stop.signal_number if settings.headless else 0
    except (AlreadyRunning, PortTaken) as error:
        return _told(error)
    except RunnerError as error:
        return _told(error, f"The data is kept; to begin anew remove {settings.demo_dir}")
    return 0


def _told(error: RunnerError, advice: str = "") -> int:
    print(f"\n{type(error).__name__}: {error}\n{advice}".rstrip(), file=sys.stderr, flush=True)
    return 1
