"""The loop: what follows from what monitoring says, with the real registry, ledger and links."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import make_folders

from ml_pipeline import ledger, pipeline, registry, watching
from ml_pipeline.errors import GateError, VetoError
from ml_pipeline.loop import APPROVED, DEGRADED, JUDGED, Rules, Told, hear, retrain_if_due, veto, why_not
from ml_pipeline.promotion import promote
from ml_pipeline.release import link, linked
from ml_pipeline.work import Folders

NEW = "cd" * 32
CONTRACTS = Path(__file__).parents[2] / "contracts" / "monitoring-events" / "examples"
AUTOMATIC = Rules("automatic", most_runs_a_day=2, cool_down_s=3600.0, least_heats=100)


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def first(released: Folders, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A plant with version 1 live: made once, copied for each test."""
    made = make_folders(tmp_path_factory.mktemp("first"), released.lake)
    shutil.copytree(released.work, made.work, dirs_exist_ok=True)
    (made.work / "run.json").unlink()
    for step in ("register", "package"):
        pipeline.STEPS[step](made, quiet)
    return made


@pytest.fixture
def folders(first: Folders, tmp_path: Path) -> Folders:
    shutil.copytree(first.work.parent, tmp_path / "plant", symlinks=True)
    root = tmp_path / "plant"
    uri = f"sqlite:///{root / 'mlflow.db'}"
    return Folders(first.lake, root / "work", root / "artifacts", root / "models", uri, first.options)


def live(folders: Folders) -> registry.Registered:
    found = registry.registered(folders.tracking_uri, registry.CHAMPION)
    assert found is not None
    return found


def release_another(folders: Folders, *_: object, **__: object) -> None:
    """What a run that passes the gate leaves: version 2, released, challenger."""
    run = json.loads((folders.work / "run.json").read_text())
    logged = registry.Logged(run["run_id"], run["model_uri"])
    found = registry.register(folders.tracking_uri, logged, {**live(folders).tags, "bundle_hash": NEW}, {})
    shutil.copytree(folders.models / "1", folders.models / found.version)
    registry.set_alias(folders.tracking_uri, registry.CHALLENGER, found.version)


def degraded(folders: Folders, event_id: str = "d1", **changes: Any) -> Told:
    data = json.loads((CONTRACTS / DEGRADED / "valid" / "practice.json").read_text())
    data |= {"bundle_hash": live(folders).bundle_hash, "since": "2020-01-01T00:00:00Z", **changes}
    return Told(event_id, DEGRADED, data)


def judged(folders: Folders, verdict: str, shadow: str, event_id: str) -> Told:
    data = json.loads((CONTRACTS / JUDGED / "valid" / "better.json").read_text())
    of_shadow = registry.registered(folders.tracking_uri, shadow)
    assert of_shadow is not None
    data |= {"verdict": verdict, "live": {"bundle_hash": live(folders).bundle_hash}}
    return Told(event_id, JUDGED, data | {"shadow": {"bundle_hash": of_shadow.bundle_hash}})


def told(folders: Folders) -> list[str]:
    return [entry["what"] for entry in ledger.entries(folders.ledger)]


@pytest.fixture
def in_shadow(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """Version 1 degraded, version 2 retrained and in shadow."""
    monkeypatch.setattr(pipeline, "run", release_another)
    hear(folders, degraded(folders), AUTOMATIC, quiet)
    assert retrain_if_due(folders, AUTOMATIC, quiet)
    return folders


def test_a_degraded_model_is_retrained_from_the_heats_since_the_change(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def run(given: Folders, *_: object) -> None:
        asked.append(given.options)
        release_another(given)

    monkeypatch.setattr(pipeline, "run", run)
    hear(folders, degraded(folders), AUTOMATIC, quiet)

    assert retrain_if_due(folders, AUTOMATIC, quiet)
    assert [(o.since, dict(o.holdout), o.promote) for o in asked] == [("2020-01-01T00:00:00Z", {}, False)]
    assert (live(folders).version, linked(folders.models, "shadow")) == ("1", "2")
    assert told(folders)[-3:] == ["degraded", "retraining", "shadow"]


def test_the_same_event_is_taken_up_once_and_leads_to_one_run(in_shadow: Folders) -> None:
    before = told(in_shadow)

    hear(in_shadow, degraded(in_shadow), AUTOMATIC, quiet)

    assert told(in_shadow) == before
    assert not retrain_if_due(in_shadow, AUTOMATIC, quiet)


@pytest.mark.parametrize("diagnosis", ["people", "material", "instrument"])
def test_only_the_model_s_own_error_retrains(folders: Folders, diagnosis: str) -> None:
    hear(folders, degraded(folders, diagnosis=diagnosis), AUTOMATIC, quiet)

    assert "degraded" not in told(folders)


def test_another_model_s_error_changes_nothing(folders: Folders) -> None:
    hear(folders, degraded(folders, bundle_hash="ef" * 32), AUTOMATIC, quiet)

    assert "degraded" not in told(folders)


def test_too_few_heats_cool_down_and_runs_a_day_hold_a_run_back(folders: Folders) -> None:
    now = datetime.now(UTC)
    hear(folders, degraded(folders), AUTOMATIC, quiet)

    def reason(rules: Rules, at: datetime = now) -> Any:
        return why_not(folders, rules, ledger.entries(folders.ledger), at)

    assert "of 5000 heats since the change" in reason(AUTOMATIC._replace(least_heats=5000))
    assert reason(AUTOMATIC)["what"] == "degraded"
    ledger.append(folders.ledger, "retraining", "1", "tests", "earlier", {"because_of": "d0"})
    assert reason(AUTOMATIC) == "the last run is too short ago"
    assert reason(AUTOMATIC, now + timedelta(hours=2))["what"] == "degraded"
    ledger.append(folders.ledger, "retraining", "1", "tests", "again", {"because_of": "d00"})
    assert reason(AUTOMATIC, now + timedelta(hours=2)) == "the runs of a day are used up"


def test_a_refused_candidate_never_goes_into_shadow(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise GateError("not good enough")

    monkeypatch.setattr(pipeline, "run", refuse)
    hear(folders, degraded(folders), AUTOMATIC, quiet)

    assert retrain_if_due(folders, AUTOMATIC, quiet)
    assert linked(folders.models, "shadow") is None
    assert live(folders).version == "1"


def test_a_better_challenger_becomes_champion_and_the_one_before_goes_into_shadow(in_shadow: Folders) -> None:
    hear(in_shadow, judged(in_shadow, "shadow_better", "2", "j1"), AUTOMATIC, quiet)

    assert (live(in_shadow).version, linked(in_shadow.models, "champion")) == ("2", "2")
    assert linked(in_shadow.models, "shadow") == "1"
    last = ledger.entries(in_shadow.ledger)[-1]
    assert (last["what"], last["version"], last["who"]) == ("champion", "2", "the loop")
    assert last["evidence"]["event_id"] == "j1"
    assert last["evidence"]["heats"] == 44


@pytest.mark.parametrize("verdict", ["live_better", "undecided"])
def test_a_challenger_that_is_not_better_stays_one(in_shadow: Folders, verdict: str) -> None:
    hear(in_shadow, judged(in_shadow, verdict, "2", "j1"), AUTOMATIC, quiet)

    assert (live(in_shadow).version, linked(in_shadow.models, "shadow")) == ("1", None)
    assert told(in_shadow)[-1] == "rejected"


@pytest.mark.parametrize("rules", [AUTOMATIC, Rules("person")])
def test_a_challenger_that_a_person_has_said_no_to_is_not_promoted(in_shadow: Folders, rules: Rules) -> None:
    veto(in_shadow, "2", "its heats were of a trial", quiet)
    link(in_shadow.models, registry.SHADOW, "2")  # and where somebody has it asked again
    hear(in_shadow, judged(in_shadow, "shadow_better", "2", "j1"), rules, quiet)

    assert live(in_shadow).version == "1"
    last = ledger.entries(in_shadow.ledger)[-1]
    assert (last["what"], last["version"], last["why"]) == ("vetoed", "2", "its heats were of a trial")


def test_only_a_challenger_in_shadow_can_be_said_no_to(in_shadow: Folders) -> None:
    with pytest.raises(VetoError, match="version 1 is no challenger in shadow, where version 2 is"):
        veto(in_shadow, "1", "no", quiet)
    promote(in_shadow, "2", "by hand", quiet)
    with pytest.raises(VetoError):  # the champion before is there to be gone back to
        veto(in_shadow, "1", "no", quiet)


def test_with_consent_asked_for_a_person_promotes(in_shadow: Folders) -> None:
    asking = AUTOMATIC._replace(consent="person")
    consent = Told("a1", APPROVED, {"bundle_hash": NEW, "by": "a.technologist", "note": "seen"})
    hear(in_shadow, consent, asking, quiet)  # before anybody was asked
    assert live(in_shadow).version == "1"

    hear(in_shadow, judged(in_shadow, "shadow_better", "2", "j1"), asking, quiet)
    assert (live(in_shadow).version, told(in_shadow)[-1]) == ("1", "waits")
    hear(in_shadow, consent._replace(event_id="a2"), asking, quiet)

    last = ledger.entries(in_shadow.ledger)[-1]
    assert (last["what"], last["version"], last["who"]) == ("champion", "2", "a.technologist")


@pytest.mark.parametrize("consent", ["person", "automatic"])
def test_a_champion_worse_than_the_one_before_is_rolled_back_without_asking(
    in_shadow: Folders, consent: Any
) -> None:
    promote(in_shadow, "2", "forced", quiet)

    hear(in_shadow, judged(in_shadow, "shadow_better", "1", "j2"), AUTOMATIC._replace(consent=consent), quiet)

    assert live(in_shadow).version == "1"
    assert ledger.entries(in_shadow.ledger)[-1]["why"].startswith("rolled back: ")


def test_a_champion_better_than_the_one_before_is_confirmed(in_shadow: Folders) -> None:
    promote(in_shadow, "2", "because", quiet)

    hear(in_shadow, judged(in_shadow, "live_better", "1", "j2"), AUTOMATIC, quiet)

    assert (live(in_shadow).version, linked(in_shadow.models, "shadow")) == ("2", None)
    assert told(in_shadow)[-1] == "confirmed"


def test_a_verdict_on_models_that_stand_there_no_more_is_passed_over(in_shadow: Folders) -> None:
    late = judged(in_shadow, "shadow_better", "2", "j1")
    promote(in_shadow, "2", "by hand meanwhile", quiet)
    before = told(in_shadow)

    hear(in_shadow, late, AUTOMATIC, quiet)

    assert told(in_shadow) == before


def test_a_bus_that_is_away_is_said_and_waited_for(folders: Folders) -> None:
    said: list[str] = []

    watching.watch(folders, "nats://127.0.0.1:1", AUTOMATIC, said.append, once=True)

    assert any("trying again" in line for line in said)
