"""The model page: which model answers now, since when, and what it says of itself."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, col, select

from backend.dependencies import ModelDep, ReadingDep
from backend.model_client import ModelUnavailableError
from backend.pages.rendering import page
from backend.recommendations.tables import HANDBOOK, LIVE, MODEL, Recommendation

router = APIRouter()

# So many of the newest recommendations are looked at: what is older is history, and the page stays quick.
LOOKED_AT = 2_000
UNITS = {"pct": "%", "C": "°C", "as named": ""}


@router.get("/model")
def model_page(request: Request, session: ReadingDep, model: ModelDep) -> Response:
    try:
        card, away = model.card(), ""
    except ModelUnavailableError as unavailable:
        card, away = None, str(unavailable)
    newest = _newest(session)
    by_model = [made for made in newest if made.source == MODEL]
    context = {
        "card": card,
        "away": away,
        "served": _served(by_model),
        "looked_at": len(newest),
        "by_handbook": sum(made.source == HANDBOOK for made in newest),
        "last_reason": next((made.fallback_reason for made in newest if made.source == HANDBOOK), None),
        "ranges": {
            station: _ranges(told["training_ranges"])
            for station, told in (card or {"stations": {}})["stations"].items()
        },
        "metrics": _metrics(card["metrics"]) if card else (),
    }
    return page(request, "model.html", context)


def _newest(session: Session) -> Sequence[Any]:
    """Who made the newest recommendations, without what they say."""
    columns = (
        Recommendation.source,
        Recommendation.model_version,
        Recommendation.bundle_hash,
        Recommendation.image_digest,
        Recommendation.made_at,
        Recommendation.fallback_reason,
    )
    query = select(*columns).where(Recommendation.role == LIVE)  # type: ignore[call-overload]
    found: Sequence[Any] = session.exec(query.order_by(col(Recommendation.id).desc()).limit(LOOKED_AT)).all()
    return found


def _served(newest_first: Sequence[Any]) -> list[dict[str, Any]]:
    """Each model that answered, from when to when, the newest first; one that came back is there twice."""
    served: list[dict[str, Any]] = []
    for made in newest_first:
        if not served or served[-1]["bundle_hash"] != made.bundle_hash:
            served.append(
                {
                    "version": made.model_version,
                    "bundle_hash": made.bundle_hash,
                    "image_digest": made.image_digest,
                    "until": made.made_at,
                    "count": 0,
                }
            )
        served[-1] |= {"since": made.made_at, "count": served[-1]["count"] + 1}
    return served


def _ranges(ranges: dict[str, Any]) -> list[tuple[str, float, float, str]]:
    """Feature, lowest, highest and unit as a person writes them: the unit is not said twice."""
    told = []
    for name, seen in ranges.items():
        unit = seen["unit"]
        plain = name.removesuffix("_" + unit.replace("/", "_").lower()).replace("_", " ")
        if len(plain) <= 2:  # an element
            plain = plain.capitalize()
        told.append((plain, seen["low"], seen["high"], UNITS.get(unit, unit)))
    return told


def _metrics(metrics: dict[str, Any], path: str = "") -> list[tuple[str, str]]:
    """Nested figures as lines of name and value."""
    lines: list[tuple[str, str]] = []
    for name, value in metrics.items():
        named = f"{path} {name}".strip().replace("_", " ")
        if isinstance(value, dict):
            lines += _metrics(value, named)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            lines.append((named, f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"))
        elif value is not None:
            lines.append((named, str(value)))
    return lines
