"""Release a bundle: a folder per version with its sidecar, and a link to the champion that is swapped in one
step."""

import os
import shutil
from pathlib import Path

from model_service.bundle import load_bundle
from model_service.documents import pretty
from model_service.manifest import Release


def release(bundle: Path, models: Path, sidecar: Release) -> Path:
    """Write `models/<version>` and point `models/champion` to it; return the folder.

    The folder is loaded as the Model Service would load it before the link moves: a bundle that is refused
    is never released.
    """
    folder = models / sidecar.version
    models.mkdir(parents=True, exist_ok=True)
    if not (folder.exists() and load_bundle(folder).bundle_hash == sidecar.bundle_hash):
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
    link = models / ".champion.new"
    link.unlink(missing_ok=True)
    link.symlink_to(sidecar.version)
    os.replace(link, models / "champion")  # noqa: PTH105 (Path.replace would do the same; the rename is what makes it atomic)
    return folder
