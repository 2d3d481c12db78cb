"""What the model predicted for the kilograms that were weighed."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from backend.database import UtcDateTime


class Prediction(SQLModel, table=True):
    """The newest prediction of a heat.

    `weighed_no` says of which weighing; `body` is null where the model gave none.
    """

    __tablename__ = "predictions"

    heat_id: int = Field(primary_key=True, foreign_key="heats.id", sa_column_kwargs={"autoincrement": False})
    weighed_no: int
    asked_at: datetime = Field(sa_type=UtcDateTime)
    body: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
