"""Registration (登记), 发改数据规〔2025〕26号: evidence deposit, application, review, notice, coding.

    deposit 存证 → submit 申请 → accept 受理 → pass 形式审核 + 合规性审查 → notice 公示 → code 赋码

The applicant never decides on his own application; what is missing is named all at once; deadlines
are working days. The outcome of coding is a `Registration` with its result query code (登记结果查询码).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column
from stdnum.iso7064 import mod_37_36

from ledger import log
from ledger.agreements import Agreement, require_in_force
from ledger.calendar import end_of_day, local_date, working_days_after, years_after
from ledger.catalogue import Resource
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Actor, may, require_other
from ledger.proof.encoding import digest_bytes
from ledger.states import move
from ledger.store import Evidence, new_id, next_number

ACCEPT_WORKING_DAYS = 3  # 26号 art. 10
REVIEW_WORKING_DAYS = 20  # art. 11
NOTICE_WORKING_DAYS = 10  # art. 12
VALIDITY_YEARS = 3  # art. 15
SERIAL_DIGITS = 6
CODE = re.compile(r"[A-Z]{2}[0-9]{6}[0-9]{6}[0-9A-Z]")  # what, year and month, serial, check

RIGHTS = {"holding": 1, "use": 2, "operating": 4}  # 持有权, 使用权, 经营权; the bits on chain
OBJECTS = ("resource", "product")
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
    resubmits: Application | None = None,
) -> Application:
    """Apply for a first registration (首次登记); everything missing or wrong is named at once.

    `resubmits` is an application that was returned: it keeps its number and its clock restarts (art. 10).

    Evidence must have been deposited by the same party before (art. 7). A product of an authorised
    operation stays within its agreement's scope (27号 art. 21).
    """
    may(actor, "application.submit")
    faults = faults_in(
        session, object_kind=object_kind, title=title, summary=summary, agreement=agreement,
        resource_ids=resource_ids, deposits=deposits, rights=rights, materials=materials,
    )  # fmt: skip
    if faults:
        raise Invalid("The application lacks or breaks: {faults}.", faults=faults)
    for made in deposits:
        may(actor, "application.submit", made.party_id, f"Deposit {made.name}")
    if agreement is not None:
        may(actor, "application.submit", agreement.operator_id, f"Agreement {agreement.number}")
        require_in_force(agreement, local_date(now))
    facts = {
        "agreement_id": agreement.id if agreement else None,
        "deadlines": {"accept": _due(now, ACCEPT_WORKING_DAYS)},
        "deposit_ids": [made.id for made in deposits],
        "materials": dict(materials),
        "object": object_kind,
        "quality": [dict(profile) for profile in quality],
        "resource_ids": sorted(set(resource_ids)),
        "rights": sorted(set(rights), key=list(RIGHTS).index),
        "state": move("application", "submit", resubmits.state if resubmits else None),
        "summary": summary.strip(),
        "title": title.strip(),
    }
    if resubmits is not None:
        may(actor, "application.submit", resubmits.party_id, f"Application {resubmits.number}")
        application = resubmits
        for name, value in facts.items():
            setattr(application, name, value)
    else:
        year = local_date(now).year
        application = Application(
            id=new_id(), number=f"SQ{year}-{next_number(session, f'SQ{year}'):06d}", type="first",
            party_id=actor.party_id, applicant_id=actor.member_id, review={}, notice={}, **facts,
        )  # fmt: skip
    log.append(session, application, "application.submitted", actor.member_id)
    session.flush()
    return application


def faults_in(
    session: Session,
    *,
    object_kind: str,
    title: str,
    summary: str,
    agreement: Agreement | None,
    resource_ids: Sequence[str],
    deposits: Sequence[Deposit],
    rights: Sequence[str],
    materials: Mapping[str, str],
) -> Faults:
    """Everything that an application lacks or breaks, each with its place in what was given."""
    faults = Faults()
    faults.name_missing({"title": "名称", "summary": "摘要"}, {"title": title, "summary": summary})
    faults.name_missing(MATERIALS, materials, at="materials")
    if object_kind not in OBJECTS:
        faults.name_fault(
            "object must be one of {choices}", at="object", choices=", ".join(OBJECTS)
        )
    if not rights or any(right not in RIGHTS for right in rights):
        faults.name_fault("rights must be among {choices}", at="rights", choices=", ".join(RIGHTS))
    if not deposits:
        faults.name_fault("no evidence was deposited (存证) before the application", at="data")
    if not resource_ids:
        faults.name_fault("no catalogue resource is named", at="resources")
    if object_kind == "product" and agreement is None:
        faults.name_fault("a product of public data needs its operation agreement", at="agreement")
    if agreement is not None:
        for resource_id in sorted(set(resource_ids) - set(agreement.resource_ids)):
            known = session.get(Resource, resource_id)
            faults.name_fault(
                "resource {resource} is outside agreement {number}", at="resources",
                resource=resource_id if known is None else known.code, number=agreement.number,
            )  # fmt: skip
    return faults


def send_back(
    session: Session, actor: Actor, now: datetime, application: Application, missing: Sequence[str]
) -> None:
    """Return the application, naming all gaps at once (一次性告知)."""
    if not missing:
        raise Invalid("Say what is missing, all at once.")
    _decide(session, actor, application, "return")
    application.review = {**application.review, "missing": list(missing)}
    application.deadlines = {}
    log.append(
        session, application, "application.returned", actor.member_id, reason="; ".join(missing)
    )


def refuse(
    session: Session, actor: Actor, now: datetime, application: Application, reason: str
) -> None:
    """Do not accept the application; the reason must be stated (art. 10)."""
    _reasoned(reason)
    _decide(session, actor, application, "refuse")
    application.deadlines = {}
    log.append(session, application, "application.refused", actor.member_id, reason=reason)


def accept(session: Session, actor: Actor, now: datetime, application: Application) -> None:
    """Accept the application (受理): the 20 working days of review begin."""
    _decide(session, actor, application, "accept")
    application.deadlines = {"review": _due(now, REVIEW_WORKING_DAYS)}
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
    _decide(session, actor, application, "pass")
    application.review = {
        **application.review,
        "compliance": {key: dict(compliance[key]) for key in COMPLIANCE_ITEMS},
        "formal": formal,
        "passed_by": actor.member_id,
    }
    application.deadlines = {}
    log.append(session, application, "application.reviewed", actor.member_id)


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
    _decide(session, actor, application, "reject")
    application.deadlines = {}
    log.append(session, application, "application.rejected", actor.member_id, reason=reason)


def give_notice(session: Session, actor: Actor, now: datetime, application: Application) -> None:
    """Put the application on public notice (公示) for ten working days (art. 12)."""
    _decide(session, actor, application, "notice")
    application.notice = {
        "from": local_date(now).isoformat(),
        "subject": application.party_id,
        "summary": application.summary,
        "title": application.title,
        "type": application.type,
        "until": _due(now, NOTICE_WORKING_DAYS),
    }
    log.append(session, application, "application.noticed", actor.member_id)


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
    _decide(session, actor, application, "code")
    today = local_date(now)
    if today.isoformat() <= application.notice["until"]["on"]:
        raise Conflict(
            "Application {number} is on notice until {until}; it can be coded from the next day.",
            number=application.number, until=application.notice["until"]["on"],
        )  # fmt: skip
    if application.agreement_id != (agreement.id if agreement else None):
        raise Invalid("Application {number} names another agreement.", number=application.number)
    until = years_after(today, VALIDITY_YEARS)
    if agreement is not None:
        require_in_force(agreement, today)
        end = date.fromisoformat(agreement.until_on)
        if end <= years_after(date.fromisoformat(agreement.from_on), VALIDITY_YEARS):
            until = end
    registration = Registration(
        id=new_id(), code=coded(f"DJ{today:%Y%m}", next_number(session, f"DJ{today:%Y%m}")),
        application_id=application.id, agreement_id=application.agreement_id,
        party_id=application.party_id, object=application.object, title=application.title,
        summary=application.summary, rights=list(application.rights),
        resource_ids=list(application.resource_ids), valid_from=now.replace(microsecond=0),
        valid_until=end_of_day(until), coded_by=actor.member_id,
        state=move("registration", "code", None),
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


def _decide(session: Session, actor: Actor, application: Application, verb: str) -> None:
    what = f"application {application.number}"
    may(actor, f"application.{verb}", application.party_id, what)
    require_other(actor, [application.applicant_id], what)
    application.state = move("application", verb, application.state)


def _due(now: datetime, working_days: int) -> dict[str, object]:
    return working_days_after(local_date(now), working_days).as_dict()


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise Invalid("A refusal must state its reasons.")
