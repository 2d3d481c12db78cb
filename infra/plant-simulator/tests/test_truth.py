"""The hidden plant: repeatable, physical, inside the published ranges."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from plant_simulator import history, instruments, line, lots, steelmaker, tapping
from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import ELEMENTS, INDEX, Floats
from plant_simulator.lots import Ledger
from plant_simulator.parameters import Parameters
from plant_simulator.tables import rows, stack

SEED = 7


def only(plant: Catalogue, grade: str) -> Catalogue:
    """The plant when it makes one grade only."""
    grades = tuple(replace(g, campaign_share=float(g.grade == grade)) for g in plant.grades)
    return replace(plant, grades=grades)


def recoveries(plant: Catalogue, figures: Parameters, element: str, heats: int = 4096) -> Floats:
    """Share of the added element that stayed, per heat that got at least 5 kg of it."""
    results = stack([past.results for past in history.play(plant, figures, SEED, 1, heats)])
    e = INDEX[element]
    added = results.added_kg[:, e]
    lost = results.undissolved_kg[:, e] + results.oxidised_kg[:, e]
    enough = added >= 5
    recovery: Floats = 1 - lost[enough] / added[enough]
    return recovery


def test_same_seed_gives_the_same_heats(plant: Catalogue, figures: Parameters) -> None:
    first, second = (stack([h.hidden for h in line.play(plant, figures, SEED, 1, 600)]) for _ in range(2))

    for f in fields(first):
        np.testing.assert_array_equal(getattr(first, f.name), getattr(second, f.name))


def test_another_seed_gives_other_heats(plant: Catalogue, figures: Parameters) -> None:
    first, second = (next(line.play(plant, figures, seed, 1, 100)) for seed in (SEED, SEED + 1))

    assert not np.any(first.hidden.oxygen_ppm == second.hidden.oxygen_ppm)


@pytest.mark.parametrize("start", [2, 100, 256, 257, 700])
def test_a_heat_is_the_same_wherever_one_starts(plant: Catalogue, figures: Parameters, start: int) -> None:
    whole = list(line.play(plant, figures, SEED, 1, 800))
    part = next(line.play(plant, figures, SEED, start, 5))
    for side in ("hidden", "noise", "observed", "tempers", "reporting"):
        same = stack([getattr(h, side) for h in whole])
        for f in fields(same):
            cut = getattr(same, f.name)[start - 1 :][: len(part.hidden.heat_no)]
            np.testing.assert_array_equal(
                cut, getattr(part, side).__dict__[f.name], err_msg=f"{side}.{f.name}"
            )


def test_what_is_added_changes_nothing_that_was_there_before(plant: Catalogue, figures: Parameters) -> None:
    heats = next(line.play(plant, figures, SEED, 1, 50)).hidden
    before = heats.chemistry_pct.copy()

    tapping.tap(plant, figures, heats, np.full((50, len(plant.additives)), 300.0))

    np.testing.assert_array_equal(heats.chemistry_pct, before)


def test_mass_balance_closes_for_every_element(plant: Catalogue, figures: Parameters) -> None:
    rng = np.random.default_rng(1)
    heats = next(line.play(plant, figures, SEED, 1, 256)).hidden
    tipped_kg = rng.uniform(0, 2000, (256, len(plant.additives)))

    results = tapping.tap(plant, figures, heats, tipped_kg)

    before = heats.chemistry_pct / 100 * heats.steel_mass_t[:, None] * 1000
    after = results.chemistry_pct / 100 * results.steel_mass_t[:, None] * 1000
    thrown = np.einsum("na,nae->ne", tipped_kg, heats.true_assay_pct) / 100
    gone = results.undissolved_kg + results.oxidised_kg
    np.testing.assert_allclose(after, before + thrown + results.reverted_kg - gone, rtol=1e-9, atol=1e-9)
    gained = (after - before).sum(axis=1) + results.iron_kg
    np.testing.assert_allclose((results.steel_mass_t - heats.steel_mass_t) * 1000, gained, rtol=1e-7)


def test_no_more_oxygen_is_taken_than_there_is(plant: Catalogue, figures: Parameters) -> None:
    heats = next(line.play(plant, figures, SEED, 1, 256)).hidden
    for kg in (0.0, 50.0, 5000.0):
        results = tapping.tap(plant, figures, heats, np.full((256, len(plant.additives)), kg))

        assert np.all(results.oxygen_left_kg_t >= -1e-12)
        assert np.all(results.oxygen_left_kg_t <= results.oxygen_kg_t)
        assert np.all(results.oxidised_kg <= results.added_kg - results.undissolved_kg + 1e-9)
        assert np.all(results.chemistry_pct >= 0)


def test_more_of_an_additive_never_gives_less_of_its_element(plant: Catalogue, figures: Parameters) -> None:
    heats = next(line.play(plant, figures, SEED, 1, 256)).hidden
    some = np.full((256, len(plant.additives)), 200.0)
    for position, additive in enumerate(plant.additives):
        more = some.copy()
        more[:, position] += 100
        main = int(np.argmax(additive.assay_pct))
        gain = (
            tapping.tap(plant, figures, heats, more).chemistry_pct
            - tapping.tap(plant, figures, heats, some).chemistry_pct
        )

        assert np.all(gain[:, main] > 0), additive.additive


def test_aluminium_takes_the_oxygen_before_silicon(plant: Catalogue, figures: Parameters) -> None:
    heats = next(line.play(plant, figures, SEED, 1, 256)).hidden
    names = plant.additive_names
    without = np.zeros((256, len(names)))
    without[:, names.index("SiMn")] = 1500
    killed = without.copy()
    killed[:, names.index("Al")] = 250

    burnt_without = tapping.tap(plant, figures, heats, without).oxidised_kg[:, INDEX["Si"]]
    burnt_killed = tapping.tap(plant, figures, heats, killed).oxidised_kg[:, INDEX["Si"]]

    assert np.all(burnt_killed < 0.5 * burnt_without)


@pytest.mark.parametrize(
    ("element", "low", "high"), [("C", 0.85, 0.95), ("Si", 0.70, 0.88), ("Mn", 0.85, 0.94)]
)
def test_recoveries_of_silicon_killed_tapping_are_in_the_published_range(
    plant: Catalogue, figures: Parameters, element: str, low: float, high: float
) -> None:
    assert low < np.median(recoveries(plant, figures, element)) < high


@pytest.mark.parametrize(
    ("element", "low", "high"),
    [("C", 0.90, 0.97), ("Si", 0.90, 0.97), ("Mn", 0.93, 0.98), ("Cr", 0.96, 0.99), ("Al", 0.10, 0.35)],
)
def test_recoveries_of_aluminium_killed_tapping_are_in_the_published_range(
    plant: Catalogue, figures: Parameters, element: str, low: float, high: float
) -> None:
    assert low < np.median(recoveries(only(plant, "16MnCr5"), figures, element)) < high


def test_recovery_remembers_the_heat_before(plant: Catalogue, figures: Parameters) -> None:
    carbon = recoveries(plant, figures, "C")

    assert 0.2 < np.corrcoef(carbon[:-1], carbon[1:])[0, 1] < 0.8


def test_lots_live_as_long_as_lots_do_and_differ_from_their_certificates(
    plant: Catalogue, figures: Parameters
) -> None:
    known = [lot for book in Ledger(plant, figures, SEED).until(20_000) for lot in book[1:-1]]
    lives = np.array([lot.next_heat_no - lot.first_heat_no for lot in known])
    simn = [lot for lot in known if lot.lot.startswith("SM-")]
    error = np.array([lot.certificate_pct - lot.true_assay_pct for lot in simn])[:, INDEX["Mn"]]
    spread = plant.additives[0].lot_sd_pct[INDEX["Mn"]]

    assert lives.min() >= figures.lot_life_min_heats
    assert lives.max() <= figures.lot_life_max_heats
    assert np.std(error) == pytest.approx(figures.certificate_error_share * spread, rel=0.25)
    assert all(lot.certificate_pct.sum() <= 100 for lot in known)
    assert len({lot.lot for lot in known}) == len(known)


def test_heats_draw_from_the_lot_in_the_bin(plant: Catalogue, figures: Parameters) -> None:
    ledger = Ledger(plant, figures, SEED)
    bins = lots.lots_in_bins(ledger, np.arange(300, 700))
    for position, book in enumerate(ledger.until(700)):
        lot = next(lot for lot in book if lot.first_heat_no <= 500 < lot.next_heat_no)

        assert bins.lot_no[200, position] == lot.lot_no
        np.testing.assert_array_equal(bins.true_assay_pct[200, position], lot.true_assay_pct)


def past_of(plant: Catalogue, figures: Parameters, heats: int) -> history.Past:
    parts = list(history.play(plant, figures, SEED, 1, heats))
    sides = ("hidden", "noise", "observed", "tempers", "reporting")
    whole = line.Heats(*(stack([getattr(p.heats, side) for p in parts]) for side in sides))
    decided = np.concatenate([p.decided_kg for p in parts])
    return history.Past(whole, decided, stack([p.results for p in parts]), stack([p.observed for p in parts]))


def added_pct(past: history.Past) -> Floats:
    """What the plant believes it added of each element, wt %: weighed kilograms by certificate."""
    seen = past.heats.observed
    kg = np.einsum("na,nae->ne", past.observed.weighed_kg, seen.certificate_pct)
    pct: Floats = kg / (1000 * seen.steel_mass_t[:, None])
    return pct


@pytest.mark.parametrize("element", ["C", "Mn"])
def test_naive_regression_within_a_grade_is_useless_as_on_real_heats(
    plant: Catalogue, figures: Parameters, element: str
) -> None:
    """The steelmaker closes the loop:

    final chemistry on what was added gives a slope far under the physical one.
    """
    past = past_of(only(plant, "C45E"), replace(figures, **CLOSED_LOOP), 2048)
    e = INDEX[element]

    slope = np.polyfit(added_pct(past)[:, e], past.observed.chemistry_pct[:, e], 1)[0]

    assert slope < 0.6


CLOSED_LOOP: dict[str, Any] = {
    "aim_fraction_sd": 0.0,
    "dither_sd_rel": 0.0,
    "crew_offset_sd_rel": 0.0,
    "other_route_rate": 0.0,
}


@pytest.mark.parametrize(
    ("additive", "element"), [("SiMn", "Mn"), ("SiMn", "Si"), ("FeSi75", "Si"), ("coke", "C")]
)
def test_a_history_teaches_the_effect_of_a_kilogram(
    plant: Catalogue, figures: Parameters, additive: str, element: str
) -> None:
    """The increment regressed on what was added, and on oxygen, finds what `do(Y)` says: within 10 %."""
    past = past_of(plant, figures, 2048)
    seen, e, a = past.heats.observed, INDEX[element], plant.additive_names.index(additive)
    before = np.where(seen.is_below[:, e], 0.0, seen.chemistry_pct[:, e])
    usable = ~np.isnan(before) & (seen.steel_mass_t < 200) & (seen.oxygen_ppm > 0) & (seen.oxygen_ppm < 9000)
    causes = [added_pct(past)[:, INDEX[x]] for x in ("C", "Si", "Mn")] + [
        seen.oxygen_ppm,
        seen.carry_over_kg_t,
    ]
    table = np.column_stack([np.ones(len(before)), *causes])[usable]
    increment = (past.observed.chemistry_pct[:, e] - before)[usable]
    learnt = np.linalg.lstsq(table, increment, rcond=None)[0][1 + ("C", "Si", "Mn").index(element)]

    heats = past.heats.hidden
    tipped = instruments.tip(figures, past.decided_kg, past.heats.noise)
    more = tipped.copy()
    more[:, a] += 20
    gain = (
        tapping.tap(plant, figures, heats, more).chemistry_pct
        - tapping.tap(plant, figures, heats, tipped).chemistry_pct
    )
    true = np.mean(gain[:, e] * heats.steel_mass_t * 1000 / (20 * heats.true_assay_pct[:, a, e]))

    assert learnt == pytest.approx(true, rel=0.10)


def test_rows_and_stack_are_inverse(plant: Catalogue, figures: Parameters) -> None:
    observed = next(line.play(plant, figures, SEED, 1, 20)).observed
    again = stack([rows(observed, slice(0, 7)), rows(observed, slice(7, None))])

    np.testing.assert_array_equal(again.chemistry_pct, observed.chemistry_pct)


def test_own_figure_lands_most_heats_in_the_window(plant: Catalogue, figures: Parameters) -> None:
    past = list(history.play(plant, figures, SEED, 1, 3000))
    grade = np.concatenate([p.heats.observed.grade for p in past])
    final = np.concatenate([p.observed.chemistry_pct for p in past])
    low = np.array([g.min_pct for g in plant.grades])[grade]
    high = np.array([g.max_pct for g in plant.grades])[grade]
    inside = ~((final < low - 1e-9) | (final > high + 1e-9)).any(axis=1)

    assert 0.75 < inside.mean() < 0.98
    assert final.shape[1] == len(ELEMENTS)


def test_what_falls_is_near_what_was_decided(plant: Catalogue, figures: Parameters) -> None:
    heats = next(line.play(plant, figures, SEED, 1, 256))
    decided = steelmaker.own_figure(plant, figures, heats.observed, heats.tempers)
    tipped = instruments.tip(figures, decided, heats.noise)

    assert np.all((tipped > 0) == (decided > 0))
    assert np.std((tipped - decided)[decided > 0]) == pytest.approx(figures.bin_remainder_sd_kg, rel=0.15)
