"""Master data in the shape of its contract (master-data.v1), with the sanity that a schema cannot say."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from backend.shapes import Additive, Code, HandbookEntry, Instant, Shape, Slug, Windows


class GradeEntry(Shape):
    grade: Code
    valid_from: Instant
    windows: Windows
    forbidden_additives: list[Code] = Field(default_factory=list)


class RuleEntry(Shape):
    """The rule for one station and grade; grade "*" is any other."""

    station: Slug
    grade: Code
    entry: HandbookEntry


class Rule(Shape):
    rule_id: Code
    entries: Annotated[list[RuleEntry], Field(min_length=1)]

    @model_validator(mode="after")
    def _once(self) -> "Rule":
        _no_twice("entries", [(entry.station, entry.grade) for entry in self.entries])
        return self


class MasterData(Shape):
    plant_id: Code
    grades: list[GradeEntry]
    additives: list[Additive]
    handbook_rule: Rule

    @model_validator(mode="after")
    def _sane(self) -> "MasterData":
        _no_twice("grades", [(grade.grade, grade.valid_from) for grade in self.grades])
        _no_twice("additives", [additive.additive for additive in self.additives])
        currencies = {additive.price_per_t.currency for additive in self.additives}
        if len(currencies) > 1:
            raise PydanticCustomError(
                "currency",
                "should have all prices in one currency, not {given}",
                {"given": ", ".join(sorted(currencies))},
            )
        return self


def _no_twice(of: str, keys: Sequence[object]) -> None:
    twice = _repeated(keys)
    if twice:
        raise PydanticCustomError(
            "twice", "should name each of {of} once, not twice: {twice}", {"of": of, "twice": twice}
        )


def _repeated(keys: Iterable[object]) -> str:
    seen: set[object] = set()
    return ", ".join(str(key) for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
