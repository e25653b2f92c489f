"""Every running deadline (时限) of the field, in one table: whose it is, by which rule, and how urgent.

    TERMS      noun and states in which it runs, where it stands in the row, who owes it, its rule
    urgency    overdue, today, near, later or paused

A deadline in working days is near two of them before its last day; one in days of the calendar ten days
before, unless its term says otherwise. The last day is in time to its end.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Text, exists, func, select, type_coerce
from sqlalchemy.orm import Session

from ledger import log
from ledger.agreements import RUNNING, Agreement
from ledger.alarm_rows import Alarm
from ledger.calendar import clock, end_of_day, local_date, recount, working_days_left
from ledger.demands import Demand
from ledger.duties import Duty
from ledger.exclusions import Exclusion
from ledger.feedback import Feedback
from ledger.messages import To
from ledger.objections import Objection
from ledger.reconciliation import Difference
from ledger.register import OPEN_STATES
from ledger.registration import Application, Registration, owners
from ledger.store import Evidence, text_in

NEAR_WORKING_DAYS = 2
NEAR_DAYS = 10
RENEWAL_DAYS = 60  # 26号 art. 15: the window before the last day of validity
FIRST_WORKING_DAYS = 20  # 26号 art. 9(1): from when the resource or product is supplied
FIRST_STOCK_WORKING_DAYS = 30  # of those who were there when the measures came into force
IN_FORCE_ON = date(2025, 3, 1)
URGENCIES = ("overdue", "today", "near", "later", "paused")
HORIZON_DAYS = 20  # no two working days are further apart, and no two of a near deadline either
SYSTEM = "system"
ART_9, ART_10, ART_11, ART_12, ART_15 = (  # 发改数据规〔2025〕26号
    "Registration measures, art. 9",
    "Registration measures, art. 10",
    "Registration measures, art. 11",
    "Registration measures, art. 12",
    "Registration measures, art. 15",
)
OPERATION_ART_14 = "Operation rules, art. 14"  # 发改数据规〔2025〕27号
Due = Mapping[str, Any]
Whom = Callable[[Any], tuple[To, ...]]


@dataclass(frozen=True)
class Term:
    """A kind of deadline. `title` and `rule` are told to people; `owed` says whose it is.

    `place` finds it in a row, None where it does not run; `on(session)` is its last day for the database,
    where it stands there as a text. `deeds` are those that settle it; `since` marks what waits from its
    last day on instead of until then; `late` whether others hear of it when it is past, `passes` whether
    anybody does.
    """

    name: str
    model: type[Evidence]
    title: str
    rule: str
    states: tuple[str, ...]
    place: Callable[[Any], Due | None]
    owed: Whom
    deeds: tuple[str, ...] = ()
    on: Callable[[Session], ColumnElement[str]] | None = None
    only: Callable[[], ColumnElement[bool]] | None = None
    working: bool = True
    near: int = NEAR_WORKING_DAYS
    since: bool = False
    late: bool = True
    passes: bool = True
    near_says: str = "{deadline}: {number} is due on {day}."
    past_says: str = "{deadline}: {number} was due on {day} and is overdue."

    @property
    def noun(self) -> str:
        return self.model.subject_type


@dataclass(frozen=True)
class Standing:
    """How a deadline stands today: working days (else days) left, below zero how many too late."""

    urgency: str
    left: int
    on: str
    provisional: bool

    @property
    def rank(self) -> tuple[int, int]:
        return URGENCIES.index(self.urgency), self.left


# -- who owes -----------------------------------------------------------------------------------


def _others_registrar(row: Any) -> tuple[To, ...]:
    return (To("registrar", other_than=row.party_id),)


def _registrar(_row: Any) -> tuple[To, ...]:
    return (To("registrar"),)


def _provider(row: Any) -> tuple[To, ...]:
    return (To("provider", row.party_id),)


def _subject(row: Any) -> tuple[To, ...]:
    """For whom it is registered, an operator or a body that provides."""
    return tuple(To(party_id=one) for one in owners(row))


def _department(row: Any) -> tuple[To, ...]:
    return (To("provider", row.department_id),) if row.department_id else (To("registrar"),)


def _owner(row: Any) -> tuple[To, ...]:
    return (To(party_id=row.owner_id),) if row.owner_id else ()


def _owing(row: Any) -> tuple[To, ...]:
    return _owner(row) or (To("finance_maker"),)


def _both_sides(row: Any) -> tuple[To, ...]:
    return (To("operator", row.operator_id), To("provider", row.implementer_id))


# -- where it stands ----------------------------------------------------------------------------


def _in_deadlines(name: str) -> Callable[[Any], Due | None]:
    return lambda row: row.deadlines.get(name)


def _what(name: str) -> Callable[[Any], Due | None]:
    return lambda row: row.due if row.due and row.due["what"] == name else None


def _text(column: Any, *path: str) -> Callable[[Session], ColumnElement[str]]:
    return lambda session: text_in(session, column, *path)


def _shanghai_day(column: Any) -> Callable[[Session], ColumnElement[str]]:
    """The day of an instant, for the database."""

    def day(session: Session) -> ColumnElement[str]:
        if session.get_bind().dialect.name == "postgresql":
            return func.to_char(func.timezone("Asia/Shanghai", column), "YYYY-MM-DD")
        return func.strftime("%Y-%m-%d", column, "+8 hours")

    return day


def by_day(on: date) -> Due:
    """A deadline that falls on a day of the calendar."""
    return _day(on.isoformat())


def _day(on: str) -> Due:
    return {"left": None, "on": on, "provisional": False}


def _valid_until(row: Any) -> Due:
    return _day(local_date(row.valid_until).isoformat())


def first_due(agreement: Agreement) -> dict[str, Any]:
    """Until when the operator has to register what an agreement opens to him, 26号 art. 9(1)."""
    start = date.fromisoformat(agreement.from_on)
    if start < IN_FORCE_ON:
        return clock(IN_FORCE_ON, FIRST_STOCK_WORKING_DAYS)
    return clock(start, FIRST_WORKING_DAYS)


def _nothing_applied_for() -> ColumnElement[bool]:
    return ~exists().where(
        Application.agreement_id == Agreement.id, Application.party_id == Agreement.operator_id
    )


def _application(name: str, title: str, rule: str, states: str, *deeds: str) -> Term:
    return Term(
        f"application.{name}", Application, title, rule, tuple(states.split()), _in_deadlines(name),
        _others_registrar, deeds, _text(Application.deadlines, name, "on"),
    )  # fmt: skip


def _no_renewal_open() -> ColumnElement[bool]:
    """What is being renewed waits for the registrar, not for its subject."""
    return ~exists().where(
        Application.registration_id == Registration.id, Application.type == "renewal",
        Application.state.in_(OPEN_STATES),
    )  # fmt: skip


EVALUATION = Term(
    "agreement.evaluation", Agreement, "Yearly evaluation of the agreement", OPERATION_ART_14,
    (), lambda _row: None, lambda row: (To("provider", row.implementer_id),), working=False,
    near=NEAR_DAYS,
)  # fmt: skip
TERMS: dict[str, Term] = {term.name: term for term in (
    _application("accept", "Acceptance of the application", ART_10, "submitted",
                 "application.accept"),
    _application("review", "Review of the application", ART_11, "in_review reviewed",
                 "application.pass", "application.second"),
    _application("cancellation", "Cancellation of the registration", ART_9, "in_review reviewed",
                 "application.pass", "application.second", "application.conclude"),
    Term("objection.review", Objection, "Review of the objection", ART_12, ("raised",),
         lambda row: row.due, _registrar, ("objection.uphold", "objection.dismiss"),
         _text(Objection.due, "on")),
    Term("application.notice", Application, "Public notice of the application", ART_12,
         ("on_notice",), lambda row: row.notice.get("until"), _others_registrar,
         ("application.code", "application.conclude"), _text(Application.notice, "until", "on"),
         since=True, late=False,
         past_says="{deadline}: {number} stood its notice until {day}; it can be coded."),
    Term("duty.settle", Duty, "Change of the catalogue", "", ("open",), lambda row: row.due,
         _provider, ("duty.settle",), _text(Duty.due, "on")),
    Term("demand.assign", Demand, "Assignment of the demand", "", ("submitted",), _what("assign"),
         _registrar, ("demand.assign",), _text(Demand.due, "on")),
    Term("demand.answer", Demand, "Answer to the demand", "", ("assigned",), _what("answer"),
         _department, ("demand.accept",), _text(Demand.due, "on")),
    Term("demand.supply", Demand, "Supply of the data", "", ("accepted",), _what("supply"),
         _department, ("demand.fulfil",), _text(Demand.due, "on")),
    Term("demand.decide", Demand, "Decision on the appeal", "", ("appealed",), _what("decide"),
         _others_registrar, ("demand.uphold", "demand.dismiss"), _text(Demand.due, "on")),
    Term("feedback.answer", Feedback, "Answer to the feedback", "", ("raised",), _what("answer"),
         _department, ("feedback.answer",), _text(Feedback.due, "on")),
    Term("feedback.decide", Feedback, "Decision on the appeal", "", ("appealed",), _what("decide"),
         _others_registrar, ("feedback.uphold", "feedback.dismiss"), _text(Feedback.due, "on")),
    Term("alarm.explain", Alarm, "Explanation of the alarm", "", ("raised",), lambda row: row.due,
         _owner, ("alarm.explain",), _text(Alarm.due, "on")),
    Term("difference.answer", Difference, "Answer to the difference", "", ("open",),
         lambda row: row.due, _owing, ("difference.answer",), _text(Difference.due, "on")),
    Term("exclusion.review", Exclusion, "Review of the entry", "", ("in_force",),
         lambda row: _day(row.review_on), _registrar, ("exclusion.end",),
         lambda _session: Exclusion.review_on.expression, working=False, near=NEAR_DAYS),
    Term("registration.renewal", Registration, "Renewal of the registration", ART_15,
         ("registered",), _valid_until, _subject, (), _shanghai_day(Registration.valid_until),
         _no_renewal_open, working=False, near=RENEWAL_DAYS, late=False, passes=False,
         near_says="{deadline}: {number} is valid until {day}; apply for its renewal before."),
    Term("registration.expiry", Registration, "Validity of the registration", ART_15,
         ("registered",), _valid_until, _subject, (), _shanghai_day(Registration.valid_until),
         _no_renewal_open, working=False, near=NEAR_DAYS,
         near_says="{deadline}: {number} is valid until {day}.",
         past_says="{deadline}: {number} was valid until {day}."),
    Term("agreement.end", Agreement, "Term of the agreement", OPERATION_ART_14, RUNNING,
         lambda row: _day(row.until_on), _both_sides, (),
         lambda _session: Agreement.until_on.expression, working=False, near=NEAR_DAYS,
         near_says="{deadline}: {number} runs until {day}.",
         past_says="{deadline}: {number} ran until {day}."),
    Term("agreement.first_due", Agreement, "First registration under the agreement", ART_9,
         ("in_force",), first_due, lambda row: (To("operator", row.operator_id),),
         only=_nothing_applied_for),
)}  # fmt: skip


# -- how it stands ------------------------------------------------------------------------------


def standing(due: Due, today: date, term: Term | None = None) -> Standing:
    """How a deadline stands; without a term, one in working days."""
    on, provisional = date.fromisoformat(due["on"]), bool(due.get("provisional"))
    if due.get("left") is not None:
        return Standing("paused", int(due["left"]), due["on"], provisional)
    by_calendar = term is not None and not term.working
    left = (on - today).days if by_calendar else working_days_left(today, on)[0]
    if term is not None and term.since:
        urgency = "today" if today > on else "later"
        return Standing(urgency, max(left, 0), due["on"], provisional)
    near = NEAR_WORKING_DAYS if term is None else term.near
    if today > on:
        urgency = "overdue"
    elif today == on:
        urgency = "today"
    else:
        urgency = "near" if left <= near else "later"
    return Standing(urgency, left, due["on"], provisional)


def running(row: Evidence, deed: str = "") -> Iterator[tuple[Term, Due]]:
    """The deadlines that run in a row; of those only the ones a deed settles, if it is named."""
    for term in TERMS.values():
        if term.model is type(row) and getattr(row, "state", None) in term.states:
            due = None if term.only is not None else term.place(row)
            if due is not None and (not deed or deed in term.deeds):
                yield term, due


def settled_by(row: Evidence, deed: str) -> tuple[Term, Due] | None:
    """The deadline that a deed settles in a row, the first to fall."""
    found = sorted(running(row, deed), key=lambda one: str(one[1]["on"]))
    return found[0] if found else None


def rows_of(session: Session, term: Term, today: date, *more: Any) -> Iterator[tuple[Any, Due]]:
    """The rows in which a deadline is near or past, each with it."""
    wanted = select(term.model).where(*_may_be_near(session, term, today), *more)
    for row in session.scalars(wanted.order_by(term.model.id)):
        due = term.place(row)
        if due is not None and standing(due, today, term).urgency != "later":
            yield row, due


def _may_be_near(session: Session, term: Term, today: date) -> list[ColumnElement[bool]]:
    """What the database can say of it: it runs, and its last day is not far."""
    model: Any = term.model
    conditions: list[ColumnElement[bool]] = [model.state.in_(term.states)]
    horizon = today + timedelta(days=max(term.near, HORIZON_DAYS))
    if term.only is not None:
        conditions.append(term.only())
    if term.model is Registration:
        conditions.append(Registration.valid_until <= end_of_day(horizon))
    elif term.on is not None:
        conditions.append(term.on(session) <= horizon.isoformat())
    return conditions


# -- recounting ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """Where a noun keeps deadlines that were counted: the column, and how each in it is reached."""

    model: type[Evidence]
    column: str
    recounted: Callable[[dict[str, Any]], dict[str, Any]]


def _each(value: dict[str, Any]) -> dict[str, Any]:
    return {name: recount(due) for name, due in value.items()}


def _until(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "until": recount(value["until"])} if "until" in value else value


KEPT: tuple[Kept, ...] = (
    Kept(Application, "deadlines", _each),
    Kept(Application, "notice", _until),
    Kept(Demand, "due", recount),
    Kept(Duty, "due", recount),
    Kept(Feedback, "due", recount),
    Kept(Objection, "due", recount),
    Kept(Alarm, "due", recount),
    Kept(Difference, "due", recount),
)


def recount_all(session: Session, _now: datetime) -> int:
    """Count anew what was counted beyond the published calendars and still runs; how many rows changed.

    Each that changed gets a record, those that stay as they are none.
    """
    changed: dict[str, Evidence] = {}
    for kept in KEPT:
        model: Any = kept.model
        states = {
            state for term in TERMS.values() if term.model is kept.model for state in term.states
        }
        column = getattr(model, kept.column)
        unsure = type_coerce(column, Text).contains('"provisional":true', autoescape=True)
        for row in session.scalars(select(model).where(model.state.in_(sorted(states)), unsure)):
            before = getattr(row, kept.column)
            after = kept.recounted(before)
            if after != before:
                setattr(row, kept.column, after)
                changed[row.id] = row
    for row in changed.values():
        log.append(session, row, f"{row.subject_type}.recounted", SYSTEM)
    return len(changed)
