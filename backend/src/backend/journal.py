"""SQLite's journal, brought into the database file beside the writers.

Left to itself SQLite does this inside a commit: whoever's turn it is then, and all who wait, wait for the
whole of it to be on the disk, every second or so under load. Here the long part is done while others write,
and only what came meanwhile while they wait, after which the journal begins anew.
"""

from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine

from backend.database import turn_of

WORTH_IT_BYTES = 2_000_000
CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"


def checkpoint(engine: Engine) -> bool:
    """Bring the journal into the database where it has grown; whether it had.

    PostgreSQL does so by itself.
    """
    turn = turn_of(engine)
    journal = Path(f"{engine.url.database}-wal")
    if turn is None or not journal.exists() or journal.stat().st_size < WORTH_IT_BYTES:
        return False
    with closing(engine.raw_connection()) as connection:
        driver = connection.driver_connection
        if driver is None:
            return False
        driver.execute(CHECKPOINT).fetchall()
        with turn():
            driver.execute(CHECKPOINT).fetchall()
    return True
