"""What changed in master data and who did it, as a person reads it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any


def told(changes: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": change.name,
            "at": change.changed_at,
            "by": change.changed_by,
            "new": change.before is None,
            "parts": differences(change.before or {}, change.after or {}),
        }
        for change in changes
    ]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What differs, flat: path, before, after; empty text is nothing."""
    was, is_now = _flat(before), _flat(after)
    paths = sorted(was.keys() | is_now.keys())
    return [
        (path, was.get(path, ""), is_now.get(path, "")) for path in paths if was.get(path) != is_now.get(path)
    ]


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for name, part in value.items():
            found |= _flat(part, f"{path} {name}".strip().removeprefix("windows "))
        return found
    if value is None or value == []:
        return {}
    if isinstance(value, float):
        return {path: f"{value:g}"}
    return {path: ", ".join(value) if isinstance(value, list) else _readable(str(value))}


def _readable(text: str) -> str:
    """An instant to the minute, other text as it is."""
    instant = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):[\d.]+Z", text)
    return f"{instant[1]} {instant[2]} UTC" if instant else text
