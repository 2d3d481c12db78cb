"""HTTP for master data."""

from typing import Any

from fastapi import APIRouter

from backend.dependencies import ReadingDep, SessionDep, SettingsDep
from backend.master_data import service
from backend.master_data.schemas import MasterData

router = APIRouter(prefix="/master-data", tags=["master data"])


@router.put("")
def put_master_data(new: MasterData, session: SessionDep, settings: SettingsDep) -> dict[str, Any]:
    """Put this in the place of all that was kept."""
    service.replace(session, new, settings.plant_id)
    session.flush()
    return service.read(session, new.plant_id)


@router.get("")
def get_master_data(session: ReadingDep, settings: SettingsDep) -> dict[str, Any]:
    return service.read(session, settings.plant_id)
