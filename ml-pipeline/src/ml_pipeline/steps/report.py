"""The evaluation for people and for programs, in the order in which a model is judged.

1 marginal effect, 2 error, 3 intervals, 4 policy (where a simulator's figures are given).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ml_pipeline.steps.effects import WITHIN, Effect
from ml_pipeline.steps.evaluate import LEVEL, ElementMetrics, Evaluation, GradeMetrics, TemperatureMetrics

Policy = list[dict[str, Any]]
"""Rows of the policy bench: what, bar, measured, unit, met, spread."""


def document(found: Evaluation, policy: Policy | None = None) -> dict[str, Any]:
    """The whole evaluation as JSON."""
    stations = {
        station: {
            "marginal_effect": [effect._asdict() for effect in found.effects.get(station, [])],
            "controlled": found.controlled[station],
            "elements": {e: m._asdict() for e, m in elements.items()},
            "grades": {
                e: {grade: m._asdict() for grade, m in of.items()}
                for e, of in found.grades[station].items()
                if e in found.controlled[station]
            },
            "temperature": found.temperature[station]._asdict() if station in found.temperature else None,
        }
        for station, elements in found.metrics.items()
    }
    return {"stations": stations, "policy": policy or []}


def markdown(found: Evaluation, policy: Policy | None = None, title: str = "Evaluation") -> str:
    """The same as a page; its plots lie beside it."""
    parts = [f"# {title}", _INTRODUCTION]
    for station, elements in found.metrics.items():
        parts += [f"## {_named(station)}"]
        if elements:
            parts += [f"![predictions and residuals]({station}.png)", _PICTURE]
            parts += ["### 1 Marginal effect", _EFFECT, _effects(found, station)]
            parts += ["### 2 Error", _ERROR, _errors(found, station)]
            parts += ["### 3 Intervals", _INTERVALS, _intervals(found, station)]
            parts += ["### By grade", _BY_GRADE, f"![by grade]({station}-grades.png)"]
            parts += [_grades(found, station)]
        if station in found.temperature:
            parts += ["### Temperature after the additions", _TEMPERATURE]
            parts += [f"![temperature]({station}-temperature.png)", _temperature(found.temperature[station])]
    parts += ["## 4 Policy"]
    parts += [_POLICY, "![policies](policy.png)", _policy(policy)] if policy else [_NO_POLICY]
    return "\n\n".join(parts) + "\n"


def metrics_table(metrics: Mapping[str, Mapping[str, ElementMetrics]]) -> str:
    """One line per station and element, for a person at a terminal.

    Errors of the model, of its base prediction, of fixed and of rolling recovery, and of the grade's constant
    (the closed loop's reference); widths of the model's 90 % interval and of rolling recovery's.
    """
    columns = ("MAE", "base", "fixed", "rolling", "(const)", "bias", "cover90", "width", "w.rolling")
    lines = [f"{'':22s}{'heats':>6s}{''.join(f'{c:>10s}' for c in columns)}  residual slope / recovery"]
    for station, elements in metrics.items():
        for element, m in elements.items():
            errors = (m.mae_pct, m.mae_base_pct, m.mae_handbook_pct, m.mae_rolling_pct, m.mae_constant_pct)
            numbers = "".join(f"{error:10.5f}" for error in errors)
            widths = f"{m.interval_width_pct:10.4f}{m.rolling_width_pct:10.4f}"
            slope = (
                f"{m.slope:+.3f} [{m.slope_low:+.3f}, {m.slope_high:+.3f}]" if m.slope is not None else "-"
            )
            name = f"{station} {element}"
            lines.append(
                f"{name:22s}{m.heats:6d}{numbers}{m.bias_pct:+10.5f}{m.coverage_90:10.3f}{widths}  {slope}"
            )
    return "\n".join(lines)


def temperature_lines(found: Mapping[str, TemperatureMetrics]) -> str:
    """A line per station that predicts the temperature after, for a person at a terminal."""
    return "\n".join(
        f"{station} temperature: MAE {m.mae_c:.1f} C of {m.heats} heats (before and the usual change: "
        f"{m.mae_usual_c:.1f}), bias {m.bias_c:+.1f}, 90 % interval covers {m.coverage_90:.3f}"
        for station, m in found.items()
    )


def _temperature(m: TemperatureMetrics) -> str:
    head = ("heats", "model's error, C", "usual change's", "bias", "sd", "coverage", "95 %", "contains 0.90")
    row = (
        f"{m.heats:,}",
        *(f"{v:.1f}" for v in (m.mae_c, m.mae_usual_c)),
        f"{m.bias_c:+.1f}",
        f"{m.sd_c:.1f}",
        f"{m.coverage_90:.3f}",
        f"{m.coverage_low:.3f} to {m.coverage_high:.3f}",
        _covers(m),
    )
    return _table(head, [row])


def _effects(found: Evaluation, station: str) -> str:
    rows = [
        (
            f"{e.additive} on {e.element}",
            f"{e.heats:,}",
            f"{e.share:.0%}",
            f"{e.slope:+.3f}",
            f"{e.low:+.3f} to {e.high:+.3f}",
            _judged(e),
        )
        for e in found.effects.get(station, [])
    ]
    return _table(("pair", "heats with it", "share", "slope", "95 %", "within 20 %"), rows)


def _judged(effect: Effect) -> str:
    """An interval too wide to lie within the limits, and not outside of them, tells nothing."""
    is_wide = effect.high - effect.low > 2 * WITHIN
    if is_wide and effect.low < WITHIN and effect.high > -WITHIN:
        return "cannot tell"
    return _yes(effect.is_right)


def _errors(found: Evaluation, station: str) -> str:
    rows = []
    for element in found.controlled[station]:
        m = found.metrics[station][element]
        better = min(m.mae_handbook_pct, m.mae_rolling_pct)
        rows.append(
            (
                element,
                f"{m.heats:,}",
                *(f"{v:.4f}" for v in (m.mae_pct, m.mae_base_pct, m.mae_handbook_pct, m.mae_rolling_pct)),
                f"{m.mae_pct / better:.2f}",
                f"{m.mae_constant_pct:.4f}",
                f"{m.bias_pct:+.4f}",
            )
        )
    head = ("element", "heats", "model", "without slow state", "fixed", "rolling", "model / better of both")
    return _table((*head, "(grade's constant)", "bias"), rows)


def _intervals(found: Evaluation, station: str) -> str:
    rows = []
    for element in found.controlled[station]:
        m = found.metrics[station][element]
        rows.append(
            (
                element,
                f"{m.coverage_90:.3f}",
                f"{m.coverage_low:.3f} to {m.coverage_high:.3f}",
                _covers(m),
                f"{m.interval_width_pct:.4f}",
                f"{m.rolling_width_pct:.4f}",
                _yes(m.interval_width_pct <= m.rolling_width_pct),
            )
        )
    head = ("element", "coverage", "95 %", "contains 0.90", "median width", "rolling recovery's", "no wider")
    return _table(head, rows)


def _grades(found: Evaluation, station: str) -> str:
    rows = [
        (
            element,
            grade,
            f"{m.heats:,}",
            f"{m.mae_pct:.4f}",
            f"{m.mae_handbook_pct:.4f}",
            f"{m.mae_rolling_pct:.4f}",
            f"{m.bias_pct:+.4f}",
            f"{m.coverage_90:.3f}",
            f"{m.coverage_low:.3f} to {m.coverage_high:.3f}",
            _covers(m),
        )
        for element in found.controlled[station]
        for grade, m in found.grades[station][element].items()
    ]
    head = ("element", "grade", "heats", "model", "fixed", "rolling", "bias", "coverage", "95 %")
    table = _table((*head, "contains 0.90"), rows)
    return f"<details><summary>{len(rows)} rows</summary>\n\n{table}\n\n</details>"


def _policy(policy: Policy) -> str:
    rows = []
    for row in policy:
        if ": frontier, " in row["what"]:
            continue  # points of the plot
        spread = row["spread"]
        between = "" if not spread or spread[0] == spread[1] else f"{spread[0]:.4g} to {spread[1]:.4g}"
        measured = "nothing" if row["measured"] is None else f"{row['measured']:.4g}"
        met = {True: "yes", False: "**no**", None: ""}[row["met"]]
        rows.append((row["what"], row["bar"] or "", measured, between, row["unit"], met))
    return _table(("what", "bar", "measured", "95 % or range of plants", "unit", "met"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _named(station: str) -> str:
    return station.replace("_", " ").capitalize()


def _covers(m: ElementMetrics | GradeMetrics | TemperatureMetrics) -> str:
    return _yes(m.coverage_low <= LEVEL <= m.coverage_high)


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "**no**"


_INTRODUCTION = (
    "On the newest heats, which the model has not learnt from. Operators close the loop, so the error on the "
    "final chemistry says little of what a model is worth for recommending: what is first here matters most."
)
_EFFECT = (
    "Slope of the residual (without the slow state) on what an additive brought of the element, beside the "
    "recovery: 0 is a kilogram that does what the model says. Right: the 95 % interval lies within 20 %; "
    "one that is wider than those limits cannot tell. The pairs are those in which the additive brought a "
    "tenth or more of all that was added."
)
_ERROR = (
    "Mean absolute error, wt %, beside a fixed recovery (the plant's median of the older heats) and a "
    "rolling one (median of the last 50 heats). The grade's constant is the closed loop's "
    "reference, not a rival."
)
_INTERVALS = (
    "How many results lie in the model's 90 % interval, with the 95 % interval of that share; and how wide "
    "it is, wt %, beside an interval that rolling recovery would have needed on the older heats."
)
_PICTURE = (
    "Left: result over prediction, slow state included. Middle: what the base prediction left unexplained, "
    "over what was added; a slope there is a wrong effect. Right: the same over time, and what the slow "
    "state made of the heats before (red)."
)
_BY_GRADE = (
    "Grades with twenty heats or more. With so many grades one interval in twenty misses by chance. Elements "
    "that the model hardly says more of than that they stay as they are lie at 1."
)
_TEMPERATURE = (
    "Mean absolute error, C, beside what a plant can say without a model: the temperature before, and the "
    "median change of the older heats. The interval is a normal one."
)
_POLICY = (
    "In the simulator, under do(Y), every policy on the very same heats; simulated money: what was tipped "
    "plus a price for each miss. What each figure means is in the docstrings of `tests/bench/policy.py` and "
    "`policy_figures.py`. What comes from knowing recoveries better stands apart from what comes from aiming "
    "nearer the edge."
)
_NO_POLICY = (
    "Not judged here: heats of the past cannot tell what other additions would have made of them. In the "
    "simulator `make bench ONLY=policy` does, and `ml-pipeline evaluate --policy FILE` shows it here."
)
