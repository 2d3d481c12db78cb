"""A plant's past as its Level 2 would hand it over: heats.csv, additives.csv and the mapping file that
explains them.

The heats were made before the product came: each got the crew's own figure, weighed as it fell. Nothing
hidden is written here; the
truth goes to a file of its own, and only where it is asked for.
"""

import csv
import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import yaml

from plant_simulator import instruments, line, mapping, steelmaker, tapping
from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import ELEMENTS, Floats
from plant_simulator.hidden import HiddenHeats
from plant_simulator.instruments import ObservedResults
from plant_simulator.lots import Ledger
from plant_simulator.mapping import TIME_FORMAT
from plant_simulator.parameters import Parameters
from plant_simulator.tapping import HiddenResults

RESULT_AFTER_MIN, LATE_RESULT_AFTER_MIN = 12.0, 60.0


@dataclass(frozen=True)
class Past:
    """Some heats of the past, from every side."""

    heats: line.Heats
    decided_kg: Floats
    results: HiddenResults
    observed: ObservedResults


def play(
    plant: Catalogue, parameters: Parameters, seed: int, first_heat_no: int, count: int
) -> Iterator[Past]:
    """Heats made by the crew's own figure, in blocks."""
    for heats in line.play(plant, parameters, seed, first_heat_no, count):
        decided = steelmaker.own_figure(plant, parameters, heats.observed, heats.tempers)
        tipped = instruments.tip(parameters, decided, heats.noise)
        results = tapping.tap(plant, parameters, heats.hidden, tipped)
        yield Past(
            heats, decided, results, instruments.observe_after(parameters, results, tipped, heats.noise)
        )


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
        rows = _csv(
            files.enter_context((folder / "heats.csv").open("w", encoding="utf-8", newline="")),
            _columns(plant),
        )
        hidden = None
        if truth is not None:
            truth.parent.mkdir(parents=True, exist_ok=True)
            hidden = _csv(
                files.enter_context(truth.open("w", encoding="utf-8", newline="")), _hidden_columns(plant)
            )
        for past in play(plant, parameters, seed, 1, heats):
            rows.writerows(_rows(plant, past, at))
            if hidden is not None:
                hidden.writerows(_hidden_rows(past))
        lots = _csv(
            files.enter_context((folder / "additives.csv").open("w", encoding="utf-8", newline="")),
            _lot_columns(),
        )
        lots.writerows(_lot_rows(plant, parameters, seed, heats, at))
    text = yaml.safe_dump(
        mapping.document(plant, plant_id, start), sort_keys=False, allow_unicode=True, width=120
    )
    (folder / "mapping.yaml").write_text(
        "# What the columns of this extract mean, for `ml-pipeline import`.\n" + text, encoding="utf-8"
    )


def _columns(plant: Catalogue) -> list[str]:
    before = [
        "heat_no",
        "registered_at",
        "grade",
        "steel_mass_t",
        "temperature_c",
        "oxygen_ppm",
        "carry_over_kg_t",
    ]
    before += ["slag_FeO", "slag_MnO", "taphole_heats", *(f"tap_{e}" for e in ELEMENTS)]
    added = [f"{kind}_kg_{a}" for kind in ("decided", "weighed") for a in plant.additive_names]
    return [*before, *added, "completed_after_min", "temperature_after_c", *(f"final_{e}" for e in ELEMENTS)]


def _rows(plant: Catalogue, past: Past, at: Any) -> Iterator[list[str]]:
    seen, after = past.heats.observed, past.observed
    late = past.heats.reporting.is_late
    for i, heat_no in enumerate(seen.heat_no.tolist()):
        yield [
            f"H{heat_no:07d}",
            at(heat_no).strftime(TIME_FORMAT),
            plant.grades[int(seen.grade[i])].grade,
            *_texts(
                (seen.steel_mass_t[i], seen.temperature_c[i], seen.oxygen_ppm[i], seen.carry_over_kg_t[i]),
                (seen.slag_feo_pct[i], seen.slag_mno_pct[i], float(seen.taphole_heats[i])),
                seen.chemistry_pct[i],
                past.decided_kg[i],
                after.weighed_kg[i],
                (LATE_RESULT_AFTER_MIN if late[i] else RESULT_AFTER_MIN, after.temperature_c[i]),
                after.chemistry_pct[i],
            ),
        ]


def _lot_columns() -> list[str]:
    return [
        "additive",
        "lot",
        "valid_from",
        "price_per_t",
        "max_kg",
        "increment_kg",
        *(f"assay_{e}" for e in ELEMENTS),
    ]


def _lot_rows(
    plant: Catalogue, parameters: Parameters, seed: int, heats: int, at: Any
) -> Iterator[list[str]]:
    for additive, lots in zip(plant.additives, Ledger(plant, parameters, seed).until(heats), strict=True):
        for lot in lots:
            numbers = (lot.price_per_t, additive.max_kg, additive.increment_kg)
            came = at(lot.first_heat_no).strftime(TIME_FORMAT)
            yield [additive.additive, lot.lot, came, *_texts(numbers, np.round(lot.certificate_pct, 4))]


def _hidden_columns(plant: Catalogue) -> list[str]:
    scalars = [f.name for f in fields(HiddenHeats) if f.name not in _WIDE]
    results = ["tapped_mass_t", "oxygen_removed_kg_t"]
    wide = [
        f"{kind}_{e}"
        for kind in ("before_pct", "after_pct", "added_kg", "oxidised_kg", "undissolved_kg")
        for e in ELEMENTS
    ]
    return [*scalars, *results, *wide, *(f"lot_{a}" for a in plant.additive_names)]


def _hidden_rows(past: Past) -> Iterator[list[str]]:
    truth, results = past.heats.hidden, past.results
    scalars = [getattr(truth, f.name) for f in fields(HiddenHeats) if f.name not in _WIDE]
    for i in range(len(truth.heat_no)):
        yield _texts(
            tuple(float(column[i]) for column in scalars),
            (results.steel_mass_t[i], results.oxygen_kg_t[i] - results.oxygen_left_kg_t[i]),
            truth.chemistry_pct[i],
            results.chemistry_pct[i],
            results.added_kg[i],
            results.oxidised_kg[i],
            results.undissolved_kg[i],
            truth.lot_no[i].astype(float),
        )


_WIDE = {"chemistry_pct", "undissolved_factor", "lot_no", "true_assay_pct", "certificate_pct", "price_per_t"}


def _texts(*groups: Iterable[float]) -> list[str]:
    """Numbers as a plant writes them: empty where there is none, no trailing zeros."""
    return ["" if math.isnan(value) else f"{value:.10g}" for group in groups for value in group]


def _csv(file: TextIO, header: list[str]) -> Any:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    return writer
