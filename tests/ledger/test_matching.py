"""Why a resource may answer a demand: each reason by its name, and the better one first."""

from typing import Any

import pytest

from ledger.catalogue import Resource
from ledger.matching import Match, Wish, judge, matches, shared
from tests.conftest import Town
from tests.ledger.lists import resource

TITLE = "失信被执行人名单"


def judged(wish: Wish, title: str = TITLE, **elements: Any) -> Match | None:
    row = Resource(id="r", code="1", title=title, elements=elements, state="listed")
    return judge(wish, row, None)


def reasons(match: Match | None) -> dict[str, dict[str, Any]]:
    assert match is not None
    return {one["reason"]: one for one in match.why}


def test_it_says_which_items_are_there_and_which_are_not() -> None:
    wish = Wish("名单", ["企业名称", "案号", "执行法院"], "sharing")
    found = reasons(judged(wish, items=["企业名稱", "案号（全）"]))
    assert found["items"]["words"] == ["企业名称", "案号"]
    assert found["lacking"]["words"] == ["执行法院"]


def test_it_says_which_words_stand_where() -> None:
    wish = Wish("企业失信被执行人", ["姓名"], "sharing")
    found = reasons(judged(wish, summary="本市企业的执行信息", keywords=["信用", "失信"]))
    assert found["title"]["words"] == ["失信被执行人"]
    assert found["summary"]["words"] == ["企业", "执行"]
    assert found["keywords"]["words"] == ["失信"]


@pytest.mark.parametrize(
    ("wanted", "known", "reason"),
    [("weekly", "daily", "cycle_fits"), ("weekly", "weekly", "cycle_fits"),
     ("weekly", "monthly", "cycle_slower"), ("weekly", "irregular", "cycle_slower"),
     ("irregular", "irregular", "cycle_fits")],
)  # fmt: skip
def test_it_says_whether_the_cycle_is_frequent_enough(wanted: str, known: str, reason: str) -> None:
    found = reasons(judged(Wish(TITLE, ["案号"], "sharing", wanted), update_cycle=known))
    assert found[reason]["cycle"] == known


@pytest.mark.parametrize(
    ("use", "elements", "reason"),
    [("sharing", {"sharing": "unconditional"}, "sharing_unconditional"),
     ("sharing", {"sharing": "conditional", "sharing_condition": "限本市"}, "sharing_conditional"),
     ("opening", {"opening": "not_open"}, "opening_not_open")],
)  # fmt: skip
def test_it_says_what_the_attribute_allows(use: str, elements: dict[str, Any], reason: str) -> None:
    found = reasons(judged(Wish(TITLE, ["案号"], use), **elements))
    assert found[reason]["condition"] == elements.get("sharing_condition", "")


def test_an_attribute_or_a_cycle_alone_is_no_match() -> None:
    wish = Wish("水质", ["断面"], "sharing", "daily")
    assert judged(wish, sharing="unconditional", update_cycle="daily") is None


def test_words_in_which_all_demands_agree_are_none() -> None:
    assert list(shared("公共数据需求信息", "公共数据资源信息目录")) == []


def test_the_one_asked_for_comes_first_then_the_one_with_more_items(village: Town) -> None:
    more = resource(village, 41, "失信被执行人名单", ["案号", "执行法院"])
    less = resource(village, 42, "失信被执行人名单", ["案号"])
    asked = resource(village, 43, "别的", ["无关"])
    wish = Wish("失信被执行人", ["案号", "执行法院"], "opening", resource_id=asked.id)
    with village.reading() as session:
        found = matches(session, village.actors["olga"], wish)
    assert [one.resource.code for one in found] == [asked.code, more.code, less.code]


def test_traditional_and_simplified_script_are_one(village: Town) -> None:
    row = resource(village, 44, "空氣品質監測", ["測站名稱"])
    with village.reading() as session:
        found = matches(session, village.actors["olga"], Wish("空气质量", ["测站名称"], "opening"))
    assert [one.resource.code for one in found] == [row.code]
