"""What time itself brings about: each timer looks once a round at what fell due, in one transaction.

A timer is asked again and again, so what it has done it does not do twice. The worker rings them; what
they do is recorded as the system's.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from ledger import agreements, alarms, deadlines, holds, messages, orders, register, reminders
from ledger.errors import LedgerError
from webapp.home import Home

EVERY = timedelta(minutes=1)
Timer = Callable[[Session, datetime], int]
"""Does what fell due by now, and says how much that was."""

TIMERS: dict[str, Timer] = {
    "agreements": agreements.expire,
    "alarms": alarms.look,
    "holds": holds.expire,
    "orders": orders.expire,  # after what was set aside for them is free
    "registration.lapse": register.lapse,
    "deadlines recounted": deadlines.recount_all,
    "reminders": reminders.remind,
    "old messages": messages.remove_old,
}
logger = structlog.get_logger()
_rung: dict[str, datetime] = {}
_one = threading.Lock()


def ring(home: Home, now: datetime) -> int:
    """Let every timer do what fell due; what goes wrong in one does not keep the others from theirs."""
    done = 0
    for name, timer in TIMERS.items():
        try:
            with home.deed(now) as session:
                done += timer(session, now)
        except LedgerError as error:
            logger.warning("timer", timer=name, cause=error.sentence)
        except Exception:
            logger.exception("timer", timer=name)
    return done


def ring_in_time(home: Home, now: datetime) -> None:
    """`ring`, but not more often than every minute for a home."""
    key = str(home.path)
    with _one:
        last = _rung.get(key)
        if last is not None and last <= now < last + EVERY:
            return
        _rung[key] = now
    ring(home, now)
