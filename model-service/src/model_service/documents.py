"""JSON in, JSON out: decode a document strictly, and name the place where it breaks its contract."""

import re
from typing import Any, TypeVar, get_args

import msgspec

from model_service import contracts
from model_service.errors import Fault, InvalidDocument, MalformedJson

T = TypeVar("T")

_AT = re.compile(r"^(?P<what>.*?)(?: - at (?P<key>`key` in )?`(?P<path>\$.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<field>.*)`$")
_EXPECTED = re.compile(r"^Expected (?P<allowed>.*?)(?:, got `[^`]*`)?$", re.DOTALL)
_REGEX = re.compile(r"^`str` matching regex (?P<pattern>.*)$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_IN_WORDS = {
    "Instant": "UTC time, RFC 3339, ending in Z, such as 2026-03-02T06:00:00Z",
    "Code": "a name without space at either end, 1 to 64 characters",
    "Slug": "lower case letters, digits and _, starting with a letter",
    "Uuid": "a UUID in lower case",
    "Sha256": "64 hexadecimal digits",
    "Element": "an element symbol such as Mn",
    "Oxide": "an oxide such as SiO2",
    "Currency": "a currency code of three letters such as EUR",
}
_PATTERNS = {
    repr(meta.pattern): words
    for name, words in _IN_WORDS.items()
    for meta in get_args(getattr(contracts, name))[1:]
}
_encoder = msgspec.json.Encoder()


def decode(body: bytes | str, shape: type[T]) -> T:
    """Return `body` as `shape`.

    Raises MalformedJson where it is no JSON, and InvalidDocument with what, where and what is allowed.
    """
    try:
        try:
            return msgspec.json.decode(body, type=shape)
        except msgspec.ValidationError as error:
            raise _invalid(msgspec.json.decode(body), shape, error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fault = Fault("$", str(error), "JSON in UTF-8, not nested too deep")
        raise MalformedJson(f"The body is not JSON: {error}", [fault]) from None


def convert(document: Any, shape: type[T]) -> T:
    """Return an already parsed JSON document as `shape`; raises InvalidDocument."""
    try:
        return msgspec.convert(document, type=shape)
    except msgspec.ValidationError as error:
        raise _invalid(document, shape, error) from None


def encode(document: object) -> bytes:
    return _encoder.encode(document)


def pretty(document: object) -> bytes:
    """Same document, same bytes: keys sorted, two spaces, one newline at the end."""
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2) + b"\n"


def _invalid(document: Any, shape: type[Any], error: msgspec.ValidationError) -> InvalidDocument:
    what, path, is_key = _read(error)
    try:
        document = msgspec.json.decode(msgspec.json.encode(document))
    except (TypeError, msgspec.MsgspecError):  # not JSON, so it came from Python: the path goes without keys
        return InvalidDocument(f"{path}: {what}", [Fault(path, what, "see the contract")])
    for _ in range(path.count("[...]")):
        path = _name_the_key(document, shape, path) or path
    missing, expected = _MISSING.match(what), _EXPECTED.match(what)
    if missing:
        path, what, allowed = f"{path}.{missing['field']}", "is required and missing", "see the contract"
    elif expected:
        allowed = _in_words(expected["allowed"])
        what = "has a name that is not allowed" if is_key else f"{_show(document, path)} is not allowed"
    else:
        allowed = "see the contract"
    return InvalidDocument(f"{path}: {what}; allowed: {allowed}", [Fault(path, what, allowed)])


def _in_words(expected: str) -> str:
    match = _REGEX.match(expected)
    return _PATTERNS.get(match["pattern"], expected) if match else expected.replace("`", "")


def _at(document: Any, path: str) -> Any:
    for name, index in _STEP.findall(path):
        document = document[name] if name else document[int(index)]
    return document


def _show(document: Any, path: str) -> str:
    try:
        return repr(_at(document, path))[:80]
    except (KeyError, IndexError, TypeError):
        return "this value"


def _read(error: msgspec.ValidationError) -> tuple[str, str, bool]:
    match = _AT.match(str(error))
    return (
        (match["what"], match["path"] or "$", match["key"] is not None) if match else (str(error), "$", False)
    )


def _name_the_key(document: Any, shape: type[Any], path: str) -> str | None:
    """Return `path` with its first `[...]` (a value of some map) replaced by the key at fault.

    The document is tried with ever fewer keys of that map, O(log n) times, and left with that key alone, so
    that no sibling can be taken for it when the next map on the way is searched.
    """
    before, after = path.split("[...]", 1)
    try:
        holder = _at(document, before)
    except (KeyError, IndexError, TypeError):
        return None
    if not isinstance(holder, dict) or not holder:
        return None
    everything = dict(holder)
    keys = list(everything)

    def fails(tried: list[str]) -> bool:
        holder.clear()
        holder.update({key: everything[key] for key in tried})
        try:
            msgspec.convert(document, type=shape)
        except msgspec.ValidationError as error:
            return "[...]" in _read(error)[1]
        return False

    low, high = 0, len(keys)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fails(keys[low:middle]) else (middle, high)
    holder.clear()
    holder[keys[low]] = everything[keys[low]]
    return f"{before}.{keys[low]}{after}"
