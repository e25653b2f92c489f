"""The records of the log read once, in order: payload → digest → entry → leaf → tree, and evidence rows.

A chunk is first looked at as a whole, column by column, which is fast and says only *right* or *not*. If
it is not right it is looked at record by record, which says what differs. So the whole way of the fast
look must be as strict as the slow one; a chunk that the slow one finds no fault in is a fault of its own.
"""

import gc
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import chain
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Connection

from ledger import log
from ledger.audit_findings import Findings
from ledger.audit_rows import (
    OPTIONS,
    Body,
    Shape,
    Unread,
    Unreadable,
    fetch,
    fetch_readable,
    forms,
    quoted,
)
from ledger.audit_tree import Tree
from ledger.errors import LedgerError
from ledger.proof.bundle import PAYLOAD_KEYS, payload_digest
from ledger.proof.encoding import DEPTH_MAX, parse_instant
from ledger.proof.merkle import leaf_hash
from ledger.proof.tiles import WIDTH, Tile, tile_path
from ledger.store import canonical_fast

CHUNK_MAX = 1024  # more would not stay in the processor's cache
CHUNK_BYTES = 32 * 2**20
INDEX_MAX = 2**63 - 1
UNKNOWN = bytes(32)  # stands for the leaf hash of a record from which none can be derived
COLUMNS = tuple(column.key for column in log.Record.__table__.columns)
BETWEEN = "leaf_index >= :low AND leaf_index < :high"
# A text as its bytes: they are hashed, and compared with what they spell; nothing where it is no text.
BYTES_OF = {
    "sqlite": "CASE typeof({0}) WHEN 'text' THEN CAST({0} AS BLOB) END",
    "postgresql": "convert_to({0}, 'UTF8')",
}
SCALARS = {str, int, bool, type(None)}
PLAIN = re.compile(r"[ !#-\[\]-~]+")  # a text that JSON spells as it is
ID, VERSION = itemgetter("id"), itemgetter("version")

Watch = Callable[[int, str, Mapping[str, Any]], None]
"""Told of each record of a watched type: its leaf index, its digest, its payload."""
Wanted = tuple[int, ...]


class Records:
    """The pass over all records; `run` goes on where `tree` ends."""

    def __init__(
        self,
        connection: Connection,
        findings: Findings,
        origin: str,
        shapes: Mapping[str, Shape],
        watched: Mapping[str, Watch],
        last_at: str,
    ) -> None:
        self.connection, self.findings, self.origin = connection, findings, origin
        self.shapes, self.watched, self.last_at = shapes, watched, last_at
        self.form = forms(connection.dialect.name)
        self.firsts: dict[str, int] = findings["firsts"] or {}
        self.matched: dict[str, int] = findings["matched"] or {}
        self.chunk = CHUNK_MAX
        bytes_of = BYTES_OF[connection.dialect.name]
        columns = (bytes_of.format(one) if one == "payload" else quoted(one) for one in COLUMNS)
        self.chunk_sql = (
            f"SELECT {', '.join(columns)} FROM records WHERE {BETWEEN} ORDER BY leaf_index"  # noqa: S608 - our own words only
        )

    def run(self, tree: Tree) -> Iterator[int]:
        """Read on to the end; yields the number of records read whenever a chunk is done."""
        if tree.size == 0:
            self._strays()
        while True:
            low = tree.size
            high = low + self.chunk
            hashes, is_last = self._read(low, high)
            self._grow(tree, hashes)
            if is_last:
                break
            yield tree.size
        self._compare_tiles(tree.unfinished())
        yield tree.size

    def keep(self) -> None:
        """Put among the findings what the next part needs."""
        self.findings["firsts"], self.findings["matched"] = self.firsts, self.matched
        self.findings["last_at"] = self.last_at

    # -- a chunk -----------------------------------------------------------------------------------

    def _read(self, low: int, high: int) -> tuple[list[bytes], bool]:
        """The leaf hashes of the records of a chunk, and whether the log ends there."""
        try:
            rows = fetch(self.connection, self.chunk_sql, low=low, high=high)
        except Unread:
            return self._examine(low, high)
        is_full = len(rows) == high - low
        hashes = self._glance(rows, low) if is_full or self._after(high) is None else None
        if hashes is None:
            return self._examine(low, high)
        is_long = sum(map(len, map(itemgetter(COLUMNS.index("payload")), rows))) > CHUNK_BYTES
        self.chunk = max(WIDTH, self.chunk // 2) if is_long else min(CHUNK_MAX, self.chunk * 2)
        return hashes, not is_full

    def _after(self, high: int) -> int | None:
        """The next place at or after `high` where a record stands."""
        found = fetch(
            self.connection,
            "SELECT MIN(leaf_index) FROM records WHERE leaf_index >= :high AND leaf_index <= :most",
            high=high, most=INDEX_MAX,
        )[0][0]  # fmt: skip
        return found if found is None else math.ceil(found)

    def _glance(self, rows: list[tuple[Any, ...]], low: int) -> list[bytes] | None:
        """The leaf hashes if everything about these records is right, else None."""
        if not rows:
            return []
        collects = gc.isenabled()
        gc.disable()  # thousands of dicts without a circle: looking for circles costs a third
        try:
            return self._glanced(rows, low)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError, Unread):
            return None
        finally:
            if collects:
                gc.enable()

    def _glanced(self, rows: list[tuple[Any, ...]], low: int) -> list[bytes] | None:
        columns = list(zip(*rows, strict=True))
        indexes, ats, kinds, types, ids, versions, actors, digests, salts, datas = columns
        high = low + len(rows)
        payloads = list(map(orjson.loads, datas))
        derived = [
            "sha256:" + sha256(salt + data).hexdigest()
            for salt, data in zip(salts, datas, strict=True)
        ]
        said_by, said_at, bodies, said_kind, logs, others, prevs, reasons, subjects, forms_ = zip(
            *map(dict.values, payloads), strict=True
        )
        is_right = (
            indexes == tuple(range(low, high))
            and {*map(type, chain(indexes, versions, forms_))} == {int}
            and {*map(type, salts)} == {bytes}
            and {*map(len, salts)} == {16}
            and _spell(payloads, datas)
            and digests == tuple(derived)
            and {*map(tuple, payloads)} == {tuple(sorted(PAYLOAD_KEYS))}
            and (said_by, said_kind) == (actors, kinds)
            and {*map(type, chain(actors, kinds))} == {str}
            and ({*logs}, {*forms_}) == ({self.origin}, {1})
            and {*map(type, chain(others, reasons))} <= {str, type(None)}
            and {*map(tuple, subjects)} == {("id", "type")}
            and list(zip(*map(dict.values, subjects), strict=True)) == [ids, types]
            and {*map(type, ids)} == {str}
            and tuple(map(ID, bodies)) == ids
            and tuple(map(VERSION, bodies)) == versions
            and {*types} <= self.shapes.keys()
            and self._are_times(said_at, ats)
            and _are_plain(bodies)
            and all(map(PLAIN.fullmatch, {*kinds}))
            and self._follow(low, high, versions, prevs)
            and self._rows_fit(low, high, types, bodies)
        )
        if not is_right:
            return None
        first = (one for one, version in zip(types, versions, strict=True) if version == 1)
        for subject_type, number in Counter(first).items():
            self.firsts[subject_type] = self.firsts.get(subject_type, 0) + number
        self.last_at = said_at[-1]
        if not self.watched.keys().isdisjoint(types):
            for i, subject_type in enumerate(types):  # in order: a licence knows its voucher
                if subject_type in self.watched:
                    self.watched[subject_type](low + i, digests[i], payloads[i])
        return [
            sha256(entry(at, digest, kind)).digest()
            for at, digest, kind in zip(said_at, derived, kinds, strict=True)
        ]

    def _are_times(self, said: tuple[Any, ...], stored: tuple[Any, ...]) -> bool:
        """Whether the times are times, never run backwards, and are stored as said."""
        form = self.form["time"]
        assert form.make is not None
        spelled = {}
        for at in {*said}:
            parse_instant(at)
            spelled[at] = form.make(at)
        if list(said) != sorted(said) or said[0] < self.last_at:
            return False
        return stored == tuple(map(spelled.__getitem__, said)) and form.types.issuperset(
            map(type, stored)
        )

    def _follow(
        self, low: int, high: int, versions: tuple[int, ...], prevs: tuple[Any, ...]
    ) -> bool:
        """Whether each record names the digest of its subject's record before."""
        said = list(zip(range(low, high), versions, prevs, strict=True))
        later = {i: prev for i, version, prev in said if version != 1}
        if {prev for _, version, prev in said if version == 1} - {None}:
            return False
        if not later:
            return True
        found = fetch(self.connection, BEFORE, low=low, high=high)
        return len(found) == len(later) and all(
            before < i and later[i] == digest for i, before, digest in found
        )

    def _rows_fit(
        self, low: int, high: int, types: tuple[str, ...], bodies: tuple[Body, ...]
    ) -> bool:
        """Whether the evidence rows that stand at these records' versions are what they say."""
        counts = {}
        for subject_type in {*types}:
            shape = self.shapes[subject_type]
            rows = fetch(self.connection, rows_of(shape), low=low, high=high, type=subject_type)
            if rows:
                places, *columns = zip(*rows, strict=True)
                if not shape.fits(columns, [bodies[place - low] for place in places]):
                    return False
            counts[subject_type] = len(rows)
        for subject_type, count in counts.items():
            self.matched[subject_type] = self.matched.get(subject_type, 0) + count
        return True

    # -- record by record --------------------------------------------------------------------------

    def _examine(self, low: int, high: int) -> tuple[list[bytes], bool]:
        """The leaf hashes of a chunk that is not right, and whether the log ends there; says why."""
        found, after = self.findings.count, self._after(high)
        # A record far beyond the others is a stray one: the log is not taken to reach that far.
        goes_on = after is not None and after < high + CHUNK_MAX
        if after is not None and not goes_on:
            self.findings.compare("record", after, "leaf_index", after, "a place within the log")
        try:
            rows = fetch_readable(
                self.connection, "records", COLUMNS, "leaf_index", BETWEEN, low=low, high=high
            )
        except Unread as error:
            fetch(self.connection, "SELECT 1")
            self.findings.compare("record", _span(low, high), "row", str(error), "readable rows")
            return [UNKNOWN] * (high - low), not goes_on
        hashes: list[bytes] = []
        for row in rows:
            record = dict(zip(COLUMNS, row, strict=True))
            index = record["leaf_index"]
            if type(index) is not int or index < low + len(hashes):
                self.findings.compare("record", index, "leaf_index", index, low + len(hashes))
                continue
            self._missing(low + len(hashes), index)
            hashes += [UNKNOWN] * (index - low - len(hashes))
            hashes.append(self._examined(record))
        if goes_on:
            self._missing(low + len(hashes), high)
            hashes += [UNKNOWN] * (high - low - len(hashes))
        self._examine_rows(low, high)
        if self.findings.count == found:
            self.findings.compare("record", _span(low, high), "row", "irregular", "regular")
        return hashes, not goes_on

    def _missing(self, low: int, high: int) -> None:
        if low < high:
            self.findings.compare("record", _span(low, high), "row", None, "a record")

    def _examined(self, record: dict[str, Any]) -> bytes:
        """The leaf hash of one record, or `UNKNOWN`; every field that differs is noted."""
        name = record["leaf_index"]

        def compare(field: str, known: Any, derived: Any) -> bool:
            return self.findings.compare("record", name, field, known, derived)

        for column, value in list(record.items()):
            if isinstance(value, Unreadable):
                compare(column, value.cause, "a readable value")
                record[column] = None
        salt, payload = record["salt"], record["payload"]
        if type(salt) is not bytes or len(salt) != 16:
            compare("salt", salt, "16 bytes")
            salt = None
        if type(payload) is not str:
            compare("payload", payload, "a text")
            return UNKNOWN
        data = payload.encode("utf-8", "surrogatepass")
        digest = None if salt is None else payload_digest(salt, data)
        compare("digest", record["digest"], digest or "the digest of salt and payload")
        try:
            value = orjson.loads(data)
            spelled = canonical_fast(value)
        except (ValueError, LedgerError, RecursionError):
            compare("payload", payload, "canonical JSON")
            return UNKNOWN
        if spelled != data:
            compare("payload", payload, spelled.decode())
        if type(value) is not dict or set(value) != PAYLOAD_KEYS:
            compare("payload", payload, "the ten fields of a record")
            return UNKNOWN
        self._compare_fields(record, value, compare)
        if digest is None or type(value["at"]) is not str or type(value["kind"]) is not str:
            return UNKNOWN
        said = {"at": value["at"], "digest": digest, "kind": value["kind"], "v": 1}
        return leaf_hash(canonical_fast(said))

    def _compare_fields(
        self, record: dict[str, Any], payload: dict[str, Any], compare: Callable[..., bool]
    ) -> None:
        subject, body = payload["subject"], payload["body"]
        if type(subject) is not dict or set(subject) != {"id", "type"}:
            compare("subject", subject, "id and type")
            subject = {"id": None, "type": None}
        if type(body) is not dict:
            compare("body", body, "an object")
            body = {}
        compare("kind", record["kind"], payload["kind"])
        compare("actor", record["actor"], payload["actor"])
        compare("subject_type", record["subject_type"], subject["type"])
        compare("subject_id", record["subject_id"], subject["id"])
        compare("subject_version", record["subject_version"], body.get("version"))
        compare("body.id", body.get("id"), subject["id"])
        compare("log", payload["log"], self.origin)
        compare("v", payload["v"], 1)
        for field in ("on_behalf_of", "reason"):
            if type(payload[field]) not in (str, type(None)):
                compare(field, payload[field], "a text or nothing")
        at, form = payload["at"], self.form["time"]
        try:
            parse_instant(at)
            assert form.make is not None
            compare("at", record["at"], form.make(at))
            if at < self.last_at:
                compare("at", at, f"not before {self.last_at}")
            self.last_at = max(at, self.last_at)
        except LedgerError:
            compare("at", at, "a time")
        subject_type = subject["type"]
        if subject_type not in self.shapes:
            compare("subject_type", subject_type, "a kind of thing that is recorded")
        elif body.get("version") == 1:
            self.firsts[subject_type] = self.firsts.get(subject_type, 0) + 1
        self._compare_prev(record["leaf_index"], subject["id"], body.get("version"), payload["prev"],
                           compare)  # fmt: skip
        watch = self.watched.get(subject_type) if type(subject_type) is str else None
        if watch is not None and type(record["digest"]) is str:
            watch(record["leaf_index"], record["digest"], payload)

    def _compare_prev(
        self, index: int, subject_id: Any, version: Any, prev: Any, compare: Callable[..., bool]
    ) -> None:
        due = None
        if type(version) is not int or version < 1:
            compare("version", version, "a version from 1")
            return
        if version > 1:
            try:
                found = fetch(
                    self.connection, PREVIOUS, id=subject_id, version=version - 1, index=index
                )
            except Unread as error:
                found = [(str(error),)]
            due = found[0][0] if found else "no record before it"
        compare("prev", prev, due)

    def _examine_rows(self, low: int, high: int) -> None:
        for subject_type, shape in self.shapes.items():
            try:
                rows = fetch(self.connection, rows_of(shape), low=low, high=high, type=subject_type)
            except Unread as error:
                self._examine_unread(shape, subject_type, low, high, str(error))
                continue
            self.matched[subject_type] = self.matched.get(subject_type, 0) + len(rows)
            for row in rows:
                body = self.body_at(row[0])
                if body is not None:
                    shape.explain(self.findings, shape.name, row[1:], body)

    def _examine_unread(
        self, shape: Shape, subject_type: str, low: int, high: int, cause: str
    ) -> None:
        keys = fetch(
            self.connection, KEYS_OF.format(table=shape.name), low=low, high=high, type=subject_type
        )
        self.matched[subject_type] = self.matched.get(subject_type, 0) + len(keys)
        found = self.findings.count
        for index, key in keys:
            body = self.body_at(index)
            rows = fetch_readable(
                self.connection, shape.name, list(shape.columns), "id", "id = :id", id=key
            )
            for row in rows if body is not None else ():
                shape.explain(self.findings, shape.name, row, body or {})
        if self.findings.count == found:
            self.findings.compare(shape.name, "", "row", cause, "readable rows")

    def body_at(self, index: int) -> Body | None:
        """The body of the record at a place, None where it has none."""
        try:
            payload = orjson.loads(
                fetch(
                    self.connection, "SELECT payload FROM records WHERE leaf_index = :i", i=index
                )[0][0]
            )
            body = payload["body"]
        except (Unread, LookupError, TypeError, ValueError):
            return None
        return body if type(body) is dict else None

    # -- the tree ----------------------------------------------------------------------------------

    def _strays(self) -> None:
        """Records at no place of the log at all."""
        where = "leaf_index < 0 OR leaf_index > :most OR leaf_index IS NULL"
        try:
            sql = f"SELECT leaf_index FROM records WHERE {where}"  # noqa: S608 - our own words only
            found = fetch(self.connection, sql, most=INDEX_MAX)
        except Unread as error:
            found = [(str(error),)]
        for (index,) in found:
            self.findings.compare("record", index, "leaf_index", index, "a place within the log")

    def _grow(self, tree: Tree, hashes: list[bytes]) -> None:
        low, high = tree.size, tree.size + len(hashes)
        wanted = [
            size
            for (size,) in self.findings.run(
                "SELECT size FROM roots WHERE size > ? AND size <= ? ORDER BY size DESC", low, high
            )
        ]
        finished: list[tuple[Tile, bytes]] = []
        for start in range(0, len(hashes), WIDTH):
            part = hashes[start : start + WIDTH]
            growing = tree.grow(part)
            first = next(growing, None)  # the tile of the leaves; its peaks are not merged yet
            while wanted and wanted[-1] <= low + start + len(part):
                size = wanted.pop()
                if size % WIDTH or first is None:
                    self.findings.run(
                        "UPDATE roots SET root = ? WHERE size = ?", tree.root(size), size
                    )
                else:
                    finished += [first, *growing]
                    first = None
                    self.findings.run(
                        "UPDATE roots SET root = ? WHERE size = ?", tree.root(size), size
                    )
            if first is not None:
                finished += [first, *growing]
        self._compare_tiles(finished)

    def _compare_tiles(self, tiles: Iterable[tuple[Tile, bytes]]) -> None:
        by_level: dict[int, list[tuple[Tile, bytes]]] = {}
        for tile, content in tiles:
            by_level.setdefault(tile.level, []).append((tile, content))
        for level, found in by_level.items():
            low, high = found[0][0].n, found[-1][0].n
            where = "level = :level AND n >= :low AND n <= :high"
            rows = fetch_readable(
                self.connection,
                "tiles",
                ["n", "hashes"],
                "n",
                where,
                level=level,
                low=low,
                high=high,
            )
            if len(rows) == len(found) and all(
                row == (tile.n, content) and type(row[0]) is int
                for row, (tile, content) in zip(rows, found, strict=True)
            ):
                continue
            stored = dict(rows)
            for tile, content in found:
                known = stored.pop(tile.n, None)
                self._compare_tile(tile, known, content)
            for n in stored:
                self.findings.compare("tile", f"{level} {n}", "n", n, "a place in the tree")
            if len(rows) > len(found):
                self.findings.compare(
                    "tile", f"{level} {low}-{high}", "rows", len(rows), len(found)
                )

    def _compare_tile(self, tile: Tile, known: Any, content: bytes) -> None:
        name = tile_path(tile).removeprefix("tile/")
        if isinstance(known, Unreadable):
            self.findings.compare("tile", name, "hashes", known.cause, "a readable value")
        elif type(known) is not bytes or len(known) != len(content):
            self.findings.compare("tile", name, "hashes", known, content)
        elif known != content:
            at = next(
                i for i in range(0, len(content), 32) if known[i : i + 32] != content[i : i + 32]
            )
            due = content[at : at + 32]
            self.findings.compare(
                "tile",
                name,
                f"hash {at // 32}",
                known[at : at + 32],
                "none" if due == UNKNOWN else due,
            )


def entry(at: str, digest: str, kind: str) -> bytes:
    """The leaf's input, 0x00 ‖ canonical entry, of a time, a digest and a kind that are `PLAIN`."""
    return f'\x00{{"at":"{at}","digest":"{digest}","kind":"{kind}","v":1}}'.encode()


def rows_of(shape: Shape) -> str:
    """The evidence rows that stand at the version of a record of the chunk, with its leaf index."""
    return (
        f"SELECT r.leaf_index, {shape.selected('t')} FROM records r CROSS JOIN {shape.name} t "  # noqa: S608 - our own words only
        "WHERE r.leaf_index >= :low AND r.leaf_index < :high AND r.subject_type = :type "
        "AND t.id = r.subject_id AND t.version = r.subject_version"
    )


KEYS_OF = (
    "SELECT r.leaf_index, t.id FROM records r CROSS JOIN {table} t "
    "WHERE r.leaf_index >= :low AND r.leaf_index < :high AND r.subject_type = :type "
    "AND t.id = r.subject_id AND t.version = r.subject_version"
)
BEFORE = (
    "SELECT r.leaf_index, p.leaf_index, p.digest FROM records r CROSS JOIN records p "
    "WHERE r.leaf_index >= :low AND r.leaf_index < :high AND r.subject_version <> 1 "
    "AND p.subject_id = r.subject_id AND p.subject_version = r.subject_version - 1"
)
PREVIOUS = (
    "SELECT digest FROM records WHERE subject_id = :id AND subject_version = :version "
    "AND leaf_index < :index ORDER BY leaf_index DESC"
)


def _spell(payloads: list[Any], datas: Sequence[bytes]) -> bool:
    """Whether each text is the canonical spelling of its object.

    One by one takes more than twice as long, and is no stricter: each text was parsed, so it is one whole
    object, and no object's text begins another's. So what is equal joined is equal one by one.
    """
    return orjson.dumps(payloads, option=OPTIONS) == b"[%b]" % b",".join(datas)


def _are_plain(bodies: Iterable[Body]) -> bool:
    """Whether the bodies hold nothing outside the subset: no number with a point, no odd key."""
    if not all(map(str.isascii, chain.from_iterable({*map(tuple, bodies)}))):
        return False
    kinds = {*map(type, chain.from_iterable(map(dict.values, bodies)))}
    if kinds <= SCALARS:
        return True
    if not kinds <= {*SCALARS, list, dict}:
        return False
    nested = [
        one for body in bodies for one in body.values() if type(one) is list or type(one) is dict
    ]
    for _ in range(DEPTH_MAX - 2):  # the payload and its body are two
        if not nested:
            return True
        deeper: list[Any] = []
        for one in nested:
            if type(one) is dict:
                if not all(map(str.isascii, one)):
                    return False
                parts: Iterable[Any] = one.values()
            else:
                parts = one
            for part in parts:
                kind = type(part)
                if kind is dict or kind is list:
                    deeper.append(part)
                elif kind not in SCALARS:
                    return False
        nested = deeper
    return False


def _span(low: int, high: int) -> str:
    return str(low) if high - low == 1 else f"{low}–{high - 1}"
