"""The start page, what waits for me, jobs, who may do what."""

from collections.abc import Mapping
from datetime import date
from io import BytesIO
from typing import Any

from flask import Flask, current_app, render_template, request, send_file, url_for
from flask_limiter import Limiter
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from ledger.calendar import local_date, working_days_left
from ledger.catalogue_imports import CatalogueImport
from ledger.chain.outbox import told
from ledger.deadlines import standing
from ledger.errors import Missing
from ledger.proof.encoding import canonical
from ledger.rights import MAY
from webapp import audits, door, drafts, jobs
from webapp.api.more import file_of
from webapp.deeds import DEEDS, Deed
from webapp.deeds.all import work
from webapp.deeds.background import facts
from webapp.deeds.people import ROLES
from webapp.deeds.subjects import BY_NOUN
from webapp.language import language, tr, translate
from webapp.pages import nouns
from webapp.pages.show import redirect

JOBS_SHOWN = 10
TONES = {"overdue": "danger", "today": "warning", "near": "warning", "later": "secondary",
         "paused": "secondary"}  # fmt: skip
# The work list's headings, by urgency; None is what has no deadline.
HEADINGS = {
    "overdue": "Overdue", "today": "Due today", "near": "Due soon", "later": "Due later",
    None: "Without a deadline", "paused": "Paused",
}  # fmt: skip
NOTICES_SHOWN = 200
# What waits from a day on, not until it.
SINCE = {"application.code"}
# Deeds on the house itself lead back to its page.
OF_THE_HOUSE = {"audit.run", "log.anchor"}


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.add_url_rule("/", "start", start)
    app.add_url_rule("/work", "work_read", my_work)
    app.add_url_rule("/jobs/<job_id>", "job_page", job_page)
    app.add_url_rule("/jobs/<job_id>/file", "job_file_page", job_file)
    app.add_url_rule("/jobs/<job_id>/receipt.json", "job_receipt", job_receipt)
    app.add_url_rule("/permissions", "permissions", permissions)


@door.guard("page.read")
def start() -> Any:
    """The first page of whoever comes; who is signed in sees what waits for him."""
    if door.visitor() is not None:
        return redirect(url_for("work_read"))
    return render_template("start.html")


@door.guard(work.work)
def my_work() -> str:
    """What waits for me, the most urgent first, my drafts, and my latest jobs."""
    desk = door.the_desk()
    found = desk.ask(work.work, door.who, {}, {})
    today, noun = local_date(desk.now), request.args.get("noun", "")
    items = [
        {
            **item,
            "address": nouns.address("payout_prepare", {"agreement_number": item["number"]})
            if item["deed"] == "payout.prepare"
            else nouns.page_of(item["noun"], item["number"]),
            "limit": limit(item, today),
        }
        for item in found["items"]
        if noun in ("", item["noun"])
    ]
    groups = [
        (heading, [item for item in items if item["urgency"] == urgency])
        for urgency, heading in HEADINGS.items()
    ]
    nouns_there = sorted({item["noun"] for item in found["items"]})
    with desk.home.reading() as session:
        mine = [
            {**facts(job), "about": _about(job.request)}
            for job in jobs.jobs_of(session, door.actor().member_id, JOBS_SHOWN)
        ]
        begun = drafts.drafts_of(session, door.actor().member_id)
    climbing = desk.ask(work.ladder, door.who, {}, {})
    return render_template(
        "work.html", items=items, groups=groups, nouns_there=nouns_there, noun=noun, more=climbing["more"],
        climbing=[
            {
                **one, "address": _address(f"{one['noun']}_read", {key: one["number"]}),
                "problem": told(one["reason"], translate),
            }
            for one in climbing["items"]
            for key in (BY_NOUN[one["noun"]].key,)
        ], alarms=found["alarms"], jobs=mine, deeds=DEEDS,
        apply=_address("application_submit", {}) or url_for("application_list"),
        drafts=[(draft, _address("draft_read", {"draft_id": draft.id})) for draft in begun],
    )  # fmt: skip


def limit(item: Mapping[str, Any], today: date) -> dict[str, Any]:
    """How a thing to do stands to its last day, in words and a colour; without more, in working days."""
    if not item["due"]:
        return {"left": 9_999, "on": None, "tone": "", "words": ""}
    told = {"left": 0, "on": item["due"], "tone": "secondary"}
    if item["deed"] in SINCE:
        return {**told, "words": tr("the notice is over")}
    if item.get("urgency"):
        urgency, left, provisional = item["urgency"], item["days_left"], item["provisional"]
    else:
        how = standing({"on": item["due"]}, today)
        urgency, left = how.urgency, how.left
        provisional = working_days_left(today, date.fromisoformat(how.on))[1]
    told |= {"left": left, "tone": TONES[urgency]}
    if urgency == "paused":
        return {**told, "words": tr("paused; {days} working days left", days=left)}
    if urgency == "today":
        return {**told, "words": tr("due today")}
    if not item.get("working", True):
        words = (
            tr("overdue by {days} days", days=-left)
            if left < 0
            else tr("{days} days left", days=left)
        )
        return {**told, "words": words}
    if left < 0:
        return {**told, "words": tr("overdue by {days} working days", days=-left)}
    if provisional:  # that year's calendar is not published yet
        return {**told, "words": tr("about {days} working days left", days=left)}
    return {**told, "words": tr("{days} working days left", days=left)}


@door.guard("job.read")
def job_page(job_id: str) -> Any:
    """How far a job is; the page may be closed and opened again."""
    with door.the_desk().home.reading() as session:
        job = jobs.job_of(session, job_id, door.actor().member_id)
        told, deed = facts(job), DEEDS[job.verb]
        notices = _notices(session, told)
    if job.verb == "catalogue.check" and job.state == "done":
        return redirect(url_for("check_page", job_id=job_id))
    if deed.of and job.state == "done":
        return redirect(url_for("preview_page", job_id=job_id))
    refusal, answer = told["refusal"], told["answer"] or {}
    keys = job.request["keys"]
    again = _address(deed.name.replace(".", "_"), keys)
    return render_template(
        "job.html", job=told, deed=deed, again=again, about=_about(job.request),
        made=_made(deed, keys, answer) if told["state"] == "done" else None,
        notices=notices[:NOTICES_SHOWN], notice_count=len(notices),
        problems=[_row(one) for one in ((refusal or {}).get("facts") or {}).get("problems", ())],
        differences=[*map(audits.told, answer.get("differences", ()))] if deed.name == "audit.run" else (),
        refusal=refusal and jobs.refusal_text(refusal, translate),
        said=tr(deed.says, **answer) if told["state"] == "done" else None,
        stage=_stage(told["stage"]), of_the_house=deed.name in OF_THE_HOUSE,
        has_file=deed.name == "package.pack",
    )  # fmt: skip


def _stage(stage: str) -> str:
    """A stage in words; one that is no word of ours is the name of the file being measured."""
    known = {
        "": tr("at work"),
        "anchor": tr("sealing, and waiting for the chain"),
        "check": tr("checking every row"),
        "batches": tr("reading the batches"),
        "chain": tr("comparing with the chain"),
        "map": tr("finding what each column is"),
        "read": tr("reading the file"),
        "records": tr("deriving the records anew"),
        "rows": tr("comparing the rows"),
        "store": tr("storing the rows"),
        "wait": tr("waiting: somebody is handing in the same rows"),
    }
    return known.get(stage) or tr("measuring {name}", name=stage)


def _about(request: Mapping[str, Any]) -> str:
    """What a job is about: its subject's number, else the name it was given."""
    body = request["body"]
    found = [*request["keys"].values(), body.get("title"), body.get("name")]
    return next((str(one) for one in found if one), "")


def _made(deed: Deed, keys: Mapping[str, str], answer: Mapping[str, Any]) -> str:
    """The page of what a job made."""
    if deed.name in OF_THE_HOUSE:
        return _address("house", {}) or url_for("work_read")
    return nouns.after(deed, keys, answer)


def _notices(session: Session, told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What an import noticed and let pass."""
    if told["name"] != "catalogue.import" or told["state"] != "done":
        return []
    found = session.get(CatalogueImport, told["answer"]["id"])
    return [_row(one) for one in found.notices] if found else []


def _row(problem: Mapping[str, Any]) -> dict[str, Any]:
    return {**problem, "reason": problem[f"reason_{language()}"]}


def _address(endpoint: str, keys: Mapping[str, Any]) -> str | None:
    """The address of an endpoint, where the site has it."""
    return nouns.address(endpoint, keys) if endpoint in current_app.view_functions else None


@door.guard("job.read")
def job_file(job_id: str) -> Any:
    """The file a job made."""
    found = file_of(job_id)
    return send_file(BytesIO(found.content), found.media_type, as_attachment=True,
                     download_name=found.name)  # fmt: skip


@door.guard("job.read")
def job_receipt(job_id: str) -> Response:
    """The receipt of what a job recorded, as `shuzheng verify` takes it."""
    with door.the_desk().home.reading() as session:
        receipt = facts(jobs.job_of(session, job_id, door.actor().member_id))["receipt"]
    if receipt is None:
        raise Missing("The job {id} recorded nothing: there is no receipt.", id=job_id)
    return send_file(BytesIO(canonical(receipt)), "application/json", as_attachment=True,
                     download_name="receipt.json")  # fmt: skip


@door.guard("page.read")
def permissions() -> str:
    """The table of who may do what, as it is in force."""
    roles = ("public", "member", *ROLES)
    return render_template("permissions.html", may=MAY, roles=roles)
