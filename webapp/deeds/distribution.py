"""The deeds of distribution: schemes, statements and their approval, questions on them, reversal."""

from datetime import date, timedelta
from io import BytesIO
from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from ledger import (
    agreements,
    approvals,
    inquiries,
    parties,
    revenue,
    reversals,
    schemes,
    statement_papers,
    statements,
)
from ledger.agreements import Agreement
from ledger.errors import Conflict, Faults, Invalid, NotAllowed
from ledger.inquiries import Inquiry
from ledger.parties import Account, Actor, Member
from ledger.schemes import Scheme
from ledger.spreadsheet import write_distribution
from ledger.statements import Statement
from ledger.states import move
from valuation import ValuationError, money
from webapp.deeds import Desk, File, Report, deed, question
from webapp.deeds.answers import lists, shows
from webapp.deeds.appraisals import maker_s
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import MISSHAPEN, YUAN, Body, day, document, said, text, yuan
from webapp.tables import XLSX

APPROVAL_DAYS = 7


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


class StatementCorrectionBody(Body):
    """The facts that take the place of those stated, and why."""

    facts = document("Facts (yuan)", hint="all that the scheme names, one a line",
                     required=False)  # fmt: skip
    reason = text("Ground", area=True, hint="as it stands in the record")


class StatementInquiryBody(Body):
    """A question 质询 on a line of a statement."""

    line = fields.Integer(
        required=True, validate=validate.Range(1, 10_000, error=said(MISSHAPEN, "number")),
        error_messages={"invalid": said(MISSHAPEN, "number")},
        metadata={"title": "Line", "hint": "as the statement counts them, from 1"},
    )  # fmt: skip
    question = text("Question", area=True)


class InquiryAnswerBody(Body):
    """The maker's answer to a question."""

    answer = text("Answer", area=True, hint="as it is told to who asked")


class ApprovalBody(Body):
    """The approval a checker signed on his own machine."""

    approval = document("Signed approval (JSON)", hint="the file that shuzheng sign wrote")


class ApprovalRequestAnswer(Schema):
    """What the checker takes to his own machine."""

    statement = fields.Dict(required=True)
    type = fields.String(required=True)
    typed_data = fields.Dict(required=True)
    v = fields.Integer(required=True)


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
          name="scheme.try", query=TrialBody, answer=TrialAnswer, method="POST",
          owners=lambda _s, row: agreements.owners(row))  # fmt: skip
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
      "Statement {number}: {amount_yuan} yuan are shared, {late_yuan} of them late ones.",
      body=StatementBody)  # fmt: skip
def draft_statement(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, from_on: date, until_on: date,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The distribution of a period; facts come in yuan and are fen inside."""
    given = _amounts(facts or {})
    made = revenue.draft(
        session, actor, desk.now, found, from_on=from_on, until_on=until_on, facts=given
    )
    return _shared(made)


def _shared(made: Statement) -> dict[str, Any]:
    return {
        "amount_yuan": money.yuan(made.amount_fen),
        "lines": [
            {
                "amount_yuan": money.yuan(line["amount_fen"]), "en": line["en"],
                "party": line["party"], "zh": line["zh"],
            }
            for line in made.lines
        ],
        "late_yuan": money.yuan(made.late_fen or 0),
        "number": made.number,
        "own_yuan": money.yuan(made.amount_fen - (made.late_fen or 0)),
        "state": made.state,
        "trades": made.trade_count,
    }  # fmt: skip


@deed("statement.correct", "/statements/<statement_number>/correct", "Correct",
      "Statement {number} is computed anew: {amount_yuan} yuan are shared.", body=StatementCorrectionBody,
      changes=True, owners=maker_s)  # fmt: skip
def correct_statement(
    desk: Desk, session: Session, actor: Actor, found: Statement, reason: str,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    revenue.correct(session, actor, desk.now, found, _amounts(facts or {}), reason)
    return _shared(found)


@deed("statement.reverse", "/statements/<statement_number>/reverse", "Reverse",
      "Statement {number} takes {reverses} back; propose it and have it approved like any other.",
      body=ReasonBody, owners=maker_s)  # fmt: skip
def reverse_statement(
    desk: Desk, session: Session, actor: Actor, found: Statement, reason: str
) -> dict[str, Any]:
    made = reversals.reverse(session, actor, desk.now, found, reason)
    return {**_shared(made), "reverses": found.number}


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
            faults.name_fault(MISSHAPEN, at=f"facts.{name}", name=name, form=YUAN)
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
        if address is not None:
            approvals.require_fresh_nonce(session, found, address, approval.get("nonce"))
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
        "RevenueBook", book, "verify", statements.chain_key(desk.origin, found),
        bytes.fromhex(found.digest.removeprefix("sha256:")), bytes.fromhex(found.line_root),
    )  # fmt: skip
    moved = found.state == "proposed" and version != found.chain_version
    if nonce != approval.get("nonce") or moved:
        raise Conflict(
            "The chain is not where the signature says (nonce {nonce}, state {state}): let the worker "
            "finish, then request and sign anew.",
            nonce=nonce, state=state,
        )  # fmt: skip
    return {}


@deed("statement.approve", "/statements/<statement_number>/approve", "Hand in the signed approval",
      "Statement {number} is {state}: {signed} of {needed} signatures; it is booked once the last is "
      "effective on chain.",
      body=ApprovalBody, changes=True, owners=maker_s, prepare=_known_on_chain,
      asks_chain=True)  # fmt: skip
def approve_statement(
    desk: Desk, session: Session, actor: Actor, found: Statement, approval: dict[str, Any]
) -> dict[str, Any]:
    approvals.approve(session, actor, desk.now, found, approval, desk.origin, desk.deployment)
    return {
        **_stands(found), "needed": found.approvals_required or 1,
        "signed": len(approvals.signatures(found)),
    }  # fmt: skip


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
    move("statement", "approve", found.state)  # what is not proposed nobody signs
    gateway = desk.gateway()
    nonce = gateway.call("RevenueBook", desk.deployment.contracts["RevenueBook"], "nonces", address)
    deadline = int((desk.now + timedelta(days=APPROVAL_DAYS)).timestamp())
    original = session.get(Statement, found.reverses or "")
    return approvals.request_for(found, desk.origin, desk.deployment, nonce, deadline, original)


# -- questions ---------------------------------------------------------------------------------


def _asked(session: Session, made: Inquiry) -> dict[str, Any]:
    of = session.get_one(Statement, made.statement_id).number
    return {"line": made.line, "number": made.number, "state": made.state, "statement": of}


def _asker(_session: Session, row: Inquiry) -> tuple[str]:
    return (row.party_id,)


@deed("inquiry.raise", "/statements/<statement_number>/inquiries", "Ask about a line",
      "Question {number} on line {line} of {statement} is {state}.", body=StatementInquiryBody,
      owners=inquiries.concerned)  # fmt: skip
def ask(
    desk: Desk, session: Session, actor: Actor, found: Statement, line: int, question: str
) -> dict[str, Any]:
    made = inquiries.raise_(session, actor, desk.now, found, line=line, question=question)
    return _asked(session, made)


@deed("inquiry.answer", "/inquiries/<inquiry_number>/answer", "Answer",
      "Question {number} is {state}.", body=InquiryAnswerBody, changes=True,
      owners=lambda s, row: maker_s(s, s.get_one(Statement, row.statement_id)))  # fmt: skip
def answer(
    desk: Desk, session: Session, actor: Actor, found: Inquiry, answer: str
) -> dict[str, Any]:
    inquiries.answer(session, actor, desk.now, found, answer)
    return _asked(session, found)


@deed("inquiry.insist", "/inquiries/<inquiry_number>/insist", "Insist",
      "Question {number} is {state} again.", body=ReasonBody, changes=True, owners=_asker)  # fmt: skip
def insist(
    desk: Desk, session: Session, actor: Actor, found: Inquiry, reason: str
) -> dict[str, Any]:
    inquiries.insist(session, actor, desk.now, found, reason)
    return _asked(session, found)


@deed("inquiry.close", "/inquiries/<inquiry_number>/close", "Close the question",
      "Question {number} is {state}.", changes=True, owners=_asker)  # fmt: skip
def close(desk: Desk, session: Session, actor: Actor, found: Inquiry) -> dict[str, Any]:
    inquiries.close(session, actor, desk.now, found)
    return _asked(session, found)


@deed("inquiry.withdraw", "/inquiries/<inquiry_number>/withdraw", "Withdraw the question",
      "Question {number} is {state}.", changes=True, owners=_asker)  # fmt: skip
def withdraw(desk: Desk, session: Session, actor: Actor, found: Inquiry) -> dict[str, Any]:
    inquiries.withdraw(session, actor, desk.now, found)
    return _asked(session, found)


@question("statement.read", "/statements/<statement_number>/statement.xlsx", "Statement (XLSX)",
          name="statement.xlsx", media_type=XLSX)  # fmt: skip
def statement_xlsx(_desk: Desk, session: Session, _actor: Actor, found: Statement) -> File:
    """Its lines and their derivation with live formulas, and what the amount is the sum of."""
    target, parts = BytesIO(), []
    if found.covers is not None:
        parts = [
            ("本期 Of the period", found.own_fen or 0),
            ("以前期间调整 Late trades and refunds", found.late_fen or 0),
        ]
    scheme = session.get_one(Scheme, found.scheme_id)
    write_distribution(revenue.recompute(found, scheme), target, parts)
    return File(target.getvalue(), XLSX, f"{found.number}.xlsx")


@question("statement.read", "/statements/<statement_number>/statement.pdf", "Statement (PDF)",
          name="statement.pdf", media_type="application/pdf")  # fmt: skip
def statement_pdf(_desk: Desk, session: Session, _actor: Actor, found: Statement) -> File:
    """For people to read and to sign by hand, Chinese and English."""
    content = statement_papers.statement_pdf(session, found)
    return File(content, "application/pdf", f"{found.number}.pdf")


show_scheme = shows("scheme", "/schemes/<scheme_id>", "Scheme")
list_schemes = lists("scheme", "/agreements/<agreement_number>/schemes", "Schemes",
                     "edition effective_from state",
                     where=lambda row: Scheme.agreement_id == row.id)  # fmt: skip
show_statement = shows("statement", "/statements/<statement_number>", "Statement")
list_statements = lists("statement", "/statements", "Statements",
                        "number agreement_id from_on until_on amount_fen reverses state",
                        (Statement.number,))  # fmt: skip
show_inquiry = shows("inquiry", "/inquiries/<inquiry_number>", "Question on a statement")
list_inquiries = lists("inquiry", "/inquiries", "Questions on statements",
                       "number line question raised_at state",
                       (Inquiry.number, Inquiry.question))  # fmt: skip
