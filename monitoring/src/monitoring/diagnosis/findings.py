"""What is told to a person: one finding for whatever goes together, with its sentence and its evidence."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

Diagnosis = Literal["model", "people", "material", "instrument"]

DIAGNOSES: dict[str, Diagnosis] = {
    "lot": "material",
    "element": "instrument",
    "scale": "instrument",
    "practice": "model",
    "aim": "people",
    "carry_over": "material",
    "scrap": "material",
    "input": "material",
    "reading_missing": "instrument",
}
ELEMENTS = {
    "Al": "aluminium",
    "C": "carbon",
    "Cr": "chromium",
    "Cu": "copper",
    "Mn": "manganese",
    "Mo": "molybdenum",
    "Nb": "niobium",
    "Ni": "nickel",
    "Si": "silicon",
    "Sn": "tin",
    "Ti": "titanium",
    "V": "vanadium",
}


class Naming(NamedTuple):
    """What was named when: after which treatment."""

    row: int
    heat: str
    cause: str
    subject: str | None
    elements: list[str]


class Finding(NamedTuple):
    """`since_heat`: the first heat that shows it; `alarm_heat`: the one whose result raised the alarm.
    `cause` is what is named with what is known now, `named` what was named on the way.
    """

    plant_id: str
    diagnosis: Diagnosis
    cause: str
    subject: str | None
    station: str | None
    elements: list[str]
    grades: list[str]
    since_row: int
    alarm_row: int
    last_row: int
    since_heat: str
    alarm_heat: str
    detected_at: datetime
    sentence: str
    named: list[Naming]
    evidence: dict[str, Any]


def element_name(symbol: str) -> str:
    return ELEMENTS.get(symbol, symbol)


def sentence(
    cause: str,
    subject: str | None,
    station: str | None,
    elements: list[str],
    grades: list[str],
    effect: float,
    since_heat: str,
) -> str:
    """Return the finding in words that a steelmaker understands."""
    names = _listed([element_name(e) for e in elements[:3]])
    at = f" at {station.replace('_', ' ')}" if station else ""
    since = f"Since heat {since_heat}"
    much = f"{abs(100 * effect):.1f} %"
    less = "less" if effect < 0 else "more"
    low = "lower" if effect < 0 else "higher"
    match cause:
        case "lot":
            additive, _, lot = (subject or "").partition(" ")
            return (
                f"{since} lot {lot} of {additive} brings {much} {less} {names} than its certificate says. "
                "The material changed, not the model: have the lot analysed; no retraining."
            )
        case "element":
            return (
                f"{since} {names} comes out {much} {low} than expected from every alloy alike, "
                "others do not. Check the spectrometer with a standard before anything else; no retraining."
            )
        case "scale":
            return (
                f"{since} every added element comes out {much} {low} than weighed, from every alloy and lot. "
                "That is a scale, not chemistry: check the bin scales; no retraining."
            )
        case "practice":
            return (
                f"{since} the model is wrong for {_listed(grades)}{at}: {names} come out {low} than "
                "predicted, and not other grades. The practice seems to have changed: retrain."
            )
        case "aim":
            return (
                f"{since} people aim {abs(effect):.3f} % {low} on {names}{at} than they used to. "
                "People changed, the model did not; no retraining."
            )
        case "carry_over":
            return (
                f"{since} {'more' if effect > 0 else 'less'} slag is carried over than in training. "
                "An input changed: look at taphole and slag stopper."
            )
        case "scrap":
            return (
                f"{since} the steel comes with {'more' if effect > 0 else 'less'} {names} than in training. "
                "The scrap changed: mind the residual limits; no retraining."
            )
        case "reading_missing":
            return f"{since} {_reading(subject)} is missing{at}. Have the probe looked after; no retraining."
        case _:
            return (
                f"{since} {_reading(subject)}{at} is {low} than in the training heats. "
                "An input changed; the model works outside of what it has learnt from."
            )


def _reading(subject: str | None) -> str:
    name = (subject or "a reading").removesuffix(" missing")
    for ending, unit in (("_kg_t", ""), ("_ppm", ""), ("_pct", ""), ("_c", ""), ("_t", "")):
        name = name.removesuffix(ending) + unit
    return name.replace("first_", "first ").replace("_", " ")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "nothing"
