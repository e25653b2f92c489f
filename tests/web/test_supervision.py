"""The regulator's pages: the overview, an alarm from its raising to its end, freezes with their ground."""

import re
from typing import Any

from sqlalchemy import select, text

from ledger import alarms, registration
from ledger.vouchers import Voucher
from tests.conftest import BASIS
from tests.web.conftest import Site
from tests.web.test_work import plain, visit_of
from webapp.deeds.house import alarmed

GROUND = {"basis": BASIS, "reason": "涉嫌提供虚假材料"}


def test_an_alarm_goes_from_its_owner_to_the_regulator_and_ends(site: Site) -> None:
    alarm = site.town.alarm()
    address = f"/alarms/{alarm.number}"
    olga, gwen = visit_of(site, "olga"), visit_of(site, "gwen")
    overview = plain(gwen.get("/supervision"))
    assert alarm.number in overview
    assert "happened while the voucher or the licence was not in force" in overview
    assert f"{alarm.number}" in gwen.get("/alarms?kind=lapsed_used&state=raised")
    assert alarm.number not in gwen.get("/alarms?kind=overdue")
    assert f"Explain alarm {alarm.number}" in plain(olga.get("/work"))
    assert "Explain" in olga.get(address)
    olga.post(f"{address}/explain", {"text": "系统时钟有误", "seen": "1"})
    assert "Nothing waits for you now" in plain(olga.get("/work"))
    assert f"Close the alarm alarm {alarm.number}" in plain(gwen.get("/work"))
    page = gwen.get(address)
    assert "系统时钟有误" in page
    gwen.post(f"{address}/close", {"reason": "属实", "seen": "2"})
    page = plain(gwen.get(address))
    assert "closed" in page
    assert "属实" in page
    assert "No alarm is open" in plain(gwen.get("/supervision"))


def test_the_api_tells_counts_and_each_alarm_to_whom_it_concerns(site: Site) -> None:
    alarm = site.town.alarm()
    gwen = site.visit("gwen")
    (one,) = gwen.read("/alarms?kind=lapsed_used")["items"]
    assert (one["number"], one["state"]) == (alarm.number, "raised")
    assert gwen.read("/alarms?kind=fork")["items"] == []
    kinds = {one["kind"]: one for one in gwen.read("/supervision")["kinds"]}
    assert kinds["lapsed_used"] | {"kind": ""} == {
        "kind": "", "raised": 1, "explained": 0, "closed": 0, "resolved": 0, "late": 0,
    }  # fmt: skip
    assert site.visit("olga").read(f"/alarms/{alarm.number}")["told"].startswith("3 events")
    assert site.visit("mallory").read("/alarms")["items"] == []
    site.visit("mallory").read(f"/alarms/{alarm.number}", 403)
    site.visit("olga").read("/supervision", 403)
    site.town.later(days=8)
    assert gwen.read("/supervision")["oldest"][0]["late"] is True


def test_its_subject_is_linked_and_read_in_chinese(site: Site) -> None:
    made = site.town.application()
    site.town.later(days=4)
    with site.town.deed() as session:
        alarms.look(session, site.town.now)
    gwen = site.visit("gwen")
    number = gwen.read("/alarms")["items"][0]["number"]
    page = gwen.get(f"/alarms/{number}")
    assert f'href="/applications/{made.number}"' in page
    assert f"登记申请 {made.number} 应于 2026-03-05 前作出是否受理的决定。" in page
    for path in ("/supervision", "/alarms"):
        assert "预警" in gwen.get(path)


def test_a_freeze_says_whom_it_touches_and_its_ground_is_told_to_those_it_concerns(
    site: Site,
) -> None:
    voucher = site.town.voucher()
    site.town.licence(voucher)
    address = f"/vouchers/{voucher.number}"
    gwen = visit_of(site, "gwen")
    form = plain(gwen.get(f"{address}/freeze"))
    assert "城数运营有限公司" in form
    assert voucher.number in form
    assert "Licences under them 1" in form
    refused = gwen.post(
        f"{address}/freeze", {"reason": "理由", "basis": " ", "seen": "1"}, status=400
    )
    assert "the field “Legal basis” is missing" in plain(refused.text)
    gwen.post(f"{address}/freeze", {**GROUND, "seen": "1"})
    for login in ("gwen", "rita", "olga"):
        page = plain(visit_of(site, login).get(address))
        assert GROUND["reason"] in page, login
        assert BASIS in page
    for login in ("egon", "mona", "anna"):
        page = plain(visit_of(site, login).get(address))
        assert GROUND["reason"] not in page, login
        assert site.visit(login).read(address)["freeze_ground"] is None
    assert site.visit("olga").read(address)["freeze_ground"]["basis"] == BASIS
    stranger = site.visit()
    stranger.client.set_cookie("lang", "en")
    public = stranger.get(f"/verify/{voucher.number}")
    assert "The regulator has frozen it" in public
    assert GROUND["reason"] not in public
    assert BASIS not in public


def test_all_vouchers_of_a_registration_are_frozen_from_its_page(site: Site) -> None:
    voucher = site.town.voucher()
    code = site.town.get(registration.Registration, voucher).code
    gwen = visit_of(site, "gwen")
    page = gwen.get(f"/registrations/{code}")
    assert f"/registrations/{code}/freeze" in page
    assert f"/registrations/{code}/unfreeze" not in page
    assert voucher.number in gwen.get(f"/registrations/{code}/freeze")
    gwen.post(f"/registrations/{code}/freeze", GROUND)
    with site.town.reading() as session:
        assert session.scalars(select(Voucher.frozen)).one() is True
    page = gwen.get(f"/registrations/{code}")
    assert re.search(f"/registrations/{code}/unfreeze", page)
    assert "1 vouchers are frozen" in plain(gwen.get("/supervision"))
    assert f"/registrations/{code}/unfreeze" not in visit_of(site, "rita").get(
        f"/registrations/{code}"
    )


def test_an_audit_on_the_site_tells_the_number_of_its_alarm(site: Site) -> None:
    town = site.town
    found: dict[str, Any] = {
        "count": 1, "differences": [{"kind": "record", "name": "7", "field": "digest",
                                     "known": "a", "derived": "b"}],
        "offline": True, "records": 9,
    }  # fmt: skip
    answer = alarmed(site.desk, lambda *_: None, found)
    page = visit_of(site, "gwen").get(f"/alarms/{answer['alarm']}")
    assert "The audit found 1 differences in 9 records." in page
    assert "record 7 of the log" in page
    with town.deed() as session:  # where even that cannot be stored, the audit still tells
        session.execute(text("ALTER TABLE alarms RENAME TO alarms_away"))
    try:
        assert alarmed(site.desk, lambda *_: None, found)["alarm"] is None
    finally:  # the next town may have this database
        with town.deed() as session:
            session.execute(text("ALTER TABLE alarms_away RENAME TO alarms"))
