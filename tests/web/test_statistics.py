"""Statistics on the site: who is told what, by page, API and workbook; the table of data capital."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from tests.ledger.test_statistics import sale
from tests.web.conftest import Site

SPAN = "from=2026-01-01&until=2026-06-30&by=quarter"
TOLD, WITHHELD = 3_000_00 + 38_000_000, 6_789_00


@pytest.fixture
def traded(site: Site) -> Site:
    """A quarter of three sellers and licensees, and one of two."""
    town = site.town
    town.sold()
    for seller, licensee in (("olga", "bank"), ("mallory", "exchange"), ("egon", "firm")):
        sale(town, seller, licensee, 1_000_00)
    town.now = datetime(2026, 5, 20, 2, tzinfo=UTC)
    sale(town, "olga", "bank", WITHHELD)
    sale(town, "mallory", "exchange", 0, purpose="benefit")
    town.now = datetime(2026, 7, 2, 2, tzinfo=UTC)
    return site


def amounts_in(found: dict[str, Any]) -> set[int | None]:
    return {
        value for table in found["tables"] if table["unit"] == "fen"
        for row in [*table["rows"], *filter(None, [table["together"]])]
        for value in [*row["values"], row["total"]]
    }  # fmt: skip


def cells_of(data: bytes) -> list[Any]:
    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    return [cell for name in book.sheet_names for row in book.get_sheet_by_name(name).to_python()
            for cell in row]  # fmt: skip


def test_no_page_answer_or_workbook_tells_the_public_an_amount_of_few(traded: Site) -> None:
    stranger, regulator = traded.visit(), traded.visit("gwen")
    full = regulator.read(f"/statistics?{SPAN}")
    assert {TOLD, WITHHELD, TOLD + WITHHELD} <= amounts_in(full)
    net = (200 * WITHHELD + 106) // 212
    secret = {WITHHELD, WITHHELD - net, net, TOLD + WITHHELD}
    for visit in (stranger, traded.visit("olga"), traded.visit("paul")):
        for query in (SPAN, SPAN.replace("quarter", "month"), SPAN.replace("quarter", "year"), ""):
            found = visit.read(f"/statistics?{query}")
            assert not found["full"]
            assert not amounts_in(found) & secret, query
            told = visit.client.get(f"/api/v1/statistics.xlsx?{query}")
            assert told.status_code == 200
            assert not {cell for cell in cells_of(told.data) if isinstance(cell, float)} & secret
            page = visit.get(f"/statistics?{query}")
            for amount in secret:
                assert f"{amount // 100:,}.{amount % 100:02d}" not in page, (query, amount)
    assert TOLD in amounts_in(stranger.read(f"/statistics?{SPAN}")), "what rests on three is told"
    page = regulator.get(f"/statistics?{SPAN}")
    assert f"{WITHHELD // 100:,}.00" in page


def test_the_answers_of_page_api_and_workbook_are_one(traded: Site) -> None:
    visit = traded.visit("mona")
    found = visit.read(f"/statistics?{SPAN}")
    cells = cells_of(visit.client.get(f"/api/v1/statistics.xlsx?{SPAN}").data)
    for table in found["tables"]:
        assert f"{table['code']} {table['zh']} {table['en']}" in cells
    assert cells.count("一致 agrees") == len(found["checks"]) == 6
    assert found["periods"][0] == {
        "from": "2026-01-01", "label": "2026-Q1", "until": "2026-03-31", "whole": True,
    }  # fmt: skip
    page = visit.get(f"/statistics?{SPAN}")
    assert page.count('class="sz-chart"') == 3
    assert 'href="/licences"' in page, "what is counted is listed, where he may see the list"
    assert 'href="/licences"' not in traded.visit().get(f"/statistics?{SPAN}")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=2026-06-30&until=2026-06-01", "before it begins"),
        ("until=2026-12-31", "has not ended"),
        ("from=1950-01-01", "more than 120 periods"),
        ("from=yesterday", "must be a day"),
        ("by=week", "must be one of"),
    ],
)
def test_a_span_that_cannot_be_is_marked_on_the_form(
    common_site: Site, query: str, said: str
) -> None:
    common_site.town.now = datetime(2026, 7, 2, 2, tzinfo=UTC)
    visit = common_site.visit()
    assert said in str(visit.read(f"/statistics?{query}", status=400))
    visit.client.set_cookie("lang", "en")
    page = visit.get(f"/statistics?{query}", status=400)
    assert 'role="alert"' in page
    assert "is-invalid" in page


DOCUMENT = {
    "version": "1", "basis": "示例", "delta": "1/5", "rows": [{
        "industry": "I", "region": "440305", "year": 2020, "producer": "market",
        "labour_yuan": "2.00", "intermediate_yuan": "0.50", "fixed_capital_consumption_yuan": "0.30",
        "net_taxes_on_production_yuan": "0.00", "net_return_yuan": "0.20"}],
}  # fmt: skip
SHEET = (
    "industry,region,year,producer,labour_yuan,intermediate_yuan,fixed_capital_consumption_yuan,"
    "net_taxes_on_production_yuan,net_return_yuan\nI,440305,2020,market,2.00,0.50,0.30,0.00,0.20\n"
)


def test_the_table_of_data_capital_is_one_by_api_and_page(common_site: Site) -> None:
    visit = common_site.visit("olga")
    made = visit.api("/figures/national", {"document": DOCUMENT}, 200).get_json()
    assert (made["by_year"][0]["formation_fen"], made["by_year"][0]["stock_fen"]) == (300, 300)
    book = visit.api("/figures/national.xlsx", {"document": DOCUMENT}, 200)
    assert 300.0 in cells_of(book.data)
    bad = {**DOCUMENT, "rows": [{**DOCUMENT["rows"][0], "region": "1"}]}
    assert "rows[0].region" in visit.api("/figures/national", {"document": bad}, 400).text
    visit.get("/national")
    form = {"basis": "示例", "delta": "1/5", "rows": SHEET}
    assert "3.00" in visit.post("/national", {**form, "do": "compute"}, 200).text
    assert visit.post("/national", {**form, "do": "json"}, 200).get_json() == made
    told = visit.post("/national", {**form, "do": "xlsx"}, 200).data
    assert told == book.data, "the same table gives the same bytes"


def test_faults_of_a_sheet_are_marked_with_row_and_column(common_site: Site) -> None:
    visit = common_site.visit("olga")
    bad = SHEET + "Z,1,2020,market,1.234,0,0,0,0\n"
    page = visit.post("/national", {"basis": "示例", "delta": "1/5", "rows": bad}, 400).text
    for said in ("第 3 行, industry (A)", "第 3 行, region (B)", "第 3 行, labour_yuan (E)"):
        assert said in page
    page = visit.post("/national", {"basis": "", "delta": "1/5", "rows": SHEET}, 400).text
    assert "依据" in page
    file = {"file": (io.BytesIO(b"a,b\n1,2\n"), "x.csv"), "basis": "x", "delta": "1/5"}
    assert "不是本表的表头" in visit.post("/national", file, 400).text
    assert "请粘贴" in visit.post("/national", {"rows": " "}, 400).text
    assert "&lt;b&gt;" in visit.post("/national", {"basis": "<b>", "rows": SHEET}, 400).text
