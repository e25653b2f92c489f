"""Demands: matched with reasons, answered by the department or late, appealed, and nothing hidden leaks."""

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ledger import agreements, demands, exclusions
from ledger.calendar import clock, days_overdue, local_date
from ledger.errors import Conflict, Invalid, LedgerError, NotAllowed
from tests.conftest import Town
from tests.ledger.lists import (
    HIDDEN,
    SHARED,
    change,
    demand,
    exclusion,
    kinds,
    member,
    now_of,
    resource,
)

BY = timedelta(days=30)


def accept(town: Town, row: demands.Demand, what: Any, login: str = "paul") -> None:
    town.do(login, demands.accept, row, resource=what, mode="file", by_on=local_date(town.now) + BY)


def faults_of(refused: pytest.ExceptionInfo[Invalid]) -> dict[str, list[str]]:
    return refused.value.facts["faults"].by_place(str)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- submitted


def test_a_demand_whose_best_match_has_a_provider_goes_straight_to_him(town: Town) -> None:
    row = resource(town, 11, "企业登记基本信息", ["企业名称", "注册资本", "成立日期"])
    made = demand(town, cycle="weekly")
    assert (made.state, made.department_id) == ("assigned", town.parties["bureau"])
    assert made.due == {**clock(date(2026, 3, 2), 10), "on": "2026-03-16", "what": "answer"}
    assert kinds(town, made) == ["demand.submitted", "demand.assigned"]
    assert [(match["code"], match["title"]) for match in made.matches] == [(row.code, row.title)]
    assert made.number == "XQ2026-000001"


def test_a_demand_that_nothing_fits_waits_three_working_days_for_the_registrar(town: Town) -> None:
    resource(town, 11, "河流水质监测", ["断面"], provider="不参加的单位")
    made = demand(town)
    assert (made.state, made.matches, made.department_id) == ("submitted", [], None)
    assert made.due == {**clock(date(2026, 3, 2), 3), "on": "2026-03-05", "what": "assign"}
    town.do("rita", demands.assign, made, town.party("bureau"))
    assert now_of(town, made).due["on"] == "2026-03-16"


def test_a_provider_that_takes_no_part_leaves_the_demand_to_the_registrar(town: Town) -> None:
    resource(town, 11, "企业登记基本信息", ["企业名称"], provider="不参加的单位")
    made = demand(town)
    assert made.state == "submitted"
    assert len(made.matches) == 1


def test_a_department_s_own_demand_does_not_go_to_itself(town: Town) -> None:
    resource(town, 11, "企业登记基本信息", ["企业名称"])
    made = demand(town, "paul", use="sharing")
    assert made.state == "submitted"
    with pytest.raises(Invalid, match="made this demand itself"):
        town.do("rita", demands.assign, made, town.party("bureau"))


def test_everything_wrong_with_a_demand_is_named_at_once(village: Town) -> None:
    with pytest.raises(Invalid) as refused:
        demand(village, title=" ", purpose="", items=[" "], use="selling", cycle="hourly",
               for_name="某公司")  # fmt: skip
    assert set(faults_of(refused)) == {"title", "purpose", "items", "use", "cycle", "for_name"}


def test_a_broker_names_whom_he_acts_for_and_nobody_else_does(town: Town) -> None:
    broker = member(town, "broker", "data_broker", "broker")
    with pytest.raises(Invalid) as refused:
        demand(town, broker)
    assert faults_of(refused) == {"for_name": ["a broker must say whom he acts for"]}
    made = demand(town, broker, for_name="启明制造有限公司")
    assert made.for_name == "启明制造有限公司"
    with pytest.raises(NotAllowed):
        town.do("mallory", demands.withdraw, made, "不是我的")


# ---------------------------------------------------------------- what is hidden does not exist


def test_matches_of_hidden_resources_are_the_registrar_s_alone(town: Town) -> None:
    resource(town, 11, "企业登记基本信息", ["企业名称"], **HIDDEN)
    seen = resource(town, 12, "企业登记基本信息目录", ["企业名称"])
    made = demand(town)
    assert [match["code"] for match in made.matches] == [seen.code]
    told = {}
    for login in ("olga", "rita", "mallory"):
        with town.reading() as session:
            found = demands.matched(session, town.actors[login], town.fresh(session, made))
        told[login] = [match.resource.code for match in found]
    assert told == {
        "olga": [seen.code],
        "mallory": [seen.code],
        "rita": [seen.code, "307001001/000011"],
    }


def test_a_hidden_match_sends_the_demand_nowhere(town: Town) -> None:
    resource(town, 11, "企业登记基本信息", ["企业名称", "注册资本"], **HIDDEN)
    made = demand(town)
    assert (made.state, made.matches, made.department_id) == ("submitted", [], None)


def test_what_its_submitter_no_longer_sees_is_no_longer_told(town: Town) -> None:
    row = resource(town, 11, "企业登记基本信息", ["企业名称"])
    made = demand(town, resource=row)
    change(town, row, **HIDDEN)
    for login, sees in (("olga", False), ("paul", True), ("rita", True)):
        with town.reading() as session:
            told = demands.as_seen(session, town.actors[login], town.fresh(session, made))
        assert bool(told["matches"]) is sees
        assert (told["resource_id"] == row.id) is sees


def test_a_resource_that_the_demander_does_not_see_is_supplied_without_being_named(
    town: Town,
) -> None:
    hidden = resource(town, 11, "企业登记基本信息", ["企业名称"], **SHARED)
    made = demand(town, use="sharing")
    town.do("rita", demands.assign, made, town.party("bureau"))
    accept(town, made, hidden)
    with town.reading() as session:
        told = demands.as_seen(session, town.actors["olga"], town.fresh(session, made))
    assert told["answer"]["verdict"] == "accepted"
    assert hidden.id not in repr(told)


def test_an_operator_is_matched_with_the_resources_of_his_agreements(town: Town) -> None:
    hidden = resource(town, 11, "企业登记基本信息", ["企业名称"], **HIDDEN)
    assert demand(town, use="operation").matches == []
    made = town.do(
        "olga", agreements.propose, elements=dict.fromkeys(agreements.ELEMENTS, "如约定"),
        from_on=town.now.date(), implementer=town.party("bureau"),
        mode="by_scene", scenes=[{"name": "风险评估", "use": ""}],
        resource_ids=[hidden.id], title="授权运营协议", until_on=town.now.date() + BY,
    )  # fmt: skip
    assert demand(town, use="operation").matches == [], "nobody has signed"
    town.do("paul", agreements.sign, made)
    assert made.resource_ids == [hidden.id]
    assert [match["code"] for match in demand(town, use="operation").matches] == [hidden.code]


# ---------------------------------------------------------------- answered


@pytest.fixture
def assigned(town: Town) -> demands.Demand:
    """olga's demand with paul's department, and its resource."""
    resource(town, 11, "企业登记基本信息", ["企业名称", "注册资本"])
    return demand(town)


def its_resource(town: Town, row: demands.Demand) -> Any:
    from ledger.catalogue import resource_by_code  # noqa: PLC0415

    with town.reading() as session:
        return resource_by_code(session, row.matches[0]["code"])


def test_from_acceptance_to_the_end(town: Town, assigned: demands.Demand) -> None:
    row = its_resource(town, assigned)
    accept(town, assigned, row)
    accepted = now_of(town, assigned)
    assert accepted.due == {"on": "2026-04-01", "provisional": False, "what": "supply"}
    assert accepted.resource_id == row.id
    town.do("paul", demands.fulfil, assigned, resource=row, mode="interface", how="接口 v1 已开通")
    supplied = now_of(town, assigned)
    assert supplied.outcome["supplied"]["how"] == "接口 v1 已开通"
    assert supplied.due is None
    town.do("olga", demands.close, assigned)
    assert kinds(town, assigned)[2:] == ["demand.accepted", "demand.fulfilled", "demand.closed"]


def test_only_the_department_answers_and_only_with_what_it_provides(
    town: Town, assigned: demands.Demand
) -> None:
    row = its_resource(town, assigned)
    with pytest.raises(NotAllowed):
        accept(town, assigned, row, "pia")
    foreign = resource(town, 12, "企业年报", ["企业名称"], provider="城市商业银行")
    with pytest.raises(Invalid) as refused:
        town.do("paul", demands.accept, assigned, resource=foreign, mode="mail",
                by_on=local_date(town.now))  # fmt: skip
    assert set(faults_of(refused)) == {"resource", "mode", "by_on"}


def test_what_the_negative_list_forbids_is_told_and_cannot_be_accepted(
    town: Town, assigned: demands.Demand
) -> None:
    row = its_resource(town, assigned)
    entry = exclusion(town, row)
    with town.reading() as session:
        found = demands.matched(session, town.actors["olga"], town.fresh(session, assigned))
    assert {"reason": "forbidden", "exclusion": entry.id} in found[0].why
    with pytest.raises(Invalid, match=entry.number):
        accept(town, assigned, row)
    town.do("paul", demands.refuse, assigned, ground="列入负面清单", exclusion=entry)
    assert now_of(town, assigned).answer["exclusion_id"] == entry.id


def test_a_refusal_names_the_entry_on_the_resource_asked_for_by_itself(town: Town) -> None:
    row = resource(town, 11, "企业登记基本信息", ["企业名称"])
    entry = exclusion(town, row)
    made = demand(town, resource=row)
    town.do("paul", demands.refuse, made, ground="列入负面清单")
    assert now_of(town, made).answer["exclusion_id"] == entry.id


def test_a_refusal_needs_its_ground_and_an_entry_that_really_forbids(
    town: Town, assigned: demands.Demand
) -> None:
    with pytest.raises(Invalid, match="legal ground"):
        town.do("paul", demands.refuse, assigned, ground=" ")
    other = exclusion(town, None, ("sharing",))
    with pytest.raises(Invalid, match="does not forbid"):
        town.do("paul", demands.refuse, assigned, ground="不予提供", exclusion=other)


def test_what_was_accepted_and_became_impossible_is_refused_and_appealed(
    town: Town, assigned: demands.Demand
) -> None:
    row = its_resource(town, assigned)
    accept(town, assigned, row)
    entry = exclusion(town, row)
    with pytest.raises(Invalid, match=entry.number):
        town.do("paul", demands.fulfil, assigned, resource=row, mode="file", how="已导出")
    with pytest.raises(NotAllowed):
        town.do("pia", demands.refuse, assigned, ground="列入负面清单")
    town.do("paul", demands.refuse, assigned, ground="列入负面清单")
    refused = now_of(town, assigned)
    assert (refused.state, refused.due) == ("refused", None)
    assert (refused.answer["verdict"], refused.answer["exclusion_id"]) == ("refused", entry.id)
    town.do("olga", demands.appeal, assigned, "依据不成立")
    assert now_of(town, assigned).due["what"] == "decide"


def test_what_was_accepted_may_be_withdrawn_by_the_demander_alone(
    town: Town, assigned: demands.Demand
) -> None:
    accept(town, assigned, its_resource(town, assigned))
    with pytest.raises(NotAllowed):
        town.do("paul", demands.withdraw, assigned, "撤回")
    town.do("olga", demands.withdraw, assigned, "不再需要")
    gone = now_of(town, assigned)
    assert (gone.state, gone.due) == ("withdrawn", None)


def test_of_two_answers_at_once_one_is_given_and_the_other_refused(
    town: Town, assigned: demands.Demand
) -> None:
    row, start, said = its_resource(town, assigned), threading.Barrier(2), []

    def answers(act: Any) -> None:
        start.wait()
        try:
            act()
            said.append("done")
        except Conflict:
            said.append("refused")

    acts = (
        lambda: accept(town, assigned, row),
        lambda: town.do("paul", demands.refuse, assigned, ground="法律禁止"),
    )
    threads = [threading.Thread(target=answers, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["done", "refused"]
    assert len(kinds(town, assigned)) == 3


# ---------------------------------------------------------------- late


@pytest.mark.parametrize(
    ("today", "late"),
    [
        (date(2026, 9, 24), 0),
        (date(2026, 9, 30), 0),  # its last day
        (date(2026, 10, 1), 1),  # National Day: it is late, though no working day has passed
        (date(2026, 10, 8), 1),
        (date(2026, 10, 9), 2),
        (date(2026, 10, 10), 3),  # a Saturday worked in place of a holiday
        (date(2026, 10, 12), 4),
    ],
)
def test_late_is_counted_in_working_days_from_the_day_after_the_last(
    today: date, late: int
) -> None:
    assert days_overdue({"on": "2026-09-30"}, today) == late
    assert days_overdue(None, today) == 0


def test_the_answer_is_due_ten_working_days_after_it_was_assigned_over_holidays(town: Town) -> None:
    resource(town, 11, "企业登记基本信息", ["企业名称"])
    town.now = datetime(2026, 9, 25, 2, tzinfo=UTC)
    assert demand(town).due["on"] == "2026-10-15"


# ---------------------------------------------------------------- appealed


def test_an_appeal_is_decided_by_nobody_who_had_a_hand_in_it(town: Town) -> None:
    made = demand(town)
    town.do("rita", demands.assign, made, town.party("bureau"))
    town.do("paul", demands.refuse, made, ground="法律禁止")
    town.do("olga", demands.appeal, made, "依据不成立")
    appealed = now_of(town, made)
    assert (appealed.state, appealed.due["what"]) == ("appealed", "decide")
    for login in ("rita", "otto", "paul", "olga"):  # assigned it, of the demander's firm, the sides
        for verb in (demands.uphold, demands.dismiss):
            with pytest.raises(NotAllowed):
                town.do(login, verb, made, "不变")
    town.do("rob", demands.uphold, made, "依据不足")
    back = now_of(town, made)
    assert (back.state, back.due["what"]) == ("assigned", "answer")
    assert back.outcome["decision"]["verdict"] == "upheld"


def test_who_put_the_entry_in_force_does_not_decide_on_the_refusal_that_rests_on_it(
    town: Town,
) -> None:
    row = resource(town, 11, "企业登记基本信息", ["企业名称"])
    entry = exclusion(town, row)  # rita approves it
    made = demand(town, resource=row)
    town.do("paul", demands.refuse, made, ground="列入负面清单")
    town.do("olga", demands.appeal, made, "依据不成立")
    town.do("rob", exclusions.end, entry, "已解密")
    for verb in (demands.uphold, demands.dismiss):
        with pytest.raises(NotAllowed, match="another person"):
            town.do("rita", verb, made, "不变")
    town.do("rob", demands.uphold, made, "条目已终止")  # to end an entry is no hand in it
    assert now_of(town, made).state == "assigned"


def test_a_dismissed_appeal_is_the_end(town: Town, assigned: demands.Demand) -> None:
    town.do("paul", demands.refuse, assigned, ground="法律禁止")
    town.do("olga", demands.appeal, assigned, "依据不成立")
    town.do("rita", demands.dismiss, assigned, "依据成立")
    ended = now_of(town, assigned)
    assert (ended.state, ended.due) == ("closed", None)


@pytest.mark.parametrize("login", ["mallory", "paul", "rita"])
def test_only_the_demander_closes_appeals_and_withdraws(
    town: Town, assigned: demands.Demand, login: str
) -> None:
    for act in (
        lambda: town.do(login, demands.withdraw, assigned, "撤回"),
        lambda: town.do(login, demands.appeal, assigned, "异议"),
        lambda: town.do(login, demands.close, assigned),
    ):
        with pytest.raises(LedgerError) as refused:
            act()
        assert isinstance(refused.value, NotAllowed)
