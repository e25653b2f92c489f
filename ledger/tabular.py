"""A table is read out of a workbook or a text file, by what the file is and not by what it is called.

`read_table` takes XLSX, XLS, CSV or TSV and returns the cells as text, each row with the number that
the spreadsheet shows for it. It opens no database and keeps nothing. What a file is stands in
`file_kinds`, how text is decoded in `text_tables`, what a hostile workbook could do in
`workbook_safety`.
"""

import datetime
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from python_calamine import (
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from ledger.errors import Invalid
from ledger.tables import text_tables, workbook_safety
from ledger.tables.file_kinds import LIMITS, Limits, load, refuse, refuse_size, sniff, unpacking
from ledger.tables.text_tables import clean

__all__ = [
    "Problem",
    "Row",
    "Severity",
    "Table",
    "column_letters",
    "number_text",
    "read_table",
    "repeated",
    "unpacking",
]

Severity = Literal["error", "notice"]
Format = Literal["xlsx", "xls", "csv", "tsv", "dcat", "ckan"]
MOST_WIDER_ROWS: Final = 100
SHORT: Final = 400  # a longer text seldom stands twice in a table


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to tell about one place of a file.

    An "error" makes its row unusable, a "notice" does not. `code` is stable; `row` is the number
    that the spreadsheet shows, None when the whole column or file is meant.
    """

    severity: Severity
    code: str
    sheet: str | None
    row: int | None
    column: str | None
    reason_zh: str
    reason_en: str
    value: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The problem as plain values, ASCII keys."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Row:
    """One row that is not blank; `number` is 1-based, as the spreadsheet shows it."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A header and its rows; every row has as many cells as the header, blank ones are "".

    `format` is what the content is. `sheets` names all sheets of a workbook, `sheet` the one read.
    """

    name: str
    format: Format
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    sheet: str | None
    sheets: tuple[str, ...]
    encoding: str | None
    header_row_number: int
    """0 where there is no header"""
    problems: tuple[Problem, ...]
    headless: bool = False

    @property
    def first_row_number(self) -> int:
        """The number of the first row under the header, also when it is blank."""
        return self.header_row_number + 1

    @property
    def repeated_headers(self) -> tuple[str, ...]:
        """The names that stand over more than one column."""
        return repeated(self.header)

    @property
    def lost_digits(self) -> dict[int, tuple[int, str]]:
        """Column, from 0 → the first row in which a number has lost digits, and what is left of it."""
        return {
            int(one.column or 0) - 1: (one.row or 0, one.value or "")
            for one in self.problems
            if one.code == "digits_lost"
        }


def repeated(header: Sequence[str]) -> tuple[str, ...]:
    """The names that a header gives to more than one column.

    >>> repeated(["a", "b", "a", "", ""])
    ('a',)
    """
    return tuple(title for title, n in Counter(header).items() if title and n > 1)


@dataclass(slots=True)
class _Grid:
    """All rows as read, blank ones too, so that index + 1 is the row's number."""

    rows: Iterable[list[str]]
    format: Format
    problems: list[Problem]
    sheet: str | None = None
    sheets: tuple[str, ...] = ()
    encoding: str | None = None


def read_table(
    path_or_bytes: str | os.PathLike[str] | bytes,
    name: str | None = None,
    *,
    encoding: str | None = None,
    sheet: str | None = None,
    header_row: int | None = None,
    headless: bool = False,
    limits: Limits = LIMITS,
) -> Table:
    """The table in a file, whatever its name says it is.

    `name` is what messages call the file (default: the path's last part). `encoding` is for text
    files: utf-8, utf-16, gb18030 or big5; `sheet` for workbooks, default the first visible sheet
    that is not empty. The header is the row `header_row`, by the spreadsheet's number, else the first
    row that is not blank; a line of one cell above a wider row counts as a title and is passed over.
    A `headless` table has none: every row is data, its columns are A, B, C, as in a spreadsheet.

    Raises Invalid, with what the file is and what to do, for everything that is not such a table,
    is protected, damaged, beyond `limits`, or not in one encoding throughout.
    """
    data, name = load(path_or_bytes, name, limits)
    kind = sniff(data)
    if kind == "xlsx":
        workbook_safety.measure_xlsx(data, name, limits)
        grid = _workbook_cells(data, name, sheet, "xlsx")
    elif kind == "xls":
        workbook_safety.measure_xls(data, name, limits)
        grid = _workbook_cells(data, name, sheet, "xls")
    elif kind != "text":
        refuse(kind, name)
    elif sheet is not None:
        raise Invalid(
            "{name} is a text file and has no sheets; do not name one.", name=name, sheet=sheet
        )
    else:
        grid = _text_cells(data, name, encoding, limits)
    return _table(grid, name, limits, header_row, headless)


# ---------------------------------------------------------------- the cells of a file


def _text_cells(data: bytes, name: str, encoding: str | None, limits: Limits) -> _Grid:
    text, codec, margin = text_tables.decode(data, name, encoding)
    delimiter = text_tables.guess_delimiter(text)
    grid = _Grid(
        text_tables.records(text, delimiter, name, limits),
        "tsv" if delimiter == "\t" else "csv", [], encoding=codec,
    )  # fmt: skip
    if margin < text_tables.CLOSE:
        grid.problems.append(
            Problem(
                "notice", "encoding_close", None, None, None,
                f"编码按 {codec} 读取，但依据较弱；如有乱码请指定编码。",
                f"Read as {codec} on weak grounds; name the encoding if the text looks wrong.",
                codec,
            )
        )  # fmt: skip
    return grid


def _workbook_cells(data: bytes, name: str, sheet: str | None, kind: Format) -> _Grid:
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        tables = [one for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
        sheets = tuple(one.name for one in tables)
        if sheet is not None and sheet not in sheets:
            raise Invalid(
                "{name} has no sheet {sheet}; it has: {known}.",
                name=name, known="、".join(sheets), sheet=sheet, sheets=list(sheets),
            )  # fmt: skip
        visible = [one.name for one in tables if one.visible == SheetVisibleEnum.Visible]
        chosen, rows, others = None, [], []
        for candidate in visible if sheet is None else [sheet]:
            read = book.get_sheet_by_name(candidate)
            if chosen is None and (sheet is not None or read.end is not None):
                chosen, rows = candidate, read.to_python(skip_empty_area=False)
            elif read.end is not None:
                others.append(candidate)
    except (Invalid, KeyboardInterrupt, SystemExit, MemoryError, AssertionError):
        raise
    except PasswordError:
        refuse("protected", name)
    except BaseException as error:  # the reader is compiled code and may also panic
        refuse("truncated", name, cause=type(error).__name__)
    if chosen is None:
        raise Invalid(
            "All visible sheets of {name} are empty; check the file.",
            name=name, sheets=list(sheets),
        )  # fmt: skip
    problems = [
        Problem(
            "notice", "sheet_not_read", other, None, None,
            f"只读取了工作表“{chosen}”，未读取“{other}”。",
            f"Only sheet {chosen} was read; {other} was not.",
        )
        for other in others
    ]  # fmt: skip
    texts, long = _texts(rows, chosen)
    problems += long
    return _Grid(texts, kind, problems, chosen, sheets)


class _Cleaned(dict[str, str]):
    """Each text in its clean form, cleaned once: most cells of a table stand in it again."""

    def __missing__(self, text: str) -> str:
        cleaned = clean(text)
        if len(text) < SHORT:
            self[text] = cleaned
        return cleaned


def _is_clean(joined: str) -> bool:
    """Whether nothing of cells joined by bars needs to be cleaned; a doubt is no."""
    return (
        joined.isprintable()
        and " |" not in joined
        and "| " not in joined
        and joined == joined.strip()
    )


def _cell_text(value: Any) -> str:
    """A cell as text: numbers without ".0" or exponent, dates ISO 8601.

    >>> _cell_text(12.0), _cell_text(0.25), _cell_text(1e20)
    ('12', '0.25', '100000000000000000000')
    >>> _cell_text(datetime.datetime(2018, 3, 2)), _cell_text(True)
    ('2018-03-02', 'TRUE')
    """
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return number_text(repr(value))
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time(0)
        return str(value.date()) if midnight else value.isoformat(sep=" ", timespec="seconds")
    return clean(str(value))


def number_text(number: str | int | Decimal) -> str:
    """A number in digits, without exponent and without zeros behind its last decimal place.

    >>> number_text("1.50"), number_text(Decimal("0E-9")), number_text("1e+20")
    ('1.5', '0', '100000000000000000000')
    """
    text = format(Decimal(number), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _texts(rows: list[list[Any]], sheet: str) -> tuple[list[list[str]], list[Problem]]:
    """(the cells as text, a notice for each column with a number of 16 digits or more).

    Spreadsheets keep only 15 digits of a number.
    """
    cleaned, made = _Cleaned(), []
    found: dict[int, tuple[int, float]] = {}
    for number, row in enumerate(rows, start=1):
        kinds = set(map(type, row))
        if kinds == {str}:
            made.append(row if _is_clean("|".join(row)) else list(map(cleaned.__getitem__, row)))
            continue
        made.append([
            cleaned[value] if type(value) is str else _cell_text(value) for value in row
        ])  # fmt: skip
        if float in kinds:
            for index, value in enumerate(row):
                if type(value) is float and abs(value) >= 1e15:
                    found.setdefault(index, (number, value))
    notices = [
        Problem(
            "notice", "digits_lost", sheet, number, str(index + 1),
            "数字超过 15 位，表格软件已丢失末尾数字；编号请以文本格式保存。",
            "A number of more than 15 digits: the spreadsheet has lost its last ones;"
            " store identifiers as text.",
            _cell_text(value),
        )
        for index, (number, value) in sorted(found.items())
    ]  # fmt: skip
    return made, notices


# ---------------------------------------------------------------- from cells to a table


def column_letters(index: int) -> str:
    """What a spreadsheet calls a column; 0 is A.

    >>> column_letters(0), column_letters(25), column_letters(26), column_letters(701)
    ('A', 'Z', 'AA', 'ZZ')
    """
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _header(
    grid: _Grid,
    kept: list[tuple[int, list[str]]],
    name: str,
    header_row: int | None,
    headless: bool,
) -> tuple[int, list[str], list[Problem]]:
    """(its row's number, the header, what was passed over); the rows above and it leave `kept`."""
    passed: list[Problem] = []
    if headless:
        if header_row is not None:
            raise Invalid("A table without a header has no header row; say one of the two.")
        width = max((len(cells) for _, cells in kept), default=0)
        return 0, [column_letters(index) for index in range(width)], passed
    if header_row is not None:
        while kept and kept[0][0] < header_row:
            kept.pop(0)
        if not kept or kept[0][0] != header_row:
            raise Invalid(
                "Row {row} of {name} is blank or not there; the header cannot stand there.",
                name=name, row=header_row,
            )  # fmt: skip
        return *kept.pop(0), passed
    while len(kept) > 1 and sum(map(bool, kept[0][1])) == 1 < sum(map(bool, kept[1][1])):
        number, cells = kept.pop(0)
        passed.append(
            Problem(
                "notice", "title_line", grid.sheet, number, None,
                "表头上方的标题行未作为数据读取。",
                "A title line above the header was passed over.",
                next(filter(None, cells)),
            )
        )  # fmt: skip
    if not kept:
        refuse("empty", name)
    return *kept.pop(0), passed


def _table(grid: _Grid, name: str, limits: Limits, header_row: int | None, headless: bool) -> Table:
    kept = _filled_rows(grid, name, limits)
    if not kept:
        refuse("empty", name)
    header_number, head, passed = _header(grid, kept, name, header_row, headless)
    problems = [*grid.problems, *passed]
    width = max(len(head), *(len(cells) for _, cells in kept), 0)
    if width * len(kept) > limits.cells:
        refuse_size(name, "cells", limits.cells, width * len(kept))
    header = tuple(" ".join(cell.split()) for cell in head) + ("",) * (width - len(head))
    problems += [
        Problem(
            "notice", "header_repeated", grid.sheet, header_number, title,
            f"列名“{title}”出现 {header.count(title)} 次。",
            f"The column name {title} stands {header.count(title)} times.",
            title,
        )
        for title in repeated(header)
    ]  # fmt: skip
    wider = [(number, cells) for number, cells in kept if len(cells) > len(head)]
    problems += [
        Problem(
            "notice", "row_wider", grid.sheet, number, None,
            f"该行有 {len(cells)} 个单元格，多于表头的 {len(head)} 列；可能是分隔符未加引号。",
            f"The row has {len(cells)} cells, the header {len(head)}; a delimiter may stand"
            " unquoted.",
            cells[len(head)],
        )
        for number, cells in wider[:MOST_WIDER_ROWS]
    ]  # fmt: skip
    return Table(
        name=name,
        format=grid.format,
        header=header,
        rows=tuple(Row(number, (*cells, *[""] * (width - len(cells)))) for number, cells in kept),
        sheet=grid.sheet,
        sheets=grid.sheets,
        encoding=grid.encoding,
        header_row_number=header_number,
        headless=headless,
        problems=tuple(problems),
    )


def _filled_rows(grid: _Grid, name: str, limits: Limits) -> list[tuple[int, list[str]]]:
    """(number, cells up to the last filled one) of each row that is not blank."""
    kept: list[tuple[int, list[str]]] = []
    for number, cells in enumerate(grid.rows, start=1):
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        if len(cells) > limits.columns:
            refuse_size(name, "columns", limits.columns, len(cells), row=number)
        longest = len("".join(cells))  # of one cell at most
        if longest > limits.cell_chars and (longest := max(map(len, cells))) > limits.cell_chars:
            refuse_size(name, "cell_chars", limits.cell_chars, longest, row=number)
        kept.append((number, cells))
        if len(kept) > limits.rows:
            refuse_size(name, "rows", limits.rows)
    return kept
