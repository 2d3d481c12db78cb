"""The ledger: what was decided of which model version, by whom, when, why, on what evidence.

A file of JSON lines in the artifact store that is only ever appended to. Every entry carries the hash of the
line before it, so an entry that was changed or taken out is found by reading.
"""

import fcntl
import getpass
import hashlib
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from ml_pipeline.errors import RegistryError

START = "0" * 64


def append(
    ledger: Path, what: str, version: str | None, who: str, why: str, evidence: Mapping[str, object]
) -> dict[str, Any]:
    """Append an entry and return it; on disk when this returns. Raises RegistryError where the chain is
    broken."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        lines = file.read().splitlines()
        entries(ledger)
        entry = {
            "number": len(lines) + 1,
            "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "what": what,
            "version": version,
            "who": who,
            "why": why,
            "evidence": dict(evidence),
            "previous_sha256": hashlib.sha256(lines[-1]).hexdigest() if lines else START,
        }
        file.write(orjson.dumps(entry, option=orjson.OPT_SORT_KEYS) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return entry


def entries(ledger: Path) -> list[dict[str, Any]]:
    """All entries, oldest first. Raises RegistryError with the line where the chain is broken."""
    if not ledger.exists():
        return []
    found, previous = [], START
    for number, line in enumerate(ledger.read_bytes().splitlines(), start=1):
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise RegistryError(f"{ledger}: line {number} is no entry: {error}") from error
        if entry["previous_sha256"] != previous or entry["number"] != number:
            raise RegistryError(
                f"{ledger}: line {number} does not follow the line before it; a line was changed or taken out"
            )
        found.append(entry)
        previous = hashlib.sha256(line).hexdigest()
    return found


def table(found: list[dict[str, Any]]) -> str:
    """The entries for a person."""
    lines = [
        f"{e['at']}  {e['what']:<11s} {'version ' + e['version'] if e['version'] else 'no version':<12s} "
        f"by {e['who']}: {e['why']}"
        for e in found
    ]
    return "\n".join(lines) or "no entries yet"


def somebody() -> str:
    """The user and machine this runs as; a CI job sets ML_PIPELINE_WHO instead."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
