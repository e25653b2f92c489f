"""Reversal of a statement (冲销): another one takes it back as a whole and restores the deficits before it.

It names the original, has the same lines, and is proposed, signed and booked like any statement; on chain
the contract marks the original reversed. What was distributed is then free for the next statement.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import books, journals, log
from ledger.agreements import Agreement, require_ground
from ledger.calendar import local_date
from ledger.errors import Conflict, Faults
from ledger.parties import Actor, may
from ledger.proof.encoding import canonical, digest_text
from ledger.statements import Statement, content, line_root, makers_party, previous
from ledger.states import move
from ledger.store import lock, new_id, next_number
from ledger.trading import Payment
from valuation.money import yuan


def reverse(
    session: Session, actor: Actor, now: datetime, statement: Statement, reason: str
) -> Statement:
    """Draft the statement that takes a posted one back as a whole; it is approved like any other.

    Only the last one of its agreement, and not while money of a payee of it is set aside for payment, or
    stands with those among whom the claim of a payee that was split was divided.
    """
    what = f"statement {statement.number}"
    may(actor, "statement.reverse", makers_party(session, statement), what)
    require_ground(reason)
    agreement = session.get_one(Agreement, statement.agreement_id)
    lock(session, agreement)
    session.refresh(statement)
    if statement.reverses is not None:
        raise Conflict(
            "Statement {number} is a reversal, which cannot be reversed: draft the period anew.",
            number=statement.number,
        )
    found = session.scalar(
        select(Statement).where(Statement.reverses == statement.id, Statement.state != "rejected")
    )
    if found is not None:
        return found
    move("statement", "reverse", statement.state)
    last = previous(session, agreement)
    if last is not None and last.id != statement.id:
        raise Conflict(
            "Only the last statement of an agreement can be reversed: {number}.", number=last.number
        )
    _require_not_held(session, statement)
    require_not_limited(session, statement)
    _require_not_divided(session, statement)
    year = local_date(now).year
    salts = [secrets.token_hex(16) for _ in statement.lines]
    undoing = Statement(
        **{name: value for name, value in statement.body().items() if name in _TAKEN_BACK},
        id=new_id(), number=f"FP{year}-{next_number(session, f'FP{year}'):04d}", payment_ids=[],
        deficits_before=statement.deficits_after, deficits_after=statement.deficits_before,
        line_salts=salts, line_root=line_root(statement.lines, salts).hex(),
        salt=secrets.token_hex(16), maker_id=actor.member_id, checker_id=None, approval={},
        chain_version=0, approvals_required=None, approvals=[], reverses=statement.id, sent_back=0,
        state=move("statement", "draft", None),
    )  # fmt: skip
    undoing.digest = digest_text(canonical(content(undoing)))
    log.append(session, undoing, "statement.drafted", actor.member_id, reason=reason.strip())
    session.flush()
    return undoing


_TAKEN_BACK = {
    "agreement_id", "amount_fen", "covers", "derivation", "facts", "from_on", "late_fen", "lines",
    "own_fen", "period_id", "scheme_id", "through_n", "trade_count", "until_on",
}  # fmt: skip


def is_reversible(session: Session, statement: Statement) -> bool:
    """Whether it is the last one that stands of its agreement, is booked, and nobody takes it back yet."""
    if statement.state != "posted" or statement.reverses is not None:
        return False
    last = previous(session, session.get_one(Agreement, statement.agreement_id))
    taken = select(Statement.id).where(
        Statement.reverses == statement.id, Statement.state != "rejected"
    )
    return last is not None and last.id == statement.id and session.scalar(taken) is None


def _require_not_held(session: Session, statement: Statement) -> None:
    held = session.scalars(
        select(books.BookAccount.party).where(
            books.BookAccount.book == statement.agreement_id, books.BookAccount.held_fen > 0,
            books.BookAccount.account.in_((books.PAYABLE, books.TREASURY)),
            books.BookAccount.party.in_({line["party"] for line in statement.lines}),
        )
    ).all()  # fmt: skip
    if held:
        raise Conflict(
            "Money is set aside for payment to {parties}: let the payment be made or cancelled before "
            "statement {number} is reversed.",
            parties=", ".join(sorted(held)), number=statement.number,
        )  # fmt: skip


def require_not_limited(session: Session, statement: Statement) -> None:
    """Raise Conflict where a limit of an account keeps what the reversal takes back, naming each."""
    faults = kept_by_limits(session, statement, {})
    if faults:
        raise Conflict(
            "Statement {number} cannot be reversed: {faults}; the finance department lifts the limit "
            "first, by two persons.",
            number=statement.number, faults=faults,
        )  # fmt: skip


def kept_by_limits(
    session: Session, statement: Statement, taken: Mapping[books.Key, int]
) -> Faults:
    """What limits keep of what a statement's reversal takes back, if that much is taken besides."""
    entry = books.entry_of(session, statement.id)
    assert entry is not None, statement.number
    back = books.moved(books.reversed_lines(entry.lines))
    faults = Faults()
    for row in books.limited(session, statement.agreement_id):
        key = (row.account, row.party)
        left = row.posted_fen - row.held_fen + back.get(key, 0) - taken.get(key, 0)
        if key in back and row.floor_fen is not None and left < row.floor_fen:
            faults.name_fault(
                "limit {limit} keeps {floor} yuan on {account}, and {left} yuan would be left", at="lines",
                account=f"{row.account} {row.party}".strip(), floor=yuan(row.floor_fen), left=yuan(left),
                limit=row.limited_by,
            )  # fmt: skip
    return faults


def _require_not_divided(session: Session, statement: Statement) -> None:
    """Raise Conflict where what the reversal takes back was divided among successors, naming each voucher.

    Else the payee that ended would stand below nought, and its successors be paid what nobody owes.
    """
    entry = books.entry_of(session, statement.id)
    assert entry is not None, statement.number
    faults = Faults()
    for (account, party), rise in books.moved(books.reversed_lines(entry.lines)).items():
        divided = journals.divisions(session, statement.agreement_id, account, party)
        row = session.get(books.BookAccount, (statement.agreement_id, account, party),
                          populate_existing=True)  # fmt: skip
        if divided and row is not None and row.posted_fen + rise < 0:
            faults.name_fault(
                "{yuan} yuan of {account} were divided by {numbers}", at="lines",
                account=f"{account} {party}", yuan=yuan(min(-rise, -rise - row.posted_fen)),
                numbers=", ".join(one.number for one in divided),
            )  # fmt: skip
    if faults:
        raise Conflict(
            "Statement {number} cannot be reversed: {faults}; the finance department takes back as much of "
            "the divisions first, by two persons.",
            number=statement.number, faults=faults,
        )  # fmt: skip


def undo(
    session: Session, now: datetime, actor_id: str, undoing: Statement, on: str, term: str
) -> None:
    """Book the original's entry back and let it stand no longer."""
    original = session.get_one(Statement, undoing.reverses)
    entry = books.entry_of(session, original.id)
    assert entry is not None, original.number
    books.reverse(
        session, actor_id, now, entry, cause=undoing, effective_on=on,
        memo=f"冲销收益分配 {original.number}（{term}）",
    )  # fmt: skip
    original.state = move("statement", "reverse", original.state)
    log.append(session, original, "statement.reversed", actor_id)
    release(session, original, actor_id)


def release(session: Session, statement: Statement, actor_id: str) -> None:
    """Free the payments of a statement of before; those of today are free once it does not stand."""
    for payment in session.scalars(select(Payment).where(Payment.statement_id == statement.id)):
        payment.statement_id = None
        log.append(session, payment, "payment.released", actor_id)
