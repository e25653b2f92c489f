"""The catalogue's page in Chromium: suggestions by keyboard, filters, chips, without script too."""

import pytest

from tests.browser.conftest import People, Served

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_somebody_searches_by_keyboard_narrows_and_widens(people: People, lang: str) -> None:
    wang = people("wang", lang)
    page = wang.page
    wang.go("/resources")
    wang.look("catalogue")
    page.type("input[name=words]", "土地")
    page.wait_for_selector(".sz-suggestions.show li")
    assert page.get_attribute("input[name=words]", "aria-expanded") == "true"
    wang.look("catalogue-suggestions")
    page.keyboard.press("ArrowDown")
    chosen = page.inner_text("[role=option][aria-selected=true]")
    page.keyboard.press("Escape")
    assert not page.is_visible(".sz-suggestions")
    page.keyboard.press("Enter")
    page.wait_for_url("**/resources?words=*")
    assert "土地" in page.inner_text(".sz-found mark >> nth=0")
    assert chosen
    page.click(".sz-facet >> nth=0")
    page.wait_for_selector(".sz-facet.active")
    wang.look("catalogue-narrowed")
    page.click(".sz-facet.active")
    page.wait_for_selector(".sz-facet.active", state="detached")
    wang.go("/resources?words=龘龘")
    wang.look("catalogue-nothing")


def test_without_script_it_searches_and_filters_all_the_same(
    served: Served, people: People
) -> None:
    browser = people("public", "zh", sign_in=False).page.context.browser
    assert browser is not None
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.url}/resources")
    page.fill("input[name=words]", "土地")
    page.click("form[role=search] button")
    assert "words=" in page.url
    assert page.is_visible("aside summary")
    context.close()
