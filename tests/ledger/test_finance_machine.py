"""Finance under deeds made up at random, on a real database, beside a plain model: its laws hold.

Σ debit = Σ credit; what stands on an account is the fold of the entries; held is what is pending and there;
no negative share; lines sum to the amount; no party drifts by a fen; each settlement is in one standing
statement or none; a reversal leaves what was before; a refused deed leaves every byte as it was.
"""

import itertools
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select

from ledger import books, holds, orders, periods, refunds, revenue, reversals, trading
from ledger.agreements import Agreement
from ledger.books import BookAccount, Entry, EntryLine
from ledger.calendar import local_date
from ledger.errors import LedgerError
from ledger.holds import Hold
from ledger.orders import Order
from ledger.refunds import Refund
from ledger.settlements import Settlement
from ledger.statements import Statement
from ledger.trading import Payment
from ledger.vouchers import Voucher
from tests.conftest import DATABASES, ORIGIN, Town, create_database, found_town, fresh_database
from tests.ledger.finance_model import (
    BUYER,
    EXCHANGE,
    SHARES,
    Model,
    Sale,
    Told,
    scheme_document,
    share_out,
)

DAY = timedelta(days=1)
LICENCE_FEN = 400_000
_serial = itertools.count(1)
MET_BY_ALL = {
    *(f"{deed} {how}" for how in ("done", "refused")
      for deed in ("pay", "order", "ask_refund", "close", "draft", "reverse")),
    "posted", "reversal posted", "late rows distributed", "anew after a reversal",
}  # fmt: skip
amounts = st.integers(1, 99_999)
likely = st.sampled_from([True, True, True, False])
Open = Callable[[], Any]


class Finance(RuleBasedStateMachine):
    """One agreement's finance; `open` gives a town that has sold one licence."""

    open: Open
    met: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.opened = self.open()
        self.town, self.agreement, self.licence = self.opened.__enter__()
        self.voucher = self.town.get(Voucher, self.licence)
        self.model = Model(self.agreement.from_on)
        self.sales: list[Sale] = []
        self.orders: list[tuple[Order, int, str]] = []  # placed: with price and last day
        self.asked: list[tuple[Refund, Sale]] = []

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)

    # ------------------------------------------------------------ deeds

    @property
    def today(self) -> date:
        return local_date(self.town.now)

    def attempt(self, may: bool, deed: Callable[[], Any]) -> Any:
        """What a deed answers that the model allows; any other is refused and changes nothing."""
        self.met[f"{sys._getframe(1).f_code.co_name} {'done' if may else 'refused'}"] += 1
        if may:
            return deed()
        before = self.town.snapshot()
        with pytest.raises(LedgerError):
            deed()
        assert self.town.snapshot() == before
        return None

    @rule(days=st.integers(1, 3))
    def days_pass(self, days: int) -> None:
        """The timer lets go of what has run out."""
        if not days:
            return
        self.town.later(days=days)
        with self.town.deed() as session:
            holds.expire(session, self.town.now)
            orders.expire(session, self.town.now)
        today = self.today.isoformat()
        gone = [one for one in self.orders if one[2] < today]
        self.model.held[books.PREPAID, BUYER] -= sum(price for _, price, _ in gone)
        self.orders = [one for one in self.orders if one not in gone]

    @rule(
        fen=amounts,
        back=st.integers(0, 5),
        wrong=st.sampled_from(["", "", "", "more", "again", "other"]),
    )
    def pay(self, fen: int, back: int, wrong: str) -> None:
        if wrong == "more":
            fen = LICENCE_FEN - self.model.paid_fen + fen
        facts = {
            "licence": self.licence, "amount_fen": fen, "reference": f"P-{next(_serial)}",
            "received_on": (self.today - back * DAY).isoformat(),
        }  # fmt: skip

        def deed(**changes: Any) -> Any:
            return self.town.do("mona", trading.record_payment, **{**facts, **changes})

        fits = self.model.paid_fen + fen <= LICENCE_FEN
        made = self.attempt(fits, deed)
        if not fits:
            return
        self.model.paid_fen += fen
        self.model.receive(facts["received_on"], fen, books.BANK)
        self.sales.append(Sale(made.id, fen))
        if wrong == "again":
            before = self.town.snapshot()
            assert deed().id == made.id
            assert self.town.snapshot() == before
        if wrong == "other":
            self.attempt(False, lambda: deed(amount_fen=fen + 1))

    @rule(fen=st.integers(1, 999_999))
    def remit(self, fen: int) -> None:
        self.town.remittance(self.agreement, fen, f"R-{next(_serial)}")
        self.model.accounts[books.BANK, ""] += fen
        self.model.accounts[books.PREPAID, BUYER] += fen

    @rule(fen=amounts, days=st.integers(0, 2))
    def order(self, fen: int, days: int) -> None:
        place = (books.PREPAID, BUYER)
        fits = self.model.held[place] + fen <= self.model.accounts[place]
        last = self.today + days * DAY
        made = self.attempt(fits, lambda: self.town.order(
            self.voucher, paid_by="prepayment", price_fen=fen, offer_until=last
        ))  # fmt: skip
        if made:
            self.model.held[place] += fen
            self.orders.append((made, fen, last.isoformat()))

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), way=st.sampled_from(["fulfil", "fulfil", "cancel"]))
    def decide_order(self, data: st.DataObject, way: str) -> None:
        one = data.draw(st.sampled_from(self.orders))
        order, fen, _ = one
        self.orders.remove(one)
        self.model.held[books.PREPAID, BUYER] -= fen
        if way == "cancel":
            self.town.do("olga", orders.cancel, order, "买方撤回")
        else:
            self.town.do("opal", orders.fulfil, order, ORIGIN)
            self.model.receive(self.today.isoformat(), fen, books.PREPAID, BUYER)
            with self.town.reading() as session:
                paid = session.scalars(
                    select(Payment.id).where(Payment.reference == order.reference)
                ).one()
            self.sales.append(Sale(paid, fen))
        self.attempt(False, lambda: self.town.do("olga", orders.cancel, order, "再撤回"))

    @precondition(lambda self: self.sales)
    @rule(data=st.data(), part=st.integers(1, 4))
    def ask_refund(self, data: st.DataObject, part: int) -> None:
        """A part of what was paid, or (four quarters and more) too much."""
        sale = data.draw(st.sampled_from(self.sales))
        fen = max(1, sale.amount_fen * part // 3)
        fits = sale.refunded_fen + sale.proposed_fen + fen <= sale.amount_fen

        def deed() -> Refund:
            with self.town.reading() as session:
                payment = session.get_one(Payment, sale.id)
            return self.town.refund(payment, fen, f"退货 {next(_serial)}")

        made = self.attempt(fits, deed)
        if made:
            sale.proposed_fen += fen
            self.asked.append((made, sale))

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), way=st.sampled_from(["approve", "approve", "reject"]))
    def decide_refund(self, data: st.DataObject, way: str) -> None:
        one = data.draw(st.sampled_from(self.asked))
        self.asked.remove(one)
        refund, sale = one
        self.attempt(False, lambda: self.town.do("mona", refunds.approve, refund))
        if way == "reject":
            self.town.do("carl", refunds.reject, refund, "不符")
            sale.proposed_fen -= refund.amount_fen
        else:
            self.town.do("carl", refunds.approve, refund)
            self.model.give_back(self.today.isoformat(), sale, refund.amount_fen)
        self.attempt(False, lambda: self.town.do("carl", refunds.approve, refund))

    @rule(rows=st.integers(1, 4))
    def confirm(self, rows: int) -> None:
        """An exchange confirms trades, and hands the same file in once more."""
        number = f"CJ-{next(_serial)}"
        text = self.town.trades_file(self.voucher, rows).replace("\nT-", f"\nT-{number}-")
        signed = self.town.signed(self.agreement, text, number)
        made = self.town.confirm(signed, text)
        for n in range(1, rows + 1):
            self.model.receive(
                self.today.isoformat(), 100 * (105 + n), books.DUE, EXCHANGE, "trade"
            )
        before = self.town.snapshot()
        assert self.town.confirm(signed, text).id == made.id
        assert self.town.snapshot() == before

    # ------------------------------------------------------------ periods and statements

    def next_period(self) -> tuple[str, str]:
        """The days since the last closing."""
        closed = self.model.closings[-1][1] if self.model.closings else None
        first = (
            self.model.first_day
            if closed is None
            else (date.fromisoformat(closed) + DAY).isoformat()
        )
        return first, (self.today - DAY).isoformat()

    @rule(days=st.sampled_from([0, 1, 2]))
    def close(self, days: int) -> None:
        self.days_pass(days)
        first, final = self.next_period()
        made = self.attempt(first <= final, lambda: self.close_days(first, final))
        if made:
            self.model.closings.append((first, final, len(self.model.rows)))
            assert made.through_n == len(self.model.rows)

    def close_days(self, first: str, final: str) -> periods.Period:
        made: periods.Period = self.town.do(
            "mona", periods.close, self.agreement, from_on=date.fromisoformat(first),
            until_on=date.fromisoformat(final),
        )  # fmt: skip
        return made

    @rule(anew=st.booleans(), days=st.sampled_from([0, 1, 1, 2]), ready=likely)
    def draft(self, anew: bool, days: int, ready: bool) -> None:
        """Of the period closed last if nothing stands for it, else of the days since.

        Mostly with something to distribute, and after the statement before was finished.
        """
        if ready:
            self.confirm(2)
            self.finish()
        self.days_pass(days)
        model = self.model
        last = model.standing()[-1] if model.standing() else None
        closing = model.closings[-1] if model.closings else None
        if closing and not anew and (last is None or last.until_on < closing[1]):
            first, final, through_n = closing
        else:
            (first, final), through_n = self.next_period(), len(model.rows)
        fen = model.net(model.covered(final, through_n, last))
        may = first <= final and model.unfinished() is None and fen > 0

        def deed() -> Statement:
            made: Statement = self.town.do(
                "mona", revenue.draft, self.agreement, from_on=date.fromisoformat(first),
                until_on=date.fromisoformat(final), facts={},
            )  # fmt: skip
            return made

        made = self.attempt(may, deed)
        if made is None:
            return
        if not closing or closing[1] != final:
            model.closings.append((first, final, through_n))
        before = last.deficits if last else {}
        lines, deficits = share_out(fen, before)
        late = model.covered(last.until_on, through_n, last) if last else set()
        self.met["late rows distributed"] += bool(late)
        self.met["anew after a reversal"] += any(
            one.state == "reversed" and one.until_on == final for one in model.statements
        )
        told = {line["party"]: line["amount_fen"] for line in made.lines}
        assert told == lines
        assert (made.amount_fen, made.through_n, made.until_on) == (fen, through_n, final)
        model.statements.append(Told(made.id, final, through_n, fen, lines, deficits))
        snapshot = self.town.snapshot()
        assert deed().id == made.id
        assert self.town.snapshot() == snapshot

    def row(self, statement: Told) -> Statement:
        with self.town.reading() as session:
            return session.get_one(Statement, statement.id)

    @precondition(lambda self: self.model.unfinished())
    @rule(way=st.sampled_from(["on", "reject", "all", "all"]))
    def go_on(self, way: str) -> None:
        """The statement under way takes its next step or all of them, or is sent back where it can be."""
        self.step(way)
        if way == "all":
            self.finish()

    def finish(self) -> None:
        while self.model.unfinished():
            self.step("on")

    def step(self, way: str) -> None:
        one = self.model.unfinished()
        assert one is not None
        made = self.row(one)
        if way == "reject" and one.state == "proposed":
            self.town.do("carl", revenue.reject, made, "有误", ORIGIN)
            one.state = "rejected"
        elif one.state == "drafted":
            self.attempt(False, lambda: self.town.approve(made))
            self.town.do("mona", revenue.propose, made, ORIGIN)
            one.state = "proposed"
        elif one.state == "proposed":
            self.attempt(False, lambda: self.town.do("mona", revenue.reject, made, "自己", ORIGIN))
            self.town.approve(made)
            one.state = "approved"
        else:
            self.met["posted" if one.undoes is None else "reversal posted"] += 1
            self.town.settle(made)
            assert [posted.id for posted in self.town.post()] == [one.id]
            one.state = "posted"
            if one.undoes is None:
                self.model.book(one)
            else:
                self.model.book(one.undoes, -1)
                one.undoes.state = "reversed"
            assert self.town.post() == []

    @rule(data=st.data(), goes_on=likely)
    def reverse(self, data: st.DataObject, goes_on: bool) -> None:
        """The last one that stands can be taken back, and no other; mostly it is, to the end."""
        self.finish()
        if not self.model.standing():
            return
        one = data.draw(st.sampled_from(self.model.standing()))
        is_last = one is self.model.standing()[-1]
        made = self.attempt(
            is_last, lambda: self.town.do("mona", reversals.reverse, self.row(one), "口径有误")
        )
        if made is None:
            return
        self.model.statements.append(
            Told(made.id, one.until_on, one.through_n, one.amount_fen, one.lines, {}, undoes=one)
        )
        assert {line["party"]: line["amount_fen"] for line in made.lines} == one.lines
        if goes_on:
            self.finish()

    # ------------------------------------------------------------ the laws

    @invariant()
    def books_are_the_model_s_and_balance(self) -> None:
        model = self.model
        due = without_noughts(model.accounts)
        with self.town.reading() as session:
            stands = session.execute(select(BookAccount)).scalars().all()
            entries = session.scalars(select(Entry)).all()
            sums = session.execute(
                select(EntryLine.book, func.sum(EntryLine.debit_fen), func.sum(EntryLine.credit_fen))
                .group_by(EntryLine.book)
            ).all()  # fmt: skip
            of_lines = books.balances(session, self.agreement.id)
            pending = session.scalars(select(Hold).where(Hold.state == "pending")).all()
        assert {(one.account, one.party): one.posted_fen for one in stands if one.posted_fen} == due
        assert all(debit == credit for _, debit, credit in sums)
        fold: Counter[tuple[str, str]] = Counter()
        for entry in entries:
            assert sum(one["debit_fen"] - one["credit_fen"] for one in entry.lines) == 0
            for one in entry.lines:
                fold[one["account"], one["party_id"] or ""] += one["debit_fen"] - one["credit_fen"]
        moved = {(account, party or ""): fen for (account, party), fen in of_lines.items()}
        assert without_noughts(moved) == without_noughts(fold)
        signed = {
            key: fen if books.ACCOUNTS[key[0]].side == "debit" else -fen
            for key, fen in fold.items()
        }
        assert without_noughts(signed) == due
        aside: Counter[tuple[str, str]] = Counter()
        for hold in pending:
            for one in hold.lines:
                if one["account"] == books.PREPAID:
                    aside[one["account"], one["party_id"]] += one["debit_fen"]
        held = {(one.account, one.party): one.held_fen for one in stands if one.held_fen}
        assert held == without_noughts(model.held) == +aside
        assert all(one.held_fen <= max(0, one.posted_fen) for one in stands)

    @invariant()
    def each_settlement_is_in_one_standing_statement_or_in_none(self) -> None:
        model = self.model
        with self.town.reading() as session:
            wanted = select(Settlement.day, Settlement.kind, Settlement.net_fen).order_by(
                Settlement.n
            )
            assert [tuple(row) for row in session.execute(wanted)] == model.rows
            rows = {one.id: one for one in session.scalars(select(Statement))}
        taken: set[int] = set()
        for one, numbers in model.distributed():
            assert not taken & numbers
            taken |= numbers
            row = rows[one.id]
            assert (
                model.net(numbers)
                == row.amount_fen
                == sum(line["amount_fen"] for line in row.lines)
            )
            assert all(line["amount_fen"] >= 0 for line in row.lines)
            assert row.trade_count == len(numbers)
        assert {one.id: one.state for one in model.statements} == {
            key: row.state for key, row in rows.items()
        }
        posted = sum(one.amount_fen for one in model.standing() if one.state == "posted")
        undistributed = model.net(set(range(1, len(model.rows) + 1))) - posted
        assert model.accounts[books.UNDISTRIBUTED, ""] == undistributed

    @invariant()
    def nobody_drifts_by_a_fen(self) -> None:
        total = sum(one.amount_fen for one in self.model.standing())
        for party, share in SHARES.items():
            got = sum(one.lines[party] for one in self.model.standing())
            assert abs(total * share - got) < 1
        for one in self.model.standing()[-1:]:
            with self.town.reading() as session:
                known = session.get_one(Statement, one.id).deficits_after
            assert {party: Fraction(value) for party, value in known.items()} == one.deficits


def without_noughts(accounts: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return {key: fen for key, fen in accounts.items() if fen}


@contextmanager
def towns(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Open]:
    """Gives copies of one town that has sold a licence."""
    with fresh_database(kind, request, folder, founded=False) as url:
        for town in found_town(url, folder):
            registered = town.registration()
            agreement = town.get(Agreement, registered)
            town.scheme(agreement, scheme_document())
            licence = town.licence(town.voucher(registered), price_fen=LICENCE_FEN)
            now = town.now
        uri = None if kind == "sqlite" else request.getfixturevalue("postgres")

        @contextmanager
        def copy() -> Iterator[tuple[Town, Any, Any]]:
            name = f"finance_{next(_serial)}"
            if uri is None:
                path = folder / f"{name}.db"
                shutil.copy(url.removeprefix("sqlite:///"), path)
                fresh = f"sqlite:///{path}"
            else:
                create_database(uri, name, url.partition("?")[0].rpartition("/")[2])
                fresh = uri.replace("/postgres?", f"/{name}?")
            for town in found_town(fresh, folder / name):
                town.home.path.mkdir(parents=True)
                town.now = now
                yield town, agreement, licence
            if uri is None:
                path.unlink()
            else:
                with psycopg.connect(uri, autocommit=True) as connection:
                    connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

        yield copy


def run(open_: Open, examples: int, steps: int) -> Counter[str]:
    """Walks of so many steps; what was met on them."""
    met: Counter[str] = Counter()
    run_state_machine_as_test(
        type("Machine", (Finance,), {"open": staticmethod(open_), "met": met}),
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck), print_blob=True,
        ),
    )  # fmt: skip
    return met


def test_the_laws_of_finance_hold_whatever_is_done(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with towns("sqlite", request, tmp_path) as open_:
        assert run(open_, examples=2, steps=10)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATABASES)
def test_the_laws_of_finance_hold_over_many_and_long_walks(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with towns(kind, request, tmp_path) as open_:
        met = run(open_, examples=25, steps=40)
    lacking = MET_BY_ALL - set(+met)
    assert not lacking, met
