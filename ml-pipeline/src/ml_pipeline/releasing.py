"""From a judged bundle to a released one: registry, ledger, release folder, Model Image, promotion.

recipe.json environment.json run.json registration.json
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model_service.manifest import Release

from ml_pipeline import image, lake, ledger, registry
from ml_pipeline.cache import content
from ml_pipeline.errors import GateError, ImageError, RegistryError
from ml_pipeline.judging import require_passed
from ml_pipeline.provenance import Code, code_here, environment
from ml_pipeline.release import link, release
from ml_pipeline.steps.evaluate import flat_metrics
from ml_pipeline.work import Folders, instant, read_json, write_json

RECORDED = (
    "recipe.json",
    "environment.json",
    "extract.json",
    "split.json",
    "search.json",
    "training.json",
    "evaluation.json",
    "gate.json",
    "profile.json",
    "model-card.md",
)
Tell = Callable[[str], None]


def run_register(folders: Folders, tell: Tell) -> None:
    """Log the run with all that made it; where it passed the gate and can be traced, register its bundle as
    candidate. Raises GateError where it did not pass."""
    code = folders.options.code or code_here()
    record = _record(folders, code)
    run = _logged_run(folders, record, tell)
    evidence = {"run_id": run.run_id, "bundle_hash": record["tags"]["bundle_hash"]}
    try:
        require_passed(folders)
    except GateError as error:
        if not _told_already(folders, "refused", None, evidence):
            _tell_ledger(folders, "refused", None, str(error), evidence)
        raise
    if code.untraceable:
        write_json(folders.work / "registration.json", {**record, "version": None, "run_id": run.run_id})
        tell(
            f"register: run {run.run_id} is logged, but is no candidate: {code.untraceable}. Commit and run "
            "again: what is trained already is not trained again"
        )
        return
    found = registry.register(
        folders.tracking_uri, run, record["tags"], read_json(folders.work / "split.json", "split")["holdout"]
    )
    write_json(
        folders.work / "registration.json",
        {**record, "version": found.version, "run_id": found.run_id, "tags": found.tags},
    )
    gated = read_json(folders.work / "gate.json", "gate")
    if not _told_already(folders, registry.CANDIDATE, found.version):
        why = f"passed the gate against {gated['against']}"
        _tell_ledger(
            folders, registry.CANDIDATE, found.version, why, {**evidence, "figures": gated["figures"]}
        )
    again = " (it holds this very bundle already)" if found.again else ""
    tell(f"register: {registry.MODEL} version {found.version}{again}, run {found.run_id}")


def run_package(folders: Folders, tell: Tell) -> None:
    """Release the registered bundle, build its image, make it challenger; and champion, where there is none
    or it is asked for."""
    found = read_json(folders.work / "registration.json", "register")
    trained = read_json(folders.work / "training.json", "train")["bundle_hash"]
    if found["bundle_hash"] != trained:
        raise RegistryError(f"bundle {trained[:12]} is not registered; run `ml-pipeline register` first")
    version = found["version"]
    if version is None:
        _package_trial(folders, found, tell)
        return
    champion = registry.registered(folders.tracking_uri, registry.CHAMPION)
    if champion is not None and champion.version == version:
        release(folders.work / "bundle", folders.models, _sidecar(found, version))
        link(folders.models, registry.CHAMPION, version)
        tell(f"package: version {version} is the champion already")
        return
    folder = release(folders.work / "bundle", folders.models, _sidecar(found, version))
    tell(f"package: bundle released in {folder}")
    built = build_image(folders, folder, tell)
    challenger = registry.registered(folders.tracking_uri, registry.CHALLENGER)
    if challenger is None or challenger.version != version:
        registry.set_alias(folders.tracking_uri, registry.CHALLENGER, version)
        why = "released with its image" if built else "released; its image is not built yet"
        _tell_ledger(folders, registry.CHALLENGER, version, why, {"image": built, "folder": folder.name})
    link(folders.models, registry.CHALLENGER, version)
    if champion is None or folders.options.promote:
        why = "asked for with --promote" if champion else "the first model: there is nobody to compare with"
        promote(folders, version, why, tell)
    else:
        tell(
            f"package: version {version} is challenger, {folders.models / registry.CHALLENGER} points to it; "
            f"champion stays version {champion.version}. `ml-pipeline promote {version} --why ...` makes it "
            "live"
        )


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
    _tell_ledger(folders, registry.CHAMPION, version, why, told)
    tell(f"package: version {version} is champion, {folders.models / registry.CHAMPION} points to it")


def build_image(folders: Folders, folder: Path, tell: Tell) -> str | None:
    """Build and verify the Model Image of a released folder and record its digest; None where it is not to
    be, or what it takes is missing: that is said. With `always` a missing part raises ImageError."""
    options = folders.options
    if options.image == "never":
        tell("package: the Model Image is not built (ML_PIPELINE_IMAGE=never)")
        return None
    missing = image.what_is_missing(options.base_image)
    if missing:
        if options.image == "always":
            raise ImageError(missing)
        tell(f"package: the bundle is released; its Model Image is not built: {missing}")
        return None
    version = folder.name
    name, digest = image.build(folder, options.image_name, options.base_image, tell)
    image.verify(name, folder, tell)
    registry.tag(folders.tracking_uri, version, {"image": name, "image_digest": digest})
    _tell_ledger(
        folders, "image", version, "built and verified: it reproduces its golden rows",
        {"image": name, "image_digest": digest, "base_image": options.base_image},
    )  # fmt: skip
    tell(f"package: Model Image {name}, {digest}")
    return digest


def _package_trial(folders: Folders, found: dict[str, Any], tell: Tell) -> None:
    """A bundle of untraceable code may be looked at, where nothing else is live."""
    name = f"trial-{found['tags']['bundle_hash'][:12]}"
    if not folders.options.trial:
        tell("package: nothing is released, because nothing was registered")
        return
    champion = folders.models / registry.CHAMPION
    if registry.registered(folders.tracking_uri, registry.CHAMPION) is not None:
        tell("package: a champion is there, so the trial is not served")
        return
    release(folders.work / "bundle", folders.models, _sidecar(found, name))
    link(folders.models, registry.CHAMPION, name)
    tell(f"package: {champion} points to {name}, which nobody could reproduce: for trying out only")


def _record(folders: Folders, code: Code) -> dict[str, Any]:
    """Tags, metrics and recipe of the run, from what the steps left."""
    work = folders.work
    training, split = read_json(work / "training.json", "train"), read_json(work / "split.json", "split")
    gated, taken = read_json(work / "gate.json", "gate"), read_json(work / "extract.json", "extract")
    evaluated = read_json(work / "evaluation.json", "evaluate")
    metrics = flat_metrics(evaluated)
    around = environment()
    recipe = {
        "data_version": taken["data_version"],
        "data_sha256": taken["data_sha256"],
        "holdout": split["holdout"],
        "seed": training["seed"],
        "test_fraction": split["test_fraction"],
        "priors": training["priors"],
        "threads": 1,
        "lightgbm": training["lightgbm"],
        "bundle_hash": training["bundle_hash"],
        "code_commit": code.commit,
        "lock_sha256": code.lock_sha256,
    }
    write_json(work / "recipe.json", recipe)
    write_json(work / "environment.json", around)
    tags = {
        "bundle_hash": training["bundle_hash"],
        "data_version": taken["data_version"],
        "data_sha256": taken["data_sha256"],
        "code_commit": str(code.commit),
        "code_dirty": str(code.dirty),
        "lock_sha256": str(code.lock_sha256),
        "packages_sha256": str(around["packages_sha256"]),
        "python": str(around["python"]),
        "processor": str(around["processor"]),
        "gate": "passed" if gated["passed"] else "refused",
        **{f"trained_until.{station}": until for station, until in training["trained_until"].items()},
        **{f"holdout.{station}": sha256 for station, sha256 in split["holdout"].items()},
    }
    return {"bundle_hash": training["bundle_hash"], "tags": tags, "metrics": metrics}


def _logged_run(folders: Folders, record: dict[str, Any], tell: Tell) -> registry.Logged:
    """The MLflow run of this very result: logged now, or before an interruption."""
    work = folders.work
    told = {name: content(work / name) for name in RECORDED}
    path = work / "run.json"
    if path.exists():
        before = read_json(path, "register")
        if before["told"] == told and before["uri"] == folders.tracking_uri:
            tell(f"register: run {before['run_id']} is logged already")
            return registry.Logged(before["run_id"], before["model_uri"])
    taken, gated = read_json(work / "extract.json", "extract"), read_json(work / "gate.json", "gate")
    recipe = read_json(work / "recipe.json", "register")
    params = {k: str(recipe[k]) for k in ("seed", "test_fraction", "threads")}
    params["search.trials"] = str(read_json(work / "training.json", "train")["trials"])
    params |= {f"lightgbm.{k}": str(v) for k, v in recipe["lightgbm"].items()}
    run = registry.log_run(
        folders.tracking_uri,
        folders.artifacts,
        work / "bundle",
        rows=work / "heats.parquet",
        data_source=lake.address(folders.lake, "heats"),
        data_version=taken["data_version"],
        data_sha256=taken["data_sha256"],
        params={**params, "processes": str(folders.options.processes), "against": gated["against"]},
        metrics={**record["metrics"], **gated["figures"]},
        tags=record["tags"],
        files=[work / name for name in RECORDED if (work / name).exists()]
        + sorted(p for name in ("report", "card") for p in (work / name).iterdir()),
    )
    write_json(path, {**run._asdict(), "told": told, "uri": folders.tracking_uri})
    return run


def _sidecar(found: dict[str, Any], version: str) -> Release:
    tags = found["tags"]
    return Release(
        version=version,
        run_id=found["run_id"],
        created_at=instant(datetime.now(UTC).replace(microsecond=0)),
        code_commit=None if tags["code_commit"] == "None" else tags["code_commit"],
        code_dirty={"True": True, "False": False}.get(tags["code_dirty"]),
        data_version=tags["data_version"],
        data_sha256=tags["data_sha256"],
        bundle_hash=found["bundle_hash"],
        metrics=found["metrics"],
    )


def _told_already(
    folders: Folders, what: str, version: str | None, evidence: dict[str, Any] | None = None
) -> bool:
    """Whether the ledger has this: an interrupted step is run again and tells nothing twice."""
    return any(
        (e["what"], e["version"]) == (what, version) and evidence in (None, e["evidence"])
        for e in ledger.entries(folders.ledger)
    )


def _tell_ledger(
    folders: Folders, what: str, version: str | None, why: str, evidence: dict[str, Any]
) -> None:
    who = folders.options.who or ledger.somebody()
    ledger.append(folders.ledger, what, version, who, why, evidence)
