"""VoucherRegistry: every state × every verb, what verifiers are told, and what a deed leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.chain.stage import (
    CANCELLED,
    FROZEN,
    LATER,
    NONE,
    PLEDGED,
    REVOKED,
    SUPERSEDED,
    SUSPENDED,
    VALID,
    Stage,
    h,
)

ID, REASON = h("voucher"), h("a record")
VERBS = [
    "issue",
    "suspend",
    "resume",
    "revoke",
    "cancel",
    "renew",
    "supersede",
    "transfer",
    "pledge",
    "release",
    "freeze",
    "unfreeze",
    "replaceHolderKey",
    "addUses",
]

# What becomes of a voucher (rows) by a deed (columns); "." is refused. V valid, S suspended,
# R revoked, C cancelled, X superseded; p pledged, f frozen.
TABLE = """
      iss sus res rev can ren sup tra ple rel fre unf rep use
 none   V   .   .   .   .   .   .   .   .   .   .   .   .   .
 V      .   S   .   R   C   V   X   V  Vp   .  Vf   .   V   V
 Vp     .  Sp   .  Rp   .  Vp   .   .   .   V Vpf   .  Vp  Vp
 Vf     .  Sf   .  Rf   .   .   .   .   .   .   .   V   .   .
 Vpf    . Spf   . Rpf   .   .   .   .   .   .   .  Vp   .   .
 S      .   .   V   R   C   .   .   .   .   .  Sf   .   S   .
 Sp     .   .  Vp  Rp   .   .   .   .   .   S Spf   .  Sp   .
 Sf     .   .   .  Rf   .   .   .   .   .   .   .   S   .   .
 Spf    .   .   . Rpf   .   .   .   .   .   .   .  Sp   .   .
 R      .   .   .   .   .   .   .   .   .   .   .   .   .   .
 Rp     .   .   .   .   .   .   .   .   .   .   .   .   .   .
 Rf     .   .   .   .   .   .   .   .   .   .   .   R   .   .
 Rpf    .   .   .   .   .   .   .   .   .   .   .  Rp   .   .
 C      .   .   .   .   .   .   .   .   .   .   .   .   .   .
 X      .   .   .   .   .   .   .   .   .   .   .   .   .   .
"""
STATES = {"none": NONE, "V": VALID, "S": SUSPENDED, "R": REVOKED, "C": CANCELLED, "X": SUPERSEDED}
FLAGS = {"p": PLEDGED, "f": FROZEN}
MOVES = [
    (row.split()[0], verb, cell)
    for row in TABLE.strip("\n").splitlines()[1:]
    for verb, cell in zip(VERBS, row.split()[1:], strict=True)
]


def state_and_flags(situation: str) -> tuple[int, int]:
    if situation == "none":
        return NONE, 0
    return STATES[situation[0]], sum(FLAGS[c] for c in situation[1:])


def deed(stage: Stage, verb: str, version: int, id_: bytes = ID, reason: bytes = REASON) -> Any:
    """Return the call that does a deed to a voucher, with fitting particulars."""
    f = stage.vouchers.functions
    if verb == "issue":
        return f.issue(stage.particulars("voucher", id=id_, maxUses=10, reason=reason))
    more = {
        "renew": [LATER + 1, h("renewed credential")],
        "supersede": [[stage.particulars("successor")]],
        "transfer": [stage.buyer, h("credential of the buyer")],
        "replaceHolderKey": [stage.buyer],
        "addUses": [3],
    }
    return f[verb](id_, version, *more.get(verb, []), reason)


def actor(stage: Stage, verb: str) -> str:
    return stage.regulator if verb in ("freeze", "unfreeze") else stage.registrar


def bring_about(stage: Stage, situation: str) -> int:
    """Bring the voucher into a situation and return its version."""
    if situation == "none":
        return 0
    final = {"V": [], "S": ["suspend"], "R": ["revoke"], "C": ["cancel"], "X": ["supersede"]}
    flags = [{"p": "pledge", "f": "freeze"}[c] for c in situation[1:]]
    for version, verb in enumerate(["issue", *flags, *final[situation[0]]]):
        stage.do(deed(stage, verb, version), actor(stage, verb))
    assert (stage.voucher(ID)["state"], stage.voucher(ID)["flags"]) == state_and_flags(situation)
    return 1 + len(flags) + len(final[situation[0]])


@pytest.mark.parametrize(("situation", "verb", "outcome"), MOVES)
def test_a_deed_does_what_the_table_says_and_nothing_else(
    stage: Stage, reverts: Callable[..., None], situation: str, verb: str, outcome: str
) -> None:
    version = bring_about(stage, situation)
    state, flags = state_and_flags(situation)
    before = stage.voucher(ID)
    call = deed(stage, verb, version)

    if outcome == ".":
        if verb == "issue":
            reverts(call, actor(stage, verb), "VersionMismatch", ID, 0, version)
        else:
            number = VERBS.index(verb)
            reverts(call, actor(stage, verb), "MoveNotAllowed", ID, number, state, flags)
        assert stage.voucher(ID) == before
        return

    receipt = stage.do(call, actor(stage, verb))
    after = stage.voucher(ID)
    new_state, new_flags = state_and_flags(outcome)
    touched: dict[str, Any] = {"state": new_state, "flags": new_flags, "version": version + 1}
    touched |= {
        "issue": {k: v for k, v in stage.particulars("voucher", maxUses=10).items() if k in after},
        "renew": {"validUntil": LATER + 1, "digest": h("renewed credential")},
        "transfer": {"holder": stage.buyer, "digest": h("credential of the buyer")},
        "replaceHolderKey": {"holder": stage.buyer},
        "addUses": {"used": 3},
    }.get(verb, {})
    assert after == {**before, **touched}
    changed = [told for name, told in stage.events(stage.vouchers, receipt) if name == "Changed"]
    assert changed[0] == {
        "id": ID,
        "actor": actor(stage, verb),
        "reason": REASON,
        "verb": VERBS.index(verb),
        "oldState": state,
        "newState": new_state,
        "version": version + 1,
        "holder": after["holder"],
        "digest": after["digest"],
    }


def test_the_table_names_every_state_and_every_verb(stage: Stage) -> None:
    assert len(MOVES) == 15 * 14
    functions = {i["name"] for i in stage.vouchers.abi if i["type"] == "function"}
    assert set(VERBS) <= functions


@pytest.mark.parametrize("verb", VERBS[1:])
@pytest.mark.parametrize("off_by", [-1, 1])
def test_a_deed_at_another_version_is_refused(
    stage: Stage, reverts: Callable[..., None], verb: str, off_by: int
) -> None:
    situation = {"resume": "S", "release": "Vp", "unfreeze": "Vf"}.get(verb, "V")
    version = bring_about(stage, situation)
    call = deed(stage, verb, version + off_by)
    reverts(call, actor(stage, verb), "VersionMismatch", ID, version + off_by, version)


@pytest.mark.parametrize("verb", VERBS)
def test_a_deed_without_a_ground_is_refused(
    stage: Stage, reverts: Callable[..., None], verb: str
) -> None:
    situation = {"issue": "none", "resume": "S", "release": "Vp", "unfreeze": "Vf"}.get(verb, "V")
    version = bring_about(stage, situation)
    reverts(deed(stage, verb, version, reason=bytes(32)), actor(stage, verb), "ReasonZero", ID)


def test_the_second_of_two_deeds_for_one_version_is_refused(
    stage: Stage, reverts: Callable[..., None]
) -> None:
    stage.issue("voucher")
    stage.do(deed(stage, "suspend", 1), stage.registrar)
    reverts(deed(stage, "suspend", 1), stage.registrar, "VersionMismatch", ID, 1, 2)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"id": bytes(32)}, ("IdZero", REASON)),
        ({"holder": "0x" + "00" * 20}, ("HolderZero", ID)),
        ({"digest": bytes(32)}, ("DigestZero", ID)),
        ({"reason": bytes(32)}, ("ReasonZero", ID)),
        ({"validUntil": 0}, ("ValidUntilNotLater", ID, 0, 0)),
    ],
)
def test_an_issue_with_a_missing_particular_is_refused(
    stage: Stage, reverts: Callable[..., None], changes: dict[str, Any], error: tuple[Any, ...]
) -> None:
    given = stage.particulars("voucher", **{"reason": REASON, **changes})
    reverts(stage.vouchers.functions.issue(given), stage.registrar, *error)


def test_an_issue_tells_its_particulars(stage: Stage) -> None:
    call = stage.vouchers.functions.issue(stage.particulars("voucher", maxUses=10, kind=4))
    events = stage.events(stage.vouchers, stage.do(call, stage.registrar))
    assert [name for name, _ in events] == ["Changed", "Issued"]
    assert events[1][1] == {
        "id": ID,
        "validUntil": LATER,
        "kind": 4,
        "rights": 0b111,
        "maxUses": 10,
    }


def test_many_are_issued_in_one_transaction(stage: Stage) -> None:
    given = [stage.particulars(f"voucher {i}", kind=i) for i in range(5)]
    stage.do(stage.vouchers.functions.issueMany(given), stage.registrar)
    assert [stage.voucher(h(f"voucher {i}"))["kind"] for i in range(5)] == [0, 1, 2, 3, 4]


def test_one_bad_voucher_spoils_the_batch(stage: Stage, reverts: Callable[..., None]) -> None:
    given = [stage.particulars(f"voucher {i}") for i in range(3)]
    call = stage.vouchers.functions.issueMany([*given, given[1]])
    reverts(call, stage.registrar, "VersionMismatch", h("voucher 1"), 0, 1)
    assert stage.voucher(h("voucher 0"))["state"] == NONE


@pytest.mark.parametrize("length", [0, 201])
def test_a_batch_is_neither_empty_nor_longer_than_fits(
    stage: Stage, reverts: Callable[..., None], length: int
) -> None:
    stage.issue("voucher", maxUses=1000)
    f = stage.vouchers.functions
    assert f.BATCH_MAX().call() == 200
    given = [stage.particulars(f"voucher {i}") for i in range(length)]
    reverts(f.issueMany(given), stage.registrar, "BatchOutOfRange", length, 200)
    reverts(f.supersede(ID, 1, given, REASON), stage.registrar, "BatchOutOfRange", length, 200)
    uses = [(ID, 1 + i, 1, REASON) for i in range(length)]
    reverts(f.addUsesMany(uses), stage.registrar, "BatchOutOfRange", length, 200)


@pytest.mark.parametrize("later_s", [-1, 0])
def test_a_renewal_must_end_later(stage: Stage, reverts: Callable[..., None], later_s: int) -> None:
    stage.issue("voucher")
    call = stage.vouchers.functions.renew(ID, 1, LATER + later_s, h("d"), REASON)
    reverts(call, stage.registrar, "ValidUntilNotLater", ID, LATER, LATER + later_s)


def test_a_renewal_tells_the_new_end(stage: Stage) -> None:
    stage.issue("voucher")
    receipt = stage.do(deed(stage, "renew", 1), stage.registrar)
    assert stage.events(stage.vouchers, receipt)[1] == (
        "Renewed",
        {"id": ID, "validUntil": LATER + 1},
    )


def test_a_new_credential_has_a_digest(stage: Stage, reverts: Callable[..., None]) -> None:
    stage.issue("voucher")
    f = stage.vouchers.functions
    zero = bytes(32)
    reverts(f.renew(ID, 1, LATER + 1, zero, REASON), stage.registrar, "DigestZero", ID)
    reverts(f.transfer(ID, 1, stage.buyer, zero, REASON), stage.registrar, "DigestZero", ID)


@pytest.mark.parametrize("verb", ["transfer", "replaceHolderKey"])
def test_a_new_holder_is_somebody_else(
    stage: Stage, reverts: Callable[..., None], verb: str
) -> None:
    stage.issue("voucher")
    digest = [h("new credential")] if verb == "transfer" else []
    f = stage.vouchers.functions[verb]
    nobody = "0x" + "00" * 20
    reverts(f(ID, 1, nobody, *digest, REASON), stage.registrar, "HolderZero", ID)
    same = f(ID, 1, stage.holder, *digest, REASON)
    reverts(same, stage.registrar, "HolderUnchanged", ID, stage.holder)


def test_a_voucher_is_split_by_right(stage: Stage) -> None:
    stage.issue("voucher")
    parts = [stage.particulars(f"right {bit}", rights=1 << bit) for bit in range(3)]
    call = stage.vouchers.functions.supersede(ID, 1, parts, REASON)
    events = stage.events(stage.vouchers, stage.do(call, stage.registrar))
    assert stage.voucher(ID)["state"] == SUPERSEDED
    assert [stage.voucher(p["id"])["rights"] for p in parts] == [1, 2, 4]
    links = [told for name, told in events if name == "SucceededBy"]
    assert links == [{"id": ID, "successor": p["id"]} for p in parts]


def test_a_voucher_does_not_succeed_itself(stage: Stage, reverts: Callable[..., None]) -> None:
    stage.issue("voucher")
    call = stage.vouchers.functions.supersede(ID, 1, [stage.particulars("voucher")], REASON)
    reverts(call, stage.registrar, "VersionMismatch", ID, 0, 2)


def test_uses_are_counted_up_to_the_limit(stage: Stage, reverts: Callable[..., None]) -> None:
    stage.issue("voucher", maxUses=10)
    f = stage.vouchers.functions
    receipt = stage.do(f.addUses(ID, 1, 4, REASON), stage.registrar)
    told = stage.events(stage.vouchers, receipt)[1]
    assert told == ("UsesAdded", {"id": ID, "count": 4, "used": 4})
    reverts(f.addUses(ID, 2, 7, REASON), stage.registrar, "UsesExceeded", ID, 10, 4, 7)
    everything = 2**64 - 1
    call = f.addUses(ID, 2, everything, REASON)
    reverts(call, stage.registrar, "UsesExceeded", ID, 10, 4, everything)
    stage.do(f.addUses(ID, 2, 6, REASON), stage.registrar)
    assert stage.voucher(ID)["used"] == 10
    reverts(f.addUses(ID, 3, 0, REASON), stage.registrar, "UsesZero", ID)


def test_unlimited_uses_are_not_counted(stage: Stage, reverts: Callable[..., None]) -> None:
    stage.issue("voucher")
    call = stage.vouchers.functions.addUses(ID, 1, 1, REASON)
    reverts(call, stage.registrar, "UsesNotLimited", ID)


def test_uses_of_many_vouchers_are_counted_all_or_none(
    stage: Stage, reverts: Callable[..., None]
) -> None:
    ids = [stage.issue(f"voucher {i}", maxUses=10) for i in range(3)]
    f = stage.vouchers.functions
    too_many = [(id_, 1, count, REASON) for id_, count in zip(ids, (1, 2, 11), strict=True)]
    reverts(f.addUsesMany(too_many), stage.registrar, "UsesExceeded", ids[2], 10, 0, 11)
    assert [stage.voucher(id_)["used"] for id_ in ids] == [0, 0, 0]
    one_twice = [(ids[0], 1, 2, REASON), (ids[1], 1, 3, REASON), (ids[0], 2, 5, h("another"))]
    stage.do(f.addUsesMany(one_twice), stage.registrar)
    assert [stage.voucher(id_)["used"] for id_ in ids] == [7, 3, 0]
    assert [stage.voucher(id_)["version"] for id_ in ids] == [3, 2, 1]


VERDICTS = [
    "Unknown",
    "WrongDigest",
    "Valid",
    "Lapsed",
    "Suspended",
    "Frozen",
    "Revoked",
    "Cancelled",
    "Superseded",
]


@pytest.mark.parametrize(
    ("situation", "in_time", "too_late"),
    [
        ("none", "Unknown", "Unknown"),
        ("V", "Valid", "Lapsed"),
        ("Vp", "Valid", "Lapsed"),
        ("Vf", "Frozen", "Frozen"),
        ("S", "Suspended", "Suspended"),
        ("Sf", "Frozen", "Frozen"),
        ("R", "Revoked", "Revoked"),
        ("Rf", "Revoked", "Revoked"),
        ("C", "Cancelled", "Cancelled"),
        ("X", "Superseded", "Superseded"),
    ],
)
def test_a_verifier_is_told_the_verdict_at_his_own_time(
    stage: Stage, situation: str, in_time: str, too_late: str
) -> None:
    version = bring_about(stage, situation)
    verify, digest = stage.vouchers.functions.verify, h("credential of voucher")
    for time, verdict in ((0, in_time), (LATER, in_time), (LATER + 1, too_late)):
        assert verify(ID, digest, time).call() == [VERDICTS.index(verdict), version]
    wrong = "Unknown" if situation == "none" else "WrongDigest"
    assert verify(ID, h("a forgery"), LATER).call() == [VERDICTS.index(wrong), version]


def test_the_block_time_plays_no_part_in_a_verdict(stage: Stage) -> None:
    past = stage.w3.eth.get_block("latest")["timestamp"] - 1000
    stage.issue("voucher", validUntil=past)
    verify, digest = stage.vouchers.functions.verify, h("credential of voucher")
    assert verify(ID, digest, past).call()[0] == VERDICTS.index("Valid")
    assert verify(ID, digest, past + 1).call()[0] == VERDICTS.index("Lapsed")


def test_the_old_credential_is_worthless_after_a_transfer(stage: Stage) -> None:
    stage.issue("voucher")
    stage.do(deed(stage, "transfer", 1), stage.registrar)
    verify = stage.vouchers.functions.verify
    assert verify(ID, h("credential of voucher"), 1).call()[0] == VERDICTS.index("WrongDigest")
    assert verify(ID, h("credential of the buyer"), 1).call()[0] == VERDICTS.index("Valid")


def test_standing_agrees_with_the_voucher(stage: Stage) -> None:
    bring_about(stage, "Spf")
    stored = stage.voucher(ID)
    standing = stage.vouchers.functions.standing(ID).call()
    assert standing == [stored["state"], stored["flags"], stored["rights"]]


def test_the_largest_values_of_every_field_stand_beside_each_other(stage: Stage) -> None:
    largest = {
        "holder": "0x" + "Ff" * 20,
        "validUntil": 2**40 - 1,
        "kind": 255,
        "rights": 255,
        "maxUses": 2**64 - 1,
    }
    largest["holder"] = stage.w3.to_checksum_address(str(largest["holder"]))
    stage.issue("voucher", **largest)
    stage.do(deed(stage, "pledge", 1), stage.registrar)
    stage.do(deed(stage, "freeze", 2), stage.regulator)
    stored = stage.voucher(ID)
    assert {k: stored[k] for k in largest} == largest
    assert (stored["version"], stored["flags"]) == (3, PLEDGED | FROZEN)
    stage.do(deed(stage, "unfreeze", 3), stage.regulator)
    stage.do(deed(stage, "release", 4), stage.registrar)
    stage.do(deed(stage, "transfer", 5), stage.registrar)
    stored = stage.voucher(ID)
    assert stored == {
        **largest,
        "holder": stage.buyer,
        "version": 6,
        "state": VALID,
        "flags": 0,
        "digest": h("credential of the buyer"),
        "used": 0,
    }
