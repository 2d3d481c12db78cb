"""The page of a loop: what happened, and in-window rate, cost, error and model versions against heats.

One file, without script and without anything from outside. The plant is simulated, and the page says so.
"""

import html
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local_runner.story import Moment, Story

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1000, 190, 56, 12, 26, 26
AROUND = 40  # heats that a point of a line is the mean of
USUAL_HEATS = 100
COLOURS = {"plant": "#b45309", "alarm": "#b91c1c", "loop": "#1d4ed8", "check": "#15803d"}
BANDS = ("#dbeafe", "#dcfce7", "#fbcfe8", "#e9d5ff", "#fde68a")
HANDBOOK, HANDBOOK_BAND = "handbook", "#d6d3d1"
SAID = {"plant": "what happened to the plant", "alarm": "alarms", "loop": "what the loop did"}
Values = Sequence[float | None]
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1f2937;background:#f8fafc;margin:0}
main{max-width:1060px;margin:0 auto;padding:24px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:17px;margin:28px 0 6px}.lead{color:#475569;margin:0 0 16px}
.card{background:#fff;border:1px solid #e2e8f0;border-radius:10px;padding:14px 18px;margin:12px 0}
svg{width:100%;height:auto;display:block}text{font:11px system-ui,sans-serif;fill:#475569}
table{border-collapse:collapse;width:100%}td,th{padding:5px 10px 5px 0;vertical-align:top;text-align:left}
tr+tr td{border-top:1px solid #eef2f7}
td.n{font-variant-numeric:tabular-nums;text-align:right;white-space:nowrap}
.swatch{display:inline-block;width:14px;height:12px;margin:0 5px 0 10px;border:1px solid #cbd5e1}
.line{display:inline-block;width:18px;border-top:2px dashed;margin:0 5px 4px 10px}
.tag{color:#fff;border-radius:4px;padding:1px 7px;font-size:12px}.good{color:#15803d}.bad{color:#b91c1c}
"""


def write(story: Story, folder: Path, docs: Path | None, scenario: str, missing: str) -> None:
    """Write `<folder>/<scenario>.html`, and the same into `docs` where that is given."""
    treatments = story.treatments()
    text = page(scenario, missing, story.moments, treatments, error_by_heat(story, treatments))
    for place in (folder, *([docs] if docs else [])):
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{scenario}.html").write_text(text, encoding="utf-8")


def error_by_heat(
    story: Story, treatments: list[dict[str, Any]] | None = None, elements: Sequence[str] = ()
) -> list[float | None]:
    """Per heat the mean over elements (all, or those given) of |error| over what is usual: its mean in the
    first heats."""
    heats = story.treatments() if treatments is None else treatments
    order = {_key(one): n for n, one in enumerate(heats)}
    by_element: dict[str, list[tuple[int, float]]] = {}
    for one in story.errors():
        if elements and one["element"] not in elements:
            continue
        if (n := order.get(_key(one))) is not None:
            by_element.setdefault(one["element"], []).append((n, abs(one["error_pct"])))
    sums, counts = [0.0] * len(heats), [0] * len(heats)
    for found in by_element.values():
        first = [size for n, size in found if n < USUAL_HEATS]
        usual = sum(first) / len(first) if first else 0.0
        for n, size in found if usual > 0 and len(first) > USUAL_HEATS // 2 else ():
            sums[n] += size / usual
            counts[n] += 1
    return [total / count if count else None for total, count in zip(sums, counts, strict=True)]


def page(
    scenario: str, missing: str, moments: list[Moment], treatments: list[dict[str, Any]], errors: Values
) -> str:
    """The whole document."""
    rates = [None if t["in_window"] is None else 100.0 * t["in_window"] for t in treatments]
    costs = [t["weighed_cost"] / t["steel_mass_t"] if t["weighed_cost"] is not None else None
             for t in treatments]  # fmt: skip
    currency = next((t["currency"] for t in treatments if t["currency"]), "")
    versions = [t["model_version"] or HANDBOOK for t in treatments]
    plots = "".join(
        f'<div class="card">{_plot(title, values, versions, moments, least, most)}</div>'
        for title, values, least, most in (
            (f"In window, % of the heats (mean of {AROUND})", rates, None, 100.0),
            (
                f"Error of the prediction, 1 is usual of the first model (mean of {AROUND})",
                errors,
                0.0,
                math.inf,
            ),
            (f"Additives, {currency} per tonne (mean of {AROUND})", costs, None, math.inf),
        )
    )
    verdict = (
        f'<p class="bad"><b>A stage is missing:</b> {html.escape(missing)}</p>'
        if missing
        else '<p class="good"><b>Every stage happened.</b></p>'
    )
    rows = "".join(
        f'<tr><td class="n">{m.heats}</td><td class="n">{m.after_s:.0f} s</td>'
        f'<td><span class="tag" style="background:{COLOURS[m.kind]}">{m.kind}</span></td>'
        f"<td>{html.escape(m.text)}</td></tr>"
        for m in moments
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The loop: {html.escape(scenario)}</title><style>{STYLE}</style><main>
<h1>The loop: {html.escape(scenario)}</h1>
<p class="lead">A <b>simulated</b> plant, played through the real product: bus, backend, Model Service, lake,
diagnosis, pipeline, gate, shadow. {len(treatments)} heats; written by the command,
{datetime.now(UTC):%Y-%m-%d %H:%M} UTC.</p>
{verdict}
<p class="lead">{_legend(versions)}</p>
{plots}
<h2>Timeline</h2>
<div class="card"><table><tr><th>heats</th><th>after</th><th></th><th></th></tr>{rows}</table></div>
</main></html>
"""


def _legend(versions: Sequence[str]) -> str:
    """Every shade and every dashed line by its name."""
    shades = _shades(versions)
    named = {
        version: "the handbook rule" if version == HANDBOOK else f"version {version}" for version in shades
    }
    swatches = [
        f'<i class="swatch" style="background:{shades[v]}"></i>{html.escape(named[v])}' for v in shades
    ]
    lines = [
        f'<i class="line" style="border-color:{COLOURS[kind]}"></i>{text}' for kind, text in SAID.items()
    ]
    return f"Who recommended: {' '.join(swatches)}<br>Across the plots: heats. Dashed: {' '.join(lines)}"


def _shades(versions: Sequence[str]) -> dict[str, str]:
    """The colour of each that recommended for a while, in the order in which they came."""
    seen = list(dict.fromkeys(version for _, _, version in _runs(versions)))
    models = [version for version in seen if version != HANDBOOK]
    bands = {version: BANDS[n % len(BANDS)] for n, version in enumerate(models)}
    return {version: bands.get(version, HANDBOOK_BAND) for version in seen}


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round figures between `low` and `high`, 1, 2 or 5 times a power of ten apart; no more than `most`."""
    size = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(size * times for times in (1, 2, 5, 10, 20) if (high - low) / (size * times) <= most - 1)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def _plot(
    title: str,
    values: Values,
    versions: Sequence[str],
    moments: Sequence[Moment],
    least: float | None,
    most: float,
) -> str:
    means = _means(values)
    known = [one for one in means if one is not None]
    if not known:
        return f"<p>{html.escape(title)}: no figures</p>"
    low, high = least if least is not None else min(known), max(known)
    margin = 0.08 * (high - low) or 1.0
    low, high = (low if least is not None else low - margin), min(high + margin, most)
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(n: float) -> float:
        return round(LEFT + across * n / max(1, len(values) - 1), 1)

    def y(value: float) -> float:
        return round(TOP + down * (1 - (value - low) / (high - low)), 1)

    parts = [f'<text x="{LEFT}" y="14" style="font-weight:600;fill:#1f2937">{html.escape(title)}</text>']
    shades = _shades(versions)
    for begin, end, version in _runs(versions):
        parts.append(
            f'<rect x="{x(begin)}" y="{TOP}" width="{max(0.5, x(end) - x(begin)):.1f}" height="{down}" '
            f'fill="{shades[version]}"/>'
        )
    for value in ticks(low, high, 7):
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value)}" y2="{y(value)}" stroke="#e2e8f0"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4}" text-anchor="end">{value:g}</text>')
    for n in ticks(0, max(1, len(values) - 1), 11):
        parts.append(f'<text x="{x(n)}" y="{HEIGHT - 8}" text-anchor="middle">{n:g}</text>')
    for moment in moments:
        if moment.kind != "check" and moment.heats < len(values):
            at = x(moment.heats)
            parts.append(
                f'<line x1="{at}" x2="{at}" y1="{TOP}" y2="{TOP + down}" stroke="{COLOURS[moment.kind]}" '
                f'stroke-dasharray="3 3"><title>{html.escape(moment.text)}</title></line>'
            )
    points = " ".join(f"{x(n)},{y(one)}" for n, one in enumerate(means) if one is not None)
    parts.append(f'<polyline points="{points}" fill="none" stroke="#0f172a" stroke-width="1.8"/>')
    opening = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">'
    return f"{opening}{''.join(parts)}</svg>"


def _means(values: Values) -> list[float | None]:
    """The mean of the last heats at each; None before there are enough."""
    found: list[float | None] = []
    for n in range(len(values)):
        last = [one for one in values[max(0, n - AROUND + 1) : n + 1] if one is not None]
        found.append(sum(last) / len(last) if len(last) >= AROUND // 2 else None)
    return found


def _runs(versions: Sequence[str]) -> list[tuple[int, int, str]]:
    """From where to where one version recommended; stretches of a few heats (in flight at a swap, the
    handbook now and then) belong to what is around them."""
    found: list[tuple[int, int, str]] = []
    for n in range(len(versions)):
        around = versions[max(0, n - 4) : n + 5]
        most = max(dict.fromkeys(around), key=around.count)
        if found and found[-1][2] == most:
            found[-1] = (found[-1][0], n + 1, most)
        else:
            found.append((n, n + 1, most))
    return found


def _key(of: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(of[name] for name in ("plant_id", "heat_uid", "station", "treatment_no"))
