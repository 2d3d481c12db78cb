"""Samples: keep every revision, and say which hold."""

from typing import Any

from sqlalchemy import bindparam, insert, select
from sqlmodel import Session

from backend.clock import instant_text, now
from backend.database import run, table_of
from backend.heats.tables import HeatRecord
from backend.prepared import Prepared
from backend.samples.tables import SampleRecord
from backend.shapes import Sample, told

SAMPLES = table_of(SampleRecord)

_REVISIONS = Prepared(
    select(SAMPLES.c.revision).where(
        SAMPLES.c.heat_id == bindparam("heat_id"), SAMPLES.c.sample_id == bindparam("sample_id")
    )
)
_KEEP = Prepared(insert(SAMPLES))
_ALL = Prepared(
    select(SAMPLES.c.sample_id, SAMPLES.c.revision, SAMPLES.c.body)
    .where(SAMPLES.c.heat_id == bindparam("heat_id"))
    .order_by(SAMPLES.c.id)
)


def keep(session: Session, record: HeatRecord, sample: Sample) -> bool:
    """Store the sample if it is new, and whether what is in force changed."""
    key = {"heat_id": record.row(), "sample_id": sample.sample_id}
    revisions = set(run(session, _REVISIONS, key).scalars())
    if sample.revision in revisions:
        return False
    new = {
        **key,
        "revision": sample.revision,
        "is_final": sample.is_final,
        "body": told(sample) | {"available_at": instant_text(now())},
    }
    run(session, _KEEP, new)
    record.changed_at = now()
    return sample.revision > max(revisions, default=0)


def in_force(session: Session, heat_id: int) -> list[dict[str, Any]]:
    """The newest revision of each sample, in the order in which they were first told."""
    newest: dict[str, tuple[int, dict[str, Any]]] = {}
    for sample_id, revision, body in run(session, _ALL, {"heat_id": heat_id}):
        if sample_id not in newest or revision > newest[sample_id][0]:
            newest[sample_id] = revision, body
    return [body for _, body in newest.values()]
