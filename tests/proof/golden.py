"""The formats of design §4, made by the production functions with fixed keys, salts and times.

    python -m tests.proof.golden --write        writes tests/golden/formats/ anew

A change there is a change of a format that others hold files in: it wants a decision note.
"""

import hashlib
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import create_engine, update
from sqlalchemy.orm import Session

from ledger import handoff, log, revenue, statements, vouchers
from ledger.chain import outbox
from ledger.chain.outbox import Deployment
from ledger.parties import Actor
from ledger.proof import bundle as bundles
from ledger.proof import checkpoint as notes
from ledger.proof import line
from ledger.proof import receipt as receipts
from ledger.proof.credential import credential_digest
from ledger.proof.encoding import canonical, digest_text, instant
from ledger.proof.merkle import leaf_hash
from ledger.registration import Registration, coded
from ledger.store import Base

FOLDER = Path(__file__).parents[1] / "golden" / "formats"
ORIGIN = "registry.example/log"
LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
CREDENTIAL_KEY = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
NOW = datetime(2026, 9, 17, 4, 0, 0, tzinfo=UTC)
DEPLOYMENT = Deployment(
    chain_id=20260601,
    genesis="0x" + "ab" * 32,
    contracts={
        "CheckpointAnchor": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "CirculationRegistry": "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "RevenueBook": "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "VoucherRegistry": "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    },
    block=0,
)
HOLDER = "0x52908400098527886E0F7030069857D2E4169EE7"
REGISTRAR = Actor("clerk-1", "party-1", frozenset({"registrar"}))
VALUE = {
    "": None, "10": [True, False], "9": {}, "a": "\u0000\b\t\n\f\r\u001f\"\\/\u007f\u2028€😂數",
    "A": [0, -1, 9007199254740991, -9007199254740991], "_": [[]],
}  # fmt: skip
LINE = {"amount_fen": 3134906, "party": "party-9", "title": "非税收入上缴财政"}


@contextmanager
def fixed_chance() -> Iterator[None]:
    """Random bytes and ids count upwards while the block runs."""
    count = itertools.count(1)

    def token_bytes(length: int) -> bytes:
        return hashlib.sha256(f"chance {next(count)}".encode()).digest()[:length]

    def new_id() -> str:
        return f"01900000-0000-7000-8000-{next(count):012d}"

    with (
        mock.patch("secrets.token_bytes", token_bytes),
        mock.patch("secrets.token_hex", lambda length: token_bytes(length).hex()),
        mock.patch.object(vouchers, "new_id", new_id),
    ):
        yield


def commit(session: Session, now: datetime) -> None:
    log.sequence(session, now)
    session.commit()


def anchor(session: Session, now: datetime, block: int) -> log.Checkpoint:
    """Seal, and let the contract have accepted it."""
    sealed = log.seal(session, now, LOG_KEY)
    assert sealed is not None
    log.note_anchor(session, sealed.tree_size, "0x" + f"{block:02x}" * 32, block, now)
    session.commit()
    return sealed


def placed(record: log.Record) -> dict[str, Any]:
    """A record as a receipt names it."""
    return {
        "at": instant(record.at),
        "digest": record.digest,
        "kind": record.kind,
        "leaf_index": record.leaf_index,
    }


def registration() -> Registration:
    return Registration(
        id="registration-1", code=coded("DJ202609", 1), application_id="application-1",
        agreement_id=None, party_id="party-2", object="product", title="泊位统计产品",
        summary="不含个人信息", rights=["use", "operating"], resource_ids=["resource-1"],
        valid_from=NOW, valid_until=NOW + timedelta(days=1095), coded_by="clerk-1",
        state="registered",
    )  # fmt: skip


def formats() -> dict[str, bytes]:
    """Every golden file: name and content."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    try:
        with Session(engine, expire_on_commit=False) as session, fixed_chance():
            return _formats(session)
    finally:
        engine.dispose()


def _formats(session: Session) -> dict[str, bytes]:
    log.open_log(session, ORIGIN, NOW)
    registered = registration()
    log.append(session, registered, "registration.coded", "clerk-1")
    commit(session, NOW)
    holder: Any = SimpleNamespace(
        id="party-2", name="城数运营有限公司", state="active", uscc="91000000DEM000003F"
    )
    voucher = vouchers.issue(
        session, REGISTRAR, NOW, registration=registered, holder=holder, holder_address=HOLDER,
        origin=ORIGIN, key=CREDENTIAL_KEY,
    )  # fmt: skip
    commit(session, NOW)
    session.execute(update(outbox.Act).values(state="effective", confirmed_at=NOW))
    published = vouchers.publish_status(
        session, NOW + timedelta(minutes=5), NOW + timedelta(days=7), origin=ORIGIN,
        key=CREDENTIAL_KEY, actor_id="worker",
    )  # fmt: skip
    commit(session, NOW + timedelta(minutes=5))
    sealed = anchor(session, NOW + timedelta(minutes=6), 0x77)

    bundle = handoff.voucher_bundle(session, voucher, DEPLOYMENT)
    record = log.record_of(session, voucher.id, 1)
    files = bundles.make_bag(
        {
            "bundle.json": canonical(bundle),
            "sample.csv": b"lot,free\n1,17\n",
            "voucher.json": canonical(voucher.credential),
        },
        {"External-Identifier": voucher.number},
    )
    package = handoff.Package(
        id="package-1", voucher_id=voucher.id,
        tag_manifest=digest_text(files["tagmanifest-sha256.txt"]),
        files={name: digest_text(content) for name, content in sorted(files.items())},
        packed_by="clerk-1",
    )  # fmt: skip
    log.append(session, package, "package.packed", "clerk-1")
    commit(session, NOW + timedelta(minutes=9))
    anchor(session, NOW + timedelta(minutes=10), 0x78)
    packed = handoff.finish(session, package, files, DEPLOYMENT)
    trust = handoff.trust_file(
        DEPLOYMENT, origin=ORIGIN, log_public=LOG_KEY.public_key().public_bytes_raw(),
        credential_public=CREDENTIAL_KEY.public_key().public_bytes_raw(), since=NOW, embedded=True,
    )  # fmt: skip
    receipt = receipts.make(
        ORIGIN,
        [placed(log.record_of(session, registered.id, 1)), placed(record)],
        CREDENTIAL_KEY,
        NOW,
    )
    entry = canonical(bundle["entry"])
    line_salt = "0f" * 16
    digests = {
        "code_of_registration": registered.code,
        "code_of_voucher": voucher.number,
        "codes": [coded("PZ202612", n) for n in (1, 2, 36, 37, 999_999)],
        "credential": credential_digest(voucher.credential).hex(),
        "leaf": leaf_hash(entry).hex(),
        "line": statements.line_root([LINE], [line_salt]).hex(),  # the root of one is its hash
        "line_root": statements.line_root([LINE, LINE], [line_salt, "1e" * 16]).hex(),
        "payload": bundles.payload_digest(record.salt, log.payload_bytes(record)),
        "subject_key": log.digest_key(ORIGIN, "statement-1").hex(),
        "tree_root": sealed.root,
        "voucher_key": bundles.voucher_key(ORIGIN, voucher.number).hex(),
    }
    members = [
        f"{hashlib.sha256(content).hexdigest()} {len(content):6} {name}"
        for name, content in bundles.read_zip(packed).items()
    ]
    summary = [f"{hashlib.sha256(packed).hexdigest()} {len(packed):6} package.zip", *members]
    made = revenue.line_facts(
        SimpleNamespace(  # type: ignore[arg-type]
            id="statement-1", number="FP2026-0001", digest=digest_text(b"a statement"), lines=[LINE, LINE],
            line_salts=[line_salt, "1e" * 16], line_root=digests["line_root"], sent_back=None,
            reverses=None,
        ),
        LINE["party"], ORIGIN, DEPLOYMENT,
    )  # fmt: skip
    return {
        "bundle.json": canonical(bundle),
        "canonical.json": canonical(VALUE),
        "checkpoint.txt": sealed.note.encode(),
        "digests.json": canonical(digests),
        "entry.json": entry,
        "line.json": canonical(line.make(signer=CREDENTIAL_KEY, now=NOW, **made)),
        "package.txt": "".join(line + "\n" for line in summary).encode(),
        "payload.json": log.payload_bytes(record),
        "proof.tlog-proof": notes.format_tlog_proof(
            record.leaf_index, log.inclusion(session, record.leaf_index, sealed.tree_size),
            sealed.note, entry,
        ).encode(),
        "receipt.json": canonical(receipt),
        "status.json": canonical(published.list_credential),
        "trust.json": trust,
        "vkey.txt": (
            notes.verifier_key(ORIGIN, LOG_KEY.public_key().public_bytes_raw()).spelled() + "\n"
        ).encode(),
        "voucher.json": canonical(voucher.credential),
    }  # fmt: skip


def main(arguments: list[str]) -> int:
    """Write the golden files; only when told so."""
    if arguments != ["--write"]:
        print(__doc__)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in formats().items():
        (FOLDER / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
