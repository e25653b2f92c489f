"""A table to take along: lines of cells as CSV or XLSX, safe to open in a spreadsheet."""

import csv
import re
from collections.abc import Iterable, Sequence
from io import BytesIO, StringIO
from typing import Any

import xlsxwriter

CSV = "text/csv; charset=utf-8"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
AMOUNT = re.compile(r"-?[0-9]+(\.[0-9]+)?")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so would be reckoned with


def csv_bytes(lines: Iterable[Sequence[Any]]) -> bytes:
    """The lines as CSV with a byte order mark, so that a spreadsheet takes it for UTF-8."""
    written = StringIO()
    made = csv.writer(written)
    for line in lines:
        made.writerow([f"'{cell}" if _reckons(str(cell)) else cell for cell in line])
    return written.getvalue().encode("utf-8-sig")


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
