"""Pictures of a model for its card: error by element, calibration, slopes, importance, drift."""

from collections.abc import Mapping
from pathlib import Path

import lightgbm
import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.figure import Figure
from model_service.parameters import Parameters

from ml_pipeline.steps.columns import column
from ml_pipeline.steps.evaluate import ElementMetrics, Evaluation
from ml_pipeline.steps.outcome import Outcomes
from ml_pipeline.steps.profile import DRIFTED

mpl.use("Agg")

BLUE, ORANGE, GREY, GREEN = "#2b6cb0", "#dd6b20", "#a0aec0", "#2f855a"
LEVELS = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
SHOWN = 20


def draw(
    folder: Path,
    parameters: Parameters,
    trees: Mapping[str, str],
    past: Mapping[str, pl.DataFrame],
    found: Evaluation,
    drifted: Mapping[str, Mapping[str, float]],
) -> list[Path]:
    """Write a PNG per station and subject; return their paths. A subject without data has no picture."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for station, metrics in found.metrics.items():
        if not metrics:
            continue
        figures = {
            "error": _error(station, metrics),
            "calibration": _calibration(station, parameters, found.outcomes[station], metrics),
            "slopes": _slopes(station, metrics),
            "importance": _importance(station, parameters, trees, past[station]),
            "drift": _drift(station, drifted.get(station, {})),
        }
        for subject, figure in figures.items():
            if figure is not None:
                paths.append(folder / f"{station}-{subject}.png")
                figure.savefig(paths[-1], dpi=90)
    return paths


def _error(station: str, metrics: Mapping[str, ElementMetrics]) -> Figure:
    """Error of the model as a share of that of the plant's fixed recovery, beside the rolling one."""
    names = list(metrics)
    figure, axes = _figure(8, 1.2 + 0.34 * len(names))
    places = np.arange(len(names))[::-1]
    handbook = np.array([max(metrics[e].mae_handbook_pct, 1e-9) for e in names])
    model = np.array([metrics[e].mae_pct for e in names]) / handbook
    rolling = np.array([metrics[e].mae_rolling_pct for e in names]) / handbook
    axes.barh(places, model, height=0.6, color=BLUE, label="this model")
    axes.plot(rolling, places, "D", color=ORANGE, markersize=5, label="recovery of the last 50 heats")
    axes.axvline(1, color=GREY, linewidth=1.2, label="fixed recovery")
    for place, element in zip(places, names, strict=True):
        said = f"{metrics[element].mae_pct:.4f} %"
        axes.text(0.01, place, said, va="center", fontsize=8, color="white")
    axes.set(yticks=places, yticklabels=names, xlabel="mean absolute error, fixed recovery = 1")
    axes.set_xlim(0, max(1.25, 1.15 * float(np.nanmax(np.concatenate([model, rolling])))))
    axes.set_title(f"{station}: error of the final chemistry on unseen heats", loc="left", fontsize=11)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, frameon=False)
    return figure


def _calibration(
    station: str,
    parameters: Parameters,
    outcomes: Mapping[str, Outcomes],
    metrics: Mapping[str, ElementMetrics],
) -> Figure:
    """Share of the results inside intervals of several levels; the factor scales as the normal's do."""
    figure, axes = _figure(6, 5.4)
    axes.plot([0.4, 1], [0.4, 1], color=GREY, linewidth=1, label="as promised")
    scales = np.array([0.6745, 0.8416, 1.0364, 1.2816, 1.6449, 1.96]) / 1.6449
    shown = [e for e in metrics if metrics[e].slope is not None] or list(metrics)[:6]
    for element in shown:
        seen, model = outcomes[element], parameters.stations[station].elements[element]
        score = np.abs(seen.final_pct - seen.predicted_pct) / (model.interval_factor * seen.sd_pct)
        score = score[~np.isnan(score)]
        axes.plot(LEVELS, [float(np.mean(score <= s)) for s in scales], "o-", markersize=4, label=element)
    axes.set(
        xlabel="level of the interval",
        ylabel="share of unseen results inside",
        xlim=(0.45, 1),
        ylim=(0.3, 1.02),
    )
    axes.set_title(f"{station}: do the intervals keep their promise?", loc="left", fontsize=11)
    axes.legend(fontsize=8, loc="lower right", ncols=2)
    return figure


def _slopes(station: str, metrics: Mapping[str, ElementMetrics]) -> Figure | None:
    """Residual slope on what was added, with its interval: what a kilogram does beyond the model's say."""
    shown = {
        e: (m.slope, m.slope_low, m.slope_high)
        for e, m in metrics.items()
        if m.slope is not None and m.slope_low is not None and m.slope_high is not None
    }
    if not shown:
        return None
    figure, axes = _figure(8, 1.4 + 0.36 * len(shown))
    places = np.arange(len(shown))[::-1]
    axes.axvspan(-0.2, 0.2, color=GREEN, alpha=0.12, label="within a fifth")
    axes.axvline(0, color=GREY, linewidth=1)
    for place, (slope, low, high) in zip(places, shown.values(), strict=True):
        axes.plot([low, high], [place, place], color=BLUE, linewidth=2)
        axes.plot(slope, place, "o", color=BLUE, markersize=6)
    axes.set(yticks=places, yticklabels=list(shown), xlim=(-1.05, 1.05))
    axes.set_xlabel("effect of a kilogram beyond the model's, as a share of the recovery (95 % interval)")
    axes.set_title(f"{station}: marginal effects on unseen heats", loc="left", fontsize=11)
    axes.legend(fontsize=8, loc="lower right")
    return figure


def _importance(
    station: str, parameters: Parameters, trees: Mapping[str, str], heats: pl.DataFrame
) -> Figure | None:
    """What the state of the heat moves: slope x deviation of each feature, and the trees' gain."""
    model = parameters.stations[station]
    names = [f.name for f in model.features]
    elements = [e for e, m in model.elements.items() if m.offset_slopes or m.recovery_tree or m.offset_tree]
    if not names or not elements:
        return None
    table = np.zeros((len(names), len(elements)))
    for j, element in enumerate(elements):
        one = model.elements[element]
        for i, name in enumerate(names):
            spread = float(np.nanstd(column(heats, f"f.{name}")))
            table[i, j] = abs(one.offset_slopes.get(name, 0.0)) * spread / max(one.noise_sd_pct, 1e-9)
        for tree in (one.recovery_tree, one.offset_tree):
            if tree is not None:
                gain = lightgbm.Booster(model_str=trees[tree]).feature_importance("gain")
                table[:, j] += gain / max(gain.sum(), 1e-9)
    order = np.argsort(-table.max(axis=1))[:SHOWN]
    figure, axes = _figure(2.6 + 0.55 * len(elements), 1.6 + 0.32 * len(order))
    image = axes.imshow(np.sqrt(table[order]), aspect="auto", cmap="Blues")
    axes.set_xticks(range(len(elements)), elements)
    axes.set_yticks(range(len(order)), [names[i] for i in order])
    axes.set_title(f"{station}: which state moves which element", loc="left", fontsize=11)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("slope x sd / noise + share of gain (root)", fontsize=8)
    return figure


def _drift(station: str, index: Mapping[str, float]) -> Figure | None:
    """Which columns have shifted since the champion's training."""
    if not index:
        return None
    shown = sorted(index.items(), key=lambda item: -item[1])[:SHOWN]
    figure, axes = _figure(8, 1.3 + 0.3 * len(shown))
    places = np.arange(len(shown))[::-1]
    colours = [ORANGE if value > DRIFTED else BLUE for _, value in shown]
    axes.barh(places, [value for _, value in shown], height=0.6, color=colours)
    axes.axvline(DRIFTED, color=GREY, linewidth=1.2, label="a shift")
    axes.set(yticks=places, yticklabels=[name for name, _ in shown], xlabel="population stability index")
    axes.set_title(f"{station}: drift since the champion's training heats", loc="left", fontsize=11)
    axes.legend(fontsize=8, loc="lower right")
    return figure


def _figure(width: float, height: float) -> "tuple[Figure, mpl.axes.Axes]":
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
