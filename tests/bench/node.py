"""Transactions a second at our node, one after another, beside eth-tester mining the same in memory.

Ours goes over HTTP into another process, which answers when the block is durable on disk; eth-tester (the
same py-evm) is called in this process and forgets everything at its end.
"""

from pathlib import Path
from typing import Any

from eth_account import Account
from eth_tester import EthereumTester, PyEVMBackend

from tests.bench.log import rate, show
from tests.ledger.chain.node_kit import RECORDER, Node, sign, someone, word

SENT = 60
GAS_PRICE_WEI = 10**10


def bench_node(folder: Path) -> None:
    """Each round sends `SENT` transactions, signed before, to a contract that stores and logs a word."""
    place = folder / "node"
    place.mkdir()
    operator = someone()
    node = Node(place, [operator]).start()
    try:
        recorder = node.deploy(operator, RECORDER)
        raws = iter([
            [sign(operator, 1 + n * SENT + i, to=recorder, data=word(i)) for i in range(SENT)]
            for n in range(3)
        ])  # fmt: skip
        ours = rate(SENT, lambda: [node.send(raw) for raw in next(raws)])
    finally:
        node.stop()
    show("transaction, acknowledged", ours, "eth-tester in memory", rate(SENT, _bare()))


def _bare() -> Any:
    backend = PyEVMBackend()
    tester = EthereumTester(backend)
    sender = Account.from_key(backend.account_keys[0].to_bytes())
    facts = {
        "chainId": tester.backend.chain.chain_id,
        "maxFeePerGas": GAS_PRICE_WEI, "maxPriorityFeePerGas": 0,
    }  # fmt: skip
    made = tester.send_raw_transaction(sign(sender, 0, to=None, data=RECORDER, **facts))
    to = tester.get_transaction_receipt(made)["contract_address"]
    signed = iter([
        [sign(sender, 1 + n * SENT + i, to=to, data=word(i), **facts) for i in range(SENT)]
        for n in range(3)
    ])  # fmt: skip
    return lambda: [tester.send_raw_transaction(raw) for raw in next(signed)]
