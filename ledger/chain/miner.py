"""The miner: takes signed transactions, groups them into blocks, and answers when they are on the disk.

A transaction whose nonce leaves a gap waits `GAP_WAIT_S` in memory for the missing ones (concurrent
senders overtake one another by milliseconds) and is then refused as "nonce too high": whatever is
answered with a hash is in a committed block. The same bytes again are answered with the same hash,
before and after they are mined. Refusals are worded as geth words them.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from eth.abc import SignedTransactionAPI
from eth_hash.auto import keccak

from ledger.chain.chainfile import Chain
from ledger.chain.evm import INITCODE_MAX, TX_GAS_MAX, decode, floor_gas

TX_BYTES_MAX = 131_072
POOL_MAX = 1024
GAP_WAIT_S = 3.0
ANSWER_WAIT_S = 60.0
LEAD_MAX_S = 900  # how far chain time may run ahead of the clock at full speed
SECP256K1_HALF = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class Refused(Exception):
    """A transaction that is not taken; the message says why."""


@dataclass(eq=False)
class Ticket:
    """A transaction on its way into a block; `done` is set when it is mined or refused."""

    tx_hash: bytes
    transaction: SignedTransactionAPI
    arrived_s: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)
    refusal: str | None = None

    def answer(self, refusal: str | None = None) -> None:
        self.refusal = refusal
        self.done.set()

    def wait(self) -> bytes:
        """The hash, once the transaction is in a committed block; raises Refused."""
        if not self.done.wait(ANSWER_WAIT_S):
            raise Refused("timeout: the transaction may still be mined; ask for its receipt")
        if self.refusal is not None:
            raise Refused(self.refusal)
        return self.tx_hash


class Miner:
    """One thread that seals blocks; `submit` may be called from any.

    While a block is written, further transactions gather for the next: many senders, few blocks. Chain
    time strictly grows, a second a block at least; once it is `lead_max_s` ahead of the clock, no more
    than one block is made in a second of real time.
    """

    def __init__(
        self, chain: Chain, *, clock: Callable[[], float] = time.time, lead_max_s: int = LEAD_MAX_S
    ) -> None:
        self.chain = chain
        self.clock = clock
        self._lead_max_s = lead_max_s
        self._pool: dict[bytes, Ticket] = {}
        self._slots: dict[tuple[bytes, int], Ticket] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._gathering = 0
        self._thread = threading.Thread(target=self._run, name="miner", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Finish the block at hand and refuse what still waits."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        for ticket in list(self._pool.values()):
            self._settle(ticket, "the node is stopping")

    def submit(self, raw: bytes) -> Ticket:
        """Take a signed transaction; raises Refused when it can never be mined."""
        if len(raw) > TX_BYTES_MAX:
            raise Refused(f"oversized data: transaction size {len(raw)}, limit {TX_BYTES_MAX}")
        tx_hash = keccak(raw)
        known = self.pending(tx_hash)
        if known is not None:
            return known
        if self._is_mined(tx_hash):
            return _answered(tx_hash, decode(raw))
        transaction = self._checked(raw)
        with self.chain.reading(for_sending=True) as view:
            state = view.state(self.chain.head)
            nonce, have = state.get_nonce(transaction.sender), state.get_balance(transaction.sender)
        if transaction.nonce < nonce:
            if self._is_mined(tx_hash):  # in this very moment
                return _answered(tx_hash, transaction)
            raise Refused(f"nonce too low: next nonce {nonce}, tx nonce {transaction.nonce}")
        want = transaction.value + transaction.gas * transaction.max_fee_per_gas
        if have < want:
            facts = f"address 0x{transaction.sender.hex()} have {have} want {want}"
            raise Refused(f"insufficient funds for gas * price + value: {facts}")
        with self._changed:
            if tx_hash in self._pool:
                return self._pool[tx_hash]
            if self._stopping:
                raise Refused("the node is stopping")
            if len(self._pool) >= POOL_MAX:
                raise Refused("txpool is full")
            slot = (transaction.sender, transaction.nonce)
            if slot in self._slots:
                raise Refused("replacement transaction underpriced")
            ticket = Ticket(tx_hash, transaction, time.monotonic())
            self._pool[tx_hash] = self._slots[slot] = ticket
            self._changed.notify_all()
        return ticket

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """What is submitted meanwhile goes into the same block, as far as it has room."""
        with self._changed:
            self._gathering += 1
        try:
            yield
        finally:
            with self._changed:
                self._gathering -= 1
                self._changed.notify_all()

    def pending(self, tx_hash: bytes) -> Ticket | None:
        """The ticket of a transaction that waits for its block."""
        with self._changed:
            return self._pool.get(tx_hash)

    def pending_nonce(self, sender: bytes, nonce: int) -> int:
        """The next nonce of `sender`, counting from its mined `nonce` over those that wait without gap."""
        with self._changed:
            while (sender, nonce) in self._slots:
                nonce += 1
        return nonce

    def _is_mined(self, tx_hash: bytes) -> bool:
        with self.chain.reading(for_sending=True) as view:
            found = view.rows.execute("SELECT 1 FROM tx WHERE hash = ?", (tx_hash,)).fetchone()
        return found is not None

    def _checked(self, raw: bytes) -> SignedTransactionAPI:
        """The transaction in `raw`, if it is well signed, for this chain, by one of its senders."""
        if raw[:1] in {b"\x03", b"\x04"}:
            raise Refused("transaction type not supported")
        try:
            transaction = decode(raw)
        except ValueError as error:
            raise Refused(f"invalid transaction: {error}") from error
        if transaction.chain_id is None:
            raise Refused("only replay-protected (EIP-155) transactions allowed over RPC")
        if transaction.chain_id != self.chain.chain_id:
            have, want = transaction.chain_id, self.chain.chain_id
            raise Refused(f"invalid chain id for signer: have {have} want {want}")
        try:
            transaction.validate()
            if transaction.y_parity not in {0, 1} or transaction.s > SECP256K1_HALF:
                raise Refused("invalid transaction v, r, s values")
            transaction.check_signature_validity()
            sender = transaction.sender
        except Refused:
            raise
        except (
            Exception
        ) as error:  # eth_keys and py-evm raise their own for each kind of bad signature
            raise Refused(f"invalid transaction: {error}") from error
        if sender not in self.chain.senders:
            raise Refused(f"sender 0x{sender.hex()} is not allowed on this chain")
        if transaction.gas > TX_GAS_MAX:
            facts = f"cap: {TX_GAS_MAX}, tx: {transaction.gas}"
            raise Refused(f"transaction gas limit too high ({facts})")
        if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
            raise Refused("max priority fee per gas higher than max fee per gas")
        if transaction.to == b"" and len(transaction.data) > INITCODE_MAX:
            facts = f"code size {len(transaction.data)}, limit {INITCODE_MAX}"
            raise Refused(f"max initcode size exceeded: {facts}")
        if transaction.gas < (floor := floor_gas(transaction)):
            raise Refused(f"intrinsic gas too low: have {transaction.gas}, want {floor}")
        return transaction

    def _run(self) -> None:
        last_s = 0.0
        while True:
            with self._changed:
                while not self._stopping and (self._gathering or not self._pool):
                    self._changed.wait()
                if self._stopping:
                    return
                lead_s = self.chain.head.timestamp + 1 - self.clock()
                pause_s = last_s + 1 - time.monotonic() if lead_s > self._lead_max_s else 0
                if pause_s > 0:
                    self._changed.wait(pause_s)
                    continue
                waiting = sorted(
                    self._pool.values(), key=lambda t: (t.transaction.nonce, t.arrived_s)
                )
            height = self.chain.head.block_number
            self._mine(waiting)
            if self.chain.head.block_number > height:
                last_s = time.monotonic()
                continue
            # Only gaps are left: wait for what closes them, or until one is too old.
            with self._changed:
                if not self._stopping and self._pool.keys() == {t.tx_hash for t in waiting}:
                    self._changed.wait(GAP_WAIT_S / 4)

    def _mine(self, waiting: list[Ticket]) -> None:
        """One block out of what waits; everything that is settled by it is answered."""
        left = {t.tx_hash: t for t in waiting}
        try:
            sealed = self.chain.seal([t.transaction for t in waiting], int(self.clock()))
        except Exception as error:  # a full disk must be answered, and the next block tried
            for ticket in waiting:
                self._settle(ticket, f"the node could not store the block: {error}")
            return
        for transaction in sealed.included:
            self._settle(left.pop(transaction.hash))
        for transaction, reason in sealed.refused:
            self._settle(left.pop(transaction.hash), reason)
        old_s = time.monotonic() - GAP_WAIT_S
        for ticket in left.values():
            if ticket.arrived_s < old_s:
                self._expire(ticket)

    def _expire(self, ticket: Ticket) -> None:
        """Refuse a transaction before which a nonce is still missing; one that waits for room may stay."""
        sender = ticket.transaction.sender
        with self.chain.reading(for_sending=True) as view:
            nonce = self.pending_nonce(sender, view.state(self.chain.head).get_nonce(sender))
        if nonce < ticket.transaction.nonce:
            facts = f"next nonce {nonce}, tx nonce {ticket.transaction.nonce}"
            self._settle(ticket, f"nonce too high: {facts}")

    def _settle(self, ticket: Ticket, refusal: str | None = None) -> None:
        if refusal is not None and self._is_mined(ticket.tx_hash):
            refusal = (
                None  # the same bytes came twice at once, or a COMMIT failed after it was done
            )
        with self._changed:
            del self._pool[ticket.tx_hash]
            del self._slots[ticket.transaction.sender, ticket.transaction.nonce]
        ticket.answer(refusal)


def _answered(tx_hash: bytes, transaction: SignedTransactionAPI) -> Ticket:
    ticket = Ticket(tx_hash, transaction)
    ticket.answer()
    return ticket
