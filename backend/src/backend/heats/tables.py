"""The heat as a row: X in force, its state, and which recommendation and decision hold."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from backend.clock import now
from backend.database import UtcDateTime
from backend.shapes import Treatment

REGISTERED, RECOMMENDED, DECIDED, COMPLETED, CANCELLED = STATES = (
    "registered",  # waits for a recommendation
    "recommended",  # waits for the steelmaker
    "decided",  # waits for the result
    "completed",
    "cancelled",
)


class HeatRecord(SQLModel, table=True):
    """One treatment.

    `told` is the newest X as the plant told it; `heat` is X in force, after a diversion, with
    windows.
    """

    __tablename__ = "heats"
    __table_args__ = (
        UniqueConstraint("plant_id", "heat_uid", "station", "treatment_no"),
        Index("ix_heats_state_id", "state", "id"),
        Index("ix_heats_heat_no", "heat_no", "id"),
        Index("ix_heats_registered", "registered_at", "id"),
        Index("ix_heats_grade_registered", "grade", "registered_at", "id"),
        Index("ix_heats_station_registered", "station", "registered_at", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    plant_id: str
    heat_uid: str
    station: str
    treatment_no: int
    heat_no: str
    grade: str
    state: str
    revision: int
    registered_at: datetime = Field(sa_type=UtcDateTime)
    available_at: datetime = Field(sa_type=UtcDateTime)
    told: dict[str, Any] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
    heat: dict[str, Any] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
    diversion: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    recommendation_id: str | None = None
    decision_id: str | None = None
    weighed_no: int = 0
    completed_revision: int | None = None
    completed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    changed_at: datetime = Field(
        sa_column=Column(UtcDateTime, nullable=False, index=True, default=now, onupdate=now)
    )
    cancelled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancel_reason: str | None = None

    def treatment(self) -> Treatment:
        return Treatment(
            plant_id=self.plant_id,
            heat_uid=self.heat_uid,
            station=self.station,
            treatment_no=self.treatment_no,
        )

    def row(self) -> int:
        """The primary key of a heat that is stored."""
        if self.id is None:
            raise RuntimeError("this heat is not stored yet")
        return self.id
