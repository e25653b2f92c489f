"""The three lists and feedback, clicked through in Chromium, in both languages.

Each test leaves to the next one what the other people find among what waits for them.
"""

import pytest

from tests.browser.conftest import PHONE, People, days_from_now
from webapp.language import catalogue

LANGS = pytest.mark.parametrize("lang", ["zh", "en"])
CODE, TITLE = "307001001/000001", "全国乡级行政区划代码"
DEMAND, ENTRY, FEEDBACK, DUTY = (rf"{prefix}\d{{4}}-\d{{6}}" for prefix in ("XQ", "FM", "FK", "GX"))


def said(lang: str, text: str) -> str:
    """A sentence of the site in a language."""
    return catalogue()[text] if lang == "zh" else text


@pytest.mark.slow
@LANGS
class TestTheThreeLists:
    """In order: what is raised in one is seen in the next."""

    def test_a_demand_from_the_catalogue_to_its_end(self, people: People, lang: str) -> None:
        zhang = people("zhang", lang)
        zhang.go(f"/resources/{CODE}")
        zhang.look("resource-with-lists")
        zhang.click(said(lang, "I need these data"))
        zhang.page.fill("#items", "code\nname\n人口数")
        zhang.fill(purpose="网点选址", use="sharing", basis="授权运营协议", cycle="annual")
        zhang.look("demand-form")
        zhang.press(said(lang, "Submit a demand"))
        number = zhang.number(DEMAND)
        zhang.sees(TITLE, "人口数", said(lang, "It is shared without conditions."))
        zhang.look("demand-assigned")
        li = people("li", lang)
        li.sees(number)
        li.go(f"/demands/{number}")
        li.click(said(lang, "Accept with this one"))
        li.fill(mode="interface", by_on=days_from_now(20))
        li.look("demand-accept")
        li.press(said(lang, "Accept the demand"))
        li.go("/responsibilities")
        li.sees(number)
        li.look("responsibilities")
        li.go(f"/demands/{number}")
        li.click(said(lang, "Say it was supplied"))
        li.fill(how="共享平台接口")
        li.press(said(lang, "Say it was supplied"))
        zhang.go("/work")
        zhang.sees(number)
        zhang.look("work-with-a-demand")
        zhang.go(f"/demands/{number}")
        zhang.click(said(lang, "Close the demand"))
        zhang.press(said(lang, "Close the demand"))
        zhang.sees(said(lang, "demand.closed"))
        zhang.look("demand-closed")
        zhang.go("/demands")
        zhang.look("demands")

    def test_the_registrar_names_the_department_and_decides_on_the_appeal(
        self, people: People, lang: str
    ) -> None:
        zhang, wang, li = people("zhang", lang), people("wang", lang), people("li", lang)
        zhang.go("/demands/new")
        zhang.fill(title="夜间灯光指数", items="指数", purpose="研究", use="opening", basis="合同")
        zhang.press(said(lang, "Submit a demand"))
        number = zhang.number(DEMAND)
        wang.go(f"/demands/{number}")
        wang.look("demand-without-match")
        wang.click(said(lang, "Assign to a department"))
        wang.fill(department="11000000DEM000002L")
        wang.press(said(lang, "Assign to a department"))
        li.go(f"/demands/{number}/refuse")
        li.fill(ground="本部门没有这项职能")
        li.press(said(lang, "Refuse the demand"))
        zhang.go(f"/demands/{number}")
        zhang.look("demand-refused")
        zhang.click(said(lang, "Appeal"))
        zhang.fill(reason="职能目录有此项")
        zhang.press(said(lang, "Appeal"))
        wang.go(f"/demands/{number}/dismiss")
        wang.fill(reason="-")
        wang.press(said(lang, "Dismiss the appeal"))  # who assigned it does not decide
        wang.look("demand-own-hand")
        assert number in wang.page.url

    def test_the_negative_list(self, people: People, lang: str) -> None:
        li, wang = people("li", lang), people("wang", lang)
        li.go("/exclusions/new")
        li.fill(title=f"乡级代码 {lang}", resource=CODE, basis="数据安全法第二十一条",
                from_on=days_from_now(0), review_on=days_from_now(300))  # fmt: skip
        li.page.check("#forbids-operation")
        li.look("exclusion-form")
        li.press(said(lang, "Propose an entry"))
        number = li.number(ENTRY)
        wang.go(f"/exclusions/{number}")
        wang.click(said(lang, "Put in force"))
        wang.press(said(lang, "Put in force"))
        wang.look("exclusion")
        nobody = people("zhang", lang, size=PHONE)
        nobody.go("/exclusions")
        nobody.look("exclusions-phone")
        nobody.go(f"/resources/{CODE}")
        nobody.sees(number)
        nobody.look("resource-excluded-phone")

    def test_feedback_to_an_upheld_appeal(self, people: People, lang: str) -> None:
        zhang, li, wang = people("zhang", lang), people("li", lang), people("wang", lang)
        zhang.go(f"/resources/{CODE}")
        zhang.click(said(lang, "Raise an objection or feedback"))
        zhang.fill(
            kind="objection", about="item", item="cityCode", description="与民政部公布的不一致"
        )
        zhang.look("feedback-form")
        zhang.press(said(lang, "Raise an objection or feedback"))
        number = zhang.number(FEEDBACK)
        li.go(f"/feedback/{number}")
        li.click(said(lang, "Answer the feedback"))
        li.fill(verdict="explained", text="按发布时的区划")
        li.look("feedback-answer")
        li.press(said(lang, "Answer the feedback"))
        zhang.go(f"/feedback/{number}")
        zhang.click(said(lang, "Appeal"))
        zhang.fill(reason="区划已于去年调整")
        zhang.press(said(lang, "Appeal"))
        wang.go(f"/feedback/{number}")
        wang.look("feedback-appealed")
        wang.click(said(lang, "Uphold the appeal"))
        wang.fill(reason="区划确已调整")
        wang.press(said(lang, "Uphold the appeal"))
        wang.number(DUTY)
        wang.look("feedback-upheld")
        nobody = people("public", lang, size=PHONE, sign_in=False)
        nobody.go(f"/resources/{CODE}")
        nobody.look("resource-public-phone")
        wang.go("/feedback")
        wang.look("feedback-list")

    def test_on_a_phone(self, people: People, lang: str) -> None:
        wang = people("wang", lang, size=PHONE)
        wang.go("/demands")
        wang.look("demands-phone")
        with wang.page.expect_navigation():
            wang.page.locator("main tbody th a").first.click()
        wang.look("demand-phone")
        wang.go("/responsibilities")
        wang.look("responsibilities-phone")
