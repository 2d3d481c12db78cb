"""Delta tables: schema, position, compaction."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType

from monitoring.errors import PositionMovedError, UnreadableLakeError
from monitoring.lake import tables
from monitoring.lake.tables import append, compact, find_table, open_table, position, scan
from tests.generator import CONTRACTS, completed
from tests.lake_rows import as_row

PACKAGE = Path(tables.__file__).parent


@pytest.mark.parametrize("name", ["heats", "quarantine"])
def test_the_shipped_schema_is_the_contract_byte_for_byte(name: str) -> None:
    file = f"{name}.v1.delta-schema.json"

    assert (PACKAGE / file).read_bytes() == (CONTRACTS / "lake" / file).read_bytes()


@pytest.mark.parametrize("name", tables.TABLES)
def test_a_table_is_made_with_the_contracts_schema_and_keeps_its_past(
    name: tables.TableName, lake: Path
) -> None:
    table = open_table(lake, name)

    assert table.schema().to_json() == tables.delta_schema(name).to_json()
    assert table.metadata().configuration == tables.RETENTION
    assert open_table(lake, name).version() == 0


def test_rows_and_position_are_one_commit(lake: Path) -> None:
    heats = open_table(lake, "heats")
    append(heats, [as_row(completed(1), 4)], stream="PRODUCT then", after=0, upto=7)

    stored = DeltaTable(lake / "heats")
    assert (stored.version(), stored.count(), position(stored, "PRODUCT then")) == (1, 1, 7)
    assert position(stored, "PRODUCT later") == 0
    assert position(DeltaTable(lake / "heats", version=0), "PRODUCT then") == 0


def test_a_position_that_moved_commits_nothing(lake: Path) -> None:
    early, late = open_table(lake, "heats"), open_table(lake, "heats")
    append(early, [as_row(completed(1))], stream="PRODUCT then", after=0, upto=1)

    with pytest.raises(PositionMovedError):  # not seen yet: Delta finds the conflict
        append(late, [as_row(completed(1))], stream="PRODUCT then", after=0, upto=1)
    with pytest.raises(PositionMovedError):  # seen: the position differs
        append(early, [as_row(completed(1))], stream="PRODUCT then", after=0, upto=1)
    assert DeltaTable(lake / "heats").count() == 1


def test_compaction_keeps_rows_positions_and_old_versions(lake: Path) -> None:
    heats = open_table(lake, "heats")
    for number in range(1, 7):
        append(heats, [as_row(completed(number), number)], stream="S", after=number - 1, upto=number)

    assert compact(heats.table_uri) == 5

    after = DeltaTable(lake / "heats")
    assert len(after.file_uris()) == 1
    assert sorted(scan(after).collect()["stream_seq"]) == [1, 2, 3, 4, 5, 6]
    assert position(after, "S") == 6
    assert DeltaTable(lake / "heats", version=3).to_pyarrow_table().num_rows == 3
    append(heats, [as_row(completed(7), 7)], stream="S", after=6, upto=7)
    assert DeltaTable(lake / "heats").count() == 7


def test_the_position_outlives_a_checkpoint(lake: Path) -> None:
    heats = open_table(lake, "heats")
    append(heats, [], stream="S", after=0, upto=5)
    heats.create_checkpoint()

    assert position(DeltaTable(lake / "heats"), "S") == 5


def test_a_table_of_another_schema_is_named(lake: Path) -> None:
    DeltaTable.create(lake / "heats", Schema([Field("event_id", PrimitiveType("long"))]))

    for door in (open_table, find_table):
        with pytest.raises(UnreadableLakeError) as found:
            door(lake, "heats")
        assert "event_id" in found.value.what
        assert found.value.where == str(lake / "heats")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UnreadableLakeError) as found:
        open_table(tmp_path / "file", "heats")
    assert str(tmp_path / "file") in found.value.where


def test_a_table_that_others_made_keeps_its_past_too(lake: Path) -> None:
    lake.mkdir(parents=True)
    configuration = {"delta.logRetentionDuration": "interval 9 days"}
    DeltaTable.create(lake / "heats", tables.delta_schema("heats"), configuration=configuration)
    tables.keep_past(open_table(lake, "heats"))

    found = open_table(lake, "heats").metadata().configuration
    assert found == tables.RETENTION | configuration


def test_there_may_be_no_table_yet(lake: Path) -> None:
    assert find_table(lake, "heats") is None
    assert not lake.exists()


def without(name: str) -> Schema:
    """The contract's schema before a column was added to it."""
    return Schema([column for column in tables.delta_schema("heats").fields if column.name != name])


def test_a_table_from_before_a_column_was_added_is_read_as_it_is(lake: Path) -> None:
    DeltaTable.create(lake / "heats", without("image_digest"))

    found = find_table(lake, "heats")

    assert found is not None
    assert scan(found).select("image_digest", "event_id").collect().height == 0
    assert found.version() == 0


def test_a_table_from_before_a_column_was_added_gets_it_when_it_is_written_to(lake: Path) -> None:
    DeltaTable.create(lake / "heats", without("image_digest"))

    heats = open_table(lake, "heats")
    append(heats, [as_row(completed(1))], stream="S", after=0, upto=1)

    assert scan(DeltaTable(lake / "heats")).select("image_digest").collect().height == 1


def test_a_table_that_lacks_what_may_not_be_null_is_refused(lake: Path) -> None:
    DeltaTable.create(lake / "heats", without("event_id"))

    for door in (open_table, find_table):
        with pytest.raises(UnreadableLakeError, match="event_id"):
            door(lake, "heats")


def test_vacuum_keeps_what_may_still_be_asked_for_and_deletes_the_rest(lake: Path) -> None:
    heats = open_table(lake, "heats")
    for number in range(1, 4):
        append(heats, [as_row(completed(number), number)], stream="S", after=number - 1, upto=number)
    compact(heats.table_uri)

    assert tables.vacuum(heats.table_uri) == 0
    assert DeltaTable(lake / "heats", version=2).to_pyarrow_table().num_rows == 2

    DeltaTable(lake / "heats").alter.set_table_properties(
        {"delta.deletedFileRetentionDuration": "interval 0 seconds"}
    )
    assert tables.vacuum(heats.table_uri) == 3
    assert DeltaTable(lake / "heats").count() == 3


def test_one_heat_can_be_read_without_those_around_it(lake: Path) -> None:
    rows = [as_row(completed(number), number) for number in range(1, 2502)]
    append(open_table(lake, "heats"), rows, stream="PRODUCT then", after=0, upto=len(rows))
    append(open_table(lake, "heats"), rows[:1], stream="PRODUCT now", after=0, upto=1)
    compact(str(lake / "heats"))

    (file,) = open_table(lake, "heats").file_uris()
    groups = pq.read_metadata(file)
    assert max(groups.row_group(n).num_rows for n in range(groups.num_row_groups)) == 1000
    assert {groups.row_group(0).column(n).compression for n in range(groups.num_columns)} == {"SNAPPY"}
