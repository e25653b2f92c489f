"""Organisations on the site: merged by form with a preview, renamed, split; stewards, former names."""

from typing import Any

import pytest

from ledger.calendar import local_date
from ledger.parties import Party
from tests.conftest import PARTIES, Town
from tests.ledger.organisations import party, steward
from tests.web.conftest import Site

pytestmark = pytest.mark.pages

BUREAU = PARTIES["bureau"][2]


def today(town: Town) -> str:
    return local_date(town.now).isoformat()


def test_the_form_of_a_merger_shows_what_follows_and_what_stays(site: Site) -> None:
    town = site.town
    voucher, heir = town.voucher(), party(town, "enterprise", "新运营公司")
    admin, operator = site.visit("admin"), PARTIES["operator"][2]
    page = admin.get(f"/parties/{operator}/merger")
    assert "登记 1" in page
    assert "链上" in page  # why the voucher stays
    olga = site.visit("olga")
    olga.get("/vouchers")
    done = admin.post(f"/parties/{operator}/merger", {
        "into": heir.uscc, "ground": "合并协议", "effective_on": today(town),
    })  # fmt: skip
    assert done.headers["Location"].endswith(operator)
    page = admin.get(f"/parties/{operator}")
    assert "新运营公司" in page
    assert "合并协议" in page
    assert "/merger" not in page, "what ended cannot end again"
    olga.get("/vouchers", 303)  # she was signed out
    again = site.visit("olga")
    assert voucher.number in again.get("/vouchers")
    assert "暂停" not in again.get(f"/vouchers/{voucher.number}"), "that is for the registry"


def test_a_former_name_is_shown_and_found(site: Site) -> None:
    admin = site.visit("admin")
    admin.post(f"/parties/{BUREAU}/name", {
        "name": "市数据资源局", "ground": "更名批复", "effective_on": today(site.town)})  # fmt: skip
    assert "市数据局" in admin.get(f"/parties/{BUREAU}")
    assert "市数据资源局" in admin.get("/parties?words=市数据局")


def test_a_day_that_no_calendar_counts_from_is_refused_at_its_field(site: Site) -> None:
    facts = {"name": "市数据资源局", "ground": "更名批复", "effective_on": "0001-01-01"}
    page = site.visit("admin").post(f"/parties/{BUREAU}/name", facts, 400).text
    assert "1900-01-01 至 2199-12-31" in page


def test_a_split_by_form_names_what_goes_where_and_tells_every_fault(site: Site) -> None:
    town = site.town
    town.resources()
    main, other = party(town), party(town)
    admin = site.visit("admin")
    facts: dict[str, Any] = {
        "main": main.uscc, "others": other.uscc, "ground": "机构改革", "effective_on": today(town),
        "who_gets.0.noun": "resource", "who_gets.0.number": "nowhere", "who_gets.0.to": other.uscc,
    }  # fmt: skip
    page = admin.post(f"/parties/{BUREAU}/split", facts, 400).text
    assert "nowhere" in page
    facts["who_gets.0.number"] = "307001001/000002"
    admin.post(f"/parties/{BUREAU}/split", facts)
    with town.reading() as session:
        assert session.get_one(Party, town.parties["bureau"]).successor_ids == [main.id, other.id]


def test_a_provider_names_the_stewards_of_his_own_body_only(site: Site) -> None:
    paul = site.visit("paul")
    body = {"login": "gwen", "post": "chief", "from_on": today(site.town)}
    paul.post(f"/parties/{BUREAU}/stewards/new", body)
    page = paul.get(f"/parties/{BUREAU}")
    assert "首席数据官" in page
    assert "Gwen" in page
    [one] = paul.read(f"/parties/{BUREAU}/stewards")["items"]
    assert (one["login"], one["post"], one["state"]) == ("gwen", "chief", "named")
    site.visit("pia").get(f"/stewards/{one['id']}/relief", 403)
    done = paul.post(f"/stewards/{one['id']}/relief", {"until_on": today(site.town)})
    assert done.headers["Location"].endswith(BUREAU)
    site.visit(None).client.get(f"/parties/{BUREAU}/stewards")
    assert site.visit(None).client.get(f"/api/v1/parties/{BUREAU}/stewards").status_code == 401


def test_what_each_kind_s_members_may_be_is_shown(site: Site) -> None:
    broker = party(site.town, "data_broker")
    admin = site.visit("admin")
    assert "数据经纪" in admin.get(f"/parties/{broker.uscc}")
    assert "数据经纪" in admin.get(f"/parties/{broker.uscc}/members")
    assert "任何角色" in site.visit(None).get("/permissions")
    refused = admin.post(f"/parties/{broker.uscc}/members", {
        "login": "bert", "name": "Bert", "roles": ["registrar"]}, 400).text  # fmt: skip
    assert "登记" in refused


@pytest.mark.parametrize("verb", ["name", "merger", "split"])
def test_only_an_administrator_changes_what_an_organisation_is(site: Site, verb: str) -> None:
    for login in ("paul", "rita", "gwen"):
        site.visit(login).get(f"/parties/{BUREAU}/{verb}", 403)


def test_who_loses_all_his_roles_is_relieved_of_his_posts(site: Site) -> None:
    paul, admin = site.visit("paul"), site.visit("admin")
    for post in ("chief", "steward"):
        body = {"login": "paul", "post": post, "from_on": today(site.town)}
        paul.post(f"/parties/{BUREAU}/stewards/new", body)
    body = {"login": "gwen", "post": "steward", "from_on": today(site.town)}
    paul.post(f"/parties/{BUREAU}/stewards/new", body)
    admin.post("/members/paul/roles", {"roles": ["provider", "registrar"]})
    read = f"/parties/{BUREAU}/stewards"
    assert {one["state"] for one in admin.read(read)["items"]} == {"named"}
    admin.post("/members/paul/roles", {"roles": []})
    found = {(one["login"], one["state"], one["until_on"]) for one in admin.read(read)["items"]}
    assert found == {("paul", "relieved", today(site.town)), ("gwen", "named", None)}
    body = {"login": "gwen", "post": "chief", "from_on": today(site.town)}
    admin.post(f"/parties/{BUREAU}/stewards/new", body)  # the next chief is not barred


def test_a_steward_s_post_is_known_by_its_id(site: Site) -> None:
    made = steward(site.town)
    assert "卸任" in site.visit("admin").get(f"/stewards/{made.id}/relief")
