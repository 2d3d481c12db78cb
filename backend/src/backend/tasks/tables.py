"""What is still to be done for a heat: written with the fact that asks for it, gone with the answer."""

from datetime import datetime

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel

from backend.database import UtcDateTime

RECOMMENDATION = "recommendation"
PREDICTION = "prediction"
SHADOW = "shadow"


class Task(SQLModel, table=True):
    """`version` grows when the same is asked for again; an answer to an older version is not the answer.

    `request` is what a shadow is asked: what the live model was, byte for byte.
    """

    __tablename__ = "tasks"

    heat_id: int = Field(primary_key=True, foreign_key="heats.id")
    kind: str = Field(primary_key=True)
    version: int = 1
    since: datetime = Field(sa_type=UtcDateTime)
    request: str | None = Field(default=None, sa_column=Column(Text))
