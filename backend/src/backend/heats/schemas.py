"""What is answered about treatments."""

from typing import Any, Literal

from pydantic import BaseModel

from backend.heats.tables import HeatRecord
from backend.shapes import Instant, Treatment

State = Literal["registered", "recommended", "decided", "completed", "cancelled"]


class TreatmentSummary(BaseModel):
    treatment: Treatment
    heat_no: str
    grade: str
    state: State
    revision: int
    registered_at: Instant
    completed_at: Instant | None
    completed_revision: int | None


class TreatmentList(BaseModel):
    """Newest first; `next` is the `before` of the following page, null on the last one."""

    treatments: list[TreatmentSummary]
    next: int | None


class Difference(BaseModel):
    """Of one additive: kilograms decided and weighed; it may be one that nobody decided."""

    additive: str
    decided_kg: float
    weighed_kg: float
    difference_kg: float


class TreatmentRead(TreatmentSummary):
    """All that is known of a treatment, in the shapes of the product's events.

    `stale` says what has changed since the recommendation in force was made, empty where nothing has;
    `differences` is there once something was decided and weighed.
    """

    heat: dict[str, Any]
    additives: list[dict[str, Any]]
    handbook_entry: dict[str, Any] | None
    recommendation: dict[str, Any] | None
    shown_at: Instant | None
    stale: list[str]
    decision: dict[str, Any] | None
    weighed: list[dict[str, Any]]
    differences: list[Difference]
    prediction: dict[str, Any] | None
    samples: list[dict[str, Any]]
    cancelled_at: Instant | None
    cancel_reason: str | None


def summary(record: HeatRecord) -> TreatmentSummary:
    return TreatmentSummary(**summary_fields(record))


def summary_fields(record: HeatRecord) -> dict[str, Any]:
    return {
        "treatment": record.treatment(),
        "heat_no": record.heat_no,
        "grade": record.grade,
        "state": record.state,
        "revision": record.revision,
        "registered_at": record.registered_at,
        "completed_at": record.completed_at,
        "completed_revision": record.completed_revision,
    }
