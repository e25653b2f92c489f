"""Vouchers clicked through in Chromium: motions of two registrars, uses by the subject's consent."""

import pytest

from ledger.chain import keys
from tests.browser.conftest import PHONE, People, days_from_now
from tests.browser.test_registration_changes import registered
from tests.browser.test_roles import said

MOTION, AUTHORISATION, VOUCHER = r"FH\d{4}-\d{6}", r"SY\d{4}-\d{6}", r"PZ\d{6}-\d{6}-[0-9A-Z]"
BANK, OPERATOR, AUTHORITY = "91000000DEM000007U", "91000000DEM000003F", "11000000DEM000002L"
USER = keys.address_of(bytes([31]) * 32)
LANGS = pytest.mark.parametrize("lang", ["zh", "en"])


@pytest.mark.slow
@LANGS
def test_what_is_weighty_needs_two_registrars(people: People, lang: str) -> None:
    wang, xu = people("wang", lang), people("xu", lang)
    wang.go(f"/vouchers/{people.site.voucher}")
    wang.look("voucher-offers")
    wang.click(said(lang, "Propose a pledge"))
    wang.fill(reason="融资")
    wang.page.select_option("#pledgee", BANK)
    wang.press(said(lang, "Propose a pledge"))
    wang.sees("市数据局")  # a public body provides the data: no pledge, and the reason is told
    wang.look("pledge-refused")
    wang.go(f"/vouchers/{people.site.voucher}/transfer")
    wang.fill(reason="转让", holder_address=USER)
    wang.press()
    wang.look("transfer-refused")  # its registration is still the holder's
    wang.go(f"/vouchers/{people.site.voucher}/split")
    wang.fill(reason="按权利分别使用")
    wang.look("split-form")
    wang.press()
    number = wang.number(MOTION)
    wang.look("motion-proposed")
    wang.go(f"/motions/{number}/confirm")
    wang.press()
    wang.look("motion-own-hand")
    xu.go("/work")
    xu.sees(number)
    xu.look("work-motion")
    xu.go(f"/motions/{number}")
    xu.click(said(lang, "Reject"))
    xu.fill(reason="暂不拆分")
    xu.press(said(lang, "Reject"))
    xu.look("motion-rejected")
    xu.go("/motions")
    xu.look("motions")
    wang.go(f"/vouchers/{people.site.voucher}/replace-key")
    wang.fill(reason="私钥遗失", holder_address="0x12")
    wang.press()
    wang.look("replace-key-wrong-address")
    assert wang.page.input_value("#reason") == "私钥遗失"


@pytest.mark.slow
@LANGS
def test_a_data_subject_decides_in_its_space(people: People, lang: str) -> None:
    scene = {"zh": "小微企业信贷", "en": "Credit for small firms"}[lang]
    zhang, wang = people("zhang", lang), people("wang", lang)
    chen = people("chen", lang, PHONE)
    zhang.go(f"/registrations/{registered(people)}")
    zhang.click(said(lang, "Ask for an authorised use"))
    zhang.fill(subject=BANK, provider=AUTHORITY, user=OPERATOR, user_address=USER, scene=scene,
               purpose="评估授信", from_on=days_from_now(0), until_on=days_from_now(90),
               max_uses="0")  # fmt: skip
    zhang.press(said(lang, "Ask for an authorised use"))
    zhang.look("request-refused")
    zhang.fill(max_uses="3")
    zhang.press(said(lang, "Ask for an authorised use"))
    number = zhang.number(AUTHORISATION)
    zhang.look("authorisation-requested")
    chen.go("/work")
    chen.look("work-phone")
    chen.go("/space")
    chen.sees(scene)
    chen.look("space-asked-phone")
    chen.click(said(lang, "Consent"))
    chen.look("consent-form-phone")
    chen.press(said(lang, "Consent"))
    chen.look("space-consented-phone")
    wang.go(f"/authorisations/{number}")
    wang.click(said(lang, "Issue the authorised-use voucher"))
    wang.press(said(lang, "Issue the authorised-use voucher"))
    wang.go(f"/authorisations/{number}")
    voucher = wang.number(VOUCHER)
    wang.look("authorisation-issued")
    li = people("li", lang)
    li.go(f"/authorisations/{number}")
    li.look("authorisation-of-the-provider")
    li.click(said(lang, "Count uses"))
    li.fill(count="4", reference=f"R-{lang}-1")
    li.press(said(lang, "Count uses"))
    li.look("too-many-uses")
    li.fill(count="2")
    li.press(said(lang, "Count uses"))
    li.look("uses-counted")
    chen.go("/space")
    chen.page.locator("main summary").first.click()
    chen.look("space-used-phone")
    nobody = people("public", lang, PHONE, sign_in=False)
    nobody.go(f"/verify/{voucher}")
    nobody.look("public-state-phone")
    chen.go("/space")
    chen.click(said(lang, "Withdraw the consent"))
    chen.press(said(lang, "Withdraw the consent"))
    chen.look("space-withdrawn-phone")
    li.go(f"/vouchers/{voucher}/uses")
    li.fill(scene=scene, count="1", reference=f"R-{lang}-2")
    li.press()
    li.look("use-after-withdrawal")
