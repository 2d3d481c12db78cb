"""Three real NATS nodes on this machine, and the job that lets them keep every message thrice."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from nats.errors import Error as BusError
from rendering import KUBERNETES

NODES = 3
READY_S = 30


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Addresses of the nodes, once they have a leader."""
    folder, ports = tmp_path_factory.mktemp("nats"), free_ports(2 * NODES)
    clients, routes = ports[:NODES], ports[NODES:]
    known = ",".join(f"nats://127.0.0.1:{port}" for port in routes)
    server = Path(sys.executable).with_name("nats-server")
    nodes = [
        subprocess.Popen(
            [
                *(server, "--addr", "127.0.0.1", "--port", str(client), "--name", f"nats-{number}"),
                *("--jetstream", "--store_dir", folder / str(number), "--log", folder / f"{number}.log"),
                *("--cluster_name", "test", "--cluster", f"nats://127.0.0.1:{route}", "--routes", known),
            ]
        )
        for number, (client, route) in enumerate(zip(clients, routes, strict=True))
    ]
    try:
        url = ",".join(f"nats://127.0.0.1:{port}" for port in clients)
        asyncio.run(wait_for_leader(url.split(",")))
        yield url
    finally:
        for node in nodes:
            node.kill()
            node.wait()


async def wait_for_leader(urls: list[str]) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            client = await nats.connect(urls, connect_timeout=1, allow_reconnect=False, error_cb=ignore)
            await client.jetstream(timeout=2).account_info()
            await client.close()
        except (BusError, OSError, TimeoutError):
            assert time.monotonic() < deadline, "the nodes have no leader"
            await asyncio.sleep(0.2)
        else:
            return


async def ignore(_: Exception) -> None:
    pass


async def replicas(urls: list[str]) -> dict[str, int]:
    client = await nats.connect(urls)
    infos = await client.jetstream(timeout=10).streams_info()
    await client.close()
    return {str(info.config.name): info.config.num_replicas or 0 for info in infos}


def test_streams_are_made_and_those_of_a_component_are_kept_three_times_too(cluster: str) -> None:
    asyncio.run(make_once(cluster.split(",")))
    assert asyncio.run(replicas(cluster.split(","))) == {"PLANT": 1}

    for _ in range(2):  # again changes nothing
        done = subprocess.run(
            [sys.executable, KUBERNETES / "base" / "streams.py"],
            env={**os.environ, "NATS_URL": cluster.split(",")[0]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    assert asyncio.run(replicas(cluster.split(","))) == {"PLANT": 3, "PRODUCT": 3, "DEADLETTER": 3}


async def make_once(urls: list[str]) -> None:
    """Make a stream as a component does that was faster than the job."""
    client = await nats.connect(urls)
    await client.jetstream(timeout=10).add_stream(name="PLANT", subjects=["plant.>"])
    await client.close()
