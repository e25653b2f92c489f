"""Steps about a voucher: its issuer and record, its time, its state on chain and in the status list."""

import re
from datetime import datetime
from typing import Any

from ledger.errors import Invalid, ProofFailed
from ledger.proof import bundle as bundles
from ledger.proof import credential as credentials
from ledger.proof.chain_node import Node, voucher_verdict
from ledger.proof.encoding import instant, parse_instant
from ledger.proof.report import CANNOT_TELL, NOT_VALID, VALID, Report
from ledger.proof.trust import Trust

INDEX = re.compile("[0-9]{1,15}")
FINAL_WORDS = ("revoked", "cancelled", "superseded")  # what no later list can take back


def check_voucher_of(document: Any) -> None:
    """The bundle's voucher is the one its record speaks of."""
    body = document["payload"]["body"]
    digest = "sha256:" + credentials.credential_digest(document["voucher"]).hex()
    if body.get("digest") != digest or document["payload"]["subject"]["type"] != "voucher":
        raise ProofFailed("The record speaks of another voucher.", step="voucher")


def check_voucher(
    voucher: Any,
    disclosures: Any,
    trust: Trust,
    node: Node | None,
    status_lists: list[Any],
    now: datetime,
    report: Report,
) -> None:
    """A voucher was signed by a trusted issuer and discloses its own fields; how it stands now."""
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
        _check_state(voucher, number, trust, node, now, report)
    if status_lists or node is None:
        _check_status(voucher, status_lists, trust, node, now, report)


def _check_issuer(credential: Any, trust: Trust) -> tuple[datetime, datetime, datetime | None]:
    """The credential's period, and the end of its key's: signed, and said to begin, in that time."""
    did = credentials.verify_proof(credential)
    signed_at = parse_instant(credential["proof"]["created"])
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


def _check_state(
    voucher: Any, number: str, trust: Trust, node: Node, now: datetime, report: Report
) -> None:
    key = bundles.voucher_key(trust.origin, number)
    digest = credentials.credential_digest(voucher)
    try:
        word = voucher_verdict(node, trust, key, digest, now)
    except (OSError, ValueError, IndexError) as error:
        report.add("state", CANNOT_TELL, "The node failed to answer: {why}.", why=str(error))
        return
    report.add(
        "state", VALID if word == "valid" else NOT_VALID,
        "On chain the voucher is {word} now.", word=word,
    )  # fmt: skip


def list_period(status_list: Any, trust: Trust) -> tuple[datetime, datetime]:
    """From when and until when a status list counts that a trusted issuer signed; else it raises."""
    start, end, retired_at = _check_issuer(status_list, trust)
    if "BitstringStatusListCredential" not in status_list["type"]:
        raise ProofFailed("What was given as status list is none.", step="status")
    # A retired key may have been stolen since and backdate: its lists end with it.
    return start, end if retired_at is None else min(end, retired_at)


def listed_word(voucher: Any, status_list: Any) -> str:
    """What a status list, checked before, says of a voucher; raises ProofFailed for another one's."""
    if voucher["credentialStatus"]["statusListCredential"] != status_list["id"]:
        raise ProofFailed("The status list is not the voucher's.", step="status")
    return credentials.status_word(credentials.status_at(status_list, listed_at(voucher)))


def listed_at(voucher: Any) -> int:
    """The place of a voucher in its registry's status list; raises Invalid."""
    entry = voucher.get("credentialStatus")
    index = entry.get("statusListIndex") if type(entry) is dict else None
    if type(index) is not str or not INDEX.fullmatch(index):
        raise Invalid("The voucher's status index is no number.")
    return int(index)


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
        opened.append((*list_period(status_list, trust), status_list))
    start, end, status_list = max(opened, key=lambda item: item[0])
    word = listed_word(voucher, status_list)
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
