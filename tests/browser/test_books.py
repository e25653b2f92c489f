"""The recognition test and a disclosure table in Chromium: wrong first, then right, desk and telephone."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import DESK, PHONE, People, Served
from tests.browser.test_roles import said
from tests.ledger.test_disclosures import edited

YES = ("controlled", "benefits", "reliable_cost")


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_what_is_missing_is_marked_and_then_the_class_is_told(
    people: People, served: Served, lang: str
) -> None:
    for size, name in ((DESK, "desk"), (PHONE, "phone")):
        wu = people("wu", lang, size)
        wu.go("/recognition-test")
        wu.page.fill("#subject", "企业用电指数")
        with wu.page.expect_navigation():
            wu.page.get_by_role("button", name=said(lang, "Compute")).click()
        assert wu.page.locator(".invalid-feedback").count() == 6
        wu.look(f"recognition-missing-{name}")
        answers = dict.fromkeys(YES, "yes") | {
            "body": "enterprise", "expensed_before": "no", "purpose": "for_sale",
        }  # fmt: skip
        for one, answer in answers.items():
            wu.page.select_option(f'[name="{one}.answer"]', answer)
            wu.page.fill(f'[name="{one}.grounds"]', "合同及台账")
        with wu.page.expect_navigation():
            wu.page.get_by_role("button", name=said(lang, "Compute")).click()
        wu.sees({"zh": "存货", "en": "inventory"}[lang])
        wu.look(f"recognition-told-{name}")


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_template_with_a_slip_comes_back_with_its_cell_and_a_text_with_its_table(
    people: People, served: Served, tmp_path: Path, lang: str
) -> None:
    def wrong(page: Any) -> None:
        page["C9"] = "abc"

    (tmp_path / "filled.xlsx").write_bytes(edited(wrong))
    for size, name in ((DESK, "desk"), (PHONE, "phone")):
        wu = people("wu", lang, size)
        wu.go("/disclosure")
        wu.page.set_input_files("#file", str(tmp_path / "filled.xlsx"))
        check = 'button[name="do"][value="check"]'
        with wu.page.expect_navigation():
            wu.page.click(check)
        wu.sees("abc", {"zh": "第 9 行", "en": "row 9"}[lang])
        wu.look(f"disclosure-slip-{name}")
        wu.page.fill("#document", (
            "table: intangible\nentity: 数据公司\nperiod: {from: 2026-01-01, to: 2026-12-31}\n"
            'movements: {purchased: {gross_open_yuan: "100.00", gross_close_yuan: "99.00"}}\n'
        ))  # fmt: skip
        with wu.page.expect_navigation():
            wu.page.click(check)
        assert wu.page.locator("#result tbody tr").count() == 27
        wu.sees("99.00 ≠ 100.00")
        wu.look(f"disclosure-table-{name}")
