"""Which X holds: the newest revision the plant told, under the newest diversion, with the grade's windows."""

from typing import Any


def in_force(
    told: dict[str, Any], diversion: dict[str, Any] | None, grade_windows: dict[str, Any] | None
) -> dict[str, Any]:
    """X in force.

    A diversion holds over every revision of X: nothing says which of the two was meant to be the later.
    Windows come from who named the grade; where he gave none, they are `grade_windows` (the master data's).
    """
    heat = dict(told)
    if diversion is not None:
        heat["grade"] = diversion["grade"]
        heat["windows"] = diversion.get("windows")
    if not heat.get("windows"):
        heat.pop("windows", None)
        if grade_windows:
            heat["windows"] = grade_windows
    return heat


def grade_in_force(told: dict[str, Any], diversion: dict[str, Any] | None) -> str:
    return str((diversion or told)["grade"])
