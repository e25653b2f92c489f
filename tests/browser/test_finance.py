"""Finance in Chromium: from the overview to a trade in two clicks, on a desk, a telephone, on paper."""

import subprocess
from pathlib import Path

import pytest

from ledger.tabular import read_table
from tests.browser.conftest import PHONE, People
from tests.browser.test_roles import said

LANGS = pytest.mark.parametrize("lang", ["zh", "en"])


@pytest.mark.slow
@LANGS
def test_an_amount_leads_to_its_trades_in_two_clicks(people: People, lang: str) -> None:
    wu = people("wu", lang)
    wu.go("/finance")
    wu.sees(people.site.agreement, said(lang, "What waits for me"))
    wu.look("finance")
    closed = wu.page.locator("tbody a[href*='until=']").first
    day = closed.inner_text()
    with wu.page.expect_navigation():
        closed.click()
    wu.sees("358,490.57", "380,000.00", said(lang, "books closed"), said(lang, "treasury share"))
    wu.look("finance-period")
    wu.click("169,284.91")
    wu.sees(said(lang, "Steps of the calculation"), "358,490.57")
    wu.look("finance-line")
    wu.click(said(lang, "Trades behind an amount"))
    wu.sees("DEMO-BANK-0001")
    wu.look("finance-trades")
    wu.go(f"/agreements/{people.site.agreement}/takings?until={day}")
    wu.look("finance-takings")
    wu.go(f"/agreements/{people.site.agreement}/books/balance")
    wu.click("380,000.00")
    wu.sees("JZ", said(lang, "Brought forward"))
    wu.look("finance-account")
    wu.page.emulate_media(media="print")
    wu.go(f"/agreements/{people.site.agreement}/finance?until={day}")
    assert not wu.page.locator("header").is_visible()
    assert not wu.page.locator("nav.nav-pills").is_visible()
    wu.look("finance-printed")


@pytest.mark.slow
@LANGS
def test_finance_is_read_on_a_telephone_and_where_nothing_is(people: People, lang: str) -> None:
    phone = people("zheng", lang, PHONE)
    at = f"/agreements/{people.site.agreement}"
    for name, path in {
        "list": "/finance", "open": f"{at}/finance", "empty": f"{at}/takings", "none": f"{at}/trades",
        "books": f"{at}/books/balance",
    }.items():  # fmt: skip
        phone.go(path)
        phone.look(f"finance-{name}-phone")
    phone.go("/statements")
    phone.page.locator("main tbody a").first.click()
    phone.click(said(lang, "Comparison"))
    phone.sees(said(lang, "There is no statement before it to compare with."))
    phone.look("finance-comparison-phone")


@pytest.mark.slow
@LANGS
def test_each_form_gives_the_template_of_its_file(people: People, lang: str) -> None:
    at, offered = f"/agreements/{people.site.agreement}", said(lang, "Download the template (XLSX)")
    wu = people("wu", lang)
    wu.go("/payouts")
    payout = wu.page.locator("main tbody a").first.inner_text()
    for login, path, first in (
        ("wu", f"/payouts/{payout}/results", ("流水号", "serial")),
        ("wu", f"{at}/reconciliations/bank", ("交易日期", "day")),
        ("wu", f"{at}/reconciliations/exchange", ("交易编号", "trade")),
        ("zhou", "/confirmations/new", ("交易编号", "trade")),
        ("zhang", "/records:batch", ("时间", "at")),
        ("zhang", "/national", ("行业", "industry")),
    ):  # fmt: skip
        who = people(login, lang)
        who.go(path)
        who.look(f"template{path.replace('/', '-').replace(':', '-')}")
        with who.page.expect_download() as given:
            who.page.get_by_role("link", name=offered).click()
        table = read_table(given.value.path().read_bytes())
        assert table.header[0] == first[lang == "en"]
        assert bool(table.rows) == ("results" in path), "a payout's own payments"
    phone = people("wu", lang, PHONE)
    phone.go(f"/payouts/{payout}/results")
    phone.look("template-result-phone")


def pages_of(path: Path) -> list[str]:
    """The text of each page of a printed file, in its place on paper."""
    done = subprocess.run(
        ["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True, text=True
    )
    return done.stdout.split("\f")[:-1]


@pytest.mark.slow
def test_the_pages_of_finance_are_read_on_paper(people: People, tmp_path: Path) -> None:
    wu, at = people("wu"), f"/agreements/{people.site.agreement}"
    wu.go("/finance")
    day = wu.page.locator("tbody a[href*='until=']").first.inner_text()
    wu.go("/statements")
    number = wu.number(r"FP\d{4}-\d{4}")
    sheets = {
        f"/statements/{number}": ("358,490.57", "合计", "完整计算过程", "签字（盖章）", "打印人：吴制单"),
        f"/statements/{number}/comparison": ("此前没有可比较的分配单",),
        f"{at}/finance?until={day}": ("380,000.00", "本期发生额合计", "单位：元"),
        f"{at}/books/balance": ("期末余额（元）", "制单人", "签字（盖章）"),
        f"{at}/account?account=2203 应付分配款": ("余额（元）", "合计"),
    }  # fmt: skip
    for path, texts in sheets.items():
        wu.go(path)
        wu.page.emulate_media(media="print")
        wu.page.set_viewport_size({"width": 703, "height": 1000})  # A4 less its margins
        wide = wu.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 703, f"{path} is {wide} px wide on paper"
        paper = tmp_path / "page.pdf"
        wu.page.pdf(path=str(paper), format="A4", prefer_css_page_size=True)
        pages = pages_of(paper)
        for text in texts:
            assert any(text in page for page in pages), (path, text, pages)
        for text in ("我的工作", "登录", "查询", "下载"):
            assert not any(text in page for page in pages), (path, text)
        assert f"1/{len(pages)}" in pages[0].replace(" ", ""), "the pages are numbered"
        wu.page.emulate_media(media="screen")


@pytest.mark.slow
def test_a_refused_form_begins_where_it_is_wrong_and_menus_open_without_script(
    people: People,
) -> None:
    wu = people("wu")
    wu.go(f"/agreements/{people.site.agreement}/limits")
    wu.page.evaluate("for (const form of document.forms) form.noValidate = true")
    wu.fill(floor_yuan="五千")
    wu.press()
    assert wu.page.evaluate("document.activeElement.id") == "account"
    plain = people.browser.new_context(java_script_enabled=False, locale="zh-CN")
    people.contexts.append(plain)
    plain.add_cookies(wu.context.cookies())
    page = plain.new_page()
    page.goto(people.site.url + "/finance")
    page.locator(".navbar .dropdown-toggle", has_text="财务").focus()
    with page.expect_navigation():
        page.locator(".dropdown-item", has_text="付款").first.click()
    assert page.url.endswith("/payouts")
