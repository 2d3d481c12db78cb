"""What every test gives back: the looks that were beyond their limit."""

import polars as pl

SCHEMA = {
    "row": pl.UInt32,
    "kind": pl.String,
    "station": pl.String,
    "subject": pl.String,
    "element": pl.String,
    "since": pl.UInt32,
    "estimate": pl.Float64,
    "sd": pl.Float64,
    "limit": pl.Float64,
}


def beyond(looks: pl.LazyFrame, kind: str) -> pl.DataFrame:
    """Keep the looks whose `estimate` is more than `limit` times `sd` from 0. `row` is the treatment after
    which it was looked, `since` the first one that it looked at; null where a column says nothing.
    """
    exceeding = looks.filter(pl.col("estimate").abs() > pl.col("limit") * pl.col("sd"))
    columns = exceeding.collect_schema().names()
    filled = [
        (pl.col(name) if name in columns else pl.lit(None)).cast(of, strict=False).alias(name)
        for name, of in SCHEMA.items()
        if name != "kind"
    ]
    return exceeding.select(*filled).with_columns(pl.lit(kind).alias("kind")).select(*SCHEMA).collect()
