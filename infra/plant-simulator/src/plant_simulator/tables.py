"""Tables of heats: dataclasses of arrays (or of such tables) whose first axis is the heat."""

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from plant_simulator.elements import Booleans, Integers

Table = TypeVar("Table")


def rows(table: Table, index: slice | Integers | Booleans) -> Table:
    """The same table with these heats only."""
    columns = {f.name: getattr(table, f.name) for f in fields(table)}  # type: ignore[arg-type]
    return replace(table, **{k: rows(v, index) if is_dataclass(v) else v[index] for k, v in columns.items()})  # type: ignore[type-var]


def stack(tables: list[Table]) -> Table:
    """One table after the other."""
    first: Any = tables[0]
    columns = {}
    for f in fields(first):
        parts: list[Any] = [getattr(t, f.name) for t in tables]
        columns[f.name] = stack(parts) if is_dataclass(parts[0]) else np.concatenate(parts)
    return replace(first, **columns)  # type: ignore[no-any-return]
