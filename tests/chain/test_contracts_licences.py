"""CirculationRegistry: licences on vouchers, state × verb, and what verifiers are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.chain.stage import (
    CANCELLED,
    FROZEN,
    NONE,
    PLEDGED,
    REVOKED,
    SUPERSEDED,
    SUSPENDED,
    VALID,
    Refused,
    Stage,
    h,
)

ID, REASON, TERMS = h("voucher"), h("a record"), h("terms")
FROM, UNTIL = 2_000_000_000, 2_100_000_000
USE, TRADE = 0b010, 0b100
NOBODY = "0x" + "00" * 20
VERDICTS = ["Unknown", "WrongDigest", "NotYet", "Valid", "Ended", "Revoked"]


def grant(stage: Stage, n: int = 0, **changes: Any) -> Any:
    given = {
        "voucher": ID,
        "n": n,
        "licensee": stage.buyer,
        "right": USE,
        "termsDigest": TERMS,
        "from": FROM,
        "until": UNTIL,
        "expectedVersion": 0,
        "reason": REASON,
        **changes,
    }
    return stage.licences.functions.grant(*given.values())


def revoke(stage: Stage, version: int, n: int = 0, reason: bytes = REASON) -> Any:
    return stage.licences.functions.revoke(ID, n, version, reason)


def bring_about(stage: Stage, situation: str) -> int:
    """Bring licence 0 into a situation and return its version."""
    stage.issue("voucher")
    if situation != "none":
        stage.do(grant(stage), stage.licensor)
    if situation == "revoked":
        stage.do(revoke(stage, 1), stage.licensor)
    return ["none", "granted", "revoked"].index(situation)


@pytest.mark.parametrize(
    ("situation", "verb", "error"),
    [
        ("none", "grant", None),
        ("none", "revoke", "NotInForce"),
        ("granted", "grant", "AlreadyGranted"),
        ("granted", "revoke", None),
        ("revoked", "grant", "AlreadyGranted"),
        ("revoked", "revoke", "NotInForce"),
    ],
)
def test_a_licence_is_granted_once_and_revoked_once(
    stage: Stage, reverts: Callable[..., None], situation: str, verb: str, error: str | None
) -> None:
    version = bring_about(stage, situation)
    before = stage.licence(ID, 0)
    call = grant(stage, expectedVersion=version) if verb == "grant" else revoke(stage, version)
    if error:
        reverts(call, stage.licensor, error, ID, 0, version)
        assert stage.licence(ID, 0) == before
    else:
        stage.do(call, stage.licensor)
        assert stage.licence(ID, 0) == {
            "licensee": stage.buyer,
            "from": FROM,
            "until": UNTIL,
            "right": USE,
            "version": version + 1,
            "termsDigest": TERMS,
        }


@pytest.mark.parametrize("situation", ["none", "granted", "revoked"])
@pytest.mark.parametrize("verb", ["grant", "revoke"])
def test_a_deed_at_another_version_is_refused(
    stage: Stage, reverts: Callable[..., None], situation: str, verb: str
) -> None:
    version = bring_about(stage, situation)
    for other in {0, 1, 2, 3, 255} - {version}:
        call = grant(stage, expectedVersion=other) if verb == "grant" else revoke(stage, other)
        reverts(call, stage.licensor, "VersionMismatch", ID, 0, other, version)


def test_events_name_voucher_actor_reason_and_version(stage: Stage) -> None:
    stage.issue("voucher")
    granted = stage.events(stage.licences, stage.do(grant(stage), stage.licensor))
    who = {"voucher": ID, "actor": stage.licensor, "reason": REASON, "n": 0}
    what = {
        "licensee": stage.buyer,
        "right": USE,
        "from": FROM,
        "until": UNTIL,
        "termsDigest": TERMS,
    }
    assert granted == [("Granted", {**who, "version": 1, **what})]
    revoked = stage.events(stage.licences, stage.do(revoke(stage, 1), stage.licensor))
    assert revoked == [("Revoked", {**who, "version": 2})]


def test_licences_are_numbered_without_gaps(stage: Stage, reverts: Callable[..., None]) -> None:
    stage.issue("voucher")
    stage.issue("another")
    reverts(grant(stage, 1), stage.licensor, "NumberNotNext", ID, 1)
    stage.do(grant(stage, 0), stage.licensor)
    stage.do(revoke(stage, 1, 0), stage.licensor)
    reverts(grant(stage, 2), stage.licensor, "NumberNotNext", ID, 2)
    reverts(grant(stage, 2**32 - 1), stage.licensor, "NumberNotNext", ID, 2**32 - 1)
    elsewhere = grant(stage, 1, voucher=h("another"))
    reverts(elsewhere, stage.licensor, "NumberNotNext", h("another"), 1)
    stage.do(grant(stage, 1), stage.licensor)
    stage.do(grant(stage, 2), stage.licensor)


SITUATIONS = {
    "none": ([], NONE, 0),
    "valid": (["issue"], VALID, 0),
    "pledged": (["issue", "pledge"], VALID, PLEDGED),
    "frozen": (["issue", "freeze"], VALID, FROZEN),
    "suspended": (["issue", "suspend"], SUSPENDED, 0),
    "revoked": (["issue", "revoke"], REVOKED, 0),
    "cancelled": (["issue", "cancel"], CANCELLED, 0),
    "superseded": (["issue", "supersede"], SUPERSEDED, 0),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_licence_needs_a_valid_voucher_that_is_not_frozen(
    stage: Stage, reverts: Callable[..., None], situation: str
) -> None:
    deeds, state, flags = SITUATIONS[situation]
    for version, verb in enumerate(deeds):
        if verb == "issue":
            stage.issue("voucher")
            continue
        more = [[stage.particulars("successor")]] if verb == "supersede" else []
        sender = stage.regulator if verb == "freeze" else stage.registrar
        stage.do(stage.vouchers.functions[verb](ID, version, *more, REASON), sender)
    if state == VALID and not flags & FROZEN:
        stage.do(grant(stage), stage.licensor)
    else:
        reverts(grant(stage), stage.licensor, "VoucherNotValid", ID, state, flags)


def test_a_licence_can_be_revoked_whatever_became_of_the_voucher(stage: Stage) -> None:
    bring_about(stage, "granted")
    stage.do(stage.vouchers.functions.revoke(ID, 1, REASON), stage.registrar)
    stage.do(revoke(stage, 1), stage.licensor)


def test_exactly_one_of_the_vouchers_rights_is_licensed(stage: Stage) -> None:
    rights = USE | TRADE
    stage.issue("voucher", rights=rights)
    for right in range(256):
        refused = stage.refusal(grant(stage, right=right), stage.licensor)
        door = Refused("RightNotHeld", (ID, right, rights))
        assert refused == (None if right in (USE, TRADE) else door)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"licensee": NOBODY}, ("LicenseeZero", ID, 0)),
        ({"termsDigest": bytes(32)}, ("DigestZero", ID, 0)),
        ({"reason": bytes(32)}, ("ReasonZero", ID, 0)),
        ({"until": FROM}, ("PeriodEmpty", ID, 0, FROM, FROM)),
        ({"until": FROM - 1}, ("PeriodEmpty", ID, 0, FROM, FROM - 1)),
    ],
)
def test_a_grant_with_a_missing_particular_is_refused(
    stage: Stage, reverts: Callable[..., None], changes: dict[str, Any], error: tuple[Any, ...]
) -> None:
    stage.issue("voucher")
    reverts(grant(stage, **changes), stage.licensor, *error)


def test_a_revocation_without_a_ground_is_refused(
    stage: Stage, reverts: Callable[..., None]
) -> None:
    bring_about(stage, "granted")
    reverts(revoke(stage, 1, reason=bytes(32)), stage.licensor, "ReasonZero", ID, 0)


@pytest.mark.parametrize(
    ("situation", "verdicts"),
    [
        ("none", ["Unknown"] * 4),
        ("granted", ["NotYet", "Valid", "Valid", "Ended"]),
        ("revoked", ["Revoked"] * 4),
    ],
)
def test_a_verifier_is_told_the_verdict_at_his_own_time(
    stage: Stage, situation: str, verdicts: list[str]
) -> None:
    version = bring_about(stage, situation)
    verify = stage.licences.functions.verify
    for time, verdict in zip((FROM - 1, FROM, UNTIL, UNTIL + 1), verdicts, strict=True):
        assert verify(ID, 0, TERMS, time).call() == [VERDICTS.index(verdict), version]
    wrong = "Unknown" if situation == "none" else "WrongDigest"
    assert verify(ID, 0, h("other terms"), FROM).call() == [VERDICTS.index(wrong), version]


def test_the_registry_licenses_the_vouchers_it_was_deployed_for(stage: Stage) -> None:
    assert stage.licences.functions.VOUCHERS().call() == stage.vouchers.address
