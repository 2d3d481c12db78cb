"""When is a model told to be degraded? Where the *model* is diagnosed (never a lot, people or an instrument),
and at least k of the last n windows of heats show it, the latest one among them."""

from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from monitoring.diagnosis.diagnose import Diagnosed
from monitoring.diagnosis.findings import Finding, sentence


class Windows(NamedTuple):
    """The rule: windows of so many `heats` of a station; `least` of the `last` ones, and the latest."""

    heats: int = 20
    least: int = 3
    last: int = 5


USUAL = Windows()


class Degraded(NamedTuple):
    """What `monitoring.model.degraded.v1` says."""

    plant_id: str
    station: str
    model_version: str
    bundle_hash: str
    diagnosis: str
    elements: list[str]
    sentence: str
    evidence: dict[str, Any]
    detected_at: datetime
    since: datetime
    since_heat: str
    windows: dict[str, Any]


def degraded(diagnosed: Diagnosed, model_version: str, bundle_hash: str, rule: Windows) -> list[Degraded]:
    """What is to be told now, one per finding; nothing where it is over, or has not lasted."""
    heats = diagnosed.surprises.heats
    found = []
    for finding in diagnosed.findings:
        if finding.diagnosis != "model" or finding.station is None:
            continue
        windows = violated_windows(diagnosed.alarms, heats, finding, rule)
        violated = [one is not None for one in windows[-rule.last :]]
        if len(violated) < rule.least or sum(violated) < rule.least or not violated[-1]:
            continue
        begun = heats.row(_since(windows), named=True)
        what = (finding.cause, finding.subject, finding.station, finding.elements, finding.grades)
        said = sentence(*what, finding.evidence["effect"], begun["heat_no"])
        found.append(
            Degraded(
                finding.plant_id, finding.station, model_version, bundle_hash, finding.diagnosis,
                finding.elements, said[:500],
                {"cause": finding.cause, "grades": finding.grades, **finding.evidence},
                finding.detected_at, begun["completed_at"], begun["heat_no"],
                {"heats": rule.heats, "least": rule.least, "last": rule.last, "violated": violated},
            )
        )  # fmt: skip
    return found


def violated_windows(
    alarms: pl.DataFrame, heats: pl.DataFrame, finding: Finding, rule: Windows
) -> list[int | None]:
    """Per window, oldest first: the first heat (row) of the first look, of the finding's grades, that was
    beyond its limit; None where none was. Windows are counted back from the newest heat of the station."""
    here = heats.filter(station=finding.station)["row"].sort().to_list()
    newest = here[-rule.heats] if len(here) >= rule.heats else 0
    looks = (
        alarms.filter(
            (pl.col("kind") == "grade")
            & (pl.col("station") == finding.station)
            & pl.col("subject").is_in(finding.grades)
        )
        .sort("row")
        # What is not wrong any more, or was wrong the other way before, is another matter.
        .filter(
            pl.col("row").last().over("subject", "element") >= newest,
            pl.col("estimate") * pl.col("estimate").last().over("subject", "element") > 0,
        )
        .group_by("row")
        .agg(pl.col("since").max())  # the shortest look that sees it: the longer ones begin before the change
        .sort("row")
    )
    since = {int(row): int(begun) for row, begun in looks.iter_rows()}
    windows = [here[max(0, end - rule.heats) : end] for end in range(len(here), 0, -rule.heats)]
    return [
        next((since[row] for row in window if row in since), None)
        for window in reversed(windows)
        if len(window) == rule.heats
    ]


def _since(windows: list[int | None]) -> int:
    """Where the unbroken run of violated windows that ends now began."""
    begun = windows[-1]
    for one in reversed(windows):
        if one is None:
            break
        begun = one
    return max(0, begun or 0)
