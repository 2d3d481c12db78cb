"""The lake, read without the product: Delta log and Parquet files, nothing else."""

from pathlib import Path

import polars as pl

KEY = ["plant_id", "heat_uid", "station", "treatment_no"]


def everything(demo_folder: Path) -> pl.DataFrame:
    """Return every row, imported history too."""
    return pl.read_delta(str(demo_folder / "lake" / "heats"))


def rows(demo_folder: Path) -> pl.DataFrame:
    """Return every row that came over the bus."""
    return everything(demo_folder).filter(pl.col("origin") == "bus")


def in_force(demo_folder: Path) -> pl.DataFrame:
    """Return the row in force of each treatment that came over the bus."""
    return latest(rows(demo_folder))


def latest(found: pl.DataFrame) -> pl.DataFrame:
    """Return of each treatment the row of its highest revision."""
    return found.sort("revision").group_by(KEY, maintain_order=True).last()


def rows_of(demo_folder: Path, treatment: dict[str, object]) -> pl.DataFrame:
    """Return all rows of one treatment, by revision."""
    found = rows(demo_folder).filter(pl.all_horizontal(pl.col(name) == treatment[name] for name in KEY))
    return found.sort("revision")
