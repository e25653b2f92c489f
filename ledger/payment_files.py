"""The payment file (付款清单): what a bank is given to pay, as CSV and XLSX, and what of it was changed.

    序号  流水号  收款人名称  收款账号  开户银行  开户网点  金额(元)  用途  执收单位编码  项目编码
    1     ZF2026-000001-00001 …                          1234.50   …
    合计  2 笔                                           2469.00

Both are the same rows cell by cell, and the same bytes whenever they are written. Account numbers and codes
are text: in the workbook by their format, in CSV by a tab behind them, which keeps a spreadsheet program
from making 6.22E+18 of them. A cell that would begin a formula has an apostrophe before it. CSV is UTF-8
with a byte order mark, lines end as a spreadsheet writes them.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import xlsxwriter

from ledger.errors import Faults, Invalid
from ledger.tables.tabular_cells import amount_fen
from ledger.tabular import Table
from valuation.money import MAX_FEN, yuan

HEADINGS = (("序号", 8), ("流水号", 24), ("收款人名称", 36), ("收款账号", 34), ("开户银行", 30),
            ("开户网点", 30), ("金额(元)", 16), ("用途", 40), ("执收单位编码", 16),
            ("项目编码", 16))  # fmt: skip
TITLES = tuple(title for title, _ in HEADINGS)
AMOUNT, TOTAL = TITLES.index("金额(元)"), "合计"
TEXTS = frozenset(map(TITLES.index, ("收款账号", "执收单位编码", "项目编码")))
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so would be reckoned with
MADE = datetime(2025, 1, 1, tzinfo=UTC).replace(tzinfo=None)  # the same bytes each time


@dataclass(frozen=True)
class Payment:
    """One line of the file: whom the bank pays how much, and what for."""

    n: int
    serial: str
    payee: str
    account_number: str
    bank: str
    branch: str
    amount_fen: int
    purpose: str
    unit_code: str = ""
    item_code: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The line as it stands in the file, before it is protected."""
        return (
            str(self.n), self.serial, self.payee, self.account_number, self.bank, self.branch,
            yuan(self.amount_fen), self.purpose, self.unit_code, self.item_code,
        )  # fmt: skip


def lines(payments: Sequence[Payment]) -> list[tuple[str, ...]]:
    """Header, a line for each payment, and the total with the count."""
    total = [""] * len(TITLES)
    total[0], total[1] = TOTAL, f"{len(payments)} 笔"
    total[AMOUNT] = yuan(sum(one.amount_fen for one in payments))
    return [TITLES, *(one.cells for one in payments), tuple(total)]


def as_csv(payments: Sequence[Payment]) -> bytes:
    """The file as CSV."""
    written = io.StringIO()
    made = csv.writer(written)
    for line in lines(payments):
        made.writerow([
            f"{safe(cell)}\t" if at in TEXTS and cell.isdecimal() else safe(cell)
            for at, cell in enumerate(line)
        ])  # fmt: skip
    return written.getvalue().encode("utf-8-sig")


def as_xlsx(payments: Sequence[Payment]) -> bytes:
    """The file as a workbook: all cells are text but the amounts."""
    target = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(target, options) as book:
        book.set_properties({"title": "付款清单", "created": MADE})
        sheet = book.add_worksheet("付款清单")
        head = book.add_format({"bold": True, "num_format": "@"})
        text, money = (book.add_format({"num_format": form}) for form in ("@", "0.00"))
        for row, line in enumerate(lines(payments)):
            for at, cell in enumerate(line):
                if row and at == AMOUNT:
                    sheet.write_number(row, at, Decimal(cell), money)
                else:
                    sheet.write_string(row, at, cell, text if row else head)
        for column, (_, width) in enumerate(HEADINGS):
            sheet.set_column(column, column, width)
        sheet.freeze_panes(1, 0)
    return target.getvalue()


def serials(table: Table) -> list[str]:
    """The serial numbers that a file names, in its order; raises Invalid for what is no payment file."""
    if table.header != TITLES:
        raise Invalid(
            "{name} is no payment file: its columns are not {columns}.", name=table.name,
            columns="、".join(TITLES),
        )  # fmt: skip
    return [row.cells[1] for row in table.rows if row.cells[0] != TOTAL]


def differences(payments: Sequence[Payment], table: Table) -> Faults:
    """Each cell in which a file that is read back differs from the payments it was made of.

    An account number is not told, only that it is another one.
    """
    serials(table)
    faults = Faults()
    wanted = lines(payments)[1:]
    for line, row in zip(wanted, table.rows, strict=False):
        for at, (cell, given) in enumerate(zip(line, row.cells, strict=True)):
            if not _same(at, cell, given):
                secret = TITLES[at] == "收款账号"
                faults.name_fault(
                    "row {row}: {column} is another one than was approved"
                    if secret else "row {row}: {column} is {given}, approved was {known}",
                    at=f"{row.number}", row=row.number, column=TITLES[at],
                    **({} if secret else {"given": given or "-", "known": cell or "-"}),
                )  # fmt: skip
    for row in table.rows[len(wanted) :]:
        faults.name_fault(
            "row {row} was added: {cells}", at=f"{row.number}", row=row.number,
            cells=" ".join(c for at, c in enumerate(row.cells) if c and TITLES[at] != "收款账号"),
        )  # fmt: skip
    for line in wanted[len(table.rows) :]:
        faults.name_fault("the row {row} is missing", row=" ".join(filter(None, line[:2])))
    return faults


def _same(at: int, cell: str, given: str) -> bool:
    if at == AMOUNT:
        return amount_fen(given, most=MAX_FEN) == amount_fen(cell, most=MAX_FEN)
    return given in (" ".join(cell.split(" ")).strip(), safe(cell).strip(), cell)


def safe(cell: str) -> str:
    """A text with an apostrophe before it where it would begin a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
