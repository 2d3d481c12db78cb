"""Ports on the loopback address."""

import socket
from collections.abc import Mapping

from local_runner.errors import PortTaken

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Return whether a server could listen on `port` now."""
    with socket.socket() as probe:
        # A stopped server leaves connections in TIME_WAIT; servers ignore them, so do we.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(ports: Mapping[str, int]) -> None:
    """Raise `PortTaken`, naming every setting in `ports` (setting to port) whose port is in use."""
    taken = [
        f"port {port} is in use: choose another with {name}=..."
        for name, port in ports.items()
        if not is_free(port)
    ]
    if taken:
        raise PortTaken("Nothing was started. " + "; ".join(taken))
