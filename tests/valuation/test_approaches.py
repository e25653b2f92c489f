"""The three approaches: linear in scale, monotone, and exact where a hand can compute it."""

from fractions import Fraction
from math import floor

import numpy_financial
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valuation import InputError, cost, income, market
from valuation.money import round_half_up
from valuation.reconciliation import reconcile
from valuation.worksheet import recompute

money = st.integers(0, 10**12)
rates = st.fractions(0, Fraction(19, 100), max_denominator=200)
PARTS = ("risk_free", "management", "circulation", "data_security", "regulatory")
NO_RATE = dict.fromkeys(PARTS, "0")


def rate_of(i):
    return {**NO_RATE, "risk_free": i}


def by_cost(direct, *factors, **items):
    rest = (
        dict.fromkeys(("preparatory_fen", "indirect_fen", "opportunity_fen", "taxes_fen"), 0)
        | items
    )
    stated = [{"zh": "系数", "en": "factor", "value": value, "basis": "test"} for value in factors]
    return cost.appraise(direct_fen=direct, factors=stated, **rest)


def by_income(flows, i=0, timing="end", **lengths):
    periods = [{"income_fen": flow} for flow in flows]
    return income.appraise(
        model="direct", periods=periods, rate=rate_of(i), timing=timing, **lengths
    )


def comparable(price, weight=1, **changes):
    return {
        "name": "可比案例",
        "price_fen": price,
        "weight": weight,
        "quality": 1,
        "supply_demand": 1,
        "date": {"valuation_index": 1, "comparable_index": 1},
        "capacity": {"subject": 1, "comparable": 1},
        "other": 1,
        "basis": "test",
        **changes,
    }


def by_market(*parts):
    return market.appraise(parts=[{"name": "部分", "comparables": list(part)} for part in parts])


@given(money, money, st.fractions(Fraction(1, 100), 3, max_denominator=100))
def test_cost_is_the_sum_times_the_factor(direct, indirect, factor):
    figure = by_cost(direct, factor, indirect_fen=indirect)
    assert figure.value_fen == round_half_up((direct + indirect) * factor)
    assert recompute(figure) == figure.value


@given(money, money)
def test_more_cost_is_never_worth_less(one, other):
    assert (by_cost(one, "9/10").value <= by_cost(other, "9/10").value) or one > other


def test_without_a_factor_the_figure_says_so():
    figure = by_cost(100)
    assert figure.value == 100
    assert "δ is 1" in figure.notes[0].en
    assert not by_cost(100, "1").notes


@given(
    st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=12),
    st.sampled_from(["end", "mid"]),
)
def test_with_a_zero_rate_the_value_is_the_sum(flows, timing):
    assert by_income(flows, 0, timing).value == sum(flows)


@given(st.lists(money, min_size=1, max_size=8), rates)
@settings(deadline=None)
def test_the_present_value_is_what_fractions_say(flows, i):
    exact = sum(Fraction(flow) / (1 + i) ** t for t, flow in enumerate(flows, start=1))
    figure = by_income(flows, i)
    assert figure.value == round_half_up(exact)
    assert recompute(figure.to_dict()) == figure.value


@given(st.lists(money, min_size=1, max_size=6), rates, rates)
@settings(deadline=None)
def test_a_higher_rate_never_gives_more_and_mid_period_never_less(flows, i, j):
    low, high = sorted((i, j))
    assert by_income(flows, high).value <= by_income(flows, low).value
    assert by_income(flows, i, "mid").value >= by_income(flows, i).value


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6), rates, st.integers(2, 9))
@settings(deadline=None)
def test_the_present_value_grows_with_scale(flows, i, scale):
    one, many = by_income(flows, i).value, by_income([scale * flow for flow in flows], i).value
    assert abs(many - scale * one) <= Fraction(scale + 1, 2)


timings = st.sampled_from(["end", "mid"])
lengths = st.fractions(Fraction(1, 366), 1, max_denominator=366).filter(bool)
lives = st.fractions(Fraction(1, 12), 12, max_denominator=12).filter(bool)
some_flows = st.lists(st.integers(-(10**10), 10**10), min_size=1, max_size=8)


@given(some_flows, rates)
def test_numpy_financial_finds_the_same_present_value(flows, i):
    theirs = numpy_financial.npv(float(i), [0, *flows])
    assert abs(by_income(flows, i).value - theirs) <= 0.5 + 1e-12 * sum(map(abs, flows))


@given(some_flows, rates, timings)
def test_full_stubs_and_a_life_beyond_the_forecast_change_nothing(flows, i, timing):
    plain = by_income(flows, i, timing).value
    assert by_income(flows, i, timing, first_period=1).value == plain
    assert by_income(flows, i, timing, life=60).value == plain
    if len(flows) > 1:
        assert by_income(flows, i, timing, last_period="1").value == plain


@given(some_flows, timings, lengths)
def test_with_a_zero_rate_stubs_change_nothing(flows, timing, length):
    assert by_income(flows, 0, timing, first_period=length).value == sum(flows)


@given(st.lists(money, min_size=1, max_size=6), rates, lengths)
def test_a_stub_is_never_worth_less_than_a_full_period_and_mid_never_less_than_end(
    flows, i, length
):
    """Income that comes earlier is worth more; as floats have it, to their fifteen digits."""
    end, mid = (by_income(flows, i, timing, first_period=length) for timing in ("end", "mid"))
    assert by_income(flows, i).value <= end.value <= mid.value
    times = [float(length) + t for t in range(len(flows))]
    about = sum(flow * (1 + float(i)) ** -time for flow, time in zip(flows, times, strict=True))
    assert abs(end.value - about) <= 1 + 1e-12 * about
    assert recompute(mid.to_dict()) == mid.value


@given(st.lists(money, min_size=1, max_size=6), rates, timings, lives, lives)
def test_a_longer_life_is_never_worth_less_at_no_rate_and_never_more_than_all(
    flows, i, timing, one, other
):
    short, long = sorted((one, other))
    lived = [by_income(flows, 0, timing, life=life).value for life in (short, long)]
    assert lived[0] <= lived[1] <= sum(flows)
    whole, part = floor(short), short - floor(short)
    counted = sum(flows[:whole]) + (flows[whole] * part if whole < len(flows) else 0)
    assert lived[0] == round_half_up(counted)
    figure = by_income(flows, i, timing, life=short)
    assert recompute(figure.to_dict()) == figure.value
    assert any("after that is 0" in note.en for note in figure.notes)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"first_period": 0}, "first_period"),
        ({"first_period": "7/6"}, "first_period"),
        ({"first_period": 0.5}, "first_period"),
        ({"last_period": "-1/2"}, "last_period"),
        ({"last_period": "1/2", "life": 2}, "last_period"),
        ({"life": 0}, "life"),
        ({"life": 61}, "life"),
        ({"life": "nan"}, "life"),
        ({"rate_basis": {"risk": "x"}}, "rate_basis.risk"),
        ({"rate_basis": {"risk_free": ""}}, "rate_basis.risk_free"),
    ],
)
def test_a_length_or_basis_that_cannot_be_is_refused_by_name(given, field):
    with pytest.raises(InputError) as refusal:
        income.appraise(model="direct", periods=[{"income_fen": 1}] * 2, rate=NO_RATE, **given)
    assert refusal.value.field == field


def test_a_last_period_alone_is_the_first():
    with pytest.raises(InputError, match="first_period"):
        by_income([1], last_period="1/2")


def test_sixty_periods_after_a_stub_recompute_and_a_forecast_short_of_the_life_says_so():
    rate = {**NO_RATE, "risk_free": "0.0181234567", "management": "0.0212345679"}
    periods = [{"revenue_fen": 10**12 + t, "share": f"{t}/997"} for t in range(1, 61)]
    for lengths_of in ({"first_period": "37/365"}, {"first_period": "1/365", "life": "59.5"}):
        figure = income.appraise(
            model="share_of_revenue", periods=periods, rate=rate, timing="mid", **lengths_of
        )
        assert recompute(figure.to_dict()) == figure.value
    assert "less than the life" in by_income([1], life=2).notes[-1].en


def test_an_exact_half_is_rounded_up_though_the_discount_factor_does_not_terminate():
    assert by_income([3], "0.2").value == 3  # 3 / 1.2 = 2.5


def test_an_exact_half_is_rounded_up_after_a_stub_too():
    assert by_income([3], "0.44", first_period="1/2").value == 3  # 3 / 1.2 = 2.5


def test_mid_period_is_exact_where_the_root_is_rational():
    assert by_income([110], Fraction(21, 100), "mid").value == 100
    figure = by_income([110], "0.2", "mid")
    assert (figure["g"].value * 10**40).denominator == 1
    assert "40" in figure["g"].rounding


def test_sixty_periods_of_a_fine_rate_recompute():
    rate = {**NO_RATE, "risk_free": "0.0181234567", "management": "0.0212345679"}
    periods = [{"revenue_fen": 10**12 + t, "share": f"{t}/997"} for t in range(1, 61)]
    figure = income.appraise(model="share_of_revenue", periods=periods, rate=rate, timing="mid")
    assert recompute(figure.to_dict()) == figure.value


def test_a_negative_forecast_gives_a_negative_value_and_a_note():
    figure = by_income([-500])
    assert figure.value == -500
    assert any("negative" in note.en for note in figure.notes)


@pytest.mark.parametrize(
    ("rate", "field"),
    [
        ({"risk_free": "-1"}, "rate.risk_free"),
        ({"risk_free": "-2"}, "rate.risk_free"),
        ({"management": "-0.01"}, "rate.management"),
        ({"circulation": 0.1}, "rate.circulation"),
        ({"data_security": "1"}, "rate.data_security"),
        ({"risk_free": "0.5", "regulatory": "0.5"}, "rate"),
        ({"risk_free": "1/999999999999", "regulatory": "1/999999999998"}, "rate"),
        ({"currency": "0"}, "rate.currency"),
    ],
)
def test_a_rate_out_of_range_is_refused_by_name(rate, field):
    with pytest.raises(InputError) as refusal:
        income.appraise(model="direct", periods=[{"income_fen": 1}], rate={**NO_RATE, **rate})
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("model", "period", "field"),
    [
        ("direct", {"income_fen": 1.0}, "periods[0].income_fen"),
        ("direct", {"income_fen": 2**60}, "periods[0].income_fen"),
        ("direct", {}, "periods[0].income_fen"),
        ("direct", {"income_fen": 1, "share": "1"}, "periods[0].share"),
        ("share_of_revenue", {"revenue_fen": -1, "share": "0.1"}, "periods[0].revenue_fen"),
        ("share_of_revenue", {"revenue_fen": 1, "share": "1.1"}, "periods[0].share"),
        ("share_of_profit", {"profit_fen": 1, "share": "-0.1"}, "periods[0].share"),
        ("excess", {"income_fen": 1, "contributions": 3}, "periods[0].contributions"),
        ("incremental", {"with_fen": 1}, "periods[0].without_fen"),
        ("royalty", {"income_fen": 1}, "model"),
    ],
)
def test_a_period_that_does_not_fit_its_model_is_refused_by_name(model, period, field):
    with pytest.raises(InputError) as refusal:
        income.appraise(model=model, periods=[period], rate=NO_RATE)
    assert refusal.value.field == field


@pytest.mark.parametrize("periods", [[], [{"income_fen": 1}] * 61, "periods", None, {}])
def test_the_number_of_periods_is_from_one_to_sixty(periods):
    with pytest.raises(InputError) as refusal:
        income.appraise(model="direct", periods=periods, rate=NO_RATE)
    assert refusal.value.field == "periods"


@given(money, money, st.integers(0, 10))
def test_comparables_of_one_part_are_averaged_and_parts_are_added(one, other, tenths):
    half = by_market([comparable(one, "1/2"), comparable(other, "1/2")])
    assert half.value == round_half_up(Fraction(one + other, 2))
    assert by_market([comparable(one)], [comparable(other)]).value == one + other
    if 0 < tenths < 10:
        figure = by_market(
            [comparable(one, Fraction(tenths, 10)), comparable(one, Fraction(10 - tenths, 10))]
        )
        assert figure.value == one


def test_each_factor_of_the_market_approach_multiplies():
    figure = by_market(
        [
            comparable(
                1_000_000_00,
                quality="6/5",
                supply_demand="9/10",
                date={"valuation_index": 110, "comparable_index": 100},
                capacity={"subject": 2, "comparable": 1},
            )
        ]
    )
    assert figure.display() == "2376000.00"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price_fen": -1}, "price_fen"),
        ({"quality": 0}, "quality"),
        ({"supply_demand": "-1"}, "supply_demand"),
        ({"other": 1.0}, "other"),
        ({"basis": " "}, "basis"),
        ({"date": {"valuation_index": 1, "comparable_index": 0}}, "date.comparable_index"),
        ({"capacity": {"subject": 1}}, "capacity.comparable"),
    ],
)
def test_a_comparable_out_of_range_is_refused_by_name(change, field):
    with pytest.raises(InputError) as refusal:
        by_market([comparable(1, **change)])
    assert refusal.value.field == f"parts[0].comparables[0].{field}"


def test_weights_that_do_not_sum_to_one_are_refused():
    with pytest.raises(InputError) as refusal:
        by_market([comparable(1, "1/2"), comparable(1, "1/3")])
    assert refusal.value.field == "parts[0].comparables"
    with pytest.raises(InputError) as refusal:
        reconcile([(by_cost(1), "1/2", "test")])
    assert refusal.value.field == "figures"


def test_a_reconciled_figure_holds_the_steps_of_both():
    figure = reconcile(
        [(by_cost(100, "9/10"), "1/3", "成本可靠"), (by_income([50], "0.1"), "2/3", "收益可靠")]
    )
    assert figure.value == round_half_up(Fraction(90, 3) + Fraction(2 * 45, 3))
    assert figure["m1_P"].value == 90
    assert figure["m2_P"].formula == "round_half_up(sum(m2_PV_1))"
    assert recompute(figure.to_dict()) == figure.value


ITEMS = ("preparatory", "direct", "indirect", "opportunity", "taxes")


@given(money, money, st.fractions(Fraction(1, 100), 3, max_denominator=100))
def test_a_factor_for_all_items_is_one_for_the_sum_and_lines_are_their_sum(one, other, value):
    factor = {"zh": "系数", "en": "factor", "value": value, "basis": "test"}
    rest = dict.fromkeys(("preparatory_fen", "opportunity_fen", "taxes_fen"), 0)
    lines = [{"name": "行", "amount_fen": part, "basis": "test"} for part in (one, other)]
    plain = cost.appraise(**rest, direct_fen=one + other, indirect_fen=3, factors=[factor])
    scoped = cost.appraise(
        **rest,
        lines={"direct": lines},
        indirect_fen=3,
        factors=[{**factor, "applies_to": list(ITEMS)}],
    )
    assert scoped.value == plain.value
    partly = cost.appraise(
        **rest,
        direct_fen=one + other,
        indirect_fen=3,
        factors=[{**factor, "applies_to": ["direct"]}],
    )
    assert partly.value == round_half_up((one + other) * value + 3)


LINE = {"name": "采集", "amount_fen": 1, "basis": "合同"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"lines": {"direct": [LINE]}}, "direct_fen"),
        ({"direct_fen": None}, "direct_fen"),
        ({"direct_fen": None, "lines": {"direct": []}}, "lines.direct"),
        ({"direct_fen": None, "lines": {"direct": [{**LINE, "amount_fen": -1}]}},
         "lines.direct[0].amount_fen"),
        ({"direct_fen": None, "lines": {"direct": [{**LINE, "basis": ""}]}},
         "lines.direct[0].basis"),
        ({"lines": {"profit": [LINE]}}, "lines.profit"),
        ({"factors": [{"zh": "a", "en": "a", "value": 1, "basis": "b", "applies_to": []}]},
         "factors[0].applies_to"),
        ({"factors": [{"zh": "a", "en": "a", "value": 1, "basis": "b", "applies_to": ["x"]}]},
         "factors[0].applies_to[0]"),
        ({"factors": [{"zh": "a", "en": "a", "value": 1, "basis": "b",
                       "applies_to": ["taxes", "taxes"]}]}, "factors[0].applies_to[1]"),
    ],
)  # fmt: skip
def test_a_line_or_a_scope_that_cannot_be_is_refused_by_name(given, field):
    rest = dict.fromkeys((f"{item}_fen" for item in ITEMS), 1)
    with pytest.raises(InputError) as refusal:
        cost.appraise(**{**rest, "factors": [], **given})
    assert refusal.value.field == field


def by_expert_9(total=1_000_000_00, **changes):
    given = {
        "return_on_cost": "1/10",
        "quality": "4/5",
        "transmission": {"open": 2, "public": "3/2", "shared": 1},
        "volumes": {"open": 10, "public": 20, "shared": 30, "total": 100},
        "monopoly": {"system": 1, "industry": 4},
        "risk": "1/5",
        "basis": "test",
    }
    return cost.appraise_expert_9(total_cost_fen=total, **{**given, **changes})


@given(money, st.integers(0, 100), st.integers(0, 100), st.integers(2, 9))
def test_expert_9_is_monotone_in_quality_falls_with_risk_and_is_linear_in_cost(
    total, one, other, scale
):
    low, high = sorted((Fraction(one, 100), Fraction(other, 100)))
    assert by_expert_9(total, quality=low).value <= by_expert_9(total, quality=high).value
    assert by_expert_9(total, risk=low).value >= by_expert_9(total, risk=high).value
    assert by_expert_9(total, risk=1).value == 0
    many = by_expert_9(scale * total)
    assert abs(many.value - scale * by_expert_9(total).value) <= Fraction(scale + 1, 2)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"total": -1}, "total_cost_fen"),
        ({"return_on_cost": "-0.1"}, "return_on_cost"),
        ({"quality": "1.01"}, "quality"),
        ({"risk": "1.01"}, "risk"),
        ({"risk": float("nan")}, "risk"),
        ({"basis": ""}, "basis"),
        ({"transmission": {"open": 1, "public": 1}}, "transmission.shared"),
        ({"transmission": {"open": 1, "public": 1, "shared": -1}}, "transmission.shared"),
        ({"volumes": {"open": 1, "public": 1, "shared": 1, "total": 0}}, "volumes.total"),
        ({"volumes": {"open": 1, "public": 1, "shared": 1, "total": 2}}, "volumes.total"),
        ({"monopoly": {"system": 1, "industry": 0}}, "monopoly.industry"),
        ({"monopoly": {"system": 5, "industry": 4}}, "monopoly.system"),
    ],
)
def test_a_coefficient_of_expert_9_out_of_range_is_refused_by_name(changes, field):
    with pytest.raises(InputError) as refusal:
        by_expert_9(**changes)
    assert refusal.value.field == field
