"""Remittances, orders and refunds: frozen terms, money set aside once, VAT given back to the fen."""

import threading
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from ledger import audit_trade, books, holds, orders, refunds, remittances, trading
from ledger.bank_files import BankLine
from ledger.calendar import local_date
from ledger.errors import Conflict, Faults, Invalid, LedgerError, NotAllowed
from ledger.holds import Hold
from ledger.orders import Order
from ledger.refunds import Refund
from ledger.settlements import Settlement
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher
from tests.conftest import ORIGIN, PARTIES, Town
from tests.ledger import paying
from valuation.money import yuan

BANK = PARTIES["bank"][2]


@pytest.fixture
def market(town: Town) -> tuple[Town, Any, Voucher]:
    agreement, licence = town.sold()
    return town, agreement, town.get(Voucher, licence)


def stands(town: Town, agreement: Any) -> dict[str, int]:
    """What stands on the accounts of the book, in their normal sides."""
    with town.reading() as session:
        return {
            name: fen
            for name in books.ACCOUNTS
            if (fen := books.balance(session, agreement.id, name))
        }


def settled(town: Town) -> list[tuple[Any, ...]]:
    with town.reading() as session:
        assert list(audit_trade.of_settlements(session)) == []
        wanted = select(
            Settlement.n, Settlement.kind, Settlement.amount_fen, Settlement.vat_fen,
            Settlement.net_fen, Settlement.day,
        )  # fmt: skip
        return [tuple(row) for row in session.execute(wanted.order_by(Settlement.n))]


def refused(
    town: Town, error: type[LedgerError], login: str, verb: Any, *args: Any, **facts: Any
) -> str:
    """What a refusal says; it left every byte as it was."""
    before = town.snapshot()
    with pytest.raises(error) as said:
        town.do(login, verb, *args, **facts)
    assert town.snapshot() == before
    return said.value.sentence


# -- money received ----------------------------------------------------------------------------


def test_a_payment_is_booked_and_one_without_agreement_is_not(market: Any) -> None:
    town, agreement, voucher = market
    town.payment(town.licence(voucher), 10_600)
    assert stands(town, agreement) == {
        books.BANK: 10_600,
        books.UNDISTRIBUTED: 10_000,
        books.VAT: 600,
    }


def test_a_remittance_is_recorded_once_per_reference(market: Any) -> None:
    town, agreement, voucher = market
    made = town.remittance(agreement, 50_000)
    assert town.remittance(agreement, 50_000).id == made.id
    assert stands(town, agreement) == {books.BANK: 50_000, books.PREPAID: 50_000}
    licence = town.licence(voucher)
    facts = {"amount_fen": 106, "received_on": local_date(town.now).isoformat()}
    assert "BANK-R" in refused(
        town, Conflict, "mona", trading.record_payment, licence=licence, reference="BANK-R", **facts
    )
    town.payment(licence, 106, "B-1")
    more = {"party": town.party("bank"), "purpose": "prepayment"}
    for odd, error in (
        ({"reference": "BANK-R"}, Conflict), ({"reference": "B-1"}, Conflict),
        ({"amount_fen": 0}, Invalid), ({"purpose": "clearing"}, Invalid), ({"purpose": "x"}, Invalid),
        ({"received_on": "2099-01-01"}, Invalid),
    ):  # fmt: skip
        given_ = {**facts, **more, "reference": "B-9", **odd}
        refused(town, error, "mona", remittances.record, agreement, **given_)
    refused(
        town, NotAllowed, "olga", remittances.record, agreement, **facts, **more, reference="B-9"
    )


def test_every_fault_of_a_receipt_is_told_at_its_field(market: Any) -> None:
    town, agreement, voucher = market
    licence = town.licence(voucher)
    town.remittance(agreement, 50_000)
    wrong = {"received_on": "2099-01-01", "reference": "BANK-R"}
    over = licence.price_fen + 1
    unknown = Faults()
    unknown.name_fault("nobody knows him", at="party")
    before = town.snapshot()
    for verb, given_, places in (
        (trading.record_payment, {"licence": licence, "amount_fen": over}, {"amount_yuan"}),
        (remittances.record, {"agreement": agreement, "amount_fen": 0, "party": None, "purpose": "x",
                              "faults": unknown}, {"amount_yuan", "party", "purpose"}),
        (remittances.record, {"agreement": agreement, "amount_fen": 0, "party": town.party("bank"),
                              "purpose": "clearing"}, {"amount_yuan", "party"}),
    ):  # fmt: skip
        with pytest.raises(Conflict) as said:
            town.do("mona", verb, **given_, **wrong)
        told = said.value.facts["faults"].by_place(str)
        assert set(told) == {"received_on", "reference", *places}
    assert town.snapshot() == before


def test_every_fault_of_an_order_is_told_at_its_field(market: Any) -> None:
    """That nobody knows the buyer, what of its terms cannot be sold, and what only an order has."""
    town, _, voucher = market
    unknown = Faults()
    unknown.name_fault("nobody knows him", at="licensee")
    wrong = town.order_facts(
        voucher, buyer=None, faults=unknown, right="own", purpose="x", licensee_address="0xABcdef",
        offer_until=local_date(town.now) - timedelta(days=1), paid_by="cash",
    )  # fmt: skip
    before = town.snapshot()
    with pytest.raises(Invalid, match="The order breaks") as said:
        town.do("olga", orders.place, **wrong)
    told = said.value.facts["faults"].by_place(str)
    assert set(told) == {
        "licensee", "right", "purpose", "licensee_address", "offer_until", "paid_by",
    }  # fmt: skip
    assert town.snapshot() == before


def test_no_more_is_cleared_than_is_due(market: Any) -> None:
    town, agreement, voucher = market
    confirmed = town.confirmation(agreement, voucher)
    given_ = {"party": town.party("exchange"), "purpose": "clearing"}
    day = local_date(town.now).isoformat()
    told = refused(
        town, Invalid, "mona", remittances.record, agreement, amount_fen=confirmed.amount_fen + 1,
        received_on=day, reference="BANK-C", **given_,
    )  # fmt: skip
    assert yuan(confirmed.amount_fen) in told
    town.remittance(agreement, confirmed.amount_fen, "BANK-C", **given_)
    assert books.DUE not in stands(town, agreement)
    assert "BANK-D" not in refused(
        town, Invalid, "mona", remittances.record, agreement, amount_fen=1, received_on=day,
        reference="BANK-D", **given_,
    )  # fmt: skip


# -- orders ------------------------------------------------------------------------------------


def test_an_order_sets_its_price_aside_and_fulfilled_becomes_a_paid_licence(market: Any) -> None:
    town, agreement, voucher = market
    town.remittance(agreement, 20_000)
    facts = town.order_facts(voucher, paid_by="prepayment")
    order = town.do("olga", orders.place, **facts)
    assert town.do("olga", orders.place, **facts).id == order.id
    assert refused(town, Conflict, "olga", orders.place, **{**facts, "price_fen": 1})
    with town.reading() as session:
        held = session.get_one(Hold, order.hold_id)
        assert (held.state, held.amount_fen) == ("pending", 10_600)
    refused(town, Invalid, "olga", orders.place, **town.order_facts(voucher, paid_by="prepayment"))
    refused(town, NotAllowed, "egon", orders.fulfil, order, ORIGIN)
    told = refused(town, NotAllowed, "olga", orders.fulfil, order, ORIGIN)
    assert "another person" in told
    licence = town.do("opal", orders.fulfil, order, ORIGIN)
    assert (licence.order_reference, licence.terms, licence.price_fen) == (
        order.reference, order.terms, 10_600,
    )  # fmt: skip
    assert stands(town, agreement) == {
        books.BANK: 20_000, books.PREPAID: 9_400, books.UNDISTRIBUTED: 10_000, books.VAT: 600,
    }  # fmt: skip
    assert settled(town) == [
        (1, "payment", 10_600, 600, 10_000, local_date(town.now).isoformat())
    ]  # fmt: skip
    with town.reading() as session:
        assert session.scalars(select(Payment)).one().reference == order.reference
        assert session.get_one(Order, order.id).state == "fulfilled"
    for verb, more in ((orders.fulfil, (ORIGIN,)), (orders.cancel, ("迟",))):
        refused(town, Conflict, "opal", verb, order, *more)


def test_an_order_on_invoice_is_paid_later(market: Any) -> None:
    town, agreement, voucher = market
    order = town.do("egon", orders.place, **town.order_facts(voucher))
    licence = town.do("olga", orders.fulfil, order, ORIGIN)
    assert settled(town) == []
    town.payment(licence, 10_600)
    assert stands(town, agreement)[books.UNDISTRIBUTED] == 10_000


def test_cancelled_and_expired_orders_free_what_they_held(market: Any) -> None:
    town, agreement, voucher = market
    town.remittance(agreement, 10_600)
    first = town.order(voucher, paid_by="prepayment")
    refused(town, Invalid, "olga", orders.cancel, first, " ")
    town.do("egon", orders.cancel, first, "买方撤回")
    second = town.order(voucher, paid_by="prepayment")
    town.later(days=11)
    refused(town, Conflict, "opal", orders.fulfil, second, ORIGIN)
    with town.deed() as session:
        assert orders.expire(session, town.now) == 0, "what is set aside goes first"
        assert holds.expire(session, town.now) == 1
        assert orders.expire(session, town.now) == 1
        assert orders.expire(session, town.now) == 0
    with town.reading() as session:
        assert [session.get_one(Order, one.id).state for one in (first, second)] == [
            "cancelled", "expired",
        ]  # fmt: skip
    town.order(voucher, paid_by="prepayment")


def test_what_could_not_be_sold_is_not_ordered(market: Any) -> None:
    town, _, voucher = market
    today = local_date(town.now)
    for odd, said in (
        ({"right": "fly"}, "does not hold the right"),
        ({"purpose": "benefit"}, "free of charge"),
        ({"valid_until": town.now + timedelta(days=99_999)}, "the term must end"),
        ({"offer_until": today - timedelta(days=1)}, "the offer ends between"),
        ({"paid_by": "cash"}, "must be one of"),
        ({"price_fen": 0, "purpose": "benefit", "paid_by": "prepayment"}, "out of a prepayment"),
    ):
        facts = town.order_facts(voucher, **odd)
        assert said in refused(town, Invalid, "olga", orders.place, **facts)
    sold = town.licence(voucher)
    facts = town.order_facts(voucher, reference=sold.order_reference)
    refused(town, Conflict, "olga", orders.place, **facts)
    refused(town, NotAllowed, "mallory", orders.place, **town.order_facts(voucher))


def test_frozen_terms_that_were_changed_are_not_granted(market: Any) -> None:
    town, _, voucher = market
    order = town.order(voucher)
    with town.deed() as session:
        session.get_one(Order, order.id).price_fen = 1
    assert "frozen" in refused(town, Conflict, "olga", orders.fulfil, order, ORIGIN)


@pytest.mark.slow
def test_twenty_orders_at_once_never_hold_more_than_there_is(market: Any) -> None:
    town, agreement, voucher = market
    town.remittance(agreement, 7 * 10_600 + 1)
    wanted = [town.order_facts(voucher, paid_by="prepayment") for _ in range(20)]
    gate, told = threading.Barrier(20), []

    def place(facts: dict[str, Any]) -> None:
        gate.wait()
        try:
            told.append(town.do("olga", orders.place, **facts).state)
        except Invalid:
            told.append("refused")

    threads = [threading.Thread(target=place, args=(facts,)) for facts in wanted]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(told) == ["placed"] * 7 + ["refused"] * 13
    with town.reading() as session:
        assert len(session.scalars(select(Order)).all()) == 7
        assert len(session.scalars(select(Hold)).all()) == 7


# -- refunds -----------------------------------------------------------------------------------


def test_refunds_give_back_the_vat_to_the_fen(market: Any) -> None:
    town, agreement, voucher = market
    payment = town.payment(town.licence(voucher), 10_007)
    parts = [3_333, 3_333, 3_341]
    for n, fen in enumerate(parts):
        made = town.refund(payment, fen, f"退货 {n}")
        refused(town, NotAllowed, "mona", refunds.approve, made)
        town.do("carl", refunds.approve, made)
    assert stands(town, agreement) == {books.BANK: 10_007, books.REFUNDS: 10_007}
    rows = settled(town)
    assert [row[1] for row in rows] == ["payment", "refund", "refund", "refund"]
    assert [sum(row[at] for row in rows) for at in (2, 3, 4)] == [0, 0, 0]
    with town.reading() as session:
        made = session.scalars(select(Refund).order_by(Refund.id)).first()
        assert (made.buyer, made.n, made.state) == (BANK, 2, "approved")
        assert books.balance(session, agreement.id, books.REFUNDS, BANK) == 10_007


def give_back(town: Town, row: Any, fen: int, login: str = "mona", **more: Any) -> Refund:
    """A refund of a remittance or a payment, or that it is undone, as proposed."""
    of = refunds.of_payment if isinstance(row, Payment) else refunds.of_remittance
    with town.deed() as session:
        source = of(session, town.fresh(session, row))
        return refunds.propose(
            session, town.actors[login], town.now, source, amount_fen=fen, ground="误记", **more
        )


def test_what_of_a_prepayment_is_unused_is_given_back(market: Any) -> None:
    town, agreement, voucher = market
    made = town.remittance(agreement, 20_000)
    town.order(voucher, paid_by="prepayment")
    before = town.snapshot()
    with pytest.raises(Invalid, match="unused"):
        give_back(town, made, 9_401)
    assert town.snapshot() == before
    refund = give_back(town, made, 9_400)
    assert give_back(town, made, 9_400).id == refund.id
    refused(town, NotAllowed, "mona", refunds.approve, refund)
    town.do("carl", refunds.approve, refund)
    assert stands(town, agreement) == {
        books.BANK: 20_000, books.PREPAID: 10_600, books.REFUNDS: 9_400,
    }  # fmt: skip
    assert settled(town) == []


def test_a_prepayment_used_meanwhile_is_not_given_back(market: Any) -> None:
    town, agreement, voucher = market
    refund = give_back(town, town.remittance(agreement, 10_600), 1)
    town.order(voucher, paid_by="prepayment")
    refused(town, Invalid, "carl", refunds.approve, refund)


def test_a_payment_that_never_came_is_undone(market: Any) -> None:
    town, agreement, voucher = market
    licence = town.licence(voucher)
    wrong = town.payment(licence, 10_600, "B-1")
    made = give_back(town, wrong, 10_600, undoes=True)
    refused(town, NotAllowed, "mona", refunds.approve, made)
    town.do("carl", refunds.approve, made)
    assert stands(town, agreement) == {}
    assert [sum(row[at] for row in settled(town)) for at in (2, 3, 4)] == [0, 0, 0]
    with pytest.raises(Invalid):
        give_back(town, wrong, 10_600, undoes=True)
    right = town.payment(licence, 1_060, "B-1")
    assert right.id != wrong.id, "the bank's reference is free for what did come"
    assert stands(town, agreement)[books.BANK] == 1_060
    with town.reading() as session:
        entry = books.entry_of(session, wrong.id)
        assert books.linked(session, entry).cause_id == made.id
        books.assert_kept(session, agreement.id)


def test_money_is_not_received_before_the_agreement_began_nor_before_the_one_it_renews(
    market: Any,
) -> None:
    town, agreement, voucher = market
    licence, early = town.licence(voucher), "2016-03-02"
    told = f"the day {early} lies before {agreement.from_on}, the first day of agreement {agreement.number}"
    assert told in refused(
        town, Invalid, "mona", trading.record_payment, licence=licence, amount_fen=106,
        received_on=early, reference="B-2016",
    )  # fmt: skip
    paid = {"party": town.party("bank"), "purpose": "prepayment", "amount_fen": 10_600}
    of = ("mona", remittances.record)
    assert told in refused(
        town, Invalid, *of, agreement, **paid, received_on=early, reference="R-2016"
    )
    assert town.remittance(agreement, 10_600, "R-1", received_on=agreement.from_on)
    town.later(days=2)
    until = date.fromisoformat(agreement.until_on)
    again = town.agreement(
        from_on=until + timedelta(days=1), until_on=until + timedelta(days=9), renews=agreement
    )
    assert town.remittance(again, 10_600, "R-2", received_on=agreement.from_on), "known late"
    assert agreement.from_on in refused(
        town, Invalid, *of, again, **paid, received_on=early, reference="R-3"
    )


def test_a_remittance_that_never_came_is_undone_unless_it_is_used(market: Any) -> None:
    town, agreement, voucher = market
    wrong = town.remittance(agreement, 10_600)
    made = give_back(town, wrong, 10_600, undoes=True)
    order = town.order(voucher, paid_by="prepayment")
    assert "unused" in refused(town, Invalid, "carl", refunds.approve, made)
    town.do("olga", orders.cancel, order, "撤回")
    town.do("carl", refunds.approve, made)
    assert stands(town, agreement) == {}
    assert town.remittance(agreement, 10_700).id != wrong.id


def test_what_the_bank_s_statement_shows_is_not_undone(market: Any) -> None:
    town, agreement, _ = market
    made = town.remittance(agreement, 10_600)
    day = local_date(town.now)
    paying.bank_says(town, agreement, BankLine(2, str(day), "BANK-R", 10_600, "", "", None))
    before = town.snapshot()
    with pytest.raises(Conflict, match="shows BANK-R"):
        give_back(town, made, 10_600, undoes=True)
    assert town.snapshot() == before


def test_what_an_order_became_is_not_undone(market: Any) -> None:
    town, agreement, voucher = market
    town.remittance(agreement, 20_000)
    town.do("opal", orders.fulfil, town.order(voucher, paid_by="prepayment"), ORIGIN)
    with town.reading() as session:
        paid = session.scalars(select(Payment)).one()
    with pytest.raises(Conflict, match="by itself"):
        give_back(town, paid, 10_600, undoes=True)


def test_no_more_is_refunded_than_was_paid(market: Any) -> None:
    town, agreement, voucher = market
    payment = town.payment(town.licence(voucher), 1_000)
    made = town.refund(payment, 600)
    assert town.refund(payment, 600).id == made.id
    before = town.snapshot()
    for fen in (401, 0, -1):
        with pytest.raises(Invalid):
            town.refund(payment, fen)
    with pytest.raises(Invalid):
        town.refund(payment, 100, " ")
    assert town.snapshot() == before
    refused(town, Invalid, "carl", refunds.reject, made, " ")
    town.do("carl", refunds.reject, made, "无据")
    refused(town, Conflict, "carl", refunds.approve, made)
    assert stands(town, agreement)[books.BANK] == 1_000
    town.do("carl", refunds.approve, town.refund(payment, 1_000))
    assert books.UNDISTRIBUTED not in stands(town, agreement)


def test_a_trade_at_the_exchange_is_refunded_too(market: Any) -> None:
    town, agreement, voucher = market
    made = town.confirmation(agreement, voucher)
    with town.deed() as session:
        source = refunds.of_trade(session, town.fresh(session, made), 2)
        refund = refunds.propose(
            session, town.actors["mona"], town.now, source, amount_fen=10_700, ground="撤销"
        )
    town.do("carl", refunds.approve, refund)
    assert [row[1:5] for row in settled(town)][3] == ("refund", -10_700, -606, -10_094)


@given(st.integers(1, 10**9), st.lists(st.integers(1, 10**9), min_size=1, max_size=6))
def test_shares_of_vat_sum_to_the_whole(paid: int, parts: list[int]) -> None:
    vat = paid - trading.net_of(paid)
    source = refunds.Source(None, 0, "", "", paid, vat)  # type: ignore[arg-type]
    total = vats = 0
    for part in parts:
        taken = min(part, paid - total)
        vats += refunds.vat_share(source, total + taken) - refunds.vat_share(source, total)
        total += taken
    vats += refunds.vat_share(source, paid) - refunds.vat_share(source, total)
    assert vats == vat


def test_the_licence_of_an_order_is_found(market: Any) -> None:
    town, _, voucher = market
    order = town.order(voucher)
    licence = town.do("olga", orders.fulfil, order, ORIGIN)
    with town.reading() as session:
        assert session.get_one(Order, order.id).licence_id == licence.id
        assert session.get_one(Licence, licence.id).order_reference == order.reference
