"""What goes out and how it is checked: bundles, printed vouchers, packages, the log, verification."""

import io
import re
from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.orm import Session

from ledger import handoff, log, peers, recognition, settings, uses, vouchers, witnesses
from ledger.chain import outbox
from ledger.errors import (
    Conflict,
    Invalid,
    LedgerError,
    Missing,
    NotAllowed,
    NotAuthenticated,
)
from ledger.log import Checkpoint, Record
from ledger.parties import Actor, roles_of
from ledger.peers import Peer
from ledger.proof import bundle as bundles
from ledger.proof import report as reports
from ledger.proof import verify as verifier
from ledger.proof.chain_node import Node
from ledger.proof.checkpoint import format_tlog_proof
from ledger.proof.encoding import canonical, instant
from ledger.proof.tiles import parse_tile_path, tiles_a_proof
from ledger.proof.trust import parse_trust
from ledger.registration import Application, Deposit, Registration, check_code
from ledger.rights import MEMBER, PUBLIC
from ledger.tables.file_kinds import unpacking
from ledger.vouchers import Voucher
from webapp.deeds import Desk, File, Report, deed, question
from webapp.deeds.answers import RecordAnswer, history_of, rows_a_page
from webapp.deeds.forms import MISSHAPEN, Body, document, said, text

SAMPLE_LINES = 21
QUORUM_MAX = witnesses.WITNESSES_MAX
JSON, TEXT = "application/json", "text/plain; charset=utf-8"
LEAF = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


class ExportQuery(Body):
    """Whether the withheld fields are disclosed."""

    withhold = fields.Boolean(
        load_default=False, metadata={"title": "Do not disclose the withheld fields", "hint": ""}
    )


class TrustQuery(Body):
    """How many witnesses must have cosigned what is verified."""

    quorum = fields.Integer(
        load_default=0,
        validate=validate.Range(0, QUORUM_MAX, error=said(MISSHAPEN, f"number from 0 to {QUORUM_MAX}")),
        metadata={"title": "Witnesses that must have cosigned", "hint": ""},
    )  # fmt: skip


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
    max_uses = fields.Integer(required=True, allow_none=True)
    number = fields.String(required=True)
    on_chain = fields.String(required=True)
    pledged = fields.Boolean(required=True)
    predecessor = fields.String(required=True, allow_none=True)
    registration_code = fields.String(required=True)
    rights = fields.List(fields.String(), required=True)
    rung = fields.String(required=True)
    scene = fields.String(required=True, allow_none=True)
    successors = fields.List(fields.String(), required=True)
    summary = fields.String(required=True)
    title = fields.String(required=True)
    used = fields.Integer(required=True, allow_none=True)
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
    confirmed_at = fields.String(required=True, allow_none=True)


class LogAnswer(Schema):
    """The log as it stands.

    `reached`: up to which size it is sealed, anchored, confirmed; `readers`: to whom it is shown (public,
    member, supervisor); `tiles_a_proof`: how many tiles a proof at this size reads at most.
    """

    origin = fields.String(required=True)
    tree_size = fields.Integer(required=True)
    reached = fields.Dict(required=True)
    readers = fields.String(required=True)
    tiles_a_proof = fields.Integer(required=True)
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
    limit = rows_a_page()


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
    return File(tlog_text(document), TEXT, f"{found.number}.tlog-proof")


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


@question("trust.read", "/trust", "Trust file", name="trust.read", query=TrustQuery)
def trust(desk: Desk, session: Session, _actor: Actor, *, quorum: int) -> File:
    content = desk.home.trust(witnesses.trust_keys(session), quorum)
    parse_trust(content)  # refuses a quorum that nobody could meet
    return File(content, JSON, "trust.json")


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
_anchored = _checkpoint.alias()
_is_anchored = _anchored.c.anchor_block.is_not(None)
_STATE = (
    select(
        _voucher, _act.c.state.label("on_chain"), _record.c.leaf_index,
        *(_checkpoint.c[name] for name in CheckpointAnswer().fields),
        *log.REACHED,
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
    sizes = {name: getattr(found, name) for name in log.RUNGS}

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
        "max_uses": found.max_uses,
        "number": found.number,
        "on_chain": found.on_chain or "waiting",
        "pledged": found.pledged,
        "predecessor": found.predecessor,
        "registration_code": subject["registration_code"],
        "rights": found.rights,
        "rung": rung(found.leaf_index),
        "scene": found.scene,
        "successors": found.successors or [],
        "summary": subject["summary"],
        "title": subject["title"],
        "used": None if found.max_uses is None else uses.counted(session, found.id),
        "valid_from": instant(found.valid_from),
        "valid_until": instant(found.valid_until),
        "word": found.state,
    }  # fmt: skip


def verify_bytes(desk: Desk, session: Session, data: bytes, name: str) -> reports.Report:
    """The verifier's report on a file, with this registry's own trust file, status list and chain.

    A voucher of another registry is checked under that one's admitted trust file, and the report begins
    with saying so. Whoever does not trust this site runs `shuzheng verify` himself; the page says so.
    """
    from webapp.cli.verify import unwrap  # noqa: PLC0415 - the printed form needs fonts

    report = reports.Report()
    current = vouchers.current_status(session)
    listed = None if current is None else canonical(current.list_credential)
    try:
        data = unwrap(data, report)
    except Invalid as error:
        report.add("form", verifier.NOT_VALID, error.template, **error.facts)
        return report
    peer = _peer_of(session, data)
    if peer is not None:
        return _verify_as(peer, session, data, desk, report)
    return verifier.verify(
        data, parse_trust(desk.home.trust(witnesses.trust_keys(session))), now=desk.now,
        status=listed, node=_own_node(desk), report=report,
    )  # fmt: skip


def _peer_of(session: Session, data: bytes) -> Peer | None:
    """The admitted registry whose voucher a file holds; None for our own and for everything else."""
    try:
        return peers.admitted(session, recognition.origin_of(data))
    except LedgerError:
        return None


def _verify_as(
    peer: Peer, session: Session, data: bytes, desk: Desk, report: reports.Report
) -> reports.Report:
    """The report on a voucher of another registry; its chain is not asked, since anybody may upload."""
    report.add(
        "trust", verifier.VALID,
        "This is a voucher of {registry} ({origin}), not of this registry. It is checked under the trust "
        "file of {registry} that was admitted here ({fingerprint}); its chain is not asked.",
        registry=peer.name, origin=peer.origin, fingerprint=peer.digest,
    )  # fmt: skip
    known = peers.visit_of(session, peer.origin).status_list
    try:
        found = recognition.check(
            data, peer, desk.now, status=[] if known is None else [canonical(known)]
        ).report
    except recognition.NotRecognised as error:
        found = error.report
    except LedgerError as error:
        report.add("form", verifier.NOT_VALID, error.template, **error.facts)
        return report
    report.kind = found.kind
    report.steps += found.steps
    return report


def _own_node(desk: Desk) -> Node | None:
    """This installation's chain node, or None while it is away: then the log's key vouches alone."""
    try:
        return Node(desk.home.node_url())
    except LedgerError:
        return None


# -- the log -----------------------------------------------------------------------------------

# To whom the operator shows the log (the setting `log_readers`): one of these roles is needed.
LOG_READERS = {
    "public": frozenset({PUBLIC}),
    "member": frozenset({MEMBER}),
    "supervisor": frozenset({"administrator", "registrar", "regulator"}),
}


def is_public(session: Session) -> bool:
    """Whether everybody may read the log."""
    return settings.value(session, "log_readers") == "public"


def may_read_log(session: Session, actor: Actor) -> None:
    """Raise NotAuthenticated or NotAllowed unless the operator shows this actor the log."""
    readers = settings.value(session, "log_readers")
    if not LOG_READERS[readers] & roles_of(actor):
        if not actor.member_id:
            raise NotAuthenticated("Sign in first.")
        raise NotAllowed(
            "This needs the role {needed}; you have {roles}.",
            needed=" / ".join(sorted(LOG_READERS[readers])),
            roles=", ".join(sorted(actor.roles)) or "-",
        )


@question("log.read", "/log", "The log and its checkpoints", answer=LogAnswer)
def log_state(desk: Desk, session: Session, actor: Actor) -> dict[str, Any]:
    """What the log is and how far it is sealed and anchored."""
    may_read_log(session, actor)
    head = session.get_one(log.Head, 1)
    found = session.scalars(select(Checkpoint).order_by(Checkpoint.tree_size.desc()).limit(50))
    known = desk.deployment
    return {
        "chain_id": known.chain_id, "checkpoints": [checkpoint_facts(one) for one in found],
        "contracts": dict(known.contracts), "genesis": known.genesis, "origin": head.origin,
        "reached": dict(session.execute(select(*log.REACHED)).one()._mapping),
        "readers": settings.value(session, "log_readers"),
        "tiles_a_proof": tiles_a_proof(head.tree_size), "tree_size": head.tree_size,
    }  # fmt: skip


def checkpoint_facts(one: Any) -> dict[str, Any]:
    """A checkpoint, or a row with its columns."""
    return {
        "anchor_block": one.anchor_block, "anchor_transaction": one.anchor_transaction,
        "confirmed_at": one.confirmed_at and instant(one.confirmed_at), "note": one.note,
        "root": one.root, "sealed_at": instant(one.sealed_at), "tree_size": one.tree_size,
    }  # fmt: skip


@question("log.read", "/log/checkpoint", "Newest checkpoint", name="log.checkpoint",
          media_type="text/plain")  # fmt: skip
def newest_checkpoint(_desk: Desk, session: Session, actor: Actor) -> File:
    may_read_log(session, actor)
    found = log.last_sealed(session)
    if found is None:
        raise Missing("Nothing is sealed yet.")
    return File(witnesses.cosigned_note(session, found).encode(), TEXT, "checkpoint")


@question("log.read", "/log/tile/<path:tile_path>", "Tile of the log", name="log.tile",
          media_type="application/octet-stream")  # fmt: skip
def tile(_desk: Desk, session: Session, actor: Actor, tile_path: str) -> File:
    """A tile or an entry bundle by its path (C2SP tlog-tiles)."""
    may_read_log(session, actor)
    path = f"tile/{tile_path}"
    try:
        content = log.tile(session, *parse_tile_path(path))
    except Invalid:
        content = None
    if content is None:
        raise Missing("The log has no {path} under its newest checkpoint.", path=path)
    return File(content, "application/octet-stream", path.replace("/", "-"))


@question("log.read", "/log/proof/<leaf_index>.tlog-proof", "Proof of a leaf (C2SP)",
          name="log.proof", media_type="text/plain")  # fmt: skip
def leaf_proof(_desk: Desk, session: Session, actor: Actor, leaf_index: str) -> File:
    """A leaf's inclusion proof under the checkpoint its bundle has, else under the newest one."""
    may_read_log(session, actor)
    known = LEAF.fullmatch(leaf_index)
    found = log.last_sealed(session)
    if known is None or found is None or int(leaf_index) >= found.tree_size:
        raise Missing("The log has no leaf {leaf} under its newest checkpoint.", leaf=leaf_index)
    leaf = int(leaf_index)
    found = log.confirmed_above(session, leaf) or found
    [entry] = log.entries_from(session, leaf, 1)
    proof = log.inclusion(session, leaf, found.tree_size)
    content = format_tlog_proof(
        leaf, proof, witnesses.cosigned_note(session, found), canonical(entry)
    )
    return File(content.encode(), TEXT, f"{leaf_index}.tlog-proof")


@question("log.read", "/log/entries", "Entries of the log", name="log.entries",
          query=EntriesQuery, answer=EntriesAnswer)  # fmt: skip
def entries(
    _desk: Desk, session: Session, actor: Actor, *, start: int, limit: int
) -> dict[str, Any]:
    """Leaves from a place on, as everybody may see them: time, kind, digest."""
    may_read_log(session, actor)
    found = log.entries_from(session, start, limit + 1)
    return {
        "items": [
            {"entry": entry, "leaf_index": start + place}
            for place, entry in enumerate(found[:limit])
        ],
        "next": start + limit if len(found) > limit else None,
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
