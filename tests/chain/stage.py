"""The stage on which the contracts play: a chain, a cast with roles, and the deployed contracts."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_tester import EthereumTester
from eth_tester.exceptions import TransactionFailed
from eth_utils.abi import event_abi_to_log_topic, function_abi_to_4byte_selector
from web3 import EthereumTesterProvider, Web3
from web3.contract import Contract

from contracts import NAMES, artifact

GAS = 16_777_216  # EIP-7825: what one transaction may carry
LATER = 4_000_000_000  # a time in 2096, long after every block of these tests

NONE, VALID, SUSPENDED, REVOKED, CANCELLED, SUPERSEDED = range(6)
PLEDGED, FROZEN = 1, 2


def h(name: str) -> bytes:
    """Return 32 bytes made from a name: an id, a digest, a reason."""
    return hashlib.sha256(name.encode()).digest()


@dataclass(frozen=True)
class Refused(Exception):
    """A contract refused a call with a custom error."""

    name: str
    arguments: tuple[Any, ...]


def decode_revert(failure: TransactionFailed) -> Refused:
    """Return the custom error that a refused call carries; without data its name is empty.

    eth-tester hands over the returned bytes as the text of a Python bytes literal.
    """
    text = str(failure.args[0]).removeprefix("execution reverted: ")
    try:
        data = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        data = b""
    return decode_error(data) if isinstance(data, bytes) and data else Refused("", (text,))


def decode_error(data: bytes) -> Refused:
    """Return the custom error of one of our contracts that these bytes say.

    A panic and a `require` text are named `Panic` and `Error`; anything else has an empty name.
    """
    selector, body = data[:4], data[4:]
    if selector not in ERRORS:
        return Refused("", (data.hex(),))
    name, types = ERRORS[selector]
    values = zip(types, decode(types, body), strict=True)
    return Refused(
        name, tuple(Web3.to_checksum_address(v) if t == "address" else v for t, v in values)
    )


ERRORS: dict[bytes, tuple[str, list[str]]] = {
    bytes.fromhex("4e487b71"): ("Panic", ["uint256"]),
    bytes.fromhex("08c379a0"): ("Error", ["string"]),
} | {
    function_abi_to_4byte_selector(item): (item["name"], [i["type"] for i in item["inputs"]])
    for name in NAMES
    for item in artifact(name)["abi"]
    if item["type"] == "error"
}


class Stage:
    """One chain with all four contracts; every caller has a name and at most one role."""

    def __init__(self) -> None:
        self.tester = EthereumTester()
        self.w3 = Web3(EthereumTesterProvider(self.tester))
        (
            self.admin,
            self.anchorer,
            self.registrar,
            self.regulator,
            self.licensor,
            self.maker,
            self.other_maker,
            self.holder,
            self.buyer,
            self.stranger,
        ) = self.w3.eth.accounts
        # Checkers never send: they sign on machines of their own.
        self.checker: LocalAccount = Account.from_key(h("the checker's key"))
        self.second_checker: LocalAccount = Account.from_key(h("the second checker's key"))
        self.deployment_gas: dict[str, int] = {}
        self.anchor = self.deploy("CheckpointAnchor", self.admin, self.anchorer)
        self.vouchers = self.deploy("VoucherRegistry", self.admin, self.registrar, self.regulator)
        self.licences = self.deploy(
            "CirculationRegistry", self.admin, self.licensor, self.vouchers.address
        )
        self.book = self.deploy(
            "RevenueBook",
            self.admin,
            self.maker,
            [self.checker.address, self.second_checker.address],
        )

    def deploy(self, name: str, *arguments: Any) -> Contract:
        """Deploy a committed artifact and note what it cost."""
        built = artifact(name)
        factory = self.w3.eth.contract(abi=built["abi"], bytecode=built["bytecode"])
        receipt = self._send(factory.constructor(*arguments), self.admin)
        assert receipt["status"] == 1
        self.deployment_gas[name] = receipt["gasUsed"]
        return self.w3.eth.contract(address=receipt["contractAddress"], abi=built["abi"])

    def _send(self, call: Any, sender: str) -> Any:
        sent = call.transact({"from": sender, "gas": GAS, "gasPrice": 10**9})
        return self.w3.eth.get_transaction_receipt(sent)

    def do(self, call: Any, sender: str) -> Any:
        """Send a call, insist that it succeeds, and return its receipt."""
        receipt = self._send(call, sender)
        if receipt["status"] != 1:
            raise self.refusal(call, sender) or AssertionError("refused, but not when asked again")
        return receipt

    def refusal(self, call: Any, sender: str) -> Refused | None:
        """Return the custom error with which a call would be refused, None if it would succeed."""
        return self._refusal(lambda: call.call({"from": sender, "gas": GAS}))

    def refusal_of_deployment(self, constructor: Any) -> Refused | None:
        """Return the custom error with which a deployment would be refused, if it would be."""
        task = {"from": self.admin, "data": constructor.data_in_transaction, "gas": GAS}
        return self._refusal(lambda: self.w3.eth.call(task))  # type: ignore[arg-type]

    def _refusal(self, ask: Callable[[], Any]) -> Refused | None:
        try:
            ask()
        except TransactionFailed as failure:
            return decode_revert(failure)
        return None

    def fails(self, call: Any, sender: str) -> bool:
        """Send a call for good and return whether the chain reverted it."""
        return bool(self._send(call, sender)["status"] == 0)

    def gas(self, call: Any, sender: str) -> int:
        """Return the gas that a successful call used."""
        return int(self.do(call, sender)["gasUsed"])

    def events(self, contract: Contract, receipt: Any) -> list[tuple[str, dict[str, Any]]]:
        """Return (name, arguments) of each event of a receipt, in order."""
        kinds = {event_abi_to_log_topic(i): i["name"] for i in contract.abi if i["type"] == "event"}
        named = [(kinds[bytes(log["topics"][0])], log) for log in receipt["logs"]]
        return [
            (name, dict(contract.events[name]().process_log(log)["args"])) for name, log in named
        ]

    # -- vouchers -----------------------------------------------------------------------------

    def particulars(self, name: str, **changes: Any) -> dict[str, Any]:
        """Return the particulars of a voucher to be issued, valid until `LATER`."""
        return {
            "id": h(name),
            "holder": self.holder,
            "validUntil": LATER,
            "kind": 1,
            "rights": 0b111,
            "maxUses": 0,
            "digest": h(f"credential of {name}"),
            "reason": h(f"record of the issue of {name}"),
            **changes,
        }

    def issue(self, name: str, **changes: Any) -> bytes:
        """Issue a voucher and return its id."""
        given = self.particulars(name, **changes)
        self.do(self.vouchers.functions.issue(given), self.registrar)
        return bytes(given["id"])

    def voucher(self, id_: bytes) -> dict[str, Any]:
        """Return a stored voucher by field name."""
        return _fields(self.vouchers, self.vouchers.functions.get(id_).call())

    # -- licences -----------------------------------------------------------------------------

    def licence(self, voucher: bytes, n: int) -> dict[str, Any]:
        """Return a stored licence by field name."""
        return _fields(self.licences, self.licences.functions.get(voucher, n).call())

    # -- revenue statements -------------------------------------------------------------------

    def statement(self, id_: bytes) -> dict[str, Any]:
        """Return a stored statement by field name."""
        return _fields(self.book, self.book.functions.get(id_).call())

    def propose(self, name: str, approvals: int = 1, reverses: bytes = bytes(32)) -> bytes:
        """Propose a statement as the maker and return its id."""
        call = self.proposal(name, approvals=approvals, reverses=reverses)
        self.do(call, self.maker)
        return h(name)

    def proposal(self, name: str, **changes: Any) -> Any:
        """Return the call that proposes a statement."""
        given = {
            "id": h(name),
            "digest": h(f"statement {name}"),
            "lineRoot": h(f"lines of {name}"),
            "approvals": 1,
            "reverses": bytes(32),
            "expectedVersion": 0,
            "reason": h(f"record of the proposal of {name}"),
            **changes,
        }
        return self.book.functions.propose(*given.values())

    def sign(self, name: str, signer: LocalAccount, **changes: Any) -> bytes:
        """Return a checker's EIP-712 signature over a statement as it stands, or with changes.

        `chainId`, `verifyingContract`, `domainName`, `domainVersion` change the domain.
        """
        stored = self.statement(h(name))
        told = self.book.functions.eip712Domain().call()
        domain = {
            "name": changes.pop("domainName", "Shuzheng RevenueBook"),
            "version": changes.pop("domainVersion", "1"),
            "chainId": changes.pop("chainId", told[3]),
            "verifyingContract": changes.pop("verifyingContract", self.book.address),
        }
        message = {
            "id": h(name),
            "digest": h(f"statement {name}"),
            "lineRoot": h(f"lines of {name}"),
            "approvalsRequired": stored["approvalsRequired"],
            "reverses": stored["reverses"],
            "version": stored["version"],
            "nonce": self.book.functions.nonces(signer.address).call(),
            "deadline": LATER,
            **changes,
        }
        types = {
            "Approval": [
                {"name": "id", "type": "bytes32"},
                {"name": "digest", "type": "bytes32"},
                {"name": "lineRoot", "type": "bytes32"},
                {"name": "approvalsRequired", "type": "uint8"},
                {"name": "reverses", "type": "bytes32"},
                {"name": "version", "type": "uint24"},
                {"name": "nonce", "type": "uint256"},
                {"name": "deadline", "type": "uint256"},
            ]
        }
        return bytes(signer.sign_typed_data(domain, types, message).signature)

    def approval(self, name: str, signer: LocalAccount | None = None, **changes: Any) -> Any:
        """Return the call that hands in an approval, signed now by the checker or by `signer`."""
        signer = signer or self.checker
        stored = self.statement(h(name))
        given = {
            "id": h(name),
            "expectedVersion": stored["version"],
            "digest": h(f"statement {name}"),
            "lineRoot": h(f"lines of {name}"),
            "checker": signer.address,
            "deadline": LATER,
            "signature": b"",
            "reason": h(f"record of an approval of {name}"),
            **changes,
        }
        if not given["signature"]:
            given["signature"] = self.sign(name, signer)
        return self.book.functions.approve(*given.values())

    def withdrawal(self, name: str, **changes: Any) -> Any:
        """Return the call that withdraws a statement."""
        given = {
            "id": h(name),
            "expectedVersion": self.statement(h(name))["version"],
            "reason": h(f"record of the withdrawal of {name}"),
            **changes,
        }
        return self.book.functions.withdraw(*given.values())


def _fields(contract: Contract, values: Any) -> dict[str, Any]:
    getter = next(i for i in contract.abi if i["type"] == "function" and i["name"] == "get")
    return {c["name"]: v for c, v in zip(getter["outputs"][0]["components"], values, strict=True)}
