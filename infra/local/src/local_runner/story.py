"""What the loop is seen to do while a plant plays: a timeline, and the questions that its stages ask."""

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from local_runner.errors import StageMissing
from local_runner.heats import path_of
from local_runner.plan import Plan
from local_runner.processes import Processes
from local_runner.progress import say, step
from local_runner.readiness import get_json
from local_runner.references import References

STANDSTILL_S = 120.0
PATIENCE_S = 60.0
PAGE_ROWS = 1000


class Moment(NamedTuple):
    """`heats`: completed so far; `kind`: plant, alarm, loop or check."""

    heats: int
    after_s: float
    kind: str
    text: str


@dataclass
class Story:
    """The running plant and product, seen from outside: monitoring's API, the ledger, the control file."""

    plan: Plan
    processes: Processes
    references: References
    began: float = field(default_factory=time.monotonic)
    moments: list[Moment] = field(default_factory=list)
    _alarms: dict[str, str] = field(default_factory=dict)
    _entries: int = 0
    _heats: int = 0

    def tell(self, kind: str, text: str, heats: int | None = None) -> None:
        """Put a moment on the timeline."""
        at = self.heats() if heats is None else heats
        moment = Moment(at, time.monotonic() - self.began, kind, " ".join(text.split()))
        self.moments.append(moment)
        say(f"   {moment.heats:>6} heats  {moment.after_s:5.0f} s  {moment.kind:<6} {moment.text}")

    def happens(self, *scenarios: str) -> None:
        """From the next heat on these happen to the plant, and no others."""
        self.control.write_text("".join(f"{name}\n" for name in scenarios))

    @property
    def control(self) -> Any:
        return self.plan.settings.demo_dir / "control"

    def until(self, what: str, happened: Callable[[], Any], within_heats: int) -> Any:
        """Wait for something, and return it; raise `StageMissing` where it has not come within so many
        heats, or where the plant stands still."""
        limit, last, moved = self.heats() + within_heats, -1, time.monotonic()
        with step(what) as current:
            while not (found := self._asked(happened)):
                self.watch()
                heats = self.heats()
                if heats != last:
                    last, moved = heats, time.monotonic()
                if heats > limit or time.monotonic() - moved > STANDSTILL_S:
                    raise StageMissing(f"{what}: it did not happen within {within_heats} heats")
                current.tick(f"{limit - heats} heats left")
                for _ in range(5):
                    self.processes.pause()
            current.note(f"{self.heats()} heats")
        self.watch()
        return found

    def wait_for_reference(self, within_s: float) -> None:
        """Wait until monitoring can judge the first model. Raises `StageMissing`."""

        def made() -> bool:
            self.references.tend()
            return self.references.made("champion")

        with step("what is normal for the first model"):
            if not self.processes.wait(made, within_s):
                raise StageMissing("no reference was made for the first model")

    def play(self, heats: int, what: str) -> None:
        """Let so many heats pass."""
        goal = self.heats() + heats
        self.until(what, lambda: self.heats() >= goal, heats + 50)

    def watch(self) -> None:
        """Put on the timeline what is new: alarms, and what the ledger says."""
        self.references.tend()
        for alarm in reversed(self.alarms()):
            told_as = self._alarms.get(alarm["alarm_id"])
            if told_as != alarm["cause"]:
                self._alarms[alarm["alarm_id"]] = alarm["cause"]
                anew = f"(told as {told_as} before, with more heats it is) " if told_as else ""
                self.tell("alarm", f"[{alarm['diagnosis']}] {anew}{alarm['sentence']}")
        for entry in self.ledger()[self._entries :]:
            self._entries += 1
            version = f"version {entry['version']}: " if entry["version"] else ""
            self.tell("loop", f"[{entry['what']}] {version}{entry['why']} ({entry['who']})")

    def heats(self) -> int:
        """How many heats are in the lake."""
        self._heats = max(self._heats, int((self._get("/api/v1/summary") or {}).get("heats", 0)))
        return self._heats

    def alarms(self) -> list[dict[str, Any]]:
        """Every alarm that is kept, the newest first."""
        return list((self._get("/api/v1/alarms") or {}).get("alarms", []))

    def findings(self) -> list[dict[str, Any]]:
        return list((self._get("/api/v1/diagnosis") or {}).get("findings", []))

    def facts(self) -> list[dict[str, Any]]:
        return list((self._get("/api/v1/diagnosis") or {}).get("facts", []))

    def ledger(self) -> list[dict[str, Any]]:
        """The ledger of models, oldest first."""
        if not self.plan.ledger.exists():
            return []
        return [json.loads(line) for line in self.plan.ledger.read_text().splitlines()]

    def entry(self, what: str, after: int = 0, version: str | None = None) -> dict[str, Any] | None:
        """The first entry of this kind after entry number `after`."""
        for one in self.ledger():
            if one["number"] > after and one["what"] == what and version in (None, one["version"]):
                return one
        return None

    def treatments(self) -> list[dict[str, Any]]:
        """Every treatment of the bus as monitoring judged it, oldest first."""
        found: list[dict[str, Any]] = []
        skip: int | None = 0
        while skip is not None:
            page = self._whole(f"/api/v1/treatments?limit={PAGE_ROWS}&skip={skip}")
            found += page["treatments"]
            skip = page["next"]
        return found[::-1]

    def row(self, treatment: dict[str, Any]) -> dict[str, Any]:
        """A treatment as it is in the lake."""
        return dict(self._get(f"/api/v1/treatments/{path_of(treatment)}") or {})

    def errors(self) -> list[dict[str, Any]]:
        """Errors of the predictions, heat by heat and element by element, oldest first."""
        return list(self._whole("/api/v1/errors?heats=5000")["errors"])

    def _asked(self, happened: Callable[[], Any]) -> Any:
        try:
            return happened()
        except (OSError, http.client.HTTPException):
            return None  # starting again, or busy

    def _whole(self, path: str) -> Any:
        """What may take long to tell, and must not be left out."""
        return get_json(f"{self.plan.urls['monitoring']}{path}", PATIENCE_S) or {}

    def _get(self, path: str) -> Any:
        try:
            return get_json(f"{self.plan.urls['monitoring']}{path}")
        except (OSError, http.client.HTTPException):
            return None
