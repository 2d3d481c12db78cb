"""Which steps need not run again: what a step read, was told and is made of decides, never a time.

After a step the folder `.steps` of the work folder keeps the hashes of its inputs, parameters, code and
outputs. It runs again where one of them differs, and says which. What is left of a step that crashed has no
such record, so it runs again too.
"""

import ast
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

PACKAGES = ("ml_pipeline", "model_service")
Key = dict[str, str]
"""What decides -> its hash; the names are told to people: `input valid.parquet`, `parameter seed`, `code`."""


def step_key(
    work: Path, inputs: Iterable[str], parameters: Mapping[str, object], code: str, environment: str
) -> Key:
    """The key of a step as things stand; an input that is not there has none. `code` and `environment` are
    hashes."""
    key = {f"input {name}": content(work / name) or "" for name in inputs}
    key |= {f"parameter {name}": orjson.dumps(value).decode() for name, value in parameters.items()}
    return {**key, "code": code, "environment": environment}


def why_run(work: Path, step: str, key: Key) -> str | None:
    """What has changed since the step ran, in words; None where nothing has and its outputs are intact."""
    record = _record(work, step)
    if record is None:
        return "not run yet"
    before: Key = record["key"]
    changed = [name for name in {**before, **key} if before.get(name) != key.get(name)]
    if changed:
        return f"changed: {', '.join(changed)}"
    damaged = [name for name, sha256 in record["outputs"].items() if content(work / name) != sha256]
    return f"gone or damaged: {', '.join(damaged)}" if damaged else None


def forget(work: Path, step: str) -> None:
    """Before a step runs: from now on only what it finishes counts."""
    _path(work, step).unlink(missing_ok=True)


def remember(work: Path, step: str, key: Key, outputs: Iterable[str]) -> None:
    """After a step has run."""
    path = _path(work, step)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(
        orjson.dumps({"key": key, "outputs": {name: content(work / name) for name in outputs}}, option=_TIDY)
    )
    part.replace(path)


def content(path: Path) -> str | None:
    """SHA-256 of a file, or of a folder's names and files; None where there is nothing."""
    if path.is_dir():
        digest = hashlib.sha256()
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{file.relative_to(path).as_posix()}\0{_file_sha256(file)}\0".encode())
        return digest.hexdigest()
    return _file_sha256(path) if path.is_file() else None


def code_sha256(alone: str, modules: tuple[str, ...]) -> str:
    """Hash of the sources of the module `alone`, and of `modules` with all that they import of this component
    and the Model Service."""
    seen: dict[str, bytes] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        source, imported = _source(name)
        seen[name] = source
        waiting += imported
    digest = hashlib.sha256(_source(alone)[0])
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + seen[name] + b"\0")
    return digest.hexdigest()


_TIDY = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


@cache
def _source(module: str) -> tuple[bytes, list[str]]:
    """A module's source and those it imports from `PACKAGES`."""
    path = _module_file(module)
    if path is None:
        raise ModuleNotFoundError(f"{module}, which a step names as its code, is not there", name=module)
    source = path.read_bytes()
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return source, sorted(name for name in found if _module_file(name))


def _module_file(name: str) -> Path | None:
    """The file of a module of `PACKAGES`; None for anything else. Nothing is imported to find it."""
    package, *parts = name.split(".")
    spec = find_spec(package) if package in PACKAGES else None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent.joinpath(*parts)
    tried = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in tried if file.is_file()), None)


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record(work: Path, step: str) -> dict[str, Any] | None:
    path = _path(work, step)
    if not path.exists():
        return None
    record: dict[str, Any] = orjson.loads(path.read_bytes())
    return record


def _path(work: Path, step: str) -> Path:
    return work / ".steps" / f"{step}.json"
