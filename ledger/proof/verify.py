"""Check a document of ours without trusting us: `python -m ledger.proof.verify FILE --trust trust.json`.

What is checked, each told as it is found; chain, anchor and state need a node, the others no network:

    form       the file is in its one canonical form
    chain      the node you name serves the chain of your trust file
    package    (ZIP) every file is listed with its digest, and the list itself was recorded
    row        (proof of an event) it is one of its batch, whose record comes next
    record     the payload is what the entry says, and the entry is in the log at a signed checkpoint
    witness    which of your trust file's witnesses cosigned that checkpoint, and when
    anchor     the contract holds that checkpoint
    voucher    the credential's signature, by an issuer key of the trust file; withheld fields fit
    state      the contract says that the voucher is valid now
    status     the signed status list: valid, suspended, revoked, …, as of its date

A submission receipt is checked for its form and its signature, which is all that a promise has; a
`.tlog-proof` for its public entry, of which it says when it was made and of what kind it is.
Trust comes from the trust file alone; what a document says of itself is merely compared. Exit codes:
0 valid, 1 not valid, 2 cannot tell.
"""

import argparse
import http.client
import json
import os
import sys
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledger.errors import Invalid, LedgerError, ProofFailed, fill
from ledger.proof import bundle as bundles
from ledger.proof import credential as credentials
from ledger.proof import receipt as receipts
from ledger.proof import row as rows
from ledger.proof.checkpoint import (
    TLOG_PROOF,
    Checkpoint,
    open_note,
    parse_checkpoint,
    parse_note,
    parse_tlog_proof,
)
from ledger.proof.cosignature import check_order, read_cosignatures
from ledger.proof.encoding import (
    canonical,
    check_nesting,
    instant,
    parse,
    parse_instant,
    unhex,
)
from ledger.proof.merkle import leaf_hash, verify_inclusion
from ledger.proof.trust import Trust, parse_trust

VALID, NOT_VALID, CANNOT_TELL = 0, 1, 2
VERDICTS = ("valid", "not valid", "cannot tell")
FINAL_WORDS = ("revoked", "cancelled", "superseded")  # what no later list can take back
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode categories of what a reader does not see
FILE_BYTES_MAX = bundles.PACKAGE_BYTES_MAX
RPC_TIMEOUT_S = 15
RPC_BYTES_MAX = 4 * 1024 * 1024

# Selectors of the contract views asked here; a test compares them with the artifacts.
LATEST = "52bfe789"  # CheckpointAnchor.latest()
ROOT_OF = "9d7384d9"  # CheckpointAnchor.rootOf(uint64)
VERIFY_VOUCHER = "5868ac0c"  # VoucherRegistry.verify(bytes32,bytes32,uint40)
CHAIN_VERDICTS = (
    "unknown", "another digest", "valid", "lapsed", "suspended", "frozen", "revoked", "cancelled",
    "superseded",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One step of a verification: its name, its outcome (0, 1 or 2), and what was found."""

    name: str
    outcome: int
    template: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def sentence(self, translate: Callable[[str], str] = str) -> str:
        """What was found, on one line: a document's own text cannot move a terminal's cursor."""
        return visible(fill(translate(self.template), dict(self.facts)))


@dataclass
class Report:
    """What was tried and found; the verdict is the worst outcome of the steps.

    `tell` hears of each step as it is taken.
    """

    kind: str = "document"
    steps: list[Step] = field(default_factory=list)
    tell: Callable[[Step], None] | None = None

    def add(self, name: str, outcome: int, template: str, /, **facts: Any) -> None:
        step = Step(name, outcome, template, facts)
        self.steps.append(step)
        if self.tell is not None:
            self.tell(step)

    @property
    def exit_code(self) -> int:
        outcomes = {step.outcome for step in self.steps}
        if NOT_VALID in outcomes:
            return NOT_VALID
        return CANNOT_TELL if CANNOT_TELL in outcomes or not outcomes else VALID

    def as_dict(self, translate: Callable[[str], str] = str) -> dict[str, Any]:
        """The report as JSON values: exit code, verdict, and each step with its outcome in words."""
        return {
            "exit_code": self.exit_code,
            "kind": self.kind,
            "steps": [
                {"name": s.name, "outcome": VERDICTS[s.outcome], "text": s.sentence(translate)}
                for s in self.steps
            ],
            "verdict": VERDICTS[self.exit_code],
        }


class Node:
    """A chain node asked over JSON-RPC with the standard library; it is believed, the trust file not
    replaced: its chain id and genesis block are compared first."""

    def __init__(self, url: str, timeout_s: float = RPC_TIMEOUT_S) -> None:
        if not url.startswith(("http://", "https://")):
            raise Invalid("The node's address must begin with http:// or https://.")
        self.url, self.timeout_s = url, timeout_s

    def ask(self, method: str, *params: Any) -> Any:
        """The node's answer; raises OSError or ValueError when there is none."""
        body = json.dumps({"id": 1, "jsonrpc": "2.0", "method": method, "params": params})
        request = urllib.request.Request(  # noqa: S310 - http(s) only, checked above
            self.url, body.encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310
                data = answer.read(RPC_BYTES_MAX)
            check_nesting(data, "The node's answer")
            reply = json.loads(data.decode())
        except (http.client.HTTPException, Invalid) as error:
            raise ValueError(f"this is no answer of a node: {error!r}") from None
        if type(reply) is not dict or "result" not in reply:
            raise ValueError("the node refused the question")
        return reply["result"]

    def call(self, address: str, data: str) -> bytes:
        result = self.ask("eth_call", {"to": address, "data": "0x" + data}, "latest")
        if type(result) is not str or not result.startswith("0x"):
            raise ValueError("the node's answer is no bytes")
        return bytes.fromhex(result[2:])


def verify(
    data: bytes,
    trust: Trust | None,
    *,
    now: datetime,
    node: Node | None = None,
    status: bytes | None = None,
    report: Report | None = None,
) -> Report:
    """The report on a document of ours, whatever its kind; never raises for what it holds.

    `node` None means offline. `status` is a status list got separately; the newest one counts. `report`
    is one begun before, to which the steps are added.
    """
    report = Report() if report is None else report
    try:
        files, document = _read(data, report)
        if trust is None:
            report.add(
                "trust", CANNOT_TELL,
                "No trust file was given, so nothing shows who speaks: get trust.json from the "
                "registry, out of band, and pass it with --trust.",
            )  # fmt: skip
            return report
        if node is not None and not _check_node(node, trust, report):
            node = None
        if report.kind == "receipt":
            _check_receipt(document, trust, node, report)
            return report
        given = [] if status is None else [parse(status, "The status list")]
        if files:
            _check_package(files, document, trust, node, report)
            document = parse(files["data/bundle.json"], "data/bundle.json")
        if report.kind == "row":
            document = _check_row(document, report)
        if report.kind == "tlog-proof":
            _check_tlog_proof(document, trust, node, report)
        elif report.kind == "voucher":
            _check_voucher(document, {}, trust, node, given, now, report)
        else:
            _check_record(document, trust, node, report)
            if document["voucher"] is not None:
                _check_voucher_of(document, trust, report)
                lists = given if document["status"] is None else [*given, document["status"]]
                _check_voucher(
                    document["voucher"], document["disclosures"], trust, node, lists, now, report
                )
            elif document["payload"]["subject"]["type"] == "voucher":
                report.add(
                    "voucher", CANNOT_TELL,
                    "This is a record of a voucher, but the voucher is not in the bundle: nothing "
                    "shows how it stands now.",
                )  # fmt: skip
        if node is None and report.exit_code == VALID:
            report.add(
                "chain", VALID,
                "No node was asked: the log's own key vouches for the checkpoint. Ask a chain node "
                "you trust (--rpc) to exclude a second, diverging history.",
            )  # fmt: skip
        elif trust.embedded and report.exit_code == VALID:
            report.add(
                "chain", VALID,
                "This is the registry's own embedded chain: it shows that the documents fit "
                "together, but proves nothing against the registry itself.",
            )  # fmt: skip
    except ProofFailed as error:
        report.add(str(error.facts.get("step", "proof")), NOT_VALID, error.template, **error.facts)
    except LedgerError as error:
        report.add("form", NOT_VALID, error.template, **error.facts)
    except (KeyError, TypeError, IndexError, ValueError, AttributeError, RecursionError) as error:
        report.add("form", NOT_VALID, "The document is malformed: {why}.", why=repr(error))
    return report


def _read(data: bytes, report: Report) -> tuple[dict[str, bytes], Any]:
    """The package's files (none for a JSON document) and the document that proves it."""
    files: dict[str, bytes] = {}
    if data[:2] == b"PK":
        report.kind = "package"
        files = bundles.read_zip(data)
        if bundles.PROOF_NAME not in files or "data/bundle.json" not in files:
            raise Invalid("The package lacks proof.json or data/bundle.json.")
        document = parse(files[bundles.PROOF_NAME], bundles.PROOF_NAME)
    elif data.startswith(TLOG_PROOF.encode()):
        report.kind = "tlog-proof"
        document = _parse_tlog_proof(data)
    else:
        document = parse(data, "The document")
        if type(document) is not dict:
            raise Invalid(
                "The document is neither a bundle, a voucher, a receipt, a row nor a package."
            )
        if document.get("type") == receipts.RECEIPT_TYPE:
            report.kind = "receipt"
        elif document.get("type") == rows.ROW_TYPE:
            report.kind = "row"
        else:
            report.kind = "voucher" if "credentialSubject" in document else "bundle"
    report.add("form", VALID, "The {kind} is in its one canonical form.", kind=report.kind)
    return files, document


def _check_node(node: Node, trust: Trust, report: Report) -> bool:
    """Whether the node answers and serves the trusted chain; what is wrong goes into the report."""
    try:
        chain_id = int(node.ask("eth_chainId"), 16)
        genesis = node.ask("eth_getBlockByNumber", "0x0", False)["hash"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        report.add(
            "chain", CANNOT_TELL,
            "The node does not answer ({why}): name another with --rpc, or use --offline.",
            why=str(error),
        )  # fmt: skip
        return False
    if (chain_id, genesis) != (trust.chain_id, trust.genesis):
        report.add(
            "chain", NOT_VALID,
            "The node serves chain {found} with genesis {genesis}; your trust file names chain {due} "
            "with genesis {due_genesis}.",
            found=chain_id, genesis=genesis, due=trust.chain_id, due_genesis=trust.genesis,
        )  # fmt: skip
        return False
    report.add("chain", VALID, "The node serves the trusted chain {chain_id}.", chain_id=chain_id)
    return True


def _check_receipt(receipt: Any, trust: Trust, node: Node | None, report: Report) -> None:
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
        answer = node.call(trust.contracts["CheckpointAnchor"], LATEST)
        if len(answer) != 64:
            raise ValueError("this is no size and root")
    except (OSError, ValueError) as error:
        report.add("anchored", CANNOT_TELL, "The node failed to answer: {why}.", why=str(error))
        return
    size = int.from_bytes(answer[:32])
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


def _check_package(
    files: dict[str, bytes], proof: Any, trust: Trust, node: Node | None, report: Report
) -> None:
    manifest_digest = bundles.check_bag(files)
    for name in sorted(files):
        if name.endswith(".json"):
            parse(files[name], name)
    report.add("package", VALID, "All {count} files are as listed.", count=len(files))
    _check_record(proof, trust, node, report)
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
        _check_record(record, trust, node, report, quiet=True)
    report.add(
        "package", VALID,
        "It was packed and recorded by {origin} at {at}; its {count} further records are in the log.",
        origin=trust.origin, at=payload["at"], count=len(names),
    )  # fmt: skip


def _check_record(
    document: Any, trust: Trust, node: Node | None, report: Report, *, quiet: bool = False
) -> None:
    leaf = bundles.check_bundle(document)
    _compare_claims(document, trust)
    checkpoint = _open_checkpoint(document["checkpoint"], trust)
    verify_inclusion(
        leaf,
        document["leaf_index"],
        checkpoint.tree_size,
        [unhex(value, 32) for value in document["inclusion"]],
        checkpoint.root,
    )
    if not quiet:
        _say_recorded(document["entry"], document["leaf_index"], checkpoint, trust, report)
    _check_witnesses(document["checkpoint"], checkpoint, trust, report, quiet=quiet)
    _ask_anchor(document["anchor"], checkpoint, trust, node, report, quiet=quiet)


def _check_row(proof: Any, report: Report) -> Any:
    """The bundle of the row's batch, once the row was found in it."""
    bundle = rows.check_row(proof)
    report.add(
        "row", VALID,
        "The row is number {number} of the {count} that its batch holds.",
        number=proof["row_index"] + 1, count=bundle["payload"]["body"]["row_count"],
    )  # fmt: skip
    return bundle


def _parse_tlog_proof(data: bytes) -> dict[str, Any]:
    """A tlog-proof's public entry and its way to the checkpoint; raises Invalid."""
    try:
        text = data.decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise Invalid("This is no C2SP tlog-proof of version 1.") from None
    leaf_index, inclusion, note, extra = parse_tlog_proof(text)
    entry = bundles.check_entry(parse(extra, "The entry"))
    return {"checkpoint": note, "entry": entry, "inclusion": inclusion, "leaf_index": leaf_index}


def _check_tlog_proof(document: Any, trust: Trust, node: Node | None, report: Report) -> None:
    entry, leaf_index = document["entry"], document["leaf_index"]
    checkpoint = _open_checkpoint(document["checkpoint"], trust)
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
    _check_witnesses(document["checkpoint"], checkpoint, trust, report)
    _ask_anchor(None, checkpoint, trust, node, report)


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


def _check_witnesses(
    note: str, checkpoint: Checkpoint, trust: Trust, report: Report, *, quiet: bool = False
) -> None:
    """Which trusted witnesses cosigned the checkpoint; a wrong cosignature raises ProofFailed.

    One line of a note more or less harms nobody: each line stands for itself, and the quorum counts.
    """
    found = read_cosignatures(note, trust.witnesses)
    log_keys = {(entry.key.name, entry.key.key_hash) for entry in trust.log_keys}
    known = log_keys | {(key.name, key.key_hash) for key in trust.witnesses}
    strange = sum((s.name, s.key_hash) not in known for s in parse_note(note)[1])
    if strange and not quiet:
        report.add(
            "signature", VALID,
            "{count} signatures on the checkpoint are by keys that your trust file does not name; "
            "they were passed over.",
            count=strange,
        )  # fmt: skip
    if not trust.witnesses:
        return
    cosigned = {one.key.name for one in found}
    facts = {
        "count": len(cosigned), "known": len({key.name for key in trust.witnesses}),
        "quorum": trust.witness_quorum, "size": checkpoint.tree_size,
        "who": ", ".join(f"{one.key.name} ({instant(one.at)})" for one in found) or "-",
    }  # fmt: skip
    if len(cosigned) < trust.witness_quorum:
        report.add(
            "witness", CANNOT_TELL,
            "{count} of the {known} witnesses you trust cosigned the checkpoint of size {size}: "
            "{who}. Your trust file asks for {quorum}: get a newer copy of the document.",
            **facts,
        )  # fmt: skip
    elif quiet:
        return
    elif found:
        report.add(
            "witness", VALID,
            "{count} of the {known} witnesses you trust cosigned the checkpoint of size {size}: "
            "{who}.",
            **facts,
        )  # fmt: skip
    else:
        report.add(
            "witness", VALID,
            "None of the {known} witnesses you trust cosigned the checkpoint of size {size}; your "
            "trust file asks for none.",
            **facts,
        )  # fmt: skip


def _ask_anchor(
    anchor: Any, checkpoint: Checkpoint, trust: Trust, node: Node | None, report: Report,
    *, quiet: bool = False,
) -> None:  # fmt: skip
    """Whether the contract holds the checkpoint, and by the transaction that a bundle names."""
    if node is None:
        return
    try:
        held = node.call(
            trust.contracts["CheckpointAnchor"], f"{ROOT_OF}{checkpoint.tree_size:064x}"
        )
    except (OSError, ValueError) as error:
        report.add("anchor", CANNOT_TELL, "The node failed to answer: {why}.", why=str(error))
        return
    if held != checkpoint.root:
        raise ProofFailed(
            "The contract holds another root, or none, for size {size}: this history is not the "
            "anchored one.",
            step="anchor",
            size=checkpoint.tree_size,
        )
    if anchor is not None:
        _check_anchoring(anchor, checkpoint, trust, node, report)
    if not quiet:
        report.add(
            "anchor", VALID,
            "The contract {contract} holds this checkpoint (size {size}).",
            contract=trust.contracts["CheckpointAnchor"], size=checkpoint.tree_size,
        )  # fmt: skip


def _check_anchoring(
    anchor: Any, checkpoint: Checkpoint, trust: Trust, node: Node, report: Report
) -> None:
    """The transaction and block that the document names are those that anchored its checkpoint."""
    contract = trust.contracts["CheckpointAnchor"]
    try:
        receipt = node.ask("eth_getTransactionReceipt", anchor["transaction"])
        fits = receipt is not None and any(
            entry["address"].lower() == contract
            and entry["topics"][1:3]
            == [f"0x{checkpoint.tree_size:064x}", "0x" + checkpoint.root.hex()]
            and int(entry["blockNumber"], 16) == anchor["block"]
            for entry in receipt["logs"]
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        report.add("anchor", CANNOT_TELL, "The node failed to answer: {why}.", why=str(error))
        return
    if not fits:
        raise ProofFailed(
            "Transaction {transaction} in block {block}, which the document names, did not anchor "
            "this checkpoint.",
            step="anchor",
            transaction=anchor["transaction"],
            block=anchor["block"],
        )


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


def _open_checkpoint(note: Any, trust: Trust) -> Checkpoint:
    text, signers = open_note(note, [entry.key for entry in trust.log_keys])
    check_order(note)
    checkpoint = parse_checkpoint(text)
    if checkpoint.origin != trust.origin:
        raise ProofFailed(
            "The checkpoint is of the log {found}; your trust file names {due}.",
            step="trust",
            found=checkpoint.origin,
            due=trust.origin,
        )
    if not any(
        entry.key in signers and entry.from_size <= checkpoint.tree_size <= entry.until_size
        for entry in trust.log_keys
    ):
        raise ProofFailed("No log key valid for size {size} signed the checkpoint.",
                          step="signature", size=checkpoint.tree_size)  # fmt: skip
    return checkpoint


def _check_voucher_of(document: Any, trust: Trust, report: Report) -> None:
    """The bundle's voucher is the one its record speaks of."""
    body = document["payload"]["body"]
    digest = "sha256:" + credentials.credential_digest(document["voucher"]).hex()
    if body.get("digest") != digest or document["payload"]["subject"]["type"] != "voucher":
        raise ProofFailed("The record speaks of another voucher.", step="voucher")


def _check_voucher(
    voucher: Any,
    disclosures: Any,
    trust: Trust,
    node: Node | None,
    status_lists: list[Any],
    now: datetime,
    report: Report,
) -> None:
    valid_from, valid_until, _ = _check_issuer(voucher, trust)
    subject = voucher["credentialSubject"]
    number = subject["number"]
    if subject["log"] != trust.origin or "DataAssetVoucher" not in voucher["type"]:
        raise ProofFailed("The voucher is not of the log {due}.", step="voucher", due=trust.origin)
    for name, disclosure in disclosures.items():
        digest = credentials.disclosure_digest(name, disclosure)
        if subject["withheld"].get(name) != digest:
            raise ProofFailed(
                "The disclosed {name} is not the voucher's.", step="voucher", name=name
            )
    report.add(
        "voucher", VALID,
        "Voucher {number} ({title}) was signed by {issuer}, for {start} to {end}.",
        number=number, title=subject["title"], issuer=voucher["issuer"],
        start=voucher["validFrom"], end=voucher["validUntil"],
    )  # fmt: skip
    if now < valid_from:
        report.add("time", CANNOT_TELL, "This clock ({now}) is before the voucher's first day.",
                   now=instant(now))  # fmt: skip
    elif now > valid_until:
        report.add("time", NOT_VALID, "The voucher lapsed at {end}.", end=voucher["validUntil"])
    if node is not None:
        _ask_chain_state(voucher, number, trust, node, now, report)
    if status_lists or node is None:
        _check_status(voucher, status_lists, trust, node, now, report)


def _check_issuer(credential: Any, trust: Trust) -> tuple[datetime, datetime, datetime | None]:
    """The credential's period, and the end of its key's: signed, and said to begin, in that time."""
    did = credentials.verify_proof(credential)
    signed_at = parse_created(credential)
    start, end = credentials.period(credential)
    for key in trust.issuer_keys:
        if key.did == did == credential["issuer"] and all(
            key.valid_from <= at and (key.valid_until is None or at <= key.valid_until)
            for at in (signed_at, start)
        ):
            return start, end, key.valid_until
    raise ProofFailed(
        "The issuer {did} is not in your trust file.", step="trust", did=credential["issuer"]
    )


def parse_created(credential: Any) -> datetime:
    """When the credential's proof says it was made."""
    return parse_instant(credential["proof"]["created"])


def _ask_chain_state(
    voucher: Any, number: str, trust: Trust, node: Node, now: datetime, report: Report
) -> None:
    key = bundles.voucher_key(trust.origin, number)
    digest = credentials.credential_digest(voucher)
    data = f"{VERIFY_VOUCHER}{key.hex()}{digest.hex()}{int(now.timestamp()):064x}"
    try:
        answer = node.call(trust.contracts["VoucherRegistry"], data)
        word = CHAIN_VERDICTS[int.from_bytes(answer[:32])]
    except (OSError, ValueError, IndexError) as error:
        report.add("state", CANNOT_TELL, "The node failed to answer: {why}.", why=str(error))
        return
    report.add(
        "state", VALID if word == "valid" else NOT_VALID,
        "On chain the voucher is {word} now.", word=word,
    )  # fmt: skip


def _check_status(
    voucher: Any,
    status_lists: list[Any],
    trust: Trust,
    node: Node | None,
    now: datetime,
    report: Report,
) -> None:
    if not status_lists:
        report.add("status", CANNOT_TELL, "Offline, a voucher needs a status list: pass --status.")
        return
    opened = []
    for status_list in status_lists:
        start, end, retired_at = _check_issuer(status_list, trust)
        # A retired key may have been stolen since and backdate: its lists end with it.
        end = end if retired_at is None else min(end, retired_at)
        if "BitstringStatusListCredential" not in status_list["type"]:
            raise ProofFailed("What was given as status list is none.", step="status")
        opened.append((start, end, status_list))
    start, end, status_list = max(opened, key=lambda item: item[0])
    entry = voucher["credentialStatus"]
    if entry["statusListCredential"] != status_list["id"]:
        raise ProofFailed("The status list is not the voucher's.", step="status")
    if type(entry["statusListIndex"]) is not str or not entry["statusListIndex"].isdigit():
        raise Invalid("The voucher's status index is no number.")
    word = credentials.status_word(
        credentials.status_at(status_list, int(entry["statusListIndex"]))
    )
    facts = {"word": word, "at": status_list["validFrom"], "end": instant(end)}
    if word in FINAL_WORDS:
        report.add("status", NOT_VALID, "The voucher is {word} as of {at}.", **facts)
    elif node is not None:
        report.add("status", VALID, "The status list of {at} says {word}.", **facts)
    elif now > end:
        report.add("status", CANNOT_TELL,
                   "Unknown now: the status list of {at} ran out at {end}; get a newer one.",
                   **facts)  # fmt: skip
    elif now < start:
        report.add("status", CANNOT_TELL,
                   "Unknown now: this clock is before the status list's date {at}.",
                   **facts)  # fmt: skip
    elif word not in ("valid", "unlisted"):
        report.add("status", NOT_VALID, "The voucher is {word} as of {at}.", **facts)
    elif word == "unlisted":
        report.add("status", CANNOT_TELL,
                   "The status list of {at} does not know this voucher yet; get a newer one.",
                   **facts)  # fmt: skip
    else:
        report.add(
            "status", VALID, "The voucher is {word} as of {at}; next list by {end}.", **facts
        )


def read_file(path: str, limit: int = FILE_BYTES_MAX) -> bytes:
    """The file's bytes; raises Invalid when it cannot be read or is too large."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise Invalid("{path} cannot be read: {why}.", path=path, why=error.strerror) from None
    if len(data) > limit:
        raise Invalid("{path} is larger than {limit} bytes.", path=path, limit=limit)
    return data


def run(
    path: str,
    trust_path: str | None,
    *,
    status_path: str | None = None,
    rpc: str | None = None,
    offline: bool = False,
    now: datetime | None = None,
    unwrap: Callable[[bytes, Report], bytes] | None = None,
    tell: Callable[[Step], None] | None = None,
) -> Report:
    """The report of one call at the command line; `tell` hears of each step as it is taken.

    `unwrap` takes the bundle out of a printed voucher (PDF) and says in the report how it was found;
    here, with the standard library alone, a PDF cannot be judged.
    """
    report = Report(tell=tell)
    now = now or datetime.now(UTC)
    rpc = rpc or os.environ.get("CHAIN_RPC_URL")
    try:
        data = read_file(path)
        if unwrap is not None:
            data = unwrap(data, report)
    except LedgerError as error:
        report.add("form", NOT_VALID, error.template, **error.facts)
        return report
    if data[:5] == b"%PDF-":
        report.add(
            "form", CANNOT_TELL,
            "A printed voucher (PDF) is checked with `shuzheng verify`; here, check the bundle.json "
            "attached to it.",
        )  # fmt: skip
        return report
    try:
        trust = None if trust_path is None else parse_trust(read_file(trust_path))
        status = None if status_path is None else read_file(status_path)
        node = None if offline or not rpc else Node(rpc)
    except LedgerError as error:
        report.add("trust", CANNOT_TELL, error.template, **error.facts)
        return report
    verify(data, trust, now=now, node=node, status=status, report=report)
    if trust is not None and node is None and not offline and report.kind != "receipt":
        report.add(
            "chain", CANNOT_TELL,
            "No chain node was named: pass --rpc URL, or --offline to do without.",
        )  # fmt: skip
    return report


def visible(text: str) -> str:
    """The text with what a reader does not see (line breaks, ANSI, bidi marks) spelled out."""
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in UNSEEN else c
        for c in text
    )


def print_step(step: Step, translate: Callable[[str], str] = str) -> None:
    """A step for a person, on its line, at once."""
    mark = ("✓", "✗", "?")[step.outcome]
    print(f"{mark} {translate(step.name):10} {step.sentence(translate)}", flush=True)


def print_verdict(report: Report, translate: Callable[[str], str] = str) -> None:
    """The last line: valid, not valid, cannot tell."""
    print(f"→ {translate(VERDICTS[report.exit_code])}", flush=True)


def print_report(report: Report, translate: Callable[[str], str] = str) -> None:
    """The report for a person, a line a step."""
    for step in report.steps:
        print_step(step, translate)
    print_verdict(report, translate)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ledger.proof.verify")
    parser.add_argument("file", help="a bundle, voucher, receipt, row, package or tlog-proof")
    parser.add_argument("--trust", help="the trust file, got from the registry out of band")
    parser.add_argument("--status", help="a status list newer than the document's own")
    parser.add_argument("--rpc", help="a chain node you trust; also CHAIN_RPC_URL")
    parser.add_argument("--offline", action="store_true", help="ask no node")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = parser.parse_args(arguments)
    report = run(
        given.file, given.trust, status_path=given.status, rpc=given.rpc, offline=given.offline,
        tell=None if given.json else print_step,
    )  # fmt: skip
    if given.json:
        print(json.dumps(report.as_dict(), ensure_ascii=False, sort_keys=True))
    else:
        print_verdict(report)
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
