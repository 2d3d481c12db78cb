"""Y' as weighed: every revision that the plant told; the highest of an addition_id holds."""

from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel


class WeighedRecord(SQLModel, table=True):
    """`body` is the addition in the shape of its contract, with available_at."""

    __tablename__ = "weighed_additions"
    __table_args__ = (UniqueConstraint("heat_id", "addition_id", "revision"),)

    id: int | None = Field(default=None, primary_key=True)
    heat_id: int = Field(foreign_key="heats.id")
    addition_id: str
    revision: int
    body: dict[str, Any] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
