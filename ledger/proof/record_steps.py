"""Steps about records: that a package, row, bundle or public entry is in the log, or was promised to be."""

from typing import Any

from ledger.errors import Invalid, ProofFailed
from ledger.proof import bundle as bundles
from ledger.proof import receipt as receipts
from ledger.proof import row as rows
from ledger.proof.chain_node import Node, anchored_size
from ledger.proof.checkpoint import Checkpoint, parse_tlog_proof
from ledger.proof.checkpoint_steps import check_anchor, check_witnesses, open_checkpoint
from ledger.proof.encoding import canonical, parse, unhex
from ledger.proof.merkle import leaf_hash, verify_inclusion
from ledger.proof.report import CANNOT_TELL, VALID, Report
from ledger.proof.trust import Trust


def check_receipt(receipt: Any, trust: Trust, node: Node | None, report: Report) -> None:
    """The promise of a receipt is signed; online, how far the log has been anchored since."""
    receipts.check(receipt, trust)
    first, last = (receipt["records"][place]["leaf_index"] for place in (0, -1))
    report.add(
        "signature", VALID,
        "The receipt is signed by the registry's key {did}.", did=receipt["issuer"],
    )  # fmt: skip
    report.add(
        "promise", VALID,
        "{count} records promised at leaf {first} to {last}; issued {at}. This is a promise, not yet a "
        "proof of inclusion.",
        count=len(receipt["records"]), first=first, last=last, at=receipt["issued_at"],
    )  # fmt: skip
    if node is None:
        return
    try:
        size = anchored_size(node, trust)
    except (OSError, ValueError) as error:
        report.add("anchored", CANNOT_TELL, "The node failed to answer: {why}.", why=str(error))
        return
    if size > last:
        report.add(
            "anchored", VALID,
            "The log has been anchored at size {size}, beyond leaf {last}: ask for the record's bundle "
            "to see that it is under it; a receipt alone does not prove inclusion.",
            size=size, last=last,
        )  # fmt: skip
    else:
        report.add(
            "anchored", VALID,
            "The log has been anchored at size {size}, which does not yet cover leaf {last}.",
            size=size, last=last,
        )  # fmt: skip


def check_package(
    files: dict[str, bytes], proof: Any, trust: Trust, node: Node | None, report: Report
) -> None:
    """A package's files are those that were recorded, all for one voucher; its records are in the log."""
    manifest_digest = bundles.check_bag(files)
    for name in sorted(files):
        if name.endswith(".json"):
            parse(files[name], name)
    report.add("package", VALID, "All {count} files are as listed.", count=len(files))
    check_record(proof, trust, node, report)
    if proof["voucher"] is not None:
        raise Invalid("proof.json proves the package alone; the voucher is in data/bundle.json.")
    payload = proof["payload"]
    if payload["kind"] != "package.packed" or payload["body"]["tag_manifest"] != manifest_digest:
        raise ProofFailed("The record speaks of another package.", step="package")
    main = parse(files["data/bundle.json"], "data/bundle.json")
    if main["voucher"] is None or files.get("data/voucher.json") != canonical(main["voucher"]):
        raise ProofFailed(
            "data/voucher.json is not the voucher of data/bundle.json.", step="package"
        )
    if main["payload"]["subject"]["id"] != payload["body"]["voucher_id"]:
        raise ProofFailed("The package was packed for another voucher.", step="package")
    names = sorted(n for n in files if n.startswith("data/records/") and n.endswith(".json"))
    for name in names:
        record = parse(files[name], name)
        check_record(record, trust, node, report, quiet=True)
    report.add(
        "package", VALID,
        "It was packed and recorded by {origin} at {at}; its {count} further records are in the log.",
        origin=trust.origin, at=payload["at"], count=len(names),
    )  # fmt: skip


def check_record(
    document: Any, trust: Trust, node: Node | None, report: Report, *, quiet: bool = False
) -> None:
    """A bundle's payload is what its entry says, and the entry is in the log; `quiet` tells only doubts."""
    leaf = bundles.check_bundle(document)
    _compare_claims(document, trust)
    checkpoint = open_checkpoint(document["checkpoint"], trust)
    verify_inclusion(
        leaf,
        document["leaf_index"],
        checkpoint.tree_size,
        [unhex(value, 32) for value in document["inclusion"]],
        checkpoint.root,
    )
    if not quiet:
        _say_recorded(document["entry"], document["leaf_index"], checkpoint, trust, report)
    check_witnesses(document["checkpoint"], checkpoint, trust, report, quiet=quiet)
    check_anchor(document["anchor"], checkpoint, trust, node, report, quiet=quiet)


def _compare_claims(document: Any, trust: Trust) -> None:
    """What a bundle says of its chain must be what the trust file says; it is never believed."""
    claims = document["chain"]
    due = {
        "anchor": trust.contracts["CheckpointAnchor"],
        "chain_id": trust.chain_id,
        "genesis": trust.genesis,
        "vouchers": trust.contracts["VoucherRegistry"],
    }
    if canonical(claims) != canonical(due):  # not `!=`: to Python, 1 equals true
        odd = sorted(k for k in due if type(claims) is not dict or claims.get(k) != due[k])
        raise ProofFailed(
            "The document speaks of another chain than your trust file: {odd}.",
            step="trust",
            odd=odd,
        )
    if document["payload"]["log"] != trust.origin:
        raise ProofFailed(
            "The record belongs to the log {found}; your trust file names {due}.",
            step="trust",
            found=document["payload"]["log"],
            due=trust.origin,
        )
    anchor = document["anchor"]
    if (
        set(anchor) != {"block", "transaction"}
        or type(anchor["block"]) is not int
        or unhex(anchor["transaction"][2:], 32) is None
        or anchor["transaction"][:2] != "0x"
    ):
        raise Invalid("The bundle's anchor is malformed.")


def check_row(proof: Any, report: Report) -> Any:
    """The bundle of the row's batch, once the row was found in it."""
    bundle = rows.check_row(proof)
    report.add(
        "row", VALID,
        "The row is number {number} of the {count} that its batch holds.",
        number=proof["row_index"] + 1, count=bundle["payload"]["body"]["row_count"],
    )  # fmt: skip
    return bundle


def read_tlog_proof(data: bytes) -> dict[str, Any]:
    """A tlog-proof's public entry and its way to the checkpoint; raises Invalid."""
    try:
        text = data.decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise Invalid("This is no C2SP tlog-proof of version 1.") from None
    leaf_index, inclusion, note, extra = parse_tlog_proof(text)
    entry = bundles.check_entry(parse(extra, "The entry"))
    return {"checkpoint": note, "entry": entry, "inclusion": inclusion, "leaf_index": leaf_index}


def check_tlog_proof(document: Any, trust: Trust, node: Node | None, report: Report) -> None:
    """A public entry is in the log; what it records, the proof does not tell."""
    entry, leaf_index = document["entry"], document["leaf_index"]
    checkpoint = open_checkpoint(document["checkpoint"], trust)
    verify_inclusion(
        leaf_hash(canonical(entry)), leaf_index, checkpoint.tree_size, document["inclusion"],
        checkpoint.root,
    )  # fmt: skip
    _say_recorded(entry, leaf_index, checkpoint, trust, report)
    report.add(
        "record", VALID,
        "This proves the public entry alone, whose digest is {digest}; what it records stands in a "
        "bundle.",
        digest=entry["digest"],
    )  # fmt: skip
    check_witnesses(document["checkpoint"], checkpoint, trust, report)
    check_anchor(None, checkpoint, trust, node, report)


def _say_recorded(
    entry: Any, leaf_index: int, checkpoint: Checkpoint, trust: Trust, report: Report
) -> None:
    report.add(
        "record", VALID,
        "Record {kind} of {at} is leaf {index} of the log {origin} at size {size}, signed by "
        "the log's key.",
        kind=entry["kind"], at=entry["at"], index=leaf_index, origin=trust.origin,
        size=checkpoint.tree_size,
    )  # fmt: skip
