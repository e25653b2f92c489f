"""Duties to bring the catalogue up to date, and what is overdue of the catalogue, by department."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from ledger import catalogue, catalogue_imports, duties, overdue, parties
from ledger.calendar import days_overdue, local_date
from ledger.catalogue import Resource, audiences
from ledger.catalogue_values import CYCLES
from ledger.duties import Duty
from ledger.parties import Actor, Party
from webapp.deeds import Desk, File, deed, question
from webapp.deeds.answers import history_of, lists, shown_schema
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import Body, text
from webapp.deeds.forms import day as day_field
from webapp.language import language, tr
from webapp.tables import CSV, XLSX, csv_bytes, xlsx_bytes

ONE = "/duties/<duty_number>"
CAUSES = {
    "new_system": "New or changed system", "changed_data": "Changed items or source",
    "changed_function": "Changed function", "law": "Law, rule or policy", "error": "Error found",
    "feedback": "Objection or feedback upheld", "merger": "Merger, split or new name of a body",
    "ended": "Business ended",
}  # fmt: skip
assert set(CAUSES) == set(duties.CAUSES)
DEPARTMENT_SHOWN = 100
LISTED_MAX = 2_000  # beyond it only the counts are told, and each department by itself
LINES_MAX = 500_000  # of duties and of resources each; a sheet has 1,048,576 rows
WIDTHS = (28, 12, 24, 48, 14, 14, 14, 14)


class ReportBody(Body):
    """Why a department's catalogue has to change."""

    department = text("Responsible department", most=18, required=False, blank=True, source="parties",
                      hint="its social credit code; empty: your own")  # fmt: skip
    cause = text("Cause", choices=CAUSES)
    cause_on = day_field("Day of the cause", hint="the change is due ten working days after it")
    description = text("What has to change", area=True)
    resource = text("Resource", most=64, required=False, blank=True,
                    hint="its catalogue code, if it is about one")  # fmt: skip


class SettleBody(Body):
    """By which change a duty is settled, or why by none; one of the three."""

    resource = text("Changed resource", most=64, required=False, blank=True,
                    hint="its catalogue code")  # fmt: skip
    change_set = text("Change set", most=36, required=False, blank=True,
                      hint="the id of an import that was applied")  # fmt: skip
    not_needed = text("Why no change is needed", area=True, required=False, blank=True)


@deed("duty.report", "/duties", "Report a cause to change the catalogue",
      "Duty {number} is reported; the change is due by {due}.", body=ReportBody)  # fmt: skip
def report(
    desk: Desk, session: Session, actor: Actor, *, cause: str, cause_on: date, description: str,
    department: str = "", resource: str = "",
) -> dict[str, Any]:  # fmt: skip
    """For the department named, else the resource's for who is none, else one's own."""
    found = catalogue.find(session, actor, resource.strip()) if resource.strip() else None
    party = session.get_one(Party, actor.party_id)
    if department.strip():
        party = parties.party_by_uscc(session, department)
    elif found is not None and found.provider_id and "provider" not in actor.roles:
        party = session.get_one(Party, found.provider_id)
    made = duties.report(session, actor, desk.now, party=party, cause=cause, cause_on=cause_on,
                         description=description, resource=found)  # fmt: skip
    return _facts(made)


def _facts(found: Duty) -> dict[str, Any]:
    return {"due": found.due["on"], "number": found.number, "state": found.state}


@deed("duty.settle", f"{ONE}/settle", "Settle", "Duty {number} is settled; the registrar confirms it.",
      body=SettleBody, changes=True)  # fmt: skip
def settle(
    desk: Desk, session: Session, actor: Actor, found: Duty, resource: str = "", change_set: str = "",
    not_needed: str = "",
) -> dict[str, Any]:  # fmt: skip
    """By a resource that exists for the actor, a change set, or words."""
    row = catalogue.find(session, actor, resource.strip()) if resource.strip() else None
    made = (
        catalogue_imports.import_by_id(session, change_set.strip()) if change_set.strip() else None
    )
    duties.settle(session, actor, desk.now, found, resource=row, change_set=made,
                  not_needed=not_needed)  # fmt: skip
    return _facts(found)


@deed("duty.confirm", f"{ONE}/confirm", "Confirm", "Duty {number} is confirmed.", changes=True)
def confirm(desk: Desk, session: Session, actor: Actor, found: Duty) -> dict[str, Any]:
    duties.confirm(session, actor, desk.now, found)
    return _facts(found)


@deed("duty.reopen", f"{ONE}/reopen", "Reopen", "Duty {number} is open again, due by {due}.",
      body=ReasonBody, changes=True)  # fmt: skip
def reopen(desk: Desk, session: Session, actor: Actor, found: Duty, reason: str) -> dict[str, Any]:
    duties.reopen(session, actor, desk.now, found, reason)
    return _facts(found)


list_duties = lists("duty", "/duties", "Duties to change the catalogue",
                    "number cause description party_id cause_on due state",
                    (Duty.number, Duty.description))  # fmt: skip
DutyShown: type[Schema] = type(
    "DutyShownAnswer", (shown_schema(Duty),),
    {
        "days_late": fields.Integer(required=True),
        "resource_code": fields.String(required=True, allow_none=True),
    },
)  # fmt: skip


@question("duty.read", ONE, "Duty to change the catalogue", answer=DutyShown)
def show(desk: Desk, session: Session, actor: Actor, found: Duty) -> dict[str, Any]:
    """As recorded, with its resource's code while that exists for the reader."""
    row = session.get(Resource, found.resource_id) if found.resource_id else None
    late = days_overdue(found.due, local_date(desk.now)) if found.state == "open" else 0
    return {
        **found.body(), "days_late": late, "history": history_of(session, found.id),
        "resource_code": row.code if row and audiences(session, actor).sees(row) else None,
    }  # fmt: skip


# -- what is overdue --------------------------------------------------------------------------------


class OverdueItem(Schema):
    """One thing that is overdue."""

    noun = fields.String(required=True)
    number = fields.String(required=True)
    title = fields.String(required=True)
    department = fields.String(required=True)
    due_on = fields.String(required=True)
    days_late = fields.Integer(required=True)
    updated_on = fields.String(required=True, allow_none=True)
    cycle = fields.String(required=True, allow_none=True)
    provisional = fields.Boolean(required=True)


class OverdueDepartment(Schema):
    """A department, how much of its is overdue, and the longest overdue of it."""

    name = fields.String(required=True)
    duties = fields.Integer(required=True)
    resources = fields.Integer(required=True)
    items = fields.List(fields.Nested(OverdueItem), required=True)


class OverdueAnswer(Schema):
    """All departments with something overdue, as of a day; items only of the one that is asked for."""

    day = fields.String(required=True)
    items = fields.List(fields.Nested(OverdueDepartment), required=True)


class OverdueQuery(Body):
    """Of which department the items are wanted; without one, some of each."""

    department = text("Department", most=200, required=False, blank=True)


@question("duty.read", "/overdue", "Overdue in the catalogue", name="duty.overdue", answer=OverdueAnswer,
          query=OverdueQuery)  # fmt: skip
def show_overdue(
    desk: Desk, session: Session, actor: Actor, department: str = ""
) -> dict[str, Any]:
    """Every department with its counts, and the first of what is overdue of it, if it is not too much."""
    today = local_date(desk.now)
    found = overdue.departments(session, actor, today)
    if department:
        found = [one for one in found if one.name == department]
    first: dict[str, list[dict[str, Any]]] = {}
    if department or sum(one.duties + one.resources for one in found) <= LISTED_MAX:
        each = DEPARTMENT_SHOWN if department else max(5, DEPARTMENT_SHOWN // max(1, len(found)))
        named, most = department or None, DEPARTMENT_SHOWN if department else LISTED_MAX
        for item in overdue.items(session, actor, today, department=named, limit=most):
            kept = first.setdefault(item.department, [])
            if len(kept) < each:
                kept.append(_told(item))
    return {
        "day": today.isoformat(),
        "items": [
            {"duties": one.duties, "items": first.get(one.name, []), "name": one.name,
             "resources": one.resources}
            for one in found
        ],
    }  # fmt: skip


def _told(item: overdue.Item) -> dict[str, Any]:
    return {
        "cycle": item.cycle, "days_late": item.days_late, "department": item.department,
        "due_on": item.due_on, "noun": item.noun, "number": item.number,
        "provisional": item.provisional, "title": item.title, "updated_on": item.updated_on,
    }  # fmt: skip


def _lines(desk: Desk, session: Session, actor: Actor, department: str) -> Iterator[list[Any]]:
    """What is overdue as a table, at most `LINES_MAX` of duties and of resources."""
    yield [tr("Responsible department"), tr("Kind"), tr("Number"), tr("Title"), tr("Update cycle"),
           tr("Updated on"), tr("Due"), tr("Working days late")]  # fmt: skip
    for item in overdue.items(session, actor, local_date(desk.now), department=department or None,
                              limit=LINES_MAX):  # fmt: skip
        yield [item.department, tr(item.noun), item.number, item.title, cycle_word(item.cycle),
               item.updated_on or "", item.due_on, item.days_late]  # fmt: skip


def cycle_word(cycle: str | None) -> str:
    """An update cycle in the reader's language."""
    known = CYCLES.get(cycle or "")
    return (known.zh if language() == "zh" else known.en) if known else cycle or ""


@question("duty.read", "/overdue.csv", "Overdue in the catalogue (CSV)", name="duty.overdue_csv",
          query=OverdueQuery, media_type="text/csv")  # fmt: skip
def overdue_csv(desk: Desk, session: Session, actor: Actor, department: str = "") -> File:
    return File(csv_bytes(_lines(desk, session, actor, department)), CSV, "overdue.csv")


@question("duty.read", "/overdue.xlsx", "Overdue in the catalogue (XLSX)", name="duty.overdue_xlsx",
          query=OverdueQuery, media_type=XLSX)  # fmt: skip
def overdue_xlsx(desk: Desk, session: Session, actor: Actor, department: str = "") -> File:
    lines = _lines(desk, session, actor, department)
    return File(xlsx_bytes(tr("Overdue in the catalogue"), WIDTHS, lines), XLSX, "overdue.xlsx")
