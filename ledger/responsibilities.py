"""The responsibility list (责任清单): what each department answers for, by when, and what of it is late.

It is read from what stands elsewhere: the resources a department provides, the demands it accepted or
has to answer, its duties to bring the catalogue up to date, the feedback it owes an answer to.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from ledger.calendar import days_overdue
from ledger.catalogue import Resource
from ledger.catalogue_values import CYCLES
from ledger.demands import Demand
from ledger.duties import Duty
from ledger.feedback import Feedback
from ledger.parties import Actor, Party, may, roles_of

SEES_ALL = frozenset({"registrar", "regulator"})
OWED: tuple[tuple[str, Any, Any, tuple[str, ...]], ...] = (
    ("demand", Demand, Demand.department_id, ("assigned", "accepted")),
    ("duty", Duty, Duty.party_id, ("open",)),
    ("feedback", Feedback, Feedback.department_id, ("raised",)),
)


@dataclass
class Owed:
    """One thing that a department owes."""

    noun: str
    number: str
    title: str
    state: str
    due_on: str
    days_late: int


@dataclass
class Responsibility:
    """What one department answers for."""

    party_id: str
    name: str
    uscc: str
    cycles: dict[str, int] = field(default_factory=dict)
    """update cycle → how many resources it provides with it; "" where it says none"""
    owed: list[Owed] = field(default_factory=list)

    @property
    def resource_count(self) -> int:
        return sum(self.cycles.values())

    @property
    def late(self) -> list[Owed]:
        return [one for one in self.owed if one.days_late]


def responsibilities(session: Session, actor: Actor, today: date) -> list[Responsibility]:
    """Every department that answers for something, the latest first; a provider sees his own only."""
    may(actor, "responsibility.read")
    own = None if roles_of(actor) & SEES_ALL else actor.party_id
    found = {
        party.id: Responsibility(party.id, party.name, party.uscc)
        for party in session.scalars(select(Party).order_by(Party.name))
        if own in (None, party.id)
    }
    for party_id, cycle, count in _cycles(session):
        if party_id in found:
            found[party_id].cycles[cycle] = found[party_id].cycles.get(cycle, 0) + count
    for noun, model, department, states in OWED:
        wanted = select(model, department).where(model.state.in_(states)).order_by(model.id)
        for row, party_id in session.execute(wanted):
            if party_id in found:
                found[party_id].owed.append(_owed(noun, row, today))
    made = [one for one in found.values() if one.cycles or one.owed]
    for one in made:
        one.owed.sort(key=lambda owed: (owed.due_on, owed.number))
    made.sort(key=lambda one: (-len(one.late), one.name))
    return made


def _cycles(session: Session) -> Iterator[tuple[str, str, int]]:
    """(provider, update cycle, how many of his listed resources have it), the most frequent first."""
    cycle = _cycle_of(session)
    rows = session.execute(
        select(Resource.provider_id, cycle, func.count())
        .where(Resource.state == "listed", Resource.provider_id.is_not(None))
        .group_by(Resource.provider_id, cycle)
    )
    order = {freq: n for n, freq in enumerate(CYCLES)}
    found = [(party, str(freq or ""), count) for party, freq, count in rows]
    yield from sorted(found, key=lambda one: order.get(one[1], len(order)))


def _cycle_of(session: Session) -> Any:
    """The update cycle within the elements, as each database reads it from JSON text."""
    if session.get_bind().dialect.name == "postgresql":
        return literal_column("resources.elements::jsonb ->> 'update_cycle'")
    return literal_column("json_extract(resources.elements, '$.update_cycle')")


def _owed(noun: str, row: Any, today: date) -> Owed:
    title = getattr(row, "title", None) or row.description
    due_on = row.due["on"] if row.due else ""
    return Owed(noun, row.number, title, row.state, due_on, days_overdue(row.due, today))
