"""The regulator sees all, and changes nothing but what stands in a list."""

import pytest

from ledger.parties import Actor, allowed
from ledger.rights import MAY
from webapp.deeds import DEEDS
from webapp.deeds import all as every

assert every
# All that he does besides reading: freezes, alarms, audits; and what everybody does for himself.
HIS = {
    "voucher.freeze", "voucher.unfreeze", "registration.freeze", "registration.unfreeze",
    "alarm.close", "alarm.reopen", "audit.run",
}  # fmt: skip
FOR_HIMSELF = {
    "message.mark", "message.mark_all", "password.change", "token.create", "token.revoke",
}  # fmt: skip
# What nobody has handed in, and each data subject's own space.
NOT_HIS_TO_READ = {"draft.read", "space.read"}
GWEN = Actor("gwen", "bureau", frozenset({"regulator"}))


@pytest.mark.parametrize("name", sorted(DEEDS))
@pytest.mark.parametrize("owner", ["bureau", "operator"])
def test_of_all_deeds_the_regulator_does_those_of_the_list_and_no_other(
    name: str, owner: str
) -> None:
    deed = DEEDS[name]
    if not allowed(GWEN, deed.verb, [owner]):
        assert name not in FOR_HIMSELF
        assert name not in HIS or (owner == "bureau" and MAY[deed.verb]["regulator"] == "other")
        return
    assert name in HIS | FOR_HIMSELF


def test_the_list_names_deeds_that_there_are() -> None:
    assert set(DEEDS) >= HIS | FOR_HIMSELF
    assert len(DEEDS) > 80


@pytest.mark.parametrize("verb", sorted(verb for verb in MAY if verb.endswith(".read")))
def test_he_reads_everything_of_the_field_whose_ever_it_is(verb: str) -> None:
    for owner in ("bureau", "operator"):
        assert allowed(GWEN, verb, [owner]) == (verb not in NOT_HIS_TO_READ)
