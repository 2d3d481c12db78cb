"""What the plant tells, whichever way it comes: each fact once, in any order.

A fact of a heat that is not known yet is parked, and applied when the heat comes.
"""

import logging
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select, update
from sqlmodel import Session

from backend.additions import service as additions
from backend.clock import now
from backend.completions import service as completions
from backend.database import run, table_of
from backend.errors import BackendError, RefusedError, UnknownError, validate
from backend.events import (
    PLANT_EVENTS,
    AdditionsWeighed,
    CloudEvent,
    HeatCancelled,
    HeatDiverted,
    LotReceived,
    OfAdditive,
    OfTreatment,
    PriceChanged,
    SampleAnalysed,
    StockCounted,
)
from backend.heats import service as heats
from backend.heats.tables import CANCELLED, HeatRecord
from backend.intake.tables import ParkedEvent, ReceivedEvent
from backend.master_data import service as master_data
from backend.prepared import Prepared, inserting
from backend.samples import service as samples
from backend.shapes import Heat, Treatment, told
from backend.tasks import service as tasks
from backend.tasks.tables import PREDICTION

log = logging.getLogger(__name__)

PARKED = table_of(ParkedEvent)

_HEARD = inserting(
    ReceivedEvent, lambda new: new.on_conflict_do_nothing().returning(table_of(ReceivedEvent).c.event_id)
)
_PARKED = Prepared(
    select(PARKED.c.id, PARKED.c.type, PARKED.c.data)
    .where(
        *(PARKED.c[name] == bindparam(name) for name in ("heat_uid", "plant_id", "station", "treatment_no"))
    )
    .where(PARKED.c.refused.is_(None))
    .order_by(PARKED.c.id)
)
_APPLIED = Prepared(delete(PARKED).where(PARKED.c.id == bindparam("row")))
_REFUSED = Prepared(update(PARKED).where(PARKED.c.id == bindparam("row")))


class Heard(NamedTuple):
    """A message of the bus, read."""

    event_id: str
    type: str
    fact: OfTreatment | OfAdditive

    def about(self) -> dict[str, Any]:
        """The treatment or the additive, as a log names it."""
        if isinstance(self.fact, OfTreatment):
            return {"treatment": self.fact.treatment.model_dump()}
        return {"additive": self.fact.additive}


def read(plant_id: str, subject: str, document: object) -> Heard:
    """A message of the bus in its contract. BackendError says why it is refused."""
    event = validate(CloudEvent, document)
    shape = PLANT_EVENTS.get(event.type)
    if shape is None or event.type != subject:
        raise RefusedError(
            where="$.type",
            what=f"{event.type} on subject {subject} is not known",
            allowed=f"the type as subject, one of {', '.join(PLANT_EVENTS)}",
        )
    fact = validate(shape, event.data, "$.data")
    _of_this_plant(fact, plant_id, "$.data.")
    return Heard(event.id, event.type, fact)


def store(session: Session, heard: Heard) -> None:
    """Store what was heard, unless it is known by its id; what comes before its heat is parked."""
    new = {"event_id": heard.event_id, "type": heard.type, "received_at": now()}
    if run(session, _HEARD, new).scalar() is None:
        return
    fact = heard.fact
    try:
        apply(session, fact)
    except UnknownError:
        if not isinstance(fact, OfTreatment):
            raise
        log.info("%s came before its heat %s: parked", heard.type, fact.treatment.key())
        treatment = fact.treatment.model_dump()
        session.add(ParkedEvent(**treatment, type=heard.type, data=told(fact), parked_at=now()))


def tell(session: Session, plant_id: str, fact: OfTreatment) -> tuple[HeatRecord, bool]:
    """Store a fact that came over REST; the heat, and whether it was news.

    UnknownError where the heat is not known.
    """
    _of_this_plant(fact, plant_id, "")
    news = apply(session, fact)
    return heats.find(session, fact.treatment), news


def apply(session: Session, fact: OfTreatment | OfAdditive) -> bool:
    """Bring the state up to the fact; whether it was news."""
    match fact:
        case Heat():
            record, new = heats.register(session, fact)
            _apply_parked(session, fact.treatment)
            return new
        case HeatCancelled():
            return heats.cancel(session, fact)
        case HeatDiverted():
            return heats.divert(session, fact)
        case AdditionsWeighed():
            record = heats.find(session, fact.treatment)
            changed = additions.keep(session, record, fact.additions)
            if changed and record.state != CANCELLED:
                tasks.ask(session, record.row(), PREDICTION)
            return changed
        case SampleAnalysed():
            record = heats.find(session, fact.treatment)
            changed = samples.keep(session, record, fact.sample)
            if changed:
                completions.refresh(session, record)
            return changed
        case LotReceived():
            return master_data.receive_lot(session, fact)
        case StockCounted():
            return master_data.count_stock(session, fact)
        case PriceChanged():
            return master_data.change_price(session, fact)


def _apply_parked(session: Session, treatment: Treatment) -> None:
    for parked in run(session, _PARKED, treatment.model_dump()):
        try:
            apply(session, validate(PLANT_EVENTS[parked.type], parked.data))
        except BackendError as refused:
            # The heat is not refused for what came before it: the event stays, for a person.
            log.warning("parked %s of %s is refused: %s", parked.type, treatment.key(), refused)
            run(session, _REFUSED, {"row": parked.id, "refused": str(refused)})
        else:
            run(session, _APPLIED, {"row": parked.id})


def _of_this_plant(fact: OfTreatment | OfAdditive, plant_id: str, root: str) -> None:
    of_treatment = isinstance(fact, OfTreatment)
    given = fact.treatment.plant_id if isinstance(fact, OfTreatment) else fact.plant_id
    if given != plant_id:
        raise RefusedError(
            where=f"{root}{'treatment.' if of_treatment else ''}plant_id",
            what=f"plant {given} is not served here",
            allowed=plant_id,
        )
