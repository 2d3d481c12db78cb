"""Ask the model service over HTTP: one time limit for all of it, one more try where a try failed early.

A service that fails again and again is left alone for a while (a circuit breaker): whoever waits for an
answer hears at once that there is none.
"""

import http.client
import random
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import orjson

TRIES = 2
# A moment before the second try, drawn anew each time: who failed together does not return together.
PAUSE_S = (0.01, 0.06)
FAILURES_TO_OPEN = 5
OPEN_S = 5.0


class ModelUnavailableError(Exception):
    """The model service gave no answer that can be used; the text says why, for a person."""


class ModelClient:
    """One address of the model service; each thread that asks keeps a connection of its own."""

    def __init__(self, url: str, timeout_s: float, token: str | None = None) -> None:
        self.timeout_s = timeout_s
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self.breaker = Breaker()
        self._url = urlsplit(url)
        self._of_thread = threading.local()

    def recommend(self, request: bytes) -> Any:
        """POST /v1/recommendations: the answer as JSON, or ModelUnavailableError within the time limit."""
        return self._ask("/v1/recommendations", request)

    def predict(self, request: bytes) -> Any:
        """POST /v1/predictions: the answer as JSON, or ModelUnavailableError within the time limit."""
        return self._ask("/v1/predictions", request)

    def card(self) -> Any:
        """GET /v1/model: what the service says of its model, or ModelUnavailableError."""
        return self._ask("/v1/model", None)

    def _ask(self, path: str, request: bytes | None) -> Any:
        if not self.breaker.lets_through():
            raise ModelUnavailableError(
                f"the model service failed {self.breaker.failures} times in a row"
                " and is left alone for a moment"
            )
        deadline = time.monotonic() + self.timeout_s
        reason = ""
        for number in range(TRIES):
            if number:
                time.sleep(random.uniform(*PAUSE_S))  # noqa: S311 - not a secret
            if time.monotonic() >= deadline:
                break
            try:
                status, body = self._try_once(path, request, deadline)
            except TimeoutError:
                break
            except (OSError, http.client.HTTPException) as failed:
                reason = f"the model service is down: {failed or type(failed).__name__}"
                continue
            if status == http.HTTPStatus.OK:
                self.breaker.succeeded()
                try:
                    return orjson.loads(body)
                except orjson.JSONDecodeError:
                    raise ModelUnavailableError(
                        "the model service answered something that is not JSON"
                    ) from None
            reason = f"the model service answered {status}"
            if status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                # It is there and refuses this one request: that is no reason to leave it alone.
                self.breaker.succeeded()
                raise ModelUnavailableError(reason)
        self.breaker.failed()
        raise ModelUnavailableError(reason or f"the model service did not answer within {self.timeout_s:g} s")

    def _try_once(self, path: str, request: bytes | None, deadline: float) -> tuple[int, bytes]:
        connection = self._connection(deadline)
        whole = False
        try:
            method = "GET" if request is None else "POST"
            connection.request(method, self._url.path.rstrip("/") + path, request, self._headers)
            answer = connection.getresponse()
            body = bytearray()
            # A read limit counts from byte to byte: the deadline is also watched over the whole body.
            while part := answer.read1(65536):
                body += part
                _limit(connection.sock, deadline)
            answer.close()  # all of it is read; the connection is kept
            whole = True
            return answer.status, bytes(body)
        finally:
            if not whole:
                connection.close()

    def _connection(self, deadline: float) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._of_thread, "connection", None)
        if kept is None:
            secure = self._url.scheme == "https"
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            kept = self._of_thread.connection = kind(self._url.hostname or "", self._url.port)
        if kept.sock is not None and _is_closed(kept.sock):
            kept.close()
        if kept.sock is None:
            kept.timeout = max(deadline - time.monotonic(), 0.001)
            kept.connect()
        _limit(kept.sock, deadline)
        return kept


class Breaker:
    """Closed as long as the service answers; after failures in a row open for a while, then one may try."""

    def __init__(self) -> None:
        self.failures = 0
        self._open_until = 0.0
        self._lock = threading.Lock()

    def lets_through(self) -> bool:
        with self._lock:
            if self.failures < FAILURES_TO_OPEN:
                return True
            if time.monotonic() < self._open_until:
                return False
            self._open_until = time.monotonic() + OPEN_S  # this one tries; the others go on waiting
            return True

    def succeeded(self) -> None:
        with self._lock:
            self.failures = 0

    def failed(self) -> None:
        with self._lock:
            self.failures += 1
            self._open_until = time.monotonic() + OPEN_S


def _limit(connected: Any, deadline: float) -> None:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    if connected is not None:  # None once the service has closed its side
        connected.settimeout(left_s)


def _is_closed(connected: socket.socket) -> bool:
    """Whether the service has closed a connection that was kept: it was restarted, or tired of waiting."""
    connected.settimeout(0)
    try:
        return connected.recv(1, socket.MSG_PEEK) == b""
    except (BlockingIOError, ValueError):  # TLS cannot peek: a connection that was closed costs a try
        return False
    except OSError:
        return True
