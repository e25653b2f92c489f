"""Whatever is done to a file: there is a verdict, and it is valid only if nothing that counts changed."""

import copy
import io
import json
import random
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import Invalid
from ledger.proof import bundle as bundles
from ledger.proof.chain_node import Node
from ledger.proof.encoding import INT_MAX, canonical, instant
from ledger.proof.receipt import make
from ledger.proof.trust import parse_trust
from tests.proof.test_encoding import values
from tests.proof.world import ISSUED, World, chain_server, check, serve

Path = tuple[Any, ...]

# What no key and no root covers offline; online the chain itself is asked for that transaction.
HINTS = [
    ("anchor", "block"),
    ("anchor", "transaction"),
]
OLD = [None, True, False, 0, 1, -1, 2, INT_MAX, "", "a", "\x00", [], {}, [0], {"a": 0}, "0" * 64]

shared = settings(
    deadline=None, derandomize=True, max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """The way to every value in a document, the document itself last."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield from paths(item, (*path, key))
    yield path


def place_of(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def put(document: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    place_of(changed, path[:-1])[path[-1]] = value
    return changed


def take(document: Any, path: Path) -> Any:
    changed = copy.deepcopy(document)
    del place_of(changed, path[:-1])[path[-1]]
    return changed


def is_harmless(before: Any, after: Any) -> bool:
    """Whether two bundles differ in hints only, or in what is disclosed."""
    if type(after) is not dict or set(after) != set(before):
        return False
    kept = after["disclosures"]
    if type(kept) is not dict or any(before["disclosures"].get(k) != v for k, v in kept.items()):
        return False
    first, second = ({**d, "anchor": None, "disclosures": None} for d in (before, after))
    return bool(canonical(first) == canonical(second))


@pytest.mark.parametrize("way", ["offline", "online"])
def test_no_value_of_a_bundle_can_be_replaced(
    world: World, node: Node, way: str, request: pytest.FixtureRequest
) -> None:
    asked = node if way == "online" else None
    others = OLD if way == "offline" else [None, 1, "a", {}]
    document = world.document
    for path in paths(document):
        for value in others:
            changed = put(document, path, value)
            if canonical(changed) == world.bundle:
                continue
            found = check(canonical(changed), world.trust_file, node=asked).exit_code
            if found == 0:
                without_list = way == "online" and path == ("status",)
                assert without_list or is_harmless(document, changed), (path, value)


def rearranged(document: Any, path: Path) -> list[Any]:
    """The document without the value at a path, with one more in it, with its items in other order."""
    place = place_of(document, path)
    found = [take(document, path)] if path else []
    if isinstance(place, dict):
        found.append(put(document, (*path, "more"), None))
    if isinstance(place, list):
        found += [put(document, path, [*place, "more"]), put(document, path, place[::-1])]
    if isinstance(place, str):
        found.append(put(document, path, [place]))
    return [other for other in found if canonical(other) != canonical(document)]


def test_no_value_of_a_bundle_can_be_taken_out_or_put_in(world: World) -> None:
    for path in paths(world.document):
        for other in rearranged(world.document, path):
            if check(canonical(other), world.trust_file).exit_code == 0:
                assert is_harmless(world.document, other), path


def test_the_hints_are_all_that_nothing_covers(world: World) -> None:
    """Should one of them be covered some day, this list is to be shortened."""
    for path in HINTS:
        value = 8 if path[-1] == "block" else "0x" + "11" * 32
        changed = put(world.document, path, value)
        assert check(canonical(changed), world.trust_file).exit_code == 0


def test_a_changed_hint_is_refused_online(world: World) -> None:
    server = chain_server()
    server.chain = world.chain()
    with serve(server) as url:
        node = Node(url)
        assert check(world.bundle, world.trust_file, node=node).exit_code == 0
        for path in HINTS:
            value = 8 if path[-1] == "block" else "0x" + "11" * 32
            changed = put(world.document, path, value)
            assert check(canonical(changed), world.trust_file, node=node).exit_code == 1


@pytest.mark.parametrize("which", ["voucher", "status"])
def test_no_value_of_a_voucher_or_status_list_can_be_replaced_or_taken_out(
    world: World, which: str
) -> None:
    document = world.credential if which == "voucher" else world.status_list
    for path in paths(document):
        for other in [put(document, path, v) for v in OLD] + rearranged(document, path):
            if canonical(other) == canonical(document):
                continue
            voucher = canonical(other) if which == "voucher" else world.voucher
            status = canonical(other) if which == "status" else world.status
            report = check(voucher, world.trust_file, status=status)
            assert report.exit_code != 0, path


def test_no_value_of_a_receipt_can_be_replaced_or_taken_out(world: World) -> None:
    registry = world.registry
    record = {"at": instant(ISSUED), "digest": "sha256:" + "ab" * 32, "kind": "resource.listed"}
    records = [{**record, "leaf_index": index} for index in (3, 4)]
    document = make(registry.origin, records, registry.credential_key, ISSUED)
    assert check(canonical(document), world.trust_file).exit_code == 0
    for path in paths(document):
        for other in [put(document, path, v) for v in OLD] + rearranged(document, path):
            if canonical(other) != canonical(document):
                assert check(canonical(other), world.trust_file).exit_code == 1, path


def test_no_value_of_the_trust_file_can_be_replaced_so_that_reading_it_crashes(
    world: World,
) -> None:
    for path in paths(world.trust):
        for value in OLD:
            try:
                parse_trust(canonical(put(world.trust, path, value)))
            except Invalid:
                continue
            report = check(world.bundle, canonical(put(world.trust, path, value)))
            assert report.exit_code in (0, 1)


@shared
@given(st.data())
def test_a_bundle_with_random_values_in_random_places_gets_a_verdict(
    world: World, data: st.DataObject
) -> None:
    changed: Any = world.document
    for _ in range(data.draw(st.integers(1, 3))):
        changed = put(changed, data.draw(st.sampled_from(list(paths(changed)))), data.draw(values))
    report = check(canonical(changed), world.trust_file, status=data.draw(st.none() | st.binary()))
    if report.exit_code == 0:
        assert canonical(changed) == world.bundle or is_harmless(world.document, changed)


@shared
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"%PDF-", b'{"v":', b"["]))
def test_random_bytes_get_a_verdict_that_is_not_valid(
    world: World, data: bytes, head: bytes
) -> None:
    report = check(head + data, world.trust_file, status=world.status)
    assert report.exit_code == 1


@shared
@given(values)
def test_random_json_gets_a_verdict_that_is_not_valid(world: World, value: Any) -> None:
    assert check(canonical(value), world.trust_file).exit_code == 1
    bundle = {"type": "shuzheng/bundle", "v": 1, "value": value}
    assert check(canonical(bundle), world.trust_file).exit_code == 1
    voucher = {"credentialSubject": value, "proof": value}
    assert check(canonical(voucher), world.trust_file, status=world.status).exit_code == 1
    receipt = {"proof": value, "records": value, "type": "shuzheng/receipt", "v": 1}
    assert check(canonical(receipt), world.trust_file).exit_code == 1


@shared
@given(st.data())
def test_a_package_with_random_values_in_its_proof_gets_a_verdict(
    world: World, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(list(paths(world.proof))))
    changed = put(world.proof, path, data.draw(values))
    packed = bundles.write_zip({**world.files, "proof.json": canonical(changed)})
    if check(packed, world.trust_file).exit_code == 0:
        assert packed == world.package or is_harmless(world.proof, changed)


def flips(data: bytes, step: int) -> Iterator[tuple[int, bytes]]:
    """The data with one bit flipped in every `step`-th byte."""
    chance = random.Random(len(data))
    for place in range(0, len(data), step):
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        yield place, bytes(changed)


def in_hint(world: World, data: bytes) -> bool:
    """Whether a damaged file is still a document that differs in a hint only."""
    try:
        if data[:2] != b"PK":
            return is_harmless(world.document, json.loads(data))
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return is_harmless(world.proof, json.loads(archive.read("proof.json")))
    except (ValueError, zipfile.BadZipFile):
        return False


@pytest.mark.parametrize(("kind", "step"), [("bundle", 3), ("voucher", 2), ("package", 11)])
def test_no_flipped_bit_passes(world: World, kind: str, step: int) -> None:
    for place, data in flips(getattr(world, kind), step):
        report = check(data, world.trust_file, status=world.status)
        assert report.exit_code == 1 or in_hint(world, data), place


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bundle", "voucher", "package"])
def test_no_flipped_bit_passes_anywhere(world: World, kind: str) -> None:
    data = getattr(world, kind)
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            report = check(bytes(changed), world.trust_file, status=world.status)
            assert report.exit_code == 1 or in_hint(world, bytes(changed)), (place, bit)
