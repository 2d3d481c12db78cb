"""Events that wait to be published, written in the transaction of the state they tell of."""

from datetime import datetime

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel

from backend.database import UtcDateTime


class OutboxEvent(SQLModel, table=True):
    """`body` is the message as it will be sent, byte for byte, however often that takes; then it goes."""

    __tablename__ = "outbox"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    event_id: str = Field(unique=True)
    type: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_type=UtcDateTime)
