"""Shapley values of a game of up to 20 players, exactly, from the value of each of its 2^n coalitions.

A coalition is a number: bit i is set where player i belongs to it, so that ``values[5]`` is the value of
players 0 and 2. With n players, A(i, s) the sum of the values of all coalitions of size s that player i
belongs to, and T(s) that of all coalitions of size s,

    φ_i = Σ_s w_s · (A(i, s + 1) - (T(s) - A(i, s))),    w_s = s! (n - 1 - s)! / n!

These sums are two matrix products: the values as a matrix of 2^⌊n/2⌋ rows, once by a 0-1 matrix that says
which column is a coalition of which size, then by one that says whom a row holds. In floats of 53 bits they
are exact for integers of at most 42 bits, and larger integers are taken apart into pieces of 42 bits.

Source: L. S. Shapley, A value for n-person games, Contributions to the Theory of Games II, 1953, 307-317;
grouping by size and the matrix form are ours.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from math import factorial, lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valuation import InputError

MAX_PLAYERS = 20
"""With more players there are more than a million coalitions, and values are sampled."""

_PIECE = 42  # bits: 2^10 such pieces sum to less than 2^53, and 2^20 of them to less than 2^63

Values = Sequence[int | Fraction] | NDArray[Any]


def shapley(values: Values, denominator: int = 1) -> list[Fraction]:
    """Return the exact Shapley value of each player; they sum to the value of all less that of nobody.

    Parameters
    ----------
    values : the value of each coalition, 2^n of them, n from 1 to 20: integers, Fractions, or an array of
        integers (int64, or object for those beyond)
    denominator : what all of them are divided by

    Raises
    ------
    InputError : a number of values that is no power of 2 from 2 to 2^20; floats (`shapley_floats`)

    Examples
    --------
    Two players, alone worth 1 and 2, together 5:

    >>> shapley([0, 1, 2, 5])
    [Fraction(2, 1), Fraction(3, 1)]
    >>> [str(value) for value in shapley([0, Fraction(1, 2), Fraction(1, 3), 1])]
    ['7/12', '5/12']
    """
    whole, common = _integers(values)
    n = _players(len(whole))
    sums = [[0] * (n + 1) for _ in range(n)]
    for shift, piece in _pieces(whole):
        for i, by_size in enumerate(_sums(piece, n, np.int64)):
            for s, value in enumerate(by_size):
                sums[i][s] += int(value) << shift
    # each coalition of size s is counted by s players
    total = [int(whole[0]), *(sum(sums[i][s] for i in range(n)) // s for s in range(1, n + 1))]
    weights = [factorial(s) * factorial(n - 1 - s) for s in range(n)]
    below = factorial(n) * common * denominator
    return [
        Fraction(sum(weights[s] * (a[s + 1] - total[s] + a[s]) for s in range(n)), below)
        for a in sums
    ]


def shapley_floats(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Shapley values of a game whose values are floats, to about twelve digits.

    For studies of many games; nothing is paid by it. Raises InputError as `shapley` does.

    >>> shapley_floats(np.array([0.0, 1.0, 2.0, 5.0])).round(9).tolist()
    [2.0, 3.0]
    """
    n = _players(len(values))
    sums = _sums(values, n, np.float64)
    sizes = np.arange(1, n + 1)
    total = np.concatenate(([values[0]], sums[:, 1:].sum(axis=0) / sizes))
    weights = np.array([factorial(s) * factorial(n - 1 - s) / factorial(n) for s in range(n)])
    result: NDArray[np.float64] = (sums[:, 1:] - total[:-1] + sums[:, :-1]) @ weights
    return result


def leave_one_out(values: Values, denominator: int = 1) -> list[Fraction]:
    """Return for each player what all are worth less what all the others are: v(N) - v(N without i).

    Parameters and errors are those of `shapley`.

    >>> leave_one_out([0, 1, 2, 5])
    [Fraction(3, 1), Fraction(4, 1)]
    """
    whole, common = _integers(values)
    n, everyone = _players(len(whole)), len(whole) - 1
    return [
        Fraction(int(whole[-1]) - int(whole[everyone - (1 << i)]), common * denominator)
        for i in range(n)
    ]


def _players(count: int) -> int:
    n = count.bit_length() - 1
    if not 1 <= n <= MAX_PLAYERS or count != 1 << n:
        raise InputError(
            "values", f"has {count} entries, but must have 2^n, n from 1 to {MAX_PLAYERS}"
        )
    return n


def _integers(values: Values) -> tuple[NDArray[Any], int]:
    """The values as integers over one denominator."""
    if isinstance(values, np.ndarray):
        if values.dtype not in (np.int64, np.object_):
            raise InputError("values", "must be integers or Fractions")
        return values, 1
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | Fraction):
            raise InputError("values", "must be integers or Fractions")
    common = lcm(*(value.denominator for value in values))
    scaled = [value.numerator * (common // value.denominator) for value in values]
    fits = max(map(abs, scaled), default=0) < 2**63
    return np.array(scaled, np.int64 if fits else np.object_), common


def _pieces(whole: NDArray[Any]) -> list[tuple[int, NDArray[np.float64]]]:
    """The integers as (shift, floats of at most 42 bits): they sum to the integers, shifted."""
    most = max(abs(int(whole.min())), abs(int(whole.max())))
    made = []
    for shift in range(0, most.bit_length() or 1, _PIECE):
        part = whole >> shift if shift else whole
        if most.bit_length() > shift + _PIECE:
            part = part & (2**_PIECE - 1)
        made.append((shift, part.astype(np.float64)))
    return made


def _sums(values: NDArray[np.float64], n: int, dtype: type[np.number[Any]]) -> NDArray[Any]:
    """A(i, s): for each player and size 0 to n, the sum over the coalitions he belongs to.

    The first product is in floats: of integers up to 2^42 it sums at most 2^10, which is exact. The second
    is in `dtype`; in integers it sums 2^20 of them, which stays below 2^63.
    """
    high, low = n // 2, n - n // 2
    matrix = values.reshape(1 << high, 1 << low)
    sums = np.zeros((n, n + 1), dtype)
    for first, count, rest, by_size in (
        (0, low, high, _by_size(high).T @ matrix),
        (low, high, low, (matrix @ _by_size(low)).T),
    ):
        part = by_size.astype(dtype)  # a row for each size of the other half
        for size in range(count + 1):
            at = _sizes(count) == size
            holds = _members(count)[at].astype(dtype)
            sums[first : first + count, size : size + rest + 1] += (part[:, at] @ holds).T
    return sums


@cache
def _sizes(n: int) -> NDArray[np.int64]:
    sizes: NDArray[np.int64] = _members(n).sum(axis=1)
    return sizes


@cache
def _members(n: int) -> NDArray[np.int64]:
    """For each coalition of n players, a row of zeros and ones: whom it holds."""
    return np.arange(1 << n)[:, None] >> np.arange(n) & 1


@cache
def _by_size(n: int) -> NDArray[np.float64]:
    """For each coalition of n players, a row with a 1 at its size."""
    marks: NDArray[np.float64] = (_sizes(n)[:, None] == np.arange(n + 1)).astype(np.float64)
    return marks
