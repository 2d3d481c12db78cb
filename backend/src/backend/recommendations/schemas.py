"""What is answered about recommendations."""

from typing import Any, Literal

from pydantic import BaseModel

from backend.recommendations.tables import Recommendation
from backend.shapes import Addition, Instant, Money


class RecommendationRead(BaseModel):
    """recommendation-record.v1, and when it was first shown."""

    recommendation_id: str
    role: Literal["live", "shadow"]
    source: Literal["model", "handbook"]
    made_at: Instant
    heat_revision: int
    model_version: str | None
    bundle_hash: str | None
    image_digest: str | None
    fallback_reason: str | None
    additions: list[Addition]
    cost: Money | None
    answer: dict[str, Any] | None
    shown_at: Instant | None


def read(made: Recommendation) -> RecommendationRead:
    return RecommendationRead.model_validate(made.record() | {"shown_at": made.shown_at})
