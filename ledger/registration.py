"""Registration (登记), 发改数据规〔2025〕26号: evidence deposit, application, review, notice, coding.

    deposit 存证 → submit 申请 → accept 受理 → pass 形式审核 + 合规性审查 → notice 公示 → code 赋码

The applicant never decides on his own application; what is missing is named all at once; deadlines
are working days. The outcome of coding is a `Registration` with its result query code (登记结果查询码).
Applications about what is registered already stand in `registration_changes`, objections in
`objections`, what else becomes of a registration in `register`; the rules of a place are data
(`registration_profiles`).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import Mapped, Session, mapped_column
from stdnum.iso7064 import mod_37_36

from ledger import grading, log
from ledger.agreements import Agreement, faults_of_scope, require_in_force
from ledger.calendar import clock, end_of_day, local_date, years_after
from ledger.catalogue import Resource
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Actor, Party, may, require_active, require_other
from ledger.proof.encoding import digest_bytes
from ledger.registration_profiles import Profile, in_use, profile
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number

SERIAL_DIGITS = 6
ATTACHMENTS_MAX = 50
ATTACHMENT_BYTES_MAX = 50 * 1024 * 1024
CODE = re.compile(r"[A-Z]{2}[0-9]{6}[0-9]{6}[0-9A-Z]")  # what, year and month, serial, check

RIGHTS = {"holding": 1, "use": 2, "operating": 4}  # 持有权, 使用权, 经营权; the bits on chain
OBJECTS = ("resource", "product", "model", "computing_power")  # which of them, a profile says
DESCRIBED = ("resource", "product")  # these rest on resources of the catalogue
MATERIALS = {  # art. 9(1), for a first registration
    "subject": "主体信息",
    "lawful_source": "数据合法合规性来源",
    "resource": "数据资源情况",
    "evidence": "存证情况",
    "product": "产品和服务信息",
    "scene": "应用场景信息",
    "security_risk": "数据安全风险评估",
}
COMPLIANCE_ITEMS = {  # 合规性审查: what the registrar must find, each with evidence and verdict
    "lawful_source": "数据来源合法",
    "personal_information": "个人信息保护",
    "important_data": "重要数据与核心数据",
    "authorisation": "授权依据",
    "agreement_scope": "授权运营范围",
    "security_assessment": "数据安全评估",
}
VERDICTS = ("pass", "not_applicable", "fail")
IN_FORCE = ("registered", "under_inquiry")  # a registration in these states is one
CONSENTED_IN = ("submitted", "in_review", "reviewed")


class Deposit(Evidence):
    """Evidence deposited (存证): that a party had these bytes at that time; the bytes stay outside."""

    __tablename__ = "deposits"
    __table_args__ = (Index("deposits_once", "party_id", "digest", unique=True),)
    subject_type = "deposit"
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    member_id: Mapped[str]
    name: Mapped[str]
    digest: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    deposited_at: Mapped[datetime]


class Application(Evidence):
    """A registration application (登记申请) on its way."""

    __tablename__ = "applications"
    subject_type = "application"
    number: Mapped[str] = mapped_column(unique=True)
    type: Mapped[str]
    object: Mapped[str]
    title: Mapped[str]
    summary: Mapped[str]
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    applicant_id: Mapped[str]
    agreement_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("agreements.id"))
    resource_ids: Mapped[list[Any]]
    deposit_ids: Mapped[list[Any]]
    rights: Mapped[list[Any]]
    materials: Mapped[dict[str, Any]]
    quality: Mapped[list[Any]]
    state: Mapped[str]
    deadlines: Mapped[dict[str, Any]]
    review: Mapped[dict[str, Any]]
    notice: Mapped[dict[str, Any]]
    profile: Mapped[str | None]
    registration_id: Mapped[str | None] = mapped_column(String(36), index=True)
    """what it is about (no foreign key: the registration names its first application); else None"""
    ground: Mapped[str | None]
    asked: Mapped[dict[str, Any] | None]
    """what is to become of the registration"""
    consents: Mapped[list[Any] | None]
    """whose consent it needs: {"party_id", "as": joint, receiver or subject, "by": member or null}"""
    scenes: Mapped[list[Any] | None]
    """the scenes of the agreement in which it is used"""
    attachments: Mapped[list[Any] | None]
    """files to its materials: {"material", "deposit_id"}"""
    grade: Mapped[str | None]
    """the strictest grade of its resources, as of the review"""


class Registration(Evidence):
    """What is registered: the outcome of coding (赋码)."""

    __tablename__ = "registrations"
    subject_type = "registration"
    code: Mapped[str] = mapped_column(unique=True)
    application_id: Mapped[str] = mapped_column(String(36), ForeignKey("applications.id"))
    agreement_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("agreements.id"))
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    object: Mapped[str]
    title: Mapped[str]
    summary: Mapped[str]
    rights: Mapped[list[Any]]
    resource_ids: Mapped[list[Any]]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    coded_by: Mapped[str]
    state: Mapped[str]
    profile: Mapped[str | None]
    scenes: Mapped[list[Any] | None]
    joint_ids: Mapped[list[Any] | None]
    """who applied together with its subject"""
    licences: Mapped[list[Any] | None]
    """licences registered: {"application", "party_id", "right", "from_on", "until_on"}"""
    disputes: Mapped[list[Any] | None]
    """objections registered that are not lifted yet: the numbers of their applications"""
    inquiry: Mapped[dict[str, Any] | None]
    """what is being verified: {"ground", "by"}"""
    ending: Mapped[dict[str, Any] | None]
    """why it was revoked or cancelled: {"ground", "application" or null}"""


def owners(row: Application | Registration) -> tuple[str, ...]:
    """Whose business it is: the applicant's or subject's, and of those who apply together with him."""
    if isinstance(row, Registration):
        return (row.party_id, *(row.joint_ids or ()))
    return (row.party_id, *(one["party_id"] for one in row.consents or ()))


def of_party(model: type[Application] | type[Registration], party: str) -> ColumnElement[bool]:
    """The rows an organisation is one of the owners of."""
    column = Registration.joint_ids if model is Registration else Application.consents
    # The ids stand in the column's text, and no id is part of another.
    return or_(model.party_id == party, type_coerce(column, String).contains(party))


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


def grade_of(session: Session, resource_ids: Sequence[str]) -> str | None:
    """The strictest grade of some resources (就高从严); None while none of them is graded."""
    wanted = select(Resource.grade).where(Resource.id.in_(list(resource_ids)))
    return grading.stricter(one for one in session.scalars(wanted) if one)


def faults_in(
    session: Session,
    actor: Actor,
    *,
    object_kind: str,
    title: str,
    summary: str,
    agreement: Agreement | None,
    resource_ids: Sequence[str],
    deposits: Sequence[Deposit],
    rights: Sequence[str],
    materials: Mapping[str, str],
    joint: Sequence[Party] = (),
    scenes: Sequence[str] = (),
    attachments: Sequence[Mapping[str, str]] = (),
    besides: Application | None = None,
) -> Faults:
    """Everything that an application lacks or breaks, each with its place in what was given.

    `besides` is the application that it takes the place of.
    """
    faults, rules = Faults(), in_use(session)
    faults.name_missing({"title": "名称", "summary": "摘要"}, {"title": title, "summary": summary})
    faults.name_missing(MATERIALS, materials, at="materials")
    if object_kind not in rules.objects:
        faults.name_fault(
            "object must be one of {choices}", at="object", choices=", ".join(rules.objects)
        )
    if not rights or any(right not in RIGHTS for right in rights):
        faults.name_fault("rights must be among {choices}", at="rights", choices=", ".join(RIGHTS))
    if not deposits:
        faults.name_fault("no evidence was deposited (存证) before the application", at="data")
    if not resource_ids and object_kind in DESCRIBED:
        faults.name_fault("no catalogue resource is named", at="resources")
    if object_kind == "product" and agreement is None:
        faults.name_fault("a product of public data needs its operation agreement", at="agreement")
    name_scope_faults(session, faults, actor.party_id, agreement, object_kind, resource_ids, scenes)
    _name_grade_faults(session, faults, rules, resource_ids)
    if "holding" in rights and object_kind == "resource":
        _name_holders(session, faults, resource_ids, besides)
    for place, one in enumerate(joint):
        if one.id == actor.party_id or one.id in {other.id for other in joint[:place]}:
            faults.name_fault("{name} stands there twice", at=f"joint.{place}", name=one.name)
        require_active(one)
    name_attachment_faults(session, faults, actor.party_id, attachments, MATERIALS)
    return faults


def name_scope_faults(
    session: Session, faults: Faults, party_id: str, agreement: Agreement | None, object_kind: str,
    resource_ids: Sequence[str], scenes: Sequence[str],
) -> None:  # fmt: skip
    """What is outside the agreement (27号 art. 21); without one, what the party does not hold."""
    if agreement is not None:
        faults.add(faults_of_scope(session, agreement, resource_ids, scenes))
    elif object_kind == "resource":
        for resource_id in sorted(set(resource_ids)):
            known = session.get(Resource, resource_id)
            if known is None or known.provider_id != party_id:
                faults.name_fault(
                    "resource {resource} is held by another body: name the agreement that opens it",
                    at="resources", resource=resource_id if known is None else known.code,
                )  # fmt: skip


def _name_grade_faults(
    session: Session, faults: Faults, rules: Profile, resource_ids: Sequence[str]
) -> None:
    """Resources of a grade that is never registered."""
    barred = select(Resource).where(
        Resource.id.in_(list(resource_ids)), Resource.grade.in_(rules.barred_grades)
    )
    for one in session.scalars(barred.order_by(Resource.code)):
        faults.name_fault(
            "resource {resource} is {grade} data, which is not registered", at="resources",
            resource=one.code, grade=grading.LEVELS[str(one.grade)][0],
        )  # fmt: skip


def _name_holders(
    session: Session, faults: Faults, resource_ids: Sequence[str], besides: Application | None
) -> None:
    """Resources whose right to hold is registered, or applied for, already: it has one holder."""
    open_states = ("submitted", "in_review", "reviewed", "on_notice", "objection_review")
    taken: dict[str, str] = {}
    for row in session.scalars(
        select(Application).where(
            Application.type == "first", Application.object == "resource",
            Application.state.in_(open_states),
        )
    ):  # fmt: skip
        if "holding" in row.rights and (besides is None or row.id != besides.id):
            taken |= dict.fromkeys(row.resource_ids, row.number)
    for held in session.scalars(
        select(Registration).where(
            Registration.object == "resource", Registration.state.in_(IN_FORCE)
        )
    ):
        if "holding" in held.rights:
            taken |= dict.fromkeys(held.resource_ids, held.code)
    for resource_id in sorted(set(resource_ids) & set(taken)):
        known = session.get(Resource, resource_id)
        faults.name_fault(
            "the right to hold resource {resource} is registered or applied for already ({number})",
            at="rights", resource=resource_id if known is None else known.code,
            number=taken[resource_id],
        )  # fmt: skip


def name_attachment_faults(
    session: Session, faults: Faults, party_id: str, attachments: Sequence[Mapping[str, str]],
    materials: Mapping[str, str],
) -> None:  # fmt: skip
    """Files to materials that are too many or too large, not the party's deposits, or to no material."""
    if len(attachments) > ATTACHMENTS_MAX:
        faults.name_fault("more than {most} files", at="attachments", most=ATTACHMENTS_MAX)
    for place, one in enumerate(attachments):
        found = session.get(Deposit, one.get("deposit_id", ""))
        at = f"attachments.{place}"
        if one.get("material") not in materials:
            faults.name_fault("unknown item {key}", f"{at}.material", key=one.get("material"))
        if found is None or found.party_id != party_id:
            faults.name_fault(
                "{name} was not deposited by your organisation", f"{at}.digest",
                name=one.get("deposit_id"),
            )  # fmt: skip
        elif found.size_bytes > ATTACHMENT_BYTES_MAX:
            faults.name_fault(
                "{name} is larger than {most} MiB", f"{at}.digest", name=found.name,
                most=ATTACHMENT_BYTES_MAX // 1024**2,
            )  # fmt: skip


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


def check_ground(grounds: Mapping[str, str], ground: str) -> None:
    """Raise Invalid unless the ground is one of those listed; where none are listed, none is needed."""
    if grounds and ground not in grounds:
        raise Invalid(
            "The ground must be one of {choices}.",
            choices="; ".join(f"{key} ({zh})" for key, zh in grounds.items()),
        )


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


def needs_second(application: Application) -> bool:
    """Whether a second pair of eyes must look at its review: its grade is one, or stricter."""
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
            "Application {number} is about important data: a second registrar must confirm its review.",
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
    """Reject the application after review; the reason must be stated."""
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

    A product whose agreement runs three years or less lives as long as the agreement (art. 15).
    """
    require_type(application, "first")
    decide(session, actor, application, "code")
    today = local_date(now)
    require_noticed(application, today)
    if application.agreement_id != (agreement.id if agreement else None):
        raise Invalid("Application {number} names another agreement.", number=application.number)
    if "holding" in application.rights and application.object == "resource":
        faults = Faults()
        for row in session.scalars(
            select(Resource).where(Resource.id.in_(application.resource_ids)).order_by(Resource.id)
        ):
            lock(session, row)  # two competing applications are not both coded
        _name_holders(session, faults, application.resource_ids, application)
        if faults:
            raise Conflict("The application lacks or breaks: {faults}.", faults=faults)
    rules = profile(application.profile)
    until = years_after(today, rules.validity_years)
    if agreement is not None:
        require_in_force(agreement, today)
        end = date.fromisoformat(agreement.until_on)
        if end <= years_after(date.fromisoformat(agreement.from_on), rules.validity_years):
            until = end
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


def coded(prefix: str, number: int) -> str:
    """A code people can type: prefix, serial, check character (ISO 7064 MOD 37,36).

    The national format (26号 art. 13) is not published; this one is our own.

    >>> coded("DJ202611", 1)
    'DJ202611-000001-5'
    """
    if not 0 <= number < 10**SERIAL_DIGITS:
        raise Conflict("The serial numbers of {prefix} are used up.", prefix=prefix)
    plain = f"{prefix}{number:06d}"
    return f"{prefix}-{number:06d}-{mod_37_36.calc_check_digit(plain)}"


def check_code(text: str) -> str:
    """The code in its one spelling; a mistyped one raises Invalid."""
    compact = text.strip().upper().replace("-", "").replace(" ", "")
    if not CODE.fullmatch(compact) or not mod_37_36.is_valid(compact):
        raise Invalid("{code} is mistyped: its check character does not fit.", code=text)
    return f"{compact[:-7]}-{compact[-7:-1]}-{compact[-1]}"


def application_by_number(session: Session, number: str) -> Application:
    """The application with a number; raises Missing."""
    found = session.scalar(select(Application).where(Application.number == number))
    if found is None:
        raise Missing("There is no application {number}.", number=number)
    return found


def by_code(session: Session, text: str) -> Registration:
    """The registration with a result query code; raises Invalid or Missing."""
    found = session.scalar(select(Registration).where(Registration.code == check_code(text)))
    if found is None:
        raise Missing("There is no registration {code}.", code=text)
    return found


def decide(session: Session, actor: Actor, application: Application, verb: str) -> None:
    """A registrar of another house, not the applicant himself, moves an application on."""
    what = f"application {application.number}"
    may(actor, f"application.{verb}", owners(application), what)
    require_other(actor, [application.applicant_id], what)
    application.state = move("application", verb, application.state)


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise Invalid("A refusal must state its reasons.")
