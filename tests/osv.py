"""A vulnerability database that answers as OSV does and knows what a test tells it: a stand-in."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Database:
    """Package to the one vulnerability that is known of it; `fixed` says where it is mended."""

    url: str = ""
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def running(cls) -> "Iterator[Database]":
        database = cls()

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                many = question.get("queries")
                found = [database.answer(asked) for asked in (many or [question])]
                self.send({"results": found} if many else found[0])

            def do_GET(self) -> None:
                number = self.path.rpartition("/")[2]
                self.send(next(known for known in database.known.values() if known["id"] == number))

            def send(self, document: object) -> None:
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        database.url = f"http://127.0.0.1:{server.server_port}/v1/query"
        try:
            yield database
        finally:
            server.shutdown()
            server.server_close()

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(asked)
        known = self.known.get(asked["package"]["name"])
        if known is None:
            return {}
        known["affected"] = [
            {
                "package": asked["package"],
                "versions": [asked["version"]],
                "ranges": [{"type": "ECOSYSTEM", "events": known.get("events", [{"introduced": "0"}])}],
            }
        ]
        return {"vulns": [known]}
