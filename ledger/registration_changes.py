"""Applications about what is registered: change, correction, cancellation, renewal, transfer, licence,
objection (变更、更正、注销、续展、转移、许可、异议登记), and what concluding them does.

    apply 申请 → accept → pass → (notice 公示, where the rules want it) → conclude 办结

Which types there are, their grounds and whether they go on notice, the profile of the place says. What an
application asks for stands in its column `asked`, in one of these forms:

    change, correction   {"title", "summary", "resource_ids", "deposit_ids"}     only what is to be another
    cancellation         {}
    renewal              {"until_on", "agreement_id"}
    transfer             {"party_id", "address", "agreement_id"}
    licence              {"party_id", "right", "from_on", "until_on", "terms"}
    objection            {"claim"}
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from ledger import log
from ledger.agreements import Agreement, require_in_force
from ledger.calendar import clock, end_of_day, local_date, years_after
from ledger.chain.keys import check_address
from ledger.errors import Conflict, Faults, Invalid
from ledger.parties import Actor, Party, may, require_active
from ledger.register import OPEN_STATES
from ledger.registration import (
    RIGHTS,
    Application,
    Deposit,
    Registration,
    decide,
    grade_of,
    name_attachment_faults,
    name_grade_faults,
    name_holders,
    name_scope_faults,
    new_number,
    owners,
    require_not_barred,
    require_noticed,
    require_one_holder,
    require_seconded,
)
from ledger.registration_profiles import in_use, profile
from ledger.states import move
from ledger.store import lock, new_id

# Type → the verb of `MAY` by which it is applied for.
VERBS = {
    "change": "change", "correction": "correct", "cancellation": "cancel", "renewal": "renew",
    "transfer": "transfer", "licence": "licence", "objection": "dispute",
}  # fmt: skip
MATERIALS = {"statement": "申请说明", "proof": "证明材料"}
# A registration in these is not to be given away or licensed.
BARRED_BY_DISPUTE = ("transfer", "licence")


@dataclass(frozen=True)
class Asked:
    """What is asked for, as it is given: each type uses some of it."""

    title: str = ""
    summary: str = ""
    resource_ids: Sequence[str] = ()
    deposits: Sequence[Deposit] = ()
    years: int = 0
    agreement: Agreement | None = None
    party: Party | None = None
    address: str = ""
    right: str = ""
    from_on: date | None = None
    until_on: date | None = None
    terms: str = ""
    attachments: Sequence[Mapping[str, str]] = field(default_factory=tuple)


def apply(
    session: Session,
    actor: Actor,
    now: datetime,
    registration: Registration,
    type_: str,
    *,
    ground: str,
    statement: str,
    proof: str,
    asked: Asked,
    amends: Application | None = None,
) -> Application:
    """Apply for something about a registration; everything missing or wrong is named at once.

    `amends` is an application of the same type that was returned: its clock restarts.
    """
    verb = f"application.{VERBS[type_]}"
    may(actor, verb, owners(registration), f"Registration {registration.code}")
    rules = in_use(session)
    kind = rules.type_of(type_)
    lock(session, registration)
    _require_free(session, actor, registration, type_, amends)
    faults, today = Faults(), local_date(now)
    materials = {"statement": statement, "proof": proof}
    faults.name_missing(MATERIALS, materials)
    if kind.grounds and ground not in kind.grounds:
        choices = "; ".join(f"{key} ({zh})" for key, zh in kind.grounds.items())
        faults.name_fault("the ground must be one of {choices}", at="ground", choices=choices)
    name_attachment_faults(session, faults, actor.party_id, asked.attachments, MATERIALS)
    # What was applied for in time may be mended after the registration's last day.
    asked_on = today if amends is None else min(today, local_date(registration.valid_until))
    wanted = CHECKS[type_](session, actor, faults, registration, asked, asked_on)
    if faults:
        raise Invalid("The application lacks or breaks: {faults}.", faults=faults)
    ids = list(wanted.get("resource_ids", registration.resource_ids))
    facts: dict[str, Any] = {
        "title": wanted.get("title", registration.title),
        "summary": wanted.get("summary", registration.summary),
        "resource_ids": ids,
        "agreement_id": wanted.get("agreement_id", registration.agreement_id),
        "asked": wanted,
        "attachments": [dict(one) for one in asked.attachments],
        "consents": _consents(actor, registration, type_, wanted),
        "deadlines": {"accept": clock(today, rules.days["accept"])},
        "deposit_ids": list(wanted.get("deposit_ids", [])),
        "grade": grade_of(session, ids),
        "ground": ground or None,
        "materials": materials,
        "object": registration.object,
        "profile": rules.id,
        "rights": list(registration.rights),
        "scenes": registration.scenes,
    }
    if amends is None:
        application = Application(
            id=new_id(), number=new_number(session, now), type=type_, party_id=actor.party_id,
            applicant_id=actor.member_id, registration_id=registration.id, review={}, notice={},
            quality=[], state=move("application", "apply", None), **facts,
        )  # fmt: skip
    else:
        may(actor, "application.submit", amends.party_id, f"Application {amends.number}")
        application = amends
        application.state = move("application", "amend", amends.state)
        for name, value in facts.items():
            setattr(application, name, value)
    log.append(session, application, "application.submitted", actor.member_id)
    session.flush()
    return application


def _require_free(
    session: Session, actor: Actor, registration: Registration, type_: str,
    amends: Application | None,
) -> None:  # fmt: skip
    """Raise Conflict unless the registration is in force and nothing else of its subject's is open.

    What strangers ask for does not hold up its subject; a stranger has one of a type open.
    """
    if registration.state != "registered":
        raise Conflict(
            "Registration {code} is {state}: nothing can be applied for.",
            code=registration.code, state=registration.state,
        )  # fmt: skip
    _require_undisputed(registration, type_)
    subjects = owners(registration)
    rivals: ColumnElement[bool] = Application.party_id.in_(subjects)
    if actor.parties.isdisjoint(subjects):
        rivals = Application.party_id.in_(actor.parties) & (Application.type == type_)
    other = session.scalar(
        select(Application.number)
        .where(Application.registration_id == registration.id, Application.state.in_(OPEN_STATES),
               rivals, Application.id != (amends.id if amends else ""))
        .limit(1)
    )  # fmt: skip
    if other is not None:
        raise Conflict(
            "Application {number} about registration {code} is still open; it comes first.",
            number=other, code=registration.code,
        )  # fmt: skip
    if amends is not None and (amends.registration_id != registration.id or amends.type != type_):
        raise Conflict("Application {number} is about something else.", number=amends.number)


def _require_undisputed(registration: Registration, type_: str) -> None:
    if type_ in BARRED_BY_DISPUTE and registration.disputes:
        raise Conflict(
            "Registration {code} bears an objection ({numbers}) that is not settled.",
            code=registration.code, numbers=", ".join(registration.disputes),
        )  # fmt: skip


def _consents(
    actor: Actor, registration: Registration, type_: str, wanted: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Whose consent is needed: of the subject where another asks, of whoever is to receive it."""
    due = []
    if type_ == "correction" and actor.party_id != registration.party_id:
        due.append((registration.party_id, "subject"))
    if type_ in ("change", "cancellation", "renewal", "transfer", "licence"):
        # joint subjects act together
        every = (registration.party_id, *(registration.joint_ids or ()))
        due += [(one, "joint") for one in every if one != actor.party_id]
    if type_ == "transfer":
        due.append((wanted["party_id"], "receiver"))
    return [{"as": what, "by": None, "party_id": party} for party, what in due]


# -- what each type asks for -------------------------------------------------------------------


def _content(
    session: Session, actor: Actor, faults: Faults, registration: Registration, asked: Asked,
    today: date,
) -> dict[str, Any]:  # fmt: skip
    """What is to be another: at least one thing, and within the agreement."""
    wanted: dict[str, Any] = {}
    for name in ("title", "summary"):
        value = getattr(asked, name).strip()
        if value and value != getattr(registration, name):
            wanted[name] = value
    ids = sorted(set(asked.resource_ids))
    if ids and ids != registration.resource_ids:
        wanted["resource_ids"] = ids
        agreement = _agreement_of(session, registration)
        name_scope_faults(session, faults, registration.party_id, agreement, registration.object, ids,
                          registration.scenes or [])  # fmt: skip
        if agreement is not None:
            _name_not_in_force(faults, agreement, today)
        name_grade_faults(session, faults, in_use(session), ids)
        if "holding" in registration.rights and registration.object == "resource":
            name_holders(session, faults, ids, registration)
    if asked.deposits:
        wanted["deposit_ids"] = [one.id for one in asked.deposits]
    if not wanted:
        faults.name_fault("nothing is to be another than it is", at="title")
    return wanted


def _cancellation(
    session: Session, actor: Actor, faults: Faults, registration: Registration, asked: Asked,
    today: date,
) -> dict[str, Any]:  # fmt: skip
    return {}


def _renewal(
    session: Session, actor: Actor, faults: Faults, registration: Registration, asked: Asked,
    today: date,
) -> dict[str, Any]:  # fmt: skip
    """At most three years from the day after the prior expiry, within the window before it (art. 15).

    A product lives no longer than its agreement; a new one may be named.
    """
    rules = profile(registration.profile)
    last = local_date(registration.valid_until)
    opens = last - timedelta(days=rules.renewal_days)
    if not opens <= today <= last:
        faults.name_fault("renewal can be applied for from {first} to {last}", at="years",
                          first=opens.isoformat(), last=last.isoformat())  # fmt: skip
    if not 1 <= asked.years <= rules.validity_years:
        faults.name_fault(
            "a renewal lasts 1 to {most} years", at="years", most=rules.validity_years
        )
    until = years_after(last, max(1, min(asked.years, rules.validity_years)))
    agreement = asked.agreement or _agreement_of(session, registration)
    if agreement is not None and agreement.operator_id != registration.party_id:
        _name_another_s(faults, agreement)
    elif agreement is not None:
        name_scope_faults(session, faults, registration.party_id, agreement, registration.object,
                          registration.resource_ids, registration.scenes or [])  # fmt: skip
        until = min(until, date.fromisoformat(agreement.until_on))
        if until <= last:
            faults.name_fault(
                "agreement {number} ends on {until}: renew it first, and name the new one",
                at="agreement", number=agreement.number, until=agreement.until_on,
            )  # fmt: skip
        else:
            _name_not_in_force(faults, agreement, last + timedelta(days=1))
    return {
        "agreement_id": agreement.id if agreement else None,
        "until_on": until.isoformat(),
    }


def _transfer(
    session: Session, actor: Actor, faults: Faults, registration: Registration, asked: Asked,
    today: date,
) -> dict[str, Any]:  # fmt: skip
    """To another organisation, with its address on chain; a product with the agreement that covers it."""
    party = _other(faults, registration, asked.party)
    try:
        check_address(asked.address)
    except Invalid as error:
        faults.name_fault(error.template, at="address", **error.facts)
    agreement = asked.agreement
    if registration.agreement_id and agreement is None:
        faults.name_fault(
            "a product of public data needs its operation agreement: name the receiver's",
            at="agreement",
        )
    if agreement is not None and (party is None or agreement.operator_id != party.id):
        _name_another_s(faults, agreement)
    elif agreement is not None:
        name_scope_faults(session, faults, agreement.operator_id, agreement, registration.object,
                          registration.resource_ids, registration.scenes or [])  # fmt: skip
        _name_not_in_force(faults, agreement, today)
    return {
        "address": asked.address, "agreement_id": agreement.id if agreement else None,
        "party_id": party.id if party else None,
    }  # fmt: skip


def _licence(
    session: Session, actor: Actor, faults: Faults, registration: Registration, asked: Asked,
    today: date,
) -> dict[str, Any]:  # fmt: skip
    """A right that is registered, to another organisation, within the registration's validity."""
    party = _other(faults, registration, asked.party)
    if asked.right not in registration.rights or asked.right not in RIGHTS:
        faults.name_fault("the right must be one of those registered: {choices}", at="right",
                          choices=", ".join(registration.rights))  # fmt: skip
    agreement = _agreement_of(session, registration)
    if agreement is not None:
        _name_not_in_force(faults, agreement, today)
    last = local_date(registration.valid_until)
    start, until = asked.from_on, asked.until_on
    if start is None or until is None or not start <= until <= last:
        faults.name_fault("the licence must end by {last}, and not before it begins", at="until_on",
                          last=last.isoformat())  # fmt: skip
    if not asked.terms.strip():
        faults.name_fault("{key} ({zh})", at="terms", key="terms", zh="许可条件")
    return {
        "from_on": start and start.isoformat(), "party_id": party.id if party else None,
        "right": asked.right, "terms": asked.terms.strip(), "until_on": until and until.isoformat(),
    }  # fmt: skip


def _objection(
    session: Session, actor: Actor, faults: Faults, registration: Registration, asked: Asked,
    today: date,
) -> dict[str, Any]:  # fmt: skip
    if not asked.terms.strip():
        faults.name_fault("{key} ({zh})", at="terms", key="terms", zh="异议事项")
    return {"claim": asked.terms.strip()}


def _name_another_s(faults: Faults, agreement: Agreement) -> None:
    """Of another's agreement nothing more is told."""
    faults.name_fault("agreement {number} is another operator's", at="agreement",
                      number=agreement.number)  # fmt: skip


def _name_not_in_force(faults: Faults, agreement: Agreement, on: date) -> None:
    try:
        require_in_force(agreement, on)
    except Invalid as error:
        faults.name_fault(error.template, at="agreement", **error.facts)


def _other(faults: Faults, registration: Registration, party: Party | None) -> Party | None:
    if party is None:
        faults.name_fault("{key} ({zh})", at="party", key="party", zh="对方单位")
        return None
    require_active(party)
    if party.id in owners(registration):
        faults.name_fault("{name} is its subject already", at="party", name=party.name)
    return party


def _agreement_of(session: Session, registration: Registration) -> Agreement | None:
    return session.get(Agreement, registration.agreement_id) if registration.agreement_id else None


Check = Callable[[Session, Actor, Faults, Registration, Asked, date], dict[str, Any]]
CHECKS: dict[str, Check] = {
    "change": _content, "correction": _content, "cancellation": _cancellation, "renewal": _renewal,
    "transfer": _transfer, "licence": _licence, "objection": _objection,
}  # fmt: skip


# -- conclusion --------------------------------------------------------------------------------


def conclude(
    session: Session, actor: Actor, now: datetime, application: Application, finding: str
) -> Registration:
    """Do what a reviewed application asked for (办结), after its notice where it has one.

    A correction that somebody else asks for needs the subject's consent, or files that show the error
    (art. 9(3)); `finding` says what the registrar found.
    """
    if application.registration_id is None:
        raise Conflict("Application {number} is a first registration: code it.",
                       number=application.number)  # fmt: skip
    if not finding.strip():
        raise Invalid("State what was found.")
    registration = session.get_one(Registration, application.registration_id)
    lock(session, registration)
    require_seconded(application)
    today = local_date(now)
    if profile(application.profile).type_of(application.type).notice:
        if application.state == "reviewed":
            raise Conflict("Application {number} goes on public notice first.",
                           number=application.number)  # fmt: skip
        if application.state == "on_notice":
            require_noticed(application, today)
    lacking = [one for one in application.consents or () if one["by"] is None]
    if lacking and (application.type != "correction" or not application.attachments):
        raise Conflict(
            "Application {number} lacks a consent, and no file shows that the subject erred.",
            number=application.number,
        )
    _require_undisputed(registration, application.type)
    require_not_barred(session, application)
    _require_agreed(session, registration, application, today)
    if "resource_ids" in (application.asked or {}):
        require_one_holder(session, registration, application.resource_ids, registration)
    decide(session, actor, application, "conclude")
    application.deadlines = {}
    log.append(session, application, "application.concluded", actor.member_id, reason=finding)
    kind = DONE[application.type]
    move(
        "registration", "change", registration.state
    )  # not while it is verified, nor once it ended
    kind_of_move = "cancel" if application.type == "cancellation" else "change"
    registration.state = move("registration", kind_of_move, registration.state)
    APPLY[application.type](session, registration, application, dict(application.asked or {}))
    log.append(session, registration, f"registration.{kind}", actor.member_id, reason=finding)
    session.flush()
    return registration


def _require_agreed(
    session: Session, registration: Registration, application: Application, today: date
) -> None:
    """Raise Invalid when the agreement under which it is to go on has ended since it was applied for."""
    widens = "resource_ids" in (application.asked or {})
    if application.type not in ("renewal", "transfer", "licence") and not widens:
        return  # nothing rests anew on the agreement
    day = today
    if application.type == "renewal":
        day = local_date(registration.valid_until) + timedelta(days=1)
    if application.agreement_id is not None:
        require_in_force(session.get_one(Agreement, application.agreement_id), day)


def _change_now(
    session: Session, registration: Registration, application: Application, asked: dict[str, Any]
) -> None:
    for name in ("title", "summary", "resource_ids"):
        if name in asked:
            setattr(registration, name, asked[name])


def _cancel_now(
    session: Session, registration: Registration, application: Application, asked: dict[str, Any]
) -> None:
    registration.ending = {"application": application.number, "ground": application.ground}


def _renew_now(
    session: Session, registration: Registration, application: Application, asked: dict[str, Any]
) -> None:
    registration.agreement_id = asked["agreement_id"]
    registration.valid_until = end_of_day(date.fromisoformat(asked["until_on"]))


def _transfer_now(
    session: Session, registration: Registration, application: Application, asked: dict[str, Any]
) -> None:
    require_active(session.get_one(Party, asked["party_id"]))
    registration.party_id, registration.agreement_id = asked["party_id"], asked["agreement_id"]
    registration.joint_ids = [
        one for one in registration.joint_ids or [] if one != asked["party_id"]
    ]


def _licence_now(
    session: Session, registration: Registration, application: Application, asked: dict[str, Any]
) -> None:
    require_active(session.get_one(Party, asked["party_id"]))
    made = {name: asked[name] for name in ("from_on", "party_id", "right", "until_on")}
    registration.licences = [
        *(registration.licences or []), {**made, "application": application.number}
    ]  # fmt: skip


def _dispute_now(
    session: Session, registration: Registration, application: Application, asked: dict[str, Any]
) -> None:
    registration.disputes = [*(registration.disputes or []), application.number]


Apply = Callable[[Session, Registration, Application, dict[str, Any]], None]
APPLY: dict[str, Apply] = {
    "change": _change_now, "correction": _change_now, "cancellation": _cancel_now,
    "renewal": _renew_now, "transfer": _transfer_now, "licence": _licence_now,
    "objection": _dispute_now,
}  # fmt: skip
# Type → what its record at the registration is called.
DONE = {
    "change": "changed", "correction": "corrected", "cancellation": "cancelled",
    "renewal": "renewed", "transfer": "transferred", "licence": "licensed", "objection": "disputed",
}  # fmt: skip
