"""Is the trained bundle good enough? What evaluation, gate and report read and write in the work folder.

evaluation.json report/ | gate.json | card/ profile.json model-card.md
"""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl
from model_service.bundle import Bundle, load_bundle, make_bundle
from model_service.errors import ModelServiceError
from model_service.golden import differences
from model_service.manifest import Golden
from model_service.priors import prior_parameters

from ml_pipeline import lake, registry
from ml_pipeline.errors import GateError, PipelineError
from ml_pipeline.steps import effects, limits, report
from ml_pipeline.steps.evaluate import Evaluation, as_json, evaluate
from ml_pipeline.steps.extract import complete_between
from ml_pipeline.steps.gate import Model, Verdict, judge, wanted
from ml_pipeline.steps.split import KEY
from ml_pipeline.work import (
    Folders,
    Stations,
    holdouts,
    read_json,
    read_model,
    split_stations,
    write_json,
)

Tell = Callable[[str], None]


def run_evaluate(folders: Folders, tell: Tell) -> Evaluation:
    """Judge the trained model on the heats that were kept back."""
    from ml_pipeline.steps.plots import plot  # matplotlib is slow to load, and only this step wants it

    parameters, trees = read_model(folders.work / "bundle")
    past, test = split_stations(folders.work)
    found = evaluate(parameters, trees, past, test, _rows_of(folders, test))
    policy = folders.options.policy
    judged = read_json(policy, "evaluate --policy FILE") if policy else None
    folder = folders.work / "report"
    shutil.rmtree(folder, ignore_errors=True)
    plots = plot(found, folder, judged)
    (folder / "README.md").write_text(report.markdown(found, judged), encoding="utf-8")
    write_json(folder / "report.json", report.document(found, judged))
    write_json(folders.work / "evaluation.json", as_json(found))
    table = report.metrics_table(found.metrics)
    if found.temperature:
        table += "\n" + report.temperature_lines(found.temperature)
    heats = ", ".join(f"{of.height} of {name}" for name, of in test.items())
    tell(f"evaluate: on the newest heats ({heats}), wt %\n{table}")
    tell(f"evaluate: report in {folder}, with {', '.join(p.name for p in plots)}")
    return found


def _rows_of(folders: Folders, test: Stations) -> pl.DataFrame:
    """The lake's rows of the heats to judge: what each additive brought is only there."""
    named = [heats.select(*KEY, "completed_at", station=pl.lit(name)) for name, heats in test.items()]
    keys = pl.concat(named)
    first, last = keys["completed_at"].min(), keys["completed_at"].max()
    rows = complete_between(folders.work / "valid.parquet", first, last)  # type: ignore[arg-type]
    here = rows.select(*KEY, "station", *effects.COLUMNS)
    return here.join(keys.lazy(), on=[*KEY, "station"], how="semi").collect()


def run_gate(folders: Folders, tell: Tell) -> None:
    """Compare with the champion, or with the cold start, and write the verdict; `require_passed` reads it."""
    training = read_json(folders.work / "training.json", "train")
    candidate = Model("the candidate", *read_model(folders.work / "bundle"))
    past, test = split_stations(folders.work)
    champion = registry.registered(folders.tracking_uri, registry.CHAMPION)
    other, other_bundle, note = _opponent(folders, champion)
    if other_bundle is not None and champion is not None:
        past, test = _unseen_by(champion.tags, past, test)
    mine, theirs = (evaluate(model.parameters, model.trees, past, test) for model in (candidate, other))
    verdict = judge(
        candidate,
        other,
        test,
        mine,
        theirs,
        golden_differences(folders.work / "bundle"),
        folders.options.seed,
        {s: (h.context, h.heats) for s, h in holdouts(folders.work).items()},
    )
    until = (champion.tags if champion else {}).items()
    reasons, figures = limit_reasons(
        candidate,
        mine,
        other,
        theirs,
        other_bundle,
        test,
        load_bundle(folders.work / "bundle"),
        golden_requests(folders.work / "bundle"),
        newer=newer_shares(folders.lake, training["trained_until"]),
        trained_until=training["trained_until"],
        champion_until={
            k.removeprefix("trained_until."): v for k, v in until if k.startswith("trained_until.")
        },
    )
    found = Verdict(verdict.passed and not reasons, verdict.reasons + reasons, verdict.figures | figures)
    write_json(
        folders.work / "gate.json",
        {
            "bundle_hash": training["bundle_hash"],
            "passed": found.passed,
            "reasons": found.reasons,
            "against": other.name,
            "note": note,
            "figures": found.figures,
        },
    )
    if note:
        tell(f"gate: {note}")
    errors = ", ".join(
        f"{k.removesuffix('.error_ratio_minus_1')} {v:+.1%}"
        for k, v in found.figures.items()
        if k.endswith("minus_1")
    )
    said = "passed" if found.passed else "REFUSED"
    tell(f"gate: {said} against {other.name}; standardised error {errors or 'not compared'}")
    for reason in found.reasons:
        tell(f"  {reason}")


def require_passed(folders: Folders) -> None:
    """Raise GateError where the trained bundle has not passed the gate, with every reason."""
    training = read_json(folders.work / "training.json", "train")
    gated = read_json(folders.work / "gate.json", "gate")
    if gated["bundle_hash"] != training["bundle_hash"]:
        raise GateError(
            f"bundle {training['bundle_hash'][:12]} has not passed the gate; run `ml-pipeline gate` first"
        )
    if not gated["passed"]:
        reasons = "\n".join(f"  {reason}" for reason in gated["reasons"])
        raise GateError(
            f"gate: the candidate has not passed the gate (against {gated['against']})\n{reasons}"
        )


def limit_reasons(
    candidate: Model,
    mine: Evaluation,
    other: Model,
    theirs: Evaluation,
    other_bundle: Bundle | None,
    test: Stations,
    bundle: Bundle,
    requests: list[object],
    *,
    newer: dict[str, float],
    trained_until: dict[str, str],
    champion_until: dict[str, str],
) -> tuple[list[str], dict[str, float]]:
    """Every limit that the candidate, judged as `mine`, breaks, and the figures behind; `other_bundle` None:
    no champion."""
    metrics = {
        station: {e: m for e, m in elements.items() if wanted(test[station], e)}
        for station, elements in mine.metrics.items()
    }
    figures = {"latency_ms": limits.latency_ms(bundle, requests)}  # type: ignore[arg-type]
    champion_ms = None
    if other_bundle is not None:
        champion_ms = figures["champion_latency_ms"] = limits.latency_ms(other_bundle, requests)  # type: ignore[arg-type]
    figures["trees_bytes"] = float(sum(len(text) for text in candidate.trees.values()))
    reasons = [
        *limits.marginal_effects(metrics, theirs.metrics),
        *limits.widths(metrics),
        *limits.too_good(mine.outcomes, metrics),
        *limits.knowing_features(candidate.parameters, test, metrics),
        *limits.stale(newer, trained_until, champion_until),
        *limits.sizes(candidate.trees, other.trees if other_bundle else None),
        *limits.slow(figures["latency_ms"], champion_ms),
    ]
    return reasons, figures


def newer_shares(lake_folder: lake.Lake, trained_until: dict[str, str]) -> dict[str, float]:
    """Share of each station's heats in the lake now that were complete after the newest one learnt from."""
    rows, _ = lake.scan(lake_folder, "heats")
    shares = {}
    for station, until in trained_until.items():
        done = rows.filter(pl.col("station") == station).select("completed_at").collect()["completed_at"]
        shares[station] = int((done > datetime.fromisoformat(until)).sum()) / max(len(done), 1)
    return shares


def golden_requests(folder: Path) -> list[object]:
    golden = msgspec.json.decode((folder / "golden.json").read_bytes(), type=Golden)
    return [row.request for row in golden.rows]


def golden_differences(folder: Path) -> list[str]:
    """What of a written bundle's golden rows is not reproduced."""
    try:
        bundle = load_bundle(folder)
    except ModelServiceError as error:
        return [error.detail]
    golden = msgspec.json.decode((folder / "golden.json").read_bytes(), type=Golden)
    return list(differences(bundle, golden))


def _opponent(
    folders: Folders, champion: registry.Registered | None
) -> tuple[Model, Bundle | None, str | None]:
    """What to compare with: the champion, or where there is none that this service can run, the cold start;
    and a note for people."""
    cold = Model("the cold start", prior_parameters(), {})
    if champion is None:
        return cold, None, None
    into = folders.work / "champion"
    shutil.rmtree(into, ignore_errors=True)
    fetched = registry.bundle_folder(folders.tracking_uri, champion.version, into)
    try:
        bundle = load_bundle(fetched)
    except ModelServiceError as error:
        note = f"champion {champion.version} does not run with this model_service ({error.detail:.200}); "
        return cold, None, note + "compared with the cold start instead"
    parameters, trees = bundle.parameters, dict(bundle.trees.texts)
    return (
        Model(f"champion {champion.version}", parameters, trees),
        make_bundle(parameters, trees),
        None,
    )


def _unseen_by(tags: dict[str, str], past: Stations, test: Stations) -> tuple[Stations, Stations]:
    """Move test heats that the champion was trained on to the past."""
    moved_past, moved_test = dict(past), dict(test)
    for station, heats in test.items():
        until = tags.get(f"trained_until.{station}")
        if until is None:
            continue
        known = pl.col("completed_at") <= datetime.fromisoformat(until)
        moved_past[station] = pl.concat([past[station], heats.filter(known)], how="diagonal")
        moved_test[station] = heats.filter(~known)
    return moved_past, moved_test


def run_card(folders: Folders, tell: Tell) -> None:
    """Draw and write down what a person wants to see before saying yes."""
    from ml_pipeline.card import model_card
    from ml_pipeline.steps.pictures import draw
    from ml_pipeline.steps.profile import drift, profile

    parameters, trees = read_model(folders.work / "bundle")
    past, test = split_stations(folders.work)
    mine = profile(parameters, past)
    write_json(folders.work / "profile.json", mine)
    drifted = drift(_champion_profile(folders), mine)
    found = evaluate(parameters, trees, past, test)
    folder = folders.work / "card"
    shutil.rmtree(folder, ignore_errors=True)
    pictures = draw(folder, parameters, trees, past, found, drifted)
    card = model_card(folders.work, found, drifted)
    (folders.work / "model-card.md").write_text(card, encoding="utf-8")
    tell(f"card: {folders.work / 'model-card.md'}, {len(pictures)} pictures in {folder}")


def _champion_profile(folders: Folders) -> dict[str, object] | None:
    """How the champion's training heats were distributed; None without a champion that says so."""
    champion = registry.registered(folders.tracking_uri, registry.CHAMPION)
    if champion is None:
        return None
    try:
        path = registry.download(
            folders.tracking_uri, f"runs:/{champion.run_id}/profile.json", folders.work / "champion"
        )
        found: dict[str, object] = read_json(path, "card")
    except PipelineError:
        return None
    return found
