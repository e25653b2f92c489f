"""Trade: who may buy what under a valid voucher, for how much; money is whole fen, VAT taken out once."""

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from ledger import log, trading, vouchers
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.chain import outbox
from ledger.errors import Conflict, Invalid, Missing
from ledger.proof.bundle import voucher_key
from ledger.proof.encoding import canonical, digest_text
from ledger.trading import AMOUNT_FEN_MAX, Licence, Payment
from tests.conftest import ORIGIN, Town
from valuation import InputError
from valuation.money import fen, round_half_up


@pytest.fixture(scope="module")
def voucher(village: Town) -> vouchers.Voucher:
    return village.voucher()


def refused(town: Town, voucher: vouchers.Voucher, refusal: type[Exception], **facts: Any) -> str:
    before = town.snapshot()
    with pytest.raises(refusal) as caught:
        town.licence(voucher, **facts)
    assert town.snapshot() == before
    return str(caught.value)


# ---------------------------------------------------------------- the sale


@pytest.mark.parametrize("purpose", ["governance", "benefit"])
def test_use_for_public_purposes_is_free_and_only_free(
    village: Town, voucher: vouchers.Voucher, purpose: str
) -> None:
    assert "free of charge" in refused(village, voucher, Invalid, purpose=purpose, price_fen=1)
    assert village.licence(voucher, purpose=purpose, price_fen=0).price_fen == 0


@pytest.mark.parametrize("price", [-1, AMOUNT_FEN_MAX + 1, 1.0, "100", True, None])
def test_a_price_is_whole_fen_within_bounds(
    village: Town, voucher: vouchers.Voucher, price: Any
) -> None:
    assert "whole fen" in refused(village, voucher, Invalid, price_fen=price)


@pytest.mark.parametrize("text", ["380000.001", "-1,000", "1e3", "０.1", "1.", "", "+5", "-0.00"])
def test_a_price_more_precise_than_a_fen_never_becomes_an_amount(text: str) -> None:
    with pytest.raises(InputError):
        fen(text, "price_yuan")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"right": "holding"}, "does not hold the right holding"),
        ({"right": "selling"}, "does not hold the right selling"),
        ({"purpose": "fun"}, "purpose must be one of"),
        ({"licensee_address": "0x" + "ab" * 20}, "checksum spelling"),
        ({"licensee_address": "0x" + "00" * 20}, "checksum spelling"),
        ({"licensee_address": "carl"}, "checksum spelling"),
    ],
)
def test_a_sale_that_breaks_a_rule_is_refused(
    village: Town, voucher: vouchers.Voucher, changes: dict[str, Any], fault: str
) -> None:
    assert fault in refused(village, voucher, Invalid, **changes)


def test_a_licence_ends_with_the_voucher_and_not_before_it_begins(
    village: Town, voucher: vouchers.Voucher
) -> None:
    late = voucher.valid_until + timedelta(seconds=1)
    assert "the term must end by" in refused(village, voucher, Invalid, valid_until=late)
    assert "the term" in refused(village, voucher, Invalid, valid_until=village.now)
    to_the_end = village.licence(voucher, valid_until=voucher.valid_until)
    assert to_the_end.valid_until == voucher.valid_until


def test_nobody_sells_to_himself(village: Town, voucher: vouchers.Voucher) -> None:
    own = village.party("operator")
    assert "seller and licensee" in refused(village, voucher, Invalid, licensee=own)


def test_all_faults_of_a_sale_are_named_at_once(village: Town, voucher: vouchers.Voucher) -> None:
    said = refused(
        village, voucher, Invalid, right="holding", purpose="benefit", valid_until=village.now,
        licensee=village.party("operator"),
    )  # fmt: skip
    for fault in ("right holding", "free of charge", "the term", "the same"):
        assert fault in said


@pytest.mark.parametrize("verb", ["suspend", "revoke", "cancel", "freeze"])
def test_nothing_is_sold_under_a_voucher_that_is_not_valid(village: Town, verb: str) -> None:
    other = village.voucher()
    village.change(verb, other)
    assert "nothing can be licensed" in refused(village, other, Conflict)


def test_nothing_is_sold_under_a_lapsed_voucher(town: Town) -> None:
    voucher = town.voucher(town.registration())
    town.now = voucher.valid_until + timedelta(seconds=1)
    refused(town, voucher, Conflict)


def test_nothing_is_sold_beyond_or_after_the_agreement(town: Town) -> None:
    registered = town.registration()
    voucher = town.voucher(registered)
    with town.deed() as session:
        agreement = session.get_one(Agreement, registered.agreement_id)
        agreement.until_on = local_date(town.now + timedelta(days=100)).isoformat()
        log.append(session, agreement, "agreement.shortened", "tester")
    said = refused(town, voucher, Invalid, valid_until=town.now + timedelta(days=101))
    assert "end with the agreement" in said
    until = town.now + timedelta(days=100)
    assert town.licence(voucher, valid_until=until).state == "granted"
    town.later(days=101)
    end = town.now + timedelta(days=1)
    assert "is outside" in refused(town, voucher, Invalid, valid_until=end)


def test_the_same_order_again_is_the_same_licence_and_another_sale_a_conflict(
    village: Town, voucher: vouchers.Voucher
) -> None:
    facts = village.licence_facts(voucher)
    first = village.do("olga", trading.grant, **facts)
    village.later(hours=1)
    before = village.snapshot()
    assert village.do("olga", trading.grant, **facts).id == first.id
    for changes in ({"price_fen": 1}, {"licensee": village.party("exchange")}):
        with pytest.raises(Conflict, match=r"another sale"):
            village.do("olga", trading.grant, **{**facts, **changes})
    seller = {"licensee": village.party("operator")}
    for changes, places in (
        ({"right": "x"}, {"order", "right", "licensee"}),
        ({"order_reference": "ANOTHER"}, {"licensee_address", "licensee"}),
    ):
        with pytest.raises(Conflict) as said:
            village.do("olga", trading.grant, **{**facts, **seller, **changes})
        assert set(said.value.facts["faults"].by_place(str)) == places
    assert village.snapshot() == before


def test_licences_are_numbered_densely_under_each_voucher(town: Town) -> None:
    first, second = town.voucher(), town.voucher()
    numbers = [(town.licence(v).n) for v in (first, second, first, first, second)]
    assert numbers == [0, 0, 1, 2, 1]


def test_a_licensee_s_address_serves_one_grant_only(town: Town) -> None:
    voucher = town.voucher()
    first = town.licence(voucher)
    assert refused(town, voucher, Conflict, licensee_address=first.licensee_address)


def test_the_chain_learns_the_salted_digest_of_the_terms_and_nothing_of_the_trade(
    village: Town, voucher: vouchers.Voucher
) -> None:
    made = village.licence(voucher, price_fen=1234567)
    salt = bytes.fromhex(made.terms_salt)
    assert len(salt) == 16
    assert made.terms_digest == digest_text(salt + canonical(made.terms))
    with village.reading() as session:
        act = outbox.act_of(session, made.id, 1)
    assert act is not None
    key = voucher_key(ORIGIN, voucher.number)
    assert (act.lane, act.contract, act.function) == ("registrar", "CirculationRegistry", "grant")
    assert (act.key, act.expected_version) == (key.hex(), 0)
    assert act.arguments == [
        "0x" + key.hex(), made.n, made.licensee_address, 2, "0x" + made.terms_digest[7:],
        int(made.valid_from.timestamp()), int(made.valid_until.timestamp()), 0, outbox.REASON,
    ]  # fmt: skip
    assert "1234567" not in str(act.arguments)
    assert village.party("bank").name not in str(act.arguments)


def test_a_revocation_states_its_ground_and_goes_to_the_chain(
    village: Town, voucher: vouchers.Voucher
) -> None:
    made = village.licence(voucher)
    with pytest.raises(Invalid, match=r"ground"):
        village.do("olga", trading.revoke, made, voucher, " ", ORIGIN)
    village.do("opal", trading.revoke, made, voucher, "违约", ORIGIN)
    with village.reading() as session:
        act = outbox.act_of(session, made.id, 2)
        assert act is not None
        assert log.payload_of(log.record_of(session, made.id, 2))["reason"] == "违约"
    assert (act.function, act.expected_version) == ("revoke", 1)
    assert act.arguments[1:] == [made.n, 1, outbox.REASON]


def test_a_licence_is_found_by_its_order(village: Town, voucher: vouchers.Voucher) -> None:
    made = village.licence(voucher)
    with village.reading() as session:
        assert trading.licence_by_order(session, made.order_reference).id == made.id
        with pytest.raises(Missing):
            trading.licence_by_order(session, "XK-none")


# ---------------------------------------------------------------- payments


@pytest.mark.parametrize(
    ("amount", "net"),
    [(106, 100), (1, 1), (2, 2), (9, 8), (10, 9), (53, 50), (38_000_000, 35_849_057), (159, 150)],
)
def test_vat_is_taken_out_of_a_payment(
    village: Town, voucher: vouchers.Voucher, amount: int, net: int
) -> None:
    licence = village.licence(voucher)
    made = village.payment(licence, amount, reference=f"VAT-{amount}")
    assert (made.net_fen, made.vat_fen) == (net, amount - net)


@pytest.fixture(scope="module")
def paid_licence(village: Town, voucher: vouchers.Voucher) -> Licence:
    return village.licence(voucher, price_fen=AMOUNT_FEN_MAX)


@given(amount=st.integers(1, AMOUNT_FEN_MAX))
def test_net_and_vat_make_the_amount_and_net_is_rounded_half_up(
    village: Town, paid_licence: Licence, amount: int
) -> None:
    with Session(village.home.engine) as session:
        made = trading.record_payment(
            session, village.actors["mona"], village.now,
            licence=session.get_one(Licence, paid_licence.id), amount_fen=amount,
            received_on="2026-03-02", reference="undone",
        )  # fmt: skip
        session.rollback()
    assert made.net_fen + made.vat_fen == amount
    assert made.net_fen == round_half_up(Fraction(amount * 100, 106))
    assert made.net_fen >= made.vat_fen >= 0


def test_no_more_is_paid_than_the_price(town: Town) -> None:
    licence = town.licence(town.voucher(), price_fen=1000)
    town.payment(licence, 600, "A")
    before = town.snapshot()
    for amount in (401, 1000, 0):
        with pytest.raises(Invalid, match=r"does not fit"):
            town.payment(licence, amount, "B")
    for wrong in (-1, 1.5, "1", True):
        with pytest.raises(Invalid, match=r"whole fen"):
            town.payment(licence, wrong, "B")  # type: ignore[arg-type]
    assert town.snapshot() == before
    assert town.payment(licence, 400, "B").amount_fen == 400


def test_a_bank_reference_is_one_payment(town: Town) -> None:
    licence = town.licence(town.voucher())
    first = town.payment(licence, 500, "A")
    before = town.snapshot()
    assert town.payment(licence, 500, "A").id == first.id
    with pytest.raises(Conflict, match=r"another payment"):
        town.payment(licence, 501, "A")
    assert town.snapshot() == before
    with town.reading() as session:
        assert session.get_one(Payment, first.id).statement_id is None
