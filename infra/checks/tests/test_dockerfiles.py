"""Every Dockerfile: what hadolint does not ask for. What an image really is, is in tests/release."""

import re
import subprocess

import pytest
from rendering import ROOT

COMPONENTS = ("backend", "monitoring", "ml-pipeline", "model-service", "infra/plant-simulator")


def dockerfiles() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "*Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listed.stdout.split()


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_has_an_image(component: str) -> None:
    assert f"{component}/Dockerfile" in dockerfiles()


@pytest.mark.parametrize("path", dockerfiles())
def test_an_image_is_built_on_the_base_that_is_asked_for_and_not_run_as_root(path: str) -> None:
    text = (ROOT / path).read_text()
    users = re.findall(r"^USER (\d+):", text, re.MULTILINE)

    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE_IMAGE}"}
    assert users
    assert int(users[-1]) > 0
    assert re.search(r"^HEALTHCHECK ", text, re.MULTILINE)


@pytest.mark.parametrize("path", dockerfiles())
def test_where_packages_come_from_is_no_part_of_the_image(path: str) -> None:
    last_stage = (ROOT / path).read_text().rpartition("\nFROM ")[2]

    assert "PIP_" not in last_stage


@pytest.mark.parametrize("component", COMPONENTS)
def test_what_is_installed_is_installed_by_hash(component: str) -> None:
    text = (ROOT / component / "Dockerfile").read_text()
    script = (ROOT / "infra" / "images" / "make-environment").read_text()

    assert "--require-hashes" in (script if "make-environment" in text else text)
