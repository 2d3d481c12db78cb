"""Servers as processes of their own, and a client so lean that what is measured is the server."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


class Client:
    """HTTP/1.1 on a kept connection, as lean as can be: what is measured is the server."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def post(self, path: str, body: bytes) -> Any:
        """The answer, parsed."""
        return json.loads(self._exchange("POST", path, body))

    def milliseconds(self, method: str, path: str, body: bytes) -> float:
        """How long the whole answer takes. Raises RuntimeError where it is not 200."""
        started = time.perf_counter()
        self._exchange(method, path, body)
        return (time.perf_counter() - started) * 1000

    def _exchange(self, method: str, path: str, body: bytes) -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        self._socket.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        received = self._receive()
        while b"\r\n\r\n" not in received:
            received += self._receive()
        header, _, answer = received.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in header.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        while len(answer) < length:
            answer += self._receive()
        if b" 200 " not in header.split(b"\r\n")[0]:
            raise RuntimeError(f"{method} {path}: {header[:40]!r} {answer[:500]!r}")
        return answer

    def _receive(self) -> bytes:
        received = self._socket.recv(1 << 18)
        if not received:
            raise ConnectionResetError("the server closed the connection")
        return received


@contextmanager
def running(
    command: Sequence[Any], environ: dict[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is ended with all its children; what it says goes to `log`."""
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command, env=environ, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def wait_for(port: int, path: str, process: "subprocess.Popen[bytes]", seconds: float = 240.0) -> None:
    """Return as soon as a server answers with 200. Raises RuntimeError where it takes more than `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with Client(port) as client:
                client.milliseconds("GET", path, b"")
                return
        except (OSError, RuntimeError):  # nobody there, or not ready yet
            time.sleep(0.02)
    raise RuntimeError(f"nothing answers {path} on port {port}; its log says why")


def rss_mb(pid: int) -> float:
    """Resident memory of a process, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) / 1000


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
