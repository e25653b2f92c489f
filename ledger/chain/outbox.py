"""What must happen on chain: each act waits here from the transaction that caused it until it is effective.

    waiting → sent → effective          alarm: a person must look, then retry or drop it

An act names the subject's record whose digest is its `reason` on chain, so the contract's event
(subject, version, reason) identifies it for ever. Whether it still has to be sent is judged by the
contract's own version, never by our memory: at v-1 send; beyond, done if our event exists, else
alarm; before, wait. So the same act never takes effect twice, whatever was killed in between.

An effective act is *confirmed* once so many blocks stand on its own that no re-organisation undoes it.
Until then each round sees whether its block is still there; if not, the same bytes are sent again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, and_, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.chain.gateway import Fees, Gateway, fees_of
from ledger.errors import Conflict, LedgerError, fill
from ledger.proof.merkle import verify_consistency
from ledger.store import Base, hold, new_id

REASON = "$reason"
AWAITED = (
    "await"  # an act done by another one's transaction: it sends nothing, only waits for its event
)
PROOF = "$proof"
GAS = {"issue": 300_000, "anchor": 500_000, "supersede": 1_000_000}
GAS_DEFAULT = 400_000
BATCH = 50
ADDRESS_CHARS = 42
# Where `version` stands in the struct that each contract's `get` returns; a test compares the ABI.
VERSION_AT = {"VoucherRegistry": 2, "RevenueBook": 1, "CirculationRegistry": 4}
ATTEMPTS_MAX = 5
DONE, SEND, WAIT = "done", "send", "wait"  # judgements; any other is an alarm's template
OPEN = ("waiting", "sent")
SUPERSEDED = "superseded"  # a later checkpoint of the same history is anchored
FORK = "FORK: the contract holds another root for size {size} than ours; stop and investigate"
BEHIND = (
    "FORK: the contract holds {held} records, this database {ours}: it was put back to an older "
    "state; restore the newest copy, do not seal"
)
NOT_OURS = (
    "the chain stands at version {version}, our act would have made it {due}, and that step is not "
    "ours: find out who took it"
)
REFUSED = "the contract refused it ({why}): mend the cause, then retry"
UNDONE = "a re-organisation undid it, deeper than the {depth} blocks that were taken as final"
# What a node says when it does not take a transaction (`gateway.REFUSALS`), and what helps.
ADVICE = {
    "insufficient_funds": "the account {address} cannot pay for gas ({cause}): fund it, then retry",
    "not_allowed": "the node does not take transactions of {address} ({cause}): let its operator "
    "allow that address, then retry",
    "wrong_chain": "the node says that it is another chain ({cause}): let CHAIN_RPC_URL name a node "
    "of this chain, then retry",
    "gas": "the node does not take so much gas ({cause}): raise the chain's limit, then retry",
    "underpriced": "the node asks a higher price than we offer, five times raised ({cause}): wait "
    "until the price falls, then retry",
    "other": "the node refuses the transaction of {address} ({cause}): mend the cause, then retry",
}


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
    block_hash: Mapped[str | None]
    refusal: Mapped[str | None]
    problem: Mapped[dict[str, Any] | None]
    confirmed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]


IS_UNSETTLED = and_(Act.state == "effective", Act.confirmed_at.is_(None))
IS_OPEN = or_(Act.state.in_(OPEN), IS_UNSETTLED)
NOWHERE = {"block": None, "block_hash": None, "resolved_at": None}


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


def reason_of(subject_id: str, subject_version: int) -> str:
    """The argument that stands for the digest of another subject's record."""
    return f"{REASON}:{subject_id}:{subject_version}"


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
    """Raise Conflict while any act of the subject is not effective for good; returns the last act."""
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
        if act.confirmed_at is None:
            raise Conflict(
                "{what} is effective on chain since block {block}, which is not final yet "
                "({function}): ask again when more blocks have followed.",
                what=what,
                function=act.function,
                block=act.block,
            )
    return acts[-1] if acts else None


def open_count(session: Session) -> int:
    """How many acts are neither confirmed nor alarms nor given up."""
    return session.scalar(select(func.count()).select_from(Act).where(IS_OPEN)) or 0


def told(problem: Mapping[str, Any] | None, translate: Callable[[str], str] = str) -> str | None:
    """What is wrong with an act, as a sentence."""
    return fill(translate(problem["template"]), dict(problem["facts"])) if problem else None


def alarms(session: Session) -> list[Act]:
    """The acts that a person must look at."""
    return list(session.scalars(select(Act).where(Act.state == "alarm").order_by(Act.id)))


@dataclass(frozen=True)
class Resolver:
    """What an act needs to know at the moment it is sent, asked of the log.

    `reason(session, subject_id, subject_version)` is the 32-byte digest of a record;
    `proof(session, old_size, new_size)` is a consistency proof; `root(session, size)` our own root;
    `size(session)` how many records we have.
    """

    reason: Callable[[Session, str, int], bytes]
    proof: Callable[[Session, int, int], list[bytes]]
    root: Callable[[Session, int], bytes]
    size: Callable[[Session], int]


@dataclass(frozen=True)
class Move:
    """What one look at the chain means for an act: how it was seen, what changes, what to send."""

    act_id: str
    seen: tuple[str, int | None, str | None]
    changes: Mapping[str, Any]
    raw: bytes | None = None


@dataclass
class View:
    """What one round knows of the lane: its account's nonces, those our own acts hold, the price."""

    mined: int
    pending: int
    held: set[int]
    fees: Fees

    def free(self) -> int:
        """The first nonce that nobody has; an act beyond it is signed anew."""
        nonce = self.pending
        while nonce in self.held:
            nonce += 1
        return nonce


class Sender:
    """One lane's work against one chain; it keeps nothing in memory between calls.

    `sign(data, to, nonce, gas, fees)` gives the raw transaction and its hash, signed by the lane's key.
    `depth` is how many blocks on top of an act's own make it final; 0 where each block is.
    """

    def __init__(
        self,
        chain: Gateway,
        deployment: Deployment,
        address: str,
        resolver: Resolver,
        sign: Callable[[bytes, str, int, int, Fees], tuple[bytes, str]],
    ) -> None:
        self.chain, self.deployment, self.address = chain, deployment, address
        self.resolver, self.sign = resolver, sign

    def plan(self, session: Session, lane: str, depth: int) -> list[Move]:
        """Look at the chain and say what each open act of the lane needs; writes nothing.

        The chain may be slow: nobody waits for a lock meanwhile. `apply` stores the moves, and only
        after that commit are the bytes sent, so that a crash in between sends the same bytes again.
        """
        moves = self._undone(session, lane, depth) if depth else []
        oldest = select(Act).where(Act.lane == lane).order_by(Act.id).limit(BATCH)
        unsettled = session.scalars(oldest.where(IS_UNSETTLED)).all()
        if unsettled:
            moves += self._settled(session, unsettled, depth)
        unsent = session.scalars(oldest.where(Act.state.in_(OPEN))).all()
        if not unsent:
            return moves
        view = View(
            self.chain.nonce(self.address),
            self.chain.nonce(self.address, pending=True),
            {act.nonce for act in unsent if act.nonce is not None},
            self.chain.fees(),
        )
        for act in unsent:
            move = self._look(session, act, view, unsent, depth)
            moves += [] if move is None else [move]
        return moves

    def _undone(self, session: Session, lane: str, depth: int) -> list[Move]:
        """The final acts whose block is gone all the same: they are judged anew, and told."""
        final = (
            select(Act)
            .where(Act.lane == lane, Act.confirmed_at.is_not(None), Act.block_hash.is_not(None))
            .order_by(Act.block.desc())
        )
        moves = []
        for act in session.scalars(final.execution_options(yield_per=20)):
            assert act.block is not None
            if self.chain.block_hash(act.block) == act.block_hash:
                break
            problem = problem_of(UNDONE, depth=depth)
            moves.append(Move(act.id, _seen(act), {"confirmed_at": None, "problem": problem}))
        return moves

    def _settled(self, session: Session, acts: Sequence[Act], depth: int) -> list[Move]:
        """The effective acts that were not final: some are now, and of some the block is gone."""
        if not depth:
            return [Move(act.id, _seen(act), {"confirmed": True}) for act in acts]
        head = self.chain.block_number()
        hashes = {act.block: self.chain.block_hash(act.block) for act in acts if act.block}
        moves = []
        for act in acts:
            changes: dict[str, Any] = {}
            if act.block is None or hashes[act.block] == act.block_hash:
                changes = {"confirmed": True}
                if act.block is not None and head - act.block < depth:
                    continue
            else:
                judgement, changes = self._judge(session, act)
                if judgement != DONE:
                    state = "waiting" if act.raw is None else "sent"
                    changes = {**NOWHERE, "state": state}
            moves.append(Move(act.id, _seen(act), changes))
        return moves

    def _look(
        self, session: Session, act: Act, view: View, acts: Sequence[Act], depth: int
    ) -> Move | None:
        judgement, found = self._judge(session, act)
        if judgement == DONE:
            final = not depth or found.get("block") is None
            kept = act.problem if act.problem and act.problem["template"] == UNDONE else None
            done = {"problem": kept, "refusal": None, "state": "effective", "confirmed": final}
            return Move(act.id, _seen(act), {**done, **found})
        if judgement == WAIT:
            return None
        if judgement == SEND and act.function == AWAITED:
            return None
        if judgement != SEND:
            # A node behind a load balancer may know the version before it knows the event.
            if act.attempts < ATTEMPTS_MAX:
                return Move(act.id, _seen(act), {"attempts": act.attempts + 1})
            return _alarm(act, judgement, **found)
        if act.state == "sent":
            return self._again(session, act, view)
        if act.contract == "CheckpointAnchor" and not _is_next_anchor(act, acts):
            return None
        nonce = view.free()
        view.held.add(nonce)
        return self._signed(session, act, nonce, view.fees)

    def _signed(self, session: Session, act: Act, nonce: int, fees: Fees) -> Move:
        data = self.chain.encode(act.contract, act.function, *self._filled(session, act))
        to = self.deployment.contracts[act.contract]
        gas = GAS.get(act.function, GAS_DEFAULT)
        raw, transaction = self.sign(data, to, nonce, gas, fees)
        changes = {
            "nonce": nonce, "raw": raw.hex(), "refusal": None, "state": "sent",
            "transaction": transaction,
        }  # fmt: skip
        return Move(act.id, _seen(act), changes, raw)

    def _again(self, session: Session, act: Act, view: View) -> Move:
        """A sent act that the contract does not show: it may still land, or is judged anew."""
        assert act.transaction is not None
        assert act.nonce is not None
        assert act.raw is not None
        anew = {
            "nonce": None, "raw": None, "refusal": None, "state": "waiting",
            "transaction": None,
        }  # fmt: skip
        receipt = self.chain.receipt(act.transaction)
        if receipt is not None and receipt["status"] == 0:
            why = self._why(session, act)
            if why is None and act.attempts < ATTEMPTS_MAX:
                # The cause has passed: another anchor came first.
                return Move(act.id, _seen(act), {**anew, "attempts": act.attempts + 1})
            return _alarm(act, REFUSED, why=why or "repeatedly")
        if receipt is None and view.mined > act.nonce:
            return Move(act.id, _seen(act), anew)  # another took the nonce: ours cannot land
        if any(nonce not in view.held for nonce in range(view.pending, act.nonce)):
            return Move(act.id, _seen(act), anew)  # nobody will fill the gap before it
        if act.refusal in ADVICE and act.attempts >= ATTEMPTS_MAX:
            cause = (act.problem or {"facts": {}})["facts"].get("cause", "")
            return _alarm(act, ADVICE[act.refusal], address=self.address, cause=cause)
        if receipt is None:
            offered = fees_of(bytes.fromhex(act.raw))
            dearer = view.fees.max_fee > offered.max_fee + offered.max_fee // 4
            if dearer or act.refusal == "underpriced":
                return self._signed(session, act, act.nonce, _raised(view.fees, offered))
        return Move(act.id, _seen(act), {}, bytes.fromhex(act.raw))

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
        if isinstance(argument, str) and argument.startswith(REASON + ":"):
            _, subject_id, version = argument.split(":")
            return self.resolver.reason(session, subject_id, int(version))
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
            return NOT_OURS, {"due": act.expected_version + 1, "version": version}
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
        # In this order: if a later one is held, then ours is there by now or never will be.
        latest_size, latest_root = self.chain.call(act.contract, address, "latest")
        held = self.chain.call(act.contract, address, "rootOf", size)
        if held == root:
            events = self.chain.events(
                act.contract, address, "Anchored", self.deployment.block, size=size
            )
            return (DONE, _place(events[0])) if events else (WAIT, {})
        if any(held):
            return FORK, {"size": size}
        ours = self.resolver.size(session)
        if latest_size > ours:
            return BEHIND, {"held": latest_size, "ours": ours}
        if latest_size and self.resolver.root(session, latest_size) != latest_root:
            return FORK, {"size": latest_size}
        if latest_size > size:
            return DONE, {"problem": problem_of(SUPERSEDED)}
        return (SEND if latest_size < size else WAIT), {}


def apply(
    session: Session, lane: str, moves: Sequence[Move], now: datetime
) -> tuple[list[Act], list[tuple[str, bytes]]]:
    """Store the moves: the acts that changed, and what to send after the commit, by act.

    An act that another worker has moved meanwhile is left alone, and a nonce that it has given is not
    given twice.
    """
    hold(session, f"lane {lane}")
    held = set(session.scalars(select(Act.nonce).where(Act.lane == lane, Act.state == "sent")))
    changed, to_send = [], []
    for move in moves:
        act = session.scalars(select(Act).where(Act.id == move.act_id).with_for_update()).one()
        nonce = move.changes.get("nonce")
        if _seen(act) != move.seen or (nonce != act.nonce and nonce in held - {None}):
            continue
        for name, value in move.changes.items():
            if name != "confirmed":
                setattr(act, name, value)
        held.add(act.nonce)
        if act.state == "effective":
            act.resolved_at = act.resolved_at or now
            if move.changes.get("confirmed"):
                act.confirmed_at = now
        if move.changes:
            changed.append(act)
        if move.raw is not None:
            to_send.append((act.id, move.raw))
    return changed, to_send


def note_refusals(session: Session, refusals: Iterable[tuple[str, Conflict]]) -> None:
    """Note which acts' transactions the node did not take, and why; the next round sees what helps."""
    for act_id, error in refusals:
        act = session.get_one(Act, act_id)
        if act.state == "sent":
            act.attempts, act.refusal = act.attempts + 1, str(error.facts["reason"])
            act.problem = problem_of(error.template, **error.facts)


def retry(session: Session) -> int:
    """Put every alarm back among the waiting, after a person mended the cause; returns how many."""
    held = select(Act).where(Act.state == "alarm").order_by(Act.id).with_for_update()
    found = session.scalars(held).all()  # one that is given up at this moment is none of them
    for act in found:
        act.state, act.problem, act.attempts = "waiting", None, 0
        act.nonce = act.raw = act.transaction = act.refusal = None
    return len(found)


def drop(act: Act) -> None:
    """Give up an act that is an alarm: it never took effect and never will."""
    if act.state != "alarm":
        raise Conflict(
            "Only an act in alarm can be given up, not one that is {state}.", state=act.state
        )
    act.state = "dropped"


def _seen(act: Act) -> tuple[str, int | None, str | None]:
    """How far an act was, as one worker saw it."""
    return act.state, act.nonce, act.transaction


def problem_of(template: str, **facts: Any) -> dict[str, Any]:
    """What is wrong, so that it can be told in either language."""
    plain = {
        name: value if isinstance(value, int | str) else str(value) for name, value in facts.items()
    }
    return {"facts": plain, "template": template}


def _alarm(act: Act, template: str, **facts: Any) -> Move:
    changes = {"problem": problem_of(template, **facts), "state": "alarm"}
    return Move(act.id, _seen(act), changes)


def _raised(fees: Fees, offered: Fees) -> Fees:
    """An offer that a node takes in place of an earlier one: an eighth above it at least."""
    tip = max(fees.max_priority_fee, offered.max_priority_fee * 9 // 8 + 1)
    return Fees(max(fees.max_fee, offered.max_fee * 9 // 8 + 1, tip), tip, fees.is_legacy)


def _is_next_anchor(act: Act, acts: Sequence[Act]) -> bool:
    """Only the newest checkpoint is anchored, and one at a time: each proof begins at the last anchor."""
    anchors = [other for other in acts if other.contract == "CheckpointAnchor"]
    return act is anchors[-1] and all(other.state == "waiting" for other in anchors)


def _place(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "block": int(event["block_number"]), "block_hash": str(event["block_hash"]),
        "transaction": str(event["transaction_hash"]),
    }  # fmt: skip
