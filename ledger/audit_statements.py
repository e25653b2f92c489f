"""What the audit derives of statements: that they follow each other, and what each covers.

regions     each standing statement goes beyond the last, and says which one that is
coverage    its sums are those of the settlements that its region adds
shares      its lines and what it carries on follow from its scheme and from what the last one carried on
booking     it is booked, or what it takes back is booked back, once it is posted, and not before
reversals   a reversed statement is named by one that is booked, with the same lines
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import books, coverage, revenue
from ledger.books import Entry
from ledger.coverage import Reach
from ledger.errors import LedgerError
from ledger.periods import Period
from ledger.schemes import Scheme
from ledger.statements import STANDS, Statement, reach_of
from valuation import ValuationError

Told = tuple[str, str, Any, Any]  # place, field, known, derived


def audit_statements(session: Session) -> Iterator[Told]:
    """Each difference between a statement and what follows from the others and from the settlements."""
    standing: dict[str, list[Statement]] = defaultdict(list)
    for statement in session.scalars(select(Statement).where(STANDS).order_by(Statement.until_on)):
        standing[statement.agreement_id].append(statement)
    for those in standing.values():
        before: Statement | None = None
        for statement in those:
            yield from _covers(session, statement, before)
            yield from _shares(session, statement, before)
            before = statement
    yield from _reversals(session)
    for statement in session.scalars(select(Statement).where(Statement.covers.is_not(None))):
        yield from _booking(session, statement)


def _covers(session: Session, statement: Statement, before: Statement | None) -> Iterator[Told]:
    if statement.covers is None or statement.through_n is None:
        return  # one of before
    place, after = f"statements {statement.number}", reach_of(session, before)
    reach = Reach(statement.through_n, statement.until_on)
    found = coverage.covered(session, statement.agreement_id, after, reach)
    period = session.get(Period, statement.period_id or "")
    due = {
        "after": {
            "statement": before.number if before else None, "through_n": after.through_n,
            "until_on": after.until_on,
        },
        "late": found.late.to_dict(), "own": found.own.to_dict(),
        "period": period.number if period else None, "through_n": statement.through_n,
    }  # fmt: skip
    sums = {
        "amount_fen": found.amount_fen, "covers": due, "late_fen": found.late.net_fen,
        "own_fen": found.own.net_fen, "trade_count": found.count,
    }  # fmt: skip
    for field, derived in sums.items():
        if (known := getattr(statement, field)) != derived:
            yield place, field, known, derived
    if period is not None:
        for field in ("agreement_id", "from_on", "until_on", "through_n"):
            if (known := getattr(statement, field)) != (derived := getattr(period, field)):
                yield place, field, known, derived
    if reach.until_on <= after.until_on or reach.through_n < after.through_n:
        yield place, "through_n", [*_told(reach)], f"beyond {[*_told(after)]}"


def _shares(session: Session, statement: Statement, before: Statement | None) -> Iterator[Told]:
    place, carried = f"statements {statement.number}", before.deficits_after if before else {}
    if statement.covers is None:
        return  # one of before
    if statement.deficits_before != carried:
        yield place, "deficits_before", statement.deficits_before, carried
    scheme = session.get(Scheme, statement.scheme_id)
    if scheme is None:
        yield place, "scheme_id", statement.scheme_id, "a row"
        return
    try:
        revenue.recompute(statement, scheme)
    except (LedgerError, ValuationError) as error:
        yield place, "lines", str(error), "what its scheme shares out"


def _booking(session: Session, statement: Statement) -> Iterator[Told]:
    place, made = f"statements {statement.number}", books.entry_of(session, statement.id)
    undone = session.scalars(
        select(Entry.reverses).where(Entry.cause_id == statement.id, Entry.reverses.is_not(None))
    ).all()
    due, due_undone = None, list[str]()
    if statement.reverses is None and statement.state in ("posted", "reversed"):
        due = revenue.booked(session, statement)
    elif statement.reverses is not None and statement.state == "posted":
        taken_back = books.entry_of(session, statement.reverses)
        due_undone = [] if taken_back is None else [taken_back.id]
    known = None if made is None else made.lines
    if known != due:
        yield place, "lines", known, due
    if made is not None and made.book_id != statement.agreement_id:
        yield place, "agreement_id", made.book_id, statement.agreement_id
    if list(undone) != due_undone:
        yield place, "reverses", [*undone], due_undone


def _told(reach: Reach) -> tuple[int, str]:
    return reach.through_n, reach.until_on


def _reversals(session: Session) -> Iterator[Told]:
    undoing = {
        one.reverses: one
        for one in session.scalars(
            select(Statement).where(Statement.reverses.is_not(None), Statement.state == "posted")
        )
    }
    for original in session.scalars(select(Statement).where(Statement.state == "reversed")):
        by = undoing.pop(original.id, None)
        place = f"statements {original.number}"
        if by is None:
            yield place, "state", "reversed", "a booked statement that takes it back"
            continue
        for field in ("amount_fen", "lines", "derivation", "covers"):
            if getattr(by, field) != getattr(original, field):
                yield f"statements {by.number}", field, getattr(by, field), getattr(original, field)
    for by in undoing.values():
        yield f"statements {by.number}", "reverses", by.reverses, "a statement that is reversed"
