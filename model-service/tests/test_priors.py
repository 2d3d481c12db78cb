"""The cold start: sober advice with no heat at all."""

from model_service.model import make_bundle
from model_service.parameters import check_parameters
from model_service.priors import golden_requests, prior_parameters
from model_service.recommendation import recommend


def test_priors_are_consistent() -> None:
    assert check_parameters(prior_parameters()) == []


def test_recoveries_lie_in_the_ranges_of_the_literature() -> None:
    ranges = {
        "tapping": {"C": (0.85, 0.97), "Si": (0.70, 0.97), "Mn": (0.85, 0.98), "Cr": (0.93, 0.99)},
        "ladle_furnace": {"C": (0.85, 0.95), "Si": (0.90, 1.0), "Mn": (0.95, 1.0), "Cr": (0.94, 0.99)},
    }
    for station, elements in ranges.items():
        for element, (low, high) in elements.items():
            assert low <= prior_parameters().stations[station].elements[element].recovery <= high


def test_the_first_day_brings_an_answer_inside_every_window() -> None:
    bundle = make_bundle(prior_parameters(), {})
    tapping, ladle_furnace, scarce = (recommend(bundle, request) for request in golden_requests())

    for answer in (tapping, ladle_furnace):
        assert answer.unreached == []
        for estimate in answer.elements.values():
            assert estimate.probability_inside is None or estimate.probability_inside > 0.9
    assert [limit.limit for limit in scarce.unreached] == ["Mn.min"]
