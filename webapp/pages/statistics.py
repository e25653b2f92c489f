"""The statistical report with its pictures, and the table of data capital from what is pasted or handed in.

GET  /statistics?from=2026-01-01&until=2026-06-30&by=quarter
GET  /national                                              the form
POST /national  do=compute    the table; do=xlsx, do=json hand it out as a file
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from io import BytesIO
from typing import Any

from flask import Flask, render_template, request, send_file, url_for
from flask_limiter import Limiter
from markupsafe import Markup

from ledger import national_sheet
from ledger.errors import Invalid, LedgerError
from ledger.parties import allowed
from ledger.proof.encoding import canonical
from ledger.statistics_definitions import INDICATORS
from valuation import InputError, national_table
from valuation.money import round_half_up
from valuation.national import COMPONENTS
from valuation.national_table import INDUSTRIES, Table
from webapp import door
from webapp.deeds.all import statistics as deeds
from webapp.deeds.forms import faults_by_place
from webapp.intake import read_upload
from webapp.language import language, tr, translate
from webapp.pages import charts
from webapp.pages.refused import in_words
from webapp.pages.value import sheet
from webapp.wording import spoken

STATED = ("basis", "delta", "life", "declining", "growth")
LABELS = {
    "basis": "Basis", "delta": "Rate of depreciation a year", "life": "Service life, instead (years)",
    "declining": "Declining-balance rate (default 2)", "growth": "Growth a year before (opening stock)",
}  # fmt: skip
EXAMPLE = (
    "行业,地区,年份,生产者类型,劳动者报酬,中间消耗,固定资本消耗,其他生产税净额,资本净回报\n"
    "I,440305,2024,市场,1200000.00,300000.00,80000.00,20000.00,60000.00\n"
    "I,440305,2025,市场,1500000.00,360000.00,90000.00,20000.00,70000.00\n"
)
FAULTS_SHOWN, CELLS_SHOWN = 100, 200
# What is drawn together, by the code of the first indicator.
PICTURES: dict[str, tuple[str, ...]] = {"R3": ("R3", "R5"), "V1": ("V1", "V3"), "M1": ("M1", "M4")}
TITLES = {"R3": "Registrations", "V1": "Vouchers", "M1": "Revenue received and distributed"}


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes, and the words the templates ask for."""
    app.jinja_env.globals |= {"STATISTICS_BY": deeds.BY, "NATIONAL_LABELS": LABELS}
    app.add_url_rule("/statistics", "statistics_read", report)
    app.add_url_rule("/national", "national", national, methods=["GET", "POST"])


# -- the report --------------------------------------------------------------------------------


@door.guard(deeds.read)
def report() -> Any:
    """The report over the days that were chosen."""
    asked = {
        name: text
        for name, text in request.args.items()
        if text and name in ("from", "until", "by")
    }
    found, errors = None, dict[str, list[str]]()
    try:
        found = door.the_desk().ask(deeds.read, door.who, {}, asked)
    except Invalid as error:
        errors = faults_by_place(error, translate) or {"": [error.localized(translate)]}
    page = render_template(
        "statistics.html", question=deeds.read, found=found, errors=errors,
        asked={**asked, **({} if found is None else {key: found[key] for key in ("from", "until", "by")})},
        definitions=INDICATORS.values(), pictures=[] if found is None else _pictures(found),
        lists={} if found is None else _lists(found), named=lambda one: spoken(one["zh"], one["en"]),
    )  # fmt: skip
    return page, 400 if errors else 200


def _lists(found: Mapping[str, Any]) -> dict[str, str]:
    """Where what was counted is listed, for whoever may read that list: noun → address."""
    nouns = {one["noun"] for one in found["tables"] if one["noun"]}
    return {
        noun: url_for(f"{noun}_list") for noun in nouns if allowed(door.actor(), f"{noun}.read")
    }


def _pictures(found: Mapping[str, Any]) -> list[Markup]:
    tables = {one["code"]: one for one in found["tables"]}
    labels = [one["label"] for one in found["periods"]]
    made = []
    for first, codes in PICTURES.items():
        series = []
        for code in codes:
            table = tables[code]
            row = table["together"] or table["rows"][0]
            series.append((spoken(table["zh"], table["en"]), row["values"]))
        in_fen = tables[first]["unit"] == "fen"
        tells = tr("{start} to {end}: {names}.", start=found["from"], end=found["until"],
                   names=", ".join(name for name, _ in series))  # fmt: skip
        made.append(
            charts.columns(tr(TITLES[first]), tells, labels, series, _say if in_fen else _count)
        )
    return made


def _say(fen: int) -> str:
    return charts.short_amount(fen, language())


def _count(number: int) -> str:
    return f"{number:,}"


# -- data capital ------------------------------------------------------------------------------


@door.guard("figure.compute")
def national() -> Any:
    """The form, and the table that follows from it; nothing of it is kept."""
    given = {name: request.form.get(name, "").strip() for name in STATED}
    pasted = request.form.get("rows", "")
    made: Table | None = None
    faults: list[dict[str, Any]] = []
    if request.method == "POST":
        try:
            made, faults = _computed(given, pasted)
        except LedgerError as error:
            faults = [{"place": "", "what": error.localized(translate)}]
        do = request.form.get("do", "compute")
        if made is not None and do == "xlsx":
            return sheet(BytesIO(national_sheet.to_bytes(made)), "national.xlsx")
        if made is not None and do == "json":
            return send_file(BytesIO(canonical(made.to_dict())), "application/json",
                             as_attachment=True, download_name="national.json")  # fmt: skip
    page = render_template(
        "national.html", given=given, rows=pasted if request.method == "POST" else EXAMPLE,
        faults=faults[:FAULTS_SHOWN], fault_count=len(faults), made=made and _shown(made),
    )  # fmt: skip
    return page, 400 if faults else 200


def _computed(given: Mapping[str, str], pasted: str) -> tuple[Table | None, list[dict[str, Any]]]:
    """The table of the file handed in, else of what was pasted; or every fault at its place."""
    upload = request.files.get("file")
    if upload is not None and upload.filename:
        name, data = read_upload(upload, kinds=("zip", "ole", "text"))
    elif pasted.strip():
        name, data = tr("what was pasted"), pasted.encode()
    else:
        raise Invalid("Paste rows, or choose a file.")
    rows, faults = national_sheet.read(data, name)
    stated = {key: text for key, text in given.items() if text}
    made = None
    try:
        made = national_table.run({**stated, "rows": rows.rows, "version": "1"})
    except InputError as error:
        faults = [*faults, *(one for one in error.problems if one[0] not in dict(faults))]
    return None if faults else made, [
        {"place": _place(rows, path), "what": in_words(what)} for path, what in faults
    ]


def _place(rows: national_sheet.Rows, path: str) -> str:
    """Where a fault stands, in words."""
    where, row, column = rows.place(path)
    if row is None:
        return tr(LABELS[path]) if path in LABELS else column
    return ", ".join(part for part in (where, tr("row {n}", n=row), column) if part)


def _shown(made: Table) -> dict[str, Any]:
    """A table for the eye, with its pictures."""
    years = [str(one["year"]) for one in made.by_year]
    named: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "industry": lambda one: f"{one['industry']} {spoken(*INDUSTRIES[one['industry']])}",
        "region": lambda one: spoken(*national_table.region_name(one["region"])),
    }
    series = [
        (tr("Formation"), [one["formation_fen"] for one in made.by_year]),
        (tr("Stock"), [one["stock_fen"] for one in made.by_year]),
    ]
    last = years[-1]
    parts: Sequence[tuple[str, int]] = [
        (named["industry"](one), one["formation_fen"])
        for one in made.by_industry if str(one["year"]) == last
    ]  # fmt: skip
    ranked = sorted(parts, key=lambda one: -one[1])[:12]
    return {
        "cells": [{**one, "name": f"{named['industry'](one)} · {named['region'](one)}"}
                  for one in made.cells[:CELLS_SHOWN]],
        "cell_count": len(made.cells), "components": [spoken(zh, en) for *_, zh, en in COMPONENTS],
        "keys": [key for key, *_ in COMPONENTS],
        "notes": [spoken(note.zh, note.en) for note in made.notes],
        "pictures": [
            charts.columns(tr("Formation and stock"), tr("Years {start} to {end}.", start=years[0],
                                                         end=last), years, series, _say),
            charts.amounts(tr("Formation by industry, {year}", year=last), tr("The largest ones."),
                           [(name, fen, "") for name, fen in ranked], _say),
        ],
        "totals": [
            (title, [{**one, "name": name(one), **{f"{key}_growth": _percent(one[f"{key}_growth"])
                                                   for key in ("formation", "stock")}}
                     for one in rows])
            for title, rows, name in (
                (tr("By year"), made.by_year, lambda _one: ""),
                (tr("By industry"), made.by_industry, named["industry"]),
                (tr("By region"), made.by_region, named["region"]),
            )
        ],
    }  # fmt: skip


def _percent(share: str | None) -> str:
    """A growth in percent with two decimals, half up."""
    if share is None:
        return "–"
    hundredths = round_half_up(Fraction(share) * 10_000)
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d} %"
