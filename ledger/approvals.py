"""Approval of a statement (核准): by other persons than its maker, each with his own key.

The checker's machine gets a request, shows what it holds, and signs typed data (EIP-712); the contract
`RevenueBook` counts the approval only from that key.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ledger import books, inquiries, log, reversals
from ledger.chain import keys, outbox
from ledger.errors import Conflict, Invalid, NotAllowed
from ledger.parties import Actor, Member, require_other
from ledger.proof.encoding import canonical, digest_bytes, digest_text
from ledger.statements import (
    Statement,
    chain_key,
    content,
    line_root,
    require_decider,
    require_maker,
)
from ledger.states import move
from ledger.store import lock

NOTHING_REVERSED = "0x" + "00" * 32
APPROVALS_MAX = 3  # of the contract


def request_for(
    statement: Statement, origin: str, deployment: outbox.Deployment, nonce: int, deadline: int,
    original: Statement | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What the checker's machine needs to see and sign: the statement and the typed data (EIP-712).

    `original` is the statement that this one takes back, if it does.
    """
    return {
        "statement": content(statement),
        "type": "shuzheng/approval-request",
        "typed_data": _typed_data(statement, origin, deployment, nonce, deadline, original),
        "v": 1,
    }


def sign(request: Any, private_key: bytes) -> dict[str, Any]:
    """The checker's signature over a request whose digest and line root fit its statement.

    Of the typed data only what the contract itself holds the signature against is the request's to say
    (its place, the statement's id, how many must sign, what is reversed, nonce, deadline): the checker's
    key signs approvals, and nothing else under any name.
    """
    try:
        typed, statement = request["typed_data"], request["statement"]
        message, domain = typed["message"], typed["domain"]
        due = _approval(
            domain["chainId"], domain["verifyingContract"],
            {name: message[name] for name in MESSAGE},
        )  # fmt: skip
        required, version = message["approvalsRequired"], message["version"]
        fits = (
            canonical(typed) == canonical(due)
            and type(required) is int
            and type(version) is int
            and 1 <= version <= required <= APPROVALS_MAX
            and (message["reverses"] != NOTHING_REVERSED) == ("reverses" in statement)
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
    """A second person approves with the signature of his own key; anything else is refused.

    Where two must sign, the statement stays proposed after the first. The last one signs only when every
    question on it is answered, and of a reversal when no limit keeps what it takes back.
    """
    require_decider(session, actor, statement, "approve")
    lock(session, statement)  # whoever asks about a line takes the same lock
    session.refresh(statement)
    move("statement", "approve", statement.state)
    signed = list(statement.approvals or ())
    what = f"statement {statement.number}"
    require_other(actor, [one["checker_id"] for one in signed], what)
    member = session.get_one(Member, actor.member_id)
    if member.signing_address is None:
        raise NotAllowed("You have no signing address: the administrator must enter it first.")
    original = session.get_one(Statement, statement.reverses) if statement.reverses else None
    try:
        typed = _typed_data(
            statement, origin, deployment, int(approval["nonce"]), int(approval["deadline"]),
            original,
        )  # fmt: skip
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
    if signer in {one["address"] for one in signed}:
        raise NotAllowed(
            "The key {address} signed statement {number} already: another person signs with another key.",
            address=signer, number=statement.number,
        )  # fmt: skip
    if signer == session.get_one(Member, statement.maker_id).signing_address:
        raise NotAllowed(
            "The key {address} is that of who made statement {number}: another person signs with another "
            "key.",
            address=signer, number=statement.number,
        )  # fmt: skip
    if int(approval["deadline"]) < now.timestamp():
        raise Invalid("The signature's deadline has passed; request and sign anew.")
    is_last = len(signed) + 1 >= (statement.approvals_required or 1)
    if is_last:
        inquiries.require_answered(session, statement)
        if original is not None:  # what is signed must be bookable, and no payment comes between
            books.begin(session)
            reversals.require_not_limited(session, original)
    statement.state = move("statement", "approve" if is_last else "sign", statement.state)
    statement.checker_id = actor.member_id
    told = {
        "address": signer,
        "checker_id": actor.member_id,
        "deadline": int(approval["deadline"]),
        "nonce": int(approval["nonce"]),
        "signature": approval["signature"],
    }
    statement.approvals = [*signed, told]
    expected = statement.chain_version
    statement.chain_version = expected + 1
    if is_last:
        log.append(session, statement, "statement.approved", actor.member_id)
    else:
        log.append(session, statement, "statement.signed", actor.member_id)
    key = chain_key(origin, statement)
    outbox.enqueue(
        session, now, lane="maker", contract="RevenueBook", function="approve",
        arguments=[
            "0x" + key.hex(), expected, "0x" + digest_bytes(statement.digest).hex(),
            "0x" + statement.line_root, signer, told["deadline"], told["signature"], outbox.REASON,
        ],
        key=key, expected_version=expected, subject_id=statement.id,
        subject_version=statement.version,
    )  # fmt: skip


def require_fresh_nonce(session: Session, statement: Statement, address: str, nonce: Any) -> None:
    """Raise Conflict where a key's signature on another statement, on its way to the chain, uses it up."""
    on_their_way = select(outbox.Act.subject_id).where(
        outbox.Act.contract == "RevenueBook", outbox.Act.function == "approve",
        outbox.Act.state.in_(outbox.OPEN),
    )  # fmt: skip
    others = select(Statement).where(Statement.id.in_(on_their_way), Statement.id != statement.id)
    for other in session.scalars(others):
        for one in signatures(other):
            if (one["address"], one["nonce"]) == (address, nonce):
                raise Conflict(
                    "Your signature on statement {number} is on its way to the chain and uses nonce "
                    "{nonce} up: let the worker finish, then request and sign anew.",
                    nonce=nonce, number=other.number,
                )  # fmt: skip


def reopen(session: Session, actor: Actor, now: datetime, statement: Statement) -> None:
    """Take back an approval that the contract refused, and what was signed upon it, to be given anew.

    Only its maker, and only while the approval's act is an alarm: what is effective stays.
    """
    require_maker(session, actor, statement, "reopen")
    session.scalars(_signed(statement).with_for_update()).all()  # none is tried again meanwhile
    acts = _signed_acts(session, statement)
    if not refused(session, statement):
        raise Conflict(
            "Statement {number} has no approval that the chain refused.", number=statement.number
        )
    for act in acts:
        act.state = "dropped"
    version = acts[0].expected_version
    kept = signatures(statement)[: version - 1]
    statement.state = move("statement", "reopen", statement.state)
    statement.checker_id = kept[-1]["checker_id"] if kept else None
    statement.approval, statement.approvals, statement.chain_version = {}, kept, version
    log.append(
        session, statement, "statement.reopened", actor.member_id,
        reason=outbox.told(acts[0].problem),
    )  # fmt: skip


def refused(session: Session, statement: Statement) -> bool:
    """Whether the chain refused a signature on it."""
    acts = _signed_acts(session, statement)
    return statement.state in ("proposed", "approved") and bool(acts) and acts[0].state == "alarm"


def _signed_acts(session: Session, statement: Statement) -> Sequence[outbox.Act]:
    """The acts of its signatures that did not take effect, in order."""
    return session.scalars(_signed(statement)).all()


def _signed(statement: Statement) -> Select[outbox.Act]:
    return (
        select(outbox.Act)
        .where(
            outbox.Act.subject_id == statement.id, outbox.Act.function == "approve",
            outbox.Act.state.in_((*outbox.OPEN, "alarm")),
        )
        .order_by(outbox.Act.expected_version)
    )  # fmt: skip


def signatures(statement: Statement) -> list[dict[str, Any]]:
    """Who signed so far, in order; a statement of before has one signature in a field of its own."""
    if statement.approval:
        return [{**statement.approval, "checker_id": statement.checker_id}]
    return list(statement.approvals or ())


MESSAGE = {
    "id": "bytes32", "digest": "bytes32", "lineRoot": "bytes32", "approvalsRequired": "uint8",
    "reverses": "bytes32", "version": "uint24", "nonce": "uint256", "deadline": "uint256",
}  # fmt: skip
DOMAIN = {
    "name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address",
}  # fmt: skip


def _typed_data(
    statement: Statement, origin: str, deployment: outbox.Deployment, nonce: int, deadline: int,
    original: Statement | None,
) -> dict[str, Any]:  # fmt: skip
    """The typed data of `RevenueBook.approve`; a test compares its hash with the contract's."""
    taken_back = NOTHING_REVERSED
    if original is not None:
        taken_back = "0x" + chain_key(origin, original).hex()
    return _approval(
        deployment.chain_id, deployment.contracts["RevenueBook"],
        {
            "approvalsRequired": statement.approvals_required or 1,
            "deadline": deadline,
            "digest": "0x" + digest_bytes(statement.digest).hex(),
            "id": "0x" + chain_key(origin, statement).hex(),
            "lineRoot": "0x" + statement.line_root,
            "nonce": nonce,
            "reverses": taken_back,
            "version": statement.chain_version,
        },
    )  # fmt: skip


def _approval(chain_id: int, contract: str, message: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "domain": {
            "chainId": chain_id,
            "name": "Shuzheng RevenueBook",
            "verifyingContract": contract,
            "version": "1",
        },
        "message": dict(message),
        "primaryType": "Approval",
        "types": {
            "Approval": [{"name": name, "type": kind} for name, kind in MESSAGE.items()],
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in DOMAIN.items()],
        },
    }
