"""Settings, read once from MONITORING_* environment variables."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

BESIDE_A_STORE = Path("build")


def _place(lake: object) -> object:
    return lake if "://" in str(lake) else Path(str(lake))


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MONITORING_", frozen=True)

    lake: Annotated[Path | str, BeforeValidator(_place)] = Path("build/lake")
    nats_url: str = "nats://127.0.0.1:4222"
    host: str = "127.0.0.1"
    port: int = Field(default=8002, ge=1, le=65535)
    plant_id: str | None = None
    references: Path | None = None
    state: Path | None = None
    price_per_miss_per_t: float = Field(default=50.0, ge=0)
    webhook_url: str | None = None
    diagnose_every_s: float = Field(default=30.0, gt=0)
    degraded_window_heats: int = Field(default=20, ge=1)
    degraded_least_windows: int = Field(default=3, ge=1)
    degraded_last_windows: int = Field(default=5, ge=1)
    degraded_cool_down_s: float = Field(default=6 * 3600.0, ge=0)

    @property
    def references_folder(self) -> Path:
        """References, named by bundle hash; beside the lake where nothing else is said."""
        return self.references or self._beside / "references"

    @property
    def state_file(self) -> Path:
        """Alarms and what people said of them; beside the lake where nothing else is said."""
        return self.state or self._beside / "monitoring.sqlite"

    @property
    def _beside(self) -> Path:
        """The lake's folder; `build` where the lake is in a store, for SQLite needs a disk."""
        return self.lake.parent if isinstance(self.lake, Path) else BESIDE_A_STORE
