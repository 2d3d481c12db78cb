"""The ML pipeline: from a plant's heats to a gated, registered and released model."""

import os

# Before MLflow is imported anywhere: it reports home by default, and a plant's network is closed.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
