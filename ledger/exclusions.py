"""The negative list (负面清单): what may not be shared, opened or operated, on which legal ground.

A department proposes an entry, the data authority approves it, another person; it is reviewed by its day.
One past that day is marked, and stays in force until it is ended.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, String, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import catalogue, log
from ledger.calendar import local_date, years_after
from ledger.catalogue import Resource
from ledger.catalogue_values import OPENING, SHARING, read_choice
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Actor, may, require_other
from ledger.states import move
from ledger.store import Evidence, new_id, next_number

USES = ("sharing", "opening", "operation")
REVIEW_YEARS_MAX = 2  # ours: no rule read names a term
NAMED_AT_ONCE = 500
# The attributes from the loosest to the strictest.
ATTRIBUTES: dict[str, dict[str, tuple[str, ...]]] = {
    "sharing": dict(SHARING),
    "opening": dict(OPENING),
}


class Exclusion(Evidence):
    """An entry of the negative list."""

    __tablename__ = "exclusions"
    subject_type = "exclusion"
    number: Mapped[str] = mapped_column(unique=True)
    party_id: Mapped[str] = mapped_column(String(36), index=True)
    resource_id: Mapped[str | None] = mapped_column(String(36))
    title: Mapped[str]
    forbids: Mapped[list[Any]]
    """of sharing, opening, operation"""
    basis: Mapped[str]
    from_on: Mapped[str]
    review_on: Mapped[str]
    state: Mapped[str]
    proposed_by: Mapped[str]
    decided_by: Mapped[str | None]
    reason: Mapped[str | None]


def propose(
    session: Session, actor: Actor, now: datetime, *, title: str, forbids: Iterable[str], basis: str,
    from_on: date, review_on: date, resource: Resource | None = None,
) -> Exclusion:  # fmt: skip
    """Put an entry forward: on a resource for whoever provides it, or on a kind of data for oneself."""
    party_id = actor.party_id if resource is None else resource.provider_id or ""
    may(actor, "exclusion.propose", party_id, title if resource is None else resource.code)
    today, forbidden = local_date(now), sorted(set(forbids))
    faults = Faults()
    if not forbidden or set(forbidden) - set(USES):
        faults.name_fault("forbids must be some of {choices}", "forbids", choices=", ".join(USES))
    for at, text in (("title", title), ("basis", basis)):
        if not text.strip():
            faults.name_fault("the field {name} is empty", at, name=at)
    if from_on > today:
        faults.name_fault("the first day lies ahead; propose it then", "from_on")
    if not today < review_on <= years_after(from_on, REVIEW_YEARS_MAX):
        faults.name_fault(
            "the review must come after today and at most {years} years after the first day",
            "review_on", years=REVIEW_YEARS_MAX,
        )  # fmt: skip
    if faults:
        raise Invalid("The entry lacks or breaks: {faults}.", faults=faults)
    made = Exclusion(
        id=new_id(), number=f"FM{today.year}-{next_number(session, f'FM{today.year}'):06d}",
        party_id=party_id or actor.party_id, resource_id=None if resource is None else resource.id,
        title=title, forbids=forbidden, basis=basis, from_on=from_on.isoformat(),
        review_on=review_on.isoformat(), state=move("exclusion", "propose", None),
        proposed_by=actor.member_id, decided_by=None, reason=None,
    )  # fmt: skip
    log.append(session, made, "exclusion.proposed", actor.member_id)
    session.flush()
    return made


def approve(session: Session, actor: Actor, now: datetime, entry: Exclusion) -> None:
    """The data authority puts in force what another person proposed."""
    if entry.state == "proposed" and entry.review_on <= local_date(now).isoformat():
        raise Conflict(
            "{number} was to be reviewed by {day}, which has passed: propose it anew.",
            number=entry.number, day=entry.review_on,
        )  # fmt: skip
    _decide(actor, entry, "approve", None)
    log.append(session, entry, "exclusion.approved", actor.member_id)


def reject(session: Session, actor: Actor, now: datetime, entry: Exclusion, reason: str) -> None:
    """The data authority rejects what another person proposed."""
    _decide(actor, entry, "reject", reason)
    log.append(session, entry, "exclusion.rejected", actor.member_id, reason=reason)


def end(session: Session, actor: Actor, now: datetime, entry: Exclusion, reason: str) -> None:
    """The data authority ends an entry: it forbids nothing any more."""
    _decide(actor, entry, "end", reason)
    log.append(session, entry, "exclusion.ended", actor.member_id, reason=reason)


def _decide(actor: Actor, entry: Exclusion, verb: str, reason: str | None) -> None:
    may(actor, f"exclusion.{verb}", entry.party_id, entry.number)
    require_other(actor, [entry.proposed_by], entry.number)
    entry.state = move("exclusion", verb, entry.state)
    entry.decided_by, entry.reason = actor.member_id, reason


def forbidden(session: Session, resource_id: str | None, use: str) -> Exclusion | None:
    """The entry in force that forbids a use of a resource, if there is one."""
    return None if resource_id is None else in_force(session, [resource_id]).get((resource_id, use))


def in_force(session: Session, resource_ids: Iterable[str]) -> dict[tuple[str, str], Exclusion]:
    """(resource, use) → the entry in force that forbids it, the oldest where there are several."""
    ids, found = list(resource_ids), {}
    for start in range(0, len(ids), NAMED_AT_ONCE):
        some = ids[start : start + NAMED_AT_ONCE]
        wanted = select(Exclusion).where(
            Exclusion.state == "in_force", Exclusion.resource_id.in_(some)
        )
        for entry in session.scalars(wanted.order_by(Exclusion.id.desc())):
            found.update({(str(entry.resource_id), str(use)): entry for use in entry.forbids})
    return found


def loosened(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The uses whose attribute is looser in the second of two versions of a resource's elements.

    >>> loosened({"sharing": "not_shared", "opening": "conditional"}, {"sharing": "conditional"})
    ['sharing']
    """
    return [
        use
        for use, known in ATTRIBUTES.items()
        if _strictness(after.get(use), known) < _strictness(before.get(use), known)
    ]


def _strictness(value: Any, known: dict[str, tuple[str, ...]]) -> int:
    """0 for unconditional; what is not said counts as the strictest."""
    choice = read_choice(str(value or ""), known)
    return list(known).index(choice) if choice else len(known) - 1


def require_no_loosening(
    session: Session, changes: Iterable[tuple[str, str, str | bytes, str | bytes]]
) -> None:
    """Raise Conflict, naming every resource of which new elements would loosen what an entry forbids.

    Each change is (id, code, elements before, elements after), the elements as their text.
    """
    named = select(Exclusion.resource_id).where(
        Exclusion.state == "in_force", Exclusion.resource_id.is_not(None)
    )
    listed = set(session.scalars(named))
    concerned = [one for one in changes if one[0] in listed] if listed else []
    entries, faults = in_force(session, [one[0] for one in concerned]), Faults()
    for resource_id, code, before, after in concerned:
        for use in loosened(orjson.loads(before), orjson.loads(after)):
            entry = entries.get((resource_id, use))
            if entry is not None:
                faults.name_fault(
                    "{code}: the entry {number} of the negative list forbids {purpose}",
                    f"elements.{use}", code=code, number=entry.number, purpose=use,
                )  # fmt: skip
    if faults:
        raise Conflict(
            "What the negative list forbids cannot be loosened while its entry is in force: {faults}.",
            faults=faults,
        )


def overdue(entry: Exclusion, today: date) -> bool:
    """Whether an entry in force is past the day of its review."""
    return entry.state == "in_force" and entry.review_on < today.isoformat()


def visible(session: Session, actor: Actor) -> ColumnElement[bool] | None:
    """Which entries exist for somebody: not those on a resource that does not exist for him."""
    seen = catalogue.visible(session, actor)
    if seen is None:
        return None
    return or_(
        Exclusion.resource_id.is_(None), Exclusion.resource_id.in_(select(Resource.id).where(seen))
    )


def by_number(session: Session, number: str) -> Exclusion:
    """The entry with a number, whoever asks; raises Missing."""
    found = session.scalar(select(Exclusion).where(Exclusion.number == number))
    if found is None:
        raise missing(number)
    return found


def missing(number: str) -> Missing:
    """The one refusal of a number that is unknown, or not for him who asks."""
    return Missing("There is no entry {number} on the negative list.", number=number)
