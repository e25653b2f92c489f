"""Working days are those of the official calendar, in Shanghai; beyond it a deadline is provisional."""

from datetime import UTC, date, datetime, timedelta

import pytest
from chinese_calendar import constants
from hypothesis import given
from hypothesis import strategies as st

from ledger.calendar import (
    Deadline,
    end_of_day,
    is_workday,
    local_date,
    start_of_day,
    working_days_after,
    years_after,
)

LAST_PUBLISHED = max(day.year for day in constants.holidays)
DAYS = st.dates(date(2018, 1, 1), date(LAST_PUBLISHED + 5, 12, 31))


@pytest.mark.parametrize(
    ("start", "count", "due"),
    [
        # Spring Festival 2025: 28 January to 4 February off; Sunday 26 January, Saturday 8 February work
        ("2025-01-24", 1, "2025-01-26"),
        ("2025-01-24", 3, "2025-02-05"),
        ("2025-01-24", 6, "2025-02-08"),
        ("2025-01-24", 7, "2025-02-10"),
        # Spring Festival 2026: 15 to 23 February off; Saturdays 14 and 28 February work
        ("2026-02-13", 1, "2026-02-14"),
        ("2026-02-13", 3, "2026-02-25"),
        ("2026-02-13", 10, "2026-03-05"),
        # National Day 2025: 1 to 8 October off; Sunday 28 September, Saturday 11 October work
        ("2025-09-26", 1, "2025-09-28"),
        ("2025-09-26", 10, "2025-10-16"),
        ("2025-09-30", 1, "2025-10-09"),
        # an ordinary week
        ("2026-03-02", 3, "2026-03-05"),
        ("2026-03-06", 1, "2026-03-09"),
        ("2026-03-07", 1, "2026-03-09"),
    ],
)
def test_a_deadline_runs_over_holidays_and_make_up_workdays(
    start: str, count: int, due: str
) -> None:
    found = working_days_after(date.fromisoformat(start), count)
    assert found == Deadline(date.fromisoformat(due), provisional=False)


def test_a_deadline_that_needs_an_unpublished_year_is_provisional_and_counts_weekends_only() -> (
    None
):
    eve = date(LAST_PUBLISHED, 12, 31)
    found = working_days_after(eve, 10)
    assert found.provisional
    assert working_days_after(eve - timedelta(days=60), 3).provisional is False
    known = [eve + timedelta(days=n) for n in range(1, (found.on - eve).days + 1)]
    assert sum(day.weekday() < 5 for day in known) == 10
    assert found.as_dict() == {"on": found.on.isoformat(), "provisional": True}


@given(DAYS, st.integers(1, 25))
def test_a_deadline_is_a_working_day_with_that_many_up_to_it(start: date, count: int) -> None:
    due = working_days_after(start, count)
    days = [start + timedelta(days=n) for n in range(1, (due.on - start).days + 1)]
    assert sum(is_workday(day)[0] for day in days) == count
    assert is_workday(due.on)[0]
    assert due.provisional == any(is_workday(day)[1] for day in days)
    assert due.provisional == (due.on.year > LAST_PUBLISHED)


@given(DAYS, st.integers(1, 25))
def test_a_later_start_or_a_longer_term_is_never_due_earlier(start: date, count: int) -> None:
    due = working_days_after(start, count).on
    assert working_days_after(start + timedelta(days=1), count).on >= due
    assert working_days_after(start, count + 1).on > due


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 3, 2, 15, 59, 59, tzinfo=UTC), date(2026, 3, 2)),
        (datetime(2026, 3, 2, 16, 0, 0, tzinfo=UTC), date(2026, 3, 3)),
        (datetime(2025, 12, 31, 16, 0, 0, tzinfo=UTC), date(2026, 1, 1)),
    ],
)
def test_the_day_is_shanghai_s(at: datetime, day: date) -> None:
    assert local_date(at) == day


@given(DAYS)
def test_a_day_begins_and_ends_in_shanghai(day: date) -> None:
    first, last = start_of_day(day).astimezone(UTC), end_of_day(day).astimezone(UTC)
    assert local_date(first) == local_date(last) == day
    assert local_date(first - timedelta(seconds=1)) == day - timedelta(days=1)
    assert local_date(last + timedelta(seconds=1)) == day + timedelta(days=1)


@pytest.mark.parametrize(
    ("start", "years", "end"),
    [
        ("2026-03-02", 3, "2029-03-02"),
        ("2028-02-29", 3, "2031-02-28"),
        ("2028-02-29", 4, "2032-02-29"),
    ],
)
def test_years_later_is_the_same_day_or_the_end_of_february(
    start: str, years: int, end: str
) -> None:
    assert years_after(date.fromisoformat(start), years) == date.fromisoformat(end)
