"""Supervision (监管): the audit, which re-derives everything from payloads and compares it.

    payload → digest → entry → leaf → tiles → root → checkpoint → contract
    payload → evidence row → contract state

Each difference names the place, the field and both values. Nothing is mended here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from ledger import log, revenue, trading, vouchers
from ledger.chain.gateway import Gateway
from ledger.chain.outbox import Act, Deployment
from ledger.errors import LedgerError
from ledger.proof import tiles as tiling
from ledger.proof.bundle import payload_digest, voucher_key
from ledger.proof.checkpoint import VerifierKey, open_note, parse_checkpoint
from ledger.proof.encoding import instant
from ledger.proof.merkle import root
from ledger.store import Base, Evidence, canonical_fast
from ledger.vouchers import KINDS, rights_mask

BATCH = 2000
STATE_ON_CHAIN = {"valid": 1, "suspended": 2, "revoked": 3, "cancelled": 4, "superseded": 5}
STATEMENT_ON_CHAIN = {"proposed": 1, "approved": 2, "posted": 2, "rejected": 3}
PLEDGED, FROZEN = 1, 2
FIRST = -(2**63)
UNKNOWN = bytes(32)  # stands for the leaf hash of a record from which none can be derived

Progress = Callable[[str, int, int], None]
Row = TypeVar("Row", bound=Base)


@dataclass(frozen=True)
class Difference:
    """Two values that should be one."""

    place: str
    field: str
    known: Any
    derived: Any

    def as_dict(self) -> dict[str, Any]:
        return {
            "derived": str(self.derived), "field": self.field, "known": str(self.known),
            "place": self.place,
        }  # fmt: skip


class Audit:
    """One run over one database, and over its chain where a gateway is given."""

    def __init__(
        self,
        session: Session,
        origin: str,
        log_keys: list[VerifierKey],
        deployment: Deployment,
        gateway: Gateway | None,
        on_progress: Progress | None = None,
    ) -> None:
        self.session, self.origin, self.log_keys = session, origin, log_keys
        self.deployment, self.gateway = deployment, gateway
        self.on_progress = on_progress or (lambda *_: None)
        self.differences: list[Difference] = []
        self.leaf_hashes: list[bytes] = []
        self.last_body: dict[tuple[str, str], dict[str, Any]] = {}
        self.record_count = 0

    def run(self) -> list[Difference]:
        """All differences; an empty list is a clean bill."""
        self._records()
        self._tiles()
        self._checkpoints()
        self._tables()
        if self.gateway is not None:
            self._chain()
        return self.differences

    def _compare(self, place: str, field: str, known: Any, derived: Any) -> None:
        if known != derived:
            self.differences.append(Difference(place, field, known, derived))

    def _each_record(self) -> Iterator[log.Record]:
        start = FIRST  # not 0: a record before the first leaf is tampering too
        while True:
            indexes = self.session.scalars(
                select(log.Record.leaf_index)
                .where(log.Record.leaf_index >= start)
                .order_by(log.Record.leaf_index)
                .limit(BATCH)
            ).all()
            if not indexes:
                return
            yield from self._readable(log.Record, log.Record.leaf_index, indexes)
            start = indexes[-1] + 1
            self.session.expunge_all()

    def _readable(
        self, table: type[Row], key: InstrumentedAttribute[Any], values: Sequence[Any]
    ) -> list[Row]:
        """The rows with these keys, in their order; one that cannot even be read is a difference."""
        if not values:
            return []
        wanted = select(table).order_by(key)
        try:
            return list(self.session.scalars(wanted.where(key.between(values[0], values[-1]))))
        except (TypeError, ValueError):
            rows: list[Row] = []
        for value in values:
            try:
                rows += self.session.scalars(wanted.where(key == value))
            except (TypeError, ValueError) as error:
                self._compare(f"{table.__tablename__} {value}", "row", str(error), "a readable row")
        return rows

    def _records(self) -> None:
        head = self.session.get(log.Head, 1)
        size = head.tree_size if head else 0
        digests: dict[str, tuple[int, str]] = {}
        last_at = None
        for record in self._each_record():
            place = f"record {record.leaf_index}"
            self._compare(place, "leaf_index", record.leaf_index, self.record_count)
            self.record_count += 1
            try:
                self.leaf_hashes.append(log.leaf_hash_of(record))
                digest = payload_digest(record.salt, log.payload_bytes(record))
            except LedgerError as error:
                self.leaf_hashes.append(UNKNOWN)
                digest = error.sentence
            self._compare(place, "digest", record.digest, digest)
            try:
                payload = orjson.loads(record.payload)
                spelled = canonical_fast(payload).decode()
            except (ValueError, LedgerError):
                self._compare(place, "payload", record.payload[:80], "canonical JSON")
                continue
            self._compare(place, "payload", record.payload, spelled)
            if type(payload) is not dict or type(payload.get("body")) is not dict:
                self._compare(place, "payload", record.payload[:80], "an object with a body")
                continue
            version, prev = digests.get(record.subject_id, (0, None))
            derived = {
                "actor": record.actor,
                "at": instant(record.at),
                "kind": record.kind,
                "log": self.origin,
                "prev": prev,
                "subject": {"id": record.subject_id, "type": record.subject_type},
            }
            for field, value in derived.items():
                self._compare(place, field, payload.get(field), value)
            self._compare(place, "subject_version", record.subject_version, version + 1)
            if last_at is not None and record.at < last_at:
                self._compare(place, "at", record.at, f"not before {last_at}")
            last_at = record.at
            digests[record.subject_id] = (record.subject_version, record.digest)
            self.last_body[record.subject_type, record.subject_id] = payload["body"]
            if self.record_count % BATCH == 0:
                self.on_progress("records", self.record_count, size)
        self._compare("log head", "tree_size", size, self.record_count)
        if head is not None:
            self._compare("log head", "origin", head.origin, self.origin)
            self._compare("log head", "last_at", head.last_at, last_at or head.last_at)

    def _tiles(self) -> None:
        derived = tiling.grow({}, 0, self.leaf_hashes)
        stored = {
            tiling.Tile(row.level, row.n): row.hashes
            for row in self.session.scalars(select(log.TileRow))
        }
        for tile in sorted(set(stored) | set(derived)):
            known, due = stored.get(tile, b""), derived.get(tile, b"")
            place = tiling.tile_path(tile) if min(tile) >= 0 else f"tile {tile.level} {tile.n}"
            self._compare(place, "hashes", known.hex(), due.hex())

    def _checkpoints(self) -> None:
        for checkpoint in self.session.scalars(
            select(log.Checkpoint).order_by(log.Checkpoint.tree_size)
        ):
            place = f"checkpoint {checkpoint.tree_size}"
            derived = root(self.leaf_hashes[: checkpoint.tree_size]).hex()
            self._compare(place, "root", checkpoint.root, derived)
            try:
                text, _ = open_note(checkpoint.note, self.log_keys)
                said = parse_checkpoint(text)
                self._compare(place, "note.size", said.tree_size, checkpoint.tree_size)
                self._compare(place, "note.root", said.root.hex(), derived)
                self._compare(place, "note.origin", said.origin, self.origin)
            except LedgerError as error:
                self._compare(place, "note", error.sentence, "a note signed by the log's key")
            if checkpoint.anchor_block is not None and self.gateway is not None:
                held = self._ask("CheckpointAnchor", "rootOf", checkpoint.tree_size)
                self._compare(place, "rootOf on chain", held.hex(), derived)

    def _tables(self) -> None:
        for table in evidence_tables():
            ids = self.session.scalars(select(table.id).order_by(table.id)).all()
            seen = set(ids)
            for row in self._readable(table, table.id, ids):
                place = f"{table.__tablename__} {row.id}"
                derived = self.last_body.get((table.subject_type, row.id))
                if derived is None:
                    self._compare(place, "record", "a row", "no record")
                    continue
                for field, value in row.body().items():
                    self._compare(place, field, value, derived.get(field))
            for subject_type, subject_id in self.last_body:
                if subject_type == table.subject_type and subject_id not in seen:
                    self._compare(f"{table.__tablename__} {subject_id}", "row", None, "a row")
            self.session.expunge_all()

    def _chain(self) -> None:
        latest_size, latest_root = self._ask("CheckpointAnchor", "latest")
        if latest_size:
            derived = (
                root(self.leaf_hashes[:latest_size]) if latest_size <= self.record_count else b""
            )
            self._compare(f"chain size {latest_size}", "root", latest_root.hex(), derived.hex())
        for act in self.session.scalars(select(Act).where(Act.state == "alarm")):
            place = f"act {act.contract}.{act.function} {act.subject_id}"
            self._compare(place, "state", act.problem, "effective")
        settled = {  # what is on its way is not compared yet
            act.subject_id
            for act in self.session.scalars(select(Act).where(Act.state.in_(("waiting", "sent"))))
        }
        for voucher in self.session.scalars(select(vouchers.Voucher)):
            if voucher.id not in settled:
                self._voucher(voucher)
        for licence, voucher in self.session.execute(
            select(trading.Licence, vouchers.Voucher).join(
                vouchers.Voucher, vouchers.Voucher.id == trading.Licence.voucher_id
            )
        ):
            if licence.id not in settled:
                key = voucher_key(self.origin, voucher.number)
                held = self._ask("CirculationRegistry", "get", key, licence.n)
                place = f"licence {licence.order_reference}"
                self._compare(place, "licensee on chain", held[0], licence.licensee_address)
                self._compare(place, "version on chain", held[4], licence.version)
                self._compare(
                    place, "terms on chain", "sha256:" + held[5].hex(), licence.terms_digest
                )
        for statement in self.session.scalars(select(revenue.Statement)):
            if statement.id not in settled and statement.chain_version:
                key = log.digest_key(self.origin, statement.id)
                digest = bytes.fromhex(statement.digest[7:])
                fits, state, _ = self._ask(
                    "RevenueBook", "verify", key, digest, bytes.fromhex(statement.line_root)
                )
                place = f"statement {statement.number}"
                self._compare(place, "digest on chain", fits, True)
                self._compare(place, "state on chain", state, STATEMENT_ON_CHAIN[statement.state])

    def _voucher(self, voucher: vouchers.Voucher) -> None:
        held = self._ask("VoucherRegistry", "get", voucher_key(self.origin, voucher.number))
        place = f"voucher {voucher.number}"
        derived = {
            "holder": voucher.holder_address,
            "valid_until": int(voucher.valid_until.timestamp()),
            "version": voucher.version,
            "state": STATE_ON_CHAIN[voucher.state],
            "flags": (PLEDGED if voucher.pledged else 0) | (FROZEN if voucher.frozen else 0),
            "kind": KINDS[voucher.kind],
            "rights": rights_mask(voucher.rights),
            "digest": voucher.digest,
        }
        on_chain = [*held[:7], "sha256:" + held[7].hex()]
        for (field, value), known in zip(derived.items(), on_chain, strict=True):
            self._compare(place, f"{field} on chain", known, value)

    def _ask(self, contract: str, function: str, *arguments: Any) -> Any:
        assert self.gateway is not None
        return self.gateway.call(
            contract, self.deployment.contracts[contract], function, *arguments
        )


def evidence_tables() -> list[type[Evidence]]:
    """Every table whose rows are the fold of records."""
    return sorted(Evidence.__subclasses__(), key=lambda table: table.__tablename__)
