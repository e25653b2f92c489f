"""Duties to change the catalogue: due ten working days after the cause, settled, confirmed by another."""

from datetime import date
from typing import Any

import pytest

from ledger import catalogue, catalogue_imports, duties, parties
from ledger.duties import Duty
from ledger.errors import Conflict, Invalid, LedgerError, NotAllowed
from tests.conftest import Town
from tests.ledger import organisations

ROW = {"title": "资源 1", "provider": "市数据局"}


def reported(town: Town, login: str = "rita", **changes: Any) -> Duty:
    facts = {"party": town.party("bureau"), "cause": "error", "description": "单位写错",
             "cause_on": date(2026, 3, 2)}  # fmt: skip
    made: Duty = town.do(login, duties.report, **{**facts, **changes})
    return made


def listed(town: Town, code: str = "307001001/000001") -> catalogue.Resource:
    town.resources()
    with town.reading() as session:
        return catalogue.resource_by_code(session, code)


def fresh(town: Town, duty: Duty) -> Duty:
    with town.reading() as session:
        return session.get_one(Duty, duty.id)


DUE = {  # counted by hand from the State Council's notices
    date(2026, 2, 2): "2026-02-14",  # a Saturday that is worked for the Spring Festival
    date(2026, 2, 13): "2026-03-05",  # over the festival, the Saturdays 14 and 28 being worked
    date(2026, 1, 1): "2026-01-15",  # Sunday 4 January is worked
    date(
        2025, 9, 26
    ): "2025-10-16",  # over National Day; Sunday 28 September and 11 October are worked
}


def test_a_change_is_due_ten_working_days_after_its_cause(town: Town) -> None:
    for cause_on, due in DUE.items():
        counted = {"days": 10, "from": cause_on.isoformat(), "left": None, "on": due}
        assert reported(town, cause_on=cause_on).due == {**counted, "provisional": False}


def test_a_day_in_a_year_without_calendar_is_provisional(town: Town) -> None:
    town.later(days=365)
    assert reported(town, cause_on=date(2027, 2, 26)).due["provisional"] is True


def test_everything_wrong_with_a_report_is_told_at_once(town: Town) -> None:
    resource = listed(town)
    with pytest.raises(Invalid) as caught:
        reported(town, cause="whim", description=" ", cause_on=date(2026, 3, 3), resource=resource,
                 party=town.party("treasury"))  # fmt: skip
    assert len(caught.value.facts["faults"].named()) == 4


def test_registrar_and_the_department_itself_report_and_nobody_else(town: Town) -> None:
    for login in ("rita", "paul"):
        assert reported(town, login).reported_by == town.actors[login].member_id
    for login in ("olga", "pia", "mona", "gwen"):
        with pytest.raises(NotAllowed):
            reported(town, login)


def test_a_duty_is_settled_by_the_changed_resource_and_confirmed_by_the_registrar(
    town: Town,
) -> None:
    resource = listed(town)
    town.later(days=1)
    duty = reported(town, cause_on=date(2026, 3, 3), resource=resource)
    with pytest.raises(Invalid, match="before the cause"):
        town.do("paul", duties.settle, duty, resource=resource)
    town.do("rita", catalogue_imports.bring_one, resource.code, ROW | {"summary": "新"}, "改错")
    town.do("paul", duties.settle, duty, resource=resource)
    found = fresh(town, duty)
    assert found.state == "settled"
    assert found.settlement is not None
    assert {k: found.settlement[k] for k in ("resource", "version", "days_late")} == {
        "resource": resource.code, "version": 2, "days_late": 0,
    }  # fmt: skip
    town.do("rita", duties.confirm, duty)
    assert fresh(town, duty).state == "confirmed"


def test_a_version_that_only_says_a_new_name_is_not_the_change_that_was_owed(town: Town) -> None:
    resource = listed(town)
    town.later(days=1)
    duty = reported(town, cause_on=date(2026, 3, 3), resource=resource)
    organisations.rename(town, town.party("bureau"), "市数据资源局")
    with pytest.raises(Invalid, match="before the cause"):
        town.do("paul", duties.settle, duty, resource=resource)
    given = {"title": "资源 1", "provider": "市数据资源局", "summary": "新"}
    town.do("rita", catalogue_imports.bring_one, resource.code, given, "改错")
    organisations.rename(town, town.party("bureau"), "市数据管理局")
    town.do("paul", duties.settle, duty, resource=resource)
    assert (fresh(town, duty).settlement or {})["version"] == 3


def test_a_duty_is_settled_by_a_change_set_of_the_department(town: Town) -> None:
    resource = listed(town)
    duty = reported(town)
    made = town.do(
        "rita", catalogue_imports.bring_one, resource.code, ROW | {"summary": "新"}, "改错"
    )
    with pytest.raises(Invalid):
        town.do("pia", duties.settle, reported(town, party=town.party("bank")), change_set=made)
    town.do("paul", duties.settle, duty, change_set=made)
    assert (fresh(town, duty).settlement or {})["change_set"] == made.id


def test_a_duty_is_settled_by_saying_why_nothing_is_needed_late_or_not(town: Town) -> None:
    duty = reported(town)
    town.later(days=15)  # due on Monday the 16th
    town.do("paul", duties.settle, duty, not_needed="目录已写明")
    assert (fresh(town, duty).settlement or {})["days_late"] == 1


def test_one_way_of_settling_is_wanted(town: Town) -> None:
    resource, duty = listed(town), reported(town)
    ways: tuple[dict[str, Any], ...] = (
        {}, {"not_needed": " "}, {"not_needed": "x", "resource": resource},
    )  # fmt: skip
    for given in ways:
        with pytest.raises(Invalid, match="Name the changed resource"):
            town.do("paul", duties.settle, duty, **given)


def test_another_resource_settles_nothing(town: Town) -> None:
    duty = reported(town, resource=listed(town))
    with pytest.raises(Invalid, match="is not what"):
        town.do("paul", duties.settle, duty, resource=listed(town, "307001001/000002"))


def test_a_duty_not_settled_is_open_again_with_its_day(town: Town) -> None:
    duty = reported(town)
    town.do("paul", duties.settle, duty, not_needed="无须")
    town.do("rita", duties.reopen, duty, "须改")
    found = fresh(town, duty)
    assert (found.state, found.settlement, found.reason) == ("open", None, "须改")
    assert found.due == duty.due
    with pytest.raises(Conflict):
        town.do("rita", duties.confirm, duty)


def test_nobody_confirms_what_he_settled(town: Town) -> None:
    with town.deed() as session:
        member = session.get_one(parties.Member, town.actors["paul"].member_id)
        parties.change_member(
            session, town.actors["admin"], town.now, member, ["provider", "registrar"]
        )
        town.actors["paul"] = parties.actor_of(session, member.id)
    duty = reported(town)
    town.do("paul", duties.settle, duty, not_needed="无须")
    before = town.snapshot()
    for verb, more in ((duties.confirm, ()), (duties.reopen, ("否",))):
        with pytest.raises(LedgerError, match="another person"):
            town.do("paul", verb, duty, *more)
    assert town.snapshot() == before
