"""Settings, read once from BACKEND_* environment variables."""

from pydantic import HttpUrl, PositiveFloat, SecretStr
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
    plant_id: str = "demo"
    host: str = "127.0.0.1"
    port: int = 8000
    # Of `consume` and `publish`, which have no other; none shows none.
    metrics_port: int | None = None
    # False only where people come over plain HTTP, as on one's own machine.
    cookie_secure: bool = True
