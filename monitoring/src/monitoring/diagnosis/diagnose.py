"""From the heats of a plant and a reference to findings: which of model, people, material and instruments
changed.

Alarms that come close to one another are one finding. What it is called is decided by `explain`, once with
what was known at the alarm and again with what came after.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import polars as pl

from monitoring.diagnosis.drift import SCRAP, drift, standard_reading
from monitoring.diagnosis.explain import Explanation, explain
from monitoring.diagnosis.findings import DIAGNOSES, Finding, Naming, sentence
from monitoring.diagnosis.grades import grades
from monitoring.diagnosis.inputs import inputs_of
from monitoring.diagnosis.lots import lots
from monitoring.diagnosis.people import aims, people
from monitoring.diagnosis.reference import Reference, by_lot, standardised
from monitoring.diagnosis.surprises import Surprises, surprises_of
from monitoring.diagnosis.together import together
from monitoring.diagnosis.told_apart import told_apart
from monitoring.measures.treatments import ROW

TOGETHER_WITHIN = 200  # treatments between alarms of one finding
OVER_AFTER = 1000  # treatments without a look beyond its limit: what has drifted, drifts about there
LOOK_BACK = 200  # treatments that an explanation looks at before the alarm
LOOK_ON = 200  # and after it
CLEARLY_BETTER = 8.0  # of gains: half squares, some 16 of which would be chance
MOST_NAMINGS = 12  # of one finding, on the way
FALLBACK = {"lot": "lot", "element": "element", "scale": "scale", "grade": "practice"}


class Diagnosed(NamedTuple):
    """Findings in the order of their alarms, and what they were made from: `surprises` and `alarms` (every
    look that was beyond its limit).
    """

    findings: list[Finding]
    surprises: Surprises
    standard: pl.DataFrame
    alarms: pl.DataFrame


def diagnose(rows: pl.LazyFrame, reference: Reference) -> Diagnosed:
    """Diagnose one plant's rows of the lake (every revision may be among them), from the first to the
    last.
    """
    found = surprises_of(rows)
    standard = standardised(found, reference)
    pairs = by_lot(found, standard, reference)
    known = [(a, e) for a, elements in reference.lots.items() for e in elements]
    judged = pl.DataFrame(known, schema={"additive": pl.String, "element": pl.String}, orient="row")
    pairs = pairs.join(judged, on=["additive", "element"]).sort(ROW, "additive")
    added = sorted({element for _, element in known})
    readings = _readings(rows, found, reference)
    told = told_apart(pairs, standard, reference)
    errors = pl.concat(
        [
            lots(told.lots, reference),
            together(told.changes, reference),
            grades(standard.filter(pl.col("element").is_in(added))),
        ]
    )
    drifted = pl.concat(
        [drift(inputs, station, reference.stations[station]) for station, inputs in readings.items()]
        or [errors.clear()]
    )
    aimed = aims(rows, reference)
    aiming = people(aimed, added, reference)
    at = _At(found.heats)
    findings = [
        *_errors(
            errors, drifted, standard.filter(pl.col("element").is_in(added)), pairs, readings, reference, at
        ),
        *_inputs(drifted, at),
        *_people(aiming, aimed, at),
    ]
    findings = [one for one in findings if not _is_by_a_wrong_model(one, findings)]
    alarms = pl.concat([errors, drifted, aiming]).sort("row")
    return Diagnosed(sorted(findings, key=lambda one: one.alarm_row), found, standard, alarms)


def _is_by_a_wrong_model(people: Finding, findings: list[Finding]) -> bool:
    """Where people aim is told by what the model believes, which says nothing where it is wrong itself."""
    return people.cause == "aim" and any(
        one.cause == "practice"
        and one.station == people.station
        and set(people.elements) <= set(one.elements)
        and one.since_row <= people.alarm_row
        for one in findings
    )


class _At:
    """Which heat a row is."""

    def __init__(self, heats: pl.DataFrame) -> None:
        self._heats = heats

    def __call__(self, row: int) -> dict[str, Any]:
        return self._heats.row(min(max(row, 0), self._heats.height - 1), named=True)


def _readings(rows: pl.LazyFrame, found: Surprises, reference: Reference) -> dict[str, pl.DataFrame]:
    here = found.heats["station"].unique().to_list()
    return {
        station: inputs_of(rows.filter(pl.col("station") == station)).with_columns(
            found.heats.filter(station=station)[ROW].alias(ROW)
        )
        for station in reference.stations
        if station in here
    }


def _close(alarms: pl.DataFrame, within: int = TOGETHER_WITHIN) -> Iterator[pl.DataFrame]:
    """Alarms by row, in groups without a longer pause."""
    ordered = alarms.sort("row")
    pause = pl.col("row").cast(pl.Int64).diff().fill_null(0) > within
    for _, group in ordered.with_columns(pause.cum_sum().alias("group")).group_by(
        "group", maintain_order=True
    ):
        yield group


def _errors(
    errors: pl.DataFrame,
    drifted: pl.DataFrame,
    standard: pl.DataFrame,
    pairs: pl.DataFrame,
    readings: dict[str, pl.DataFrame],
    reference: Reference,
    at: _At,
) -> Iterator[Finding]:
    last_row = int(standard[ROW][-1]) if standard.height else 0
    for group in _close(errors):
        first = group.row(0, named=True)
        alarm, last = int(first["row"]), int(group["row"][-1])
        since = max(int(first["since"]), alarm - LOOK_BACK)

        def named(
            test: dict[str, Any], since: int, upto: int, of_group: pl.DataFrame = group
        ) -> list[Explanation]:
            window = pl.col(ROW).is_between(since, upto)
            inputs = _drifted(drifted, readings, reference, since, upto)
            explained = explain(standard.filter(window), pairs.filter(window), inputs)
            # With a figure for each element of each grade much can be explained: so it must have been seen.
            is_seen = not of_group.filter(pl.col("row") <= upto, kind="grade").is_empty()
            return _believed(test, [one for one in explained if is_seen or one.cause != "practice"])

        now = named(first, since, max(last, min(alarm + LOOK_ON, last_row)))
        best = now[0]
        if best.cause == "lot":
            since = _lot_began(pairs, best.subject or "")
        elif best.cause == "practice":
            since = _practice_began(group, best, since)
        told: list[Naming] = []
        for test in _first_looks(group).head(MOST_NAMINGS).iter_rows(named=True):
            then = named(test, max(int(test["since"]), test["row"] - LOOK_BACK), test["row"])[0]
            naming = Naming(
                test["row"], at(test["row"])["heat_no"], _cause(then.cause), then.subject, then.elements
            )
            if not told or told[-1][2:] != naming[2:]:
                told.append(naming)
        evidence = {
            "tests": _tests(group),
            "explanations": [_shown(one) for one in now[:3]],
            "heats": int(standard.filter(pl.col(ROW).is_between(since, last))[ROW].n_unique()),
        }
        yield _finding(at, best, _cause(best.cause), told, since, alarm, last, evidence)


def _believed(test: dict[str, Any], explanations: list[Explanation]) -> list[Explanation]:
    """What the test itself stands for comes first, unless another explanation is clearly better: a test that
    has looked for one thing, seldom, needs less to be believed than the best of all that can be thought of.
    """
    own = Explanation(
        FALLBACK[test["kind"]],
        test["subject"],
        test["station"],
        [e for e in [test["element"]] if e],
        [test["subject"]] if test["kind"] == "grade" else [],
        test["estimate"],
        0.0,
    )

    def is_own(one: Explanation) -> bool:
        same = one.cause == own.cause
        return same and (own.cause != "lot" or (one.subject, one.elements) == (own.subject, own.elements))

    own = next((one for one in explanations if is_own(one)), own)
    others = [one for one in explanations if one != own]
    better = [one for one in others if one.gain > own.gain + CLEARLY_BETTER]
    return [*better, own, *(one for one in others if one not in better)]


def _practice_began(group: pl.DataFrame, best: Explanation, since: int) -> int:
    """Where the first look at these grades that was beyond its limit began, the shortest one: what was
    alarmed about earlier, a lot say, may be another matter. `since` where no grade was beyond its limit.
    """
    of = group.filter(pl.col("subject").is_in(best.grades), kind="grade", station=best.station or "").sort(
        "row"
    )
    return int(of.filter(pl.col("row") == of["row"][0])["since"].max()) if of.height else since  # type: ignore[arg-type]


def _lot_began(pairs: pl.DataFrame, subject: str) -> int:
    of = pl.concat_str("additive", "lot", separator=" ", ignore_nulls=True) == subject
    return int(pairs.filter(of)[ROW][0])


def _drifted(
    drifted: pl.DataFrame, readings: dict[str, pl.DataFrame], reference: Reference, since: int, upto: int
) -> dict[str, pl.DataFrame]:
    """Readings that had drifted by then, to explain errors with."""
    now = drifted.filter(pl.col("row").is_between(since, upto) & ~pl.col("subject").str.ends_with(" missing"))
    found = {}
    for station, name in now.select("station", "subject").unique().sort("station", "subject").iter_rows():
        of = reference.stations[station].inputs[name]
        reading = standard_reading(readings[station], name, of).filter(pl.col(ROW).is_between(since, upto))
        found[name] = reading.select(ROW, "value")
    return found


def _inputs(drifted: pl.DataFrame, at: _At) -> Iterator[Finding]:
    """One finding per kind of input."""
    named = drifted.with_columns(
        pl.col("subject").map_elements(_input_cause, return_dtype=pl.String).alias("cause")
    )
    for (cause,), alarms in named.group_by("cause", maintain_order=True):
        by = ["subject"] if cause in ("input", "reading_missing") else ["cause"]
        for _, of in alarms.group_by(by, maintain_order=True):
            for group in _close(of, OVER_AFTER):
                row = group.row(0, named=True)
                subjects = group.group_by("subject").len().sort("len", descending=True)["subject"].to_list()
                elements = [
                    s.removeprefix("first_").removesuffix("_pct") for s in subjects if s.startswith("first_")
                ]
                explained = Explanation(
                    str(cause), row["subject"], row["station"], elements, [], row["estimate"], 0.0
                )
                evidence = {"tests": _tests(group)}
                alarm, last = int(row["row"]), int(group["row"][-1])
                yield _finding(at, explained, str(cause), [], int(row["since"]), alarm, last, evidence)


def _people(aiming: pl.DataFrame, aimed: pl.DataFrame, at: _At) -> Iterator[Finding]:
    for (element,), of in aiming.group_by("element", maintain_order=True):
        for group in _close(of):
            row = group.row(0, named=True)
            alarm, last = int(row["row"]), int(group["row"][-1])
            here = aimed.filter(station=row["station"], element=element)
            window = here.filter(pl.col(ROW).is_between(int(row["since"]), last))
            effect = row["estimate"] * window.filter("is_own")["sd_pct"].mean()
            explained = Explanation("aim", None, row["station"], [str(element)], [], effect, 0.0)
            evidence = {
                "tests": _tests(group),
                "aimed_pct": effect,
                "was_shown": window["was_shown"].mean(),
                "override_rate": _override_rate(window),
                "override_rate_before": _override_rate(here.filter(pl.col(ROW) < int(row["since"]))),
            }
            yield _finding(at, explained, "aim", [], int(row["since"]), alarm, last, evidence)


def _override_rate(of: pl.DataFrame) -> float | None:
    """How many of the recommendations that were shown were changed: another question than by how much."""
    rate = of.filter("was_shown")["is_own"].mean()
    return float(rate) if isinstance(rate, float) else None


def _finding(
    at: _At,
    of: Explanation,
    cause: str,
    named: list[Naming],
    since: int,
    alarm: int,
    last: int,
    evidence: dict[str, Any],
) -> Finding:
    begun, raised = at(since), at(alarm)
    subject = of.subject or (of.cause if of.cause != cause else None)
    return Finding(
        plant_id=raised["plant_id"],
        diagnosis=DIAGNOSES[cause],
        cause=cause,
        subject=subject,
        station=of.station,
        elements=of.elements,
        grades=of.grades,
        since_row=since,
        alarm_row=alarm,
        last_row=last,
        since_heat=begun["heat_no"],
        alarm_heat=raised["heat_no"],
        detected_at=raised["completed_at"],
        sentence=sentence(cause, subject, of.station, of.elements, of.grades, of.effect, begun["heat_no"]),
        named=named or [Naming(alarm, raised["heat_no"], cause, subject, of.elements)],
        evidence=evidence | {"effect": of.effect},
    )


def _cause(name: str) -> str:
    return name if name in DIAGNOSES else _input_cause(name)


def _input_cause(subject: str) -> str:
    if subject.endswith(" missing"):
        return "reading_missing"
    if subject.startswith("slag_"):
        return "carry_over"
    return "scrap" if subject in {f"first_{element}_pct" for element in SCRAP} else "input"


def _first_looks(group: pl.DataFrame) -> pl.DataFrame:
    """The first look of each test that was beyond its limit."""
    return group.unique(["kind", "station", "subject", "element"], keep="first", maintain_order=True)


def _tests(group: pl.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "test": row["kind"],
            "of": " ".join(str(row[k]) for k in ("station", "subject", "element") if row[k]),
            "estimate": row["estimate"],
            "standard_deviations": abs(row["estimate"]) / row["sd"] if row["sd"] else math.inf,
            "limit": row["limit"],
        }
        for row in _first_looks(group).head(8).iter_rows(named=True)
    ]


def _shown(one: Explanation) -> dict[str, Any]:
    of = " ".join([one.subject or "", one.station or "", *one.elements[:3], *one.grades[:5]]).strip()
    return {"cause": one.cause, "of": of, "effect": one.effect, "gain": one.gain}
