"""The shapes that contracts share: treatment, chemistry, additive, addition, sample, X.

Unknown fields are ignored, numbers are not read from text, times are UTC with Z, and NaN is refused.
`told` gives a shape back as it was told: what was absent stays absent and null stays null, because both mean
"not measured" and zero does not.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from backend.clock import instant_text

INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$"

WHOLE_INSTANT = re.compile(INSTANT[1:-1], re.ASCII)
UNREADABLE = re.compile("[\ud800-\udfff]")


def told(shape: BaseModel) -> dict[str, Any]:
    return shape.model_dump(mode="json", exclude_unset=True)


def _read_instant(value: object) -> object:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise PydanticCustomError("instant", "should be UTC with Z, for example 2026-03-02T06:00:00Z")
        return value.astimezone(UTC)
    if not isinstance(value, str) or not WHOLE_INSTANT.fullmatch(value):
        raise PydanticCustomError("instant", "should be UTC with Z, for example 2026-03-02T06:00:00Z")
    return _instant(value)


@lru_cache(4096)  # days from which prices hold come with every offer of every heat
def _instant(value: str) -> datetime:
    whole, _, fraction = value[:-1].partition(".")
    try:
        return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")
    except ValueError:
        raise PydanticCustomError(
            "instant", "should be a time that exists, for example 2026-03-02T06:00:00Z"
        ) from None


def _readable(text: str) -> str:
    if "\x00" in text or (not text.isascii() and UNREADABLE.search(text)):
        raise PydanticCustomError("text", "should be text without NUL and without half characters")
    return text


def _in_order(window: "Window") -> "Window":
    bounds = [bound for bound in (window.min, window.aim, window.max) if bound is not None]
    if bounds != sorted(bounds):
        raise PydanticCustomError("window", "should hold min <= aim <= max")
    if not window.model_fields_set & {"min", "aim", "max"}:
        raise PydanticCustomError("window", "should have at least one of min, aim, max")
    return window


def _at_most_100(assay: dict[str, float]) -> dict[str, float]:
    if sum(assay.values()) > 100.0 + 1e-9:
        raise PydanticCustomError("assay", "should sum to at most 100 wt %")
    return assay


Text = Annotated[str, AfterValidator(_readable)]
Instant = Annotated[
    datetime,
    BeforeValidator(_read_instant),
    PlainSerializer(instant_text),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": INSTANT}),
]
Code = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S(.*\S)?$"), AfterValidator(_readable)]
Slug = Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
Element = Annotated[str, Field(pattern=r"^[A-Z][a-z]?$")]
Oxide = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
# What an integer column of any database holds: a revision or number of a plant, the number of a row.
MOST_INTEGER = 2**31 - 1
Revision = Annotated[int, Field(ge=1, le=MOST_INTEGER)]
Percent = Annotated[float, Field(ge=0, le=100)]
Kilograms = Annotated[float, Field(ge=0)]
Assay = Annotated[dict[Element, Percent], AfterValidator(_at_most_100)]


class Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, frozen=True)


class Below(BaseModel):
    """Under the detection limit, wt %."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)

    below: Annotated[float, Field(gt=0, le=100)]


def _read_analysis(value: object) -> object:
    if value is None or (isinstance(value, (int, float, Below, dict)) and not isinstance(value, bool)):
        return value
    raise PydanticCustomError("analysis", 'should be a number of wt %, null or {"below": detection limit}')


Analysis = Annotated[Percent | Below | None, BeforeValidator(_read_analysis)]
Chemistry = dict[Element, Analysis]


class Money(Shape):
    amount: float
    currency: Currency


class PricePerT(Shape):
    amount: Annotated[float, Field(ge=0, description="per tonne of additive")]
    currency: Currency
    valid_from: Instant


class Window(Shape):
    """wt %; a bound that is missing is no limit."""

    min: Percent | None = None
    aim: Percent | None = None
    max: Percent | None = None

    @model_validator(mode="after")
    def _order(self) -> "Window":
        return _in_order(self)


Windows = dict[Element, Window]


class Treatment(Shape):
    """One heat at one station: the unit of record."""

    plant_id: Code
    heat_uid: Uuid
    station: Slug
    treatment_no: Revision

    def key(self) -> str:
        return f"{self.plant_id}/{self.heat_uid}/{self.station}/{self.treatment_no}"


class Additive(Shape):
    """An additive that can be tipped today."""

    additive: Code
    lot: Code | None = None
    assay: Assay
    price_per_t: PricePerT
    stock_kg: Kilograms | None = None
    min_kg: Kilograms = 0.0
    max_kg: Kilograms | None = None
    increment_kg: Annotated[float, Field(gt=0)]
    metallic_yield: Annotated[float, Field(ge=0, le=1)] = 1.0
    chill_c_per_kg_t: float | None = None
    available_at: Instant | None = None


class Addition(Shape):
    """Kilograms of one additive: recommended, decided or asked about."""

    additive: Code
    lot: Code | None = None
    added_kg: Kilograms


class WeighedAddition(Shape):
    """Kilograms really tipped; a later revision of the same addition_id replaces the earlier one."""

    addition_id: Code
    revision: Revision
    additive: Code
    lot: Code | None = None
    added_kg: Kilograms
    weighed_at: Instant
    available_at: Instant | None = None


class Sample(Shape):
    """X': a sample after additions; a later revision of the same sample_id replaces the earlier one."""

    sample_id: Code
    revision: Revision
    is_final: bool
    sampled_at: Instant
    analysed_at: Instant | None = None
    available_at: Instant | None = None
    chemistry: Chemistry
    steel_mass_t: Annotated[float, Field(gt=0)] | None = None
    temperature_c: float | None = None


class Slag(Shape):
    carry_over_kg_t: Annotated[float, Field(ge=0)] | None = None
    oxides: dict[Oxide, Analysis] = {}


class Heat(Shape):
    """X: the heat before additions. Temperature and oxygen are as read, also where they cannot be true."""

    treatment: Treatment
    heat_no: Code
    revision: Revision
    registered_at: Instant
    available_at: Instant | None = None
    grade: Code
    windows: Windows = {}
    chemistry: Chemistry
    sampled_at: Instant | None = None
    steel_mass_t: Annotated[float, Field(gt=0)]
    temperature_c: float | None = None
    oxygen_ppm: float | None = None
    slag: Slag | None = None
    features: dict[Slug, float | None] = {}
    carbon_equivalent_max: Annotated[float, Field(ge=0, le=100)] | None = None
    temperature_after_min_c: float | None = None
    forbidden_additives: list[Code] = []
    price_of_a_miss: Money | None = None


class HandbookStep(Shape):
    element: Element
    additives: Annotated[list[Code], Field(min_length=1)]
    not_beyond_aim_of: list[Element] = []


class HandbookEntry(Shape):
    """The plant handbook's rule for one station and grade."""

    nominal_recovery: dict[Element, Annotated[float, Field(gt=0, le=1.2)]]
    assumed_pct: dict[Element, Percent] = {}
    steps: list[HandbookStep]


ReasonCode = Literal[
    "cost", "chemistry", "temperature", "stock", "quality_of_lot", "practice", "distrust", "other"
]
