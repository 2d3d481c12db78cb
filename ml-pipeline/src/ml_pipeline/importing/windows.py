"""Grade windows: those of the mapping, and for other grades quantiles of their own results, labelled as
derived."""

from typing import NamedTuple

import polars as pl

from ml_pipeline.importing.mapping import Grades, Window


class GradeWindows(NamedTuple):
    """`windows`: grade -> element -> window; `derived`: grades whose windows are quantiles of their results
    -> heats used."""

    windows: dict[str, dict[str, Window]]
    derived: dict[str, int]


def grade_windows(heats: pl.DataFrame, grades: Grades) -> GradeWindows:
    """Windows of every grade in `heats` (columns `grade`, `after.<element>`); a grade with too few results
    has none."""
    windows = {grade: dict(elements) for grade, elements in grades.windows.items()}
    derived: dict[str, int] = {}
    spec = grades.derived
    for (grade,), of_grade in heats.group_by("grade", maintain_order=True) if spec else ():
        if grade in windows or spec is None:
            continue
        found = {}
        for element in spec.elements:
            results = (
                of_grade[f"after.{element}"].drop_nulls()
                if f"after.{element}" in heats.columns
                else pl.Series()
            )
            if results.len() < spec.min_heats:
                continue
            low, aim, high = (round(float(results.quantile(q, "linear") or 0.0), 4) for q in spec.quantiles)
            if low < high:
                found[element] = Window(min=low, aim=aim, max=high)
        if found:
            windows[str(grade)] = found
            derived[str(grade)] = of_grade.height
    return GradeWindows(windows, derived)
