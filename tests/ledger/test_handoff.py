"""Hand-off: nothing leaves before it is effective and anchored; what leaves verifies without us."""

from datetime import timedelta
from typing import Any

import pytest

from ledger import appraisals, handoff, log, voucher_moves, vouchers
from ledger.errors import Conflict, Missing
from ledger.parties import Actor
from ledger.proof import bundle as bundles
from ledger.proof.bundle import check_bundle
from ledger.proof.encoding import canonical, parse
from ledger.proof.trust import parse_trust
from ledger.registration import Registration
from tests.conftest import BASIS, CREDENTIAL_KEY, LOG_KEY, ORIGIN, START, Town
from tests.ledger.neighbours import now_of

PRICING = {"unit": "年许可", "price_yuan": "380000.00"}


def anchor(town: Town) -> None:
    """Seal, and let a contract have accepted it."""
    checkpoint = town.seal()
    with town.deed() as session:
        log.note_anchor(session, checkpoint.tree_size, "0x" + "cd" * 32, 7, town.now)


def ready(town: Town) -> vouchers.Voucher:
    """A voucher with everything that a package needs."""
    registered = town.registration()
    appraisal = town.appraisal(registered)
    town.do("abel", appraisals.approve, appraisal)
    voucher = town.voucher(registered)
    town.settle(voucher)
    town.publish_status()
    anchor(town)
    return voucher


def pack(town: Town, voucher: vouchers.Voucher, login: str = "egon") -> Any:
    return town.do(
        login, handoff.pack, voucher, deployment=town.home.config.deployment, sample=b"a,b\n1,2\n",
        pricing=PRICING,
    )  # fmt: skip


def bundle(town: Town, voucher: vouchers.Voucher, **options: Any) -> dict[str, Any]:
    with town.reading() as session:
        row = session.get_one(vouchers.Voucher, voucher.id)
        return handoff.voucher_bundle(session, row, town.home.config.deployment, **options)


def test_a_voucher_is_handed_over_only_when_effective_listed_and_anchored(town: Town) -> None:
    voucher = town.voucher()
    with pytest.raises(Conflict, match=r"not yet effective on chain"):
        bundle(town, voucher)
    town.settle(voucher)
    with pytest.raises(Conflict, match=r"No status list"):
        bundle(town, voucher)
    town.publish_status()
    with pytest.raises(Conflict, match=r"is recorded, not yet confirmed"):
        bundle(town, voucher)
    town.seal()
    with pytest.raises(Conflict, match=r"is sealed, not yet confirmed"):
        bundle(town, voucher)
    anchor(town)
    made = bundle(town, voucher)
    check_bundle(made)
    assert made["payload"]["body"]["number"] == voucher.number
    town.change("suspend", voucher)
    with pytest.raises(Conflict, match=r"not yet effective on chain \(suspend is waiting\)"):
        bundle(town, voucher)


def test_withheld_fields_travel_only_when_wanted(town: Town) -> None:
    voucher = ready(town)
    open_one, closed = bundle(town, voucher), bundle(town, voucher, disclose=False)
    assert set(open_one["disclosures"]) == {"holder_name", "holder_uscc"}
    assert closed["disclosures"] == {}
    assert town.party("operator").name.encode() not in canonical(closed)
    check_bundle(closed)


def test_on_what_ground_it_was_frozen_or_suspended_does_not_travel(town: Town) -> None:
    voucher = ready(town)
    for verb in ("freeze", "suspend", "unfreeze"):
        town.change(verb, voucher, "涉嫌造假")
        town.settle(voucher)
        made = bundle(town, voucher)
        check_bundle(made)
        for told in ("涉嫌造假", BASIS):
            assert told.encode() not in canonical(made), verb
    town.change("resume", voucher)
    with town.deed() as session:
        registered = session.get_one(Registration, voucher.registration_id)
        registered.valid_until += timedelta(days=30)
        log.append(session, registered, "registration.renewed", "system")
    until = registered.valid_until
    town.do("rita", voucher_moves.renew, voucher, until, "续展", town.issuer())
    town.settle(voucher)
    anchor(town)
    renewed = bundle(town, voucher)
    check_bundle(renewed)
    assert renewed["payload"]["kind"] == "voucher.renew"
    assert "涉嫌造假".encode() not in canonical(renewed)


def test_what_rests_on_a_person_s_consent_is_not_packed(town: Town) -> None:
    row = now_of(town, town.authorisation("in_force"))
    used = town.get(vouchers.Voucher, row)
    with pytest.raises(Conflict, match="person's consent"):
        pack(town, used, "rita")


def test_a_package_holds_every_document_of_a_listing_and_its_own_proof(town: Town) -> None:
    voucher = ready(town)
    package, files = pack(town, voucher)
    for file in handoff.DOCUMENTS.values():
        assert f"data/{file}" in files
    deployment = town.home.config.deployment
    with town.reading() as session, pytest.raises(Conflict, match=r"not yet confirmed"):
        handoff.finish(session, package, files, deployment)
    anchor(town)
    with town.reading() as session:
        data = handoff.finish(session, package, files, deployment)
    found = bundles.read_zip(data)
    assert {name: body for name, body in found.items() if name != bundles.PROOF_NAME} == files
    bundles.check_bag(found)
    proof = parse(found[bundles.PROOF_NAME])
    check_bundle(proof)
    assert proof["payload"]["body"]["tag_manifest"] == package.tag_manifest
    pricing = parse(found["data/pricing.json"])
    assert pricing == PRICING
    with town.reading() as session:
        assert handoff.finish(session, package, files, deployment) == data, "byte for byte again"


def test_packing_again_what_has_not_changed_is_the_same_package(town: Town) -> None:
    voucher = ready(town)
    first, _ = pack(town, voucher)
    before = town.snapshot()
    again, _ = pack(town, voucher, "olga")
    assert again.id == first.id
    assert town.snapshot() == before


@pytest.mark.parametrize("verb", ["suspend", "revoke", "freeze"])
def test_nothing_is_packed_for_a_voucher_that_is_not_valid(town: Town, verb: str) -> None:
    voucher = ready(town)
    town.change(verb, voucher)
    with pytest.raises(Conflict, match=r"nothing is handed off"):
        pack(town, voucher)


def test_a_package_needs_an_approved_appraisal(town: Town) -> None:
    voucher = town.voucher()
    town.settle(voucher)
    with pytest.raises(Missing, match=r"no approved appraisal"):
        pack(town, voucher)


def test_a_registrar_who_is_also_an_operator_may_pack_for_others(town: Town) -> None:
    voucher = ready(town)
    both = Actor("m", town.parties["registry"], frozenset({"registrar", "operator"}))
    town.actors["both"] = both
    assert pack(town, voucher, "both")[0].packed_by == "m"


def test_the_trust_file_says_what_a_verifier_must_have_beforehand(village: Town) -> None:
    public = LOG_KEY.public_key().public_bytes_raw()
    data = handoff.trust_file(
        village.home.config.deployment, origin=ORIGIN, log_public=public,
        credential_public=CREDENTIAL_KEY.public_key().public_bytes_raw(), since=START, embedded=True,
    )  # fmt: skip
    trust = parse_trust(data)
    assert canonical(parse(data)) == data
    assert trust.origin == ORIGIN
    assert len(trust.log_keys) == len(trust.issuer_keys) == 1
