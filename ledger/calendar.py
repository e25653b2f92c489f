"""Working days (工作日): the official calendar with its make-up workdays (调休), days in Shanghai.

The calendar is published year by year. Beyond the published years only weekends are known; a
deadline counted there is *provisional* and recomputed when the year's calendar arrives.
"""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import chinese_calendar

SHANGHAI = ZoneInfo("Asia/Shanghai")
SATURDAY = 5
FIRST_YEAR: int = min(chinese_calendar.holidays).year
LAST_YEAR: int = max(chinese_calendar.holidays).year


@dataclass(frozen=True)
class Deadline:
    """The last day on which something is still in time, and whether the calendar may yet move it."""

    on: date
    provisional: bool

    def as_dict(self) -> dict[str, object]:
        return {"on": self.on.isoformat(), "provisional": self.provisional}


def local_date(at: datetime) -> date:
    """The calendar day of an instant in Asia/Shanghai."""
    return at.astimezone(SHANGHAI).date()


def published(year: int) -> bool:
    """Whether the official calendar of a year is known; the library's next edition brings the next."""
    return FIRST_YEAR <= year <= LAST_YEAR


def is_workday(day: date) -> tuple[bool, bool]:
    """Whether `day` is a working day, and whether that is provisional (year not yet published)."""
    if not published(day.year):
        return day.weekday() < SATURDAY, True
    return bool(chinese_calendar.is_workday(day)), False


def working_days_after(start: date, count: int) -> Deadline:
    """The `count`-th working day after `start`; `start` itself does not count.

    >>> working_days_after(date(2026, 9, 25), 10).on.isoformat()   # over National Day
    '2026-10-15'
    """
    day, provisional = start, False
    while count > 0:
        day += timedelta(days=1)
        working, unsure = is_workday(day)
        provisional = provisional or unsure
        count -= working
    return Deadline(day, provisional)


def clock(start: date, days: int) -> dict[str, Any]:
    """A running deadline as it is stored: `days` working days after `start`, which can be paused.

        {"from": first day, "days": count, "on": last day, "provisional": …, "left": null}

    `left` is the count of working days that were left when it was paused, null while it runs.
    """
    return {"from": start.isoformat(), "days": days, "left": None,
            **working_days_after(start, days).as_dict()}  # fmt: skip


def pause(due: Mapping[str, Any], today: date) -> dict[str, Any]:
    """The deadline stopped today: from today on its working days are left; paused again, the same."""
    if due.get("left") is not None:
        return dict(due)
    left, day = 0, date.fromisoformat(due["on"])
    while day >= today:
        left += is_workday(day)[0]
        day -= timedelta(days=1)
    return {**due, "left": left}


def resume(due: Mapping[str, Any], today: date) -> dict[str, Any]:
    """The deadline running again: what was left is counted from the day before today on."""
    if due.get("left") is None:
        return dict(due)
    start = today - timedelta(days=1)
    return {**due, **clock(start, due["left"])}


def recount(due: Mapping[str, Any]) -> dict[str, Any]:
    """The same deadline by the calendar as it is known now; one that is paused, or final, stays."""
    if due.get("left") is not None or not due.get("provisional") or "from" not in due:
        return dict(due)
    return {**due, **clock(date.fromisoformat(due["from"]), due["days"])}


def working_days_left(today: date, last: date) -> tuple[int, bool]:
    """How many working days there are after today until the last one, and whether that is provisional.

    Below zero, as many have passed since.
    """
    first, until = sorted((today, last))
    days = [is_workday(first + timedelta(n + 1)) for n in range((until - first).days)]
    count = sum(working for working, _ in days)
    if last < today:
        count = -max(count, 1)  # over a weekend it is overdue as well
    return count, any(unsure for _, unsure in days)


def days_overdue(due: Mapping[str, Any] | None, today: date) -> int:
    """How many working days something is late that was due (`Deadline.as_dict`); 0 while it is in time.

    On the days off after its last day it is one day late.
    """
    last = today if due is None else date.fromisoformat(due["on"])
    days = (last + timedelta(n) for n in range(1, (today - last).days + 1))
    return max(1, sum(is_workday(day)[0] for day in days)) if today > last else 0


def years_after(start: date, years: int) -> date:
    """The same day `years` later; 29 February becomes 28 February."""
    try:
        return start.replace(year=start.year + years)
    except ValueError:
        return start.replace(year=start.year + years, day=28)


def months_after(start: date, months: int) -> date:
    """The same day so many months later, or the last of that month.

    >>> months_after(date(2026, 11, 30), 3).isoformat()
    '2027-02-28'
    """
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    return date(year, month + 1, min(start.day, monthrange(year, month + 1)[1]))


def end_of_day(day: date) -> datetime:
    """The last second of a day in Shanghai, as an instant."""
    return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=SHANGHAI)


def start_of_day(day: date) -> datetime:
    """The first second of a day in Shanghai, as an instant."""
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)
