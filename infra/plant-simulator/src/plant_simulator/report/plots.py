"""The report's pictures. Every plot is of figures it is given; none is worked out here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from plant_simulator.policies.frontier import Standing
from plant_simulator.report.measures import Memory, Slopes, Spread
from plant_simulator.report.traces import Trace

mpl.use("Agg")

INK, QUIET, BAND, REAL, WARN = "#1f2933", "#7b8794", "#bcd7ea", "#c2410c", "#b91c1c"
BLUE, GREEN, PURPLE = "#1d6fa5", "#2f855a", "#6b46c1"
LOW, LEAST_SHOWN_PCT = 0.5, 60
"""A recovery whose published range ends under this has a panel of its own."""

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.hashsalt": "plant",
}


def recoveries(
    found: Mapping[str, Mapping[str, Spread]], published: Mapping[str, Mapping[str, Any]], path: Path
) -> None:
    """Simulated quantiles over published ranges, a panel per station and way of killing."""
    groups = [
        (name, [e for e in ranges if e in found.get(name, {}) and (ranges[e]["range"][1] < LOW) == is_low])
        for name, ranges in published.items()
        for is_low in (False, True)
    ]
    groups = [(name, elements) for name, elements in groups if elements]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 3.9), layout="constrained")
        widths = {"width_ratios": [len(elements) + 0.5 for _, elements in groups]}
        panels = figure.subplots(1, len(groups), gridspec_kw=widths)
        for panel, (name, elements) in zip(panels, groups, strict=True):
            for x, element in enumerate(elements):
                _recovery(panel, x, found[name][element], published[name][element])
            panel.set_xticks(range(len(elements)), elements)
            panel.set_xlim(-0.6, len(elements) - 0.4)
            is_low = published[name][elements[0]]["range"][1] < LOW
            panel.set_title("" if is_low else name)
            panel.set_ylim(*((0, 0.58) if is_low else (0.5, 1.08)))
        panels[0].set_ylabel("share of the added element that stays")
        _legend_below(figure, panels[0], 5)
        figure.savefig(path, dpi=110)


def _recovery(panel: Any, x: int, spread: Spread, known: Mapping[str, Any]) -> None:
    low, high = known["range"]
    panel.bar(x, high - low, bottom=low, width=0.72, color=BAND, label="published range")
    panel.plot([x, x], [spread.p05, spread.p95], color=INK, lw=1, label="simulated, 5 to 95 % of heats")
    panel.plot([x, x], [spread.p25, spread.p75], color=INK, lw=5, solid_capstyle="butt", label="middle half")
    panel.plot(x, spread.median, "o", color="white", mec=INK, ms=6, label="median")
    if "real" in known:
        panel.plot(x, known["real"], "D", color=REAL, ms=5, label="real heats, median")


def memories(found: Mapping[str, Memory], published: Mapping[str, Any], path: Path) -> None:
    """Lag-1 autocorrelation of the ladle furnace's recovery."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.2, 3.4), layout="constrained")
        panel = figure.subplots()
        low, high = published["range"]
        panel.axhspan(low, high, color=BAND, label="range of the real ladle furnace")
        for x, (_, memory) in enumerate(found.items()):
            panel.plot(x - 0.12, memory.true, "o", color=INK, ms=7, label="simulated, true recovery")
            panel.plot(
                x + 0.12,
                memory.seen,
                "o",
                color="white",
                mec=INK,
                ms=7,
                label="simulated, as the plant sees it",
            )
        for x, element in enumerate(found):
            panel.plot(x, published["real"][element], "D", color=REAL, ms=5, label="real heats")
        panel.set_xticks(range(len(found)), list(found))
        panel.set_ylim(-0.05, 0.75)
        panel.set_ylabel("lag-1 autocorrelation")
        _legend_below(figure, panel, 2)
        figure.savefig(path, dpi=110)


def confounding(pairs: Sequence[tuple[Mapping[str, Any], Slopes]], path: Path) -> None:
    """Slopes relative to the physical one: real heats beside simulated ones."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 3.9), layout="constrained")
        panel = figure.subplots()
        width = 0.15
        for x, (real, sim) in enumerate(pairs):
            values = (
                (real["naive"] / real["physical"], REAL, "real: final on additive"),
                (sim.naive / sim.physical, BLUE, "simulated: final on additive"),
                (real.get("with_first", np.nan) / real["physical"], "#f0a57a", "real: + first chemistry"),
                (sim.with_first / sim.physical, "#8fc0df", "simulated: + first chemistry"),
            )
            for i, (value, colour, label) in enumerate(values):
                panel.bar(x + (i - 1.5) * width, value, width * 0.92, color=colour, label=label)
        panel.axhline(1, color=INK, lw=1)
        panel.annotate("what one kilogram really does", (-0.45, 1.02), color=INK)
        panel.axhline(0, color=QUIET, lw=0.8)
        where = [real["where"].replace(", ", ",\n") for real, _ in pairs]
        pair_names = [f"{real['element']} on {real['additive']}\n{sim.grade}" for real, sim in pairs]
        names = [f"{pair}\n{place}" for pair, place in zip(pair_names, where, strict=True)]
        panel.set_xticks(range(len(pairs)), names)
        panel.set_ylabel("learnt slope / physical slope")
        _legend_below(figure, panel, 4)
        figure.savefig(path, dpi=110)


def traces(found: Sequence[Trace], path: Path) -> None:
    """A panel per scenario: the same heats with it and without it."""
    with mpl.rc_context(STYLE):
        columns = 3
        rows = -(-len(found) // columns)
        figure = Figure(figsize=(11, 2.4 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, trace in zip(panels, found, strict=False):
            panel.plot(trace.heat_no, trace.without, color=QUIET, lw=1.2, label="the same heats without it")
            panel.plot(trace.heat_no, trace.with_it, color=REAL, lw=1.6, label="with the scenario")
            panel.axvline(trace.start_heat, color=INK, lw=0.8, ls=":", label="begins")
            panel.set_title(f"{trace.scenario}\n{trace.label}", fontsize=8.5)
        for panel in panels[len(found) :]:
            panel.set_axis_off()
        for panel in panels[max(0, len(found) - columns) : len(found)]:
            panel.set_xlabel("heat of the line")
        _legend_below(figure, panels[0], 3)
        figure.savefig(path, dpi=100)


def frontier(found: Mapping[str, Sequence[Standing]], currency: str, path: Path) -> None:
    """Cost against in-window rate at each station: curves of the handbook over aims and of the informed
    optimum over confidences, points for the others.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.4), layout="constrained")
        for panel, (station, standings) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
            for start, colour, label in (
                ("handbook at", BLUE, "handbook rule over its aims"),
                ("informed at", GREEN, "informed optimum over confidences"),
            ):
                some = [s for s in standings if s.policy.startswith(start)]
                panel.plot(
                    [100 * s.in_window for s in some],
                    [s.cost_per_t for s in some],
                    "o-",
                    color=colour,
                    ms=4,
                    lw=1.2,
                    label=label,
                )
                for s in some[::4]:
                    name, at = s.policy.removeprefix(start).strip(), (100 * s.in_window, s.cost_per_t)
                    if 100 * s.in_window >= LEAST_SHOWN_PCT:
                        panel.annotate(
                            name, at, (5, -10), textcoords="offset points", color=colour, fontsize=7.5
                        )
            for name, marker, colour in (
                ("handbook", "s", BLUE),
                ("informed", "*", GREEN),
                ("steelmaker", "^", PURPLE),
                ("all-knowing", "D", REAL),
            ):
                for s in (s for s in standings if s.policy == name):
                    label = {
                        "handbook": "handbook rule, the grades' aims",
                        "informed": "informed optimum, by price of a miss",
                    }.get(name, name)
                    panel.plot(
                        100 * s.in_window,
                        s.cost_per_t,
                        marker,
                        color=colour,
                        ms=10 if marker == "*" else 7,
                        label=label,
                        mec="white",
                    )
            panel.set_title(station.replace("_", " "))
            panel.set_xlim(LEAST_SHOWN_PCT, 101)
            panel.set_xlabel("heats inside every window, % (truth)")
            panel.set_ylabel(f"additives, {currency}/t")
        _legend_below(figure, panel, 3)
        figure.savefig(path, dpi=110)


def _legend_below(figure: Figure, panel: Any, columns: int) -> None:
    """One legend for the figure, each label once."""
    handles, labels = panel.get_legend_handles_labels()
    known = dict(zip(labels, handles, strict=True))
    figure.legend(list(known.values()), list(known), loc="outside lower center", ncols=columns)
