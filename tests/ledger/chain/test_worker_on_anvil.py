"""The worker on a node of somebody else's make: blocks come late, go again, and cost money."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import event

from ledger import log
from ledger.chain import outbox
from ledger.errors import ChainUnavailable, Conflict
from tests.conftest import fresh_database
from tests.ledger.chain import anvil, proxy
from tests.ledger.chain.stage import Stage, a_stage
from webapp.home import Home, clock
from webapp.worker import Worker

GWEI = 10**9
DEAR = ("--block-base-fee-per-gas", str(GWEI), "--gas-price", str(GWEI))


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """On a chain without fees, three blocks on top make one final."""
    with a_stage(tmp_path_factory.mktemp("free") / "home", *anvil.FREE, depth=3) as stage:
        settle(stage)
        yield stage


@pytest.fixture(scope="module")
def dear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """On a chain with fees, each block is taken as final."""
    with a_stage(tmp_path_factory.mktemp("dear") / "home", *DEAR) as stage:
        yield stage


def settle(stage: Stage) -> None:
    """Rounds of the worker with blocks in between, until everything is final."""
    assert stage.node is not None
    for _ in range(40):
        stage.work(2)
        stage.node.mine(2)
        with stage.reading() as session:
            if outbox.open_count(session) == 0:
                return
    raise AssertionError("it is never final")


def act_of(stage: Stage) -> outbox.Act:
    return stage.act(stage.voucher.id, stage.version())


# -- depth -------------------------------------------------------------------------------------


def test_a_record_is_confirmed_when_enough_blocks_stand_on_it(free: Stage) -> None:
    assert free.node is not None
    free.step()
    free.work(6)
    assert act_of(free).state == "effective"
    assert act_of(free).confirmed_at is None
    with free.reading() as session, pytest.raises(Conflict, match="not final yet"):
        outbox.require_effective(session, free.voucher.id, "The voucher")
    rungs = [free.rung(free.voucher)]
    for _ in range(3):
        free.node.mine()
        free.work(2)
        rungs.append(free.rung(free.voucher))
    assert rungs[0] == "anchored"
    assert rungs[-1] == "confirmed"
    settle(free)
    with free.reading() as session:
        outbox.require_effective(session, free.voucher.id, "The voucher")
    free.check()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_what_a_re_organisation_undoes_is_done_again(free: Stage, depth: int) -> None:
    assert free.node is not None
    free.step()
    free.work(6)
    before = act_of(free)
    assert before.state == "effective"
    assert free.rung(free.voucher) == "anchored"
    free.node.reorganise(depth + 1)
    free.work(1)
    after = act_of(free)
    assert (after.state, after.block) == ("sent", None) or after.block_hash != before.block_hash
    settle(free)
    assert free.rung(free.voucher) == "confirmed"
    free.check()


def test_an_anchor_that_a_re_organisation_undid_is_not_told_as_anchored(free: Stage) -> None:
    assert free.node is not None
    free.deposit(data=os.urandom(8))
    free.work(6)
    sizes = free.anchored_sizes()
    free.node.automine(False)
    try:
        free.node.reorganise(1)
        assert free.anchored_sizes() == sizes[:-1]
        free.work(1)
        with free.reading() as session:
            act = outbox.act_of(session, f"checkpoint:{sizes[-1]}", 1)
            assert act is not None
            assert act.state == "sent"
            held = session.get_one(log.Checkpoint, sizes[-1])
            assert (held.anchor_block, held.confirmed_at) == (None, None)
    finally:
        free.node.automine(True)
    settle(free)
    free.check()


def test_a_re_organisation_deeper_than_thought_is_mended_and_told(free: Stage) -> None:
    assert free.node is not None
    free.step()
    settle(free)
    done = act_of(free)
    assert done.block is not None
    head = free.chain.block_number()
    free.node.reorganise(head - done.block + 1)
    free.work(3)
    settle(free)
    act = act_of(free)
    assert (act.state, act.confirmed_at is not None) == ("effective", True)
    assert "deeper than the 3 blocks" in str(outbox.told(act.problem))
    free.check()


# -- blocks and mempool ------------------------------------------------------------------------


def test_while_no_block_comes_an_act_stays_sent_and_is_not_signed_twice(free: Stage) -> None:
    assert free.node is not None
    free.node.automine(False)
    try:
        free.step()
        free.work(4)
        first = act_of(free)
        assert first.state == "sent"
        free.work(6)
        assert (act_of(free).transaction, act_of(free).nonce) == (first.transaction, first.nonce)
    finally:
        free.node.automine(True)
    free.node.mine()
    settle(free)
    assert act_of(free).transaction == first.transaction
    free.check()


def test_a_forgotten_mempool_is_filled_with_the_same_bytes(free: Stage) -> None:
    assert free.node is not None
    free.node.automine(False)
    try:
        for _ in range(3):
            free.step()
        free.work(4)
        sent = act_of(free).state, free.act(free.voucher.id, free.version() - 2).transaction
        free.node.forget()
        assert free.chain.nonce(free.home.address("registrar"), pending=True) == free.chain.nonce(
            free.home.address("registrar")
        )
        free.work(2)
    finally:
        free.node.automine(True)
    free.node.mine()
    settle(free)
    assert free.act(free.voucher.id, free.version() - 2).transaction == sent[1]
    free.check()


def test_acts_behind_a_gap_are_signed_anew(free: Stage) -> None:
    """The first of two transactions was given up, so the second one's nonce can never come."""
    assert free.node is not None
    free.node.automine(False)
    other = free.issue()
    try:
        free.step()
        free.work(2)
        free.node.forget()
        with free.deed() as session:
            first = session.get_one(outbox.Act, act_of(free).id)
            second = session.get_one(outbox.Act, free.act(other.id).id)
            assert {first.nonce, second.nonce} == {
                min(first.nonce or 0, second.nonce or 0),
                min(first.nonce or 0, second.nonce or 0) + 1,
            }
            lower, higher = sorted((first, second), key=lambda act: act.nonce or 0)
            lower.state, lower.nonce, lower.raw, lower.transaction = "alarm", None, None, None
            lower.problem = {"facts": {}, "template": "given up by the test"}
            stuck = higher.id
    finally:
        free.node.automine(True)
    settle(free)
    with free.deed() as session:
        assert session.get_one(outbox.Act, stuck).state == "effective"
        assert outbox.retry(session) == 1
    settle(free)
    free.check()


def test_a_chain_put_back_to_an_earlier_block_is_caught_up(free: Stage) -> None:
    assert free.node is not None
    settle(free)
    mark = free.node.ask("evm_snapshot")
    free.step()
    free.work(6)
    assert free.node.ask("evm_revert", mark)
    settle(free)
    free.check()


# -- money -------------------------------------------------------------------------------------


def test_when_the_price_rises_a_waiting_transaction_is_offered_more(dear: Stage) -> None:
    assert dear.node is not None
    dear.node.automine(False)
    try:
        dear.step()
        dear.work(3)
        first = act_of(dear)
        assert first.state == "sent"
        dear.node.ask("anvil_setNextBlockBaseFeePerGas", hex(30 * GWEI))
        dear.node.mine()  # too dear for ours
        assert dear.chain.receipt(str(first.transaction)) is None
        dear.work(2)
        second = act_of(dear)
        assert second.transaction != first.transaction
        assert second.nonce == first.nonce
    finally:
        dear.node.automine(True)
    dear.node.mine()
    dear.work()
    assert act_of(dear).state == "effective"
    dear.check()


def test_an_account_without_money_is_an_alarm_and_goes_on_when_it_is_funded(dear: Stage) -> None:
    assert dear.node is not None
    address = dear.home.address("registrar")
    dear.node.give(address, 1)
    dear.step()
    dear.work()
    (told,) = dear.problems()
    assert f"the account {address} cannot pay for gas" in told
    dear.node.give(address, 10**18)
    with dear.deed() as session:
        outbox.retry(session)
    dear.work()
    dear.check()


# -- kill -9 -----------------------------------------------------------------------------------


class Killer:
    """Runs the worker in a process of its own, and kills it at its n-th step."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.pid, self.left = stage, 0, 0

    def run(self, step: int, moments: str) -> bool:
        """Whether it was killed: at the n-th request or commit, counting only those of `moments`."""
        stage = self.stage
        self.left = step
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(write)
                os.read(read, 1)  # until the parent watches
                self._work(step, moments)
            finally:
                os._exit(0)
        os.close(read)

        def watch(_method: str, moment: str) -> None:
            if moment == moments:
                self.left -= 1
                if self.left == 0:
                    os.kill(self.pid, signal.SIGKILL)

        stage.way.watch = watch
        os.close(write)
        _, status = os.waitpid(self.pid, 0)
        stage.way.watch = lambda _method, _moment: None
        return os.WIFSIGNALED(status)

    def _work(self, step: int, moments: str) -> None:
        """In the child: a worker with its own connections; commits count where they are meant."""
        home = Home(self.stage.home.path)
        _ = home.config
        left = step

        def count(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        if moments == "commit":
            event.listen(home.engine, moments, count)
        stage = self.stage
        worker = Worker(home, stage.keyring, stage.chain)
        for _ in range(12):
            worker.carry(clock())
            worker.publish_status(clock())
            worker.seal(clock())


@pytest.mark.parametrize(
    ("node", "database"),
    [
        pytest.param("anvil", "sqlite", marks=pytest.mark.slow),
        pytest.param("embedded", "sqlite", marks=pytest.mark.slow),
        pytest.param("anvil", "postgresql", marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_request_or_commit_nothing_is_lost_or_done_twice(
    request: pytest.FixtureRequest, node: str, database: str, tmp_path: Path
) -> None:
    """kill -9 before and after each request reaches the node, and before each commit."""
    with ExitStack() as stack:
        url = stack.enter_context(fresh_database(database, request, tmp_path))
        stage = stack.enter_context(
            a_stage(tmp_path / "home", *anvil.FREE, embedded=node == "embedded", database_url=url)
        )
        killed = 0
        for moments in ("before", "after", "commit"):
            for step in range(1, 400):
                stage.step()
                if not Killer(stage).run(step, moments):
                    break
                killed += 1
                if step % 10 == 0:
                    stage.work()
                    stage.check()
            stage.work()
            stage.check()
        assert killed > 60


def test_a_database_put_back_to_an_older_state_is_an_alarm(tmp_path: Path) -> None:
    with a_stage(tmp_path / "home", *anvil.FREE) as stage:
        stage.work()
        stage.home.close()
        kept = (tmp_path / "home" / "ledger.db").read_bytes()
        for _ in range(3):
            stage.step()
            stage.work()
        stage.home.close()
        for name in ("ledger.db-wal", "ledger.db-shm"):
            (tmp_path / "home" / name).unlink(missing_ok=True)
        (tmp_path / "home" / "ledger.db").write_bytes(kept)
        stage.deposit(data=b"after the old copy came back")
        stage.work()
        (told,) = stage.problems()
        assert "was put back to an older state" in told


def test_without_a_node_the_worker_waits_and_says_so(tmp_path: Path) -> None:
    with a_stage(tmp_path / "home", *anvil.FREE) as stage:
        assert stage.node is not None
        stage.step()
        before = stage.snapshot()
        stage.way.on("eth_call", proxy.refuses_connection, 1000)
        with pytest.raises(ChainUnavailable, match="does not answer"):
            stage.worker().carry(clock())
        assert stage.snapshot() == before
        stage.way.heal()
        stage.work()
        stage.check()
