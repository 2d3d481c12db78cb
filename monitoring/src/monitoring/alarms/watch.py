"""Diagnoses the newest heats in the background, keeps the alarms, and tells the webhook."""

import logging
import threading
import urllib.request
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl

from monitoring.alarms.store import Alarm, AlarmStore
from monitoring.diagnosis.diagnose import diagnose
from monitoring.diagnosis.drift import Drifted, drift_table
from monitoring.diagnosis.facts import Fact, facts
from monitoring.diagnosis.findings import Finding
from monitoring.diagnosis.reference import Reference, read
from monitoring.errors import MonitoringError
from monitoring.lake.tables import Lake, find_table, scan
from monitoring.measures.override_outcomes import Overridden, override_outcomes
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
    teaching: tuple[Teaching, ...] = ()
    drift: tuple[Drifted, ...] = ()
    overridden: tuple[Overridden, ...] = ()


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
    ) -> None:
        self.view = View()
        self._lake, self._plant_id, self._references, self._store = lake, plant_id, references, store
        self._price, self._webhook_url, self._every_s = price_per_miss_per_t, webhook_url, every_s
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
        if heats is None or (of := (heats.metadata().id, heats.version())) == self._of:
            return
        rows = of_the_bus(scan(heats), self._plant_id)
        view = View()
        for plant_rows in newest_of_plants(rows):
            view = self._plant(plant_rows)
            self._store.keep(view.findings, view.bundle_hash)
        self.view, self._of = view, of

    def tell(self) -> None:
        """Send the alarms that the webhook has not taken; one that fails is sent again the next time."""
        if self._webhook_url is None:
            return
        for alarm in self._store.untold():
            if not _sent(self._webhook_url, alarm):
                return
            self._store.told(alarm)

    def _plant(self, rows: pl.LazyFrame) -> View:
        bundles = (
            rows.select("completed_at", "weighed_bundle_hash").drop_nulls().sort("completed_at").collect()
        )
        bundle_hash = bundles["weighed_bundle_hash"][-1] if bundles.height else None
        view = View(
            int(rows.select(pl.len()).collect().item()),
            bundle_hash,
            savings=tuple(savings(rows, self._price)),
            teaching=tuple(teaching(rows)),
            overridden=tuple(override_outcomes(rows)),
        )
        reference = self._reference(bundle_hash)
        if reference is None:
            return view
        of_bundle = rows.filter(pl.col("weighed_bundle_hash") == bundle_hash)
        return view._replace(
            has_reference=True,
            findings=tuple(diagnose(of_bundle, reference).findings),
            facts=tuple(facts(of_bundle, reference)),
            drift=tuple(drift_table(of_bundle, reference)),
        )

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
