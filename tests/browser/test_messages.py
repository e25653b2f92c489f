"""Messages and the work list in Chromium, on a desk and on a phone."""

import pytest

from tests.browser.conftest import PHONE, People
from tests.browser.test_roles import said

LANGS = pytest.mark.parametrize("lang", ["zh", "en"])


@pytest.mark.slow
@LANGS
def test_the_bell_counts_until_all_is_read(people: People, lang: str) -> None:
    reader = people({"zh": "xu", "en": "zhang"}[lang], lang, PHONE)
    reader.look("work-phone")
    bell = reader.page.locator("header a[href='/messages']")
    assert bell.locator(".badge").count()
    bell.click()
    reader.look("messages-phone")
    with reader.page.expect_navigation():
        reader.page.locator("main li form button").first.click()
    reader.look("messages-one-read-phone")
    reader.press(said(lang, "Mark all as read"))
    reader.look("messages-read-phone")
    assert not reader.page.locator("header a[href='/messages'] .badge").count()


@pytest.mark.slow
@LANGS
def test_the_work_list_by_urgency_and_kind(people: People, lang: str) -> None:
    wang = people("wang", lang)
    wang.look("work-groups")
    pills = wang.page.locator("main nav .nav-link")
    if pills.count():
        pills.nth(1).click()
        wang.look("work-filtered")
    phone = people("wang", lang, PHONE)
    phone.look("work-groups-phone")
