"""What waits for a person: everything he may move on as it stands, the most urgent first."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from itertools import islice
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import ColumnElement, String, and_, cast, exists, or_, select
from sqlalchemy.orm import Session

from ledger import (
    agreement_ends,
    deadlines,
    evaluations,
    log,
    overdue,
    payout_dues,
    registration_changes,
    revenue,
    statements,
)
from ledger.agreements import OVER, RUNNING, Agreement
from ledger.alarm_rows import Alarm
from ledger.appraisals import Appraisal
from ledger.authorisations import Authorisation
from ledger.bank_accounts import BankAccount
from ledger.calendar import local_date
from ledger.catalogue_imports import CatalogueImport
from ledger.chain import outbox
from ledger.deadlines import Term
from ledger.demands import Demand
from ledger.duties import Duty
from ledger.exclusions import Exclusion
from ledger.feedback import Feedback
from ledger.inquiries import Inquiry
from ledger.journals import Journal
from ledger.limits import AccountLimit
from ledger.motions import Motion
from ledger.objections import Objection
from ledger.orders import PREPAYMENT, Order
from ledger.parties import Actor, Member, roles_of
from ledger.payout_rows import Payout
from ledger.peers import Peer
from ledger.prices import Price
from ledger.proof.encoding import instant
from ledger.reconciliation import Difference, Reconciliation
from ledger.refunds import Refund
from ledger.registration import CONSENTED_IN, Application, Registration
from ledger.rights import MAY
from ledger.schemes import Scheme
from ledger.statements import Statement
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher
from valuation.money import yuan
from webapp.deeds import DEEDS, Desk, question
from webapp.deeds.alarms import KINDS
from webapp.deeds.forms import Body, text
from webapp.deeds.offers import fits
from webapp.deeds.subjects import BY_NOUN, owned, visible

EACH = 20
# What no deed of a row waits for: deadline → what is to be done, and whose it must be.
APPLY: dict[str, tuple[str, Any]] = {
    "agreement.first_due": ("Register what the agreement opens", Agreement.operator_id),
    "registration.renewal": ("Apply for the renewal", Registration.party_id),
}
APPLIES = {"agreement.first_due": {"operator"}, "registration.renewal": {"operator", "provider"}}
UPDATE = "Update the data and say so in the catalogue"
CLIMBING_MAX = 100
ABOUT = (
    "title",
    "purpose",
    "description",
    "ground",
    "question",
    "file_name",
)  # the first that a row has is told


class WorkItem(Schema):
    """One thing to do: the deed, its subject, since when and until when."""

    deed = fields.String(required=True)
    title = fields.String(required=True)
    noun = fields.String(required=True)
    number = fields.String(required=True)
    about = fields.String(required=True)
    state = fields.String(required=True, allow_none=True)
    due = fields.String(required=True, allow_none=True)
    urgency = fields.String(required=True, allow_none=True)
    """overdue, today, near, later or paused; None without a deadline"""
    days_left = fields.Integer(required=True, allow_none=True)
    """working days, or days where `working` is false; below zero: too late by so many"""
    working = fields.Boolean(required=True)
    provisional = fields.Boolean(required=True)
    rule = fields.String(required=True, allow_none=True)


class WorkQuery(Body):
    """Of which noun; without one, all."""

    noun = text("Kind", most=30, required=False, blank=True)


class WorkAnswer(Schema):
    """All that waits."""

    items = fields.List(fields.Nested(WorkItem), required=True)
    alarms = fields.Integer(required=True)


def _not_mine(column: Any) -> Any:
    return lambda actor: column.is_distinct_from(actor.member_id)


def _brings_on(actor: Actor) -> Any:
    """Statements that he made, or a colleague who makes none any more."""
    gone = select(Member.id).where(
        Member.party_id.in_(actor.parties),
        ~cast(Member.roles, String).contains(f'"{statements.MAKER}"'),
    )
    return or_(Statement.maker_id == actor.member_id, Statement.maker_id.in_(gone))


def _firm(column: Any) -> Any:
    """Made by a colleague: by another member of one's own organisation."""
    return lambda actor: column.in_(
        select(Member.id).where(Member.party_id == actor.party_id, Member.id != actor.member_id)
    )


def _answers(actor: Actor) -> Any:
    """Feedback on his department's resources; where the provider takes no part, the registrar's."""
    own = Feedback.department_id.in_(actor.parties)
    return or_(own, Feedback.department_id.is_(None)) if "registrar" in actor.roles else own


def _owes_answer(actor: Actor) -> Any:
    """A difference that his organisation has to explain; finance what it owes itself or asks the bank."""
    own = Difference.owner_id.in_(actor.parties)
    return or_(own, Difference.owner_id.is_(None)) if "finance_maker" in actor.roles else own


def _settles(actor: Actor) -> Any:
    """An answered difference of a file that somebody else imported, which somebody else answered."""
    own = select(Reconciliation.id).where(Reconciliation.imported_by == actor.member_id)
    answered = Difference.answered_by.is_distinct_from(actor.member_id)
    return and_(answered, Difference.reconciliation_id.not_in(own))


def _returned(type_: str) -> Any:
    """One's own application of a type that came back."""
    return lambda actor: and_(Application.type == type_, Application.party_id.in_(actor.parties))


# deed → (noun, states in which it waits, whose it must be)
WAITING: dict[str, tuple[str, tuple[str, ...], Any]] = {
    "application.accept": ("application", ("submitted",), _not_mine(Application.applicant_id)),
    "application.pass": ("application", ("in_review",), _not_mine(Application.applicant_id)),
    "application.notice": ("application", ("reviewed",), _not_mine(Application.applicant_id)),
    "application.second": ("application", ("reviewed",), _not_mine(Application.applicant_id)),
    "application.conclude": ("application", ("reviewed", "on_notice"),
                             _not_mine(Application.applicant_id)),
    "application.code": ("application", ("on_notice",), _not_mine(Application.applicant_id)),
    "application.consent": ("application", CONSENTED_IN, lambda _actor: None),
    "application.submit": ("application", ("returned",), lambda actor: and_(
        Application.type == "first", Application.party_id.in_(actor.parties))),
    **{f"application.{verb}": ("application", ("returned",), _returned(type_))
       for type_, verb in registration_changes.VERBS.items()},
    "objection.uphold": ("objection", ("raised",), _not_mine(Objection.raised_by)),
    "registration.revoke": ("registration", ("under_inquiry",), lambda _actor: None),
    "catalogue.approve": ("catalogue", ("proposed",), _not_mine(CatalogueImport.imported_by)),
    "agreement.sign": ("agreement", ("proposed",),
                       lambda actor: Agreement.implementer_id == actor.party_id),
    "agreement.consent": ("agreement", ("proposed",), lambda _actor: None),
    "agreement.end": ("agreement", ("ending",), agreement_ends.awaits),
    "agreement.hand_back": ("agreement", ("ended", "expired", "hand_back_open"),
                            lambda actor: Agreement.operator_id.in_(actor.parties)),
    "agreement.confirm_hand_back": ("agreement", ("handing_back",),
                                    lambda actor: Agreement.implementer_id.in_(actor.parties)),
    "price.confirm": ("price", ("proposed",), lambda actor: Price.agreement_id.in_(
        select(Agreement.id).where(Agreement.implementer_id.in_(actor.parties)))),
    "scheme.agree": ("scheme", ("proposed",), lambda actor: Scheme.agreement_id.in_(
        select(Agreement.id).where(Agreement.implementer_id == actor.party_id))),
    "voucher.issue": ("registration", ("registered",), lambda _actor: ~exists().where(
        Voucher.registration_id == Registration.id)),
    "motion.confirm": ("motion", ("proposed",), _not_mine(Motion.proposed_by)),
    "authorisation.consent": ("authorisation", ("requested",),
                              lambda actor: Authorisation.subject_id.in_(actor.parties)),
    "authorisation.issue": ("authorisation", ("consented",), lambda _actor: None),
    "peer.admit": ("peer", ("proposed",), _not_mine(Peer.proposed_by)),
    "appraisal.approve": ("appraisal", ("drafted",), _firm(Appraisal.maker_id)),
    "statement.propose": ("statement", ("drafted",), _brings_on),
    "statement.approve": ("statement", ("proposed",), _firm(Statement.maker_id)),
    "statement.correct": ("statement", ("rejected",), _brings_on),
    "inquiry.answer": ("inquiry", ("raised",), lambda actor: Inquiry.statement_id.in_(
        select(Statement.id).where(_brings_on(actor)))),
    "inquiry.close": ("inquiry", ("answered",), lambda actor: Inquiry.party_id.in_(actor.parties)),
    "journal.approve": ("journal", ("proposed",), _not_mine(Journal.proposed_by)),
    "limit.approve": ("limit", ("proposed",), _not_mine(AccountLimit.proposed_by)),
    "payment.record": ("licence", ("granted",), lambda _actor: (Licence.price_fen > 0) & ~exists().where(
        Payment.licence_id == Licence.id, Payment.undone_by.is_(None))),
    "bank_account.confirm": ("bank_account", ("entered",), _not_mine(BankAccount.entered_by)),
    "payout.prepare": ("agreement", (*RUNNING, *OVER), lambda _actor: payout_dues.is_due()),
    "payout.approve": ("payout", ("prepared",), _not_mine(Payout.maker_id)),
    "payout.confirm": ("payout", ("approved", "partly_paid"), lambda _actor: None),
    "difference.answer": ("difference", ("open",), _owes_answer),
    "difference.settle": ("difference", ("answered",), _settles),
    "order.fulfil": ("order", ("placed",), lambda actor: Order.voucher_id.in_(
        select(Voucher.id).where(Voucher.party_id.in_(actor.parties)))
        & ((Order.paid_by != PREPAYMENT) | (Order.placed_by != actor.member_id))),
    "refund.approve": ("refund", ("proposed",), _firm(Refund.proposed_by)),
    "demand.assign": ("demand", ("submitted",), _not_mine(Demand.submitted_by)),
    "demand.accept": ("demand", ("assigned",),
                      lambda actor: Demand.department_id.in_(actor.parties)),
    "demand.fulfil": ("demand", ("accepted",),
                      lambda actor: Demand.department_id.in_(actor.parties)),
    "demand.close": ("demand", ("fulfilled", "refused"),
                     lambda actor: Demand.party_id.in_(actor.parties)),
    "demand.uphold": ("demand", ("appealed",), _not_mine(Demand.submitted_by)),
    "duty.settle": ("duty", ("open",), lambda actor: Duty.party_id.in_(actor.parties)),
    "duty.confirm": ("duty", ("settled",), lambda _actor: None),
    "exclusion.approve": ("exclusion", ("proposed",), _not_mine(Exclusion.proposed_by)),
    "exclusion.end": ("exclusion", ("in_force",), _not_mine(Exclusion.proposed_by)),
    "feedback.answer": ("feedback", ("raised",), lambda actor: _answers(actor)),  # noqa: PLW0108 - it stands below
    "feedback.close": ("feedback", ("answered",),
                       lambda actor: Feedback.party_id.in_(actor.parties)),
    "feedback.uphold": ("feedback", ("appealed",), _not_mine(Feedback.raised_by)),
    "alarm.explain": ("alarm", ("raised",), lambda actor: Alarm.owner_id.in_(actor.parties)),
    "alarm.close": ("alarm", ("explained",), lambda _actor: None),
    "statement.draft": ("agreement", (*RUNNING, *OVER), lambda _actor: revenue.is_waiting()),
}  # fmt: skip


@question("work.read", "/work", "What waits for me", answer=WorkAnswer, query=WorkQuery)
def work(desk: Desk, session: Session, actor: Actor, noun: str = "") -> dict[str, Any]:
    """By urgency and then by what is left; what has no deadline, and what is paused, at the end."""
    today = local_date(desk.now)
    found = [item for name in WAITING for item in _items(session, actor, name, today)]
    found += _stale(session, actor, today)
    found += _to_apply_for(session, actor, today)
    found += _evaluations(session, actor, today)
    found.sort(key=lambda item: (*_rank(item), item["due"] or "9999", item["number"]))
    found = [item for item in found if noun in ("", item["noun"])]
    sees_alarms = bool(roles_of(actor) & set(MAY["outbox.read"]))
    return {"alarms": len(outbox.alarms(session)) if sees_alarms else 0, "items": found}


class Climbing(Schema):
    """Something on its way: how far its last record is, and its last act on chain."""

    noun = fields.String(required=True)
    number = fields.String(required=True)
    about = fields.String(required=True)
    at = fields.String(required=True)
    rung = fields.String(required=True)
    on_chain = fields.String(required=True, allow_none=True)
    problem = fields.String(required=True, allow_none=True)
    reason = fields.Dict(required=True)


class LadderAnswer(Schema):
    """What has not come to the top yet, the newest first; `more` when there is more than is told."""

    items = fields.List(fields.Nested(Climbing), required=True)
    more = fields.Boolean(required=True)


@question("ladder.read", "/ladder", "On its way to the chain", answer=LadderAnswer)
def ladder(_desk: Desk, session: Session, actor: Actor) -> dict[str, Any]:
    """Everything the person may see whose last record is not confirmed, or whose act is not final."""
    unsettled = or_(outbox.IS_OPEN, outbox.Act.state == "alarm")
    newest = select(log.Record.subject_id).where(
        log.Record.leaf_index >= log.confirmed_size(session)
    )
    items = []
    for noun, subject in BY_NOUN.items():
        if f"{noun}.read" not in MAY:
            continue
        climbing = newest.where(log.Record.subject_type == subject.model.subject_type)
        sent = select(outbox.Act.subject_id).where(unsettled)
        wanted = select(subject.model).where(
            or_(subject.model.id.in_(climbing), subject.model.id.in_(sent))
        )
        mine = visible(session, actor, noun)
        if mine is not None:
            wanted = wanted.where(mine)
        for row in session.scalars(
            wanted.order_by(subject.model.id.desc()).limit(CLIMBING_MAX + 1)
        ):
            record = log.record_of(session, row.id, row.version)
            # Of several acts the first is told: the others wait for it.
            act = session.scalars(
                select(outbox.Act)
                .where(outbox.Act.subject_id == row.id, unsettled)
                .order_by(outbox.Act.id)
                .limit(1)
            ).first()
            items.append({
                "about": getattr(row, "title", None) or getattr(row, "name", None)
                or getattr(row, "file_name", ""),
                "at": instant(record.at), "noun": noun, "number": subject.number(row),
                "on_chain": act and act.state, "problem": act and outbox.told(act.problem),
                "reason": (act and act.problem) or {}, "rung": log.rung(session, record),
            })  # fmt: skip
    items.sort(key=lambda item: str(item["at"]), reverse=True)
    return {"items": items[:CLIMBING_MAX], "more": len(items) > CLIMBING_MAX}


def _rank(item: Mapping[str, Any]) -> tuple[int, int]:
    """The most urgent first; what has no deadline stands after what has one that runs."""
    order = (*deadlines.URGENCIES[:-1], None, "paused")
    return order.index(item["urgency"]), item["days_left"] or 0


def _items(session: Session, actor: Actor, name: str, today: date) -> Iterator[dict[str, Any]]:
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
        limit = deadlines.settled_by(row, name)
        if not fits(name, session, actor, row, today):
            continue
        is_noticed = noun == "application" and row.state == "on_notice"
        if is_noticed and today.isoformat() <= row.notice["until"]["on"]:
            continue  # the notice still runs
        if name == "exclusion.end" and today.isoformat() < row.review_on:
            continue  # its review is still to come
        yield {
            "about": _about(session, noun, row),
            "deed": name, "noun": noun, "number": subject.number(row),
            "state": row.state, "title": deed.title, **_limit(limit, today),
        }  # fmt: skip


def _about(session: Session, noun: str, row: Any) -> str:
    """What tells a row from its like: a text of its own, else its amount."""
    if noun == "alarm":
        return KINDS[row.kind]
    if noun == "scheme":
        return f"{session.get_one(Agreement, row.agreement_id).number} · {row.edition}"
    texts = (text for part in ABOUT if (text := getattr(row, part, None)))
    amount = getattr(row, "amount_fen", None)
    return str(next(texts, "" if amount is None else f"¥ {yuan(amount)}"))


def _limit(limit: tuple[Term, Mapping[str, Any]] | None, today: date) -> dict[str, Any]:
    """What an item tells of its deadline."""
    if limit is None:
        return {"days_left": None, "due": None, "provisional": False, "rule": None, "urgency": None,
                "working": True}  # fmt: skip
    term, due = limit
    how = deadlines.standing(due, today, term)
    return {
        "days_left": how.left, "due": how.on, "provisional": how.provisional,
        "rule": term.rule or None, "urgency": how.urgency, "working": term.working,
    }  # fmt: skip


def _stale(session: Session, actor: Actor, today: date) -> Iterator[dict[str, Any]]:
    """The actor's own resources whose data are past their cycle, the longest first."""
    if "provider" not in actor.roles:
        return
    own = replace(actor, roles=frozenset({"provider"}))
    for item in overdue.items(session, own, today, limit=EACH):
        if item.noun == "resource":
            yield {
                "about": item.title, "days_left": -item.days_late, "deed": "resource.change",
                "due": item.due_on, "noun": "resource", "number": item.number,
                "provisional": item.provisional, "rule": None, "state": None, "title": UPDATE,
                "urgency": "overdue", "working": True,
            }  # fmt: skip


def _to_apply_for(session: Session, actor: Actor, today: date) -> Iterator[dict[str, Any]]:
    """What an operator has to register under his agreements, and what of one's own comes up for renewal."""
    for name, (title, whose) in APPLY.items():
        if actor.roles.isdisjoint(APPLIES[name]):
            continue
        term = deadlines.TERMS[name]
        found = deadlines.rows_of(session, term, today, whose.in_(sorted(actor.parties)))
        for row, due in islice(found, EACH):
            yield {
                "about": row.title, "deed": "application.submit", "noun": term.noun,
                "number": BY_NOUN[term.noun].number(row), "state": row.state, "title": title,
                **_limit((term, due), today),
            }  # fmt: skip


def _evaluations(session: Session, actor: Actor, today: date) -> Iterator[dict[str, Any]]:
    """The years of the actor's agreements that wait for their evaluation."""
    if "provider" not in actor.roles:
        return
    mine = select(Agreement).where(Agreement.implementer_id.in_(actor.parties))
    rows = session.scalars(mine.order_by(Agreement.id)).all()
    title = DEEDS["evaluation.make"].title
    for row, period in islice(evaluations.due(session, rows, today), EACH):
        yield {
            "about": row.title, "deed": "evaluation.make", "noun": "agreement", "number": row.number,
            "state": row.state, "title": title,
            **_limit((deadlines.EVALUATION, deadlines.by_day(period.due_on)), today),
        }  # fmt: skip


def _related(actor: Actor, verb: str, subject: Any) -> list[ColumnElement[bool]] | None:
    """Conditions that make the actor's relation to the rows fit; None when no role of his does."""
    relations = {MAY[verb][role] for role in roles_of(actor) if role in MAY[verb]}
    if not relations:
        return None
    if "any" in relations or subject.noun in (
        "statement",
        "appraisal",
        "scheme",
        "agreement",
        "order",
        "refund",
    ):
        return []  # these say themselves whose they must be
    conditions = []
    if "own" in relations:
        conditions.append(owned(actor, subject))
    if "other" in relations:
        conditions.append(~owned(actor, subject))
    return [or_(*conditions)]
