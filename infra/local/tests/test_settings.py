"""Settings come from the environment, once, and a wrong one is named."""

from pathlib import Path

import pytest

from local_runner.errors import SettingInvalid
from local_runner.settings import ENDLESS_HEATS, read_settings


def test_a_demo_for_a_person_has_fixed_ports_a_slow_plant_and_no_end() -> None:
    settings = read_settings({}, Path("/somewhere"))

    assert (settings.backend_port, settings.model_port, settings.monitoring_port) == (8000, 8001, 8002)
    assert settings.demo_dir == Path("/somewhere/build/demo")
    assert settings.heats == ENDLESS_HEATS
    assert settings.heats_per_minute > 0
    assert settings.mlflow


def test_headless_plays_a_number_of_heats_at_full_speed_without_a_page_for_people() -> None:
    settings = read_settings({"HEADLESS": "1", "HEATS": "40"}, Path("/somewhere"))

    assert settings.heats == 40
    assert settings.heats_per_minute == 0
    assert not settings.mlflow


@pytest.mark.parametrize("setting", ["BACKEND_PORT=http", "HEATS=-1", "MODEL_PORT=70000", "HEADLESS=yes"])
def test_a_setting_that_cannot_be_is_named_with_what_is_allowed(setting: str) -> None:
    name, value = setting.split("=")

    with pytest.raises(SettingInvalid, match=rf"{name}={value}.*allowed"):
        read_settings({name: value}, Path("/somewhere"))
