"""Y' as decided: once per decision_id, with a reason where it differs from what was shown."""

from collections.abc import Sequence
from typing import get_args

from sqlalchemy import bindparam, func, insert, select
from sqlmodel import Session

from backend.clock import now
from backend.completions import service as completions
from backend.database import run, table_of
from backend.decisions.schemas import DecisionPut, Seen
from backend.decisions.tables import Decision
from backend.errors import ConflictError, Detail, InvalidError, RefusedError, StateError, validate
from backend.events import DECISION_MADE
from backend.heats.tables import CANCELLED, COMPLETED, DECIDED, HeatRecord
from backend.master_data import kept
from backend.outbox import service as outbox
from backend.prepared import Prepared, loaded
from backend.recommendations import service as recommendations
from backend.recommendations.limits import differences
from backend.recommendations.tables import Recommendation
from backend.shapes import Addition, ReasonCode, told

DECISIONS = table_of(Decision)

_KNOWN = Prepared(select(DECISIONS).where(DECISIONS.c.decision_id == bindparam("decision_id")))
_REVISION = Prepared(
    select(func.max(DECISIONS.c.revision)).where(DECISIONS.c.heat_id == bindparam("heat_id"))
)
_KEEP = Prepared(insert(DECISIONS))


def decide(
    session: Session, record: HeatRecord, put: DecisionPut, person: str | None
) -> tuple[Decision, bool]:
    """Store the decision, and whether it was new. The same decision_id again must say the same.

    `person` is who is logged in; a machine says for whom it tells.
    """
    by = _by(put, person)
    known = run(session, _KNOWN, {"decision_id": put.decision_id}).one_or_none()
    if known is not None:
        return _same(record, loaded(Decision, known), put, by), False
    if record.state == CANCELLED:
        raise StateError(
            where=record.treatment().key(),
            what="the treatment was cancelled",
            allowed="a treatment that takes place",
        )
    _check_seen(session, record, put.seen or Seen())
    shown = None
    if put.recommendation_id is not None:
        shown = recommendations.find(session, record, put.recommendation_id)
    differing = _check(session, record, put, shown)
    decision = Decision(
        decision_id=put.decision_id,
        heat_id=record.row(),
        revision=_next_revision(session, record),
        decided_at=now(),
        decided_by=by,
        recommendation_id=put.recommendation_id,
        shown_at=None if shown is None else shown.shown_at,
        additions=[told(addition) for addition in put.additions],
        reason_code=_reason_code(put, differing),
        reasons=dict(put.reasons) if put.reasons else None,
        note=put.note,
    )
    run(session, _KEEP, decision.model_dump(exclude={"id"}))
    record.decision_id = decision.decision_id
    if shown is not None:
        record.recommendation_id = shown.recommendation_id
    if record.state != COMPLETED:
        record.state = DECIDED
    data = {"treatment": record.heat["treatment"], "decision": decision.record()}
    outbox.put(session, DECISION_MADE, record.treatment(), data)
    completions.refresh(session, record)
    return decision, True


def _check(session: Session, record: HeatRecord, put: DecisionPut, shown: Recommendation | None) -> list[str]:
    """What is decided must be known additives within their maximum, and needs a reason where it differs.

    What differs from what was shown, the most first.
    """
    names = kept.names(session, record.plant_id)
    in_force = shown or completions.recommendation_in_force(session, record)
    documents, _ = completions.could_be_added(session, record, in_force)
    offers = kept.as_shapes(documents)
    most_kg = {offer.additive: offer.max_kg for offer in offers}
    wrong = []
    for position, addition in enumerate(put.additions):
        where = f"$.additions[{position}]"
        limit = most_kg.get(addition.additive)
        if addition.additive not in names and addition.additive not in most_kg:
            what = f"{addition.additive} is not an additive of this plant"
            wrong.append(
                Detail(where=f"{where}.additive", what=what, allowed=", ".join(names) or "none is known")
            )
        elif limit is not None and addition.added_kg > limit:
            what = f"{addition.added_kg:g} kg of {addition.additive} in one treatment"
            wrong.append(Detail(where=f"{where}.added_kg", what=what, allowed=f"at most {limit:g} kg"))
    for name in put.reasons or ():
        if name not in names and name not in most_kg:
            what = f"{name} is not an additive of this plant"
            wrong.append(
                Detail(where=f"$.reasons.{name}", what=what, allowed=", ".join(names) or "none is known")
            )
    if wrong:
        raise InvalidError(wrong)
    if shown is None:
        return []
    recommended = [validate(Addition, addition) for addition in shown.additions]
    differing = differences(put.additions, recommended, offers)
    unexplained = [name for name in differing if name not in (put.reasons or {})]
    if unexplained and put.reason_code is None:
        raise RefusedError(
            where="$.reason_code",
            what=f"a reason is needed: {', '.join(unexplained)} differs from what was recommended",
            allowed=", ".join(get_args(ReasonCode)),
        )
    return differing


def _reason_code(put: DecisionPut, differing: Sequence[str]) -> ReasonCode | None:
    """The one given for all; else that of what differs most."""
    if put.reason_code is not None or not put.reasons:
        return put.reason_code
    return next((put.reasons[name] for name in differing if name in put.reasons), None)


def _by(put: DecisionPut, person: str | None) -> str:
    if person is None and put.decided_by is None:
        raise InvalidError(
            [
                Detail(
                    where="$.decided_by",
                    what="nothing: nobody is named",
                    allowed="for whom the machine tells",
                )
            ]
        )
    if person is not None and put.decided_by not in (None, person):
        raise InvalidError(
            [Detail(where="$.decided_by", what=f"{put.decided_by!r} is not who decides", allowed=person)]
        )
    return str(person or put.decided_by)


def _check_seen(session: Session, record: HeatRecord, seen: Seen) -> None:
    """ConflictError with all that has changed since the screen was made on which it was decided."""
    changed = []
    stands = completions.decision_in_force(session, record) if record.state in (DECIDED, COMPLETED) else None
    if stands is not None and stands.decision_id != seen.decision_id:
        kilograms = ", ".join(
            f"{addition['additive']} {addition['added_kg']:g} kg" for addition in stands.additions
        )
        what = (
            f"{stands.decided_by} decided at {stands.decided_at:%H:%M:%S} UTC: {kilograms or 'nothing added'}"
        )
        changed.append(Detail(where="$.seen.decision_id", what=what, allowed=stands.decision_id))
    if seen.heat_revision not in (None, record.revision):
        what = f"the plant corrected the heat: it is at revision {record.revision}"
        changed.append(Detail(where="$.seen.heat_revision", what=what, allowed=str(record.revision)))
    if seen.grade not in (None, record.grade):
        what = f"the heat is for {record.grade} now"
        changed.append(Detail(where="$.seen.grade", what=what, allowed=record.grade))
    if seen.recommendation_id not in (None, record.recommendation_id):
        what = "another recommendation has come"
        changed.append(
            Detail(where="$.seen.recommendation_id", what=what, allowed=str(record.recommendation_id))
        )
    if changed:
        raise ConflictError(changed)


def _next_revision(session: Session, record: HeatRecord) -> int:
    return int(run(session, _REVISION, {"heat_id": record.row()}).scalar() or 0) + 1


def _same(record: HeatRecord, known: Decision, put: DecisionPut, by: str) -> Decision:
    additions = [told(addition) for addition in put.additions]
    given = (by, put.recommendation_id, additions, put.reasons or None, put.note)
    before = (known.decided_by, known.recommendation_id, known.additions, known.reasons, known.note)
    same_reason = put.reason_code == known.reason_code or (put.reason_code is None and put.reasons)
    if known.heat_id != record.row() or given != before or not same_reason:
        raise StateError(
            where="$.decision_id",
            what=f"{put.decision_id} was used for another decision",
            allowed="a new decision_id for a new decision, or the same decision again",
        )
    return known
