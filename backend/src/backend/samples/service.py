"""Samples: keep every revision, and say which hold."""

from typing import Any

from sqlmodel import Session, col, select

from backend.clock import instant_text, now
from backend.heats.tables import HeatRecord
from backend.samples.tables import SampleRecord
from backend.shapes import Sample, told


def keep(session: Session, record: HeatRecord, sample: Sample) -> bool:
    """Store the sample if it is new, and whether what is in force changed."""
    query = select(SampleRecord).where(
        SampleRecord.heat_id == record.row(), SampleRecord.sample_id == sample.sample_id
    )
    revisions = {row.revision for row in session.exec(query)}
    if sample.revision in revisions:
        return False
    session.add(
        SampleRecord(
            heat_id=record.row(),
            sample_id=sample.sample_id,
            revision=sample.revision,
            is_final=sample.is_final,
            body=told(sample) | {"available_at": instant_text(now())},
        )
    )
    session.flush()
    return sample.revision > max(revisions, default=0)


def in_force(session: Session, heat_id: int) -> list[dict[str, Any]]:
    """The newest revision of each sample, in the order in which they were first told."""
    query = select(SampleRecord).where(SampleRecord.heat_id == heat_id).order_by(col(SampleRecord.id))
    newest: dict[str, SampleRecord] = {}
    for row in session.exec(query):
        if row.sample_id not in newest or row.revision > newest[row.sample_id].revision:
            newest[row.sample_id] = row
    return [row.body for row in newest.values()]
