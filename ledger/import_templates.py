"""Import templates (导入模板): a workbook that is filled in and handed in, with the columns that are read.

The first sheet has the headings and, where something is known already, rows to go on with; the second
says of each column what belongs there, with an example. Readers take the first sheet only, so an example
is never data. What must keep its digits (account numbers, references) is text, an amount has two decimals,
a day is a day, and where only some words are understood they can be chosen.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

import xlsxwriter

from ledger.errors import Invalid
from ledger.payment_files import MADE, safe
from ledger.tabular import Table
from valuation.money import yuan

Kind = Literal["count", "day", "text", "yuan"]
GUIDES: Final = {"zh": "填写说明", "en": "How to fill it in"}
"""What the second sheet is called; it tells a template from a table that is empty."""
LAST_ROW: Final = 1_048_575
_FORMATS: Final[Mapping[Kind, tuple[str, int]]] = {
    "count": ("0", 12), "day": ("yyyy-mm-dd", 14), "text": ("@", 26), "yuan": ("0.00", 18),
}  # fmt: skip
_GUIDE_WIDTHS: Final = (28, 14, 60, 40, 40, 60)


@dataclass(frozen=True)
class Heading:
    """A column as its reader calls it, and what the person who fills it in is told, in his language."""

    column: str
    title: str
    others: tuple[str, ...]
    kind: Kind
    words: tuple[str, ...]
    holds: str
    need: str
    example: str


def write(
    sheet: str, guide: str, headings: Sequence[Heading], titles: Sequence[str], notes: Sequence[str],
    rows: Sequence[Mapping[str, Any]] = (),
) -> bytes:  # fmt: skip
    """The workbook. `rows` are known already, by column, amounts in fen; `titles` head the second sheet."""
    target = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(target, options) as book:
        book.set_properties({"title": sheet, "created": MADE})
        _write_table(book, book.add_worksheet(sheet), headings, rows)
        _write_guide(book, book.add_worksheet(guide), headings, titles, notes)
    return target.getvalue()


def _write_table(
    book: Any, page: Any, headings: Sequence[Heading], rows: Sequence[Mapping[str, Any]]
) -> None:
    head = book.add_format({"bold": True, "num_format": "@", "bottom": 1})
    for at, one in enumerate(headings):
        form, width = _FORMATS[one.kind]
        page.set_column(at, at, width, book.add_format({"num_format": form}))
        page.write_string(0, at, one.title, head)
        if one.words:
            page.data_validation(1, at, LAST_ROW, at, {"validate": "list", "source": [*one.words]})
        for n, row in enumerate(rows, start=1):
            if one.column not in row:
                continue
            if one.kind == "yuan":
                page.write_number(n, at, Decimal(yuan(row[one.column])))
            else:
                page.write_string(n, at, safe(str(row[one.column])))
    page.freeze_panes(1, 0)
    page.set_landscape()
    page.fit_to_pages(1, 0)


def _write_guide(
    book: Any, page: Any, headings: Sequence[Heading], titles: Sequence[str], notes: Sequence[str]
) -> None:
    """A line for each column, so that it is no table a reader could take for data."""
    head = book.add_format({"bold": True, "bottom": 1})
    text = book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
    for at, (title, width) in enumerate(zip(titles, _GUIDE_WIDTHS, strict=True)):
        page.set_column(at, at, width)
        page.write_string(0, at, title, head)
    for n, one in enumerate(headings, start=1):
        cells = (
            one.title, one.need, one.holds, one.example, "、".join(one.words),
            "、".join(one.others),
        )  # fmt: skip
        for at, cell in enumerate(cells):
            page.write_string(n, at, cell, text)
    for n, note in enumerate(notes, start=len(headings) + 2):
        page.write_string(n, 0, note)
    page.freeze_panes(1, 0)
    page.set_landscape()
    page.fit_to_pages(1, 0)


def refuse_blank(table: Table) -> None:
    """Raise Invalid for a template in which no row was filled in."""
    if not table.rows and set(GUIDES.values()) & set(table.sheets):
        raise Invalid(
            "{name} is the template, and nothing is filled in: enter at least one row below the headings "
            "of its first sheet.",
            name=table.name,
        )  # fmt: skip
