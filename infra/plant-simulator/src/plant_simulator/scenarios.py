"""What can happen to a plant, by name: each changes the hidden heats, or the chance of who looks at them,
from a heat on. What the steelmaker and the product then see is worked out afterwards as ever.

A scenario is a pure function of heats and of `since` (heats since it began, negative before); so the same one
serves the bulk, a history and the running plant. Its docstring says what a good monitor should conclude.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from plant_simulator.catalogue import DEOXIDATIONS, Catalogue
from plant_simulator.elements import INDEX, Floats, Integers
from plant_simulator.errors import BadSettingError
from plant_simulator.line import Change, Heats
from plant_simulator.parameters import Parameters
from plant_simulator.reporting import Reports

Scenario = Callable[[Catalogue, Heats, Integers], Heats]
START_HEAT = 200
"""Where a scenario begins when nobody says."""

OXYGEN_PROBE_SD_LOG = Parameters().oxygen_probe_process_sd_log
BAD_LOT, BAD_LOT_HEATS = 9001, 90
DEAREST_SHIFT = {"SiMn": 1.35, "FeSi75": 0.80, "FeSi65": 0.80}
NEW_SUPPLIER_PCT = {"Cu": 0.08, "Cr": 0.05, "Sn": 0.004}
NEW_DEOXIDATION_EVERY = 2
OXYGEN_LEFT_BY_CARBIDE = 0.35
AL = DEOXIDATIONS.index("Al")


class Started(NamedTuple):
    """A scenario and the heat of each line at which it begins."""

    name: str
    start_heat: int


def simn_lot_low(plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """A lot of SiMn with 4 % (relative) less Mn than its certificate says, for 90 heats.

    Conclude: the material changed, not the model and not the people. Mn (and only Mn) comes out low by an
    amount in proportion to the SiMn tipped, from the first heat of that lot on, at both stations; name the
    lot. The slow state may carry it meanwhile; retraining must not learn it as a new recovery.
    """
    truth, j = heats.hidden, plant.additive_names.index("SiMn")
    now = (since >= 0) & (since < BAD_LOT_HEATS)
    lot_no, price = truth.lot_no.copy(), truth.price_per_t
    true, certificate = truth.true_assay_pct.copy(), truth.certificate_pct.copy()
    typical = plant.additives[j].assay_pct
    lot_no[now, j], certificate[now, j] = BAD_LOT, typical
    low = typical.copy()
    low[INDEX["Mn"]] *= 0.96
    true[now, j] = low
    changed = replace(
        truth, lot_no=lot_no, true_assay_pct=true, certificate_pct=certificate, price_per_t=price
    )
    return replace(heats, hidden=changed)


def carry_over_ramp(_plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """More slag is carried over, growing by 4 kg/t over 150 heats; a new taphole ends it, and it grows again.

    Conclude: an input drifts (carry-over), and the losses of Si, Mn and, in aluminium-killed heats, Al grow
    with it; the model's debit should follow by its own input. An alarm on carry-over is right, one on a lot
    is wrong.
    """
    truth = heats.hidden
    grown = np.clip(np.minimum(since, truth.taphole_heats), 0, 150)
    return replace(heats, hidden=replace(truth, carry_over_kg_t=truth.carry_over_kg_t + 4 * grown / 150))


def spectrometer_bias(_plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """The spectrometer reads Mn 1.5 % (relative) too high.

    Conclude: an instrument changed. First and last samples shift alike, so the increment hardly does,
    whatever alloy was used, and no lot explains it; the steel is leaner than it looks. Only a check standard
    proves it: ask for a recalibration, do not retrain.
    """
    bias = np.where(since >= 0, 0.015, 0.0)

    def off(error: Floats) -> Floats:
        moved = error.copy()
        moved[:, INDEX["Mn"]] += bias
        return moved

    n = heats.noise
    tapping = replace(n.tapping, spectrometer_rel=off(n.tapping.spectrometer_rel))
    ladle = replace(n.ladle, spectrometer_rel=off(n.ladle.spectrometer_rel))
    noise = replace(n, spectrometer_rel=off(n.spectrometer_rel), tapping=tapping, ladle=ladle)
    return replace(heats, noise=noise)


def new_scrap_supplier(_plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """Scrap with more tramp elements: Cu +0.08, Cr +0.05, Sn +0.004 %.

    Conclude: the inputs drift and the model is right: first and last samples rise alike, recoveries stay.
    Warn of residual limits (Cu, Cr); no retraining.
    """
    chemistry = heats.hidden.chemistry_pct.copy()
    for element, more in NEW_SUPPLIER_PCT.items():
        chemistry[:, INDEX[element]] += np.where(since >= 0, more, 0.0)
    return replace(heats, hidden=replace(heats.hidden, chemistry_pct=chemistry))


def price_change(plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """SiMn costs 35 % more, FeSi 20 % less.

    Conclude: nothing is wrong. Recommendations must change, the model must not; cost per tonne rises, and a
    retraining trigger that fires here is a false alarm.
    """
    price = heats.hidden.price_per_t.copy()
    for additive, factor in DEAREST_SHIFT.items():
        price[:, plant.additive_names.index(additive)] *= np.where(since >= 0, factor, 1.0)
    return replace(heats, hidden=replace(heats.hidden, price_per_t=np.round(price)))


def scale_bias(_plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """The bin scales show 1.5 % less than falls, so 1.5 % more is tipped than asked for.

    Conclude: an instrument changed. The apparent recovery of every element jumps together, with every alloy
    and lot at both stations; that is a scale, not chemistry.
    """
    bias = np.where(since >= 0, -0.015, 0.0)
    n = heats.noise
    noise = replace(
        n,
        tapping=replace(n.tapping, scale_bias_rel=n.tapping.scale_bias_rel + bias),
        ladle=replace(n.ladle, scale_bias_rel=n.ladle.scale_bias_rel + bias),
    )
    return replace(heats, noise=noise)


def aim_shift(_plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """The crews are told to aim 0.02 % lower on Mn.

    Conclude: people changed, the model did not. Less Mn is added and final Mn is lower, while the error of
    the prediction for what was weighed stays: a shift of inputs without a shift of the concept.
    """

    def lower(shift: Floats) -> Floats:
        moved = shift.copy()
        moved[:, INDEX["Mn"]] -= np.where(since >= 0, 0.02, 0.0)
        return moved

    t = heats.tempers
    tapping = replace(t.tapping, aim_shift_pct=lower(t.tapping.aim_shift_pct))
    ladle = replace(t.ladle, aim_shift_pct=lower(t.ladle.aim_shift_pct))
    return replace(heats, tempers=replace(t, tapping=tapping, ladle=ladle))


def stock_out(plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """FeMn-MC runs out.

    Conclude: the offers changed. Mn metal and SiMn take its place and cost rises; no alarm on the model, and
    a recommendation that still names FeMn-MC is a fault.
    """
    offered = heats.noise.is_offered.copy()
    offered[since >= 0, plant.additive_names.index("FeMnMC")] = False
    return replace(heats, noise=replace(heats.noise, is_offered=offered))


def new_grade(plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """The plant makes a grade that it never made before, in place of 42CrMo4 and C45E.

    Conclude: outside the training range for that grade only: abstain or widen the intervals there, leave the
    others alone, and say that there are no heats yet to judge it by.
    """
    never = [g for g, grade in enumerate(plant.grades) if grade.campaign_share == 0]
    names = [grade.grade for grade in plant.grades]
    replaced = [names.index(name) for name in ("42CrMo4", "C45E") if name in names]
    if not never or not replaced:
        raise BadSettingError("no new grade", "grades.yaml", "a grade with campaign_share 0, and C45E")
    truth = heats.hidden
    is_new = (since >= 0) & np.isin(truth.grade, replaced)
    grade, left = truth.grade.copy(), truth.ladle.sulphur_left_share.copy()
    old = np.array([1 - g.sulphur_removed_share for g in plant.grades])[truth.grade]
    minutes = np.array([g.treatment_min for g in plant.grades])
    grade[is_new] = never[0]
    left[is_new] *= (1 - plant.grades[never[0]].sulphur_removed_share) / old[is_new]
    longer = np.where(is_new, minutes[never[0]] / minutes[truth.grade], 1.0)
    ladle = replace(truth.ladle, sulphur_left_share=left, treatment_min=truth.ladle.treatment_min * longer)
    al_killed = np.where(is_new, int(plant.grades[never[0]].is_al_killed), truth.is_al_killed)
    changed = replace(truth, grade=grade, is_al_killed=al_killed, ladle=ladle)
    return replace(heats, hidden=changed)


def late_and_twice(_plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """Half of the results come late, a third of the messages twice, a fifth of the results are corrected.

    Conclude: the plant's reporting is in trouble, nothing else: each heat counts once, by its newest
    revision; coverage and error stay, what is delayed is known to be delayed.
    """
    now, r = since >= 0, heats.reporting
    u = r.u_first_grade  # one uniform per heat is enough: what goes wrong, goes wrong at both stations

    def worse(reports: Reports) -> Reports:
        return replace(
            reports,
            is_late=reports.is_late | (now & (u < 0.5)),
            is_twice=reports.is_twice | (now & (u > 0.67)),
            is_corrected=reports.is_corrected | (now & (u > 0.4) & (u < 0.6)),
        )

    reporting = replace(r, tapping=worse(r.tapping), ladle=worse(r.ladle))
    return replace(heats, reporting=reporting)


def oxygen_lost(_plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """A furnace stops sending oxygen.

    Conclude: a sensor is missing. Not a drift of the steel: intervals at tapping widen, the model falls back
    to what it knows without oxygen, the ladle furnace is not touched; ask for the probe.
    """
    sent = heats.noise.is_oxygen_sent & (since < 0)
    return replace(heats, noise=replace(heats.noise, is_oxygen_sent=sent))


def new_deoxidation(plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """Half of the grades that were killed with SiMn at tapping are killed with aluminium from now on.

    Conclude: the concept changed in structure: for those grades recoveries of Si and Mn rise and stop
    depending on oxygen, aluminium appears. No slow bias can absorb it (its size moves with oxygen and slag):
    the model is wrong for these grades at tapping, retrain; the other grades and the ladle furnace are fine.
    """
    truth = heats.hidden
    changed = np.isin(truth.grade, regraded(plant)) & (since >= 0)
    return replace(heats, hidden=replace(truth, is_al_killed=np.where(changed, AL, truth.is_al_killed)))


def pre_deoxidation(_plant: Catalogue, heats: Heats, since: Integers) -> Heats:
    """Before a heat killed with SiMn is tapped, carbide goes into the empty ladle; nobody weighs or tells it.

    Conclude: the concept changed: less oxygen is left to burn manganese and silicon than the probe in the
    furnace says, and the more oxygen, the larger the difference. No slow bias can absorb it (its size moves
    with oxygen, and heats killed with aluminium have none of it): the model is wrong for these grades at
    tapping, retrain; lots, people and the ladle furnace are fine.
    """
    truth, n = heats.hidden, heats.noise
    killed_with_simn = truth.is_al_killed != AL
    left = np.where(killed_with_simn & (since >= 0), OXYGEN_LEFT_BY_CARBIDE, 1.0)
    z = n.z_oxygen.copy()  # the probe was in the furnace, and reads what it read before
    z[:, 0] -= np.log(left) / OXYGEN_PROBE_SD_LOG
    return replace(
        heats,
        hidden=replace(truth, oxygen_ppm=truth.oxygen_ppm * left),
        noise=replace(n, z_oxygen=z),
    )


SCENARIOS: dict[str, Scenario] = {
    function.__name__.replace("_", "-"): function
    for function in (
        *(simn_lot_low, carry_over_ramp, spectrometer_bias, new_scrap_supplier, price_change, scale_bias),
        *(aim_shift, stock_out, new_grade, late_and_twice, oxygen_lost, new_deoxidation),
        pre_deoxidation,
    )
}


def regraded(plant: Catalogue) -> list[int]:
    """The grades that `new_deoxidation` changes: every second one of those killed with SiMn."""
    killed_with_simn = [g for g, grade in enumerate(plant.grades) if not grade.is_al_killed]
    return killed_with_simn[::NEW_DEOXIDATION_EVERY]


def parse(text: str) -> Started:
    """`NAME` or `NAME@HEAT`. Raises BadSettingError for a name that is none."""
    name, _, heat = text.strip().partition("@")
    if name not in SCENARIOS:
        raise BadSettingError(f"unknown scenario {name!r}", "--scenario", ", ".join(SCENARIOS))
    if heat and not (heat.isdigit() and int(heat) >= 1):
        raise BadSettingError(f"{name} begins at {heat!r}", "--scenario", "a heat from 1 on, as in NAME@200")
    return Started(name, int(heat) if heat else START_HEAT)


def change(plant: Catalogue, started: Sequence[Started]) -> Change | None:
    """What these scenarios together do to heats; None where there is none."""
    if not started:
        return None

    def apply(heats: Heats) -> Heats:
        for name, start_heat in started:
            since = heats.hidden.heat_no - start_heat
            if (since >= 0).any():
                heats = SCENARIOS[name](plant, heats, since)
        return heats

    return apply


def markdown() -> str:
    """The scenarios in words, for docs/scenarios.md."""
    return "".join(
        f"## {name}\n\n{inspect.cleandoc(function.__doc__ or '')}\n\n" for name, function in SCENARIOS.items()
    )


class Switches:
    """The scenarios of a running plant, by a control file: a line each, NAME or NAME@HEAT; without a heat it
    begins with the next one. Read again whenever it changes; a line taken out ends its scenario.
    """

    def __init__(self, control: Path | None, started: Sequence[Started] = ()) -> None:
        self._control, self._given = control, list(started)
        self._read: dict[str, int] = {}
        self._stamp: tuple[int, int] | None = None

    def active(self, heat_no: int) -> list[Started]:
        """Those that are on at this heat. Raises BadSettingError for a line that names none."""
        if self._control is not None:
            self._look(self._control, heat_no)
        on = {s.name: s.start_heat for s in self._given} | self._read
        return [Started(name, heat) for name, heat in on.items()]

    def _look(self, control: Path, heat_no: int) -> None:
        try:
            stat = control.stat()
        except FileNotFoundError:
            self._read, self._stamp = {}, None
            return
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        lines = [line.partition("#")[0].strip() for line in control.read_text(encoding="utf-8").splitlines()]
        wanted = {}
        for line in filter(None, lines):
            name, start = parse(line)
            wanted[name] = start if "@" in line else self._read.get(name, heat_no)
        self._read = wanted
