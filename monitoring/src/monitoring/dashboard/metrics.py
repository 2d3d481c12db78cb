"""The same figures for Prometheus."""

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from monitoring.dashboard.bus_position import Position
from monitoring.dashboard.reading import Reading


def metrics(reading: Reading, position: Position) -> bytes:
    """Return the figures in Prometheus' text format; one that is not known is left out."""
    registry = CollectorRegistry()
    summary = reading.summary
    figures = {
        "heats": (summary.heats, "Treatments collected from the bus"),
        "lake_rows": (reading.rows, "Rows of the heats table"),
        "lake_version": (reading.lake_version, "Version of the heats table"),
        "quarantined_rows": (reading.quarantined, "Rows of the quarantine table"),
        "behind": (position.behind, "Completed heats on the bus that are not in the lake yet"),
        "in_window_ratio": (summary.in_window_rate, "Treatments with every judged element inside its window"),
        "override_ratio": (summary.override_rate, "Decisions that differ from what was shown"),
        "fallback_ratio": (
            summary.fallback_rate,
            "Recommendations by the handbook rule instead of the model",
        ),
        "last_completed_timestamp_seconds": (
            summary.last_completed_at.timestamp() if summary.last_completed_at else None,
            "When the newest heat was completed",
        ),
    }
    for name, (value, description) in figures.items():
        if value is not None:
            Gauge(f"monitoring_{name}", description, registry=registry).set(value)
    if cost := summary.cost_per_t:
        gauge = Gauge("monitoring_cost_per_t", "Additive cost per tonne", ["currency"], registry=registry)
        gauge.labels(cost.currency).set(cost.amount)
    for name, description in {
        "mae_pct": "Mean absolute error of the prediction, wt %",
        "bias_pct": "Predicted minus measured, wt %",
        "coverage_90": "Share of measurements inside the 90 % interval",
        "n": "Predictions that could be compared",
    }.items():
        gauge = Gauge(f"monitoring_prediction_{name}", description, ["element"], registry=registry)
        for element, error in summary.elements.items():
            gauge.labels(element).set(getattr(error, name))
    return generate_latest(registry)
