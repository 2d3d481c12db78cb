"""Why this recommendation: recoveries against the handbook's, limits and what they cost. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.pages.view import usual

# Relief is priced for 100 kg, 10 °C, and a hundredth of a percent, a thousandth where the bound is small.
STEPS = {"pct": 0.01, "kg": 100.0, "c": 10.0}
SMALL_BOUND_PCT, SMALL_STEP_PCT = 0.1, 0.001


@dataclass(frozen=True)
class Recovery:
    """Share of an added element that stays in the steel, 0 to 1, with the reasons as name and share."""

    element: str
    used: float
    nominal: float | None
    reasons: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Limit:
    """A limit that binds; `saving` is what `step` units of relief would save."""

    kind: str
    subject: str
    bound: float
    step: float
    saving: float | None


@dataclass(frozen=True)
class Unreached:
    kind: str
    subject: str
    short_by: float
    unit: str
    stopped_by: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Why:
    recoveries: Sequence[Recovery]
    limits: Sequence[Limit]
    unreached: Sequence[Unreached]
    warnings: Sequence[str]
    confidence: float


def why(answer: Mapping[str, Any], windows: Mapping[str, Any]) -> Why:
    """What the model's answer says of itself, for elements that have a window; the costliest limit first."""
    recoveries = [
        Recovery(
            element, told["used"], told.get("nominal"), [_reason(text) for text in told.get("reasons") or []]
        )
        for element, told in sorted(answer["recoveries"].items(), key=lambda item: usual(item[0]))
        if element in windows
    ]
    limits = [_limit(told) for told in answer["limits"]]
    unreached = [
        Unreached(
            *_named(told["limit"]),
            told["short_by"],
            told["unit"],
            [_named(limit) for limit in told.get("stopped_by") or []],
        )
        for told in answer["unreached"]
    ]
    return Why(
        recoveries=recoveries,
        limits=sorted(limits, key=lambda limit: -(limit.saving or 0.0)),
        unreached=unreached,
        warnings=[warning["text"].replace(" as named", "") for warning in answer["warnings"]],
        confidence=answer["confidence"],
    )


def _limit(told: Mapping[str, Any]) -> Limit:
    small = told["unit"] == "pct" and told["bound"] < SMALL_BOUND_PCT
    step, price = SMALL_STEP_PCT if small else STEPS[told["unit"]], told.get("price_per_unit")
    subject = told.get("element") or told.get("additive") or ""
    return Limit(told["kind"], subject, told["bound"], step, None if not price else price["amount"] * step)


def _named(limit: str) -> tuple[str, str]:
    """Mn.min as kind and subject; a sentence of the service is passed on as it is, with no kind."""
    subject, dot, bound = limit.rpartition(".")
    kinds = {"min": "window_min", "max": "window_max", "stock_kg": "stock_kg", "max_kg": "max_kg"}
    return (kinds[bound], subject) if dot and bound in kinds else ("", limit)


def _reason(text: str) -> tuple[str, float]:
    """The service writes "last 8 heats: +0.008"; units as a person writes them."""
    name, _, share = text.rpartition(": ")
    try:
        value = float(share)
    except ValueError:
        return text, 0.0
    name = re.sub(r" pct\b", " %", name.removesuffix(" as named"))
    name = re.sub(r"^[a-z]{1,2} (?=[\d.]+ %)", lambda found: found.group().capitalize(), name)
    return re.sub(r"\b(feo|mno|cao|sio2|mgo|al2o3)\b", lambda found: _OXIDES[found.group()], name), value


_OXIDES = {"feo": "FeO", "mno": "MnO", "cao": "CaO", "sio2": "SiO₂", "mgo": "MgO", "al2o3": "Al₂O₃"}
