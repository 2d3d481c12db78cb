"""Load: a steelmaker's heats through the backend, and requests straight to the model service.

Hosts come from BACKEND_URL and MODEL_SERVICE_URL, or from the running demo's urls.json
(DEMO_DIR, default build/demo).
"""

import json
import os
import time
import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Any

import heats
from locust import FastHttpUser, constant, events, task
from locust.exception import StopUser

URLS = Path(os.environ.get("DEMO_DIR", Path(__file__).parents[2] / "build" / "demo")) / "urls.json"
SEED = int(os.environ.get("LOAD_SEED", "1"))
RECOMMENDATION_WAIT_S, COMPLETION_WAIT_S = 10.0, 10.0
POLL_S = 0.05
REQUESTS = 64


def address(setting: str, name: str) -> str:
    """Where a part of the product is. Raises SystemExit with what to do where nobody says."""
    if setting in os.environ:
        return os.environ[setting]
    try:
        found: str = json.loads(URLS.read_text())[name]
    except (OSError, ValueError, KeyError):
        raise SystemExit(f"{URLS} names no {name}: start a demo (make demo), or set {setting}") from None
    return found


def token() -> str:
    """The token of a program that may read, decide and tell, from BACKEND_TOKEN or the running demo."""
    if "BACKEND_TOKEN" in os.environ:
        return os.environ["BACKEND_TOKEN"]
    try:
        known = json.loads(URLS.with_name("access.json").read_text())["tokens"]
        return next(str(one["secret"]) for one in known if one["name"] == "programs")
    except (OSError, ValueError, KeyError, StopIteration):
        raise SystemExit(f"{URLS.parent} has no token: start a demo, or set BACKEND_TOKEN") from None


class Steelmaker(FastHttpUser):
    """Walks whole heats: X, recommendation, shown, decision, weighed, final sample, completed."""

    host = address("BACKEND_URL", "backend")
    wait_time = constant(0.2)
    users = 0

    def on_start(self) -> None:
        Steelmaker.users += 1
        self.random = Random(f"{SEED}-{os.getpid()}-{time.time_ns()}-{Steelmaker.users}")
        self.headers = {"Authorization": f"Bearer {token()}"}
        with self.client.get("/api/v1/master-data", headers=self.headers, catch_response=True) as answer:
            if answer.status_code != HTTPStatus.OK:
                answer.failure(f"no master data ({answer.status_code}): is the demo ready?")
                raise StopUser
            self.plant = answer.json()

    @task
    def one_heat(self) -> None:
        began = time.perf_counter()
        fault: Exception | None = None
        try:
            self._walk()
        except _BrokenOff as error:
            fault = error
        milliseconds = (time.perf_counter() - began) * 1000
        events.request.fire(
            request_type="HEAT",
            name="a whole heat",
            response_time=milliseconds,
            response_length=0,
            exception=fault,
            context={},
        )

    def _walk(self) -> None:
        grade = self.random.choice([g for g in self.plant["grades"] if "Al" not in g["windows"]])
        now = datetime.now(UTC)
        x = heats.heat(self.random, self.plant["plant_id"], grade["grade"], grade["windows"], now)
        keys = x["treatment"]
        names = ("plant_id", "heat_uid", "station", "treatment_no")
        url = "/api/v1/treatments/" + "/".join(str(keys[name]) for name in names)
        self._ask("POST", "/api/v1/heats", "POST heats", x)
        advice = self._until(
            url, lambda heat: heat.get("recommendation"), RECOMMENDATION_WAIT_S, "recommendation"
        )["recommendation"]
        shown = f"{url}/recommendations/{advice['recommendation_id']}/shown"
        self._ask("POST", shown, "POST recommendations/shown", None)
        additions = advice["additions"]
        decision = {
            "decision_id": str(uuid.uuid4()),
            "decided_by": "load",
            "recommendation_id": advice["recommendation_id"],
            "additions": additions,
            "reason_code": None,
            "note": None,
        }
        self._ask("PUT", f"{url}/decision", "PUT decision", decision)
        weighed = [self._weighed(n, a) for n, a in enumerate(additions, 1)]
        if weighed:
            self._ask("POST", f"{url}/weighed", "POST weighed", {"treatment": keys, "additions": weighed})
        sample = {
            "sample_id": "S1",
            "revision": 1,
            "is_final": True,
            "sampled_at": heats.instant(now),
            "analysed_at": heats.instant(datetime.now(UTC)),
            "chemistry": heats.result(self.random, x, self.plant["additives"], weighed),
            "steel_mass_t": x["steel_mass_t"],
            "temperature_c": 1575.0,
        }
        self._ask("POST", f"{url}/samples", "POST samples", {"treatment": keys, "sample": sample})
        self._until(url, lambda heat: heat.get("state") == "completed", COMPLETION_WAIT_S, "completion")

    def _weighed(self, number: int, addition: dict[str, Any]) -> dict[str, Any]:
        return {
            "addition_id": f"A{number}",
            "revision": 1,
            "additive": addition["additive"],
            "lot": addition.get("lot"),
            "added_kg": max(1.0, float(round(addition["added_kg"] + self.random.gauss(0, 3)))),
            "weighed_at": heats.instant(datetime.now(UTC)),
        }

    def _ask(self, method: str, url: str, name: str, body: Any) -> Any:
        with self.client.request(
            method, url, json=body, name=name, headers=self.headers, catch_response=True
        ) as answer:
            if answer.status_code not in (HTTPStatus.OK, HTTPStatus.CREATED):
                answer.failure(f"{answer.status_code}: {(answer.text or '')[:200]}")
                raise _BrokenOff(name)
            return answer.json()

    def _until(self, url: str, holds: Any, wait_s: float, what: str) -> Any:
        end = time.monotonic() + wait_s
        while True:
            heat = self._ask("GET", url, "GET treatment", None)
            if holds(heat):
                return heat
            if time.monotonic() > end:
                raise _BrokenOff(f"no {what} within {wait_s:g} s")
            time.sleep(POLL_S)


class ModelClient(FastHttpUser):
    """Asks for recommendations as fast as they come: 8 elements, 14 additives, up to 30 recent heats."""

    host = address("MODEL_SERVICE_URL", "model_service")
    wait_time = constant(0)

    def on_start(self) -> None:
        random = Random(SEED)
        with self.client.get("/v1/model", catch_response=True) as answer:
            if answer.status_code != HTTPStatus.OK:
                answer.failure(f"no model ({answer.status_code}): is the demo ready?")
                raise StopUser
            bundle_hash = answer.json()["bundle_hash"]
        made = [
            heats.recommendation_request(random, random.choice((0, 10, 30, 30)), bundle_hash)
            for _ in range(REQUESTS)
        ]
        self.bodies = [json.dumps(request).encode() for request in made]
        self.random = Random()

    @task
    def recommendation(self) -> None:
        body = self.random.choice(self.bodies)
        headers = {"Content-Type": "application/json"}
        with self.client.post(
            "/v1/recommendations", data=body, headers=headers, catch_response=True
        ) as answer:
            if answer.status_code != HTTPStatus.OK:
                answer.failure(f"{answer.status_code}: {(answer.text or '')[:200]}")
            elif answer.json()["status"] not in ("recommended", "abstained"):
                answer.failure("neither recommended nor abstained")


class _BrokenOff(Exception):
    """This heat could not be walked to its end."""
