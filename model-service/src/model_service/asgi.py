"""The HTTP that this service needs, as a plain ASGI application: routes, bearer token, limits, problems.

No framework stands between a request and the core: FastAPI takes a tenth of the answer's time, which
`docs/decisions/0005` measured.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, NamedTuple

from model_service.errors import BodyTooLarge, BodyTooSlow, Fault, ModelServiceError, TimeLimitReached
from model_service.logs import heat_named_in
from model_service.problems import MEDIA_TYPE, problem, problem_of, unexpected_problem

JSON = "application/json"
_log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Reply(NamedTuple):
    """What is sent back."""

    body: bytes
    status: int = 200
    media_type: str = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


Handler = Callable[[bytes], Awaitable[Reply]]


class Route(NamedTuple):
    """Who answers a path; `handler` gets the body. Where `is_open`, no token is asked for."""

    method: str
    handler: Handler
    is_open: bool = False


class Limits(NamedTuple):
    """What one request may ask for."""

    most_bytes: int
    seconds: float


class _ClientGone(Exception):
    """Nobody waits for the answer any more."""


class Application:
    """Answers `routes`; all else, and every error, is a problem: what, where and what is allowed."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        limits: Limits,
        token: str | None,
        answered: Callable[[str, int, float], None],
    ) -> None:
        """`answered` is told path (empty where unknown), status and seconds of every request."""
        self.routes = routes
        self._limits = limits
        self._bearer = None if token is None else f"Bearer {token}".encode()
        self._answered = answered

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request; other scopes (web sockets, lifespan) are switched off in the server."""
        started, path = time.perf_counter(), scope["path"]
        try:
            reply = await self._reply(scope, receive)
        except _ClientGone:
            return
        headers = [
            (b"content-type", reply.media_type.encode()),
            (b"content-length", str(len(reply.body)).encode()),
            *reply.headers,
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
        self._answered(path if path in self.routes else "", reply.status, time.perf_counter() - started)

    async def _reply(self, scope: Mapping[str, Any], receive: Receive) -> Reply:
        route, method = self.routes.get(scope["path"]), scope["method"]
        if route is None:
            paths = ", ".join(sorted(self.routes))
            return _refused(404, Fault("path", f"{scope['path']} is not there", paths))
        if method != route.method and (method, route.method) != ("HEAD", "GET"):
            fault = Fault("method", f"{method} is not answered here", route.method)
            return _refused(405, fault, (b"allow", route.method.encode()))
        if not (route.is_open or self._may(scope["headers"])):
            fault = Fault("header authorization", "no valid token", "Bearer and the token of this service")
            return _refused(401, fault, (b"www-authenticate", b"Bearer"))
        body = b""
        try:
            async with asyncio.timeout(self._limits.seconds):
                body = await self._body(scope["headers"], receive) if route.method == "POST" else b""
                return await route.handler(body)
        except TimeoutError:
            return _told(self._too_late(body), body)
        except ModelServiceError as error:
            return _told(error, body)
        except _ClientGone:
            raise
        except Exception:
            told = {
                "path": scope["path"],
                "treatment": heat_named_in(body),
                "body": body[:2000].decode("latin1"),
            }
            _log.exception("failed unexpectedly", extra={"told": told})
            return Reply(unexpected_problem(), 500, MEDIA_TYPE)

    def _may(self, headers: list[tuple[bytes, bytes]]) -> bool:
        if self._bearer is None:
            return True
        given = next((value for name, value in headers if name == b"authorization"), b"")
        return hmac.compare_digest(given, self._bearer)

    async def _body(self, headers: list[tuple[bytes, bytes]], receive: Receive) -> bytes:
        declared = next((value for name, value in headers if name == b"content-length"), b"")
        if declared.isdigit() and int(declared) > self._limits.most_bytes:
            raise self._too_large()
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _ClientGone
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._limits.most_bytes:
                raise self._too_large()
            more = message.get("more_body", False)
        return b"".join(chunks)

    def _too_large(self) -> BodyTooLarge:
        allowed = f"at most {self._limits.most_bytes} bytes"
        return BodyTooLarge(f"The body has more than {allowed[8:]}", [Fault("$", "too many bytes", allowed)])

    def _too_late(self, body: bytes) -> ModelServiceError:
        allowed = f"{self._limits.seconds:g} s for one request"
        if not body:
            return BodyTooSlow("The body did not come in time", [Fault("$", "is not complete", allowed)])
        return TimeLimitReached(
            "The answer takes too long", [Fault("$", "asks for too much at once", f"{allowed}; ask for less")]
        )


def _refused(status: int, fault: Fault, *headers: tuple[bytes, bytes]) -> Reply:
    body = problem(status, HTTPStatus(status).phrase, f"{fault.where}: {fault.what}", fault)
    return Reply(body, status, MEDIA_TYPE, headers)


def _told(error: ModelServiceError, body: bytes) -> Reply:
    told = {"status": error.status, "detail": error.detail[:500], "treatment": heat_named_in(body)}
    _log.info("refused", extra={"told": told})
    return Reply(problem_of(error), error.status, MEDIA_TYPE)
