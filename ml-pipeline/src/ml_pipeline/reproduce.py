"""Build a registered version again from its record alone, and compare it byte for byte.

What is needed: the registry, the artifact store (rows and bundle) and the repository with the recorded
commit. What is not: any cache, environment or work folder of whoever made it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from model_service.bundle import load_bundle
from model_service.errors import ModelServiceError

from ml_pipeline import registry
from ml_pipeline.cache import content
from ml_pipeline.errors import NotReproducedError, ReproduceError
from ml_pipeline.judging import golden_differences
from ml_pipeline.learning import Tell
from ml_pipeline.provenance import LOCK, environment, git, repository
from ml_pipeline.work import Folders, read_json

COMPONENT = "ml-pipeline"


def reproduce(folders: Folders, version: str, tell: Tell) -> None:
    """Rebuild a version at its commit, with its lock, from its rows, and say that it is identical.

    Raises ReproduceError where a part of the record is missing, NotReproducedError with the first difference
    and its likely cause where the result is another.
    """
    found = registry.registered(folders.tracking_uri, version)
    if found is None:
        raise ReproduceError(
            f"version {version} of {registry.MODEL} is not registered at {folders.tracking_uri}"
        )
    tags = found.tags
    tell(f"reproduce: version {found.version}, bundle {found.bundle_hash}, run {found.run_id}")
    rows = folders.rows(tags["data_sha256"])
    if content(rows) != tags["data_sha256"]:
        raise ReproduceError(
            f"{rows} is missing or damaged: the rows of {tags['data_version']} are not in the artifact store"
        )
    with tempfile.TemporaryDirectory(prefix="reproduce-") as made:
        place = Path(made)
        recipe = registry.download(folders.tracking_uri, f"runs:/{found.run_id}/recipe.json", place)
        then = registry.download(folders.tracking_uri, f"runs:/{found.run_id}/environment.json", place)
        recorded = registry.bundle_folder(folders.tracking_uri, found.version, place / "recorded")
        with _worktree(tags["code_commit"], place / "code") as code:
            tell(f"reproduce: commit {tags['code_commit']} checked out")
            python = _install(code, tags["lock_sha256"])
            tell(f"reproduce: lock {tags['lock_sha256'][:12]} installed")
            _rebuild(python, code, recipe, folders, place / "work")
            now = _environment(python, code)
        rebuilt = place / "work" / "bundle"
        difference = first_difference(recorded, rebuilt)
        tell(f"reproduce: recorded {content(recorded / 'manifest.json')}")
        tell(f"reproduce: rebuilt  {content(rebuilt / 'manifest.json')}")
        if difference is not None:
            cause = likely_cause(recorded, rebuilt, read_json(then, "register"), now)
            raise NotReproducedError(
                f"version {found.version} is NOT reproduced.\n  first difference: {difference}\n"
                f"  likely cause: {cause}\n  {_golden(rebuilt)}"
            )
    tell(f"reproduce: version {found.version} is identical, byte for byte, golden rows included")


def first_difference(recorded: Path, rebuilt: Path) -> str | None:
    """The first file, and in JSON the first place, that is not the same in two bundles; None: identical."""
    names = {
        p.relative_to(folder).as_posix()
        for folder in (recorded, rebuilt)
        for p in folder.rglob("*")
        if p.is_file() and p.name != "release.json"
    }
    # The manifest sums up all others: it is looked at last.
    for name in sorted(names, key=lambda n: (n == "manifest.json", n == "golden.json", n)):
        one, other = recorded / name, rebuilt / name
        if not one.exists() or not other.exists():
            return f"{name} is only in the {'recorded' if one.exists() else 'rebuilt'} bundle"
        if one.read_bytes() == other.read_bytes():
            continue
        if name.endswith(".json"):
            place = next(_unequal(orjson.loads(one.read_bytes()), orjson.loads(other.read_bytes()), "$"), "")
            return f"{name}: {place or 'bytes differ, values do not'}"
        return f"{name}: {_line(one.read_text(), other.read_text())}"
    return None


def likely_cause(recorded: Path, rebuilt: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What is known to differ between the two makings; the first in the list explains most."""
    before, after = (read_json(f / "manifest.json", "train")["model_service"] for f in (recorded, rebuilt))
    if before["source_sha256"] != after["source_sha256"]:
        return "model_service's sources are not those it was made with: the record's commit was not clean"
    pinned = {name.split("==")[0]: name for name in then["packages"]}
    others = [
        f"{pinned[name]} then, {one} now"
        for one in now["packages"]
        if (name := one.split("==")[0]) in pinned and pinned[name] != one
    ]
    if others:
        return f"other packages: {', '.join(others[:5])}"
    for what in ("python", "processor", "platform"):
        if then[what] != now[what]:
            return f"another {what}: {then[what]} then, {now[what]} now"
    return "nothing recorded differs: the training is not deterministic, or a file outside the record matters"


def _golden(rebuilt: Path) -> str:
    try:
        load_bundle(rebuilt)
    except ModelServiceError:
        return f"golden rows: {'; '.join(golden_differences(rebuilt)[:3])}"
    return "the rebuilt bundle reproduces its own golden rows: it is sound, but another"


@contextmanager
def _worktree(commit: str, folder: Path) -> Iterator[Path]:
    """A clean checkout of a commit, gone afterwards."""
    root = repository()
    if root is None:
        raise ReproduceError("this runs outside a git repository; run it in a clone that has the commit")
    if git(root, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        how = (
            "git fetch --unshallow"
            if git(root, "rev-parse", "--is-shallow-repository") == "true"
            else ("git fetch --all, or from the repository where the model was made")
        )
        raise ReproduceError(f"commit {commit} is not in {root}; fetch it ({how}), then run again")
    if git(root, "worktree", "add", "--detach", "--force", str(folder), commit) is None:
        raise ReproduceError(f"git cannot check {commit} out into {folder}")
    try:
        yield folder
    finally:
        git(root, "worktree", "remove", "--force", str(folder))
        shutil.rmtree(folder, ignore_errors=True)
        git(root, "worktree", "prune")


def _install(code: Path, lock_sha256: str) -> Path:
    """An environment of the recorded lock alone; return its Python."""
    lock = code / COMPONENT / LOCK
    if content(lock) != lock_sha256:
        raise ReproduceError(
            f"{COMPONENT}/{LOCK} of the recorded commit has SHA-256 {content(lock)}, the record "
            f"says {lock_sha256}"
        )
    venv = code / COMPONENT / ".venv"
    _call([str(code / "ci" / "make-venv"), str(venv), str(lock)], code, {"PYTHON": sys.executable})
    return venv / "bin" / "python"


def _rebuild(python: Path, code: Path, recipe: Path, folders: Folders, work: Path) -> None:
    work.mkdir()
    call = [str(python), "-m", "ml_pipeline.commands", "rebuild", "--recipe", str(recipe)]
    call += ["--work", str(work), "--artifacts", str(folders.artifacts.resolve())]
    _call(call, code, _sources(code))


def _environment(python: Path, code: Path) -> dict[str, Any]:
    """What the rebuilding Python and machine are."""
    show = "import json; from ml_pipeline.provenance import environment; print(json.dumps(environment()))"
    told: dict[str, Any] = orjson.loads(_call([str(python), "-c", show], code, _sources(code)))
    return told or environment()


def _sources(code: Path) -> dict[str, str]:
    """Both packages from the checkout: nothing has to be built to run them."""
    folders = (code / COMPONENT / "src", code / "model-service" / "src")
    return {"PYTHONPATH": os.pathsep.join(map(str, folders))}


def _call(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    hidden = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    around = {k: v for k, v in os.environ.items() if k not in hidden and not k.startswith("ML_PIPELINE_")}
    done = subprocess.run(
        command, cwd=folder, env={**around, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise ReproduceError(f"{' '.join(command[:4])} ... ended with {done.returncode}:\n{said}")
    return str(done.stdout)


def _unequal(one: Any, other: Any, where: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _unequal(one.get(key), other.get(key), f"{where}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for i, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _unequal(left, right, f"{where}[{i}]")
    elif one != other:
        yield f"{where} was {one!r:.80}, is {other!r:.80}"


def _line(one: str, other: str) -> str:
    for number, (left, right) in enumerate(zip(one.splitlines(), other.splitlines(), strict=False), start=1):
        if left != right:
            return f"line {number} was {left!r:.60}, is {right!r:.60}"
    return f"{len(one.splitlines())} lines were, {len(other.splitlines())} are"
