"""What JSON-RPC says and how: quantities, byte strings, and the objects of Ethereum's execution API."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import rlp
from eth.abc import BlockHeaderAPI, ComputationAPI, SignedTransactionAPI
from eth.exceptions import OutOfGas, Revert
from eth.vm.forks.prague.blocks import PragueBlock
from eth_bloom.bloom import BloomFilter

from ledger.chain.evm import INITCODE_MAX, TX_GAS_MAX, Call, View

Json = Any
_QUANTITY = re.compile(r"0x(0|[1-9a-f][0-9a-f]{0,63})", re.IGNORECASE)
_DATA = re.compile(r"0x([0-9a-f]{2})*", re.IGNORECASE)
_MESSAGE_KEYS = {"from", "to", "data", "input", "value", "gas", "accessList"}
_MESSAGE_UNUSED = {"gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "nonce", "chainId", "type"}


class RpcError(Exception):
    """An error object of JSON-RPC."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        self.code, self.message, self.data = code, message, data
        super().__init__(message)

    def as_dict(self) -> dict[str, Json]:
        found: dict[str, Json] = {"code": self.code, "message": self.message}
        return found if self.data is None else {**found, "data": self.data}


def hexed(value: bytes) -> str:
    """Bytes as 0x and two digits each."""
    return "0x" + value.hex()


def quantity(given: Json) -> int:
    """A number as 0x and hex digits without leading zeros; raises RpcError -32602."""
    if not isinstance(given, str) or not _QUANTITY.fullmatch(given):
        raise RpcError(-32602, f"not a hex quantity: {_short(given)}")
    return int(given, 16)


def data(given: Json, length: int | None = None) -> bytes:
    """Bytes as 0x and two hex digits each, of a fixed length if one is named; raises RpcError -32602."""
    if not isinstance(given, str) or not _DATA.fullmatch(given):
        raise RpcError(-32602, f"not 0x and pairs of hex digits: {_short(given)}")
    value = bytes.fromhex(given[2:])
    if length is not None and len(value) != length:
        raise RpcError(-32602, f"{length} bytes are wanted, not {len(value)}: {_short(given)}")
    return value


def slot(given: Json) -> int:
    """A storage slot: a quantity, or 32 bytes with leading zeros."""
    if isinstance(given, str) and len(given) == 66:
        return int.from_bytes(data(given, 32), "big")
    return quantity(given)


def message(given: Json) -> Call:
    """The message of eth_call and eth_estimateGas; what concerns fees and nonce only has no effect."""
    if not isinstance(given, dict):
        raise RpcError(-32602, "a call is an object")
    unknown = given.keys() - _MESSAGE_KEYS - _MESSAGE_UNUSED
    if unknown:
        raise RpcError(-32602, f"a call does not know {_short(min(unknown))}")
    facts = {name: value for name, value in given.items() if value is not None}
    calldata = data(facts.get("input", facts.get("data", "0x")))
    if "input" in facts and "data" in facts and data(facts["data"]) != calldata:
        raise RpcError(-32602, 'both "data" and "input" are set and not equal')
    to = data(facts["to"], 20) if "to" in facts else b""
    if not to and len(calldata) > INITCODE_MAX:
        message = f"max initcode size exceeded: code size {len(calldata)}, limit {INITCODE_MAX}"
        raise RpcError(-32000, message)
    return Call(
        sender=data(facts.get("from", "0x" + "00" * 20), 20),
        to=to,
        data=calldata,
        value=quantity(facts.get("value", "0x0")),
        gas=min(quantity(facts.get("gas", hex(TX_GAS_MAX))), TX_GAS_MAX),
        access_list=_access_list(facts.get("accessList", [])),
    )


def run(view: View, call: Call, header: BlockHeaderAPI) -> ComputationAPI:
    """Execute a call; raises RpcError 3 with the revert's bytes, or -32000."""
    try:
        computation = view.execute(call, header)
    except ValueError as error:
        raise RpcError(-32000, f"err: {error} (supplied gas {call.gas})") from error
    failure = computation.error if computation.is_error else None
    if isinstance(failure, Revert):
        raise RpcError(3, "execution reverted", hexed(computation.output))
    if isinstance(failure, OutOfGas):
        raise RpcError(-32000, "out of gas")
    if failure is not None:
        raise RpcError(-32000, f"{type(failure).__name__}: {failure}"[:300])
    return computation


def price(transaction: SignedTransactionAPI) -> int:
    """What a unit of gas costs the sender, the base fee being 0."""
    return min(transaction.max_fee_per_gas, transaction.max_priority_fee_per_gas)


def transaction(
    one: SignedTransactionAPI,
    block_hash: bytes | None = None,
    number: int | None = None,
    index: int | None = None,
) -> dict[str, Json]:
    """A transaction object; without a block it is pending."""
    kind = one.type_id or 0
    facts: dict[str, Json] = {
        "blockHash": None if block_hash is None else hexed(block_hash),
        "blockNumber": None if number is None else hex(number),
        "transactionIndex": None if index is None else hex(index),
        "hash": hexed(one.hash),
        "from": hexed(one.sender),
        "to": hexed(one.to) if one.to else None,
        "nonce": hex(one.nonce),
        "gas": hex(one.gas),
        "value": hex(one.value),
        "input": hexed(one.data),
        "chainId": hex(one.chain_id or 0),
        "type": hex(kind),
        "gasPrice": hex(price(one)),
        "v": hex(one.y_parity if kind else one.v),  # type: ignore[attr-defined]
        "r": hex(one.r),
        "s": hex(one.s),
    }
    if kind:
        facts["yParity"] = hex(one.y_parity)
        facts["accessList"] = [
            {"address": hexed(account), "storageKeys": [f"0x{key:064x}" for key in keys]}
            for account, keys in one.access_list
        ]
    if kind == 2:
        facts["maxFeePerGas"] = hex(one.max_fee_per_gas)
        facts["maxPriorityFeePerGas"] = hex(one.max_priority_fee_per_gas)
    return facts


def block(
    header: BlockHeaderAPI, transactions: Sequence[SignedTransactionAPI], full: bool, pending: bool
) -> dict[str, Json]:
    """A block object; a pending one has no hash yet."""
    assert header.withdrawals_root is not None  # Shanghai
    assert header.parent_beacon_block_root is not None  # Cancun
    facts: dict[str, Json] = {
        "number": hex(header.block_number),
        "hash": None if pending else hexed(header.hash),
        "parentHash": hexed(header.parent_hash),
        "nonce": None if pending else hexed(header.nonce),
        "sha3Uncles": hexed(header.uncles_hash),
        "logsBloom": f"0x{header.bloom:0512x}",
        "transactionsRoot": hexed(header.transaction_root),
        "stateRoot": hexed(header.state_root),
        "receiptsRoot": hexed(header.receipt_root),
        "miner": hexed(header.coinbase),
        "difficulty": "0x0",
        "extraData": hexed(header.extra_data),
        "size": hex(len(rlp.encode(PragueBlock(header, transactions)))),
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "mixHash": hexed(header.mix_hash),
        "baseFeePerGas": hex(header.base_fee_per_gas or 0),
        "withdrawalsRoot": hexed(header.withdrawals_root),
        "withdrawals": [],
        "blobGasUsed": "0x0",
        "excessBlobGas": "0x0",
        "parentBeaconBlockRoot": hexed(header.parent_beacon_block_root),
        "requestsHash": hexed(header.requests_hash),  # type: ignore[attr-defined]
        "uncles": [],
    }
    facts["transactions"] = [
        transaction(one, header.hash, header.block_number, index) if full else hexed(one.hash)
        for index, one in enumerate(transactions)
    ]
    return facts


def log(row: Sequence[Any]) -> dict[str, Json]:
    """An event object out of the columns of `rpc.LOG_ROWS`."""
    number, log_index, tx_index, address, *topics, payload, tx_hash, block_hash = row
    return {
        "address": hexed(address),
        "topics": [hexed(topic) for topic in topics if topic is not None],
        "data": hexed(payload),
        "blockNumber": hex(number),
        "blockHash": hexed(block_hash),
        "transactionHash": hexed(tx_hash),
        "transactionIndex": hex(tx_index),
        "logIndex": hex(log_index),
        "removed": False,
    }


def bloom(rows: Iterable[Sequence[Any]]) -> str:
    """The bloom filter over the addresses and topics of these event rows."""
    found = BloomFilter()
    for row in rows:
        found.extend(part for part in row[3:8] if part is not None)
    return f"0x{int(found):0512x}"


def _access_list(given: Json) -> tuple[tuple[bytes, tuple[int, ...]], ...]:
    try:
        return tuple(
            (data(entry["address"], 20), tuple(slot(key) for key in entry["storageKeys"]))
            for entry in given
        )
    except (KeyError, TypeError) as error:
        raise RpcError(-32602, "an access list is a list of address and storageKeys") from error


def _short(given: Json) -> str:
    return repr(given)[:80]
