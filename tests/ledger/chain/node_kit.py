"""A real node in its own process, its cast, and a contract of a few bytes to try it with."""

import http.client
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from ledger.chain.evm import contract_address
from ledger.chain.node import create

ROOT = Path(__file__).resolve().parents[3]
CHAIN_ID = 20_260_601
TOKEN = "a-token-for-the-tests-only"
START_S = 30
TOPIC = "0x" + "aa".rjust(64, "0")


def _recorder() -> bytes:
    """Store the first word of the calldata and log it; 0xdead reverts; empty calldata reads it back."""
    body = bytes.fromhex("8060005280600055") + bytes.fromhex("60aa60206000a200")
    revert = bytes.fromhex("5b60005260206000fd")
    read = bytes.fromhex("5b60005460005260206000f3")
    entry_length = 5 + 11
    revert_at = entry_length + len(body)
    read_at = revert_at + len(revert)
    entry = bytes.fromhex(f"361560{read_at:02x}57") + bytes.fromhex(
        f"6000358061dead1460{revert_at:02x}57"
    )
    assert len(entry) == entry_length
    return entry + body + revert + read


def deploy_code(runtime: bytes) -> bytes:
    """The initialisation code that returns `runtime`."""
    length = f"60{len(runtime):02x}"
    return bytes.fromhex(f"{length}600c600039{length}6000f3") + runtime


def word(number: int) -> str:
    return f"0x{number:064x}"


class RpcFailed(Exception):
    """The node answered with an error object."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.code, self.message, self.data = error["code"], error["message"], error.get("data")
        super().__init__(f"{self.code} {self.message}")


class Node:
    """A chain file and, between `start` and `stop` or `kill`, the process that serves it."""

    def __init__(self, folder: Path, cast: list[LocalAccount], *, wei: int = 0) -> None:
        self.folder, self.cast = folder, cast
        self.path, self.token_file = folder / "chain.sqlite", folder / "token"
        self.token_file.write_text(TOKEN)
        self.token_file.chmod(0o600)
        self.genesis = create(
            self.path,
            chain_id=CHAIN_ID,
            genesis_at=datetime(2026, 6, 1, tzinfo=UTC),
            salt=os.urandom(32),
            balances={one.address: wei for one in cast},
        )
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self, *options: str) -> "Node":
        command = [sys.executable, "-m", "ledger.chain.node", "--path", str(self.path)]
        command += ["--token-file", str(self.token_file), *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], START_S)[0], (
            "the node did not start in time"
        )
        line = self.process.stdout.readline()
        assert line.startswith("ready "), line
        self.url = line.split()[1]
        return self

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self._gone()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self._gone()

    def _gone(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        code = self.process.wait(START_S)
        self.process.stdout.close()
        self.process = None
        return code

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def post(
        self, body: bytes, headers: Mapping[str, str] | None = None, *, method: str = "POST"
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One HTTP request; the headers given replace the usual ones."""
        usual = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        with closing(http.client.HTTPConnection(self.host, timeout=30)) as link:
            link.request(method, "/", body, usual | dict(headers or {}))
            response = link.getresponse()
            return response.status, response.headers, response.read()

    def rpc(self, method: str, *params: Any) -> Any:
        """The result of one request, raises RpcFailed."""
        asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        status, _, body = self.post(json.dumps(asked).encode())
        answer = json.loads(body)
        assert status == 200, answer
        if "error" in answer:
            raise RpcFailed(answer["error"])
        return answer["result"]

    def batch(self, *asked: tuple[Any, ...]) -> list[Any]:
        body = [
            {"jsonrpc": "2.0", "id": place, "method": one[0], "params": list(one[1:])}
            for place, one in enumerate(asked)
        ]
        answers: list[Any] = json.loads(self.post(json.dumps(body).encode())[2])
        return answers

    def send(self, raw: str) -> str:
        return str(self.rpc("eth_sendRawTransaction", raw))

    def nonce(self, one: LocalAccount) -> int:
        return int(self.rpc("eth_getTransactionCount", one.address, "latest"), 16)

    def deploy(self, one: LocalAccount, code: bytes) -> str:
        """Create a contract; its address."""
        nonce = self.nonce(one)
        self.send(sign(one, nonce, to=None, data=code))
        return "0x" + contract_address(bytes.fromhex(one.address[2:]), nonce).hex()


def sign(
    one: LocalAccount, nonce: int, *, to: str | None, data: bytes | str = b"", **facts: Any
) -> str:
    """A signed transaction as 0x text; `facts` replace the usual ones, None removes one."""
    usual = {
        "type": 2,
        "chainId": CHAIN_ID,
        "nonce": nonce,
        "gas": 200_000,
        "value": 0,
        "data": data,
    }
    usual |= {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0}
    if to is not None:
        usual["to"] = bytes.fromhex(to[2:])
    whole = {name: value for name, value in (usual | facts).items() if value is not None}
    return "0x" + bytes(one.sign_transaction(whole).raw_transaction).hex()


def someone() -> LocalAccount:
    account: LocalAccount = Account.create()
    return account


RECORDER = deploy_code(_recorder())
