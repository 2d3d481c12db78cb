"""What is normal for a model is worked out when it stands behind an address, so that nobody has to ask."""

import json
from pathlib import Path

from local_runner.plan import Plan
from local_runner.processes import Processes
from local_runner.progress import say

NAME = "reference"


class References:
    """Makes the references that are missing, one after the other, beside everything else."""

    def __init__(self, plan: Plan, processes: Processes) -> None:
        self._plan, self._processes = plan, processes
        self._under_way: Path | None = None
        self._given_up: set[Path] = set()

    def tend(self) -> None:
        """Start or finish one; call it now and then."""
        if self._under_way is not None:
            if not self._processes.finished(NAME):
                return
            if self._processes.exit_code(NAME):
                say(f"     no reference for {self._under_way.stem[:12]}:\n{self._processes.tail(NAME)}")
                self._given_up.add(self._under_way)
            self._under_way = None
        for link, url in self._plan.addresses.items():
            release = self._plan.models / link / "release.json"
            if not release.is_file():
                continue
            told = json.loads(release.read_text())
            file = self._plan.references / f"{told['bundle_hash']}.json"
            if file.exists() or file in self._given_up:
                continue
            rows = self._plan.artifacts / "data" / f"{told['data_sha256']}.parquet"
            asked = ("--model-url", url, "--heats", rows, "--output", file)
            self._processes.launch(self._plan.command("monitoring", NAME, "reference", *asked))
            self._under_way = file
            return

    def made(self, link: str) -> bool:
        """Whether the model that a link points to has one."""
        release = self._plan.models / link / "release.json"
        if not release.is_file():
            return False
        return (self._plan.references / f"{json.loads(release.read_text())['bundle_hash']}.json").exists()
