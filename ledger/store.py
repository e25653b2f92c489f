"""Tables and transactions: what every noun's table has in common.

Each table is *evidence* (every column is the fold of record payloads; `audit` re-derives it) or
*operational* (drafts, outbox, indexes). An evidence row's columns are exactly the body of the last
record of its subject, so there is one rule for writing, proving and re-deriving them.

SQLite runs in WAL mode; a session that writes begins with BEGIN IMMEDIATE, because a deferred
transaction that upgrades fails at once when another one writes.
"""

import errno
import gc
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson
from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Dialect,
    Engine,
    LargeBinary,
    String,
    Table,
    Text,
    cast,
    create_engine,
    event,
    func,
    insert,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import ArgumentError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, declared_attr, mapped_column
from sqlalchemy.types import TypeDecorator
from uuid6 import uuid7

from ledger.errors import Conflict, DiskFull, Invalid
from ledger.proof.encoding import check_subset, instant

SQLITE_BUSY_S = 30
SQLITE_MAPPED = 2_000_000_000  # bytes read without copying; SQLite itself allows about so many
SQLITE_CACHE_KB = 16_000
# Where the index of the write-ahead log finds no room, SQLite speaks of input and output.
SQLITE_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
POSTGRES_FULL = "53100"
_RANDOM_BITS = 62  # the last ones of a UUIDv7
_RANDOM_MASK = (1 << _RANDOM_BITS) - 1


class UtcTime(TypeDecorator[datetime]):
    """A time in UTC, whole seconds, as records spell it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise AssertionError("a time without zone reached the store")
        return value.astimezone(UTC).replace(microsecond=0)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CanonicalJson(TypeDecorator[Any]):
    """A JSON value of the canonical subset, stored as its canonical text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else canonical_fast(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else orjson.loads(value)


class Base(DeclarativeBase):
    """All tables; their names are the plural of the noun."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcTime,
        dict[str, Any]: CanonicalJson,
        list[Any]: CanonicalJson,
        int: BigInteger,
        str: Text,
    }


class Evidence(Base):
    """A table whose rows are the fold of records: the row is the body of its subject's last record."""

    __abstract__ = True
    subject_type: ClassVar[str]

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    version: Mapped[int]

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805 - SQLAlchemy passes the class
        # The log counts the version; SQLAlchemy adds it to each UPDATE's WHERE (lost update: Conflict).
        return {"version_id_col": cls.__table__.c.version, "version_id_generator": False}

    def body(self) -> dict[str, Any]:
        """The row as a record's body; times as text, everything else as stored."""
        return {
            column.key: _as_json(getattr(self, column.key)) for column in self.__table__.columns
        }


class Number(Base):
    """The next serial number of each prefix (operational)."""

    __tablename__ = "numbers"
    prefix: Mapped[str] = mapped_column(primary_key=True)
    next: Mapped[int]


class Answer(Base):
    """The answer to each deed that was named by a key: asked again, it is given again (operational)."""

    __tablename__ = "answers"
    key: Mapped[str] = mapped_column(primary_key=True)
    request_digest: Mapped[str]
    answer: Mapped[dict[str, Any]]
    at: Mapped[datetime]


def canonical_fast(value: Any) -> bytes:
    """`ledger.proof.encoding.canonical` by orjson, for hot paths; equal byte for byte on the subset."""
    check_subset(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def new_id() -> str:
    """A fresh UUIDv7: unique, and ordered by its time of birth."""
    return str(uuid7())


def new_ids(count: int) -> list[str]:
    """Many fresh UUIDv7 at once, in order and each above the one before."""
    if count == 0:
        return []
    value = uuid7().int & ~_RANDOM_MASK
    value |= secrets.randbits(_RANDOM_BITS - 1)  # room above, so that counting up never carries
    steps = secrets.token_bytes(4 * count)
    made = []
    for n in range(0, 4 * count, 4):
        value += 1 + int.from_bytes(steps[n : n + 4])
        text = f"{value:032x}"
        made.append(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")
    return made


def put_rows(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert many rows the driver's fastest way; the values are as the driver takes them (`as_driven`).

    A text may come as its bytes in UTF-8.
    """
    if not rows:
        return
    quote = connection.dialect.identifier_preparer
    into = f"{quote.format_table(table)} ({', '.join(map(quote.quote, columns))})"
    spelt = [
        type(value) is bytes and not isinstance(table.c[name].type, LargeBinary)
        for name, value in zip(columns, rows[0], strict=True)
    ]
    if connection.dialect.name == "postgresql":
        cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
        with cursor.copy(f"COPY {into} FROM STDIN") as copy:
            for row in rows:
                copy.write_row([
                    value.decode() if text else value for value, text in zip(row, spelt, strict=True)
                ])  # fmt: skip
        return
    marks = ", ".join("CAST(? AS TEXT)" if text else "?" for text in spelt)
    connection.exec_driver_sql(f"INSERT INTO {into} VALUES ({marks})", list(rows))  # noqa: S608 - our own names


@contextmanager
def keeping_all() -> Iterator[None]:
    """Rows by the ten thousand are objects by the million that all live on: no garbage is looked for."""
    looks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looks:
            gc.enable()


def as_driven(connection: Connection, table: Table, column: str, value: Any) -> Any:
    """A column's value as the driver takes it."""
    dialect = connection.dialect
    spell = table.c[column].type.dialect_impl(dialect).bind_processor(dialect)
    return value if spell is None else spell(value)


def open_engine(url: str) -> Engine:
    """The engine of a database URL: `sqlite:///…` or `postgresql+psycopg://…`."""
    if url.startswith("postgresql://"):
        url = "postgresql+psycopg://" + url.removeprefix("postgresql://")
    if url.startswith("sqlite"):
        engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
        return engine
    if url.startswith("postgresql+psycopg"):
        # One writer takes the log's head at a time; what it read before must still hold at commit.
        try:
            return create_engine(url, pool_pre_ping=True)
        except (ArgumentError, ValueError):
            raise Invalid("DATABASE_URL is not a database address.") from None
    raise Invalid("The database must be SQLite or PostgreSQL.")


def is_full(error: BaseException | None) -> bool:
    """Whether the system or the database's driver could not write because there is no room."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return (
        getattr(error, "sqlstate", None) == POSTGRES_FULL
        or getattr(error, "sqlite_errorname", None) in SQLITE_FULL
    )


def no_room() -> DiskFull:
    """The refusal of whatever found the disk full."""
    return DiskFull(
        "The server's disk is full: nothing was stored. Tell the administrator of this site, and try "
        "again when there is room."
    )


def next_number(session: Session, prefix: str) -> int:
    """The next serial number of `prefix`, from 1; two transactions never get the same."""
    return next_numbers(session, prefix, 1)


def next_numbers(session: Session, prefix: str, count: int) -> int:
    """The first of the next `count` serial numbers of `prefix`, all of which are taken."""
    wanted = select(Number).where(Number.prefix == prefix).with_for_update()
    found = session.scalar(wanted)
    if found is None:
        with suppress(IntegrityError), session.begin_nested():  # another one may have made it
            session.execute(insert(Number).values(prefix=prefix, next=1))
        found = session.scalars(wanted).one()
    number, found.next = found.next, found.next + count
    session.flush()
    return number


def text_in(session: Session, column: Any, *path: str) -> Any:
    """A text in a JSON value of the canonical subset, for the database to compare by: NULL if it lacks."""
    written: Any = type_coerce(column, Text)
    if session.get_bind().dialect.name == "postgresql":
        return cast(written, postgresql.JSON)[list(path)].astext
    return func.json_extract(written, f"$.{'.'.join(path)}")


def lock(session: Session, row: Evidence) -> None:
    """Hold a row until this deed ends, so that what was read of its neighbours stays true.

    SQLite has one writer anyway; on PostgreSQL two deeds that check and then insert would both pass.
    """
    table = type(row)
    session.execute(select(table.id).where(table.id == row.id).with_for_update())


def hold(session: Session, key: str) -> None:
    """Let requests under one key come one after the other, so that the later one can `recall`.

    SQLite has one writer anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def recall(session: Session, key: str, request_digest: str) -> dict[str, Any] | None:
    """The first answer given under `key`, or None; another request under the same key is a Conflict."""
    found = session.execute(
        select(Answer.request_digest, Answer.answer).where(Answer.key == key)
    ).first()
    if found is None:
        return None
    if found.request_digest != request_digest:
        raise Conflict(
            "The key {key} was used before for another request; use a new key.",
            key=key,
            known=found.request_digest,
            given=request_digest,
        )
    return dict(found.answer)


def remember(
    session: Session, key: str, request_digest: str, answer: Mapping[str, Any], now: datetime
) -> None:
    """Keep the answer given under `key`, in the deed's own transaction."""
    session.execute(
        insert(Answer).values(key=key, request_digest=request_digest, answer=dict(answer), at=now)
    )


def forget(session: Session, key: str) -> None:
    """Let go of an answer that things have moved beyond, so that the key serves a new request."""
    session.delete(session.get_one(Answer, key))
    session.flush()


def _as_json(value: Any) -> Any:
    return instant(value) if isinstance(value, datetime) else value


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event begins, not the driver
    for pragma in (
        "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON",
        f"mmap_size={SQLITE_MAPPED}", f"cache_size=-{SQLITE_CACHE_KB}",
    ):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Any) -> None:
    reads_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")
