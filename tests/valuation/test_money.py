"""Money is exact: text to fen and back, ratios, rounding, and an allocation that never drifts by a fen."""

import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valuation import InputError
from valuation.money import MAX_FEN, allocate, exact_text, fen, ratio, round_half_up, yuan

amounts = st.one_of(st.integers(0, 40), st.integers(0, 10**12))
weight_lists = st.lists(st.integers(1, 40), min_size=1, max_size=8)


def shares_of(amount, weights):
    return [Fraction(amount * weight, sum(weights)) for weight in weights]


@given(st.integers(-MAX_FEN, MAX_FEN))
def test_fen_and_yuan_are_inverse(amount):
    assert fen(yuan(amount)) == amount


@pytest.mark.parametrize(
    ("text", "amount"), [("0", 0), ("12", 1200), ("12.3", 1230), ("0.05", 5), ("-0.05", -5)]
)
def test_yuan_is_read_with_up_to_two_decimals(text, amount):
    assert fen(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "+1",
        "01",
        "1.",
        ".5",
        "1.234",
        "1,000.00",
        "1e3",
        "-0",
        "-0.00",
        "NaN",
        "inf",
        "１２",
        "¥1",
        "1_0",
        "0x1",
        "1.2.3",
        "1\n",
        "90071992547409.92",
        "9" * 400,
        1,
        1.5,
        None,
        True,
        b"1",
    ],
)
def test_an_amount_that_is_not_canonical_is_refused_by_name(text):
    with pytest.raises(InputError) as refusal:
        fen(text, "price")
    assert refusal.value.field == "price"


def test_an_over_precise_amount_is_refused_for_its_decimals():
    with pytest.raises(InputError, match="more than two decimals"):
        fen("0.001")


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        ("0.05", Fraction(1, 20)),
        ("7/100", Fraction(7, 100)),
        ("-1/3", Fraction(-1, 3)),
        (3, Fraction(3)),
        (Fraction(2, 7), Fraction(2, 7)),
        (Decimal("0.1"), Fraction(1, 10)),
    ],
)
def test_a_ratio_is_exact(value, exact):
    assert ratio(value) == exact
    assert ratio(exact_text(exact)) == exact


@pytest.mark.parametrize(
    "value",
    [
        0.05,
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("Infinity"),
        True,
        None,
        [],
        "",
        " 1",
        "5%",
        "1/0",
        "1/-2",
        "01",
        "1e-2",
        "1e999999999",
        ".5",
        "+1",
        "１",
        "1/2/3",
        "9" * 41,
        "0.0000000000000000001",
    ],
)
def test_a_number_that_is_not_exact_is_refused_by_name(value):
    with pytest.raises(InputError) as refusal:
        ratio(value, "rate.risk_free")
    assert refusal.value.field == "rate.risk_free"


@given(st.fractions())
def test_rounding_is_half_away_from_zero(value):
    rounded = round_half_up(value)
    assert abs(rounded - value) <= Fraction(1, 2)
    assert round_half_up(-value) == -rounded
    if abs(rounded - value) == Fraction(1, 2):
        assert abs(rounded) > abs(value)


@given(st.lists(amounts, max_size=60), weight_lists)
@settings(max_examples=150, deadline=None)
def test_with_fixed_shares_nobody_is_ever_a_fen_off(statements, weights):
    carried = None
    for amount in statements:
        paid, carried = allocate(amount, shares_of(amount, weights), carried)
        assert sum(paid) == amount
        assert min(paid) >= 0
        assert max(abs(short) for short in carried) < 1


@pytest.mark.parametrize("seed", range(4))
def test_with_fixed_shares_nobody_is_a_fen_off_over_5000_statements(seed):
    chance = random.Random(seed)
    weights = [chance.randint(1, 30) for _ in range(chance.randint(2, 7))]
    carried, entitled, received = None, [Fraction(0)] * len(weights), [0] * len(weights)
    for _ in range(5_000):
        amount = chance.choice([0, 1, 2, chance.randint(0, 60), chance.randint(0, 10**9)])
        parts = shares_of(amount, weights)
        paid, carried = allocate(amount, parts, carried)
        entitled = [a + b for a, b in zip(entitled, parts, strict=True)]
        received = [a + b for a, b in zip(received, paid, strict=True)]
        assert carried == [a - b for a, b in zip(entitled, received, strict=True)]
        assert max(abs(short) for short in carried) < 1
        assert sum(paid) == amount
        assert min(paid) >= 0


def test_the_shares_that_leave_17_16_under_largest_deficit_stay_below_a_fen():
    carried = None
    for amount in (2, 8, 16):
        _, carried = allocate(amount, [Fraction(amount * s, 32) for s in (8, 8, 6, 5, 5)], carried)
        assert max(abs(short) for short in carried) < 1


@pytest.mark.parametrize("seed", range(4))
def test_one_fen_over_four_varying_parties_overpays_nobody_by_a_fen(seed):
    chance = random.Random(seed)
    carried = None
    for _ in range(5_000):
        cuts = sorted(chance.sample(range(1, 32), 3))
        parts = [Fraction(b - a, 32) for a, b in zip([0, *cuts], [*cuts, 32], strict=True)]
        paid, carried = allocate(1, parts, carried)
        assert sum(paid) == 1
        assert min(carried) > -1
        assert max(carried) < Fraction(5, 4)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_with_parts_that_vary_nobody_is_overpaid_by_a_fen(data):
    count = data.draw(st.integers(1, 6))
    carried = None
    for _ in range(data.draw(st.integers(1, 25))):
        weights = data.draw(
            st.lists(st.integers(0, 12), min_size=count, max_size=count).filter(any),
            label="weights",
        )
        amount = data.draw(amounts, label="amount")
        paid, carried = allocate(amount, shares_of(amount, weights), carried)
        assert sum(paid) == amount
        assert min(paid) >= 0
        assert min(carried) > -1


def test_floors_that_exceed_the_amount_are_taken_back_from_the_latest_due():
    # due: 3/2, 3/2, -1; the floors 1 + 1 exceed the amount 1. The first party's fen fell due earlier.
    carried = [Fraction(5, 4), Fraction(1), Fraction(-9, 4)]
    paid, after = allocate(1, [Fraction(1, 4), Fraction(1, 2), Fraction(1, 4)], carried)
    assert paid == [1, 0, 0]
    assert after == [Fraction(1, 2), Fraction(3, 2), Fraction(-2)]


def test_of_equal_claims_the_last_gives_back():
    paid, _ = allocate(1, [Fraction(1, 2), Fraction(1, 2), 0], [Fraction(1, 2), Fraction(1, 2), -1])
    assert paid == [1, 0, 0]


def test_a_party_without_part_gets_its_whole_fen_but_no_left_over_fen():
    paid, after = allocate(3, [3, 0], [Fraction(-7, 4), Fraction(7, 4)])
    assert paid == [2, 1]
    assert after == [Fraction(-3, 4), Fraction(3, 4)]


def test_where_nobody_with_a_part_is_below_its_ceiling_the_fen_goes_to_whom_it_is_owed():
    # due: 1/2, 1/2, 1/2, -2/5, -1/10: the two that share are ahead
    carried = [Fraction(1, 2)] * 3 + [Fraction(-9, 10), Fraction(-6, 10)]
    paid, after = allocate(1, [0, 0, 0, Fraction(1, 2), Fraction(1, 2)], carried)
    assert paid == [1, 0, 0, 0, 0]
    assert min(after) > -1


def test_deficits_that_do_not_sum_to_zero_still_place_every_fen():
    paid, _ = allocate(10, [5, 5], [-4, -4])
    assert sum(paid) == 10


def test_nothing_is_shared_out_of_nothing():
    assert allocate(0, [0, 0], [Fraction(1, 3), Fraction(-1, 3)]) == (
        [0, 0],
        [Fraction(1, 3), Fraction(-1, 3)],
    )
    assert allocate(0, []) == ([], [])


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((-1, [-1]), "amount_fen"),
        ((1.0, [1]), "amount_fen"),
        (("1", [1]), "amount_fen"),
        ((True, [1]), "amount_fen"),
        ((1, [0.5, 0.5]), "parts[0]"),
        ((1, [2, -1]), "parts[1]"),
        ((1, [Fraction(1, 2)]), "parts"),
        ((1, []), "parts"),
        ((1, [1], [0, 0]), "deficits"),
        ((1, [1], [0.0]), "deficits[0]"),
        ((1, [1], [20_000]), "deficits[0]"),
    ],
)
def test_an_allocation_of_anything_else_is_refused_by_name(arguments, field):
    with pytest.raises(InputError) as refusal:
        allocate(*arguments)
    assert refusal.value.field == field
