"""Vouchers of another registry: verified under its admitted trust, listed, followed, never re-issued."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from ledger import log, peers, recognition
from ledger.errors import Conflict, Invalid, LedgerError, NotAllowed, ProofFailed
from ledger.peers import Peer, PeerNode
from ledger.proof import credential as credentials
from ledger.proof.encoding import canonical, digest_text, instant
from ledger.recognition import NotRecognised, Recognition
from ledger.registration import Registration
from ledger.vouchers import Voucher
from tests.conftest import ORIGIN, Town
from tests.ledger.neighbours import (
    Neighbour,
    admitted,
    follow,
    now_of,
    proposed,
    recognise,
    standing,
)
from tests.ledger.test_supervision import audit
from tests.proof import world as worlds
from tests.proof.world import chain_server, private_key, public_of, serve

pytestmark = pytest.mark.pages

REVOKED, SUSPENDED, VALID = 3, 2, 1


def records(town: Town, row: Any) -> list[str]:
    with town.reading() as session:
        return [one.kind for one in log.history(session, row.id)]


def rows(town: Town, model: Any) -> int:
    with town.reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


@pytest.fixture
def near(town: Town) -> Neighbour:
    """A registry that was admitted."""
    made = Neighbour(town)
    admitted(town, made)
    return made


# ---------------------------------------------------------------- the registry is admitted by two


def test_a_registry_is_admitted_by_another_person_who_was_told_its_fingerprint(town: Town) -> None:
    near = Neighbour(town)
    made = proposed(town, near)
    with pytest.raises(NotAllowed, match="You acted"):
        town.do("rita", peers.admit, made, near.fingerprint)
    for wrong in ("", near.fingerprint[1:], "0" * 8, near.fingerprint[::-1] + "x"):
        with pytest.raises(NotAllowed, match="last characters"):
            town.do("rob", peers.admit, made, wrong)
    town.do("admin", peers.admit, made, f" {near.fingerprint[:4].upper()} {near.fingerprint[4:]} ")
    assert now_of(town, made).state == "admitted"
    assert records(town, made) == ["peer.proposed", "peer.admitted"]


def test_who_has_no_part_in_it_neither_proposes_nor_admits(town: Town) -> None:
    near = Neighbour(town)
    with pytest.raises(NotAllowed):
        proposed(town, near, "olga")
    made = proposed(town, near)
    for login in ("egon", "gwen", "olga"):
        with pytest.raises(NotAllowed):
            town.do(login, peers.admit, made, near.fingerprint)
    with pytest.raises(NotAllowed):
        town.do("rita", peers.reach, made, site="https://other.example")


def test_our_own_trust_file_and_one_that_is_none_are_refused(town: Town) -> None:
    ours = Neighbour(town, ORIGIN)
    with pytest.raises(Invalid, match="our own trust file"):
        proposed(town, ours)
    ours.trust_file = b'{"type":"shuzheng/trust"}'
    with pytest.raises(Invalid, match="trust file"):
        proposed(town, ours)
    assert rows(town, Peer) == 0


def test_the_same_trust_file_twice_is_one_and_another_waits_for_the_first(town: Town) -> None:
    near = Neighbour(town)
    made = proposed(town, near)
    assert proposed(town, near, "rob").id == made.id
    near.trust_file = canonical(near.registry.trust(witnesses=[]) | {"witness_quorum": 0})
    with pytest.raises(Conflict, match="is proposed already"):
        proposed(town, near)


def test_a_new_trust_file_takes_the_former_one_s_place_and_keeps_its_address(
    town: Town, near: Neighbour
) -> None:
    with town.reading() as session:
        former = peers.find(session, near.origin)
    town.do("admin", peers.reach, former, site="http://127.0.0.1:1/")
    row = recognise(town, near.bundle)
    later = Neighbour(town, near.origin, "rotated")
    made = proposed(town, later)
    assert standing(town, row) == "valid"
    town.do("rob", peers.admit, made, later.fingerprint)
    assert now_of(town, former).state == "superseded"
    assert now_of(town, made).site == "http://127.0.0.1:1"
    # The list was signed by a key that the new file does not name.
    assert standing(town, row) == "unknown now"
    with pytest.raises(NotRecognised, match="not in your trust file"):
        recognise(town, near.voucher, status=near.status)
    with pytest.raises(ProofFailed):
        follow(town, near, near.listed(days=1))
    assert follow(town, later, later.listed(hours=1)) == 0
    assert standing(town, row) == "valid"


def test_of_two_who_admit_at_once_one_does(town: Town) -> None:
    near = Neighbour(town)
    made = proposed(town, near)
    gate, told = threading.Barrier(2), []

    def admit(login: str) -> None:
        with town.reading() as session:
            seen = session.get_one(Peer, made.id).version
        gate.wait()
        try:
            with town.home.deed(town.now) as session:
                row = session.get_one(Peer, made.id)
                assert row.version >= seen
                peers.admit(session, town.actors[login], town.now, row, near.fingerprint)
            told.append("admitted")
        except Conflict:
            told.append("conflict")

    threads = [threading.Thread(target=admit, args=(login,)) for login in ("rob", "admin")]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert sorted(told) == ["admitted", "conflict"]
    assert records(town, made) == ["peer.proposed", "peer.admitted"]


# ---------------------------------------------------------------- a voucher is recognised


def test_a_bundle_and_a_package_are_recognised_and_are_one(town: Town, near: Neighbour) -> None:
    made = recognise(town, near.bundle)
    assert (made.origin, made.number, made.word) == (near.origin, "PZ202608-000001-X", "valid")
    assert recognise(town, near.package, "rita").id == made.id
    assert records(town, made) == ["recognition.imported"]
    assert rows(town, Recognition) == 1
    assert standing(town, made) == "valid"
    with town.reading() as session:
        assert audit(town, session) == []


def test_a_bare_voucher_needs_the_registry_s_status_list(town: Town, near: Neighbour) -> None:
    with pytest.raises(NotRecognised, match="needs a status list") as refused:
        recognise(town, near.voucher)
    assert refused.value.facts["step"] == "status"
    assert rows(town, Recognition) == 0
    assert recognise(town, near.voucher, status=near.status).word == "valid"


def test_what_the_voucher_withholds_is_not_stored_even_if_the_file_discloses_it(
    town: Town, near: Neighbour
) -> None:
    assert "城数运营有限公司".encode() in near.bundle
    made = recognise(town, near.bundle)
    with town.reading() as session:
        record = log.history(session, made.id)[-1]
        assert "城数运营有限公司" not in str(log.payload_of(record))
    assert "城数运营有限公司" not in str(now_of(town, made).body())


@pytest.mark.parametrize("place", range(0, 6_000, 257))
def test_a_file_that_was_tampered_with_is_refused_and_nothing_is_stored(
    town: Town, near: Neighbour, place: int
) -> None:
    before = town.snapshot()
    at = place % len(near.bundle)
    bad = near.bundle[:at] + bytes([near.bundle[at] ^ 1]) + near.bundle[at + 1 :]
    with pytest.raises(LedgerError):
        recognise(town, bad)
    assert town.snapshot() == before


def test_a_voucher_that_names_another_registry_is_verified_under_that_one_s_trust(
    town: Town, near: Neighbour
) -> None:
    other = Neighbour(town, name="other")
    with pytest.raises(Conflict, match="is not admitted here"):
        recognise(town, other.bundle)
    admitted(town, other)
    forger = Neighbour(town, near.origin, "other")  # the other registry speaks for this one
    with pytest.raises(NotRecognised, match=r"not in your trust file|key"):
        recognise(town, forger.bundle)
    with pytest.raises(NotRecognised):
        recognise(town, forger.voucher, status=near.status)
    assert rows(town, Recognition) == 0


def test_our_own_voucher_is_refused(town: Town) -> None:
    ours = Neighbour(town, ORIGIN)
    with pytest.raises(Invalid, match="our own voucher"):
        recognise(town, ours.bundle)


def retired(town: Town, days: int) -> Neighbour:
    """A registry whose only key was retired some days after its voucher was signed."""
    near = Neighbour(town)
    issued = near.registry.trust()["credential_keys"][0]
    end = instant(town.now + timedelta(days=days))
    fresh = credentials.did_key(public_of(private_key("fresh")))
    near.trust_file = canonical(near.registry.trust(credential_keys=[
        {**issued, "valid_until": end}, {"did": fresh, "valid_from": end, "valid_until": None},
    ]))  # fmt: skip
    near.fingerprint = digest_text(near.trust_file)[-8:]
    admitted(town, near)
    return near


def test_what_a_retired_key_signed_in_its_time_holds_and_nothing_after_it(town: Town) -> None:
    near = retired(town, -1)
    late = near.registry.voucher(signed_at=town.now, validFrom=instant(town.now))
    fresh = canonical(near.registry.status_list(
        {5: 1}, key=private_key("fresh"), signed_at=town.now, validFrom=instant(town.now)))  # fmt: skip
    with pytest.raises(NotRecognised, match="not in your trust file"):
        recognise(town, canonical(late), status=fresh)
    # Its own list ended with the key.
    with pytest.raises(NotRecognised, match="ran out"):
        recognise(town, near.voucher, status=near.status)
    assert recognise(town, near.voucher, status=fresh).word == "valid"


@pytest.mark.parametrize("status", [2, 3, 4, 5, 0, 9])
def test_what_is_not_valid_there_is_not_recognised_here(
    town: Town, near: Neighbour, status: int
) -> None:
    with pytest.raises(NotRecognised) as refused:
        recognise(town, near.voucher, status=near.listed(status))
    assert refused.value.facts["step"] == "status"
    assert rows(town, Recognition) == 0


def test_an_expired_list_and_a_lapsed_voucher_recognise_nothing(
    town: Town, near: Neighbour
) -> None:
    town.later(days=8)
    with pytest.raises(NotRecognised, match="ran out"):
        recognise(town, near.bundle)
    town.later(days=365 * 4)
    with pytest.raises(NotRecognised, match="lapsed"):
        recognise(town, near.bundle)


def test_a_newer_version_is_taken_over_with_a_record_and_an_older_one_is_refused(
    town: Town, near: Neighbour
) -> None:
    made = recognise(town, near.bundle)
    title = {**near.credential["credentialSubject"], "title": "新题名"}
    assert recognise(town, near.renewed(credentialSubject=title)).id == made.id
    assert now_of(town, made).title == "新题名"
    assert records(town, made) == ["recognition.imported", "recognition.updated"]
    with pytest.raises(Conflict, match="newer version"):
        recognise(town, near.voucher)


def test_no_voucher_of_ours_comes_of_it(town: Town, near: Neighbour) -> None:
    """Every verb of a recognition and of its registry was done, and nothing was registered or issued."""
    before = rows(town, Voucher), rows(town, Registration)
    made = recognise(town, near.bundle)
    recognise(town, near.renewed())
    follow(town, near, near.listed(SUSPENDED, hours=1))
    follow(town, near, near.listed(REVOKED, hours=2))
    assert now_of(town, made).state == "ended"
    with pytest.raises(NotRecognised):  # not even again
        recognise(town, near.renewed(validUntil=instant(town.now + timedelta(days=9))))
    assert (rows(town, Voucher), rows(town, Registration)) == before


# ---------------------------------------------------------------- it is followed


def test_a_newer_list_by_file_changes_what_it_says_and_records_it(
    town: Town, near: Neighbour
) -> None:
    made = recognise(town, near.bundle)
    assert follow(town, near, near.listed(VALID, hours=1)) == 0
    assert follow(town, near, near.listed(SUSPENDED, hours=2)) == 1
    assert standing(town, made) == "suspended"
    assert follow(town, near, near.listed(VALID, hours=3)) == 1
    assert follow(town, near, near.listed(REVOKED, hours=4)) == 1
    assert standing(town, made) == "revoked"
    assert records(town, made) == [
        "recognition.imported", "recognition.suspended", "recognition.resumed", "recognition.revoked",
    ]  # fmt: skip
    assert follow(town, near, near.listed(VALID, hours=5)) == 0, "what is revoked stays so"
    assert standing(town, made) == "revoked"
    with town.reading() as session:
        assert audit(town, session) == []


def test_an_older_list_is_refused(town: Town, near: Neighbour) -> None:
    made = recognise(town, near.bundle)
    follow(town, near, near.listed(SUSPENDED, hours=2))
    for older in (near.status, near.listed(VALID, hours=1), near.bundle):
        with pytest.raises(Conflict, match="a newer one"):
            follow(town, near, older)
    assert standing(town, made) == "suspended"
    with pytest.raises(
        NotRecognised, match="suspended"
    ):  # an old list beside a voucher does not either
        recognise(town, near.bundle)
    assert standing(town, made) == "suspended"


def test_a_list_of_tomorrow_of_another_registry_or_by_another_key_is_refused(
    town: Town, near: Neighbour
) -> None:
    made = recognise(town, near.bundle)
    with pytest.raises(Conflict, match="still to come"):
        follow(town, near, near.listed(REVOKED, days=3))
    other = Neighbour(town, name="other")
    with pytest.raises(ProofFailed):
        follow(town, near, other.listed(REVOKED, hours=1))
    forged = near.registry.status_list({5: REVOKED}, id=f"urn:shuzheng:{other.origin}:status")
    with pytest.raises(ProofFailed, match="not that of"):
        follow(town, near, canonical(forged))
    for nothing in (
        near.voucher,
        b"{}",
        b'{"type":7}',
        b"PK\x03\x04",
        b"[]",
        b'{"type":["BitstringStatus',
    ):
        with pytest.raises(LedgerError):
            follow(town, near, nothing)
    assert standing(town, made) == "valid"


def test_after_the_list_s_last_day_it_is_unknown_and_that_is_no_record(
    town: Town, near: Neighbour
) -> None:
    made = recognise(town, near.bundle)
    town.later(days=5)
    assert standing(town, made) == "valid"
    town.later(days=2)
    assert standing(town, made) == "unknown now"
    assert records(town, made) == ["recognition.imported"]
    assert follow(town, near, near.listed(VALID, days=7)) == 0
    assert standing(town, made) == "valid"
    follow(town, near, near.listed(REVOKED, days=7, hours=1))
    town.later(days=30)
    assert standing(town, made) == "revoked", "what is final needs no newer list"


def test_a_lapse_is_computed(town: Town, near: Neighbour) -> None:
    made = recognise(town, near.bundle)
    town.later(days=365 * 4)
    assert standing(town, made) == "lapsed"
    assert records(town, made) == ["recognition.imported"]


def test_of_a_registry_that_is_suspended_or_ended_nothing_is_relied_on(
    town: Town, near: Neighbour
) -> None:
    made = recognise(town, near.bundle)
    with town.reading() as session:
        peer = peers.find(session, near.origin)
    town.do("rita", peers.suspend, peer, "密钥疑似泄露")
    assert standing(town, made) == "not relied on"
    for act in (
        lambda: follow(town, near, near.listed(hours=1)),
        lambda: recognise(town, near.bundle),
    ):
        with pytest.raises(Conflict):
            act()
    with pytest.raises(NotAllowed, match="You acted"):
        town.do("rita", peers.resume, peer, "已查明")
    town.do("rob", peers.resume, peer, "已查明")
    assert standing(town, made) == "valid"
    town.do("rita", peers.end, peer, "互认期满")
    assert standing(town, made) == "not relied on"
    with pytest.raises(Conflict):
        town.do("rob", peers.resume, peer, "恢复")


# ---------------------------------------------------------------- its chain is asked


def asked(town: Town, near: Neighbour, node: PeerNode) -> int:
    with town.reading() as session:
        peer = peers.find(session, near.origin)
        found = recognition.followed(session, near.origin)
    words = recognition.ask_chain(node, peer.opened, found, town.now)
    with town.deed() as session:
        fresh = peers.find(session, near.origin)
        return recognition.take_chain(session, town.now, fresh, words, "system")


def test_the_chain_tells_at_once_and_does_without_a_list(town: Town, near: Neighbour) -> None:
    server = chain_server()
    server.chain = chain = near.chain()
    (state,) = chain.vouchers.values()
    with serve(server) as url:
        node = PeerNode(url, 5)
        made = recognise(town, near.voucher, node=node)
        assert standing(town, made) == "unknown now"  # until it is followed
        assert asked(town, near, node) == 0
        assert standing(town, made) == "valid"
        town.later(hours=2)
        assert standing(town, made) == "unknown now"
        state[1] = 2
        assert asked(town, near, node) == 1
        assert standing(town, made) == "suspended"
        # A list from before the chain said so does not take it back.
        assert follow(town, near, near.listed(VALID, hours=1)) == 0
        assert standing(town, made) == "suspended"
        state[1] = 3
        assert asked(town, near, node) == 1
        assert standing(town, made) == "revoked"
        chain.genesis = "0x" + "00" * 32
        with pytest.raises(ValueError, match="chain"):
            asked(town, near, node)


def test_a_revocation_that_comes_while_a_voucher_is_verified_is_not_lost(
    town: Town, near: Neighbour
) -> None:
    with town.reading() as session:
        peer = peers.find(session, near.origin)
    found = recognition.check(near.bundle, peer, town.now)
    follow(town, near, near.listed(REVOKED, hours=1))
    made = town.do("egon", recognition.recognise, found)
    assert standing(town, made) == "revoked"
    assert records(town, made) == ["recognition.imported", "recognition.revoked"]


@pytest.mark.parametrize("entry", [None, "x", {}, {"statusListIndex": "²"}], ids=repr)
def test_a_voucher_without_place_in_a_list_is_not_recognised_by_its_chain_alone(
    town: Town, near: Neighbour, entry: Any
) -> None:
    odd = near.registry.voucher(credentialStatus=entry)
    server = chain_server()
    server.chain = chain = near.chain()
    for state in chain.vouchers.values():
        state[0] = credentials.credential_digest(odd)
    with serve(server) as url, pytest.raises(Invalid, match="status index"):
        recognise(town, canonical(odd), node=PeerNode(url, 5))
    assert rows(town, Recognition) == 0


def test_a_status_without_meaning_does_not_keep_the_others_back(
    town: Town, near: Neighbour
) -> None:
    first = recognise(town, near.bundle)
    other = near.registry.voucher("PZ202608-000002-Y", 3)
    second = recognise(town, canonical(other), status=canonical(
        near.registry.status_list({5: VALID, 3: VALID})))  # fmt: skip
    later = worlds.LISTED + timedelta(hours=1)
    listed = near.registry.status_list({5: 7, 3: REVOKED}, later, worlds.NEXT_LIST)
    assert follow(town, near, canonical(listed)) == 2
    assert (standing(town, first), standing(town, second)) == ("unlisted", "revoked")


def test_a_node_that_is_away_is_done_without_and_a_wrong_one_is_not(
    town: Town, near: Neighbour
) -> None:
    assert recognise(town, near.bundle, node=PeerNode("http://127.0.0.1:9", 1)).word == "valid"
    server = chain_server()
    server.chain = near.chain()
    server.chain.chain_id = 7
    with serve(server) as url, pytest.raises(NotRecognised, match="serves chain 7"):
        recognise(town, near.renewed(), node=PeerNode(url, 5))


def test_who_has_no_part_in_it_recognises_nothing(town: Town, near: Neighbour) -> None:
    for login in ("olga", "gwen", "mona", "paul"):
        with pytest.raises(NotAllowed):
            recognise(town, near.bundle, login)


def test_of_two_who_recognise_at_once_there_is_one(town: Town, near: Neighbour) -> None:
    with town.reading() as session:
        peer = peers.find(session, near.origin)
    found = recognition.check(near.bundle, peer, town.now)
    gate, told = threading.Barrier(2), []

    def act(login: str) -> None:
        gate.wait()
        try:
            told.append(town.do(login, recognition.recognise, found).id)
        except Conflict:
            told.append(None)

    threads = [threading.Thread(target=act, args=(login,)) for login in ("rita", "egon")]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert rows(town, Recognition) == 1
    assert len(set(told) - {None}) == 1
