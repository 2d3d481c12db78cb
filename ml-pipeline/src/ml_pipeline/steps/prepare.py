"""Widen the lake's lists of records to one row of numbers per heat, by station.

Columns of a prepared station: plant_id, heat_uid, treatment_no, heat_no, grade, registered_at, completed_at,
steel_mass_t, metallic_kg (what the additions dilute), `f.<feature>` as `model_service.features` gives them,
and per
element `first.E` (wt %; half the limit where it is below one), `first_sd.E` (of that half limit), `final.E`
(wt %), `added_kg.E` (kilograms of the element by certificate), `aim.E` (wt %), `reference.E` (wt % of the
steel that additions dilute), `low.E`, `high.E` (window),
`lots.E` (list of lot and the kilograms of the element it brought, where it is a main part of it),
`temperature_after_c`, `chill_c_t` (what the additions chill by master data, C x t).
"""

from collections.abc import Iterator

import polars as pl
from model_service.features import FEATURES, PLAUSIBLE
from model_service.slow_state import MAIN_PCT

from ml_pipeline.requests import metallic_yield

CHUNK_HEATS = 50_000
KEPT = [
    "plant_id",
    "heat_uid",
    "treatment_no",
    "heat_no",
    "grade",
    "registered_at",
    "completed_at",
    "steel_mass_t",
]
TEMPERATURES = ("temperature_after_c", "chill_c_t")
OXIDES = [
    name.removeprefix("slag_").removesuffix("_pct")
    for name in FEATURES
    if name.startswith("slag_") and name.endswith("_pct")
]


def prepare(heats: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the prepared table of each station; the order of the heats is kept."""
    return {
        str(station): pl.concat(list(_chunks(of_station)), how="diagonal")
        for (station,), of_station in heats.group_by("station", maintain_order=True)
    }


def elements_of(prepared: pl.DataFrame) -> list[str]:
    """Elements with a result in at least one heat."""
    return sorted(c.removeprefix("final.") for c in prepared.columns if c.startswith("final."))


def feature_columns(prepared: pl.DataFrame) -> list[str]:
    """Names of the features that the heats have."""
    return sorted(c.removeprefix("f.") for c in prepared.columns if c.startswith("f."))


def _chunks(heats: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for start in range(0, heats.height, CHUNK_HEATS):
        yield _widen(heats.slice(start, CHUNK_HEATS).with_row_index("row"))


def _widen(heats: pl.DataFrame) -> pl.DataFrame:
    wide = heats.select("row", *KEPT).join(_temperatures(heats), on="row", how="left", maintain_order="left")
    firsts = _spread(heats, "chemistry", "element", "first.", with_sd=True)
    finals = _spread(_newest_final(heats), "chemistry", "element", "final.", drop_below=True)
    slag = _spread(heats, "slag", "oxide", "slag.")
    windows = _records(heats, "windows").with_columns(aim=_aim())
    tipped, metallic, lots = _tipped(heats)
    for part in (
        firsts,
        finals,
        _pivot(tipped, "added_kg.", "kg"),
        _pivot(windows, "aim.", "aim"),
        _pivot(windows, "low.", "min_pct"),
        _pivot(windows, "high.", "max_pct"),
        metallic,
        lots,
        slag,
    ):
        wide = wide.join(part, on="row", how="left", maintain_order="left")
    elements = elements_of(wide)
    for prefix in ("first.", "first_sd.", "added_kg.", "aim.", "low.", "high."):
        missing = [f"{prefix}{e}" for e in elements if f"{prefix}{e}" not in wide.columns]
        wide = wide.with_columns(pl.lit(None, dtype=pl.Float64).alias(c) for c in missing)
    wide = wide.with_columns(
        *[pl.col(f"added_kg.{e}").fill_null(0.0) for e in elements],
        *[pl.coalesce(f"aim.{e}", f"first.{e}").alias(f"reference.{e}") for e in elements],
        pl.col("metallic_kg").fill_null(0.0),
    )
    wide = wide.join(_features(heats, wide), on="row", how="left", maintain_order="left")
    kept = [
        c
        for c in wide.columns
        if c in KEPT
        or c in ("metallic_kg", *TEMPERATURES)
        or c.startswith(
            ("f.", "first.", "aim.", "low.", "high.", "added_kg.", "lots.")
        )  # of any element that shares the oxygen
        or any(c == f"{p}{e}" for e in elements for p in _PREFIXES)
    ]
    return wide.select(kept)


_PREFIXES = ("first_sd.", "final.", "reference.")


def _aim() -> pl.Expr:
    """As `model_service.outcome.aim_pct`: aim, else the middle, else the minimum."""
    return pl.coalesce("aim_pct", (pl.col("min_pct") + pl.col("max_pct")) / 2, "min_pct")


def _records(heats: pl.DataFrame, column: str) -> pl.DataFrame:
    return heats.select("row", column).explode(column).drop_nulls(column).unnest(column)


def _newest_final(heats: pl.DataFrame) -> pl.DataFrame:
    samples = _records(heats, "samples").filter("is_final")
    return samples.sort("row", "sampled_at", "revision").group_by("row", maintain_order=True).last()


def _temperatures(heats: pl.DataFrame) -> pl.DataFrame:
    """Final temperature, where the reading can be, and what the additions chill by their master data, C x t;
    nothing where an additive that was tipped has no chill."""
    low, high = PLAUSIBLE["temperature_c"]
    after = (
        _records(heats, "samples")
        .filter(pl.col("is_final") & pl.col("temperature_c").is_between(low, high))
        .sort("row", "sampled_at", "revision")
        .group_by("row", maintain_order=True)
        .agg(temperature_after_c=pl.col("temperature_c").last())
    )
    by_name = _records(heats, "additives").unique(["row", "additive"], keep="first", maintain_order=True)
    tipped = pl.concat(
        [
            _records(heats, "weighed").select("row", "additive", "added_kg"),
            _records(heats.filter(pl.col("weighed").list.len() == 0), "decided").select(
                "row", "additive", "added_kg"
            ),
        ]
    ).join(
        by_name.select("row", "additive", "chill_c_per_kg_t"),
        on=["row", "additive"],
        how="left",
        maintain_order="left",
    )
    chill = tipped.group_by("row", maintain_order=True).agg(
        chill_c_t=pl.when(pl.col("chill_c_per_kg_t").is_null().any())
        .then(None)
        .otherwise((pl.col("added_kg") * pl.col("chill_c_per_kg_t")).sum())
    )
    return after.join(chill, on="row", how="full", coalesce=True)


def _spread(
    heats: pl.DataFrame,
    column: str,
    key: str,
    prefix: str,
    *,
    with_sd: bool = False,
    drop_below: bool = False,
) -> pl.DataFrame:
    """Analyses to columns: half the limit where below it (as `features.measured_pct`), or nothing with
    `drop_below`."""
    half = pl.lit(None, dtype=pl.Float64) if drop_below else pl.col("below_pct") / 2
    records = _records(heats, column).with_columns(
        value=pl.when(pl.col("below_pct").is_not_null()).then(half).otherwise("pct")
    )
    records = records.rename({key: "element"}) if key != "element" else records
    values = _pivot(records.drop_nulls("value"), prefix, "value")
    if not with_sd:
        return values
    limits = records.filter(pl.col("below_pct").is_not_null()).with_columns(sd=pl.col("below_pct") / 12**0.5)
    return values.join(_pivot(limits, "first_sd.", "sd"), on="row", how="left", maintain_order="left")


def _tipped(heats: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Kilograms per element (row, element, kg), metallic kilograms per row, and kilograms of each element by
    lot: weighed, or decided where nothing was weighed."""
    fields = ["additive", "lot", "added_kg"]
    weighed = _records(heats, "weighed").select("row", *fields)
    decided = _records(heats.filter(pl.col("weighed").list.len() == 0), "decided").select("row", *fields)
    tipped = (
        pl.concat([weighed, decided])
        .group_by("row", "additive", "lot", maintain_order=True)
        .agg(pl.col("added_kg").sum())
    )
    offers = _records(heats, "additives").select("row", "additive", "lot", "assay", "metallic_yield")
    exact = tipped.join(
        offers, on=["row", "additive", "lot"], how="left", nulls_equal=True, maintain_order="left"
    )
    # A lot that the heat's offers don't name any more: the certificate of the additive's first offer, as
    # the service takes it.
    any_lot = offers.unique(["row", "additive"], keep="first", maintain_order=True).select(
        "row", "additive", other="assay", other_yield="metallic_yield"
    )
    found = exact.join(any_lot, on=["row", "additive"], how="left", maintain_order="left").with_columns(
        assay=pl.coalesce("assay", "other")
    )
    assumed = pl.when(pl.col("assay").list.len() > 0).then(metallic_yield(1)).otherwise(metallic_yield(0))
    share = pl.coalesce("metallic_yield", "other_yield", assumed)
    metallic = _summed(found, "row", metallic_kg=pl.col("added_kg") * share)
    assays = found.explode("assay").drop_nulls("assay").unnest("assay")
    lots = (
        assays.filter(pl.col("pct") >= MAIN_PCT)
        .select(
            "row",
            "element",
            lot=pl.concat_str("additive", pl.col("lot").fill_null(""), separator=" "),
            kg=pl.col("added_kg") * pl.col("pct") / 100,
        )
        .group_by("row", "element", maintain_order=True)
        .agg(lots=pl.struct("lot", "kg"))
    )
    kilograms = assays.group_by("row", "element", maintain_order=True).agg(
        kg=(pl.col("added_kg") * pl.col("pct") / 100).sum()
    )
    return kilograms.sort("row", "element"), metallic, _pivot(lots, "lots.", "lots")


def _summed(records: pl.DataFrame, *key: str, **values: pl.Expr) -> pl.DataFrame:
    """Sums per key, always in the order of the records: another order would round otherwise."""
    sums = [value.sum().alias(name) for name, value in values.items()]
    return records.group_by(key, maintain_order=True).agg(sums)


def _pivot(records: pl.DataFrame, prefix: str, value: str) -> pl.DataFrame:
    if records.is_empty():
        return pl.DataFrame(schema={"row": pl.UInt32})
    names = sorted(records["element"].unique())
    wide = records.group_by("row", maintain_order=True).agg(
        pl.col(value).filter(pl.col("element") == n).first().alias(f"{prefix}{n}") for n in names
    )
    return wide.with_columns(pl.col("row").cast(pl.UInt32))


def _features(heats: pl.DataFrame, wide: pl.DataFrame) -> pl.DataFrame:
    """The service's features, column by column; a test holds them equal to `feature_values` heat by heat."""
    own = _records(heats, "features").rename({"name": "element"})
    features = heats.select("row").join(
        _pivot(own.drop_nulls("value"), "f.", "value"), on="row", how="left", maintain_order="left"
    )
    built_in = {f"f.{n}" for n in FEATURES}
    features = features.select(
        "row", *[c for c in features.columns if c.startswith("f.") and c not in built_in]
    )
    columns: dict[str, pl.Series] = {"f.steel_mass_t": heats["steel_mass_t"]}
    for name, (low, high) in PLAUSIBLE.items():
        values = heats[name]
        columns[f"f.{name}"] = values.set(~values.is_between(low, high).fill_null(value=False), None)
    oxides = {c.removeprefix("slag.").lower(): wide[c] for c in wide.columns if c.startswith("slag.")}
    columns |= {f"f.slag_{o}_pct": oxides[o] for o in OXIDES if o in oxides}
    if {"cao", "sio2"} <= oxides.keys():
        columns["f.slag_basicity"] = oxides["cao"] / oxides["sio2"].set(
            (oxides["sio2"] <= 0).fill_null(value=False), None
        )
    for column in (c for c in wide.columns if c.startswith("first.")):
        name = f"{column.removeprefix('first.').lower()}_pct"
        if name in FEATURES:
            columns[f"f.{name}"] = wide[column]
    return features.with_columns(s.cast(pl.Float64).alias(n) for n, s in columns.items())
