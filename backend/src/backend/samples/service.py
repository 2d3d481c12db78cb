"""Samples: keep every revision, and say which hold."""

from typing import Any

from sqlalchemy import insert, select
from sqlmodel import Session

from backend.clock import instant_text, now
from backend.database import run, table_of
from backend.heats.tables import HeatRecord
from backend.samples.tables import SampleRecord
from backend.shapes import Sample, told

SAMPLES = table_of(SampleRecord)


def keep(session: Session, record: HeatRecord, sample: Sample) -> bool:
    """Store the sample if it is new, and whether what is in force changed."""
    query = select(SAMPLES.c.revision).where(
        SAMPLES.c.heat_id == record.row(), SAMPLES.c.sample_id == sample.sample_id
    )
    revisions = set(run(session, query).scalars())
    if sample.revision in revisions:
        return False
    new = {
        "heat_id": record.row(),
        "sample_id": sample.sample_id,
        "revision": sample.revision,
        "is_final": sample.is_final,
        "body": told(sample) | {"available_at": instant_text(now())},
    }
    run(session, insert(SAMPLES), [new])
    record.changed_at = now()
    return sample.revision > max(revisions, default=0)


def in_force(session: Session, heat_id: int) -> list[dict[str, Any]]:
    """The newest revision of each sample, in the order in which they were first told."""
    columns = (SAMPLES.c.sample_id, SAMPLES.c.revision, SAMPLES.c.body)
    query = select(*columns).where(SAMPLES.c.heat_id == heat_id).order_by(SAMPLES.c.id)
    newest: dict[str, tuple[int, dict[str, Any]]] = {}
    for sample_id, revision, body in run(session, query):
        if sample_id not in newest or revision > newest[sample_id][0]:
            newest[sample_id] = revision, body
    return [body for _, body in newest.values()]
