"""How a page is made: templates, words of the reader's language, numbers as a steelmaker writes them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response
from markupsafe import Markup
from starlette.templating import Jinja2Templates

from backend.access.rules import DECIDE, KEEP
from backend.clock import instant_text
from backend.errors import Detail
from backend.pages.texts import language_for, text
from backend.shapes import Treatment

THIN_SPACE = "\u2009"
# Colour never stands alone: each state has a sign too.
STATE_SIGNS = {"registered": "…", "recommended": "▶", "decided": "◔", "completed": "✓", "cancelled": "×"}
VERDICT_SIGNS = {"inside": "✓", "tight": "◑", "low": "▼", "high": "▲"}

templates = Jinja2Templates(directory=Path(__file__).parent / "templates")


def page(
    request: Request, template: str, context: Mapping[str, Any], status: int = HTTPStatus.OK
) -> Response:
    """A template in the reader's language; `person` is who is logged in, or None."""
    language = language_for(request.headers.get("accept-language", ""))
    may: frozenset[str] = getattr(getattr(request.state, "who", None), "permissions", frozenset())
    given = {
        "language": language,
        "t": partial(text, language),
        "person": getattr(request.state, "person", None),
        "may_edit": KEEP in may,
        "may_decide": DECIDE in may,
        "state_words": partial(_state_words, language, DECIDE in may),
        "here": request.url.path,
    }
    return templates.TemplateResponse(request, template, given | dict(context), status_code=status)


def _state_words(language: str, may_decide: bool, state: str) -> str:
    """Who only looks is not told that a heat waits for him."""
    name = "recommended_other" if state == "recommended" and not may_decide else state
    return text(language, f"state.{name}")


def error_page(request: Request, title: str, details: Sequence[Detail], status: int) -> Response:
    """For a person what problem details are for a program."""
    return page(request, "error.html", {"title": title, "problems": details, "status": status}, status)


def heat_page(treatment: Treatment) -> str:
    plant_id = quote(treatment.plant_id, safe="")
    return f"/heats/{plant_id}/{treatment.heat_uid}/{treatment.station}/{treatment.treatment_no}"


def kilograms_text(kg: float) -> str:
    return f"{kg:,.1f}".removesuffix(".0").replace(",", THIN_SPACE)


def money_text(amount: float) -> str:
    return f"{amount:,.2f}".replace(",", THIN_SPACE).replace("-", "−")


def percent_text(analysis: Any) -> str:
    """wt %: three digits after the point, four below a hundredth."""
    if analysis is None:
        return "–"
    if isinstance(analysis, dict):
        return f"< {analysis['below']:g}"
    return f"{analysis:.4f}" if 0 < abs(analysis) < 0.01 else f"{analysis:.3f}"


def window_text(window: Mapping[str, float | None]) -> str:
    """A window of a grade in the least space."""
    low, high = window.get("min"), window.get("max")
    if low is None and high is None:
        return ""
    if low is None or high is None:
        return f"≤ {high:g}" if low is None else f"≥ {low:g}"
    return f"{low:g}–{high:g}"


def time_text(at: datetime | str | None, shape: str = "%d %b %H:%M") -> Markup:
    """A time element: UTC in the page, which its script turns into the clock on the wall."""
    if at is None:
        return Markup("–")
    instant = datetime.fromisoformat(at) if isinstance(at, str) else at
    kind = "clock" if shape == "%H:%M" else "day"
    return Markup('<time datetime="{}" data-shape="{}">{} UTC</time>').format(
        instant_text(instant), kind, instant.strftime(shape)
    )


def station_text(treatment: Any) -> str:
    """tapping, ladle furnace 2: the plant's own word, with the number of the treatment from the second on."""
    name = str(treatment.station).replace("_", " ")
    return f"{name} {treatment.treatment_no}" if treatment.treatment_no > 1 else name


templates.env.globals.update(
    STATE_SIGNS=STATE_SIGNS, VERDICT_SIGNS=VERDICT_SIGNS, heat_page=heat_page, station=station_text
)
templates.env.filters.update(
    kg=kilograms_text, money=money_text, percent=percent_text, when=time_text, window=window_text
)
