"""Objections (异议) to an application on public notice, 26号 art. 12: real name, evidence, review.

    raise 提出 → uphold 成立: the application is terminated (终止登记)
               → dismiss 不成立: the notice goes on where it stopped
               → withdraw 撤回: as if dismissed

Who objects is signed in under his real name, which the registry knows and no record holds. While an
objection is open the notice stands still. The registrar who passed the review does not judge it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, String, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.calendar import clock, local_date, pause, resume
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Account, Actor, may, require_other
from ledger.registration import Application, name_attachment_faults, owners
from ledger.registration import of_party as registered_by
from ledger.registration_profiles import profile
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number

FILES = {"evidence": "异议证据"}


class Objection(Evidence):
    """An objection to an application on notice."""

    __tablename__ = "objections"
    subject_type = "objection"
    number: Mapped[str] = mapped_column(unique=True)
    application_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("applications.id"), index=True
    )
    title: Mapped[str]
    """what it objects to, as it stood on the notice"""
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"), index=True)
    raised_by: Mapped[str]
    raised_at: Mapped[datetime]
    claim: Mapped[str]
    evidence: Mapped[str]
    attachments: Mapped[list[Any]]
    due: Mapped[dict[str, Any]]
    finding: Mapped[str | None]
    decided_by: Mapped[str | None]
    state: Mapped[str]


def raise_(
    session: Session,
    actor: Actor,
    now: datetime,
    application: Application,
    *,
    real_name: str,
    claim: str,
    evidence: str,
    attachments: Sequence[str] = (),
) -> Objection:
    """Object to what is on notice; the notice stands still until it is decided.

    `real_name` must be the name under which the person is known here; `attachments` are ids of deposits
    of his organisation.
    """
    may(actor, "objection.raise", owners(application), f"Application {application.number}")
    faults = Faults()
    faults.name_missing({"claim": "异议事项", "evidence": "证据"},
                        {"claim": claim, "evidence": evidence})  # fmt: skip
    account = session.get(Account, actor.member_id)
    if account is None or "".join(real_name.split()) != "".join(account.display_name.split()):
        faults.name_fault(
            "an objection is made under your real name, as it is known here", at="real_name"
        )
    files = [{"deposit_id": one, "material": "evidence"} for one in attachments]
    name_attachment_faults(session, faults, actor.party_id, files, FILES)
    if faults:
        raise Invalid("The objection lacks: {faults}.", faults=faults)
    lock(session, application)
    today = local_date(now)
    if application.state == "on_notice" and today.isoformat() > application.notice["until"]["on"]:
        raise Conflict(
            "The notice of application {number} ended on {until}; what is registered is objected to by "
            "a correction.",
            number=application.number, until=application.notice["until"]["on"],
        )  # fmt: skip
    application.state = move("application", "object", application.state)
    application.notice = {
        **application.notice, "until": pause(application.notice["until"], today),
    }  # fmt: skip
    year = today.year
    made = Objection(
        id=new_id(), number=f"YY{year}-{next_number(session, f'YY{year}'):06d}",
        application_id=application.id, title=application.title, party_id=actor.party_id,
        raised_by=actor.member_id, raised_at=now.replace(microsecond=0), claim=claim.strip(),
        evidence=evidence.strip(), attachments=files,
        due=clock(today, profile(application.profile).days["objection"]), finding=None,
        decided_by=None, state=move("objection", "raise", None),
    )  # fmt: skip
    log.append(session, made, "objection.raised", actor.member_id)
    log.append(session, application, "application.objected", actor.member_id)
    session.flush()
    return made


def uphold(
    session: Session, actor: Actor, now: datetime, objection: Objection, finding: str
) -> Application:
    """The objection is right: the registration is terminated (终止), and the others with it are moot."""
    application = _decide(session, actor, objection, "uphold", finding)
    log.append(session, objection, "objection.upheld", actor.member_id, reason=finding)
    application.state = move("application", "uphold", application.state)
    application.deadlines = {}
    log.append(session, application, "application.terminated", actor.member_id, reason=finding)
    for other in _open(session, application):
        may(actor, "objection.uphold", other.party_id, f"Objection {other.number}")
        other.state = move("objection", "uphold", other.state)
        other.finding, other.decided_by = finding, actor.member_id
        log.append(session, other, "objection.upheld", actor.member_id, reason=finding)
    return application


def dismiss(
    session: Session, actor: Actor, now: datetime, objection: Objection, finding: str
) -> Application:
    """The objection is not right; after the last one the notice goes on."""
    application = _decide(session, actor, objection, "dismiss", finding)
    log.append(session, objection, "objection.dismissed", actor.member_id, reason=finding)
    _go_on(session, actor, now, application)
    return application


def withdraw(
    session: Session, actor: Actor, now: datetime, objection: Objection, reason: str
) -> Application:
    """Who objected takes it back."""
    may(actor, "objection.withdraw", objection.party_id, f"Objection {objection.number}")
    application = session.get_one(Application, objection.application_id)
    lock(session, application)
    objection.state = move("objection", "withdraw", objection.state)
    log.append(session, objection, "objection.withdrawn", actor.member_id, reason=reason)
    _go_on(session, actor, now, application)
    return application


def _decide(
    session: Session, actor: Actor, objection: Objection, verb: str, finding: str
) -> Application:
    if not finding.strip():
        raise Invalid("State what was found.")
    application = session.get_one(Application, objection.application_id)
    what = f"Objection {objection.number}"
    may(actor, f"objection.{verb}", (*owners(application), objection.party_id), what)
    require_other(
        actor,
        [objection.raised_by, application.applicant_id, application.review.get("passed_by")],
        f"application {application.number}",
    )
    lock(session, application)
    objection.state = move("objection", verb, objection.state)
    objection.finding, objection.decided_by = finding.strip(), actor.member_id
    return application


def _go_on(session: Session, actor: Actor, now: datetime, application: Application) -> None:
    if application.state != "objection_review" or _open(session, application):
        return
    application.state = move("application", "dismiss", application.state)
    application.notice = {
        **application.notice,
        "until": resume(application.notice["until"], local_date(now)),
    }
    log.append(session, application, "application.renoticed", actor.member_id)


def _open(session: Session, application: Application) -> list[Objection]:
    session.flush()
    wanted = select(Objection).where(
        Objection.application_id == application.id, Objection.state == "raised"
    )
    return list(session.scalars(wanted.order_by(Objection.id)))


def owners_of(session: Session, row: Objection) -> tuple[str, ...]:
    """Whose business an objection is: who raised it, and the applicants'."""
    return (row.party_id, *owners(session.get_one(Application, row.application_id)))


def of_party(party: str) -> ColumnElement[bool]:
    """The objections an organisation raised, or that are to its applications."""
    mine = select(Application.id).where(registered_by(Application, party))
    return or_(Objection.party_id == party, Objection.application_id.in_(mine))


def by_number(session: Session, number: str) -> Objection:
    """The objection with a number; raises Missing."""
    found = session.scalar(select(Objection).where(Objection.number == number))
    if found is None:
        raise Missing("There is no objection {number}.", number=number)
    return found
