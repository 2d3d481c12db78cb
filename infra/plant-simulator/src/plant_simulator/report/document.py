"""The report as Markdown with its pictures: every number in it is made here, none by hand."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from plant_simulator import parameters as plant_parameters
from plant_simulator.bulk import Block, simulate
from plant_simulator.catalogue import MISS_PRICE, STATIONS, Catalogue
from plant_simulator.parameters import Parameters
from plant_simulator.policies import frontier, reference, scenes
from plant_simulator.policies.frontier import Standing
from plant_simulator.report import measures, plots, traces
from plant_simulator.report.measures import Memory, Slopes, Spread
from plant_simulator.report.traces import Trace
from plant_simulator.tables import stack

LINES, HEATS = 64, 256
POLICY_LINES = 16
CONFIDENCES = (0.90, 0.95, 0.98, 0.99, 0.995)
MEMORY_OF = ("V", "C", "Cr", "Si", "Mn")


def write(plant: Catalogue, figures: Parameters, seed: int, policy_heats: int, folder: Path) -> None:
    """Write README.md and its plots into `folder`; the same for the same arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    published = yaml.safe_load(
        (resources.files("plant_simulator.report") / "published.yaml").read_text(encoding="utf-8")
    )
    block = stack(list(simulate(plant, figures, seed, LINES, HEATS)))
    recoveries = measures.recoveries(plant, figures, block)
    memories = measures.memories(plant, block, MEMORY_OF)
    noise = measures.noise_sd_pct(block)
    slopes = _slopes(plant, block, published["confounding"])
    marks = traces.traces(plant, figures, seed)
    standings = {s: standings_at(plant, figures, seed, s, policy_heats) for s in STATIONS}

    plots.recoveries(recoveries, published["recovery"], folder / "recoveries.png")
    plots.memories(memories, published["memory"], folder / "memory.png")
    plots.confounding(slopes, folder / "confounding.png")
    plots.traces(marks, folder / "scenarios.png")
    plots.frontier(standings, plant.currency, folder / "policies.png")
    sections = (
        _head(figures, seed, LINES * HEATS),
        _recoveries(recoveries, published["recovery"]),
        _memory(memories, published["memory"]),
        _noise(noise, published["noise"]),
        _confounding(slopes),
        _scenarios(marks),
        _policies(standings, plant.currency),
    )
    (folder / "README.md").write_text("\n".join(sections), encoding="utf-8")


def standings_at(
    plant: Catalogue, figures: Parameters, seed: int, station: str, heats: int
) -> list[Standing]:
    """All reference policies on the same heats, the all-knowing one first."""
    price = MISS_PRICE
    policies = {name: frontier.named(name, None, None, price) for name in frontier.NAMES}
    policies |= {
        f"handbook at {aim:g}": frontier.named(reference.HANDBOOK, aim, None, price) for aim in frontier.AIMS
    }
    policies |= {
        f"informed at {c:g}": frontier.named(reference.INFORMED, None, c, price) for c in CONFIDENCES
    }
    cases = scenes.cases_of(
        plant, figures, scenes.Scene(seed), station, POLICY_LINES, -(-heats // POLICY_LINES)
    )
    return frontier.compare(plant, figures, cases, policies, price)


def _head(figures: Parameters, seed: int, heats: int) -> str:
    return f"""# The simulated plant beside published ones

Made by `make -C infra/plant-simulator report`: seed {seed}, {heats:,} heats, parameters
`{plant_parameters.fingerprint(figures)[:12]}`; no number in here is written by hand. Published figures and
their sources: `report/published.yaml` of the simulator. Tags: [D] computed from real heats, [R] read in a
published page, [C] calculated, [M] general knowledge, not verified.
"""


def _recoveries(found: Mapping[str, Mapping[str, Spread]], published: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, ranges in published.items():
        for element, known in ranges.items():
            low, high = known["range"]
            spread = found.get(name, {}).get(element)
            real = f"{known['real']:.3f}" if "real" in known else "-"
            if spread is None:
                rows.append(
                    (
                        name,
                        element,
                        f"{low:.2f} to {high:.2f}",
                        real,
                        "too few heats",
                        "",
                        "-",
                        known["source"],
                    )
                )
                continue
            inside = "yes" if low <= spread.median <= high else "**no**"
            middle = f"{spread.p25:.3f} to {spread.p75:.3f}"
            rows.append(
                (
                    name,
                    element,
                    f"{low:.2f} to {high:.2f}",
                    real,
                    f"{spread.median:.3f}" + ("*" if spread.is_dosed else ""),
                    middle,
                    inside,
                    known["source"],
                )
            )
    head = (
        "station",
        "element",
        "published",
        "real median",
        "simulated median",
        "middle half",
        "inside",
        "source",
    )
    return f"""
## Recovery

How much of what is added is in the steel afterwards, in truth; what slag gives back counts. A star: the
crews hardly add it there, so it is that of a dose put on top.

![simulated and published recoveries](recoveries.png)

{_table(head, rows)}"""


def _memory(found: Mapping[str, Memory], published: Mapping[str, Any]) -> str:
    near = published["within"]

    def shown(value: float, real: float) -> str:
        return f"{value:.2f}" + ("" if abs(value - real) <= near else " **far**")

    rows = [
        (
            e,
            f"{real:.2f}",
            shown(m.true, real),
            shown(m.seen, real),
            shown(m.seen_typical, real),
            f"{m.pairs:,}",
        )
        for e, m in found.items()
        for real in (published["real"][e],)
    ]
    head = (
        "element",
        "real",
        "simulated, true recovery",
        "as the plant sees it, certificates",
        "as the plant sees it, typical assays",
        "pairs of heats",
    )
    return f"""
## Memory of recovery

Lag-1 autocorrelation of the ladle furnace's recovery from heat to heat, over heats that got about as much
of the element as at the real one: carbon from {measures.LEAST_TRIM_PCT["C"]:g} %, so not in the low-carbon
grades, where two samples' noise of .006 % each hides it in trims of .1 %. The real figures are as that plant
saw them, without certificates: first and last sample, weighed kilograms, typical assays.

A figure further than {near:g} from the real one is marked.

![lag-1 autocorrelation](memory.png)

{_table(head, rows)}"""


def _noise(found: Mapping[str, float], published: Mapping[str, Any]) -> str:
    rows = []
    for element, known in published.items():
        low, high = known["range"]
        limits = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        rows.append((element, limits, known["at"] or "-", f"{found[element]:.4f}", known["source"]))
    return f"""
## Noise of one sample

Sd of the final sample around the truth, wt %, over all grades: it holds the slow error of the spectrometer
between recalibrations and the samples taken before the ladle was mixed.

{_table(("element", "published", "at", "simulated", "source"), rows)}"""


def _confounding(pairs: Sequence[tuple[Mapping[str, Any], Slopes]]) -> str:
    rows = [
        (
            f"{real['element']} on {real['additive']}, {real['where']}",
            _three(real["physical"], real["naive"], real.get("with_first")),
            f"{real['share']:.2f}" if "share" in real else "-",
            _three(sim.physical, sim.naive, sim.with_first),
            f"{sim.learnt_share:.2f}" if real["station"] == real["last"] else "-",
            f"{sim.grade}, {sim.heats:,}",
        )
        for real, sim in pairs
    ]
    head = (
        "pair",
        "real: physical / naive / + first chemistry",
        "real: recovery by increment",
        "simulated: physical / naive / + first chemistry",
        "simulated: recovery by increment",
        "grade, heats",
    )
    return f"""
## Confounding

Effect of 1 kg/t on the final wt %, within one grade. Steelmakers close the loop: on real heats the final
chemistry regressed on what was added says next to nothing of what a kilogram does, and the increment
regressed on the elements added does. Here, a bar near 0 is as useless as on real heats. The real ones are of
one rail steel (ladle furnace) and of rebar (tapping). Something is left where need varies little: carbon of
low-carbon grades, whose need after tapping varies no more than a sample's noise (the increment is too steep
there for the same reason), and chromium, of which scrap brings about the same to every heat.

![slopes](confounding.png)

{_table(head, rows)}"""


def _scenarios(found: Sequence[Trace]) -> str:
    rows = [(f"`{t.scenario}`", t.label, t.conclude) for t in found]
    return f"""
## Scenarios

The same heats with and without each scenario ({traces.LINES} lines, means of {traces.STEP} heats of each),
in what shows it best.

![scenarios](scenarios.png)

{_table(("scenario", "shown by", "a good monitor should conclude"), rows)}"""


def _policies(found: Mapping[str, Sequence[Standing]], currency: str) -> str:
    parts = []
    for station, standings in found.items():
        rows = [
            (
                s.policy,
                f"{s.cost_per_t:.2f}",
                f"{s.in_window:.1%}",
                f"{s.in_window_by_sample:.1%}",
                f"{s.total_per_t:.2f}",
                f"{s.regret_per_t:.2f} ± {s.regret_se:.2f}",
            )
            for s in standings
        ]
        head = ("policy", f"{currency}/t", "in window (truth)", "by sample", "with misses priced", "regret")
        title = f"{station.replace('_', ' ').capitalize()}, {standings[0].heats:,} heats"
        shown = [s for s in standings if s.policy in frontier.NAMES]
        by_grade = [
            (grade, *(f"{s.in_window_by_grade[grade]:.1%}" for s in shown))
            for grade in shown[0].in_window_by_grade
        ]
        rates = _table(("in window (truth)", *(s.policy for s in shown)), by_grade)
        parts.append(f"### {title}\n\n{_table(head, rows)}\n{rates}")
    tables = "\n".join(parts)
    return f"""
## Policies

Every policy on the very same heats (common random numbers); at the ladle furnace heats come as the
steelmaker tapped them. A miss costs {MISS_PRICE:,.0f} {currency} [M]. Regret is to the all-knowing
optimum, heat by heat, with its standard error. The all-knowing one puts heats on the edge of their windows,
where the noise of a sample says out as often as in. The informed optimum takes as much margin as misses are
worth, or a fixed confidence for each side of a window. The ceiling knows all of a heat's truth, recovery too,
but goes by the sample for its first chemistry, and spends whatever lands it; with few heats of a grade the
others may be above it by chance. The same over 20 other plants: [parameter-sets.md](parameter-sets.md).

![cost and in-window rate](policies.png)

{tables}"""


def _slopes(
    plant: Catalogue, block: Block, published: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], Slopes]]:
    names = [g.grade for g in plant.grades]
    found = [
        (p, measures.confounding(plant, block, p["station"], p["element"], p["additive"], p["last"], grade))
        for p in published
        for grade in [g for g in p["grades"] if g in names] or [None]
    ]
    return [(p, slopes) for p, slopes in found if slopes is not None]


def _three(*values: float | None) -> str:
    return " / ".join("-" if value is None else f"{value:.4f}" for value in values)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
