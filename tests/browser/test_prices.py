"""A price clicked through in Chromium: computed, proposed, confirmed; a sale above it refused; reviewed."""

import pytest
import yaml

from tests.browser.conftest import People, Served, days_from_now
from tests.browser.test_appraisals import do, opened
from tests.browser.test_roles import said

LANGS = pytest.mark.parametrize("lang", ["zh", "en"])
PRICE = r"JG\d{4}-\d{4}"
COSTS = {
    "platform": "1,000,000.00", "handling": "500000", "staff": "300000", "acquisition": "0",
    "period": "200000", "subsidy": "0",
}  # fmt: skip
PRODUCT = {"name": "评估服务", "unit": "产品数量", "purpose": "industry", "quantity": "4"}


@pytest.mark.slow
@LANGS
def test_from_the_computation_to_the_confirmed_price(
    people: People, served: Served, lang: str
) -> None:
    zhang, li = people("zhang", lang), people("li", lang)
    zhang.go("/value/price_cap")
    zhang.look("price-cap-empty")
    facts = {
        **COSTS, "survey_year": "2026", "rate__value": "1.66%", "rate__year": "2025",
        "rate__source": "中债国债收益率曲线, 日均", "markup_points": "5", "markup_basis": "协商",
        "tax": "100000", "tax_basis": "增值税", "excess": "0", "stage": "trial",
        "months_operated": "0", "cycle_years": "1",
        **{f"products__0__{key}": value for key, value in PRODUCT.items()},
        "products__0__cap": "500000.00", "products__0__fee": "500000.01",
    }  # fmt: skip
    zhang.fill(**{f"price_cap__{key}": value for key, value in facts.items()})
    do(zhang, "compute")
    zhang.look("price-cap-wrong")
    zhang.sees({"zh": "高于其上限", "en": "above its cap of"}[lang])
    zhang.fill(price_cap__products__0__fee="400000.00")
    do(zhang, "compute")
    zhang.sees("2,233,200.00")
    opened(zhang)
    zhang.look("price-cap-made")

    begins = days_from_now({"zh": 0, "en": 1}[lang])
    inputs = {
        **{f"{key}_yuan": value.replace(",", "") + ".00"[: 3 * ("." not in value)]
           for key, value in COSTS.items()},
        "survey_year": 2026, "rate": {"value": "0.0166", "year": 2025, "source": "中债"},
        "markup_points": 5, "markup_basis": "协商", "tax_yuan": "100000", "tax_basis": "增值税",
        "excess_yuan": "0", "stage": "trial", "months_operated": 0, "cycle_years": 1,
        "products": [{**PRODUCT, "cap_yuan": "500000", "fee_yuan": "400000"}],
    }  # fmt: skip
    zhang.go(f"/agreements/{served.agreement}")
    zhang.click(said(lang, "Propose a price setting"))
    zhang.fill(document=yaml.safe_dump(inputs, allow_unicode=True), from_on=begins,
               until_on=days_from_now(700))  # fmt: skip
    zhang.press(said(lang, "Propose a price setting"))
    zhang.look("price-too-long")
    zhang.fill(until_on=days_from_now(300))
    zhang.press(said(lang, "Propose a price setting"))
    number = zhang.number(PRICE)
    zhang.sees("2,233,200.00", "500,000.00")
    zhang.look("price-proposed")
    li.go("/work")
    li.sees(number)
    li.go(f"/prices/{number}")
    li.click(said(lang, "Confirm the price setting"))
    li.look("price-confirm-form")
    li.press(said(lang, "Confirm the price setting"))
    li.look("price-confirmed")
    li.go("/prices")
    li.sees(number)
    li.look("price-list")
    li.go(f"/agreements/{served.agreement}")
    li.look("agreement-with-prices")

    if lang == "zh":  # the English edition holds from tomorrow on
        zhang.go("/vouchers")
        voucher = zhang.number(r"PZ\d{6}-\d{6}-[0-9X]")
        zhang.go(f"/vouchers/{voucher}/licences")
        zhang.fill(order="CAP-1", licensee_address=f"0x{10**39 + 77}", right="use",
                   purpose="industry", terms="scene: 风险评估\n", from_on=days_from_now(0),
                   until_on=days_from_now(30), price_yuan="500000.01")  # fmt: skip
        zhang.page.locator("#licensee").select_option(index=1)
        zhang.press()
        zhang.sees("的价格高于其上限")
        zhang.look("sale-above-its-cap")


@pytest.mark.slow
@LANGS
def test_a_review_tells_who_adjusts_what(people: People, lang: str) -> None:
    sun = people("sun", lang)
    sun.go("/value/price_review")
    sun.fill(price_review__years__0__year="2025", price_review__years__0__permitted="11,000,000",
             price_review__basis="账")  # fmt: skip
    sun.look("price-review-empty")
    revenue = sun.page.locator('[id="price_review.years.0.revenue"]')
    if not revenue.is_visible():
        opened(sun)
    sun.fill(price_review__years__0__revenue="12,210,000.00")
    do(sun, "compute")
    opened(sun)
    sun.sees({"zh": "由授权主体调整", "en": "the authorising body adjusts the caps"}[lang])
    sun.look("price-review-made")
