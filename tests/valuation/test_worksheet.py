"""A figure's steps recompute exactly from its inputs, and a step that was touched is named."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest

from valuation import InputError
from valuation.worksheet import Figure, Worksheet, recompute


@pytest.fixture
def figure():
    sheet = Worksheet()
    sheet.given("C", "成本", "cost", 1000, "fen", "books")
    sheet.given("d", "系数", "factor", Fraction(2, 3), "1", "an expert")
    sheet.step("raw", "未舍入", "not rounded", "C * d", "fen", "example")
    sheet.step("P", "价值", "value", "round_half_up(raw)", "fen", "example", "half up")
    sheet.note("示例", "an example")
    return sheet.figure("example", "1", "P")


def test_a_figure_recomputes_and_survives_json(figure):
    assert figure.value_fen == 667
    assert figure.display() == "6.67"
    assert recompute(figure) == 667
    data = json.loads(json.dumps(figure.to_dict()))
    assert Figure.from_dict(data) == figure
    assert recompute(data) == 667


def test_the_first_step_that_differs_is_named(figure):
    data = figure.to_dict()
    data["steps"][2]["value"] = "667"
    with pytest.raises(InputError) as refusal:
        recompute(data)
    assert refusal.value.field == "raw"
    data = figure.to_dict()
    data["steps"][0]["value"] = "1001"
    with pytest.raises(InputError) as refusal:
        recompute(data)
    assert refusal.value.field == "raw"


def test_a_formula_that_looks_ahead_is_refused(figure):
    steps = list(figure.steps)
    steps[2] = replace(steps[2], formula="P")
    with pytest.raises(InputError) as refusal:
        recompute(replace(figure, steps=tuple(steps)))
    assert refusal.value.field == "raw"


def test_two_steps_of_one_name_are_refused(figure):
    with pytest.raises(InputError, match="two steps"):
        recompute(replace(figure, steps=(*figure.steps, figure.steps[0])))


@pytest.mark.parametrize(
    "key", ["method", "version", "result", "value", "unit", "v", "outputs", "notes"]
)
@pytest.mark.parametrize("value", [None, "x", 1.5, 7, ["x"]])
def test_a_figure_in_another_form_is_refused(figure, key, value):
    data = figure.to_dict()
    data[key] = value
    if key in ("method", "version") and value == "x":
        assert Figure.from_dict(data)
        return
    with pytest.raises(InputError):
        Figure.from_dict(data)


@pytest.mark.parametrize(
    "value", ["1.5", "2/4", "1/0", "-0", "007", "", " 1", "1e3", "9" * 5000, 1000, None]
)
def test_a_value_not_in_lowest_terms_is_refused(figure, value):
    data = figure.to_dict()
    data["steps"][0]["value"] = value
    with pytest.raises(InputError) as refusal:
        Figure.from_dict(data)
    assert refusal.value.field == "steps[0].value"


def test_a_figure_with_a_missing_or_foreign_key_is_refused(figure):
    data = figure.to_dict()
    del data["steps"][1]["source"]
    with pytest.raises(InputError) as refusal:
        Figure.from_dict(data)
    assert refusal.value.field == "steps[1].source"
    with pytest.raises(InputError, match="seal"):
        Figure.from_dict({**figure.to_dict(), "seal": "x"})


def test_half_a_character_is_refused(figure):
    data = figure.to_dict()
    data["steps"][0]["zh"] = "\ud800"
    with pytest.raises(InputError, match="surrogate"):
        Figure.from_dict(data)


def test_a_figure_that_is_no_money_has_no_fen():
    sheet = Worksheet()
    sheet.given("x", "得分", "score", Fraction(1, 3), "1", "example")
    with pytest.raises(InputError):
        _ = sheet.figure("example", "1", "x").value_fen
