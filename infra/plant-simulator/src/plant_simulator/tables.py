"""Tables of heats: dataclasses of arrays whose first axis is the heat."""

from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from plant_simulator.elements import Integers

Table = TypeVar("Table")


def rows(table: Table, index: slice | Integers) -> Table:
    """The same table with these heats only."""
    return replace(table, **{f.name: getattr(table, f.name)[index] for f in fields(table)})  # type: ignore[type-var,arg-type]


def stack(tables: list[Table]) -> Table:
    """One table after the other."""
    first: Any = tables[0]
    columns = {f.name: np.concatenate([getattr(t, f.name) for t in tables]) for f in fields(first)}
    return replace(first, **columns)  # type: ignore[no-any-return]
