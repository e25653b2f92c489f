"""The three lists and feedback on the site: forms, pages, what is told to whom, tables to take along."""

from io import BytesIO
from typing import Any

import openpyxl
import pytest

from ledger import demands, feedback
from ledger.catalogue import Resource, resource_by_code
from tests.ledger.lists import HIDDEN, demand, exclusion, raised, resource
from tests.web.conftest import Site

pytestmark = pytest.mark.pages

WANTED = {
    "title": "企业登记基本信息", "items": "企业名称\n注册资本", "purpose": "贷前审查", "use": "opening",
    "basis": "合同第三条", "cycle": "monthly",
}  # fmt: skip
CODE, HIDDEN_CODE = "307001001/000011", "307001001/000012"


@pytest.fixture
def shelf(site: Site) -> Site:
    """A resource that everybody sees, and one that the registrar and its department see."""
    resource(site.town, 11, "企业登记基本信息", ["企业名称", "注册资本"])
    resource(site.town, 12, "企业登记内部信息", ["企业名称"], **HIDDEN)
    return site


def listed(site: Site, code: str) -> Resource:
    with site.town.reading() as session:
        return resource_by_code(session, code)


def number_in(answer: Any) -> str:
    return str(answer.headers["Location"]).rpartition("/")[2]


def test_a_demand_from_the_resource_s_page_to_its_end(shelf: Site) -> None:
    olga, paul = shelf.visit("olga"), shelf.visit("paul")
    page = olga.get(f"/resources/{CODE}")
    assert "需要这项数据" in page
    form = olga.get(f"/demands/new?resource={CODE}")
    assert f'value="{CODE}"' in form
    assert "企业名称\n注册资本</textarea>" in form
    assert (
        "企业名称"
        not in olga.get(f"/demands/new?resource={HIDDEN_CODE}").partition("items-hint")[0]
    )
    number = number_in(olga.post("/demands/new", {**WANTED, "resource": CODE}))
    told = olga.get(f"/demands/{number}")
    for text in ("其数据项包含：企业名称、注册资本", "需求指定了此资源", "无条件开放", "责任部门答复",
                 "2026-03-16", "市数据局"):  # fmt: skip
        assert text in told
    assert number in paul.get("/work")
    assert "用此资源受理" in paul.get(f"/demands/{number}")
    by = {"resource": CODE, "mode": "interface", "by_on": "2026-04-01"}
    paul.post(f"/demands/{number}/accept", by)
    assert number in paul.get("/responsibilities")
    for visit, verb in ((paul, "fulfil"), (paul, "refuse"), (olga, "withdraw")):
        assert f"/demands/{number}/{verb}" in visit.get(f"/demands/{number}")
    paul.post(f"/demands/{number}/fulfil", {"how": "接口已开通"})
    assert number in olga.get("/work")
    assert "接口: 接口已开通" in olga.get(f"/demands/{number}")
    olga.post(f"/demands/{number}/close")
    assert "已办结" in olga.get(f"/demands/{number}")


def test_a_hidden_resource_is_answered_as_an_unknown_one(shelf: Site) -> None:
    olga = shelf.visit("olga")
    body = {**WANTED, "items": ["企业名称"]}
    given = {"kind": "quality", "about": "data_quality", "description": "缺行"}
    told = []
    for code in (HIDDEN_CODE, "307001001/999999"):
        answers = [
            olga.api("/demands", {**body, "resource": code}, None),
            olga.api(f"/resources/{code}/feedback", given, None),
            olga.client.get(f"/api/v1/resources/{code}/feedback"),
        ]
        entry = {"title": "名单", "resource": code, "forbids": ["opening"], "basis": "法",
                 "from_on": "2026-03-02", "review_on": "2027-03-02"}  # fmt: skip
        answers.append(shelf.visit("pia").api("/exclusions", entry, None))
        told.append([
            (one.status_code, one.get_json()["detail"].replace(code, "CODE")) for one in answers
        ])  # fmt: skip
    assert told[0] == told[1]
    assert {status for status, _ in told[0]} == {404}


def test_the_registrar_alone_is_told_what_the_demander_does_not_see(shelf: Site) -> None:
    made = demand(shelf.town)
    path = f"/demands/{made.number}"
    for login, sees in (("olga", False), ("rita", True)):
        visit = shelf.visit(login)
        assert (HIDDEN_CODE in visit.get(path)) is sees
        codes = [one["code"] for one in visit.read(f"{path}/matches")["items"]]
        assert (HIDDEN_CODE in codes) is sees
        assert HIDDEN_CODE not in str(visit.read(path))
    assert "需求方不可见" in shelf.visit("rita").get(path)


def test_only_both_sides_and_the_authority_read_a_demand(shelf: Site) -> None:
    made = demand(shelf.town)
    for login, status in (("olga", 200), ("opal", 200), ("paul", 200), ("rita", 200), ("gwen", 200),
                          ("mallory", 403), ("pia", 403), ("anna", 403)):  # fmt: skip
        shelf.visit(login).get(f"/demands/{made.number}", status)
    assert shelf.visit("mallory").read("/demands")["items"] == []


def test_what_is_late_is_shown_everywhere(shelf: Site) -> None:
    made = demand(shelf.town)
    shelf.town.later(days=15)
    paul = shelf.visit("paul")
    assert "已超期 1 个工作日" in paul.get(f"/demands/{made.number}")
    for place in ("/demands", "/work", "/responsibilities"):
        assert "超期 1 个工作日" in paul.get(place)
    assert paul.read("/responsibilities")["items"][0]["late_count"] == 1
    assert paul.read(f"/demands/{made.number}")["days_late"] == 1


def test_the_responsibility_list_to_take_along(shelf: Site) -> None:
    made = demand(shelf.town, title="=1+1 企业登记")
    rita = shelf.visit("rita")
    csv = rita.client.get("/api/v1/responsibilities/list.csv").data.decode("utf-8-sig")
    assert csv.splitlines()[0].startswith("责任部门,")
    assert "'=1+1 企业登记" in csv
    book = openpyxl.load_workbook(
        BytesIO(rita.client.get("/api/v1/responsibilities/list.xlsx").data)
    )
    cells = [[cell.value for cell in row] for row in book.active.rows]  # type: ignore[union-attr]
    line = next(row for row in cells if made.number in row)
    assert line[0] == "市数据局"
    assert line[4] == "=1+1 企业登记"
    assert book.active["E3"].data_type == "s"  # type: ignore[union-attr,index]


def test_the_public_is_told_counts_and_members_results(shelf: Site) -> None:
    made = raised(shelf.town, listed(shelf, CODE))
    shelf.town.do("paul", feedback.answer, made, verdict="explained", text="按月更新")
    path = f"/resources/{CODE}"
    public, member = shelf.visit(), shelf.visit("mallory")
    for text in (public.get(path), member.get(path)):
        assert "共提出 1 件，已答复 1 件" in text
        assert "城数运营" not in text
    assert "按月更新" not in public.get(path)
    assert "按月更新" in member.get(path)
    assert public.read(f"{path}/feedback") == {"answered": 1, "raised": 1}


def test_feedback_by_forms_to_an_upheld_appeal(shelf: Site) -> None:
    olga, paul, rita = (shelf.visit(login) for login in ("olga", "paul", "rita"))
    path = f"/resources/{CODE}/feedback/new"
    assert path in olga.get(f"/resources/{CODE}")
    wrong = {"kind": "objection", "about": "item", "item": "法定代表人", "description": "有误"}
    assert "没有数据项" in olga.post(path, wrong, 400).text
    number = number_in(olga.post(path, {**wrong, "item": "企业名称"}))
    assert number in paul.get("/work")
    paul.post(f"/feedback/{number}/answer", {"verdict": "rejected", "text": "无误"})
    olga.post(f"/feedback/{number}/appeal", {"reason": "附证明"})
    assert number in rita.get("/work")
    rita.post(f"/feedback/{number}/uphold", {"reason": "证明成立"})
    told = olga.get(f"/feedback/{number}")
    assert "数据项“企业名称”" in told
    assert "GX2026-000001" in told


def test_the_negative_list_by_forms(shelf: Site) -> None:
    paul, rita, olga = (shelf.visit(login) for login in ("paul", "rita", "olga"))
    number = number_in(paul.post("/exclusions/new", {
        "title": "企业名单", "resource": CODE, "forbids": ["opening"], "basis": "数据安全法第二十一条",
        "from_on": "2026-03-02", "review_on": "2027-03-01",
    }))  # fmt: skip
    assert number in rita.get("/work")
    rita.post(f"/exclusions/{number}/approve")
    assert number in olga.get(f"/resources/{CODE}")
    made = number_in(olga.post("/demands/new", WANTED))
    assert f"负面清单禁止此用途：{number}" in olga.get(f"/demands/{made}")
    shelf.town.later(days=366)
    assert "应于 2027-03-01 前复核" in olga.get(f"/exclusions/{number}")
    assert number in rita.get("/work")


def test_an_entry_on_a_hidden_resource_is_missing_like_an_unknown_one(shelf: Site) -> None:
    entry = exclusion(shelf.town, listed(shelf, HIDDEN_CODE))
    olga = shelf.visit("olga")
    olga.get(f"/exclusions/{entry.number}", 404)
    assert olga.read("/exclusions")["items"] == []
    shelf.visit("paul").get(f"/exclusions/{entry.number}")


def test_two_who_saw_the_same_do_not_both_answer(shelf: Site) -> None:
    made, paul = demand(shelf.town), shelf.visit("paul")
    path = f"/demands/{made.number}"
    paul.api(f"{path}/refuse", {"ground": "法律禁止"}, 200, seen=made.version)
    answer = paul.api(f"{path}/accept", {"resource": CODE, "mode": "file", "by_on": "2026-04-01"},
                      412, seen=made.version)  # fmt: skip
    assert answer.get_json()["code"] == "stale"
    with shelf.town.reading() as session:
        assert demands.by_number(session, made.number).state == "refused"
