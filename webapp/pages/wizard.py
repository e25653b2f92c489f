"""The wizard in which an application for registration is filled in, step by step, as a draft.

GET  /applications/new                      what I began; POST begins another, or mends a returned one
GET  /applications/new/<draft_id>/<step>    a step; POST saves it and goes where one wants
GET  /drafts/<draft_id>                     the first step in which something is missing
POST /drafts/<draft_id>/drop                throws a draft away

Whatever button is pressed saves the step first. The last one starts the deed as a job, and the draft
stays until that job is done (`webapp.drafts`): a refusal leads back to it.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from flask import Flask, flash, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from ledger import catalogue
from ledger.agreements import Agreement
from ledger.catalogue import Resource
from ledger.errors import Invalid, LedgerError
from ledger.parties import Actor, Party
from ledger.registration import Application, Deposit
from ledger.states import move
from webapp import door, drafts
from webapp.deeds.all import field, search
from webapp.deeds.background import start
from webapp.deeds.forms import faults_by_place
from webapp.drafts import Draft
from webapp.intake import keep_upload, read_form
from webapp.jobs import Job, refusal_text
from webapp.language import language, tr, translate
from webapp.pages import nouns
from webapp.pages.forms import choices_for, fields_of
from webapp.pages.show import redirect

KIND = field.submit.name
# Each step, and the fields of the application that are filled in there.
STEPS = {
    "what": "What is registered", "resources": "Resources and rights", "data": "Data files",
    "materials": "Materials", "check": "Check and submit",
}  # fmt: skip
FIELDS: dict[str, tuple[str, ...]] = {
    "what": ("object", "title", "summary", "agreement", "joint"),
    "resources": ("resources", "scenes", "rights"),
    "data": ("data",), "materials": ("materials", "attachments"), "check": (),
}  # fmt: skip
# What belongs into each material, for whoever writes it the first time.
HINTS = {
    "subject": "who applies: name, social credit code, what the organisation does, who authorised it",
    "lawful_source": "where the data come from, and by which law or agreement they may be used",
    "resource": "content, scale, period, update cycle, format",
    "evidence": "which files were deposited before this application, and when",
    "product": "form, way of delivery, kind of charge; for a resource without product: none",
    "scene": "who uses it for what, and what it must not be used for",
    "security_risk": "grading, personal information, protective measures, outcome of the assessment",
}
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


def enter(app: Flask) -> None:
    """Enter the routes."""
    app.add_url_rule("/applications/new", "application_submit", begin, methods=["GET", "POST"])
    for step in STEPS:
        path = f"/applications/new/<draft_id>/{step}"
        app.add_url_rule(path, f"application_{step}", _step_view(step), methods=["GET", "POST"])
    app.add_url_rule("/drafts/<draft_id>", "draft_read", open_draft)
    app.add_url_rule("/drafts/<draft_id>/drop", "draft_drop", drop_draft, methods=["POST"])


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
            if draft.kind == KIND and _body(draft).get("resubmits") == number:
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
        codes = select(Resource.code).where(Resource.id.in_(shown["resource_ids"]))
        deposits = [session.get_one(Deposit, one) for one in shown["deposit_ids"]]
        body = {
            "data": [{"digest": one.digest} for one in deposits],
            "joint": sorted(session.scalars(select(Party.uscc).where(Party.id.in_(
                [one["party_id"] for one in shown["consents"] or []])))),
            "attachments": [
                {"digest": session.get_one(Deposit, one["deposit_id"]).digest,
                 "material": one["material"]} for one in shown["attachments"] or []
            ],
            "resources": sorted(session.scalars(codes)), "resubmits": number,
            **{name: shown[name] for name in ("materials", "object", "rights", "summary", "title")},
            "scenes": shown["scenes"] or [],
        }  # fmt: skip
    flash(tr("The rules of the files are not kept with an application: enter them again, or leave "
             "them empty, and rules are proposed from each file."), "warning")  # fmt: skip
    return {**body, "agreement": agreement.number} if agreement is not None else body


@door.guard("draft.read")
def open_draft(draft_id: str) -> Any:
    """Go on with a draft where something is still missing."""
    draft, job = _opened(draft_id)
    if job is not None and job.state != "failed":
        return _onwards(draft, job)
    missing = _gaps(_body(draft))
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


def _step_view(step: str) -> Any:
    """The view of a step; POST saves what was filled in there."""

    def view(draft_id: str) -> Any:
        draft, job = _opened(draft_id)
        busy = job is not None and job.state != "failed"
        if request.method == "POST":
            return _post(draft, step, busy)
        if busy and job is not None:
            return _onwards(draft, job)
        body = _body(draft)
        return _page(draft, step, body, _gaps(body) if "missing" in request.args else {})

    return door.guard(field.submit)(view)


def _opened(draft_id: str) -> tuple[Draft, Job | None]:
    with door.the_desk().home.reading() as session:
        draft = drafts.draft_of(session, door.actor().member_id, draft_id)
        if draft.kind != KIND:
            raise NotFound
        return draft, drafts.job_of(session, draft)


def _body(draft: Draft) -> dict[str, Any]:
    """The application as far as it is filled in."""
    return dict(draft.data.get("body") or {})


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
    others = {name: value for name, value in _body(draft).items() if name not in FIELDS[step]}
    body = {**others, **{name: given[name] for name in FIELDS[step] if name in given}}
    problems = _files(go, body) if step == "data" else {}
    if busy:
        return _page(draft, step, body, {}, status=409, refusal=tr(
            "This draft was handed in meanwhile, in another window; what stands below is not saved."
        ))  # fmt: skip
    try:
        draft = _save(draft, {**draft.data, "body": body}, seen)
    except LedgerError as error:
        return _refused(error, draft, step, body, problems)
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
    way = {"next": 1, "back": -1}.get(go, 0)
    place = min(max(names.index(step) + way, 0), len(names) - 1)
    return go if go in STEPS else names[place]


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
    body, key = _body(draft), f"draft-{draft.id}-{seen}"
    if busy:
        return redirect(url_for("draft_read", draft_id=draft.id))
    missing = _gaps(body)
    if missing:
        return _page(draft, "check", body, missing, status=400)
    try:
        if draft.data.get("key") != key:
            draft = _save(draft, {"body": body, "key": key}, seen)
        job = start(door.the_desk(), field.submit, door.who, {}, body, key)
    except LedgerError as error:
        return _refused(error, draft, "check", body, faults_by_place(error, translate))
    return redirect(url_for("job_page", job_id=job.id))


def _refused(
    error: LedgerError, draft: Draft, step: str, body: dict[str, Any], problems: dict[str, list[str]]
) -> Any:  # fmt: skip
    """The step again with what was filled in; if another window was faster, beside what that saved."""
    if "known" in error.facts and "given" in error.facts:
        return _page(_opened(draft.id)[0], step, body, problems, stale=True, status=409)
    text = error.localized(translate)
    return _page(draft, step, body, problems, refusal=text, status=error.http_status)


def _page(
    draft: Draft, step: str, body: dict[str, Any], errors: Mapping[str, list[str]], *,
    refusal: str | None = None, stale: bool = False, status: int = 200,
) -> Any:  # fmt: skip
    """A step's page with what was filled in, what is wrong with it, and how far the others are."""
    missing = _gaps(body)
    open_steps = {_step_of(place) for place in missing}
    with door.the_desk().home.reading() as session:
        actor = door.who(session)
        choices = choices_for(session, actor)
        form = fields_of(field.ApplicationBody, body, errors, choices)
        for one in (one for part in form if part.at == "materials" for one in part.rows[0]):
            one.hint = tr(HINTS[one.at.rpartition(".")[2]])
        agreement = _agreement(session, actor, body)
        mended = session.scalar(select(Application).where(
            Application.number == body.get("resubmits", ""), Application.party_id == actor.party_id
        ))  # fmt: skip
        page = render_template(
            f"wizard_{step}.html", draft=draft, step=step, body=body, errors=errors,
            fields={one.at: one for one in form}, missing=missing, refusal=refusal, stale=stale,
            steps=[(name, title, name not in open_steps) for name, title in STEPS.items()],
            at_steps={place: _step_of(place) for place in missing}, mended=mended,
            at_step=partial(_address, draft.id),
            refused=_refusal_of(drafts.job_of(session, draft)), agreement=agreement,
            differences=_differences(step, draft, body) if stale else [],
            resources=_offered(session, agreement, body), files=_rows(session, actor.party_id, body),
            words=request.args.get("find", ""), label_of=_label_of, deposited=choices("deposits"),
            names={**dict(choices("parties")), **dict(choices("deposits"))},
        )  # fmt: skip
    return page, status


def _gaps(body: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is still missing or wrong, by place; that a field is blank is said in one way."""
    desk = door.the_desk()
    with desk.home.reading() as session:
        found = field.gaps(session, door.who(session), desk.now, body, translate)
    blank, steps = [tr("This is still missing.")], list(STEPS)
    return {
        place: blank if place != "agreement" and not _value_at(body, place) else found[place]
        for place in sorted(found, key=lambda place: steps.index(_step_of(place)))
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


def _label_of(place: str) -> str:
    """What a place in an application is called."""
    name, _, rest = place.partition(".")
    if name == "materials" and rest in field.MATERIALS:
        return tr(field.MATERIALS[rest])
    known = field.ApplicationBody().fields.get(name)
    return tr(str(known.metadata["title"])) if known is not None else tr("Application")


def _refusal_of(job: Job | None) -> str | None:
    """Why the application was not made when it was last handed in."""
    if job is None or job.refusal is None:
        return None
    return refusal_text(job.refusal, translate)


def _differences(step: str, draft: Draft, body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What another window saved in this step, where it is not what stands here."""
    labels = {one.at: one for one in fields_of(field.ApplicationBody, {}, {}, lambda _: [])}
    kept, found = _body(draft), []
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
    return nouns.address(f"application_{step}", {"draft_id": draft_id, **asked})


# -- what the steps show -----------------------------------------------------------------------


def _agreement(session: Session, actor: Actor, body: Mapping[str, Any]) -> Agreement | None:
    """The agreement that was chosen, if it is my organisation's."""
    wanted = select(Agreement).where(
        Agreement.number == body.get("agreement", ""), Agreement.operator_id == actor.party_id
    )
    return session.scalar(wanted)


def _offered(
    session: Session, agreement: Agreement | None, body: Mapping[str, Any]
) -> list[tuple[str, Resource | None, bool]]:
    """The resources to choose among: code, resource, whether it is outside the agreement.

    They are the agreement's and those chosen; without an agreement also those just searched for.
    """
    scope = agreement.resource_ids if agreement is not None else []
    chosen = codes = body.get("resources", [])
    words = request.args.get("find", "")
    if words and agreement is None:
        asked = {"words": words[: search.WORDS_MAX], "limit": str(FOUND_SHOWN)}
        found = door.the_desk().ask(search.find_resources, door.who, {}, asked)["items"]
        codes = [*chosen, *(item["code"] for item in found)]
    among = Resource.id.in_(scope) | Resource.code.in_(codes)
    seen = catalogue.visible(session, door.actor())
    wanted = select(Resource).where(among)
    known = list(session.scalars(wanted if seen is None else wanted.where(seen)))
    known.sort(key=lambda one: (agreement is None and one.code not in chosen, one.code))
    listed = {one.code for one in known}
    return [
        *((one.code, one, agreement is not None and one.id not in scope) for one in known),
        *((code, None, False) for code in chosen if code not in listed),
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
