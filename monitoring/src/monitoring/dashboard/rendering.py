"""Templates, and how numbers and times are written in them."""

from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi.templating import Jinja2Templates

from monitoring.dashboard.plot import HEIGHT, LEFT, RIGHT, WIDTH, signed

BOX = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT}

templates = Jinja2Templates(Path(__file__).parent / "templates")


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "–"


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:,}".replace(",", "\u202f")


templates.env.filters.update(percent=_percent, moment=_moment, number=_number, signed=signed)
