"""Trial balance (试算平衡表): of each account and party what stood, moved and stands; totals are equal.

opening (debit | credit)  +  debits, credits of the days  =  closing (debit | credit)
"""

from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Any

from sqlalchemy import case, false, func, select
from sqlalchemy.orm import Session

from ledger.books import ACCOUNTS, EntryLine
from ledger.errors import Conflict, Invalid
from ledger.parties import Party
from ledger.spreadsheet import Workbook, cached

COLUMNS = ("opening_debit_fen", "opening_credit_fen", "debit_fen", "credit_fen", "closing_debit_fen",
           "closing_credit_fen")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One account of one party, in whole fen; the opening and closing stand on the side they lie on."""

    account: str
    party: str
    party_name: str
    opening_fen: int
    debit_fen: int
    credit_fen: int

    @property
    def closing_fen(self) -> int:
        """Debit minus credit at the end."""
        return self.opening_fen + self.debit_fen - self.credit_fen

    def amounts(self) -> tuple[int, ...]:
        """In the order of `COLUMNS`."""
        return (
            max(self.opening_fen, 0), max(-self.opening_fen, 0), self.debit_fen, self.credit_fen,
            max(self.closing_fen, 0), max(-self.closing_fen, 0),
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        return {
            "account": self.account, "party": self.party, "party_name": self.party_name,
            **dict(zip(COLUMNS, self.amounts(), strict=True)),
        }  # fmt: skip


def trial_balance(
    session: Session, book_id: str | None = None, from_on: str | None = None,
    until_on: str | None = None,
) -> list[Row]:  # fmt: skip
    """The rows of a book (or of all) over days, in the accounts' order; without days, from first to last.

    Raises Conflict where the sides differ, which the database does not let happen.
    """
    if from_on is not None and until_on is not None and from_on > until_on:
        raise Invalid("The period ends before it begins.")
    names = dict(session.execute(select(Party.uscc, Party.name)).tuples().all())
    rows = [
        Row(account, party, names.get(party, ""), int(opening), int(debit), int(credit))
        for account, party, opening, debit, credit in session.execute(
            _sums(book_id, from_on, until_on)
        )
    ]
    totals = totals_of(rows)
    for debit, credit in zip(totals[::2], totals[1::2], strict=True):
        if debit != credit:
            raise Conflict(
                "The trial balance does not balance: {debit} ≠ {credit} fen. Run the audit.",
                debit=debit, credit=credit,
            )  # fmt: skip
    return rows


def totals_of(rows: list[Row]) -> tuple[int, ...]:
    """The sums of all rows, in the order of `COLUMNS`."""
    return tuple(map(sum, zip(*(row.amounts() for row in rows), strict=True))) or (0,) * len(
        COLUMNS
    )


def write_trial_balance(rows: list[Row], title: str, target: BytesIO) -> None:
    """The table as a workbook, in yuan; closings and totals are live formulas over what was written."""
    with Workbook(target) as book:
        page = book.sheet("试算平衡 Trial balance", 2)
        page.write_string(0, 0, title, book.bold)
        for column, (heading, width) in enumerate(HEADINGS):
            page.set_column(column, column, width)
            page.write_string(2, column, heading, book.head)
        first = 4
        for line, row in enumerate(rows, start=first):
            known = (row.account, ACCOUNTS[row.account].en, row.party, row.party_name)
            for column, text in enumerate(known):
                page.write_string(line - 1, column, text, book.text)
            amounts = row.amounts()
            for column, fen in enumerate(amounts[:4], start=4):
                page.write_number(line - 1, column, fen / 100, book.yuan)
            stood = f"E{line}-F{line}+G{line}-H{line}"
            for column, sign, fen in ((8, "", amounts[4]), (9, "-", amounts[5])):
                formula = f"=ROUND(MAX({sign}({stood}),0),2)"
                page.write_formula(line - 1, column, formula, book.yuan, cached(Fraction(fen, 100)))
        end = first + len(rows)
        page.write_string(end - 1, 0, "合计 Total", book.bold)
        for letter, fen in zip("EFGHIJ", totals_of(rows), strict=True):
            formula = f"=SUM({letter}{first}:{letter}{end - 1})" if rows else "=0"
            page.write_formula(f"{letter}{end}", formula, book.yuan, cached(Fraction(fen, 100)))
        page.freeze_panes(3, 1)


def _sums(book_id: str | None, from_on: str | None, until_on: str | None) -> Any:
    fen, day = EntryLine.debit_fen - EntryLine.credit_fen, EntryLine.effective_on
    before: Any = day < from_on if from_on is not None else false()
    opening = func.sum(case((before, fen), else_=0))
    debit, credit = (
        func.sum(case((before, 0), else_=side))
        for side in (EntryLine.debit_fen, EntryLine.credit_fen)
    )
    wanted = select(EntryLine.account, EntryLine.party, opening, debit, credit)
    if book_id is not None:
        wanted = wanted.where(EntryLine.book == book_id)
    if until_on is not None:
        wanted = wanted.where(day <= until_on)
    keys = EntryLine.account, EntryLine.party
    return wanted.group_by(*keys).order_by(*keys)


HEADINGS = (
    ("科目 Account", 22), ("", 24), ("往来单位代码 Party", 22), ("名称 Name", 34),
    ("期初借方 Opening debit", 18), ("期初贷方 Opening credit", 18), ("本期借方 Debits", 18),
    ("本期贷方 Credits", 18), ("期末借方 Closing debit", 18), ("期末贷方 Closing credit", 18),
)  # fmt: skip
