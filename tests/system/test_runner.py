"""The runner as a person meets it: keeps data, names what is in the way, ends exactly what it started."""

import os
import signal
import socket
from pathlib import Path

import httpx

import plant
from running_demo import RunningDemo, demo_running, get, run_headless, wait_until
from system.conftest import HEATS, Played


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_second_start_skips_history_and_training_and_keeps_its_heats(demo: RunningDemo) -> None:
    heats = get(f"{demo.urls['backend']}/api/v1/treatments?limit={HEATS}", demo.headers)

    assert "history and training skipped" in demo.output
    assert "first model" not in demo.output
    assert heats is not None
    assert len(heats["treatments"]) == HEATS


def test_every_server_that_was_started_answers_where_urls_json_says(demo: RunningDemo) -> None:
    servers = ("backend", "model_service", "monitoring")

    answers = {name: httpx.get(f"{demo.urls[name]}/health/ready").status_code for name in servers}

    assert answers == dict.fromkeys(servers, 200)


def test_a_second_demo_in_the_same_folder_is_refused_and_harms_nothing(demo: RunningDemo) -> None:
    refused = run_headless(demo.folder)

    assert refused.returncode != 0
    assert f"already running in {demo.folder}" in refused.stdout
    assert httpx.get(f"{demo.urls['backend']}/health/ready").status_code == 200


def test_a_taken_port_is_named_with_the_setting_that_changes_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = run_headless(tmp_path, MONITORING_PORT=str(port))

    assert refused.returncode != 0
    assert f"port {port} is in use" in refused.stdout
    assert "MONITORING_PORT=" in refused.stdout
    assert not (tmp_path / "nats").exists()


def test_a_death_is_named_and_everything_else_is_stopped(played: Played, tmp_path: Path) -> None:
    with demo_running(copy_of(played, tmp_path)) as running:
        pids = running.pids
        os.kill(pids["monitoring-serve"], signal.SIGKILL)
        code = running.process.wait(timeout=60)

        assert code != 0
        assert "monitoring-serve was ended by SIGKILL" in running.output
        assert [name for name, pid in pids.items() if exists(pid)] == []


def test_sigterm_stops_all_of_it_and_a_heat_in_the_middle_goes_on_at_the_next_start(
    played: Played, tmp_path: Path
) -> None:
    folder, heat = copy_of(played, tmp_path), plant.new_heat()
    with demo_running(folder) as running:
        pids = running.pids
        plant.publish(running.urls["nats"], [("plant.heat.registered.v1", heat)])
        code = running.stop(signal.SIGTERM)

        assert code == 0
        assert [name for name, pid in pids.items() if exists(pid)] == []

    with demo_running(folder) as running:
        url = f"{running.urls['backend']}/api/v1/treatments/{plant.path_of(heat['treatment'])}"

        assert wait_until(lambda: (get(url, running.headers) or {}).get("recommendation"))


def copy_of(played: Played, folder: Path) -> Path:
    """Return a folder with the same model, but with a bus, a database and a lake of its own."""
    (folder / "demo").mkdir()
    (folder / "demo" / "models").symlink_to(played.folder / "models")
    return folder / "demo"
