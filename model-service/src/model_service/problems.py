"""Errors as problem details (RFC 9457): what, where and what is allowed."""

import msgspec

from model_service.documents import encode
from model_service.errors import Fault, ModelServiceError


class ProblemError(msgspec.Struct, frozen=True, kw_only=True):
    """One fault; `where` is a JSON path."""

    where: str
    what: str
    allowed: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """application/problem+json."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemError]


MEDIA_TYPE = "application/problem+json"


def problem_of(error: ModelServiceError) -> bytes:
    """Return the body for an expected error."""
    return problem(error.status, error.title, error.detail, *error.faults)


def unexpected_problem() -> bytes:
    """Return the body for an error nobody expected: what went wrong is for the log, not for the caller."""
    return problem(500, "Unexpected error", "The service failed; its log says why.")


def problem(status: int, title: str, detail: str, *faults: Fault) -> bytes:
    """Return the body of application/problem+json."""
    errors = [ProblemError(where=fault.where, what=fault.what, allowed=fault.allowed) for fault in faults]
    return encode(Problem(type="about:blank", title=title, status=status, detail=detail, errors=errors))
