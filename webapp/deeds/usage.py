"""Usage handed in by the million: checked, stored in short transactions, recorded by the last one."""

import hashlib
import os
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from ledger import handoff, log, row_faults, salted_rows, usage
from ledger.errors import Invalid, LedgerError, Missing
from ledger.parties import Actor
from ledger.proof.encoding import canonical, instant
from ledger.proof.row import ROW_TYPE
from ledger.usage import Batch, Checked
from webapp.deeds import Desk, File, Report, deed, question
from webapp.deeds.answers import lists, rows_a_page, shows
from webapp.deeds.field import DIGEST
from webapp.deeds.forms import MISSHAPEN, Body, said, text
from webapp.deeds.import_templates import USAGE, template
from webapp.home import Home, clock

JSON = "application/json"
WAIT_S = 0.5
PIECE_BYTES = 1 << 20


class UsageBody(Body):
    """Events to be recorded, by the digest of the file handed in."""

    name = text("File name", most=200)
    digest = text("Digest", most=71, pattern=DIGEST, example="digest sha256:…")
    size_bytes = fields.Integer(load_default=0, metadata={"title": "Bytes", "hint": ""})


class RowQuery(Body):
    """Which row is meant."""

    row = text("Row", most=64, hint="its event number, or else its number in the batch, from 1")


class RowsQuery(Body):
    """Which rows of a batch are wanted."""

    after = fields.Integer(
        load_default=0,
        validate=validate.Range(0, 2**53 - 1, error=said(MISSHAPEN, "whole number")),
        metadata={"title": "After row", "hint": ""},
    )
    limit = rows_a_page()


class UsageRowAnswer(Schema):
    """A row of a batch, and its number there."""

    n = fields.Integer(required=True)
    row = fields.Dict(required=True)


class UsageRowsAnswer(Schema):
    """Rows of a batch in their order; `next` is the number after which the next ones stand."""

    items = fields.List(fields.Nested(UsageRowAnswer), required=True)
    next = fields.Integer(required=True, allow_none=True)


def keep_stream(home: Home, source: IO[bytes], most: int) -> dict[str, Any]:
    """Keep what a stream holds by its digest, durably, never all of it in memory: digest, size_bytes."""
    folder = home.path / "materials"
    folder.mkdir(mode=0o700, exist_ok=True)
    part, digest, size = folder / f".{uuid4().hex}.part", hashlib.sha256(), 0
    try:
        with part.open("wb") as file:
            while piece := source.read(PIECE_BYTES):
                size += len(piece)
                if size > most:
                    raise Invalid("The file is larger than {most} MiB.", most=most >> 20)
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if not size:
            raise Invalid("The file is empty.")
        part.chmod(0o600)
        part.replace(folder / digest.hexdigest())
    finally:
        part.unlink(missing_ok=True)
    return {"digest": f"sha256:{digest.hexdigest()}", "size_bytes": size}


def _take_in(
    desk: Desk, report: Report, actor: Actor, *, name: str, digest: str, **_: Any
) -> dict[str, Any]:
    """The rows of a file, checked and stored; only the record is still to be made."""
    from ledger.tables.events import read_events  # noqa: PLC0415 - heavy, only here

    path: Path = desk.home.path / "materials" / digest.removeprefix("sha256:")
    if not path.exists():
        raise Missing("The material {digest} is not kept here.", digest=digest)
    report("read", 0, 0)
    given = read_events(path, name)
    report("check", 0, 0)
    try:
        with desk.home.reading() as session:
            checked = usage.check(session, actor, desk.now, given, name)
        stored = _store(desk.home, checked, report)
        if stored is None:  # an event is known already: which, and where?
            with desk.home.reading() as session:
                usage.repeated(session, actor.party_id, given, name)
    except row_faults.Unusable as error:
        error.facts["fault_file"] = desk.home.store_material(row_faults.faults_csv(error))
        raise
    return {"checked": checked, "stored": stored}


def _store(home: Home, checked: Checked, report: Report) -> dict[str, Any] | None:
    """Store the rows a chunk a transaction: `no` and `holder`, or the `batch_id` that has them already.

    None where an event is recorded already. Waits while another one takes in the same rows.
    """
    holder = uuid4().hex
    while True:
        now = clock()
        with home.deed(now) as session:
            turn = usage.begin(session, checked, holder, now)
        if turn.batch_id is not None:
            return {"batch_id": turn.batch_id}
        if turn.no is not None:
            break
        if turn.broken is not None:
            _sweep(home, turn.broken, holder)
        else:
            report("wait", 0, 0)
            time.sleep(WAIT_S)
    try:
        for place, chunk in enumerate(checked.chunks):
            now = clock()
            with home.deed(now) as session:
                usage.store(session, turn.no, holder, now, place, chunk)
            report(
                "store", min((place + 1) * salted_rows.CHUNK, checked.row_count), checked.row_count
            )
    except salted_rows.Repeated:
        _drop(home, turn.no, holder, clock())
        return None
    except BaseException:
        _drop(home, turn.no, holder, clock())
        raise
    return {"no": turn.no, "holder": holder}


def _sweep(home: Home, no: int, holder: str) -> None:
    more = True
    while more:
        now = clock()
        with home.deed(now) as session:
            more = usage.sweep(session, no, holder, now)


def _drop(home: Home, no: int, holder: str, now: datetime) -> None:
    """What failed leaves nothing behind; where even that fails, the next intake sweeps."""
    with suppress(LedgerError):
        with home.deed(now) as session:
            usage.give_up(session, no, holder, now)
        _sweep(home, no, holder)


@deed("usage.import", "/records:batch", "Hand in usage events",
      "Batch {number}: {rows} events are recorded.",
      body=UsageBody, upload=True, long=True, prepare=_take_in)  # fmt: skip
def import_usage(
    desk: Desk, session: Session, actor: Actor, *, checked: Checked, stored: dict[str, Any],
    **_file: Any,
) -> dict[str, Any]:  # fmt: skip
    """The record of a batch; of one that is there already, its first record again."""
    known = stored.get("batch_id")
    if known is None:
        made = usage.record(session, actor, desk.now, checked, stored["no"], stored["holder"])
    else:
        made = session.get_one(Batch, known)
        first = log.record_of(session, made.id, 1)
        # so that the receipt names the place where this was recorded the first time
        session.info.setdefault(log.SEQUENCED, []).append({
            "at": instant(first.at), "digest": first.digest, "kind": first.kind,
            "leaf_index": first.leaf_index,
        })  # fmt: skip
    return {
        "batch_root": made.batch_root, "content_digest": made.content_digest, "id": made.id,
        "known": known is not None, "number": made.number, "rows": made.row_count,
    }  # fmt: skip


usage_template = template(import_usage, USAGE)
show_usage = shows("usage", "/usage-batches/<batch_number>", "Batch of events")
list_usage = lists("usage", "/usage-batches", "Usage", "number source_name row_count first_at last_at",
                   (Batch.number, Batch.source_name))  # fmt: skip


@question("usage.read", "/usage-batches/<batch_number>/rows", "Events of a batch",
          name="usage.rows", query=RowsQuery, answer=UsageRowsAnswer)  # fmt: skip
def rows(
    _desk: Desk, session: Session, _actor: Actor, found: Batch, *, after: int, limit: int
) -> dict[str, Any]:
    told = usage.rows_of(session, found, after, limit)
    last = told[-1].n if told else 0
    return {
        "items": [{"n": one.n, "row": salted_rows.parsed(one.row)} for one in told],
        "next": last if last and last < found.row_count else None,
    }


@question("usage.read", "/usage-batches/<batch_number>/proof", "Proof of an event",
          name="usage.proof", query=RowQuery)  # fmt: skip
def proof(desk: Desk, session: Session, _actor: Actor, found: Batch, *, row: str) -> File:
    document = proof_document(desk, session, found, usage.row_number(session, found, row))
    return File(canonical(document), JSON, f"{found.number}-{document['row_index'] + 1}.json")


def proof_document(desk: Desk, session: Session, found: Batch, n: int) -> dict[str, Any]:
    """A row, its path in the batch, and the bundle of its record; Conflict until that is confirmed."""
    record = log.record_of(session, found.id, 1)
    bundle = handoff.record_bundle(session, record, desk.deployment)
    return {"bundle": bundle, **usage.row_proof(session, found, n), "type": ROW_TYPE, "v": 1}
