"""Credentials against W3C's vectors step by step, and what happens when one value changes."""

import base64
import copy
import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid, LedgerError
from ledger.proof import ProofFailed
from ledger.proof import credential as credentials
from ledger.proof.credential import (
    base58_decode,
    base58_encode,
    did_key,
    disclosure_digest,
    encode_status_list,
    status_at,
    status_word,
    verify_proof,
)
from ledger.proof.encoding import canonical, sha256
from tests.proof.world import DISCLOSURES, ISSUED, Registry, private_key, public_of

VECTORS = Path(__file__).parents[1] / "vectors" / "w3c-eddsa-jcs-2022"


def vector(name: str) -> str:
    return (VECTORS / name).read_text().strip()


SIGNED = json.loads(vector("signedJCS.json"))
UNSIGNED = json.loads(vector("unsigned.json"))
OPTIONS = json.loads(vector("proofConfigJCS.json"))


def test_w3c_canonical_form_of_the_document_and_of_the_proof_options() -> None:
    assert canonical(UNSIGNED).decode() == vector("canonDocJCS.txt")
    assert canonical(OPTIONS).decode() == vector("proofCanonJCS.txt")


def test_w3c_hashes() -> None:
    assert sha256(canonical(UNSIGNED)).hex() == vector("docHashJCS.txt")
    assert sha256(canonical(OPTIONS)).hex() == vector("proofHashJCS.txt")
    assert credentials._signed_bytes(OPTIONS, UNSIGNED).hex() == vector("combinedHashJCS.txt")


def test_w3c_signature_and_its_base58() -> None:
    signature = bytes.fromhex(vector("sigHexJCS.txt"))
    assert "z" + base58_encode(signature) == vector("sigBTC58JCS.txt")
    assert base58_decode(vector("sigBTC58JCS.txt")[1:]) == signature
    did = OPTIONS["verificationMethod"].split("#")[0]
    key = Ed25519PublicKey.from_public_bytes(credentials.public_of(did))
    key.verify(signature, bytes.fromhex(vector("combinedHashJCS.txt")))


def test_w3c_signed_credential_is_verified_and_names_its_key() -> None:
    assert verify_proof(SIGNED) == OPTIONS["verificationMethod"].split("#")[0]
    assert {k: v for k, v in SIGNED.items() if k != "proof"} == UNSIGNED


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value that is neither list nor object, with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for key, item in enumerate(value):
            yield from leaves(item, (*path, key))
    else:
        yield path, value


def with_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


def without(document: Any, path: tuple[Any, ...]) -> Any:
    changed = copy.deepcopy(document)
    place = changed
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return changed


def one_off(value: Any) -> Any:
    """The value with one byte of its spelling changed."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    last = value[-1:]
    return value[:-1] + ("a" if last != "a" else "b")


@pytest.fixture(scope="module")
def voucher() -> dict[str, Any]:
    return Registry().voucher()


def test_what_we_sign_is_verified_under_our_key(voucher: dict[str, Any]) -> None:
    assert verify_proof(voucher) == Registry().did == voucher["issuer"]


@pytest.mark.parametrize("which", ["ours", "w3c"])
def test_no_value_of_a_credential_can_change_by_one_byte(
    which: str, voucher: dict[str, Any]
) -> None:
    credential = voucher if which == "ours" else SIGNED
    found = list(leaves(credential))
    assert len(found) > 15
    for path, value in found:
        with pytest.raises(LedgerError):
            verify_proof(with_value(credential, path, one_off(value)))


def test_nothing_can_be_added_to_or_taken_from_a_credential(voucher: dict[str, Any]) -> None:
    for path in [(), ("proof",), ("credentialSubject",), ("credentialStatus",)]:
        place = voucher
        for key in path:
            place = place[key]
        with pytest.raises(LedgerError):
            verify_proof(with_value(voucher, (*path, "extra"), None))
        for key in place:
            with pytest.raises(LedgerError):
                verify_proof(without(voucher, (*path, key)))


def test_every_bit_of_a_signature_counts(voucher: dict[str, Any]) -> None:
    signature = base58_decode(voucher["proof"]["proofValue"][1:])
    for bit in range(512):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        value = "z" + base58_encode(bytes(changed))
        with pytest.raises(ProofFailed):
            verify_proof(with_value(voucher, ("proof", "proofValue"), value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("proof", "type"), "Ed25519Signature2020"),
        (("proof", "cryptosuite"), "eddsa-rdfc-2022"),
        (("proof", "proofPurpose"), "authentication"),
        (("proof", "proofValue"), None),
        (("proof", "proofValue"), ""),
        (("proof", "proofValue"), "z"),
        (("proof", "proofValue"), "z0OIl"),
        (("proof", "proofValue"), "u" + "A" * 86),
        (("proof", "proofValue"), "z" + "1" * 200),
        (("proof", "verificationMethod"), None),
        (("proof", "verificationMethod"), "did:key:z6Mk"),
        (("proof", "verificationMethod"), "did:web:registry.example#key-1"),
        (("proof", "verificationMethod"), ""),
        (("@context",), [credentials.CONTEXT, "https://other.example"]),
        (("@context",), credentials.CONTEXT),
        (("proof", "@context"), []),
        (("proof", "@context"), "https://www.w3.org/ns/credentials/v2"),
        (("proof", "@context"), ["https://other.example"]),
        (("proof",), []),
        (("proof",), None),
        (("proof",), "proof"),
        (("credentialSubject", "title"), 1.5),
        (("credentialSubject", "title"), "\ud800"),
    ],
)
def test_a_proof_of_another_form_is_refused(
    path: tuple[str, ...], value: Any, voucher: dict[str, Any]
) -> None:
    with pytest.raises(LedgerError):
        verify_proof(with_value(voucher, path, value))


@pytest.mark.parametrize("thing", [None, 1, "a", [], {}, {"proof": 1}, {"proof": {}}])
def test_what_is_no_credential_is_refused(thing: Any) -> None:
    with pytest.raises(Invalid):
        verify_proof(thing)


def test_a_proof_under_the_attackers_key_names_the_attacker(voucher: dict[str, Any]) -> None:
    """The signature holds, so whoever checks must compare the key with the one he trusts."""
    attacker = Registry("attacker")
    stolen = {k: v for k, v in voucher.items() if k != "proof"}
    forged = credentials.sign({**stolen, "issuer": attacker.did}, attacker.credential_key, ISSUED)
    assert verify_proof(forged) == attacker.did != Registry().did
    with pytest.raises(Invalid):
        credentials.sign(stolen, attacker.credential_key, ISSUED)


def test_a_signed_document_is_not_signed_again(voucher: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        credentials.sign(voucher, Registry().credential_key, ISSUED)


def test_the_digest_on_chain_covers_the_proof(voucher: dict[str, Any]) -> None:
    again = credentials.sign(
        {k: v for k, v in voucher.items() if k != "proof"},
        Registry().credential_key,
        ISSUED.replace(year=2027),
    )
    assert credentials.credential_digest(voucher) == sha256(canonical(voucher))
    assert credentials.credential_digest(again) != credentials.credential_digest(voucher)


@given(st.binary(max_size=70))
def test_base58_is_read_back_with_leading_noughts(data: bytes) -> None:
    assert base58_decode(base58_encode(data)) == data
    assert base58_decode("1" + base58_encode(data)) == b"\0" + data


@given(st.text("123ABCxyz", max_size=30))
def test_base58_has_one_spelling(text: str) -> None:
    assert base58_encode(base58_decode(text)) == text


@pytest.mark.parametrize("text", ["0", "O", "I", "l", "a b", "ü", "+", "a\n"])
def test_letters_outside_base58_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        base58_decode(text)


@given(st.binary(min_size=32, max_size=32))
def test_a_did_key_is_read_back(public: bytes) -> None:
    did = did_key(public)
    assert did.startswith("did:key:z6Mk")
    assert credentials.public_of(did) == public


OWN_DID = did_key(public_of(private_key("any")))


@pytest.mark.parametrize(
    "did",
    [
        None, 5, "", "did:key:", "did:key:z", OWN_DID[:-1], OWN_DID + "1", OWN_DID.replace("z", "u"),
        "did:web:registry.example", OWN_DID.upper(), " " + OWN_DID, OWN_DID + "#x",
        "did:key:z" + base58_encode(b"\xec\x01" + bytes(32)),  # an X25519 key
        "did:key:z" + base58_encode(b"\xed\x01" + bytes(33)),
        "did:key:z" + base58_encode(b"\xed\x01" + bytes(31)),
        "did:key:z1" + OWN_DID[9:],
        "did:key:z" + "2" * 10_000,
    ],
)  # fmt: skip
def test_what_is_no_did_key_of_ed25519_is_refused(did: Any) -> None:
    with pytest.raises(Invalid):
        credentials.public_of(did)


def listed(encoded: Any) -> dict[str, Any]:
    return {"credentialSubject": {"encodedList": encoded}}


@given(st.dictionaries(st.integers(0, 99_999), st.integers(0, 15), max_size=30))
def test_every_status_is_read_back_and_all_others_are_unlisted(statuses: dict[int, int]) -> None:
    packed = listed(encode_status_list(statuses, 100_000))
    for index, status in statuses.items():
        assert status_at(packed, index) == status
    for index in (set(range(40)) | {99_999, 100_000, 10**9, -1}) - set(statuses):
        assert status_at(packed, index) == 0


def test_the_first_entry_of_a_byte_is_the_left_nibble() -> None:
    """Bitstring Status List §3.2: the first index stands in the left-most bits."""
    encoded = encode_status_list({0: 1, 1: 2, 2: 3, 5: 0xA}, 6)
    assert encoded.startswith("u")
    content = gzip.decompress(base64.urlsafe_b64decode(encoded[1:] + "=" * (-len(encoded[1:]) % 4)))
    assert content[:4] == bytes([0x12, 0x30, 0x0A, 0x00])
    assert len(content) == credentials.STATUS_LIST_BYTES_MIN


def test_a_list_of_many_vouchers_grows_beyond_the_least_size() -> None:
    count = 2 * credentials.STATUS_LIST_BYTES_MIN + 1
    packed = listed(encode_status_list({count - 1: 7}, count))
    assert status_at(packed, count - 1) == 7


@pytest.mark.parametrize("statuses", [{0: 16}, {0: -1}, {-1: 1}, {6: 1}])
def test_an_entry_that_does_not_fit_the_list_is_refused(statuses: dict[int, int]) -> None:
    with pytest.raises(Invalid):
        encode_status_list(statuses, 6)


def multibase(data: bytes) -> str:
    return "u" + base64.urlsafe_b64encode(data).decode().rstrip("=")


GOOD = encode_status_list({0: 1}, 1)
PACKED = gzip.compress(bytes(16 * 1024), 9, mtime=0)


@pytest.mark.parametrize(
    "encoded",
    [
        None, 5, [], {}, "", "u", "z" + GOOD[1:], GOOD[1:], GOOD[:-6], GOOD + "AAAA", GOOD + "=",
        GOOD + "\n", GOOD[:9] + "!" + GOOD[9:], GOOD.replace("-", "+", 1) + "é", "u" + "é" * 4,
        multibase(PACKED + b"more"), multibase(PACKED + PACKED), multibase(PACKED[:-1]),
        multibase(b"x" + PACKED[1:]), multibase(PACKED[:-8] + bytes(8)), multibase(b"no gzip"),
    ],
)  # fmt: skip
def test_a_bitstring_that_cannot_be_read_strictly_is_refused(encoded: Any) -> None:
    with pytest.raises(Invalid):
        status_at(listed(encoded), 0)


def test_a_gzip_bomb_is_refused_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "STATUS_LIST_BYTES_MAX", 64 * 1024)
    bomb = multibase(gzip.compress(bytes(16 * 1024 * 1024), 9, mtime=0))
    assert len(bomb) < 30_000
    with pytest.raises(Invalid):
        status_at(listed(bomb), 0)
    whole = multibase(gzip.compress(bytes(64 * 1024), 9, mtime=0))
    assert status_at(listed(whole), 0) == 0


@pytest.mark.parametrize("thing", [None, [], {}, {"credentialSubject": None}, 5, "a"])
def test_what_is_no_status_list_is_refused(thing: Any) -> None:
    with pytest.raises(Invalid):
        status_at(thing, 0)


def test_status_words_stand_for_their_numbers_and_frozen_for_its_bit() -> None:
    words = ["unlisted", "valid", "suspended", "revoked", "cancelled", "superseded", "lapsed"]
    assert [status_word(n) for n in range(7)] == words
    assert {status_word(n) for n in range(8, 16)} == {"frozen"}
    with pytest.raises(Invalid):
        status_word(7)


def test_a_disclosure_fits_only_its_own_digest() -> None:
    disclosure = DISCLOSURES["holder_name"]
    due = disclosure_digest("holder_name", disclosure)
    assert (
        due
        == "sha256:"
        + sha256(canonical([disclosure["salt"], "holder_name", disclosure["value"]])).hex()
    )
    others = [
        ("holder_uscc", disclosure),
        ("holder_name", {**disclosure, "value": disclosure["value"] + "。"}),
        ("holder_name", {**disclosure, "salt": "0" * 32}),
    ]
    assert due not in {disclosure_digest(name, other) for name, other in others}


@pytest.mark.parametrize(
    "disclosure",
    [None, [], "a", {}, {"salt": "0" * 32}, {"value": "a"}, {"salt": "0" * 31, "value": "a"},
     {"salt": 5, "value": "a"}, {"salt": "0" * 32, "value": 1.5},
     {"salt": "0" * 32, "value": "a", "more": 1}],
)  # fmt: skip
def test_a_disclosure_of_another_form_is_refused(disclosure: Any) -> None:
    with pytest.raises(Invalid):
        disclosure_digest("holder_name", disclosure)


def test_withheld_fields_are_disclosed_with_their_salts() -> None:
    salts = {"holder_name": bytes(range(16))}
    (entry,) = credentials.withhold({"holder_name": "甲"}, salts).items()
    assert entry == ("holder_name", {"salt": bytes(range(16)).hex(), "value": "甲"})


def test_random_damage_to_a_credential_is_always_refused(voucher: dict[str, Any]) -> None:
    chance = random.Random(2022)
    spelled = canonical(voucher)
    for _ in range(400):
        data = bytearray(spelled)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        try:
            changed = json.loads(data)
        except ValueError:
            continue
        with pytest.raises(LedgerError):
            verify_proof(changed)
