"""Other plausible plants: parameter sets drawn from the ranges of B2 to B5."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from plant_simulator.chance import PLANTS, generator
from plant_simulator.parameters import Parameters

RANGES: Mapping[str, tuple[float, float]] = {
    "campaign_max_heats": (6, 16),
    "steel_mass_t": (100, 145),
    "steel_mass_sd_t": (1.5, 4),
    "tap_temperature_c": (1630, 1670),
    "tap_temperature_sd_c": (8, 20),
    "oxygen_median_ppm": (650, 1000),
    "oxygen_sd_log": (0.15, 0.30),
    "carbon_oxygen_product": (24, 30),
    "scrap_memory": (0.85, 0.98),
    "carry_over_median_kg_t": (3, 9),
    "carry_over_sd_log": (0.3, 0.55),
    "taphole_wear_kg_t": (2, 6),
    "taphole_life_heats": (100, 220),
    "slag_feo_pct": (20, 32),
    "slag_mno_pct": (3.5, 7),
    "slag_reacts_mean": (0.45, 0.62),
    "air_oxygen_median_kg_t": (0.04, 0.1),
    "undissolved_sd_log": (0.35, 0.6),
    "mno_reduced_mean": (0.25, 0.5),
    "al_fade_pct_per_10_min": (0.0010, 0.0020),
    "lot_life_mean_heats": (60, 120),
    "lot_sd_factor": (0.6, 1.5),
    "certificate_error_share": (0.3, 0.7),
    "oxygen_probe_sd_rel": (0.03, 0.08),
    "temperature_sd_c": (2, 4),
    "mass_sd_rel": (0.005, 0.02),
    "bin_remainder_sd_kg": (1.5, 5),
    "bin_scale_sd_kg": (1, 2),
    "aim_fraction_low": (0.30, 0.40),
    "aim_fraction_high": (0.40, 0.50),
    "crew_offset_sd_rel": (0.005, 0.02),
    "dither_sd_rel": (0.005, 0.02),
    "other_route_least": (0.5, 0.8),
    "recovery_knowledge": (0.1, 0.5),
    "trust": (0.3, 0.9),
}
"""Least and most of each figure that another plant may have."""
SPREAD: Mapping[str, float] = {
    "undissolved_share": 0.25,
    "ladle_furnace_undissolved_share": 0.25,
    "ladle_furnace_undissolved_sd_log": 0.15,
    "oxygen_affinity": 0.15,
    "spectrometer_sd_pct": 0.2,
    "residual_pct": 0.15,
}
"""Maps of figures that another plant has more or less of, each element by itself: sd of the logarithm."""
WHOLE = ("campaign_max_heats", "taphole_life_heats")


def draw(number: int) -> Parameters:
    """Another plausible plant; 0 is the default one, the same number is the same plant."""
    plant = Parameters()
    if number == 0:
        return plant
    rng = generator(PLANTS, number)
    figures: dict[str, Any] = {name: float(rng.uniform(*limits)) for name, limits in RANGES.items()}
    figures |= {name: float(round(figures[name])) for name in WHOLE}
    for name, sd in SPREAD.items():
        typical: Mapping[str, float] = getattr(plant, name)
        factors = np.exp(np.clip(rng.normal(0, sd, len(typical)), -2 * sd, 2 * sd))
        figures[name] = {
            e: float(min(v * f, 0.95) if name.endswith("share") else v * f)
            for (e, v), f in zip(typical.items(), factors, strict=True)
        }
    return replace(plant, **figures)
