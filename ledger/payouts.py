"""Payouts (付款批次): what a book owes is paid by the bank, prepared by one person and approved by others.

prepared    each line holds its amount, so that nothing is paid twice          Dr 2203 | 2204 | 2241 (held)
approved    by another person, above the threshold by two; now it has its payment file, with a digest
paid        the bank's result books the line (`payout_results`)                Dr 2203.<party>  Cr 1002
failed      its hold is let go: it is due again
came back   退汇: its entry is reversed, it is due again

    prepared → approved → partly_paid → paid         each line has been paid
             ↘ cancelled                → closed     some were not, and are due again

What a payout holds runs out until its approval, and no more from then on: the bank has the file.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    func,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import bank_accounts, books, holds, log, payment_files, settings, statements
from ledger.agreements import Agreement, require_ground
from ledger.bank_accounts import BankAccount
from ledger.books import BANK, PAYABLE, REFUNDS, TREASURY, BookAccount, Entry, EntryLine
from ledger.calendar import local_date
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.holds import Hold
from ledger.parties import Actor, Party, may, require_other
from ledger.payment_files import Payment
from ledger.proof.encoding import digest_text
from ledger.statements import Statement
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number
from ledger.tabular import Table

OWED = (PAYABLE, TREASURY, REFUNDS)
PURPOSES = {PAYABLE: "数据收益分配", TREASURY: "政府非税收入", REFUNDS: "退款"}
GIVEN = ("approved", "partly_paid", "paid", "closed")  # in which a payout has its file
LINES_MAX = 10_000
COUNTED_DAYS = 30  # payouts of one book within them are one sum for the threshold
STATEMENTS_SAID = 3  # in a purpose, which banks cut off


class Payout(Evidence):
    """A batch of payments out of one book."""

    __tablename__ = "payouts"
    __table_args__ = (Index("payouts_of_a_book", "agreement_id", "state"),)
    subject_type = "payout"
    number: Mapped[str] = mapped_column(unique=True)
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    statement_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("statements.id"))
    """the one statement whose shares it pays; None for all that is due"""
    line_count: Mapped[int] = mapped_column(BigInteger)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    left_out: Mapped[list[Any]]
    """who is owed and not paid with it: {"account", "amount_fen", "party", "why"}, and by which "limit" """
    expires_at: Mapped[datetime]
    maker_id: Mapped[str]
    approvals_required: Mapped[int] = mapped_column(BigInteger)
    approvals: Mapped[list[Any]]
    digests: Mapped[dict[str, Any] | None]
    """of its payment file as CSV and as XLSX, once approved"""
    results: Mapped[list[Any]]
    """the bank's result files imported, as `payout_results.confirm` answered"""
    state: Mapped[str]


class PayoutLine(Evidence):
    """One payment of a payout."""

    __tablename__ = "payout_lines"
    __table_args__ = (
        UniqueConstraint("payout_id", "n"),
        CheckConstraint("amount_fen > 0", name="payout_lines_amount"),
        # One debit of the bank may pay several lines, all of one payout: one of them leads under its
        # reference, unique over all books, and the others refer to that one.
        CheckConstraint(
            "(bank_reference IS NULL) = (debit_id IS NULL)", name="payout_lines_debit_told"
        ),
        UniqueConstraint("id", "payout_id", "bank_reference"),
        ForeignKeyConstraint(
            ["debit_id", "payout_id", "bank_reference"],
            ["payout_lines.id", "payout_lines.payout_id", "payout_lines.bank_reference"],
            name="payout_lines_of_a_debit",
        ),
        Index(
            "payout_lines_debits", "bank_reference", unique=True, sqlite_where=text("debit_id = id"),
            postgresql_where=text("debit_id = id"),
        ),
        Index("payout_lines_referenced", "bank_reference"),
        Index("payout_lines_of_a_hold", "hold_id"),
    )  # fmt: skip
    subject_type = "payout_line"
    payout_id: Mapped[str] = mapped_column(String(36), ForeignKey("payouts.id"))
    n: Mapped[int] = mapped_column(BigInteger)
    serial: Mapped[str] = mapped_column(unique=True)
    party: Mapped[str]
    """the social credit code under which the book owes it"""
    account: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    purpose: Mapped[str]
    bank_account_id: Mapped[str] = mapped_column(String(36), ForeignKey("bank_accounts.id"))
    hold_id: Mapped[str] = mapped_column(String(36), ForeignKey("holds.id"))
    paid_on: Mapped[str | None]
    bank_reference: Mapped[str | None]
    debit_id: Mapped[str | None] = mapped_column(String(36))
    """the line that came first under the bank's reference: itself, or another one of its payout"""
    returned_on: Mapped[str | None]
    return_reference: Mapped[str | None]
    """the bank's, of the movement by which a payment came back"""
    reason: Mapped[str | None]
    """why it was not paid, or came back"""
    state: Mapped[str]


# ---------------------------------------------------------------- preparing


def prepare(
    session: Session, actor: Actor, now: datetime, agreement: Agreement,
    statement: Statement | None = None,
) -> Payout:  # fmt: skip
    """Collect and hold what a book owes, or what is left of one statement of it.

    Whoever has no confirmed bank account, or an earlier payment that the bank has not answered, is named
    and left out, and so is what a limit of his account keeps. Raises Conflict where nothing is due,
    Invalid where the bank account has too little.
    """
    may(actor, "payout.prepare")
    lock(session, agreement)
    statements.require_no_reversal(session, agreement.id)
    books.begin(session)
    if statement is not None and statement.agreement_id != agreement.id:
        raise Invalid("Statement {number} belongs to another agreement.", number=statement.number)
    paid, left_out = _due(session, now, agreement, statement)
    if not paid:
        waiting = _same_waiting(session, actor, agreement, statement)
        if waiting is not None:
            return waiting
        split = sorted({one["party"] for one in left_out if one["why"] == "split"})
        if split:
            raise Conflict(
                "Nothing can be paid under agreement {number}: {parties} were split. Divide what they are "
                "owed among their successors by a journal voucher first.",
                number=agreement.number, parties=", ".join(split),
            )  # fmt: skip
        raise Conflict(
            "Nothing can be paid under agreement {number}: {count} payees are owed, none of them with a "
            "confirmed bank account that sent nothing back, without an open payment and above a limit.",
            number=agreement.number, count=len({one["party"] for one in left_out}),
        )  # fmt: skip
    if len(paid) > LINES_MAX:
        raise Invalid(
            "A payout has at most {most} payments: pay statement by statement.", most=LINES_MAX
        )
    days = max(1, int(settings.value(session, "payout_days")))
    year, total = local_date(now).year, sum(one["amount_fen"] for one in paid)
    required = _approvals(session, now, total + _recent_fen(session, now, agreement.id))
    payout = Payout(
        id=new_id(), number=f"ZF{year}-{next_number(session, f'ZF{year}'):06d}",
        agreement_id=agreement.id, statement_id=statement and statement.id, line_count=len(paid),
        amount_fen=total, left_out=left_out, expires_at=(now + timedelta(days=days)).replace(microsecond=0),
        maker_id=actor.member_id, approvals_required=required, approvals=[], digests=None,
        results=[], state=move("payout", "prepare", None),
    )  # fmt: skip
    log.append(session, payout, "payout.prepared", actor.member_id)
    session.flush()
    for n, one in enumerate(paid, start=1):
        held = _hold(session, actor, now, payout, str(n), one)
        line = PayoutLine(
            **one, id=new_id(), payout_id=payout.id, n=n, serial=f"{payout.number}-{n:05d}",
            hold_id=held.id, paid_on=None, bank_reference=None, debit_id=None,
            returned_on=None, return_reference=None, reason=None,
            state=move("payout_line", "prepare", None),
        )  # fmt: skip
        log.append(session, line, "payout_line.prepared", actor.member_id)
    session.flush()
    return payout


def _approvals(session: Session, now: datetime, fen: int) -> int:
    """How many must approve what sums to so much."""
    return 2 if fen > 100 * settings.lowest(session, "third_approval_yuan", now) else 1


def _recent_fen(session: Session, now: datetime, agreement_id: str, own: str = "") -> int:
    """What of a book was set aside for payment lately, and was paid or may be; a payout of one's own whole.

    It counts for the threshold: what is split into several payouts is one sum all the same.
    """
    since = now - timedelta(days=COUNTED_DAYS)
    found = session.scalar(
        select(func.sum(PayoutLine.amount_fen))
        .join(Payout, Payout.id == PayoutLine.payout_id)
        .join(Hold, Hold.id == PayoutLine.hold_id)
        .where(
            Payout.agreement_id == agreement_id, PayoutLine.state.in_(("held", "paid")),
            (Hold.held_at >= since) | (Payout.id == own),
        )
    )  # fmt: skip
    return int(found or 0)


def _hold(
    session: Session, actor: Actor, now: datetime, payout: Payout, key: str, line: Any
) -> Hold:
    """Set a payment's amount aside, on what is owed and on the bank account."""
    amount = line["amount_fen"]
    return holds.hold(
        session, actor.member_id, now, cause=payout, key=key, book_id=payout.agreement_id,
        expires_at=payout.expires_at,
        lines=[
            {"account": line["account"], "credit_fen": 0, "debit_fen": amount, "party_id": line["party"]},
            {"account": BANK, "credit_fen": amount, "debit_fen": 0, "party_id": None},
        ],
    )  # fmt: skip


def _due(
    session: Session, now: datetime, agreement: Agreement, statement: Statement | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What can be paid, as facts of lines, and what is owed but cannot, with why."""
    waiting = unanswered(session, now, agreement.id)
    paid, left_out = list[dict[str, Any]](), list[dict[str, Any]]()
    for account, party, free_fen, kept_fen, limit in _free(session, agreement):
        due_fen = free_fen
        if statement is not None:
            due_fen = min(free_fen, _left_of(session, statement, account, party))
        amount = min(due_fen, free_fen - kept_fen)
        if due_fen > max(amount, 0):
            left_out.append({
                "account": account, "amount_fen": due_fen - max(amount, 0), "limit": limit,
                "party": party, "why": "limited",
            })  # fmt: skip
        if amount <= 0:
            continue
        owed = {"account": account, "amount_fen": amount, "party": party}
        payee, known = bank_accounts.paid_to(session, party)
        if (account, party) in waiting:
            left_out.append({**owed, "why": "unanswered"})
        elif known is None:
            left_out.append({**owed, "why": _why_not(payee)})
        elif _returned_from(session, known):
            left_out.append({**owed, "why": "returned"})
        else:
            purpose = _purpose(session, agreement, statement, account, party, amount)
            paid.append({**owed, "bank_account_id": known.id, "purpose": purpose})
    return paid, left_out


def is_due() -> ColumnElement[bool]:
    """Whether an agreement's book owes what no payout holds and no limit keeps, to a payee with an account.

    Also to one whose account sent a payment back, or who was merged: what is in the way, `prepare` says.
    """
    account = select(BankAccount.id).where(
        BankAccount.party_id == Party.id, BankAccount.state == "confirmed"
    )
    return (
        select(BookAccount.book)
        .join(Party, Party.uscc == BookAccount.party)
        .where(
            BookAccount.book == Agreement.id, BookAccount.account.in_(OWED),
            BookAccount.posted_fen - BookAccount.held_fen > func.coalesce(BookAccount.floor_fen, 0),
            (Party.state == "merged") | account.exists(),
        )
        .exists()
    )  # fmt: skip


def _why_not(payee: Party | None) -> str:
    if payee is None:
        return "unknown"
    if payee.kind == "individual":
        return "individual"
    return "split" if payee.state == "split" else "no_account"


def _returned_from(session: Session, account: BankAccount) -> bool:
    """Whether a payment to this very account came back: it is to be entered and confirmed anew."""
    return session.scalar(
        select(PayoutLine.id)
        .where(PayoutLine.bank_account_id == account.id, PayoutLine.state == "came_back").limit(1)
    ) is not None  # fmt: skip


def _free(session: Session, agreement: Agreement) -> list[tuple[str, str, int, int, str | None]]:
    """What a book owes and holds for nobody yet, in fen above nought, and what of it which limit keeps.

    Each is account, social credit code, free fen, kept fen, the limit's number.
    """
    found = session.execute(
        select(
            BookAccount.account, BookAccount.party, BookAccount.posted_fen - BookAccount.held_fen,
            BookAccount.floor_fen, BookAccount.limited_by,
        )
        .where(
            BookAccount.book == agreement.id, BookAccount.account.in_(OWED),
            BookAccount.posted_fen > BookAccount.held_fen,
        )
        .order_by(BookAccount.account, BookAccount.party)
    )  # fmt: skip
    return [(account, party, int(fen), int(floor or 0), limit)
            for account, party, fen, floor, limit in found]  # fmt: skip


def _left_of(session: Session, statement: Statement, account: str, party: str) -> int:
    """What of a posted statement no payout has paid or holds for a payee.

    What was paid of all that was due was paid of the oldest statements that were not paid by name; what
    came to the payee by a division (`journals`) before them, and what went away was of the oldest too.
    """
    if statement.state != "posted" or account not in (PAYABLE, TREASURY):
        return 0
    paid_fen, by_name = 0, dict[str | None, int]()
    for known, state, fen in session.execute(
        select(Payout.statement_id, PayoutLine.state, func.sum(PayoutLine.amount_fen))
        .join(PayoutLine, Payout.id == PayoutLine.payout_id)
        .where(
            Payout.agreement_id == statement.agreement_id, PayoutLine.account == account,
            PayoutLine.party == party, PayoutLine.state.in_(("held", "paid")),
        )
        .group_by(Payout.statement_id, PayoutLine.state)
    ).tuples():  # fmt: skip
        by_name[known] = by_name.get(known, 0) + int(fen)
        paid_fen += int(fen) if state == "paid" else 0
    booked = session.execute(
        select(Statement.id, func.sum(EntryLine.credit_fen))
        .join(Entry, Entry.cause_id == Statement.id)
        .join(EntryLine, EntryLine.entry == Entry.id)
        .where(
            Statement.agreement_id == statement.agreement_id, Statement.state == "posted",
            Entry.reverses.is_(None), EntryLine.account == account, EntryLine.party == party,
        )
        .group_by(Statement.id, Statement.until_on)
        .order_by(Statement.until_on, Statement.id)
    ).tuples().all()  # fmt: skip
    row = session.get(BookAccount, (statement.agreement_id, account, party))
    came = (row.posted_fen if row else 0) + paid_fen - sum(int(fen) for _, fen in booked)
    unnamed = max(0, by_name.get(None, 0) - came)
    for known, fen in booked:
        left = int(fen) - by_name.get(known, 0)
        covered = max(0, min(left, unnamed))
        left, unnamed = left - covered, unnamed - covered
        if known == statement.id:
            return left
    return 0


def unanswered(session: Session, now: datetime, agreement_id: str) -> set[tuple[str, str]]:
    """Whose payment is with the bank, or waits for approval, though its hold ran out."""
    found = session.execute(
        select(PayoutLine.account, PayoutLine.party)
        .join(Payout, Payout.id == PayoutLine.payout_id)
        .join(Hold, Hold.id == PayoutLine.hold_id)
        .where(
            Payout.agreement_id == agreement_id, PayoutLine.state == "held",
            (Hold.state != "pending") | (Hold.expires_at <= now),
        )
    )  # fmt: skip
    return set(found.tuples())


def _purpose(
    session: Session, agreement: Agreement, statement: Statement | None, account: str, party: str,
    amount_fen: int,
) -> str:  # fmt: skip
    """What the bank tells the payee: what it is, and of which statements or agreement.

    Where all that is due is paid, these are the newest statements whose lines together come to the amount.
    """
    what = PURPOSES[account]
    if account == REFUNDS:
        return f"{what} {agreement.number}"
    if statement is not None:
        return f"{what} {statement.number}"
    said, left = [], amount_fen
    posted = select(Statement).where(
        Statement.agreement_id == agreement.id, Statement.state == "posted"
    )
    for one in session.scalars(posted.order_by(Statement.until_on.desc(), Statement.id.desc())):
        share = sum(line["amount_fen"] for line in one.lines if line["party"] == party)
        if share > 0 and left > 0:
            said.append(one.number)
            left -= share
    more = "等" if len(said) > STATEMENTS_SAID else ""
    return f"{what} {'、'.join(said[:STATEMENTS_SAID]) or agreement.number}{more}"


def _same_waiting(
    session: Session, actor: Actor, agreement: Agreement, statement: Statement | None
) -> Payout | None:
    """What the same person prepared of the same before, and nobody has decided on."""
    return session.scalars(
        select(Payout)
        .where(
            Payout.agreement_id == agreement.id, Payout.maker_id == actor.member_id,
            Payout.state == "prepared",
            Payout.statement_id.is_not_distinct_from(statement and statement.id),
        )
        .order_by(Payout.id.desc())
        .limit(1)
    ).first()  # fmt: skip


# ---------------------------------------------------------------- deciding


def approve(session: Session, actor: Actor, now: datetime, payout: Payout) -> None:
    """A checker approves it; with the last approval it is required to have it gets its payment file.

    Refused when a payee is paid elsewhere meanwhile, or what it holds has run out. From then on what it
    holds runs out no more: only the bank's result or the closing lets it go. Where more has been split off
    or the threshold lowered since it was prepared, the stricter number of approvals holds.
    """
    may(actor, "payout.approve")
    what = f"payout {payout.number}"
    lock(session, payout)
    state = move("payout", "approve", payout.state)
    statements.require_no_reversal(session, payout.agreement_id)
    require_other(actor, [payout.maker_id, *(one["by"] for one in payout.approvals)], what)
    if now >= payout.expires_at:
        raise Conflict(
            "What payout {number} set aside has run out: cancel it and prepare another.",
            number=payout.number,
        )
    faults = _gone(session, payout)
    if faults:
        raise Conflict(
            "Payout {number} goes where nobody is paid any more: {faults}; cancel it and prepare another.",
            number=payout.number, faults=faults,
        )  # fmt: skip
    books.begin(session)  # of two parts approved at once, the later one counts the other
    payout.approvals_required = max(
        payout.approvals_required,
        _approvals(session, now, _recent_fen(session, now, payout.agreement_id, payout.id)),
    )
    payout.approvals = [*payout.approvals, {"by": actor.member_id}]
    if len(payout.approvals) < payout.approvals_required:
        log.append(session, payout, "payout.seconded", actor.member_id)
        return
    for held in session.scalars(
        select(Hold).join(PayoutLine, PayoutLine.hold_id == Hold.id)
        .where(PayoutLine.payout_id == payout.id).order_by(PayoutLine.n)
    ):  # fmt: skip
        holds.keep(session, actor.member_id, held)
    given = _payments(session, payout)
    payout.digests = {
        "csv": digest_text(payment_files.as_csv(given)),
        "xlsx": digest_text(payment_files.as_xlsx(given)),
    }
    payout.state = state
    log.append(session, payout, "payout.approved", actor.member_id)


def _gone(session: Session, payout: Payout) -> Faults:
    """Each payment that is still to be made to an account its payee is paid to no more."""
    faults = Faults()
    for line in lines_of(session, payout):
        if line.state != "held":
            continue
        _, known = bank_accounts.paid_to(session, line.party)
        if known is None or known.id != line.bank_account_id:
            account = session.get_one(BankAccount, line.bank_account_id)
            faults.name_fault(
                "{serial}: {party} is paid to bank account {number} no more, but to {other}"
                if known else "{serial}: {party} is paid to bank account {number} no more",
                serial=line.serial, party=line.party, number=account.number,
                **({"other": known.number} if known else {}),
            )  # fmt: skip
    return faults


def cancel(session: Session, actor: Actor, now: datetime, payout: Payout, reason: str) -> None:
    """Give a payout up that is not yet approved: all it holds is let go."""
    may(actor, "payout.cancel")
    require_ground(reason)
    lock(session, payout)
    payout.state = move("payout", "cancel", payout.state)
    _let_go(session, actor, now, payout, "cancel", reason)
    log.append(session, payout, "payout.cancelled", actor.member_id, reason=reason.strip())


def close(session: Session, actor: Actor, now: datetime, payout: Payout, reason: str) -> None:
    """A checker states, on the bank's word, that what is left will not be paid: it is due again."""
    may(actor, "payout.close")
    require_other(actor, [payout.maker_id], f"payout {payout.number}")
    require_ground(reason)
    lock(session, payout)
    payout.state = move("payout", "close", payout.state)
    _let_go(session, actor, now, payout, "cancel", reason)
    log.append(session, payout, "payout.closed", actor.member_id, reason=reason.strip())


def _let_go(
    session: Session, actor: Actor, now: datetime, payout: Payout, verb: str, reason: str
) -> None:
    for line in lines_of(session, payout):
        if line.state == "held":
            drop(session, actor, now, line, verb, reason)


def drop(
    session: Session, actor: Actor, now: datetime, line: PayoutLine, verb: str, reason: str
) -> None:
    """A payment that is not made: what it holds is let go, unless that ran out before."""
    held = session.get_one(Hold, line.hold_id)
    if held.state == "pending":
        holds.void(session, actor.member_id, now, held, reason)
    line.state, line.reason = move("payout_line", verb, line.state), reason.strip()
    if verb == "fail":
        log.append(session, line, "payout_line.failed", actor.member_id, reason=reason.strip())
    else:
        log.append(session, line, "payout_line.cancelled", actor.member_id, reason=reason.strip())


# ---------------------------------------------------------------- the payment file


def payments(session: Session, payout: Payout) -> list[Payment]:
    """The lines of the payment file; Conflict until the payout is approved.

    Refused, too, while one that the bank has not answered would go where its payee is paid no more.
    """
    _require_given(payout)
    faults = _gone(session, payout)
    if faults:
        raise Conflict(
            "Payout {number} goes where nobody is paid any more: {faults}; do not hand it to the bank (or "
            "stop it there), let a checker close it, and prepare another.",
            number=payout.number, faults=faults,
        )  # fmt: skip
    return _payments(session, payout)


def _require_given(payout: Payout) -> None:
    if payout.state not in GIVEN:
        raise Conflict(
            "Payout {number} is {state}: only an approved one has a payment file.",
            number=payout.number, state=payout.state,
        )  # fmt: skip


def _payments(session: Session, payout: Payout) -> list[Payment]:
    made = []
    for line in lines_of(session, payout):
        account = session.get_one(BankAccount, line.bank_account_id)
        made.append(Payment(
            line.n, line.serial, account.holder_name, account.account_number, account.bank,
            account.branch, line.amount_fen, line.purpose, account.unit_code or "",
            account.item_code or "",
        ))  # fmt: skip
    return made


def check_file(session: Session, table: Table, data: bytes) -> tuple[Payout, bool, Faults]:
    """Which payout a payment file is of, whether it is byte for byte as approved, what in it differs."""
    named = payment_files.serials(table)
    found = session.scalar(
        select(Payout).join(PayoutLine, PayoutLine.payout_id == Payout.id)
        .where(PayoutLine.serial.in_(named[:500])).order_by(Payout.id).limit(1)
    )  # fmt: skip
    if found is None:
        raise Missing("No serial number in {name} is of a payout here.", name=table.name)
    _require_given(found)
    given = _payments(session, found)
    whole = digest_text(data) in (found.digests or {}).values()
    return found, whole, payment_files.differences(given, table)


# ---------------------------------------------------------------- looking up


def lines_of(session: Session, payout: Payout) -> list[PayoutLine]:
    """The payments of a payout in their order."""
    wanted = select(PayoutLine).where(PayoutLine.payout_id == payout.id)
    return list(session.scalars(wanted.order_by(PayoutLine.n)))


def by_number(session: Session, number: str) -> Payout:
    """The payout with a number; raises Missing."""
    found = session.scalar(select(Payout).where(Payout.number == number))
    if found is None:
        raise Missing("There is no payout {number}.", number=number)
    return found


def payee(session: Session, line: PayoutLine) -> Party:
    """Whom the bank pays."""
    return session.get_one(Party, session.get_one(BankAccount, line.bank_account_id).party_id)
