"""What is overdue in the catalogue, by department: duties past their day, data past their cycle.

The database finds and counts; of the rows only those that are shown are read, so that a catalogue of a
million resources is no matter.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Literal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from ledger.calendar import is_workday
from ledger.catalogue import Resource
from ledger.duties import Duty
from ledger.parties import Actor, Party, roles_of
from ledger.store import text_in

ONE_DAY = timedelta(days=1)
SEES_ALL = frozenset({"registrar", "regulator"})
READ_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Department:
    """A department and how much of its is overdue; `party_id` None: it takes no part yet."""

    party_id: str | None
    name: str
    duties: int
    resources: int


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is overdue: since which day, and how many working days."""

    noun: Literal["duty", "resource"]
    number: str
    title: str
    party_id: str | None
    department: str
    due_on: str
    days_late: int
    updated_on: str | None = None
    cycle: str | None = None
    provisional: bool = False


def departments(session: Session, actor: Actor, today: date) -> list[Department]:
    """Every department with something overdue that the actor may see, the most first."""
    found: dict[tuple[str | None, str], list[int]] = {}
    names = dict(session.execute(select(Party.id, Party.name)).tuples().all())
    owed = (
        select(Duty.party_id, func.count())
        .where(*_late_duties(session, actor, today))
        .group_by(Duty.party_id)
    )
    for debtor, count in session.execute(owed):
        found.setdefault((debtor, names[debtor]), [0, 0])[0] += count
    stale = (
        select(Resource.provider_id, Resource.provider, func.count())
        .where(*_stale(actor, today))
        .group_by(Resource.provider_id, Resource.provider)
    )
    for party_id, provider, count in session.execute(stale):
        key = (party_id, names[party_id] if party_id else provider or "")
        found.setdefault(key, [0, 0])[1] += count
    made = [Department(*key, *counts) for key, counts in found.items()]
    return sorted(made, key=lambda one: (-one.duties - one.resources, one.name))


def items(
    session: Session, actor: Actor, today: date, *, department: str | None = None,
    limit: int | None = None,
) -> Iterator[Item]:  # fmt: skip
    """What is overdue, duties first, then the longest; of one department if it is named.

    At most `limit` duties and as many resources.
    """
    names = dict(session.execute(select(Party.id, Party.name)).tuples().all())
    named = [party_id for party_id, name in names.items() if name == department]
    duties = (
        select(Duty)
        .where(*_late_duties(session, actor, today))
        .order_by(text_in(session, Duty.due, "on"), Duty.id)
        .limit(limit)
    )
    if department is not None:
        duties = duties.where(Duty.party_id.in_(named))
    for duty in session.scalars(duties):
        yield Item(
            "duty", duty.number, duty.description, duty.party_id, names[duty.party_id],
            duty.due["on"], days_late(duty.due["on"], today), provisional=duty.due["provisional"],
        )  # fmt: skip
    columns = (Resource.code, Resource.title, Resource.provider_id, Resource.provider,
               Resource.stale_on, Resource.elements)  # fmt: skip
    resources = (
        select(*columns)
        .where(*_stale(actor, today))
        .order_by(Resource.stale_on, Resource.id)
        .limit(limit)
    )
    if department is not None:
        whose = Resource.provider_id.in_(named)
        unknown = Resource.provider_id.is_(None) & (Resource.provider == department)
        resources = resources.where(whose | unknown)
    for row in session.execute(resources.execution_options(yield_per=READ_AT_ONCE)):
        yield Item(
            "resource", row.code, row.title, row.provider_id,
            names[row.provider_id] if row.provider_id else row.provider or "",
            last_day(row.stale_on),
            days_late(row.stale_on, today), row.elements.get("updated_on"),
            row.elements.get("update_cycle"),
        )  # fmt: skip


def last_day(due_on: str) -> str:
    """The last day in time: what falls due on a day off is due on the next working day."""
    day = date.fromisoformat(due_on)
    while not is_workday(day)[0]:
        day += ONE_DAY
    return day.isoformat()


def days_late(due_on: str, today: date) -> int:
    """How many working days something is late; what falls due on a day off is due on the next one.

    On the days off after its last day it is one day late, as in `calendar.days_overdue`.

    >>> [days_late("2026-03-06", date(2026, 3, day)) for day in (6, 7, 8, 9, 10)]
    [0, 1, 1, 1, 2]
    >>> days_late("2026-03-07", date(2026, 3, 9)), days_late("2026-03-07", date(2026, 3, 10))
    (0, 1)
    """
    last = date.fromisoformat(last_day(due_on))
    if today <= last:
        return 0
    years = (_working_days(year) for year in range(last.year, today.year + 1))
    return max(1, sum(bisect_right(days, today) - bisect_right(days, last) for days in years))


@cache
def _working_days(year: int) -> list[date]:
    """The working days of a year, in order."""
    first = date(year, 1, 1)
    days = (first + timedelta(n) for n in range(366))
    return [day for day in days if day.year == year and is_workday(day)[0]]


def _last_late(today: date) -> str:
    """The last day that can have been the last one in time and is past: the working day before today."""
    day = today - ONE_DAY
    while not is_workday(day)[0]:
        day -= ONE_DAY
    return day.isoformat()


def _late_duties(session: Session, actor: Actor, today: date) -> list[ColumnElement[bool]]:
    conditions = [Duty.state == "open", text_in(session, Duty.due, "on") <= _last_late(today)]
    if not roles_of(actor) & SEES_ALL:
        conditions.append(Duty.party_id.in_(actor.parties))
    return conditions


def _stale(actor: Actor, today: date) -> list[ColumnElement[bool]]:
    conditions = [Resource.stale_on <= _last_late(today)]  # only listed ones have it
    if not roles_of(actor) & SEES_ALL:
        conditions.append(Resource.provider_id.in_(actor.parties))
    return conditions
