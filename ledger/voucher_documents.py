"""The credential of a voucher (W3C Verifiable Credential 2.0): what it says, and what it withholds.

    registration     what is registered, for whom, which rights
    authorised_use   the same object, and scene, term and number of uses; provider and subject withheld

Who holds, provides or is meant stands in it as salted digests only.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ledger.proof import credential as credentials
from ledger.proof.encoding import instant
from ledger.registration import Registration
from ledger.voucher_rows import Issuer

STATUS_OF = {word: number for number, word in enumerate(credentials.STATUS_WORDS)}


def status_list_id(origin: str) -> str:
    return f"urn:shuzheng:{origin}:status"


def make(
    issuer: Issuer,
    now: datetime,
    registration: Registration,
    *,
    kind: str,
    number: str,
    index: int,
    holder_address: str,
    rights: Sequence[str],
    withheld: Mapping[str, str],
    valid_from: datetime,
    valid_until: datetime,
    more: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """The signed credential of a voucher, and the disclosures of what it withholds.

    `more` are particulars of the kind: of an authorised use its `scene` and `max_uses`.
    """
    origin, key = issuer.origin, issuer.key
    salts = {name: secrets.token_bytes(16) for name in withheld}
    disclosures = credentials.withhold(dict(withheld), salts)
    document = {
        "@context": [credentials.CONTEXT],
        "credentialStatus": {
            "statusListCredential": status_list_id(origin),
            "statusListIndex": str(index),
            "statusMessage": [
                {"message": word, "status": hex(value)} for word, value in STATUS_OF.items()
            ],
            "statusPurpose": "message",
            "statusSize": credentials.STATUS_SIZE,
            "type": "BitstringStatusListEntry",
        },
        "credentialSubject": {
            "id": f"urn:shuzheng:{origin}:holder:{holder_address}",
            "kind": kind,
            "log": origin,
            "nonce": secrets.token_hex(16),
            "number": number,
            "object": registration.object,
            "registration_code": registration.code,
            "rights": list(rights),
            "summary": registration.summary,
            "title": registration.title,
            "withheld": {
                name: credentials.disclosure_digest(name, disclosures[name]) for name in withheld
            },
            **(more or {}),
        },
        "id": f"urn:shuzheng:{origin}:voucher:{number}",
        "issuer": credentials.did_key(key.public_key().public_bytes_raw()),
        "type": ["VerifiableCredential", "DataAssetVoucher"],
        "validFrom": instant(valid_from),
        "validUntil": instant(valid_until),
    }
    return credentials.sign(document, key, now), disclosures


def prolong(
    issuer: Issuer, now: datetime, credential: Mapping[str, Any], valid_until: datetime
) -> dict[str, Any]:
    """The same credential, good until later, signed anew; what it withholds stays as it was."""
    document = {name: value for name, value in credential.items() if name != "proof"}
    document["credentialSubject"] = {
        **document["credentialSubject"], "nonce": secrets.token_hex(16),
    }  # fmt: skip
    document["validUntil"] = instant(valid_until)
    document["issuer"] = credentials.did_key(issuer.key.public_key().public_bytes_raw())
    return credentials.sign(document, issuer.key, now)
