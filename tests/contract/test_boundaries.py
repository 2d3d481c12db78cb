"""Walls of the house, held over the whole tree: imports, contracts, and what no committed file may hold."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts import ROOT

SOURCES = {
    "backend": "backend",
    "model_service": "model-service",
    "ml_pipeline": "ml-pipeline",
    "monitoring": "monitoring",
    "plant_simulator": "infra/plant-simulator",
    "local_runner": "infra/local",
}
ALLOWED = {("ml_pipeline", "model_service")}
FILES = (
    "pyproject.toml",
    "requirements.lock",
    "requirements-dev.lock",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
)

# Written in two halves so that this file does not hold what it forbids.
REGISTRIES = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "registry.npm" + "js.org",
    "npm" + "mirror",
    "extra-" + "index-url =",
]
MACHINE_PATHS = re.compile(r"(?<![\w.$}~-])/" + r"(?:work|root|tmp|Users|home)" + r"/\w")


def committed_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def strings(path: Path) -> Iterator[str]:
    """Yield the string constants of a module that are not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("package", SOURCES)
def test_a_component_stands_alone(package: str) -> None:
    folder = ROOT / SOURCES[package]

    missing = [name for name in FILES if not (folder / name).is_file()]

    assert missing == []
    assert (folder / "src" / package / "py.typed").is_file()


@pytest.mark.parametrize("package", SOURCES)
def test_a_component_imports_no_other(package: str) -> None:
    modules = [path for path in (ROOT / SOURCES[package]).rglob("*.py") if ".venv" not in path.parts]
    forbidden = {other for other in SOURCES if other != package and (package, other) not in ALLOWED}

    crossings = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules
        for name in imported(path)
        if name in forbidden
    }

    assert len(modules) > 3
    assert crossings == set()


@pytest.mark.parametrize("package", SOURCES)
def test_running_code_does_not_read_the_contracts(package: str) -> None:
    modules = sorted((ROOT / SOURCES[package] / "src").rglob("*.py"))

    readers = {
        f"{path.relative_to(ROOT)}: {text}"
        for path in modules
        for text in strings(path)
        if re.search(r"(^|/)contracts(/|$)", text)
    }

    assert modules != []
    assert readers == set()


def test_these_tests_import_no_component() -> None:
    modules = [path for path in (ROOT / "tests").rglob("*.py") if ".venv" not in path.parts]

    crossings = {
        f"{path.relative_to(ROOT)}: {name}" for path in modules for name in imported(path) if name in SOURCES
    }

    assert modules != []
    assert crossings == set()


def test_no_committed_file_names_a_package_registry() -> None:
    files = committed_files()

    found = {
        f"{path.relative_to(ROOT)}: {host}" for path in files for host in REGISTRIES if host in text_of(path)
    }

    assert len(files) > 100
    assert found == set()


def test_no_lock_holds_an_address() -> None:
    locks = [path for path in committed_files() if path.suffix == ".lock"]

    assert len(locks) >= 2 * len(SOURCES)
    assert [path for path in locks if "://" in text_of(path)] == []


def test_every_pin_of_a_lock_carries_its_hashes() -> None:
    for lock in (path for path in committed_files() if path.suffix == ".lock"):
        pins = re.split(r"\n(?=\S)", text_of(lock))
        bare = [
            pin.splitlines()[0]
            for pin in pins
            if re.match(r"[\w.\[\]-]+==", pin) and "--hash=sha256:" not in pin
        ]
        assert bare == []


def test_what_is_pinned_is_what_the_lock_holds() -> None:
    """Else a pin was raised and the lock forgotten: what is installed would not be what is asked for."""
    checked = 0
    for given in (path for path in committed_files() if path.name == "pyproject.toml"):
        project = tomllib.loads(text_of(given))["project"]
        asked = [*project["dependencies"], *project.get("optional-dependencies", {}).get("dev", [])]
        held = pins_of(given.with_name("requirements-dev.lock"))
        runs = pins_of(given.with_name("requirements.lock"))
        for name, version in (pin for pin in map(pin_of, asked) if pin):
            checked += 1
            assert held[name] == version, f"{given.relative_to(ROOT)}: {name}"
        assert runs.items() <= held.items(), given.relative_to(ROOT)
    assert checked > len(SOURCES)


def pin_of(requirement: str) -> tuple[str, str] | None:
    match = re.match(r"([\w.-]+)(?:\[[\w,-]+\])?==([^\s;\\]+)", requirement)
    return (match[1].lower().replace("_", "-").replace(".", "-"), match[2]) if match else None


def pins_of(lock: Path) -> dict[str, str]:
    return dict(pin for pin in map(pin_of, text_of(lock).splitlines()) if pin)


def test_no_committed_file_holds_the_path_of_a_machine() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in committed_files()
        for match in MACHINE_PATHS.finditer(text_of(path))
    }

    assert found == set()
