"""Whether a lot that monitoring alarms about really is off, from the simulator's hidden truth."""

from pathlib import Path
from typing import Any

import polars as pl

TRUE_FROM = 0.025  # a lot that really is so far off its certificate is no false alarm


def is_off(folder: Path, line: int, finding: dict[str, Any]) -> bool:
    """Whether the lot that an alarm names really is `TRUE_FROM` off its certificate, from the hidden
    truth: what it brought in the heats where it brought most of the element.
    """
    if finding["cause"] != "lot":
        return False
    additive, lot = finding["subject"].split(" ")
    element, lot_no = finding["elements"][0], int(lot.rsplit("-", 1)[1])
    keys = ["line", "heat_no", "station"]
    names = pl.read_parquet_schema(folder / "hidden" / "truth.parquet")
    alloys = [name.removeprefix("tipped_kg_") for name in names if name.startswith("tipped_kg_")]
    certificates = pl.read_parquet(folder / "lots.parquet").select(
        "line",
        pl.col("additive").cast(pl.String),
        "lot_no",
        pl.col(f"certificate_pct_{element}").alias("pct"),
    )
    readings = pl.read_parquet(folder / "observed.parquet", columns=[*keys, *(f"lot_no_{a}" for a in alloys)])
    truth = pl.read_parquet(
        folder / "hidden" / "truth.parquet",
        columns=[*keys, f"added_kg_{element}", *(f"tipped_kg_{a}" for a in alloys)],
    )
    heats = readings.join(truth, on=keys).filter(pl.col("line") == line)
    brought = pl.concat(
        heats.select(
            *keys,
            f"added_kg_{element}",
            pl.lit(a).alias("additive"),
            pl.col(f"lot_no_{a}").alias("lot_no"),
            pl.col(f"tipped_kg_{a}").alias("kg"),
        )
        for a in alloys
    ).join(certificates, on=["line", "additive", "lot_no"])
    mine = (pl.col("additive") == additive) & (pl.col("lot_no") == lot_no)
    promised = pl.col("kg") * pl.col("pct") / 100
    of_heats = brought.group_by(keys).agg(
        pl.col(f"added_kg_{element}").first().alias("added_kg"),
        promised.sum().alias("promised_kg"),
        promised.filter(mine).sum().alias("lot_kg"),
    )
    told = of_heats.filter(pl.col("lot_kg") > 0.5 * pl.col("promised_kg"))
    off = told.select((pl.col("added_kg") - pl.col("promised_kg")).sum() / pl.col("lot_kg").sum()).item()
    return off is not None and abs(off) >= TRUE_FROM and (off > 0) == (finding["evidence"]["effect"] > 0)
