"""What the plant can see: noisy, sometimes missing or false, and never the truth."""

from dataclasses import fields, replace

import numpy as np
import pytest

from plant_simulator import archive, instruments
from plant_simulator.bulk import Block
from plant_simulator.catalogue import STATIONS, TAPPING, Catalogue
from plant_simulator.elements import INDEX
from plant_simulator.hidden import HiddenHeats
from plant_simulator.instruments import ObservedHeats, ObservedResults
from plant_simulator.parameters import Parameters
from plant_simulator.tapping import HiddenResults

OF_THE_PLANT = {
    *("line", "heat_no", "grade", "is_al_killed", "is_first_of_campaign", "taphole_heats", "lot_no"),
    *("certificate_pct", "price_per_t"),
}
"""What is no measurement: the plant's own bookkeeping, known to all."""


def test_observed_tables_have_no_column_of_the_truth() -> None:
    hidden = {f.name for f in fields(HiddenHeats)} - {f.name for f in fields(ObservedHeats)}
    unseen = {f.name for f in fields(HiddenResults)} - {f.name for f in fields(ObservedResults)}

    assert {"true_assay_pct", "slag_reacts_share", "undissolved_factor", "air_oxygen_kg_t"} <= hidden
    assert {"oxidised_kg", "undissolved_kg", "oxygen_kg_t"} <= unseen
    assert not {f.name for f in fields(ObservedHeats)} & {"true_assay_pct"}


def test_no_reading_is_the_truth_itself(past: Block) -> None:
    for f in fields(ObservedHeats):
        if f.name in OF_THE_PLANT or f.name in ("is_below", "is_offered"):
            continue
        seen, truth = getattr(past.tapping.before, f.name), getattr(past.heats.hidden, f.name)

        assert np.mean(seen == truth) < 0.001, f.name
    for here, results in ((past.tapping, past.tapped), (past.ladle, past.treated.metal)):
        for name in ("chemistry_pct", "steel_mass_t", "temperature_c"):
            assert np.mean(getattr(here.after, name) == getattr(results, name)) < 0.001, name


def test_the_observed_table_tells_nothing_that_only_the_truth_has(plant: Catalogue, past: Block) -> None:
    """No column of what the plant knows equals a hidden one, and none is named like one."""
    for station in STATIONS:
        seen, truth = archive.observed(plant, past, station), archive.truth(plant, past, station)
        keys = {"line", "heat_no", "station"}
        shared = set(seen.column_names) & set(truth.column_names) - keys
        for name in shared:
            a, b = seen[name].to_numpy(), truth[name].to_numpy()
            assert np.sum(a == b) < 0.001 * len(a), name
        hidden_only = {"slag_reacts_share", "oxygen_to_remove_kg_t", "mno_reduced_share", "tipped_kg_SiMn"}
        assert not hidden_only & set(seen.column_names)
        assert hidden_only <= set(truth.column_names)


def test_readings_before_do_not_know_what_the_steel_will_lose(figures: Parameters, past: Block) -> None:
    """Hidden causes of recovery change no reading that the recommender gets."""
    hidden = past.heats.hidden
    other = replace(
        hidden,
        slag_reacts_share=1 - hidden.slag_reacts_share,
        undissolved_factor=hidden.undissolved_factor[::-1],
        true_assay_pct=hidden.true_assay_pct * 0.9,
        air_oxygen_kg_t=hidden.air_oxygen_kg_t * 2,
        heat_loss_c=hidden.heat_loss_c + 5,
        ladle=replace(hidden.ladle, mno_reduced_share=hidden.ladle.mno_reduced_share[::-1]),
    )
    seen = instruments.observe_before(figures, other, past.heats.noise)
    for f in fields(seen):
        np.testing.assert_array_equal(
            getattr(seen, f.name), getattr(past.tapping.before, f.name), err_msg=f.name
        )


def test_the_result_of_tapping_is_what_the_ladle_furnace_begins_with(past: Block) -> None:
    before, after = past.ladle.before, past.tapping.after
    has_sample = ~np.isnan(before.chemistry_pct).all(axis=1)

    np.testing.assert_array_equal(before.chemistry_pct[has_sample], after.chemistry_pct[has_sample])
    assert 0.95 < has_sample.mean() < 0.99
    assert np.isnan(before.oxygen_ppm).all()


def test_false_and_missing_readings_come_at_their_rates(figures: Parameters, past: Block) -> None:
    seen = past.tapping.before
    false_oxygen = np.isin(seen.oxygen_ppm, (0.0, 9999.0))
    no_sample = np.isnan(seen.chemistry_pct).all(axis=1)
    typo = seen.steel_mass_t > 1.5 * figures.steel_mass_t

    assert false_oxygen.mean() == pytest.approx(figures.oxygen_invalid_rate, rel=0.3)
    assert (seen.temperature_c == 0).mean() == pytest.approx(figures.temperature_invalid_rate, rel=0.3)
    assert no_sample.mean() == pytest.approx(figures.first_sample_missing_rate, rel=0.2)
    assert 0 < typo.sum() < 3 * figures.mass_typo_rate * len(typo)
    assert set(seen.oxygen_ppm[false_oxygen].tolist()) == {0.0, 9999.0}


def test_reports_come_late_twice_and_corrected_at_their_rates(figures: Parameters, past: Block) -> None:
    told = past.heats.reporting.tapping

    assert told.is_late.mean() == pytest.approx(figures.late_result_rate, rel=0.2)
    assert told.is_twice.mean() == pytest.approx(figures.duplicate_rate, rel=0.3)
    assert told.is_corrected.mean() == pytest.approx(figures.corrected_result_rate, rel=0.3)


@pytest.mark.parametrize("station", STATIONS)
def test_noise_of_the_spectrometer_is_what_the_settings_say(
    figures: Parameters, past: Block, station: str
) -> None:
    here, results = past.tapping, past.tapped
    if station != TAPPING:
        here, results = past.ladle, past.treated.metal
    manganese = INDEX["Mn"]
    true = results.chemistry_pct[:, manganese]
    error = here.after.chemistry_pct[:, manganese] - true
    slow = figures.spectrometer_bias_sd_rel["Mn"] * np.sqrt(np.mean(true**2))

    assert np.std(error) == pytest.approx(np.hypot(figures.spectrometer_sd_pct["Mn"], slow), rel=0.1)


def test_silicon_under_the_detection_limit_is_marked_so(past: Block) -> None:
    silicon, seen = INDEX["Si"], past.tapping.before
    below = seen.is_below[:, silicon]

    assert below.mean() > 0.5
    assert np.all(seen.chemistry_pct[below, silicon] == instruments.DETECTION_LIMIT_PCT[silicon])


def test_scales_write_whole_kilograms_near_what_fell(figures: Parameters, past: Block) -> None:
    tipped, weighed = past.tapping.tipped_kg, past.tapping.after.weighed_kg
    decided = past.tapping.decided_kg
    large = tipped > 500

    assert np.all(weighed == np.round(weighed))
    assert np.all((tipped > 0) == (decided > 0))
    assert 1 < np.std((weighed - tipped)[large]) < 6
    assert np.std((tipped - decided)[large]) == pytest.approx(figures.bin_remainder_sd_kg, rel=0.15)
    assert not np.array_equal(weighed, tipped)
