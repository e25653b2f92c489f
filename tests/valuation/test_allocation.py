"""Many statements allocated at once are line for line what `money.allocate` gives, one after another."""

import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valuation import InputError, allocation
from valuation.allocation import allocate_many, run
from valuation.money import allocate
from valuation.sharing import share

LABEL = {"zh": "项目", "en": "heading"}


def one_by_one(amounts, shares, deficits):
    lines = []
    for amount in amounts:
        paid, deficits = allocate(amount, [amount * part for part in shares], deficits)
        lines.append(paid)
    return lines, deficits


WEIGHTS = st.lists(st.sampled_from([0, 1, 1, 2, 3, 5, 7, 100]), min_size=1, max_size=6).filter(any)
AMOUNTS = st.lists(
    st.integers(0, 4) | st.integers(0, 1_000) | st.integers(0, 10**9), min_size=1, max_size=70
)
DEFICITS = st.fractions(-3, 3, max_denominator=12) | st.integers(-30, 30).map(Fraction)


@given(WEIGHTS, AMOUNTS, st.data())
@settings(max_examples=150, deadline=None)
def test_the_lines_are_those_of_allocate(weights, amounts, data):
    shares = [Fraction(w, sum(weights)) for w in weights]
    n = len(weights)
    before = data.draw(st.none() | st.lists(DEFICITS, min_size=n, max_size=n))
    paid, short = allocate_many(amounts, shares, before)
    assert (paid.tolist(), short) == one_by_one(amounts, shares, before or [Fraction(0)] * n)


@pytest.mark.parametrize("most", [1, 6, 40, 300, 10**5, 2**53 - 1])
def test_thousands_of_statements_across_the_arrays_ends(most):
    draw = random.Random(most)
    amounts = [draw.randint(0, most) for _ in range(20_000 if most < 300 else 9_000)]
    shares = [Fraction(s, 32) for s in (8, 8, 6, 5, 5)]
    paid, short = allocate_many(np.array(amounts), shares)
    sample = 3_000  # from the start, and the last ones from where those before left it
    assert paid[:sample].tolist() == one_by_one(amounts[:sample], shares, None)[0]
    rest = len(amounts) - 500
    had = [sum(column) for column in paid[:rest].T.tolist()]
    left = [sum(amounts[:rest]) * s - h for s, h in zip(shares, had, strict=True)]
    assert (paid[rest:].tolist(), short) == one_by_one(amounts[rest:], shares, left)
    assert paid.sum(axis=1).tolist() == amounts
    assert paid.min() >= 0


def test_both_ways_are_taken_and_agree(monkeypatch):
    draw = random.Random(4)
    amounts = [draw.choice([0, 1, 2, 3, 900]) for _ in range(4_000)]
    shares = [Fraction(1, 1000), Fraction(499, 1000), Fraction(1, 2)]
    settled = []
    monkeypatch.setattr(
        allocation, "settle", lambda *args, real=allocation.settle: settled.append(args) or real(*args)
    )  # fmt: skip
    arrays = allocate_many(amounts, shares)
    assert 0 < len(settled) < len(amounts)
    monkeypatch.setattr(allocation, "_FITS", 1)
    settled.clear()
    assert allocate_many(amounts, shares)[1] == arrays[1]
    assert allocate_many(amounts, shares)[0].tolist() == arrays[0].tolist()
    assert len(settled) == 2 * len(amounts)


def test_nobody_is_ever_a_fen_off():
    shares = [Fraction(s, 37) for s in (1, 5, 7, 11, 13)]
    amounts = np.random.Generator(np.random.PCG64(9)).integers(0, 50, 50_000)
    paid, _ = allocate_many(amounts, shares)
    due = np.cumsum(amounts)[:, None] * np.array([1, 5, 7, 11, 13])  # in 1/37 fen
    assert np.abs(due - 37 * np.cumsum(paid, axis=0)).max() < 37


@pytest.mark.parametrize(
    ("amounts", "shares", "deficits", "field"),
    [
        ([1, -1], [1], None, "amounts[1]"),
        ([1, True], [1], None, "amounts[1]"),
        ([1, 1.0], [1], None, "amounts[1]"),
        ([2**53], [1], None, "amounts[0]"),
        (np.array([1.0]), [1], None, "amounts"),
        (np.array([-1]), [1], None, "amounts"),
        ([1], [Fraction(1, 2)], None, "shares"),
        ([1], [Fraction(3, 2), Fraction(-1, 2)], None, "shares[0]"),
        ([1], [0.5, 0.5], None, "shares[0]"),
        ([1], [1], [0, 0], "deficits"),
        ([1], [1], [10_001], "deficits[0]"),
    ],
)
def test_what_allocate_refuses_is_refused(amounts, shares, deficits, field):
    with pytest.raises(InputError) as refusal:
        allocate_many(amounts, shares, deficits)
    assert refusal.value.field == field


# a series of statements by a scheme


def scheme(*steps):
    return {"v": 1, "name": LABEL, "steps": list(steps)}


NESTED = scheme(
    {"kind": "share", "party": "treasury", "label": LABEL, "ratio": "1/10"},
    {"kind": "pool", "label": LABEL, "shares": [
        {"party": "operator", "share": "3/7"},
        {"share": "4/7", "label": LABEL, "steps": [
            {"kind": "contribution", "label": LABEL, "parties": ["A", "operator"], "document": {
                "v": 1, "game": "uses", "players": [{"id": "A"}, {"id": "operator"}], "uses": [
                    {"value_fen": 600, "needs": ["A", "operator"]}, {"value_fen": 300, "needs": ["A"]},
                ]}}]},
    ]},
)  # fmt: skip


def test_a_series_is_what_sharing_gives_statement_by_statement():
    draw = random.Random(1)
    amounts = [draw.randint(0, 40) for _ in range(60)]
    carried = {"gone": Fraction(3, 2), "operator": Fraction(-3, 2)}
    series = run({
        "scheme": NESTED, "deficits": [{"fen": str(v), "party": p} for p, v in carried.items()],
        "statements": [{"amount_fen": amount, "name": f"order {k}"} for k, amount in enumerate(amounts)],
    })  # fmt: skip
    assert sum(series.shares.values()) == 1
    for amount, row in zip(amounts, series.paid.tolist(), strict=True):
        statement = share(NESTED, amount, deficits=carried)
        carried = statement.deficits_after
        got = dict(zip(series.parties, row, strict=True))
        assert {p: fen for p, fen in got.items() if fen} == {
            p: fen for p, fen in statement.paid_fen().items() if fen
        }
    assert series.deficits_after == carried
    assert series.totals_fen() == dict(
        zip(series.parties, map(sum, zip(*series.paid.tolist(), strict=True)), strict=True)
    )


@pytest.mark.parametrize(
    ("step", "place"),
    [
        ({"kind": "recover", "party": "a", "label": LABEL, "fact": "c_fen"}, "scheme.steps[0]"),
        ({"kind": "share", "party": "a", "label": LABEL, "ratio": "1/2", "most_fen": 9}, "scheme.steps[0]"),
        ({"kind": "fixed", "party": "a", "label": LABEL, "amount_fen": 9}, "scheme.steps[0]"),
    ],
)  # fmt: skip
def test_a_scheme_without_fixed_shares_is_refused(step, place):
    pool = {"kind": "pool", "label": LABEL, "shares": [{"party": "b", "share": 1}]}
    with pytest.raises(InputError, match="no fixed share") as refusal:
        run({"scheme": scheme(step, pool), "statements": [{"amount_fen": 1}]})
    assert refusal.value.field == place


def test_every_wrong_statement_is_named():
    rows = [
        {"amount_yuan": "0.01"},
        {"amount_fen": -1},
        {"name": "x"},
        {"amount_fen": 1, "name": ""},
    ]
    with pytest.raises(InputError) as refusal:
        run({"scheme": NESTED, "statements": rows})
    assert [field for field, _ in refusal.value.problems] == [
        "statements[1].amount_fen",
        "statements[2].amount_fen",
        "statements[3].name",
    ]
