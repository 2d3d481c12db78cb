"""The model card: what a person should know before trusting a model, in Markdown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_pipeline.steps.evaluate import ElementMetrics, Evaluation, TemperatureMetrics
from ml_pipeline.steps.profile import DRIFTED
from ml_pipeline.work import read_json


def model_card(work: Path, found: Evaluation, drifted: Mapping[str, Mapping[str, float]]) -> str:
    """The card of the bundle in the work folder, once the gate has judged it."""
    training, gated = read_json(work / "training.json", "train"), read_json(work / "gate.json", "gate")
    taken, split = read_json(work / "extract.json", "extract"), read_json(work / "split.json", "split")
    manifest = read_json(work / "bundle" / "manifest.json", "train")
    parts = [
        _head(training, gated),
        _purpose(),
        _data(taken, split, training),
        *(
            _station(name, found.metrics.get(name, {}), found.temperature.get(name), training, manifest)
            for name in manifest["stations"]
        ),
        _gate(gated),
        _drift(drifted),
        _again(taken, manifest),
    ]
    return "\n\n".join(parts) + "\n"


def _head(training: Mapping[str, Any], gated: Mapping[str, Any]) -> str:
    said = "passed the gate" if gated["passed"] else "REFUSED by the gate"
    return f"# Model card: bundle {training['bundle_hash'][:12]}\n\n**{said}**, against {gated['against']}."


def _purpose() -> str:
    return (
        "## What it is for\n\n"
        "Advises a steelmaker how many kilograms of which additive bring a heat into its grade, and predicts "
        "the chemistry after additions with 90 % intervals. The steelmaker decides. It abstains outside the "
        "ranges it learnt from. Its errors below are those of predictions for what was really added; how "
        "well the advice itself does is only seen in use, or in a simulator whose truth is known."
    )


def _data(taken: Mapping[str, Any], split: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    lines = [
        "## What it learnt from",
        "",
        f"`{taken['data_version']}`, rows `{taken['data_sha256'][:12]}`, seed {training['seed']}, "
        f"{_grown(training)}.",
        "",
        "| station | heats learnt from | heats kept back | newest heat learnt from | frozen holdout |",
        "|---|---|---|---|---|",
    ]
    for station, heats in split["heats"].items():
        frozen = split["holdout"].get(station)
        lines.append(
            f"| {station} | {heats['past']} | {heats['test']} | "
            f"{training['trained_until'].get(station, 'too few to train')} | "
            f"{f'`{frozen[:12]}`' if frozen else 'none: too few heats'} |"
        )
    return "\n".join(lines)


def _grown(training: Mapping[str, Any]) -> str:
    told, trials = training["lightgbm"], training["trials"]
    found = f"as the best of {trials} trials" if trials else "as usual"
    return f"trees {found}: {told['num_iterations']} of {told['num_leaves']} leaves"


def _station(
    name: str,
    metrics: Mapping[str, ElementMetrics],
    temperature: TemperatureMetrics | None,
    training: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> str:
    lines = [
        f"## {name}",
        "",
        "On the heats kept back, wt %. Slope: what a kilogram does beyond what the model says, as a share.",
        "",
        "| element | heats | error | fixed recovery | rolling recovery | 90 % interval holds | slope "
        "| learnt |",
        "|---|---|---|---|---|---|---|---|",
    ]
    report = training["report"].get(name, {})
    for element in manifest["stations"][name]["elements"]:
        m, how = metrics.get(element), report.get(element, {})
        learnt = "literature only" if how.get("model") == "prior" else f"from {how.get('heats', '?')} heats"
        if how.get("trees"):
            learnt += ", trees"
        if m is None:
            lines.append(f"| {element} | too few results | | | | | | {learnt} |")
            continue
        slope = "" if m.slope is None else f"{m.slope:+.3f} ({m.slope_low:+.3f} to {m.slope_high:+.3f})"
        lines.append(
            f"| {element} | {m.heats} | {m.mae_pct:.4f} | {m.mae_handbook_pct:.4f} | {m.mae_rolling_pct:.4f} "
            f"| {m.coverage_90:.1%} | {slope} | {learnt} |"
        )
    if temperature is not None:
        lines += [
            "",
            f"Temperature after the additions: error {temperature.mae_c:.1f} C of {temperature.heats} heats "
            f"(before and the usual change: {temperature.mae_usual_c:.1f}), "
            f"90 % interval holds {temperature.coverage_90:.1%}.",
        ]
    ranges = [
        f"{f['name']} {f['low']:.4g} to {f['high']:.4g} {f['unit']}"
        for f in manifest["stations"][name]["features"]
    ]
    if ranges:
        lines += ["", f"Learnt between: {'; '.join(ranges)}."]
    return "\n".join(lines)


def _gate(gated: Mapping[str, Any]) -> str:
    lines = ["## Gate", ""]
    if gated.get("note"):
        lines += [gated["note"], ""]
    lines += [f"- refused: {reason}" for reason in gated["reasons"]]
    lines += [f"- {name} {value:.4g}" for name, value in sorted(gated["figures"].items())]
    return "\n".join(lines)


def _drift(drifted: Mapping[str, Mapping[str, float]]) -> str:
    if not drifted:
        return "## Drift\n\nNo champion to compare with."
    shifted = [
        f"- {station}: {name} ({value:.2f})"
        for station, columns in drifted.items()
        for name, value in sorted(columns.items(), key=lambda item: -item[1])
        if value > DRIFTED
    ]
    told = "\n".join(shifted) or "No column has shifted."
    head = "## Drift since the champion's training heats"
    return f"{head}\n\nPopulation stability index above {DRIFTED:g}:\n\n{told}"


def _again(taken: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    return (
        "## How to make it again\n\n"
        "`make reproduce MODEL_VERSION=n` with its number in the registry: checks out the recorded commit, "
        f"installs the recorded lock, takes rows `{taken['data_sha256'][:12]}` and compares byte for byte. "
        f"Made with model_service {manifest['model_service']['version']} "
        f"(`{manifest['model_service']['source_sha256'][:12]}`)."
    )
