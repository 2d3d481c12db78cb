"""The two fixed addresses of the Model Service: what stands behind them is swapped here, without a gap.

`live` and `shadow` each follow a link of the release folder (`champion`, `shadow`). Where a link points to
another version, a service is started on that bundle; when it is ready new requests go to it, and the old one
ends after the answers under way. A request begins where the client speaks after the service has: that is
where a kept connection changes over, so nobody who asks has to connect again.
"""

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from local_runner.ports import LOOPBACK, free_port
from local_runner.readiness import answers

LOOK_EVERY_S = 0.3
READY_S = 60.0
LEAVE_S = 3.0  # what is asked for is answered by then
BLOCK = 1 << 16


@dataclass
class Address:
    """A fixed port, the link that says what stands behind it, and the service that does now."""

    name: str
    link: Path
    port: int
    target: Path | None = None
    upstream: int | None = None
    process: asyncio.subprocess.Process | None = None
    leaving: set[asyncio.Task[None]] = field(default_factory=set)


class ServiceEnded(Exception):
    """A service behind an address has ended by itself."""


async def front(program: str, addresses: list[Address]) -> None:
    """Serve the addresses until SIGTERM. Raises `ServiceEnded`, for whoever watches this process."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    servers = [await asyncio.start_server(partial(_client, one), LOOPBACK, one.port) for one in addresses]
    try:
        while not stop.is_set():
            for one in addresses:
                await follow(program, one)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)
    finally:
        for server in servers:
            server.close()
        for one in addresses:
            if one.process is not None:
                await _end(one.process, 0.0)
            for task in one.leaving:
                task.cancel()


async def follow(program: str, address: Address) -> None:
    """Bring the service up that the link asks for, and let the one before it go."""
    if address.process is not None and address.process.returncode is not None:
        raise ServiceEnded(f"the service behind {address.name} ended with {address.process.returncode}")
    target = address.link.resolve() if (address.link / "manifest.json").is_file() else None
    if target == address.target:
        return
    before = address.process
    if target is None:
        address.target = address.upstream = address.process = None
    else:
        port = free_port()
        process = await _started(program, target, port)
        if process is None:
            print(f"{address.name}: {target.name} does not get ready; kept as it was", flush=True)
            address.target = target  # not again and again
            return
        address.target, address.upstream, address.process = target, port, process
    print(f"{address.name}: {target.name if target else 'nobody'} stands behind {address.port}", flush=True)
    if before is not None:
        leaving = asyncio.create_task(_end(before, LEAVE_S))
        address.leaving.add(leaving)
        leaving.add_done_callback(address.leaving.discard)


async def _started(program: str, bundle: Path, port: int) -> asyncio.subprocess.Process | None:
    """A ready service on a bundle, or None where it does not get ready."""
    settings = {
        "MODEL_SERVICE_BUNDLE": str(bundle),
        "MODEL_SERVICE_HOST": LOOPBACK,
        "MODEL_SERVICE_PORT": str(port),
    }
    process = await asyncio.create_subprocess_exec(program, "serve", env={**os.environ, **settings})
    clock = asyncio.get_running_loop()
    deadline = clock.time() + READY_S
    while clock.time() < deadline and process.returncode is None:
        if await asyncio.to_thread(answers, f"http://{LOOPBACK}:{port}/health/ready"):
            return process
        await asyncio.sleep(0.05)
    await _end(process, 0.0)
    return None


async def _end(process: asyncio.subprocess.Process, after_s: float) -> None:
    await asyncio.sleep(after_s)
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), LEAVE_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _client(address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry a client's requests to whoever stands behind the address when each begins."""
    at: int | None = None
    onward: asyncio.StreamWriter | None = None
    answering: asyncio.Task[None] | None = None
    has_answered = asyncio.Event()
    try:
        while data := await reader.read(BLOCK):
            if onward is None or (has_answered.is_set() and at != address.upstream):
                if answering is not None and onward is not None:
                    answering.cancel()
                    onward.close()
                if address.upstream is None:
                    break
                at = address.upstream
                back, onward = await asyncio.open_connection(LOOPBACK, at)
                answering = asyncio.create_task(_answer(back, writer, has_answered))
            has_answered.clear()
            onward.write(data)
            await onward.drain()
    except OSError:
        pass  # either side has gone; the client sees a closed connection and asks again
    finally:
        if answering is not None:
            answering.cancel()
        for one in (onward, writer):
            if one is not None:
                one.close()


async def _answer(back: asyncio.StreamReader, writer: asyncio.StreamWriter, spoken: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        while data := await back.read(BLOCK):
            spoken.set()
            writer.write(data)
            await writer.drain()
    writer.close()


def serve(program: str, models: Path, live_port: int, shadow_port: int) -> int:
    """Run the front as a process; its exit code."""
    addresses = [
        Address("live", models / "champion", live_port),
        Address("shadow", models / "shadow", shadow_port),
    ]
    try:
        asyncio.run(front(program, addresses))
    except ServiceEnded as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0
