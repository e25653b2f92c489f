"""RevenueBook: a maker proposes, other keys approve by EIP-712, and a reversal is a statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from web3 import Web3

from tests.chain.stage import LATER, Refused, Stage, h

NONE, PROPOSED, APPROVED, WITHDRAWN, REVERSED = range(5)
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ID = h("april")
ZERO = bytes(32)


def seal(name: str) -> bytes:
    return bytes(Web3.keccak(h(f"statement {name}") + h(f"lines of {name}")))


def bring_about(stage: Stage, situation: str) -> int:
    """Bring the statement "april" into a situation and return its version."""
    if situation == "none":
        return 0
    stage.propose("april", approvals=2 if situation in ("two wanted", "one of two") else 1)
    if situation in ("one of two", "approved", "reversed"):
        stage.do(stage.approval("april"), stage.maker)
    if situation == "withdrawn":
        stage.do(stage.withdrawal("april"), stage.maker)
    if situation == "reversed":
        stage.propose("april again", reverses=ID)
        stage.do(stage.approval("april again"), stage.maker)
    return int(stage.statement(ID)["version"])


# What becomes of a statement by a deed; a refusal names the state that the deed needs.
TABLE = {
    ("none", "propose"): PROPOSED,
    ("none", "approve"): "needs Proposed",
    ("none", "withdraw"): "needs Proposed",
    ("none", "reverse"): "needs Approved",
    ("proposed", "propose"): "needs None",
    ("proposed", "approve"): APPROVED,
    ("proposed", "withdraw"): WITHDRAWN,
    ("proposed", "reverse"): "needs Approved",
    ("two wanted", "propose"): "needs None",
    ("two wanted", "approve"): PROPOSED,
    ("two wanted", "withdraw"): WITHDRAWN,
    ("two wanted", "reverse"): "needs Approved",
    ("one of two", "propose"): "needs None",
    ("one of two", "approve"): APPROVED,
    ("one of two", "withdraw"): WITHDRAWN,
    ("one of two", "reverse"): "needs Approved",
    ("approved", "propose"): "needs None",
    ("approved", "approve"): "needs Proposed",
    ("approved", "withdraw"): "needs Proposed",
    ("approved", "reverse"): REVERSED,
    ("withdrawn", "propose"): "needs None",
    ("withdrawn", "approve"): "needs Proposed",
    ("withdrawn", "withdraw"): "needs Proposed",
    ("withdrawn", "reverse"): "needs Approved",
    ("reversed", "propose"): "needs None",
    ("reversed", "approve"): "needs Proposed",
    ("reversed", "withdraw"): "needs Proposed",
    ("reversed", "reverse"): "needs Approved",
}


@pytest.mark.parametrize(("situation", "verb", "outcome"), [(*k, v) for k, v in TABLE.items()])
def test_a_deed_does_what_the_table_says_and_nothing_else(
    stage: Stage,
    reverts: Callable[..., None],
    situation: str,
    verb: str,
    outcome: int | str,
) -> None:
    version = bring_about(stage, situation)
    before = stage.statement(ID)
    signer = stage.second_checker if situation == "one of two" else stage.checker
    calls = {
        "propose": lambda: stage.proposal("april", expectedVersion=version),
        "approve": lambda: stage.approval("april", signer),
        "withdraw": lambda: stage.withdrawal("april"),
        "reverse": lambda: stage.proposal("reversal", reverses=ID),
    }
    call = calls[verb]()
    if isinstance(outcome, str):
        needed = ["None", "Proposed", "Approved"].index(outcome.removeprefix("needs "))
        reverts(call, stage.maker, "StateMismatch", ID, needed, before["state"])
        assert stage.statement(ID) == before
        return
    receipt = stage.do(call, stage.maker)
    if verb == "reverse":
        receipt = stage.do(stage.approval("reversal"), stage.maker)
    after = stage.statement(ID)
    assert (after["state"], after["version"]) == (outcome, version + 1)
    told = [told for name, told in stage.events(stage.book, receipt) if name == "Changed"][-1]
    assert told["id"] == ID
    assert told["actor"] == stage.maker
    assert (told["oldState"], told["newState"]) == (before["state"], outcome)
    assert told["version"] == version + 1


def test_a_proposal_stores_and_tells_its_content(stage: Stage) -> None:
    receipt = stage.do(stage.proposal("april", approvals=3), stage.maker)
    assert stage.statement(ID) == {
        "proposer": stage.maker,
        "version": 1,
        "state": PROPOSED,
        "approvalsRequired": 3,
        "approvals": 0,
        "isReversal": False,
        "seal": seal("april"),
        "reverses": ZERO,
    }
    assert stage.events(stage.book, receipt) == [
        (
            "Changed",
            {
                "id": ID,
                "actor": stage.maker,
                "reason": h("record of the proposal of april"),
                "oldState": NONE,
                "newState": PROPOSED,
                "version": 1,
            },
        ),
        (
            "Proposed",
            {
                "id": ID,
                "digest": h("statement april"),
                "lineRoot": h("lines of april"),
                "approvalsRequired": 3,
                "reverses": ZERO,
            },
        ),
    ]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"id": ZERO, "reason": h("a record")}, ("IdZero", h("a record"))),
        ({"digest": ZERO}, ("DigestZero", ID)),
        ({"lineRoot": ZERO}, ("LineRootZero", ID)),
        ({"reason": ZERO}, ("ReasonZero", ID)),
        ({"approvals": 0}, ("ApprovalsOutOfRange", ID, 0)),
        ({"approvals": 4}, ("ApprovalsOutOfRange", ID, 4)),
        ({"expectedVersion": 1}, ("VersionMismatch", ID, 1, 0)),
        ({"reverses": ID}, ("StateMismatch", ID, APPROVED, NONE)),
    ],
)
def test_a_proposal_with_a_wrong_particular_is_refused(
    stage: Stage, reverts: Callable[..., None], changes: dict[str, Any], error: tuple[Any, ...]
) -> None:
    reverts(stage.proposal("april", **changes), stage.maker, *error)


def test_an_approval_and_a_withdrawal_need_a_ground(
    stage: Stage, reverts: Callable[..., None]
) -> None:
    stage.propose("april")
    reverts(stage.approval("april", reason=ZERO), stage.maker, "ReasonZero", ID)
    reverts(stage.withdrawal("april", reason=ZERO), stage.maker, "ReasonZero", ID)


def test_a_deed_at_another_version_is_refused(stage: Stage, reverts: Callable[..., None]) -> None:
    stage.propose("april")
    for other in (0, 2):
        for call in (
            stage.proposal("april", expectedVersion=other),
            stage.approval("april", expectedVersion=other),
            stage.withdrawal("april", expectedVersion=other),
        ):
            reverts(call, stage.maker, "VersionMismatch", ID, other, 1)


def test_a_reader_is_told_the_state_of_the_content_in_his_hands(stage: Stage) -> None:
    verify = stage.book.functions.verify
    digest, root = h("statement april"), h("lines of april")
    assert verify(ID, digest, root).call() == [False, NONE, 0]
    assert verify(ID, ZERO, ZERO).call() == [False, NONE, 0]
    bring_about(stage, "approved")
    assert verify(ID, digest, root).call() == [True, APPROVED, 2]
    assert verify(ID, h("forged"), root).call() == [False, APPROVED, 2]
    assert verify(ID, digest, h("forged")).call() == [False, APPROVED, 2]
    assert verify(ID, root, digest).call() == [False, APPROVED, 2]


# -- signatures -----------------------------------------------------------------------------------


def test_the_contract_names_the_digest_that_the_checker_signs(stage: Stage) -> None:
    stage.propose("april")
    signed = stage.book.functions.approvalDigest(
        ID, h("statement april"), h("lines of april"), stage.checker.address, LATER
    ).call()
    signature = stage.sign("april", stage.checker)
    recovered = Account._recover_hash(signed, signature=signature)
    assert recovered == stage.checker.address
    wrong = stage.book.functions.approvalDigest(
        ID, h("forged"), h("lines of april"), stage.checker.address, LATER
    )
    refused = stage.refusal(wrong, stage.stranger)
    assert refused is not None
    assert refused.name == "ContentMismatch"


def test_the_domain_is_named_by_the_contract(stage: Stage) -> None:
    told = stage.book.functions.eip712Domain().call()
    assert told[1:3] == ["Shuzheng RevenueBook", "1"]
    assert told[4] == stage.book.address


def test_an_approval_tells_the_checker(stage: Stage) -> None:
    stage.propose("april")
    receipt = stage.do(stage.approval("april"), stage.maker)
    events = stage.events(stage.book, receipt)
    assert [name for name, _ in events] == ["Changed", "Approved"]
    assert events[0][1]["reason"] == h("record of an approval of april")
    assert events[1][1] == {"id": ID, "checker": stage.checker.address, "approvals": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"domainName": "Shuzheng"},
        {"domainVersion": "2"},
        {"chainId": 1},
        {"verifyingContract": "0x" + "11" * 20},
        {"id": h("may")},
        {"digest": h("another statement")},
        {"lineRoot": h("other lines")},
        {"approvalsRequired": 2},
        {"reverses": h("may")},
        {"version": 0},
        {"version": 2},
        {"nonce": 1},
        {"deadline": LATER + 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_signature_over_anything_else_does_not_count(
    stage: Stage, changes: dict[str, Any]
) -> None:
    stage.propose("april")
    signature = stage.sign("april", stage.checker, **changes)
    call = stage.approval("april", signature=signature)
    refused = stage.refusal(call, stage.maker)
    assert refused is not None
    assert refused.name == "SignerMismatch"
    assert refused.arguments[:2] == (ID, stage.checker.address)
    assert refused.arguments[2] != stage.checker.address
    assert stage.fails(call, stage.maker)
    assert stage.statement(ID)["state"] == PROPOSED


@pytest.mark.parametrize("changes", [{"digest": h("forged")}, {"lineRoot": h("forged")}])
def test_an_approval_of_other_content_is_refused(
    stage: Stage, reverts: Callable[..., None], changes: dict[str, Any]
) -> None:
    stage.propose("april")
    signature = stage.sign("april", stage.checker, **changes)
    given = {"digest": h("statement april"), "lineRoot": h("lines of april"), **changes}
    other = bytes(Web3.keccak(given["digest"] + given["lineRoot"]))
    call = stage.approval("april", signature=signature, **changes)
    reverts(call, stage.maker, "ContentMismatch", ID, seal("april"), other)


def test_a_signature_counts_until_its_deadline(stage: Stage, reverts: Callable[..., None]) -> None:
    stage.propose("april")

    def by(deadline: int) -> Any:
        signature = stage.sign("april", stage.checker, deadline=deadline)
        return stage.approval("april", deadline=deadline, signature=signature)

    refused = stage.refusal(by(0), stage.maker)
    assert refused is not None
    now = refused.arguments[2]
    assert refused == Refused("DeadlinePassed", (ID, 0, now))
    # Asking mines no block: all three are judged at the same time.
    late = Refused("DeadlinePassed", (ID, now - 1, now))
    assert stage.refusal(by(now - 1), stage.maker) == late
    assert stage.refusal(by(now), stage.maker) is None
    reverts(by(0), stage.maker, "DeadlinePassed", ID, 0, now)


def test_a_used_signature_does_not_count_again(stage: Stage) -> None:
    stage.propose("april", approvals=2)
    call = stage.approval("april")
    stage.do(call, stage.maker)
    refused = stage.refusal(call, stage.maker)
    assert refused == Refused("VersionMismatch", (ID, 1, 2))
    assert stage.book.functions.nonces(stage.checker.address).call() == 1


def test_a_signature_given_before_another_approval_is_void(stage: Stage) -> None:
    stage.propose("april")
    stage.propose("may")
    early = stage.sign("may", stage.checker)
    stage.do(stage.approval("april"), stage.maker)
    refused = stage.refusal(stage.approval("may", signature=early), stage.maker)
    assert refused is not None
    assert refused.name == "SignerMismatch"
    stage.do(stage.approval("may"), stage.maker)


def test_the_other_form_of_a_signature_is_refused(
    stage: Stage, reverts: Callable[..., None]
) -> None:
    stage.propose("april")
    signature = stage.sign("april", stage.checker)
    s = CURVE_ORDER - int.from_bytes(signature[32:64])
    twin = signature[:32] + s.to_bytes(32) + bytes([27 + 28 - signature[64]])
    call = stage.approval("april", signature=twin)
    reverts(call, stage.maker, "ECDSAInvalidSignatureS", s.to_bytes(32))


@pytest.mark.parametrize("length", [1, 64, 66])
def test_a_signature_of_another_length_is_refused(
    stage: Stage, reverts: Callable[..., None], length: int
) -> None:
    stage.propose("april")
    signature = (stage.sign("april", stage.checker) + b"\x00")[:length]
    call = stage.approval("april", signature=signature)
    reverts(call, stage.maker, "ECDSAInvalidSignatureLength", length)


def test_a_signature_that_recovers_nobody_is_refused(
    stage: Stage, reverts: Callable[..., None]
) -> None:
    stage.propose("april")
    signature = stage.sign("april", stage.checker)[:64] + b"\x00"
    reverts(stage.approval("april", signature=signature), stage.maker, "ECDSAInvalidSignature")


def test_nobody_approves_what_he_proposed(stage: Stage, reverts: Callable[..., None]) -> None:
    both = Account.from_key(h("a key with two roles"))
    for role in ("MAKER_ROLE", "CHECKER_ROLE"):
        number = stage.book.functions[role]().call()
        stage.do(stage.book.functions.grantRole(number, both.address), stage.admin)
    give = {"from": stage.admin, "to": both.address, "value": 10**18, "gas": 21000}
    stage.w3.eth.send_transaction({**give, "gasPrice": 10**9})  # type: ignore[typeddict-item]
    stage.tester.add_account("0x" + both.key.hex())
    stage.do(stage.proposal("april"), both.address)
    own = stage.approval("april", both)
    reverts(own, stage.maker, "CheckerIsProposer", ID, both.address)
    reverts(own, both.address, "CheckerIsProposer", ID, both.address)
    stage.do(stage.approval("april", stage.checker), both.address)


def test_a_stranger_cannot_approve(stage: Stage, reverts: Callable[..., None]) -> None:
    stage.propose("april")
    stranger = Account.from_key(h("a stranger's key"))
    role = stage.book.functions.CHECKER_ROLE().call()
    call = stage.approval("april", stranger)
    reverts(call, stage.maker, "AccessControlUnauthorizedAccount", stranger.address, role)


def test_a_stranger_cannot_sign_in_a_checkers_name(
    stage: Stage, reverts: Callable[..., None]
) -> None:
    stage.propose("april")
    stranger = Account.from_key(h("a stranger's key"))
    signature = stage.sign("april", stranger)
    call = stage.approval("april", signature=signature)
    names = (stage.checker.address, stranger.address)
    reverts(call, stage.maker, "SignerMismatch", ID, *names)


def test_a_checker_who_lost_his_role_does_not_count(
    stage: Stage, reverts: Callable[..., None]
) -> None:
    stage.propose("april")
    call = stage.approval("april")
    role = stage.book.functions.CHECKER_ROLE().call()
    lost = stage.book.functions.revokeRole(role, stage.checker.address)
    stage.do(lost, stage.admin)
    account = stage.checker.address
    reverts(call, stage.maker, "AccessControlUnauthorizedAccount", account, role)


@pytest.mark.parametrize("approvals", [2, 3])
def test_one_checker_counts_once(
    stage: Stage, reverts: Callable[..., None], approvals: int
) -> None:
    stage.propose("april", approvals=approvals)
    stage.do(stage.approval("april"), stage.maker)
    again = stage.approval("april")
    reverts(again, stage.maker, "CheckerCounted", ID, stage.checker.address)
    stage.do(stage.approval("april", stage.second_checker), stage.maker)
    if approvals == 3:
        for checker in (stage.checker, stage.second_checker):
            again = stage.approval("april", checker)
            reverts(again, stage.maker, "CheckerCounted", ID, checker.address)
        third = Account.from_key(h("a third checker's key"))
        role = stage.book.functions.CHECKER_ROLE().call()
        stage.do(stage.book.functions.grantRole(role, third.address), stage.admin)
        stage.do(stage.approval("april", third), stage.maker)
    stored = stage.statement(ID)
    assert (stored["state"], stored["approvals"]) == (APPROVED, approvals)


# -- withdrawal and reversal ----------------------------------------------------------------------


def test_only_the_proposer_withdraws(stage: Stage, reverts: Callable[..., None]) -> None:
    role = stage.book.functions.MAKER_ROLE().call()
    stage.do(stage.book.functions.grantRole(role, stage.other_maker), stage.admin)
    stage.propose("april")
    call = stage.withdrawal("april")
    reverts(call, stage.other_maker, "NotProposer", ID, stage.maker, stage.other_maker)
    stage.do(call, stage.maker)


def test_a_reversal_needs_all_its_approvals(stage: Stage) -> None:
    bring_about(stage, "approved")
    stage.propose("reversal", approvals=2, reverses=ID)
    assert stage.statement(h("reversal"))["isReversal"]
    stage.do(stage.approval("reversal"), stage.maker)
    assert stage.statement(ID)["state"] == APPROVED
    receipt = stage.do(stage.approval("reversal", stage.second_checker), stage.maker)
    assert (stage.statement(ID)["state"], stage.statement(ID)["version"]) == (REVERSED, 3)
    assert stage.statement(h("reversal"))["state"] == APPROVED
    events = stage.events(stage.book, receipt)
    assert [name for name, _ in events] == ["Changed", "Approved", "Changed", "Reversed"]
    assert events[2][1] == {
        "id": ID,
        "actor": stage.maker,
        "reason": h("record of an approval of reversal"),
        "oldState": APPROVED,
        "newState": REVERSED,
        "version": 3,
    }
    assert events[3][1] == {"id": ID, "by": h("reversal")}


def test_of_two_reversals_one_is_approved(stage: Stage, reverts: Callable[..., None]) -> None:
    bring_about(stage, "approved")
    stage.propose("reversal", reverses=ID)
    stage.propose("second reversal", reverses=ID)
    stage.do(stage.approval("reversal"), stage.maker)
    late = stage.approval("second reversal")
    reverts(late, stage.maker, "StateMismatch", ID, APPROVED, REVERSED)
    assert stage.statement(h("second reversal"))["state"] == PROPOSED
    stage.do(stage.withdrawal("second reversal"), stage.maker)


def test_the_checker_signs_what_is_reversed(stage: Stage) -> None:
    bring_about(stage, "approved")
    stage.propose("reversal", reverses=ID)
    signature = stage.sign("reversal", stage.checker, reverses=ZERO)
    refused = stage.refusal(stage.approval("reversal", signature=signature), stage.maker)
    assert refused is not None
    assert refused.name == "SignerMismatch"
