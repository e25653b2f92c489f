"""A book as beancount text, so that an independent program checks it: entries and balances.

    2026-03-02 * "收益分配 FP2026-0001" ^JZ2026-000007
      number: "JZ2026-000007"
      Liabilities:Undistributed            1060.00 CNY
      Liabilities:Payable:91330000X       -1060.00 CNY

Amounts are exact: fen are written as yuan with two decimals, and no tolerance is left for what does not
balance. The balances asserted are those kept on the accounts (`book_accounts`), not the sum of the entries;
so the other program's sums stand against them. An entry and its reversal share a link. What is held stands
as comments: it is not booked.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger import log
from ledger.agreements import Agreement
from ledger.books import (
    ACCOUNTS,
    BANK,
    DUE,
    FEES,
    PAYABLE,
    PREPAID,
    REFUNDS,
    TREASURY,
    UNDISTRIBUTED,
    VAT,
    BookAccount,
    Entry,
    EntryLine,
)
from ledger.holds import Hold
from ledger.parties import Party
from ledger.periods import Period
from ledger.proof.encoding import instant
from ledger.trial_balance import trial_balance
from valuation.money import yuan

ROOTS = {
    BANK: "Assets:Bank", DUE: "Assets:Receivable", UNDISTRIBUTED: "Liabilities:Undistributed",
    PAYABLE: "Liabilities:Payable", TREASURY: "Liabilities:Treasury", PREPAID: "Liabilities:Prepaid",
    VAT: "Liabilities:VAT", REFUNDS: "Liabilities:Refunds", FEES: "Expenses:Finance",
}  # fmt: skip
COMPONENT = re.compile(r"(?!X-)[A-Z0-9][A-Za-z0-9-]*")  # `X-` begins what is spelled in hexadecimal
ENTRIES_AT_ONCE = 5_000


def write_book(session: Session, agreement: Agreement) -> Iterator[str]:
    """The lines of the text, in order, each with its end of line."""
    yield f'option "title" {quoted(f"{agreement.number} {agreement.title}")}\n'
    yield 'option "operating_currency" "CNY"\n'
    yield 'option "tolerance_multiplier" "0"\n\n'
    names = dict(session.execute(select(Party.uscc, Party.name)).tuples().all())
    used = session.execute(
        select(
            EntryLine.account, EntryLine.party, func.min(EntryLine.effective_on),
            func.max(EntryLine.effective_on),
        )
        .where(EntryLine.book == agreement.id)
        .group_by(EntryLine.account, EntryLine.party)
    ).all()  # fmt: skip
    opened = {(account, party): first for account, party, first, _ in used}
    last_day = max((day for *_, day in used), default="")
    for (account, party), day in sorted(opened.items()):
        yield f"{day} open {name_of(account, party)} CNY\n"
        yield f"  account: {quoted(account)}\n"
        if party:
            yield f"  party: {quoted(party)}\n"
            yield f"  name: {quoted(names.get(party, ''))}\n"
    yield "\n"
    yield from _entries(session, agreement.id)
    for period in session.scalars(
        select(Period)
        .where(Period.agreement_id == agreement.id, Period.state == "closed")
        .order_by(Period.until_on)
    ):
        yield f"; {period.number}: {period.from_on} – {period.until_on}\n"
        rows = trial_balance(session, agreement.id, until_on=period.until_on)
        yield from _balances(
            period.until_on, ((row.account, row.party, row.closing_fen) for row in rows)
        )
    if opened:
        standing = session.scalars(select(BookAccount).where(BookAccount.book == agreement.id))
        yield from _balances(last_day, ((a.account, a.party, _debit(a)) for a in standing
                                        if (a.account, a.party) in opened))  # fmt: skip
    for held in session.scalars(
        select(Hold)
        .where(Hold.book_id == agreement.id, Hold.state == "pending")
        .order_by(Hold.number)
    ):
        until = "the bank answers" if held.expires_at is None else instant(held.expires_at)
        yield f"; ! {held.number}, until {until}\n"
        for line in held.lines:
            yield f"; !   {_posting(line)}\n"


def _entries(session: Session, book_id: str) -> Iterator[str]:
    """The transactions, by their number; entries of before are found through their lines."""
    ids = select(EntryLine.entry).where(EntryLine.book == book_id, EntryLine.n == 0)
    wanted = (
        select(Entry, log.Record.leaf_index)
        .join(log.Record, (log.Record.subject_id == Entry.id) & (log.Record.subject_version == 1))
        .where(Entry.id.in_(ids))
        .order_by(Entry.number)
    )
    numbers = dict(
        session.execute(select(Entry.id, Entry.number).where(
            Entry.id.in_(select(Entry.reverses).where(Entry.reverses.is_not(None)))
        )).tuples().all()
    )  # fmt: skip
    found = session.execute(wanted.execution_options(yield_per=ENTRIES_AT_ONCE))
    for entry, leaf in found:
        link = numbers.get(entry.reverses or "", entry.number)
        yield f"{entry.effective_on} * {quoted(entry.memo)} ^{link}\n"
        yield f"  number: {quoted(entry.number)}\n"
        yield f"  cause: {quoted(entry.cause_id)}\n"
        if entry.recorded_at is not None:
            yield f"  recorded_at: {quoted(instant(entry.recorded_at))}\n"
        yield f"  leaf: {leaf}\n"
        for line in entry.lines:
            yield f"  {_posting(line)}\n"
        yield "\n"


def _posting(line: dict[str, object]) -> str:
    fen = int(str(line["debit_fen"])) - int(str(line["credit_fen"]))
    account = name_of(str(line["account"]), str(line["party_id"] or ""))
    return f"{account}  {yuan(fen)} CNY"


def _balances(day: str, rows: Iterable[tuple[str, str, int]]) -> Iterator[str]:
    """What stands at the end of a day; beancount asks at the beginning of the next."""
    after = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    for account, party, fen in sorted(rows):
        yield f"{after} balance {name_of(account, party)}  {yuan(fen)} ~ 0.00 CNY\n"
    yield "\n"


def _debit(account: BookAccount) -> int:
    fen = account.posted_fen
    return fen if ACCOUNTS[account.account].side == "debit" else -fen


def name_of(account: str, party: str) -> str:
    """An account's name as beancount takes it; a code that it would not take is spelled in hexadecimal."""
    if not party:
        return ROOTS[account]
    spelled = party if COMPONENT.fullmatch(party) else f"X-{party.encode().hex()}"
    return f"{ROOTS[account]}:{spelled}"


def quoted(text: str) -> str:
    """A text as a string of beancount's: on one line, quotes and backslashes escaped."""
    line = "".join(one if one.isprintable() else " " for one in text)
    return '"{}"'.format(line.replace("\\", "\\\\").replace('"', '\\"'))
