"""A table is checked on a page, its columns are corrected, it is applied or proposed, and undone."""

import io
import re
from typing import Any

from sqlalchemy import select

from ledger import catalogue
from ledger.catalogue import Resource
from tests.web.conftest import Site, Visit
from tests.web.test_jobs_pages import plain, run, visit_of

HEAD = "编号,名称,提供方,怎么说,共享类型,开放类型\n"
FREE = "无条件共享,无条件开放\n"
FIRST = f"{HEAD}A1,桥梁,市数据局,旧摘要,{FREE}A2,路灯,市数据局,照明,{FREE}"
NEXT = f"{HEAD}A1,桥梁,市数据局,新摘要,{FREE}A3,车站,市数据局,站点,{FREE}"


def check(site: Site, visit: Visit, text: str, name: str = "目录.csv", **options: Any) -> str:
    """Hand a table in to be checked; the address of the page that tells what was found."""
    file = (io.BytesIO(text.encode(options.pop("charset", "utf-8"))), name)
    answer = visit.post("/catalogue-checks", {"file": file, **options})
    return checked(site, visit, answer)


def checked(site: Site, visit: Visit, answer: Any) -> str:
    run(site)
    moved = visit.client.get(answer.headers["Location"])
    assert moved.status_code == 303, plain(moved.text)
    return str(moved.headers["Location"])


def applied(site: Site, visit: Visit, address: str, reason: str = "年度更新") -> str:
    """Apply what a page shows; the address of the change set."""
    answer = visit.post(f"{address}/apply", {"reason": reason}, page=address)
    run(site)
    page = visit.get(answer.headers["Location"])
    found = re.search(r'href="(/catalogue-imports/[0-9a-f-]{36})"', page)
    assert found, plain(page)
    return found[1]


def titles(site: Site) -> dict[str, tuple[str, Any]]:
    with site.town.reading() as session:
        rows = session.scalars(select(Resource))
        return {row.code: (row.state, row.elements.get("summary")) for row in rows}


def test_a_table_is_checked_corrected_applied_and_undone(site: Site) -> None:
    visit = visit_of(site, "rita")
    assert "Check" in visit.get("/catalogue-imports/new")
    address = check(site, visit, FIRST)
    page = plain(visit.get(address))
    assert "2 usable rows: 2 new, 0 changed, 0 unchanged" in page
    assert "怎么说 旧摘要 照明" in page, "sample values"
    assert "left out: unknown" in page
    assert titles(site) == {}, "nothing was stored"

    answer = visit.post(f"{address}/again", {"column-3": "summary"}, page=address)
    address = checked(site, visit, answer)
    assert "as you say" in plain(visit.get(address))
    first = applied(site, visit, address)
    assert titles(site) == {"A1": ("listed", "旧摘要"), "A2": ("listed", "照明")}

    address = check(site, visit, NEXT, withdraw_gone="on")
    page = plain(visit.get(address))
    assert "as the last time" in page, "what was said of a column is remembered"
    assert "1 new, 1 changed, 0 unchanged, 1 no longer in the file" in page
    assert re.search(r"Summary ?: 旧摘要 → 新摘要", page)
    assert "These are withdrawn." in page
    second = applied(site, visit, address, "改版")
    assert titles(site) == {
        "A1": ("listed", "新摘要"), "A2": ("withdrawn", "照明"), "A3": ("listed", "站点"),
    }  # fmt: skip
    page = plain(visit.get(second))
    assert "改版" in page
    assert "Rita" in page, "a member is called by his name among members"
    assert re.search(r"旧摘要 → 新摘要", page)
    refused = visit.post(f"{second}/undo", {"reason": " \u3000"}, 400).text
    assert "This is still missing." in refused
    visit.post(f"{second}/undo", {"reason": "弄错了"})
    assert titles(site) == {
        "A1": ("listed", "旧摘要"), "A2": ("listed", "照明"), "A3": ("withdrawn", "站点"),
    }  # fmt: skip
    assert "This change set is undone." in visit.get(second)
    page = plain(visit.get("/catalogue-imports"))
    assert page.count("目录.csv") == 3
    assert "undone" in page
    assert visit.get(first)


def test_bad_rows_are_all_told_and_can_be_downloaded(site: Site) -> None:
    visit = visit_of(site, "rita")
    text = HEAD + "A1,一,市数据局,,,\nA1,二,市数据局,,,\n,三,市数据局,,,\nA4,=HYPERLINK(1),,,,\n"
    address = check(site, visit, text)
    page = plain(visit.get(address))
    assert "3 rows cannot be used" in page
    assert "Mend the bad rows" in page
    assert "Apply just this" not in page
    answer = visit.client.get(f"{address}/problems.csv")
    told = answer.data.decode("utf-8-sig")
    assert "The code already stands in row 2." in told
    assert told.count("the row cannot be used") == 2
    answer = visit.post(f"{address}/again", {"skip_bad_rows": "on"}, page=address)
    address = checked(site, visit, answer)
    applied(site, visit, address)
    assert set(titles(site)) == {"A1"}


def test_what_changed_since_the_check_is_not_overwritten(site: Site) -> None:
    visit = visit_of(site, "rita")
    address = check(site, visit, FIRST)
    site.town.do(
        "rob", catalogue.add_resource, code="A1", title="别的", provider="市数据局", elements={}
    )
    answer = visit.post(f"{address}/apply", {}, page=address)
    run(site)
    assert "changed since this was checked" in visit.get(answer.headers["Location"])
    assert set(titles(site)) == {"A1"}


def test_a_provider_proposes_and_a_registrar_decides(site: Site) -> None:
    paul, rita = visit_of(site, "paul"), visit_of(site, "rita")
    foreign = FIRST.replace("A2,路灯,市数据局", "A2,路灯,城市商业银行")
    page = plain(paul.get(check(site, paul, foreign)))
    assert "The provider is not your organisation" in page
    assert "Take the rows of other organisations out" in page

    address = check(site, paul, FIRST)
    assert "A registrar looks at it" in plain(paul.get(address))
    proposed = applied(site, paul, address)
    assert titles(site) == {}
    assert "Approve" not in plain(paul.get(proposed)).split("History")[0].replace("Approved", "")
    page = plain(rita.get("/work"))
    assert "目录.csv" in page, "it waits for the registrar"
    assert "A1" in plain(rita.get(proposed))
    rita.post(f"{proposed}/approve", {})
    assert set(titles(site)) == {"A1", "A2"}

    again = applied(site, paul, check(site, paul, NEXT, name="第二次.csv"))
    rita.post(f"{again}/reject", {"reason": "摘要不全"})
    assert "A3" not in titles(site)
    assert "rejected" in plain(paul.get(again))
    for stranger in ("pia", "olga"):
        assert site.visit(stranger).client.get(proposed).status_code in (403, 404)


def test_a_table_without_header_in_another_encoding(site: Site) -> None:
    visit = visit_of(site, "rita", "zh")
    text = "307001001/000001,桥梁,市数据局,无条件共享\n307001001/000002,路灯,市城管局,有条件共享\n"
    address = check(site, visit, text, headless="on", charset="gbk", defaults="opening=有条件开放")
    page = plain(visit.get(address))
    assert "按内容" in page
    assert "无表头" in page
    applied(site, visit, address)
    with site.town.reading() as session:
        found = catalogue.resource_by_code(session, "307001001/000001")
        assert (found.elements["sharing"], found.elements["opening"]) == (
            "unconditional",
            "conditional",
        )


def test_a_hidden_resource_is_there_for_nobody_else(site: Site) -> None:
    site.town.do(
        "rita", catalogue.add_resource, code="H/1", title="内部", provider="局", elements={}
    )
    shown, unknown = "/api/v1/resources/H%2F1", "/api/v1/resources/H%2F2"
    assert site.visit("rita").client.get(shown).status_code == 200
    for login in (None, "olga", "anna"):
        client = site.visit(login).client
        hidden, never = client.get(shown), client.get(unknown)
        assert hidden.status_code == never.status_code == 404
        assert hidden.get_json()["detail"] == never.get_json()["detail"].replace("H/2", "H/1")
        assert client.get("/resources/H/1").status_code == 404
    answer = site.visit("olga").client.get("/api/v1/resources")
    assert "H/1" not in answer.text


def test_anothers_check_is_as_missing_as_none(site: Site) -> None:
    address = check(site, visit_of(site, "rita"), FIRST)
    site.visit("rob").get(address, 404)
    site.visit("rob").get(f"{address}/problems.csv", 404)
