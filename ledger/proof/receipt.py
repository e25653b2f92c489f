"""The submission receipt: the registry's signed promise that its log holds these entries at these places.

    {"issued_at": "2026-09-17T04:00:00Z", "issuer": "did:key:z6Mk…", "log": "shuzheng.local/…",
     "proof": {…eddsa-jcs-2022…},
     "records": [{"at", "digest", "kind", "leaf_index"}, …],      at least one, in the log's order
     "type": "shuzheng/receipt", "v": 1}

It is handed out at once, before the log is sealed. It proves no inclusion: a registry that later shows
another entry at that place, or none, has broken its word, and the receipt is the evidence. A record is
one entry of the log (`bundle.entry_of`) and its leaf index.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import Invalid
from ledger.proof import credential as credentials
from ledger.proof.bundle import is_one
from ledger.proof.encoding import digest_bytes, instant, parse_instant
from ledger.proof.trust import Trust

RECEIPT_TYPE = "shuzheng/receipt"
RECEIPT_KEYS = {"issued_at", "issuer", "log", "proof", "records", "type", "v"}
RECORD_KEYS = {"at", "digest", "kind", "leaf_index"}
PROOF_KEYS = {
    "created", "cryptosuite", "proofPurpose", "proofValue", "type", "verificationMethod",
}  # fmt: skip


def make(
    origin: str, records: Iterable[Mapping[str, Any]], key: Ed25519PrivateKey, now: datetime
) -> dict[str, Any]:
    """The receipt for records of the log `origin`; raises Invalid for what `check` would refuse."""
    document = {
        "issued_at": instant(now),
        "issuer": credentials.did_key(key.public_key().public_bytes_raw()),
        "log": origin,
        "records": [dict(record) for record in records],
        "type": RECEIPT_TYPE,
        "v": 1,
    }
    receipt = credentials.sign(document, key, now)
    _check_form(receipt)
    return receipt


def check(receipt: Any, trust: Trust) -> None:
    """Raise Invalid for a wrong form, ProofFailed (step signature or trust) for a promise not ours.

    It is ours when a credential key of the trust file signed it, in that key's time, for that log.
    """
    _check_form(receipt)
    trust.check_issued(receipt)


def _check_form(receipt: Any) -> None:
    if (
        type(receipt) is not dict
        or receipt.get("type") != RECEIPT_TYPE
        or not is_one(receipt.get("v"))
    ):
        raise Invalid("This is no submission receipt of version 1.")
    proof, records = receipt.get("proof"), receipt.get("records")
    if set(receipt) != RECEIPT_KEYS or type(proof) is not dict or set(proof) != PROOF_KEYS:
        raise Invalid("The fields of the receipt or of its proof are not those of version 1.")
    if type(receipt["log"]) is not str or type(receipt["issuer"]) is not str:
        raise Invalid("The receipt's log or issuer is no text.")
    if proof["created"] != receipt["issued_at"]:
        raise Invalid("The receipt was not signed at the time at which it says it was issued.")
    if type(records) is not list or not records:
        raise Invalid("The receipt names no record.")
    for record in records:
        _check_record(record)
    if any(one["leaf_index"] >= other["leaf_index"] for one, other in pairwise(records)):
        raise Invalid("The receipt's records are not in the order of the log.")


def _check_record(record: Any) -> None:
    if (
        type(record) is not dict
        or set(record) != RECORD_KEYS
        or type(record["kind"]) is not str
        or type(record["leaf_index"]) is not int
        or record["leaf_index"] < 0
    ):
        raise Invalid("A record of the receipt is not of the form at, digest, kind, leaf_index.")
    parse_instant(record["at"])
    digest_bytes(record["digest"])
