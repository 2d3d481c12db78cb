"""Reading a plant's CSV as text: whatever is wrong in a cell is judged later, with its line."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import polars as pl

from ml_pipeline.errors import MappingError
from ml_pipeline.importing.mapping import Csv, near


class Table(NamedTuple):
    """`rows`: text columns by header name and `line`, the line in the file. `broken`: rows with another
    number of cells."""

    name: str
    rows: pl.DataFrame
    broken: list[tuple[int, list[str]]]


def read_table(folder: Path, source: Csv) -> Table:
    """Read every cell as stripped text, empty ones as null.

    Raises MappingError where the file is missing, empty, has a header name twice or another encoding.
    """
    path = folder / source.file
    try:
        text = path.read_bytes().decode(source.encoding.replace("utf-8", "utf-8-sig"))
    except FileNotFoundError:
        there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        raise MappingError(
            f"{path}: no such file; {near(source.file, there) if there else 'the folder is empty or missing'}"
        ) from None
    except LookupError:
        raise MappingError(
            f"encoding {source.encoding!r} is not known; allowed: Python's names, such as utf-8, "
            "cp1251, gb18030"
        ) from None
    except UnicodeDecodeError as error:
        raise MappingError(
            f"{path}: byte {error.start} is not {source.encoding}; name the file's `encoding` in the mapping"
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=source.delimiter)
    header = [name.strip() for name in next(reader, [])]
    if not any(header):
        raise MappingError(f"{path}: no header row; the first line must name the columns")
    twice = sorted({name for name in header if header.count(name) > 1 and name})
    if twice:
        raise MappingError(
            f"{path}: the header names {', '.join(twice)} twice; which one is meant cannot be told: "
            "rename one"
        )
    lines, broken, good = [], [], io.StringIO()
    writer = csv.writer(good)
    for cells in reader:
        if len(cells) == len(header):
            writer.writerow(cells)
            lines.append(reader.line_num)
        elif any(cell.strip() for cell in cells):
            broken.append((reader.line_num, cells))
    del text
    rows = pl.DataFrame(schema=dict.fromkeys(header, pl.String))
    if lines:
        rows = pl.read_csv(good.getvalue().encode(), has_header=False, new_columns=header, infer_schema=False)
    stripped = pl.col(header).str.strip_chars()
    rows = rows.with_columns(pl.when(stripped.is_in(source.empty)).then(None).otherwise(stripped).name.keep())
    return Table(source.file, rows.with_columns(pl.Series("line", lines, dtype=pl.Int64)), broken)


def require_columns(table: Table, wanted: dict[str, str]) -> None:
    """Raise MappingError for every column the mapping names (`wanted`: where in the mapping -> column) and
    the file lacks."""
    header = [name for name in table.rows.columns if name != "line"]
    missing = [
        f"  {where}: {table.name} has no column {column!r}; {near(column, header)}"
        for where, column in wanted.items()
        if column not in header
    ]
    if missing:
        raise MappingError(
            "\n".join([f"{len(missing)} columns of the mapping are not in the extract", *missing])
        )
