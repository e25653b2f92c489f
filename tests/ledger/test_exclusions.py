"""The negative list: two persons, a review day, what it forbids holds against change sets."""

from datetime import timedelta

import pytest

from ledger import exclusions
from ledger.calendar import local_date
from ledger.errors import Conflict, Invalid, NotAllowed
from tests.conftest import Town
from tests.ledger.lists import HIDDEN, change, exclusion, now_of, resource

CLOSED = {"sharing": "conditional", "opening": "not_open"}


def propose(town: Town, login: str = "paul", **facts: object) -> exclusions.Exclusion:
    today = local_date(town.now)
    given = {
        "title": "敏感名单", "forbids": ["opening"], "basis": "数据安全法", "from_on": today,
        "review_on": today + timedelta(days=365), **facts,
    }  # fmt: skip
    return town.do(login, exclusions.propose, **given)


def test_everything_wrong_with_an_entry_is_named_at_once(village: Town) -> None:
    today = local_date(village.now)
    with pytest.raises(Invalid) as refused:
        propose(village, title=" ", forbids=["selling"], basis="", from_on=today + timedelta(days=1),
                review_on=today + timedelta(days=3 * 366))  # fmt: skip
    assert set(refused.value.facts["faults"].by_place(str)) == {
        "title", "forbids", "basis", "from_on", "review_on",
    }  # fmt: skip


def test_the_review_may_be_two_years_ahead_and_no_day_more(village: Town) -> None:
    today = local_date(village.now)
    two_years = today.replace(year=today.year + 2)
    assert propose(village, review_on=two_years).state == "proposed"
    with pytest.raises(Invalid):
        propose(village, review_on=two_years + timedelta(days=1))


def test_a_department_proposes_for_what_it_provides_only(village: Town) -> None:
    row = resource(village, 51, "敏感名单甲", ["姓名"])
    assert propose(village, resource=row).party_id == village.parties["bureau"]
    with pytest.raises(NotAllowed):
        propose(village, "pia", resource=row)


def test_who_proposed_an_entry_neither_approves_rejects_nor_ends_it(village: Town) -> None:
    made = propose(village, "rita")
    for verb, more in ((exclusions.approve, ()), (exclusions.reject, ("无",))):
        with pytest.raises(NotAllowed):
            village.do("rita", verb, made, *more)
    village.do("rob", exclusions.approve, made)
    with pytest.raises(NotAllowed):
        village.do("rita", exclusions.end, made, "解密")


def test_past_its_review_an_entry_is_marked_and_stays_in_force(town: Town) -> None:
    row = resource(town, 51, "敏感名单甲", ["姓名"])
    made = exclusion(town, row, review_on=local_date(town.now) + timedelta(days=30))
    assert not exclusions.overdue(made, local_date(town.now))
    town.later(days=31)
    assert exclusions.overdue(now_of(town, made), local_date(town.now))
    with town.reading() as session:
        found = exclusions.forbidden(session, row.id, "opening")
        assert found is not None
        assert found.id == made.id
    town.do("rita", exclusions.end, made, "已复核")
    with town.reading() as session:
        assert exclusions.forbidden(session, row.id, "opening") is None


def test_an_entry_is_not_approved_after_the_day_of_its_review(town: Town) -> None:
    made = propose(town, review_on=local_date(town.now) + timedelta(days=1))
    town.later(days=1)
    with pytest.raises(Conflict, match="propose it anew"):
        town.do("rita", exclusions.approve, made)


def test_what_it_forbids_cannot_be_loosened_and_the_rest_can_be_changed(town: Town) -> None:
    row = resource(town, 51, "敏感名单甲", ["姓名"], **CLOSED)
    made = exclusion(town, row)
    before = town.snapshot()
    with pytest.raises(Conflict, match=made.number):
        change(town, row, opening="conditional")
    assert town.snapshot() == before
    change(town, row, sharing="unconditional")  # it forbids opening only
    change(town, now_of(town, row), opening="not_open", summary="新的摘要")
    town.do("rita", exclusions.end, made, "已解密")
    change(town, now_of(town, row), opening="conditional")
    assert now_of(town, row).elements["opening"] == "conditional"


def test_a_stricter_attribute_is_always_allowed(town: Town) -> None:
    row = resource(town, 51, "敏感名单甲", ["姓名"])
    exclusion(town, row, ("opening", "sharing"))
    change(town, row, **HIDDEN)
    assert now_of(town, row).elements["sharing"] == "not_shared"


def test_an_entry_on_a_hidden_resource_does_not_exist_for_who_does_not_see_it(town: Town) -> None:
    hidden = exclusion(town, resource(town, 51, "敏感名单甲", ["姓名"], **HIDDEN))
    plain = exclusion(town)
    for login, numbers in (
        ("olga", {plain.number}),
        ("paul", {plain.number, hidden.number}),
        ("gwen", {plain.number, hidden.number}),
    ):
        with town.reading() as session:
            condition = exclusions.visible(session, town.actors[login])
            wanted = exclusions.select(exclusions.Exclusion.number)
            found = session.scalars(wanted if condition is None else wanted.where(condition))
            assert set(found) == numbers
