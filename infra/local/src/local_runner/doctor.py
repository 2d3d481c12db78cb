"""Is everything on this machine that the product needs? Runs before any installation, on Python 3.7+."""

from __future__ import annotations

import ctypes.util
import importlib.util
import platform
import shutil
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # an old Python must get as far as the sentence about itself
    from collections.abc import Callable

LEAST_PYTHON = (3, 11)


def problems(
    python: tuple[int, int] = (sys.version_info[0], sys.version_info[1]),
    find_module: Callable[[str], object] = importlib.util.find_spec,
    find_program: Callable[[str], str | None] = shutil.which,
    find_library: Callable[[], str | None] | None = None,
) -> list[str]:
    """Return a sentence for each thing that is missing, with what mends it."""
    found = []
    if python < LEAST_PYTHON:
        version = ".".join(map(str, python))
        found.append(
            f"Python 3.11 or newer is needed, {sys.executable} is {version}: set PYTHON to a newer one."
        )
    if not all(find_module(module) for module in ("venv", "ensurepip")):
        found.append(f"Python's venv module is missing: {install('python3-venv')}")
    if find_program("make") is None:
        found.append(f"make is missing: {install('make')}")
    if (find_library or find_openmp)() is None:
        found.append(
            f"The OpenMP runtime libgomp.so.1, which LightGBM needs, is missing: {install('libgomp1')}"
        )
    return found


def install(package: str) -> str:
    """Return the command that installs a package of Debian or Ubuntu."""
    return f"apt-get install {package} (as root)"


def find_openmp() -> str | None:
    """Return the OpenMP runtime as the dynamic linker would find it, or None."""
    if platform.system() != "Linux":
        return "carried by the wheels on this system"
    # A slim machine may have neither ldconfig nor a compiler for find_library to ask: ask the linker.
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        return ctypes.util.find_library("gomp")
    return "libgomp.so.1"


def main() -> int:
    """Print what is missing and return the exit code."""
    missing = problems()
    for sentence in missing:
        print(sentence, file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
