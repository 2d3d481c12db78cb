"""Build a bundle from a recipe: recorded rows, holdout, seed and hyper-parameters, and nothing else of the
machine.

`reproduce` runs this as a command at the commit of a recorded model, so its arguments and the names in a
recipe are kept.
"""

from pathlib import Path

from ml_pipeline import pipeline
from ml_pipeline.errors import ReproduceError
from ml_pipeline.learning import SEARCHED, Tell, use_rows
from ml_pipeline.steps.priors import as_priors
from ml_pipeline.work import Folders, read_json, write_json

REBUILT = ("validate", "prepare", "split", "train")


def rebuild(folders: Folders, recipe: Path, tell: Tell) -> None:
    """Train into `work/bundle`. Raises ReproduceError where this code cannot do what the recipe says."""
    told = read_json(recipe, "register")
    if told["threads"] != 1:
        raise ReproduceError(f"{recipe}: threads {told['threads']}; this code trains with 1 only")
    options = folders.options._replace(
        seed=told["seed"],
        holdout=told["holdout"],
        test_fraction=told["test_fraction"],
        priors=as_priors(told.get("priors")),
    )
    write_json(folders.work / SEARCHED, {"told": told["lightgbm"]})
    use_rows(folders, told["data_sha256"], told["data_version"])
    pipeline.run(folders._replace(options=options), tell, REBUILT)
