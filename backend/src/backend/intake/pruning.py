"""Forget the ids of events that were heard long ago, a few thousand at a time.

An id is kept against a message that comes twice. One that came again after its id was forgotten would still
change nothing: every fact knows by itself that it is old, by its revision or by the time it tells of.
"""

from datetime import datetime

from sqlalchemy import Engine, bindparam, delete, select

from backend.database import run, table_of, write
from backend.intake.tables import ReceivedEvent
from backend.prepared import Prepared

EVENTS = table_of(ReceivedEvent)
AT_ONCE = 2_000

_OLDEST = (
    select(EVENTS.c.event_id)
    .where(EVENTS.c.received_at < bindparam("before"))
    .order_by(EVENTS.c.received_at)
    .limit(bindparam("most"))
)
_FORGET = Prepared(delete(EVENTS).where(EVENTS.c.event_id.in_(_OLDEST)))


def forget(engine: Engine, before: datetime) -> int:
    """Forget what was heard before then; how many. In short transactions: heats do not wait for it."""
    forgotten = 0
    while True:
        now_gone = write(
            engine, lambda session: run(session, _FORGET, {"before": before, "most": AT_ONCE}).rowcount
        )
        forgotten += now_gone
        if now_gone < AT_ONCE:
            return forgotten
