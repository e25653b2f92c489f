"""A range, a sensitivity and a breakeven: against closed forms, the exact method, and what is refused."""

import json

import pytest

from valuation import InputError, NoSolution
from valuation.methods import run
from valuation.simulation import Analysis, analyse, verify

PARTS = ("risk_free", "management", "circulation", "data_security", "regulatory")


def forecast(years=10, **changes):
    """Ten years of a share of revenue, at a rate of 10 %."""
    given = {
        "model": "share_of_revenue",
        "rate": dict.fromkeys(PARTS, "0.02"),
        "periods": [
            {"revenue_fen": 10_000_000_00 + 1_000_00 * t, "share": "1/20"} for t in range(years)
        ],
        **changes,
    }
    return {"method": "income", "version": "1", "inputs": given}


def drawn(*given, seed=7, draws=20_000):
    return {"range": {"seed": seed, "draws": draws, "inputs": list(given)}}


SHARE = {"at": "periods[*].share", "distribution": "triangular", "low": "0.02", "mode": "0.05",
         "high": "0.11"}  # fmt: skip
RATE = {"at": "rate.management", "distribution": "uniform", "low": "0.01", "high": "0.03"}


def test_an_analysis_survives_json_and_is_computed_again():
    request = {
        **drawn(SHARE, RATE),
        "sensitivity": [
            {"at": "rate.management", "low": "0.01", "high": "0.03"},
            {"at": "periods[*].share", "low": "0.02", "high": "0.11"},
        ],
        "breakeven": {
            "at": "rate.management",
            "target_fen": 300_000_000,
            "low": "0",
            "high": "0.5",
        },
    }
    about = analyse(forecast(), request)
    data = json.loads(json.dumps(about.to_dict()))
    assert Analysis.from_dict(data) == about == verify(data)
    assert [bar.at for bar in about.tornado] == ["periods[*].share", "rate.management"]


def test_the_mean_of_a_triangular_input_of_a_linear_model_is_that_of_its_mean():
    about = analyse(forecast(), drawn(SHARE, draws=200_000))
    mean = run(forecast(periods=[
        {"revenue_fen": 10_000_000_00 + 1_000_00 * t, "share": "0.06"} for t in range(10)
    ])).value_fen  # fmt: skip
    assert abs(about.range.mean_fen - mean) < 3 * about.range.error_fen


def test_a_target_that_is_not_bracketed_is_told_with_the_values_at_both_ends():
    request = {"breakeven": {"at": "rate.management", "target_fen": 1, "low": "0", "high": "0.5"}}
    with pytest.raises(NoSolution, match=r"0\.01 yuan.*at 0 it is .* at 1/2 it is"):
        analyse(forecast(), request)


def test_the_breakeven_is_where_the_method_itself_passes_the_target():
    request = {
        "breakeven": {"at": "periods[*].share", "target_fen": 4 * 10**8, "low": "0", "high": "1"}
    }
    found = analyse(forecast(), request).breakeven
    share = found.found
    value = run(forecast(periods=[
        {"revenue_fen": 10_000_000_00 + 1_000_00 * t, "share": share} for t in range(10)
    ]))  # fmt: skip
    assert value.value_fen == found.value_fen == 4 * 10**8


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"at": "rate.managment"}, "range.inputs[0].at"),
        ({"at": "periods[10].share"}, "range.inputs[0].at"),
        ({"at": "model"}, "range.inputs[0].at"),
        ({"high": "1.5"}, "range.inputs[0].high"),
        ({"low": "-0.01"}, "range.inputs[0].low"),
        ({"low": "0.2"}, "range.inputs[0].low"),
        ({"mode": "0.2"}, "range.inputs[0].mode"),
        ({"distribution": "cauchy"}, "range.inputs[0].distribution"),
        ({"high": float("nan")}, "range.inputs[0].high"),
        ({"high": 0.1}, "range.inputs[0].high"),
    ],
)
def test_a_drawn_input_that_cannot_be_is_refused_by_name(change, field):
    with pytest.raises(InputError) as refusal:
        analyse(forecast(), drawn({**SHARE, **change}))
    assert refusal.value.field == field
