"""Statements: the page, the draft, approval with the checker's own signature, the documents."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from io import BytesIO
from typing import Any
from uuid import uuid4

import yaml
from flask import Flask, flash, render_template, request, send_file
from flask_limiter import Limiter
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage

from ledger import agreements, approvals, inquiries, periods, revenue, schemes, statements
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.errors import ChainUnavailable, Faults, Invalid, LedgerError, Missing, NotAuthenticated
from ledger.inquiries import Inquiry
from ledger.parties import Member, Party, allowed
from ledger.periods import Period
from ledger.proof.encoding import canonical, parse
from ledger.reports import decimal
from ledger.schemes import Scheme
from ledger.settlements import Settlement
from ledger.statements import Statement
from ledger.trading import Payment
from valuation import ValuationError
from valuation import schemes as scheme_language
from valuation.money import round_half_up, yuan
from webapp import door
from webapp.deeds.all import distribution, finance
from webapp.deeds.forms import faults_by_place
from webapp.documents import Unreadable, read_text
from webapp.intake import read_upload, ungrouped
from webapp.language import language, tr, translate
from webapp.pages import nouns
from webapp.pages.forms import choices_for, fields_of
from webapp.pages.revenue import KINDS, drawn
from webapp.pages.show import redirect
from webapp.pages.value import person, standing
from webapp.reasons import amount_in_words

SIGNED_BYTES_MAX = 64 * 1024
FACT = "facts."
AWAY = (
    "The chain's node does not answer just now; nothing was changed. Try again in a few minutes; if it "
    "stays so, tell the administrator."
)
ROWS_SHOWN = 50


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    both = ["GET", "POST"]
    nouns.EXTRA |= {"statement": about_statement, "inquiry": about_inquiry}
    for path, name, view, methods in (
        ("/agreements/<agreement_number>/statements", "statement_draft", draft, both),
        (distribution.correct_statement.path, "statement_correct", correct, both),
        ("/statements/<statement_number>/lines.xlsx", "statement_sheet", statement_sheet, ["GET"]),
        ("/statements/<statement_number>/approval-request.json", "statement_request", approval_request,
         ["GET"]),
        ("/statements/<statement_number>/approve", "statement_approve", approve, both),
    ):  # fmt: skip
        app.add_url_rule(path, name, view, methods=methods)


def about_statement(session: Session, row: Statement) -> dict[str, Any]:
    """What a statement's page shows besides the row."""
    actor = door.actor()
    agreement = session.get_one(Agreement, row.agreement_id)
    scheme = session.get_one(Scheme, row.scheme_id)
    before = statements.previous(session, agreement, row.from_on)
    differs, trails, picture = None, [], None
    try:
        again = revenue.recompute(row, scheme)
        trails = [line.to_dict()["steps"] for line in again.lines]
        picture = drawn(again, nouns.party_names(session))
    except ValuationError as error:
        differs = str(error)
    except LedgerError as error:
        differs = error.localized(translate)
    sees_rows = allowed(actor, "payment.read", agreement.operator_id)
    payees = {row.uscc: row.id for row in session.scalars(select(Party))}
    needed = row.approvals_required or revenue.signatures_due(session, row, door.the_desk().now)
    maker = person(session, row.maker_id)
    signatures = [
        (person(session, one["checker_id"]), one, datetime.fromtimestamp(one["deadline"], UTC))
        for one in approvals.signatures(row)
    ]  # fmt: skip
    return {
        **standing(session, row),
        "agreement": agreement,
        "before": before,
        "carried": carried(row),
        "checker": person(session, row.checker_id),
        "corrections": revenue.corrections(session, row),
        "differs": differs,
        "drawn": picture,
        "facts": [(step, row.facts[step["fact"]])
                  for step in scheme_language.every_step(scheme.document["steps"])
                  if step.get("fact") in row.facts],
        "kinds": KINDS,
        "lines": lines_of(row, before, trails),
        "maker": maker,
        "inquiries": [
            (one, person(session, one.raised_by)) for one in inquiries.of_statement(session, row)
            if allowed(actor, "inquiry.read", inquiries.owners_of(session, one))
        ],
        "needed": needed,
        "original": session.get(Statement, row.reverses or ""),
        "period": session.get(Period, row.period_id or ""),
        "rows": rows_of(session, row) if sees_rows else None,
        "rows_shown": ROWS_SHOWN,
        "proofs": [uscc for uscc in dict.fromkeys(line["party"] for line in row.lines)
                   if row.reverses is None and allowed(actor, "statement.proof", payees.get(uscc))],
        "scheme": scheme,
        "signed": signatures,
        "signers": [(tr("Drafted by"), maker)] + [
            (tr("Checked by"), signatures[n][0] if n < len(signatures) else None) for n in range(needed)
        ],
        "undoing": session.scalars(
            select(Statement).where(Statement.reverses == row.id).order_by(Statement.id.desc())
        ).first(),
    }  # fmt: skip


def about_inquiry(session: Session, row: Inquiry) -> dict[str, Any]:
    """What a question's page shows besides the row."""
    statement = session.get_one(Statement, row.statement_id)
    agreement = session.get_one(Agreement, statement.agreement_id)
    return {
        **standing(session, row),
        "answerer": person(session, row.answered_by),
        "asker": person(session, row.raised_by),
        "line": statement.lines[row.line - 1],
        "sees_statement": allowed(
            door.actor(), "statement.read", agreements.owners(agreement)
        ),
        "statement": statement,
    }  # fmt: skip


def rows_of(session: Session, row: Statement) -> list[tuple[Settlement, str | None]]:
    """The first settlements that a statement distributes, each with its page where it has one."""
    of: Any
    if row.covers is None:
        of = Settlement.source_id.in_(row.payment_ids)
    else:
        after = row.covers["after"]
        of = and_(
            Settlement.n <= row.through_n, Settlement.day <= row.until_on,
            or_(Settlement.n > after["through_n"], Settlement.day > after["until_on"]),
        )  # fmt: skip
    found = session.execute(
        select(Settlement, Payment.reference)
        .outerjoin(Payment, Payment.id == Settlement.source_id)
        .where(Settlement.agreement_id == row.agreement_id, of)
        .order_by(Settlement.n.desc())
        .limit(ROWS_SHOWN)
    )
    return [
        (one, nouns.page_of("payment", reference) if reference else None)
        for one, reference in found
    ]  # fmt: skip


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


@door.guard(distribution.statement_xlsx)
def statement_sheet(statement_number: str) -> Any:
    """A statement's lines and their derivation as a spreadsheet with live formulas."""
    keys = {"statement_number": statement_number}
    made = door.the_desk().ask(distribution.statement_xlsx, door.who, keys, {})
    return send_file(
        BytesIO(made.content), made.media_type, as_attachment=True, download_name=made.name
    )


@door.guard(distribution.draft_statement)
def draft(agreement_number: str) -> Any:
    """The form of a statement: the next period, and one field for each cost its scheme names."""
    deed, keys = distribution.draft_statement, {"agreement_number": agreement_number}
    desk = door.the_desk()
    refusal, status, errors = None, 200, dict[str, list[str]]()
    key = request.form.get("idempotency") or uuid4().hex
    values: dict[str, Any] = {}
    if request.method == "POST":
        facts = _typed_facts()
        values = {"facts": facts, **{n: request.form.get(n, "") for n in ("from_on", "until_on")}}
        try:
            done = desk.do(deed, door.who, keys, {**values, "facts": _documents(facts)}, key=key)
        except NotAuthenticated:
            raise
        except LedgerError as error:
            with desk.home.reading() as session:
                [about] = deed.subjects(session, keys)
                costs = _costs(session, about, values["from_on"])
            nouns.call_by_title(deed, error)
            _call_by_label(error, costs)
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
            scheme = schemes.scheme_on(session, agreement, due)
        except Missing as error:
            refusal = refusal or error.localized(translate)
        fields = fields_of(deed.body, values, errors, choices_for(session, door.actor()))
        page = render_template(
            "deed_statement_draft.html", deed=deed, keys=keys, row=agreement, errors=errors,
            fields=[one for one in fields if one.at != "facts"], refusal=refusal, key=key, seen="",
            back=nouns.back_to(deed, keys), names=nouns.party_names(session), scheme=scheme,
            costs=_costs(session, agreement, due.isoformat()),
            given=values.get("facts", {}),
            waiting=revenue.undistributed(session, agreement),
            kinds=KINDS, last=statements.previous(session, agreement),
        )  # fmt: skip
    return page, status


@door.guard(distribution.correct_statement)
def correct(statement_number: str) -> Any:
    """The form of a correction: the facts stated so far, one field for each, and why."""
    deed, keys = distribution.correct_statement, {"statement_number": statement_number}
    desk = door.the_desk()
    with desk.home.reading() as session:
        [row] = deed.subjects(session, keys)
        costs = _costs(session, session.get_one(Agreement, row.agreement_id), row.from_on)
    stated = {
        name: yuan(fact) if isinstance(fact, int) else yaml.safe_dump(fact, allow_unicode=True)
        for name, fact in row.facts.items()
    }
    more = {"costs": costs, "elsewhere": ["facts"], "given": stated}
    if request.method == "GET":
        return nouns.deed_page(deed, keys, {}, {}, None, more=more)
    key, seen = request.form.get("idempotency") or uuid4().hex, request.form.get("seen", "")
    more["given"] = facts = _typed_facts()
    values = {"reason": request.form.get("reason", "").strip()}
    version = int(seen) if seen.isdecimal() else None
    try:
        given = {name: text for name, text in values.items() if text}
        done = desk.do(
            deed, door.who, keys, {**given, "facts": _documents(facts)}, key=key, seen=version
        )
    except NotAuthenticated:
        raise
    except LedgerError as error:
        nouns.call_by_title(deed, error)
        _call_by_label(error, costs)
        return nouns.deed_page(
            deed, keys, values, faults_by_place(error, translate), error.localized(nouns.plainly),
            key=None if error.code in ("stale", "conflict") else key,
            seen=None if error.code == "stale" else version, more=more,
        ), error.http_status  # fmt: skip
    flash(tr(deed.says, **done.answer), "success")
    return redirect(nouns.page_of("statement", done.answer["number"]))


def _typed_facts() -> dict[str, str]:
    """The facts of the form, amounts without the commas that pages show."""
    return {name.removeprefix(FACT): ungrouped(text.strip()) for name, text in request.form.items()
            if name.startswith(FACT) and text.strip()}  # fmt: skip


def _costs(session: Session, agreement: Agreement, due: str) -> list[dict[str, Any]]:
    """The steps whose facts the scheme of that day asks for; none where no scheme binds."""
    try:
        scheme = schemes.scheme_on(session, agreement, _day(due) or local_date(door.the_desk().now))
    except Missing:
        return []
    steps = scheme_language.every_step(scheme.document["steps"])
    return [dict(step) for step in steps if "fact" in step]


def _call_by_label(error: LedgerError, costs: list[dict[str, Any]]) -> None:
    """Let what a refusal says of a fact name it by its label, which is what the form shows."""
    labels = {f"{FACT}{step['fact']}": step["label"][language()] for step in costs}
    for faults in error.facts.values():
        for _, facts, at in faults.named() if isinstance(faults, Faults) else ():
            if at in labels:
                facts["name"] = f"“{labels[at]}”"


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
    """The closed period that waits for its statement, else the days from the last closing to yesterday."""
    closed = revenue.waiting_period(session, agreement)
    if closed is not None:
        return {"from_on": closed.from_on, "until_on": closed.until_on}
    last = statements.previous(session, agreement)
    until = periods.closed_until(session, agreement.id) or (last.until_on if last else None)
    day = timedelta(days=1)
    begin = date.fromisoformat(until) + day if until else date.fromisoformat(agreement.from_on)
    end = local_date(now) - day
    return {"from_on": begin.isoformat(), "until_on": end.isoformat() if end >= begin else ""}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


# -- the checker's own signature ---------------------------------------------------------------


@door.guard(distribution.approval_request)
def approval_request(statement_number: str) -> Any:
    """The approval request as a file, spelled as `shuzheng sign` wants it."""
    keys = {"statement_number": statement_number}
    try:
        made = door.the_desk().ask(distribution.approval_request, door.who, keys, {})
    except NotAuthenticated:
        raise
    except LedgerError as error:
        flash(_plain(error), "danger")
        return redirect(nouns.address("statement_approve", keys))
    return send_file(BytesIO(canonical(made)), "application/json", as_attachment=True,
                     download_name=_request_name(statement_number))  # fmt: skip


@door.guard(distribution.approve_statement)
def approve(statement_number: str) -> Any:
    """Approval in four steps: read, fetch the request, sign it on one's own machine, hand it in."""
    deed, keys = distribution.approve_statement, {"statement_number": statement_number}
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
            signed_name=name.replace("request", "signed"), names=nouns.party_names(session),
            days=distribution.APPROVAL_DAYS, most=SIGNED_BYTES_MAX // 1024, differs_by=_differs_by(keys),
            **about_statement(session, row),
        )  # fmt: skip
    return page, status


def _differs_by(keys: Mapping[str, str]) -> str:
    """Why the amount is another than last time's, in words; empty where that cannot be told."""
    try:
        return amount_in_words(door.the_desk().ask(finance.comparison, door.who, keys, {}))
    except Invalid:  # the page itself says what does not recompute
        return ""


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
