"""What the finance department reads of an agreement: its periods, what came in, and the rows behind it.

Pure reading. A *span* is what one period, or one statement, is about, by numbers and days alone::

    rows numbered up to through_n and of days up to until_on, without those of the span before:
    own     day > since_on               traded in the span
    late    day ≤ since_on, n > since_n  entered after the span before was closed

so the own and late rows of an agreement's periods are all its rows, each once. Each of the two is one range
of an index, and a page of them is read from where the last one ended (keyset).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, select, text, true, tuple_, union_all
from sqlalchemy.orm import Session

from ledger import books, statements
from ledger.agreements import Agreement
from ledger.books import BookAccount, Entry, EntryLine
from ledger.confirmations import Confirmation, Trade
from ledger.coverage import Reach
from ledger.errors import Invalid, Missing
from ledger.payout_rows import Payout, PayoutLine
from ledger.periods import Period
from ledger.refunds import Refund
from ledger.settlements import Settlement
from ledger.statements import STANDS, Statement
from ledger.trading import Licence, Payment
from ledger.trial_balance import Row as BalanceRow
from ledger.trial_balance import trial_balance
from valuation.differences import Takings

PARTS = ("own", "late")
ROWS_AT_ONCE = 2_000
ENDS_TOLD = 6  # so many last days are named where there is no period of a day
TRADES = ("payment", "trade")  # the kinds of settlement that are not refunds
OF_PAYEES = (books.PAYABLE, books.TREASURY)


@dataclass(frozen=True)
class Span:
    """The settlements of a period or statement; `through_n` None where it is not closed yet."""

    agreement_id: str
    from_on: str
    until_on: str
    through_n: int | None
    since_on: str
    since_n: int

    def part(self, name: str) -> ColumnElement[bool]:
        """The rows traded in the span (own), or those entered too late for the span before (late)."""
        mine = Settlement.agreement_id == self.agreement_id
        if self.through_n is not None:
            mine = and_(mine, Settlement.n <= self.through_n)
        if name == "late":
            return and_(mine, Settlement.n > self.since_n, Settlement.day <= self.since_on)
        return and_(mine, Settlement.day > self.since_on, Settlement.day <= self.until_on)


@dataclass(frozen=True)
class Sum:
    """How many rows, and what they come to, in fen; refunds are below nought."""

    count: int = 0
    amount_fen: int = 0
    vat_fen: int = 0
    net_fen: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(
            self.count + other.count, self.amount_fen + other.amount_fen,
            self.vat_fen + other.vat_fen, self.net_fen + other.net_fen,
        )  # fmt: skip


@dataclass(frozen=True)
class Account:
    """What came in over a span: sums by part and kind, and by day and kind for the span's own days."""

    by_kind: dict[tuple[str, str], Sum]
    by_day: dict[tuple[str, str], Sum]

    def of(self, part: str | None = None, *kinds: str) -> Sum:
        """The sum of a part, or both, and of some kinds, or all."""
        return sum(
            (one for (at, kind), one in self.by_kind.items()
             if part in (None, at) and (not kinds or kind in kinds)),
            Sum(),
        )  # fmt: skip

    def takings(self) -> Takings:
        """What a comparison asks: the span's own trades and refunds, and what came late, net of VAT."""
        own = self.of("own", *TRADES)
        refunds, late = self.of("own", "refund"), self.of("late")
        return Takings(own.count, own.net_fen, refunds.net_fen, late.net_fen)


@dataclass(frozen=True)
class Row:
    """A settlement with what it came from: the bank's reference, a refund's or a confirmation's number.

    `order` is the licence's order, or the exchange and its own number of the trade.
    """

    n: int
    day: str
    kind: str
    amount_fen: int
    vat_fen: int
    net_fen: int
    source_id: str
    row: int
    reference: str
    order: str


@dataclass(frozen=True)
class Paid:
    """What the bank paid to a payee, or what of it came back (below nought), on the bank's day."""

    day: str
    serial: str
    came_back: int
    payout: str
    party: str
    account: str
    amount_fen: int
    reference: str

    @property
    def cursor(self) -> str:
        """Where a page ended."""
        return f"{self.day}.{self.serial}.{self.came_back}"


@dataclass(frozen=True)
class Posted:
    """A line on an account, with its entry, and what stands on the account after it (its normal side)."""

    entry: Entry
    n: int
    party: str
    on: str
    debit_fen: int
    credit_fen: int
    stands_fen: int

    @property
    def cursor(self) -> str:
        """Where a page ended."""
        return f"{self.on}.{self.entry.id}.{self.n}"


def marks(session: Session, agreement: Agreement) -> list[tuple[str, str, int]]:
    """Every closing of an agreement, the oldest first: first day, last day, how far the numbers had come.

    Where no period was closed (before there were any), a statement's days and payments say so.
    """
    closed = [
        (one.from_on, one.until_on, one.through_n)
        for one in session.scalars(
            select(Period).where(Period.agreement_id == agreement.id, Period.state == "closed")
        )
    ]
    known = {until for _, until, _ in closed}
    for statement in session.scalars(
        select(Statement).where(Statement.agreement_id == agreement.id, STANDS)
    ):
        if statement.until_on not in known:
            through = statements.reach_of(session, statement).through_n
            closed.append((statement.from_on, statement.until_on, through))
    return sorted(closed, key=lambda mark: mark[1])


def span(
    session: Session, agreement: Agreement, today: date, until_on: str = "", since_on: str | None = None
) -> Span:  # fmt: skip
    """The span that ends on a day: a closed period's, or without a day the one still open.

    `since_on` is the last day of the span before where that is not the period before: a statement's
    goes back to the last statement that stands. Raises Missing where no period ended on one of the days.
    """
    closed = marks(session, agreement)
    ends = {until: n for _, until, n in closed}
    for day in (until_on, since_on):
        if day and day not in ends:
            raise Missing(
                "No period of agreement {number} ended on {day}; the last ones ended on: {days}.",
                number=agreement.number, day=day, days=", ".join(sorted(ends)[-ENDS_TOLD:]) or "-",
            )  # fmt: skip
    earlier = [until for until in ends if not until_on or until < until_on]
    since = since_on if since_on is not None else max(earlier, default="")
    begin = next((start for start, until, _ in closed if until == until_on), agreement.from_on)
    if since:
        begin = (date.fromisoformat(since) + timedelta(days=1)).isoformat()
    if not until_on:
        return Span(
            agreement.id, begin, max(today.isoformat(), begin), None, since, ends.get(since, 0)
        )
    return Span(agreement.id, begin, until_on, ends[until_on], since, ends.get(since, 0))


def statement_span(session: Session, statement: Statement) -> Span:
    """The span of what a statement distributes: since the last one that stood before it."""
    if statement.covers is not None:
        told = statement.covers["after"]
        after = Reach(told["through_n"], told["until_on"])
    else:
        agreement = session.get_one(Agreement, statement.agreement_id)
        after = statements.reach_of(
            session, statements.previous(session, agreement, statement.from_on)
        )
    through = statements.reach_of(session, statement).through_n
    return Span(
        statement.agreement_id, statement.from_on, statement.until_on, through, after.until_on,
        after.through_n,
    )  # fmt: skip


def account(session: Session, over: Span) -> Account:
    """Sum up a span by part and kind, and its own days by kind; a row is read once, in its order."""
    day, n = Settlement.day, Settlement.n
    mine = Settlement.agreement_id == over.agreement_id
    up_to = n <= over.through_n if over.through_n is not None else true()
    entered_since = and_(
        mine, n > over.since_n, up_to, day.op("||")("") <= over.until_on
    )  # by number: no index of days is asked
    entered_before = and_(mine, n <= over.since_n, day > over.since_on, day <= over.until_on)
    by_day: dict[tuple[str, str], Sum] = {}
    by_kind: dict[tuple[str, str], Sum] = {}
    for where in (entered_before, entered_since):
        for on, kind, *sums in session.execute(
            select(
                day, Settlement.kind, func.count(), func.sum(Settlement.amount_fen),
                func.sum(Settlement.vat_fen), func.sum(Settlement.net_fen),
            ).where(where).group_by(day, Settlement.kind)
        ):  # fmt: skip
            part, found = "own" if on > over.since_on else "late", Sum(*map(int, sums))
            by_kind[part, kind] = by_kind.get((part, kind), Sum()) + found
            if part == "own":
                by_day[on, kind] = by_day.get((on, kind), Sum()) + found
    return Account(by_kind, dict(sorted(by_day.items())))


def rows(
    session: Session, over: Span, part: str, *, kind: str = "", day: str = "", after: str = "",
    limit: int | None,
) -> Iterator[Row]:  # fmt: skip
    """The rows of a part in their order (own by day and number, late by number), after a cursor."""
    wanted: Any = (
        select(
            Settlement.n, Settlement.day, Settlement.kind, Settlement.amount_fen, Settlement.vat_fen,
            Settlement.net_fen, Settlement.source_id, Settlement.row,
            func.coalesce(Payment.reference, Refund.number, Confirmation.number, ""),
            func.coalesce(Licence.order_reference, Trade.trade, ""),
        )
        .outerjoin(Payment, Payment.id == Settlement.source_id)
        .outerjoin(Licence, Licence.id == Payment.licence_id)
        .outerjoin(Refund, Refund.id == Settlement.source_id)
        .outerjoin(Confirmation, Confirmation.id == Settlement.source_id)
        .outerjoin(Trade, and_(Trade.batch == Confirmation.no, Trade.n == Settlement.row))
    )  # fmt: skip
    if kind:
        wanted = wanted.where(Settlement.kind == kind)
    if day:
        wanted = wanted.where(Settlement.day == day)
    order = (Settlement.n,) if part == "late" else (Settlement.day, Settlement.n)
    wanted = wanted.order_by(*order)
    ranges: list[tuple[Span, ColumnElement[bool]]] = [(over, true())]
    if after:
        on, n = _cursor(after)
        rest_of_day = and_(Settlement.day == on, Settlement.n > n)
        ranges = (
            [(replace(over, since_n=max(n, over.since_n)), true())]
            if part == "late"
            else [(over, rest_of_day), (replace(over, since_on=max(on, over.since_on)), true())]
        )  # each begins where an index can, not behind what a bound more would leave out
    left = limit
    if limit is None:  # all of them: the database hands them out some at a time
        wanted = wanted.execution_options(yield_per=ROWS_AT_ONCE)
        if session.get_bind().dialect.name == "postgresql":
            # Else a cursor begins with what gives the first row soonest: of tables that were empty when
            # they were last counted, a scan of all trades for each row.
            session.execute(text("SET LOCAL enable_nestloop = off"))
    for some, where in ranges:
        for one in session.execute(wanted.where(some.part(part), where).limit(left)):
            left = None if left is None else left - 1
            yield Row(*one)


def cursor(row: Row) -> str:
    """Where a page ended."""
    return f"{row.day}.{row.n}"


def movements(
    session: Session, book_id: str, from_on: str, until_on: str, *, by_party: bool = False
) -> list[dict[str, Any]]:  # fmt: skip
    """The trial balance of a period, each account on its normal side; also what stands and is held now."""
    stands: dict[tuple[str, str], tuple[int, int]] = {}
    for one in session.scalars(select(BookAccount).where(BookAccount.book == book_id)):
        stands[one.account, one.party] = one.posted_fen, one.held_fen
    rows = {
        (row.account, row.party): row
        for row in trial_balance(session, book_id, from_on or None, until_on or None)
    }
    made: dict[tuple[str, str], dict[str, Any]] = {}
    for account_of, party in sorted({*rows, *stands}):
        row = rows.get((account_of, party)) or BalanceRow(account_of, party, "", 0, 0, 0)
        posted, aside = stands.get((account_of, party), (0, 0))
        sign = 1 if books.ACCOUNTS[account_of].side == "debit" else -1
        key = (account_of, party if by_party else "")
        known = made.setdefault(key, {
            "account": account_of, "party": key[1] or None,
            **dict.fromkeys(("closing_fen", "credit_fen", "debit_fen", "held_fen", "opening_fen",
                             "posted_fen"), 0),
        })  # fmt: skip
        for name, fen in (
            ("opening_fen", sign * row.opening_fen), ("closing_fen", sign * row.closing_fen),
            ("debit_fen", row.debit_fen), ("credit_fen", row.credit_fen), ("posted_fen", posted),
            ("held_fen", aside),
        ):  # fmt: skip
            known[name] += fen
    return list(made.values())


def ledger_of(
    session: Session, agreement: Agreement, name: str, party: str | None, *, from_on: str = "",
    until_on: str = "", after: str = "", limit: int,
) -> tuple[int, list[Posted]]:  # fmt: skip
    """An account's lines in their order (day, entry), after a cursor, and what stood on it before them.

    Without a party, of an account that each party has its own of: all of them.
    """
    mine = and_(EntryLine.book == agreement.id, EntryLine.account == name)
    if party is not None:
        mine = and_(mine, EntryLine.party == party)
    place = tuple_(EntryLine.effective_on, EntryLine.entry, EntryLine.n)
    before = EntryLine.effective_on < from_on
    if after:
        day, _, rest = after.partition(".")
        entry_id, _, n = rest.partition(".")
        if not n.isdecimal():
            raise Invalid("The cursor {given} is none that a page gave.", given=after)
        before = place <= tuple_(literal(day), literal(entry_id), literal(int(n)))
    sums = func.coalesce(func.sum(EntryLine.debit_fen - EntryLine.credit_fen), 0)
    sign = 1 if books.ACCOUNTS[name].side == "debit" else -1
    stood = sign * int(session.scalar(select(sums).where(mine, before)) or 0)
    wanted = (
        select(EntryLine, Entry)
        .join(Entry, Entry.id == EntryLine.entry)
        .where(mine, ~before)
        .order_by(EntryLine.effective_on, EntryLine.entry, EntryLine.n)
        .limit(limit)
    )
    if until_on:
        wanted = wanted.where(EntryLine.effective_on <= until_on)
    made, stands = [], stood
    for line, entry in session.execute(wanted):
        stands += sign * (line.debit_fen - line.credit_fen)
        made.append(
            Posted(
                entry,
                line.n,
                line.party,
                line.effective_on,
                line.debit_fen,
                line.credit_fen,
                stands,
            )
        )
    return stood, made


def paid(
    session: Session, agreement: Agreement, from_on: str, until_on: str, *, account: str = "",
    party: str = "", after: str = "", limit: int,
) -> list[Paid]:  # fmt: skip
    """What the bank paid to payees on the days of a span, and what came back, by day; after a cursor.

    The day is the bank's: an entry stands on a later one where the books of that day were closed.
    """
    rows = _bank_rows(agreement, from_on, until_on, account, party)
    place = tuple_(rows.c.day, rows.c.serial, rows.c.came_back)
    wanted = select(rows).order_by(rows.c.day, rows.c.serial, rows.c.came_back).limit(limit)
    if after:
        day, serial, came_back = (*after.split("."), "", "")[:3]
        if came_back not in ("0", "1"):
            raise Invalid("The cursor {given} is none that a page gave.", given=after)
        wanted = wanted.where(
            place > tuple_(literal(day), literal(serial), literal(int(came_back)))
        )
    return [Paid(*one) for one in session.execute(wanted)]


def paid_sums(
    session: Session, agreement: Agreement, from_on: str, until_on: str, *, account: str = "",
    party: str = "",
) -> dict[tuple[str, str], int]:  # fmt: skip
    """What was paid on those days, less what came back on them, in fen: (account, party) → sum."""
    rows = _bank_rows(agreement, from_on, until_on, account, party)
    wanted = select(rows.c.account, rows.c.party, func.sum(rows.c.amount_fen))
    return {
        (name, whose): int(fen)
        for name, whose, fen in session.execute(wanted.group_by(rows.c.account, rows.c.party))
    }


def _bank_rows(agreement: Agreement, from_on: str, until_on: str, account: str, party: str) -> Any:
    """Payments and returns as rows of `Paid`."""
    line = PayoutLine
    sides = []
    for came_back, day, sign, reference in (
        (0, line.paid_on, 1, line.bank_reference), (1, line.returned_on, -1, line.return_reference),
    ):  # fmt: skip
        side = (
            select(
                day.label("day"), line.serial, literal(came_back).label("came_back"),
                Payout.number.label("payout"), line.party, line.account,
                (sign * line.amount_fen).label("amount_fen"),
                func.coalesce(reference, "").label("reference"),
            )
            .join(Payout, Payout.id == line.payout_id)
            .where(
                Payout.agreement_id == agreement.id, day >= from_on, day <= until_on,
                line.account.in_([account] if account else OF_PAYEES),
            )
        )  # fmt: skip
        sides.append(side.where(line.party == party) if party else side)
    return union_all(*sides).subquery()


def _cursor(text: str) -> tuple[str, int]:
    day, _, n = text.partition(".")
    if not n.isdecimal():
        raise Invalid("The cursor {given} is none that a page gave.", given=text)
    return day, int(n)
