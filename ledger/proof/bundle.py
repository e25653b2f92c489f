"""What is handed out: proof bundles (`.json`) and listing packages (`.zip`), each in one canonical form.

A bundle holds a record and its way to a signed checkpoint that a contract holds:

    {"anchor": {"block": 12, "transaction": "0x…"},      where the checkpoint was anchored (a hint)
     "chain": {"anchor": "0x…", "chain_id": 1, "genesis": "0x…", "vouchers": "0x…"},   merely compared
     "checkpoint": "shuzheng.local/…\\n…",  "disclosures": {…},
     "entry": {"at", "digest", "kind", "v"}, "inclusion": ["<hex>", …], "leaf_index": 7,
     "payload": {…}, "salt": "<32 hex>",
     "status": {…status list…} | null,  "type": "shuzheng/bundle", "v": 1,  "voucher": {…} | null}

A package is a BagIt bag (RFC 8493): `manifest-sha256.txt` covers every file below `data/`,
`tagmanifest-sha256.txt` covers the bag's own files, and `proof.json` is the bundle of the record
`package.packed`, whose body holds the digest of the tag manifest.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from typing import Any

from ledger.errors import Invalid, ProofFailed
from ledger.proof.encoding import (
    canonical,
    digest_bytes,
    digest_text,
    parse_instant,
    sha256,
    unhex,
)
from ledger.proof.merkle import leaf_hash

BUNDLE_TYPE = "shuzheng/bundle"
BUNDLE_KEYS = {
    "anchor", "chain", "checkpoint", "disclosures", "entry", "inclusion", "leaf_index",
    "payload", "salt", "status", "type", "v", "voucher",
}  # fmt: skip
PAYLOAD_KEYS = {
    "actor", "at", "body", "kind", "log", "on_behalf_of", "prev", "reason", "subject", "v",
}  # fmt: skip
BAG_DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
PROOF_NAME = "proof.json"
PACKAGE_BYTES_MAX = 256 * 1024 * 1024
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def voucher_key(origin: str, number: str) -> bytes:
    """The id under which a contract knows a voucher: SHA-256 of canonical ["voucher", origin, number]."""
    return sha256(canonical(["voucher", origin, number]))


def payload_digest(salt: bytes, payload: bytes) -> str:
    """`sha256:<hex SHA-256(salt16 ‖ payload)>`: what the public entry says of a payload."""
    if len(salt) != 16:
        raise Invalid("A salt has 16 bytes, not {length}.", length=len(salt))
    return digest_text(salt + payload)


def row_hash(salt: bytes, row: Mapping[str, Any]) -> bytes:
    """The leaf of a salted row (a statement's line, a batch record's event).

    SHA-256(0x00 ‖ salt16 ‖ canonical row): a row can be proved without revealing its neighbours.
    """
    if len(salt) != 16:
        raise Invalid("A salt has 16 bytes, not {length}.", length=len(salt))
    return leaf_hash(salt + canonical(dict(row)))


def entry_of(payload: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """The public leaf of a payload: when, what kind, and the salted digest."""
    return {"at": payload["at"], "digest": digest, "kind": payload["kind"], "v": 1}


def check_entry(entry: Any) -> dict[str, Any]:
    """A public leaf that has the form of `entry_of`; anything else raises Invalid."""
    if (
        type(entry) is not dict or set(entry) != {"at", "digest", "kind", "v"}
        or type(entry["kind"]) is not str or not is_one(entry["v"])
    ):  # fmt: skip
        raise Invalid("This is no entry of the log of version 1.")
    parse_instant(entry["at"])
    digest_bytes(entry["digest"])
    return entry


def check_bundle(bundle: Any) -> bytes:
    """The leaf hash of a well-formed bundle whose payload, salt and entry belong together.

    Raises Invalid for a wrong form and ProofFailed (step payload or entry) for a mismatch.
    """
    if type(bundle) is not dict or bundle.get("type") != BUNDLE_TYPE or not is_one(bundle.get("v")):
        raise Invalid("This is no proof bundle of version 1.")
    if set(bundle) != BUNDLE_KEYS:
        raise Invalid(
            "The bundle's fields are not the {count} of version 1: {odd}.",
            count=len(BUNDLE_KEYS),
            odd=sorted(set(bundle) ^ BUNDLE_KEYS),
        )
    if bundle["voucher"] is None and (bundle["status"] is not None or bundle["disclosures"] != {}):
        raise Invalid("A bundle without voucher has neither status list nor disclosures.")
    payload, entry = bundle["payload"], bundle["entry"]
    if type(payload) is not dict or set(payload) != PAYLOAD_KEYS or payload["v"] != 1:
        raise Invalid("The bundle's payload is not a record of version 1.")
    if type(bundle["leaf_index"]) is not int or type(bundle["inclusion"]) is not list:
        raise Invalid("The bundle's inclusion proof is malformed.")
    digest = payload_digest(unhex(bundle["salt"], 16), canonical(payload))
    if type(entry) is not dict or entry.get("digest") != digest:
        raise ProofFailed("The payload is not the one that was recorded.", step="payload")
    if entry != entry_of(payload, digest):
        raise ProofFailed("The entry says another time or kind than the record.", step="entry")
    return leaf_hash(canonical(entry))


def is_one(value: Any) -> bool:
    """Whether a value is the number 1; `true`, which equals 1 in Python, is not."""
    return type(value) is int and value == 1


def write_zip(files: Mapping[str, bytes]) -> bytes:
    """The canonical ZIP of `files`: stored, sorted names, fixed times, no extra fields or comments."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, ZIP_TIME)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[name])
    return out.getvalue()


def read_zip(data: bytes) -> dict[str, bytes]:
    """The files of a canonical ZIP; one that is not byte for byte what `write_zip` makes is refused."""
    if len(data) > PACKAGE_BYTES_MAX:
        raise Invalid("The package is larger than {limit} bytes.", limit=PACKAGE_BYTES_MAX)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > PACKAGE_BYTES_MAX or any(m.compress_type for m in members):
                raise Invalid(
                    "The package is compressed or too large: it is not in canonical form."
                )
            files = {member.filename: archive.read(member) for member in members}
    except (
        zipfile.BadZipFile,
        ValueError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
        OverflowError,  # an offset beyond 2^63
    ) as e:
        raise Invalid("The package is not a ZIP we can read: {why}.", why=str(e)) from None
    if any({"", ".", ".."} & set(name.split("/")) or "\\" in name for name in files):
        raise Invalid("The package holds a file name that leaves its folder.")
    # A line break in a name would let one manifest stand for two different sets of files.
    if any(c < " " or c == "\x7f" for name in files for c in name):
        raise Invalid("The package holds a file name with a control character.")
    if write_zip(files) != data:
        raise Invalid("The package is not in canonical form: a byte outside its files was changed.")
    return files


def make_bag(data_files: Mapping[str, bytes], info: Mapping[str, str]) -> dict[str, bytes]:
    """The bag's files without `proof.json`; names in `data_files` are relative to `data/`."""
    payload = {f"data/{name}": content for name, content in data_files.items()}
    octets = sum(len(content) for content in payload.values())
    tags = {
        "bagit.txt": BAG_DECLARATION,
        "bag-info.txt": "".join(
            f"{key}: {value}\n"
            for key, value in {**info, "Payload-Oxum": f"{octets}.{len(payload)}"}.items()
        ).encode(),
        "manifest-sha256.txt": _manifest(payload),
    }
    return {**payload, **tags, "tagmanifest-sha256.txt": _manifest(tags)}


def check_bag(files: Mapping[str, bytes]) -> str:
    """The digest of the tag manifest of a bag whose manifests are complete and right.

    Raises ProofFailed naming the first file that is missing, surplus or changed.
    """
    payload = {name: content for name, content in files.items() if name.startswith("data/")}
    tags = {
        name: files.get(name, b"") for name in ("bagit.txt", "bag-info.txt", "manifest-sha256.txt")
    }
    expected = {*payload, *tags, "tagmanifest-sha256.txt", PROOF_NAME}
    for name in sorted(set(files) ^ expected):
        raise ProofFailed(
            "The package lacks or should not have the file {name}.", step="manifest", name=name
        )
    if files["bagit.txt"] != BAG_DECLARATION:
        raise ProofFailed(
            "bagit.txt does not declare BagIt 1.0.", step="manifest", name="bagit.txt"
        )
    for manifest, covered in (("manifest-sha256.txt", payload), ("tagmanifest-sha256.txt", tags)):
        if files[manifest] != _manifest(covered):
            raise ProofFailed(
                "{manifest} does not fit the file {name}.",
                step="manifest",
                manifest=manifest,
                name=_first_difference(files[manifest], _manifest(covered)),
            )
    return digest_text(files["tagmanifest-sha256.txt"])


def _manifest(files: Mapping[str, bytes]) -> bytes:
    return "".join(
        f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)
    ).encode()


def _first_difference(given: bytes, due: bytes) -> str:
    given_lines = set(given.decode("utf-8", "replace").splitlines())
    for line in due.decode().splitlines():
        if line not in given_lines:
            return line[66:]
    return "of a line too many"
