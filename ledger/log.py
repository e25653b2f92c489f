"""The log: whatever happens to a subject is a record, every record a leaf of one Merkle tree.

`append` notes a deed in the session; `sequence`, called once just before commit, takes the head row
(the only lock all deeds share, held shortest), gives the noted records their places and grows the
tiles. `seal` signs a checkpoint over what is committed; `note_anchor` marks one that a contract holds.

    payload  {"actor","at","body","kind","log","on_behalf_of","prev","reason","subject","v"}   private
    entry    {"at","digest","kind","v"}                                                        public
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import LargeBinary, String, UniqueConstraint, insert, select, tuple_
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.errors import Conflict, Missing
from ledger.proof import checkpoint as notes
from ledger.proof import tiles as tiling
from ledger.proof.bundle import entry_of, payload_digest
from ledger.proof.encoding import instant, sha256
from ledger.proof.merkle import leaf_hash
from ledger.store import Base, Evidence, canonical_fast

PENDING = "pending records"
SEQUENCED = "sequenced"
ROWS_A_STATEMENT = 500


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
    pending: list[Pending] = session.info.setdefault(PENDING, [])
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


def sequence(session: Session, now: datetime) -> int:
    """Give the noted records their places in the log; returns how many. Call once, before commit.

    `at` never runs backwards: it is the later of `now` and the previous record's.
    """
    session.flush()
    pending: list[Pending] = session.info.pop(PENDING, [])
    if not pending:
        return 0
    previous = _previous_digests(session, pending)
    head = session.scalars(
        select(Head).where(Head.id == 1).with_for_update().execution_options(populate_existing=True)
    ).one()
    at = max(now.replace(microsecond=0), head.last_at)
    rows, leaf_hashes = [], []
    for offset, deed in enumerate(pending):
        payload = {
            "actor": deed.actor,
            "at": instant(at),
            "body": deed.body,
            "kind": deed.kind,
            "log": head.origin,
            "on_behalf_of": deed.on_behalf_of,
            "prev": previous.get((deed.subject_id, deed.subject_version - 1)),
            "reason": deed.reason,
            "subject": {"id": deed.subject_id, "type": deed.subject_type},
            "v": 1,
        }
        if (payload["prev"] is None) != (deed.subject_version == 1):
            raise AssertionError(
                f"{deed.kind}: the record before version {deed.subject_version} is missing"
            )
        text = canonical_fast(payload)
        salt = secrets.token_bytes(16)
        digest = payload_digest(salt, text)
        previous[deed.subject_id, deed.subject_version] = digest
        leaf_hashes.append(leaf_hash(canonical_fast(entry_of(payload, digest))))
        rows.append(
            {
                "leaf_index": head.tree_size + offset,
                "at": at,
                "kind": deed.kind,
                "subject_type": deed.subject_type,
                "subject_id": deed.subject_id,
                "subject_version": deed.subject_version,
                "actor": deed.actor,
                "digest": digest,
                "salt": salt,
                "payload": text.decode(),
            }
        )
    session.execute(insert(Record), rows)
    _grow_tiles(session, head.tree_size, leaf_hashes)
    head.tree_size += len(rows)
    head.last_at = at
    session.flush()
    session.info.setdefault(SEQUENCED, []).extend(
        {"at": instant(at), **{name: row[name] for name in ("digest", "kind", "leaf_index")}}
        for row in rows
    )
    return len(rows)


def sequenced(session: Session) -> list[dict[str, Any]]:
    """What this session has given a place in the log, in order: at, digest, kind, leaf_index."""
    return list(session.info.get(SEQUENCED, ()))


def pending_count(session: Session) -> int:
    """How many noted records wait for `sequence`."""
    return len(session.info.get(PENDING, ()))


def seal(session: Session, now: datetime, key: Ed25519PrivateKey) -> Checkpoint | None:
    """The signed checkpoint over all committed records; the last one again when nothing came since.

    None for an empty log. Takes the head row, so that no deed commits half-way through.
    """
    head = session.scalars(select(Head).where(Head.id == 1).with_for_update()).one()
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


def note_anchor(session: Session, tree_size: int, transaction: str, block: int) -> None:
    """Mark the checkpoint at `tree_size` as held by the contract since that transaction and block."""
    found = session.get_one(Checkpoint, tree_size)
    found.anchor_transaction, found.anchor_block = transaction, block


def last_anchored(session: Session) -> Checkpoint | None:
    """The largest checkpoint that a contract holds, as far as we know."""
    return session.scalars(
        select(Checkpoint)
        .where(Checkpoint.anchor_block.is_not(None))
        .order_by(Checkpoint.tree_size.desc())
        .limit(1)
    ).first()


def anchored_above(session: Session, leaf_index: int) -> Checkpoint | None:
    """The smallest anchored checkpoint that covers a leaf: once there, it stays the answer."""
    return session.scalars(
        select(Checkpoint)
        .where(Checkpoint.tree_size > leaf_index, Checkpoint.anchor_block.is_not(None))
        .order_by(Checkpoint.tree_size)
        .limit(1)
    ).first()


def root_at(session: Session, tree_size: int) -> bytes:
    """The root of the first `tree_size` leaves."""
    return _range_roots(session, [(0, tree_size)])[0]


def inclusion(session: Session, leaf_index: int, tree_size: int) -> list[bytes]:
    """The inclusion proof of a leaf at a size; reads each needed tile once."""
    return _range_roots(session, tiling.inclusion_ranges(leaf_index, tree_size))


def consistency(session: Session, old_size: int, new_size: int) -> list[bytes]:
    """The consistency proof between two sizes; reads each needed tile once."""
    return _range_roots(session, tiling.consistency_ranges(old_size, new_size))


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
    """How far a record has climbed: `recorded`, `sealed` or `anchored`."""
    if anchored_above(session, record.leaf_index) is not None:
        return "anchored"
    sealed = session.scalars(
        select(Checkpoint.tree_size).where(Checkpoint.tree_size > record.leaf_index).limit(1)
    ).first()
    return "recorded" if sealed is None else "sealed"


def payload_bytes(record: Record) -> bytes:
    return record.payload.encode()


def payload_of(record: Record) -> dict[str, Any]:
    """The record's payload as a value."""
    return dict(orjson.loads(record.payload))


def leaf_hash_of(record: Record) -> bytes:
    """The leaf hash re-derived from the stored payload and salt, not from the stored tile."""
    digest = payload_digest(record.salt, payload_bytes(record))
    entry = {"at": instant(record.at), "digest": digest, "kind": record.kind, "v": 1}
    return leaf_hash(canonical_fast(entry))


def digest_key(origin: str, subject_id: str) -> bytes:
    """The 32-byte name a contract knows a subject by, where the subject has no public number."""
    return sha256(canonical_fast(["subject", origin, subject_id]))


def _previous_digests(session: Session, pending: Iterable[Pending]) -> dict[tuple[str, int], str]:
    wanted = [(d.subject_id, d.subject_version - 1) for d in pending if d.subject_version > 1]
    found: dict[tuple[str, int], str] = {}
    for start in range(0, len(wanted), ROWS_A_STATEMENT):
        rows = session.execute(
            select(Record.subject_id, Record.subject_version, Record.digest).where(
                tuple_(Record.subject_id, Record.subject_version).in_(
                    wanted[start : start + ROWS_A_STATEMENT]
                )
            )
        )
        found.update({(subject, version): digest for subject, version, digest in rows})
    return found


def _grow_tiles(session: Session, size: int, leaf_hashes: list[bytes]) -> None:
    rows = {tiling.Tile(row.level, row.n): row for row in _tile_rows(session, tiling.edge(size))}
    changed = tiling.grow({tile: row.hashes for tile, row in rows.items()}, size, leaf_hashes)
    for tile, hashes in changed.items():
        if tile in rows:
            rows[tile].hashes = hashes
        else:
            session.add(TileRow(level=tile.level, n=tile.n, hashes=hashes))


def _tile_rows(session: Session, wanted: Iterable[tiling.Tile]) -> list[TileRow]:
    names = [tuple(tile) for tile in wanted]
    return list(session.scalars(select(TileRow).where(tuple_(TileRow.level, TileRow.n).in_(names))))


def _range_roots(session: Session, ranges: list[tuple[int, int]]) -> list[bytes]:
    if not ranges:
        return []
    rows = _tile_rows(session, tiling.tiles_needed(ranges))
    tiles = {tiling.Tile(row.level, row.n): row.hashes for row in rows}
    return [tiling.range_root(low, high, tiles) for low, high in ranges]
