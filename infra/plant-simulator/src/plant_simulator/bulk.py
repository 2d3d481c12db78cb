"""Many heats of many furnace lines, both stations: the plant's whole day in arrays.

Lines run side by side; within one line heat follows heat, because the steelmaker remembers. A line's heats
are bit for bit the same whatever other lines run and however the blocks are cut.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from plant_simulator import instruments, line, steelmaker
from plant_simulator.catalogue import LADLE_FURNACE, TAPPING, Catalogue
from plant_simulator.chance import CHUNK_HEATS
from plant_simulator.elements import Floats, Integers
from plant_simulator.hidden import HiddenHeats
from plant_simulator.instruments import ObservedHeats, ObservedResults, ResultNoise
from plant_simulator.ladle_furnace import HiddenLadles, HiddenTreatments, arrive, ladle_furnace
from plant_simulator.line import Change, Heats
from plant_simulator.parameters import Parameters
from plant_simulator.steelmaker import Memory, Tempers
from plant_simulator.tables import rows, stack
from plant_simulator.tapping import HiddenResults, tap


@dataclass(frozen=True)
class View:
    """What can be known when additions are decided: readings of one heat per line, and what the crew of each
    line would add on its own. `last` are the line's heat before at this station and its result (None at the
    first).
    """

    station: str
    heats: ObservedHeats
    own_kg: Floats
    last: tuple[ObservedHeats, ObservedResults] | None


@dataclass(frozen=True)
class Truth:
    """The explicit door for policies that are allowed to know: hidden state before additions (HiddenHeats at
    tapping, HiddenLadles at the ladle furnace) and the chance of bins and instruments at that station.
    """

    tapping: HiddenHeats
    ladles: HiddenLadles | None
    noise: ResultNoise


Policy = Callable[[View, int], Floats]
"""(view, step) to kilograms (line, additive)."""
KnowingPolicy = Callable[[View, Truth, int], Floats]
"""The same with the truth: only for references that a plant cannot have."""


@dataclass(frozen=True)
class Station:
    """One station of a block: what was seen, decided, fell and came out. Rows by step, then line."""

    before: ObservedHeats
    decided_kg: Floats
    tipped_kg: Floats  # hidden
    after: ObservedResults


@dataclass(frozen=True)
class Block:
    """Heats from every side. `heats`, `ladles`, `tapped`, `treated` and `tipped_kg` are the truth."""

    heats: Heats
    tapping: Station
    tapped: HiddenResults
    ladles: HiddenLadles
    ladle: Station
    treated: HiddenTreatments


def simulate(
    plant: Catalogue,
    parameters: Parameters,
    seed: int,
    lines: int | Sequence[int],
    heats_per_line: int,
    policy: Policy | None = None,
    change: Change | None = None,
    knowing: KnowingPolicy | None = None,
    block_heats: int = CHUNK_HEATS,
) -> Iterator[Block]:
    """The first `heats_per_line` heats of lines 0 to `lines` - 1 (or of the lines named), in blocks of
    `block_heats` steps (a whole number of CHUNK_HEATS).

    Without a policy the steelmaker decides by himself; `change` is a scenario.
    """
    if block_heats % CHUNK_HEATS:
        raise ValueError(f"block_heats must be a multiple of {CHUNK_HEATS}, got {block_heats}")
    names = np.arange(lines) if isinstance(lines, int) else np.asarray(lines, dtype=np.int64)
    stations = {s: _Desk(plant, parameters, s, len(names), policy, knowing) for s in (TAPPING, LADLE_FURNACE)}
    done, parts = 0, list[Block]()
    for chunk in line.draw(plant, parameters, seed, names, change):
        steps = min(CHUNK_HEATS, heats_per_line - done)
        heats = rows(chunk, slice(0, steps * len(names)))
        parts.append(_play(plant, parameters, heats, names, done, stations))
        done += steps
        if done >= heats_per_line or done % block_heats == 0:
            yield parts[0] if len(parts) == 1 else stack(parts)
            parts = []
        if done >= heats_per_line:
            return


def _play(
    plant: Catalogue,
    p: Parameters,
    heats: Heats,
    lines: Integers,
    first_step: int,
    stations: dict[str, "_Desk"],
) -> Block:
    """One chunk: what does not depend on additions at once, the rest step by step."""
    truth, noise = heats.hidden, heats.noise
    seen = instruments.observe_before(p, truth, noise)
    size = len(lines)
    tapping, tapped, ladle, treated = (
        list[_Acted](),
        list[HiddenResults](),
        list[_Acted](),
        list[HiddenTreatments](),
    )
    for step in range(len(truth.heat_no) // size):
        at = slice(step * size, (step + 1) * size)
        now, before = rows(heats, at), rows(seen, at)
        number = first_step + step

        desk = stations[TAPPING]
        door = Truth(now.hidden, None, now.noise.tapping)
        decided = desk.decide(before, now.tempers, door, number)
        tipped = instruments.tip(p, decided, now.noise.tapping)
        tapped.append(tap(plant, p, now.hidden, tipped))
        after = instruments.observe_after(p, tapped[-1], tipped, now.noise.tapping)
        desk.learn(before, after)
        tapping.append(_Acted(decided, tipped, after))

        desk = stations[LADLE_FURNACE]
        ladles = arrive(p, now.hidden, tapped[-1])
        before = instruments.observe_arrival(p, ladles, before, after, now.noise)
        door = Truth(now.hidden, ladles, now.noise.ladle)
        decided = desk.decide(before, now.tempers, door, number)
        tipped = instruments.tip(p, decided, now.noise.ladle)
        treated.append(ladle_furnace(plant, p, ladles, tipped))
        after = instruments.observe_after(p, treated[-1].metal, tipped, now.noise.ladle)
        desk.learn(before, after)
        ladle.append(_Acted(decided, tipped, after))

    # What is the same for the whole chunk is reckoned again for it: cheaper than to put its steps together.
    first, last, results = stack(tapping), stack(ladle), stack(tapped)
    ladles = arrive(p, truth, results)
    arrived = instruments.observe_arrival(p, ladles, seen, first.after, noise)
    return Block(
        heats,
        Station(seen, first.decided_kg, first.tipped_kg, first.after),
        results,
        ladles,
        Station(arrived, last.decided_kg, last.tipped_kg, last.after),
        stack(treated),
    )


@dataclass(frozen=True)
class _Acted:
    """What was done at one station, and what was read afterwards."""

    decided_kg: Floats
    tipped_kg: Floats
    after: ObservedResults


class _Desk:
    """Where it is decided, at one station: the crews' memory and who has the say."""

    def __init__(
        self,
        plant: Catalogue,
        parameters: Parameters,
        station: str,
        lines: int,
        policy: Policy | None,
        knowing: KnowingPolicy | None,
    ) -> None:
        self._plant, self._p, self._station = plant, parameters, station
        self._policy, self._knowing = policy, knowing
        self._memory: Memory = steelmaker.fresh_memory(lines)
        self._last: tuple[ObservedHeats, ObservedResults] | None = None

    def decide(self, seen: ObservedHeats, tempers: Tempers, truth: Truth, step: int) -> Floats:
        own_kg = steelmaker.own_figure(self._plant, self._p, self._station, seen, tempers, self._memory)
        if self._knowing is not None:
            return self._knowing(View(self._station, seen, own_kg, self._last), truth, step)
        if self._policy is not None:
            return self._policy(View(self._station, seen, own_kg, self._last), step)
        return own_kg

    def learn(self, seen: ObservedHeats, results: ObservedResults) -> None:
        self._memory = steelmaker.remember(self._plant, self._p, self._station, self._memory, seen, results)
        self._last = seen, results
