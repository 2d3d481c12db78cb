"""One heat's work has an end, whatever the numbers."""

import threading

import pytest
from making import alloyed

from model_service import linear_program
from model_service.model import Bundle
from model_service.recommendation import recommend


def test_where_the_optimiser_comes_to_no_end_it_abstains(
    grown: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = linear_program._OPTIONS | {"simplex_iteration_limit": 3}
    monkeypatch.setattr(linear_program, "_OPTIONS", options)
    monkeypatch.setattr(linear_program, "_kept", threading.local())

    answer = recommend(grown, alloyed())

    assert answer.status == "abstained"
    assert [reason.code for reason in answer.abstention_reasons] == ["optimiser_failed"]
    assert "iteration limit" in answer.abstention_reasons[0].text.lower()
