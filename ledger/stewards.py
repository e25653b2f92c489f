"""Data stewards (首席数据官, 数据专员): who answers for data in each organisation.

A steward is a member, so that his name stays in `accounts`: records know a pseudonym only.
"""

from collections.abc import Iterable
from datetime import date, datetime

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.calendar import local_date
from ledger.errors import Conflict, Invalid, Missing
from ledger.parties import Actor, Member, Party, may, require_active
from ledger.states import move
from ledger.store import Evidence, lock, new_id

POSTS = {"chief": "首席数据官", "steward": "数据专员"}


class Steward(Evidence):
    """A member's post for data in his organisation."""

    __tablename__ = "stewards"
    subject_type = "steward"
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"), index=True)
    member_id: Mapped[str] = mapped_column(String(36), ForeignKey("members.id"))
    post: Mapped[str]
    """chief (首席数据官) or steward (数据专员)"""
    from_on: Mapped[str]
    until_on: Mapped[str | None]
    state: Mapped[str]


def name(
    session: Session, actor: Actor, now: datetime, *, party: Party, member: Member, post: str,
    from_on: date,
) -> Steward:  # fmt: skip
    """Give a member of an organisation a post; one chief at a time, stewards several, nobody twice."""
    may(actor, "steward.name", party.id, party.name)
    require_active(party)
    if post not in POSTS:
        raise Invalid("A post is one of {posts}.", posts=", ".join(POSTS))
    if member.party_id != party.id or not member.roles:
        raise Invalid("Only a member who acts for {name} can have a post there.", name=party.name)
    if from_on > local_date(now):
        raise Invalid("The day {day} is still to come; name him on that day.", day=from_on)
    lock(session, party)  # of two chiefs named at once, one is refused
    held = in_force(session, [party.id])
    if any(one.member_id == member.id and one.post == post for one in held):
        raise Conflict("He has this post already.")
    if post == "chief" and any(one.post == "chief" for one in held):
        raise Conflict("{name} has a chief data officer; relieve him first.", name=party.name)
    made = Steward(
        id=new_id(), party_id=party.id, member_id=member.id, post=post,
        from_on=from_on.isoformat(), until_on=None, state=move("steward", "name", None),
    )  # fmt: skip
    log.append(session, made, "steward.named", actor.member_id)
    session.flush()
    return made


def relieve(
    session: Session, actor: Actor, now: datetime, steward: Steward, until_on: date
) -> None:
    """End a member's post with a day."""
    may(actor, "steward.relieve", steward.party_id)
    if not date.fromisoformat(steward.from_on) <= until_on <= local_date(now):
        raise Invalid(
            "The last day lies between {start} and today, not on {day}.",
            start=steward.from_on, day=until_on,
        )  # fmt: skip
    steward.state = move("steward", "relieve", steward.state)
    steward.until_on = until_on.isoformat()
    log.append(session, steward, "steward.relieved", actor.member_id)


def in_force(session: Session, party_ids: Iterable[str]) -> list[Steward]:
    """Who has a post in these organisations now, the chiefs first."""
    wanted = select(Steward).where(Steward.party_id.in_(list(party_ids)), Steward.state == "named")
    return list(session.scalars(wanted.order_by(Steward.post, Steward.id)))


def by_id(session: Session, steward_id: str) -> Steward:
    """The post with an id; raises Missing."""
    found = session.get(Steward, steward_id)
    if found is None:
        raise Missing("There is no post {id}.", id=steward_id)
    return found
