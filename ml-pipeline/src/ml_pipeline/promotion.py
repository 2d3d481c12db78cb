"""A released version becomes the champion. On its own: a deployment waits for it, and learns nothing."""

from collections.abc import Callable, Mapping
from typing import Any

from ml_pipeline import ledger, registry
from ml_pipeline.errors import RegistryError
from ml_pipeline.release import link
from ml_pipeline.work import Folders

Tell = Callable[[str], None]


def promote(
    folders: Folders, version: str, why: str, tell: Tell, evidence: Mapping[str, Any] | None = None
) -> None:
    """Make a released version the champion: alias, link, ledger. Also the way back to an earlier one.

    The champion before goes on in shadow, so that both can be compared on the same heats.
    Raises RegistryError where it is not registered or not released.
    """
    found = registry.registered(folders.tracking_uri, version)
    if found is None:
        raise RegistryError(
            f"version {version} of {registry.MODEL} is not registered at {folders.tracking_uri}"
        )
    folder = folders.models / version
    if not (folder / "manifest.json").is_file():
        raise RegistryError(
            f"{folder} holds no bundle: version {version} is registered, but not released here"
        )
    before = registry.registered(folders.tracking_uri, registry.CHAMPION)
    registry.set_alias(folders.tracking_uri, registry.CHAMPION, version)
    link(folders.models, registry.CHAMPION, version)
    if before is not None and before.version != version and (folders.models / before.version).is_dir():
        link(folders.models, registry.SHADOW, before.version)
    told = {
        **(evidence or {}),
        "before": before.version if before else None,
        "bundle_hash": found.bundle_hash,
        "run_id": found.run_id,
        "image": found.tags.get("image_digest"),
    }
    tell_ledger(folders, registry.CHAMPION, version, why, told)
    tell(f"package: version {version} is champion, {folders.models / registry.CHAMPION} points to it")


def tell_ledger(folders: Folders, what: str, version: str | None, why: str, evidence: dict[str, Any]) -> None:
    """Write into the ledger what was done with a version, by whom and why."""
    who = folders.options.who or ledger.somebody()
    ledger.append(folders.ledger, what, version, who, why, evidence)
