"""Another registry beside the town, made of real keys and proofs, and its vouchers recognised here."""

import itertools
from datetime import timedelta
from typing import Any

from ledger import parties, peers, recognition
from ledger.parties import Actor
from ledger.peers import Peer
from ledger.proof.encoding import canonical, digest_text
from ledger.recognition import Recognition
from tests.conftest import Town
from tests.proof import world as worlds
from tests.proof.world import World

_count = itertools.count(1)


class Neighbour(World):
    """A registry of another place, whose day is the town's."""

    def __init__(self, town: Town, origin: str = "", name: str = "neighbour") -> None:
        self.origin = origin or f"neighbour-{next(_count)}.example/log"
        super().__init__(name, late=town.now - worlds.NOW, origin=self.origin)
        self.fingerprint = digest_text(self.trust_file)[-8:]

    def listed(self, status: int = 1, **later: float) -> bytes:
        """A status list of its only voucher, published some time after its first one."""
        start = worlds.LISTED + timedelta(**later)
        end = worlds.NEXT_LIST + timedelta(**later)
        return canonical(self.registry.status_list({5: status}, start, end))

    def renewed(self, **changes: Any) -> bytes:
        """A newer version of its voucher, with its list beside it."""
        at = worlds.ISSUED + self.registry.late + timedelta(days=5)
        return canonical(self.registry.voucher(signed_at=at, **changes))


def member(town: Town, login: str) -> Actor:
    with town.reading() as session:
        return parties.actor_by_login(session, login)


def proposed(town: Town, near: Neighbour, login: str = "rita") -> Peer:
    with town.deed() as session:
        return peers.propose(
            session, member(town, login), town.now, name="川渝登记机构", data=near.trust_file
        )


def admitted(town: Town, near: Neighbour) -> Peer:
    made = proposed(town, near)
    town.do("rob", peers.admit, made, near.fingerprint)
    return now_of(town, made)


def recognise(
    town: Town, data: bytes, login: str = "egon", *, status: bytes | None = None, node: Any = None
) -> Recognition:
    """As the deed does it: verified under the admitted trust, with the newest list known, then listed."""
    with town.reading() as session:
        peer = peers.admitted(session, recognition.origin_of(data))
        known = peers.visit_of(session, peer.origin).status_list
    lists = [one for one in (status, known and canonical(known)) if one]
    found = recognition.check(data, peer, town.now, status=lists, node=node)
    return town.do(login, recognition.recognise, found)


def follow(town: Town, near: Neighbour, data: bytes, login: str = "rita") -> int:
    with town.reading() as session:
        peer = peers.find(session, near.origin)
    return town.do(login, recognition.follow, peer, recognition.open_list(data, peer, town.now))


def standing(town: Town, row: Recognition) -> str:
    with town.reading() as session:
        fresh = session.get_one(Recognition, row.id)
        return str(recognition.standings(session, [fresh], town.now)[row.id]["now"])


def now_of(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def proposed_by(town: Town, login: str) -> dict[str, str]:
    """A trust file that somebody proposed."""
    near = Neighbour(town)
    _told.append(near.fingerprint)
    return {"peer_id": proposed(town, near, login).id}


def suspended_by(town: Town, login: str) -> dict[str, str]:
    """A registry that somebody suspended."""
    made = admitted(town, Neighbour(town))
    with town.deed() as session:
        found = session.get_one(Peer, made.id)
        peers.suspend(session, member(town, login), town.now, found, "核查")
    return {"peer_id": made.id}


def admitted_key(town: Town, _login: str) -> dict[str, str]:
    return {"peer_id": admitted(town, Neighbour(town)).id}


def last_told() -> dict[str, str]:
    """The fingerprint of the last trust file that was proposed, as its registry tells it."""
    return {"fingerprint": _told[-1]}


_told: list[str] = []
