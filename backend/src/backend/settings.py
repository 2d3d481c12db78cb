"""Settings, read once from BACKEND_* environment variables."""

from typing import Annotated

from pydantic import Field, HttpUrl, PositiveFloat, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One backend serves one plant.

    Addresses of the model service are fixed; what stands behind them may change.
    """

    model_config = SettingsConfigDict(env_prefix="BACKEND_", frozen=True)

    database_url: SecretStr = SecretStr("sqlite:///backend.sqlite")
    nats_url: str = "nats://127.0.0.1:4222"
    model_live_url: HttpUrl = HttpUrl("http://127.0.0.1:8001")
    model_shadow_url: HttpUrl | None = None
    model_timeout_s: PositiveFloat = 2.0
    # What the services ask for, where they ask for one.
    model_live_token: str | None = Field(default=None, min_length=1, repr=False)
    model_shadow_token: str | None = Field(default=None, min_length=1, repr=False)
    plant_id: str = "demo"
    host: str = "127.0.0.1"
    port: int = 8000
    # So long the ids of messages are kept, against one that comes twice; longer than the bus keeps messages.
    event_ids_kept_days: Annotated[int, Field(ge=1, le=3650)] = 30
    # Of `consume` and `publish`, which have no other; none shows none.
    metrics_port: int | None = None
    # False only where people come over plain HTTP, as on one's own machine.
    cookie_secure: bool = True
