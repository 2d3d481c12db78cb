"""The commands, as processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from making import alloyed, asked

from model_service.bundle import load_bundle
from model_service.documents import encode

COMMAND = [sys.executable, "-c", "from model_service.cli import main; main()"]


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MODEL_SERVICE_")}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, env=clean | environment
    )


def test_cold_start_bundle_is_written_verified_and_served(tmp_path: Path) -> None:
    folder = tmp_path / "priors"
    written = _run("priors", "--output", str(folder))
    assert written.returncode == 0, written.stderr
    bundle = load_bundle(folder)
    assert (bundle.version, bundle.bundle_hash) == ("priors-1", written.stdout.strip())
    assert "golden rows agree" in _run("verify", str(folder)).stdout

    process, url = _serve(folder)
    try:
        answer = _post(f"{url}/v1/recommendations", encode(asked()))
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert answer["status"] == "recommended"
    assert answer["model"] == {"version": "priors-1", "bundle_hash": bundle.bundle_hash, "image_digest": None}


def test_what_is_under_way_is_answered_before_it_stops(bundle_folder: Path) -> None:
    process, url = _serve(bundle_folder)
    body = encode({"inputs": [asked()] * 100})
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(_post, f"{url}/invocations", body)
        _wait_until_counted(process)
        process.terminate()
        answer = under_way.result(timeout=30)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM
    assert len(answer["predictions"]) == 100


def test_a_damaged_bundle_is_not_served(tmp_path: Path) -> None:
    folder = tmp_path / "priors"
    assert _run("priors", "--output", str(folder)).returncode == 0
    (folder / "model.json").write_text("{}")

    for result in (_run("serve", MODEL_SERVICE_BUNDLE=str(folder)), _run("verify", str(folder))):
        assert result.returncode == 1
        assert "model.json has 2 bytes" in result.stderr


def test_a_missing_setting_is_named() -> None:
    result = _run("serve")

    assert result.returncode == 1
    assert "MODEL_SERVICE_BUNDLE" in result.stderr


def _serve(bundle: Path) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*COMMAND, "serve"],
        env=os.environ | {"MODEL_SERVICE_BUNDLE": str(bundle), "MODEL_SERVICE_PORT": str(port)},
        stderr=subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    _wait_until_ready(f"{url}/health/ready", process)
    return process, url


def _post(url: str, body: bytes) -> Any:
    request = urllib.request.Request(url, data=body)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return json.load(response)


def _wait_until_counted(process: subprocess.Popen[bytes]) -> None:
    """Wait for the first heat in the log: the batch is under way, and far from its end."""
    assert process.stderr is not None
    while b"recommended" not in process.stderr.readline():
        assert process.poll() is None


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, process.communicate()[1].decode()
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{url} did not answer")


def test_a_bundle_is_timed(bundle_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_bytes(encode(asked()) + b"\n" + encode(alloyed()) + b"\n")

    timed = _run("bench", "--bundle", str(bundle_folder), "--requests", str(file), "--runs", "3")

    parts = json.loads(timed.stdout)
    assert {"recommendation, request decoded", "trees alone", "linear program alone"} < parts.keys()
    assert all(0 < part["p50_ms"] <= part["p99_ms"] for part in parts.values())
