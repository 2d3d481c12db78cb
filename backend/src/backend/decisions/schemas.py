"""What a steelmaker sends when he confirms."""

from typing import Annotated

from pydantic import Field

from backend.shapes import Addition, Code, Instant, ReasonCode, Shape, Text, Uuid


class DecisionPut(Shape):
    """`recommendation_id` is the one he was shown, null where none had come."""

    decision_id: Uuid
    decided_by: Code
    recommendation_id: Uuid | None = None
    additions: list[Addition]
    reason_code: ReasonCode | None = None
    note: Annotated[Text, Field(max_length=500)] | None = None


class DecisionRead(Shape):
    """decision.v1"""

    decision_id: Uuid
    revision: int
    decided_at: Instant
    decided_by: Code
    recommendation_id: Uuid | None
    shown_at: Instant | None
    additions: list[Addition]
    reason_code: ReasonCode | None
    note: str | None
