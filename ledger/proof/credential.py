"""Credentials: W3C Verifiable Credentials 2.0 under `eddsa-jcs-2022`, and the bitstring status list.

    proofValue = "z" + base58btc(Ed25519(SHA-256(JCS(proof options)) ‖ SHA-256(JCS(document))))
    issuer     = "did:key:z" + base58btc(0xed01 ‖ Ed25519 public key)

Sources: W3C Data Integrity EdDSA Cryptosuites v1.0 §3.3; did:key; Bitstring Status List v1.0.
"""

import base64
import zlib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from ledger.errors import Invalid, ProofFailed
from ledger.proof.encoding import (
    canonical,
    check_subset,
    digest_text,
    instant,
    parse_instant,
    sha256,
)

CONTEXT = "https://www.w3.org/ns/credentials/v2"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
ED25519_CODEC = b"\xed\x01"

STATUS_SIZE = 4  # bits a voucher
STATUS_WORDS = ("unlisted", "valid", "suspended", "revoked", "cancelled", "superseded", "lapsed")
FROZEN_BIT = 8
STATUS_LIST_BYTES_MIN = 16 * 1024  # Bitstring Status List §3.2: at least 131,072 bits, for privacy
STATUS_LIST_BYTES_MAX = 64 * 1024 * 1024


def base58_encode(data: bytes) -> str:
    """base58btc; leading zero bytes become leading ones."""
    number = int.from_bytes(data)
    text = ""
    while number:
        number, rest = divmod(number, 58)
        text = BASE58[rest] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def base58_decode(text: str) -> bytes:
    """The bytes spelled by `text`; raises Invalid."""
    number = 0
    for letter in text:
        digit = BASE58.find(letter)
        if digit < 0:
            raise Invalid("{text} is not base58.", text=repr(text[:80]))
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8)


def did_key(public: bytes) -> str:
    """The `did:key` of an Ed25519 public key."""
    return "did:key:z" + base58_encode(ED25519_CODEC + public)


def public_of(did: Any) -> bytes:
    """The 32 public bytes of a `did:key`; raises Invalid."""
    if type(did) is str and did.startswith("did:key:z") and len(did) < 80:
        material = base58_decode(did[9:])
        if material[:2] == ED25519_CODEC and len(material) == 34:
            return material[2:]
    raise Invalid("{did} is not the did:key of an Ed25519 key.", did=repr(did))


def sign(document: Mapping[str, Any], private: Ed25519PrivateKey, at: datetime) -> dict[str, Any]:
    """The document with its proof; its issuer must be the did:key of `private`.

    The proof repeats the document's `@context`, if it has one (§3.3.1).
    """
    did = did_key(private.public_key().public_bytes_raw())
    if "proof" in document or document.get("issuer") != did:
        raise Invalid("Only an unsigned document of this issuer can be signed.")
    options = {
        **{key: value for key, value in document.items() if key == "@context"},
        "created": instant(at),
        "cryptosuite": "eddsa-jcs-2022",
        "proofPurpose": "assertionMethod",
        "type": "DataIntegrityProof",
        "verificationMethod": f"{did}#{did[8:]}",
    }
    value = private.sign(_signed_bytes(options, dict(document)))
    return {**document, "proof": {**options, "proofValue": "z" + base58_encode(value)}}


def verify_proof(credential: Any) -> str:
    """The did:key that signed the credential; raises Invalid or ProofFailed.

    Whether that key is trusted, and whether it is the credential's issuer, the caller decides.
    """
    if type(credential) is not dict or type(credential.get("proof")) is not dict:
        raise Invalid("This is no credential with a proof.")
    check_subset(credential)
    document = {key: value for key, value in credential.items() if key != "proof"}
    options = dict(credential["proof"])
    value = options.pop("proofValue", None)
    if (
        options.get("type") != "DataIntegrityProof"
        or options.get("cryptosuite") != "eddsa-jcs-2022"
        or options.get("proofPurpose") != "assertionMethod"
        or type(value) is not str
        or not value.startswith("z")
        or len(value) > 100
    ):
        raise Invalid("The proof is not an eddsa-jcs-2022 assertion.")
    # W3C lets a document's context go on after the proof's; then anybody could add to it unseen.
    if "@context" in options and options["@context"] != document.get("@context"):
        raise ProofFailed("The proof speaks of another context.", step="credential")
    method = options.get("verificationMethod")
    did, _, fragment = method.partition("#") if type(method) is str else ("", "", "")
    if fragment != did[8:]:
        raise Invalid("The verification method {method} is no did:key.", method=repr(method))
    key = Ed25519PublicKey.from_public_bytes(public_of(did))
    try:
        key.verify(base58_decode(value[1:]), _signed_bytes(options, document))
    except InvalidSignature:
        raise ProofFailed("The credential's signature is wrong.", step="credential") from None
    return did


def credential_digest(credential: Mapping[str, Any]) -> bytes:
    """What stands on chain for a voucher: SHA-256 of the JCS form of the credential with its proof."""
    return sha256(canonical(dict(credential)))


def withhold(fields: Mapping[str, str], salts: Mapping[str, bytes]) -> dict[str, Any]:
    """Disclosures beside a credential: each field with its salt (see `disclosure_digest`)."""
    return {name: {"salt": salts[name].hex(), "value": value} for name, value in fields.items()}


def disclosure_digest(name: str, disclosure: Any) -> str:
    """The digest that stands in the credential for a field that may be withheld."""
    if (
        type(disclosure) is not dict
        or set(disclosure) != {"salt", "value"}
        or type(disclosure["salt"]) is not str
        or len(disclosure["salt"]) != 32
    ):
        raise Invalid("The disclosure of {name} has not the form salt, value.", name=name)
    return digest_text(canonical([disclosure["salt"], name, disclosure["value"]]))


def encode_status_list(statuses: Mapping[int, int], count: int) -> str:
    """The multibase, gzipped bitstring of `count` entries of 4 bits, first entry leftmost."""
    content = bytearray(max(STATUS_LIST_BYTES_MIN, (count + 1) // 2))
    for index, status in statuses.items():
        if not (0 <= index < count and 0 <= status < 1 << STATUS_SIZE):
            raise Invalid("Entry {index} does not fit the status list.", index=index)
        content[index // 2] |= status << (0 if index % 2 else STATUS_SIZE)
    return "u" + base64.urlsafe_b64encode(_gzip(bytes(content))).decode().rstrip("=")


def status_at(status_list: Any, index: int) -> int:
    """The 4-bit status of entry `index` in a status list credential; raises Invalid."""
    try:
        encoded = status_list["credentialSubject"]["encodedList"]
    except (KeyError, TypeError):
        encoded = None
    if type(encoded) is not str:
        raise Invalid("The status list's bitstring cannot be read.")
    content = _bits(encoded)
    if not 0 <= index < 2 * len(content):
        return 0
    return content[index // 2] >> (0 if index % 2 else STATUS_SIZE) & 0xF


@lru_cache(maxsize=2)  # a list is asked of each voucher in turn
def _bits(encoded: str) -> bytes:
    """The bytes behind an encoded list in its one spelling; raises Invalid."""
    try:
        packed = base64.urlsafe_b64decode(encoded[1:] + "=" * (-len(encoded[1:]) % 4))
        strict = base64.urlsafe_b64encode(packed).decode().rstrip("=") == encoded[1:]
        unpack = zlib.decompressobj(wbits=31)
        content = unpack.decompress(packed, STATUS_LIST_BYTES_MAX)
    except (ValueError, zlib.error):
        raise Invalid("The status list's bitstring cannot be read.") from None
    if (
        encoded[:1] != "u" or not strict
        or not unpack.eof or unpack.unconsumed_tail or unpack.unused_data
    ):  # fmt: skip
        raise Invalid("The status list's bitstring cannot be read.")
    return content


def status_word(status: int) -> str:
    """`valid`, `suspended`, …, `frozen` for a 4-bit status."""
    if status & FROZEN_BIT:
        return "frozen"
    if status >= len(STATUS_WORDS):
        raise Invalid("The status {status} has no meaning here.", status=status)
    return STATUS_WORDS[status]


def period(credential: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """validFrom and validUntil of a credential; both must stand in it."""
    return parse_instant(credential.get("validFrom")), parse_instant(credential.get("validUntil"))


def _signed_bytes(options: Mapping[str, Any], document: Mapping[str, Any]) -> bytes:
    return sha256(canonical(dict(options))) + sha256(canonical(dict(document)))


def _gzip(content: bytes) -> bytes:
    """A gzip file (RFC 1952) without time and system, which `gzip.compress` writes as its Python does."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    header = b"\x1f\x8b\x08" + bytes(5) + b"\x02\xff"
    check = zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    return header + packer.compress(content) + packer.flush() + check
