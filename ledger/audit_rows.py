"""Evidence rows as the database stores them, derived from the bodies of records.

Compared is what is stored, not what our types make of it: a number as text, a time with a fraction, a
JSON value in another spelling is a difference, though it would read alike.

    body   {"frozen": true, "rights": ["use"], "valid_from": "2026-03-02T02:00:00Z", "version": 2, …}
    row    frozen 1      rights ["use"]     valid_from 2026-03-02 02:00:00.000000   version 2   (SQLite)
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    LargeBinary,
    Table,
    Text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from ledger.audit_findings import Findings
from ledger.errors import LedgerError
from ledger.store import CanonicalJson, UtcTime
from valuation import ValuationError

OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
UNREADABLE = (
    ArithmeticError, AttributeError, LedgerError, LookupError, TypeError, ValuationError, ValueError,
)  # fmt: skip
"""what a spoiled row raises where something is derived from it: it is told of the row itself"""
Body = dict[str, Any]
NAMED = re.compile(r"(?<!:):(\w+)")
LABELS = ("number", "order_reference", "reference", "code")  # what people call a thing by


@dataclass(frozen=True)
class Form:
    """How a kind of column is stored: of which Python types its raw value is, and how it is made."""

    types: frozenset[type]
    make: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Unreadable:
    """Stands for a value that the database cannot give out."""

    cause: str


def forms(dialect: str) -> dict[str, Form]:
    """The forms of a database by the kind of column."""

    def of(*types: type, make: Callable[[Any], Any] | None = None) -> Form:
        return Form(frozenset({*types, type(None)}), make)

    is_sqlite = dialect == "sqlite"
    return {
        "bytes": of(bytes),
        "flag": of(int, make=int) if is_sqlite else of(bool),
        "json": of(str, make=lambda value: orjson.dumps(value, option=OPTIONS).decode()),
        "number": of(int),
        "text": of(str),
        "time": of(str, make=_time_text) if is_sqlite else of(datetime, make=_time),
    }


def _time_text(at: str) -> str:
    _time(at)
    return f"{at[:10]} {at[11:19]}.000000"


def _time(at: str) -> datetime:
    if len(at) != len("2026-03-02T02:00:00Z") or at[10] != "T" or at[19] != "Z":
        raise ValueError("this is no time of a record")
    return datetime.fromisoformat(at)


def kind_of(column: Column[Any]) -> str:
    """Which form a column has."""
    kinds: Iterable[tuple[type[TypeEngine[Any]], str]] = (
        (UtcTime, "time"), (CanonicalJson, "json"), (Boolean, "flag"), (LargeBinary, "bytes"),
        (BigInteger, "number"), (Text, "text"),
    )  # fmt: skip
    for kind, name in kinds:
        if isinstance(column.type, kind):
            return name
    if column.type.python_type is str:
        return "text"
    raise AssertionError(f"{column}: how is a {column.type!r} stored?")


class Shape:
    """The columns of a table: how to select them raw, and how to derive them from bodies."""

    def __init__(self, table: Table, dialect: str) -> None:
        known = forms(dialect)
        self.name = table.name
        self.columns = {column.key: known[kind_of(column)] for column in table.columns}

    def selected(self, alias: str) -> str:
        return ", ".join(f'{alias}."{column}"' for column in self.columns)

    def derived(self, column: str, value: Any) -> Any:
        """The stored form of a body's value; a ValueError or TypeError where it has none."""
        make = self.columns[column].make
        return value if make is None or value is None else make(value)

    def fits(self, columns: Sequence[tuple[Any, ...]], bodies: Sequence[Body]) -> bool:
        """Whether rows, given column by column, are stored as their bodies say; nothing is explained."""
        try:
            for (column, form), values in zip(self.columns.items(), columns, strict=True):
                try:
                    due = tuple(map(itemgetter(column), bodies))
                except KeyError:  # recorded before there was the column: absent is empty
                    due = tuple(body.get(column) for body in bodies)
                if form.make is not None:
                    due = tuple(None if one is None else form.make(one) for one in due)
                if values != due or not form.types.issuperset(map(type, values)):
                    return False
        except (TypeError, ValueError):
            return False
        return True

    def explain(self, findings: Findings, kind: str, row: tuple[Any, ...], body: Body) -> None:
        """Note each column of one row that is not as the body says."""
        label = next((body[one] for one in LABELS if type(body.get(one)) is str), None)
        name = body.get("id") if label is None else f"{label} {body.get('id')}"
        for (column, form), known in zip(self.columns.items(), row, strict=True):
            try:
                due = self.derived(column, body.get(column))
            except (TypeError, ValueError):
                due = body.get(column)
            if isinstance(known, Unreadable):
                findings.compare(kind, name, column, known.cause, due)
            elif known != due or type(known) not in form.types:
                findings.compare(kind, name, column, known, due)


class Unread(Exception):
    """The database could not give out what was asked for; the message says why."""


@lru_cache(maxsize=256)
def _as_psycopg(sql: str) -> str:
    """A statement with `:name` for its values as psycopg wants it."""
    return NAMED.sub(r"%(\1)s", sql.replace("%", "%%"))


def fetch(connection: Connection, sql: str, **values: Any) -> list[tuple[Any, ...]]:
    """All rows as the driver gives them; raises Unread where it cannot."""
    dbapi = connection.dialect.loaded_dbapi
    driver: Any = connection.connection
    try:
        if connection.dialect.name == "sqlite":
            cursor = driver.cursor().execute(sql, values)
        else:  # binary: else each value would be spelled and parsed on its way
            cursor = driver.cursor(binary=True).execute(_as_psycopg(sql), values)
        return [] if cursor.description is None else list(cursor.fetchall())
    except (SQLAlchemyError, dbapi.Error, OverflowError, TypeError, ValueError) as error:
        said = str(getattr(error, "orig", None) or error).splitlines()
        raise Unread(said[0] if said else type(error).__name__) from error


def fetch_readable(
    connection: Connection, table: str, columns: Sequence[str], key: str, where: str, **values: Any
) -> list[tuple[Any, ...]]:
    """Rows by their key, though some cannot be read: an `Unreadable` stands where a value should."""
    tail = f'FROM {table} WHERE {where} ORDER BY "{key}"'
    try:
        return fetch(connection, f"SELECT {', '.join(map(quoted, columns))} {tail}", **values)
    except Unread:
        keys = fetch(connection, f'SELECT "{key}" {tail}', **values)
    rows = []
    for (one,) in keys:
        row: list[Any] = []
        for column in columns:
            try:
                sql = f'SELECT "{column}" FROM {table} WHERE "{key}" = :one'  # noqa: S608 - our own words
                found = fetch(connection, sql, one=one)
                row.append(found[0][0] if found else Unreadable("it cannot be found by its key"))
            except Unread as error:
                row.append(Unreadable(str(error)))
        rows.append(tuple(row))
    return rows


def quoted(column: str) -> str:
    return f'"{column}"'
