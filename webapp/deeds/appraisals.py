"""The deeds of appraisals 价值评估: draft, review, withdraw, compare, hand out."""

from typing import Any

from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from ledger import appraisals, handoff, reports
from ledger.appraisals import Appraisal
from ledger.parties import Actor, Member
from ledger.proof.encoding import canonical
from ledger.registration import Registration
from ledger.statements import Statement
from valuation import money
from webapp.deeds import Desk, File, deed, question
from webapp.deeds.answers import lists, shows
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import TEXT_MAX, Body, day, document, group, rows, terms, text, texts

APPROACHES = {
    "cost": "Cost approach", "income": "Income approach", "market": "Market approach",
}  # fmt: skip
DISCLOSURES = {
    "basics_rights": "Basics and rights", "quality": "Quality", "scene": "Scenes and limits",
    "outlook": "Economy and industry", "sources": "Sources of information",
    "experts": "Work of experts", "method": "Choice of methods and parameters",
    "assumptions": "Assumptions and limits",
}  # fmt: skip
Disclosures = terms("Disclosures", appraisals.DISCLOSURES, DISCLOSURES)


class WeightBody(Body):
    """How much one approach counts, and why."""

    method = text("Approach", choices=APPROACHES)
    weight = text("Weight", most=12, hint="such as 0.5; all together 1")
    reason = text("Ground", most=500)


class AppraisalBody(Body):
    """An appraisal 价值评估: purpose, inputs by approach, weights, disclosures, assumptions."""

    purpose = text("Purpose", most=500)
    base_on = day("Base day")
    documents = document("Inputs of the approaches (YAML)",
                         hint="cost, income, market: each with method, version, inputs")  # fmt: skip
    weights = rows("Weights", WeightBody)
    analyses = document("Range, sensitivity, breakeven (YAML)", required=False,
                        hint="by approach: cost, income, market")  # fmt: skip
    disclosures = group("What the report discloses", Disclosures)
    assumptions = texts(
        "Assumptions", most=TEXT_MAX, hint="one a line, each a statement of its own"
    )
    valid_until_on = day("Valid until", required=False,
                         hint="at most a year after the base day; left out, that day")  # fmt: skip


def maker_s(session: Session, row: Appraisal | Statement) -> tuple[str]:
    """The organisation whose member made it."""
    return (session.get_one(Member, row.maker_id).party_id,)


def _valued(made: Appraisal) -> dict[str, Any]:
    return {
        "edition": made.edition, "number": made.number, "state": made.state, "value_fen": made.value_fen,
        "value_yuan": money.yuan(made.value_fen),
    }  # fmt: skip


@deed("appraisal.draft", "/registrations/<registration_code>/appraisals", "Draft an appraisal",
      "Appraisal {number}: {value_yuan} yuan.", body=AppraisalBody,
      owners=lambda _s, _row: None)  # fmt: skip
def draft_appraisal(
    desk: Desk, session: Session, actor: Actor, found: Registration, **body: Any
) -> dict[str, Any]:
    return _valued(appraisals.draft(session, actor, desk.now, registration=found, **body))


@deed("appraisal.approve", "/appraisals/<appraisal_number>/approve", "Approve",
      "Appraisal {number} is approved.", changes=True, owners=maker_s)  # fmt: skip
def approve_appraisal(
    desk: Desk, session: Session, actor: Actor, found: Appraisal
) -> dict[str, Any]:
    appraisals.approve(session, actor, desk.now, found)
    return _valued(found)


@deed("appraisal.reject", "/appraisals/<appraisal_number>/reject", "Reject",
      "Appraisal {number} is rejected.", body=ReasonBody, changes=True, owners=maker_s)  # fmt: skip
def reject_appraisal(
    desk: Desk, session: Session, actor: Actor, found: Appraisal, reason: str
) -> dict[str, Any]:
    appraisals.reject(session, actor, desk.now, found, reason)
    return _valued(found)


@deed("appraisal.withdraw", "/appraisals/<appraisal_number>/withdraw", "Withdraw",
      "Appraisal {number} is withdrawn.", body=ReasonBody, changes=True, owners=maker_s)  # fmt: skip
def withdraw_appraisal(
    desk: Desk, session: Session, actor: Actor, found: Appraisal, reason: str
) -> dict[str, Any]:
    appraisals.withdraw(session, actor, desk.now, found, reason)
    return _valued(found)


class ComparisonAnswer(Schema):
    """How the value of the edition before became this one (`valuation.comparison`)."""

    before = fields.String(required=True, allow_none=True)
    """the number of the edition before; without one, there is nothing to compare with"""
    comparison = fields.Dict(required=True, allow_none=True)


@question("appraisal.read", "/appraisals/<appraisal_number>/comparison",
          "Comparison with the edition before", name="appraisal.compare",
          answer=ComparisonAnswer)  # fmt: skip
def compare_appraisal(
    _desk: Desk, session: Session, _actor: Actor, found: Appraisal
) -> dict[str, Any]:
    made = appraisals.compared(session, found)
    if made is None:
        return {"before": None, "comparison": None}
    before = session.get_one(Appraisal, found.replaces_id)
    return {"before": before.number, "comparison": made.to_dict()}


@question("appraisal.read", "/appraisals/<appraisal_number>/appraisal.json", "Appraisal as a file",
          name="appraisal.export")  # fmt: skip
def export_appraisal(desk: Desk, session: Session, _actor: Actor, found: Appraisal) -> File:
    """All that is recorded of it, with its proof once there is one (`handoff.appraisal_file`)."""
    document = handoff.appraisal_file(session, found, desk.deployment)
    return File(canonical(document), "application/json", f"appraisal-{found.number}.json")


@question("appraisal.read", "/appraisals/<appraisal_number>/report.pdf", "Report (PDF)",
          name="appraisal.report", media_type="application/pdf")  # fmt: skip
def report_appraisal(_desk: Desk, session: Session, _actor: Actor, found: Appraisal) -> File:
    """Its report for people, with its figures attached (`ledger.reports`)."""
    content = reports.recorded_report(session, found)
    return File(content, "application/pdf", f"report-{found.number}.pdf")


show_appraisal = shows("appraisal", "/appraisals/<appraisal_number>", "Appraisal")
list_appraisals = lists("appraisal", "/appraisals", "Appraisals",
                        "number edition purpose base_on valid_until_on value_fen state",
                        (Appraisal.number, Appraisal.purpose))  # fmt: skip
