"""The submission receipt: what an applicant holds before the log is sealed, and who can forge it."""

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Invalid, LedgerError
from ledger.proof import ProofFailed, chain_node, receipt
from ledger.proof import checkpoint as notes
from ledger.proof import credential as credentials
from ledger.proof.chain_node import Node
from ledger.proof.encoding import INT_MAX, canonical, instant, parse
from ledger.proof.report import Report
from ledger.proof.trust import parse_trust
from tests.proof import golden
from tests.proof.test_encoding import values
from tests.proof.test_verify import run, verdict
from tests.proof.world import (
    CONTRACTS,
    GENESIS,
    ISSUED,
    NOW,
    ORIGIN,
    Chain,
    Registry,
    World,
    check,
    private_key,
    public_of,
    selector,
)

VALID, NOT_VALID, CANNOT_TELL = 0, 1, 2
REGISTRY = Registry()
TRUST = canonical(REGISTRY.trust())
RECORDS: list[dict[str, Any]] = [
    {
        "at": instant(ISSUED),
        "digest": "sha256:" + f"{leaf:02x}" * 32,
        "kind": kind,
        "leaf_index": leaf,
    }
    for leaf, kind in ((4, "application.submitted"), (6, "resource.listed"))
]
RECEIPT = receipt.make(ORIGIN, RECORDS, REGISTRY.credential_key, ISSUED)
HANDED = canonical(RECEIPT)


def signed(key: str = "registry credential", **changes: Any) -> dict[str, Any]:
    """A receipt with other values, signed over them all the same; None takes a field out."""
    private = private_key(key)
    document = {k: v for k, v in RECEIPT.items() if k != "proof"}
    document |= {"issuer": credentials.did_key(public_of(private)), **changes}
    document = {k: v for k, v in document.items() if v is not None}
    return credentials.sign(document, private, ISSUED)


def sentences(report: Report) -> dict[str, str]:
    return {step.name: step.sentence() for step in report.steps}


# Valid


def test_an_applicant_is_promised_the_places_of_his_records() -> None:
    report = check(HANDED, TRUST)
    assert (report.kind, report.exit_code) == ("receipt", VALID)
    assert sentences(report) == {
        "form": "The receipt is in its one canonical form.",
        "signature": f"The receipt is signed by the registry's key {REGISTRY.did}.",
        "promise": "2 records promised at leaf 4 to 6; issued 2026-08-03T09:30:00Z. This is a promise, "
        "not yet a proof of inclusion.",
    }


def test_a_receipt_says_what_was_recorded_and_is_no_credential_of_the_w3c() -> None:
    assert set(RECEIPT) == receipt.RECEIPT_KEYS
    assert RECEIPT["records"] == RECORDS
    assert "@context" not in RECEIPT["proof"]
    assert signed() == RECEIPT


def test_the_same_records_at_the_same_time_give_the_same_bytes() -> None:
    microseconds = ISSUED + timedelta(microseconds=5)
    again = receipt.make(ORIGIN, iter(RECORDS), REGISTRY.credential_key, microseconds)
    assert canonical(again) == HANDED


def test_a_receipt_needs_no_status_list_and_looks_at_none() -> None:
    assert check(HANDED, TRUST, status=b"no list").exit_code == VALID


def test_without_trust_nothing_can_be_told() -> None:
    assert verdict(check(HANDED, None)) == (CANNOT_TELL, {"trust": CANNOT_TELL})


# The node


@pytest.fixture
def anchor(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The chain also answers `latest`; a test may set what."""
    words = {"latest": bytes(64)}
    honest, latest = chain.call, selector("CheckpointAnchor", "latest")

    def call(address: str, data: bytes) -> bytes:
        asked = (address, data.hex()) == (CONTRACTS["CheckpointAnchor"], latest)
        return words["latest"] if asked else honest(address, data)

    monkeypatch.setattr(chain, "call", call)
    return words


def test_the_selector_is_that_of_the_committed_artifact() -> None:
    assert selector("CheckpointAnchor", "latest") == chain_node.LATEST


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (0, "which does not yet cover leaf 6"),
        (6, "which does not yet cover leaf 6"),
        (7, "beyond leaf 6: ask for the record's bundle"),
        (2**63, "beyond leaf 6: ask for the record's bundle"),
    ],
)
def test_a_node_tells_whether_the_log_was_anchored_beyond_the_promise(
    node: Node, anchor: dict[str, bytes], size: int, says: str
) -> None:
    anchor["latest"] = size.to_bytes(32) + b"\x11" * 32
    report = check(HANDED, TRUST, node=node)
    assert verdict(report) == (VALID, {})
    found = sentences(report)
    assert f"at size {size}, {says}" in found["anchored"]
    assert ("does not prove inclusion" in found["anchored"]) == (size > 6)


@pytest.mark.parametrize("answer", [b"", b"\x00" * 32, b"\x00" * 63, b"\x00" * 96])
def test_a_node_that_answers_nonsense_tells_nothing(
    node: Node, anchor: dict[str, bytes], answer: bytes
) -> None:
    anchor["latest"] = answer
    report = check(HANDED, TRUST, node=node)
    assert verdict(report) == (CANNOT_TELL, {"anchored": CANNOT_TELL})


def test_a_node_that_fails_tells_nothing_and_one_of_another_chain_is_not_valid(
    node: Node, chain: Chain
) -> None:
    chain.refuses.add("eth_call")
    report = check(HANDED, TRUST, node=node)
    assert verdict(report) == (CANNOT_TELL, {"anchored": CANNOT_TELL})
    chain.refuses.add("eth_chainId")
    report = check(HANDED, TRUST, node=node)
    assert verdict(report) == (CANNOT_TELL, {"chain": CANNOT_TELL})
    chain.refuses.clear()
    chain.genesis = GENESIS.replace("ab", "cd")
    report = check(HANDED, TRUST, node=node)
    assert verdict(report) == (NOT_VALID, {"chain": NOT_VALID})


def test_a_forged_receipt_is_not_valid_online_either(node: Node, anchor: dict[str, bytes]) -> None:
    anchor["latest"] = b"\x00" * 31 + b"\x09" + b"\x11" * 32
    report = check(canonical(signed("attacker credential")), TRUST, node=node)
    assert verdict(report) == (NOT_VALID, {"trust": NOT_VALID})


# Another's promise


def test_a_receipt_of_another_key_is_not_valid() -> None:
    forged = canonical(signed("attacker credential"))
    assert verdict(check(forged, TRUST)) == (NOT_VALID, {"trust": NOT_VALID})
    assert check(forged, canonical(Registry("attacker").trust())).exit_code == VALID


def in_the_name_of(issuer: str, key: str) -> bytes:
    """A receipt whose signature holds, by another key than that of the issuer it names."""
    proof = signed(key)["proof"]
    unsigned = {**{k: v for k, v in RECEIPT.items() if k != "proof"}, "issuer": issuer}
    options = {k: v for k, v in proof.items() if k != "proofValue"}
    value = private_key(key).sign(credentials._signed_bytes(options, unsigned))
    forged = {
        **unsigned,
        "proof": {**options, "proofValue": "z" + credentials.base58_encode(value)},
    }
    assert credentials.verify_proof(forged) != issuer
    return canonical(forged)


def test_a_receipt_in_anothers_name_is_not_valid() -> None:
    stranger = Registry("attacker").did
    for forged in (
        in_the_name_of(REGISTRY.did, "attacker credential"),
        in_the_name_of(stranger, "registry credential"),
    ):
        assert verdict(check(forged, TRUST)) == (NOT_VALID, {"trust": NOT_VALID})
    assert check(canonical({**RECEIPT, "issuer": stranger}), TRUST).exit_code == NOT_VALID


def test_a_receipt_of_another_log_is_not_valid() -> None:
    other = canonical(signed(log="other.example/log"))
    report = check(other, TRUST)
    assert verdict(report) == (NOT_VALID, {"trust": NOT_VALID})
    assert "other.example/log" in sentences(report)["trust"]


def test_under_another_trust_file_a_receipt_is_not_valid() -> None:
    stranger = canonical(Registry("stranger").trust())
    no_key = canonical(REGISTRY.trust(credential_keys=[]))
    vkey = notes.verifier_key("other.example/log", public_of(REGISTRY.log_key)).spelled()
    other = canonical(REGISTRY.trust(log={
        "keys": [{"from_size": 0, "until_size": None, "vkey": vkey}],
        "origin": "other.example/log",
    }))  # fmt: skip
    for trust in (stranger, no_key, other):
        assert verdict(check(HANDED, trust)) == (NOT_VALID, {"trust": NOT_VALID})


def test_the_key_of_the_log_cannot_give_receipts() -> None:
    report = check(canonical(signed("registry log")), TRUST)
    assert verdict(report) == (NOT_VALID, {"trust": NOT_VALID})


@pytest.mark.parametrize(
    ("since", "until", "due"),
    [
        (ISSUED, None, VALID),
        (ISSUED, ISSUED, VALID),
        (ISSUED - timedelta(days=9), ISSUED + timedelta(days=1), VALID),
        (ISSUED + timedelta(seconds=1), None, NOT_VALID),
        (ISSUED - timedelta(days=9), ISSUED - timedelta(seconds=1), NOT_VALID),
    ],
)
def test_a_key_gives_receipts_only_in_its_own_time(
    since: datetime, until: datetime | None, due: int
) -> None:
    end = None if until is None else instant(until)
    key = {"did": REGISTRY.did, "valid_from": instant(since), "valid_until": end}
    assert check(HANDED, canonical(REGISTRY.trust(credential_keys=[key]))).exit_code == due


# Form: what is signed by the registry's own key and yet no receipt


def record(**changes: Any) -> list[dict[str, Any]]:
    return [{**RECORDS[0], **changes}, RECORDS[1]]


@pytest.mark.parametrize(
    "changes",
    [
        {"v": True}, {"v": 2}, {"v": "1"}, {"v": None}, {"issued_at": None}, {"log": None},
        {"records": None}, {"records": []}, {"records": {}}, {"records": "ab"}, {"records": [None]},
        {"records": [[]]}, {"records": [{}]}, {"records": RECORDS[::-1]}, {"log": 1}, {"log": []},
        {"records": [RECORDS[0], RECORDS[0]]}, {"extra": 0}, {"@context": [credentials.CONTEXT]},
        {"issued_at": 1}, {"issued_at": "2026-08-03T09:30:00.0Z"},
        {"issued_at": "2026-08-03T09:30:01Z"}, {"issued_at": "2026-08-03 09:30:00Z"},
        {"records": record(leaf_index=True)}, {"records": record(leaf_index=False)},
        {"records": record(leaf_index=-1)}, {"records": record(leaf_index="4")},
        {"records": record(leaf_index=None)}, {"records": record(leaf_index=6)},
        {"records": record(leaf_index=INT_MAX)}, {"records": record(at=None)},
        {"records": record(at="2026-08-03")}, {"records": record(kind=None)},
        {"records": record(kind=1)}, {"records": record(digest="ab" * 32)},
        {"records": record(digest="sha256:" + "AB" * 32)}, {"records": record(digest=None)},
        {"records": record(digest="sha256:" + "ab" * 31)}, {"records": record(more=None)},
        {"records": [{k: v for k, v in RECORDS[0].items() if k != "kind"}]},
    ],
    ids=lambda changes: str(changes)[:60],
)  # fmt: skip
def test_a_receipt_of_another_form_is_not_valid(changes: dict[str, Any]) -> None:
    document = signed(**changes)
    report = check(canonical(document), TRUST)
    assert verdict(report) == (NOT_VALID, {"form": NOT_VALID})
    assert report.kind == "receipt"
    with pytest.raises(Invalid):
        receipt.check(document, parse_trust(TRUST))


@pytest.mark.parametrize(
    "records", [[], RECORDS[::-1], record(at=ISSUED), record(leaf_index=2**53), record(more=1)]
)
def test_what_would_be_refused_is_not_handed_out(records: list[dict[str, Any]]) -> None:
    with pytest.raises(Invalid):
        receipt.make(ORIGIN, records, REGISTRY.credential_key, ISSUED)


@pytest.mark.parametrize(
    "proof",
    [
        None, [], {}, {**RECEIPT["proof"], "nonce": "a"}, {**RECEIPT["proof"], "@context": None},
        {k: v for k, v in RECEIPT["proof"].items() if k != "created"},
        {**RECEIPT["proof"], "created": instant(NOW)},
    ],
)  # fmt: skip
def test_a_proof_of_another_form_is_not_valid(proof: Any) -> None:
    report = check(canonical({**RECEIPT, "proof": proof}), TRUST)
    assert verdict(report) == (NOT_VALID, {"form": NOT_VALID})


@pytest.mark.parametrize("thing", [None, 1, "a", [], {}, {"type": receipt.RECEIPT_TYPE}])
def test_what_is_no_receipt_is_refused(thing: Any) -> None:
    with pytest.raises(Invalid):
        receipt.check(thing, parse_trust(TRUST))


def test_a_receipt_that_is_another_document_as_well_is_not_valid() -> None:
    """Its type alone decides what it is checked as."""
    world = World()
    for other in (world.document, world.credential):
        both = canonical({**other, "type": receipt.RECEIPT_TYPE})
        assert verdict(check(both, world.trust_file)) == (NOT_VALID, {"form": NOT_VALID})


@pytest.mark.parametrize("index", ["9007199254740992", "1" * 5000, "4.0", "4e0", "04", "-0"])
def test_a_number_beyond_the_subset_is_not_valid(index: str) -> None:
    data = HANDED.replace(b'"leaf_index":4', b'"leaf_index":' + index.encode())
    assert data != HANDED
    assert verdict(check(data, TRUST)) == (NOT_VALID, {"form": NOT_VALID})


def test_a_receipt_that_is_not_canonical_is_not_valid() -> None:
    pretty = json.dumps(RECEIPT, indent=1).encode()
    for data in (HANDED + b"\n", b" " + HANDED, HANDED[:-1], HANDED + HANDED, pretty):
        assert verdict(check(data, TRUST)) == (NOT_VALID, {"form": NOT_VALID})


# Corruption


def test_every_changed_byte_is_refused() -> None:
    """Each place with each of a few others: the next one, the same with a bit flipped, a digit, a space."""
    chance = random.Random(7)
    for place, byte in enumerate(HANDED):
        others = {(byte + 1) % 256, byte ^ 1 << chance.randrange(8), ord("0"), ord("1"), ord(" ")}
        for other in others - {byte}:
            changed = HANDED[:place] + bytes([other]) + HANDED[place + 1 :]
            assert check(changed, TRUST).exit_code == NOT_VALID, (place, other)


@settings(max_examples=300)
@given(st.integers(0, len(HANDED) - 1), st.characters(codec="utf-8"))
def test_no_character_can_be_replaced_by_any_other(place: int, other: str) -> None:
    text = HANDED.decode()
    if text[place] != other:
        changed = text[:place] + other + text[place + 1 :]
        assert check(changed.encode(), TRUST).exit_code == NOT_VALID


@given(st.sampled_from(sorted(receipt.RECEIPT_KEYS)), values)
def test_no_field_can_be_replaced_under_the_old_signature(name: str, value: Any) -> None:
    changed = canonical({**RECEIPT, name: value})
    if changed != HANDED:
        assert check(changed, TRUST).exit_code == NOT_VALID


def test_a_wrong_signature_is_named_as_such() -> None:
    changed = canonical({**RECEIPT, "log": "shuzheng.local/other"})
    assert verdict(check(changed, TRUST)) == (NOT_VALID, {"signature": NOT_VALID})
    with pytest.raises(ProofFailed, match="document's signature"):
        receipt.check(parse(changed), parse_trust(TRUST))


@given(
    st.lists(st.integers(0, INT_MAX), min_size=1, max_size=9, unique=True).map(sorted),
    st.text(max_size=9),
)
def test_whatever_places_are_promised_the_receipt_is_read_back(
    places: list[int], kind: str
) -> None:
    records = [{**RECORDS[0], "kind": kind, "leaf_index": place} for place in places]
    try:
        handed = canonical(receipt.make(ORIGIN, records, REGISTRY.credential_key, ISSUED))
    except LedgerError:  # half a character
        assert any("\ud800" <= c <= "\udfff" for c in kind)
        return
    report = check(handed, TRUST)
    assert report.exit_code == VALID
    count, first, last = len(places), places[0], places[-1]
    assert f"{count} records promised at leaf {first} to {last};" in sentences(report)["promise"]


# The frozen receipt, and the command line as a stranger runs it


def frozen(name: str) -> bytes:
    return (golden.FOLDER / name).read_bytes()


def test_the_frozen_receipt_is_valid_and_names_the_entry_of_the_frozen_bundle() -> None:
    report = check(frozen("receipt.json"), frozen("trust.json"), now=golden.NOW)
    assert (report.kind, verdict(report)) == ("receipt", (VALID, {}))
    bundle = parse(frozen("bundle.json"))
    entry = {k: v for k, v in bundle["entry"].items() if k != "v"}
    promised = parse(frozen("receipt.json"))["records"]
    assert {**entry, "leaf_index": bundle["leaf_index"]} in promised


def test_the_command_line_needs_a_trust_file_and_no_node(tmp_path: Path) -> None:
    """A promise is as good offline; so nobody needs to say --offline."""
    (tmp_path / "receipt.json").write_bytes(HANDED)
    (tmp_path / "torn.json").write_bytes(HANDED[:-9])
    (tmp_path / "trust.json").write_bytes(TRUST)
    given = (tmp_path / "receipt.json", "--trust", tmp_path / "trust.json")
    for more in ((), ("--offline",)):
        done = run(*given, *more)
        assert (done.returncode, done.stderr) == (0, "")
        *_, promise, last = done.stdout.splitlines()
        assert promise.startswith("✓ promise")
        assert "not yet a proof of inclusion" in promise
        assert last == "→ valid"
    assert run(tmp_path / "receipt.json").returncode == 2
    assert run(tmp_path / "torn.json", *given[1:]).returncode == 1
    said = json.loads(run(*given, "--json").stdout)
    assert (said["exit_code"], said["kind"]) == (0, "receipt")


def test_the_command_line_asks_the_node_that_is_named(
    tmp_path: Path, node: Node, anchor: dict[str, bytes]
) -> None:
    anchor["latest"] = (9).to_bytes(32) + b"\x11" * 32
    (tmp_path / "receipt.json").write_bytes(HANDED)
    (tmp_path / "trust.json").write_bytes(TRUST)
    done = run(
        tmp_path / "receipt.json", "--trust", tmp_path / "trust.json", "--rpc", node.url
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "anchored at size 9" in done.stdout
