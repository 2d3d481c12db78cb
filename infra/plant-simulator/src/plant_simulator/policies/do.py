"""do(Y) as a command: Parquet in, Parquet out, because no other component may import the plant.

`heats`: one row per heat: `seed`, `heat_no`, and where they differ from the default `line` (0), `scenario` ("none"),
`parameter_set` (0). `additions`: one row per addition: the same keys, `additive`, `decided_kg`, and where several ways to
treat a heat are compared a `policy` (text). A heat without a row there gets nothing.

The answer has one row per heat and policy: the keys; `true_pct_<element>` and `true_mass_t`, `true_temperature_c`;
`measured_pct_<element>` (null where not measured) with `is_below_<element>`; `tipped_kg_<additive>` (truth) and
`weighed_kg_<additive>` (by the scales); `cost`, `in_window` (truth), `in_window_by_sample`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import ELEMENTS, Floats
from plant_simulator.errors import BadSettingError
from plant_simulator.parameters import Parameters
from plant_simulator.policies import judging, scenes

KEYS: dict[str, Any] = {"seed": None, "parameter_set": 0, "scenario": "none", "line": 0, "heat_no": None}
WHOLE = ("seed", "parameter_set", "line", "heat_no")

Key = tuple[int, int, str, int, int]


def run(plant: Catalogue, parameters: Parameters, heats: Path, additions: Path, output: Path) -> int:
    """Write the outcome of every heat with every policy's additions; the number of rows.

    Raises BadSettingError for a missing column, an unknown additive or scenario, a negative or infinite mass, a heat that
    is named twice or additions to a heat that is not named.
    """
    wanted = _keys(heats)
    if len(set(wanted)) != len(wanted):
        twice = next(key for i, key in enumerate(wanted) if key in wanted[:i])
        raise BadSettingError(f"heat {_text(twice)} is named twice", str(heats), "each heat once")
    kilograms = _kilograms(plant, additions, set(wanted), heats)
    output.parent.mkdir(parents=True, exist_ok=True)
    rows, writer = 0, None
    try:
        for table in _tables(plant, parameters, wanted, kilograms):
            writer = writer or pq.ParquetWriter(output, table.schema)
            writer.write_table(table)
            rows += table.num_rows
        if writer is None:
            raise BadSettingError("no heats", str(heats), "one row per heat")
    finally:
        if writer is not None:
            writer.close()
    return rows


def _tables(
    plant: Catalogue, parameters: Parameters, wanted: list[Key], kilograms: dict[str, dict[Key, Floats]]
) -> Iterator[pa.Table]:
    """One table per plant (seed, parameter set, scenario, line) and policy, in order of heat numbers."""
    plants: dict[scenes.Scene, list[int]] = {}
    for seed, parameter_set, scenario, line, heat_no in wanted:
        plants.setdefault(scenes.Scene(seed, parameter_set, scenario, line), []).append(heat_no)
    nothing = np.zeros(len(plant.additives))
    for scene, numbers in plants.items():
        for heats in scenes.heats_of(plant, parameters, scene, np.array(sorted(numbers))):
            own, figures = scenes.figures_of(plant, parameters, scene)
            for policy, of_policy in kilograms.items():
                keys = [(*scene, int(n)) for n in heats.hidden.heat_no]
                decided = np.array([of_policy.get(key, nothing) for key in keys])
                outcome = judging.do(own, figures, heats, decided)
                verdict = judging.score(own, heats, outcome)
                yield _table(plant, keys, policy, outcome, verdict)


def _table(
    plant: Catalogue, keys: list[Key], policy: str, outcome: judging.Outcome, verdict: judging.Score
) -> pa.Table:
    columns: dict[str, Any] = dict(zip(KEYS, (list(c) for c in zip(*keys, strict=True)), strict=True))
    columns["policy"] = [policy] * len(keys)
    truth, seen = outcome.results, outcome.observed
    for e, element in enumerate(ELEMENTS):
        measured = seen.chemistry_pct[:, e]
        columns[f"true_pct_{element}"] = truth.chemistry_pct[:, e]
        columns[f"measured_pct_{element}"] = pa.array(measured, mask=np.isnan(measured))
        columns[f"is_below_{element}"] = seen.is_below[:, e]
    columns["true_mass_t"], columns["measured_mass_t"] = truth.steel_mass_t, seen.steel_mass_t
    columns["true_temperature_c"], columns["measured_temperature_c"] = truth.temperature_c, seen.temperature_c
    for a, additive in enumerate(plant.additive_names):
        columns[f"tipped_kg_{additive}"] = outcome.tipped_kg[:, a]
        columns[f"weighed_kg_{additive}"] = seen.weighed_kg[:, a]
    columns["cost"] = verdict.cost
    columns["in_window"], columns["in_window_by_sample"] = verdict.in_window, verdict.in_window_by_sample
    return pa.table(columns)


def _keys(path: Path) -> list[Key]:
    return _key_columns(_read(path, ("seed", "heat_no")), path)


def _key_columns(table: pa.Table, path: Path) -> list[Key]:
    columns = []
    for name, default in KEYS.items():
        if name not in table.column_names:
            columns.append([default] * table.num_rows)
            continue
        values = table[name].to_pylist()
        for row, value in enumerate(values):
            if name in WHOLE and (not isinstance(value, int) or value < 0):
                raise BadSettingError(f"{name} {value!r}", f"{path}, row {row}", "a whole number >= 0")
            if name == "heat_no" and value < 1:
                raise BadSettingError(f"heat_no {value}", f"{path}, row {row}", "a whole number >= 1")
        columns.append(values)
    return list(zip(*columns, strict=True))


def _kilograms(
    plant: Catalogue, path: Path, wanted: set[Key], heats: Path
) -> dict[str, dict[Key, Floats]]:
    """Policy to heat to kilograms per additive."""
    table = _read(path, ("seed", "heat_no", "additive", "decided_kg"))
    policies = table["policy"].to_pylist() if "policy" in table.column_names else [""] * table.num_rows
    of_additive = {name: j for j, name in enumerate(plant.additive_names)}
    known: dict[str, dict[Key, Floats]] = {policy: {} for policy in policies} or {"": {}}
    found = zip(
        _key_columns(table, path), policies, table["additive"].to_pylist(), table["decided_kg"].to_pylist(), strict=True
    )
    for row, (key, policy, additive, kg) in enumerate(found):
        where = f"{path}, row {row}"
        if key not in wanted:
            raise BadSettingError(f"heat {_text(key)}", where, f"a heat of {heats}")
        if additive not in of_additive:
            raise BadSettingError(f"unknown additive {additive!r}", where, ", ".join(of_additive))
        if not isinstance(kg, int | float) or not 0 <= kg < float("inf"):
            raise BadSettingError(f"decided_kg {kg!r}", where, "kilograms >= 0")
        known[policy].setdefault(key, np.zeros(len(of_additive)))[of_additive[additive]] += kg
    return known


def _read(path: Path, needed: tuple[str, ...]) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadSettingError(f"cannot be read ({error})", str(path), "a Parquet file") from None
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise BadSettingError(f"no column {', '.join(missing)}", str(path), f"columns {', '.join(needed)}")
    return table


def _text(key: Key) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(KEYS, key, strict=True))
