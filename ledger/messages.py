"""Messages (提醒): what a person is told of what concerns him, in the site and for others to deliver.

One is addressed to a member, or to whoever has a role, of an organisation or of any; who that is, is asked
when it is read. It holds a template and few facts, a number and a day, and is said in the reader's
language. The table is operational: no record depends on it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Index, String, and_, delete, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.errors import Missing
from ledger.parties import Actor
from ledger.store import Base, new_id

KEPT_DAYS = 180  # what somebody has read goes after so long; what nobody has read stays
DELIVERED_AT_ONCE = 500
REMOVED_AT_ONCE = 5_000  # the timer rings again
PUT_AT_ONCE = 500


@dataclass(frozen=True)
class To:
    """To whom: a member; else whoever has a role, in an organisation or in any but one."""

    role: str | None = None
    party_id: str | None = None
    other_than: str | None = None
    member_id: str | None = None

    @property
    def key(self) -> str:
        return "/".join(
            one or "-" for one in (self.role, self.party_id, self.other_than, self.member_id)
        )


class Message(Base):
    """What happened to which subject, to whom it is told, when it was delivered (operational)."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("messages_of_subject", "subject_id", "term", "moment"),
        Index("messages_undelivered", "delivered_at", "id"),
    )
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    """what it is told of and to whom: the same is not told twice"""
    role: Mapped[str | None] = mapped_column(index=True)
    party_id: Mapped[str | None] = mapped_column(String(36), index=True)
    other_than: Mapped[str | None] = mapped_column(String(36))
    member_id: Mapped[str | None] = mapped_column(String(36), index=True)
    done_by: Mapped[str | None]
    """the member who did it himself, who is not told"""
    template: Mapped[str]
    facts: Mapped[dict[str, Any]]
    noun: Mapped[str]
    subject_id: Mapped[str] = mapped_column(String(36))
    number: Mapped[str]
    term: Mapped[str | None]
    """the deadline it tells of, `moment` near or past, and its last day"""
    moment: Mapped[str | None]
    due_on: Mapped[str | None]
    made_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    """of a deadline's message that is removed the key stays, so that it is not told again"""


class Reading(Base):
    """That a member has read a message (operational)."""

    __tablename__ = "message_readings"
    message_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    member_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    read_at: Mapped[datetime]


def tell(
    session: Session, now: datetime, *, to: Iterable[To], template: str, noun: str, subject_id: str,
    number: str, event: str, facts: Mapping[str, Any] | None = None, done_by: str | None = None,
    due_on: str | None = None, term: str | None = None, moment: str | None = None,
) -> int:  # fmt: skip
    """Tell each addressee once what happened to a subject; how many messages that made.

    `event` names what happened, once and for all: what was told of it to somebody is not told him again,
    also when two transactions tell it at the same moment.
    """
    rows = [
        {
            "id": new_id(), "key": f"{event} {one.key}", "role": one.role, "party_id": one.party_id,
            "other_than": one.other_than, "member_id": one.member_id, "done_by": done_by,
            "template": template, "facts": dict(facts or {}), "noun": noun, "subject_id": subject_id,
            "number": number, "term": term, "moment": moment, "due_on": due_on, "made_at": now,
            "delivered_at": None, "removed_at": None,
        }
        for one in dict.fromkeys(to)
    ]  # fmt: skip
    return _put(session, Message, rows)


def addressed(actor: Actor) -> ColumnElement[bool]:
    """The messages that are for somebody as he is now; whether he may read their subject is not asked."""
    role = or_(Message.role.is_(None), Message.role.in_(sorted(actor.roles)))
    party = or_(Message.party_id.is_(None), Message.party_id.in_(sorted(actor.parties)))
    stranger = or_(
        Message.other_than.is_(None), Message.other_than.not_in(sorted(actor.parties))
    )  # fmt: skip
    some = or_(Message.role.is_not(None), Message.party_id.is_not(None))
    whole = and_(Message.member_id.is_(None), some, role, party, stranger)
    mine = or_(Message.member_id == actor.member_id, whole)
    not_his = or_(Message.done_by.is_(None), Message.done_by != actor.member_id)
    acts = bool(actor.roles)  # a member without roles no longer acts
    return and_(Message.removed_at.is_(None), mine, not_his) if acts else Message.id.is_(None)


def unread(actor: Actor) -> ColumnElement[bool]:
    """Those he has not read."""
    return ~exists().where(
        Reading.message_id == Message.id, Reading.member_id == actor.member_id
    )  # fmt: skip


def mark_read(session: Session, actor: Actor, now: datetime, ids: Iterable[str]) -> int:
    """Note that a member has read messages; once read, it stays so."""
    rows = [{"message_id": one, "member_id": actor.member_id, "read_at": now} for one in ids]
    return _put(session, Reading, rows)


def undelivered(session: Session, after: str = "", limit: int = DELIVERED_AT_ONCE) -> list[Message]:
    """What is not delivered yet, the oldest first, after a cursor.

    What one reading passed over because it was committed later is found by the next from the beginning.
    """
    wanted = select(Message).where(
        Message.delivered_at.is_(None), Message.removed_at.is_(None), Message.id > after
    )
    return list(session.scalars(wanted.order_by(Message.id).limit(limit)))


def acknowledge(session: Session, now: datetime, ids: Iterable[str]) -> int:
    """Note that messages were delivered; again, it changes nothing. Raises Missing for unknown ones."""
    wanted = sorted(set(ids))
    known = set(session.scalars(select(Message.id).where(Message.id.in_(wanted))))
    unknown = [one for one in wanted if one not in known]
    if unknown:
        raise Missing("There is no message {id}.", id=unknown[0])
    open_ones = Message.id.in_(wanted) & Message.delivered_at.is_(None)
    count = session.scalar(select(func.count()).where(open_ones)) or 0
    session.execute(update(Message).where(open_ones).values(delivered_at=now))
    return count


def remove_old(session: Session, now: datetime) -> int:
    """Remove what was read and is older than `KEPT_DAYS`, with who read it; how many."""
    read = exists().where(Reading.message_id == Message.id)
    old = and_(
        Message.made_at < now - timedelta(days=KEPT_DAYS), read, Message.removed_at.is_(None)
    )
    ids = session.scalars(select(Message.id).where(old).limit(REMOVED_AT_ONCE)).all()
    if not ids:
        return 0
    session.execute(delete(Reading).where(Reading.message_id.in_(ids)))
    session.execute(delete(Message).where(Message.id.in_(ids), Message.term.is_(None)))
    session.execute(
        update(Message).where(Message.id.in_(ids))
        .values(removed_at=now, facts={}, role=None, party_id=None, member_id=None, done_by=None)
    )  # fmt: skip
    return len(ids)


def _put(session: Session, table: type[Base], rows: list[dict[str, Any]]) -> int:
    """Insert rows unless their like is there, also when another transaction puts it in just now."""
    postgres = session.get_bind().dialect.name == "postgresql"
    insert: Any = postgresql.insert if postgres else sqlite.insert
    into: Any = table.__table__
    count = 0
    for start in range(0, len(rows), PUT_AT_ONCE):
        some = insert(into).values(rows[start : start + PUT_AT_ONCE]).on_conflict_do_nothing()
        count += len(session.execute(some.returning(*into.primary_key.columns)).all())
    return count
