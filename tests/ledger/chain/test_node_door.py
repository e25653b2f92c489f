"""Who may ask the node what: Host, Origin, token, sizes, methods, and whose transactions are taken."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from tests.ledger.chain.node_kit import (
    CHAIN_ID,
    RECORDER,
    TOKEN,
    Node,
    RpcFailed,
    deploy_code,
    sign,
    someone,
    word,
)

NOWHERE = "0x" + "11" * 20
BLOCK_NUMBER = b'{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}'


@pytest.fixture(scope="module")
def operator() -> LocalAccount:
    return someone()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, operator: LocalAccount) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("node"), [operator], wei=10**18).start()
    yield node
    node.stop()


def a_send(node: Node, operator: LocalAccount) -> bytes:
    raw = sign(operator, node.nonce(operator), to=NOWHERE)
    asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [raw]}
    return json.dumps(asked).encode()


@pytest.mark.parametrize(
    "method",
    [
        "eth_accounts", "eth_sendTransaction", "eth_sign", "eth_signTransaction", "personal_listAccounts",
        "evm_mine", "evm_setNextBlockTimestamp", "testing_timeTravel", "hardhat_setBalance", "anvil_reset",
        "debug_traceCall", "admin_peers", "txpool_content", "miner_start", "eth_newFilter", "__class__", "",
    ],
)  # fmt: skip
def test_a_method_outside_the_list_is_not_there(node: Node, method: str) -> None:
    with pytest.raises(RpcFailed) as refused:
        node.rpc(method)
    assert refused.value.code == -32601


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"],
)
def test_without_the_token_nothing_is_sent(
    node: Node, operator: LocalAccount, authorization: str
) -> None:
    before = node.nonce(operator)
    status, _, body = node.post(a_send(node, operator), {"Authorization": authorization})
    assert (status, json.loads(body)["error"]["code"]) == (401, -32001)
    batch = b"[" + BLOCK_NUMBER + b"," + a_send(node, operator) + b"]"
    assert node.post(batch, {"Authorization": authorization})[0] == 401
    assert node.nonce(operator) == before


def test_reading_needs_no_token(node: Node) -> None:
    assert node.post(BLOCK_NUMBER, {"Authorization": "Bearer wrong"})[0] == 200


def test_a_web_page_reads_but_does_not_send_even_with_the_token(
    node: Node, operator: LocalAccount
) -> None:
    page = {"Origin": "https://elsewhere.example"}
    before = node.nonce(operator)
    assert node.post(a_send(node, operator), page)[0] == 403
    assert node.post(a_send(node, operator), {"Origin": "null"})[0] == 403
    assert node.nonce(operator) == before
    status, headers, _ = node.post(BLOCK_NUMBER, page)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert "Access-Control-Allow-Origin" not in node.post(BLOCK_NUMBER)[1]


def test_a_preflight_does_not_allow_the_authorization_header(node: Node) -> None:
    asked = {
        "Origin": "https://elsewhere.example",
        "Access-Control-Request-Headers": "authorization",
    }
    status, headers, body = node.post(b"", asked, method="OPTIONS")
    assert (status, body) == (204, b"")
    assert headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert "Access-Control-Allow-Private-Network" not in headers


def test_only_our_own_names_are_answered(node: Node) -> None:
    port = node.host.partition(":")[2]
    for name in ("127.0.0.1", "localhost", "[::1]", "LOCALHOST"):
        assert node.post(BLOCK_NUMBER, {"Host": f"{name}:{port}"})[0] == 200
    for name in (
        f"evil.example:{port}",
        "127.0.0.1",
        f"127.0.0.1.evil.example:{port}",
        "127.0.0.1:1",
        "",
    ):
        assert node.post(BLOCK_NUMBER, {"Host": name})[0] == 421
        assert node.post(b"", {"Host": name}, method="OPTIONS")[0] == 421


def test_only_json_is_taken(node: Node) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"):
        assert node.post(BLOCK_NUMBER, {"Content-Type": kind})[0] == 415
    assert node.post(BLOCK_NUMBER, {"Content-Type": "application/json; charset=utf-8"})[0] == 200


def test_sizes_are_bounded(node: Node) -> None:
    assert node.post(b"[" + b" " * 2**20 + b"]")[0] == 413
    assert node.post(b" " * (2**20 - len(BLOCK_NUMBER)) + BLOCK_NUMBER)[0] == 200
    assert len(json.loads(node.post(b"[" + b",".join([BLOCK_NUMBER] * 100) + b"]")[2])) == 100
    too_many = json.loads(node.post(b"[" + b",".join([BLOCK_NUMBER] * 101) + b"]")[2])
    assert too_many["error"]["message"] == "batch too large"


def test_only_post_is_allowed(node: Node) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH", "TRACE", "BREW"):
        status, headers, _ = node.post(b"", method=method)
        assert (status, headers["Allow"]) == (405, "POST, OPTIONS")


def said(node: Node, request: bytes) -> bytes:
    """What the node answers to these very bytes, until it closes."""
    host, _, port = node.host.partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=10)) as link:
        link.sendall(request)
        link.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: link.recv(65536), b""))


def test_a_request_that_could_be_read_in_two_ways_is_refused(node: Node) -> None:
    head = f"POST / HTTP/1.1\r\nHost: {node.host}\r\nContent-Type: application/json\r\n".encode()
    assert (
        b" 411 "
        in said(node, head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").split(b"\r\n")[0]
    )
    for lengths in (
        b"Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
        b"Content-Length: -1\r\n\r\n",
        b"\r\n",
    ):
        assert b" 411 " in said(node, head + lengths).split(b"\r\n")[0]
    twice = head + f"Host: {node.host}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    assert b" 421 " in said(node, twice).split(b"\r\n")[0]
    assert said(node, head + b"Content-Length: 9\r\n\r\n{}") == b""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700), (b"{", -32700), (b"\xff", -32700), (b"[" * 100_000, -32700),
        (b"[]", -32600), (b"1", -32600), (b'"eth_chainId"', -32600), (b"null", -32600),
        (b'{"jsonrpc":"2.0","method":"eth_chainId"}', -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{"a":1}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[1]}', -32602),
    ],
)  # fmt: skip
def test_what_is_no_request_gets_the_code_of_json_rpc(node: Node, body: bytes, code: int) -> None:
    assert json.loads(node.post(body)[2])["error"]["code"] == code


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBalance", ["0x12"]), ("eth_getBalance", [5]), ("eth_getBalance", [NOWHERE, "0x01"]),
        ("eth_getBalance", [NOWHERE, "soon"]), ("eth_getBalance", [NOWHERE, 1]), ("eth_getBalance", []),
        ("eth_getBlockByNumber", ["0x"]), ("eth_getBlockByNumber", ["latest", "yes"]),
        ("eth_getTransactionReceipt", ["0x12"]), ("eth_getTransactionReceipt", [None]),
        ("eth_call", ["x"]), ("eth_call", [{"to": "0x"}]), ("eth_call", [{"to": NOWHERE, "data": "0x1"}]),
        ("eth_call", [{"to": NOWHERE, "surprise": 1}]), ("eth_call", [{}, "latest", {}]),
        ("eth_getStorageAt", [NOWHERE, "zero"]), ("eth_getLogs", [[]]), ("eth_getLogs", [{"topic": []}]),
        ("eth_getLogs", [{"topics": [None] * 5}]), ("eth_getLogs", [{"address": ["0x12"]}]),
        ("eth_getLogs", [{"fromBlock": "0x2", "toBlock": "0x1"}]), ("eth_sendRawTransaction", []),
        ("eth_sendRawTransaction", ["0x0"]), ("eth_feeHistory", ["0x1"]),
    ],
)  # fmt: skip
def test_a_malformed_parameter_is_refused(node: Node, method: str, params: list[Any]) -> None:
    with pytest.raises(RpcFailed) as refused:
        node.rpc(method, *params)
    assert refused.value.code == -32602


def refusal(node: Node, raw: str) -> str:
    with pytest.raises(RpcFailed) as refused:
        node.send(raw)
    assert refused.value.code == -32000
    return str(refused.value.message)


def test_a_stranger_does_not_send(node: Node) -> None:
    stranger = someone()
    said = refusal(node, sign(stranger, 0, to=NOWHERE))
    assert said == f"sender {stranger.address.lower()} is not allowed on this chain"


def test_another_chains_transaction_is_refused(node: Node, operator: LocalAccount) -> None:
    nonce = node.nonce(operator)
    wanted = f"invalid chain id for signer: have 1 want {CHAIN_ID}"
    assert refusal(node, sign(operator, nonce, to=NOWHERE, chainId=1)) == wanted
    legacy: dict[str, Any] = {
        "type": None,
        "maxFeePerGas": None,
        "maxPriorityFeePerGas": None,
        "gasPrice": 0,
    }
    assert "EIP-155" in refusal(node, sign(operator, nonce, to=NOWHERE, chainId=None, **legacy))
    node.send(sign(operator, nonce, to=NOWHERE, **legacy))
    assert node.nonce(operator) == nonce + 1


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"gas": 16_777_217}, "transaction gas limit too high (cap: 16777216, tx: 16777217)"),
        ({"gas": 20_999}, "intrinsic gas too low: have 20999, want 21000"),
        ({"data": b"\1" * 1000, "gas": 40_000}, "intrinsic gas too low: have 40000, want 61000"),
        ({"value": 10**18 + 1}, "insufficient funds for gas * price + value"),
        ({"maxFeePerGas": 10**13}, "insufficient funds for gas * price + value"),
        ({"maxPriorityFeePerGas": 1}, "max priority fee per gas higher than max fee per gas"),
        ({"to": None, "data": b"\0" * 49_153, "gas": 9_000_000}, "max initcode size exceeded"),
        ({"data": b"\0" * 131_073, "gas": 9_000_000}, "oversized data"),
        ({"nonce": 0}, "nonce too low: next nonce"),
    ],
)
def test_what_cannot_be_mined_is_refused_in_geths_words(
    node: Node, operator: LocalAccount, facts: dict[str, Any], words: str
) -> None:
    node.send(sign(operator, node.nonce(operator), to=NOWHERE))
    before = node.nonce(operator)
    whole: dict[str, Any] = {"to": NOWHERE, "nonce": before} | facts
    assert words in refusal(node, sign(operator, **whole))
    assert node.nonce(operator) == before


def test_bytes_that_are_no_transaction_are_refused(node: Node, operator: LocalAccount) -> None:
    raw = sign(operator, node.nonce(operator), to=NOWHERE)
    for bad in (
        "0x",
        "0x00",
        "0x02",
        "0xc0",
        raw[:-2],
        raw + "00",
        "0x03" + raw[4:],
        "0x04" + raw[4:],
        "0x7f00",
    ):
        refusal(node, bad)
    at = len(raw) // 2
    changed = raw[:at] + f"{int(raw[at], 16) ^ 1:x}" + raw[at + 1 :]  # then another key has signed
    refusal(node, changed)


def test_a_call_may_nest_deeply_and_the_node_goes_on(node: Node, operator: LocalAccount) -> None:
    itself = bytes.fromhex("60006000600060006000305af15000")  # CALL(gas, self)
    address = node.deploy(operator, deploy_code(itself))
    node.rpc("eth_call", {"to": address, "gas": hex(16_777_216)})
    raw = sign(operator, node.nonce(operator), to=address, gas=16_777_216)
    assert node.rpc("eth_getTransactionReceipt", node.send(raw))["status"] == "0x1"


def test_more_connections_than_allowed_are_turned_away_and_the_node_goes_on(node: Node) -> None:
    host, _, port = node.host.partition(":")
    links = [socket.create_connection((host, int(port)), timeout=10) for _ in range(80)]
    try:
        assert any(link.recv(12) == b"HTTP/1.1 503" for link in links[-3:])
    finally:
        for link in links:
            link.close()
    assert node.post(BLOCK_NUMBER)[0] in {200, 503}


def test_readers_do_not_wait_for_one_another(node: Node, operator: LocalAccount) -> None:
    address = node.deploy(operator, RECORDER)
    node.send(sign(operator, node.nonce(operator), to=address, data=word(7)))
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(node.rpc("eth_call", {"to": address})))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [word(7)] * 12


@pytest.mark.slow
def test_a_client_that_sends_slowly_is_cut_off(node: Node) -> None:
    host, _, port = node.host.partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=30)) as link:
        link.sendall(b"POST / HTTP/1.1\r\n")
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(1):
                try:
                    link.sendall(b"X: y\r\n")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert link.recv(100) == b""
        finally:
            stop.set()
            thread.join(5)
