"""do(Y) as a command: Parquet in, Parquet out, because no other component may import the plant.

`heats`: one row per treatment: `seed`, `heat_no`, and where they differ from the default `line` (0),
`scenario` ("none"), `parameter_set` (0), `station` ("tapping"). `additions`: one row per addition: the same
keys, `additive`, `decided_kg`, and where several ways to treat a heat are compared a `policy` (text). A
treatment without a row there gets nothing. At the ladle furnace a heat comes as this policy tapped it, where
its tapping is among the treatments too; else as the steelmaker did.

The answer has one row per treatment and policy: the keys; `true_pct_<element>`, `true_mass_t`,
`true_temperature_c`; `measured_pct_<element>` (the detection limit where `is_below_<element>`),
`measured_mass_t`, `measured_temperature_c`; `tipped_kg_<additive>` (truth), `weighed_kg_<additive>` (by the
scales); `cost`; `in_window`, `in_window_by_sample`.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plant_simulator.catalogue import LADLE_FURNACE, STATIONS, TAPPING, Catalogue
from plant_simulator.elements import ELEMENTS, Booleans, Floats
from plant_simulator.errors import BadSettingError
from plant_simulator.ladle_furnace import arrive
from plant_simulator.parameters import Parameters
from plant_simulator.policies import scenes
from plant_simulator.policies.cases import Cases, Outcome, Score, do, score
from plant_simulator.tables import rows, stack
from plant_simulator.tapping import HiddenResults

KEYS: dict[str, Any] = {
    "seed": None,
    "parameter_set": 0,
    "scenario": "none",
    "line": 0,
    "heat_no": None,
    "station": TAPPING,
}
LEAST = {"seed": 0, "parameter_set": 0, "line": 0, "heat_no": 1}

Key = tuple[int, int, str, int, int, str]
Kilograms = dict[Key, Floats]


def run(plant: Catalogue, parameters: Parameters, heats: Path, additions: Path, output: Path) -> int:
    """Write the outcome of every treatment with every policy's additions; the number of rows.

    Raises BadSettingError for a missing column, an unknown additive, station or scenario, a negative or
    infinite mass, a treatment that is named twice and additions to one that is not named.
    """
    wanted = _keys(_read(heats, ("seed", "heat_no")), heats)
    seen = set[Key]()
    for row, key in enumerate(wanted):
        if key in seen:
            raise BadSettingError(f"{_text(key)} again", f"{heats}, row {row}", "each treatment once")
        seen.add(key)
    if not wanted:
        raise BadSettingError("no heats", str(heats), "one row per treatment")
    kilograms = _kilograms(plant, additions, seen, heats)
    tables = [table for table in _tables(plant, parameters, seen, kilograms) if table.num_rows]
    output.parent.mkdir(parents=True, exist_ok=True)
    answer = pa.concat_tables(tables)
    pq.write_table(answer, output)
    return int(answer.num_rows)


def _tables(
    plant: Catalogue, parameters: Parameters, wanted: set[Key], kilograms: dict[str, Kilograms]
) -> Iterator[pa.Table]:
    """One table per plant, block, station and policy."""
    of_scene: dict[scenes.Scene, list[Key]] = {}
    for key in sorted(wanted):
        of_scene.setdefault(scenes.Scene(*key[:3]), []).append(key)
    for scene, keys in of_scene.items():
        figures, lines = scenes.figures_of(parameters, scene), sorted({key[3] for key in keys})
        last = max(key[4] for key in keys)
        for both in scenes.both_stations(plant, parameters, scene, lines, last):
            for policy, given in kilograms.items():
                tapped = both[TAPPING]
                done, named = _treat(plant, figures, scene, tapped, given, wanted)
                yield _table(plant, scene, tapped, policy, done, named)
                ladles = _as_tapped(figures, both[LADLE_FURNACE], tapped, done.results, named)
                done, named = _treat(plant, figures, scene, ladles, given, wanted)
                yield _table(plant, scene, ladles, policy, done, named)


def _treat(
    plant: Catalogue,
    figures: Parameters,
    scene: scenes.Scene,
    cases: Cases,
    given: Kilograms,
    wanted: set[Key],
) -> tuple[Outcome, Booleans]:
    """All treatments of a block with the additions given, and which of them were asked for."""
    keys = _keys_of(scene, cases)
    nothing = np.zeros(len(plant.additives))
    decided = np.array([given.get(key, nothing) for key in keys])
    return do(plant, figures, cases, decided), np.array([key in wanted for key in keys])


def _as_tapped(
    figures: Parameters, ladles: Cases, tapped: Cases, results: HiddenResults, is_named: Booleans
) -> Cases:
    """Ladles as the policy tapped them, where it did."""
    own = arrive(figures, tapped.heats, results)
    order = np.where(is_named, np.arange(len(tapped)) + len(tapped), np.arange(len(tapped)))
    return replace(ladles, hidden=rows(stack([ladles.hidden, own]), order))


def _table(
    plant: Catalogue, scene: scenes.Scene, cases: Cases, policy: str, outcome: Outcome, is_named: Booleans
) -> pa.Table:
    keys = [key for key, named in zip(_keys_of(scene, cases), is_named, strict=True) if named]
    verdict: Score = rows(score(plant, cases, outcome), is_named)
    truth, seen = rows(outcome.results, is_named), rows(outcome.observed, is_named)
    columns: dict[str, Any] = {name: [key[i] for key in keys] for i, name in enumerate(KEYS)}
    columns["policy"] = pa.array([policy] * len(keys), pa.string())
    columns["scenario"] = pa.array(columns["scenario"], pa.string())
    columns["station"] = pa.array(columns["station"], pa.string())
    for name in LEAST:
        columns[name] = pa.array(columns[name], pa.int64())
    for e, element in enumerate(ELEMENTS):
        columns[f"true_pct_{element}"] = truth.chemistry_pct[:, e]
        columns[f"measured_pct_{element}"] = seen.chemistry_pct[:, e]
        columns[f"is_below_{element}"] = seen.is_below[:, e]
    columns["true_mass_t"], columns["measured_mass_t"] = truth.steel_mass_t, seen.steel_mass_t
    columns["true_temperature_c"], columns["measured_temperature_c"] = truth.temperature_c, seen.temperature_c
    tipped = outcome.tipped_kg[is_named]
    for a, additive in enumerate(plant.additive_names):
        columns[f"tipped_kg_{additive}"] = tipped[:, a]
        columns[f"weighed_kg_{additive}"] = seen.weighed_kg[:, a]
    columns["cost"] = verdict.cost
    columns["in_window"], columns["in_window_by_sample"] = verdict.in_window, verdict.in_window_by_sample
    return pa.table(columns)


def _keys_of(scene: scenes.Scene, cases: Cases) -> list[Key]:
    places = zip(cases.observed.line.tolist(), cases.observed.heat_no.tolist(), strict=True)
    return [(*scene, line, heat_no, cases.station) for line, heat_no in places]


def _keys(table: pa.Table, path: Path) -> list[Key]:
    columns = []
    for name, default in KEYS.items():
        has_it = name in table.column_names
        values = table[name].to_pylist() if has_it else [default] * table.num_rows
        for row, value in enumerate(values):
            if name in LEAST and (not isinstance(value, int) or value < LEAST[name]):
                allowed = f"a whole number >= {LEAST[name]}"
                raise BadSettingError(f"{name} {value!r}", f"{path}, row {row}", allowed)
            if name == "station" and value not in STATIONS:
                raise BadSettingError(f"station {value!r}", f"{path}, row {row}", ", ".join(STATIONS))
        columns.append(values)
    return list(zip(*columns, strict=True))


def _kilograms(plant: Catalogue, path: Path, wanted: set[Key], heats: Path) -> dict[str, Kilograms]:
    """Policy to treatment to kilograms per additive."""
    table = _read(path, ("seed", "heat_no", "additive", "decided_kg"))
    policies = table["policy"].to_pylist() if "policy" in table.column_names else [""] * table.num_rows
    of_additive = {name: j for j, name in enumerate(plant.additive_names)}
    known: dict[str, Kilograms] = {policy: {} for policy in policies} or {"": {}}
    columns = (table["additive"].to_pylist(), table["decided_kg"].to_pylist())
    found = zip(_keys(table, path), policies, *columns, strict=True)
    for row, (key, policy, additive, kg) in enumerate(found):
        where = f"{path}, row {row}"
        if key not in wanted:
            raise BadSettingError(_text(key), where, f"a treatment of {heats}")
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
