"""Simulated heats as the backend would tell of them: `product.heat.completed.v1`, one JSON line each, with
what a running Model Service predicted for what was weighed.

What the simulator's `bulk` wrote is read (the plant's readings only, never its hidden truth). Each line of
the simulator becomes a plant of its own, so many replays fit one lake. Nothing adapts from heat to heat
here: the prediction is the base prediction.
"""

import heapq
import http.client
import itertools
import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

ROOT = Path(__file__).resolve().parents[2]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BETWEEN_HEATS = timedelta(minutes=40)
ANALYSED_AFTER, LATE_BY, CORRECTED_BY = timedelta(minutes=14), timedelta(minutes=60), timedelta(hours=3)
LADLE_FURNACE_AFTER = timedelta(minutes=30)
TO_SHOW, TO_DECIDE = timedelta(seconds=20), timedelta(minutes=3)

Document = dict[str, Any]


class ModelService:
    """A Model Service to ask, over one connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def ask(self, path: str, request: Document) -> Document:
        body, headers = json.dumps(request), {"content-type": "application/json"}
        try:
            self._connection.request("POST", path, body, headers)
            answer = self._connection.getresponse().read()
        except (ConnectionError, http.client.HTTPException):  # it was quiet for long: the service hung up
            self._connection.close()
            self._connection.request("POST", path, body, headers)
            answer = self._connection.getresponse().read()
        found: Document = json.loads(answer)
        return found


def completed_heats(
    bulk: Path, master_data: dict[str, Document], service: ModelService, *, with_advice: bool = False
) -> Iterator[str]:
    """Completed heats in the order in which a plant would know of them, late and corrected ones as they come.

    `master_data` is what the simulator wrote for each station. With `with_advice` the Model Service also
    recommends, and the steelmaker of the simulator is taken to have seen it and to have decided by himself.
    """
    names = [c.removeprefix("weighed_kg_") for c in _columns(bulk) if c.startswith("weighed_kg_")]
    elements = [c.removeprefix("after_pct_") for c in _columns(bulk) if c.startswith("after_pct_")]
    lots = {
        (row["line"], row["additive"], row["lot_no"]): {
            element: row[f"certificate_pct_{element}"]
            for element in elements
            if row[f"certificate_pct_{element}"] > 0
        }
        for row in pl.read_parquet(bulk / "lots.parquet").iter_rows(named=True)
    }
    plants = {station: _Station(document) for station, document in master_data.items()}
    waiting: list[tuple[datetime, int, str]] = []
    count = itertools.count()
    heats = pl.scan_parquet(bulk / "observed.parquet").sort("heat_no", "line", "station").collect()
    for row in heats.iter_rows(named=True):
        while waiting and waiting[0][0] < BEGIN + BETWEEN_HEATS * row["heat_no"]:
            yield heapq.heappop(waiting)[2]
        data = _completed(row, names, elements, lots, plants[row["station"]], service, with_advice)
        if data is None:
            continue
        known_at = _time(data["available_at"])
        told = [(known_at, data)] * (2 if row["is_twice"] else 1)
        if row["is_corrected"]:
            later = known_at + CORRECTED_BY
            told.append((later, data | {"revision": 2, "available_at": instant(later)}))
        for at, one in told:
            heapq.heappush(waiting, (at, next(count), json.dumps(event(one))))
    while waiting:
        yield heapq.heappop(waiting)[2]


def event(data: Document) -> Document:
    """The CloudEvent of one revision."""
    subject = "/".join(str(part) for part in data["treatment"].values())
    return {
        "specversion": "1.0",
        "id": f"{subject}/{data['revision']}",
        "source": "/bench",
        "type": "product.heat.completed.v1",
        "subject": subject,
        "time": data["available_at"],
        "datacontenttype": "application/json",
        "data": data,
    }


def instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


class _Station:
    """What master data say of one station."""

    def __init__(self, document: Document) -> None:
        self.windows = {grade["grade"]: grade["windows"] for grade in document["grades"]}
        self.additives = {additive["additive"]: additive for additive in document["additives"]}
        entries = document["handbook_rule"]["entries"]
        self.handbook = {entry["grade"]: entry["entry"] for entry in entries}


def _completed(
    row: Document,
    names: list[str],
    elements: list[str],
    lots: dict[tuple[int, str, int], Document],
    station: _Station,
    service: ModelService,
    with_advice: bool,
) -> Document | None:
    """The data of one treatment; None where its final sample measured nothing."""
    x = _x(row, names, elements, lots, station)
    heat, offers = x["heat"], x["additives"]
    at, treatment = _time(heat["registered_at"]), heat["treatment"]
    lot_of = {name: f"{name}-{row[f'lot_no_{name}']}" for name in names}

    def additions(kind: str) -> list[Document]:
        return [
            {"additive": name, "lot": lot_of[name], "added_kg": row[f"{kind}_kg_{name}"]}
            for name in names
            if (row[f"{kind}_kg_{name}"] or 0) > 0
        ]

    weighed, decided = additions("weighed"), additions("decided")
    predicted = service.ask(
        "/v1/predictions", {"heat": heat, "additives": offers, "additions": weighed, "recent_heats": []}
    )
    if "status" not in predicted:
        raise ValueError(f"the Model Service refuses {treatment}: {predicted}")
    y = _y(x, service, treatment, at) if with_advice else None
    result = _chemistry(row, "after", elements)
    if not result:
        return None
    known_at = at + ANALYSED_AFTER + (LATE_BY if row["is_late"] else timedelta())
    when = {"available_at": instant(known_at)}
    for estimate in predicted["elements"].values():
        estimate["slope_pct_per_kg"] = {}  # nobody needs them here, and they are most of the event
    return {
        "treatment": treatment,
        "revision": 1,
        "heat_no": str(row["heat_no"]),
        "completed_at": instant(known_at),
        **when,
        "x": x,
        "y": y,
        "y_prime": {
            "decision": {
                "decision_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"decision {treatment}")),
                "revision": 1,
                "decided_at": instant(at + TO_DECIDE),
                "decided_by": f"crew-{row['crew']}",
                "recommendation_id": y and y["recommendation_id"],
                "shown_at": y and instant(at + TO_SHOW),
                "additions": decided,
                "reason_code": None,
                "note": None,
            },
            "weighed": [
                {"addition_id": f"A{n}", "revision": 1, "weighed_at": instant(at + TO_DECIDE), **one}
                for n, one in enumerate(weighed, start=1)
            ],
            "prediction": predicted,
        },
        "x_prime": {
            "samples": [
                {
                    "sample_id": "S2",
                    "revision": 1,
                    "is_final": True,
                    "sampled_at": instant(at + timedelta(minutes=9)),
                    "analysed_at": instant(at + ANALYSED_AFTER),
                    "chemistry": result,
                    "available_at": instant(known_at),
                }
            ]
        },
    }


def _x(
    row: Document,
    names: list[str],
    elements: list[str],
    lots: dict[tuple[int, str, int], Document],
    station: _Station,
) -> Document:
    at = BEGIN + BETWEEN_HEATS * row["heat_no"]
    if row["station"] != "tapping":
        at += LADLE_FURNACE_AFTER
    uid = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{row['line']} {row['heat_no']}"))
    slag = {}
    if row["carry_over_kg_t"] is not None:
        slag["carry_over_kg_t"] = row["carry_over_kg_t"]
    if row["slag_feo_pct"] is not None:
        slag["oxides"] = {"FeO": row["slag_feo_pct"], "MnO": row["slag_mno_pct"]}
    treatment = {
        "plant_id": f"line-{row['line']}",
        "heat_uid": uid,
        "station": row["station"],
        "treatment_no": 1,
    }
    return {
        "heat": {
            "treatment": treatment,
            "heat_no": str(row["heat_no"]),
            "revision": 1,
            "registered_at": instant(at),
            "grade": row["grade"],
            "windows": station.windows[row["grade"]],
            "chemistry": _chemistry(row, "before", elements),
            "steel_mass_t": row["steel_mass_t"],
            "temperature_c": row["temperature_c"],
            "oxygen_ppm": row["oxygen_ppm"],
            "slag": slag,
            "features": {"taphole_heats": float(row["taphole_heats"])},
        },
        "additives": [
            station.additives[name]
            | {
                "lot": f"{name}-{row[f'lot_no_{name}']}",
                "assay": lots[row["line"], name, row[f"lot_no_{name}"]],
                "price_per_t": station.additives[name]["price_per_t"]
                | {"amount": row[f"price_per_t_{name}"]},
            }
            for name in names
            if row[f"is_offered_{name}"] or row[f"weighed_kg_{name}"]
        ],
        "handbook_entry": station.handbook.get(row["grade"], station.handbook["*"]),
    }


def _y(x: Document, service: ModelService, treatment: Document, at: datetime) -> Document | None:
    answer = service.ask(
        "/v1/recommendations",
        {
            "heat": x["heat"],
            "additives": x["additives"],
            "handbook_entry": x["handbook_entry"],
            "recent_heats": [],
        },
    )
    if answer.get("status") != "recommended":
        return None
    return {
        "recommendation_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"recommendation {treatment}")),
        "role": "live",
        "source": "model",
        "made_at": instant(at),
        "heat_revision": 1,
        "model_version": answer["model"]["version"],
        "bundle_hash": answer["model"]["bundle_hash"],
        "image_digest": None,
        "fallback_reason": None,
        "additions": [
            {key: one[key] for key in ("additive", "lot", "added_kg")} for one in answer["additions"]
        ],
        "cost": answer["cost"],
        "answer": answer,
    }


def _chemistry(row: Document, when: str, elements: list[str]) -> Document:
    found: Document = {}
    for element in elements:
        pct = row[f"{when}_pct_{element}"]
        if pct is not None and pct == pct:
            found[element] = {"below": pct} if row[f"{when}_is_below_{element}"] else max(0.0, pct)
    return found


def _columns(bulk: Path) -> list[str]:
    return pl.scan_parquet(bulk / "observed.parquet").collect_schema().names()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


@contextmanager
def serving(bundle: Path) -> Iterator[str]:
    """A Model Service with this bundle, on a free port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    environment = os.environ | {"MODEL_SERVICE_BUNDLE": str(bundle), "MODEL_SERVICE_PORT": str(port)}
    process = subprocess.Popen(
        [command("model-service", "model-service"), "serve"], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the Model Service does not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def command(component: str, name: str) -> str:
    """The path of a component's command."""
    return str(ROOT / component / ".venv" / "bin" / name)
