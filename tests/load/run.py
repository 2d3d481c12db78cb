"""`make load`: both user classes, one after the other, against a running demo; prints what they measured.

Exit code 1 where any request failed or none was made.
"""

import argparse
import csv
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CLASSES = {"Steelmaker": 8, "ModelClient": 2}
HEADER = f"{'':<28}{'requests':>10}{'failed':>8}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=int, default=int(os.environ.get("LOAD_SECONDS", "30")), help="per class"
    )
    parser.add_argument("--steelmakers", type=int, default=CLASSES["Steelmaker"], help="screens at once")
    parser.add_argument(
        "--clients", type=int, default=CLASSES["ModelClient"], help="callers of the model service at once"
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "build" / "load", help="folder for Locust's own figures"
    )
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    users = {"Steelmaker": options.steelmakers, "ModelClient": options.clients}
    broken = [name for name, many in users.items() if not run(name, many, options.seconds, options.output)]
    if broken:
        sys.exit(f"failures in {' and '.join(broken)}; details in {options.output}")


def run(name: str, users: int, seconds: int, folder: Path) -> bool:
    """Run one class headless and print its table; whether all went well."""
    print(f"\n{name}: {users} users for {seconds} s", flush=True)
    prefix = folder / name
    stats = Path(f"{prefix}_stats.csv")
    stats.unlink(missing_ok=True)
    locust = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", str(HERE / "locustfile.py"), name, "--headless"),
            *(
                "--users",
                str(users),
                "--spawn-rate",
                str(users),
                "--run-time",
                f"{seconds}s",
                "--stop-timeout",
                "15",
            ),
            *("--csv", str(prefix), "--only-summary", "--loglevel", "ERROR", "--exit-code-on-error", "1"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    (folder / f"{name}.log").write_text(locust.stdout)
    if not stats.exists():
        print(locust.stdout.strip()[-2000:])
        return False
    rows = list(csv.DictReader(stats.open(newline="")))
    print(HEADER)
    for row in rows:
        print(line(row))
    failed = failures(Path(f"{prefix}_failures.csv"))
    for what in failed:
        print(f"  failed: {what}")
    whole = rows[-1]
    return locust.returncode == 0 and int(whole["Request Count"]) > 0 and not failed


def line(row: dict[str, str]) -> str:
    name = "all" if row["Name"] == "Aggregated" else row["Name"]
    many, per_s = int(row["Request Count"]), float(row["Requests/s"])
    percentiles = [f"{float(row[p]):>9.0f}" if row[p] != "N/A" else f"{'-':>9}" for p in ("50%", "99%")]
    return f"{name:<28}{many:>10,}{int(row['Failure Count']):>8,}{per_s:>9.1f}{''.join(percentiles)}"


def failures(file: Path) -> list[str]:
    if not file.exists():
        return []
    return [
        f"{row['Occurrences']} x {row['Method']} {row['Name']}: {row['Error']}"
        for row in csv.DictReader(file.open(newline=""))
    ]


if __name__ == "__main__":
    main()
