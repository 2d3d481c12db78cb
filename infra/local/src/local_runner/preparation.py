"""What comes before the product runs: environments, history, first model, database. Each is done once."""

from local_runner.access import make_access
from local_runner.folder import Remembered, remember
from local_runner.plan import COMPONENTS, Plan
from local_runner.processes import Command, Processes
from local_runner.progress import say, step

AT_ONCE = 2


def make_environments(plan: Plan, processes: Processes) -> None:
    """Make every component's environment from its lock, a few at a time; none where it is up to date."""
    root = plan.settings.root
    with step(f"environments of {len(COMPONENTS)} components") as current:
        are_there = all((root / folder / ".venv" / ".ready").exists() for folder in COMPONENTS.values())
        waiting = [
            Command(f"venv-{name}", (*("make", "-C", folder), "venv"), cwd=root)
            for name, folder in COMPONENTS.items()
        ]
        under_way: list[Command] = []
        while waiting or under_way:
            while waiting and len(under_way) < AT_ONCE:
                under_way.append(waiting.pop(0))
                processes.launch(under_way[-1])
            for command in [command for command in under_way if processes.finished(command.name)]:
                under_way.remove(command)
                processes.require_success(command.name)
            processes.pause()
            current.tick(", ".join(command.name.removeprefix("venv-") for command in under_way))
        current.note("up to date" if are_there else "made")


def make_first_model(plan: Plan, processes: Processes, facts: Remembered) -> None:
    """Make a history, bring it in through the door of a real plant's extract, and train on it; once."""
    if (plan.champion / "manifest.json").exists():
        say(f"   - history and training skipped: champion {plan.champion.readlink()} is there")
        return
    folder, settings = plan.settings.demo_dir, plan.settings
    history = folder / "history"
    if not facts.history_made:
        with step(f"history of {settings.history_heats:,} heats") as current:
            many = ("--heats", str(settings.history_heats), "--seed", str(settings.seed))
            command = plan.command("plant-simulator", "history", "history", *many, "--output", history)
            processes.run(command, current)
        facts.history_made = True
        remember(folder, facts)
    if not facts.history_imported:
        with step("import into the lake") as current:
            source = ("--mapping", history / "mapping.yaml", "--input", history)
            command = plan.command("ml-pipeline", "import", "import", *source, "--lake", plan.lake)
            processes.run(command, current)
        facts.history_imported = True
        remember(folder, facts)
    with step("first model: train, gate, register, package") as current:
        processes.run(plan.command("ml-pipeline", "train", "run", "--lake", plan.lake), current)
        current.note(f"version {plan.champion.readlink()}")


def make_database(plan: Plan, processes: Processes, facts: Remembered) -> None:
    """Bring the backend's tables up to date; master data and accounts in (once: people may edit them)."""
    with step("backend's database") as current:
        processes.run(plan.command("backend", "migrate", "migrate"), current)
        if not facts.master_data_imported:
            file = plan.settings.demo_dir / "master-data.json"
            processes.run(
                plan.command("plant-simulator", "master-data", "master-data", "--output", file), current
            )
            processes.run(plan.command("backend", "master-data-import", "import", file), current)
            facts.master_data_imported = True
            remember(plan.settings.demo_dir, facts)
            current.note("migrated, master data imported")
        if not facts.access_given:
            file = make_access(plan.settings.demo_dir)
            processes.run(plan.command("backend", "access", "access", file), current)
            facts.access_given = True
            remember(plan.settings.demo_dir, facts)
