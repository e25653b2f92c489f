"""Alarms (预警): what the regulator must know, who has to answer for it, and what came of it.

    raised ─explain→ explained ─close→ closed          resolve: the cause is gone, the system says so
       ↑──────reopen─────┘                             raised, explained → resolved; closed stays closed

`look`, rung by a timer, raises an alarm for each cause (`alarm_rules`), once; one that comes back after
it was gone is a new alarm. Of usage it looks at each batch once: a mark says up to which record of the
log. An audit hands its findings in (`of_audit`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger import log
from ledger.alarm_rows import Alarm, AlarmMark
from ledger.alarm_rules import BY_BATCH, KINDS, STANDING, Cause, house_of
from ledger.calendar import clock, local_date
from ledger.errors import Invalid, Missing
from ledger.parties import Actor, may, require_other
from ledger.proof.encoding import digest_text, instant
from ledger.states import move
from ledger.store import canonical_fast, hold, new_id, next_number
from ledger.usage import Batch

SYSTEM = "system"
ANSWER_DAYS = 5  # working days for the one who has to answer; our own design
BATCHES_A_ROUND = 50
FIRST_DIFFERENCES = 10
OPEN = ("raised", "explained")
USAGE_MARK = "usage"
AUDIT = "audit_difference"
AUDITED = "The audit found {count} differences in {records} records."
RESOLVED = "The cause is gone."


# -- raised and resolved by the system ------------------------------------------------------------------


def look(session: Session, now: datetime) -> int:
    """Raise what is new and resolve what is gone; returns how many. Two who look at once raise one."""
    hold(session, "alarms")
    done = 0
    for kind, rules in STANDING.items():
        found = [cause for rule in rules for cause in rule(session, now)]
        done += raise_all(session, now, found) + resolve_gone(session, now, kind, found)
    return done + _look_at_usage(session, now)


def _look_at_usage(session: Session, now: datetime) -> int:
    """Every batch recorded since the last look, once; at most `BATCHES_A_ROUND`."""
    mark = session.get(AlarmMark, USAGE_MARK)
    if mark is None:
        mark = AlarmMark(name=USAGE_MARK, leaf_count=0)
        session.add(mark)
    size, done = log.size(session), 0
    new = (
        select(log.Record.leaf_index, Batch)
        .join(Batch, Batch.id == log.Record.subject_id)
        .where(
            log.Record.kind == "usage.recorded",
            log.Record.leaf_index >= mark.leaf_count,
            log.Record.leaf_index < size,
        )
        .order_by(log.Record.leaf_index)
        .limit(BATCHES_A_ROUND)
    )
    batches = list(session.execute(new).tuples())
    for _, batch in batches:
        for rule in BY_BATCH.values():
            done += raise_all(session, now, rule(session, batch))
    is_all = len(batches) < BATCHES_A_ROUND
    mark.leaf_count = size if is_all else batches[-1][0] + 1
    return done


def raise_all(session: Session, now: datetime, causes: Iterable[Cause]) -> int:
    """Raise an alarm for each cause, all of one kind, that has none; returns how many.

    `hold` the alarms before.
    """
    done, lasting = 0, set[str]()
    for n, cause in enumerate(causes):
        if n == 0:
            known = select(Alarm.cause).where(Alarm.kind == cause.kind, Alarm.gone_at.is_(None))
            lasting = set(session.scalars(known))
        if cause.key not in lasting:
            before = select(func.count()).select_from(Alarm).where(Alarm.cause == cause.key)
            _raise(session, now, cause, (session.scalar(before) or 0) + 1)
            lasting.add(cause.key)
            done += 1
    return done


def _raise(session: Session, now: datetime, cause: Cause, occurrence: int) -> None:
    assert cause.kind in KINDS, cause.kind
    year = local_date(now).year
    alarm = Alarm(
        id=new_id(), number=f"JB{year}-{next_number(session, f'JB{year}'):06d}", kind=cause.kind,
        cause=cause.key, occurrence=occurrence, about_type=cause.about_type, about_id=cause.about_id,
        about_number=cause.about_number, owner_id=cause.owner_id, template=cause.template,
        facts=dict(cause.facts), raised_at=now.replace(microsecond=0), due=_due(now),
        state=move("alarm", "raise", None), explanation=None, decision=None, gone_at=None,
    )  # fmt: skip
    log.append(session, alarm, "alarm.raised", SYSTEM)
    session.flush()


def resolve_gone(session: Session, now: datetime, kind: str, causes: Iterable[Cause]) -> int:
    """Settle the alarms of a kind whose cause is none of these any more; returns how many."""
    known = {cause.key for cause in causes}
    lasting = select(Alarm).where(Alarm.kind == kind, Alarm.gone_at.is_(None)).order_by(Alarm.id)
    gone = [alarm for alarm in session.scalars(lasting) if alarm.cause not in known]
    for alarm in gone:
        resolve(session, now, alarm)
    return len(gone)


def resolve(session: Session, now: datetime, alarm: Alarm) -> None:
    """The cause is gone: an open alarm is resolved, a closed one stays closed."""
    alarm.state, alarm.due = move("alarm", "resolve", alarm.state), None
    alarm.gone_at = now.replace(microsecond=0)
    log.append(session, alarm, "alarm.resolved", SYSTEM, reason=RESOLVED)


def of_audit(session: Session, now: datetime, found: Mapping[str, Any]) -> str | None:
    """Raise one alarm for what an audit found, and resolve those it no longer finds; its number or None.

    The same differences found again raise nothing. An audit without the chain resolves nothing. Of a
    difference only its place is kept: what stands there may be withheld.
    """
    hold(session, "alarms")
    places = [
        {key: str(one[key]) for key in ("kind", "name", "field")} for one in found["differences"]
    ]
    causes = []
    if found["count"]:
        digest = digest_text(canonical_fast([found["count"], places]))
        facts = {"count": found["count"], "first": places[:FIRST_DIFFERENCES],
                 "records": found["records"]}  # fmt: skip
        owner = house_of(session, "administrator")
        causes = [Cause(AUDIT, f"{AUDIT}:{digest}", "log", "", "", owner, AUDITED, facts)]
        raise_all(session, now, causes)
    if not found["offline"]:
        resolve_gone(session, now, AUDIT, causes)
    wanted = select(Alarm.number).where(Alarm.cause.in_([one.key for one in causes]))
    return session.scalar(wanted.order_by(Alarm.occurrence.desc()).limit(1))


# -- answered and closed by people ---------------------------------------------------------------------


def explain(session: Session, actor: Actor, now: datetime, alarm: Alarm, text: str) -> None:
    """Who has to answer says how it came about and what was done."""
    may(actor, "alarm.explain", owners(alarm), alarm.number)
    if not text.strip():
        raise Invalid("Say how it came about and what was done.")
    alarm.state, alarm.due = move("alarm", "explain", alarm.state), None
    alarm.explanation = {"at": instant(now), "by": actor.member_id, "text": text.strip()}
    log.append(session, alarm, "alarm.explained", actor.member_id)


def close(session: Session, actor: Actor, now: datetime, alarm: Alarm, reason: str) -> None:
    """The regulator accepts the explanation; another person than who gave it."""
    _decide(actor, now, alarm, "close", reason)
    log.append(session, alarm, "alarm.closed", actor.member_id, reason=reason)


def reopen(session: Session, actor: Actor, now: datetime, alarm: Alarm, reason: str) -> None:
    """The regulator does not accept the explanation: it is to be answered anew."""
    _decide(actor, now, alarm, "reopen", reason)
    alarm.due = _due(now)
    log.append(session, alarm, "alarm.reopened", actor.member_id, reason=reason)


def _decide(actor: Actor, now: datetime, alarm: Alarm, verb: str, reason: str) -> None:
    may(actor, f"alarm.{verb}", owners(alarm), alarm.number)
    state = move("alarm", verb, alarm.state)
    require_other(actor, [(alarm.explanation or {}).get("by")], alarm.number)
    if not reason.strip():
        raise Invalid("State the ground of the decision.")
    alarm.state = state
    alarm.decision = {
        "at": instant(now),
        "by": actor.member_id,
        "text": reason.strip(),
        "verdict": verb,
    }


def _due(now: datetime) -> dict[str, Any]:
    return clock(local_date(now), ANSWER_DAYS)


# -- reading -------------------------------------------------------------------------------------------


def owners(alarm: Alarm) -> tuple[str, ...]:
    """Whose business an alarm is: the organisation's that has to answer."""
    return (alarm.owner_id,) if alarm.owner_id else ()


def counts(session: Session) -> dict[tuple[str, str], int]:
    """How many alarms there are of each kind and state."""
    found = select(Alarm.kind, Alarm.state, func.count()).group_by(Alarm.kind, Alarm.state)
    return {(kind, state): count for kind, state, count in session.execute(found).tuples()}


def is_late(alarm: Alarm, today: str) -> bool:
    """Whether the owner has not answered by the day he had to."""
    return alarm.state == "raised" and alarm.due is not None and alarm.due["on"] < today


def late(session: Session, today: str) -> dict[str, int]:
    """How many alarms of each kind were not answered by the day they had to be."""
    found: dict[str, int] = {}
    for alarm in session.scalars(select(Alarm).where(Alarm.state == "raised")):
        if is_late(alarm, today):
            found[alarm.kind] = found.get(alarm.kind, 0) + 1
    return found


def oldest(session: Session, limit: int) -> Sequence[Alarm]:
    """The alarms that are still open, the oldest first."""
    wanted = select(Alarm).where(Alarm.state.in_(OPEN)).order_by(Alarm.id).limit(limit)
    return session.scalars(wanted).all()


def by_number(session: Session, number: str) -> Alarm:
    """The alarm with a number; raises Missing."""
    found = session.scalar(select(Alarm).where(Alarm.number == number))
    if found is None:
        raise Missing("There is no alarm {number}.", number=number)
    return found
