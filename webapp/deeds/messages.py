"""Messages 提醒: mine, with what I have read of them; and what others deliver, by mail or SMS."""

from collections.abc import Iterable
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from ledger import messages
from ledger.announcements import EVENTS
from ledger.deadlines import TERMS
from ledger.errors import Missing
from ledger.messages import Message, Reading
from ledger.parties import Account, Actor, Member, actor_of
from ledger.proof.encoding import instant
from webapp.deeds import Desk, deed, question
from webapp.deeds.answers import PAGE, PageQuery
from webapp.deeds.forms import Body, texts
from webapp.deeds.subjects import BY_NOUN, visible
from webapp.language import in_both, tr

_TOLD_OF = {*(kind.partition(".")[0] for kind in EVENTS), *(term.noun for term in TERMS.values())}
NOUNS = sorted(_TOLD_OF & set(BY_NOUN))  # what has no page is told to nobody


class MessageItem(Schema):
    """A message in the reader's language, the subject it is about, and whether he has read it."""

    id = fields.String(required=True)
    text = fields.String(required=True)
    noun = fields.String(required=True)
    number = fields.String(required=True)
    due_on = fields.String(required=True, allow_none=True)
    made_at = fields.String(required=True)
    read = fields.Boolean(required=True)


class MessagesAnswer(Schema):
    """A page of one's messages, the newest first, and how many of all are unread."""

    items = fields.List(fields.Nested(MessageItem), required=True)
    unread = fields.Integer(required=True)
    next = fields.String(required=True, allow_none=True)


class OutgoingMessage(Schema):
    """A message to deliver: to whom, by login, and what it says in both languages."""

    id = fields.String(required=True)
    to = fields.List(fields.String(), required=True)
    text = fields.Dict(required=True)
    noun = fields.String(required=True)
    number = fields.String(required=True)
    due_on = fields.String(required=True, allow_none=True)
    made_at = fields.String(required=True)


class OutgoingAnswer(Schema):
    """What is not delivered yet, the oldest first."""

    items = fields.List(fields.Nested(OutgoingMessage), required=True)
    next = fields.String(required=True, allow_none=True)


class PartQuery(PageQuery):
    """Which part of a list is wanted."""

    class Meta(Body.Meta):
        exclude = ("words", "state")


class DeliveredBody(Body):
    """Which messages were delivered."""

    ids = texts("Messages", hint="one a line: the ids of those that were delivered")


# ---------------------------------------------------------------- mine


@question("message.read", "/messages", "Messages", name="message.list", answer=MessagesAnswer,
          query=PartQuery)  # fmt: skip
def mine(
    _desk: Desk, session: Session, actor: Actor, limit: int = PAGE, after: str = ""
) -> dict[str, Any]:
    """Those for me whose subject I may read."""
    wanted = (
        select(Message, Reading.read_at)
        .outerjoin(
            Reading, (Reading.message_id == Message.id) & (Reading.member_id == actor.member_id)
        )
        .where(*_for(session, actor))
    )
    if after:
        wanted = wanted.where(Message.id < after)
    rows = session.execute(wanted.order_by(Message.id.desc()).limit(limit + 1)).all()
    return {
        "items": [
            {
                "due_on": row.due_on, "id": row.id, "made_at": instant(row.made_at), "noun": row.noun,
                "number": row.number, "read": read_at is not None, "text": tr(row.template, **row.facts),
            }
            for row, read_at in rows[:limit]
        ],
        "next": rows[limit - 1][0].id if len(rows) > limit else None,
        "unread": unread_count(session, actor),
    }  # fmt: skip


def unread_count(session: Session, actor: Actor) -> int:
    """How many messages somebody has not read."""
    wanted = select(func.count()).select_from(Message)
    return session.scalar(wanted.where(*_for(session, actor), messages.unread(actor))) or 0


def _for(session: Session, actor: Actor) -> tuple[ColumnElement[bool], ...]:
    """Messages addressed to him about what exists for him: what he may not read, he is not told of."""
    readable = []
    for noun in NOUNS:
        condition, about = visible(session, actor, noun), Message.noun == noun
        if condition is not None:
            ids = select(BY_NOUN[noun].model.id).where(condition)
            about &= Message.subject_id.in_(ids)
        readable.append(about)
    return messages.addressed(actor), or_(*readable)


@deed("message.mark", "/messages/<message_id>/read", "Mark as read", "The message is marked as read.",
      records=False)  # fmt: skip
def mark(desk: Desk, session: Session, actor: Actor, message_id: str) -> dict[str, Any]:
    """One of mine; another's is missing."""
    wanted = select(Message.id).where(Message.id == message_id, *_for(session, actor))
    if session.scalar(wanted) is None:
        raise Missing("There is no message {id}.", id=message_id)
    messages.mark_read(session, actor, desk.now, [message_id])
    return {"id": message_id}


@deed("message.mark", "/messages/read", "Mark all as read", "{count} messages are marked as read.",
      name="message.mark_all", records=False)  # fmt: skip
def mark_all(desk: Desk, session: Session, actor: Actor) -> dict[str, Any]:
    ids = session.scalars(
        select(Message.id).where(*_for(session, actor), messages.unread(actor))
    ).all()
    return {"count": messages.mark_read(session, actor, desk.now, ids)}


# ---------------------------------------------------------------- for others to deliver


@question("message.deliver", "/messages/undelivered", "Messages to deliver", name="message.undelivered",
          answer=OutgoingAnswer, query=PartQuery)  # fmt: skip
def undelivered(
    _desk: Desk, session: Session, _actor: Actor, limit: int = PAGE, after: str = ""
) -> dict[str, Any]:
    """Each stays here until it is acknowledged, so that whoever delivers and fails gets it again."""
    rows = messages.undelivered(session, after, limit + 1)
    return {
        "items": outgoing(session, rows[:limit]),
        "next": rows[limit - 1].id if len(rows) > limit else None,
    }


@deed("message.deliver", "/messages/delivered", "Acknowledge delivery",
      "{count} messages are noted as delivered.", name="message.delivered", body=DeliveredBody,
      records=False)  # fmt: skip
def delivered(desk: Desk, session: Session, _actor: Actor, ids: list[str]) -> dict[str, Any]:
    return {"count": messages.acknowledge(session, desk.now, ids)}


def outgoing(session: Session, rows: Iterable[Message]) -> list[dict[str, Any]]:
    """Messages as others deliver them; one that nobody may be told any more goes to nobody."""
    kept = list(rows)
    logins = _logins(session, kept)
    return [
        {
            "due_on": row.due_on, "id": row.id, "made_at": instant(row.made_at), "noun": row.noun,
            "number": row.number, "text": in_both(row.template, row.facts), "to": logins[row.id],
        }
        for row in kept
    ]  # fmt: skip


def _logins(session: Session, rows: list[Message]) -> dict[str, list[str]]:
    """The logins of those each message is for as they are now, and who may read what it is about."""
    found: dict[str, list[str]] = {row.id: [] for row in rows}
    roles = {row.role for row in rows if row.role}
    open_to_all = any(row.role is None and row.party_id for row in rows)
    members = {row.member_id for row in rows if row.member_id}
    known = session.execute(
        select(Account.login, Member.id, Member.roles)
        .join(Member, Member.id == Account.member_id)
        .order_by(Account.login)
    ).all()
    for login, member_id, has in known:
        if not (open_to_all or roles & set(has) or member_id in members):
            continue
        actor = actor_of(session, member_id)
        wanted = select(Message.id).where(Message.id.in_(list(found)), *_for(session, actor))
        for message_id in session.scalars(wanted):
            found[message_id].append(login)
    return found
