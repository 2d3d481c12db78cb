"""Figures of the detection bench: bad lots, false alarms, which cause was named for which."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

WITHIN_AFFECTED_HEATS, LATER = 15, 40
PER_HEATS = 2000

Measured = dict[str, tuple[list[float], str]]


class Alarm(NamedTuple):
    """An alarm of a plant where no scenario was played."""

    cause: str
    is_true: bool


class Named(NamedTuple):
    """What was named in one replay of a scenario: each cause, and how many heats after it began."""

    scenario: str
    first: dict[str, float]
    is_right: bool


class Found(NamedTuple):
    """All that a run found. `delays`: affected heats until a bad lot was named, infinite where none was."""

    expected: dict[str, str]
    delays: list[float]
    alarms: list[Alarm]
    healthy_heats: int
    named: list[Named]
    replays: int
    seeds: list[int]

    def document(self) -> dict[str, Any]:
        return self._asdict() | {
            "delays": [delay if math.isfinite(delay) else None for delay in self.delays],
            "alarms": [one._asdict() for one in self.alarms],
            "named": [one._asdict() for one in self.named],
        }


def read(document: dict[str, Any]) -> Found:
    """What `Found.document` wrote."""
    return Found(
        document["expected"],
        [math.inf if delay is None else delay for delay in document["delays"]],
        [Alarm(**one) for one in document["alarms"]],
        document["healthy_heats"],
        [Named(**one) for one in document["named"]],
        document["replays"],
        document["seeds"],
    )


def bad_lots(delays: Sequence[float]) -> Measured:
    """How many of the lots were named in time."""

    def within(heats: int) -> list[float]:
        return [sum(delay <= heats for delay in delays) / len(delays)]

    return {
        f"-4 % Mn lots named within {WITHIN_AFFECTED_HEATS} affected heats": (
            within(WITHIN_AFFECTED_HEATS),
            "share",
        ),
        f"-4 % Mn lots named within {LATER} affected heats": (within(LATER), "share"),
        "replays of a -4 % Mn lot": ([float(len(delays))], "replays"),
        "affected heats until a -4 % Mn lot is named": (
            sorted(delay for delay in delays if math.isfinite(delay)),
            "heats",
        ),
    }


def healthy(alarms: Sequence[Alarm], heats: int) -> Measured:
    """False alarms; those of lots that really are off apart."""
    false = sum(not one.is_true for one in alarms)
    return {
        "false alarms in 2,000 heats": ([false / (heats / PER_HEATS)], "alarms"),
        "alarms in 2,000 heats, of lots truly 2.5 % off their certificate too": (
            [len(alarms) / (heats / PER_HEATS)],
            "alarms",
        ),
        "heats of a healthy plant": ([float(heats)], "heats"),
    }


def scenarios(found: Found) -> Measured:
    """In which share of its replays each scenario was named rightly, and when."""
    measured: Measured = {}
    for scenario, cause in found.expected.items():
        delays = sorted(
            one.first[cause] for one in found.named if one.scenario == scenario and cause in one.first
        )
        measured[f"{scenario}: {cause} named"] = ([len(delays) / found.replays], "share")
        measured[f"{scenario}: heats until the alarm"] = (delays, "heats")
    return measured


def confusion(found: Found) -> dict[str, dict[str, float]]:
    """Scenario to cause to the share of replays in which it was named after the scenario began."""
    shares: dict[str, dict[str, float]] = {}
    for scenario in found.expected:
        named = Counter(cause for one in found.named if one.scenario == scenario for cause in one.first)
        shares[scenario] = {cause: count / found.replays for cause, count in named.items()}
    return shares


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z = statistics.NormalDist().inv_cdf(0.975)
    middle, half = (hits + z * z / 2), z * math.sqrt(hits * (of - hits) / of + z * z / 4)
    return (middle - half) / (of + z * z), (middle + half) / (of + z * z)


def poisson(count: int) -> tuple[float, float]:
    """The 95 % interval of a count's mean, by the root (Freeman and Tukey 1950)."""
    return max(0.0, (math.sqrt(count) - 0.98) ** 2 if count else 0.0), (math.sqrt(count + 1) + 0.98) ** 2
