"""What each player contributed to a common value: Shapley values and shares, leave-one-out beside them.

A player is a source, a product or a party; the value of a coalition is what its members bring about without
the others. How that is obtained from usage, cost and quality is the document's choice of one of three games
(ours: no rule fixes one; 谁投入、谁贡献、谁受益)::

    {"v": 1, "game": "table", "players": [{"id": "A"}, {"id": "B"}],
     "coalitions": [{"of": ["A"], "value_fen": 100}, {"of": ["B"], "value_fen": 200},
                    {"of": ["A", "B"], "value_fen": 500}]}

    {"v": 1, "game": "formula", "formula": "250 * sum_usage_quality - sum_cost",
     "players": [{"id": "A", "usage": 40, "cost_fen": 1000, "quality": "0.9"}, …],
     "sampling": {"seed": 7, "draws": 20000}}

    {"v": 1, "game": "uses", "players": [{"id": "A", "cost_fen": 100, "quality": "0.9"}, …],
     "uses": [{"name": "risk score", "value_fen": 9000, "needs": ["A", "B"]}, …]}

=========  =============================================================================================
`table`    every coalition of at most 12 players with its value, as measured or agreed
`formula`  `coalitions` computes each coalition's value; up to 20 players exactly, above by `sampling`
`uses`     a use is worth its value times the lowest quality it needs, to whoever has all that it needs;
           a coalition is worth its uses less its members' costs: up to 200 players, in closed form
=========  =============================================================================================

The values are exact fractions of a fen and sum to what all are worth together. A share is a player's value
over the sum of those above 0; who contributed nothing or less has none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from math import ceil, factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valuation import InputError, NoSolution, inputs
from valuation.coalitions import (
    MAX_LONG,
    attributes_of,
    check_formula,
    terms_of_all,
    terms_of_prefixes,
    worth,
)
from valuation.draws import uniform
from valuation.formulas import apply
from valuation.money import exact_text
from valuation.shapley import MAX_PLAYERS, leave_one_out, shapley
from valuation.worksheet import Figure, Note, Worksheet

VERSION = "1"
SOURCE = "Shapley 1953; 联盟价值的取法为本系统所定 how a coalition is valued is ours"
MAX_TABLE = 12
MAX_DERIVED = 5
"""Up to so many players the derivation is written out, coalition by coalition."""

MAX_STATED = 8
"""Up to so many players the value of each coalition is told."""

MAX_USES = 10_000
MAX_DRAWS = 200_000
MAX_SAMPLED = 4_000_000
"""Draws times players."""

CONFIDENCE = Fraction(99, 100)
ODDS = 100  # 1 / (1 - CONFIDENCE)
_PAIRS = 2_048  # a chunk of draws

WHY_THEY_DIFFER = Note(
    "去一法只看其他各方都在时少了这一方会损失多少：能互相替代的各方因此都接近于零，互相依赖的各方则各计"
    "全部，其和不等于总价值。沙普利值对各方加入的所有先后次序取平均，其和恰为总价值。",
    "Leave-one-out asks only what is lost when one leaves while all others stay: who can be replaced counts"
    " next to nothing, who is needed counts for the whole, and they do not sum to the whole. The Shapley"
    " value averages over all orders in which the players could have come, and sums to the whole exactly.",
)

Problems = list[tuple[str, str]]
Players = list[dict[str, Fraction]]


@dataclass(frozen=True)
class Contribution:
    """Who contributed how much: Shapley values in fen (exact), the shares they give, and what lies beside.

    `values` may be negative and sum to `total`; `shares` are not and sum to 1. `lost` is leave-one-out,
    v(N) - v(N without i); `lost_shares` what shares it would give, None where nothing would be lost.
    `how` is exact, closed or sampled, `valued` how many coalitions were valued (closed: how many uses).
    `bound_fen` tells how far a sampled value is off at most with 99 % confidence, for all players at once,
    and `errors_fen` the standard errors; both are rounded up. `stated` are the values of all coalitions,
    by number (bit i: player i), for at most eight players.
    """

    document: dict[str, Any]
    values: dict[str, Fraction]
    shares: dict[str, Fraction]
    lost: dict[str, Fraction]
    lost_shares: dict[str, Fraction] | None
    total: Fraction
    how: str
    valued: int
    bound_fen: int | None = None
    errors_fen: dict[str, int] = field(default_factory=dict)
    stated: tuple[Fraction, ...] = ()
    derivation: Figure | None = None

    def to_dict(self) -> dict[str, Any]:
        """The contribution in canonical JSON types; amounts are exact texts, in fen."""
        return {
            "bound_fen": self.bound_fen,
            "confidence": exact_text(CONFIDENCE) if self.how == "sampled" else None,
            "derivation": self.derivation and self.derivation.to_dict(),
            "document": self.document,
            "how": self.how,
            "notes": [WHY_THEY_DIFFER.to_dict()],
            "players": [
                {
                    "error_fen": self.errors_fen.get(name),
                    "id": name,
                    "leave_one_out": exact_text(self.lost[name]),
                    "leave_one_out_share": self.lost_shares and exact_text(self.lost_shares[name]),
                    "share": exact_text(self.shares[name]),
                    "value": exact_text(value),
                }
                for name, value in self.values.items()
            ],
            "total": exact_text(self.total),
            "v": 1,
            "valued": self.valued,
            "version": VERSION,
        }


@dataclass(frozen=True)
class _Solved:
    values: list[Fraction]
    lost: list[Fraction]
    total: Fraction
    how: str
    valued: int
    stated: list[Fraction] = field(default_factory=list)
    bound_fen: int | None = None
    errors_fen: list[int] = field(default_factory=list)


def run(document: Mapping[str, Any]) -> Contribution:
    """Return who contributed how much to the game of a document; amounts may be in yuan (`_yuan`).

    Raises InputError that lists all problems of the document; NoSolution where no value is above 0.

    >>> outcome = run({"v": 1, "game": "uses", "players": [{"id": "A"}, {"id": "B"}], "uses": [
    ...     {"name": "score", "value_fen": 600, "needs": ["A", "B"]},
    ...     {"name": "map", "value_fen": 300, "needs": ["A"]}]})
    >>> {name: str(share) for name, share in outcome.shares.items()}
    {'A': '2/3', 'B': '1/3'}
    >>> outcome.lost["A"], outcome.lost["B"]
    (Fraction(900, 1), Fraction(600, 1))
    """
    given = inputs.in_fen(document)
    if not isinstance(given, dict) or "game" not in given:
        raise InputError("game", "is missing")
    inputs.choice(given["game"], "game", tuple(_GAMES))
    required, optional, most, read = _GAMES[given["game"]]
    inputs.mapping(given, "", ("v", "game", "players", *required), optional)
    problems: Problems = []
    if given["v"] != 1 or isinstance(given["v"], bool):
        problems.append(("v", "must be 1"))
    entries = inputs.sequence(given["players"], "players", 1, most)
    names = _names(entries, problems)
    solve = read(given, names, entries, problems)
    if problems:
        raise InputError.of(problems)
    solved = solve()
    shares = _shares(solved.values)
    if shares is None:
        raise NoSolution("no player's value is above 0, so there is nothing to share by")
    lost_shares = _shares(solved.lost)
    return Contribution(
        document=given,
        values=dict(zip(names, solved.values, strict=True)),
        shares=dict(zip(names, shares, strict=True)),
        lost=dict(zip(names, solved.lost, strict=True)),
        lost_shares=None if lost_shares is None else dict(zip(names, lost_shares, strict=True)),
        total=solved.total,
        how=solved.how,
        valued=solved.valued,
        bound_fen=solved.bound_fen,
        errors_fen=dict(zip(names, solved.errors_fen, strict=True)) if solved.errors_fen else {},
        stated=tuple(solved.stated) if len(names) <= MAX_STATED else (),
        derivation=_derivation(names, solved) if len(names) <= MAX_DERIVED else None,
    )


def recompute(data: Mapping[str, Any]) -> Contribution:
    """Return the contribution that follows from the document of a `to_dict` form, if all of it agrees.

    Raises InputError that names the first part which differs; a player's row is named ``players[k]``.

    >>> document = {"v": 1, "game": "table", "players": [{"id": "A"}], "coalitions": [
    ...     {"of": ["A"], "value_fen": 100}]}
    >>> data = run(document).to_dict()
    >>> recompute(data).total
    Fraction(100, 1)
    >>> data["players"][0]["value"] = "90"
    >>> recompute(data)
    Traceback (most recent call last):
    valuation.InputError: players[0]: differs from what the document gives
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("document"), Mapping):
        raise InputError("document", "is missing")
    again = run(data["document"])
    expected = again.to_dict()
    inputs.mapping(data, "", tuple(expected))
    rows = inputs.sequence(data["players"], "players", 0, 1_000)
    for k, (row, own) in enumerate(zip(rows, expected["players"], strict=False)):
        if inputs.differ(row, own):
            raise InputError(f"players[{k}]", "differs from what the document gives")
    for key, value in expected.items():
        if inputs.differ(data[key], value):
            raise InputError(key, "differs from what the document gives")
    return again


def _shares(values: Sequence[Fraction]) -> list[Fraction] | None:
    """Each value over the sum of those above 0; others have none. None where none is above 0."""
    counted = [max(value, Fraction(0)) for value in values]
    whole = sum(counted)
    return [value / whole for value in counted] if whole else None


# The players, and the three games: each reads its document and returns what solves it.


def _names(entries: Sequence[Any], problems: Problems) -> list[str]:
    names: list[str] = []
    for k, entry in enumerate(entries):
        with inputs.gathering(problems):
            name = inputs.mapping(
                entry, f"players[{k}]", ("id",), ("usage", "cost_fen", "quality")
            )["id"]
            inputs.text(name, f"players[{k}].id")
            if name != name.strip() or len(name) > 120 or "\n" in name or "\t" in name:
                raise InputError(f"players[{k}].id", "must be a name of 1 to 120 characters")
            if name in names:
                raise InputError(f"players[{k}].id", f"names {name} twice")
            names.append(name)
    if problems:
        raise InputError.of(problems)
    return names


def _attributes(entry: Mapping[str, Any], k: int, problems: Problems) -> dict[str, Fraction]:
    """A player's usage, cost and quality, as far as they are stated."""
    found: dict[str, Fraction] = {}
    where = f"players[{k}]"
    with inputs.gathering(problems):
        if "usage" in entry:
            found["usage"] = inputs.number(entry["usage"], f"{where}.usage", least=0)
    with inputs.gathering(problems):
        if "cost_fen" in entry:
            found["cost"] = Fraction(inputs.money(entry["cost_fen"], f"{where}.cost_fen", 0))
    with inputs.gathering(problems):
        if "quality" in entry:
            found["quality"] = inputs.number(entry["quality"], f"{where}.quality", 0, 1)
    return found


def _only(entries: Sequence[Any], known: Sequence[str], game: str, problems: Problems) -> None:
    for k, entry in enumerate(entries):
        problems += [
            (f"players[{k}].{key}", f"is not used by the game {game}")
            for key in entry
            if key not in ("id", *known)
        ]


def _members(value: object, where: str, names: Sequence[str]) -> int:
    """The coalition of the players a list names, as a number."""
    coalition = 0
    for k, name in enumerate(inputs.sequence(value, where)):
        if not isinstance(name, str) or name not in names:
            raise InputError(f"{where}[{k}]", f"is {name!r}, which no player is called"[:200])
        bit = 1 << names.index(name)
        if coalition & bit:
            raise InputError(f"{where}[{k}]", f"names {name} twice")
        coalition |= bit
    return coalition


def _named(coalition: int, names: Sequence[str]) -> str:
    return ", ".join(name for i, name in enumerate(names) if coalition >> i & 1)


def _table(
    given: Mapping[str, Any], names: list[str], entries: Sequence[Any], problems: Problems
) -> Callable[[], _Solved]:
    _only(entries, (), "table", problems)
    count = 1 << len(names)
    values: dict[int, int] = {0: 0}
    rows: Sequence[Any] = ()
    with inputs.gathering(problems):
        rows = inputs.sequence(given["coalitions"], "coalitions", 1, count - 1)
    for k, row in enumerate(rows):
        where = f"coalitions[{k}]"
        with inputs.gathering(problems):
            known = inputs.mapping(row, where, ("of", "value_fen"))
            value = inputs.money(known["value_fen"], f"{where}.value_fen")
            coalition = _members(known["of"], f"{where}.of", names)
            if coalition in values:
                raise InputError(f"{where}.of", "states this coalition a second time")
            values[coalition] = value
    if not problems and len(values) < count:
        first = next(c for c in range(count) if c not in values)
        problems.append(
            ("coalitions", f"lack {count - len(values)} of them, such as {_named(first, names)}")
        )
    return lambda: _solved([values[coalition] for coalition in range(count)])


def _solved(values: Sequence[int | Fraction] | NDArray[Any], denominator: int = 1) -> _Solved:
    stated = []
    if len(values) <= 1 << MAX_STATED:
        stated = [Fraction(value) / denominator for value in np.asarray(values, object)]
    return _Solved(
        values=shapley(values, denominator),
        lost=leave_one_out(values, denominator),
        total=Fraction(values[-1] if isinstance(values, list) else int(values[-1])) / denominator,
        how="exact",
        valued=len(values) - 1,
        stated=stated,
    )


def _formula(
    given: Mapping[str, Any], names: list[str], entries: Sequence[Any], problems: Problems
) -> Callable[[], _Solved]:
    formula, wanted = "", list[str]()
    players = [_attributes(entry, k, problems) for k, entry in enumerate(entries)]
    with inputs.gathering(problems):
        formula = inputs.text(given["formula"], "formula")
        wanted = check_formula(formula)
        needed = attributes_of(wanted)
        problems += [
            (f"players[{k}].{_KEYS[name]}", "is missing, and the formula refers to it")
            for k, player in enumerate(players)
            for name in needed
            if name not in player and _KEYS[name] not in entries[k]
        ]
    sampling = None
    with inputs.gathering(problems):
        sampling = _sampling(given.get("sampling"), len(names))
    if sampling is not None:
        seed, draws = sampling
        return lambda: _sampled(formula, players, wanted, seed, draws)

    def solve() -> _Solved:
        found = worth(formula, terms_of_all(players, wanted), lambda at: _named(at + 1, names))
        tops = np.broadcast_to(found.top.at, (1 << len(names)) - 1)
        values = np.concatenate((np.zeros(1, tops.dtype), tops))
        assert isinstance(found.bottom.at, int)
        return _solved(values, found.bottom.at)

    return solve


def _sampling(given: object, players: int) -> tuple[int, int] | None:
    if given is None:
        if players > MAX_PLAYERS:
            raise InputError(
                "sampling", f"is missing: the values of more than {MAX_PLAYERS} players are sampled"
            )
        return None
    known = inputs.mapping(given, "sampling", ("seed", "draws"))
    found = []
    for key, least, most in (("seed", 0, 2**53 - 1), ("draws", 100, MAX_DRAWS)):
        value = inputs.number(known[key], f"sampling.{key}", least, most)
        if value.denominator != 1:
            raise InputError(f"sampling.{key}", "must be an integer")
        found.append(int(value))
    seed, draws = found
    if draws % 2 or draws * players > MAX_SAMPLED:
        raise InputError(
            "sampling.draws",
            f"must be even, and with {players} players at most {MAX_SAMPLED // players}",
        )
    return seed, draws


def _uses(
    given: Mapping[str, Any], names: list[str], entries: Sequence[Any], problems: Problems
) -> Callable[[], _Solved]:
    _only(entries, ("cost_fen", "quality"), "uses", problems)
    players = [_attributes(entry, k, problems) for k, entry in enumerate(entries)]
    costs = [player.get("cost", Fraction(0)) for player in players]
    uses: list[tuple[int, Fraction]] = []
    rows: Sequence[Any] = ()
    with inputs.gathering(problems):
        rows = inputs.sequence(given["uses"], "uses", 1, MAX_USES)
    for k, row in enumerate(rows):
        where = f"uses[{k}]"
        with inputs.gathering(problems):
            known = inputs.mapping(row, where, ("value_fen", "needs"), ("name",))
            inputs.text(known.get("name", "-"), f"{where}.name")
            value = inputs.money(known["value_fen"], f"{where}.value_fen", 0)
            needs = _members(known["needs"], f"{where}.needs", names)
            lowest = min(
                player.get("quality", Fraction(1))
                for i, player in enumerate(players)
                if needs >> i & 1
            )
            uses.append((needs, value * lowest))

    def solve() -> _Solved:
        values, lost = [-cost for cost in costs], [-cost for cost in costs]
        for needs, value in uses:
            for i in range(len(names)):
                if needs >> i & 1:
                    values[i] += value / needs.bit_count()
                    lost[i] += value
        stated = []
        if len(names) <= MAX_STATED:
            stated = [
                sum((value for needs, value in uses if needs & ~coalition == 0), Fraction(0))
                - sum(cost for i, cost in enumerate(costs) if coalition >> i & 1)
                for coalition in range(1 << len(names))
            ]
        total = sum((value for _, value in uses), Fraction(0)) - sum(costs)
        return _Solved(values, lost, total, "closed", len(uses), stated)

    return solve


# Sampling, and the derivation of a small game.


def _sampled(
    formula: str, players: Players, wanted: Sequence[str], seed: int, draws: int
) -> _Solved:
    """Each player's mean marginal over orders drawn in pairs, an order and its reverse.

    An order sorts the players by uniform numbers (PCG64). In each order the marginals sum to v(N), hence so
    do the means. Bound, for both sides of all n players at once, with m pairs of variance V:
    √(2 V L / m) + 7 R L / (3 (m - 1)), L = ln(4 n / (1 - confidence)); R is the range of a marginal.
    Source: A. Maurer, M. Pontil, Empirical Bernstein bounds and sample variance penalization, COLT 2009.
    """
    n, pairs = len(players), draws // 2

    def prefixes(orders: NDArray[np.int64]) -> tuple[NDArray[Any], int, int, int]:
        share = MAX_LONG * len(orders) // max(draws, len(orders))  # of what all draws may take
        found = worth(formula, terms_of_prefixes(players, wanted, orders), long=share)
        assert isinstance(found.bottom.at, int)
        tops = np.broadcast_to(found.top.at, orders.shape)
        return tops, min(0, found.top.least), max(0, found.top.most), found.bottom.at

    # everyone, and everyone but i: the orders in which i is last
    last = np.array([[*range(i), *range(i + 1, n), i] for i in range(n)])
    tops, least, most, bottom = prefixes(last)
    total = int(tops[0, -1])
    lost = [Fraction(total - (int(tops[i, -2]) if n > 1 else 0), bottom) for i in range(n)]

    spread = 2 * (most - least)
    wide = spread * spread * _PAIRS >= 2**62
    sums, squares = [0] * n, [0] * n
    stream = uniform(seed, 0)
    for start in range(0, pairs, _PAIRS):
        drawn = stream.random((min(_PAIRS, pairs - start), n))
        order = np.argsort(drawn, axis=1, kind="stable")
        both: NDArray[Any] = np.zeros(order.shape, np.object_ if wide else np.int64)
        for orders in (order, order[:, ::-1]):
            tops = prefixes(orders)[0]
            marginals = np.diff(tops, axis=1, prepend=tops[:, :1] * 0).astype(both.dtype)
            placed = np.empty_like(both)
            np.put_along_axis(placed, orders, marginals, axis=1)
            both += placed
        for i, (one, two) in enumerate(
            zip(both.sum(axis=0).tolist(), (both * both).sum(axis=0).tolist(), strict=True)
        ):
            sums[i] += one
            squares[i] += two

    # of a pair's mean, in units of 1 / bottom
    variances = [
        Fraction(two * pairs - one * one, 4 * pairs * (pairs - 1))
        for one, two in zip(sums, squares, strict=True)
    ]
    with localcontext(Context(prec=30)):
        log = Fraction(Decimal(4 * n * ODDS).ln())
    reach = 7 * spread * log / (3 * (pairs - 1))
    off = apply("root", 2 * max(variances) * log / pairs) + reach
    return _Solved(
        values=[Fraction(one, draws * bottom) for one in sums],
        lost=lost,
        total=Fraction(total, bottom),
        how="sampled",
        valued=draws * n,
        bound_fen=ceil(off / bottom),
        errors_fen=[ceil(apply("root", one / pairs) / bottom) for one in variances],
    )


def _derivation(names: Sequence[str], solved: _Solved) -> Figure | None:
    """The values of all coalitions as inputs, and each player's value and share as a formula of them."""
    if not solved.stated:
        return None
    n, sheet = len(names), Worksheet()
    called = {c: "v_" + "_".join(str(i + 1) for i in range(n) if c >> i & 1) for c in range(1 << n)}
    for coalition in range(1, 1 << n):
        label = _named(coalition, names)
        sheet.given(
            called[coalition], f"联盟价值: {label}", f"value of {label}",
            solved.stated[coalition], "fen", "文件 document",
        )  # fmt: skip
    for i, name in enumerate(names):
        terms = []
        for coalition in range(1 << n):
            if coalition >> i & 1:
                continue
            size = coalition.bit_count()
            weight = Fraction(factorial(size) * factorial(n - 1 - size), factorial(n))
            less = f" - {called[coalition]}" if coalition else ""
            terms.append(f"{exact_text(weight)} * ({called[coalition | 1 << i]}{less})")
        formula = f"sum({', '.join(terms)})"
        sheet.step(
            f"phi_{i + 1}", f"{name}: 沙普利值", f"{name}: Shapley value", formula, "fen", SOURCE
        )
    parts = ", ".join(f"max(0, phi_{i + 1})" for i in range(n))
    sheet.step("positive", "正值合计", "sum of the values above 0", f"sum({parts})", "fen", SOURCE)
    for i, name in enumerate(names, start=1):
        formula = f"max(0, phi_{i}) / positive"
        sheet.step(f"share_{i}", f"{name}: 份额", f"{name}: share", formula, "1", SOURCE)
    total = f"sum({', '.join(f'phi_{i + 1}' for i in range(n))})"
    sheet.step(
        "total", "总价值", "value of all", total, "fen", "等于全体联盟价值 equals that of all"
    )
    shares = tuple(f"share_{i + 1}" for i in range(n))
    sheet.note(WHY_THEY_DIFFER.zh, WHY_THEY_DIFFER.en)
    return sheet.figure("contribution", VERSION, "total", shares)


_KEYS = {"usage": "usage", "cost": "cost_fen", "quality": "quality"}
_GAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...], int, Callable[..., Any]]] = {
    "table": (("coalitions",), (), MAX_TABLE, _table),
    "formula": (("formula",), ("sampling",), inputs.MAX_LIST, _formula),
    "uses": (("uses",), (), inputs.MAX_LIST, _uses),
}
GAMES = tuple(_GAMES)
"""The games a document can be of."""
