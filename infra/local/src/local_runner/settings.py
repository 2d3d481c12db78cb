"""Settings of a demo, read once from the environment (`make demo NAME=value` sets them)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local_runner.errors import SettingInvalid

PLANT_ID = "demo"
ENDLESS_HEATS = 1_000_000


@dataclass(frozen=True)
class Settings:
    """What a person can choose. Port 0 is any free one; `nats_port` None is the last one, or a free one."""

    root: Path
    demo_dir: Path
    backend_port: int = 8000
    model_port: int = 8001
    monitoring_port: int = 8002
    mlflow_port: int = 8003
    nats_port: int | None = None
    headless: bool = False
    mlflow: bool = True
    restart: bool = False
    heats: int = ENDLESS_HEATS
    heats_per_minute: float = 6.0
    leave_every: int = 3
    history_heats: int = 2000
    seed: int = 1
    consent: str = "automatic"
    cool_down_s: float = 6 * 3600.0
    diagnose_every_s: float = 30.0


def read_settings(environment: Mapping[str, str], root: Path) -> Settings:
    """Return the settings of `environment`; relative folders are taken from the repository's root."""
    headless = _flag(environment, "HEADLESS", default=False)
    nats_port = environment.get("NATS_PORT")
    return Settings(
        root=root,
        demo_dir=(root / environment.get("DEMO_DIR", "build/demo")).resolve(),
        backend_port=_number(environment, "BACKEND_PORT", 8000, most=65535),
        model_port=_number(environment, "MODEL_PORT", 8001, most=65535),
        monitoring_port=_number(environment, "MONITORING_PORT", 8002, most=65535),
        mlflow_port=_number(environment, "MLFLOW_PORT", 8003, most=65535),
        nats_port=_number(environment, "NATS_PORT", 0, most=65535) or None if nats_port else None,
        headless=headless,
        mlflow=_flag(environment, "MLFLOW", default=not headless),
        restart=_flag(environment, "RESTART", default=False),
        heats=_number(environment, "HEATS", 200 if headless else ENDLESS_HEATS, most=ENDLESS_HEATS),
        heats_per_minute=float(_number(environment, "HEATS_PER_MINUTE", 0 if headless else 6, most=60_000)),
        leave_every=_number(environment, "LEAVE_EVERY", 0 if headless else 3, most=ENDLESS_HEATS),
        history_heats=_number(environment, "HISTORY_HEATS", 2000, most=ENDLESS_HEATS),
        seed=_number(environment, "SEED", 1, most=2**31),
        consent=_one_of(environment, "CONSENT", ("automatic", "person")),
    )


def _number(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or int(text) > most:
        raise SettingInvalid(f"{name}={text}: a whole number from 0 to {most} is allowed.")
    return int(text)


def _one_of(environment: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    text = environment.get(name) or allowed[0]
    if text not in allowed:
        raise SettingInvalid(f"{name}={text}: {' or '.join(allowed)} is allowed.")
    return text


def _flag(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environment.get(name) or str(int(default))
    if text not in ("0", "1"):
        raise SettingInvalid(f"{name}={text}: 0 or 1 is allowed.")
    return text == "1"
