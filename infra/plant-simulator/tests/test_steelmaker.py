"""The steelmaker's habits."""

from dataclasses import replace

import numpy as np
import pytest

from plant_simulator import line, steelmaker
from plant_simulator.bulk import Block
from plant_simulator.catalogue import LADLE_FURNACE, STATIONS, TAPPING, Catalogue
from plant_simulator.elements import INDEX, Floats
from plant_simulator.instruments import ObservedHeats, observe_before
from plant_simulator.line import Heats
from plant_simulator.parameters import Parameters
from plant_simulator.steelmaker import Decision
from plant_simulator.tables import rows

REASONS = {"cost", "chemistry", "temperature", "stock", "quality_of_lot", "practice", "distrust", "other"}
PHYSICAL = {"Mn": 0.0635, "Cr": 0.054}
"""wt % per kg/t on real heats: SiMn, FeCr."""


def seen_of(plant: Catalogue, figures: Parameters, heats: int) -> tuple[Heats, ObservedHeats]:
    block = line.first(plant, figures, 3, heats)
    return block, observe_before(figures, block.hidden, block.noise)


def own(
    plant: Catalogue, figures: Parameters, block: Heats, seen: ObservedHeats, stock_kg: Floats | None = None
) -> Floats:
    """His figure at tapping, remembering nothing."""
    memory = steelmaker.fresh_memory(len(seen.heat_no))
    return steelmaker.own_figure(plant, figures, TAPPING, seen, block.tempers, memory, stock_kg)


def decisions(
    plant: Catalogue, figures: Parameters, factor: float, heats: int = 256
) -> list[tuple[Floats, Floats, Decision]]:
    """What he does with a recommendation that is `factor` times his own figure."""
    block, seen = seen_of(plant, figures, heats)
    figure, bag = own(plant, figures, block, seen), plant.per_additive("increment_kg")
    found = []
    for at in range(heats):
        one = slice(at, at + 1)
        shown = np.floor(figure[at] * factor / bag) * bag
        taken = steelmaker.decide(
            plant, figures, TAPPING, rows(seen, one), rows(block.tempers, one), figure[at], shown
        )
        found.append((figure[at], shown, taken))
    return found


def test_own_figure_comes_in_whole_bags_within_limits(plant: Catalogue, figures: Parameters) -> None:
    block, seen = seen_of(plant, figures, 256)
    figure = own(plant, figures, block, seen, np.full(len(plant.additives), 800.0))
    bags = figure / plant.per_additive("increment_kg")

    np.testing.assert_allclose(bags, np.round(bags), atol=1e-9)
    assert figure.max() <= 800
    assert figure.sum() > 0


def test_near_recommendations_are_taken_more_often_than_far_ones(
    plant: Catalogue, figures: Parameters
) -> None:
    near = np.mean([d.accepted for *_, d in decisions(plant, figures, 0.97)])
    far = np.mean([d.accepted for *_, d in decisions(plant, figures, 0.70)])

    expected = figures.accept_least + figures.accept_per_trust * figures.trust
    assert near == pytest.approx(expected, abs=0.12)
    assert far < 0.6 * near


def test_trust_makes_him_take_more(plant: Catalogue, figures: Parameters) -> None:
    without, full = (
        np.mean([d.accepted for *_, d in decisions(plant, replace(figures, trust=trust), 0.97)])
        for trust in (0.0, 1.0)
    )

    assert full > without + 0.1


def test_what_he_takes_is_what_was_shown_and_has_no_reason(plant: Catalogue, figures: Parameters) -> None:
    taken = [(shown, d) for _, shown, d in decisions(plant, figures, 0.97) if d.accepted]

    assert taken
    for shown, decision in taken:
        np.testing.assert_array_equal(decision.decided_kg, shown)
        assert decision.reason_code is None


def test_what_he_edits_goes_towards_his_own_figure_with_a_known_reason(
    plant: Catalogue, figures: Parameters
) -> None:
    edited = [(own_kg, shown, d) for own_kg, shown, d in decisions(plant, figures, 0.80) if not d.accepted]
    bag = plant.per_additive("increment_kg")

    assert len({d.reason_code for *_, d in edited}) > 1
    for own_kg, shown, decision in edited:
        assert decision.reason_code in REASONS
        assert np.all(np.abs(decision.decided_kg - own_kg) <= np.abs(shown - own_kg) + bag)
        assert not np.array_equal(decision.decided_kg, shown)


def test_crews_aim_differently(figures: Parameters, past: Block) -> None:
    crew, aim = past.heats.tempers.crew, past.heats.tempers.tapping.aim_fraction.mean(axis=1)
    means = [aim[crew == c].mean() for c in range(int(figures.crews))]

    assert means == sorted(means)
    assert means[0] == pytest.approx(figures.aim_fraction_low, abs=0.02)
    assert means[-1] == pytest.approx(figures.aim_fraction_high, abs=0.02)


def test_additions_vary_enough_to_teach(plant: Catalogue, past: Block) -> None:
    """Each alloy of the routine is used often, and its kilograms vary enough that its effect can be told."""
    names = plant.additive_names
    used = dict(zip(names, (past.tapping.decided_kg > 0).mean(axis=0), strict=True))
    trimmed = dict(zip(names, (past.ladle.decided_kg > 0).mean(axis=0), strict=True))

    assert used["SiMn"] > 0.8
    assert used["FeMnHC"] > 0.5
    assert used["FeSi75"] > 0.3
    assert used["coke"] > 0.7
    assert all(trimmed[a] > 0.2 for a in ("SiMn", "FeMnHC", "FeSi75", "coke"))
    made = past.tapping.before.grade
    for additive in ("SiMn", "FeMnHC", "FeSi75", "coke"):
        kg = past.tapping.decided_kg[:, names.index(additive)]
        of_grade = [kg[(made == g) & (kg > 0)] for g in np.unique(made)]
        assert np.median([some.std() / some.mean() for some in of_grade if len(some) > 100]) > 0.05


def test_forbidden_additives_are_never_tipped(plant: Catalogue, past: Block) -> None:
    for here in (past.tapping, past.ladle):
        assert not np.any(here.decided_kg[plant.is_forbidden[here.before.grade]])


@pytest.mark.parametrize("station", STATIONS)
@pytest.mark.parametrize("grade", ["B500B", "S355J2", "C45E", "42CrMo4"])
def test_final_chemistry_says_nothing_of_what_was_added(
    plant: Catalogue, past: Block, grade: str, station: str
) -> None:
    """Confounding as on real heats: he closes the loop, so final Mn on SiMn has next to no slope."""
    here, position = past.tapping, [g.grade for g in plant.grades].index(grade)
    if station == LADLE_FURNACE:
        here = past.ladle
    of_grade = here.before.grade == position
    simn = here.after.weighed_kg[:, plant.additive_names.index("SiMn")] / here.before.steel_mass_t
    final = here.after.chemistry_pct[:, INDEX["Mn"]]

    slope = np.polyfit(simn[of_grade], final[of_grade], 1)[0]

    assert abs(slope) < 0.25 * PHYSICAL["Mn"]


@pytest.mark.parametrize(
    ("station", "additive", "element"),
    [
        *((TAPPING, "SiMn", "Mn"), (TAPPING, "SiMn", "Si"), (TAPPING, "coke", "C")),
        *((LADLE_FURNACE, "SiMn", "Mn"), (LADLE_FURNACE, "FeSi75", "Si"), (LADLE_FURNACE, "coke", "C")),
        *((LADLE_FURNACE, "FeCrHC", "Cr"), (LADLE_FURNACE, "FeV80", "V")),
    ],
)
def test_a_history_teaches_the_effect_of_a_kilogram(
    plant: Catalogue, past: Block, station: str, additive: str, element: str
) -> None:
    """The increment on what was added, within the grades that use the alloy, finds a true recovery."""
    here = past.tapping if station == TAPPING else past.ladle
    seen, e, j = here.before, INDEX[element], plant.additive_names.index(additive)
    truth = past.tapped if station == TAPPING else past.treated.metal
    before = np.where(seen.is_below[:, e], seen.chemistry_pct[:, e] / 2, seen.chemistry_pct[:, e])
    usable = ~np.isnan(before) & (seen.steel_mass_t < 200) & ~(seen.oxygen_ppm > 4000)
    usable &= ~(seen.oxygen_ppm < 100) & (here.after.steel_mass_t < 200)
    kg = np.einsum("na,nae->ne", here.after.weighed_kg, seen.certificate_pct)
    added = kg[:, e] / (1000 * seen.steel_mass_t)
    increment = here.after.chemistry_pct[:, e] - before
    slopes, weights, known = [], [], []
    for grade in range(len(plant.grades)):
        some = usable & (seen.grade == grade) & (added > 0.004)
        if some.sum() < 100 or (here.decided_kg[some, j] > 0).mean() < 0.5:
            continue
        causes = [np.ones(some.sum()), added[some]]
        if station == TAPPING:
            causes += [seen.oxygen_ppm[some], seen.carry_over_kg_t[some]]
        slopes.append(np.linalg.lstsq(np.column_stack(causes), increment[some], rcond=None)[0][1])
        weights.append(np.var(added[some]) * some.sum())
        lost = truth.undissolved_kg[some, e] / truth.added_kg[some, e]
        known.append(1 - np.median(lost))

    assert np.average(slopes, weights=weights) == pytest.approx(np.average(known, weights=weights), rel=0.2)


def test_he_adds_more_after_a_heat_that_missed_low(plant: Catalogue, figures: Parameters) -> None:
    block, seen = seen_of(plant, figures, 64)
    burnt = replace(steelmaker.fresh_memory(64), burnt=np.ones(64))
    more = steelmaker.own_figure(plant, figures, TAPPING, seen, block.tempers, burnt)

    ratio = more.sum() / own(plant, figures, block, seen).sum()
    assert ratio == pytest.approx(1 + figures.once_burnt_rel, abs=0.005)


def test_he_corrects_for_the_recovery_he_saw(plant: Catalogue, figures: Parameters, past: Block) -> None:
    """After results that came out low he expects less of each kilogram."""
    some = slice(0, 32)
    seen, after = rows(past.tapping.before, some), rows(past.tapping.after, some)
    low = replace(after, chemistry_pct=after.chemistry_pct * 0.9)
    fresh = steelmaker.fresh_memory(32)
    as_is = steelmaker.remember(plant, figures, TAPPING, fresh, seen, after).recovery_rel
    worse = steelmaker.remember(plant, figures, TAPPING, fresh, seen, low).recovery_rel

    assert np.all(worse[:, INDEX["Mn"]] <= as_is[:, INDEX["Mn"]])
    assert np.mean(worse[:, INDEX["Mn"]] < as_is[:, INDEX["Mn"]]) > 0.9


def test_an_impossible_mass_is_not_believed(plant: Catalogue, figures: Parameters) -> None:
    block, seen = seen_of(plant, figures, 64)
    typo = replace(seen, steel_mass_t=seen.steel_mass_t * 2)

    ratio = own(plant, figures, block, typo).sum() / own(plant, figures, block, seen).sum()
    assert ratio == pytest.approx(1, abs=0.02)
