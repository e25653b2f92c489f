"""Journal vouchers (记账凭证): what finance books by hand, by two people, between a few accounts only.

    proposed → approved      by another person: the entry is made
             → rejected | withdrawn

What is received, shared out, refunded or paid is booked by its own deeds; `PAIRS` are all that is left to
be chosen by hand. The lines of an opening (期初入账) follow from the ledger alone, and it comes once per
book: payments recorded before there were books, and what public bodies were owed before 2204 was there.

    opening     Dr 1002 gross   Cr 2202 net   Cr 2221 VAT
                Dr 2203.<public body>         Cr 2204.<public body>
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, exists, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, books, log, periods
from ledger.agreements import Agreement, require_ground
from ledger.calendar import local_date
from ledger.errors import Conflict, Faults, Invalid, Missing, NotAllowed
from ledger.parties import Actor, Party, may, require_other
from ledger.settlements import Settlement
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number
from ledger.trading import Payment

# Debit → credit: bank fees, interest received, tax paid to the tax office, tax paid back by it.
PAIRS = ((books.FEES, books.BANK), (books.BANK, books.FEES), (books.VAT, books.BANK),
         (books.BANK, books.VAT))  # fmt: skip


class Journal(Evidence):
    """A journal voucher of an agreement's book: one amount from one account to another."""

    __tablename__ = "journals"
    subject_type = "journal"
    number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    """ "chosen" by hand from `PAIRS`, or "opening" """
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
        "effective_on": effective_on.isoformat(), "kind": "chosen", "memo": memo.strip(),
        "proposed_by": actor.member_id,
    }  # fmt: skip
    found = session.scalar(select(Journal).filter_by(**facts, state="proposed"))
    if found is not None:
        return found
    books.require_open(session, agreement.id, effective_on.isoformat())
    return _enter(session, actor, now, facts)


def propose_opening(session: Session, actor: Actor, now: datetime, agreement: Agreement) -> Journal:
    """Put before the checker what a book of before lacks; proposed or approved already, it is the same."""
    may(actor, "journal.propose")
    lock(session, agreement)
    found = opening_of(session, agreement)
    if found is not None:
        return found
    amount_fen, lines = opening_lines(session, agreement.id)
    if not lines:
        raise Invalid(
            "Nothing of agreement {number} is left out of its book.", number=agreement.number
        )
    today = local_date(now).isoformat()
    return _enter(session, actor, now, {
        "agreement_id": agreement.id, "amount_fen": amount_fen, "credit": books.UNDISTRIBUTED,
        "debit": books.BANK, "effective_on": periods.open_day(session, agreement.id, today),
        "kind": "opening", "memo": "期初入账", "proposed_by": actor.member_id,
    })  # fmt: skip


def opening_of(session: Session, agreement: Agreement) -> Journal | None:
    """The opening of a book, proposed or approved."""
    return session.scalar(
        select(Journal).where(
            Journal.agreement_id == agreement.id, Journal.kind == "opening",
            Journal.state.in_(("proposed", "approved")),
        )
    )  # fmt: skip


def lacks_opening(session: Session, agreement: Agreement) -> bool:
    """Whether a book lacks what an opening would enter, and nobody proposed one."""
    return opening_of(session, agreement) is None and bool(opening_lines(session, agreement.id)[1])


def opening_lines(session: Session, agreement_id: str) -> tuple[int, list[dict[str, Any]]]:
    """What was received and stands in no entry, gross, and the lines that an opening enters."""
    total = func.coalesce
    gross, vat, net = session.execute(
        select(
            total(func.sum(Settlement.amount_fen), 0), total(func.sum(Settlement.vat_fen), 0),
            total(func.sum(Settlement.net_fen), 0),
        )
        .join(Payment, Payment.id == Settlement.source_id)
        .where(
            Payment.n.is_(None), Settlement.day == Payment.received_on,
            Settlement.agreement_id == agreement_id, Settlement.kind == "payment",
            ~exists().where(books.Entry.cause_id == Payment.id),
        )
    ).one()  # fmt: skip
    lines = [
        _line(books.BANK, int(gross), 0), _line(books.UNDISTRIBUTED, 0, int(net)),
        _line(books.VAT, 0, int(vat)),
    ]  # fmt: skip
    public = session.execute(
        select(books.BookAccount.party, books.BookAccount.posted_fen)
        .join(Party, Party.uscc == books.BookAccount.party)
        .where(
            books.BookAccount.book == agreement_id, books.BookAccount.account == books.PAYABLE,
            books.BookAccount.posted_fen > 0, Party.kind == "public_body",
        )
        .order_by(books.BookAccount.party)
    )  # fmt: skip
    for party, fen in public.tuples():
        lines += [_line(books.PAYABLE, fen, 0, party), _line(books.TREASURY, 0, fen, party)]
    return int(gross), [one for one in lines if one["debit_fen"] or one["credit_fen"]]


def _enter(session: Session, actor: Actor, now: datetime, facts: dict[str, Any]) -> Journal:
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
    if journal.kind == "opening":
        books.begin(session)  # what stands on the accounts is read for it
        today = local_date(now).isoformat()
        journal.effective_on = periods.open_day(session, journal.agreement_id, today)
        gross, lines = opening_lines(session, journal.agreement_id)
        if gross != journal.amount_fen:
            raise Conflict(
                "Journal {number} is not what is left out of the book any more: reject it and propose "
                "anew.",
                number=journal.number,
            )
    else:
        lines = [
            _line(journal.debit, journal.amount_fen, 0), _line(journal.credit, 0, journal.amount_fen)
        ]  # fmt: skip
    entry = books.post(
        session, actor.member_id, now, cause=journal, book_id=journal.agreement_id,
        effective_on=journal.effective_on, memo=journal.memo, lines=lines,
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


def _line(
    account: str, debit_fen: int, credit_fen: int, party: str | None = None
) -> dict[str, Any]:
    return {
        "account": account, "credit_fen": credit_fen, "debit_fen": debit_fen, "party_id": party,
    }  # fmt: skip
