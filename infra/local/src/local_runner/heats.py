"""Plays heats, and checks that the lake holds every one of them exactly once."""

import http.client
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from local_runner.errors import HeatsMissing
from local_runner.folder import Remembered, remember
from local_runner.plan import Plan
from local_runner.processes import Command, Processes
from local_runner.progress import step
from local_runner.readiness import get_json, is_idle
from local_runner.settings import ENDLESS_HEATS

STANDSTILL_S = 60.0
NAMED_AT_MOST = 5


def play_command(plan: Plan, facts: Remembered) -> Command:
    """Return the command that plays on where the history, and the heats played before, have ended."""
    settings = plan.settings
    report_file(plan).unlink(missing_ok=True)
    endless = settings.heats >= ENDLESS_HEATS
    arguments = (
        *(
            "--seed",
            str(settings.seed),
            "--first-heat-no",
            str(1 + settings.history_heats + facts.heats_played),
        ),
        *("--heats", "0" if endless else str(settings.heats)),
        *("--heats-per-minute", str(settings.heats_per_minute), "--leave-every", str(settings.leave_every)),
        *("--nats-url", str(plan.urls["nats"]), "--backend-url", str(plan.urls["backend"])),
        *("--summary", str(report_file(plan))),
    )
    return plan.command("plant-simulator", "plant", "play", *arguments)


def remember_played(plan: Plan, facts: Remembered) -> None:
    """Note how many heats the plant has made, so that the next play goes on after them."""
    if report_file(plan).exists():
        facts.heats_played += int(json.loads(report_file(plan).read_text())["registered"])
        remember(plan.settings.demo_dir, facts)


def report_file(plan: Plan) -> Path:
    """Return where the plant writes what it did."""
    return plan.settings.demo_dir / "plant-report.json"


def play_to_the_end(plan: Plan, processes: Processes, facts: Remembered) -> dict[str, Any]:
    """Play the heats at full speed and return the plant's own report of what it did."""
    with step(f"play {plan.settings.heats:,} heats") as current:
        processes.run(play_command(plan, facts), current)
        report: dict[str, Any] = json.loads(report_file(plan).read_text())
        if not report["completed"] == len(report["treatments"]) == plan.settings.heats:
            raise HeatsMissing(f"The plant should complete {plan.settings.heats} heats, it says: {report}")
        current.note(f"{plan.settings.heats / max(current.elapsed_s, 1e-9):.0f} heats/s")
    return report


def wait_for_lake(plan: Plan, processes: Processes, treatments: Sequence[Mapping[str, Any]]) -> None:
    """Wait until the lake has each of `treatments` exactly once; raise `HeatsMissing` after a standstill."""
    waiting = {path_of(treatment) for treatment in treatments}
    wanted = len(waiting)
    doubled: list[str] = []
    with step(f"lake holds {wanted:,} treatments") as current:
        while waiting:
            before = len(waiting)

            def arrived(before: int = before) -> bool:
                for path in sorted(waiting):
                    found = _in_lake(plan, path)
                    if found is None:
                        break  # they arrive in order; ask again later
                    waiting.discard(path)
                    if found != 1:
                        doubled.append(path)
                return len(waiting) < before

            if not processes.wait(arrived, STANDSTILL_S, current, f"{wanted - before} of {wanted}"):
                break
        if waiting or doubled:
            raise HeatsMissing(_sentence(wanted, sorted(waiting), doubled))
        # Corrections come after the first result: wait until everybody has read everything.
        processes.wait(lambda: _is_settled(plan), STANDSTILL_S, current, "corrections")
        current.note("each exactly once")


def path_of(treatment: Mapping[str, Any]) -> str:
    """Return a treatment's key as a path."""
    keys = ("plant_id", "heat_uid", "station", "treatment_no")
    return "/".join(quote(str(treatment[key]), safe="") for key in keys)


def summary_lines(summary: Mapping[str, Any], report: Mapping[str, Any]) -> list[str]:
    """Return the screen that closes a demo: what the plant did and what monitoring says about it."""
    cost, position = summary.get("cost_per_t") or {}, summary.get("position") or {}
    lines = [
        f"plant       registered {report['registered']:,}   decided {report['decided']:,}"
        f"   weighed {report['weighed']:,}   completed {report['completed']:,}",
        f"lake        treatments {summary['heats']:,}   rows {summary['rows']:,}"
        f"   version {summary['lake_version']}   quarantined {summary['quarantined']:,}",
        f"stream      {position.get('stream')}   sequence {position.get('sequence')}"
        f"   behind {position.get('behind')}",
        f"in window   {_share(summary.get('in_window_rate'))} of {summary.get('in_window_n') or 0:,}"
        f"   overrides {_share(summary.get('override_rate'))} of {summary.get('decided_n') or 0:,}"
        f"   handbook answered {_share(summary.get('fallback_rate'))}",
        f"additives   {_number(cost.get('amount'), '.2f')} {cost.get('currency') or ''} per tonne",
        "",
        f"{'element':<10}{'heats':>8}{'mean abs. error %':>20}{'bias %':>12}{'90 % band holds':>18}",
    ]
    for element, row in sorted((summary.get("elements") or {}).items()):
        error, bias = _number(row["mae_pct"], ".4f"), _number(row["bias_pct"], "+.4f")
        lines.append(f"{element:<10}{row['n']:>8,}{error:>20}{bias:>12}{_share(row['coverage_90']):>18}")
    return lines


def _in_lake(plan: Plan, path: str) -> int | None:
    """Return how many rows of its revision in force the lake has; None where it has none (yet)."""
    try:
        row = get_json(f"{plan.urls['monitoring']}/api/v1/treatments/{path}")
    except (OSError, http.client.HTTPException):
        return None  # monitoring is starting again; the standstill counts
    return None if row is None else int(row["rows"]) - int(row["revision"]) + 1


def _is_settled(plan: Plan) -> bool:
    try:
        position = (get_json(f"{plan.urls['monitoring']}/api/v1/summary") or {}).get("position") or {}
    except (OSError, http.client.HTTPException):
        return False
    return is_idle(plan.ports.nats_monitor, "PLANT") and position.get("behind") == 0


def _sentence(wanted: int, missing: list[str], doubled: list[str]) -> str:
    parts = [f"The lake should hold {wanted} treatments exactly once."]
    for what, which in (("missing", missing), ("stored more often", doubled)):
        if which:
            more = f" and {len(which) - NAMED_AT_MOST} more" if len(which) > NAMED_AT_MOST else ""
            parts.append(f"{len(which)} {what}: {', '.join(which[:NAMED_AT_MOST])}{more}.")
    return " ".join(parts)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
