"""A payee's proof of his own lines of a statement, which anybody can check and which shows no other line.

    {"chain": {"chain_id": 1, "genesis": "0x…", "revenue_book": "0x…"},      merely compared
     "digest": "sha256:…",                    of the whole statement, which holds a salt of its own
     "issued_at": "2026-09-17T04:00:00Z", "issuer": "did:key:z6Mk…",
     "key": "0x…",                            under which the contract knows the statement
     "line_count": 5, "line_root": "<hex>",
     "lines": [{"inclusion": ["<hex>", …], "index": 3, "line": {…}, "salt": "<32 hex>"}, …],
     "log": "shuzheng.local/…", "proof": {…eddsa-jcs-2022…}, "statement": "FP2026-0001",
     "type": "shuzheng/line", "v": 1}

A line has at least `party`, its payee's code, and `amount_fen`. Of other lines there are only hashes of
salted leaves. The registry's signature covers what the chain does not know, such as the statement's
number; that the statement was approved, and takes no other one back, the contract alone says.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import Invalid, ProofFailed
from ledger.proof import credential as credentials
from ledger.proof.bundle import is_one, row_hash
from ledger.proof.chain_node import STATEMENT_STATES, Node, statement_signatures, statement_verdict
from ledger.proof.encoding import canonical, digest_bytes, instant, parse_instant, unhex
from ledger.proof.merkle import verify_inclusion
from ledger.proof.receipt import PROOF_KEYS
from ledger.proof.report import CANNOT_TELL, NOT_VALID, VALID, Report
from ledger.proof.trust import Trust

LINE_TYPE = "shuzheng/line"
LINE_KEYS = {
    "chain", "digest", "issued_at", "issuer", "key", "line_count", "line_root", "lines", "log", "proof",
    "statement", "type", "v",
}  # fmt: skip
PLACED_KEYS = {"inclusion", "index", "line", "salt"}
BOOK = "RevenueBook"
OUTCOMES = {"approved": VALID, "proposed": CANNOT_TELL, "unknown": CANNOT_TELL}  # else not valid


def make(
    lines: Iterable[Mapping[str, Any]], signer: Ed25519PrivateKey, now: datetime, **facts: Any
) -> dict[str, Any]:
    """The proof of one payee's lines; `facts` are the other fields of what it says, but not who signs.

    Raises Invalid or ProofFailed for what `check_line` would refuse, whatever the trust file says.
    """
    document = {
        **facts,
        "issued_at": instant(now),
        "issuer": credentials.did_key(signer.public_key().public_bytes_raw()),
        "lines": list(lines),
        "type": LINE_TYPE,
        "v": 1,
    }
    made = credentials.sign(document, signer, now)
    _check_form(made)
    _check_inclusion(made)
    return made


def check_line(document: Any, trust: Trust, node: Node | None, report: Report) -> None:
    """The lines are signed for, under the root beside them, and in a statement approved on chain.

    Raises Invalid for a wrong form and ProofFailed (step signature, trust or share) for a lie.
    """
    _check_form(document)
    trust.check_issued(document)
    report.add(
        "signature", VALID,
        "The registry's key {did} signed, at {at}, that these are lines of statement {number}.",
        did=document["issuer"], at=document["issued_at"], number=document["statement"],
    )  # fmt: skip
    _compare_claims(document, trust)
    _check_inclusion(document)
    for placed in document["lines"]:
        report.add(
            "share", VALID,
            "Line {number} of the {count} of the statement: {amount} yuan for {party}.",
            number=placed["index"] + 1, count=document["line_count"],
            amount=_yuan(placed["line"]["amount_fen"]), party=placed["line"]["party"],
        )  # fmt: skip
    if BOOK not in trust.contracts:
        report.add(
            "state", CANNOT_TELL,
            "Your trust file does not name the contract RevenueBook: get a newer one.",
        )  # fmt: skip
    elif node is None:
        report.add(
            "state", CANNOT_TELL,
            "Without a chain node nothing shows that the statement was approved.",
        )  # fmt: skip
    else:
        _check_state(document, trust, node, report)


def _check_form(document: Any) -> None:
    if (
        type(document) is not dict
        or document.get("type") != LINE_TYPE
        or not is_one(document.get("v"))
    ):
        raise Invalid("This is no line proof of version 1.")
    proof, lines = document.get("proof"), document.get("lines")
    if set(document) != LINE_KEYS or type(proof) is not dict or set(proof) != PROOF_KEYS:
        raise Invalid(
            "The fields of the line proof or of its signature are not those of version 1."
        )
    if any(type(document[name]) is not str for name in ("issuer", "log", "statement")):
        raise Invalid("The line proof's log, issuer or statement is no text.")
    if proof["created"] != document["issued_at"]:
        raise Invalid("The line proof was not signed at the time at which it says it was issued.")
    parse_instant(document["issued_at"])
    digest_bytes(document["digest"])
    unhex(document["line_root"], 32)
    if type(document["key"]) is not str or document["key"][:2] != "0x":
        raise Invalid("The statement's key on chain is not spelled 0x and 64 hex digits.")
    unhex(document["key"][2:], 32)
    if type(document["line_count"]) is not int or type(lines) is not list or not lines:
        raise Invalid("The line proof holds no line.")
    for placed in lines:
        _check_placed(placed)
    if any(one["index"] >= other["index"] for one, other in pairwise(lines)):
        raise Invalid("The lines are not in the order of the statement.")
    if len({placed["line"]["party"] for placed in lines}) > 1:
        raise Invalid("The lines are of more than one payee.")


def _check_placed(placed: Any) -> None:
    line = placed.get("line") if type(placed) is dict else None
    if (
        type(line) is not dict
        or set(placed) != PLACED_KEYS
        or type(placed["index"]) is not int
        or type(placed["inclusion"]) is not list
        or type(line.get("party")) is not str
        or type(line.get("amount_fen")) is not int
    ):
        raise Invalid("A line is not of the form inclusion, index, line (party, amount_fen), salt.")


def _compare_claims(document: Any, trust: Trust) -> None:
    """What the proof says of its chain must be what the trust file says; it is never believed.

    A contract that the trust file does not name cannot differ from it.
    """
    claims = document["chain"]
    book = claims.get("revenue_book") if type(claims) is dict else None
    due = {
        "chain_id": trust.chain_id,
        "genesis": trust.genesis,
        "revenue_book": trust.contracts.get(BOOK, book),
    }
    if canonical(claims) != canonical(due):  # not `!=`: to Python, 1 equals true
        odd = sorted(k for k in due if type(claims) is not dict or claims.get(k) != due[k])
        raise ProofFailed(
            "The document speaks of another chain than your trust file: {odd}.",
            step="trust",
            odd=odd,
        )


def _check_inclusion(document: Any) -> None:
    """Each line is in the tree of the root beside it, at its place."""
    root, count = unhex(document["line_root"], 32), document["line_count"]
    for placed in document["lines"]:
        leaf = row_hash(unhex(placed["salt"], 16), placed["line"])
        path = [unhex(one, 32) for one in placed["inclusion"]]
        try:
            verify_inclusion(leaf, placed["index"], count, path, root)
        except ProofFailed as error:
            raise ProofFailed(
                "Line {index} is not in this statement: {why}",
                step="share",
                index=placed["index"],
                why=error.sentence,
            ) from error


def _check_state(document: Any, trust: Trust, node: Node, report: Report) -> None:
    key, root = unhex(document["key"][2:], 32), unhex(document["line_root"], 32)
    try:
        word = statement_verdict(node, trust, key, digest_bytes(document["digest"]), root)
        held = statement_signatures(node, trust, key) if word in STATEMENT_STATES[1:] else None
    except (OSError, ValueError, IndexError) as error:
        report.add("state", CANNOT_TELL, "The node failed to answer: {why}.", why=str(error))
        return
    outcome = OUTCOMES.get(word, NOT_VALID)
    if held is None:
        report.add("state", outcome, "On chain the statement is {word} now.", word=word)
        return
    takes_back, signed, due = held
    if takes_back:
        report.add(
            "state", NOT_VALID,
            "On chain the statement takes another one back: nobody is due anything by it.",
        )  # fmt: skip
    else:
        report.add(
            "state", outcome,
            "On chain the statement is {word} now; {signed} of {due} checkers have signed.",
            word=word, signed=signed, due=due,
        )  # fmt: skip


def _yuan(fen: int) -> str:
    """An amount of fen in yuan, to two decimals."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"
