"""Ask the model service over HTTP: one time limit for all of it, one more try where a try failed early."""

import time
from typing import Any

import httpx
import orjson

TRIES = 2


class ModelUnavailableError(Exception):
    """The model service gave no answer that can be used; the text says why, for a person."""


class ModelClient:
    """One address of the model service, with the connections kept open to it. Threads may share it."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30.0)
        self._http = httpx.Client(base_url=url, limits=limits, trust_env=False)

    def recommend(self, request: bytes) -> Any:
        """POST /v1/recommendations: the answer as JSON, or ModelUnavailableError within the time limit."""
        return self._ask("/v1/recommendations", request)

    def predict(self, request: bytes) -> Any:
        """POST /v1/predictions: the answer as JSON, or ModelUnavailableError within the time limit."""
        return self._ask("/v1/predictions", request)

    def close(self) -> None:
        self._http.close()

    def _ask(self, path: str, request: bytes) -> Any:
        deadline = time.monotonic() + self.timeout_s
        reason = ""
        for _ in range(TRIES):
            if time.monotonic() >= deadline:
                break
            try:
                return orjson.loads(self._try_once(path, request, deadline))
            except orjson.JSONDecodeError:
                raise ModelUnavailableError("the model service answered something that is not JSON") from None
            except httpx.TimeoutException:
                break
            except httpx.HTTPStatusError as refused:
                reason = f"the model service answered {refused.response.status_code}"
                if refused.response.status_code < 500:
                    break
            except httpx.HTTPError as failed:
                reason = f"the model service is down: {failed or type(failed).__name__}"
        raise ModelUnavailableError(reason or f"the model service did not answer within {self.timeout_s:g} s")

    def _try_once(self, path: str, request: bytes, deadline: float) -> bytes:
        headers = {"Content-Type": "application/json"}
        left_s = deadline - time.monotonic()
        body = bytearray()
        # A read limit counts from byte to byte: the deadline is also watched over the whole body.
        with self._http.stream(
            "POST", path, content=request, headers=headers, timeout=max(left_s, 0.001)
        ) as response:
            response.raise_for_status()
            for part in response.iter_bytes():
                body += part
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer took too long")
        return bytes(body)
