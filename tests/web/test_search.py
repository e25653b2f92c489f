"""The open catalogue on the site: what is found and shown, and that what may not be seen leaks nowhere."""

import json
import re
from html import unescape
from io import BytesIO
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

import pytest
from sqlalchemy import select

from ledger import agreements, catalogue
from ledger.catalogue import Resource
from tests.conftest import Town
from tests.web.conftest import TOKEN, Site, Visit
from tests.web.test_matrix import NOBODY, Stage, furnish

pytestmark = pytest.mark.pages

OPEN = {"sharing": "unconditional", "opening": "unconditional", "update_cycle": "daily"}
HIDDEN = {"sharing": "not_shared", "opening": "not_open", "update_cycle": "monthly"}
SECRET = "鬯龘霡靐"  # stands in every text of what is hidden, and nowhere else


def listed(town: Town, code: str, title: str, **elements: Any) -> Any:
    return town.do(
        "rita", catalogue.add_resource, code=code, title=title,
        provider=elements.pop("provider", "市数据局"), elements={**OPEN, **elements},
    )  # fmt: skip


def hidden(town: Town, n: int) -> Any:
    """A resource that only the registrar sees, with the secret in every field that is text."""
    texts = dict.fromkeys(
        ("summary", "category", "source_system", "notes", "kind"), f"公車{SECRET}"
    )
    lists = {"keywords": [f"公車{SECRET}"], "items": [f"公車{SECRET}"]}
    return listed(town, f"307001001/{n:06d}", f"公車{SECRET}{n}", provider=f"{SECRET}局",
                  **HIDDEN, **texts, **lists)  # fmt: skip


@pytest.fixture
def shelf(site: Site) -> Site:
    """Some of everything that everybody sees."""
    town = site.town
    listed(
        town,
        "A1",
        "桃園市公車動態",
        summary="公車到站時間 <b>&",
        category="交通",
        grading="一般数据",
    )
    listed(
        town, "A2", "公交线路", items=["线路", "公車站點"], category="交通", update_cycle="monthly"
    )
    listed(town, "A3", "药厂名册", category="卫生", provider="农业局")
    return site


def test_the_api_tells_what_was_found_where_and_how_many_there_are_of_each_value(
    shelf: Site,
) -> None:
    found = shelf.visit().read("/resources?words=公车")
    assert [row["code"] for row in found["items"]] == ["A1", "A2"]
    assert (found["count"], found["exact"], found["next"]) == (2, True, None)
    assert found["items"][0]["marked_title"] == [
        {"text": "桃園市", "hit": False}, {"text": "公車", "hit": True}, {"text": "動態", "hit": False},
    ]  # fmt: skip
    assert found["items"][1]["marked_field"] == "items"
    assert {"text": "公車", "hit": True} in found["items"][1]["marked_text"]
    assert found["facets"]["category"] == [{"value": "交通", "count": 2}]
    assert found["facets"]["cycle"] == [
        {"value": "daily", "count": 1}, {"value": "monthly", "count": 1},
    ]  # fmt: skip
    narrowed = shelf.visit().read("/resources?words=公车&cycle=daily&category=交通&state=withdrawn")
    assert [row["code"] for row in narrowed["items"]] == ["A1"]
    assert len(narrowed["facets"]["cycle"]) == 2, "one can widen"
    assert "state" not in narrowed["facets"], "that is for those who see withdrawn ones"
    assert "state" in shelf.visit("rita").read("/resources")["facets"]


def test_pages_of_the_answer_follow_each_other_and_a_question_that_does_not_fit_is_refused(
    shelf: Site,
) -> None:
    nobody = shelf.visit()
    first = nobody.read("/resources?limit=2")
    second = nobody.read(f"/resources?limit=2&after={first['next']}")
    assert [row["code"] for row in first["items"] + second["items"]] == ["A3", "A2", "A1"]
    assert second["next"] is None
    assert nobody.read("/resources?after=999999999")["items"] == []
    for wrong in (
        "after=x",
        "after=-1",
        "limit=0",
        "limit=201",
        "colour=red",
        "words=" + "公" * 201,
    ):
        nobody.read(f"/resources?{wrong}", 400)
    assert nobody.read("/resources?words=" + "公" * 200)["count"] == 0


def test_the_page_marks_what_was_found_and_escapes_what_was_written(shelf: Site) -> None:
    nobody = shelf.visit()
    page = nobody.get("/resources?words=公车")
    assert "桃園市<mark>公車</mark>動態" in page
    assert "<mark>公車</mark>到站時間 &lt;b&gt;&amp;" in page
    assert "共 2 项" in page
    assert 'href="/resources?words=公车&amp;cycle=daily"' in unquote(page)
    assert "noindex" not in page
    nasty = nobody.get('/resources?words="><script>alert(1)</script>')
    assert "<script>alert" not in nasty
    assert "没有符合条件的资源" in nasty
    assert "没有符合条件的资源" in nobody.get("/resources?words=公车&category=卫生")
    assert "每个词都须命中" in nobody.get("/resources?words=龘")
    assert "没有这一页" in nobody.get("/resources?words=公车&after=500")
    nobody.client.set_cookie("lang", "en")
    assert "Found: 3" in nobody.get("/resources")


def test_titles_are_suggested_to_the_page_and_to_programs(shelf: Site) -> None:
    nobody = shelf.visit()
    for suggest in (nobody.read, lambda path: json.loads(nobody.get(path))):
        found = suggest("/resource-suggestions?words=公")
        assert [one["title"] for one in found["items"]] == ["公交线路", "桃園市公車動態"]
        assert suggest("/resource-suggestions?words=")["items"] == []


def test_it_is_the_same_on_both_databases_and_cached_by_nobody(shelf: Site) -> None:
    answer = shelf.visit("rita").client.get("/api/v1/resources")
    assert "public" not in answer.headers.get("Cache-Control", "")
    assert "ETag" not in answer.headers


# ---------------------------------------------------------------- what may not be seen

ASKED = (
    "", "words=公车", "words=" + SECRET, "words=307001001", f"provider={SECRET}局", "sharing=not_shared",
    "limit=2&after=2",
)  # fmt: skip


def answers(visit: Visit) -> dict[str, str]:
    """What somebody is answered, byte by byte, without what is new on every page."""
    paths = [
        *(f"/api/v1/resources?{asked}" for asked in ASKED),
        *(f"/api/v1/resource-suggestions?words={words}" for words in ("公车", SECRET[0], "3070")),
        "/resources", "/resources?words=公车", "/resource-suggestions?words=公", "/", "/notices",
        "/api/v1/registrations",
    ]  # fmt: skip
    found = {}
    for path in paths:
        answer = visit.client.get(path)
        headers = {k: v for k, v in answer.headers.items() if k not in ("Set-Cookie", "Date")}
        found[path] = f"{answer.status_code} {headers} {TOKEN.sub('', answer.text)}"
    return found


def test_hidden_resources_change_no_byte_of_what_others_are_answered(shelf: Site) -> None:
    asking = {login: shelf.visit(login) for login in (None, "mallory", "paul")}
    before = {login: answers(visit) for login, visit in asking.items()}
    for n in range(1, 5):
        hidden(shelf.town, n)
    for login, visit in asking.items():
        after = answers(visit)
        assert [p for p in after if after[p] != before[login][p]] == []
    seen = shelf.visit("rita").read("/resources?words=" + SECRET)
    assert seen["count"] == 4


@pytest.fixture(scope="module")
def stage(common_site: Site) -> Stage:
    """A town whose every deed rests on resources that are hidden."""
    town = common_site.town

    def resources() -> list[str]:
        return [hidden(town, n).id for n in (1, 2)]

    def do(login: str, verb: Any, *args: Any, **facts: Any) -> Any:
        """The provider takes no part: before a signature a registrar enters its written consent."""
        if verb is agreements.sign:
            Town.do(town, "rita", agreements.consent, args[0], "同意函")
        return Town.do(town, login, verb, *args, **facts)

    town.resources = resources  # type: ignore[method-assign]
    town.do = do  # type: ignore[method-assign]
    return furnish(common_site)


def text_of(data: bytes) -> str:
    """What an answer says; of a packed file (XLSX, ZIP), what its parts say."""
    if data.startswith(b"PK"):
        with ZipFile(BytesIO(data)) as packed:
            data = b"\n".join(packed.read(name) for name in packed.namelist())
    return data.decode(errors="replace")


@pytest.mark.parametrize("login", [NOBODY, "mallory", "pia", "egon", "anna"])
def test_no_page_and_no_answer_tells_of_them(stage: Stage, login: str) -> None:
    with stage.town.reading() as session:
        rows = [row for row in session.scalars(select(Resource)) if SECRET in row.title]
    assert len(rows) == 2
    needles = [SECRET, *(row.id for row in rows), *(row.code for row in rows)]
    client, leaks, asked = stage.client(login), [], 0
    for rule in stage.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()):
            continue
        address = stage.address(rule, stage.keys_of(rule, login))
        told = text_of(client.get(address, buffered=True).data)
        asked += 1
        texts = (
            told,
            unescape(told),
            re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), told),
        )
        leaks += [
            (address, needle) for needle in needles
            if needle not in address and any(needle in text for text in texts)
        ]  # fmt: skip
    assert asked > 100
    assert leaks == []


def test_a_hidden_code_is_answered_like_one_that_nobody_has(stage: Stage) -> None:
    known, unknown = "307001001/000001", "307001001/999999"
    for login in (NOBODY, "mallory"):
        client = stage.client(login)
        for place in ("/resources/{}", "/api/v1/resources/{}", "/resources/{}/history",
                      "/api/v1/resources/{}/history"):  # fmt: skip
            told = [client.get(place.format(code)) for code in (known, unknown)]
            one, other = ((a.status_code, TOKEN.sub("", a.text)) for a in told)
            assert (one[0], one[1].replace(known, unknown)) == other
            assert one[0] == 404
