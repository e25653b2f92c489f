"""Statistics in Chromium: the report for everybody and for the regulator, and the table of data capital."""

from pathlib import Path

import pytest

from tests.browser.conftest import PHONE, People, days_from_now
from tests.browser.test_roles import said

LANGS = pytest.mark.parametrize("lang", ["zh", "en"])
ROWS = (
    "industry,region,year,producer,labour,intermediate,fixed_capital_consumption_yuan,"
    "net_taxes_on_production_yuan,net_return_yuan\n"
)


@pytest.mark.slow
@LANGS
def test_the_report_is_read_on_a_desk_and_on_a_telephone(people: People, lang: str) -> None:
    anybody = people("feng", lang, sign_in=False)
    anybody.go(f"/statistics?from=2026-01-01&until={days_from_now(0)}&by=quarter")
    anybody.sees(said(lang, "withheld"), "M5")
    anybody.look("statistics-public")
    feng = people("feng", lang)
    feng.go("/statistics")
    feng.fill(**{"from": "2026-01-01"})
    feng.press()
    feng.sees("380,000.00", said(lang, "agrees"))
    assert said(lang, "withheld") not in feng.page.locator("main").inner_text()
    feng.page.locator("summary", has_text=said(lang, "Definitions")).click()
    feng.look("statistics-full")
    feng.fill(until="2025-01-01")
    feng.press()
    assert feng.page.locator("[role=alert]").count() == 1
    feng.look("statistics-wrong")
    phone = people("feng", lang, PHONE)
    phone.go("/statistics?from=2021-01-01&by=month")
    phone.look("statistics-phone")


@pytest.mark.slow
@LANGS
def test_a_table_of_thousands_of_rows_is_computed_and_its_faults_are_marked(
    people: People, lang: str, tmp_path: Path
) -> None:
    zhang = people("zhang", lang)
    zhang.go("/national")
    zhang.look("national-empty")
    sheet, bad = tmp_path / "rows.csv", tmp_path / "bad.csv"
    rows = [f"{i},44{r:04d},{y},market,{r}.50,2,3,4,5\n" for i in "IJM" for r in range(1, 301)
            for y in range(2020, 2025)]  # fmt: skip
    sheet.write_text(ROWS + "".join(rows))
    bad.write_text(ROWS + "".join(rows[:4000]).replace("market", "nobody"))
    zhang.fill(basis="ours", delta="1/5", growth="0.05")
    zhang.page.set_input_files("#file", str(bad))
    zhang.press(said(lang, "Compute"))
    zhang.sees("4000", "100", "producer (D)")
    zhang.look("national-faults")
    zhang.page.set_input_files("#file", str(sheet))
    zhang.press(said(lang, "Compute"))
    total = 3 * (sum(range(1, 301)) + 300 * 14.5)
    zhang.sees(f"{total:,.2f}")
    zhang.look("national")
    phone = people("zhang", lang, PHONE)
    phone.go("/national")
    phone.fill(basis="ours", delta="1/5")
    phone.press(said(lang, "Compute"))
    phone.look("national-phone")
    phone.go("/value/capital_formation")
    phone.look("capital-formation-phone")
