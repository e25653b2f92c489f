"""Schemes of every kind place every fen as their rules say; what would not is refused with its path."""

import json
from collections import defaultdict
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.valuation import scheme_cases
from tests.valuation.scheme_cases import PARTIES
from valuation.schemes import check, facts, parties
from valuation.sharing import recompute_distribution, share

AMOUNTS = st.one_of(st.integers(0, 500), st.integers(0, 10**7), st.integers(0, 10**13))


@st.composite
def runs(draw):
    """A scheme with three periods of amounts and facts."""
    scheme = draw(scheme_cases.schemes())
    periods = [(draw(AMOUNTS), draw(scheme_cases.stated(scheme))) for _ in range(3)]
    return scheme, periods


def agrees(scheme, amount, stated, carried):
    """Share an amount, hold it against the second computation, and return the statement."""
    statement = share(scheme, amount, stated, carried)
    assert sum(line.amount_fen for line in statement.lines) == amount
    assert all(line.amount_fen >= 0 for line in statement.lines)
    assert statement.derivation.value == amount
    first, shared, paid = [], defaultdict(Fraction), defaultdict(int)
    for kind, party, part in scheme_cases.due(scheme, amount, stated):
        assert part >= 0
        if kind in ("recover", "fixed"):
            first.append((kind, party, part))
        else:
            shared[party] += part
    lines = [(line.kind, line.party, line.amount_fen) for line in statement.lines]
    assert lines[: len(first)] == first
    for _, party, fen in lines[len(first) :]:
        paid[party] += fen
    for party, after in statement.deficits_after.items():
        assert after == Fraction(carried.get(party, 0)) + shared[party] - paid[party]
        assert after > -1, "nobody is ever overpaid by a fen"
    return statement


def runs_well(case):
    scheme, periods = case
    known = check(scheme)
    assert set(parties(known)) <= set(PARTIES)
    carried = {}
    for amount, stated in periods:
        assert set(facts(known)) == set(stated)
        statement = agrees(scheme, amount, stated, carried)
        carried = statement.deficits_after
    data = json.loads(json.dumps(statement.to_dict()))
    assert recompute_distribution(data).to_dict() == data


@given(runs())
@settings(max_examples=40, deadline=None)
def test_any_scheme_places_every_fen_as_a_second_computation_says(case):
    runs_well(case)


@pytest.mark.slow
@given(runs())
@settings(max_examples=1_500, deadline=None)
def test_many_schemes_place_every_fen_as_a_second_computation_says(case):
    runs_well(case)
