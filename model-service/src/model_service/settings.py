"""Settings, read once from MODEL_SERVICE_* environment variables."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """`token`: where one is set, callers must bring it. Limits are for one request."""

    model_config = SettingsConfigDict(env_prefix="MODEL_SERVICE_", frozen=True)

    bundle: Path
    host: str = "127.0.0.1"
    port: int = Field(default=8001, ge=1, le=65535)
    image_digest: str | None = None
    token: SecretStr | None = Field(default=None, min_length=1)
    most_bytes: int = Field(default=16 * 1024 * 1024, ge=1)
    time_limit_s: float = Field(default=30.0, gt=0)
