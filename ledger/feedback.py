"""Objections (异议) and quality feedback (质量反馈) on a resource, traced to who owes the answer.

That is the department that provides the resource; where it does not take part, the data authority.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import duties, log
from ledger.calendar import clock, local_date
from ledger.catalogue import Resource, audiences
from ledger.catalogue_fields import FIELDS, INNER
from ledger.catalogue_values import fold
from ledger.errors import Faults, Invalid, Missing
from ledger.matching import names_of
from ledger.parties import Actor, Member, Party, may, require_other
from ledger.proof.encoding import instant
from ledger.states import move
from ledger.store import Evidence, new_id, next_number

ANSWER_DAYS = 10  # working days, ours: no rule read names them
DECIDE_DAYS = 10
KINDS = ("objection", "quality")
QUALITY, ITEM = "data_quality", "item"  # what it may be about, besides an element
ABOUT = (QUALITY, ITEM, *FIELDS)
VERDICTS = ("corrected", "explained", "rejected")


class Feedback(Evidence):
    """What somebody found wrong with a resource, the department's answer, and its appeal."""

    __tablename__ = "feedback_items"
    subject_type = "feedback"
    number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    """objection or quality"""
    resource_id: Mapped[str] = mapped_column(String(36), index=True)
    party_id: Mapped[str] = mapped_column(String(36), index=True)
    department_id: Mapped[str | None] = mapped_column(String(36), index=True)
    """who owes the answer; None where the provider does not take part: the data authority"""
    about: Mapped[str]
    """data_quality, an element of the catalogue, or `item:` and the data item's name"""
    description: Mapped[str]
    due: Mapped[dict[str, Any] | None]
    """what is owed next, answer or decide, and by when"""
    state: Mapped[str]
    raised_by: Mapped[str]
    raised_at: Mapped[datetime]
    answer: Mapped[dict[str, Any] | None]
    """verdict, text, the version of the resource that corrected it; by whom, when"""
    outcome: Mapped[dict[str, Any] | None]
    """why it was appealed, how that was decided, the duty that arose"""


def raise_(
    session: Session, actor: Actor, now: datetime, *, resource: Resource, kind: str, about: str,
    description: str, item: str = "",
) -> Feedback:  # fmt: skip
    """Say what is wrong with a resource; it must exist for the actor (`catalogue.find`)."""
    may(actor, "feedback.raise")
    faults = Faults()
    if kind not in KINDS:
        faults.name_fault("the field {name} must be one of {choices}", "kind", name="kind",
                          choices=", ".join(KINDS))  # fmt: skip
    if about not in ABOUT:
        faults.name_fault("the field {name} must be one of {choices}", "about", name="about",
                          choices=", ".join(ABOUT))  # fmt: skip
    if not description.strip():
        faults.name_fault("the field {name} is empty", "description", name="description")
    known = {fold(name) for name in names_of(resource.elements)}
    if about == ITEM and (not item.strip() or (known and fold(item) not in known)):
        faults.name_fault("{code} has no data item {item}", "item", code=resource.code,
                          item=item or "-")  # fmt: skip
    if faults:
        raise Invalid("The feedback lacks or breaks: {faults}.", faults=faults)
    year = local_date(now).year
    made = Feedback(
        id=new_id(), number=f"FK{year}-{next_number(session, f'FK{year}'):06d}", kind=kind,
        resource_id=resource.id, party_id=actor.party_id, department_id=resource.provider_id,
        about=f"{ITEM}:{item.strip()}" if about == ITEM else about, description=description,
        due=_due("answer", ANSWER_DAYS, now), state=move("feedback", "raise", None),
        raised_by=actor.member_id, raised_at=now, answer=None, outcome=None,
    )  # fmt: skip
    log.append(session, made, "feedback.raised", actor.member_id)
    session.flush()
    return made


def withdraw(session: Session, actor: Actor, now: datetime, found: Feedback, reason: str) -> None:
    """Who raised it takes it back."""
    may(actor, "feedback.withdraw", found.party_id, found.number)
    found.state, found.due = move("feedback", "withdraw", found.state), None
    log.append(session, found, "feedback.withdrawn", actor.member_id, reason=reason)


def answer(
    session: Session, actor: Actor, now: datetime, found: Feedback, *, verdict: str, text: str,
    version: int | None = None,
) -> None:  # fmt: skip
    """Whoever owes the answer gives it; what was corrected is shown by the resource's version.

    Without `version` that is the newest one, which must be younger than the feedback.
    """
    may(actor, "feedback.answer", answerers(session, found), found.number)
    require_other(actor, [found.raised_by], found.number)
    state = move("feedback", "answer", found.state)
    faults = Faults()
    if verdict not in VERDICTS:
        faults.name_fault("the field {name} must be one of {choices}", "verdict", name="verdict",
                          choices=", ".join(VERDICTS))  # fmt: skip
    if not text.strip():
        faults.name_fault("the field {name} is empty", "text", name="text")
    correction = None
    if verdict == "corrected":
        correction = _correction(session, found, version)
        if correction is None:
            faults.name_fault("the resource has no such version since this was raised: change it first",
                              "version")  # fmt: skip
    elif version is not None:
        faults.name_fault("only what was corrected has a version that shows it", "version")
    if faults:
        raise Invalid("The answer lacks or breaks: {faults}.", faults=faults)
    found.state, found.due = state, None
    found.answer = {
        "correction": correction,
        "text": text,
        "verdict": verdict,
        **_signed(actor, now),
    }
    log.append(session, found, "feedback.answered", actor.member_id)


def _correction(session: Session, found: Feedback, version: int | None) -> dict[str, Any] | None:
    """The version of the resource, younger than the feedback, and the change set that made it."""
    changes = duties.changes_of(session, found.resource_id)
    wanted = [one for one in changes if version in (None, one.subject_version)]
    if not wanted or wanted[-1].at <= found.raised_at:
        return None
    body = log.payload_of(wanted[-1])["body"]
    return {"import_id": body["import_id"], "version": wanted[-1].subject_version}


def close(session: Session, actor: Actor, now: datetime, found: Feedback) -> None:
    """Who raised it is content with the answer."""
    may(actor, "feedback.close", found.party_id, found.number)
    found.state = move("feedback", "close", found.state)
    log.append(session, found, "feedback.closed", actor.member_id)


def appeal(session: Session, actor: Actor, now: datetime, found: Feedback, ground: str) -> None:
    """Who raised it asks the data authority to decide on the answer."""
    may(actor, "feedback.appeal", found.party_id, found.number)
    found.state, found.due = (
        move("feedback", "appeal", found.state),
        _due("decide", DECIDE_DAYS, now),
    )
    found.outcome = {
        **(found.outcome or {}), "appeal": {"ground": ground, **_signed(actor, now)}, "decision": None,
    }  # fmt: skip
    log.append(session, found, "feedback.appealed", actor.member_id, reason=ground)


def uphold(session: Session, actor: Actor, now: datetime, found: Feedback, ground: str) -> None:
    """The appeal is right: the answer is owed anew, and the department has a duty to correct."""
    _decide(session, actor, now, found, "uphold", ground)
    if found.department_id is not None:
        duty = duties.report(
            session, actor, now, party=session.get_one(Party, found.department_id), cause="feedback",
            description=f"{found.number}: {ground}", cause_on=local_date(now),
            resource=_provided(session, found),
        )  # fmt: skip
        found.outcome = {**(found.outcome or {}), "duty": duty.number}
    found.due = _due("answer", ANSWER_DAYS, now)
    log.append(session, found, "feedback.upheld", actor.member_id, reason=ground)


def dismiss(session: Session, actor: Actor, now: datetime, found: Feedback, ground: str) -> None:
    """The appeal is not right: the answer stands."""
    _decide(session, actor, now, found, "dismiss", ground)
    log.append(session, found, "feedback.dismissed", actor.member_id, reason=ground)


def _decide(
    session: Session, actor: Actor, now: datetime, found: Feedback, verb: str, ground: str
) -> None:
    may(actor, f"feedback.{verb}", owners(session, found), found.number)
    hands = [one.actor for one in log.history(session, found.id) if one.kind != "feedback.upheld"]
    require_other(actor, hands, found.number)
    found.state, found.due = move("feedback", verb, found.state), None
    verdict = {"uphold": "upheld", "dismiss": "dismissed"}[verb]
    decision = {"ground": ground, "verdict": verdict, **_signed(actor, now)}
    found.outcome = {**(found.outcome or {}), "decision": decision}


def _provided(session: Session, found: Feedback) -> Resource | None:
    """The resource, while its department still provides it."""
    row = session.get_one(Resource, found.resource_id)
    return row if row.provider_id == found.department_id else None


def _signed(actor: Actor, now: datetime) -> dict[str, str]:
    return {"at": instant(now), "by": actor.member_id}


def _due(what: str, days: int, now: datetime) -> dict[str, Any]:
    return {**clock(local_date(now), days), "what": what}


# ---------------------------------------------------------------- reading


def owners(_session: Session, found: Feedback) -> tuple[str, ...]:
    """Whose business it is: his who raised it, and the department's."""
    return tuple(one for one in (found.party_id, found.department_id) if one)


def answerers(session: Session, found: Feedback) -> tuple[str, ...]:
    """The organisations that owe the answer: the department, or those of the registrars."""
    if found.department_id is not None:
        return (found.department_id,)
    rows = session.execute(select(Member.party_id, Member.roles)).tuples()
    return tuple(sorted({party for party, roles in rows if "registrar" in roles}))


def of_party(party_id: str) -> ColumnElement[bool]:
    """The feedback that is an organisation's business."""
    return or_(
        Feedback.party_id == party_id, func.coalesce(Feedback.department_id, "") == party_id
    )  # not NULL, so that its opposite holds


def counts(session: Session, resource: Resource) -> dict[str, int]:
    """How many were raised on a resource, and how many of them were answered: all that the public sees."""
    wanted = select(Feedback.answer).where(
        Feedback.resource_id == resource.id, Feedback.state != "withdrawn"
    )
    found = list(session.scalars(wanted))
    return {"answered": sum(one is not None for one in found), "raised": len(found)}


def results(
    session: Session, actor: Actor, resource: Resource, limit: int = 50
) -> list[dict[str, Any]]:
    """What was raised on a resource and what came of it, without who: that members see.

    What is about an inner element only those read who work with the resource.
    """
    wanted = select(Feedback).where(
        Feedback.resource_id == resource.id, Feedback.state != "withdrawn"
    )
    if not audiences(session, actor).works_with(resource):
        wanted = wanted.where(Feedback.about.not_in(INNER))
    return [
        {
            "about": row.about, "kind": row.kind, "raised_at": instant(row.raised_at),
            "state": row.state, "text": _of(row.answer, "text"), "verdict": _of(row.answer, "verdict"),
        }
        for row in session.scalars(wanted.order_by(Feedback.id.desc()).limit(limit))
    ]  # fmt: skip


def _of(part: Mapping[str, Any] | None, name: str) -> str | None:
    return None if part is None else str(part[name])


def as_seen(session: Session, actor: Actor, found: Feedback) -> dict[str, Any]:
    """Feedback as recorded, with its resource's code and title while that exists for the reader.

    While it does not, who raised it reads his own words, and his colleagues none.
    """
    row = session.get_one(Resource, found.resource_id)
    body = found.body()
    if audiences(session, actor).sees(row):
        return {**body, "resource": {"code": row.code, "title": row.title}}
    if found.raised_by != actor.member_id:
        body |= {"about": "", "description": "", "department_id": None, "answer": None}
    return {**body, "resource_id": None, "resource": None}


def by_number(session: Session, number: str) -> Feedback:
    """The feedback with a number; raises Missing."""
    found = session.scalar(select(Feedback).where(Feedback.number == number))
    if found is None:
        raise Missing("There is no feedback {number}.", number=number)
    return found
