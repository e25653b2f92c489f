"""The contracts on revm, an EVM in the process: thousands of calls a second, each can be taken back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pyrevm
from eth_abi.abi import decode, encode
from eth_utils.abi import (
    collapse_if_tuple,
    event_abi_to_log_topic,
    function_abi_to_4byte_selector,
)
from eth_utils.address import to_checksum_address

from contracts import artifact
from tests.chain.stage import GAS, Refused, decode_error, h

Event = tuple[str, dict[str, Any]]

START = 1_800_000_000  # the first block's time
_SLOT = re.compile(r"(\d+): StorageSlot \{ previous_or_original_value: \d+, present_value: (\d+) ")


def actor(name: str) -> str:
    """Return the address of somebody who only needs a name."""
    return to_checksum_address(h(f"key of {name}")[:20])


def _types(inputs: list[dict[str, Any]]) -> list[str]:
    return [collapse_if_tuple(i) for i in inputs]


def _plain(type_: str, value: Any) -> Any:
    return to_checksum_address(value) if type_ == "address" else value


class Contract:
    """A deployed contract: `do` changes it, `refusal` only tries, `ask` reads."""

    def __init__(self, chain: Chain, built: dict[str, Any], address: str) -> None:
        self.chain, self.address, self.abi = chain, to_checksum_address(address), built["abi"]
        self._functions = {
            i["name"]: (
                function_abi_to_4byte_selector(i),
                _types(i["inputs"]),
                _types(i["outputs"]),
            )
            for i in self.abi
            if i["type"] == "function"
        }
        self._events = {event_abi_to_log_topic(i): i for i in self.abi if i["type"] == "event"}

    def data(self, function: str, *arguments: Any) -> bytes:
        """Return the bytes of a call."""
        selector, types, _ = self._functions[function]
        return selector + encode(types, arguments)

    def do(self, caller: str, function: str, *arguments: Any) -> list[Event]:
        """Call for good and return the events; raise Refused when the contract refuses."""
        return self.send(caller, self.data(function, *arguments))

    def send(self, caller: str, data: bytes) -> list[Event]:
        """Send bytes for good, with no more gas than one transaction may carry (EIP-7825)."""
        self.chain.call(caller, self.address, data)
        return [self._event(log) for log in self.chain.evm.result.logs]

    def refusal(self, caller: str, function: str, *arguments: Any) -> Refused | None:
        """Return the error with which a call would be refused, None if it would be done."""
        before = self.chain.evm.snapshot()
        try:
            self.chain.call(caller, self.address, self.data(function, *arguments))
        except Refused as refused:
            return refused
        finally:
            self.chain.evm.revert(before)
        return None

    def ask(self, function: str, *arguments: Any) -> Any:
        """Return the value of a view, a tuple where there are several."""
        types = self._functions[function][2]
        data = self.data(function, *arguments)
        found = decode(types, self.chain.call(NOBODY, self.address, data, is_static=True))
        values = tuple(_plain(t, v) for t, v in zip(types, found, strict=True))
        return values[0] if len(values) == 1 else values

    def fields(self, *key: Any) -> dict[str, Any]:
        """Return what `get` tells, by field name."""
        getter = next(i for i in self.abi if i["type"] == "function" and i["name"] == "get")
        parts = getter["outputs"][0]["components"]
        values = self.ask("get", *key)
        return {p["name"]: _plain(p["type"], v) for p, v in zip(parts, values, strict=True)}

    def _event(self, log: Any) -> Event:
        topics, data = log.data
        item = self._events[bytes(topics[0])]
        indexed = [i for i in item["inputs"] if i["indexed"]]
        others = [i for i in item["inputs"] if not i["indexed"]]
        found = {
            i["name"]: decode([i["type"]], topic)[0]
            for i, topic in zip(indexed, map(bytes, topics[1:]), strict=True)
        }
        values = decode(_types(others), bytes(data))
        found |= {i["name"]: v for i, v in zip(others, values, strict=True)}
        return item["name"], {
            i["name"]: _plain(i["type"], found[i["name"]]) for i in item["inputs"]
        }


NOBODY = "0x" + "00" * 20
ADMIN = actor("admin")


@dataclass
class Chain:
    """One chain; `artifacts` may put other code in the place of a committed artifact."""

    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    gas_used: int = 0

    def __post_init__(self) -> None:
        self.evm = pyrevm.EVM(spec_id="PRAGUE")
        self.now = START
        self.at(START)

    def at(self, time: int) -> None:
        """Let the next calls happen at a time."""
        self.now = time
        self.evm.set_block_env(pyrevm.BlockEnv(number=1, timestamp=time))

    def storage(self, *contracts: Contract) -> list[dict[str, str]]:
        """Return every slot of each contract that is not zero."""
        text: str = self.evm.journal_str
        found = []
        for contract in contracts:
            start = text.index(f"{contract.address.lower()}: Account {{")
            start = text.index("storage: {", start)
            slots = _SLOT.findall(text, start, text.index("status: ", start))
            found.append({slot: value for slot, value in slots if value != "0"})
        return found

    def deploy(self, name: str, *arguments: Any) -> Contract:
        """Deploy a contract; raise Refused when its constructor refuses."""
        built = self.artifacts.get(name) or artifact(name)
        constructor = next(i for i in built["abi"] if i["type"] == "constructor")
        code = bytes.fromhex(built["bytecode"][2:])
        code += encode(_types(constructor["inputs"]), arguments)
        try:
            return Contract(self, built, self.evm.deploy(ADMIN, code))
        except RuntimeError as failure:
            raise _refused(failure) from None

    def call(self, caller: str, to: str, data: bytes, *, is_static: bool = False) -> bytes:
        """Return what a call returns; raise Refused when it is refused."""
        try:
            found: bytes = self.evm.message_call(caller, to, data, gas=GAS, is_static=is_static)
        except RuntimeError as failure:
            raise _refused(failure) from None
        self.gas_used = self.evm.result.gas_used
        return found


def _refused(failure: RuntimeError) -> Refused:
    """Return the custom error, or `Halt` with revm's reason: out of gas, a bad instruction."""
    returned = re.search(r"^Revert \{.*output: 0x([0-9a-f]*)", str(failure))
    return (
        decode_error(bytes.fromhex(returned[1])) if returned else Refused("Halt", (str(failure),))
    )
