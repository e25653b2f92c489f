"""Tables that banks and exchanges hand out are read: results of payments, account statements, reports.

    result       流水号, 金额, 结果 (成功 | 失败 | 退汇), 交易日期, 银行流水号, 失败原因, 批次金额
    statement    交易日期, 银行流水号, 收入, 支出, 对方户名, 摘要, 余额
    report       交易编号, 金额, 交易日期

What a column is called is told by `ALIASES`, in Chinese or English; others are passed over. Every row
that cannot be used is named, with the number the spreadsheet shows for it, before anything is done.
A line of totals has no day, no reference, and a cell that says so and nothing else; it must be their sum.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from ledger.errors import Faults, Invalid
from ledger.import_templates import refuse_blank
from ledger.tables.file_kinds import Limits
from ledger.tables.tabular_cells import amount_fen, day_of
from ledger.tabular import Table, read_table
from valuation.money import MAX_FEN, yuan

ROWS_MAX = 50_000  # of a result or an account statement
FAULTS_MAX = 200  # told one by one; beyond that how many more
ALIASES: Mapping[str, tuple[str, ...]] = {
    "amount": ("金额", "金额(元)", "金额（元）", "付款金额", "交易金额", "成交金额", "amount",
               "amount_yuan"),
    "balance": ("余额", "账户余额", "balance", "balance_yuan"),
    "counterparty": ("对方户名", "对方名称", "对方账户名称", "交易对手", "counterparty"),
    "debit": ("批次金额", "批次总金额", "扣款金额", "扣款总额", "debit", "debit_yuan"),
    "day": ("交易日期", "日期", "入账日期", "付款日期", "成交日期", "交易时间", "day", "date"),
    "in": ("收入", "收入金额", "贷方发生额", "贷方金额", "存入金额", "in", "in_yuan", "credit"),
    "memo": ("摘要", "用途", "附言", "备注", "memo"),
    "out": ("支出", "支出金额", "借方发生额", "借方金额", "支取金额", "out", "out_yuan", "debit"),
    "reason": ("失败原因", "原因", "备注", "reason"),
    "reference": ("银行流水号", "交易流水号", "流水号", "凭证号", "reference", "bank_reference"),
    "result": ("结果", "处理结果", "交易状态", "状态", "result", "status"),
    "serial": ("流水号", "批次流水号", "明细流水号", "客户流水号", "serial"),
    "trade": ("交易编号", "成交编号", "交易流水号", "订单编号", "trade", "trade_no"),
}  # fmt: skip
# Which columns a file must have, and may have.
RESULT = ("serial", "amount", "result"), ("day", "reference", "reason", "debit")
ANSWERS = ("result", "day", "reference", "reason")
STATEMENT = ("day", "reference", "in", "out"), ("counterparty", "memo", "balance")
REPORT = ("trade", "amount", "day"), ()
WEAK = (
    "交易时间",
    "凭证号",
)  # banks print them beside the one that is meant; read where it is lacking
TEXTS = ("counterparty", "memo", "reason")  # of several such columns the first is read
TOTALS, SUBTOTALS = ("合计", "总计", "total"), ("小计", "subtotal")
RESULTS = {
    **dict.fromkeys(("成功", "已付款", "交易成功", "success", "paid"), "paid"),
    **dict.fromkeys(("失败", "交易失败", "failed", "failure"), "failed"),
    **dict.fromkeys(("退汇", "已退汇", "已退回", "returned"), "returned"),
}
_REFERENCE = re.compile(r"[\x21-\x7e\u4e00-\u9fff]{1,100}")


@dataclass(frozen=True)
class Result:
    """What a bank says of one of our payments; `day` and `reference` where it was paid or returned.

    `debit_fen` is what it took in one sum under that reference, where it tells that (批量代付). `unclear`
    is a row of which something could not be read: that stands at nought or empty here.
    """

    row: int
    serial: str
    amount_fen: int
    paid: bool
    day: str
    reference: str
    reason: str
    returned: bool = False
    debit_fen: int | None = None
    unclear: bool = False


@dataclass(frozen=True)
class BankLine:
    """A movement of the account: above nought what came in, below what went out.

    `of` is the reconciliation with whose file it came, once it is in one.
    """

    row: int
    day: str
    reference: str
    amount_fen: int
    counterparty: str
    memo: str
    balance_fen: int | None
    of: str = ""


def read_results(data: bytes, name: str, told: Faults | None = None) -> list[Result]:
    """The rows of a bank's result file; raises Invalid naming every row that cannot be used.

    Where somebody goes on to hold the rows against a payout, these faults are `told` to him instead.
    """
    table = _read(data, name)
    places = _places(table, *RESULT)
    faults, made = Faults(), []
    seen: dict[tuple[str, bool], int] = {}  # a payment and its return are two rows
    rows, totals = _parted(table, places, ("serial", "reference"), faults)
    if rows and not any(cells[one] for _, cells in rows for one in ANSWERS):
        raise Invalid(
            "{name} says of no payment what became of it: fill in 结果, of what was paid also 交易日期 and "
            "银行流水号.",
            name=name,
        )  # fmt: skip
    for row, cells in rows:
        count = len(faults.named())
        amount = amount_fen(cells["amount"])
        result = RESULTS.get(cells["result"].lower())
        paid, same = result == "paid", (cells["serial"], result == "returned")
        day = day_of(cells["day"])
        if not cells["serial"]:
            row_fault("row {row}: the serial number is missing", faults, row)
        elif same in seen:
            row_fault(
                "row {row}: {serial} stands already in row {first}",
                faults,
                row,
                serial=cells["serial"],
                first=seen[same],
            )
        if amount is None or amount <= 0:
            row_fault(
                "row {row}: {given} is no amount in yuan", faults, row, given=cells["amount"] or "-"
            )
        printed = cells["debit"] if paid else ""  # of what was not paid banks print 0.00
        debit = amount_fen(printed, most=MAX_FEN) if printed else None
        if printed and not debit:
            row_fault("row {row}: {given} is no amount in yuan", faults, row, given=printed)
        if result is None:
            row_fault(
                "row {row}: the result {given} is none of 成功, 失败, 退汇",
                faults,
                row,
                given=cells["result"] or "-",
            )
        if paid and day is None:
            row_fault("row {row}: {given} is no day", faults, row, given=cells["day"] or "-")
        if paid and not _REFERENCE.fullmatch(cells["reference"]):
            row_fault("row {row}: the bank's reference is missing or no plain text", faults, row)
        if result in ("failed", "returned") and not cells["reason"]:
            row_fault("row {row}: a payment that failed names its reason", faults, row)
        seen.setdefault(same, row)
        made.append(Result(row, cells["serial"], amount or 0, paid, day or "",
                           "" if result == "failed" else cells["reference"], cells["reason"],
                           result == "returned", debit,
                           len(faults.named()) > count))  # fmt: skip
    if not faults:  # what came back stands in the total once, as it was paid
        paid_rows = [row for row, one in zip(rows, made, strict=True) if not one.returned]
        _compare(faults, paid_rows or rows, totals, ("amount",))
    if told is None:
        refuse(faults, name)
    else:
        told.add(faults)
    return made


def read_statement(data: bytes, name: str) -> list[BankLine]:
    """The movements in a bank's account statement, in its order; raises Invalid naming every faulty row.

    Where each row has its balance, every balance must follow from the one before, forwards or backwards.
    """
    table = _read(data, name)
    places = _places(table, *STATEMENT)
    faults, made = Faults(), []
    rows, totals = _parted(table, places, ("reference",), faults)
    for row, cells in rows:
        day = day_of(cells["day"])
        if day is None:
            row_fault("row {row}: {given} is no day", faults, row, given=cells["day"] or "-")
        sides = [amount_fen(cells[side] or "0") for side in ("in", "out")]
        balance = amount_fen(cells["balance"], negative=True) if cells["balance"] else None
        if None in sides or (cells["balance"] and balance is None):
            told = " ".join(cells[at] for at in ("in", "out", "balance"))
            row_fault("row {row}: {given} is no amount in yuan", faults, row, given=told)
        elif (sides[0] == 0) == (sides[1] == 0):
            row_fault("row {row}: a movement either comes in or goes out", faults, row)
        came, went = (side or 0 for side in sides)
        made.append(BankLine(row, day or "", cells["reference"], came - went,
                             cells["counterparty"], cells["memo"], balance))  # fmt: skip
    if not faults:
        _follow(faults, made)
        _compare(faults, rows, totals, ("in", "out"))
    refuse(faults, name)
    return made


def closing_fen(rows: Sequence[BankLine]) -> int | None:
    """The balance after the last movement, None where the file does not tell it."""
    if not rows or any(one.balance_fen is None for one in rows):
        return None
    return (rows[-1] if _forwards(rows) else rows[0]).balance_fen


def opening_fen(rows: Sequence[BankLine]) -> int | None:
    """The balance before the first movement, None where the file does not tell it."""
    if not rows or any(one.balance_fen is None for one in rows):
        return None
    first = rows[0] if _forwards(rows) else rows[-1]
    return (first.balance_fen or 0) - first.amount_fen


def _forwards(rows: Sequence[BankLine]) -> bool:
    """Whether the oldest movement stands first."""
    return all(
        after.balance_fen == (one.balance_fen or 0) + after.amount_fen
        for one, after in pairwise(rows)
    )


def _follow(faults: Faults, rows: Sequence[BankLine]) -> None:
    if any(one.balance_fen is None for one in rows) or _forwards(rows):
        return
    backwards = rows[0].day > rows[-1].day or _forwards(rows[::-1])
    for one, after in pairwise(rows[::-1] if backwards else rows):
        if after.balance_fen != (one.balance_fen or 0) + after.amount_fen:
            row_fault(
                "row {row}: its balance does not follow from the row before", faults, after.row
            )


def row_fault(template: str, faults: Faults, row: int, **facts: Any) -> None:
    """Name a fault of one row, whose number the template tells as `row`."""
    faults.name_fault(template, str(row), row=row, **facts)


def _read(data: bytes, name: str) -> Table:
    table = read_table(data, name, limits=Limits(rows=ROWS_MAX, columns=100))
    refuse_blank(table)
    return table


def _places(table: Table, needed: Sequence[str], optional: Sequence[str]) -> dict[str, int | None]:
    return places(table.name, table.header, needed, optional)


def places(
    name: str, header: Sequence[str], needed: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, int | None]:
    """Where each column stands; raises Invalid where one is lacking, or two headings mean the same.

    A heading serves one column only, the first in order that knows it.
    """
    titles = [title.strip().lower().replace(" ", "") for title in header]
    taken: set[int] = set()
    found: dict[str, int | None] = {}
    for column in (*needed, *optional):
        named = (titles.index(one) for one in ALIASES[column] if one in titles)
        found[column] = next((at for at in named if at not in taken), None)
        taken |= {at for at in (found[column],) if at is not None}
    missing = [ALIASES[column][0] for column in needed if found[column] is None]
    if missing:
        raise Invalid(
            "{name} lacks the columns {columns}; it has {known}.", name=name,
            columns="、".join(missing), known="、".join(filter(None, header)),
        )  # fmt: skip
    faults = Faults()
    for column, at in found.items():
        for other, title in enumerate(titles):
            if at is None or other in taken or not _means_the_same(column, titles[at], title):
                continue
            faults.name_fault(
                "the columns {first} and {second} mean the same: leave out one of them",
                first=header[at], second=header[other],
            )  # fmt: skip
    refuse(faults, name)
    return found


def _means_the_same(column: str, title: str, other: str) -> bool:
    if column in TEXTS:
        return other == title
    return other == title or (other in ALIASES[column] and other not in WEAK)


def _parted(
    table: Table, at: Mapping[str, int | None], names: Sequence[str], faults: Faults
) -> tuple[list[tuple[int, dict[str, str]]], list[tuple[int, dict[str, str], bool]]]:
    """(rows with their cells by column, totals likewise and whether of a part only).

    A row in which cells have moved is named, and is none of them.
    """
    rows, totals = [], []
    name_lost_digits(faults, at, table.lost_digits)
    last = max(n for n, title in enumerate(table.header) if title)
    for row in table.rows:
        cells = {
            column: "" if n is None else row.cells[n].removeprefix("'").strip()
            for column, n in at.items()
        }
        part = of_a_part(row.cells, cells["day"], [cells[one] for one in names])
        if any(row.cells[last + 1 :]):
            row_fault(WIDER, faults, row.number)
        elif part is None:
            rows.append((row.number, cells))
        else:
            totals.append((row.number, cells, part))
    return rows, totals


def name_lost_digits(
    faults: Faults, at: Mapping[str, int | None], lost: Mapping[int, tuple[int, str]]
) -> None:
    """Name the first number of each column that is used (`at`) whose last digits are gone (`lost`)."""
    for place in at.values():
        if place is not None and place in lost:
            row_fault(
                "row {row}: {given} is a number of more than 15 digits, whose last ones the spreadsheet "
                "has lost: make the column text and enter it again",
                faults, lost[place][0], given=lost[place][1],
            )  # fmt: skip


WIDER = "row {row}: it has more cells than there are headings; is a comma outside quotation marks?"


def of_a_part(cells: Iterable[str | None], day: str, names: Iterable[str]) -> bool | None:
    """Whether a total is that of a part; None for a row that is no line of totals."""
    if day_of(day) is not None or any(one and _word(one) is None for one in names):
        return None
    words = {_word(cell) for cell in cells if cell} - {None}
    return None if not words else words == {True}


def _word(cell: str) -> bool | None:
    plain = re.sub(r"[\s:：]", "", cell).lower()
    return True if plain in SUBTOTALS else False if plain in TOTALS else None


def _compare(
    faults: Faults, rows: Sequence[tuple[int, dict[str, str]]],
    totals: Sequence[tuple[int, dict[str, str], bool]], columns: Sequence[str],
) -> None:  # fmt: skip
    for column in columns:
        check_totals(
            faults, [(row, cells[column], part) for row, cells, part in totals],
            [row for row, _ in rows], [amount_fen(cells[column] or "0") or 0 for _, cells in rows],
        )  # fmt: skip


def check_totals(
    faults: Faults,
    totals: Iterable[tuple[int, str, bool]],
    rows: Sequence[int],
    amounts: Iterable[int],
) -> None:
    """Name each total (row, what it says, of a part) that is not the sum of the rows, in fen.

    A total is that of all rows, that of a part (小计) of those since the one before.
    """
    running = [0, *accumulate(amounts)]
    if running[-1] > MAX_FEN:
        faults.name_fault("the amounts come to more than {most} yuan", most=yuan(MAX_FEN))
        return
    since = 0
    for row, given, part in totals:
        at = bisect_left(rows, row) if part else len(rows)
        due = running[at] - (running[since] if part else 0)
        since = at if part else since
        if given and amount_fen(given, most=MAX_FEN) != due:
            row_fault("row {row}: the total {given} is not the sum of the rows, {due}", faults, row,
                      given=given, due=yuan(due))  # fmt: skip


def refuse(faults: Faults, name: str) -> None:
    """Raise Invalid with the first of the faults of a file by their rows, where there are any."""
    if not faults:
        return
    told, more = faults.by_row().first(FAULTS_MAX)
    if more:
        told.name_fault("and {count} more", count=more)
    raise Invalid("{name} cannot be used: {faults}.", name=name, faults=told)
