"""Every figure of the plant's nature and habits: name, unit, default, and where the default comes from.

Tags: [D] computed from real heats, [R] read in a published page, [C] calculated, [M] general knowledge, not
verified.
`docs/settings.md` is made from this file (`plant-simulator settings`), and a test holds them together.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from plant_simulator import places
from plant_simulator.elements import ELEMENTS
from plant_simulator.errors import BadSettingError


def setting(default: float | Mapping[str, float], source: str, meaning: str) -> Any:
    """One figure: its default, the tag and place of its source, and what it means with its unit."""
    metadata = {"source": source, "meaning": meaning}
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=float(default), metadata=metadata)


SHARES = ("_rate", "_share", "_memory")
"""How settings end whose figures are shares: none is above 1."""


@dataclass(frozen=True)
class Parameters:
    """The plant's figures. Frozen: a plant does not change while it is simulated."""

    # --- what comes out of the furnace
    campaign_min_heats: float = setting(4, "[M] B6.1", "shortest sequence of one grade, heats")
    campaign_max_heats: float = setting(10, "[M] B6.1", "longest sequence of one grade, heats")
    steel_mass_t: float = setting(120, "[M] B6.1", "mean tapped mass, t")
    steel_mass_sd_t: float = setting(2.5, "[M] B6.1", "its sd from heat to heat, t")
    tap_temperature_c: float = setting(1650, "[M] B6.1", "mean tap temperature, C")
    tap_temperature_sd_c: float = setting(14, "[M] B6.1", "its sd, C")
    oxygen_median_ppm: float = setting(
        880, "[D] B5", "median dissolved oxygen at tap (electric arc furnace), ppm"
    )
    oxygen_sd_log: float = setting(0.24, "[D] B5", "sd of its logarithm")
    carbon_oxygen_product: float = setting(27, "[M] B6.1", "tap carbon x oxygen, wt % x ppm")
    tap_carbon_sd_log: float = setting(0.12, "[M] B6.1", "sd of the logarithm of tap carbon around it")
    tap_pct: Mapping[str, float] = setting(
        {"Si": 0.003, "Mn": 0.09, "P": 0.010, "S": 0.020, "V": 0.004, "Al": 0.001, "N": 0.0068},
        "[M] B6.1",
        "mean tap chemistry, wt %",
    )
    tap_sd_pct: Mapping[str, float] = setting(
        {"Si": 0.001, "Mn": 0.025, "P": 0.002, "S": 0.003, "V": 0.0015, "Al": 0.0005, "N": 0.0008},
        "[M] B6.1",
        "its sd, wt %",
    )
    residual_pct: Mapping[str, float] = setting(
        {"Cr": 0.08, "Ni": 0.08, "Mo": 0.015, "Cu": 0.20, "Sn": 0.010},
        "[M] B6.1",
        "mean residuals of the scrap mix, wt %",
    )
    residual_sd_pct: Mapping[str, float] = setting(
        {"Cr": 0.015, "Ni": 0.012, "Mo": 0.003, "Cu": 0.035, "Sn": 0.002}, "[M] B6.1", "their sd, wt %"
    )
    scrap_memory: float = setting(0.95, "[M] B6.1", "lag-1 autocorrelation of the scrap mix")
    # --- slag and oxygen
    carry_over_median_kg_t: float = setting(
        5, "[M] B6.2", "median slag carried over with a new taphole, kg/t"
    )
    carry_over_sd_log: float = setting(0.45, "[M] B6.2", "sd of its logarithm")
    taphole_life_heats: float = setting(150, "[M] B6.2", "heats between changes of the taphole")
    taphole_wear_kg_t: float = setting(
        4, "[M] B6.2", "more carry-over at the end of the taphole's life, kg/t"
    )
    slag_feo_pct: float = setting(25, "[M] B6.2", "mean FeO of the carried-over slag, wt %")
    slag_feo_sd_pct: float = setting(4, "[M] B6.2", "its sd, wt %")
    slag_mno_pct: float = setting(5, "[M] B6.2", "mean MnO of it, wt %")
    slag_mno_sd_pct: float = setting(1.5, "[M] B6.2", "its sd, wt %")
    slag_p2o5_pct: float = setting(1, "[M] B6.2", "P2O5 of it, wt %")
    phosphorus_reversion: float = setting(
        0.3, "[M]", "share of the slag's phosphorus that returns to the steel"
    )
    slag_reacts_mean: float = setting(0.55, "[M] B6.3", "mean share of the slag's oxygen that reacts (Beta)")
    slag_reacts_sd: float = setting(0.11, "[M] B6.3", "its sd")
    air_oxygen_median_kg_t: float = setting(
        0.06, "[M] B6.3", "median oxygen from air in the tap stream, kg/t"
    )
    air_oxygen_sd_log: float = setting(0.3, "[M] B6.3", "sd of its logarithm")
    # --- deoxidation: aluminium first, the rest shared
    al_oxygen_share_of_al: float = setting(0.92, "[M] B6.5", "share of the aluminium that can meet oxygen")
    al_oxygen_share_of_oxygen: float = setting(
        0.93, "[M] B6.5", "share of the oxygen that aluminium can take"
    )
    oxygen_affinity: Mapping[str, float] = setting(
        {"Si": 1.0, "V": 0.1, "Mn": 0.11, "C": 0.08, "Cr": 0.03, "Ti": 3.0, "Ca": 3.0},
        "[C] B6.5",
        "weight of an element in sharing what aluminium left",
    )
    kg_per_kg_oxygen: Mapping[str, float] = setting(
        {"Al": 1.125, "Si": 0.875, "Mn": 3.43, "C": 0.75, "Cr": 2.17, "V": 1.27, "Ti": 1.5, "Ca": 2.5},
        "[C] B6.5",
        "element burnt per oxygen, kg/kg",
    )
    largest_oxidised_share: float = setting(
        0.6, "[M] B6.5", "most of an element (but Al) that oxygen can take"
    )
    # --- dissolution
    undissolved_share: Mapping[str, float] = setting(
        {
            **{"C": 0.06, "Si": 0.02, "Mn": 0.015, "Cr": 0.024, "Mo": 0.01, "V": 0.02, "Al": 0.12},
            **{"Ti": 0.15, "Nb": 0.04, "Ni": 0.01, "Cu": 0.01, "Ca": 0.85},
        },
        "[M] B6.6",
        "median share of an added element that never dissolves, tapping",
    )
    ladle_furnace_undissolved_share: Mapping[str, float] = setting(
        {
            **{"C": 0.10, "Si": 0.05, "Mn": 0.04, "Cr": 0.045, "Mo": 0.01, "V": 0.02, "Al": 0.30},
            **{"Ti": 0.20, "Nb": 0.04, "Ni": 0.01, "Cu": 0.01, "Ca": 0.82},
        },
        "[D] A: C, Si, Mn, Cr, V; [M] B2",
        "median share of an added element that never dissolves, ladle furnace",
    )
    undissolved_sd_log: float = setting(
        0.5, "[M] B6.6 (.35), wider by the spread of real recoveries [D] A", "sd of its logarithm, tapping"
    )
    undissolved_memory: float = setting(
        0.6, "[M] B6.6", "lag-1 autocorrelation of its logarithm from heat to heat, tapping"
    )
    ladle_furnace_undissolved_sd_log: Mapping[str, float] = setting(
        {**dict.fromkeys(ELEMENTS, 0.35), "C": 0.45, "Si": 0.7, "Mn": 0.5, "Cr": 0.5, "V": 0.9},
        "[M] B6.6; C, Si, Mn, Cr, V [D] A",
        "sd of its logarithm, ladle furnace",
    )
    ladle_furnace_undissolved_memory: Mapping[str, float] = setting(
        {**dict.fromkeys(ELEMENTS, 0.6), "C": 0.48, "Si": 0.42, "Mn": 0.45, "Cr": 0.46, "V": 0.72},
        "[M] B6.6; C, Si, Mn, Cr, V [D] A",
        "lag-1 autocorrelation of its logarithm from heat to heat, ladle furnace",
    )
    short_stir_rate: float = setting(0.05, "[M] B6.6", "share of heats stirred less than 60 % of the time")
    short_stir_factor: float = setting(1.3, "[M] B6.6", "what that multiplies undissolved shares by")
    # --- heat
    tap_heat_loss_c: float = setting(
        45, "[M]", "mean fall of temperature while tapping, without additions, C"
    )
    tap_heat_loss_sd_c: float = setting(6, "[M]", "its sd, C")
    al_burning_c_per_kg_t: float = setting(
        25, "[C] B1", "rise of temperature per aluminium burnt, C per kg/t"
    )
    # --- ladle furnace
    since_tap_min: float = setting(26, "[D] B4", "minutes from tapping to the ladle furnace's first sample")
    since_tap_sd_min: float = setting(4, "[M]", "its sd, minutes")
    waiting_loss_c_per_min: float = setting(0.6, "[M]", "fall of temperature on the way, C per minute")
    treatment_sd_rel: float = setting(0.12, "[M]", "sd of the treatment's time around the grade's, relative")
    ladle_loss_c_per_min: float = setting(0.9, "[M] B6.8", "fall of temperature at the furnace, C per minute")
    arc_c_per_kwh_t: float = setting(2.5, "[M] B6.8", "rise of temperature per arc energy, C per kWh/t")
    arc_kwh_t_per_min: float = setting(1.5, "[M]", "arc energy per minute of arc, kWh/t")
    final_temperature_c: float = setting(1590, "[M]", "temperature that the arc is steered to, C")
    final_temperature_sd_c: float = setting(4, "[M]", "sd of what it reaches, C")
    nitrogen_pct_per_10_min: float = setting(
        0.0008, "[M] B6.8", "nitrogen pick-up per 10 minutes of arc, wt %"
    )
    al_fade_pct_per_10_min: float = setting(0.0012, "[M] B6.8", "aluminium lost per 10 minutes, wt %")
    al_fade_sd_log: float = setting(0.3, "[M]", "sd of its logarithm")
    ladle_slag_kg_t: float = setting(10, "[M] B4", "ladle slag besides what was carried over, kg/t")
    ladle_slag_sd_log: float = setting(0.15, "[M]", "sd of its logarithm")
    mn_loss_to_slag_share: float = setting(
        0.08, "[M]", "share of the manganese burnt at tapping that is in the ladle slag as MnO"
    )
    mno_reduced_mean: float = setting(0.4, "[D] A", "mean share of the slag's MnO that is reduced (Beta)")
    mno_reduced_sd: float = setting(0.12, "[M]", "its sd")
    mn_per_mno: float = setting(0.8, "[M] B6.8", "manganese gained per MnO reduced, kg/kg")
    si_per_mno: float = setting(0.25, "[M] B6.8", "silicon spent per MnO reduced, kg/kg")
    sulphur_left_sd_log: float = setting(0.12, "[M]", "sd of the logarithm of the sulphur that stays")
    # --- lots
    lot_sd_factor: float = setting(1, "[C]", "multiplies the lot scatter of the data file")
    lot_life_min_heats: float = setting(40, "[M] B6.4", "shortest life of a lot in the bin, heats")
    lot_life_max_heats: float = setting(150, "[M] B6.4", "longest life of a lot, heats")
    lot_life_mean_heats: float = setting(
        90, "[M] B6.4", "mean life of a lot (exponential between the two), heats"
    )
    certificate_error_share: float = setting(0.5, "[M] B6.4", "sd of a certificate's error, in lot sds")
    price_change_rate: float = setting(0.2, "[M]", "share of new lots that come at another price")
    price_sd_rel: float = setting(0.04, "[M]", "sd of such a price around the typical one, relative")
    # --- instruments
    spectrometer_sd_pct: Mapping[str, float] = setting(
        {
            "C": 0.0047,
            "Si": 0.004,
            "Mn": 0.005,
            "Cr": 0.001,
            "Ni": 0.0008,
            "Mo": 0.0005,
            "Cu": 0.0013,
            "P": 0.0004,
            "S": 0.0005,
        }
        | {"V": 0.0004, "Al": 0.001, "Ti": 0.0004, "Nb": 0.0005, "N": 0.0003, "Sn": 0.0003, "Ca": 0.0002},
        "[D] C, Mn, Si [M] B3",
        "noise of one sample, wt %",
    )
    spectrometer_sd_rel: Mapping[str, float] = setting(
        {"C": 0.0067, "P": 0.012, "S": 0.012, "Cr": 0.005, "Al": 0.02},
        "[M] B3",
        "noise of one sample that grows with the content, relative",
    )
    spectrometer_bias_sd_rel: Mapping[str, float] = setting(
        {"Mn": 0.004, "Cr": 0.004}, "[M] B3", "systematic error between recalibrations, relative"
    )
    recalibration_heats: float = setting(60, "[M]", "heats between recalibrations of the spectrometer")
    unhomogenised_rate: float = setting(0.03, "[M] B3", "share of samples taken before the ladle was mixed")
    unhomogenised_si_sd_pct: float = setting(0.015, "[M] B3", "more noise of silicon in them, wt %")
    oxygen_probe_process_sd_log: float = setting(
        0.10, "[M] B3", "change of oxygen between probe and tap, sd of the logarithm"
    )
    oxygen_probe_sd_rel: float = setting(0.05, "[M] B3", "noise of the oxygen probe, relative")
    oxygen_invalid_rate: float = setting(0.01, "[D] B6.9", "share of oxygen readings that are 9999 or 0")
    temperature_sd_c: float = setting(3, "[D] B3", "noise of the thermometer, C")
    temperature_invalid_rate: float = setting(0.01, "[M]", "share of temperature readings that are 0")
    first_sample_missing_rate: float = setting(
        0.03, "[M] B6.9", "share of heats without a chemistry before additions"
    )
    mass_sd_rel: float = setting(0.008, "[M] B3", "noise of the ladle scale, relative")
    mass_typo_rate: float = setting(
        0.001, "[D] B6.9", "share of masses that are twice the truth, a typing error"
    )
    ladle_sample_missing_rate: float = setting(
        0.03, "[M] B6.9", "share of heats whose first chemistry at the ladle furnace is missing"
    )
    carry_over_estimate_sd_log: float = setting(
        0.25, "[M]", "error of the estimated carry-over, sd of the logarithm"
    )
    slag_analysis_rate: float = setting(0.8, "[M]", "share of heats with a slag analysis")
    slag_analysis_sd_rel: float = setting(0.08, "[M]", "noise of the slag analysis, relative")
    # --- bins and scales
    bin_remainder_sd_kg: float = setting(2.5, "[M] B3", "what falls more or less than asked for, sd, kg")
    bin_remainder_sd_rel: float = setting(
        0.03, "[M]", "its sd for small amounts, relative (the smaller of the two holds)"
    )
    bin_scale_sd_kg: float = setting(1.5, "[M] B3", "noise of the bin scale, kg")
    hand_scale_sd_rel: float = setting(
        0.005, "[M]", "noise of weighing small amounts by hand, relative (the smaller of the two holds)"
    )
    bin_scale_sd_rel: float = setting(0.003, "[M] B3", "noise of the bin scale, relative")
    # --- the steelmaker
    crews: float = setting(4, "[M]", "crews that take turns")
    shift_heats: float = setting(12, "[M]", "heats of one shift")
    aim_fraction_low: float = setting(
        0.35, "[M] B6, narrower [D] A1", "where in the window the keenest crew aims (0 is min, 1 is max)"
    )
    aim_fraction_high: float = setting(0.45, "[M] B6, narrower [D] A1", "where the most careful crew aims")
    aim_fraction_sd: float = setting(0.01, "[M]", "its scatter from heat to heat and element to element")
    tapping_aim_share: float = setting(
        0.8, "[M]", "share of a crew's own aim that shows at tapping, where the ladle furnace still follows"
    )
    crew_offset_sd_rel: float = setting(
        0.01, "[M] B6 (+-2 %)", "how much a crew adds more or less than its own figure, relative"
    )
    first_heat_more_rel: float = setting(
        0.03, "[M] B6", "more added to the first heat of a sequence, relative"
    )
    dither_sd_rel: float = setting(
        0.01, "[M] B6 (2 % with the bins')", "scatter of what he adds around his figure, relative"
    )
    other_route_rate: float = setting(
        0.15, "[M]", "share of shifts in which a crew leaves out one alloy it could use"
    )
    other_route_least: float = setting(
        0.6,
        "[D] A1",
        "least share of what the rule takes of an alloy that others can stand in for, evenly up to all of it"
        " (the handbook's order is not the only one: SiMn varies without the manganese that comes of it)",
    )
    once_burnt_rel: float = setting(
        0.02, "[M] B6", "more added after a heat that missed low, relative; fades over the next heats"
    )
    once_burnt_heats: float = setting(10, "[M] B6", "heats over which that fades (e-fold)")
    oxygen_allowance: float = setting(
        0.8,
        "[M]",
        "share of the oxygen above its usual level that he allows for at tapping",
    )
    oxygen_allowance_kg_per_kg: Mapping[str, float] = setting(
        {"Al": 1.2, "Si": 0.55, "Mn": 0.8, "C": 0.05},
        "[C] B2",
        "his rule of thumb: element lost per oxygen, kg/kg (Al where Al-killed, else the others)",
    )
    slag_allowance_oxygen_kg_per_kg: float = setting(
        0.035, "[C] B2", "oxygen that he reckons with per carried-over slag more than usual, kg/kg"
    )
    tapping_scatter_pct: Mapping[str, float] = setting(
        {"C": 0.005, "Si": 0.005, "Mn": 0.003, "Cr": 0.0005},
        "[C]",
        "how far he knows tapping to scatter around its aim, sd, wt %: a first sample at the ladle furnace is"
        " believed as far as that is more than the spectrometer's noise (elements not named: wholly)",
    )
    tapping_scatter_rel: Mapping[str, float] = setting(
        {"C": 0.03, "Si": 0.025, "Mn": 0.024, "Cr": 0.0225},
        "[C]",
        "the same, what of it grows with the aim, relative",
    )
    recovery_knowledge: float = setting(
        0.3, "[M]", "share of the recovery he saw in the last heats that he corrects his nominal one by"
    )
    recovery_knowledge_heats: float = setting(8, "[M] D", "half-life of what he saw, heats")
    trust: float = setting(0.6, "[M] B6", "trust in recommendations, 0 to 1")
    accept_least: float = setting(
        0.55, "[M] B6", "chance to take a near recommendation as it is, without any trust"
    )
    accept_per_trust: float = setting(0.25, "[M] B6", "more chance with full trust")
    near_rel: float = setting(
        0.10, "[M] B6", "difference from his own figure that he still calls near, relative"
    )
    far_scale_rel: float = setting(
        0.15, "[M]", "further difference that lowers the chance to a third (e-fold), relative"
    )
    edit_least: float = setting(0.5, "[M] B6", "least share of the way to his own figure when he edits")
    # --- messages (live)
    late_result_rate: float = setting(0.05, "[M] B6.9", "share of final results that come late")
    duplicate_rate: float = setting(0.02, "[M]", "share of messages that are sent twice")
    corrected_result_rate: float = setting(
        0.02, "[M] B6.9", "share of final results that are corrected later"
    )
    corrected_weight_rate: float = setting(
        0.01, "[M]", "share of heats whose weighed kilograms are corrected later"
    )
    cancelled_rate: float = setting(0.003, "[M]", "share of heats that are cancelled")
    diverted_rate: float = setting(0.005, "[M]", "share of heats that are diverted to another grade")
    extra_sample_rate: float = setting(0.10, "[M]", "share of heats with a sample before the final one")

    def __post_init__(self) -> None:
        spread = self.slag_reacts_mean * (1 - self.slag_reacts_mean)
        rules = {
            "campaign_min_heats": (
                1 <= self.campaign_min_heats <= self.campaign_max_heats,
                "1 to campaign_max_heats",
            ),
            "lot_life_min_heats": (
                1 <= self.lot_life_min_heats <= self.lot_life_max_heats,
                "1 to lot_life_max_heats",
            ),
            "aim_fraction_low": (
                self.aim_fraction_low <= self.aim_fraction_high <= 1,
                "at most aim_fraction_high, at most 1",
            ),
            "slag_reacts_sd": (
                0 < self.slag_reacts_sd**2 < spread,
                f"above 0, under {max(spread, 0) ** 0.5:.3g}",
            ),
            "mno_reduced_sd": (
                0 < self.mno_reduced_sd**2 < self.mno_reduced_mean * (1 - self.mno_reduced_mean),
                "above 0, small enough for a share of this mean",
            ),
            "steel_mass_t": (self.steel_mass_t > 6 * self.steel_mass_sd_t, "above 6 x steel_mass_sd_t"),
            "oxygen_median_ppm": (self.oxygen_median_ppm > 0, "above 0"),
            "other_route_least": (self.other_route_least <= 1, "a share from 0 to 1"),
        }
        for name, (holds, allowed) in rules.items():
            if not holds:
                raise BadSettingError(f"{name} {getattr(self, name):g}", "the plant's figures", allowed)


def load(path: Path | None, start: Parameters | None = None) -> Parameters:
    """The defaults (or `start`), with what a YAML file names put in their place.

    Raises BadSettingError for a name that is none, or a value that is no number or negative.
    """
    start = start or Parameters()
    if path is None:
        return start
    try:
        given = places.read(path.read_text(encoding="utf-8"), str(path)) or places.Placed(1)
    except OSError as error:
        raise BadSettingError(f"cannot be read ({error})", str(path), "a YAML file") from None
    if not isinstance(given, places.Placed):
        raise BadSettingError("not a map of names to figures", str(path), "lines such as `trust: 0.8`")
    known = {f.name: f for f in fields(Parameters)}
    return replace(start, **{k: _checked(start, known, k, v, given, path) for k, v in given.items()})


def markdown() -> str:
    """The table of docs/settings.md."""
    lines = ["| setting | default | source | meaning |", "|---|---|---|---|"]
    plant = Parameters()
    for f in fields(Parameters):
        value = getattr(plant, f.name)
        shown = (
            ", ".join(f"{k} {v:g}" for k, v in value.items()) if isinstance(value, Mapping) else f"{value:g}"
        )
        lines.append(f"| `{f.name}` | {shown} | {f.metadata['source']} | {f.metadata['meaning']} |")
    return "\n".join(lines) + "\n"


def fingerprint(parameters: Parameters) -> str:
    """SHA-256 of every figure: plants of the same fingerprint are the same plant."""
    text = json.dumps(asdict(parameters), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _checked(
    start: Parameters,
    known: dict[str, Field[Any]],
    name: str,
    value: Any,
    given: places.Placed,
    path: Path,
) -> Any:
    where = f"{path}, line {given.line_of(name)}: {name}"
    if name not in known:
        raise BadSettingError("unknown setting", where, ", ".join(known))
    if isinstance(getattr(start, name), Mapping):
        if not isinstance(value, dict) or not all(k in ELEMENTS and _is_figure(v) for k, v in value.items()):
            raise BadSettingError(
                f"{value!r}", where, f"a map of elements ({', '.join(ELEMENTS)}) to figures >= 0"
            )
        if name.endswith(SHARES) and any(v > 1 for v in value.values()):
            raise BadSettingError(f"{value!r}", where, "shares from 0 to 1")
        return dict(getattr(start, name)) | {k: float(v) for k, v in value.items()}
    if not _is_figure(value):
        raise BadSettingError(f"{value!r}", where, "a figure >= 0")
    if name.endswith(SHARES) and float(value) > 1:
        raise BadSettingError(f"{value!r}", where, "a share from 0 to 1")
    return float(value)


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
