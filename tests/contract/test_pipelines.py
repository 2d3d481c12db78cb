"""The pipelines' files are thin, and what they call is there. Which jobs run: twofold/test_jobs.py."""

import json
import os
import re
import subprocess
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
TEMPLATES = {"component", "deployment"}
SCRIPTS = ("before_script", "script", "after_script")
COMMAND = re.compile(
    r"make( -C [\w/-]+| -C \$\[\[ inputs\.folder \]\])?( [a-z-]+)+|(?P<script>\.?ci/[\w-]+)( [\w$\[\]. -]+)?"
)


class Reader(yaml.SafeLoader):
    """GitLab's YAML, whose references to other jobs' keys are kept as lists."""


def reference(loader: Reader, node: yaml.SequenceNode) -> list[str]:
    return list(loader.construct_sequence(node))


Reader.add_constructor("!reference", reference)


def read(path: str) -> list[Any]:
    return list(yaml.load_all((ROOT / path).read_text(encoding="utf-8"), Reader))


def commands() -> list[str]:
    files = [".gitlab-ci.yml", *(f"ci/{path.name}" for path in sorted((ROOT / "ci").glob("*.yml")))]
    blocks = [block for file in files for block in read(file)[-1].values() if isinstance(block, dict)]
    (workflow,) = read(".github/workflows/ci.yml")
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    return [
        *(command for block in blocks for part in SCRIPTS for command in block.get(part, [])),
        *(step["run"] for step in steps if "run" in step),
    ]


def test_every_lifecycle_is_included() -> None:
    (pipeline,) = read(".gitlab-ci.yml")
    included = {entry["local"] for entry in pipeline["include"]}
    there = {f"ci/{path.name}" for path in (ROOT / "ci").glob("*.yml") if path.stem not in TEMPLATES}

    assert included == there
    assert {f"ci/{name}.yml" for name in FOLDERS} <= included


@pytest.mark.parametrize("name", FOLDERS)
def test_a_lifecycle_is_of_its_component_and_follows_the_contracts(name: str) -> None:
    (lifecycle,) = read(f"ci/{name}.yml")
    given = lifecycle["include"][0]["inputs"]

    assert (given["name"], given["folder"]) == (name, FOLDERS[name])
    assert {f"{FOLDERS[name]}/**/*", "contracts/**/*"} <= set(given["changes"])


def test_pipelines_call_make_and_scripts_that_are_there() -> None:
    found = [(command, COMMAND.fullmatch(command)) for command in commands()]
    scripts = {match["script"] for _, match in found if match and match["script"]}

    assert len(found) > len(FOLDERS)
    assert [command for command, match in found if match is None] == []
    assert [script for script in sorted(scripts) if not os.access(ROOT / script, os.X_OK)] == []


def test_updates_wait_a_week_and_every_lock_is_made_again() -> None:
    """Renovate's settings: what it reads, and what it runs after."""
    settings = json.loads((ROOT / "renovate.json").read_text(encoding="utf-8"))
    patterns = [p.strip("/") for p in settings["pip_requirements"]["managerFilePatterns"]]
    committed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    locks = [name for name in committed.stdout.split() if name.endswith(".lock")]
    sources = {name: made_from(name) for name in locks}

    assert int(settings["minimumReleaseAge"].removesuffix(" days")) >= 7
    assert settings["postUpgradeTasks"]["commands"] == ["make lock"]
    assert {name: source for name, source in sources.items() if not (ROOT / source).is_file()} == {}
    for source in sources.values():
        assert source.endswith("pyproject.toml") or any(re.search(p, source) for p in patterns), source


def made_from(lock: str) -> str:
    """The file that says what a lock holds: a pyproject, an .in beside it, or the installer's own pin."""
    folder, _, name = lock.rpartition("/")
    if lock == "ci/tools.lock":
        return lock
    beside = f"{folder}/{name.removesuffix('.lock')}.in"
    return beside if (ROOT / beside).is_file() else f"{folder}/pyproject.toml"


def test_actions_of_others_are_pinned_by_their_commit() -> None:
    (workflow,) = read(".github/workflows/ci.yml")
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]

    used = [step["uses"] for step in steps if "uses" in step]
    assert [use for use in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", use)] == []
