"""Pages of the books: the recognition test as a form, and a disclosure table from a template or a text.

GET  /recognition-test          the questions; POST answers, with what is still missing marked
GET  /disclosure                the form; POST a workbook or a text: the table, its faults, and files of it
GET  /disclosure/intangible.xlsx    the blank template

Nothing of what is handed in is kept.
"""

from io import BytesIO
from typing import Any

import yaml
from flask import Flask, render_template, request, send_file
from flask_limiter import Limiter

from ledger import disclosures
from ledger.errors import Invalid, LedgerError
from ledger.proof.encoding import canonical
from valuation import InputError, accounting, disclosure
from valuation.disclosure import Disclosure
from valuation.disclosure_tables import SEVERITIES, TABLES
from webapp import door
from webapp.documents import Unreadable, read_text
from webapp.intake import read_upload
from webapp.language import tr, translate
from webapp.pages.refused import in_words
from webapp.pages.value import sheet
from webapp.wording import spoken


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.jinja_env.globals |= {"spoken": spoken, "SEVERITIES": SEVERITIES}
    app.add_url_rule(
        "/recognition-test", "recognition_test", recognition_test, methods=["GET", "POST"]
    )
    app.add_url_rule("/disclosure", "disclosure", disclose, methods=["GET", "POST"])
    app.add_url_rule("/disclosure/<name>.xlsx", "disclosure_template", template)


@door.guard("figure.compute")
def recognition_test() -> Any:
    """The questions with what was answered, and where the resource belongs."""
    given = {name: text.strip() for name, text in request.form.items()}
    answers = {
        name: {
            "answer": given.get(f"{name}.answer", ""),
            "grounds": given.get(f"{name}.grounds", ""),
        }
        for name in accounting.QUESTIONS
        if given.get(f"{name}.answer") or given.get(f"{name}.grounds")
    }
    faults, made = dict[str, list[str]](), None
    if request.method == "POST":
        try:
            made = accounting.run(
                {"subject": given.get("subject", ""), "answers": answers}
            ).to_dict()
        except InputError as error:
            for path, what in error.problems:
                place = path.removeprefix("answers.").partition(".")[0]
                faults.setdefault(place, []).append(in_words(what))
    page = render_template(
        "recognition_test.html", given=given, faults=faults, made=made,
        questions=accounting.QUESTIONS, answers=accounting.ANSWERS,
    )  # fmt: skip
    return page, 400 if faults else 200


@door.guard("figure.compute")
def template(name: str) -> Any:
    """The blank workbook of a table."""
    return sheet(BytesIO(disclosures.template(name)), f"disclosure-{name}.xlsx")


@door.guard("figure.compute")
def disclose() -> Any:
    """The table of what is handed in, every fault with its place, or a file of it."""
    pasted, faults = request.form.get("document", ""), list[dict[str, str]]()
    made: Disclosure | None = None
    if request.method == "POST":
        try:
            made, pasted, faults = _handed_in(pasted)
        except LedgerError as error:
            faults = [{"place": "", "what": error.localized(translate)}]
        do = request.form.get("do", "check")
        if made is not None and do == "xlsx":
            return sheet(BytesIO(disclosures.to_bytes(made)), f"disclosure-{made.table.id}.xlsx")
        if made is not None and do == "json":
            return send_file(BytesIO(canonical(made.to_dict())), "application/json",
                             as_attachment=True, download_name="disclosure.json")  # fmt: skip
    told = made.to_dict() if made else None
    marked = (
        {(one["row"], one["column"]): one["severity"] for one in told["faults"]} if told else {}
    )
    page = render_template("disclosure.html", document=pasted, faults=faults, made=told, marked=marked,
                           tables=TABLES)  # fmt: skip
    return page, 400 if faults else 200


def _handed_in(pasted: str) -> tuple[Disclosure | None, str, list[dict[str, str]]]:
    """The disclosure of the file handed in, else of what was pasted; its text; and the faults."""
    upload, places = request.files.get("file"), dict[str, tuple[str, int, str]]()
    if upload is not None and upload.filename:
        name, data = read_upload(upload, kinds=("zip", "ole"))
        filled = disclosures.read(data, name)
        document: Any = filled.document
        places = filled.places
        pasted = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
        if filled.problems:
            return None, pasted, [
                {"place": _place(one.sheet or "", one.row, one.column or ""),
                 "what": spoken(one.reason_zh, one.reason_en)}
                for one in filled.problems
            ]  # fmt: skip
    else:
        try:
            document = read_text(pasted)
        except Unreadable as error:
            raise Invalid("What was pasted cannot be read at line {line}: {why}.", line=error.line,
                          why=error.why) from None  # fmt: skip
    try:
        return disclosure.run(document), pasted, []
    except InputError as error:
        return (
            None,
            pasted,
            [
                {"place": _place(*places[path]) if path in places else path, "what": in_words(what)}
                for path, what in error.problems
            ],
        )


def _place(sheet_name: str, row: int | None, column: str) -> str:
    """Where a cell stands, in words."""
    return ", ".join(
        part for part in (sheet_name, tr("row {n}", n=row) if row else "", column) if part
    )
