"""The pipelines themselves: a job of GitLab's runs here as there, and GitHub's workflow is sound."""

import shutil
import subprocess
from pathlib import Path

from contracts import ROOT
from twofold.forge import Forge
from twofold.test_contract_changes import SHAPES, edit, treatment

BIN = ROOT / "tests" / ".venv" / "bin"


def test_a_job_runs_here_as_on_gitlab_and_stops_a_break(forge: Forge) -> None:
    forge.change()
    edit(forge, SHAPES, lambda s: treatment(s)["properties"].update(crew={"type": "string"}))
    forge.commit()
    grown = forge.play("contracts:diff")
    edit(forge, SHAPES, lambda s: treatment(s)["properties"].pop("station"))
    forge.commit()
    broken = forge.play("contracts:diff")

    assert grown.returncode == 0, grown.stdout + grown.stderr
    assert f"grown     {SHAPES}" in grown.stdout
    assert broken.returncode == 1
    assert "/$defs/treatment/properties/station: removed" in broken.stdout


def test_the_workflow_of_github_is_valid_and_safe(tmp_path: Path) -> None:
    workflow = ROOT / ".github" / "workflows" / "ci.yml"

    valid = subprocess.run(
        [BIN / "actionlint", "-no-color", workflow], cwd=ROOT, capture_output=True, text=True
    )
    safe = subprocess.run(
        [BIN / "zizmor", "--offline", "--no-progress", "--persona=pedantic", workflow],
        capture_output=True,
        text=True,
    )

    assert (valid.returncode, valid.stdout) == (0, "")
    assert safe.returncode == 0, safe.stdout


def test_an_unpinned_action_and_an_unknown_key_would_be_found(tmp_path: Path) -> None:
    workflow = tmp_path / ".github" / "workflows" / "ci.yml"
    workflow.parent.mkdir(parents=True)
    shutil.copy(ROOT / ".github" / "workflows" / "ci.yml", workflow)
    text = workflow.read_text()
    workflow.write_text(text.replace("timeout-minutes", "timeout-hours"))
    valid = subprocess.run([BIN / "actionlint", "-no-color", workflow], capture_output=True, text=True)
    pinned = text.split("actions/checkout@")[1].split()[0]
    workflow.write_text(text.replace(pinned, "main"))
    safe = subprocess.run(
        [BIN / "zizmor", "--offline", "--no-progress", workflow], capture_output=True, text=True
    )

    assert "timeout-hours" in valid.stdout
    assert "unpinned-uses" in safe.stdout
