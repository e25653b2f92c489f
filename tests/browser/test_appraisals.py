"""Quality in pictures, and an appraisal from wrong input to its approval, clicked through in Chromium."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.browser.conftest import DATA, DESK, PHONE, People, Person, Served, days_from_now
from tests.browser.test_roles import APPRAISAL, REGISTRATION, said

LANGS = pytest.mark.parametrize("lang", ["zh", "en"])


def do(person: Person, what: str) -> None:
    """Press the button that sends `do`."""
    with person.page.expect_navigation():
        person.page.locator(f'button[name="do"][value="{what}"]:not(.visually-hidden)').click()


def pasted(document: dict[str, Any]) -> str:
    return str(yaml.safe_dump(document, allow_unicode=True))


def opened(person: Person, place: str = "main details") -> None:
    for one in person.page.locator(place).all():
        one.evaluate("e => e.open = true")


def legible(person: Person) -> None:
    """No letter of a picture is smaller than nine pixels, and none leaves its picture."""
    found: list[Any] = person.page.evaluate(
        """() => [...document.querySelectorAll("svg.sz-chart")].map(svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll("text")].map(text => {
              const box = text.getBoundingClientRect();
              const size = parseFloat(getComputedStyle(text).fontSize) * frame.width / 360;
              return [text.textContent, size, box.left - frame.left, frame.right - box.right];
            });
        }).flat()"""
    )
    assert found, "there are pictures"
    # letters differ by font: what is cut by an estimate may stand out by a few pixels
    bad = [one for one in found if one[1] < 9 or one[2] < -6 or one[3] < -6]
    assert not bad, bad


@pytest.mark.slow
@LANGS
def test_the_quality_of_a_file_is_seen_in_pictures(
    people: People, served: Served, lang: str
) -> None:
    for size, name in ((DESK, "desk"), (PHONE, "phone")):
        wang = people("wang", lang, size)
        wang.go(f"/applications/{served.prepared[lang]}")
        opened(wang)
        assert wang.page.locator("svg.sz-chart").count() == 4, "two files, two pictures each"
        wang.sees(said(lang, "Where it fails: columns by indicators"), "cityCode")
        wang.sees(said(lang, "to be asked"))
        legible(wang)
        wang.look(f"quality-{name}")


@pytest.mark.slow
@LANGS
def test_an_appraisal_from_wrong_input_to_its_approval(people: People, lang: str) -> None:
    document = yaml.safe_load((DATA / "appraisal.yaml").read_text())
    purpose = f"{document['purpose']} {lang}"
    sun = people("sun", lang)
    sun.go("/registrations")
    code = sun.number(REGISTRATION)
    sun.go(f"/registrations/{code}/appraisals")
    sun.look("value-form-empty")
    do(sun, "on:income")
    sun.fill(income__rate__risk_free="2,35%", income__rate__management="two", purpose=purpose)
    do(sun, "draft")
    sun.look("value-form-wrong")
    assert sun.page.input_value('[id="income.rate.management"]') == "two"
    assert sun.page.get_attribute('[id="income.rate.management"]', "aria-invalid") == "true"

    # the whole document, pasted, takes the place of what was typed
    sun.page.locator("details:has(#documents) > summary").click()
    sun.fill(documents=pasted({**document, "purpose": purpose}))
    do(sun, "fill")
    assert sun.page.input_value('[id="income.periods.3.share"]') == "0.25"
    do(sun, "add:income.periods")
    sun.fill(income__periods__4__revenue="1,900,000", income__periods__4__share="25%")
    sun.page.locator("#analysis-income > summary").click()
    do(sun, "around:income")
    opened(sun, "#analysis-income details")
    do(sun, "add:analysis.income.range.inputs")
    opened(sun, "#analysis-income details")
    drawn = "analysis__income__range__inputs"
    sun.fill(analysis__income__range__seed="20261130", analysis__income__range__draws="20,000")
    sun.fill(**{f"{drawn}__0__at": "periods[*].share", f"{drawn}__0__low": "20%",
                f"{drawn}__0__high": "35%", f"{drawn}__1__at": "rate.management"})  # fmt: skip
    with sun.page.expect_navigation():  # another distribution asks for other fields, at once
        sun.fill(**{f"{drawn}__1__distribution": "triangular"})
    sun.fill(**{f"{drawn}__1__low": "1%", f"{drawn}__1__mode": "2%", f"{drawn}__1__high": "5%"})
    opened(sun, "#analysis-income details")
    breakeven = "analysis__income__breakeven"
    sun.fill(**{f"{breakeven}__at": "periods[*].share", f"{breakeven}__target": "1,200,000",
                f"{breakeven}__low": "5%", f"{breakeven}__high": "60%"})  # fmt: skip
    do(sun, "compute")
    sun.sees(said(lang, "Preview: nothing is recorded yet"))
    shown = sun.page.locator("#result .display-6").inner_text()
    assert sun.page.locator("svg.sz-chart").count() == 4
    sun.look("value-preview")
    sun.fill(base_on=days_from_now(0))
    do(sun, "draft")
    number = sun.number(APPRAISAL)
    assert sun.page.locator("main .display-6").first.inner_text() == shown

    qian = people("qian", lang)
    qian.go(f"/appraisals/{number}")
    opened(qian)
    qian.page.locator('a[href="#income-v_1"]').first.click()
    assert qian.page.url.endswith("#income-v_1")
    qian.look("value-steps")
    qian.click(said(lang, "Approve"))
    qian.press(said(lang, "Approve"))
    qian.go(f"/appraisals/{number}?recompute=1")
    qian.sees(said(lang, "approved"))
    legible(qian)
    qian.look("value-approved")
    phone = people("qian", lang, PHONE)
    phone.go(f"/appraisals/{number}")
    legible(phone)
    opened(phone)
    phone.look("value-phone")

    # the next edition, with one input changed, is explained by it
    rate = document["documents"]["income"]["inputs"]["rate"]
    changed = {**document, "purpose": purpose, "base_on": days_from_now(0)}
    changed["documents"]["income"]["inputs"]["rate"] = {**rate, "management": "0.03"}
    sun.go(f"/registrations/{code}/appraisals")
    sun.page.locator("details:has(#documents) > summary").click()
    sun.fill(documents=pasted(changed))
    do(sun, "draft")
    sun.sees(said(lang, "Compared with the edition before"), number)
    legible(sun)
    sun.look("value-compared")


@pytest.mark.slow
@LANGS
def test_anybody_computes_a_value_without_an_appraisal(people: People, lang: str) -> None:
    zhou = people("zhou", lang, PHONE)
    zhou.go("/value/cost")
    zhou.look("calculator-empty")
    for key in ("preparatory", "direct", "indirect", "opportunity", "taxes"):
        zhou.fill(**{f"cost__{key}": "1,000.00"})
    zhou.page.locator("#cost\\.taxes").press("Enter")
    zhou.page.wait_for_url(re.compile("#result"))
    zhou.sees("5,000.00")
    opened(zhou)
    zhou.look("calculator-cost")
    with zhou.page.expect_download() as taken:
        zhou.page.locator('button[value="json"]').click()
    assert json.loads(taken.value.path().read_bytes())["value"] == "500000"
    for method in ("income", "market", "quality", "ahp"):
        zhou.go(f"/value/{method}")
        do(zhou, "compute")
        zhou.look(f"calculator-{method}-missing")
