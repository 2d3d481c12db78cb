"""How the steelmaker's screen is reached."""

import asyncio
from http import HTTPStatus

import httpx
import pytest

from plant_simulator.backend_api import Backend

TREATMENT = {"plant_id": "demo", "heat_uid": "h", "station": "tapping", "treatment_no": 1}


@pytest.mark.parametrize(("token", "sent"), [("of-the-plant", "Bearer of-the-plant"), ("", None)])
def test_the_token_goes_with_every_request(token: str, sent: str | None) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(HTTPStatus.OK, json={"recommendation": {}, "decision": {}})

    async def use() -> None:
        async with Backend("http://screen", 1.0, httpx.MockTransport(answer), token) as backend:
            await backend.recommendation(TREATMENT, 1.0)
            await backend.shown(TREATMENT, "y")
            await backend.decide(TREATMENT, {})

    asyncio.run(use())

    assert [request.method for request in asked] == ["GET", "POST", "PUT"]
    assert {request.headers.get("Authorization") for request in asked} == {sent}
