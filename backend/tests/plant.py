"""What a plant tells, made from the contract's examples."""

import uuid
from typing import Any

from tests.contracts import example

EVENTS = "plant-events/examples"


def heat(**changes: Any) -> dict[str, Any]:
    """X of a heat of its own."""
    document: dict[str, Any] = example(f"{EVENTS}/plant.heat.registered.v1/valid/tapping.json")
    document["treatment"]["heat_uid"] = str(uuid.uuid4())
    return document | changes


def weighed(treatment: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = example(f"{EVENTS}/plant.addition.weighed.v1/valid/tap-stream.json")
    return document | {"treatment": treatment}


def sample(treatment: dict[str, Any], name: str = "final") -> dict[str, Any]:
    document: dict[str, Any] = example(f"{EVENTS}/plant.sample.analysed.v1/valid/{name}.json")
    return document | {"treatment": treatment}


def cloudevent(event_type: str, data: dict[str, Any], event_id: str | None = None) -> dict[str, Any]:
    treatment = data.get("treatment")
    subject = (
        "/".join(str(value) for value in treatment.values()) if treatment else f"demo/{data.get('additive')}"
    )
    return {
        "specversion": "1.0",
        "id": event_id or str(uuid.uuid4()),
        "source": "/plants/demo/level2",
        "type": event_type,
        "subject": subject,
        "time": "2026-03-02T06:00:00Z",
        "data": data,
    }


def path(treatment: dict[str, Any]) -> str:
    return "/".join(
        ["/api/v1/treatments"]
        + [str(treatment[part]) for part in ("plant_id", "heat_uid", "station", "treatment_no")]
    )
