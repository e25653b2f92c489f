"""A table comes into the catalogue and out again; bodies are renamed, split, merged, in Chromium."""

from pathlib import Path

import pytest
import xlsxwriter
from stdnum.cn import uscc

from tests.browser.conftest import PHONE, People, Person, days_from_now
from webapp.language import catalogue

pytestmark = pytest.mark.slow
LANGS = pytest.mark.parametrize("lang", ["zh", "en"])
HEADER = ("资源代码", "资源名称", "提供部门", "怎么说", "共享属性", "更新周期")
AUTHORITY, OWN = "市数据局", "11000000DEM000002L"


def said(lang: str, text: str) -> str:
    """A sentence of the site in a language."""
    return catalogue()[text] if lang == "zh" else text


def workbook(path: Path, *rows: tuple[str, ...]) -> str:
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("目录")
        sheet.write_row(0, 0, ["数据资源目录"])  # a title line above the header
        for n, row in enumerate((HEADER, *rows), start=1):
            sheet.write_row(n, 0, row)
    return str(path)


def check(who: Person, lang: str, path: str) -> None:
    """Hand in a file; its check stands on the page."""
    who.go("/catalogue-imports/new")
    who.page.set_input_files("#file", path)
    who.press()
    who.page.wait_for_url("**/catalogue-checks/*")


def finish(who: Person, lang: str, button: str) -> None:
    """Apply or propose what is checked, and open the change set."""
    who.fill(reason="年度更新")
    who.press(said(lang, button))
    who.done()
    with who.page.expect_navigation():
        who.page.locator("main a[href^='/catalogue-imports/']").first.click()


@LANGS
def test_a_table_is_checked_mended_applied_and_undone(
    people: People, tmp_path: Path, lang: str
) -> None:
    wang = people("wang", lang)
    wang.go("/catalogue-imports/new")
    wang.look("import-form")
    rows = [
        (f"T{lang}{n}", f"测试{n}", AUTHORITY, f"说明{n}", "无条件共享", "每月") for n in (1, 2)
    ]
    bad = [(f"T{lang}1", "重复", AUTHORITY, "", "", ""), ("", "无代码", AUTHORITY, "", "", "")]
    check(wang, lang, workbook(tmp_path / "a.xlsx", *rows, *bad))
    wang.sees(said(lang, "Rows that cannot be used"), "怎么说")
    wang.look("check-with-bad-rows")
    assert not wang.page.locator("#reason").count(), "nothing can be applied"
    check(wang, lang, workbook(tmp_path / "a.xlsx", *rows))
    wang.page.select_option("select[name=column-3]", "summary")
    wang.press(said(lang, "Check again with these"))
    wang.page.wait_for_url("**/catalogue-checks/*")
    wang.look("check")
    finish(wang, lang, "Apply just this")
    wang.look("change-set")

    changed = [(*rows[0][:5], "每年"), (f"T{lang}3", "新的", AUTHORITY, "三", "不予共享", "每日")]
    check(wang, lang, workbook(tmp_path / "a.xlsx", *changed))
    wang.sees(said(lang, "as the last time"), "每年" if lang == "zh" else "annual")
    wang.look("check-of-changes")
    finish(wang, lang, "Apply just this")
    wang.look("change-set-of-changes")
    wang.click(said(lang, "Undo"))
    wang.look("undo")
    wang.fill(reason="弄错了")
    wang.press(said(lang, "Undo"))
    wang.look("undone")
    wang.go(f"/resources/T{lang}1/history")
    wang.look("history")
    wang.go("/catalogue-imports")
    wang.look("change-sets")
    with wang.page.expect_download() as download:
        wang.page.evaluate("location.href = '/catalogue.xlsx'")
    check(wang, lang, str(download.value.path()))
    wang.look("check-of-our-own-export")
    wang.sees(said(lang, "The catalogue says all of this already: applying changes no resource."))


@LANGS
def test_a_provider_proposes_and_a_registrar_decides(
    people: People, tmp_path: Path, lang: str
) -> None:
    li, wang = people("li", lang), people("wang", lang)
    row = (f"P{lang}1", "部门上报", AUTHORITY, "", "有条件共享", "每年")
    check(
        li,
        lang,
        workbook(tmp_path / "b.xlsx", row, (f"P{lang}2", "他人的", "市财政局", "", "", "")),
    )
    li.look("check-of-foreign-rows")
    check(li, lang, workbook(tmp_path / "b.xlsx", row))
    li.look("check-of-a-provider")
    finish(li, lang, "Propose just this")
    li.look("proposed")
    path = li.page.url.removeprefix(li.site.url)
    wang.go("/work")
    wang.sees("b.xlsx")
    wang.go(path)
    wang.click(said(lang, "Approve"))
    wang.press(said(lang, "Approve"))
    wang.look("approved")
    phone = people("wang", lang, size=PHONE)
    phone.go(path)
    phone.look("approved-phone")


@LANGS
def test_a_body_is_renamed_split_and_merged(people: People, lang: str) -> None:
    admin = people("admin", lang)
    codes = [
        number + uscc.calc_check_digit(number)
        for number in (f"11000000DEM00{lang == 'zh':d}{n}00" for n in (7, 8))
    ]
    for n, code in enumerate(codes):
        admin.go("/parties/new")
        admin.fill(kind="public_body", name=f"新设局{lang}{n}", uscc=code)
        admin.press()
    admin.go(f"/parties/{codes[0]}/name")
    admin.fill(name=f"更名局{lang}", ground="机构改革方案", effective_on=days_from_now(1))
    admin.press()
    admin.look("rename-on-a-day-to-come")
    admin.fill(effective_on=days_from_now(0))
    admin.press()
    admin.look("renamed")
    admin.go(f"/parties/{OWN}/split")
    admin.look("split-form")
    admin.go(f"/parties/{codes[0]}/merger")
    admin.fill(into=codes[1], ground="机构改革方案", effective_on=days_from_now(0))
    admin.look("merger-form")
    admin.press()
    admin.go(f"/parties/{codes[0]}")
    admin.look("merged")
    admin.sees(f"新设局{lang}1")
    admin.go("/parties")
    admin.look("parties")
