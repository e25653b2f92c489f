"""What goes out and how it is checked: bundles, printed vouchers, packages, the log, verification."""

import io
from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.orm import Session

from ledger import handoff, log, vouchers
from ledger.chain import outbox
from ledger.errors import Conflict, Invalid, LedgerError, Missing
from ledger.log import Checkpoint, Record
from ledger.parties import Actor
from ledger.proof import bundle as bundles
from ledger.proof import verify as verifier
from ledger.proof.checkpoint import format_tlog_proof
from ledger.proof.encoding import canonical, instant
from ledger.proof.trust import parse_trust
from ledger.registration import Application, Deposit, Registration, check_code
from ledger.tables.file_kinds import unpacking
from ledger.vouchers import Voucher
from webapp.deeds import Desk, File, Report, deed, question
from webapp.deeds.answers import PAGE_MAX, RecordAnswer, history_of
from webapp.deeds.forms import MISSHAPEN, Body, document, said, text

SAMPLE_LINES = 21
JSON = "application/json"


class ExportQuery(Body):
    """Whether the withheld fields are disclosed."""

    withhold = fields.Boolean(
        load_default=False, metadata={"title": "Do not disclose the withheld fields", "hint": ""}
    )


class PackBody(Body):
    """A listing package; the pricing note, else “by agreement” beside the appraised value."""

    pricing = document("Pricing note", required=False, hint="one a line, name: value")


class StateQuery(Body):
    """The digest a QR code names beside the number, if one was scanned."""

    digest = text("Digest", most=64, required=False, pattern=r"\A[0-9a-f]{64}\Z",
                  example="digest of 64 hex digits")  # fmt: skip


class StateAnswer(Schema):
    """What anyone may know of a voucher: its state now and its whole history, with proofs.

    `word` is the state as of `as_of` (lapsed is computed from `valid_until`); `on_chain` how far its last
    act is: waiting, sent, effective, alarm; `rung` how far its last record is: recorded, sealed, anchored.
    """

    as_of = fields.String(required=True)
    checkpoint = fields.Dict(required=True, allow_none=True)
    digest = fields.String(required=True)
    digest_fits = fields.Boolean(required=True, allow_none=True)
    frozen = fields.Boolean(required=True)
    history = fields.List(fields.Nested(RecordAnswer), required=True)
    kind = fields.String(required=True)
    log = fields.String(required=True)
    number = fields.String(required=True)
    on_chain = fields.String(required=True)
    pledged = fields.Boolean(required=True)
    registration_code = fields.String(required=True)
    rights = fields.List(fields.String(), required=True)
    rung = fields.String(required=True)
    summary = fields.String(required=True)
    title = fields.String(required=True)
    valid_from = fields.String(required=True)
    valid_until = fields.String(required=True)
    word = fields.String(required=True)


class StepAnswer(Schema):
    """One step of a verification."""

    name = fields.String(required=True)
    outcome = fields.String(required=True)
    text = fields.String(required=True)


class VerifyAnswer(Schema):
    """The report on a file: the verdict and each step."""

    exit_code = fields.Integer(required=True)
    kind = fields.String(required=True, allow_none=True)
    steps = fields.List(fields.Nested(StepAnswer), required=True)
    verdict = fields.String(required=True)


class CheckpointAnswer(Schema):
    """A checkpoint of the log and where it is anchored."""

    tree_size = fields.Integer(required=True)
    root = fields.String(required=True)
    note = fields.String(required=True)
    sealed_at = fields.String(required=True)
    anchor_transaction = fields.String(required=True, allow_none=True)
    anchor_block = fields.Integer(required=True, allow_none=True)


class LogAnswer(Schema):
    """The log as it stands."""

    origin = fields.String(required=True)
    tree_size = fields.Integer(required=True)
    chain_id = fields.Integer(required=True)
    genesis = fields.String(required=True)
    contracts = fields.Dict(required=True)
    checkpoints = fields.List(fields.Nested(CheckpointAnswer), required=True)


class EntryAnswer(Schema):
    """A leaf of the log, as everybody sees it."""

    leaf_index = fields.Integer(required=True)
    entry = fields.Dict(required=True)


class EntriesAnswer(Schema):
    """Leaves from a place on; `next` is the place after the last one told."""

    items = fields.List(fields.Nested(EntryAnswer), required=True)
    next = fields.Integer(required=True, allow_none=True)


class EntriesQuery(Body):
    """From which leaf, and how many."""

    start = fields.Integer(
        load_default=0,
        validate=validate.Range(0, 2**53 - 1, error=said(MISSHAPEN, "whole number")),
        metadata={"title": "First leaf", "hint": ""},
    )
    limit = fields.Integer(
        load_default=25,
        validate=validate.Range(1, PAGE_MAX, error=said(MISSHAPEN, f"number from 1 to {PAGE_MAX}")),
        metadata={"title": "Rows a page", "hint": ""},
    )  # fmt: skip


class HistoryAnswer(Schema):
    """All records of a subject."""

    items = fields.List(fields.Nested(RecordAnswer), required=True)


@question("voucher.export", "/vouchers/<voucher_number>/bundle", "Proof bundle",
          name="voucher.bundle", query=ExportQuery)  # fmt: skip
def bundle(desk: Desk, session: Session, _actor: Actor, found: Voucher, *, withhold: bool) -> File:
    document = handoff.voucher_bundle(session, found, desk.deployment, disclose=not withhold)
    return File(canonical(document), JSON, f"{found.number}.json")


@question("voucher.export", "/vouchers/<voucher_number>/tlog-proof", "Proof (C2SP)",
          name="voucher.tlog_proof", media_type="text/plain")  # fmt: skip
def tlog_proof(desk: Desk, session: Session, _actor: Actor, found: Voucher) -> File:
    document = handoff.voucher_bundle(session, found, desk.deployment, disclose=False)
    return File(tlog_text(document), "text/plain; charset=utf-8", f"{found.number}.tlog-proof")


def tlog_text(document: dict[str, Any]) -> bytes:
    """A bundle's inclusion proof in C2SP's text form, with the entry as extra data."""
    return format_tlog_proof(
        document["leaf_index"], [bytes.fromhex(value) for value in document["inclusion"]],
        document["checkpoint"], canonical(document["entry"]),
    ).encode()  # fmt: skip


@question("voucher.export", "/vouchers/<voucher_number>/voucher.pdf", "Printed voucher",
          name="voucher.pdf", query=ExportQuery, media_type="application/pdf")  # fmt: skip
def voucher_pdf(
    desk: Desk, session: Session, _actor: Actor, found: Voucher, *, withhold: bool
) -> File:
    from ledger import papers  # noqa: PLC0415 - fonts and typesetter, only where one prints

    document = handoff.voucher_bundle(session, found, desk.deployment, disclose=not withhold)
    return File(papers.voucher_pdf(document), "application/pdf", f"{found.number}.pdf")


@question("trust.read", "/trust", "Trust file", name="trust.read")
def trust(desk: Desk, _session: Session, _actor: Actor) -> File:
    return File(desk.home.trust(), JSON, "trust.json")


@question("status.read", "/status", "Status list", name="status.read")
def status(_desk: Desk, session: Session, _actor: Actor) -> File:
    current = vouchers.current_status(session)
    if current is None:
        raise Conflict("No status list was published yet: run the worker, then ask again.")
    return File(canonical(current.list_credential), JSON, "status.json")


@question("record.read", "/history/<subject_id>", "History", answer=HistoryAnswer)
def history(_desk: Desk, session: Session, _actor: Actor, subject_id: str) -> dict[str, Any]:
    return {"items": history_of(session, subject_id)}


@question("voucher.verify", "/vouchers/<number>/state", "State of a voucher", query=StateQuery,
          answer=StateAnswer)  # fmt: skip
def state(
    desk: Desk, _session: Session, _actor: Actor, number: str, *, digest: str = ""
) -> dict[str, Any]:
    return voucher_state(desk, number, digest)


def voucher_state(desk: Desk, number: str, digest: str = "") -> dict[str, Any]:
    """What anyone may know of a voucher now; `digest` is what a QR code named."""
    code = check_code(number)
    facts = desk.home.as_committed(("voucher", code), lambda session: _recorded(session, code))
    now = instant(desk.now)
    # Instants are spelled so that they sort by time.
    lapsed = facts["word"] == "valid" and now > facts["valid_until"]
    return {
        **facts,
        "as_of": now,
        "digest_fits": facts["digest"] == f"sha256:{digest}" if digest else None,
        "log": desk.origin,
        "word": "lapsed" if lapsed else facts["word"],
    }


_voucher, _act, _record, _checkpoint = (
    model.__table__ for model in (Voucher, outbox.Act, Record, Checkpoint)
)
_sealed, _anchored = _checkpoint.alias(), _checkpoint.alias()
_is_anchored = _anchored.c.anchor_block.is_not(None)
_STATE = (
    select(
        _voucher, _act.c.state.label("on_chain"), _record.c.leaf_index,
        *(_checkpoint.c[name] for name in CheckpointAnswer().fields),
        select(func.max(_sealed.c.tree_size)).scalar_subquery().label("sealed_size"),
        select(func.max(_anchored.c.tree_size)).where(_is_anchored).scalar_subquery()
        .label("anchored_size"),
    )
    .join(_record, and_(_record.c.subject_id == _voucher.c.id,
                        _record.c.subject_version == _voucher.c.version))
    .outerjoin(_act, and_(_act.c.subject_id == _voucher.c.id,
                          _act.c.subject_version == _voucher.c.version))
    .outerjoin(_checkpoint, _checkpoint.c.tree_size == (
        select(func.min(_anchored.c.tree_size))
        .where(_anchored.c.tree_size > _record.c.leaf_index, _is_anchored)
        .scalar_subquery()
    ))
    .where(_voucher.c.number == bindparam("number"))
)  # fmt: skip
_HISTORY = (
    select(_record.c.at, _record.c.digest, _record.c.kind, _record.c.leaf_index)
    .where(_record.c.subject_id == bindparam("subject_id"))
    .order_by(_record.c.subject_version)
)


def _recorded(session: Session, number: str) -> dict[str, Any]:
    """What is recorded of a voucher, whatever the clock says; raises Missing.

    Two statements, however long its history: how far a record has climbed is told by the sizes of the
    newest checkpoint and of the newest anchored one.
    """
    connection = session.connection()
    found = connection.execute(_STATE, {"number": number}).first()
    if found is None:
        raise Missing("There is no voucher {number}.", number=number)
    records = connection.execute(_HISTORY, {"subject_id": found.id})
    subject = found.credential["credentialSubject"]
    sizes = {"anchored": found.anchored_size or 0, "sealed": found.sealed_size or 0}

    def rung(leaf_index: int) -> str:
        return next((name for name, size in sizes.items() if leaf_index < size), "recorded")

    return {
        "checkpoint": None if found.tree_size is None else checkpoint_facts(found),
        "digest": found.digest,
        "frozen": found.frozen,
        "history": [
            {
                "at": instant(one.at), "digest": one.digest, "kind": one.kind,
                "leaf_index": one.leaf_index, "rung": rung(one.leaf_index),
            }
            for one in records
        ],
        "kind": found.kind,
        "number": found.number,
        "on_chain": found.on_chain or "waiting",
        "pledged": found.pledged,
        "registration_code": subject["registration_code"],
        "rights": found.rights,
        "rung": rung(found.leaf_index),
        "summary": subject["summary"],
        "title": subject["title"],
        "valid_from": instant(found.valid_from),
        "valid_until": instant(found.valid_until),
        "word": found.state,
    }  # fmt: skip


def verify_bytes(desk: Desk, session: Session, data: bytes, name: str) -> verifier.Report:
    """The verifier's report on a file, with this registry's own trust file, status list and chain.

    Whoever does not trust this site runs `shuzheng verify` himself; the page says so.
    """
    from webapp.cli.verify import unwrap  # noqa: PLC0415 - the printed form needs fonts

    report = verifier.Report()
    current = vouchers.current_status(session)
    listed = None if current is None else canonical(current.list_credential)
    try:
        data = unwrap(data, report)
    except Invalid as error:
        report.add("form", verifier.NOT_VALID, error.template, **error.facts)
        return report
    found = verifier.verify(
        data, parse_trust(desk.home.trust()), now=desk.now, status=listed, node=_own_node(desk)
    )
    found.steps[:0] = report.steps
    return found


def _own_node(desk: Desk) -> verifier.Node | None:
    """This installation's chain node, or None while it is away: then the log's key vouches alone."""
    try:
        return verifier.Node(desk.home.node_url())
    except LedgerError:
        return None


@question("log.read", "/log", "The log and its checkpoints", answer=LogAnswer)
def log_state(desk: Desk, session: Session, _actor: Actor) -> dict[str, Any]:
    """What the log is and how far it is sealed and anchored."""
    head = session.get_one(log.Head, 1)
    found = session.scalars(select(Checkpoint).order_by(Checkpoint.tree_size.desc()).limit(50))
    known = desk.deployment
    return {
        "chain_id": known.chain_id, "checkpoints": [checkpoint_facts(one) for one in found],
        "contracts": dict(known.contracts), "genesis": known.genesis, "origin": head.origin,
        "tree_size": head.tree_size,
    }  # fmt: skip


def checkpoint_facts(one: Any) -> dict[str, Any]:
    """A checkpoint, or a row with its columns."""
    return {
        "anchor_block": one.anchor_block, "anchor_transaction": one.anchor_transaction,
        "note": one.note, "root": one.root, "sealed_at": instant(one.sealed_at),
        "tree_size": one.tree_size,
    }  # fmt: skip


@question("log.read", "/log/checkpoint", "Newest checkpoint", name="log.checkpoint",
          media_type="text/plain")  # fmt: skip
def newest_checkpoint(_desk: Desk, session: Session, _actor: Actor) -> File:
    found = session.scalars(
        select(Checkpoint).order_by(Checkpoint.tree_size.desc()).limit(1)
    ).first()
    if found is None:
        raise Missing("Nothing is sealed yet.")
    return File(found.note.encode(), "text/plain; charset=utf-8", "checkpoint")


@question("log.read", "/log/entries", "Entries of the log", name="log.entries",
          query=EntriesQuery, answer=EntriesAnswer)  # fmt: skip
def entries(
    _desk: Desk, session: Session, _actor: Actor, *, start: int, limit: int
) -> dict[str, Any]:
    """Leaves from a place on, as everybody may see them: time, kind, digest."""
    found = session.scalars(
        select(Record)
        .where(Record.leaf_index >= start)
        .order_by(Record.leaf_index)
        .limit(limit + 1)
    ).all()
    return {
        "items": [
            {
                "entry": {"at": instant(one.at), "digest": one.digest, "kind": one.kind, "v": 1},
                "leaf_index": one.leaf_index,
            }
            for one in found[:limit]
        ],
        "next": found[limit].leaf_index if len(found) > limit else None,
    }  # fmt: skip


# -- the listing package -----------------------------------------------------------------------


def settled(desk: Desk, report: Report, *_: Any, **__: Any) -> dict[str, Any]:
    settle(desk, report)
    return {}


def settle(desk: Desk, report: Report) -> None:
    """Let everything recorded be sealed, anchored and effective."""
    from webapp.worker import Worker  # noqa: PLC0415 - the chain, only where one waits for it

    report("anchor", 0, 0)
    Worker(desk.home, desk.keyring, desk.gateway()).drain()


def _finish_package(desk: Desk, report: Report, answer: dict[str, Any]) -> dict[str, Any]:
    settle(desk, report)
    files = bundles.read_zip(desk.home.material(answer["bag"]))
    with desk.home.reading() as session:
        package = session.get_one(handoff.Package, answer["id"])
        content = handoff.finish(session, package, files, desk.deployment)
    return {
        "digest": desk.home.store_material(content), "files": len(files) + 1,
        "name": f"{answer['number']}.zip", "number": answer["number"],
    }  # fmt: skip


@deed("package.pack", "/vouchers/<voucher_number>/package", "Pack the listing package",
      "The package of {number} ({files} files) is ready: {digest}.", body=PackBody, long=True,
      prepare=settled, finish=_finish_package)  # fmt: skip
def pack(
    desk: Desk, session: Session, actor: Actor, found: Voucher,
    pricing: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The package's files, recorded; the proof of that record is added when it is anchored."""
    registration = session.get_one(Registration, found.registration_id)
    application = session.get_one(Application, registration.application_id)
    deposit = session.get_one(Deposit, application.deposit_ids[0])
    made, files = handoff.pack(
        session, actor, desk.now, found, deployment=desk.deployment,
        sample=head_of(desk.home.material(deposit.digest)), pricing=pricing or None,
    )  # fmt: skip
    return {
        "bag": desk.home.store_material(bundles.write_zip(files)), "id": made.id,
        "number": found.number,
    }  # fmt: skip


def head_of(data: bytes) -> bytes:
    """The first lines of a text file, compressed or not."""
    with unpacking(io.BytesIO(data)) as text:
        return b"".join(text.readline() for _ in range(SAMPLE_LINES))
