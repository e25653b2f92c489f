"""`shuzheng value`: each way to hand out a figure, and that what it wrote gives the same again."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pypdf
import pytest
from click.testing import CliRunner

from tests.conftest import Town
from tests.ledger.test_reports import ANALYSIS, ASKED, DOCUMENT
from webapp.cli import main
from webapp.cli import run as running


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUZHENG_LANG", "en")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "income.json").write_text(json.dumps(DOCUMENT["documents"]["income"]))
    (tmp_path / "asked.json").write_text(json.dumps(ASKED))
    return tmp_path


def value(*arguments: Any, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["value", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_a_figure_is_written_as_json_spreadsheet_and_pdf(folder: Path) -> None:
    for ending in ("json", "xlsx", "pdf"):
        said = value("income", folder / "income.json", "-o", folder / f"out.{ending}")
        assert said.endswith("→ 1701043.38\n")
    written = (folder / "out.json").read_bytes()
    assert json.loads(written)["value"] == "170104338"
    assert zipfile.is_zipfile(folder / "out.xlsx")
    document = pypdf.PdfReader(folder / "out.pdf")
    assert [one.content for one in document.attachment_list] == [written]


def test_another_ending_is_refused_and_nothing_written(folder: Path) -> None:
    for name in ("out.txt", "out", "out.PDF.zip"):
        said = value("income", folder / "income.json", "-o", folder / name, code=1)
        assert said == "refused: Write to a file that ends in .json, .xlsx or .pdf.\n"
        assert not (folder / name).exists()


@pytest.mark.parametrize("ending", ["json", "xlsx", "pdf"])
def test_a_place_that_cannot_be_written_is_named(folder: Path, ending: str) -> None:
    out = folder / "missing" / f"out.{ending}"
    said = value("income", folder / "income.json", "-o", out, code=1)
    assert said.startswith("refused: ")
    assert str(out.parent) in said


def test_an_analysis_is_printed_and_travels_in_every_form(folder: Path) -> None:
    asked = ("income", folder / "income.json", "--analysis", folder / "asked.json")
    for ending in ("json", "xlsx", "pdf"):
        said = value(*asked, "-o", folder / f"out.{ending}")
    assert ANALYSIS.breakeven is not None
    assert f"= {ANALYSIS.breakeven.found} →" in said
    assert "2000, 7, numpy" in said
    assert json.loads(value(*asked, "--json")) == ANALYSIS.to_dict()
    assert json.loads((folder / "out.json").read_bytes()) == ANALYSIS.to_dict()
    book = openpyxl.load_workbook(folder / "out.xlsx")
    assert book.sheetnames[1:] == ["区间 Range", "敏感性 Sensitivity", "盈亏平衡 Breakeven"]
    files = [one.name for one in pypdf.PdfReader(folder / "out.pdf").attachment_list]
    assert sorted(files) == ["analysis-income.json", "figure.json"]


def test_what_a_pdf_holds_gives_the_same_again(folder: Path) -> None:
    """As the report says under 如何复算."""
    asked = ("--analysis", folder / "asked.json")
    value("income", folder / "income.json", *asked, "-o", folder / "out.pdf")
    for one in pypdf.PdfReader(io.BytesIO((folder / "out.pdf").read_bytes())).attachment_list:
        (folder / one.name).write_bytes(one.content)
    figure, analysis, again = (
        folder / name for name in ("figure.json", "analysis-income.json", "again.json")
    )
    value("income", figure, "-o", again)
    assert again.read_bytes() == figure.read_bytes()
    value("income", analysis, "--analysis", analysis, "-o", again)
    assert again.read_bytes() == analysis.read_bytes()


def test_a_figure_is_computed_from_its_inputs_and_never_believed(folder: Path) -> None:
    value("income", folder / "income.json", "-o", folder / "figure.json")
    written = json.loads((folder / "figure.json").read_bytes())
    (folder / "false.json").write_text(json.dumps({**written, "steps": [], "value": "1"}))
    assert value("income", folder / "false.json").endswith("→ 1701043.38\n")
    (folder / "bare.json").write_text(json.dumps({**written, "document": None}))
    said = value("income", folder / "bare.json", code=1)
    assert said.endswith("bare.json holds a figure without its inputs.\n")
    (folder / "odd.json").write_text(json.dumps({"steps": 5}))
    assert "without its inputs" in value("income", folder / "odd.json", code=1)
    said = value("cost", folder / "figure.json", code=1)
    assert said.endswith("figure.json is for the method income.\n")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"range": {"seed": 1, "draws": 10**9, "inputs": []}}, "range.draws"),
        ({"sensitivity": [{"at": "rate.luck", "low": "0", "high": "1"}]}, "sensitivity[0].at"),
        ({}, "range"),
        ({"request": 5}, "request: is not known here"),
    ],
)
def test_an_analysis_that_cannot_be_made_is_refused(
    folder: Path, asked: dict[str, Any], told: str
) -> None:
    (folder / "asked.json").write_text(json.dumps(asked))
    out, asking = folder / "out.pdf", ("--analysis", folder / "asked.json")
    said = value("income", folder / "income.json", *asking, "-o", out, code=1)
    assert told in said
    assert not out.exists()


def test_the_report_of_a_recorded_appraisal_is_written(town: Town, tmp_path: Path) -> None:
    made, out = town.appraisal(town.registration()), tmp_path / "report.pdf"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(running, "Home", lambda _folder: town.home)
        patched.setattr(running, "clock", lambda: town.now)
        patched.setattr(town.home, "close", lambda: None)
        arguments = ["appraisal", "report", made.number, "-o", str(out)]
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.output == f"The report of appraisal {made.number} is {out}.\n"
    assert made.number in pypdf.PdfReader(out).pages[0].extract_text()
