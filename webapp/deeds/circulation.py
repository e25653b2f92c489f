"""The deeds from the voucher on: vouchers, licences, payments, schemes, statements."""

from datetime import date, timedelta
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from ledger import approvals, parties, revenue, schemes, trading, vouchers
from ledger.agreements import Agreement
from ledger.calendar import end_of_day, start_of_day
from ledger.errors import Conflict, Faults, Invalid, NotAllowed
from ledger.log import digest_key
from ledger.parties import Account, Actor, Member, Party
from ledger.proof import line
from ledger.proof.encoding import canonical
from ledger.registration import Registration
from ledger.schemes import Scheme
from ledger.statements import Statement
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher
from valuation import ValuationError, money
from webapp.deeds import Desk, File, Report, deed, question
from webapp.deeds.answers import history_of, lists, shown_schema, shows
from webapp.deeds.appraisals import maker_s
from webapp.deeds.field import RIGHTS, ReasonBody
from webapp.deeds.forms import (
    MISSHAPEN,
    Body,
    day,
    document,
    text,
    yuan,
)

APPROVAL_DAYS = 7
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


class SchemeBody(Body):
    """A revenue scheme 收益分配方案."""

    document = document("Scheme (YAML)", hint="v, name, steps")
    effective_from = day("First day it binds")


class StatementBody(Body):
    """The period a statement covers, and the facts its scheme names."""

    from_on = day("First day")
    until_on = day("Last day")
    facts = document("Facts (yuan)", hint="one a line, such as platform_cost_fen: 45000.00",
                     required=False)  # fmt: skip


class ApprovalBody(Body):
    """The approval a checker signed on his own machine."""

    approval = document("Signed approval (JSON)", hint="the file that shuzheng sign wrote")


class ApprovalRequestAnswer(Schema):
    """What the checker takes to his own machine."""

    statement = fields.Dict(required=True)
    type = fields.String(required=True)
    typed_data = fields.Dict(required=True)
    v = fields.Integer(required=True)


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
    made = trading.grant(
        session, actor, desk.now, voucher=found, licensee=parties.party_by_uscc(session, licensee),
        valid_from=start_of_day(from_on), valid_until=end_of_day(until_on), price_fen=price_yuan,
        order_reference=order, origin=desk.origin, **more,
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


# -- revenue -----------------------------------------------------------------------------------


@deed("scheme.propose", "/agreements/<agreement_number>/schemes", "Propose a scheme",
      "Edition {edition} of the scheme is {state}.", body=SchemeBody,
      owners=lambda _s, row: (row.operator_id,))  # fmt: skip
def propose_scheme(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, document: dict[str, Any],
    effective_from: date,
) -> dict[str, Any]:  # fmt: skip
    made = schemes.propose(session, actor, desk.now, found, document, effective_from)
    return _scheme_facts(found, made)


class TrialBody(Body):
    """A scheme to be tried, and what goes before the last statement's numbers."""

    amount_yuan = yuan("Amount (yuan)", hint="the last statement's if left out", required=False)
    facts = document(
        "Facts (yuan)", hint="those the last statement lacks, or others", required=False
    )
    document = document("Scheme (YAML)", hint="v, name, steps")


class TrialAnswer(Schema):
    """What the amount becomes under the scheme tried and under the one in force; nothing is kept."""

    differences = fields.List(fields.Dict(), required=True)
    flows = fields.List(fields.Dict(), required=True)
    in_force = fields.Dict(required=True, allow_none=True)
    tried = fields.Dict(required=True)
    v = fields.Integer(required=True)


@question("scheme.read", "/agreements/<agreement_number>/schemes/try", "Try a scheme",
          name="scheme.try", query=TrialBody, answer=TrialAnswer, method="POST")  # fmt: skip
def try_scheme(
    _desk: Desk, session: Session, actor: Actor, found: Agreement, *, document: dict[str, Any],
    amount_yuan: int | None = None, facts: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    given = _amounts(facts or {})
    return revenue.try_scheme(
        session, actor, found, document, amount_fen=amount_yuan, facts=given
    ).to_dict()


def _scheme_facts(agreement: Agreement, made: Scheme) -> dict[str, Any]:
    return {
        "agreement": agreement.number, "edition": made.edition, "id": made.id, "state": made.state,
    }  # fmt: skip


@deed("scheme.agree", "/schemes/<scheme_id>/agree", "Agree to the scheme",
      "Edition {edition} of the scheme is {state}.", changes=True,
      owners=lambda s, row: (s.get_one(Agreement, row.agreement_id).implementer_id,))  # fmt: skip
def agree_scheme(desk: Desk, session: Session, actor: Actor, found: Scheme) -> dict[str, Any]:
    under = session.get_one(Agreement, found.agreement_id)
    schemes.agree(session, actor, desk.now, found, under)
    return _scheme_facts(under, found)


@deed("statement.draft", "/agreements/<agreement_number>/statements", "Draft a statement",
      "Statement {number}: {amount_yuan} yuan are shared.", body=StatementBody)  # fmt: skip
def draft_statement(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, from_on: date, until_on: date,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The distribution of a period; facts come in yuan and are fen inside."""
    given = _amounts(facts or {})
    made = revenue.draft(
        session, actor, desk.now, found, from_on=from_on, until_on=until_on, facts=given
    )
    return {
        "amount_yuan": money.yuan(made.amount_fen),
        "lines": [
            {
                "amount_yuan": money.yuan(line["amount_fen"]), "en": line["en"],
                "party": line["party"], "zh": line["zh"],
            }
            for line in made.lines
        ],
        "number": made.number,
        "state": made.state,
    }  # fmt: skip


def _amounts(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts, amounts in fen; every amount that is none is named at its place. Documents stay."""
    given, faults = dict[str, Any](), Faults()
    for name, amount in facts.items():
        if isinstance(amount, dict):
            given[name] = amount
            continue
        try:
            given[name] = money.fen(str(amount), name)
        except ValuationError:
            faults.name_fault(MISSHAPEN, at=f"facts.{name}", name=name, form="amount in yuan")
    if faults:
        raise Invalid("What was given does not fit: {faults}.", faults=faults)
    return given


def _stands(made: Statement) -> dict[str, Any]:
    return {"number": made.number, "state": made.state}


@deed("statement.propose", "/statements/<statement_number>/propose", "Put before the checker",
      "Statement {number} is proposed.", changes=True, owners=maker_s)  # fmt: skip
def propose_statement(
    desk: Desk, session: Session, actor: Actor, found: Statement
) -> dict[str, Any]:
    revenue.propose(session, actor, desk.now, found, desk.origin)
    return _stands(found)


def _known_on_chain(
    desk: Desk, _report: Report, actor: Actor, found: Statement, approval: dict[str, Any]
) -> dict[str, Any]:
    """Raise Conflict now for what the contract would refuse later, and say what the file is not."""
    parties.require_other(actor, [found.maker_id], f"statement {found.number}")
    if approval.get("statement", found.number) != found.number:
        raise Invalid(
            "This file approves statement {given}, not {number}.",
            given=str(approval["statement"]), number=found.number,
        )  # fmt: skip
    with desk.home.reading() as session:
        address = session.get_one(Member, actor.member_id).signing_address
    if address is None:
        return {}  # the deed itself says what is wrong
    if approval.get("address", address) != address:
        raise NotAllowed(
            "The signature on statement {number} is not by your key {address}.",
            number=found.number, address=address,
        )  # fmt: skip
    gateway, book = desk.gateway(), desk.deployment.contracts["RevenueBook"]
    role = gateway.call("RevenueBook", book, "CHECKER_ROLE")
    if not gateway.call("RevenueBook", book, "hasRole", role, address):
        raise Conflict(
            "The contract does not know {address} as a checker: the administrator grants the role first.",
            address=address,
        )
    nonce = gateway.call("RevenueBook", book, "nonces", address)
    _, state, version = gateway.call(
        "RevenueBook", book, "verify", digest_key(desk.origin, found.id),
        bytes.fromhex(found.digest.removeprefix("sha256:")), bytes.fromhex(found.line_root),
    )  # fmt: skip
    if nonce != approval.get("nonce") or (found.state == "proposed" and version != 1):
        raise Conflict(
            "The chain is not where the signature says (nonce {nonce}, state {state}): let the worker "
            "finish, then request and sign anew.",
            nonce=nonce, state=state,
        )  # fmt: skip
    return {}


@deed("statement.approve", "/statements/<statement_number>/approve", "Hand in the signed approval",
      "Statement {number} is approved; it is booked once the approval is effective on chain.",
      body=ApprovalBody, changes=True, owners=maker_s, prepare=_known_on_chain,
      asks_chain=True)  # fmt: skip
def approve_statement(
    desk: Desk, session: Session, actor: Actor, found: Statement, approval: dict[str, Any]
) -> dict[str, Any]:
    approvals.approve(session, actor, desk.now, found, approval, desk.origin, desk.deployment)
    return _stands(found)


@deed("statement.reopen", "/statements/<statement_number>/reopen", "Reopen",
      "Statement {number} is {state} again.", changes=True, owners=maker_s)  # fmt: skip
def reopen_statement(
    desk: Desk, session: Session, actor: Actor, found: Statement
) -> dict[str, Any]:
    approvals.reopen(session, actor, desk.now, found)
    return _stands(found)


@deed("statement.reject", "/statements/<statement_number>/reject", "Send back",
      "Statement {number} is rejected.", body=ReasonBody, changes=True, owners=maker_s)  # fmt: skip
def reject_statement(
    desk: Desk, session: Session, actor: Actor, found: Statement, reason: str
) -> dict[str, Any]:
    revenue.reject(session, actor, desk.now, found, reason, desk.origin)
    return _stands(found)


@question("statement.approve", "/statements/<statement_number>/approval-request",
          "Approval request", name="statement.request", answer=ApprovalRequestAnswer,
          owners=maker_s, asks_chain=True)  # fmt: skip
def approval_request(
    desk: Desk, session: Session, actor: Actor, found: Statement
) -> dict[str, Any]:
    """What the checker signs on his own machine, with the nonce the contract expects of his key."""
    address = session.get_one(Member, actor.member_id).signing_address
    if address is None:
        login = session.get_one(Account, actor.member_id).login
        raise Invalid("{login} has no signing address.", login=login)
    gateway = desk.gateway()
    nonce = gateway.call("RevenueBook", desk.deployment.contracts["RevenueBook"], "nonces", address)
    deadline = int((desk.now + timedelta(days=APPROVAL_DAYS)).timestamp())
    return approvals.request_for(found, desk.origin, desk.deployment, nonce, deadline)


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
show_payment = shows("payment", "/payments/<reference>", "Payment")
list_payments = lists("payment", "/payments", "Payments",
                      "reference amount_fen vat_fen net_fen received_on statement_id",
                      (Payment.reference,))  # fmt: skip
show_scheme = shows("scheme", "/schemes/<scheme_id>", "Scheme")
list_schemes = lists("scheme", "/agreements/<agreement_number>/schemes", "Schemes",
                     "edition effective_from state",
                     where=lambda row: Scheme.agreement_id == row.id)  # fmt: skip
show_statement = shows("statement", "/statements/<statement_number>", "Statement")
list_statements = lists("statement", "/statements", "Statements",
                        "number from_on until_on amount_fen state", (Statement.number,))  # fmt: skip
