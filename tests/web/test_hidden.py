"""What is hidden from somebody stays so, whichever way round he asks: each way was found by trying."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ledger import agreements, catalogue, catalogue_imports, duties, feedback, parties
from ledger.authorisations import Authorisation
from ledger.catalogue import Resource
from ledger.errors import Conflict, NotAllowed
from ledger.registration import MATERIALS, Registration
from ledger.vouchers import Voucher
from tests.conftest import PARTIES, Town
from tests.web.conftest import Site
from webapp.deeds import DEEDS

pytestmark = pytest.mark.pages

BUREAU, TREASURY, BANK = (PARTIES[key][1] for key in ("bureau", "treasury", "bank"))
OPEN = {
    "sharing": "unconditional", "opening": "unconditional", "update_cycle": "daily",
    "source_system": "内网系统甲", "personal_information": "none",
}  # fmt: skip
HIDDEN = {"sharing": "not_shared", "opening": "not_open", "sharing_basis": "法"}


def listed(town: Town, code: str, title: str, provider: str = BUREAU, **elements: Any) -> Resource:
    made: Resource = town.do(
        "rita", catalogue.add_resource, code=code, title=title, provider=provider, elements=elements
    )
    return made


def changed(town: Town, code: str, title: str, provider: str = BUREAU, **elements: Any) -> Any:
    row = {"title": title, "provider": provider, **elements}
    return town.do("rita", catalogue_imports.bring_one, code, row, "因故")


def test_a_provider_lists_nothing_by_hand_and_learns_nothing_by_trying(site: Site) -> None:
    listed(site.town, "S-1", "机密台账", TREASURY, **HIDDEN)
    pia = site.visit("pia")
    for code in ("S-1", "S-2"):
        answer = pia.api("/resources", {"code": code, "title": "x", "provider": BANK}, 403)
        assert "机密台账" not in answer.text


def test_a_registrar_s_own_listing_keeps_the_rules(site: Site) -> None:
    elements = {**OPEN, "personal_information": "sensitive"}
    body = {"code": "S-9", "title": "x", "provider": BUREAU, "elements": elements}
    answer = site.visit("rita").api("/resources", body, 400, headers={"Accept-Language": "en"})
    assert "opening" in answer.get_json()["errors"]


def test_an_agreement_opens_from_its_signature_on(site: Site) -> None:
    town = site.town
    listed(town, "G-1", "桥", **{**OPEN, **HIDDEN, "fee": "暗语"})
    changed(town, "G-1", "桥", **OPEN)
    olga, day = site.visit("olga"), town.now.date()
    number = olga.api("/agreements", {
        "title": "x", "mode": "by_scene",
        "scenes": [{"name": "风险评估", "use": "贷前"}],
        "implementer": PARTIES["bureau"][2], "resources": ["G-1"],
        "from_on": day.isoformat(), "until_on": (day + timedelta(300)).isoformat(),
        "elements": dict.fromkeys(agreements.ELEMENTS, "x"),
    }).get_json()["answer"]["number"]  # fmt: skip
    assert "source_system" not in olga.read("/resources/G-1")["elements"], "only proposed"
    with town.reading() as session:
        proposed = agreements.by_number(session, number)
    town.do("paul", agreements.sign, proposed)
    assert olga.read("/resources/G-1")["elements"]["source_system"] == "内网系统甲"
    changed(town, "G-1", "桥", **{**OPEN, **HIDDEN, "notes": "现在内部"})
    history = olga.read("/resources/G-1/history")
    assert (history["versions"], "暗语" in str(history)) == ([3, 2], False)
    site.visit("egon").read("/resources/G-1", 404)


def test_nobody_signs_for_a_resource_that_is_no_longer_listed(site: Site) -> None:
    town = site.town
    row = listed(town, "G-2", "桥", **OPEN)
    proposed = town.do(
        "olga", agreements.propose, title="x",
        mode="by_scene", scenes=[{"name": "风险评估", "use": ""}], implementer=town.party("bureau"),
        resource_ids=[row.id], elements=dict.fromkeys(agreements.ELEMENTS, "x"),
        from_on=town.now.date(), until_on=town.now.date() + timedelta(300),
    )  # fmt: skip
    town.do("rita", catalogue_imports.bring_one, "G-2", None, "撤下")  # a proposal blocks nothing
    with pytest.raises(Conflict, match="G-2"):
        town.do("paul", agreements.sign, proposed)


def test_a_registrar_s_change_set_is_no_provider_s_of_the_same_house(site: Site) -> None:
    town = site.town
    with town.deed() as session:
        parties.add_member(
            session, "system", town.now, party=town.fresh(session, town.party("registry")),
            login="pat", display_name="Pat", roles=["provider"],
        )  # fmt: skip
        town.actors["pat"] = parties.actor_by_login(session, "pat")
    made = town.do(
        "rita", catalogue_imports.bring, file_name="密.csv", file_digest="sha256:" + "0" * 64,
        rows=[{"code": "Q-1", "title": "机密台账", "provider": TREASURY, **HIDDEN}],
    )  # fmt: skip
    pat = site.visit("pat")
    pat.read("/resources/Q-1", 404)
    pat.read(f"/catalogue-imports/{made.id}", 403)
    assert pat.read("/catalogue-imports")["items"] == []


def test_a_waiting_proposal_does_not_show_what_another_body_listed_meanwhile(site: Site) -> None:
    town, code = site.town, "307001001/000003"
    made = town.do(
        "paul", catalogue_imports.bring, file_name="a.csv", file_digest="sha256:" + "0" * 64,
        rows=[{"code": code, "title": "占位", "provider": BUREAU, "sharing": "unconditional"}],
    )  # fmt: skip
    listed(town, code, "机密台账", TREASURY, **HIDDEN, notes="机要备注")
    paul = site.visit("paul")
    told = str(paul.read(f"/catalogue-imports/{made.id}"))
    page = paul.get(f"/catalogue-imports/{made.id}")
    assert "占位" in told
    for secret in ("机密台账", "机要备注", TREASURY):
        assert secret not in told
        assert secret not in page


def test_what_an_organisation_holds_is_counted_for_few(site: Site) -> None:
    town = site.town
    listed(town, "C-1", "公", **OPEN)
    listed(town, "C-2", "密", **HIDDEN)
    address = f"/parties/{PARTIES['bureau'][2]}"
    for login, told in (("mallory", False), ("paul", True), ("admin", True), ("gwen", True)):
        found = site.visit(login).read(f"{address}/holdings")
        assert (found["told"], found["follows"].get("resource")) == (told, 2 if told else None)
    assert "What the organisation holds" not in site.visit("mallory").get(f"{address}?lang=en")


def test_the_public_is_told_no_time_of_a_version_it_could_not_see(site: Site) -> None:
    town = site.town
    listed(town, "H-1", "桥", **HIDDEN)
    changed(town, "H-1", "桥", **OPEN)
    nobody = site.visit()
    assert [one["kind"] for one in nobody.read("/resources/H-1")["history"]] == ["resource.changed"]
    assert nobody.read("/resources/H-1/history")["versions"] == [2]
    assert len(site.visit("rita").read("/resources/H-1")["history"]) == 2


def test_feedback_tells_no_inner_element_and_no_colleague_what_is_hidden(site: Site) -> None:
    town = site.town
    row = listed(town, "F-1", "桥", **OPEN)
    made = town.do(
        "olga", feedback.raise_, resource=row, kind="objection", about="source_system",
        description="错",
    )  # fmt: skip
    town.do("paul", feedback.answer, made, verdict="explained", text="来源系统是金库乙")
    assert site.visit("mallory").read("/resources/F-1/feedback")["results"] == []
    assert "金库乙" in str(site.visit("paul").read("/resources/F-1/feedback"))
    changed(town, "F-1", "桥", **HIDDEN)
    assert site.visit("olga").read(f"/feedback/{made.number}")["description"] == "错"
    colleague = site.visit("opal").read(f"/feedback/{made.number}")
    assert (colleague["description"], colleague["about"], colleague["answer"]) == ("", "", None)


def test_the_scope_of_another_s_agreement_is_not_tried_out(site: Site) -> None:
    town = site.town
    inside, _ = listed(town, "P-1", "桥", **OPEN), listed(town, "P-2", "路", **OPEN)
    agreed = town.agreement(resource_ids=[inside.id])
    body = {
        "object": "product", "title": "x", "summary": "x", "agreement": agreed.number,
        "resources": ["P-1", "P-2"], "rights": ["use"], "materials": dict.fromkeys(MATERIALS, "x"),
        "data": [{"digest": town.deposit("mallory").digest}],
    }  # fmt: skip
    with pytest.raises(NotAllowed) as refused:
        site.desk.do(DEEDS["application.submit"], lambda _s: town.actors["mallory"], {}, body,
                     key="tried-by-mallory")  # fmt: skip
    assert "P-2" not in str(refused.value)


def test_ids_and_codes_are_filtered_wherever_they_stand(site: Site) -> None:
    town = site.town
    row = listed(town, "D-1", "桥", **OPEN)
    duty = town.do(
        "paul", duties.report, party=town.party("bureau"), cause="law", description="x",
        cause_on=town.now.date(), resource=row,
    )  # fmt: skip
    assert site.visit("paul").read(f"/duties/{duty.number}")["resource_code"] == "D-1"
    changed(town, "D-1", "密", "不参加的局", **HIDDEN)
    assert site.visit("paul").read(f"/duties/{duty.number}")["resource_code"] is None
    with town.reading() as session:
        named = session.scalars(select(Resource.id)).one()
    agreed = town.agreement(consents=("rita",), resource_ids=[named])
    assert site.visit("mona").read(f"/agreements/{agreed.number}")["resource_ids"] == []
    assert site.visit("rita").read(f"/agreements/{agreed.number}")["resource_ids"] == [row.id]


def test_an_authorised_use_is_known_to_its_parties_and_its_supervisors_alone(site: Site) -> None:
    town = site.town
    row = town.authorisation("in_force")
    with town.reading() as session:
        row = session.get_one(Authorisation, row.id)
        used = session.get_one(Voucher, row.voucher_id)
        theirs = session.get_one(Registration, row.registration_id).code
    address = f"/vouchers/{used.number}"
    for login in ("rita", "gwen", "mallory"):
        assert site.visit(login).read(address)["provider_id"] == town.parties["operator"], login
    for login in ("egon", "anna", "carl"):
        visit = site.visit(login)
        numbers = [one["number"] for one in visit.read("/vouchers")["items"]]
        assert numbers
        assert used.number not in numbers, login
        visit.read(address, 404)
        visit.get(address, 404)
        assert used.number not in visit.get(f"/registrations/{theirs}")
        visit.read(f"/authorisations/{row.number}", 403)
    for way in ("bundle", "voucher.pdf", "tlog-proof"):
        assert site.visit("egon").client.get(f"/api/v1{address}/{way}").status_code == 404
    assert site.visit().read(f"{address}/state")["number"] == used.number


def test_no_form_offers_natural_persons(site: Site) -> None:
    ida = site.town.subject()
    voucher = site.town.voucher()
    page = site.visit("rita").get(f"/vouchers/{voucher.number}/pledge")
    assert PARTIES["bank"][2] in page
    assert ida.uscc not in page


def test_who_takes_part_as_a_natural_person_is_listed_to_nobody_without_need(site: Site) -> None:
    ida = site.town.subject()
    for login in ("olga", "egon", "mallory", "paul"):
        visit = site.visit(login)
        listed = {one["uscc"] for one in visit.read("/parties")["items"]}
        assert listed
        assert ida.uscc not in listed, login
        visit.read(f"/parties/{ida.uscc}", 404)
    for login in ("admin", "rita", "gwen", "ida"):
        assert site.visit(login).read(f"/parties/{ida.uscc}")["uscc"] == ida.uscc
