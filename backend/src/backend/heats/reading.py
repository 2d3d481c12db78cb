"""All that is known of one treatment, put together."""

from sqlmodel import Session

from backend.additions.service import in_force as weighed_in_force
from backend.completions import service as completions
from backend.heats.schemas import TreatmentRead, summary_fields
from backend.heats.tables import HeatRecord
from backend.samples.service import in_force as samples_in_force


def whole(session: Session, record: HeatRecord) -> TreatmentRead:
    recommendation = completions.recommendation_in_force(session, record)
    offers, entry = completions.could_be_added(session, record, recommendation)
    decision = completions.decision_in_force(session, record)
    return TreatmentRead(
        **summary_fields(record),
        heat=record.heat,
        additives=offers,
        handbook_entry=entry,
        recommendation=None if recommendation is None else recommendation.record(),
        shown_at=None if recommendation is None else recommendation.shown_at,
        decision=None if decision is None else decision.record(),
        weighed=weighed_in_force(session, record.row()),
        prediction=completions.prediction_of(session, record),
        samples=samples_in_force(session, record.row()),
        cancelled_at=record.cancelled_at,
        cancel_reason=record.cancel_reason,
    )
