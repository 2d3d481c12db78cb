"""Rows of a bench: what was measured against the bars of `bars.yaml`."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

BARS = Path(__file__).with_name("bars.yaml")

Row = dict[str, Any]
"""`what`, `bar` (text such as ">= 20000", or None), `measured` (median), `unit`, `met` (None without a bar),
`spread` ([least, most] of the runs)."""


def load_bars() -> dict[str, list[dict[str, Any]]]:
    """Bench name to its bars, in the order of the file; the names are those that may be asked for."""
    bars: dict[str, list[dict[str, Any]]] = yaml.safe_load(BARS.read_text(encoding="utf-8"))
    return bars


def judge(bars: list[dict[str, Any]], measured: Mapping[str, tuple[list[float], str]]) -> list[Row]:
    """One row per bar, then one per figure that has no bar.

    `measured` is `what` to the values of its runs and their unit.
    A bar that nothing was measured for is not met.
    """
    rows = [_row(bar, *measured.get(bar["what"], ([], bar["unit"]))) for bar in bars]
    known = {bar["what"] for bar in bars}
    rows += [
        _row({"what": what, "unit": unit}, values, unit)
        for what, (values, unit) in measured.items()
        if what not in known
    ]
    return rows


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    head = ("what", "bar", "measured", "spread", "unit", "met")
    lines = [head] + [
        (
            row["what"],
            row["bar"] or "-",
            _short(row["measured"]),
            "-" if row["spread"] is None else f"{_short(row['spread'][0])} to {_short(row['spread'][1])}",
            row["unit"],
            {None: "-", True: "yes", False: "NO"}[row["met"]],
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )


def _row(bar: Mapping[str, Any], values: list[float], unit: str) -> Row:
    if unit != bar["unit"]:
        raise ValueError(f"{bar['what']}: measured in {unit}, the bar is in {bar['unit']}")
    value = statistics.median(values) if values else None
    text, met = None, None
    for kind, sign in (("at_least", ">="), ("at_most", "<=")):
        if kind in bar:
            text = f"{sign} {bar[kind]:g}"
            met = value is not None and (value >= bar[kind] if kind == "at_least" else value <= bar[kind])
    return {
        "what": bar["what"],
        "bar": text,
        "measured": value,
        "unit": unit,
        "met": met,
        "spread": [min(values), max(values)] if values else None,
    }


def _short(value: float | None) -> str:
    return "nothing" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
