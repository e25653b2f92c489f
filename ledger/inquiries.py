"""Questions on a statement's lines (质询): raised before it is approved, answered by its maker.

    raised → answered → closed        by who asked
               ↘ raised               he insists: the answer does not satisfy him
    raised, answered → withdrawn

A statement with a question that is not answered is not approved.
"""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.calendar import local_date
from ledger.errors import Conflict, Invalid, Missing, NotAllowed
from ledger.parties import Actor, Party, may, require_other
from ledger.statements import Statement, makers_party, makes, owners
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number

ASKED_IN = ("drafted", "proposed")


class Inquiry(Evidence):
    """A question on one line of a statement, and the maker's answer; the line counts from 1."""

    __tablename__ = "inquiries"
    __table_args__ = (Index("inquiries_of_statement", "statement_id", "state"),)
    subject_type = "inquiry"
    number: Mapped[str] = mapped_column(unique=True)
    statement_id: Mapped[str] = mapped_column(String(36), ForeignKey("statements.id"))
    line: Mapped[int] = mapped_column(BigInteger)
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    """of who asks"""
    raised_by: Mapped[str]
    raised_at: Mapped[datetime]
    question: Mapped[str]
    answer: Mapped[str | None]
    answered_by: Mapped[str | None]
    state: Mapped[str]


def raise_(
    session: Session, actor: Actor, now: datetime, statement: Statement, *, line: int, question: str
) -> Inquiry:  # fmt: skip
    """Ask about a line of a statement that is not approved yet; a payee asks about lines of his own only.

    The same question again, while it is open, is the same one.
    """
    what = f"statement {statement.number}"
    may(actor, "inquiry.raise", concerned(session, statement), what)
    require_other(actor, [statement.maker_id], what)
    lock(session, statement)
    session.refresh(statement)
    if not question.strip():
        raise Invalid("State the question.")
    if not 1 <= line <= len(statement.lines):
        raise Missing(
            "Statement {number} has the lines 1 to {last}, no line {line}.",
            number=statement.number, last=len(statement.lines), line=line,
        )  # fmt: skip
    if actor.parties.isdisjoint(owners(session, statement)):
        payee = session.scalars(
            select(Party.id).where(Party.uscc == statement.lines[line - 1]["party"])
        ).one()
        if payee not in actor.parties:
            raise NotAllowed("Line {line} is another payee's: ask about your own.", line=line)
    if statement.state not in ASKED_IN:
        raise Conflict(
            "Statement {number} is {state}: questions are raised before it is approved.",
            number=statement.number, state=statement.state,
        )  # fmt: skip
    found = session.scalar(
        select(Inquiry).where(
            Inquiry.statement_id == statement.id, Inquiry.line == line, Inquiry.state == "raised",
            Inquiry.raised_by == actor.member_id, Inquiry.question == question.strip(),
        )
    )  # fmt: skip
    if found is not None:
        return found
    year = local_date(now).year
    made = Inquiry(
        id=new_id(), number=f"ZX{year}-{next_number(session, f'ZX{year}'):05d}",
        statement_id=statement.id, line=line, party_id=actor.party_id, raised_by=actor.member_id,
        raised_at=now.replace(microsecond=0), question=question.strip(), answer=None,
        answered_by=None, state=move("inquiry", "raise", None),
    )  # fmt: skip
    log.append(session, made, "inquiry.raised", actor.member_id)
    session.flush()
    return made


def answer(session: Session, actor: Actor, now: datetime, inquiry: Inquiry, text: str) -> None:
    """The statement's maker answers, or a colleague once that one makes none any more."""
    statement = session.get_one(Statement, inquiry.statement_id)
    may(actor, "inquiry.answer", makers_party(session, statement), f"inquiry {inquiry.number}")
    if not makes(session, actor, statement):
        raise NotAllowed("Only the maker of statement {number} answers.", number=statement.number)
    if not text.strip():
        raise Invalid("State the answer.")
    inquiry.state = move("inquiry", "answer", inquiry.state)
    inquiry.answer, inquiry.answered_by = text.strip(), actor.member_id
    log.append(session, inquiry, "inquiry.answered", actor.member_id)


def insist(session: Session, actor: Actor, now: datetime, inquiry: Inquiry, reason: str) -> None:
    """Who asked is not satisfied: the question stands again, with why."""
    may(actor, "inquiry.insist", inquiry.party_id, f"inquiry {inquiry.number}")
    if not reason.strip():
        raise Invalid("State the ground of the decision.")
    statement = session.get_one(Statement, inquiry.statement_id)
    lock(session, statement)
    session.refresh(statement)
    if statement.state not in ASKED_IN:
        raise Conflict(
            "Statement {number} is {state}: questions are raised before it is approved.",
            number=statement.number, state=statement.state,
        )  # fmt: skip
    inquiry.state = move("inquiry", "insist", inquiry.state)
    log.append(session, inquiry, "inquiry.insisted", actor.member_id, reason=reason.strip())


def close(session: Session, actor: Actor, now: datetime, inquiry: Inquiry) -> None:
    """Who asked is satisfied."""
    may(actor, "inquiry.close", inquiry.party_id, f"inquiry {inquiry.number}")
    inquiry.state = move("inquiry", "close", inquiry.state)
    log.append(session, inquiry, "inquiry.closed", actor.member_id)


def withdraw(session: Session, actor: Actor, now: datetime, inquiry: Inquiry) -> None:
    """Who asked takes the question back."""
    may(actor, "inquiry.withdraw", inquiry.party_id, f"inquiry {inquiry.number}")
    inquiry.state = move("inquiry", "withdraw", inquiry.state)
    log.append(session, inquiry, "inquiry.withdrawn", actor.member_id)


def require_answered(session: Session, statement: Statement) -> None:
    """Raise Conflict while a question on the statement has no answer."""
    open_ones = session.scalars(
        select(Inquiry.number)
        .where(Inquiry.statement_id == statement.id, Inquiry.state == "raised")
        .order_by(Inquiry.number)
    ).all()
    if open_ones:
        raise Conflict(
            "Questions on statement {number} wait for an answer: {inquiries}.",
            number=statement.number, inquiries=", ".join(open_ones),
        )  # fmt: skip


def of_statement(session: Session, statement: Statement) -> list[Inquiry]:
    """All questions on a statement, oldest first."""
    return list(
        session.scalars(
            select(Inquiry).where(Inquiry.statement_id == statement.id).order_by(Inquiry.number)
        )
    )


def concerned(session: Session, statement: Statement) -> tuple[str, ...]:
    """Who may ask: both sides of the agreement, and every party with a line."""
    payees = session.scalars(
        select(Party.id).where(Party.uscc.in_({line["party"] for line in statement.lines}))
    )
    return (*owners(session, statement), *payees)


def owners_of(session: Session, inquiry: Inquiry) -> tuple[str, ...]:
    """Whose business a question is: who asked, the agreement's sides, and the maker's organisation."""
    statement = session.get_one(Statement, inquiry.statement_id)
    return (inquiry.party_id, *owners(session, statement), makers_party(session, statement))


def by_number(session: Session, number: str) -> Inquiry:
    """The question with a number; raises Missing."""
    found = session.scalar(select(Inquiry).where(Inquiry.number == number))
    if found is None:
        raise Missing("There is no question {number}.", number=number)
    return found
