"""Settings, read once from ML_PIPELINE_* environment variables; options of the command override them."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where the pipeline reads and writes."""

    model_config = SettingsConfigDict(env_prefix="ML_PIPELINE_", frozen=True)

    lake: Path = Path("build/lake")
    work: Path = Path("build/work")
    artifacts: Path = Path("build/artifacts")
    models: Path = Path("build/models")
    tracking_uri: str = ""
