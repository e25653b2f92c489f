"""What each side is told of applications, objections and registrations: by the API as on the pages."""

from typing import Any

import pytest
from sqlalchemy import update

from ledger import registration
from ledger.catalogue import Resource
from ledger.registration import Application
from tests.conftest import compliance
from tests.ledger import registrations
from tests.ledger.registrations import ADDRESS, agreement_with, apply, object_to, row
from tests.web.conftest import Site
from tests.web.test_registration import english

pytestmark = pytest.mark.pages


def grade(site: Site, value: str) -> None:
    with site.town.home.engine.begin() as connection:
        connection.execute(update(Resource).values(grade=value))


@pytest.mark.parametrize("type_", ["correction", "objection"])
def test_who_asks_about_another_s_registration_learns_nothing_that_the_public_does_not(
    site: Site, type_: str
) -> None:
    town = site.town
    registrations.profile(town, "shenzhen")
    registered = town.registration()
    grade(site, "important")
    asked = apply(town, type_, registered, "mallory")
    stranger, subject = site.visit("mallory"), site.visit("olga")
    whole = subject.read(f"/registrations/{registered.code}")
    assert whole["resource_ids"]
    town.do("rita", registration.send_back, asked, ["证据"])
    told = stranger.read(f"/applications/{asked.number}")
    text, page = str(told), english(site, "mallory").get(f"/applications/{asked.number}")
    agreement = registrations.agreement_of(town, registered)
    for secret in (*registered.resource_ids, agreement.id, "important", "风险评估"):
        assert secret not in text, secret
    for secret in (agreement.number, agreement.title, "资源 1", "Important", "风险评估"):
        assert secret not in page, secret
    assert told["review"] == {"missing": ["证据"]}, "what is missing he is told"
    if type_ == "correction":
        mine = subject.read(f"/applications/{asked.number}")
        assert mine["resource_ids"] == registered.resource_ids


def test_whose_consent_is_asked_for_sees_on_the_page_what_the_api_tells_and_no_more(
    site: Site,
) -> None:
    town = site.town
    registrations.profile(town, "shenzhen")
    registered, theirs = town.registration(), agreement_with(town, "mallory")
    made = apply(town, "transfer", registered, party=town.party("bank"), address=ADDRESS,
                 agreement=theirs)  # fmt: skip
    told = site.visit("mallory").read(f"/applications/{made.number}")
    assert (told["materials"], told["review"]) == ({}, {})
    page = english(site, "mallory").get(f"/applications/{made.number}")
    assert ADDRESS in page
    assert "如申请" not in page
    assert "如申请" in english(site, "olga").get(f"/applications/{made.number}")


def test_what_the_second_registrar_doubts_is_not_told_while_it_is_reviewed(site: Site) -> None:
    town = site.town
    made = registrations.important(town)
    town.do("rita", registration.accept, made)
    passing = {"formal": "齐全", "compliance": compliance()}
    town.do("rita", registration.pass_review, made, **passing)
    town.do("rob", registration.doubt, made, "来源可疑")
    path = f"/applications/{made.number}"
    assert "来源可疑" not in english(site, "olga").get(path)
    assert "来源可疑" not in str(site.visit("olga").read(path))
    assert "来源可疑" in english(site, "rita").get(path)


def test_no_member_of_the_applicant_s_organisation_learns_who_objected(site: Site) -> None:
    town = site.town
    made = town.application("on_notice")
    raised = object_to(town, made)
    path = f"/objections/{raised.number}"
    secrets = (town.parties["bank"], raised.raised_by, "Mallory", "城市商业银行")
    for login in ("olga", "opal", "otto"):
        visit: Any = english(site, login)
        told = str(site.visit(login).read(path)) + visit.get(path)
        told += str(site.visit(login).read("/objections")) + str(site.visit(login).read("/work"))
        told += str(site.visit(login).read("/messages"))
        for secret in secrets:
            assert secret not in told, (login, secret)
        assert "权属不清" in told
    for login in ("rita", "mallory"):
        assert town.parties["bank"] in str(site.visit(login).read(path))
    assert row(town, Application, made.id).state == "objection_review"
