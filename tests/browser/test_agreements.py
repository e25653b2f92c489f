"""An operation agreement clicked through in Chromium: proposed, signed, ended early, handed back."""

import re

import pytest
import yaml

from tests.browser.conftest import DATA, PHONE, People, days_from_now
from tests.browser.test_roles import said

AGREEMENT = r"XY\d{4}-\d{4}"
LANGS = pytest.mark.parametrize("lang", ["zh", "en"])


@pytest.mark.slow
@LANGS
def test_from_the_proposal_to_the_hand_back(people: People, lang: str) -> None:
    zhang, li, wang = people("zhang", lang), people("li", lang), people("wang", lang)
    zhang.go("/agreements")
    zhang.click(said(lang, "Propose an agreement"))
    zhang.fill(title=f"街道统计授权 {lang}", mode="by_scene", from_on=days_from_now(0),
               until_on=days_from_now(2000), price_cap_yuan="12000.50")  # fmt: skip
    zhang.page.locator("#implementer").select_option(index=1)
    zhang.fill(resources="307001001/000001", scenes__0__name="街道规划", scenes__0__use="规划部门")
    for place in zhang.page.locator("textarea[id^='elements.']").all():
        place.fill("按协议文本")
    zhang.press(said(lang, "Propose an agreement"))
    zhang.look("agreement-too-long")  # more than five years: told at its field, nothing lost
    assert zhang.page.input_value("#price_cap_yuan") == "12000.50"
    zhang.fill(until_on=days_from_now(700))
    zhang.press(said(lang, "Propose an agreement"))
    number = zhang.number(AGREEMENT)
    zhang.sees("12,000.50", "街道规划")
    zhang.look("agreement-proposed")
    li.go("/work")
    li.sees(number)
    li.go(f"/agreements/{number}")
    li.click(said(lang, "Sign"))
    li.press(said(lang, "Sign"))
    li.click(said(lang, "Propose an early end"))
    li.fill(kind="withdrawn_authorisation", ground="资源收回")
    li.look("agreement-end-form")
    li.press(said(lang, "Propose an early end"))
    li.look("agreement-end-proposed")
    zhang.go("/work")
    zhang.sees(number)
    zhang.go(f"/agreements/{number}")
    zhang.look("agreement-end-before-confirming")
    zhang.click(said(lang, "Confirm the end"))
    zhang.press(said(lang, "Confirm the end"))
    zhang.click(said(lang, "Report the hand-back"))
    zhang.look("hand-back-form")
    zhang.press(said(lang, "Report the hand-back"))
    zhang.look("hand-back-missing")
    for place in zhang.page.locator("main form textarea").all():
        place.fill("已办结")
    zhang.press(said(lang, "Report the hand-back"))
    zhang.look("handed-back")
    li.go(f"/agreements/{number}")
    li.look("hand-back-seen")
    wang.go(f"/agreements/{number}")
    wang.look("agreement-of-others")


@pytest.mark.slow
@LANGS
def test_the_public_reads_what_is_operated_by_authorisation(people: People, lang: str) -> None:
    nobody = people("public", lang, PHONE, sign_in=False)
    nobody.go("/disclosures")
    nobody.look("disclosures-phone")
    nobody.sees(str(yaml.safe_load((DATA / "agreement.yaml").read_text())["title"]))
    li = people("li", lang)
    li.go("/evaluations/due")
    li.look("evaluations-due")
    nobody.go("/evaluations/due")
    assert re.search("/sign-in", nobody.page.url)
