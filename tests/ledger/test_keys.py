"""Keys lie sealed on disk: the right passphrase opens them, any other opens and changes nothing."""

import errno
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from ledger.chain import keys
from ledger.errors import Conflict, Invalid, LedgerError, Missing, NotAuthenticated

PASSPHRASE = "correct horse battery"
ROLES = (*keys.NOTE_ROLES, *keys.CHAIN_ROLES)
KEY = b"\x0a" * 32


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home") / "keys"
    keys.create_keyring(path, PASSPHRASE)
    return path


@pytest.fixture
def own_folder(folder: Path, tmp_path: Path) -> Path:
    for name, data in everything(folder).items():
        (tmp_path / Path(name).name).write_bytes(data)
    return tmp_path


# ---------------------------------------------------------------- the keyring


def test_a_keyring_opened_again_gives_the_same_keys(folder: Path) -> None:
    ring = keys.open_keyring(folder, PASSPHRASE)
    for role in keys.NOTE_ROLES:
        public = ring.signer(role).public_key().public_bytes_raw().hex()
        assert public == keys.public_key(folder, role)
    for role in keys.CHAIN_ROLES:
        assert keys.address_of(ring.account(role)) == keys.public_key(folder, role)
    assert len({keys.public_key(folder, role) for role in ROLES}) == len(ROLES)


def test_making_a_keyring_again_makes_only_what_is_missing(own_folder: Path) -> None:
    before = everything(own_folder)
    keys.create_keyring(own_folder, PASSPHRASE)
    assert everything(own_folder) == before
    (own_folder / "maker.json").unlink()
    keys.create_keyring(own_folder, PASSPHRASE)
    after = everything(own_folder)
    assert {name for name in before if before[name] != after[name]} == {
        str(own_folder / "maker.json")
    }


@pytest.mark.parametrize("wrong", ["", "Correct horse battery", PASSPHRASE + " ", "x" * 40])
def test_a_wrong_passphrase_opens_nothing_and_changes_nothing(folder: Path, wrong: str) -> None:
    before = everything(folder)
    with pytest.raises(NotAuthenticated):
        keys.open_keyring(folder, wrong)
    with pytest.raises((NotAuthenticated, Invalid)):
        keys.create_keyring(folder, wrong)
    assert everything(folder) == before


def test_a_short_passphrase_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"fewer than 12"):
        keys.create_keyring(tmp_path / "keys", "elevenchars")
    with pytest.raises(Invalid, match=r"fewer than 12"):
        keys.create_keystore(tmp_path / "offline" / "admin.json", "elevenchars")
    assert list(tmp_path.iterdir()) == []


def test_files_are_for_their_owner_only_and_hold_no_key_in_clear(folder: Path) -> None:
    ring = keys.open_keyring(folder, PASSPHRASE)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} == {f"{r}.json" for r in (*ROLES, "keyring")}
    content = b"".join(everything(folder).values())
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for role in ROLES:
        assert ring._open(role).hex().encode() not in content


@pytest.mark.parametrize(
    ("damage", "refusal"),
    [
        (lambda file: {**file, "sealed": "zz"}, Conflict),
        (lambda file: {k: v for k, v in file.items() if k != "nonce"}, Conflict),
        (lambda file: {**file, "nonce": ""}, Conflict),
        (lambda file: {**file, "sealed": file["sealed"][:-2]}, LedgerError),
        (lambda file: {**file, "sealed": "00" * 48}, LedgerError),
        (lambda file: {**file, "nonce": "00" * 12}, LedgerError),
        (lambda file: {**file, "sealed": 5}, Conflict),
        (lambda file: [], Invalid),
        (lambda file: None, Invalid),
    ],
)
def test_a_damaged_key_file_is_told(
    own_folder: Path, damage: Any, refusal: type[LedgerError]
) -> None:
    path = own_folder / "anchor.json"
    path.write_text(json.dumps(damage(json.loads(path.read_bytes()))))
    ring = keys.open_keyring(own_folder, PASSPHRASE)
    with pytest.raises(refusal):
        ring.account("anchor")
    assert keys.address_of(ring.account("maker"))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"{}", b"[]", b'{"salt": "zz"}'])
def test_a_damaged_keyring_is_told(own_folder: Path, content: bytes) -> None:
    (own_folder / "keyring.json").write_bytes(content)
    with pytest.raises(LedgerError):
        keys.open_keyring(own_folder, PASSPHRASE)


def test_key_files_cannot_be_swapped(own_folder: Path) -> None:
    """Each is sealed under its role: the anchor's key does not pass as the registrar's."""
    (own_folder / "registrar.json").write_bytes((own_folder / "anchor.json").read_bytes())
    with pytest.raises(LedgerError):
        keys.open_keyring(own_folder, PASSPHRASE).account("registrar")


def test_a_missing_key_file_is_named(own_folder: Path) -> None:
    (own_folder / "log.json").unlink()
    with pytest.raises(Missing, match=r"log\.json"):
        keys.open_keyring(own_folder, PASSPHRASE).signer("log")
    with pytest.raises(Missing):
        keys.open_keyring(own_folder / "nowhere", PASSPHRASE)


# ---------------------------------------------------------------- keystores for other machines


def test_a_keystore_is_made_once_opened_and_asked_for_its_address(tmp_path: Path) -> None:
    path = tmp_path / "offline" / "checker.json"
    address = keys.create_keystore(path, PASSPHRASE)
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.keystore_address(path) == address
    with pytest.raises(NotAuthenticated):
        keys.create_keystore(path, PASSPHRASE + "x")
    assert keys.create_keystore(path, PASSPHRASE) == address
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"{}", b"{", b"[]", b'{"address": "0x12"}', b"null", b"5"])
def test_what_is_no_keystore_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(Invalid):
        keys.open_keystore(path, PASSPHRASE)
    with pytest.raises(Invalid):
        keys.keystore_address(path)
    with pytest.raises(Missing):
        keys.open_keystore(tmp_path / "none.json", PASSPHRASE)


# ---------------------------------------------------------------- writing, addresses, signatures


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    keys.write_durably(path, {"b": 1})

    def broken(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match=r"disk full"):
        keys.write_durably(path, {"b": 2})
    assert everything(tmp_path) == {str(path): b'{\n "b": 1\n}\n'}


@pytest.mark.parametrize(
    "text", [None, 5, "", "0x", "0x12", "0x" + "00" * 20, "0x" + "ab" * 20, b"x" * 20, "carl"]
)
def test_what_is_no_address_in_its_one_spelling_is_refused(text: Any) -> None:
    assert not keys.is_address_spelled(text)
    with pytest.raises(Invalid):
        keys.check_address(text)


def test_an_address_in_checksum_spelling_is_itself() -> None:
    address = keys.address_of(KEY)
    assert keys.check_address(address) == address
    with pytest.raises(Invalid):
        keys.check_address(address.swapcase().replace("0X", "0x"))


TYPED = {
    "domain": {"chainId": 1, "name": "x"},
    "message": {"a": 1},
    "primaryType": "A",
    "types": {
        "A": [{"name": "a", "type": "uint256"}],
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "chainId", "type": "uint256"},
        ],
    },
}


def test_a_signature_has_one_form_and_names_its_signer() -> None:
    signature = keys.sign_typed(TYPED, KEY)
    assert keys.SIGNATURE.fullmatch(signature)
    assert keys.recover_typed(TYPED, signature) == keys.address_of(KEY)
    assert keys.sign_typed(TYPED, KEY) == signature, "deterministic, RFC 6979"
    other = {**TYPED, "message": {"a": 2}}
    assert keys.recover_typed(other, signature) != keys.address_of(KEY)
    for wrong in (signature.upper(), signature[2:], signature + "00", bytes.fromhex(signature[2:])):
        with pytest.raises(Invalid):
            keys.recover_typed(TYPED, wrong)


def test_a_file_that_cannot_be_written_is_called_by_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "books.beancount"
    with pytest.raises(FileNotFoundError) as told:
        keys.write_durably(path, b"x")
    assert told.value.filename == str(path)
