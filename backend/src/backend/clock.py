"""Time and identifiers: UTC always, as RFC 3339 with Z; identifiers that sort by when they were made."""

import os
import time
from datetime import UTC, datetime
from uuid import UUID


def now() -> datetime:
    return datetime.now(UTC)


def instant_text(instant: datetime) -> str:
    """The instant as the contracts write it, for example 2026-03-02T06:00:00.25Z."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def new_id() -> str:
    """A UUID of version 7 (RFC 9562): an index grows at its end, however many rows there are."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))
