"""Yearly evaluation (年度评价) of an operation agreement: 27号 art. 9(11), 14(9).

The implementing body evaluates each year of the term, and its last part, within three months of its last
day; the operator may comment once. Two unqualified years in a row are a ground to end the agreement.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.agreements import OVER, RUNNING, Agreement, require_ground
from ledger.calendar import local_date, months_after, years_after
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Actor, may, require_other
from ledger.states import move
from ledger.store import Evidence, new_id, next_number

WITHIN_MONTHS = 3  # after the year's last day; 27号 leaves it to the agreement, this is ours
VERDICTS = {"qualified": "合格", "to_improve": "待改进", "unqualified": "不合格"}
SCORE_MAX = 100
UNQUALIFIED_TO_END = 2  # so many in a row let the implementing body end the agreement


class Evaluation(Evidence):
    """How the implementing body judged one year of an agreement."""

    __tablename__ = "evaluations"
    __table_args__ = (UniqueConstraint("agreement_id", "period"),)
    subject_type = "evaluation"
    number: Mapped[str] = mapped_column(unique=True)
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    period: Mapped[int]
    """the how-many-eth year of the term"""
    from_on: Mapped[str]
    until_on: Mapped[str]
    due_on: Mapped[str]
    verdict: Mapped[str]
    score: Mapped[int | None]
    findings: Mapped[str]
    mend: Mapped[str]
    """what must be mended"""
    mend_by_on: Mapped[str | None]
    made_on: Mapped[str]
    made_by: Mapped[str]
    comment: Mapped[str | None]
    commented_by: Mapped[str | None]
    state: Mapped[str]


@dataclass(frozen=True)
class Period:
    """A year of an agreement's term, or its last part, and by when it is to be evaluated."""

    n: int
    from_on: date
    until_on: date

    @property
    def due_on(self) -> date:
        return months_after(self.until_on, WITHIN_MONTHS)


def periods(agreement: Agreement) -> list[Period]:
    """The years of the term as it ran: an early end cuts the last one short."""
    first = date.fromisoformat(agreement.from_on)
    last = date.fromisoformat(agreement.ended_on or agreement.until_on)
    made: list[Period] = []
    while (start := years_after(first, len(made))) <= last:
        end = years_after(first, len(made) + 1) - timedelta(days=1)
        made.append(Period(len(made) + 1, start, min(end, last)))
    return made


def open_periods(session: Session, agreement: Agreement, today: date) -> list[Period]:
    """The years that are over and not evaluated, the oldest first."""
    if agreement.state not in (*RUNNING, *OVER):
        return []
    done = set(
        session.scalars(
            select(Evaluation.period).where(Evaluation.agreement_id == agreement.id)
        )
    )  # fmt: skip
    return [one for one in periods(agreement) if one.until_on < today and one.n not in done]


def due(
    session: Session, agreements: Sequence[Agreement], today: date
) -> Iterator[tuple[Agreement, Period]]:
    """Every year of these agreements that waits for its evaluation."""
    for one in agreements:
        for period in open_periods(session, one, today):
            yield one, period


def make(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, *, verdict: str,
    findings: str, score: int | None = None, mend: str = "", mend_by: date | None = None,
) -> Evaluation:  # fmt: skip
    """Evaluate the oldest year that is over and not evaluated."""
    may(actor, "evaluation.make", agreement.implementer_id, f"Agreement {agreement.number}")
    today, faults = local_date(now), Faults()
    waiting = open_periods(session, agreement, today)
    if not waiting:
        raise Conflict("No year of agreement {number} waits for its evaluation.",
                       number=agreement.number)  # fmt: skip
    if verdict not in VERDICTS:
        faults.name_fault("the field {name} must be one of {choices}", "verdict", name="verdict",
                          choices=", ".join(VERDICTS))  # fmt: skip
    if not findings.strip():
        faults.name_fault("the field {name} is empty", "findings", name="findings")
    if score is not None and not 0 <= score <= SCORE_MAX:
        faults.name_fault("the score lies between 0 and {most}", "score", most=SCORE_MAX)
    if verdict in ("to_improve", "unqualified") and (not mend.strip() or mend_by is None):
        faults.name_fault("say what must be mended, and by when", "mend")
    if mend_by is not None and mend_by < today:
        faults.name_fault("the day {day} has passed", "mend_by_on", day=mend_by)
    if faults:
        raise Invalid("What was given does not fit: {faults}.", faults=faults)
    period = waiting[0]
    made = Evaluation(
        id=new_id(), number=f"PJ{today.year}-{next_number(session, f'PJ{today.year}'):04d}",
        agreement_id=agreement.id, period=period.n, from_on=period.from_on.isoformat(),
        until_on=period.until_on.isoformat(), due_on=period.due_on.isoformat(), verdict=verdict,
        score=score, findings=findings.strip(), mend=mend.strip(),
        mend_by_on=None if mend_by is None else mend_by.isoformat(), made_on=today.isoformat(),
        made_by=actor.member_id, comment=None, commented_by=None,
        state=move("evaluation", "make", None),
    )  # fmt: skip
    log.append(session, made, "evaluation.made", actor.member_id)
    session.flush()
    return made


def comment(
    session: Session, actor: Actor, now: datetime, evaluation: Evaluation, text: str
) -> None:
    """The operator comments on how it was judged."""
    agreement = session.get_one(Agreement, evaluation.agreement_id)
    may(actor, "evaluation.comment", agreement.operator_id, f"Evaluation {evaluation.number}")
    require_other(actor, [evaluation.made_by], evaluation.number)
    require_ground(text)
    evaluation.state = move("evaluation", "comment", evaluation.state)
    evaluation.comment, evaluation.commented_by = text.strip(), actor.member_id
    log.append(session, evaluation, "evaluation.commented", actor.member_id)


def of(session: Session, agreement: Agreement) -> Sequence[Evaluation]:
    """The evaluations of an agreement, by year."""
    wanted = select(Evaluation).where(Evaluation.agreement_id == agreement.id)
    return session.scalars(wanted.order_by(Evaluation.period)).all()


def failed_twice(session: Session, agreement: Agreement) -> bool:
    """Whether the last two years that were evaluated were unqualified, and follow each other."""
    last = of(session, agreement)[-UNQUALIFIED_TO_END:]
    in_row = [one.period for one in last]
    return (
        len(last) == UNQUALIFIED_TO_END
        and all(one.verdict == "unqualified" for one in last)
        and in_row == list(range(in_row[0], in_row[0] + UNQUALIFIED_TO_END))
    )


def owners(session: Session, evaluation: Evaluation) -> tuple[str, str]:
    """Whose business it is: both sides' of its agreement."""
    agreement = session.get_one(Agreement, evaluation.agreement_id)
    return agreement.implementer_id, agreement.operator_id


def by_number(session: Session, number: str) -> Evaluation:
    """The evaluation with a number; raises Missing."""
    found = session.scalar(select(Evaluation).where(Evaluation.number == number))
    if found is None:
        raise Missing("There is no evaluation {number}.", number=number)
    return found
