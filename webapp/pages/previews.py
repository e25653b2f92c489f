"""What an import would take in, shown first; from there it takes in just the bytes that were looked at."""

import hmac
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from flask import Flask, current_app, render_template, request, url_for
from flask_limiter import Limiter

from ledger.errors import Missing
from webapp import door, jobs
from webapp.deeds import DEEDS, Deed
from webapp.deeds.background import start
from webapp.deeds.previews import COLUMNS, SAYS, SUMS
from webapp.jobs import Job
from webapp.language import tr
from webapp.pages.show import redirect
from webapp.wording import preview_text


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes of what was looked at by a job."""
    app.add_url_rule("/previews/<job_id>", "preview_page", preview_page)
    app.add_url_rule("/previews/<job_id>/import", "preview_import", import_, methods=["POST"])


def looked_at(deed: Deed, values: Mapping[str, Any]) -> bool:
    """Whether a form names a file that its sender looked at for this, and hands in no other.

    The digest alone is no ticket: whoever knows that of another's file would be told what is in it.
    """
    given = request.files.get("file")
    mark = _mark(deed, str(values.get("digest", "")))
    return not (given and given.filename) and hmac.compare_digest(
        mark.encode(), request.form.get("looked", "").encode()
    )


def _mark(deed: Deed, digest: str) -> str:
    """What only a page of ours can say: that this person looked at this file for this deed."""
    told = f"looked at {door.actor().member_id} {deed.name} {digest}"
    return hmac.new(current_app.config["SECRET_KEY"].encode(), told.encode(), "sha256").hexdigest()


def page(
    deed: Deed, found: Mapping[str, Any], action: str, values: Mapping[str, Any], back: str
) -> str:
    """What `deed` would take in; its button posts `values`, the file by its digest, to `action`."""
    items = found["rows_told"]
    return render_template(
        "preview.html", deed=deed, found=found, action=action, back=back, key=uuid4().hex,
        values={name: value for name, value in values.items() if isinstance(value, str | int)}
        | {"looked": _mark(deed, found["digest"])},
        said=tr(SAYS, **found), say=preview_text,
        columns=[(name, tr(title)) for name, title in COLUMNS.items()
                 if any(one.get(name) not in (None, "") for one in items)],
        sums=[(tr(title), found["sums"][name], name) for name, title in SUMS.items()
              if name in found["sums"]],
    )  # fmt: skip


def _done(job_id: str) -> tuple[Job, Deed]:
    """A finished preview of the reader's own, and what it is of; raises Missing."""
    with door.the_desk().home.reading() as session:
        job = jobs.job_of(session, job_id, door.actor().member_id)
    if not DEEDS[job.verb].of or job.state != "done":
        raise Missing("There is no finished check {id}.", id=job_id)
    return job, DEEDS[DEEDS[job.verb].of]


@door.guard("job.read")
def preview_page(job_id: str) -> str:
    """What a job found that an import would take in."""
    job, deed = _done(job_id)
    return page(deed, (job.answer or {})["answer"], url_for("preview_import", job_id=job_id), {},
                url_for("work_read"))  # fmt: skip


@door.guard("job.read")
def import_(job_id: str) -> Any:
    """Take in just what was looked at."""
    job, deed = _done(job_id)
    key = f"{request.form.get('idempotency') or uuid4().hex}-{deed.name}"[:128]
    made = start(door.the_desk(), deed, door.who, job.request["keys"], job.request["body"], key)
    return redirect(url_for("job_page", job_id=made.id))
