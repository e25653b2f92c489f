"""Reconciliation (对账) of a book with what its bank and the exchanges say, and the differences it finds.

    bank       the movements of the account against the book's entries on 1002 银行存款; balances compared
    exchange   the trades it reports of some days against those it confirmed here

Days are over, follow each other without a gap, and begin with the first movement or trade at the latest.

What an import found is evidence: the file's digest, counts and sums, what matched with what. Each
difference has somebody who owes its answer within `ANSWER_DAYS` working days, and is settled by another
person than he who answered and he who imported. A movement that only one side has is looked
for again with the next account statement.

    difference   open → answered → settled
                      ← (reopened)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import bank_balances, bank_matching, books, log, trade_reports
from ledger.agreements import Agreement, require_ground
from ledger.bank_accounts import BankAccount
from ledger.bank_files import BankLine, closing_fen, opening_fen, refuse, row_fault
from ledger.bank_matching import Booked, Finding, told
from ledger.books import BANK, Entry, EntryLine
from ledger.calendar import clock, local_date
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Actor, Party, may, require_other
from ledger.payout_rows import PayoutLine
from ledger.remittances import Remittance
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number
from ledger.trading import Licence, Payment

ANSWER_DAYS = 5  # working days; our own
DIFFERENCES_MAX = 1_000  # more of them, and it is the wrong file
ASKED_AT_ONCE = 500
SYSTEM = "system"
OWING = ("finance", "bank", "exchange", "operator")


class Reconciliation(Evidence):
    """What a bank's or an exchange's file says of some days, and how it agrees with the book."""

    __tablename__ = "reconciliations"
    __table_args__ = (
        UniqueConstraint("agreement_id", "exchange_id", "from_on"),
        Index(
            "reconciliations_of_a_bank", "agreement_id", "from_on", unique=True,
            sqlite_where=text("exchange_id IS NULL"), postgresql_where=text("exchange_id IS NULL"),
        ),
    )  # fmt: skip
    subject_type = "reconciliation"
    number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    exchange_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("parties.id"))
    from_on: Mapped[str]
    until_on: Mapped[str]
    file_name: Mapped[str]
    file_digest: Mapped[str]
    row_count: Mapped[int] = mapped_column(BigInteger)
    in_fen: Mapped[int] = mapped_column(BigInteger)
    """what came in; for an exchange, all that was traded"""
    out_fen: Mapped[int] = mapped_column(BigInteger)
    matched_count: Mapped[int] = mapped_column(BigInteger)
    counts: Mapped[dict[str, Any]]
    """differences found, by kind"""
    pairs: Mapped[list[Any]]
    """of a bank: [reconciliation whose row it is, row, entry, how]"""
    open_rows: Mapped[list[Any]]
    """what only the bank has, to be looked for again"""
    balances: Mapped[dict[str, Any] | None]
    """of a bank: both balances, and what each of them lacks (余额调节表), in fen"""
    imported_by: Mapped[str]


class Difference(Evidence):
    """One thing in which the two sides differ, and who owes its answer until when."""

    __tablename__ = "differences"
    __table_args__ = (
        Index("differences_open", "state", "owner_id"),
        Index("differences_of_a_book", "agreement_id"),
    )
    subject_type = "difference"
    number: Mapped[str] = mapped_column(unique=True)
    reconciliation_id: Mapped[str] = mapped_column(String(36), ForeignKey("reconciliations.id"))
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    kind: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    """what is at stake: the movement's amount, or by how much the two differ"""
    theirs: Mapped[dict[str, Any] | None]
    ours: Mapped[dict[str, Any] | None]
    owed_by: Mapped[str]
    owner_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("parties.id"))
    """the exchange or the operator that owes the answer; None where finance does, for itself or the bank"""
    due: Mapped[dict[str, Any] | None]
    answer: Mapped[str | None]
    answered_by: Mapped[str | None]
    finding: Mapped[str | None]
    settled_by: Mapped[str | None]
    state: Mapped[str]


# ---------------------------------------------------------------- with the bank


def import_bank(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, rows: Sequence[BankLine], *,
    from_on: date, until_on: date, name: str, digest: str,
) -> Reconciliation:  # fmt: skip
    """Reconcile a book with the account statement of some days; the same file again is the same answer.

    The days follow those reconciled before. Raises Invalid naming every row outside them, Conflict for
    the same file of other days.
    """
    may(actor, "reconciliation.import")
    lock(session, agreement)
    before = _of(session, agreement, "bank")
    known = _same_file(before, name, digest, from_on, until_on)
    if known is not None:
        return known
    faults = _wrong_days(now, before, from_on, until_on)
    first = _first_entry(session, agreement)
    if not before and first is not None and from_on.isoformat() > first:
        faults.name_fault(
            "the book's first movement is of {day}: begin with that day or earlier", at="from_on",
            day=first,
        )  # fmt: skip
    for one in rows:
        if not from_on.isoformat() <= one.day <= until_on.isoformat():
            row_fault("row {row}: {day} is outside the days stated", faults, one.row, day=one.day)
    refuse(faults, name)
    made = Reconciliation(
        id=new_id(), number=_number(session, now, "DZ"), kind="bank", agreement_id=agreement.id,
        exchange_id=None, from_on=from_on.isoformat(), until_on=until_on.isoformat(), file_name=name,
        file_digest=digest, row_count=len(rows), imported_by=actor.member_id,
        in_fen=sum(max(0, one.amount_fen) for one in rows),
        out_fen=sum(max(0, -one.amount_fen) for one in rows),
    )  # fmt: skip
    rows = [replace(one, of=made.number) for one in rows]
    named = _named(session, agreement)
    carried, twice = _carried(before)
    entries = _unmatched(session, agreement, until_on, before)
    again = {one.ours["number"] for one in named.values() if one.kind == "twice" and one.ours}
    found = bank_matching.match(
        [*carried, *rows], [one for one in entries if one.number not in again]
    )
    made.pairs = [[row.of, row.row, one.number, how] for row, one, how in found.pairs]
    made.open_rows = [
        *({**told(row), "twice": False} for row in found.rows),
        *({**told(row), "twice": True} for row in (*twice, *found.twice)),
    ]
    once = {(row.of, row.row): row for row, _, _ in found.pairs}  # one row may be several payments
    made.matched_count = sum(row.of == made.number for row in once.values())
    fresh = [one for one in found.findings if _key(one) not in named]
    if len(fresh) > DIFFERENCES_MAX:
        raise Invalid(
            "{name} and the books differ in {count} rows, more than {most}: is it the statement of this "
            "account and of these days?",
            name=name, count=len(fresh), most=DIFFERENCES_MAX,
        )  # fmt: skip
    matched = {one.number for _, one, _ in found.pairs}
    made.balances = bank_balances.compared(
        books.balance(session, agreement.id, BANK, on=made.until_on), closing_fen(rows), made.until_on,
        [one["amount_fen"] for one in made.open_rows],
        [one.amount_fen for one in entries if one.number not in matched],
        sum(row.amount_fen for row in once.values())
        - sum(one.amount_fen for _, one, _ in found.pairs)
        + ((before[-1].balances or {})["otherwise_fen"] if before else 0),
    )  # fmt: skip
    earlier = [
        bank_balances.Earlier(
            one.number, one.until_on, one.balances or {}, one.in_fen - one.out_fen
        )
        for one in before
    ]
    fresh += bank_balances.findings(earlier, made.balances, opening_fen(rows), made.from_on)
    made.counts = bank_matching.counts(fresh)
    log.append(session, made, "reconciliation.imported", actor.member_id)
    session.flush()
    _answer_matched(session, now, named, made)
    _find(session, actor, now, agreement, made, fresh)
    return made


def _wrong_days(
    now: datetime, before: Sequence[Reconciliation], from_on: date, until_on: date
) -> Faults:
    """What is wrong with the days of a file by themselves and beside those reconciled before."""
    faults = Faults()
    if not from_on <= until_on < local_date(now):
        faults.name_fault(
            "the days must run forwards and be over, not {start} to {end}", at="until_on",
            start=from_on.isoformat(), end=until_on.isoformat(),
        )  # fmt: skip
    if before:
        last = before[-1]
        wanted = date.fromisoformat(last.until_on) + timedelta(days=1)
        if from_on != wanted:
            faults.name_fault(
                "the days until {day} were reconciled with {number}: begin with {wanted}", at="from_on",
                day=last.until_on, number=last.number, wanted=wanted.isoformat(),
            )  # fmt: skip
    return faults


def _first_entry(session: Session, agreement: Agreement) -> str | None:
    """The day of the first movement of a book's bank account."""
    return session.scalar(
        select(func.min(EntryLine.effective_on)).where(
            EntryLine.book == agreement.id, EntryLine.account == BANK
        )
    )


def _same_file(
    before: Iterable[Reconciliation], name: str, digest: str, from_on: date, until_on: date
) -> Reconciliation | None:
    """The reconciliation of the same file; one without rows may come again for other days."""
    days = from_on.isoformat(), until_on.isoformat()
    for one in before:
        if one.file_digest != digest:
            continue
        if (one.from_on, one.until_on) == days:
            return one
        if one.row_count:
            raise Conflict(
                "{name} was reconciled already with {number}, as of {start} to {end}.", name=name,
                number=one.number, start=one.from_on, end=one.until_on,
            )  # fmt: skip
    return None


def _carried(before: Sequence[Reconciliation]) -> tuple[list[BankLine], list[BankLine]]:
    """What only the bank had so far, to be looked for again, and what it had once too often."""
    rows = [
        (BankLine(one["row"], one["day"], one["reference"], one["amount_fen"], one["counterparty"],
                  one["memo"], None, one["of"]), one["twice"])
        for one in (before[-1].open_rows if before else ())
    ]  # fmt: skip
    return [row for row, twice in rows if not twice], [row for row, twice in rows if twice]


def _unmatched(
    session: Session, agreement: Agreement, until_on: date, before: Iterable[Reconciliation]
) -> list[Booked]:
    """The book's movements on the bank account up to a day that nothing was matched with yet.

    An entry that was reversed before anything was matched with it, and its reversal, moved nothing; but
    a payment that came back did: the bank has it twice.
    """
    matched = {pair[2] for one in before for pair in one.pairs}
    lines = session.execute(
        select(Entry.id, Entry.number, Entry.cause_id, Entry.reverses, EntryLine.effective_on,
               EntryLine.debit_fen - EntryLine.credit_fen)
        .join(EntryLine, EntryLine.entry == Entry.id)
        .where(
            EntryLine.book == agreement.id, EntryLine.account == BANK,
            EntryLine.effective_on <= until_on.isoformat(),
        )
        .order_by(Entry.id, EntryLine.n)
    ).all()  # fmt: skip
    fresh = {one.id: one for one in lines if one.number not in matched}
    back = _came_back(session, [one.cause_id for one in fresh.values() if one.reverses is not None])
    undone = {one.reverses for one in fresh.values() if one.cause_id not in back} & fresh.keys()
    left = [one for one in lines if one.id in fresh and not {one.id, one.reverses} & undone]
    causes = _causes(session, sorted({one.cause_id for one in left}))
    return [
        _told_of(one, (causes if one.reverses is None else back).get(one.cause_id)) for one in left
    ]


def _told_of(line: Any, cause: tuple[str, str, str, str] | None) -> Booked:
    """A movement as booked; where its cause tells neither day nor reference, the entry does."""
    origin, day, reference, counterparty = cause or ("journal", line.effective_on, "", "")
    return Booked(line.id, line.number, day, reference, int(line[5]), counterparty, origin)


def _came_back(session: Session, ids: Sequence[str]) -> dict[str, tuple[str, str, str, str]]:
    """As `_causes`, of the holds whose payments came back, how they came."""
    found: dict[str, tuple[str, str, str, str]] = {}
    for start in range(0, len(ids), ASKED_AT_ONCE):
        for held, day, reference, name in session.execute(
            select(PayoutLine.hold_id, PayoutLine.returned_on, PayoutLine.return_reference,
                   BankAccount.holder_name)
            .join(BankAccount, BankAccount.id == PayoutLine.bank_account_id)
            .where(PayoutLine.hold_id.in_(ids[start : start + ASKED_AT_ONCE]),
                   PayoutLine.returned_on.is_not(None))
        ):  # fmt: skip
            found[held] = ("payout", day or "", reference or "", name)
    return found


def _causes(session: Session, ids: Sequence[str]) -> dict[str, tuple[str, str, str, str]]:
    """Of each cause that is known: what it is, its day, the bank's reference, and with whom."""
    found: dict[str, tuple[str, str, str, str]] = {}
    for start in range(0, len(ids), ASKED_AT_ONCE):
        part = ids[start : start + ASKED_AT_ONCE]
        for row in session.execute(
            select(Payment.id, Payment.received_on, Payment.reference, Party.name)
            .join(Licence, Licence.id == Payment.licence_id)
            .join(Party, Party.id == Licence.licensee_id)
            .where(Payment.id.in_(part))
        ):
            found[row[0]] = ("payment", row[1], row[2], row[3])
        for row in session.execute(
            select(Remittance.id, Remittance.received_on, Remittance.reference, Party.name)
            .join(Party, Party.id == Remittance.party_id)
            .where(Remittance.id.in_(part))
        ):
            found[row[0]] = ("remittance", row[1], row[2], row[3])
        for held, day, reference, name in session.execute(
            select(PayoutLine.hold_id, PayoutLine.paid_on, PayoutLine.bank_reference,
                   BankAccount.holder_name)
            .join(BankAccount, BankAccount.id == PayoutLine.bank_account_id)
            .where(PayoutLine.hold_id.in_(part))
        ):  # fmt: skip
            found[held] = ("payout", day or "", reference or "", name)
    return found


# ---------------------------------------------------------------- with an exchange


def import_exchange(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, exchange: Party,
    report: pl.DataFrame, *, from_on: date, until_on: date, name: str, digest: str,
) -> Reconciliation:  # fmt: skip
    """Reconcile an exchange's report of some days with the trades it confirmed under an agreement."""
    may(actor, "reconciliation.import")
    lock(session, agreement)
    before = [one for one in _of(session, agreement, "exchange") if one.exchange_id == exchange.id]
    known = _same_file(before, name, digest, from_on, until_on)
    if known is not None:
        return known
    faults = _wrong_days(now, before, from_on, until_on)
    first = trade_reports.first_day(session, agreement, exchange)
    if not before and first is not None and from_on.isoformat() > first:
        faults.name_fault(
            "the first trade that it confirmed is of {day}: begin with that day or earlier", at="from_on",
            day=first,
        )  # fmt: skip
    refuse(faults, name)
    trade_reports.check_days(report, name, from_on, until_on)
    confirmed = trade_reports.confirmed_trades(session, agreement, exchange, from_on, until_on)
    matched, findings = trade_reports.match_trades(confirmed, report, name)
    made = Reconciliation(
        id=new_id(), number=_number(session, now, "DZ"), kind="exchange", agreement_id=agreement.id,
        exchange_id=exchange.id, from_on=from_on.isoformat(), until_on=until_on.isoformat(),
        file_name=name, file_digest=digest, row_count=report.height,
        in_fen=int(report["amount_fen"].sum()), out_fen=0, matched_count=matched,
        counts=bank_matching.counts(findings), pairs=[], open_rows=[], balances=None,
        imported_by=actor.member_id,
    )  # fmt: skip
    log.append(session, made, "reconciliation.imported", actor.member_id)
    session.flush()
    _find(session, actor, now, agreement, made, findings)
    return made


# ---------------------------------------------------------------- differences


def _key(one: Finding | Difference) -> tuple[Any, ...]:
    """What a difference is known by when it is found again."""
    theirs, ours = one.theirs, one.ours
    row = (theirs.get("of"), theirs.get("row")) if theirs else None
    return one.kind, row, ours.get("number") if ours else None


def _find(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, made: Reconciliation,
    findings: Iterable[Finding],
) -> None:  # fmt: skip
    for one in findings:
        owed_by = _owed_by(made.kind, one)
        owner = {"exchange": made.exchange_id, "operator": agreement.operator_id}.get(owed_by)
        if owed_by == "exchange" and owner is None:
            owed_by = "finance"
        difference = Difference(
            id=new_id(), number=_number(session, now, "CY"), reconciliation_id=made.id,
            agreement_id=agreement.id, kind=one.kind, amount_fen=_at_stake(one), theirs=one.theirs,
            ours=one.ours, owed_by=owed_by, owner_id=owner,
            due=clock(local_date(now), ANSWER_DAYS), answer=None, answered_by=None, finding=None,
            settled_by=None, state=move("difference", "find", None),
        )  # fmt: skip
        log.append(session, difference, "difference.found", actor.member_id)
    session.flush()


def _owed_by(kind: str, one: Finding) -> str:
    """Who knows the answer.

    Of a trade, the exchange. Of a balance with which a file begins, the bank; of what no movement explains,
    finance. Of what the bank has and we have not, finance for what went out, the
    operator, who knows what was sold, for what came in. Of what the books have alone, the bank for what
    we paid, the operator for what he said was received. Of two amounts or days, finance, which wrote down
    one of them. Of what stands twice, who wrote it twice.
    """
    if kind == "exchange":
        return "exchange"
    if one.kind == "missing_here":
        return "operator" if one.theirs and one.theirs["amount_fen"] > 0 else "finance"
    if one.kind == "missing_there":
        received = one.ours and one.ours["origin"] in ("payment", "remittance")
        return "operator" if received else "bank"
    if one.kind == "balance":
        return "bank" if one.ours and "number" in one.ours else "finance"
    if one.kind == "twice":
        return "bank" if one.theirs else "finance"
    return "finance"


def _at_stake(one: Finding) -> int:
    theirs, ours = (side["amount_fen"] if side else 0 for side in (one.theirs, one.ours))
    return int(abs(theirs - ours) if one.kind != "day" else abs(theirs))


def _named(session: Session, agreement: Agreement) -> dict[tuple[Any, ...], Difference]:
    """The differences found with the bank of a book before, by what they are known by."""
    wanted = select(Difference).join(
        Reconciliation, Reconciliation.id == Difference.reconciliation_id
    )
    found = session.scalars(
        wanted.where(Difference.agreement_id == agreement.id, Reconciliation.kind == "bank")
    )
    return {_key(one): one for one in found}


def _answer_matched(
    session: Session, now: datetime, named: Mapping[tuple[Any, ...], Difference], made: Reconciliation
) -> None:  # fmt: skip
    """What one side had alone and now both have is answered by that; a person still settles it."""
    for of, row, entry, _ in made.pairs:
        for key in (("missing_here", (of, row), None), ("missing_there", None, entry)):
            one = named.get(key)
            if one is not None and one.state == "open":
                one.state = move("difference", "answer", one.state)
                one.answer, one.answered_by = f"{made.number}: {of} {row} ↔ {entry}", SYSTEM
                log.append(session, one, "difference.answered", SYSTEM)


def answer(
    session: Session, actor: Actor, now: datetime, difference: Difference, text: str
) -> None:
    """Who owes it says how the difference came about and what was done; finance may for everybody."""
    may(actor, "difference.answer", owners(session, difference), f"difference {difference.number}")
    require_ground(text)
    difference.state = move("difference", "answer", difference.state)
    difference.answer, difference.answered_by = text.strip(), actor.member_id
    log.append(session, difference, "difference.answered", actor.member_id)


def makers(session: Session, difference: Difference) -> tuple[str | None, ...]:
    """Who answered a difference, and who imported the file in which it was found."""
    found = session.get_one(Reconciliation, difference.reconciliation_id)
    return difference.answered_by, found.imported_by


def settle(
    session: Session, actor: Actor, now: datetime, difference: Difference, finding: str
) -> None:
    """Another person of finance than who answered and who imported finds the answer sufficient."""
    may(actor, "difference.settle")
    require_other(actor, makers(session, difference), f"difference {difference.number}")
    require_ground(finding)
    difference.state = move("difference", "settle", difference.state)
    difference.finding, difference.settled_by = finding.strip(), actor.member_id
    log.append(session, difference, "difference.settled", actor.member_id)


def reopen(
    session: Session, actor: Actor, now: datetime, difference: Difference, reason: str
) -> None:
    """Another person of finance finds the answer insufficient: it is owed again."""
    may(actor, "difference.reopen")
    require_other(actor, [difference.answered_by], f"difference {difference.number}")
    require_ground(reason)
    difference.state = move("difference", "reopen", difference.state)
    difference.due = clock(local_date(now), ANSWER_DAYS)
    log.append(session, difference, "difference.reopened", actor.member_id, reason=reason.strip())


# ---------------------------------------------------------------- looking up


def of(session: Session, agreement: Agreement) -> list[Reconciliation]:
    """The reconciliations of a book, the newest first."""
    wanted = select(Reconciliation).where(Reconciliation.agreement_id == agreement.id)
    return list(session.scalars(wanted.order_by(Reconciliation.until_on.desc(), Reconciliation.id)))


def _of(session: Session, agreement: Agreement, kind: str) -> list[Reconciliation]:
    """Those of a kind, the oldest first."""
    wanted = select(Reconciliation).where(
        Reconciliation.agreement_id == agreement.id, Reconciliation.kind == kind
    )
    return list(session.scalars(wanted.order_by(Reconciliation.until_on, Reconciliation.id)))


def differences(session: Session, made: Reconciliation) -> list[Difference]:
    """What a reconciliation found, in order."""
    wanted = select(Difference).where(Difference.reconciliation_id == made.id)
    return list(session.scalars(wanted.order_by(Difference.id)))


def owners(_session: Session, difference: Difference) -> tuple[str, ...]:
    """Whose a difference is to answer."""
    return () if difference.owner_id is None else (difference.owner_id,)


def by_number(session: Session, number: str) -> Reconciliation:
    """The reconciliation with a number; raises Missing."""
    found = session.scalar(select(Reconciliation).where(Reconciliation.number == number))
    if found is None:
        raise Missing("There is no reconciliation {number}.", number=number)
    return found


def difference_by_number(session: Session, number: str) -> Difference:
    """The difference with a number; raises Missing."""
    found = session.scalar(select(Difference).where(Difference.number == number))
    if found is None:
        raise Missing("There is no difference {number}.", number=number)
    return found


def _number(session: Session, now: datetime, prefix: str) -> str:
    year = local_date(now).year
    return f"{prefix}{year}-{next_number(session, f'{prefix}{year}'):06d}"
