"""What routes ask for: settings, sessions, the model's address, and the treatment in the path.

A route that writes opens `writing(engine)` itself: it waits for its turn and ends its turn in one thread of
the pool, so that waiting routes can never keep the one that is on from ending; and a commit that fails is an
error to the client, not a success that was not.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated

import orjson
from fastapi import Depends, Path, Request, Response
from pydantic import ValidationError
from sqlalchemy import Engine
from sqlmodel import Session

from backend.database import reading
from backend.errors import InvalidError, details
from backend.model_client import ModelClient
from backend.settings import Settings
from backend.shapes import Treatment


async def settings_of(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def engine_of(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def model_of(request: Request) -> ModelClient:
    model: ModelClient = request.app.state.model
    return model


def as_kept(document: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A document of ours as it is: the framework would check and copy all of it again."""
    return Response(orjson.dumps(document), status, media_type="application/json")


def open_reading(request: Request) -> Iterator[Session]:
    with reading(request.app.state.engine) as session:
        yield session


async def treatment_of(
    plant_id: Annotated[str, Path()],
    heat_uid: Annotated[str, Path()],
    station: Annotated[str, Path()],
    treatment_no: Annotated[int, Path()],
) -> Treatment:
    given = {"plant_id": plant_id, "heat_uid": heat_uid, "station": station, "treatment_no": treatment_no}
    try:
        return Treatment.model_validate(given)
    except ValidationError as invalid:
        raise InvalidError(details(invalid.errors(include_url=False), given, "path")) from None


SettingsDep = Annotated[Settings, Depends(settings_of)]
EngineDep = Annotated[Engine, Depends(engine_of)]
ModelDep = Annotated[ModelClient, Depends(model_of)]
ReadingDep = Annotated[Session, Depends(open_reading, scope="function")]
TreatmentDep = Annotated[Treatment, Depends(treatment_of)]

TREATMENT_PATH = "/treatments/{plant_id}/{heat_uid}/{station}/{treatment_no}"
