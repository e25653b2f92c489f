"""The trust file: what a verifier holds to be true before he opens a document (design §4).

    {"chain": {"chain_id", "contracts": {name: address}, "embedded", "genesis"},
     "credential_keys": [{"did", "valid_from", "valid_until" | null}, …],
     "log": {"keys": [{"from_size", "until_size" | null, "vkey"}, …], "origin"},
     "type": "shuzheng/trust", "v": 1, "witnesses": [vkey, …]}

It is got from the registry once, out of band; a document never brings its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ledger.errors import Invalid
from ledger.proof import bundle as bundles
from ledger.proof import credential as credentials
from ledger.proof.checkpoint import VerifierKey
from ledger.proof.checkpoint import parse_verifier_key as parse_vkey
from ledger.proof.encoding import INT_MAX, parse, parse_instant, unhex


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


def parse_trust(data: bytes) -> Trust:
    """The trust file's content; raises Invalid."""
    document = parse(data, "The trust file")
    try:
        if document["type"] != "shuzheng/trust" or not bundles.is_one(document["v"]):
            raise Invalid("This is no trust file of version 1.")
        chain, log = document["chain"], document["log"]
        trust = Trust(
            chain_id=_whole(chain["chain_id"]),
            genesis="0x" + unhex(chain["genesis"][2:], 32).hex(),
            contracts={
                name: "0x" + unhex(address[2:].lower(), 20).hex()
                for name, address in chain["contracts"].items()
            },
            embedded=chain["embedded"] is True,
            origin=str(log["origin"]),
            log_keys=tuple(
                LogKey(
                    parse_vkey(key["vkey"]),
                    _whole(key["from_size"]),
                    INT_MAX if key["until_size"] is None else _whole(key["until_size"]),
                )
                for key in log["keys"]
            ),
            issuer_keys=tuple(
                IssuerKey(
                    credentials.did_key(credentials.public_of(key["did"])),
                    parse_instant(key["valid_from"]),
                    None if key["valid_until"] is None else parse_instant(key["valid_until"]),
                )
                for key in document["credential_keys"]
            ),
            witnesses=tuple(parse_vkey(key) for key in document["witnesses"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise Invalid("The trust file lacks or misspells {field}.", field=str(error)) from None
    if not {"CheckpointAnchor", "VoucherRegistry"} <= set(trust.contracts):
        raise Invalid("The trust file lacks the address of CheckpointAnchor or VoucherRegistry.")
    if any(entry.key.name != trust.origin for entry in trust.log_keys):
        raise Invalid("A log key of the trust file has another name than the log's origin.")
    return trust


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise Invalid("{value} is not a whole number.", value=repr(value))
    return value
