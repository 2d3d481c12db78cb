"""Commands: import an extract, run the pipeline or one of its steps, release, reproduce, recommend."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from model_service.errors import ModelServiceError
from pydantic import ValidationError

from ml_pipeline.errors import ExtractError, PipelineError
from ml_pipeline.lake import place
from ml_pipeline.settings import Settings
from ml_pipeline.steps.priors import read_priors
from ml_pipeline.work import SEED, TEST_FRACTION, Folders, Options

STEPS = (
    "extract",
    "validate",
    "prepare",
    "split",
    "search",
    "train",
    "evaluate",
    "gate",
    "card",
    "register",
    "package",
)


def main() -> None:
    """Run one command; an expected error ends it with its message and a non-zero exit code."""
    try:
        settings = Settings()
        arguments = _parser(settings).parse_args()
        arguments.run(arguments, settings)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        sys.exit(1)
    except PipelineError as error:
        print(f"ml-pipeline: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ModelServiceError as error:
        print(f"ml-pipeline: {error.title}: {error.detail}", file=sys.stderr)
        sys.exit(2)
    except ValidationError as error:
        places = "; ".join(f"ML_PIPELINE_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        print(f"ml-pipeline: settings: {places}", file=sys.stderr)
        sys.exit(2)


def _import(arguments: argparse.Namespace, _: Settings) -> None:
    from ml_pipeline.importing.extract_import import read_extract, write_import
    from ml_pipeline.importing.mapping import load_mapping
    from ml_pipeline.importing.summary import summary

    mapping = load_mapping(arguments.mapping)
    if arguments.plant_id:
        mapping = mapping.model_copy(update={"plant_id": arguments.plant_id})
    imported = read_extract(arguments.input, mapping)
    print(summary(mapping, imported, write_import(arguments.lake, imported)))
    if imported.read and not imported.heats.height:
        reason, rows = imported.reasons.most_common(1)[0]
        raise ExtractError(
            f"none of {imported.read} rows could be taken; the commonest reason: {reason} ({rows} rows). "
            "The rows are in the quarantine table; does the mapping fit the file?"
        )


def _run(arguments: argparse.Namespace, settings: Settings) -> None:
    from ml_pipeline import pipeline
    from ml_pipeline.progress import Progress, summary

    folders = _folders(arguments, settings)
    names = pipeline.chosen(arguments.only, arguments.first)
    progress = Progress(names)
    again = bool(arguments.only or arguments.first)
    try:
        done = pipeline.run(folders, progress.tell, names, again=again)
    finally:
        progress.end()
    print(summary(folders, done))


def _step(arguments: argparse.Namespace, settings: Settings) -> None:
    from ml_pipeline import pipeline
    from ml_pipeline.judging import require_passed

    folders = _folders(arguments, settings)
    pipeline.run(folders, _tell_step, [arguments.command], again=True)
    if arguments.command == "gate":
        require_passed(folders)


def _rebuild(arguments: argparse.Namespace, settings: Settings) -> None:
    from ml_pipeline.rebuild import rebuild

    rebuild(_folders(arguments, settings), arguments.recipe, _tell)


def _reproduce(arguments: argparse.Namespace, settings: Settings) -> None:
    from ml_pipeline.reproduce import reproduce

    reproduce(_folders(arguments, settings), arguments.version, _tell)


def _promote(arguments: argparse.Namespace, settings: Settings) -> None:
    from ml_pipeline.promotion import promote

    promote(_folders(arguments, settings), arguments.version, arguments.why, _tell)


def _veto(arguments: argparse.Namespace, settings: Settings) -> None:
    from ml_pipeline.loop import veto

    veto(_folders(arguments, settings), arguments.version, arguments.why, _tell)


def _image(arguments: argparse.Namespace, settings: Settings) -> None:
    from ml_pipeline.errors import ImageError
    from ml_pipeline.releasing import build_image

    folders = _folders(arguments, settings)
    folder = (folders.models / arguments.version).resolve()
    if not (folder / "release.json").is_file():
        raise ImageError(
            f"{folders.models / arguments.version} holds no released bundle; run `ml-pipeline run`"
        )
    build_image(folders._replace(options=folders.options._replace(image="always")), folder, _tell)


def _verify_image(arguments: argparse.Namespace, settings: Settings) -> None:
    from ml_pipeline import image

    folder = (arguments.models / arguments.version).resolve()
    name = arguments.name or f"{settings.image_name}:{folder.name}"
    image.verify(name, folder, _tell)


def _check_served(arguments: argparse.Namespace, _: Settings) -> None:
    from ml_pipeline import image

    folder = (arguments.models / arguments.version).resolve()
    rows = image.check_served(arguments.url.rstrip("/"), folder, arguments.url)
    _tell(f"{arguments.url} serves version {folder.name} and reproduces its {rows} golden rows")


def _record(arguments: argparse.Namespace, settings: Settings) -> None:
    from ml_pipeline import ledger

    who = settings.who or ledger.somebody()
    given = _folders(arguments, settings).ledger, arguments.what, arguments.version, who, arguments.why
    ledger.append(*given, dict(arguments.evidence))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: NAME=VALUE is allowed")
    return name, value


def _watch(arguments: argparse.Namespace, settings: Settings) -> None:
    from ml_pipeline.loop import Rules
    from ml_pipeline.watching import watch

    rules = Rules(settings.consent, settings.most_runs_a_day, settings.cool_down_s, settings.least_heats)
    watch(_folders(arguments, settings), settings.nats_url, rules, _tell, once=arguments.once)


def _ledger(arguments: argparse.Namespace, settings: Settings) -> None:
    from ml_pipeline import ledger

    print(ledger.table(ledger.entries(_folders(arguments, settings).ledger)))


def _recommend(arguments: argparse.Namespace, _: Settings) -> None:
    from ml_pipeline.recommend import comparison, table

    print(table(comparison(arguments.lake, arguments.bundle, arguments.heats, arguments.station)))


def _folders(arguments: argparse.Namespace, settings: Settings) -> Folders:
    uri = arguments.tracking_uri or f"sqlite:///{(arguments.artifacts / 'mlflow.db').resolve()}"
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.artifacts.mkdir(parents=True, exist_ok=True)
    given = vars(arguments)
    options = Options(
        version=given.get("lake_version"),
        since=given.get("since"),
        until=given.get("until"),
        seed=given.get("seed", SEED),
        trials=given.get("trials", 0),
        test_fraction=given.get("test_fraction", TEST_FRACTION),
        priors=read_priors(given["priors"]) if given.get("priors") else None,
        processes=settings.processes,
        who=settings.who,
        trial=settings.trial,
        promote=given.get("promote", False),
        policy=given.get("policy"),
        image=settings.image,
        image_name=settings.image_name,
        base_image=settings.base_image,
    )
    return Folders(arguments.lake, arguments.work, arguments.artifacts, arguments.models, uri, options)


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _tell(line: str) -> None:
    print(line, flush=True)


def _tell_step(line: str) -> None:
    if not line.startswith("[1/1]"):
        _tell(line)


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ml-pipeline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(
        name: str, run: Callable[[argparse.Namespace, Settings], None], said: str, *, folders: bool = True
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=said, description=said)
        made.set_defaults(run=run)
        made.add_argument("--lake", type=place, default=settings.lake)
        if folders:
            made.add_argument("--work", type=Path, default=settings.work)
            made.add_argument("--artifacts", type=Path, default=settings.artifacts)
            made.add_argument("--models", type=Path, default=settings.models)
            made.add_argument("--tracking-uri", default=settings.tracking_uri)
        return made

    made = command("import", _import, "a plant's CSV extract and its mapping file to the lake", folders=False)
    made.add_argument("--mapping", type=Path, required=True, help="YAML file, see mappings/README.md")
    made.add_argument("--input", type=Path, required=True, help="folder of the extract")
    made.add_argument("--plant-id", help="instead of the mapping's plant_id")

    for name in ("run", *STEPS):
        if name == "run":
            made = command(name, _run, "all steps in order, those only whose inputs have changed")
            which = made.add_mutually_exclusive_group()
            which.add_argument("--from", dest="first", metavar="STEP", help="run this step again, then on")
            which.add_argument("--only", metavar="STEP", help="run this step alone")
        else:
            made = command(name, _step, f"the step {name} alone")
        if name in ("run", "extract"):
            made.add_argument(
                "--version", dest="lake_version", type=int, help="of the lake; default: the newest"
            )
            made.add_argument("--since", metavar="INSTANT", help="only heats complete from then, UTC")
            made.add_argument("--until", metavar="INSTANT", help="only heats complete before then, UTC")
        if name in ("run", "evaluate"):
            made.add_argument(
                "--policy",
                type=Path,
                help="what a simulator says of the model as a policy: build/bench/policy.json",
            )
        if name in ("run", "search"):
            made.add_argument(
                "--trials",
                type=int,
                default=0,
                help="search so many hyper-parameters of the trees, on training heats alone; default: none",
            )
        if name in ("run", "split"):
            made.add_argument(
                "--test-fraction",
                type=_share,
                default=TEST_FRACTION,
                help="the newest heats, which nothing is learnt from; default: %(default)s",
            )
        if name in ("run", "search", "train"):
            made.add_argument("--seed", type=int, default=SEED)
            made.add_argument(
                "--priors",
                type=Path,
                help="YAML: what the plant believes of its recoveries instead of the literature; "
                "see ml_pipeline.steps.priors",
            )
        if name in ("run", "package"):
            made.add_argument("--promote", action="store_true", help="make it champion, whoever is now")

    made = command("reproduce", _reproduce, "build a registered version again from its record and compare")
    made.add_argument("version", metavar="MODEL_VERSION")
    made = command("rebuild", _rebuild, "train from a recipe; `reproduce` calls this at the recorded commit")
    made.add_argument("--recipe", type=Path, required=True)
    made = command("promote", _promote, "make a released version the champion; an earlier one too")
    made.add_argument("version", metavar="MODEL_VERSION")
    made.add_argument("--why", required=True, help="for the ledger")
    made = command("veto", _veto, "say no to the challenger in shadow, before the loop promotes it")
    made.add_argument("version", metavar="MODEL_VERSION")
    made.add_argument("--why", required=True, help="for the ledger")
    made = command("image", _image, "build, verify and record the Model Image of a released version")
    made.add_argument("version", metavar="MODEL_VERSION")
    made = command("verify-image", _verify_image, "start a Model Image and replay its golden rows")
    made.add_argument("version", metavar="MODEL_VERSION")
    made.add_argument("--name", help="of the image; default: that of this version")
    made = command("check-served", _check_served, "replay golden rows where a version should be served")
    made.add_argument("version", metavar="MODEL_VERSION")
    made.add_argument("--url", required=True, help="of the Model Service")
    made = command("record", _record, "write into the ledger what was done with a released version")
    made.add_argument("what", metavar="WHAT", help="such as live, shadow, undone")
    made.add_argument("version", metavar="MODEL_VERSION")
    made.add_argument("--why", required=True)
    made.add_argument("--evidence", type=_pair, nargs="*", default=[], metavar="NAME=VALUE")
    made = command(
        "watch", _watch, "the loop: hear what monitoring says; retrain, shadow, promote, roll back"
    )
    made.add_argument("--once", action="store_true", help="do what there is to do, then stop")
    command("ledger", _ledger, "who promoted what, when and why; a broken chain is an error")

    made = command(
        "recommend", _recommend, "recommend for the newest heats beside what was added", folders=False
    )
    made.add_argument("--bundle", type=Path, default=settings.models / "champion")
    made.add_argument("--heats", type=int, default=10)
    made.add_argument("--station", help="only heats of this station")
    return parser


if __name__ == "__main__":
    main()
