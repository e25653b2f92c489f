"""Approval of a statement (核准): by other persons than its maker, each with his own key.

The checker's machine gets a request, shows what it holds, and signs typed data (EIP-712); the contract
`RevenueBook` counts the approval only from that key.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ledger import log
from ledger.chain import keys, outbox
from ledger.errors import Conflict, Invalid, NotAllowed
from ledger.parties import Actor, Member
from ledger.proof.encoding import canonical, digest_bytes, digest_text
from ledger.revenue import (
    APPROVALS_REQUIRED,
    Statement,
    content,
    line_root,
    require_decider,
    require_maker,
)
from ledger.states import move


def request_for(
    statement: Statement, origin: str, deployment: outbox.Deployment, nonce: int, deadline: int
) -> dict[str, Any]:
    """What the checker's machine needs to see and sign: the statement and the typed data (EIP-712)."""
    return {
        "statement": content(statement),
        "type": "shuzheng/approval-request",
        "typed_data": _typed_data(statement, origin, deployment, nonce, deadline),
        "v": 1,
    }


def sign(request: Any, private_key: bytes) -> dict[str, Any]:
    """The checker's signature over a request whose digest and line root fit its statement.

    Of the typed data only the contract's place, the statement's id, the nonce and the deadline are the
    request's to say: the checker's key signs approvals, and nothing else under any name.
    """
    try:
        typed, statement = request["typed_data"], request["statement"]
        message, domain = typed["message"], typed["domain"]
        due = _approval(
            domain["chainId"], domain["verifyingContract"],
            {name: message[name] for name in ("deadline", "digest", "id", "lineRoot", "nonce")},
        )  # fmt: skip
        fits = (
            canonical(typed) == canonical(due)
            and message["digest"] == "0x" + digest_bytes(digest_text(canonical(statement))).hex()
            and message["lineRoot"]
            == "0x" + line_root(statement["lines"], statement["line_salts"]).hex()
            and statement["amount_fen"] == sum(line["amount_fen"] for line in statement["lines"])
        )
    except (KeyError, TypeError, ValueError):
        raise Invalid("This is no approval request.") from None
    if not fits:
        raise Invalid("The statement shown is not the one to be signed: do not sign it.")
    return {
        "address": keys.address_of(private_key),
        "deadline": message["deadline"],
        "nonce": message["nonce"],
        "signature": keys.sign_typed(typed, private_key),
        "statement": statement["number"],
        "type": "shuzheng/approval",
        "v": 1,
    }


def approve(
    session: Session,
    actor: Actor,
    now: datetime,
    statement: Statement,
    approval: Mapping[str, Any],
    origin: str,
    deployment: outbox.Deployment,
) -> None:
    """A second person approves with the signature of his own key; anything else is refused."""
    require_decider(session, actor, statement, "approve")
    member = session.get_one(Member, actor.member_id)
    if member.signing_address is None:
        raise NotAllowed("You have no signing address: the administrator must enter it first.")
    try:
        typed = _typed_data(
            statement, origin, deployment, int(approval["nonce"]), int(approval["deadline"])
        )
        signer = keys.recover_typed(typed, approval["signature"])
    except (KeyError, TypeError, ValueError, Invalid):
        raise Invalid(
            "This is no approval of statement {number}.", number=statement.number
        ) from None
    if signer != member.signing_address:
        raise NotAllowed(
            "The signature on statement {number} is not by your key {address}.",
            number=statement.number, address=member.signing_address,
        )  # fmt: skip
    if int(approval["deadline"]) < now.timestamp():
        raise Invalid("The signature's deadline has passed; request and sign anew.")
    statement.state = move("statement", "approve", statement.state)
    statement.checker_id = actor.member_id
    statement.approval = {
        "address": signer,
        "deadline": int(approval["deadline"]),
        "nonce": int(approval["nonce"]),
        "signature": approval["signature"],
    }
    statement.chain_version = 2
    log.append(session, statement, "statement.approved", actor.member_id)
    key = log.digest_key(origin, statement.id)
    outbox.enqueue(
        session, now, lane="maker", contract="RevenueBook", function="approve",
        arguments=[
            "0x" + key.hex(), 1, "0x" + digest_bytes(statement.digest).hex(),
            "0x" + statement.line_root, signer, int(approval["deadline"]),
            approval["signature"], outbox.REASON,
        ],
        key=key, expected_version=1, subject_id=statement.id, subject_version=statement.version,
    )  # fmt: skip


def reopen(session: Session, actor: Actor, now: datetime, statement: Statement) -> None:
    """Take back an approval that the contract refused, so that the statement can be approved anew.

    Only its maker, and only while the approval's act is an alarm: what is effective stays.
    """
    require_maker(session, actor, statement, "reopen")
    act = outbox.act_of(session, statement.id, statement.version)
    if statement.state != "approved" or act is None or act.state != "alarm":
        raise Conflict(
            "Statement {number} has no approval that the chain refused.", number=statement.number
        )
    outbox.drop(act)
    statement.state = move("statement", "reopen", statement.state)
    statement.checker_id, statement.approval, statement.chain_version = None, {}, 1
    log.append(
        session, statement, "statement.reopened", actor.member_id, reason=outbox.told(act.problem)
    )


def _typed_data(
    statement: Statement, origin: str, deployment: outbox.Deployment, nonce: int, deadline: int
) -> dict[str, Any]:
    """The typed data of `RevenueBook.approve`; a test compares its hash with the contract's."""
    return _approval(
        deployment.chain_id, deployment.contracts["RevenueBook"],
        {
            "deadline": deadline,
            "digest": "0x" + digest_bytes(statement.digest).hex(),
            "id": "0x" + log.digest_key(origin, statement.id).hex(),
            "lineRoot": "0x" + statement.line_root,
            "nonce": nonce,
        },
    )  # fmt: skip


def _approval(chain_id: int, contract: str, message: Mapping[str, Any]) -> dict[str, Any]:
    fields = [
        ("id", "bytes32"), ("digest", "bytes32"), ("lineRoot", "bytes32"),
        ("approvalsRequired", "uint8"), ("reverses", "bytes32"), ("version", "uint24"),
        ("nonce", "uint256"), ("deadline", "uint256"),
    ]  # fmt: skip
    domain = [
        ("name", "string"), ("version", "string"), ("chainId", "uint256"),
        ("verifyingContract", "address"),
    ]  # fmt: skip
    return {
        "domain": {
            "chainId": chain_id,
            "name": "Shuzheng RevenueBook",
            "verifyingContract": contract,
            "version": "1",
        },
        "message": {
            **message,
            "approvalsRequired": APPROVALS_REQUIRED,
            "reverses": "0x" + "00" * 32,
            "version": 1,
        },
        "primaryType": "Approval",
        "types": {
            "Approval": [{"name": name, "type": kind} for name, kind in fields],
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in domain],
        },
    }
