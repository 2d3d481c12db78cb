"""JSON lines in, JSON lines out."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from making import alloyed, asked

from model_service.bundle import load_bundle
from model_service.documents import encode
from model_service.model import Bundle
from model_service.recommendation import recommend
from model_service.stream import stream

COMMAND = [sys.executable, "-c", "from model_service.cli import main; main()", "stream", "--bundle"]


def test_a_process_answers_each_line_before_it_reads_the_next(bundle_folder: Path) -> None:
    bundle = load_bundle(bundle_folder)
    with subprocess.Popen(
        [*COMMAND, str(bundle_folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for request in (asked(), alloyed(), asked()):
            process.stdin.write(encode(request) + b"\n")
            process.stdin.flush()
            assert process.stdout.readline() == encode(recommend(bundle, request)) + b"\n"
        process.stdin.close()
        assert process.wait(timeout=10) == 0


def test_a_line_that_is_no_request_is_answered_by_a_problem_and_the_stream_goes_on(bundle: Bundle) -> None:
    lines = [b"{\n", b"\n", b'{"heat": 1}\n', encode(asked()) + b"\n"]
    out = io.BytesIO()

    stream(bundle, lines, out)

    malformed, blank, invalid, answer = map(json.loads, out.getvalue().splitlines())
    assert (malformed["status"], blank["status"], invalid["status"]) == (400, 400, 422)
    assert invalid["errors"][0]["where"] == "$.heat"
    assert answer["status"] == "recommended"


def test_an_unexpected_failure_does_not_end_the_stream(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("model_service.stream.recommend", broken)
    out = io.BytesIO()

    stream(bundle, [encode(asked()), encode(asked())], out)

    assert [json.loads(line)["status"] for line in out.getvalue().splitlines()] == [500, 500]
    told = [record.told["treatment"]["heat_uid"] for record in caplog.records]  # type: ignore[attr-defined]
    assert told == [asked().heat.treatment.heat_uid] * 2
