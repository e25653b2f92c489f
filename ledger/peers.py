"""Other registries (互认登记机构) whose vouchers are recognised here, each under its trust file.

A registrar proposes a trust file; another person admits it, who typed the end of the fingerprint that the
other registry told him out of band. A new trust file of the same registry (rotated keys) goes the same
way and takes the former one's place: each row is one trust file.

What follows from asking a registry is kept in `peer_visits`, once for all its vouchers: its newest status
list proves itself, and is no record. How long what was learnt counts: `Visit.counts_until`.
"""

import http.client
import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import asking, log
from ledger.errors import Conflict, Invalid, LedgerError, Missing, NotAllowed
from ledger.parties import Actor, may, require_other
from ledger.proof.chain_node import RPC_BYTES_MAX, Node
from ledger.proof.encoding import canonical, digest_text, parse
from ledger.proof.trust import Trust, parse_trust
from ledger.proof.voucher_steps import list_period
from ledger.states import move
from ledger.store import Base, Evidence, hold, new_id

TRUST_BYTES_MAX = 256 * 1024
FINGERPRINT_MIN = 8  # characters of the digest's end that the admitting person types
CHAIN_COUNTS = timedelta(hours=1)  # how long what the chain said is taken for how things are
EXAMPLE = "https://registry.example"
PAST = {"end": "ended", "reject": "rejected", "resume": "resumed", "suspend": "suspended"}
RELIED = ("admitted", "suspended")
EVERY = timedelta(minutes=1)  # how often a registry is asked; one that fails, less and less often
PAUSE_MAX = timedelta(minutes=30)


class Peer(Evidence):
    """Another registry by one of its trust files."""

    __tablename__ = "peers"
    subject_type = "peer"
    name: Mapped[str]
    origin: Mapped[str] = mapped_column(index=True)
    digest: Mapped[str]
    """of the trust file: what both registries compare"""
    trust: Mapped[dict[str, Any]]
    site: Mapped[str | None]
    """where its status list is asked for; none: it comes by file"""
    rpc: Mapped[str | None]
    """a node of its chain, if that can be asked"""
    state: Mapped[str]
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]

    @property
    def opened(self) -> Trust:
        return parse_trust(canonical(self.trust))


class Visit(Base):
    """What a registry, or its chain, said last (operational). `problem` is a template with its facts."""

    __tablename__ = "peer_visits"
    origin: Mapped[str] = mapped_column(primary_key=True)
    status_list: Mapped[dict[str, Any] | None]
    list_from: Mapped[datetime | None]
    list_until: Mapped[datetime | None]
    chain_at: Mapped[datetime | None]
    at: Mapped[datetime | None]
    failures: Mapped[int]
    problem: Mapped[dict[str, Any] | None]

    @property
    def as_of(self) -> datetime | None:
        """The time as of which the registry's word is known."""
        return max(filter(None, (self.list_from, self.chain_at)), default=None)

    @property
    def counts_until(self) -> datetime | None:
        """Until when what was learnt is taken for how things are; after it they are unknown."""
        asked = self.chain_at and self.chain_at + CHAIN_COUNTS
        return max(filter(None, (self.list_until, asked)), default=None)


class PeerNode(Node):
    """A node of another registry's chain: bounded in time as a whole, and no redirect is followed."""

    def __init__(self, url: str, timeout_s: float = asking.ANSWER_S) -> None:
        super().__init__(url, timeout_s)

    def post(self, body: bytes) -> bytes:
        """What the node sends back, within the whole time."""
        try:
            found = asking.ask("POST", self.url, body, "application/json",
                               limit_s=self.timeout_s, bytes_max=RPC_BYTES_MAX)  # fmt: skip
        except http.client.HTTPException:
            raise ValueError("this is no HTTP") from None
        if found.status != 200:
            raise ValueError(f"HTTP {found.status}")
        return found.body

    def ask(self, method: str, *params: Any) -> Any:
        try:
            return super().ask(method, *params)
        except json.JSONDecodeError:
            raise ValueError("the answer is no JSON") from None


# ---------------------------------------------------------------- which there are


def find(session: Session, key: str) -> Peer:
    """The registry with an id, or the newest trust file of an origin; raises Missing."""
    found = (
        session.get(Peer, key)
        or session.scalars(
            select(Peer).where(Peer.origin == key).order_by(Peer.id.desc()).limit(1)
        ).first()
    )
    if found is None:
        raise Missing("There is no registry {key}.", key=key)
    return found


def current(session: Session, origin: str) -> Peer | None:
    """The trust file of a registry that counts, also while it is suspended."""
    wanted = select(Peer).where(Peer.origin == origin, Peer.state.in_(RELIED))
    return session.scalars(wanted).first()


def admitted(session: Session, origin: str) -> Peer:
    """The registry of an origin that is relied on; raises Invalid for our own, Conflict for others."""
    if origin == session.get_one(log.Head, 1).origin:
        raise Invalid("This is our own voucher: only those of other registries are recognised.")
    found = current(session, origin)
    if found is None or found.state != "admitted":
        raise Conflict(
            "The registry {origin} is not admitted here: its trust file must be proposed and admitted "
            "first.",
            origin=origin[:200],
        )
    return found


def visit_of(session: Session, origin: str) -> Visit:
    """What is known of a registry by asking; nothing at first."""
    found = session.get(Visit, origin)
    if found is None:
        found = Visit(origin=origin, status_list=None, list_from=None, list_until=None,
                      chain_at=None, at=None, failures=0, problem=None)  # fmt: skip
    return found


def due(session: Session, now: datetime) -> list[str]:
    """The origins of the registries that can be asked and were not for a while."""
    found = []
    for peer in session.scalars(select(Peer).where(Peer.state == "admitted")):
        known = session.get(Visit, peer.origin)
        pause = EVERY if known is None else min(EVERY * 2 ** min(known.failures, 10), PAUSE_MAX)
        rests = known is not None and known.at is not None and known.at <= now < known.at + pause
        if (peer.site or peer.rpc) and not rests:
            found.append(peer.origin)
    return found


def note_visit(
    session: Session, now: datetime, origin: str, problem: LedgerError | None
) -> None:  # fmt: skip
    """Keep how asking a registry went."""
    known = visit_of(session, origin)
    session.add(known)
    known.at, known.failures = now, 0 if problem is None else known.failures + 1
    known.problem = None
    if problem is not None:
        known.problem = {"facts": problem.facts, "template": problem.template}
    session.flush()


# ---------------------------------------------------------------- it is proposed and admitted


def propose(session: Session, actor: Actor, now: datetime, *, name: str, data: bytes) -> Peer:
    """Put the trust file of another registry forward; the same again changes nothing."""
    may(actor, "peer.propose")
    if not name.strip():
        raise Invalid("The registry has a name: say it.")
    if len(data) > TRUST_BYTES_MAX:
        raise Invalid("The trust file is larger than {limit} bytes.", limit=TRUST_BYTES_MAX)
    trust, digest = parse_trust(data), digest_text(data)
    if trust.origin == session.get_one(log.Head, 1).origin:
        raise Invalid("This is our own trust file.")
    if not trust.issuer_keys or not trust.log_keys:
        raise Invalid("The trust file names no key of its registry.")
    hold(session, f"peer {trust.origin}")
    for other in session.scalars(
        select(Peer).where(Peer.origin == trust.origin, Peer.state.in_((*RELIED, "proposed")))
    ):
        if other.digest == digest and other.state == "proposed":
            return other
        if other.digest == digest or other.state == "proposed":
            raise Conflict(
                "The registry {origin} has a trust file that is {state} already.",
                origin=trust.origin, state=other.state,
            )  # fmt: skip
    made = Peer(
        id=new_id(), name=name.strip(), origin=trust.origin, digest=digest,
        trust=parse(data), site=None, rpc=None, state=move("peer", "propose", None),
        proposed_by=actor.member_id, proposed_at=now, decided_by=None, decided_at=None,
    )  # fmt: skip
    log.append(session, made, "peer.proposed", actor.member_id)
    session.flush()
    return made


def admit(session: Session, actor: Actor, now: datetime, peer: Peer, fingerprint: str) -> None:
    """Rely on a trust file whose fingerprint was compared; the former one of its registry ends."""
    may(actor, "peer.admit")
    require_other(actor, [peer.proposed_by], peer.name)
    hold(session, f"peer {peer.origin}")
    state = move("peer", "admit", peer.state)
    typed = "".join(fingerprint.split()).lower()
    if len(typed) < FINGERPRINT_MIN or not peer.digest.endswith(typed):
        raise NotAllowed(
            "These are not the last characters of the trust file's fingerprint: ask the registry for "
            "it by another way than the file came, and type its last {count} characters or more.",
            count=FINGERPRINT_MIN,
        )
    former = current(session, peer.origin)
    if former is not None:
        _decide(actor, now, former, move("peer", "supersede", former.state))
        log.append(session, former, "peer.superseded", actor.member_id)
        peer.site, peer.rpc = peer.site or former.site, peer.rpc or former.rpc
        session.flush()
    _decide(actor, now, peer, state)
    log.append(session, peer, "peer.admitted", actor.member_id)
    _keep_list(session, peer)
    session.flush()


def _keep_list(session: Session, peer: Peer) -> None:
    """Let go of a status list that the keys now admitted do not vouch for."""
    known = visit_of(session, peer.origin)
    if known.status_list is None:
        return
    try:
        list_period(known.status_list, peer.opened)
    except LedgerError:
        known.status_list = known.list_from = known.list_until = None


def _decide(actor: Actor, now: datetime, peer: Peer, state: str) -> None:
    peer.state, peer.decided_by, peer.decided_at = state, actor.member_id, now


def reject(session: Session, actor: Actor, now: datetime, peer: Peer, ground: str) -> None:
    """The trust file is not admitted."""
    _change(session, actor, now, peer, "reject", ground, [peer.proposed_by])


def suspend(session: Session, actor: Actor, now: datetime, peer: Peer, ground: str) -> None:
    """For now its vouchers are not relied on."""
    _change(session, actor, now, peer, "suspend", ground)


def resume(session: Session, actor: Actor, now: datetime, peer: Peer, ground: str) -> None:
    """Rely on it again: another person than who suspended it."""
    _change(session, actor, now, peer, "resume", ground, [peer.decided_by])


def end(session: Session, actor: Actor, now: datetime, peer: Peer, ground: str) -> None:
    """The mutual recognition ended."""
    _change(session, actor, now, peer, "end", ground)


def _change(
    session: Session, actor: Actor, now: datetime, peer: Peer, verb: str, ground: str,
    makers: list[str | None] | None = None,
) -> None:  # fmt: skip
    may(actor, f"peer.{verb}")
    require_other(actor, makers or [], peer.name)
    if not ground.strip():
        raise Invalid("State the ground of the decision.")
    _decide(actor, now, peer, move("peer", verb, peer.state))
    log.append(session, peer, f"peer.{PAST[verb]}", actor.member_id, reason=ground)


def reach(
    session: Session, actor: Actor, now: datetime, peer: Peer, *, site: str = "", rpc: str = ""
) -> None:  # fmt: skip
    """Say where a registry and its chain are asked, if they can be (administrator)."""
    may(actor, "peer.reach")
    state = move("peer", "reach", peer.state)
    given = [asking.check_url(one.strip(), EXAMPLE) if one.strip() else None for one in (site, rpc)]
    if given == [peer.site, peer.rpc]:
        return
    (peer.site, peer.rpc), peer.state = given, state
    log.append(session, peer, "peer.reached", actor.member_id)
    known = session.get(Visit, peer.origin)
    if known is not None:
        known.at, known.failures, known.problem = None, 0, None
