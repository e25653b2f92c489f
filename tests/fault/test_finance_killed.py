"""kill -9 in the middle of a posting, an approval, an import of trades: all or nothing, then what is due.

A child process does the deed and is killed at its n-th statement to the database, for every n until it
comes through; then once more at moments by the clock. What it leaves is what was before or what is due.
"""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select

from ledger import (
    approvals,
    audit_books,
    audit_trade,
    holds,
    orders,
    payout_results,
    revenue,
    reversals,
    supervision,
)
from ledger.agreements import Agreement
from ledger.books import Entry
from ledger.confirmations import Confirmation
from ledger.holds import Hold
from ledger.log import Record
from ledger.payout_rows import PayoutLine
from ledger.proof.checkpoint import verifier_key
from ledger.proof.encoding import INT_MAX
from ledger.proof.trust import LogKey
from ledger.settlements import Settlement
from ledger.statements import Statement
from ledger.store import open_engine
from ledger.supervision import Audit
from ledger.vouchers import Voucher
from tests.conftest import LOG_KEY, ORIGIN, Town, found_town
from tests.ledger import paying

pytestmark = pytest.mark.slow
MOMENTS = 12
CHILD_S = 60
GROUND = supervision.Ground(
    ORIGIN, (LogKey(verifier_key(ORIGIN, LOG_KEY.public_key().public_bytes_raw()), 1, INT_MAX),)
)


def dying(town: Town, deed: Callable[[], Any], at: int = 0, after_s: float = 0.0) -> bool:
    """Whether a child that does the deed was killed: at its `at`-th statement, or after so many seconds."""
    url = town.home.engine.url.render_as_string(hide_password=False)
    town.home.engine.dispose()
    child = os.fork()
    if child == 0:
        signal.alarm(CHILD_S)
        engine, asked = open_engine(url), 0
        town.home.__dict__["engine"] = engine

        def count(*_: Any) -> None:
            nonlocal asked
            asked += 1
            if asked == at:
                os.kill(os.getpid(), signal.SIGKILL)

        for moment in ("before_cursor_execute", "commit"):
            event.listen(engine, moment, count)
        try:
            deed()
        finally:
            os._exit(0)
    if after_s:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert not os.WIFSIGNALED(status) or os.WTERMSIG(status) == signal.SIGKILL, "it hung"
    return os.WIFSIGNALED(status)


def bear(pipe: Connection, url: str, folder: Path, now: datetime, signed: Any, text: str) -> None:
    """Bear children that bring in a file of trades and die of it, as often as the pipe asks."""
    for town in found_town(url, folder):
        town.now = now
        while (asked := pipe.recv()) is not None:
            pipe.send(dying(town, partial(town.confirm, signed, text), **asked))


@contextmanager
def nursery(town: Town, signed: Any, text: str) -> Iterator[Callable[..., bool]]:
    """`dying`, of an import, by a process that has never counted with polars.

    Polars keeps threads, and a fork loses them: a child of one that used it would wait for ever.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    url = town.home.engine.url.render_as_string(hide_password=False)
    facts = (theirs, url, town.home.path.parent, town.now, signed, text)
    process = context.Process(target=bear, args=facts, daemon=True)
    process.start()

    def die(at: int = 0, after_s: float = 0.0) -> bool:
        town.home.engine.dispose()
        ours.send({"at": at, "after_s": after_s})
        assert ours.poll(2 * CHILD_S), "the nursery is silent"
        return bool(ours.recv())

    try:
        yield die
    finally:
        ours.send(None)
        process.join(10)
        process.kill()


def audited(town: Town) -> list[Any]:
    """What the audit of the whole database finds, once the books and the settlements are whole."""
    with town.reading() as session:
        assert list(audit_books.audit_books(session.connection())) == []
        assert list(audit_trade.of_settlements(session)) == []
    with town.reading() as session:
        work = Audit(session, GROUND, town.now)
        work.run()
        return list(work.findings.differences())


def killed_everywhere(
    town: Town, deed: Callable[[], Any], due: Callable[[], bool], statements_at_least: int,
    die: Callable[..., bool] | None = None,
) -> None:  # fmt: skip
    """The deed killed at each statement, then done; done again, it stays.

    `due` says whether what the deed is for has come about, `die` lets a child do it that is killed.
    """
    before, found, at = town.snapshot(), audited(town), 1
    die = die or partial(dying, town, deed)
    while die(at=at):
        if due():
            raise AssertionError("a child that was killed before it committed left its deed")
        assert town.snapshot() == before, at
        at += 1
    assert at > statements_at_least, "it was killed at many places"
    assert due()
    after = town.snapshot()
    assert audited(town) == found
    deed()
    assert town.snapshot() == after


def killed_by_the_clock(
    town: Town, deed: Callable[[], Any], due: Callable[[], bool], die: Callable[..., bool]
) -> None:
    """The deed killed at random moments until it came through; what it leaves is nothing or all."""
    before, found, dice = town.snapshot(), audited(town), random.Random(9)
    begun = time.monotonic()
    for n in range(MOMENTS):
        die(after_s=0.005 + dice.random() * 0.02 * n)
        if due():
            break
        assert town.snapshot() == before
    assert time.monotonic() - begun < 60
    deed()
    assert due()
    after = town.snapshot()
    assert audited(town) == found
    deed()
    assert town.snapshot() == after


def count_of(town: Town, *wanted: Any) -> int:
    with town.reading() as session:
        return int(session.scalar(select(func.count()).where(*wanted)) or 0)


def test_a_posting_is_there_whole_or_not_at_all(town: Town) -> None:
    made = town.statement("approved")
    town.settle(made)
    killed_everywhere(
        town,
        town.post,
        lambda: count_of(town, Entry.cause_id == made.id) == 1,
        statements_at_least=8,
    )
    with town.reading() as session:
        assert session.get_one(Statement, made.id).state == "posted"


def test_a_reversal_is_booked_whole_or_not_at_all(town: Town) -> None:
    first = town.statement("posted")
    with town.deed() as session:
        undoing = reversals.reverse(
            session, town.actors["mona"], town.now, session.get_one(Statement, first.id), "口径有误"
        )
        revenue.propose(session, town.actors["mona"], town.now, undoing, ORIGIN)
    town.approve(undoing)
    town.settle(undoing)
    killed_everywhere(
        town, town.post, lambda: count_of(town, Entry.cause_id == undoing.id) == 1,
        statements_at_least=8,
    )  # fmt: skip
    with town.reading() as session:
        states = {one.id: one.state for one in session.scalars(select(Statement))}
        entry = session.scalars(select(Entry).where(Entry.cause_id == undoing.id)).one()
        original = session.scalars(select(Entry).where(Entry.cause_id == first.id)).one()
    assert (states[first.id], states[undoing.id]) == ("reversed", "posted")
    assert entry.reverses == original.id


def test_an_approval_counts_whole_or_not_at_all(town: Town) -> None:
    made = town.statement("proposed")
    signed, deployment = town.approval(made), town.home.config.deployment

    def approve() -> None:
        with town.deed() as session:
            row = session.get_one(Statement, made.id)
            if row.state == "proposed":
                approvals.approve(
                    session, town.actors["carl"], town.now, row, signed, ORIGIN, deployment
                )

    killed_everywhere(
        town, approve, lambda: count_of(town, Statement.state == "approved") == 1,
        statements_at_least=6,
    )  # fmt: skip


@pytest.mark.parametrize("way", ["each statement", "the clock"])
def test_an_import_of_trades_is_there_whole_or_not_at_all(town: Town, way: str) -> None:
    agreement, licence = town.sold()
    voucher = town.get(Voucher, licence)
    rows = 12 if way == "each statement" else 400
    text = town.trades_file(voucher, rows)
    signed = town.signed(agreement, text)

    def bring_in() -> None:
        town.confirm(signed, text)

    def is_there() -> bool:
        confirmed, settled = count_of(town, Confirmation.id != ""), count_of(town, Settlement.n > 0)
        assert (confirmed, settled) in ((0, 0), (1, rows))
        return confirmed == 1

    with nursery(town, signed, text) as die:
        if way == "each statement":
            killed_everywhere(town, bring_in, is_there, statements_at_least=12, die=die)
        else:
            killed_by_the_clock(town, bring_in, is_there, die)
    with town.reading() as session:
        made = session.scalars(select(Confirmation)).one()
        assert (made.row_count, made.first_n) == (rows, 1)
        assert session.get(Agreement, made.agreement_id) is not None


def test_the_bank_s_result_is_booked_whole_or_not_at_all(town: Town) -> None:
    made = paying.approved(town)
    rows = paying.results(town, made, True, False)

    def bring_in() -> None:
        town.do("mona", payout_results.confirm, made, rows, name="r.csv", digest="sha256:r")

    def is_there() -> bool:
        paid, failed = (count_of(town, PayoutLine.state == state) for state in ("paid", "failed"))
        assert (paid, failed) in ((0, 0), (1, 1))
        return paid == 1

    killed_everywhere(town, bring_in, is_there, statements_at_least=12)
    assert count_of(town, Hold.state == "posted") == count_of(town, Hold.state == "voided") == 1


def test_what_was_set_aside_is_booked_or_still_set_aside(town: Town) -> None:
    agreement, licence = town.sold()
    voucher = town.get(Voucher, licence)
    town.remittance(agreement, 10_600)
    order = town.order(voucher, paid_by="prepayment", price_fen=10_600)

    def fulfil() -> None:
        with town.deed() as session:
            row = session.get_one(orders.Order, order.id)
            if row.state == "placed":
                orders.fulfil(session, town.actors["opal"], town.now, row, ORIGIN)

    killed_everywhere(
        town, fulfil, lambda: count_of(town, Hold.state == "posted") == 1, statements_at_least=15
    )
    with town.deed() as session:
        assert holds.expire(session, town.now) == 0
    assert count_of(town, Record.kind == "hold.posted") == 1
