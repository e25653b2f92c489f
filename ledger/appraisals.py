"""Appraisals (价值评估), 中评协〔2023〕17号: drafted by one appraiser, reviewed by another, never booked.

Each method's figure carries its derivation; the conclusion is their mean by stated weights. What it was
computed from has a digest, so that the same inputs are known again; anyone recomputes it from its record.
The next edition for the same purpose supersedes the one before. Since 财会〔2025〕33号 an appraised value
is no basis for booking: nothing in `books` reads from here, and `books.post` refuses it.

    drafted → approved → superseded            by the approval of the next edition
            → rejected | withdrawn             lapsed: approved, and its last day is over (`standing`)
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.calendar import local_date, years_after
from ledger.errors import Conflict, Faults, Invalid, Missing, NotAllowed, ProofFailed
from ledger.parties import Actor, may, party_of, require_other
from ledger.proof.encoding import canonical, digest_text
from ledger.registration import Registration
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number
from valuation import InputError, inputs, methods, reconciliation, simulation
from valuation.comparison import Comparison, compare
from valuation.money import amount_fen
from valuation.simulation import Analysis
from valuation.worksheet import Figure

APPROACHES = ("cost", "income", "market")
CONCLUSION = "conclusion"
ASSUMPTIONS_MAX = 50
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
    # Empty in what was recorded before these columns were (decision 42).
    edition: Mapped[int | None]
    replaces_id: Mapped[str | None] = mapped_column(String(36))
    assumptions: Mapped[list[Any] | None]
    analyses: Mapped[dict[str, Any] | None]
    inputs_digest: Mapped[str | None]
    method_versions: Mapped[dict[str, Any] | None]


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
    assumptions: Sequence[str],
    valid_until_on: date | None = None,
    analyses: Mapping[str, Mapping[str, Any]] | None = None,
) -> Appraisal:
    """Compute and draft an appraisal; the same person's same draft again is the same appraisal.

    `documents` are the methods' inputs by approach (`valuation.methods`); `weights` names for each its
    weight and the reason for it. `analyses` asks, by approach, for a range, a sensitivity or a breakeven
    (`valuation.simulation`). It holds until `valid_until_on`, at most and without it a year after the
    base day, and replaces the approved one of the same purpose. Raises Invalid naming all that is missing,
    ValuationError for inputs that a method refuses.
    """
    may(actor, "appraisal.draft")
    faults = Faults()
    faults.name_missing({"purpose": "评估目的"}, {"purpose": purpose})
    faults.name_missing(DISCLOSURES, disclosures, "disclosures")
    for name in documents:
        if name not in APPROACHES:
            faults.name_fault("unknown item {key}", at="documents", key=name)
    for name in analyses or {}:
        if name not in documents:
            faults.name_fault("unknown item {key}", at="analyses", key=name)
    until = valid_until_on or years_after(base_on, 1)
    _name_days(faults, base_on, until, local_date(now))
    if not assumptions or len(assumptions) > ASSUMPTIONS_MAX:
        faults.name_fault(
            "an appraisal rests on 1 to {most} stated assumptions",
            at="assumptions",
            most=ASSUMPTIONS_MAX,
        )
    for k, assumption in enumerate(assumptions):
        if not assumption.strip():
            faults.name_fault("an assumption must say something", at=f"assumptions.{k}")
    if sorted(weight.get("method", "") for weight in weights) != sorted(documents):
        faults.name_fault("each approach needs one weight with its reason", at="weights")
    if faults:
        raise Invalid("The appraisal lacks: {faults}.", faults=faults)
    figures = {name: _figure(name, documents[name]) for name in sorted(documents)}
    conclusion = reconciliation.reconcile(
        [(figures[w["method"]], w["weight"], w["reason"]) for w in weights]
    )
    value_fen = amount_fen(conclusion.value_fen, "value")  # no larger than a record can hold
    lock(session, registration)  # of two drafts at once, the later one sees the other
    before = _approved(session, registration.id, purpose)
    facts: dict[str, Any] = {
        "analyses": {
            name: _analysed(name, figures[name], request)
            for name, request in sorted((analyses or {}).items())
        },
        "assumptions": list(assumptions),
        "base_on": base_on.isoformat(),
        "conclusion": conclusion.to_dict(),
        "disclosures": dict(disclosures),
        "figures": {name: figure.to_dict() for name, figure in figures.items()},
        "maker_id": actor.member_id,
        "purpose": purpose,
        "registration_id": registration.id,
        "valid_until_on": until.isoformat(),
        "value_fen": value_fen,
    }
    facts |= {"inputs_digest": inputs_digest(facts), "method_versions": method_versions(facts)}
    replaces_id = before[0].id if before else None
    drafts: Sequence[Appraisal] = session.scalars(
        select(Appraisal).where(
            Appraisal.registration_id == registration.id, Appraisal.state == "drafted",
            Appraisal.replaces_id.is_not_distinct_from(replaces_id),
        )
    ).all()  # fmt: skip
    for known in (*drafts, *before[:1]):
        if facts.items() <= known.body().items():
            return known
    year = local_date(now).year
    appraisal = Appraisal(
        **facts, id=new_id(), number=f"PG{year}-{next_number(session, f'PG{year}'):04d}",
        edition=(before[0].edition or 1) + 1 if before else 1, replaces_id=replaces_id,
        reviewer_id=None, state=move("appraisal", "draft", None),
    )  # fmt: skip
    log.append(session, appraisal, "appraisal.drafted", actor.member_id)
    session.flush()
    return appraisal


def approve(session: Session, actor: Actor, now: datetime, appraisal: Appraisal) -> None:
    """A second appraiser approves, after everything has been recomputed; the edition before is superseded.

    Raises Conflict when it is out of date, or when another edition was approved since it was drafted.
    """
    _decide(session, actor, appraisal, "approve")
    state = move("appraisal", "approve", appraisal.state)
    recompute(appraisal)
    if local_date(now).isoformat() > appraisal.valid_until_on:
        raise Conflict(
            "Appraisal {number} held until {day}: draft a new one.",
            number=appraisal.number, day=appraisal.valid_until_on,
        )  # fmt: skip
    lock(session, session.get_one(Registration, appraisal.registration_id))
    before = _approved(session, appraisal.registration_id, appraisal.purpose)
    newest = before[0] if before else None
    if appraisal.edition is None:  # drafted before there were editions
        appraisal.edition = (newest.edition or 1) + 1 if newest else 1
        appraisal.replaces_id = newest.id if newest else None
    elif appraisal.replaces_id != (newest.id if newest else None):
        raise Conflict(
            "Appraisal {number} does not replace {known}, which was approved since for the same purpose: "
            "draft it anew.",
            number=appraisal.number, known=newest.number if newest else "-",
        )  # fmt: skip
    for old in before:
        old.state = move("appraisal", "supersede", old.state)
        log.append(session, old, "appraisal.superseded", actor.member_id, reason=appraisal.number)
    appraisal.state, appraisal.reviewer_id = state, actor.member_id
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


def withdraw(
    session: Session, actor: Actor, now: datetime, appraisal: Appraisal, reason: str
) -> None:
    """The maker takes his draft back before it is reviewed; the reason must be stated."""
    what = f"appraisal {appraisal.number}"
    may(actor, "appraisal.withdraw", party_of(session, appraisal.maker_id), what)
    if actor.member_id != appraisal.maker_id:
        raise NotAllowed(
            "Only the maker withdraws appraisal {number}; a reviewer rejects it.",
            number=appraisal.number,
        )
    if not reason.strip():
        raise Invalid("State the ground of the decision.")
    appraisal.state = move("appraisal", "withdraw", appraisal.state)
    log.append(session, appraisal, "appraisal.withdrawn", actor.member_id, reason=reason)


def recompute(appraisal: Appraisal) -> int:
    """How many steps agree when everything is computed once more from its inputs (`recomputed`)."""
    found = recomputed(appraisal.body())
    return sum(len(part.steps) for _, part in found if isinstance(part, Figure))


def recomputed(body: object) -> Iterator[tuple[str, Figure | Analysis | str]]:
    """Compute an appraisal's record once more; yields each part by name as soon as it agrees.

    Needs the record's body alone, which may be anybody's. Every step of every figure is computed again, the
    conclusion is that of these figures, and the value, the analyses, the digest of the inputs and the
    versions of the methods are theirs. Raises InputError naming the figure and the step, or ProofFailed
    naming the column, that differs first.
    """
    known = inputs.mapping(body, "", ("figures", "conclusion"), Appraisal.__table__.columns.keys())
    given = inputs.mapping(known["figures"], "figures", (), APPROACHES)
    figures: dict[str, Figure] = {}
    for name in sorted(given):
        figures[name] = _verified(name, given[name])
        yield name, figures[name]
    conclusion = _verified(CONCLUSION, known["conclusion"])
    assert conclusion.document is not None
    weighed = conclusion.document["inputs"].get("figures", ())
    documents = [canonical(figure.document) for figure in figures.values()]
    if sorted(canonical(one["document"]) for one in weighed) != sorted(documents) or not figures:
        raise _differs(known, CONCLUSION)
    if conclusion.value_fen != known.get("value_fen"):
        raise _differs(known, "value_fen")
    yield CONCLUSION, conclusion
    for name in sorted(inputs.mapping(known.get("analyses") or {}, "analyses", (), given)):
        yield f"analyses.{name}", analysis_of(known, name)
    for column, derived in (("inputs_digest", inputs_digest), ("method_versions", method_versions)):
        if known.get(column) is not None:  # absent in old records
            if known[column] != derived(known):
                raise _differs(known, column)
            yield column, str(known[column])


def analysis_of(body: Mapping[str, Any], name: str) -> Analysis:
    """The analysis of one approach in an appraisal's record, computed again.

    It is recorded without its figure, which stands among the figures. Raises InputError for what differs.
    """
    with _naming(f"analyses.{name}"):
        found = inputs.mapping(
            body["analyses"][name], "", ("request", "range", "tornado", "breakeven")
        )
        return simulation.verify({**found, "figure": body["figures"][name]})


def inputs_digest(body: Mapping[str, Any]) -> str:
    """The digest of all that an appraisal is computed from: documents, weights with reasons, analyses."""
    weighed = body["conclusion"]["document"]["inputs"]["figures"]
    return digest_text(
        canonical(
            {
                "analyses": {
                    name: one["request"] for name, one in (body["analyses"] or {}).items()
                },
                "documents": {name: one["document"] for name, one in body["figures"].items()},
                "weights": [
                    {
                        "method": one["document"]["method"],
                        "reason": one["reason"],
                        "weight": one["weight"],
                    }
                    for one in weighed
                ],
            }
        )
    )


def method_versions(body: Mapping[str, Any]) -> dict[str, str]:
    """The version of each method that took part, the reconciliation's too."""
    figures = (*body["figures"].values(), body["conclusion"])
    return {figure["method"]: figure["version"] for figure in figures}


def compared(session: Session, appraisal: Appraisal) -> Comparison | None:
    """The conclusion explained from that of the edition before; None for a first edition."""
    if appraisal.replaces_id is None:
        return None
    before = session.get_one(Appraisal, appraisal.replaces_id)
    old, new = (Figure.from_dict(one.conclusion) for one in (before, appraisal))
    return compare(old, new)


def standing(appraisal: Appraisal, today: date) -> str:
    """The state as of a day: an approved one whose last day is over has lapsed."""
    is_over = appraisal.state == "approved" and today.isoformat() > appraisal.valid_until_on
    return "lapsed" if is_over else appraisal.state


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


def _approved(session: Session, registration_id: str, purpose: str) -> list[Appraisal]:
    """What is approved for a registration and a purpose, the newest first; at most one since editions."""
    return list(
        session.scalars(
            select(Appraisal)
            .where(
                Appraisal.registration_id == registration_id, Appraisal.purpose == purpose,
                Appraisal.state == "approved",
            )
            .order_by(Appraisal.id.desc())
        )
    )  # fmt: skip


def by_number(session: Session, number: str) -> Appraisal:
    """The appraisal with a number; raises Missing."""
    found = session.scalar(select(Appraisal).where(Appraisal.number == number))
    if found is None:
        raise Missing("There is no appraisal {number}.", number=number)
    return found


def _name_days(faults: Faults, base_on: date, until: date, today: date) -> None:
    """What is wrong with the base day and the last day."""
    latest = years_after(base_on, 1)
    if base_on > today:
        faults.name_fault("the base day lies in the future", at="base_on")
    elif not base_on <= until <= latest:
        faults.name_fault(
            "the last day must lie between the base day and {latest}, a year later", at="valid_until_on",
            latest=latest.isoformat(),
        )  # fmt: skip
    elif until < today:
        faults.name_fault(
            "the appraisal would be over already: it holds until {until}", at="base_on",
            until=until.isoformat(),
        )  # fmt: skip


def _figure(name: str, document: Mapping[str, Any]) -> Figure:
    """The figure of one approach; what is wrong with its inputs is named with the approach."""
    with _naming(name):
        return methods.METHODS[name](document)


def _analysed(name: str, figure: Figure, request: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of an analysis: all of it but its figure, which is recorded already."""
    assert figure.document is not None
    with _naming(f"analyses.{name}"):
        made = simulation.analyse(figure.document, request).to_dict()
    return {key: value for key, value in made.items() if key != "figure"}


def _verified(name: str, figure: Any) -> Figure:
    with _naming(name):
        return methods.verify(figure)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Name the approach in a refusal of its method."""
    try:
        yield
    except InputError as error:
        places = [(f"{name}.{where}" if where else name, what) for where, what in error.problems]
        raise InputError.of(places) from None


def _differs(body: Mapping[str, Any], part: str) -> ProofFailed:
    return ProofFailed(
        "Appraisal {number} does not recompute: {part} differs.",
        number=str(body.get("number")),
        part=part,
    )


def _decide(session: Session, actor: Actor, appraisal: Appraisal, verb: str) -> None:
    what = f"appraisal {appraisal.number}"
    may(actor, f"appraisal.{verb}", party_of(session, appraisal.maker_id), what)
    require_other(actor, [appraisal.maker_id], what)
