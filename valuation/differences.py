"""Why a payee gets another amount than last time: a difference, taken apart into causes that sum to it.

The amount::

    new − old = by volume + by price + by refunds + by late entries

Where every trade says how much of what was sold, by volume is the sum over products and units of
(quantity now − quantity then) · value of a unit then, half up, and the whole of what was not sold then;
else it is (trades now − trades then) · value of a trade then, half up. By price is the rest of what the
trades of the period itself brought more. Every payee's line::

    new − old = by amount + by facts + by edition + by rounding

found by sharing out again with one thing changed at a time, in that order: last time's statement, the new
amount under last time's scheme, then the new facts, then the new edition of the scheme, then the rounding
that was carried. Another order splits the same difference otherwise; the sum is exact in any.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from valuation import InputError, schemes
from valuation.money import round_half_up
from valuation.sharing import Distribution, share

CAUSES = ("amount", "facts", "edition", "rounding")


@dataclass(frozen=True)
class Basis:
    """What a statement was shared out from: scheme, amount in fen, facts, deficits carried to it."""

    scheme: Mapping[str, Any]
    amount_fen: int
    facts: Mapping[str, Any]
    deficits: Mapping[str, Fraction | int | str]

    def shared(self) -> Distribution:
        return share(self.scheme, self.amount_fen, self.facts, self.deficits)


@dataclass(frozen=True)
class Sold:
    """How many units of a product the trades of a period sold, and what they brought, in fen."""

    product: str
    unit: str
    quantity: Fraction
    fen: int


@dataclass(frozen=True)
class Takings:
    """What came in, net of VAT: the period's own trades by count and fen, refunds (≤ 0), late entries.

    `sold` is what the trades sold, each product and unit once; None where one of them does not say.
    """

    trade_count: int
    trades_fen: int
    refunds_fen: int
    late_fen: int
    sold: tuple[Sold, ...] | None = None

    @property
    def amount_fen(self) -> int:
        return self.trades_fen + self.refunds_fen + self.late_fen


@dataclass(frozen=True)
class AmountChange:
    """Why the amount differs; all in fen, and the four causes sum to the difference.

    `by` is what volume was told by: ``quantity`` or ``number`` of trades.
    """

    by: str
    before_fen: int
    after_fen: int
    volume_fen: int
    price_fen: int
    refunds_fen: int
    late_fen: int

    @property
    def change_fen(self) -> int:
        return self.after_fen - self.before_fen


@dataclass(frozen=True)
class LineChange:
    """Why a payee's line differs, in fen: `by` holds each of `CAUSES`, and they sum to the difference."""

    party: str
    kind: str
    zh: str
    en: str
    before_fen: int
    after_fen: int
    by: dict[str, int]

    @property
    def change_fen(self) -> int:
        return self.after_fen - self.before_fen


def amount_change(before: Takings, after: Takings) -> AmountChange:
    """Return why the amount differs. Where nothing was traded before, all of it is by volume.

    >>> change = amount_change(Takings(2, 200, 0, 0), Takings(3, 330, -5, 7))
    >>> (change.by, change.volume_fen, change.price_fen, change.refunds_fen, change.late_fen)
    ('number', 100, 30, -5, 7)
    >>> then, now = (Sold("A", "call", Fraction(n), fen) for n, fen in ((1000, 200), (1100, 330)))
    >>> change = amount_change(Takings(2, 200, 0, 0, (then,)), Takings(3, 330, 0, 0, (now,)))
    >>> (change.by, change.volume_fen, change.price_fen)
    ('quantity', 20, 110)
    """
    traded = after.trades_fen - before.trades_fen
    by, volume = "number", traded
    if before.sold is not None and after.sold is not None:
        by, volume = "quantity", _by_quantity(before.sold, after.sold)
    elif before.trade_count and after.trade_count:
        each = Fraction(before.trades_fen, before.trade_count)
        volume = round_half_up((after.trade_count - before.trade_count) * each)
    return AmountChange(
        by, before.amount_fen, after.amount_fen, volume, traded - volume,
        after.refunds_fen - before.refunds_fen, after.late_fen - before.late_fen,
    )  # fmt: skip


def _by_quantity(before: tuple[Sold, ...], after: tuple[Sold, ...]) -> int:
    now = {(one.product, one.unit): one for one in after}
    then = {(one.product, one.unit): one for one in before}
    volume = Fraction(sum(one.fen for key, one in now.items() if key not in then))
    for key, one in then.items():
        more = (now[key].quantity if key in now else 0) - one.quantity
        volume += more * one.fen / one.quantity
    return round_half_up(volume)


def line_changes(before: Basis, after: Basis) -> tuple[LineChange, ...]:
    """Return why each payee's line differs, lines that are gone included; lines of one heading are one.

    A fact that only one of the schemes names changes with the edition, and so does one of which last
    time's scheme makes nothing (contributions of other parties).

    >>> pool = {"kind": "pool", "label": {"zh": "收益池", "en": "pool"}, "shares": [
    ...     {"party": "operator", "share": "1/2"}, {"party": "treasury", "share": "1/2"}]}
    >>> cost = {"kind": "recover", "party": "operator", "label": {"zh": "成本", "en": "cost"},
    ...         "fact": "cost_fen"}
    >>> scheme = {"v": 1, "name": {"zh": "方案", "en": "scheme"}, "steps": [cost, pool]}
    >>> was = Basis(scheme, 100, {"cost_fen": 20}, {})
    >>> now = Basis(scheme, 140, {"cost_fen": 30}, {})
    >>> for one in line_changes(was, now):
    ...     print(one.party, one.en, one.before_fen, one.after_fen, one.by)
    operator cost 20 30 {'amount': 0, 'facts': 10, 'edition': 0, 'rounding': 0}
    operator pool 40 55 {'amount': 20, 'facts': -5, 'edition': 0, 'rounding': 0}
    treasury pool 40 55 {'amount': 20, 'facts': -5, 'edition': 0, 'rounding': 0}
    """
    kept = {
        name: after.facts.get(name, before.facts[name])
        for name in schemes.facts(schemes.check(dict(before.scheme)))
    }
    stages = [
        before,
        Basis(before.scheme, after.amount_fen, before.facts, before.deficits),
        Basis(before.scheme, after.amount_fen, kept, before.deficits),
        Basis(after.scheme, after.amount_fen, after.facts, before.deficits),
        after,
    ]
    try:
        shared = [_by_heading(stage.shared()) for stage in stages]
    except InputError:
        stages[2] = stages[1]
        shared = [_by_heading(stage.shared()) for stage in stages]
    headings = dict.fromkeys(key for stage in (shared[-1], *shared) for key in stage)
    made = []
    for key in headings:
        amounts = [stage.get(key, 0) for stage in shared]
        by = {
            cause: amounts[n + 1] - amounts[n] for n, cause in enumerate(CAUSES)
        }  # each step's change: they sum to the last minus the first
        if any(amounts):
            made.append(LineChange(*key, amounts[0], amounts[-1], by))
    return tuple(made)


def _by_heading(outcome: Distribution) -> dict[tuple[str, str, str, str], int]:
    """What each payee gets under each heading, in fen."""
    paid: dict[tuple[str, str, str, str], int] = {}
    for line in outcome.lines:
        key = (line.party, line.kind, line.zh, line.en)
        paid[key] = paid.get(key, 0) + line.amount_fen
    return paid
