"""What a browser sends, read: numbers as people type them, and rows of a table by element."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData

from backend.errors import Detail, InvalidError


async def form_of(request: Request) -> FormData:
    return await request.form()


def number_of(typed: Any, where: str) -> float | None:
    """A number with point or comma, blanks between its digits; None where nothing was typed."""
    text = "".join(str(typed or "").split()).replace(",", ".").replace("−", "-")
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise InvalidError(
            [Detail(where=where, what=f"{str(typed)!r} is no number", allowed="a number, or nothing")]
        ) from None


def numbers_by_element(form: FormData, columns: Sequence[str], where: str) -> dict[str, dict[str, float]]:
    """Rows of a table whose first column is the element; rows and cells without anything are left out."""
    found: dict[str, dict[str, float]] = {}
    cells = zip(*(form.getlist(column) for column in columns), strict=False)
    for element, row in zip((str(name).strip() for name in form.getlist("element")), cells, strict=False):
        numbers = {
            column: number_of(cell, f"{where}.{element}.{column}")
            for column, cell in zip(columns, row, strict=True)
        }
        told = {column: number for column, number in numbers.items() if number is not None}
        if element in found:
            raise InvalidError(
                [
                    Detail(
                        where=f"{where}.{element}",
                        what=f"{element} is there twice",
                        allowed="each element once",
                    )
                ]
            )
        if told and not element:
            raise InvalidError(
                [Detail(where=where, what="a row has no element", allowed="its symbol, as Mn")]
            )
        if told:
            found[element] = told
    return found
