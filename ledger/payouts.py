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

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger import bank_accounts, books, holds, log, payment_files, settings, statements
from ledger.agreements import Agreement, require_ground
from ledger.bank_accounts import BankAccount
from ledger.books import BANK
from ledger.calendar import local_date
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.holds import Hold
from ledger.parties import Actor, may, require_other
from ledger.payment_files import Payment
from ledger.payout_dues import due
from ledger.payout_rows import GIVEN, Payout, PayoutLine, lines_of
from ledger.proof.encoding import digest_text
from ledger.statements import COUNTED_DAYS, Statement
from ledger.states import move
from ledger.store import lock, new_id, next_number
from ledger.tabular import Table

LINES_MAX = 10_000


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
    paid, left_out = due(session, now, agreement, statement)
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
    require_given(payout)
    faults = _gone(session, payout)
    if faults:
        raise Conflict(
            "Payout {number} goes where nobody is paid any more: {faults}; do not hand it to the bank (or "
            "stop it there), let a checker close it, and prepare another.",
            number=payout.number, faults=faults,
        )  # fmt: skip
    return _payments(session, payout)


def require_given(payout: Payout) -> None:
    """Raise Conflict until a payout is approved."""
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
    require_given(found)
    given = _payments(session, found)
    whole = digest_text(data) in (found.digests or {}).values()
    return found, whole, payment_files.differences(given, table)
