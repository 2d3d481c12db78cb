"""Predictions for imported heats: asked for as the contract has it, taken as they come."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import polars as pl
import pytest
from referencing import Registry, Resource

from monitoring.base_predictions import request_of, with_base_predictions
from monitoring.cli import main
from monitoring.diagnosis.reference import read
from monitoring.diagnosis.telling import kept_rows
from monitoring.errors import UnreachableModelServiceError, UnreadableFileError
from tests.conftest import free_port
from tests.generator import CONTRACTS
from tests.lake_rows import as_rows, heat

ANSWER = CONTRACTS / "model-service" / "examples" / "prediction.v1" / "valid" / "predicted.json"


class Stub:
    """A Model Service that predicts the contract's example for the first heat and abstains from others."""

    def __init__(self) -> None:
        asked: list[dict[str, Any]] = []
        self.asked = asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                body = ANSWER.read_bytes() if len(asked) == 1 else b'{"status": "abstained"}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                return

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def stub() -> Iterator[Stub]:
    one = Stub()
    yield one
    one.close()


def test_a_request_agrees_with_the_contract() -> None:
    schemas = {path.relative_to(CONTRACTS).as_posix(): path for path in CONTRACTS.rglob("*.schema.json")}
    registry: Registry[Any] = Registry().with_resources(
        (f"file:///contracts/{name}", Resource.from_contents(json.loads(path.read_text())))
        for name, path in schemas.items()
    )
    wanted = {"$ref": "file:///contracts/model-service/prediction-request.v1.schema.json"}
    row = as_rows([heat(1)]).collect().row(0, named=True)
    request = json.loads(json.dumps(request_of(row), default=lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ")))

    assert list(jsonschema.Draft202012Validator(wanted, registry=registry).iter_errors(request)) == []
    assert request["heat"]["chemistry"]["Si"] == {"below": 0.005}
    assert [one["added_kg"] for one in request["additions"]] == [1427.0, 79.0, 147.0]


def test_heats_are_predicted_and_those_that_are_abstained_from_are_left_out(stub: Stub) -> None:
    rows, bundle_hash = with_base_predictions(as_rows([heat(1), heat(2)]), stub.url)
    found = rows.collect()

    assert len(stub.asked) == 2
    assert found.height == 1
    answer = json.loads(ANSWER.read_text())
    assert found["weighed_bundle_hash"][0] == bundle_hash == answer["model"]["bundle_hash"]
    assert {one["element"]: one["base_pct"] for one in found["weighed_predicted"][0]} == {
        element: of["base_pct"] for element, of in answer["elements"].items()
    }


def test_a_reference_is_made_from_the_rows_that_a_model_was_trained_on(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_rows([heat(1), heat(2)]).collect().write_parquet(tmp_path / "kept.parquet")
    monkeypatch.setenv("MONITORING_LAKE", str(tmp_path / "no-lake-here"))

    code = main(["reference", "--model-url", stub.url, "--heats", str(tmp_path / "kept.parquet")])

    bundle_hash = json.loads(ANSWER.read_text())["model"]["bundle_hash"]
    made = read(tmp_path / "references" / f"{bundle_hash}.json")
    assert code == 0
    assert (made.bundle_hash, made.heats) == (bundle_hash, 1)


@pytest.mark.parametrize("content", [None, b"no Parquet", "another table"])
def test_rows_that_cannot_be_read_are_said(tmp_path: Path, content: object) -> None:
    file = tmp_path / "kept.parquet"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content:
        pl.DataFrame({"heat": [1]}).write_parquet(file)

    with pytest.raises(UnreadableFileError, match=r"kept\.parquet: .+; allowed: .*rows of the lake"):
        kept_rows(file, None)


def test_a_service_that_is_not_there_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(UnreachableModelServiceError, match=url):
        with_base_predictions(as_rows([heat(1)]).filter(pl.lit(True)), url)
