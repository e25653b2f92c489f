"""Demands for data (需求清单), and what departments owe because of them (责任清单).

A demand is matched with resources of the catalogue (`ledger.matching`), which says why; it goes to the
responsible department, which answers in time or is shown as late. What it accepts stands on the
responsibility list until it is fulfilled. `due` says what is owed next: assign, answer, supply, decide.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, String, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import exclusions, log
from ledger.calendar import clock, local_date
from ledger.catalogue import Audience, Resource, audiences
from ledger.catalogue_values import CYCLES
from ledger.errors import Faults, Invalid, Missing
from ledger.exclusions import USES, Exclusion
from ledger.matching import Match, Wish, matches
from ledger.parties import Actor, Party, may, require_active, require_other
from ledger.proof.encoding import instant
from ledger.states import move
from ledger.store import Evidence, new_id, next_number

# Working days, all ours: no rule read names them.
ASSIGN_DAYS = 3  # the registrar, from the day of submission
ANSWER_DAYS = 10  # the department, from the day it is assigned
DECIDE_DAYS = 10  # the registrar, from the day of the appeal
MODES = (
    "interface",
    "file",
    "database",
    "medium",
    "open_site",
    "operation",
)  # how data are supplied
BROKER_KIND = "data_broker"
# Not a hand in a department's answer: an appeal decided before, an entry that ended since or went over.
NO_HAND = ("demand.upheld", "exclusion.ended", "exclusion.succeeded")


class Demand(Evidence):
    """What somebody needs, for what, and what became of it."""

    __tablename__ = "demands"
    subject_type = "demand"
    number: Mapped[str] = mapped_column(unique=True)
    party_id: Mapped[str] = mapped_column(String(36), index=True)
    for_name: Mapped[str | None]
    """whom a broker acts for"""
    title: Mapped[str]
    purpose: Mapped[str]
    items: Mapped[list[Any]]
    use: Mapped[str]
    """sharing, opening or operation: by which way the data are to come"""
    basis: Mapped[str]
    cycle: Mapped[str | None]
    matches: Mapped[list[Any]]
    """resources that may answer it and that its submitter may see, the best first: code, title, why"""
    resource_id: Mapped[str | None] = mapped_column(String(36))
    """the one asked for, then the one the department answers with"""
    department_id: Mapped[str | None] = mapped_column(String(36), index=True)
    due: Mapped[dict[str, Any] | None]
    """what is owed next, and by when"""
    state: Mapped[str]
    submitted_by: Mapped[str]
    submitted_at: Mapped[datetime]
    answer: Mapped[dict[str, Any] | None]
    """accepted with resource, mode, day; or refused with ground and exclusion; by whom, when"""
    outcome: Mapped[dict[str, Any] | None]
    """how it was supplied, why it was appealed, how the appeal was decided"""


# ---------------------------------------------------------------- it is submitted and assigned


def submit(
    session: Session, actor: Actor, now: datetime, *, title: str, purpose: str, items: Sequence[str],
    use: str, basis: str, cycle: str | None = None, resource: Resource | None = None,
    for_name: str | None = None,
) -> Demand:  # fmt: skip
    """Put a demand forward; where the best match's provider takes part it goes straight to him.

    `resource`, the one asked for, must exist for the actor (`catalogue.find`).
    """
    may(actor, "demand.submit")
    faults = _faults(session, actor, title=title, purpose=purpose, basis=basis, for_name=for_name)
    wanted = list(dict.fromkeys(item.strip() for item in items if item.strip()))
    if not wanted:
        faults.name_fault("no item is wanted", "items")
    if use not in USES:
        faults.name_fault("the field {name} must be one of {choices}", "use", name="use",
                          choices=", ".join(USES))  # fmt: skip
    if cycle and cycle not in CYCLES:
        faults.name_fault("the field {name} must be one of {choices}", "cycle", name="cycle",
                          choices=", ".join(CYCLES))  # fmt: skip
    if faults:
        raise Invalid("The demand lacks or breaks: {faults}.", faults=faults)
    asked = None if resource is None else resource.id
    found = matches(session, actor, Wish(title, wanted, use, cycle or None, asked))
    year = local_date(now).year
    demand = Demand(
        id=new_id(), number=f"XQ{year}-{next_number(session, f'XQ{year}'):06d}",
        party_id=actor.party_id, for_name=(for_name or "").strip() or None, title=title,
        purpose=purpose, items=wanted, use=use, basis=basis, cycle=cycle or None,
        matches=[match.as_dict() for match in found], resource_id=asked, department_id=None,
        due=_due("assign", ASSIGN_DAYS, now), state=move("demand", "submit", None),
        submitted_by=actor.member_id, submitted_at=now, answer=None, outcome=None,
    )  # fmt: skip
    log.append(session, demand, "demand.submitted", actor.member_id)
    provider = found[0].resource.provider_id if found else None
    if provider is not None and provider != actor.party_id:
        _assign(session, actor, now, demand, provider)
    session.flush()
    return demand


def _faults(
    session: Session, actor: Actor, *, for_name: str | None, **texts: str
) -> Faults:  # fmt: skip
    """What is wrong with the texts of a demand, and with whom it is for."""
    faults = Faults()
    for at, text in texts.items():
        if not text.strip():
            faults.name_fault("the field {name} is empty", at, name=at)
    kind = session.scalar(select(Party.kind).where(Party.id == actor.party_id))
    if kind == BROKER_KIND and not (for_name or "").strip():
        faults.name_fault("a broker must say whom he acts for", "for_name")
    if (for_name or "").strip() and "broker" not in actor.roles:
        faults.name_fault("only a broker acts for another organisation", "for_name")
    return faults


def assign(
    session: Session, actor: Actor, now: datetime, demand: Demand, department: Party
) -> None:  # fmt: skip
    """The data authority names the department that has to answer, also another one than before."""
    may(actor, "demand.assign", _owners(demand), demand.number)
    require_other(actor, [demand.submitted_by], demand.number)
    require_active(department)
    if department.id == demand.party_id:
        raise Invalid("{name} made this demand itself; another one must answer it.",
                      name=department.name)  # fmt: skip
    _assign(session, actor, now, demand, department.id)


def _assign(
    session: Session, actor: Actor, now: datetime, demand: Demand, department_id: str
) -> None:
    demand.state = move("demand", "assign", demand.state)
    demand.department_id, demand.due = department_id, _due("answer", ANSWER_DAYS, now)
    log.append(session, demand, "demand.assigned", actor.member_id)


def withdraw(session: Session, actor: Actor, now: datetime, demand: Demand, reason: str) -> None:
    """The demander no longer needs it."""
    may(actor, "demand.withdraw", demand.party_id, demand.number)
    demand.state, demand.due = move("demand", "withdraw", demand.state), None
    log.append(session, demand, "demand.withdrawn", actor.member_id, reason=reason)


# ---------------------------------------------------------------- the department answers


def accept(
    session: Session, actor: Actor, now: datetime, demand: Demand, *, resource: Resource, mode: str,
    by_on: date,
) -> None:  # fmt: skip
    """The department says which of its resources it supplies, how, and by which day."""
    state = _answering(actor, demand, "accept")
    faults = _supply_faults(session, demand, resource, mode)
    if by_on <= local_date(now):
        faults.name_fault("the day must come after today", "by_on")
    if faults:
        raise Invalid("The answer lacks or breaks: {faults}.", faults=faults)
    demand.state, demand.resource_id = state, resource.id
    demand.due = {"on": by_on.isoformat(), "provisional": False, "what": "supply"}
    demand.answer = {
        "by_on": by_on.isoformat(), "mode": mode, "resource_id": resource.id, "verdict": "accepted",
        **_signed(actor, now),
    }  # fmt: skip
    log.append(session, demand, "demand.accepted", actor.member_id)


def refuse(
    session: Session, actor: Actor, now: datetime, demand: Demand, *, ground: str,
    exclusion: Exclusion | None = None,
) -> None:  # fmt: skip
    """The department refuses: by the entry of the negative list that forbids it, else on a legal ground.

    Also what it had accepted: an entry may come into force, the resource go to another body.
    """
    state = _answering(actor, demand, "refuse")
    if not ground.strip():
        raise Invalid("A refusal needs its legal ground.")
    found = exclusion or exclusions.forbidden(session, demand.resource_id, demand.use)
    if found is not None and not _forbids(found, demand):
        raise Invalid(
            "The entry {number} of the negative list does not forbid what {demand} asks for: name one "
            "of your department that is in force and forbids {purpose}, or none.",
            number=found.number, demand=demand.number, purpose=demand.use,
        )  # fmt: skip
    demand.state, demand.due = state, None
    demand.answer = {
        "exclusion_id": found and found.id, "ground": ground, "verdict": "refused",
        **_signed(actor, now),
    }  # fmt: skip
    log.append(session, demand, "demand.refused", actor.member_id, reason=ground)


def _forbids(entry: Exclusion, demand: Demand) -> bool:
    """Whether an entry forbids what is asked for; one on no resource is on its department's data."""
    if entry.resource_id is not None and demand.resource_id is not None:
        concerned = entry.resource_id == demand.resource_id
    else:
        concerned = entry.party_id == demand.department_id
    return concerned and entry.state == "in_force" and demand.use in entry.forbids


def fulfil(
    session: Session, actor: Actor, now: datetime, demand: Demand, *, resource: Resource, mode: str,
    how: str,
) -> None:  # fmt: skip
    """The department has supplied the data: from which resource, in which way, and where they are."""
    state = _answering(actor, demand, "fulfil")
    faults = _supply_faults(session, demand, resource, mode)
    if not how.strip():
        faults.name_fault("the field {name} is empty", "how", name="how")
    if faults:
        raise Invalid("The answer lacks or breaks: {faults}.", faults=faults)
    demand.state, demand.due, demand.resource_id = state, None, resource.id
    demand.outcome = {
        **(demand.outcome or {}),
        "supplied": {"how": how, "mode": mode, "resource_id": resource.id, **_signed(actor, now)},
    }
    log.append(session, demand, "demand.fulfilled", actor.member_id)


def _answering(actor: Actor, demand: Demand, verb: str) -> str:
    """The state after a verb that is the department's, and not of him who submitted."""
    may(actor, f"demand.{verb}", demand.department_id, demand.number)
    require_other(actor, [demand.submitted_by], demand.number)
    return move("demand", verb, demand.state)


def _supply_faults(session: Session, demand: Demand, resource: Resource, mode: str) -> Faults:
    faults = Faults()
    if mode not in MODES:
        faults.name_fault("the field {name} must be one of {choices}", "mode", name="mode",
                          choices=", ".join(MODES))  # fmt: skip
    if resource.provider_id != demand.department_id or resource.state != "listed":
        faults.name_fault("{code} is not a listed resource of your department", "resource",
                          code=resource.code)  # fmt: skip
    entry = exclusions.forbidden(session, resource.id, demand.use)
    if entry is not None:
        faults.name_fault(
            "{code}: the entry {number} of the negative list forbids {purpose}", "resource",
            code=resource.code, number=entry.number, purpose=demand.use,
        )  # fmt: skip
    return faults


# ---------------------------------------------------------------- the demander, and the appeal


def close(session: Session, actor: Actor, now: datetime, demand: Demand) -> None:
    """The demander is content with what was supplied, or with the refusal."""
    may(actor, "demand.close", demand.party_id, demand.number)
    demand.state = move("demand", "close", demand.state)
    log.append(session, demand, "demand.closed", actor.member_id)


def appeal(session: Session, actor: Actor, now: datetime, demand: Demand, ground: str) -> None:
    """The demander asks the data authority to decide on the refusal, or on what was supplied."""
    may(actor, "demand.appeal", demand.party_id, demand.number)
    demand.state, demand.due = (
        move("demand", "appeal", demand.state),
        _due("decide", DECIDE_DAYS, now),
    )
    demand.outcome = {
        **(demand.outcome or {}), "appeal": {"ground": ground, **_signed(actor, now)},
        "decision": None,
    }  # fmt: skip
    log.append(session, demand, "demand.appealed", actor.member_id, reason=ground)


def uphold(session: Session, actor: Actor, now: datetime, demand: Demand, ground: str) -> None:
    """The appeal is right: the department has to answer anew."""
    _decide(session, actor, now, demand, "uphold", ground)
    demand.due = _due("answer", ANSWER_DAYS, now)
    log.append(session, demand, "demand.upheld", actor.member_id, reason=ground)


def dismiss(session: Session, actor: Actor, now: datetime, demand: Demand, ground: str) -> None:
    """The appeal is not right: the department's answer stands."""
    _decide(session, actor, now, demand, "dismiss", ground)
    log.append(session, demand, "demand.dismissed", actor.member_id, reason=ground)


def _decide(
    session: Session, actor: Actor, now: datetime, demand: Demand, verb: str, ground: str
) -> None:
    """Decided by neither side's organisation, and by nobody who had a hand in the answer.

    Who proposed or approved the entry on which a refusal rests had a hand in it too.
    """
    may(actor, f"demand.{verb}", _owners(demand), demand.number)
    entry = (demand.answer or {}).get("exclusion_id")
    records = log.history(session, demand.id) + (log.history(session, entry) if entry else [])
    hands = [record.actor for record in records if record.kind not in NO_HAND]
    require_other(actor, hands, demand.number)
    demand.state, demand.due = move("demand", verb, demand.state), None
    verdict = {"uphold": "upheld", "dismiss": "dismissed"}[verb]
    decision = {"ground": ground, "verdict": verdict, **_signed(actor, now)}
    demand.outcome = {**(demand.outcome or {}), "decision": decision}


def _signed(actor: Actor, now: datetime) -> dict[str, str]:
    return {"at": instant(now), "by": actor.member_id}


def _due(what: str, days: int, now: datetime) -> dict[str, Any]:
    return {**clock(local_date(now), days), "what": what}


# ---------------------------------------------------------------- reading


def _owners(demand: Demand) -> tuple[str, ...]:
    return tuple(one for one in (demand.party_id, demand.department_id) if one)


def owners(_session: Session, demand: Demand) -> tuple[str, ...]:
    """Whose business a demand is: the demander's and the department's."""
    return _owners(demand)


def of_party(party_id: str) -> ColumnElement[bool]:
    """The demands that are an organisation's business."""
    return or_(
        Demand.party_id == party_id, func.coalesce(Demand.department_id, "") == party_id
    )  # not NULL, so that its opposite holds


def matched(session: Session, actor: Actor, demand: Demand) -> list[Match]:
    """The catalogue looked through anew, as far as it exists for him who looks."""
    wish = Wish(demand.title, demand.items, demand.use, demand.cycle, demand.resource_id)
    return matches(session, actor, wish)


def as_seen(session: Session, actor: Actor, demand: Demand) -> dict[str, Any]:
    """A demand as recorded, without the resources and entries that do not exist for the reader."""
    seen = audiences(session, actor)
    told = {
        "answer": _without(demand.answer), "outcome": demand.outcome, "resource_id": demand.resource_id,
        "matches": _matches_seen(session, seen, actor, demand.matches),
    }  # fmt: skip
    if not _exists(session, seen, demand.resource_id):
        told["resource_id"] = None
        told["answer"] = _without(demand.answer, "resource_id")
        told["outcome"] = demand.outcome and {
            name: _without(part, "resource_id") for name, part in demand.outcome.items()
        }
    entry = (demand.answer or {}).get("exclusion_id")
    condition = exclusions.visible(session, actor)
    if entry is not None and condition is not None:
        wanted = select(Exclusion.id).where(Exclusion.id == entry, condition)
        if session.scalar(wanted) is None:
            told["answer"] = _without(demand.answer, "exclusion_id")
    return {**demand.body(), **told}


def _matches_seen(
    session: Session, seen: Audience, actor: Actor, kept: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    ids = [match["id"] for match in kept]
    rows = session.scalars(select(Resource).where(Resource.id.in_(ids)))
    visible = {row.id for row in rows if seen.sees(row)}
    return [dict(match) for match in kept if match["id"] in visible]


def _exists(session: Session, seen: Audience, resource_id: str | None) -> bool:
    found = session.get(Resource, resource_id) if resource_id else None
    return found is not None and seen.sees(found)


def _without(part: Mapping[str, Any] | None, name: str = "") -> dict[str, Any] | None:
    return None if part is None else {key: value for key, value in part.items() if key != name}


def by_number(session: Session, number: str) -> Demand:
    """The demand with a number; raises Missing."""
    found = session.scalar(select(Demand).where(Demand.number == number))
    if found is None:
        raise Missing("There is no demand {number}.", number=number)
    return found
