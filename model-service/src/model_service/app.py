"""HTTP for the Model Service: read the body, call the core, write JSON.

Bodies are decoded by msgspec and not by FastAPI, hence plain routes; their schemas are in `openapi`.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from model_service.bundle import model_card
from model_service.contracts import PredictionRequest, RecommendationRequest
from model_service.documents import decode, encode
from model_service.errors import BodyTooLarge, Fault, ModelServiceError
from model_service.invocations import invoke
from model_service.metrics import Metrics
from model_service.model import Bundle
from model_service.openapi import document
from model_service.prediction import predict
from model_service.problems import MEDIA_TYPE, problem, problem_of, unexpected_problem
from model_service.recommendation import recommend

MOST_BYTES = 16 * 1024 * 1024
_TOLD_BYTES = 2000  # of a body that broke the service, in its log: the heat's ids stand in front
_JSON = "application/json"
_log = logging.getLogger(__name__)

Handler = Callable[[bytes], Awaitable[object]]


def create_app(bundle: Bundle) -> FastAPI:
    """Return the service around one loaded bundle."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    metrics = Metrics(bundle)

    async def recommendations(body: bytes) -> object:
        answer = recommend(bundle, decode(body, RecommendationRequest))
        metrics.judged(answer)
        return answer

    async def predictions(body: bytes) -> object:
        answer = predict(bundle, decode(body, PredictionRequest))
        metrics.judged(answer)
        return answer

    async def invocations(body: bytes) -> object:
        # Many heats may come at once; in a thread they leave the loop to the steelmaker's single one.
        answers = await run_in_threadpool(invoke, bundle, decode(body, object))
        for answer in answers:
            metrics.judged(answer)
        return {"predictions": answers}

    for path, handler in (
        ("/v1/recommendations", recommendations),
        ("/v1/predictions", predictions),
        ("/invocations", invocations),
    ):
        app.add_route(path, _posted(path, handler, metrics), methods=["POST"])

    fixed = {
        "/v1/model": encode(model_card(bundle)),
        "/openapi.json": encode(document()),
        "/health/live": encode({"status": "live"}),
        "/health/ready": encode({"status": "ready"}),
        "/ping": b"",
    }
    for path, body in fixed.items():
        app.add_route(path, _constant(body), methods=["GET"])
    app.add_route("/metrics", _metrics(metrics), methods=["GET"])
    app.add_exception_handler(HTTPException, _http_problem)
    return app


def _posted(path: str, handler: Handler, metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        started, body = time.perf_counter(), b""
        try:
            body = await _body(request)
            response = Response(encode(await handler(body)), media_type=_JSON)
        except ModelServiceError as error:
            response = Response(problem_of(error), status_code=error.status, media_type=MEDIA_TYPE)
        except Exception:
            _log.exception("%s failed unexpectedly on %s", path, body[:_TOLD_BYTES])
            response = Response(unexpected_problem(), status_code=500, media_type=MEDIA_TYPE)
        metrics.answered(path, response.status_code, time.perf_counter() - started)
        return response

    return endpoint


def _constant(body: bytes) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(_: Request) -> Response:
        return Response(body, media_type=_JSON)

    return endpoint


def _metrics(metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(_: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return endpoint


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            fault = Fault("$", f"more than {MOST_BYTES} bytes", f"at most {MOST_BYTES} bytes")
            raise BodyTooLarge("The body is too large", [fault])
    return bytes(body)


async def _http_problem(_: Request, error: Any) -> Response:
    title = HTTPStatus(error.status_code).phrase
    return Response(
        problem(error.status_code, title, str(error.detail)),
        status_code=error.status_code,
        media_type=MEDIA_TYPE,
        headers=error.headers,
    )
