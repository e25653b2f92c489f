"""What must happen on chain: each act waits here from the transaction that caused it until it is effective.

    waiting → sent → effective          alarm: a person must look, then retry or drop it

An act names the subject's record whose digest is its `reason` on chain, so the contract's event
(subject, version, reason) identifies it for ever. Whether it still has to be sent is judged by the
contract's own version, never by our memory: at v-1 send; beyond, done if our event exists, else
alarm; before, wait. So the same act never takes effect twice, whatever was killed in between.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, func, select
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
ATTEMPTS_MAX = 5
DONE, SEND, WAIT = "done", "send", "wait"  # judgements; any other is an alarm's text
FORK = "FORK: the contract holds another root for size {size} than ours; stop and investigate"


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
    attempts: Mapped[int]
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
        subject_version=subject_version, state="waiting", attempts=0, created_at=now,
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


def open_count(session: Session) -> int:
    """How many acts are neither effective nor alarms."""
    return (
        session.scalar(
            select(func.count()).select_from(Act).where(Act.state.in_(("waiting", "sent")))
        )
        or 0
    )


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


@dataclass(frozen=True)
class Move:
    """What one look at the chain means for an act: how it was seen, what changes, what to send."""

    act_id: str
    seen: tuple[str, int | None]
    changes: Mapping[str, Any]
    raw: bytes | None = None


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

    def plan(self, session: Session, lane: str) -> list[Move]:
        """Look at the chain and say what each open act of the lane needs; writes nothing.

        The chain may be slow: nobody waits for a lock meanwhile. `apply` stores the moves, and only
        after that commit are the bytes sent, so that a crash in between sends the same bytes again.
        """
        acts = session.scalars(
            select(Act)
            .where(Act.lane == lane, Act.state.in_(("waiting", "sent")))
            .order_by(Act.id)
            .limit(BATCH)
        ).all()
        if not acts:
            return []
        in_flight = [act.nonce + 1 for act in acts if act.nonce is not None]
        next_nonce = max([self.chain.nonce(self.address, pending=True), *in_flight])
        moves: list[Move] = []
        for act in acts:
            move = self._look(session, act, next_nonce, list(acts))
            if move is not None:
                moves.append(move)
                next_nonce += "nonce" in move.changes and move.raw is not None
        return moves

    def _look(self, session: Session, act: Act, next_nonce: int, acts: list[Act]) -> Move | None:
        seen = (act.state, act.nonce)
        judgement, found = self._judge(session, act)
        if judgement == DONE:
            return Move(act.id, seen, {**found, "state": "effective"})
        if judgement == WAIT:
            return None
        if judgement != SEND:
            return Move(act.id, seen, {"problem": judgement, "state": "alarm"})
        if act.state == "sent":
            return self._again(session, act, seen)
        if act.contract == "CheckpointAnchor" and not _is_next_anchor(act, acts):
            return None
        data = self.chain.encode(act.contract, act.function, *self._filled(session, act))
        to = self.deployment.contracts[act.contract]
        gas = GAS.get(act.function, GAS_DEFAULT)
        raw, transaction = self.sign(data, to, next_nonce, gas)
        changes = {
            "nonce": next_nonce, "raw": raw.hex(), "state": "sent", "transaction": transaction,
        }  # fmt: skip
        return Move(act.id, seen, changes, raw)

    def _again(self, session: Session, act: Act, seen: tuple[str, int | None]) -> Move:
        """A sent act that the contract does not show: it may still land, or is judged anew."""
        assert act.transaction is not None
        assert act.nonce is not None
        assert act.raw is not None
        anew = {
            "attempts": act.attempts + 1, "nonce": None, "raw": None, "state": "waiting",
            "transaction": None,
        }  # fmt: skip
        receipt = self.chain.receipt(act.transaction)
        if receipt is not None and receipt["status"] == 0:
            why = self._why(session, act)
            if why is None and act.attempts < ATTEMPTS_MAX:
                return Move(act.id, seen, anew)  # the cause has passed: another anchor came first
            problem = f"the contract refused it ({why or 'repeatedly'}): mend the cause, then retry"
            return Move(act.id, seen, {"problem": problem, "state": "alarm"})
        if receipt is None and self.chain.nonce(self.address, pending=False) > act.nonce:
            return Move(act.id, seen, anew)  # another transaction took the nonce: ours cannot land
        return Move(act.id, seen, {}, bytes.fromhex(act.raw))

    def _why(self, session: Session, act: Act) -> str | None:
        """Why the contract would refuse the act now; None when it would not."""
        try:
            self.chain.simulate(
                sender=self.address,
                to=self.deployment.contracts[act.contract],
                data=self.chain.encode(act.contract, act.function, *self._filled(session, act)),
            )
        except LedgerError as error:
            return error.sentence
        return None

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

    def _judge(self, session: Session, act: Act) -> tuple[str, dict[str, Any]]:
        """Whether the act is done (then where), is to be sent, has to wait, or what is wrong."""
        if act.contract == "CheckpointAnchor":
            return self._judge_anchor(session, act)
        address = self.deployment.contracts[act.contract]
        where: list[Any] = [bytes.fromhex(act.key)]
        if act.contract == "CirculationRegistry":
            where.append(act.arguments[1])
        version = self.chain.call(act.contract, address, "get", *where)[VERSION_AT[act.contract]]
        if version == act.expected_version:
            return SEND, {}
        if version < act.expected_version:
            return WAIT, {}
        found = self._event_of(session, act, address)
        if found is None:
            due = act.expected_version + 1
            return (
                f"the chain stands at version {version}, our act would have made it {due}, and that "
                "step is not ours: find out who took it",
                {},
            )
        return DONE, found

    def _event_of(self, session: Session, act: Act, address: str) -> dict[str, Any] | None:
        name, subject = "Changed", "id"
        if act.contract == "CirculationRegistry":
            name, subject = ("Granted" if act.function == "grant" else "Revoked"), "voucher"
        reason = self.resolver.reason(session, act.subject_id, act.subject_version)
        filters: dict[str, Any] = {subject: bytes.fromhex(act.key), "reason": reason}
        for event in self.chain.events(
            act.contract, address, name, self.deployment.block, **filters
        ):
            if event["args"]["version"] == act.expected_version + 1:
                return _place(event)
        return None

    def _judge_anchor(self, session: Session, act: Act) -> tuple[str, dict[str, Any]]:
        address = self.deployment.contracts[act.contract]
        size, root = int(act.arguments[0]), bytes.fromhex(act.key)
        held = self.chain.call(act.contract, address, "rootOf", size)
        if held == root:
            events = self.chain.events(
                act.contract, address, "Anchored", self.deployment.block, size=size
            )
            return (DONE, _place(events[0])) if events else (WAIT, {})
        if any(held):
            return FORK.format(size=size), {}
        latest_size, latest_root = self.chain.call(act.contract, address, "latest")
        if latest_size and self.resolver.root(session, latest_size) != latest_root:
            return FORK.format(size=latest_size), {}
        if latest_size < size:
            return SEND, {}
        return DONE, {"problem": "superseded"}  # a later checkpoint of the same history is anchored


def apply(session: Session, moves: Sequence[Move], now: datetime) -> list[bytes]:
    """Store the moves; returns what to send after the commit. An act changed meanwhile is left alone."""
    to_send = []
    for move in moves:
        act = session.scalars(
            select(Act).where(Act.id == move.act_id).with_for_update(skip_locked=True)
        ).first()
        if act is None or (act.state, act.nonce) != move.seen:
            continue
        for name, value in move.changes.items():
            setattr(act, name, value)
        if act.state == "effective":
            act.resolved_at = now
        if move.raw is not None:
            to_send.append(move.raw)
    return to_send


def retry(session: Session) -> int:
    """Put every alarm back among the waiting, after a person mended the cause; returns how many."""
    found = alarms(session)
    for act in found:
        act.state, act.problem, act.attempts = "waiting", None, 0
        act.nonce = act.raw = act.transaction = None
    return len(found)


def drop(act: Act) -> None:
    """Give up an act that is an alarm: it never took effect and never will."""
    if act.state != "alarm":
        raise Conflict(
            "Only an act in alarm can be given up, not one that is {state}.", state=act.state
        )
    act.state = "dropped"


def _is_next_anchor(act: Act, acts: list[Act]) -> bool:
    """Only the newest checkpoint is anchored, and one at a time: each proof begins at the last anchor."""
    anchors = [other for other in acts if other.contract == "CheckpointAnchor"]
    return act is anchors[-1] and all(other.state == "waiting" for other in anchors)


def _place(event: Mapping[str, Any]) -> dict[str, Any]:
    return {"block": int(event["block_number"]), "transaction": str(event["transaction_hash"])}
