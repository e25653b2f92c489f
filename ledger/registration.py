"""Registration (登记), 发改数据规〔2025〕26号: evidence deposit, application, review, notice, coding.

    deposit 存证 → submit 申请 → accept 受理 → pass 形式审核 + 合规性审查 → notice 公示 → code 赋码

The applicant never decides on his own application; what is missing is named all at once; deadlines
are working days. The outcome of coding is a `Registration` with its result query code (登记结果查询码).
Applications about what is registered already stand in `registration_changes`, objections in
`objections`, what else becomes of a registration in `register`; the rules of a place are data
(`registration_profiles`).
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import grading, log
from ledger.agreements import Agreement, require_in_force
from ledger.calendar import clock, end_of_day, local_date, years_after
from ledger.errors import Conflict, Faults, Invalid
from ledger.parties import Actor, Party, may, require_other
from ledger.proof.encoding import digest_bytes
from ledger.registration_checks import (
    ATTACHMENT_BYTES_MAX,
    ATTACHMENTS_MAX,
    check_ground,
    faults_in,
    grade_of,
    name_attachment_faults,
    name_grade_faults,
    name_holders,
    name_scope_faults,
    require_one_holder,
)
from ledger.registration_profiles import in_use, profile
from ledger.registration_rows import (
    COMPLIANCE_ITEMS,
    CONSENTED_IN,
    MATERIALS,
    OBJECTS,
    RIGHTS,
    VERDICTS,
    Application,
    Deposit,
    Registration,
    application_by_number,
    by_code,
    check_code,
    coded,
    of_party,
    owners,
)
from ledger.states import move
from ledger.store import new_id, next_number

__all__ = [  # what stands below is known to all by this module
    "ATTACHMENTS_MAX",
    "ATTACHMENT_BYTES_MAX",
    "COMPLIANCE_ITEMS",
    "CONSENTED_IN",
    "MATERIALS",
    "OBJECTS",
    "RIGHTS",
    "VERDICTS",
    "Application",
    "Deposit",
    "Registration",
    "application_by_number",
    "by_code",
    "check_code",
    "check_ground",
    "coded",
    "faults_in",
    "grade_of",
    "name_attachment_faults",
    "name_grade_faults",
    "name_holders",
    "name_scope_faults",
    "of_party",
    "owners",
    "require_one_holder",
]  # fmt: skip


def deposit(
    session: Session, actor: Actor, now: datetime, *, name: str, digest: str, size_bytes: int
) -> Deposit:
    """Record that the actor's party has bytes of this digest; the same digest again changes nothing."""
    may(actor, "evidence.deposit")
    digest_bytes(digest)
    found = session.scalar(
        select(Deposit).where(Deposit.party_id == actor.party_id, Deposit.digest == digest)
    )
    if found is not None:
        return found
    made = Deposit(
        id=new_id(), party_id=actor.party_id, member_id=actor.member_id, name=name, digest=digest,
        size_bytes=size_bytes, deposited_at=now.replace(microsecond=0),
    )  # fmt: skip
    log.append(session, made, "evidence.deposited", actor.member_id)
    session.flush()
    return made


def submit(
    session: Session,
    actor: Actor,
    now: datetime,
    *,
    object_kind: str,
    title: str,
    summary: str,
    agreement: Agreement | None,
    resource_ids: Sequence[str],
    deposits: Sequence[Deposit],
    rights: Sequence[str],
    materials: Mapping[str, str],
    quality: Sequence[Mapping[str, Any]],
    joint: Sequence[Party] = (),
    scenes: Sequence[str] = (),
    attachments: Sequence[Mapping[str, str]] = (),
    resubmits: Application | None = None,
) -> Application:
    """Apply for a first registration (首次登记); everything missing or wrong is named at once.

    `resubmits` is an application that was returned: it keeps its number and its clock restarts (art. 10).

    Evidence must have been deposited by the same party before (art. 7). A product of an authorised
    operation stays within its agreement's scope (27号 art. 21). `joint` are those who apply together
    with the actor's party (art. 7): each has to consent before the application is accepted.
    """
    may(actor, "application.submit")
    rules = in_use(session)
    faults = faults_in(
        session, actor, object_kind=object_kind, title=title, summary=summary, agreement=agreement,
        resource_ids=resource_ids, deposits=deposits, rights=rights, materials=materials, joint=joint,
        scenes=scenes, attachments=attachments, besides=resubmits,
    )  # fmt: skip
    if faults:
        raise Invalid("The application lacks or breaks: {faults}.", faults=faults)
    for made in deposits:
        may(actor, "application.submit", made.party_id, f"Deposit {made.name}")
    if agreement is not None:
        may(actor, "application.submit", agreement.operator_id, f"Agreement {agreement.number}")
        require_in_force(agreement, local_date(now))
    consents = [{"as": "joint", "by": None, "party_id": one.id} for one in joint]
    facts = {
        "agreement_id": agreement.id if agreement else None,
        "attachments": [dict(one) for one in attachments],
        "consents": consents,
        "deadlines": {"accept": clock(local_date(now), rules.days["accept"])},
        "deposit_ids": [made.id for made in deposits],
        "grade": grade_of(session, resource_ids),
        "materials": dict(materials),
        "object": object_kind,
        "profile": rules.id,
        "quality": [dict(profile) for profile in quality],
        "resource_ids": sorted(set(resource_ids)),
        "rights": sorted(set(rights), key=list(RIGHTS).index),
        "scenes": list(dict.fromkeys(scenes)) or scenes_of(agreement),
        "state": move("application", "submit", resubmits.state if resubmits else None),
        "summary": summary.strip(),
        "title": title.strip(),
    }
    if resubmits is not None:
        may(actor, "application.submit", resubmits.party_id, f"Application {resubmits.number}")
        require_type(resubmits, "first")
        application = resubmits
        for name, value in facts.items():
            setattr(application, name, value)
    else:
        application = Application(
            id=new_id(), number=new_number(session, now), type="first", party_id=actor.party_id,
            applicant_id=actor.member_id, review={}, notice={}, **facts,
        )  # fmt: skip
    log.append(session, application, "application.submitted", actor.member_id)
    session.flush()
    return application


def scenes_of(agreement: Agreement | None) -> list[str]:
    """The names of all scenes that an agreement allows."""
    return [one["name"] for one in (agreement.scenes if agreement else None) or ()]


def new_number(session: Session, now: datetime) -> str:
    """The next application number of the year."""
    year = local_date(now).year
    return f"SQ{year}-{next_number(session, f'SQ{year}'):06d}"


def consent(session: Session, actor: Actor, now: datetime, application: Application) -> None:
    """One whose consent an application needs gives it: who applies with it, receives, or is its subject."""
    may(actor, "application.consent", owners(application), f"application {application.number}")
    if application.state not in CONSENTED_IN:
        move("application", "consent", application.state)
    due = [
        one for one in application.consents or ()
        if one["party_id"] in actor.parties and one["by"] is None
    ]  # fmt: skip
    if not due:
        raise Conflict(
            "Application {number} waits for no consent of your organisation.",
            number=application.number,
        )
    application.state = move("application", "consent", application.state)
    application.consents = [
        {**one, "by": actor.member_id} if one in due else one for one in application.consents or ()
    ]
    if "needs_second" in application.review:  # a correction with its subject's consent needs none
        second = needs_second(application)
        application.review = {**application.review, "needs_second": second}
    log.append(session, application, "application.consented", actor.member_id)


def lacking_consents(application: Application, *kinds: str) -> list[str]:
    """The organisations whose consent an application still lacks, of these kinds."""
    return [
        str(one["party_id"]) for one in application.consents or ()
        if one["by"] is None and one["as"] in kinds
    ]  # fmt: skip


def send_back(
    session: Session, actor: Actor, now: datetime, application: Application, missing: Sequence[str]
) -> None:
    """Return the application, naming all gaps at once (一次性告知)."""
    if not missing:
        raise Invalid("Say what is missing, all at once.")
    decide(session, actor, application, "return")
    application.review = {**application.review, "missing": list(missing)}
    if application.type == "renewal":  # the registration does not wait for ever
        days = profile(application.profile).days["amend"]
        application.review["amend_by"] = clock(local_date(now), days)["on"]
    application.deadlines = {}
    log.append(
        session, application, "application.returned", actor.member_id, reason="; ".join(missing)
    )


def refuse(
    session: Session, actor: Actor, now: datetime, application: Application, reason: str,
    ground: str = "",
) -> None:  # fmt: skip
    """Do not accept the application; the reason must be stated (art. 10).

    Where the rules of the place list grounds for it, one of them must be named.
    """
    _reasoned(reason)
    check_ground(profile(application.profile).refusal_grounds, ground)
    decide(session, actor, application, "refuse")
    application.deadlines = {}
    application.review = {**application.review, "refused_on": ground or None}
    log.append(session, application, "application.refused", actor.member_id, reason=reason)


def accept(session: Session, actor: Actor, now: datetime, application: Application) -> None:
    """Accept the application (受理): the working days of its review begin."""
    lacking = lacking_consents(application, "joint", "receiver")
    if lacking:
        names = select(Party.name).where(Party.id.in_(lacking)).order_by(Party.name)
        raise Conflict(
            "Application {number} lacks the consent of {names}.", number=application.number,
            names=", ".join(session.scalars(names)),
        )  # fmt: skip
    decide(session, actor, application, "accept")
    days, what = profile(application.profile).days, "review"
    if application.type == "cancellation":
        what = "cancellation"
    application.deadlines = {what: clock(local_date(now), days[what])}
    application.review = {"accepted_by": actor.member_id}
    log.append(session, application, "application.accepted", actor.member_id)


def pass_review(
    session: Session,
    actor: Actor,
    now: datetime,
    application: Application,
    *,
    formal: str,
    compliance: Mapping[str, Mapping[str, str]],
) -> None:
    """Pass formal review (形式审核) and compliance review (合规性审查) with their findings.

    `compliance` gives each item of COMPLIANCE_ITEMS a verdict, the evidence it rests on, and a finding.
    One failed item: reject instead.
    """
    faults = Faults()
    faults.name_missing({"formal": "形式审核结论"}, {"formal": formal})
    for key, zh in COMPLIANCE_ITEMS.items():
        given = compliance.get(key, {})
        if set(given) != {"verdict", "evidence", "finding"} or given["verdict"] not in VERDICTS:
            faults.name_fault(
                "{key} ({zh}): verdict, evidence and finding",
                at=f"compliance.{key}",
                key=key,
                zh=zh,
            )
        elif not given["evidence"].strip() or not given["finding"].strip():
            faults.name_fault(
                "{key} ({zh}): its evidence or finding is empty", at=f"compliance.{key}", key=key,
                zh=zh,
            )  # fmt: skip
    for key in compliance:
        if key not in COMPLIANCE_ITEMS:
            faults.name_fault("unknown item {key}", at=f"compliance.{key}", key=key)
    if faults:
        raise Invalid("The review lacks: {faults}.", faults=faults)
    failed = [key for key in COMPLIANCE_ITEMS if compliance[key]["verdict"] == "fail"]
    if failed:
        raise Conflict(
            "Compliance review failed on {items}: the application can only be rejected.",
            items=", ".join(failed),
        )
    decide(session, actor, application, "pass")
    require_not_barred(session, application)
    application.grade = grade_of(session, application.resource_ids)
    second = needs_second(application)
    application.review = {
        **application.review,
        "compliance": {key: dict(compliance[key]) for key in COMPLIANCE_ITEMS},
        "formal": formal,
        "needs_second": second,
        "passed_by": actor.member_id,
        "seconded_by": None,
    }
    if not second:
        application.deadlines = {}
    log.append(session, application, "application.reviewed", actor.member_id)


def require_not_barred(session: Session, application: Application) -> None:
    """Raise Conflict when a resource was graded since as one that is never registered.

    What only ends, mends or disputes a registration goes on all the same.
    """
    if application.type in ("cancellation", "correction", "objection"):
        return
    barred = Faults()
    name_grade_faults(session, barred, profile(application.profile), application.resource_ids)
    if barred:
        raise Conflict("The application lacks or breaks: {faults}.", faults=barred)


def needs_second(application: Application) -> bool:
    """Whether a second pair of eyes must look at its review: above a grade, or without the subject."""
    if application.type == "correction" and lacking_consents(application, "subject"):
        return True
    due = profile(application.profile).second_review_from
    return application.grade is not None and grading.stricter([application.grade, due]) == (
        application.grade
    )


def second(
    session: Session, actor: Actor, now: datetime, application: Application, finding: str
) -> None:
    """A second registrar confirms the review (复核) of what is graded important."""
    _reasoned(finding)
    decide(session, actor, application, "second")
    _second_eyes(actor, application)
    application.review = {
        **application.review, "seconded_by": actor.member_id, "seconded": finding,
    }  # fmt: skip
    application.deadlines = {}
    log.append(session, application, "application.seconded", actor.member_id)


def doubt(
    session: Session, actor: Actor, now: datetime, application: Application, reason: str
) -> None:
    """A second registrar sends the review back, with his reason; its deadline runs on."""
    _reasoned(reason)
    decide(session, actor, application, "doubt")
    _second_eyes(actor, application)
    application.review = {"accepted_by": application.review.get("accepted_by"), "doubted": reason}
    log.append(session, application, "application.doubted", actor.member_id, reason=reason)


def _second_eyes(actor: Actor, application: Application) -> None:
    review = application.review
    if not review.get("needs_second") or review.get("seconded_by"):
        raise Conflict(
            "The review of application {number} waits for no second look.",
            number=application.number,
        )
    require_other(actor, [review["passed_by"]], f"application {application.number}")


def require_seconded(application: Application) -> None:
    """Raise Conflict while the review of what is graded important lacks its second look."""
    review = application.review
    if review.get("needs_second") and not review.get("seconded_by"):
        raise Conflict(
            "A second registrar must confirm the review of application {number}.",
            number=application.number,
        )


def require_type(application: Application, *types: str) -> None:
    """Raise Conflict unless the application is of one of these types."""
    if application.type not in types:
        raise Conflict(
            "Application {number} is of the type {type}; this is for {types}.",
            number=application.number, type=application.type, types=", ".join(types),
        )  # fmt: skip


def withdraw(
    session: Session, actor: Actor, now: datetime, application: Application, reason: str
) -> None:
    """The applicant takes his application back; the reason must be stated."""
    _reasoned(reason)
    may(actor, "application.withdraw", application.party_id, f"application {application.number}")
    application.state = move("application", "withdraw", application.state)
    application.deadlines = {}
    log.append(session, application, "application.withdrawn", actor.member_id, reason=reason)


def reject(
    session: Session, actor: Actor, now: datetime, application: Application, reason: str
) -> None:
    """Reject the application in its review, or for what came to light since; the reason must be stated."""
    _reasoned(reason)
    decide(session, actor, application, "reject")
    application.deadlines = {}
    log.append(session, application, "application.rejected", actor.member_id, reason=reason)


def give_notice(session: Session, actor: Actor, now: datetime, application: Application) -> None:
    """Put the application on public notice (公示) for ten working days (art. 12)."""
    rules = profile(application.profile)
    if not rules.type_of(application.type).notice:
        raise Conflict(
            "An application of the type {type} goes on no public notice: conclude it.",
            type=application.type,
        )
    require_seconded(application)
    decide(session, actor, application, "notice")
    application.notice = {
        "from": local_date(now).isoformat(),
        "subject": application.party_id,
        "subjects": [application.party_id,
                     *(one["party_id"] for one in application.consents or () if one["as"] == "joint")],
        "summary": application.summary,
        "title": application.title,
        "type": application.type,
        "until": clock(local_date(now), rules.days["notice"]),
    }  # fmt: skip
    log.append(session, application, "application.noticed", actor.member_id)


def require_noticed(application: Application, today: date) -> None:
    """Raise Conflict while the public notice runs, or is paused by an objection."""
    until = application.notice["until"]
    if today.isoformat() <= until["on"] or until.get("left") is not None:
        raise Conflict(
            "Application {number} is on notice until {until}; it can be coded from the next day.",
            number=application.number, until=until["on"],
        )  # fmt: skip


def code(
    session: Session,
    actor: Actor,
    now: datetime,
    application: Application,
    agreement: Agreement | None,
) -> Registration:
    """Code what stood its notice unopposed (赋码): the registration begins, for three years.

    A product whose agreement runs three years or less lives as long as the agreement (art. 15), and
    none outlives it.
    """
    require_type(application, "first")
    decide(session, actor, application, "code")
    today = local_date(now)
    require_noticed(application, today)
    if application.agreement_id != (agreement.id if agreement else None):
        raise Invalid("Application {number} names another agreement.", number=application.number)
    require_one_holder(session, application, application.resource_ids, application)
    require_not_barred(session, application)
    rules = profile(application.profile)
    until = years_after(today, rules.validity_years)
    if agreement is not None:
        require_in_force(agreement, today)
        # The right to operate it ends with the agreement.
        until = min(until, date.fromisoformat(agreement.until_on))
    registration = Registration(
        id=new_id(), code=coded(f"DJ{today:%Y%m}", next_number(session, f"DJ{today:%Y%m}")),
        application_id=application.id, agreement_id=application.agreement_id,
        party_id=application.party_id, object=application.object, title=application.title,
        summary=application.summary, rights=list(application.rights),
        resource_ids=list(application.resource_ids), scenes=application.scenes,
        valid_from=now.replace(microsecond=0),
        valid_until=end_of_day(until), coded_by=actor.member_id, profile=application.profile,
        joint_ids=[one["party_id"] for one in application.consents or () if one["as"] == "joint"],
        licences=[], disputes=[], state=move("registration", "code", None),
    )  # fmt: skip
    log.append(session, application, "application.registered", actor.member_id)
    log.append(session, registration, "registration.coded", actor.member_id)
    session.flush()
    return registration


def concerned(session: Session, application: Application) -> tuple[str, ...]:
    """Who decides nothing on an application: its owners, and those of the registration it is about."""
    if application.registration_id is None:
        return owners(application)
    found = session.get_one(Registration, application.registration_id)
    return (*owners(application), *owners(found))


def decide(session: Session, actor: Actor, application: Application, verb: str) -> None:
    """A registrar of another house, not the applicant himself, moves an application on."""
    what = f"application {application.number}"
    may(actor, f"application.{verb}", concerned(session, application), what)
    require_other(actor, [application.applicant_id], what)
    application.state = move("application", verb, application.state)


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise Invalid("A refusal must state its reasons.")
