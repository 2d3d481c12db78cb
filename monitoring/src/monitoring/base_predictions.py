"""Base predictions for heats that have none, from a Model Service: imported heats were made before there
was one.

Monitoring asks as the backend does, by the contract `model-service/prediction-request.v1`, and without
recent heats: what comes back is the base prediction.
"""

import http.client
from typing import Any
from urllib.parse import urlsplit

import msgspec
import polars as pl
import pyarrow as pa

from monitoring.errors import UnreachableModelServiceError
from monitoring.lake.tables import arrow_schema, delta_schema

TIMEOUT_S = 30.0

Document = dict[str, Any]


def with_base_predictions(rows: pl.LazyFrame, model_url: str) -> tuple[pl.LazyFrame, str | None]:
    """Return the rows that the Model Service predicts for, with `weighed_predicted`, and its bundle's
    hash. Heats that it abstains from, or refuses, are left out. Raises UnreachableModelServiceError.
    """
    parts = urlsplit(model_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    found, bundle_hash = [], None
    for row in rows.collect().iter_rows(named=True):
        answer = _ask(connection, model_url, request_of(row))
        if answer.get("status") != "predicted":
            continue
        bundle_hash = answer["model"]["bundle_hash"]
        found.append(row | {"weighed_predicted": _estimates(answer), "weighed_bundle_hash": bundle_hash})
    connection.close()
    table = pa.Table.from_pylist(found, schema=arrow_schema(delta_schema("heats")))
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError("a table is a frame")
    return frame.lazy(), bundle_hash


def request_of(row: Document) -> Document:
    """Return the request for what was weighed in a row of the lake."""
    slag = {
        "carry_over_kg_t": row["slag_carry_over_kg_t"],
        "oxides": {one["oxide"]: _analysis(one) for one in row["slag"]},
    }
    heat = {
        "treatment": {key: row[key] for key in ("plant_id", "heat_uid", "station", "treatment_no")},
        "heat_no": row["heat_no"],
        "revision": row["revision"],
        "registered_at": row["registered_at"],
        "grade": row["grade"],
        "windows": {one["element"]: _window(one) for one in row["windows"]},
        "chemistry": {one["element"]: _analysis(one) for one in row["chemistry"]},
        "steel_mass_t": row["steel_mass_t"],
        "temperature_c": row["temperature_c"],
        "oxygen_ppm": row["oxygen_ppm"],
        "slag": slag,
        "features": {one["name"]: one["value"] for one in row["features"]},
    }
    additions = [{key: one[key] for key in ("additive", "lot", "added_kg")} for one in row["weighed"]]
    offers = [_offer(one, row) for one in row["additives"]]
    return {"heat": heat, "additives": offers, "additions": additions, "recent_heats": []}


def _window(one: Document) -> Document:
    return {key: one[f"{key}_pct"] for key in ("min", "aim", "max") if one[f"{key}_pct"] is not None}


def _offer(one: Document, row: Document) -> Document:
    price = {
        "amount": one["price_per_t"] or 0.0,
        "currency": one["currency"] or row["currency"] or "EUR",  # no price has a say in a prediction
        "valid_from": one["price_valid_from"] or row["registered_at"],
    }
    rest = {
        key: one[key]
        for key in ("stock_kg", "min_kg", "max_kg", "metallic_yield", "chill_c_per_kg_t")
        if one[key] is not None
    }
    assay = {element["element"]: element["pct"] for element in one["assay"]}
    return {
        "additive": one["additive"],
        "lot": one["lot"],
        "assay": assay,
        "price_per_t": price,
        "increment_kg": one["increment_kg"] or 1.0,
        **rest,
    }


def _analysis(one: Document) -> object:
    return {"below": one["below_pct"]} if one["below_pct"] is not None else one["pct"]


def _estimates(answer: Document) -> list[Document]:
    return [
        {
            "element": element,
            "low_pct": of["interval_pct"]["low"],
            "high_pct": of["interval_pct"]["high"],
            **{key: of[key] for key in ("base_pct", "correction_pct", "predicted_pct", "sd_pct")},
        }
        for element, of in answer["elements"].items()
    ]


def _ask(connection: http.client.HTTPConnection, model_url: str, request: Document) -> Document:
    try:
        connection.request(
            "POST", "/v1/predictions", msgspec.json.encode(request), {"content-type": "application/json"}
        )
        answer: Document = msgspec.json.decode(connection.getresponse().read())
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        raise UnreachableModelServiceError(
            str(error) or type(error).__name__, where=model_url, allowed="a Model Service that answers"
        ) from error
    return answer
