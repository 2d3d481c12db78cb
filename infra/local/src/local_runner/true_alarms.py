"""Which alarms were true, once the story is over: lots by what the simulator knows of them, everything else
by what was played.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from local_runner.progress import step
from local_runner.story import Story

ALARMED = re.compile(r"lot (?P<lot>\S+) of (?P<additive>\S+) brings")
TRUE_FROM = 0.025  # of what the certificate says; honest lots differ too
SPARE_HEATS = 1000  # cancelled ones have a number too
SCENARIO_LOT, SCENARIO_OFF = "SM-9001", {"Mn": -0.04}  # what the scenario of the bad lot puts into the bin


class Alarmed(NamedTuple):
    """A lot that was alarmed about, and the element that it was said to bring less or more of."""

    additive: str
    lot: str
    element: str


def judge_alarms(story: Story, played: Sequence[str]) -> None:
    """Put on the timeline what each lot that was alarmed about truly brings, and which other alarms are of
    causes that were not `played`.
    """
    alarms = story.alarms()
    lots = alarmed(alarms)
    truth = _true_lots(story) if lots else []
    for one in lots:
        off = off_by(one, truth)
        verdict = "a true alarm" if abs(off) >= TRUE_FROM else "a false alarm"
        much = f"{abs(100 * off):.1f} % {'less' if off < 0 else 'more'} {one.element}"
        named = f"Lot {one.lot} of {one.additive}"
        story.tell("check", f"{named} truly brings {much} than its certificate says: {verdict}.")
    for alarm in reversed(alarms):
        if alarm["cause"] not in ("lot", *played):
            story.tell("check", f"A false alarm, as nothing of the kind was played: {alarm['sentence']}")


def _true_lots(story: Story) -> list[dict[str, Any]]:
    settings = story.plan.settings
    file = settings.demo_dir / "true-lots.json"
    heats = str(settings.history_heats + story.heats() + SPARE_HEATS)
    told = ("--seed", str(settings.seed), "--heats", heats, "--output", file)
    with step("what was truly in the lots") as current:
        command = story.plan.command("plant-simulator", "true-lots", "true-lots", *told)
        story.processes.run(command, current)
    return list(json.loads(file.read_text()))


def alarmed(alarms: Sequence[dict[str, Any]]) -> list[Alarmed]:
    """The lots that alarms name, each once, the oldest first."""
    found = []
    for alarm in reversed(alarms):
        named = ALARMED.search(alarm["sentence"])
        if alarm["cause"] == "lot" and named:
            found.append(Alarmed(named["additive"], named["lot"], alarm["elements"][0]))
    return list(dict.fromkeys(found))


def off_by(one: Alarmed, truth: Sequence[dict[str, Any]]) -> float:
    """By how much, relative, a lot brings more of its element than its certificate says."""
    if one.lot == SCENARIO_LOT:
        return SCENARIO_OFF.get(one.element, 0.0)
    of = next(lot for lot in truth if (lot["additive"], lot["lot"]) == (one.additive, one.lot))
    assay = of["assay"][one.element]
    return float(assay["true_pct"] / assay["certificate_pct"] - 1)
