"""A change that lets a component lean on another, or on the contracts' folder, is stopped."""

import sys

import pytest

from twofold.forge import Forge

WALLS = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract/test_boundaries.py")


def walls_of(forge: Forge) -> str:
    """Run the walls' tests on the clone, and return what they say: nothing where all hold."""
    done = forge.run(
        sys.executable, *WALLS[1:], "--rootdir=tests", "--override-ini=pythonpath=tests", check=False
    )
    return "" if done.returncode == 0 else done.stdout


@pytest.mark.parametrize(
    ("file", "line", "wall"),
    [
        (
            "backend/src/backend/settings.py",
            "import monitoring",
            "test_a_component_imports_no_other[backend]",
        ),
        (
            "monitoring/src/monitoring/settings.py",
            "import ml_pipeline",
            "test_a_component_imports_no_other[monitoring]",
        ),
        ("model-service/src/model_service/settings.py", "import ml_pipeline", "[model_service]"),
        (
            "backend/src/backend/settings.py",
            'SCHEMA = "../contracts/shapes/shapes.v1.schema.json"',
            "test_running_code_does_not_read_the_contracts[backend]",
        ),
    ],
)
def test_a_component_that_leans_on_another_fails(forge: Forge, file: str, line: str, wall: str) -> None:
    forge.change()
    with (forge.clone / file).open("a", encoding="utf-8") as opened:
        opened.write(f"\n{line}\n")
    forge.commit()

    said = walls_of(forge)

    assert wall in said
    assert file in said


def test_this_commit_holds_its_walls(forge: Forge) -> None:
    forge.change()

    assert walls_of(forge) == ""
