"""Applications about what is registered: what each asks for, who must consent, and what it changes."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ledger import (
    agreements,
    catalogue,
    log,
    register,
    registration,
    registration_changes,
    rights,
)
from ledger.calendar import end_of_day, local_date, years_after
from ledger.errors import Conflict, Invalid, NotAllowed
from ledger.proof.encoding import digest_text
from ledger.registration import Application, Registration
from ledger.registration_changes import MATERIALS, VERBS, Asked
from ledger.registration_profiles import profile, profiles
from tests.conftest import Town, compliance
from tests.ledger import registrations
from tests.ledger.registrations import (
    ADDRESS,
    WORDS,
    agreement_with,
    apply,
    conclude,
    passed,
    registered_under,
    row,
)

pytestmark = pytest.mark.pages


def at(day: date, hour: int = 10) -> datetime:
    """An hour of a day in Shanghai."""
    return datetime.fromisoformat(f"{day}T{hour:02d}:00:00+08:00").astimezone(UTC)


def refusal(
    town: Town, registered: Registration, type_: str, login: str = "olga", **more: Any
) -> str:
    """Why an application is refused; nothing was stored."""
    before = town.snapshot()
    with pytest.raises((Invalid, Conflict)) as refused:
        apply(town, type_, registered, login, **more)
    assert town.snapshot() == before
    return refused.value.sentence


def again(town: Town, made: Any) -> Any:
    return row(town, type(made), made.id)


@pytest.fixture
def shenzhen(town: Town) -> Town:
    """A town whose registry works by the rules that have every type."""
    registrations.profile(town, "shenzhen")
    return town


@pytest.fixture(scope="module")
def still(village: Town) -> SimpleNamespace:
    """What stands registered in a village where every application below is refused."""
    registrations.profile(village, "shenzhen")
    return SimpleNamespace(town=village, registered=village.registration())


# ---------------------------------------------------------------- what each changes


def test_a_change_is_noticed_and_changes_what_it_names_and_nothing_else(town: Town) -> None:
    registered = town.registration()
    made = passed(town, apply(town, "change", registered, title="新名称"))
    with pytest.raises(Conflict, match=r"goes on public notice first"):
        town.do("rita", registration_changes.conclude, made, "属实")
    town.do("rita", registration.give_notice, made)
    assert again(town, made).notice["type"] == "change"
    with pytest.raises(Conflict, match=r"on notice until"):
        town.do("rita", registration_changes.conclude, made, "属实")
    assert again(town, registered).title == registered.title, "until it is concluded it stays"
    town.later(days=21)
    town.do("rita", registration_changes.conclude, made, "属实")
    changed = again(town, registered)
    assert changed.title == "新名称"
    same = {
        key: value for key, value in registered.body().items() if key not in ("title", "version")
    }
    assert {key: value for key, value in changed.body().items() if key in same} == same
    assert (again(town, made).state, again(town, made).deadlines) == ("concluded", {})


def test_a_correction_goes_on_no_notice(town: Town) -> None:
    registered = town.registration()
    made = passed(town, apply(town, "correction", registered, summary="更正"))
    with pytest.raises(Conflict, match=r"goes on no public notice"):
        town.do("rita", registration.give_notice, made)
    town.do("rita", registration_changes.conclude, made, "属实")
    assert again(town, registered).summary == "更正"


def test_a_cancellation_has_ten_working_days_and_ends_the_registration(town: Town) -> None:
    registered = town.registration()
    made = apply(town, "cancellation", registered, ground="lost")
    town.now = at(date(2026, 9, 29))
    town.do("rita", registration.accept, made)
    assert again(town, made).deadlines == {
        "cancellation": {"from": "2026-09-29", "days": 10, "left": None, "on": "2026-10-19",
                         "provisional": False},
    }  # fmt: skip
    town.do("rita", registration.pass_review, made, formal="全", compliance=compliance())
    town.do("rita", registration_changes.conclude, made, "灭失")
    ended = again(town, registered)
    assert (ended.state, ended.ending) == (
        "cancelled", {"application": made.number, "ground": "lost"},
    )  # fmt: skip
    assert "is cancelled" in refusal(town, registered, "change")


def test_a_transfer_gives_it_to_the_receiver_under_his_agreement(shenzhen: Town) -> None:
    town, registered = shenzhen, shenzhen.registration()
    theirs = agreement_with(town, "mallory")
    made = apply(
        town, "transfer", registered, party=town.party("bank"), address=ADDRESS, agreement=theirs
    )
    town.do("mallory", registration.consent, made)
    conclude(town, made)
    given = again(town, registered)
    assert (given.party_id, given.agreement_id) == (town.parties["bank"], theirs.id)
    with pytest.raises(NotAllowed):
        apply(town, "change", registered)
    assert apply(town, "change", registered, "mallory").state == "submitted"


def test_a_transfer_is_not_concluded_once_the_receiver_s_agreement_has_ended(
    shenzhen: Town,
) -> None:
    town, registered = shenzhen, shenzhen.registration()
    short = agreement_with(town, "mallory", until_on=local_date(town.now) + timedelta(days=15))
    made = apply(
        town, "transfer", registered, party=town.party("bank"), address=ADDRESS, agreement=short
    )
    town.do("mallory", registration.consent, made)
    with pytest.raises(Invalid, match=r"is outside"):
        conclude(town, made)
    assert again(town, registered).party_id == town.parties["operator"]


def test_a_licence_is_entered_with_its_term(shenzhen: Town) -> None:
    town, registered = shenzhen, shenzhen.registration()
    today = local_date(town.now)
    made = apply(
        town, "licence", registered, party=town.party("bank"), right="use", terms="一年",
        from_on=today, until_on=local_date(registered.valid_until),
    )  # fmt: skip
    conclude(town, made)
    [licence] = again(town, registered).licences
    assert licence == {
        "application": made.number, "party_id": town.parties["bank"], "right": "use",
        "from_on": today.isoformat(), "until_on": local_date(registered.valid_until).isoformat(),
    }  # fmt: skip
    assert again(town, registered).party_id == town.parties["operator"]


def test_an_objection_is_entered_and_bars_giving_away_until_it_is_lifted(shenzhen: Town) -> None:
    town, registered = shenzhen, shenzhen.registration()
    theirs, today = agreement_with(town, "mallory"), local_date(town.now)
    giving: dict[str, Any] = {"party": town.party("bank"), "address": ADDRESS, "agreement": theirs}
    licence: dict[str, Any] = {
        "party": town.party("bank"), "right": "use", "terms": "一年", "from_on": today,
        "until_on": today,
    }  # fmt: skip
    open_before = apply(town, "transfer", registered, **giving)
    town.do("mallory", registration.consent, open_before)
    claim = apply(town, "objection", registered, "mallory")
    conclude(town, claim)
    assert again(town, registered).disputes == [claim.number]
    with pytest.raises(Conflict, match=r"bears an objection"):
        conclude(town, open_before)
    town.do("olga", registration.withdraw, open_before, "不办了")
    assert "bears an objection" in refusal(town, registered, "licence", **licence)
    assert "bears an objection" in refusal(town, registered, "transfer", **giving)
    change = apply(town, "change", registered)
    town.do("olga", registration.withdraw, change, "不办了")
    town.do("rob", register.lift, registered, application=claim.number, finding="已和解")
    assert again(town, registered).disputes == []
    assert apply(town, "licence", registered, **licence).state == "submitted"


# ---------------------------------------------------------------- renewal


def expiring(town: Town, days: int = 60) -> tuple[Registration, date]:
    """What was registered under an agreement that ends so many days after it is coded; its last day."""
    last = local_date(town.now) + timedelta(days=21 + days)
    return registered_under(town, town.agreement(until_on=last)), last


@pytest.mark.parametrize(("before", "fits"), [(61, False), (60, True), (0, True), (-1, False)])
def test_renewal_is_applied_for_in_the_sixty_days_before_it_ends(
    town: Town, before: int, fits: bool
) -> None:
    registered, last = expiring(town, 90)
    longer = agreement_with(town, "olga")
    town.now = at(last - timedelta(days=before), 23 if before >= 0 else 0)
    if fits:
        assert apply(town, "renewal", registered, agreement=longer).asked == {
            "agreement_id": longer.id, "until_on": years_after(last, 1).isoformat(),
        }  # fmt: skip
        return
    first = last - timedelta(days=60)
    told = refusal(town, registered, "renewal", agreement=longer)
    assert f"renewal can be applied for from {first} to {last}" in told


@pytest.mark.parametrize("years", [0, -1, 4])
def test_a_renewal_lasts_three_years_at_most(town: Town, years: int) -> None:
    registered, last = expiring(town)
    longer = agreement_with(town, "olga")
    town.now = at(last)
    told = refusal(town, registered, "renewal", agreement=longer, years=years)
    assert "a renewal lasts 1 to 3 years" in told
    assert apply(town, "renewal", registered, agreement=longer, years=3).asked == {
        "agreement_id": longer.id, "until_on": years_after(last, 3).isoformat(),
    }  # fmt: skip


def test_a_renewal_ends_with_its_agreement_and_needs_one_that_goes_on(town: Town) -> None:
    registered, last = expiring(town)
    town.now = at(last)
    assert f"ends on {last}: renew it first" in refusal(town, registered, "renewal")
    until = last + timedelta(days=100)
    short = agreement_with(town, "olga", until_on=until)
    made = apply(town, "renewal", registered, agreement=short, years=3)
    assert (made.asked or {})["until_on"] == until.isoformat()


def test_a_renewal_s_agreement_is_signed_leaves_no_gap_and_is_the_subject_s(town: Town) -> None:
    registered, last = expiring(town)
    town.now = at(last)
    facts = {
        "elements": dict.fromkeys(agreements.ELEMENTS, "如约定"), "from_on": last,
        "implementer": town.party("bureau"), "mode": "whole", "title": "协议",
        "resource_ids": list(registered.resource_ids), "until_on": years_after(last, 4),
    }  # fmt: skip
    unsigned = town.do("olga", agreements.propose, **facts)
    assert "is proposed" in refusal(town, registered, "renewal", agreement=unsigned)
    late = agreement_with(town, "olga", from_on=last + timedelta(days=2))
    assert "is outside" in refusal(town, registered, "renewal", agreement=late)
    theirs = agreement_with(town, "mallory")
    assert "another operator's" in refusal(town, registered, "renewal", agreement=theirs)
    next_day = agreement_with(town, "olga", from_on=last + timedelta(days=1))
    assert apply(town, "renewal", registered, agreement=next_day).state == "submitted"


def test_a_renewal_open_over_the_last_day_keeps_it_from_lapsing_and_counts_from_that_day(
    town: Town,
) -> None:
    registered, last = expiring(town)
    longer = agreement_with(town, "olga")
    town.now = at(last, 23)
    made = apply(town, "renewal", registered, agreement=longer, years=2)
    town.now = at(last + timedelta(days=9))
    with town.deed() as session:
        assert register.lapse(session, town.now) == 0
    conclude(town, made)
    renewed = again(town, registered)
    assert renewed.valid_until == end_of_day(years_after(last, 2)).astimezone(UTC)
    assert (renewed.state, renewed.agreement_id) == ("registered", longer.id)


def test_what_was_applied_for_in_time_is_mended_after_the_last_day(town: Town) -> None:
    registered, last = expiring(town)
    longer = agreement_with(town, "olga")
    town.now = at(last)
    made = apply(town, "renewal", registered, agreement=longer)
    town.do("rita", registration.send_back, made, ["协议副本"])
    town.now = at(last + timedelta(days=3))
    mended = apply(town, "renewal", registered, agreement=longer, amends=made)
    assert (mended.number, mended.state) == (made.number, "submitted")


def test_a_renewal_that_fails_after_the_last_day_lets_it_lapse(town: Town) -> None:
    registered, last = expiring(town)
    longer = agreement_with(town, "olga")
    town.now = at(last)
    made = apply(town, "renewal", registered, agreement=longer)
    town.now = at(last + timedelta(days=2))
    town.do("rita", registration.refuse, made, "不符")
    with town.deed() as session:
        assert register.lapse(session, town.now) == 1
    assert again(town, registered).state == "cancelled"


# ---------------------------------------------------------------- what is lacking


@pytest.mark.parametrize("type_", VERBS)
def test_everything_missing_is_named_at_once(still: Any, type_: str) -> None:
    town, login = still.town, "mallory" if type_ == "objection" else "olga"
    before = town.snapshot()
    with pytest.raises(Invalid) as refused:
        town.do(
            login, registration_changes.apply, still.registered, type_, ground="x", statement=" ",
            proof="", asked=Asked(address="0x1", attachments=[{"material": "no", "deposit_id": "x"}]),
        )  # fmt: skip
    assert town.snapshot() == before
    said = str(refused.value.facts["faults"])
    due = [f"{key} ({zh})" for key, zh in MATERIALS.items()]
    due += ["unknown item no", "was not deposited by your organisation"]
    due += {
        "change": ["the ground must be one of", "nothing is to be another than it is"],
        "correction": ["the ground must be one of", "nothing is to be another than it is"],
        "cancellation": ["the ground must be one of lost ("],
        "renewal": ["renewal can be applied for from", "a renewal lasts 1 to 3 years"],
        "transfer": ["party (对方单位)", "0x1", "needs its operation agreement"],
        "licence": ["party (对方单位)", "the right must be one of", "terms (", "must end by"],
        "objection": ["terms (异议事项)"],
    }[type_]
    assert [one for one in due if one not in said] == []


@pytest.mark.parametrize("name", profiles())
@pytest.mark.parametrize("type_", ["change", "correction", "cancellation"])
def test_each_ground_of_a_profile_is_taken_and_no_other(still: Any, name: str, type_: str) -> None:
    grounds = profile(name).types[type_].grounds
    assert grounds
    assert "the ground must be one of" in refusal(still.town, still.registered, type_, ground="x")
    assert set(grounds) == set(profile("national").types[type_].grounds)


def test_resources_outside_the_agreement_core_data_and_what_another_holds_are_refused(
    town: Town,
) -> None:
    registered = town.registration()
    with town.deed() as session:
        core = catalogue.add_resource(
            session, town.actors["rita"], town.now, code="307001001/000088", title="核心资源",
            provider="市数据局", elements={"grading": "核心"},
        ).id  # fmt: skip
    told = refusal(town, registered, "change", title="", resource_ids=[core])
    assert "is outside agreement" in told
    assert "which is not registered" in told


def held(town: Town, codes: slice) -> Registration:
    """What paul's bureau registers of its own resources: the right to hold them."""
    made = apply_to_hold(town, town.resources()[codes])
    passed(town, made)
    town.do("rita", registration.give_notice, made)
    town.later(days=21)
    return town.do("rita", registration.code, made, None)  # type: ignore[no-any-return]


def apply_to_hold(town: Town, ids: list[str]) -> Application:
    made: Application = town.do(
        "paul", registration.submit, agreement=None, deposits=[town.deposit("paul")],
        materials=dict.fromkeys(registration.MATERIALS, "如附件"), object_kind="resource", quality=[],
        resource_ids=ids, rights=["holding"], summary="资源", title="资源",
    )  # fmt: skip
    return made


def test_a_change_does_not_take_what_another_registration_holds(town: Town) -> None:
    first, second = held(town, slice(0, 1)), held(town, slice(1, 2))
    told = refusal(
        town, first, "change", "paul", ground="resource", title="", resource_ids=town.resources()
    )
    assert f"registered or applied for already ({second.code})" in told


def test_what_was_graded_core_since_is_not_passed(town: Town) -> None:
    made = town.application("in_review")
    with town.deed() as session:
        found = session.get_one(catalogue.Resource, made.resource_ids[0])
        found.grade = "core"
        log.append(session, found, "resource.changed", "system")
    with pytest.raises(Conflict, match=r"which is not registered"):
        town.do("rita", registration.pass_review, made, formal="全", compliance=compliance())


def test_what_is_as_it_was_is_no_change(still: Any) -> None:
    registered = still.registered
    told = refusal(
        still.town, registered, "change", title=f" {registered.title} ",
        resource_ids=list(reversed(registered.resource_ids)),
    )  # fmt: skip
    assert "nothing is to be another than it is" in told


# ---------------------------------------------------------------- attachments


def files(town: Town, *deposits: Any, material: str = "proof") -> list[dict[str, str]]:
    return [{"deposit_id": one.id, "material": material} for one in deposits]


def test_files_are_to_a_material_one_s_own_and_neither_too_large_nor_too_many(still: Any) -> None:
    town, registered = still.town, still.registered
    mine, theirs = town.deposit(), town.deposit("mallory")
    big = town.do(
        "olga", registration.deposit, name="全.zip", digest=digest_text(b"big"),
        size_bytes=registration.ATTACHMENT_BYTES_MAX + 1,
    )  # fmt: skip
    told = refusal(town, registered, "change", attachments=[
        *files(town, mine, material="scene"), *files(town, theirs, big),
    ])  # fmt: skip
    assert "unknown item scene" in told
    assert "was not deposited by your organisation" in told
    assert "全.zip is larger than 50 MiB" in told
    most = registration.ATTACHMENTS_MAX
    told = refusal(town, registered, "change", attachments=files(town, mine) * (most + 1))
    assert f"more than {most} files" in told


def test_files_that_fit_are_kept_with_the_application(town: Town) -> None:
    registered, mine = town.registration(), town.deposit()
    made = apply(town, "change", registered,
                 attachments=files(town, mine) * registration.ATTACHMENTS_MAX)  # fmt: skip
    assert made.attachments == files(town, mine) * registration.ATTACHMENTS_MAX


# ---------------------------------------------------------------- consents


def test_the_receiver_consents_before_a_transfer_is_accepted(shenzhen: Town) -> None:
    town, registered = shenzhen, shenzhen.registration()
    made = apply(
        town, "transfer", registered, party=town.party("bank"), address=ADDRESS,
        agreement=agreement_with(town, "mallory"),
    )  # fmt: skip
    with pytest.raises(Conflict, match=f"lacks the consent of {town.party('bank').name}"):
        town.do("rita", registration.accept, made)
    with pytest.raises(Conflict, match=r"waits for no consent"):
        town.do("olga", registration.consent, made)
    with pytest.raises(NotAllowed):
        town.do("paul", registration.consent, made)
    town.do("pia", registration.consent, made)
    assert [one["by"] for one in again(town, made).consents] == [town.actors["pia"].member_id]
    with pytest.raises(Conflict, match=r"waits for no consent"):
        town.do("mallory", registration.consent, made)
    town.do("rita", registration.accept, made)


def test_joint_applicants_consent_to_the_first_and_to_all_that_follows(town: Town) -> None:
    bank = town.party("bank")
    made = town.do("olga", registration.submit, **town.application_facts(), joint=[bank])
    with pytest.raises(Conflict, match=r"lacks the consent"):
        town.do("rita", registration.accept, made)
    town.do("mallory", registration.consent, made)
    passed(town, made)
    town.do("rita", registration.give_notice, made)
    assert again(town, made).notice["subjects"] == [town.parties["operator"], bank.id]
    town.later(days=21)
    registered = town.do(
        "rita", registration.code, made, town.get(agreements.Agreement, made))  # fmt: skip
    assert registered.joint_ids == [bank.id]
    theirs = apply(town, "change", registered, "mallory")
    assert theirs.consents == [{"as": "joint", "by": None, "party_id": town.parties["operator"]}]
    with pytest.raises(Conflict, match=r"lacks the consent"):
        town.do("rita", registration.accept, theirs)
    town.do("olga", registration.consent, theirs)
    conclude(town, theirs)
    assert again(town, registered).title == theirs.title


def test_the_applicant_is_not_joint_with_himself_and_nobody_twice(town: Town) -> None:
    facts = town.application_facts()
    bank, own = town.party("bank"), town.party("operator")
    with pytest.raises(Invalid) as refused:
        town.do("olga", registration.submit, **facts, joint=[own, bank, bank])
    assert str(refused.value.facts["faults"]) == (
        f"{own.name} stands there twice; {bank.name} stands there twice"
    )


@pytest.mark.parametrize("way", ["consent", "files", "neither"])
def test_another_s_correction_needs_the_subject_s_consent_or_files(town: Town, way: str) -> None:
    registered = town.registration()
    proofs = files(town, town.deposit("mallory")) if way == "files" else []
    made = apply(town, "correction", registered, "mallory", attachments=proofs)
    passed(town, made)
    if way == "consent":
        town.do("olga", registration.consent, made)
    if way == "neither":
        town.do("rob", registration.second, made, "属实")
        with pytest.raises(Conflict, match=r"lacks a consent"):
            town.do("rita", registration_changes.conclude, made, "有误")
        assert again(town, registered).summary == registered.summary
        return
    if way == "files":  # without the subject two registrars must see it
        with pytest.raises(Conflict, match=r"A second registrar must confirm"):
            town.do("rita", registration_changes.conclude, made, "有误")
        town.do("rob", registration.second, made, "属实")
    town.do("rita", registration_changes.conclude, made, "有误")
    assert again(town, registered).summary == "更正后的摘要"


@pytest.mark.parametrize("type_", ["change", "cancellation", "renewal", "transfer", "licence"])
def test_what_is_the_subject_s_nobody_else_applies_for(still: Any, type_: str) -> None:
    with pytest.raises(NotAllowed, match=r"another organisation"):
        apply(still.town, type_, still.registered, "mallory")


# ---------------------------------------------------------------- one at a time, and again


def test_a_second_application_waits_until_the_first_is_done(town: Town) -> None:
    registered = town.registration()
    first = apply(town, "change", registered)
    told = refusal(town, registered, "cancellation")
    assert f"Application {first.number} about registration {registered.code} is still open" in told
    town.do("rita", registration.send_back, first, ["缺"])
    assert "still open" in refusal(town, registered, "change")
    town.do("olga", registration.withdraw, first, "不办了")
    assert apply(town, "cancellation", registered).state == "submitted"


def test_an_application_mended_keeps_its_number_and_its_clock_restarts(town: Town) -> None:
    town.now = at(date(2026, 9, 8))
    registered = town.registration()
    town.now = at(date(2026, 9, 29))
    made = apply(town, "change", registered, title="甲")
    town.do("rita", registration.send_back, made, ["证明"])
    returned = again(town, made)
    assert (returned.state, returned.deadlines) == ("returned", {})
    town.now = at(date(2026, 9, 30))
    mended = apply(town, "change", registered, title="乙", amends=returned)
    assert (mended.id, mended.number, mended.title) == (made.id, made.number, "乙")
    assert mended.deadlines["accept"]["on"] == "2026-10-10", "a Saturday that is worked"


def test_an_application_is_mended_by_its_own_kind_about_its_own_registration(town: Town) -> None:
    registered, other = town.registration(), town.registration()
    made = apply(town, "change", registered)
    town.do("rita", registration.send_back, made, ["证明"])
    assert "about something else" in refusal(town, other, "change", amends=made)
    assert "about something else" in refusal(town, registered, "cancellation", amends=made)


def test_an_application_about_a_registration_is_not_coded_nor_a_first_one_concluded(
    town: Town,
) -> None:
    made = passed(town, apply(town, "change"))
    town.do("rita", registration.give_notice, made)
    town.later(days=21)
    with pytest.raises(Conflict, match=r"is of the type change"):
        town.do("rita", registration.code, made, town.get(agreements.Agreement, made))
    first = town.application("on_notice")
    town.later(days=21)
    with pytest.raises(Conflict, match=r"is a first registration: code it"):
        town.do("rita", registration_changes.conclude, first, "属实")


def test_a_conclusion_says_what_was_found(town: Town) -> None:
    made = passed(town, apply(town, "cancellation"))
    with pytest.raises(Invalid, match=r"State what was found"):
        town.do("rita", registration_changes.conclude, made, "  ")


def test_nothing_is_concluded_while_the_registration_is_verified(town: Town) -> None:
    registered = town.registration()
    made = passed(town, apply(town, "cancellation", registered))
    town.do("rob", register.inquire, registered, "举报")
    before = town.snapshot()
    with pytest.raises(Conflict):
        town.do("rita", registration_changes.conclude, made, "属实")
    assert town.snapshot() == before
    assert "is under_inquiry" in refusal(town, registered, "change")


# ---------------------------------------------------------------- the rules of a place


@pytest.mark.parametrize("type_", ["transfer", "licence", "objection"])
def test_the_national_rules_do_not_have_every_type_and_say_who_has(town: Town, type_: str) -> None:
    registered = town.registration()
    login = "mallory" if type_ == "objection" else "olga"
    told = refusal(town, registered, type_, login)
    having = {"transfer": "深圳、广东、贵州", "licence": "深圳、贵州", "objection": "深圳"}[type_]
    assert told == (
        f"The rules of this registry (国家通用) have no registration of the type {type_}; {having}."
    )


@pytest.mark.parametrize(
    ("name", "has", "lacks"),
    [
        ("guangdong", {"transfer"}, {"licence", "objection"}),
        ("guizhou", {"transfer", "licence"}, {"objection"}),
        ("shenzhen", {"transfer", "licence", "objection"}, set()),
    ],
)
def test_a_place_has_its_own_types(name: str, has: set[str], lacks: set[str]) -> None:
    local = {"transfer", "licence", "objection"}
    assert local & set(profile(name).types) == has
    assert local - set(profile(name).types) == lacks


@pytest.mark.parametrize(
    ("name", "review_on"),
    [("national", "2026-10-30"), ("shenzhen", "2026-10-16"), ("guangdong", "2026-10-30"),
     ("guizhou", "2026-10-30")],
)  # fmt: skip
def test_the_review_takes_the_days_of_the_place(town: Town, name: str, review_on: str) -> None:
    registrations.profile(town, name)
    town.now = at(date(2026, 9, 28))
    made = town.application("in_review")
    assert again(town, made).deadlines["review"]["on"] == review_on
    assert made.profile == name


@pytest.mark.parametrize("kind", ["model", "computing_power"])
@pytest.mark.parametrize("name", profiles())
def test_models_and_computing_power_are_registered_where_the_place_says_so(
    town: Town, name: str, kind: str
) -> None:
    registrations.profile(town, name)
    facts = {
        **town.application_facts(), "agreement": None, "object_kind": kind, "resource_ids": [],
    }  # fmt: skip
    if name == "guizhou":
        made = town.do("olga", registration.submit, **facts)
        passed(town, made)
        town.do("rita", registration.give_notice, made)
        town.later(days=21)
        assert town.do("rita", registration.code, made, None).object == kind
        return
    with pytest.raises(Invalid, match=r"object must be one of resource, product"):
        town.do("olga", registration.submit, **facts)


def test_where_the_place_lists_grounds_of_refusal_one_is_named(shenzhen: Town) -> None:
    made = shenzhen.application()
    before = shenzhen.snapshot()
    for ground in ("", "weather"):
        with pytest.raises(Invalid, match=r"title_dispute \(存在未解决的权属争议\)"):
            shenzhen.do("rita", registration.refuse, made, "不符", ground)
    assert shenzhen.snapshot() == before
    shenzhen.do("rita", registration.refuse, made, "权属未明", "title_dispute")
    refused = again(shenzhen, made)
    assert (refused.state, refused.review["refused_on"]) == ("not_accepted", "title_dispute")


def test_an_application_goes_on_by_the_rules_it_came_under(town: Town) -> None:
    made = town.application()
    registrations.profile(town, "shenzhen")
    town.do("rita", registration.refuse, made, "不符")  # the national rules list no grounds
    assert again(town, made).state == "not_accepted"


# ---------------------------------------------------------------- second eyes


def test_what_is_important_is_confirmed_by_another_registrar_within_the_same_deadline(
    town: Town,
) -> None:
    made = passed(town, registrations.important(town))
    assert (made.grade, made.review["needs_second"]) == ("important", True)
    due = made.deadlines["review"]
    with pytest.raises(Conflict, match=r"A second registrar must confirm"):
        town.do("rita", registration.give_notice, made)
    with pytest.raises(NotAllowed, match=r"yourself"):
        town.do("rita", registration.second, made, "属实")
    town.do("rob", registration.doubt, made, "来源不足")
    doubted = again(town, made)
    assert (doubted.state, doubted.deadlines["review"]) == ("in_review", due)
    town.do("rita", registration.pass_review, made, formal="全", compliance=compliance())
    town.do("rob", registration.second, made, "属实")
    confirmed = again(town, made)
    assert (confirmed.review["seconded_by"], confirmed.deadlines) == (
        town.actors["rob"].member_id, {},
    )  # fmt: skip
    with pytest.raises(Conflict, match=r"waits for no second look"):
        town.do("rob", registration.second, made, "属实")
    town.do("rita", registration.give_notice, made)


def test_what_is_general_needs_no_second_look(town: Town) -> None:
    made = town.application("reviewed")
    for verb in (registration.second, registration.doubt):
        with pytest.raises(Conflict, match=r"waits for no second look"):
            town.do("rob", verb, made, "属实")


def test_words_are_stated(town: Town) -> None:
    assert set(WORDS) == set(MATERIALS)
    assert set(VERBS) == set(registration_changes.CHECKS) == set(registration_changes.APPLY)
    assert {f"application.{verb}" for verb in VERBS.values()} <= set(rights.MAY)
