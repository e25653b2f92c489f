"""The responsibility list 责任清单 as a question, and as a table to take along."""

import csv
from io import BytesIO, StringIO
from typing import Any

import xlsxwriter
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from ledger.calendar import local_date
from ledger.catalogue_values import CYCLES
from ledger.parties import Actor
from ledger.responsibilities import Responsibility, responsibilities
from webapp.deeds import Desk, File, question
from webapp.language import language, tr

CSV, XLSX = (
    "text/csv; charset=utf-8",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so would be reckoned with
WIDTHS = (30, 22, 14, 18, 48, 14, 14, 12, 12)


class OwedAnswer(Schema):
    """One thing that a department owes."""

    noun = fields.String(required=True)
    number = fields.String(required=True)
    title = fields.String(required=True)
    state = fields.String(required=True)
    due_on = fields.String(required=True)
    days_late = fields.Integer(required=True)


class ResponsibilityAnswer(Schema):
    """What one department answers for."""

    name = fields.String(required=True)
    uscc = fields.String(required=True)
    resource_count = fields.Integer(required=True)
    cycles = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    owed = fields.List(fields.Nested(OwedAnswer), required=True)
    late_count = fields.Integer(required=True)


class ResponsibilitiesAnswer(Schema):
    """Every department that answers for something, the latest first."""

    day = fields.String(required=True)
    items = fields.List(fields.Nested(ResponsibilityAnswer), required=True)


@question("responsibility.read", "/responsibilities", "Responsibility list",
          answer=ResponsibilitiesAnswer)  # fmt: skip
def show(desk: Desk, session: Session, actor: Actor) -> dict[str, Any]:
    found = _found(desk, session, actor)
    return {"day": local_date(desk.now).isoformat(), "items": [_told(one) for one in found]}


def _found(desk: Desk, session: Session, actor: Actor) -> list[Responsibility]:
    return responsibilities(session, actor, local_date(desk.now))


def _told(one: Responsibility) -> dict[str, Any]:
    return {
        "cycles": one.cycles, "late_count": len(one.late), "name": one.name,
        "owed": [vars(owed) for owed in one.owed], "resource_count": one.resource_count,
        "uscc": one.uscc,
    }  # fmt: skip


def cycle(freq: str | None) -> str:
    """An update cycle in words."""
    known = CYCLES.get(freq or "")
    if known is None:
        return tr("not said")
    return known.zh if language() == "zh" else known.en


def lines(found: list[Responsibility]) -> list[list[Any]]:
    """The list as a table: a line for each cycle a department's resources have, and for what it owes."""
    made: list[list[Any]] = [[
        tr("Responsible department"), tr("Social credit code"), tr("Kind"), tr("Number"), tr("Title"),
        tr("Update cycle"), tr("State"), tr("Due"), tr("Working days late"),
    ]]  # fmt: skip
    for one in found:
        for freq, count in one.cycles.items():
            made.append([one.name, one.uscc, tr("resource"), count, "", cycle(freq), "", "", ""])
        for owed in one.owed:
            made.append([one.name, one.uscc, tr(owed.noun), owed.number, owed.title, "", tr(owed.state),
                         owed.due_on, owed.days_late or ""])  # fmt: skip
    return made


@question("responsibility.read", "/responsibilities/list.csv", "Responsibility list (CSV)",
          name="responsibility.csv", media_type="text/csv")  # fmt: skip
def as_csv(desk: Desk, session: Session, actor: Actor) -> File:
    written = StringIO()
    made = csv.writer(written)
    for line in lines(_found(desk, session, actor)):
        made.writerow([f"'{cell}" if str(cell).startswith(FORMULA) else cell for cell in line])
    return File(written.getvalue().encode("utf-8-sig"), CSV, "responsibilities.csv")


@question("responsibility.read", "/responsibilities/list.xlsx", "Responsibility list (XLSX)",
          name="responsibility.xlsx", media_type=XLSX)  # fmt: skip
def as_xlsx(desk: Desk, session: Session, actor: Actor) -> File:
    """The list as a workbook; a text never becomes a formula."""
    written = BytesIO()
    with xlsxwriter.Workbook(written, {"in_memory": True, "strings_to_formulas": False}) as book:
        sheet, bold = book.add_worksheet(tr("Responsibility list")), book.add_format({"bold": True})
        for at, line in enumerate(lines(_found(desk, session, actor))):
            for column, cell in enumerate(line):
                sheet.write(at, column, cell, bold if at == 0 else None)
        for column, width in enumerate(WIDTHS):
            sheet.set_column(column, column, width)
        sheet.freeze_panes(1, 0)
    return File(written.getvalue(), XLSX, "responsibilities.xlsx")
