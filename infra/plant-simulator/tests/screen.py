"""A stub of the backend's REST, as far as a steelmaker's screen uses it:

HTTP, one thread, no product code.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADVICE = [
    {"additive": "SiMn", "lot": None, "added_kg": 1400.0},
    {"additive": "coke", "lot": None, "added_kg": 180.0},
]
RECOMMENDATION_ID = "11111111-2222-4333-8444-555555555555"


class Screen:
    """What the stub answers, and what it was told."""

    def __init__(self) -> None:
        self.url = ""
        self.advises = True
        self.refuses = False
        self.failures_left = 0
        self.shown: list[str] = []
        self.decisions: dict[str, list[dict[str, Any]]] = {}
        self.persons: dict[str, dict[str, Any]] = {}
        self.person_decides = False

    def read(self, treatment: str) -> dict[str, Any]:
        recommendation = {"recommendation_id": RECOMMENDATION_ID, "source": "model", "additions": ADVICE}
        decision = {"additions": ADVICE[:1]} if self.person_decides else None
        return {
            "state": "recommended",
            "recommendation": recommendation if self.advises else None,
            "decision": decision,
        }


@contextmanager
def screen() -> Iterator[Screen]:
    """A stub that listens on a free port."""
    told = Screen()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, told.read(self.path))

        def do_POST(self) -> None:
            self._body()
            told.shown.append(self.path)
            self._answer(200, {})

        def do_PUT(self) -> None:
            body = self._body()
            if told.failures_left > 0:
                told.failures_left -= 1
                self.close_connection = True
                self.connection.close()
                return
            if told.refuses:
                self._answer(422, {"title": "Refused", "status": 422, "detail": "no"})
                return
            told.decisions.setdefault(self.path, []).append(body)
            self._answer(201, {})

        def _body(self) -> dict[str, Any]:
            found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            return found

        def _answer(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
