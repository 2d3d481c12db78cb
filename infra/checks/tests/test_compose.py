"""The compose file, as it is read: what holds of every service. How it runs is in tests/compose."""

from typing import Any

import pytest
import yaml
from rendering import ROOT

FILE = yaml.safe_load((ROOT / "infra" / "compose" / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
ONCE = {"bucket", "migrate", "ml-pipeline", "plant-simulator", "backend-command"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_root_that_nobody_writes_and_no_privileges(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_this_machines_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_images_and_secrets_are_settings(name: str) -> None:
    service = SERVICES[name]
    secret = [
        key for key in service.get("environment", {}) if key.endswith(("PASSWORD", "_KEY", "TOKEN", "KEY_ID"))
    ]

    assert service["image"].startswith("${")
    assert all(service["environment"][key].startswith("${") for key in secret)


def test_what_is_waited_for_has_a_health_check_or_comes_to_an_end() -> None:
    waited = {
        (other, how["condition"])
        for service in SERVICES.values()
        for other, how in service.get("depends_on", {}).items()
    }

    assert waited
    for other, condition in waited:
        ends = condition == "service_completed_successfully"
        assert ends == (other in ONCE), other
        assert ends or "test" in SERVICES[other]["healthcheck"], other


def test_models_reach_nobody_but_those_who_ask_them() -> None:
    slots = [name for name in SERVICES if name.startswith("model-")]

    assert len(slots) == 3
    assert all(SERVICES[name]["networks"] == ["models"] for name in slots)
    assert "models" not in SERVICES["postgres"]["networks"] + SERVICES["nats"]["networks"]
