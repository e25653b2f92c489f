"""Ready-made orders, remittances, refunds and confirmed trades, each under an agreement of its own."""

import itertools
from typing import Any

from ledger import holds, orders, refunds
from ledger.confirmations import Confirmation
from ledger.orders import Order
from ledger.refunds import Refund
from ledger.remittances import Remittance
from ledger.states import move
from ledger.vouchers import Voucher
from tests.conftest import Town

serial = itertools.count(1)


def order(town: Town, login: str = "olga") -> Order:
    """An order that the bank pays out of what it paid in advance."""
    agreement, licence = town.sold()
    town.remittance(agreement, 10_600, f"R-{next(serial)}")
    facts = town.order_facts(town.get(Voucher, licence), paid_by="prepayment")
    made: Order = town.do(login, orders.place, **facts)
    return made


def expire(town: Town, row: Any) -> None:
    """Its last day goes by; Conflict where it is placed no more, as `move` says."""
    town.later(days=11)
    with town.deed() as session:
        holds.expire(session, town.now)
        orders.expire(session, town.now)
        fresh = session.get_one(Order, row.id)
        if fresh.version == row.version:
            move("order", "expire", fresh.state)


def refund(town: Town, maker: str = "mona") -> Refund:
    """A refund of half a payment."""
    _, licence = town.sold()
    payment = town.payment(licence, 10_600, f"P-{next(serial)}")
    with town.deed() as session:
        source = refunds.of_payment(session, town.fresh(session, payment))
        return refunds.propose(
            session, town.actors[maker], town.now, source, amount_fen=5_300, ground="退货"
        )


def confirmation(town: Town, rows: int = 3) -> Confirmation:
    """Trades that the exchange confirms."""
    agreement, licence = town.sold()
    n = next(serial)
    text = town.trades_file(town.get(Voucher, licence), rows).replace("\nT-", f"\nT{n}-")
    return town.confirm(town.signed(agreement, text, f"CJ-{n}"), text)


def remittance(town: Town) -> Remittance:
    """Money that the bank pays in advance."""
    agreement, _ = town.sold()
    return town.remittance(agreement, 10_600, f"R-{next(serial)}")
