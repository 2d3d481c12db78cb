"""A pytest plugin: under CI=true nothing is left out in silence; a skip or an expected failure fails."""

import os
from collections.abc import Generator

import pytest

SENTENCE = "left out, which CI=true does not allow: "


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the report of a skipped test into one of a failed test."""
    report = yield
    if _strict() and (report.skipped or hasattr(report, "wasxfail")):
        report.outcome = "failed"
        report.longrepr = SENTENCE + _reason(report)
        vars(report).pop("wasxfail", None)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the report of a skipped module into one of a module that cannot be collected."""
    report = yield
    if _strict() and report.skipped:
        report.outcome = "failed"
        report.longrepr = SENTENCE + _reason(report)
    return report


def _strict() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    return str(getattr(report, "wasxfail", report.longrepr))
