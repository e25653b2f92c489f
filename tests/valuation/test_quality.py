"""The quality score counts what was measured, and says what was not."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valuation import InputError, NoSolution
from valuation.quality import DIMENSIONS, INDICATORS, score
from valuation.worksheet import recompute


def measured(code, a, b, weight=1):
    return {"code": code, "weight": weight, "a": a, "b": b}


def asked(code, weight=1):
    return {"code": code, "weight": weight, "not_measured": "已询问"}


def test_the_standard_has_six_dimensions_and_twenty_indicators_two_of_them_inverse():
    assert len(DIMENSIONS) == 6
    assert len(INDICATORS) == 20
    assert {code[:2] for code in INDICATORS} == set(DIMENSIONS)
    assert {one.zh for one in INDICATORS.values() if one.inverse} == {"数据重复率", "脏数据出现率"}


def test_what_was_not_measured_is_left_out_and_said():
    figure = score(
        indicators=[
            measured("0201", 9, 10, "1/2"),
            asked("0301", "1/4"),
            measured("0601", 1, 2, "1/4"),
        ]
    )
    assert figure.value == (Fraction(9, 20) + Fraction(1, 8)) / Fraction(3, 4)
    assert figure["M"].value == Fraction(3, 4)
    assert figure["U"].value == Fraction(1, 4)
    assert "0301" in figure.notes[0].zh
    assert recompute(figure.to_dict()) == figure.value


def test_an_indicator_without_elements_is_not_applicable():
    figure = score(indicators=[measured("0201", 0, 0), measured("0202", 1, 4)])
    assert figure.value == Fraction(1, 4)
    assert "not applicable" in figure.notes[0].en


def test_where_nothing_was_measured_there_is_no_score():
    with pytest.raises(NoSolution):
        score(indicators=[asked("0201"), measured("0202", 0, 0)])


counts = st.tuples(st.integers(0, 1000), st.integers(1, 1000)).map(sorted).map(tuple)


@given(
    st.dictionaries(
        st.sampled_from(sorted(INDICATORS)), st.tuples(counts, st.integers(1, 9)), min_size=1
    )
)
def test_a_score_lies_between_its_worst_and_best_indicator(entries):
    figure = score(indicators=[measured(code, a, b, w) for code, ((a, b), w) in entries.items()])
    singles = [
        1 - Fraction(a, b) if INDICATORS[code].inverse else Fraction(a, b)
        for code, ((a, b), _) in entries.items()
    ]
    assert 0 <= min(singles) <= figure.value <= max(singles) <= 1


@given(st.integers(2, 7))
def test_only_the_proportion_of_the_weights_counts(scale):
    one = score(indicators=[measured("0201", 1, 2, "1/3"), measured("0303", 1, 5, "2/3")])
    other = score(indicators=[measured("0201", 1, 2, scale), measured("0303", 1, 5, 2 * scale)])
    assert one.value == other.value


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (measured("0299", 1, 1), "code"),
        (measured(201, 1, 1), "code"),
        (measured("0201", 2, 1), "a"),
        (measured("0201", -1, 1), "a"),
        (measured("0201", 1.0, 1), "a"),
        (measured("0201", True, 1), "a"),
        (measured("0201", 1, "1"), "b"),
        (measured("0201", 1, 1, 0), "weight"),
        (measured("0201", 1, 1, 0.5), "weight"),
        ({"code": "0201", "weight": 1, "a": 1}, "b"),
        ({**asked("0201"), "a": 1}, "a"),
        ({**asked("0201"), "not_measured": ""}, "not_measured"),
    ],
)
def test_an_indicator_that_is_not_well_formed_is_refused_by_name(entry, field):
    with pytest.raises(InputError) as refusal:
        score(indicators=[entry])
    assert refusal.value.field == f"indicators[0].{field}"


def test_an_indicator_counts_once():
    with pytest.raises(InputError, match="twice"):
        score(indicators=[measured("0201", 1, 1), measured("0201", 1, 1)])
