"""Long work in the background: asked for in a deed, done by whoever claims it, its outcome kept.

A claim holds for a lease, which each report of progress renews. A runner that was killed reports no
more, and after the lease another takes its job up: work may be done twice, so what it writes must be
known by the job's id (`ledger.store.remember`). What a runner says after it lost its job is not heard.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Index, String, and_, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.errors import Conflict, Faults, Invalid, LedgerError, Missing
from ledger.proof.encoding import check_subset
from ledger.store import Base, is_full, new_id, no_room
from webapp.home import Home

LEASE_S = 60
CLAIMS_MAX = 3
REPORT_EVERY_S = 0.5

logger = structlog.get_logger()


class Job(Base):
    """A piece of work and how far it has come (operational)."""

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_open", "state", "created_at"),)
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    verb: Mapped[str]
    member_id: Mapped[str] = mapped_column(String(36), index=True)
    request: Mapped[dict[str, Any]]
    state: Mapped[str]
    """queued, running, done or failed"""
    stage: Mapped[str]
    done_count: Mapped[int]
    total_count: Mapped[int]
    """0 where it is not known"""
    answer: Mapped[dict[str, Any] | None]
    refusal: Mapped[dict[str, Any] | None]
    """code, template and facts, so that each reader gets it in his language"""
    attempts: Mapped[int]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]


Report = Callable[[str, int, int], None]
"""Tells the stage, what is done and what there is to do (0: not known); not to be called in a deed."""
Act = Callable[[Job, Report], dict[str, Any]]


def enqueue(
    session: Session, now: datetime, *, member_id: str, verb: str, request: dict[str, Any]
) -> Job:
    """Ask for a piece of work."""
    check_subset(request)
    job = Job(
        id=new_id(), verb=verb, member_id=member_id, request=request, state="queued", stage="",
        done_count=0, total_count=0, attempts=0, created_at=now,
    )  # fmt: skip
    session.add(job)
    session.flush()
    return job


def claim(session: Session, now: datetime, lease_s: int = LEASE_S) -> Job | None:
    """The oldest job that waits or was let fall, held for a lease; None where there is none.

    One that broke off too often fails instead: it would only bring down the next runner.
    """
    lapsed = and_(Job.state == "running", Job.leased_until <= now)
    wanted = (
        select(Job)
        .where(or_(Job.state == "queued", lapsed))
        .order_by(Job.created_at, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    while (job := session.scalar(wanted)) is not None:
        if job.attempts < CLAIMS_MAX:
            job.state, job.attempts = "running", job.attempts + 1
            job.started_at, job.leased_until = now, now + timedelta(seconds=lease_s)
            job.stage, job.done_count, job.total_count = "", 0, 0
            session.flush()
            return job
        fail(session, job.id, now, Conflict(
            "The work broke off {n} times; start it anew, and tell the administrator if it happens "
            "again.",
            n=job.attempts,
        ))  # fmt: skip
    return None


def progress(
    session: Session,
    job_id: str,
    now: datetime,
    stage: str,
    done: int,
    total: int,
    lease_s: int = LEASE_S,
    *,
    attempt: int | None = None,
) -> None:
    """Say how far a job has come, and hold it for another lease."""
    job = _held(session, job_id, attempt)
    job.stage, job.done_count, job.total_count = stage, done, total
    job.leased_until = now + timedelta(seconds=lease_s)
    session.flush()


def finish(
    session: Session,
    job_id: str,
    now: datetime,
    answer: dict[str, Any],
    *,
    attempt: int | None = None,
) -> None:
    """The work is done."""
    check_subset(answer)
    job = _held(session, job_id, attempt)
    job.state, job.answer = "done", answer
    job.done_count = job.total_count or job.done_count
    _end(session, job, now)


def fail(
    session: Session, job_id: str, now: datetime, error: LedgerError, *, attempt: int | None = None
) -> None:
    """The work was refused, or broke."""
    job = _held(session, job_id, attempt)
    facts = {name: _plain(value) for name, value in error.facts.items()}
    job.state = "failed"
    job.refusal = {"code": error.code, "template": error.template, "facts": facts}
    _end(session, job, now)


def job_of(session: Session, job_id: str, member_id: str) -> Job:
    """A job of one's own; another's is as Missing as none."""
    job = session.get(Job, job_id)
    if job is None or job.member_id != member_id:
        raise Missing("You have no job {id}.", id=job_id)
    return job


def jobs_of(session: Session, member_id: str, limit: int) -> list[Job]:
    """A member's latest jobs, the newest first."""
    wanted = select(Job).where(Job.member_id == member_id).order_by(Job.id.desc()).limit(limit)
    return list(session.scalars(wanted))


class Runner:
    """Does the jobs of one home, one after the other; any number of runners may work at once."""

    def __init__(
        self, home: Home, act: Act, clock: Callable[[], datetime], lease_s: int = LEASE_S
    ) -> None:
        self.home, self.act, self.clock, self.lease_s = home, act, clock, lease_s

    def run_one(self) -> bool:
        """Claim a job, do it outside any transaction, keep its outcome; whether there was one."""
        now = self.clock()
        with self.home.deed(now) as session:
            job = claim(session, now, self.lease_s)
        if job is None:
            return False
        outcome = self._outcome(job)
        now = self.clock()
        try:
            with self.home.deed(now) as session:
                outcome(session, job.id, now, attempt=job.attempts)
        except Conflict as error:  # it is another's now, or will be when the lease has lapsed
            logger.warning("outcome not kept", job=job.id, verb=job.verb, cause=error.sentence)
        return True

    def _outcome(self, job: Job) -> Callable[..., None]:
        try:
            answer = self.act(job, self._reporter(job))
        except LedgerError as error:
            return partial(fail, error=error)
        except Exception as error:
            logger.exception("job broke", job=job.id, verb=job.verb)
            return partial(fail, error=no_room() if is_full(error) else _our_fault())
        try:
            check_subset(answer)
        except Invalid:
            logger.exception("job gave no canonical answer", job=job.id, verb=job.verb)
            return partial(fail, error=_our_fault())
        return partial(finish, answer=answer)

    def _reporter(self, job: Job) -> Report:
        due = time.monotonic()

        def report(stage: str, done: int, total: int) -> None:
            nonlocal due
            if time.monotonic() < due:
                return
            now = self.clock()
            with self.home.deed(now) as session:
                progress(
                    session, job.id, now, stage, done, total, self.lease_s, attempt=job.attempts
                )
            due = time.monotonic() + REPORT_EVERY_S

        return report


def _held(session: Session, job_id: str, attempt: int | None) -> Job:
    """The job, held until the deed ends, while it runs in the attempt that speaks."""
    job = session.get_one(Job, job_id, with_for_update=True, populate_existing=True)
    if job.finished_at is not None or attempt not in (None, job.attempts):
        raise Conflict("The job {id} was taken over or has ended.", id=job_id)
    return job


def _end(session: Session, job: Job, now: datetime) -> None:
    job.finished_at, job.leased_until = now, None
    session.flush()


def _our_fault() -> LedgerError:
    return LedgerError(
        "Our fault: the work stopped unexpectedly; the administrator finds the cause in the log."
    )


def refusal_text(refusal: Mapping[str, Any], translate: Callable[[str], str]) -> str:
    """A kept refusal as a reader gets it in his language."""
    facts = dict(refusal["facts"])
    for name, value in facts.items():
        if isinstance(value, dict) and set(value) == {"faults"}:
            facts[name] = faults = Faults()
            for template, known, at in value["faults"]:
                faults.name_fault(template, at, **known)
    return LedgerError(refusal["template"], **facts).localized(translate)


def _plain(value: Any) -> Any:
    """A fact as it can be kept: faults one by one, what else has no canonical form as it reads."""
    if isinstance(value, Faults):
        return {
            "faults": [
                [template, {name: _plain(fact) for name, fact in facts.items()}, at]
                for template, facts, at in value.named()
            ]
        }
    try:
        check_subset(value)
    except Invalid:
        return str(value).encode(errors="replace").decode()
    return value
