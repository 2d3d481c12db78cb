"""Expected errors: each tells what is wrong, where, and what is allowed (problem details, RFC 9457)."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

ShapeT = TypeVar("ShapeT", bound=BaseModel)

ALLOWED = {
    "greater_than": "greater than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "string_pattern_mismatch": "text that matches {pattern}",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "literal_error": "{expected}",
    "missing": "a value; this field is required",
}


class Detail(BaseModel):
    """One thing that is wrong."""

    where: str
    what: str
    allowed: str


class Problem(BaseModel):
    """The body of every error answer, as application/problem+json."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Detail]


class BackendError(Exception):
    """An error that is expected: subclasses name the situation, HTTP and the bus render it once."""

    status = HTTPStatus.BAD_REQUEST
    title = "The request cannot be served"

    def __init__(self, *, where: str, what: str, allowed: str) -> None:
        super().__init__(f"{where}: {what}; allowed: {allowed}")
        self.errors = [Detail(where=where, what=what, allowed=allowed)]


class UnknownError(BackendError):
    status = HTTPStatus.NOT_FOUND
    title = "Not known here"


class StateError(BackendError):
    status = HTTPStatus.CONFLICT
    title = "Not possible in this state"


class RefusedError(BackendError):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Refused"


class InvalidError(BackendError):
    """A document that is not in the shape of its contract."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Not in the shape of the contract"

    def __init__(self, details: Sequence[Detail]) -> None:
        first = details[0]
        super().__init__(where=first.where, what=first.what, allowed=first.allowed)
        self.errors = list(details)


class ConflictError(BackendError):
    """Something else has changed since it was looked at: each detail tells what."""

    status = HTTPStatus.CONFLICT
    title = "Changed meanwhile"

    def __init__(self, details: Sequence[Detail]) -> None:
        first = details[0]
        super().__init__(where=first.where, what=first.what, allowed=first.allowed)
        self.errors = list(details)


def problem(error: BackendError) -> Problem:
    slug = type(error).__name__.removesuffix("Error").lower()
    first = error.errors[0]
    return Problem(
        type=f"urn:steel-additives:backend:{slug}",
        title=error.title,
        status=error.status,
        detail=f"{first.where}: {first.what}",
        errors=error.errors,
    )


def validate(shape: type[ShapeT], document: object, root: str = "$") -> ShapeT:
    """The document as a shape, or InvalidError with a path into the document for each thing that is wrong."""
    try:
        return shape.model_validate(document)
    except ValidationError as invalid:
        raise InvalidError(details(invalid.errors(include_url=False), document, root)) from None


def details(errors: Sequence[Any], document: object, root: str = "$") -> list[Detail]:
    """Pydantic's findings as where, what and allowed, at most twenty."""
    found = []
    for error in errors[:20]:
        given = error.get("input")
        missing = error["type"] == "missing"
        shown = (
            "nothing"
            if missing
            else f"{given!r:.80}"
            if not isinstance(given, (dict, list))
            else "a structure"
        )
        message = str(error["msg"]).removeprefix("Input ")
        numbers = {
            name: f"{value:g}" for name, value in error.get("ctx", {}).items() if isinstance(value, float)
        }
        allowed = ALLOWED.get(error["type"], "").format(**error.get("ctx", {}) | numbers)
        allowed = allowed or message.removeprefix("should be ")
        found.append(
            Detail(
                where=path(error["loc"], document, missing, root), what=f"{shown}: {message}", allowed=allowed
            )
        )
    return found


def path(loc: Sequence[int | str], document: object, missing: bool, root: str = "$") -> str:
    """A path as $.chemistry.C, without parts of `loc` that are not in the document (union branches)."""
    written, here = root, document
    if loc and loc[-1] == "[key]":
        loc = loc[:-2]
    for position, part in enumerate(loc):
        if isinstance(here, dict) and part in here:
            written, here = f"{written}.{part}", here[part]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            written, here = f"{written}[{part}]", here[part]
        elif missing and position == len(loc) - 1:
            written = f"{written}.{part}"
    return written
