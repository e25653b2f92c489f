"""The catalogue's change sets: a table is checked, mapped and applied; a change set is read."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

from flask import Flask, Response, render_template, request, url_for
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.catalogue_fields import FIELDS
from ledger.catalogue_imports import CatalogueImport
from ledger.errors import Invalid, LedgerError, Missing
from ledger.parties import Account, allowed
from webapp import door, jobs
from webapp.deeds import Deed
from webapp.deeds.all import catalogue as deeds
from webapp.deeds.background import start
from webapp.deeds.forms import faults_by_place
from webapp.intake import read_form
from webapp.jobs import Job
from webapp.language import language, tr, translate
from webapp.pages import nouns
from webapp.pages.forms import fields_of
from webapp.pages.show import redirect
from webapp.wording import label_of, value_text

PROBLEMS_SHOWN = 200
# The options of a check that its page has fields for; columns have a table of their own.
OPTIONS = (
    "defaults", "header_row", "headless", "sheet", "encoding", "scope", "withdraw_gone",
    "skip_bad_rows",
)  # fmt: skip
# How the field of a column was found.
FOUND = {
    "matched": "by its name", "content": "by what stands in it", "remembered": "as the last time",
    "given": "as you say", "unknown": "left out: unknown", "blank": "left out: no name",
    "repeats": "left out: says the same as another column", "personal": "left out: personal data",
    "ignored": "left out, as you say",
}  # fmt: skip


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.add_url_rule("/catalogue-checks/<job_id>", "check_page", check_page)
    app.add_url_rule(
        "/catalogue-checks/<job_id>/again", "check_again", check_again, methods=["POST"]
    )
    app.add_url_rule("/catalogue-checks/<job_id>/apply", "check_apply", apply, methods=["POST"])
    app.add_url_rule("/catalogue-checks/<job_id>/problems.csv", "check_problems", problems_file)
    app.add_url_rule("/catalogue-imports/<import_id>", "catalogue_read", import_page)
    app.jinja_env.filters |= {"element": label_of, "value": value_text}


# ---------------------------------------------------------------- a table that was checked


def checked_job(session: Session, job_id: str) -> tuple[Job, dict[str, Any]]:
    """A finished check of the reader's own, and what it found; raises Missing."""
    job = jobs.job_of(session, job_id, door.actor().member_id)
    if job.verb != deeds.check_catalogue.name or job.state != "done":
        raise Missing("There is no finished check {id}.", id=job_id)
    return job, dict((job.answer or {})["answer"])


@door.guard("job.read")
def check_page(job_id: str) -> str:
    """What a table would do to the catalogue, how its columns are taken, and what is wrong with it."""
    return _page(job_id)


def _page(job_id: str, refusal: LedgerError | None = None) -> str:
    with door.the_desk().home.reading() as session:
        job, found = checked_job(session, job_id)
    body = job.request["body"]
    errors = faults_by_place(refusal, translate) if refusal is not None else {}
    form = [one for one in fields_of(deeds.CheckBody, body, errors, lambda _source: [])
            if one.at in OPTIONS]  # fmt: skip
    bad = [_told(one) for one in found["problems"] if one["severity"] == "error"]
    notices = [_told(one) for one in found["problems"] if one["severity"] != "error"]
    foreign = any(one["code"].endswith("_foreign") for one in found["problems"])
    changes = found["new"] or found["changed"] or (found["gone"] and body.get("withdraw_gone"))
    return render_template(
        "catalogue_check.html", job=job, found=found, body=body, fields=form, bad=bad[:PROBLEMS_SHOWN],
        bad_count=len(bad), notices=notices[:PROBLEMS_SHOWN], choices=field_choices(),
        columns=[{**one, "how": tr(FOUND[one["why"]])} for one in found["columns"]],
        said=tr(deeds.check_catalogue.says, **found),
        usable=found["rows"] and not foreign and (not bad or body.get("skip_bad_rows")),
        changes=changes, foreign=foreign, key=uuid4().hex, proposes=not decides(),
        refusal=refusal and refusal.localized(translate),
    )  # fmt: skip


def decides() -> bool:
    """Whether the reader's change sets are applied at once."""
    return allowed(door.actor(), "catalogue.approve")


def field_choices() -> list[tuple[str, str]]:
    """The fields a column may give, in the order of the directory rules."""
    return [(name, label_of(name)) for name in FIELDS]


def _told(problem: Mapping[str, Any]) -> dict[str, Any]:
    return {**problem, "reason": problem[f"reason_{language()}"]}


@door.guard(deeds.check_catalogue)
def check_again(job_id: str) -> Any:
    """Check the same file with other columns and options."""
    with door.the_desk().home.reading() as session:
        job, found = checked_job(session, job_id)
    try:
        body = {**job.request["body"], **_options(), "corrections": _corrections(found["columns"])}
        return _start(deeds.check_catalogue, body)
    except LedgerError as error:
        return _page(job_id, error), error.http_status


def _options() -> dict[str, Any]:
    """The options as the form has them; what it leaves blank is unsaid."""
    given = read_form(deeds.CheckBody, request.form)
    if request.form.get("header_row") and not isinstance(given.get("header_row"), int):
        raise Invalid("The row of the header is a number.")
    blank: dict[str, Any] = dict.fromkeys(("sheet", "encoding", "scope"), "")
    return {**blank, **{name: given[name] for name in OPTIONS if name in given}}


def _corrections(columns: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a person says of the columns: what he said before, and what he now says otherwise."""
    made = []
    for column in columns:
        chosen = request.form.get(f"column-{column['index']}", column["field"] or "")
        if chosen != (column["field"] or "") or column["why"] in ("given", "ignored"):
            made.append(f"#{column['index'] + 1}={chosen}")
    # A field taken from one column and given to another: who gets it speaks last.
    return sorted(made, key=lambda one: not one.endswith("="))


@door.guard(deeds.import_catalogue)
def apply(job_id: str) -> Any:
    """Apply, or propose, just what was checked; if the catalogue has changed since, nothing is done."""
    with door.the_desk().home.reading() as session:
        job, found = checked_job(session, job_id)
    reason = request.form.get("reason", "").strip()
    body = {**job.request["body"], "checked": found["checked"], "reason": reason}
    try:
        return _start(deeds.import_catalogue, body)
    except LedgerError as error:
        return _page(job_id, error), error.http_status


def _start(deed: Deed, body: Mapping[str, Any]) -> Any:
    key = request.form.get("idempotency") or uuid4().hex
    job = start(door.the_desk(), deed, door.who, {}, body, f"{key}-{deed.name}"[:128])
    return redirect(url_for("job_page", job_id=job.id))


@door.guard("job.read")
def problems_file(job_id: str) -> Response:
    """Everything that was found in a table, with its place, as CSV that a spreadsheet opens."""
    with door.the_desk().home.reading() as session:
        _, found = checked_job(session, job_id)
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow([tr("Sheet"), tr("Row"), tr("Column"), tr("What is there"), tr("What is wrong")])
    for one in map(_told, found["problems"]):
        cells = (one["sheet"], one["row"], one["column"], one["value"], one["reason"])
        rows.writerow([_inert(cell) for cell in cells])
    return Response(
        text.getvalue().encode("utf-8-sig"), mimetype="text/csv",
        headers={"Content-Disposition": "attachment; filename=problems.csv"},
    )  # fmt: skip


def _inert(cell: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


# ---------------------------------------------------------------- a change set


@door.guard(deeds.show_import)
def import_page(import_id: str) -> str:
    """A change set: who, when and why, what it changes, and what can be done with it."""
    desk, question, keys = door.the_desk(), deeds.show_import, {"import_id": import_id}
    first = request.args.get("start", "")
    start_at = int(first) if first.isdecimal() and len(first) < 8 else 0
    shown = desk.ask(question, door.who, keys, {"start": start_at})
    with desk.home.reading() as session:
        [row] = question.subjects(session, keys)
        undone_by = session.scalar(
            select(CatalogueImport.id).where(CatalogueImport.undoes == row.id)
        )
        persons = {who: person(session, who) for who in (row.imported_by, row.decided_by) if who}
        notices = [_told(one) for one in row.notices]
        return render_template(
            "catalogue.html", question=question, shown=shown, keys=keys, row=row, persons=persons,
            names=nouns.party_names(session), undone_by=undone_by, start=start_at,
            notices=notices[:PROBLEMS_SHOWN], notice_count=deeds.facts_of(row)["notices"],
            offers=nouns.offers(session, door.actor(), row, keys),
            list_address=url_for("catalogue_list"), list_title=deeds.list_imports.title,
        )  # fmt: skip


def person(session: Session, member_id: str) -> str:
    """How a member is called here; who is no member of the house is known by his id."""
    found = session.scalar(select(Account.display_name).where(Account.member_id == member_id))
    return str(found or member_id)
