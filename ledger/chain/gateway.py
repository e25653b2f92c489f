"""The way to a chain: one thin client for the embedded node, Besu and anvil, over Ethereum JSON-RPC.

Nothing is cached and no key is kept: every answer is the node's of this moment, every transaction is
signed beforehand, with explicit gas. Each request has a connection of its own, closed when it is done.
Hashes and addresses are 0x strings, heights and amounts int, calldata bytes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import rlp
from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import Web3Exception
from web3.types import BlockIdentifier, TxParams

from contracts import artifact
from ledger.chain.transport import Provider, Refusal, to_bytes, to_hex, to_number
from ledger.errors import ChainUnavailable, Conflict, Invalid

TX_GAS_MAX = 2**24  # EIP-7825
BASE_FEE_ROOM = 2  # six full blocks in a row do not outgrow twice the base fee
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
Block = int | str  # a height, or "latest", "pending", "earliest"
REFUSALS = {  # what nodes say about a transaction they do not take -> the fact `reason` of Conflict
    "already known": "known",
    "known transaction": "known",
    "already imported": "known",
    "nonce too low": "nonce_too_low",
    "nonce too high": "nonce_too_high",
    "nonce too distant": "nonce_too_high",
    "underpriced": "underpriced",
    "max fee per gas less": "underpriced",
    "gas price below": "underpriced",
    "insufficient funds": "insufficient_funds",
    "upfront cost exceeds": "insufficient_funds",
    "not allowed": "not_allowed",
    "not authorized": "not_allowed",
    "chain id": "wrong_chain",
    "chainid": "wrong_chain",
    "gas": "gas",
}


@dataclass(frozen=True)
class Fees:
    """What a unit of gas is offered: EIP-1559 maxima, or one price on a chain without base fee; in wei."""

    max_fee: int
    max_priority_fee: int
    is_legacy: bool = False


def connect(rpc_url: str, *, token: str | None = None, timeout_s: float = 10) -> "Gateway":
    """A gateway to the node at `rpc_url`; nothing is sent yet.

    `token` goes along as bearer token. A name and password in the URL go along as Basic authorization,
    and appear in no message. Raises Invalid for an address that is not http or https.
    """
    try:
        parts = urlsplit(rpc_url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Invalid("The chain's address must begin with http:// or https:// and name a host.")
    return Gateway(Provider(parts, token, timeout_s))


class Gateway:
    """Reads, encodes, signs and sends. Safe to use from several threads.

    Every method that asks the node raises ChainUnavailable when it does not answer as a node does.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._web3 = Web3(provider)
        self._web3.middleware_onion.clear()  # it would ask eth_chainId before each call

    @property
    def address(self) -> str:
        """The node's address without what could be a secret."""
        return self._provider.masked

    def identity(self) -> tuple[int, str]:
        """The chain id and the hash of block 0: together they name a chain."""
        genesis = self.block_hash(0)
        if genesis is None:
            raise ChainUnavailable(
                "The node at {address} has no genesis block.", address=self.address
            )
        return to_number(self._ask("eth_chainId")), genesis

    def block_number(self) -> int:
        return to_number(self._ask("eth_blockNumber"))

    def block_hash(self, number: int) -> str | None:
        """The hash of the block at this height, None above the head."""
        block = self._ask("eth_getBlockByNumber", hex(number), False)
        return None if block is None else str(block["hash"])

    def block_time_s(self, number: int) -> int | None:
        """The Unix time of the block at this height, None above the head."""
        block = self._ask("eth_getBlockByNumber", hex(number), False)
        return None if block is None else to_number(block["timestamp"])

    def code(self, address: str, *, block: Block = "latest") -> bytes:
        return to_bytes(self._ask("eth_getCode", address, _block(block)))

    def nonce(self, address: str, *, pending: bool = False) -> int:
        """How many transactions of `address` are mined; with `pending`, also those that wait."""
        block = "pending" if pending else "latest"
        return to_number(self._ask("eth_getTransactionCount", address, block))

    def contract(self, name: str, address: str | None = None) -> Contract:
        """One of our contracts, at its address, as web3 knows it."""
        found = self._web3.eth.contract(
            address=None if address is None else to_checksum_address(address),
            abi=artifact(name)["abi"],
            bytecode=artifact(name)["bytecode"],
        )
        return cast(Contract, found)

    def call(
        self,
        name: str,
        address: str,
        function: str,
        *args: Any,
        block: Block = "latest",
        sender: str | None = None,
    ) -> Any:
        """What a function of a contract answers; raises ChainReverted with the decoded custom error.

        One result comes as it is, several as a tuple, a struct as a tuple of its fields.
        """
        bound = self.contract(name, address).functions[function](*_spelled(args))
        given: TxParams = {} if sender is None else {"from": to_checksum_address(sender)}
        try:
            found = bound.call(given, block_identifier=cast(BlockIdentifier, block))
        except Web3Exception as error:
            message = "{contract}.{function} at {address} did not answer as its ABI says: {cause}"
            cause = f"{type(error).__name__}: {error}"[:300]
            facts = {"contract": name, "function": function, "address": address, "cause": cause}
            raise ChainUnavailable(message, **facts) from error
        return tuple(found) if len(bound.abi["outputs"]) > 1 else found

    def simulate(self, *, sender: str, to: str, data: bytes, block: Block = "latest") -> bytes:
        """What a transaction with this calldata would return; ChainReverted if it would revert."""
        message = {"from": sender, "to": to, "data": to_hex(data), "gas": hex(TX_GAS_MAX)}
        return to_bytes(self._ask("eth_call", message, _block(block)))

    def encode(self, name: str, function: str, *args: Any) -> bytes:
        """The calldata of a function call."""
        return to_bytes(self.contract(name).encode_abi(function, _spelled(args)))

    def deploy_data(self, name: str, *constructor_args: Any) -> bytes:
        """The data of the transaction that creates a contract: its bytecode and constructor arguments."""
        return to_bytes(
            self.contract(name).constructor(*_spelled(constructor_args)).data_in_transaction
        )

    def fees(self) -> Fees:
        """What to offer now. A chain is free when its node asks a gas price of 0: then 0 is offered.

        Else twice the base fee and the node's tip; on a chain without base fee its one gas price.
        """
        price = to_number(self._ask("eth_gasPrice"))
        base = self._ask("eth_getBlockByNumber", "latest", False).get("baseFeePerGas")
        if base is None:
            return Fees(price, price, is_legacy=True)
        if price == 0:
            return Fees(0, 0)
        tip = to_number(self._ask("eth_maxPriorityFeePerGas"))
        return Fees(BASE_FEE_ROOM * to_number(base) + tip, tip)

    def sign(
        self,
        account_private_key: bytes,
        *,
        to: str | None,
        data: bytes,
        nonce: int,
        gas: int,
        chain_id: int,
        fees: Fees,
    ) -> tuple[bytes, str]:
        """A signed transaction and its hash; asks the node nothing. `to` is None for a creation.

        Gas is always explicit: estimating halves the speed and hides a call that grew dear.
        """
        if not 21_000 <= gas <= TX_GAS_MAX:
            message = "A transaction has between 21000 and {most} gas, not {given}."
            raise Invalid(message, most=TX_GAS_MAX, given=gas)
        facts: dict[str, Any] = {
            "chainId": chain_id,
            "nonce": nonce,
            "gas": gas,
            "value": 0,
            "data": data,
        }
        if to is not None:
            facts["to"] = to_checksum_address(to)
        if fees.is_legacy:
            facts["gasPrice"] = fees.max_fee
        else:
            facts |= {"type": 2, "maxFeePerGas": fees.max_fee}
            facts |= {"maxPriorityFeePerGas": fees.max_priority_fee}
        signed = Account.sign_transaction(facts, account_private_key)
        return bytes(signed.raw_transaction), to_hex(bytes(signed.hash))

    def send_raw(self, raw: bytes) -> str:
        """Send a signed transaction and return its hash; the same one again is no error.

        Raises Conflict with the fact `reason` (one of `REFUSALS`, or `other`) when the node refuses it.
        After ChainUnavailable it is open whether it arrived: send the same bytes again.
        """
        tx_hash = to_hex(keccak(raw))
        try:
            self._ask("eth_sendRawTransaction", to_hex(raw))
        except Refusal as refusal:
            said = refusal.said.lower()
            reason = next((r for words, r in REFUSALS.items() if words in said), "other")
            known = reason == "known" or self._ask("eth_getTransactionByHash", tx_hash) is not None
            if not known:
                message = "The chain did not take the transaction {hash}: {cause}"
                raise Conflict(
                    message, hash=tx_hash, cause=refusal.said, reason=reason
                ) from refusal
        return tx_hash

    def receipt(self, tx_hash: str) -> dict[str, Any] | None:
        """The receipt of a mined transaction, else None.

        Keys: `hash`, `status` (1 done, 0 reverted), `block_number`, `block_hash`, `index`, `sender`,
        `to`, `contract_address` (of a creation, else None), `gas_used`, `log_count`.
        """
        found = self._ask("eth_getTransactionReceipt", tx_hash)
        if found is None or found.get("blockHash") is None:
            return None
        made = found.get("contractAddress")
        return {
            "hash": str(found["transactionHash"]),
            "status": to_number(found["status"]),
            "block_number": to_number(found["blockNumber"]),
            "block_hash": str(found["blockHash"]),
            "index": to_number(found["transactionIndex"]),
            "sender": to_checksum_address(found["from"]),
            "to": to_checksum_address(found["to"]) if found.get("to") else None,
            "contract_address": to_checksum_address(made) if made else None,
            "gas_used": to_number(found["gasUsed"]),
            "log_count": len(found.get("logs") or ()),
        }

    def events(
        self,
        name: str,
        address: str,
        event: str,
        from_block: int,
        *,
        to_block: int | None = None,
        **filters: Any,
    ) -> list[dict[str, Any]]:
        """The events of a contract, oldest first; `filters` are values of its indexed arguments.

        Each: `args` (a dict), `block_number`, `block_hash`, `transaction_hash`, `log_index`. A range with
        more results than the node gives at once is asked for in halves.
        """
        last = self.block_number() if to_block is None else to_block
        if from_block > last:
            return []
        source = self.contract(name, address).events[event]()
        spelled = dict(zip(filters, _spelled(filters.values()), strict=True))
        try:
            found = source.get_logs(from_block=from_block, to_block=last, argument_filters=spelled)
        except Refusal as refusal:
            if from_block == last or refusal.rpc_code not in {-32005, -32602, -32000}:
                raise
            middle = (from_block + last) // 2
            first = self.events(name, address, event, from_block, to_block=middle, **filters)
            return first + self.events(name, address, event, middle + 1, to_block=last, **filters)
        return [
            {
                "args": dict(one["args"]),
                "block_number": one["blockNumber"],
                "block_hash": to_hex(bytes(one["blockHash"])),
                "transaction_hash": to_hex(bytes(one["transactionHash"])),
                "log_index": one["logIndex"],
            }
            for one in found
        ]

    def _ask(self, method: str, *params: Any) -> Any:
        return self._provider.ask(method, params)


def fees_of(raw: bytes) -> Fees:
    """What a signed transaction offers for a unit of gas."""
    if raw[0] == 2:  # EIP-1559: 0x02 ‖ rlp([chain id, nonce, priority fee, fee, …])
        tip, most = (int.from_bytes(part) for part in rlp.decode(raw[1:])[2:4])
        return Fees(most, tip)
    price = int.from_bytes(rlp.decode(raw)[1])
    return Fees(price, price, is_legacy=True)


def contract_address(sender: str, nonce: int) -> str:
    """The address a contract gets that `sender` creates with this nonce (CREATE)."""
    return to_checksum_address(keccak(rlp.encode([bytes.fromhex(sender[2:]), nonce]))[12:])


def _spelled(args: Iterable[Any]) -> list[Any]:
    """Arguments with every address in checksum spelling, the only one web3 takes."""
    spelled: list[Any] = []
    for one in args:
        if isinstance(one, list | tuple):
            spelled.append(_spelled(one))
        elif isinstance(one, str) and _ADDRESS.fullmatch(one):
            spelled.append(to_checksum_address(one))
        else:
            spelled.append(one)
    return spelled


def _block(block: Block) -> str:
    return hex(block) if isinstance(block, int) else block
