"""Appraisals (价值评估), 中评协〔2023〕17号: drafted by one appraiser, reviewed by another, never booked.

Each method's figure carries its derivation; the conclusion is their mean by stated weights. Since
财会〔2025〕33号 an appraised value is no basis for booking: nothing in `books` reads from here.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.calendar import local_date, years_after
from ledger.errors import Conflict, Faults, Invalid, Missing, ProofFailed
from ledger.parties import Actor, may, party_of, require_other
from ledger.registration import Registration
from ledger.states import move
from ledger.store import Evidence, new_id, next_number
from valuation import InputError, methods, reconciliation
from valuation.money import amount_fen
from valuation.worksheet import Figure

APPROACHES = ("cost", "income", "market")
DISCLOSURES = {  # what the report must disclose; from memory, to be verified (rules/valuation_methods)
    "basics_rights": "数据资产基本信息和权利信息",
    "quality": "质量评价情况",
    "scene": "应用场景及限制",
    "outlook": "宏观经济和行业前景",
    "sources": "信息来源",
    "experts": "利用专家工作情况",
    "method": "方法选择理由与参数来源",
    "assumptions": "评估假设和限制",
}


class Appraisal(Evidence):
    """A value with its derivation, as of a day, for a purpose."""

    __tablename__ = "appraisals"
    subject_type = "appraisal"
    number: Mapped[str] = mapped_column(unique=True)
    registration_id: Mapped[str] = mapped_column(String(36), ForeignKey("registrations.id"))
    purpose: Mapped[str]
    base_on: Mapped[str]
    valid_until_on: Mapped[str]
    disclosures: Mapped[dict[str, Any]]
    figures: Mapped[dict[str, Any]]
    conclusion: Mapped[dict[str, Any]]
    value_fen: Mapped[int] = mapped_column(BigInteger)
    maker_id: Mapped[str]
    reviewer_id: Mapped[str | None]
    state: Mapped[str]


def draft(
    session: Session,
    actor: Actor,
    now: datetime,
    *,
    registration: Registration,
    purpose: str,
    base_on: date,
    disclosures: Mapping[str, str],
    documents: Mapping[str, Mapping[str, Any]],
    weights: Sequence[Mapping[str, str]],
) -> Appraisal:
    """Compute and draft an appraisal; the same inputs again are the same appraisal.

    `documents` are the methods' inputs by approach (`valuation.methods`); `weights` names for each its
    weight and the reason for it. Raises Invalid naming all that is missing, ValuationError for inputs
    that a method refuses.
    """
    may(actor, "appraisal.draft")
    faults = Faults()
    faults.name_missing({"purpose": "评估目的"}, {"purpose": purpose})
    faults.name_missing(DISCLOSURES, disclosures, "disclosures")
    for name in documents:
        if name not in APPROACHES:
            faults.name_fault("unknown item {key}", at="documents", key=name)
    if base_on > local_date(now):
        faults.name_fault("the base day lies in the future", at="base_on")
    if sorted(weight.get("method", "") for weight in weights) != sorted(documents):
        faults.name_fault("each approach needs one weight with its reason", at="weights")
    if faults:
        raise Invalid("The appraisal lacks: {faults}.", faults=faults)
    figures = {name: _figure(name, documents[name]) for name in sorted(documents)}
    conclusion = reconciliation.reconcile(
        [(figures[w["method"]], w["weight"], w["reason"]) for w in weights]
    )
    value_fen = amount_fen(conclusion.value_fen, "value")  # no larger than a record can hold
    body = {name: figure.to_dict() for name, figure in figures.items()}
    found = session.scalars(
        select(Appraisal).where(
            Appraisal.registration_id == registration.id, Appraisal.state != "rejected"
        )
    ).all()
    for appraisal in found:
        if (appraisal.figures, appraisal.conclusion, appraisal.purpose, appraisal.base_on) == (
            body, conclusion.to_dict(), purpose, base_on.isoformat(),
        ):  # fmt: skip
            return appraisal
    year = local_date(now).year
    appraisal = Appraisal(
        id=new_id(), number=f"PG{year}-{next_number(session, f'PG{year}'):04d}",
        registration_id=registration.id, purpose=purpose, base_on=base_on.isoformat(),
        valid_until_on=years_after(base_on, 1).isoformat(), disclosures=dict(disclosures),
        figures=body, conclusion=conclusion.to_dict(), value_fen=value_fen,
        maker_id=actor.member_id, reviewer_id=None, state=move("appraisal", "draft", None),
    )  # fmt: skip
    log.append(session, appraisal, "appraisal.drafted", actor.member_id)
    session.flush()
    return appraisal


def approve(session: Session, actor: Actor, now: datetime, appraisal: Appraisal) -> None:
    """A second appraiser approves, after every figure has been recomputed from its inputs."""
    _decide(session, actor, appraisal, "approve")
    recompute(appraisal)
    if local_date(now).isoformat() > appraisal.valid_until_on:
        raise Conflict("Appraisal {number} is older than a year.", number=appraisal.number)
    appraisal.state = move("appraisal", "approve", appraisal.state)
    appraisal.reviewer_id = actor.member_id
    log.append(session, appraisal, "appraisal.approved", actor.member_id)


def reject(
    session: Session, actor: Actor, now: datetime, appraisal: Appraisal, reason: str
) -> None:
    """A second appraiser rejects; the reason must be stated."""
    _decide(session, actor, appraisal, "reject")
    if not reason.strip():
        raise Invalid("A refusal must state its reasons.")
    appraisal.state = move("appraisal", "reject", appraisal.state)
    appraisal.reviewer_id = actor.member_id
    log.append(session, appraisal, "appraisal.rejected", actor.member_id, reason=reason)


def recompute(appraisal: Appraisal) -> int:
    """How many steps agree when every figure is computed once more from its inputs.

    Raises ValuationError naming what differs, ProofFailed where the value is not the conclusion's.
    """
    figures = [
        methods.verify(figure) for figure in (*appraisal.figures.values(), appraisal.conclusion)
    ]
    if figures[-1].value_fen != appraisal.value_fen:
        raise ProofFailed(
            "Appraisal {number} does not recompute: {part} differs.", number=appraisal.number,
            part="value_fen",
        )  # fmt: skip
    return sum(len(figure.steps) for figure in figures)


def owners(session: Session, appraisal: Appraisal) -> tuple[str, str]:
    """Whose business an appraisal is: the registered subject's, and its maker's firm's."""
    registration = session.get_one(Registration, appraisal.registration_id)
    return registration.party_id, party_of(session, appraisal.maker_id)


def latest_approved(session: Session, registration_id: str) -> Appraisal | None:
    """The newest approved appraisal of a registration."""
    return session.scalars(
        select(Appraisal)
        .where(Appraisal.registration_id == registration_id, Appraisal.state == "approved")
        .order_by(Appraisal.id.desc())
    ).first()


def by_number(session: Session, number: str) -> Appraisal:
    """The appraisal with a number; raises Missing."""
    found = session.scalar(select(Appraisal).where(Appraisal.number == number))
    if found is None:
        raise Missing("There is no appraisal {number}.", number=number)
    return found


def _figure(name: str, document: Mapping[str, Any]) -> Figure:
    """The figure of one approach; what is wrong with its inputs is named with the approach."""
    try:
        return methods.run(document)
    except InputError as error:
        places = [(f"{name}.{where}" if where else name, what) for where, what in error.problems]
        raise InputError.of(places) from None


def _decide(session: Session, actor: Actor, appraisal: Appraisal, verb: str) -> None:
    what = f"appraisal {appraisal.number}"
    may(actor, f"appraisal.{verb}", party_of(session, appraisal.maker_id), what)
    require_other(actor, [appraisal.maker_id], what)
