"""The real bus as a plant and a reader of events use it; processes of the backend that can be killed."""

import asyncio
import json
import os
import queue
import socket
import subprocess
import sysconfig
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nats
import nats.js.errors
from nats.js import JetStreamContext

from backend.bus import ensure_stream
from tests.waiting import until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def server(store: Path, port: int) -> Iterator[str]:
    """A server with JetStream on its file storage; killed at the end."""
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    command = [str(program), "-a", "127.0.0.1", "-p", str(port), "--jetstream", "--store_dir", str(store)]
    with (store / "log").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until(lambda: _listens(port))
        yield f"nats://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def on_bus(url: str, act: Callable[[JetStreamContext], Awaitable[Any]]) -> Any:
    """Connect, act, disconnect."""

    async def run() -> Any:
        client = await nats.connect(url)
        try:
            return await act(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(run())


def wipe(url: str) -> None:
    """The bus as on the first day."""

    async def act(jetstream: JetStreamContext) -> None:
        for name in ("PLANT", "PRODUCT", "DEADLETTER"):
            with suppress(nats.js.errors.NotFoundError):
                await jetstream.delete_stream(name)
            await ensure_stream(jetstream, name)

    on_bus(url, act)


def tell(url: str, *messages: dict[str, Any] | bytes, subject: str | None = None) -> None:
    """Publish as Level 2 does; a message that is bytes goes as it is."""

    async def act(jetstream: JetStreamContext) -> None:
        for message in messages:
            if isinstance(message, bytes):
                await jetstream.publish(subject or "plant.heat.registered.v1", message)
            else:
                headers = {"Nats-Msg-Id": message["id"]}
                await jetstream.publish(
                    subject or message["type"], json.dumps(message).encode(), headers=headers
                )

    on_bus(url, act)


def stored(url: str, stream: str) -> list[tuple[str, dict[str, str], bytes]]:
    """All messages of a stream: subject, headers, body."""

    async def act(jetstream: JetStreamContext) -> list[tuple[str, dict[str, str], bytes]]:
        found = []
        last = (await jetstream.stream_info(stream)).state.last_seq
        for sequence in range(1, last + 1):
            message = await jetstream.get_msg(stream, sequence)
            found.append((message.subject or "", message.headers or {}, message.data or b""))
        return found

    result: list[tuple[str, dict[str, str], bytes]] = on_bus(url, act)
    return result


@contextmanager
def running(run_until: Callable[[asyncio.Event], Awaitable[None]]) -> Iterator[None]:
    """A consumer or publisher in a thread of this process, stopped at the end."""
    started: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = queue.SimpleQueue()

    async def run() -> None:
        stop = asyncio.Event()
        started.put((asyncio.get_running_loop(), stop))
        await run_until(stop)

    # asyncio.run ends the client's own tasks before it closes the loop.
    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    loop, stop = started.get()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


@contextmanager
def process(
    command: str,
    database_url: str,
    nats_url: str,
    model_url: str = "http://127.0.0.1:9",
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the backend; killed at the end if it still runs."""
    environment = os.environ | {
        "BACKEND_DATABASE_URL": database_url,
        "BACKEND_NATS_URL": nats_url,
        "BACKEND_MODEL_LIVE_URL": model_url,
        "BACKEND_MODEL_TIMEOUT_S": "1.0",
    }
    program = Path(sysconfig.get_path("scripts")) / "backend"
    started = subprocess.Popen([str(program), command], env=environment, stderr=stderr)
    try:
        yield started
    finally:
        started.kill()
        started.wait()
