"""The same figures for Prometheus."""

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from monitoring.alarms.watch import View
from monitoring.dashboard.bus_position import Position
from monitoring.dashboard.reading import Reading


def metrics(reading: Reading, position: Position, view: View, open_alarms: int) -> bytes:
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
    gauge = Gauge("monitoring_open_alarms", "Alarms that nobody has seen to", registry=registry)
    gauge.set(open_alarms)
    gauge = Gauge(
        "monitoring_findings", "Findings among the newest heats", ["diagnosis", "cause"], registry=registry
    )
    for finding in view.findings:
        gauge.labels(finding.diagnosis, finding.cause).inc()
    gauge = Gauge(
        "monitoring_input_shift",
        "Newest heats against training heats, standard deviations of one heat",
        ["station", "reading"],
        registry=registry,
    )
    for one in view.drift:
        gauge.labels(one.station, one.reading).set(one.effect)
    gauge = Gauge(
        "monitoring_saved_per_t",
        "Saved per tonne against the handbook rule, misses included, an estimate",
        ["station", "grade", "currency"],
        registry=registry,
    )
    for saving in view.savings:
        gauge.labels(saving.station, saving.grade, saving.currency).set(saving.per_t)
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
