"""Refunds (退款) of a payment, of a confirmed trade, or of what was paid in advance, in whole or in part.

    proposed → approved     by another person: booked, and a settlement below nought on that day
             → rejected

    Dr 2202 待分配收入 net   Dr 2221 应交增值税 VAT   Cr 2241.<buyer> 应付退款
    Dr 2205.<buyer> 预收账款                          Cr 2241.<buyer> 应付退款    in advance: no settlement

A receipt that never was at the bank is undone (撤销): as a whole and in the same two steps, but its entry
is reversed and nothing is owed to anybody. The bank's reference is free again then.

No more is given back than was paid and not yet given back; what is proposed counts too. The VAT of all that
was refunded so far is its share of the payment's, half up, and a refund's own is what that grows by: so
refunds of the whole give back its VAT to the fen, in however many parts.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, books, confirmations, log, periods, settlements
from ledger.agreements import Agreement, require_ground
from ledger.calendar import local_date
from ledger.confirmations import Confirmation
from ledger.errors import Conflict, Invalid, Missing
from ledger.parties import Actor, Party, may, party_of, require_other
from ledger.reconciliation import Reconciliation
from ledger.remittances import Remittance
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number
from ledger.trading import Licence, Payment, check_amount
from valuation.money import yuan


class Refund(Evidence):
    """Money to be given back: of a payment, a remittance, or row `row` of a confirmation (else 0)."""

    __tablename__ = "refunds"
    subject_type = "refund"
    number: Mapped[str] = mapped_column(unique=True)
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    payment_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("payments.id"))
    confirmation_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("confirmations.id"))
    remittance_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("remittances.id"))
    row: Mapped[int] = mapped_column(BigInteger)
    undoes: Mapped[bool]
    """the receipt was none: its entry is reversed, and nothing is owed"""
    buyer: Mapped[str]
    """social credit code"""
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    vat_fen: Mapped[int | None]
    net_fen: Mapped[int | None]
    ground: Mapped[str]
    proposed_by: Mapped[str]
    decided_by: Mapped[str | None]
    decided_on: Mapped[str | None]
    n: Mapped[int | None]
    """its number among the settlements of its agreement"""
    state: Mapped[str]


@dataclass(frozen=True)
class Source:
    """What is refunded: the row that is held meanwhile, whose, how much was paid, and the VAT in it."""

    held: Payment | Confirmation | Remittance
    row: int
    agreement_id: str
    buyer: str
    amount_fen: int
    vat_fen: int


def of_payment(session: Session, payment: Payment) -> Source:
    """A payment as what is refunded; Conflict where it belongs to no agreement, so to no book."""
    agreement_id = book_of(session, payment)
    if agreement_id is None:
        raise Conflict(
            "Payment {reference} is in no agreement's books: it cannot be refunded here.",
            reference=payment.reference,
        )
    licence = session.get_one(Licence, payment.licence_id)
    buyer = session.get_one(Party, licence.licensee_id).uscc
    return Source(
        payment, 0, agreement_id, buyer, payment.amount_fen, payment.vat_fen
    )  # fmt: skip


def book_of(session: Session, payment: Payment) -> str | None:
    """The agreement in whose book a payment stands; one of before is found among its settlements."""
    return payment.agreement_id or settlements.book_of(session, payment.id, payment.received_on)


def of_trade(session: Session, confirmation: Confirmation, row: int) -> Source:
    """A confirmed trade as what is refunded; raises Missing where the confirmation has no such row."""
    trade = confirmations.trade(session, confirmation, row)
    return Source(
        confirmation, row, confirmation.agreement_id, trade["buyer"], trade["amount_fen"],
        trade["vat_fen"],
    )  # fmt: skip


def of_remittance(session: Session, remittance: Remittance) -> Source:
    """A remittance as what is refunded: there is no VAT in it yet."""
    payer = session.get_one(Party, remittance.party_id).uscc
    return Source(remittance, 0, remittance.agreement_id, payer, remittance.amount_fen, 0)


def propose(
    session: Session, actor: Actor, now: datetime, source: Source, *, amount_fen: int, ground: str,
    undoes: bool = False,
) -> Refund:  # fmt: skip
    """Put a refund before the checker; the same one proposed again by its maker is the same.

    `undoes`: the receipt never was at the bank, so that it is undone; then `amount_fen` is the whole.
    """
    may(actor, "refund.propose")
    require_ground(ground)
    check_amount(amount_fen, "amount")
    lock(session, source.held)  # what was refunded so far holds until this deed is done
    for known in _of(session, source, "proposed"):
        if (known.amount_fen, known.ground, known.proposed_by, known.undoes) == (
            amount_fen, ground.strip(), actor.member_id, undoes,
        ):  # fmt: skip
            return known
    taken = _sum(session, source, "proposed", "approved")
    if amount_fen == 0 or taken + amount_fen > source.amount_fen:
        raise Invalid(
            "Refunded or proposed so far {taken} yuan of {paid} yuan: {amount} yuan more does not fit.",
            taken=yuan(taken), paid=yuan(source.amount_fen), amount=yuan(amount_fen),
        )  # fmt: skip
    if undoes:
        _undoable(session, source)
    elif isinstance(source.held, Remittance):
        _require_unused(session, source.held, source.buyer, amount_fen)
    year = local_date(now).year
    held = source.held
    refund = Refund(
        id=new_id(), number=f"TK{year}-{next_number(session, f'TK{year}'):06d}",
        agreement_id=source.agreement_id, row=source.row, buyer=source.buyer,
        payment_id=held.id if isinstance(held, Payment) else None,
        confirmation_id=held.id if isinstance(held, Confirmation) else None,
        remittance_id=held.id if isinstance(held, Remittance) else None, undoes=undoes,
        amount_fen=amount_fen, vat_fen=None, net_fen=None, ground=ground.strip(),
        proposed_by=actor.member_id, decided_by=None, decided_on=None, n=None,
        state=move("refund", "propose", None),
    )  # fmt: skip
    log.append(session, refund, "refund.proposed", actor.member_id)
    session.flush()
    return refund


def approve(session: Session, actor: Actor, now: datetime, refund: Refund) -> None:
    """Another person approves: it is booked and settled today, and owed to the buyer."""
    source = _decide(session, actor, refund, "approve")
    state = move("refund", "approve", refund.state)
    before = _sum(session, source, "approved")
    if before + refund.amount_fen > source.amount_fen:
        raise AssertionError("more would be refunded than was paid")
    refund.vat_fen = vat_share(source, before + refund.amount_fen) - vat_share(source, before)
    refund.net_fen = refund.amount_fen - refund.vat_fen
    today = local_date(now).isoformat()
    agreement = session.get_one(Agreement, refund.agreement_id)
    if refund.remittance_id is None:
        refund.n = settlements.enter(
            session, agreement, day=today, kind="refund", amount_fen=-refund.amount_fen,
            vat_fen=-refund.vat_fen, net_fen=-refund.net_fen, source_id=refund.id,
        )  # fmt: skip
    refund.state, refund.decided_by, refund.decided_on = state, actor.member_id, today
    log.append(session, refund, "refund.approved", actor.member_id)
    session.flush()
    on = periods.open_day(session, agreement.id, today)
    if refund.undoes:
        _undo(session, actor, now, refund, source, on)
    else:
        books.post(
            session, actor.member_id, now, cause=refund, book_id=agreement.id, effective_on=on,
            memo=f"退款 {refund.number}", lines=_lines(refund),
        )  # fmt: skip


def reject(session: Session, actor: Actor, now: datetime, refund: Refund, reason: str) -> None:
    """Another person refuses, and says why; what was asked for may be proposed anew."""
    _decide(session, actor, refund, "reject")
    require_ground(reason)
    refund.state, refund.decided_by = move("refund", "reject", refund.state), actor.member_id
    refund.decided_on = local_date(now).isoformat()
    log.append(session, refund, "refund.rejected", actor.member_id, reason=reason.strip())
    session.flush()


def _undo(
    session: Session, actor: Actor, now: datetime, refund: Refund, source: Source, on: str
) -> None:
    """Reverse the receipt's entry, and give the bank's reference free for the right receipt."""
    receipt, entry = _undoable(session, source)
    books.reverse(
        session, actor.member_id, now, entry, cause=refund, effective_on=on,
        memo=f"撤销收款 {receipt.reference}",
    )  # fmt: skip
    receipt.undone_by = refund.id
    receipt.reference = f"{receipt.reference} ({refund.number})"
    if isinstance(receipt, Payment):
        log.append(session, receipt, "payment.undone", actor.member_id)
    else:
        log.append(session, receipt, "remittance.undone", actor.member_id)
    session.flush()


def _undoable(session: Session, source: Source) -> tuple[Payment | Remittance, books.Entry]:
    """The receipt and its entry; raises what forbids to undo it."""
    receipt = source.held
    entry = books.entry_of(session, receipt.id)
    if entry is None or isinstance(receipt, Confirmation):
        raise Conflict("Only a receipt that was recorded and booked by itself is undone.")
    matched = select(Reconciliation.pairs).where(Reconciliation.agreement_id == source.agreement_id)
    if any(pair[2] == entry.number for pairs in session.scalars(matched) for pair in pairs):
        raise Conflict(
            "The bank's statement shows {reference}: it was received, and is refunded instead.",
            reference=receipt.reference,
        )
    if isinstance(receipt, Remittance) and receipt.purpose == "prepayment":
        _require_unused(session, receipt, source.buyer, source.amount_fen)
    return receipt, entry


def _require_unused(session: Session, held: Remittance, payer: str, amount_fen: int) -> None:
    if held.purpose != "prepayment":
        raise Conflict(
            "What an exchange cleared is not refunded: {reference}.", reference=held.reference
        )
    row = session.get(books.BookAccount, (held.agreement_id, books.PREPAID, payer))
    free = row.posted_fen - row.held_fen if row else 0
    if row is not None and row.limited_by and free - (row.floor_fen or 0) < amount_fen <= free:
        raise Invalid(
            "Of what was paid in advance {free} yuan are unused, and limit {limit} keeps {floor} of them: "
            "ask the finance department, which alone lifts it by two persons.",
            floor=yuan(row.floor_fen or 0), free=yuan(free), limit=row.limited_by,
        )  # fmt: skip
    if amount_fen > free:
        raise Invalid(
            "Of what was paid in advance {free} yuan are unused: {amount} yuan cannot be given back.",
            free=yuan(free), amount=yuan(amount_fen),
        )  # fmt: skip


def vat_share(source: Source, amount_fen: int) -> int:
    """The VAT in part of what was paid: its share of the whole's, half up."""
    return (2 * source.vat_fen * amount_fen + source.amount_fen) // (2 * source.amount_fen)


def source_of(session: Session, refund: Refund) -> Source:
    """What a refund is of."""
    if refund.payment_id is not None:
        return of_payment(session, session.get_one(Payment, refund.payment_id))
    if refund.remittance_id is not None:
        return of_remittance(session, session.get_one(Remittance, refund.remittance_id))
    confirmation = session.get_one(Confirmation, refund.confirmation_id)
    return of_trade(session, confirmation, refund.row)


def of_source(session: Session, source: Source) -> list[Refund]:
    """All refunds of something, in their order."""
    return _of(session, source, "proposed", "approved", "rejected")


def left_of(session: Session, source: Source) -> int:
    """What of it can still be refunded, in fen."""
    return source.amount_fen - _sum(session, source, "proposed", "approved")


def owners(session: Session, refund: Refund) -> tuple[str, ...]:
    """Whose business a refund is: both sides' of the agreement, and the buyer's where he takes part."""
    buyer = session.scalar(select(Party.id).where(Party.uscc == refund.buyer))
    sides = agreements.owners(session.get_one(Agreement, refund.agreement_id))
    return (*sides, buyer) if buyer else sides


def makers_party(session: Session, refund: Refund) -> tuple[str]:
    """The organisation whose second person decides."""
    return (party_of(session, refund.proposed_by),)


def by_number(session: Session, number: str) -> Refund:
    """The refund with a number; raises Missing."""
    found = session.scalar(select(Refund).where(Refund.number == number))
    if found is None:
        raise Missing("There is no refund {number}.", number=number)
    return found


def _lines(refund: Refund) -> list[dict[str, Any]]:
    return [
        {"account": name, "credit_fen": credit, "debit_fen": debit, "party_id": party}
        for name, party, debit, credit in (
            (books.PREPAID, refund.buyer, refund.amount_fen if refund.remittance_id else 0, 0),
            (books.UNDISTRIBUTED, None, 0 if refund.remittance_id else refund.net_fen or 0, 0),
            (books.VAT, None, refund.vat_fen or 0, 0),
            (books.REFUNDS, refund.buyer, 0, refund.amount_fen),
        )
        if debit or credit
    ]


def _conditions(source: Source, states: tuple[str, ...]) -> list[Any]:
    column = {
        Payment: Refund.payment_id, Confirmation: Refund.confirmation_id,
        Remittance: Refund.remittance_id,
    }[type(source.held)]  # fmt: skip
    return [column == source.held.id, Refund.row == source.row, Refund.state.in_(states)]


def _of(session: Session, source: Source, *states: str) -> list[Refund]:
    wanted = select(Refund).where(*_conditions(source, states)).order_by(Refund.id)
    return list(session.scalars(wanted))


def _sum(session: Session, source: Source, *states: str) -> int:
    wanted = select(func.coalesce(func.sum(Refund.amount_fen), 0))
    return int(session.scalar(wanted.where(*_conditions(source, states))) or 0)


def _decide(session: Session, actor: Actor, refund: Refund, verb: str) -> Source:
    """What is refunded, held; asked by another person of the maker's organisation."""
    what = f"refund {refund.number}"
    may(actor, f"refund.{verb}", makers_party(session, refund), what)
    require_other(actor, [refund.proposed_by], what)
    source = source_of(session, refund)
    lock(session, session.get_one(Agreement, refund.agreement_id))  # first, as whoever drafts does
    lock(session, source.held)
    session.refresh(refund)
    return source
