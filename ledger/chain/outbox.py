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
from typing import Any, Protocol

from sqlalchemy import Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.errors import ChainReverted, ChainUnavailable, Conflict
from ledger.store import Base, new_id

REASON = "$reason"
PROOF = "$proof"
GAS = {"issue": 300_000, "anchor": 500_000, "supersede": 1_000_000}
GAS_DEFAULT = 400_000
BATCH = 50


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


class Chain(Protocol):
    """What the outbox asks of a gateway (`ledger.chain.gateway.Gateway`)."""

    def call(self, name: str, address: str, function: str, *args: Any) -> Any: ...
    def encode(self, name: str, function: str, *args: Any) -> bytes: ...
    def nonce(self, address: str, pending: bool = ...) -> int: ...
    def send_raw(self, raw: bytes) -> str: ...
    def receipt(self, transaction: str) -> Mapping[str, Any] | None: ...


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


class Sender:
    """One lane's work against one chain; stateless between calls.

    `resolve(act)` gives the arguments with `$reason` and `$proof` filled in, or None while they
    cannot be known. `sign(data, to, nonce, gas)` gives the raw transaction and its hash.
    """

    def __init__(
        self,
        chain: Any,
        deployment: Deployment,
        address: str,
        resolve: Callable[[Session, Act], list[Any]],
        sign: Callable[[bytes, str, int, int], tuple[bytes, str]],
    ) -> None:
        self.chain, self.deployment, self.address = chain, deployment, address
        self.resolve, self.sign = resolve, sign

    def open_acts(self, session: Session, lane: str) -> list[Act]:
        """The lane's unresolved acts, oldest first, locked for this worker."""
        return list(
            session.scalars(
                select(Act)
                .where(Act.lane == lane, Act.state.in_(("waiting", "sent")))
                .order_by(Act.id)
                .limit(BATCH)
                .with_for_update(skip_locked=True)
            )
        )

    def prepare(self, session: Session, lane: str, now: datetime) -> list[bytes]:
        """Judge the lane's open acts and sign what has to be sent; returns the raw transactions.

        The signed transactions are stored first and sent after the commit, so that a crash in
        between sends the same bytes again.
        """
        to_send: list[bytes] = []
        next_nonce = self.chain.nonce(self.address, pending=True)
        acts = self.open_acts(session, lane)
        in_flight = [act.nonce for act in acts if act.state == "sent" and act.nonce is not None]
        next_nonce = max([next_nonce, *(nonce + 1 for nonce in in_flight)])
        for act in acts:
            judgement = self._judge(session, act)
            if judgement == "done":
                act.state, act.resolved_at = "effective", now
            elif judgement == "send":
                if act.state == "sent" and act.raw is not None and self._may_still_land(act):
                    to_send.append(bytes.fromhex(act.raw))
                    continue
                if act.problem is None and act.state == "waiting":
                    act.nonce, next_nonce = next_nonce, next_nonce + 1
                    arguments = self.resolve(session, act)
                    data = self.chain.encode(act.contract, act.function, *arguments)
                    gas = GAS.get(act.function, GAS_DEFAULT)
                    raw, act.transaction = self.sign(
                        data, self.deployment.contracts[act.contract], act.nonce, gas
                    )
                    act.raw, act.state = raw.hex(), "sent"
                    to_send.append(raw)
            elif judgement.startswith("alarm"):
                act.state, act.problem = "alarm", judgement
        return to_send

    def _may_still_land(self, act: Act) -> bool:
        """Whether the transaction may still be mined; a reverted or overtaken one is judged anew."""
        assert act.transaction is not None and act.nonce is not None
        receipt = self.chain.receipt(act.transaction)
        if receipt is not None:
            # Mined, yet the contract does not show it: it reverted. Ask the contract why.
            act.state, act.problem = "alarm", f"reverted: {self._why(act)}"
            return False
        if self.chain.nonce(self.address, pending=False) > act.nonce:
            act.state, act.raw, act.transaction, act.nonce = "waiting", None, None, None
            return False
        return True

    def _why(self, act: Act) -> str:
        assert act.raw is not None
        try:
            self.chain.explain(bytes.fromhex(act.raw), self.address)
        except ChainReverted as error:
            return f"{error.facts.get('name')} {error.facts.get('args')}"
        except ChainUnavailable as error:
            return error.sentence
        return "no reason found"

    def _judge(self, session: Session, act: Act) -> str:
        if act.contract == "CheckpointAnchor":
            return self._judge_anchor(session, act)
        address = self.deployment.contracts[act.contract]
        key = bytes.fromhex(act.key)
        if act.contract == "CirculationRegistry":
            version = self.chain.call(act.contract, address, "get", key, act.arguments[1])["version"]
        else:
            version = self.chain.call(act.contract, address, "get", key)["version"]
        if version == act.expected_version:
            return "send"
        if version < act.expected_version:
            return "wait"
        found = self._event(session, act, address, key)
        if found is None:
            return (
                f"alarm: the chain stands at version {version}, ours would be "
                f"{act.expected_version + 1}, and its event is not ours; find out who sent it"
            )
        act.block, act.transaction = found
        return "done"

    def _event(
        self, session: Session, act: Act, address: str, key: bytes
    ) -> tuple[int, str] | None:
        reason = self.reason_of(session, act)
        subject = "id"
        name = "Changed"
        if act.contract == "CirculationRegistry":
            subject, name = "voucher", "Granted" if act.function == "grant" else "Revoked"
        events = self.chain.events(
            act.contract, address, name, self.deployment.block, **{subject: key, "reason": reason}
        )
        for event in events:
            if event["args"]["version"] == act.expected_version + 1:
                return int(event["block"]), str(event["transaction"])
        return None

    def reason_of(self, session: Session, act: Act) -> bytes:
        """The digest of the act's record, as it stands in the contract's event."""
        return bytes(self.resolve(session, Act(**{**_columns(act), "arguments": [REASON]}))[0])

    def _judge_anchor(self, session: Session, act: Act) -> str:
        address = self.deployment.contracts[act.contract]
        size, root = act.arguments[0], bytes.fromhex(act.key)
        held = self.chain.call(act.contract, address, "rootOf", size)
        latest_size, _ = self.chain.call(act.contract, address, "latest")
        if held == root:
            events = self.chain.events(
                act.contract, address, "Anchored", self.deployment.block, size=size
            )
            if not events:
                return "wait"
            act.block, act.transaction = int(events[0]["block"]), str(events[0]["transaction"])
            return "done"
        if any(held):
            return f"alarm: FORK, the contract holds another root for size {size}"
        if latest_size > size:
            act.problem = "superseded"
            return "done"
        return "send"


def _columns(act: Act) -> dict[str, Any]:
    return {column.key: getattr(act, column.key) for column in Act.__table__.columns}
