"""What is put before both verifiers: documents, trust files, lists, clocks, and what a forger would try.

A `Case` is a set of files and the way to check them. Nothing here says what the verdict is: the tests
ask `ledger.proof.verify`, and the page must say the same.
"""

import base64
import io
import random
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from ledger.proof import bundle as bundles
from ledger.proof import checkpoint as notes
from ledger.proof import merkle
from ledger.proof.cosignature import cosign, cosigner_key
from ledger.proof.credential import (
    STATUS_LIST_BYTES_MAX,
    base58_encode,
    did_key,
    encode_status_list,
    sign,
)
from ledger.proof.encoding import canonical, digest_text, instant, parse, sha256
from ledger.proof.receipt import make
from tests.proof.test_verify_fuzz import OLD, flips, paths, put, rearranged
from tests.proof.world import (
    CONTRACTS,
    ISSUED,
    LAPSES,
    LISTED,
    NEXT_LIST,
    NOW,
    Registry,
    World,
    later,
    private_key,
    public_of,
)

SECOND = timedelta(seconds=1)
WITNESSES = ("witness.example/1", "witness.example/2")
CLOCKS = (
    ISSUED - SECOND, LISTED - SECOND, LISTED, NOW, NEXT_LIST, NEXT_LIST + SECOND, LAPSES, LAPSES + SECOND,
)  # fmt: skip
ROWS = [{"amount": 5 * n, "at": instant(ISSUED), "kind": "query"} for n in range(5)]
ROW_HASHES = [bundles.row_hash(bytes([n]) * 16, row) for n, row in enumerate(ROWS)]
WAYS = ("offline", "online", "unnamed")


@dataclass(frozen=True)
class Case:
    """Files and how they are checked; `way` is offline, online, unnamed (no node, not offline) or a URL."""

    name: str
    data: bytes
    trust: bytes | None
    status: bytes | None = None
    way: str = "offline"
    now: datetime = NOW


class Cases:
    """The files of a world, of an attacker's, and what can be done to them."""

    def __init__(self, world: World, attacker: World) -> None:
        self.world, self.attacker = world, attacker
        self.documents = self._documents()
        self.trusts = self._trusts()
        self.lists = self._lists()

    def every(self) -> Iterator[Case]:
        """Each document under each trust file, list, clock and way."""
        for (name, data), (whose, trust), (which, status), now, way in product(
            self.documents.items(), self.trusts.items(), self.lists.items(), CLOCKS, WAYS
        ):
            at = instant(now)
            yield Case(
                f"{name}, trust {whose}, list {which}, {way}, {at}", data, trust, status, way, now
            )

    def plain(self) -> Iterator[Case]:
        """Each document as it is meant to be checked, and each other thing changed alone."""
        own, status = self.trusts["own"], self.lists["own"]
        for name, data in self.documents.items():
            for way in WAYS:
                yield Case(f"{name} {way}", data, own, None, way)
            for whose, trust in self.trusts.items():
                yield Case(f"{name}, trust {whose}", data, trust, status)
            for which, other in self.lists.items():
                yield Case(f"{name}, list {which}", data, own, other)
            for now in CLOCKS:
                yield Case(f"{name} at {instant(now)}", data, own, status, "offline", now)
                yield Case(f"{name} at {instant(now)} online", data, own, None, "online", now)

    def damaged(self) -> Iterator[Case]:
        """Everything a forger tries, on each kind of document, the status list and the trust file."""
        world, own, status = self.world, self.trusts["own"], self.lists["own"]
        honest = [
            "bundle",
            "cosigned",
            "line",
            "package",
            "receipt",
            "row",
            "tlog-proof",
            "voucher",
        ]
        two = self.trusts["two witnesses"]
        for name in ("bundle", "cosigned", "line", "receipt", "row", "voucher"):
            for what, data in changed(self.parsed(name)):
                yield Case(f"{name}: {what}", data, two if name == "cosigned" else own, status)
        for what, data in changed(world.proof):
            packed = bundles.write_zip({**world.files, "proof.json": data})
            yield Case(f"package, proof.json: {what}", packed, own)
        for what, data in changed(world.document):
            yield Case(f"package, data/bundle.json: {what}", self.repacked(data), own)
        for what, data in changed(world.status_list):
            yield Case(f"status list: {what}", self.documents["voucher"], own, data)
        for what, data in changed(world.trust):
            yield Case(f"trust file: {what}", self.documents["bundle"], data)
        for what, data in changed(self.trust_of_two()):
            yield Case(f"trust file with witnesses: {what}", self.documents["cosigned"], data)
        for name in honest:
            data = self.documents[name]
            for what, other in (*bitten(data), *respelled(data)):
                yield Case(f"{name}: {what}", other, two if name == "cosigned" else own, status)
        for name in ("bundle", "voucher"):
            for what, other in bitten(self.documents[name], 29):
                yield Case(f"{name} online: {what}", other, own, None, "online")
        for what, note in renoted(self.documents["tlog-proof"].decode()):
            yield Case(f"tlog-proof: {what}", note.encode(), own)
        for what, note in renoted(self.parsed("cosigned")["checkpoint"]):
            data = canonical({**self.parsed("cosigned"), "checkpoint": note})
            for whose in ("two witnesses", "one of two", "own"):
                yield Case(f"checkpoint: {what}, trust {whose}", data, self.trusts[whose])
        for what, data in rezipped(self.documents["package"]):
            yield Case(f"package: {what}", data, own)
        for what, other in (*bitten(status, 3), *respelled(status)):
            yield Case(f"status list: {what}", self.documents["voucher"], own, other)
        for what, other in (*bitten(own, 3), *respelled(own)):
            yield Case(f"trust file: {what}", self.documents["bundle"], other)

    def odd(self) -> Iterator[Case]:
        """What is signed and fits together, as only the registry itself could make it, but is odd."""
        own, status = self.trusts["own"], self.lists["own"]
        for what, voucher in self._odd_vouchers():
            yield Case(f"voucher {what}", canonical(voucher), own, status)
        for what, listed in self._odd_lists():
            yield Case(f"status list {what}", self.documents["voucher"], own, canonical(listed))
        for which, listed in self.lists.items():
            for name in ("bundle", "voucher"):
                yield Case(f"{name}, list {which}", self.documents[name], own, listed)
        for what, bundle in self._odd_bundles():
            yield Case(f"bundle {what}", canonical(bundle), own)
        for what, receipt in self._odd_receipts():
            yield Case(f"receipt {what}", canonical(receipt), own)
        for what, row in self._odd_rows():
            yield Case(f"row {what}", canonical(row), own)
        for what, line in self._odd_lines():
            for way in ("offline", "online"):
                yield Case(f"line {what} {way}", canonical(line), own, None, way)
        for what, package in self._odd_packages():
            yield Case(f"package {what}", package, own)
        for what, proof in self._odd_proofs():
            yield Case(f"tlog-proof {what}", proof.encode(), own)
        for what, lines in self._odd_cosignatures():
            note = self.world.document["checkpoint"] + lines
            data = canonical({**self.world.document, "checkpoint": note})
            for whose in ("two witnesses", "one of two", "none of two", "own"):
                yield Case(f"cosigned {what}, trust {whose}", data, self.trusts[whose])
        for what, trust in self._odd_trusts():
            yield Case(f"trust file {what}", self.documents["bundle"], canonical(trust))
            yield Case(f"trust file {what}, two keys", self.documents["two keys"], canonical(trust))

    def _odd_vouchers(self) -> Iterator[tuple[str, Any]]:
        registry = self.world.registry
        subject, entry = (
            self.world.credential[name] for name in ("credentialSubject", "credentialStatus")
        )
        for text in (
            "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z",
            "2026-06-30T23:59:60Z", "9999-12-31T23:59:59Z", "2026-1-01T00:00:00Z", "٢٠٢٦-01-01T00:00:00Z",
            "2026-01-01T00:00:00+00:00", None, 5,
        ):  # fmt: skip
            yield f"until {text}", registry.voucher(validUntil=text)
            yield f"from {text}", registry.voucher(validFrom=text)
        for index in ("05", "-1", "", "1e1", "²", " 5", "5\n", "9" * 30, "9" * 5000, 5, None):
            yield (
                f"at {index!r:.20}",
                registry.voucher(credentialStatus={**entry, "statusListIndex": index}),
            )
        for kind in (
            "a DataAssetVoucher",
            "other",
            [],
            ["DataAssetVoucher"],
            {"DataAssetVoucher": 1},
            None,
            5,
        ):
            yield f"of type {kind}", registry.voucher(type=kind)
        for key, values in {
            "number": [5, None, [], "数"], "log": ["other", None],
            "title": [5, None, ["a", {"b": True}], "'\"\\"],
        }.items():  # fmt: skip
            for value in values:
                yield (
                    f"with {key} {value!r}",
                    registry.voucher(credentialSubject={**subject, key: value}),
                )
        early, late = ISSUED - SECOND, ISSUED + SECOND
        yield "signed before the key's time", registry.voucher(signed_at=early)
        yield "beginning before the key's time", registry.voucher(validFrom=instant(early))
        yield "signed after it begins", registry.voucher(signed_at=late)
        yield "of a subject that is none", registry.voucher(credentialSubject=5)
        yield "of a status that is none", registry.voucher(credentialStatus=None)
        for what, options, document in (
            ("of another context in the proof", {"@context": ["https://other.example"]}, {}),
            ("without context in the proof", {"@context": None}, {}),
            ("of no context", {}, {"@context": None}),
            ("of another purpose", {"proofPurpose": "authentication"}, {}),
            ("of another suite", {"cryptosuite": "eddsa-rdfc-2022"}, {}),
            ("of another type of proof", {"type": "Other"}, {}),
            ("by a method without fragment", {"verificationMethod": registry.did}, {}),
            ("by a method with two", {"verificationMethod": f"{registry.did}#{registry.did[8:]}#"}, {}),
            ("by a method that is none", {"verificationMethod": "x"}, {}),
            ("made at no time", {"created": "now"}, {}),
            ("of another issuer", {}, {"issuer": did_key(public_of(private_key("stranger")))}),
            ("of an issuer that is none", {}, {"issuer": 5}),
            ("without issuer", {}, {"issuer": None}),
        ):  # fmt: skip
            yield what, self._signed({**self.world.credential, **document}, options)
        proof = self.world.credential["proof"]
        for value in (
            proof["proofValue"] + "1",
            "z1" + proof["proofValue"][1:],
            "z",
            "u" * 88,
            "z" * 200,
            "z0",
        ):
            yield (
                f"of proof {value[:9]}",
                {**self.world.credential, "proof": {**proof, "proofValue": value}},
            )

    def _signed(self, document: Any, options: Any) -> Any:
        """A credential under proof options of its own; None leaves a field out."""
        document = {
            key: value for key, value in document.items() if key != "proof" and value is not None
        }
        given = {**self.world.credential["proof"], **options}
        given = {key: v for key, v in given.items() if key != "proofValue" and v is not None}
        hashed = sha256(canonical(given)) + sha256(canonical(document))
        value = self.world.registry.credential_key.sign(hashed)
        return {**document, "proof": {**given, "proofValue": "z" + base58_encode(value)}}

    def _odd_lists(self) -> Iterator[tuple[str, Any]]:
        registry = self.world.registry
        for word in (2, 3, 4, 5, 9):
            yield f"run out, {word}", registry.status_list({5: word}, LISTED, later(seconds=-1))
            yield (
                f"of tomorrow, {word}",
                registry.status_list({5: word}, later(days=1), later(days=2)),
            )
        yield (
            "signed before the key's time",
            registry.status_list({5: 1}, signed_at=ISSUED - SECOND),
        )
        yield "of no subject", registry.status_list({5: 1}, credentialSubject=[])
        yield "of no date", registry.status_list({5: 1}, validFrom="x")

    def _odd_bundles(self) -> Iterator[tuple[str, Any]]:
        world, registry, document = self.world, self.world.registry, self.world.document
        yield "with more", {**document, "more": 1}
        yield "with less", {key: value for key, value in document.items() if key != "status"}
        yield "of version 2", {**document, "v": 2}
        size, text = world.size, document["checkpoint"].partition("\n\n")[0] + "\n"
        inclusion = document["inclusion"]
        for index in (-1, 0, world.index - 1, world.index + 1, size - 1, size, size + 8, 2**40):
            yield f"at leaf {index}", {**document, "leaf_index": index}
        for what, hashes in {
            "without the last hash": inclusion[:-1], "without the first hash": inclusion[1:],
            "without hashes": [], "with a hash more": [*inclusion, inclusion[0]],
            "with many hashes": inclusion * 30, "with a short hash": [*inclusion[:-1], "ab"],
        }.items():  # fmt: skip
            yield what, {**document, "inclusion": hashes}
        origin, _, root = text.split("\n")[:3]
        for what, lines in {
            "of another log": ["other.example/log", size, root],
            "with an extension": [origin, size, root, "— x"],
            "of a vast size": [origin, 2**63 - 1, root], "of a size too large": [origin, 2**63, root],
            "of twenty digits": [origin, "9" * 20, root], "of a long size": [origin, "9" * 21, root],
            "of size 08": [origin, f"0{size}", root], "of size 0": [origin, 0, root],
            "of size ٨": [origin, "٨", root], "of a short root": [origin, size, "AAAA"],
            "of a root in another base": [origin, size, root.replace("=", "")],
            "of two lines": [origin, size], "of an empty line": [origin, size, root, "", "x"],
            "of a log with a space": ["a b", size, root], "of a log with a plus": ["a+b", size, root],
            "of a log with U+0085": ["a\x85b", size, root],
            "of a log with U+FEFF": ["a\ufeffb", size, root],
        }.items():  # fmt: skip
            said = "".join(f"{line}\n" for line in lines)
            yield f"under a checkpoint {what}", {**document, "checkpoint": self._signed_note(said)}
        for said in (text.replace("\n", "\r\n"), text + "\t\n", text + "\x7f\n"):
            yield (
                f"under the text {said[-9:]!r}",
                {**document, "checkpoint": self._signed_note(said)},
            )
        for voucher in (
            [],
            "",
            False,
            "ab",
            ["ab"],
            [["a", 1]],
            [[1, 2]],
            [[[], 2]],
            [{"a": 1, "b": 2}],
            {},
        ):
            yield f"with the voucher {voucher!r}", {**document, "voucher": voucher}
            payload = registry.payloads[world.index]
            recorded = self._recorded({**payload, "body": {"digest": digest_text(b"{}")}})
            yield f"recording {voucher!r}", {**recorded, "voucher": voucher}
        payload = registry.payloads[world.registration]
        for key, value in (
            ("v", True), ("v", 2), ("log", "other"), ("log", None), ("at", 5), ("kind", None),
            ("kind", "数"), ("subject", None), ("subject", {"type": "voucher"}), ("subject", {}),
            ("body", None),
        ):  # fmt: skip
            yield f"of a record with {key} {value}", self._recorded({**payload, key: value})
        yield "of an entry with true", self._recorded(payload, v=True)
        yield "of an entry with more", self._recorded(payload, more=1)
        yield "of an entry of another time", self._recorded(payload, at="2026-01-01T00:00:00Z")
        salt = "\U0001f600" * 32
        for name, given in {
            "holder_name": {"salt": salt, "value": 1}, "x": {"salt": "0" * 32, "value": [None]},
        }.items():  # fmt: skip
            digest = digest_text(canonical([given["salt"], name, given["value"]]))
            subject = {**world.credential["credentialSubject"], "withheld": {name: digest}}
            voucher = registry.voucher(credentialSubject=subject)
            recorded = self._recorded({
                **registry.payloads[world.index], "body": {"digest": digest_text(canonical(voucher))},
            })  # fmt: skip
            yield f"disclosing {name}", {
                **recorded, "disclosures": {name: given}, "status": world.status_list, "voucher": voucher,
            }  # fmt: skip

    def _signed_note(self, text: str) -> str:
        """The note of any text, under the log's key."""
        key = self.world.registry.log_key
        known = notes.verifier_key(self.world.registry.origin, public_of(key))
        value = key.sign(text.encode())
        return f"{text}\n" + notes.signature_line(
            notes.Signature(known.name, known.key_hash, value)
        )

    def _recorded(self, payload: Any, **entry: Any) -> dict[str, Any]:
        """The bundle of a record that the log took as it is; `entry` changes its public leaf."""
        registry = Registry()
        registry.record("resource.listed", "resource", "resource-1", {})
        index = registry.record("resource.listed", "resource", "resource-2", {})
        salt = registry.salts[index]
        leaf = {
            **bundles.entry_of(payload, bundles.payload_digest(salt, canonical(payload))),
            **entry,
        }
        registry.leaves[index] = merkle.leaf_hash(canonical(leaf))
        return {**registry.bundle(index), "entry": leaf, "payload": payload}

    def _odd_receipts(self) -> Iterator[tuple[str, Any]]:
        registry = self.world.registry
        one = {"at": instant(ISSUED), "digest": "sha256:" + "ab" * 32, "kind": "x", "leaf_index": 3}
        document = {
            "issued_at": instant(ISSUED), "issuer": registry.did, "log": registry.origin, "records": [one],
            "type": "shuzheng/receipt", "v": 1,
        }  # fmt: skip
        two = {**one, "leaf_index": 4}
        for what, change in {
            "of one place twice": {"records": [one, one]}, "backwards": {"records": [two, one]},
            "in order": {"records": [one, two]}, "of nothing": {"records": []},
            "of another log": {"log": "other"}, "of another time": {"issued_at": instant(NOW)},
            "of a record before all": {"records": [{**one, "leaf_index": -1}]},
            "of a record at true": {"records": [{**one, "leaf_index": True}]},
            "of a record of no time": {"records": [{**one, "at": "now"}]},
            "of a record of no digest": {"records": [{**one, "digest": "md5:ab"}]},
            "of version true": {"v": True}, "with more": {"more": 1},
        }.items():  # fmt: skip
            yield what, sign({**document, **change}, registry.credential_key, ISSUED)
        stranger = {**document, "issuer": did_key(public_of(private_key("stranger")))}
        yield "of a stranger", sign(stranger, private_key("stranger"), ISSUED)
        late = {**document, "issued_at": instant(ISSUED - SECOND)}
        yield "before the key's time", sign(late, registry.credential_key, ISSUED - SECOND)
        mine = sign(document, registry.credential_key, ISSUED)
        yield "of another issuer", {**mine, "issuer": stranger["issuer"]}

    def _odd_packages(self) -> Iterator[tuple[str, bytes]]:
        world = self.world
        data = {
            name[5:]: content for name, content in world.files.items() if name.startswith("data/")
        }
        body = {"voucher_id": "voucher-1"}
        foreign = canonical(self.attacker.registry.bundle(self.attacker.registration))
        for what, more in {
            "as it is": {}, "with a list in other spelling": {"list.json": b"{ }"},
            "with a list": {"list.json": b"{}"}, "with text": {"list.txt": b"{ }"},
            "with an odd record": {"records/x.json": b"{}"},
            "with a record of another log": {"records/x.json": foreign},
            "with a text among the records": {"records/x.txt": b"{"},
            "with another voucher": {"voucher.json": b"{}"}, "with an odd bundle": {"bundle.json": b"[]"},
            "with a record as bundle": {"bundle.json": data["records/registration.json"]},
            "with names beyond ASCII": {"\u6570.txt": b"x", "\U0001f600": b"", "\uff21": b""},
        }.items():  # fmt: skip
            bag = bundles.make_bag({**data, **more}, {})
            yield what, self._packed(bag, "package.packed", body)
        bag = bundles.make_bag(data, {})
        yield "of another kind", self._packed(bag, "package.unpacked", body)
        for name in (
            "data/sample.csv",
            "bag-info.txt",
            "manifest-sha256.txt",
            "tagmanifest-sha256.txt",
        ):
            rest = {other: content for other, content in bag.items() if other != name}
            for what, odd in {
                "without": rest, "with more in": {**bag, name: bag[name] + b"\n"},
                "with nothing in": {**bag, name: b""}, "with a line twice in": {**bag, name: bag[name] * 2},
                "with another beside": {**bag, f"{name}.txt": b""},
            }.items():  # fmt: skip
                packed = bundles.write_zip({**odd, "proof.json": canonical(world.proof)})
                yield f"{what} {name}", packed
        for name in ("a\\b", "../b", "./b", "b/", "/b", "a\nb", "a\x7f", "a\x1f", "a b", "..b"):
            odd = bundles.make_bag({**data, name: b"x"}, {})
            yield f"with the name {name!r}", self._packed(odd, "package.packed", body)
        for number in ("voucher-2", None):
            yield f"for {number}", self._packed(bag, "package.packed", {"voucher_id": number})
        for declared in (b"", b"BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n"):
            tags = {
                **{n: c for n, c in bag.items() if not n.startswith(("data/", "tag"))},
                "bagit.txt": declared,
            }
            lines = "".join(f"{sha256(tags[name]).hex()}  {name}\n" for name in sorted(tags))
            odd = {**bag, **tags, "tagmanifest-sha256.txt": lines.encode()}
            yield f"declared {declared!r:.20}", self._packed(odd, "package.packed", body)

    def _packed(self, bag: dict[str, bytes], kind: str, body: dict[str, Any]) -> bytes:
        """A package that the log recorded as it is."""
        registry = World().registry
        body = {**body, "tag_manifest": digest_text(bag["tagmanifest-sha256.txt"])}
        index = registry.record(kind, "package", "package-2", body, at=LISTED)
        return bundles.write_zip({**bag, "proof.json": canonical(registry.bundle(index))})

    def _odd_proofs(self) -> Iterator[tuple[str, str]]:
        registry, index = self.world.registry, self.world.index
        proper = notes.parse_tlog_proof(self.documents["tlog-proof"].decode())
        _, inclusion, note, extra = proper
        entry = parse(extra)
        for what, value in {
            "of true": {**entry, "v": True}, "of more": {**entry, "more": 1},
            "of no time": {**entry, "at": 5}, "of no digest": {**entry, "digest": "x"},
            "of no kind": {**entry, "kind": None}, "of a list": [entry],
        }.items():  # fmt: skip
            yield f"{what}", notes.format_tlog_proof(index, inclusion, note, canonical(value))
        yield "of text", notes.format_tlog_proof(index, inclusion, note, b"entry")
        yield "pretty", notes.format_tlog_proof(index, inclusion, note, extra + b"\n")
        for hashes in ([], inclusion[:-1], [*inclusion, bytes(32)], [bytes(31)], inclusion * 40):
            yield f"of {len(hashes)} hashes", notes.format_tlog_proof(index, hashes, note, extra)
        for place in (0, index - 1, index + 1, self.world.size, 10**18, 10**19):
            yield f"at {place}", notes.format_tlog_proof(place, inclusion, note, extra)
        sizes = (self.world.size - 1, self.world.final_size)
        for size in sizes:
            yield (
                f"at size {size}",
                notes.format_tlog_proof(index, inclusion, registry.note(size), extra),
            )

    def _odd_cosignatures(self) -> Iterator[tuple[str, str]]:
        text = self.world.document["checkpoint"].partition("\n\n")[0] + "\n"
        first, second = WITNESSES
        key = cosigner_key(first, public_of(private_key(first)))

        def line(
            seconds: int, message: str | None = None, more: bytes = b"", width: int = 8
        ) -> str:
            said = f"cosignature/v1\ntime {seconds}\n{text}" if message is None else message
            value = seconds.to_bytes(width) + private_key(first).sign(said.encode()) + more
            return notes.signature_line(notes.Signature(first, key.key_hash, value))

        good, other = line(1_788_000_000), cosign(text, second, private_key(second), LISTED)
        yield "by two", good + other
        yield "by two, backwards", other + good
        yield "twice", good + line(1_788_000_001)
        yield "at no time", line(0)
        yield "at the first second", line(1)
        yield "at the last second", line(253402300799)
        yield "after the last second", line(253402300800)
        yield "at the end of time", line(2**64 - 1)
        yield "too long", line(1_788_000_000, more=b"\0")
        yield "too short", line(1_788_000_000, width=4)
        yield "with another time", line(1_788_000_000, f"cosignature/v1\ntime 1788000001\n{text}")
        yield "with the text alone", line(1_788_000_000, text)
        yield "by a name without key", good.replace(first, "witness.example/0")
        yield "by a stranger between", good + good.replace(first, first + "x") + other
        yield "by nobody", ""
        strangers = [f"— z{n:03} {'A' * 96}\n" for n in range(70)]
        for count in (63, 64):
            yield f"by {count} strangers", "".join(strangers[:count])
        log = self.world.document["checkpoint"].partition("\n\n")[2]
        yield "and by the log wrongly", log[:-5] + "AAA=\n"
        yield "and by the log again", log

    def _odd_trusts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        trust, size, origin = self.world.trust, self.world.size, self.world.registry.origin
        old, ours = (
            public_of(key) for key in (private_key("old log"), self.world.registry.log_key)
        )
        vkeys = [notes.verifier_key(origin, public).spelled() for public in (ours, old)]
        for since, until in (
            (0, size - 1),
            (0, size),
            (size, size),
            (size, None),
            (size + 1, None),
            (9, 1),
        ):
            keys = [{"from_size": since, "until_size": until, "vkey": vkey} for vkey in vkeys]
            yield f"{since} to {until}", {**trust, "log": {"keys": keys[:1], "origin": origin}}
            yield f"both {since} to {until}", {**trust, "log": {"keys": keys, "origin": origin}}
        for what, vkey in {
            "of a plus": vkeys[0].replace(origin, "a+b"), "of 32 bytes": vkeys[0][:-4],
            "of 36 bytes": vkeys[0] + "AAAA", "of capitals": vkeys[0].upper(),
            "of another hash": "x+" + vkeys[0], "of a wrong hash": vkeys[0].replace("+", "+0", 1),
            "of a key's other hash": f"{origin}+00000000+" + vkeys[0].split("+", 2)[2],
            **{f"of {n} bytes too many": _vkey(origin, b"\x01" + ours + bytes(n)) for n in (1, 3)},
            **{f"of {n} bytes too few": _vkey("w", b"\x04" + old[: 32 - n]) for n in (1, 31)},
            "of another name": notes.verifier_key("other", ours).spelled(),
            "of a witness": cosigner_key(origin, ours).spelled(),
        }.items():  # fmt: skip
            one = {"from_size": 0, "until_size": None, "vkey": vkey}
            yield f"with a key {what}", {**trust, "log": {"keys": [one], "origin": origin}}
            yield f"with a witness {what}", {**trust, "witnesses": [vkey]}
        for what, names in {
            "of one key": [("a", old), ("b", old)], "of the log's key": [("a", ours)],
            "of the log's name": [(origin, old)], "of one name": [("a", old), ("a", bytes(32))],
        }.items():  # fmt: skip
            witnesses = [cosigner_key(name, public).spelled() for name, public in names]
            for quorum in (0, 1, 2, 3, True, None):
                yield f"with witnesses {what}, {quorum}", {
                    **trust, "witness_quorum": quorum, "witnesses": witnesses,
                }  # fmt: skip

    def _odd_rows(self) -> Iterator[tuple[str, Any]]:
        proof = self.parsed("row")
        for index in (-1, 0, 3, 4, 5, True, None, 2**40):
            yield f"at {index}", {**proof, "row_index": index}
        for count in (0, 1, 4, 6, True, None, -1):
            yield f"of {count}", {**proof, "bundle": self._batch(count=count)}
        for root in (None, "ab", "00" * 32, "AB" * 32):
            yield f"under {root}", {**proof, "bundle": self._batch(root=root)}
        yield "of another kind", {**proof, "bundle": self._batch(kind="usage.counted")}
        for path in ([], proof["inclusion"][:-1], [*proof["inclusion"], "00" * 32], ["ab"], None):
            yield f"by {path}", {**proof, "inclusion": path}
        for bundle in (
            None,
            {},
            {"payload": {}},
            {"payload": {"body": {}, "kind": "usage.recorded"}},
        ):
            yield f"in {bundle}", {**proof, "bundle": bundle}
        yield "of another log", {**proof, "bundle": {**proof["bundle"], "chain": {}}}

    def _odd_lines(self) -> Iterator[tuple[str, Any]]:
        proof = self.parsed("line")
        bare = {name: value for name, value in proof.items() if name not in ("issuer", "proof")}
        first, second = proof["lines"]
        for what, change in (
            *((f"of {count} lines", {"line_count": count}) for count in (0, 3, 4, 6, 9, True, None, "5")),
            *((f"at {n}", {"lines": [{**first, "index": n}]}) for n in (-1, 1, 4, 5, True, None, 2**40)),
            *((f"by {path}", {"lines": [{**first, "inclusion": path}]})
              for path in ([], first["inclusion"][:-1], [*first["inclusion"], "00" * 32], ["ab"], None)),
            *((f"of {line}", {"lines": [{**first, "line": line}]})
              for line in (None, [], {}, {"amount_fen": "1", "party": "a"}, {"amount_fen": 1},
                           {**first["line"], "more": 1}, {**first["line"], "amount_fen": True})),
            *((f"with {lines}"[:40], {"lines": lines})
              for lines in (None, [], {}, [None], [second, first], [first, first])),
            *((f"under {root}", {"line_root": root}) for root in (None, "ab", "00" * 32, "AB" * 32)),
            *((f"as {key}", {"key": key}) for key in (None, "", "0x", "00" * 32, "0X" + "00" * 32)),
            *((f"with digest {digest}", {"digest": digest}) for digest in (None, "", "sha256:")),
            *((f"on {chain}", {"chain": chain}) for chain in (None, [], {})),
            *((f"on a chain with {more}", {"chain": {**proof["chain"], **more}})
              for more in ({"more": 1}, {"chain_id": True}, {"revenue_book": None})),
            *((f"of log {log}", {"log": log}) for log in (None, "", "other.example/log")),
            ("issued at another time", {"issued_at": instant(LISTED)}),
            ("without time", {"issued_at": None}),
            ("of version 2", {"v": 2}), ("of version true", {"v": True}), ("with more", {"more": 1}),
            ("of a number that is none", {"statement": 5}),
        ):  # fmt: skip
            yield what, self._signed_by({**bare, **change}, self.world.registry.credential_key)
        yield "by a stranger", self._signed_by(bare, private_key("stranger"))
        yield (
            "two payees'",
            self._signed_by(
                {**bare, "lines": [first, {**second, "line": {**second["line"], "party": "x"}}]},
                self.world.registry.credential_key,
            ),
        )

    def _signed_by(self, document: dict[str, Any], key: Any) -> dict[str, Any]:
        return sign({**document, "issuer": did_key(public_of(key))}, key, ISSUED)

    def _batch(self, kind: str = "usage.recorded", **change: Any) -> dict[str, Any]:
        """The bundle of a batch of five rows, as the log recorded it."""
        count = change.get("count", len(ROWS))
        root = change.get("root", merkle.root(ROW_HASHES).hex())
        registry = Registry()
        body = {"batch_root": root, "row_count": count}
        return registry.bundle(registry.record(kind, "usage", "usage-1", body))

    def parsed(self, name: str) -> Any:
        return parse(self.documents[name])

    def repacked(self, bundle: bytes) -> bytes:
        """The package with another bundle in it, its lists and its record made anew by the registry."""
        world = self.world
        data = {
            name[5:]: content for name, content in world.files.items() if name.startswith("data/")
        }
        return bundles.write_zip({
            **bundles.make_bag({**data, "bundle.json": bundle}, {}), "proof.json": canonical(world.proof),
        })  # fmt: skip

    def cosigned(self, *names: str, at: datetime = LISTED) -> dict[str, Any]:
        """The bundle with cosignatures."""
        document = self.world.document
        text = document["checkpoint"].partition("\n\n")[0] + "\n"
        lines = [cosign(text, name, private_key(name), at) for name in names]
        return {**document, "checkpoint": document["checkpoint"] + "".join(lines)}

    def trust_of_two(self, **changes: Any) -> dict[str, Any]:
        keys = [cosigner_key(name, public_of(private_key(name))).spelled() for name in WITNESSES]
        return {**self.world.trust, "witness_quorum": 2, "witnesses": keys, **changes}

    def _documents(self) -> dict[str, bytes]:
        world, registry = self.world, self.world.registry
        document = world.document
        record = {"at": instant(ISSUED), "digest": "sha256:" + "ab" * 32, "kind": "resource.listed"}
        receipt = make(
            registry.origin, [{**record, "leaf_index": index} for index in (3, 4)],
            registry.credential_key, ISSUED,
        )  # fmt: skip
        inclusion = [bytes.fromhex(value) for value in document["inclusion"]]
        proof = notes.format_tlog_proof(
            world.index, inclusion, document["checkpoint"], canonical(document["entry"])
        )
        fork = World()
        fork.registry.leaves[0] = fork.registry.leaves[1]
        return {
            "bundle": world.bundle,
            "package": world.package,
            "voucher": world.voucher,
            "receipt": canonical(receipt),
            "tlog-proof": proof.encode(),
            "row": canonical({
                "bundle": self._batch(),
                "inclusion": [h.hex() for h in merkle.inclusion_proof(ROW_HASHES, 3, len(ROWS))],
                "row": ROWS[3], "row_index": 3, "salt": "03" * 16, "type": "shuzheng/usage-row", "v": 1,
            }),
            "line": canonical(world.line_proof()),
            "record": canonical(registry.bundle(world.registration)),
            "withheld": canonical({**document, "disclosures": {}}),
            "without list": canonical({**document, "status": None}),
            "without voucher": canonical(
                {**document, "disclosures": {}, "status": None, "voucher": None}
            ),
            "at a later size": canonical(registry.bundle(
                world.index, world.final_size, voucher=world.credential, status=world.status_list
            )),
            "of another voucher": canonical(
                registry.bundle(world.other, voucher=world.credential)
            ),
            "signed anew": canonical(registry.voucher(signed_at=ISSUED + timedelta(days=1))),
            "of no type": canonical(registry.voucher(type=["VerifiableCredential"])),
            "of another list": canonical(registry.voucher(status_index=40_000_000)),
            "two keys": canonical({**document, "checkpoint": registry.note(
                world.size, registry.log_key, private_key("old log")
            )}),
            "cosigned": canonical(self.cosigned(*WITNESSES)),
            "cosigned once": canonical(self.cosigned(WITNESSES[0])),
            "cosigned by a stranger": canonical(self.cosigned(WITNESSES[0], "witness.example/x")),
            "fork": canonical(fork.registry.bundle(
                fork.index, fork.size, voucher=fork.credential, status=fork.status_list
            )),
            "the attacker's bundle": self.attacker.bundle,
            "the attacker's package": self.attacker.package,
            "the attacker's voucher": self.attacker.voucher,
            "print": b"%PDF-1.7\n",
            "nothing": b"",
            "an empty ZIP": bundles.write_zip({}),
        }  # fmt: skip

    def _trusts(self) -> dict[str, bytes | None]:
        world, trust = self.world, self.world.trust
        origin = world.registry.origin
        old, ours = (
            notes.verifier_key(origin, public_of(key)).spelled()
            for key in (private_key("old log"), world.registry.log_key)
        )

        def chain(**changes: Any) -> dict[str, Any]:
            return {**trust, "chain": {**trust["chain"], **changes}}

        def keys(*found: tuple[int, int | None, str]) -> dict[str, Any]:
            made = [{"from_size": a, "until_size": b, "vkey": key} for a, b, key in found]
            return {**trust, "log": {"keys": made, "origin": origin}}

        def issuer(since: datetime, until: datetime | None) -> dict[str, Any]:
            ends = until and instant(until)
            one = {"did": world.registry.did, "valid_from": instant(since), "valid_until": ends}
            return {**trust, "credential_keys": [one]}

        capitals = {name: "0x" + address[2:].upper() for name, address in CONTRACTS.items()}
        made: Mapping[str, dict[str, Any]] = {
            "own": trust,
            "embedded": chain(embedded=True),
            "capitals": chain(contracts=capitals),
            "another chain": chain(chain_id=2),
            "another genesis": chain(genesis="0x" + "11" * 32),
            "another anchor": chain(contracts={**CONTRACTS, "CheckpointAnchor": "0x" + "11" * 20}),
            "no anchor": chain(contracts={"VoucherRegistry": CONTRACTS["VoucherRegistry"]}),
            "no book": chain(contracts={n: a for n, a in CONTRACTS.items() if n != "RevenueBook"}),
            "no issuer": {**trust, "credential_keys": []},
            "no log key": keys(),
            "rotated before": keys((0, world.size - 1, old), (world.size, None, ours)),
            "rotated after": keys((0, world.size, old), (world.size + 1, None, ours)),
            "issuer retired": issuer(ISSUED, LISTED),
            "issuer too late": issuer(ISSUED + SECOND, None),
            "issuer too early": issuer(ISSUED, LISTED - SECOND),
            "two witnesses": self.trust_of_two(),
            "one of two": self.trust_of_two(witness_quorum=1),
            "none of two": self.trust_of_two(witness_quorum=0),
            "three of two": self.trust_of_two(witness_quorum=3),
            "a witness twice": self.trust_of_two(witnesses=self.trust_of_two()["witnesses"][:1] * 2),
            "a log key as witness": {**trust, "witnesses": [ours]},
            "another version": {**trust, "v": True},
        }  # fmt: skip
        return {
            **{name: canonical(document) for name, document in made.items()},
            "the attacker's": self.attacker.trust_file,
            "missing": None,
            "a bundle": world.bundle,
            "pretty": world.trust_file + b"\n",
        }

    def _lists(self) -> dict[str, bytes | None]:
        registry, newer = self.world.registry, later(hours=-1)
        made = {
            **{str(n): registry.status_list({5: n}, newer) for n in (1, 2, 3, 4, 5, 6, 7, 9, 15)},
            "unlisted": registry.status_list({4: 1, 6: 1}, newer),
            "older, revoked": registry.status_list({5: 3}, LISTED - timedelta(days=1)),
            "older, valid": registry.status_list({5: 1}, LISTED - timedelta(days=9)),
            "run out": registry.status_list({5: 1}, LISTED, later(seconds=-1)),
            "a stranger's": registry.status_list({5: 1}, key=private_key("stranger")),
            "of another id": registry.status_list({5: 1}, id="urn:shuzheng:other:status"),
            "of another type": registry.status_list({5: 1}, type=["VerifiableCredential"]),
            "long": registry.status_list({5: 1}, NOW, LAPSES + timedelta(days=1)),
        }
        packed = encode_status_list({5: 1}, 16)
        largest = encode_status_list({5: 1}, 2 * STATUS_LIST_BYTES_MAX - 2)
        for what, encoded in {
            "too large": encode_status_list({5: 1}, 2 * STATUS_LIST_BYTES_MAX + 2),
            "as large as can be": largest,
            "cut": packed[:-8],
            "padded": packed + "=",
            "followed by more": packed + "AAAA",
            "in another base": "z" + packed[1:],
            "empty": "u",
            "no gzip": "uAAAA",
            "none": None,
        }.items():
            subject = {**self.world.status_list["credentialSubject"], "encodedList": encoded}
            made[f"bits {what}"] = registry.status_list({}, newer, credentialSubject=subject)
        return {
            **{name: canonical(document) for name, document in made.items()},
            "own": self.world.status,
            "missing": None,
            "a voucher": self.world.voucher,
            "a text": b'"valid"',
            "pretty": self.world.status + b"\n",
        }


def _vkey(name: str, material: bytes) -> str:
    """A key of any bytes, spelled with the hash that belongs to them."""
    hashed = sha256(name.encode() + b"\n" + material)[:4].hex()
    return f"{name}+{hashed}+{base64.b64encode(material).decode()}"


def changed(document: Any) -> Iterator[tuple[str, bytes]]:
    """The document with any value replaced by any other kind of value, taken out, doubled, put in."""
    for path in paths(document):
        for value in OLD:
            yield f"{value!r} at {path}", canonical(put(document, path, value))
        for number, other in enumerate(rearranged(document, path)):
            yield f"{path} rearranged, {number}", canonical(other)


def bitten(data: bytes, step: int = 7) -> Iterator[tuple[str, bytes]]:
    """The file with a bit flipped here and there, cut short, or longer."""
    for place, other in flips(data, step):
        yield f"bit flipped at {place}", other
    for place in range(0, len(data), max(1, len(data) // 40)):
        yield f"cut at {place}", data[:place]
        yield f"without byte {place}", data[:place] + data[place + 1 :]
        yield f"byte doubled at {place}", data[: place + 1] + data[place:]
    for more in (b" ", b"\n", b"\0", b"{}", data):
        yield f"with {more[:9]!r} behind", data + more
        yield f"with {more[:9]!r} before", more + data


def respelled(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The same JSON in other spellings, and what no JSON is."""
    for old, new in (
        (b'"v":1', b'"v":1.0'), (b'"v":1', b'"v":1e0'), (b'"v":1', b'"v":01'), (b'"v":1', b'"v":-0'),
        (b'"v":1', b'"v":1,"v":1'), (b'"v":1', b'"v":true'), (b'"v":1', b'"v": 1'), (b'"v":1', b'"v":"1"'),
        (b'"v":1', b'"v":9007199254740992'), (b'"v":1', b'"v":' + b"9" * 5000), (b'"v":1', b'"v":NaN'),
        (b'"v":1', b'"v":' + b"[" * 66 + b"]" * 66), (b'"v":1', b'"v":' + b"[" * 200_000),
        (b'"v":1', b'"v":"\\ud800"'), (b'"v":1', b'"\xc3\xa9":1,"v":1'), (b'"v":1', b'"\\u0076":1'),
        (b'"type"', b'"\\u0074ype"'), (b"/", b"\\/"), (b"\xe5\x9f\x8e", b"\\u57ce"), (b"0", b"\xd9\xa0"),
        (b'"', b"'"), (b"null", b"None"), (b"\\n", b"\\u000a"), (b"\\n", b"\n"), (b"2026", b"\xff026"),
        (b"2026", b"\xed\xa0\x80"), (b"2026", b"2O26"), (b":", b" :"), (b",", b",\n"), (b"Z", b"+00:00"),
        (b"T09:30:00Z", b"T09:30:60Z"), (b"T00:00:00Z", b"T24:00:00Z"), (b"T", b" "),
    ):  # fmt: skip
        if old in data:
            yield f"{old!r} spelled {new[:20]!r}", data.replace(old, new, 1)
            yield f"{old!r} spelled {new[:20]!r} throughout", data.replace(old, new)
    for head in (b"\xef\xbb\xbf", b"\xff\xfe", b" ", b"[", b"PK", b"PK\x03\x04", b"%PDF-", b"\0"):
        yield f"{head!r} before", head + data
    yield "in UTF-16", data.decode("utf-8", "replace").encode("utf-16")


def renoted(note: str) -> Iterator[tuple[str, str]]:
    """A note whose lines were taken out, doubled, exchanged, or spelled otherwise."""
    lines = note.splitlines(keepends=True)
    for place, line in enumerate(lines):
        yield f"without line {place}", "".join(lines[:place] + lines[place + 1 :])
        yield f"line {place} twice", "".join(lines[: place + 1] + lines[place:])
        for other in (
            "\n", line.upper(), line.lower(), line.replace(" ", "  "), line.replace("—", "-"),
            line.replace("=", ""), line.replace("+", "-"), " " + line, line[:-1], line[:-1] + " \n",
            line[:-1] + "\r\n", line[:-1] + "=\n", "0" + line, "-" + line, "٣\n", "9" * 30 + "\n",
            "9223372036854775808\n", "— a+b AAAAAAA=\n", "— a AAAA\n", "— a AAAAAAA=\n",
            "— \u3000 AAAAAAA=\n", "— \ufeff AAAAAAA=\n", "— \x85 AAAAAAA=\n", line[:-2] + "A\n",
            "— zz " + "A" * 96 + "\n", "— a " + "A" * 96 + "\n",
        ):  # fmt: skip
            if other != line:
                yield (
                    f"line {place} as {other[:30]!r}",
                    "".join([*lines[:place], other, *lines[place + 1 :]]),
                )
                yield (
                    f"{other[:30]!r} before line {place}",
                    "".join([*lines[:place], other, *lines[place:]]),
                )
        for second in range(place):
            mixed = list(lines)
            mixed[place], mixed[second] = mixed[second], mixed[place]
            yield f"lines {second} and {place} exchanged", "".join(mixed)
    strangers = "".join(f"— s{n:03} {'A' * 96}\n" for n in range(70))
    yield "with seventy more signatures", note + strangers
    yield "with sixty more signatures", note + strangers[: 60 * (strangers.index("\n") + 1)]


def rezipped(data: bytes) -> Iterator[tuple[str, bytes]]:
    """A ZIP made another way, with other files, or with fields changed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for name, content in files.items():
        rest = {other: value for other, value in files.items() if other != name}
        yield f"without {name}", bundles.write_zip(rest)
        yield f"{name} emptied", bundles.write_zip({**rest, name: b""})
        yield f"{name} longer", bundles.write_zip({**rest, name: content + b"\n"})
        for other in (
            f"data/{name}",
            f"./{name}",
            name.upper(),
            f"/{name}",
            f"../{name}",
            f"{name}\n",
        ):
            yield f"{name} as {other!r}", bundles.write_zip({**rest, other: content})
        for second in rest:
            swapped = {**files, name: files[second], second: content}
            yield f"{name} and {second} exchanged", bundles.write_zip(swapped)
    for name in (
        "extra", "data/extra", "data/x.json", "data/records/x.json", "data/é", "data/数", "data/\U0001f600",
        "data/\uff21", "data/a b", "data/a\\b", "data/a\x7f", "data/\x01", "data//a", "data/.", "data/a/",
        "__proto__", "data/__proto__", "constructor",
    ):  # fmt: skip
        yield f"with {name!r}", bundles.write_zip({**files, name: b"{}"})
        inner = {n[5:]: c for n, c in files.items() if n.startswith("data/")}
        if name.startswith("data/"):
            bag = bundles.make_bag({**inner, name[5:]: b"{}"}, {})
            yield (
                f"listed with {name!r}",
                bundles.write_zip({**bag, "proof.json": files["proof.json"]}),
            )
    for what, making in {
        "deflated": {"compression": zipfile.ZIP_DEFLATED}, "of today": {}, "backwards": {},
    }.items():  # fmt: skip
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", **making) as archive:  # type: ignore[arg-type]
            for name in sorted(files, reverse=what == "backwards"):
                time = (1980, 1, 1, 0, 0, 0) if what != "of today" else (2026, 1, 1, 0, 0, 0)
                archive.writestr(zipfile.ZipInfo(name, time), files[name])
            if what == "backwards":
                archive.comment = b"x"
        yield what, out.getvalue()
    with_comment = data[:-2] + struct.pack("<H", 3) + b"abc"
    yield "with a comment", with_comment
    yield "twice its directory", data + data[data.index(b"PK\x01\x02") :]
    for mark, width in ((b"PK\x03\x04", 30), (b"PK\x01\x02", 46), (b"PK\x05\x06", 22)):
        start = data.index(mark)
        for place in range(start, start + width):
            for value in (0, 1, 8, 255):
                other = bytearray(data)
                if other[place] != value:
                    other[place] = value
                    yield f"byte {place - start} of {mark!r} is {value}", bytes(other)


def sample(cases: Iterator[Case], count: int, seed: int = 4) -> list[Case]:
    """As many of the cases, the same ones in each run."""
    found = list(cases)
    return random.Random(seed).sample(found, min(count, len(found)))
