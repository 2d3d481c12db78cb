"""Plays heats, and checks that the lake holds every one of them exactly once."""

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from local_runner.access import token
from local_runner.errors import HeatsMissing
from local_runner.folder import Remembered, remember
from local_runner.plan import Plan
from local_runner.processes import Command, Processes
from local_runner.progress import Step, step
from local_runner.readiness import get_json, is_idle
from local_runner.settings import ENDLESS_HEATS

STANDSTILL_S = 60.0
QUIET_S = 1.0
COUNTS_AT_MOST = 3
NAMED_AT_MOST = 5


class LakeCount(NamedTuple):
    """Treatments from the bus, and rows, that the lake has."""

    treatments: int
    rows: int


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
    command = plan.command("plant-simulator", "plant", "play", *arguments)
    known_by = {"PLANT_SIMULATOR_BACKEND_TOKEN": token(settings.demo_dir, "plant-simulator")}
    return replace(command, settings={**command.settings, **known_by})


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


def lake_count(plan: Plan) -> LakeCount:
    """Return how much came over the bus into the lake so far, by monitoring's summary."""
    summary = get_json(f"{plan.urls['monitoring']}/api/v1/summary") or {}
    return LakeCount(int(summary["heats"]), int(summary["rows"]))


def wait_for_lake(
    plan: Plan, processes: Processes, treatments: Sequence[Mapping[str, Any]], before: LakeCount
) -> None:
    """Wait until the lake has each of `treatments` exactly once; raise `HeatsMissing` after a standstill.

    Exactly once: each is found, and the lake has grown by as many treatments and a row per revision.
    """
    wanted = sorted({path_of(treatment) for treatment in treatments})
    with step(f"lake holds {len(wanted):,} treatments") as current:
        # Corrections come after the first result: count when everybody has read everything, and once more
        # where one came while we counted.
        for _ in range(COUNTS_AT_MOST):
            _wait_until_settled(plan, processes, current, before.treatments + len(wanted))
            revisions = [_revision(plan, path) for path in wanted]
            known = [revision for revision in revisions if revision is not None]
            expected = LakeCount(before.treatments + len(wanted), before.rows + sum(known))
            if len(known) == len(wanted) and lake_count(plan) == expected:
                current.note(f"each exactly once, and {sum(known) - len(known)} corrections")
                return
        missing = [path for path, revision in zip(wanted, revisions, strict=True) if revision is None]
        if missing:
            raise HeatsMissing(
                _sentence(f"The lake lacks {len(missing)} of {len(wanted)} treatments", missing)
            )
        found = lake_count(plan)
        raise HeatsMissing(
            f"The lake should hold {expected.treatments} treatments in {expected.rows} rows,"
            f" it holds {found.treatments} in {found.rows}."
        )


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


def _revision(plan: Plan, path: str) -> int | None:
    """Return the revision of a treatment that the lake has, None where it has none."""
    row = get_json(f"{plan.urls['monitoring']}/api/v1/treatments/{path}")
    return None if row is None else int(row["revision"])


def _wait_until_settled(plan: Plan, processes: Processes, current: Step, treatments: int) -> None:
    """Wait until the lake has `treatments` and nothing moves any more, or nothing has moved for too long."""
    seen: LakeCount | None = None
    quiet_since = time.monotonic()
    while (quiet_s := time.monotonic() - quiet_since) < STANDSTILL_S:
        try:
            summary = get_json(f"{plan.urls['monitoring']}/api/v1/summary") or {}
        except (OSError, http.client.HTTPException):
            summary = {}  # monitoring is starting again; the standstill counts
        now = LakeCount(summary.get("heats", 0), summary.get("rows", 0))
        has_read_all = (summary.get("position") or {}).get("behind") == 0
        if now != seen:
            seen, quiet_since = now, time.monotonic()
        elif (
            now.treatments >= treatments
            and has_read_all
            and quiet_s > QUIET_S
            and is_idle(plan.ports.nats_monitor, "PLANT")
        ):
            return
        processes.pause()
        current.tick(f"{treatments - now.treatments} to come")


def _sentence(what: str, which: Sequence[str]) -> str:
    more = f" and {len(which) - NAMED_AT_MOST} more" if len(which) > NAMED_AT_MOST else ""
    return f"{what}: {', '.join(which[:NAMED_AT_MOST])}{more}."


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
