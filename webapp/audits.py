"""Audits: by what ground, where what was found is kept, and how a difference is told to people."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from ledger.chain import keys, outbox
from ledger.chain.gateway import Gateway, connect
from ledger.chain.outbox import Deployment
from ledger.errors import ChainUnavailable
from ledger.proof.checkpoint import verifier_key
from ledger.proof.encoding import INT_MAX
from ledger.proof.trust import LogKey, parse_trust
from ledger.proof.verify import read_file
from ledger.supervision import Audit, Chain, Findings, Ground, Progress
from webapp.home import Home, node_address
from webapp.language import catalogue, retell, tr

TRUST_BYTES_MAX = 2**20
DIFFERENCES_TOLD = 200


def ground_of_home(home: Home, gateway: Gateway | None) -> Ground:
    """What a home holds to be true of itself."""
    config = home.config
    public = bytes.fromhex(keys.public_key(home.path / "keys", "log"))
    log_key = LogKey(verifier_key(config.origin, public), 1, INT_MAX)
    return Ground(config.origin, (log_key,), _chain(gateway, config.deployment))


def ground_of_trust(path: Path, home: Home, rpc: str | None, *, offline: bool) -> Ground:
    """What the auditor brings: his trust file and his node; of the home, at most where its node listens.

    Raises ChainUnavailable when the node does not serve the chain of the trust file.
    """
    trust = parse_trust(read_file(str(path), TRUST_BYTES_MAX))
    gateway = None
    if not offline:
        url, token = (rpc, None) if rpc else node_address(home.path)
        gateway = connect(url, token=token)
        found = gateway.identity()
        if found != (trust.chain_id, trust.genesis):
            raise ChainUnavailable(
                "The node at {address} serves another chain ({found}) than the trust file's ({known}).",
                address=gateway.address, found=found[1], known=trust.genesis,
            )  # fmt: skip
    deployment = Deployment(trust.chain_id, trust.genesis, trust.contracts, 0)
    return Ground(trust.origin, trust.log_keys, _chain(gateway, deployment))


def _chain(gateway: Gateway | None, deployment: Deployment) -> Chain | None:
    """The chain as of its newest block: taken before the database is read."""
    return None if gateway is None else Chain(gateway, deployment, gateway.block_number())


def audit(
    home: Home, ground: Ground, now: datetime, kept: Path, report: Progress, *, again: bool = False
) -> dict[str, Any]:
    """Audit the home's database by a ground; one that was broken off goes on, unless `again`.

    Returns the summary, the first differences, and whether it went on. `kept` is the file of what was
    found so far; it goes when the audit is done.
    """
    findings = Findings(kept)
    done = False
    try:
        if again:
            findings.clear()
        # A home of its own: whose log the database is, the audit itself says.
        reader = Home(home.path)
        reader.__dict__["engine"] = home.engine
        with reader.reading() as session:
            work = Audit(session, ground, now, findings, report)
            work.run()
            told = [one.as_dict() for one in findings.differences(DIFFERENCES_TOLD)]
            answer = {**work.summary(), "continued": work.continues, "differences": told,
                      "offline": ground.chain is None}  # fmt: skip
        done = True
    finally:
        findings.close(done=done)
    return answer


def told(difference: Mapping[str, Any]) -> dict[str, str]:
    """A difference as people read it: all that the audit says in words, and what it means."""
    kind, name, field = (str(difference.get(key, "")) for key in ("kind", "name", "field"))
    if not kind:
        return {**difference, "meaning": ""}
    place = tr(PLACES.get(kind, "table {kind}, row {name}"), kind=kind, name=name)
    meanings = MEANINGS.get(kind, ROW_MEANINGS)
    short = field.partition(" ")[0]
    meaning = tr(meanings.get(short, meanings[""]))
    known, derived = (str(difference.get(key, "")) for key in ("known", "derived"))
    if kind in MEANINGS or field in OF_ROWS:  # else both are what a column holds, whatever it reads
        derived = retell(derived, WORDS)
        known = retell(known, (*WORDS, *PROBLEMS, *(_sentences() if field in JUDGED else ())))
    field = retell(SPELLED.get(field, field), FIELDS)
    return {**difference, "derived": derived, "field": field, "known": known, "meaning": meaning,
            "place": place.rstrip(", ")}  # fmt: skip


@cache
def _sentences() -> tuple[str, ...]:
    """All refusals, one of which may stand where something cannot even be read."""
    return tuple(one for one in catalogue() if one.endswith(".") and not one.startswith("{"))


PLACES: dict[str, str] = {
    "act": "act on chain {name}",
    "booking": "booking {name}",
    "chain": "contract CheckpointAnchor, size {name}",
    "closing": "closing {name}",
    "decision": "decision on {name}",
    "checkpoint": "checkpoint of size {name}",
    "cosignature": "cosignature of {name}",
    "database": "database file",
    "disclosure": "disclosure {name}",
    "event": "event on chain {name}",
    "licence": "licence {name}",
    "log": "the whole log",
    "log head": "head of the log",
    "payout": "payment {name}",
    "record": "record {name} of the log",
    "statement": "statement {name}",
    "table": "table {name}",
    "tile": "tile {name} of the tree",
    "voucher": "voucher {name}",
}
OF_ROWS = ("record", "row", "rows")  # what differs of a row that is not a column
JUDGED = ("body", "note", "rows")  # where the audit may say why something cannot be read
# What an audit says instead of a value, in the order in which it is looked for.
WORDS: tuple[str, ...] = (
    "16 bytes", "False", "True", "a batch with this number", "a deed that caused it",
    "a hold of what it pays", "a kind of thing that is recorded",
    "a place in the tree", "a place within the log", "a readable value", "a record",
    "a line of its payout that leads", "a record that caused it", "a row",
    "a row in its canonical form", "a row, and its witness's",
    "a row: the contract holds it", "a signature by the exchange",
    "a signature by the log's key, and nothing else",
    "a size the log has", "a text", "a text or nothing", "a tile", "a time", "a time as stored",
    "a valid one", "a version from 1", "after {day}", "an account of the books",
    "an entry that is no reversal", "a withheld field of its voucher", "all of them",
    "an event on chain", "an object", "another person", "as stored", "at least {count}",
    "at most {count}", "before {day}", "canonical JSON", "effective",
    "id and type", "irregular", "its entry's line", "lines of the books", "no record",
    "no record before it", "none",
    "none ({state}, since {at})", "none at this place", "not before {at}",
    "of another content", "of another type", "ok",
    "posted where it is booked, and only there", "readable rows",
    "records are missing", "regular", "the digest of salt and payload",
    "those of the entry it reverses, exchanged", "the next number",
    "the ten fields of a record", "version {version}, block {block}",
    "what its deed says", "what its scheme shares out", "{facts}, block {block}",
    "what its step on chain needs", "without {columns}", "wrong",
)  # fmt: skip
FIELDS: tuple[str, ...] = (
    "columns", "event of version {version}", "hash {number}", "integrity_check", "latest root",
    "latest size", "line", "record", "records", "rows", "rule", "trigger", "whole row",
    "{field} in event {event} v{version}", "{field} on chain",
)  # fmt: skip
SPELLED = {"row": "whole row"}  # "row" alone is a step of a verification
PROBLEMS: tuple[str, ...] = (
    outbox.FORK, outbox.BEHIND, outbox.NOT_OURS, outbox.REFUSED, outbox.UNDONE, outbox.SUPERSEDED,
    *outbox.ADVICE.values(),
)  # fmt: skip
ROW_MEANINGS: dict[str, str] = {
    "": "This row was changed without a deed: its last record says otherwise.",
    "record": "This row was never recorded: no deed caused it.",
    "row": "What was recorded is missing in its table.",
}
ON_CHAIN: dict[str, str] = {
    "": "The contract says otherwise than the record.",
    "event": "What was recorded here never happened on chain.",
}
MEANINGS: dict[str, dict[str, str]] = {
    "act": {"": "The worker could not bring this act to an end; the alarms say what to do."},
    "chain": {"": "The contract holds another root: records that it covers were changed."},
    "checkpoint": {
        "": "This checkpoint is not one that the log's key signed over these records.",
        "anchor_block": "The contract took this checkpoint elsewhere, or never.",
        "anchor_transaction": "The contract took this checkpoint elsewhere, or never.",
        "confirmed_at": "The contract never took this checkpoint.",
        "row": "The contract holds this checkpoint; here it was removed.",
        "tree_size": "A checkpoint of a size that the log does not have.",
    },
    "cosignature": {"": "This witness did not sign this checkpoint."},
    "database": {"": "The database file itself is damaged."},
    "confirmations": {"": "The trades of this confirmation are not those that were recorded."},
    "book_accounts": {"": "What stands on this account is not the sum of its entries and holds."},
    "statements": {
        "": "This statement is not what follows from the statements before it and from what was "
        "settled."
    },
    "booking": {"": "The books contradict themselves here: no deed of ours books so."},
    "closing": {
        "": "This closing does not follow the one before it, or came too early, or the same person "
        "took it back."
    },
    "decision": {"": "The same person made this and decided on it."},
    "entry_lines": {"": "This line is not as its entry says."},
    "payout": {"": "This payment is not what its hold, its booking and its approvals say."},
    "disclosure": {"": "What would be disclosed is not what the voucher withholds."},
    "event": {"": "Something was done in the contract that no record here has caused."},
    "licence": ON_CHAIN,
    "log": {"": "The contract holds more records than the database: its end was cut off."},
    "log head": {"": "The head of the log does not fit its records."},
    "record": {
        "": "This column was changed: the record's own content says otherwise.",
        "digest": "The record's content is no longer what was recorded: its fingerprint does not fit.",
        "leaf_index": "A record stands where the log has no place for it, or twice.",
        "log": "This record belongs to another log.",
        "payload": "The record's content is not spelled as a record is: it was changed or damaged.",
        "prev": "This record does not follow the one before it about the same thing.",
        "row": "Records are missing here: they were removed.",
        "salt": "The record's salt was changed or removed: its fingerprint cannot be checked.",
    },
    "numbers": {"": "The next number does not follow the last settlement."},
    "settlements": {"": "This settlement is not what its payment, refund or trade says."},
    "statement": ON_CHAIN,
    "table": {"": "The database is not built as ours is."},
    "tile": {"": "The stored hashes of the tree are not those of the records."},
    "trades": {"": "The trades of this confirmation are not those that were recorded."},
    "usage_batches": {"": "The rows of this batch are not those that were recorded."},
    "usage_rows": {"": "The rows of this batch are not those that were recorded."},
    "usage_subtrees": {"": "The rows of this batch are not those that were recorded."},
    "voucher": ON_CHAIN,
}
