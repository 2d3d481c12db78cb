"""What the story of the loop checks."""

import pytest

from local_runner.loop import in_the_same_grades


def test_a_campaign_of_another_grade_is_no_recovery() -> None:
    was = {"hard": [2.0] * 90, "easy": [1.0] * 10}
    now = {"hard": [2.0] * 10, "easy": [1.0] * 90, "new": [9.0]}

    assert in_the_same_grades(was, now) == (pytest.approx(1.1), pytest.approx(1.1))


def test_without_a_common_grade_nothing_is_compared() -> None:
    assert in_the_same_grades({"a": [1.0]}, {"b": [1.0]}) is None
