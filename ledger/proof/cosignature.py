"""Cosignatures: outside witnesses who saw that a checkpoint extends the last one (C2SP tlog-cosignature).

A witness adds one line to the checkpoint's note. What it signs is not the note's text alone:

    cosignature/v1
    time 1679315147                    POSIX seconds, no leading zeros
    shuzheng.local/1a2b3c4d            the checkpoint's text, its last newline included
    1437
    qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=

    — witness.example/w1 jWbPPwAA…     base64(key hash ‖ time, 8 bytes big-endian ‖ Ed25519 signature)

Its key is spelled as a log's is, with 0x04 where that has 0x01. The message does not name the witness,
so each must have a key of its own.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from ledger.errors import Invalid, ProofFailed
from ledger.proof.checkpoint import (
    Signature,
    VerifierKey,
    parse_note,
    parse_verifier_key,
    signature_line,
    verifier_key,
)

COSIGNATURE = b"\x04"
LENGTH = 8 + 64
TIME_MAX = 253402300799  # the last second that a calendar of four-digit years has


class Cosignature(NamedTuple):
    """A witness's statement: this checkpoint is the largest that it saw of this log at that time."""

    key: VerifierKey
    at: datetime
    line: str


def cosigner_key(name: str, public: bytes) -> VerifierKey:
    """The verifier key of a witness: its name and 32 public bytes."""
    return verifier_key(name, public, COSIGNATURE)


def parse_cosigner_key(text: Any) -> VerifierKey:
    """The witness key spelled by `text`; a log's key, or any other spelling, raises Invalid."""
    return parse_verifier_key(text, COSIGNATURE)


def cosign(text: str, name: str, private: Ed25519PrivateKey, at: datetime) -> str:
    """A witness's line under a checkpoint's text."""
    key = cosigner_key(name, private.public_key().public_bytes_raw())
    seconds = int(at.timestamp())
    value = seconds.to_bytes(8) + private.sign(_message(text, seconds))
    return signature_line(Signature(name, key.key_hash, value))


def read_cosignatures(note: str, keys: Iterable[VerifierKey]) -> list[Cosignature]:
    """The cosignatures by `keys` on a note, in the order of its lines, each key once.

    A wrong one by a known key raises ProofFailed (step witness); lines of others are passed over. That
    the log itself signed the note is not looked at here.
    """
    known = {(key.name, key.key_hash): key for key in keys}
    text, signatures = parse_note(note)
    found: dict[VerifierKey, Cosignature] = {}
    for signature in signatures:
        key = known.get((signature.name, signature.key_hash))
        if key is not None and key not in found:
            at = _check(text, signature, key)
            found[key] = Cosignature(key, at, signature_line(signature))
    return list(found.values())


def with_lines(note: str, lines: str = "") -> str:
    """The note with more signature lines, each key's first one only, in the order of a handed-out file.

    The log's own lines stand first, then the witnesses' by name; by key hash where names are equal. What
    is no signature line raises Invalid.
    """
    text, _ = parse_note(note)
    same, signatures = parse_note(note + lines)
    if same != text:  # an empty line among them would have made the note's end part of its text
        raise Invalid("What was added to the checkpoint is not signature lines alone.")
    origin = text.partition("\n")[0]
    first = {(s.name, s.key_hash): s for s in reversed(signatures)}
    ordered = sorted(first.values(), key=lambda signature: _place(origin, signature))
    return text + "\n" + "".join(signature_line(signature) for signature in ordered)


def check_order(note: str) -> None:
    """Raise Invalid unless the note's lines are as `with_lines` puts them: there is one spelling."""
    if with_lines(note) != note:
        raise Invalid("The checkpoint's signatures are not in order, or a key has two.")


def _check(text: str, signature: Signature, key: VerifierKey) -> datetime:
    """When the witness signed; raises ProofFailed."""
    seconds = int.from_bytes(signature.value[:8])
    try:
        if len(signature.value) != LENGTH or not 0 < seconds <= TIME_MAX:
            raise InvalidSignature
        Ed25519PublicKey.from_public_bytes(key.public).verify(
            signature.value[8:], _message(text, seconds)
        )
    except InvalidSignature:
        raise ProofFailed(
            "The cosignature of {name} on the checkpoint is wrong.", step="witness", name=key.name
        ) from None
    return datetime.fromtimestamp(seconds, UTC)


def _message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _place(origin: str, signature: Signature) -> tuple[bool, bytes, bytes]:
    return signature.name != origin, signature.name.encode(), signature.key_hash
