"""The backend's processes with bus, model service and database, for a bench: started and ended."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
USED = ("backend", "model-service", "infra/local", "infra/plant-simulator")
BACKEND_PROCESSES = ("serve", "consume", "publish")
READY_S, GRACE_S = 60.0, 15.0


@dataclass
class Product:
    """Where it is, how one is let in, and the processes by their names."""

    address: tuple[str, int]
    token: str
    nats_url: str
    database: Path
    master_data: dict[str, Any]
    pids: dict[str, int]

    def cpu_s(self) -> dict[str, float]:
        """Processor time that each process has used so far; the one who asks is `bench`."""
        return {name: cpu_s(pid) for name, pid in (self.pids | {"bench": os.getpid()}).items()}


def cpu_s(pid: int) -> float:
    """User and system time of a process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running_product(folder: Path) -> Iterator[Product]:
    """A backend on SQLite with the demo plant's master data and the model of the first day."""
    for component in USED:
        make = ["make", "--no-print-directory", "-C", str(ROOT / component), "venv"]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    nats_port, model_port, backend_port = free_port(), free_port(), free_port()
    settings = {
        "BACKEND_DATABASE_URL": f"sqlite:///{folder / 'backend.sqlite'}",
        "BACKEND_NATS_URL": f"nats://127.0.0.1:{nats_port}",
        "BACKEND_MODEL_LIVE_URL": f"http://127.0.0.1:{model_port}",
        "BACKEND_PORT": str(backend_port),
        "MODEL_SERVICE_BUNDLE": str(folder / "bundle"),
        "MODEL_SERVICE_PORT": str(model_port),
    }
    environment = os.environ | settings
    master_data = folder / "master-data.json"

    def run(component: str, program: str, *arguments: str | Path) -> str:
        done = subprocess.run(
            [ROOT / component / ".venv/bin" / program, *arguments],
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.strip()

    run("model-service", "model-service", "priors", "--output", folder / "bundle")
    run("infra/plant-simulator", "plant-simulator", "master-data", "--output", master_data)
    run("backend", "backend", "migrate")
    run("backend", "backend", "import", master_data)
    token = run("backend", "backend", "token", "set", "bench", "--scope", "read", "--scope", "decide")
    with ExitStack() as stack:
        pids = {
            name: stack.enter_context(_process(command, environment, folder / f"{name}.log"))
            for name, command in {
                "nats": [
                    *(
                        str(ROOT / "infra/local/.venv/bin/nats-server"),
                        "-a",
                        "127.0.0.1",
                        "-p",
                        str(nats_port),
                    ),
                    *("--jetstream", "--store_dir", str(folder / "nats")),
                ],
                "model": [str(ROOT / "model-service/.venv/bin/model-service"), "serve"],
                **{name: [str(ROOT / "backend/.venv/bin/backend"), name] for name in BACKEND_PROCESSES},
            }.items()
        }
        for port in (model_port, backend_port):
            _wait_for(f"http://127.0.0.1:{port}/health/ready")
        yield Product(
            ("127.0.0.1", backend_port),
            token,
            settings["BACKEND_NATS_URL"],
            folder / "backend.sqlite",
            json.loads(master_data.read_text()),
            pids,
        )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _process(command: list[str], environment: dict[str, str], log: Path) -> Iterator[int]:
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            if httpx.get(url, timeout=2).is_success:
                return
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
