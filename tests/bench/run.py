"""Run the benches: `python bench/run.py [--only NAME]`; each prints a table
and writes `build/bench/<name>.json`.

Exit code 0 is: no bar of what was run was missed. A bench that is not there yet is said to be so,
and writes no file.
"""

import argparse
import importlib
import importlib.util
import json
import sys
from pathlib import Path

from bench import rows

OUTPUT = Path(__file__).resolve().parents[2] / "build" / "bench"


def main() -> int:
    """Run what is asked for; the number of bars that are not met, as an exit code."""
    bars = rows.load_bars()
    parser = argparse.ArgumentParser(description="Measure the product against its bars (bench/bars.yaml).")
    parser.add_argument("--only", default="", metavar="NAME", help=f"one of {', '.join(bars)} (default: all)")
    only = parser.parse_args().only
    if only and only not in bars:
        parser.error(f"there is no bench {only!r}; allowed: {', '.join(bars)}")
    return 1 if sum(not run(name, bars[name]) for name in ([only] if only else bars)) else 0


def run(name: str, bars: list[dict[str, object]]) -> bool:
    """Run one bench and write its file; whether no bar of it was missed."""
    module = f"bench.{name.replace('-', '_')}"
    if importlib.util.find_spec(module) is None:
        sys.stdout.write(f"\n{name}: not there yet, nothing is measured\n")
        return True
    sys.stdout.write(f"\n{name}\n")
    sys.stdout.flush()
    found = rows.judge(bars, importlib.import_module(module).measure())
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(rows.table(found) + "\n")
    return all(row["met"] is not False for row in found)


if __name__ == "__main__":
    sys.exit(main())
