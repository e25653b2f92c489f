"""Weights from pairwise judgements: golden cases, consistency, and which judgement to mend."""

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valuation import InputError
from valuation.weights import RI, ahp, weights_of
from valuation.worksheet import recompute

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden/valuation/methods.json").read_text("utf-8")
)["ahp"]


def names(count):
    return [f"准则{k}" for k in range(1, count + 1)]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_golden_cases(case):
    if not case["accept"]:
        with pytest.raises(InputError, match=case["CR"]):
            ahp(criteria=names(3), matrix=case["matrix"])
        return
    figure = ahp(criteria=names(3), matrix=case["matrix"])
    weights = weights_of(figure)
    assert sum(weights.values()) == 1
    for weight, expected in zip(weights.values(), case["weights"], strict=True):
        assert abs(weight - Fraction(expected)) < Fraction(1, 10**6)
    for symbol in ("lambda_max", "CI", "CR"):
        if symbol in case:
            assert abs(figure[symbol].value - Fraction(case[symbol])) < Fraction(6, 10**7)
    assert recompute(figure.to_dict()) == figure.value


@given(st.lists(st.integers(1, 9), min_size=1, max_size=10))
@settings(max_examples=30, deadline=None)
def test_consistent_judgements_give_their_weights_back(weights):
    matrix = [[Fraction(a, b) for b in weights] for a in weights]
    figure = ahp(criteria=names(len(weights)), matrix=matrix)
    assert figure.value == 0
    found = weights_of(figure).values()
    assert sum(found) == 1
    for weight, found_weight in zip(weights, found, strict=True):
        # Below one unit of the sixth decimal from the eigenvector, itself rounded to 24 decimals.
        bound = Fraction(1, 10**6) + Fraction(1, 10**23)
        assert abs(Fraction(weight, sum(weights)) - found_weight) < bound


def test_the_judgement_that_most_deserves_mending_is_named():
    matrix = [["1", "2", "1/8"], ["1/2", "1", "2"], ["8", "1/2", "1"]]  # 1 against 3 should be 4
    with pytest.raises(InputError) as refusal:
        ahp(criteria=["质量", "规模", "时效"], matrix=matrix)
    assert refusal.value.field == "matrix[0][2]"
    assert (
        "质量 against 时效 is 1/8; with 4 in its place CR would be 0.000000"
        in refusal.value.sentence
    )


def test_a_judgement_at_the_end_of_the_scale_is_not_blamed_for_the_others():
    matrix = [["1", "3", "9"], ["1/3", "1", "9"], ["1/9", "1/9", "1"]]  # 3 times 9 is more than 9
    with pytest.raises(InputError) as refusal:
        ahp(criteria=["规范性", "完整性", "准确性"], matrix=matrix)
    assert refusal.value.field == "matrix[0][1]"
    assert "is 3; with 1 in its place CR would be 0.000000" in refusal.value.sentence


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_the_named_change_gives_the_ratio_that_is_told(data):
    n = data.draw(st.integers(3, 5))
    scale = [Fraction(1, k) for k in range(9, 1, -1)] + [Fraction(k) for k in range(1, 10)]
    matrix = [[Fraction(1)] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1, n):
            matrix[i][j] = data.draw(st.sampled_from(scale))
            matrix[j][i] = 1 / matrix[i][j]
    promised = None
    for _ in range(n * n):
        try:
            found = ahp(criteria=names(n), matrix=matrix).value
        except InputError as refusal:
            told = re.search(
                r"CR = ([0-9.]+).* with (\S+) in its .* be ([0-9.]+)", refusal.sentence
            )
            assert promised in (None, told[1])
            i, j, promised = int(refusal.field[7]), int(refusal.field[10]), told[3]
            matrix[i][j], matrix[j][i] = Fraction(told[2]), 1 / Fraction(told[2])
        else:
            assert promised is None or abs(found - Fraction(promised)) < Fraction(1, 10**6)
            return
    pytest.fail("following the advice never ends below 0.1")


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_judgements_are_either_weighed_or_refused(data):
    scale = [Fraction(1, k) for k in range(9, 1, -1)] + [Fraction(k) for k in range(1, 10)]
    n = data.draw(st.integers(3, 6))
    matrix = [[Fraction(1)] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1, n):
            matrix[i][j] = data.draw(st.sampled_from(scale))
            matrix[j][i] = 1 / matrix[i][j]
    figure, refusal = weighed(names(n), matrix)
    assert (figure is None) == ("CR = " in refusal)
    if figure:
        assert 0 <= figure.value < Fraction(1, 10)
        assert sum(weights_of(figure).values()) == 1


def weighed(criteria, matrix):
    """The figure and no refusal, or no figure and the sentence that refuses it."""
    try:
        return ahp(criteria=criteria, matrix=matrix), ""
    except InputError as refusal:
        return None, refusal.sentence


@pytest.mark.parametrize(
    ("matrix", "field"),
    [
        ([["1", "2"], ["1/3", "1"]], "matrix[1][0]"),
        ([["2", "2"], ["1/2", "1"]], "matrix[0][0]"),
        ([["1", "10"], ["1/10", "1"]], "matrix[0][1]"),
        ([["1", 0.5], ["2", "1"]], "matrix[0][1]"),
        ([["1", "-2"], ["-1/2", "1"]], "matrix[0][1]"),
        ([["1", "2"]], "matrix"),
        ([["1"], ["1"]], "matrix[0]"),
        ("12", "matrix"),
    ],
)
def test_a_matrix_that_is_not_reciprocal_is_refused_by_name(matrix, field):
    with pytest.raises(InputError) as refusal:
        ahp(criteria=names(2), matrix=matrix)
    assert refusal.value.field == field


def test_more_than_ten_criteria_are_refused_because_the_tables_disagree():
    assert len(RI) == 10
    with pytest.raises(InputError) as refusal:
        ahp(criteria=names(11), matrix=[[1] * 11] * 11)
    assert refusal.value.field == "criteria"


def test_a_criterion_stands_there_once():
    with pytest.raises(InputError, match="twice"):
        ahp(criteria=["质量", "质量"], matrix=[[1, 1], [1, 1]])
