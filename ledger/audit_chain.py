"""What must have happened on chain, derived from the records, beside what the contracts say happened.

    record of a voucher, version v       VoucherRegistry.Changed        (voucher, v, reason = its digest)
    licence granted, revoked             CirculationRegistry.Granted, Revoked   (voucher, n, 1 or 2, reason)
    statement proposed, then decided     RevenueBook.Changed            (statement, 1 or 2, reason)

Both ways: each due step has its event, unless its act is on its way, and each event is of a due step. All
is as of one block, taken before the database is looked at: whatever the chain shows, its record is there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ledger import statements
from ledger.audit_findings import Findings
from ledger.chain.gateway import Gateway
from ledger.chain.outbox import OPEN, Act, Deployment, told
from ledger.errors import LedgerError
from ledger.proof.bundle import voucher_key
from ledger.proof.encoding import digest_bytes, parse_instant, unhex
from ledger.registration import RIGHTS
from ledger.voucher_rows import KINDS, rights_mask

WINDOW = 20_000  # blocks whose events are asked for at once
ON_ITS_WAY = timedelta(hours=1)  # how long an act may be, before it is told as missing
VOUCHERS, LICENCES, BOOK = "VoucherRegistry", "CirculationRegistry", "RevenueBook"
STATE_ON_CHAIN = {"valid": 1, "suspended": 2, "revoked": 3, "cancelled": 4, "superseded": 5}
VERB_ON_CHAIN = {
    "voucher.issued": 0, "voucher.suspend": 1, "voucher.resume": 2, "voucher.revoke": 3,
    "voucher.cancel": 4, "voucher.renew": 5, "voucher.supersede": 6, "voucher.split": 6,
    "voucher.transfer": 7, "voucher.pledge": 8, "voucher.release": 9, "voucher.freeze": 10,
    "voucher.unfreeze": 11, "voucher.replace_key": 12, "voucher.used": 13,
}  # fmt: skip
PLEDGED, FROZEN = 1, 2
VOUCHER_FIELDS = ("holder", "valid_until", "version", "state", "flags", "kind", "rights", "digest",
                  "max_uses", "used")  # fmt: skip
LICENCE_FIELDS = ("licensee", "from", "until", "right", "version", "terms")
# Of each event of our contracts: what its arguments are called here.
EVENTS: dict[tuple[str, str], dict[str, str]] = {
    (VOUCHERS, "Changed"): {
        "reason": "reason", "verb": "verb", "newState": "state", "holder": "holder",
        "digest": "digest",
    },
    (LICENCES, "Granted"): {
        "reason": "reason", "licensee": "licensee", "right": "right", "from": "from",
        "until": "until", "termsDigest": "terms",
    },
    (LICENCES, "Revoked"): {"reason": "reason"},
    (BOOK, "Changed"): {"reason": "reason", "newState": "state"},
}  # fmt: skip
# Events that only come beside one of those: whose, and the arguments compared with the first step's.
BESIDE: dict[tuple[str, str], dict[str, str]] = {
    (VOUCHERS, "Issued"): {
        "validUntil": "valid_until", "kind": "kind", "rights": "rights", "maxUses": "max_uses",
    },
    (BOOK, "Proposed"): {"digest": "digest", "lineRoot": "line_root"},
    (BOOK, "Approved"): {}, (BOOK, "Reversed"): {},
}  # fmt: skip
# Events beside a step that says no version: whose verb, and what of it one such step must have.
OF_A_STEP: dict[str, tuple[int, dict[str, str]]] = {
    "Renewed": (5, {"validUntil": "valid_until"}),
    "SucceededBy": (6, {"successor": "successors"}),
    "UsesAdded": (13, {"used": "used"}),
}


@dataclass(frozen=True)
class Chain:
    """The contracts as of one block."""

    gateway: Gateway
    deployment: Deployment
    block: int

    def call(self, contract: str, function: str, *arguments: Any) -> Any:
        address = self.deployment.contracts[contract]
        return self.gateway.call(contract, address, function, *arguments, block=self.block)

    def events(self, contract: str, event: str, first: int, last: int) -> list[dict[str, Any]]:
        address = self.deployment.contracts[contract]
        return self.gateway.events(contract, address, event, first, to_block=last)


class Dues:
    """Notes the step on chain that each record of a voucher, a licence or a statement must have made."""

    def __init__(self, findings: Findings, origin: str) -> None:
        self.findings, self.origin = findings, origin
        self.watched = {
            "voucher": self._voucher, "licence": self._licence, "statement": self._statement,
        }  # fmt: skip

    def _voucher(self, index: int, digest: str, payload: Mapping[str, Any]) -> None:
        body = payload["body"]
        try:
            state = {
                "digest": _hex(digest_bytes(body["digest"])),
                "flags": (PLEDGED if body["pledged"] else 0) | (FROZEN if body["frozen"] else 0),
                "holder": body["holder_address"].lower(),
                "kind": KINDS[body["kind"]],
                "max_uses": body.get("max_uses") or 0,
                "rights": rights_mask(body["rights"]),
                "state": STATE_ON_CHAIN[body["state"]],
                "used": body.get("used") or 0,
                "valid_until": _seconds(body["valid_until"]),
                "version": body["version"],
            }
            event = {name: state[name] for name in ("digest", "holder", "state")}
            if payload["kind"] in VERB_ON_CHAIN:
                event["verb"] = VERB_ON_CHAIN[payload["kind"]]
            if body.get("successors"):
                event["successors"] = [
                    _hex(voucher_key(self.origin, number)) for number in body["successors"]
                ]
            key = voucher_key(self.origin, body["number"])
            self._due(
                VOUCHERS, key, 0, body["version"], body["number"], digest, payload, event, state
            )
        except WRONG as error:
            self._odd(index, error)

    def _licence(self, index: int, digest: str, payload: Mapping[str, Any]) -> None:
        body = payload["body"]
        try:
            state = {
                "from": _seconds(body["valid_from"]),
                "licensee": body["licensee_address"].lower(),
                "right": RIGHTS[body["right"]],
                "terms": _hex(digest_bytes(body["terms_digest"])),
                "until": _seconds(body["valid_until"]),
                "version": body["version"],
            }
            event = state if payload["kind"] == "licence.granted" else {}
            (key,) = self.findings.run(
                "SELECT key FROM due WHERE subject_id = ? LIMIT 1", body["voucher_id"]
            ).fetchone()
            self._due(LICENCES, key, body["n"], body["version"], body["order_reference"], digest,
                      payload, event, state)  # fmt: skip
        except WRONG as error:
            self._odd(index, error)

    def _statement(self, index: int, digest: str, payload: Mapping[str, Any]) -> None:
        body, kind = payload["body"], payload["kind"].removeprefix("statement.")
        try:
            key = statements.key_of(self.origin, body["id"], body.get("sent_back"))
            standing = body["chain_version"]
            if kind == "reopened":  # the contract had refused a signature: it has not happened
                self.findings.run(
                    "DELETE FROM due WHERE contract = ? AND key = ? AND version > ?",
                    BOOK, key, standing,
                )  # fmt: skip
            if kind not in STATEMENT_STEPS:
                return
            further, state = STATEMENT_STEPS[kind]
            version = standing + further
            line_root = _hex(unhex(body["line_root"], 32))
            event = {
                "digest": _hex(digest_bytes(body["digest"])), "line_root": line_root, "state": state,
            }  # fmt: skip
            self._due(BOOK, key, 0, version, body["number"], digest, payload, event, event)
            if kind == "approved" and body.get("reverses"):
                self._reversed(body["reverses"], digest, payload)
        except WRONG as error:
            self._odd(index, error)

    def _reversed(self, original: str, digest: str, payload: Mapping[str, Any]) -> None:
        """The last signature on a reversal makes a step of the statement it takes back too."""
        key, version, name, state = self.findings.run(
            "SELECT key, version, name, state FROM due WHERE contract = ? AND subject_id = ? "
            "ORDER BY version DESC LIMIT 1",
            BOOK, original,
        ).fetchone()  # fmt: skip
        event = {**orjson.loads(state), "state": REVERSED}
        self._due(BOOK, key, 0, version + 1, name, digest, payload, {"state": REVERSED}, event)

    def _due(
        self, contract: str, key: bytes, n: int, version: int, name: str, digest: str,
        payload: Mapping[str, Any], event: Mapping[str, Any], state: Mapping[str, Any],
    ) -> None:  # fmt: skip
        reason = _hex(digest_bytes(digest))
        self.findings.run(
            "INSERT OR REPLACE INTO due VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
            contract, key, n, version, payload["body"]["id"], payload["body"]["version"], name,
            payload["at"], _json({**event, "reason": reason}), _json(state),
        )  # fmt: skip

    def _odd(self, index: int, error: Exception) -> None:
        told_as = error.sentence if isinstance(error, LedgerError) else repr(error)
        self.findings.compare("record", index, "body", told_as, "what its step on chain needs")


class OnChain:
    """The comparison of what is due with what the contracts say."""

    def __init__(self, session: Session, findings: Findings, chain: Chain, now: datetime) -> None:
        self.session, self.findings, self.chain, self.now = session, findings, chain, now

    # -- what the anchor holds -----------------------------------------------------------------------

    def read_anchors(self) -> None:
        """Note every root that `CheckpointAnchor` took, up to the block of this audit."""
        first = self.findings["anchors_from"] or self.chain.deployment.block
        for low, high in _windows(first, self.chain.block):
            for event in self.chain.events("CheckpointAnchor", "Anchored", low, high):
                size, root = int(event["args"]["size"]), bytes(event["args"]["root"])
                self.findings.run(
                    "INSERT OR REPLACE INTO anchored VALUES (?, ?, ?, ?)",
                    size, root, event["block_number"], event["transaction_hash"],
                )  # fmt: skip
                self.findings.run("INSERT OR IGNORE INTO roots VALUES (?, NULL)", size)
        self.findings["anchors_from"] = self.chain.block + 1

    def compare_anchors(self, record_count: int) -> int:
        """Compare each anchored root with ours; returns the largest size that the contract holds."""
        latest_size, latest_root = self.chain.call("CheckpointAnchor", "latest")
        anchored = self.findings.run(
            "SELECT a.size, a.root, r.root FROM anchored a LEFT JOIN roots r ON r.size = a.size "
            "ORDER BY a.size"
        ).fetchall()
        largest = anchored[-1] if anchored else (0, bytes(32), None)
        compare = self.findings.compare
        compare("chain", latest_size, "latest size", latest_size, largest[0])
        compare("chain", latest_size, "latest root", _hex(latest_root), _hex(largest[1]))
        if latest_size > record_count:
            compare("log", "", "records", record_count, f"at least {latest_size}")
        for size, root, ours in anchored:
            if size > record_count:
                compare("chain", size, "root", "records are missing", _hex(root))
                continue
            compare("chain", size, "root", _hex(ours or b""), _hex(root))
            held = self.chain.call("CheckpointAnchor", "rootOf", size)
            compare("chain", size, "rootOf", _hex(held), _hex(root))
        return int(latest_size)

    # -- events --------------------------------------------------------------------------------------

    def compare_events(self) -> Iterator[tuple[int, int]]:
        """Compare each event with the step it is of; yields how far, in blocks, from time to time."""
        first = self.findings["events_from"] or self.chain.deployment.block
        for low, high in _windows(first, self.chain.block):
            steps = {(VOUCHERS, name): names for name, (_, names) in OF_A_STEP.items()}
            for (contract, name), names in {**EVENTS, **BESIDE, **steps}.items():
                if contract in self.chain.deployment.contracts:
                    for event in self.chain.events(contract, name, low, high):
                        self._event(contract, name, names, event)
            self.findings["events_from"] = high + 1
            yield high, self.chain.block

    def _event(
        self, contract: str, name: str, names: Mapping[str, str], event: Mapping[str, Any]
    ) -> None:
        said = event["args"]
        key = bytes(said["voucher"] if contract == LICENCES else said["id"])
        if name in OF_A_STEP:
            self._beside_a_step(name, key, event)
            return
        beside = (contract, name) in BESIDE
        n = int(said.get("n", 0)) if contract == LICENCES else 0
        version = 1 if beside else int(said["version"])
        due = self.findings.run(
            "SELECT name, event, state FROM due WHERE contract = ? AND key = ? AND n = ? AND version = ?",
            contract, key, n, version,
        ).fetchone()  # fmt: skip
        where = f"{contract}.{name} {_hex(key)}"
        if due is None:
            step = f"version {version}, block {event['block_number']}"
            self.findings.compare("event", where, "record", step, "a record that caused it")
            return
        if not beside:
            self.findings.run(
                "UPDATE due SET seen = 1 WHERE contract = ? AND key = ? AND n = ? AND version = ?",
                contract, key, n, version,
            )  # fmt: skip
        expected = {**orjson.loads(due[2]), **orjson.loads(due[1])}
        for argument, field in names.items():
            if field in expected:
                known = _plain(said[argument])
                kind = KIND_OF[contract]
                self.findings.compare(kind, due[0], f"{field} in event {name} v{version}", known,
                                      expected[field])  # fmt: skip

    def _beside_a_step(self, name: str, key: bytes, event: Mapping[str, Any]) -> None:
        """A renewal, a succession or uses on chain are those of one recorded step of the voucher."""
        verb, names = OF_A_STEP[name]
        steps = self.findings.run(
            "SELECT event, state FROM due WHERE contract = ? AND key = ?", VOUCHERS, key
        ).fetchall()
        said = {field: _plain(event["args"][argument]) for argument, field in names.items()}
        for one, state in steps:
            due = {**orjson.loads(state), **orjson.loads(one)}
            if due.get("verb") == verb and all(
                value in due[field] if isinstance(due[field], list) else value == due[field]
                for field, value in said.items()
            ):
                return
        told = ", ".join(f"{field} {value}" for field, value in said.items())
        self.findings.compare("event", f"{VOUCHERS}.{name} {_hex(key)}", "record",
                              f"{told}, block {event['block_number']}",
                              "a record that caused it")  # fmt: skip

    # -- what has no event, and the contracts' state -------------------------------------------------

    def compare_steps(self) -> int:
        """Tell each due step without event, unless its act is on its way; returns how many are."""
        on_way = 0
        unseen = self.findings.run(
            "SELECT contract, version, subject_id, subject_version, name, at FROM due WHERE seen = 0 "
            "ORDER BY at"
        ).fetchall()
        for contract, version, subject_id, subject_version, name, at in unseen:
            state = self._act(subject_id, subject_version)
            if state == "alarm":
                continue  # told by `compare_alarms`
            late = self.now - parse_instant(at) > ON_ITS_WAY
            if state == "on its way" and not late:
                on_way += 1
                continue
            self.findings.compare(
                KIND_OF[contract], name, f"event of version {version}", f"none ({state}, since {at})",
                "an event on chain",
            )  # fmt: skip
        return on_way

    def _act(self, subject_id: str, subject_version: int) -> str:
        act = self.session.scalars(
            select(Act)
            .where(Act.subject_id == subject_id, Act.subject_version == subject_version)
            .limit(1)
        ).first()
        if act is None:
            return "no act"
        landed_since = act.state == "effective" and (act.block or 0) > self.chain.block
        return "on its way" if act.state in OPEN or landed_since else str(act.state)

    def anchor_is_open(self, size: int) -> bool:
        """Whether the anchoring of a checkpoint has not been settled by the worker yet."""
        wanted = select(Act.id).where(
            Act.subject_id == f"checkpoint:{size}",
            or_(Act.state.in_(OPEN), Act.block > self.chain.block),
        )
        return self.session.scalar(wanted.limit(1)) is not None

    def compare_alarms(self) -> None:
        """What the worker could not bring to an end."""
        for act in self.session.scalars(select(Act).where(Act.state == "alarm").order_by(Act.id)):
            name = f"{act.contract}.{act.function} {act.subject_id}"
            self.findings.compare("act", name, "state", told(act.problem), "effective")

    def compare_states(self) -> Iterator[tuple[int, int]]:
        """Compare the state of each voucher, licence and statement with that of its last step seen."""
        last = (
            "SELECT contract, key, n, MAX(version) FROM due WHERE seen = 1 {more} GROUP BY 1, 2, 3"
        )
        total = self.findings.run(f"SELECT COUNT(*) FROM ({last.format(more='')})").fetchone()[0]  # noqa: S608 - our own words only
        done, at = self.findings["states"] or [0, ["", "", -1]]
        while True:
            contract, key, n = at[0], bytes.fromhex(at[1]), at[2]
            page = self.findings.run(
                last.format(more="AND (contract, key, n) > (?, ?, ?)") + " ORDER BY 1, 2, 3 LIMIT 100",
                contract, key, n,
            ).fetchall()  # fmt: skip
            if not page:
                return
            for contract, key, n, version in page:
                name, state = self.findings.run(
                    "SELECT name, state FROM due WHERE contract = ? AND key = ? AND n = ? AND version = ?",
                    contract, key, n, version,
                ).fetchone()  # fmt: skip
                self._state(contract, key, n, name, orjson.loads(state))
            done, at = done + len(page), [contract, key.hex(), n]
            self.findings["states"] = [done, at]
            yield done, total

    def _state(self, contract: str, key: bytes, n: int, name: str, due: Mapping[str, Any]) -> None:
        if contract == VOUCHERS:
            held = dict(zip(VOUCHER_FIELDS, self.chain.call(contract, "get", key), strict=False))
        elif contract == LICENCES:
            held = dict(zip(LICENCE_FIELDS, self.chain.call(contract, "get", key, n), strict=False))
        else:
            digest, line_root = (bytes.fromhex(due[one][2:]) for one in ("digest", "line_root"))
            fits, state, _ = self.chain.call(contract, "verify", key, digest, line_root)
            self.findings.compare(KIND_OF[contract], name, "digest on chain", fits, True)
            held = {"state": state}
        for field, value in held.items():
            self.findings.compare(KIND_OF[contract], name, f"{field} on chain", _plain(value),
                                  due[field])  # fmt: skip


# kind of record: how far beyond its `chain_version`, and the state on chain
STATEMENT_STEPS = {"proposed": (0, 1), "signed": (0, 1), "approved": (0, 2), "rejected": (1, 3)}
REVERSED = 4
KIND_OF = {VOUCHERS: "voucher", LICENCES: "licence", BOOK: "statement"}
WRONG = (KeyError, TypeError, ValueError, AttributeError, LedgerError)


def _windows(first: int, last: int) -> Iterator[tuple[int, int]]:
    for low in range(first, last + 1, WINDOW):
        yield low, min(low + WINDOW - 1, last)


def _seconds(at: str) -> int:
    return int(parse_instant(at).timestamp())


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return _hex(value)
    return value.lower() if isinstance(value, str) else value


def _hex(value: bytes) -> str:
    return "0x" + bytes(value).hex()


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
