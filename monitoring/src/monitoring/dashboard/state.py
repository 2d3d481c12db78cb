"""The state of things in one line: pure."""

from typing import NamedTuple

from monitoring.alarms.store import Alarm
from monitoring.alarms.watch import View


class State(NamedTuple):
    """`tone`: good, warn or bad."""

    tone: str
    sentence: str


def state_of(view: View, alarms: list[Alarm]) -> State:
    """Return it from the newest alarm that nobody has seen to, else from what is known."""
    waiting = [alarm for alarm in alarms if alarm.acknowledged_at is None]
    if waiting:
        others = f" And {len(waiting) - 1} more." if len(waiting) > 1 else ""
        return State("bad", waiting[0].sentence + others)
    if not view.treatments:
        return State("warn", "Nothing to judge yet.")
    if not view.has_reference:
        model = f"model {view.bundle_hash[:8]}" if view.bundle_hash else "heats without a model's prediction"
        return State(
            "warn", f"Not judged: there is no reference for {model}; `monitoring reference` makes one."
        )
    return State("good", f"All is well: the newest {view.treatments} treatments are as in training.")
