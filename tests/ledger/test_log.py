"""The log: every deed a leaf, every leaf provable, on both databases."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event, func, insert, select, text, update

from ledger import log, parties
from ledger.errors import Conflict, Invalid
from ledger.proof import merkle, tiles
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


# ---------------------------------------------------------------- what is read and written

MILLION = 1_000_003
READS, WRITES = "SELECT", ("INSERT", "UPDATE", "DELETE")


@contextmanager
def told(town: Town) -> Iterator[list[tuple[str, Any]]]:
    """Every statement that reaches the database meanwhile, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def look(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append((statement, parameters))

    event.listen(town.home.engine, "before_cursor_execute", look)
    try:
        yield seen
    finally:
        event.remove(town.home.engine, "before_cursor_execute", look)


def plan(session: Any, statement: str, parameters: Any) -> str:
    """How the database goes about a statement."""
    lite = session.get_bind().dialect.name == "sqlite"
    asked = f"EXPLAIN {'QUERY PLAN ' if lite else ''}{statement}"
    found = session.connection().exec_driver_sql(asked, parameters).all()
    return "\n".join(str(row[-1]) for row in found)


def scanned(session: Any, statement: str, parameters: Any) -> bool:
    """Whether a statement reads a table of the log from end to end."""
    found = plan(session, statement, parameters)
    return any(f"{how} {table}" in found
               for how in ("SCAN", "Seq Scan on") for table in ("tiles", "records"))  # fmt: skip


def store_alike(town: Town, size: int) -> list[bytes]:
    """The tiles of a tree of so many leaves, all alike; returns its complete subtrees by height."""
    alike = [merkle.leaf_hash(b"")]
    for _ in range(30):
        alike.append(merkle.node_hash(alike[-1], alike[-1]))
    rows = []
    for level in range(3):
        count = size >> 8 * level
        rows += [
            {"level": level, "n": n, "hashes": alike[8 * level] * min(256, count - 256 * n)}
            for n in range(-(-count // 256))
        ]
    with town.deed() as session:
        session.execute(text("DELETE FROM tiles"))
        session.execute(insert(log.TileRow), rows)
    with town.deed() as session:
        session.execute(text("ANALYZE"))
    return alike


def root_alike(alike: list[bytes], size: int) -> bytes:
    """The root over so many leaves that are all alike."""
    heights = [height for height in range(31) if size >> height & 1]
    root = alike[heights[0]]
    for height in heights[1:]:
        root = merkle.node_hash(alike[height], root)
    return root


def test_a_proof_at_a_million_leaves_is_one_statement_that_reads_at_most_five_rows(
    town: Town,
) -> None:
    """Any leaf, and from any older size: the rows that really come from the database are counted."""
    alike = store_alike(town, MILLION)
    root, chance = root_alike(alike, MILLION), random.Random(5)
    near = {1, 2, 255, 256, 257, 65_535, 65_536, 65_537, 983_040, 999_936, MILLION - 1, MILLION}
    numbers = sorted(near | {chance.randint(1, MILLION) for _ in range(60)})
    counts = []
    with town.reading() as session:
        for number in numbers:
            with told(town) as statements:
                proof = log.inclusion(session, number - 1, MILLION)
            merkle.verify_inclusion(alike[0], number - 1, MILLION, proof, root)
            with told(town) as more:
                proof = log.consistency(session, number, MILLION)
            old = root_alike(alike, number)
            merkle.verify_consistency(number, MILLION, old, root, proof)
            assert len(statements) == 1
            assert len(more) == (number != MILLION)  # nothing is to be proved, nothing is read
            for statement, parameters in statements + more:
                found = session.connection().exec_driver_sql(statement, parameters).all()
                counts.append(len(found))
                assert not scanned(session, statement, parameters), plan(
                    session, statement, parameters
                )
    assert max(counts) == 5


def test_a_deed_reads_no_table_of_the_log_from_end_to_end(town: Town) -> None:
    """Also one that changes several subjects and fills several tiles."""
    made = add_parties(town, 600)
    with told(town) as statements, town.deed() as session:
        for party in made[:3] + add_later(session, 3):
            found = session.get_one(parties.Party, party.id)
            found.name = "丁"
            log.append(session, found, "party.renamed", "tester")
    with town.deed() as session:
        session.execute(text("ANALYZE"))
        lite = session.get_bind().dialect.name == "sqlite"
        for statement, parameters in statements:
            one = parameters[0] if isinstance(parameters, list) else parameters
            if lite and statement.startswith((READS, *WRITES)):
                assert not scanned(session, statement, one), plan(session, statement, one)
    reads = [one for one, _ in statements if one.startswith(READS) and "FROM records" in one]
    assert len(reads) == 1, "the subjects' last digests come in one statement"


def add_later(session: Any, count: int) -> list[parties.Party]:
    """Further parties, which this very deed makes."""
    made = [
        parties.Party(id=new_id(), kind="enterprise", name="丙", uscc=new_id(), state="active")
        for _ in range(count)
    ]
    for party in made:
        log.append(session, party, "party.added", "tester")
    session.flush()
    return made


def test_a_tile_is_never_written_again_once_it_is_full(town: Town) -> None:
    """Whatever comes, each write is of a tile that was not full, and full ones stay as they are."""
    full: dict[tuple[int, int], bytes] = {}
    with told(town) as statements:
        for count in (1, 200, 54, 1, 1, 255, 256, 300, 1, 600, 3):
            add_parties(town, count)
            with town.reading() as session:
                stored = {(row.level, row.n): row.hashes for row in session.scalars(
                    select(log.TileRow))}  # fmt: skip
            assert full.items() <= stored.items()
            full = {place: hashes for place, hashes in stored.items() if len(hashes) == 8192}
    assert len(full) >= 6
    written = [found for found in statements if found[0].startswith("UPDATE tiles")]
    assert written
    for statement, parameters in written:
        assert "length(tiles.hashes) =" in statement
        known = parameters if isinstance(parameters, dict) else dict(enumerate(parameters))
        assert 0 < next(v for k, v in known.items() if k in ("was", len(known) - 1)) < 8192


@pytest.mark.parametrize("hashes", [b"", b"x" * 32, b"x" * 8192])
def test_on_an_edge_that_is_not_what_it_was_no_deed_is_recorded(town: Town, hashes: bytes) -> None:
    add_parties(town, 5)
    with town.deed() as session:
        session.execute(update(log.TileRow).values(hashes=hashes))
    before = town.snapshot()
    with pytest.raises(Invalid, match=r"tile/0/000"):
        add_parties(town, 1)
    assert town.snapshot() == before


def test_what_a_monitor_gets_ends_where_the_newest_checkpoint_does(town: Town) -> None:
    add_parties(town, 300)
    with town.reading() as session:
        assert log.tile(session, tiles.Tile(0, 0), 1) is None, "nothing is signed yet"
    sealed = town.seal()
    add_parties(town, 300)
    leaves, size = leaf_hashes(town), sealed.tree_size
    with town.reading() as session:
        assert log.tile(session, tiles.Tile(0, 0), 256) == b"".join(leaves[:256])
        assert log.tile(session, tiles.Tile(0, 0), 7) == b"".join(leaves[:7])
        assert log.tile(session, tiles.Tile(0, 1), size - 256) == b"".join(leaves[256:size])
        assert log.tile(session, tiles.Tile(1, 0), 1) == merkle.root(leaves[:256])
        for beyond, width in (((0, 1), size - 255), ((0, 1), 256), ((1, 0), 2), ((2, 0), 1)):
            assert log.tile(session, tiles.Tile(*beyond), width) is None
        bundle = log.tile(session, tiles.Tile(tiles.ENTRIES, 1), size - 256)
        assert log.tile(session, tiles.Tile(tiles.ENTRIES, 1), size - 255) is None
    assert bundle is not None
    for leaf in leaves[256:size]:
        length = int.from_bytes(bundle[:2])
        assert merkle.leaf_hash(bundle[2 : 2 + length]) == leaf
        bundle = bundle[2 + length :]
    assert not bundle
