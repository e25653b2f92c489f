"""Supervision (监管): the audit, which re-derives everything from payloads and compares it.

    tables        there as tables, with their columns, and nothing that changes rows by itself
    records       payload → digest → entry → leaf → tiles → root, and payload → evidence row
    rows          no evidence row too many, too old or missing
    checkpoints   their root, note and signature; where and when the contract took them
    batches       each row of a usage batch → the batch's root; trades and settlements alike
    books         lines and accounts from entries and holds, reversals, closings (`audit_books`);
                  entries from the deeds that caused them (`audit_bookings`); payouts from their
                  lines, holds, approvals (`audit_payouts`);
                  what statements cover, from the settlements (`audit_statements`)
    file          what SQLite itself says of its file
    chain         each root, voucher, licence and statement: the contracts' events and state, both ways

Nothing is mended here. What an audit holds to be true is its `Ground`; what it found is in `Findings`, so
that a killed one goes on: each part of the log was right at the moment it was read. docs/audit.md says
what is found and what cannot be.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ledger import audit_trade, books, confirmations, log, settlements, usage, vouchers, witnesses
from ledger.audit_bookings import audit_bookings
from ledger.audit_books import Closings, audit_books, audit_guards
from ledger.audit_chain import Chain, Dues, OnChain
from ledger.audit_findings import Difference, Findings
from ledger.audit_payouts import audit_payouts
from ledger.audit_records import Records
from ledger.audit_rows import Shape, Unread, Unreadable, fetch, fetch_readable
from ledger.audit_statements import audit_statements
from ledger.audit_tree import Tree
from ledger.errors import LedgerError
from ledger.nouns import evidence_tables
from ledger.proof import checkpoint as notes
from ledger.proof import credential as credentials
from ledger.proof.encoding import digest_text
from ledger.proof.tiles import WIDTH
from ledger.proof.trust import LogKey
from ledger.store import Base, canonical_fast

__all__ = ["Audit", "Chain", "Difference", "Findings", "Ground"]

LOG_TABLES: tuple[type[Base], ...] = (log.Head, log.Record, log.TileRow, log.Checkpoint)
BESIDE_TABLES: tuple[type[Base], ...] = (
    books.BookAccount,
    books.EntryLine,
    usage.UsageRow,
    confirmations.Trade,
    settlements.Settlement,
    witnesses.StoredCosignature,
    vouchers.Disclosure,
)
STAGES = ("tables", "records", "rows", "checkpoints", "batches", "books", "chain", "file", "done")
PAGE = 500
CONTINUED_MAX = timedelta(days=1)  # what was read earlier is read again

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Ground:
    """What the auditor holds to be true: the log's name, its keys with their sizes, and the chain."""

    origin: str
    log_keys: tuple[LogKey, ...]
    chain: Chain | None = None

    @property
    def digest(self) -> str:
        """What a continued audit must have begun with; the chain may have grown."""
        keys = [[one.key.spelled(), one.from_size, one.until_size] for one in self.log_keys]
        chain: list[Any] = []
        if self.chain is not None:
            deployed = self.chain.deployment
            chain = [deployed.chain_id, deployed.genesis, dict(deployed.contracts)]
        return digest_text(canonical_fast([self.origin, keys, chain]))


class Audit:
    """One audit of one database, and of its chain where the ground has one."""

    def __init__(
        self,
        session: Session,
        ground: Ground,
        now: datetime,
        findings: Findings | None = None,
        on_progress: Progress | None = None,
    ) -> None:
        self.session, self.ground, self.now = session, ground, now
        self.findings = findings or Findings()
        self.on_progress = on_progress or (lambda *_: None)
        self.connection = session.connection()
        self.dialect = self.connection.dialect.name
        self.shapes = {
            table.subject_type: Shape(table.__table__, self.dialect)  # type: ignore[arg-type]
            for table in evidence_tables()
        }
        chain = ground.chain
        self.on_chain = None if chain is None else OnChain(session, self.findings, chain, now)
        self.continues = self._continues()
        self.soundness: Future[list[str]] | None = None

    def _continues(self) -> bool:
        """Whether what was kept is of this audit, and of this database as far as its tree tells."""
        found = self.findings
        begun = datetime.fromisoformat((found["parts"] or ["1970-01-01T00:00:00+00:00"])[0])
        is_ours = found["ground"] == self.ground.digest and found["stage"] in STAGES[:-1]
        if is_ours and self.now - begun < CONTINUED_MAX:
            tree = Tree(found["tree"])
            if tree.size == 0 or self._is_same(tree):
                return True
        found.clear()
        found["ground"], found["stage"] = self.ground.digest, STAGES[0]
        return False

    def _is_same(self, known: Tree) -> bool:
        """Whether the tiles below the place where the audit broke off still make the tree it saw."""
        again = Tree()
        with suppress(Unread):
            for n in range(0, known.size // WIDTH, PAGE):
                rows = fetch(
                    self.connection,
                    "SELECT hashes FROM tiles WHERE level = 0 AND n >= :low AND n < :high ORDER BY n",
                    low=n, high=min(n + PAGE, known.size // WIDTH),
                )  # fmt: skip
                for (hashes,) in rows:
                    if type(hashes) is not bytes or len(hashes) != 32 * WIDTH:
                        return False
                    for _ in again.grow([hashes[i : i + 32] for i in range(0, len(hashes), 32)]):
                        pass
        return again.kept() == known.kept()

    def run(self) -> int:
        """Audit to the end; returns how many differences there are. None is a clean bill."""
        if (
            self.dialect == "postgresql"
        ):  # each chunk is small: look it up, do not read whole tables
            for how in ("hashjoin", "mergejoin", "seqscan"):
                fetch(self.connection, f"SELECT set_config('enable_{how}', 'off', true)")
        self.findings["parts"] = [*(self.findings["parts"] or []), self.now.isoformat()]
        path = self.connection.engine.url.database
        beside = ThreadPoolExecutor(1)
        if self.dialect == "sqlite" and path:
            self.soundness = beside.submit(_integrity_of, Path(path).absolute())
        beside.shutdown(wait=False)
        work: dict[str, Callable[[], None]] = {
            "tables": self._tables, "records": self._records, "rows": self._rows,
            "checkpoints": self._checkpoints, "batches": self._batches, "books": self._books,
            "chain": self._chain, "file": self._file,
        }  # fmt: skip
        for stage, after in pairwise(STAGES):
            if self.findings["stage"] == stage:
                if not self._lacks(stage):
                    self._work(stage, work[stage])
                self.findings["stage"] = after
                self.findings.keep()
        return self.findings.count

    def _work(self, stage: str, work: Callable[[], None]) -> None:
        """One stage; where something cannot even be read, that is what is wrong."""
        try:
            work()
        except Unread as error:
            fetch(self.connection, "SELECT 1")  # else it is the database that went away
            self.findings.compare("database", "", stage, str(error), "readable rows")

    def _lacks(self, stage: str) -> bool:
        """Whether tables that a stage reads are not there; that is told already."""
        gone = {*(self.findings["gone"] or [])}
        self.shapes = {key: one for key, one in self.shapes.items() if one.name not in gone}
        log_is_gone = gone & {model.__tablename__ for model in LOG_TABLES}
        return bool(log_is_gone or (stage in ("batches", "books") and gone)) and stage != "tables"

    def summary(self) -> dict[str, Any]:
        """What the audit covered: records, how many of them the contract holds, acts on their way."""
        found = self.findings
        return {
            "anchored": found["anchored"], "count": found.count, "on_way": found["on_way"] or 0,
            "parts": found["parts"] or [], "records": found["records"] or 0,
        }  # fmt: skip

    # -- tables --------------------------------------------------------------------------------------

    def _tables(self) -> None:
        """Whether the tables are there as they should be; what is not there cannot be compared."""
        columns: dict[str, set[str]] = {}
        for table, column in fetch(self.connection, COLUMNS_OF[self.dialect]):
            columns.setdefault(table, set()).add(column)
        gone = []
        for model in (*LOG_TABLES, *evidence_tables(), *BESIDE_TABLES):
            due = {column.key for column in model.__table__.columns}
            lacking = sorted(due - columns.get(model.__tablename__, set()))
            if lacking:
                gone.append(model.__tablename__)
                self.findings.compare("table", model.__tablename__, "columns",
                                      f"without {', '.join(lacking)}", "all of them")  # fmt: skip
        self.findings["gone"] = gone
        for kind, name, table in fetch(self.connection, RULES[self.dialect]):
            if table in {model.__tablename__ for model in (*LOG_TABLES, *evidence_tables())}:
                self.findings.compare("table", table, kind, name, "none")
        self._tell(audit_guards(self.connection))

    def _file(self) -> None:
        """What SQLite itself says of its file, looked through beside the other stages."""
        for said in self.soundness.result() if self.soundness else ():
            self.findings.compare("database", "", "integrity_check", said, "ok")

    # -- records -------------------------------------------------------------------------------------

    def _records(self) -> None:
        if self.on_chain is not None:
            self.on_chain.read_anchors()
        self._want_roots()
        tree = Tree(self.findings["tree"])
        missing = self.findings.run(
            "SELECT COUNT(*) FROM roots WHERE root IS NULL AND size <= ?", tree.size
        ).fetchone()[0]
        if missing:  # somebody signed or anchored a size that was passed already: look again
            self.findings.run("UPDATE roots SET root = NULL")
            tree = Tree()
        total = self._head().get("tree_size")
        closings = Closings(self.findings, afresh=tree.size == 0)
        watched = {**Dues(self.findings, self.ground.origin).watched, **closings.watched}
        work = Records(self.connection, self.findings, self.ground.origin, self.shapes,
                       watched, self.findings["last_at"] or "")  # fmt: skip
        for done in work.run(tree):
            if tree.size % WIDTH == 0:
                work.keep()
                self.findings["tree"] = tree.kept()
                self.findings.keep()
            self.on_progress("records", done, total if type(total) is int else 0)
        work.keep()
        self.findings["records"] = tree.size
        self._compare_head(tree.size, work)
        self._compare_tile_count(tree.size)

    def _want_roots(self) -> None:
        with suppress(Unread):
            for (size,) in fetch(self.connection, "SELECT tree_size FROM checkpoints"):
                if type(size) is int and size > 0:
                    self.findings.run("INSERT OR IGNORE INTO roots VALUES (?, NULL)", size)

    def _head(self) -> dict[str, Any]:
        columns = ["id", "origin", "tree_size", "last_at"]
        rows = fetch_readable(self.connection, "log_head", columns, "id", "id = 1")
        return dict(zip(columns, rows[0], strict=True)) if rows else {}

    def _compare_head(self, size: int, work: Records) -> None:
        head = {
            name: one.cause if isinstance(one, Unreadable) else one
            for name, one in self._head().items()
        }
        count = fetch(self.connection, "SELECT COUNT(*) FROM log_head")[0][0]
        compare = self.findings.compare
        compare("log head", "", "rows", count, 1)
        compare("log head", "", "tree_size", head.get("tree_size"), size)
        compare("log head", "", "origin", head.get("origin"), self.ground.origin)
        if work.last_at:
            make = work.form["time"].make
            assert make is not None
            compare("log head", "", "last_at", head.get("last_at"), make(work.last_at))

    def _compare_tile_count(self, size: int) -> None:
        """No tile stands outside the tree; those inside it are compared as the tree grows."""
        due, rooms, count = 0, [], size
        for level in range(9):
            wide = -(-count // WIDTH)
            rooms.append(f"(level = {level} AND n >= 0 AND n < {wide})")
            due, count = due + wide, count // WIDTH
        outside = f"NOT ({' OR '.join(rooms)}) OR level IS NULL OR n IS NULL"
        try:
            stray = fetch(self.connection, f"SELECT level, n FROM tiles WHERE {outside}")  # noqa: S608 - our own words only
            total = fetch(self.connection, "SELECT COUNT(*) FROM tiles")[0][0]
        except Unread as error:
            self.findings.compare("tile", "", "rows", str(error), "readable rows")
            return
        for level, n in stray:
            self.findings.compare("tile", f"{level} {n}", "row", "a tile", "none at this place")
        if not stray and not self._has("tile"):
            self.findings.compare("tile", "", "rows", total, due)

    def _has(self, kind: str) -> bool:
        found = self.findings.run("SELECT 1 FROM differences WHERE kind = ? LIMIT 1", kind)
        return found.fetchone() is not None

    # -- evidence rows -------------------------------------------------------------------------------

    def _rows(self) -> None:
        firsts: dict[str, int] = self.findings["firsts"] or {}
        matched: dict[str, int] = self.findings["matched"] or {}
        for done, (subject_type, shape) in enumerate(self.shapes.items(), start=1):
            self.on_progress("rows", done, len(self.shapes))
            rows = fetch(self.connection, COUNT.format(table=shape.name))[0][0]
            twice = len(fetch(self.connection, TWICE.format(table=shape.name)))
            due = firsts.get(subject_type, 0)
            older = fetch(self.connection, OLDER.format(table=shape.name))
            for (row_id,) in older:
                self._compare_row(shape, subject_type, row_id)
            # Each row was met at its record's version, and there are as many rows as subjects: a bijection.
            if older or twice or not rows == due == matched.get(subject_type, 0):
                self._search_rows(shape, subject_type, {one for (one,) in older})

    def _search_rows(self, shape: Shape, subject_type: str, told: set[Any]) -> None:
        for (row_id,) in fetch(
            self.connection, SURPLUS.format(table=shape.name), type=subject_type
        ):
            if row_id not in told:
                self._compare_row(shape, subject_type, row_id)
        for (row_id,) in fetch(
            self.connection, MISSING.format(table=shape.name), type=subject_type
        ):
            self.findings.compare(shape.name, row_id, "row", None, "a row")
        for row_id, number in fetch(self.connection, TWICE.format(table=shape.name)):
            self.findings.compare(shape.name, row_id, "rows", number, 1)

    def _compare_row(self, shape: Shape, subject_type: str, row_id: Any) -> None:
        """One row that does not stand at its subject's last record, beside that record."""
        last = fetch(self.connection, LAST, id=row_id, type=subject_type)
        body = None
        if last:
            records = Records(self.connection, self.findings, self.ground.origin, {}, {}, "")
            body = records.body_at(last[0][0])
        if body is None:
            self.findings.compare(shape.name, row_id, "record", "a row", "no record")
            return
        for row in fetch_readable(
            self.connection, shape.name, list(shape.columns), "id", "id = :id", id=row_id
        ):
            shape.explain(self.findings, shape.name, row, body)

    # -- checkpoints ---------------------------------------------------------------------------------

    def _checkpoints(self) -> None:
        seen, sizes = 0, set()
        for row in self._pages("checkpoints", CHECKPOINT_COLUMNS, "tree_size"):
            seen += 1
            said = {
                name: value.cause if isinstance(value, Unreadable) else value
                for name, value in zip(CHECKPOINT_COLUMNS, row, strict=True)
            }
            size = said["tree_size"]
            known = self.findings.run("SELECT root FROM roots WHERE size = ?", size).fetchone() if (
                type(size) is int and abs(size) < 2**63
            ) else None  # fmt: skip
            if known is None or known[0] is None:
                self.findings.compare("checkpoint", size, "tree_size", size, "a size the log has")
                continue
            if size in sizes:
                self.findings.compare("checkpoint", size, "rows", 2, 1)
            sizes.add(size)
            self._compare_checkpoint(int(size), bytes(known[0]), said)
        self.findings.compare("checkpoint", "", "rows", seen,
                              fetch(self.connection, "SELECT COUNT(*) FROM checkpoints")[0][0])  # fmt: skip
        if self.ground.chain is not None:
            for (size,) in self.findings.run("SELECT size FROM anchored ORDER BY size").fetchall():
                if size not in sizes:
                    self.findings.compare(
                        "checkpoint", size, "row", None, "a row: the contract holds it"
                    )
        with self._noting("cosignature"):
            for size, witness in fetch(self.connection, COSIGNED_NOWHERE):
                self.findings.compare(
                    "cosignature",
                    f"{witness} {size}",
                    "checkpoint",
                    None,
                    "a row, and its witness's",
                )
            if self.dialect == "sqlite":
                for size, witness, at in fetch(self.connection, MISTIMED):
                    self.findings.compare(
                        "cosignature", f"{witness} {size}", "at", at, "a time as stored"
                    )
            for size, name in witnesses.wrong(self.session):
                self.findings.compare(
                    "cosignature", f"{name} {size}", "line", "wrong", "a valid one"
                )

    def _compare_checkpoint(self, size: int, root: bytes, said: dict[str, Any]) -> None:
        def compare(field: str, known: Any, derived: Any) -> bool:
            return self.findings.compare("checkpoint", size, field, known, derived)

        compare("root", said["root"], root.hex())
        text = notes.format_checkpoint(notes.Checkpoint(self.ground.origin, size, root))
        keys = [one.key for one in self.ground.log_keys if one.from_size <= size <= one.until_size]
        signer = "a signature by the log's key, and nothing else"
        try:
            signed, signatures = notes.parse_note(said["note"])
            if compare("note", signed, text):
                by = notes.open_note(said["note"], keys)[1]
                lines = "".join(map(notes.signature_line, signatures))
                if len(by) != len(signatures) or said["note"] != f"{text}\n{lines}":
                    compare("note", said["note"], signer)
        except LedgerError as error:
            compare("note", error.sentence, signer)
        except (AttributeError, TypeError):
            compare("note", said["note"], signer)
        if self.ground.chain is None or self.on_chain is None:
            return
        event = self.findings.run(
            "SELECT block, transaction_hash FROM anchored WHERE size = ?", size
        ).fetchone()
        if self.on_chain.anchor_is_open(size):
            return
        block, transaction = event or (None, None)
        compare("anchor_block", said["anchor_block"], block)
        compare("anchor_transaction", said["anchor_transaction"], transaction)
        if event is None:
            compare("confirmed_at", said["confirmed_at"], None)
        elif said["confirmed_at"] is not None:
            make = Shape(log.Checkpoint.__table__, self.dialect).columns["confirmed_at"]  # type: ignore[arg-type]
            if type(said["confirmed_at"]) not in make.types:
                compare("confirmed_at", said["confirmed_at"], "a time")

    def _pages(self, table: str, columns: Sequence[str], key: str) -> Iterator[tuple[Any, ...]]:
        """All rows of a table by its key, a page at a time."""
        where, values = "1 = 1", dict[str, Any]()
        while True:
            keys = fetch(
                self.connection, f'SELECT "{key}" FROM {table} WHERE {where} ORDER BY "{key}" LIMIT {PAGE}',  # noqa: S608 - our own words only
                **values,
            )  # fmt: skip
            if not keys:
                return
            upto = f'({where}) AND "{key}" <= :upto'
            yield from fetch_readable(
                self.connection, table, columns, key, upto, upto=keys[-1][0], **values
            )
            where, values = f'"{key}" > :after', {"after": keys[-1][0]}

    # -- usage batches, disclosures -------------------------------------------------------------------

    def _batches(self) -> None:
        with self._noting("usage_batches"):
            total = self.session.query(usage.Batch.no).count()
            for done, batch in enumerate(self.session.scalars(select(usage.Batch)), start=1):
                with self._noting("usage_batches"):
                    self._tell(usage.audit_rows(self.session, batch))
                self.session.expunge_all()
                self.on_progress("batches", done, total)
        with self._noting("usage_rows"):
            self._tell(usage.audit_strays(self.session))
        with self._noting("confirmations"):
            for made in self.session.scalars(select(confirmations.Confirmation)).all():
                with self._noting("confirmations"):
                    self._tell(audit_trade.of_rows(self.session, made, self.ground.origin))
        with self._noting("trades"):
            self._tell(audit_trade.strays(self.session))
        if self.dialect == "sqlite":
            for rows in (usage.ROWS, confirmations.ROWS):
                for batch, n in fetch(self.connection, rows.mistyped):
                    self.findings.compare(
                        rows.table, f"{batch} {n}", "row", "of another type", "as stored"
                    )
        with self._noting("settlements"):
            self._tell(audit_trade.of_settlements(self.session))
        with self._noting("disclosure"):
            self._compare_disclosures()

    # -- statements, and the books -------------------------------------------------------------------

    def _books(self) -> None:
        """What cannot even be read of an entry is told; PostgreSQL goes on only behind a savepoint."""
        for kind, derive in (
            ("entry_lines", audit_books), ("booking", audit_bookings), ("payout", audit_payouts),
        ):  # fmt: skip
            fetch(self.connection, "SAVEPOINT books")
            try:
                self._tell(derive(self.connection))
            except (Unread, *SPOILED) as error:
                fetch(self.connection, "ROLLBACK TO SAVEPOINT books")
                self.findings.compare(kind, "", "rows", str(error), "readable rows")
            fetch(self.connection, "RELEASE SAVEPOINT books")
        with self._noting("statements"), self.session.begin_nested():
            self._tell(audit_statements(self.session))
        self.session.expunge_all()

    @contextmanager
    def _noting(self, kind: str) -> Iterator[None]:
        """What cannot even be read in here is a difference."""
        driver = self.connection.dialect.loaded_dbapi
        try:
            yield
        except (SQLAlchemyError, driver.Error, LedgerError, *SPOILED) as error:
            said = str(getattr(error, "orig", None) or error).splitlines()
            self.findings.compare(
                kind, "", "rows", said[0] if said else repr(error), "readable rows"
            )

    def _tell(self, told: Iterator[tuple[str, str, Any, Any]]) -> None:
        for place, field, known, derived in told:
            kind, _, name = place.partition(" ")
            self.findings.compare(kind, name, field, known, derived)

    def _compare_disclosures(self) -> None:
        """What can be disclosed of a voucher is what its credential withholds."""
        for disclosure, credential in self.session.execute(
            select(vouchers.Disclosure, vouchers.Voucher.credential).outerjoin(
                vouchers.Voucher, vouchers.Voucher.id == vouchers.Disclosure.voucher_id
            )
        ):
            said = {"salt": disclosure.salt, "value": disclosure.value}
            try:
                known = credentials.disclosure_digest(disclosure.name, said)
                due = credential["credentialSubject"]["withheld"].get(disclosure.name)
            except (KeyError, TypeError, AttributeError, ValueError, LedgerError) as error:
                known, due = f"{type(error).__name__}: {error}", "a withheld field of its voucher"
            name = f"{disclosure.voucher_id} {disclosure.name}"
            self.findings.compare("disclosure", name, "digest", known, due)

    # -- the chain -----------------------------------------------------------------------------------

    def _chain(self) -> None:
        if self.on_chain is None:
            return
        self.findings["anchored"] = self.on_chain.compare_anchors(self.findings["records"] or 0)
        for what in (self.on_chain.compare_events, self.on_chain.compare_states):
            for done, total in what():
                self.on_progress("chain", done, total)
                self.findings.keep()
        self.findings["on_way"] = self.on_chain.compare_steps()
        self.on_chain.compare_alarms()


def _integrity_of(path: Path) -> list[str]:
    """What SQLite finds wrong with its file: broken pages, an index that differs from its table."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as link:
            return [said for (said,) in link.execute("PRAGMA integrity_check(20)")]
    except sqlite3.Error as error:
        return [str(error)]


CHECKPOINT_COLUMNS = (
    "tree_size", "root", "note", "sealed_at", "anchor_transaction", "anchor_block", "confirmed_at",
)  # fmt: skip
COLUMNS_OF = {
    "sqlite": "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c "
    "WHERE m.type = 'table'",
    "postgresql": "SELECT c.table_name, c.column_name FROM information_schema.columns c "
    "JOIN information_schema.tables t USING (table_schema, table_name) "
    "WHERE t.table_type = 'BASE TABLE' AND c.table_schema = current_schema()",
}
# What changes rows by itself; of triggers there are the books' own (`audit_guards`).
RULES = {
    "sqlite": "SELECT type, name, tbl_name FROM sqlite_master WHERE 1 = 0",
    "postgresql": "SELECT 'rule', rulename, tablename FROM pg_rules WHERE schemaname = current_schema()",
}
# What our readers of rows raise on spoiled ones.
SPOILED = (ValueError, TypeError, AttributeError, LookupError, OverflowError)
COSIGNED_NOWHERE = (
    "SELECT c.tree_size, c.witness_id FROM cosignatures c WHERE NOT EXISTS (SELECT 1 FROM checkpoints k "
    "WHERE k.tree_size = c.tree_size) OR NOT EXISTS (SELECT 1 FROM witnesses w WHERE w.id = c.witness_id)"
)
MISTIMED = (
    "SELECT tree_size, witness_id, at FROM cosignatures "
    "WHERE typeof(at) <> 'text' OR at NOT GLOB '????-??-?? ??:??:??.000000'"
)
COUNT = "SELECT COUNT(*) FROM {table}"
TWICE = "SELECT id, COUNT(*) FROM {table} GROUP BY id HAVING COUNT(*) > 1"
OLDER = (
    "SELECT t.id FROM {table} t WHERE EXISTS (SELECT 1 FROM records r "
    "WHERE r.subject_id = t.id AND r.subject_version > t.version)"
)
SURPLUS = (
    "SELECT t.id FROM {table} t WHERE NOT EXISTS (SELECT 1 FROM records r WHERE r.subject_id = t.id "
    "AND r.subject_version = t.version AND r.subject_type = :type)"
)
MISSING = (
    "SELECT DISTINCT r.subject_id FROM records r WHERE r.subject_type = :type "
    "AND NOT EXISTS (SELECT 1 FROM {table} t WHERE t.id = r.subject_id)"
)
LAST = (
    "SELECT leaf_index FROM records WHERE subject_id = :id AND subject_type = :type "
    "ORDER BY subject_version DESC LIMIT 1"
)
