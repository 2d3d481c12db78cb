"""All that is known of one treatment, put together."""

from typing import Any

from sqlmodel import Session

from backend.additions.service import in_force as weighed_in_force
from backend.additions.service import kilograms
from backend.clock import now
from backend.completions import service as completions
from backend.heats.schemas import Difference, TreatmentRead, summary_fields
from backend.heats.tables import DECIDED, RECOMMENDED, HeatRecord
from backend.master_data import kept
from backend.recommendations.staleness import stale_because
from backend.recommendations.tables import Recommendation
from backend.samples.service import in_force as samples_in_force


def whole(session: Session, record: HeatRecord) -> TreatmentRead:
    recommendation = completions.recommendation_in_force(session, record)
    offers, entry = completions.could_be_added(session, record, recommendation)
    decision = completions.decision_in_force(session, record)
    weighed = weighed_in_force(session, record.row())
    return TreatmentRead(
        **summary_fields(record),
        heat=record.heat,
        additives=offers,
        handbook_entry=entry,
        recommendation=None if recommendation is None else recommendation.record(),
        shown_at=None if recommendation is None else recommendation.shown_at,
        stale=_stale(session, record, recommendation),
        decision=None if decision is None else decision.record(),
        weighed=weighed,
        differences=[] if decision is None else differences(decision.additions, weighed),
        prediction=completions.prediction_of(session, record),
        samples=samples_in_force(session, record.row()),
        cancelled_at=record.cancelled_at,
        cancel_reason=record.cancel_reason,
    )


def differences(decided: list[dict[str, Any]], weighed: list[dict[str, Any]]) -> list[Difference]:
    """Kilograms decided and weighed of each additive; empty before anything is weighed."""
    if not weighed:
        return []
    sides: dict[str, list[float]] = {}
    for side, additions in enumerate((decided, kilograms(weighed))):
        for addition in additions:
            sides.setdefault(addition["additive"], [0.0, 0.0])[side] += addition["added_kg"]
    return [
        Difference(
            additive=name, decided_kg=by_person, weighed_kg=by_scale, difference_kg=by_scale - by_person
        )
        for name, (by_person, by_scale) in sides.items()
    ]


def _stale(session: Session, record: HeatRecord, made: Recommendation | None) -> list[str]:
    """Until the result is there: afterwards nobody would recommend anew."""
    if made is None or record.state not in (RECOMMENDED, DECIDED):
        return []
    offers = kept.offers(session, record.plant_id, record.grade, now())
    return stale_because(made.additions, made.additives, offers, made.heat_revision, record.revision)
