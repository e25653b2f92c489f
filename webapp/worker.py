"""The worker: seals what was recorded, anchors what was sealed, carries acts to the chain.

Each round reads the state anew, so any number of workers may run, and one that was killed is followed
by the next. Signed transactions are committed before they are sent.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import log, revenue, settings, uses, vouchers
from ledger.chain import keys, outbox
from ledger.chain.gateway import Fees, Gateway
from ledger.errors import ChainUnavailable, Conflict, LedgerError
from ledger.proof.encoding import digest_bytes
from ledger.statements import Statement
from webapp import cosigning, following, indexing, timers
from webapp.home import STATUS_DAYS, Home, clock

LANES = keys.CHAIN_ROLES
SYSTEM = "system"
DRAIN_LIMIT_S = 180.0
POLL_S = 0.2

logger = structlog.get_logger()


class Worker:
    """The work of one home on one chain."""

    def __init__(self, home: Home, keyring: keys.Keyring, gateway: Gateway) -> None:
        self.home, self.gateway = home, gateway
        self.log_key = keyring.signer("log")
        self.credential_key = keyring.signer("credential")
        deployment = home.config.deployment
        resolver = outbox.Resolver(_reason, log.consistency, log.root_at, log.size)
        self.senders = {
            lane: outbox.Sender(
                gateway, deployment, home.address(lane), resolver,
                _signer(gateway, keyring.account(lane), deployment.chain_id),
            )
            for lane in LANES
        }  # fmt: skip

    def seal(self, now: datetime) -> bool:
        """Seal what was recorded since, and note that it is to be anchored; whether there was any."""
        with self.home.deed(now) as session:
            checkpoint = log.seal(session, now, self.log_key)
            if checkpoint is None:
                return False
            act = outbox.enqueue_anchor(
                session, now, checkpoint.tree_size, bytes.fromhex(checkpoint.root)
            )
            return act is not None

    def publish_status(self, now: datetime, *, force: bool = False) -> bool:
        """Publish the status list when its half-life is over or a voucher changed since."""
        with self.home.deed(now) as session:
            current = vouchers.current_status(session)
            if not force and current is not None and not _stale(session, current, now):
                return False
            if current is None and session.scalar(select(vouchers.Voucher.id).limit(1)) is None:
                return False
            vouchers.publish_status(
                session, now, now + timedelta(days=STATUS_DAYS), origin=self.home.config.origin,
                key=self.credential_key, actor_id=SYSTEM,
            )  # fmt: skip
        return True

    def carry(self, now: datetime) -> bool:
        """Judge, sign and send the open acts of all lanes; whether any moved."""
        busy = False
        for lane, sender in self.senders.items():
            with self.home.reading() as session:
                moves = sender.plan(session, lane, self.depth(session))
            if not moves:
                continue
            with self.home.deed(now) as session:
                changed, to_send = outbox.apply(session, lane, moves, now)
                for act in changed:
                    _note_anchor(session, act)
            self._send(to_send, now)
            busy = busy or bool(changed)
        return busy

    def post_uses(self, now: datetime) -> bool:
        """Sum up the uses counted since the last round, voucher by voucher; whether there were any."""
        with self.home.reading() as session:
            if not uses.any_unposted(session):
                return False
        with self.home.deed(now) as session:
            return uses.post(session, now, self.home.config.origin, SYSTEM) > 0

    def depth(self, session: Session) -> int:
        """How many blocks on top make one final; on the embedded chain every block is."""
        if self.home.config.embedded:
            return 0
        return int(settings.value(session, "confirmations"))

    def _send(self, to_send: list[tuple[str, bytes]], now: datetime) -> None:
        refusals = []
        for act_id, raw in to_send:
            try:
                self.gateway.send_raw(raw)
            except Conflict as error:
                # The next round judges by the contract's state what became of it.
                logger.warning("refused", act=act_id, cause=error.sentence)
                refusals.append((act_id, error))
        if refusals:
            with self.home.deed(now) as session:
                outbox.note_refusals(session, refusals)

    def drain(self, now: Callable[[], datetime] = clock, limit_s: float = DRAIN_LIMIT_S) -> None:
        """Work until everything recorded is anchored and every act is confirmed or an alarm."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            busy = self.post_uses(now())
            busy = self.carry(now()) or busy
            busy = book_statements(self.home, now()) or busy
            busy = self.publish_status(now()) or busy
            busy = self.seal(now()) or busy
            cosigning.begin(self.home, now)
            indexing.catch_up(self.home, now)
            with self.home.reading() as session:
                open_count = outbox.open_count(session)
            if not busy and open_count == 0:
                return
            if not busy:
                time.sleep(POLL_S)
        raise ChainUnavailable(
            "{count} acts are still not final after {limit} s: is the node making blocks?",
            count=open_count,
            limit=limit_s,
        )

    def run(self, stop: threading.Event, pause_s: float = 2) -> None:
        """Work until `stop`; a chain that is not there is waited for."""
        while not stop.is_set():
            self.round()
            stop.wait(pause_s)

    def round(self) -> None:
        """Each step once; what goes wrong in one does not keep the others from theirs."""
        steps: tuple[Callable[[], object], ...] = (
            lambda: self.post_uses(clock()),
            lambda: self.carry(clock()),
            lambda: book_statements(self.home, clock()),
            lambda: self.publish_status(clock()),
            lambda: self.seal(clock()),
            lambda: cosigning.begin(self.home),
            lambda: following.begin(self.home),
            lambda: indexing.catch_up(self.home),
            lambda: timers.ring_in_time(self.home, clock()),
        )
        for step in steps:
            try:
                step()
            except (
                LedgerError
            ) as error:  # a node or database away, another worker faster: next round
                logger.warning("waiting", cause=error.sentence)
            except Exception:
                logger.exception("step")


def book_statements(home: Home, now: datetime) -> bool:
    """Book what the checkers approved, statement by statement; whether any was.

    One that cannot be booked stays approved; why is noted at its approval's act, where its page tells it.
    """
    with home.reading() as session:
        due = revenue.effective(session)
    booked = False
    for statement, act in due:
        try:
            with home.deed(now) as session:
                revenue.post(session, now, SYSTEM, session.get_one(Statement, statement.id))
            booked = True
        except LedgerError as error:
            _note_unbooked(home, now, statement, act, error)
        except Exception:
            logger.exception("not booked", statement=statement.number)
            fault = Conflict("It is not booked, by a fault of the program: see the worker's log.")
            _note_unbooked(home, now, statement, act, fault)
    return booked


def _note_unbooked(
    home: Home, now: datetime, statement: Statement, act: outbox.Act, error: LedgerError
) -> None:
    problem = outbox.problem_of(error.template, **error.facts)
    if act.problem == problem:
        return
    logger.warning("not booked", statement=statement.number, cause=error.sentence)
    with home.deed(now) as session:
        if session.get_one(Statement, statement.id).state == "approved":  # no other worker's by now
            session.get_one(outbox.Act, act.id).problem = problem


def _reason(session: Session, subject_id: str, subject_version: int) -> bytes:
    return digest_bytes(log.record_of(session, subject_id, subject_version).digest)


def _signer(
    gateway: Gateway, private_key: bytes, chain_id: int
) -> Callable[[bytes, str, int, int, Fees], tuple[bytes, str]]:
    def sign(data: bytes, to: str, nonce: int, gas: int, fees: Fees) -> tuple[bytes, str]:
        return gateway.sign(
            private_key, to=to, data=data, nonce=nonce, gas=gas, chain_id=chain_id, fees=fees
        )

    return sign


def _note_anchor(session: Session, act: outbox.Act) -> None:
    """Note at a checkpoint how its anchoring stands; a superseded one stays merely sealed."""
    if act.contract == "CheckpointAnchor":
        effective = act.state == "effective" and act.block is not None
        log.note_anchor(
            session, int(act.arguments[0]), act.transaction if effective else None,
            act.block if effective else None, act.confirmed_at if effective else None,
        )  # fmt: skip


def _stale(session: Session, current: vouchers.StatusList, now: datetime) -> bool:
    if now > current.published_at + (current.next_at - current.published_at) / 2:
        return True
    published = log.record_of(session, current.id, current.version)
    return (
        session.scalar(
            select(log.Record.leaf_index)
            .where(
                log.Record.subject_type == "voucher",
                log.Record.kind != "voucher.used",  # no list tells how often one was used
                log.Record.leaf_index > published.leaf_index,
            )
            .limit(1)
        )
        is not None
    )
