"""A stand-in for the model service at the backend's edge: real HTTP, golden answers, and failures."""

import json
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.contracts import example

RECOMMENDED = "model-service/examples/recommendation.v1/valid/recommended.json"
ABSTAINED = "model-service/examples/recommendation.v1/valid/abstained.json"
CARD = "model-service/examples/model-card.v1/valid/trained.json"
PREDICTED = "model-service/examples/prediction.v1/valid/predicted.json"


class StubModel:
    """Answers for the heat it is asked about.

    Change `recommendation`, `prediction`, `status`, `token` or `delay_s` in a test.
    """

    def __init__(self, port: int = 0) -> None:
        self.recommendation: Any = example(RECOMMENDED)
        self.prediction: Any = example(PREDICTED)
        self.status = 200
        self.failures = 0
        self.delay_s = 0.0
        self.token: str | None = None
        self.requests: list[tuple[str, Any]] = []
        self._connections: list[socket.socket] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                stub._connections.append(self.connection)

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stub.requests.append((self.path, request))
                time.sleep(stub.delay_s)
                known = stub.token is None or self.headers["Authorization"] == f"Bearer {stub.token}"
                status, body = stub.answer(self.path, request) if known else (401, b"{}")
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                body = json.dumps(example(CARD)).encode()
                self.send_response(stub.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True

            def handle_error(self, *_: object) -> None:
                """Whoever asked has gone: a client that was killed or lost patience."""

        self._server = Server(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str, request: Any) -> tuple[int, bytes]:
        if self.failures:
            self.failures -= 1
            return 503, b"{}"
        document = self.recommendation if path == "/v1/recommendations" else self.prediction
        if isinstance(document, bytes):
            return self.status, document
        heat = request["heat"]
        document = document | {"treatment": heat["treatment"], "heat_revision": heat["revision"]}
        if path == "/v1/predictions":
            document["additions"] = request["additions"]
        return self.status, json.dumps(document).encode()

    def asked(self, path: str) -> list[Any]:
        return [request for asked, request in self.requests if asked == path]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
