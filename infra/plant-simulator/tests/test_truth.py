"""The hidden plant: repeatable, physical, inside the published ranges."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from plant_simulator import line
from plant_simulator.bulk import Block
from plant_simulator.catalogue import LADLE_FURNACE, STATIONS, TAPPING, Catalogue
from plant_simulator.elements import AL, INDEX, Floats
from plant_simulator.hidden import HiddenHeats
from plant_simulator.ladle_furnace import arrive, ladle_furnace
from plant_simulator.parameters import Parameters
from plant_simulator.tables import rows, stack
from plant_simulator.tapping import HiddenResults, tap

SEED = 7
B2 = {
    (TAPPING, False): {"C": (0.85, 0.95), "Si": (0.70, 0.88), "Mn": (0.85, 0.94), "Cr": (0.93, 0.97)}
    | {"V": (0.90, 0.97)},
    (TAPPING, True): {"C": (0.90, 0.97), "Si": (0.90, 0.97), "Mn": (0.93, 0.98), "Cr": (0.96, 0.99)}
    | {"V": (0.95, 0.99), "Al": (0.10, 0.35)},
    (LADLE_FURNACE, False): {"C": (0.85, 0.95), "Si": (0.90, 1.0), "Mn": (0.95, 1.0), "Cr": (0.94, 0.99)}
    | {"V": (0.97, 1.0)},
    (LADLE_FURNACE, True): {"C": (0.85, 0.95), "Si": (0.90, 1.0), "Mn": (0.95, 1.0), "Cr": (0.94, 0.99)}
    | {"V": (0.97, 1.0)},
}
"""Published ranges of recovery, by station and whether aluminium-killed."""
MEMORY = {"V": 0.54, "C": 0.36, "Cr": 0.33, "Si": 0.27, "Mn": 0.20}
"""Lag-1 autocorrelation of recovery at a real ladle furnace."""


@pytest.fixture(scope="module")
def heats(plant: Catalogue, figures: Parameters) -> HiddenHeats:
    return line.first(plant, figures, SEED, 16, lines=16).hidden


def same(first: Any, second: Any, where: str = "") -> None:
    for f in fields(first):
        a, b = getattr(first, f.name), getattr(second, f.name)
        if is_dataclass(a):
            same(a, b, f"{where}.{f.name}")
        else:
            np.testing.assert_array_equal(a, b, err_msg=f"{where}.{f.name}")


def recovery(results: HiddenResults) -> Floats:
    """Share of the added element that stayed, all told; NaN where none was added."""
    gained = results.added_kg - results.undissolved_kg - results.oxidised_kg + results.reverted_kg
    return np.divide(gained, results.added_kg, out=np.full_like(gained, np.nan), where=results.added_kg > 0)


def results_of(past: Block, station: str) -> HiddenResults:
    return past.tapped if station == TAPPING else past.treated.metal


def test_same_seed_gives_the_same_heats(plant: Catalogue, figures: Parameters) -> None:
    same(line.first(plant, figures, SEED, 100), line.first(plant, figures, SEED, 100))


def test_another_seed_or_line_gives_other_heats(plant: Catalogue, figures: Parameters) -> None:
    first, other = (line.first(plant, figures, seed, 100).hidden for seed in (SEED, SEED + 1))
    lines = line.first(plant, figures, SEED, 100, lines=2).hidden.oxygen_ppm.reshape(100, 2)

    assert not np.any(first.oxygen_ppm == other.oxygen_ppm)
    assert not np.any(lines[:, 0] == lines[:, 1])


@pytest.mark.parametrize("start", [2, 32, 33, 100])
def test_a_heat_is_the_same_wherever_one_starts(plant: Catalogue, figures: Parameters, start: int) -> None:
    whole = line.first(plant, figures, SEED, start)

    same(next(line.one_by_one(plant, figures, SEED, start)), rows(whole, slice(start - 1, start)))


def test_what_is_added_changes_nothing_that_was_there_before(
    plant: Catalogue, figures: Parameters, heats: HiddenHeats
) -> None:
    before = stack([heats])

    tapped = tap(plant, figures, heats, np.full((256, len(plant.additives)), 300.0))
    ladle_furnace(plant, figures, arrive(figures, heats, tapped), np.full((256, 16), 50.0))

    same(heats, before)


@pytest.mark.parametrize("station", STATIONS)
def test_mass_balance_closes_for_every_element(
    plant: Catalogue, figures: Parameters, heats: HiddenHeats, station: str
) -> None:
    rng = np.random.default_rng(1)
    tipped_kg = rng.uniform(0, 600, (256, len(plant.additives)))
    results = tap(plant, figures, heats, tipped_kg)
    before: Any = heats
    if station == LADLE_FURNACE:
        before = arrive(figures, heats, results)
        tipped_kg = rng.uniform(0, 200, tipped_kg.shape)
        results = ladle_furnace(plant, figures, before, tipped_kg).metal

    was = before.chemistry_pct / 100 * before.steel_mass_t[:, None] * 1000
    now = results.chemistry_pct / 100 * results.steel_mass_t[:, None] * 1000
    thrown = np.einsum("na,nae->ne", tipped_kg, heats.true_assay_pct) / 100
    gone = results.undissolved_kg + results.oxidised_kg
    np.testing.assert_allclose(now, was + thrown + results.reverted_kg - gone, rtol=1e-9, atol=1e-9)
    gained = (now - was).sum(axis=1) + results.iron_kg
    np.testing.assert_allclose((results.steel_mass_t - before.steel_mass_t) * 1000, gained, rtol=1e-7)


def test_no_more_oxygen_is_taken_than_there_is(
    plant: Catalogue, figures: Parameters, heats: HiddenHeats
) -> None:
    for kg in (0.0, 50.0, 2000.0):
        results = tap(plant, figures, heats, np.full((256, len(plant.additives)), kg))

        assert np.all(results.oxygen_left_kg_t >= -1e-12)
        assert np.all(results.oxygen_left_kg_t <= results.oxygen_kg_t)
        assert np.all(results.oxidised_kg <= results.added_kg - results.undissolved_kg + 1e-9)
        assert np.all(results.chemistry_pct >= 0)


@pytest.mark.parametrize("station", STATIONS)
def test_more_of_an_additive_never_gives_less_of_its_element(
    plant: Catalogue, figures: Parameters, heats: HiddenHeats, station: str
) -> None:
    some = np.full((256, len(plant.additives)), 20.0)

    def outcome(kg: Floats) -> Floats:
        tapped = tap(plant, figures, heats, kg if station == TAPPING else some)
        if station == TAPPING:
            return tapped.chemistry_pct
        return ladle_furnace(plant, figures, arrive(figures, heats, tapped), kg).metal.chemistry_pct

    for position, additive in enumerate(plant.additives):
        more = some.copy()
        more[:, position] += 100
        main = int(np.argmax(additive.assay_pct))

        assert np.all(outcome(more)[:, main] > outcome(some)[:, main]), additive.additive


def test_aluminium_takes_the_oxygen_before_silicon(
    plant: Catalogue, figures: Parameters, heats: HiddenHeats
) -> None:
    names = plant.additive_names
    without = np.zeros((256, len(names)))
    without[:, names.index("SiMn")] = 1500
    killed = without.copy()
    killed[:, names.index("Al")] = 250

    burnt_without = tap(plant, figures, heats, without).oxidised_kg[:, INDEX["Si"]]
    burnt_killed = tap(plant, figures, heats, killed).oxidised_kg[:, INDEX["Si"]]

    assert np.all(burnt_killed < 0.5 * burnt_without)


@pytest.mark.parametrize(
    ("station", "is_al_killed", "element"),
    [(station, killed, element) for (station, killed), ranges in B2.items() for element in ranges],
)
def test_recoveries_are_in_the_published_range(
    plant: Catalogue, figures: Parameters, past: Block, station: str, is_al_killed: bool, element: str
) -> None:
    """Of what the crews add; where they never do, of a dose put on top."""
    low, high = B2[station, is_al_killed][element]
    e, of_practice = INDEX[element], past.heats.hidden.is_al_killed == is_al_killed
    results = results_of(past, station)
    enough = of_practice & (results.added_kg[:, e] >= (2 if element == "V" else 10))
    if enough.sum() < 100:
        some = np.flatnonzero(of_practice)[:500]
        here = past.tapping if station == TAPPING else past.ladle
        kg = here.tipped_kg[some].copy()
        kg[:, plant.additive_names.index({"V": "FeV80", "Cr": "FeCrHC"}[element])] += 60
        heats = rows(past.heats.hidden, some)
        dosed = (
            tap(plant, figures, heats, kg)
            if station == TAPPING
            else ladle_furnace(plant, figures, rows(past.ladles, some), kg).metal
        )
        measured = np.median(recovery(dosed)[:, e])
    else:
        measured = np.median(recovery(results)[enough, e])

    assert low < measured < high


@pytest.mark.parametrize("element", list(MEMORY))
def test_recovery_remembers_the_heat_before_as_on_a_real_ladle_furnace(past: Block, element: str) -> None:
    results, e = past.treated.metal, INDEX[element]
    enough = results.added_kg[:, e] > (2 if element == "V" else 12)
    table = np.where(enough, recovery(results)[:, e], np.nan).reshape(-1, 32)
    first, second = table[:-1].ravel(), table[1:].ravel()
    both = ~np.isnan(first) & ~np.isnan(second)

    assert np.corrcoef(first[both], second[both])[0, 1] == pytest.approx(MEMORY[element], abs=0.12)


def test_the_ladle_furnace_reduces_mno_fades_aluminium_and_picks_up_nitrogen(
    plant: Catalogue, figures: Parameters, past: Block
) -> None:
    ladles, nothing = past.ladles, np.zeros_like(past.ladle.tipped_kg)
    after = ladle_furnace(plant, figures, ladles, nothing).metal.chemistry_pct
    rise = after - ladles.chemistry_pct
    minutes = ladles.chance.treatment_min

    assert np.all(rise[:, INDEX["Mn"]] > 0)
    assert np.all(rise[:, INDEX["Si"]] < 0)
    assert np.corrcoef(rise[:, INDEX["Mn"]], ladles.slag_mno_pct)[0, 1] > 0.5
    assert np.median(rise[:, AL][ladles.chemistry_pct[:, AL] > 0.03] / minutes.mean() * 10) == pytest.approx(
        -figures.al_fade_pct_per_10_min, rel=0.25
    )
    assert 0.0003 < np.median(rise[:, INDEX["N"]]) < 0.004


def test_arc_brings_the_heat_to_its_temperature_whatever_is_added(past: Block, figures: Parameters) -> None:
    final = past.treated.metal.temperature_c

    assert np.mean(final) == pytest.approx(figures.final_temperature_c, abs=2)
    assert 10 < np.median(past.treated.arc_kwh_t) < 60


def test_losses_grow_with_the_wear_of_the_taphole(past: Block) -> None:
    hidden = past.heats.hidden
    new, old = hidden.taphole_heats < 30, hidden.taphole_heats > 120

    assert np.mean(hidden.carry_over_kg_t[old]) > np.mean(hidden.carry_over_kg_t[new]) + 2
    assert np.mean(past.tapped.oxygen_kg_t[old]) > np.mean(past.tapped.oxygen_kg_t[new]) + 0.05


def test_lots_live_as_long_as_lots_do_and_differ_from_their_certificates(
    plant: Catalogue, figures: Parameters, past: Block
) -> None:
    hidden, simn, mn = past.heats.hidden, plant.additive_names.index("SiMn"), INDEX["Mn"]
    lot_no = hidden.lot_no[:, simn].reshape(-1, 32)
    lives = [np.bincount(lot_no[:, column])[2:-1] for column in range(32)]
    _, first = np.unique(hidden.line * 1000 + hidden.lot_no[:, simn], return_index=True)
    error = (hidden.certificate_pct - hidden.true_assay_pct)[first, simn, mn]
    spread = plant.additives[simn].lot_sd_pct[mn]

    assert min(map(min, (life for life in lives if len(life)))) >= figures.lot_life_min_heats
    assert max(map(max, (life for life in lives if len(life)))) <= figures.lot_life_max_heats
    assert np.std(error) == pytest.approx(figures.certificate_error_share * spread, rel=0.25)
    assert np.all(hidden.certificate_pct.sum(axis=2) <= 100)


def test_campaigns_follow_the_shares_of_the_grades(plant: Catalogue, past: Block) -> None:
    made = np.bincount(past.heats.hidden.grade, minlength=len(plant.grades)) / len(past.heats.hidden.grade)

    np.testing.assert_allclose(made, [g.campaign_share for g in plant.grades], atol=0.04)
    grade = past.heats.hidden.grade.reshape(-1, 32)
    is_first = past.heats.hidden.is_first_of_campaign.reshape(-1, 32)
    np.testing.assert_array_equal(grade[1:] != grade[:-1], is_first[1:])


def test_most_heats_land_in_their_window(plant: Catalogue, past: Block) -> None:
    for station, here in ((TAPPING, past.tapping), (LADLE_FURNACE, past.ladle)):
        bounds = plant.bounds(station)
        low, _, high = (b[here.before.grade, here.before.is_al_killed] for b in bounds)
        final = here.after.chemistry_pct
        inside = ~((final < low - 1e-9) | (final > high + 1e-9)).any(axis=1)

        assert 0.85 < inside.mean() < 0.98


def test_rows_and_stack_are_inverse(past: Block) -> None:
    heats = rows(past.heats, slice(0, 20))

    same(stack([rows(heats, slice(0, 7)), rows(heats, slice(7, None))]), heats)


def test_only_the_practice_decides_on_aluminium(plant: Catalogue, past: Block) -> None:
    with_al = past.tapping.decided_kg[:, plant.additive_names.index("Al")] > 0
    killed = past.heats.hidden.is_al_killed == 1

    assert np.all(with_al == killed)


def test_another_dose_changes_only_what_it_can(plant: Catalogue, figures: Parameters, past: Block) -> None:
    """do(Y): the same heat with other kilograms; sulphur does not care for vanadium."""
    heats, kg = past.heats.hidden, past.tapping.tipped_kg
    more = kg.copy()
    more[:, plant.additive_names.index("FeV80")] += 50
    change = tap(plant, figures, heats, more).chemistry_pct - past.tapped.chemistry_pct

    assert np.all(change[:, INDEX["V"]] > 0.02)
    assert np.all(np.abs(change[:, INDEX["S"]]) < 1e-4)
    same(tap(plant, figures, replace(heats), kg), past.tapped)
