"""HTTP for master data."""

from typing import Any

from fastapi import APIRouter

from backend.access import audit
from backend.access.gate import WhoDep, needs
from backend.access.rules import KEEP, READ
from backend.database import writing
from backend.dependencies import EngineDep, ReadingDep, SettingsDep
from backend.master_data import kept, service
from backend.master_data.schemas import MasterData

router = APIRouter(prefix="/master-data", tags=["master data"])


@router.put("", dependencies=[needs(KEEP)])
def put_master_data(new: MasterData, engine: EngineDep, settings: SettingsDep, who: WhoDep) -> dict[str, Any]:
    """Put this in the place of all that was kept."""
    with writing(engine) as session:
        service.replace(session, new, settings.plant_id)
        audit.note(session, who.name, "master data put", settings.plant_id)
        return kept.document(session, new.plant_id)


@router.get("", dependencies=[needs(READ)])
def get_master_data(session: ReadingDep, settings: SettingsDep) -> dict[str, Any]:
    return kept.document(session, settings.plant_id)
