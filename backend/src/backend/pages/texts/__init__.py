"""Every word that a page says, in one catalogue per language, chosen by what the browser asks for.

A catalogue is a TOML file of nested tables; a text is named by its path (`heat.confirm`) and may hold
{names} that are filled in.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

DEFAULT = "en"


@cache
def catalogues() -> Mapping[str, Mapping[str, str]]:
    """Language to name to text."""
    return {
        file.stem: dict(_flat(tomllib.loads(file.read_text(encoding="utf-8"))))
        for file in sorted(Path(__file__).parent.glob("*.toml"))
    }


def text(language: str, name: str, /, **values: object) -> str:
    """The text of that name; KeyError where the catalogue has none: a test holds that it has."""
    return catalogues()[language][name].format(**values) if values else catalogues()[language][name]


def language_for(accept_language: str) -> str:
    """The best language of an Accept-Language header that has a catalogue; else English."""
    wanted = []
    for position, part in enumerate(accept_language.split(",")):
        tag, _, parameters = part.strip().partition(";")
        quality = parameters.strip().removeprefix("q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        wanted.append((-weight, position, tag.split("-")[0].lower()))
    return next((tag for _, _, tag in sorted(wanted) if tag in catalogues()), DEFAULT)


def _flat(table: Mapping[str, Any], path: str = "") -> list[tuple[str, str]]:
    found = []
    for key, value in table.items():
        name = f"{path}.{key}" if path else key
        found += _flat(value, name) if isinstance(value, dict) else [(name, str(value))]
    return found
