"""Double-entry books (账簿): entries whose debits equal their credits, never edited, reversed by a link.

statement posted    Dr 2202 待分配收入      Cr 2203.<party> 应付分配款

An entry has a cause, and only what `CAUSES` names can be one: since 财会〔2025〕33号 an appraised value is
disclosed beside the books and never enters them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.calendar import local_date
from ledger.errors import Conflict, Invalid
from ledger.store import Evidence, new_id, next_number

UNDISTRIBUTED = "2202 待分配收入"
PAYABLE = "2203 应付分配款"
CAUSES = ("statement",)  # subject types


class Entry(Evidence):
    """A booking: its lines [{"account", "party_id", "debit_fen", "credit_fen"}] balance to the fen."""

    __tablename__ = "entries"
    subject_type = "entry"
    number: Mapped[str] = mapped_column(unique=True)
    cause_id: Mapped[str] = mapped_column(String(36), unique=True)
    effective_on: Mapped[str]
    memo: Mapped[str]
    lines: Mapped[list[Any]]
    reverses: Mapped[str | None] = mapped_column(String(36), unique=True)


def post(
    session: Session,
    actor_id: str,
    now: datetime,
    *,
    cause: Evidence,
    effective_on: str,
    memo: str,
    lines: Sequence[Mapping[str, Any]],
) -> Entry:
    """Book what a deed caused, once per cause; lines that do not balance are refused.

    So is a cause that is none of `CAUSES`, an appraisal before all.
    """
    if cause.subject_type == "appraisal":
        raise Invalid(
            "An appraisal is no basis for booking (财会〔2025〕33号): its value is disclosed beside the "
            "books, which carry cost."
        )
    if cause.subject_type not in CAUSES:
        raise Invalid("A {kind} is no cause of an entry.", kind=cause.subject_type)
    found = session.scalar(select(Entry).where(Entry.cause_id == cause.id))
    if found is not None:
        if found.lines != [dict(line) for line in lines]:
            raise Conflict("Entry {number} booked this otherwise.", number=found.number)
        return found
    if any(
        type(line[side]) is not int or line[side] < 0
        for line in lines
        for side in ("debit_fen", "credit_fen")
    ):
        raise Invalid("An entry holds whole, non-negative fen.")
    debit, credit = (sum(line[side] for line in lines) for side in ("debit_fen", "credit_fen"))
    if debit != credit or not lines:
        raise Invalid(
            "The entry does not balance: {debit} ≠ {credit} fen.", debit=debit, credit=credit
        )
    year = local_date(now).year
    entry = Entry(
        id=new_id(), number=f"JZ{year}-{next_number(session, f'JZ{year}'):06d}", cause_id=cause.id,
        effective_on=effective_on, memo=memo, lines=[dict(line) for line in lines], reverses=None,
    )  # fmt: skip
    log.append(session, entry, "entry.posted", actor_id)
    session.flush()
    return entry


def balances(session: Session) -> dict[tuple[str, str | None], int]:
    """Debit minus credit of each (account, party), as the fold of all entries; they sum to nought."""
    totals: dict[tuple[str, str | None], int] = {}
    for entry in session.scalars(select(Entry).order_by(Entry.number)):
        for line in entry.lines:
            key = (line["account"], line["party_id"])
            totals[key] = totals.get(key, 0) + line["debit_fen"] - line["credit_fen"]
    return totals
