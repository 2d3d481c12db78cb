"""Templates, and how numbers and times are written in them."""

from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi.templating import Jinja2Templates

from monitoring.dashboard.plot import HEIGHT, LEFT, RIGHT, WIDTH, signed
from monitoring.measures.savings import totals

READINGS = {
    "oxygen_ppm": "dissolved oxygen",
    "slag_carry_over_kg_t": "slag carried over",
    "steel_mass_t": "steel mass",
    "temperature_c": "temperature",
}
BOX = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT}

templates = Jinja2Templates(Path(__file__).parent / "templates")


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "–"


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:,}".replace(",", "\u202f")


def reading_name(name: str) -> str:
    """A reading as people in the melt shop call it."""
    if name in READINGS:
        return READINGS[name]
    plain = name.removesuffix("_pct").removesuffix("_ppm").removesuffix("_kg_t").replace("_", " ")
    kind, _, of = plain.partition(" ")
    return {"first": f"{of} before additions", "slag": f"{of} in the slag"}.get(kind, plain)


templates.env.filters.update(
    percent=_percent, moment=_moment, number=_number, signed=signed, reading=reading_name, totals=totals
)
