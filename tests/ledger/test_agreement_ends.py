"""An agreement ends before its day by two people's act, and what was given is handed back after."""

from datetime import timedelta
from typing import Any

import pytest

from ledger import agreement_ends, agreements, log, parties, trading
from ledger.errors import Conflict, Invalid, NotAllowed
from tests.conftest import ORIGIN, Town
from tests.ledger.organisations import merge, party

POINTS = dict.fromkeys(agreement_ends.POINTS, "已完成")


def now_of(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def colleague(town: Town) -> str:
    """Another provider of the implementing body."""
    with town.deed() as session:
        parties.add_member(
            session, "system", town.now, login="pan", display_name="Pan", roles=["provider"],
            party=session.get_one(parties.Party, town.parties["bureau"]),
        )  # fmt: skip
        town.actors["pan"] = parties.actor_by_login(session, "pan")
    return "pan"


def propose(town: Town, who: str, kind: str, agreement: Any = None) -> Any:
    agreement = agreement or town.agreement()
    town.do(who, agreement_ends.propose_end, agreement, kind=kind, ground="理由")
    return agreement


@pytest.mark.parametrize(("one", "other", "colleague"), [("olga", "paul", "opal")])
def test_one_side_proposes_and_the_other_one_confirms(
    town: Town, one: str, other: str, colleague: str
) -> None:
    made = propose(town, one, "by_agreement")
    agreements.require_in_force(now_of(town, made), town.now.date())
    with pytest.raises(NotAllowed, match="yourself"):
        town.do(one, agreement_ends.end, made)
    with pytest.raises(NotAllowed, match="other side"):
        town.do(colleague, agreement_ends.end, made)
    with pytest.raises(NotAllowed):
        town.do("mallory", agreement_ends.end, made)
    town.do(other, agreement_ends.end, made)
    ended = now_of(town, made)
    assert (ended.state, ended.ended_on, ended.end_kind) == ("ended", "2026-03-02", "by_agreement")
    with town.reading() as session:
        last = log.payload_of(log.history(session, made.id)[-1])
    assert (last["kind"], last["reason"]) == ("agreement.ended", "理由")
    with pytest.raises(Invalid, match="is ended"):
        agreements.require_in_force(ended, town.now.date())


@pytest.mark.parametrize("kind", agreement_ends.KINDS)
def test_on_some_grounds_two_people_of_the_implementing_body_decide_by_themselves(
    town: Town, kind: str
) -> None:
    if kind == "evaluation":  # its own test stands with the evaluations
        return
    pan = colleague(town)
    made = propose(town, "paul", kind)
    with pytest.raises(NotAllowed, match="yourself"):
        town.do("paul", agreement_ends.end, made)
    if kind in agreement_ends.ALONE:
        with pytest.raises(NotAllowed):
            town.do("olga", agreement_ends.keep, made, "没有违约")
        town.do(pan, agreement_ends.end, made)
        assert now_of(town, made).state == "ended"
        return
    with pytest.raises(NotAllowed, match="other side"):
        town.do(pan, agreement_ends.end, made)
    town.do("olga", agreement_ends.keep, made, "不同意")
    kept = now_of(town, made)
    assert (kept.state, kept.end_kind, kept.end_by) == ("in_force", None, None)


def test_the_operator_alone_ends_nothing_whatever_it_names(town: Town) -> None:
    made = propose(town, "olga", "breach")
    with pytest.raises(NotAllowed, match="other side"):
        town.do("opal", agreement_ends.end, made)


def test_an_end_needs_a_known_kind_and_its_ground(town: Town) -> None:
    made = town.agreement()
    with pytest.raises(Invalid) as refused:
        town.do("paul", agreement_ends.propose_end, made, kind="whim", ground=" ")
    assert set(refused.value.facts["faults"].by_place(str)) == {"kind", "ground"}
    with pytest.raises(Invalid, match="not both unqualified"):
        town.do("paul", agreement_ends.propose_end, made, kind="evaluation", ground="评价")
    with pytest.raises(Invalid, match="only the implementing body"):
        town.do("olga", agreement_ends.propose_end, made, kind="evaluation", ground="评价")


def test_after_the_end_nothing_is_sold_but_what_was_sold_runs_on_until_it_is_revoked(
    town: Town,
) -> None:
    registered = town.registration()
    voucher = town.voucher(registered)
    licence = town.licence(voucher)
    agreement = propose(town, "olga", "by_agreement", town.get(agreements.Agreement, registered))
    town.do("paul", agreement_ends.end, agreement)
    with pytest.raises(Invalid, match="is ended"):
        town.licence(voucher)
    assert now_of(town, licence).state == "granted"
    town.do("olga", trading.revoke, licence, voucher, "协议终止", ORIGIN)
    assert now_of(town, licence).state == "revoked"


def test_a_hand_back_tells_every_point_and_is_confirmed_or_opened_again(town: Town) -> None:
    made = propose(town, "olga", "by_agreement")
    town.do("paul", agreement_ends.end, made)
    with pytest.raises(Invalid) as refused:
        town.do("olga", agreement_ends.hand_back, made, {"platform": " ", "other": "x"})
    assert set(refused.value.facts["faults"].by_place(str)) == {*agreement_ends.POINTS, "other"}
    town.do("olga", agreement_ends.hand_back, made, POINTS)
    with pytest.raises(NotAllowed):
        town.do("olga", agreement_ends.confirm_hand_back, made)
    town.do("paul", agreement_ends.reopen_hand_back, made, "密钥未移交")
    opened = now_of(town, made)
    assert (opened.state, opened.hand_back["reopened"]) == ("hand_back_open", "密钥未移交")
    town.do("olga", agreement_ends.hand_back, made, {**POINTS, "platform": "密钥已移交"})
    town.do("paul", agreement_ends.confirm_hand_back, made)
    done = now_of(town, made)
    assert done.state == "handed_back"
    assert done.hand_back["points"]["platform"] == "密钥已移交"
    assert done.hand_back["confirmed_by"] == town.actors["paul"].member_id


def test_what_expired_is_handed_back_too(town: Town) -> None:
    made = town.agreement(until_on=town.now.date())
    town.later(days=1)
    with pytest.raises(Conflict):
        town.do("olga", agreement_ends.hand_back, made, POINTS)
    with town.deed() as session:
        agreements.expire(session, town.now)
    town.do("olga", agreement_ends.hand_back, made, POINTS)
    assert now_of(town, made).state == "handing_back"


def test_an_end_that_is_not_confirmed_in_time_is_overtaken_by_the_last_day(town: Town) -> None:
    made = propose(town, "olga", "by_agreement", town.agreement(until_on=town.now.date()))
    town.later(days=1)
    with town.deed() as session:
        assert agreements.expire(session, town.now) == 1
    with pytest.raises(Conflict):
        town.do("paul", agreement_ends.end, made)


@pytest.mark.parametrize("how", ["ended", "lapsed"])
def test_an_agreement_that_is_over_does_not_keep_its_two_sides_from_merging(
    town: Town, how: str
) -> None:
    until = town.now.date() + timedelta(days=9)
    made = town.agreement(until_on=until)
    institution = party(town, "public_institution")
    merge(town, town.party("bureau"), institution)
    with pytest.raises(Conflict, match="both of its sides"):
        merge(town, town.party("operator"), institution)
    if how == "lapsed":
        town.later(days=10)
    else:
        town.actors["paul"] = refreshed(town, "paul")
        propose(town, "olga", "by_agreement", made)
        town.do("paul", agreement_ends.end, made)
    merge(town, town.party("operator"), institution)


def refreshed(town: Town, login: str) -> parties.Actor:
    with town.reading() as session:
        return parties.actor_by_login(session, login)


def test_who_succeeds_a_side_hands_back_and_confirms_in_its_place(town: Town) -> None:
    made = propose(town, "olga", "by_agreement")
    town.do("paul", agreement_ends.end, made)
    merge(town, town.party("operator"), town.party("bank"))
    town.actors["mallory"] = refreshed(town, "mallory")
    town.do("mallory", agreement_ends.hand_back, made, POINTS)
    town.do("paul", agreement_ends.confirm_hand_back, made)
    assert now_of(town, made).state == "handed_back"


def test_a_role_of_the_other_side_in_one_s_own_organisation_speaks_for_neither(town: Town) -> None:
    with town.deed() as session:
        parties.add_member(
            session, "system", town.now, login="odd", display_name="Odd", roles=["provider"],
            party=session.get_one(parties.Party, town.parties["operator"]),
        )  # fmt: skip
        town.actors["odd"] = parties.actor_by_login(session, "odd")
    made = propose(town, "paul", "breach")
    with pytest.raises(NotAllowed, match="other side"):
        town.do("odd", agreement_ends.end, made)
    town.do("paul", agreement_ends.keep, made, "已改正")
    with pytest.raises(NotAllowed, match="neither side"):
        town.do("odd", agreement_ends.propose_end, made, kind="law", ground="x")
