"""What is counted, in Prometheus' words. One registry per service, so that two in one process don't mix."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from model_service.contracts import Prediction, Recommendation
from model_service.model import Bundle

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """Counters of one service; every one carries the version of the model."""

    def __init__(self, bundle: Bundle) -> None:
        self.registry = CollectorRegistry()
        self._version = bundle.version
        self._of = cache(self._of_path)  # looking labels up costs more than counting
        self._requests = Counter(
            "model_service_requests",
            "Requests by path and status",
            ["path", "status", "version"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "model_service_request_seconds",
            "Time to answer",
            ["path", "version"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._abstentions = Counter(
            "model_service_abstentions",
            "Abstentions by reason",
            ["reason", "version"],
            registry=self.registry,
        )
        self._infeasible = Counter(
            "model_service_infeasible_heats",
            "Heats that cannot reach a limit with the confidence asked for",
            ["version"],
            registry=self.registry,
        )
        self._infeasible.labels(self._version)
        model = Gauge(
            "model_service_model",
            "The model that answers",
            ["version", "bundle_hash", "image_digest"],
            registry=self.registry,
        )
        model.labels(bundle.version, bundle.bundle_hash, bundle.image_digest or "").set(1)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request; `path` is empty where there is no such path."""
        requests, observe = self._of(path, status)
        requests.inc()
        observe.observe(seconds)

    def judged(self, answer: Recommendation | Prediction) -> None:
        """Count an abstention once per reason, and a heat that cannot reach its grade."""
        for code in sorted({reason.code for reason in answer.abstention_reasons}):
            self._abstentions.labels(code, self._version).inc()
        if isinstance(answer, Recommendation) and answer.unreached:
            self._infeasible.labels(self._version).inc()

    def _of_path(self, path: str, status: int) -> tuple[Counter, Histogram]:
        return (
            self._requests.labels(path, str(status), self._version),
            self._seconds.labels(path, self._version),
        )

    def text(self) -> bytes:
        return generate_latest(self.registry)
