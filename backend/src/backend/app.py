"""The HTTP application, put together."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from backend import __version__, health, metrics, news
from backend.access.gate import StrangerError
from backend.access.routes import router as access
from backend.decisions.routes import router as decisions
from backend.edge import Edge
from backend.errors import BackendError, Detail, InvalidError, Problem, details, problem
from backend.heats.routes import router as heats
from backend.intake.routes import router as intake
from backend.master_data.routes import router as master_data
from backend.model_client import ModelClient
from backend.openapi import API, openapi
from backend.pages.routes import error_page
from backend.pages.routes import router as pages
from backend.recommendations.routes import router as recommendations
from backend.settings import Settings

log = logging.getLogger(__name__)


def create_app(settings: Settings, engine: Engine) -> FastAPI:
    """The application over this database."""
    model = ModelClient(str(settings.model_live_url), settings.model_timeout_s, settings.model_live_token)

    app = FastAPI(
        title="Steel additives: backend",
        version=__version__,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings, app.state.engine, app.state.model = settings, engine, model
    for router in (heats, intake, recommendations, decisions, master_data, access):
        app.include_router(router, prefix=API)
    app.state.news = news.News(engine)
    app.include_router(health.router)
    app.include_router(news.router, include_in_schema=False)
    app.include_router(pages, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "pages" / "static"), name="static")
    app.add_exception_handler(BackendError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OperationalError, _unexpected)
    app.add_exception_handler(Exception, _unexpected)
    app.add_middleware(Edge, observe=metrics.observe_request)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


def render(request: Request, told: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The problem as JSON; as a page where a browser asked for one."""
    if _wants_page(request):
        return error_page(request, told.title, told.errors, told.status)
    media_type = "application/problem+json"
    return JSONResponse(told.model_dump(mode="json"), told.status, headers, media_type=media_type)


def _wants_page(request: Request) -> bool:
    return not request.url.path.startswith(API) and "text/html" in request.headers.get("accept", "")


async def _expected(request: Request, error: Exception) -> Response:
    log.debug("%s %s: %s", request.method, request.url.path, error)
    if not isinstance(error, BackendError):
        raise error
    if isinstance(error, StrangerError):
        if _wants_page(request):
            return RedirectResponse(error.login, HTTPStatus.SEE_OTHER)
        return render(request, problem(error), {"WWW-Authenticate": "Bearer"})
    return render(request, problem(error))


async def _unexpected(request: Request, error: Exception) -> Response:
    """A fault of ours, or a database that is away; the log has it with the heat, which is in the path."""
    told = {"treatment": request.path_params} if "heat_uid" in request.path_params else {}
    log.error("%s %s failed: %r", request.method, request.url.path, error, extra={"told": told})
    away = isinstance(error, OperationalError)
    status = HTTPStatus.SERVICE_UNAVAILABLE if away else HTTPStatus.INTERNAL_SERVER_ERROR
    what = "the database is away or busy" if away else "the backend failed; its log says why"
    answer = Problem(
        type="about:blank",
        title=status.phrase,
        status=status,
        detail=what,
        errors=[Detail(where="backend", what=what, allowed="try again")],
    )
    return render(request, answer)


async def _invalid(request: Request, error: Exception) -> Response:
    """FastAPI's findings: in the body as $.path, elsewhere as query.name or path.name."""
    if not isinstance(error, RequestValidationError):
        raise error
    found: list[Detail] = []
    for one in error.errors():
        place, *loc = one["loc"]
        if one["type"] == "json_invalid":
            found.append(
                Detail(where="$", what=f"not JSON: {one.get('ctx', {}).get('error', '')}", allowed="JSON")
            )
        elif place == "body":
            found += details([one | {"loc": loc}], error.body)
        else:
            found += details([one | {"loc": loc}], {str(part): None for part in loc}, str(place))
    return render(request, problem(InvalidError(found)))


async def _http(request: Request, error: Exception) -> Response:
    """What Starlette answers by itself: no such path, no such method."""
    if not isinstance(error, HTTPException):
        raise error
    phrase = HTTPStatus(error.status_code).phrase
    allow = (error.headers or {}).get("Allow", "")
    told = Problem(
        type="about:blank",
        title=phrase,
        status=error.status_code,
        detail=str(error.detail),
        errors=[Detail(where="request", what=str(error.detail), allowed=allow or "see /openapi.json")],
    )
    return render(request, told, error.headers)
