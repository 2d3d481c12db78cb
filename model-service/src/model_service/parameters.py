"""The model as plain numbers: `model.json` of a bundle.

Per station and element, with kg_j kilograms of additive j, its assay a_je (wt %) and the steel mass M (t):

    final_pct = first_pct + offset
                + sum_j kg_j * (recovery * a_je - metallic_yield_j * reference_pct) / (1000 * M)
                - debit * (loss_pct + sum_p share_p * added_pct_p), the oxygen's part, see `oxygen`
    recovery  = recovery + sum_f recovery_slopes[f] * (x_f - default_f) + correction of its trees (capped)
    offset    = offset_pct + sum_f offset_slopes[f] * (x_f - default_f) + correction of its trees (capped)
    sd_pct^2  = noise_sd_pct^2 + (noise_share * reference_pct)^2 + (recovery_sd * added_pct)^2
                + (debit_sd * usual loss to oxygen)^2 + sd of an assumed or censored first analysis^2

`first_pct` is what the first analysis is believed to say: a sample errs, so what heats of the grade usually
come with has a say too (`first_readings`; a grade that is not there is believed as it was read).
`reference_pct` is the aim of the element's window, or the first analysis where there is none: so the steel
that an alloy dilutes is taken at its final content, and the outcome stays affine in the kilograms. An
analysis errs the more, the more there is: `noise_share`.
Features x_f describe the state of the heat only, never the kilograms.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, field

from model_service.contracts import Code, Element, Slug
from model_service.errors import Fault

FORMAT = "steel-additive-model/v1"

NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of model.json; an unknown field is an error, because it would be a number that nobody uses."""


class Feature(Record, frozen=True, kw_only=True):
    """A column of the trees, with its range in training; `default` is taken where it is missing."""

    name: Slug
    unit: str
    low: float
    high: float
    default: float


class Range(Record, frozen=True, kw_only=True):
    """Lowest and highest value seen in training."""

    low: float
    high: float


class SteelMass(Record, frozen=True, kw_only=True):
    """Range in training (t), and how far the scale is trusted: mass = nominal + trust * (read - nominal)."""

    low: Positive
    high: Positive
    nominal: Positive
    trust: Annotated[float, Meta(ge=0, le=1)] = 1.0


class UsualFirst(Record, frozen=True, kw_only=True):
    """What a first analysis usually is, and how far it strays from that, wt %."""

    pct: NotNegative
    sd_pct: NotNegative


class AssumedFirst(UsualFirst, frozen=True, kw_only=True):
    """First analysis taken where it was not measured: that of the heat's grade, else of all grades."""

    by_grade: dict[Code, UsualFirst] = field(default_factory=dict)


class FirstReading(Record, frozen=True, kw_only=True):
    """What heats of a grade come with, wt %, and how far a first analysis that differs from it is believed:
    pct + trust * (read - pct), but never more than `most_pct` from what was read."""

    pct: NotNegative
    trust: Annotated[float, Meta(ge=0, le=1)]
    most_pct: NotNegative


class SlowState(Record, frozen=True, kw_only=True):
    """How the residuals of the last heats (result - base prediction) become a correction; see `memory`.

    The bias is as sure as `prior_heats` heats of noise that say 0, and fades by half in `half_life_heats`;
    null switches both off. A lot's true content scatters by `lot_sd` around its certificate (a share of it).
    What stays of an addition wanders by `recovery_sd` (a share of it, part of the model's) and has lost half
    of that in `recovery_half_life_heats`; it moves the slope.
    Intervals widen and narrow with how the last heats scatter, mean of |residual| / sd, which is as sure as
    `scatter_heats` heats that say `usual_scatter`; null: they don't.
    """

    residual_sd_pct: Positive
    half_life_heats: Positive = 8.0
    prior_heats: Positive | None = 6.0
    lot_sd: NotNegative = 0.006
    recovery_sd: NotNegative = 0.0
    recovery_half_life_heats: Positive = 1.0
    scatter_heats: Positive | None = None
    usual_scatter: Positive = 0.8


# Equal to itself alone (eq=False), as stations and elements are: what follows from one is remembered by it.
class OxygenBalance(Record, frozen=True, kw_only=True, eq=False):
    """What is taken of oxygen at a station where it is not measured, and who binds it; used by `oxygen`.

    `carbon_oxygen_pct_ppm` is carbon (wt %) x oxygen (ppm) at tap; `probe_sd`, `by_carbon_sd`, `usual_sd`
    are relative, and weigh the three ways to know dissolved oxygen. Carried-over slag is an estimate too:
    it counts as usual x (reading / usual)^`slag_trust`. `slag_reacts` is the share of the slag's oxygen
    that reacts. Aluminium burns up to `al_burnt` of itself and takes up to `al_takes` of the oxygen,
    which is known to `oxygen_sd` (relative); no other loses more than `most_burnt`. `kg_per_kg` is
    element burnt per oxygen, `affinity` its weight in sharing, `usual_kg_t` what a heat without windows
    gets, `dissolved` the share of an addition that is there to be burnt.
    """

    kg_per_kg: dict[Element, Positive]
    affinity: dict[Element, NotNegative]
    usual_kg_t: dict[Element, NotNegative]
    dissolved: dict[Element, Annotated[float, Meta(ge=0, le=1)]]
    usual_ppm: Positive
    usual_sd: Positive
    carbon_oxygen_pct_ppm: Positive
    by_carbon_sd: Positive
    probe_sd: Positive
    carry_over_kg_t: Positive
    feo_pct: NotNegative
    mno_pct: NotNegative
    slag_trust: Annotated[float, Meta(ge=0, le=1)] = 1.0
    slag_reacts: Annotated[float, Meta(ge=0, le=1)]
    air_kg_t: NotNegative
    al_burnt: Annotated[float, Meta(ge=0, le=1)]
    al_takes: Annotated[float, Meta(ge=0, le=1)]
    oxygen_sd: Positive
    most_burnt: Annotated[float, Meta(ge=0, le=1)]


class ElementModel(Record, frozen=True, kw_only=True, eq=False):
    """One element at one station; see the module's equations. Trees are named by their stem in `trees/`.

    Results may stray further up than down: of the band's halves, `skew` is (upper - lower) / (upper + lower).
    `debit` is the share of the oxygen balance's loss that this element really has, `debit_sd` how much that
    scatters from heat to heat.
    """

    recovery: Annotated[float, Meta(ge=0, le=1.5)]
    recovery_sd: NotNegative
    noise_sd_pct: Positive
    noise_share: NotNegative = 0.0
    slow_state: SlowState
    first_range: Range
    offset_pct: float = 0.0
    recovery_slopes: dict[Slug, float] = field(default_factory=dict)
    offset_slopes: dict[Slug, float] = field(default_factory=dict)
    recovery_tree: str | None = None
    recovery_cap: NotNegative = 0.0
    offset_tree: str | None = None
    offset_cap_pct: NotNegative = 0.0
    interval_factor: Positive = 1.6448536269514722
    skew: Annotated[float, Meta(ge=-0.5, le=0.5)] = 0.0
    debit: Annotated[float, Meta(ge=0, le=3)] = 0.0
    debit_sd: NotNegative = 0.0
    assumed_first: AssumedFirst | None = None
    first_readings: dict[Code, FirstReading] = field(default_factory=dict)
    added_high_pct: NotNegative | None = None


class TemperatureModel(Record, frozen=True, kw_only=True):
    """After = before + offset_c + before_slope * (before - usual_c) + slopes of the state
    + chill_factor * sum_j chill_j * kg_j / mass; chill by the additive's master data.

    The treatment steers towards what it needs, so a hot heat ends less hot: `before_slope` is negative.
    """

    offset_c: float
    sd_c: NotNegative
    usual_c: float = 0.0
    before_slope: Annotated[float, Meta(ge=-1, le=1)] = 0.0
    chill_factor: NotNegative = 1.0
    slopes: dict[Slug, float] = field(default_factory=dict)


class StationModel(Record, frozen=True, kw_only=True, eq=False):
    """One station, trained on so many `heats`; `interval_level` is the coverage of interval_factor."""

    heats: Annotated[int, Meta(ge=0)]
    steel_mass_t: SteelMass
    features: list[Feature]
    elements: dict[Element, ElementModel]
    interval_level: Annotated[float, Meta(gt=0, lt=1)] = 0.9
    oxygen: OxygenBalance | None = None
    temperature: TemperatureModel | None = None


class Parameters(Record, frozen=True, kw_only=True):
    """The whole of model.json."""

    stations: dict[Slug, StationModel]
    format: str = FORMAT


def check_parameters(parameters: Parameters) -> list[Fault]:
    """Return what the shapes alone cannot tell: ranges upside down, slopes on features that are not there."""
    faults = []
    if parameters.format != FORMAT:
        faults.append(Fault("$.format", f"{parameters.format!r} is not known", FORMAT))
    for name, station in parameters.stations.items():
        where = f"$.stations.{name}"
        features = [feature.name for feature in station.features]
        if len(set(features)) != len(features):
            faults.append(Fault(f"{where}.features", "a feature is named twice", "each once"))
        for feature in station.features:
            if not feature.low <= feature.default <= feature.high:
                faults.append(
                    Fault(f"{where}.features.{feature.name}", "range upside down", "low <= default <= high")
                )
        if not station.steel_mass_t.low <= station.steel_mass_t.high:
            faults.append(Fault(f"{where}.steel_mass_t", "range upside down", "low <= high"))
        for element, model in station.elements.items():
            unknown = sorted((model.recovery_slopes.keys() | model.offset_slopes.keys()) - set(features))
            if unknown:
                faults.append(
                    Fault(f"{where}.elements.{element}", f"slopes on {unknown}", f"features {features}")
                )
            if not model.first_range.low <= model.first_range.high:
                faults.append(
                    Fault(f"{where}.elements.{element}.first_range", "range upside down", "low <= high")
                )
    return faults
