"""What a demo runs: commands, their settings and when each is ready. Values only, nothing is started here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_runner import readiness
from local_runner.ports import LOOPBACK
from local_runner.processes import Command
from local_runner.settings import PLANT_ID, Settings

COMPONENTS = {
    "backend": "backend",
    "model-service": "model-service",
    "ml-pipeline": "ml-pipeline",
    "monitoring": "monitoring",
    "plant-simulator": "infra/plant-simulator",
}
READY_S = 60.0


@dataclass(frozen=True)
class Ports:
    """The ports of this demo, each free when it was chosen."""

    backend: int
    model: int
    monitoring: int
    mlflow: int
    nats: int
    nats_monitor: int
    shadow: int = 0


@dataclass(frozen=True)
class Service:
    """A command that runs on, and the question whether it is ready."""

    command: Command
    ready: Callable[[], bool]
    ready_s: float = READY_S


@dataclass(frozen=True)
class Plan:
    """The demo of these settings on these ports."""

    settings: Settings
    ports: Ports

    @property
    def urls(self) -> dict[str, str | None]:
        """Where people and other programs find the demo."""
        return {
            "backend": f"http://{LOOPBACK}:{self.ports.backend}",
            "model_service": self.addresses["champion"],
            "model_shadow": self.addresses["shadow"],
            "monitoring": f"http://{LOOPBACK}:{self.ports.monitoring}",
            "mlflow": f"http://{LOOPBACK}:{self.ports.mlflow}" if self.settings.mlflow else None,
            "nats": f"nats://{LOOPBACK}:{self.ports.nats}",
        }

    @property
    def lake(self) -> Path:
        return self.settings.demo_dir / "lake"

    @property
    def models(self) -> Path:
        """Released models, and the links that say which stand behind the addresses."""
        return self.settings.demo_dir / "models"

    @property
    def champion(self) -> Path:
        return self.models / "champion"

    @property
    def artifacts(self) -> Path:
        return self.settings.demo_dir / "mlflow" / "artifacts"

    @property
    def ledger(self) -> Path:
        return self.artifacts / "ledger.jsonl"

    @property
    def references(self) -> Path:
        return self.settings.demo_dir / "references"

    @property
    def addresses(self) -> dict[str, str]:
        """Link of the release folder to the fixed address that it stands behind."""
        return {
            "champion": f"http://{LOOPBACK}:{self.ports.model}",
            "shadow": f"http://{LOOPBACK}:{self.ports.shadow}",
        }

    def program(self, component: str, name: str) -> str:
        """Return the path of an installed program of a component."""
        return str(self.settings.root / COMPONENTS[component] / ".venv" / "bin" / name)

    def command(self, component: str, name: str, *arguments: str | Path) -> Command:
        """Return a component's command with the component's settings."""
        argv = (self.program(component, component), *map(str, arguments))
        return Command(name, argv, self._settings_of(component))

    def _settings_of(self, component: str) -> dict[str, str]:
        folder, ports, urls = self.settings.demo_dir, self.ports, self.urls
        nats_url = str(urls["nats"])
        return {
            "backend": {
                "BACKEND_DATABASE_URL": f"sqlite:///{folder / 'backend.sqlite'}",
                "BACKEND_NATS_URL": nats_url,
                "BACKEND_MODEL_LIVE_URL": self.addresses["champion"],
                "BACKEND_MODEL_SHADOW_URL": self.addresses["shadow"],
                "BACKEND_PLANT_ID": PLANT_ID,
                "BACKEND_HOST": LOOPBACK,
                "BACKEND_PORT": str(ports.backend),
                "BACKEND_COOKIE_SECURE": "false",  # plain HTTP on this machine
            },
            "model-service": {},
            "monitoring": {
                "MONITORING_LAKE": str(self.lake),
                "MONITORING_NATS_URL": nats_url,
                "MONITORING_PLANT_ID": PLANT_ID,
                "MONITORING_HOST": LOOPBACK,
                "MONITORING_PORT": str(ports.monitoring),
                "MONITORING_REFERENCES": str(self.references),
                "MONITORING_DIAGNOSE_EVERY_S": f"{self.settings.diagnose_every_s:g}",
                "MONITORING_DEGRADED_COOL_DOWN_S": f"{self.settings.cool_down_s:g}",
            },
            "ml-pipeline": {
                "ML_PIPELINE_LAKE": str(self.lake),
                "ML_PIPELINE_TRACKING_URI": self.tracking_uri,
                "ML_PIPELINE_ARTIFACTS": str(self.artifacts),
                "ML_PIPELINE_NATS_URL": nats_url,
                "ML_PIPELINE_CONSENT": self.settings.consent,
                "ML_PIPELINE_COOL_DOWN_S": f"{self.settings.cool_down_s:g}",
                "ML_PIPELINE_WORK": str(folder / "pipeline"),
                "ML_PIPELINE_MODELS": str(self.models),
                "ML_PIPELINE_TRIAL": "true",  # a demo is for trying out, edited code too
                "ML_PIPELINE_IMAGE": "never",
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
            "plant-simulator": {},
        }[component]

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.settings.demo_dir / 'mlflow' / 'mlflow.sqlite'}"

    def nats(self) -> Service:
        """The data bus, with file storage."""
        argv = (
            *(str(self.settings.root / "infra/local/.venv/bin/nats-server"), "--addr", LOOPBACK),
            *("--port", str(self.ports.nats), "--http_port", str(self.ports.nats_monitor)),
            *("--jetstream", "--store_dir", str(self.settings.demo_dir / "nats")),
        )
        return Service(Command("nats", argv), self._answers(self.ports.nats_monitor, "/healthz"))

    def services(self) -> list[Service]:
        """The product, in its starting order. What has no port is ready when NATS says that it listens."""
        monitor = self.ports.nats_monitor
        return [
            Service(self.front(), self._answers(self.ports.model, "/health/ready")),
            Service(
                self.command("backend", "backend-serve", "serve"),
                self._answers(self.ports.backend, "/health/ready"),
            ),
            Service(
                self.command("backend", "backend-consume", "consume"),
                lambda: bool(readiness.consumers_of(monitor, "PLANT")),
            ),
            Service(
                self.command("backend", "backend-publish", "publish"),
                lambda: readiness.consumers_of(monitor, "PRODUCT") is not None,
            ),
            Service(
                self.command("monitoring", "monitoring-collect", "collect"),
                lambda: bool(readiness.consumers_of(monitor, "PRODUCT")),
            ),
            Service(
                self.command("monitoring", "monitoring-serve", "serve"),
                self._answers(self.ports.monitoring, "/health/ready"),
            ),
            Service(self.command("ml-pipeline", "ml-pipeline-watch", "watch"), lambda: True),
        ]

    def front(self) -> Command:
        """What stands behind the addresses `live` and `shadow`, swapped when the links say so."""
        argv = (
            *(str(self.settings.root / "infra/local/.venv/bin/local-runner"), "front"),
            *("--program", self.program("model-service", "model-service"), "--models", str(self.models)),
            *("--live-port", str(self.ports.model), "--shadow-port", str(self.ports.shadow)),
        )
        return Command("model-service", argv)

    def mlflow(self) -> Service:
        """MLflow's page for people; the pipeline itself writes to the same database without it."""
        argv = (
            *(
                self.program("ml-pipeline", "mlflow"),
                "server",
                "--host",
                LOOPBACK,
                "--port",
                str(self.ports.mlflow),
            ),
            *("--workers", "1", "--backend-store-uri", self.tracking_uri),
            *("--artifacts-destination", str(self.settings.demo_dir / "mlflow" / "artifacts")),
        )
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        return Service(
            Command("mlflow", argv, quiet), self._answers(self.ports.mlflow, "/health"), ready_s=120.0
        )

    @staticmethod
    def _answers(port: int, path: str) -> Callable[[], bool]:
        return lambda: readiness.answers(f"http://{LOOPBACK}:{port}{path}")
