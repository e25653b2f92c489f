"""Why a statement is another amount than the last one: its takings, what was sold, and each payee's line.

Pure reading; the taking apart itself is `valuation.differences`. Volume is told by quantities where every
trade of both spans says how much of what it sold: a row of an exchange always does (one 产品数量 where
its file left it out, as it was confirmed), a licence where its terms do.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from ledger import prices, salted_rows, statements
from ledger.agreements import Agreement
from ledger.confirmations import Confirmation, Trade
from ledger.errors import Faults
from ledger.finance import Span, account, statement_span
from ledger.registration import Registration
from ledger.schemes import Scheme
from ledger.settlements import Settlement
from ledger.statements import Statement
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher
from valuation import differences
from valuation.differences import AmountChange, Basis, LineChange, Sold, Takings

QUANTITY, TRADE, UNIT = '"quantity":', ',"trade":', '"unit":'  # in a row (`ledger.trade_rules`)


@dataclass(frozen=True)
class Comparison:
    """Two statements of an agreement, the later one second, and why it is another amount."""

    before: Statement
    after: Statement
    before_takings: Takings
    after_takings: Takings
    amount: AmountChange
    lines: tuple[LineChange, ...]
    editions: tuple[int, int]


def compare(session: Session, statement: Statement) -> Comparison | None:
    """Why a statement is another amount than the last one that stood; None where there is none."""
    agreement = session.get_one(Agreement, statement.agreement_id)
    before = statements.previous(session, agreement, statement.from_on)
    if before is None:
        return None
    schemes = [session.get_one(Scheme, one.scheme_id) for one in (before, statement)]
    bases = [
        Basis(scheme.document, one.amount_fen, one.facts, one.deficits_before)
        for scheme, one in zip(schemes, (before, statement), strict=True)
    ]
    spans = [statement_span(session, one) for one in (before, statement)]
    taken = [account(session, one).takings() for one in spans]
    told = [sold(session, one) for one in spans]
    if None not in told:
        taken = [replace(one, sold=of) for one, of in zip(taken, told, strict=True)]
    return Comparison(
        before, statement, taken[0], taken[1], differences.amount_change(*taken),
        differences.line_changes(*bases), (schemes[0].edition, schemes[1].edition),
    )  # fmt: skip


def sold(session: Session, over: Span) -> tuple[Sold, ...] | None:
    """What the span's own trades sold, by registration and unit; None where one says no quantity."""
    licensed = _licensed(session, over)
    return None if licensed is None else _sold(session, over, licensed)


def _licensed(session: Session, over: Span) -> dict[tuple[str, str], tuple[Fraction, int]] | None:
    """What the payments of a span were for: (registration, unit) → quantity and net fen.

    A payment of part of a licence's price is for that part of its quantity. None where the terms of one
    name no quantity.
    """
    wanted = (
        select(
            Registration.code, Licence.terms, Licence.price_fen, func.sum(Settlement.amount_fen),
            func.sum(Settlement.net_fen),
        )
        .select_from(Settlement)
        .join(Payment, Payment.id == Settlement.source_id)
        .join(Licence, Licence.id == Payment.licence_id)
        .join(Voucher, Voucher.id == Licence.voucher_id)
        .join(Registration, Registration.id == Voucher.registration_id)
        .where(over.part("own"), Settlement.kind == "payment")
        .group_by(Licence.id, Registration.id)
    )  # fmt: skip
    made: dict[tuple[str, str], tuple[Fraction, int]] = {}
    for code, terms, price_fen, amount_fen, net_fen in session.execute(wanted):
        faults = Faults()
        unit, quantity = prices.sold(terms, faults)
        if "quantity" not in terms or faults:
            return None
        stood, fen = made.get((code, unit), (Fraction(0), 0))
        made[code, unit] = stood + quantity * int(amount_fen) / price_fen, fen + int(net_fen)
    return made


def _sold(
    session: Session, over: Span, licensed: dict[tuple[str, str], tuple[Fraction, int]]
) -> tuple[Sold, ...]:
    """What payments were for together with what trades at exchanges sold, each of which says how much."""
    wanted = (
        select(Trade.row, Settlement.net_fen)
        .select_from(Settlement)
        .join(Confirmation, Confirmation.id == Settlement.source_id)
        .join(Trade, and_(Trade.batch == Confirmation.no, Trade.n == Settlement.row))
        .where(over.part("own"), Settlement.kind == "trade")
    )
    told: dict[str, tuple[int, int]] = {}
    for row, net_fen in session.execute(wanted).yield_per(10_000):
        # of the canonical text, whose last three members are unit, v and voucher: no parser is as fast
        quantity = int(row[row.index(QUANTITY) + len(QUANTITY) : row.index(TRADE)])
        what = row[row.index(UNIT) :]
        units, fen = told.get(what, (0, 0))
        told[what] = units + quantity, fen + net_fen
    made = dict(licensed)
    for what, (units, fen) in told.items():
        one = salted_rows.parsed("{" + what)
        code = session.scalars(
            select(Registration.code)
            .join(Voucher, Voucher.registration_id == Registration.id)
            .where(Voucher.number == one["voucher"])
        ).one()
        key = code, one["unit"]
        stood, known = made.get(key, (Fraction(0), 0))
        made[key] = stood + units, known + fen
    return tuple(Sold(*key, *of) for key, of in sorted(made.items()))
