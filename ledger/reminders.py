"""Reminders: messages that a deadline is near, or past, made by a timer, each once.

Whoever owes it is told of both; that it is past, also the registrars and the regulator. A deadline that
stands still tells nobody; one that moved is told of anew, for its new day.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, or_
from sqlalchemy.orm import Session

from ledger import messages
from ledger.calendar import local_date
from ledger.deadlines import TERMS, Standing, Term, rows_of, standing
from ledger.messages import Message, To

WATCH = (To("registrar"), To("regulator"))  # who hears of what is overdue


def remind(session: Session, now: datetime) -> int:
    """Tell of every deadline that became near or past since; how many messages that made."""
    today, made = local_date(now), 0
    for term in TERMS.values():
        for row, due in list(rows_of(session, term, today, _not_told(session, term, now))):
            how = standing(due, today, term)
            moment = _moment(term, how)
            if moment is None:
                continue
            past = moment == "past"
            made += messages.tell(
                session, now, to=(*term.owed(row), *(WATCH if past and term.late else ())),
                template=term.past_says if past else term.near_says, noun=term.noun,
                subject_id=row.id, number=_number(row), event=f"{moment} {term.name} {row.id} {how.on}",
                facts={"day": how.on, "deadline": term.title, "number": _number(row)},
                due_on=how.on, term=term.name, moment=moment,
            )  # fmt: skip
    return made


def _moment(term: Term, how: Standing) -> str | None:
    if how.urgency == "overdue" or (term.since and how.urgency == "today"):
        return "past" if term.passes else None
    return "near" if how.urgency in ("near", "today") and not term.since else None


def _not_told(session: Session, term: Term, now: datetime) -> ColumnElement[bool]:
    """Rows of which something is still to be told, as far as the database sees that."""
    model: Any = term.model
    on = None if term.on is None else term.on(session)

    def told(moment: str) -> ColumnElement[bool]:
        found = [
            Message.subject_id == model.id, Message.term == term.name, Message.moment == moment
        ]  # fmt: skip
        if on is not None:
            found.append(Message.due_on == on)
        return exists().where(*found)

    if on is None:
        return ~told("past")
    if not term.passes:
        return ~told("near")
    return ~told("past") & or_(~told("near"), on < local_date(now).isoformat())


def _number(row: Any) -> str:
    return str(getattr(row, "number", None) or row.code)
