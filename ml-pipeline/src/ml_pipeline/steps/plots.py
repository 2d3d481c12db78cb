"""Pictures of an evaluation: what was predicted, and whether the residual still knows what was added."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ml_pipeline.steps.evaluate import ElementMetrics
from ml_pipeline.steps.outcome import Outcomes

mpl.use("Agg")


def plot(
    outcomes: Mapping[str, Mapping[str, Outcomes]],
    metrics: Mapping[str, Mapping[str, ElementMetrics]],
    folder: Path,
) -> list[Path]:
    """Write one PNG per station, a row of pictures per element that is added, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for station, elements in outcomes.items():
        shown = [e for e in elements if metrics[station][e].slope is not None] or list(elements)[:4]
        figure = Figure(figsize=(13, 2.6 * len(shown)), layout="constrained")
        axes = figure.subplots(len(shown), 3, squeeze=False)
        for (result, added, time), element in zip(axes, shown, strict=True):
            seen, m = elements[element], metrics[station][element]
            residual = seen.final_pct - seen.base_pct
            low, high = np.nanquantile(np.concatenate([seen.final_pct, seen.predicted_pct]), [0.002, 0.998])
            result.plot([low, high], [low, high], color="grey", linewidth=0.8)
            result.scatter(seen.predicted_pct, seen.final_pct, s=5, alpha=0.5)
            result.set(
                xlim=(low, high),
                ylim=(low, high),
                xlabel="predicted, wt %",
                ylabel=f"{element} measured, wt %",
            )
            result.set_title(f"MAE {m.mae_pct:.4f}, 90 % interval covers {m.coverage_90:.2f}", fontsize=9)
            limits = np.nanquantile(residual, [0.005, 0.995])
            added.axhline(0, color="grey", linewidth=0.8)
            added.scatter(seen.added_pct, residual, s=5, alpha=0.5)
            added.set(ylim=limits, xlabel=f"{element} added, wt %", ylabel="residual (base), wt %")
            if m.slope is not None:
                added.set_title(
                    f"slope / recovery {m.slope:+.3f} [{m.slope_low:+.3f}, {m.slope_high:+.3f}]", fontsize=9
                )
            time.axhline(0, color="grey", linewidth=0.8)
            time.plot(residual, ".", markersize=2, alpha=0.4, label="base")
            time.plot(seen.predicted_pct - seen.base_pct, linewidth=0.8, color="tab:red", label="slow state")
            time.set(ylim=limits, xlabel="test heats, oldest first", ylabel="wt %")
            time.legend(fontsize=7, loc="upper left")
        path = folder / f"{station}.png"
        figure.savefig(path, dpi=80)
        paths.append(path)
    return paths
