"""A recommender for tests: JSON lines in and out. Appends what it is asked to a file; every second heat of a
line it abstains, else it advises a tonne of SiMn and says that it makes 0.6 % of Mn.
"""

import json
import sys
from pathlib import Path
from typing import Any

HASH = "ab" * 32
SLOPE = 0.0005


def answer(request: dict[str, Any]) -> dict[str, Any]:
    heat = request["heat"]
    said = {"treatment": heat["treatment"], "heat_revision": 1, "model": {"bundle_hash": HASH}}
    if int(heat["heat_no"][1:]) % 2 == 0:
        reasons = [{"code": "outside_training_range", "text": "an even heat"}]
        return said | {"status": "abstained", "abstention_reasons": reasons, "additions": [], "elements": {}}
    manganese = {
        "base_pct": 0.59,
        "predicted_pct": 0.6,
        "interval_pct": {"level": 0.9, "low": 0.55, "high": 0.65},
        "slope_pct_per_kg": {"SiMn": SLOPE},
    }
    tonne = [{"additive": "SiMn", "added_kg": 1000.0}]
    return said | {"status": "recommended", "additions": tonne, "elements": {"Mn": manganese}}


if __name__ == "__main__":
    with Path(sys.argv[1]).open("a", encoding="utf-8") as asked:
        for line in sys.stdin:
            asked.write(line)
            print(json.dumps(answer(json.loads(line))), flush=True)
