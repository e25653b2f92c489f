"""Packages have one spelling as ZIP files, and bundles hold together payload, salt and entry."""

import copy
import hashlib
import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid, LedgerError
from ledger.proof import ProofFailed, merkle
from ledger.proof import bundle as bundles
from ledger.proof.bundle import check_bag, check_bundle, make_bag, read_zip, write_zip
from ledger.proof.encoding import canonical, digest_text
from tests.proof.world import World

FILES = {"a.txt": b"hello", "data/b.bin": bytes(range(16)), "data/数.json": b"{}"}
SMALL = write_zip(FILES)
BAG = {**make_bag({"a.txt": b"hello", "b.txt": b""}, {"Name": "x"}), "proof.json": b"{}"}
PACKAGE = write_zip(BAG)

names = st.text("ab/.数é", min_size=1, max_size=8).filter(
    lambda name: not {"", ".", ".."} & set(name.split("/"))
)


@given(st.dictionaries(names, st.binary(max_size=30), max_size=6))
def test_a_package_is_read_back_and_does_not_depend_on_the_order_of_its_files(
    files: dict[str, bytes],
) -> None:
    data = write_zip(files)
    assert read_zip(data) == files
    assert write_zip(dict(reversed(files.items()))) == data


def test_a_package_is_stored_sorted_and_without_time_or_comment() -> None:
    with zipfile.ZipFile(io.BytesIO(SMALL)) as archive:
        members = archive.infolist()
        assert archive.comment == b""
    assert [m.filename for m in members] == sorted(FILES)
    for member in members:
        assert member.compress_type == zipfile.ZIP_STORED
        assert member.date_time == (1980, 1, 1, 0, 0, 0)
        assert (member.extra, member.comment, member.create_system) == (b"", b"", 3)
        assert member.external_attr == 0o644 << 16


def accepted(data: bytes) -> bool:
    try:
        check_bag(read_zip(data))
    except LedgerError:
        return False
    return True


def test_the_small_package_is_accepted() -> None:
    assert accepted(PACKAGE)


def test_no_bit_of_a_package_can_be_flipped() -> None:
    for place in range(len(PACKAGE)):
        for bit in range(8):
            changed = bytearray(PACKAGE)
            changed[place] ^= 1 << bit
            assert not accepted(bytes(changed)), (place, bit)


@pytest.mark.slow
def test_no_byte_of_a_package_can_take_any_other_value() -> None:
    for place in range(len(PACKAGE)):
        for value in set(range(256)) - {PACKAGE[place]}:
            changed = bytearray(PACKAGE)
            changed[place] = value
            assert not accepted(bytes(changed)), (place, value)


def test_no_byte_of_a_package_can_be_left_out_doubled_or_put_in() -> None:
    for place in range(len(PACKAGE)):
        head, byte, tail = PACKAGE[:place], PACKAGE[place : place + 1], PACKAGE[place + 1 :]
        for changed in (head + tail, head + byte + byte + tail, head + b"\0" + byte + tail, head):
            assert not accepted(changed), place
    for more in (b"\0", b"PK", PACKAGE):
        assert not accepted(PACKAGE + more)
        assert not accepted(more + PACKAGE)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_are_a_canonical_package(data: bytes) -> None:
    for whole in (data, b"PK\x03\x04" + data, b"PK\x05\x06" + data):
        try:
            files = read_zip(whole)
        except Invalid:
            continue
        assert write_zip(files) == whole


@given(st.data())
def test_a_package_with_several_changes_is_refused(data: st.DataObject) -> None:
    changed = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    try:
        files = read_zip(bytes(changed))
    except Invalid:
        return
    assert write_zip(files) == bytes(changed)


Members = list[tuple[zipfile.ZipInfo, bytes]]


def zipped(change: Callable[[Members], Any] | None = None, comment: bytes = b"") -> bytes:
    """A ZIP of FILES in the canonical way but for `change`."""
    members: Members = []
    for name in sorted(FILES):
        info = zipfile.ZipInfo(name, bundles.ZIP_TIME)
        info.create_system = 3
        info.external_attr = 0o644 << 16
        members.append((info, FILES[name]))
    if change:
        change(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = comment
        for info, content in members:
            archive.writestr(info, content)
    return out.getvalue()


def setting(**fields: Any) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        for name, value in fields.items():
            setattr(members[1][0], name, value)

    return change


OTHER_FORMS = {
    "another order": zipped(list.reverse),
    "a comment": zipped(comment=b"hello"),
    "a member's comment": zipped(setting(comment=b"hello")),
    "an extra field": zipped(setting(extra=b"\xfe\xca\x02\x00ab")),
    "a compressed member": zipped(setting(compress_type=zipfile.ZIP_DEFLATED)),
    "another compression": zipped(setting(compress_type=zipfile.ZIP_BZIP2)),
    "a time": zipped(setting(date_time=(2026, 1, 1, 0, 0, 0))),
    "other permissions": zipped(setting(external_attr=0o755 << 16)),
    "another system": zipped(setting(create_system=0)),
    "a later version to extract": zipped(setting(extract_version=45)),
    "internal attributes": zipped(setting(internal_attr=1)),
    "a folder": zipped(lambda members: members.append((zipfile.ZipInfo("data/x/"), b""))),
}


def test_the_unchanged_form_is_the_canonical_one() -> None:
    assert zipped() == SMALL


@pytest.mark.parametrize("data", OTHER_FORMS.values(), ids=OTHER_FORMS.keys())
def test_the_same_files_in_another_form_are_refused(data: bytes) -> None:
    assert data != SMALL
    with pytest.raises(Invalid):
        read_zip(data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused() -> None:
    twice = zipped(lambda members: members.insert(1, (zipfile.ZipInfo("a.txt"), b"other")))
    with pytest.raises(Invalid):
        read_zip(twice)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../a", "data/../../a", "data/..", "..", "data\\a", "..\\a", "C:\\a",
        "./a", "data/./a", "data//a", "data/", "/", "a\nb", "a\rb", "a\tb", "a\x7fb", "a\x1bb",
    ],
)  # fmt: skip
def test_a_name_that_leaves_its_folder_or_breaks_a_line_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        read_zip(write_zip({name: b"x"}))


def zip64(*, directory: int | None = None, size: int | None = None, header: int = 0) -> bytes:
    """A ZIP64 file of one empty member whose offsets and sizes are as given."""
    local = struct.pack("<4s2B4HL2L2H", b"PK\3\4", 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, 0) + b"a"
    extra = struct.pack("<HHQ", 1, 8, header)
    central = (
        struct.pack(
            "<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, len(extra), 0, 0,
            0, 0, 0xFFFFFFFF,
        )
        + b"a" + extra
    )  # fmt: skip
    end = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1,
        len(central) if size is None else size, len(local) if directory is None else directory,
    )  # fmt: skip
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(local) + len(central), 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return local + central + end + locator + last


@pytest.mark.parametrize(
    "data",
    [
        zip64(), zip64(header=2**63), zip64(header=2**64 - 1), zip64(directory=2**64 - 1),
        zip64(directory=2**63), zip64(size=2**63), zip64(size=2**64 - 1),
    ],
)  # fmt: skip
def test_offsets_beyond_all_memory_are_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        read_zip(data)


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\3\4", b"PK\5\6" + bytes(18), b"no zip"])
def test_what_is_no_package_is_refused_or_empty(data: bytes) -> None:
    try:
        assert read_zip(data) == {}
    except Invalid:
        return
    assert data == write_zip({})


def test_a_package_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "PACKAGE_BYTES_MAX", len(SMALL) - 1)
    with pytest.raises(Invalid, match="larger"):
        read_zip(SMALL)
    monkeypatch.setattr(bundles, "PACKAGE_BYTES_MAX", len(SMALL))
    assert read_zip(SMALL) == FILES


# The bag inside


def test_a_bag_gives_the_digest_of_its_tag_manifest() -> None:
    assert check_bag(BAG) == digest_text(BAG["tagmanifest-sha256.txt"])
    lines = BAG["manifest-sha256.txt"].decode().splitlines()
    assert lines == [
        f"{hashlib.sha256(b'hello').hexdigest()}  data/a.txt",
        f"{hashlib.sha256(b'').hexdigest()}  data/b.txt",
    ]
    assert b"Payload-Oxum: 5.2\n" in BAG["bag-info.txt"]


@pytest.mark.parametrize("name", sorted(set(BAG) - {"proof.json"}))
def test_no_file_of_a_bag_can_change(name: str) -> None:
    """But the tag manifest itself: its digest comes out, and the package's record holds it."""
    for content in (BAG[name] + b"\n", BAG[name][:-1] + b"?", b""):
        if content == BAG[name]:
            continue
        with pytest.raises(ProofFailed):
            check_bag({**BAG, name: content})


@pytest.mark.parametrize("name", sorted(BAG))
def test_no_file_of_a_bag_can_be_missing(name: str) -> None:
    with pytest.raises(ProofFailed, match=r"manifest|file|BagIt"):
        check_bag({n: content for n, content in BAG.items() if n != name})


@pytest.mark.parametrize("name", ["data/c.txt", "extra.txt", "manifest-md5.txt", "Data/a.txt"])
def test_no_file_can_be_added_to_a_bag(name: str) -> None:
    with pytest.raises(ProofFailed):
        check_bag({**BAG, name: b""})


def test_a_bag_whose_lists_are_made_anew_has_another_digest() -> None:
    other = {**make_bag({"a.txt": b"Hello", "b.txt": b""}, {"Name": "x"}), "proof.json": b"{}"}
    assert check_bag(other) != check_bag(BAG)


def test_a_line_break_in_a_name_cannot_hide_a_file() -> None:
    """One name that holds the next line gives the same manifest for one file less."""
    empty = hashlib.sha256(b"").hexdigest()
    hiding = {name: content for name, content in BAG.items() if not name.startswith("data/")}
    hiding[f"data/a.txt\n{empty}  data/b.txt"] = b"hello"
    assert check_bag(hiding) == check_bag(BAG)  # the lists alone do not see it
    with pytest.raises(Invalid, match="control"):
        read_zip(write_zip(hiding))


# Bundles


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    return copy.deepcopy(world.document)


def test_a_bundle_gives_its_leaf_hash(world: World, document: dict[str, Any]) -> None:
    assert check_bundle(document) == world.registry.leaves[world.index]


def test_the_digest_of_a_payload_covers_its_salt() -> None:
    digest = bundles.payload_digest(bytes(16), b"{}")
    assert digest == "sha256:" + hashlib.sha256(bytes(16) + b"{}").hexdigest()
    for salt in (b"", bytes(15), bytes(17), bytes(32)):
        with pytest.raises(Invalid):
            bundles.payload_digest(salt, b"{}")


def test_a_voucher_key_depends_on_log_and_number() -> None:
    key = bundles.voucher_key("log", "1")
    assert key == hashlib.sha256(b'["voucher","log","1"]').digest()
    assert len({key, bundles.voucher_key("log1", ""), bundles.voucher_key("lo", "g1")}) == 3


def changes(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    def changed(*path: Any, to: Any) -> dict[str, Any]:
        other = copy.deepcopy(document)
        place = other
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to
        return other

    for name in document:
        yield f"no {name}", {k: v for k, v in document.items() if k != name}
    yield "a field more", {**document, "more": 1}
    yield "another type", changed("type", to="shuzheng/trust")
    yield "another version", changed("v", to=2)
    yield "true for version 1", changed("v", to=True)
    yield "an index as text", changed("leaf_index", to="6")
    yield "true as index", changed("leaf_index", to=True)
    yield "an inclusion proof as text", changed("inclusion", to="")
    yield "another salt", changed("salt", to="00" * 16)
    yield "a short salt", changed("salt", to="00" * 15)
    yield "a salt in capitals", changed("salt", to=document["salt"].upper() + "")
    yield "another actor", changed("payload", "actor", to="clerk-2")
    yield "a payload field more", changed("payload", "more", to=None)
    yield "a payload of version 2", changed("payload", "v", to=2)
    yield "a list as payload", changed("payload", to=[])
    yield "another time in the entry", changed("entry", "at", to="2026-08-04T00:00:00Z")
    yield "another kind in the entry", changed("entry", "kind", to="voucher.revoked")
    yield "another digest in the entry", changed("entry", "digest", to="sha256:" + "00" * 32)
    yield "another version of the entry", changed("entry", "v", to=2)
    yield "an entry field more", changed("entry", "more", to=None)
    yield "no entry", changed("entry", to=None)
    yield "a status list without voucher", changed("voucher", to=None)
    yield "disclosures without voucher", {**changed("voucher", to=None), "status": None}


def test_a_bundle_of_another_form_or_content_is_refused(document: dict[str, Any]) -> None:
    seen = 0
    for name, other in changes(document):
        if other == document and name != "true for version 1":
            continue
        seen += 1
        with pytest.raises(LedgerError):
            assert check_bundle(other) is None, name
    assert seen > 30
    for thing in (None, [], "a", 1, {}):
        with pytest.raises(Invalid):
            check_bundle(thing)


def test_the_leaf_is_the_hash_of_the_canonical_entry(document: dict[str, Any]) -> None:
    assert check_bundle(document) == merkle.leaf_hash(canonical(document["entry"]))
    assert set(document["entry"]) == {"at", "digest", "kind", "v"}
