"""People, machines, who is logged in, what failed, and who did what."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

from backend.database import UtcDateTime


class User(SQLModel, table=True):
    """A person; `password_hash` is Argon2id with its parameters in it."""

    __tablename__ = "users"

    name: str = Field(primary_key=True)
    role: str
    password_hash: str
    is_active: bool = True
    changed_at: datetime = Field(sa_type=UtcDateTime)


class LoginSession(SQLModel, table=True):
    """Somebody who is logged in. Of the secret in his cookie only the SHA-256 is kept."""

    __tablename__ = "login_sessions"

    secret_hash: str = Field(primary_key=True)
    user_name: str = Field(foreign_key="users.name", index=True)
    began_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime)


class MachineToken(SQLModel, table=True):
    """A machine's credential. Of the secret only the SHA-256 is kept."""

    __tablename__ = "machine_tokens"

    name: str = Field(primary_key=True)
    secret_hash: str = Field(unique=True)
    scopes: list[str] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
    made_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LoginFailure(SQLModel, table=True):
    """An attempt that failed, for as long as it counts."""

    __tablename__ = "login_failures"
    __table_args__ = (Index("ix_login_failures_address", "address", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    name: str
    address: str
    at: datetime = Field(sa_type=UtcDateTime)


class AuditEntry(SQLModel, table=True):
    """Who did what to what; never changed, never taken away."""

    __tablename__ = "audit_log"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    actor: str
    action: str
    target: str
    detail: dict[str, Any] = Field(sa_column=Column(JSON(none_as_null=True), nullable=False))
