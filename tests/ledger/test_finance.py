"""Spans of settlements: the rows of all periods together are all rows, each once; pages stay fast."""

from datetime import date, timedelta
from time import perf_counter

import pytest
from sqlalchemy import text

from ledger import finance, periods, settlements
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.finance import PARTS
from tests.conftest import Town

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
