"""docs/detection: what monitoring named, and what was true.

`python bench/detection_report.py`: from what the last `make bench ONLY=detection` left in `build/bench`, and
runs it where there is nothing.
"""

import html
import json
import math
import sys
from pathlib import Path

from bench import rows, run
from bench.detection import FOUND
from bench.detection_figures import (
    LATER,
    PER_HEATS,
    WITHIN_AFFECTED_HEATS,
    Found,
    confusion,
    poisson,
    read,
    wilson,
)
from bench.plant_heats import ROOT

OUTPUT = ROOT / "docs" / "detection"
CELL_W, CELL_H, LEFT, TOP, EDGE = 58, 30, 160, 128, 8
DELAYS_W, DELAYS_H = 760, 220
RIGHT, WRONG = "21,128,61", "185,28,28"
MET = {True: "met", False: "**missed**"}
NAMES = {
    "lot": "the lot",
    "element": "spectrometer or recovery of an element",
    "scale": "a scale",
    "practice": "the model is wrong",
    "aim": "people aim elsewhere",
    "carry_over": "carried-over slag",
    "scrap": "scrap",
    "input": "another input",
    "reading_missing": "a reading is missing",
    "price": "a price (told, no alarm)",
    "stock_out": "an alloy ran out (told)",
    "new_grade": "a new grade (told)",
    "late": "late results (told)",
    "another lot, truly off": "another lot, truly off by 2.5 % or more",
}


def main() -> None:
    """Write README.md and its pictures."""
    if not FOUND.exists():
        run.run("detection", rows.load_bars()["detection"])
    found = read(json.loads(FOUND.read_text(encoding="utf-8")))
    verdict = json.loads((run.OUTPUT / "detection.json").read_text(encoding="utf-8"))
    write(found, verdict, OUTPUT)
    sys.stdout.write(f"{OUTPUT.relative_to(ROOT)}\n")


def write(found: Found, verdict: list[rows.Row], folder: Path) -> None:
    """Write the page and its pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(page(found, verdict), encoding="utf-8")
    (folder / "confusion.svg").write_text(matrix(found), encoding="utf-8")
    (folder / "delays.svg").write_text(delays(found.delays), encoding="utf-8")


def page(found: Found, verdict: list[rows.Row]) -> str:
    """The page, in Markdown; every number from the run."""
    false = [one.cause for one in found.alarms if not one.is_true]
    low, high = (bound / (found.healthy_heats / PER_HEATS) for bound in poisson(len(false)))
    hits = sum(delay <= WITHIN_AFFECTED_HEATS for delay in found.delays)
    least, most = wilson(hits, len(found.delays))
    judged = "".join(
        f"| {row['what']} | {row['bar']} | {row['measured']:.3g} | {MET[bool(row['met'])]} |\n"
        for row in verdict
        if row["bar"]
    )
    kinds = ", ".join(f"{false.count(cause)} {NAMES.get(cause, cause)}" for cause in sorted(set(false)))
    of_kinds = f" ({kinds})" if kinds else ""
    return f"""# What monitoring names, and what was true

Made by `make report ONLY=detection`, from the last `make bench ONLY=detection`; no number in here is written
by hand. The plant is **simulated** ([`docs/plant`](../plant/README.md)), and nobody is shown a recommendation
in these heats: crews add what they want. {len(found.seeds) - 3} models are trained by the pipeline, each on
4,000 past heats of one line a station, with a reference of 4,000 heats of eight lines; every replay is a line
of its own, and each past has as many. Seeds of this run (pasts, healthy heats, bad lots, scenarios):
{", ".join(map(str, found.seeds))}.

| what | bar | measured | |
|---|---|---|---|
{judged}
A lot with 4 % less manganese than its certificate says was named within {WITHIN_AFFECTED_HEATS} affected
heats in {hits} of {len(found.delays)} replays ({100 * least:.0f} to {100 * most:.0f} %, 95 % interval),
within {LATER} in {sum(delay <= LATER for delay in found.delays)}. In {found.healthy_heats:,} heats of a
healthy plant there were {len(false)} false alarms{of_kinds}: {low:.2f} to {high:.2f} in {PER_HEATS:,}
(95 % interval). {len(found.alarms) - len(false)} more were of lots that truly were 2.5 % or more off.

![affected heats until the lot was named](delays.svg)

## Named cause against true cause

Share of the {found.replays} replays of each scenario in which a cause was named after it began; its own
cause is framed. A replay may name several: what else happens by chance is in the row too.

![named cause against true cause](confusion.svg)

| scenario | true cause | named in | heats until then, median |
|---|---|---|---|
{_rows(found)}
## What cannot be told sooner

A spectrometer that reads 1.5 % of manganese too high shows as 1.5 % more manganese from every alloy, and in
nothing else: the first sample reads high too, and the ladle furnace starts from the reading of tapping.
Honest lots differ by about 0.9 %, and a healthy spectrometer by 0.4 % from one recalibration to the next. So
it can be told only by lots that were in use before and after, and over several lots: its replays are longer
than the others. A check standard shows it in one reading, and is what the alarm's sentence asks for first.
"""


def _rows(found: Found) -> str:
    lines = []
    for scenario, cause in found.expected.items():
        after = sorted(
            one.first[cause] for one in found.named if one.scenario == scenario and cause in one.first
        )
        median = f"{after[len(after) // 2]:.0f}" if after else "-"
        lines.append(
            f"| {scenario} | {NAMES.get(cause, cause)} | {len(after)} of {found.replays} | {median} |\n"
        )
    return "".join(lines)


def matrix(found: Found) -> str:
    """The confusion matrix as a picture."""
    shares = confusion(found)
    named = {cause for of in shares.values() for cause in of} | set(found.expected.values())
    order = list(dict.fromkeys(found.expected.values()))
    causes = order + sorted(named - set(order))
    width, height = LEFT + CELL_W * len(causes) + EDGE, TOP + CELL_H * len(shares) + EDGE
    cells, frames = [_opening(width, height, "named cause against true cause")], []
    for column, cause in enumerate(causes):
        at = f"translate({LEFT + CELL_W * (column + 0.5):.0f},{TOP - 8}) rotate(-40)"
        cells.append(f'<text transform="{at}">{html.escape(cause)}</text>')
    for line, (scenario, of) in enumerate(shares.items()):
        y = TOP + CELL_H * line
        cells.append(_text(LEFT - 8, y + CELL_H / 2 + 4, scenario, "end"))
        for column, cause in enumerate(causes):
            x, share, is_own = LEFT + CELL_W * column, of.get(cause, 0.0), cause == found.expected[scenario]
            colour = f"rgba({RIGHT if is_own else WRONG},{0.75 * share:.2f})"
            cells.append(_box(x, y, CELL_W, CELL_H, colour, "#e2e8f0", 1))
            if share or is_own:
                cells.append(_text(x + CELL_W / 2, y + CELL_H / 2 + 4, f"{share:.2f}", "middle"))
            if is_own:
                frames.append(_box(x + 1, y + 1, CELL_W - 2, CELL_H - 2, "none", "#0f172a", 2))
    return "".join(cells + frames) + "</svg>\n"


def delays(found: list[float]) -> str:
    """The share of bad lots that were named, against affected heats."""
    known = sorted(delay for delay in found if math.isfinite(delay))
    left, right, top, bottom = 48, 16, 16, 34
    across, down = DELAYS_W - left - right, DELAYS_H - top - bottom

    def x(heats: float) -> float:
        return left + across * heats / LATER

    def y(share: float) -> float:
        return top + down * (1 - share)

    parts = [_opening(DELAYS_W, DELAYS_H, "share of bad lots named, against affected heats")]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_line([(left, y(share)), (DELAYS_W - right, y(share))], "#e2e8f0"))
        parts.append(_text(left - 6, y(share) + 4, f"{100 * share:.0f} %", "end"))
    parts += [_text(x(heats), DELAYS_H - 16, str(heats), "middle") for heats in range(0, LATER + 1, 5)]
    in_time = x(WITHIN_AFFECTED_HEATS)
    parts.append(_line([(in_time, top), (in_time, top + down)], "#b91c1c"))
    points = [(0.0, 0.0)]
    for n, delay in enumerate(known, start=1):
        if delay <= LATER:
            points += [(delay, points[-1][1]), (delay, n / len(found))]
    points.append((float(LATER), points[-1][1]))
    parts.append(_line([(x(heats), y(share)) for heats, share in points], "#0f172a"))
    below = f"affected heats until the lot was named (share of {len(found)} replays)"
    parts.append(_text(left + across / 2, DELAYS_H - 2, below, "middle"))
    return "".join(parts) + "</svg>\n"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _box(x: float, y: float, width: float, height: float, fill: str, stroke: str, thick: int) -> str:
    at = f'x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<rect {at} fill="{fill}" stroke="{stroke}" stroke-width="{thick}"/>'


def _line(points: list[tuple[float, float]], stroke: str) -> str:
    along = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{along}" fill="none" stroke="{stroke}" stroke-width="1.6"/>'


def _opening(width: float, height: float, label: str) -> str:
    style = "<style>text{font:12px system-ui,sans-serif;fill:#334155}</style>"
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="{label}">'
    return opening + style + _box(0, 0, width, height, "#ffffff", "none", 0)


if __name__ == "__main__":
    main()
