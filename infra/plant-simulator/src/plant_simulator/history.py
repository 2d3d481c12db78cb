"""A plant's past as its Level 2 would hand it over: heats.csv, additives.csv and the mapping file that
explains them, for one station.

The heats were made before the product came: each got the crew's own figure, weighed as it fell. Nothing
hidden is written here; the truth goes to a file of its own, and only where it is asked for.
"""

import csv
import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow.csv as pacsv
import yaml

from plant_simulator import archive, bulk, mapping
from plant_simulator.bulk import Block
from plant_simulator.catalogue import TAPPING, Catalogue
from plant_simulator.elements import ELEMENTS
from plant_simulator.line import Change
from plant_simulator.lots import lot_name
from plant_simulator.mapping import TIME_FORMAT
from plant_simulator.parameters import Parameters

RESULT_AFTER_MIN, LATE_RESULT_AFTER_MIN = 12.0, 60.0


def write(
    plant: Catalogue,
    parameters: Parameters,
    *,
    seed: int,
    heats: int,
    folder: Path,
    plant_id: str,
    end_at: datetime,
    minutes_between_heats: float,
    station: str = TAPPING,
    line: int = 0,
    change: Change | None = None,
    truth: Path | None = None,
) -> None:
    """Write heats 1 to `heats`, the last of them `minutes_between_heats` before `end_at`, into `folder`; the
    same bytes for the same arguments.
    """
    folder.mkdir(parents=True, exist_ok=True)
    start = end_at - timedelta(minutes=minutes_between_heats * heats)

    def at(heat_no: int) -> datetime:
        return start + timedelta(minutes=minutes_between_heats * (heat_no - 1))

    with ExitStack() as files:

        def opened(name: str) -> TextIO:
            return files.enter_context((folder / name).open("w", encoding="utf-8", newline=""))

        rows = _csv(opened("heats.csv"), _columns(plant, station))
        lots = _csv(opened("additives.csv"), _lot_columns())
        hidden: pacsv.CSVWriter | None = None
        known: set[tuple[int, str]] = set()
        for block in bulk.simulate(plant, parameters, seed, [line], heats, change=change):
            rows.writerows(_rows(plant, station, block, at))
            lots.writerows(_lot_rows(plant, block, known, at))
            if truth is not None:
                table = archive.truth(plant, block, station)
                table = table.set_column(2, "station", table["station"].cast("string"))
                if hidden is None:
                    truth.parent.mkdir(parents=True, exist_ok=True)
                    hidden = files.enter_context(pacsv.CSVWriter(truth, table.schema))
                hidden.write_table(table)
    document = mapping.document(plant, plant_id, start, station)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    (folder / "mapping.yaml").write_text(
        "# What the columns of this extract mean, for `ml-pipeline import`.\n" + text, encoding="utf-8"
    )


def _columns(plant: Catalogue, station: str) -> list[str]:
    before = ["heat_no", "registered_at", "grade", "steel_mass_t", "temperature_c"]
    before += ["oxygen_ppm", "carry_over_kg_t", "slag_FeO", "slag_MnO", "taphole_heats"]
    before += [f"{mapping.BEFORE[station]}_{e}" for e in ELEMENTS]
    added = [f"{kind}_kg_{a}" for kind in ("decided", "weighed") for a in plant.additive_names]
    return [*before, *added, "completed_after_min", "temperature_after_c", *(f"final_{e}" for e in ELEMENTS)]


def _rows(plant: Catalogue, station: str, block: Block, at: Any) -> Iterator[list[str]]:
    here = block.tapping if station == TAPPING else block.ladle
    reports = block.heats.reporting
    late = (reports.tapping if station == TAPPING else reports.ladle).is_late
    seen, after = here.before, here.after
    for i, heat_no in enumerate(seen.heat_no.tolist()):
        yield [
            f"H{heat_no:07d}",
            at(heat_no).strftime(TIME_FORMAT),
            plant.grades[int(seen.grade[i])].grade,
            *_texts(
                (seen.steel_mass_t[i], seen.temperature_c[i], seen.oxygen_ppm[i], seen.carry_over_kg_t[i]),
                (seen.slag_feo_pct[i], seen.slag_mno_pct[i], float(seen.taphole_heats[i])),
                seen.chemistry_pct[i],
                here.decided_kg[i],
                after.weighed_kg[i],
                (LATE_RESULT_AFTER_MIN if late[i] else RESULT_AFTER_MIN, after.temperature_c[i]),
                after.chemistry_pct[i],
            ),
        ]


def _lot_columns() -> list[str]:
    first = ["additive", "lot", "valid_from", "price_per_t", "max_kg", "increment_kg"]
    return [*first, *(f"assay_{e}" for e in ELEMENTS)]


def _lot_rows(plant: Catalogue, block: Block, known: set[tuple[int, str]], at: Any) -> Iterator[list[str]]:
    """The lots, and the prices, that were new in this block, in order of time."""
    hidden = block.heats.hidden
    for i, heat_no in enumerate(hidden.heat_no.tolist()):
        for j, additive in enumerate(plant.additives):
            lot = lot_name(additive, int(hidden.lot_no[i, j]))
            if (j, lot) in known:
                continue
            known.add((j, lot))
            numbers = (hidden.price_per_t[i, j], additive.max_kg, additive.increment_kg)
            assay = np.round(hidden.certificate_pct[i, j], 4)
            came = at(heat_no).strftime(TIME_FORMAT)
            yield [additive.additive, lot, came, *_texts(numbers, assay)]


def _texts(*groups: Iterable[float]) -> list[str]:
    """Numbers as a plant writes them: empty where there is none, no trailing zeros."""
    return ["" if math.isnan(value) else f"{value:.10g}" for group in groups for value in group]


def _csv(file: TextIO, header: list[str]) -> Any:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    return writer
