"""The registered model as MLflow loads it: code, not a pickle, around the same core that the Model Service
runs."""

import math
from typing import Any

import msgspec
import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel
from model_service.bundle import load_bundle
from model_service.invocations import invoke


class SteelAdditives(PythonModel):
    """`predict` takes what the Model Service's `/invocations` takes, also as MLflow's server hands it on,
    and returns its recommendations as dicts."""

    def load_context(self, context: Any) -> None:
        self.bundle = load_bundle(context.artifacts["bundle"])

    # MLflow would make a schema of type hints here; the contract is the Model Service's, so there are none.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        return msgspec.to_builtins(invoke(self.bundle, _plain(model_input)))


def _plain(model_input: Any) -> Any:
    """Undo what MLflow's server makes of JSON: a table, or rows whose fields are arrays."""
    if hasattr(model_input, "to_dict"):
        rows = model_input.to_dict("records")
        return [{name: value for name, value in row.items() if not _is_missing(value)} for row in rows]
    if isinstance(model_input, list):
        return [_plain(row) for row in model_input]
    if isinstance(model_input, dict):
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in model_input.items()
        }
    return model_input


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


set_model(SteelAdditives())
