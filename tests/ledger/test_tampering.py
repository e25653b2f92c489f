"""Nothing that is done to the database escapes the audit, below what the contract holds.

The liar has the database file and every key of the house; the chain he cannot rewrite. The cases are
generated from the tables' own columns. Each one changes a copy of one honest town past all our rules
(no foreign keys, constraints dropped where they are in his way), and a real audit with the real chain
must find it. What evidence does not cover stands in `UNCOVERED`, each with its reason.
"""

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from sqlalchemy import Connection, Engine, delete, insert
from sqlalchemy.exc import IntegrityError

from ledger import log
from ledger.audit_rows import kind_of
from ledger.nouns import evidence_tables
from ledger.proof import checkpoint as notes
from ledger.proof import tiles as tiling
from ledger.proof.bundle import payload_digest
from ledger.proof.merkle import leaf_hash, root
from ledger.store import Base, canonical_fast, open_engine
from ledger.supervision import BESIDE_TABLES, LOG_TABLES, Difference
from tests.conftest import ORIGIN, create_database
from tests.ledger.audited import Anchored, anchored_town

CASES_MIN = 500
SAMPLE = 60  # of them in the fast suite
# Columns and tables that a change of leaves without trace, and why that is no hole.
UNCOVERED = {
    (
        "checkpoints",
        "sealed_at",
    ): "when we say we sealed it; the note is not dated, the anchor's block is",
    (
        "checkpoints",
        "confirmed_at",
    ): "when we saw it final; that it is anchored is compared, not when",
}
OPERATIONAL = {
    "accounts": "personal data; they stand in no payload",
    "acts": "the outbox: the contracts' events are the evidence; an alarm is told",
    "alarm_marks": "how far the log was looked through for alarms",
    "answers": "the first answer to each request",
    "api_tokens": "the members' tokens",
    "catalogue_mappings": "how columns were mapped the last time, to guess by",
    "drafts": "what nobody has handed in",
    "jobs": "long work and its outcome",
    "message_readings": "which member has read which message",
    "messages": "what people are told: the records say what happened",
    "numbers": "the next serial numbers; each number given stands in a record",
    "peer_visits": "what other registries said last: their status lists prove themselves",
    "proposed_changes": "lines of a proposal: their digest stands in its record, asked when it is decided",
    "search_blocks": "how often the index was changed",
    "search_docs": "which version of a resource is in the index",
    "search_postings": "the index, made anew from the resources at any time",
    "search_progress": "how far the index has come",
    "sign_ins": "the members' passwords",
    "usage_intakes": "batches on their way in",
    "usage_subtrees": "derived from the rows, to prove faster; compared all the same",
    "witness_visits": "how asking a witness went",
}  # fmt: skip
BESIDE = {
    "book_accounts": "the fold of entries and holds: compared with it",
    "entry_lines": "the lines that their entries say: compared with them",
    "cosignatures": "signed by others over our checkpoints: each is verified",
    "disclosures": "in clear what a voucher withholds: compared with the voucher",
    "settlements": "what payments, refunds and confirmed trades say: compared with them",
    "trades": "proved by their confirmation's root",
    "usage_rows": "proved by their batch's root",
}


@dataclass(frozen=True)
class Case:
    """One tampering: its name, what it does, and (where that is sure) the kind of a difference."""

    name: str
    act: Callable[[sqlite3.Connection, Anchored], None]
    kind: str = ""


@pytest.fixture(scope="module")
def anchored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anchored]:
    with anchored_town(tmp_path_factory.mktemp("anchored")) as made:
        yield made


# ---------------------------------------------------------------- the liar's hand


@contextmanager
def liar(path: Path) -> Iterator[sqlite3.Connection]:
    """The database past all our rules; he takes the guards of the books away, and puts them back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        link.execute("PRAGMA foreign_keys=OFF")
        link.execute("PRAGMA synchronous=OFF")
        guards = link.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in guards:
            link.execute(f"DROP TRIGGER {name}")
        yield link
        for _, text in guards:
            link.execute(text)


def loosen(link: sqlite3.Connection, table: str) -> None:
    """Take a table's constraints away: keys, uniqueness, NOT NULL, and the types' affinity."""
    columns = [row[1] for row in link.execute(f"PRAGMA table_info({table})")]
    named = ", ".join(f'"{column}"' for column in columns)
    link.execute(f"CREATE TABLE liars_copy ({named})")
    link.execute(f"INSERT INTO liars_copy SELECT {named} FROM {table}")
    link.execute(f"DROP TABLE {table}")
    link.execute(f"ALTER TABLE liars_copy RENAME TO {table}")


def run(link: sqlite3.Connection, table: str, statement: str, *values: Any) -> int:
    """A statement that must take effect, if need be after the constraints are gone."""
    try:
        return link.execute(statement, values).rowcount
    except sqlite3.IntegrityError:
        loosen(link, table)
        return link.execute(statement, values).rowcount


def tampered(anchored: Anchored, case: Case, folder: Path) -> list[Difference] | None:
    """What the audit says of a copy after the case; None where it changed no stored byte."""
    path = anchored.copy(folder)
    with liar(path) as link:
        if not HONEST:
            HONEST.update(dump(link))
        case.act(link, anchored)
        if dump(link) == HONEST:
            return None
    return anchored.audit_file(path)


HONEST: dict[str, int] = {}  # the honest town's `dump`


def dump(link: sqlite3.Connection) -> dict[str, int]:
    """Every stored value of the tables that evidence covers, with its type: a hash a table."""
    found = {}
    for model in (*LOG_TABLES, *evidence_tables(), *BESIDE_TABLES):
        columns = [column.key for column in model.__table__.columns]
        named = ", ".join(f'typeof("{one}"), CAST("{one}" AS BLOB)' for one in columns)
        rows = link.execute(f"SELECT {named} FROM {model.__tablename__}")
        found[model.__tablename__] = hash(frozenset(Counter(rows).items()))
    return found


# ---------------------------------------------------------------- each column, in each way

# The kind of a column: what may be done to a value of it, as SQL over the column {c}.
WAYS: dict[str, dict[str, str]] = {
    "text": {
        "another": "'another'", "empty": "''", "a blank more": "{c} || ' '", "NUL": "{c} || char(0)",
        "as bytes": "CAST({c} AS BLOB)", "none": "NULL", "no UTF-8": "CAST(x'ff' AS TEXT)",
        "other case": "CASE WHEN {c} = upper({c}) THEN lower({c}) ELSE upper({c}) END",
    },
    "number": {
        "one more": "{c} + 1", "a half more": "{c} + 0.5", "text": "'x'", "none": "NULL",
        "minus": "-{c} - 1", "huge": "9223372036854775807", "as bytes": "CAST({c} AS BLOB)",
    },
    "flag": {"turned": "1 - {c}", "two": "2", "text": "'true'", "none": "NULL"},
    "time": {
        "a second later": "substr({c}, 1, 18) || ((substr({c}, 19, 1) + 1) % 10) || substr({c}, 20)",
        "a fraction": "substr({c}, 1, 25) || '7'", "no fraction": "substr({c}, 1, 19)",
        "with zone": "{c} || '+08:00'", "no time": "'noon'", "none": "NULL", "a number": "5",
    },
    "json": {
        "another": "'{{\"other\":1}}'", "another spelling": "' ' || {c}", "broken": "'['",
        "as bytes": "CAST({c} AS BLOB)", "none": "NULL", "null": "'null'",
    },
    "bytes": {
        "another": "zeroblob(length({c}))", "as text": "CAST(hex({c}) AS TEXT)",
        "shorter": "substr({c}, 2)", "longer": "{c} || x'00'", "empty": "x''", "none": "NULL",
    },
}  # fmt: skip
ROWS = {"first": "ASC", "last": "DESC"}


def column_cases() -> Iterator[Case]:
    """Every column of every table that evidence covers, changed in every way."""
    for model in (*evidence_tables(), *LOG_TABLES, *BESIDE_TABLES):
        table = model.__tablename__
        key = next(iter(model.__table__.primary_key.columns)).key
        for column in model.__table__.columns:
            if (table, column.key) in UNCOVERED:
                continue
            for way, value in WAYS[kind_of(column)].items():
                name = f"{table}.{column.key} of the first row: {way}"
                yield Case(name, updating(table, key, column.key, value))


def updating(table: str, key: str, column: str, value: str) -> Callable[..., None]:
    def act(link: sqlite3.Connection, _anchored: Anchored) -> None:
        spelled = value.format(c=f'"{column}"')
        where = f'"{key}" = (SELECT MIN("{key}") FROM {table})'
        run(link, table, f'UPDATE {table} SET "{column}" = {spelled} WHERE {where}')

    return act


def record_cases() -> Iterator[Case]:
    """Each column of records in the middle, of a second version, of a voucher and of the last."""
    places = {
        "in the middle": "leaf_index = 100",
        "of a second version": "leaf_index = (SELECT MIN(leaf_index) FROM records "
                               "WHERE subject_version = 2)",
        "of a voucher": "leaf_index = (SELECT MAX(leaf_index) FROM records WHERE kind = 'voucher.freeze')",
        "at the end": "leaf_index = (SELECT MAX(leaf_index) FROM records)",
    }  # fmt: skip
    for where, condition in places.items():
        for column in log.Record.__table__.columns:
            for way, value in WAYS[kind_of(column)].items():
                spelled = value.format(c=f'"{column.key}"')
                statement = f'UPDATE records SET "{column.key}" = {spelled} WHERE {condition}'
                yield Case(f"record {where}, {column.key}: {way}", doing("records", statement))


def doing(table: str, *statements: str) -> Callable[..., None]:
    def act(link: sqlite3.Connection, _anchored: Anchored) -> None:
        for statement in statements:
            run(link, table, statement)

    return act


# ---------------------------------------------------------------- rows: gone, more, moved


def row_cases() -> Iterator[Case]:
    """In every table: rows deleted, doubled, invented, renamed, swapped, put back to an older state."""
    for model in evidence_tables():
        table = model.__tablename__
        first = f"id = (SELECT MIN(id) FROM {table})"
        columns = [column.key for column in model.__table__.columns]
        rest = ", ".join(f'"{one}"' for one in columns if one != "id")
        yield Case(
            f"{table}: the first row deleted",
            doing(table, f"DELETE FROM {table} WHERE {first}"),
            table,
        )
        yield Case(f"{table}: all rows deleted", doing(table, f"DELETE FROM {table}"), table)
        copied = (
            f"INSERT INTO {table} (id, {rest}) SELECT {{id}}, {rest} FROM {table} WHERE {first}"
        )
        yield Case(f"{table}: a row invented", doing(table, copied.format(id="'invented'")), table)
        yield Case(f"{table}: a row doubled", doing(table, copied.format(id="id")), table)
        others = "(SELECT MIN(subject_id) FROM records WHERE subject_type <> '{}')"
        borrowed = others.format(model.subject_type)
        yield Case(
            f"{table}: a row under another thing's id",
            doing(table, copied.format(id=borrowed)),
            table,
        )
        yield Case(
            f"{table}: a row renamed",
            doing(table, f"UPDATE {table} SET id = 'x' WHERE {first}"),
            table,
        )
        yield Case(f"{table}: put back to its first version", put_back(table, columns), "")
        yield Case(f"{table}: two rows swapped", swapped(table), "")


def put_back(table: str, columns: list[str]) -> Callable[..., None]:
    """The row of a subject with several versions becomes what its first record says."""

    def act(link: sqlite3.Connection, _anchored: Anchored) -> None:
        found = link.execute(
            f"SELECT r.payload FROM records r JOIN {table} t ON t.id = r.subject_id "
            "WHERE r.subject_version = 1 AND t.version > 1 LIMIT 1"
        ).fetchone()
        if found is None:
            return
        body = orjson.loads(found[0])["body"]
        for column in columns:
            if column != "id":
                run(link, table, f'UPDATE {table} SET "{column}" = ? WHERE id = ?',
                    stored(body[column], table, column), body["id"])  # fmt: skip

    return act


def swapped(table: str) -> Callable[..., None]:
    def act(link: sqlite3.Connection, _anchored: Anchored) -> None:
        ids = [one for (one,) in link.execute(f"SELECT id FROM {table} ORDER BY id LIMIT 2")]
        if len(ids) == 2:
            for old, new in ((ids[0], "aside"), (ids[1], ids[0]), ("aside", ids[1])):
                run(link, table, f"UPDATE {table} SET id = ? WHERE id = ?", new, old)

    return act


def stored(value: Any, table: str, column: str) -> Any:
    """A body's value as SQLite stores it."""
    kind = kind_of(Base.metadata.tables[table].columns[column])
    if value is None:
        return None
    if kind == "json":
        return canonical_fast(value).decode()
    return f"{value[:10]} {value[11:19]}.000000" if kind == "time" else value


RECORD = ", ".join(column.key for column in log.Record.__table__.columns)
LAST = "(SELECT MAX(leaf_index) FROM records)"


def copied(index: str, version: str = "99", source: int = 5) -> str:
    fields = RECORD.replace("leaf_index", index, 1).replace("subject_version", version)
    return (
        f"INSERT INTO records ({RECORD}) SELECT {fields} FROM records WHERE leaf_index = {source}"
    )


def moved(*pairs: tuple[str, str]) -> Callable[..., None]:
    return doing(
        "records",
        *(f"UPDATE records SET leaf_index = {new} WHERE leaf_index = {old}" for old, new in pairs),
    )


def log_cases() -> Iterator[Case]:
    """Records deleted, inserted, swapped, cut off; tiles and checkpoints alike."""
    for index in (0, 1, 7, 100, 255, 256, 300, 330):
        yield Case(
            f"record {index} deleted",
            doing("records", f"DELETE FROM records WHERE leaf_index = {index}"),
        )
        yield Case(
            f"record {index} deleted, those after it moved up",
            doing("records", f"DELETE FROM records WHERE leaf_index = {index}",
                  f"UPDATE records SET leaf_index = -leaf_index - 1 WHERE leaf_index > {index}",
                  "UPDATE records SET leaf_index = -leaf_index - 2 WHERE leaf_index < 0",
                  "UPDATE log_head SET tree_size = tree_size - 1"),
        )  # fmt: skip
    for a, b in ((0, 1), (5, 6), (10, 200), (254, 257), (100, 101)):
        yield Case(
            f"records {a} and {b} swapped", moved((str(a), "-9"), (str(b), str(a)), ("-9", str(b)))
        )
    for index in (
        "-1",
        "1000000",
        "5.5",
        "'text'",
        "x'05'",
        "NULL",
        "9223372036854775807",
        "5",
        f"{LAST} + 1",
    ):
        yield Case(f"a record inserted at {index}", doing("records", copied(index)), "")
        yield Case(
            f"a record inserted at {index}, the head adapted",
            doing("records", copied(index), "UPDATE log_head SET tree_size = tree_size + 1"),
        )  # fmt: skip
    yield Case("a record twice, same version", doing("records", copied("5", "subject_version")))
    yield Case("no records at all", doing("records", "DELETE FROM records"))
    for level in ("0", "1"):
        where = f"WHERE level = {level} AND n = 0"
        yield Case(f"tile {level} 0 deleted", doing("tiles", f"DELETE FROM tiles {where}"), "tile")
        yield Case(
            f"tile {level} 0 doubled",
            doing("tiles", f"INSERT INTO tiles SELECT * FROM tiles {where}"),
            "tile",
        )
        for cut in (32, 1, 16):
            sql = f"UPDATE tiles SET hashes = substr(hashes, 1, length(hashes) - {cut}) {where}"
            yield Case(f"tile {level} 0 cut by {cut}", doing("tiles", sql), "tile")
        swap = "substr(hashes, 33, 32) || substr(hashes, 1, 32) || substr(hashes, 65)"
        yield Case(
            f"tile {level} 0, two hashes swapped",
            doing("tiles", f"UPDATE tiles SET hashes = {swap} {where}"),
            "",
        )
    for place in (
        "0, 7",
        "0, -1",
        "2, 0",
        "9, 9",
        "-1, 0",
        "'x', 0",
        "0, 0.5",
        "0, 'x'",
        "NULL, 0",
        "0, NULL",
    ):
        sql = f"INSERT INTO tiles (level, n, hashes) SELECT {place}, hashes FROM tiles LIMIT 1"
        yield Case(f"a tile at {place}", doing("tiles", sql), "tile")
    for row in (
        "2, 'x', 5",
        "0, origin, tree_size",
        "NULL, origin, tree_size",
        "1, origin, tree_size",
    ):
        sql = f"INSERT INTO log_head (id, origin, tree_size, last_at) SELECT {row}, last_at FROM log_head"
        yield Case(f"a second head ({row})", doing("log_head", sql), "log head")
    yield Case("the head deleted", doing("log_head", "DELETE FROM log_head"), "log head")
    for n in range(4):
        anchors = "SELECT tree_size FROM checkpoints WHERE anchor_block IS NOT NULL ORDER BY 1"
        where = f"WHERE tree_size = ({anchors} LIMIT 1 OFFSET {n})"
        yield Case(
            f"anchored checkpoint {n} deleted",
            doing("checkpoints", f"DELETE FROM checkpoints {where}"),
            "checkpoint",
        )
        yield Case(
            f"anchored checkpoint {n} doubled",
            doing("checkpoints", f"INSERT INTO checkpoints SELECT * FROM checkpoints {where}"),
            "",
        )
        nulls = "anchor_block = NULL, anchor_transaction = NULL, confirmed_at = NULL"
        yield Case(
            f"checkpoint {n} said not to be anchored",
            doing("checkpoints", f"UPDATE checkpoints SET {nulls} {where}"),
            "checkpoint",
        )
    lying = ("UPDATE checkpoints SET anchor_block = 3, anchor_transaction = '0x00' "
             "WHERE tree_size = (SELECT MAX(tree_size) FROM checkpoints)")  # fmt: skip
    yield Case(
        "a checkpoint said to be anchored that is not", doing("checkpoints", lying), "checkpoint"
    )
    yield Case(
        "all checkpoints deleted", doing("checkpoints", "DELETE FROM checkpoints"), "checkpoint"
    )


def usage_cases() -> Iterator[Case]:
    """The rows of a batch: gone, more, renumbered, swapped, re-salted, re-spelled."""
    table = "usage_rows"
    insert = "INSERT INTO usage_rows (batch, n, event, salt, row)"
    swap = [
        f"UPDATE usage_rows SET n = {new} WHERE n = {old}"
        for old, new in ((1, -1), (2, 1), (-1, 2))
    ]
    statements = {
        "the first deleted": ["DELETE FROM usage_rows WHERE n = 1"],
        "the last deleted": ["DELETE FROM usage_rows WHERE n = (SELECT MAX(n) FROM usage_rows)"],
        "all deleted": ["DELETE FROM usage_rows"],
        "one more": [f"{insert} SELECT batch, n + 1000, event || 'x', salt, row FROM usage_rows LIMIT 1"],
        "of no batch": [f"{insert} SELECT 77, n, event || 'x', salt, row FROM usage_rows LIMIT 1"],
        "two swapped": swap,
        "a quantity": ["UPDATE usage_rows SET row = replace(row, '\"quantity\":3', '\"quantity\":4')"],
        "another spelling": ["UPDATE usage_rows SET row = row || ' ' WHERE n = 2"],
        "a borrowed salt": [
            "UPDATE usage_rows SET salt = (SELECT salt FROM usage_rows WHERE n = 3) WHERE n = 2"
        ],
    }  # fmt: skip
    for name, some in statements.items():
        yield Case(f"usage rows: {name}", doing(table, *some))


# ---------------------------------------------------------------- rewritten as a whole, with our keys


def rewrite(
    link: sqlite3.Connection,
    anchored: Anchored,
    index: int,
    change: Callable[[dict[str, Any]], None],
) -> None:
    """Change a payload and make all else fit: digest, later prevs, row, tiles, checkpoints re-signed."""
    digests: dict[tuple[str, int], str] = {}
    leaves, last = [], dict[str, dict[str, Any]]()
    for leaf, salt, text in link.execute(
        "SELECT leaf_index, salt, payload FROM records ORDER BY leaf_index"
    ).fetchall():
        payload = orjson.loads(text)
        subject, version = payload["subject"]["id"], payload["body"]["version"]
        if leaf == index:
            change(payload)
        if version > 1:
            payload["prev"] = digests[subject, version - 1]
        data = canonical_fast(payload)
        digest = payload_digest(salt, data)
        digests[subject, version] = digest
        said = {"at": payload["at"], "digest": digest, "kind": payload["kind"], "v": 1}
        leaves.append(leaf_hash(canonical_fast(said)))
        link.execute(
            "UPDATE records SET payload = ?, digest = ?, kind = ?, actor = ?, at = ? WHERE leaf_index = ?",
            (data.decode(), digest, payload["kind"], payload["actor"],
             f"{payload['at'][:10]} {payload['at'][11:19]}.000000", leaf),
        )  # fmt: skip
        last[subject] = payload
    for payload in last.values():
        _write_row(link, payload)
    _write_tree(link, anchored, leaves)


def _write_row(link: sqlite3.Connection, payload: dict[str, Any]) -> None:
    table = next(one for one in evidence_tables() if one.subject_type == payload["subject"]["type"])
    for column in table.__table__.columns:
        value = stored(payload["body"][column.key], table.__tablename__, column.key)
        link.execute(
            f'UPDATE {table.__tablename__} SET "{column.key}" = ? WHERE id = ?',
            (value, payload["subject"]["id"]),
        )


def _write_tree(link: sqlite3.Connection, anchored: Anchored, leaves: list[bytes]) -> None:
    link.execute("DELETE FROM tiles")
    for tile, hashes in tiling.grow({}, 0, leaves).items():
        link.execute("INSERT INTO tiles (level, n, hashes) VALUES (?, ?, ?)", (*tile, hashes))
    for (size,) in link.execute("SELECT tree_size FROM checkpoints").fetchall():
        if size > len(leaves):
            link.execute("DELETE FROM checkpoints WHERE tree_size = ?", (size,))
            continue
        top = root(leaves[:size])
        text = notes.format_checkpoint(notes.Checkpoint(ORIGIN, size, top))
        note = notes.sign(text, ORIGIN, anchored.worker.log_key)
        link.execute(
            "UPDATE checkpoints SET root = ?, note = ? WHERE tree_size = ?", (top.hex(), note, size)
        )
    link.execute("UPDATE log_head SET tree_size = ?", (len(leaves),))


def _set(field: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda payload: payload.update({field: value})


def _set_body(payload: dict[str, Any]) -> None:
    """Another text where the body has one that is no name of anything else."""
    body = payload["body"]
    for field in ("title", "name", "display_name", "state", "origin", "source_name", "memo"):
        if type(body.get(field)) is str:
            body[field] += "改"
            return
    body.update({"rewritten": True})


def rewrites() -> Iterator[Case]:
    """Everything made to fit with the real keys: only the chain contradicts."""
    for index in (0, 3, 20, 30, 41, 42, 100, 255, 256, 300, 319, 325, 330):
        for name, change in {
            "its body": _set_body, "its actor": _set("actor", "mallory"),
            "its reason": _set("reason", "another ground"),
            "on whose behalf": _set("on_behalf_of", "somebody"),
        }.items():  # fmt: skip

            def act(link: sqlite3.Connection, anchored: Anchored, index: int = index,
                    change: Callable[[dict[str, Any]], None] = change) -> None:  # fmt: skip
                rewrite(link, anchored, index, change)

            yield Case(f"record {index} rewritten with our keys: {name}", act, "chain")
    for size in (10, 43, 200, 256, 320, 330):

        def cut(link: sqlite3.Connection, anchored: Anchored, size: int = size) -> None:
            _cut(link, anchored, size)

        yield Case(f"the log cut off at {size} with our keys", cut, "log")
    for index in (0, 40, 100):

        def drop(link: sqlite3.Connection, anchored: Anchored, index: int = index) -> None:
            _drop(link, anchored, index)

        yield Case(f"record {index} dropped with its row, with our keys", drop, "chain")


def _cut(link: sqlite3.Connection, anchored: Anchored, size: int) -> None:
    """The log ends at a size, and every row is as it was then."""
    link.execute("DELETE FROM records WHERE leaf_index >= ?", (size,))
    for table in evidence_tables():
        link.execute(
            f"DELETE FROM {table.__tablename__} WHERE id NOT IN (SELECT subject_id FROM records)"
        )
    leaves = []
    for payload, digest in link.execute(
        "SELECT payload, digest FROM records ORDER BY leaf_index"
    ).fetchall():
        said = orjson.loads(payload)
        entry = {"at": said["at"], "digest": digest, "kind": said["kind"], "v": 1}
        leaves.append(leaf_hash(canonical_fast(entry)))
        _write_row(link, said)
        at = f"{said['at'][:10]} {said['at'][11:19]}.000000"
    link.execute("UPDATE log_head SET last_at = ?", (at,))
    _write_tree(link, anchored, leaves)


def _drop(link: sqlite3.Connection, anchored: Anchored, index: int) -> None:
    """A record and its subject's row vanish, the rest moves up, all is signed anew."""
    (subject,) = link.execute(
        "SELECT subject_id FROM records WHERE leaf_index = ?", (index,)
    ).fetchone()
    link.execute("DELETE FROM records WHERE subject_id = ?", (subject,))
    for table in evidence_tables():
        link.execute(f"DELETE FROM {table.__tablename__} WHERE id = ?", (subject,))
    rows = link.execute("SELECT leaf_index FROM records ORDER BY leaf_index").fetchall()
    for place, (leaf,) in enumerate(rows):
        link.execute("UPDATE records SET leaf_index = ? WHERE leaf_index = ?", (place, leaf))
    rewrite(link, anchored, -1, lambda _: None)


def cases() -> list[Case]:
    return [
        *column_cases(), *record_cases(), *row_cases(), *log_cases(), *usage_cases(), *rewrites(),
    ]  # fmt: skip


# ---------------------------------------------------------------- the tests


def escaped(anchored: Anchored, some: list[Case], folder: Path) -> tuple[list[str], int]:
    """The cases that the audit did not find, and how many changed anything."""
    free, count = [], 0
    for case in some:
        try:
            found = tampered(anchored, case, folder)
        except Exception as error:  # an audit that breaks off tells nobody anything
            free.append(f"{case.name}: {error!r}")
            continue
        if found is None:
            continue
        count += 1
        if not found or (case.kind and case.kind not in {one.kind for one in found}):
            free.append(f"{case.name}: {[(one.place, one.field) for one in found[:3]]}")
    return free, count


def test_the_honest_town_is_clean(anchored: Anchored) -> None:
    assert anchored.audit_file(anchored.database) == []
    with anchored.home.reading() as session:
        for table in (*evidence_tables(), *BESIDE_TABLES):
            assert session.query(table).first() is not None, table.__tablename__
    assert anchored.anchored < anchored.size, "the last record is sealed only"
    assert len(anchored.old) >= 4


def test_no_tampering_of_a_sample_escapes(anchored: Anchored, tmp_path: Path) -> None:
    everything = cases()
    assert len({case.name for case in everything}) == len(everything)
    some = random.Random(4).sample(everything, SAMPLE)
    free, count = escaped(anchored, some, tmp_path)
    assert free == []
    assert count > SAMPLE // 2


@pytest.mark.slow
def test_no_tampering_at_all_escapes(anchored: Anchored, tmp_path: Path) -> None:
    free, count = escaped(anchored, cases(), tmp_path)
    print(f"\n{count} ways of tampering, {len(free)} escaped")
    assert free == []
    assert count >= CASES_MIN


def test_an_older_copy_put_back_lacks_what_the_contract_holds(anchored: Anchored) -> None:
    for size, path in anchored.old.items():
        if size == anchored.anchored:
            continue
        found = anchored.audit_file(path)
        assert ("log", "records", str(size)) in {
            (one.kind, one.field, one.known) for one in found
        } or any(one.kind == "log" for one in found), size


def test_a_rewritten_history_is_contradicted_only_from_outside(
    anchored: Anchored, tmp_path: Path
) -> None:
    path = anchored.copy(tmp_path)
    with liar(path) as link:
        rewrite(link, anchored, 0, _set_body)
    found = anchored.audit_file(path)
    # The contracts hold the root, and the digests of deeds that followed; a witness signed as well.
    assert {one.kind for one in found} <= {
        "chain",
        "cosignature",
        "voucher",
        "licence",
        "statement",
    }
    assert {one.field for one in found if one.kind == "chain"} == {"root"}


def test_above_the_last_anchor_a_rewrite_with_our_keys_is_not_found(
    anchored: Anchored, tmp_path: Path
) -> None:
    """What no contract holds yet, nobody outside can vouch for; it is soon below the next anchor."""
    path = anchored.copy(tmp_path)
    with liar(path) as link:
        rewrite(link, anchored, anchored.size - 1, _set("reason", "another ground"))
    assert anchored.audit_file(path) == []


def test_what_is_uncovered_is_just_that(anchored: Anchored, tmp_path: Path) -> None:
    for table, column in UNCOVERED:
        path = anchored.copy(tmp_path)
        with liar(path) as link:
            later = WAYS["time"]["a second later"].format(c=column)
            link.execute(f"UPDATE {table} SET {column} = {later} WHERE {column} IS NOT NULL")
        assert anchored.audit_file(path) == [], (table, column)


def test_every_table_is_evidence_or_operational() -> None:
    covered = {model.__tablename__ for model in (*LOG_TABLES, *evidence_tables())}
    assert covered | set(BESIDE) | set(OPERATIONAL) == set(Base.metadata.tables)
    assert not covered & (set(BESIDE) | set(OPERATIONAL))
    assert {model.__tablename__ for model in BESIDE_TABLES} == set(BESIDE)
    for mapper in Base.registry.mappers:
        name = mapper.class_.__tablename__
        told = "(operational" in (mapper.class_.__doc__ or "")
        assert told == (name in {*OPERATIONAL, *BESIDE} - {"trades", "usage_rows"}), name


@pytest.mark.slow
def test_no_tampering_of_a_sample_escapes_on_postgresql(anchored: Anchored, postgres: str) -> None:
    """The same rows on PostgreSQL, tampered with in transactions that are undone."""
    create_database(postgres, "tampered", "empty_town")
    engine = open_engine(postgres.replace("/postgres?", "/tampered?"))
    try:
        carry_over(anchored, engine)
        assert anchored.audit(engine) == []
        free = []
        for name, statement in postgres_cases():
            with engine.connect() as connection, connection.begin() as deed:
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
                assert past_constraints(connection, statement), name
                if not anchored.audit_connection(connection):
                    free.append(name)
                deed.rollback()
        assert free == []
    finally:
        engine.dispose()
        with psycopg.connect(postgres, autocommit=True) as server:
            server.execute("DROP DATABASE tampered WITH (FORCE)")


def past_constraints(connection: Connection, statement: str) -> int:
    """How many rows a statement changes, after the constraints that are in its way are gone."""
    while True:
        try:
            with connection.begin_nested():
                return connection.exec_driver_sql(statement).rowcount
        except IntegrityError as error:
            said = error.orig.diag
            connection.exec_driver_sql(
                f"ALTER TABLE {said.table_name} DROP CONSTRAINT {said.constraint_name}"
            )


def carry_over(anchored: Anchored, engine: Engine) -> None:
    """Every row of the town into another database."""
    source = open_engine(f"sqlite:///{anchored.database}")
    with source.connect() as old, engine.begin() as new:
        new.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for table in Base.metadata.sorted_tables:
            rows = [dict(row) for row in old.execute(table.select()).mappings()]
            new.execute(delete(table))  # what the migrations put there
            if rows:
                new.execute(insert(table), rows)
    source.dispose()


def postgres_cases() -> Iterator[tuple[str, str]]:
    """A change of one column of each table and of each column of a record, and rows gone."""
    changes = {
        "text": "'_' || substr({c}, 2)", "number": "{c} + 1", "flag": "NOT {c}",
        "time": "{c} + interval '1 second'", "json": "' ' || {c}", "bytes": "{c} || '\\x00'::bytea",
    }  # fmt: skip
    dice = random.Random(5)
    for model in (*evidence_tables(), *LOG_TABLES):
        table, key = model.__tablename__, next(iter(model.__table__.primary_key.columns)).key
        columns = [
            one for one in model.__table__.columns
            if not one.nullable and not one.primary_key and (table, one.key) not in UNCOVERED
        ]  # fmt: skip
        for column in columns if model is log.Record else dice.sample(columns, 1):
            value = changes[kind_of(column)].format(c=f'"{column.key}"').replace("%", "%%")
            where = f'"{key}" = (SELECT MIN("{key}") FROM {table})'
            yield (
                f"{table}.{column.key}",
                f'UPDATE {table} SET "{column.key}" = {value} WHERE {where}',
            )
        yield (
            f"{table} row gone",
            f'DELETE FROM {table} WHERE "{key}" = (SELECT MIN("{key}") FROM {table})',
        )
