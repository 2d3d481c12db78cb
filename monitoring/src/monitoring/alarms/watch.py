"""Diagnoses the newest heats in the background, keeps the alarms, and tells the webhook."""

import logging
import threading
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import nats
import polars as pl

from monitoring.alarms.announcements import DEGRADED, JUDGED, Announcements
from monitoring.alarms.degraded import USUAL, Windows, degraded
from monitoring.alarms.store import Alarm, AlarmStore
from monitoring.diagnosis.diagnose import Diagnosed, diagnose
from monitoring.diagnosis.drift import Drifted, drift_table
from monitoring.diagnosis.facts import Fact, facts
from monitoring.diagnosis.findings import Finding
from monitoring.diagnosis.reference import Reference, read
from monitoring.errors import MonitoringError
from monitoring.lake.tables import Lake, find_table, scan
from monitoring.measures.against_shadow import CONFIDENCE, Against, against_shadow, sentence
from monitoring.measures.override_outcomes import Overridden, override_outcomes
from monitoring.measures.regret import Regret, regrets
from monitoring.measures.savings import Saving, Teaching, savings, teaching
from monitoring.measures.treatments import of_the_bus

NEWEST_TREATMENTS = 6000  # are diagnosed; older ones have been
WEBHOOK_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)


class View(NamedTuple):
    """What the newest heats say. `has_reference`: findings are only made where there is one for the
    bundle.
    """

    treatments: int = 0
    bundle_hash: str | None = None
    has_reference: bool = False
    findings: tuple[Finding, ...] = ()
    facts: tuple[Fact, ...] = ()
    savings: tuple[Saving, ...] = ()
    regrets: tuple[Regret, ...] = ()
    teaching: tuple[Teaching, ...] = ()
    drift: tuple[Drifted, ...] = ()
    overridden: tuple[Overridden, ...] = ()
    against: Against | None = None


class Watch:
    """Looks again every `every_s` seconds, where the lake has changed."""

    def __init__(
        self,
        lake: Lake,
        plant_id: str | None,
        references: Path,
        store: AlarmStore,
        *,
        price_per_miss_per_t: float,
        webhook_url: str | None,
        every_s: float,
        announcements: Announcements | None = None,
        nats_url: str | None = None,
        windows: Windows = USUAL,
        cool_down: timedelta = timedelta(hours=6),
    ) -> None:
        self.view = View()
        self._lake, self._plant_id, self._references, self._store = lake, plant_id, references, store
        self._price, self._webhook_url, self._every_s = price_per_miss_per_t, webhook_url, every_s
        self._announcements, self._nats_url = announcements, nats_url
        self._windows, self._cool_down = windows, cool_down
        self._of: object = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="watch")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def look(self) -> None:
        """Look once, now. Raises MonitoringError where the lake or a reference cannot be read."""
        heats = find_table(self._lake, "heats")
        if heats is None:
            return
        shadows = find_table(self._lake, "shadows")
        of = (heats.metadata().id, heats.version(), shadows and shadows.version(), self._judges())
        if of == self._of:
            return
        said = scan(shadows, "shadows") if shadows else None
        rows = of_the_bus(scan(heats), self._plant_id)
        view = View()
        for plant_rows in newest_of_plants(rows):
            view = self._plant(plant_rows, said)
            self._store.keep(view.findings, view.bundle_hash)
        self.view, self._of = view, of

    def tell(self) -> None:
        """Publish what the bus does not know yet, and send the alarms that the webhook has not taken; what
        fails is sent again the next time."""
        if self._announcements is not None and self._nats_url is not None:
            try:
                self._announcements.publish(self._nats_url)
            except (nats.errors.Error, OSError, TimeoutError) as error:
                log.warning("bus %s: %s; telling again later", self._nats_url, error or type(error).__name__)
        if self._webhook_url is None:
            return
        for alarm in self._store.untold():
            if not _sent(self._webhook_url, alarm):
                return
            self._store.told(alarm)

    def _plant(self, rows: pl.LazyFrame, said: pl.LazyFrame | None) -> View:
        bundles = (
            rows.select("completed_at", "weighed_bundle_hash").drop_nulls().sort("completed_at").collect()
        )
        bundle_hash = bundles["weighed_bundle_hash"][-1] if bundles.height else None
        view = View(
            int(rows.select(pl.len()).collect().item()),
            bundle_hash,
            savings=tuple(savings(rows, self._price)),
            regrets=tuple(regrets(rows, self._price)),
            teaching=tuple(teaching(rows)),
            overridden=tuple(override_outcomes(rows)),
            against=self._against(rows, said),
        )
        reference = self._reference(bundle_hash)
        if reference is None:
            return view
        of_bundle = rows.filter(pl.col("weighed_bundle_hash") == bundle_hash)
        diagnosed = diagnose(of_bundle, reference)
        self._degraded(diagnosed, of_bundle, str(bundle_hash))
        return view._replace(
            has_reference=True,
            findings=tuple(self._with_regret(one, of_bundle) for one in diagnosed.findings),
            facts=tuple(facts(of_bundle, reference)),
            drift=tuple(drift_table(of_bundle, reference)),
        )

    def _judges(self) -> tuple[str, ...]:
        """References may come after the heats that they judge."""
        return tuple(sorted(file.name for file in self._references.glob("*.json")))

    def _with_regret(self, finding: Finding, rows: pl.LazyFrame) -> Finding:
        """Say in the evidence of a model that is wrong what that costs, in the heats since it is."""
        if finding.diagnosis != "model":
            return finding
        begun = rows.filter(pl.col("heat_no") == finding.since_heat).select(pl.col("completed_at").min())
        since = rows.filter(
            (pl.col("completed_at") >= begun.collect().item()) & pl.col("grade").is_in(finding.grades)
        )
        costs = [one._asdict() for one in regrets(since, self._price)]
        return finding._replace(evidence=finding.evidence | {"regret": costs})

    def _degraded(self, diagnosed: Diagnosed, rows: pl.LazyFrame, bundle_hash: str) -> None:
        """Announce a model that is wrong for long enough, once per station, and again after the cool-down."""
        if self._announcements is None:
            return
        versions = rows.filter(pl.col("bundle_hash") == bundle_hash).select("model_version").drop_nulls()
        version = versions.collect()["model_version"]
        for one in degraded(diagnosed, version[-1] if version.len() else "", bundle_hash, self._windows):
            data = one._asdict() | {"detected_at": _instant(one.detected_at), "since": _instant(one.since)}
            key = f"{one.plant_id}/{one.station}/{bundle_hash}"
            self._announcements.announce(DEGRADED, key, data, again_after=self._cool_down)

    def _against(self, rows: pl.LazyFrame, said: pl.LazyFrame | None) -> Against | None:
        """Compare with the shadow, and announce a verdict, once per comparison."""
        plants = rows.select(pl.col("plant_id").unique()).collect()["plant_id"]
        if said is None or plants.is_empty():
            return None
        found = against_shadow(rows, said.filter(pl.col("plant_id") == plants[0]))
        if found is not None and found.verdict is not None and self._announcements is not None:
            data = {
                "plant_id": plants[0],
                "live": {"model_version": found.live_version, "bundle_hash": found.live_bundle},
                "shadow": {"model_version": found.shadow_version, "bundle_hash": found.shadow_bundle},
                "verdict": found.verdict,
                "heats": found.heats,
                "since_heat": found.since_heat,
                "confidence": CONFIDENCE,
                "sentence": sentence(found),
                "evidence": {
                    "live_error_sd": found.live_error_sd,
                    "shadow_error_sd": found.shadow_error_sd,
                    "wealth_for_shadow": found.wealth_for_shadow,
                    "wealth_for_live": found.wealth_for_live,
                    "last_heat": found.last_heat,
                },
                "judged_at": _instant(datetime.now(UTC)),
            }
            key = f"{plants[0]}/{found.live_bundle}/{found.shadow_bundle}/{found.since_heat}"
            self._announcements.announce(JUDGED, key, data)
        return found

    def _reference(self, bundle_hash: str | None) -> Reference | None:
        file = self._references / f"{bundle_hash}.json"
        return read(file) if bundle_hash and file.exists() else None

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
                self.tell()
            except MonitoringError as error:
                log.warning("looking again in %s s: %s", self._every_s, error)
            except Exception:
                log.exception("the newest heats could not be diagnosed")
            self._stop.wait(self._every_s)


def newest_of_plants(rows: pl.LazyFrame) -> list[pl.LazyFrame]:
    """Return the newest treatments of each plant, as frames in memory; the plant that was heard of last
    comes last.
    """
    newest = rows.group_by("plant_id").agg(
        pl.col("completed_at").top_k(NEWEST_TREATMENTS).min().alias("since")
    )
    since = newest.join(rows.group_by("plant_id").agg(pl.col("completed_at").max()), on="plant_id")
    plants = since.sort("completed_at").collect()
    return [
        rows.filter((pl.col("plant_id") == plant_id) & (pl.col("completed_at") >= at)).collect().lazy()
        for plant_id, at in plants.select("plant_id", "since").iter_rows()
    ]


def _sent(url: str, alarm: Alarm) -> bool:
    body = msgspec.json.encode(alarm._asdict())
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=WEBHOOK_TIMEOUT_S) as answer:  # noqa: S310
            return bool(200 <= answer.status < 300)
    except OSError as error:
        log.warning("webhook %s: %s; trying again", url, error)
        return False


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
