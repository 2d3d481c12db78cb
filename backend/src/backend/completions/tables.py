"""Completed treatments, kept as the recent heats that the model service is told of."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

from backend.database import UtcDateTime


class Completion(SQLModel, table=True):
    """`recent_heat` is null where nothing was weighed: such a heat says nothing about recovery.

    `available_at` is when the revision in force was told; it is not known of heats of before migration 0009.
    """

    __tablename__ = "completions"
    __table_args__ = (Index("ix_completions_recent", "plant_id", "station", "completed_at"),)

    heat_id: int = Field(primary_key=True, foreign_key="heats.id", sa_column_kwargs={"autoincrement": False})
    plant_id: str
    station: str
    completed_at: datetime = Field(sa_type=UtcDateTime)
    available_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    recent_heat: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
