"""Ask anew for what waits for the steelmaker, where stock, prices or lots have changed since it was made.

It looks at what is kept, not at what was told: a price may also begin to hold, or be entered by hand.
"""

import hashlib
from datetime import datetime

import orjson
from sqlalchemy import func, select
from sqlmodel import Session

from backend.clock import now
from backend.database import run, table_of
from backend.heats.tables import RECOMMENDED, HeatRecord
from backend.master_data import kept
from backend.recommendations.staleness import stale_because
from backend.recommendations.tables import Recommendation
from backend.tasks import service as tasks
from backend.tasks.tables import RECOMMENDATION

# What waits is among the newest heats; so a table of a million is not looked through.
NEWEST = 5_000
MOST_WAITING = 200
HEATS, RECOMMENDATIONS = table_of(HeatRecord), table_of(Recommendation)


def offers_seen(session: Session, plant_id: str) -> str:
    """Something that is the same as long as what can be added is."""
    return hashlib.sha256(orjson.dumps(kept.offers(session, plant_id, "", now()))).hexdigest()


def stale(session: Session, plant_id: str) -> list[int]:
    """Heats that wait with a recommendation that is not of today, the newest first."""
    columns = (HEATS.c.id, HEATS.c.grade, HEATS.c.revision, *RECOMMENDATIONS.c["additions", "additives"])
    query = (
        select(*columns, RECOMMENDATIONS.c.heat_revision)
        .join(RECOMMENDATIONS, RECOMMENDATIONS.c.recommendation_id == HEATS.c.recommendation_id)
        .where(HEATS.c.id > select(func.max(HEATS.c.id) - NEWEST).scalar_subquery())
        .where(HEATS.c.plant_id == plant_id, HEATS.c.state == RECOMMENDED)
        .order_by(HEATS.c.id.desc())
        .limit(MOST_WAITING)
    )
    at: datetime = now()
    return [
        row.id
        for row in run(session, query)
        if stale_because(
            row.additions,
            row.additives,
            kept.offers(session, plant_id, row.grade, at),
            row.heat_revision,
            row.revision,
        )
    ]


def ask_anew(session: Session, heat_ids: list[int]) -> None:
    for heat_id in heat_ids:
        tasks.ensure(session, heat_id, RECOMMENDATION)
