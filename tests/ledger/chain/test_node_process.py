"""The node as a process: one a file, ended with its parent, and nothing acknowledged is ever lost."""

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from eth_typing import Address

from ledger.chain.evm import VM, decode
from ledger.chain.miner import Miner, Refused
from ledger.chain.node import Chain, create, serve
from ledger.errors import Conflict, Invalid, LedgerError, Missing
from tests.ledger.chain.node_kit import (
    CHAIN_ID,
    RECORDER,
    ROOT,
    TOKEN,
    Node,
    RpcFailed,
    sign,
    someone,
    word,
)


@pytest.fixture
def people() -> list[LocalAccount]:
    return [someone() for _ in range(3)]


@pytest.fixture
def node(tmp_path: Path, people: list[LocalAccount]) -> Iterator[Node]:
    node = Node(tmp_path, people)
    yield node
    if node.process is not None:
        node.kill()


class TestCreate:
    def facts(self, **changed: Any) -> dict[str, Any]:
        usual = {
            "chain_id": CHAIN_ID,
            "genesis_at": datetime(2026, 6, 1, tzinfo=UTC),
            "salt": b"s" * 32,
            "balances": {"0x" + "11" * 20: 0, "0x" + "22" * 20: 5},
        }
        return usual | changed

    def test_the_same_arguments_again_give_the_same_genesis(self, tmp_path: Path) -> None:
        first = create(tmp_path / "a", **self.facts())
        assert (
            first
            == create(tmp_path / "a", **self.facts())
            == create(tmp_path / "b", **self.facts())
        )
        assert len(first) == 66

    @pytest.mark.parametrize(
        "changed",
        [
            {"chain_id": 7},
            {"salt": b"t" * 32},
            {"genesis_at": datetime(2026, 6, 2, tzinfo=UTC)},
            {"balances": {"0x" + "11" * 20: 0}},
            {"balances": {"0x" + "11" * 20: 0, "0x" + "22" * 20: 6}},
            {"balances": {"0x" + "33" * 20: 0, "0x" + "22" * 20: 5}},
        ],
    )
    def test_other_arguments_do_not_touch_the_file(
        self, tmp_path: Path, changed: dict[str, Any]
    ) -> None:
        genesis = create(tmp_path / "a", **self.facts())
        with pytest.raises(Conflict, match="already holds another chain"):
            create(tmp_path / "a", **self.facts(**changed))
        assert create(tmp_path / "a", **self.facts()) == genesis

    @pytest.mark.parametrize(
        "changed",
        [
            {"chain_id": 0}, {"salt": b"short"}, {"salt": b"s" * 33}, {"balances": {}},
            {"balances": {"0x12": 0}}, {"balances": {"me": 0}}, {"genesis_at": datetime(2026, 6, 1)},
        ],
    )  # fmt: skip
    def test_unusable_arguments_are_refused(self, tmp_path: Path, changed: dict[str, Any]) -> None:
        with pytest.raises(Invalid):
            create(tmp_path / "a", **self.facts(**changed))

    def test_it_does_not_disturb_a_node_that_runs(self, tmp_path: Path) -> None:
        genesis = create(tmp_path / "a", **self.facts())
        chain = Chain(tmp_path / "a")
        try:
            assert create(tmp_path / "a", **self.facts()) == genesis
            assert "0x" + chain.genesis_hash.hex() == genesis
        finally:
            chain.close()


def test_a_second_node_on_the_same_file_is_refused(node: Node) -> None:
    node.start()
    with pytest.raises(Conflict, match="Another node already runs on"):
        Chain(node.path)
    command = [sys.executable, "-m", "ledger.chain.node", "--path", str(node.path)]
    command += ["--token-file", str(node.token_file)]
    second = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert second.returncode == 1
    assert "Another node already runs on" in second.stderr
    node.kill()
    Chain(node.path).close()  # the lock went with the process


def test_a_node_is_not_started_where_it_could_be_reached_from_outside(node: Node) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org", ""):
        with pytest.raises(Invalid, match="only"):
            serve(node.path, token=TOKEN, on_ready=print, host=host)
    for token in ("", "short", "with a space in the middle", "é" * 20):
        with pytest.raises(Invalid, match="token"):
            serve(node.path, token=token, on_ready=print)
    with pytest.raises(Missing):
        serve(node.path.with_name("nothing"), token=TOKEN, on_ready=print)


def test_a_token_that_others_can_read_is_refused(node: Node) -> None:
    node.token_file.chmod(0o640)
    command = [sys.executable, "-m", "ledger.chain.node", "--path", str(node.path)]
    command += ["--token-file", str(node.token_file)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, "0600" in ran.stderr) == (1, True)


def test_serve_runs_in_a_thread_until_it_is_told_to_stop(node: Node) -> None:
    stop, ready = threading.Event(), threading.Event()

    def on_ready(url: str) -> None:
        node.url = url
        ready.set()

    facts: dict[str, Any] = {"token": TOKEN, "on_ready": on_ready, "stop": stop}
    thread = threading.Thread(target=serve, args=(node.path,), kwargs=facts)
    thread.start()
    try:
        assert ready.wait(20)
        assert node.rpc("eth_chainId") == hex(CHAIN_ID)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    Chain(node.path).close()


def test_it_stops_cleanly_and_goes_on_where_it_was(node: Node, people: list[LocalAccount]) -> None:
    node.start()
    recorder = node.deploy(people[0], RECORDER)
    node.send(sign(people[0], 1, to=recorder, data=word(9)))
    head = node.rpc("eth_getBlockByNumber", "latest")
    assert node.stop() == 0
    node.start()
    assert node.rpc("eth_getBlockByNumber", "latest") == head
    assert node.rpc("eth_getBlockByNumber", "0x0")["hash"] == node.genesis
    assert node.rpc("eth_call", {"to": recorder}) == word(9)
    node.send(sign(people[0], 2, to=recorder, data=word(10)))
    assert node.rpc("eth_getBlockByNumber", "latest")["parentHash"] == head["hash"]


def test_the_node_ends_with_its_parent(node: Node) -> None:
    code = (
        "import subprocess, sys, os, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'ledger.chain.node', *sys.argv[1:],"
        " '--parent-pid', str(os.getpid())])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "--path",
        str(node.path),
        "--token-file",
        str(node.token_file),
    ]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert int(parent.stdout.readline()) > 1
    assert parent.stdout.readline().startswith("ready ")
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    end_s = time.monotonic() + 15
    while time.monotonic() < end_s:
        with suppress(Conflict):
            Chain(node.path).close()
            break
        time.sleep(0.1)
    else:
        pytest.fail("the node outlived its parent")


def test_a_full_disk_loses_nothing_and_stops_nothing(
    node: Node, people: list[LocalAccount]
) -> None:
    raws = [bytes.fromhex(sign(people[0], n, to=None, data=RECORDER)[2:]) for n in range(2)]
    chain = Chain(node.path)
    try:
        chain.seal([decode(raws[0])], int(time.time()))
        head = chain.head
        connection = chain._store.connection
        full = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {full}")
        miner = Miner(chain)
        try:
            big = sign(people[1], 0, to="0x" + "11" * 20, data=bytes(60_000), gas=10**6)
            with pytest.raises(
                Refused, match="could not store the block: database or disk is full"
            ):
                miner.submit(bytes.fromhex(big[2:])).wait()
            assert chain.head == head
            connection.execute("PRAGMA max_page_count = 1000000")
            miner.submit(raws[1]).wait()
        finally:
            miner.stop()
        assert chain.head.parent_hash == head.hash
    finally:
        chain.close()


def test_a_transaction_over_which_the_evm_fails_is_refused_and_the_others_mined(
    node: Node, people: list[LocalAccount], monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = VM.apply_transaction

    def failing(self: Any, header: Any, transaction: Any) -> Any:
        done = apply(self, header, transaction)
        if transaction.data == b"bad":
            raise RecursionError("too deep")
        return done

    monkeypatch.setattr(VM, "apply_transaction", failing)
    datas = (b"good", b"bad", b"good")
    raws = [
        sign(one, 0, to="0x" + "11" * 20, data=data)
        for one, data in zip(people, datas, strict=True)
    ]
    chain = Chain(node.path)
    try:
        sealed = chain.seal([decode(bytes.fromhex(raw[2:])) for raw in raws], int(time.time()))
        assert [t.data for t in sealed.included] == [b"good", b"good"]
        assert [(t.data, "too deep" in reason) for t, reason in sealed.refused] == [(b"bad", True)]
        with chain.reading() as view:
            state = view.state(chain.head)
            nonces = [state.get_nonce(Address(bytes.fromhex(one.address[2:]))) for one in people]
        assert nonces == [1, 0, 1]
    finally:
        chain.close()


def test_what_is_no_chain_file_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to look at" * 100)
    with pytest.raises(LedgerError, match="cannot be opened as a chain file"):
        Chain(tmp_path / "text")
    with pytest.raises(Invalid, match="cannot be locked"):
        create(tmp_path / "no" / "folder", **TestCreate().facts())


def test_a_thousand_blocks_open_quickly(node: Node, people: list[LocalAccount]) -> None:
    chain = Chain(node.path)
    try:
        chain._store.connection.execute("PRAGMA synchronous = OFF")  # only this test may hurry
        now_s = int(time.time())
        for nonce in range(1000):
            raw = bytes.fromhex(sign(people[0], nonce, to="0x" + "11" * 20)[2:])
            assert len(chain.seal([decode(raw)], now_s).included) == 1
    finally:
        chain.close()
    begun_s = time.perf_counter()
    chain = Chain(node.path)
    took_s = time.perf_counter() - begun_s
    try:
        assert chain.head.block_number == 1000
    finally:
        chain.close()
    assert took_s < 0.5


def test_chain_time_that_runs_ahead_is_held_back(node: Node, people: list[LocalAccount]) -> None:
    stop, ready = threading.Event(), threading.Event()

    def on_ready(url: str) -> None:
        node.url = url
        ready.set()

    facts: dict[str, Any] = {"token": TOKEN, "on_ready": on_ready, "stop": stop, "lead_max_s": 3}
    thread = threading.Thread(target=serve, args=(node.path,), kwargs=facts)
    thread.start()
    try:
        assert ready.wait(20)
        for nonce in range(7):
            node.send(sign(people[0], nonce, to="0x" + "11" * 20))
        latest = int(node.rpc("eth_getBlockByNumber", "latest")["timestamp"], 16)
        assert latest - time.time() <= 5
    finally:
        stop.set()
        thread.join(20)


class Sender(threading.Thread):
    """One account that sends numbered transactions until the node is gone; it keeps the answers."""

    def __init__(self, node: Node, one: LocalAccount, recorder: str, nonce: int, base: int) -> None:
        super().__init__()
        self.node, self.one, self.recorder, self.nonce, self.base = node, one, recorder, nonce, base
        self.acknowledged: list[tuple[int, str]] = []
        self.open: tuple[int, str] | None = None

    def run(self) -> None:
        while True:
            number = self.base + self.nonce
            raw = sign(self.one, self.nonce, to=self.recorder, data=word(number))
            self.open = (number, raw)
            try:
                tx_hash = self.node.send(raw)
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                return
            except RpcFailed as error:
                assert "stopping" in error.message, error  # noqa: PT017
                return
            self.acknowledged.append((number, tx_hash))
            self.nonce, self.open = self.nonce + 1, None


def survive(node: Node, people: list[LocalAccount], rounds: int) -> None:
    """Kill the node at random moments under load; each acknowledged number is there once, afterwards."""
    chance = random.Random(os.urandom(8))
    node.start()
    recorder = node.deploy(people[0], RECORDER)
    acknowledged: dict[int, str] = {}
    sent: set[int] = set()
    for _ in range(rounds):
        senders = [
            Sender(node, one, recorder, node.nonce(one), (place + 1) * 10**6)
            for place, one in enumerate(people)
        ]
        for sender in senders:
            sender.start()
        time.sleep(chance.uniform(0.02, 0.5))
        node.kill()
        for sender in senders:
            sender.join(30)
            acknowledged |= dict(sender.acknowledged)
            sent |= {n for n, _ in sender.acknowledged}
            sent |= {sender.open[0]} if sender.open else set()
        node.start()
        events = node.rpc("eth_getLogs", {"fromBlock": "0x0", "address": recorder})
        mined = [int(event["data"], 16) for event in events]
        assert len(mined) == len(set(mined))
        assert acknowledged.keys() <= set(mined) <= sent
        by_number = {int(event["data"], 16): event["transactionHash"] for event in events}
        assert all(by_number[number] == tx_hash for number, tx_hash in acknowledged.items())
        for sender in senders:
            if (
                sender.open is not None
            ):  # nobody knows whether it arrived: send the same bytes again
                number, raw = sender.open
                acknowledged[number] = node.send(raw)
    head = int(node.rpc("eth_blockNumber"), 16)
    before, count = node.rpc("eth_getBlockByNumber", "0x0"), 0
    for height in range(1, head + 1):
        block = node.rpc("eth_getBlockByNumber", hex(height))
        assert block["parentHash"] == before["hash"]
        assert int(block["timestamp"], 16) > int(before["timestamp"], 16)
        before, count = block, count + len(block["transactions"])
    assert count == sum(node.nonce(one) for one in people) == len(acknowledged) + 1


def test_what_was_acknowledged_survives_kill_9(node: Node, people: list[LocalAccount]) -> None:
    survive(node, people, 4)


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9_forty_times(
    node: Node, people: list[LocalAccount]
) -> None:
    survive(node, people, 40)
