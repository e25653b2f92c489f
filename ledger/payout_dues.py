"""Whom a book owes what: what a payout would pay, to which account, and what it leaves out, with why."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from ledger import bank_accounts
from ledger.agreements import Agreement
from ledger.bank_accounts import BankAccount
from ledger.books import PAYABLE, REFUNDS, TREASURY, BookAccount, Entry, EntryLine
from ledger.holds import Hold
from ledger.parties import Party
from ledger.payout_rows import Payout, PayoutLine
from ledger.statements import Statement

OWED = (PAYABLE, TREASURY, REFUNDS)
PURPOSES = {PAYABLE: "数据收益分配", TREASURY: "政府非税收入", REFUNDS: "退款"}
STATEMENTS_SAID = 3  # in a purpose, which banks cut off


def due(
    session: Session, now: datetime, agreement: Agreement, statement: Statement | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What can be paid, as facts of lines, and what is owed but cannot, with why."""
    waiting = unanswered(session, now, agreement.id)
    paid, left_out = list[dict[str, Any]](), list[dict[str, Any]]()
    for account, party, free_fen, kept_fen, limit in _free(session, agreement):
        due_fen = free_fen
        if statement is not None:
            due_fen = min(free_fen, left_of(session, statement, account, party))
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


def left_of(session: Session, statement: Statement, account: str, party: str) -> int:
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
