"""Journal vouchers (记账凭证): what finance books by hand, by two people, between a few accounts only.

    proposed → approved      by another person: the entry is made
             → rejected | withdrawn

What is received, shared out, refunded or paid is booked by its own deeds; `PAIRS` are all that is left.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, books, log
from ledger.agreements import Agreement, require_ground
from ledger.calendar import local_date
from ledger.errors import Faults, Invalid, Missing, NotAllowed
from ledger.parties import Actor, may, require_other
from ledger.states import move
from ledger.store import Evidence, new_id, next_number

# Debit → credit: bank fees, interest received, tax paid to the tax office, tax paid back by it.
PAIRS = ((books.FEES, books.BANK), (books.BANK, books.FEES), (books.VAT, books.BANK),
         (books.BANK, books.VAT))  # fmt: skip


class Journal(Evidence):
    """A journal voucher of an agreement's book: one amount from one account to another."""

    __tablename__ = "journals"
    subject_type = "journal"
    number: Mapped[str] = mapped_column(unique=True)
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    effective_on: Mapped[str]
    memo: Mapped[str]
    debit: Mapped[str]
    credit: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    proposed_by: Mapped[str]
    decided_by: Mapped[str | None]
    entry_id: Mapped[str | None] = mapped_column(String(36))
    state: Mapped[str]


def propose(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, *, debit: str, credit: str,
    amount_fen: int, effective_on: date, memo: str,
) -> Journal:  # fmt: skip
    """Put a voucher before the checker; the same one, still undecided, again is the same voucher."""
    may(actor, "journal.propose")
    faults = Faults()
    if (debit, credit) not in PAIRS:
        faults.name_fault(
            "a journal does not book from {credit} to {debit}: only bank fees, interest and tax; all "
            "else is booked by its own deed", at="debit", credit=credit, debit=debit,
        )  # fmt: skip
    if type(amount_fen) is not int or not 0 < amount_fen <= books.LINE_FEN_MAX:
        faults.name_fault("the amount is above nought", at="amount_yuan")
    if not memo.strip():
        faults.name_fault("say what it is for", at="memo")
    if effective_on > local_date(now):
        faults.name_fault("{day} lies in the future", at="effective_on", day=str(effective_on))
    if faults:
        raise Invalid("The journal voucher breaks: {faults}.", faults=faults)
    facts = {
        "agreement_id": agreement.id, "amount_fen": amount_fen, "credit": credit, "debit": debit,
        "effective_on": effective_on.isoformat(), "memo": memo.strip(), "proposed_by": actor.member_id,
    }  # fmt: skip
    found = session.scalar(select(Journal).filter_by(**facts, state="proposed"))
    if found is not None:
        return found
    books.require_open(session, agreement.id, effective_on.isoformat())
    year = local_date(now).year
    made = Journal(
        **facts, id=new_id(), number=f"PZ{year}-{next_number(session, f'PZ{year}'):04d}",
        decided_by=None, entry_id=None, state=move("journal", "propose", None),
    )  # fmt: skip
    log.append(session, made, "journal.proposed", actor.member_id)
    session.flush()
    return made


def approve(session: Session, actor: Actor, now: datetime, journal: Journal) -> books.Entry:
    """Another person approves: the voucher is booked."""
    may(actor, "journal.approve")
    require_other(actor, [journal.proposed_by], f"journal {journal.number}")
    state = move("journal", "approve", journal.state)
    entry = books.post(
        session, actor.member_id, now, cause=journal, book_id=journal.agreement_id,
        effective_on=journal.effective_on, memo=journal.memo,
        lines=[_line(journal.debit, journal.amount_fen, 0), _line(journal.credit, 0, journal.amount_fen)],
    )  # fmt: skip
    journal.state, journal.decided_by, journal.entry_id = state, actor.member_id, entry.id
    log.append(session, journal, "journal.approved", actor.member_id)
    session.flush()
    return entry


def reject(session: Session, actor: Actor, now: datetime, journal: Journal, reason: str) -> None:
    """Another person sends the voucher back, and says why."""
    may(actor, "journal.reject")
    require_other(actor, [journal.proposed_by], f"journal {journal.number}")
    require_ground(reason)
    journal.state = move("journal", "reject", journal.state)
    journal.decided_by = actor.member_id
    log.append(session, journal, "journal.rejected", actor.member_id, reason=reason.strip())


def withdraw(session: Session, actor: Actor, now: datetime, journal: Journal, reason: str) -> None:
    """Its maker takes the voucher back."""
    may(actor, "journal.withdraw")
    if actor.member_id != journal.proposed_by:
        raise NotAllowed("Only its maker withdraws journal {number}.", number=journal.number)
    require_ground(reason)
    journal.state = move("journal", "withdraw", journal.state)
    log.append(session, journal, "journal.withdrawn", actor.member_id, reason=reason.strip())


def owners(session: Session, journal: Journal) -> Sequence[str]:
    """Whose business a voucher is: both sides' of its agreement."""
    return agreements.owners(session.get_one(Agreement, journal.agreement_id))


def by_number(session: Session, number: str) -> Journal:
    """The voucher with a number; raises Missing."""
    found = session.scalar(select(Journal).where(Journal.number == number))
    if found is None:
        raise Missing("There is no journal voucher {number}.", number=number)
    return found


def _line(account: str, debit_fen: int, credit_fen: int) -> dict[str, object]:
    return {
        "account": account,
        "credit_fen": credit_fen,
        "debit_fen": debit_fen,
        "party_id": None,
    }
