"""The catalogue as a workbook: all fields under their Chinese headers, as the import reads them again."""

from collections.abc import Iterable, Mapping
from typing import Any

import xlsxwriter

from ledger.catalogue_fields import FIELDS

TITLE = "公共数据目录"
WIDTHS = {"title": 40, "summary": 60, "items": 60, "code": 22, "provider": 24}


def write(path: str, rows: Iterable[Mapping[str, str]]) -> int:
    """Write the cells of each resource (field → text) as a row; returns how many. Memory stays small.

    Every cell is a text: nothing in it is reckoned with, and no code loses its leading zeros.
    """
    options: dict[str, Any] = {
        "constant_memory": True, "strings_to_formulas": False, "strings_to_numbers": False,
        "strings_to_urls": False,
    }  # fmt: skip
    count = 0
    with xlsxwriter.Workbook(path, options) as book:
        sheet, bold = book.add_worksheet(TITLE), book.add_format({"bold": True})
        for column, field in enumerate(FIELDS.values()):
            sheet.set_column(column, column, WIDTHS.get(field.name, 16))
        for column, field in enumerate(FIELDS.values()):
            sheet.write_string(0, column, field.zh, bold)
        sheet.freeze_panes(1, 2)
        for count, cells in enumerate(rows, start=1):
            for column, name in enumerate(FIELDS):
                text = cells.get(name)
                if text:
                    sheet.write_string(count, column, text)
    return count
