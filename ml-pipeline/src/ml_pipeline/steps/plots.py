"""Pictures of an evaluation: predictions and residuals, grades, and policies where they are given."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml_pipeline.steps.evaluate import LEVEL, Evaluation
from ml_pipeline.steps.report import Policy

mpl.use("Agg")
MODEL, OTHER = "tab:blue", "tab:orange"
FRONTIER = re.compile(r"(?P<station>\w+): frontier, (?P<policy>[\w-]+) at (?P<at>[\d.]+), (?P<axis>\w+)")
POINT = re.compile(r"(?P<station>\w+): point, (?P<policy>[\w' -]+), (?P<axis>\w+)")


def plot(found: Evaluation, folder: Path, policy: Policy | None = None) -> list[Path]:
    """Write PNGs per station, and one of policies where they are given; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Figure] = {}
    for station, elements in found.metrics.items():
        if elements:
            figures[station] = _predictions(found, station)
            figures[f"{station}-grades"] = _by_grade(found, station)
        if station in found.temperature:
            figures[f"{station}-temperature"] = _temperature(found, station)
    if policy:
        figures["policy"] = _policies(policy)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=80)
    return paths


def _predictions(found: Evaluation, station: str) -> Figure:
    """A row of pictures per steered element: result, residual on what was added, residual over time."""
    outcomes, metrics = found.outcomes[station], found.metrics[station]
    shown = found.controlled[station] or list(outcomes)[:4]
    figure = Figure(figsize=(13, 2.6 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), 3, squeeze=False)
    for (result, added, time), element in zip(axes, shown, strict=True):
        seen, m = outcomes[element], metrics[element]
        residual = seen.final_pct - seen.base_pct
        low, high = np.nanquantile(np.concatenate([seen.final_pct, seen.predicted_pct]), [0.002, 0.998])
        result.plot([low, high], [low, high], color="grey", linewidth=0.8)
        result.scatter(seen.predicted_pct, seen.final_pct, s=5, alpha=0.5)
        result.set(xlim=(low, high), ylim=(low, high), xlabel="predicted, wt %")
        result.set_ylabel(f"{element} measured, wt %")
        result.set_title(f"MAE {m.mae_pct:.4f}, 90 % interval covers {m.coverage_90:.2f}", fontsize=9)
        limits = np.nanquantile(residual, [0.005, 0.995])
        added.axhline(0, color="grey", linewidth=0.8)
        added.scatter(seen.added_pct, residual, s=5, alpha=0.5)
        added.set(ylim=limits, xlabel=f"{element} added, wt %", ylabel="residual (base), wt %")
        if m.slope is not None:
            said = f"slope / recovery {m.slope:+.3f} [{m.slope_low:+.3f}, {m.slope_high:+.3f}]"
            added.set_title(said, fontsize=9)
        time.axhline(0, color="grey", linewidth=0.8)
        time.plot(residual, ".", markersize=2, alpha=0.4)
        time.plot(seen.predicted_pct - seen.base_pct, linewidth=0.8, color="tab:red")
        time.set(ylim=limits, xlabel="test heats, oldest first", ylabel="residual (base), wt %")
        time.set_title("red: what the slow state adds", fontsize=9)
    return figure


def _by_grade(found: Evaluation, station: str) -> Figure:
    """Per steered element: error beside fixed and rolling recovery, and coverage, grade by grade."""
    elements = [e for e in found.controlled[station] if found.grades[station][e]]
    rows = [len(found.grades[station][e]) + 1 for e in elements] or [1]
    figure = Figure(figsize=(11, 0.24 * sum(rows) + 0.9 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2, squeeze=False, height_ratios=rows, sharex="col")
    for (error, cover), element in zip(axes, elements, strict=False):
        whole, grades = found.metrics[station][element], found.grades[station][element]
        every: list[Any] = [whole, *grades.values()]
        at = np.arange(len(every))
        for values, colour, marker, label in (
            ([m.mae_handbook_pct for m in every], OTHER, "o", "than with a fixed recovery"),
            ([m.mae_rolling_pct for m in every], MODEL, "x", "than with a rolling recovery"),
        ):
            share = [m.mae_pct / max(v, 1e-12) for m, v in zip(every, values, strict=True)]
            error.plot(share, at, marker, color=colour, markersize=5, label=label)
        error.axvline(1, color="grey", linewidth=0.8)
        error.set_yticks(at, ["all", *grades], fontsize=8)
        error.set_ylabel(element)
        shares = np.array([m.coverage_90 for m in every])
        ends = np.array(
            [[s - m.coverage_low, m.coverage_high - s] for s, m in zip(shares, every, strict=True)]
        )
        cover.errorbar(shares, at, xerr=ends.T, fmt="o", color=MODEL, markersize=4, linewidth=1)
        cover.axvline(LEVEL, color="grey", linewidth=0.8)
        cover.set_yticks(at, [f"{m.heats}" for m in every], fontsize=8)
        for axis in (error, cover):
            axis.invert_yaxis()
    axes[0][0].set_title("mean absolute error, times theirs (left of 1: smaller)", fontsize=9)
    axes[0][0].legend(fontsize=7)
    axes[0][1].set_title(
        "coverage of the 90 % interval, with its 95 % interval; at the left the heats", fontsize=9
    )
    return figure


def _temperature(found: Evaluation, station: str) -> Figure:
    """Temperature after the additions: over what was predicted, and what is left of it over time."""
    seen, m = found.temperatures[station], found.temperature[station]
    rest = seen.measured_c - seen.predicted_c
    figure = Figure(figsize=(11, 3), layout="constrained")
    result, time = figure.subplots(1, 2)
    low, high = np.nanquantile(np.concatenate([seen.measured_c, seen.predicted_c]), [0.002, 0.998])
    result.plot([low, high], [low, high], color="grey", linewidth=0.8)
    result.scatter(seen.predicted_c, seen.measured_c, s=5, alpha=0.5)
    result.set(xlim=(low, high), ylim=(low, high), xlabel="predicted, C", ylabel="measured, C")
    result.set_title(f"MAE {m.mae_c:.1f} C, 90 % interval covers {m.coverage_90:.2f}", fontsize=9)
    time.axhline(0, color="grey", linewidth=0.8)
    time.plot(rest, ".", markersize=2, alpha=0.4)
    time.set(ylim=np.nanquantile(rest, [0.005, 0.995]), ylabel="residual, C")
    time.set_xlabel("test heats, oldest first")
    return figure


def _policies(policy: Policy) -> Figure:
    """Cost against in-window rate per station: frontiers over confidence or aim, and single policies."""
    stations = sorted(
        {m["station"] for row in policy if (m := FRONTIER.fullmatch(row["what"]))}, reverse=True
    )
    figure = Figure(figsize=(6.5 * max(len(stations), 1), 5), layout="constrained")
    axes: Sequence[Axes] = figure.subplots(1, max(len(stations), 1), squeeze=False)[0]
    for axis, station in zip(axes, stations, strict=False):
        for name, points in _lines(policy, station).items():
            costs, rates, labels = zip(*points, strict=True)
            axis.plot(rates, costs, "o-", markersize=4, linewidth=1, label=name)
            for x, y, label in zip(rates, costs, labels, strict=True):
                axis.annotate(label, (x, y), fontsize=7, xytext=(3, 3), textcoords="offset points")
        axis.set(xlabel="in window in truth, % of heats", ylabel="additives, EUR/t (simulated)")
        axis.set_title(station.replace("_", " "), fontsize=10)
        axis.legend(fontsize=8)
    return figure


def _lines(policy: Policy, station: str) -> dict[str, list[tuple[float, float, str]]]:
    """Policy to (cost, rate, label) in the order of the label."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in policy:
        frontier, point = FRONTIER.fullmatch(row["what"]), POINT.fullmatch(row["what"])
        match = frontier or point
        if match is None or match["station"] != station:
            continue
        at = frontier["at"] if frontier else ""
        found.setdefault(match["policy"], {}).setdefault(at, {})[match["axis"]] = row["measured"]
    return {
        name: [(p["cost"], p["rate"], at) for at, p in sorted(points.items())]
        for name, points in found.items()
    }
