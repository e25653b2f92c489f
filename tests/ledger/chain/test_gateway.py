"""The gateway against a real node with the real contracts, and against nodes that answer oddly."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from eth_hash.auto import keccak

from contracts import NAMES, artifact
from ledger.chain.gateway import Fees, Gateway, connect, contract_address
from ledger.chain.transport import reverted
from ledger.errors import ChainReverted, ChainUnavailable, Conflict, Invalid
from tests.ledger.chain.node_kit import CHAIN_ID, TOKEN, Node, someone

ANCHOR = "CheckpointAnchor"
FREE = Fees(0, 0)


@pytest.fixture(scope="module")
def registry() -> LocalAccount:
    return someone()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, registry: LocalAccount) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("node"), [registry]).start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def gateway(node: Node) -> Gateway:
    return connect(node.url, token=TOKEN)


def send(gateway: Gateway, one: LocalAccount, to: str | None, data: bytes) -> dict[str, Any]:
    """Sign, send twice, and return the receipt."""
    nonce = gateway.nonce(one.address)
    raw, tx_hash = gateway.sign(
        bytes(one.key),
        to=to,
        data=data,
        nonce=nonce,
        gas=8_000_000,
        chain_id=CHAIN_ID,
        fees=gateway.fees(),
    )
    assert gateway.send_raw(raw) == gateway.send_raw(raw) == tx_hash
    receipt = gateway.receipt(tx_hash)
    assert receipt is not None
    assert (receipt["hash"], gateway.nonce(one.address)) == (tx_hash, nonce + 1)
    return receipt


@pytest.fixture(scope="module")
def anchor(gateway: Gateway, registry: LocalAccount) -> str:
    nonce = gateway.nonce(registry.address)
    data = gateway.deploy_data(ANCHOR, registry.address, registry.address)
    receipt = send(gateway, registry, None, data)
    assert receipt["status"] == 1
    assert receipt["contract_address"] == contract_address(registry.address, nonce)
    return str(receipt["contract_address"])


def test_a_chain_is_named_by_its_id_and_its_genesis(gateway: Gateway, node: Node) -> None:
    assert gateway.identity() == (CHAIN_ID, node.genesis)
    assert gateway.block_hash(0) == node.genesis
    assert gateway.block_time_s(0) == 1_780_272_000
    assert gateway.block_hash(10**6) is None
    assert gateway.fees() == FREE


@pytest.mark.parametrize("name", NAMES)
def test_every_contract_of_ours_fits_into_one_transaction(
    gateway: Gateway, registry: LocalAccount, anchor: str, name: str
) -> None:
    args: list[Any] = []
    for part in artifact(name)["abi"]:
        if part["type"] == "constructor":
            args = [
                [someone().address] if i["type"] == "address[]" else someone().address
                for i in part["inputs"]
            ]
            if name == "CirculationRegistry":
                args[-1] = anchor  # the registry of vouchers must be a contract, any will do
    receipt = send(gateway, registry, None, gateway.deploy_data(name, *args))
    assert receipt["status"] == 1
    assert len(gateway.code(receipt["contract_address"])) > 1000


def test_what_is_written_is_read_back_at_every_height(
    gateway: Gateway, registry: LocalAccount, anchor: str
) -> None:
    root = b"\x07" * 32
    receipt = send(gateway, registry, anchor, gateway.encode(ANCHOR, "anchor", 3, root, []))
    height = receipt["block_number"]
    assert (receipt["status"], receipt["to"], receipt["sender"]) == (1, anchor, registry.address)
    assert gateway.block_hash(height) == receipt["block_hash"]
    assert gateway.call(ANCHOR, anchor, "latest") == (3, root)
    assert gateway.call(ANCHOR, anchor, "latest", block=height - 1) == (0, bytes(32))
    assert gateway.call(ANCHOR, anchor, "rootOf", 3) == root

    events = gateway.events(ANCHOR, anchor, "Anchored", 0)
    assert [(one["args"]["size"], one["args"]["root"], one["block_number"]) for one in events] == [
        (3, root, height)
    ]
    assert events[0]["transaction_hash"] == receipt["hash"]
    assert gateway.events(ANCHOR, anchor, "Anchored", 0, actor=registry.address) == events
    assert gateway.events(ANCHOR, anchor, "Anchored", 0, actor=someone().address) == []
    assert gateway.events(ANCHOR, anchor, "Anchored", height + 1) == []
    assert gateway.events(ANCHOR, anchor, "Anchored", 0, to_block=height - 1) == []


def test_a_revert_is_told_in_the_contracts_words(
    gateway: Gateway, registry: LocalAccount, anchor: str
) -> None:
    stranger = someone().address
    with pytest.raises(ChainReverted) as refused:
        gateway.call(ANCHOR, anchor, "anchor", 9, b"\1" * 32, [], sender=stranger)
    facts = refused.value.facts
    assert facts["name"] == "AccessControlUnauthorizedAccount"
    assert facts["args"]["account"] == stranger.lower()
    json.dumps(refused.value.as_dict())
    with pytest.raises(ChainReverted) as refused:
        gateway.simulate(
            sender=registry.address,
            to=anchor,
            data=gateway.encode(ANCHOR, "anchor", 9, bytes(32), []),
        )
    assert refused.value.facts["name"] == "RootZero"
    receipt = send(gateway, registry, anchor, gateway.encode(ANCHOR, "anchor", 9, bytes(32), []))
    assert receipt["status"] == 0


def test_every_custom_error_of_every_contract_is_decoded() -> None:
    sample = {
        "address": "0x" + "ab" * 20,
        "string": "why",
        "bytes": b"\1\2",
        "bytes32": b"\3" * 32,
        "bool": True,
    }
    for name in NAMES:
        for part in artifact(name)["abi"]:
            if part["type"] == "error":
                types = [i["type"] for i in part["inputs"]]
                values = [sample.get(kind, 3) for kind in types]
                selector = keccak(f"{part['name']}({','.join(types)})".encode())[:4]
                facts = reverted(selector + encode(types, values)).facts
                assert facts["name"] == part["name"]
                assert list(facts["args"]) == [i["name"] for i in part["inputs"]]
                json.dumps(facts)


@pytest.mark.parametrize(
    ("data", "name", "args"),
    [
        (bytes.fromhex("08c379a0") + encode(["string"], ["no"]), "Error", {"message": "no"}),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [0x11]), "Panic", {"code": 0x11}),
        (bytes.fromhex("08c379a0ff"), "Error", {"data": "0x08c379a0ff"}),
        (b"\1\2\3\4\5", "0x01020304", {"data": "0x0102030405"}),
        (b"", "", {}),
    ],
)
def test_other_reverts_are_told_as_far_as_they_go(
    data: bytes, name: str, args: dict[str, Any]
) -> None:
    facts = reverted(data).facts
    assert (facts["name"], facts["args"]) == (name, args)


def test_a_refused_transaction_says_why(
    gateway: Gateway, registry: LocalAccount, anchor: str
) -> None:
    def attempt(one: LocalAccount, **changed: Any) -> str:
        usual: dict[str, Any] = {"to": anchor, "data": b"", "nonce": gateway.nonce(one.address)}
        usual |= {"gas": 100_000, "chain_id": CHAIN_ID, "fees": FREE}
        raw, _ = gateway.sign(bytes(one.key), **usual | changed)
        with pytest.raises(Conflict) as refused:
            gateway.send_raw(raw)
        return str(refused.value.facts["reason"])

    assert attempt(registry, nonce=0) == "nonce_too_low"
    assert attempt(registry, chain_id=1) == "wrong_chain"
    assert attempt(registry, fees=Fees(10, 1)) == "insufficient_funds"
    assert attempt(registry, data=b"\1" * 5000) == "gas"
    assert attempt(someone()) == "not_allowed"


@pytest.mark.parametrize("gas", [20_999, 16_777_217])
def test_gas_beyond_what_a_transaction_may_have_is_not_signed(
    gateway: Gateway, registry: LocalAccount, gas: int
) -> None:
    with pytest.raises(Invalid):
        gateway.sign(
            bytes(registry.key), to=None, data=b"", nonce=0, gas=gas, chain_id=CHAIN_ID, fees=FREE
        )


def test_without_the_token_the_gateway_reads_but_does_not_send(
    node: Node, gateway: Gateway, registry: LocalAccount
) -> None:
    reader = connect(node.url)
    assert reader.identity() == gateway.identity()
    raw, _ = reader.sign(
        bytes(registry.key), to=None, data=b"", nonce=gateway.nonce(registry.address), gas=100_000,
        chain_id=CHAIN_ID, fees=FREE,
    )  # fmt: skip
    with pytest.raises(ChainUnavailable, match="refuses our token"):
        reader.send_raw(raw)


def test_a_contract_that_is_not_there_is_no_answer(gateway: Gateway) -> None:
    with pytest.raises(ChainUnavailable, match="latest at 0x"):
        gateway.call(ANCHOR, someone().address, "latest")


@pytest.mark.parametrize(
    "url", ["", "chain", "ftp://host", "file:///etc/passwd", "http://", "http://h:99999", "ws://h"]
)
def test_only_http_addresses_are_taken(url: str) -> None:
    with pytest.raises(Invalid):
        connect(url)


def test_what_could_be_a_secret_is_masked() -> None:
    gateway = connect("http://user:pass@127.0.0.1:9/v3/key?token=x", timeout_s=1)
    with pytest.raises(ChainUnavailable) as absent:
        gateway.identity()
    text = str(absent.value)
    assert "http://127.0.0.1:9/…" in text
    assert "shuzheng node" in text
    assert not any(secret in text for secret in ("user", "pass@", "key", "token=x"))


def test_a_node_that_is_silent_is_not_waited_for_long() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        gateway = connect(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.3)
        with pytest.raises(ChainUnavailable, match=r"no answer in 0\.3 s"):
            gateway.block_number()


@contextmanager
def odd_node(answer: Callable[[str, list[Any]], Any], status: int = 200) -> Iterator[Gateway]:
    """A node whose answers are made by `answer`: an object is merged into the reply, bytes are the body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = answer(asked["method"], asked["params"])
            usual = {"jsonrpc": "2.0", "id": asked["id"]}
            body = found if isinstance(found, bytes) else json.dumps(usual | found).encode()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield connect(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"<html>", 200, "does not speak JSON-RPC"), (b"[]", 200, "does not speak JSON-RPC"),
        (b"<html>", 502, "HTTP 502"), (b"{}", 500, "HTTP 500"), (b"", 302, "HTTP 302"),
        (b'{"error":{"code":-32000,"message":"not now"}}', 400, "refused eth_blockNumber: not now"),
        (b'{"error":"odd"}', 200, "refused eth_blockNumber: odd"),
    ],
)  # fmt: skip
def test_what_is_no_node_is_told_so(body: bytes, status: int, words: str) -> None:
    with odd_node(lambda *_: body, status) as gateway, pytest.raises(ChainUnavailable, match=words):
        gateway.block_number()


@pytest.mark.parametrize(
    "error",
    [
        {"code": 3, "message": "execution reverted", "data": "DATA"},
        {"code": 3, "message": "execution reverted: custom error", "data": {"data": "DATA"}},
        {"code": -32000, "message": "Execution reverted", "data": "DATA"},
        {"code": -32015, "message": "VM execution error, reverted", "data": "Reverted DATA"},
    ],
)
def test_each_kind_of_node_has_its_way_to_tell_a_revert(error: dict[str, Any]) -> None:
    data = "0x08c379a0" + encode(["string"], ["no"]).hex()
    told = json.loads(json.dumps(error).replace("DATA", data))
    asked: list[str] = []

    def refuse(method: str, _: list[Any]) -> Any:
        asked.append(method)
        return {"error": told}

    with odd_node(refuse) as gateway, pytest.raises(ChainReverted) as refused:
        gateway.call(ANCHOR, someone().address, "latest")
    assert refused.value.facts["args"] == {"message": "no"}
    assert asked == ["eth_call"]


@pytest.mark.parametrize(
    ("price", "base", "tip", "fees"),
    [
        ("0x0", "0x0", "0x0", Fees(0, 0)),
        ("0x0", None, None, Fees(0, 0, is_legacy=True)),
        ("0x5", None, None, Fees(5, 5, is_legacy=True)),
        ("0x5", "0x3", "0x2", Fees(8, 2)),
        ("0x3e8", "0x0", "0x3e8", Fees(1000, 1000)),
    ],
)
def test_fees_follow_the_node(price: str, base: str | None, tip: str | None, fees: Fees) -> None:
    block = {} if base is None else {"baseFeePerGas": base}
    answers = {
        "eth_gasPrice": price,
        "eth_getBlockByNumber": block,
        "eth_maxPriorityFeePerGas": tip,
    }
    with odd_node(lambda method, _: {"result": answers[method]}) as gateway:
        assert gateway.fees() == fees


def test_a_legacy_transaction_names_its_chain(
    gateway: Gateway, registry: LocalAccount, anchor: str
) -> None:
    raw, tx_hash = gateway.sign(
        bytes(registry.key), to=anchor, data=gateway.encode(ANCHOR, "latest"),
        nonce=gateway.nonce(registry.address), gas=100_000, chain_id=CHAIN_ID,
        fees=Fees(0, 0, is_legacy=True),
    )  # fmt: skip
    assert raw[0] >= 0xC0
    assert gateway.send_raw(raw) == tx_hash


def test_a_transaction_the_node_knows_already_counts_as_sent() -> None:
    said = {"error": {"code": -32000, "message": "nonce too low"}}

    def has_it(method: str, _: list[Any]) -> Any:
        return said if method == "eth_sendRawTransaction" else {"result": {"hash": "0x"}}

    with odd_node(has_it) as gateway:
        assert gateway.send_raw(b"\2") == "0x" + keccak(b"\2").hex()
    known = {"error": {"code": -32000, "message": "Known transaction"}}
    with odd_node(lambda *_: known) as gateway:
        assert gateway.send_raw(b"\2") == "0x" + keccak(b"\2").hex()


def test_a_range_with_too_many_events_is_asked_for_in_halves(
    node: Node, gateway: Gateway, anchor: str
) -> None:
    real = gateway.events(ANCHOR, anchor, "RoleGranted", 0)
    asked: list[tuple[int, int]] = []

    def strict(method: str, params: list[Any]) -> Any:
        if method == "eth_getLogs":
            first, last = (int(params[0][name], 16) for name in ("fromBlock", "toBlock"))
            asked.append((first, last))
            if last > first:
                return {
                    "error": {"code": -32005, "message": "query returned more than 10000 results"}
                }
        return {"result": node.rpc(method, *params)}

    with odd_node(strict) as narrow:
        assert narrow.events(ANCHOR, anchor, "RoleGranted", 0, to_block=3) == [
            one for one in real if one["block_number"] <= 3
        ]
    assert {(0, 3), (0, 1), (0, 0), (1, 1), (2, 3), (2, 2), (3, 3)} == set(asked)
