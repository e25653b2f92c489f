"""The list, the page and the forms of every noun, made from the deeds and questions."""

from collections.abc import Container, Mapping, Sequence
from typing import Any
from uuid import uuid4

from flask import Flask, flash, render_template, request, url_for
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.errors import Faults, Invalid, LedgerError, NotAuthenticated
from ledger.parties import Actor, Party, allowed
from ledger.proof.report import Report
from ledger.states import MOVES
from ledger.store import Evidence
from webapp import door
from webapp.deeds import DEEDS, QUESTIONS, Deed, Question
from webapp.deeds.background import start
from webapp.deeds.forms import faults_by_place
from webapp.deeds.offers import fits
from webapp.deeds.previews import preview_of
from webapp.deeds.subjects import BY_NOUN, SUBJECTS
from webapp.intake import keep_upload, read_form
from webapp.language import tr, translate
from webapp.pages import previews
from webapp.pages.forms import choices_for, fields_of, title_at
from webapp.pages.show import redirect

# What a list shows of each noun: column → heading. The first one leads to the page.
COLUMNS: dict[str, dict[str, str]] = {
    "party": {"name": "Name", "uscc": "Social credit code", "kind": "Kind", "state": "State"},
    "evidence": {"name": "File name", "digest": "Digest", "size_bytes": "Bytes",
                 "deposited_at": "Deposited at"},
    "resource": {"title": "Title", "code": "Resource code", "provider": "Provider", "state": "State"},
    "catalogue": {"file_name": "File name", "state": "State", "new_count": "New",
                  "changed_count": "Changed", "withdrawn_count": "Withdrawn",
                  "party_id": "Organisation", "reason": "Reason"},
    "agreement": {"number": "Number", "title": "Title", "mode": "Mode of authorisation",
                  "from_on": "First day", "until_on": "Last day", "state": "State"},
    "evaluation": {"number": "Number", "period": "Year of the term", "until_on": "Last day",
                   "verdict": "Verdict", "score": "Score", "state": "State"},
    "application": {"number": "Number", "title": "Title", "type": "Type of registration",
                    "object": "What is registered",
                    "state": "State", "deadlines": "Due"},
    "objection": {"number": "Number", "title": "Title", "raised_at": "Raised at", "due": "Due",
                  "state": "State"},
    "registration": {"code": "Registration code", "title": "Title", "rights": "Rights",
                     "valid_until": "Valid until", "state": "State"},
    "voucher": {"number": "Number", "kind": "Kind", "rights": "Rights",
                "valid_until": "Valid until", "state": "State"},
    "motion": {"number": "Number", "verb": "What is proposed", "ground": "Ground", "state": "State"},
    "authorisation": {"number": "Number", "scene": "Scene of use", "subject_id": "Data subject",
                      "user_id": "Data user", "valid_until": "Valid until",
                      "max_uses": "Number of uses", "state": "State"},
    "appraisal": {"number": "Number", "purpose": "Purpose", "base_on": "Base day",
                  "value_fen": "Value (yuan)", "state": "State"},
    "licence": {"order_reference": "Order reference", "right": "Right", "purpose": "Purpose of use",
                "valid_until": "Valid until", "price_fen": "Price (yuan)", "state": "State"},
    "payment": {"reference": "Bank's reference", "received_on": "Received on",
                "amount_fen": "Amount (yuan)", "net_fen": "Net (yuan)", "vat_fen": "VAT (yuan)"},
    "remittance": {"reference": "Bank's reference", "party_id": "Who paid",
                   "purpose": "What it is paid for", "received_on": "Received on",
                   "amount_fen": "Amount (yuan)"},
    "order": {"reference": "Order reference", "buyer_id": "Buyer", "price_fen": "Price (yuan)",
              "paid_by": "Paid by", "offer_until": "Last day of the offer", "state": "State"},
    "refund": {"number": "Number", "buyer": "Buyer", "amount_fen": "Amount (yuan)",
               "decided_on": "Decided on", "state": "State"},
    "confirmation": {"number": "Number", "exchange_number": "Number of the exchange",
                     "exchange_id": "Exchange", "from_on": "First day", "until_on": "Last day",
                     "row_count": "Trades", "amount_fen": "Amount (yuan)"},
    "usage": {"number": "Number", "source_name": "File name", "row_count": "Rows",
              "first_at": "First event", "last_at": "Last event"},
    "price": {"number": "Number", "edition": "Edition", "from_on": "First day",
              "until_on": "Last day", "permitted_fen": "Maximum permitted revenue (yuan)",
              "state": "State"},
    "scheme": {"edition": "Edition", "effective_from": "First day it binds", "state": "State"},
    "period": {"number": "Number", "agreement_id": "Agreement", "from_on": "First day",
               "until_on": "Last day", "state": "State"},
    "limit": {"number": "Number", "agreement_id": "Agreement", "account": "Account",
              "party": "Organisation",
              "floor_fen": "Must stay (yuan)", "state": "State"},
    "journal": {"number": "Number", "agreement_id": "Agreement", "effective_on": "Day", "memo": "Memo",
                "debit": "Debit",
                "credit": "Credit", "amount_fen": "Amount (yuan)", "state": "State"},
    "entry": {"number": "Number", "effective_on": "Day", "memo": "Memo", "reverses": "Reverses"},
    "hold": {"number": "Number", "amount_fen": "Amount (yuan)", "expires_at": "Until",
             "state": "State"},
    "statement": {"number": "Number", "agreement_id": "Agreement", "from_on": "First day",
                  "until_on": "Last day", "amount_fen": "Amount (yuan)", "reverses": "Takes back",
                  "state": "State"},
    "bank_account": {"number": "Number", "party_id": "Payee", "holder_name": "Account holder",
                     "bank": "Bank", "state": "State"},
    "payout": {"number": "Number", "agreement_id": "Agreement", "amount_fen": "Amount (yuan)",
               "line_count": "Payment lines", "expires_at": "Set aside until", "state": "State"},
    "reconciliation": {"number": "Number", "agreement_id": "Agreement", "kind": "With whom",
                       "from_on": "First day", "until_on": "Last day", "row_count": "Rows",
                       "matched_count": "Matched", "file_name": "File name"},
    "difference": {"number": "Number", "kind": "Kind", "amount_fen": "Amount (yuan)",
                   "owed_by": "Who has to answer", "due": "Due", "state": "State"},
    "inquiry": {"number": "Number", "line": "Line", "question": "Question",
                "raised_at": "Raised at", "state": "State"},
    "demand": {"number": "Number", "title": "Title", "use": "How the data are to come",
               "party_id": "Demander", "department_id": "Responsible department", "state": "State",
               "due": "Due"},
    "exclusion": {"number": "Number", "title": "Title", "forbids": "What is forbidden",
                  "party_id": "Responsible department", "review_on": "To be reviewed by",
                  "state": "State"},
    "duty": {"number": "Number", "description": "What has to change",
             "party_id": "Responsible department", "cause_on": "Day of the cause", "due": "Due",
             "state": "State"},
    "alarm": {"number": "Number", "kind": "Kind", "about_number": "About",
              "owner_id": "Who has to answer", "raised_at": "Raised at", "due": "Due",
              "state": "State"},
    "peer": {"name": "Name", "origin": "Log", "site": "Address of its site",
             "proposed_at": "Proposed at", "decided_at": "Decided at", "state": "State"},
    "recognition": {"title": "Title", "number": "Number given by its issuer", "origin": "Issuer's log",
                    "now": "Stands now", "as_of": "As of", "valid_until": "Valid until"},
    "feedback": {"number": "Number", "kind": "Kind", "about": "What it is about",
                 "department_id": "Responsible department", "state": "State", "due": "Due"},
}  # fmt: skip
# Nouns of money, whose amount stands on the form of each decision too.
TOLD_AGAIN = {"difference", "inquiry", "journal", "order", "refund", "scheme", "statement"}
# Deeds whose forms have pages of their own.
SPECIAL = {"password.change", "token.create", "token.revoke", "application.submit",
           "statement.approve"}  # fmt: skip
# Deeds that start from a list, with nothing in their path.
LISTED = {"party": ("party.add", "party.individual"), "authorisation": ("authorisation.request",),
          "evidence": ("evidence.deposit",), "payout": ("payout.check",),
          "catalogue": ("catalogue.import",), "resource": ("catalogue.import", "resource.add"),
          "agreement": ("agreement.propose",),
          "application": ("application.submit",), "usage": ("usage.import",),
          "confirmation": ("confirmation.record",),
          "duty": ("duty.report",), "demand": ("demand.submit",), "exclusion": ("exclusion.propose",),
          "peer": ("peer.propose",), "recognition": ("recognition.import",),
          "message": ("message.mark", "message.mark_all", "message.delivered"),
          "witness": ("witness.add", "witness.cosign", "witness.remove")}  # fmt: skip


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes of every noun that has no page of its own."""
    known = set(app.view_functions)
    for question in QUESTIONS.values():
        if _name(question) in known:
            continue
        if question.listed:
            _enter(app, question, _list_view(question), ["GET"])
        elif question.name.endswith(".read") and question.noun in BY_NOUN and question.keys:
            _enter(app, question, _subject_view(question), ["GET"])
    for deed in DEEDS.values():
        if deed.name not in SPECIAL and _name(deed) not in known:
            _enter(app, deed, _deed_view(deed), ["GET", "POST"])


def _name(thing: Deed | Question) -> str:
    return thing.name.replace(".", "_")


def _enter(app: Flask, thing: Any, view: Any, methods: list[str]) -> None:
    # Where a list has the path that makes one more, the form stands under /new.
    listed = isinstance(thing, Deed) and any(q.path == thing.path for q in QUESTIONS.values())
    path = f"{thing.path}/new" if listed else thing.path
    app.add_url_rule(path, _name(thing), door.guard(thing)(view), methods=methods)


def _list_view(question: Question) -> Any:
    def view(**keys: str) -> str:
        asked = {name: value for name, value in request.args.items() if value}
        desk = door.the_desk()
        found = desk.ask(question, door.who, keys, asked)
        names: dict[str, str] = {}
        if any(
            name.endswith("_id") or name in ("party", "buyer") for name in COLUMNS[question.noun]
        ):
            with desk.home.reading() as session:
                names = names_in(session, COLUMNS[question.noun])
        if question.noun in ("entry", "statement"):
            with desk.home.reading() as session:
                names |= _reversed(session, BY_NOUN[question.noun].model, found["items"])
        return render_template(
            [f"{question.noun}_list.html", "list.html"], question=question, found=found, keys=keys,
            names=names,
            columns=COLUMNS[question.noun], asked=asked, noun=question.noun,
            states=_states(question.noun),
            offers=[DEEDS[name] for name in LISTED.get(question.noun, ())
                    if allowed(door.actor(), DEEDS[name].verb)],
        )  # fmt: skip

    return view


def _states(noun: str) -> list[str]:
    """The states a row of a noun can be in, by which its list is narrowed, in the order of its life."""
    if "state" not in COLUMNS[noun]:
        return []
    moves = MOVES.get(noun, {}).values()
    return list(dict.fromkeys(after for move in moves for after in move.values()))


def _reversed(session: Session, model: Any, items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The numbers of the entries or statements that those listed reverse, by their ids."""
    ids = [item["reverses"] for item in items if item["reverses"]]
    found = session.execute(select(model.id, model.number).where(model.id.in_(ids)))
    return {one.id: one.number for one in found}


class Told:
    """A row as far as the reader is told of it: what the answer hides is as empty here as there."""

    def __init__(self, row: Evidence, shown: Mapping[str, Any]) -> None:
        self._row, self._empty = row, {name: shown[name] for name in shown["hidden"]}

    def __getattr__(self, name: str) -> Any:
        return self._empty[name] if name in self._empty else getattr(self._row, name)


def _subject_view(question: Question) -> Any:
    def view(**keys: str) -> str:
        desk = door.the_desk()
        shown = desk.ask(question, door.who, keys, {})
        with desk.home.reading() as session:
            row = question.subjects(session, keys)[-1]
            told = Told(row, shown) if shown.get("hidden") else row
            return render_template(
                [f"{question.noun}.html", "subject.html"], question=question, shown=shown, keys=keys,
                noun=question.noun, columns=COLUMNS.get(question.noun, {}), row=told,
                **_list_of(question.noun),
                offers=offers(session, door.actor(), row, keys), names=party_names(session),
                **EXTRA.get(question.noun, lambda _s, _r: {})(session, told),
            )  # fmt: skip

    return view


def address_of(noun: str, row: Mapping[str, Any]) -> str:
    """The page of a row of a list."""
    key = {
        "catalogue": "id",
        "evidence": "id",
        "licence": "order_reference",
        "scheme": "id",
        "peer": "id",
        "recognition": "id",
    }.get(noun)
    key = key or next(name for name in ("number", "code", "uscc", "reference") if name in row)
    return page_of(noun, row[key])


def page_of(noun: str, number: str) -> str:
    """The page of one subject of a noun."""
    return address(f"{noun}_read", {BY_NOUN[noun].key: number})


def address(endpoint: str, keys: Mapping[str, Any]) -> str:
    """The address of an endpoint."""
    return url_for(endpoint, **dict(keys))


# Deeds that are done from another page than their subject's: deed → function of session and keys, which
# gives that page, or none.
BEHIND: dict[str, Any] = {}
# What a noun's page needs besides its row: noun → function of session and row.
EXTRA: dict[str, Any] = {}


def extra(noun: str) -> Any:
    """Enter what a noun's page needs besides its row."""

    def enter_one(act: Any) -> Any:
        EXTRA[noun] = act
        return act

    return enter_one


def offers(
    session: Session, actor: Actor, row: Evidence, keys: Mapping[str, str]
) -> list[tuple[Deed, str]]:
    """What this person can do with this row as it stands, each with its address."""
    made = []
    for deed in DEEDS.values():
        if not deed.keys or SUBJECTS.get(deed.keys[-1]) is None:
            continue
        if SUBJECTS[deed.keys[-1]].model is not type(row) or not set(deed.keys) <= set(keys):
            continue
        if isinstance(row, Party) and row.state != "active":
            continue  # who was merged or split takes part no more
        owners = deed.owners_of(session, [row])
        if not allowed(actor, deed.verb, owners):
            continue
        moves = MOVES.get(deed.machine, {}).get(deed.move)
        if deed.changes and moves is not None and getattr(row, "state", None) not in moves:
            continue
        if deed.of:
            continue  # it starts from the form of what it is the preview of
        if not fits(deed.name, session, actor, row, local_date(door.the_desk().now)):
            continue
        made.append((deed, address(_name(deed), {k: keys[k] for k in deed.keys})))
    return made


def party_names(session: Session) -> dict[str, str]:
    """The names of all organisations by id and by code."""
    found = session.execute(select(Party.id, Party.uscc, Party.name)).all()
    return {key: name for party_id, uscc, name in found for key in (party_id, uscc)}


def names_in(session: Session, columns: Container[str]) -> dict[str, str]:
    """What the ids and codes in these columns stand for: organisations, and agreements."""
    names = party_names(session)
    if "agreement_id" in columns:
        names |= dict(session.execute(select(Agreement.id, Agreement.number)).tuples().all())
    return names


def _list_of(noun: str) -> dict[str, str]:
    """The list a page belongs to, if the reader may see it."""
    question = QUESTIONS.get(f"{noun}.list")
    if question is None or question.keys or not allowed(door.actor(), question.verb):
        return {}
    return {"list_address": url_for(_name(question)), "list_title": question.title}


def _deed_view(deed: Deed) -> Any:
    def view(**keys: str) -> Any:
        if request.method == "GET":
            form = DEEDS[deed.of] if deed.of else deed
            return deed_page(form, keys, request.args.to_dict(), {}, None)
        return submit(deed, keys)

    return view


def deed_page(
    deed: Deed, keys: Mapping[str, str], values: Mapping[str, Any], errors: Mapping[str, list[str]],
    refusal: str | None, *, key: str | None = None, seen: int | None = None,
    report: Report | None = None, more: Mapping[str, Any] | None = None,
) -> str:  # fmt: skip
    """The form of a deed, with what was filled in and what is wrong with it; `more` is for its template."""
    desk, look = door.the_desk(), preview_of(deed)
    with desk.home.reading() as session:
        found = deed.subjects(session, keys)
        row = found[-1] if found and isinstance(found[-1], Evidence) else None
        form = fields_of(deed.body, values, errors, choices_for(session, door.actor(), row))
        return render_template(
            [f"deed_{_name(deed)}.html", "deed.html"], deed=deed, keys=keys, row=row,
            columns=_columns_told(deed), errors=errors,
            fields=[one for one in form if not _from_upload(deed, one.at)],
            refusal=refusal, key=key or uuid4().hex, back=back_to(deed, keys),
            look=look and address(_name(look), keys), **_list_behind(deed), **(more or {}),
            report=report and report.as_dict(translate), names=names_in(session, _columns_told(deed)),
            seen=seen if seen is not None else (row.version if row is not None else ""),
        )  # fmt: skip


def _columns_told(deed: Deed) -> dict[str, str]:
    """What the form of a deed repeats of its subject, so that nobody decides on a number alone."""
    noun = SUBJECTS[deed.keys[-1]].noun if deed.keys and deed.keys[-1] in SUBJECTS else ""
    return COLUMNS[noun] if noun in TOLD_AGAIN else {}


def _from_upload(deed: Deed, at: str) -> bool:
    return deed.upload and at in ("name", "digest", "size_bytes")


def submit(deed: Deed, keys: Mapping[str, str]) -> Any:
    """Do what a form asks; a refusal shows the form again with everything that was filled in.

    A preview is shown, and leads to doing just that.
    """
    desk, form = door.the_desk(), DEEDS[deed.of] if deed.of else deed
    key = request.form.get("idempotency") or uuid4().hex
    try:
        values = read_form(deed.body, request.form)
    except Invalid as error:
        return _unreadable(form, keys, error, key)
    seen = request.form.get("seen", "")
    version = int(seen) if seen.isdecimal() and deed.changes else None
    try:
        if deed.upload and not previews.looked_at(deed, values):
            stored = keep_upload(desk.home, request.files.get("file"), transient=deed.transient)
            values |= {n: v for n, v in stored.items() if n in deed.body().fields}
        if deed.long:
            job = start(desk, deed, door.who, keys, values, key)
            return redirect(url_for("job_page", job_id=job.id))
        if deed.of:
            found = desk.do(deed, door.who, keys, values).answer
            return previews.page(
                form, found, address(_name(form), keys), values, back_to(form, keys)
            )
        done = desk.do(deed, door.who, keys, values, key=key, seen=version)
    except NotAuthenticated:
        raise
    except LedgerError as error:
        call_by_title(form, error)
        fresh = None if error.code == "stale" else version
        page = deed_page(
            form, keys, values, faults_by_place(error, translate), error.localized(plainly),
            key=None if error.code in ("stale", "conflict") else key, seen=fresh,
            report=getattr(error, "report", None),
        )  # fmt: skip
        return page, error.http_status
    flash(tr(deed.says, **done.answer), "success")
    return redirect(after(deed, keys, done.answer))


def call_by_title(deed: Deed, error: LedgerError) -> None:
    """Let what a refusal says of a field name it by its title, which is what the form shows."""
    for faults in error.facts.values():
        for _, facts, at in faults.named() if isinstance(faults, Faults) else ():
            title = title_at(deed.body, at)
            if title and facts.get("name") == at.rpartition(".")[2]:
                facts["name"] = f"“{tr(title)}”"


def plainly(template: str) -> str:
    """A sentence for a page: what is missing is called by its name there, not by its key too."""
    said = translate(template)
    return type(said)(said.replace("（{key}）", ""))  # it goes on saying its words in Chinese


def _unreadable(deed: Deed, keys: Mapping[str, str], error: Invalid, key: str) -> Any:
    """A document that cannot be read is shown again as it was typed, with the rest of the form."""
    call_by_title(deed, error)
    faults = faults_by_place(error, translate)
    readable = MultiDict(
        (name, text) for name, text in request.form.items(multi=True) if name not in faults
    )
    typed = {name: request.form.get(name, "") for name in faults}
    values = {**read_form(deed.body, readable), **typed}
    page = deed_page(deed, keys, values, faults, error.localized(translate), key=key)
    return page, error.http_status


def back_to(deed: Deed, keys: Mapping[str, str]) -> str:
    """Where the form came from: the page of its subject, or the list of its noun."""
    if deed.name in BEHIND:
        with door.the_desk().home.reading() as session:
            page = BEHIND[deed.name](session, keys)
        if page is not None:
            return str(page)
    for name in reversed(deed.keys):
        subject = SUBJECTS.get(name)
        if subject is not None and f"{subject.noun}.read" in QUESTIONS:
            return page_of(subject.noun, keys[name])
    for noun, names in LISTED.items():
        if deed.name in names:
            return url_for(f"{noun}_list")
    return url_for("work_read")


def _list_behind(deed: Deed) -> dict[str, str]:
    """The list that a form without a subject came from, if the reader may see it."""
    return _list_of(next((noun for noun, names in LISTED.items() if deed.name in names), ""))


def after(deed: Deed, keys: Mapping[str, str], answer: Mapping[str, Any]) -> str:
    """Where a done deed leads: the page of what it made, else back."""
    subject = BY_NOUN.get(deed.noun)
    made = None
    if subject is not None and not deed.changes:
        names = {"number", "code", "order", "uscc", "reference", "id"}
        made = next((str(answer[n]) for n in ("number", "code", "order", "reference", "id", "uscc")
                     if n in answer and n in names), None)  # fmt: skip
    if made is not None and subject is not None and f"{subject.noun}.read" in QUESTIONS:
        return page_of(subject.noun, made)
    if deed.noun == "application" and answer.get("code"):
        return page_of("registration", str(answer["code"]))
    return back_to(deed, keys)
