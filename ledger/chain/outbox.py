"""What must happen on chain: each act waits here from the transaction that caused it until it is effective.

    waiting → sent → effective          alarm: a person must look

An act names the subject's record whose digest is its `reason` on chain, so the contract's event
(subject, version, reason) identifies it for ever. Whether it still has to be sent is judged by the
contract's own version, never by our memory: at v-1 send; beyond, done if our event exists, else
alarm; before, wait. So the same act never takes effect twice, whatever was killed in between.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.chain.gateway import Gateway
from ledger.errors import Conflict, LedgerError
from ledger.proof.merkle import verify_consistency
from ledger.store import Base, new_id

REASON = "$reason"
PROOF = "$proof"
GAS = {"issue": 300_000, "anchor": 500_000, "supersede": 1_000_000}
GAS_DEFAULT = 400_000
BATCH = 50
ADDRESS_CHARS = 42
# Where `version` stands in the struct that each contract's `get` returns; a test compares the ABI.
VERSION_AT = {"VoucherRegistry": 2, "RevenueBook": 1, "CirculationRegistry": 4}
DONE, SEND, WAIT = "done", "send", "wait"  # judgements; any other is an alarm's text


class Act(Base):
    """An act on chain and how far it has come (operational: the chain itself is the evidence)."""

    __tablename__ = "acts"
    __table_args__ = (Index("acts_open", "lane", "state"), Index("acts_subject", "subject_id"))
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    lane: Mapped[str]
    contract: Mapped[str]
    function: Mapped[str]
    arguments: Mapped[list[Any]]
    key: Mapped[str]
    expected_version: Mapped[int]
    subject_id: Mapped[str]
    subject_version: Mapped[int]
    state: Mapped[str]
    nonce: Mapped[int | None]
    raw: Mapped[str | None]
    transaction: Mapped[str | None]
    block: Mapped[int | None]
    problem: Mapped[str | None]
    created_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]


@dataclass(frozen=True)
class Deployment:
    """Where the contracts stand, and since which block their events count."""

    chain_id: int
    genesis: str
    contracts: Mapping[str, str]
    block: int


def enqueue(
    session: Session,
    now: datetime,
    *,
    lane: str,
    contract: str,
    function: str,
    arguments: Sequence[Any],
    key: bytes,
    expected_version: int,
    subject_id: str,
    subject_version: int,
) -> Act:
    """Note an act to be done on chain, in the transaction of the deed that causes it."""
    act = Act(
        id=new_id(), lane=lane, contract=contract, function=function, arguments=list(arguments),
        key=key.hex(), expected_version=expected_version, subject_id=subject_id,
        subject_version=subject_version, state="waiting", created_at=now,
    )  # fmt: skip
    session.add(act)
    return act


def enqueue_anchor(session: Session, now: datetime, tree_size: int, root: bytes) -> Act | None:
    """Note that a checkpoint is to be anchored, once."""
    subject = f"checkpoint:{tree_size}"
    if session.scalar(select(Act).where(Act.subject_id == subject)) is not None:
        return None
    return enqueue(
        session, now, lane="anchor", contract="CheckpointAnchor", function="anchor",
        arguments=[tree_size, "0x" + root.hex(), PROOF], key=root, expected_version=tree_size,
        subject_id=subject, subject_version=1,
    )  # fmt: skip


def act_of(session: Session, subject_id: str, subject_version: int) -> Act | None:
    """The act that a record caused, or None."""
    return session.scalar(
        select(Act).where(Act.subject_id == subject_id, Act.subject_version == subject_version)
    )


def require_effective(session: Session, subject_id: str, what: str) -> Act | None:
    """Raise Conflict while any act of the subject has not taken effect; returns the last act."""
    acts = session.scalars(select(Act).where(Act.subject_id == subject_id).order_by(Act.id)).all()
    for act in acts:
        if act.state != "effective":
            raise Conflict(
                "{what} is not yet effective on chain ({function} is {state}): run the worker and "
                "a node, then ask again.",
                what=what,
                function=act.function,
                state=act.state,
            )
    return acts[-1] if acts else None


def alarms(session: Session) -> list[Act]:
    """The acts that a person must look at."""
    return list(session.scalars(select(Act).where(Act.state == "alarm").order_by(Act.id)))


@dataclass(frozen=True)
class Resolver:
    """What an act needs to know at the moment it is sent, asked of the log.

    `reason(session, subject_id, subject_version)` is the 32-byte digest of a record;
    `proof(session, old_size, new_size)` is a consistency proof; `root(session, size)` our own root.
    """

    reason: Callable[[Session, str, int], bytes]
    proof: Callable[[Session, int, int], list[bytes]]
    root: Callable[[Session, int], bytes]


class Sender:
    """One lane's work against one chain; it keeps nothing in memory between calls.

    `sign(data, to, nonce, gas)` gives the raw transaction and its hash, signed by the lane's key.
    """

    def __init__(
        self,
        chain: Gateway,
        deployment: Deployment,
        address: str,
        resolver: Resolver,
        sign: Callable[[bytes, str, int, int], tuple[bytes, str]],
    ) -> None:
        self.chain, self.deployment, self.address = chain, deployment, address
        self.resolver, self.sign = resolver, sign

    def prepare(self, session: Session, lane: str, now: datetime) -> list[bytes]:
        """Judge the lane's open acts and sign what has to be sent; returns the raw transactions.

        The caller commits before it sends them, so that a crash in between sends the same bytes
        again.
        """
        acts = session.scalars(
            select(Act)
            .where(Act.lane == lane, Act.state.in_(("waiting", "sent")))
            .order_by(Act.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        if not acts:
            return []
        in_flight = [act.nonce + 1 for act in acts if act.nonce is not None]
        next_nonce = max([self.chain.nonce(self.address, pending=True), *in_flight])
        to_send: list[bytes] = []
        for act in acts:
            judgement = self._judge(session, act)
            if judgement == DONE:
                act.state, act.resolved_at = "effective", now
            elif judgement == SEND and act.state == "sent":
                raw = self._again(session, act)
                to_send += [] if raw is None else [raw]
            elif judgement == SEND:
                act.nonce, next_nonce = next_nonce, next_nonce + 1
                data = self.chain.encode(act.contract, act.function, *self._filled(session, act))
                raw, act.transaction = self.sign(
                    data,
                    self.deployment.contracts[act.contract],
                    act.nonce,
                    GAS.get(act.function, GAS_DEFAULT),
                )
                act.raw, act.state = raw.hex(), "sent"
                to_send.append(raw)
            elif judgement != WAIT:
                act.state, act.problem = "alarm", judgement
        return to_send

    def _again(self, session: Session, act: Act) -> bytes | None:
        """The bytes of a sent act that the contract does not show yet, if they may still land."""
        assert act.transaction is not None
        assert act.nonce is not None
        assert act.raw is not None
        raw = bytes.fromhex(act.raw)
        receipt = self.chain.receipt(act.transaction)
        if receipt is not None and receipt["status"] == 0:
            act.state = "alarm"
            act.problem = (
                f"the contract refused it: {self._why(session, act)}; mend the cause and retry"
            )
            return None
        if receipt is None and self.chain.nonce(self.address, pending=False) > act.nonce:
            # Another transaction took the nonce: ours can never land. Judged anew next time.
            act.state, act.raw, act.transaction, act.nonce = "waiting", None, None, None
            return None
        return raw

    def _why(self, session: Session, act: Act) -> str:
        try:
            self.chain.simulate(
                sender=self.address,
                to=self.deployment.contracts[act.contract],
                data=self.chain.encode(act.contract, act.function, *self._filled(session, act)),
            )
        except LedgerError as error:
            return error.sentence
        return "no reason found"

    def _filled(self, session: Session, act: Act) -> list[Any]:
        return [self._fill(session, act, argument) for argument in act.arguments]

    def _fill(self, session: Session, act: Act, argument: Any) -> Any:
        if argument == REASON:
            return self.resolver.reason(session, act.subject_id, act.subject_version)
        if argument == PROOF:
            size = int(act.arguments[0])
            held, root = self.chain.call(
                act.contract, self.deployment.contracts[act.contract], "latest"
            )
            if held == 0:
                return []
            # A wrong root would brick the contract for ever: see first that ours extends the held one.
            proof = self.resolver.proof(session, held, size)
            verify_consistency(held, size, root, bytes.fromhex(act.key), proof)
            return proof
        if isinstance(argument, dict):
            return {name: self._fill(session, act, value) for name, value in argument.items()}
        if isinstance(argument, list):
            return [self._fill(session, act, value) for value in argument]
        if (
            isinstance(argument, str)
            and argument.startswith("0x")
            and len(argument) != ADDRESS_CHARS
        ):
            return bytes.fromhex(argument[2:])
        return argument

    def _judge(self, session: Session, act: Act) -> str:
        if act.contract == "CheckpointAnchor":
            return self._judge_anchor(session, act)
        address = self.deployment.contracts[act.contract]
        where: list[Any] = [bytes.fromhex(act.key)]
        if act.contract == "CirculationRegistry":
            where.append(act.arguments[1])
        version = self.chain.call(act.contract, address, "get", *where)[VERSION_AT[act.contract]]
        if version == act.expected_version:
            return SEND
        if version < act.expected_version:
            return WAIT
        event = self._event_of(session, act, address)
        if event is None:
            return (
                f"the chain stands at version {version}, our act would have made it "
                f"{act.expected_version + 1}, and that step is not ours: find out who took it"
            )
        act.block, act.transaction = event
        return DONE

    def _event_of(self, session: Session, act: Act, address: str) -> tuple[int, str] | None:
        name, subject = "Changed", "id"
        if act.contract == "CirculationRegistry":
            name, subject = ("Granted" if act.function == "grant" else "Revoked"), "voucher"
        reason = self.resolver.reason(session, act.subject_id, act.subject_version)
        filters: dict[str, Any] = {subject: bytes.fromhex(act.key), "reason": reason}
        for event in self.chain.events(
            act.contract, address, name, self.deployment.block, **filters
        ):
            if event["args"]["version"] == act.expected_version + 1:
                return int(event["block_number"]), str(event["transaction_hash"])
        return None

    def _judge_anchor(self, session: Session, act: Act) -> str:
        address = self.deployment.contracts[act.contract]
        size, root = int(act.arguments[0]), bytes.fromhex(act.key)
        held = self.chain.call(act.contract, address, "rootOf", size)
        if held == root:
            event = self.chain.events(
                act.contract, address, "Anchored", self.deployment.block, size=size
            )[0]
            act.block = int(event["block_number"])
            act.transaction = str(event["transaction_hash"])
            return DONE
        if any(held):
            return f"FORK: the contract holds another root for size {size}; stop and investigate"
        latest_size, latest_root = self.chain.call(act.contract, address, "latest")
        if latest_size < size:
            if latest_size and self.resolver.root(session, latest_size) != latest_root:
                return f"FORK: the contract's root at size {latest_size} is not ours; stop and investigate"
            return SEND
        # A larger size is anchored: ours is settled when that one is our own later history.
        if self.resolver.root(session, latest_size) != latest_root:
            return (
                f"FORK: the contract's root at size {latest_size} is not ours; stop and investigate"
            )
        act.problem = "superseded"
        return DONE
