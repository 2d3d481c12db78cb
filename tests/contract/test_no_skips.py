"""Under CI=true nothing is left out in silence."""

import pytest

PLUGIN = ("-p", "pytest_no_skips")
SKIPPED = """
    import pytest

    def test_left_out():
        pytest.skip("no browser here")

    @pytest.mark.xfail(reason="not now")
    def test_expected_to_fail():
        assert False

    def test_done():
        assert True
"""


def test_a_skip_or_an_expected_failure_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile(SKIPPED)

    result = pytester.runpytest(*PLUGIN)

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*CI=true does not allow*no browser here*"])


def test_a_module_that_is_left_out_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile("import pytest\npytest.importorskip('no_such_module')")

    result = pytester.runpytest(*PLUGIN)

    result.assert_outcomes(errors=1)


def test_at_a_desk_a_skip_is_a_skip(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(SKIPPED)

    result = pytester.runpytest(*PLUGIN)

    result.assert_outcomes(passed=1, skipped=1, xfailed=1)
