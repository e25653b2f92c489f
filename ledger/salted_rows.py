"""Rows by the million under one record: salted, hashed, proved by the RFC 6962 root over them.

    table   batch, n (from 1), a key that is unique in the table, salt (16 bytes), row (canonical text)
    leaf    SHA-256(0x00 ‖ salt16 ‖ canonical row)

Rows are written and read by the driver itself, a chunk at a time: objects would take ten times as long.
`ledger.usage` keeps events so, `ledger.confirmations` trades.
"""

import hashlib
import io
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson
import polars as pl
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import InstrumentedAttribute, Session

from ledger.errors import Conflict, LedgerError
from ledger.log import ROWS_A_STATEMENT
from ledger.proof.merkle import inclusion_proof, root, verify_inclusion

CHUNK: Final = 1 << 15  # rows at a time; a power of two, so that each is a subtree of the batch
SALT_BYTES: Final = 16
PIECE: Final = 1 << 10  # rows sent to PostgreSQL before they are hashed; a power of two as well
COPY_BEGINS: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_ENDS: Final = b"\xff\xff"
HEAD: Final = struct.Struct(">hiqiqi").pack
SALT: Final = struct.Struct(f">i{SALT_BYTES}si").pack


class Repeated(Conflict):
    """Some key is there already."""


@dataclass(frozen=True)
class Rows:
    """A table of salted rows, and what its key is called there."""

    table: str
    key: str

    @property
    def mistyped(self) -> str:
        """The query for batch and n of rows that SQLite holds as another type than was stored.

        Such a row reads, and hashes, like the one that was there.
        """
        return (
            f"SELECT batch, n FROM {self.table} "  # noqa: S608 - our own words only
            f"WHERE typeof(row) <> 'text' OR typeof({self.key}) <> 'text' OR typeof(salt) <> 'blob'"
        )

    def put(self, session: Session, no: int, place: int, chunk: pl.DataFrame) -> bytes:
        """Store chunk number `place` of batch `no` (columns: the key, `row`), salted; the root over it.

        Raises Repeated where a key is known already.
        """
        drawn = os.urandom(SALT_BYTES * chunk.height)  # one question to the system for all salts
        salts = [drawn[at : at + SALT_BYTES] for at in range(0, len(drawn), SALT_BYTES)]
        put = self._copy if session.get_bind().dialect.name == "postgresql" else self._insert
        with self._once(session):
            return put(session, no, place * CHUNK + 1, chunk, salts)

    def read(self, session: Session, no: int, after: int, limit: int) -> list[tuple[Any, ...]]:
        """Stored rows as (n, key, salt, row's bytes), in order."""
        sign, text, more = "?", "CAST(row AS BLOB)", {}
        if session.get_bind().dialect.name == "postgresql":
            sign, text, more = "%s", "convert_to(row, 'UTF8')", {"binary": True}
        wanted = (
            f"SELECT n, {self.key}, salt, {text} FROM {self.table} "  # noqa: S608 - our own words only
            f"WHERE batch = {sign} AND n > {sign} ORDER BY n LIMIT {sign}"
        )
        found: list[tuple[Any, ...]] = (
            driver(session).execute(wanted, (no, after, limit), **more).fetchall()
        )
        return found

    def chunks(self, session: Session, no: int) -> Iterator[list[tuple[Any, ...]]]:
        """All stored rows of a batch, `CHUNK` at a time, in order, whatever their numbers are."""
        last = -(2**63)
        while found := self.read(session, no, last, CHUNK):
            yield found
            last = found[-1][0]

    def proof(
        self, session: Session, no: int, n: int, roots: Sequence[bytes], batch_root: str, count: int
    ) -> dict[str, Any] | None:
        """A row with its salt and its path to the batch's root: `inclusion`, `row`, `row_index`, `salt`.

        None where the stored rows do not lead to the recorded root. It reveals no other row.
        """
        place, index = divmod(n - 1, CHUNK)
        chunk = self.read(session, no, place * CHUNK, min(CHUNK, count - place * CHUNK))
        try:
            salts, rows = [one[2] for one in chunk], [one[3] for one in chunk]
            hashes = leaves(salts, rows)
            path = [
                *inclusion_proof(hashes, index, len(hashes)),
                *inclusion_proof(roots, place, len(roots)),
            ]
            verify_inclusion(hashes[index], n - 1, count, path, bytes.fromhex(batch_root))
        except (LedgerError, TypeError, ValueError, IndexError):
            return None
        return {
            "inclusion": [one.hex() for one in path], "row": parsed(rows[index]),
            "row_index": n - 1, "salt": salts[index].hex(),
        }  # fmt: skip

    @contextmanager
    def _once(self, session: Session) -> Iterator[None]:
        """The driver is spoken to directly: its refusals become those that everybody knows."""
        known = session.get_bind().dialect.loaded_dbapi
        try:
            yield
        except known.IntegrityError as error:
            raise Repeated("Some of these rows are recorded already.") from error
        except known.OperationalError as error:
            raise OperationalError(self.table, None, error) from error

    def _insert(
        self, session: Session, no: int, first: int, chunk: pl.DataFrame, salts: list[bytes]
    ) -> bytes:
        """Rows into SQLite; the root over their hashes."""
        keys, rows = chunk[self.key].to_list(), as_bytes(chunk["row"])
        # A row is hashed as bytes, and cast as it is bound; casting a key would cost a sixth of it all.
        driver(session).executemany(
            f"INSERT INTO {self.table} (batch, n, {self.key}, salt, row) "  # noqa: S608 - our own words
            "VALUES (?, ?, ?, ?, CAST(? AS TEXT))",
            zip([no] * len(rows), range(first, first + len(rows)), keys, salts, rows, strict=True),
        )
        return root(leaves(salts, rows))

    def _copy(
        self, session: Session, no: int, first: int, chunk: pl.DataFrame, salts: list[bytes]
    ) -> bytes:
        """Rows into PostgreSQL; while the server stores a piece, it is hashed here.

        By turns in one thread, since two would wait for one interpreter. Binary, since that is a sixth
        less work for the server than text; packed here, since a call of `write_row` costs more than a row.
        """
        keys, rows = as_bytes(chunk[self.key]), as_bytes(chunk["row"])
        # In its binary form COPY takes text in the client's encoding, whatever that was set to.
        session.execute(select(func.set_config("client_encoding", "UTF8", True)))
        copying = f"COPY {self.table} (batch, n, {self.key}, salt, row) FROM STDIN (FORMAT BINARY)"
        roots = []
        with driver(session).cursor().copy(copying) as copy:
            copy.write(COPY_BEGINS)
            for start in range(0, len(rows), PIECE):
                piece = slice(start, start + PIECE)
                copy.write(_packed(no, first + start, keys[piece], salts[piece], rows[piece]))
                roots.append(root(leaves(salts[piece], rows[piece])))
            copy.write(COPY_ENDS)
        return root(roots)


def places(
    session: Session, key: InstrumentedAttribute[str], number: InstrumentedAttribute[str], prefix: str,
    asked: Sequence[str],
) -> pl.DataFrame:  # fmt: skip
    """Where each of the keys that is recorded stands: the key without its prefix, and `fact`, its place.

    `key` is the key of the rows, `number` that of their batch.
    """
    rows, batch = key.class_, number.class_
    found: list[tuple[str, str]] = []
    for start in range(0, len(asked), ROWS_A_STATEMENT):
        wanted = (
            select(key, number, rows.n)
            .join(batch, batch.no == rows.batch)
            .where(key.in_([prefix + one for one in asked[start : start + ROWS_A_STATEMENT]]))
        )
        found += [
            (one.removeprefix(prefix), f"{no} #{n}") for one, no, n in session.execute(wanted)
        ]
    return pl.DataFrame(found, schema={key.key: pl.String, "fact": pl.String}, orient="row")


def as_lines(table: pl.DataFrame) -> bytes:
    """The rows of a table, cells parted by tabs, each row ended by a line feed, nothing escaped."""
    out = io.BytesIO()
    table.write_csv(out, include_header=False, separator="\t", quote_style="never")
    return out.getvalue()


def as_bytes(column: pl.Series) -> list[bytes]:
    """The cells of a column of text, in UTF-8."""
    return column.cast(pl.Binary).to_list()


def leaves(salts: Sequence[bytes], rows: Sequence[bytes]) -> list[bytes]:
    """`ledger.proof.bundle.row_hash` of each canonical row, without a call a row."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + salt + row).digest() for salt, row in zip(salts, rows, strict=True)]


def parsed(row: str | bytes) -> dict[str, Any]:
    """A stored row as a value."""
    return dict(orjson.loads(row))


def driver(session: Session) -> Any:
    """The driver's own connection, in this session's transaction."""
    session.flush()
    return session.connection().connection.driver_connection


def _packed(no: int, first: int, keys: list[bytes], salts: list[bytes], rows: list[bytes]) -> bytes:
    """Rows as COPY's binary form has them: the number of columns, then each with its length before it."""
    out: list[bytes] = []
    numbers = range(first, first + len(rows))
    for n, key, salt, row in zip(numbers, keys, salts, rows, strict=True):
        out += HEAD(5, 8, no, 8, n, len(key)), key, SALT(SALT_BYTES, salt, len(row)), row
    return b"".join(out)
