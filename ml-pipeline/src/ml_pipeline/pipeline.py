"""The pipeline: its steps in their order, what each reads and writes, and the run that skips what is done.

Files are in the work folder; what they hold is told where they are made: `learning`, `judging`, `releasing`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import to_builtins

from ml_pipeline import cache, lake, learning, registry, releasing
from ml_pipeline import judging as judge
from ml_pipeline.errors import PipelineError
from ml_pipeline.judging import golden_differences
from ml_pipeline.provenance import environment
from ml_pipeline.work import SEED, Folders, Options

__all__ = ["SEED", "STEPS", "Done", "Folders", "Options", "Step", "golden_differences", "run"]

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One step. `reads` and `writes` are files and folders of the work folder, `code` the modules whose
    sources make its result, `told` what else does: a step without `writes` acts on the world and always
    runs."""

    act: Callable[[Folders, Tell], object]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    told: Callable[[Folders], dict[str, object]] = field(default=lambda _: {})

    def __call__(self, folders: Folders, tell: Tell) -> None:
        """Run it, whatever is there already."""
        self.act(folders, tell)


class Done(NamedTuple):
    """What a run did with a step: seconds, or None where nothing had changed."""

    step: str
    seconds: float | None
    why: str


def _data(folders: Folders) -> dict[str, object]:
    options = folders.options
    window = {"since": options.since, "until": options.until}
    return {"lake": lake.identity(folders.lake, options.version), **window}


def _holdout(folders: Folders) -> dict[str, object]:
    given = folders.options.holdout
    return {"holdout": dict(registry.holdouts(folders.tracking_uri) if given is None else given)}


def _split(folders: Folders) -> dict[str, object]:
    return {**_holdout(folders), "test_fraction": folders.options.test_fraction}


def _seed(folders: Folders) -> dict[str, object]:
    return {"seed": folders.options.seed}


def _train(folders: Folders) -> dict[str, object]:
    return {**_seed(folders), "priors": to_builtins(folders.options.priors or {})}


def _search(folders: Folders) -> dict[str, object]:
    return {**_train(folders), "trials": folders.options.trials}


def _policy(folders: Folders) -> dict[str, object]:
    policy = folders.options.policy
    return {"policy": None if policy is None else cache.content(policy)}


def _champion(folders: Folders) -> dict[str, object]:
    champion = registry.registered(folders.tracking_uri, registry.CHAMPION)
    return {"champion": champion.bundle_hash if champion else None}


def _gate(folders: Folders) -> dict[str, object]:
    return {**_champion(folders), **_seed(folders), "lake": lake.identity(folders.lake)}


STEPS: dict[str, Step] = {
    "extract": Step(
        learning.run_extract,
        writes=("extract.json", "heats.parquet"),
        code=("ml_pipeline.steps.extract",),
        told=_data,
    ),
    "validate": Step(
        learning.run_validate,
        reads=("heats.parquet",),
        writes=("valid.parquet", "refused.parquet"),
        code=("ml_pipeline.steps.validate",),
    ),
    "prepare": Step(
        learning.run_prepare,
        reads=("valid.parquet",),
        writes=("prepared",),
        code=("ml_pipeline.steps.prepare",),
    ),
    "split": Step(
        learning.run_split,
        reads=("valid.parquet", "prepared"),
        writes=("split.json", "holdout"),
        code=("ml_pipeline.steps.split", "ml_pipeline.steps.prepare"),
        told=_split,
    ),
    "search": Step(
        learning.run_search,
        reads=("prepared", "split.json", "holdout"),
        writes=("search.json",),
        code=("ml_pipeline.steps.search",),
        told=_search,
    ),
    "train": Step(
        learning.run_train,
        reads=("valid.parquet", "prepared", "split.json", "holdout", "search.json"),
        writes=("bundle", "parameters.json", "training.json"),
        code=("ml_pipeline.steps.train", "ml_pipeline.requests", "model_service.bundle"),
        told=_train,
    ),
    "evaluate": Step(
        judge.run_evaluate,
        reads=("bundle", "valid.parquet", "prepared", "split.json", "holdout"),
        writes=("evaluation.json", "report"),
        code=("ml_pipeline.steps.evaluate", "ml_pipeline.steps.plots", "ml_pipeline.steps.report"),
        told=_policy,
    ),
    "gate": Step(
        judge.run_gate,
        reads=("bundle", "training.json", "prepared", "split.json", "holdout"),
        writes=("gate.json",),
        code=("ml_pipeline.steps.gate", "ml_pipeline.steps.limits", "model_service.bundle"),
        told=_gate,
    ),
    "card": Step(
        judge.run_card,
        reads=(
            "bundle",
            "extract.json",
            "training.json",
            "evaluation.json",
            "gate.json",
            "prepared",
            "split.json",
        ),
        writes=("profile.json", "model-card.md", "card"),
        code=("ml_pipeline.card", "ml_pipeline.steps.pictures"),
        told=_champion,
    ),
    "register": Step(releasing.run_register),
    "package": Step(releasing.run_package),
}


def run(
    folders: Folders, tell: Tell, names: Sequence[str] = tuple(STEPS), *, again: bool = False
) -> list[Done]:
    """Run these steps, each only where something has changed since it ran; with `again`, the first whatever
    is there.

    A step that breaks off leaves what came before it: the next run goes on from there.
    """
    folders.work.mkdir(parents=True, exist_ok=True)
    around = str(environment()["packages_sha256"])
    done = []
    for number, name in enumerate(names):
        step, began = STEPS[name], time.monotonic()
        tell(f"[{number + 1}/{len(names)}] {name}")
        why = "always runs"
        if step.writes:
            code = cache.code_sha256(step.act.__module__, step.code)
            key = cache.step_key(folders.work, step.reads, step.told(folders), code, around)
            changed = cache.why_run(folders.work, name, key)
            if changed is None and not (again and number == 0):
                tell(f"{name}: nothing has changed, not run again")
                done.append(Done(name, None, "nothing has changed"))
                continue
            why = changed or "asked for"
            cache.forget(folders.work, name)
            step(folders, tell)
            cache.remember(folders.work, name, key, step.writes)
        else:
            step(folders, tell)
        done.append(Done(name, time.monotonic() - began, why))
    return done


def chosen(only: str | None, first: str | None) -> list[str]:
    """The steps of `--only` or `--from`; raises PipelineError for a name that is none."""
    for name in (only, first):
        if name is not None and name not in STEPS:
            raise PipelineError(f"{name!r} is no step; allowed: {', '.join(STEPS)}")
    if only is not None:
        return [only]
    names = list(STEPS)
    return names[names.index(first) :] if first else names
