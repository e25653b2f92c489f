"""A formula has its usual meaning, exactly; what is none is refused; roots and powers are the nearest."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valuation import InputError
from valuation.formulas import evaluate

VALUES = {"a": Fraction(2), "b": Fraction(3), "t_1": Fraction(1, 2)}


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("8 - 3 - 2", 3),
        ("8 / 4 / 2", 1),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("2 ** -2", Fraction(1, 4)),
        ("- -a", 2),
        ("a*-b", -6),
        ("0.05 * 20", 1),
        ("sum(a, b, t_1)", Fraction(11, 2)),
        ("product(a, b)", 6),
        ("min(a, b) + max(a, b)", 5),
        ("floor(-t_1)", -1),
        ("round_half_up(-t_1)", -1),
        ("round_half_up(2/3, 2)", Fraction(67, 100)),
        ("root(100/81)", Fraction(10, 9)),
        ("power(a, 3) + power(a, -1)", Fraction(17, 2)),
        ("power(1.4641, 3/4)", Fraction(1331, 1000)),
        ("power(1.44, -t_1)", Fraction(5, 6)),
        ("power(4/9, 3/2) * power(1, 7/9)", Fraction(8, 27)),
        ("(1 + i) ** 0", None),
    ],
)
def test_a_formula_has_its_usual_meaning(formula, value):
    if value is None:
        with pytest.raises(InputError, match="no earlier step"):
            evaluate(formula, VALUES)
    else:
        assert evaluate(formula, VALUES) == value


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "1 +",
        "(1",
        "1)",
        "a b",
        "1..2",
        "a.b",
        "a[0]",
        "__import__(1)",
        "sum()",
        "floor(1, 2)",
        "1 // 2",
        "1 / 0",
        "0 ** -1",
        "2 ** 0.5",
        "2 ** 1001",
        "(2 ** 999) ** 999",
        "root(-1)",
        "round_half_up(1, 99)",
        "(" * 60 + "1" + ")" * 60,
        "1" + " + 1" * 400,
        "1" * 30000,
        "−1",
        "a; b",
        "sum",
        "ａ",
    ],
)
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(InputError):
        evaluate(formula, VALUES)


@given(st.fractions(min_value=0, max_value=10**6, max_denominator=10**9))
def test_a_root_is_exact_or_the_nearest_of_forty_decimals(value):
    root = evaluate("root(x)", {"x": value})
    with localcontext() as context:
        context.prec = 60
        exact = (Decimal(value.numerator) / Decimal(value.denominator)).sqrt()
        assert abs(Decimal(root.numerator) / Decimal(root.denominator) - exact) <= Decimal(
            "0.51e-40"
        )
    if root * root != value:
        assert (root * 10**40).denominator == 1


@given(
    st.fractions(Fraction(1, 50), 50, max_denominator=999).filter(lambda x: x > 0),
    st.fractions(-40, 40, max_denominator=366),
)
def test_a_power_is_the_nearest_of_forty_decimals(base, exponent):
    value = evaluate("power(x, q)", {"x": base, "q": exponent})
    if value**exponent.denominator == base**exponent.numerator:
        return  # exact, as it is for every integer
    assert exponent.denominator > 1
    assert (value * 10**40).denominator == 1
    with localcontext() as context:
        context.prec = 200
        ratio = [Decimal(n.numerator) / n.denominator for n in (base, exponent)]
        exact = Fraction(ratio[0] ** ratio[1])
    assert abs(value - exact) <= Fraction(1, 2 * 10**40) + Fraction(1, 10**60)


@pytest.mark.parametrize(
    "formula",
    ["power(0, 1/2)", "power(-a, 1/2)", "power(0, -1)", "power(a, 1000.5)", "power(10 ** 17, 10.5)",
     "power(10 ** 19, 1/2)", "power(a)"],
)  # fmt: skip
def test_a_power_that_is_no_number_or_too_long_is_refused(formula):
    with pytest.raises(InputError) as refusal:
        evaluate(formula, VALUES)
    assert refusal.value.field == "formula"


@given(
    st.fractions(Fraction(1, 90), 90, max_denominator=99).filter(bool),
    st.fractions(-9, 9, max_denominator=12),
)
def test_a_power_that_is_rational_is_exact(root, exponent):
    base = root**exponent.denominator
    value = evaluate("power(x, q)", {"x": base, "q": exponent})
    assert value == root**exponent.numerator


@given(st.fractions(Fraction(1, 50), 50, max_denominator=999).filter(bool))
def test_the_power_of_a_half_is_the_root(x):
    assert evaluate("power(x, 1/2)", {"x": x}) == evaluate("root(x)", {"x": x})
