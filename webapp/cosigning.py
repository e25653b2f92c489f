"""Asking the witnesses: each in a thread of its own, so that one that is slow or down delays nobody.

The threads are no daemons: a command that ends lets what was asked come in, for some seconds at most.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from ledger import witnesses
from ledger.errors import LedgerError
from webapp.home import Home, clock

REQUESTS_A_VISIT = 40
logger = structlog.get_logger()

_asked: dict[tuple[Path, str], threading.Thread] = {}
_lock = threading.Lock()


def begin(home: Home, now: Callable[[], datetime] = clock) -> None:
    """Begin to ask every witness that has something to cosign and is not being asked; returns at once."""
    with home.reading() as session:
        due = witnesses.due(session, now())
    for witness_id in due:
        key = (home.path, witness_id)
        with _lock:
            if key in _asked and _asked[key].is_alive():
                continue
            _asked[key] = threading.Thread(
                target=_visit, args=(home, witness_id, now), name="witness"
            )
            _asked[key].start()


def wait(home: Home, limit_s: float = witnesses.ANSWER_S) -> None:
    """Wait until nobody is being asked, for each at most `limit_s`."""
    with _lock:
        threads = [thread for (path, _), thread in _asked.items() if path == home.path]
    for thread in threads:
        thread.join(limit_s)


def _visit(home: Home, witness_id: str, now: Callable[[], datetime]) -> None:
    try:
        visit(home, witness_id, now)
    except LedgerError as error:  # the database is away or busy: the next round asks again
        logger.warning("witness", id=witness_id, cause=error.sentence)


def visit(
    home: Home, witness_id: str, now: Callable[[], datetime] = clock,
    limit_s: float = witnesses.ANSWER_S,
) -> None:  # fmt: skip
    """Ask a witness for all it has not cosigned, until there is no more or it fails."""
    corrected = False
    for _ in range(REQUESTS_A_VISIT):
        with home.reading() as session:
            witness = witnesses.by_id(session, witness_id)
            request = witnesses.next_request(session, witness)
        if request is None or request.url is None:
            return
        answer = witnesses.submit(request, limit_s)
        if answer.cosignature is None and answer.problem is None:
            if corrected:
                answer = witnesses.restless()
            corrected = True
        else:
            corrected = False
        with home.deed(now()) as session:
            if not witnesses.note_answer(session, now(), request, answer):
                return
