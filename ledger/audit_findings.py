"""What an audit found so far and how far it is: a small SQLite file, so that a killed audit goes on.

    differences   each one found
    roots         our own root at each size that somebody signed or anchored
    anchored      what `CheckpointAnchor` says it holds
    due           the step that each record must have made on chain, and whether its event was seen
    places        named values: the stage, the next leaf, the right edge of the tree

The file holds nothing that cannot be derived again. Who can write it can make an audit skip what it has
not read, so it belongs where the auditor keeps what he trusts. Kept in no file, it is the auditor's own.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ledger.errors import Conflict

TOLD_CHARS = 300  # of a value that differs; a payload may be long
VERSION = 1
TABLES = """
CREATE TABLE places (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE differences (kind TEXT, name TEXT, field TEXT, known TEXT, derived TEXT);
CREATE TABLE roots (size INTEGER PRIMARY KEY, root BLOB);
CREATE TABLE anchored (
    size INTEGER PRIMARY KEY, root BLOB, block INTEGER, transaction_hash TEXT
);
CREATE TABLE due (
    contract TEXT, key BLOB, n INTEGER, version INTEGER, subject_id TEXT, subject_version INTEGER,
    name TEXT, at TEXT, event TEXT, state TEXT, seen INTEGER DEFAULT 0,
    PRIMARY KEY (contract, key, n, version)
) WITHOUT ROWID;
CREATE INDEX due_subject ON due (subject_id);
"""


@dataclass(frozen=True)
class Difference:
    """Two values that should be one: where (a kind of thing and its name), which field, both values."""

    kind: str
    name: str
    field: str
    known: str
    derived: str

    @property
    def place(self) -> str:
        return f"{self.kind} {self.name}".strip()

    def as_dict(self) -> dict[str, Any]:
        return {
            "derived": self.derived, "field": self.field, "kind": self.kind, "known": self.known,
            "name": self.name, "place": self.place,
        }  # fmt: skip


class Findings:
    """The audit's own memory, in a file or (path None) in none."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._link = self._open()
        self._link.execute("BEGIN EXCLUSIVE")

    def _open(self) -> sqlite3.Connection:
        """The file, held alone as long as this process lives; a spoiled or foreign one is made anew."""
        try:
            try:
                return self._known()
            except sqlite3.DatabaseError as error:
                if self.path is None or "locked" in str(error):
                    raise
            self.path.unlink()
            return self._known()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise Conflict(
                "Another audit is running with {path}: wait until it is done.", path=str(self.path)
            ) from None

    def _known(self) -> sqlite3.Connection:
        """The file opened, with its tables if it is new; raises DatabaseError for any other content."""
        target = "" if self.path is None else str(self.path)  # "": spills to a nameless file
        link = sqlite3.connect(target, isolation_level=None, timeout=0, check_same_thread=False)
        try:
            # A crash of the machine may spoil the file: then the audit begins anew.
            link.execute("PRAGMA synchronous=OFF")
            link.execute("PRAGMA locking_mode=EXCLUSIVE")
            if link.execute("PRAGMA user_version").fetchone() == (0,):
                link.executescript(f"{TABLES}PRAGMA user_version={VERSION};")
            if link.execute("PRAGMA user_version").fetchone() != (VERSION,):
                raise sqlite3.DatabaseError("of another version")
            if link.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("spoiled")
            if self.path is not None:
                self.path.chmod(0o600)
        except sqlite3.DatabaseError:
            link.close()
            raise
        return link

    def keep(self) -> None:
        """From here a killed audit goes on."""
        self._link.execute("COMMIT")
        self._link.execute("BEGIN EXCLUSIVE")

    def clear(self) -> None:
        """Begin anew."""
        for table in ("places", "differences", "roots", "anchored", "due"):
            self._link.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words
        self.keep()

    def close(self, *, done: bool) -> None:
        """Let go of the file; an audit that is done leaves none behind."""
        with suppress(sqlite3.Error):
            self._link.execute("COMMIT")
        self._link.close()
        if done and self.path is not None:
            self.path.unlink(missing_ok=True)

    def __getitem__(self, name: str) -> Any:
        """A named value, None where there is none."""
        found = self._link.execute("SELECT value FROM places WHERE name = ?", (name,)).fetchone()
        return None if found is None else orjson.loads(found[0])

    def __setitem__(self, name: str, value: Any) -> None:
        self.run("INSERT OR REPLACE INTO places VALUES (?, ?)", name, orjson.dumps(value).decode())

    def run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self._link.execute(statement, values)

    def compare(self, kind: str, name: Any, field: str, known: Any, derived: Any) -> bool:
        """Note a difference unless both values are one, in kind too; whether they are."""
        if type(known) is type(derived) and known == derived:
            return True
        told = [_told(known), _told(derived)]
        if told[0] == told[1]:  # 1 and "1" read alike: say what they are
            told = [
                f"{text} ({type(v).__name__})"
                for text, v in zip(told, (known, derived), strict=True)
            ]
        if told[0] == told[1]:  # they differ beyond what is told
            told[0] += f" ({_length(known)})"
            told[1] += f" ({_length(derived)})"
        self.run("INSERT INTO differences VALUES (?, ?, ?, ?, ?)", kind, _told(name), field, *told)
        return False

    def differences(self, limit: int = -1) -> Iterator[Difference]:
        """The differences in the order they were found."""
        for row in self._link.execute(
            "SELECT kind, name, field, known, derived FROM differences ORDER BY rowid LIMIT ?",
            (limit,),
        ):
            yield Difference(*row)

    @property
    def count(self) -> int:
        return int(self._link.execute("SELECT COUNT(*) FROM differences").fetchone()[0])


def _told(value: Any) -> str:
    if value is None:
        return "-"
    text = "0x" + value.hex() if isinstance(value, bytes) else str(value)
    text = (
        text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0").replace("\n", "\\n")
    )
    return text if len(text) <= TOLD_CHARS else text[: TOLD_CHARS - 1] + "…"


def _length(value: Any) -> str:
    return f"{len(value)}" if isinstance(value, str | bytes) else type(value).__name__
