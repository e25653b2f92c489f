"""Signed checkpoints: C2SP signed-note with Ed25519, carrying a C2SP tlog-checkpoint.

    shuzheng.local/1a2b3c4d            origin = name of the log's key
    1437                               tree size, decimal
    qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=    root, base64
                                       (empty line)
    — shuzheng.local/1a2b3c4d Uw2QOkn8…             base64(key hash ‖ signature)

A verifier key ("vkey") is spelled name+<key hash, 8 hex>+base64(0x01 ‖ Ed25519 public key); the key
hash is the first 4 bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key). A witness's has 0x04 instead of
0x01 (see `cosignature`).
"""

import base64
import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from ledger.errors import Invalid, ProofFailed
from ledger.proof.encoding import unbase64

ED25519 = b"\x01"
TLOG_PROOF = "c2sp.org/tlog-proof@v1"
SIZE_MAX = 2**63 - 1
SIGNATURES_MAX = 64  # C2SP signed-note asks for a limit of at least 16
PROOF_HASHES_MAX = 64


class VerifierKey(NamedTuple):
    """A key that may sign notes: its name, its 4-byte hash, its 32 public bytes, what it is for."""

    name: str
    key_hash: bytes
    public: bytes
    algorithm: bytes = ED25519

    def spelled(self) -> str:
        material = base64.b64encode(self.algorithm + self.public).decode()
        return f"{self.name}+{self.key_hash.hex()}+{material}"


class Signature(NamedTuple):
    """One signature line of a note."""

    name: str
    key_hash: bytes
    value: bytes


class Checkpoint(NamedTuple):
    """What a checkpoint says."""

    origin: str
    tree_size: int
    root: bytes
    extensions: tuple[str, ...] = ()


def verifier_key(name: str, public: bytes, algorithm: bytes = ED25519) -> VerifierKey:
    """The verifier key of a name and 32 public bytes."""
    _check_name(name)
    if len(public) != 32:
        raise Invalid("An Ed25519 public key has 32 bytes, not {length}.", length=len(public))
    return VerifierKey(name, _key_hash(name, algorithm + public), public, algorithm)


def parse_verifier_key(text: Any, algorithm: bytes = ED25519) -> VerifierKey:
    """The key spelled by `text`; another algorithm's, or a hash of another key, raises Invalid."""
    # base64 may hold a plus sign itself, a name may not
    parts = text.split("+", 2) if type(text) is str else []
    if len(parts) != 3:
        raise Invalid("{text} is not a verifier key name+hash+key.", text=repr(text))
    material = unbase64(parts[2])
    if material[:1] != algorithm or len(material) != 33:
        if algorithm != ED25519:
            raise Invalid("The key of {name} is no Ed25519 key of a witness.", name=parts[0])
        raise Invalid("The verifier key of {name} is not Ed25519.", name=parts[0])
    key = verifier_key(parts[0], material[1:], algorithm)
    if key.spelled() != text:
        raise Invalid("The key hash of {name} does not belong to its key.", name=parts[0])
    return key


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The text that is signed: it ends with a newline."""
    _check_name(checkpoint.origin)
    lines = [
        checkpoint.origin,
        str(checkpoint.tree_size),
        base64.b64encode(checkpoint.root).decode(),
        *checkpoint.extensions,
    ]
    return "".join(line + "\n" for line in lines)


def parse_checkpoint(text: Any) -> Checkpoint:
    """What the text says; a number with leading zeros, a short root, an odd byte raise Invalid."""
    if type(text) is not str or not text.endswith("\n"):
        raise Invalid("The checkpoint does not end with a newline.")
    _check_text(text)
    lines = text[:-1].split("\n")
    if len(lines) < 3 or any(not line for line in lines):
        raise Invalid("A checkpoint has an origin, a size and a root, each on its line.")
    origin, size_text, root_text, *extensions = lines
    _check_name(origin)
    if not (size_text.isascii() and size_text.isdigit()) or str(int(size_text[:20])) != size_text:
        raise Invalid("The tree size {size} is not a plain decimal.", size=repr(size_text))
    size = int(size_text)
    root = unbase64(root_text)
    if len(root) != 32 or size > SIZE_MAX:
        raise Invalid("The checkpoint's root or size is out of range.")
    return Checkpoint(origin, size, root, tuple(extensions))


def sign(text: str, name: str, private: Ed25519PrivateKey) -> str:
    """The note: the text, an empty line, one signature line."""
    _check_text(text)
    key = verifier_key(name, private.public_key().public_bytes_raw())
    return text + "\n" + signature_line(Signature(name, key.key_hash, private.sign(text.encode())))


def signature_line(signature: Signature) -> str:
    blob = base64.b64encode(signature.key_hash + signature.value).decode()
    return f"— {signature.name} {blob}\n"


def parse_note(note: Any) -> tuple[str, list[Signature]]:
    """The signed text and its signature lines; any malformed line raises Invalid."""
    text, gap, lines = note.rpartition("\n\n") if type(note) is str else ("", "", "")
    if not gap or not lines.endswith("\n"):
        raise Invalid("The note has no signatures after an empty line.")
    if lines.count("\n") > SIGNATURES_MAX:
        raise Invalid("The note has more than {limit} signatures.", limit=SIGNATURES_MAX)
    text += "\n"
    _check_text(text)
    signatures = []
    for line in lines[:-1].split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "—":
            raise Invalid("A signature line is malformed: {line}.", line=repr(line))
        _check_name(parts[1])
        blob = unbase64(parts[2])
        if len(blob) < 5:
            raise Invalid("A signature of {name} is too short.", name=parts[1])
        signatures.append(Signature(parts[1], blob[:4], blob[4:]))
    return text, signatures


def open_note(note: Any, keys: Iterable[VerifierKey]) -> tuple[str, list[VerifierKey]]:
    """The text and those of `keys` that signed it.

    A wrong signature by a known key raises ProofFailed, as the note format demands; signatures by
    unknown keys are passed over. Nobody known having signed raises ProofFailed too.
    """
    known = {(key.name, key.key_hash): key for key in keys}
    text, signatures = parse_note(note)
    signers: list[VerifierKey] = []
    for signature in signatures:
        key = known.get((signature.name, signature.key_hash))
        if key is None or key in signers:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature.value, text.encode())
        except InvalidSignature:
            raise ProofFailed(
                "The signature of {name} on the note is wrong.", step="signature", name=key.name
            ) from None
        signers.append(key)
    if not signers:
        raise ProofFailed("No key you trust signed this note.", step="signature")
    return text, signers


def _key_hash(name: str, material: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or _is_odd(c) for c in name):
        raise Invalid("{name} cannot be the name of a log or key.", name=repr(name))


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(_is_odd(c) and c != "\n" for c in text):
        raise Invalid("A note's text ends with a newline and has no control characters.")


def _is_odd(c: str) -> bool:
    """Whether a character is a control character or half of one (no UTF-8 spells it)."""
    return c < " " or "\ud800" <= c <= "\udfff"


def format_tlog_proof(leaf_index: int, inclusion: list[bytes], note: str, extra: bytes) -> str:
    """An inclusion proof as C2SP tlog-proof text; `extra` is the entry it proves.

    c2sp.org/tlog-proof@v1
    extra <base64 of the entry>
    index 7
    <base64 hash>            one a line, from the leaf upwards
                             (empty line)
    <signed checkpoint>
    """
    lines = [
        TLOG_PROOF,
        f"extra {base64.b64encode(extra).decode()}",
        f"index {leaf_index}",
        *(base64.b64encode(value).decode() for value in inclusion),
    ]
    return "".join(line + "\n" for line in lines) + "\n" + note


def parse_tlog_proof(text: Any) -> tuple[int, list[bytes], str, bytes]:
    """Index, hashes, note and extra of a C2SP tlog-proof; any other spelling raises Invalid."""
    head, gap, note = text.partition("\n\n") if type(text) is str else ("", "", "")
    lines = head.split("\n")
    if not gap or len(lines) < 3 or lines[0] != TLOG_PROOF:
        raise Invalid("This is no C2SP tlog-proof of version 1.")
    extra_text, index_text = lines[1].removeprefix("extra "), lines[2].removeprefix("index ")
    if not (index_text.isascii() and index_text.isdigit() and len(index_text) < 20):
        raise Invalid("The leaf index {index} is not a plain decimal.", index=repr(index_text))
    parse_checkpoint(parse_note(note)[0])
    if len(lines) - 3 > PROOF_HASHES_MAX:
        raise Invalid("The inclusion proof has more than {limit} hashes.", limit=PROOF_HASHES_MAX)
    hashes = [unbase64(line) for line in lines[3:]]
    found = int(index_text), hashes, note, unbase64(extra_text)
    if any(len(value) != 32 for value in hashes) or format_tlog_proof(*found) != text:
        raise Invalid("This is no C2SP tlog-proof of version 1.")
    return found
