"""The registered model as MLflow loads it: code, not a pickle, around the same core that the Model Service
runs."""

from typing import Any

import msgspec
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel
from model_service.bundle import load_bundle
from model_service.invocations import invoke


class SteelAdditives(PythonModel):
    """`predict` takes what the Model Service's `/invocations` takes, and returns its recommendations as
    dicts."""

    def load_context(self, context: Any) -> None:
        self.bundle = load_bundle(context.artifacts["bundle"])

    # MLflow would make a schema of type hints here; the contract is the Model Service's, so there are none.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        return msgspec.to_builtins(invoke(self.bundle, model_input))


set_model(SteelAdditives())
