"""Settings, read once from MODEL_SERVICE_* environment variables."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MODEL_SERVICE_", frozen=True)

    bundle: Path
    host: str = "127.0.0.1"
    port: int = Field(default=8001, ge=1, le=65535)
    image_digest: str | None = None
