"""A chain node of somebody else's make: Foundry's anvil, from npm, on loopback, ended with the test."""

import fcntl
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.gateway import connect

HERE = Path(__file__).parent
CHAIN_ID = 31337
START_S = 30


def binary() -> Path:
    """Anvil's own binary, fetched by npm when it is not there; without npm the test is skipped."""
    with (HERE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes one fetches
        found = sorted(HERE.glob("node_modules/@foundry-rs/anvil-*/bin/anvil*"))
        if not found:
            npm = shutil.which("npm")
            if npm is None:
                pytest.skip("npm is needed to fetch the chain node anvil")
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=HERE, check=False, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"npm could not fetch the chain node anvil: {done.stderr[:300]}")
            found = sorted(HERE.glob("node_modules/@foundry-rs/anvil-*/bin/anvil*"))
    return found[0]


class Anvil:
    """A running anvil; `ask` speaks to it past the product."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._provider = connect(url)._provider

    def ask(self, method: str, *params: Any) -> Any:
        return self._provider.ask(method, params)

    def mine(self, count: int = 1) -> None:
        self.ask("anvil_mine", hex(count))

    def automine(self, wanted: bool) -> None:
        """Whether each transaction is mined at once; else only `mine` makes blocks."""
        self.ask("evm_setAutomine", wanted)

    def forget(self) -> None:
        """Lose the mempool."""
        self.ask("anvil_dropAllTransactions")

    def reorganise(self, depth: int) -> None:
        """Replace the last blocks by empty ones."""
        self.ask("anvil_reorg", depth, [])
        self.forget()

    def give(self, address: str, wei: int) -> None:
        self.ask("anvil_setBalance", address, hex(wei))


@contextmanager
def running(*options: str) -> Iterator[Anvil]:
    """An anvil for the block; free of charge unless `options` say otherwise."""
    command = [str(binary()), "--port", "0", "--chain-id", str(CHAIN_ID), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        watch = threading.Timer(START_S, process.kill)
        watch.start()
        try:
            for line in process.stdout:
                found = re.search(r"Listening on (127\.0\.0\.1:\d+)", line)
                if found:
                    break
            else:
                raise AssertionError("anvil ended before it listened")
            watch.cancel()
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield Anvil(f"http://{found[1]}")
        finally:
            watch.cancel()
            process.kill()


FREE = ("--block-base-fee-per-gas", "0", "--gas-price", "0", "--disable-min-priority-fee")
