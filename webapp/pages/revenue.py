"""Licences, schemes and statements; the checker's own signature."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from io import BytesIO
from typing import Any
from uuid import uuid4

from flask import Flask, flash, render_template, request, send_file
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage

from ledger import orders, revenue
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.errors import ChainUnavailable, Faults, Invalid, LedgerError, Missing, NotAuthenticated
from ledger.orders import Order
from ledger.parties import Member, Party, allowed
from ledger.proof.encoding import canonical, parse
from ledger.refunds import Refund
from ledger.registration import Registration
from ledger.reports import decimal
from ledger.revenue import Scheme, Statement
from ledger.spreadsheet import write_distribution
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher
from valuation import ValuationError, money, schemes, sentences, sharing
from valuation.money import ratio, round_half_up
from webapp import door
from webapp.deeds import calculating
from webapp.deeds.all import circulation
from webapp.deeds.forms import faults_by_place
from webapp.deeds.subjects import visible
from webapp.documents import Unreadable, read_text, write_scheme
from webapp.intake import read_form, read_upload
from webapp.language import language, tr, translate
from webapp.pages import flows, nouns
from webapp.pages.forms import choices_for, fields_of
from webapp.pages.show import redirect
from webapp.pages.value import person, sheet, standing

SIGNED_BYTES_MAX = 64 * 1024
FACT = "facts."
AWAY = (
    "The chain's node does not answer just now; nothing was changed. Try again in a few minutes; if it "
    "stays so, tell the administrator."
)
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
    app.jinja_env.filters |= {"share": share_text, "entries": schemes.payees}
    nouns.EXTRA |= {
        "licence": about_licence, "payment": about_payment, "scheme": about_scheme,
        "statement": about_statement,
    }  # fmt: skip
    for path, name, view, methods in (
        ("/vouchers/<voucher_number>/licences", "licence_grant", grant, both),
        ("/agreements/<agreement_number>/schemes/new", "scheme_propose", propose_scheme, both),
        ("/agreements/<agreement_number>/schemes/try", "scheme_try", try_scheme, both),
        ("/agreements/<agreement_number>/statements", "statement_draft", draft, both),
        ("/statements/<statement_number>/lines.xlsx", "statement_sheet", statement_sheet, ["GET"]),
        ("/statements/<statement_number>/approval-request.json", "statement_request", approval_request,
         ["GET"]),
        ("/statements/<statement_number>/approve", "statement_approve", approve, both),
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
    voucher = session.get_one(Voucher, row.voucher_id)
    order = session.scalar(select(Order).where(Order.licence_id == row.id))
    return {
        **standing(session, row),
        "given_back": _refunds(session, [one.id for one in paid]),
        "order": order
        if order and allowed(door.actor(), "order.read", orders.owners(session, order))
        else None,
        "open_fen": row.price_fen - sum(one.amount_fen for one in paid),
        "paid_fen": sum(one.amount_fen for one in paid),
        "payments": paid,
        "record": row.state == "granted" and allowed(door.actor(), "payment.record"),
        "sees_voucher": allowed(door.actor(), "voucher.read", voucher.party_id),
        "seller": person(session, row.sold_by),
        "voucher": voucher,
    }


def about_payment(session: Session, row: Payment) -> dict[str, Any]:
    """What a payment's page shows besides the row."""
    statement = session.get(Statement, row.statement_id) if row.statement_id else None
    sees = statement is not None and allowed(
        door.actor(), "statement.read", revenue.owners(session, statement)
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
        "sentences": sentences.explain(schemes.check(row.document), nouns.party_names(session)),
    }


@door.guard(circulation.propose_scheme)
def propose_scheme(agreement_number: str) -> Any:
    """The form of a scheme; it begins with the edition before, else with an example."""
    deed, keys = circulation.propose_scheme, {"agreement_number": agreement_number}
    if request.method == "POST":
        return nouns.submit(deed, keys)
    desk = door.the_desk()
    with desk.home.reading() as session:
        [agreement] = deed.subjects(session, keys)
        try:
            document: Any = write_scheme(revenue.scheme_of(session, agreement).document)
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


@door.guard(circulation.try_scheme)
def try_scheme(agreement_number: str) -> Any:
    """A scheme tried on the last statement's numbers beside the scheme in force; nothing is kept."""
    question, keys = circulation.try_scheme, {"agreement_number": agreement_number}
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
        last, names = revenue.previous(session, agreement), nouns.party_names(session)
        if "document" not in given:
            try:
                given["document"] = write_scheme(revenue.scheme_of(session, agreement).document)
            except Missing:
                given["document"] = _example(session, agreement)
            given["amount_yuan"] = money.yuan(last.amount_fen) if last else ""
        page = render_template(
            "scheme_try.html", row=agreement, keys=keys, last=last, given=given, refusal=refusal,
            names=names, found=found, kinds=KINDS, back=nouns.page_of("agreement", agreement_number),
            tried=tried and _drawn(tried, names), in_force=in_force and _drawn(in_force, names),
            sentences=tried and sentences.explain(tried.scheme, names),
        )  # fmt: skip
    return page, status


def _drawn(outcome: sharing.Distribution, names: Mapping[str, str]) -> dict[str, Any]:
    """A distribution with its picture and the table behind it."""
    return {
        "outcome": outcome, "picture": flows.picture(outcome, names, language()),
        "rows": flows.rows(outcome, names), "steps": outcome.derivation.to_dict()["steps"],
    }  # fmt: skip


# -- statements --------------------------------------------------------------------------------


def about_statement(session: Session, row: Statement) -> dict[str, Any]:
    """What a statement's page shows besides the row."""
    actor = door.actor()
    agreement = session.get_one(Agreement, row.agreement_id)
    scheme = session.get_one(Scheme, row.scheme_id)
    before = revenue.previous(session, agreement, row.from_on)
    differs, trails, drawn = None, [], None
    try:
        again = revenue.recompute(row, scheme)
        trails = [line.to_dict()["steps"] for line in again.lines]
        drawn = _drawn(again, nouns.party_names(session))
    except ValuationError as error:
        differs = str(error)
    except LedgerError as error:
        differs = error.localized(translate)
    payments = None
    if allowed(actor, "payment.read", agreement.operator_id):
        payments = session.execute(
            select(Payment, Licence).join(Licence, Licence.id == Payment.licence_id)
            .where(Payment.id.in_(row.payment_ids)).order_by(Payment.received_on)
        ).all()  # fmt: skip
    payees = {row.uscc: row.id for row in session.scalars(select(Party))}
    return {
        **standing(session, row),
        "agreement": agreement,
        "before": before,
        "carried": carried(row),
        "checker": person(session, row.checker_id),
        "deadline": datetime.fromtimestamp(row.approval["deadline"], UTC) if row.approval else None,
        "differs": differs,
        "drawn": drawn,
        "facts": [(step, row.facts[step["fact"]])
                  for step in schemes.every_step(scheme.document["steps"])
                  if step.get("fact") in row.facts],
        "kinds": KINDS,
        "lines": lines_of(row, before, trails),
        "maker": person(session, row.maker_id),
        "payments": payments,
        "proofs": [uscc for uscc in dict.fromkeys(line["party"] for line in row.lines)
                   if allowed(actor, "statement.proof", payees.get(uscc))],
        "scheme": scheme,
    }  # fmt: skip


def lines_of(
    row: Statement, before: Statement | None, trails: list[list[dict[str, str]]]
) -> list[dict[str, Any]]:
    """The lines with their share of the whole, and what each was in the statement before."""
    left = {_heading(line): line for line in (before.lines if before else [])}
    made = []
    for n, line in enumerate(row.lines):
        earlier = left.pop(_heading(line), None)
        made.append({
            **line, "before_fen": earlier["amount_fen"] if earlier else 0, "gone": False,
            "share": percent(line["amount_fen"], row.amount_fen),
            "steps": trails[n] if n < len(trails) else [],
        })  # fmt: skip
    made += [
        {**line, "amount_fen": 0, "before_fen": line["amount_fen"], "gone": True, "share": percent(0, 1),
         "steps": []}
        for line in left.values()
    ]  # fmt: skip
    return made


def _heading(line: Mapping[str, Any]) -> tuple[str, ...]:
    return (line["party"], line["kind"], line["zh"])


def percent(part: int, whole: int) -> str:
    """A part of a whole in per cent, to two decimals."""
    hundredths = round_half_up(Fraction(10_000 * part, whole or 1))
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


def carried(row: Statement) -> list[dict[str, str]]:
    """What each party was and now is short of, in fen; below nought it is ahead."""
    known = dict.fromkeys([*row.deficits_after, *row.deficits_before])
    return [
        {
            "after": decimal(row.deficits_after.get(party, "0"), 4), "party": party,
            "before": decimal(row.deficits_before.get(party, "0"), 4),
        }
        for party in known
    ]  # fmt: skip


@door.guard(circulation.show_statement)
def statement_sheet(statement_number: str) -> Any:
    """A statement's lines and their derivation as a spreadsheet with live formulas."""
    question, keys = circulation.show_statement, {"statement_number": statement_number}
    desk = door.the_desk()
    target = BytesIO()
    with desk.home.reading() as session, calculating():
        [row] = question.subjects(session, keys)
        question.authorise(session, door.who(session), [row])
        scheme = session.get_one(Scheme, row.scheme_id)
        write_distribution(revenue.recompute(row, scheme), target)
    return sheet(target, f"{statement_number}.xlsx")


@door.guard(circulation.draft_statement)
def draft(agreement_number: str) -> Any:
    """The form of a statement: the next period, and one field for each cost its scheme names."""
    deed, keys = circulation.draft_statement, {"agreement_number": agreement_number}
    desk = door.the_desk()
    refusal, status, errors = None, 200, dict[str, list[str]]()
    key = request.form.get("idempotency") or uuid4().hex
    values: dict[str, Any] = {}
    if request.method == "POST":
        facts = {name.removeprefix(FACT): text.strip() for name, text in request.form.items()
                 if name.startswith(FACT) and text.strip()}  # fmt: skip
        values = {"facts": facts, **{n: request.form.get(n, "") for n in ("from_on", "until_on")}}
        try:
            done = desk.do(deed, door.who, keys, {**values, "facts": _documents(facts)}, key=key)
        except NotAuthenticated:
            raise
        except LedgerError as error:
            errors, refusal = faults_by_place(error, translate), error.localized(translate)
            status = error.http_status
        else:
            flash(tr(deed.says, **done.answer), "success")
            return redirect(nouns.page_of("statement", done.answer["number"]))
    with desk.home.reading() as session:
        [agreement] = deed.subjects(session, keys)
        values = values or next_period(session, agreement, desk.now)
        scheme, due = None, _day(values["from_on"]) or local_date(desk.now)
        try:
            scheme = revenue.scheme_on(session, agreement, due)
        except Missing as error:
            refusal = refusal or error.localized(translate)
        waiting = session.execute(
            revenue.undistributed(agreement, local_date(desk.now)).add_columns(Licence.order_reference)
        ).all()  # fmt: skip
        fields = fields_of(deed.body, values, errors, choices_for(session, door.actor()))
        page = render_template(
            "deed_statement_draft.html", deed=deed, keys=keys, row=agreement, errors=errors,
            fields=[one for one in fields if one.at != "facts"], refusal=refusal, key=key, seen="",
            back=nouns.back_to(deed, keys), names=nouns.party_names(session), scheme=scheme,
            costs=[step for step in schemes.every_step(scheme.document["steps"]) if "fact" in step]
            if scheme else [],
            given=values.get("facts", {}), waiting=waiting,
            kinds=KINDS, last=revenue.previous(session, agreement),
            total_fen=sum(one.net_fen for one, _ in waiting),
        )  # fmt: skip
    return page, status


def _documents(facts: Mapping[str, str]) -> dict[str, Any]:
    """The facts as typed; what is no amount is a document in YAML. Raises Invalid naming its place."""
    made, faults = dict[str, Any](facts), Faults()
    for name, text in facts.items():
        if not name.endswith("_fen"):
            try:
                made[name] = read_text(text)
            except Unreadable as error:
                faults.name_fault(
                    "the field {name} cannot be read as YAML or JSON at line {line}", f"{FACT}{name}",
                    name=name, line=error.line,
                )  # fmt: skip
    if faults:
        raise Invalid("What was given does not fit: {faults}.", faults=faults)
    return made


def next_period(session: Session, agreement: Agreement, now: datetime) -> dict[str, str]:
    """The period that follows the last statement's, up to yesterday."""
    last = revenue.previous(session, agreement)
    day = timedelta(days=1)
    begin = (
        date.fromisoformat(last.until_on) + day if last else date.fromisoformat(agreement.from_on)
    )
    end = local_date(now) - day
    return {"from_on": begin.isoformat(), "until_on": end.isoformat() if end >= begin else ""}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


# -- the checker's own signature ---------------------------------------------------------------


@door.guard(circulation.approval_request)
def approval_request(statement_number: str) -> Any:
    """The approval request as a file, spelled as `shuzheng sign` wants it."""
    keys = {"statement_number": statement_number}
    try:
        made = door.the_desk().ask(circulation.approval_request, door.who, keys, {})
    except NotAuthenticated:
        raise
    except LedgerError as error:
        flash(_plain(error), "danger")
        return redirect(nouns.address("statement_approve", keys))
    return send_file(BytesIO(canonical(made)), "application/json", as_attachment=True,
                     download_name=_request_name(statement_number))  # fmt: skip


@door.guard(circulation.approve_statement)
def approve(statement_number: str) -> Any:
    """Approval in four steps: read, fetch the request, sign it on one's own machine, hand it in."""
    deed, keys = circulation.approve_statement, {"statement_number": statement_number}
    desk = door.the_desk()
    refusal, status = None, 200
    key = request.form.get("idempotency") or uuid4().hex
    if request.method == "POST":
        seen = request.form.get("seen", "")
        try:
            approval = signed(request.files.get("file"))
            done = desk.do(deed, door.who, keys, {"approval": approval}, key=key,
                           seen=int(seen) if seen.isdecimal() else None)  # fmt: skip
        except NotAuthenticated:
            raise
        except LedgerError as error:
            refusal, status, key = _plain(error), error.http_status, uuid4().hex
        else:
            flash(tr(deed.says, **done.answer), "success")
            return redirect(nouns.page_of("statement", statement_number))
    with desk.home.reading() as session:
        [row] = deed.subjects(session, keys)
        member = session.get_one(Member, door.actor().member_id)
        name = _request_name(statement_number)
        page = render_template(
            "statement_approve.html", deed=deed, keys=keys, row=row, refusal=refusal, key=key,
            own=row.maker_id == member.id, address=member.signing_address, request_name=name,
            signed_name=name.replace("request", "signed"), maker=person(session, row.maker_id),
            names=nouns.party_names(session), days=circulation.APPROVAL_DAYS,
            most=SIGNED_BYTES_MAX // 1024, **standing(session, row),
            lines=[{**one, "share": percent(one["amount_fen"], row.amount_fen)} for one in row.lines],
        )  # fmt: skip
    return page, status


def signed(given: FileStorage | None) -> dict[str, Any]:
    """The signed approval in an uploaded file; raises Invalid for anything that is none."""
    name, data = read_upload(given, kinds=("text",))
    if len(data) > SIGNED_BYTES_MAX:
        raise Invalid("{name} is larger than {most} KiB: it is no signed approval.", name=name,
                      most=SIGNED_BYTES_MAX // 1024)  # fmt: skip
    found = parse(data, name)
    kind = found.get("type") if isinstance(found, dict) else None
    if kind == "shuzheng/approval-request":
        raise Invalid("{name} is the request, not yet signed: sign it on your own machine first.",
                      name=name)  # fmt: skip
    if kind != "shuzheng/approval":
        raise Invalid("{name} is no signed approval: hand in the file that shuzheng sign wrote.",
                      name=name)  # fmt: skip
    return dict(found)


def _request_name(number: str) -> str:
    return f"{number}-approval-request.json"


def _plain(error: LedgerError) -> str:
    """A refusal in plain words; where the node is away the cause is the administrator's business."""
    return tr(AWAY) if isinstance(error, ChainUnavailable) else error.localized(translate)
