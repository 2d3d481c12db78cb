"""What is sent and answered about people, machines and the audit log."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from backend.access.rules import SHORTEST_PASSWORD, SHORTEST_TOKEN, Role, Scope
from backend.shapes import Code, Instant, Shape, Text


class UserPut(Shape):
    role: Role
    password: Annotated[Text, Field(min_length=SHORTEST_PASSWORD, max_length=256)]


class UserRead(BaseModel):
    name: str
    role: Role
    is_active: bool
    changed_at: Instant


class TokenPut(Shape):
    scopes: Annotated[list[Scope], Field(min_length=1)]


class TokenMade(BaseModel):
    """The secret is told this once; it is kept nowhere."""

    name: str
    scopes: list[Scope]
    secret: str


class TokenRead(BaseModel):
    name: str
    scopes: list[Scope]
    made_at: Instant
    revoked_at: Instant | None


class AuditRead(BaseModel):
    id: int
    at: Instant
    actor: str
    action: str
    target: str
    detail: dict[str, Any]


class AuditPage(BaseModel):
    """Newest first; `next` is the `before` of the following page, null on the last one."""

    entries: list[AuditRead]
    next: int | None


class NamedUser(UserPut):
    name: Code


class NamedToken(TokenPut):
    name: Code
    secret: Annotated[Text, Field(min_length=SHORTEST_TOKEN)]


class AccessFile(Shape):
    """Accounts and tokens as an operator keeps them in his vault."""

    users: list[NamedUser] = Field(default_factory=list)
    tokens: list[NamedToken] = Field(default_factory=list)


Name = Code
