"""The embedded chain: Ethereum blocks of the Prague rules in one SQLite file, one transaction a block.

The file holds no key and no account of ours. Its tables:

    meta    chain id, genesis hash, layout version
    sender  the addresses whose transactions are taken
    kv      trie nodes, contract code and headers, each under its Keccak-256 hash; never deleted
    block   number -> hash
    tx      hash -> block, index, sender, raw bytes and the facts of its receipt
    log     one row an event, indexed by address and by first topic

A block is executed in memory; everything it brings is then written in one SQLite transaction (WAL,
`synchronous=FULL`), so that a killed process leaves whole blocks only. Gas is free: the base fee is
0 from genesis on, and stays 0 because no block is filled beyond half its gas limit (EIP-1559).
"""

import fcntl
import os
import queue
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import rlp
from eth.abc import BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI, StateAPI
from eth.constants import BLANK_ROOT_HASH, ZERO_ADDRESS
from eth.db.trie import make_trie_root_and_nodes
from eth.rlp.headers import BlockHeader
from eth.vm.chain_context import ChainContext
from eth_typing import Address, BlockNumber

from ledger.chain.evm import TX_GAS_MAX, VM, Store, View, make_vm
from ledger.errors import Conflict, Invalid, LedgerError, Missing

LAYOUT = 1
GAS_LIMIT = 8 * TX_GAS_MAX
GAS_TARGET = GAS_LIMIT // 2  # a block filled beyond it would raise the base fee above 0
BLOCK_TXS_MAX = 256
BLOCK_WORK_S = 1.0  # no further transaction is begun in a block that took this long already
READERS = 4
SCHEMA = (
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE sender(address BLOB PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE kv(k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE block(number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE)",
    "CREATE TABLE tx(hash BLOB PRIMARY KEY, block_number INTEGER NOT NULL, tx_index INTEGER NOT NULL,"
    " sender BLOB NOT NULL, raw BLOB NOT NULL, status INTEGER NOT NULL, gas_used INTEGER NOT NULL,"
    " cumulative_gas INTEGER NOT NULL, UNIQUE(block_number, tx_index)) WITHOUT ROWID",
    "CREATE TABLE log(block_number INTEGER, log_index INTEGER, tx_index INTEGER NOT NULL,"
    " address BLOB NOT NULL, topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB, data BLOB NOT NULL,"
    " PRIMARY KEY(block_number, log_index)) WITHOUT ROWID",
    "CREATE INDEX log_by_address ON log(address, topic0, block_number)",
    "CREATE INDEX log_by_topic ON log(topic0, block_number)",
)


@dataclass
class Sealed:
    """What became of the candidates of one block; those in neither list were left for the next."""

    included: list[SignedTransactionAPI] = field(default_factory=list)
    refused: list[tuple[SignedTransactionAPI, str]] = field(default_factory=list)


class _Broken(Exception):
    """py-evm itself failed over this transaction: the block is built again without it."""

    def __init__(self, transaction: SignedTransactionAPI, cause: Exception) -> None:
        self.transaction, self.cause = transaction, cause
        super().__init__(str(cause))


def create(
    path: str | os.PathLike[str],
    *,
    chain_id: int,
    genesis_at: datetime,
    salt: bytes,
    balances: Mapping[str, int],
) -> str:
    """Make the chain file and return the genesis hash, 0x and 64 hex digits.

    The same arguments again give the same hash and change nothing. `salt`, 16 to 32 random bytes, is the
    genesis block's extra data. `balances` maps each address that may send to its wei; 0 is enough, since
    gas is free. Raises Conflict when the file holds another chain, Invalid when an argument is unusable.
    """
    if not 0 < chain_id < 2**53:
        raise Invalid("A chain id is between 1 and 2^53, not {given}.", given=chain_id)
    if not 16 <= len(salt) <= 32:
        raise Invalid("The chain's salt has 16 to 32 bytes, not {given}.", given=len(salt))
    if genesis_at.tzinfo is None:
        raise Invalid("The genesis time needs a time zone.")
    if not balances:
        raise Invalid("A chain without a sender is of no use: name at least one address.")
    amounts = {_address(text): wei for text, wei in balances.items()}
    store = Store(sqlite3.connect(":memory:", isolation_level=None))
    try:
        store.connection.execute(SCHEMA[2])
        state = VM.build_state(
            store,
            BlockHeader(difficulty=0, block_number=BlockNumber(-1), gas_limit=0),
            ChainContext(chain_id),
        )
        for address, wei in amounts.items():
            if wei:
                state.set_balance(Address(address), wei)
        state.persist()
    finally:
        store.connection.close()
    genesis = VM.create_genesis_header(
        difficulty=0,
        gas_limit=GAS_LIMIT,
        timestamp=int(genesis_at.timestamp()),
        extra_data=salt,
        coinbase=ZERO_ADDRESS,
        state_root=state.state_root,
        base_fee_per_gas=0,
    )
    wanted = (chain_id, genesis.hash, frozenset(amounts))
    file = Path(path)
    with ExitStack() as held:
        if not _has_chain(file):
            held.enter_context(_locked(file))
        connection = _connect(file)
        try:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                connection.execute("BEGIN IMMEDIATE")
                for statement in SCHEMA:
                    connection.execute(statement)
                facts = {"chain_id": chain_id, "genesis": genesis.hash, "layout": LAYOUT}
                connection.executemany("INSERT INTO meta VALUES(?, ?)", facts.items())
                connection.executemany("INSERT INTO sender VALUES(?)", [(a,) for a in amounts])
                store.fresh[genesis.hash] = rlp.encode(genesis)
                connection.executemany("INSERT INTO kv VALUES(?, ?)", store.fresh.items())
                connection.execute("INSERT INTO block VALUES(0, ?)", (genesis.hash,))
                connection.execute("COMMIT")
            known = _identity(connection, file)
        finally:
            connection.close()
    if known != wanted:
        raise Conflict(
            "{path} already holds another chain: its genesis is {known}, not {given}.",
            path=str(file),
            known=f"0x{known[1].hex()} (chain {known[0]}, {len(known[2])} senders)",
            given=f"0x{genesis.hash.hex()} (chain {chain_id}, {len(amounts)} senders)",
        )
    return "0x" + genesis.hash.hex()


class Chain:
    """An open chain file, held by a lock that ends with the process.

    One thread calls `seal`; any number read through `reading`. `head` is the last committed header.
    Raises Missing when there is no chain file, Conflict when another node holds it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not _has_chain(self.path):
            raise Missing("There is no chain at {path}; `init` makes one.", path=str(self.path))
        self._held = ExitStack()
        self._held.enter_context(_locked(self.path))
        try:
            self._store = Store(_connect(self.path))
            self.chain_id, self.genesis_hash, self.senders = _identity(
                self._store.connection, self.path
            )
            self.head = self._last_header()
            self._readers = self._views(READERS)
            self._sending = self._views(1)  # long calls of readers must not keep transactions out
        except BaseException:
            self._held.close()
            raise

    def close(self) -> None:
        """Close the file and give the lock back; waits for readers still at work."""
        for readers, count in ((self._readers, READERS), (self._sending, 1)):
            for _ in range(count):
                readers.get()._store.connection.close()
        self._store.connection.close()
        self._held.close()

    @contextmanager
    def reading(self, *, for_sending: bool = False) -> Iterator["View"]:
        """One of a few read connections; it never sees a block that is not committed."""
        readers = self._sending if for_sending else self._readers
        view = readers.get()
        try:
            yield view
        finally:
            view._store.fresh.clear()
            readers.put(view)

    def _views(self, count: int) -> "queue.LifoQueue[View]":
        views: queue.LifoQueue[View] = queue.LifoQueue()
        for _ in range(count):
            views.put(View(Store(_connect(self.path)), self.chain_id))
        return views

    def next_header(self, now_s: int) -> BlockHeaderAPI:
        """The header of a block made now: its time is the clock's, but always later than the head's."""
        header: BlockHeaderAPI = VM.create_header_from_parent(
            self.head,
            timestamp=max(now_s, self.head.timestamp + 1),
            gas_limit=self.head.gas_limit,
            coinbase=ZERO_ADDRESS,
        )
        return header

    def seal(self, candidates: Sequence[SignedTransactionAPI], now_s: int) -> Sealed:
        """Put candidates, in their order, into one block and commit it; without a usable one no block.

        A candidate whose nonce is not yet due or for which the block has no room is left; one that can
        never be executed is refused with the reason. A reverted one is included, with status 0.
        """
        rest, broken = list(candidates), Sealed()
        while True:
            try:
                sealed = self._seal(rest, now_s)
            except _Broken as fault:
                rest = [t for t in rest if t is not fault.transaction]
                reason = f"the EVM failed over it: {type(fault.cause).__name__}: {fault.cause}"
                broken.refused.append((fault.transaction, reason))
            else:
                sealed.refused += broken.refused
                return sealed
            finally:
                self._store.fresh.clear()

    def _seal(self, candidates: Iterable[SignedTransactionAPI], now_s: int) -> Sealed:
        header, begun_s = self.next_header(now_s), time.monotonic()
        vm = make_vm(self._store, header, self.chain_id)
        sealed, receipts = Sealed(), list[ReceiptAPI]()
        tx_rows, log_rows = list[tuple[Any, ...]](), list[tuple[Any, ...]]()
        for transaction in candidates:
            if len(receipts) == BLOCK_TXS_MAX or time.monotonic() - begun_s > BLOCK_WORK_S:
                break
            try:
                verdict = _admit(vm.state, header, transaction)
                if verdict is not None:
                    if verdict:
                        sealed.refused.append((transaction, verdict))
                    continue
                receipt, _ = vm.apply_transaction(header, transaction)
            except Exception as error:
                raise _Broken(transaction, error) from error
            at = (header.block_number, len(receipts))
            gas_used = receipt.gas_used - header.gas_used
            facts = (transaction.sender, transaction.encode(), int(receipt.state_root == b"\x01"))
            tx_rows.append((transaction.hash, *at, *facts, gas_used, receipt.gas_used))
            for event in receipt.logs:
                topics = [topic.to_bytes(32, "big") for topic in event.topics]
                row = (at[0], len(log_rows), at[1], event.address, *topics)
                log_rows.append((*row, *[None] * (4 - len(topics)), event.data))
            header = header.copy(gas_used=receipt.gas_used, bloom=header.bloom | int(receipt.bloom))
            receipts.append(receipt)
            sealed.included.append(transaction)
        if not receipts:
            return sealed
        vm.state.persist()
        header = header.copy(
            state_root=vm.state.state_root,
            transaction_root=make_trie_root_and_nodes(tuple(sealed.included))[0],
            receipt_root=make_trie_root_and_nodes(tuple(receipts))[0],
        )
        vm.validate_header(header, self.head)
        self._commit(header, tx_rows, log_rows)
        return sealed

    def _commit(
        self,
        header: BlockHeaderAPI,
        tx_rows: list[tuple[Any, ...]],
        log_rows: list[tuple[Any, ...]],
    ) -> None:
        """All of one block in one SQLite transaction; the head moves only when it is on the disk."""
        connection = self._store.connection
        self._store.fresh[header.hash] = rlp.encode(header)
        try:
            connection.execute("BEGIN IMMEDIATE")
            fresh = self._store.fresh.items()
            connection.executemany("INSERT OR IGNORE INTO kv VALUES(?, ?)", fresh)
            connection.execute("INSERT INTO block VALUES(?, ?)", (header.block_number, header.hash))
            connection.executemany("INSERT INTO tx VALUES(?, ?, ?, ?, ?, ?, ?, ?)", tx_rows)
            connection.executemany("INSERT INTO log VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", log_rows)
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._store.fresh.clear()
            self.head = self._last_header()  # a COMMIT that failed may still have reached the disk
            raise
        self.head = header

    def _last_header(self) -> BlockHeaderAPI:
        view = View(self._store, self.chain_id)
        header = view.header(view.height())
        if header is not None and header.state_root == BLANK_ROOT_HASH:
            return header  # a genesis where nobody has a balance
        if header is None or not self._store.exists(header.state_root):
            raise LedgerError("The chain file {path} is damaged.", path=str(self.path))
        return header


def _admit(
    state: StateAPI, header: BlockHeaderAPI, transaction: SignedTransactionAPI
) -> str | None:
    """None: execute it. Empty: not in this block. Else the reason why it can never be executed."""
    sender = transaction.sender
    nonce = state.get_nonce(sender)
    if transaction.nonce < nonce:
        return f"nonce too low: next nonce {nonce}, tx nonce {transaction.nonce}"
    if transaction.nonce > nonce or header.gas_used + transaction.gas > GAS_TARGET:
        return ""
    have = state.get_balance(sender)
    want = transaction.value + transaction.gas * transaction.max_fee_per_gas
    if have < want:
        facts = f"address 0x{sender.hex()} have {have} want {want}"
        return f"insufficient funds for gas * price + value: {facts}"
    return None


def _address(text: str) -> bytes:
    digits = text.removeprefix("0x")
    try:
        address = bytes.fromhex(digits)
    except ValueError:
        address = b""
    if len(address) != 20 or len(digits) != 40:
        raise Invalid("{given} is not an address.", given=text)
    return address


def _connect(file: Path) -> sqlite3.Connection:
    connection = None
    try:
        connection = sqlite3.connect(
            file, isolation_level=None, check_same_thread=False, timeout=10
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -16384")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        message = "{path} cannot be opened as a chain file: {cause}."
        raise LedgerError(message, path=str(file), cause=str(error)) from error
    return connection


def _has_chain(file: Path) -> bool:
    if not file.is_file():
        return False
    connection = _connect(file)
    try:
        return bool(
            connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
        )
    finally:
        connection.close()


def _identity(connection: sqlite3.Connection, file: Path) -> tuple[int, bytes, frozenset[bytes]]:
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    if meta["layout"] != LAYOUT:
        given = meta["layout"]
        raise Conflict("{path} has layout {given}, not ours.", path=str(file), given=given)
    senders = frozenset(row[0] for row in connection.execute("SELECT address FROM sender"))
    return meta["chain_id"], meta["genesis"], senders


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the lock beside the chain file; the system lets go of it when the process dies."""
    lock = file.with_name(file.name + ".lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = "{path} cannot be locked: {cause}."
        raise Invalid(message, path=str(file), cause=str(error)) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = "Another node already runs on {path}; stop it or use its address."
            raise Conflict(message, path=str(file)) from error
        yield
    finally:
        os.close(handle)
