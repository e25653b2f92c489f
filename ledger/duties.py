"""Duties to bring the catalogue up to date (目录更新): within ten working days of their cause.

A cause (a new system, a changed function, a rule, an error found) is reported for a department; the
department settles it by the change it made, or says why none is needed; the data authority confirms.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import String, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.calendar import clock, days_overdue, local_date
from ledger.catalogue import Resource
from ledger.catalogue_imports import CatalogueImport
from ledger.catalogue_writing import PAST
from ledger.errors import Faults, Invalid, Missing
from ledger.parties import Actor, Party, may, require_active, require_other
from ledger.proof.encoding import instant
from ledger.states import move
from ledger.store import Evidence, new_id, next_number

UPDATE_DAYS = 10  # working days from the day after the cause; issue's rule (domain §2)
# Why the catalogue has to change: cause → its Chinese name.
CAUSES = {
    "new_system": "信息系统新建或改建",
    "changed_data": "数据项或来源变化",
    "changed_function": "职能调整",
    "law": "法律法规或政策变化",
    "error": "发现错误",
    "feedback": "异议或反馈属实",
    "merger": "机构合并、分立或更名",
    "ended": "业务终止",
}


class Duty(Evidence):
    """A cause to change the catalogue, the department that owes the change, and by when."""

    __tablename__ = "duties"
    subject_type = "duty"
    number: Mapped[str] = mapped_column(unique=True)
    party_id: Mapped[str] = mapped_column(String(36), index=True)
    """the department that owes the change"""
    resource_id: Mapped[str | None] = mapped_column(String(36))
    cause: Mapped[str]
    description: Mapped[str]
    cause_on: Mapped[str]
    due: Mapped[dict[str, Any]]
    state: Mapped[str]
    reported_by: Mapped[str]
    settlement: Mapped[dict[str, Any] | None]
    """what was changed (import, resource and its version), or why nothing is; by whom, when"""
    decided_by: Mapped[str | None]
    reason: Mapped[str | None]


def report(
    session: Session, actor: Actor, now: datetime, *, party: Party, cause: str, description: str,
    cause_on: date, resource: Resource | None = None,
) -> Duty:  # fmt: skip
    """Report a cause for a department; the change is due ten working days after it.

    `resource`, if it is about one, must exist for the actor (`catalogue.find`).
    """
    may(actor, "duty.report", party.id, party.name)
    require_active(party)
    faults = Faults()
    if cause not in CAUSES:
        faults.name_fault("the field {name} must be one of {choices}", "cause", name="cause",
                          choices=", ".join(CAUSES))  # fmt: skip
    if not description.strip():
        faults.name_fault("the field {name} is empty", "description", name="description")
    if cause_on > local_date(now):
        faults.name_fault("the day of the cause {day} is still to come", "cause_on", day=cause_on)
    if resource is not None and resource.provider_id != party.id:
        faults.name_fault(
            "resource {code} is not provided by this department", "resource", code=resource.code
        )
    if faults:
        raise Invalid("What was given does not fit: {faults}.", faults=faults)
    year = local_date(now).year
    duty = Duty(
        id=new_id(), number=f"GX{year}-{next_number(session, f'GX{year}'):06d}", party_id=party.id,
        resource_id=None if resource is None else resource.id, cause=cause,
        description=description.strip(), cause_on=cause_on.isoformat(),
        due=clock(cause_on, UPDATE_DAYS),
        state=move("duty", "report", None), reported_by=actor.member_id, settlement=None,
        decided_by=None, reason=None,
    )  # fmt: skip
    log.append(session, duty, "duty.reported", actor.member_id)
    session.flush()
    return duty


def settle(
    session: Session, actor: Actor, now: datetime, duty: Duty, *, resource: Resource | None = None,
    change_set: CatalogueImport | None = None, not_needed: str = "",
) -> None:  # fmt: skip
    """Settle a duty by the change that was made since its cause, or by why none is needed."""
    may(actor, "duty.settle", owners(duty), duty.number)
    state = move("duty", "settle", duty.state)
    given = [one for one in (resource, change_set, not_needed.strip()) if one]
    if len(given) != 1:
        raise Invalid("Name the changed resource, or the change set, or say why none is needed.")
    told: dict[str, Any] = {"why": not_needed.strip()}
    if resource is not None:
        told = _changed_resource(session, duty, resource)
    elif change_set is not None:
        told = _change_set(session, duty, change_set)
    today = local_date(now)
    duty.settlement = {
        **told, "at": instant(now), "by": actor.member_id, "days_late": days_overdue(duty.due, today),
    }  # fmt: skip
    duty.state, duty.decided_by, duty.reason = state, None, None
    log.append(session, duty, "duty.settled", actor.member_id)


def _changed_resource(session: Session, duty: Duty, resource: Resource) -> dict[str, Any]:
    """The version of a resource that settles a duty; raises Invalid when it does not."""
    if duty.resource_id not in (None, resource.id) or resource.provider_id != duty.party_id:
        raise Invalid("Resource {code} is not what {number} is about.",
                      code=resource.code, number=duty.number)  # fmt: skip
    changed = changes_of(session, resource.id)[-1]
    _require_since(duty, local_date(changed.at))
    return {"resource": resource.code, "version": changed.subject_version}


def changes_of(session: Session, resource_id: str) -> list[log.Record]:
    """The records of the catalogue's changes to a resource, the oldest first.

    One by which it only went to a successor, or says his new name, is none.
    """
    records = log.history(session, resource_id)
    return [one for one in records if one.kind in PAST.values()]


def _change_set(session: Session, duty: Duty, found: CatalogueImport) -> dict[str, Any]:
    """The change set that settles a duty; raises Invalid when it does not."""
    touched = exists().where(
        Resource.import_id == found.id, Resource.provider_id == duty.party_id
    )  # fmt: skip
    own = found.party_id == duty.party_id or session.scalar(select(touched))
    if found.state != "applied" or not own:
        raise Invalid("The change set {name} did not change this department's catalogue.",
                      name=found.file_name)  # fmt: skip
    _require_since(duty, local_date(log.record_of(session, found.id, found.version).at))
    return {"change_set": found.id}


def _require_since(duty: Duty, changed_on: date) -> None:
    if changed_on.isoformat() < duty.cause_on:
        raise Invalid(
            "The last change was on {day}, before the cause on {cause}; change the catalogue first.",
            day=changed_on, cause=duty.cause_on,
        )  # fmt: skip


def confirm(session: Session, actor: Actor, now: datetime, duty: Duty) -> None:
    """The data authority finds that a duty is settled."""
    _decide(actor, "confirm", duty)
    log.append(session, duty, "duty.confirmed", actor.member_id)


def reopen(session: Session, actor: Actor, now: datetime, duty: Duty, reason: str) -> None:
    """The data authority finds that a duty is not settled, and says why; its day stays the same."""
    if not reason.strip():
        raise Invalid("A decision needs its ground.")
    _decide(actor, "reopen", duty)
    duty.reason, duty.settlement = reason.strip(), None
    log.append(session, duty, "duty.reopened", actor.member_id, reason=duty.reason)


def _decide(actor: Actor, verb: str, duty: Duty) -> None:
    may(actor, f"duty.{verb}", owners(duty), duty.number)
    state = move("duty", verb, duty.state)
    require_other(actor, [(duty.settlement or {}).get("by")], duty.number)
    duty.state, duty.decided_by = state, actor.member_id


def owners(duty: Duty) -> Iterable[str]:
    """Whose business a duty is: the department's that owes it."""
    return (duty.party_id,)


def by_number(session: Session, number: str) -> Duty:
    """The duty with a number; raises Missing."""
    found = session.scalar(select(Duty).where(Duty.number == number))
    if found is None:
        raise Missing("There is no duty {number}.", number=number)
    return found
