"""Everything about money, of every plant, as JSON: over all heats, where a page looks at the newest."""

from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl

from monitoring.measures.regret import regrets
from monitoring.measures.savings import savings, teaching


def money_json(rows: pl.LazyFrame, price_per_miss_per_t: float) -> str:
    """Return `{"plants": {plant_id: {"savings": [...], "regrets": [...], "teaching": [...]}}}`."""
    plants = rows.select(pl.col("plant_id").unique().sort()).collect()["plant_id"]
    found = {}
    for plant_id in plants:
        of = rows.filter(pl.col("plant_id") == plant_id)
        told: dict[str, Sequence[Any]] = {
            "savings": savings(of, price_per_miss_per_t),
            "regrets": regrets(of, price_per_miss_per_t),
            "teaching": teaching(of),
        }
        found[plant_id] = {name: [one._asdict() for one in many] for name, many in told.items()}
    return msgspec.json.encode({"plants": found}).decode()
