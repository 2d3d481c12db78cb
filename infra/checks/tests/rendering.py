"""Overlays as kubectl renders them, offline."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
KUBERNETES = ROOT / "infra" / "kubernetes"
KUBECTL = Path(sys.executable).with_name("kubectl")
PLACES = ("dev", "stage", "prod")
SOFTWARE = tuple(f"overlays/{place}" for place in PLACES)
MODELS = tuple(f"model/overlays/{place}" for place in PLACES)
Document = dict[str, Any]


@cache
def text_of(overlay: str) -> str:
    rendered = subprocess.run(
        [KUBECTL, "kustomize", KUBERNETES / overlay], capture_output=True, text=True, check=False
    )
    assert rendered.returncode == 0, rendered.stderr
    return rendered.stdout


def rendered(overlay: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text_of(overlay)) if document]


def of_kind(overlay: str, *kinds: str) -> list[Document]:
    return [document for document in rendered(overlay) if document["kind"] in kinds]


def pods(overlay: str) -> dict[str, Document]:
    """Name of what makes pods, to its pod template."""
    found = {}
    for document in rendered(overlay):
        spec = document.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if document["kind"] in ("Deployment", "StatefulSet", "Job", "CronJob"):
            found[document["metadata"]["name"]] = spec["template"]
    return found


def served(overlay: str) -> list[str]:
    """Names of what runs on and answers."""
    return [document["metadata"]["name"] for document in of_kind(overlay, "Deployment", "StatefulSet")]
