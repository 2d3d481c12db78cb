"""Each scenario leaves its mark in the observed data, and nowhere before it begins."""

import inspect
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from plant_simulator import archive, bulk, catalogue, scenarios
from plant_simulator.bulk import Block, Station
from plant_simulator.elements import INDEX, Booleans, Floats
from plant_simulator.errors import BadSettingError
from plant_simulator.parameters import Parameters
from plant_simulator.scenarios import SCENARIOS, Switches
from plant_simulator.tables import stack

PLANT, FIGURES = catalogue.load(), Parameters()
LINES, HEATS, START = 16, 192, 65
MN, SI, AL, CU, CR, SN = (INDEX[e] for e in ("Mn", "Si", "Al", "Cu", "Cr", "Sn"))
SIMN, FEMN_MC = (PLANT.additive_names.index(a) for a in ("SiMn", "FeMnMC"))


@cache
def day(name: str = "") -> Block:
    started = [scenarios.parse(f"{name}@{START}")] if name else []
    change = scenarios.change(PLANT, started)
    return stack(list(bulk.simulate(PLANT, FIGURES, 5, LINES, HEATS, change=change)))


def since(block: Block) -> Booleans:
    return block.heats.hidden.heat_no >= START


def recovery(here: Station, e: int) -> Floats:
    """As the plant works it out: gained over added by certificate and weight; NaN where little was added."""
    kg = np.einsum("na,na->n", here.after.weighed_kg, here.before.certificate_pct[:, :, e])
    added = kg / (1000 * here.before.steel_mass_t)
    gained = here.after.chemistry_pct[:, e] - here.before.chemistry_pct[:, e]
    found: Floats = np.divide(gained, added, out=np.full_like(added, np.nan), where=added > 0.05)
    return found


def shift(name: str, e: int, station: str = "tapping", where: Booleans | None = None) -> float:
    """How much the observed recovery moved against the same heats without the scenario."""
    pair = [recovery(getattr(day(n), station), e) for n in (name, "")]
    after = since(day()) if where is None else where
    return float(np.nanmedian(pair[0][after]) - np.nanmedian(pair[1][after]))


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_nothing_differs_before_it_begins(name: str) -> None:
    before = ~since(day())
    for station in ("tapping", "ladle_furnace"):
        first, other = (archive.observed(PLANT, day(n), station).filter(before) for n in ("", name))

        assert first.equals(other)


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_something_observed_differs_afterwards(name: str) -> None:
    first, other = (archive.observed(PLANT, day(n), "tapping").filter(since(day())) for n in ("", name))

    assert not first.equals(other)


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_each_says_what_a_good_monitor_should_conclude(name: str) -> None:
    assert "Conclude: " in inspect.cleandoc(SCENARIOS[name].__doc__ or "")


def test_the_document_is_what_the_code_says() -> None:
    document = Path(__file__).parents[1] / "docs" / "scenarios.md"

    assert document.read_text(encoding="utf-8").endswith(scenarios.markdown())


def test_a_low_lot_lowers_manganese_by_the_simn_tipped_and_only_for_that_lot() -> None:
    now = (day().heats.hidden.heat_no - START < scenarios.BAD_LOT_HEATS) & since(day())
    seen = day("simn-lot-low").tapping.before
    share = day().tapping.after.weighed_kg[:, SIMN] > 500

    assert shift("simn-lot-low", MN, where=now & share) == pytest.approx(-0.035, abs=0.015)
    assert abs(shift("simn-lot-low", SI, where=now & share)) < 0.015
    assert set(seen.lot_no[now, SIMN]) == {scenarios.BAD_LOT}
    assert scenarios.BAD_LOT not in seen.lot_no[~now, SIMN]
    np.testing.assert_array_equal(seen.certificate_pct[now, SIMN, MN], 66.0)


def test_more_carry_over_is_seen_and_costs_silicon() -> None:
    late = day().heats.hidden.heat_no > START + 80
    carried = [day(n).tapping.before.carry_over_kg_t[late].mean() for n in ("carry-over-ramp", "")]

    assert carried[0] > carried[1] + 0.7
    assert shift("carry-over-ramp", SI, where=late & (day().heats.hidden.is_al_killed == 0)) < -0.005


def test_a_biased_spectrometer_reads_high_where_the_steel_is_not() -> None:
    pair = day("spectrometer-bias"), day()
    read = [
        b.ladle.after.chemistry_pct[since(b), MN] / b.treated.metal.chemistry_pct[since(b), MN] for b in pair
    ]
    true = [b.treated.metal.chemistry_pct[since(b), MN].mean() for b in pair]

    assert np.median(read[0]) - np.median(read[1]) == pytest.approx(0.015, abs=0.002)
    assert true[0] < true[1]
    first = [b.tapping.before.chemistry_pct[since(b), MN] for b in pair]
    assert np.nanmean(first[0]) / np.nanmean(first[1]) == pytest.approx(1.015, abs=0.005)


def test_new_scrap_raises_residuals_before_and_after_alike() -> None:
    for element, more in scenarios.NEW_SUPPLIER_PCT.items():
        e, after = INDEX[element], since(day())
        before_rise, after_rise = (
            np.nanmean(getattr(day("new-scrap-supplier").tapping, side).chemistry_pct[after, e])
            - np.nanmean(getattr(day().tapping, side).chemistry_pct[after, e])
            for side in ("before", "after")
        )

        assert before_rise == pytest.approx(more, rel=0.1)
        if element != "Cr":  # where chromium is asked for, he adds less
            assert after_rise == pytest.approx(more, rel=0.1)


def test_prices_change_and_nothing_else() -> None:
    changed, usual = day("price-change"), day()
    after = since(usual)

    ratio = changed.tapping.before.price_per_t[after] / usual.tapping.before.price_per_t[after]
    assert np.median(ratio[:, SIMN]) == pytest.approx(1.35, abs=0.01)
    np.testing.assert_array_equal(changed.tapping.after.chemistry_pct, usual.tapping.after.chemistry_pct)


@pytest.mark.parametrize("e", [MN, INDEX["C"]])
def test_a_biased_scale_moves_all_recoveries_together(e: int) -> None:
    assert shift("scale-bias", e) == pytest.approx(0.015, abs=0.008)


def test_a_lower_aim_lowers_what_is_added_and_not_its_recovery() -> None:
    pair = day("aim-shift"), day()
    final = [b.ladle.after.chemistry_pct[since(b), MN].mean() for b in pair]

    assert final[0] - final[1] == pytest.approx(-0.02, abs=0.005)
    assert abs(shift("aim-shift", MN)) < 0.008


def test_what_is_out_of_stock_is_not_tipped() -> None:
    pair = day("stock-out"), day()
    used = [(b.tapping.after.weighed_kg[since(b), FEMN_MC] > 0).mean() for b in pair]

    assert used[1] > 0.02
    assert used[0] == 0
    assert not pair[0].tapping.before.is_offered[since(day()), FEMN_MC].any()


def test_a_new_grade_appears() -> None:
    never = [g for g, grade in enumerate(PLANT.grades) if grade.campaign_share == 0]
    made = day("new-grade").tapping.before.grade

    assert np.isin(made[since(day())], never).mean() > 0.05
    assert not np.isin(made[~since(day())], never).any()


def test_reports_get_late_and_doubled() -> None:
    told, usual = (day(n).heats.reporting.tapping for n in ("late-and-twice", ""))
    after = since(day())

    assert told.is_late[after].mean() > 0.45 > 0.1 > usual.is_late[after].mean()
    assert told.is_twice[after].mean() > 0.3
    assert told.is_corrected[after].mean() > 0.15


def test_oxygen_is_not_sent_any_more() -> None:
    oxygen = day("oxygen-lost").tapping.before.oxygen_ppm

    assert np.isnan(oxygen[since(day())]).all()
    assert not np.isnan(oxygen[~since(day())]).any()


def test_a_new_deoxidation_changes_recovery_in_structure() -> None:
    changed = scenarios.regraded(PLANT)
    of_them = np.isin(day().heats.hidden.grade, changed) & since(day())
    others = ~np.isin(day().heats.hidden.grade, changed) & since(day())
    seen = day("new-deoxidation").tapping
    oxygen = seen.before.oxygen_ppm
    sane = of_them & (oxygen > 200) & (oxygen < 3000)

    def on_oxygen(block: Block) -> float:
        silicon = recovery(block.tapping, SI)
        usable = sane & ~np.isnan(silicon)
        return float(np.polyfit(oxygen[usable] / 100, silicon[usable], 1)[0])

    assert 0 < len(changed) < sum(not g.is_al_killed for g in PLANT.grades)
    assert shift("new-deoxidation", SI, where=of_them) > 0.1
    assert shift("new-deoxidation", MN, where=of_them) > 0.04
    assert abs(shift("new-deoxidation", SI, where=others)) < 0.02
    assert np.all(seen.after.weighed_kg[of_them, PLANT.additive_names.index("Al")] > 0)
    assert abs(on_oxygen(day("new-deoxidation"))) < 0.5 * abs(on_oxygen(day()))


def test_carbide_in_the_ladle_saves_silicon_where_simn_kills_and_the_probe_reads_what_it_read() -> None:
    pair = day("pre-deoxidation"), day()
    killed_with_simn = (day().heats.hidden.is_al_killed == 0) & since(day())
    killed_with_al = (day().heats.hidden.is_al_killed == 1) & since(day())
    carbide, usual = (block.tapping.before.oxygen_ppm for block in pair)

    assert shift("pre-deoxidation", SI, where=killed_with_simn) > 0.05
    assert shift("pre-deoxidation", MN, where=killed_with_simn) > 0.02
    assert abs(shift("pre-deoxidation", SI, where=killed_with_al)) < 0.01
    np.testing.assert_allclose(carbide, usual, atol=1.0)


def test_scenarios_can_be_had_together() -> None:
    change = scenarios.change(PLANT, [scenarios.parse(f"{n}@1") for n in ("price-change", "stock-out")])
    block = next(bulk.simulate(PLANT, FIGURES, 5, 2, 8, change=change))

    assert not block.tapping.before.is_offered[:, FEMN_MC].any()
    assert (block.tapping.before.price_per_t[:, SIMN] > 1200).all()


def test_a_control_file_switches_them_while_the_plant_runs(tmp_path: Path) -> None:
    file = tmp_path / "control"
    switches = Switches(file)

    assert switches.active(10) == []
    file.write_text("scale-bias\nprice-change@300  # from then on\n")
    assert switches.active(12) == [("scale-bias", 12), ("price-change", 300)]
    assert switches.active(13) == [("scale-bias", 12), ("price-change", 300)]
    file.write_text("scale-bias\n")
    assert switches.active(20) == [("scale-bias", 12)]
    file.unlink()
    assert switches.active(21) == []


@pytest.mark.parametrize("text", ["flood", "scale-bias@", "scale-bias@zero", "scale-bias@0"])
def test_what_is_no_scenario_is_refused(text: str) -> None:
    if text == "scale-bias@":
        assert scenarios.parse(text).start_heat == scenarios.START_HEAT
        return
    with pytest.raises(BadSettingError, match="allowed: "):
        scenarios.parse(text)
