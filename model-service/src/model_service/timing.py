"""How long one answer takes in process, and what it cannot go below: JSON, trees and HiGHS alone."""

import time
from collections.abc import Callable, Sequence
from statistics import median, quantiles
from unittest.mock import patch

from model_service import incoming, optimiser
from model_service.contracts import RecommendationRequest
from model_service.documents import encode
from model_service.linear_program import Optimum, solve
from model_service.model import Bundle
from model_service.outcome import known_elements
from model_service.problem import Problem
from model_service.recommendation import recommend
from model_service.state import state_row

_WARM_UP = 20  # requests of each round that are not timed; in the first all recent heats are new


def timing(bundle: Bundle, bodies: Sequence[bytes], runs: int) -> dict[str, dict[str, float]]:
    """Return p50 and p99 (ms) of each part over `runs` calls, which take `bodies` (requests) by turns.

    `processor_p50_ms` is what the processor was really busy with it, whatever else the machine does. Requests
    are those of heats in a row, and all is forgotten after the last: none was answered before, and of its
    recent heats all but one were seen, as in the service. Where a part is named for new ones, all are
    forgotten before each call.
    """
    requests = [incoming.recommendation_request(body) for body in bodies]
    answers = [recommend(bundle, request) for request in requests]
    problems = [_problem_of(bundle, request) for request in requests]
    rows = [_trees_of(bundle, request) for request in requests]

    def decoded(i: int) -> Callable[[], object]:
        request = incoming.recommendation_request(bodies[i])
        return lambda: recommend(bundle, request)

    def whole(i: int) -> Callable[[], object]:
        return lambda: encode(recommend(bundle, incoming.recommendation_request(bodies[i])))

    def whole_of_new(i: int) -> Callable[[], object]:
        incoming.forget()
        return whole(i)

    def decoding_new(i: int) -> Callable[[], object]:
        incoming.forget()
        return lambda: incoming.recommendation_request(bodies[i])

    # What is done before the clock starts returns what is timed.
    parts: dict[str, Callable[[int], Callable[[], object]]] = {
        "recommendation, request decoded": decoded,
        "recommendation, JSON in and out": whole,
        "recommendation, JSON in and out, its recent heats new": whole_of_new,
        "decoding the request, its recent heats but one seen before": lambda i: (
            lambda: incoming.recommendation_request(bodies[i])
        ),
        "decoding the request, its recent heats new": decoding_new,
        "encoding the answer": lambda i: lambda: encode(answers[i]),
        "trees alone": lambda i: lambda: [bundle.trees.predict(name, row) for name, row in rows[i]],
        "linear program alone": lambda i: lambda: solve(problems[i]),
    }
    return {name: _measured(part, len(bodies), runs) for name, part in parts.items()}


def _measured(part: Callable[[int], Callable[[], object]], many: int, runs: int) -> dict[str, float]:
    by_clock, by_processor = list[float](), list[float]()
    warm_up = min(_WARM_UP, many - 1)
    while len(by_clock) < runs:
        incoming.forget()
        for i in range(many):
            timed = part(i)
            started, worked = time.perf_counter(), time.thread_time()
            timed()
            if i >= warm_up:
                by_processor.append((time.thread_time() - worked) * 1000)
                by_clock.append((time.perf_counter() - started) * 1000)
    percentiles = quantiles(by_clock, n=100)
    return {
        "p50_ms": percentiles[49],
        "p99_ms": percentiles[98],
        "processor_p50_ms": median(by_processor),
    }


def _problem_of(bundle: Bundle, request: RecommendationRequest) -> Problem:
    """Return the first problem that HiGHS is given for a request, seen on its way there."""
    seen: list[Problem] = []

    def watched(problem: Problem) -> Optimum:
        seen.append(problem)
        return solve(problem)

    with patch.object(optimiser, "solve", watched):
        recommend(bundle, request)
    return seen[0]


def _trees_of(bundle: Bundle, request: RecommendationRequest) -> list[tuple[str, list[float]]]:
    """Return the trees that a request needs, and the features it brings."""
    station = bundle.parameters.stations[request.heat.treatment.station]
    row = state_row(station, request.heat)
    models = [station.elements[element] for element in known_elements(station, request.heat)]
    names = [name for model in models for name in (model.recovery_tree, model.offset_tree) if name]
    return [(name, row) for name in names]
