"""What a person began to fill in and has not handed in: seen by nobody else, promised to nobody.

A draft that is handed in keeps, in its data under "key", the key that its job was started with, and lives
on: if the job fails, the person goes on with it. Once the job is done a draft is shown nowhere any more,
and its row goes the next time its owner opens it or begins another one.
"""

import re
from datetime import datetime
from typing import Any

from sqlalchemy import String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.errors import Conflict, Invalid, Missing
from ledger.parties import Member
from ledger.store import Answer, Base, canonical_fast, lock, new_id
from webapp.jobs import Job

DRAFTS_MAX = 50
BYTES_MAX = 256 * 1024
TITLE_MAX = 200
UNSEEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Draft(Base):
    """A form as it was left (operational)."""

    __tablename__ = "drafts"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    member_id: Mapped[str] = mapped_column(String(36), index=True)
    kind: Mapped[str]
    title: Mapped[str]
    data: Mapped[dict[str, Any]]
    version: Mapped[int]
    updated_at: Mapped[datetime]


def save(
    session: Session,
    member_id: str,
    now: datetime,
    *,
    kind: str,
    title: str,
    data: dict[str, Any],
    draft_id: str | None = None,
    version: int | None = None,
) -> Draft:
    """Keep a new draft, or one read at `version` with what was changed since; a stale one is a Conflict."""
    size = len(canonical_fast(data))
    if size > BYTES_MAX:
        raise Invalid(
            "The draft has {given} bytes; {most} are the most.", given=size, most=BYTES_MAX
        )
    title = " ".join(UNSEEN.sub(" ", title).split())[:TITLE_MAX]
    if draft_id is None:
        draft = _begin(session, member_id, kind)
    else:
        draft = _held(session, member_id, draft_id)
        if draft.kind != kind:
            raise _missing(draft_id)
        if draft.version != version:
            raise Conflict(
                "This draft was saved meanwhile, perhaps by you in another window: open it anew.",
                known=draft.version, given=version,
            )  # fmt: skip
    draft.title, draft.data, draft.updated_at = title, data, now
    draft.version += 1
    session.add(draft)
    session.flush()
    return draft


def draft_of(session: Session, member_id: str, draft_id: str) -> Draft:
    """A draft of one's own; another's is as Missing as none."""
    return _own(session.get(Draft, draft_id), member_id, draft_id)


def drafts_of(session: Session, member_id: str) -> list[Draft]:
    """A member's drafts, the one he worked on last first; none that has become what it was for."""
    wanted = select(Draft).where(Draft.member_id == member_id)
    found = session.scalars(wanted.order_by(Draft.updated_at.desc(), Draft.id.desc()))
    return [draft for draft in found if not is_done(session, draft)]


def job_of(session: Session, draft: Draft) -> Job | None:
    """The job that a draft was last handed in with, or None."""
    key = draft.data.get("key")
    answer = session.get(Answer, f"{draft.member_id} {key}") if key else None
    return session.get(Job, answer.answer["job"]) if answer is not None else None


def is_done(session: Session, draft: Draft) -> bool:
    """Whether the draft's job is done, so that nobody needs the draft any more."""
    job = job_of(session, draft)
    return job is not None and job.state == "done"


def drop(session: Session, member_id: str, draft_id: str) -> None:
    """Throw a draft of one's own away."""
    session.delete(_held(session, member_id, draft_id))
    session.flush()


def _begin(session: Session, member_id: str, kind: str) -> Draft:
    lock(session, session.get_one(Member, member_id))  # two at once cannot both be the fiftieth
    for draft in session.scalars(select(Draft).where(Draft.member_id == member_id)).all():
        if is_done(session, draft):
            session.delete(draft)
    session.flush()
    count = select(func.count()).where(Draft.member_id == member_id)
    if session.scalars(count).one() >= DRAFTS_MAX:
        raise Conflict("You have {most} drafts already: drop one of them.", most=DRAFTS_MAX)
    return Draft(id=new_id(), member_id=member_id, kind=kind, version=0)


def _held(session: Session, member_id: str, draft_id: str) -> Draft:
    found = session.get(Draft, draft_id, with_for_update=True, populate_existing=True)
    return _own(found, member_id, draft_id)


def _own(found: Draft | None, member_id: str, draft_id: str) -> Draft:
    if found is None or found.member_id != member_id:
        raise _missing(draft_id)
    return found


def _missing(draft_id: str) -> Missing:
    return Missing("You have no draft {id}.", id=draft_id)
