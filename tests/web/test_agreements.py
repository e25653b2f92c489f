"""Agreements on their pages: proposed by a form, ended, handed back, evaluated, and told to everybody."""

from datetime import timedelta
from typing import Any

import pytest

from ledger import agreement_ends, agreements
from tests.conftest import PARTIES, Town
from tests.web.conftest import Site, Visit
from tests.web.test_matrix import agreement_at, evaluation_by, open_resource

pytestmark = pytest.mark.pages
POINTS = {
    "resources": "已删除", "platform": "密钥已移交", "products": "已下架", "accounts": "已注销",
    "personal_data": "不含",
}  # fmt: skip


def english(site: Site, login: str | None = None) -> Visit:
    visit = site.visit(login)
    visit.client.set_cookie("lang", "en")
    return visit


def number_of(town: Town, state: str) -> str:
    return agreement_at(state)(town, "olga")["agreement_number"]


def found(town: Town, number: str) -> agreements.Agreement:
    with town.reading() as session:
        return agreements.by_number(session, number)


def deeds_of(visit: Visit) -> list[str]:
    """What waits for the person."""
    return [item["deed"] for item in visit.read("/work")["items"]]


def test_scenes_fields_and_the_highest_price_come_through_the_form(site: Site) -> None:
    code = open_resource(site.town).code
    visit = english(site, "olga")
    form: dict[str, Any] = {
        "title": "协议", "mode": "by_scene", "implementer": PARTIES["bureau"][2],
        "resources": code, "from_on": "2026-03-02", "until_on": "2027-03-01",
        "domains": "金融\n医疗", "price_cap_yuan": "1000.50", "renews": "", "scenes.0.name": "",
        "scenes.0.use": "", **{f"elements.{key}": "如约定" for key in agreements.ELEMENTS},
    }  # fmt: skip
    assert "names at least one scene" in visit.post("/agreements/new", form, 400).text
    form |= {"scenes.0.name": "贷前审查", "scenes.0.use": "银行"}
    place = visit.post("/agreements/new", form).headers["Location"]
    page = visit.get(place)
    for told in ("贷前审查", "银行", "金融; 医疗", "1,000.50"):
        assert told in page
    made = found(site.town, place.rpartition("/")[2])
    assert (made.price_cap_fen, made.domains) == (100_050, ["金融", "医疗"])


def test_a_body_that_is_asked_for_consent_sees_the_agreement_and_finds_it_among_its_work(
    site: Site,
) -> None:
    number = number_of(site.town, "shared")
    asked, other = english(site, "pia"), english(site, "mallory")
    assert deeds_of(asked) == ["agreement.consent"]
    other.get(f"/agreements/{number}/consent", 403)
    assert "still missing: 城市商业银行" in asked.get(f"/agreements/{number}")
    assert f"/agreements/{number}/consent" in asked.get(f"/agreements/{number}")
    for none in ("paul", "rita"):
        assert f"/agreements/{number}/consent" not in english(site, none).get(
            f"/agreements/{number}"
        )
    assert "still missing" in english(site, "paul").get(f"/agreements/{number}")
    asked.post(f"/agreements/{number}/consent", {"basis": "同意函"})
    assert deeds_of(asked) == []
    assert "同意函" in english(site, "paul").get(f"/agreements/{number}")
    english(site, "paul").post(f"/agreements/{number}/sign")
    assert found(site.town, number).state == "in_force"


def test_an_end_and_the_hand_back_go_from_work_list_to_work_list(site: Site) -> None:
    town, number = site.town, number_of(site.town, "in_force")
    olga, paul = english(site, "olga"), english(site, "paul")
    olga.post(f"/agreements/{number}/propose-end", {"kind": "by_agreement", "ground": "业务调整"})
    assert "until that is confirmed" in paul.get(f"/agreements/{number}")
    assert "Confirm the end" in paul.get(f"/agreements/{number}")
    assert "Confirm the end" not in olga.get(f"/agreements/{number}")
    assert "Confirm the end" in paul.get("/work")
    assert "Confirm the end" not in olga.get("/work")
    paul.post(f"/agreements/{number}/end")
    page = olga.get(f"/agreements/{number}")
    assert "It ended on 2026-03-02" in page
    assert "业务调整" in page
    assert "Report the hand-back" in olga.get("/work")
    olga.post(f"/agreements/{number}/hand-back", {**POINTS, "platform": ""}, 400)
    olga.post(f"/agreements/{number}/hand-back", POINTS)
    assert "Confirm the hand-back" in paul.get("/work")
    paul.post(f"/agreements/{number}/reopen-hand-back", {"reason": "密钥缺一把"})
    assert "密钥缺一把" in olga.get(f"/agreements/{number}")
    olga.post(f"/agreements/{number}/hand-back", POINTS)
    paul.post(f"/agreements/{number}/confirm-hand-back")
    assert found(town, number).state == "handed_back"
    assert "agreement.hand_back" not in deeds_of(olga)


def test_both_sides_see_what_was_licensed_under_it_and_what_becomes_of_that(site: Site) -> None:
    town = site.town
    agreement, licence = town.sold()
    town.do("olga", agreement_ends.propose_end, agreement, kind="by_agreement", ground="调整")
    town.do("paul", agreement_ends.end, agreement)
    for login, link in (("olga", True), ("paul", False)):
        page = english(site, login).get(f"/agreements/{agreement.number}")
        assert licence.order_reference in page
        assert "They run to their own last day" in page
        assert (f'href="/licences/{licence.order_reference}"' in page) is link
    assert licence.order_reference not in english(site, "rita").get(
        f"/agreements/{agreement.number}"
    )


def test_a_year_that_is_over_is_due_then_evaluated_then_commented_on(site: Site) -> None:
    town, number = site.town, number_of(site.town, "in_force")
    paul, olga = english(site, "paul"), english(site, "olga")
    [due] = paul.read("/evaluations/due")["items"]
    assert (due["agreement"], due["period"], due["overdue"]) == (number, 1, False)
    assert english(site, "mallory").read("/evaluations/due") == {"items": []}
    assert "Evaluate a year" in paul.get("/work")
    town.later(days=100)
    [due] = paul.read("/evaluations/due")["items"]
    assert due["overdue"]
    assert "overdue" in paul.get("/evaluations/due")
    made = paul.post(f"/agreements/{number}/evaluations", {
        "verdict": "to_improve", "score": "71", "findings": "披露迟", "mend": "按季披露",
        "mend_by_on": (town.now + timedelta(days=30)).date().isoformat(),
    }, page=f"/agreements/{number}/evaluations/new")  # fmt: skip
    place = made.headers["Location"]
    assert "按季披露" in olga.get(place)
    assert "To be improved" in olga.get(f"/agreements/{number}")
    olga.post(f"{place}/comment", {"comment": "已改"})
    assert "已改" in paul.get(place)
    assert paul.read("/evaluations/due") == {"items": []}
    assert "to_improve" in paul.get("/evaluations")


def test_everybody_is_told_of_agreements_in_force_and_of_nothing_more(site: Site) -> None:
    town = site.town
    agreement, licence = town.sold()
    proposed = number_of(town, "proposed")
    page = english(site).get("/disclosures")
    for told in (agreement.number, "城数运营有限公司", "市数据局", "风险评估", "风险统计产品"):
        assert told in page
    for hidden in (proposed, "如约定", licence.order_reference, "资源 1"):
        assert hidden not in page
    assert "资源 1" in english(site, "olga").get("/disclosures")
    assert agreement.number in english(site).get("/disclosures?words=城数")
    assert agreement.number not in english(site).get("/disclosures?words=医院")
    town.do("olga", agreement_ends.propose_end, agreement, kind="by_agreement", ground="调整")
    assert agreement.number in english(site).get("/disclosures")
    town.do("paul", agreement_ends.end, agreement)
    assert agreement.number not in english(site).get("/disclosures")
    assert english(site).read("/disclosures") == {"items": [], "next": None}


def test_an_evaluation_is_no_stranger_s_to_read(site: Site) -> None:
    number = evaluation_by(site.town, "paul")["evaluation_number"]
    english(site, "gwen").get(f"/evaluations/{number}")
    english(site, "mallory").get(f"/evaluations/{number}", 403)
