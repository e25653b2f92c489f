"""Registration: the wizard with its draft, what the pages of the field tell, the public notices.

GET  /applications/new                      what I began; POST begins another, or mends a returned one
GET  /applications/new/<draft_id>/<step>    a step of the wizard; POST saves it and goes where one wants
GET  /drafts/<draft_id>                     the first step in which something is missing
POST /drafts/<draft_id>/drop                throws a draft away

Whatever button is pressed saves the step first. The last one starts the deed as a job, and the draft
stays until that job is done (`webapp.drafts`): a refusal leads back to it.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

from flask import Flask, flash, render_template, request, url_for
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from ledger import log
from ledger import registration as registering
from ledger.agreements import Agreement
from ledger.appraisals import Appraisal
from ledger.calendar import is_workday, local_date
from ledger.catalogue import Resource
from ledger.errors import Conflict, Invalid, LedgerError, fill
from ledger.parties import Party, allowed
from ledger.registration import Application, Deposit, Registration
from ledger.states import move
from ledger.vouchers import Voucher
from valuation import methods
from webapp import door, drafts
from webapp.deeds import QUESTIONS
from webapp.deeds.all import field
from webapp.deeds.background import start
from webapp.deeds.forms import faults_by_place
from webapp.deeds.subjects import visible
from webapp.drafts import Draft
from webapp.intake import keep_upload, read_form
from webapp.jobs import Job
from webapp.language import language, tr, translate
from webapp.pages import nouns
from webapp.pages.forms import choices_for, fields_of
from webapp.pages.show import redirect

KIND = "application"
# Each step, and the fields of the application that are filled in there.
STEPS = {
    "what": "What is registered", "resources": "Resources and rights", "data": "Data files",
    "materials": "Materials", "check": "Check and submit",
}  # fmt: skip
FIELDS: dict[str, tuple[str, ...]] = {
    "what": ("object", "title", "summary", "agreement"), "resources": ("resources", "rights"),
    "data": ("data",), "materials": ("materials",), "check": (),
}  # fmt: skip
FOUND_SHOWN = 20
JOBS_LOOKED_AT = 200
PROPOSE_S = 20
# Reads a file of any size, so it is done by a child that can be stopped; its folder is ours to clear.
PROPOSE = """\
import sys
from ledger.errors import LedgerError
from ledger.quality.draft import propose_rules
from ledger.quality.rules import dump_rules
from webapp.language import translate
try:
    sys.stdout.buffer.write(dump_rules(propose_rules(sys.argv[1])).encode())
except LedgerError as error:
    sys.stderr.buffer.write(error.localized(translate).encode())
    sys.exit(3)
"""


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.jinja_env.filters["percent"] = percent
    app.jinja_env.globals |= {
        "application_facts": application_facts, "MATERIALS": field.MATERIALS,
        "COMPLIANCE": field.COMPLIANCE, "ELEMENTS": field.ELEMENTS, "OBJECTS": field.OBJECTS,
        "RIGHTS": field.RIGHTS,
    }  # fmt: skip
    app.add_url_rule("/applications/new", "application_submit", begin, methods=["GET", "POST"])
    app.add_url_rule("/applications/new/<draft_id>/<step>", "application_step", go_step,
                     methods=["GET", "POST"])  # fmt: skip
    app.add_url_rule("/drafts/<draft_id>", "draft_read", open_draft)
    app.add_url_rule("/drafts/<draft_id>/drop", "draft_drop", drop_draft, methods=["POST"])
    app.add_url_rule("/notices", "notices", notices)


# -- the start of the wizard -------------------------------------------------------------------


@door.guard(field.submit)
def begin() -> Any:
    """What I began and what came back; POST begins an application, or mends a returned one."""
    desk, me = door.the_desk(), door.actor().member_id
    if request.method == "POST":
        number = request.form.get("resubmits", "")
        draft = _mending(number) if number else None
        if draft is None:
            body = _returned(number) if number else {}
            with desk.home.deed(desk.now) as session:
                draft = drafts.save(session, me, desk.now, kind=KIND, title=body.get("title", ""),
                                    data={"body": body})  # fmt: skip
        return redirect(_address(draft.id, "what"))
    returned = desk.ask(field.list_applications, door.who, {}, {"state": "returned"})["items"]
    with desk.home.reading() as session:
        mine = [d for d in drafts.drafts_of(session, me) if d.kind == KIND]
        begun = [(draft, drafts.job_of(session, draft)) for draft in mine]
    return render_template("wizard_start.html", begun=begun, returned=returned)


def _mending(number: str) -> Draft | None:
    """The draft in which I am mending that application already."""
    with door.the_desk().home.reading() as session:
        for draft in drafts.drafts_of(session, door.actor().member_id):
            if draft.kind == KIND and draft.data["body"].get("resubmits") == number:
                return draft
    return None


def _returned(number: str) -> dict[str, Any]:
    """A returned application as a body to mend.

    The rules of its files are not kept with it; whoever submitted it finds them in his job.
    """
    desk, me = door.the_desk(), door.actor().member_id
    shown = desk.ask(field.show_application, door.who, {"application_number": number}, {})
    move("application", "submit", shown["state"])
    with desk.home.reading() as session:
        wanted = select(Job).where(
            Job.member_id == me, Job.verb == field.submit.name, Job.state == "done"
        )
        for job in session.scalars(wanted.order_by(Job.id.desc()).limit(JOBS_LOOKED_AT)):
            if job.answer and job.answer["answer"]["number"] == number:
                return {**job.request["body"], "resubmits": number}
        agreement = session.get(Agreement, shown["agreement_id"]) if shown["agreement_id"] else None
        body = {
            "data": [{"digest": one.digest} for one in _deposits(session, shown["deposit_ids"])],
            "resources": [one.code for one in _resources(session, shown["resource_ids"])],
            "resubmits": number,
            **{name: shown[name] for name in ("materials", "object", "rights", "summary", "title")},
        }
    flash(tr("The rules of the files are not kept with an application: enter them again, or leave "
             "them empty, and rules are proposed from each file."), "warning")  # fmt: skip
    return {**body, "agreement": agreement.number} if agreement is not None else body


@door.guard("draft.read")
def open_draft(draft_id: str) -> Any:
    """Go on with a draft where something is still missing."""
    draft, job = _opened(draft_id)
    if job is not None and job.state != "failed":
        return _onwards(draft, job)
    missing = _gaps(draft.data["body"])
    step = next((one for one in STEPS if any(_step_of(place) == one for place in missing)), "check")
    return redirect(_address(draft_id, step))


@door.guard("draft.drop")
def drop_draft(draft_id: str) -> Any:
    """Throw a draft of one's own away."""
    desk = door.the_desk()
    with desk.home.deed(desk.now) as session:
        drafts.drop(session, door.actor().member_id, draft_id)
    flash(tr("The draft was thrown away."), "success")
    return redirect(url_for("application_submit"))


# -- the steps ---------------------------------------------------------------------------------


@door.guard(field.submit)
def go_step(draft_id: str, step: str) -> Any:
    """A step of the wizard; POST saves what was filled in there."""
    if step not in STEPS:
        raise NotFound
    draft, job = _opened(draft_id)
    busy = job is not None and job.state != "failed"
    if request.method == "POST":
        return _post(draft, step, busy)
    if busy and job is not None:
        return _onwards(draft, job)
    body = draft.data["body"]
    return _page(draft, step, body, _gaps(body) if "missing" in request.args else {})


def _opened(draft_id: str) -> tuple[Draft, Job | None]:
    with door.the_desk().home.reading() as session:
        draft = drafts.draft_of(session, door.actor().member_id, draft_id)
        return draft, drafts.job_of(session, draft)


def _onwards(draft: Draft, job: Job) -> Any:
    """Where a draft that was handed in leads: to its job, or to what the job made."""
    if job.state != "done" or job.answer is None:
        return redirect(url_for("job_page", job_id=job.id))
    desk = door.the_desk()
    with desk.home.deed(desk.now) as session:
        drafts.drop(session, draft.member_id, draft.id)
    return redirect(nouns.page_of("application", job.answer["answer"]["number"]))


def _post(draft: Draft, step: str, busy: bool) -> Any:
    """Save the step, do what its button says, and go on; nothing that was filled in is lost."""
    go = request.form.get("go", "save")
    seen = _number(request.form.get("over") or request.form.get("seen"))
    if step == "check" and go == "submit":
        return _hand_in(draft, seen, busy)
    given = read_form(field.ApplicationBody, request.form)
    others = {name: value for name, value in draft.data["body"].items() if name not in FIELDS[step]}
    body = {**others, **{name: given[name] for name in FIELDS[step] if name in given}}
    problems = _files(go, body) if step == "data" else {}
    if busy:
        return _page(draft, step, body, {}, status=409, refusal=tr(
            "This draft was handed in meanwhile, in another window; what stands below is not saved."
        ))  # fmt: skip
    try:
        draft = _save(draft, {**draft.data, "body": body}, seen)
    except Conflict:
        return _page(_opened(draft.id)[0], step, body, problems, stale=True, status=409)
    except LedgerError as error:
        return _page(draft, step, body, problems, refusal=error.localized(translate), status=400)
    words = request.form.get("find", "").strip()
    if go == "find" or (words and go == "next" and words != request.form.get("found")):
        return redirect(_address(draft.id, step, find=words))
    if go == "next":
        problems |= {at: told for at, told in _gaps(body).items() if _step_of(at) == step}
    if problems:
        return _page(draft, step, body, problems, status=400)
    if go == "save":
        flash(tr("Saved. You may close the page and go on later."), "success")
    return redirect(_address(draft.id, _following(step, go)))


def _following(step: str, go: str) -> str:
    """The step that a button leads to; one that does something else stays."""
    names = list(STEPS)
    place = names.index(step)
    if go in STEPS:
        return go
    return {"next": names[min(place + 1, len(names) - 1)], "back": names[max(place - 1, 0)]}.get(
        go, step
    )


def _save(draft: Draft, data: dict[str, Any], seen: int) -> Draft:
    """Keep what changed; a window that changes nothing cannot be too old."""
    if data == draft.data:
        return draft
    desk = door.the_desk()
    with desk.home.deed(desk.now) as session:
        return drafts.save(session, draft.member_id, desk.now, kind=KIND, version=seen,
                           draft_id=draft.id, title=data["body"].get("title", ""), data=data)  # fmt: skip


def _hand_in(draft: Draft, seen: int, busy: bool) -> Any:
    """Start the job that submits the application.

    The draft keeps the job's key first: so a window that is too old is told before anything begins, and
    a second click finds the job of the first.
    """
    body, key = draft.data["body"], f"draft-{draft.id}-{seen}"
    if busy:
        return redirect(url_for("draft_read", draft_id=draft.id))
    missing = _gaps(body)
    if missing:
        return _page(draft, "check", body, missing, status=400)
    try:
        if draft.data.get("key") != key:
            draft = _save(draft, {"body": body, "key": key}, seen)
        job = start(door.the_desk(), field.submit, door.who, {}, body, key)
    except Conflict:
        return _page(_opened(draft.id)[0], "check", body, {}, stale=True, status=409)
    except LedgerError as error:
        told = faults_by_place(error, translate)
        return _page(draft, "check", body, told, refusal=error.localized(translate), status=400)
    return redirect(url_for("job_page", job_id=job.id))


def _page(
    draft: Draft, step: str, body: dict[str, Any], errors: Mapping[str, list[str]], *,
    refusal: str | None = None, stale: bool = False, status: int = 200,
) -> Any:  # fmt: skip
    """A step's page with what was filled in, what is wrong with it, and how far the others are."""
    missing = _gaps(body)
    open_steps = {_step_of(place) for place in missing}
    with door.the_desk().home.reading() as session:
        actor = door.who(session)
        form = fields_of(field.ApplicationBody, body, errors, choices_for(session, actor))
        job = drafts.job_of(session, draft)
        mended = body.get("resubmits") and session.scalar(
            select(Application).where(Application.number == body["resubmits"])
        )
        page = render_template(
            f"wizard_{step}.html", draft=draft, step=step, body=body, errors=errors,
            fields={one.at: one for one in form}, missing=missing, refusal=refusal, stale=stale,
            steps=[(name, title, name not in open_steps) for name, title in STEPS.items()],
            at_steps={place: _step_of(place) for place in missing}, mended=mended or None,
            refused=_refusal_of(job), differences=_differences(step, draft, body) if stale else [],
            agreement=_agreement(session, body), resources=_offered(session, body),
            files=_rows(session, actor.party_id, body), words=request.args.get("find", ""),
        )  # fmt: skip
    return page, status


def _gaps(body: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is still missing or wrong, by place; that a field is blank is said in one way."""
    desk = door.the_desk()
    with desk.home.reading() as session:
        found = field.gaps(session, door.who(session), desk.now, body, translate)
    blank = [tr("This is still missing.")]
    return {
        place: blank if place != "agreement" and not _value_at(body, place) else told
        for place, told in found.items()
    }


def _value_at(body: Any, place: str) -> Any:
    for name in place.split(".") if place else ():
        if isinstance(body, list):
            body = body[int(name)] if name.isdecimal() and int(name) < len(body) else None
        else:
            body = body.get(name) if isinstance(body, Mapping) else None
    return body


def _step_of(place: str) -> str:
    head = place.partition(".")[0]
    return next((step for step, names in FIELDS.items() if head in names), "check")


def _refusal_of(job: Job | None) -> str | None:
    """Why the application was not made when it was last handed in."""
    if job is None or job.refusal is None:
        return None
    return fill(translate(job.refusal["template"]), job.refusal["facts"])


def _differences(step: str, draft: Draft, body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What another window saved in this step, where it is not what stands here."""
    labels = {one.at: one for one in fields_of(field.ApplicationBody, {}, {}, lambda _: [])}
    kept, found = draft.data["body"], []
    for name in FIELDS[step]:
        mine, theirs = body.get(name), kept.get(name)
        if name == "materials":
            found += [
                (tr(label), (theirs or {}).get(key, ""))
                for key, label in field.MATERIALS.items()
                if (theirs or {}).get(key) != (mine or {}).get(key)
            ]
        elif (mine or None) != (theirs or None):
            found.append((labels[name].label, _plainly(theirs)))
    return found


def _plainly(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(_plainly(one) for one in value.values())
    if isinstance(value, list):
        return "\n".join(_plainly(one) for one in value)
    return tr(str(value)) if value else ""


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else 0


def _address(draft_id: str, step: str, **asked: str) -> str:
    return url_for("application_step", **{"draft_id": draft_id, "step": step, **asked})


# -- what the steps show -----------------------------------------------------------------------


def _agreement(session: Session, body: Mapping[str, Any]) -> Agreement | None:
    number = body.get("agreement")
    return session.scalar(select(Agreement).where(Agreement.number == number)) if number else None


def _offered(session: Session, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The resources to choose among: the agreement's, or those chosen and those just found."""
    chosen = list(body.get("resources", []))
    agreement = _agreement(session, body)
    scope = set(agreement.resource_ids) if agreement is not None else None
    wanted = select(Resource).where(Resource.code.in_(chosen))
    if agreement is not None:
        wanted = select(Resource).where(
            Resource.id.in_(agreement.resource_ids) | Resource.code.in_(chosen)
        )
    known = {one.code: one for one in session.scalars(wanted.order_by(Resource.code))}
    words = request.args.get("find", "")
    if words and scope is None:
        asked = {"words": words[:100], "limit": str(FOUND_SHOWN)}
        items = door.the_desk().ask(field.list_resources, door.who, {}, asked)["items"]
        codes = [item["code"] for item in items]
        for one in session.scalars(select(Resource).where(Resource.code.in_(codes))):
            known.setdefault(one.code, one)
    offered = [
        {
            "chosen": code in chosen, "code": code, "outside": scope is not None and one.id not in scope,
            "provider": one.provider, "title": one.title, "unknown": False,
        }
        for code, one in known.items()
    ]  # fmt: skip
    lost = [code for code in dict.fromkeys(chosen) if code not in known]
    return offered + [
        {
            "chosen": True,
            "code": code,
            "outside": False,
            "provider": "",
            "title": "",
            "unknown": True,
        }
        for code in lost
    ]


def _rows(session: Session, party_id: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The chosen files: what was deposited, and the rules."""
    made = []
    for entry in body.get("data", []):
        wanted = select(Deposit).where(
            Deposit.party_id == party_id, Deposit.digest == entry.get("digest", "")
        )
        made.append({**entry, "deposit": session.scalar(wanted)})
    return made


def _files(go: str, body: dict[str, Any]) -> dict[str, list[str]]:
    """Add the file that was chosen or handed in, take one off, propose rules; what went wrong."""
    problems: dict[str, list[str]] = {}
    rows = [dict(row) for row in body.get("data", [])]
    desk, upload = door.the_desk(), request.files.get("file")
    wanted = [request.form.get("choose", "")]
    if upload is not None and upload.filename:
        try:
            stored = keep_upload(desk.home, upload)
            done = desk.do(field.deposit, door.who, {}, stored, key=uuid4().hex)
            flash(tr(field.deposit.says, **done.answer), "success")
            wanted.append(stored["digest"])
        except LedgerError as error:
            problems["file"] = [error.localized(translate)]
    known = {row.get("digest") for row in rows}
    rows += [{"digest": one} for one in dict.fromkeys(wanted) if one and one not in known]
    verb, _, place = go.partition(":")
    at = _number(place)
    if verb == "remove" and at < len(rows):
        del rows[at]
    elif verb == "propose" and at < len(rows):
        try:
            rows[at]["rules"] = rows[at].get("rules") or _proposed(rows[at].get("digest", ""))
        except LedgerError as error:
            problems[f"data.{at}.rules"] = [error.localized(translate)]
    elif go == "add" and not problems and len(rows) == len(known):
        problems["choose"] = [tr("Choose a deposited file, or a file to deposit now.")]
    body["data"] = rows
    return problems


def _proposed(digest: str) -> str:
    """Rules proposed from a deposited file of one's own, as YAML; raises Invalid, also after a while."""
    desk = door.the_desk()
    with desk.home.reading() as session:
        row = _rows(session, door.actor().party_id, {"data": [{"digest": digest}]})[0]["deposit"]
    if row is None:
        raise Invalid("{name} was not deposited by your organisation", name=digest)
    with tempfile.TemporaryDirectory(prefix="propose-") as folder:
        path = Path(folder) / (Path(row.name).name or "data")
        path.write_bytes(desk.home.material(digest))
        settings = {**os.environ, "TMPDIR": folder, "SHUZHENG_LANG": language()}
        command = [sys.executable, "-c", PROPOSE, str(path)]
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and text
                command, capture_output=True, timeout=PROPOSE_S, check=False, env=settings
            )
        except subprocess.TimeoutExpired:
            raise Invalid(
                "{name} is too large to propose rules while you wait; leave them empty, and they are "
                "proposed when the application is submitted.",
                name=row.name,
            ) from None
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace") if done.returncode == 3 else "-"
        raise Invalid("No rules can be proposed for {name}: {cause}", name=row.name, cause=why)
    return done.stdout.decode()


# -- what the pages of the field tell besides the row ---------------------------------------------


@nouns.extra("application")
def about_application(session: Session, row: Application) -> dict[str, Any]:
    """Its agreement, resources, files and their quality, deadlines, ground, and registration."""
    me, today = door.actor(), local_date(door.the_desk().now)
    agreement = session.get(Agreement, row.agreement_id) if row.agreement_id else None
    last = log.history(session, row.id)[-1]
    limits = {
        "accept": registering.ACCEPT_WORKING_DAYS, "review": registering.REVIEW_WORKING_DAYS,
    }  # fmt: skip
    return {
        "agreement": agreement,
        "deposits": _deposits(session, row.deposit_ids),
        "due": [_due(what, due, limits.get(what, 0), today) for what, due in row.deadlines.items()],
        "ground": log.payload_of(last)["reason"] if row.state != "returned" else None,
        "may_mend": row.state == "returned" and allowed(me, field.submit.verb, row.party_id),
        "may_see_agreement": agreement is not None
        and allowed(me, "agreement.read", (agreement.operator_id, agreement.implementer_id)),
        "may_see_deposits": allowed(me, "evidence.read", row.party_id),
        "notice_due": _due("notice", row.notice["until"], registering.NOTICE_WORKING_DAYS, today)
        if row.notice else None,
        "quality": [quality_of(profile) for profile in row.quality],
        "registration": session.scalar(
            select(Registration).where(Registration.application_id == row.id)
        ),
        "resources": _resources(session, row.resource_ids),
    }  # fmt: skip


def application_facts(row: Application) -> dict[str, Any]:
    """The same for the form of its review, which is made from the deed."""
    with door.the_desk().home.reading() as session:
        party = session.get_one(Party, row.party_id)
        return {**about_application(session, row), "party": party.name}


@nouns.extra("agreement")
def about_agreement(session: Session, row: Agreement) -> dict[str, Any]:
    """Its resources, the schemes agreed under it, and what is registered under it."""
    schemes = None
    owners = (row.operator_id, row.implementer_id)
    if allowed(door.actor(), "scheme.read", owners):
        keys = {"agreement_number": row.number}
        schemes = door.the_desk().ask(QUESTIONS["scheme.list"], door.who, keys, {"limit": "200"})[
            "items"
        ]
    wanted = select(Registration).where(Registration.agreement_id == row.id)
    return {
        "registrations": session.scalars(wanted.order_by(Registration.id)).all(),
        "resources": _resources(session, row.resource_ids), "schemes": schemes,
    }  # fmt: skip


@nouns.extra("registration")
def about_registration(session: Session, row: Registration) -> dict[str, Any]:
    """Where it comes from, and what rests on it, as far as the reader may see that."""
    me = door.actor()
    application = session.get_one(Application, row.application_id)
    agreement = session.get(Agreement, row.agreement_id) if row.agreement_id else None
    return {
        "agreement": agreement
        if agreement is not None
        and allowed(me, "agreement.read", (agreement.operator_id, agreement.implementer_id))
        else None,
        "application": application if allowed(me, "application.read", row.party_id) else None,
        "appraisals": _seen(session, "appraisal", Appraisal, row),
        "lapsed": row.state == "registered" and row.valid_until < door.the_desk().now,
        "resources": _resources(session, row.resource_ids),
        "vouchers": _seen(session, "voucher", Voucher, row),
    }  # fmt: skip


def _seen(session: Session, noun: str, model: Any, row: Registration) -> list[Any]:
    """What of a noun rests on a registration and may be seen by the reader."""
    wanted = select(model).where(model.registration_id == row.id).order_by(model.id)
    condition = visible(door.actor(), noun)
    return list(session.scalars(wanted if condition is None else wanted.where(condition)))


def _resources(session: Session, ids: Iterable[str]) -> list[Resource]:
    wanted = select(Resource).where(Resource.id.in_(list(ids)))
    return list(session.scalars(wanted.order_by(Resource.code)))


def _deposits(session: Session, ids: Iterable[str]) -> list[Deposit]:
    """The deposits in the order in which they are named."""
    return [session.get_one(Deposit, one) for one in ids]


def _due(what: str, due: Mapping[str, Any], days: int, today: date) -> dict[str, Any]:
    """A deadline with the working days that are left; negative once it is over."""
    on = date.fromisoformat(due["on"])
    first, last = min(today, on), max(today, on)
    between = (first + timedelta(days=n) for n in range(1, (last - first).days + 1))
    left = sum(is_workday(day)[0] for day in between)
    return {
        **due,
        "days": days,
        "left": left if on >= today else -left,
        "over": on < today,
        "what": what,
    }


def quality_of(profile: Mapping[str, Any]) -> dict[str, Any]:
    """A measured profile for the eye: each indicator with its score, the weakest, the whole."""
    made = []
    for one in profile["indicators"]:
        share = Fraction(one["a"], one["b"])
        made.append({**one, "score": 1 - share if one["inverse"] else share})
    least = min((one["score"] for one in made), default=None)
    weakest = [one for one in made if one["score"] == least and least != 1]
    given = [{"a": i["a"], "b": i["b"], "code": i["code"], "weight": "1"} for i in made]
    version = methods.describe("quality")["version"]
    inputs = {"inputs": {"indicators": given}, "method": "quality", "version": version}
    return {
        **profile, "indicators": made, "score": methods.run(inputs).value if made else None,
        "weakest": weakest,
    }  # fmt: skip


def percent(share: Fraction) -> str:
    """A share in percent, rounded down: what is not perfect never reads as 100 %."""
    hundredths = share.numerator * 10_000 // share.denominator
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


# -- public notices ----------------------------------------------------------------------------


@door.guard(field.notices)
def notices() -> str:
    """The applications on public notice, for everybody."""
    desk = door.the_desk()
    asked = {name: value for name, value in request.args.items() if value}
    found = desk.ask(field.notices, door.who, {}, asked)
    today = local_date(desk.now).isoformat()
    return render_template("notices.html", found=found, asked=asked, today=today)
