"""The worker against nodes and networks that fail: whatever happens, each act takes effect once.

Each fault is put before each kind of request, on anvil and on the embedded node. Afterwards every act
is confirmed, the contract tells each version once, and every record is under a confirmed checkpoint.
"""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ledger.chain import outbox
from tests.ledger.chain import anvil, proxy
from tests.ledger.chain.stage import Stage, a_stage

METHODS = (
    "eth_blockNumber", "eth_call", "eth_gasPrice", "eth_getBlockByNumber", "eth_getLogs",
    "eth_getTransactionCount", "eth_getTransactionReceipt", "eth_sendRawTransaction",
)  # fmt: skip
ALL = [(method, fault) for method in METHODS for fault in proxy.EVERYWHERE]
SAMPLE = {  # each fault at a request, the sending one among them
    (METHODS[-1 - n % len(METHODS)], fault) for n, fault in enumerate(proxy.EVERYWHERE)
}


def named(method: str, fault: Any) -> Any:
    """A case; in the fast tests only the sample is tried."""
    marks = () if (method, fault) in SAMPLE else (pytest.mark.slow,)
    return pytest.param(method, fault, id=f"{method}-{fault.__name__}", marks=marks)


@pytest.fixture(scope="module", params=["anvil", "embedded"])
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    path = tmp_path_factory.mktemp("faults") / "home"
    with a_stage(path, *anvil.FREE, embedded=request.param == "embedded") as made:
        yield made


@pytest.mark.parametrize(("method", "fault"), [named(*one) for one in ALL])
def test_a_fault_of_the_way_delays_and_changes_nothing(
    stage: Stage, method: str, fault: Any
) -> None:
    stage.step()
    stage.way.on(method, fault, 2)
    stage.work()
    stage.way.heal()
    stage.work()
    stage.check()


@pytest.mark.parametrize("times", [1, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fault", proxy.WHERE_SENT, ids=lambda fault: fault.__name__)
def test_a_node_that_refuses_for_a_while_delays_and_changes_nothing(
    stage: Stage, fault: Any, times: int
) -> None:
    stage.step()
    stage.way.on("eth_sendRawTransaction", fault, times)
    stage.work()
    stage.way.heal()
    stage.work()
    stage.check()


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("insufficient funds for gas * price + value", "fund it, then retry"),
        ("sender not allowed", "let its operator allow that address"),
        ("exceeds block gas limit", "raise the chain's limit"),
        ("invalid chain id for signer", "let CHAIN_RPC_URL name a node of this chain"),
        ("transaction underpriced", "wait until the price falls"),
        ("mempool is full", "mend the cause"),
    ],
)
def test_a_node_that_keeps_refusing_is_an_alarm_that_says_what_to_do(
    stage: Stage, said: str, advice: str
) -> None:
    stage.step()
    stage.way.on("eth_sendRawTransaction", proxy.says(said), 1000)
    stage.work()
    found = stage.problems()
    assert found
    assert all(advice in one for one in found), found
    stage.way.heal()
    with stage.deed() as session:
        assert outbox.retry(session) == len(found)
    stage.work()
    stage.check()


def test_several_workers_over_a_bad_way_do_no_harm(stage: Stage) -> None:
    faults = itertools.cycle([*proxy.EVERYWHERE[:2], proxy.says("nonce too low"), proxy.swallows])
    for _ in range(3):
        stage.step()
        for _ in range(3):
            stage.way.on("eth_sendRawTransaction", next(faults))
            stage.way.on("eth_call", proxy.refuses_connection)
        with ThreadPoolExecutor(3) as pool:
            for outcome in [pool.submit(stage.work) for _ in range(3)]:
                outcome.result()
    stage.way.heal()
    stage.work()
    stage.check()
