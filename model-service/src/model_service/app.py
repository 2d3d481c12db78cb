"""The service's endpoints: decode, call the core, encode. Everything is answered on one thread, one by one.

A heat takes about a millisecond, less than handing it to another thread and back; a batch lets single heats
through between its rows.
"""

import asyncio
import logging
import time

from model_service.asgi import Application, Handler, Limits, Reply, Route
from model_service.bundle import model_card
from model_service.contracts import Prediction, Recommendation
from model_service.documents import decode, encode
from model_service.incoming import prediction_request, recommendation_request
from model_service.invocations import requests_in
from model_service.metrics import Metrics
from model_service.model import Bundle
from model_service.openapi import document
from model_service.prediction import predict
from model_service.recommendation import recommend

LIMITS = Limits(most_bytes=16 * 1024 * 1024, seconds=30.0)
_log = logging.getLogger("model_service")


def create_app(bundle: Bundle, limits: Limits = LIMITS, token: str | None = None) -> Application:
    """Return the service around one loaded bundle; with `token`, all but health and ping ask for it."""
    metrics = Metrics(bundle)

    async def recommendations(body: bytes) -> Reply:
        started = time.perf_counter()
        answer = recommend(bundle, recommendation_request(body))
        tell(answer, started)
        return Reply(encode(answer))

    async def predictions(body: bytes) -> Reply:
        started = time.perf_counter()
        answer = predict(bundle, prediction_request(body))
        tell(answer, started)
        return Reply(encode(answer))

    async def invocations(body: bytes) -> Reply:
        answers = []
        for request in requests_in(decode(body, object)):
            started = time.perf_counter()
            answers.append(recommend(bundle, request))
            tell(answers[-1], started)
            await asyncio.sleep(0)  # lets others' heats through, and this request's time limit
        return Reply(encode({"predictions": answers}))

    def tell(answer: Recommendation | Prediction, started: float) -> None:
        metrics.judged(answer)
        told = {
            "treatment": answer.treatment,
            "heat_revision": answer.heat_revision,
            "milliseconds": round((time.perf_counter() - started) * 1000, 3),
            "reasons": [reason.code for reason in answer.abstention_reasons],
            "version": bundle.version,
        }
        _log.info(answer.status, extra={"told": told})

    routes = {
        "/v1/recommendations": Route("POST", recommendations),
        "/v1/predictions": Route("POST", predictions),
        "/invocations": Route("POST", invocations),
        "/v1/model": Route("GET", _constant(encode(model_card(bundle)))),
        "/openapi.json": Route("GET", _constant(encode(document()))),
        "/health/live": Route("GET", _constant(encode({"status": "live"})), is_open=True),
        "/health/ready": Route("GET", _constant(encode({"status": "ready"})), is_open=True),
        "/ping": Route("GET", _constant(b""), is_open=True),
        "/metrics": Route("GET", _metrics(metrics)),
    }
    return Application(routes, limits, token, metrics.answered)


def _constant(body: bytes) -> Handler:
    async def handler(_: bytes) -> Reply:
        return Reply(body)

    return handler


def _metrics(metrics: Metrics) -> Handler:
    async def handler(_: bytes) -> Reply:
        return Reply(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return handler
