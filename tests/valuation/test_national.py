"""Data as a produced asset: the golden entries, the published figures, and what must hold for any table."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valuation import InputError, methods, national_table
from valuation.money import MAX_FEN, round_half_up
from valuation.national import COMPONENTS
from valuation.national_table import AMOUNTS, INDUSTRIES, SUMS

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden/valuation/national.json").read_text("utf-8")
)
PUBLISHED = {one["name"]: one for one in GOLDEN["published"]}
FORMATION = next(one["document"] for one in GOLDEN["cases"] if one["name"] == "sum of costs")
STOCK = next(one["document"] for one in GOLDEN["cases"] if one["name"] == "capital stock")


def row(**changes: Any) -> dict[str, Any]:
    return {
        "industry": "I", "region": "440305", "year": 2020, "producer": "market", "labour_fen": 200,
        "intermediate_fen": 50, "fixed_capital_consumption_fen": 30,
        "net_taxes_on_production_fen": 0, "net_return_fen": 20, **changes,
    }  # fmt: skip


def document(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"version": "1", "basis": "示例", "delta": "1/5", "rows": list(rows), **changes}


def refused(given: dict[str, Any], run: Any = national_table.run) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        run(given)
    return dict(caught.value.problems)


# ---------------------------------------------------------------- published figures


def test_the_shares_of_spending_of_nanshan_are_those_of_its_two_amounts():
    known = PUBLISHED["Nanshan 2020: shares of spending"]
    for amount, share in zip(known["formation"], known["share"], strict=True):
        costs = dict.fromkeys(AMOUNTS, 0) | {"labour_fen": amount}
        made = national_table.run(document(row(**costs, spending_fen=known["spending"])))
        assert Fraction(made.by_year[0]["share_of_spending"]) == Fraction(share)
        assert made.by_year[0]["formation_fen"] == amount


@pytest.mark.parametrize("column", ["low", "high"])
def test_the_parts_of_canada_s_investment_add_up_to_its_totals(column: str):
    known = PUBLISHED["Canada 2018: parts of investment"]
    parts = {key: amount for key, amount in known[column].items() if key != "total"}
    carriers = zip("IJM", parts.values(), strict=True)  # sections carry the three kinds here
    rows = [
        row(**dict.fromkeys(AMOUNTS, 0) | {"industry": i, "labour_fen": v}) for i, v in carriers
    ]
    made = national_table.run(document(*rows))
    assert made.by_year[0]["formation_fen"] == known[column]["total"]
    if column == "high":
        billions = Fraction(known[column]["total"], 1000)
        told, tolerance = (
            Fraction(known["published_high_billion"]),
            Fraction(known["tolerance_billion"]),
        )
        assert abs(billions - told) <= tolerance


def test_the_two_sources_of_canada_s_stock_agree_within_their_rounding():
    known = {key: value for key, value in PUBLISHED["Canada 2018: stock"].items() if key != "name"}
    high, other = Fraction(known["high"]), Fraction(known["other_source_high"])
    assert abs(high - other) <= Fraction(known["tolerance"])


# ---------------------------------------------------------------- the two methods


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"producer": "non_market"}, "net_return_fen"),
        ({"net_return_fen": None}, "net_return_fen"),
        ({"overhead": "1/2"}, "overhead"),
        ({"model": "short_cut"}, "overhead"),
        ({"use_years": "0"}, "use_years"),
        ({"labour": [{"name": "a", "wages_fen": -1, "time_share": "1"}]}, "labour[0].wages_fen"),
        ({"labour": [{"name": "a", "wages_fen": 1, "time_share": "1.1"}]}, "labour[0].time_share"),
        ({"observed": [{"name": "a", "payment_fen": 1}]}, "observed[0].basis"),
        ({"net_taxes_on_production_fen": -(10**8)}, "net_taxes_on_production_fen"),
    ],
)
def test_a_formation_that_breaks_a_rule_names_its_field(changes: dict[str, Any], field: str):
    inputs = {**FORMATION["inputs"], **changes}
    inputs = {key: value for key, value in inputs.items() if value is not None}
    assert f"inputs.{field}" in refused({**FORMATION, "inputs": inputs}, methods.run)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"delta": "0"}, "delta"),
        ({"delta": "1.01"}, "delta"),
        ({"life": "5"}, "delta"),
        ({"delta": None}, "delta"),
        ({"delta": None, "life": "1.5"}, "life"),
        ({"declining": "2"}, "declining"),
        ({"growth": "0.1"}, "initial_fen"),
        ({"initial_fen": None}, "initial_fen"),
        ({"initial_fen": None, "growth": "-0.2"}, "growth"),
        ({"years": [{"year": 2020, "formation_fen": 1}, {"year": 2022, "formation_fen": 1}]},
         "years[1].year"),
        ({"years": [{"year": 2020, "formation_fen": 1, "deflator": "1"},
                    {"year": 2021, "formation_fen": 1}]}, "years[1].deflator"),
    ],
)  # fmt: skip
def test_a_stock_that_breaks_a_rule_names_its_field(changes: dict[str, Any], field: str):
    inputs = {**STOCK["inputs"], **changes}
    inputs = {key: value for key, value in inputs.items() if value is not None}
    assert f"inputs.{field}" in refused({**STOCK, "inputs": inputs}, methods.run)


# ---------------------------------------------------------------- the table


amounts = st.integers(0, 10**12)
tables = st.lists(
    st.tuples(st.sampled_from("IJ"), st.sampled_from(["440305", "110105"]), st.integers(2018, 2021)),
    min_size=1, max_size=16, unique=True,
)  # fmt: skip


@settings(max_examples=40)
@given(tables, st.data())
def test_every_total_is_the_sum_of_its_cells_and_every_stock_that_of_the_method(places, data):
    first: dict[tuple[str, str], int] = {}
    for industry, region, year in places:
        first[industry, region] = min(first.get((industry, region), year), year)
    last = max(year for *_, year in places)
    rows = [
        row(industry=industry, region=region, year=year,
            **{key: data.draw(amounts) for key in AMOUNTS})
        for (industry, region), start in first.items() for year in range(start, last + 1)
    ]  # fmt: skip
    deflators = [{"year": y, "deflator": data.draw(st.sampled_from(["1", "1.1", "97/100"]))}
                 for y in range(2018, last + 1)]  # fmt: skip
    given = document(*rows, delta=data.draw(st.sampled_from(["1/5", "0.15", "2/7", "1"])),
                     growth="0.05", deflators=deflators)  # fmt: skip
    made = national_table.run(given)
    for totals, by in ((made.by_year, ()), (made.by_industry, ("industry",)),
                       (made.by_region, ("region",))):  # fmt: skip
        for total in totals:
            mine = [cell for cell in made.cells if cell["year"] == total["year"]
                    and all(cell[key] == total[key] for key in by)]  # fmt: skip
            for key in set(SUMS) - {"spending_fen"}:
                assert total[key] == sum(cell[key] for cell in mine), key
    for industry, region in first:
        mine = [
            cell for cell in made.cells if (cell["industry"], cell["region"]) == (industry, region)
        ]
        told = {one["year"]: one["deflator"] for one in deflators}
        figure = methods.run({"method": "capital_stock", "version": "1", "inputs": {
            "delta": given["delta"], "growth": "0.05", "basis": "示例",
            "years": [{"year": c["year"], "formation_fen": c["formation_fen"],
                       "deflator": told[c["year"]]} for c in mine],
        }})  # fmt: skip
        assert [c["stock_fen"] for c in mine] == [figure[f"K_{c['year']}"].value for c in mine]
    assert national_table.recompute(json.loads(json.dumps(made.to_dict()))) == made


def test_growth_is_over_the_year_before_and_none_for_the_first():
    made = national_table.run(document(row(), row(year=2021, labour_fen=350)))
    assert [one["formation_growth"] for one in made.by_year] == [None, "1/2"]
    stocks = [one["stock_fen"] for one in made.by_year]
    assert stocks == [300, round_half_up(Fraction(4, 5) * 300) + 450]
    assert Fraction(made.by_year[1]["stock_growth"]) == Fraction(stocks[1] - stocks[0], stocks[0])


def test_what_is_used_a_year_or_less_counts_nothing_and_is_counted_as_left_out():
    made = national_table.run(
        document(row(use_years="1"), row(producer="non_market", net_return_fen=0))
    )
    (cell,) = made.cells
    assert (cell["formation_fen"], cell["out_of_scope"]) == (280, 1)


def test_rates_of_an_industry_and_opening_stocks_are_those_stated():
    made = national_table.run(document(
        row(), row(industry="J"), rates=[{"industry": "J", "life": "4"}],
        initial=[{"industry": "I", "region": "440305", "stock_fen": 1000}],
    ))  # fmt: skip
    assert [(one["industry"], one["delta"], one["stock_fen"]) for one in made.openings] == [
        ("I", "1/5", 1000), ("J", "1/2", 0)]  # fmt: skip
    assert [cell["stock_fen"] for cell in made.cells] == [1100, 300]
    assert any("低估" in note.zh for note in made.notes)


def test_all_bad_rows_are_named_at_once():
    found = refused(document(
        row(industry="Z"), row(region="999999", year="2020"), row(labour_fen=-1, producer="x"),
        row(producer="non_market"), row(net_taxes_on_production_fen=-1000),
        {"industry": "I"}, 7, row(labour_fen=1.5), row(region="440304"), row(region="440304"),
    ))  # fmt: skip
    for place in (
        "rows[0].industry", "rows[1].region", "rows[1].year", "rows[2].labour_fen",
        "rows[2].producer", "rows[3].net_return_fen", "rows[4].net_taxes_on_production_fen",
        "rows[5].region", "rows[6]", "rows[7].labour_fen", "rows[9]",
    ):  # fmt: skip
        assert place in found, place
    assert found["rows[9]"] == "stands there twice, see rows[8]"


def test_a_gap_is_no_zero():
    found = refused(document(row(), row(year=2022)))
    assert found == {
        "rows[0].year": "is followed by no row for 2021 of I 440305: enter 0 for nothing"
    }
    found = refused(document(row(), row(region="440304", year=2021)))
    assert "rows[0].year" in found, "it must go on to the table's last year"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": "2"}, "version"),
        ({"delta": "2"}, "delta"),
        ({"life": "5"}, "delta"),
        ({"growth": "-1/5"}, "growth"),
        ({"currency": "USD"}, "currency"),
        ({"rows": []}, "rows"),
        ({"rows": "x"}, "rows"),
        ({"deflators": [{"year": 2019, "deflator": "1"}]}, "deflators"),
        ({"initial": [{"industry": "J", "region": "440305", "stock_fen": 1}]}, "initial[0]"),
        ({"rates": [{"industry": "I", "delta": "1/5"}, {"industry": "I", "delta": "1/4"}]},
         "rates[1].industry"),
        ({"rows": [row(labour_fen=MAX_FEN, intermediate_fen=MAX_FEN)]}, "rows"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_is_refused(changes: dict[str, Any], field: str):
    assert field in refused({**document(row()), **changes})


def test_a_table_that_was_changed_does_not_recompute():
    data = national_table.run(document(row(), row(year=2021))).to_dict()
    data["by_year"] = [data["by_year"][0], {**data["by_year"][1], "stock_fen": 1}]
    assert refused(data, national_table.recompute) == {
        "by_year[1]": "differs from what the document gives"
    }


def test_thousands_of_rows_are_computed():
    rows = [row(industry=i, region=f"44{r:04d}", year=y) for i in [*INDUSTRIES][:10]
            for r in range(1, 101) for y in range(2020, 2024)]  # fmt: skip
    made = national_table.run(document(*rows))
    assert (len(made.cells), made.by_year[-1]["formation_fen"]) == (4000, 300 * 1000)
    assert len(COMPONENTS) == 5
