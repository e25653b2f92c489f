"""What becomes of a registration, clicked through in Chromium: a change, an objection to it, an inquiry."""

import json

import pytest

from tests.browser.conftest import PHONE, People
from tests.browser.test_roles import said

APPLICATION, OBJECTION = r"SQ\d{4}-\d{6}", r"YY\d{4}-\d{6}"
LANGS = pytest.mark.parametrize("lang", ["zh", "en"])


def registered(people: People) -> str:
    """The code of the demo's registration."""
    home = people.site.home
    voucher = json.loads((home / "demo" / "voucher.json").read_bytes())
    return str(voucher["credentialSubject"]["registration_code"])


@pytest.mark.slow
@LANGS
def test_a_change_is_objected_to_and_the_notice_stands_still(people: People, lang: str) -> None:
    code = registered(people)
    zhang, wang, xu = people("zhang", lang), people("wang", lang), people("xu", lang)
    zhang.go(f"/registrations/{code}")
    zhang.look("registration-own")
    zhang.click(said(lang, "Apply for a change"))
    zhang.look("change-form")
    zhang.fill(ground="product", statement="产品升级", proof="见升级说明")
    zhang.press(said(lang, "Apply for a change"))
    zhang.look("change-nothing-changed")  # nothing is to be another than it is
    zhang.fill(title=f"街道风险产品（升级版，{lang}）")
    zhang.press(said(lang, "Apply for a change"))
    number = zhang.number(APPLICATION)
    zhang.look("change-submitted")
    wang.go(f"/applications/{number}/accept")
    wang.press()
    wang.go(f"/applications/{number}/review")
    wang.fill(formal="齐全")
    for box in wang.page.locator("input[type=radio][value=pass]").all():
        box.check()
    for box in wang.page.locator("textarea[id^='compliance.']").all():
        box.fill("符合")
    wang.look("change-review")
    wang.press(said(lang, "Pass the review"))
    wang.go(f"/applications/{number}")
    wang.click(said(lang, "Give public notice"))
    wang.press()
    wang.sees(number)
    objector = people("chen", lang)
    objector.go("/notices")
    objector.look("notices-signed-in")
    objector.click(said(lang, "Object"))
    objector.look("objection-form")
    objector.fill(real_name="路人甲", claim="与我单位产品同名", evidence="见合同编号 1")
    objector.press(said(lang, "Object"))
    objector.look("objection-wrong-name")
    objector.fill(real_name="陈主体")
    objector.press(said(lang, "Object"))
    objection = objector.number(OBJECTION)
    objector.look("objection-raised")
    nobody = people("chen", lang, PHONE, sign_in=False)
    nobody.go("/notices")
    nobody.look("notices-paused-phone")
    zhang.go(f"/objections/{objection}")
    zhang.look("objection-seen-by-applicant")
    assert "陈主体" not in zhang.page.locator("main").inner_text()
    wang.go(f"/objections/{objection}/dismiss")
    wang.fill(finding="不构成近似")
    wang.press()
    wang.look("objection-own-review")  # who passed the review does not judge it
    xu.go(f"/objections/{objection}")
    xu.look("objection-before-decision")
    xu.click(said(lang, "Dismiss the objection"))
    xu.fill(finding="不构成近似")
    xu.press()
    xu.look("objection-dismissed")
    zhang.go(f"/applications/{number}")
    zhang.look("application-notice-goes-on")
    zhang.click(said(lang, "Withdraw"))
    zhang.fill(reason="不再升级")
    zhang.press(said(lang, "Withdraw"))


@pytest.mark.slow
@LANGS
def test_an_inquiry_needs_two_registrars(people: People, lang: str) -> None:
    code = registered(people)
    wang, xu = people("wang", lang), people("xu", lang)
    wang.go(f"/registrations/{code}")
    wang.click(said(lang, "Begin an inquiry"))
    wang.fill(reason="有人举报材料不实")
    wang.press()
    wang.look("registration-under-inquiry")
    wang.click(said(lang, "Nothing was found"))
    wang.fill(finding="-")
    wang.press()
    wang.look("inquiry-own-hand")
    xu.go("/work")
    xu.look("work-inquiry")
    xu.go(f"/registrations/{code}/revoke")
    xu.look("revoke-form")
    xu.go(f"/registrations/{code}/clear")
    xu.fill(finding="材料属实")
    xu.press()
    xu.look("registration-cleared")
    nobody = people("zhang", lang, PHONE, sign_in=False)
    nobody.go(f"/registrations/{code}")
    nobody.look("registration-public-phone")
