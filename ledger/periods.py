"""Closing of accounting periods (结账): what lies in a closed period is booked to it no more.

The periods of an agreement follow each other without a gap. A closing fixes what a statement distributes:
the settlements up to number `through_n` whose day lies in the period or before it.

    closed → reopened        the last one only, by another person; closed again, it is a new closing
"""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, log
from ledger.agreements import Agreement, require_ground
from ledger.calendar import local_date
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Actor, may, require_other
from ledger.states import move
from ledger.store import Base, Evidence, Number, hold, lock, new_id, next_number

BOOKS = "books"  # what is held while something is booked or a period closed: one after the other
_CLOSED = text("state = 'closed'")


class Period(Evidence):
    """A closed period of an agreement's books, the days `from_on` to `until_on`."""

    __tablename__ = "periods"
    __table_args__ = (
        Index("periods_closed", "agreement_id", "from_on", unique=True, sqlite_where=_CLOSED,
              postgresql_where=_CLOSED),
    )  # fmt: skip
    subject_type = "period"
    number: Mapped[str] = mapped_column(unique=True)
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    from_on: Mapped[str]
    until_on: Mapped[str]
    through_n: Mapped[int] = mapped_column(BigInteger)
    closed_by: Mapped[str]
    state: Mapped[str]


def close(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, *, from_on: date,
    until_on: date,
) -> Period:  # fmt: skip
    """Close the days of a period; closed again it is the same period.

    Raises Invalid for a period that is not over, begins before the last closing ended or leaves days out.
    """
    may(actor, "period.close")
    lock(session, agreement)
    hold(session, BOOKS)
    before = last(session, agreement)
    first, final = from_on.isoformat(), until_on.isoformat()
    if before is not None and (before.from_on, before.until_on) == (first, final):
        return before
    faults = Faults()
    if not from_on <= until_on:
        faults.name_fault("the period ends before it begins", at="until_on")
    elif until_on >= local_date(now):
        faults.name_fault(
            "the period {start} to {end} has not ended", at="until_on", start=first, end=final
        )
    if before is not None and from_on != date.fromisoformat(before.until_on) + timedelta(days=1):
        faults.name_fault(
            "the last closing ended on {day}: the next period begins the day after", at="from_on",
            day=before.until_on,
        )  # fmt: skip
    if faults:
        raise Invalid("The period cannot be closed: {faults}.", faults=faults)
    year = local_date(now).year
    period = Period(
        id=new_id(), number=f"GZ{year}-{next_number(session, f'GZ{year}'):04d}",
        agreement_id=agreement.id, from_on=first, until_on=final,
        through_n=_settlements(session, agreement.id), closed_by=actor.member_id,
        state=move("period", "close", None),
    )  # fmt: skip
    log.append(session, period, "period.closed", actor.member_id)
    session.flush()
    return period


def reopen(session: Session, actor: Actor, now: datetime, period: Period, reason: str) -> None:
    """Take the last closing of an agreement back, so that its days can be booked to again.

    Another person than he who closed it, and not under a statement that stands.
    """
    may(actor, "period.reopen")
    require_ground(reason)
    require_other(actor, [period.closed_by], f"period {period.number}")
    agreement = session.get_one(Agreement, period.agreement_id)
    lock(session, agreement)
    hold(session, BOOKS)
    session.refresh(period)
    state = move("period", "reopen", period.state)
    newest = last(session, agreement)
    if newest is not None and newest.id != period.id:
        raise Conflict(
            "Only the last closed period can be reopened: {number}, until {day}.",
            number=newest.number, day=newest.until_on,
        )  # fmt: skip
    above = _standing_over(session, period)
    if above is not None:
        raise Conflict(
            "Statement {number} distributes the days until {day}: have it rejected or reversed before they "
            "are booked to again.",
            number=above.number, day=above.until_on,
        )  # fmt: skip
    period.state = state
    log.append(session, period, "period.reopened", actor.member_id, reason=reason.strip())
    session.flush()


def last(session: Session, agreement: Agreement) -> Period | None:
    """The last closed period of an agreement."""
    return session.scalars(
        select(Period)
        .where(Period.agreement_id == agreement.id, Period.state == "closed")
        .order_by(Period.until_on.desc())
        .limit(1)
    ).first()


def closed_until(session: Session, agreement_id: str) -> str | None:
    """The last day that is closed in an agreement's books; None where none is."""
    return session.scalar(
        select(Period.until_on)
        .where(Period.agreement_id == agreement_id, Period.state == "closed")
        .order_by(Period.until_on.desc())
        .limit(1)
    )


def open_day(session: Session, agreement_id: str, day: str) -> str:
    """The day, or the first one after the last closing if that is later."""
    closed = closed_until(session, agreement_id)
    if closed is None or day > closed:
        return day
    return (date.fromisoformat(closed) + timedelta(days=1)).isoformat()


def _standing_over(session: Session, period: Period) -> Any:
    """A statement that stands and distributes days of the period; by its table, since it knows periods."""
    of = Base.metadata.tables["statements"].c
    return session.execute(
        select(of.number, of.until_on).where(
            of.agreement_id == period.agreement_id, of.until_on >= period.from_on,
            of.state.not_in(("rejected", "reversed")), of.reverses.is_(None),
        )
    ).first()  # fmt: skip


def owners(session: Session, period: Period) -> tuple[str, str]:
    """Whose business a period is: both sides' of its agreement."""
    return agreements.owners(session.get_one(Agreement, period.agreement_id))


def by_number(session: Session, number: str) -> Period:
    """The period with a number; raises Missing."""
    found = session.scalar(select(Period).where(Period.number == number))
    if found is None:
        raise Missing("There is no closed period {number}.", number=number)
    return found


def _settlements(session: Session, agreement_id: str) -> int:
    """How many settlements the agreement has now."""
    upcoming: Any = session.scalar(
        select(Number.next).where(Number.prefix == f"settlements {agreement_id}")
    )
    return (upcoming or 1) - 1
