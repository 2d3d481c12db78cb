"""HTTP for a plant that tells over REST: 201 for news, 200 for what was known."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from sqlalchemy import Engine

from backend.access.gate import needs
from backend.access.rules import TELL
from backend.database import writing
from backend.dependencies import TREATMENT_PATH, EngineDep, SettingsDep, TreatmentDep
from backend.errors import RefusedError
from backend.events import AdditionsWeighed, HeatCancelled, OfTreatment, SampleAnalysed
from backend.heats.schemas import TreatmentSummary, summary
from backend.intake import service
from backend.intake.schemas import CancelledPost, SamplePost, WeighedPost
from backend.shapes import Heat, Treatment

router = APIRouter(tags=["plant"], dependencies=[needs(TELL)])


@router.post("/heats", status_code=HTTPStatus.CREATED, responses={200: {"model": TreatmentSummary}})
def register_heat(
    new: Heat, engine: EngineDep, settings: SettingsDep, response: Response
) -> TreatmentSummary:
    """X. The same treatment and revision again is 200 and changes nothing."""
    return _told(engine, settings.plant_id, new, response)


@router.post(
    TREATMENT_PATH + "/weighed", status_code=HTTPStatus.CREATED, responses={200: {"model": TreatmentSummary}}
)
def weigh_additions(
    new: WeighedPost, treatment: TreatmentDep, engine: EngineDep, settings: SettingsDep, response: Response
) -> TreatmentSummary:
    """Y' as weighed, the twin of plant.addition.weighed."""
    _same(new.treatment, treatment)
    fact = AdditionsWeighed(treatment=treatment, additions=new.additions)
    return _told(engine, settings.plant_id, fact, response)


@router.post(
    TREATMENT_PATH + "/samples", status_code=HTTPStatus.CREATED, responses={200: {"model": TreatmentSummary}}
)
def analyse_sample(
    new: SamplePost, treatment: TreatmentDep, engine: EngineDep, settings: SettingsDep, response: Response
) -> TreatmentSummary:
    """X', the twin of plant.sample.analysed."""
    _same(new.treatment, treatment)
    fact = SampleAnalysed(treatment=treatment, sample=new.sample)
    return _told(engine, settings.plant_id, fact, response)


@router.post(
    TREATMENT_PATH + "/cancelled",
    status_code=HTTPStatus.CREATED,
    responses={200: {"model": TreatmentSummary}},
)
def cancel_treatment(
    new: CancelledPost,
    treatment: TreatmentDep,
    engine: EngineDep,
    settings: SettingsDep,
    response: Response,
) -> TreatmentSummary:
    """The twin of plant.heat.cancelled."""
    _same(new.treatment, treatment)
    fact = HeatCancelled(treatment=treatment, cancelled_at=new.cancelled_at, reason=new.reason)
    return _told(engine, settings.plant_id, fact, response)


def _told(engine: Engine, plant_id: str, fact: OfTreatment, response: Response) -> TreatmentSummary:
    with writing(engine) as session:
        record, news = service.tell(session, plant_id, fact)
        if not news:
            response.status_code = HTTPStatus.OK
        return summary(record)


def _same(in_body: Treatment | None, in_path: Treatment) -> None:
    if in_body is not None and in_body != in_path:
        raise RefusedError(
            where="$.treatment", what=f"{in_body.key()} is not the path's", allowed=in_path.key()
        )
