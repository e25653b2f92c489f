"""What the node says about its chain: blocks, state of any height, events, reverts, resending, grouping."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import rlp
from eth_account.signers.local import LocalAccount
from eth_hash.auto import keccak

from tests.ledger.chain.node_kit import (
    CHAIN_ID,
    RECORDER,
    TOPIC,
    Node,
    RpcFailed,
    deploy_code,
    sign,
    someone,
    word,
)

HEADER_FIELDS = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom",
    "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce",
    "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot",
    "requestsHash",
)  # fmt: skip
NUMBERS = {
    "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed",
    "excessBlobGas",
}  # fmt: skip


@pytest.fixture(scope="module")
def people() -> list[LocalAccount]:
    return [someone() for _ in range(4)]


@pytest.fixture(scope="module")
def operator(people: list[LocalAccount]) -> LocalAccount:
    return people[0]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, people: list[LocalAccount]) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("node"), people).start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def recorder(node: Node, operator: LocalAccount) -> str:
    return node.deploy(operator, RECORDER)


def record(node: Node, one: LocalAccount, recorder: str, *numbers: int) -> list[str]:
    """Send these numbers in one batch; the hashes."""
    nonce = node.nonce(one)
    raws = [sign(one, nonce + i, to=recorder, data=word(n)) for i, n in enumerate(numbers)]
    return [
        answer["result"] for answer in node.batch(*(("eth_sendRawTransaction", r) for r in raws))
    ]


def test_the_chain_says_who_it_is(node: Node) -> None:
    assert node.rpc("eth_chainId") == hex(CHAIN_ID)
    assert node.rpc("net_version") == str(CHAIN_ID)
    assert node.rpc("eth_syncing") is False
    assert node.rpc("eth_gasPrice") == node.rpc("eth_maxPriorityFeePerGas") == "0x0"
    assert "py-evm" in node.rpc("web3_clientVersion")
    assert node.rpc("eth_getBlockByNumber", "0x0")["hash"] == node.genesis
    assert node.rpc("eth_getBlockByNumber", "earliest")["hash"] == node.genesis
    assert node.rpc("eth_feeHistory", "0x400", "latest", [50.0])["oldestBlock"] == "0x0"


def test_every_block_names_its_parent_grows_in_time_and_hashes_to_its_name(
    node: Node, operator: LocalAccount, recorder: str
) -> None:
    record(node, operator, recorder, 1, 2, 3)
    record(node, operator, recorder, 4)
    before: dict[str, Any] = {}
    for number in range(int(node.rpc("eth_blockNumber"), 16) + 1):
        block = node.rpc("eth_getBlockByNumber", hex(number))
        assert block == node.rpc("eth_getBlockByHash", block["hash"])
        items = []
        for name in HEADER_FIELDS:
            value = block[name]
            assert name not in NUMBERS or value == hex(int(value, 16))  # canonical quantity
            items.append(int(value, 16) if name in NUMBERS else bytes.fromhex(value[2:]))
        assert "0x" + keccak(rlp.encode(items)).hex() == block["hash"]
        if before:
            assert block["parentHash"] == before["hash"]
            assert int(block["timestamp"], 16) > int(before["timestamp"], 16)
            assert block["baseFeePerGas"] == "0x0"
        before = block


def test_the_clock_of_the_pending_block_goes_on(node: Node) -> None:
    first = int(node.rpc("eth_getBlockByNumber", "pending")["timestamp"], 16)
    latest = int(node.rpc("eth_getBlockByNumber", "latest")["timestamp"], 16)
    assert first > latest
    assert abs(first - max(time.time(), latest + 1)) <= 2


def test_a_transaction_and_its_receipt_agree(
    node: Node, operator: LocalAccount, recorder: str
) -> None:
    tx_hash = record(node, operator, recorder, 99)[0]
    found, receipt = (
        node.rpc("eth_getTransactionByHash", tx_hash),
        node.rpc("eth_getTransactionReceipt", tx_hash),
    )
    assert found["hash"] == receipt["transactionHash"] == tx_hash
    for name in ("blockHash", "blockNumber", "transactionIndex", "from", "to", "type"):
        assert found[name] == receipt[name]
    assert (found["input"], found["chainId"], receipt["status"]) == (word(99), hex(CHAIN_ID), "0x1")
    block = node.rpc("eth_getBlockByHash", found["blockHash"], True)
    assert found in block["transactions"]
    assert (
        int(block["gasUsed"], 16)
        >= int(receipt["cumulativeGasUsed"], 16)
        >= int(receipt["gasUsed"], 16)
    )
    assert receipt["logs"][0]["topics"] == [TOPIC, word(99)]
    assert (
        int(receipt["logsBloom"], 16) & int(block["logsBloom"], 16)
        == int(receipt["logsBloom"], 16)
        > 0
    )
    assert node.rpc("eth_getTransactionByHash", word(1)) is None
    assert node.rpc("eth_getTransactionReceipt", word(1)) is None
    assert node.rpc("eth_getBlockByHash", word(1)) is None
    assert node.rpc("eth_getBlockByNumber", "0xffffff") is None


def test_the_state_of_every_height_can_be_read(
    node: Node, operator: LocalAccount, recorder: str
) -> None:
    at: dict[int, str] = {}
    for number in (11, 22, 33):
        receipt = node.rpc("eth_getTransactionReceipt", record(node, operator, recorder, number)[0])
        at[number] = receipt["blockNumber"]
        where = {"blockHash": receipt["blockHash"]}
        assert node.rpc("eth_call", {"to": recorder}, where) == word(number)
    for number, height in at.items():
        assert node.rpc("eth_call", {"to": recorder, "from": someone().address}, height) == word(
            number
        )
        assert node.rpc("eth_getStorageAt", recorder, "0x0", height) == word(number)
        assert node.rpc("eth_getStorageAt", recorder, word(0), {"blockNumber": height}) == word(
            number
        )
    assert node.rpc("eth_call", {"to": recorder}, "earliest") == "0x"
    assert node.rpc("eth_call", {"to": recorder}, "pending") == word(33)
    assert node.rpc("eth_getCode", recorder, "earliest") == "0x"
    assert node.rpc("eth_getCode", recorder) == "0x" + RECORDER[12:].hex()
    assert node.rpc("eth_getTransactionCount", operator.address, at[11]) == hex(
        int(node.rpc("eth_getTransactionCount", operator.address, at[22]), 16) - 1
    )
    assert node.rpc("eth_getBalance", operator.address) == "0x0"
    with pytest.raises(RpcFailed, match="header not found"):
        node.rpc("eth_call", {"to": recorder}, "0xffffff")


def test_a_call_sees_the_chains_id_and_the_latest_blocks_time(
    node: Node, operator: LocalAccount
) -> None:
    tells = deploy_code(bytes.fromhex("46600052426020524360405260606000f3"))
    address = node.deploy(operator, tells)
    block = node.rpc("eth_getBlockByNumber", "latest")
    said = node.rpc("eth_call", {"to": address})[2:]
    assert [int(said[i : i + 64], 16) for i in (0, 64, 128)] == [
        CHAIN_ID, int(block["timestamp"], 16), int(block["number"], 16),
    ]  # fmt: skip


def test_a_revert_comes_with_its_bytes(node: Node, operator: LocalAccount, recorder: str) -> None:
    for method in ("eth_call", "eth_estimateGas"):
        with pytest.raises(RpcFailed) as refused:
            node.rpc(method, {"to": recorder, "data": word(0xDEAD)})
        failed = refused.value
        assert (failed.code, failed.message, failed.data) == (3, "execution reverted", word(0xDEAD))


def test_a_reverting_transaction_is_mined_with_status_0(
    node: Node, operator: LocalAccount, recorder: str
) -> None:
    kept = node.rpc("eth_call", {"to": recorder})
    receipt = node.rpc("eth_getTransactionReceipt", record(node, operator, recorder, 0xDEAD)[0])
    assert (receipt["status"], receipt["logs"]) == ("0x0", [])
    assert node.rpc("eth_call", {"to": recorder}) == kept


def test_other_failures_of_a_call_have_words(
    node: Node, operator: LocalAccount, recorder: str
) -> None:
    with pytest.raises(RpcFailed, match="-32000 out of gas"):
        node.rpc("eth_call", {"to": recorder, "data": word(1), "gas": hex(22_000)})
    with pytest.raises(RpcFailed, match="-32000 err: intrinsic gas too low"):
        node.rpc("eth_call", {"to": recorder, "data": word(1), "gas": "0x1"})
    with pytest.raises(RpcFailed, match="-32000 err: insufficient funds"):
        node.rpc("eth_call", {"to": recorder, "value": "0x1"})
    invalid = node.deploy(operator, deploy_code(b"\xfe"))
    with pytest.raises(RpcFailed, match="-32000 InvalidInstruction"):
        node.rpc("eth_call", {"to": invalid})


def test_estimated_gas_is_enough_and_not_much_more(
    node: Node, operator: LocalAccount, recorder: str
) -> None:
    message = {"to": recorder, "data": word(123_456), "from": operator.address}
    gas = int(node.rpc("eth_estimateGas", message), 16)
    raw = sign(operator, node.nonce(operator), to=recorder, data=word(123_456), gas=gas)
    receipt = node.rpc("eth_getTransactionReceipt", node.send(raw))
    assert receipt["status"] == "0x1"
    assert gas <= int(receipt["gasUsed"], 16) * 1.35  # what is refunded counts as needed
    assert node.rpc("eth_estimateGas", {"to": operator.address}) == hex(21_000)
    assert int(node.rpc("eth_estimateGas", {"data": "0x" + RECORDER.hex()}), 16) > 53_000


class TestLogs:
    """Events by height, hash, address and topics."""

    @pytest.fixture(scope="class")
    def blocks(self, node: Node, operator: LocalAccount, recorder: str) -> tuple[int, int]:
        """The first and last height of the blocks that hold the numbers 1000 to 1019."""
        hashes = record(node, operator, recorder, *range(1000, 1010))
        hashes += record(node, operator, recorder, *range(1010, 1020))
        receipts = [node.rpc("eth_getTransactionReceipt", h) for h in hashes]
        heights = [int(r["blockNumber"], 16) for r in receipts]
        return min(heights), max(heights)

    def found(self, node: Node, blocks: tuple[int, int], **wanted: Any) -> list[int]:
        where = {"fromBlock": hex(blocks[0]), "toBlock": hex(blocks[1])} | wanted
        return [int(one["data"], 16) for one in node.rpc("eth_getLogs", where)]

    def test_by_topics(self, node: Node, blocks: tuple[int, int], recorder: str) -> None:
        every = list(range(1000, 1020))
        assert self.found(node, blocks) == every
        assert self.found(node, blocks, address=recorder) == every
        assert self.found(node, blocks, address=[recorder, "0x" + "00" * 20], topics=[]) == every
        assert self.found(node, blocks, topics=[TOPIC]) == every
        assert self.found(node, blocks, topics=[None, word(1003)]) == [1003]
        assert self.found(node, blocks, topics=[[TOPIC, word(1)], [word(1017), word(1002)]]) == [
            1002,
            1017,
        ]
        assert self.found(node, blocks, topics=[TOPIC, None]) == every
        assert self.found(node, blocks, topics=[TOPIC, None, None]) == []
        assert self.found(node, blocks, topics=[word(1)]) == []
        assert self.found(node, blocks, address="0x" + "00" * 20) == []

    def test_places_are_right(self, node: Node, blocks: tuple[int, int]) -> None:
        where = {"fromBlock": hex(blocks[0]), "toBlock": hex(blocks[1])}
        for one in node.rpc("eth_getLogs", where):
            block = node.rpc("eth_getBlockByNumber", one["blockNumber"])
            assert block["hash"] == one["blockHash"]
            assert block["transactions"][int(one["transactionIndex"], 16)] == one["transactionHash"]
            receipt = node.rpc("eth_getTransactionReceipt", one["transactionHash"])
            assert receipt["logs"] == [one]
        by_block: dict[str, list[int]] = {}
        for one in node.rpc("eth_getLogs", where):
            by_block.setdefault(one["blockNumber"], []).append(int(one["logIndex"], 16))
        assert all(places == list(range(len(places))) for places in by_block.values())

    def test_by_hash_and_range(self, node: Node, blocks: tuple[int, int], recorder: str) -> None:
        last = node.rpc("eth_getBlockByNumber", hex(blocks[1]))
        by_hash = node.rpc("eth_getLogs", {"blockHash": last["hash"]})
        assert by_hash == node.rpc(
            "eth_getLogs", {"fromBlock": hex(blocks[1]), "toBlock": hex(blocks[1])}
        )
        assert [one["transactionHash"] for one in by_hash] == last["transactions"]
        assert len(node.rpc("eth_getLogs", {"fromBlock": "earliest"})) >= 20
        with pytest.raises(RpcFailed, match="unknown block"):
            node.rpc("eth_getLogs", {"blockHash": word(5)})
        with pytest.raises(RpcFailed, match="-32602"):
            node.rpc("eth_getLogs", {"blockHash": word(5), "fromBlock": "0x0"})


def test_the_same_transaction_again_is_answered_with_its_hash_and_mined_once(
    node: Node, operator: LocalAccount, recorder: str
) -> None:
    raw = sign(operator, node.nonce(operator), to=recorder, data=word(5))
    with ThreadPoolExecutor(8) as pool:
        hashes = set(pool.map(node.send, [raw] * 16))
    assert hashes == {node.send(raw)} == {"0x" + keccak(bytes.fromhex(raw[2:])).hex()}
    receipt = node.rpc("eth_getTransactionReceipt", hashes.pop())
    where = {"fromBlock": receipt["blockNumber"], "topics": [None, word(5)]}
    assert len(node.rpc("eth_getLogs", where)) == 1


def test_another_transaction_with_a_used_nonce_is_refused(
    node: Node, operator: LocalAccount, recorder: str
) -> None:
    nonce = node.nonce(operator)
    node.send(sign(operator, nonce, to=recorder, data=word(1)))
    with pytest.raises(RpcFailed, match="nonce too low"):
        node.send(sign(operator, nonce, to=recorder, data=word(2)))


def test_a_gap_that_closes_in_time_lets_both_through(
    node: Node, operator: LocalAccount, recorder: str
) -> None:
    nonce = node.nonce(operator)
    later = sign(operator, nonce + 1, to=recorder, data=word(2))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(node.send, later)
        later_hash = "0x" + keccak(bytes.fromhex(later[2:])).hex()
        end_s = time.monotonic() + 2
        while (waiting := node.rpc("eth_getTransactionByHash", later_hash)) is None:
            assert time.monotonic() < end_s
        assert waiting["blockHash"] is None
        assert node.rpc("eth_getTransactionCount", operator.address, "pending") == hex(nonce)
        with pytest.raises(RpcFailed, match="replacement transaction underpriced"):
            node.send(sign(operator, nonce + 1, to=recorder, data=word(3)))
        node.send(sign(operator, nonce, to=recorder, data=word(1)))
        assert answer.result(10) == later_hash
    assert node.nonce(operator) == nonce + 2


def test_a_gap_that_stays_open_is_refused_while_others_are_served(
    node: Node, people: list[LocalAccount], recorder: str
) -> None:
    impatient, other = people[:2]
    nonce = node.nonce(impatient)
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(0.05):
            record(node, other, recorder, 1)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        with pytest.raises(
            RpcFailed, match=f"nonce too high: next nonce {nonce}, tx nonce {nonce + 1}"
        ):
            node.send(sign(impatient, nonce + 1, to=recorder, data=word(1)))
    finally:
        stop.set()
        thread.join(10)
    assert node.nonce(impatient) == nonce


def test_many_senders_share_few_blocks(
    node: Node, people: list[LocalAccount], recorder: str
) -> None:
    before = int(node.rpc("eth_blockNumber"), 16)
    with ThreadPoolExecutor(4) as pool:
        hashes = list(pool.map(lambda one: record(node, one, recorder, *range(50)), people))
    assert all(len(set(one)) == 50 for one in hashes)
    assert int(node.rpc("eth_blockNumber"), 16) - before <= 4


def test_a_batch_reads_what_it_wrote_before(
    node: Node, operator: LocalAccount, recorder: str
) -> None:
    nonce = node.nonce(operator)
    answers = node.batch(
        ("eth_sendRawTransaction", sign(operator, nonce, to=recorder, data=word(71))),
        ("eth_sendRawTransaction", sign(operator, nonce + 1, to=recorder, data=word(72))),
        ("eth_call", {"to": recorder}, "latest"),
        ("eth_accounts",),
        ("eth_sendRawTransaction", sign(operator, nonce + 2, to=recorder, data=word(73))),
        ("eth_call", {"to": recorder}),
    )
    assert [answer["id"] for answer in answers] == list(range(6))
    assert [answers[i]["result"] for i in (2, 5)] == [word(72), word(73)]
    assert answers[3]["error"]["code"] == -32601


def test_sixty_transactions_one_after_another_are_all_taken(
    node: Node, operator: LocalAccount, recorder: str
) -> None:
    """How fast is not asked: that a machine is busy elsewhere is no fault of the node's."""
    nonce = node.nonce(operator)
    for i in range(60):
        node.send(sign(operator, nonce + i, to=recorder, data=word(i)))
    assert node.nonce(operator) == nonce + 60
