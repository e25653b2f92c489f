"""Keys: what signs here, and how it lies encrypted on disk.

The service keys of a home (log, credential: Ed25519; anchor, registrar, maker: secp256k1) are sealed
with AES-256-GCM under keys derived by HKDF from one scrypt secret, so that one passphrase opens all
of them at once. Keys that belong on other machines (admin, checker, a licensee's) are ordinary
Ethereum keystores, each with its own passphrase.
"""

import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import get_ident
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from eth_abi.exceptions import EncodingError
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_keys.exceptions import BadSignature
from eth_utils.address import is_address, is_checksum_address, to_checksum_address

from ledger.errors import Conflict, Invalid, Missing, NotAuthenticated

NOTE_ROLES = ("log", "credential")
CHAIN_ROLES = ("anchor", "registrar", "maker")
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**15, 8, 1
PASSPHRASE_CHARS_MIN = 12
CHECK = b"shuzheng keyring"
SIGNATURE = re.compile("0x[0-9a-f]{128}(1b|1c)")
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of secp256k1


class Keyring:
    """The service keys of a home, opened with its passphrase."""

    def __init__(self, folder: Path, secret: bytes) -> None:
        self._folder, self._secret = folder, secret

    def signer(self, role: str) -> Ed25519PrivateKey:
        """The Ed25519 key of `log` or `credential`."""
        return Ed25519PrivateKey.from_private_bytes(self._open(role))

    def account(self, role: str) -> bytes:
        """The secp256k1 private key of `anchor`, `registrar` or `maker`."""
        return self._open(role)

    def _open(self, role: str) -> bytes:
        sealed = _read_json(self._folder / f"{role}.json")
        return _unseal(self._secret, role, sealed)


def create_keyring(folder: Path, passphrase: str) -> Keyring:
    """Make the home's service keys where they are missing; existing ones stay as they are."""
    if len(passphrase) < PASSPHRASE_CHARS_MIN:
        raise Invalid(
            "The passphrase has fewer than {least} characters.", least=PASSPHRASE_CHARS_MIN
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ring = folder / "keyring.json"
    if not ring.exists():
        salt = secrets.token_bytes(16)
        secret = _derive(passphrase, salt)
        write_durably(
            ring,
            {
                "check": _seal(secret, "keyring", CHECK),
                "kdf": {"n": SCRYPT_N, "name": "scrypt", "p": SCRYPT_P, "r": SCRYPT_R},
                "salt": salt.hex(),
            },
        )
    keyring = open_keyring(folder, passphrase)
    for role in (*NOTE_ROLES, *CHAIN_ROLES):
        path = folder / f"{role}.json"
        if path.exists():
            continue
        if role in NOTE_ROLES:
            private = secrets.token_bytes(32)
            public = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
            name = public.hex()
        else:
            account = Account.create()
            private, name = bytes(account.key), account.address
        sealed = _seal(keyring._secret, role, private)
        write_durably(path, {**sealed, "public": name, "role": role})
    return keyring


def open_keyring(folder: Path, passphrase: str) -> Keyring:
    """The home's keys; a wrong passphrase raises NotAuthenticated and changes nothing."""
    ring = _read_json(folder / "keyring.json")
    try:
        salt, check = bytes.fromhex(ring["salt"]), ring["check"]
    except (KeyError, TypeError, ValueError):
        raise Conflict("The key file of {role} is damaged.", role="keyring") from None
    secret = _derive(passphrase, salt)
    _unseal(secret, "keyring", check)
    return Keyring(folder, secret)


def public_key(folder: Path, role: str) -> str:
    """The public half of a service key, readable without passphrase: hex (Ed25519) or an address."""
    return str(_read_json(folder / f"{role}.json")["public"])


def create_keystore(path: Path, passphrase: str) -> str:
    """Make an Ethereum keystore for another machine; returns its address.

    An existing file is never overwritten: opened with the same passphrase it is the answer again.
    """
    if path.exists():
        return str(Account.from_key(open_keystore(path, passphrase)).address)
    if len(passphrase) < PASSPHRASE_CHARS_MIN:
        raise Invalid(
            "The passphrase has fewer than {least} characters.", least=PASSPHRASE_CHARS_MIN
        )
    account = Account.create()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(path, Account.encrypt(account.key, passphrase))
    return str(account.address)


def open_keystore(path: Path, passphrase: str) -> bytes:
    """The private key of an Ethereum keystore; a wrong passphrase raises NotAuthenticated."""
    sealed = _read_json(path)
    try:
        return bytes(Account.decrypt(sealed, passphrase))
    except (ValueError, KeyError, TypeError) as error:
        if "MAC mismatch" in str(error):
            raise NotAuthenticated("The passphrase does not open {path}.", path=str(path)) from None
        raise Invalid("{path} is no Ethereum keystore.", path=str(path)) from None


def keystore_address(path: Path) -> str:
    """The address a keystore says it has, in checksum spelling; readable without passphrase."""
    address = str(_read_json(path).get("address", ""))
    if not is_address("0x" + address.removeprefix("0x")):
        raise Invalid("{path} is no Ethereum keystore.", path=str(path))
    return str(to_checksum_address("0x" + address.removeprefix("0x")))


def is_address_spelled(text: Any) -> bool:
    """Whether a text is an address in checksum spelling (EIP-55), other than the zero address."""
    return bool(is_checksum_address(text)) and int(text, 16) != 0


def check_address(text: Any) -> str:
    """The address in checksum spelling, never the zero address; anything else raises Invalid."""
    if not is_address_spelled(text):
        raise Invalid("{address} is not an address in checksum spelling.", address=text)
    return str(text)


def address_of(private_key: bytes) -> str:
    """The address of a private key, in checksum spelling."""
    return str(Account.from_key(private_key).address)


def sign_typed(typed_data: dict[str, Any], private_key: bytes) -> str:
    """The signature over EIP-712 typed data, as 0x and 130 hex digits."""
    signed = Account.sign_message(encode_typed_data(full_message=typed_data), private_key)
    return str(signed.signature.to_0x_hex())


def recover_typed(typed_data: dict[str, Any], signature: Any) -> str:
    """The address that signed the typed data; raises Invalid.

    Only the one form that the contracts accept counts as a signature: r ‖ s ‖ v in 0x and 130
    lower-case hex digits, s in the lower half, v 27 or 28.
    """
    faulty = Invalid("{signature} is not a signature.", signature=str(signature)[:140])
    if type(signature) is not str or not SIGNATURE.fullmatch(signature):
        raise faulty
    if int(signature[66:130], 16) > CURVE_ORDER // 2:
        raise faulty
    try:
        message = encode_typed_data(full_message=typed_data)
        return str(Account.recover_message(message, signature=signature))
    except (TypeError, ValueError, BadSignature, EncodingError):
        raise faulty from None


def write_durably(path: Path, content: Any) -> None:
    """Write JSON, bytes or pieces of them so that after a crash the file is whole or absent; mode 0600."""
    if isinstance(content, bytes):
        pieces: Iterable[bytes] = (content,)
    elif isinstance(content, Iterator):
        pieces = content
    else:
        pieces = (
            json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n",
        )
    part = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:  # it speaks of the part, or of nothing, as where a disk is full
        error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def _derive(passphrase: str, salt: bytes) -> bytes:
    kdf = Scrypt(salt=salt, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P)
    return kdf.derive(passphrase.encode())


def _role_key(secret: bytes, role: str) -> AESGCM:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"shuzheng/" + role.encode())
    return AESGCM(hkdf.derive(secret))


def _seal(secret: bytes, role: str, private: bytes) -> dict[str, str]:
    nonce = secrets.token_bytes(12)
    sealed = _role_key(secret, role).encrypt(nonce, private, role.encode())
    return {"nonce": nonce.hex(), "sealed": sealed.hex()}


def _unseal(secret: bytes, role: str, sealed: dict[str, str]) -> bytes:
    try:
        return _role_key(secret, role).decrypt(
            bytes.fromhex(sealed["nonce"]), bytes.fromhex(sealed["sealed"]), role.encode()
        )
    except InvalidTag:
        raise NotAuthenticated("The passphrase does not open this home's keys.") from None
    except (KeyError, TypeError, ValueError):
        raise Conflict("The key file of {role} is damaged.", role=role) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise Missing("There is no key file {path}.", path=str(path)) from None
    except ValueError:
        found = None
    if type(found) is not dict:
        raise Invalid("{path} is not a key file.", path=str(path))
    return found
