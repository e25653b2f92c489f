"""Schemes of revenue (收益分配方案): how an agreement's revenue is shared, agreed by both its sides.

A scheme is written in the language of `valuation.schemes`; each edition binds from its first day until
the next one does.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log, statements
from ledger.agreements import Agreement
from ledger.errors import Conflict, Invalid, Missing
from ledger.parties import Actor, may, party_by_uscc, require_other
from ledger.states import move
from ledger.store import Evidence, lock, new_id
from valuation import schemes as scheme_language


class Scheme(Evidence):
    """A version of an agreement's revenue scheme (收益分配方案)."""

    __tablename__ = "schemes"
    __table_args__ = (UniqueConstraint("agreement_id", "edition"),)
    subject_type = "scheme"
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    edition: Mapped[int] = mapped_column(BigInteger)
    document: Mapped[dict[str, Any]]
    effective_from: Mapped[str]
    proposed_by: Mapped[str]
    agreed_by: Mapped[str | None]
    state: Mapped[str]


def propose(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, document: Mapping[str, Any],
    effective_from: date,
) -> Scheme:  # fmt: skip
    """Put a scheme forward; one that loses or invents a fen is refused with all its faults."""
    may(actor, "scheme.propose", agreement.operator_id, f"Agreement {agreement.number}")
    for payee in scheme_language.parties(scheme_language.check(dict(document))):
        known = party_by_uscc(session, payee).uscc  # nobody's share is booked to nobody
        if known != payee:  # under another spelling a share that was signed could not be booked
            raise Invalid("The payee {given} is written {known}.", given=payee, known=known)
    last = session.scalars(
        select(Scheme).where(Scheme.agreement_id == agreement.id).order_by(Scheme.edition.desc())
    ).first()
    if last is not None and last.document == dict(document):
        if last.effective_from != effective_from.isoformat():
            raise Conflict(
                "Edition {edition} is this scheme from {day} on.",
                edition=last.edition, day=last.effective_from,
            )  # fmt: skip
        return last
    scheme = Scheme(
        id=new_id(), agreement_id=agreement.id, edition=last.edition + 1 if last else 1,
        document=dict(document), effective_from=effective_from.isoformat(),
        proposed_by=actor.member_id, agreed_by=None, state=move("scheme", "propose", None),
    )  # fmt: skip
    log.append(session, scheme, "scheme.proposed", actor.member_id)
    session.flush()
    return scheme


def agree(
    session: Session, actor: Actor, now: datetime, scheme: Scheme, agreement: Agreement
) -> None:
    """The other side of the agreement agrees to the scheme: it binds from its day.

    Not on days that a statement which stands distributes by another edition.
    """
    may(actor, "scheme.agree")
    if scheme.agreement_id != agreement.id:
        raise Invalid(
            "The scheme belongs to another agreement than {number}.", number=agreement.number
        )
    may(actor, "scheme.agree", agreement.implementer_id, f"Agreement {agreement.number}")
    require_other(actor, [scheme.proposed_by], "the scheme")
    lock(session, agreement)  # whoever drafts takes the same lock
    state = move("scheme", "agree", scheme.state)
    last = statements.previous(session, agreement)
    if last is not None and scheme.effective_from <= last.until_on:
        raise Conflict(
            "Statement {number} distributes the days until {day}: have it rejected or reversed first, or "
            "let the scheme bind from a later day.",
            number=last.number, day=last.until_on,
        )  # fmt: skip
    scheme.state = state
    scheme.agreed_by = actor.member_id
    log.append(session, scheme, "scheme.agreed", actor.member_id)


def scheme_of(session: Session, agreement: Agreement, edition: int | None = None) -> Scheme:
    """The newest (or a given) edition of an agreement's scheme; raises Missing."""
    wanted = select(Scheme).where(Scheme.agreement_id == agreement.id)
    if edition is not None:
        wanted = wanted.where(Scheme.edition == edition)
    found = session.scalars(wanted.order_by(Scheme.edition.desc())).first()
    if found is None:
        raise Missing("Agreement {number} has no scheme.", number=agreement.number)
    return found


def bound_on(session: Session, agreement: Agreement, day: date) -> Scheme | None:
    """The agreed edition that binds on a day, if one does."""
    return session.scalars(
        select(Scheme)
        .where(
            Scheme.agreement_id == agreement.id,
            Scheme.state == "agreed",
            Scheme.effective_from <= day.isoformat(),
        )
        .order_by(Scheme.effective_from.desc(), Scheme.edition.desc())
    ).first()


def scheme_on(session: Session, agreement: Agreement, day: date) -> Scheme:
    """The agreed edition that binds on a day; raises Missing."""
    found = bound_on(session, agreement, day)
    if found is None:
        raise Missing(
            "Agreement {number} has no agreed scheme on {day}.",
            number=agreement.number,
            day=str(day),
        )
    return found


def one_for(session: Session, agreement: Agreement, from_on: date, until_on: date) -> Scheme:
    """The edition that binds on every day of a period; raises Conflict naming the day where to split it."""
    found = scheme_on(session, agreement, from_on)
    begins = session.scalars(
        select(Scheme.effective_from)
        .where(
            Scheme.agreement_id == agreement.id, Scheme.state == "agreed",
            Scheme.effective_from > from_on.isoformat(),
            Scheme.effective_from <= until_on.isoformat(),
        )
        .order_by(Scheme.effective_from)
    )  # fmt: skip
    for day in map(date.fromisoformat, begins):
        other = scheme_on(session, agreement, day)
        if other.id != found.id:
            raise Conflict(
                "From {day} on edition {edition} of the scheme binds, before it edition {before}: one "
                "statement shares by one edition, so let the period end on {end} and the next begin on "
                "{day}.",
                before=found.edition, day=str(day), edition=other.edition,
                end=str(day - timedelta(days=1)),
            )  # fmt: skip
    return found
