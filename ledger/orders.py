"""Orders (订单): an offer of a licence to a buyer, its terms frozen, until it is fulfilled or falls away.

    placed → fulfilled    the licence is granted with exactly the frozen terms
           → cancelled    by the seller or the exchange, with its ground
           → expired      once the last day of the offer is over; nobody's deed

Where the buyer pays out of what he paid in advance, the price is set aside on that (`holds`) when the order
is placed: no order is placed for more than is there, however many come at once. Fulfilling it books
what was set aside, as a payment of the licence under the order's reference; so another person does it than
who placed it.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, books, holds, log, periods, trading
from ledger.agreements import require_ground
from ledger.calendar import end_of_day, local_date
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.holds import Hold
from ledger.parties import Actor, Party, allowed, may, require_other
from ledger.proof.encoding import canonical, digest_text, instant
from ledger.states import move
from ledger.store import Evidence, lock, new_id
from ledger.trading import Licence
from ledger.vouchers import Voucher

AT_ONCE = 1_000  # orders that one run of the timer lets expire
PREPAYMENT = "prepayment"
INVOICE = "invoice"
PAID_BY = (INVOICE, PREPAYMENT)


class Order(Evidence):
    """What a buyer is offered, by whom, until when; `digest` is that of the frozen terms."""

    __tablename__ = "orders"
    subject_type = "order"
    reference: Mapped[str] = mapped_column(unique=True)
    voucher_id: Mapped[str] = mapped_column(String(36), ForeignKey("vouchers.id"))
    agreement_id: Mapped[str | None] = mapped_column(String(36))
    buyer_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    licensee_address: Mapped[str]
    right: Mapped[str]
    purpose: Mapped[str]
    terms: Mapped[dict[str, Any]]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    price_fen: Mapped[int] = mapped_column(BigInteger)
    paid_by: Mapped[str]
    placed_on: Mapped[str]
    offer_until: Mapped[str]
    digest: Mapped[str]
    hold_id: Mapped[str | None] = mapped_column(String(36))
    licence_id: Mapped[str | None] = mapped_column(String(36))
    placed_by: Mapped[str]
    decided_by: Mapped[str | None]
    state: Mapped[str]


def place(
    session: Session,
    actor: Actor,
    now: datetime,
    *,
    voucher: Voucher,
    buyer: Party | None,
    licensee_address: str,
    right: str,
    purpose: str,
    terms: Mapping[str, Any],
    valid_from: datetime,
    valid_until: datetime,
    price_fen: int,
    paid_by: str,
    offer_until: date,
    reference: str,
    faults: Faults | None = None,
) -> Order:
    """Place an order for a buyer; the same reference with the same terms again is the same order.

    Raises every fault at once, what of the terms could not be sold (`trading.name_terms`) among them, with
    those known already: that nobody knows the buyer (None) is one. Invalid, too, where what the buyer paid
    in advance does not reach.
    """
    lock(session, voucher)  # before the books, as whoever fulfils does; and it stays as it is
    session.refresh(voucher)
    may(actor, "order.place", voucher.party_id, f"Voucher {voucher.number}")
    today = local_date(now)
    facts: dict[str, Any] = {
        "buyer_id": buyer and buyer.id, "licensee_address": licensee_address,
        "offer_until": offer_until.isoformat(), "paid_by": paid_by, "price_fen": price_fen,
        "purpose": purpose, "right": right, "terms": dict(terms),
        "valid_from": valid_from.replace(microsecond=0),
        "valid_until": valid_until.replace(microsecond=0), "voucher_id": voucher.id,
    }  # fmt: skip
    found = session.scalar(select(Order).where(Order.reference == reference))
    if found is not None:
        if any(getattr(found, name) != value for name, value in facts.items()):
            raise Conflict("Order {order} was placed with other terms.", order=reference)
        return found
    if session.scalar(select(Licence.id).where(Licence.order_reference == reference)) is not None:
        raise Conflict("Order {order} was another sale.", order=reference)
    faults = faults or Faults()
    agreement = trading.name_terms(
        session, now, voucher=voucher, licensee=buyer, licensee_address=licensee_address, right=right,
        purpose=purpose, terms=terms, valid_from=valid_from, valid_until=valid_until,
        price_fen=price_fen, faults=faults,
    )  # fmt: skip
    if paid_by not in PAID_BY:
        faults.name_fault(
            "the field {name} must be one of {choices}", at="paid_by", name="paid_by",
            choices=", ".join(PAID_BY),
        )  # fmt: skip
    if offer_until < today or end_of_day(offer_until) > valid_until:
        faults.name_fault("the offer ends between today and the end of the term", at="offer_until")
    if paid_by == PREPAYMENT and (agreement is None or price_fen == 0):
        faults.name_fault(
            "only a price under an agreement can be paid out of a prepayment", at="paid_by"
        )
    if faults:
        raise Invalid("The order breaks: {faults}.", faults=faults)
    assert buyer is not None, reference  # else the faults would say so
    order = Order(
        id=new_id(), reference=reference, **facts,
        agreement_id=None if agreement is None else agreement.id, placed_on=today.isoformat(),
        digest="", hold_id=None, licence_id=None, placed_by=actor.member_id, decided_by=None,
        state=move("order", "place", None),
    )  # fmt: skip
    order.digest = digest_text(canonical(content(order)))
    if paid_by == PREPAYMENT and agreement is not None:
        if not allowed(actor, "limit.read", agreements.owners(agreement)):
            books.require_free(session, agreement.id, books.PREPAID, buyer.uscc, price_fen)
        held = holds.hold(
            session, actor.member_id, now, cause=order, book_id=agreement.id,
            lines=trading.earned(books.PREPAID, buyer.uscc, price_fen, trading.net_of(price_fen)),
            expires_at=end_of_day(offer_until),
        )  # fmt: skip
        order.hold_id = held.id
    log.append(session, order, "order.placed", actor.member_id)
    session.flush()
    return order


def fulfil(session: Session, actor: Actor, now: datetime, order: Order, origin: str) -> Licence:
    """Grant the licence with the frozen terms, and book what was set aside for it."""
    voucher = _decide(session, actor, order, "fulfil")
    state = move("order", "fulfil", order.state)
    if order.paid_by == PREPAYMENT:  # the buyer's money is not for one person to spend
        require_other(actor, [order.placed_by], f"order {order.reference}")
    if local_date(now).isoformat() > order.offer_until:
        raise Conflict(
            "The offer of order {order} ended on {day}.",
            order=order.reference,
            day=order.offer_until,
        )
    if order.digest != digest_text(canonical(content(order))):
        raise Conflict(
            "The terms of order {order} are not those that were frozen: run the audit.",
            order=order.reference,
        )
    licence = trading.grant(
        session, actor, now, voucher=voucher, licensee=session.get_one(Party, order.buyer_id),
        licensee_address=order.licensee_address, right=order.right, purpose=order.purpose,
        terms=order.terms, valid_from=order.valid_from, valid_until=order.valid_until,
        price_fen=order.price_fen, order_reference=order.reference, origin=origin,
        agreed_on=date.fromisoformat(order.placed_on),
    )  # fmt: skip
    if order.hold_id is not None and order.agreement_id is not None:
        today = local_date(now).isoformat()
        trading.enter_payment(
            session, actor, licence, amount_fen=order.price_fen, received_on=today,
            reference=order.reference, agreement_id=order.agreement_id,
            faults=trading.receipt_faults(
                session, now, order.price_fen, today, order.reference
            ),
        )  # fmt: skip
        holds.post_hold(
            session, actor.member_id, now, session.get_one(Hold, order.hold_id),
            effective_on=periods.open_day(session, order.agreement_id, today),
            memo=f"订单 {order.reference}",
        )  # fmt: skip
    order.state, order.licence_id, order.decided_by = state, licence.id, actor.member_id
    log.append(session, order, "order.fulfilled", actor.member_id)
    session.flush()
    return licence


def cancel(session: Session, actor: Actor, now: datetime, order: Order, reason: str) -> None:
    """Take an order back; what was set aside for it is free again."""
    _decide(session, actor, order, "cancel")
    require_ground(reason)
    order.state, order.decided_by = move("order", "cancel", order.state), actor.member_id
    log.append(session, order, "order.cancelled", actor.member_id, reason=reason.strip())
    session.flush()
    if order.hold_id is not None:
        held = session.get_one(Hold, order.hold_id)
        if held.state == "pending":  # its time may have run out a moment ago
            holds.void(session, actor.member_id, now, held, reason)


def expire(session: Session, now: datetime, actor_id: str = "system") -> int:
    """Let offers whose last day is over fall away, once what was set aside is free; returns how many."""
    due = session.scalars(
        select(Order)
        .outerjoin(Hold, Hold.id == Order.hold_id)
        .where(
            Order.state == "placed", Order.offer_until < local_date(now).isoformat(),
            or_(Order.hold_id.is_(None), Hold.state != "pending"),
        )
        .order_by(Order.id)
        .limit(AT_ONCE)
        .with_for_update(of=Order)
    ).all()  # fmt: skip
    for order in due:
        order.state = move("order", "expire", order.state)
        log.append(session, order, "order.expired", actor_id)
    session.flush()
    return len(due)


def content(order: Order) -> dict[str, Any]:
    """What is frozen of an order, as its digest is taken of it."""
    return {
        "buyer": order.buyer_id, "licensee_address": order.licensee_address,
        "offer_until": order.offer_until, "order": order.reference, "paid_by": order.paid_by,
        "placed_on": order.placed_on, "price_fen": order.price_fen, "purpose": order.purpose,
        "right": order.right, "terms": order.terms, "valid_from": instant(order.valid_from),
        "valid_until": instant(order.valid_until), "voucher": order.voucher_id,
    }  # fmt: skip


def owners(session: Session, order: Order) -> tuple[str, str]:
    """Whose business an order is: the seller's and the buyer's."""
    return session.get_one(Voucher, order.voucher_id).party_id, order.buyer_id


def seller(session: Session, order: Order) -> tuple[str]:
    """Who sells."""
    return (session.get_one(Voucher, order.voucher_id).party_id,)


def by_reference(session: Session, reference: str) -> Order:
    """The order with a reference; raises Missing."""
    found = session.scalar(select(Order).where(Order.reference == reference))
    if found is None:
        raise Missing("There is no order {order}.", order=reference)
    return found


def _decide(session: Session, actor: Actor, order: Order, verb: str) -> Voucher:
    """The voucher, once the order is held and its seller's person asks (or the exchange's)."""
    lock(session, order)
    session.refresh(order)
    voucher = session.get_one(Voucher, order.voucher_id)
    may(actor, f"order.{verb}", voucher.party_id, f"order {order.reference}")
    return voucher
