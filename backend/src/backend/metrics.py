"""Metrics of each process for Prometheus: `serve` at /metrics, the others at a port of their own."""

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

REGISTRY = CollectorRegistry()
REQUEST_SECONDS = Histogram(
    "backend_request_seconds",
    "Time to answer a request",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5),
    registry=REGISTRY,
)
MESSAGES = Counter(
    "backend_messages",
    "Messages of the plant, by what became of them",
    ["result"],
    registry=REGISTRY,
)
TASK_SECONDS = Histogram(
    "backend_task_seconds",
    "Time to do what was due, the model service's included",
    ["kind"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    registry=REGISTRY,
)
EVENTS_PUBLISHED = Counter("backend_events_published", "Events that the bus has", registry=REGISTRY)


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    REQUEST_SECONDS.labels(method, route, status).observe(seconds)


def show(host: str, port: int | None) -> None:
    """Serve this process's metrics, if a port is set."""
    if port is not None:
        start_http_server(port, host, registry=REGISTRY)
