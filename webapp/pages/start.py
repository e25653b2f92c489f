"""The start page, what waits for me, jobs, who may do what."""

from io import BytesIO
from typing import Any

from flask import Flask, render_template, send_file, url_for
from flask_limiter import Limiter

from ledger.errors import fill
from ledger.parties import MAY
from webapp import door, drafts, jobs
from webapp.api.more import file_of
from webapp.deeds import DEEDS
from webapp.deeds.all import work
from webapp.deeds.background import facts
from webapp.deeds.people import ROLES
from webapp.language import tr, translate
from webapp.pages.nouns import page_of
from webapp.pages.show import redirect

JOBS_SHOWN = 10


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.add_url_rule("/", "start", start)
    app.add_url_rule("/work", "work_read", my_work)
    app.add_url_rule("/jobs/<job_id>", "job_page", job_page)
    app.add_url_rule("/jobs/<job_id>/file", "job_file_page", job_file)
    app.add_url_rule("/permissions", "permissions", permissions)


@door.guard("page.read")
def start() -> Any:
    """The first page of whoever comes; who is signed in sees what waits for him."""
    if door.visitor() is not None:
        return redirect(url_for("work_read"))
    return render_template("start.html")


@door.guard(work.work)
def my_work() -> str:
    """What waits for me, my drafts, and my latest jobs."""
    desk = door.the_desk()
    found = desk.ask(work.work, door.who, {}, {})
    items = [{**item, "address": page_of(item["noun"], item["number"])} for item in found["items"]]
    with desk.home.reading() as session:
        mine = [facts(job) for job in jobs.jobs_of(session, door.actor().member_id, JOBS_SHOWN)]
        begun = drafts.drafts_of(session, door.actor().member_id)
    return render_template("work.html", items=items, alarms=found["alarms"], jobs=mine, drafts=begun,
                           deeds=DEEDS)  # fmt: skip


@door.guard("job.read")
def job_page(job_id: str) -> str:
    """How far a job is; the page may be closed and opened again."""
    with door.the_desk().home.reading() as session:
        job = jobs.job_of(session, job_id, door.actor().member_id)
        told = facts(job)
    refusal = told["refusal"]
    return render_template(
        "job.html", job=told, deed=DEEDS[job.verb],
        refusal=refusal and fill(translate(refusal["template"]), refusal["facts"]),
        said=tr(DEEDS[job.verb].says, **told["answer"]) if told["state"] == "done" else None,
    )  # fmt: skip


@door.guard("job.read")
def job_file(job_id: str) -> Any:
    """The file a job made."""
    found = file_of(job_id)
    return send_file(BytesIO(found.content), found.media_type, as_attachment=True,
                     download_name=found.name)  # fmt: skip


@door.guard("page.read")
def permissions() -> str:
    """The table of who may do what, as it is in force."""
    roles = ("public", "member", *ROLES)
    return render_template("permissions.html", may=MAY, roles=roles)
