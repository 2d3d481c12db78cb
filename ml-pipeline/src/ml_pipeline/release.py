"""Release a bundle: a folder per version with its sidecar, and links to the live ones that are swapped in one
step."""

import os
import shutil
from pathlib import Path

from model_service.bundle import load_bundle
from model_service.documents import pretty
from model_service.manifest import Release


def release(bundle: Path, models: Path, sidecar: Release) -> Path:
    """Write `models/<version>` and return the folder.

    The folder is loaded as the Model Service would load it before it has its name: a bundle that is refused
    is never released.
    """
    folder = models / sidecar.version
    models.mkdir(parents=True, exist_ok=True)
    if folder.exists() and load_bundle(folder).bundle_hash == sidecar.bundle_hash:
        return folder
    part, old = (models / f".{sidecar.version}.{name}" for name in ("part", "old"))
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(bundle, part, ignore=shutil.ignore_patterns("release.json"))
    (part / "release.json").write_bytes(pretty(sidecar))
    load_bundle(part)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def link(models: Path, name: str, version: str) -> None:
    """Point `models/<name>` to a released version."""
    new = models / f".{name}.new"
    new.unlink(missing_ok=True)
    new.symlink_to(version)
    os.replace(new, models / name)  # noqa: PTH105 (Path.replace would do the same; the rename is what makes it atomic)


def unlink(models: Path, name: str) -> None:
    """Let `models/<name>` point nowhere."""
    (models / name).unlink(missing_ok=True)


def linked(models: Path, name: str) -> str | None:
    """The version that `models/<name>` points to, or None."""
    link = models / name
    return link.readlink().name if link.is_symlink() and link.exists() else None
