"""The web application: figures, pages, health, metrics; nothing in it reaches outside the plant."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

from monitoring import __version__
from monitoring.alarms.announcements import Announcements
from monitoring.alarms.degraded import Windows
from monitoring.alarms.store import AlarmStore
from monitoring.alarms.watch import Watch
from monitoring.dashboard import alarms, reports
from monitoring.dashboard.bus_position import BusPosition
from monitoring.dashboard.problems import handle_problems
from monitoring.dashboard.reading import LakeReader
from monitoring.dashboard.routes import router
from monitoring.settings import Settings

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(settings: Settings) -> FastAPI:
    """Build the application; it works before there is a lake or a bus, and says so."""

    store = AlarmStore(settings.state_file)
    announcements = Announcements(settings.state_file)
    watch = Watch(
        settings.lake,
        settings.plant_id,
        settings.references_folder,
        store,
        price_per_miss_per_t=settings.price_per_miss_per_t,
        webhook_url=settings.webhook_url,
        every_s=settings.diagnose_every_s,
        announcements=announcements,
        nats_url=settings.nats_url,
        windows=Windows(
            settings.degraded_window_heats, settings.degraded_least_windows, settings.degraded_last_windows
        ),
        cool_down=timedelta(seconds=settings.degraded_cool_down_s),
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.bus_position = BusPosition(settings.nats_url)
        watch.start()
        yield
        await asyncio.to_thread(watch.stop)
        await app.state.bus_position.close()

    app = FastAPI(title="Monitoring", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.reader = LakeReader(settings.lake, settings.plant_id)
    app.state.reports = reports.Reports(app.state.reader, store, settings.price_per_miss_per_t)
    app.state.alarms, app.state.watch, app.state.announcements = store, watch, announcements
    handle_problems(app)

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.include_router(router)
    app.include_router(alarms.router)
    app.include_router(reports.router)
    return app
