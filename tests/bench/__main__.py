"""What the road costs beside the same work done bare.

Each line: what was done, how often a second, and the ratio to the bare work in the same run.
"""

import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.orm import Session

from ledger import log
from ledger.parties import Party
from ledger.proof import merkle
from ledger.store import new_id, open_engine
from tests.bench.site import bench_site
from webapp.home import migrate

RECORDS = 20_000
NOW = datetime(2026, 1, 5, tzinfo=UTC)


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


def bench_append(folder: Path) -> None:
    """Recording deeds in one transaction, beside a bare executemany of rows of the same size."""
    engine = open_engine(f"sqlite:///{folder / 'log.db'}")
    migrate(engine)
    with Session(engine) as session:
        log.open_log(session, "bench/log", NOW)
        session.commit()

    def append() -> None:
        with Session(engine) as session:
            for _ in range(RECORDS):
                party = Party(id=new_id(), kind="enterprise", name="甲", uscc=new_id(), state="a")
                log.append(session, party, "party.added", "bench")
            log.sequence(session, NOW)
            session.commit()

    with sqlite3.connect(folder / "bare.db") as bare:
        bare.execute("PRAGMA journal_mode=WAL")
        bare.execute("PRAGMA synchronous=FULL")
        bare.execute("CREATE TABLE t (a TEXT PRIMARY KEY, b TEXT, c TEXT, d BLOB)")
        rows = [("x" * 36, "y" * 420, "z" * 71, b"s" * 16)] * RECORDS

        def insert() -> None:
            with bare:
                bare.executemany(
                    "INSERT INTO t VALUES (?,?,?,?)", ((new_id(), *row[1:]) for row in rows)
                )

        show("deeds recorded (SQLite)", rate(RECORDS, append), "bare insert", rate(RECORDS, insert))
    with Session(engine) as session:
        size = session.get_one(log.Head, 1).tree_size
        picks = [secrets.randbelow(size) for _ in range(500)]

        def prove() -> None:
            for index in picks:
                log.inclusion(session, index, size)

        def read() -> None:
            for index in picks:
                session.execute(
                    log.TileRow.__table__.select().where(log.TileRow.n == index % 5)
                ).all()

        show(f"inclusion proofs at {size:,}", rate(500, prove), "one row read", rate(500, read))
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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        bench_append(Path(name))
        bench_verify()
        bench_site(Path(name))
