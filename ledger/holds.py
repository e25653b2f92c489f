"""Holds (预占): amounts set aside on accounts in the first of two phases, until they are booked or let go.

    pending → posted             the entry is made
            → voided | expired   nothing is booked

What is kept no longer runs out: the payment is with the bank, whose word alone ends it.

Held is what the lines would take from their accounts. What is held cannot be held or paid once more.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, books, log
from ledger.agreements import Agreement, require_ground
from ledger.calendar import local_date
from ledger.errors import Conflict, Invalid, Missing
from ledger.states import move
from ledger.store import Evidence, new_id, next_number

CAUSES = (*books.CAUSES, "payout")  # subject types
EXPIRED_AT_ONCE = 1_000  # holds that one run of the timer lets go


class Hold(Evidence):
    """What is set aside for a cause: lines as an entry's, `amount_fen` their debits.

    It is let go at `expires_at`; None is kept.
    """

    __tablename__ = "holds"
    __table_args__ = (
        Index("holds_of_a_cause", "cause_id", "cause_key", unique=True),
        Index("holds_by_state", "state", "expires_at"),
    )
    subject_type = "hold"
    number: Mapped[str] = mapped_column(unique=True)
    cause_id: Mapped[str] = mapped_column(String(36))
    cause_key: Mapped[str]
    book_id: Mapped[str] = mapped_column(String(36))
    lines: Mapped[list[Any]]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    body_digest: Mapped[str]
    held_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    state: Mapped[str]


def hold(
    session: Session, actor_id: str, now: datetime, *, cause: Evidence, key: str = "", book_id: str,
    lines: Sequence[Mapping[str, Any]], expires_at: datetime,
) -> Hold:  # fmt: skip
    """Set aside what the lines would take, once for a cause and key; Invalid where it is not there."""
    books.check_cause(cause, CAUSES)
    books.begin(session)
    body = [dict(line) for line in lines]
    digest = books.digest_of(book_id=book_id, key=key, lines=body)
    found = session.scalar(select(Hold).where(Hold.cause_id == cause.id, Hold.cause_key == key))
    if found is not None:
        if found.body_digest != digest:
            raise Conflict("Hold {number} set this aside otherwise.", number=found.number)
        return found
    books.check_lines(body)
    if expires_at <= now:
        raise Invalid("A hold ends after it begins.")
    held = _made(session, now, cause, key, book_id, body)
    held.expires_at = expires_at.replace(microsecond=0)
    books.move_accounts(session, {book_id: books.held(body)}, {})
    log.append(session, held, "hold.held", actor_id)
    session.flush()
    return held


def _made(
    session: Session, now: datetime, cause: Evidence, key: str, book_id: str, body: list[dict[str, Any]]
) -> Hold:  # fmt: skip
    year = local_date(now).year
    return Hold(
        id=new_id(), number=f"YZ{year}-{next_number(session, f'YZ{year}'):06d}", cause_id=cause.id,
        cause_key=key, book_id=book_id, lines=body, amount_fen=sum(x["debit_fen"] for x in body),
        body_digest=books.digest_of(book_id=book_id, key=key, lines=body),
        held_at=now.replace(microsecond=0), expires_at=None, state=move("hold", "hold", None),
    )  # fmt: skip


def keep(session: Session, actor_id: str, held: Hold) -> None:
    """From now on what is held does not run out: it ends by being booked or voided."""
    held.state = move("hold", "keep", held.state)
    held.expires_at = None
    log.append(session, held, "hold.kept", actor_id)


def is_on_its_way(session: Session, book_id: str) -> bool:
    """Whether money of a book is with the bank to be paid, so that its reason must not be taken back."""
    kept = select(Hold.id).where(
        Hold.book_id == book_id, Hold.state == "pending", Hold.expires_at.is_(None)
    )
    return session.scalar(kept.limit(1)) is not None


def book_at_once(
    session: Session, actor_id: str, now: datetime, *, cause: Evidence, key: str, book_id: str,
    lines: Sequence[Mapping[str, Any]], effective_on: str, memo: str,
) -> Hold:  # fmt: skip
    """Book what happened though nothing was held for it any more: only the entry's own limits bind."""
    books.check_cause(cause, CAUSES)
    books.begin(session)
    body = [dict(line) for line in lines]
    held = _made(session, now, cause, key, book_id, body)
    log.append(session, held, "hold.held", actor_id)
    session.flush()
    held.state = move("hold", "post", held.state)
    log.append(session, held, "hold.posted", actor_id)
    books.post(
        session, actor_id, now, cause=held, book_id=book_id, effective_on=effective_on, memo=memo,
        lines=body,
    )  # fmt: skip
    return held


def post_hold(
    session: Session, actor_id: str, now: datetime, held: Hold, *, effective_on: str, memo: str
) -> books.Entry:
    """Book what was set aside; a hold that was booked gives its entry again."""
    books.begin(session)
    session.refresh(held)
    if held.state != "posted":
        held.state = move("hold", "post", held.state)
        books.move_accounts(session, {held.book_id: books.held(held.lines, -1)}, {})
        log.append(session, held, "hold.posted", actor_id)
    return books.post(
        session, actor_id, now, cause=held, book_id=held.book_id, effective_on=effective_on, memo=memo,
        lines=held.lines,
    )  # fmt: skip


def void(session: Session, actor_id: str, now: datetime, held: Hold, reason: str) -> None:
    """Let go of what was set aside; the ground must be stated."""
    require_ground(reason)
    books.begin(session)
    session.refresh(held)
    _let_go(session, held, "void")
    log.append(session, held, "hold.voided", actor_id, reason=reason.strip())
    session.flush()


def expire(session: Session, now: datetime) -> int:
    """Let go of every hold whose time has passed; returns how many (a thousand at most at once)."""
    due = session.scalars(
        select(Hold)
        .where(Hold.state == "pending", Hold.expires_at <= now)
        .order_by(Hold.expires_at, Hold.id)
        .limit(EXPIRED_AT_ONCE)
    ).all()
    if due:
        books.begin(session)
    for held in due:
        _let_go(session, held, "expire")
        log.append(session, held, "hold.expired", "system")
    session.flush()
    return len(due)


def owners(session: Session, held: Hold) -> tuple[str, ...]:
    """Whose business a hold is: both sides' of its agreement."""
    agreement = session.get(Agreement, held.book_id)
    return () if agreement is None else agreements.owners(agreement)


def by_number(session: Session, number: str) -> Hold:
    """The hold with a number; raises Missing."""
    found = session.scalar(select(Hold).where(Hold.number == number))
    if found is None:
        raise Missing("There is no hold {number}.", number=number)
    return found


def _let_go(session: Session, held: Hold, verb: str) -> None:
    held.state = move("hold", verb, held.state)
    books.move_accounts(session, {held.book_id: books.held(held.lines, -1)}, {})
