"""CI: one lifecycle per component, which runs for its own changes and calls make only."""

import re
from typing import Any

import pytest
import yaml

from contracts import ROOT

FOLDERS = {
    "backend": "backend",
    "model-service": "model-service",
    "ml-pipeline": "ml-pipeline",
    "monitoring": "monitoring",
    "plant-simulator": "infra/plant-simulator",
    "local-runner": "infra/local",
}
# Training, evaluation and serving run the same code, so the pipeline follows the Model Service's package.
FOLLOWS = {("ml-pipeline", "model-service")}
COMMAND = re.compile(r"make( -C [\w/-]+)?( [a-z-]+)+|\.ci/run")


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def changes(name: str) -> list[str]:
    return [pattern for rule in read(f"ci/{name}.yml")[name]["rules"] for pattern in rule["changes"]]


def test_every_lifecycle_is_included() -> None:
    included = {entry["local"] for entry in read(".gitlab-ci.yml")["include"]}

    assert included == {f"ci/{name}.yml" for name in (*FOLDERS, "model-image", "whole")}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_lifecycle_checks_and_tests_its_component_with_its_own_makefile(name: str) -> None:
    assert read(f"ci/{name}.yml")[name]["script"] == [f"make -C {FOLDERS[name]} check test"]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_lifecycle_runs_for_its_own_changes_and_those_of_the_contracts(name: str) -> None:
    patterns = changes(name)
    others = {
        other
        for other, folder in FOLDERS.items()
        if other != name and any(pattern.startswith(f"{folder}/") for pattern in patterns)
    }

    assert {f"{FOLDERS[name]}/**/*", "contracts/**/*"} <= set(patterns)
    assert others == {other for follower, other in FOLLOWS if follower == name}


def test_pipelines_call_make_and_nothing_else() -> None:
    jobs = [job for path in (ROOT / "ci").glob("*.yml") for job in yaml.safe_load(path.read_text()).values()]
    workflow = read(".github/workflows/ci.yml")["jobs"]
    commands = [command for job in jobs for command in job["script"]]
    commands += [step["run"] for job in workflow.values() for step in job["steps"] if "run" in step]

    assert len(commands) > len(FOLDERS)
    assert [command for command in commands if not COMMAND.fullmatch(command)] == []


def test_actions_of_others_are_pinned_by_their_commit() -> None:
    steps = [step for job in read(".github/workflows/ci.yml")["jobs"].values() for step in job["steps"]]

    used = [step["uses"] for step in steps if "uses" in step]
    assert [use for use in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", use)] == []
