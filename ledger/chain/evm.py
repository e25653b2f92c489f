"""The EVM of the embedded chain: py-evm's Prague rules over a key-value table, and reads."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import rlp
from eth.abc import BlockHeaderAPI, ComputationAPI, SignedTransactionAPI, StateAPI
from eth.consensus.context import ConsensusContext
from eth.consensus.noproof import NoProofConsensus
from eth.db.backends.base import BaseAtomicDB
from eth.db.chain import ChainDB
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague import PragueVM
from eth.vm.spoof import SpoofTransaction
from eth_hash.auto import keccak
from eth_typing import Address, Hash32

TX_GAS_MAX = 2**24  # EIP-7825: 16,777,216
INITCODE_MAX = 49_152  # EIP-3860


class VM(PragueVM):
    """Prague rules without proof of work or stake."""

    consensus_class = NoProofConsensus


class Store(BaseAtomicDB):
    """The table kv as py-evm wants it; what is written gathers in `fresh` and is taken by the block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.fresh: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        found = self.fresh.get(key)
        if found is not None:
            return found
        row = self.connection.execute("SELECT v FROM kv WHERE k = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return cast(bytes, row[0])

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.fresh[key] = value

    def __delitem__(self, key: bytes) -> None:
        del self.fresh[key]  # what is committed stays: an older block's state needs it

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    @contextmanager
    def atomic_batch(self) -> Iterator["Store"]:  # type: ignore[override]  # a batch is the store itself
        yield self


@dataclass(frozen=True)
class Call:
    """A message executed without a signature: eth_call, eth_estimateGas. `to` is empty for a creation."""

    sender: bytes
    to: bytes
    data: bytes
    value: int = 0
    gas: int = TX_GAS_MAX
    access_list: tuple[tuple[bytes, tuple[int, ...]], ...] = ()


def decode(raw: bytes) -> SignedTransactionAPI:
    """The transaction in `raw`; raises ValueError when it is none, or not in its one canonical form."""
    try:
        transaction = VM.get_transaction_builder().decode(raw)
    except Exception as error:  # rlp, eth_utils and py-evm each raise their own
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if transaction.encode() != raw:
        raise ValueError("not in canonical RLP")
    return transaction


def contract_address(sender: bytes, nonce: int) -> bytes:
    """The address of a contract made by CREATE: the last 20 bytes of Keccak-256(RLP([sender, nonce]))."""
    return keccak(rlp.encode([sender, nonce]))[12:]


def floor_gas(message: Any) -> int:
    """The least gas a transaction or call needs to begin: its intrinsic cost, or EIP-7623's data floor."""
    zeros = message.data.count(0)
    tokens = zeros + 4 * (len(message.data) - zeros)
    intrinsic = 21_000 + 4 * tokens
    if message.to == b"":
        intrinsic += 32_000 + 2 * ((len(message.data) + 31) // 32)  # EIP-3860
    for _, keys in message.access_list:
        intrinsic += 2_400 + 1_900 * len(keys)
    return int(max(intrinsic, 21_000 + 10 * tokens))


def make_vm(store: Store, header: BlockHeaderAPI, chain_id: int) -> PragueVM:
    """The machine that works on the state `header` names, and shows contracts its number and time."""
    return VM(header, ChainDB(store), ChainContext(chain_id), ConsensusContext(store))


class View:
    """Reads of one connection: headers, transactions, receipts, events, and the state of any block."""

    def __init__(self, store: Store, chain_id: int) -> None:
        self._store, self._chain_id = store, chain_id
        self.rows = store.connection

    def height(self) -> int:
        return cast(int, self.rows.execute("SELECT max(number) FROM block").fetchone()[0])

    def header(self, number: int) -> BlockHeaderAPI | None:
        row = self.rows.execute("SELECT hash FROM block WHERE number = ?", (number,)).fetchone()
        return None if row is None else self.header_by_hash(row[0])

    def header_by_hash(self, block_hash: bytes) -> BlockHeaderAPI | None:
        known = self.rows.execute("SELECT 1 FROM block WHERE hash = ?", (block_hash,)).fetchone()
        if known is None:
            return None
        return ChainDB(self._store).get_block_header_by_hash(Hash32(block_hash))

    def state(self, header: BlockHeaderAPI) -> StateAPI:
        """The state after the block of this header."""
        return make_vm(self._store, header, self._chain_id).state

    def execute(self, call: Call, header: BlockHeaderAPI) -> ComputationAPI:
        """Run a message on the state and with the number and time of `header`; nothing is kept.

        Raises ValueError, in geth's words, when the message cannot even begin.
        """
        state = self.state(header)
        unsigned = VM.get_transaction_builder().new_unsigned_dynamic_fee_transaction(  # type: ignore[attr-defined]
            self._chain_id,
            state.get_nonce(Address(call.sender)),
            0,
            0,
            call.gas,
            call.to,
            call.value,
            call.data,
            call.access_list,
        )
        floor = floor_gas(unsigned)
        if call.gas < floor:
            raise ValueError(f"intrinsic gas too low: have {call.gas}, want {floor}")
        if state.get_balance(Address(call.sender)) < call.value:
            raise ValueError("insufficient funds for gas * price + value")
        spoof = SpoofTransaction(unsigned, from_=call.sender)
        return state.apply_transaction(cast(SignedTransactionAPI, spoof))
