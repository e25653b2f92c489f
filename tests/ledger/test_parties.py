"""Who may do what: the role, his own organisation's business, and never on what he made himself."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from ledger import (
    agreements,
    appraisals,
    catalogue,
    handoff,
    log,
    parties,
    registration,
    revenue,
    trading,
    vouchers,
)
from ledger.errors import Conflict, Invalid, Missing, NotAllowed
from ledger.parties import MAY, ROLES, Actor
from ledger.proof.encoding import digest_text
from tests.conftest import (
    CAST,
    CHECKER_KEYS,
    CREDENTIAL_KEY,
    HOLDER,
    ORIGIN,
    PARTIES,
    START,
    Town,
    compliance,
)

# In the table of roles, but nobody has written the verb yet: this list can only shrink.
VERB_COMES_LATER = {"application.withdraw"}

Do = Callable[[Town, str, Any], Any]  # (town, login, the subjects that stand ready)


def change(verb: str) -> Do:
    return lambda t, who, on: t.do(who, vouchers.change, on.voucher, verb, "依法", ORIGIN)


def submit(town: Town, who: str, on: Any) -> Any:
    return town.do(who, registration.submit, **on.facts)


def issue(town: Town, who: str, on: Any) -> Any:
    return town.do(
        who, vouchers.issue, registration=on.registered, holder=town.party("operator"),
        holder_address=HOLDER, origin=ORIGIN, key=CREDENTIAL_KEY,
    )  # fmt: skip


def approve_statement(town: Town, who: str, on: Any) -> Any:
    signer = who if who in CHECKER_KEYS else "carl"
    approval = town.approval(on.proposed, signer)
    town.do(who, revenue.approve, on.proposed, approval, ORIGIN, town.home.config.deployment)


def propose_agreement(town: Town, who: str, on: Any) -> Any:
    return town.do(who, agreements.propose, **on.agreement_facts)


VERBS: dict[str, Do] = {
    "party.add": lambda t, who, on: parties.may(t.actors[who], "party.add"),
    "member.add": lambda t, who, on: parties.may(t.actors[who], "member.add"),
    "evidence.deposit": lambda t, who, on: t.deposit(who, who.encode()),
    "catalogue.import": lambda t, who, on: t.do(
        who, catalogue.import_resources, resources=[{"code": "1", "title": "一", "provider": None}],
        notices=[], mapping={}, file_name="a.csv", file_digest=digest_text(who.encode())),
    "agreement.propose": propose_agreement,
    "agreement.sign": lambda t, who, on: t.do(who, agreements.sign, on.unsigned),
    "application.submit": submit,
    "application.return": lambda t, who, on: t.do(who, registration.send_back, on.submitted, ["x"]),
    "application.refuse": lambda t, who, on: t.do(who, registration.refuse, on.submitted, "x"),
    "application.accept": lambda t, who, on: t.do(who, registration.accept, on.submitted),
    "application.reject": lambda t, who, on: t.do(who, registration.reject, on.in_review, "x"),
    "application.pass": lambda t, who, on: t.do(
        who, registration.pass_review, on.in_review, formal="全", compliance=compliance()),
    "application.notice": lambda t, who, on: t.do(who, registration.give_notice, on.reviewed),
    "application.code": lambda t, who, on: t.do(
        who, registration.code, on.on_notice, t.get(agreements.Agreement, on.on_notice)),
    "voucher.issue": issue,
    **{f"voucher.{verb}": change(verb) for verb in vouchers.VERBS},
    "appraisal.draft": lambda t, who, on: t.do(who, appraisals.draft, **on.appraisal_facts),
    "appraisal.approve": lambda t, who, on: t.do(who, appraisals.approve, on.appraisal),
    "appraisal.reject": lambda t, who, on: t.do(who, appraisals.reject, on.appraisal, "x"),
    "licence.grant": lambda t, who, on: t.do(who, trading.grant, **on.licence_facts),
    "licence.revoke": lambda t, who, on: t.do(
        who, trading.revoke, on.licence, on.voucher, "违约", ORIGIN),
    "payment.record": lambda t, who, on: t.do(
        who, trading.record_payment, licence=on.licence, amount_fen=1, received_on="2026-03-02",
        reference=who),
    "scheme.propose": lambda t, who, on: t.do(
        who, revenue.propose_scheme, on.agreement, t.scheme_document(), START.date()),
    "scheme.agree": lambda t, who, on: t.do(who, revenue.agree_scheme, on.scheme, on.agreement),
    "statement.draft": lambda t, who, on: t.do(
        who, revenue.draft, on.agreement, from_on=START.date(), until_on=START.date(), facts={}),
    "statement.propose": lambda t, who, on: t.do(who, revenue.propose, on.drafted, ORIGIN),
    "statement.approve": approve_statement,
    "statement.reject": lambda t, who, on: t.do(who, revenue.reject, on.proposed, "x", ORIGIN),
    "package.pack": lambda t, who, on: t.do(
        who, handoff.pack, on.voucher, deployment=t.home.config.deployment, sample=b"", pricing={}),
}  # fmt: skip


@pytest.fixture(scope="module")
def ready(village: Town) -> Any:
    """Subjects in the states that the verbs need: nobody refused changes one of them."""
    t = village
    unsigned = t.do("olga", agreements.propose, **agreement_facts(t))
    applications = {s: t.application(s) for s in ("submitted", "in_review", "reviewed")}
    registered = t.registration()
    agreement = t.agreement()
    scheme = t.do(
        "olga", revenue.propose_scheme, agreement, t.scheme_document(), t.now.date()
    )  # fmt: skip
    voucher = t.voucher()
    facts = t.licence_facts(voucher)
    appraisal = t.appraisal(registered)
    drafted, proposed = t.statement(), t.statement("proposed")
    on_notice = t.application("on_notice")
    t.later(days=21)
    return SimpleNamespace(
        agreement=agreement, agreement_facts=agreement_facts(t), appraisal=appraisal,
        appraisal_facts={
            "registration": registered, "purpose": "参考", "base_on": t.now.date(),
            "disclosures": appraisal.disclosures, "documents": {}, "weights": [],
        },
        drafted=drafted, facts=t.application_facts(), licence=t.licence(voucher),
        licence_facts=facts, on_notice=on_notice, proposed=proposed, registered=registered,
        scheme=scheme, unsigned=unsigned, voucher=voucher, **applications,
    )  # fmt: skip


def agreement_facts(town: Town) -> dict[str, Any]:
    return {
        "elements": dict.fromkeys(agreements.ELEMENTS, "如约定"), "from_on": town.now.date(),
        "implementer": town.party("bureau"), "mode": "whole", "resource_ids": town.resources(),
        "title": "协议", "until_on": town.now.date(),
    }  # fmt: skip


def refused(town: Town, verb: str, login: str, on: Any) -> None:
    """The verb is NotAllowed for that person, and nothing changed."""
    before = town.snapshot()
    with pytest.raises(NotAllowed):
        VERBS[verb](town, login, on)
    assert town.snapshot() == before, f"{login} was refused {verb}, and yet something changed"


# ---------------------------------------------------------------- the role


def test_every_verb_of_the_table_is_tried_or_is_said_to_come_later() -> None:
    assert set(MAY) == set(VERBS) | VERB_COMES_LATER
    assert not set(VERBS) & VERB_COMES_LATER


def test_the_table_names_known_roles_and_every_role_may_something() -> None:
    assert {role for roles in MAY.values() for role in roles} == set(ROLES)


@pytest.mark.parametrize("verb", VERBS)
def test_nobody_without_the_role_may(village: Town, ready: Any, verb: str) -> None:
    outsiders = [login for login in CAST if not village.actors[login].roles & MAY[verb]]
    assert outsiders
    before = village.snapshot()
    for login in outsiders:
        with pytest.raises(NotAllowed):
            VERBS[verb](village, login, ready)
    assert village.snapshot() == before


@pytest.mark.parametrize("verb", sorted(MAY))
def test_a_person_without_any_role_may_nothing(verb: str) -> None:
    with pytest.raises(NotAllowed) as refusal:
        parties.may(Actor("m", "p", frozenset()), verb)
    assert refusal.value.facts["verb"] == verb
    assert refusal.value.facts["needed"]


# ---------------------------------------------------------------- his own organisation's business


@pytest.mark.parametrize(
    ("verb", "login"),
    [
        ("agreement.sign", "pia"),
        ("application.submit", "mallory"),
        ("licence.grant", "mallory"),
        ("licence.revoke", "mallory"),
        ("package.pack", "mallory"),
        ("scheme.agree", "pia"),
        ("scheme.propose", "mallory"),
    ],
)
def test_the_role_of_another_organisation_does_not_do(
    village: Town, ready: Any, verb: str, login: str
) -> None:
    assert village.actors[login].roles & MAY[verb]
    refused(village, verb, login, ready)


def test_evidence_of_another_organisation_cannot_be_used(town: Town) -> None:
    facts = {**town.application_facts(), "deposits": [town.deposit("mallory")]}
    before = town.snapshot()
    with pytest.raises(NotAllowed, match=r"another organisation"):
        town.do("olga", registration.submit, **facts)
    assert town.snapshot() == before


def test_another_organisation_cannot_resubmit_what_was_returned(town: Town) -> None:
    made = town.application()
    town.do("rita", registration.send_back, made, ["缺"])
    theirs = town.do(
        "mallory", agreements.propose, **{**agreement_facts(town), "title": "银行的协议"}
    )
    town.do("paul", agreements.sign, theirs)
    facts = town.application_facts(town.get(agreements.Agreement, made))
    before = town.snapshot()
    with pytest.raises(NotAllowed):
        town.do(
            "mallory", registration.submit,
            **{**facts, "agreement": theirs, "deposits": facts["deposits"], "resubmits": made},
        )  # fmt: skip
    assert town.snapshot() == before


def test_a_licence_cannot_be_revoked_under_another_voucher_of_one_s_own(town: Town) -> None:
    """The organisation is judged by the voucher: it must be the licence's."""
    licence, other = town.licence(town.voucher()), town.voucher()
    before = town.snapshot()
    with pytest.raises(Invalid, match=r"not sold under"):
        town.do("olga", trading.revoke, licence, other, "违约", ORIGIN)
    assert town.snapshot() == before


def test_a_scheme_cannot_be_agreed_in_the_name_of_another_agreement(town: Town) -> None:
    first, second = town.agreement(), town.agreement()
    made = town.do(
        "olga", revenue.propose_scheme, first, town.scheme_document(), town.now.date()
    )  # fmt: skip
    before = town.snapshot()
    with pytest.raises(Invalid, match=r"another agreement"):
        town.do("paul", revenue.agree_scheme, made, second)
    assert town.snapshot() == before


# ---------------------------------------------------------------- two persons


@pytest.mark.parametrize(
    "verb", [verb for verb in VERBS if verb.startswith("application.") and "registrar" in MAY[verb]]
)
@pytest.mark.parametrize("login", ["olga", "otto"])
def test_neither_the_applicant_nor_a_registrar_of_his_house_decides_on_an_application(
    village: Town, ready: Any, verb: str, login: str
) -> None:
    refused(village, verb, login, ready)


def test_a_registrar_who_became_the_applicant_s_hand_does_not_decide(town: Town) -> None:
    """Not even when he changed houses: who applied is excluded as a person."""
    made = town.application()
    olga = town.actors["olga"]
    town.actors["olga"] = Actor(olga.member_id, town.parties["registry"], frozenset({"registrar"}))
    with pytest.raises(NotAllowed, match=r"yourself"):
        town.do("olga", registration.accept, made)


@pytest.mark.parametrize("verb", ["appraisal.approve", "appraisal.reject"])
def test_an_appraiser_does_not_decide_on_his_own_appraisal(
    village: Town, ready: Any, verb: str
) -> None:
    refused(village, verb, "anna", ready)


@pytest.mark.parametrize("act", ["approve", "reject"])
def test_one_person_is_not_maker_and_checker_of_a_statement(town: Town, act: str) -> None:
    agreement, licence = town.sold()
    day = town.now.date()
    town.payment(licence, 5_000)
    town.later(days=1)
    made = town.do(
        "max", revenue.draft, agreement, from_on=day, until_on=day, facts={"platform_cost_fen": 0}
    )
    town.do("max", revenue.propose, made, ORIGIN)
    before = town.snapshot()
    with pytest.raises(NotAllowed, match=r"yourself"):  # noqa: PT012
        if act == "approve":
            town.approve(made, "max")
        town.do("max", revenue.reject, made, "x", ORIGIN)
    assert town.snapshot() == before


def test_only_the_maker_proposes_his_statement(town: Town) -> None:
    made = town.statement()
    before = town.snapshot()
    with pytest.raises(NotAllowed, match=r"Only the maker"):
        town.do("max", revenue.propose, made, ORIGIN)
    assert town.snapshot() == before


# ---------------------------------------------------------------- parties and members


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


def test_a_party_is_found_by_its_code_in_any_spelling_of_it(village: Town) -> None:
    with village.reading() as session:
        found = parties.party_by_uscc(session, "91000000-dem000007u".replace("-", " "))
        assert found.id == village.parties["bank"]
        with pytest.raises(Missing):
            parties.party_by_uscc(session, "91350100M000100Y43")
        with pytest.raises(Invalid):
            parties.party_by_uscc(session, "91350100M000100Y44")
