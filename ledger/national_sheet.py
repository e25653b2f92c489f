"""The table of national accounts as a sheet: read with the place of every fault, written live.

A sheet has a header and a row for each industry, region, year and kind of producer; amounts are in yuan.
Headers may be Chinese, English or the keys of `valuation.national_table` (with ``_yuan``).

In the workbook the formation of a cell is the sum of its components, and its stock follows from the row
above it; what is rounded is rounded in whole numbers, part by part, so that it is the same fen wherever it
is recalculated, up to amounts of 2 · 10^14 fen and rates of up to six decimals.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Any

from ledger.catalogue_values import fold
from ledger.errors import Invalid
from ledger.import_templates import refuse_blank
from ledger.spreadsheet import Page, Target, Workbook
from ledger.tabular import Table as Sheet
from ledger.tabular import column_letters, read_table
from valuation import InputError, money
from valuation.national import COMPONENTS, PRODUCERS
from valuation.national_table import AMOUNTS, INDUSTRIES, MAX_ROWS, Table, region_name

EXACT_FEN_MAX = 2 * 10**14
NEEDED = ("industry", "region", "year", "producer", *AMOUNTS)
COLUMNS: dict[str, tuple[str, ...]] = {
    "industry": ("行业", "行业门类", "industry"),
    "region": ("地区", "地区代码", "行政区划代码", "region"),
    "year": ("年份", "年度", "year"),
    "producer": ("生产者类型", "生产者", "producer"),
    **{key: (zh, en, key.removesuffix("_fen"), key.removesuffix("_fen") + "_yuan")
       for key, _, zh, en in COMPONENTS},
    "use_years": ("使用年限", "years of use", "use_years"),
    "spending_fen": ("数据支出", "支出", "spending", "spending_yuan"),
}  # fmt: skip
PRODUCER_WORDS = {"市场": "market", "市场生产者": "market", "非市场": "non_market",
                  "非市场生产者": "non_market"}  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """The rows of a sheet as a document has them, and where each stands."""

    rows: list[dict[str, Any]]
    sheet: str
    numbers: list[int]
    columns: dict[str, str]

    def place(self, path: str) -> tuple[str, int | None, str]:
        """(sheet, row, column) of a path such as ``rows[3].labour_fen``; what is in no row has neither."""
        found = re.fullmatch(r"rows\[(\d+)\](?:\.(\w+))?", path)
        if found is None:
            return self.sheet, None, "" if path == "rows" else path
        return self.sheet, self.numbers[int(found[1])], self.columns.get(found[2] or "", "")


def read(source: str | os.PathLike[str] | bytes, name: str | None = None) -> tuple[Rows, list[Any]]:
    """The rows of an XLSX, XLS, CSV or TSV file, and what of its cells cannot be read.

    A fault is (path, sentence), as an InputError has them. Raises Invalid for what is no such table.
    """
    table = read_table(source, name)
    refuse_blank(table)
    places = _columns(table)
    if len(table.rows) > MAX_ROWS:
        raise Invalid("{name} has more than {most} rows; split it or delete what lies far below the table.",
                      name=table.name, most=MAX_ROWS)  # fmt: skip
    rows: list[dict[str, Any]] = []
    faults: list[tuple[str, str]] = []
    for k, row in enumerate(table.rows):
        made: dict[str, Any] = {}
        for key, column in places.items():
            text = row.cells[column].strip()
            if not text and key not in NEEDED:
                continue
            try:
                made[key] = _cell(key, text)
            except InputError as error:
                faults.append((f"rows[{k}].{key}", error.sentence))
        rows.append(made)
    where = {key: f"{table.header[at]} ({column_letters(at)})" for key, at in places.items()}
    return Rows(rows, table.sheet or table.name, [row.number for row in table.rows], where), faults


def _columns(table: Sheet) -> dict[str, int]:
    """Where each column stands; a missing, unknown or doubled one is refused with the row of the header."""
    known = {fold(name): key for key, names in COLUMNS.items() for name in names}
    found: dict[str, int] = {}
    unknown: list[str] = []
    for at, title in enumerate(table.header):
        key = known.get(fold(re.sub(r"[(（].*", "", title)))
        if key is None or key in found:
            unknown += [f"{title or '-'} ({column_letters(at)})"]
        else:
            found[key] = at
    lacking = [COLUMNS[key][0] for key in NEEDED if key not in found]
    if lacking or unknown:
        raise Invalid(
            "Row {row} of {name} is no header of this table: it lacks {lacking}; unknown or twice there is "
            "{unknown}.",
            row=table.header_row_number, name=table.name, lacking="、".join(lacking) or "-",
            unknown="、".join(unknown) or "-",
        )  # fmt: skip
    return found


def _cell(key: str, text: str) -> Any:
    """What a cell says: an amount in fen, a year, a code."""
    if not text:
        raise InputError(key, "is missing")
    if key == "year":
        if not re.fullmatch(r"[0-9]{4}", text, re.ASCII):
            raise InputError(key, "must be a year from 1900 to 2199")
        return int(text)
    if key == "industry":
        return text[:1].upper() if text[1:2] in ("", " ", ".", "-") else text
    if key == "producer":
        word = PRODUCER_WORDS.get(text, text.lower().replace("-", "_").replace(" ", "_"))
        return word if word in PRODUCERS else text
    if key.endswith("_fen"):
        bare = text
        if re.fullmatch(r"-?[0-9]{1,3}([,，][0-9]{3})+(\.[0-9]+)?", text):
            bare = re.sub("[,，]", "", text)
        return money.fen(bare, key)
    return text


# -- the workbook ------------------------------------------------------------------------------

_WIDE, _NARROW = 24, 12
_HEADS = (
    ("行业 Industry", 10), ("行业名称 Name", 34), ("地区 Region", _NARROW), ("地区名称 Name", 22),
    ("年份 Year", 8), *((f"{zh} {en} (分 fen)", _WIDE) for _, _, zh, en in COMPONENTS),
    ("资本形成 Formation (分 fen)", _WIDE), ("平减指数 Deflator: 分子", _NARROW), ("分母", _NARROW),
    ("不变价形成 Constant prices (分 fen)", _WIDE), ("折旧率 δ: 分子", _NARROW), ("分母", _NARROW),
    ("期初存量 Opening (分 fen)", _WIDE), ("期末存量 Stock (分 fen)", _WIDE),
    ("导出时的存量 Stock at export (分 fen)", _WIDE), ("差 Difference", _NARROW),
)  # fmt: skip
_SUMMED = {  # what is added up → its column in the sheet of cells
    **{key: 5 + n for n, key in enumerate(AMOUNTS)}, "formation_fen": 10, "real_fen": 13,
    "stock_fen": 17,
}  # fmt: skip


def write(table: Table, target: Target) -> None:
    """Write a table as a workbook: cells, totals by year, industry, region, and what it rests on."""
    with Workbook(target) as book:
        cells = book.book.add_worksheet("单元 Cells", Page)
        last = _cells(book, cells, table)
        for name, key, rows in (
            ("年度 Years", "", table.by_year), ("行业 Industries", "industry", table.by_industry),
            ("地区 Regions", "region", table.by_region),
        ):  # fmt: skip
            _totals(book, book.book.add_worksheet(name, Page), key, rows, last, len(table.cells))
        _notes(book, book.book.add_worksheet("说明 Notes", Page), table)


def to_bytes(table: Table) -> bytes:
    """The workbook of a table."""
    target = BytesIO()
    write(table, target)
    return target.getvalue()


def _cells(book: Workbook, page: Any, table: Table) -> int:
    """The sheet of cells; returns the number of its last row."""
    page.write_string(0, 0, "数据资本形成与存量 Formation and stock of data capital", book.bold)
    page.write_string(
        1, 0, "黄色单元格是输入，其余随之重算。 Yellow cells are inputs; all else follows."
    )
    page.freeze_panes(3, 5)
    for column, (title, width) in enumerate(_HEADS):
        page.set_column(column, column, width)
        page.write_string(2, column, title, book.head)
    opening = {(one["industry"], one["region"]): one for one in table.openings}
    deflators = {one["year"]: money.ratio(one["deflator"])
                 for one in table.document.get("deflators", ())}  # fmt: skip
    before: tuple[str, str] | None = None
    for n, cell in enumerate(table.cells):
        at, row = n + 3, n + 4
        key = (cell["industry"], cell["region"])
        zh, en = INDUSTRIES[key[0]]
        page.write_string(at, 0, key[0], book.text)
        page.write_string(at, 1, f"{zh} {en}", book.text)
        page.write_string(at, 2, key[1], book.text)
        page.write_string(at, 3, " ".join(region_name(key[1])), book.text)
        page.write_number(at, 4, cell["year"], book.number)
        for column, amount in enumerate(AMOUNTS, start=5):
            page.write_number(at, column, cell[amount], book.marked_fen)
        page.write_formula(at, 10, f"=SUM(F{row}:J{row})", book.fen, cell["formation_fen"])
        deflator = deflators.get(cell["year"], Fraction(1))
        delta = Fraction(opening[key]["delta"])
        for column, term in zip((11, 12, 14, 15), (*_terms(deflator), *_terms(delta)), strict=True):
            page.write_number(at, column, term, book.marked)
        real = _scaled(f"K{row}", f"M{row}", f"L{row}")
        page.write_formula(at, 13, f"={real}", book.fen, cell["real_fen"])
        if key == before:
            page.write_formula(at, 16, f"=R{row - 1}", book.fen, table.cells[n - 1]["stock_fen"])
        else:
            page.write_number(at, 16, opening[key]["stock_fen"], book.marked_fen)
        stock = f"={_scaled(f'Q{row}', f'(P{row}-O{row})', f'P{row}')}+N{row}"
        page.write_formula(at, 17, stock, book.fen, cell["stock_fen"])
        page.write_number(at, 18, cell["stock_fen"], book.fen)
        page.write_formula(at, 19, f"=R{row}-S{row}", book.fen, 0)
        before = key
    return len(table.cells) + 3


def _terms(value: Fraction) -> tuple[int, int]:
    return value.numerator, value.denominator


def _scaled(cell: str, times: str, by: str) -> str:
    """⌊cell · times / by + 1/2⌋ of whole numbers, without a product larger than need be."""
    part = f"INT({cell}/{by})"
    rest = f"({cell}-{by}*{part})"
    return f"({times}*{part}+INT((2*{times}*{rest}+{by})/(2*{by})))"


def _totals(
    book: Workbook, page: Any, key: str, rows: tuple[dict[str, Any], ...], last: int, count: int
) -> None:
    """A sheet of totals over the cells, with growth, and a check that they add up."""
    heads = [("行业或地区 Industry or region", 40)] if key else []
    heads += [("年份 Year", 10)]
    heads += [(_HEADS[column][0], _WIDE) for column in _SUMMED.values()]
    heads += [("形成增长 Growth of formation", 16), ("存量增长 Growth of stock", 16)]
    for column, (title, width) in enumerate(heads):
        page.set_column(column, column, width)
        page.write_string(0, column, title, book.head)
    first = len(heads) - 2 - len(_SUMMED)  # the first column of sums
    percent = book.book.add_format({"num_format": "0.00%"})
    cells = "'单元 Cells'!"
    which = {"industry": "A", "region": "C"}.get(key)
    for n, one in enumerate(rows):
        row, at = n + 2, n + 1
        if key:
            page.write_string(at, 0, one[key], book.text)
        page.write_number(at, first - 1, one["year"], book.number)
        year = f"{cells}$E$4:$E${last},${column_letters(first - 1)}{row}"
        where = f"{cells}${which}$4:${which}${last},$A{row},{year}" if which else year
        for m, (name, column) in enumerate(_SUMMED.items()):
            letter = column_letters(column)
            summed = f"=SUMIFS({cells}${letter}$4:${letter}${last},{where})"
            page.write_formula(at, first + m, summed, book.fen, one[name])
        is_next = (
            n and rows[n - 1].get(key) == one.get(key) and rows[n - 1]["year"] + 1 == one["year"]
        )
        for m, name in enumerate(("formation", "stock")):
            growth = one[f"{name}_growth"]
            letter = column_letters(first + list(_SUMMED).index(f"{name}_fen"))
            if growth is not None and is_next:
                value = float(Fraction(growth))
                page.write_formula(at, first + len(_SUMMED) + m, f"={letter}{row}/{letter}{row - 1}-1",
                                   percent, value)  # fmt: skip
    end = len(rows) + 2
    page.write_string(end, 0, "合计 Sum", book.bold)
    page.write_string(end + 1, 0, "减去各单元之和(应为0) Less the cells (0)", book.bold)
    for m, (name, column) in enumerate(_SUMMED.items()):
        letter, of_cells = column_letters(first + m), column_letters(column)
        total = sum(one[name] for one in rows)
        page.write_formula(
            end, first + m, f"=SUM({letter}2:{letter}{len(rows) + 1})", book.fen, total
        )
        check = f"={letter}{end + 1}-SUM({cells}{of_cells}4:{of_cells}{last})"
        page.write_formula(end + 1, first + m, check, book.fen, 0)
    page.freeze_panes(1, first)


def _notes(book: Workbook, page: Any, table: Table) -> None:
    """What the table rests on."""
    page.set_column(0, 0, 30)
    page.set_column(1, 1, 100)
    known: Mapping[str, Any] = table.document
    lines = [("依据 Basis", str(known["basis"]))]
    lines += [
        (key, str(known[key])) for key in ("delta", "life", "declining", "growth") if key in known
    ]
    lines += [("说明 Note", f"{note.zh} {note.en}") for note in table.notes]
    lines += [("公式 Formula", "K_t = (1 - δ) · K_(t-1) + I_t")]
    largest = max(max(cell["stock_fen"], cell["formation_fen"]) for cell in table.cells)
    if largest > EXACT_FEN_MAX or any(
        Fraction(one["delta"]).denominator > 10**6 for one in table.openings
    ):
        lines.append((
            "限度 Limit", "数值过大，重算结果可能与导出值相差。 Numbers are so large that, recalculated, "
            "they may differ from those exported.",
        ))  # fmt: skip
    for row, (name, text) in enumerate(lines):
        page.write_string(row, 0, name, book.bold)
        page.write_string(row, 1, text, book.text)
