"""One import: a plant's extract and its mapping to rows of the lake. Importing the same extract again adds
nothing."""

import hashlib
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import orjson
import polars as pl

from ml_pipeline import lake
from ml_pipeline.errors import MappingError
from ml_pipeline.importing.catalogue import Catalogue, read_catalogue, restrict
from ml_pipeline.importing.mapping import FileOrder, Mapping, near
from ml_pipeline.importing.readings import mapped_columns, plausible_mass_t, read_heats
from ml_pipeline.importing.rows import given_pct, lake_rows, lot_versions
from ml_pipeline.importing.rule import handbook_rule, with_handbook
from ml_pipeline.importing.sanity import judge
from ml_pipeline.importing.table import Table, read_table, require_columns
from ml_pipeline.importing.windows import grade_windows

NAMESPACE = uuid.UUID("5d1f3f6e-5a39-5b52-9d0e-9b1a6f1c6c11")
READING_OF_ROWS = "1"
"""Raise it when the same row is read differently: then an import writes new revisions."""
KEY = ["heat_uid", "station", "treatment_no"]


class Imported(NamedTuple):
    """Rows for the lake, rows for the quarantine, and what the summary tells."""

    heats: pl.DataFrame
    quarantine: pl.DataFrame
    reasons: Counter[str]
    flaws: Counter[tuple[str, str]]
    additives: list[tuple[str, str]]
    derived_windows: dict[str, int]
    without_windows: dict[str, int]
    read: int
    notes: list[str]


class Written(NamedTuple):
    """What the lake took: new heats, new revisions of known heats, newly quarantined rows, version of the
    heats table."""

    new: int
    revised: int
    quarantined: int
    version: int


def read_extract(folder: Path, mapping: Mapping) -> Imported:
    """Read, judge and reshape an extract; pure but for reading its files.

    Raises MappingError where the mapping does not fit the files.
    """
    table = read_table(folder, mapping.heats)
    require_columns(table, mapped_columns(mapping.heats))
    catalogue = read_catalogue(folder, mapping.additives)
    _require_additives(mapping, catalogue)

    measured, flaws = read_heats(table.rows, mapping.heats)
    measured = measured.with_columns(_identities(table.rows, measured, mapping, folder))
    added = {c.removeprefix("added."): measured[c] for c in measured.columns if c.startswith("added.")}
    summed = {
        a
        for a, columns in mapping.heats.weighed.columns.items()
        if not isinstance(columns, str) and len(columns) > 1
    }
    catalogue = restrict(catalogue, mapping.additives, added, summed)

    verdict = judge(
        measured,
        given_pct(measured, catalogue, lot_versions(catalogue, measured["registered_at"])),
        plausible_mass_t(mapping.heats),
    )
    good = measured.filter(verdict["reason"].is_null()).sort("registered_at", maintain_order=True)
    windows = grade_windows(good, mapping.grades)
    unknown = good.filter(~pl.col("grade").is_in(list(windows.windows)))["grade"].value_counts(sort=True)
    rows = lake_rows(
        good, catalogue, windows.windows, mapping.plant_id, mapping.station, lake.polars_schema("heats")
    )
    if mapping.handbook:
        given = given_pct(good, catalogue, lot_versions(catalogue, good["registered_at"]))
        rule = handbook_rule(good, given, mapping.handbook)
        rows = with_handbook(rows, rule.entry)
        catalogue = catalogue._replace(
            notes=[
                *catalogue.notes,
                *((f"handbook recovery of {e}", f"derived: {r:g}") for e, r in rule.derived.items()),
            ]
        )
    quarantine = _quarantine(table, verdict, mapping.plant_id)
    reasons = Counter(r for r in verdict["reason"].to_list() if r is not None)
    if table.broken:
        reasons["another number of cells"] = len(table.broken)
    notes = []
    if isinstance(mapping.heats.time, FileOrder):
        notes.append(
            f"the extract has no times: heats are taken as {mapping.heats.time.spacing_min:g} min "
            "apart in the order of the file, "
            f"from {mapping.heats.time.start:%Y-%m-%d %H:%M}; only their order means something"
        )
    return Imported(
        rows,
        quarantine,
        reasons,
        flaws,
        catalogue.notes,
        windows.derived,
        dict(zip(unknown["grade"], unknown["count"], strict=True)),
        table.rows.height + len(table.broken),
        notes,
    )


def write_import(folder: lake.Lake, imported: Imported) -> Written:
    """Append what the lake at `folder` does not have yet. A known treatment with other content gets the next
    revision."""
    heats, revised = imported.heats, 0
    if lake.exists(folder, "heats"):
        known = lake.scan(folder, "heats")[0].select(*KEY, "revision", "event_id").collect()
        heats = heats.join(known, on="event_id", how="anti")
        newest = known.group_by(KEY).agg(known_revision=pl.col("revision").max())
        heats = heats.join(newest, on=KEY, how="left", maintain_order="left")
        revised = heats["known_revision"].count()
        now = datetime.now(UTC)
        heats = heats.with_columns(
            revision=pl.col("revision") + pl.col("known_revision").fill_null(0),
            available_at=pl.when(pl.col("known_revision").is_null())
            .then("available_at")
            .otherwise(pl.lit(now).cast(pl.Datetime("us", "UTC"))),
        ).drop("known_revision")
    quarantine = imported.quarantine
    if lake.exists(folder, "quarantine"):
        keys = ["where", "what", "row"]
        quarantine = quarantine.join(
            lake.scan(folder, "quarantine")[0].select(keys).collect(), on=keys, how="anti"
        )
    version = lake.append(folder, "heats", heats)
    lake.append(folder, "quarantine", quarantine)
    return Written(heats.height - revised, revised, quarantine.height, version)


def _require_additives(mapping: Mapping, catalogue: Catalogue) -> None:
    decided, steps = mapping.heats.decided, mapping.handbook.steps if mapping.handbook else []
    named = {
        "heats.weighed.columns": list(mapping.heats.weighed.columns),
        "heats.decided.columns": list(decided.columns) if decided else [],
        "handbook.steps": [additive for step in steps for additive in step.additives],
    }
    for where, additives in named.items():
        unknown = [a for a in additives if a not in catalogue.lots]
        if unknown:
            hints = [
                f"  {where}.{a}: no assay for {a!r} in `additives`; {near(a, list(catalogue.lots))}"
                for a in unknown
            ]
            raise MappingError("\n".join(["additions without an assay", *hints]))


def _identities(rows: pl.DataFrame, heats: pl.DataFrame, mapping: Mapping, folder: Path) -> list[pl.Series]:
    """heat_uid from plant, heat number and (where there is one) time; event_id also from the row's content
    and the mapping."""
    table = mapping.additives.table
    reading = hashlib.sha256(READING_OF_ROWS.encode() + mapping.model_dump_json().encode())
    reading.update((folder / table.file).read_bytes() if table else b"")
    seal = reading.hexdigest()
    timed = not isinstance(mapping.heats.time, FileOrder)
    # Without times a heat moves when rows are put before it; its place in the file is not its content.
    cells = rows.drop("line").select(pl.concat_str(pl.all().fill_null(""), separator="\x1f")).to_series()
    uids, events = [], []
    for heat_no, treatment_no, moment, content in zip(
        heats["heat_no"], heats["treatment_no"], heats["registered_at"], cells, strict=True
    ):
        uid = uuid.uuid5(
            NAMESPACE, f"{mapping.plant_id}\x1f{heat_no}\x1f{moment.isoformat() if timed and moment else ''}"
        )
        uids.append(str(uid))
        events.append(str(uuid.uuid5(uid, f"{mapping.station}\x1f{treatment_no}\x1f{seal}\x1f{content}")))
    ones = pl.Series("revision", [1] * heats.height, dtype=pl.Int32)
    return [
        pl.Series("heat_uid", uids, dtype=pl.String),
        pl.Series("event_id", events, dtype=pl.String),
        cells.alias("content"),
        ones,
        heats["completed_at"].alias("available_at"),
    ]


def _quarantine(table: Table, verdict: pl.DataFrame, plant_id: str) -> pl.DataFrame:
    bad = table.rows.with_columns(verdict).filter(pl.col("reason").is_not_null())
    cells = [c for c in table.rows.columns if c != "line"]
    rows = [
        orjson.dumps({k: v for k, v in row.items() if v is not None}).decode()
        for row in bad.select(cells).iter_rows(named=True)
    ]
    lines, what, allowed = bad["line"].to_list(), bad["what"].to_list(), bad["allowed"].to_list()
    for line, broken in table.broken:
        rows.append(orjson.dumps(broken).decode())
        lines.append(line)
        what.append(f"{len(broken)} cells")
        allowed.append(f"{len(cells)}, as the header has")
    return pl.DataFrame(
        {
            "quarantined_at": [datetime.now(UTC)] * len(rows),
            "origin": ["import"] * len(rows),
            "where": [f"{plant_id}: {table.name} line {line}" for line in lines],
            "what": what,
            "allowed": allowed,
            "row": rows,
        },
        schema=lake.polars_schema("quarantine"),
    )
