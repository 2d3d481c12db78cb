"""`make loop`: the story of the loop with real processes and a simulated plant, from top to bottom."""

import csv
import random
import shutil
import statistics
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local_runner import loop_page
from local_runner.demo import choose_ports, start
from local_runner.errors import SettingInvalid, StageMissing
from local_runner.folder import Remembered, claimed
from local_runner.heats import play_command
from local_runner.leftovers import end_leftovers
from local_runner.plan import Plan
from local_runner.processes import Command, Processes
from local_runner.progress import say, step
from local_runner.references import References
from local_runner.settings import ENDLESS_HEATS, Settings
from local_runner.story import Story
from local_runner.true_alarms import judge_alarms

FOLDER, DOCS = "build/loop", "docs/loop"
HEALTHY, REFERENCE_S = 120, 180.0
LEARNT = 300  # healthy heats before a change that shows only against what was usual for long
SEEN, MOSTLY = 80, 0.8  # heats that a band of the page is seen by; the handbook's now and then are among them
LOT, LOT_HEATS = "SiMn SM-9001", 90
REFUSED = 3  # exit code of a candidate that has not passed the gate
HEATS_PER_MINUTE = 600.0
SHUFFLED_HEATS, LATER_DAYS = 700, 10


def loop(settings: Settings, environment: dict[str, str], scenario: str) -> None:
    """Tell a story; raise `StageMissing` where a stage did not happen. Begins anew each time."""
    if scenario not in STORIES:
        raise SettingInvalid(f"SCENARIO={scenario}: {', '.join(STORIES)} is allowed.")
    settings = replace(
        settings,
        demo_dir=settings.root / FOLDER / "run",
        headless=True,
        mlflow=False,
        heats=ENDLESS_HEATS,
        heats_per_minute=HEATS_PER_MINUTE,
        leave_every=0,
        backend_port=0,
        model_port=0,
        monitoring_port=0,
        nats_port=None,
        consent="automatic",
        cool_down_s=300.0,
        diagnose_every_s=1.0,
    )
    end_leftovers(settings.demo_dir)
    shutil.rmtree(settings.demo_dir, ignore_errors=True)
    with claimed(settings.demo_dir):
        facts = Remembered()
        plan = Plan(settings, choose_ports(settings, facts))
        processes = Processes(settings.demo_dir, environment)
        processes.catch_signals()
        story = Story(plan, processes, References(plan, processes))
        try:
            start(plan, processes, facts)
            backend = _pids(processes)
            missing = _told(story, STORIES[scenario])
            judge_alarms(story, PLAYED.get(scenario, ()))
            if scenario == "story" and _pids(processes) != backend:
                missing = missing or "the backend was started again"
            docs = settings.root / DOCS if scenario == "story" and not missing else None
            loop_page.write(story, settings.root / FOLDER, docs, scenario, missing)
        finally:
            with step("stop everything that was started"):
                processes.stop_all()
    if missing:
        raise StageMissing(missing)
    say(f"\n   Every stage happened. {settings.root / FOLDER}/{scenario}.html")


def _told(story: Story, tell: Callable[[Story], None]) -> str:
    """Tell it; what is missing, or nothing."""
    try:
        story.wait_for_reference(REFERENCE_S)
        play = play_command(story.plan, Remembered())
        story.processes.launch(replace(play, argv=[*play.argv, "--control", str(story.control)]))
        tell(story)
    except StageMissing as error:
        story.tell("check", f"MISSING: {error}")
        return str(error)
    return ""


def whole_story(story: Story) -> None:
    """Healthy; a bad lot; a new practice; a bad candidate; a worse model forced live."""
    begin_of_lot = healthy(story)

    _begins(story, "simn-lot-low")
    story.until("an alarm names the lot", lambda: _named(story, "lot", LOT, begin_of_lot), 250)
    story.play(max(1, begin_of_lot + LOT_HEATS - story.heats()), "the lot is used up")
    story.happens()
    _no_retraining(story)
    _absorbed(story, begin_of_lot)

    story.happens("pre-deoxidation")
    begun = story.heats()
    story.tell("plant", "Carbide goes into the ladle of heats killed with SiMn; nobody tells Level 2.")
    wrong = story.until("monitoring says that the model is wrong", lambda: story.entry("degraded"), 400)
    started = story.until("the pipeline retrains", lambda: story.entry("retraining"), 700)
    challenger = story.until(
        "a challenger passes the gate and goes into shadow",
        lambda: _unless(story, "refused", started["number"]) or story.entry("shadow", started["number"]),
        900,
    )
    if challenger["what"] != "shadow":
        raise StageMissing(f"the gate refused the retrained model: {challenger['why']}")
    new = challenger["version"]
    promotion = story.until(
        "it is promoted, being better with confidence",
        lambda: story.entry("champion", challenger["number"], new),
        700,
    )
    promoted = story.heats()
    confirmed = story.until(
        "the promotion is watched, and confirmed",
        lambda: story.entry("confirmed", challenger["number"], new),
        700,
    )
    _recovered(story, begun, promoted, wrong["evidence"]["elements"])

    _bad_candidate(story)
    old = promotion["evidence"]["before"]
    story.tell("plant", f"Somebody forces version {old} live, although version {new} is better.")
    by_hand = ("promote", old, "--why", "forced by hand, to show what follows")
    _run(story, story.plan.command("ml-pipeline", "pipeline-promote", *by_hand))
    forced = story.until(
        "the worse model is live", lambda: story.entry("champion", confirmed["number"], old), 50
    )
    story.until("it is rolled back by itself", lambda: story.entry("champion", forced["number"], new), 700)
    # What was in flight at the roll-back still completes with the worse one's recommendations.
    shown = f"most of {SEEN} heats are recommended for by version {new} again"
    story.until(shown, lambda: _recommended_by(story, new), 500)


def healthy(story: Story, heats: int = HEALTHY) -> int:
    """A healthy plant: heats pass, nothing is said of the model. How many have passed."""
    story.tell("plant", "A healthy plant plays; the model in force was trained on its history.")
    story.play(heats, f"{heats} healthy heats")
    wrong = [one["sentence"] for one in story.findings() if one["diagnosis"] == "model"]
    if wrong:
        raise StageMissing(f"a healthy plant's model was called wrong: {wrong[0]}")
    return story.heats()


def one_cause(
    scenario: str, cause: str, diagnosis: str, within: int, before: int = HEALTHY
) -> Callable[[Story], None]:
    """A story of one scenario that has to be named as what it is, after so many healthy heats, and must not
    retrain.
    """

    def tell(story: Story) -> None:
        healthy(story, before)
        begun = _begins(story, scenario)
        found = story.until(f"it is called {cause}", lambda: _named(story, cause, since=begun), within)
        if found["diagnosis"] != diagnosis:
            raise StageMissing(f"{cause} was put down to {found['diagnosis']}, not to {diagnosis}")
        after, first = story.heats() - begun, story.treatments()[begun]["heat_no"]
        story.tell(
            "check",
            f"It is named as what it is ({diagnosis}: {cause.replace('_', ' ')}), {after} heats after it "
            f"began. That was about heat {first}; the alarm says heat {found['since_heat']}.",
        )
        story.play(60, "60 heats more")
        _no_retraining(story)

    return tell


def fact(scenario: str, cause: str, within: int) -> Callable[[Story], None]:
    """A story of something that needs no alarm, because it stands in the heats: it is told, and nobody is
    alarmed about the model.
    """

    def tell(story: Story) -> None:
        healthy(story)
        begun = _begins(story, scenario)
        story.until(f"it is told: {cause}", lambda: [f for f in story.facts() if f["cause"] == cause], within)
        story.play(60, "60 heats more")
        _tell_facts(story, cause)
        wrong = [
            one["sentence"]
            for one in story.findings()
            if one["diagnosis"] == "model" and one["alarm_row"] >= begun
        ]
        if wrong:
            raise StageMissing(f"the model was called wrong: {wrong[0]}")
        _no_retraining(story)

    return tell


def price(story: Story) -> None:
    """Prices change: what is recommended changes, and nobody is alarmed."""
    healthy(story)
    before = _simn_share(story)
    begun = _begins(story, "price-change")
    story.play(150, "150 heats at the new prices")
    after = _simn_share(story, begun + 20)
    story.tell("check", f"SiMn is {before:.1f} kg/t of what is recommended before, {after:.1f} kg/t after.")
    if not after < 0.95 * before:
        raise StageMissing("the recommendations did not follow the prices")
    late = [one["sentence"] for one in story.findings() if one["alarm_row"] >= begun]
    if late:
        raise StageMissing(f"prices must not alarm, and did: {late[0]}")
    if not any(one["cause"] == "price" for one in story.facts()):
        raise StageMissing("nobody was told of the prices")
    _tell_facts(story, "price")
    _no_retraining(story)


STORIES: dict[str, Callable[[Story], None]] = {
    "story": whole_story,
    "price": price,
    "aim": one_cause("aim-shift", "aim", "people", 700, LEARNT),
    "spectrometer": one_cause("spectrometer-bias", "element", "instrument", 1200, LEARNT),
    "lot": one_cause("simn-lot-low", "lot", "material", 250),
    "scale": one_cause("scale-bias", "scale", "instrument", 900),
    "scrap": one_cause("new-scrap-supplier", "scrap", "material", 400),
    "oxygen": one_cause("oxygen-lost", "reading_missing", "instrument", 300),
    "carry-over": one_cause("carry-over-ramp", "carry_over", "material", 400),
    "grade": fact("new-grade", "new_grade", 200),
    "stock": fact("stock-out", "stock_out", 200),
    "late": fact("late-and-twice", "late", 200),
}
SAID = {
    "price-change": "SiMn costs 35 % more, FeSi 20 % less.",
    "aim-shift": "The crews are told to aim 0.02 % lower on Mn.",
    "spectrometer-bias": "The spectrometer begins to read Mn 1.5 % (relative) too high.",
    "simn-lot-low": "A lot of SiMn comes with 4 % less Mn than its certificate says.",
    "scale-bias": "The bin scales begin to show 1.5 % less than falls, so more is tipped than asked for.",
    "new-scrap-supplier": "The scrap comes with more tramp elements: Cu +0.08, Cr +0.05, Sn +0.004 %.",
    "oxygen-lost": "A furnace stops sending oxygen.",
    "carry-over-ramp": "More slag is carried over, growing by 4 kg/t over 150 heats.",
    "new-grade": "The plant makes a grade that it never made before, in place of two others.",
    "stock-out": "FeMn-MC runs out.",
    "late-and-twice": "A third of the results come twice, a fifth are corrected, half of them late.",
}
"""What a scenario is, as the simulator says it."""

PLAYED = {
    "story": ("practice",),
    "aim": ("aim",),
    "spectrometer": ("element",),
    "scale": ("scale",),
    "scrap": ("scrap",),
    "oxygen": ("reading_missing",),
    "carry-over": ("carry_over",),
}
"""The causes of alarms, besides lots, that are true in a story."""


def _begins(story: Story, scenario: str) -> int:
    """From the next heat on it happens. How many heats had been completed before."""
    story.happens(scenario)
    begun = story.heats()
    story.tell("plant", f"{SAID[scenario]} (The simulator's {scenario}.)", begun)
    return begun


def _tell_facts(story: Story, cause: str) -> None:
    for one in story.facts():
        if one["cause"] == cause:
            story.tell("check", f"Told, and no alarm: {one['sentence']}")


def _named(story: Story, cause: str, subject: str | None = None, since: int = 0) -> dict[str, Any] | None:
    for finding in story.findings():
        names = [(one["cause"], one["subject"]) for one in finding["named"] if one["row"] >= since]
        names += [(finding["cause"], finding["subject"])] if finding["last_row"] >= since else []
        if any(name == cause and subject in (None, of) for name, of in names):
            return finding
    return None


def _recommended_by(story: Story, version: str) -> bool:
    last = [treatment["model_version"] for treatment in story.treatments()[-SEEN:]]
    return last.count(version) >= MOSTLY * SEEN


def _unless(story: Story, what: str, after: int) -> dict[str, Any] | None:
    return story.entry(what, after) or story.entry("failed", after)


def _no_retraining(story: Story) -> None:
    for what in ("degraded", "retraining"):
        if entry := story.entry(what):
            raise StageMissing(f"nothing was to be retrained, and the ledger says {what}: {entry['why']}")
    story.tell("check", "Nothing was retrained, and nobody was asked to.")


def _absorbed(story: Story, begun: int) -> None:
    """The slow state carries a bad lot: what follows its first ten results lands as before."""
    heats = story.treatments()
    before = [t["in_window"] for t in heats[:begun] if t["in_window"] is not None]
    during = [t["in_window"] for t in heats[begun + 10 : begun + LOT_HEATS] if t["in_window"] is not None]
    rates = [100 * sum(some) / max(1, len(some)) for some in (before, during)]
    shares = [f"{rate:.0f} % of {len(of)}" for rate, of in zip(rates, (before, during), strict=True)]
    story.tell("check", f"In window: {shares[0]} heats before, {shares[1]} with the lot, nothing retrained.")
    spread = 100 * (0.25 / max(1, len(before)) + 0.25 / max(1, len(during))) ** 0.5
    if rates[1] < rates[0] - 1 - 2 * spread:
        raise StageMissing("the lot was not absorbed: fewer heats land in their windows")


def _recovered(story: Story, begun: int, promoted: int, elements: list[str]) -> None:
    """In what the old model was wrong in, the new one is nearer to the results."""
    heats = story.treatments()
    errors = loop_page.error_by_heat(story, heats, elements)
    was, now = (
        _by_grade(heats[of], errors[of]) for of in (slice(begun, promoted), slice(promoted + 10, None))
    )
    sizes = in_the_same_grades(was, now)
    if sizes is None:
        raise StageMissing("no errors to compare before and after the promotion")
    before, after = (f"{size:.2f}" for size in sizes)
    what = ", ".join(elements)
    told = (
        f"Mean error of {what}, in the same grades, {before} before the promotion, {after} after; 1 is usual."
    )
    story.tell("check", told)
    if not sizes[1] < 0.8 * sizes[0]:
        raise StageMissing("the new model did not bring the error down")


def in_the_same_grades(
    was: dict[str, list[float]], now: dict[str, list[float]]
) -> tuple[float, float] | None:
    """Mean errors before and after, as if as many heats of each grade had come before: grades come in
    campaigns, and some are harder to predict. None where no grade came both before and after."""
    heats = {grade: len(errors) for grade, errors in now.items() if grade in was}
    if not heats:
        return None
    before, after = (
        sum(n * statistics.fmean(of[grade]) for grade, n in heats.items()) / sum(heats.values())
        for of in (was, now)
    )
    return before, after


def _by_grade(heats: list[dict[str, Any]], errors: list[float | None]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for heat, error in zip(heats, errors, strict=True):
        if error is not None:
            found.setdefault(heat["grade"], []).append(error)
    return found


def _simn_share(story: Story, since: int = 0) -> float:
    """Mean kilograms of SiMn in a recommendation, per tonne."""
    found = []
    for treatment in story.treatments()[since:][-80:]:
        row = story.row(treatment)
        kg = sum(a["added_kg"] for a in row["recommended"] if a["additive"] == "SiMn")
        found.append(kg / row["steel_mass_t"])
    return float(sum(found) / max(1, len(found)))


def _bad_candidate(story: Story) -> None:
    """A model of results that belong to other heats is trained, and the gate refuses it."""
    plan = story.plan
    folder = plan.settings.demo_dir / "shuffled"
    story.tell("plant", "A candidate is trained on an extract whose results belong to other heats.")
    extract = plan.settings.demo_dir / "extract"
    # Newer than anything that the champion has learnt from, so that the gate has heats to compare on.
    end_at = f"{datetime.now(UTC) + timedelta(days=LATER_DAYS):%Y-%m-%dT%H:%M:%SZ}"
    told = ("--heats", str(SHUFFLED_HEATS), "--seed", str(plan.settings.seed + 100), "--end-at", end_at)
    _run(story, plan.command("plant-simulator", "extract", "history", *told, "--output", extract))
    shuffle_results(extract, folder)
    lake, work = ("--lake", str(folder / "lake")), ("--work", str(folder / "work"))
    source = ("--mapping", str(folder / "mapping.yaml"), "--input", str(folder))
    number = len(story.ledger())
    _run(story, plan.command("ml-pipeline", "pipeline-import", "import", *source, *lake))
    run = plan.command("ml-pipeline", "pipeline-run", "run", *lake, *work)
    code = _run(story, run, allowed=(0, REFUSED))
    refused = story.entry("refused", number)
    if code != REFUSED or refused is None:
        raise StageMissing("the gate let a model of shuffled results pass")
    story.watch()


def shuffle_results(extract: Path, folder: Path) -> None:
    """An extract with every heat's result given to another heat."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("additives.csv", "mapping.yaml"):
        shutil.copy(extract / name, folder / name)
    with (extract / "heats.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    given = [{name: row[name] for name in row if name.startswith("final_")} for row in rows]
    random.Random(1).shuffle(given)  # noqa: S311 - not a secret
    with (folder / "heats.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, **other} for row, other in zip(rows, given, strict=True))


def _run(story: Story, command: Command, allowed: tuple[int, ...] = (0,)) -> int:
    """Run a command while the plant plays on; return its exit code."""
    story.processes.launch(command)
    while not story.processes.finished(command.name):
        for _ in range(5):
            story.processes.pause()
        story.watch()
    code = story.processes.exit_code(command.name)
    if code not in allowed:
        raise StageMissing(f"{command.name} ended with {code}.\n{story.processes.tail(command.name)}")
    return code


def _pids(processes: Processes) -> dict[str, int]:
    return {name: pid for name, pid in processes.pids().items() if name.startswith("backend")}
