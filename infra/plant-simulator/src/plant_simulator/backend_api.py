"""The backend's REST as a steelmaker's screen uses it.

What fails for a while is asked again; what is refused is not.
"""

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from plant_simulator.errors import BackendAwayError, BackendRefusedError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.03, 0.5
PASSING = {HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}

log = logging.getLogger(__name__)


class Backend:
    """One backend.

    Every call keeps on for `give_up_s`: through restarts, and until the consumer has stored the heat (404).
    """

    def __init__(
        self, url: str, give_up_s: float, transport: httpx.AsyncBaseTransport | None = None, token: str = ""
    ) -> None:
        self._give_up_s = give_up_s
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.AsyncClient(base_url=url, timeout=10.0, transport=transport, headers=headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def recommendation(self, treatment: Mapping[str, Any], wait_s: float) -> dict[str, Any] | None:
        """The recommendation in force, or None where none came within `wait_s`."""
        known = await self._until(treatment, wait_s, lambda heat: heat.get("recommendation") is not None)
        return None if known is None else known["recommendation"]

    async def decision(self, treatment: Mapping[str, Any], wait_s: float) -> dict[str, Any] | None:
        """What somebody decided at the screen, or None where nobody did within `wait_s`."""
        known = await self._until(treatment, wait_s, lambda heat: heat.get("decision") is not None)
        return None if known is None else known["decision"]

    async def shown(self, treatment: Mapping[str, Any], recommendation_id: str) -> None:
        """The steelmaker has it before his eyes now."""
        await self._insist("POST", f"{path(treatment)}/recommendations/{recommendation_id}/shown", {})

    async def decide(self, treatment: Mapping[str, Any], decision: Mapping[str, Any]) -> None:
        """Put what he decided. Raises BackendRefusedError where the backend will not have it."""
        await self._insist("PUT", f"{path(treatment)}/decision", decision)

    async def _until(
        self, treatment: Mapping[str, Any], wait_s: float, is_there: Any
    ) -> dict[str, Any] | None:
        loop, pause_s = asyncio.get_running_loop(), FIRST_PAUSE_S
        end = loop.time() + wait_s
        while True:
            try:
                answer = await self._client.get(path(treatment))
                if answer.is_success:
                    heat: dict[str, Any] = answer.json()
                    if is_there(heat):
                        return heat
            except httpx.TransportError as error:
                log.debug("backend: %r; again", error)
            if loop.time() >= end:
                return None
            await asyncio.sleep(min(pause_s, max(end - loop.time(), 0)))
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)

    async def _insist(self, method: str, url: str, body: Mapping[str, Any]) -> None:
        loop, pause_s = asyncio.get_running_loop(), FIRST_PAUSE_S
        end = loop.time() + self._give_up_s
        while True:
            try:
                answer = await self._client.request(method, url, json=body)
            except httpx.TransportError as error:
                why = repr(error)
            else:
                if answer.is_success:
                    return
                why = f"{answer.status_code}: {answer.text[:500]}"
                if answer.is_client_error and answer.status_code not in PASSING:
                    raise BackendRefusedError(answer.status_code, url, answer.text[:500])
            if loop.time() >= end:
                raise BackendAwayError(f"{method} {url} failed for {self._give_up_s:g} s, last: {why}")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def path(treatment: Mapping[str, Any]) -> str:
    """Where a treatment lives."""
    parts = (treatment["plant_id"], treatment["heat_uid"], treatment["station"], treatment["treatment_no"])
    return "/api/v1/treatments/" + "/".join(quote(str(part), safe="") for part in parts)
