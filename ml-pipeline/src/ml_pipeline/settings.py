"""Settings, read once from ML_PIPELINE_* environment variables; options of the command override them."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where the pipeline reads and writes, as whom, and what it may do."""

    model_config = SettingsConfigDict(env_prefix="ML_PIPELINE_", frozen=True)

    lake: str = "build/lake"
    work: Path = Path("build/work")
    artifacts: Path = Path("build/artifacts")
    models: Path = Path("build/models")
    tracking_uri: str = ""
    processes: int = Field(default=min(os.cpu_count() or 1, 8), ge=1)
    """At once, for what is independent; results don't depend on it."""
    who: str = ""
    """Who is written into the ledger; default: user and machine."""
    trial: bool = False
    """Whether a model of untraceable code may be served where there is no champion; never registered."""
    image: Literal["auto", "never", "always"] = "auto"
    """Build the Model Image: where engine and base image are at hand, never, or fail where they are not."""
    image_name: str = "steel-additives"
    base_image: str = "python:3.11-slim-bookworm"
    nats_url: str = "nats://127.0.0.1:4222"
    consent: Literal["person", "automatic"] = "person"
    """Whether a person approves each promotion of the loop."""
    most_runs_a_day: int = Field(default=4, ge=0)
    cool_down_s: float = Field(default=6 * 3600.0, ge=0)
    """Between two runs of the loop."""
    least_heats: int = Field(default=250, ge=1)
    """Complete since a change before the loop learns from them."""
