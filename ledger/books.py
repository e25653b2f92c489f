"""Double-entry books (账簿): entries whose debits equal their credits, never edited, reversed by a link.

Each agreement has a book of its own (单独核算, 发改价格〔2025〕65号). An entry has a cause, and only what
`CAUSES` names can be one: since 财会〔2025〕33号 an appraised value is disclosed beside the books and never
enters them.

    statement posted    Dr 2202 待分配收入      Cr 2203.<party> 应付分配款

The database itself refuses to edit or delete an entry or to take one that does not balance, and writes the
lines of each (`entry_lines`); what stands on each account is kept along (`book_accounts`), under the
account's limits. Whatever books takes its own rows' locks first, then `begin`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Index,
    String,
    Table,
    bindparam,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, log, periods
from ledger.agreements import Agreement
from ledger.calendar import SHANGHAI, local_date
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.proof.encoding import instant, sha256
from ledger.store import (
    Base,
    Evidence,
    as_driven,
    canonical_fast,
    hold,
    keeping_all,
    new_id,
    new_ids,
    next_number,
    next_numbers,
    put_rows,
)
from valuation.money import yuan

BANK = "1002 银行存款"
DUE = "1122 应收账款"
UNDISTRIBUTED = "2202 待分配收入"
PAYABLE = "2203 应付分配款"
TREASURY = "2204 应缴财政款"
PREPAID = "2205 预收账款"
VAT = "2221 应交增值税"
REFUNDS = "2241 应付退款"
FEES = "6603 财务费用"
CAUSES = (
    "statement", "payment", "order", "remittance", "refund", "confirmation", "hold", "journal",
)  # fmt: skip
LINE_FEN_MAX = 10**15
ASKED_AT_ONCE = 500


@dataclass(frozen=True)
class AccountKind:
    """What an account is: its name, its normal side, whether each party has its own, and its floor."""

    en: str
    side: str
    per_party: bool
    floor_fen: int | None = None
    """below which it never falls; None where late refunds and reversals may take it below nought"""


ACCOUNTS: dict[str, AccountKind] = {
    BANK: AccountKind("Bank", "debit", False, 0),
    DUE: AccountKind("Receivable", "debit", True),
    UNDISTRIBUTED: AccountKind("Revenue to distribute", "credit", False),
    PAYABLE: AccountKind("Shares payable", "credit", True),
    TREASURY: AccountKind("Due to the treasury", "credit", True),
    PREPAID: AccountKind("Received in advance", "credit", True, 0),
    VAT: AccountKind("VAT payable", "credit", False),
    REFUNDS: AccountKind("Refunds payable", "credit", True, 0),
    FEES: AccountKind("Bank fees and interest", "debit", False),
}

Line = Mapping[str, Any]
Key = tuple[str, str]  # account, party or ""
_NO_REVERSAL, _REVERSAL = text("reverses IS NULL"), text("reverses IS NOT NULL")
LINE_KEYS = {"account", "credit_fen", "debit_fen", "party_id"}


class Entry(Evidence):
    """A booking: its lines [{"account", "party_id", "debit_fen", "credit_fen"}] balance to the fen.

    Entries of before say nothing of book, key, digest and times: their book is their statement's agreement.
    """

    __tablename__ = "entries"
    __table_args__ = (
        Index("entries_once", "cause_id", "cause_key", unique=True, sqlite_where=_NO_REVERSAL,
              postgresql_where=_NO_REVERSAL),
        Index("entries_reversing", "reverses", unique=True, sqlite_where=_REVERSAL,
              postgresql_where=_REVERSAL),
    )  # fmt: skip
    subject_type = "entry"
    number: Mapped[str] = mapped_column(unique=True)
    cause_id: Mapped[str] = mapped_column(String(36))
    effective_on: Mapped[str]
    memo: Mapped[str]
    lines: Mapped[list[Any]]
    reverses: Mapped[str | None] = mapped_column(String(36))
    cause_key: Mapped[str | None]
    book_id: Mapped[str | None] = mapped_column(String(36))
    body_digest: Mapped[str | None]
    recorded_at: Mapped[datetime | None]
    effective_at: Mapped[datetime | None]


class EntryLine(Base):
    """A line of an entry, from 0; the database writes it with the entry (operational: derived from it)."""

    __tablename__ = "entry_lines"
    __table_args__ = (
        CheckConstraint(
            f"debit_fen BETWEEN 0 AND {LINE_FEN_MAX} AND credit_fen BETWEEN 0 AND {LINE_FEN_MAX}",
            name="entry_lines_amounts",
        ),
        Index("entry_lines_of_an_account", "book", "account", "party", "effective_on"),
    )
    entry: Mapped[str] = mapped_column(String(36), primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    book: Mapped[str] = mapped_column(String(36))
    account: Mapped[str]
    party: Mapped[str]
    effective_on: Mapped[str]
    debit_fen: Mapped[int] = mapped_column(BigInteger)
    credit_fen: Mapped[int] = mapped_column(BigInteger)


class BookAccount(Base):
    """What stands on an account in its normal side, and what of it is held (operational: derived).

    Its floor is its kind's, or what the limit `limited_by` keeps there (`ledger.limits`).
    """

    __tablename__ = "book_accounts"
    __table_args__ = (
        CheckConstraint("held_fen >= 0", name="book_accounts_held"),
        CheckConstraint("held_fen = 0 OR held_fen <= posted_fen", name="book_accounts_there"),
        CheckConstraint("posted_fen - held_fen >= floor_fen", name="book_accounts_floor"),
    )
    book: Mapped[str] = mapped_column(String(36), primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    party: Mapped[str] = mapped_column(primary_key=True)
    posted_fen: Mapped[int] = mapped_column(BigInteger)
    held_fen: Mapped[int] = mapped_column(BigInteger)
    floor_fen: Mapped[int | None] = mapped_column(BigInteger)
    limited_by: Mapped[str | None]


@dataclass(frozen=True)
class Booking:
    """An entry to be made, by what kind of cause, which one, and which of that cause's entries."""

    cause_type: str
    cause_id: str
    book_id: str
    effective_on: str
    memo: str
    lines: Sequence[Line]
    key: str = ""


def begin(session: Session) -> None:
    """Let bookings come one after the other until this deed is done, so that what is read stays true.

    Deadlocks need two locks in two orders: this one is taken last of a deed's own.
    """
    hold(session, periods.BOOKS)


def post(
    session: Session,
    actor_id: str,
    now: datetime,
    *,
    cause: Evidence,
    key: str = "",
    book_id: str,
    effective_on: str,
    memo: str,
    lines: Sequence[Line],
) -> Entry:
    """Book what a deed caused, once per cause and key; the same once more is the same entry.

    Refused are lines that do not balance, a day in a closed period, an account below its limit, and a
    cause that is none of `CAUSES`, an appraisal before all.
    """
    check_cause(cause)
    begin(session)
    body = [dict(line) for line in lines]
    digest = digest_of(
        book_id=book_id, effective_on=effective_on, key=key, lines=body, memo=memo, reverses=None
    )
    found = entry_of(session, cause.id, key)
    if found is not None:
        same = found.lines == body if found.body_digest is None else found.body_digest == digest
        if not same:
            raise Conflict("Entry {number} booked this otherwise.", number=found.number)
        return found
    return _enter(session, actor_id, now, cause.id, key, book_id, effective_on, memo, body, digest)


def reverse(
    session: Session,
    actor_id: str,
    now: datetime,
    entry: Entry,
    *,
    cause: Evidence,
    effective_on: str,
    memo: str,
) -> Entry:
    """Undo an entry by one with its sides exchanged that is linked to it, once."""
    check_cause(cause)
    begin(session)
    if entry.reverses is not None:
        raise Conflict("Entry {number} is a reversal itself.", number=entry.number)
    body = reversed_lines(entry.lines)
    book_id = book_of(session, entry)
    digest = digest_of(
        book_id=book_id, effective_on=effective_on, key="", lines=body, memo=memo, reverses=entry.id
    )
    found = session.scalar(select(Entry).where(Entry.reverses == entry.id))
    if found is not None:
        if (found.cause_id, found.body_digest) != (cause.id, digest):
            raise Conflict(
                "Entry {number} was reversed by {other}.", number=entry.number, other=found.number
            )
        return found
    return _enter(
        session, actor_id, now, cause.id, "", book_id, effective_on, memo, body, digest, entry.id
    )


@keeping_all()
def post_many(
    session: Session, actor_id: str, now: datetime, bookings: Sequence[Booking]
) -> list[str]:
    """As `post`, of many at once; returns the entries' ids in the order of the bookings."""
    for kind in {booking.cause_type for booking in bookings}:
        _check_kind(kind)
    begin(session)
    known = _known(session, [booking.cause_id for booking in bookings])
    closed = {
        book: periods.closed_until(session, book) for book in {one.book_id for one in bookings}
    }
    ids: list[str | None] = []
    fresh: list[tuple[Booking, list[dict[str, Any]], str]] = []
    moves: dict[str, dict[Key, int]] = defaultdict(lambda: defaultdict(int))
    for booking in bookings:
        body = [dict(line) for line in booking.lines]
        digest = digest_of(
            book_id=booking.book_id, effective_on=booking.effective_on, key=booking.key, lines=body,
            memo=booking.memo, reverses=None,
        )  # fmt: skip
        same = (booking.cause_id, booking.key)
        if same in known:
            found, number, before = known[same]
            if before != digest:
                raise Conflict("Entry {number} booked this otherwise.", number=number)
            ids.append(found)
            continue
        check_lines(body)
        _check_day(booking.effective_on, closed[booking.book_id])
        known[same] = ("", "", digest)
        ids.append(None)
        fresh.append((booking, body, digest))
        for place, fen in moved(body).items():
            moves[booking.book_id][place] += fen
    if not fresh:
        return [one for one in ids if one is not None]
    move_accounts(session, {}, moves)
    made = _put(session, actor_id, now, fresh)
    return [one if one is not None else next(made) for one in ids]


def _known(session: Session, causes: Iterable[str]) -> dict[tuple[str, str], tuple[str, str, str]]:
    """What causes were booked by: id, number and digest by cause and key."""
    asked, found = list(dict.fromkeys(causes)), {}
    for start in range(0, len(asked), ASKED_AT_ONCE):
        for row in session.execute(
            select(
                Entry.id, Entry.number, Entry.cause_id, Entry.cause_key, Entry.body_digest
            ).where(
                Entry.cause_id.in_(asked[start : start + ASKED_AT_ONCE]), Entry.reverses.is_(None)
            )
        ):
            same = (row.cause_id, row.cause_key or "")
            found[same] = (row.id, row.number, row.body_digest or "")
    return found


def _enter(
    session: Session, actor_id: str, now: datetime, cause_id: str, key: str, book_id: str,
    effective_on: str, memo: str, lines: list[dict[str, Any]], digest: str, reverses: str | None = None,
) -> Entry:  # fmt: skip
    check_lines(lines)
    _check_day(effective_on, periods.closed_until(session, book_id))
    move_accounts(session, {}, {book_id: moved(lines)})
    prefix = f"JZ{local_date(now).year}"
    entry = Entry(
        id=new_id(), number=f"{prefix}-{next_number(session, prefix):06d}", cause_id=cause_id,
        effective_on=effective_on, memo=memo, lines=lines, reverses=reverses, cause_key=key,
        book_id=book_id, body_digest=digest, recorded_at=now.replace(microsecond=0),
        effective_at=beginning(effective_on),
    )  # fmt: skip
    log.append(session, entry, "entry.posted", actor_id)
    session.flush()
    return entry


def _put(
    session: Session, actor_id: str, now: datetime,
    fresh: Sequence[tuple[Booking, list[dict[str, Any]], str]],
) -> Iterator[str]:  # fmt: skip
    """Write entries and note their records, all at once; their ids in order."""
    prefix = f"JZ{local_date(now).year}"
    first, ids = next_numbers(session, prefix, len(fresh)), new_ids(len(fresh))
    connection, recorded_at = session.connection(), now.replace(microsecond=0)
    begun = {booking.effective_on: beginning(booking.effective_on) for booking, _, _ in fresh}
    said_at = instant(recorded_at)
    said_begun = {day: instant(at) for day, at in begun.items()}
    put_at = as_driven(connection, _entries, "recorded_at", recorded_at)
    put_begun = {
        day: as_driven(connection, _entries, "effective_at", at) for day, at in begun.items()
    }
    bodies, rows = [], []
    for n, (known, (booking, lines, digest)) in enumerate(zip(ids, fresh, strict=True)):
        number, day = f"{prefix}-{first + n:06d}", booking.effective_on
        body = {
            "body_digest": digest, "book_id": booking.book_id, "cause_id": booking.cause_id,
            "cause_key": booking.key, "effective_at": said_begun[day], "effective_on": day,
            "id": known, "lines": lines, "memo": booking.memo, "number": number,
            "recorded_at": said_at, "reverses": None, "version": 1,
        }  # fmt: skip
        bodies.append((known, 1, canonical_fast(body)))
        rows.append((
            digest, booking.book_id, booking.cause_id, booking.key, put_begun[day], day, known,
            canonical_fast(lines), booking.memo, number, put_at, None, 1,
        ))  # fmt: skip
    put_rows(connection, _entries, _PUT, rows)
    log.append_many(session, Entry.subject_type, "entry.posted", actor_id, bodies)
    return iter(ids)


def beginning(day: str) -> datetime:
    """When a day begins in Shanghai, in UTC."""
    return datetime.combine(date.fromisoformat(day), time(0), SHANGHAI).astimezone(UTC)


def entry_of(session: Session, cause_id: str, key: str = "") -> Entry | None:
    """What a cause was booked by; its reversal is another entry."""
    return session.scalar(
        select(Entry).where(
            Entry.cause_id == cause_id,
            func.coalesce(Entry.cause_key, "") == key,
            Entry.reverses.is_(None),
        )
    )


def book_of(session: Session, entry: Entry) -> str:
    """The book an entry stands in, also where the entry itself does not say."""
    if entry.book_id is not None:
        return entry.book_id
    return session.scalars(
        select(EntryLine.book).where(EntryLine.entry == entry.id, EntryLine.n == 0)
    ).one()


def balance(
    session: Session, book_id: str, account: str, party: str | None = None, on: str | None = None
) -> int:
    """What stands on an account at the end of a day (else of all), in fen of its normal side.

    Without a party, of an account that each party has its own of: all together.
    """
    sides = func.sum(EntryLine.debit_fen - EntryLine.credit_fen)
    wanted = select(func.coalesce(sides, 0)).where(
        EntryLine.book == book_id, EntryLine.account == account
    )
    if party is not None:
        wanted = wanted.where(EntryLine.party == party)
    if on is not None:
        wanted = wanted.where(EntryLine.effective_on <= on)
    fen = int(session.scalar(wanted) or 0)
    return fen if ACCOUNTS[account].side == "debit" else -fen


def limited(session: Session, book_id: str) -> list[BookAccount]:
    """The accounts of a book that a limit keeps something on, in their order."""
    found = session.scalars(
        select(BookAccount)
        .where(BookAccount.book == book_id, BookAccount.limited_by.is_not(None))
        .order_by(BookAccount.account, BookAccount.party)
    )
    return list(found)


def require_free(session: Session, book_id: str, account: str, party: str, fen: int) -> None:
    """Raise Invalid where less is free above an account's floor, for whoever may not know of a limit."""
    begin(session)
    row = session.get(BookAccount, (book_id, account, party), populate_existing=True)
    free = row.posted_fen - row.held_fen - (row.floor_fen or 0) if row else 0
    if free < fen:
        faults = Faults()
        _name_not_free(faults, account, party, free, fen)
        raise Invalid("The accounts do not allow it: {faults}.", faults=faults)


def assert_balance(
    session: Session, book_id: str, account: str, fen: int, *, party: str | None = None,
    on: str | None = None,
) -> None:  # fmt: skip
    """Raise Conflict, naming what stands there, unless an account has a balance at the end of a day."""
    stands = balance(session, book_id, account, party, on)
    if stands != fen:
        raise Conflict(
            "On {account} stand {stands} yuan, not {given}.",
            account=f"{account} {party or ''}".strip(), given=yuan(fen), stands=yuan(stands),
        )  # fmt: skip


def assert_kept(session: Session, book_id: str) -> None:
    """Raise Conflict where what is kept on the accounts is not the fold of the entries."""
    kept = {
        (row.account, row.party or None): row.posted_fen
        if ACCOUNTS[row.account].side == "debit"
        else -row.posted_fen
        for row in session.scalars(select(BookAccount).where(BookAccount.book == book_id))
    }
    if kept != balances(session, book_id):
        raise Conflict("What is kept on the accounts is not the sum of the entries: run the audit.")


def balances(session: Session, book_id: str | None = None) -> dict[tuple[str, str | None], int]:
    """Debit minus credit of each (account, party) of a book or all, as the fold of its entries; sum 0."""
    wanted = select(
        EntryLine.account,
        EntryLine.party,
        func.sum(EntryLine.debit_fen - EntryLine.credit_fen),
    ).group_by(EntryLine.account, EntryLine.party)
    if book_id is not None:
        wanted = wanted.where(EntryLine.book == book_id)
    found = session.execute(wanted.order_by(EntryLine.account, EntryLine.party))
    return {(account, party or None): int(fen) for account, party, fen in found}


# ---------------------------------------------------------------- what an entry must be


def check_cause(cause: Evidence, causes: Sequence[str] = CAUSES) -> None:
    """Raise Invalid unless the cause is of one of these kinds."""
    _check_kind(cause.subject_type, causes)


def _check_kind(kind: str, causes: Sequence[str] = CAUSES) -> None:
    if kind == "appraisal":
        raise Invalid(
            "An appraisal is no basis for booking (财会〔2025〕33号): its value is disclosed beside the "
            "books, which carry cost."
        )
    if kind not in causes:
        raise Invalid("A {kind} is no cause of an entry.", kind=kind)


def check_lines(lines: Sequence[Line]) -> None:
    """Raise Invalid with every fault of an entry's lines."""
    faults = Faults()
    for n, line in enumerate(lines):
        _name_faults(faults, line, f"lines.{n}")
    if not faults:
        debit, credit = (sum(line[side] for line in lines) for side in ("debit_fen", "credit_fen"))
        if debit != credit or not lines:
            raise Invalid(
                "The entry does not balance: {debit} ≠ {credit} fen.", debit=debit, credit=credit
            )
        return
    raise Invalid("The entry breaks: {faults}.", faults=faults)


def _name_faults(faults: Faults, line: Line, at: str) -> None:
    if set(line) != LINE_KEYS:
        faults.name_fault("a line has account, party_id, debit_fen and credit_fen", at=at)
        return
    account, party = line["account"], line["party_id"]
    kind = ACCOUNTS.get(account)
    if kind is None:
        faults.name_fault("there is no account {account}", at=at, account=str(account))
    elif kind.per_party and not (isinstance(party, str) and party):
        faults.name_fault("account {account} is kept for each party", at=at, account=account)
    elif not kind.per_party and party is not None:
        faults.name_fault("account {account} is not kept for each party", at=at, account=account)
    amounts = line["debit_fen"], line["credit_fen"]
    if any(type(fen) is not int or not 0 <= fen <= LINE_FEN_MAX for fen in amounts):
        faults.name_fault("an entry holds whole, non-negative fen", at=at)
    elif all(amounts):
        faults.name_fault("a line is a debit or a credit, not both", at=at)


def _check_day(effective_on: str, closed: str | None) -> None:
    try:
        well = date.fromisoformat(effective_on).isoformat() == effective_on
    except ValueError:
        well = False
    if not well:
        raise Invalid("{day} is no day: write it as 2026-01-31.", day=effective_on)
    if closed is not None and effective_on <= closed:
        raise Conflict(
            "The books are closed until {closed}: nothing is booked on {day} any more.",
            closed=closed, day=effective_on,
        )  # fmt: skip


def linked(session: Session, entry: Entry) -> Entry | None:
    """The entry that an entry reverses, or that reverses it."""
    if entry.reverses is not None:
        return session.get(Entry, entry.reverses)
    return session.scalar(select(Entry).where(Entry.reverses == entry.id))


def owners(session: Session, entry: Entry) -> tuple[str, ...]:
    """Whose business an entry is: both sides' of its agreement."""
    agreement = session.get(Agreement, book_of(session, entry))
    return () if agreement is None else agreements.owners(agreement)


def by_number(session: Session, number: str) -> Entry:
    """The entry with a number; raises Missing."""
    found = session.scalar(select(Entry).where(Entry.number == number))
    if found is None:
        raise Missing("There is no entry {number}.", number=number)
    return found


def require_open(session: Session, book_id: str, effective_on: str) -> None:
    """Raise Conflict where a day is closed in a book."""
    _check_day(effective_on, periods.closed_until(session, book_id))


def digest_of(**facts: Any) -> str:
    """The digest of what is asked to be booked, in its canonical form."""
    return "sha256:" + sha256(canonical_fast(facts)).hex()


# ---------------------------------------------------------------- what stands on the accounts


def moved(lines: Iterable[Line]) -> dict[Key, int]:
    """By how much lines raise each account in its normal side."""
    found: dict[Key, int] = defaultdict(int)
    for line in lines:
        fen = line["debit_fen"] - line["credit_fen"]
        rise = fen if ACCOUNTS[line["account"]].side == "debit" else -fen
        found[line["account"], line["party_id"] or ""] += rise
    return found


def reversed_lines(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """The lines with their sides exchanged."""
    return [
        {**line, "credit_fen": line["debit_fen"], "debit_fen": line["credit_fen"]} for line in lines
    ]


def held(lines: Iterable[Line], times: int = 1) -> dict[Key, int]:
    """What lines would take from each account, net: that is what a hold sets aside."""
    return {key: -rise * times for key, rise in moved(lines).items() if rise < 0}


def move_accounts(
    session: Session,
    holds: Mapping[str, Mapping[Key, int]],
    moves: Mapping[str, Mapping[Key, int]],
) -> None:
    """Raise what is held and what is posted of accounts, all of them in their order or none.

    Raises Invalid naming every account that would fall below its limit or what is held of it.
    """
    changes: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for which, part in enumerate((moves, holds)):
        for book, rises in part.items():
            for (account, party), fen in rises.items():
                changes[book, account, party][which] += fen
    keys = sorted(changes)
    stood: dict[tuple[str, str, str], tuple[int, int, int | None, str | None]] = {}
    for start in range(0, len(keys), ASKED_AT_ONCE):
        part_of = keys[start : start + ASKED_AT_ONCE]
        wanted = (
            select(_accounts).where(tuple_(*_KEY).in_(part_of)).order_by(*_KEY).with_for_update()
        )
        for row in session.execute(wanted):
            stood[row.book, row.account, row.party] = (
                row.posted_fen, row.held_fen, row.floor_fen, row.limited_by
            )  # fmt: skip
    faults, fresh, changed = Faults(), [], []
    for key in keys:
        rise, more = changes[key]
        book, account, party = key
        posted, aside, floor, limit = stood.get(key, (0, 0, ACCOUNTS[account].floor_fen, None))
        row_now = {"posted_fen": posted + rise, "held_fen": aside + more}
        if rise < 0 or more > 0:
            _name_limit(faults, key, posted - aside, **row_now, floor_fen=floor, limit=limit)
        if key in stood:
            changed.append({"of_book": book, "of_account": account, "of_party": party, **row_now})
        else:
            fresh.append(
                {"book": book, "account": account, "party": party, "floor_fen": floor, **row_now}
            )
    if faults:
        raise Invalid("The accounts do not allow it: {faults}.", faults=faults)
    if changed:
        session.connection().execute(_MOVE, changed)
    if fresh:
        session.connection().execute(insert(_accounts), fresh)


def _name_limit(
    faults: Faults, key: tuple[str, str, str], free: int, *, posted_fen: int, held_fen: int,
    floor_fen: int | None, limit: str | None,
) -> None:  # fmt: skip
    _, account, party = key
    asked = free - (posted_fen - held_fen)
    is_below = floor_fen is not None and posted_fen - held_fen < floor_fen
    if floor_fen is not None and is_below and limit is not None:
        faults.name_fault(
            "on {account} {free} yuan are free, {asked} yuan are asked, and limit {limit} keeps {floor} "
            "yuan there: ask the finance department, which alone lifts it by two persons", at="lines",
            account=f"{account} {party}".strip(), asked=yuan(asked), floor=yuan(floor_fen),
            free=yuan(free), limit=limit,
        )  # fmt: skip
    elif is_below or (held_fen and held_fen > posted_fen):
        _name_not_free(faults, account, party, free, asked)


def _name_not_free(faults: Faults, account: str, party: str, free: int, asked: int) -> None:
    faults.name_fault(
        "on {account} {free} yuan are free, {asked} yuan are asked", at="lines",
        account=f"{account} {party}".strip(), free=yuan(free), asked=yuan(asked),
    )  # fmt: skip


_accounts = cast(Table, BookAccount.__table__)
_KEY = (_accounts.c.book, _accounts.c.account, _accounts.c.party)
_MOVE = (
    update(_accounts)
    .where(*(column == bindparam(f"of_{column.name}") for column in _KEY))
    .values(posted_fen=bindparam("posted_fen"), held_fen=bindparam("held_fen"))
)
_entries = cast(Table, Entry.__table__)
_PUT = ("body_digest", "book_id", "cause_id", "cause_key", "effective_at", "effective_on", "id", "lines",
        "memo", "number", "recorded_at", "reverses", "version")  # fmt: skip
