"""X' as rows: every revision that the plant told; the highest of a sample_id holds."""

from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel


class SampleRecord(SQLModel, table=True):
    """`body` is the sample in the shape of its contract, with available_at."""

    __tablename__ = "samples"
    __table_args__ = (UniqueConstraint("heat_id", "sample_id", "revision"),)

    id: int | None = Field(default=None, primary_key=True)
    heat_id: int = Field(foreign_key="heats.id")
    sample_id: str
    revision: int
    is_final: bool
    body: dict[str, Any] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
