"""The pages of the books: answers still missing, a template handed in, faults marked, files taken away."""

from io import BytesIO
from typing import Any

from ledger import disclosures
from tests.ledger.test_disclosures import edited
from tests.web.conftest import Site

TEXT = """
table: intangible
entity: 数据公司
period: {from: 2026-01-01, to: 2026-12-31}
movements: {purchased: {gross_open_yuan: "100.00", gross_close_yuan: "99.00"}}
"""


def test_a_table_is_checked_on_the_page_and_taken_away(common_site: Site) -> None:
    visit = common_site.visit("olga")
    page = visit.post("/disclosure", {"do": "check", "document": TEXT}, 200).text
    assert "table-danger" in page
    assert "99.00 ≠ 100.00" in page
    assert visit.post("/disclosure", {"do": "xlsx", "document": TEXT}, 200).data[:2] == b"PK"
    assert (
        visit.post("/disclosure", {"do": "json", "document": TEXT}, 200).get_json()["holds"]
        is False
    )
    assert (
        "period"
        in visit.post("/disclosure", {"do": "check", "document": "table: inventory"}, 400).text
    )
    visit.post("/disclosure", {"do": "check", "document": "a: ["}, 400)
    visit.post("/disclosure", {"do": "check", "document": "5"}, 400)
    common_site.visit().get("/disclosure", 303)


def test_a_template_is_filled_in_and_handed_in(common_site: Site) -> None:
    visit = common_site.visit("olga")
    blank = visit.client.get("/disclosure/inventory.xlsx")
    assert blank.data == disclosures.template("inventory")
    visit.get("/disclosure/other.xlsx", 400)

    def wrong(page: Any) -> None:
        page["C9"] = "abc"

    given = {"do": "check", "file": (BytesIO(edited(wrong)), "t.xlsx")}
    page = visit.post("/disclosure", given, 400).text
    assert "abc" in page


def test_the_recognition_test_marks_every_answer_that_is_missing(common_site: Site) -> None:
    visit = common_site.visit("olga")
    page = visit.post("/recognition-test", {"subject": "x"}, 400).text
    assert page.count("invalid-feedback") == 6
    given = {"subject": "x", "body.answer": "administrative", "body.grounds": "g"}
    assert 'id="result"' in visit.post("/recognition-test", given, 200).text
