"""Price settings (定价) of an agreement, 发改价格〔2025〕65号: caps on what its products are sold for.

The operator proposes an edition with its computation (`valuation.pricing`); the authorising body confirms
it, for formal fees under the approval it names. It holds from its first day until its review, at most three
years later, or until the next edition's first day. Nothing is sold above its caps (`faults_of_price`, which
`trading.grant` asks); where no edition holds, the agreement's own highest price is the only one.

    proposed → confirmed → superseded          by the confirmation of the next edition
             → rejected | withdrawn

Amounts include VAT, as the price of a sale does (`valuation.pricing`).
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, log
from ledger.agreements import Agreement, require_ground
from ledger.calendar import local_date, years_after
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Actor, may, require_other
from ledger.registration import Registration
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number
from valuation import InputError, methods
from valuation.money import ratio, yuan
from valuation.pricing import CYCLE_YEARS_MAX, FREE, UNITS
from valuation.worksheet import Figure

METHOD = "price_cap"
PIECE = "产品数量"  # what a licence is counted by where its terms do not say
HELD = ("confirmed", "superseded")


class Price(Evidence):
    """An edition of an agreement's price setting."""

    __tablename__ = "prices"
    __table_args__ = (UniqueConstraint("agreement_id", "edition"),)
    subject_type = "price"
    number: Mapped[str] = mapped_column(unique=True)
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    edition: Mapped[int] = mapped_column(BigInteger)
    stage: Mapped[str]
    figure: Mapped[dict[str, Any]]
    """the computation with its document, in which the products stand"""
    permitted_fen: Mapped[int] = mapped_column(BigInteger)
    from_on: Mapped[str]
    until_on: Mapped[str]
    approval: Mapped[str | None]
    """the approval by the authority under which it was confirmed"""
    proposed_by: Mapped[str]
    decided_by: Mapped[str | None]
    state: Mapped[str]

    @property
    def products(self) -> list[dict[str, Any]]:
        """The products as the document states them, amounts in fen."""
        return list(self.figure["document"]["inputs"]["products"])


def propose(
    session: Session,
    actor: Actor,
    now: datetime,
    agreement: Agreement,
    *,
    document: Mapping[str, Any],
    from_on: date,
    until_on: date,
) -> Price:
    """Compute and propose an edition; the same one proposed again by the same person is the same edition.

    `document` is that of the method `price_cap`, its inputs alone, or a figure of it, which is computed
    again. Raises Invalid naming what breaks a limit, ValuationError for inputs that the method refuses.
    """
    may(actor, "price.propose", agreement.operator_id, f"Agreement {agreement.number}")
    figure = methods.METHODS[METHOD](_whole(document))
    assert figure.document is not None
    given = figure.document["inputs"]
    lock(session, agreement)  # of two proposals at once, the later one sees the other
    faults = Faults()
    _name_days(faults, agreement, from_on, until_on, int(given["cycle_years"]))
    _name_strangers(session, faults, agreement, given["products"])
    editions = of(session, agreement)
    newest = next((one for one in editions if one.state in HELD), None)
    if newest is not None and from_on.isoformat() <= newest.from_on:
        faults.name_fault(
            "the edition before holds from {day} on: begin later", at="from_on", day=newest.from_on
        )
    if faults:
        raise Invalid("The price setting breaks: {faults}.", faults=faults)
    facts: dict[str, Any] = {
        "agreement_id": agreement.id, "figure": figure.to_dict(), "from_on": from_on.isoformat(),
        "permitted_fen": figure.value_fen, "proposed_by": actor.member_id, "stage": given["stage"],
        "until_on": until_on.isoformat(),
    }  # fmt: skip
    waiting = next((one for one in editions if one.state == "proposed"), None)
    if waiting is not None:
        if facts.items() <= waiting.body().items():
            return waiting
        raise Conflict(
            "Price setting {number} still waits to be confirmed: withdraw it first.",
            number=waiting.number,
        )
    year = local_date(now).year
    price = Price(
        **facts, id=new_id(), number=f"JG{year}-{next_number(session, f'JG{year}'):04d}",
        edition=len(editions) + 1, approval=None, decided_by=None,
        state=move("price", "propose", None),
    )  # fmt: skip
    log.append(session, price, "price.proposed", actor.member_id)
    session.flush()
    return price


def confirm(
    session: Session, actor: Actor, now: datetime, price: Price, approval: str = ""
) -> None:
    """The authorising body confirms an edition after it is recomputed; the one before is superseded.

    Formal fees rest on an approval (`approval`: its number and ground), which must be stated.
    """
    agreement = _decide(session, actor, price, "confirm")
    state = move("price", "confirm", price.state)
    recompute(price)
    if price.stage == "set" and not approval.strip():
        faults = Faults()
        faults.name_fault(
            "formal fees name the approval on which they rest (发改价格〔2025〕65号)", at="approval"
        )
        raise Invalid("Price setting {number} lacks: {faults}.", number=price.number, faults=faults)
    if local_date(now).isoformat() > price.until_on:
        raise Conflict(
            "Price setting {number} would have held until {day}: propose a new one.",
            number=price.number, day=price.until_on,
        )  # fmt: skip
    if not agreements.runs_on(agreement, local_date(now)):
        raise Conflict("Agreement {number} is not in force.", number=agreement.number)
    for old in of(session, agreement):
        if old.state == "confirmed":
            old.state = move("price", "supersede", old.state)
            log.append(session, old, "price.superseded", actor.member_id, reason=price.number)
    price.state, price.decided_by, price.approval = state, actor.member_id, approval.strip() or None
    log.append(session, price, "price.confirmed", actor.member_id)


def reject(session: Session, actor: Actor, now: datetime, price: Price, reason: str) -> None:
    """The authorising body does not confirm, and says why."""
    _decide(session, actor, price, "reject")
    require_ground(reason)
    price.state, price.decided_by = move("price", "reject", price.state), actor.member_id
    log.append(session, price, "price.rejected", actor.member_id, reason=reason.strip())


def withdraw(session: Session, actor: Actor, now: datetime, price: Price, reason: str) -> None:
    """The operator takes its proposal back."""
    may(actor, "price.withdraw", _agreement(session, price).operator_id, f"price {price.number}")
    require_ground(reason)
    price.state = move("price", "withdraw", price.state)
    log.append(session, price, "price.withdrawn", actor.member_id, reason=reason.strip())


def recompute(price: Price) -> Figure:
    """The figure, computed once more from its document; raises InputError naming what differs."""
    figure = methods.verify(price.figure)
    if (figure.method, figure.value_fen) != (METHOD, price.permitted_fen):
        raise InputError("permitted_fen", "differs from what the document gives")
    return figure


# ---------------------------------------------------------------- which holds, and what it caps


def in_force(session: Session, agreement: Agreement, on: date) -> Price | None:
    """The edition that holds on a day: the newest that has begun, unless its review is overdue."""
    day = on.isoformat()
    begun = [one for one in of(session, agreement) if one.state in HELD and one.from_on <= day]
    return begun[0] if begun and day <= begun[0].until_on else None


def of(session: Session, agreement: Agreement) -> Sequence[Price]:
    """The editions of an agreement, the newest first."""
    wanted = select(Price).where(Price.agreement_id == agreement.id)
    return session.scalars(wanted.order_by(Price.edition.desc())).all()


def line_of(price: Price, code: str, unit: str) -> Mapping[str, Any] | None:
    """The line for industrial use of a registration by a unit: its own, else that of all others."""
    lines = [one for one in price.products if one["unit"] == unit and one["purpose"] not in FREE]
    own = next((one for one in lines if one.get("registration") == code), None)
    return own or next((one for one in lines if "registration" not in one), None)


def sold(terms: Mapping[str, Any], faults: Faults) -> tuple[str, Fraction]:
    """By what unit, and how much of it, a licence's terms say it is sold: one piece where they do not."""
    unit, quantity = terms.get("unit", PIECE), Fraction(1)
    if not isinstance(unit, str) or unit not in UNITS:
        faults.name_fault("unit must be one of {choices}", at="terms", choices=", ".join(UNITS))
    try:
        quantity = ratio(terms.get("quantity", 1), "quantity")
    except InputError:
        quantity = Fraction(0)
    if quantity <= 0:
        faults.name_fault("the quantity sold must be a number above 0, as 1000 or 1/2", at="terms")
    return str(unit), quantity


def faults_of_price(
    session: Session, agreement: Agreement, registration: Registration, terms: Mapping[str, Any],
    price_fen: int, on: date,
) -> Faults:  # fmt: skip
    """What of a sale's price is above the cap that holds on its day: price > cap · quantity / per."""
    faults, price = Faults(), in_force(session, agreement, on)
    if price is None or price_fen == 0:
        return faults
    unit, quantity = sold(terms, faults)
    if faults:
        return faults
    line = line_of(price, registration.code, unit)
    if line is None:
        faults.name_fault(
            "edition {edition} of price {number} sets no cap for {product} by {unit}", at="terms",
            edition=price.edition, number=price.number, product=registration.title, unit=unit,
        )  # fmt: skip
        return faults
    per = int(line.get("per", 1))
    if price_fen * per > line["cap_fen"] * quantity:
        faults.name_fault(
            "the price of {product} is above its cap: {cap} yuan for {per} {unit}, {quantity} are sold "
            "(edition {edition} of price {number})", at="price_yuan", product=line["name"],
            cap=yuan(line["cap_fen"]), per=per, unit=unit, quantity=str(quantity), edition=price.edition,
            number=price.number,
        )  # fmt: skip
    return faults


def owners(session: Session, price: Price) -> tuple[str, str]:
    """Whose business a price setting is: both sides' of the agreement."""
    return agreements.owners(_agreement(session, price))


def by_number(session: Session, number: str) -> Price:
    """The price setting with a number; raises Missing."""
    found = session.scalar(select(Price).where(Price.number == number))
    if found is None:
        raise Missing("There is no price setting {number}.", number=number)
    return found


def _agreement(session: Session, price: Price) -> Agreement:
    return session.get_one(Agreement, price.agreement_id)


def _decide(session: Session, actor: Actor, price: Price, verb: str) -> Agreement:
    """The authorising body, and another person than who proposed it."""
    agreement = _agreement(session, price)
    lock(session, agreement)
    may(actor, f"price.{verb}", agreement.implementer_id, f"price {price.number}")
    require_other(actor, [price.proposed_by], f"price {price.number}")
    return agreement


def _whole(document: Mapping[str, Any]) -> dict[str, Any]:
    """The method's document, of which the inputs alone may be given."""
    if isinstance(document.get("document"), Mapping):  # a figure with its document
        document = document["document"]
    if "inputs" in document:
        return dict(document)
    version = methods.describe(METHOD)["version"]
    return {"inputs": dict(document), "method": METHOD, "version": version}


def _name_days(
    faults: Faults, agreement: Agreement, from_on: date, until_on: date, cycle_years: int
) -> None:
    """It holds within the agreement, and no longer than until its review."""
    if not agreements.runs_on(agreement, from_on) or from_on.isoformat() < agreement.from_on:
        faults.name_fault(
            "agreement {number} is not in force on that day", at="from_on", number=agreement.number
        )
    if not from_on <= until_on <= years_after(from_on, cycle_years):
        faults.name_fault(
            "it may hold until its review, {years} years on, and at most {most} years", at="until_on",
            years=cycle_years, most=CYCLE_YEARS_MAX,
        )  # fmt: skip
    elif until_on.isoformat() > agreement.until_on:
        faults.name_fault(
            "it must end with the agreement, on {end}", at="until_on", end=agreement.until_on
        )


def _name_strangers(
    session: Session, faults: Faults, agreement: Agreement, products: Sequence[Mapping[str, Any]]
) -> None:
    """Products name what is registered under the agreement."""
    named = {str(one["registration"]) for one in products if "registration" in one}
    wanted = select(Registration.code).where(
        Registration.code.in_(named), Registration.agreement_id == agreement.id
    )
    for code in sorted(named - set(session.scalars(wanted))):
        faults.name_fault(
            "{code} is not registered under agreement {number}", at="document", code=code,
            number=agreement.number,
        )  # fmt: skip
