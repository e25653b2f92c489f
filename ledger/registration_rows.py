"""Registration: its tables, codes and words, on which all its rooms stand.

A `Deposit` is evidence deposited before an application, an `Application` on its way, a `Registration` what
is registered.
"""

import re
from datetime import datetime
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

from ledger.errors import Conflict, Invalid, Missing
from ledger.store import Evidence

SERIAL_DIGITS = 6
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
