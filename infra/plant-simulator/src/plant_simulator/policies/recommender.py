"""A recommender outside the plant: a process that answers requests as JSON lines, one answer a line.

It is told what a backend tells the model service (contract `recommendation-request.v1`), readings only: the
heat, what the bins offer with lots and certificates, and the last heats of its line whose results have come
back. What it says is kept as arrays, so that it can be asked what other kilograms would have made.
"""

import json
import math
import shlex
import subprocess
import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from plant_simulator import events, master_data
from plant_simulator.bulk import View
from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import ELEMENTS, INDEX, Booleans, Floats
from plant_simulator.errors import SimulatorError
from plant_simulator.history import LATE_RESULT_AFTER_MIN, RESULT_AFTER_MIN
from plant_simulator.instruments import ObservedHeats, ObservedResults
from plant_simulator.lots import lot_name
from plant_simulator.tables import rows

RECENT_HEATS, LATE_ONES = 30, 4
MINUTES_BETWEEN_HEATS = 40.0
START = datetime(2026, 1, 1, tzinfo=UTC)


class RecommenderGoneError(SimulatorError):
    """The process ended, or cannot be started."""


class Recommender:
    """The process; closed by `close`, or as a context."""

    def __init__(self, command: str) -> None:
        try:
            self._process = subprocess.Popen(
                shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except OSError as error:
            raise RecommenderGoneError(
                f"{command!r} cannot be started ({error}); allowed: a command"
            ) from None

    def answers(self, requests: Sequence[str]) -> list[dict[str, Any]]:
        """One answer per request, in their order. Raises RecommenderGoneError where the process ends."""
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None and pipe_out is not None  # noqa: S101, PT018 (asked for above)

        def write() -> None:
            try:
                for request in requests:
                    pipe_in.write(request.encode() + b"\n")
                pipe_in.flush()
            except (BrokenPipeError, ValueError):
                return  # the reader sees the end of the answers and says so

        # Apart, because a full pipe of answers would stop the process from reading on.
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        lines = [pipe_out.readline() for _ in requests]
        writer.join(timeout=10)
        if not all(lines):
            raise RecommenderGoneError(
                f"the recommender ended after {sum(map(bool, lines))} of {len(lines)} requests; "
                "allowed: one answer a line for each"
            )
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)

    def __enter__(self) -> "Recommender":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Advice:
    """Answers for some heats. Kilograms (heat, additive); wt % (heat, element), NaN where nothing is said:
    `base_pct` without what the last heats say, `predicted_pct` with it, `half_pct` half of the interval, all
    for `kg`; `slope` (heat, additive, element) wt % per kg. An abstention has no kilograms.
    """

    is_given: Booleans
    kg: Floats
    base_pct: Floats
    predicted_pct: Floats
    half_pct: Floats
    slope: Floats


def moved(pct: Floats, advice: Advice, kg: Floats) -> Floats:
    """What was said for the advised kilograms, said for these instead: the outcome is affine in them."""
    other: Floats = pct + np.einsum("na,nae->ne", kg - advice.kg, advice.slope)
    return other


class _Asked(NamedTuple):
    """One step's heats: treatment and X as JSON, what was advised, and by which model."""

    treatments: list[str]
    heats: list[str]
    advice: Advice
    bundles: list[str]


class Desk:
    """Where advice is asked for, at one station: knows the lines' last heats as the backend would. Each heat
    tells what a miss costs, unless a confidence is asked for instead.
    """

    def __init__(
        self,
        plant: Catalogue,
        recommender: Recommender,
        station: str,
        lines: int,
        confidence: float | None,
        miss_price: float,
    ) -> None:
        self._plant, self._recommender, self._station = plant, recommender, station
        self._confidence = "" if confidence is None else f',"confidence":{confidence:g}'
        self._miss = {} if confidence is not None else events.price_of_a_miss(plant, miss_price)
        self._done: list[list[tuple[float, str]]] = [[] for _ in range(lines)]
        self._offers: dict[tuple[int, int, int, float], str] = {}
        self._asked: _Asked | None = None
        self.reasons: Counter[str] = Counter()

    def ask(self, view: View, step: int, is_late: Booleans) -> Advice:
        """What is advised for the heats of this step; `is_late`: whose result of the step before was late."""
        if view.last is not None and self._asked is not None:
            self._complete(self._asked, *view.last, MINUTES_BETWEEN_HEATS * (step - 1), is_late)
        minutes = MINUTES_BETWEEN_HEATS * step
        seen, treatments, heats, requests = view.heats, list[str](), list[str](), list[str]()
        for i, (line, heat_no) in enumerate(zip(seen.line.tolist(), seen.heat_no.tolist(), strict=True)):
            treatment = {
                "plant_id": f"line-{line}",
                "heat_uid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{line}/{heat_no}")),
                "station": self._station,
                "treatment_no": 1,
            }
            one, grade, now = rows(seen, slice(i, i + 1)), int(seen.grade[i]), _at(minutes)
            x = events.heat(self._plant, one, treatment, f"H{heat_no:07d}", grade, now)
            treatments.append(json.dumps(treatment))
            heats.append(json.dumps(x | self._miss))
            offered = np.flatnonzero(seen.is_offered[i] & ~self._plant.is_forbidden[grade])
            offers = ",".join(self._offer(seen, i, j) for j in offered.tolist())
            known = ",".join([text for at, text in self._done[i] if at <= minutes][-RECENT_HEATS:])
            requests.append(
                f'{{"heat":{heats[i]},"additives":[{offers}],"recent_heats":[{known}]{self._confidence}}}'
            )
        answers = self._recommender.answers(requests)
        advice = self._read(answers)
        bundles = [str(answer.get("model", {}).get("bundle_hash", "")) for answer in answers]
        self._asked = _Asked(treatments, heats, advice, bundles)
        return advice

    def _complete(
        self,
        asked: _Asked,
        before: ObservedHeats,
        after: ObservedResults,
        began_min: float,
        is_late: Booleans,
    ) -> None:
        """Keep what became of a step's heats; one that got nothing tells nothing of recovery."""
        base = moved(asked.advice.base_pct, asked.advice, after.weighed_kg)
        for i, bundle in enumerate(asked.bundles):
            tipped = np.flatnonzero(after.weighed_kg[i] > 0).tolist()
            if not tipped:
                continue
            at = began_min + (LATE_RESULT_AFTER_MIN if is_late[i] else RESULT_AFTER_MIN)
            told: dict[str, Any] = {
                "completed_at": events.instant(_at(at)),
                "additions": [
                    {
                        "additive": self._plant.additives[j].additive,
                        "lot": lot_name(self._plant.additives[j], int(before.lot_no[i, j])),
                        "added_kg": float(after.weighed_kg[i, j]),
                    }
                    for j in tipped
                ],
                "chemistry_after": events.chemistry(after.chemistry_pct[i], after.is_below[i]),
            }
            if bundle and asked.advice.is_given[i]:
                said = zip(ELEMENTS, base[i].tolist(), strict=True)
                told["base_prediction_pct"] = {e: pct for e, pct in said if not math.isnan(pct)}
                told["bundle_hash"] = bundle
            offers = ",".join(self._offer(before, i, j) for j in tipped)
            text = (
                f'{json.dumps(told)[:-1]},"treatment":{asked.treatments[i]},"heat":{asked.heats[i]},'
                f'"additives":[{offers}]}}'
            )
            self._done[i] = sorted([*self._done[i][-RECENT_HEATS - LATE_ONES :], (at, text)])

    def _offer(self, seen: ObservedHeats, i: int, j: int) -> str:
        """One additive as it stands in its bin, as JSON."""
        key = (int(seen.line[i]), j, int(seen.lot_no[i, j]), float(seen.price_per_t[i, j]))
        if key not in self._offers:
            one: Any = rows(seen, slice(i, i + 1))  # readings have all that it looks at
            additive = self._plant.additives[j]
            document = master_data.additive_document(self._plant, additive, one, j, additive.bin_kg)
            self._offers[key] = json.dumps(document)
        return self._offers[key]

    def _read(self, answers: Sequence[dict[str, Any]]) -> Advice:
        width, unknown = len(self._plant.additives), np.full((len(answers), len(ELEMENTS)), np.nan)
        advice = Advice(
            is_given=np.zeros(len(answers), dtype=np.bool_),
            kg=np.zeros((len(answers), width)),
            base_pct=unknown.copy(),
            predicted_pct=unknown.copy(),
            half_pct=unknown.copy(),
            slope=np.zeros((len(answers), width, len(ELEMENTS))),
        )
        of = {name: j for j, name in enumerate(self._plant.additive_names)}
        for i, answer in enumerate(answers):
            if answer.get("status") != "recommended":
                found = answer.get("abstention_reasons") or [{"code": answer.get("title", "no answer")}]
                self.reasons.update({reason["code"] for reason in found})
                continue
            advice.is_given[i] = True
            for addition in answer["additions"]:
                advice.kg[i, of[addition["additive"]]] += addition["added_kg"]
            for element, told in answer["elements"].items():
                e = INDEX.get(element)
                if e is None:
                    continue
                advice.base_pct[i, e], advice.predicted_pct[i, e] = told["base_pct"], told["predicted_pct"]
                advice.half_pct[i, e] = (told["interval_pct"]["high"] - told["interval_pct"]["low"]) / 2
                for additive, slope in told["slope_pct_per_kg"].items():
                    advice.slope[i, of[additive], e] = slope
        return advice


def _at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)
