"""Server-sent events: who listens hears what changes, whichever process changes it."""

import asyncio
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from backend import news
from backend.news import News
from backend.worker import Worker
from tests import plant
from tests.life import recommended


async def heard(engine: Engine, act: Any, heat_no: str) -> dict[str, Any]:
    """What a listener hears first of the heat; `act` is done in another thread once he listens."""
    listening = News(engine).listen()
    assert await anext(listening) == b"retry: 1000\n: listening\n\n"
    acting = asyncio.create_task(asyncio.to_thread(act))
    event: dict[str, Any] = {}
    while event.get("heat_no") != heat_no:
        told = await asyncio.wait_for(anext(listening), 20)
        event = json.loads(told.removeprefix(b"event: treatment\ndata: "))
    await acting
    await listening.aclose()  # type: ignore[attr-defined]
    return event


def test_each_change_of_a_treatment_is_told(client: TestClient, worker: Worker, engine: Engine) -> None:
    recommended(client, worker)
    heat = plant.heat(heat_no="26-00042")

    def act() -> None:
        client.post("/api/v1/heats", json=heat)
        path = plant.path(heat["treatment"])
        client.post(f"{path}/cancelled", json={"cancelled_at": "2026-03-02T06:20:00Z"})

    event = asyncio.run(heard(engine, act, "26-00042"))

    assert event["state"] in ("registered", "cancelled")  # it may have been seen between the two
    assert event["key"] == "/".join(str(part) for part in heat["treatment"].values())
    assert (event["grade"], event["station"]) == ("B500B", "tapping")


def test_the_stream_is_one_of_events_and_ends_for_the_browser_to_come_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "LONGEST_S", 0.2)

    answer = client.get("/events")

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.text.startswith("retry: 1000\n")


def test_a_stranger_hears_nothing(stranger: TestClient) -> None:
    assert stranger.get("/events").status_code == 401
