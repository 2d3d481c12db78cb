"""What has been heard from the plant already, and what came before its heat."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

from backend.database import UtcDateTime


class ReceivedEvent(SQLModel, table=True):
    """An event that was stored; the same id again is not looked at."""

    __tablename__ = "received_events"
    __table_args__ = (Index("ix_received_events_at", "received_at"),)

    event_id: str = Field(primary_key=True)
    type: str
    received_at: datetime = Field(sa_type=UtcDateTime)


class ParkedEvent(SQLModel, table=True):
    """An event of a treatment that is not known yet.

    One that was refused when its heat came stays, with the reason.
    """

    __tablename__ = "parked_events"
    __table_args__ = (Index("ix_parked_treatment", "heat_uid", "plant_id", "station", "treatment_no"),)

    id: int | None = Field(default=None, primary_key=True)
    plant_id: str
    heat_uid: str
    station: str
    treatment_no: int
    type: str
    data: dict[str, Any] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
    parked_at: datetime = Field(sa_type=UtcDateTime)
    refused: str | None = None
