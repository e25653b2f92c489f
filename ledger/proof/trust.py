"""The trust file: what a verifier holds to be true before he opens a document (design §4).

    {"chain": {"chain_id", "contracts": {name: address}, "embedded", "genesis"},
     "credential_keys": [{"did", "valid_from", "valid_until" | null}, …],
     "log": {"keys": [{"from_size", "until_size" | null, "vkey"}, …], "origin"},
     "type": "shuzheng/trust", "v": 1,
     "witness_quorum": 2,                  how many witnesses must have cosigned; left out: none need
     "witnesses": [vkey, …]}

It is got from the registry once, out of band; a document never brings its own. Whoever uses it may add
witnesses he knows and raise the quorum; the file stays in canonical form.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ledger.errors import Invalid, ProofFailed
from ledger.proof import bundle as bundles
from ledger.proof import credential as credentials
from ledger.proof.checkpoint import VerifierKey
from ledger.proof.checkpoint import parse_verifier_key as parse_vkey
from ledger.proof.cosignature import parse_cosigner_key
from ledger.proof.encoding import INT_MAX, parse, parse_instant, unhex

FIELDS = {"chain", "credential_keys", "log", "type", "v", "witnesses"}
CHAIN_FIELDS = {"chain_id", "contracts", "embedded", "genesis"}
ISSUER_FIELDS = {"did", "valid_from", "valid_until"}
LOG_KEY_FIELDS = {"from_size", "until_size", "vkey"}


@dataclass(frozen=True)
class LogKey:
    """A log key and the tree sizes it may sign for."""

    key: VerifierKey
    from_size: int
    until_size: int


@dataclass(frozen=True)
class IssuerKey:
    """A credential key and the time in which it may sign."""

    did: str
    valid_from: datetime
    valid_until: datetime | None


@dataclass(frozen=True)
class Trust:
    """What the verifier holds to be true before he opens a document."""

    chain_id: int
    genesis: str
    contracts: Mapping[str, str]
    embedded: bool
    origin: str
    log_keys: tuple[LogKey, ...]
    issuer_keys: tuple[IssuerKey, ...]
    witnesses: tuple[VerifierKey, ...]
    witness_quorum: int = 0

    def is_issuer(self, did: str, *times: datetime) -> bool:
        """Whether one credential key is the registry's at all these times."""
        return any(
            key.did == did
            and all(
                key.valid_from <= at and (key.valid_until is None or at <= key.valid_until)
                for at in times
            )
            for key in self.issuer_keys
        )

    def check_issued(self, document: Mapping[str, Any]) -> None:
        """Raise ProofFailed (step signature or trust) unless the registry issued it, for its log.

        It did when the document's `issuer` signed it and is a credential key at its `issued_at`.
        """
        try:
            did = credentials.verify_proof(document)
        except ProofFailed:
            raise ProofFailed("The document's signature is wrong.", step="signature") from None
        if did != document["issuer"] or not self.is_issuer(
            did, parse_instant(document["issued_at"])
        ):
            raise ProofFailed(
                "The issuer {did} is not in your trust file.", step="trust", did=document["issuer"]
            )
        if document["log"] != self.origin:
            raise ProofFailed(
                "The document is of the log {found}; your trust file names {due}.",
                step="trust", found=document["log"], due=self.origin,
            )  # fmt: skip


def parse_trust(data: bytes) -> Trust:
    """The trust file's content; raises Invalid, also for a field that version 1 does not have."""
    document = parse(data, "The trust file")
    try:
        if document["type"] != "shuzheng/trust" or not bundles.is_one(document["v"]):
            raise Invalid("This is no trust file of version 1.")
        _check_fields(document, FIELDS, {"witness_quorum"})
        chain, log = document["chain"], document["log"]
        _check_fields(chain, CHAIN_FIELDS)
        _check_fields(log, {"keys", "origin"})
        if type(chain["embedded"]) is not bool or type(log["origin"]) is not str:
            raise Invalid("This is no trust file of version 1.")
        trust = Trust(
            chain_id=_whole(chain["chain_id"]),
            genesis=_hex(chain["genesis"], 32),
            contracts={
                name: _hex(address[:2] + address[2:].lower(), 20)
                for name, address in chain["contracts"].items()
            },
            embedded=chain["embedded"],
            origin=log["origin"],
            log_keys=tuple(_log_key(key) for key in _items(log["keys"])),
            issuer_keys=tuple(_issuer_key(key) for key in _items(document["credential_keys"])),
            witnesses=tuple(parse_cosigner_key(key) for key in _items(document["witnesses"])),
            witness_quorum=_whole(document.get("witness_quorum", 0)),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise Invalid("The trust file lacks or misspells {field}.", field=str(error)) from None
    if not {"CheckpointAnchor", "VoucherRegistry"} <= set(trust.contracts):
        raise Invalid("The trust file lacks the address of CheckpointAnchor or VoucherRegistry.")
    if any(entry.key.name != trust.origin for entry in trust.log_keys):
        raise Invalid("A log key of the trust file has another name than the log's origin.")
    _check_witnesses(trust)
    return trust


def _check_witnesses(trust: Trust) -> None:
    """Raise Invalid where one party would count as two witnesses, or the quorum cannot be met."""
    # What is cosigned does not name the witness: under one key, one witness could stand for another.
    publics = {key.public for key in trust.witnesses}
    logs = {entry.key.public for entry in trust.log_keys}
    if len(publics) < len(trust.witnesses) or publics & logs:
        raise Invalid("Two witnesses of the trust file, or a witness and the log, have one key.")
    names = {key.name for key in trust.witnesses}
    if trust.origin in names:
        raise Invalid("A witness of the trust file has the name of the log.")
    if trust.witness_quorum > len(names):
        raise Invalid(
            "The trust file asks for {quorum} witnesses and names {known}.",
            quorum=trust.witness_quorum, known=len(names),
        )  # fmt: skip


def _log_key(given: Any) -> LogKey:
    _check_fields(given, LOG_KEY_FIELDS)
    until = given["until_size"]
    return LogKey(
        parse_vkey(given["vkey"]), _whole(given["from_size"]),
        INT_MAX if until is None else _whole(until),
    )  # fmt: skip


def _issuer_key(given: Any) -> IssuerKey:
    _check_fields(given, ISSUER_FIELDS)
    until = given["valid_until"]
    return IssuerKey(
        credentials.did_key(credentials.public_of(given["did"])), parse_instant(given["valid_from"]),
        None if until is None else parse_instant(until),
    )  # fmt: skip


def _check_fields(given: Any, due: Set[str], more: Set[str] = frozenset()) -> None:
    if type(given) is not dict or not due <= set(given) <= due | more:
        odd = sorted((set(given) ^ due) - more) if type(given) is dict else []
        raise Invalid("The trust file lacks or misspells {field}.", field=", ".join(odd) or "-")


def _items(given: Any) -> list[Any]:
    if type(given) is not list:
        raise Invalid("The trust file lacks or misspells {field}.", field=repr(given))
    return given


def _hex(text: Any, length: int) -> str:
    if type(text) is not str or not text.startswith("0x"):
        raise Invalid("The trust file lacks or misspells {field}.", field=repr(text))
    return "0x" + unhex(text[2:], length).hex()


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise Invalid("{value} is not a whole number.", value=repr(value))
    return value
