"""The commands, as processes."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from making import asked

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

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*COMMAND, "serve"],
        env=os.environ | {"MODEL_SERVICE_BUNDLE": str(folder), "MODEL_SERVICE_PORT": str(port)},
        stderr=subprocess.PIPE,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(f"{url}/health/ready", process)
        request = urllib.request.Request(f"{url}/v1/recommendations", data=encode(asked()))  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            answer = json.load(response)
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert answer["status"] == "recommended"
    assert answer["model"] == {"version": "priors-1", "bundle_hash": bundle.bundle_hash, "image_digest": None}


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


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, process.communicate()[1].decode()
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{url} did not answer")
