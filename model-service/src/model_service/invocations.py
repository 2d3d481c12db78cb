"""The request shapes of MLflow and SageMaker, so that a bundle answers wherever one is expected."""

from collections.abc import Iterator
from typing import Any

import msgspec

from model_service.contracts import Recommendation, RecommendationRequest
from model_service.documents import convert
from model_service.errors import Fault, InvalidDocument
from model_service.model import Bundle
from model_service.recommendation import recommend

MOST_AT_ONCE = 1000


def invoke(bundle: Bundle, document: Any) -> list[Recommendation]:
    """Answer every request in `document`, see `requests_in`."""
    return [recommend(bundle, request) for request in list(requests_in(document))]


def requests_in(document: Any) -> Iterator[RecommendationRequest]:
    """Yield the requests of a document as model servers send them.

    That is `{"inputs": [request, ...]}`, `{"instances": [...]}`, `{"dataframe_records": [...]}`,
    `{"dataframe_split": {"columns": [...], "data": [[...], ...]}}`, a list of requests, or one request.
    Raises InvalidDocument, naming the request that is at fault.
    """
    name, rows = _rows(document)
    if len(rows) > MOST_AT_ONCE:
        fault = Fault(name, f"{len(rows)} requests", f"at most {MOST_AT_ONCE}")
        raise InvalidDocument("Too many requests at once", [fault])
    for i, row in enumerate(rows):
        try:
            yield convert(row, RecommendationRequest)
        except InvalidDocument as error:
            prefix = f"{name}[{i}]" if name else "$"
            faults = [fault._replace(where=prefix + fault.where[1:]) for fault in error.faults]
            raise InvalidDocument(f"{faults[0].where}: {faults[0].what}", faults) from None


def _rows(document: Any) -> tuple[str, list[Any]]:
    if isinstance(document, list):
        return "$", document
    if isinstance(document, dict):
        for name in ("inputs", "instances", "dataframe_records"):
            if name in document:
                rows = document[name]
                return (f"$.{name}", rows) if isinstance(rows, list) else (f"$.{name}", [rows])
        if "dataframe_split" in document:
            return "$.dataframe_split.data", _split_rows(document["dataframe_split"])
        return "", [document]
    fault = Fault("$", f"{type(document).__name__}", 'a request, or {"inputs": [request, ...]}')
    raise InvalidDocument("The body is no request", [fault])


def _split_rows(table: Any) -> list[Any]:
    """Return the rows of a table in pandas' split form, without what is null in them."""
    shape = convert(table, _Split)
    rows = []
    for i, values in enumerate(shape.data):
        if len(values) != len(shape.columns):
            where, allowed = f"$.dataframe_split.data[{i}]", f"{len(shape.columns)} values, one per column"
            raise InvalidDocument("A row of another length", [Fault(where, f"{len(values)} values", allowed)])
        named = zip(shape.columns, values, strict=True)
        rows.append({column: value for column, value in named if value is not None})
    return rows


class _Split(msgspec.Struct):
    columns: list[str]
    data: list[list[Any]]
