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
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledger.errors import Invalid, LedgerError, ProofFailed
from ledger.proof import bundle as bundles
from ledger.proof import receipt as receipts
from ledger.proof import row as rows
from ledger.proof.chain_node import Node, check_chain
from ledger.proof.checkpoint import TLOG_PROOF
from ledger.proof.encoding import parse
from ledger.proof.record_steps import (
    check_package,
    check_receipt,
    check_record,
    check_row,
    check_tlog_proof,
    read_tlog_proof,
)
from ledger.proof.report import (
    CANNOT_TELL,
    NOT_VALID,
    VALID,
    Report,
    Step,
    print_step,
    print_verdict,
)
from ledger.proof.trust import Trust, parse_trust
from ledger.proof.voucher_steps import check_voucher, check_voucher_of

__all__ = ["CANNOT_TELL", "NOT_VALID", "VALID", "main", "read_file", "run", "verify"]

FILE_BYTES_MAX = bundles.PACKAGE_BYTES_MAX


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
        if node is not None and not check_chain(node, trust, report):
            node = None
        if report.kind == "receipt":
            check_receipt(document, trust, node, report)
            return report
        given = [] if status is None else [parse(status, "The status list")]
        if files:
            check_package(files, document, trust, node, report)
            document = parse(files["data/bundle.json"], "data/bundle.json")
        if report.kind == "row":
            document = check_row(document, report)
        if report.kind == "tlog-proof":
            check_tlog_proof(document, trust, node, report)
        elif report.kind == "voucher":
            check_voucher(document, {}, trust, node, given, now, report)
        else:
            check_record(document, trust, node, report)
            if document["voucher"] is not None:
                check_voucher_of(document)
                lists = given if document["status"] is None else [*given, document["status"]]
                check_voucher(
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
        document = read_tlog_proof(data)
    else:
        document = parse(data, "The document")
        if type(document) is not dict:
            raise Invalid(
                "The document is neither a bundle, a voucher, a receipt, a row nor a package."
            )
        if document.get("type") == receipts.RECEIPT_TYPE:
            report.kind = "receipt"
        elif document.get("type") in (rows.ROW_TYPE, rows.TRADE_TYPE):
            report.kind = "row"
        else:
            report.kind = "voucher" if "credentialSubject" in document else "bundle"
    report.add("form", VALID, "The {kind} is in its one canonical form.", kind=report.kind)
    return files, document


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
