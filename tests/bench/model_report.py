"""docs/model: the pipeline's evaluation of the simulated plant's model, with the policy bench's verdict.

`python bench/model_report.py`: uses what the last `make bench ONLY=policy` left in `build/bench`, and runs it
where there is nothing.
"""

import json
import shutil
import sys

from bench import rows, run
from bench.closed_loops import ROOT, Bench, Plant, evaluate
from bench.policy import FOLDER, FULL

OUTPUT = ROOT / "docs" / "model"
VERDICT = run.OUTPUT / "policy.json"
HEADING = """# The model, judged on the simulated plant

Made by `make report`, from the last `make bench ONLY=policy`; no number in here is written by hand. The
plant is simulated: its equations and figures are in [`docs/plant`](../plant/README.md). The model of parts 1
to 3 is trained on what the simulated steelmaker made by himself on one line (seed {seed}); the newest fifth
of that is kept back and judged. Part 4 plays other lines.
"""


def main() -> None:
    """Write README.md and its plots."""
    plant = Plant(FULL.seeds[0], 0)
    if not VERDICT.exists() or not (FOLDER / plant.name).exists():
        run.run("policy", rows.load_bars()["policy"])
    report = evaluate(Bench(FOLDER), plant, VERDICT)
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    _, _, page = (report / "README.md").read_text(encoding="utf-8").partition("\n")
    heading = HEADING.format(seed=plant.seed)
    size = json.loads(VERDICT.read_text(encoding="utf-8"))[0]
    if not size["met"]:
        heading += (
            f"\n**Part 4 is of a quick run: {size['measured']:g} {size['what']}, too few to judge by.**\n"
        )
    (OUTPUT / "README.md").write_text(heading + page, encoding="utf-8")
    for picture in report.glob("*.png"):
        shutil.copy(picture, OUTPUT)
    sys.stdout.write(f"{OUTPUT.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
