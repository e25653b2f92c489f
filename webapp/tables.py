"""A table to take along: lines of cells as CSV or XLSX, safe to open in a spreadsheet."""

import csv
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO, StringIO
from itertools import islice
from typing import Any

import xlsxwriter

CSV = "text/csv; charset=utf-8"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LINES_AT_ONCE = 1_000
AMOUNT = re.compile(r"-?[0-9]+(\.[0-9]+)?")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so would be reckoned with


def csv_bytes(lines: Iterable[Sequence[Any]]) -> bytes:
    """The lines as CSV with a byte order mark, so that a spreadsheet takes it for UTF-8."""
    return b"".join(csv_parts(lines))


def csv_parts(lines: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """The same bytes, some lines at a time."""
    yield BOM_UTF8
    rest = iter(lines)
    while some := list(islice(rest, LINES_AT_ONCE)):
        written = StringIO()
        csv.writer(written).writerows(
            [f"'{cell}" if _reckons(str(cell)) else cell for cell in line] for line in some
        )
        yield written.getvalue().encode()


def _reckons(text: str) -> bool:
    """Whether a spreadsheet would take a text for a formula; an amount below nought is a number."""
    return text.startswith(FORMULA) and not AMOUNT.fullmatch(text)


def xlsx_bytes(title: str, widths: Sequence[int], lines: Iterable[Sequence[Any]]) -> bytes:
    """The lines as a sheet, the first one its header."""
    written = BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(written, options) as book:
        sheet, bold = book.add_worksheet(title), book.add_format({"bold": True})
        for at, line in enumerate(lines):
            sheet.write_row(at, 0, line, bold if at == 0 else None)
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, 0, len(widths) - 1)
    return written.getvalue()
