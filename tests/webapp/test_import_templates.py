"""Import templates: filled in, they are read as the CSV with the same rows is; blank ones are refused."""

import csv
import io
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from click.testing import CliRunner

from ledger import (
    bank_files,
    confirmation_checks,
    national_sheet,
    row_faults,
    trade_reports,
    trade_rules,
    usage_rules,
)
from ledger.errors import Invalid
from ledger.import_templates import GUIDES
from ledger.tables.events import EventFile, read_events, read_rows
from ledger.tabular import read_table
from webapp.cli import main
from webapp.deeds.import_templates import RESULT, TABLES
from webapp.language import language, speak

calc = pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice is not installed")
LONG = "00202610090000000012345678"  # what a number would lose at both ends
DAY, NOW = date(2026, 10, 9), datetime(2026, 11, 1, tzinfo=UTC)
Row = dict[str, Any]
# Rows as a person fills them in, by column; a word by its place among those to choose from.
ROWS: dict[str, list[Row]] = {
    "result": [
        {"serial": "ZF2026-000001-00001", "amount": Decimal("169284.91"), "result": 0, "day": DAY,
         "reference": LONG},
        {"serial": "ZF2026-000001-00002", "amount": Decimal("0.10"), "result": 1, "reason": "=1+1"},
        {"serial": "ZF2026-000001-00003", "amount": 7, "result": 2, "day": DAY, "reference": "T-1",
         "reason": "销户"},
    ],
    "statement": [
        {"day": DAY, "reference": LONG, "in": Decimal("380000.00"), "counterparty": "甲公司",
         "balance": Decimal("380000.00")},
        {"day": DAY, "reference": "B-2", "out": Decimal("12.34"), "memo": "手续费",
         "balance": Decimal("379987.66")},
    ],
    "report": [
        {"trade": LONG, "amount": Decimal("1060.50"), "day": DAY},
        {"trade": "T-2", "amount": 10_000_000, "day": DAY},
    ],
    "trades": [
        {"trade": LONG, "voucher": "PZ202609-000001-5", "buyer": "91000000DEM000003F", "on": DAY,
         "amount_yuan": Decimal("1060.00"), "unit": 2, "quantity": 12},
        {"trade": "T-2", "voucher": "PZ202609-000001-5", "buyer": "91000000DEM000003F", "on": DAY,
         "amount_yuan": Decimal("0.10")},
    ],
    "usage": [
        {"at": "2026-10-09 00:00:00", "event": f"{LONG}{n}", "kind": n, "licence": "0012", "quantity": 1,
         "unit": "次", "digest": f"sha256:{'ab' * 32}"}
        for n in range(3)
    ],
    "national": [
        {"industry": 8, "region": "440305", "year": 2025, "producer": n,
         **dict.fromkeys(national_sheet.AMOUNTS, Decimal("1200.50")), "use_years": "3",
         "spending_fen": Decimal("1.10")}
        for n in range(2)
    ],
}  # fmt: skip


@pytest.fixture(params=["zh", "en"])
def spoken(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each of the languages."""
    speak(request.param)
    yield request.param
    speak(None)


def filled(kind: str, template: bytes, rows: list[Row]) -> bytes:
    """The template as a person saves it after filling its first sheet in, and nothing else."""
    book = openpyxl.load_workbook(io.BytesIO(template))
    page = book.worksheets[0]
    for n, row in enumerate(rows, start=2):
        for at, one in enumerate(TABLES[kind].headings(), start=1):
            if one.column in row:
                value = row[one.column]
                page.cell(n, at).value = one.words[value] if one.words else value
                if isinstance(page.cell(n, at).value, str):
                    page.cell(n, at).data_type = "s"
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def as_csv(kind: str, rows: list[Row]) -> bytes:
    """The same rows as a program writes them, in Chinese."""
    table, target = TABLES[kind], io.StringIO()
    made = csv.writer(target)
    columns = [name for name in table.told if any(name in row for row in rows)]
    made.writerow([table.titles[name][0] for name in columns])
    for row in rows:
        words = {name: told.words for name, told in table.told.items() if told.words}
        made.writerow([
            words[name][row[name]][0] if name in words and name in row else row.get(name, "")
            for name in columns
        ])  # fmt: skip
    return target.getvalue().encode("utf-8-sig")


def read(kind: str, data: bytes, folder: Path) -> Any:
    """What the reader of that kind of table makes of a file."""
    path = folder / "handed-in"
    path.write_bytes(data)
    match kind:
        case "result":
            return bank_files.read_results(data, "file")
        case "statement":
            return bank_files.read_statement(data, "file")
        case "report":
            return trade_reports.read_report(data, "file").to_dicts()
        case "trades":
            given = read_rows(path, "file", trade_rules.COLUMNS)
            facts = dict.fromkeys(("agreement", "exchange", "log_origin", "number"), "-")
            header = confirmation_checks.header_of(given, "file", **facts)
            return [header] * header["row_count"]  # it is bound to the rows by their digest
        case "usage":
            return events(read_events(path, "file"))
        case _:
            found, faults = national_sheet.read(data, "file")
            assert not faults
            return found.rows


def events(given: EventFile) -> list[Mapping[str, Any]]:
    """The rows as they are judged, under licences that are there."""
    rows = usage_rules.prepared(given.rows)
    terms = dict.fromkeys(rows["licence"].drop_nulls().to_list(), (0, 2**40, 2**40))
    judged = usage_rules.with_terms(rows, terms)
    lacking = set(given.faults.filter(pl.col("code") == "no_column")["column"])
    faults = pl.concat([given.faults, *usage_rules.faults_of(judged, NOW, lacking)])
    if faults.height:
        row_faults.refuse(faults, "file", usage_rules.REASONS)
    return rows.to_dicts()


@pytest.mark.parametrize("kind", TABLES)
def test_a_template_filled_in_is_read_as_the_csv_with_the_same_rows(
    kind: str, spoken: str, tmp_path: Path
) -> None:
    assert language() == spoken
    given = filled(kind, TABLES[kind].workbook(), ROWS[kind])
    told = read(kind, given, tmp_path)
    assert len(told) == len(ROWS[kind])
    assert told == read(kind, as_csv(kind, ROWS[kind]), tmp_path)


@pytest.mark.slow
@calc
def test_templates_saved_anew_by_libreoffice_are_read_just_so(spoken: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for kind, table in TABLES.items():
        blank = table.workbook()
        (tmp_path / "in" / f"{kind}.xlsx").write_bytes(filled(kind, blank, ROWS[kind]))
        (tmp_path / "in" / f"{kind}-blank.xlsx").write_bytes(blank)
    command = [
        "soffice", "--headless", f"-env:UserInstallation=file://{tmp_path}/profile", "--convert-to",
        "xlsx:Calc MS Excel 2007 XML", "--outdir", str(tmp_path / "out"),
        *map(str, sorted((tmp_path / "in").iterdir())),
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=550, capture_output=True)
    for kind in TABLES:
        saved = (tmp_path / "out" / f"{kind}.xlsx").read_bytes()
        assert read(kind, saved, tmp_path) == read(kind, as_csv(kind, ROWS[kind]), tmp_path), kind
        with pytest.raises(Invalid, match="nothing is filled in"):
            read(kind, (tmp_path / "out" / f"{kind}-blank.xlsx").read_bytes(), tmp_path)


@pytest.mark.parametrize("kind", TABLES)
def test_a_blank_template_is_refused_and_says_what_to_do(
    kind: str, spoken: str, tmp_path: Path
) -> None:
    with pytest.raises(Invalid, match="nothing is filled in: enter at least one row"):
        read(kind, TABLES[kind].workbook(), tmp_path)


@pytest.mark.parametrize("kind", TABLES)
def test_a_template_has_every_column_of_its_reader_and_says_what_belongs_there(
    kind: str, spoken: str
) -> None:
    table = TABLES[kind]
    readers = {
        "result": {name for some in bank_files.RESULT for name in some},
        "statement": {name for some in bank_files.STATEMENT for name in some},
        "report": {name for some in bank_files.REPORT for name in some},
    }.get(kind, set(table.titles) - {"v"})
    assert set(table.told) == readers
    data = table.workbook()
    assert data == table.workbook(), "the same bytes each time"
    found = read_table(data, kind)
    assert found.sheets[1] == GUIDES[spoken]
    headings = table.headings()
    assert found.header == tuple(one.title for one in headings)
    assert all(one.title.isascii() == (spoken == "en") for one in headings)
    book = openpyxl.load_workbook(io.BytesIO(data))
    page, guide = book.worksheets
    chosen = {str(one.sqref): one.formula1 for one in page.data_validations.dataValidation}
    for at, one in enumerate(headings, start=1):
        letter = openpyxl.utils.get_column_letter(at)
        form = {"text": "@", "yuan": "0.00", "day": "yyyy-mm-dd", "count": "0"}[one.kind]
        assert page.column_dimensions[letter].number_format == form
        assert chosen.pop(f"{letter}2:{letter}1048576", None) == (
            f'"{",".join(one.words)}"' if one.words else None
        )
        told = [cell.value or "" for cell in guide[at + 1]]
        assert told[:4] == [one.title, one.need, one.holds, one.example]
        assert one.example
        assert one.holds
    assert not chosen


@pytest.mark.parametrize("kind", TABLES)
def test_the_examples_are_such_as_the_reader_takes_and_are_no_data(
    kind: str, spoken: str, tmp_path: Path
) -> None:
    headings = [
        one for one in TABLES[kind].headings() if (kind, one.column) != ("statement", "out")
    ]
    lines = [[one.title for one in headings], [one.example for one in headings]]
    if kind == "statement":  # a movement goes in or out
        lines[0].append("out"), lines[1].append("")
    target = io.StringIO()
    csv.writer(target).writerows(lines)
    assert len(read(kind, target.getvalue().encode(), tmp_path)) == 1
    book = openpyxl.load_workbook(io.BytesIO(TABLES[kind].workbook()))
    book.move_sheet(book.worksheets[1], -1)
    saved = io.BytesIO()
    book.save(saved)
    with pytest.raises(Invalid):
        read(kind, saved.getvalue(), tmp_path)


@pytest.mark.parametrize(
    ("kind", "column"),
    [("result", "reference"), ("statement", "reference"), ("report", "trade"), ("trades", "trade"),
     ("usage", "event")],
)  # fmt: skip
def test_a_number_whose_digits_are_gone_is_refused(
    kind: str, column: str, spoken: str, tmp_path: Path
) -> None:
    """A reference pasted as a number: the spreadsheet keeps fifteen digits of it."""
    rows = [dict(row) for row in ROWS[kind]]
    rows[0][column] = 202610090000012345678
    with pytest.raises(Invalid) as refused:
        read(kind, filled(kind, TABLES[kind].workbook(), rows), tmp_path)
    problems = refused.value.facts.get("problems") or [{}]
    told = f"{refused.value.sentence} {problems[0].get('reason_en')}"
    assert "whose last ones the spreadsheet has lost" in told
    assert "row 2" in told or problems[0]["row"] == 2


def test_what_is_filled_in_already_begins_no_formula_and_is_told_from_an_answer(
    spoken: str, tmp_path: Path
) -> None:
    rows = [
        {"serial": f"ZF2026-000001-0000{n}", "payee": name, "amount": 100 * n}
        for n, name in enumerate(
            ('=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "甲公司"), start=1
        )
    ]
    data = RESULT.workbook(rows)
    page = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
    cells = [[cell for cell in row if cell.value is not None] for row in page.iter_rows(min_row=2)]
    assert {cell.data_type for row in cells for cell in row} == {"n", "s"}
    assert [str(row[1].value)[:2] for row in cells] == ["'=", "'+", "'-", "'@", "甲公"]
    with pytest.raises(Invalid, match="says of no payment what became of it"):
        read("result", data, tmp_path)


def test_the_command_line_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "对账单.xlsx"

    def run(*words: str, **setting: str) -> Any:
        return CliRunner(env=setting).invoke(main, ["template", *words])

    assert run("statement", "-o", str(path)).exit_code == 0
    assert read_table(path).header[:2] == ("交易日期", "银行流水号")
    assert run("statement", "-o", str(path), SHUZHENG_LANG="en").exit_code == 0
    assert read_table(path).header[:2] == ("day", "reference")
    refused = run("usage", "-o", str(tmp_path / "x.csv"), SHUZHENG_LANG="en")
    assert refused.exit_code == 1
    assert "must end in .xlsx" in refused.output
    assert not (tmp_path / "x.csv").exists()
