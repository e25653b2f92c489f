"""What is weighty on a voucher is done by two, on the facts as they are; public data are never pledged."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from ledger import log, motions, voucher_moves
from ledger.catalogue import Resource
from ledger.errors import Conflict, Invalid, NotAllowed
from ledger.motions import Motion
from ledger.registration import Registration
from ledger.vouchers import Voucher
from tests.conftest import Town
from tests.ledger.neighbours import now_of

OTHER = "0x4444444444444444444444444444444444444444"


def write(town: Town, row: Any, **facts: Any) -> None:
    """The row changes by a record, as another room's verb would change it."""
    with town.deed() as session:
        found = session.get_one(type(row), row.id)
        for name, value in facts.items():
            setattr(found, name, value)
        log.append(session, found, f"{row.subject_type}.changed", "system")


def own_data(town: Town, voucher: Voucher) -> Registration:
    """What is registered is a company's own data: no public body provides them."""
    registered = town.get(Registration, voucher)
    with town.deed() as session:
        of_it = Resource.id.in_(registered.resource_ids)
        provided = {"provider": "公允资产评估事务所", "provider_id": town.parties["firm"]}
        session.execute(update(Resource).where(of_it).values(**provided))
    return registered  # type: ignore[no-any-return]


def propose(town: Town, voucher: Voucher, verb: str, **facts: str) -> Motion:
    made: Motion = town.do("rita", motions.propose, voucher, verb, "依法", **facts)
    return made


def confirm(town: Town, motion: Motion, login: str = "rob") -> None:
    town.do(login, motions.confirm, motion, town.issuer())


def pledge(town: Town, voucher: Voucher, to: str = "bank") -> None:
    confirm(town, propose(town, voucher, "pledge", pledgee=town.party(to).uscc))


# ---------------------------------------------------------------- transfer


def test_a_transfer_is_not_confirmed_to_another_than_it_was_proposed_for(town: Town) -> None:
    voucher = town.voucher()
    registered = town.get(Registration, voucher)
    write(town, registered, party_id=town.parties["bank"])
    motion = propose(town, voucher, "transfer", holder_address=OTHER)
    write(town, registered, party_id=town.parties["firm"])
    before = town.snapshot()
    with pytest.raises(Conflict, match="went to another"):
        confirm(town, motion)
    assert town.snapshot() == before, "the firm's voucher is not held at the bank's address"
    write(town, registered, party_id=town.parties["bank"])
    confirm(town, motion)
    assert now_of(town, voucher).party_id == town.parties["bank"]


def test_a_transfer_to_no_address_is_not_even_proposed(town: Town) -> None:
    voucher = town.voucher()
    write(town, town.get(Registration, voucher), party_id=town.parties["bank"])
    with pytest.raises(Invalid):
        propose(town, voucher, "transfer", holder_address="0x12")


@pytest.mark.parametrize("meanwhile", ["freeze", "suspend", "revoke"])
def test_a_motion_is_judged_anew_when_it_is_confirmed(town: Town, meanwhile: str) -> None:
    voucher = town.voucher()
    motion = propose(town, voucher, "split")
    town.change(meanwhile, voucher)
    with pytest.raises(Conflict):
        confirm(town, motion)
    town.do("rob", motions.reject, motion, "情况有变")


# ---------------------------------------------------------------- pledge


def test_a_company_s_own_data_are_pledged_by_two(town: Town) -> None:
    voucher = town.voucher()
    own_data(town, voucher)
    pledge(town, voucher)
    assert now_of(town, voucher).pledgee_id == town.parties["bank"]


def provider_as_text(town: Town, voucher: Voucher) -> None:
    with town.deed() as session:
        session.execute(update(Resource).values(provider="某局", provider_id=None))


def joint_public_subject(town: Town, voucher: Voucher) -> None:
    write(town, town.get(Registration, voucher), joint_ids=[town.parties["treasury"]])


def transferred_to_a_public_body(town: Town, voucher: Voucher) -> None:
    write(town, town.get(Registration, voucher), party_id=town.parties["bureau"])


def holder_succeeded_by_a_public_body(town: Town, voucher: Voucher) -> None:
    heir = [town.parties["bureau"]]
    write(town, town.party("operator"), state="merged", successor_ids=heir)


def provider_succeeded_by_a_public_body(town: Town, voucher: Voucher) -> None:
    write(town, town.party("firm"), state="merged", successor_ids=[town.parties["treasury"]])


WAYS: list[Callable[[Town, Voucher], None]] = [
    provider_as_text, joint_public_subject, transferred_to_a_public_body,
    holder_succeeded_by_a_public_body, provider_succeeded_by_a_public_body,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_public_data_are_not_pledged_by_a_roundabout_way(
    town: Town, way: Callable[[Town, Voucher], None]
) -> None:
    voucher = town.voucher()
    own_data(town, voucher)
    way(town, voucher)
    with pytest.raises(Conflict, match="may not pledge"):
        pledge(town, voucher)
    assert not now_of(town, voucher).pledged


def test_what_came_of_a_split_is_barred_like_what_was_split(town: Town) -> None:
    voucher = town.voucher()
    for part in town.do("rita", voucher_moves.split, voucher, "拆分", town.issuer()):
        with pytest.raises(Conflict, match="市数据局"):
            pledge(town, part)


def test_nothing_is_pledged_under_a_registration_that_ended_or_lapsed(town: Town) -> None:
    voucher = town.voucher()
    registered = own_data(town, voucher)
    motion = propose(town, voucher, "pledge", pledgee=town.party("bank").uscc)
    write(town, registered, state="under_inquiry")
    with pytest.raises(Conflict, match="under_inquiry"):
        confirm(town, motion)
    write(town, registered, state="registered")
    town.now = registered.valid_until + timedelta(seconds=1)
    with pytest.raises(Conflict, match="valid until"):
        confirm(town, motion)


def test_a_registrar_of_the_pledgee_s_house_does_not_decide_for_it(town: Town) -> None:
    voucher = town.voucher()
    own_data(town, voucher)
    with pytest.raises(NotAllowed, match="your own organisation"):
        pledge(town, voucher, "registry")
