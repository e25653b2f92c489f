"""Remittances (来款): money received that is for no licence yet, once per bank reference.

prepayment   of a buyer, against later orders       Dr 1002 银行存款   Cr 2205.<buyer> 预收账款
clearing     of an exchange, for confirmed trades   Dr 1002 银行存款   Cr 1122.<exchange> 应收账款
"""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, books, log, periods, trading
from ledger.agreements import Agreement
from ledger.errors import Faults, Missing
from ledger.parties import Actor, Member, Party, may, require_active
from ledger.store import Evidence, lock, new_id
from valuation.money import yuan

PURPOSES = {"prepayment": books.PREPAID, "clearing": books.DUE}


class Remittance(Evidence):
    """Money of a buyer or an exchange, received under an agreement."""

    __tablename__ = "remittances"
    subject_type = "remittance"
    reference: Mapped[str] = mapped_column(unique=True)
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    purpose: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    received_on: Mapped[str]
    recorded_by: Mapped[str]
    undone_by: Mapped[str | None] = mapped_column(String(36))
    """the refund that undid it, where it never was at the bank"""


def record(
    session: Session,
    actor: Actor,
    now: datetime,
    agreement: Agreement,
    *,
    party: Party | None,
    purpose: str,
    amount_fen: int,
    received_on: str,
    reference: str,
    faults: Faults | None = None,
) -> Remittance:
    """Record money received from a party; the same reference again is the same remittance.

    Raises every fault at once, with those known already: that nobody knows who paid (None) is one.
    """
    may(actor, "remittance.record")
    trading.hold_reference(session, reference)
    found = session.scalar(select(Remittance).where(Remittance.reference == reference))
    if found is not None:
        known = (
            found.agreement_id, found.party_id, found.purpose, found.amount_fen, found.received_on,
        )  # fmt: skip
        if known == (agreement.id, party and party.id, purpose, amount_fen, received_on):
            return found
    faults = faults or Faults()
    faults.add(trading.receipt_faults(session, now, amount_fen, received_on, reference, agreement))
    if purpose not in PURPOSES:
        faults.name_fault(
            "the field {name} must be one of {choices}", at="purpose", name="purpose",
            choices=", ".join(PURPOSES),
        )  # fmt: skip
    if amount_fen == 0:
        faults.name_fault("an amount above 0 must have been received", at="amount_yuan")
    lock(session, agreement)  # whoever closes the period takes the same lock
    if party is not None:
        faults.tried("party", require_active, party)
        if purpose == "clearing":
            _name_not_due(session, faults, agreement, party, amount_fen)
    trading.refuse_receipt(faults)
    assert party is not None, reference  # else the faults would say so
    made = Remittance(
        id=new_id(), reference=reference, agreement_id=agreement.id, party_id=party.id,
        purpose=purpose, amount_fen=amount_fen, received_on=received_on,
        recorded_by=actor.member_id, undone_by=None,
    )  # fmt: skip
    log.append(session, made, "remittance.recorded", actor.member_id)
    session.flush()
    books.post(
        session, actor.member_id, now, cause=made, book_id=agreement.id,
        effective_on=periods.open_day(session, agreement.id, received_on), memo=f"来款 {reference}",
        lines=[
            {"account": books.BANK, "credit_fen": 0, "debit_fen": amount_fen, "party_id": None},
            {"account": PURPOSES[purpose], "credit_fen": amount_fen, "debit_fen": 0,
             "party_id": party.uscc},
        ],
    )  # fmt: skip
    return made


def _name_not_due(
    session: Session, faults: Faults, agreement: Agreement, party: Party, amount_fen: int
) -> None:
    """What is cleared is due from an exchange."""
    if not _is_exchange(session, party):
        faults.name_fault(
            "{name} ({uscc}) is no exchange", at="party", name=party.name, uscc=party.uscc
        )
        return
    due_fen = books.balance(session, agreement.id, books.DUE, party.uscc)
    if amount_fen > due_fen:
        faults.name_fault(
            "from {name} {due} yuan are due: it does not clear {amount} yuan", at="amount_yuan",
            name=party.name, due=yuan(due_fen), amount=yuan(amount_fen),
        )  # fmt: skip


def owners(session: Session, row: Remittance) -> tuple[str, ...]:
    """Whose business a remittance is: both sides' of its agreement, and who paid."""
    return *agreements.owners(session.get_one(Agreement, row.agreement_id)), row.party_id


def by_reference(session: Session, reference: str) -> Remittance:
    """The remittance with a bank reference; raises Missing."""
    found = session.scalar(select(Remittance).where(Remittance.reference == reference))
    if found is None:
        raise Missing("There is no payment {reference}.", reference=reference)
    return found


def _is_exchange(session: Session, party: Party) -> bool:
    roles = session.scalars(select(Member.roles).where(Member.party_id == party.id))
    return any("exchange" in one for one in roles)
