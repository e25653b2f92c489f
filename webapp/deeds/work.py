"""What waits for a person: everything he may move on as it stands, the most urgent first."""

from collections.abc import Iterator
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session

from ledger.agreements import Agreement
from ledger.appraisals import Appraisal
from ledger.calendar import local_date
from ledger.chain import outbox
from ledger.parties import MAY, Actor, Member, roles_of
from ledger.registration import Application, Registration
from ledger.revenue import Scheme, Statement
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher
from webapp.deeds import DEEDS, Desk, question
from webapp.deeds.subjects import BY_NOUN

EACH = 20


class WorkItem(Schema):
    """One thing to do: the deed, its subject, since when and until when."""

    deed = fields.String(required=True)
    title = fields.String(required=True)
    noun = fields.String(required=True)
    number = fields.String(required=True)
    about = fields.String(required=True)
    state = fields.String(required=True, allow_none=True)
    due = fields.String(required=True, allow_none=True)


class WorkAnswer(Schema):
    """All that waits."""

    items = fields.List(fields.Nested(WorkItem), required=True)
    alarms = fields.Integer(required=True)


def _not_mine(column: Any) -> Any:
    return lambda actor: column.is_distinct_from(actor.member_id)


def _mine(column: Any) -> Any:
    return lambda actor: column == actor.member_id


def _firm(column: Any) -> Any:
    """Made by a colleague: by another member of one's own organisation."""
    return lambda actor: column.in_(
        select(Member.id).where(Member.party_id == actor.party_id, Member.id != actor.member_id)
    )


# deed → (noun, states in which it waits, whose it must be)
WAITING: dict[str, tuple[str, tuple[str, ...], Any]] = {
    "application.accept": ("application", ("submitted",), _not_mine(Application.applicant_id)),
    "application.pass": ("application", ("in_review",), _not_mine(Application.applicant_id)),
    "application.notice": ("application", ("reviewed",), _not_mine(Application.applicant_id)),
    "application.code": ("application", ("on_notice",), _not_mine(Application.applicant_id)),
    "application.submit": ("application", ("returned",), lambda _actor: None),
    "agreement.sign": ("agreement", ("proposed",),
                       lambda actor: Agreement.implementer_id == actor.party_id),
    "scheme.agree": ("scheme", ("proposed",), lambda actor: Scheme.agreement_id.in_(
        select(Agreement.id).where(Agreement.implementer_id == actor.party_id))),
    "voucher.issue": ("registration", ("registered",), lambda _actor: ~exists().where(
        Voucher.registration_id == Registration.id)),
    "appraisal.approve": ("appraisal", ("drafted",), _firm(Appraisal.maker_id)),
    "statement.propose": ("statement", ("drafted",), _mine(Statement.maker_id)),
    "statement.approve": ("statement", ("proposed",), _firm(Statement.maker_id)),
    "payment.record": ("licence", ("granted",), lambda _actor: (Licence.price_fen > 0) & ~exists().where(
        Payment.licence_id == Licence.id)),
    "statement.draft": ("agreement", ("in_force",), lambda _actor: exists().where(
        Payment.statement_id.is_(None), Payment.licence_id == Licence.id,
        Licence.voucher_id == Voucher.id, Voucher.registration_id == Registration.id,
        Registration.agreement_id == Agreement.id)),
}  # fmt: skip


@question("work.read", "/work", "What waits for me", answer=WorkAnswer)
def work(desk: Desk, session: Session, actor: Actor) -> dict[str, Any]:
    today = local_date(desk.now).isoformat()
    found = [item for name in WAITING for item in _items(session, actor, name, today)]
    found.sort(key=lambda item: (item["due"] or "9999", item["number"]))
    sees_alarms = bool(roles_of(actor) & set(MAY["outbox.read"]))
    return {"alarms": len(outbox.alarms(session)) if sees_alarms else 0, "items": found}


def _items(session: Session, actor: Actor, name: str, today: str) -> Iterator[dict[str, Any]]:
    deed, (noun, states, whose) = DEEDS[name], WAITING[name]
    subject = BY_NOUN[noun]
    where = _related(actor, deed.verb, subject)
    if where is None:
        return
    model: Any = subject.model
    query = select(model).where(model.state.in_(states), *where).order_by(model.id).limit(EACH)
    mine = whose(actor)
    if mine is not None:
        query = query.where(mine)
    for row in session.scalars(query):
        due = None
        if name == "application.code":
            due = row.notice["until"]["on"]
            if today <= due:
                continue  # the notice still runs
        elif noun == "application":
            due = next((limit["on"] for limit in row.deadlines.values()), None)
        yield {
            "about": getattr(row, "title", None) or getattr(row, "purpose", "") or "",
            "deed": name, "due": due, "noun": noun, "number": subject.number(row),
            "state": row.state, "title": deed.title,
        }  # fmt: skip


def _related(actor: Actor, verb: str, subject: Any) -> list[ColumnElement[bool]] | None:
    """Conditions that make the actor's relation to the rows fit; None when no role of his does."""
    relations = {MAY[verb][role] for role in roles_of(actor) if role in MAY[verb]}
    if not relations:
        return None
    if "any" in relations or subject.noun in ("statement", "appraisal", "scheme", "agreement"):
        return []  # these say themselves whose they must be
    conditions = []
    if "own" in relations:
        conditions.append(subject.mine(actor.party_id))
    if "other" in relations:
        conditions.append(~subject.mine(actor.party_id))
    return [or_(*conditions)]
