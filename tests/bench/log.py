"""What the log costs: beside bare inserts, beside bare hashing, and beside pymerkle at a million leaves.

pymerkle (its SqliteTree) is the Merkle tree library for Python that also keeps its leaves in SQLite. Both
trees hold the same million entries, so that both have the same root, which is compared. Then in turns:

- append, each leaf with a commit of its own. pymerkle writes the entry and its hash. We write a deed: the
  row it is about, its payload, salt and digest, the record, the tiles, the head of the log.
- prove inclusion of leaves anywhere, and consistency from sizes anywhere. pymerkle stores leaves only: it
  hashes what is above them when it is asked, and keeps roots in memory (up to 1 GiB) while it is open. We
  read tiles.

"As opened" is a process that has just begun: each command, each worker, each restart. "Kept open" is the
same work again in the same process.
"""

import random
import secrets
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymerkle import SqliteTree
from sqlalchemy import Engine, insert, update
from sqlalchemy.orm import Session

from ledger import log
from ledger.parties import Party
from ledger.proof import merkle, tiles
from ledger.proof.bundle import entry_of, payload_digest
from ledger.proof.encoding import instant
from ledger.store import canonical_fast, new_id, open_engine
from webapp.home import migrate

RECORDS = 20_000
MILLION, AT_ONCE = 1_000_000, 50_000
APPENDS, PROOFS, OPENINGS, TURNS = 300, 500, 2, 4
NOW = datetime(2026, 1, 5, tzinfo=UTC)
ORIGIN = "bench/log"


def rate(count: int, work: Callable[[], object]) -> float:
    """How many a second, best of three."""
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        work()
        best = max(best, count / (time.perf_counter() - start))
    return best


def show(what: str, per_s: float, bare: str, bare_per_s: float) -> None:
    print(f"{what:34} {per_s:12,.0f}/s   {per_s / bare_per_s:6.2f} × {bare} ({bare_per_s:,.0f}/s)")


def bench_log(folder: Path) -> None:
    """All of it."""
    bench_append(folder)
    bench_verify()
    bench_million(folder)


def open_log(path: Path) -> Engine:
    """An empty log in a file."""
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    with Session(engine) as session:
        log.open_log(session, ORIGIN, NOW)
        session.commit()
    return engine


def note(session: Session) -> None:
    """A deed: an organisation is added."""
    party = Party(id=new_id(), kind="enterprise", name="甲", uscc=new_id(), state="a")
    log.append(session, party, "party.added", "bench")


def bench_append(folder: Path) -> None:
    """Recording deeds in one transaction, beside a bare executemany of rows of the same size."""
    engine = open_log(folder / "log.db")

    def append() -> None:
        with Session(engine) as session:
            for _ in range(RECORDS):
                note(session)
            log.sequence(session, NOW)
            session.commit()

    with sqlite3.connect(folder / "bare.db") as bare:
        bare.execute("PRAGMA journal_mode=WAL")
        bare.execute("PRAGMA synchronous=FULL")
        bare.execute("CREATE TABLE t (a TEXT PRIMARY KEY, b TEXT, c TEXT, d BLOB)")
        rows = [("x" * 36, "y" * 420, "z" * 71, b"s" * 16)] * RECORDS

        def insert_bare() -> None:
            with bare:
                bare.executemany(
                    "INSERT INTO t VALUES (?,?,?,?)", ((new_id(), *row[1:]) for row in rows)
                )

        bare_per_s = rate(RECORDS, insert_bare)
        show("deeds recorded (SQLite)", rate(RECORDS, append), "bare insert", bare_per_s)
    bare.close()
    engine.dispose()


def bench_verify() -> None:
    """Verifying inclusion proofs, beside hashing as many nodes bare."""
    leaves = [merkle.leaf_hash(n.to_bytes(4)) for n in range(4096)]
    proof, root = merkle.inclusion_proof(leaves, 1234, 4096), merkle.root(leaves)

    def verify() -> None:
        for _ in range(2000):
            merkle.verify_inclusion(leaves[1234], 1234, 4096, proof, root)

    def hash_nodes() -> None:
        for _ in range(2000):
            for sibling in proof:
                merkle.node_hash(sibling, sibling)

    show("inclusion proofs verified", rate(2000, verify), "bare hashing", rate(2000, hash_nodes))


class Ours:
    """Our log, as a process has it that has just begun."""

    def __init__(self, path: Path) -> None:
        tiles._fold_kept.cache_clear()
        self.engine = open_engine(f"sqlite:///{path}")

    def append(self, count: int) -> None:
        for _ in range(count):
            with Session(self.engine, expire_on_commit=False) as session:
                note(session)
                log.sequence(session, NOW)
                session.commit()

    def prove_inclusion(self, leaves: list[int]) -> list[list[bytes]]:
        with Session(self.engine.execution_options(read_only=True)) as session:
            return [log.inclusion(session, leaf, MILLION) for leaf in leaves]

    def prove_consistency(self, sizes: list[int]) -> list[list[bytes]]:
        with Session(self.engine.execution_options(read_only=True)) as session:
            return [log.consistency(session, size, MILLION) for size in sizes]

    def root(self) -> bytes:
        with Session(self.engine.execution_options(read_only=True)) as session:
            return log.root_at(session, MILLION)

    def close(self) -> None:
        self.engine.dispose()


class Theirs:
    """pymerkle's tree, as a process has it that has just begun."""

    def __init__(self, path: Path) -> None:
        self.tree = SqliteTree(str(path))

    def append(self, count: int) -> None:
        for _ in range(count):
            self.tree.append_entry(secrets.token_bytes(141))  # as long as an entry of ours

    def prove_inclusion(self, leaves: list[int]) -> list[list[bytes]]:
        return [self.tree.prove_inclusion(leaf + 1, MILLION).path[1:] for leaf in leaves]

    def prove_consistency(self, sizes: list[int]) -> list[Any]:
        return [self.tree.prove_consistency(size, MILLION) for size in sizes]

    def root(self) -> bytes:
        return bytes(self.tree.get_root(MILLION))

    def close(self) -> None:
        self.tree.close()


def fill(ours: Path, theirs: Path) -> None:
    """A million records with their tiles, and the same million entries in pymerkle's table."""
    engine = open_log(ours)
    tree = SqliteTree(str(theirs))
    start = time.perf_counter()
    with engine.connect() as connection:
        for first in range(0, MILLION, AT_ONCE):
            rows, entries = [], []
            for index in range(first, first + AT_ONCE):
                body = {"id": new_id(), "kind": "enterprise", "name": "甲", "state": "a",
                        "uscc": str(index), "version": 1}  # fmt: skip
                payload = {
                    "actor": "bench", "at": instant(NOW), "body": body, "kind": "party.added",
                    "log": ORIGIN, "on_behalf_of": None, "prev": None, "reason": None,
                    "subject": {"id": body["id"], "type": "party"}, "v": 1,
                }  # fmt: skip
                text, salt = canonical_fast(payload), secrets.token_bytes(16)
                digest = payload_digest(salt, text)
                entries.append(canonical_fast(entry_of(payload, digest)))
                rows.append({
                    "leaf_index": index, "at": NOW, "kind": "party.added", "subject_type": "party",
                    "subject_id": body["id"], "subject_version": 1, "actor": "bench",
                    "digest": digest, "salt": salt, "payload": text.decode(),
                })  # fmt: skip
            connection.execute(insert(log.Record.__table__), rows)
            log._grow_tiles(connection, first, [merkle.leaf_hash(entry) for entry in entries])
            connection.execute(update(log.Head.__table__).values(tree_size=first + AT_ONCE))
            connection.commit()
            tree.append_entries(entries)
    tree.close()
    engine.dispose()
    print(f"{'a million leaves in both':34} {time.perf_counter() - start:12.0f} s")


def bench_million(folder: Path) -> None:
    """Append and prove at a million leaves, beside pymerkle."""
    paths = {Ours: folder / "million.db", Theirs: folder / "pymerkle.db"}
    fill(*paths.values())
    chance = random.Random(7)
    leaves = [chance.randrange(MILLION) for _ in range(PROOFS)]
    sizes = [chance.randrange(1, MILLION) for _ in range(PROOFS)]
    spent: dict[tuple[str, str], dict[type, list[float]]] = {}
    for opened in range(OPENINGS):
        sides = [make(path) for make, path in paths.items()]
        for turn in range(TURNS):
            state = "kept open" if turn else "as opened"
            for what, count, given in (
                ("append", APPENDS, [APPENDS]), ("prove_inclusion", PROOFS, [leaves]),
                ("prove_consistency", PROOFS, [sizes]),
            ):  # fmt: skip
                answers = []
                for side in sides:
                    start = time.perf_counter()
                    answers.append(getattr(side, what)(*given))
                    took = (time.perf_counter() - start) / count
                    spent.setdefault((state, what), {}).setdefault(type(side), []).append(took)
                if what == "prove_inclusion" and not (opened or turn):
                    assert answers[0] == answers[1], "both prove the same"
        assert sides[0].root() == sides[1].root(), "both have the same root"
        for side in sides:
            side.close()
    for state in ("as opened", "kept open"):
        best = {what: [min(spent[state, what][side]) for side in paths]
                for what in ("append", "prove_inclusion", "prove_consistency")}  # fmt: skip
        best["append and prove"] = [sum(one) for one in zip(*best.values(), strict=True)]
        for what, (ours, theirs) in best.items():
            show(f"{what.replace('_', ' ')}, {state}", 1 / ours, "pymerkle", 1 / theirs)
