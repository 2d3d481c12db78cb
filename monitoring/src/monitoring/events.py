"""The event that the lake is built from, `product.heat.completed.v1`, as far as monitoring reads it.

Fields that are not listed here are ignored. What is listed is held to the contract: units in the names, UTC
times that end in Z, chemistry as wt % where null is *not measured* and `{"below": x}` is under the detection
limit x.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from monitoring.errors import RefusedMessageError

EVENT_TYPE = "product.heat.completed.v1"
RECOMMENDATION_TYPE = "product.recommendation.made.v1"

Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^\S(.*\S)?$")]
Slug = Annotated[str, Meta(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
Element = Annotated[str, Meta(pattern=r"^[A-Z][a-z]?$")]
Oxide = Annotated[str, Meta(pattern=r"^[A-Z][A-Za-z0-9]*$")]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]  # the lake keeps 32 bits
Percent = Annotated[float, Meta(ge=0, le=100)]
NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Below(Struct, forbid_unknown_fields=True):
    below: Annotated[float, Meta(gt=0, le=100)]


Analysis = Percent | Below | None
Chemistry = dict[Element, Analysis]


class _Timed(Struct):
    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, datetime) and value.tzinfo is not UTC:
                raise ValueError(f"Expected a UTC time that ends in Z, got another in field `{name}`")


class Treatment(Struct):
    plant_id: Code
    heat_uid: Uuid
    station: Slug
    treatment_no: Count


class Money(Struct):
    amount: float
    currency: Currency


class PricePerT(_Timed):
    amount: NotNegative
    currency: Currency
    valid_from: datetime


class Window(Struct):
    min: Percent | None = None
    aim: Percent | None = None
    max: Percent | None = None


class Slag(Struct):
    carry_over_kg_t: NotNegative | None = None
    oxides: dict[Oxide, Analysis] = field(default_factory=dict)


class Heat(_Timed):
    registered_at: datetime
    grade: Code
    chemistry: Chemistry
    steel_mass_t: Positive
    windows: dict[Element, Window] = field(default_factory=dict)
    temperature_c: float | None = None
    oxygen_ppm: float | None = None
    slag: Slag | None = None
    features: dict[Slug, float | None] = field(default_factory=dict)


class Additive(Struct):
    additive: Code
    assay: dict[Element, Percent]
    price_per_t: PricePerT
    increment_kg: Positive
    lot: Code | None = None
    stock_kg: NotNegative | None = None
    min_kg: NotNegative | None = None
    max_kg: NotNegative | None = None
    metallic_yield: Share | None = None
    chill_c_per_kg_t: float | None = None


class Addition(Struct):
    additive: Code
    added_kg: NotNegative
    lot: Code | None = None


class WeighedAddition(_Timed):
    addition_id: Code
    revision: Count
    additive: Code
    added_kg: NotNegative
    weighed_at: datetime
    lot: Code | None = None
    available_at: datetime | None = None


class Interval(Struct):
    low: float
    high: float
    level: Annotated[float, Meta(gt=0, lt=1)]


class Estimate(Struct):
    base_pct: float
    correction_pct: float
    predicted_pct: float
    sd_pct: NotNegative
    interval_pct: Interval


class HandbookAnswer(Struct):
    additions: list[Addition]
    cost: Money


class Answer(Struct):
    """The model service's answer, also when it abstained (then without elements)."""

    status: Literal["recommended", "abstained"]
    elements: dict[Element, Estimate]
    handbook: HandbookAnswer | None = None


class Recommendation(_Timed):
    recommendation_id: Uuid
    source: Literal["model", "handbook"]
    made_at: datetime
    additions: list[Addition]
    cost: Money | None
    model_version: str | None = None
    bundle_hash: Sha256 | None = None
    image_digest: str | None = None
    answer: Answer | None = None


class Decision(_Timed):
    decision_id: Uuid
    decided_at: datetime
    decided_by: Code
    additions: list[Addition]
    revision: Count
    recommendation_id: Uuid | None = None
    note: str | None = None
    shown_at: datetime | None = None
    reason_code: (
        Literal[
            "cost", "chemistry", "temperature", "stock", "quality_of_lot", "practice", "distrust", "other"
        ]
        | None
    ) = None


class ModelReference(Struct):
    bundle_hash: Sha256


class Prediction(Struct):
    status: Literal["predicted", "abstained"]
    elements: dict[Element, Estimate]
    model: ModelReference


class Sample(_Timed):
    sample_id: Code
    revision: Count
    is_final: bool
    sampled_at: datetime
    chemistry: Chemistry
    analysed_at: datetime | None = None
    available_at: datetime | None = None
    steel_mass_t: Positive | None = None
    temperature_c: float | None = None


class X(Struct):
    heat: Heat
    additives: list[Additive]


class YPrime(Struct):
    decision: Decision | None
    weighed: list[WeighedAddition]
    prediction: Prediction | None


class XPrime(Struct):
    samples: Annotated[list[Sample], Meta(min_length=1)]


class HeatCompleted(_Timed):
    """X, Y, Y' and X' of one treatment."""

    treatment: Treatment
    revision: Count
    heat_no: Code
    completed_at: datetime
    available_at: datetime
    x: X
    y: Recommendation | None
    y_prime: YPrime
    x_prime: XPrime


class Event(_Timed):
    """CloudEvents 1.0 envelope."""

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1, max_length=128)]
    source: Annotated[str, Meta(min_length=1)]
    type: Literal["product.heat.completed.v1"]
    subject: Annotated[str, Meta(min_length=1)]
    time: datetime
    data: HeatCompleted


class SlopedEstimate(Estimate):
    slope_pct_per_kg: dict[Code, float] = field(default_factory=dict)


class ShadowAnswer(Struct):
    elements: dict[Element, SlopedEstimate]


class ShadowRecommendation(_Timed):
    recommendation_id: Uuid
    made_at: datetime
    additions: list[Addition]
    cost: Money | None
    bundle_hash: Sha256
    answer: ShadowAnswer
    model_version: str | None = None
    image_digest: str | None = None


class ShadowMade(Struct):
    treatment: Treatment
    recommendation: ShadowRecommendation


class ShadowEvent(Struct):
    """A recommendation that nobody was shown."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    data: ShadowMade


class _Made(Struct):
    class Data(Struct):
        class Recommendation(Struct):
            role: str
            source: str = ""

        recommendation: Recommendation

    data: Data


_decode = msgspec.json.Decoder(Event).decode
_decode_role = msgspec.json.Decoder(_Made).decode
_decode_shadow = msgspec.json.Decoder(ShadowEvent).decode
_PATH = re.compile(r"(?P<problem>.*?)(?: - at (?P<in_key>`key` in )?`(?P<path>\$.*)`)?", re.DOTALL)
_MISSING = re.compile(r"missing required field `(\w+)`")
_FIELD = re.compile(r" in field `(\w+)`")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_ANY_KEY = "[...]"  # how msgspec writes a key of a map that it does not name


def read_event(body: bytes) -> Event:
    """Return the event in `body`, or raise RefusedMessageError that names the place as a JSON path."""
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), body) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        allowed = f"a CloudEvent {EVENT_TYPE} as JSON in UTF-8"
        raise RefusedMessageError(str(error), where="$", allowed=allowed) from error


def read_shadow(body: bytes) -> ShadowEvent | None:
    """Return what a shadow recommended; None for a recommendation that was live. Raises
    RefusedMessageError."""
    try:
        made = _decode_role(body).data.recommendation
        return _decode_shadow(body) if (made.role, made.source) == ("shadow", "model") else None
    except msgspec.ValidationError as error:
        raise _refusal(str(error), body) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        allowed = f"a CloudEvent {RECOMMENDATION_TYPE} as JSON in UTF-8"
        raise RefusedMessageError(str(error), where="$", allowed=allowed) from error


def _refusal(message: str, body: bytes) -> RefusedMessageError:
    found = _PATH.fullmatch(message)
    if found is None:
        raise AssertionError(f"no problem in {message!r}")
    problem, path = found["problem"], found["path"] or "$"
    if missing := _MISSING.search(problem):
        return RefusedMessageError(
            "is missing", where=f"{path}.{missing[1]}", allowed="this field is required"
        )
    if inside := _FIELD.search(problem):
        path = f"{path}.{inside[1]}"
    try:
        document = msgspec.json.decode(body)
        where = _with_keys_named(path + _ANY_KEY * bool(found["in_key"]), document, message)
        value = msgspec.json.encode(_at(document, where)).decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        where, value = path, "unreadable"
    shown = value if len(value) <= 80 else f"{value[:80]}..."
    _, expected, allowed = problem.partition("Expected ")
    what = f"is {shown}" if expected else f"{problem}, is {shown}"
    return RefusedMessageError(
        what, where=where, allowed=allowed.split(", got ")[0] or "what the contract says"
    )


def _with_keys_named(path: str, document: Any, message: str) -> str:
    """Replace each unnamed key in `path` by the key that makes decoding fail with `message` when it stands
    alone.
    """
    while _ANY_KEY in path:
        before, _, after = path.partition(_ANY_KEY)
        entries = _at(document, before)
        whole = dict(entries)
        for key, value in whole.items():
            entries.clear()
            entries[key] = value
            if _fails_with(message, document):
                break
        entries.clear()
        entries.update(whole)
        path = f"{before}.{key}{after}"
    return path


def _fails_with(message: str, document: Any) -> bool:
    try:
        _decode(msgspec.json.encode(document))
    except msgspec.ValidationError as error:
        return str(error) == message
    return False


def _at(document: Any, path: str) -> Any:
    for name, index in _STEP.findall(path):
        document = document[name] if name else document[int(index)]
    return document
