"""A small registry without database or chain: real keys, real proofs, made with the proof library.

The cast: a registry that signs, an exchange that verifies, an attacker who is a registry of his own.
`Chain` stands for the node that the verifier asks: it answers the two contract views by their ABI.
"""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_utils import keccak

from ledger.proof import bundle as bundles
from ledger.proof import checkpoint as notes
from ledger.proof import credential as credentials
from ledger.proof import merkle
from ledger.proof.chain_node import Node
from ledger.proof.cosignature import cosign, cosigner_key, with_lines
from ledger.proof.encoding import canonical, digest_text, instant
from ledger.proof.line import make as make_line_proof
from ledger.proof.report import Report
from ledger.proof.trust import parse_trust
from ledger.proof.verify import verify

ARTIFACTS = Path(__file__).parents[2] / "contracts" / "artifacts"
ORIGIN = "registry.example/log"
CHAIN_ID = 1  # on purpose: Python holds 1 and true to be equal
GENESIS = "0x" + "ab" * 32
CONTRACTS = {
    "CheckpointAnchor": "0x" + "a1" * 20,
    "CirculationRegistry": "0x" + "c2" * 20,
    "RevenueBook": "0x" + "b3" * 20,
    "VoucherRegistry": "0x" + "d4" * 20,
}
HOLDER = "0x" + "5e" * 20
ISSUED = datetime(2026, 8, 3, 9, 30, tzinfo=UTC)
LISTED = datetime(2026, 9, 1, tzinfo=UTC)
NOW = datetime(2026, 9, 2, 12, tzinfo=UTC)
NEXT_LIST = datetime(2026, 9, 8, tzinfo=UTC)
LAPSES = datetime(2029, 8, 2, 15, 59, 59, tzinfo=UTC)
STATUS_ID = f"urn:shuzheng:{ORIGIN}:status"


def secret(name: str) -> bytes:
    """32 bytes that belong to a name, the same in every run."""
    return hashlib.sha256(f"test key {name}".encode()).digest()


def private_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(secret(name))


def public_of(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def witness_keys(*names: str) -> list[str]:
    """The verifier keys of witnesses, as a trust file names them."""
    return [cosigner_key(name, public_of(private_key(name))).spelled() for name in names]


class Registry:
    """A log with its keys; `name` tells honest registry and attacker apart.

    Everything happens `late` after the times that stand above.
    """

    def __init__(
        self, name: str = "registry", late: timedelta = timedelta(), origin: str = ORIGIN
    ) -> None:
        self.origin = origin
        self.late = late
        self.log_key = private_key(f"{name} log")
        self.credential_key = private_key(f"{name} credential")
        self.payloads: list[dict[str, Any]] = []
        self.salts: list[bytes] = []
        self.leaves: list[bytes] = []

    @property
    def did(self) -> str:
        return credentials.did_key(public_of(self.credential_key))

    def record(
        self, kind: str, subject_type: str, subject_id: str, body: Any, at: datetime = ISSUED
    ) -> int:
        """Append a record; its leaf index."""
        index = len(self.leaves)
        payload = {
            "actor": "clerk-1", "at": instant(at + self.late), "body": body, "kind": kind,
            "log": self.origin, "on_behalf_of": None, "prev": None, "reason": None,
            "subject": {"id": subject_id, "type": subject_type}, "v": 1,
        }  # fmt: skip
        salt = secret(f"salt {index}")[:16]
        entry = bundles.entry_of(payload, bundles.payload_digest(salt, canonical(payload)))
        self.payloads.append(payload)
        self.salts.append(salt)
        self.leaves.append(merkle.leaf_hash(canonical(entry)))
        return index

    def root(self, size: int) -> bytes:
        return merkle.root(self.leaves[:size])

    def note(self, size: int, *keys: Ed25519PrivateKey) -> str:
        """The checkpoint at a size, signed by the log's key or those given."""
        text = notes.format_checkpoint(notes.Checkpoint(self.origin, size, self.root(size)))
        signed = [notes.sign(text, self.origin, key) for key in keys or (self.log_key,)]
        return with_lines(signed[0], "".join(note[len(text) + 1 :] for note in signed[1:]))

    def cosigned(self, size: int, *names: str, at: datetime = LISTED) -> str:
        """The checkpoint at a size, cosigned by the witnesses named."""
        note = self.note(size)
        text = notes.parse_note(note)[0]
        return with_lines(note, "".join(cosign(text, n, private_key(n), at) for n in names))

    def bundle(self, index: int, size: int | None = None, **changes: Any) -> dict[str, Any]:
        size = size or len(self.leaves)
        payload, salt = self.payloads[index], self.salts[index]
        return {
            "anchor": {"block": 7, "transaction": "0x" + "77" * 32},
            "chain": {
                "anchor": CONTRACTS["CheckpointAnchor"], "chain_id": CHAIN_ID,
                "genesis": GENESIS, "vouchers": CONTRACTS["VoucherRegistry"],
            },
            "checkpoint": self.note(size),
            "disclosures": {},
            "entry": bundles.entry_of(payload, bundles.payload_digest(salt, canonical(payload))),
            "inclusion": [h.hex() for h in merkle.inclusion_proof(self.leaves, index, size)],
            "leaf_index": index,
            "payload": payload,
            "salt": salt.hex(),
            "status": None,
            "type": "shuzheng/bundle",
            "v": 1,
            "voucher": None,
            **changes,
        }  # fmt: skip

    def voucher(
        self, number: str = "PZ202608-000001-X", status_index: int = 5, **changes: Any
    ) -> dict[str, Any]:
        """A signed voucher; `changes` go into the document before it is signed."""
        signed_at = changes.pop("signed_at", ISSUED + self.late)
        key = changes.pop("key", self.credential_key)
        document = {
            "@context": [credentials.CONTEXT],
            "credentialStatus": {
                "statusListCredential": f"urn:shuzheng:{self.origin}:status",
                "statusListIndex": str(status_index),
                "statusPurpose": "message",
                "statusSize": 4,
                "type": "BitstringStatusListEntry",
            },
            "credentialSubject": {
                "id": f"urn:shuzheng:{self.origin}:holder:{HOLDER}",
                "log": self.origin,
                "nonce": "00" * 16,
                "number": number,
                "rights": ["use"],
                "title": "城市公共停车场泊位数据",
                "withheld": {
                    name: credentials.disclosure_digest(name, disclosure)
                    for name, disclosure in DISCLOSURES.items()
                },
            },
            "id": f"urn:shuzheng:{self.origin}:voucher:{number}",
            "issuer": credentials.did_key(public_of(key)),
            "type": ["VerifiableCredential", "DataAssetVoucher"],
            "validFrom": instant(ISSUED + self.late),
            "validUntil": instant(LAPSES + self.late),
            **changes,
        }
        return credentials.sign(document, key, signed_at)

    def status_list(
        self,
        statuses: Mapping[int, int],
        start: datetime = LISTED,
        end: datetime = NEXT_LIST,
        **changes: Any,
    ) -> dict[str, Any]:
        """A signed status list; `changes` go into the document before it is signed."""
        key = changes.pop("key", self.credential_key)
        signed_at = changes.pop("signed_at", start + self.late)
        document = {
            "@context": [credentials.CONTEXT],
            "credentialSubject": {
                "encodedList": credentials.encode_status_list(statuses, 16),
                "id": f"urn:shuzheng:{self.origin}:status#list",
                "statusPurpose": "message",
                "type": "BitstringStatusList",
            },
            "id": f"urn:shuzheng:{self.origin}:status",
            "issuer": credentials.did_key(public_of(key)),
            "type": ["VerifiableCredential", "BitstringStatusListCredential"],
            "validFrom": instant(start + self.late),
            "validUntil": instant(end + self.late),
            **changes,
        }
        return credentials.sign(document, key, signed_at)

    def trust(self, **changes: Any) -> dict[str, Any]:
        """The trust file's content."""
        vkey = notes.verifier_key(self.origin, public_of(self.log_key)).spelled()
        return {
            "chain": {
                "chain_id": CHAIN_ID, "contracts": CONTRACTS, "embedded": False,
                "genesis": GENESIS,
            },
            "credential_keys": [
                {"did": self.did, "valid_from": instant(ISSUED + self.late), "valid_until": None}
            ],
            "log": {
                "keys": [{"from_size": 0, "until_size": None, "vkey": vkey}],
                "origin": self.origin,
            },
            "type": "shuzheng/trust",
            "v": 1,
            "witnesses": [],
            **changes,
        }  # fmt: skip


DISCLOSURES = {
    name: {"salt": secret(f"disclosure {name}")[:16].hex(), "value": value}
    for name, value in {
        "holder_name": "城数运营有限公司",
        "holder_uscc": "91000000DEM000003F",
    }.items()
}


LINES = [
    {"amount_fen": fen, "en": en, "kind": "party", "party": party, "zh": "分配"}
    for party, fen, en in (
        ("91000000DEM000003F", 1_250_000, "operator"), ("11000000DEM000002L", 700_001, "provider"),
        ("11000000DEM0000061", 49_999, "treasury"), ("91000000DEM000003F", -5, "correction"),
        ("12000000DEM000001E", 0, "registry"),
    )
]  # fmt: skip
LINE_SALTS = [secret(f"line {number}")[:16] for number in range(len(LINES))]
LINE_HASHES = [bundles.row_hash(*pair) for pair in zip(LINE_SALTS, LINES, strict=True)]
STATEMENT_KEY, STATEMENT_DIGEST = secret("statement"), secret("digest of a statement")


class World:
    """A registry that issued one voucher and packed it: the files that an exchange gets."""

    def __init__(
        self,
        name: str = "registry",
        status: int = 1,
        late: timedelta = timedelta(),
        origin: str = ORIGIN,
    ) -> None:
        self.registry = registry = Registry(name, late, origin)
        self.credential = registry.voucher()
        digest = digest_text(canonical(self.credential))
        for number in range(5):
            registry.record("resource.listed", "resource", f"resource-{number}", {"n": number})
        self.registration = registry.record(
            "registration.coded", "registration", "registration-1", {"title": "泊位"}
        )
        body = {"credential": self.credential, "digest": digest, "id": "voucher-1"}
        self.index = registry.record("voucher.issued", "voucher", "voucher-1", body)
        self.other = registry.record("voucher.issued", "voucher", "voucher-2", {"digest": "x"})
        self.size = len(registry.leaves)
        self.status_list = registry.status_list({5: status, 3: 3})
        self.document = registry.bundle(
            self.index, voucher=self.credential, status=self.status_list, disclosures=DISCLOSURES
        )
        self.files = bundles.make_bag(
            {
                "bundle.json": canonical(self.document),
                "records/registration.json": canonical(registry.bundle(self.registration)),
                "sample.csv": b"lot,free\n1,17\n",
                "voucher.json": canonical(self.credential),
            },
            {"External-Identifier": "PZ202608-000001-X"},
        )
        manifest = digest_text(self.files["tagmanifest-sha256.txt"])
        self.packed = registry.record(
            "package.packed", "package", "package-1",
            {"tag_manifest": manifest, "voucher_id": "voucher-1"}, at=LISTED,
        )  # fmt: skip
        self.final_size = len(registry.leaves)
        self.proof = registry.bundle(self.packed)
        self.trust = registry.trust()
        # the handed-out files
        self.bundle = canonical(self.document)
        self.voucher = canonical(self.credential)
        self.status = canonical(self.status_list)
        self.package = bundles.write_zip({**self.files, "proof.json": canonical(self.proof)})
        self.trust_file = canonical(self.trust)

    def line_proof(self, *places: int, **changes: Any) -> dict[str, Any]:
        """The proof of a statement's lines at these places, the operator's if none is named."""
        signer = changes.pop("signer", self.registry.credential_key)
        at = changes.pop("at", ISSUED + self.registry.late)
        facts = {
            "chain": {
                "chain_id": CHAIN_ID, "genesis": GENESIS, "revenue_book": CONTRACTS["RevenueBook"],
            },
            "digest": "sha256:" + STATEMENT_DIGEST.hex(),
            "key": "0x" + STATEMENT_KEY.hex(),
            "line_count": len(LINES),
            "line_root": merkle.root(LINE_HASHES).hex(),
            "lines": [
                {
                    "inclusion": [
                        h.hex() for h in merkle.inclusion_proof(LINE_HASHES, place, len(LINES))
                    ],
                    "index": place, "line": LINES[place], "salt": LINE_SALTS[place].hex(),
                }
                for place in places or (0, 3)
            ],
            "log": self.registry.origin,
            "statement": "FP2026-0001",
            **changes,
        }  # fmt: skip
        return make_line_proof(signer=signer, now=at, **facts)

    def chain(self) -> "Chain":
        """The chain on which this registry anchored and issued, and had a statement approved."""
        key = bundles.voucher_key(self.registry.origin, "PZ202608-000001-X")
        digest = credentials.credential_digest(self.credential)
        chain = Chain(
            {size: self.registry.root(size) for size in (self.size, self.final_size)},
            {key: [digest, 1, 0, int((LAPSES + self.registry.late).timestamp())]},
        )
        chain.statements[STATEMENT_KEY] = [
            STATEMENT_DIGEST,
            merkle.root(LINE_HASHES),
            2,
            1,
            1,
            bytes(32),
        ]
        return chain

    def package_with(self, proof: Any = None, **files: bytes) -> bytes:
        """The package with other files; None for a file takes it out."""
        given = {**self.files, "proof.json": canonical(proof or self.proof), **files}
        return bundles.write_zip({name: data for name, data in given.items() if data is not None})


def check(
    data: bytes,
    trust: bytes | None,
    *,
    node: Node | None = None,
    now: datetime = NOW,
    status: bytes | None = None,
) -> Report:
    """What the exchange sees who checks a file at noon of the day after the list's date."""
    trusted = None if trust is None else parse_trust(trust)
    return verify(data, trusted, now=now, node=node, status=status)


def outcomes(report: Report) -> dict[str, int]:
    """The worst outcome of each step by its name."""
    found: dict[str, int] = {}
    for step in report.steps:
        before = found.get(step.name, 0)
        found[step.name] = 1 if 1 in (before, step.outcome) else max(before, step.outcome)
    return found


def selector(contract: str, function: str) -> str:
    """The first four bytes of Keccak-256 of the signature that the committed ABI gives, in hex."""
    abi = json.loads((ARTIFACTS / f"{contract}.json").read_text())["abi"]
    (entry,) = [e for e in abi if e["type"] == "function" and e["name"] == function]
    signature = f"{function}({','.join(i['type'] for i in entry['inputs'])})"
    return keccak(signature.encode())[:4].hex()


ROOT_OF = selector("CheckpointAnchor", "rootOf")
VERIFY = selector("VoucherRegistry", "verify")
VERIFY_STATEMENT = selector("RevenueBook", "verify")
GET_STATEMENT = selector("RevenueBook", "get")


class Chain:
    """A node's view: `roots` by size, `vouchers` by key: [digest, state, flags, valid until].

    `statements` by key: [digest, line root, state, how many signed, how many must, which it reverses].

    It answers as a node does: an address without code returns nothing, a call that the contract does
    not know or whose words are not of their type reverts.
    """

    def __init__(self, roots: dict[int, bytes], vouchers: dict[bytes, list[Any]]) -> None:
        self.roots, self.vouchers = roots, vouchers
        self.statements: dict[bytes, list[Any]] = {}
        self.chain_id, self.genesis = CHAIN_ID, GENESIS
        self.refuses: set[str] = set()
        self.asked: list[str] = []

    def answer(self, method: str, params: list[Any]) -> Any:
        self.asked.append(method)
        if method in self.refuses:
            raise LookupError(method)
        if method == "eth_chainId":
            return hex(self.chain_id)
        if method == "eth_getBlockByNumber" and params == ["0x0", False]:
            return {"hash": self.genesis, "number": "0x0"}
        if method == "eth_getTransactionReceipt":
            return self.receipt() if params == ["0x" + "77" * 32] else None
        if method == "eth_call" and params[1] == "latest":
            return "0x" + self.call(params[0]["to"], bytes.fromhex(params[0]["data"][2:])).hex()
        raise LookupError(method)

    def receipt(self) -> dict[str, Any]:
        """Of the one transaction by which this world anchored its checkpoints."""
        logs = [
            {
                "address": CONTRACTS["CheckpointAnchor"],
                "blockNumber": "0x7",
                "topics": ["0x" + "00" * 32, f"0x{size:064x}", "0x" + root.hex()],
            }
            for size, root in self.roots.items()
        ]
        return {"blockNumber": "0x7", "logs": logs, "status": "0x1"}

    def call(self, address: str, data: bytes) -> bytes:
        chosen, words = data[:4].hex(), [data[i : i + 32] for i in range(4, len(data), 32)]
        numbers = [int.from_bytes(word) for word in words]
        if address == CONTRACTS["CheckpointAnchor"] and chosen == ROOT_OF:
            if len(data) != 36 or numbers[0] >= 1 << 64:
                raise LookupError("revert")
            return self.roots.get(numbers[0], bytes(32))
        if address == CONTRACTS["VoucherRegistry"] and chosen == VERIFY:
            if len(data) != 100 or numbers[2] >= 1 << 40:
                raise LookupError("revert")
            verdict = self.verdict(words[0], words[1], numbers[2])
            version = 1 if words[0] in self.vouchers else 0
            return verdict.to_bytes(32) + version.to_bytes(32)
        if address == CONTRACTS["RevenueBook"] and chosen == VERIFY_STATEMENT:
            if len(data) != 100:
                raise LookupError("revert")
            digest, root, state, *_ = self.statements.get(words[0], [b"", b"", 0])
            matches = [digest, root] == words[1:]
            return b"".join(n.to_bytes(32) for n in (matches, state, int(state > 0)))
        if address == CONTRACTS["RevenueBook"] and chosen == GET_STATEMENT:
            if len(data) != 36:
                raise LookupError("revert")
            held = self.statements.get(words[0])
            if held is None:
                return bytes(256)
            digest, root, state, signed, due, reverses = held
            facts = (int("a1" * 20, 16), 1 + signed, state, due, signed, int(any(reverses)))
            return b"".join(n.to_bytes(32) for n in facts) + keccak(digest + root) + reverses
        if address in CONTRACTS.values():
            raise LookupError("revert")
        return b""

    def verdict(self, key: bytes, digest: bytes, time: int) -> int:
        """`VoucherRegistry.verify`, by the numbers of `IVoucherRegistry.Verdict` and `State`."""
        if key not in self.vouchers:
            return 0
        held, state, flags, until = self.vouchers[key]
        if held != digest:
            return 1
        if state in (3, 4, 5):
            return state + 3
        if flags & 2:
            return 5
        if state == 2:
            return 4
        return 3 if time > until else 2


class _Server(http.server.ThreadingHTTPServer):
    chain: Chain
    daemon_threads = True


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        reply = {"id": asked["id"], "jsonrpc": "2.0"}
        try:
            reply["result"] = self.server.chain.answer(asked["method"], asked["params"])
        except LookupError as error:
            reply["error"] = {"code": 3, "message": str(error)}
        body = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serve(server: http.server.HTTPServer) -> Iterator[str]:
    """The address of a server that answers on loopback while the block runs."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def chain_server() -> _Server:
    return _Server(("127.0.0.1", 0), _Handler)


def later(**more: float) -> datetime:
    return NOW + timedelta(**more)
