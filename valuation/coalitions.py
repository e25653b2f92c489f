"""What a coalition is worth, by a formula over its members' usage, cost and quality, for all at once.

The formula is text of the language of `formulas`, in fen. Its symbols are what a coalition has in all:

==================================  ================================================================
``count``                           how many members it has
``sum_usage sum_cost sum_quality``  the sum over its members; ``sum_usage_quality`` sums usage · quality
``min_usage`` … ``max_quality``     the least and the greatest of its members'
==================================  ================================================================

Costs are in fen, usage in any one unit, quality from 0 to 1. Nobody at all is worth 0, whatever the formula
says. Everything is computed in integers over exact denominators, for all 2^n coalitions in one
array operation each: int64 where bounds known beforehand allow it, else integers of any length. A quotient
whose divisor differs among coalitions has to be rounded by the formula itself (``round_half_up(a / b)``,
also to decimals, or ``floor``), since values with a million different denominators have no common one.
``root`` and ``power`` are refused, as are exponents that are no integers from 0 to 20: they are not exact.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial, reduce
from math import floor, lcm, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valuation import InputError
from valuation.formulas import Node, Number, Symbol, parse, symbols
from valuation.money import round_half_up

ATTRIBUTES = ("usage", "cost", "quality")
"""What a player of a formula game can be known by."""

MAX_EXPONENT = 20
MAX_BITS = 2_000
MAX_LONG = 2**24
"""Long integers that one formula may take: coalitions times operations beyond 63 bits."""

_SMALL = 2**62
_FOLDS = {"sum": np.add, "min": np.minimum, "max": np.maximum}
SYMBOLS = (
    "count",
    "sum_usage_quality",
    *(f"{fold}_{name}" for fold in _FOLDS for name in ATTRIBUTES),
)
"""What a formula over coalitions can refer to."""


@dataclass(frozen=True)
class Whole:
    """Integers, one for each coalition or (`at` an int) the same for all, and bounds that hold for all."""

    at: NDArray[Any] | int
    least: int
    most: int

    @classmethod
    def one(cls, value: int) -> "Whole":
        """The same integer for every coalition."""
        return cls(value, value, value)


@dataclass(frozen=True)
class Term:
    """Exact numbers top / bottom, one for each coalition; the bottom is above 0."""

    top: Whole
    bottom: Whole


def terms_of_all(
    players: Sequence[Mapping[str, Fraction]], names: Sequence[str]
) -> dict[str, Term]:
    """Return for each symbol of `names` its value for every coalition but that of nobody, in order.

    >>> found = terms_of_all([{"usage": Fraction(1, 2)}, {"usage": Fraction(2)}], ["sum_usage"])
    >>> found["sum_usage"].top.at.tolist(), found["sum_usage"].bottom.at
    ([1, 4, 5], 2)
    """
    made = {}
    for name in names:
        fold, scaled, bottom = _column(players, name)
        built = scaled[:1]
        for one in scaled[1:, None]:
            built = np.concatenate((built, one, fold(built, one)))
        made[name] = _term(name, scaled, built, bottom)
    return made


def terms_of_prefixes(
    players: Sequence[Mapping[str, Fraction]], names: Sequence[str], orders: NDArray[np.int64]
) -> dict[str, Term]:
    """Return for each symbol its value for the first 1, 2, … n players of each order (a row of `orders`).

    >>> players = [{"usage": Fraction(1)}, {"usage": Fraction(2)}]
    >>> terms_of_prefixes(players, ["sum_usage"], np.array([[1, 0]]))["sum_usage"].top.at.tolist()
    [[2, 3]]
    """
    made = {}
    for name in names:
        fold, scaled, bottom = _column(players, name)
        made[name] = _term(name, scaled, fold.accumulate(scaled[orders], axis=1), bottom)
    return made


def worth(
    formula: str,
    terms: Mapping[str, Term],
    name: Callable[[int], str] | None = None,
    long: int = MAX_LONG,
) -> Term:
    """Return what each coalition is worth by the formula; its `bottom` is one integer for all.

    Parameters
    ----------
    formula : in fen, over the symbols that `terms` has
    terms : as `terms_of_all` or `terms_of_prefixes` gives them
    name : what the coalition at a place is called, where `terms` hold all coalitions; without it a divisor
        is refused that the bounds do not keep from 0, since the coalitions are but a sample
    long : how many integers beyond 63 bits may be computed

    Raises
    ------
    InputError : "formula" divides by zero, leaves a quotient unrounded, is not exact, or too long

    Examples
    --------
    >>> terms = terms_of_all([{"usage": Fraction(1)}, {"usage": Fraction(2)}], ["sum_usage", "count"])
    >>> worth("round_half_up(100 * sum_usage / count)", terms, str).top.at.tolist()
    [100, 200, 150]
    """
    value = _Evaluation(terms, name, long).of(parse(formula))
    if not isinstance(value.bottom.at, int):
        raise InputError(
            "formula",
            "leaves a quotient whose divisor differs among coalitions: round it, as in"
            " round_half_up(a / b) or round_half_up(a / b, 4)",
        )
    return value


def check_formula(formula: str) -> list[str]:
    """Return the symbols of a formula over coalitions, each once; raise InputError for any other text.

    >>> check_formula("sum_usage * 5 - sum_cost")
    ['sum_usage', 'sum_cost']
    """
    names = list(dict.fromkeys(symbols(parse(formula))))
    for name in names:
        if name not in SYMBOLS:
            raise InputError("formula", f"refers to {name!r}; known are {', '.join(SYMBOLS)}"[:400])
    if not names:
        raise InputError("formula", "refers to nothing that differs among coalitions")
    return names


def attributes_of(names: Sequence[str]) -> list[str]:
    """Return which attributes of a player the symbols `names` need.

    >>> attributes_of(["count", "sum_usage_quality"])
    ['usage', 'quality']
    """
    return [name for name in ATTRIBUTES if any(name in symbol.split("_") for symbol in names)]


def _column(
    players: Sequence[Mapping[str, Fraction]], name: str
) -> tuple[np.ufunc, NDArray[Any], int]:
    """How a symbol folds its members' numbers, those numbers as integers, and their denominator."""
    if name == "count":
        return np.add, np.ones(len(players), np.int64), 1
    fold, *factors = name.split("_")
    exact = [prod(player[factor] for factor in factors) for player in players]
    bottom = lcm(*(value.denominator for value in exact))
    whole = [value.numerator * (bottom // value.denominator) for value in exact]
    small = sum(map(abs, whole)) < _SMALL
    return _FOLDS[fold], np.array(whole, np.int64 if small else np.object_), bottom


def _term(name: str, scaled: NDArray[Any], folded: NDArray[Any], bottom: int) -> Term:
    """A symbol's values; no attribute is below 0, so a sum is at most that of all."""
    sums = name.startswith(("sum", "count"))
    most = sum(map(int, scaled)) if sums else int(scaled.max())
    return Term(Whole(folded, int(scaled.min()), most), Whole.one(bottom))


class _Evaluation:
    """A formula's way through arrays: for each operation the bounds first, then arrays wide enough."""

    def __init__(
        self, terms: Mapping[str, Term], name: Callable[[int], str] | None, long: int
    ) -> None:
        self.terms, self.name, self.left = terms, name, long

    def of(self, node: Node) -> Term:
        if isinstance(node, Number):
            return Term(Whole.one(node.value.numerator), Whole.one(node.value.denominator))
        if isinstance(node, Symbol):
            return self.terms[node.name]
        if node.name not in _OPERATIONS:
            raise InputError("formula", f"calls {node.name}, which is not exact, only rounded")
        return _OPERATIONS[node.name](self, *map(self.of, node.args))

    def sum(self, *args: Term) -> Term:
        return reduce(self.plus, args)

    def plus(self, a: Term, b: Term) -> Term:
        x, y, bottom = self.common(a, b)
        return Term(self.whole(np.add, x, y, (x.least + y.least, x.most + y.most)), bottom)

    def minus(self, a: Term, b: Term) -> Term:
        return self.plus(a, self.negative(b))

    def multiplied(self, *args: Term) -> Term:
        return reduce(self.times, args)

    def times(self, a: Term, b: Term) -> Term:
        return Term(self.product(a.top, b.top), self.product(a.bottom, b.bottom))

    def over(self, a: Term, b: Term) -> Term:
        return self.times(a, self.reciprocal(b))

    def negative(self, a: Term) -> Term:
        return Term(self.product(a.top, Whole.one(-1)), a.bottom)

    def reciprocal(self, a: Term) -> Term:
        """bottom / top, with the sign of the top; a top of 0 is refused."""
        top = a.top
        if top.least > 0:
            return Term(a.bottom, top)
        if top.most < 0:
            return self.negative(Term(a.bottom, self.product(top, Whole.one(-1))))
        if self.name is None or isinstance(top.at, int):
            raise InputError("formula", "may divide by zero: keep the divisor above 0 by max")
        zero = np.flatnonzero(top.at == 0)
        if zero.size:
            raise InputError("formula", f"divides by zero for {self.name(int(zero[0]))}"[:300])
        sign = Whole(np.where(top.at > 0, 1, -1), -1, 1)
        size = Whole(np.abs(top.at), 1, max(-top.least, top.most))
        return Term(self.product(a.bottom, sign), size)

    def power(self, base: Term, exponent: Term) -> Term:
        top, bottom = exponent.top.at, exponent.bottom.at
        if not isinstance(top, int) or bottom != 1 or not 0 <= top <= MAX_EXPONENT:
            raise InputError(
                "formula", f"has an exponent that is no integer from 0 to {MAX_EXPONENT}"
            )
        return reduce(self.times, [base] * top, Term(Whole.one(1), Whole.one(1)))

    def least(self, *args: Term) -> Term:
        return reduce(partial(self.extreme, np.minimum, min), args)

    def most(self, *args: Term) -> Term:
        return reduce(partial(self.extreme, np.maximum, max), args)

    def extreme(self, choose: np.ufunc, bound: Callable[[int, int], int], a: Term, b: Term) -> Term:
        x, y, bottom = self.common(a, b)
        ends = bound(x.least, y.least), bound(x.most, y.most)
        return Term(self.whole(choose, x, y, ends), bottom)

    def floor(self, a: Term) -> Term:
        least, most = _ends(a)
        top = self.whole(np.floor_divide, a.top, a.bottom, (floor(least), floor(most)))
        return Term(top, Whole.one(1))

    def rounded(self, a: Term, decimals: Term | None = None) -> Term:
        """sign · ⌊(2 · |top| · 10^d + bottom) / (2 · bottom)⌋ / 10^d."""
        d = Fraction(0)
        if decimals is not None:
            if not isinstance(decimals.top.at, int) or not isinstance(decimals.bottom.at, int):
                raise InputError("formula", "rounds to a number of decimals that is no integer")
            d = Fraction(decimals.top.at, decimals.bottom.at)
        if d.denominator != 1 or not 0 <= d <= 12:
            raise InputError("formula", "rounds to a number of decimals that is not 0 to 12")
        scale = 10 ** int(d)
        twice = self.product(a.top, Whole.one(2 * scale))
        below = self.product(a.bottom, Whole.one(2))
        size = max(-twice.least, twice.most)
        if isinstance(twice.at, int):
            up, sign = Whole.one(abs(twice.at)), Whole.one(1 if twice.at >= 0 else -1)
        else:
            up, sign = (
                Whole(np.abs(twice.at), 0, size),
                Whole(np.where(twice.at >= 0, 1, -1), -1, 1),
            )
        sum_ = self.whole(np.add, up, a.bottom, (a.bottom.least, size + a.bottom.most))
        least, most = (round_half_up(end * scale) for end in _ends(a))
        quotient = self.whole(np.floor_divide, sum_, below, (0, max(-least, most)))
        if isinstance(quotient.at, int) or isinstance(sign.at, int):
            top = self.product(quotient, sign)
        else:
            top = self.whole(np.multiply, quotient, sign, (least, most))
        return Term(top, Whole.one(scale))

    def common(self, a: Term, b: Term) -> tuple[Whole, Whole, Whole]:
        """Both tops over one bottom."""
        if isinstance(a.bottom.at, int) and isinstance(b.bottom.at, int):
            bottom = lcm(a.bottom.at, b.bottom.at)
            x = self.product(a.top, Whole.one(bottom // a.bottom.at))
            y = self.product(b.top, Whole.one(bottom // b.bottom.at))
            return x, y, Whole.one(bottom)
        return (
            self.product(a.top, b.bottom),
            self.product(b.top, a.bottom),
            self.product(a.bottom, b.bottom),
        )

    def product(self, x: Whole, y: Whole) -> Whole:
        for one, other in ((x, y), (y, x)):
            if isinstance(one.at, int) and one.at == 1:
                return other
        ends = [p * q for p in (x.least, x.most) for q in (y.least, y.most)]
        return self.whole(np.multiply, x, y, (min(ends), max(ends)))

    def whole(self, function: np.ufunc, x: Whole, y: Whole, ends: tuple[int, int]) -> Whole:
        """The integers that `function` gives, which lie within `ends`."""
        size = max(map(abs, (x.least, x.most, y.least, y.most, *ends)))
        if size.bit_length() > MAX_BITS:
            raise InputError("formula", f"gives a number of more than {MAX_BITS} bits")
        if isinstance(x.at, int) and isinstance(y.at, int):
            at: Any = int(function(np.array(x.at, np.object_), np.array(y.at, np.object_)))
            return Whole.one(at)
        one, other = x.at, y.at
        if size >= _SMALL:
            one, other = np.asarray(one, np.object_), np.asarray(other, np.object_)
            self.left -= max(one.size, other.size)
            if self.left < 0:
                raise InputError(
                    "formula",
                    "takes numbers beyond 63 bits for too many coalitions: shorten what it multiplies",
                )
        return Whole(function(one, other), *ends)


def _ends(a: Term) -> tuple[Fraction, Fraction]:
    """Bounds of top / bottom."""
    low, high = a.bottom.least, a.bottom.most
    least = Fraction(a.top.least, low if a.top.least < 0 else high)
    return least, Fraction(a.top.most, high if a.top.most < 0 else low)


_OPERATIONS: dict[str, Callable[..., Term]] = {
    "+": _Evaluation.plus,
    "-": _Evaluation.minus,
    "*": _Evaluation.times,
    "/": _Evaluation.over,
    "**": _Evaluation.power,
    "neg": _Evaluation.negative,
    "sum": _Evaluation.sum,
    "product": _Evaluation.multiplied,
    "min": _Evaluation.least,
    "max": _Evaluation.most,
    "floor": _Evaluation.floor,
    "round_half_up": _Evaluation.rounded,
}
