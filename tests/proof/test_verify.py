"""What the exchange is told, situation by situation: 0 valid, 1 not valid, 2 cannot tell."""

import copy
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import Invalid
from ledger.proof import bundle as bundles
from ledger.proof import chain_node, merkle
from ledger.proof import checkpoint as notes
from ledger.proof import verify as verifier
from ledger.proof.chain_node import Node
from ledger.proof.cosignature import cosign, cosigner_key
from ledger.proof.credential import did_key
from ledger.proof.encoding import canonical, instant
from ledger.proof.report import Report, Step, print_report
from ledger.proof.trust import parse_trust
from tests.proof.world import (
    CONTRACTS,
    ISSUED,
    LAPSES,
    LISTED,
    NEXT_LIST,
    NOW,
    ROOT_OF,
    VERIFY,
    Chain,
    World,
    check,
    later,
    outcomes,
    private_key,
    public_of,
    serve,
    witness_keys,
)

VALID, NOT_VALID, CANNOT_TELL = 0, 1, 2
CONTRACT_SOURCES = Path(__file__).parents[2] / "contracts" / "src" / "interfaces"


def verdict(report: Report) -> tuple[int, dict[str, int]]:
    """The exit code and the steps that were not valid."""
    return report.exit_code, {k: v for k, v in outcomes(report).items() if v != VALID}


# Valid


@pytest.mark.parametrize("kind", ["bundle", "package"])
def test_an_honest_file_is_valid_offline_and_online(world: World, node: Node, kind: str) -> None:
    data = getattr(world, kind)
    offline = check(data, world.trust_file)
    online = check(data, world.trust_file, node=node)
    assert verdict(offline) == verdict(online) == (VALID, {})
    assert offline.kind == online.kind == kind
    assert {"anchor", "state"} <= set(outcomes(online))
    assert not {"anchor", "state"} & set(outcomes(offline))


def test_a_bare_voucher_is_valid_online_or_with_a_status_list(world: World, node: Node) -> None:
    assert verdict(check(world.voucher, world.trust_file, node=node)) == (VALID, {})
    assert verdict(check(world.voucher, world.trust_file, status=world.status)) == (VALID, {})


def test_an_offline_verdict_says_that_nobody_excluded_a_second_history(world: World) -> None:
    text = check(world.bundle, world.trust_file).steps[-1].sentence()
    assert "diverging history" in text


def test_on_an_embedded_chain_the_verdict_says_that_it_proves_nothing_against_the_registry(
    world: World, node: Node
) -> None:
    trust = {**world.trust, "chain": {**world.trust["chain"], "embedded": True}}
    report = check(world.bundle, canonical(trust), node=node)
    assert report.exit_code == VALID
    assert "proves nothing against the registry" in report.steps[-1].sentence()


def test_a_record_of_another_subject_is_valid_without_voucher(world: World, node: Node) -> None:
    data = canonical(world.registry.bundle(world.registration))
    assert verdict(check(data, world.trust_file)) == (VALID, {})
    assert verdict(check(data, world.trust_file, node=node)) == (VALID, {})


# Form


@pytest.mark.parametrize("kind", ["bundle", "voucher", "package"])
@pytest.mark.parametrize("damage", ["a space", "a newline", "cut", "twice"])
def test_a_file_in_another_form_is_not_valid(world: World, kind: str, damage: str) -> None:
    data = getattr(world, kind)
    changed = {
        "a space": data + b" ",
        "a newline": data + b"\n",
        "cut": data[:-1],
        "twice": data + data,
    }[damage]
    report = check(changed, world.trust_file, status=world.status)
    assert verdict(report) == (NOT_VALID, {"form": NOT_VALID})


def test_a_pretty_bundle_is_not_valid(world: World) -> None:
    pretty = json.dumps(world.document, indent=2, ensure_ascii=False).encode()
    assert verdict(check(pretty, world.trust_file)) == (NOT_VALID, {"form": NOT_VALID})


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'"a"', b"1", b"{}", b"PK", b"%PDF-1.7"])
def test_what_is_no_document_of_ours_is_not_valid(world: World, data: bytes) -> None:
    assert check(data, world.trust_file).exit_code == NOT_VALID
    assert check(data, None).exit_code in (NOT_VALID, CANNOT_TELL)


def test_a_file_nested_so_deeply_that_a_parser_would_crash_is_not_valid(world: World) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)  # as the EVM's library does on import
    try:
        for deep in (b"[" * 200_000, b'{"a":' * 200_000, b'["a\\"[",' * 100_000):
            assert check(deep, world.trust_file).exit_code == NOT_VALID
    finally:
        sys.setrecursionlimit(limit)


# Trust


@pytest.mark.parametrize("kind", ["bundle", "voucher", "package"])
def test_without_trust_nothing_can_be_told(world: World, node: Node, kind: str) -> None:
    report = check(getattr(world, kind), None, node=node)
    assert verdict(report) == (CANNOT_TELL, {"trust": CANNOT_TELL})


@pytest.mark.parametrize("kind", ["bundle", "voucher", "package"])
def test_a_world_re_made_with_the_attackers_keys_is_not_valid_under_our_trust_file(
    world: World, attacker: World, kind: str, node: Node
) -> None:
    """Everything in it fits together, under the attacker's own trust file; but that is not ours."""
    data = getattr(attacker, kind)
    assert check(data, attacker.trust_file, status=attacker.status).exit_code == VALID
    for asked in (None, node):
        report = check(data, world.trust_file, node=asked, status=attacker.status)
        assert report.exit_code == NOT_VALID


def test_a_trust_file_inside_the_attackers_file_is_never_looked_at(
    world: World, attacker: World
) -> None:
    within = {**attacker.document, "trust": attacker.trust}
    assert check(canonical(within), world.trust_file).exit_code == NOT_VALID
    assert check(canonical(within), None).exit_code == CANNOT_TELL
    packed = attacker.package_with(**{"trust.json": attacker.trust_file})
    assert check(packed, world.trust_file).exit_code == NOT_VALID


@pytest.mark.parametrize("field", ["anchor", "chain_id", "genesis", "vouchers"])
def test_a_document_that_speaks_of_another_chain_is_not_valid(world: World, field: str) -> None:
    for other in ("0x" + "ee" * 20, 2, None, True, []):
        claims = {**world.document["chain"], field: other}
        report = check(canonical({**world.document, "chain": claims}), world.trust_file)
        assert verdict(report) == (NOT_VALID, {"trust": NOT_VALID})


@pytest.mark.parametrize("claims", [None, {}, [], "chain", {"chain_id": 1}])
def test_a_document_that_does_not_name_its_chain_is_not_valid(world: World, claims: Any) -> None:
    report = check(canonical({**world.document, "chain": claims}), world.trust_file)
    assert verdict(report) == (NOT_VALID, {"trust": NOT_VALID})


def test_under_the_trust_file_of_another_chain_a_file_is_not_valid(world: World) -> None:
    for changes in (
        {"genesis": "0x" + "11" * 32},
        {"chain_id": 2},
        {"contracts": {**CONTRACTS, "CheckpointAnchor": "0x" + "11" * 20}},
        {"contracts": {**CONTRACTS, "VoucherRegistry": "0x" + "11" * 20}},
    ):
        trust = canonical({**world.trust, "chain": {**world.trust["chain"], **changes}})
        for data in (world.bundle, world.package):
            assert check(data, trust).exit_code == NOT_VALID


def test_addresses_of_the_trust_file_may_be_in_checksum_spelling(world: World, node: Node) -> None:
    mixed = {name: address[:2] + address[2:].upper() for name, address in CONTRACTS.items()}
    trust = {**world.trust, "chain": {**world.trust["chain"], "contracts": mixed}}
    assert check(world.bundle, canonical(trust), node=node).exit_code == VALID


def test_under_another_log_key_a_file_is_not_valid(world: World) -> None:
    stranger = notes.verifier_key(world.registry.origin, public_of(private_key("stranger")))
    log = {
        "keys": [{"from_size": 0, "until_size": None, "vkey": stranger.spelled()}],
        "origin": world.registry.origin,
    }
    trust = canonical({**world.trust, "log": log})
    assert verdict(check(world.bundle, trust)) == (NOT_VALID, {"signature": NOT_VALID})


def test_under_another_origin_a_file_is_not_valid(world: World) -> None:
    key = notes.verifier_key("other.example/log", public_of(world.registry.log_key))
    log = {
        "keys": [{"from_size": 0, "until_size": None, "vkey": key.spelled()}],
        "origin": "other.example/log",
    }
    trust = canonical({**world.trust, "log": log})
    assert check(world.bundle, trust).exit_code == NOT_VALID
    assert check(world.voucher, trust, status=world.status).exit_code == NOT_VALID


def test_under_another_issuer_a_file_is_not_valid(world: World, node: Node) -> None:
    did = did_key(public_of(private_key("stranger")))
    keys = [{"did": did, "valid_from": "2026-01-01T00:00:00Z", "valid_until": None}]
    trust = canonical({**world.trust, "credential_keys": keys})
    for data in (world.bundle, world.voucher, world.package):
        for asked in (None, node):
            report = check(data, trust, node=asked, status=world.status)
            assert verdict(report) == (NOT_VALID, {"trust": NOT_VALID})


def test_without_any_issuer_or_log_key_a_file_is_not_valid(world: World) -> None:
    no_issuer = canonical({**world.trust, "credential_keys": []})
    no_log = canonical({**world.trust, "log": {**world.trust["log"], "keys": []}})
    assert check(world.bundle, no_issuer).exit_code == NOT_VALID
    assert check(world.bundle, no_log).exit_code == NOT_VALID


def issuer_until(world: World, since: str, until: str | None) -> bytes:
    keys = [{"did": world.registry.did, "valid_from": since, "valid_until": until}]
    return canonical({**world.trust, "credential_keys": keys})


def test_an_issuer_key_counts_only_in_its_own_time(world: World) -> None:
    signed, list_signed = instant(ISSUED), instant(LISTED)
    assert check(world.bundle, issuer_until(world, signed, instant(NOW))).exit_code == VALID
    retired = check(world.bundle, issuer_until(world, signed, list_signed))
    assert verdict(retired) == (CANNOT_TELL, {"status": CANNOT_TELL})  # its lists end with it
    for since, until in (
        (signed, instant(LISTED - timedelta(seconds=1))),  # expired before the status list
        (signed, instant(ISSUED - timedelta(seconds=1))),
        (instant(ISSUED + timedelta(seconds=1)), None),
    ):
        report = check(world.bundle, issuer_until(world, since, until))
        assert verdict(report) == (NOT_VALID, {"trust": NOT_VALID})


def rotated(world: World, first_until: int, second_from: int) -> bytes:
    """A trust file in which the log's key was rotated: `old` up to a size, ours from another on."""
    old = notes.verifier_key(world.registry.origin, public_of(private_key("old log")))
    new = notes.verifier_key(world.registry.origin, public_of(world.registry.log_key))
    keys = [
        {"from_size": 0, "until_size": first_until, "vkey": old.spelled()},
        {"from_size": second_from, "until_size": None, "vkey": new.spelled()},
    ]
    return canonical({**world.trust, "log": {**world.trust["log"], "keys": keys}})


def test_a_rotated_log_key_counts_only_for_the_sizes_it_covers(world: World) -> None:
    size = world.size
    old_note = world.registry.note(size, private_key("old log"))
    by_old = canonical({**world.document, "checkpoint": old_note})
    assert check(world.bundle, rotated(world, size - 1, size)).exit_code == VALID
    assert check(by_old, rotated(world, size, size + 1)).exit_code == VALID
    for data, trust in (
        (world.bundle, rotated(world, size, size + 1)),  # ours, before its time
        (by_old, rotated(world, size - 1, size)),  # the old one, after its time
    ):
        assert verdict(check(data, trust)) == (NOT_VALID, {"signature": NOT_VALID})


def test_a_checkpoint_signed_by_both_keys_of_a_rotation_is_valid(world: World) -> None:
    both = world.registry.note(world.size, private_key("old log"), world.registry.log_key)
    data = canonical({**world.document, "checkpoint": both})
    assert check(data, rotated(world, world.size - 1, world.size)).exit_code == VALID


# Witnesses

WREN, OWL = "a-wren.example/w", "owl.example/w"  # in the order of their lines


def trusting(world: World, *names: str, quorum: int | None = None) -> bytes:
    """The trust file of somebody who knows these witnesses."""
    more = {} if quorum is None else {"witness_quorum": quorum}
    return canonical({**world.trust, "witnesses": witness_keys(*names), **more})


def cosigned(world: World, *names: str) -> bytes:
    """The bundle whose checkpoint these witnesses cosigned."""
    return canonical({**world.document, "checkpoint": world.registry.cosigned(world.size, *names)})


def of_witnesses(report: Report) -> list[str]:
    return [step.sentence() for step in report.steps if step.name == "witness"]


def test_who_knows_no_witness_hears_of_none(world: World) -> None:
    for data in (world.bundle, world.package, cosigned(world, WREN)):
        report = check(data, world.trust_file)
        assert report.exit_code == VALID
        assert not of_witnesses(report)


def test_the_verdict_names_the_witnesses_that_cosigned_and_when(world: World, node: Node) -> None:
    trust = trusting(world, WREN, OWL)
    for asked in (None, node):
        both = check(cosigned(world, WREN, OWL), trust, node=asked)
        assert verdict(both) == (VALID, {})
        assert of_witnesses(both) == [
            f"2 of the 2 witnesses you trust cosigned the checkpoint of size {world.size}: "
            f"{WREN} ({instant(LISTED)}), {OWL} ({instant(LISTED)})."
        ]
    (one,) = of_witnesses(check(cosigned(world, OWL), trust))
    assert one.startswith("1 of the 2 witnesses")
    assert OWL in one
    assert WREN not in one
    (none,) = of_witnesses(check(world.bundle, trust))
    assert none.startswith("None of the 2 witnesses")


@pytest.mark.parametrize(
    ("signed", "quorum", "expected"),
    [((), None, 0), ((), 0, 0), ((), 1, 2), ((WREN,), 1, 0), ((WREN,), 2, 2), ((WREN, OWL), 2, 0)],
)
def test_fewer_witnesses_than_the_trust_file_asks_for_leave_it_open(
    world: World, signed: tuple[str, ...], quorum: int | None, expected: int
) -> None:
    trust = trusting(world, WREN, OWL, quorum=quorum)
    report = check(cosigned(world, *signed), trust)
    assert verdict(report) == (expected, {"witness": expected} if expected else {})


def test_every_record_of_a_package_needs_its_witnesses(world: World) -> None:
    """Main, proof and further records: one checkpoint without them, and nothing can be told."""
    registry = world.registry
    proof = {**world.proof, "checkpoint": registry.cosigned(world.final_size, WREN)}
    half = world.package_with(proof)
    assert verdict(check(half, trusting(world, WREN))) == (VALID, {})
    report = check(half, trusting(world, WREN, quorum=1))
    assert verdict(report) == (CANNOT_TELL, {"witness": CANNOT_TELL})
    assert len(of_witnesses(report)) == 3, "the package's record has its witness, two have none"


def test_a_witness_that_is_not_trusted_is_passed_over_and_said_so(world: World) -> None:
    report = check(cosigned(world, WREN, OWL), trusting(world, OWL, quorum=1))
    assert verdict(report) == (VALID, {})
    (one,) = of_witnesses(report)
    assert WREN not in one
    (said,) = [s.sentence() for s in report.steps if s.name == "signature"]
    assert said.startswith("1 signatures on the checkpoint are by keys that your trust file")


def test_a_wrong_cosignature_by_a_trusted_witness_is_not_valid(world: World) -> None:
    note = world.registry.note(world.size)
    text = notes.parse_note(note)[0]
    other = cosign(text.replace(str(world.size), "6"), WREN, private_key(WREN), LISTED)
    plain = notes.sign(text, WREN, private_key(WREN))[len(text) + 1 :]
    key = cosigner_key(WREN, public_of(private_key(WREN)))
    bare = notes.signature_line(
        notes.Signature(WREN, key.key_hash, private_key(WREN).sign(text.encode()))
    )
    by_other = cosign(text, WREN, private_key(OWL), LISTED)
    right = cosign(text, WREN, private_key(WREN), LISTED)
    later_said = notes.signature_line(
        notes.parse_note(note + right)[1][1]._replace(
            value=int(NOW.timestamp()).to_bytes(8) + notes.parse_note(note + right)[1][1].value[8:]
        )
    )
    for line, expected in (
        (right, VALID), (other, NOT_VALID), (bare, NOT_VALID), (later_said, NOT_VALID),
        (plain, CANNOT_TELL), (by_other, CANNOT_TELL),  # of keys with other hashes: passed over
    ):  # fmt: skip
        data = canonical({**world.document, "checkpoint": note + line})
        report = check(data, trusting(world, WREN, quorum=1))
        assert verdict(report) == (expected, {"witness": expected} if expected else {})


def test_a_witness_alone_does_not_make_a_checkpoint(world: World) -> None:
    text = notes.parse_note(world.document["checkpoint"])[0]
    line = cosign(text, WREN, private_key(WREN), LISTED)
    alone = canonical({**world.document, "checkpoint": text + "\n" + line})
    report = check(alone, trusting(world, WREN, quorum=1))
    assert verdict(report) == (NOT_VALID, {"signature": NOT_VALID})


def test_the_lines_of_a_checkpoint_have_one_order(world: World) -> None:
    note = world.registry.cosigned(world.size, WREN, OWL)
    text, gap, lines = note.rpartition("\n\n")
    log_line, wren, owl = lines.splitlines(keepends=True)
    assert note == text + gap + log_line + wren + owl
    for other in (
        log_line + owl + wren, wren + log_line + owl, log_line + wren + wren + owl,
        log_line + log_line + wren + owl,
    ):  # fmt: skip
        data = canonical({**world.document, "checkpoint": text + gap + other})
        for trust in (trusting(world, WREN, OWL), world.trust_file):
            assert verdict(check(data, trust)) == (NOT_VALID, {"form": NOT_VALID})


@pytest.mark.parametrize("quorum", [-1, 3, True, "1", None, 1.5, [1]])
def test_a_quorum_is_a_whole_number_that_can_be_met(world: World, quorum: Any) -> None:
    assert parse_trust(trusting(world, WREN, OWL, quorum=2)).witness_quorum == 2
    spelled = {**world.trust, "witnesses": witness_keys(WREN, OWL), "witness_quorum": quorum}
    with pytest.raises(Invalid):
        parse_trust(json.dumps(spelled, sort_keys=True, ensure_ascii=False,
                               separators=(",", ":")).encode())  # fmt: skip


def test_nobody_counts_as_two_witnesses(world: World) -> None:
    public, log_public = public_of(private_key(WREN)), public_of(world.registry.log_key)
    wren = cosigner_key(WREN, public).spelled()
    for keys, why in (
        ([wren, cosigner_key("second.example", public).spelled()], "have one key"),
        ([wren, wren], "have one key"),
        ([cosigner_key("witness.example", log_public).spelled()], "have one key"),
        ([cosigner_key(world.registry.origin, public).spelled()], "name of the log"),
        ([notes.verifier_key(WREN, public).spelled()], "no Ed25519 key of a witness"),
    ):
        with pytest.raises(Invalid, match=why):
            parse_trust(canonical({**world.trust, "witnesses": keys}))
    new_key = cosigner_key(WREN, public_of(private_key("new"))).spelled()
    with pytest.raises(Invalid, match="asks for 2 witnesses and names 1"):
        parse_trust(
            canonical({**world.trust, "witness_quorum": 2, "witnesses": sorted([wren, new_key])})
        )


# The public proof of an entry (C2SP tlog-proof)


def tlog_proof(world: World, *names: str) -> bytes:
    document = world.document
    return notes.format_tlog_proof(
        document["leaf_index"], [bytes.fromhex(value) for value in document["inclusion"]],
        world.registry.cosigned(world.size, *names), canonical(document["entry"]),
    ).encode()  # fmt: skip


def test_the_public_proof_of_an_entry_is_checked_to_the_contract(
    world: World, node: Node, chain: Chain
) -> None:
    trust = trusting(world, WREN, quorum=1)
    report = check(tlog_proof(world, WREN), trust, node=node)
    assert verdict(report) == (VALID, {})
    assert report.kind == "tlog-proof"
    assert [step.name for step in report.steps] == [
        "form", "chain", "record", "record", "witness", "anchor",
    ]  # fmt: skip
    assert any("public entry alone" in step.sentence() for step in report.steps)
    offline = check(tlog_proof(world), world.trust_file)
    assert verdict(offline) == (VALID, {})
    assert "diverging history" in offline.steps[-1].sentence()
    assert verdict(check(tlog_proof(world), trust)) == (CANNOT_TELL, {"witness": CANNOT_TELL})
    assert check(tlog_proof(world), None).exit_code == CANNOT_TELL
    chain.roots.clear()
    assert verdict(check(tlog_proof(world), world.trust_file, node=node)) == (
        NOT_VALID, {"anchor": NOT_VALID},
    )  # fmt: skip


@pytest.mark.parametrize(
    "entry",
    [
        b"", b"{}", b"entry", b"[]", b'{"at":"2026-08-03T09:30:00Z","digest":"x","kind":"k","v":1}',
    ],
)  # fmt: skip
def test_a_public_proof_of_what_is_no_entry_is_not_valid(world: World, entry: bytes) -> None:
    index, path, note, _ = notes.parse_tlog_proof(tlog_proof(world).decode())
    data = notes.format_tlog_proof(index, path, note, entry).encode()
    assert verdict(check(data, world.trust_file)) == (NOT_VALID, {"form": NOT_VALID})
    assert check(tlog_proof(world)[:-1], world.trust_file).exit_code == NOT_VALID
    assert check(tlog_proof(world) + b"\xff", world.trust_file).exit_code == NOT_VALID


def test_the_public_proof_of_an_entry_that_was_changed_is_not_valid(world: World) -> None:
    index, path, note, extra = notes.parse_tlog_proof(tlog_proof(world).decode())
    other = canonical({**json.loads(extra), "kind": "voucher.revoked"})
    for data in (
        notes.format_tlog_proof(index, path, note, other),
        notes.format_tlog_proof(index + 1, path, note, extra),
        notes.format_tlog_proof(index, path[::-1], note, extra),
        notes.format_tlog_proof(index, path[:-1], note, extra),
        notes.format_tlog_proof(index, [*path, path[0]], note, extra),
    ):
        assert check(data.encode(), world.trust_file).exit_code == NOT_VALID


@pytest.mark.parametrize(
    "change",
    [
        {"type": "shuzheng/bundle"}, {"v": 2}, {"v": True}, {"chain": {}}, {"chain": None},
        {"credential_keys": [{}]}, {"credential_keys": None}, {"witnesses": ["x"]}, {"log": []},
        {"witnesses": None},
    ],
)  # fmt: skip
def test_a_malformed_trust_file_is_refused(world: World, change: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        parse_trust(canonical({**world.trust, **change}))


@pytest.mark.parametrize("name", ["CheckpointAnchor", "VoucherRegistry"])
def test_a_trust_file_without_a_contract_is_refused(world: World, name: str) -> None:
    contracts = {k: v for k, v in CONTRACTS.items() if k != name}
    trust = {**world.trust, "chain": {**world.trust["chain"], "contracts": contracts}}
    with pytest.raises(Invalid, match="lacks"):
        parse_trust(canonical(trust))


# The node


def test_without_an_answer_of_the_node_nothing_can_be_told(world: World) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        node = Node(f"http://127.0.0.1:{unused.getsockname()[1]}", timeout_s=1)
        report = check(world.bundle, world.trust_file, node=node)
    assert verdict(report) == (CANNOT_TELL, {"chain": CANNOT_TELL})


@pytest.mark.parametrize("method", ["eth_chainId", "eth_getBlockByNumber"])
def test_a_node_that_does_not_say_its_chain_tells_nothing(
    world: World, node: Node, chain: Chain, method: str
) -> None:
    chain.refuses.add(method)
    report = check(world.bundle, world.trust_file, node=node)
    assert verdict(report) == (CANNOT_TELL, {"chain": CANNOT_TELL})


def test_a_node_that_answers_no_call_tells_nothing(world: World, node: Node, chain: Chain) -> None:
    chain.refuses.add("eth_call")
    report = check(world.bundle, world.trust_file, node=node)
    assert verdict(report) == (CANNOT_TELL, {"anchor": CANNOT_TELL, "state": CANNOT_TELL})


def test_a_node_of_another_chain_is_not_valid(world: World, node: Node, chain: Chain) -> None:
    chain.chain_id = 2
    report = check(world.bundle, world.trust_file, node=node)
    assert verdict(report) == (NOT_VALID, {"chain": NOT_VALID})
    chain.chain_id, chain.genesis = 1, "0x" + "cd" * 32
    report = check(world.bundle, world.trust_file, node=node)
    assert verdict(report) == (NOT_VALID, {"chain": NOT_VALID})
    assert "eth_call" not in chain.asked


class Nonsense(http.server.BaseHTTPRequestHandler):
    """A server that is no node; its class variable holds what it says."""

    says = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(self.says)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


HEAD = b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    "says",
    [
        b"", b"garbage\r\n\r\n", b"HTTP/1.0 500 no\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 99"
        b"\r\n\r\n{", HEAD, HEAD + b"[]", HEAD + b"null", HEAD + b"{}", HEAD + b'{"result":null}',
        HEAD + b'{"result":5}', HEAD + b'{"result":"x"}', HEAD + b'{"result":[]}', HEAD + b"\xff",
        HEAD + b"[" * 300_000, b"SSH-2.0-OpenSSH\r\n", HEAD + b'{"error":{}}',
        HEAD + "[]".encode("utf-16"),
    ],
)  # fmt: skip
def test_a_server_that_is_no_node_tells_nothing(world: World, says: bytes) -> None:
    handler = type("Handler", (Nonsense,), {"says": says})
    with serve(http.server.HTTPServer(("127.0.0.1", 0), handler)) as url:
        report = check(world.bundle, world.trust_file, node=Node(url, timeout_s=2))
    assert verdict(report) == (CANNOT_TELL, {"chain": CANNOT_TELL})


@pytest.mark.parametrize("result", [None, 5, "", "0", "0xzz", [], {}, "ab"])
def test_a_node_that_answers_a_call_with_nonsense_tells_nothing(
    world: World, node: Node, chain: Chain, monkeypatch: pytest.MonkeyPatch, result: Any
) -> None:
    honest = chain.answer
    monkeypatch.setattr(chain, "answer", lambda m, p: result if m == "eth_call" else honest(m, p))
    report = check(world.bundle, world.trust_file, node=node)
    assert verdict(report) == (CANNOT_TELL, {"anchor": CANNOT_TELL, "state": CANNOT_TELL})


@pytest.mark.parametrize("url", ["http://a b/", "http://[", "http://127.0.0.1:x/", "http://"])
def test_an_address_that_is_none_tells_nothing(world: World, url: str) -> None:
    report = check(world.bundle, world.trust_file, node=Node(url))
    assert verdict(report) == (CANNOT_TELL, {"chain": CANNOT_TELL})


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a", "127.0.0.1:8545", ""])
def test_only_http_addresses_are_asked(url: str) -> None:
    with pytest.raises(Invalid):
        Node(url)


def test_a_contract_that_holds_another_root_is_not_valid(
    world: World, node: Node, chain: Chain
) -> None:
    """A split view: the log signed two histories of one size, the chain took the other."""
    for held in (bytes(32), world.registry.root(world.size - 1)):
        chain.roots[world.size] = held
        for data in (world.bundle, world.package):
            report = check(data, world.trust_file, node=node)
            assert verdict(report) == (NOT_VALID, {"anchor": NOT_VALID})


def test_a_checkpoint_that_is_not_anchored_is_not_valid_online(
    world: World, node: Node, chain: Chain
) -> None:
    del chain.roots[world.size]
    report = check(world.bundle, world.trust_file, node=node)
    assert verdict(report) == (NOT_VALID, {"anchor": NOT_VALID})


def test_a_second_history_signed_by_the_log_itself_is_found_online_only(
    world: World, node: Node
) -> None:
    """Offline the log's key is all there is; the report says so, and the chain excludes it."""
    fork = World()
    fork.registry.leaves[0] = fork.registry.leaves[1]
    document = canonical(
        fork.registry.bundle(
            fork.index,
            fork.size,
            voucher=fork.credential,
            status=fork.status_list,
            disclosures={},
        )
    )
    assert check(document, world.trust_file).exit_code == VALID
    report = check(document, world.trust_file, node=node)
    assert verdict(report) == (NOT_VALID, {"anchor": NOT_VALID})


STATES = {
    "valid": (1, 0), "suspended": (2, 0), "revoked": (3, 0), "cancelled": (4, 0),
    "superseded": (5, 0), "frozen": (1, 2),
}  # fmt: skip


@pytest.mark.parametrize("word", sorted(STATES))
@pytest.mark.parametrize("kind", ["bundle", "voucher", "package"])
def test_the_state_on_chain_decides_online(
    world: World, node: Node, chain: Chain, word: str, kind: str
) -> None:
    (held,) = chain.vouchers.values()
    held[1:3] = STATES[word]
    report = check(getattr(world, kind), world.trust_file, node=node)
    due = (VALID, {}) if word == "valid" else (NOT_VALID, {"state": NOT_VALID})
    assert verdict(report) == due
    assert any(f"On chain the voucher is {word} now." == s.sentence() for s in report.steps)


def test_a_pledged_voucher_is_valid(world: World, node: Node, chain: Chain) -> None:
    (held,) = chain.vouchers.values()
    held[2] = 1
    assert check(world.bundle, world.trust_file, node=node).exit_code == VALID


def test_a_voucher_that_the_chain_does_not_know_is_not_valid(
    world: World, node: Node, chain: Chain
) -> None:
    chain.vouchers.clear()
    report = check(world.bundle, world.trust_file, node=node)
    assert verdict(report) == (NOT_VALID, {"state": NOT_VALID})


def test_a_voucher_that_was_signed_anew_is_not_the_one_on_chain(world: World, node: Node) -> None:
    again = canonical(world.registry.voucher(signed_at=ISSUED + timedelta(days=1)))
    report = check(again, world.trust_file, node=node)
    assert verdict(report) == (NOT_VALID, {"state": NOT_VALID})
    assert "another digest" in report.steps[-1].sentence()


def test_a_voucher_that_lapsed_is_not_valid_online_and_offline(world: World, node: Node) -> None:
    last, after = LAPSES, LAPSES + timedelta(seconds=1)
    fresh = canonical(world.registry.status_list({5: 1}, LISTED, after + timedelta(days=1)))
    assert check(world.voucher, world.trust_file, node=node, now=last).exit_code == VALID
    assert check(world.voucher, world.trust_file, status=fresh, now=last).exit_code == VALID
    online = check(world.voucher, world.trust_file, node=node, now=after)
    offline = check(world.voucher, world.trust_file, status=fresh, now=after)
    assert verdict(online) == (NOT_VALID, {"time": NOT_VALID, "state": NOT_VALID})
    assert verdict(offline) == (NOT_VALID, {"time": NOT_VALID})


def test_before_the_vouchers_first_day_nothing_can_be_told(world: World, node: Node) -> None:
    early = ISSUED - timedelta(seconds=1)
    report = check(world.voucher, world.trust_file, node=node, now=early)
    assert verdict(report) == (CANNOT_TELL, {"time": CANNOT_TELL})


# Freshness


def test_a_bare_voucher_offline_needs_a_status_list(world: World) -> None:
    report = check(world.voucher, world.trust_file)
    assert verdict(report) == (CANNOT_TELL, {"status": CANNOT_TELL})


def test_a_bundle_without_status_list_can_be_judged_online_only(world: World, node: Node) -> None:
    data = canonical({**world.document, "status": None})
    assert verdict(check(data, world.trust_file)) == (CANNOT_TELL, {"status": CANNOT_TELL})
    assert check(data, world.trust_file, node=node).exit_code == VALID
    assert check(data, world.trust_file, status=world.status).exit_code == VALID


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (LISTED - timedelta(seconds=1), CANNOT_TELL),
        (LISTED, VALID),
        (NEXT_LIST, VALID),
        (NEXT_LIST + timedelta(seconds=1), CANNOT_TELL),
        (LISTED - timedelta(days=20), CANNOT_TELL),
    ],
)
@pytest.mark.parametrize("kind", ["bundle", "package", "voucher"])
def test_a_status_list_counts_from_its_date_to_its_term(
    world: World, kind: str, now: datetime, due: int
) -> None:
    report = check(getattr(world, kind), world.trust_file, now=now, status=world.status)
    assert verdict(report) == (due, {} if due == VALID else {"status": due})


def test_a_list_that_does_not_know_the_voucher_tells_nothing(world: World) -> None:
    for statuses in ({}, {4: 1, 6: 1}):
        fresh = canonical(world.registry.status_list(statuses, later(hours=-1)))
        report = check(world.bundle, world.trust_file, status=fresh)
        assert verdict(report) == (CANNOT_TELL, {"status": CANNOT_TELL})


WORDS = {
    2: "suspended", 3: "revoked", 4: "cancelled", 5: "superseded", 6: "lapsed", 8: "frozen",
    9: "frozen", 10: "frozen",
}  # fmt: skip


@pytest.mark.parametrize("status", sorted(WORDS))
def test_what_the_list_says_of_a_voucher_is_said_as_of_its_date(world: World, status: int) -> None:
    newer = canonical(world.registry.status_list({5: status}, later(hours=-1)))
    for data in (world.bundle, world.voucher, world.package):
        report = check(data, world.trust_file, status=newer)
        assert verdict(report) == (NOT_VALID, {"status": NOT_VALID})
        text = f"{WORDS[status]} as of {instant(later(hours=-1))}"
        assert any(text in step.sentence() for step in report.steps)


def test_an_unknown_status_is_not_valid(world: World) -> None:
    newer = canonical(world.registry.status_list({5: 7}, later(hours=-1)))
    assert check(world.voucher, world.trust_file, status=newer).exit_code == NOT_VALID


def test_the_newest_list_counts_whichever_way_it_came(world: World) -> None:
    suspended = World(status=2)
    resumed = canonical(world.registry.status_list({5: 1}, later(hours=-1)))
    older = canonical(world.registry.status_list({5: 2}, LISTED - timedelta(days=1)))
    assert check(suspended.bundle, world.trust_file).exit_code == NOT_VALID
    assert check(suspended.bundle, world.trust_file, status=resumed).exit_code == VALID
    assert check(world.bundle, world.trust_file, status=older).exit_code == VALID


def test_a_stale_list_never_makes_a_voucher_valid(world: World) -> None:
    for status in range(11):
        old = world.registry.status_list({5: status}, LISTED, later(seconds=-1))
        assert check(world.voucher, world.trust_file, status=canonical(old)).exit_code != VALID


@pytest.mark.parametrize("change", ["issuer", "id", "type", "byte", "voucher", "text"])
def test_a_status_list_that_is_not_the_registrys_is_not_valid(world: World, change: str) -> None:
    registry = world.registry
    lists = {
        "issuer": registry.status_list({5: 1}, key=private_key("stranger")),
        "id": registry.status_list({5: 1}, id="urn:shuzheng:other:status"),
        "type": registry.status_list({5: 1}, type=["VerifiableCredential"]),
        "byte": {**world.status_list, "validUntil": "2099-01-01T00:00:00Z"},
        "voucher": world.credential,
        "text": "valid",
    }
    report = check(world.voucher, world.trust_file, status=canonical(lists[change]))
    assert report.exit_code == NOT_VALID
    bundle = canonical({**world.document, "status": lists[change]})
    assert check(bundle, world.trust_file).exit_code == NOT_VALID


def test_a_status_list_that_is_not_canonical_is_not_valid(world: World) -> None:
    report = check(world.voucher, world.trust_file, status=world.status + b"\n")
    assert report.exit_code == NOT_VALID


# The voucher and its record


def test_a_record_of_another_voucher_is_not_valid(world: World) -> None:
    data = canonical(world.registry.bundle(world.other, voucher=world.credential))
    assert verdict(check(data, world.trust_file)) == (NOT_VALID, {"voucher": NOT_VALID})


def test_a_voucher_taken_out_of_its_bundle_is_missed(world: World, node: Node) -> None:
    """Otherwise the bundle of a revoked voucher would be valid without it."""
    stripped = {**world.document, "voucher": None, "status": None, "disclosures": {}}
    for asked in (None, node):
        report = check(canonical(stripped), world.trust_file, node=asked)
        assert verdict(report) == (CANNOT_TELL, {"voucher": CANNOT_TELL})


def test_a_voucher_of_another_log_or_type_is_not_valid(world: World) -> None:
    for change in (
        {"type": ["VerifiableCredential", "BitstringStatusListCredential"]},
        {"type": ["VerifiableCredential"]},
        {"credentialSubject": {**world.credential["credentialSubject"], "log": "other"}},
    ):
        data = canonical(world.registry.voucher(**change))
        report = check(data, world.trust_file, status=world.status)
        assert verdict(report) == (NOT_VALID, {"voucher": NOT_VALID})


def test_fields_may_be_withheld_but_not_changed(world: World) -> None:
    for kept in ({}, {"holder_name": world.document["disclosures"]["holder_name"]}):
        data = canonical({**world.document, "disclosures": kept})
        assert check(data, world.trust_file).exit_code == VALID
    name = world.document["disclosures"]["holder_name"]
    for wrong in (
        {"holder_name": {**name, "value": "别的公司"}},
        {"holder_name": {**name, "salt": "0" * 32}},
        {"holder_uscc": name},
        {"somebody": name},
        {"holder_name": "城数运营有限公司"},
        [],
    ):
        data = canonical({**world.document, "disclosures": wrong})
        assert check(data, world.trust_file).exit_code == NOT_VALID


def test_another_index_size_or_path_is_not_valid(world: World) -> None:
    document, registry = world.document, world.registry
    size = world.size
    for change in (
        {"leaf_index": world.index - 1},
        {"leaf_index": world.index + 1},
        {"leaf_index": -1},
        {"leaf_index": size},
        {"inclusion": document["inclusion"][:-1]},
        {"inclusion": [*document["inclusion"], "00" * 32]},
        {"inclusion": document["inclusion"][::-1]},
        {"inclusion": [h.upper() for h in document["inclusion"]]},
        {"inclusion": [5]},
        {"checkpoint": registry.note(size - 1)},
        {"checkpoint": registry.note(size + 1)},
        {"checkpoint": document["checkpoint"].replace(f"\n{size}\n", f"\n{size + 1}\n")},
        {"checkpoint": None},
        {"checkpoint": 5},
    ):
        assert check(canonical({**document, **change}), world.trust_file).exit_code == NOT_VALID


def test_a_later_checkpoint_of_the_same_log_is_as_good(world: World, node: Node) -> None:
    document = world.registry.bundle(
        world.index, world.final_size, voucher=world.credential, status=world.status_list
    )
    assert check(canonical(document), world.trust_file, node=node).exit_code == VALID


# The package


def test_a_package_whose_lists_were_made_anew_is_not_the_recorded_one(world: World) -> None:
    data = {name[5:]: c for name, c in world.files.items() if name.startswith("data/")}
    bag = bundles.make_bag({**data, "sample.csv": b"lot,free\n1,99\n"}, {})
    packed = bundles.write_zip({**bag, "proof.json": canonical(world.proof)})
    assert verdict(check(packed, world.trust_file)) == (NOT_VALID, {"package": NOT_VALID})


def test_a_package_with_a_changed_missing_or_added_file_is_not_valid(world: World) -> None:
    for change in (
        {"data/sample.csv": b"lot,free\n1,99\n"},
        {"data/sample.csv": None},
        {"data/extra.txt": b"x"},
        {"extra.txt": b"x"},
        {"bag-info.txt": b""},
        {"proof.json": None},
        {"data/bundle.json": None},
        {"proof.json": canonical(world.registry.bundle(world.registration))},
        {"proof.json": world.bundle},
        {"proof.json": b"{}"},
    ):
        assert check(world.package_with(**change), world.trust_file).exit_code == NOT_VALID


def test_the_proof_of_a_package_says_nothing_but_the_package(world: World) -> None:
    """What would be read there and is covered by nothing is refused."""
    for change in (
        {"disclosures": {"holder_name": {"salt": "0" * 32, "value": "别的公司"}}},
        {"status": world.status_list},
        {"voucher": world.credential},
        {"voucher": {"anything": "at all"}},
    ):
        data = world.package_with(proof={**world.proof, **change})
        assert check(data, world.trust_file).exit_code == NOT_VALID


def test_a_package_says_how_many_further_records_are_in_the_log(world: World) -> None:
    texts = [step.sentence() for step in check(world.package, world.trust_file).steps]
    assert any("its 1 further records are in the log" in text for text in texts)


# The constants that a verifier holds of the contracts


def test_the_selectors_are_those_of_the_committed_artifacts() -> None:
    assert chain_node.ROOT_OF == ROOT_OF
    assert chain_node.VERIFY_VOUCHER == VERIFY


def test_the_words_of_the_chains_verdict_stand_in_the_order_of_the_contract() -> None:
    source = (CONTRACT_SOURCES / "IVoucherRegistry.sol").read_text()
    (body,) = re.findall(r"enum Verdict \{(.*?)\}", source, re.DOTALL)
    members = [re.sub(r"//.*", "", member).strip() for member in body.split(",")]
    words = [re.sub(r"(?<!^)(?=[A-Z])", " ", member).lower() for member in members]
    ours = [word.replace("another digest", "wrong digest") for word in chain_node.CHAIN_VERDICTS]
    assert ours == words


def test_a_verdict_that_the_contract_does_not_have_tells_nothing(
    world: World, node: Node, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "verdict", lambda *_: 9)
    report = check(world.voucher, world.trust_file, node=node)
    assert verdict(report) == (CANNOT_TELL, {"state": CANNOT_TELL})


# The report


def test_the_worst_outcome_is_the_verdict_and_no_step_is_no_verdict() -> None:
    for given, due in (
        ([], 2), ([0], 0), ([0, 2], 2), ([2, 1, 0], 1), ([1], 1), ([0, 0], 0),
    ):  # fmt: skip
        report = Report()
        for outcome in given:
            report.add("step", outcome, "Text.")
        assert report.exit_code == due


def test_each_step_is_told_as_it_is_taken(world: World, node: Node, chain: Chain) -> None:
    told: list[Step] = []
    before: dict[str, list[str]] = {}
    answer = chain.answer

    def asked(method: str, params: list[Any]) -> Any:
        before.setdefault(method, [step.name for step in told])
        return answer(method, params)

    chain.answer = asked  # type: ignore[method-assign]
    report = verifier.verify(
        world.bundle, parse_trust(world.trust_file), now=NOW, node=node,
        report=Report(tell=told.append),
    )  # fmt: skip
    assert told == report.steps
    assert before["eth_chainId"] == ["form"]
    assert before["eth_call"] == ["form", "chain", "record"], "said before the contract is asked"


def test_a_step_that_was_taken_before_stands_before_the_others(world: World) -> None:
    report = Report()
    report.add("form", VALID, "The printed page is what its attached bundle says.")
    given = verifier.verify(world.bundle, parse_trust(world.trust_file), now=NOW, report=report)
    assert given is report
    assert [step.name for step in report.steps[:3]] == ["form", "form", "record"]


# The proof of an event: one row of a batch


def row_proof(world: World, **changes: Any) -> dict[str, Any]:
    """The proof of the third of five events, whose batch is recorded in the world's log."""
    events = [{"n": n} for n in range(5)]
    salts = [bytes([n]) * 16 for n in range(5)]
    leaves = [bundles.row_hash(salt, row) for salt, row in zip(salts, events, strict=True)]
    registry = copy.deepcopy(world.registry)
    body = {"batch_root": merkle.root(leaves).hex(), "row_count": 5, **changes.pop("body", {})}
    index = registry.record(changes.pop("kind", "usage.recorded"), "usage", "batch-1", body)
    return {
        "bundle": registry.bundle(index),
        "inclusion": [value.hex() for value in merkle.inclusion_proof(leaves, 2, 5)],
        "row": events[2], "row_index": 2, "salt": salts[2].hex(), "type": "shuzheng/usage-row",
        "v": 1, **changes,
    }  # fmt: skip


def test_an_event_is_proved_by_its_row_and_its_batch(world: World) -> None:
    report = check(canonical(row_proof(world)), world.trust_file)
    assert verdict(report) == (VALID, {})
    assert report.kind == "row"
    assert [step.name for step in report.steps] == ["form", "row", "record", "chain"]
    assert "number 3 of the 5" in report.steps[1].sentence()
    assert check(canonical(row_proof(world)), None).exit_code == CANNOT_TELL


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"row": {"n": 3}}, "row"), ({"row_index": 3}, "row"), ({"row_index": -1}, "row"),
        ({"salt": "03" * 16}, "row"), ({"salt": "03"}, "form"), ({"inclusion": []}, "row"),
        ({"inclusion": [1]}, "form"), ({"body": {"row_count": 9}}, "row"), ({"v": True}, "form"),
        ({"body": {"batch_root": "00" * 32}}, "row"), ({"kind": "resource.listed"}, "form"),
        ({"body": {"batch_root": None}}, "form"), ({"more": 1}, "form"), ({"bundle": None}, "form"),
    ],
)  # fmt: skip
def test_an_event_that_is_not_in_its_batch_is_not_valid(
    world: World, changes: dict[str, Any], step: str
) -> None:
    report = check(canonical(row_proof(world, **changes)), world.trust_file)
    assert verdict(report) == (NOT_VALID, {step: NOT_VALID})


def test_an_event_of_a_batch_that_is_not_in_the_log_is_not_valid(
    world: World, attacker: World
) -> None:
    of_another_log = canonical(row_proof(attacker))
    assert check(of_another_log, attacker.trust_file).exit_code == VALID
    assert check(of_another_log, world.trust_file).exit_code == NOT_VALID


def test_what_a_document_says_cannot_move_the_readers_cursor(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "x\x1b[2J\r\n→ valid\u202e\u2028"
    payload = {**world.document["payload"], "log": name}
    salt = bytes.fromhex(world.document["salt"])
    entry = bundles.entry_of(payload, bundles.payload_digest(salt, canonical(payload)))
    data = canonical({**world.document, "payload": payload, "entry": entry})
    print_report(check(data, world.trust_file))
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "→ not valid"
    assert "→ valid" not in printed.splitlines()
    assert not {"\x1b", "\r", "\u202e", "\u2028"} & set(printed)


# The command line, as a stranger runs it


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "CHAIN_RPC_URL"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "ledger.proof.verify", *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False, encoding="utf-8",
        cwd=Path(__file__).parents[2], env={**env, "PYTHONUTF8": "1", **environment},
    )  # fmt: skip


@pytest.fixture
def today() -> World:
    """The world of this very day: the command line reads the machine's clock."""
    return World(late=datetime.now(tz=NOW.tzinfo) - NOW)


@pytest.fixture
def handed(today: World, chain: Chain, tmp_path: Path) -> Path:
    """A folder with the files that the exchange is handed today."""
    for name, data in {
        "bundle.json": today.bundle, "package.zip": today.package, "voucher.json": today.voucher,
        "trust.json": today.trust_file, "status.json": today.status, "torn.json": today.bundle[:-9],
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
    of_today = today.chain()
    chain.roots, chain.vouchers = of_today.roots, of_today.vouchers
    return tmp_path


def test_the_command_line_answers_with_its_exit_code(handed: Path, node: Node) -> None:
    trust = ("--trust", handed / "trust.json")
    torn = run(handed / "torn.json", *trust, "--offline")
    assert (torn.returncode, torn.stderr) == (1, "")
    assert torn.stdout.startswith("✗ form")
    assert run(handed / "bundle.json", "--offline").returncode == 2
    assert run(handed / "bundle.json", *trust, "--offline").returncode == 0
    assert run(handed / "bundle.json", *trust).returncode == 2  # no node was named
    assert run(handed / "voucher.json", *trust, "--rpc", node.url).returncode == 0
    assert run(handed / "voucher.json", *trust, CHAIN_RPC_URL=node.url).returncode == 0


@pytest.mark.parametrize("command", ["ledger.proof.verify", "webapp"])
def test_the_command_line_prints_a_step_while_the_next_is_being_taken(
    handed: Path, node: Node, chain: Chain, command: str
) -> None:
    """The node does not answer before its reader has seen what was found so far."""
    seen, answer = threading.Event(), chain.answer

    def slowly(method: str, params: list[Any]) -> Any:
        assert method != "eth_call" or seen.wait(50)
        return answer(method, params)

    chain.answer = slowly  # type: ignore[method-assign]
    words = [sys.executable, "-m", command, *(["verify"] if command == "webapp" else [])]
    words += [str(handed / "bundle.json"), "--trust", str(handed / "trust.json"), "--rpc", node.url]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, encoding="utf-8", cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONUTF8": "1", "SHUZHENG_LANG": "en"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        early = [process.stdout.readline() for _ in range(3)]
        seen.set()
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert [line.split()[1] for line in early] == ["form", "chain", "record"]
    assert rest.splitlines()[-1] == "→ valid"


def test_the_command_line_prints_one_json_document(handed: Path, node: Node) -> None:
    done = run(
        handed / "package.zip", "--trust", handed / "trust.json", "--rpc", node.url, "--json",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert (said["exit_code"], said["verdict"], said["kind"]) == (0, "valid", "package")
    assert {step["name"] for step in said["steps"]} >= {"form", "package", "record", "state"}
    assert {step["outcome"] for step in said["steps"]} == {"valid"}


def test_a_missing_or_broken_trust_file_tells_nothing(handed: Path) -> None:
    for wrong in ("none.json", "bundle.json", "torn.json", "."):
        report = verifier.run(str(handed / "bundle.json"), str(handed / wrong), offline=True)
        assert verdict(report) == (CANNOT_TELL, {"trust": CANNOT_TELL})


def test_a_file_that_cannot_be_read_is_not_valid(handed: Path) -> None:
    for wrong in ("none.json", "."):
        report = verifier.run(str(handed / wrong), str(handed / "trust.json"), offline=True)
        assert verdict(report) == (NOT_VALID, {"form": NOT_VALID})


def test_an_address_that_is_no_web_address_tells_nothing(handed: Path) -> None:
    report = verifier.run(
        str(handed / "bundle.json"), str(handed / "trust.json"), rpc="ipc:/node", now=NOW
    )
    assert verdict(report) == (CANNOT_TELL, {"trust": CANNOT_TELL})


IMPORTS = """
import sys
before = set(sys.modules)
import ledger.proof.verify, ledger.proof.tiles
tops = {name.partition(".")[0] for name in set(sys.modules) - before}
ours = {name for name in sys.modules if name.partition(".")[0] == "ledger"}
foreign = tops - set(sys.stdlib_module_names) - {"cryptography", "_cffi_backend", "_openssl", "ledger"}
print(sorted(foreign))
print(sorted(name for name in ours if not name.startswith("ledger.proof")))
"""


def test_a_verifier_needs_the_standard_library_and_cryptography_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, timeout=60, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.splitlines() == ["[]", "['ledger', 'ledger.errors']"]
