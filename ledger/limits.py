"""Limits of accounts (账户限额, 留存): below what one account of a book never falls while they hold.

A court or a dispute may ask that so much of what is owed stays. A limit only tightens what the account's
kind says already; one person of finance proposes it and another decides, and so is it lifted.

    proposed → approved → superseded          by the next one of the same account, a lifting too
             → rejected | withdrawn

The decision writes the floor to the account under the book's lock, so that the database's own CHECK keeps
it; every refusal of `books` then names the limit. What is held already stays held: a limit is refused where
less than it would be left. An account that another deed must be able to lower whatever happens has none:
`LIMITED` are what is owed to somebody, and the bank account.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, books, log, statements
from ledger.agreements import Agreement, require_ground
from ledger.books import ACCOUNTS, BookAccount
from ledger.calendar import local_date
from ledger.errors import Conflict, Faults, Invalid, Missing, NotAllowed
from ledger.parties import Actor, may, require_other
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number
from valuation.money import yuan

LIMITED = (books.BANK, books.PAYABLE, books.TREASURY, books.PREPAID, books.REFUNDS)
SHARES = (books.PAYABLE, books.TREASURY)  # what the reversal of a statement takes back
_STANDS, _WAITS = text("state = 'approved'"), text("state = 'proposed'")
_ONE = ("agreement_id", "account", "party")


class AccountLimit(Evidence):
    """So much of an account must stay; with `floor_fen` None, no longer anything but its kind's floor."""

    __tablename__ = "account_limits"
    __table_args__ = (
        CheckConstraint("floor_fen >= 0", name="account_limits_floor"),
        Index("account_limits_standing", *_ONE, unique=True, sqlite_where=_STANDS,
              postgresql_where=_STANDS),
        Index("account_limits_waiting", *_ONE, unique=True, sqlite_where=_WAITS,
              postgresql_where=_WAITS),
    )  # fmt: skip
    subject_type = "limit"
    number: Mapped[str] = mapped_column(unique=True)
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    account: Mapped[str]
    party: Mapped[str]
    """the social credit code; "" of an account that not each party has of its own"""
    floor_fen: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str]
    basis: Mapped[str]
    """the document it rests on: the court's notice, the minutes of a dispute"""
    document_digest: Mapped[str | None]
    proposed_by: Mapped[str]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    state: Mapped[str]


def propose(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, *, account: str, floor_fen: int,
    reason: str, basis: str, party: str = "", document_digest: str = "",
) -> AccountLimit:  # fmt: skip
    """Put a limit before the checker; the same facts again are the same limit.

    Raises Invalid naming every fault, where less is free than is to stay by how much, and Conflict while
    another one of the account waits to be decided.
    """
    may(actor, "limit.propose")
    lock(session, agreement)
    faults = Faults()
    kind = ACCOUNTS.get(account)
    if kind is None or account not in LIMITED:
        faults.name_fault(
            "account {account} takes no limit: only {accounts} do", at="account", account=account,
            accounts=", ".join(LIMITED),
        )  # fmt: skip
    elif kind.per_party and not party:
        faults.name_fault("account {account} is kept for each party", at="party", account=account)
    elif party and not kind.per_party:
        faults.name_fault(
            "account {account} is not kept for each party", at="party", account=account
        )
    elif row_of(session, agreement.id, account, party) is None:
        faults.name_fault(
            "nothing was booked on {account} of this agreement yet", at="party",
            account=f"{account} {party}".strip(),
        )  # fmt: skip
    least = 0 if kind is None else kind.floor_fen or 0
    if type(floor_fen) is not int or not least <= floor_fen <= books.LINE_FEN_MAX:
        faults.name_fault("at least {least} yuan must stay", at="floor_yuan", least=yuan(least))
    if not reason.strip():
        faults.name_fault("say why it must stay", at="reason")
    if not basis.strip():
        faults.name_fault("say on which document it rests", at="basis")
    if faults:
        raise Invalid("The limit breaks: {faults}.", faults=faults)
    return _enter(session, actor, now, {
        "account": account, "agreement_id": agreement.id, "basis": basis.strip(),
        "document_digest": document_digest or None, "floor_fen": floor_fen, "party": party,
        "reason": reason.strip(),
    })  # fmt: skip


def propose_lift(
    session: Session, actor: Actor, now: datetime, limit: AccountLimit, *, reason: str, basis: str,
    document_digest: str = "",
) -> AccountLimit:  # fmt: skip
    """Put before the checker that the account of a limit that stands has none any more."""
    may(actor, "limit.propose")
    lock(session, session.get_one(Agreement, limit.agreement_id))
    session.refresh(limit)
    if limit.floor_fen is None:
        raise Conflict("Limit {number} is a lifting itself.", number=limit.number)
    if limit.state != "approved":
        raise Conflict(
            "Limit {number} does not hold ({state}): there is nothing to lift.",
            number=limit.number,
            state=limit.state,
        )
    if not (reason.strip() and basis.strip()):
        raise Invalid("State why the limit is lifted, and on which document that rests.")
    return _enter(session, actor, now, {
        "account": limit.account, "agreement_id": limit.agreement_id, "basis": basis.strip(),
        "document_digest": document_digest or None, "floor_fen": None, "party": limit.party,
        "reason": reason.strip(),
    })  # fmt: skip


def _enter(session: Session, actor: Actor, now: datetime, facts: dict[str, Any]) -> AccountLimit:
    place = {name: facts[name] for name in _ONE}
    waiting = session.scalar(select(AccountLimit).filter_by(**place, state="proposed"))
    for known in (waiting, standing(session, **place)):
        if known is not None and all(getattr(known, name) == facts[name] for name in facts):
            return known
    if waiting is not None:
        raise Conflict(
            "Limit {number} of the same account still waits: it is approved, rejected or withdrawn first.",
            number=waiting.number,
        )
    year = local_date(now).year
    made = AccountLimit(
        **facts, id=new_id(), number=f"XE{year}-{next_number(session, f'XE{year}'):04d}",
        proposed_by=actor.member_id, decided_by=None, decided_at=None,
        state=move("limit", "propose", None),
    )  # fmt: skip
    _require_left(session, made)
    log.append(session, made, "limit.proposed", actor.member_id)
    session.flush()
    return made


def approve(session: Session, actor: Actor, now: datetime, limit: AccountLimit) -> None:
    """Another person decides that it holds from now on; the one before of the same account no more.

    Refused where less is left of the account, and while the reversal of a statement is under way, which
    the limit could make impossible after it was signed.
    """
    may(actor, "limit.approve")
    require_other(actor, [limit.proposed_by], f"limit {limit.number}")
    lock(session, session.get_one(Agreement, limit.agreement_id))
    session.refresh(limit)
    state = move("limit", "approve", limit.state)
    if limit.floor_fen is not None and limit.account in SHARES:
        statements.require_no_reversal(session, limit.agreement_id)
    books.begin(session)
    _require_left(session, limit)
    before = standing(session, limit.agreement_id, limit.account, limit.party)
    if before is not None:
        before.state = move("limit", "supersede", before.state)
        log.append(session, before, "limit.superseded", actor.member_id, reason=limit.number)
        session.flush()  # first the one ends, then the other holds
    limit.state, limit.decided_by = state, actor.member_id
    limit.decided_at = now.replace(microsecond=0)
    row = row_of(session, limit.agreement_id, limit.account, limit.party)
    assert row is not None, limit.number
    row.floor_fen, row.limited_by = floor_of(limit)
    log.append(session, limit, "limit.approved", actor.member_id)
    session.flush()


def reject(session: Session, actor: Actor, now: datetime, limit: AccountLimit, reason: str) -> None:
    """Another person sends the proposal back, and says why."""
    may(actor, "limit.reject")
    require_other(actor, [limit.proposed_by], f"limit {limit.number}")
    require_ground(reason)
    limit.state = move("limit", "reject", limit.state)
    limit.decided_by, limit.decided_at = actor.member_id, now.replace(microsecond=0)
    log.append(session, limit, "limit.rejected", actor.member_id, reason=reason.strip())


def withdraw(
    session: Session, actor: Actor, now: datetime, limit: AccountLimit, reason: str
) -> None:
    """Its maker takes the proposal back."""
    may(actor, "limit.withdraw")
    if actor.member_id != limit.proposed_by:
        raise NotAllowed("Only its maker withdraws limit {number}.", number=limit.number)
    require_ground(reason)
    limit.state = move("limit", "withdraw", limit.state)
    log.append(session, limit, "limit.withdrawn", actor.member_id, reason=reason.strip())


def floor_of(limit: AccountLimit) -> tuple[int | None, str | None]:
    """What a limit that stands writes to its account: the floor, and the number that keeps it."""
    if limit.floor_fen is None:
        return ACCOUNTS[limit.account].floor_fen, None
    return limit.floor_fen, limit.number


def standing(session: Session, agreement_id: str, account: str, party: str) -> AccountLimit | None:
    """The last limit that was decided of an account; a lifting has no floor."""
    return session.scalar(
        select(AccountLimit).filter_by(
            account=account, agreement_id=agreement_id, party=party, state="approved"
        )
    )


def row_of(session: Session, agreement_id: str, account: str, party: str) -> BookAccount | None:
    """What stands on the account now, read anew; None where nothing was ever booked on it."""
    return session.get(BookAccount, (agreement_id, account, party), populate_existing=True)


def _require_left(session: Session, limit: AccountLimit) -> None:
    row = row_of(session, limit.agreement_id, limit.account, limit.party)
    assert row is not None, limit.number
    free = row.posted_fen - row.held_fen
    if limit.floor_fen is not None and free < limit.floor_fen:
        raise Invalid(
            "On {account} stand {posted} yuan, of which {held} yuan are held: of the {floor} yuan that are "
            "to stay {short} yuan are missing.",
            account=f"{limit.account} {limit.party}".strip(), floor=yuan(limit.floor_fen),
            held=yuan(row.held_fen), posted=yuan(row.posted_fen), short=yuan(limit.floor_fen - free),
        )  # fmt: skip


def owners(session: Session, limit: AccountLimit) -> tuple[str, ...]:
    """Whose business a limit is: both sides' of its agreement."""
    return agreements.owners(session.get_one(Agreement, limit.agreement_id))


def by_number(session: Session, number: str) -> AccountLimit:
    """The limit with a number; raises Missing."""
    found = session.scalar(select(AccountLimit).where(AccountLimit.number == number))
    if found is None:
        raise Missing("There is no limit {number}.", number=number)
    return found
