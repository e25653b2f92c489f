"""Licences, payments and schemes."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from flask import Flask, render_template, request
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import orders, revenue, schemes, statements
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.errors import LedgerError, Missing, NotAuthenticated
from ledger.orders import Order
from ledger.parties import Party, allowed
from ledger.refunds import Refund
from ledger.registration import Registration
from ledger.reports import decimal
from ledger.schemes import Scheme
from ledger.settlements import Settlement
from ledger.spreadsheet import write_distribution
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher
from valuation import money, sentences, sharing
from valuation import schemes as scheme_language
from valuation.money import ratio
from webapp import door
from webapp.deeds.all import circulation, distribution
from webapp.deeds.subjects import visible
from webapp.documents import write_scheme
from webapp.intake import read_form
from webapp.language import language, translate
from webapp.pages import flows, nouns
from webapp.pages.value import person, sheet, standing

KINDS = {
    "recover": "Costs recovered first", "fixed": "Fixed sum first", "share": "Share of what is left",
    "tiers": "In bands of what is left", "pool": "The rest, by fixed shares",
    "contribution": "The rest, by contribution", "carried": "Rounding carried over",
}  # fmt: skip
# What an operator begins with; {operator} and {implementer} become the codes of the agreement's sides.
EXAMPLE = """\
v: 1
name: {{zh: 授权运营收益分配方案, en: revenue scheme of the operation agreement}}
steps:
  - kind: recover
    party: "{operator}"
    label: {{zh: 平台成本补偿, en: platform cost recovered}}
    fact: platform_cost_fen
    cap_ratio: 1/2
  - kind: share
    party: "{implementer}"
    label: {{zh: 非税收入上缴财政, en: treasury share}}
    ratio: 1/10
  - kind: pool
    label: {{zh: 余额分配, en: the rest}}
    shares:
      - {{party: "{operator}", share: 7/10}}
      - {{party: "{implementer}", share: 3/10}}
"""


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    both = ["GET", "POST"]
    app.jinja_env.filters |= {"share": share_text, "entries": scheme_language.payees}
    nouns.EXTRA |= {
        "licence": about_licence, "payment": about_payment, "scheme": about_scheme,
    }  # fmt: skip
    for path, name, view, methods in (
        ("/vouchers/<voucher_number>/licences", "licence_grant", grant, both),
        ("/agreements/<agreement_number>/schemes/new", "scheme_propose", propose_scheme, both),
        ("/agreements/<agreement_number>/schemes/try", "scheme_try", try_scheme, both),
    ):  # fmt: skip
        app.add_url_rule(path, name, view, methods=methods)


def share_text(value: Any) -> str:
    """A share as the agreement writes it, and in per cent."""
    percent = f"{decimal(ratio(value) * 100, 4)} %"
    return f"{value} = {percent}" if "/" in str(value) else percent


# -- trade -------------------------------------------------------------------------------------


def about_licence(session: Session, row: Licence) -> dict[str, Any]:
    """What a licence's page shows besides the row."""
    paid = list(
        session.scalars(
            select(Payment).where(Payment.licence_id == row.id).order_by(Payment.received_on)
        )
    )
    paid_fen = sum(one.amount_fen for one in paid if one.undone_by is None)
    voucher = session.get_one(Voucher, row.voucher_id)
    order = session.scalar(select(Order).where(Order.licence_id == row.id))
    return {
        **standing(session, row),
        "given_back": _refunds(session, [one.id for one in paid]),
        "order": order
        if order and allowed(door.actor(), "order.read", orders.owners(session, order))
        else None,
        "open_fen": row.price_fen - paid_fen,
        "paid_fen": paid_fen,
        "payments": paid,
        "record": row.state == "granted" and allowed(door.actor(), "payment.record"),
        "sees_voucher": allowed(door.actor(), "voucher.read", voucher.party_id),
        "seller": person(session, row.sold_by),
        "voucher": voucher,
    }


def about_payment(session: Session, row: Payment) -> dict[str, Any]:
    """What a payment's page shows besides the row."""
    of = (Settlement.agreement_id == row.agreement_id, Settlement.n == row.n)
    if row.n is None:  # recorded before payments knew their numbers
        of = (Settlement.source_id == row.id,)  # type: ignore[assignment]
    settlement = session.scalars(select(Settlement).where(*of)).first()
    statement = revenue.statement_of(session, settlement) if settlement else None
    sees = statement is not None and allowed(
        door.actor(), "statement.read", statements.owners(session, statement)
    )
    return {
        **standing(session, row),
        "given_back": _refunds(session, [row.id]),
        "licence": session.get_one(Licence, row.licence_id),
        "recorder": person(session, row.recorded_by),
        "sees_statement": sees,
        "statement": statement,
    }


def _refunds(session: Session, payment_ids: list[str]) -> list[Refund]:
    """The refunds of payments, where the reader may see them."""
    if not allowed(door.actor(), "refund.read"):
        return []
    wanted = select(Refund).where(Refund.payment_id.in_(payment_ids)).order_by(Refund.id)
    seen = visible(session, door.actor(), "refund")
    return list(session.scalars(wanted if seen is None else wanted.where(seen)))


@door.guard(circulation.grant)
def grant(voucher_number: str) -> Any:
    """The form of a sale; the term is offered as far as voucher and agreement go."""
    deed, keys = circulation.grant, {"voucher_number": voucher_number}
    if request.method == "POST":
        return nouns.submit(deed, keys)
    desk = door.the_desk()
    with desk.home.reading() as session:
        [voucher] = deed.subjects(session, keys)
        registration = session.get_one(Registration, voucher.registration_id)
        agreement = session.get(Agreement, registration.agreement_id or "")
    until = local_date(voucher.valid_until).isoformat()
    values: dict[str, Any] = {
        "from_on": local_date(desk.now).isoformat(),
        "until_on": min(until, agreement.until_on) if agreement else until,
    }  # fmt: skip
    if agreement is not None and agreement.scenes:
        values["terms"] = {"scene": agreement.scenes[0]["name"]}
    return nouns.deed_page(deed, keys, values, {}, None)


# -- schemes -----------------------------------------------------------------------------------


def about_scheme(session: Session, row: Scheme) -> dict[str, Any]:
    """What a scheme's page shows besides the row."""
    return {
        **standing(session, row),
        "agreed_by": person(session, row.agreed_by),
        "agreement": session.get_one(Agreement, row.agreement_id),
        "kinds": KINDS,
        "proposed_by": person(session, row.proposed_by),
        "sentences": sentences.explain(
            scheme_language.check(row.document), nouns.party_names(session)
        ),
    }


@door.guard(distribution.propose_scheme)
def propose_scheme(agreement_number: str) -> Any:
    """The form of a scheme; it begins with the edition before, else with an example."""
    deed, keys = distribution.propose_scheme, {"agreement_number": agreement_number}
    if request.method == "POST":
        return nouns.submit(deed, keys)
    desk = door.the_desk()
    with desk.home.reading() as session:
        [agreement] = deed.subjects(session, keys)
        try:
            document: Any = write_scheme(schemes.scheme_of(session, agreement).document)
            from_on = ""
        except Missing:
            document, from_on = _example(session, agreement), agreement.from_on
    values = {"document": document, "effective_from": from_on}
    return nouns.deed_page(deed, keys, values, {}, None)


def _example(session: Session, agreement: Agreement) -> str:
    sides = {
        "implementer": session.get_one(Party, agreement.implementer_id).uscc,
        "operator": session.get_one(Party, agreement.operator_id).uscc,
    }
    return EXAMPLE.format_map(sides)


@door.guard(distribution.try_scheme)
def try_scheme(agreement_number: str) -> Any:
    """A scheme tried on the last statement's numbers beside the scheme in force; nothing is kept."""
    question, keys = distribution.try_scheme, {"agreement_number": agreement_number}
    desk, given = door.the_desk(), dict(request.form.items())
    refusal, status, found = None, 200, None
    if request.method == "POST":
        try:
            query = read_form(question.query, request.form)
            found = desk.ask(question, door.who, keys, query)
        except NotAuthenticated:
            raise
        except LedgerError as error:
            refusal, status = error.localized(translate), error.http_status
    tried = in_force = None
    if found is not None:
        tried = sharing.recompute_distribution(found["tried"])
        in_force = found["in_force"] and sharing.recompute_distribution(found["in_force"])
        if given.get("do") == "xlsx":
            target = BytesIO()
            write_distribution(tried, target)
            return sheet(target, f"{agreement_number}-trial.xlsx")
    with desk.home.reading() as session:
        [agreement] = question.subjects(session, keys)
        question.authorise(session, door.who(session), [agreement])
        last, names = statements.previous(session, agreement), nouns.party_names(session)
        if "document" not in given:
            try:
                given["document"] = write_scheme(schemes.scheme_of(session, agreement).document)
            except Missing:
                given["document"] = _example(session, agreement)
            given["amount_yuan"] = money.yuan(last.amount_fen) if last else ""
        page = render_template(
            "scheme_try.html", row=agreement, keys=keys, last=last, given=given, refusal=refusal,
            names=names, found=found, kinds=KINDS, back=nouns.page_of("agreement", agreement_number),
            tried=tried and drawn(tried, names), in_force=in_force and drawn(in_force, names),
            sentences=tried and sentences.explain(tried.scheme, names),
        )  # fmt: skip
    return page, status


def drawn(outcome: sharing.Distribution, names: Mapping[str, str]) -> dict[str, Any]:
    """A distribution with its picture and the table behind it."""
    return {
        "outcome": outcome, "picture": flows.picture(outcome, names, language()),
        "rows": flows.rows(outcome, names), "steps": outcome.derivation.to_dict()["steps"],
    }  # fmt: skip
