"""Writes the rows of one lake again and again into another, under other ids and at later times, in the
table's own schema. A script of its own, for it needs the environment of the lake's writers (pyarrow):

    python repeated_heats.py SOURCE LAKE TREATMENTS            all at once
    python repeated_heats.py SOURCE LAKE more SECONDS          one row each so many seconds, until it is ended
"""

import sys
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, WriterProperties, write_deltalake

BETWEEN = timedelta(minutes=40)
WRITTEN = WriterProperties(compression="SNAPPY", max_row_group_size=1000)  # as monitoring writes


def fill(rows: pa.Table, lake: Path, treatments: int) -> None:
    taken = rows.group_by(["heat_uid", "station", "treatment_no"]).aggregate([]).num_rows
    for number in range(-(-treatments // taken)):
        write_deltalake(lake / "heats", copied(rows, number), mode="append", writer_properties=WRITTEN)


def go_on(rows: pa.Table, lake: Path, seconds: float) -> None:
    """One more heat each so many seconds, after all that are there."""
    copies = DeltaTable(lake / "heats").count() // rows.num_rows + 1
    more = copied(rows, copies)
    for row in range(more.num_rows):
        write_deltalake(lake / "heats", more.slice(row, 1), mode="append", writer_properties=WRITTEN)
        time.sleep(seconds)


def copied(rows: pa.Table, number: int) -> pa.Table:
    """The same heats for the n-th time: the times of the rows are later, those inside of lists are not."""
    lasts = pc.max(rows["available_at"]).as_py() - pc.min(rows["registered_at"]).as_py() + BETWEEN
    for at, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            later = pc.add(rows[field.name], pa.scalar(number * lasts, pa.duration("us")))
            rows = rows.set_column(at, field, later)
    first = number * rows.num_rows
    ids = {
        "heat_uid": pc.binary_join_element_wise(
            pc.utf8_slice_codeunits(rows["heat_uid"], 0, 24), f"{number:012x}", ""
        ),
        "event_id": pc.binary_join_element_wise(rows["event_id"], str(number), "/"),
        "stream": pa.array(["PRODUCT of the bench"] * rows.num_rows),
        "stream_seq": pa.array(range(first + 1, first + rows.num_rows + 1), pa.int64()),
        "plant_id": pa.array(["plant"] * rows.num_rows),
    }
    for name, values in ids.items():
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), values)
    return rows


if __name__ == "__main__":
    source, lake, *rest = sys.argv[1:]
    ordered = DeltaTable(Path(source) / "heats").to_pyarrow_table().sort_by("completed_at")
    if rest[0] == "more":
        go_on(ordered, Path(lake), float(rest[1]))
    else:
        fill(ordered, Path(lake), int(rest[0]))
