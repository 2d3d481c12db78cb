"""What the plant can see: noisy, sometimes missing or false, and never the truth."""

from dataclasses import fields, replace

import numpy as np
import pytest

from plant_simulator import history, instruments, line
from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import INDEX
from plant_simulator.hidden import HiddenHeats
from plant_simulator.instruments import ObservedHeats, ObservedResults
from plant_simulator.line import Heats
from plant_simulator.parameters import Parameters
from plant_simulator.tables import stack
from plant_simulator.tapping import HiddenResults

SEED, MANY = 11, 12_800
OF_THE_PLANT = {
    "heat_no",
    "grade",
    "is_first_of_campaign",
    "taphole_heats",
    "lot_no",
    "certificate_pct",
    "price_per_t",
}
"""What is no measurement: the plant's own bookkeeping, known to all."""


@pytest.fixture(scope="module")
def heats(plant: Catalogue, figures: Parameters) -> Heats:
    blocks = list(line.play(plant, figures, SEED, 1, MANY))
    sides = ("hidden", "noise", "observed", "tempers", "reporting")
    return Heats(*(stack([getattr(b, side) for b in blocks]) for side in sides))


def test_observed_tables_have_no_column_of_the_truth() -> None:
    hidden = {f.name for f in fields(HiddenHeats)} - {f.name for f in fields(ObservedHeats)}
    unseen = {f.name for f in fields(HiddenResults)} - {f.name for f in fields(ObservedResults)}

    assert {"true_assay_pct", "slag_reacts_share", "undissolved_factor", "air_oxygen_kg_t"} <= hidden
    assert {"oxidised_kg", "undissolved_kg", "oxygen_kg_t"} <= unseen
    assert not {f.name for f in fields(ObservedHeats)} & {"true_assay_pct"}


def test_no_reading_is_the_truth_itself(heats: Heats) -> None:
    for f in fields(ObservedHeats):
        if f.name in OF_THE_PLANT or f.name == "is_below":
            continue
        seen, truth = getattr(heats.observed, f.name), getattr(heats.hidden, f.name)

        assert np.mean(seen == truth) < 0.001, f.name


def test_readings_before_do_not_know_what_the_steel_will_lose(
    plant: Catalogue, figures: Parameters, heats: Heats
) -> None:
    """Hidden causes of recovery change no reading that the recommender gets."""
    other = replace(
        heats.hidden,
        slag_reacts_share=1 - heats.hidden.slag_reacts_share,
        undissolved_factor=heats.hidden.undissolved_factor[::-1],
        true_assay_pct=heats.hidden.true_assay_pct * 0.9,
        air_oxygen_kg_t=heats.hidden.air_oxygen_kg_t * 2,
        heat_loss_c=heats.hidden.heat_loss_c + 5,
    )
    seen = instruments.observe_before(figures, other, heats.noise)
    for f in fields(seen):
        np.testing.assert_array_equal(getattr(seen, f.name), getattr(heats.observed, f.name), err_msg=f.name)


def test_false_and_missing_readings_come_at_their_rates(figures: Parameters, heats: Heats) -> None:
    seen = heats.observed
    false_oxygen = np.isin(seen.oxygen_ppm, (0.0, 9999.0))
    no_sample = np.isnan(seen.chemistry_pct).all(axis=1)
    typo = seen.steel_mass_t > 1.5 * figures.steel_mass_t

    assert false_oxygen.mean() == pytest.approx(figures.oxygen_invalid_rate, rel=0.3)
    assert (seen.temperature_c == 0).mean() == pytest.approx(figures.temperature_invalid_rate, rel=0.3)
    assert no_sample.mean() == pytest.approx(figures.first_sample_missing_rate, rel=0.2)
    assert 0 < typo.sum() < 3 * figures.mass_typo_rate * MANY
    assert set(seen.oxygen_ppm[false_oxygen].tolist()) == {0.0, 9999.0}


def test_noise_of_the_spectrometer_is_what_the_settings_say(
    plant: Catalogue, figures: Parameters, heats: Heats
) -> None:
    manganese = INDEX["Mn"]
    has = ~np.isnan(heats.observed.chemistry_pct[:, manganese])
    error = (heats.observed.chemistry_pct - heats.hidden.chemistry_pct)[has, manganese]

    assert np.std(error) == pytest.approx(figures.spectrometer_sd_pct["Mn"], rel=0.1)


def test_silicon_under_the_detection_limit_is_marked_so(heats: Heats) -> None:
    silicon = INDEX["Si"]
    below = heats.observed.is_below[:, silicon]

    assert below.mean() > 0.5
    assert np.all(heats.observed.chemistry_pct[below, silicon] == instruments.DETECTION_LIMIT_PCT[silicon])


def test_scales_write_whole_kilograms_near_what_fell(plant: Catalogue, figures: Parameters) -> None:
    past = next(history.play(plant, figures, SEED, 1, 256))
    tipped = instruments.tip(figures, past.decided_kg, past.heats.noise)
    weighed = past.observed.weighed_kg

    assert np.all(weighed == np.round(weighed))
    assert 0.5 < np.std((weighed - tipped)[tipped > 0]) < 6
    assert not np.array_equal(weighed, tipped)
