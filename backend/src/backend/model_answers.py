"""What the model service answers, as far as it is read here; the answer itself is passed on unchanged."""

from typing import Annotated, Literal

from pydantic import Field

from backend.shapes import Addition, Code, Element, Money, Shape, Slug, Treatment, Window


class Interval(Shape):
    level: Annotated[float, Field(gt=0, lt=1)]
    low: float
    high: float
    half_per_added_pct: Annotated[float, Field(ge=0)] | None = None


class ElementEstimate(Shape):
    """wt %; predicted_pct is affine in the kilograms, slope_pct_per_kg its slopes."""

    base_pct: float
    correction_pct: float
    predicted_pct: float
    sd_pct: Annotated[float, Field(ge=0)]
    interval_pct: Interval
    window: Window | None = None
    probability_inside: Annotated[float, Field(ge=0, le=1)] | None = None
    slope_pct_per_kg: dict[Code, float]


class Remark(Shape):
    code: Slug
    where: str = ""
    text: str


class ModelIdentity(Shape):
    version: str
    bundle_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    image_digest: str | None = None


class Prediction(Shape):
    status: Literal["predicted", "abstained"]
    treatment: Treatment
    heat_revision: int
    additions: list[Addition]
    elements: dict[Element, ElementEstimate]
    warnings: list[Remark]
    abstention_reasons: list[Remark]
    model: ModelIdentity


class PricedAddition(Addition):
    cost: Money


class HandbookComparison(Shape):
    additions: list[Addition]
    cost: Money
    predicted_pct: dict[Element, float]


class Recommendation(Shape):
    status: Literal["recommended", "abstained"]
    treatment: Treatment
    heat_revision: int
    additions: list[PricedAddition]
    elements: dict[Element, ElementEstimate]
    cost: Money | None
    handbook: HandbookComparison | None
    recoveries: dict[Element, dict[str, object]]
    limits: list[dict[str, object]]
    unreached: list[dict[str, object]]
    confidence: float
    warnings: list[Remark]
    abstention_reasons: list[Remark]
    model: ModelIdentity
