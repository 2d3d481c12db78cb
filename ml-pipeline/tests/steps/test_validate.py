import polars as pl
from conftest import Plant

from ml_pipeline import lake
from ml_pipeline.steps.validate import validate


def test_rows_that_teach_nothing_are_refused_with_a_reason(plant: Plant) -> None:
    rows = lake.scan(plant.lake, "heats")[0].collect().head(10)
    flawed = rows.with_row_index("i").with_columns(
        samples=pl.when(pl.col("i") == 1).then(pl.col("samples").list.head(0)).otherwise("samples"),
        steel_mass_t=pl.when(pl.col("i") == 2).then(720.0).otherwise("steel_mass_t"),
        additives=pl.when(pl.col("i") == 3).then(pl.col("additives").list.head(1)).otherwise("additives"),
    )

    checked = validate(flawed.drop("i"))

    assert checked.heats.height == 7
    assert checked.refused["what"].to_list() == [
        "no final sample",
        "steel mass far from the station's usual",
        "an addition without an assay",
    ]
    assert checked.heats.columns == rows.columns


def test_no_heats_are_no_error(plant: Plant) -> None:
    rows = lake.scan(plant.lake, "heats")[0].collect().head(0)

    assert validate(rows).heats.height == 0
