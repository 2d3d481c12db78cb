"""Reference policies over many drawn plants: what is said of them holds for more than one plant's figures."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from plant_simulator import plants
from plant_simulator.catalogue import STATIONS, Catalogue
from plant_simulator.policies import frontier, reference, scenes
from plant_simulator.policies.frontier import Standing

LINES, TUNING_SEED = 16, 900_001
NAMES = (reference.ALL_KNOWING, reference.INFORMED, reference.STEELMAKER)
BEST_AIM = "handbook at its best aim"


class Swept(NamedTuple):
    """Policies on one plant's heats at one station; `best_aim` is the handbook's, found on other heats."""

    parameter_set: int
    station: str
    best_aim: float
    standings: list[Standing]


def sweep(
    plant: Catalogue,
    seed: int,
    parameter_sets: int,
    heats: int,
    miss_price: float,
    tell: Callable[[Swept], None],
) -> list[Swept]:
    """Parameter sets 1 to `parameter_sets`, `heats` heats (in whole lines of LINES) at each station; `tell`
    hears of each as it is done.
    """
    found, per_line = list[Swept](), -(-heats // LINES)
    for number in range(1, parameter_sets + 1):
        figures = plants.draw(number)
        for station in STATIONS:
            other = list(scenes.cases_of(plant, figures, scenes.Scene(TUNING_SEED), station, LINES, per_line))
            aim = frontier.tuned_aim(plant, figures, other, None, miss_price)
            policies = {name: frontier.named(name, None, None, miss_price) for name in NAMES}
            policies[BEST_AIM] = reference.handbook_rule(aim)
            cases = scenes.cases_of(plant, figures, scenes.Scene(seed), station, LINES, per_line)
            standings = frontier.compare(plant, figures, cases, policies, miss_price)
            found.append(Swept(number, station, aim, standings))
            tell(found[-1])
    return found


def markdown(found: Sequence[Swept], heats: int, seed: int, miss_price: float, currency: str) -> str:
    """The page of a sweep: per station a table over all plants, and one row per plant."""
    sets = len({s.parameter_set for s in found})
    text = f"""# Reference policies over {sets} plants

Made by `make -C infra/plant-simulator sweep`: parameter sets 1 to {sets} (drawn from the published ranges,
`--parameter-set N`), seed {seed}, {heats} heats per station and plant; no number in here is written by hand.
Cost is of additives with each miss at {miss_price:,.0f} {currency}; the handbook's aim is the best of each
plant, found on other heats. *Saving* is of the informed optimum, which knows the plant's parameters: about
what a recommender can win there.
"""
    for station in dict.fromkeys(s.station for s in found):
        here = [s for s in found if s.station == station]
        text += f"\n## {station.replace('_', ' ').capitalize()}\n\n{_over_all(here, currency)}\n"
        text += _per_plant(here)
    return text


def _over_all(here: Sequence[Swept], currency: str) -> str:
    head = ["policy", f"{currency}/t with misses: mean", "least", "most", "in window: mean", "least", "most"]
    lines = [head, ["---"] * len(head)]
    for position, standing in enumerate(here[0].standings):
        total = np.array([s.standings[position].total_per_t for s in here])
        held = np.array([s.standings[position].in_window for s in here])
        row = [f"{value:.2f}" for value in (total.mean(), total.min(), total.max())]
        row += [f"{value:.1%}" for value in (held.mean(), held.min(), held.max())]
        lines.append([standing.policy, *row])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _per_plant(here: Sequence[Swept]) -> str:
    names = [s.policy for s in here[0].standings]
    saving = ["saving on steelmaker", "saving on handbook"]
    lines = [["set", "best aim", *names, *saving], ["---"] * (len(names) + 4)]
    for swept in here:
        total = {s.policy: s.total_per_t for s in swept.standings}
        won = [1 - total[reference.INFORMED] / total[name] for name in (reference.STEELMAKER, BEST_AIM)]
        row = [str(swept.parameter_set), f"{swept.best_aim:g}"]
        lines.append([*row, *(f"{total[name]:.2f}" for name in names), *(f"{share:.1%}" for share in won)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
