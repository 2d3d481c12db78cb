"""Train every station's model: physics, trees where they earn their place, slow state, intervals."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import polars as pl
from model_service import oxygen
from model_service.parameters import ElementModel, Parameters, StationModel

from ml_pipeline.errors import TooFewHeatsError
from ml_pipeline.steps import calibration, physics
from ml_pipeline.steps.corrections import Growing
from ml_pipeline.steps.element import Fitted, Wanted, fit_element, useful_trees
from ml_pipeline.steps.first_readings import first_readings
from ml_pipeline.steps.outcome import lagged, terms
from ml_pipeline.steps.parallel import map_elements
from ml_pipeline.steps.priors import OwnPrior, OwnPriors
from ml_pipeline.steps.split import KEY, newest_heats, split_by_time
from ml_pipeline.steps.station import MIN_HEATS, plant_priors, station_shell
from ml_pipeline.steps.temperature import fit_temperature

CALIBRATION_FRACTION = 0.25
TRIAL_HEATS = 100_000
"""Newest heats that are enough to see whether trees help and how wide intervals are."""
ENOUGH_SCORES = 1000
"""Heats from which a 90 % interval's width is told to some 1 % of coverage."""
Report = dict[str, dict[str, object]]


class Trained(NamedTuple):
    """Model parameters, trees by stem, and per station and element what a person wants to know of the fit."""

    parameters: Parameters
    trees: dict[str, str]
    report: dict[str, Report]


class _Done(NamedTuple):
    """One element: its model and trees, notes for a person, and a line of them."""

    model: ElementModel
    trees: dict[str, str]
    notes: dict[str, object]
    said: str


def train(
    prepared: Mapping[str, pl.DataFrame],
    seed: int,
    tell: Callable[[str], None] = lambda _: None,
    processes: int = 1,
    trees_told: Mapping[str, Any] | None = None,
    own_priors: OwnPriors | None = None,
) -> Trained:
    """Train every station of the prepared heats (all of them: hold the test heats back before), so many
    elements at once as `processes`; the result does not depend on it. `trees_told` is what LightGBM is told
    otherwise than usual; `own_priors`, where the plant believes something else than the literature.

    Raises TooFewHeatsError where no station has enough heats to learn from.
    """
    growing = Growing(seed, trees_told)
    stations, trees, report = dict[str, StationModel](), dict[str, str](), dict[str, Report]()
    for name, heats in sorted(prepared.items()):
        if heats.height < MIN_HEATS:
            tell(f"  {name}: {heats.height} heats are too few (at least {MIN_HEATS}); left out")
            continue
        stations[name], of_station, report[name] = _train_station(
            name, heats, growing, tell, processes, (own_priors or {}).get(name, {})
        )
        trees.update(of_station)
    if not stations:
        counts = ", ".join(f"{name} {heats.height}" for name, heats in prepared.items()) or "none"
        raise TooFewHeatsError(
            f"too few heats to train on ({counts}); at least {MIN_HEATS} per station are needed"
        )
    return Trained(Parameters(stations=stations), trees, report)


def _train_station(
    name: str,
    heats: pl.DataFrame,
    growing: Growing,
    tell: Callable[[str], None],
    processes: int,
    own: Mapping[str, OwnPrior],
) -> tuple[StationModel, dict[str, str], Report]:
    priors = plant_priors(name, heats, own)
    shell = station_shell(name, heats, priors)
    elements, trees, report = {}, dict[str, str](), Report()
    binders = oxygen.elements_of(shell.oxygen) if shell.oxygen else ()
    done_elements = map_elements(_train_element, (name, shell, growing), heats, priors, processes, binders)
    for element, done in done_elements:
        elements[element], report[element] = done.model, done.notes
        trees.update(done.trees)
        if done.said:
            tell(f"  {name} {element}: {done.said}")
    after = fit_temperature(shell, heats)
    if after is not None:
        tell(f"  {name} temperature: {after.offset_c:+.1f} C, sd {after.sd_c:.1f} C")
    station = msgspec.structs.replace(shell, elements=dict(sorted(elements.items())), temperature=after)
    return station, trees, report


def _train_element(
    told: tuple[str, StationModel, Growing], heats: pl.DataFrame, element: str, prior: ElementModel
) -> _Done:
    """Train one element; what it needs of the others is in the shell, so elements may be trained at once."""
    name, shell, growing = told
    usable = physics.usable(terms(shell, element, prior, heats))
    known = int(usable.sum())
    if known < MIN_HEATS:
        return _Done(_fitting(prior, shell), {}, {"heats": known, "model": "prior"}, "")
    # Of the heats that tell something: an element may have been analysed only lately.
    with_result = heats if known == heats.height else heats.filter(usable)
    readings = first_readings(shell, element, prior, with_result)
    prior = msgspec.structs.replace(prior, first_readings=readings)
    older, newer = split_by_time(newest_heats(with_result, TRIAL_HEATS), CALIBRATION_FRACTION)
    lags = lagged(heats)
    wanted, judges = Wanted(recovery=False, offset=False), list[calibration.Judge]()
    if older.height >= MIN_HEATS:
        # What helps, and how wide intervals are, is seen on heats newer than those learnt from.
        both = Wanted(recovery=True, offset=True)
        free = fit_element(name, element, shell, prior, older, growing, both)
        wanted = useful_trees(free, shell, element, newer)
        trial = free if wanted == both else fit_element(name, element, shell, prior, older, growing, wanted)
        judges.append(calibration.judge(trial, element, heats, newer))
        while sum(judge.unseen.sum() for judge in judges) < ENOUGH_SCORES and older.height > newer.height:
            # Too few to tell how wide: then also on older ones, left out in their turn.
            older, unseen = older.head(-newer.height), older.tail(newer.height)
            rest = with_result.join(unseen, on=KEY, how="anti", maintain_order="left")
            trial = fit_element(name, element, shell, prior, rest, growing, wanted)
            judges.append(calibration.judge(trial, element, heats, unseen))
    final = fit_element(name, element, shell, prior, heats, growing, wanted)
    every = [calibration.judge(final, element, heats, heats)]
    off = final.model.slow_state
    slow_state = calibration.best_slow_state(off, judges or every, shell, element, heats, lags)
    factor, skew = calibration.interval_and_skew(
        [calibration.strays(judge, slow_state, shell, element, heats, lags) for judge in judges]
    )
    model = msgspec.structs.replace(final.model, slow_state=slow_state, interval_factor=factor, skew=skew)
    notes = {**final.notes, "interval_factor": factor, "skew": skew, "trees": sorted(final.trees)}
    return _Done(model, final.trees, notes, _said(final, known))


def _fitting(prior: ElementModel, shell: StationModel) -> ElementModel:
    """The prior without slopes on features that the station doesn't have."""
    names = {feature.name for feature in shell.features}
    slopes = {name: slope for name, slope in prior.offset_slopes.items() if name in names}
    return msgspec.structs.replace(prior, offset_slopes=slopes)


def _said(fitted: Fitted, heats: int) -> str:
    model = fitted.model
    kinds = [
        kind for kind, tree in (("recovery", model.recovery_tree), ("offset", model.offset_tree)) if tree
    ]
    trees = f", trees for {' and '.join(kinds)}" if kinds else ""
    numbers = (
        f"recovery {model.recovery:.3f}, offset {model.offset_pct:+.4f} %, noise {model.noise_sd_pct:.4f} %"
    )
    return f"{numbers}, {heats} heats{trees}"
