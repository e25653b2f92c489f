"""What an appraisal's page hands out: its report as a PDF, and worksheets with their analysis."""

import io

import pypdf
import pytest
from openpyxl import load_workbook

from ledger.appraisals import Appraisal
from ledger.proof.encoding import canonical
from tests.ledger.test_reports import ASKED
from tests.web.conftest import Site


@pytest.fixture(scope="module")
def appraisal(common_site: Site) -> Appraisal:
    town = common_site.town
    return town.appraisal(town.registration(), analyses={"income": ASKED})


def test_the_report_of_an_appraisal_is_a_pdf_with_its_figures_attached(
    common_site: Site, appraisal: Appraisal
) -> None:
    visit, path = common_site.visit("egon"), f"/appraisals/{appraisal.number}"
    assert f'href="{path}/report.pdf"' in visit.get(path)
    answer = visit.client.get(f"{path}/report.pdf")
    assert answer.mimetype == "application/pdf"
    assert f"report-{appraisal.number}.pdf" in answer.headers["Content-Disposition"]
    document = pypdf.PdfReader(io.BytesIO(answer.data))
    assert appraisal.number in document.pages[0].extract_text()
    files = {one.name: one.content for one in document.attachment_list}
    assert {*files} == {"analysis-income.json", "figure.json"}
    assert files["figure.json"] == canonical(appraisal.conclusion)


def test_a_report_is_refused_to_whom_the_appraisal_is(
    common_site: Site, appraisal: Appraisal
) -> None:
    common_site.visit("mallory").get(f"/appraisals/{appraisal.number}/report.pdf", 403)
    common_site.visit("egon").get("/appraisals/PG2026-9999/report.pdf", 404)


def test_a_worksheet_holds_the_analysis_of_its_approach_and_no_other(
    common_site: Site, appraisal: Appraisal
) -> None:
    visit = common_site.visit("egon")
    for name, others in (
        ("income", ["区间 Range", "敏感性 Sensitivity", "盈亏平衡 Breakeven"]), ("cost", []),
    ):  # fmt: skip
        answer = visit.client.get(f"/appraisals/{appraisal.number}/{name}.xlsx")
        book = load_workbook(io.BytesIO(answer.data))
        assert book.sheetnames == ["计算 Derivation", *others]
