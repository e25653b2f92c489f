"""The deeds on price settings 定价 (发改价格〔2025〕65号): propose, confirm; and the yearly report."""

from datetime import date
from io import BytesIO
from typing import Any

from marshmallow import fields, validate
from sqlalchemy.orm import Session

from ledger import price_reports, prices
from ledger.agreements import Agreement
from ledger.parties import Actor
from ledger.prices import Price
from valuation import money
from valuation.worksheet import Figure
from webapp.deeds import Desk, File, deed, question
from webapp.deeds.answers import lists, shows
from webapp.deeds.field import ReasonBody
from webapp.deeds.figures import FigureAnswer
from webapp.deeds.forms import MISSHAPEN, Body, day, document, said, text
from webapp.tables import XLSX

STAGES = {"trial": "Trial fees", "set": "Formal fees"}
ONE = "/prices/<price_number>"


class PriceBody(Body):
    """A price setting 定价 as proposed."""

    document = document("Inputs of the method price_cap (YAML)",
                        hint="what the calculator hands out as JSON, or the inputs alone")  # fmt: skip
    from_on = day("First day")
    until_on = day("Last day", hint="until its review, at most three years")


class ConfirmBody(Body):
    """On which approval formal fees rest."""

    approval = text("Approval by the authority", area=True, required=False, blank=True,
                    hint="its number and ground; formal fees need it")  # fmt: skip


class PriceReportBody(Body):
    """What the ledger does not know of a year: its cost, and how the operation went."""

    year = fields.Integer(
        required=True, validate=validate.Range(2000, 2200, error=said(MISSHAPEN, "year")),
        error_messages={"invalid": said(MISSHAPEN, "year")},
        metadata={"title": "Year", "hint": "the report is due on 31 March of the next one"},
    )  # fmt: skip
    overview = text("State of operation", area=True)
    costs = document(
        "Cost (YAML)", hint="platform_yuan, handling_yuan, … or lines, as price_report asks"
    )


def _stands(made: Price) -> dict[str, Any]:
    return {
        "edition": made.edition, "number": made.number,
        "permitted_yuan": money.yuan(made.permitted_fen), "state": made.state,
    }  # fmt: skip


def _authority(session: Session, row: Price) -> tuple[str, ...]:
    return (session.get_one(Agreement, row.agreement_id).implementer_id,)


def _operator(session: Session, row: Price) -> tuple[str, ...]:
    return (session.get_one(Agreement, row.agreement_id).operator_id,)


@deed("price.propose", "/agreements/<agreement_number>/prices", "Propose a price setting",
      "Price setting {number}: at most {permitted_yuan} yuan a year; the authorising body confirms it "
      "next.", body=PriceBody, owners=lambda _s, row: (row.operator_id,))  # fmt: skip
def propose(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, document: dict[str, Any],
    from_on: date, until_on: date,
) -> dict[str, Any]:  # fmt: skip
    made = prices.propose(
        session, actor, desk.now, found, document=document, from_on=from_on, until_on=until_on
    )
    return _stands(made)


@deed("price.confirm", f"{ONE}/confirm", "Confirm the price setting",
      "Edition {edition} of the price setting is {state} ({number}).", body=ConfirmBody, changes=True,
      owners=_authority)  # fmt: skip
def confirm(
    desk: Desk, session: Session, actor: Actor, found: Price, approval: str = ""
) -> dict[str, Any]:
    prices.confirm(session, actor, desk.now, found, approval)
    return _stands(found)


@deed("price.reject", f"{ONE}/reject", "Reject", "Price setting {number} is rejected.",
      body=ReasonBody, changes=True, owners=_authority)  # fmt: skip
def reject(desk: Desk, session: Session, actor: Actor, found: Price, reason: str) -> dict[str, Any]:
    prices.reject(session, actor, desk.now, found, reason)
    return _stands(found)


@deed("price.withdraw", f"{ONE}/withdraw", "Withdraw", "Price setting {number} is withdrawn.",
      body=ReasonBody, changes=True, owners=_operator)  # fmt: skip
def withdraw(
    desk: Desk, session: Session, actor: Actor, found: Price, reason: str
) -> dict[str, Any]:
    prices.withdraw(session, actor, desk.now, found, reason)
    return _stands(found)


def _report(session: Session, found: Agreement, given: dict[str, Any]) -> Figure:
    year = int(given.pop("year"))
    return price_reports.drawn(session, found, year, **given)


@question("price.read", "/agreements/<agreement_number>/price-report", "Yearly report on the price",
          name="price.report", query=PriceReportBody, answer=FigureAnswer, method="POST",
          owners=lambda _s, row: (row.operator_id, row.implementer_id))  # fmt: skip
def report(
    _desk: Desk, session: Session, _actor: Actor, found: Agreement, **given: Any
) -> dict[str, Any]:
    """Sales and receipts of the year from the ledger, the stated costs, and how far they deviate."""
    return _report(session, found, given).to_dict()


@question("price.read", "/agreements/<agreement_number>/price-report.xlsx",
          "Yearly report on the price (XLSX)", name="price.report_xlsx", query=PriceReportBody,
          method="POST", media_type=XLSX,
          owners=lambda _s, row: (row.operator_id, row.implementer_id))  # fmt: skip
def report_xlsx(
    _desk: Desk, session: Session, _actor: Actor, found: Agreement, **given: Any
) -> File:
    """The same as a workbook in the notice's six parts, with live formulas."""
    target = BytesIO()
    price_reports.write_report(_report(session, found, given), target)
    return File(target.getvalue(), XLSX, f"price-report-{found.number}.xlsx")


show_price = shows("price", ONE, "Price setting")
list_prices = lists("price", "/prices", "Price settings",
                    "number edition stage from_on until_on permitted_fen state",
                    (Price.number,))  # fmt: skip
