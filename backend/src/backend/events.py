"""Messages: the CloudEvents envelope, what the plant tells, and how the product's own events are written."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field

from backend.clock import instant_text, new_id, now
from backend.shapes import (
    Assay,
    Code,
    Heat,
    Instant,
    Kilograms,
    PricePerT,
    Sample,
    Shape,
    Text,
    Treatment,
    WeighedAddition,
    Windows,
)


class CloudEvent(Shape):
    specversion: Literal["1.0"]
    id: Annotated[Text, Field(min_length=1, max_length=128)]
    source: Annotated[Text, Field(min_length=1)]
    type: Annotated[str, Field(pattern=r"^(plant|product|monitoring)(\.[a-z]+)+\.v[1-9]\d*$")]
    subject: Annotated[Text, Field(min_length=1)]
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, Any]


class AdditionsWeighed(Shape):
    treatment: Treatment
    additions: Annotated[list[WeighedAddition], Field(min_length=1)]


class SampleAnalysed(Shape):
    treatment: Treatment
    sample: Sample


class HeatCancelled(Shape):
    treatment: Treatment
    cancelled_at: Instant
    reason: Annotated[Text, Field(max_length=200)] = ""


class HeatDiverted(Shape):
    treatment: Treatment
    diverted_at: Instant
    grade: Code
    windows: Windows = Field(default_factory=dict)
    reason: Annotated[Text, Field(max_length=200)] = ""


class LotReceived(Shape):
    plant_id: Code
    additive: Code
    lot: Code
    assay: Assay
    received_at: Instant
    received_kg: Kilograms | None = None


class StockCounted(Shape):
    plant_id: Code
    additive: Code
    stock_kg: Kilograms
    counted_at: Instant


class PriceChanged(Shape):
    plant_id: Code
    additive: Code
    price_per_t: PricePerT


OfTreatment = Heat | AdditionsWeighed | SampleAnalysed | HeatCancelled | HeatDiverted
OfAdditive = LotReceived | StockCounted | PriceChanged

PLANT_EVENTS: dict[str, type[OfTreatment] | type[OfAdditive]] = {
    "plant.heat.registered.v1": Heat,
    "plant.heat.cancelled.v1": HeatCancelled,
    "plant.heat.diverted.v1": HeatDiverted,
    "plant.addition.weighed.v1": AdditionsWeighed,
    "plant.sample.analysed.v1": SampleAnalysed,
    "plant.lot.received.v1": LotReceived,
    "plant.stock.counted.v1": StockCounted,
    "plant.price.changed.v1": PriceChanged,
}

RECOMMENDATION_MADE = "product.recommendation.made.v1"
DECISION_MADE = "product.decision.made.v1"
HEAT_COMPLETED = "product.heat.completed.v1"


def product_event(event_type: str, treatment: Treatment, data: dict[str, Any]) -> dict[str, Any]:
    """A CloudEvent of the product, with an id of its own."""
    return {
        "specversion": "1.0",
        "id": new_id(),
        "source": f"/plants/{quote(treatment.plant_id, safe='')}/backend",
        "type": event_type,
        "subject": treatment.key(),
        "time": instant_text(now()),
        "datacontenttype": "application/json",
        "data": data,
    }
