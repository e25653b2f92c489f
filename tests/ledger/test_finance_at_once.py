"""Twenty at once on one account lose and double nothing, on SQLite and PostgreSQL."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from ledger import (
    approvals,
    audit_books,
    audit_trade,
    books,
    holds,
    orders,
    refunds,
    remittances,
    settings,
)
from ledger.agreements import Agreement
from ledger.books import Entry
from ledger.calendar import local_date
from ledger.errors import LedgerError
from ledger.holds import Hold
from ledger.statements import Statement
from ledger.trading import Payment
from ledger.vouchers import Voucher
from tests.conftest import ORIGIN, Town
from tests.ledger.finance_model import without_vat
from tests.web.conftest import Site

pytestmark = pytest.mark.slow
CLIENTS = 20


def at_once(deeds: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each deed answers, or how it was refused; all begin together, each in a thread of its own."""
    gate = Barrier(len(deeds), timeout=60)

    def one(deed: Callable[[], Any]) -> Any:
        gate.wait()
        try:
            return deed()
        except LedgerError as error:
            return error

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(one, deeds))


def done(answers: Sequence[Any]) -> list[Any]:
    return [one for one in answers if not isinstance(one, LedgerError)]


def accounts(town: Town, agreement: Any) -> dict[str, int]:
    """What stands on each account, after the audit found the books and the settlements whole."""
    with town.reading() as session:
        assert list(audit_books.audit_books(session.connection())) == []
        assert list(audit_trade.of_settlements(session)) == []
        assert sum(books.balances(session, agreement.id).values()) == 0
        return {
            name: fen
            for name in books.ACCOUNTS
            if (fen := books.balance(session, agreement.id, name))
        }


def received(*amounts: int) -> dict[str, int]:
    """The accounts after money came in with its VAT."""
    gross, net = sum(amounts), sum(map(without_vat, amounts))
    return {books.BANK: gross, books.UNDISTRIBUTED: net, books.VAT: gross - net}


@pytest.fixture
def market(town: Town) -> tuple[Town, Any, Voucher]:
    agreement, licence = town.sold()
    return town, agreement, town.get(Voucher, licence)


def test_payments_through_the_api_never_exceed_the_price_and_a_key_counts_once(
    market: tuple[Town, Any, Voucher],
) -> None:
    """Fifteen payments, five of them sent by two clients under one key; the price allows nine."""
    town, agreement, voucher = market
    part, fit = 10_007, 9
    licence = town.licence(voucher, price_fen=fit * part + part - 1)
    site, today = Site(town), local_date(town.now).isoformat()
    clients = [site.visit("mona") for _ in range(CLIENTS)]
    names = [f"B-{n % 15}" for n in range(CLIENTS)]

    def send(client: Any, name: str) -> tuple[str, int, Any]:
        answer = client.api(
            f"/licences/{licence.order_reference}/payments",
            {"amount_yuan": "100.07", "received_on": today, "reference": name},
            status=None, key=f"payment-{name}",
        )  # fmt: skip
        return name, answer.status_code, answer.get_json().get("answer", {}).get("reference")

    deeds = [
        (lambda client=client, name=name: send(client, name))
        for client, name in zip(clients, names, strict=True)
    ]
    for _ in range(2):  # and all of them once more
        told = at_once(deeds)
        taken = {name for name, status, _ in told if status < 300}
        assert len(taken) == fit
        assert all((status < 300) == (name in taken) for name, status, _ in told)
        assert all(said == name for name, status, said in told if status < 300)
        with town.reading() as session:
            paid = session.scalars(select(Payment).where(Payment.licence_id == licence.id)).all()
        assert {one.reference for one in paid} == taken
        assert [one.n for one in sorted(paid, key=lambda one: one.n or 0)] == list(
            range(1, fit + 1)
        )
        assert accounts(town, agreement) == received(*[part] * fit)


def test_postings_to_one_account_all_count_once(market: tuple[Town, Any, Voucher]) -> None:
    """Twenty remittances, each handed in by two of forty clients."""
    town, agreement, _ = market
    facts = [
        {"party": town.party("bank"), "purpose": "prepayment", "amount_fen": 1_000 + n,
         "received_on": local_date(town.now).isoformat(), "reference": f"R-{n}"}
        for n in range(CLIENTS)
    ]  # fmt: skip
    told = at_once([
        (lambda one=one: town.do("mona", remittances.record, agreement, **one)) for one in facts * 2
    ])  # fmt: skip
    again = [town.do("mona", remittances.record, agreement, **one) for one in facts]
    assert {one.id for one in done(told)} <= {one.id for one in again}
    total = sum(one["amount_fen"] for one in facts)
    assert accounts(town, agreement) == {books.BANK: total, books.PREPAID: total}
    with town.reading() as session:
        numbers = session.scalars(select(Entry.number)).all()
    assert len(set(numbers)) == len(numbers) == CLIENTS


def test_orders_fulfilments_cancellations_and_money_at_once_add_up(
    market: tuple[Town, Any, Voucher],
) -> None:
    town, agreement, voucher = market
    price = 10_007
    town.remittance(agreement, 8 * price)
    placed = [town.order(voucher, paid_by="prepayment", price_fen=price) for _ in range(8)]
    wanted = [
        town.order_facts(voucher, paid_by="prepayment", price_fen=price)
        for _ in range(CLIENTS // 2)
    ]
    money = [
        {"party": town.party("bank"), "purpose": "prepayment", "amount_fen": price,
         "received_on": local_date(town.now).isoformat(), "reference": f"M-{n}"}
        for n in range(2)
    ]  # fmt: skip
    told = at_once([
        *((lambda one=one: town.do("opal", orders.fulfil, one, ORIGIN)) for one in placed[:4]),
        *((lambda one=one: town.do("opal", orders.fulfil, one, ORIGIN)) for one in placed[2:4]),
        *((lambda one=one: town.do("olga", orders.cancel, one, "撤回")) for one in placed[4:6]),
        *((lambda one=one: town.do("mona", remittances.record, agreement, **one)) for one in money),
        *((lambda one=one: town.do("olga", orders.place, **one)) for one in wanted),
    ])  # fmt: skip
    won = done(told[:6])
    assert len(won) == 4, told[:6]
    assert len(done(told[6:10])) == 4
    fresh = len(done(told[10:]))
    assert fresh <= 4, "two were cancelled and two were paid in"
    with town.reading() as session:
        pending = session.scalars(select(Hold).where(Hold.state == "pending")).all()
        stands = session.scalars(
            select(books.BookAccount).where(books.BookAccount.account == books.PREPAID)
        ).one()
    assert len(pending) == 2 + fresh
    assert stands.held_fen == price * len(pending)
    sold = received(*[price] * 4)
    assert accounts(town, agreement) == {
        **sold, books.BANK: 10 * price, books.PREPAID: (10 - 4) * price,
    }  # fmt: skip
    for one in wanted:
        try:
            town.do("olga", orders.place, **one)
        except LedgerError:
            continue
    with town.reading() as session:
        aside = session.scalars(select(Hold).where(Hold.state == "pending")).all()
    assert len(aside) == 6, "what was free is set aside at last, and not more"


def test_of_twenty_refunds_of_one_payment_no_more_is_given_back_than_was_paid(
    market: tuple[Town, Any, Voucher],
) -> None:
    town, agreement, voucher = market
    paid, part = 100_070, 10_007
    payment = town.payment(town.licence(voucher), paid)
    told = at_once([
        (lambda n=n: town.refund(payment, part, f"退货 {n}")) for n in range(CLIENTS)
    ])  # fmt: skip
    asked = done(told)
    assert len(asked) == paid // part
    decided = at_once([
        (lambda one=one, login=login: town.do(login, refunds.approve, one))
        for one in asked
        for login in ("carl", "cora")
    ])  # fmt: skip
    assert len(done(decided)) == len(asked)
    assert accounts(town, agreement) == {books.BANK: paid, books.REFUNDS: paid}


def row(town: Town, statement: Statement) -> Statement:
    with town.reading() as session:
        return session.get_one(Statement, statement.id)


def approve(town: Town, made: Statement, login: str) -> Callable[[], Any]:
    signed = town.approval(made, login)
    deployment = town.home.config.deployment
    return lambda: town.do(login, approvals.approve, made, signed, ORIGIN, deployment) or login


@pytest.mark.parametrize("needed", [1, 2])
def test_of_two_checkers_at_once_each_counts_once_and_what_follows_is_booked_once(
    town: Town, needed: int
) -> None:
    if needed == 2:
        with town.deed() as session:
            settings.change(session, town.actors["admin"], "third_approval_yuan", "0")
    made = town.statement("proposed")
    told = at_once([approve(town, made, login) for login in ("carl", "cora") for _ in range(3)])
    assert len(done(told)) == 1, told
    now = row(town, made)
    assert [one["checker_id"] for one in now.approvals or []] == [
        town.actors[done(told)[0]].member_id
    ]
    assert now.state == ("approved" if needed == 1 else "proposed")
    if needed == 2:
        other = "cora" if done(told) == ["carl"] else "carl"
        assert len(done(at_once([approve(town, made, other) for _ in range(4)]))) == 1
    assert row(town, made).state == "approved"
    town.settle(made)
    posted = at_once([town.post for _ in range(4)])
    assert sum(len(one) for one in done(posted)) == 1
    with town.reading() as session:
        entries = session.scalars(select(Entry).where(Entry.cause_id == made.id)).all()
        agreement = session.get_one(Agreement, made.agreement_id)
    assert len(entries) == 1
    assert accounts(town, agreement)[books.PAYABLE] > 0


def test_holds_posted_voided_and_expired_at_once_end_in_one_way(
    market: tuple[Town, Any, Voucher],
) -> None:
    town, agreement, voucher = market
    price = 10_007
    town.remittance(agreement, 5 * price)
    placed = [town.order(voucher, paid_by="prepayment", price_fen=price) for _ in range(5)]

    def expire() -> int:
        with town.home.deed(town.now) as session:
            return holds.expire(session, town.now)

    deeds: list[Callable[[], Any]] = []
    for one in placed:
        deeds.append(lambda one=one: town.do("opal", orders.fulfil, one, ORIGIN) and "fulfilled")
        deeds.append(lambda one=one: town.do("olga", orders.cancel, one, "撤回") or "cancelled")
    ended = Counter(done(at_once([*deeds, expire, expire])))
    assert ended["fulfilled"] + ended["cancelled"] == 5
    with town.reading() as session:
        states = Counter(session.scalars(select(Hold.state)))
    assert states == +Counter(posted=ended["fulfilled"], voided=ended["cancelled"])
    due = received(*[price] * ended["fulfilled"])
    due[books.BANK] = 5 * price
    left = {books.PREPAID: price * ended["cancelled"]}
    assert accounts(town, agreement) == {name: fen for name, fen in {**due, **left}.items() if fen}
