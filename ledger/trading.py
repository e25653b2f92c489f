"""Trade: licences (许可) under a voucher, with terms frozen at the sale, and the payments for them.

On chain a licence is its voucher, its running number, a licensee address fresh for each grant, and
the salted digest of its terms; who trades with whom, and for how much, never goes there.
"""

import secrets
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint, column, func, select, table
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, books, log, periods, prices, settlements
from ledger.agreements import Agreement, faults_of_use, require_in_force
from ledger.calendar import local_date
from ledger.chain import keys, outbox
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Actor, Party, may, require_active
from ledger.proof.bundle import voucher_key
from ledger.proof.encoding import canonical, digest_bytes, digest_text
from ledger.registration import RIGHTS, Registration
from ledger.states import move
from ledger.store import Evidence, hold, lock, new_id
from ledger.vouchers import Voucher
from valuation.money import yuan

VAT_PCT = 6  # 增值税, modern services; common knowledge of the profession, a parameter of the sale
AMOUNT_FEN_MAX = 10**13
# Money for no licence yet (`ledger.remittances`) stands above this; a bank's reference is one among both.
_REMITTANCES = table("remittances", column("reference"))
USED = "the licensee's address has served another licence"
PURPOSES = ("governance", "benefit", "industry")  # 发改价格〔2025〕65号: the first two are free


class Licence(Evidence):
    """A licence sold (许可): who may use what, for what, how long, at what price."""

    __tablename__ = "licences"
    __table_args__ = (UniqueConstraint("voucher_id", "n"),)
    subject_type = "licence"
    order_reference: Mapped[str] = mapped_column(unique=True)
    voucher_id: Mapped[str] = mapped_column(String(36), ForeignKey("vouchers.id"))
    n: Mapped[int] = mapped_column(BigInteger)
    licensee_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    licensee_address: Mapped[str] = mapped_column(unique=True)
    right: Mapped[str]
    purpose: Mapped[str]
    terms: Mapped[dict[str, Any]]
    terms_salt: Mapped[str]
    terms_digest: Mapped[str]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    price_fen: Mapped[int] = mapped_column(BigInteger)
    sold_by: Mapped[str]
    state: Mapped[str]


class Payment(Evidence):
    """Money received for a licence, VAT included (清结算); distributed once, by one statement."""

    __tablename__ = "payments"
    subject_type = "payment"
    reference: Mapped[str] = mapped_column(unique=True)
    licence_id: Mapped[str] = mapped_column(String(36), ForeignKey("licences.id"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    vat_fen: Mapped[int] = mapped_column(BigInteger)
    net_fen: Mapped[int] = mapped_column(BigInteger)
    received_on: Mapped[str]
    recorded_by: Mapped[str]
    statement_id: Mapped[str | None] = mapped_column(String(36))
    agreement_id: Mapped[str | None] = mapped_column(String(36))
    n: Mapped[int | None]
    """its number among the settlements of its agreement"""
    undone_by: Mapped[str | None] = mapped_column(String(36))
    """the refund that undid it, where it never was at the bank"""


def grant(
    session: Session,
    actor: Actor,
    now: datetime,
    *,
    voucher: Voucher,
    licensee: Party | None,
    licensee_address: str,
    right: str,
    purpose: str,
    terms: Mapping[str, Any],
    valid_from: datetime,
    valid_until: datetime,
    price_fen: int,
    order_reference: str,
    origin: str,
    agreed_on: date | None = None,
    faults: Faults | None = None,
) -> Licence:
    """Sell a licence under a voucher that is valid; the same order again is the same licence.

    The price is VAT included, and not above the cap that holds on the day (`prices`); how much of which
    unit is sold, the terms may say (`quantity`, `unit`). Use for public governance and benefit is free
    (65号). What is known to be wrong already, such as a licensee that nobody knows (None), stands in
    `faults` and is told with the rest.
    """
    lock(session, voucher)  # it stays as it is, and the running number is nobody else's
    session.refresh(voucher)
    may(actor, "licence.grant", voucher.party_id, f"Voucher {voucher.number}")
    found = session.scalar(select(Licence).where(Licence.order_reference == order_reference))
    faults = faults or Faults()
    if found is not None:
        known = (
            found.voucher_id, found.licensee_id, found.licensee_address, found.right, found.purpose,
            found.terms, found.valid_from, found.valid_until, found.price_fen,
        )  # fmt: skip
        given = (
            voucher.id, licensee and licensee.id, licensee_address, right, purpose, dict(terms),
            valid_from.replace(microsecond=0), valid_until.replace(microsecond=0), price_fen,
        )  # fmt: skip
        if known == given:
            return found
        faults.name_fault("order {order} was another sale", at="order", order=order_reference)
    elif session.scalar(select(Licence.id).where(Licence.licensee_address == licensee_address)):
        faults.name_fault(USED, at="licensee_address")
    name_terms(
        session, now, voucher=voucher, licensee=licensee, licensee_address=licensee_address,
        right=right, purpose=purpose, terms=terms, valid_from=valid_from, valid_until=valid_until,
        price_fen=price_fen, agreed_on=agreed_on, faults=faults,
    )  # fmt: skip
    if any(at == "order" or said == USED for said, _, at in faults.named()):
        raise Conflict("The licence breaks: {faults}.", faults=faults)
    if faults:
        raise Invalid("The licence breaks: {faults}.", faults=faults)
    assert licensee is not None, order_reference  # else the faults would say so
    n = session.scalar(
        select(func.count()).select_from(Licence).where(Licence.voucher_id == voucher.id)
    )
    salt = secrets.token_bytes(16)
    digest = digest_text(salt + canonical(dict(terms)))
    licence = Licence(
        id=new_id(), order_reference=order_reference, voucher_id=voucher.id, n=n or 0,
        licensee_id=licensee.id, licensee_address=licensee_address, right=right, purpose=purpose,
        terms=dict(terms), terms_salt=salt.hex(), terms_digest=digest, valid_from=valid_from,
        valid_until=valid_until, price_fen=price_fen, sold_by=actor.member_id,
        state=move("licence", "grant", None),
    )  # fmt: skip
    log.append(session, licence, "licence.granted", actor.member_id)
    session.flush()
    key = voucher_key(origin, voucher.number)
    outbox.enqueue(
        session, now, lane="registrar", contract="CirculationRegistry", function="grant",
        arguments=[
            "0x" + key.hex(), licence.n, licensee_address, RIGHTS[right],
            "0x" + digest_bytes(digest).hex(), int(valid_from.timestamp()),
            int(valid_until.timestamp()), 0, outbox.REASON,
        ],
        key=key, expected_version=0, subject_id=licence.id, subject_version=licence.version,
    )  # fmt: skip
    return licence


def name_terms(
    session: Session,
    now: datetime,
    *,
    voucher: Voucher,
    licensee: Party | None,
    licensee_address: str,
    right: str,
    purpose: str,
    terms: Mapping[str, Any],
    valid_from: datetime,
    valid_until: datetime,
    price_fen: int,
    faults: Faults,
    agreed_on: date | None = None,
) -> Agreement | None:
    """The agreement under which these terms can be sold now; what of them breaks which rule is named.

    The price is judged by the cap of the day on which it was agreed: today's, unless told. Raises Conflict
    where nothing can be licensed under the voucher at all.
    """
    check_amount(price_fen, "price")
    if voucher.state != "valid" or voucher.frozen or now > voucher.valid_until:
        raise Conflict(
            "Voucher {number} is {state}: nothing can be licensed under it.",
            number=voucher.number, state="frozen" if voucher.frozen else voucher.state,
        )  # fmt: skip
    if voucher.kind != "registration":
        raise Conflict(
            "Voucher {number} rests on a person's consent: nothing can be licensed under it.",
            number=voucher.number,
        )
    registration = session.get_one(Registration, voucher.registration_id)
    agreement = agreement_of(session, voucher)
    if agreement is not None:
        require_in_force(agreement, local_date(now))
    if licensee is not None:
        faults.tried("licensee", require_active, licensee)
    if agreement is not None:
        faults.add(faults_of_use(agreement, terms, price_fen))
        faults.add(prices.faults_of_price(
            session, agreement, registration, terms, price_fen, agreed_on or local_date(now)
        ))  # fmt: skip
    if right not in voucher.rights:
        faults.name_fault("the voucher does not hold the right {right}", at="right", right=right)
    if purpose not in PURPOSES:
        choices = ", ".join(PURPOSES)
        faults.name_fault("purpose must be one of {choices}", at="purpose", choices=choices)
    if purpose in PURPOSES[:2] and price_fen:
        faults.name_fault(
            "use for {purpose} is free of charge (发改价格〔2025〕65号)",
            at="price_yuan",
            purpose=purpose,
        )
    if not valid_from < valid_until:
        faults.name_fault("the term ends before it begins", at="until_on")
    if valid_until > voucher.valid_until:
        end = local_date(voucher.valid_until).isoformat()
        faults.name_fault("the term must end by {end}", at="until_on", end=end)
    if agreement is not None and local_date(valid_until).isoformat() > agreement.until_on:
        faults.name_fault(
            "the term must end with the agreement, on {end}", at="until_on", end=agreement.until_on
        )
    if not keys.is_address_spelled(licensee_address):
        faults.name_fault(
            "the licensee's address is not in checksum spelling", at="licensee_address"
        )
    if licensee is not None and licensee.id == voucher.party_id:
        faults.name_fault("seller and licensee are the same", at="licensee")
    return agreement


def revoke(
    session: Session, actor: Actor, now: datetime, licence: Licence, voucher: Voucher, reason: str,
    origin: str,
) -> None:  # fmt: skip
    """Revoke a licence; the ground must be stated."""
    may(actor, "licence.revoke", voucher.party_id, f"Voucher {voucher.number}")
    if licence.voucher_id != voucher.id:
        raise Invalid(
            "Order {order} was not sold under voucher {number}.",
            order=licence.order_reference, number=voucher.number,
        )  # fmt: skip
    if not reason.strip():
        raise Invalid("State the ground of the decision.")
    licence.state = move("licence", "revoke", licence.state)
    log.append(session, licence, "licence.revoked", actor.member_id, reason=reason)
    key = voucher_key(origin, voucher.number)
    outbox.enqueue(
        session, now, lane="registrar", contract="CirculationRegistry", function="revoke",
        arguments=["0x" + key.hex(), licence.n, 1, outbox.REASON], key=key, expected_version=1,
        subject_id=licence.id, subject_version=licence.version,
    )  # fmt: skip


def record_payment(
    session: Session,
    actor: Actor,
    now: datetime,
    *,
    licence: Licence,
    amount_fen: int,
    received_on: str,
    reference: str,
) -> Payment:
    """Record money received for a licence, once per bank reference; VAT is taken out, half up.

    Raises every fault at once: Conflict where the reference is another payment's, else Invalid.
    """
    may(actor, "payment.record")
    hold_reference(session, reference)
    found = session.scalar(select(Payment).where(Payment.reference == reference))
    if found is not None and (found.licence_id, found.amount_fen, found.received_on) == (
        licence.id, amount_fen, received_on,
    ):  # fmt: skip
        return found
    agreement = agreement_of(session, session.get_one(Voucher, licence.voucher_id))
    if received_on >= local_date(licence.valid_from).isoformat():
        agreement = None  # it may have been sold under the agreement of a holder before
    faults = receipt_faults(session, now, amount_fen, received_on, reference, agreement)
    payment = enter_payment(
        session, actor, licence, amount_fen=amount_fen, received_on=received_on, reference=reference,
        faults=faults,
    )  # fmt: skip
    if payment.agreement_id is not None:  # elsewhere there is no book to keep
        books.post(
            session, actor.member_id, now, cause=payment, book_id=payment.agreement_id,
            effective_on=periods.open_day(session, payment.agreement_id, received_on),
            memo=f"收款 {reference}",
            lines=earned(books.BANK, None, amount_fen, payment.net_fen),
        )  # fmt: skip
    return payment


def receipt_faults(
    session: Session, now: datetime, amount_fen: int, received_on: str, reference: str,
    agreement: Agreement | None = None,
) -> Faults:  # fmt: skip
    """What of money received is wrong: its day, a bank reference that something else has.

    The day is not still to come, and not before the first one of the agreement or of what it renews.
    """
    check_amount(amount_fen, "amount")
    faults = Faults()
    if received_on > local_date(now).isoformat():
        faults.name_fault("the day {day} lies in the future", at="received_on", day=received_on)
    if agreement is not None and received_on < (first := agreements.began_on(session, agreement)):
        faults.name_fault(
            "the day {day} lies before {first}, the first day of agreement {number}: look at the year",
            at="received_on", day=received_on, first=first, number=agreement.number,
        )  # fmt: skip
    hold_reference(session, reference)
    paid = select(Payment.id).where(Payment.reference == reference)
    remitted = select(_REMITTANCES.c.reference).where(_REMITTANCES.c.reference == reference)
    if session.scalar(paid) is not None or session.scalar(remitted) is not None:
        faults.name_fault(
            "the reference {reference} was another payment", at="reference", reference=reference
        )
    return faults


def hold_reference(session: Session, reference: str) -> None:
    """Let what bears one bank reference be recorded one after the other, the same among it.

    The references are of two tables, so that no constraint of one sees to it.
    """
    hold(session, f"reference {reference}")


def refuse_receipt(faults: Faults) -> None:
    """Raise what is wrong with money received, if anything: Conflict where its reference is known."""
    if any(at == "reference" for _, _, at in faults.named()):
        raise Conflict("The receipt does not fit: {faults}.", faults=faults)
    if faults:
        raise Invalid("The receipt does not fit: {faults}.", faults=faults)


def unpaid_fen(session: Session, licence: Licence) -> int:
    """What of a licence's price was not received yet."""
    paid = session.scalar(
        select(func.coalesce(func.sum(Payment.amount_fen), 0)).where(
            Payment.licence_id == licence.id, Payment.undone_by.is_(None)
        )
    )
    return licence.price_fen - int(paid or 0)


def enter_payment(
    session: Session, actor: Actor, licence: Licence, *, amount_fen: int, received_on: str,
    reference: str, agreement_id: str | None = None, faults: Faults | None = None,
) -> Payment:  # fmt: skip
    """A payment for a licence as a record and a settlement; what it books is the caller's.

    It belongs to the agreement of today, or the one told. Nothing, or more than the licence still costs,
    is told with the `faults` known already (`refuse_receipt`).
    """
    faults = faults or Faults()
    lock(session, licence)  # the sum paid so far holds until this deed is done
    left = unpaid_fen(session, licence)
    if amount_fen == 0 or amount_fen > left:
        faults.name_fault(
            "paid so far {paid} yuan of {price} yuan: {amount} yuan more does not fit", at="amount_yuan",
            paid=yuan(licence.price_fen - left), price=yuan(licence.price_fen), amount=yuan(amount_fen),
        )  # fmt: skip
    refuse_receipt(faults)
    net_fen = net_of(amount_fen)
    agreement = (
        agreement_of(session, session.get_one(Voucher, licence.voucher_id))
        if agreement_id is None
        else session.get_one(Agreement, agreement_id)
    )
    payment = Payment(
        id=new_id(), reference=reference, licence_id=licence.id, amount_fen=amount_fen,
        vat_fen=amount_fen - net_fen, net_fen=net_fen, received_on=received_on,
        recorded_by=actor.member_id, statement_id=None,
        agreement_id=None if agreement is None else agreement.id, n=None, undone_by=None,
    )  # fmt: skip
    if agreement is not None:
        payment.n = settlements.enter(
            session, agreement, day=received_on, kind="payment", amount_fen=amount_fen,
            vat_fen=payment.vat_fen, net_fen=net_fen, source_id=payment.id,
        )  # fmt: skip
    log.append(session, payment, "payment.recorded", actor.member_id)
    session.flush()
    return payment


def net_of(amount_fen: int) -> int:
    """What is left of an amount without the VAT in it: amount / 1.06, half up, in whole numbers.

    >>> net_of(10_600), net_of(1), net_of(9)
    (10000, 1, 8)
    """
    return (200 * amount_fen + 100 + VAT_PCT) // (2 * (100 + VAT_PCT))


def earned(account: str, party: str | None, amount_fen: int, net_fen: int) -> list[dict[str, Any]]:
    """What money earned books: Dr `account` gross, Cr what is to be shared, Cr the VAT in it."""
    return [
        {"account": name, "credit_fen": credit, "debit_fen": debit, "party_id": whose}
        for name, whose, debit, credit in (
            (account, party, amount_fen, 0),
            (books.UNDISTRIBUTED, None, 0, net_fen),
            (books.VAT, None, 0, amount_fen - net_fen),
        )
        if debit or credit
    ]


def agreement_of(session: Session, voucher: Voucher) -> Agreement | None:
    """The agreement under which a voucher's data are operated; None where there is none."""
    registration = session.get(Registration, voucher.registration_id or "")
    return session.get(Agreement, (registration and registration.agreement_id) or "")


def licence_by_order(session: Session, order_reference: str) -> Licence:
    """The licence sold under an order reference; raises Missing."""
    found = session.scalar(select(Licence).where(Licence.order_reference == order_reference))
    if found is None:
        raise Missing("There is no order {order}.", order=order_reference)
    return found


def licence_owners(session: Session, licence: Licence) -> tuple[str, str]:
    """Whose business a licence is: the seller's and the licensee's."""
    return session.get_one(Voucher, licence.voucher_id).party_id, licence.licensee_id


def check_amount(amount_fen: int, what: str) -> None:
    """Whole fen, not below nought, within what is believable."""
    if type(amount_fen) is not int or not 0 <= amount_fen <= AMOUNT_FEN_MAX:
        raise Invalid(
            "The {what} must be whole fen from 0 to {most}, not {given}.",
            what=what, most=AMOUNT_FEN_MAX, given=repr(amount_fen),
        )  # fmt: skip
