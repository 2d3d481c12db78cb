"""The loop: what follows from what monitoring says. Its memory is the ledger and the links of the release
folder, so a loop that was killed goes on where it was, and nothing is done twice.

    degraded -> [enough heats, cool-down, runs a day] -> pipeline since the change -> gate
        -> challenger in shadow -> judged better -> [a person's consent] -> champion, the one before in shadow
        -> [a person's veto, at any time before] -> no more than a challenger
        -> judged worse than the one before -> that one is champion again;  judged better -> confirmed
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import polars as pl

from ml_pipeline import lake, ledger, pipeline, registry
from ml_pipeline.errors import GateError, PipelineError, VetoError
from ml_pipeline.promotion import promote
from ml_pipeline.release import link, linked, unlink
from ml_pipeline.work import Folders

DEGRADED = "monitoring.model.degraded.v1"
JUDGED = "monitoring.shadow.judged.v1"
APPROVED = "monitoring.promotion.approved.v1"
TREATMENT = ["plant_id", "heat_uid", "station", "treatment_no"]

Tell = Callable[[str], None]
Entry = dict[str, Any]


class Rules(NamedTuple):
    """`consent`: who lets a challenger become champion. A rollback needs nobody's."""

    consent: Literal["person", "automatic"] = "person"
    most_runs_a_day: int = 4
    cool_down_s: float = 6 * 3600.0
    least_heats: int = 250


class Told(NamedTuple):
    """An event of monitoring, as far as it is read here."""

    event_id: str
    type: str
    data: Mapping[str, Any]


def hear(folders: Folders, told: Told, rules: Rules, tell: Tell) -> None:
    """Take up an event; one that is known already, or is of models that are not there any more, changes
    nothing."""
    entries = ledger.entries(folders.ledger)
    if any(entry["evidence"].get("event_id") == told.event_id for entry in entries):
        return
    if told.type == DEGRADED:
        _degraded(folders, told, tell)
    elif told.type == JUDGED:
        _judged(folders, told, rules, entries, tell)
    elif told.type == APPROVED:
        _approved(folders, told, entries, tell)


def veto(folders: Folders, version: str, why: str, tell: Tell) -> None:
    """A person says no to the challenger in shadow: it leaves there, and no verdict makes it champion, with
    or without consent. `promote` still can. Raises VetoError.
    """
    in_shadow = linked(folders.models, registry.SHADOW)
    if version != in_shadow or version == before_champion(ledger.entries(folders.ledger)):
        raise VetoError(
            f"version {version} is no challenger in shadow, where "
            f"{f'version {in_shadow}' if in_shadow else 'no version'} is; a challenger in shadow is allowed"
        )
    unlink(folders.models, registry.SHADOW)
    _note(folders, "vetoed", version, why, {})
    tell(f"loop: version {version} is not to become champion: {why}")


def retrain_if_due(folders: Folders, rules: Rules, tell: Tell, now: datetime | None = None) -> bool:
    """Retrain where a model is degraded and nothing speaks against it; whether it was done."""
    entries = ledger.entries(folders.ledger)
    due = why_not(folders, rules, entries, now or datetime.now(UTC))
    if not isinstance(due, dict):
        return False
    since = due["evidence"]["since"]
    because = {"because_of": due["evidence"]["event_id"], "since": since}
    _note(folders, "retraining", due["version"], due["why"], because)
    tell(f"loop: retraining from the heats since {since}: {due['why']}")
    # What was frozen before the change is of another kind: nothing is to be held against the candidate there.
    told = folders._replace(options=folders.options._replace(since=since, holdout={}, promote=False))
    try:
        pipeline.run(told, tell)
    except GateError as refused:
        tell(f"loop: {refused}")
        return True
    except PipelineError as error:
        _note(folders, "failed", None, str(error), because)
        tell(f"loop: the run failed: {error}")
        return True
    challenger = registry.registered(folders.tracking_uri, registry.CHALLENGER)
    champion = registry.registered(folders.tracking_uri, registry.CHAMPION)
    if challenger is None or champion is None or challenger.version == champion.version:
        _note(folders, "failed", None, "the run gave no new challenger: was its code committed?", because)
        return True
    link(folders.models, registry.SHADOW, challenger.version)
    _note(folders, "shadow", challenger.version, f"beside champion {champion.version}", because)
    tell(f"loop: version {challenger.version} goes into shadow beside champion {champion.version}")
    return True


def why_not(folders: Folders, rules: Rules, entries: list[Entry], now: datetime) -> Entry | str:
    """The entry that asks for a run, or why there is none to be made."""
    degraded = [e for e in entries if e["what"] == "degraded"]
    if not degraded:  # asked every second: the registry is not
        return "the champion is not degraded"
    asks = degraded[-1]
    runs = [e for e in entries if e["what"] == "retraining"]
    if any(e["evidence"]["because_of"] == asks["evidence"]["event_id"] for e in runs):
        return "a run was made for this already"
    if linked(folders.models, registry.SHADOW) is not None:
        return "a model is in shadow"
    ages = [now - datetime.fromisoformat(e["at"]) for e in runs]
    if sum(age < timedelta(days=1) for age in ages) >= rules.most_runs_a_day:
        return "the runs of a day are used up"
    if ages and min(ages) < timedelta(seconds=rules.cool_down_s):
        return "the last run is too short ago"
    champion = registry.registered(folders.tracking_uri, registry.CHAMPION)
    if champion is None or asks["evidence"]["bundle_hash"] != champion.bundle_hash:
        return "the champion is not degraded"
    heats = _heats_since(folders, asks["evidence"]["station"], asks["evidence"]["since"])
    if heats < rules.least_heats:
        return f"{heats} of {rules.least_heats} heats since the change are complete"
    return asks


def _degraded(folders: Folders, told: Told, tell: Tell) -> None:
    data = told.data
    champion = registry.registered(folders.tracking_uri, registry.CHAMPION)
    if data["diagnosis"] != "model" or champion is None or champion.bundle_hash != data["bundle_hash"]:
        return
    evidence = {
        "event_id": told.event_id,
        "bundle_hash": data["bundle_hash"],
        "station": data["station"],
        "since": data.get("since", data["detected_at"]),
        "windows": data.get("windows"),
        "elements": list(data.get("elements", [])),
    }
    _note(folders, "degraded", champion.version, data["sentence"], evidence, "monitoring")
    tell(f"loop: {data['sentence']}")


def _judged(folders: Folders, told: Told, rules: Rules, entries: list[Entry], tell: Tell) -> None:
    data = told.data
    champion = registry.registered(folders.tracking_uri, registry.CHAMPION)
    version = linked(folders.models, registry.SHADOW)
    shadow = registry.registered(folders.tracking_uri, version) if version else None
    if champion is None or shadow is None or shadow.version in _vetoed(entries):
        return
    if (data["live"]["bundle_hash"], data["shadow"]["bundle_hash"]) != (
        champion.bundle_hash,
        shadow.bundle_hash,
    ):
        return
    evidence = {"event_id": told.event_id, "heats": data["heats"], **data["evidence"]}
    is_better, sentence = data["verdict"] == "shadow_better", data["sentence"]
    if shadow.version == before_champion(entries):
        if is_better:
            tell(f"loop: rolled back to version {shadow.version}: {sentence}")
            promote(_as(folders, "the loop"), shadow.version, f"rolled back: {sentence}", tell, evidence)
        else:
            unlink(folders.models, registry.SHADOW)
            _note(folders, "confirmed", champion.version, sentence, evidence, "the loop")
            tell(f"loop: version {champion.version} is confirmed: {sentence}")
    elif not is_better:
        unlink(folders.models, registry.SHADOW)
        _note(folders, "rejected", shadow.version, sentence, evidence, "the loop")
        tell(f"loop: version {shadow.version} stays no more than a challenger: {sentence}")
    elif rules.consent == "automatic":
        promote(_as(folders, "the loop"), shadow.version, sentence, tell, evidence)
    else:
        _note(folders, "waits", shadow.version, f"for a person's consent: {sentence}", evidence, "the loop")
        tell(f"loop: version {shadow.version} waits for a person's consent: {sentence}")


def _approved(folders: Folders, told: Told, entries: list[Entry], tell: Tell) -> None:
    version = linked(folders.models, registry.SHADOW)
    shadow = registry.registered(folders.tracking_uri, version) if version else None
    waits = [e for e in entries if e["what"] in ("waits", registry.CHAMPION)]
    if shadow is None or shadow.bundle_hash != told.data["bundle_hash"] or shadow.version in _vetoed(entries):
        return
    if not waits or (waits[-1]["what"], waits[-1]["version"]) != ("waits", shadow.version):
        return
    why = f"approved: {told.data.get('note') or 'without a note'}; {waits[-1]['why']}"
    promote(_as(folders, told.data["by"]), shadow.version, why, tell, {"event_id": told.event_id})


def before_champion(entries: list[Entry]) -> str | None:
    """The version that was champion before the last promotion, however that came about."""
    promotions = [e for e in entries if e["what"] == registry.CHAMPION]
    return promotions[-1]["evidence"].get("before") if promotions else None


def _vetoed(entries: list[Entry]) -> set[str]:
    """Versions that a person has said no to, and nobody has promoted since."""
    last = {e["version"]: e["what"] for e in entries if e["what"] in ("vetoed", registry.CHAMPION)}
    return {version for version, what in last.items() if what == "vetoed"}


def _heats_since(folders: Folders, station: str, since: str) -> int:
    rows, _ = lake.scan(folders.lake, "heats")
    complete = (pl.col("station") == station) & (pl.col("completed_at") >= datetime.fromisoformat(since))
    return int(rows.filter(complete).select(TREATMENT).unique().select(pl.len()).collect().item())


def _as(folders: Folders, who: str) -> Folders:
    return folders._replace(options=folders.options._replace(who=who))


def _note(
    folders: Folders, what: str, version: str | None, why: str, evidence: dict[str, Any], who: str = ""
) -> None:
    by = who or folders.options.who or ledger.somebody()
    ledger.append(folders.ledger, what, version, by, why, evidence)
