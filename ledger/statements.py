"""Statements (收益分配单) as they are recorded, and where each stands among those of its agreement.

line leaf = SHA-256(0x00 ‖ salt16 ‖ canonical line), so each payee can be given a proof of his line
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, and_, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, log
from ledger.agreements import Agreement
from ledger.coverage import NOWHERE, Reach
from ledger.errors import Conflict, Missing, NotAllowed
from ledger.parties import Actor, Member, may, party_of, require_other
from ledger.proof.bundle import row_hash
from ledger.proof.merkle import root
from ledger.settlements import Settlement
from ledger.store import Evidence
from ledger.trading import Payment

MAKER = "finance_maker"
MADE = ("statement.drafted", "statement.corrected", "statement.proposed")  # a maker's records
UNFINISHED = ("drafted", "proposed", "approved")
COUNTED_DAYS = (
    30  # statements, or payouts, of one agreement within them are one sum for the threshold
)
_STANDS = "state NOT IN ('rejected', 'reversed') AND reverses IS NULL"
_REVERSES = "state <> 'rejected' AND reverses IS NOT NULL"


class Statement(Evidence):
    """The distribution of one period's revenue (收益分配单), or the reversal of one.

    Statements of before name their payments and say nothing of period, coverage, approvals and reversal.
    """

    __tablename__ = "statements"
    __table_args__ = (
        Index("statements_standing", "agreement_id", "until_on", unique=True,
              sqlite_where=text(_STANDS), postgresql_where=text(_STANDS)),
        Index("statements_reversing", "reverses", unique=True, sqlite_where=text(_REVERSES),
              postgresql_where=text(_REVERSES)),
    )  # fmt: skip
    subject_type = "statement"
    number: Mapped[str] = mapped_column(unique=True)
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    scheme_id: Mapped[str] = mapped_column(String(36), ForeignKey("schemes.id"))
    from_on: Mapped[str]
    until_on: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    payment_ids: Mapped[list[Any]]
    facts: Mapped[dict[str, Any]]
    lines: Mapped[list[Any]]
    derivation: Mapped[dict[str, Any]]
    line_salts: Mapped[list[Any]]
    deficits_before: Mapped[dict[str, Any]]
    deficits_after: Mapped[dict[str, Any]]
    salt: Mapped[str]
    digest: Mapped[str]
    line_root: Mapped[str]
    maker_id: Mapped[str]
    checker_id: Mapped[str | None]
    approval: Mapped[dict[str, Any]]
    chain_version: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    period_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("periods.id"))
    through_n: Mapped[int | None] = mapped_column(BigInteger)
    trade_count: Mapped[int | None] = mapped_column(BigInteger)
    own_fen: Mapped[int | None] = mapped_column(BigInteger)
    late_fen: Mapped[int | None] = mapped_column(BigInteger)
    covers: Mapped[dict[str, Any] | None]
    """{"after": the region before, "late" and "own": its sums, "period": number, "through_n"}"""
    approvals_required: Mapped[int | None] = mapped_column(BigInteger)
    approvals: Mapped[list[Any] | None]
    """[{"address", "checker_id", "deadline", "nonce", "signature"}] in the order in which they signed"""
    reverses: Mapped[str | None] = mapped_column(String(36))
    sent_back: Mapped[int | None] = mapped_column(BigInteger)
    """how often; each time it comes back it goes to the chain under a key of its own"""


STANDS = and_(Statement.state.not_in(("rejected", "reversed")), Statement.reverses.is_(None))


def content(statement: Statement) -> dict[str, Any]:
    """What the maker proposes and the checkers sign; its canonical form has the digest on chain."""
    told = {
        "agreement": statement.agreement_id,
        "amount_fen": statement.amount_fen,
        "deficits_after": statement.deficits_after,
        "deficits_before": statement.deficits_before,
        "derivation": statement.derivation,
        "facts": statement.facts,
        "from_on": statement.from_on,
        "line_salts": statement.line_salts,
        "lines": statement.lines,
        "number": statement.number,
        "salt": statement.salt,
        "scheme": statement.scheme_id,
        "until_on": statement.until_on,
    }
    if statement.covers is None:
        told["payments"] = statement.payment_ids
    else:
        told["covers"] = statement.covers
    return told if statement.reverses is None else {**told, "reverses": statement.reverses}


def line_root(lines: Sequence[Mapping[str, Any]], salts: Sequence[str]) -> bytes:
    """The RFC 6962 root over the salted lines."""
    return root(
        [row_hash(bytes.fromhex(salt), line) for line, salt in zip(lines, salts, strict=True)]
    )


def chain_key(origin: str, statement: Statement) -> bytes:
    """The name a contract knows the statement by; one that was sent back comes under another one."""
    return key_of(origin, statement.id, statement.sent_back)


def key_of(origin: str, statement_id: str, sent_back: int | None) -> bytes:
    """The same from a record's body."""
    return log.digest_key(origin, f"{statement_id}/{sent_back}" if sent_back else statement_id)


def previous(
    session: Session, agreement: Agreement, before_on: str | None = None, *,
    but: Statement | None = None,
) -> Statement | None:  # fmt: skip
    """The agreement's last statement that stands, or the last one that ended before a day."""
    wanted = select(Statement).where(Statement.agreement_id == agreement.id, STANDS)
    if before_on is not None:
        wanted = wanted.where(Statement.until_on < before_on)
    if but is not None:
        wanted = wanted.where(Statement.id != but.id)
    return session.scalars(wanted.order_by(Statement.until_on.desc()).limit(1)).first()


def reach_of(session: Session, statement: Statement | None) -> Reach:
    """How far a statement's region goes; that of one of before, to the last payment assigned by then."""
    if statement is None:
        return NOWHERE
    if statement.through_n is not None:
        return Reach(statement.through_n, statement.until_on)
    return Reach(session.scalar(select(assigned(statement.agreement_id))) or 0, statement.until_on)


def assigned(agreement_id: Any) -> Any:
    """The greatest number among the payments that statements of before name."""
    return (
        select(func.max(Settlement.n))
        .join(Payment, Payment.id == Settlement.source_id)
        .where(Settlement.agreement_id == agreement_id, Payment.statement_id.is_not(None))
        .scalar_subquery()
    )


def by_number(session: Session, number: str) -> Statement:
    """The statement with a number; raises Missing."""
    found = session.scalar(select(Statement).where(Statement.number == number))
    if found is None:
        raise Missing("There is no statement {number}.", number=number)
    return found


def owners(session: Session, statement: Statement) -> tuple[str, str]:
    """Whose business a statement is: both sides' of its agreement."""
    return agreements.owners(session.get_one(Agreement, statement.agreement_id))


def makers_party(session: Session, statement: Statement) -> str:
    """The organisation whose second person decides on the statement."""
    return party_of(session, statement.maker_id)


def makes(session: Session, actor: Actor, statement: Statement) -> bool:
    """Whether it is his to bring on: its maker's, or a colleague's once its maker makes none any more."""
    if actor.member_id == statement.maker_id:
        return True
    return MAKER not in session.get_one(Member, statement.maker_id).roles


def require_maker(session: Session, actor: Actor, statement: Statement, verb: str) -> None:
    """Raise NotAllowed unless it is his to bring on; a colleague who takes it over is its maker then."""
    what = f"statement {statement.number}"
    may(actor, f"statement.{verb}", makers_party(session, statement), what)
    if not makes(session, actor, statement):
        raise NotAllowed("Only the maker proposes statement {number}.", number=statement.number)
    statement.maker_id = actor.member_id


def require_decider(session: Session, actor: Actor, statement: Statement, verb: str) -> None:
    what = f"statement {statement.number}"
    may(actor, f"statement.{verb}", makers_party(session, statement), what)
    made = (log.payload_of(one) for one in log.history(session, statement.id) if one.kind in MADE)
    require_other(actor, [statement.maker_id, *(one["actor"] for one in made)], what)


def require_finished(session: Session, agreement: Agreement) -> None:
    """Raise Conflict while a statement of the agreement, a reversal too, is not in the books yet."""
    open_one = session.scalars(
        select(Statement).where(
            Statement.agreement_id == agreement.id, Statement.state.in_(UNFINISHED)
        )
    ).first()
    if open_one is not None:
        raise Conflict(
            "Statement {number} is {state}; finish it first.",
            number=open_one.number, state=open_one.state,
        )  # fmt: skip


def reversal_under_way(session: Session, agreement_id: str) -> Statement | None:
    """The reversal of an agreement's statement that is neither booked nor rejected yet, or None."""
    return session.scalars(
        select(Statement)
        .where(
            Statement.agreement_id == agreement_id, Statement.reverses.is_not(None),
            Statement.state.in_(UNFINISHED),
        )
        .limit(1)
    ).first()  # fmt: skip


def require_no_reversal(session: Session, agreement_id: str) -> None:
    """Raise Conflict while a reversal is under way: what it takes back must not be paid meanwhile."""
    found = reversal_under_way(session, agreement_id)
    if found is not None:
        raise Conflict(
            "Reversal {number} is {state}: nothing of this agreement is paid until it is booked or "
            "rejected.",
            number=found.number, state=found.state,
        )  # fmt: skip
