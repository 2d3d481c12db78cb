"""What `reproduce` says where something is missing or differs; a whole reproduction in a clone of the
repository is in the tests of the whole."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import make_folders

from ml_pipeline import provenance
from ml_pipeline import reproduce as module
from ml_pipeline.errors import ExtractError, RepositoryError, ReproduceError
from ml_pipeline.pipeline import Folders
from ml_pipeline.provenance import Code, code_here, environment, git
from ml_pipeline.rebuild import rebuild
from ml_pipeline.reproduce import first_difference, likely_cause, reproduce


def quiet(_: str) -> None:
    pass


def _commits(root: Path, count: int) -> list[str]:
    """A new repository with so many commits, oldest first."""
    author = ["-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run(["git", "init", "--quiet", root], check=True)
    for number in range(count):
        commit = [*author, "commit", "--quiet", "--allow-empty", "-m", f"commit {number}"]
        subprocess.run(["git", "-C", root, *commit], check=True)
    return str(git(root, "rev-list", "--reverse", "HEAD")).splitlines()


def test_recipe_alone_gives_the_same_bundle_without_lake_and_registry(
    released: Folders, tmp_path: Path
) -> None:
    bare = make_folders(tmp_path, tmp_path / "no-lake")._replace(
        artifacts=released.artifacts, tracking_uri="http://127.0.0.1:1"
    )

    rebuild(bare, released.work / "recipe.json", quiet)

    assert first_difference(released.work / "bundle", bare.work / "bundle") is None


def test_rows_that_are_gone_are_named(released: Folders, tmp_path: Path) -> None:
    bare = make_folders(tmp_path, tmp_path / "no-lake")

    with pytest.raises(ExtractError, match=r"the rows of heats@v1 are not in the artifact store"):
        rebuild(bare, released.work / "recipe.json", quiet)
    with pytest.raises(ReproduceError, match=r"the rows of heats@v1 are not in the artifact store"):
        reproduce(bare._replace(tracking_uri=released.tracking_uri), "1", quiet)


def test_commit_and_version_that_are_not_here_are_named(released: Folders) -> None:
    with pytest.raises(ReproduceError, match=r"commit c+ is not in .*; fetch it"):
        reproduce(released, "1", quiet)
    with pytest.raises(ReproduceError, match="version 9 of steel-additives is not registered"):
        reproduce(released, "9", quiet)


def test_shallow_clone_is_told_to_fetch_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, shallow = tmp_path / "repository", tmp_path / "shallow"
    first = _commits(root, 2)[0]
    subprocess.run(["git", "clone", "--quiet", "--depth=1", "--no-tags", root.as_uri(), shallow], check=True)
    monkeypatch.setattr(module, "repository", lambda: shallow)

    with (
        pytest.raises(ReproduceError, match=rf"commit {first} is not in .*fetch it \(git fetch --unshallow"),
        module._worktree(first, tmp_path / "code"),
    ):
        pass
    subprocess.run(["git", "-C", shallow, "fetch", "--quiet", "--unshallow"], check=True)
    with module._worktree(first, tmp_path / "code") as folder:
        assert git(folder, "rev-parse", "HEAD") == first


def test_repository_of_another_user_is_an_error_and_not_no_repository(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")  # CI trusts its own checkout

    with pytest.raises(RepositoryError, match=r"belongs to another user.*git config --global --add safe\."):
        code_here()


def test_other_lock_than_the_recorded_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ml-pipeline").mkdir()
    (tmp_path / "ml-pipeline" / "requirements.lock").write_text("numpy==1\n")

    with pytest.raises(ReproduceError, match="the record says 0000"):
        module._install(tmp_path, "0" * 64)


def test_first_difference_is_the_model_before_what_follows_from_it(released: Folders, tmp_path: Path) -> None:
    other = tmp_path / "bundle"
    shutil.copytree(released.work / "bundle", other)
    for name in ("manifest.json", "golden.json", "model.json"):
        document = json.loads((other / name).read_text())
        if name == "model.json":
            document["stations"]["tapping"]["elements"]["Mn"]["offset_pct"] = 0.5
        document["more"] = 1
        (other / name).write_text(json.dumps(document))

    found = first_difference(released.work / "bundle", other)

    assert found is not None
    assert found.startswith("model.json: $.more was None, is 1") or "offset_pct was" in found
    tree = next((other / "trees").iterdir())
    (other / "model.json").write_bytes((released.work / "bundle" / "model.json").read_bytes())
    tree.write_text(tree.read_text().replace("leaf_value=", "leaf_value=9", 1))
    assert f"trees/{tree.name}: line " in str(first_difference(released.work / "bundle", other))
    tree.unlink()
    assert f"trees/{tree.name} is only in the recorded" in str(
        first_difference(released.work / "bundle", other)
    )


def test_likely_cause_is_the_sources_then_packages_then_the_machine(
    released: Folders, tmp_path: Path
) -> None:
    bundle, here = released.work / "bundle", environment()
    other = tmp_path / "bundle"
    shutil.copytree(bundle, other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["model_service"]["source_sha256"] = "0" * 64
    (other / "manifest.json").write_text(json.dumps(manifest))

    assert "model_service's sources" in likely_cause(bundle, other, here, here)
    assert "lightgbm==0 then, lightgbm==" in likely_cause(
        bundle, bundle, {**here, "packages": ["lightgbm==0"]}, here
    )
    assert "another processor: Z80 then" in likely_cause(bundle, bundle, {**here, "processor": "Z80"}, here)
    assert "not deterministic" in likely_cause(bundle, bundle, here, here)


def test_worktree_is_clean_and_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "repository"
    (commit,) = _commits(root, 1)
    (root / "edited").write_text("not committed")
    monkeypatch.setattr(module, "repository", lambda: root)

    with module._worktree(commit, tmp_path / "code") as folder:
        assert (folder / ".git").exists()
        assert not (folder / "edited").exists()

    assert not (tmp_path / "code").exists()
    assert git(root, "worktree", "list") == f"{root}  {commit[:7]} [{git(root, 'branch', '--show-current')}]"


def test_code_without_a_repository_or_with_changes_cannot_be_traced() -> None:
    assert Code("c" * 40, [], "d" * 64).untraceable is None
    assert "no git repository" in str(Code(None, None, None).untraceable)
    changed = Code("c" * 40, ["a.py", "b.py", "c.py", "d.py"], "d" * 64)
    assert changed.dirty
    assert str(changed.untraceable).startswith("a.py, b.py, c.py and 1 more differ from commit cccc")


def test_code_of_an_image_is_of_the_commit_that_its_build_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "repository", lambda: None)

    monkeypatch.setenv("ML_PIPELINE_CODE_COMMIT", "")
    assert "no git repository" in str(provenance.code_here().untraceable)
    monkeypatch.setenv("ML_PIPELINE_CODE_COMMIT", "e" * 40)
    assert provenance.code_here().commit == "e" * 40
    assert provenance.code_here().untraceable is None
