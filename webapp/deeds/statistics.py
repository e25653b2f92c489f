"""The statistical report 统计报告, and the table of data capital, as JSON and as workbooks."""

from datetime import date
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from ledger import national_sheet, statistics, statistics_sheet
from ledger.parties import Actor
from valuation import national_table
from webapp.deeds import Desk, File, question
from webapp.deeds.figures import FigureAnswer
from webapp.deeds.forms import Body, day, document, text
from webapp.deeds.import_templates import NATIONAL, template
from webapp.tables import XLSX

BY = {"month": "Month", "quarter": "Quarter", "year": "Year"}
assert tuple(BY) == statistics.BY


class StatisticsQuery(Body):
    """The days of a report, and by what it is divided."""

    start = day("First day", required=False)
    start.data_key = "from"
    until = day("Last day", required=False)
    by = text("Divided by", required=False, choices=BY)


class StatisticsPeriod(Schema):
    """One column of a report; `whole`: a whole month, quarter or year."""

    label = fields.String(required=True)
    start = fields.String(required=True, data_key="from")
    until = fields.String(required=True)
    whole = fields.Boolean(required=True)


class StatisticsRow(Schema):
    """A row of a table; a value is null where it is withheld."""

    key = fields.String(required=True)
    zh = fields.String(required=True)
    en = fields.String(required=True)
    values = fields.List(fields.Integer(allow_none=True), required=True)
    total = fields.Integer(required=True, allow_none=True)


class StatisticsTable(Schema):
    """An indicator with its definition, and its rows."""

    code = fields.String(required=True)
    zh = fields.String(required=True)
    en = fields.String(required=True)
    unit = fields.String(required=True)
    rule = fields.String(required=True)
    by = fields.String(required=True)
    source = fields.String(required=True)
    defined_zh = fields.String(required=True)
    defined_en = fields.String(required=True)
    noun = fields.String(required=True)
    at_end = fields.Boolean(required=True)
    adds_up = fields.Boolean(required=True)
    rows = fields.List(fields.Nested(StatisticsRow), required=True)
    together = fields.Nested(StatisticsRow, required=True, allow_none=True)


class StatisticsCheck(Schema):
    """Two sides that must agree; null where they are amounts withheld."""

    code = fields.String(required=True)
    zh = fields.String(required=True)
    en = fields.String(required=True)
    unit = fields.String(required=True)
    left = fields.Integer(required=True, allow_none=True)
    right = fields.Integer(required=True, allow_none=True)
    holds = fields.Boolean(required=True)


class StatisticsAnswer(Schema):
    """A report; `full`: nothing of it is withheld."""

    start = fields.String(required=True, data_key="from")
    until = fields.String(required=True)
    by = fields.String(required=True)
    made_on = fields.String(required=True)
    full = fields.Boolean(required=True)
    periods = fields.List(fields.Nested(StatisticsPeriod), required=True)
    tables = fields.List(fields.Nested(StatisticsTable), required=True)
    checks = fields.List(fields.Nested(StatisticsCheck), required=True)


class NationalBody(Body):
    """A table of data capital."""

    document = document("Document", hint="rows, rates, basis")


@question("statistics.read", "/statistics", "Statistical report", query=StatisticsQuery,
          answer=StatisticsAnswer)  # fmt: skip
def read(
    desk: Desk, session: Session, actor: Actor, *, start: date | None = None,
    until: date | None = None, by: str = "month",
) -> dict[str, Any]:  # fmt: skip
    return statistics.report(session, actor, desk.now, start=start, until=until, by=by)


@question("statistics.read", "/statistics.xlsx", "Statistical report as a workbook",
          name="statistics.xlsx", query=StatisticsQuery, media_type=XLSX)  # fmt: skip
def xlsx(desk: Desk, session: Session, actor: Actor, **asked: Any) -> File:
    found = statistics.report(session, actor, desk.now, **asked)
    name = f"statistics-{found['from']}-{found['until']}.xlsx"
    return File(statistics_sheet.to_bytes(found), XLSX, name)


@question("figure.compute", "/figures/national", "Table of data capital", name="figure.national",
          query=NationalBody, answer=FigureAnswer, method="POST")  # fmt: skip
def national(
    _desk: Desk, _session: Session, _actor: Actor, *, document: dict[str, Any]
) -> dict[str, Any]:
    return national_table.run(document).to_dict()


national_template = template(national, NATIONAL)


@question("figure.compute", "/figures/national.xlsx", "Table of data capital as a workbook",
          name="figure.national_xlsx", query=NationalBody, method="POST", media_type=XLSX)  # fmt: skip
def national_xlsx(
    _desk: Desk, _session: Session, _actor: Actor, *, document: dict[str, Any]
) -> File:
    table = national_table.run(document)
    return File(national_sheet.to_bytes(table), XLSX, "national.xlsx")
