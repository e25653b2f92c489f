"""Deeds of trade made up at random for the finance machine: receipts, orders, refunds, confirmed trades.

Before each deed the plain model says what forbids it; then it is refused and changes nothing. What a deed
needs is mostly made first where it is lacking, since a walk chooses among few of the rules.
"""

import itertools
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from sqlalchemy import select

from ledger import books, holds, orders, refunds, trading
from ledger.calendar import local_date
from ledger.confirmations import Confirmation
from ledger.errors import LedgerError
from ledger.orders import Order
from ledger.refunds import Refund
from ledger.remittances import Remittance
from ledger.trading import Payment
from ledger.vouchers import Voucher
from tests.conftest import ORIGIN
from tests.ledger.finance_model import BUYER, EXCHANGE, LICENCE_FEN, PARTNER, Bars, Model, Receipt

DAY = timedelta(days=1)
LOOKED_AT = 1  # times on a walk
serial = itertools.count(1)
amounts = st.integers(1, 99_999)
likely = st.sampled_from([True, True, True, False])
Open = Callable[[], Any]


def chance(times: int = 1, **given: Any) -> Callable[[Any], Any]:
    """Marks a deed that a walk chooses, so many times as often as another; `given` are its arguments.

    Rules of the state machine would do, but it leaves a part of them out on every walk, and of so many
    deeds each needs others.
    """

    def mark(deed: Any) -> Any:
        deed.chance = times, given
        return deed

    return mark


class Trade(RuleBasedStateMachine):
    """One agreement's trade; `open` gives a town that has sold one licence."""

    open: Open
    met: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.opened = self.open()
        self.town, self.agreement, self.licence = self.opened.__enter__()
        self.voucher = self.town.get(Voucher, self.licence)
        self.model = Model(self.agreement.from_on)
        self.receipts: list[Receipt] = []
        self.trades: list[Receipt] = []  # confirmed, with the confirmation's id
        self.orders: list[tuple[Order, int, str]] = []  # placed: with price and last day
        self.refunds: list[tuple[Refund, Receipt]] = []
        self.freed: list[str] = []  # the bank's references of receipts undone
        self.tried: Counter[str] = Counter()

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)

    @rule(data=st.data())
    def deed(self, data: st.DataObject) -> None:
        found = {name: getattr(type(self), name) for name in dir(type(self))}
        names = [
            name for name, one in found.items() for _ in range(getattr(one, "chance", (0,))[0])
        ]
        name = data.draw(st.sampled_from(names))
        given = found[name].chance[1].items()
        getattr(self, name)(**{key: data if key == "data" else data.draw(of) for key, of in given})

    @property
    def today(self) -> date:
        return local_date(self.town.now)

    def attempt(self, bars: Bars, deed: Callable[[], Any]) -> Any:
        """What a deed answers that nothing forbids; any other is refused and changes nothing."""
        name = sys._getframe(1).f_code.co_name
        forbid = [f"{name}: {bar}" for bar, does in bars.items() if does]
        self.met.update(forbid or [name])
        if not forbid:
            return deed()
        self.refused(" ".join(forbid), deed)
        return None

    def never(self, bar: str, deed: Callable[[], Any]) -> None:
        """What is refused whenever it is tried: it is tried once on a walk."""
        name = f"{sys._getframe(1).f_code.co_name}: {bar}"
        if not self.tried[name]:
            self.met[name] += 1
            self.refused(name, deed)

    def refused(self, name: str, deed: Callable[[], Any]) -> None:
        """That nothing changed is looked at for the first of its kind on a walk."""
        self.tried[name] += 1
        before = self.town.snapshot() if self.tried[name] <= LOOKED_AT else None
        with pytest.raises(LedgerError):
            deed()
        assert before is None or self.town.snapshot() == before

    def same(self, deed: Callable[[], Any]) -> Any:
        """A deed done once more: its answer; it changes nothing, which is looked at once on a walk."""
        name = f"{sys._getframe(1).f_code.co_name} again"
        self.tried[name] += 1
        if self.tried[name] > 1:
            return deed()
        before = self.town.snapshot()
        answer = deed()
        assert self.town.snapshot() == before
        return answer

    @chance(days=st.integers(1, 3))
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
        self.run_out()

    def run_out(self) -> None:
        """What else has run out."""

    # ------------------------------------------------------------ receipts

    @chance(
        fen=amounts,
        back=st.integers(0, 5),
        way=st.sampled_from(["", "", "", "more", "again", "other"]),
    )
    def pay(self, fen: int, back: int, way: str) -> None:
        """For the licence, in parts; where a receipt was undone, perhaps under its reference."""
        if way == "more":
            fen = LICENCE_FEN - self.model.paid_fen + fen
        reference = self.freed.pop() if self.freed else f"P-{next(serial)}"
        facts = {
            "licence": self.licence, "amount_fen": fen, "reference": reference,
            "received_on": (self.today - back * DAY).isoformat(),
        }  # fmt: skip

        def deed(**changes: Any) -> Any:
            return self.town.do("mona", trading.record_payment, **{**facts, **changes})

        bars = {"more than it costs": self.model.paid_fen + fen > LICENCE_FEN}
        made = self.attempt(bars, deed)
        if made is None:
            return
        self.model.paid_fen += fen
        self.model.receive(facts["received_on"], fen, books.BANK)
        self.receipts.append(Receipt(made.id, reference, fen))
        if way == "again":
            assert self.same(deed).id == made.id
        if way == "other":
            self.never("otherwise", lambda: deed(amount_fen=fen + 1))

    @chance(fen=st.integers(1, 999_999), clears=st.sampled_from([False, False, True]))
    def remit(self, fen: int, clears: bool) -> None:
        """A buyer pays in advance, or the exchange what is due for its trades."""
        model, reference = self.model, f"R-{next(serial)}"
        due = model.accounts[books.DUE, EXCHANGE]
        if clears and fen % 4 and due > 0:
            fen = fen % due + 1
        facts = {"party": self.town.party("exchange"), "purpose": "clearing"} if clears else {}
        made = self.attempt(
            {"more than is due": clears and fen > due},
            lambda: self.town.remittance(self.agreement, fen, reference, **facts),
        )
        if made is None:
            return
        model.accounts[books.BANK, ""] += fen
        if clears:
            model.accounts[books.DUE, EXCHANGE] -= fen
        else:
            model.accounts[books.PREPAID, BUYER] += fen
        self.receipts.append(
            Receipt(made.id, reference, fen, books.DUE if clears else books.PREPAID)
        )

    # ------------------------------------------------------------ orders

    @chance(fen=amounts, days=st.integers(0, 2))
    def order(self, fen: int, days: int) -> None:
        last = self.today + days * DAY
        bars = {"more than is free": fen > self.model.free(books.PREPAID, BUYER)}
        made = self.attempt(bars, lambda: self.town.order(
            self.voucher, paid_by="prepayment", price_fen=fen, offer_until=last
        ))  # fmt: skip
        if made:
            self.model.held[books.PREPAID, BUYER] += fen
            self.orders.append((made, fen, last.isoformat()))

    @chance(data=st.data(), way=st.sampled_from(["fulfil", "fulfil", "cancel"]))
    def decide_order(self, data: st.DataObject, way: str) -> None:
        if not self.orders:
            self.remit(50_000, False)
            self.order(30_000, 1)
        one = data.draw(st.sampled_from(self.orders))
        order, fen, _ = one
        if way == "cancel":
            self.town.do("olga", orders.cancel, order, "买方撤回")
        else:
            self.never(
                "by who placed it",
                lambda: self.town.do("olga", orders.fulfil, order, ORIGIN),
            )
            self.town.do("opal", orders.fulfil, order, ORIGIN)
            self.model.receive(self.today.isoformat(), fen, books.PREPAID, BUYER)
            with self.town.reading() as session:
                paid = session.scalars(
                    select(Payment.id).where(Payment.reference == order.reference)
                ).one()
            self.receipts.append(Receipt(paid, order.reference, fen, by_itself=False))
        self.orders.remove(one)
        self.model.held[books.PREPAID, BUYER] -= fen
        self.never("decided", lambda: self.town.do("olga", orders.cancel, order, "再撤回"))

    # ------------------------------------------------------------ refunds, and receipts undone

    def received(self, data: st.DataObject) -> Receipt:
        if not self.receipts:
            self.remit(50_000, False)
        return data.draw(st.sampled_from(self.receipts))

    def ask(self, receipt: Receipt, fen: int, undoes: bool) -> Refund:
        with self.town.deed() as session:
            if receipt.row:
                made = session.get_one(Confirmation, receipt.id)
                source = refunds.of_trade(session, made, receipt.row)
            elif receipt.account:
                source = refunds.of_remittance(session, session.get_one(Remittance, receipt.id))
            else:
                source = refunds.of_payment(session, session.get_one(Payment, receipt.id))
            return refunds.propose(
                session, self.town.actors["mona"], self.town.now, source, amount_fen=fen,
                ground=f"退货 {next(serial)}", undoes=undoes,
            )  # fmt: skip

    @chance(data=st.data(), part=st.integers(1, 4))
    def ask_refund(self, data: st.DataObject, part: int) -> None:
        """A part of what was received, or (four thirds) too much."""
        one = self.received(data)
        self.propose(one, max(1, one.amount_fen * part // 3), False)

    @chance(data=st.data(), part=st.integers(1, 4), undoes=st.sampled_from([False, False, False, True]),
            goes_on=likely)  # fmt: skip
    def ask_refund_of_trade(
        self, data: st.DataObject, part: int, undoes: bool, goes_on: bool
    ) -> None:
        """Of a trade that an exchange confirmed, in parts; or as if it had been a receipt."""
        if not self.trades:
            self.confirm(2, data.draw(st.booleans()))
        one = data.draw(st.sampled_from(self.trades))
        made = self.propose(one, max(1, one.amount_fen * part // 3), undoes)
        if made and goes_on:
            self.approve_refund(*self.refunds[-1])

    @chance(data=st.data())
    def ask_undoing(self, data: st.DataObject) -> None:
        """The receipt never was at the bank; mostly it is undone at once."""
        whole = [one for one in self.receipts if one.left_fen == one.amount_fen]
        one = (
            data.draw(st.sampled_from(whole))
            if whole and data.draw(likely)
            else self.received(data)
        )
        if self.propose(one, one.amount_fen, True) and data.draw(likely):
            self.approve_refund(*self.refunds[-1])

    def propose(self, one: Receipt, fen: int, undoes: bool) -> bool:
        bars = {
            "more than is left": fen > one.left_fen,
            "cleared": one.account == books.DUE and not undoes,
            "not booked by itself": undoes and not one.by_itself,
            "used": one.account == books.PREPAID and fen > self.model.free(books.PREPAID, BUYER),
        }
        made = self.attempt(bars, lambda: self.ask(one, fen, undoes))
        if one.row:
            stranger = Receipt(one.id, "", 1, row=one.row + 9)
            self.never("no such trade", lambda: self.ask(stranger, 1, False))
        if made:
            self.met["of a trade"] += one.row > 0
            self.met["undoing proposed"] += undoes
            one.proposed_fen += fen
            self.refunds.append((made, one))
        return made is not None

    @chance(data=st.data(), way=st.sampled_from(["approve", "approve", "reject"]))
    def decide_refund(self, data: st.DataObject, way: str) -> None:
        if not self.refunds:
            self.ask_refund(data, 1)
        if not self.refunds:
            return
        refund, receipt = data.draw(st.sampled_from(self.refunds))
        if way == "reject":
            self.town.do("carl", refunds.reject, refund, "不符")
            receipt.proposed_fen -= refund.amount_fen
            self.refunds.remove((refund, receipt))
        else:
            self.approve_refund(refund, receipt)

    def approve_refund(self, refund: Refund, receipt: Receipt) -> None:
        model, fen = self.model, refund.amount_fen

        def deed(login: str = "carl") -> None:
            self.town.do(login, refunds.approve, refund)

        self.never("by who proposed it", lambda: deed("mona"))
        bars = {
            "used": receipt.account == books.PREPAID and fen > model.free(books.PREPAID, BUYER),
            "not in the bank": refund.undoes and fen > model.free(books.BANK),
        }
        self.attempt(bars, deed)
        if any(bars.values()):
            return
        self.refunds.remove((refund, receipt))
        today = self.today.isoformat()
        if refund.undoes:
            self.met["receipt undone"] += 1
            model.undo(today, receipt)
            model.paid_fen -= 0 if receipt.account else fen
            self.freed.append(receipt.reference)
        else:
            model.give_back(today, receipt, fen)
        self.never("decided", deed)

    # ------------------------------------------------------------ trades of an exchange

    @chance(rows=st.integers(1, 4), partner=st.booleans())
    def confirm(self, rows: int, partner: bool = False) -> None:
        """An exchange confirms trades, and hands the same file in once more."""
        number, buyer = f"CJ-{next(serial)}", PARTNER if partner else BUYER
        text = self.town.trades_file(self.voucher, rows, buyer=buyer)
        text = text.replace("\nT-", f"\nT-{number}-")
        signed = self.town.signed(self.agreement, text, number)
        made = self.town.confirm(signed, text)
        for n in range(1, rows + 1):
            fen = 100 * (105 + n)
            self.model.receive(self.today.isoformat(), fen, books.DUE, EXCHANGE, "trade")
            self.trades.append(
                Receipt(made.id, f"{number} {n}", fen, by_itself=False, row=n, buyer=buyer)
            )
        assert self.same(lambda: self.town.confirm(signed, text)).id == made.id
