"""The request shapes of MLflow and SageMaker, so that a bundle answers wherever one is expected."""

from typing import Any

from model_service.contracts import Recommendation, RecommendationRequest
from model_service.documents import convert
from model_service.errors import Fault, InvalidDocument
from model_service.model import Bundle
from model_service.recommendation import recommend

MOST_AT_ONCE = 1000


def invoke(bundle: Bundle, document: Any) -> list[Recommendation]:
    """Answer `{"inputs": [request, ...]}`, `{"instances": [...]}`, a list of requests, or one request.

    Raises InvalidDocument, naming the request that is at fault.
    """
    name, rows = _rows(document)
    if len(rows) > MOST_AT_ONCE:
        fault = Fault(name, f"{len(rows)} requests", f"at most {MOST_AT_ONCE}")
        raise InvalidDocument("Too many requests at once", [fault])
    requests = []
    for i, row in enumerate(rows):
        try:
            requests.append(convert(row, RecommendationRequest))
        except InvalidDocument as error:
            prefix = f"{name}[{i}]" if name else "$"
            faults = [fault._replace(where=prefix + fault.where[1:]) for fault in error.faults]
            raise InvalidDocument(f"{faults[0].where}: {faults[0].what}", faults) from None
    return [recommend(bundle, request) for request in requests]


def _rows(document: Any) -> tuple[str, list[Any]]:
    if isinstance(document, list):
        return "$", document
    if isinstance(document, dict):
        for name in ("inputs", "instances"):
            if name in document:
                rows = document[name]
                return (f"$.{name}", rows) if isinstance(rows, list) else (f"$.{name}", [rows])
        return "", [document]
    fault = Fault("$", f"{type(document).__name__}", 'a request, or {"inputs": [request, ...]}')
    raise InvalidDocument("The body is no request", [fault])
