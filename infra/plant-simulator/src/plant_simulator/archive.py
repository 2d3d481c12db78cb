"""Many heats as Parquet: what the plant knows in one folder, the hidden truth in another.

One row per treatment (heat and station); both tables have the keys `line`, `heat_no`, `station`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from plant_simulator.bulk import Block, Station
from plant_simulator.catalogue import LADLE_FURNACE, TAPPING, Catalogue
from plant_simulator.elements import ELEMENTS
from plant_simulator.tables import rows
from plant_simulator.tapping import HiddenResults

OBSERVED, TRUTH, LOTS = "observed.parquet", "truth.parquet", "lots.parquet"
Columns = dict[str, npt.NDArray[Any] | pa.Array]


def write(plant: Catalogue, blocks: Iterable[Block], folder: Path, at_most: int | None = None) -> int:
    """Write observed.parquet, lots.parquet and hidden/truth.parquet, block by block; returns the heats, no
    more than `at_most`.
    """
    (folder / "hidden").mkdir(parents=True, exist_ok=True)
    writers: dict[Path, pq.ParquetWriter] = {}
    heats, known = 0, set[tuple[int, int, int]]()
    try:
        for whole in blocks:
            left = None if at_most is None else at_most - heats
            block = rows(whole, slice(0, left))
            heats += len(block.heats.hidden.heat_no)
            tables = (
                (folder / OBSERVED, _both(observed(plant, block, s) for s in (TAPPING, LADLE_FURNACE))),
                (folder / "hidden" / TRUTH, _both(truth(plant, block, s) for s in (TAPPING, LADLE_FURNACE))),
                (folder / LOTS, lots(plant, block, known)),
            )
            for path, table in tables:
                if path not in writers:
                    writers[path] = pq.ParquetWriter(
                        path, table.schema, compression="zstd", compression_level=1
                    )
                writers[path].write_table(table)
    finally:
        for writer in writers.values():
            writer.close()
    return heats


def observed(plant: Catalogue, block: Block, station: str) -> pa.Table:
    """What the plant knows of the treatments at a station; null is not measured."""
    at = block.tapping if station == TAPPING else block.ladle
    seen, reports = at.before, block.heats.reporting
    told = reports.tapping if station == TAPPING else reports.ladle
    columns: Columns = {
        **_keys(block, station),
        "grade": _names([g.grade for g in plant.grades], seen.grade),
        "is_al_killed": seen.is_al_killed == 1,
        "is_first_of_campaign": seen.is_first_of_campaign,
        "crew": block.heats.tempers.crew,
        "steel_mass_t": seen.steel_mass_t,
        "temperature_c": seen.temperature_c,
        "oxygen_ppm": seen.oxygen_ppm,
        "carry_over_kg_t": seen.carry_over_kg_t,
        "slag_feo_pct": seen.slag_feo_pct,
        "slag_mno_pct": seen.slag_mno_pct,
        "taphole_heats": seen.taphole_heats,
        "is_late": told.is_late,
        "is_twice": told.is_twice,
        "is_corrected": told.is_corrected,
        **_per("before_pct", ELEMENTS, seen.chemistry_pct),
        **_per("before_is_below", ELEMENTS, seen.is_below),
        **_per("decided_kg", plant.additive_names, at.decided_kg),
        **_per("weighed_kg", plant.additive_names, at.after.weighed_kg),
        **_per("lot_no", plant.additive_names, seen.lot_no),
        **_per("is_offered", plant.additive_names, seen.is_offered),
        **_per("price_per_t", plant.additive_names, seen.price_per_t),
        "steel_mass_after_t": at.after.steel_mass_t,
        "temperature_after_c": at.after.temperature_c,
        **_per("after_pct", ELEMENTS, at.after.chemistry_pct),
        **_per("after_is_below", ELEMENTS, at.after.is_below),
    }
    return _table(columns)


def truth(plant: Catalogue, block: Block, station: str) -> pa.Table:
    """What nobody at the plant knows."""
    hidden, is_tapping = block.heats.hidden, station == TAPPING
    before: Any = hidden if is_tapping else block.ladles
    results: HiddenResults = block.tapped if is_tapping else block.treated.metal
    at: Station = block.tapping if is_tapping else block.ladle
    nothing = np.full(len(hidden.heat_no), np.nan)
    chance = hidden.ladle
    columns: Columns = {
        **_keys(block, station),
        "steel_mass_t": before.steel_mass_t,
        "temperature_c": before.temperature_c,
        "oxygen_ppm": hidden.oxygen_ppm if is_tapping else nothing,
        "oxygen_to_remove_kg_t": results.oxygen_kg_t if is_tapping else nothing,
        "carry_over_kg_t": hidden.carry_over_kg_t,
        "slag_reacts_share": hidden.slag_reacts_share if is_tapping else nothing,
        "air_oxygen_kg_t": hidden.air_oxygen_kg_t if is_tapping else nothing,
        "slag_feo_pct": before.slag_feo_pct,
        "slag_mno_pct": before.slag_mno_pct,
        "treatment_min": nothing if is_tapping else chance.treatment_min,
        "arc_kwh_t": nothing if is_tapping else block.treated.arc_kwh_t,
        "mno_reduced_share": nothing if is_tapping else chance.mno_reduced_share,
        "steel_mass_after_t": results.steel_mass_t,
        "temperature_after_c": results.temperature_c,
        **_per("before_pct", ELEMENTS, before.chemistry_pct),
        **_per("after_pct", ELEMENTS, results.chemistry_pct),
        **_per("added_kg", ELEMENTS, results.added_kg),
        **_per("undissolved_kg", ELEMENTS, results.undissolved_kg),
        **_per("oxidised_kg", ELEMENTS, results.oxidised_kg),
        **_per("reverted_kg", ELEMENTS, results.reverted_kg),
        **_per("tipped_kg", plant.additive_names, at.tipped_kg),
    }
    return _table(columns)


def lots(plant: Catalogue, block: Block, known: set[tuple[int, int, int]]) -> pa.Table:
    """Certificates of the lots that came into use in this block; `known` remembers (line, additive, lot)."""
    hidden = block.heats.hidden
    new: list[tuple[int, int, int, int]] = []
    for j in range(len(plant.additives)):
        pairs = np.stack([hidden.line, hidden.lot_no[:, j]], axis=1)
        _, first = np.unique(pairs, axis=0, return_index=True)
        for row in np.sort(first).tolist():
            key = (int(pairs[row, 0]), j, int(pairs[row, 1]))
            if key not in known:
                known.add(key)
                new.append((row, *key))
    found = np.array(new, dtype=np.int64).reshape(-1, 4)
    columns: Columns = {
        "line": found[:, 1],
        "additive": _names(plant.additive_names, found[:, 2]),
        "lot_no": found[:, 3],
        "first_heat_no": hidden.heat_no[found[:, 0]],
        **_per("certificate_pct", ELEMENTS, hidden.certificate_pct[found[:, 0], found[:, 2]]),
    }
    return _table(columns)


def _keys(block: Block, station: str) -> Columns:
    hidden = block.heats.hidden
    names = _names([TAPPING, LADLE_FURNACE], np.full(len(hidden.line), int(station != TAPPING)))
    return {"line": hidden.line, "heat_no": hidden.heat_no, "station": names}


def _per(prefix: str, names: Iterable[str], values: npt.NDArray[Any]) -> Columns:
    return {f"{prefix}_{name}": values[:, position] for position, name in enumerate(names)}


def _names(names: Iterable[str], positions: npt.NDArray[Any]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(positions, pa.int8()), pa.array(list(names), pa.string()))


def _table(columns: Mapping[str, npt.NDArray[Any] | pa.Array]) -> pa.Table:
    """Floats as 64 bits with null for NaN."""
    arrays = {
        name: values
        if isinstance(values, pa.Array)
        else pa.array(np.ascontiguousarray(values), from_pandas=True)
        for name, values in columns.items()
    }
    return pa.table(arrays)


def _both(tables: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables)
