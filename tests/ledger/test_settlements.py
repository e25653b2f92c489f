"""Settlements: dense numbers within an agreement, under one lock, filled for payments of before."""

from datetime import timedelta
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import inspect, select, text

from ledger import settlements
from ledger.calendar import local_date
from ledger.settlements import Settlement
from ledger.trading import Payment
from tests.conftest import Town
from webapp.home import MIGRATIONS, migrate


def rows(town: Town, *columns: str) -> list[tuple[Any, ...]]:
    with town.reading() as session:
        wanted = select(*(getattr(Settlement, one) for one in columns))
        return [
            tuple(row)
            for row in session.execute(wanted.order_by(Settlement.agreement_id, Settlement.n))
        ]


def test_each_payment_is_a_settlement_numbered_without_a_gap(town: Town) -> None:
    agreement, licence = town.sold()
    first = town.payment(licence, 10_600, "B-1")
    second = town.payment(licence, 5_300, "B-2")
    assert (first.n, second.n, first.agreement_id) == (1, 2, agreement.id)
    assert town.payment(licence, 5_300, "B-2").n == 2
    day = local_date(town.now).isoformat()
    assert rows(
        town, "agreement_id", "n", "day", "kind", "amount_fen", "vat_fen", "net_fen", "source_id", "row"
    ) == [
        (agreement.id, 1, day, "payment", 10_600, 600, 10_000, first.id, 0),
        (agreement.id, 2, day, "payment", 5_300, 300, 5_000, second.id, 0),
    ]  # fmt: skip
    with town.reading() as session:
        assert settlements.count(session, agreement.id) == 2
        assert settlements.count(session, "another") == 0
        assert settlements.total(session, agreement.id) == 15_000
        assert settlements.total(session, agreement.id, Settlement.n > 1) == 5_000


def test_many_take_a_range_of_numbers_at_once(town: Town) -> None:
    agreement, licence = town.sold()
    town.payment(licence, 106, "B-1")
    day = local_date(town.now)
    given = [
        ((day - timedelta(days=n % 3)).isoformat(), 106 + n, 6, 100 + n, n) for n in range(1, 2001)
    ]
    with town.deed() as session:
        fresh = town.fresh(session, agreement)
        assert settlements.enter_many(session, fresh, "trade", "a-confirmation", given) == 2
    assert town.payment(licence, 106, "B-2").n == 2002
    told = rows(town, "n", "kind", "net_fen", "row")
    assert [n for n, *_ in told] == [*range(1, 2003)]
    assert told[1:-1] == [(n + 1, "trade", 100 + n, n) for n in range(1, 2001)]


def test_payments_of_before_are_numbered_by_the_migration(town: Town) -> None:
    agreement, licence = town.sold()
    paid = [town.payment(licence, 106 * n, f"B-{n}") for n in (3, 1, 2)]
    with town.home.engine.begin() as connection:
        settings = Config()
        settings.set_main_option("script_location", str(MIGRATIONS))
        settings.attributes["connection"] = connection
        command.downgrade(settings, "0015")
    assert "settlements" not in inspect(town.home.engine).get_table_names()
    migrate(town.home.engine)
    assert rows(town, "agreement_id", "n", "source_id", "net_fen") == [
        (agreement.id, n, one.id, one.net_fen) for n, one in enumerate(paid, start=1)
    ]
    with town.reading() as session:
        assert set(session.execute(select(Payment.n, Payment.agreement_id))) == {(None, None)}
        assert session.execute(text("SELECT next FROM numbers WHERE prefix LIKE 'settl%'")).all() == [
            (4,)
        ]  # fmt: skip
    assert town.payment(licence, 106, "B-9").n == 4
