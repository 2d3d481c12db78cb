"""Makes events of completed heats: seeded, in the shape of the contract, for a test to change."""

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
EXAMPLES = CONTRACTS / "product-events" / "examples" / "product.heat.completed.v1"
WHOLE: dict[str, Any] = json.loads((EXAMPLES / "valid" / "whole.json").read_text())
FIRST_AT = datetime(2026, 3, 2, 6, tzinfo=UTC)
NOISE_PCT = {"C": 0.008, "Si": 0.012, "Mn": 0.02}


def uid(number: int) -> str:
    return str(UUID(int=number, version=4))


def instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def completed(number: int, *, revision: int = 1, seed: int = 0) -> dict[str, Any]:
    """Return the data of heat `number`: the contract's whole example with its own key, times and result."""
    rng = random.Random(f"{seed} {number} {revision}")
    data = deepcopy(WHOLE)
    at = FIRST_AT + timedelta(minutes=number)
    data["treatment"]["heat_uid"] = data["x"]["heat"]["treatment"]["heat_uid"] = uid(number)
    data["heat_no"] = data["x"]["heat"]["heat_no"] = f"26-{number:05d}"
    data["revision"] = revision
    data["x"]["heat"]["registered_at"] = instant(at)
    data["completed_at"] = instant(at + timedelta(minutes=14))
    data["available_at"] = instant(at + timedelta(minutes=14, hours=revision - 1))
    chemistry = data["x_prime"]["samples"][0]["chemistry"]
    for element, sd_pct in NOISE_PCT.items():
        predicted_pct = data["y_prime"]["prediction"]["elements"][element]["predicted_pct"]
        chemistry[element] = round(max(0.0, rng.gauss(predicted_pct, sd_pct)), 4)
    return data


def event(data: dict[str, Any], event_id: str | None = None) -> dict[str, Any]:
    """Wrap data into its CloudEvent; the id follows treatment and revision where none is given."""
    treatment = data["treatment"]
    subject = "/".join(str(part) for part in treatment.values())
    return {
        "specversion": "1.0",
        "id": event_id or f"{subject}/{data['revision']}",
        "source": "/backend",
        "type": "product.heat.completed.v1",
        "subject": subject,
        "time": data["available_at"],
        "datacontenttype": "application/json",
        "data": data,
    }


def shadow_event(data: dict[str, Any], role: str = "shadow") -> dict[str, Any]:
    """What another model recommended for the same heat, and nobody was shown."""
    made = deepcopy(data["y"]) | {"role": role, "bundle_hash": "cd" * 32, "model_version": "4"}
    said = {"treatment": data["treatment"], "recommendation": made}
    heat = event(data)
    return heat | {"id": f"{role} {heat['subject']}", "type": "product.recommendation.made.v1", "data": said}


def events(count: int, first: int = 1) -> Iterator[dict[str, Any]]:
    for number in range(first, first + count):
        yield event(completed(number))


def body(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()
