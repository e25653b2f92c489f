"""Parties and their members: added once, known by code and login, of the roles that are theirs to have."""

from typing import Any

import pytest
from sqlalchemy import select

from ledger import log, parties
from ledger.errors import Conflict, Invalid, Missing
from ledger.parties import Actor
from ledger.rights import MAY, MEMBER, PUBLIC, ROLES
from tests.conftest import PARTIES, Town
from tests.ledger import organisations

pytestmark = pytest.mark.pages


def test_records_know_members_by_pseudonym_only(town: Town) -> None:
    with town.reading() as session:
        payloads = "".join(session.scalars(select(log.Record.payload)))
        for account in session.scalars(select(parties.Account)):
            assert account.member_id in payloads
            assert f'"{account.login}"' not in payloads
            assert f'"{account.display_name}"' not in payloads


def add(town: Town, **changes: Any) -> parties.Party:
    facts = {"kind": "enterprise", "name": "新公司", "uscc": "91000000DEM000008Y"}
    with town.deed() as session:
        return parties.add_party(session, "system", town.now, **{**facts, **changes})


def test_a_party_is_added_once(town: Town) -> None:
    kind, name, uscc = PARTIES["bank"]
    before = town.snapshot()
    assert add(town, kind=kind, name=f" {name} ", uscc=uscc).id == town.parties["bank"]
    assert town.snapshot() == before


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"uscc": PARTIES["bank"][2]}, Conflict),
        ({"kind": "bank"}, Invalid),
        ({"name": "  "}, Invalid),
        ({"uscc": "91000000DEM000008A"}, Invalid),
        ({"uscc": "91000000DEM00000"}, Invalid),
        ({"uscc": ""}, Invalid),
    ],
)
def test_a_party_that_cannot_be_is_refused(
    village: Town, changes: dict[str, str], refusal: type[Exception]
) -> None:
    before = village.snapshot()
    with pytest.raises(refusal):
        add(village, **changes)
    assert village.snapshot() == before


def join(town: Town, **changes: Any) -> parties.Member:
    facts = {"login": "newt", "display_name": "新人", "roles": ["operator"], **changes}
    with town.deed() as session:
        bank = session.get_one(parties.Party, town.parties["bank"])
        return parties.add_member(session, "system", town.now, party=bank, **facts)


def test_a_member_is_added_once_and_known_by_his_login(town: Town) -> None:
    made = join(town)
    before = town.snapshot()
    assert join(town).id == made.id
    assert town.snapshot() == before
    with town.reading() as session:
        actor = parties.actor_by_login(session, "newt")
        assert actor == Actor(made.id, town.parties["bank"], frozenset({"operator"}))
        with pytest.raises(Missing):
            parties.actor_by_login(session, "nobody")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"login": "olga"}, Conflict),
        ({"roles": []}, Invalid),
        ({"roles": ["king"]}, Invalid),
        ({"signing_address": "0x" + "00" * 20}, Invalid),
        ({"signing_address": "0x" + "ab" * 20}, Invalid),  # not in checksum spelling
        ({"signing_address": "carl"}, Invalid),
    ],
)
def test_a_member_that_cannot_be_is_refused(
    village: Town, changes: dict[str, Any], refusal: type[Exception]
) -> None:
    before = village.snapshot()
    with pytest.raises(refusal):
        join(village, **changes)
    assert village.snapshot() == before


@pytest.mark.parametrize(
    ("kind", "role"), [("data_broker", "broker"), ("service_provider", "appraiser")]
)
def test_who_brings_together_or_serves_has_members_for_that_only(
    town: Town, kind: str, role: str
) -> None:
    house = organisations.party(town, kind)

    def enter(login: str, roles: list[str]) -> parties.Member:
        with town.deed() as session:
            return parties.add_member(
                session, "system", town.now, party=session.get_one(parties.Party, house.id),
                login=login, display_name=login, roles=roles,
            )  # fmt: skip

    for barred in sorted(set(ROLES) - {role}):
        with pytest.raises(Invalid, match=f"cannot be {barred}; they may be {role}"):
            enter("late", [role, barred])
    made = enter("early", [role])
    with pytest.raises(Invalid, match="cannot be registrar"):
        town.do("admin", parties.change_member, made, ["registrar"])


def test_an_administrator_changes_what_a_member_may(town: Town) -> None:
    made = join(town)
    town.do("admin", parties.change_member, made, ["registrar", "operator", "registrar"])
    before = town.snapshot()
    town.do("admin", parties.change_member, made, ["operator", "registrar"])
    assert town.snapshot() == before, "the same roles again are no deed"
    town.do("admin", parties.change_member, made, [])
    with town.reading() as session:
        actor = parties.actor_by_login(session, "newt")
        records = log.history(session, made.id)
        kinds = [record.kind for record in records]
        roles = [log.payload_of(record)["body"]["roles"] for record in records]
    assert kinds == ["member.added", "member.changed", "member.changed"]
    assert roles == [["operator"], ["operator", "registrar"], []]
    assert {verb for verb in MAY if parties.allowed(actor, verb)} == {
        verb for verb in MAY if PUBLIC in MAY[verb]
    }


def test_a_member_is_not_given_a_role_that_is_not_to_give(town: Town) -> None:
    made = join(town)
    before = town.snapshot()
    for role in ("king", PUBLIC, MEMBER):
        with pytest.raises(Invalid, match=role):
            town.do("admin", parties.change_member, made, ["operator", role])
    assert town.snapshot() == before


def test_a_party_is_found_by_its_code_in_any_spelling_of_it(village: Town) -> None:
    with village.reading() as session:
        found = parties.party_by_uscc(session, "91000000-dem000007u".replace("-", " "))
        assert found.id == village.parties["bank"]
        with pytest.raises(Missing):
            parties.party_by_uscc(session, "91350100M000100Y43")
        with pytest.raises(Invalid):
            parties.party_by_uscc(session, "91350100M000100Y44")
