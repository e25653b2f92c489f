"""Shapley values keep their axioms, exactly; brute force, the worksheet and closed forms are the oracle."""

import copy
import json
from fractions import Fraction
from itertools import permutations
from math import factorial, prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from valuation import InputError, NoSolution
from valuation.coalitions import SYMBOLS, terms_of_all, worth
from valuation.contribution import recompute, run
from valuation.formulas import evaluate
from valuation.shapley import leave_one_out, shapley, shapley_floats
from valuation.worksheet import recompute as recompute_figure

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden/valuation/contribution.json").read_text("utf-8")
)["cases"]
NUMBERS = st.integers(-(2**40), 2**40) | st.integers(-(2**70), 2**70)
EXACT = NUMBERS | st.fractions(-1000, 1000, max_denominator=60)


def games(least=1, most=5, values=EXACT):
    """The values of all coalitions of a few players; nobody is worth 0."""
    return st.integers(least, most).flatmap(
        lambda n: st.lists(values, min_size=2**n - 1, max_size=2**n - 1).map(lambda v: [0, *v])
    )


def by_permutations(values):
    n = len(values).bit_length() - 1
    found = [Fraction(0)] * n
    for order in permutations(range(n)):
        here = 0
        for i in order:
            found[i] += Fraction(values[here | 1 << i] - values[here])
            here |= 1 << i
    return [value / factorial(n) for value in found]


def by_subsets(values):
    n = len(values).bit_length() - 1
    return [
        sum(
            Fraction(factorial(c.bit_count()) * factorial(n - 1 - c.bit_count()), factorial(n))
            * (values[c | 1 << i] - values[c])
            for c in range(1 << n)
            if not c >> i & 1
        )
        for i in range(n)
    ]


# the values: oracles


@given(games())
@settings(max_examples=60, deadline=None)
def test_a_shapley_value_is_the_mean_marginal_over_all_orders(values):
    assert shapley(values) == by_permutations(values)


def test_seven_players_in_all_5040_orders():
    values = [0, *((37 * c * c) % 1009 - 400 for c in range(1, 2**7))]
    assert shapley(values) == by_permutations(values) == by_subsets(values)


@pytest.mark.parametrize("size", [10, 2**41, 2**43, 2**62, 2**100])
def test_ten_players_with_values_of_any_length_are_exact(size):
    values = [0, *(c * c * 7919 % 10_007 * size // 10_007 - size // 3 for c in range(1, 2**10))]
    assert shapley(values) == by_subsets(values)


@given(games(values=st.integers(-(10**6), 10**6)))
@settings(max_examples=30, deadline=None)
def test_floats_come_near_the_exact_values(values):
    exact = [float(value) for value in shapley(values)]
    assert np.allclose(shapley_floats(np.array(values, float)), exact, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("values", [[0], [0, 1, 2], [0] * 2**21, [0, 1.5], [0, True]])
def test_what_is_no_game_is_refused(values):
    with pytest.raises(InputError, match="values"):
        shapley(values)


# the axioms


@given(games())
@settings(max_examples=40, deadline=None)
def test_efficiency_the_values_sum_to_what_all_are_worth(values):
    assert sum(shapley(values)) == values[-1]


@given(games(2), st.randoms())
@settings(max_examples=40, deadline=None)
def test_equivariance_and_symmetry_who_changes_names_changes_nothing_else(values, random):
    n = len(values).bit_length() - 1
    order = random.sample(range(n), n)

    def renamed(c):
        return sum(1 << order[i] for i in range(n) if c >> i & 1)

    other = [0] * len(values)
    for c, value in enumerate(values):
        other[renamed(c)] = value
    before, after = shapley(values), shapley(other)
    assert [after[order[i]] for i in range(n)] == before
    # two who are worth the same to everybody have the same value
    swapped = [c & ~3 | (c & 1) << 1 | (c & 2) >> 1 for c in range(len(values))]
    alike = [values[c] + values[swapped[c]] for c in range(len(values))]
    assert shapley(alike)[0] == shapley(alike)[1]


@given(games(1, 4), EXACT)
@settings(max_examples=40, deadline=None)
def test_null_and_dummy_player_who_adds_nothing_has_nothing(values, alone):
    assert shapley([*values, *values]) == [*shapley(values), 0]
    dummy = shapley([*values, *(value + alone for value in values)])
    assert dummy == [*shapley(values), alone]
    assert leave_one_out([*values, *(value + alone for value in values)])[-1] == alone


@given(st.integers(1, 4).flatmap(lambda n: st.tuples(games(n, n), games(n, n))), EXACT)
@settings(max_examples=40, deadline=None)
def test_additivity_and_scale_two_games_at_once_are_their_sum(pair, factor):
    one, other = pair
    both = [a + factor * b for a, b in zip(one, other, strict=True)]
    assert shapley(both) == [
        a + factor * b for a, b in zip(shapley(one), shapley(other), strict=True)
    ]


@given(games(2, 4), st.data())
@settings(max_examples=40, deadline=None)
def test_strong_monotonicity_who_adds_no_less_to_anybody_gets_no_less(values, data):
    n = len(values).bit_length() - 1
    i = data.draw(st.integers(0, n - 1))
    more = list(values)
    base = data.draw(games(n, n))  # whatever the others are worth without him
    for c in range(1 << n):
        if not c >> i & 1:
            added = data.draw(st.integers(0, 50))
            more[c] = base[c]
            more[c | 1 << i] = base[c] + values[c | 1 << i] - values[c] + added
    assert shapley(more)[i] >= shapley(values)[i]


# the games


def players(n, **more):
    return [{"id": f"p{i}", **{key: value(i) for key, value in more.items()}} for i in range(n)]


def table(values):
    n = len(values).bit_length() - 1
    return {
        "v": 1,
        "game": "table",
        "players": players(n),
        "coalitions": [
            {"of": [f"p{i}" for i in range(n) if c >> i & 1], "value_fen": int(values[c])}
            for c in range(1, 1 << n)
        ],
    }


def formula(text, n=3, **more):
    return {
        "v": 1,
        "game": "formula",
        "formula": text,
        "players": players(
            n,
            usage=lambda i: 10 * i + 7,
            cost_fen=lambda i: 100 + 13 * i * i,
            quality=lambda i: f"{5 + i % 5}/10",
        ),
        **more,
    }


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_the_golden_games(case):
    outcome = run(case["document"])
    assert [str(value) for value in outcome.values.values()] == case["values"]
    assert [str(value) for value in outcome.lost.values()] == case["leave_one_out"]
    lost = [Fraction(value) for value in case["leave_one_out"]]
    assert list(outcome.lost_shares.values()) == [value / sum(lost) for value in lost]
    assert recompute(outcome.to_dict()) == outcome


@given(games(values=st.integers(-(10**9), 10**9)), st.randoms())
@settings(max_examples=30, deadline=None)
def test_a_table_gives_shares_that_sum_to_one_and_recomputes(values, random):
    document = table(values)
    random.shuffle(document["coalitions"])
    assume(max(by_subsets(values)) > 0)
    outcome = run(document)
    assert list(outcome.values.values()) == by_subsets(values)
    assert sum(outcome.values.values()) == outcome.total == values[-1]
    assert sum(outcome.shares.values()) == 1
    assert min(outcome.shares.values()) >= 0
    whole = sum(max(value, 0) for value in outcome.values.values())
    assert all(outcome.shares[p] == max(v, 0) / whole for p, v in outcome.values.items())
    assert list(outcome.stated) == values
    again = recompute(outcome.to_dict())
    assert again == outcome
    assert recompute_figure(outcome.derivation) == values[-1]
    assert [outcome.derivation[f"share_{k}"].value for k in range(1, len(outcome.shares) + 1)] == (
        list(outcome.shares.values())
    )


def test_nobody_above_nothing_is_no_share():
    with pytest.raises(NoSolution, match="above 0"):
        run(table([0, -5, 0, -5]))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_uses_in_closed_form_are_the_table_of_the_same_game(data):
    n = data.draw(st.integers(1, 5))
    some = st.sets(st.integers(0, n - 1), min_size=1)
    uses = data.draw(st.lists(st.tuples(some, st.integers(0, 10**6)), min_size=1, max_size=6))
    costs = data.draw(st.lists(st.integers(0, 10**5), min_size=n, max_size=n))
    tenths = data.draw(st.lists(st.integers(0, 10), min_size=n, max_size=n))
    document = {
        "v": 1,
        "game": "uses",
        "players": players(n, cost_fen=lambda i: costs[i], quality=lambda i: f"{tenths[i]}/10"),
        "uses": [{"value_fen": v, "needs": [f"p{i}" for i in sorted(s)]} for s, v in uses],
    }
    values = [
        sum(
            (Fraction(v * min(tenths[i] for i in s), 10) for s, v in uses if all(c >> i & 1 for i in s)),
            Fraction(0),
        )
        - sum(costs[i] for i in range(n) if c >> i & 1)
        for c in range(1 << n)
    ]  # fmt: skip
    assume(max(by_subsets(values)) > 0)
    outcome = run(document)
    assert list(outcome.values.values()) == by_subsets(values)
    assert list(outcome.lost.values()) == leave_one_out(values)
    assert list(outcome.stated) == values
    assert outcome.total == values[-1]
    assert outcome.how == "closed"
    assert recompute(outcome.to_dict()) == outcome


def test_twenty_players_by_formula_agree_with_the_closed_form():
    """usage² summed is Σ u_i² + Σ u_i u_j: unanimity games of pairs, so φ_i = u_i · Σ u."""
    outcome = run(
        formula("sum_usage ** 2", 20) | {"players": players(20, usage=lambda i: 3 * i + 1)}
    )
    usage = [3 * i + 1 for i in range(20)]
    assert list(outcome.values.values()) == [u * sum(usage) for u in usage]
    assert list(outcome.lost.values()) == [2 * u * sum(usage) - u * u for u in usage]
    assert outcome.valued == 2**20 - 1
    assert outcome.derivation is None
    assert not outcome.stated


def test_long_integers_take_the_same_way():
    """The same with usage of seventy bits: beyond int64, still exact."""
    big = Fraction(10**18 - 11, 7)
    found = worth(
        "sum_usage ** 3", terms_of_all([{"usage": big}, {"usage": 2 * big}], ["sum_usage"])
    )
    values = [0, *(Fraction(int(top), found.bottom.at) for top in found.top.at)]
    assert values == [0, big**3, 8 * big**3, 27 * big**3]
    assert shapley(values) == by_permutations(values)


FORMULAS = st.recursive(
    st.sampled_from(SYMBOLS)
    | st.integers(0, 50).map(str)
    | st.decimals("0.01", 20, places=2).map(lambda d: format(d, "f")),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(st.sampled_from(["sum", "min", "max", "product"]),
                  st.lists(inner, min_size=1, max_size=3)).map(lambda t: f"{t[0]}({', '.join(t[1])})"),
        inner.map(lambda x: f"(-{x})"),
        st.tuples(inner, st.integers(0, 3)).map(lambda t: f"{t[0]} ** {t[1]}"
                                               if t[0].isidentifier() else f"({t[0]}) ** {t[1]}"),
        inner.map(lambda x: f"floor({x})"),
        st.tuples(inner, st.integers(0, 3)).map(lambda t: f"round_half_up({t[0]}, {t[1]})"),
    ),
    max_leaves=8,
)  # fmt: skip


@given(FORMULAS, st.data())
@settings(max_examples=150, deadline=None)
def test_every_coalition_is_worth_what_the_worksheet_says(text, data):
    n = data.draw(st.integers(1, 3))
    number = st.fractions(0, 100, max_denominator=12) | st.integers(0, 10**18).map(Fraction)
    rows = [
        {name: data.draw(number) for name in ("usage", "cost")}
        | {"quality": data.draw(st.fractions(0, 1, max_denominator=9))}
        for _ in range(n)
    ]
    text = f"round_half_up({text}, 6)"
    try:
        expected = [by_worksheet(text, rows, c) for c in range(1, 1 << n)]
    except InputError:
        expected = None
    if expected is None:
        with pytest.raises(InputError, match=r"zero|bits"):
            worth(text, terms_of_all(rows, SYMBOLS), str)
        return
    found = worth(text, terms_of_all(rows, SYMBOLS), str)
    tops = np.broadcast_to(found.top.at, 2**n - 1)
    for c in range(1, 1 << n):
        value = Fraction(int(tops[c - 1]), found.bottom.at)
        assert value == expected[c - 1]
        assert found.top.least <= tops[c - 1] <= found.top.most


def by_worksheet(text, rows, coalition):
    inside = [row for i, row in enumerate(rows) if coalition >> i & 1]
    known = {"count": Fraction(len(inside))}
    known["sum_usage_quality"] = sum(prod([r["usage"], r["quality"]]) for r in inside)
    for name in ("usage", "cost", "quality"):
        column = [row[name] for row in inside]
        known |= {
            f"sum_{name}": sum(column),
            f"min_{name}": min(column),
            f"max_{name}": max(column),
        }
    return evaluate(text, known)


# sampling


def sampled(text, n, seed=7, draws=2_000):
    return run(formula(text, n, sampling={"seed": seed, "draws": draws}))


CURVED = "min(sum_usage, 60) * 40 * max_quality + round_half_up(sum_usage_quality * 30 / count, 2)"


def test_sampled_values_sum_exactly_and_leave_one_out_is_exact():
    exact, drawn = run(formula(CURVED, 8)), sampled(CURVED, 8)
    assert drawn.how == "sampled"
    assert drawn.valued == 8 * 2_000
    assert sum(drawn.values.values()) == drawn.total == exact.total
    assert sum(drawn.shares.values()) == 1
    assert drawn.lost == exact.lost
    assert drawn.values != exact.values
    assert recompute(drawn.to_dict()) == drawn


def test_repeated_runs_stay_within_the_bound_and_are_off_by_about_the_standard_error():
    exact = run(formula(CURVED, 6)).values
    squares = []
    for seed in range(60):
        drawn = sampled(CURVED, 6, seed, 400)
        assert all(abs(drawn.values[p] - exact[p]) <= drawn.bound_fen for p in exact)
        squares += [float((drawn.values[p] - exact[p]) / drawn.errors_fen[p]) ** 2 for p in exact]
    assert 0.6 < sum(squares) / len(squares) < 1.4


def test_the_bound_shrinks_with_the_draws():
    wide, narrow = (sampled(CURVED, 25, draws=draws) for draws in (1_000, 60_000))
    assert narrow.bound_fen * 20 < wide.bound_fen
    assert narrow.bound_fen * 30 < narrow.total


def test_an_order_and_its_reverse_leave_no_chance_where_players_meet_in_pairs_only():
    """usage² is made of pairs: each is the other's later one in just one of both orders."""
    assert (
        sampled("sum_usage ** 2", 9, draws=100).values == run(formula("sum_usage ** 2", 9)).values
    )


def test_the_draws_are_the_same_everywhere():
    drawn = sampled(CURVED, 24, seed=2025, draws=100)
    assert str(drawn.values["p0"]) == "-1298771/5000"


def test_long_integers_are_sampled_exactly():
    text = "sum_usage ** 2 * 1000000000000000000"
    assert sampled(text, 5, draws=100).values == run(formula(text, 5)).values


# refusals


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"v": 2}, "v"),
        ({"v": True}, "v"),
        ({"game": "chess"}, "game"),
        ({"players": []}, "players"),
        ({"players": "p0"}, "players"),
        ({"players": [{"id": "p0"}, {"id": "p0"}, {"id": "p2"}]}, "players[1].id"),
        ({"players": [{"id": " p0"}]}, "players[0].id"),
        ({"players": [{"id": 7}]}, "players[0].id"),
        ({"players": [{"name": "p0"}]}, "players[0].name"),
        ({"players": ["p0"]}, "players[0]"),
        ({"formula": "sum_usage +"}, "formula"),
        ({"formula": "sum_usgae"}, "formula"),
        ({"formula": "250"}, "formula"),
        ({"formula": "root(sum_usage)"}, "formula"),
        ({"formula": "power(sum_usage, 1/2)"}, "formula"),
        ({"formula": "sum_usage ** 21"}, "formula"),
        ({"formula": "sum_usage ** count"}, "formula"),
        ({"formula": "sum_usage / sum_cost"}, "formula"),
        ({"formula": "floor(sum_usage / (sum_cost - 100))"}, "formula"),
        ({"formula": "round_half_up(sum_usage / 3, count)"}, "formula"),
        ({"formula": "round_half_up(sum_usage / 3, 13)"}, "formula"),
        ({"formula": "((sum_usage ** 20) ** 20) ** 20"}, "formula"),
        ({"formula": 5}, "formula"),
        ({"sampling": {"seed": -1, "draws": 200}}, "sampling.seed"),
        ({"sampling": {"seed": "1/2", "draws": 200}}, "sampling.seed"),
        ({"sampling": {"seed": 1, "draws": 99}}, "sampling.draws"),
        ({"sampling": {"seed": 1, "draws": 101}}, "sampling.draws"),
        ({"sampling": {"seed": 1}}, "sampling.draws"),
        ({"formula": "floor(sum_usage / (sum_cost - 150))",
          "sampling": {"seed": 1, "draws": 100}}, "formula"),
        ({"uses": []}, "uses"),
    ],
)  # fmt: skip
def test_a_wrong_document_is_refused_by_the_name_of_the_field(change, field):
    document = formula("sum_usage")
    with pytest.raises(InputError) as refusal:
        run(document | change)
    assert field in [where for where, _ in refusal.value.problems]


def test_all_faults_are_told_at_once():
    document = formula("sum_usage - sum_cost")
    document["players"][0] = {"id": "p0", "usage": -1, "quality": "1"}
    document["players"][1] = {"id": "p1", "usage": "0.1.1", "cost_fen": 3}
    document["players"][2]["quality"] = 2
    with pytest.raises(InputError) as refusal:
        run(document)
    assert {where for where, _ in refusal.value.problems} == {
        "players[0].usage",
        "players[0].cost_fen",
        "players[1].usage",
        "players[2].quality",
    }


def test_a_division_by_zero_names_the_coalition():
    document = formula("floor(1000 / (sum_usage - 24))")
    with pytest.raises(InputError, match="divides by zero for p0, p1"):
        run(document)


@pytest.mark.parametrize(
    ("spoil", "field", "says"),
    [
        (lambda d: d["coalitions"].pop(), "coalitions", "lack 1 of them, such as p0, p1, p2"),
        (lambda d: d["coalitions"][1]["of"].append("p9"), "coalitions[1].of[1]", "no player"),
        (lambda d: d["coalitions"][1]["of"].append("p1"), "coalitions[1].of[1]", "twice"),
        (lambda d: d["coalitions"].__setitem__(1, d["coalitions"][0]), "coalitions[1].of", "second"),
        (lambda d: d["coalitions"][0].update(value_fen=1.5), "coalitions[0].value_fen", "float"),
        (lambda d: d["coalitions"][0].update(of=[]), "coalitions[0].of", "0 entries"),
        (lambda d: d["players"][0].update(usage=5), "players[0].usage", "not used"),
        (lambda d: d["players"].extend(players(13)[3:]), "players", "1 to 12"),
    ],
)  # fmt: skip
def test_a_table_has_every_coalition_once(spoil, field, says):
    document = table([0, 1, 2, 3, 4, 5, 6, 7])
    spoil(document)
    with pytest.raises(InputError, match=says) as refusal:
        run(document)
    assert field in [where for where, _ in refusal.value.problems]


def test_more_than_twenty_players_must_be_sampled():
    document = formula("sum_usage", 21)
    with pytest.raises(InputError, match="more than 20 players are sampled"):
        run(document)


@pytest.mark.parametrize("sampling", [{}, {"sampling": {"seed": 1, "draws": 200_000}}])
def test_what_would_take_minutes_beyond_63_bits_is_refused_at_once(sampling):
    document = formula(" + ".join(["(sum_usage + max_cost) ** 20"] * 12), 20, **sampling)
    document["players"] = players(20, usage=lambda i: 10**6 + i, cost_fen=lambda i: i)
    with pytest.raises(InputError, match="too many coalitions"):
        run(document)


def test_whatever_is_changed_in_a_handed_out_contribution_is_noticed():
    data = run(table([0, 10, 20, 50])).to_dict()
    assert recompute(data).total == 50

    def leaves(value, way=()):
        if isinstance(value, dict):
            for key, entry in value.items():
                yield from leaves(entry, (*way, key))
        elif isinstance(value, list):
            for key, entry in enumerate(value):
                yield from leaves(entry, (*way, key))
        else:
            yield way

    for way in leaves(data):
        spoilt = copy.deepcopy(data)
        at = spoilt
        for key in way[:-1]:
            at = at[key]
        at[way[-1]] = "7/3" if at[way[-1]] != "7/3" else "1"
        with pytest.raises(InputError):
            recompute(spoilt)
