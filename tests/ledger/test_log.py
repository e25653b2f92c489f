"""The log: every deed a leaf, every leaf provable, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from ledger import log, parties
from ledger.errors import Conflict
from ledger.proof import merkle
from ledger.proof.bundle import entry_of, payload_digest
from ledger.proof.checkpoint import open_note, parse_checkpoint, verifier_key
from ledger.proof.encoding import canonical
from ledger.store import new_id
from tests.conftest import ORIGIN, START, Town


def add_parties(town: Town, count: int) -> list[parties.Party]:
    """`count` deeds in one transaction."""
    made = []
    with town.deed() as session:
        for _ in range(count):
            party = parties.Party(
                id=new_id(), kind="enterprise", name="甲", uscc=new_id(), state="active"
            )
            log.append(session, party, "party.added", "tester")
            made.append(party)
    return made


def leaf_hashes(town: Town) -> list[bytes]:
    with town.reading() as session:
        return [
            log.leaf_hash_of(record)
            for record in session.scalars(select(log.Record).order_by(log.Record.leaf_index))
        ]


def test_a_record_is_what_the_design_says_byte_for_byte(town: Town) -> None:
    party = add_parties(town, 1)[0]
    with town.reading() as session:
        record = log.record_of(session, party.id, 1)
        payload = log.payload_of(record)
        assert canonical(payload) == log.payload_bytes(record)
        assert payload == {
            "actor": "tester", "at": "2026-03-02T02:00:00Z", "body": party.body(),
            "kind": "party.added", "log": ORIGIN, "on_behalf_of": None, "prev": None,
            "reason": None, "subject": {"id": party.id, "type": "party"}, "v": 1,
        }  # fmt: skip
        assert record.digest == payload_digest(record.salt, canonical(payload))
        entry = entry_of(payload, record.digest)
        assert set(entry) == {"at", "digest", "kind", "v"}
        assert log.leaf_hash_of(record) == merkle.leaf_hash(canonical(entry))


def test_each_record_names_the_digest_of_its_subject_s_last_one(town: Town) -> None:
    party = add_parties(town, 1)[0]
    for name in ("乙", "丙"):
        with town.deed() as session:
            found = session.get_one(parties.Party, party.id)
            found.name = name
            log.append(session, found, "party.renamed", "tester", reason="改名")
    with town.reading() as session:
        first, second, third = log.history(session, party.id)
        assert orjson.loads(second.payload)["prev"] == first.digest
        assert orjson.loads(third.payload)["prev"] == second.digest
        assert [r.subject_version for r in (first, second, third)] == [1, 2, 3]
        assert orjson.loads(third.payload)["body"]["name"] == "丙"


def test_two_deeds_on_one_subject_in_one_transaction_are_two_chained_records(town: Town) -> None:
    with town.deed() as session:
        party = parties.Party(id=new_id(), kind="enterprise", name="甲", uscc="x", state="active")
        log.append(session, party, "party.added", "tester")
        session.flush()
        party.name = "乙"
        log.append(session, party, "party.renamed", "tester")
    with town.reading() as session:
        first, second = log.history(session, party.id)
        assert orjson.loads(first.payload)["body"]["name"] == "甲"
        assert orjson.loads(second.payload)["prev"] == first.digest


def test_time_never_runs_backwards_in_the_log(town: Town) -> None:
    add_parties(town, 1)
    town.now = START - timedelta(days=3)
    late = add_parties(town, 1)[0]
    with town.reading() as session:
        assert log.record_of(session, late.id, 1).at == START


@pytest.mark.parametrize("chunks", [(1, 2, 3), (255, 1, 1), (256, 256, 90), (700,)])
def test_roots_and_proofs_from_tiles_are_those_of_the_leaves(
    town: Town, chunks: tuple[int, ...]
) -> None:
    for count in chunks:
        add_parties(town, count)
    leaves = leaf_hashes(town)
    size = len(leaves)
    with town.reading() as session:
        assert log.root_at(session, size) == merkle.root(leaves)
        for index in {0, 1, size // 2, size - 2, size - 1}:
            proof = log.inclusion(session, index, size)
            assert proof == merkle.inclusion_proof(leaves, index, size)
            merkle.verify_inclusion(leaves[index], index, size, proof, merkle.root(leaves))
        for old in {1, 2, size // 3, size - 1, size}:
            proof = log.consistency(session, old, size)
            assert proof == merkle.consistency_proof(leaves, old, size)


def test_a_refused_deed_leaves_no_trace(town: Town) -> None:
    before = town.snapshot()
    with pytest.raises(RuntimeError), town.deed() as session:  # noqa: PT012
        party = parties.Party(id=new_id(), kind="enterprise", name="甲", uscc="x", state="active")
        log.append(session, party, "party.added", "tester")
        raise RuntimeError("killed in the middle")
    assert town.snapshot() == before


def test_a_seal_is_a_signed_checkpoint_over_all_records_and_idempotent(town: Town) -> None:
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    add_parties(town, 5)
    with town.deed() as session:
        first = log.seal(session, town.now, key)
    with town.deed() as session:
        again = log.seal(session, town.now, key)
    assert first is not None
    assert again is not None
    assert first.note == again.note
    text, _ = open_note(first.note, [verifier_key(ORIGIN, key.public_key().public_bytes_raw())])
    leaves = leaf_hashes(town)
    assert parse_checkpoint(text)[:3] == (ORIGIN, len(leaves), merkle.root(leaves))


def test_a_record_climbs_recorded_sealed_anchored(town: Town) -> None:
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    party = add_parties(town, 1)[0]
    with town.reading() as session:
        assert log.rung(session, log.record_of(session, party.id, 1)) == "recorded"
    with town.deed() as session:
        checkpoint = log.seal(session, town.now, key)
        assert checkpoint is not None
    with town.reading() as session:
        assert log.rung(session, log.record_of(session, party.id, 1)) == "sealed"
    with town.deed() as session:
        log.note_anchor(session, checkpoint.tree_size, "0x" + "cd" * 32, 7)
    with town.reading() as session:
        assert log.rung(session, log.record_of(session, party.id, 1)) == "anchored"


def test_twenty_deeds_at_once_get_dense_places_and_a_right_tree(town: Town) -> None:
    with town.reading() as session:
        before = session.get_one(log.Head, 1).tree_size
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: add_parties(town, 3), range(20)))
    with town.reading() as session:
        indexes = session.scalars(
            select(log.Record.leaf_index).order_by(log.Record.leaf_index)
        ).all()
        assert list(indexes) == list(range(before + 60))
        assert log.root_at(session, before + 60) == merkle.root(leaf_hashes(town))


def test_the_same_row_changed_by_two_at_once_is_a_conflict_for_one(town: Town) -> None:
    party = add_parties(town, 1)[0]

    def rename(name: str) -> str:
        try:
            with town.deed() as session:
                found = session.get_one(parties.Party, party.id)
                found.name = name
                log.append(session, found, "party.renamed", "tester")
                if name == "乙":
                    session.flush()
            return "done"
        except Conflict:
            return "conflict"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(rename, ["乙", "丙"]))
    assert "done" in outcomes
    with town.reading() as session:
        history = log.history(session, party.id)
        assert len(history) == 1 + outcomes.count("done")
        count = session.scalar(select(func.count()).select_from(log.Record))
        assert count == session.get_one(log.Head, 1).tree_size


def test_another_log_s_database_is_refused(town: Town) -> None:
    with pytest.raises(Conflict, match=r"belongs to the log"), town.deed() as session:
        log.open_log(session, "other.example/log", town.now)
