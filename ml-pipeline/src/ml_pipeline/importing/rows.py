"""From wide measurements to rows of the lake's `heats` table: lists of records, one row per treatment."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from ml_pipeline.importing.catalogue import Catalogue, breakpoints, in_force
from ml_pipeline.importing.mapping import Window

WINDOW = pl.Struct(
    {"element": pl.String, "min_pct": pl.Float64, "aim_pct": pl.Float64, "max_pct": pl.Float64}
)
ASSAY = pl.Struct({"element": pl.String, "pct": pl.Float64})
ADDITIVE = pl.Struct(
    {
        "additive": pl.String,
        "lot": pl.String,
        "assay": pl.List(ASSAY),
        "price_per_t": pl.Float64,
        "currency": pl.String,
        "price_valid_from": pl.Datetime("us", "UTC"),
        "stock_kg": pl.Float64,
        "min_kg": pl.Float64,
        "max_kg": pl.Float64,
        "increment_kg": pl.Float64,
        "metallic_yield": pl.Float64,
        "chill_c_per_kg_t": pl.Float64,
    }
)


def lot_versions(catalogue: Catalogue, registered_at: pl.Series) -> pl.Series:
    """Index into `breakpoints(catalogue)` of the catalogue in force for each heat."""
    changes = pl.Series(breakpoints(catalogue), dtype=registered_at.dtype)
    return (changes.search_sorted(registered_at, side="right").cast(pl.Int64) - 1).clip(0)


def given_pct(heats: pl.DataFrame, catalogue: Catalogue, version: pl.Series) -> dict[str, pl.Series]:
    """Element -> wt % of the steel mass that the weighed additions hold by certificate."""
    changes = breakpoints(catalogue)
    elements = sorted({e for of_one in catalogue.lots.values() for lot in of_one for e in lot.values.assay})
    sums = {}
    for element in elements:
        total = pl.Series([0.0] * heats.height, dtype=pl.Float64)
        for name, of_one in catalogue.lots.items():
            if f"added.{name}" not in heats.columns or not any(element in lot.values.assay for lot in of_one):
                continue
            pct = pl.Series(
                [in_force(of_one, m).values.assay.get(element, 0.0) for m in changes], dtype=pl.Float64
            )
            total = total + heats[f"added.{name}"].fill_null(0.0) * pct.gather(version)
        sums[element] = total / (heats["steel_mass_t"] * 1000)
    return sums


def lake_rows(
    heats: pl.DataFrame,
    catalogue: Catalogue,
    windows: dict[str, dict[str, Window]],
    plant_id: str,
    station: str,
    schema: pl.Schema,
) -> pl.DataFrame:
    """Rows with exactly the columns of `schema` (the lake's contract).

    `heats` has the columns of `readings` and event_id, heat_uid, revision, available_at.
    """
    version = lot_versions(catalogue, heats["registered_at"])
    per_version = _catalogue_column(catalogue)
    lots = {name: _lots(catalogue, name, version) for name in catalogue.lots}
    cost = _cost(heats, catalogue, version)
    built = heats.with_columns(
        origin=pl.lit("import"),
        plant_id=pl.lit(plant_id),
        station=pl.lit(station),
        windows=_window_column(heats["grade"], windows),
        slag=_analyses(heats, "slag.", "oxide"),
        features=_records(
            {
                c.removeprefix("feature."): pl.struct(name=pl.lit(c.removeprefix("feature.")), value=c)
                for c in heats.columns
                if c.startswith("feature.")
            },
            pl.Struct({"name": pl.String, "value": pl.Float64}),
            "value",
        ),
        chemistry=_analyses(heats, "before.", "element"),
        additives=per_version.gather(version),
        currency=pl.lit(catalogue.currency, dtype=pl.String),
        weighed_cost=cost,
        decided=_additions(heats, "decided.", lots),
        weighed=_weighed(heats, lots),
        samples=_samples(heats),
    )
    empty = {n: d for n, d in schema.items() if n not in built.columns}
    return built.with_columns(
        (pl.lit([], dtype=d) if isinstance(d, pl.List) else pl.lit(None, dtype=d)).alias(n)
        for n, d in empty.items()
    ).select(pl.col(n).cast(d) for n, d in schema.items())


def _catalogue_column(catalogue: Catalogue) -> pl.Series:
    versions = []
    for moment in breakpoints(catalogue):
        offers = []
        for name, of_one in catalogue.lots.items():
            lot = in_force(of_one, moment)
            v = lot.values
            priced = v.price_per_t is not None
            offers.append(
                {
                    "additive": name,
                    "lot": lot.lot,
                    "assay": [{"element": e, "pct": p} for e, p in sorted(v.assay.items())],
                    "price_per_t": v.price_per_t,
                    "currency": catalogue.currency if priced else None,
                    "price_valid_from": catalogue.price_valid_from if priced else None,
                    "stock_kg": v.stock_kg,
                    "min_kg": v.min_kg,
                    "max_kg": v.max_kg,
                    "increment_kg": v.increment_kg,
                    "metallic_yield": None,
                    "chill_c_per_kg_t": v.chill_c_per_kg_t,
                }
            )
        versions.append(offers)
    return pl.Series(versions, dtype=pl.List(ADDITIVE))


def _lots(catalogue: Catalogue, name: str, version: pl.Series) -> pl.Series:
    codes = [in_force(catalogue.lots[name], m).lot for m in breakpoints(catalogue)]
    return pl.Series(codes, dtype=pl.String).gather(version)


def _cost(heats: pl.DataFrame, catalogue: Catalogue, version: pl.Series) -> pl.Series:
    """At the prices of the heat; null where something was added whose price is not known."""
    changes: Sequence[datetime] = breakpoints(catalogue)
    total = pl.Series([0.0] * heats.height, dtype=pl.Float64)
    for name, of_one in catalogue.lots.items():
        if f"added.{name}" not in heats.columns:
            continue
        kg = heats[f"added.{name}"]
        price = pl.Series([in_force(of_one, m).values.price_per_t for m in changes], dtype=pl.Float64).gather(
            version
        )
        total = total + (kg * price / 1000).set(kg == 0, 0.0)
    return total


def _window_column(grades: pl.Series, windows: dict[str, dict[str, Window]]) -> pl.Series:
    names = grades.unique().to_list()
    records = [
        [
            {"element": e, "min_pct": w.min, "aim_pct": w.aim, "max_pct": w.max}
            for e, w in windows.get(g, {}).items()
        ]
        for g in names
    ]
    table = pl.DataFrame(
        {"grade": pl.Series(names, dtype=pl.String), "windows": pl.Series(records, dtype=pl.List(WINDOW))}
    )
    return grades.to_frame("grade").join(table, on="grade", how="left", maintain_order="left")["windows"]


def _analyses(heats: pl.DataFrame, prefix: str, key: str) -> pl.Expr:
    """List of {key, pct, below_pct}; what was not measured is left out."""
    records = {}
    for column in (c for c in heats.columns if c.startswith(prefix)):
        below = (
            pl.col(f"below.{column}")
            if f"below.{column}" in heats.columns
            else pl.lit(None, dtype=pl.Float64)
        )
        records[column] = pl.struct(
            pl.lit(column.removeprefix(prefix)).alias(key),
            pl.col(column).alias("pct"),
            below.alias("below_pct"),
        )
    dtype = pl.Struct({key: pl.String, "pct": pl.Float64, "below_pct": pl.Float64})
    return _records(records, dtype, "pct", "below_pct")


def _records(records: dict[str, pl.Expr], dtype: pl.Struct, *values: str) -> pl.Expr:
    """Concatenate records to a list, without those whose `values` are all null."""
    if not records:
        return pl.lit([], dtype=pl.List(dtype))
    known = pl.any_horizontal(pl.element().struct.field(v).is_not_null() for v in values)
    return pl.concat_list([r.cast(dtype) for r in records.values()]).list.eval(pl.element().filter(known))


def _additions(heats: pl.DataFrame, prefix: str, lots: dict[str, pl.Series]) -> pl.Expr:
    dtype = pl.Struct({"additive": pl.String, "lot": pl.String, "added_kg": pl.Float64})
    records = {
        c: pl.struct(
            additive=pl.lit(c.removeprefix(prefix)), lot=lots[c.removeprefix(prefix)], added_kg=pl.col(c)
        ).cast(dtype)
        for c in heats.columns
        if c.startswith(prefix)
    }
    if not records:
        return pl.lit([], dtype=pl.List(dtype))
    return pl.concat_list(list(records.values())).list.eval(
        pl.element().filter(pl.element().struct.field("added_kg") > 0)
    )


def _weighed(heats: pl.DataFrame, lots: dict[str, pl.Series]) -> pl.Expr:
    dtype = pl.Struct(
        {
            "addition_id": pl.String,
            "revision": pl.Int32,
            "additive": pl.String,
            "lot": pl.String,
            "added_kg": pl.Float64,
            "weighed_at": pl.Datetime("us", "UTC"),
            "available_at": pl.Datetime("us", "UTC"),
        }
    )
    records = []
    for column in (c for c in heats.columns if c.startswith("added.")):
        name = column.removeprefix("added.")
        records.append(
            pl.struct(
                addition_id=pl.lit(name),
                revision=pl.lit(1),
                additive=pl.lit(name),
                lot=lots[name],
                added_kg=column,
                weighed_at="registered_at",
                available_at="available_at",
            ).cast(dtype)
        )
    return pl.concat_list(records).list.eval(pl.element().filter(pl.element().struct.field("added_kg") > 0))


def _samples(heats: pl.DataFrame) -> pl.Expr:
    final = pl.struct(
        sample_id=pl.lit("final"),
        revision=pl.lit(1, dtype=pl.Int32),
        is_final=pl.lit(value=True),
        sampled_at="completed_at",
        analysed_at="completed_at",
        available_at="available_at",
        steel_mass_t=pl.lit(None, dtype=pl.Float64),
        temperature_c="temperature_after_c",
        chemistry=_analyses(heats, "after.", "element"),
    )
    return pl.concat_list(final)
