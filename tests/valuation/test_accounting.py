"""Books of data resources: where one belongs, what it cost, what is amortised; never an appraised value."""

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valuation import InputError, accounting
from valuation.accounting import APPRAISED, CRITERIA, build_cost, recompute, run
from valuation.amortisation import amortise
from valuation.impairment import impair

BASE = {
    "body": "enterprise", "controlled": "yes", "benefits": "yes", "reliable_cost": "yes",
    "expensed_before": "no", "purpose": "own_use", "identifiable": "yes", "origin": "developed",
    "phase": "development", **dict.fromkeys(CRITERIA, "yes"), "completed": "yes",
}  # fmt: skip


def asked(**answers):
    answered = {name: {"answer": said, "grounds": "g"} for name, said in answers.items() if said}
    return {"subject": "s", "answers": answered}


@pytest.mark.parametrize(
    ("change", "belongs_to", "reason"),
    [
        ({}, "intangible", "finished"),
        ({"completed": "no"}, "development", "unfinished"),
        ({"phase": "research"}, "expensed", "research"),
        *(({one: "no"}, "expensed", "criteria_unmet") for one in CRITERIA),
        ({"origin": "purchased"}, "intangible", "obtained"),
        ({"origin": "otherwise"}, "intangible", "obtained"),
        ({"identifiable": "no"}, "expensed", "not_identifiable"),
        ({"purpose": "for_sale"}, "inventory", "for_sale"),
        ({"expensed_before": "yes"}, "expensed", "expensed_before"),
        ({"reliable_cost": "no"}, "not_recognised", "no_reliable_cost"),
        ({"benefits": "no"}, "not_recognised", "no_benefits"),
        ({"controlled": "no"}, "not_recognised", "not_controlled"),
        ({"body": "administrative"}, "not_recognised", "administrative"),
    ],
)
def test_every_branch_of_the_recognition_test_gives_its_class(change, belongs_to, reason):
    found = run(asked(**{**BASE, **change}))
    assert (found.belongs_to, found.reason) == (belongs_to, reason)
    assert recompute(json.loads(json.dumps(found.to_dict()))) == found


def test_all_missing_answers_are_named_at_once_and_only_those_that_are_asked():
    with pytest.raises(InputError) as refusal:
        run(asked(**{**BASE, "benefits": "", "useful": "", "completed": ""}))
    assert [at for at, _ in refusal.value.problems] == [
        "answers.benefits", "answers.useful", "answers.completed",
    ]  # fmt: skip
    with pytest.raises(InputError) as refusal:
        run({"subject": "s", "answers": {}})
    assert len(refusal.value.problems) == 6, "what depends on an answer is asked after it"


LINE = {"name": "数据", "kind": "price", "amount_fen": 100, "basis": "发票"}


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"kind": "appraisal"}, "kind"),
        ({"basis": "PG2026-0001 评估报告"}, "basis"),
        ({"basis": "appraised value of 2026"}, "basis"),
        ({"name": "按评估值"}, "name"),
        ({"amount_fen": {"method": "income", "steps": []}}, "amount_fen"),
        ({"figure": {"value": "1"}}, "figure"),
        ({"appraisal_number": "PG2026-0001"}, "appraisal_number"),
    ],
)
def test_a_line_that_rests_on_an_appraisal_is_never_booked(change, at):
    with pytest.raises(InputError) as refusal:
        build_cost(model="purchased_intangible", items=[{**LINE, **change}])
    assert (f"items[0].{at}", APPRAISED) in refusal.value.problems
    quality = {**LINE, "kind": "quality_evaluation", "basis": "质量评估报告及发票"}
    assert build_cost(model="purchased_intangible", items=[quality]).value_fen == 100


@given(
    cost=st.integers(0, 10**13), residual=st.fractions(0, 1), life=st.integers(1, 240),
    start=st.integers(0, 11), by=st.sampled_from(["year", "month"]),
)  # fmt: skip
def test_charges_sum_to_the_depreciable_amount_and_never_pass_the_residual_value(
    cost, residual, life, start, by
):
    kept = int(cost * residual)
    figure = amortise(
        model="straight_line", cost_fen=cost, residual_fen=kept, residual_basis="b", basis="b",
        available_from=f"2026-{start + 1:02d}", life_months=life, by=by if life <= 200 else "year",
    )  # fmt: skip
    charges = [step.value for step in figure.steps if step.symbol[0] == "A"]
    carried = [step.value for step in figure.steps if step.symbol[0] == "B"]
    assert sum(charges) == cost - kept == figure.value_fen
    assert min(charges) >= 0
    assert min(carried) == carried[-1] == kept
    assert all(one.denominator == 1 for one in charges)


@given(st.integers(0, 10**12), st.lists(st.integers(0, 500), min_size=1, max_size=12))
def test_use_beyond_what_was_planned_charges_no_more_than_the_cost(cost, units):
    uses = [{"month": f"2026-{k:02d}", "units": str(one)} for k, one in enumerate(units, start=1)]
    figure = amortise(model="by_use", cost_fen=cost, residual_fen=0, basis="b", uses=uses,
                      available_from="2026-01", planned_units="1000")  # fmt: skip
    used = Fraction(min(sum(units), 1000), 1000)
    assert abs(figure.value - cost * used) <= Fraction(1, 2)
    assert figure["carrying"].value == cost - figure.value >= 0


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"life_months": None}, "life_months"),
        ({"residual_fen": 1}, "residual_basis"),
        ({"residual_fen": 10_001, "residual_basis": "b"}, "residual_fen"),
        ({"available_from": "2026-13"}, "available_from"),
        ({"disposed_in": "2025-12"}, "disposed_in"),
        ({"planned_units": "5"}, "planned_units"),
        ({"changes": [{"from": "2026-01", "basis": "b", "life_months": 3}]}, "changes[0].from"),
        ({"changes": [{"from": "2030-01", "basis": "b", "residual_fen": 0}]}, "changes[0].from"),
        ({"changes": [{"from": "2026-02", "basis": "b"}]}, "changes[0]"),
        ({"changes": [{"from": "2026-02", "basis": "b", "impairment_fen": 99_999}]},
         "changes[0].impairment_fen"),
        ({"disposed_in": "2026-02", "changes": [{"from": "2026-03", "basis": "b", "life_months": 3}]},
         "changes[0].from"),
    ],
)  # fmt: skip
def test_a_schedule_that_cannot_be_is_refused_at_its_field(more, field):
    given_ = {"model": "straight_line", "cost_fen": 10_000, "residual_fen": 0, "basis": "b",
              "available_from": "2026-01", "life_months": 12}  # fmt: skip
    with pytest.raises(InputError) as refusal:
        amortise(**{**given_, **more})
    assert refusal.value.field == field


@given(st.integers(0, 10**13), st.integers(0, 10**13), st.integers(0, 10**13))
def test_an_impairment_never_raises_what_is_carried(carrying, fair, use):
    figure = impair(model="intangible", carrying_fen=carrying, fair_value_fen=fair, disposal_cost_fen=0,
                    fair_value_from="appraisal", value_in_use_fen=use, basis="b")  # fmt: skip
    assert figure["carrying_after"].value == min(carrying, max(fair, use))
    assert 0 <= figure.value <= carrying


def test_a_loss_of_an_intangible_asset_is_never_taken_back_and_a_write_down_no_further_than_it_went():
    with pytest.raises(InputError, match="never reversed") as refusal:
        impair(model="intangible", carrying_fen=5, value_in_use_fen=9, reversal_fen=1, basis="b")
    assert refusal.value.field == "reversal_fen"
    held = {"model": "inventory", "cost_fen": 100, "price_fen": 95, "completion_fen": 0,
            "selling_fen": 0, "written_down_fen": 20, "basis": "b"}  # fmt: skip
    assert impair(**held, reversal_fen=15).value == -15
    with pytest.raises(InputError, match="15 fen"):
        impair(**held, reversal_fen=16)


def test_what_does_not_belong_to_a_cost_is_shown_and_left_out():
    lines = [{**LINE, "treatment": one} for one in accounting.TREATMENTS]
    figure = build_cost(model="purchased_intangible", items=lines)
    assert (figure.value_fen, figure["expensed"].value) == (100, 300)
    with pytest.raises(InputError, match="more than the amount"):
        build_cost(model="purchased_intangible", items=[{**LINE, "vat_fen": 101}])
