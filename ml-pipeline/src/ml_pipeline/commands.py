"""Commands: import an extract, run the pipeline or one of its steps, recommend for real heats."""

import argparse
import sys
from pathlib import Path

from model_service.errors import ModelServiceError
from pydantic import ValidationError

from ml_pipeline.errors import ExtractError, PipelineError
from ml_pipeline.settings import Settings

STEPS = ("extract", "validate", "prepare", "train", "evaluate", "gate", "register", "package")


def main() -> None:
    """Run one command; an expected error ends it with its message and a non-zero exit code."""
    try:
        settings = Settings()
        arguments = _parser(settings).parse_args()
        arguments.run(arguments)
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


def _import(arguments: argparse.Namespace) -> None:
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


def _run(arguments: argparse.Namespace) -> None:
    from ml_pipeline import pipeline

    folders = _folders(arguments)
    for name in [arguments.command] if arguments.command != "run" else STEPS:
        if name == "extract":
            pipeline.run_extract(folders, _tell, arguments.version)
        elif name == "evaluate":
            pipeline.run_evaluate(folders, _tell, arguments.policy)
        else:
            pipeline.STEPS[name](folders, _tell)


def _recommend(arguments: argparse.Namespace) -> None:
    from ml_pipeline.recommend import comparison, table

    print(table(comparison(arguments.lake, arguments.bundle, arguments.heats, arguments.station)))


def _folders(arguments: argparse.Namespace) -> "pipeline.Folders":  # type: ignore[name-defined]  # noqa: F821
    from ml_pipeline import pipeline

    uri = arguments.tracking_uri or f"sqlite:///{(arguments.artifacts / 'mlflow.db').resolve()}"
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.artifacts.mkdir(parents=True, exist_ok=True)
    return pipeline.Folders(arguments.lake, arguments.work, arguments.artifacts, arguments.models, uri)


def _tell(line: str) -> None:
    print(line, flush=True)


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ml-pipeline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("import", help="a plant's CSV extract and its mapping file to the lake")
    command.add_argument("--mapping", type=Path, required=True, help="YAML file, see mappings/README.md")
    command.add_argument("--input", type=Path, required=True, help="folder of the extract")
    command.add_argument("--lake", type=Path, default=settings.lake)
    command.add_argument("--plant-id", help="instead of the mapping's plant_id")
    command.set_defaults(run=_import)
    for name in ("run", *STEPS):
        command = commands.add_parser(
            name, help="all steps in order" if name == "run" else f"the step {name} alone"
        )
        command.add_argument("--lake", type=Path, default=settings.lake)
        command.add_argument("--work", type=Path, default=settings.work)
        command.add_argument("--artifacts", type=Path, default=settings.artifacts)
        command.add_argument("--models", type=Path, default=settings.models)
        command.add_argument("--tracking-uri", default=settings.tracking_uri)
        if name in ("run", "extract"):
            command.add_argument(
                "--version", type=int, help="version of the lake's table; default: the newest"
            )
        if name in ("run", "evaluate"):
            command.add_argument(
                "--policy",
                type=Path,
                help="what a simulator says of the model as a policy: build/bench/policy.json",
            )
        command.set_defaults(run=_run)
    command = commands.add_parser(
        "recommend", help="recommend for the newest heats and compare with what was added"
    )
    command.add_argument("--lake", type=Path, default=settings.lake)
    command.add_argument("--bundle", type=Path, default=settings.models / "champion")
    command.add_argument("--heats", type=int, default=10)
    command.add_argument("--station", help="only heats of this station")
    command.set_defaults(run=_recommend)
    return parser
