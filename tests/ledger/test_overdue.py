"""What is overdue, by department: exactly from the day after the last working day in time."""

import doctest
from datetime import date, timedelta
from typing import Any

from ledger import catalogue, catalogue_imports, duties, overdue
from tests.conftest import Town


def listed(town: Town, code: str, provider: str = "市数据局", **elements: Any) -> None:
    town.do("rita", catalogue.add_resource, code=code, title=f"资源 {code}", provider=provider,
            elements=elements)  # fmt: skip


def told(town: Town, today: date, login: str = "rita", **more: Any) -> list[tuple[str, int]]:
    with town.reading() as session:
        found = overdue.items(session, town.actors[login], today, **more)
        return [(one.number, one.days_late) for one in found]


def test_a_duty_is_overdue_from_the_working_day_after_its_last(town: Town) -> None:
    made = town.do("rita", duties.report, party=town.party("bureau"), cause="law", description="法",
                   cause_on=date(2026, 3, 2))  # fmt: skip
    assert made.due["on"] == "2026-03-16"
    assert told(town, date(2026, 3, 16)) == []
    assert told(town, date(2026, 3, 17)) == [(made.number, 1)]
    assert told(town, date(2026, 3, 21)) == [(made.number, 4)]  # a Saturday
    town.do("paul", duties.settle, made, not_needed="无须")
    assert told(town, date(2026, 3, 17)) == []


WEEKLY = [  # updated on, looked at on, working days late
    ("2026-03-02", "2026-03-09", None),  # its last day
    ("2026-03-02", "2026-03-10", 1),
    ("2026-03-07", "2026-03-16", None),  # the last day is a Saturday, so Monday is in time
    ("2026-03-07", "2026-03-17", 1),
    ("2026-02-07", "2026-02-14", None),  # Saturday 14 February is worked for the Spring Festival
    ("2026-02-07", "2026-02-15", 1),  # the holidays begin
    ("2026-02-07", "2026-02-24", 1),
    ("2026-02-07", "2026-02-25", 2),
]


def test_weekly_data_are_overdue_after_seven_days_rolled_over_days_off(town: Town) -> None:
    days = sorted({updated_on for updated_on, _, _ in WEEKLY})
    for day in days:
        listed(town, day, updated_on=day, update_cycle="weekly")
    for updated_on, today, late in WEEKLY:
        assert dict(told(town, date.fromisoformat(today))).get(updated_on) == late, today


def test_what_has_no_cycle_no_day_or_is_withdrawn_is_not_overdue(town: Town) -> None:
    listed(town, "A-1", updated_on="2020-01-01", update_cycle="irregular")
    listed(town, "A-2", update_cycle="daily")
    listed(town, "A-3", updated_on="2020-01-01", update_cycle="daily")
    assert [number for number, _ in told(town, date(2026, 3, 2))] == ["A-3"]
    town.do("rita", catalogue_imports.bring_one, "A-3", None, "停")
    assert told(town, date(2026, 3, 2)) == []


def test_departments_are_counted_and_each_sees_its_own(town: Town) -> None:
    for n in range(3):
        listed(town, f"A-{n}", updated_on="2025-01-01", update_cycle="monthly")
    listed(town, "B-1", "市财政局", updated_on="2025-01-01", update_cycle="monthly")
    listed(town, "C-1", "没有加入的局", updated_on="2025-01-01", update_cycle="monthly")
    town.do("rita", duties.report, party=town.party("treasury"), cause="law", description="法",
            cause_on=date(2025, 3, 3))  # fmt: skip
    today = date(2026, 3, 2)
    with town.reading() as session:
        all_of_them = overdue.departments(session, town.actors["gwen"], today)
        own = overdue.departments(session, town.actors["paul"], today)
    assert [(one.name, one.duties, one.resources) for one in all_of_them] == [
        ("市数据局", 0, 3), ("市财政局", 1, 1), ("没有加入的局", 0, 1),
    ]  # fmt: skip
    assert [(one.name, one.resources) for one in own] == [("市数据局", 3)]
    assert len(told(town, today, "paul")) == 3
    assert [number for number, _ in told(town, today, department="没有加入的局")] == ["C-1"]
    assert len(told(town, today, department="市财政局")) == 2
    assert len(told(town, today, limit=1)) == 2  # one duty, one resource


def test_the_rule_in_the_database_is_the_rule_in_words(town: Town) -> None:
    """Each day of a year with its holidays: listed if and only if it is late by a working day."""
    listed(town, "A-1", updated_on="2026-01-25", update_cycle="weekly")  # 1 February, a Sunday
    listed(town, "A-2", updated_on="2026-02-10", update_cycle="weekly")  # 17 February, New Year
    for n in range(40):
        today = date(2026, 1, 28) + timedelta(n)
        found = dict(told(town, today))
        for code, due in (("A-1", "2026-02-01"), ("A-2", "2026-02-17")):
            assert found.get(code, 0) == overdue.days_late(due, today), (code, today)


def test_the_examples_in_the_text_hold() -> None:
    assert doctest.testmod(overdue).failed == 0
