"""A resource's page, its history, the form that changes it; duties and what is overdue, on the site."""

import io
import itertools
from typing import Any

import openpyxl
import pytest

from ledger import catalogue, catalogue_imports
from ledger.catalogue import Resource
from tests.web.conftest import TOKEN, Site
from webapp.deeds.resource import abroad

SUMMARY = (
    "每月由各科室汇总后更新的公共厕所清单，含位置、开放时间与设施，以及无障碍情况和管理单位的名称。"
)
PUBLIC = {"sharing": "unconditional", "opening": "unconditional", "update_cycle": "weekly",
          "updated_on": "2026-01-05", "summary": SUMMARY,
          "items": ["名称", "位置"], "source_system": "城管内网系统", "impacts": ["person:ordinary"],
          "personal_information": "none", "grading": "general"}  # fmt: skip
_number = itertools.count(100)


@pytest.fixture
def site(common_site: Site) -> Site:
    """The tests share a site; each has a resource of its own."""
    return common_site


@pytest.fixture
def code() -> str:
    """The code of a test's own resource."""
    return f"307001001/{next(_number):06d}"


def listed(site: Site, code: str, provider: str = "市数据局", **changes: Any) -> None:
    site.town.do("rita", catalogue.add_resource, code=code, title="公共厕所", provider=provider,
                 elements={**PUBLIC, **changes})  # fmt: skip


def changed(site: Site, code: str, reason: str = "更正", **changes: Any) -> None:
    row = {"title": "公共厕所", "provider": "市数据局", **PUBLIC, **changes}
    row = {name: value for name, value in row.items() if value is not None}
    site.town.do("rita", catalogue_imports.bring_one, code, row, reason)


def test_the_page_tells_every_element_and_derives_the_grade(site: Site, code: str) -> None:
    listed(site, code, grading="general", impacts=["economy:serious"], person_count=200_000,
           personal_information="general", opening="not_open", export_planned="yes")  # fmt: skip
    page = site.visit("rita").get(f"/resources/{code}")
    for words in ("一数一源一标准", "城管内网系统", "经济运行：严重危害", "重要数据", "部门信息资源目录",
                  "数据出境安全评估", "含重要数据", "待核", "2026-01-12"):  # fmt: skip
        assert words in page, words
    site.visit().get(f"/resources/{code}", 404)


def test_who_only_sees_a_resource_is_not_told_the_inner_elements(site: Site, code: str) -> None:
    listed(site, code)
    inside, outside = (
        site.visit("paul").get(f"/resources/{code}"),
        site.visit().get(f"/resources/{code}"),
    )
    for words in ("城管内网系统", "个人权益：一般危害"):
        assert words in inside
        assert words not in outside
    told = site.visit().read(f"/resources/{code}")
    assert "source_system" not in told["elements"]
    assert told["cross_border"] is None
    assert [one["kind"] for one in told["grounds"]] == ["declared"]
    assert site.visit("mallory").read(f"/resources/{code}") == told
    assert site.visit("gwen").read(f"/resources/{code}")["elements"]["source_system"]


@pytest.mark.parametrize(
    ("elements", "grade", "expected"),
    [
        ({"personal_information": "none"}, None, ("exempt", "3")),
        ({"personal_information": "sensitive"}, None, None),
        ({"personal_information": "sensitive", "person_count": 500}, None, None),
        ({"personal_information": "sensitive", "person_count": 500, "sensitive_person_count": 0}, None,
         None),
        ({"personal_information": "sensitive", "sensitive_person_count": 5}, None,
         ("contract_or_certification", "8")),
        ({"personal_information": "sensitive", "sensitive_person_count": 10_000}, None,
         ("assessment", "7(2)")),
        ({"personal_information": "sensitive", "person_count": 1_000_000}, None, ("assessment", "7(2)")),
        ({"personal_information": "sensitive"}, "important", ("assessment", "7(2)")),
        ({"personal_information": "sensitive", "ciio": "yes"}, None, ("assessment", "7(1)")),
        ({"personal_information": "general", "ciio": "yes"}, None, ("assessment", "7(1)")),
        ({"personal_information": "none", "ciio": "yes"}, None, ("exempt", "3")),
        ({"personal_information": "general"}, None, None),
        ({"personal_information": "general", "person_count": 0}, None, None),
        ({"personal_information": "general", "sensitive_person_count": 0}, None, None),
        ({"personal_information": "general", "person_count": 5}, None, ("exempt", "5(4)")),
        ({"personal_information_text": "也许", "person_count": 5}, None, None),
        ({"personal_information_text": "也许", "ciio": "yes"}, None, ("assessment", "7(1)")),
        ({"personal_information": "general", "person_count": "约三百"}, None, None),
        ({}, None, None),
    ],
)  # fmt: skip
def test_what_was_not_counted_is_never_exempt(
    elements: dict[str, Any], grade: str | None, expected: tuple[str, str] | None
) -> None:
    told = abroad(Resource(elements=elements, grade=grade))
    assert (told and (told["route"], told["article"])) == expected


def test_the_history_tells_each_difference_in_words(site: Site, code: str) -> None:
    listed(site, code)
    summary = SUMMARY.replace("每月", "每周")
    changed(site, code, summary=summary, items=["名称", "开放时间"], update_cycle="monthly",
            opening="conditional", opening_condition="申请")  # fmt: skip
    page = site.visit("paul").get(f"/resources/{code}/history")
    for words in (
        "<del>月</del><ins>周</ins>", "− 位置", "+ 开放时间", "<del>每周</del> → <ins>每月</ins>",
        "<del>无条件开放</del> → <ins>有条件开放</ins>", "更正", "数据登记机构", "Rita",
    ):  # fmt: skip
        assert words in page, words
    outside = site.visit().get(f"/resources/{code}/history")
    assert "数据登记机构" in outside
    assert "Rita" not in outside
    assert "城管内网系统" not in outside


def test_any_two_versions_are_compared(site: Site, code: str) -> None:
    listed(site, code)
    changed(site, code, fee="甲")
    changed(site, code, fee="乙")
    visit = site.visit()
    told = visit.read(f"/resources/{code}/history?old=1&new=3")
    assert told["compared"] == [{"field": "fee", "new": "乙", "old": None}]
    assert [one["version"] for one in told["items"]] == told["versions"] == [3, 2, 1]
    assert "乙" in visit.get(f"/resources/{code}/history?old=1&new=3")
    visit.read(f"/resources/{code}/history?old=1&new=7", 404)


def test_versions_of_when_it_was_hidden_are_shown_to_those_only_who_saw_them(
    site: Site, code: str
) -> None:
    listed(site, code, opening="not_open", sharing="not_shared", sharing_basis="秘", fee="暗")
    changed(site, code, opening="not_open", fee="单位可见")
    changed(site, code, fee="公开")

    def seen(login: str | None) -> list[int]:
        found: list[int] = site.visit(login).read(f"/resources/{code}/history")["versions"]
        return found

    assert seen("rita") == seen("gwen") == seen("paul") == [3, 2, 1]
    assert seen(None) == seen("olga") == [3]
    assert seen("pia") == [3]  # a provider, but of a bank
    page = site.visit().get(f"/resources/{code}/history")
    assert "暗" not in page
    assert "单位可见" not in page
    site.visit().read(f"/resources/{code}/history?old=1&new=3", 404)


def test_a_registrar_s_change_by_hand_takes_effect_and_a_provider_s_waits(
    site: Site, code: str
) -> None:
    listed(site, code)
    rita, paul = site.visit("rita"), site.visit("paul")
    page = rita.get(f"/resources/{code}/change")
    assert "城管内网系统" in page
    form = {"title": "公共厕所", "provider": "市数据局", "fee": "免费", "reason": "补录",
            "opening": "unconditional", "sharing": "unconditional", "grading": "general"}  # fmt: skip
    rita.post(f"/resources/{code}/change", form)
    assert "免费" in rita.get(f"/resources/{code}")
    assert "城管内网系统" not in rita.get(f"/resources/{code}"), (
        "what the form leaves out is no longer said"
    )
    paul.post(f"/resources/{code}/change", {**form, "fee": "收费"})
    assert "收费" not in rita.get(f"/resources/{code}")
    site.visit("pia").get(f"/resources/{code}/change", 403)
    site.visit("olga").get(f"/resources/{code}/change", 403)


def test_what_breaks_the_rules_is_told_at_its_field_and_nothing_is_lost(
    site: Site, code: str
) -> None:
    listed(site, code)
    form = {"title": "公共厕所", "provider": "市数据局", "reason": "试", "opening": "unconditional",
            "sharing": "not_shared", "personal_information": "sensitive"}  # fmt: skip
    page = site.visit("rita").post(f"/resources/{code}/change", form, 400).text
    for at in ("opening-error", "sharing_basis-error"):
        assert f'id="{at}"' in page
    assert "含个人信息的资源不得无条件开放。" in page


def test_a_flag_that_nobody_can_read_counts_as_personal_until_somebody_says_what_it_is(
    site: Site, code: str
) -> None:
    listed(
        site, code, personal_information=None, personal_information_text="也许", opening="not_open"
    )
    form = {"title": "公共厕所", "provider": "市数据局", "reason": "开放", "opening": "unconditional",
            "sharing": "unconditional"}  # fmt: skip
    rita = site.visit("rita")
    assert 'id="opening-error"' in rita.post(f"/resources/{code}/change", form, 400).text
    rita.post(f"/resources/{code}/change", {**form, "personal_information": "none"})
    assert site.visit().read(f"/resources/{code}")["elements"]["personal_information"] == "none"
    body = {"code": f"X-{code}", "title": "甲", "provider": "市数据局",
            "elements": {"opening": "unconditional", "personal_information": "也许"}}  # fmt: skip
    assert "个人信息" in rita.api("/resources", body, 400).text


def test_a_state_secret_is_refused_by_hand_and_in_a_form(site: Site, code: str) -> None:
    rita = site.visit("rita")
    body = {"code": f"X-{code}", "title": "甲", "provider": "市数据局"}
    for grade in ("涉密（机密）", "秘密级"):
        refused = rita.api("/resources", {**body, "elements": {"grading": grade}}, 400)
        assert "涉密数据不在本目录登记" in refused.text
    refused = rita.api("/resources", {**body, "elements": {"grading_text": "绝密级"}}, 400)
    assert "涉密数据不在本目录登记" in refused.text
    rita.read(f"/resources/X-{code}", 404)
    listed(site, code, grading=None, grading_text="机密级", opening="not_open")
    form = {
        "title": "公共厕所",
        "provider": "市数据局",
        "reason": "更正",
        "sharing": "unconditional",
    }
    assert 'id="grading-error"' in rita.post(f"/resources/{code}/change", form, 400).text
    rita.post(f"/resources/{code}/change", {**form, "grading": "general"})


@pytest.mark.parametrize("written", ["2026/1/5", "2026年1月5日", "2026-01-05", " 2026.1.5 "])
def test_a_day_typed_into_the_form_is_read_as_a_table_s_is(
    site: Site, code: str, written: str
) -> None:
    listed(site, code)
    form = {"title": "公共厕所", "provider": "市数据局", "reason": "更新", "update_cycle": "weekly",
            "updated_on": written, "published_on": "2025年3月", "period_from": "2025年",
            "period_to": ""}  # fmt: skip
    rita = site.visit("rita")
    rita.post(f"/resources/{code}/change", form)
    told = rita.read(f"/resources/{code}")
    assert told["stale_on"] == "2026-01-12"
    kept = told["elements"]
    assert (kept["updated_on"], kept["published_on"], kept["period_from"]) == (
        "2026-01-05", "2025-03", "2025",
    )  # fmt: skip
    assert "period_to" not in kept


def test_a_day_that_cannot_be_read_is_refused_at_its_field(site: Site, code: str) -> None:
    listed(site, code)
    days = {"updated_on": "去年", "published_on": "2026-13-01", "period_from": "2026年2月30日",
            "period_to": "长期"}  # fmt: skip
    form = {"title": "公共厕所", "provider": "市数据局", "reason": "更新", **days}
    page = site.visit("rita").post(f"/resources/{code}/change", form, 400).text
    for name, written in days.items():
        assert f'id="{name}-error"' in page
        assert written in page, "what was typed is not lost"
    assert "日期、月份或年份" in page


def test_the_count_of_a_category_stays_while_the_category_does(site: Site, code: str) -> None:
    listed(site, code, category="公共资讯", category_count=921)
    form = {"title": "公共厕所", "provider": "市数据局", "reason": "更正", "category": "公共资讯"}
    rita = site.visit("rita")
    rita.post(f"/resources/{code}/change", form)
    assert rita.read(f"/resources/{code}")["elements"]["category_count"] == 921
    rita.post(f"/resources/{code}/change", {**form, "category": "交通"})
    assert "category_count" not in rita.read(f"/resources/{code}")["elements"]


def test_a_change_names_the_version_that_was_seen(site: Site, code: str) -> None:
    listed(site, code)
    body = {"title": "公共厕所", "provider": "市数据局", "reason": "试"}
    visit = site.visit("rita")
    visit.api(f"/resources/{code}/change", body, 428)
    visit.api(f"/resources/{code}/change", body, 200, seen=1)
    visit.api(f"/resources/{code}/change", body, 412, seen=1)
    visit.api(f"/resources/{code}/change", body, 400, seen=2)  # it says this already
    visit.api(f"/resources/{code}/withdraw", {"reason": "停"}, 200, seen=2)
    assert visit.read(f"/resources/{code}")["state"] == "withdrawn"
    site.visit().read(f"/resources/{code}", 404)


def test_a_duty_goes_from_report_to_confirmation(site: Site, code: str) -> None:
    listed(site, code)
    rita, paul = site.visit("rita"), site.visit("paul")
    rita.post("/duties/new", {"department": site.town.party("bureau").uscc, "cause": "error",
                              "cause_on": "2026-02-10", "description": "单位写错", "resource": code},
              page="/duties/new")  # fmt: skip
    number = rita.read("/duties")["items"][0]["number"]
    assert number in paul.get("/work")
    site.visit("pia").get(f"/duties/{number}", 403)
    paul.post(f"/duties/{number}/settle", {"resource": code})
    assert "确认" in rita.get("/work")
    rita.post(f"/duties/{number}/confirm")
    assert code in rita.get(f"/duties/{number}")


def test_what_is_overdue_stands_by_department_on_a_page_and_in_tables(
    site: Site, code: str
) -> None:
    listed(site, code)
    listed(site, f"X-{code}", "市财政局", update_cycle="monthly")
    gwen, paul = site.visit("gwen"), site.visit("paul")
    page = gwen.get("/overdue")
    assert "市数据局" in page
    assert "市财政局" in page
    assert "市财政局" not in paul.get("/overdue")
    assert code in paul.get("/work")
    site.visit("olga").get("/overdue", 403)
    told = gwen.read("/overdue?department=市财政局")
    assert [
        (one["name"], one["resources"], one["items"][0]["number"]) for one in told["items"]
    ] == [("市财政局", 1, f"X-{code}")]
    text = gwen.client.get("/api/v1/overdue.csv").data.decode("utf-8-sig")
    book = openpyxl.load_workbook(io.BytesIO(gwen.client.get("/api/v1/overdue.xlsx").data))
    column = {row[2].value for row in book.worksheets[0].iter_rows(min_row=2)}
    assert {code, f"X-{code}"} <= column
    assert all(number in text for number in column)


def test_a_hidden_resource_answers_like_none(site: Site, code: str) -> None:
    listed(site, code, opening="not_open", sharing="not_shared", sharing_basis="秘")
    for more in ("", "/history"):
        pages = []
        for asked in (code, "307001001/999999"):
            found = site.visit().client.get(f"/resources/{asked}{more}")
            assert found.status_code == 404
            pages.append(TOKEN.sub("", found.text).replace(asked, ""))
        assert pages[0] == pages[1]
