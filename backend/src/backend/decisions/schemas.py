"""What a steelmaker sends when he confirms."""

from typing import Annotated

from pydantic import Field

from backend.shapes import Addition, Code, Instant, ReasonCode, Revision, Shape, Text, Uuid


class Seen(Shape):
    """What was on the screen when it was decided; another tablet, or the plant, may have changed it since."""

    heat_revision: Revision | None = None
    grade: Code | None = None
    recommendation_id: Uuid | None = None
    decision_id: Uuid | None = None


class DecisionPut(Shape):
    """`recommendation_id` is the one he was shown, null where none had come.

    `seen` tells what he decided on: where that is not so any more, the answer is 409 with what has changed.
    Of `seen` what is absent is not compared, except the decision: who has seen none replaces none.
    """

    decision_id: Uuid
    decided_by: Code | None = Field(
        default=None, description="of a machine: for whom; a person who is logged in decides for himself"
    )
    seen: Seen | None = None
    recommendation_id: Uuid | None = None
    additions: list[Addition]
    reason_code: ReasonCode | None = Field(
        default=None, description="of all that differs and is not named in `reasons`"
    )
    reasons: dict[Code, ReasonCode] | None = Field(
        default=None, description="additive to why its kilograms differ; also of one that is not added at all"
    )
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
    reasons: dict[Code, ReasonCode] | None = None
    note: str | None
