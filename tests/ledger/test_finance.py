"""Spans of settlements: the rows of all periods together are all rows, each once; pages stay fast."""

from datetime import date, timedelta
from fractions import Fraction
from time import perf_counter

import pytest
from sqlalchemy import text

from ledger import comparisons, finance, payout_results, periods, settlements
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.errors import Invalid
from ledger.finance import PARTS
from ledger.registration import Registration
from ledger.statements import Statement
from ledger.vouchers import Voucher
from tests.conftest import PARTIES, Town
from tests.ledger import paying
from valuation.differences import Sold

DAY = timedelta(days=1)


def came_in(town: Town, agreement: Agreement, *rows: tuple[date, str, int]) -> None:
    """Settlements of days, kinds and net fen, one source each."""
    with town.deed() as session:
        for day, kind, net in rows:
            settlements.enter(
                session, session.get_one(Agreement, agreement.id), day=day.isoformat(), kind=kind,
                amount_fen=net * 106 // 100, vat_fen=net * 6 // 100, net_fen=net, source_id="-",
            )  # fmt: skip


def close(town: Town, agreement: Agreement, start: date, end: date) -> None:
    town.do("mona", periods.close, agreement, from_on=start, until_on=end)


def all_rows(town: Town, agreement: Agreement, until_on: str) -> list[int]:
    """The numbers of a span's rows, read two a page."""
    found = []
    with town.reading() as session:
        over = finance.span(
            session, session.get_one(Agreement, agreement.id), local_date(town.now), until_on
        )
        for part in PARTS:
            after = ""
            while page := list(finance.rows(session, over, part, after=after, limit=2)):
                found += [row.n for row in page]
                after = finance.cursor(page[-1])
        known = finance.account(session, over)
        assert known.of().count == len(found)
        assert known.takings().amount_fen == known.of().net_fen
    return found


def test_every_row_belongs_to_one_period(town: Town) -> None:
    agreement = town.agreement()
    first = local_date(town.now)
    town.later(days=40)
    days = [first + DAY * n for n in range(30)]
    came_in(
        town, agreement, (days[1], "payment", 100), (days[12], "trade", 200), (days[3], "trade", 7)
    )
    close(town, agreement, first, days[9])
    came_in(
        town, agreement, (days[2], "refund", -50), (days[15], "trade", 300), (days[25], "trade", 1)
    )
    close(town, agreement, days[10], days[19])
    came_in(
        town, agreement, (days[11], "trade", 5), (days[0], "trade", 6), (days[26], "refund", -9)
    )
    spans = [
        all_rows(town, agreement, end) for end in (days[9].isoformat(), days[19].isoformat(), "")
    ]
    assert spans == [[1, 3], [2, 5, 4], [6, 9, 7, 8]]
    assert sorted(n for some in spans for n in some) == list(range(1, 10))


def confirmed(
    town: Town, agreement: Agreement, voucher: Voucher, *rows: tuple[str, str, str]
) -> None:
    """Trades of today at the exchange: amount in yuan, unit and quantity, which may be left out."""
    buyer, day = PARTIES["bank"][2], local_date(town.now)
    lines = [
        f"{day}-{n},{voucher.number},{buyer},{day},{','.join(row)}" for n, row in enumerate(rows)
    ]
    text = "\n".join(["trade,voucher,buyer,on,amount_yuan,unit,quantity", *lines, ""])
    town.confirm(town.signed(agreement, text, f"CJ-{day}"), text)


def test_volume_is_told_by_quantity_where_every_trade_says_how_much(town: Town) -> None:
    registered = town.registration()
    agreement = town.get(Agreement, registered)
    town.scheme(agreement)
    voucher = town.voucher(registered)
    terms = {"scene": "风险评估", "unit": "数据调用量", "quantity": 1000}
    licence = town.licence(voucher, price_fen=100_000, terms=terms)
    facts = {"platform_cost_fen": 0}
    confirmed(town, agreement, voucher, ("106.00", "数据调用量", "100"))
    town.statement_over(agreement, licence, "posted", 50_000, facts)
    confirmed(town, agreement, voucher, ("200.00", "数据调用量", "300"), ("106.00", "", ""))
    second = town.statement_over(agreement, licence, "posted", 25_000, facts)
    unsaid = town.licence(voucher, price_fen=100_000)
    third = town.statement_over(agreement, unsaid, "posted", 10_000, facts)
    with town.reading() as session:
        code = session.get_one(Registration, registered.id).code
        found, by_number = (
            comparisons.compare(session, session.get_one(Statement, one.id))
            for one in (second, third)
        )
    assert found is not None
    assert by_number is not None
    # half of a licence for 1000 calls and 100 calls; a quarter and 300 calls, and one piece that is new
    assert found.before_takings.sold == (Sold(code, "数据调用量", Fraction(600), 57_170),)
    assert found.after_takings.sold == (
        Sold(code, "产品数量", Fraction(1), 10_000), Sold(code, "数据调用量", Fraction(550), 42_453),
    )  # fmt: skip
    for takings in (found.before_takings, found.after_takings):
        assert sum(one.fen for one in takings.sold or ()) == takings.trades_fen
    amount = found.amount
    assert (amount.by, amount.volume_fen) == (
        "quantity",
        round(Fraction(-50 * 57_170, 600) + 10_000),
    )
    assert amount.volume_fen + amount.price_fen == amount.change_fen == 52_453 - 57_170
    assert (by_number.amount.by, by_number.after_takings.sold) == ("number", None)
    assert by_number.amount.volume_fen == round(Fraction((1 - 3) * 52_453, 3))


def test_what_was_paid_counts_on_the_bank_s_day_and_what_came_back_on_its_own(town: Town) -> None:
    payout = paying.approved(town)
    agreement = town.get(Agreement, payout)
    rows, day = paying.results(town, payout, True, True), local_date(town.now)
    town.later(days=2)
    close(town, agreement, day, day)
    facts = {"name": "result.csv", "digest": "sha256:1"}
    town.do("mona", payout_results.confirm, payout, rows, **facts)
    town.later(days=1)
    paying.give_back(town, payout)
    first, second = (
        {(one.account, one.party): one.amount_fen} for one in paying.lines(town, payout)
    )
    back = {key: -fen for key, fen in first.items()}
    today = local_date(town.now)
    with town.reading() as session:
        row = session.get_one(Agreement, agreement.id)

        def sums(start: date | str, end: date, **whose: str) -> dict[tuple[str, str], int]:
            return finance.paid_sums(session, row, str(start), str(end), **whose)

        assert sums(day, day) == first | second, "though its entry stands in the period after"
        assert sums(day + DAY, today) == back
        assert {key: fen for key, fen in sums("", today).items() if fen} == second
        [(account, party)] = first
        assert sums("", day, account=account, party=party) == first
        ends = str(day), str(today)
        whole = finance.paid(session, row, *ends, limit=9)
        paid = [one.amount_fen for one in whole]
        assert sorted(paid[:2]) == sorted((first | second).values())
        assert paid[2:] == [*back.values()]
        assert [one.came_back for one in whole] == [0, 0, 1]
        paged = finance.paid(session, row, *ends, limit=1)
        while page := finance.paid(session, row, *ends, after=paged[-1].cursor, limit=1):
            paged += page
        assert paged == whole
        for wrong in ("x", "2026-03-02.a.2"):
            with pytest.raises(Invalid, match="cursor"):
                finance.paid(session, row, *ends, after=wrong, limit=1)


@pytest.mark.slow
def test_quantities_beyond_what_the_database_sums_are_summed(town: Town) -> None:
    registered = town.registration()
    agreement = town.get(Agreement, registered)
    most = 2**53 - 1
    confirmed(
        town, agreement, town.voucher(registered), *[("1.06", "数据调用量", str(most))] * 2_000
    )
    with town.reading() as session:
        over = finance.span(session, session.get_one(Agreement, agreement.id), local_date(town.now))
        [sold] = comparisons.sold(session, over) or ()
    assert sold.quantity == 2_000 * most > 2**63
    assert sold.fen == 200_000


@pytest.mark.slow
def test_the_last_page_of_a_million_rows_is_as_fast_as_the_first(town: Town) -> None:
    agreement = town.agreement()
    first, count = local_date(town.now), 1_000_000
    town.later(days=40)
    with town.deed() as session:
        settlements.enter_many(
            session, session.get_one(Agreement, agreement.id), "trade", "-",
            [((first + DAY * (n % 28)).isoformat(), 106, 6, 100, n) for n in range(count)],
        )  # fmt: skip
    close(town, agreement, first, first + DAY * 27)
    took = []
    with town.reading() as session:  # as the database does by itself after a while
        session.execute(text("ANALYZE"))
        session.commit()
    with town.reading() as session:
        over = finance.span(
            session, session.get_one(Agreement, agreement.id), local_date(town.now),
            (first + DAY * 27).isoformat(),
        )  # fmt: skip
        began = perf_counter()
        assert finance.account(session, over).of().net_fen == 100 * count
        took.append(perf_counter() - began)
        last = f"{over.until_on}.{count - 100}"
        for after in ("", f"{(first + DAY * 14).isoformat()}.{count // 2}", last):
            began = perf_counter()
            assert list(finance.rows(session, over, "own", after=after, limit=50)) or after == last
            took.append(perf_counter() - began)
    print([f"{one:.3f}" for one in took])
    assert took[0] < 10
    assert all(one < 0.2 for one in took[1:]), took
