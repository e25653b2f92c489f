"""Many statements one after another, allocated at once: line for line what `money.allocate` gives each.

With fixed shares s_k, the deficits d_k before and t the sum of the amounts up to a statement, each party is
due d_k + s_k t in all. Where every party has passed a whole fen since the statement before (its due is no
less than what it got by then), nothing that was paid before matters: its total is ⌊d_k + s_k t⌋, and the
left-over fen go by the same rule, to whose next falls due first. So the totals after all statements are
computed in a few array operations on integers over one denominator, and what was paid are differences of
totals. The other statements (a few fen, a tiny share, debts to be taken back) are settled one by one, as is
everything where an integer would not fit into 63 bits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valuation import InputError, inputs, schemes, sharing
from valuation.money import (
    MAX_DEFICIT_FEN,
    MAX_FEN,
    allocate,
    amount_fen,
    exact_text,
    ratio,
    settle,
)

MAX_STATEMENTS = 1_000_000

_CHUNK = 8_192  # statements whose arrays stay in the processor's cache
_WORTH_AN_ARRAY = 32
_FITS = 2**61

Ints = NDArray[np.int64]


def allocate_many(
    amounts: Sequence[int] | Ints,
    shares: Sequence[Fraction | int],
    deficits: Sequence[Fraction | int] | None = None,
) -> tuple[Ints, list[Fraction]]:
    """Return what each party is paid of each amount, in order, and what it is then still short of.

    Parameters
    ----------
    amounts : of m statements, each int >= 0 fen
    shares : of n parties, exact, each >= 0, which sum to 1
    deficits : what each party was short of before the first, in fen; None means nothing

    Returns
    -------
    (paid, deficits) : paid is (m, n) whole fen; both are those of a chain of `money.allocate`

    Raises
    ------
    InputError : amounts, shares or deficits that `money.allocate` would refuse

    Examples
    --------
    >>> paid, short = allocate_many([2, 8, 16], [Fraction(s, 32) for s in (8, 8, 6, 5, 5)])
    >>> paid.tolist()
    [[1, 1, 0, 0, 0], [2, 2, 2, 1, 1], [4, 3, 3, 3, 3]]
    >>> [str(value) for value in short]
    ['-1/2', '1/2', '-1/8', '1/16', '1/16']
    """
    whole = _amounts(amounts)
    exact = [inputs.number(share, f"shares[{k}]", 0, 1) for k, share in enumerate(shares)]
    if sum(exact) != 1:
        raise InputError(
            "shares", f"sum to {exact_text(sum(exact, Fraction(0)))}, but must sum to 1"
        )
    carried = [Fraction(0)] * len(exact) if deficits is None else list(deficits)
    allocate(0, [0] * len(exact), carried)  # refuses what are no deficits
    unit = lcm(*(one.denominator for one in (*exact, *carried)))
    weights = [one.numerator * (unit // one.denominator) for one in exact]
    short = [one.numerator * (unit // one.denominator) for one in carried]
    most = int(whole.max(initial=0))
    room = (_FITS - unit * MAX_DEFICIT_FEN) // (unit * max(most, 1))
    chunk = min(_CHUNK, room) if unit * len(weights) < _FITS else 0
    paid = np.empty((len(whole), len(weights)), np.int64)
    if chunk < _WORTH_AN_ARRAY:
        for row, amount in zip(paid, whole.tolist(), strict=True):
            due = [d + amount * w for d, w in zip(short, weights, strict=True)]
            row[:] = settle(amount, [amount * w for w in weights], due, unit)
            short = [d - got * unit for d, got in zip(due, row.tolist(), strict=True)]
    else:
        for start in range(0, len(whole), chunk):
            short = _chunk(
                whole[start : start + chunk], weights, short, unit, paid[start : start + chunk]
            )
    return paid, [Fraction(value, unit) for value in short]


@dataclass(frozen=True)
class Series:
    """Many statements of one scheme with fixed shares: what each party is paid of each, to the fen.

    `paid` has a row for each statement and a column for each of `parties`; `deficits` and `deficits_after`
    are what each is short of before the first and after the last, in fen.
    """

    scheme: dict[str, Any]
    statements: list[dict[str, Any]]
    shares: dict[str, Fraction]
    deficits: dict[str, Fraction]
    deficits_after: dict[str, Fraction]
    paid: Ints

    @property
    def parties(self) -> list[str]:
        """Who is paid, in the order of the columns."""
        return list(self.shares)

    def totals_fen(self) -> dict[str, int]:
        """What each party is paid in all, in fen."""
        sums = [sum(column) for column in self.paid.T.tolist()]
        return dict(zip(self.parties, sums, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """The series in canonical JSON types; `paid_fen` has a list for each statement."""
        return {
            "deficits": [{"fen": exact_text(v), "party": p} for p, v in self.deficits.items()],
            "deficits_after": [
                {"fen": exact_text(v), "party": p} for p, v in self.deficits_after.items()
            ],
            "paid_fen": self.paid.tolist(),
            "scheme": self.scheme,
            "shares": [{"party": p, "share": exact_text(v)} for p, v in self.shares.items()],
            "statements": self.statements,
            "totals_fen": list(self.totals_fen().values()),
            "v": 1,
        }


def run(document: Mapping[str, Any]) -> Series:
    """Return who is paid what of many amounts, one after another; amounts may be in yuan (`_yuan`).

    A document is ``{"scheme", "statements": [{"amount_fen", "name"}], "deficits"}``, names and deficits
    optional. The scheme has fixed shares: `share` and `pool` without bounds, `contribution` with its own
    document; steps that take whole sums first need each statement's own facts (`sharing.run`).

    Raises InputError for any other scheme, and for what `sharing.run` would refuse.

    >>> scheme = {"v": 1, "name": {"zh": "固定比例", "en": "fixed shares"}, "steps": [
    ...     {"kind": "pool", "label": {"zh": "收益池", "en": "pool"}, "shares": [
    ...         {"party": "operator", "share": "2/3"}, {"party": "treasury", "share": "1/3"}]}]}
    >>> run({"scheme": scheme, "statements": [{"amount_fen": 1}] * 3}).paid.tolist()
    [[1, 0], [1, 0], [0, 1]]
    """
    entries = inputs.mapping(inputs.in_fen(document), "", ("scheme", "statements"), ("deficits",))
    scheme = schemes.check(entries["scheme"])
    problems: list[tuple[str, str]] = []
    shares: dict[str, Fraction] = {}
    _fixed(scheme["steps"], Fraction(1), "scheme.steps", shares, problems)
    rows = inputs.sequence(entries["statements"], "statements", 1, MAX_STATEMENTS)
    amounts = []
    for k, row in enumerate(rows):
        with inputs.gathering(problems):
            known = inputs.mapping(row, f"statements[{k}]", ("amount_fen",), ("name",))
            if "name" in known:
                inputs.text(known["name"], f"statements[{k}].name")
            amounts.append(amount_fen(known["amount_fen"], f"statements[{k}].amount_fen", 0))
    if problems:
        raise InputError.of(problems)
    # the first statement alone, which reads and checks the deficits
    one = {"scheme": scheme, "amount_fen": amounts[0], "deficits": entries.get("deficits", {})}
    first = sharing.run(one)
    shares = {party: shares.get(party, Fraction(0)) for party in first.deficits_after}
    before = [first.deficits.get(party, Fraction(0)) for party in shares]
    paid, after = allocate_many(amounts, list(shares.values()), before)
    return Series(
        scheme=scheme,
        statements=[dict(row) for row in rows],
        shares=shares,
        deficits=first.deficits,
        deficits_after=dict(zip(shares, after, strict=True)),
        paid=paid,
    )


def _fixed(
    steps: Sequence[Mapping[str, Any]], whole: Fraction, where: str, shares: dict[str, Fraction],
    problems: list[tuple[str, str]],
) -> None:  # fmt: skip
    """Add to `shares` what part of any amount each party gets of checked steps that share `whole`."""
    for k, step in enumerate(steps):
        entries: list[tuple[Mapping[str, Any], Fraction]] = []
        if step["kind"] == "share":
            entries = [(step, ratio(step["ratio"]))]
        elif step["kind"] == "pool":
            entries = [(entry, ratio(entry["share"])) for entry in step["shares"]]
        elif step["kind"] == "contribution" and "document" in step:
            found = schemes.contributions(
                step["document"], step["parties"], f"{where}[{k}].document"
            )
            entries = [({"party": party}, share) for party, share in found.items()]
        if not entries or any(
            key in one for one, _ in entries for key in ("least_fen", "most_fen")
        ):
            problems.append(
                (f"{where}[{k}]", "gives no fixed share of any amount: share one by one")
            )
            continue
        for j, (entry, part) in enumerate(entries):
            if "steps" in entry:
                at = f"{where}[{k}].shares[{j}].steps"
                _fixed(entry["steps"], whole * part, at, shares, problems)
            else:
                party = entry["party"]
                shares[party] = shares.get(party, Fraction(0)) + whole * part
        if step["kind"] == "share":
            whole *= 1 - ratio(step["ratio"])


def _amounts(amounts: Sequence[int] | Ints) -> Ints:
    if not isinstance(amounts, np.ndarray):
        for k, amount in enumerate(amounts):
            if type(amount) is not int or not 0 <= amount <= MAX_FEN:
                amount_fen(amount, f"amounts[{k}]", 0)
        return np.array(amounts, np.int64)
    if amounts.dtype != np.int64 or amounts.ndim != 1:
        raise InputError("amounts", "must be integers")
    if len(amounts) and not 0 <= amounts.min() <= amounts.max() <= MAX_FEN:
        raise InputError("amounts", "must each be from 0 to 2^53 - 1 fen")
    return amounts


def _chunk(
    amounts: Ints, weights: Sequence[int], short: Sequence[int], unit: int, paid: Ints
) -> list[int]:
    """Write what is paid of some amounts, and return what each is short of then, in 1/unit fen.

    A row of the arrays is a party, a column a statement.
    """
    turnover = np.cumsum(amounts)
    weight, before = (np.array(ones, np.int64)[:, None] for ones in (weights, short))
    due = before + weight * turnover
    totals, over = np.divmod(due, unit)
    floors = totals.copy()
    left = turnover - totals.sum(axis=0)
    # after how much turnover the next fen falls due; whoever has no part or no fraction gets none
    next_due = -((over - unit) // np.maximum(weight, 1))
    eligible = (over > 0) & (weight > 0)
    next_due[~eligible] = unit + 1
    key = next_due * len(weights) + np.arange(len(weights))[:, None]
    for k in range(len(weights)):
        totals[k] += ((key < key[k]).sum(axis=0) < left) & eligible[k]
    odd = (left < 0) | (left > eligible.sum(axis=0))
    odd[0] |= bool((floors[:, 0] < 0).any())
    odd[1:] |= (totals[:, :-1] > floors[:, 1:]).any(axis=0)
    _settle_odd(np.flatnonzero(odd).tolist(), amounts, weights, due, unit, floors, totals)
    paid[0] = totals[:, 0]
    np.subtract(totals[:, 1:].T, totals[:, :-1].T, out=paid[1:])
    return [int(value) for value in due[:, -1] - totals[:, -1] * unit]


def _settle_odd(
    odd: list[int], amounts: Ints, weights: Sequence[int], due: Ints, unit: int, floors: Ints,
    totals: Ints,
) -> None:  # fmt: skip
    """Settle one by one, in order, the statements for which what was paid before matters.

    Where that changes a total, the statement after it may become such a one, too.
    """
    waiting = odd[::-1]
    while waiting:
        j = waiting.pop()
        had = totals[:, j - 1].tolist() if j else [0] * len(weights)
        claims = [d - got * unit for d, got in zip(due[:, j].tolist(), had, strict=True)]
        amount = int(amounts[j])
        got = settle(amount, [amount * w for w in weights], claims, unit)
        totals[:, j] = [a + b for a, b in zip(had, got, strict=True)]
        following = j + 1
        if following == len(amounts) or (waiting and waiting[-1] == following):
            continue
        if bool((totals[:, j] > floors[:, following]).any()):
            waiting.append(following)
