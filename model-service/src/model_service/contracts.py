"""Shapes of what is asked and answered, as in `contracts/`; unknown fields are ignored.

Chemistry maps an element to wt %; absent or null is not measured, never zero. Times are UTC text ending in Z.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

Instant = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?Z$",
        description="UTC time, RFC 3339, always with Z",
    ),
]
Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^\S(.*\S)?$")]
Slug = Annotated[str, Meta(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Element = Annotated[str, Meta(pattern=r"^[A-Z][a-z]?$", description="element symbol")]
Oxide = Annotated[str, Meta(pattern=r"^[A-Z][A-Za-z0-9]*$")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="ISO 4217")]
Pct = Annotated[float, Meta(ge=0, le=100, description="wt %")]
NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Text = Annotated[str, Meta(max_length=500, description="for a person")]
Where = Annotated[str, Meta(max_length=200, description="path in the request")]
LimitName = Annotated[str, Meta(max_length=200, description="for example Mn.min, FeSi75.stock_kg")]


class Shape(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record of a contract."""


class Below(Shape, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """Under the detection limit, wt %."""

    below: Annotated[float, Meta(gt=0, le=100)]


Analysis = Pct | Below | None
Chemistry = dict[Element, Analysis]


class Treatment(Shape, frozen=True, kw_only=True, gc=False):
    """One heat at one station: the unit of record."""

    plant_id: Code
    heat_uid: Uuid
    station: Slug
    treatment_no: Count


class Window(Shape, frozen=True, kw_only=True, gc=False):
    """min <= aim <= max where given, wt %; a missing bound is no limit."""

    min: Pct | None = None
    aim: Pct | None = None
    max: Pct | None = None


class Money(Shape, frozen=True, kw_only=True, gc=False):
    """An amount of one currency."""

    amount: float
    currency: Currency


class PricePerT(Shape, frozen=True, kw_only=True, gc=False):
    """Price per tonne of additive."""

    amount: NotNegative
    currency: Currency
    valid_from: Instant


class Additive(Shape, frozen=True, kw_only=True, gc=False):
    """An additive that can be tipped today; null stock or max is unlimited."""

    additive: Code
    assay: dict[Element, Pct]
    price_per_t: PricePerT
    increment_kg: Positive
    lot: Code | None = None
    stock_kg: NotNegative | None = None
    min_kg: NotNegative = 0.0
    max_kg: NotNegative | None = None
    metallic_yield: Annotated[float, Meta(ge=0, le=1)] = 1.0
    chill_c_per_kg_t: float | None = None
    available_at: Instant | None = None


class Addition(Shape, frozen=True, kw_only=True, gc=False):
    """Kilograms of one additive."""

    additive: Code
    added_kg: NotNegative
    lot: Code | None = None


class Slag(Shape, frozen=True, kw_only=True, gc=False):
    """Slag before additions; carry-over is kg per tonne of steel."""

    carry_over_kg_t: NotNegative | None = None
    oxides: dict[Oxide, Analysis] = field(default_factory=dict)


class Heat(Shape, frozen=True, kw_only=True, gc=False):
    """X: the heat before additions. Readings are as read; an impossible one is treated as missing.

    `carbon_equivalent_max` limits C + Mn/6 + (Cr + Mo + V)/5 + (Ni + Cu)/15; `price_of_a_miss` is what a heat
    outside its windows costs: more margin than the confidence asks for is bought while it is worth it.
    """

    treatment: Treatment
    heat_no: Code
    revision: Count
    registered_at: Instant
    grade: Code
    chemistry: Chemistry
    steel_mass_t: Positive
    available_at: Instant | None = None
    windows: dict[Element, Window] = field(default_factory=dict)
    sampled_at: Instant | None = None
    temperature_c: float | None = None
    oxygen_ppm: float | None = None
    slag: Slag | None = None
    features: dict[Slug, float | None] = field(default_factory=dict)
    carbon_equivalent_max: Pct | None = None
    temperature_after_min_c: float | None = None
    forbidden_additives: list[Code] = field(default_factory=list)
    price_of_a_miss: Money | None = None


# Equal to itself alone (eq=False), so that what is found out about one can be remembered by it.
class RecentHeat(Shape, frozen=True, kw_only=True, gc=False, eq=False):
    """A finished treatment of the same station, for the slow state."""

    treatment: Treatment
    completed_at: Instant
    heat: Heat
    additives: list[Additive]
    additions: list[Addition]
    chemistry_after: Chemistry
    base_prediction_pct: dict[Element, float] | None = None
    bundle_hash: Sha256 | None = None


class HandbookStep(Shape, frozen=True, kw_only=True, gc=False):
    """Bring one element to its aim with the first of these additives that is offered."""

    element: Element
    additives: Annotated[list[Code], Meta(min_length=1)]
    not_beyond_aim_of: list[Element] = field(default_factory=list)


class HandbookEntry(Shape, frozen=True, kw_only=True, gc=False):
    """The plant handbook's rule for one station and grade."""

    nominal_recovery: dict[Element, Annotated[float, Meta(gt=0, le=1.2)]]
    steps: list[HandbookStep]
    assumed_pct: dict[Element, Pct] = field(default_factory=dict)


Offers = Annotated[list[Additive], Meta(max_length=64)]
RecentHeats = Annotated[list[RecentHeat], Meta(max_length=30, description="newest last")]


class RecommendationRequest(Shape, frozen=True, kw_only=True, gc=False):
    """What POST /v1/recommendations takes."""

    heat: Heat
    additives: Offers
    recent_heats: RecentHeats = field(default_factory=list)
    handbook_entry: HandbookEntry | None = None
    confidence: Annotated[float, Meta(gt=0.5, lt=1)] = 0.95


class PredictionRequest(Shape, frozen=True, kw_only=True, gc=False):
    """What POST /v1/predictions takes."""

    heat: Heat
    additives: Offers
    additions: Annotated[list[Addition], Meta(max_length=64)]
    recent_heats: RecentHeats = field(default_factory=list)


class Interval(Shape, frozen=True, kw_only=True, gc=False):
    """wt %. Half the width squared: a fixed part squared plus (half_per_added_pct * wt % added) squared."""

    level: Annotated[float, Meta(gt=0, lt=1)]
    low: float
    high: float
    half_per_added_pct: NotNegative | None = None


class LotEffect(Shape, frozen=True, kw_only=True, gc=False):
    """What the last heats say of a lot: it holds so much more or less of the element than certified."""

    additive: Code
    content_change: float
    lot: Code | None = None


class ElementEstimate(Shape, frozen=True, kw_only=True, gc=False):
    """One element after the additions; predicted_pct is affine in the kilograms, with the slopes given."""

    base_pct: float
    correction_pct: float
    predicted_pct: float
    sd_pct: NotNegative
    interval_pct: Interval
    slope_pct_per_kg: dict[Code, float]
    window: Window | None = None
    probability_inside: Annotated[float, Meta(ge=0, le=1)] | None = None
    lots: list[LotEffect] = field(default_factory=list)


class Temperature(Shape, frozen=True, kw_only=True, gc=False):
    """Steel temperature after the additions."""

    predicted_c: float
    sd_c: NotNegative
    slope_c_per_kg: dict[Code, float]


class PricedAddition(Shape, frozen=True, kw_only=True, gc=False):
    """A recommended addition, a multiple of the increment."""

    additive: Code
    added_kg: NotNegative
    cost: Money
    lot: Code | None = None


class HandbookAnswer(Shape, frozen=True, kw_only=True, gc=False):
    """What the handbook rule would add to the same heat."""

    additions: list[Addition]
    cost: Money
    predicted_pct: dict[Element, float]


class RecoveryUsed(Shape, frozen=True, kw_only=True, gc=False):
    """Share of an added element that stays, and why it differs from the nominal one."""

    used: float
    nominal: float | None = None
    reasons: list[Annotated[str, Meta(max_length=300)]] = field(default_factory=list)


class Limit(Shape, frozen=True, kw_only=True, gc=False):
    """A limit that binds; the price is what one unit of relief saves, from the continuous problem."""

    limit: LimitName
    kind: Literal["window_min", "window_max", "stock_kg", "max_kg", "temperature", "carbon_equivalent"]
    bound: float
    unit: Literal["pct", "kg", "c"]
    element: Element | None = None
    additive: Code | None = None
    price_per_unit: Money | None = None


class Unreached(Shape, frozen=True, kw_only=True, gc=False):
    """A limit that cannot be met with the confidence asked for, and the limits that stop it."""

    limit: LimitName
    short_by: NotNegative
    unit: Literal["pct", "kg", "c"]
    stopped_by: list[LimitName] = field(default_factory=list)


class Remark(Shape, frozen=True, kw_only=True, gc=False):
    """A warning, or a reason for abstaining."""

    code: Slug
    text: Text
    where: Where | UnsetType = UNSET


class ModelIdentity(Shape, frozen=True, kw_only=True, gc=False):
    """Which model answered."""

    version: str
    bundle_hash: Sha256
    image_digest: str | None = None


class Recommendation(Shape, frozen=True, kw_only=True, gc=False):
    """Y. An abstention has no additions and gives its reasons."""

    status: Literal["recommended", "abstained"]
    treatment: Treatment
    heat_revision: Count
    additions: list[PricedAddition]
    elements: dict[Element, ElementEstimate]
    cost: Money | None
    handbook: HandbookAnswer | None
    recoveries: dict[Element, RecoveryUsed]
    limits: list[Limit]
    unreached: list[Unreached]
    confidence: float
    warnings: list[Remark]
    abstention_reasons: list[Remark]
    model: ModelIdentity
    temperature: Temperature | None = None
    continuous_cost: Money | None = None
    changes: list[Remark] = field(default_factory=list)


class Prediction(Shape, frozen=True, kw_only=True, gc=False):
    """The chemistry predicted for given additions."""

    status: Literal["predicted", "abstained"]
    treatment: Treatment
    heat_revision: Count
    additions: list[Addition]
    elements: dict[Element, ElementEstimate]
    warnings: list[Remark]
    abstention_reasons: list[Remark]
    model: ModelIdentity
    temperature: Temperature | None = None


class TrainingRange(Shape, frozen=True, kw_only=True, gc=False):
    """Range of a measurement in training."""

    low: float
    high: float
    unit: str


class StationCard(Shape, frozen=True, kw_only=True, gc=False):
    """What the model knows of one station."""

    elements: list[Element]
    training_ranges: dict[str, TrainingRange]
    heats: Annotated[int, Meta(ge=0)]


class ModelCard(Shape, frozen=True, kw_only=True, gc=False):
    """What GET /v1/model answers."""

    version: str
    bundle_hash: Sha256
    model_service_version: str
    stations: dict[str, StationCard]
    metrics: dict[str, Any]
    image_digest: str | None = None
    run_id: str | None = None
    code_commit: str | None = None
    code_dirty: bool | None = None
    data_version: str | None = None
    created_at: Instant | None = None
