"""Y' as decided."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from backend.clock import instant_text
from backend.database import UtcDateTime


class Decision(SQLModel, table=True):
    __tablename__ = "decisions"
    __table_args__ = (UniqueConstraint("heat_id", "revision"),)

    id: int | None = Field(default=None, primary_key=True)
    decision_id: str = Field(unique=True)
    heat_id: int = Field(foreign_key="heats.id")
    revision: int
    decided_at: datetime = Field(sa_type=UtcDateTime)
    decided_by: str
    recommendation_id: str | None = None
    shown_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    additions: list[dict[str, Any]] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
    reason_code: str | None = None
    reasons: dict[str, str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    note: str | None = None

    def record(self) -> dict[str, Any]:
        """The decision in the shape of its contract (decision.v1)."""
        return {
            "decision_id": self.decision_id,
            "revision": self.revision,
            "decided_at": instant_text(self.decided_at),
            "decided_by": self.decided_by,
            "recommendation_id": self.recommendation_id,
            "shown_at": None if self.shown_at is None else instant_text(self.shown_at),
            "additions": self.additions,
            "reason_code": self.reason_code,
            "reasons": self.reasons,
            "note": self.note,
        }
