"""Hand-off (移交): proof bundles, the trust file, and the listing package an exchange verifies.

Nothing is handed out before it is effective on chain and its record anchored (design §1).
"""

import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log, vouchers
from ledger.agreements import Agreement
from ledger.appraisals import Appraisal, latest_approved, standing
from ledger.calendar import local_date
from ledger.chain.outbox import Deployment, require_effective
from ledger.errors import Conflict, Missing
from ledger.papers import voucher_pdf
from ledger.parties import Actor, may
from ledger.proof import bundle as bundles
from ledger.proof import checkpoint as notes
from ledger.proof.credential import did_key
from ledger.proof.encoding import canonical, digest_text, instant
from ledger.registration import Application, Registration
from ledger.spreadsheet import write_figure
from ledger.store import Evidence, new_id
from ledger.vouchers import Voucher
from ledger.witnesses import cosigned_note
from valuation.methods import verify as verified

# The documents of a listing (generic exchange profile; from memory, to be verified) → file in data/
DOCUMENTS = {
    "qualification": "records/registration.json",
    "manual": "manual.json",
    "compliance": "compliance.json",
    "source_proof": "records/application.json",
    "authorisation": "records/agreement.json",
    "quality": "quality.json",
    "pricing": "pricing.json",
    "sample": "sample.csv",
    "undertaking": "undertaking.json",
    "registration": "voucher.json",
    "appraisal": "records/appraisal.json",
}
APPRAISAL_TYPE = "shuzheng/appraisal"
CREDENTIAL_KINDS = ("voucher.issued", "voucher.renew", "voucher.transfer")


class Package(Evidence):
    """A listing package as packed; its record's body holds the digest of the tag manifest."""

    __tablename__ = "packages"
    subject_type = "package"
    voucher_id: Mapped[str] = mapped_column(String(36), ForeignKey("vouchers.id"))
    tag_manifest: Mapped[str] = mapped_column(unique=True)
    files: Mapped[dict[str, Any]]
    packed_by: Mapped[str]


def trust_file(
    deployment: Deployment,
    *,
    origin: str,
    log_public: bytes,
    credential_public: bytes,
    since: datetime,
    embedded: bool,
    witnesses: Iterable[str] = (),
    quorum: int = 0,
) -> bytes:
    """The trust file: what a verifier must have before he opens a document of ours."""
    document = {
        "chain": {
            "chain_id": deployment.chain_id,
            "contracts": dict(deployment.contracts),
            "embedded": embedded,
            "genesis": deployment.genesis,
        },
        "credential_keys": [
            {
                "did": did_key(credential_public),
                "valid_from": instant(since),
                "valid_until": None,
            }
        ],
        "log": {
            "keys": [
                {
                    "from_size": 0,
                    "until_size": None,
                    "vkey": notes.verifier_key(origin, log_public).spelled(),
                }
            ],
            "origin": origin,
        },
        "type": "shuzheng/trust",
        "v": 1,
        "witnesses": list(witnesses),
        **({"witness_quorum": quorum} if quorum else {}),
    }
    return canonical(document)


def record_bundle(
    session: Session, record: log.Record, deployment: Deployment, **more: Any
) -> dict[str, Any]:
    """The proof bundle of a record that is anchored for good; raises Conflict while it is not."""
    checkpoint = log.confirmed_above(session, record.leaf_index)
    if checkpoint is None:
        raise Conflict(
            "The record {kind} of {at} is {rung}, not yet confirmed: run the worker and a node, then "
            "ask again.",
            kind=record.kind, at=instant(record.at), rung=log.rung(session, record),
        )  # fmt: skip
    payload = log.payload_of(record)
    return {
        "anchor": {
            "block": checkpoint.anchor_block,
            "transaction": checkpoint.anchor_transaction,
        },
        "chain": {
            "anchor": deployment.contracts["CheckpointAnchor"].lower(),
            "chain_id": deployment.chain_id,
            "genesis": deployment.genesis,
            "vouchers": deployment.contracts["VoucherRegistry"].lower(),
        },
        "checkpoint": cosigned_note(session, checkpoint),
        "disclosures": more.get("disclosures", {}),
        "entry": bundles.entry_of(payload, record.digest),
        "inclusion": [
            value.hex() for value in log.inclusion(session, record.leaf_index, checkpoint.tree_size)
        ],
        "leaf_index": record.leaf_index,
        "payload": payload,
        "salt": record.salt.hex(),
        "status": more.get("status"),
        "type": bundles.BUNDLE_TYPE,
        "v": 1,
        "voucher": more.get("voucher"),
    }


def voucher_bundle(
    session: Session, voucher: Voucher, deployment: Deployment, *, disclose: bool = True
) -> dict[str, Any]:
    """The bundle of a voucher that is effective and anchored, with the status list of its day.

    Its record is the one that made the credential: on what ground a voucher was frozen or suspended since,
    and to whom it is pledged, is not for everybody who gets the file.
    """
    require_effective(session, voucher.id, f"Voucher {voucher.number}")
    published = vouchers.current_status(session)
    if published is None:
        raise Conflict("No status list was published yet: run the worker, then ask again.")
    return record_bundle(
        session, _record_of_credential(session, voucher), deployment,
        voucher=voucher.credential, status=published.list_credential,
        disclosures=vouchers.disclosures_of(session, voucher) if disclose else {},
    )  # fmt: skip


def appraisal_file(
    session: Session, appraisal: Appraisal, deployment: Deployment
) -> dict[str, Any]:
    """All that is recorded of an appraisal, for whoever recomputes it.

    Approved, and its record confirmed, it is the record's proof bundle (its payload's body is the
    appraisal); before that it is the appraisal alone, which nothing proves.
    """
    record = log.record_of(session, appraisal.id, appraisal.version)
    is_final = appraisal.state in ("approved", "superseded")
    if is_final and log.confirmed_above(session, record.leaf_index) is not None:
        return record_bundle(session, record, deployment)
    return {"appraisal": appraisal.body(), "type": APPRAISAL_TYPE, "v": 1}


def _record_of_credential(session: Session, voucher: Voucher) -> log.Record:
    """The record with which a voucher got the credential that it has."""
    made = select(log.Record).where(
        log.Record.subject_id == voucher.id, log.Record.kind.in_(CREDENTIAL_KINDS)
    )
    return session.scalars(made.order_by(log.Record.subject_version.desc()).limit(1)).one()


def pack(
    session: Session,
    actor: Actor,
    now: datetime,
    voucher: Voucher,
    *,
    deployment: Deployment,
    sample: bytes,
    pricing: Mapping[str, Any] | None,
) -> tuple[Package, dict[str, bytes]]:
    """Record a listing package; returns it with the files that it is made of, without proof.json.

    Packing again what has not changed returns the package recorded before. `finish` adds the proof once
    the record is anchored.
    """
    may(actor, "package.pack", voucher.party_id, f"Voucher {voucher.number}")
    if voucher.kind != "registration":
        raise Conflict(
            "Voucher {number} rests on a person's consent: it is not handed off.",
            number=voucher.number,
        )
    registration = session.get_one(Registration, voucher.registration_id)
    if voucher.state != "valid" or voucher.frozen:
        raise Conflict(
            "Voucher {number} is not valid: nothing is handed off.", number=voucher.number
        )
    appraisal = latest_approved(session, registration.id)
    if appraisal is None:
        raise Missing("Registration {code} has no approved appraisal.", code=registration.code)
    if standing(appraisal, local_date(now)) == "lapsed":
        raise Conflict(
            "Appraisal {number} held until {day}: draft a new one.",
            number=appraisal.number, day=appraisal.valid_until_on,
        )  # fmt: skip
    application = session.get_one(Application, registration.application_id)
    data = _documents(session, voucher, registration, application, appraisal, deployment)
    data["sample.csv"] = sample
    data["pricing.json"] = canonical(
        {"appraisal": appraisal.number, "appraised_fen": appraisal.value_fen, "basis": "协议定价"}
        if pricing is None
        else dict(pricing)
    )
    data["documents.json"] = canonical(
        {
            name: {"file": f"data/{file}", "digest": digest_text(data[file])}
            for name, file in DOCUMENTS.items()
        }
    )
    files = bundles.make_bag(
        data,
        {
            "External-Identifier": voucher.number,
            "Source-Organization": voucher.credential["issuer"],
            "Contact-Name": "-",
        },
    )
    tag_manifest = digest_text(files["tagmanifest-sha256.txt"])
    package = session.scalar(select(Package).where(Package.tag_manifest == tag_manifest))
    if package is None:
        package = Package(
            id=new_id(), voucher_id=voucher.id, tag_manifest=tag_manifest,
            files={name: digest_text(content) for name, content in sorted(files.items())},
            packed_by=actor.member_id,
        )  # fmt: skip
        log.append(session, package, "package.packed", actor.member_id)
        session.flush()
    return package, files


def finish(
    session: Session, package: Package, files: Mapping[str, bytes], deployment: Deployment
) -> bytes:
    """The package's ZIP with the proof of its record; raises Conflict until that is anchored."""
    proof = record_bundle(session, log.record_of(session, package.id, 1), deployment)
    return bundles.write_zip({**files, bundles.PROOF_NAME: canonical(proof)})


def _documents(
    session: Session,
    voucher: Voucher,
    registration: Registration,
    application: Application,
    appraisal: Appraisal,
    deployment: Deployment,
) -> dict[str, bytes]:
    """The package's files below data/, each proved by its own record or part of one."""
    subjects: dict[str, Any] = {
        "application": application,
        "appraisal": appraisal,
        "registration": registration,
    }
    if registration.agreement_id is not None:
        subjects["agreement"] = session.get_one(Agreement, registration.agreement_id)
    data = {
        f"records/{name}.json": canonical(
            record_bundle(session, log.record_of(session, row.id, row.version), deployment)
        )
        for name, row in subjects.items()
    }
    main = voucher_bundle(session, voucher, deployment)
    data["bundle.json"] = canonical(main)
    data["voucher.json"] = canonical(voucher.credential)
    data["voucher.pdf"] = voucher_pdf(main)
    data["quality.json"] = canonical(application.quality)
    data["compliance.json"] = canonical(application.review["compliance"])
    data["undertaking.json"] = canonical(application.materials)
    data["manual.json"] = canonical(
        {
            "resources": registration.resource_ids,
            "rights": registration.rights,
            "scene": application.materials["scene"],
            "summary": registration.summary,
            "title": registration.title,
        }
    )
    for name, figure in {**appraisal.figures, "conclusion": appraisal.conclusion}.items():
        sheet = io.BytesIO()
        write_figure(verified(figure), sheet)
        data[f"appraisal/{name}.xlsx"] = sheet.getvalue()
    return data
