"""Laws of the reference policies, on the very same heats."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plant_simulator import cli
from plant_simulator.catalogue import LADLE_FURNACE, MISS_PRICE, STATIONS, TAPPING, Catalogue
from plant_simulator.elements import INDEX
from plant_simulator.errors import BadSettingError
from plant_simulator.parameters import Parameters
from plant_simulator.policies import belief, frontier, reference, scenes, sweep
from plant_simulator.policies.cases import Cases, do, most_kg, part_of, score, treat, windows_of
from plant_simulator.policies.frontier import Standing
from plant_simulator.policies.optimum import Affine, Ladder, Solver, by_confidence, by_price_of_a_miss
from plant_simulator.tables import stack

SEED, LINES, HEATS = 11, 8, 22


@pytest.fixture(scope="module", params=STATIONS)
def cases(request: pytest.FixtureRequest, plant: Catalogue, figures: Parameters) -> Cases:
    return next(scenes.cases_of(plant, figures, scenes.Scene(SEED), request.param, LINES, HEATS))


@pytest.fixture(scope="module")
def standings(plant: Catalogue, figures: Parameters, cases: Cases) -> dict[str, Standing]:
    policies = {name: frontier.named(name, None, None, MISS_PRICE) for name in frontier.NAMES}
    policies |= {f"handbook at {aim}": reference.handbook_rule(aim) for aim in (0.3, 0.4, 0.5)}
    return {s.policy: s for s in frontier.compare(plant, figures, [cases], policies)}


def test_nobody_does_better_than_the_all_knowing_one(standings: dict[str, Standing]) -> None:
    others = {name: s for name, s in standings.items() if name != reference.ALL_KNOWING}

    assert standings[reference.ALL_KNOWING].regret_per_t == 0
    assert {name: s.regret_per_t for name, s in others.items() if s.regret_per_t < 0} == {}
    assert standings[reference.ALL_KNOWING].in_window > 0.95


def test_who_knows_the_plant_does_better_than_who_does_not(standings: dict[str, Standing]) -> None:
    informed = standings[reference.INFORMED]
    knowing = (reference.ALL_KNOWING, reference.CEILING, reference.INFORMED)
    ignorant = [s for name, s in standings.items() if name not in knowing]

    assert len(ignorant) == 5
    for other in ignorant:
        assert informed.total_per_t < other.total_per_t - 2 * informed.regret_se


def test_knowing_recovery_but_not_the_first_chemistry_is_the_ceiling_of_rates(
    standings: dict[str, Standing],
) -> None:
    ceiling = standings[reference.CEILING]

    assert ceiling.in_window >= max(s.in_window for name, s in standings.items() if "handbook" in name)
    assert ceiling.in_window >= standings[reference.INFORMED].in_window
    assert ceiling.in_window_by_grade["Rail76"] >= standings[reference.INFORMED].in_window_by_grade["Rail76"]
    assert set(ceiling.in_window_by_grade) == set(standings[reference.STEELMAKER].in_window_by_grade)


def test_the_all_knowing_one_wins_heat_by_heat_where_both_land(
    plant: Catalogue, figures: Parameters, cases: Cases
) -> None:
    few = part_of(cases, slice(0, 96))
    best, rule = (
        score(plant, few, do(plant, figures, few, policy(plant, figures, few)))
        for policy in (reference.all_knowing(), reference.handbook_rule())
    )
    both = best.in_window & rule.in_window

    assert both.sum() > 60
    assert np.all(best.cost[both] <= rule.cost[both] + 5)


def test_the_informed_one_tips_whole_bags_of_what_may_be_tipped(
    plant: Catalogue, figures: Parameters, cases: Cases
) -> None:
    few = part_of(cases, slice(0, 48))

    kg = reference.informed(by_price_of_a_miss(MISS_PRICE))(plant, figures, few)

    bags = kg / plant.per_additive("increment_kg")
    np.testing.assert_allclose(bags, np.round(bags), atol=1e-6)
    assert np.all(kg <= most_kg(plant, few) + 1e-6)
    assert np.all(kg >= 0)


def test_more_confidence_lands_more_heats_and_costs_more(
    plant: Catalogue, figures: Parameters, cases: Cases
) -> None:
    few = part_of(cases, slice(0, 160))
    policies = {str(c): reference.informed(by_confidence(c, MISS_PRICE)) for c in (0.8, 0.99)}

    bold, careful = frontier.compare(plant, figures, [few], policies)

    assert careful.in_window > bold.in_window
    assert careful.cost_per_t > bold.cost_per_t


def test_the_informed_one_does_not_look_at_this_heats_chance(
    plant: Catalogue, figures: Parameters, cases: Cases
) -> None:
    """Another truth behind the same readings leaves his decision as it is."""
    few = part_of(cases, slice(0, 24))
    heats = few.heats
    lie = replace(
        heats,
        oxygen_ppm=heats.oxygen_ppm * 1.5,
        steel_mass_t=heats.steel_mass_t + 3,
        chemistry_pct=heats.chemistry_pct * 1.1,
        undissolved_factor=heats.undissolved_factor * 2,
        slag_reacts_share=1 - heats.slag_reacts_share,
        ladle=replace(heats.ladle, undissolved_factor=heats.ladle.undissolved_factor * 2),
    )
    noise = replace(few.noise, z_bin=-few.noise.z_bin, z_sample=-few.noise.z_sample)
    other = replace(few, heats=lie, noise=noise, hidden=lie if few.station == TAPPING else few.hidden)
    policy = reference.informed(by_price_of_a_miss(MISS_PRICE))

    np.testing.assert_array_equal(policy(plant, figures, few), policy(plant, figures, other))


def test_what_he_believes_is_neither_biased_nor_too_sure(
    plant: Catalogue, figures: Parameters, cases: Cases
) -> None:
    """The truth after the steelmaker's kilograms lies in his beliefs as often as it should."""
    possible = belief.possible(plant, figures, cases)
    kg = np.repeat(cases.steelmaker_kg[:, None], belief.POSSIBLE_HEATS, axis=1)
    expected = treat(plant, figures, possible, kg).chemistry_pct
    truth = treat(plant, figures, cases.hidden, cases.steelmaker_kg).chemistry_pct

    for element in ("C", "Si", "Mn"):
        e = INDEX[element]
        z = (truth - expected.mean(axis=1))[:, e] / expected.std(axis=1)[:, e]
        assert abs(np.mean(z)) < 0.35, element
        assert 0.7 < np.std(z) < 1.4, element


def test_a_window_out_of_reach_costs_nothing_more(plant: Catalogue, figures: Parameters) -> None:
    ladles = next(scenes.cases_of(plant, figures, scenes.Scene(SEED), LADLE_FURNACE, 2, 16))
    _, high = windows_of(plant, ladles)
    assert not isinstance(ladles.hidden, type(ladles.heats))
    too_rich = ladles.hidden.chemistry_pct.copy()
    too_rich[:, INDEX["Cu"]] = 1.0  # nothing takes it out
    capped = ~np.isnan(high[:, INDEX["Cu"]])
    lost = replace(ladles, hidden=replace(ladles.hidden, chemistry_pct=too_rich))

    kg = reference.all_knowing()(plant, figures, lost)

    assert capped.any()
    assert not score(plant, lost, do(plant, figures, lost, kg)).in_window[capped].any()
    assert np.median(kg.sum(axis=1)) < 1500


def test_the_handbook_is_tuned_on_a_rate(plant: Catalogue, figures: Parameters) -> None:
    heats = list(scenes.cases_of(plant, figures, scenes.Scene(3), TAPPING, LINES, HEATS))

    low = frontier.tuned_aim(plant, figures, heats, in_window=0.5)
    high = frontier.tuned_aim(plant, figures, heats, in_window=0.9)

    assert low < high
    reached = frontier.compare(plant, figures, heats, {"tuned": reference.handbook_rule(high)})[0]
    assert reached.in_window >= 0.9


def test_unknown_policies_and_shares_are_refused() -> None:
    with pytest.raises(BadSettingError, match="all-knowing, ceiling, informed, handbook, steelmaker"):
        frontier.named("oracle", None, None, MISS_PRICE)
    with pytest.raises(BadSettingError, match="--aim; allowed: above 0"):
        frontier.named(reference.HANDBOOK, 1.2, None, MISS_PRICE)


def test_a_program_takes_the_cheapest_way_into_the_window() -> None:
    affine = Affine(np.array([[0.1, 0.0]]), np.array([[[0.001, 0.0], [0.002, 0.0]]]), np.zeros((1, 2)))
    nan = np.nan
    low, high, free = np.array([[0.3, nan]]), np.array([[0.5, nan]]), np.full((1, 2), 1e4)

    kg = Solver().cheapest(
        affine, low, high, np.array([[1.0, 1.5]]), free, np.zeros((1, 2)), Ladder(0.0, (np.inf,), (1e6,))
    )

    np.testing.assert_allclose(kg, [[0.0, 100.0]], atol=1e-6)


def test_a_margin_is_bought_while_it_costs_less_than_the_misses_it_saves() -> None:
    slope, sd = 0.001, 0.01
    affine = Affine(np.array([[0.0]]), np.array([[[slope]]]), np.array([[sd]]))
    bounds = (np.array([[0.3]]), np.array([[np.nan]]))

    def margin_z(price_per_kg: float) -> float:
        kg = Solver().cheapest(
            affine,
            *bounds,
            np.array([[price_per_kg]]),
            np.full((1, 1), 1e4),
            np.zeros((1, 1)),
            by_price_of_a_miss(6000),
        )
        return float((kg[0, 0] * slope - 0.3) / sd)

    cheap, dear = margin_z(1.0), margin_z(30.0)

    assert 2 <= cheap <= 3.5 + 1e-9
    assert 1 <= dear < cheap


def test_blocks_of_cases_remember_the_heat_before(plant: Catalogue, figures: Parameters) -> None:
    blocks = list(scenes.cases_of(plant, figures, scenes.Scene(SEED), TAPPING, 3, 40))
    hidden, before = stack([b.heats for b in blocks]), np.concatenate([b.dissolution_before for b in blocks])

    assert np.isnan(before[:3]).all()
    np.testing.assert_array_equal(before[3:, 0], hidden.undissolved_factor[:-3])
    np.testing.assert_array_equal(before[3:, 1], hidden.ladle.undissolved_factor[:-3])


def test_a_sweep_judges_every_policy_on_every_drawn_plant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frontier, "AIMS", (0.3, 0.4))
    page = tmp_path / "sweep.md"
    cli.main(["sweep", "--parameter-sets", "2", "--heats", "32", "--output", str(page)])
    told, text = capsys.readouterr().err, page.read_text(encoding="utf-8")

    assert [line.split(":")[0] for line in told.splitlines() if " of 2, " in line] == [
        f"{number} of 2, {station}" for number in (1, 2) for station in STATIONS
    ]
    assert all(text.count(f"| {number} | 0.") == len(STATIONS) for number in (1, 2))
    assert all(text.count(f"\n| {name} |") == len(STATIONS) for name in (*sweep.NAMES, sweep.BEST_AIM))
    assert "nan" not in text
