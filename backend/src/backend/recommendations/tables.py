"""Y as rows: every recommendation that was made, with what it was made from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from backend.clock import instant_text
from backend.database import UtcDateTime

LIVE, SHADOW = "live", "shadow"
MODEL, HANDBOOK = "model", "handbook"


class Recommendation(SQLModel, table=True):
    """`answer` is the model service's, whole; `additives` and `handbook_entry` are as of then.

    `asked_key` is the key with which a person asked for it, if one did.
    """

    __tablename__ = "recommendations"

    id: int | None = Field(default=None, primary_key=True)
    recommendation_id: str = Field(unique=True)
    heat_id: int = Field(foreign_key="heats.id", index=True)
    role: str
    source: str
    made_at: datetime = Field(sa_type=UtcDateTime)
    heat_revision: int
    model_version: str | None = None
    bundle_hash: str | None = None
    image_digest: str | None = None
    fallback_reason: str | None = None
    additions: list[dict[str, Any]] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
    cost: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    answer: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    additives: list[dict[str, Any]] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
    handbook_entry: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    shown_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    asked_key: str | None = None

    def record(self) -> dict[str, Any]:
        return as_record(self)


@dataclass
class Made:
    """A recommendation that has just been made: the columns of its row."""

    recommendation_id: str
    heat_id: int
    source: str
    made_at: datetime
    heat_revision: int
    additions: list[dict[str, Any]]
    additives: list[dict[str, Any]]
    handbook_entry: dict[str, Any] | None
    role: str = LIVE
    model_version: str | None = None
    bundle_hash: str | None = None
    image_digest: str | None = None
    fallback_reason: str | None = None
    cost: dict[str, Any] | None = None
    answer: dict[str, Any] | None = None
    shown_at: datetime | None = None
    asked_key: str | None = None


def as_record(made: Recommendation | Made) -> dict[str, Any]:
    """The recommendation in the shape of its contract (recommendation-record.v1)."""
    return {
        "recommendation_id": made.recommendation_id,
        "role": made.role,
        "source": made.source,
        "made_at": instant_text(made.made_at),
        "heat_revision": made.heat_revision,
        "model_version": made.model_version,
        "bundle_hash": made.bundle_hash,
        "image_digest": made.image_digest,
        "fallback_reason": made.fallback_reason,
        "additions": made.additions,
        "cost": made.cost,
        "answer": made.answer,
    }
