"""The deeds from the voucher on: vouchers, licences, payments, schemes, statements."""

from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from ledger import parties, revenue, trading, vouchers
from ledger.calendar import end_of_day, start_of_day
from ledger.errors import Faults
from ledger.parties import Actor, Party
from ledger.proof import line
from ledger.proof.encoding import canonical
from ledger.registration import Registration
from ledger.statements import Statement
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher
from valuation import money
from webapp.deeds import Desk, File, deed, question
from webapp.deeds.answers import history_of, lists, shown_schema, shows
from webapp.deeds.field import RIGHTS, ReasonBody
from webapp.deeds.forms import (
    Body,
    day,
    document,
    text,
    yuan,
)

PURPOSES = {
    "governance": "Public governance (free)", "benefit": "Public benefit (free)",
    "industry": "Industry",
}  # fmt: skip
ADDRESS = r"\A0x[0-9A-Fa-f]{40}\Z"


class IssueBody(Body):
    """To whom on chain a voucher is issued."""

    holder_address = text("Holder's chain address", most=42, pattern=ADDRESS, example="address 0x…",
                          hint="the holder's own, told by him")  # fmt: skip


class FreezeBody(Body):
    """On what a freeze rests, and why it is needed."""

    basis = text(
        "Legal basis", most=300, hint="the law with its article, or the decision with its number"
    )
    reason = text("Ground", area=True, hint="as it is told to the holder and the registrar")


class LicenceBody(Body):
    """A licence 许可: to whom, for what, how long, at what price."""

    order = text("Order reference", most=64, pattern=r"\A[A-Za-z0-9._-]+\Z",
                 example="text of letters, digits, . _ -", hint="your own, unique")  # fmt: skip
    licensee = text("Licensee", most=18, hint="its social credit code", source="parties")
    licensee_address = text("Licensee's chain address", most=42, pattern=ADDRESS,
                            example="address 0x…", hint="fresh for each licence")  # fmt: skip
    right = text("Right", choices=RIGHTS)
    purpose = text("Purpose of use", choices=PURPOSES)
    terms = document("Terms", hint="one a line, name: text")
    from_on = day("First day")
    until_on = day("Last day")
    price_yuan = yuan("Price (yuan, VAT included)")


class PaymentBody(Body):
    """Money received for a licence."""

    amount_yuan = yuan("Amount (yuan, VAT included)")
    received_on = day("Received on")
    reference = text("Bank's reference", most=100, hint="unique")


# -- vouchers ----------------------------------------------------------------------------------


@deed("voucher.issue", "/registrations/<registration_code>/vouchers", "Issue the voucher",
      "Voucher {number} is recorded; it is effective once the worker has carried it to the chain.",
      body=IssueBody)  # fmt: skip
def issue(
    desk: Desk, session: Session, actor: Actor, found: Registration, holder_address: str
) -> dict[str, Any]:
    made = vouchers.issue(
        session, actor, desk.now, registration=found, holder=session.get_one(Party, found.party_id),
        holder_address=holder_address, origin=desk.origin, key=desk.credential_key,
    )  # fmt: skip
    return {"digest": made.digest, "number": made.number, "state": made.state}


def _change(verb: str, title: str) -> Any:
    def act(
        desk: Desk, session: Session, actor: Actor, found: Voucher, reason: str, basis: str = ""
    ) -> dict[str, Any]:
        vouchers.change(session, actor, desk.now, found, verb, reason, desk.origin, basis)
        return {"frozen": found.frozen, "number": found.number, "state": found.state}

    return deed(
        f"voucher.{verb}", f"/vouchers/<voucher_number>/{verb}", title,
        "Voucher {number} is now {state} (frozen: {frozen}).", changes=True,
        body=FreezeBody if verb in vouchers.FREEZING else ReasonBody,
    )(act)  # fmt: skip


CHANGES = {
    verb: _change(verb, title)
    for verb, title in {
        "suspend": "Suspend", "resume": "Resume", "revoke": "Revoke the voucher",
        "cancel": "Cancel the voucher", "freeze": "Freeze", "unfreeze": "Unfreeze",
    }.items()
}  # fmt: skip


# -- trade -------------------------------------------------------------------------------------


@deed("licence.grant", "/vouchers/<voucher_number>/licences", "Sell a licence",
      "Licence {n} under {voucher} is sold for {price_yuan} yuan (order {order}).",
      body=LicenceBody)  # fmt: skip
def grant(
    desk: Desk, session: Session, actor: Actor, found: Voucher, *, order: str, licensee: str,
    from_on: date, until_on: date, price_yuan: int, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """A sale from its facts; the term runs over whole days in Shanghai."""
    faults = Faults()
    made = trading.grant(
        session, actor, desk.now, voucher=found, valid_from=start_of_day(from_on),
        licensee=faults.tried("licensee", parties.party_by_uscc, session, licensee),
        valid_until=end_of_day(until_on), price_fen=price_yuan, order_reference=order,
        origin=desk.origin, faults=faults, **more,
    )  # fmt: skip
    return {
        "id": made.id, "n": made.n, "order": made.order_reference,
        "price_yuan": money.yuan(made.price_fen), "voucher": found.number,
    }  # fmt: skip


@deed("licence.revoke", "/licences/<order>/revoke", "Revoke the licence",
      "The licence of order {order} is {state}.", body=ReasonBody, changes=True,
      owners=lambda s, row: (s.get_one(Voucher, row.voucher_id).party_id,))  # fmt: skip
def revoke_licence(
    desk: Desk, session: Session, actor: Actor, found: Licence, reason: str
) -> dict[str, Any]:
    under = session.get_one(Voucher, found.voucher_id)
    trading.revoke(session, actor, desk.now, found, under, reason, desk.origin)
    return {"order": found.order_reference, "state": found.state}


@deed("payment.record", "/licences/<order>/payments", "Record a payment",
      "Recorded {reference}: {net_yuan} yuan net, {vat_yuan} yuan VAT.", body=PaymentBody)  # fmt: skip
def record_payment(
    desk: Desk, session: Session, actor: Actor, found: Licence, *, amount_yuan: int,
    received_on: date, reference: str,
) -> dict[str, Any]:  # fmt: skip
    """Money received, with its VAT taken out."""
    made = trading.record_payment(
        session, actor, desk.now, licence=found, amount_fen=amount_yuan,
        received_on=received_on.isoformat(), reference=reference,
    )  # fmt: skip
    return {
        "net_yuan": money.yuan(made.net_fen), "reference": reference,
        "vat_yuan": money.yuan(made.vat_fen),
    }  # fmt: skip


@question("statement.proof", "/statements/<statement_number>/lines/<uscc>",
          "Proof of a payee's lines")  # fmt: skip
def line_proof(
    desk: Desk, _session: Session, _actor: Actor, found: Statement, payee: Party
) -> File:
    facts = revenue.line_facts(found, payee.uscc, desk.origin, desk.deployment)
    document = line.make(signer=desk.credential_key, now=desk.now, **facts)
    return File(canonical(document), "application/json", f"{found.number}-{payee.uscc}.json")


def sees_ground(actor: Actor, row: Voucher) -> bool:
    """Whether he is told why a voucher was frozen: the holder, the registrar, the regulator."""
    return bool(actor.roles & {"registrar", "regulator"}) or row.party_id in actor.parties


@question("voucher.read", "/vouchers/<voucher_number>", "Voucher", answer=shown_schema(Voucher))
def show_voucher(_desk: Desk, session: Session, actor: Actor, found: Voucher) -> dict[str, Any]:
    """As recorded; why it was frozen only to those it concerns."""
    told = {**found.body(), "history": history_of(session, found.id)}
    return told if sees_ground(actor, found) else {**told, "freeze_ground": None}


list_vouchers = lists("voucher", "/vouchers", "Vouchers",
                      "number kind rights valid_from valid_until state frozen",
                      (Voucher.number, Voucher.credential))  # fmt: skip
show_licence = shows("licence", "/licences/<order>", "Licence")
list_licences = lists("licence", "/licences", "Licences",
                      "order_reference n right purpose valid_from valid_until price_fen state",
                      (Licence.order_reference,))  # fmt: skip
show_payment = shows("payment", "/payments/<path:reference>", "Payment")
list_payments = lists("payment", "/payments", "Payments",
                      "reference amount_fen vat_fen net_fen received_on statement_id",
                      (Payment.reference,))  # fmt: skip
