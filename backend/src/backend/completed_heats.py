"""Every completed heat as the event that told of it last, a line each: for whoever has no bus, or came later.

As `product.heat.completed.v1` is on the bus, in an envelope of its own: who has the heat already knows it by
its treatment and revision. Revisions that were corrected since are not kept, and not told.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import orjson
from sqlalchemy import Engine, bindparam, select

from backend.completions import service as completions
from backend.database import reading, run
from backend.events import HEAT_COMPLETED, product_event
from backend.heats import rows
from backend.heats.rows import HEATS
from backend.prepared import Prepared

AT_ONCE = 500
EVER = datetime(1, 1, 1, tzinfo=UTC)

_NEXT = Prepared(
    select(HEATS.c.id)
    .where(HEATS.c.id > bindparam("after"), HEATS.c.completed_at >= bindparam("since"))
    .order_by(HEATS.c.id)
    .limit(AT_ONCE)
)


class Exported(NamedTuple):
    """Heats that were written, and those that are told on the bus in a moment, being corrected just now."""

    written: int
    waiting: int


def export(engine: Engine, file: Path, since: datetime) -> Exported:
    """Write those completed since then, in the order in which they were registered; whole or not at all."""
    part = file.with_name(f"{file.name}.part")
    written = waiting = 0
    with part.open("wb") as lines:
        for event in _events(engine, since):
            if event is None:
                waiting += 1
            else:
                lines.write(event + b"\n")
                written += 1
    part.replace(file)
    return Exported(written, waiting)


def _events(engine: Engine, since: datetime) -> Iterator[bytes | None]:
    """One heat after the other, some in a transaction: the plant goes on meanwhile."""
    last = 0
    while True:
        with reading(engine) as session:
            ids = run(session, _NEXT, {"after": last, "since": since}).scalars()
            for heat_id in ids:
                record = rows.get(session, heat_id)
                data = completions.told(session, record)
                event = data and product_event(HEAT_COMPLETED, record.treatment(), data)
                yield orjson.dumps(event) if event else None
        if len(ids) < AT_ONCE:
            return
        last = ids[-1]
