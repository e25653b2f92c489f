"""The log: whatever happens to a subject is a record, every record a leaf of one Merkle tree.

`append` notes a deed in the session; `sequence`, called once just before commit, takes the head row
(the only lock all deeds share, held shortest), gives the noted records their places and grows the
tiles. `seal` signs a checkpoint over what is committed; `note_anchor` marks one that a contract holds.

    payload  {"actor","at","body","kind","log","on_behalf_of","prev","reason","subject","v"}   private
    entry    {"at","digest","kind","v"}                                                        public
"""

import hashlib
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    String,
    UniqueConstraint,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.errors import Conflict, Missing
from ledger.proof import checkpoint as notes
from ledger.proof import tiles as tiling
from ledger.proof.bundle import payload_digest
from ledger.proof.encoding import instant, sha256
from ledger.proof.merkle import leaf_hash
from ledger.store import Base, Evidence, as_driven, canonical_fast, keeping_all, put_rows

PENDING = "pending records"
SEQUENCED = "sequenced"
ROWS_A_STATEMENT = 500
TOLD_MOST = 2_000  # of one deed's records; beyond that a receipt names what says which they are


class Head(Base):
    """Where the log ends; one row, locked last by each deed."""

    __tablename__ = "log_head"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    origin: Mapped[str]
    tree_size: Mapped[int]
    last_at: Mapped[datetime]


class Record(Base):
    """A leaf with its private payload."""

    __tablename__ = "records"
    __table_args__ = (UniqueConstraint("subject_id", "subject_version"),)
    leaf_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[str] = mapped_column(String(36))
    subject_version: Mapped[int]
    actor: Mapped[str]
    digest: Mapped[str]
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    payload: Mapped[str]


class TileRow(Base):
    """A tile of the tree; a full one never changes again."""

    __tablename__ = "tiles"
    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hashes: Mapped[bytes] = mapped_column(LargeBinary)


class Checkpoint(Base):
    """A signed tree size and root; anchored once a contract holds it."""

    __tablename__ = "checkpoints"
    tree_size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    root: Mapped[str]
    note: Mapped[str]
    sealed_at: Mapped[datetime]
    anchor_transaction: Mapped[str | None]
    anchor_block: Mapped[int | None]
    confirmed_at: Mapped[datetime | None]


def _largest(where: ColumnElement[bool]) -> ColumnElement[int]:
    """The largest checkpoint's size of those; 0 where there is none."""
    newest = select(Checkpoint.tree_size).where(where).order_by(Checkpoint.tree_size.desc())
    return func.coalesce(newest.limit(1).scalar_subquery(), 0)


RUNGS = ("confirmed", "anchored", "sealed")  # above `recorded`, the highest first
# The tree size up to which every record has reached each rung.
REACHED = tuple(
    _largest(where).label(name)
    for name, where in zip(
        RUNGS,
        (Checkpoint.confirmed_at.is_not(None), Checkpoint.anchor_block.is_not(None), true()),
        strict=True,
    )
)


@dataclass(frozen=True)
class Pending:
    """A deed noted in a session, not yet in its place."""

    kind: str
    subject_type: str
    subject_id: str
    subject_version: int
    body: dict[str, Any]
    actor: str
    on_behalf_of: str | None
    reason: str | None


@dataclass(frozen=True)
class PendingMany:
    """One deed on many rows, noted in a session: id, version and canonical body of each."""

    kind: str
    subject_type: str
    rows: Sequence[tuple[str, int, bytes]]
    actor: str
    reason: str | None


def open_log(session: Session, origin: str, now: datetime) -> None:
    """Begin an empty log, once; another origin for the same database is a Conflict."""
    head = session.get(Head, 1)
    if head is None:
        session.add(Head(id=1, origin=origin, tree_size=0, last_at=now))
    elif head.origin != origin:
        raise Conflict(
            "This database belongs to the log {known}, not to {given}.",
            known=head.origin,
            given=origin,
        )


def append(
    session: Session,
    row: Evidence,
    kind: str,
    actor: str,
    *,
    reason: str | None = None,
    on_behalf_of: str | None = None,
) -> None:
    """Note that `row`, as it now stands, is the outcome of a deed; it gets its next version.

    The record is written by `sequence`, in the same transaction.
    """
    row.version = 1 if row.version is None else row.version + 1
    session.add(row)
    pending: list[Pending | PendingMany] = session.info.setdefault(PENDING, [])
    pending.append(
        Pending(
            kind=kind,
            subject_type=row.subject_type,
            subject_id=row.id,
            subject_version=row.version,
            body=row.body(),
            actor=actor,
            on_behalf_of=on_behalf_of,
            reason=reason,
        )
    )


def append_many(
    session: Session, subject_type: str, kind: str, actor: str,
    rows: Sequence[tuple[str, int, bytes]], *, reason: str | None = None,
) -> None:  # fmt: skip
    """As `append`, of many rows that the caller writes himself: id, version, canonical bytes of the body.

    Each is a record like any other. More than `TOLD_MOST` of them are not told one by one in a receipt.
    """
    if rows:
        noted = PendingMany(kind, subject_type, rows, actor, reason)
        session.info.setdefault(PENDING, []).append(noted)


@keeping_all()
def sequence(session: Session, now: datetime) -> int:
    """Give the noted records their places in the log; returns how many. Call once, before commit.

    `at` never runs backwards: it is the later of `now` and the previous record's.
    """
    session.flush()
    pending: list[Pending | PendingMany] = session.info.pop(PENDING, [])
    if not pending:
        return 0
    connection = session.connection()
    previous = _previous_digests(connection, pending)
    head = connection.execute(_LOCK_HEAD).one()
    at = max(now.replace(microsecond=0), head.last_at)
    rows: list[tuple[Any, ...]] = []
    leaf_hashes: list[bytes] = []
    told: list[range] = []
    stored_at = as_driven(connection, _record, "at", at)
    for deed in pending:
        first = head.tree_size + len(rows)
        if isinstance(deed, Pending):
            many = PendingMany(
                deed.kind, deed.subject_type,
                [(deed.subject_id, deed.subject_version, canonical_fast(deed.body))],
                deed.actor, deed.reason,
            )  # fmt: skip
            _place(
                many,
                deed.on_behalf_of,
                head.origin,
                at,
                stored_at,
                first,
                previous,
                rows,
                leaf_hashes,
            )
        else:
            _place(deed, None, head.origin, at, stored_at, first, previous, rows, leaf_hashes)
        if isinstance(deed, Pending) or len(deed.rows) <= TOLD_MOST:
            told.append(range(first - head.tree_size, len(rows)))
    if len(rows) > TOLD_MOST:
        put_rows(connection, _record, _PLACED, rows)
    else:
        named = (dict(zip(_PLACED, row, strict=True)) for row in rows)
        connection.execute(
            insert(_record),
            [{**row, "at": at, "payload": row["payload"].decode()} for row in named],
        )
    _grow_tiles(connection, head.tree_size, leaf_hashes)
    connection.execute(_MOVE_HEAD, {"size": head.tree_size + len(rows), "at": at})
    session.info.setdefault(SEQUENCED, []).extend(
        {"at": instant(at), "digest": rows[n][_DIGEST], "kind": rows[n][_KIND],
         "leaf_index": rows[n][0]}
        for part in told for n in part
    )  # fmt: skip
    return len(rows)


def _place(
    deed: PendingMany, on_behalf_of: str | None, origin: str, at: datetime, stored_at: Any, first: int,
    previous: dict[tuple[str, int], str], rows: list[tuple[Any, ...]], leaf_hashes: list[bytes],
) -> None:  # fmt: skip
    """The rows and leaves of a deed; a payload is put together from its canonical pieces, in order."""
    spell = canonical_fast
    head = b'{"actor":%b,"at":%b,"body":' % (spell(deed.actor), spell(instant(at)))
    middle = b',"kind":%b,"log":%b,"on_behalf_of":%b,"prev":' % (
        spell(deed.kind), spell(origin), spell(on_behalf_of),
    )  # fmt: skip
    tail = b',"reason":%b,"subject":{"id":' % spell(deed.reason)
    end = b',"type":%b},"v":1}' % spell(deed.subject_type)
    entry_head = b'\x00{"at":%b,"digest":"sha256:' % spell(instant(at))
    entry_tail = b'","kind":%b,"v":1}' % spell(deed.kind)
    salts, hashed = secrets.token_bytes(16 * len(deed.rows)), hashlib.sha256
    for offset, (subject_id, version, body) in enumerate(deed.rows):
        prev = previous.get((subject_id, version - 1))
        if (prev is None) != (version == 1):
            raise AssertionError(f"{deed.kind}: the record before version {version} is missing")
        before = b"null" if prev is None else b'"%b"' % prev.encode()
        text = b"".join((head, body, middle, before, tail, orjson.dumps(subject_id), end))
        salt = salts[16 * offset : 16 * offset + 16]
        digest = hashed(salt + text).hexdigest()
        previous[subject_id, version] = f"sha256:{digest}"
        leaf_hashes.append(hashed(entry_head + digest.encode() + entry_tail).digest())
        rows.append((
            first + offset, stored_at, deed.kind, deed.subject_type, subject_id, version, deed.actor,
            f"sha256:{digest}", salt, text,
        ))  # fmt: skip


def sequenced(session: Session) -> list[dict[str, Any]]:
    """What this session has given a place in the log, in order: at, digest, kind, leaf_index."""
    return list(session.info.get(SEQUENCED, ()))


def pending(session: Session) -> list[Pending]:
    """The noted deeds that wait for `sequence`, each on one row; those on many rows are left out."""
    return [deed for deed in session.info.get(PENDING, ()) if isinstance(deed, Pending)]


def pending_count(session: Session) -> int:
    """How many noted deeds wait for `sequence`."""
    return len(session.info.get(PENDING, ()))


def noted(session: Session, subject_type: str, since: int = 1) -> list[str]:
    """The subjects of a type whose noted records, from version `since` on, wait for `sequence`."""
    pending: list[Pending | PendingMany] = session.info.get(PENDING, [])
    ids: dict[str, None] = {}
    for deed in pending:
        if deed.subject_type == subject_type:
            if isinstance(deed, Pending):
                ids |= {deed.subject_id: None} if deed.subject_version >= since else {}
            else:
                ids |= {known: None for known, version, _ in deed.rows if version >= since}
    return list(ids)


def notes_any(session: Session, subject_type: str) -> bool:
    """Whether a record of a subject of a type waits for `sequence`."""
    pending: list[Pending | PendingMany] = session.info.get(PENDING, [])
    return any(deed.subject_type == subject_type for deed in pending)


def seal(session: Session, now: datetime, key: Ed25519PrivateKey) -> Checkpoint | None:
    """The signed checkpoint over all committed records; the last one again when nothing came since.

    None for an empty log. Takes the head row, so that no deed commits half-way through.
    """
    head = session.connection().execute(_LOCK_HEAD).one()
    if head.tree_size == 0:
        return None
    found = session.get(Checkpoint, head.tree_size)
    if found is None:
        root = root_at(session, head.tree_size)
        text = notes.format_checkpoint(notes.Checkpoint(head.origin, head.tree_size, root))
        found = Checkpoint(
            tree_size=head.tree_size,
            root=root.hex(),
            note=notes.sign(text, head.origin, key),
            sealed_at=now,
        )
        session.add(found)
        session.flush()
    return found


def note_anchor(
    session: Session,
    tree_size: int,
    transaction: str | None,
    block: int | None,
    confirmed_at: datetime | None = None,
) -> None:
    """Note where the contract took the checkpoint at `tree_size`, and since when that is final.

    A block of None: a re-organisation of the chain undid it.
    """
    found = session.get_one(Checkpoint, tree_size)
    found.anchor_transaction, found.anchor_block = transaction, block
    found.confirmed_at = confirmed_at


def last_sealed(session: Session) -> Checkpoint | None:
    """The newest checkpoint: how far the log is shown to monitors."""
    return session.scalars(
        select(Checkpoint).order_by(Checkpoint.tree_size.desc()).limit(1)
    ).first()


def last_anchored(session: Session) -> Checkpoint | None:
    """The largest checkpoint that a contract holds, as far as we know."""
    return session.scalars(
        select(Checkpoint)
        .where(Checkpoint.anchor_block.is_not(None))
        .order_by(Checkpoint.tree_size.desc())
        .limit(1)
    ).first()


def confirmed_above(session: Session, leaf_index: int) -> Checkpoint | None:
    """The smallest confirmed checkpoint that covers a leaf: once there, it stays the answer."""
    return session.scalars(
        select(Checkpoint)
        .where(Checkpoint.tree_size > leaf_index, Checkpoint.confirmed_at.is_not(None))
        .order_by(Checkpoint.tree_size)
        .limit(1)
    ).first()


def size(session: Session) -> int:
    """How many leaves the log has."""
    return session.scalar(select(Head.tree_size)) or 0


def confirmed_size(session: Session) -> int:
    """How many leaves, from the first, are under a confirmed checkpoint."""
    return session.scalar(select(REACHED[0])) or 0


def root_at(session: Session, tree_size: int) -> bytes:
    """The root of the first `tree_size` leaves."""
    return _range_roots(session, [(0, tree_size)])[0]


def inclusion(session: Session, leaf_index: int, tree_size: int) -> list[bytes]:
    """The inclusion proof of a leaf at a size; reads each needed tile once."""
    return _range_roots(session, tiling.inclusion_ranges(leaf_index, tree_size))


def consistency(session: Session, old_size: int, new_size: int) -> list[bytes]:
    """The consistency proof between two sizes; reads each needed tile once."""
    return _range_roots(session, tiling.consistency_ranges(old_size, new_size))


def tile(session: Session, wanted: tiling.Tile, width: int) -> bytes | None:
    """The first `width` hashes of a tile, or entries each after its length in two bytes (C2SP tlog-tiles).

    None where the newest checkpoint does not cover as many: what is not signed is not shown.
    """
    sealed = last_sealed(session)
    if sealed is None or tiling.tile_width(wanted, sealed.tree_size) < width:
        return None
    if wanted.level != tiling.ENTRIES:
        return _tiles(session.connection(), [wanted])[wanted][: 32 * width]
    start = wanted.n * tiling.WIDTH
    entries = [canonical_fast(entry) for entry in entries_from(session, start, width)]
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def entries_from(session: Session, start: int, count: int) -> list[dict[str, Any]]:
    """The entries of up to `count` leaves from `start` on: what everybody may see of a record."""
    rows = session.connection().execute(
        select(_record.c.at, _record.c.digest, _record.c.kind)
        .where(_record.c.leaf_index >= start, _record.c.leaf_index < start + count)
        .order_by(_record.c.leaf_index)
    )
    return [_entry(*row) for row in rows]


def _entry(at: datetime, digest: str, kind: str) -> dict[str, Any]:
    return {"at": instant(at), "digest": digest, "kind": kind, "v": 1}


def record_of(session: Session, subject_id: str, subject_version: int) -> Record:
    """The record of one version of a subject; raises Missing."""
    found = session.scalars(
        select(Record).where(
            Record.subject_id == subject_id, Record.subject_version == subject_version
        )
    ).first()
    if found is None:
        raise Missing(
            "There is no record {subject_id} version {v}.", subject_id=subject_id, v=subject_version
        )
    return found


def history(session: Session, subject_id: str) -> list[Record]:
    """All records of a subject, oldest first."""
    return list(
        session.scalars(
            select(Record).where(Record.subject_id == subject_id).order_by(Record.subject_version)
        )
    )


def rung(session: Session, record: Record) -> str:
    """How far a record has climbed: `recorded`, `sealed`, `anchored` or `confirmed`."""
    reached = session.execute(select(*REACHED)).one()
    return next(
        (name for name, size in zip(RUNGS, reached, strict=True) if record.leaf_index < size),
        "recorded",
    )


def payload_bytes(record: Record) -> bytes:
    return record.payload.encode()


def payload_of(record: Record) -> dict[str, Any]:
    """The record's payload as a value."""
    return dict(orjson.loads(record.payload))


def leaf_hash_of(record: Record) -> bytes:
    """The leaf hash re-derived from the stored payload and salt, not from the stored tile."""
    digest = payload_digest(record.salt, payload_bytes(record))
    return leaf_hash(canonical_fast(_entry(record.at, digest, record.kind)))


def digest_key(origin: str, subject_id: str) -> bytes:
    """The 32-byte name a contract knows a subject by, where the subject has no public number."""
    return sha256(canonical_fast(["subject", origin, subject_id]))


# Every deed pays for these: statements over the tables, made once, not objects.
_head, _record, _tile = (
    Base.metadata.tables[model.__tablename__] for model in (Head, Record, TileRow)
)
_PLACED = ("leaf_index", "at", "kind", "subject_type", "subject_id", "subject_version", "actor",
           "digest", "salt", "payload")  # fmt: skip
_KIND, _DIGEST = _PLACED.index("kind"), _PLACED.index("digest")
_LOCK_HEAD = select(_head).where(_head.c.id == 1).with_for_update()
_MOVE_HEAD = (
    update(_head)
    .where(_head.c.id == 1)
    .values(tree_size=bindparam("size"), last_at=bindparam("at"))
)
_GROW = (
    update(_tile)
    .where(
        _tile.c.level == bindparam("of"), _tile.c.n == bindparam("at"),
        func.length(_tile.c.hashes) == bindparam("was"),
    )
    .values(hashes=bindparam("hashes"))
)  # fmt: skip


def _previous_digests(
    connection: Connection, pending: Iterable[Pending | PendingMany]
) -> dict[tuple[str, int], str]:
    wanted: dict[int, list[str]] = {}
    for deed in pending:
        noted = (
            [(deed.subject_id, deed.subject_version)]
            if isinstance(deed, Pending)
            else [(subject_id, version) for subject_id, version, _ in deed.rows]
        )
        for subject_id, version in noted:
            if version > 1:
                wanted.setdefault(version - 1, []).append(subject_id)
    found: dict[tuple[str, int], str] = {}
    for version, ids in wanted.items():
        for start in range(0, len(ids), ROWS_A_STATEMENT):
            rows = connection.execute(
                select(_record.c.subject_id, _record.c.digest).where(
                    _record.c.subject_version == version,
                    _record.c.subject_id.in_(ids[start : start + ROWS_A_STATEMENT]),
                )
            )
            found.update({(subject, version): digest for subject, digest in rows})
    return found


def _grow_tiles(connection: Connection, size: int, leaf_hashes: list[bytes]) -> None:
    """Write what the new leaves change: mostly one tile. A full tile is never written again."""
    known = _tiles(connection, tiling.unfinished(size, len(leaf_hashes)))
    fresh = []
    for tile, hashes in tiling.grow(known, size, leaf_hashes).items():
        if tile not in known:
            fresh.append({"level": tile.level, "n": tile.n, "hashes": hashes})
            continue
        was = len(known[tile])
        values = {"of": tile.level, "at": tile.n, "was": was, "hashes": hashes}
        if connection.execute(_GROW, values).rowcount != 1:
            raise AssertionError(f"{tiling.tile_path(tile)} was changed by another one")
    if fresh:
        connection.execute(insert(_tile), fresh)


@cache
def _select_tiles(count: int) -> Select[Any]:
    """The statement that reads `count` tiles, each by its key: SQLite would scan for pairs in a list."""
    named = (
        and_(_tile.c.level == bindparam(f"level{i}"), _tile.c.n == bindparam(f"n{i}"))
        for i in range(count)
    )
    return select(_tile.c.level, _tile.c.n, _tile.c.hashes).where(or_(*named))


def _tiles(connection: Connection, wanted: Collection[tiling.Tile]) -> dict[tiling.Tile, bytes]:
    """Those of the tiles that are there, in one statement."""
    if not wanted:
        return {}
    names = {f"{what}{i}": value for i, tile in enumerate(wanted)
             for what, value in zip(("level", "n"), tile, strict=True)}  # fmt: skip
    rows = connection.execute(_select_tiles(len(wanted)), names)
    return {tiling.Tile(level, n): bytes(hashes) for level, n, hashes in rows}


def _range_roots(session: Session, ranges: list[tuple[int, int]]) -> list[bytes]:
    tiles = _tiles(session.connection(), tiling.tiles_needed(ranges))
    return [tiling.range_root(low, high, tiles) for low, high in ranges]
