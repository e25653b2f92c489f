"""A difference between two statements is taken apart into causes that sum to it to the fen."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.valuation.scheme_cases import schemes, stated
from valuation.differences import CAUSES, Basis, Sold, Takings, amount_change, line_changes
from valuation.sharing import share

LABEL = {"zh": "项目", "en": "heading"}
POOL = {"kind": "pool", "label": {"zh": "收益池", "en": "pool"}, "shares": [
    {"party": "operator", "share": "1/3"}, {"party": "treasury", "share": "2/3"}]}  # fmt: skip
COST = {"kind": "recover", "party": "operator", "label": LABEL, "fact": "cost_fen"}
SCHEME = {"v": 1, "name": LABEL, "steps": [COST, POOL]}
SOLD = st.lists(
    st.builds(
        Sold, st.sampled_from("AB"), st.sampled_from(("call", "piece")),
        st.fractions(min_value=Fraction(1, 1000), max_value=10**12, max_denominator=1000),
        st.integers(0, 10**12),
    ), max_size=4, unique_by=lambda one: (one.product, one.unit),
).map(tuple)  # fmt: skip
REST = st.integers(-(10**13), 0), st.integers(-(10**13), 10**13)
TAKINGS = st.builds(Takings, st.integers(0, 10**6), st.integers(0, 10**13), *REST) | st.builds(
    lambda sold, refunds, late: Takings(len(sold), sum(one.fen for one in sold), refunds, late, sold),
    SOLD, *REST,
)  # fmt: skip


@given(TAKINGS, TAKINGS)
def test_the_causes_of_an_amount_sum_to_its_difference(before: Takings, after: Takings) -> None:
    found = amount_change(before, after)
    causes = found.volume_fen + found.price_fen + found.refunds_fen + found.late_fen
    assert causes == found.change_fen == after.amount_fen - before.amount_fen
    by_quantity = before.sold is not None and after.sold is not None
    assert found.by == ("quantity" if by_quantity else "number")
    if before.trade_count == after.trade_count and not by_quantity:
        assert not found.volume_fen or not before.trade_count


@given(SOLD, st.integers(2, 5))
@settings(max_examples=25)
def test_what_is_sold_at_the_same_price_differs_by_volume_alone(sold: Any, times: int) -> None:
    def of(some: tuple[Sold, ...]) -> Takings:
        return Takings(1, sum(one.fen for one in some), 0, 0, some)

    more = tuple(replace(one, quantity=one.quantity * times, fen=one.fen * times) for one in sold)
    assert amount_change(of(sold), of(more)).price_fen == 0
    dearer = tuple(replace(one, fen=one.fen * times) for one in sold)
    assert amount_change(of(sold), of(dearer)).volume_fen == 0
    assert (
        amount_change(of(()), of(sold)).price_fen == amount_change(of(sold), of(())).price_fen == 0
    )


def bases(draw: st.DrawFn, carried: dict[str, str]) -> Basis:
    scheme = draw(schemes())
    return Basis(scheme, draw(st.integers(0, 10**9)), draw(stated(scheme)), carried)


@given(st.data())
@settings(max_examples=25)
def test_the_causes_of_every_line_sum_to_its_difference(data: st.DataObject) -> None:
    _their_causes_sum(data)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=400)
def test_the_causes_of_every_line_sum_to_its_difference_often(data: st.DataObject) -> None:
    _their_causes_sum(data)


def _their_causes_sum(data: st.DataObject) -> None:
    draw = data.draw
    before = bases(draw, {})
    earlier = before.shared()
    after = bases(draw, {party: str(value) for party, value in earlier.deficits_after.items()})
    if draw(st.booleans()):
        after = Basis(before.scheme, after.amount_fen, before.facts, after.deficits)
    later, found = after.shared(), line_changes(before, after)
    for one in found:
        assert tuple(one.by) == CAUSES
        assert sum(one.by.values()) == one.change_fen == one.after_fen - one.before_fen
    assert sum(one.before_fen for one in found) == before.amount_fen
    assert sum(one.after_fen for one in found) == after.amount_fen
    # what the whole gains, it gains by the amount; the other causes only move money between lines
    assert sum(one.by["amount"] for one in found) == after.amount_fen - before.amount_fen
    for cause in CAUSES[1:]:
        assert sum(one.by[cause] for one in found) == 0
    paid: dict[str, int] = {}
    for one in found:
        paid[one.party] = paid.get(one.party, 0) + one.after_fen
    assert {p: fen for p, fen in paid.items() if fen} == {
        p: fen for p, fen in later.paid_fen().items() if fen
    }


def test_one_thing_changed_is_the_only_cause() -> None:
    was = Basis(SCHEME, 100, {"cost_fen": 10}, {})
    carried = share(SCHEME, 100, {"cost_fen": 10}).deficits_after
    other = {**SCHEME, "steps": [COST, {**POOL, "shares": [
        {"party": "operator", "share": "2/3"}, {"party": "treasury", "share": "1/3"}]}]}  # fmt: skip
    for cause, now in {
        "amount": Basis(SCHEME, 400, {"cost_fen": 10}, {}),
        "facts": Basis(SCHEME, 100, {"cost_fen": 40}, {}),
        "edition": Basis(other, 100, {"cost_fen": 10}, {}),
        "rounding": Basis(SCHEME, 100, {"cost_fen": 10}, {"operator": "1", "treasury": "-1"}),
    }.items():
        moved = {name for one in line_changes(was, now) for name in CAUSES if one.by[name]}
        assert moved == {cause}
    assert line_changes(was, was)[0].change_fen == 0
    assert all(not any(one.by.values()) for one in line_changes(was, was))
    assert carried.keys() == {"operator", "treasury"}


def test_a_payee_who_is_gone_and_one_who_is_new_stand_in_it() -> None:
    gone = {**POOL, "shares": [{"party": "operator", "share": "1"}]}
    new = {**POOL, "shares": [{"party": "holder", "share": "1"}]}
    found = line_changes(Basis({**SCHEME, "steps": [gone]}, 90, {}, {}),
                         Basis({**SCHEME, "steps": [new]}, 90, {}, {}))  # fmt: skip
    assert {(one.party, one.before_fen, one.after_fen, one.by["edition"]) for one in found} == {
        ("operator", 90, 0, -90), ("holder", 0, 90, 90)
    }  # fmt: skip
