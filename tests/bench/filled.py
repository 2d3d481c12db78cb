"""A database with a million heats in it: copies of one that was lived through, straight into its tables.

The copies carry short documents, so that the file stays at a few gigabytes; every index has all of its rows.
"""

import sqlite3
from pathlib import Path

CHUNK = 50_000
UUID = "lower(hex(randomblob(4))||'-'||hex(randomblob(2))||'-4'||substr(hex(randomblob(2)),2)||'-8'||" + (
    "substr(hex(randomblob(2)),2)||'-'||hex(randomblob(6)))"
)
HEAT = """json_object('treatment', json_object('plant_id', h.plant_id, 'heat_uid', 'x', 'station', h.station,
 'treatment_no', 1), 'grade', h.grade, 'revision', 1, 'steel_mass_t', 120.0, 'windows', json_object(),
 'chemistry', json_object())"""
# Table to the columns that a copy does not take over; `?1` is the new heat's id, `h` the heat it copies.
OTHER = {
    "heats": {
        "id": "n.id",
        "heat_uid": UUID,
        "heat_no": "'F'||n.id",
        "told": HEAT,
        "heat": HEAT,
        "recommendation_id": "'r'||n.id",
        "decision_id": "'d'||n.id",
        "changed_at": "datetime(h.changed_at, '-'||(2000000 - n.id)||' seconds')",
        "registered_at": "datetime(h.registered_at, '-'||(2000000 - n.id)||' seconds')",
        "available_at": "datetime(h.available_at, '-'||(2000000 - n.id)||' seconds')",
        "completed_at": "datetime(h.completed_at, '-'||(2000000 - n.id)||' seconds')",
    },
    "recommendations": {
        "id": "NULL",
        "recommendation_id": "'r'||n.id",
        "heat_id": "n.id",
        "answer": "NULL",
        "additives": "'[]'",
        "handbook_entry": "NULL",
    },
    "decisions": {"id": "NULL", "decision_id": "'d'||n.id", "heat_id": "n.id"},
    "samples": {"id": "NULL", "heat_id": "n.id"},
    "weighed_additions": {"id": "NULL", "heat_id": "n.id"},
    "predictions": {"heat_id": "n.id", "body": "NULL"},
    "completions": {
        "heat_id": "n.id",
        "completed_at": "datetime(h.completed_at, '-'||(2000000 - n.id)||' seconds')",
        "recent_heat": "NULL",
    },
}


def fill(database: Path, heats: int) -> None:
    """Bring the table of heats to at least so many rows; nobody else may use the database meanwhile."""
    connection = sqlite3.connect(database, timeout=60, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    (template,) = connection.execute(
        "SELECT max(id) FROM heats WHERE state = 'completed' AND decision_id IS NOT NULL"
    ).fetchone()
    (last,) = connection.execute("SELECT max(id) FROM heats").fetchone()
    for first in range(last + 1, heats + 1, CHUNK):
        end = min(first + CHUNK - 1, heats)
        connection.execute("BEGIN IMMEDIATE")
        for table in OTHER:
            connection.execute(_copy(connection, table), (first, end, template))
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _copy(connection: sqlite3.Connection, table: str) -> str:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(OTHER[table].get(column, f"t.{column}") for column in columns)
    own = "t.id" if table == "heats" else "t.heat_id"
    return (
        f"WITH RECURSIVE n(id) AS (SELECT ?1 UNION ALL SELECT id + 1 FROM n WHERE id < ?2) "  # noqa: S608
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM n, {table} t "
        f"JOIN heats h ON h.id = ?3 WHERE {own} = ?3"
    )
