"""Every parser of a handed-out thing against damaged real ones: refused, or read as its own spelling.

The damage is drawn from a fixed seed: bytes flipped, cut, doubled, swapped, and words of the format put
where they hurt; for JSON also values replaced, taken out, doubled and moved. A fast run tries some hundreds
of each kind, the slow one tens of thousands.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ledger.errors import Invalid
from ledger.proof import ProofFailed
from ledger.proof import bundle as bundles
from ledger.proof import checkpoint as notes
from ledger.proof import credential as credentials
from ledger.proof import receipt as receipts
from ledger.proof.cosignature import (
    check_order,
    parse_cosigner_key,
    read_cosignatures,
    with_lines,
)
from ledger.proof.encoding import canonical, instant, parse
from ledger.proof.line import check_line
from ledger.proof.report import Report
from ledger.proof.row import check_row
from ledger.proof.trust import parse_trust
from tests.proof.test_verify import row_proof
from tests.proof.test_verify_fuzz import OLD, is_harmless, paths, put, rearranged
from tests.proof.world import ISSUED, World, check, witness_keys

SEED = 20261122
FAST, SLOW = 600, 20_000
WITNESSES = ("owl.example/w", "wren.example/w")
WORDS = (
    "\n", "\n\n", "— ", " ", "+", "=", "==", "0", "00", "-1", "9" * 25, "\x00", "\r\n", "\u2028", "é",
    "null", "true", "1e9", "1.0", "{", "}", "[", "]", '"', "\\u0000", "\\ud800", ",", ":", "PK\x03\x04",
    "PK\x05\x06", "../", "A", "AAAA", "sha256:", "0x", "did:key:z", "owl.example/w", "extra ", "index ",
)  # fmt: skip


def of_bytes(data: bytes, chance: random.Random) -> bytes:
    """The data with one to three wounds."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        place = chance.randrange(len(data) + 1)
        length = min(chance.choice((1, 1, 2, 8, 40, 300)), len(data) - place)
        other = chance.randrange(len(data) + 1)
        piece = data[place : place + length]
        word = chance.choice(WORDS).encode("utf-8", "surrogatepass")
        match chance.randrange(9):
            case 0 if place < len(data):
                data = (
                    data[:place]
                    + bytes([data[place] ^ 1 << chance.randrange(8)])
                    + data[place + 1 :]
                )
            case 1:
                data = data[:place] + data[place + length :]
            case 2:
                data = data[:place] + piece + data[place:]
            case 3:
                data = data[:place] + word + data[place:]
            case 4:
                data = data[:place] + word + data[place + length :]
            case 5:
                data = data[:other] + piece + data[other:]
            case 6:
                data = data[:place]
            case 7:
                data = data[:place] + bytes(chance.randbytes(length)) + data[place + length :]
            case _:
                data = data[place:]
    return data


def of_structure(document: Any, chance: random.Random) -> bytes:
    """The JSON document with a value replaced, taken out, doubled or moved, in canonical form."""
    for _ in range(chance.choice((1, 1, 2))):
        places = list(paths(document))
        path = chance.choice(places)
        others = [put(document, path, chance.choice(OLD)), *rearranged(document, path)]
        source = document
        for key in chance.choice(places):
            source = source[key]
        others.append(put(document, path, source))
        document = chance.choice(others)
    return canonical(document)


def damaged(data: bytes, count: int, seed: Any, *, is_json: bool) -> Iterator[bytes]:
    """`count` damaged forms of the data, each another than the data itself."""
    chance = random.Random(f"{SEED} {seed}")
    document = json.loads(data) if is_json else None
    for n in range(count):
        other = of_structure(document, chance) if is_json and n % 2 else of_bytes(data, chance)
        if other != data:
            yield other


class Things:
    """The real things of a world, each with the parser it is for and how it is spelled again."""

    def __init__(self, world: World) -> None:
        registry = world.registry
        note = registry.cosigned(world.size, *WITNESSES)
        self.world, self.note = world, note
        self.vkey = notes.parse_verifier_key(world.trust["log"]["keys"][0]["vkey"])
        self.keys = [parse_cosigner_key(key) for key in witness_keys(*WITNESSES)]
        self.trust = canonical(
            {**world.trust, "witness_quorum": 2, "witnesses": witness_keys(*WITNESSES)}
        )
        record = {"at": instant(ISSUED), "digest": "sha256:" + "ab" * 32, "kind": "resource.listed"}
        self.receipt = canonical(
            receipts.make(
                registry.origin, [{**record, "leaf_index": n} for n in (3, 4)],
                registry.credential_key, ISSUED,
            )
        )  # fmt: skip
        self.line = canonical(world.line_proof())
        self.bundle = canonical({**world.document, "checkpoint": note})
        self.tlog_proof = notes.format_tlog_proof(
            world.index, [bytes.fromhex(h) for h in world.document["inclusion"]], note,
            canonical(world.document["entry"]),
        ).encode()  # fmt: skip
        text = notes.parse_note(note)[0]
        self.parsers: dict[str, tuple[bytes, bool, Callable[[bytes], bytes]]] = {
            "bundle": (self.bundle, True, self.read_bundle),
            "checkpoint": (text.encode(), False, self.read_checkpoint),
            "cosignature": (note.encode(), False, self.read_cosigned),
            "credential": (world.voucher, True, self.read_credential),
            "line": (self.line, True, self.read_line),
            "note": (note.encode(), False, self.read_note),
            "package": (world.package, False, self.read_package),
            "receipt": (self.receipt, True, self.read_receipt),
            "row": (canonical(row_proof(world)), True, self.read_row),
            "status list": (world.status, True, self.read_status),
            "tlog-proof": (self.tlog_proof, False, self.read_tlog_proof),
            "trust file": (self.trust, True, self.read_trust),
            "verifier key": (self.vkey.spelled().encode(), False, self.read_vkey),
            "witness key": (self.keys[0].spelled().encode(), False, self.read_witness_key),
        }

    def read_checkpoint(self, data: bytes) -> bytes:
        return notes.format_checkpoint(notes.parse_checkpoint(as_text(data))).encode()

    def read_note(self, data: bytes) -> bytes:
        text, signatures = notes.parse_note(as_text(data))
        return (text + "\n" + "".join(map(notes.signature_line, signatures))).encode()

    def read_cosigned(self, data: bytes) -> bytes:
        note = as_text(data)
        text, _ = notes.open_note(note, [self.vkey])
        found = read_cosignatures(note, self.keys)
        check_order(note)
        assert text == notes.parse_note(self.note)[0], "the log signed nothing else"
        assert all(one.line in self.note for one in found), "nor did a witness"
        return with_lines(note).encode()

    def read_tlog_proof(self, data: bytes) -> bytes:
        return notes.format_tlog_proof(*notes.parse_tlog_proof(as_text(data))).encode()

    def read_bundle(self, data: bytes) -> bytes:
        document = parse(data)
        bundles.check_bundle(document)
        return canonical(document)

    def read_credential(self, data: bytes) -> bytes:
        document = parse(data)
        credentials.verify_proof(document)
        assert document == self.world.credential, "the issuer signed nothing else"
        return canonical(document)

    def read_status(self, data: bytes) -> bytes:
        document = parse(data)
        credentials.status_at(document, 5)
        credentials.verify_proof(document)
        return canonical(document)

    def read_receipt(self, data: bytes) -> bytes:
        document = parse(data)
        receipts.check(document, parse_trust(self.trust))
        assert canonical(document) == self.receipt, "the registry promised nothing else"
        return canonical(document)

    def read_line(self, data: bytes) -> bytes:
        document = parse(data)
        check_line(document, parse_trust(self.trust), None, Report())
        assert canonical(document) == self.line, "the registry signed nothing else"
        return canonical(document)

    def read_package(self, data: bytes) -> bytes:
        files = bundles.read_zip(data)
        bundles.check_bag(files)
        return bundles.write_zip(files)

    def read_row(self, data: bytes) -> bytes:
        document = parse(data)
        bundles.check_bundle(check_row(document))
        return canonical(document)

    def read_trust(self, data: bytes) -> bytes:
        trust = parse_trust(data)
        assert trust.witness_quorum <= len(trust.witnesses)
        return canonical(json.loads(data))

    def read_vkey(self, data: bytes) -> bytes:
        return notes.parse_verifier_key(as_text(data)).spelled().encode()

    def read_witness_key(self, data: bytes) -> bytes:
        return parse_cosigner_key(as_text(data)).spelled().encode()


def as_text(data: bytes) -> str:
    """What a parser of text gets of a file; half characters reach it too."""
    return data.decode("utf-8", "surrogateescape")


@pytest.fixture(scope="module")
def things(world: World) -> Things:
    return Things(world)


KINDS = (
    "bundle", "checkpoint", "cosignature", "credential", "line", "note", "package", "receipt", "row",
    "status list", "tlog-proof", "trust file", "verifier key", "witness key",
)  # fmt: skip


def try_parser(things: Things, kind: str, count: int) -> Counter[str]:
    """How many damaged forms were refused and how many were read; anything else fails."""
    data, is_json, read = things.parsers[kind]
    assert read(data) == data, "the real thing is read"
    seen: Counter[str] = Counter()
    for other in damaged(data, count, kind, is_json=is_json):
        try:
            spelled = read(other)
        except (Invalid, ProofFailed):
            seen["refused"] += 1
        else:
            assert spelled == other, other
            seen["read"] += 1
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_thing_is_refused_or_is_its_own_spelling(things: Things, kind: str) -> None:
    seen = try_parser(things, kind, FAST)
    assert seen["refused"] > FAST // 2
    assert sum(seen.values()) > FAST * 3 // 4, "the damage is damage"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_things_are_refused_or_are_their_own_spelling(
    things: Things, kind: str
) -> None:
    seen = try_parser(things, kind, SLOW)
    assert seen["refused"] > SLOW // 2
    print(kind, dict(seen))


def test_every_parser_is_tried(things: Things) -> None:
    assert set(KINDS) == set(things.parsers)


# The whole verdict: a quorum of both witnesses, so that one line less is seen.

HANDED_OUT = ("bundle", "package", "receipt", "row", "tlog-proof", "voucher")


def handed_out(things: Things, kind: str) -> tuple[bytes, bool]:
    return {
        "bundle": (things.bundle, True), "package": (things.world.package, False),
        "receipt": (things.receipt, True), "row": (canonical(row_proof(things.world)), True),
        "tlog-proof": (things.tlog_proof, False),
        "voucher": (things.world.voucher, True),
    }[kind]  # fmt: skip


def try_verdict(things: Things, kind: str, count: int) -> Counter[int]:
    """The verdicts on damaged files; a damaged one is valid only where a hint alone was changed."""
    data, is_json = handed_out(things, kind)
    trust = things.world.trust_file if kind in ("package", "row") else things.trust
    status = things.world.status if kind == "voucher" else None  # the others bring their own
    assert check(data, trust, status=status).exit_code == 0
    seen: Counter[int] = Counter()
    for other in damaged(data, count, f"verdict {kind}", is_json=is_json):
        verdict = check(other, trust, status=status).exit_code
        seen[verdict] += 1
        if verdict == 0:
            before, after = json.loads(data), json.loads(other)
            if (
                after["type"] == bundles.BUNDLE_TYPE
            ):  # the proof of the batch, taken out of the row's
                before = before.get("bundle", before)
            elif kind == "row":
                assert {**before, "bundle": None} == {**after, "bundle": None}, other
                before, after = before["bundle"], after["bundle"]
            assert is_harmless(before, after), other
    return seen


@pytest.mark.parametrize("kind", HANDED_OUT)
def test_no_damaged_file_is_valid(things: Things, kind: str) -> None:
    seen = try_verdict(things, kind, FAST)
    assert seen[1] > FAST // 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", HANDED_OUT)
def test_none_of_many_damaged_files_is_valid(things: Things, kind: str) -> None:
    seen = try_verdict(things, kind, SLOW)
    assert seen[1] > SLOW // 2
    print(kind, dict(seen))


def test_a_stolen_status_list_of_another_day_or_a_damaged_one_never_helps(things: Things) -> None:
    """Offline with a list: whatever is done to the list, a suspended voucher does not become valid."""
    world = things.world
    for other in damaged(world.status, FAST, "list", is_json=True):
        assert check(world.voucher, world.trust_file, status=other).exit_code != 0, other
