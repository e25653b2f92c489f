"""The worker's round: what goes wrong in one thing does not keep the others from theirs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ledger import books, holds, payout_rows, payouts, revenue, reversals
from ledger.agreements import Agreement
from ledger.chain import outbox
from ledger.errors import Conflict
from ledger.statements import Statement
from tests.conftest import CREDENTIAL_KEY, LOG_KEY, ORIGIN, PARTIES, Town
from tests.ledger.paying import account, prepared
from webapp import cosigning, following, indexing, timers, worker

OPERATOR = PARTIES["operator"][2]


def now_of(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def problem(town: Town, statement: Statement) -> str | None:
    with town.reading() as session:
        act = outbox.act_of(session, statement.id, now_of(town, statement).version)
        assert act is not None
        return outbox.told(act.problem)


def approved_reversal(town: Town) -> Statement:
    """The reversal of a posted statement, its approval effective on chain, not booked."""
    posted = town.statement("posted")
    made: Statement = town.do("mona", reversals.reverse, posted, "口径有误")
    town.do("mona", revenue.propose, made, ORIGIN)
    town.approve(made)
    town.settle(made)
    return made


def set_aside(town: Town, statement: Statement) -> holds.Hold:
    """The operator's whole share, held past every check, as a fault or another's deed might do."""
    with town.deed() as session:
        fen = books.balance(session, statement.agreement_id, books.PAYABLE, OPERATOR)
        return holds.hold(
            session, "tester", town.now, cause=session.get_one(Statement, statement.id), key="x",
            book_id=statement.agreement_id, expires_at=town.now + timedelta(days=1),
            lines=[
                {"account": books.PAYABLE, "credit_fen": 0, "debit_fen": fen, "party_id": OPERATOR},
                {"account": books.BANK, "credit_fen": fen, "debit_fen": 0, "party_id": None},
            ],
        )  # fmt: skip


def test_a_statement_that_cannot_be_booked_says_why_and_keeps_no_other_back(town: Town) -> None:
    stuck = approved_reversal(town)
    held = set_aside(town, stuck)
    other = town.statement("approved")
    town.settle(other)
    assert worker.book_statements(town.home, town.now)
    assert (now_of(town, stuck).state, now_of(town, other).state) == ("approved", "posted")
    told = problem(town, stuck)
    assert told is not None
    assert f"on 2203 应付分配款 {OPERATOR} 0.00 yuan are free" in told
    with town.reading() as session:
        assert [one.id for one, _ in revenue.unbooked(session)] == [stuck.id]
    before = town.snapshot()
    assert not worker.book_statements(town.home, town.now)
    assert town.snapshot() == before
    with town.deed() as session:
        holds.void(session, "tester", town.now, session.get_one(holds.Hold, held.id), "改期")
    assert worker.book_statements(town.home, town.now)
    assert now_of(town, stuck).state == "posted"
    with town.reading() as session:
        assert revenue.unbooked(session) == []


def test_even_a_fault_of_the_program_keeps_no_other_back(
    village: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = approved_reversal(village)
    other = village.statement("approved")
    village.settle(other)
    with monkeypatch.context() as patch:
        patch.setattr(reversals, "undo", lambda *_: 1 // 0)
        worker.book_statements(village.home, village.now)
    assert (now_of(village, stuck).state, now_of(village, other).state) == ("approved", "posted")
    told = problem(village, stuck)
    assert told is not None
    assert "see the worker's log" in told


def test_nothing_is_paid_while_a_reversal_is_under_way(town: Town) -> None:
    posted = town.statement("posted")
    account(town)
    account(town, "bureau")
    agreement = town.get(Agreement, posted)
    undoing = town.do("mona", reversals.reverse, posted, "口径有误")

    def refused(state: str) -> None:
        before = town.snapshot()
        with pytest.raises(Conflict, match=f"Reversal {undoing.number} is {state}: nothing"):
            town.do("mona", payouts.prepare, agreement)
        assert town.snapshot() == before

    refused("drafted")
    town.do("mona", revenue.propose, undoing, ORIGIN)
    refused("proposed")
    town.do("carl", revenue.reject, undoing, "不必", ORIGIN)
    made = town.do("mona", payouts.prepare, agreement)
    town.do("mona", payouts.cancel, made, "改期")
    again = town.do("mona", reversals.reverse, posted, "口径有误")
    town.do("mona", revenue.propose, again, ORIGIN)
    town.approve(again)
    undoing = again
    refused("approved")
    town.settle(again)
    assert worker.book_statements(town.home, town.now)
    with pytest.raises(Conflict, match="Nothing can be paid"):
        town.do("mona", payouts.prepare, agreement)


def test_no_payout_is_approved_while_a_reversal_is_under_way(town: Town) -> None:
    """It set nothing aside any more where its holds were let go early; then the reversal can be drafted."""
    made = prepared(town)
    with town.deed() as session:
        for line in payout_rows.lines_of(session, session.get_one(payout_rows.Payout, made.id)):
            held = session.get_one(holds.Hold, line.hold_id)
            holds.void(session, "tester", town.now, held, "改期")
    with town.reading() as session:
        posted = session.scalars(select(Statement)).one()
    town.do("mona", reversals.reverse, posted, "口径有误")
    before = town.snapshot()
    with pytest.raises(Conflict, match="is drafted: nothing of this agreement is paid"):
        town.do("carl", payouts.approve, made)
    assert town.snapshot() == before


STEPS: list[tuple[Any, str]] = [
    (worker.Worker, "post_uses"), (worker.Worker, "carry"), (worker, "book_statements"),
    (worker.Worker, "publish_status"), (worker.Worker, "seal"), (cosigning, "begin"),
    (following, "begin"), (indexing, "catch_up"), (timers, "ring_in_time"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "steps"),
    [(Conflict("The database is busy."), range(-1, len(STEPS))), (RuntimeError("a fault"), (2, 6))],
    ids=["refusal", "fault"],
)
def test_a_step_that_fails_keeps_no_other_from_its_work(
    village: Town, monkeypatch: pytest.MonkeyPatch, error: Exception, steps: Sequence[int]
) -> None:
    done, fails = list[int](), -1

    def watched(n: int, real: Any) -> Any:
        def step(*given: Any) -> Any:
            if n == fails:
                raise error
            answer = real(*given)
            done.append(n)
            return answer

        return step

    for n, (place, name) in enumerate(STEPS):
        monkeypatch.setattr(place, name, watched(n, getattr(place, name)))
    ours = worker.Worker.__new__(worker.Worker)  # of a home without a chain: no lane to carry
    ours.home, ours.senders, ours.log_key, ours.credential_key = (
        village.home, {}, LOG_KEY, CREDENTIAL_KEY,
    )  # fmt: skip
    made = village.statement("approved")
    village.settle(made)
    for fails in (*steps, -1):
        done.clear()
        ours.round()
        assert done == [n for n in range(len(STEPS)) if n != fails]
    assert now_of(village, made).state == "posted"
