"""The mapping file: what a plant's CSV extract means. Its fields are explained in `mappings/README.md`.

A wrong mapping is refused as a whole, and every error says where it is (path and line) and what is allowed.
"""

import difflib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ml_pipeline.errors import MappingError

AnalysisUnit = Literal["pct", "mass_fraction", "ppm"]
MassUnit = Literal["kg", "t"]
SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V "
    "Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd "
    "Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm "
    "Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U"
)


def _symbol(value: str) -> str:
    """A misspelt element would otherwise be an element of its own, and the right one be lost in silence."""
    if value not in SYMBOLS.split():
        raise PydanticCustomError(
            "no_element",
            "{value} is no element; allowed: symbols such as C, Si, Mn, Cr",
            {"value": value},
        )
    return value


Element = Annotated[str, AfterValidator(_symbol)]
Oxide = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$")]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Code = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S(.*\S)?$")]
Percent = Annotated[float, Field(ge=0, le=100)]


class Strict(BaseModel):
    """Unknown keys are refused: a misspelt one would otherwise be lost in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        for key in value if isinstance(value, dict) else ():
            if key not in cls.model_fields:
                raise PydanticCustomError(
                    "unknown_key",
                    "this key is not known; allowed: {allowed}",
                    {"key": str(key), "allowed": ", ".join(cls.model_fields)},
                )
        return value


def _named(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class Reading(Strict):
    """A column with a measurement; outside `plausible` it counts as missing."""

    column: str
    plausible: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.plausible and self.plausible[0] >= self.plausible[1]:
            raise ValueError("plausible needs [low, high] with low < high")
        return self


class Mass(Reading):
    """Outside `plausible` the row is kept aside: nothing can be told without a mass."""

    unit: MassUnit


class Oxygen(Reading):
    unit: AnalysisUnit = "ppm"


class Analysis(Reading):
    """`below`: detection limit in the column's unit; what reads at or under it is `below`, not zero."""

    unit: AnalysisUnit | None = None
    below: Annotated[float, Field(gt=0)] | None = None


NamedReading = Annotated[Reading, BeforeValidator(_named)]
NamedAnalysis = Annotated[Analysis, BeforeValidator(_named)]


class Chemistry(Strict):
    unit: AnalysisUnit
    columns: dict[Element, NamedAnalysis] = Field(min_length=1)


class Oxides(Strict):
    unit: AnalysisUnit = "pct"
    columns: dict[Oxide, NamedAnalysis] = {}


class Slag(Strict):
    carry_over_kg_t: NamedReading | None = None
    oxides: Oxides = Oxides()


class FileOrder(Strict):
    """No times in the extract: heats are `spacing_min` apart in the order of the file."""

    order: Literal["file"]
    start: datetime
    spacing_min: Annotated[float, Field(gt=0)]


class TimeColumn(Strict):
    column: str
    format: str = "%Y-%m-%d %H:%M:%S"
    timezone: str = "UTC"


class Csv(Strict):
    file: str
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    empty: list[str] = ["", "NA", "NaN", "nan", "null", "-"]


class Additions(Strict):
    """`columns`: additive to the column, or columns that are summed, of its kilograms."""

    unit: MassUnit
    empty: Literal["zero", "unknown"]
    columns: dict[Code, str | Annotated[list[str], Field(min_length=1)]]


class Heats(Csv):
    heat_no: str
    grade: str
    time: Annotated[
        Annotated[FileOrder, Tag("FileOrder")] | Annotated[TimeColumn, Tag("TimeColumn")],
        Discriminator(
            lambda value: (
                "FileOrder" if "order" in (value if isinstance(value, dict) else dir(value)) else "TimeColumn"
            )
        ),
    ]
    completed_after_min: float | str = 30.0
    treatment_no: str | None = None
    steel_mass: Mass
    temperature_c: NamedReading | None = None
    temperature_after_c: NamedReading | None = None
    oxygen: Oxygen | None = None
    slag: Slag = Slag()
    features: dict[Slug, NamedReading] = {}
    chemistry_before: Chemistry | None = None
    chemistry_after: Chemistry | None = None
    weighed: Additions
    decided: Additions | None = None

    @model_validator(mode="after")
    def _has_a_result(self) -> Self:
        if self.chemistry_after is None and self.temperature_after_c is None:
            raise ValueError(
                "no result to learn from: `chemistry_after` or `temperature_after_c` is needed, or both"
            )
        return self


class AssayColumns(Strict):
    unit: AnalysisUnit
    columns: dict[Element, str] = Field(min_length=1)


class AdditiveTable(Csv):
    """One row per additive, or per lot with `lot` and `valid_from` (the lot in the bin from then on)."""

    additive: str
    assay: AssayColumns
    price_per_t: str | None = None
    lot: str | None = None
    valid_from: TimeColumn | None = None
    stock_kg: str | None = None
    min_kg: str | None = None
    max_kg: str | None = None
    increment_kg: str | None = None


class Additive(Strict):
    assay: dict[Element, Percent] = {}
    price_per_t: Annotated[float, Field(ge=0)] | None = None
    stock_kg: Annotated[float, Field(ge=0)] | None = None
    min_kg: Annotated[float, Field(ge=0)] | None = None
    max_kg: Annotated[float, Field(ge=0)] | None = None
    increment_kg: Annotated[float, Field(gt=0)] | None = None
    chill_c_per_kg_t: Annotated[float, Field(ge=-50, le=50)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if sum(self.assay.values()) > 100.5:
            raise ValueError(f"assay sums to {sum(self.assay.values()):g} %, at most 100 is possible")
        return self


class Additives(Strict):
    """`listed` entries stand beside, or replace single fields of, those of `table`."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    price_valid_from: datetime | None = None
    increment_kg: Annotated[float, Field(gt=0)] = 1.0
    table: AdditiveTable | None = None
    listed: dict[Code, Additive] = {}
    not_offered: dict[Code, str] = {}

    @model_validator(mode="after")
    def _priced(self) -> Self:
        priced = (self.table and self.table.price_per_t) or any(
            a.price_per_t is not None for a in self.listed.values()
        )
        if priced and not self.currency:
            raise ValueError("prices need `currency`, three letters such as EUR")
        return self


class Window(Strict):
    min: Percent | None = None
    aim: Percent | None = None
    max: Percent | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        given = [value for value in (self.min, self.aim, self.max) if value is not None]
        if not given or given != sorted(given):
            raise ValueError(f"a window needs min <= aim <= max and at least one of them, got {given}")
        return self


class DerivedWindows(Strict):
    """Windows of grades that `windows` doesn't name: quantiles [min, aim, max] of their own results."""

    elements: list[Element] = Field(min_length=1)
    quantiles: tuple[float, float, float] = (0.02, 0.5, 0.98)
    min_heats: Annotated[int, Field(ge=5)] = 30

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 0 <= self.quantiles[0] < self.quantiles[1] < self.quantiles[2] <= 1:
            raise ValueError("quantiles need 0 <= min < aim < max <= 1")
        return self


class Grades(Strict):
    windows: dict[Code, dict[Element, Window]] = {}
    derived: DerivedWindows | None = None


class HandbookStep(Strict):
    element: Element
    additives: list[Code] = Field(min_length=1)
    not_beyond_aim_of: list[Element] = []


class Handbook(Strict):
    """The plant's rule of thumb. A recovery that is not given is derived from the plant's own results."""

    nominal_recovery: dict[Element, Annotated[float, Field(gt=0, le=1.2)]] = {}
    assumed_pct: dict[Element, Percent] = {}
    steps: list[HandbookStep] = Field(min_length=1)


class Mapping(Strict):
    plant_id: Code
    station: Slug
    heats: Heats
    additives: Additives
    grades: Grades = Grades()
    handbook: Handbook | None = None


def load_mapping(path: Path) -> Mapping:
    """Read and check a mapping file.

    Raises MappingError with one line per error: path, line, what, allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except FileNotFoundError:
        raise MappingError(f"{path}: no such mapping file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MappingError(f"{path}: not YAML in UTF-8: {error}") from error
    try:
        return Mapping.model_validate(document)
    except ValidationError as error:
        lines = [f"{path}: {len(error.errors())} errors in the mapping"]
        for detail in error.errors():
            where = [part for part in detail["loc"] if part not in _TAGS]
            where += [detail["ctx"]["key"]] if detail["type"] == "unknown_key" else []
            line = _line(tree, where)
            lines.append(f"  {'.'.join(map(str, where)) or '(whole file)'} (line {line}): {_say(detail)}")
        raise MappingError("\n".join(dict.fromkeys(lines))) from error


def utc(moment: datetime) -> datetime:
    """A time of the mapping; without zone it is UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def near(name: str, among: list[str]) -> str:
    """Names near `name`, for an error message."""
    close = difflib.get_close_matches(name, among, n=3, cutoff=0.5)
    return (
        f"near names: {', '.join(close)}"
        if close
        else f"it has: {', '.join(among[:12])}" + (" ..." * (len(among) > 12))
    )


_TAGS = {
    "FileOrder",
    "TimeColumn",
    "str",
    "float",
    "list[str]",
    "constrained-list",
    "[key]",
    "function-before[_named(), Reading]",
}


def _line(tree: yaml.Node | None, where: list[Any]) -> int:
    """Line of the deepest node of the path that exists."""
    node, line = tree, 1
    for part in where:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _say(detail: Any) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "missing":
        return "is needed and missing"
    given = detail.get("input") if detail["type"] != "unknown_key" else {}
    return f"{message}, got {given!r}" if isinstance(given, str | int | float | None) else message
