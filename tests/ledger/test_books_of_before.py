"""A home of before there were books, migrated: its book is opened once, then pays and refunds."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import select, text

from ledger import audit_trade, books, journals, payouts, refunds
from ledger.agreements import Agreement
from ledger.errors import Invalid, LedgerError, NotAllowed
from ledger.statements import Statement
from ledger.trading import Payment
from tests.conftest import Town
from tests.ledger import bookings, paying
from webapp.home import MIGRATIONS, migrate


def down(town: Town, revision: str) -> None:
    with town.home.engine.begin() as connection:
        settings = Config()
        settings.set_main_option("script_location", str(MIGRATIONS))
        settings.attributes["connection"] = connection
        command.downgrade(settings, revision)


def as_before(town: Town, statement: Statement, payments: list[Payment]) -> None:
    """What the program of before had written: no entry but the statement's, every share on 2203."""
    engine = town.home.engine
    lite = engine.dialect.name == "sqlite"
    guards = ("entries_unedited", "entries_undeleted") if lite else ("entries_kept ON entries",)
    with engine.begin() as connection:
        for guard in guards:
            connection.execute(text(f"DROP TRIGGER {guard}"))
        kept = {"of": statement.id}
        connection.execute(text("DELETE FROM entries WHERE cause_id <> :of"), kept)
        old = connection.execute(text("SELECT lines FROM entries")).scalar_one()
        lines = old.replace(books.TREASURY, books.PAYABLE)
        connection.execute(
            text("UPDATE entries SET book_id = NULL, cause_key = NULL, body_digest = NULL, "
                 "recorded_at = NULL, effective_at = NULL, lines = :lines"), {"lines": lines},
        )  # fmt: skip
        connection.execute(text("UPDATE payments SET statement_id = :of"), kept)
        connection.execute(
            text("UPDATE statements SET payment_ids = :ids"),
            {"ids": json.dumps([one.id for one in payments])},
        )
    down(town, "0014")
    migrate(engine)


def stands(town: Town, agreement: Agreement) -> dict[str, int]:
    with town.reading() as session:
        return {
            name: fen
            for name in books.ACCOUNTS
            if (fen := books.balance(session, agreement.id, name))
        }


def refused(
    town: Town, error: type[LedgerError], login: str, verb: Any, *args: Any, **facts: Any
) -> str:
    before = town.snapshot()
    with pytest.raises(error) as said:
        town.do(login, verb, *args, **facts)
    assert town.snapshot() == before
    return said.value.sentence


@pytest.fixture
def of_before(town: Town) -> tuple[Town, Agreement, Payment]:
    agreement, licence = town.sold()
    paid = town.payment(licence, 10_600, "P-1")
    made = town.statement_over(agreement, licence, "posted", facts={"platform_cost_fen": 1000})
    with town.reading() as session:
        payments = list(session.scalars(select(Payment).order_by(Payment.id)))
    as_before(town, made, payments)
    return town, agreement, paid


def test_a_book_of_before_is_opened_once_and_pays(of_before: Any) -> None:
    town, agreement, _ = of_before
    gross, net, vat = 110_603, 104_342, 6_261
    assert stands(town, agreement) == {books.UNDISTRIBUTED: -net, books.PAYABLE: net}
    made = town.do("mona", journals.propose_opening, agreement)
    assert (made.amount_fen, made.kind) == (gross, "opening")
    with town.reading() as session:
        assert not journals.lacks_opening(session, agreement)
    assert town.do("max", journals.propose_opening, agreement).id == made.id
    refused(town, NotAllowed, "olga", journals.propose_opening, agreement)
    refused(town, NotAllowed, "mona", journals.approve, made)
    town.do("carl", journals.approve, made)
    shared = stands(town, agreement)
    assert shared.pop(books.PAYABLE) + shared.pop(books.TREASURY) == net
    assert shared == {books.BANK: gross, books.VAT: vat}
    assert town.do("mona", journals.propose_opening, agreement).state == "approved"
    with town.reading() as session:
        assert list(audit_trade.of_settlements(session)) == []
        books.assert_kept(session, agreement.id)
    paying.account(town)
    payout = town.do("mona", payouts.prepare, agreement)
    assert payout.amount_fen > 0


def test_a_database_with_books_is_not_taken_back_before_them(village: Town) -> None:
    agreement, licence = village.sold()
    village.payment(licence, 10_600, "BANK-7")
    with pytest.raises(RuntimeError, match="entries stand in a book"):
        down(village, "0014")
    with village.reading() as session:
        books.assert_kept(session, agreement.id)


def test_accounts_are_filled_in_their_normal_side_and_with_their_floor(town: Town) -> None:
    agreement, licence = town.sold()
    town.payment(licence, 10_600)
    town.do("carl", journals.approve, bookings.journal(town, agreement, debit=books.FEES,
                                                       credit=books.BANK))  # fmt: skip
    [path] = MIGRATIONS.glob("versions/0015*.py")
    spec = spec_from_file_location("migration_0015", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    asked = text("SELECT * FROM book_accounts ORDER BY book, account, party")
    with town.home.engine.begin() as connection:
        before = connection.execute(asked).all()
        connection.execute(text("DELETE FROM book_accounts"))
        connection.execute(text(module.FILL_ACCOUNTS))
        assert connection.execute(asked).all() == before
    kinds = {account for account, kind in books.ACCOUNTS.items() if kind.side == "debit"}
    assert {one[:1] for one in kinds} == {"1", "6"}, "as the migration takes them"
    floors = {account[:4] for account, kind in books.ACCOUNTS.items() if kind.floor_fen == 0}
    assert floors == {"1002", "2205", "2241"}, "as the migration takes them"


def test_a_payment_of_before_is_refunded(of_before: Any) -> None:
    town, agreement, paid = of_before
    refund = town.refund(paid, 10_600)
    town.do("carl", refunds.approve, refund)
    assert stands(town, agreement)[books.REFUNDS] == 10_600
    with town.reading() as session:
        made = session.get_one(refunds.Refund, refund.id)
        assert (made.agreement_id, made.n) == (agreement.id, 3)


def test_a_rejected_opening_is_proposed_anew(of_before: Any) -> None:
    town, agreement, _ = of_before
    made = town.do("mona", journals.propose_opening, agreement)
    town.do("carl", journals.reject, made, "待核")
    assert town.do("mona", journals.propose_opening, agreement).id != made.id


def test_a_book_that_lacks_nothing_is_not_opened(village: Town) -> None:
    agreement, licence = village.sold()
    village.payment(licence, 10_600, "BANK-8")
    told = refused(village, Invalid, "mona", journals.propose_opening, agreement)
    assert agreement.number in told
