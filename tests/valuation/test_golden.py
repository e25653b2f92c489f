"""Golden cases of every method and every analysis: published, or worked by hand with the working shown."""

import json
from decimal import Decimal
from fractions import Fraction
from math import sqrt
from pathlib import Path

import pytest

from valuation import income, methods
from valuation.draws import DISTRIBUTIONS
from valuation.money import round_half_up
from valuation.simulation import analyse, verify

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/valuation/cases.json").read_text("utf-8"))
NATIONAL = json.loads(
    (Path(__file__).parents[1] / "golden/valuation/national.json").read_text("utf-8")
)
CASES, ANALYSES = ({one["name"]: one for one in GOLDEN[key]} for key in ("cases", "analyses"))
CASES |= {one["name"]: one for one in NATIONAL["cases"]}


@pytest.mark.parametrize("name", CASES)
def test_a_golden_case_gives_its_figure_and_verifies(name):
    case = CASES[name]
    figure = methods.run(case["document"])
    assert figure.display() == case.get("display", figure.display())
    for symbol, value in case.get("steps", {}).items():
        assert figure[symbol].value == Fraction(value), symbol
    for symbol, text in case.get("rounded", {}).items():
        decimals = -Decimal(text).as_tuple().exponent
        assert round_half_up(figure[symbol].value * 10**decimals) == Decimal(text).scaleb(decimals)
    assert methods.verify(json.loads(json.dumps(figure.to_dict()))) == figure


@pytest.mark.parametrize("name", ANALYSES)
def test_a_golden_analysis_gives_its_figures_and_verifies(name):
    case = ANALYSES[name]
    about = analyse(case["document"], case["analysis"])
    if about.range:
        draws, deviation = about.range.draws, case["deviation_fen"]
        assert abs(about.range.mean_fen - case["mean_fen"]) < 4 * deviation / sqrt(draws)
        assert abs(about.range.deviation_fen - deviation) < deviation / 100
        found = dict(about.range.percentiles)
        for percent, value in case["percentiles"].items():
            # the widest standard error here, that of a normal's 99th percentile, is 0.0083 deviations
            assert abs(found[int(percent)] - value) < 4 * 0.0083 * deviation, percent
    bars = [[bar.at, bar.low_value_fen, bar.high_value_fen] for bar in about.tornado]
    assert bars == case.get("tornado", [])
    if about.breakeven:
        assert about.breakeven.value_fen == case["value_fen"]
        if "found" in case:
            assert about.breakeven.found == case["found"]
        else:
            assert f"{Decimal(about.breakeven.found):.5f}" == case["found_rounded"]
    assert verify(json.loads(json.dumps(about.to_dict()))) == about


def test_every_method_and_every_way_of_it_has_a_golden_case():
    documents = [case["document"] for case in CASES.values()]
    assert {one["method"] for one in documents} == set(methods.METHODS)
    incomes = [one["inputs"] for one in documents if one["method"] == "income"]
    assert {one["model"] for one in incomes} == set(income.MODELS)
    assert {one.get("timing", "end") for one in incomes} == set(income.TIMINGS)
    asked = {field.key for field in methods.DESCRIPTIONS["income"].fields}
    assert asked - {"currency"} == {key for one in incomes for key in one}
    drawn = [
        unc["distribution"]
        for one in ANALYSES.values()
        for unc in one["analysis"].get("range", {"inputs": []})["inputs"]
    ]
    assert set(drawn) == set(DISTRIBUTIONS)
    assert {key for one in ANALYSES.values() for key in one["analysis"]} == {
        "range",
        "sensitivity",
        "breakeven",
    }
    assert all(case["source"] and case["working"] for case in [*CASES.values(), *ANALYSES.values()])
