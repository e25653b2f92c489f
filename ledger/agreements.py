"""Operation agreements (授权运营协议), 发改数据规〔2025〕27号: which operator may use what, how, how long.

Proposed by the operator, signed by the implementing body; only then may products be registered and
sold under it.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.calendar import years_after
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Actor, Party, may, require_active, require_other
from ledger.states import move
from ledger.store import Base, Evidence, new_id, next_number

TERM_YEARS_MAX = 5  # 27号 art. 14(2): 原则上最长不超过5年
MODES = {"whole": "整体授权", "by_field": "分领域授权", "by_scene": "依场景授权"}  # art. 9(4)
ELEMENTS = {  # art. 14, in its order
    "scope": "公共数据资源范围及数据资源目录",
    "term": "运营期限",
    "products": "产品和服务清单及其技术标准、安全审核要求、业务规范性审核要求",
    "platform": "技术支撑平台",
    "ownership": "资产权属",
    "disclosure": "信息披露要求",
    "accounting_sharing": "经营成本和收入核算要求、收益分配机制",
    "security": "数据安全、个人信息保护要求和风险监测、应急处置措施",
    "evaluation_exit": "运营成效评价，续约或退出机制",
    "breach": "违约责任",
    "dispute": "争议解决方式",
    "change_end": "协议变更、终止条件",
    "other": "需要明确的其他事项",
}


class Agreement(Evidence):
    """An operation agreement and its 13 elements."""

    __tablename__ = "agreements"
    subject_type = "agreement"
    number: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    mode: Mapped[str]
    implementer_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    operator_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    resource_ids: Mapped[list[Any]]
    elements: Mapped[dict[str, Any]]
    from_on: Mapped[str]
    until_on: Mapped[str]
    state: Mapped[str]
    proposed_by: Mapped[str]
    signed_by: Mapped[str | None]


def propose(
    session: Session,
    actor: Actor,
    now: datetime,
    *,
    title: str,
    mode: str,
    implementer: Party,
    resource_ids: Sequence[str],
    elements: Mapping[str, str],
    from_on: date,
    until_on: date,
) -> Agreement:
    """Put an agreement forward; every missing element and broken limit is named at once."""
    may(actor, "agreement.propose")
    require_active(implementer)
    faults = Faults()
    faults.name_missing(ELEMENTS, elements, at="elements")
    if mode not in MODES:
        faults.name_fault("mode must be one of {choices}", at="mode", choices=", ".join(MODES))
    if not from_on <= until_on <= years_after(from_on, TERM_YEARS_MAX):
        faults.name_fault(
            "the term may last at most {years} years", at="until_on", years=TERM_YEARS_MAX
        )
    if not resource_ids:
        faults.name_fault("no resource in scope", at="resources")
    if implementer.id == actor.party_id:
        faults.name_fault("the implementing body and the operator are the same", at="implementer")
    if faults:
        raise Invalid("The agreement lacks or breaks: {faults}.", faults=faults)
    agreement = Agreement(
        id=new_id(), number=f"XY{from_on.year}-{next_number(session, f'XY{from_on.year}'):04d}",
        title=title, mode=mode, implementer_id=implementer.id, operator_id=actor.party_id,
        resource_ids=sorted(set(resource_ids)), elements=dict(elements), from_on=from_on.isoformat(),
        until_on=until_on.isoformat(), state=move("agreement", "propose", None),
        proposed_by=actor.member_id, signed_by=None,
    )  # fmt: skip
    log.append(session, agreement, "agreement.proposed", actor.member_id)
    session.flush()
    return agreement


def sign(session: Session, actor: Actor, now: datetime, agreement: Agreement) -> None:
    """The implementing body signs what the operator proposed: the agreement is in force."""
    may(actor, "agreement.sign", agreement.implementer_id, f"Agreement {agreement.number}")
    require_other(actor, [agreement.proposed_by], agreement.number)
    resources = Base.metadata.tables["resources"].c  # the catalogue stands above this room
    wanted = select(resources.code).where(
        resources.id.in_(agreement.resource_ids), resources.state != "listed"
    )
    gone = session.scalars(wanted.order_by(resources.code)).all()
    if gone:
        raise Conflict("Resources of agreement {number} are no longer listed: {codes}.",
                       number=agreement.number, codes=", ".join(gone))  # fmt: skip
    agreement.state = move("agreement", "sign", agreement.state)
    agreement.signed_by = actor.member_id
    log.append(session, agreement, "agreement.signed", actor.member_id)


def owners(agreement: Agreement) -> tuple[str, str]:
    """Whose business an agreement is: both sides'."""
    return agreement.implementer_id, agreement.operator_id


def require_in_force(agreement: Agreement, on: date) -> None:
    """Raise Invalid unless the agreement is signed and its term covers the day."""
    if agreement.state != "in_force" or not (
        agreement.from_on <= on.isoformat() <= agreement.until_on
    ):
        raise Invalid(
            "Agreement {number} is {state} and runs from {start} to {end}; {on} is outside.",
            number=agreement.number, state=agreement.state, start=agreement.from_on,
            end=agreement.until_on, on=on.isoformat(),
        )  # fmt: skip


def by_number(session: Session, number: str) -> Agreement:
    """The agreement with a number; raises Missing."""
    found = session.scalar(select(Agreement).where(Agreement.number == number))
    if found is None:
        raise Missing("There is no agreement {number}.", number=number)
    return found
