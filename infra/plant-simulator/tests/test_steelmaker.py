"""The steelmaker's habits."""

from dataclasses import replace

import numpy as np
import pytest

from plant_simulator import line, steelmaker
from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import Floats
from plant_simulator.line import Heats
from plant_simulator.parameters import Parameters
from plant_simulator.steelmaker import Decision

REASONS = {"cost", "chemistry", "temperature", "stock", "quality_of_lot", "practice", "distrust", "other"}


def decisions(
    plant: Catalogue, figures: Parameters, factor: float, heats: int = 256
) -> list[tuple[Heats, Floats, Floats, Decision]]:
    """What he does with a recommendation that is `factor` times his own figure."""
    block = next(line.play(plant, figures, 3, 1, heats))
    found = []
    for position in range(len(block.observed.heat_no)):
        one = line.pick(block, slice(position, position + 1))
        own = steelmaker.own_figure(plant, figures, one.observed, one.tempers)[0]
        bag = plant.per_additive("increment_kg")
        shown = np.floor(own * factor / bag) * bag
        taken = steelmaker.decide(plant, figures, one.observed, one.tempers, own, shown)
        found.append((one, own, shown, taken))
    return found


def test_own_figure_comes_in_whole_bags_within_limits(plant: Catalogue, figures: Parameters) -> None:
    heats = next(line.play(plant, figures, 3, 1, 256))
    stock_kg = np.full(len(plant.additives), 800.0)
    own = steelmaker.own_figure(plant, figures, heats.observed, heats.tempers, stock_kg)
    bags = own / plant.per_additive("increment_kg")

    np.testing.assert_allclose(bags, np.round(bags), atol=1e-9)
    assert own.max() <= 800
    assert own.sum() > 0


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
    taken = [(shown, d) for _, _, shown, d in decisions(plant, figures, 0.97) if d.accepted]

    assert taken
    for shown, decision in taken:
        np.testing.assert_array_equal(decision.decided_kg, shown)
        assert decision.reason_code is None


def test_what_he_edits_goes_towards_his_own_figure_with_a_known_reason(
    plant: Catalogue, figures: Parameters
) -> None:
    edited = [(own, shown, d) for _, own, shown, d in decisions(plant, figures, 0.80) if not d.accepted]
    bag = plant.per_additive("increment_kg")

    assert len({d.reason_code for *_, d in edited}) > 1
    for own, shown, decision in edited:
        assert decision.reason_code in REASONS
        assert np.all(np.abs(decision.decided_kg - own) <= np.abs(shown - own) + bag)
        assert not np.array_equal(decision.decided_kg, shown)


def test_crews_aim_differently(plant: Catalogue, figures: Parameters) -> None:
    heats = [h.tempers for h in line.play(plant, figures, 3, 1, 2000)]
    crew = np.concatenate([t.crew for t in heats])
    aim = np.concatenate([t.aim_fraction.mean(axis=1) for t in heats])
    means = [aim[crew == c].mean() for c in range(int(figures.crews))]

    assert means == sorted(means)
    assert means[0] == pytest.approx(figures.aim_fraction_low, abs=0.02)
    assert means[-1] == pytest.approx(figures.aim_fraction_high, abs=0.02)


def test_additions_vary_enough_to_teach(plant: Catalogue, figures: Parameters) -> None:
    """Each alloy of the routine is used often, and left out often enough that its effect can be told."""
    heats = list(line.play(plant, figures, 3, 1, 2000))
    own = np.concatenate([steelmaker.own_figure(plant, figures, h.observed, h.tempers) for h in heats])
    used = dict(zip(plant.additive_names, (own > 0).mean(axis=0), strict=True))

    assert used["SiMn"] > 0.9
    assert 0.1 < used["FeMnHC"] < 0.6
    assert used["FeSi75"] > 0.5
    assert used["coke"] > 0.9
