"""The price of authorised operation: what may be taken, caps and fees under it, the review of a cycle."""

import copy
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.valuation.golden import worked
from valuation import InputError, methods
from valuation.inputs import in_fen
from valuation.money import round_half_up
from valuation.price_report import due_on
from valuation.pricing import ITEMS, UNITS, action, review

EXAMPLE = in_fen(worked()["price cap, the example of the rules file"]["document"])
KEYS = [key for key, *_ in ITEMS]
AMOUNT = st.integers(0, 10**13)


def document(**changes):
    made = copy.deepcopy(EXAMPLE)
    made["inputs"] |= changes
    return made


def product(**changes):
    known = {"name": "报告", "unit": "产品数量", "purpose": "industry", "cap_fen": 5, "fee_fen": 5}
    return {**known, "quantity": 1, **changes}


def refused(made):
    with pytest.raises(InputError) as refusal:
        methods.run(made)
    return list(refusal.value.problems)


@given(st.lists(AMOUNT, min_size=8, max_size=8), st.integers(0, 6000), st.integers(0, 9999))
def test_the_permitted_revenue_is_cost_profit_and_taxes_less_excess(amounts, points, rate):
    *items, tax, excess = amounts
    cost = sum(items[:5]) - items[5]
    made = document(
        **dict(zip(KEYS, items, strict=True)), tax_fen=tax, excess_fen=excess,
        rate={"value": f"{rate}/10000", "year": 2024, "source": "s"},
        markup_points=f"{points}/1000", products=[product(cap_fen=0, fee_fen=0)],
    )  # fmt: skip
    r = Fraction(rate, 10**4) + Fraction(points, 10**5)
    top = round_half_up(cost + cost * r + tax - excess)
    if cost < 0:
        assert ("inputs.subsidy_fen", "exceeds") in [(f, w.split()[0]) for f, w in refused(made)]
    elif top < 0:
        assert [field for field, _ in refused(made)] == ["inputs.excess_fen"]
    else:
        assert methods.run(made).value_fen == top


@given(st.sampled_from(KEYS), st.integers(1, 10**12), AMOUNT)
def test_the_permitted_revenue_grows_with_each_cost_and_falls_with_the_subsidy(key, more, base):
    costs = dict.fromkeys(KEYS, base) | {"subsidy_fen": base}
    costs["platform_fen"] = base + 10**12
    free = {"products": [product(cap_fen=0, fee_fen=0)], "excess_fen": 0}
    before = methods.run(document(**costs, **free)).value_fen
    after = methods.run(document(**costs | {key: costs[key] + more}, **free)).value_fen
    # C · r moves by at least as much as C, up to the one fen of rounding
    assert (after - before) * (-1 if key == "subsidy_fen" else 1) >= more


@given(st.integers(1, 10**9), st.integers(0, 10**6), st.integers(1, 1000))
def test_caps_are_held_against_the_permitted_revenue_to_the_fen(cap, quantity, per):
    one = product(cap_fen=cap, quantity=quantity, per=per, fee_fen=0)
    top = methods.run(document(products=[product(cap_fen=0, fee_fen=0)])).value_fen
    made = document(products=[one])
    if Fraction(cap * quantity, per) > top:
        assert [field for field, _ in refused(made)] == ["inputs.products"]
    else:
        assert methods.run(made)["room"].value == top - Fraction(cap * quantity, per)


def test_one_fen_above_the_permitted_revenue_is_refused_and_told_in_yuan():
    products = [product(cap_fen=11_000_000_01)]
    assert refused(document(products=products)) == [
        ("inputs.products", "have caps times quantities of 11000000.01 yuan, but R_max is 11000000.00 yuan")
    ]  # fmt: skip
    assert methods.run(document(products=[product(cap_fen=11_000_000_00)]))["room"].value == 0


def test_a_fee_above_its_cap_is_refused_by_the_product_s_name():
    assert refused(document(products=[product(fee_fen=6)])) == [
        ("inputs.products[0].fee_fen", "of 报告 is 0.06 yuan, above its cap of 0.05 yuan")
    ]


@pytest.mark.parametrize("purpose", ["governance", "benefit"])
@pytest.mark.parametrize("key", ["cap_fen", "fee_fen"])
def test_use_for_governance_and_benefit_is_free(purpose, key):
    one = product(purpose=purpose, cap_fen=0, fee_fen=0)
    assert methods.run(document(products=[one]))["S"].value == 0
    [(field, told)] = refused(document(products=[{**one, key: 1}]))
    assert field == f"inputs.products[0].{key}"
    assert told == f"must be 0: use for {purpose} is free (发改价格〔2025〕65号)"


def test_the_same_product_is_not_capped_twice_but_in_another_unit():
    twice = [product(), product(name="again")]
    assert [field for field, _ in refused(document(products=twice))] == ["inputs.products[1].unit"]
    units = [product(unit=unit) for unit in UNITS]
    assert methods.run(document(products=units))["S"].value == 5 * len(UNITS)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"markup_points": "6.0001"}, "markup_points"),
        ({"markup_points": "-1"}, "markup_points"),
        ({"cycle_years": 4}, "cycle_years"),
        ({"cycle_years": "1/2"}, "cycle_years"),
        ({"stage": "trial"}, "stage"),
        ({"stage": "set", "months_operated": 11}, "stage"),
        ({"survey_year": 2026}, "rate.year"),
        ({"subsidy_fen": 10_500_000_01}, "subsidy_fen"),
        ({"excess_fen": 11_300_000_01}, "excess_fen"),
    ],
)
def test_what_is_beyond_a_limit_of_the_notice_is_refused(changes, field):
    assert refused(document(**changes))[0][0] == f"inputs.{field}"


@given(st.integers(1, 10**13), st.integers(0, 2 * 10**13))
def test_up_to_ten_per_cent_fees_are_adjusted_and_beyond_it_caps(top, taken):
    figure = review(years=[{"year": 2025, "permitted_fen": top, "revenue_fen": taken}], basis="b")
    gap = abs(taken - top)
    assert action(figure) == ("none" if not gap else "fees" if 10 * gap <= top else "caps")
    assert figure["d"].value == Fraction(gap, top)


@pytest.mark.parametrize(
    ("taken", "what"),
    [(900, "fees"), (1100, "fees"), (899, "caps"), (1101, "caps"), (1000, "none")],
)
def test_exactly_ten_per_cent_is_the_operator_s_on_both_sides(taken, what):
    years = [{"year": 2025, "permitted_fen": 1000, "revenue_fen": taken}]
    figure = review(years=years, basis="b")
    assert action(figure) == what
    named = {"none": "nothing", "fees": "the operator", "caps": "the authorising body adjusts"}
    assert named[what] in figure.notes[0].en


@given(st.integers(0, 10**13), st.integers(1, 10))
def test_an_excess_is_spread_over_cycles_to_the_fen(excess, cycles):
    years = [{"year": 2025, "permitted_fen": 1, "revenue_fen": 1 + excess}]
    figure = review(years=years, smooth_over=cycles, basis="b")
    parts = [int(figure[f"E_{k}"].value) for k in range(1, cycles + 1)]
    assert sum(parts) == figure["excess"].value == excess
    assert max(parts) - min(parts) <= 1


def test_what_was_not_taken_in_is_not_carried_over():
    years = [{"year": 2025, "permitted_fen": 100, "revenue_fen": 95}]
    figure = review(years=years, basis="b")
    assert figure["excess"].value == figure["E_1"].value == 0
    assert "not carried over" in figure.notes[1].en


def test_a_report_is_due_on_the_last_of_march_after_its_year():
    assert due_on(2027).isoformat() == "2028-03-31"
    figure = methods.run(worked()["price report"]["document"])
    assert "2026-03-31" in figure.notes[0].zh
    assert figure["old_1"].value == 360
