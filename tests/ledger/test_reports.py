"""The report of an appraisal says all that it must disclose; the PDF alone is enough to recompute it."""

import io
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pypdf
import pytest
import yaml

from ledger import papers, reports
from ledger.appraisals import DISCLOSURES, Appraisal
from ledger.errors import Invalid
from ledger.proof.encoding import canonical, digest_text, parse
from ledger.reports import appraisal_report, recorded_report, worksheet_report
from tests.conftest import DEMO, Town
from valuation import InputError, methods, reconciliation, simulation
from valuation.worksheet import Figure, Worksheet

DOCUMENT = yaml.load((DEMO / "appraisal.yaml").read_bytes(), yaml.CSafeLoader)
FIGURES = {name: methods.run(one) for name, one in DOCUMENT["documents"].items()}
CONCLUSION = reconciliation.reconcile(
    [(FIGURES[w["method"]], w["weight"], w["reason"]) for w in DOCUMENT["weights"]]
)
ASKED = {
    "range": {"seed": 7, "draws": 2000, "inputs": [
        {"at": "periods[*].share", "distribution": "uniform", "low": "0.2", "high": "0.4"}]},
    "sensitivity": [{"at": "rate.management", "low": "0.01", "high": "0.05"}],
    "breakeven": {"at": "periods[*].share", "target_fen": 100_000_000, "low": "0", "high": "1"},
}  # fmt: skip
ANALYSIS = simulation.analyse(DOCUMENT["documents"]["income"], ASKED)
GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden/valuation/methods.json").read_text("utf-8")
)
MARKUP = '#pagebreak() $x^2$ @ref \\ \\u{41} "q" *b* _i_ `r` <l> // c /* d */ [e] ~ -- #let x = 1'


def report(**changes: Any) -> bytes:
    facts: dict[str, Any] = {
        "analyses": {"income": ANALYSIS}, "approved": True, "assumptions": ["协议持续有效"],
        "base_on": "2026-03-20", "conclusion": CONCLUSION, "disclosures": DOCUMENT["disclosures"],
        "edition": 2, "figures": FIGURES, "holder": "城数运营有限公司", "number": "PG2026-0002",
        "maker": {"name": "安娜", "party": "公允评估"}, "previous": "PG2026-0001",
        "purpose": DOCUMENT["purpose"], "registration_code": "DJ202609-000001-E",
        "reviewer": {"name": "伯恩德", "party": "公允评估"}, "rights": ["use", "operating"],
        "title": "区划关联公共卫生风险统计产品", "valid_until_on": "2027-03-20",
    }  # fmt: skip
    return appraisal_report(**{**facts, **changes})


@cache
def printed() -> bytes:
    return report()


def reader(pdf: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(pdf), strict=True)


def text_of(pdf: bytes) -> str:
    """All text without white space, since lines break where they must."""
    pages = [page.extract_text() for page in reader(pdf).pages]
    return "".join("".join(pages).split()).replace("\u200b", "")


def attached(pdf: bytes) -> dict[str, bytes]:
    return {one.name: one.content for one in reader(pdf).attachment_list}


def test_the_report_says_what_is_valued_for_whom_and_how_much() -> None:
    said = text_of(printed())
    for text in (
        "PG2026-0002", "第2版", "PG2026-0001", "区划关联公共卫生风险统计产品", "DJ202609-000001-E",
        "城数运营有限公司", "使用权", "经营权", DOCUMENT["purpose"], "2026-03-20", "2027-03-20", "安娜",
        "伯恩德", "¥1,452,833.40", "人民币壹佰肆拾伍万贰仟捌佰叁拾叁元肆角",
        "财会〔2025〕33号，评估值不得直接作为入账或调账的依据", "协议持续有效",
    ):  # fmt: skip
        assert text in said, text
    assert "草稿" not in said
    assert "持有权" not in said.replace("持有使用权", "")


def test_every_disclosure_stands_there_and_an_absent_one_is_said_to_be_absent() -> None:
    said = text_of(printed())
    for key, zh in DISCLOSURES.items():
        assert zh in said
        assert "".join(DOCUMENT["disclosures"][key].split()) in said
    assert "未披露" not in said
    for key, zh in DISCLOSURES.items():
        without = {name: text for name, text in DOCUMENT["disclosures"].items() if name != key}
        found = text_of(report(disclosures=without))
        assert found.count("未披露") == 1
        assert zh in found.split("未披露")[0][-60:]
    assert text_of(report(disclosures=dict.fromkeys(DISCLOSURES, " \n"))).count("未披露") == 8


def test_each_approach_has_its_inputs_steps_and_notes_and_its_weight_with_the_reason() -> None:
    said = text_of(printed())
    for figure in FIGURES.values():
        for step in figure.steps:
            assert "".join(step.formula.split()) in said
            assert step.symbol in said
            assert "".join(step.zh.split()) in said
        for note in figure.notes:
            assert note.zh in said
    for one in DOCUMENT["weights"]:
        assert "".join(one["reason"].split()) in said
    assert "1,701,043.38" in said
    assert "≈429,351.004347" in said, "an amount between two fen"


def test_an_analysis_has_its_range_tornado_and_breakeven() -> None:
    said, found = text_of(printed()), ANALYSIS
    assert found.range is not None
    assert found.breakeven is not None
    for _, fen in found.range.percentiles:
        assert f"{fen / 100:,.2f}" in said
    for text in ("种子seed7", "抽样draws2,000", "".join(found.range.generator.split())):
        assert text in said
    assert f"{found.tornado[0].low_value_fen / 100:,.2f}" in said
    assert found.breakeven.found in said
    assert "蒙特卡洛" not in text_of(report(analyses={}))


def test_a_draft_says_so_on_every_page() -> None:
    draft = report(approved=False, reviewer=None)
    for page in reader(draft).pages:
        assert "草稿，尚未复核" in page.extract_text()
    assert "尚未复核not" in text_of(draft)


def test_texts_of_users_are_data_and_never_markup() -> None:
    factor = {"zh": MARKUP, "en": MARKUP, "value": "0.9", "basis": MARKUP}
    given = {**DOCUMENT["documents"]["cost"]["inputs"], "factors": [factor]}
    figure = methods.run({"method": "cost", "version": "1", "inputs": given})
    conclusion = reconciliation.reconcile([(figure, 1, MARKUP)])
    hostile = report(
        analyses={}, assumptions=[MARKUP], conclusion=conclusion, figures={"cost": figure},
        disclosures=dict.fromkeys(DISCLOSURES, MARKUP), holder=MARKUP, purpose=MARKUP, title=MARKUP,
        number=MARKUP, maker={"name": MARKUP, "party": MARKUP}, registration_code=MARKUP,
    )  # fmt: skip
    said = text_of(hostile)
    assert said.count("".join(MARKUP.split())) >= 20
    assert len(reader(hostile).pages) < 9
    odd = (
        "\u202e\x07\U0003134a" + "x" * 500
    )  # turned around, a control, no glyph, too long for a line
    assert "[U+202E][U+0007][U+3134A]xxx" in text_of(report(purpose=odd))


def test_the_same_facts_give_the_same_bytes_and_others_others() -> None:
    assert printed() == report()
    assert printed() != report(purpose="另一目的")
    figure = FIGURES["income"]
    assert worksheet_report(figure, ANALYSIS) == worksheet_report(figure, ANALYSIS)


def test_the_file_is_pdf_a_with_embedded_fonts_and_its_template_needs_no_other() -> None:
    root = reader(printed()).root_object
    metadata = root["/Metadata"].get_data().decode()  # type: ignore[union-attr]
    assert "<pdfaid:part>3</pdfaid:part>" in metadata
    assert "<pdfaid:conformance>B</pdfaid:conformance>" in metadata
    assert "<pdfuaid:part>1</pdfuaid:part>" in metadata
    for page in reader(printed()).pages:
        for font in page["/Resources"]["/Font"].values():  # type: ignore[index]
            (descendant,) = font["/DescendantFonts"]
            descriptor = descendant.get_object()["/FontDescriptor"]
            assert {"/FontFile2", "/FontFile3"} & {*descriptor}
    words = reports.TEMPLATE.read_text()
    assert {c for c in words if c > " " and ord(c) not in papers._glyphs()} == set()


def test_from_the_pdf_alone_the_figure_and_its_analysis_are_computed_again() -> None:
    files = attached(printed())
    assert {*files} == {"figure.json", "analysis-income.json"}
    figure = methods.verify(parse(files["figure.json"], "figure.json"))
    assert figure.value_fen == CONCLUSION.value_fen
    again = methods.run(figure.document or {})
    assert canonical(again.to_dict()) == files["figure.json"]
    assert simulation.verify(parse(files["analysis-income.json"], "analysis")) == ANALYSIS
    said = text_of(printed())
    assert digest_text(canonical(CONCLUSION.document)) in said
    assert "shuzhengvaluereconcilefigure.json-oagain.json" in said
    for name in (*DOCUMENT["documents"], "reconcile"):
        assert f"{name}v1" in said


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["document"]["method"])
def test_a_bare_figure_of_any_method_has_a_worksheet_report(case: dict[str, Any]) -> None:
    figure = methods.run(case["document"])
    pdf = worksheet_report(figure)
    said = text_of(pdf)
    assert "估值计算书" in said
    assert "披露" not in said
    for step in figure.steps:
        assert step.symbol in said
    if figure.unit == "fen":
        assert f"{figure.value_fen / 100:,.2f}" in said
        assert "财会〔2025〕33号" in said
    assert attached(pdf)["figure.json"] == canonical(figure.to_dict())


def test_a_long_table_breaks_over_pages_with_its_headings_repeated() -> None:
    periods = [{"revenue_yuan": f"{1234567 + t}.89", "share": "1/7"} for t in range(60)]
    given = {**DOCUMENT["documents"]["income"]["inputs"], "periods": periods}
    figure = methods.run({"method": "income", "version": "1", "inputs": given})
    pages = [page.extract_text() for page in reader(worksheet_report(figure)).pages]
    assert len(pages) > 8
    inner = pages[1:-2]
    assert all("名称" in page and "来源" in page for page in inner)
    assert "1/7 ≈ 0.1428571429" in pages[1], "an input that is no decimal is shown exactly"
    assert "".join(figure[figure.result].formula.split()) in "".join("".join(pages).split())


def test_what_does_not_recompute_or_belongs_elsewhere_is_no_report() -> None:
    cost = FIGURES["cost"]
    steps = [{**s, "value": "1"} if s["symbol"] == "P" else s for s in cost.to_dict()["steps"]]
    false = Figure.from_dict({**cost.to_dict(), "steps": steps, "value": "1"})
    with pytest.raises(InputError, match="P: differs"):
        worksheet_report(false)
    with pytest.raises(InputError, match="P: differs"):
        report(figures={**FIGURES, "cost": false})
    with pytest.raises(InputError, match="another figure"):
        worksheet_report(cost, ANALYSIS)
    with pytest.raises(InputError, match="another figure"):
        report(analyses={"cost": ANALYSIS})
    with pytest.raises(Invalid, match="does not hold"):
        report(figures={"cost": cost, "market": FIGURES["market"]}, analyses={})


def test_a_figure_without_its_document_says_no_command_that_would_fail() -> None:
    sheet = Worksheet()
    sheet.given("P", "价值", "value", 5, "fen", "books")
    pdf = worksheet_report(sheet.figure("example", "1", "P"))
    assert "shuzhengvalue" not in text_of(pdf)
    assert "人民币伍分" in text_of(pdf)


def test_a_recorded_appraisal_is_printed_as_the_ledger_has_it(village: Town) -> None:
    made = village.appraisal(village.registration(), analyses={"income": ASKED})
    with village.reading() as session:
        draft = recorded_report(session, session.get_one(Appraisal, made.id))
    said = text_of(draft)
    assert made.number in said
    assert "尚未复核" in said
    assert made.inputs_digest is not None
    assert made.inputs_digest in said
    assert "蒙特卡洛" in said
    assert simulation.verify(parse(attached(draft)["analysis-income.json"], "analysis")) == ANALYSIS


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="poppler is not installed")
def test_another_reader_finds_the_same_text(tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(printed())
    command = ["pdftotext", "-layout", str(tmp_path / "report.pdf"), "-"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "数据资产评估报告" in said
    assert "1,452,833.40" in said
