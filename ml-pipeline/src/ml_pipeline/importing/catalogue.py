"""The additives of a plant: assays, prices and lots over time, and which of them may be recommended.

An additive that may not be recommended stays in the catalogue with `max_kg` 0: the mass balance still needs
its assay.
"""

from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

import polars as pl

from ml_pipeline.errors import MappingError
from ml_pipeline.importing.mapping import Additive, Additives, AdditiveTable, utc
from ml_pipeline.importing.readings import PCT_PER_UNIT, parse_numbers, parse_times
from ml_pipeline.importing.table import read_table, require_columns

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
IMPLAUSIBLE_SHARE = 1 / 3
"""A price below this share of what the elements it contains cost elsewhere is a typing error, not a
bargain."""
USED_QUANTILE = 0.99
RARELY_USED = 0.005
"""Share of the heats under which nobody knows what an additive does here."""


class Lot(NamedTuple):
    """One additive, or one lot of it, from `valid_from` on."""

    additive: str
    lot: str | None
    valid_from: datetime
    values: Additive


class Catalogue(NamedTuple):
    """`lots` by additive, each ordered by time; `notes`: (additive, why it is not offered or what was
    derived)."""

    lots: dict[str, list[Lot]]
    currency: str | None
    price_valid_from: datetime
    notes: list[tuple[str, str]]


def read_catalogue(folder: Path, spec: Additives) -> Catalogue:
    """Read the additives of the second CSV and of the mapping; a field given in `listed` replaces the
    table's.

    Raises MappingError for a row that cannot be used, with line, what and allowed.
    """
    lots: dict[str, list[Lot]] = {}
    for lot in _table_lots(folder, spec.table) if spec.table else []:
        lots.setdefault(lot.additive, []).append(lot)
    for name, listed in spec.listed.items():
        given = listed.model_dump(exclude_unset=True)
        base = lots.get(name) or [Lot(name, None, ALWAYS, Additive())]
        lots[name] = [lot._replace(values=lot.values.model_copy(update=given)) for lot in base]
    for name, of_one in lots.items():
        lots[name] = [
            lot._replace(
                values=lot.values.model_copy(
                    update={"increment_kg": lot.values.increment_kg or spec.increment_kg}
                )
            )
            for lot in sorted(of_one, key=lambda lot: lot.valid_from)
        ]
    valid_from = utc(spec.price_valid_from) if spec.price_valid_from else ALWAYS
    return Catalogue(lots, spec.currency, valid_from, [])


def restrict(
    catalogue: Catalogue, spec: Additives, added: dict[str, pl.Series], summed: set[str]
) -> Catalogue:
    """Say what may be recommended, from the kilograms the plant `added` itself (additive -> kg of every
    heat).

    `summed`: additives fed by several columns.
    """
    notes = list(catalogue.notes)
    distrusted = implausible_prices(catalogue)
    heats = max((kilograms.len() for kilograms in added.values()), default=0)
    lots = {}
    for name, of_one in catalogue.lots.items():
        used = added[name].filter(added[name] > 0) if name in added else pl.Series(dtype=pl.Float64)
        reason = spec.not_offered.get(name) or distrusted.get(name)
        if not reason and name in summed:
            reason = "two columns of the extract feed it: which of them is the bin cannot be told"
        if not reason and all(lot.values.price_per_t is None for lot in of_one):
            reason = "no price"
        if (
            not reason
            and all(lot.values.max_kg is None for lot in of_one)
            and used.len() < max(RARELY_USED * heats, 1)
        ):
            reason = f"the plant used it in {used.len()} of {heats} heats, and the mapping gives no max_kg"
        seen = None if used.is_empty() else float(used.quantile(USED_QUANTILE, "nearest") or 0.0)
        if reason:
            notes.append((name, f"not offered: {reason}"))
        elif any(lot.values.max_kg is None for lot in of_one):
            notes.append(
                (
                    name,
                    f"max_kg derived: {seen:g} kg, the most the plant used (99 % quantile of "
                    f"{used.len()} heats)",
                )
            )
        lots[name] = [_limited(lot, reason, seen, distrusted=name in distrusted) for lot in of_one]
    return catalogue._replace(lots=lots, notes=notes)


def implausible_prices(catalogue: Catalogue) -> dict[str, str]:
    """Additives whose price is below a third of what their elements cost elsewhere, with the reason.

    An element's price is the median price per kg of alloying elements over the *other* additives that mainly
    consist of it.
    """
    newest = {name: of_one[-1].values for name, of_one in catalogue.lots.items()}
    per_kg = {
        name: (max(v.assay, key=lambda e: v.assay[e]), v.price_per_t / (10 * sum(v.assay.values())))
        for name, v in newest.items()
        if v.price_per_t is not None and sum(v.assay.values()) > 0
    }
    reasons = {}
    for name in per_kg:
        assay = newest[name].assay
        elsewhere: dict[str, float] = {}
        for element in assay:
            others = [price for other, (main, price) in per_kg.items() if other != name and main == element]
            if others:
                elsewhere[element] = median(others)
        judged = sum(assay[e] for e in elsewhere)
        if judged < sum(assay.values()) / 2:
            continue
        expected = sum(assay[e] * price * 10 for e, price in elsewhere.items())
        price = newest[name].price_per_t or 0.0
        if price < IMPLAUSIBLE_SHARE * expected:
            reasons[name] = (
                f"price {price:g} {catalogue.currency}/t is implausible: what it contains costs about "
                f"{expected:,.0f} elsewhere, "
                f"a third of that is the least believed"
            )
    return reasons


def breakpoints(catalogue: Catalogue) -> list[datetime]:
    """The times at which any lot changes, oldest first; the catalogue is constant between them."""
    return sorted({lot.valid_from for of_one in catalogue.lots.values() for lot in of_one} | {ALWAYS})


def in_force(of_one: list[Lot], moment: datetime) -> Lot:
    """The lot in the bin at `moment`; before the first one, the first."""
    known = [lot for lot in of_one if lot.valid_from <= moment]
    return known[-1] if known else of_one[0]


def _limited(lot: Lot, reason: str | None, seen_kg: float | None, *, distrusted: bool) -> Lot:
    update: dict[str, float | None] = {}
    if reason:
        update["max_kg"] = 0.0
    elif lot.values.max_kg is None:
        update["max_kg"] = seen_kg
    if distrusted:
        update["price_per_t"] = None
    return lot._replace(values=lot.values.model_copy(update=update))


def _table_lots(folder: Path, spec: AdditiveTable) -> list[Lot]:
    table = read_table(folder, spec)
    fields = {f: getattr(spec, f) for f in ("price_per_t", "stock_kg", "min_kg", "max_kg", "increment_kg")}
    fields = {f: column for f, column in fields.items() if column}
    wanted = {"additives.table.additive": spec.additive}
    wanted |= {f"additives.table.{f}": column for f, column in fields.items()}
    wanted |= {f"additives.table.assay.columns.{e}": column for e, column in spec.assay.columns.items()}
    wanted |= {"additives.table.lot": spec.lot} if spec.lot else {}
    wanted |= {"additives.table.valid_from.column": spec.valid_from.column} if spec.valid_from else {}
    require_columns(table, wanted)
    rows = table.rows
    numbers = {
        column: parse_numbers(rows[column], spec.decimal)
        for column in {*fields.values(), *spec.assay.columns.values()}
    }
    times = parse_times(rows, spec.valid_from).to_list() if spec.valid_from else [ALWAYS] * rows.height
    scale = PCT_PER_UNIT[spec.assay.unit]
    lots: list[Lot] = []
    errors = [
        f"  {table.name} line {line}: {len(cells)} cells; as many as the header has are allowed"
        for line, cells in table.broken
    ]
    for i, line in enumerate(rows["line"]):
        where = f"{table.name} line {line}"
        name = rows[spec.additive][i]
        bad = [c for c in numbers if numbers[c][i] is None and rows[c][i] is not None]
        assay = {e: (numbers[c][i] or 0.0) * scale for e, c in spec.assay.columns.items()}
        values = {f: numbers[c][i] for f, c in fields.items()}
        if name is None:
            errors.append(f"  {where}: no additive name")
        elif bad:
            errors.append(f"  {where}: {', '.join(bad)} is no number")
        elif times[i] is None:
            errors.append(f"  {where}: valid_from cannot be read as a time of the format in the mapping")
        elif any(v < 0 or v > 100 for v in assay.values()) or sum(assay.values()) > 100.5:
            errors.append(
                f"  {where}: assay of {name} is {sum(assay.values()):g} % in all; 0 to 100 is allowed: "
                f"is the unit {spec.assay.unit}?"
            )
        elif any(v is not None and v < 0 for v in values.values()):
            errors.append(f"  {where}: a price or amount of {name} is negative")
        elif not spec.valid_from and name in {lot.additive for lot in lots}:
            errors.append(
                f"  {where}: {name} a second time; once is allowed, or name `lot` and `valid_from` columns"
            )
        else:
            kept = {e: v for e, v in assay.items() if v > 0}
            lots.append(
                Lot(name, rows[spec.lot][i] if spec.lot else None, times[i], Additive(assay=kept, **values))
            )
    if errors:
        raise MappingError("\n".join([f"{len(errors)} rows of {table.name} cannot be used", *errors]))
    return lots
