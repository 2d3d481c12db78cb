"""Which lot, or which element as a whole, is off by how much: told apart together, heat by heat.

For each element a Kalman filter follows by how much (relative) every lot in use brings more than its
certificate says. Honest lots differ by the spread in the reference; so a heat with two lots blames the one
that is more likely off, and takes it back when later heats show otherwise. Noise is taken off where it is
known: what oxygen burns it burns of several elements at once, and a sample that reads high at tapping is the
first sample of the ladle furnace. What a station's last heats lost of an element, the next ones lose too: it
is followed beside the lots, so that neighbouring heats count for no more than they tell. Everything uses only
what was known before the heat.

Beside it a sudden change is looked for (Willsky and Jones 1976): what the errors would look like if from a
heat on an element, or everything, came out 100 % more, whatever lot is in use. By how much it does is
`score / information`, with the standard deviation `1 / sqrt(information)`; a lot that is in use before and
after tells most of it.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from monitoring.diagnosis.filters import ElementFilter, Lot, Tipped, is_memory, memory_of
from monitoring.diagnosis.reference import Beside, Reference
from monitoring.measures.treatments import ROW

CHANGE_EVERY = 100  # treatments: when a change may begin, and is looked for
CHANGES_AGO = (200, 400, 800)  # treatments before the look
LEAST_NOISE = 0.25  # of the variance, besides memory
LOOKS = {
    ROW: pl.UInt32,
    "since": pl.UInt32,
    "additive": pl.String,
    "lot": pl.String,
    "element": pl.String,
    "heats": pl.UInt32,
    "estimate": pl.Float64,
    "spread": pl.Float64,
    "told": pl.Float64,
}
CHANGES = {
    "kind": pl.String,
    "element": pl.String,
    ROW: pl.UInt32,
    "since": pl.UInt32,
    "estimate": pl.Float64,
    "sd": pl.Float64,
}


class ToldApart(NamedTuple):
    """`lots`: a row per treatment, lot and element: after how many `heats` with it, the `estimate` of what it
    brings more (relative), its `spread` while nothing is wrong, and `told`, what its heats tell in units of
    what is known of such lots anyway. `changes`: a row per look, `kind` ("element" or "scale") and how long
    ago.
    """

    lots: pl.DataFrame
    changes: pl.DataFrame


class _Heat(NamedTuple):
    row: int
    heat: str
    station: str
    results: dict[str, float]
    tipped: dict[str, Tipped]


class _Part(NamedTuple):
    """A result counts so much in an error."""

    weight: float
    heat: _Heat
    element: str


def told_apart(pairs: pl.DataFrame, standard: pl.DataFrame, reference: Reference) -> ToldApart:
    """Follow one plant's heats. `pairs` as `reference.by_lot`, of the lots that are judged; `standard` as
    `reference.standardised`.
    """
    sd_rel = {(a, e): of.sd_rel for a, elements in reference.lots.items() for e, of in elements.items()}
    filters = {element: ElementFilter() for _, element in sorted(sd_rel, key=lambda pair: pair[1])}
    met: dict[tuple[Lot, str], tuple[int, set[str]]] = {}
    before: dict[str, _Heat] = {}
    places = Counter[str]()
    looks, changes = list[tuple[object, ...]](), list[tuple[object, ...]]()
    at = CHANGE_EVERY
    for heat in _heats(pairs, standard):
        while heat.row >= at:
            changes += _changes(filters, at)
            for of in filters.values():
                of.may_change(at, at - max(CHANGES_AGO))
            at += CHANGE_EVERY
        places[heat.station] += 1
        for element, brought in heat.tipped.items():
            memory = _beside(reference, heat, element).memory
            if memory:
                filters[element].fade(heat.row, places[heat.station], memory_of(heat.station), memory)
                brought.append((memory_of(heat.station), sum(x for _, x in brought)))
        sums = {e: _sum(reference, heat, before.get(heat.heat), e, filters) for e in heat.tipped}
        for element, (error, tipped, noise_var, together) in sums.items():
            of = filters[element]
            lots = [lot for lot, _ in heat.tipped[element] if not is_memory(lot)]
            for lot in lots:
                of.meet(heat.row, lot, sd_rel[lot[0], element])
            of.learn(tipped, error, noise_var, together)
            for lot in lots:
                since, heats = met.setdefault((lot, element), (heat.row, set()))
                heats.add(heat.heat)
                looks.append(
                    (heat.row, since, *lot, element, len(heats), *of.told(lot, sd_rel[lot[0], element]))
                )
        before[heat.heat] = heat
    return ToldApart(
        pl.DataFrame(looks, schema=LOOKS, orient="row"), pl.DataFrame(changes, schema=CHANGES, orient="row")
    )


def _sum(
    reference: Reference, heat: _Heat, before: _Heat | None, element: str, filters: dict[str, ElementFilter]
) -> tuple[float, Tipped, float, list[float]]:
    """An element's error without the noise that is known; what was tipped for it, by lot, as it counts in
    it; the variance of what is left of the noise; and what each change of everything would do to it.
    """
    of = _beside(reference, heat, element)
    parts, noise_sd = _parts(heat, element, of, 1.0), of.sd
    if of.before and before and element in before.tipped and element in before.results:
        parts += _parts(before, element, _beside(reference, before, element), -of.before.slope)
        noise_sd = of.before.sd
    noise_var = noise_sd**2
    error, together = 0.0, [0.0] * len(filters[element].together)
    tipped: Tipped = []
    for weight, at, name in parts:
        error += weight * at.results[name]
        brought = at.tipped.get(name, [])
        if name == element:
            tipped += [(lot, weight * x) for lot, x in brought]
            memory = _beside(reference, at, name).memory
            noise_var -= (weight * brought[-1][1] * memory.sd_rel) ** 2 if memory and brought else 0.0
        elif brought:
            error -= weight * filters[name].expected(brought)
        for n, change in enumerate(filters[name].together if brought else ()):
            together[n] += weight * change.surprise(brought)
    return error, tipped, max(noise_var, LEAST_NOISE * noise_sd**2), together


def _beside(reference: Reference, heat: _Heat, element: str) -> Beside:
    return reference.beside.get(heat.station, {}).get(element) or Beside(None, 0.0, 1.0)


def _parts(heat: _Heat, element: str, beside: Beside, weight: float) -> list[_Part]:
    parts = [_Part(weight, heat, element)]
    if beside.partner in heat.results:
        parts.append(_Part(-weight * beside.slope, heat, str(beside.partner)))
    return parts


def _heats(pairs: pl.DataFrame, standard: pl.DataFrame) -> Iterator[_Heat]:
    """Row by row: the results, and what was tipped for each element that has one."""
    heats: dict[int, _Heat] = {}
    for row, station, element, y in standard.select(ROW, "station", "element", "y").iter_rows():
        if row not in heats:
            heats[row] = _Heat(row, "", station, {}, {})
        heats[row].results[element] = y
    for row, heat, element, additive, lot, x in pairs.select(
        ROW, "heat", "element", "additive", "lot", "x"
    ).iter_rows():
        if not heats[row].heat:
            heats[row] = heats[row]._replace(heat=heat)
        heats[row].tipped.setdefault(element, []).append(((additive, lot), x))
    yield from (heats[row] for row in sorted(heats))


def _changes(filters: dict[str, ElementFilter], row: int) -> Iterator[tuple[object, ...]]:
    for ago in CHANGES_AGO:
        found = [("element", element, of.changes) for element, of in filters.items()]
        for kind, element, changes in (
            *found,
            ("scale", None, [c for of in filters.values() for c in of.together]),
        ):
            since = [change for change in changes if change.since == row - ago]
            information = sum(change.information for change in since)
            if information > 0:
                estimate = sum(change.score for change in since) / information
                yield kind, element, row - 1, row - ago, estimate, 1 / math.sqrt(information)
