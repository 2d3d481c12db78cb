"""The catalogues: complete in every language, and nothing in them that no page says."""

import re
from pathlib import Path

import pytest

from backend.pages import one_heat
from backend.pages.texts import catalogues, language_for, text

PAGES = Path(one_heat.__file__).parent
SOURCES = [*PAGES.glob("templates/*.html"), *PAGES.glob("*.py")]
# A text is asked for by its name, or by the front of it where the rest is a value.
NAMED = re.compile(r"""["']((?:[a-z_]+\.)*[a-z_]+)["']""")
FRONT = re.compile(r"""["']((?:[a-z_]+\.)+(?:[a-z]+_)?)["']\s*~|f["']((?:[a-z_]+\.)+)\{""")


def asked_for() -> tuple[set[str], set[str]]:
    """Names, and fronts of names, in templates and code."""
    sources = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES)
    fronts = {first or second for first, second in FRONT.findall(sources)}
    return set(NAMED.findall(sources)), fronts


def test_every_text_that_is_asked_for_by_name_is_there() -> None:
    names, fronts = asked_for()
    sections = {name.partition(".")[0] for name in catalogues()["en"] if "." in name}

    asked = {name for name in names if "." in name and name.partition(".")[0] in sections}
    asked -= {name for name in asked if name.endswith(".html") or name in fronts}

    assert len(asked) > 50
    assert sorted(asked - set(catalogues()["en"])) == []


def test_no_text_is_kept_that_nobody_asks_for() -> None:
    names, fronts = asked_for()

    unused = [name for name in catalogues()["en"] if name not in names and not name.startswith(tuple(fronts))]

    assert unused == []


@pytest.mark.parametrize("language", sorted(catalogues()))
def test_every_language_has_every_text_with_the_same_blanks(language: str) -> None:
    blanks = {name: set(re.findall(r"\{(\w+)\}", said)) for name, said in catalogues()[language].items()}
    english = {name: set(re.findall(r"\{(\w+)\}", said)) for name, said in catalogues()["en"].items()}

    assert blanks == english


def test_reasons_states_and_verdicts_have_their_words() -> None:
    wanted = [f"reason.{code}" for code in one_heat.REASONS]
    wanted += [
        f"state.{state}" for state in ("registered", "recommended", "decided", "completed", "cancelled")
    ]
    wanted += [f"verdict.{verdict}" for verdict in one_heat.VERDICTS]

    assert [name for name in wanted if name not in catalogues()["en"]] == []


def test_blanks_are_filled_in() -> None:
    assert text("en", "heat.title", heat_no="26-{1}") == "Heat 26-{1}"


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("en-GB,en;q=0.9", "en"),
        ("de-AT,en;q=0.9", "de"),
        ("de;q=0.2,en;q=0.8", "en"),
        ("xx", "en"),
        ("", "en"),
        ("xx;q=1, en;q=0.1", "en"),
        ("en;q=nonsense", "en"),
    ],
)
def test_the_language_is_what_the_browser_asks_for_else_english(wanted: str, got: str) -> None:
    assert language_for(wanted) == got
