"""Trades at an exchange: signed, each accepted once, every faulty row told at once, each row provable."""

import io
import time
from datetime import timedelta
from typing import Any

import pytest
from openpyxl import Workbook
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from ledger import (
    audit_trade,
    books,
    confirmation_checks,
    confirmations,
    periods,
    prices,
    refunds,
    salted_rows,
    trade_rules,
)
from ledger.calendar import local_date
from ledger.confirmations import Confirmation, Trade
from ledger.errors import Conflict, Invalid, LedgerError, Missing, NotAllowed
from ledger.parties import Member
from ledger.proof.bundle import row_hash
from ledger.proof.merkle import verify_inclusion
from ledger.row_faults import Unusable, faults_csv
from ledger.settlements import Settlement
from ledger.tables.events import read_rows
from ledger.vouchers import Voucher
from tests.conftest import ORIGIN, PARTIES, Town

EXCHANGE = PARTIES["exchange"][2]


@pytest.fixture
def market(town: Town) -> tuple[Town, Any, Voucher]:
    agreement, licence = town.sold()
    return town, agreement, town.get(Voucher, licence)


def refused(
    town: Town, error: type[LedgerError], signed: dict[str, Any], given: str, login: str = "egon"
) -> Any:
    """The refusal of a confirmation; it left every byte as it was."""
    before = town.snapshot()
    with pytest.raises(error) as said:
        town.confirm(signed, given, login)
    assert town.snapshot() == before
    return said.value


def test_a_confirmation_is_booked_settled_and_accepted_once(market: Any) -> None:
    town, agreement, voucher = market
    given = town.trades_file(voucher)
    signed = town.signed(agreement, given)
    made = town.confirm(signed, given)
    after = town.snapshot()
    assert town.confirm(signed, given).id == made.id
    assert town.snapshot() == after
    day = local_date(town.now).isoformat()
    assert (made.number, made.exchange_number, made.row_count) == ("CJ2026-000001", "CJ-1", 3)
    assert (made.amount_fen, made.vat_fen, made.net_fen) == (32_100, 1_817, 30_283)
    with town.reading() as session:
        assert {
            one: books.balance(session, agreement.id, one)
            for one in (books.DUE, books.UNDISTRIBUTED, books.VAT)
        } == {books.DUE: 32_100, books.UNDISTRIBUTED: 30_283, books.VAT: 1_817}
        assert books.balance(session, agreement.id, books.DUE, EXCHANGE) == 32_100
        rows = session.scalars(select(Settlement).order_by(Settlement.n)).all()
        assert [(r.n, r.day, r.kind, r.amount_fen, r.vat_fen, r.net_fen, r.source_id, r.row)
                for r in rows] == [
            (1, day, "trade", 10_600, 600, 10_000, made.id, 1),
            (2, day, "trade", 10_700, 606, 10_094, made.id, 2),
            (3, day, "trade", 10_800, 611, 10_189, made.id, 3),
        ]  # fmt: skip
        assert confirmations.trade(session, made, 2)["vat_fen"] == 606
        assert list(audit_trade.of_rows(session, made, ORIGIN)) == []
        assert list(audit_trade.of_settlements(session)) == []
        assert list(audit_trade.strays(session)) == []
    other = town.trades_file(voucher, 4)
    error = refused(town, Conflict, town.signed(agreement, other), other)
    assert made.number in error.sentence


def test_what_is_due_is_booked_under_the_exchange_s_one_code(market: Any) -> None:
    town, agreement, voucher = market
    given = town.trades_file(voucher)
    signed = town.signed(agreement, given, exchange=EXCHANGE.lower())
    assert EXCHANGE in refused(town, Invalid, signed, given).sentence


def test_each_trade_is_counted_once_over_all_confirmations(market: Any) -> None:
    town, agreement, voucher = market
    first = town.confirmation(agreement, voucher, 3)
    given = town.trades_file(voucher, 5)
    error = refused(town, Unusable, town.signed(agreement, given, "CJ-2"), given)
    assert [(one["row"], one["code"], one["value"]) for one in error.facts["problems"]] == [
        (2, "recorded", "T-1"), (3, "recorded", "T-2"), (4, "recorded", "T-3"),
    ]  # fmt: skip
    assert f"{first.number} #3" in error.facts["problems"][2]["reason_en"]
    checked_before = given.replace("T-1,", "A-1,").replace("T-2,", "A-2,").replace("T-3,", "A-3,")
    made = town.confirm(town.signed(agreement, checked_before, "CJ-2"), checked_before)
    assert made.first_n == 4


def test_two_that_hand_in_the_same_trades_at_once_are_not_both_taken(market: Any) -> None:
    town, agreement, voucher = market
    given = town.trades_file(voucher)
    path = town._trades(given)
    with town.reading() as session:
        checked = [
            confirmation_checks.check(
                session, town.actors["egon"], town.now,
                read_rows(path, path.name, trade_rules.COLUMNS), path.name,
                town.signed(agreement, given, number), origin=ORIGIN,
                chain_id=town.home.config.deployment.chain_id,
            )
            for number in ("CJ-1", "CJ-2")
        ]  # fmt: skip
    town.do("egon", confirmations.record, checked[0])
    before = town.snapshot()
    with pytest.raises(Conflict, match="at this moment"):
        town.do("egon", confirmations.record, checked[1])
    assert town.snapshot() == before


def test_every_faulty_row_is_told_with_line_column_and_reason(market: Any) -> None:
    town, agreement, voucher = market
    day, buyer = local_date(town.now).isoformat(), PARTIES["bank"][2]
    good = f"T-1,{voucher.number},{buyer},{day},106.00,,"
    given = "\n".join([
        "trade,voucher,buyer,on,amount_yuan,unit,quantity", good,
        f"T-1,{voucher.number},{buyer},{day},106.00,,",
        f"T 2,{voucher.number},91000000DEM0000039,{day},1.234,只,0",
        ",,,2026-02-30,0,,",
        f"T-4,V-9,{buyer},2026-3-1,5.5,,2", "",
    ])  # fmt: skip
    signed = town.signed(agreement, town.trades_file(voucher, 1))
    error = refused(town, Unusable, signed, given)
    told = {(one["row"], one["column"], one["code"]) for one in error.facts["problems"]}
    assert told == {
        (3, "trade", "trade_twice"), (4, "trade", "trade"), (4, "buyer", "buyer"),
        (4, "amount_yuan", "amount"), (4, "unit", "unit"), (4, "quantity", "quantity"),
        (5, "trade", "missing"), (5, "voucher", "missing"), (5, "buyer", "missing"),
        (5, "on", "on"), (5, "amount_yuan", "amount"), (6, "voucher", "voucher"),
        (6, "on", "outside"),
    }  # fmt: skip
    assert "line,column,value" in faults_csv(error).decode("utf-8-sig")
    with pytest.raises(Unusable):
        town.signed(agreement, given)


def test_other_columns_are_refused_and_lacking_ones_named(market: Any) -> None:
    town, agreement, voucher = market
    signed = town.signed(agreement, town.trades_file(voucher, 1))
    error = refused(town, Unusable, signed, "trade,voucher,on,电话\nT-1,V,2026-03-02,1\n")
    assert {(one["column"], one["code"]) for one in error.facts["problems"]} == {
        ("电话", "unknown_column"), ("buyer", "no_column"), ("amount_yuan", "no_column"),
        ("voucher", "voucher"), ("on", "outside"),
    }  # fmt: skip
    refused(town, Invalid, signed, "trade,voucher,buyer,on,amount_yuan\n")


def test_vouchers_periods_and_caps_bound_what_was_traded(market: Any) -> None:
    town, agreement, voucher = market
    town.do("paul", prices.confirm, town.price(agreement))
    day = local_date(town.now)
    for changes, code in (
        ({"amount": "500000.01"}, "cap"),
        ({"on": (day + timedelta(days=1)).isoformat()}, "outside"),
    ):
        given = town.trades_file(voucher, 1, **changes)
        signed = town.signed(agreement, given, from_on=day.isoformat(), until_on=day.isoformat())
        error = refused(town, Unusable, signed, given)
        assert [one["code"] for one in error.facts["problems"]] == [code]
    unit = "trade,voucher,buyer,on,amount_yuan,unit,quantity\n"
    row = f"T-1,{voucher.number},{PARTIES['bank'][2]},{day}"
    for cells, code in (
        ("9.01,数据调用量,1000", "cap"), ("1.00,服务次数,1", "no_cap"),
    ):  # fmt: skip
        given = f"{unit}{row},{cells}\n"
        error = refused(town, Unusable, town.signed(agreement, given), given)
        assert [one["code"] for one in error.facts["problems"]] == [code]
    given = f"{unit}{row},9.00,数据调用量,1000\n"
    signed = town.signed(agreement, given)
    town.change("suspend", voucher)
    error = refused(town, Unusable, signed, given)
    assert [one["code"] for one in error.facts["problems"]] == ["not_valid"]
    town.change("resume", voucher)
    town.confirm(signed, given)


def test_only_a_key_of_the_exchange_signs_and_only_for_this_log(market: Any) -> None:
    town, agreement, voucher = market
    given = town.trades_file(voucher)
    signed = town.signed(agreement, given)
    stranger = confirmation_checks.sign(
        signed["header"], town.home.config.deployment.chain_id, b"\x0d" * 32
    )
    refused(town, NotAllowed, stranger, given)
    other_chain = confirmation_checks.sign(signed["header"], 1, b"\x0c" * 32)
    refused(town, NotAllowed, other_chain, given)
    refused(town, NotAllowed, signed, given, "olga")
    for part, value, error in (
        ("log", "other/log", Invalid), ("amount_fen", 1, NotAllowed), ("number", "CJ-9", NotAllowed),
        ("until_on", "2020-01-01", Invalid), ("row_count", 0, Invalid), ("v", 2, Invalid),
        ("exchange", PARTIES["bank"][2], NotAllowed), ("agreement", "XY-none", NotAllowed),
        ("amount_fen", True, Invalid),
    ):  # fmt: skip
        refused(town, error, {**signed, "header": {**signed["header"], part: value}}, given)
    for odd in ({}, {**signed, "signature": "0x12"}, {**signed, "header": []}):
        refused(town, Invalid, odd, given)
    changed = given.replace("106.00", "107.00", 1)
    assert "rows that were signed" in refused(town, Invalid, signed, changed).sentence
    with town.deed() as session:
        egon = session.get_one(Member, town.actors["egon"].member_id)
        session.execute(update(Member).where(Member.id == egon.id).values(signing_address=None))
    refused(town, NotAllowed, signed, given)


def test_a_workbook_gives_the_same_rows_as_csv(market: Any) -> None:
    town, agreement, voucher = market
    given = town.trades_file(voucher)
    book = Workbook()
    sheet = book.active
    sheet.append(["交易编号", "凭证编号", "买方", "成交日期", "金额（元）"])
    for line in given.splitlines()[1:]:
        trade, number, buyer, _, amount = line.split(",")
        sheet.append([trade, number, buyer, town.now.replace(tzinfo=None, hour=0), float(amount)])
    out = io.BytesIO()
    book.save(out)
    path = town.home.path.with_name("trades.xlsx")
    path.write_bytes(out.getvalue())
    told = read_rows(path, "trades.xlsx", trade_rules.COLUMNS)
    header = confirmation_checks.header_of(
        told, "trades.xlsx", exchange=EXCHANGE, number="CJ-1", agreement=agreement.number,
        log_origin=ORIGIN,
    )  # fmt: skip
    assert header == town.signed(agreement, given)["header"]


def test_a_late_confirmation_goes_into_the_open_period(market: Any) -> None:
    town, agreement, voucher = market
    day = local_date(town.now)
    given = town.trades_file(voucher)
    town.later(days=3)
    town.do("mona", periods.close, agreement, from_on=day, until_on=day)
    made = town.confirm(town.signed(agreement, given), given)
    with town.reading() as session:
        entry = books.entry_of(session, made.id)
        assert entry is not None
        assert entry.effective_on == (day + timedelta(days=1)).isoformat()
        assert session.scalars(select(Settlement.day)).first() == day.isoformat()


@pytest.mark.parametrize("rows", [1, 9])
def test_each_trade_is_proved_alone(
    market: Any, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salted_rows, "CHUNK", 4)
    town, agreement, voucher = market
    made = town.confirmation(agreement, voucher, rows)
    with town.reading() as session:
        fresh = session.get_one(Confirmation, made.id)
        n = confirmations.row_number(session, fresh, f"T-{rows}")
        assert n == rows
        told = confirmations.row_proof(session, fresh, n)
        verify_inclusion(
            row_hash(bytes.fromhex(told["salt"]), told["row"]), n - 1, made.row_count,
            [bytes.fromhex(one) for one in told["inclusion"]], bytes.fromhex(made.batch_root),
        )  # fmt: skip
        with pytest.raises(Missing):
            confirmations.row_number(session, fresh, "T-99")
        with pytest.raises(Missing):
            confirmations.trade(session, fresh, 99)


def test_the_audit_finds_what_was_changed_of_trades_and_settlements(market: Any) -> None:
    town, agreement, voucher = market
    payment = town.payment(town.licence(voucher), 10_600)
    town.do("carl", refunds.approve, town.refund(payment, 600))
    made = town.confirmation(agreement, voucher)

    def found(*statements: str) -> set[tuple[str, str]]:
        with town.home.engine.connect() as connection:
            for one in statements:
                connection.execute(text(one))
            session = Session(connection)
            told = [
                *audit_trade.of_rows(session, session.get_one(Confirmation, made.id), ORIGIN),
                *audit_trade.strays(session),
                *audit_trade.of_settlements(session),
            ]
            session.close()
            connection.rollback()
        return {(place.split()[0], name) for place, name, _, _ in told}

    assert found() == set()
    assert found("UPDATE settlements SET net_fen = net_fen + 1 WHERE n = 1") == {
        ("settlements", "net_fen")
    }
    assert found("UPDATE settlements SET day = '2020-01-01' WHERE kind = 'refund'") == {
        ("settlements", "day")
    }
    assert ("settlements", "row") in found("DELETE FROM settlements WHERE n = 4")
    assert ("settlements", "rows") in found(
        "INSERT INTO settlements SELECT agreement_id, 99, day, kind, amount_fen, vat_fen, net_fen, "
        'source_id, "row" FROM settlements WHERE n = 1'
    )
    assert ("numbers", "next") in found(
        "UPDATE numbers SET next = next + 1 WHERE prefix LIKE 'settlements %'"
    )
    told = found("UPDATE trades SET row = replace(row, '10600', '10601') WHERE n = 1")
    assert {("confirmations", "batch_root"), ("confirmations", "rows_digest"),
            ("settlements", "amount_fen")} <= told  # fmt: skip
    assert ("trades", "row") in found("UPDATE trades SET row = '{}' WHERE n = 2")
    assert ("trades", "trade") in found("UPDATE trades SET trade = 'x' WHERE n = 2")
    assert ("confirmations", "row_count") in found("DELETE FROM trades WHERE n = 3")
    assert ("trades", "batch") in found("UPDATE trades SET batch = 77")
    assert ("confirmations", "signed_by") in found(
        "UPDATE confirmations SET from_on = '2020-01-01'"
    )


@pytest.mark.slow
def test_a_million_trades_come_in_within_a_minute(market: Any) -> None:
    town, agreement, voucher = market
    day, buyer = local_date(town.now).isoformat(), PARTIES["bank"][2]
    given = "trade,voucher,buyer,on,amount_yuan\n" + "".join(
        f"T-{n:07d},{voucher.number},{buyer},{day},{n % 997 + 1}.{n % 100:02d}\n"
        for n in range(1_000_000)
    )
    signed = town.signed(agreement, given)
    began = time.monotonic()
    made = town.confirm(signed, given)
    took = time.monotonic() - began
    print(f"a million trades: {took:.1f} s")
    assert took < 60
    with town.reading() as session:
        assert session.scalar(select(func.count()).select_from(Trade)) == 1_000_000
        net = session.scalar(select(func.sum(Settlement.net_fen)))
        assert int(net or 0) == made.net_fen
        began = time.monotonic()
        assert (
            list(audit_trade.of_rows(session, session.get_one(Confirmation, made.id), ORIGIN)) == []
        )
        assert list(audit_trade.of_settlements(session)) == []
        print(f"audited: {time.monotonic() - began:.1f} s")


def test_a_period_that_is_not_over_is_refused_and_booked_is_the_last_trade_s_day(
    town: Town,
) -> None:
    agreement, licence = town.sold()
    text = town.trades_file(town.get(Voucher, licence))
    today = local_date(town.now)
    before = town.snapshot()
    with pytest.raises(Invalid, match="ends after today"):
        town.confirm(town.signed(agreement, text, until_on=str(today + timedelta(days=1))), text)
    assert town.snapshot() == before
    town.later(days=2)
    made = town.confirm(town.signed(agreement, text, until_on=str(today + timedelta(days=2))), text)
    with town.reading() as session:
        entry = books.entry_of(session, made.id)
        assert entry is not None
        assert entry.effective_on == today.isoformat() < made.until_on
