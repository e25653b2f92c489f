"""The regulator in Chromium: the overview, an alarm to its end, a freeze of a whole registration."""

import pytest
from sqlalchemy import select

from ledger import alarms
from ledger.alarm_rules import LAPSED_USED, Cause
from ledger.parties import Party
from tests.browser.conftest import PHONE, People
from tests.browser.test_registration_changes import registered
from tests.browser.test_roles import said
from webapp.home import Home, clock

ALARM = r"JB\d{4}-\d{6}"
LANGS = pytest.mark.parametrize("lang", ["zh", "en"])


def an_alarm(people: People, lang: str) -> None:
    """As the worker raises one of a batch of usage: three uses while the licence was not in force."""
    home = Home(people.site.home)
    try:
        with home.deed(clock()) as session:
            owner = session.scalars(select(Party.id).where(Party.name == "城数运营有限公司")).one()
            number = f"PC202611-00000{'zh en'.index(lang)}"
            facts = {"count": 3, "number": number, "orders": "XK-DEMO-0001"}
            cause = Cause("lapsed_used", f"lapsed_used:{lang}", "usage", lang, number, owner,
                          LAPSED_USED, facts)  # fmt: skip
            alarms.raise_all(session, clock(), [cause])
    finally:
        home.close()


@pytest.mark.slow
@LANGS
def test_an_alarm_is_explained_and_closed(people: People, lang: str) -> None:
    an_alarm(people, lang)
    feng, zhang = people("feng", lang), people("zhang", lang)
    feng.go("/supervision")
    feng.look("supervision")
    number = feng.number(ALARM)
    phone = people("feng", lang, PHONE)
    phone.go("/supervision")
    phone.look("supervision-phone")
    phone.go("/alarms")
    phone.look("alarms-phone")
    zhang.go("/work")
    zhang.sees(number)
    zhang.go(f"/alarms/{number}")
    zhang.click(said(lang, "Explain"))
    zhang.fill(text="系统时钟有误，已更正")
    zhang.look("alarm-explain")
    zhang.press(said(lang, "Explain"))
    feng.go("/work")
    feng.sees(number)
    feng.look("work-alarm")
    feng.go(f"/alarms/{number}")
    feng.click(said(lang, "Close the alarm"))
    feng.fill(reason="属实，已整改")
    feng.press(said(lang, "Close the alarm"))
    feng.look("alarm-closed")


@pytest.mark.slow
@LANGS
def test_all_vouchers_of_a_registration_are_frozen(people: People, lang: str) -> None:
    code = registered(people)
    feng, zhang = people("feng", lang), people("zhang", lang)
    feng.go(f"/registrations/{code}")
    feng.click(said(lang, "Freeze all its vouchers"))
    feng.fill(basis="条例第三条", reason="涉嫌虚假材料")
    feng.look("freeze-all-form")
    feng.press(said(lang, "Freeze all its vouchers"))
    feng.look("registration-frozen")
    zhang.go(f"/vouchers/{people.site.voucher}")
    zhang.sees("条例第三条")
    zhang.look("voucher-frozen")
    nobody = people("public", lang, PHONE, sign_in=False)
    nobody.go(f"/verify/{people.site.voucher}")
    nobody.look("public-frozen-phone")
    assert "涉嫌虚假材料" not in nobody.page.content()
    feng.go(f"/registrations/{code}/unfreeze")
    feng.fill(basis="条例第三条", reason="已查清")
    feng.press()
    feng.look("registration-unfrozen")
