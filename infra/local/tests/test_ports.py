"""A taken port is told with the setting that changes it."""

import socket

import pytest

from local_runner.errors import PortTaken
from local_runner.ports import free_port, is_free, require_free


def test_every_taken_port_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(PortTaken, match=rf"port {port} is in use.*MODEL_PORT="):
            require_free({"BACKEND_PORT": free_port(), "MODEL_PORT": port})


def test_a_port_is_free_again_when_its_server_has_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)

    assert is_free(port)
