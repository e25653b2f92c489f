"""A contribution as a workbook: the players with values, shares and what is lost without each.

Of at most eight players a second sheet holds every coalition with its value in a yellow cell; there the
Shapley values follow from the coalitions and their weights by live formulas, and shares and leave-one-out
with them. Of more players the values stand as numbers, and the shares follow from them. Amounts are in
yuan; a cell counts in binary floating point, about fifteen digits.
"""

from fractions import Fraction
from io import BytesIO
from math import comb
from typing import Any

from xlsxwriter.utility import xl_col_to_name

from ledger.spreadsheet import Page, Target, Workbook, cached
from valuation.contribution import WHY_THEY_DIFFER, Contribution

COALITIONS = "联盟 Coalitions"
FIRST = 5  # the row of the first player, and of nobody among the coalitions; rows count from 0
HEADINGS = (
    ("参与方 Player", 40),
    ("沙普利值(元) Shapley value (yuan)", 26),
    ("份额 Share", 20),
    ("去一损失(元) Leave-one-out (yuan)", 26),
    ("去一份额 Leave-one-out share", 20),
)
HOW = {
    "exact": "精确值，全部联盟 Exact, of all coalitions",
    "closed": "精确值，按用途求和 Exact, summed over the uses",
    "sampled": "抽样估计 Sampled",
}


def write_contribution(outcome: Contribution, target: Target) -> None:
    """Write a contribution to a path or a `BytesIO`."""
    with Workbook(target) as book:
        page = book.book.add_worksheet("贡献 Contribution", Page)
        cells = _coalitions(book, outcome) if outcome.stated else None
        _players(book, page, outcome, cells)


def to_bytes(outcome: Contribution) -> bytes:
    """The workbook as a file."""
    target = BytesIO()
    write_contribution(outcome, target)
    return target.getvalue()


def _players(
    book: Workbook, page: Any, outcome: Contribution, cells: list[tuple[str, str]] | None
) -> None:
    """A row for each player; `cells` are the formulas of value and leave-one-out where coalitions stand."""
    told = HOW[outcome.how]
    if outcome.bound_fen is not None:
        told += (
            f"；以99%的把握各值误差不超过{outcome.bound_fen}分 "
            f"With 99 % confidence each value is off by at most {outcome.bound_fen} fen"
        )
    page.write_string(0, 0, "贡献 Contribution", book.bold)
    page.write_string(1, 0, told)
    page.write_string(2, 0, f"注 Note: {WHY_THEY_DIFFER.zh} / {WHY_THEY_DIFFER.en}")
    book._headings(page, HEADINGS, FIRST - 1)
    last = FIRST + len(outcome.values)
    for k, name in enumerate(outcome.values):
        row = FIRST + k
        page.write_string(row, 0, name, book.text)
        for column, value, form in (
            (1, outcome.values[name] / 100, 0),
            (3, outcome.lost[name] / 100, 1),
        ):
            if cells is None:
                page.write_number(row, column, cached(value), book.marked)
            else:
                page.write_formula(row, column, cells[k][form], book.number, cached(value))
        for column, of, shares in ((2, "B", outcome.shares), (4, "D", outcome.lost_shares)):
            among = f"{of}${FIRST + 1}:{of}${last}"
            text = f'=IF(SUMIF({among},">0")>0,MAX(0,{of}{row + 1})/SUMIF({among},">0"),"")'
            page.write_formula(
                row, column, text, book.number, cached(shares[name]) if shares else ""
            )
    page.write_string(last, 0, "合计 Total", book.bold)
    for column, value in ((1, outcome.total / 100), (2, Fraction(1))):
        letter = "ABCDE"[column]
        text = f"=SUM({letter}{FIRST + 1}:{letter}{last})"
        page.write_formula(last, column, text, book.number, cached(value))
    page.freeze_panes(FIRST, 1)


def _coalitions(book: Workbook, outcome: Contribution) -> list[tuple[str, str]]:
    """The sheet of all coalitions; returns of each player the formulas of its value and leave-one-out."""
    names = list(outcome.values)
    n, count = len(names), len(outcome.stated)
    page = book.book.add_worksheet(COALITIONS, Page)
    page.write_string(0, 0, "联盟价值与权重 Values and weights of coalitions", book.bold)
    page.write_string(
        1,
        0,
        "黄色单元格可以修改，其余随之重算。 Yellow cells can be changed, and all else follows.",
    )
    page.write_string(
        2, 0,
        "φ = Σ 成员权重·价值 − Σ 非成员权重·价值；成员权重 = (s−1)!(n−s)!/n!，非成员权重 = s!(n−1−s)!/n!"
        "。 A member's weight is (s−1)!(n−s)!/n!, another's s!(n−1−s)!/n!; s: how many, n: all.",
    )  # fmt: skip
    headings = (
        ("成员 Members", 40), ("价值(元) Value (yuan)", 18), ("人数 s", 8),
        ("成员权重 Weight of a member", 18), ("非成员权重 Weight of another", 18),
        *((name, 12) for name in names),
    )  # fmt: skip
    book._headings(page, headings, FIRST - 1)
    columns = [xl_col_to_name(5 + i) for i in range(n)]
    for coalition, value in enumerate(outcome.stated):
        row = FIRST + coalition
        inside = [coalition >> i & 1 for i in range(n)]
        size = sum(inside)
        called = ", ".join(name for name, there in zip(names, inside, strict=True) if there)
        page.write_string(row, 0, called or "(无 nobody)", book.text)
        form = book.marked if coalition else book.number
        page.write_number(row, 1, cached(value / 100), form)
        text = f"=SUM({columns[0]}{row + 1}:{columns[-1]}{row + 1})"
        page.write_formula(row, 2, text, book.number, size)
        s = f"C{row + 1}"
        weights = (_weight(size - 1, n), _weight(size, n))
        text = f"=IF({s}=0,0,FACT({s}-1)*FACT({n}-{s})/FACT({n}))"
        page.write_formula(row, 3, text, book.number, weights[0])
        text = f"=IF({s}={n},0,FACT({s})*FACT({n}-1-{s})/FACT({n}))"
        page.write_formula(row, 4, text, book.number, weights[1])
        for i, there in enumerate(inside):
            page.write_number(row, 5 + i, there, book.number)
    page.freeze_panes(FIRST, 1)

    def column(letter: str) -> str:
        return f"'{COALITIONS}'!{letter}${FIRST + 1}:{letter}${FIRST + count}"

    made = []
    for i in range(n):
        one = column(columns[i])
        mean = (
            f"=SUMPRODUCT({column('B')},{one},{column('D')})"
            f"-SUMPRODUCT({column('B')},1-{one},{column('E')})"
        )
        without = FIRST + count - (1 << i)
        lost = f"='{COALITIONS}'!$B${FIRST + count}-'{COALITIONS}'!$B${without}"
        made.append((mean, lost))
    return made


def _weight(size: int, n: int) -> int | float:
    """size! (n - 1 - size)! / n!, 0 where there is no such size."""
    return cached(Fraction(1, n * comb(n - 1, size))) if 0 <= size < n else 0
