"""What came about while an application was on its way, and what an older row lacks."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from ledger import (
    agreement_ends,
    agreements,
    objections,
    register,
    registration,
    registration_changes,
    reminders,
)
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.catalogue import Resource
from ledger.errors import Conflict, Invalid, NotAllowed
from ledger.messages import Message, addressed
from ledger.registration import Application, Registration
from tests.conftest import Town
from tests.ledger import registrations
from tests.ledger.registrations import (
    ADDRESS,
    agreement_with,
    apply,
    conclude,
    object_to,
    passed,
    row,
)
from webapp import timers


def graded(town: Town, value: str) -> None:
    with town.home.engine.begin() as connection:
        connection.execute(update(Resource).values(grade=value))


def ended(town: Town, agreement: Agreement) -> None:
    town.do("paul", agreement_ends.propose_end, agreement, kind="by_agreement", ground="协商")
    town.do("olga", agreement_ends.end, agreement)


def told_of(town: Town, kind: str) -> set[str | None]:
    """The organisations that are told of a kind of record."""
    with town.reading() as session:
        return {one.party_id for one in session.query(Message) if one.key.startswith(f"{kind} ")}


# ---------------------------------------------------------------- graded since


def test_what_was_graded_core_on_its_notice_is_not_coded(town: Town) -> None:
    made = town.application("on_notice")
    town.later(days=21)
    graded(town, "core")
    with pytest.raises(Conflict, match=r"not registered"):
        town.do("rita", registration.code, made, town.get(Agreement, made))
    town.do("rita", registration.reject, made, "定为核心数据")
    assert row(town, Application, made.id).state == "not_accepted"


def test_a_renewal_of_what_is_core_since_is_refused_and_its_cancellation_is_not(town: Town) -> None:
    registered = town.registration()
    town.now = registered.valid_until - timedelta(days=30)
    renewal = passed(town, apply(town, "renewal", registered))
    graded(town, "core")
    with pytest.raises(Conflict, match=r"not registered"):
        town.do("rita", registration_changes.conclude, renewal, "属实")
    town.do("rita", registration.reject, renewal, "定为核心数据")
    cancellation = passed(town, apply(town, "cancellation", registered))
    town.do("rob", registration.second, cancellation, "属实")
    town.do("rita", registration_changes.conclude, cancellation, "属实")
    assert row(town, Registration, registered.id).state == "cancelled"


# ---------------------------------------------------------------- no way to live on


def test_a_renewal_that_cannot_be_concluded_is_rejected_and_it_lapses(town: Town) -> None:
    registered = town.registration()
    town.now = registered.valid_until - timedelta(days=30)
    renewal = passed(town, apply(town, "renewal", registered))
    ended(town, registrations.agreement_of(town, registered))
    town.now = registered.valid_until + timedelta(days=2)
    with pytest.raises(Invalid, match=r"is outside"):
        town.do("rita", registration_changes.conclude, renewal, "属实")
    town.do("rita", registration.reject, renewal, "协议已终止")
    with town.deed() as session:
        assert register.lapse(session, town.now) == 1


def test_a_returned_renewal_that_nobody_mends_does_not_keep_it_alive_for_ever(town: Town) -> None:
    registered = town.registration()
    town.now = registered.valid_until - timedelta(days=1)
    renewal = apply(town, "renewal", registered)
    town.do("rita", registration.send_back, renewal, ["缺"])
    for days, lapsed in ((10, 0), (50, 1)):
        town.later(days=days)
        with town.deed() as session:
            assert register.lapse(session, town.now) == lapsed
    with pytest.raises(Conflict, match=r"is cancelled"):
        apply(town, "renewal", registered, amends=row(town, Application, renewal.id))


# ---------------------------------------------------------------- agreements


def test_under_an_agreement_that_ended_nothing_more_is_opened_nor_licensed(town: Town) -> None:
    registrations.profile(town, "shenzhen")
    first, second = town.resources()
    agreement = town.agreement(resource_ids=[first, second])
    facts = {**town.application_facts(agreement), "resource_ids": [first]}
    made = passed(town, town.do("olga", registration.submit, **facts))
    town.do("rita", registration.give_notice, made)
    town.later(days=21)
    registered = town.do("rita", registration.code, made, agreement)
    today = local_date(town.now)
    licence: dict[str, Any] = {"party": town.party("bank"), "right": "use", "terms": "一年",
                               "from_on": today, "until_on": today + timedelta(days=90)}  # fmt: skip
    wider: dict[str, Any] = {"ground": "resource", "resource_ids": [first, second]}
    before = apply(town, "change", registered, **wider)
    passed(town, before)
    town.do("rita", registration.give_notice, before)
    ended(town, agreement)
    town.later(days=21)
    with pytest.raises(Invalid, match=r"is outside"):
        town.do("rita", registration_changes.conclude, before, "属实")
    town.do("rita", registration.reject, before, "协议已终止")
    with pytest.raises(Invalid, match=r"is outside"):
        apply(town, "change", registered, **wider)
    with pytest.raises(Invalid, match=r"is outside"):
        apply(town, "licence", registered, **licence)
    assert conclude(town, apply(town, "change", registered, title="新名称")).title == "新名称"


@pytest.mark.parametrize("type_", ["renewal", "transfer"])
def test_of_another_operator_s_agreement_nothing_is_told_but_whose_it_is_not(
    town: Town, type_: str
) -> None:
    registrations.profile(town, "shenzhen")
    registered = town.registration()
    secret = town.do(
        "mallory", agreements.propose, elements=dict.fromkeys(agreements.ELEMENTS, "如约定"),
        from_on=local_date(town.now), until_on=local_date(town.now) + timedelta(days=9),
        implementer=town.party("bureau"), mode="by_scene", resource_ids=town.resources()[:1],
        scenes=[{"name": "秘密场景", "use": ""}], title="未公开",
    )  # fmt: skip
    town.now = registered.valid_until - timedelta(days=30)
    asked: dict[str, Any] = {"agreement": secret}
    if type_ == "transfer":
        asked |= {"party": town.party("exchange"), "address": ADDRESS}
    with pytest.raises(Invalid) as refused:
        apply(town, type_, registered, **asked)
    told = refused.value.sentence
    assert f"agreement {secret.number} is another operator's" in told
    for part in ("秘密场景", "307001001", secret.until_on, "proposed"):
        assert part not in told


def test_a_registrar_of_one_side_does_not_consent_for_a_body_that_takes_no_part(town: Town) -> None:
    ids = town.resources()
    with town.home.engine.begin() as connection:
        connection.execute(update(Resource).values(provider_id=None, provider="省水文局"))
    made = town.do(
        "olga", agreements.propose, elements=dict.fromkeys(agreements.ELEMENTS, "如约定"),
        from_on=local_date(town.now), until_on=local_date(town.now) + timedelta(days=90),
        implementer=town.party("bureau"), mode="whole", resource_ids=ids, title="协议",
    )  # fmt: skip
    with pytest.raises(Conflict, match=r"waits for your consent"):
        town.do("otto", agreements.consent, made, "函")
    assert len(town.do("rita", agreements.consent, made, "函")) == 2


# ---------------------------------------------------------------- who is told


def test_whose_consent_is_asked_for_is_told_and_of_what_was_done_its_subjects(town: Town) -> None:
    registrations.profile(town, "shenzhen")
    registered, theirs = town.registration(), agreement_with(town, "mallory")
    proof = town.deposit("mallory")
    files = [{"material": "proof", "deposit_id": proof.id}]
    asked = apply(town, "correction", registered, "mallory", attachments=files)
    assert town.parties["operator"] in told_of(town, "application.submitted")
    conclude(town, asked)
    assert told_of(town, "registration.corrected") == {town.parties["operator"]}
    conclude(town, apply(town, "objection", registered, "mallory"))
    assert told_of(town, "registration.disputed") == {town.parties["operator"]}
    asked = row(town, Registration, registered.id).disputes[0]
    town.do("rob", register.lift, registered, application=asked, finding="已和解")
    assert told_of(town, "registration.lifted") == {town.parties["operator"]}
    apply(town, "transfer", registered, party=town.party("bank"), address=ADDRESS, agreement=theirs)
    assert town.parties["bank"] in told_of(town, "application.submitted")


def test_a_body_that_registered_its_own_resource_is_told_of_its_renewal(town: Town) -> None:
    facts = {**town.application_facts(), "agreement": None, "object_kind": "resource",
             "deposits": [town.deposit("paul")]}  # fmt: skip
    with town.home.engine.begin() as connection:
        connection.execute(update(Resource).values(provider_id=town.parties["bureau"]))
    made = passed(town, town.do("paul", registration.submit, **facts))
    town.do("rita", registration.give_notice, made)
    town.later(days=21)
    registered = town.do("rita", registration.code, made, None)
    town.now = registered.valid_until - timedelta(days=30)
    with town.deed() as session:
        reminders.remind(session, town.now)
    with town.reading() as session:
        mine = session.query(Message).filter(addressed(town.actors["paul"]))
        assert mine.filter(Message.term == "registration.renewal").count() == 1


# ---------------------------------------------------------------- others' objections, old rows, timers


def test_who_has_objected_too_does_not_uphold_another_s_with_his_own(town: Town) -> None:
    made = town.application("on_notice")
    first, _ = object_to(town, made), object_to(town, made, "egon")
    town.actors["rob"] = replace(town.actors["rob"], party_id=town.parties["exchange"])  # went over
    with pytest.raises(NotAllowed):
        town.do("rob", objections.uphold, first, "成立")


def test_a_notice_from_before_there_were_clocks_is_objected_to_and_goes_on(town: Town) -> None:
    made = row(town, Application, town.application("on_notice").id)
    old = {**made.notice, "until": {"on": made.notice["until"]["on"], "provisional": False}}
    del old["subjects"]
    with town.home.engine.begin() as connection:
        connection.execute(
            update(Application).where(Application.id == made.id)
            .values(notice=old, profile=None, consents=None, asked=None, scenes=None, attachments=None)
        )  # fmt: skip
    raised = object_to(town, made)
    paused = row(town, Application, made.id).notice["until"]
    assert paused["left"] is not None
    town.later(days=1)
    town.do("rob", objections.dismiss, raised, "不成立")
    assert row(town, Application, made.id).notice["until"]["left"] is None
    town.later(days=30)
    assert town.do("rita", registration.code, made, town.get(Agreement, made)).state == "registered"


def test_a_timer_that_breaks_does_not_keep_the_others_from_theirs(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = town.agreement()
    town.later(days=5 * 366)

    def broken(_session: Any, _now: Any) -> int:
        raise KeyError("what is not there")

    monkeypatch.setattr(timers, "TIMERS", {"broken": broken, **timers.TIMERS})
    assert timers.ring(town.home, town.now) >= 1
    assert row(town, Agreement, agreement.id).state == "expired"
