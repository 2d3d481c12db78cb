"""A deliberately wrong prior, learnt back: what 2,000 simulated heats make of it, beside the right one.

Three models of the same past of 2,000 heats a station (of which the pipeline keeps the newest aside, as
always): with the literature's priors, and with every recovery in them times .6 and times 1.4, as sure of
themselves as the literature's are. Each is asked what 1 kg does, and a second world in which that kilogram is
tipped says what it did (do(Y)); the pairs are the policy bench's.
"""

import json
import shutil

import yaml

from bench import policy_figures as figures
from bench.closed_loops import ROOT, STATIONS, Bench, Done, Loop, Plant, train_again
from bench.policy_figures import Figures

FOLDER = ROOT / "build" / "bench" / "priors"
HEATS = 2000
FACTORS = (1.0, 0.6, 1.4)
LINES, LINE_HEATS, SKIP = 16, 64, 32
MOST_RECOVERY, WITHIN = 1.5, 0.2
PLANT = Plant(7, 0)


def measure() -> Figures:
    """Some four minutes on two cores."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    bench = Bench(FOLDER)
    bundles = {1.0: bench.train({PLANT: HEATS})[PLANT]}
    for factor in FACTORS[1:]:
        path = FOLDER / f"times-{factor}.yaml"
        path.write_text(yaml.safe_dump(_times(factor)), encoding="utf-8")
        bundles[factor] = train_again(bench, PLANT, f"times-{factor}", "--priors", str(path))
    sizes = (LINES, SKIP + LINE_HEATS, SKIP, 0)
    done = bench.play(
        [
            Loop(f"times {factor} {station}", PLANT, bundle, station, *sizes, None, ("--randomised",))
            for factor, bundle in bundles.items()
            for station in STATIONS
        ]
    )
    found: Figures = {"past heats a station": ([float(HEATS)], "heats")}
    for station in STATIONS:
        ratios = {factor: _ratios(done[f"times {factor} {station}"]) for factor in FACTORS}
        for factor, of_pairs in ratios.items():
            near = sum(abs(ratio - 1) <= WITHIN for ratio in of_pairs.values())
            what = f"{station}: pairs whose effect of 1 kg is within 20 %, priors times {factor:g}"
            found[what] = ([near / max(len(of_pairs), 1)], "share")
        for factor, of_pairs in ratios.items():
            for pair, ratio in of_pairs.items():
                what = f"{station}: effect of 1 kg {pair}, predicted over true, priors times {factor:g}"
                found[what] = ([ratio], "ratio")
    return found


def _times(factor: float) -> dict[str, dict[str, dict[str, float]]]:
    """The priors that the right model was trained with, each recovery times `factor`."""
    text = (FOLDER / PLANT.name / "work" / "training.json").read_text(encoding="utf-8")
    return {
        station: {
            element: {"recovery": min(factor * notes["recovery_prior"], MOST_RECOVERY)}
            for element, notes in of_station.items()
            if "recovery_prior" in notes
        }
        for station, of_station in json.loads(text)["report"].items()
    }


def _ratios(done: Done) -> dict[str, float]:
    """Pair to the predicted effect of 1 kg over the finite difference of do(Y)."""
    return {f"{p['additive']} on {p['element']}": float(p["ratio"]) for p in figures.effects(done)}
