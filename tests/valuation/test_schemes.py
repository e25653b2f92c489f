"""Schemes of every kind place every fen as their rules say; what would not is refused with its path."""

import json
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.valuation import scheme_cases
from tests.valuation.scheme_cases import LABEL, PARTIES, contributed
from valuation import InputError
from valuation.flows import flows
from valuation.schemes import KINDS, check, every_step, facts, parties
from valuation.sentences import explain
from valuation.sharing import recompute_distribution, run, share
from webapp.documents import read_text, write_scheme

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


def pool(*entries):
    return {"kind": "pool", "label": LABEL, "shares": list(entries)}


def one(party, part, **bounds):
    return {"party": party, "share": part, **bounds}


def scheme(*steps):
    return {"v": 1, "name": LABEL, "steps": list(steps)}


def tiers(*bands, party="treasury"):
    made = [
        {"ratio": part, "party": party, **({"up_to_fen": top} if top else {})}
        for top, part in bands
    ]
    return {"kind": "tiers", "label": LABEL, "bands": made}


FILES = sorted((Path(__file__).parents[2] / "data/schemes").glob("*.yaml"))
GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden/valuation/schemes.json").read_text("utf-8")
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_example_of_each_kind_gives_its_golden_lines_and_reads_back_from_yaml(path):
    document = read_text(path.read_text("utf-8"))
    statement = run(document)
    lines = [[line.party, line.kind, line.amount_fen] for line in statement.lines]
    assert lines == GOLDEN[path.stem]["lines"], GOLDEN[path.stem]["by_hand"]
    assert check(read_text(write_scheme(statement.scheme))) == statement.scheme
    assert "\\" not in write_scheme(statement.scheme), "Chinese stands as it is"


def test_there_is_an_example_of_each_kind():
    kinds = {
        step["kind"]
        for path in FILES
        for step in every_step(read_text(path.read_text("utf-8"))["scheme"]["steps"])
    }
    assert kinds == set(KINDS)
    assert {path.stem for path in FILES} == set(GOLDEN)


@pytest.mark.parametrize(
    ("left", "paid"),
    [(0, (0, 0, 0)), (100, (0, 100, 0)), (200, (0, 200, 0)), (290, (70, 200, 20)),
     (1_000, (500, 200, 300)), (2_000, (500, 500, 1_000))],
)  # fmt: skip
def test_a_pool_with_minimum_and_cap_by_hand(left, paid):
    bounded = scheme(
        pool(one("a", "7/10", most_fen=500), one("b", "1/10", least_fen=200), one("c", "1/5"))
    )
    found = share(bounded, left).paid_fen()
    assert (found["a"], found["b"], found["c"]) == paid


def test_minima_beyond_what_is_left_are_reduced_alike():
    short = scheme(pool(one("a", "0", least_fen=300), one("b", "1", least_fen=100)))
    assert share(short, 100).paid_fen() == {"a": 75, "b": 25}
    assert share(short, 500).paid_fen() == {"a": 300, "b": 200}


@given(runs(), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_nobody_gets_less_of_a_larger_amount(case, more):
    """Whole-fen steps move what is left by less than a fen each; `cap_ratio` may take from others."""
    document, [(amount, stated), *_] = case
    if any("cap_ratio" in step for step in every_step(document["steps"])):
        return
    small, large = (
        defaultdict(Fraction), defaultdict(Fraction)
    )  # fmt: skip
    for sums, fen in ((small, amount), (large, amount + more)):
        for _, party, part in scheme_cases.due(document, fen, stated):
            sums[party] += part
    steps = len(list(every_step(document["steps"])))
    assert all(large[party] >= value - steps for party, value in small.items())


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=15))
@settings(max_examples=25, deadline=None)
def test_under_fixed_shares_nested_and_by_contribution_nobody_is_a_fen_off(amounts):
    inner = {"kind": "contribution", "label": LABEL, "parties": ["x", "y", "z"],
             "document": contributed("xyz", (3, 1, 3))}  # fmt: skip
    fixed = scheme(
        {"kind": "share", "party": "t", "label": LABEL, "ratio": "0.07"},
        pool(one("o", "2/3"), {"share": "1/3", "label": LABEL, "steps": [inner]}),
    )
    carried = {}
    for amount in amounts:
        carried = share(fixed, amount, deficits=carried).deficits_after
        assert all(abs(short) < 1 for short in carried.values())


def test_all_faults_of_a_scheme_are_named_at_once_with_their_paths():
    bad = scheme(
        {"kind": "fixed", "party": "a", "label": LABEL},
        {
            "kind": "share",
            "party": "a",
            "label": LABEL,
            "ratio": "12.5%",
            "least_fen": 2,
            "most_fen": 1,
        },
        tiers((100, "1/2"), (100, "1/2"), (200, "1")),
        {"kind": "contribution", "label": LABEL, "parties": ["a", "a"], "fact": "worth_fen"},
        pool(
            {
                "share": "1",
                "steps": [{"kind": "recover", "party": "a", "label": LABEL, "fact": "c_fen"}],
            }
        ),
    )
    with pytest.raises(InputError) as refusal:
        check(bad)
    assert dict(refusal.value.problems) == {
        "scheme.steps[0]": "must state either amount_fen or the fact that tells the sum",
        "scheme.steps[1].ratio": "is '12.5%': write it as 1/8",
        "scheme.steps[1].least_fen": "is 2 fen, which is more than the cap of 1 fen",
        "scheme.steps[2].bands[1].up_to_fen":
            "is 100 fen, but must be above the band before, which ends at 100 fen",
        "scheme.steps[2].bands[2]": "the last band is open: leave up_to_fen out",
        "scheme.steps[3].parties[1]": "a is named twice",
        "scheme.steps[3].fact": "must be a name in lower case that does not end in _fen: it is a document",
        "scheme.steps[3]": "places all that is left, but must then be the last step",
        "scheme.steps[4].shares[0].label": "must be an object with named entries",
        "scheme.steps[4].shares[0].steps[0]":
            "is the last step, but leaves a part unplaced: end with a pool, a contribution, or tiers "
            "whose ratios are all 1",
    }  # fmt: skip


def deep(levels):
    made = [pool(one("a", "1"))]
    for _ in range(levels - 1):
        made = [pool({"share": "1", "label": LABEL, "steps": made})]
    return scheme(*made)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (scheme(tiers((0, "1/2"))), "leaves a part unplaced"),
        (scheme(tiers((5, "1"), (0, "1")), pool(one("a", "1"))), "must then be the last step"),
        (scheme(tiers((0, "1/2"), (5, "1/2")), pool(one("a", "1"))), "only the last band is open"),
        (scheme(pool(one("a", "1", most_fen=5))), "leave one entry without most_fen"),
        (scheme(pool({"share": "1"})), "either a party or steps"),
        (scheme(pool({"share": "1", "party": "a", "steps": []})), "either a party or steps"),
        (deep(4), "nested more than 3 deep"),
        (scheme(*[pool(*[one(f"p{k}", "1/100") for k in range(100)])] * 3), "may have 250"),
        (scheme({"kind": "contribution", "label": LABEL, "parties": ["a"], "document": {}}), "is missing"),
        (scheme({"kind": "contribution", "label": LABEL, "parties": ["a"],
                 "document": contributed("ab", (1, 1))}), "has the players a, b"),
        (scheme({"kind": "contribution", "label": LABEL, "parties": ["a"],
                 "document": contributed("a", (0,))}), "document"),
    ],
)  # fmt: skip
def test_a_scheme_that_is_not_sound_is_refused_with_a_sentence(bad, said):
    with pytest.raises(InputError, match=said):
        check(bad)


def test_the_deepest_scheme_is_shared_out():
    assert share(deep(3), 7).paid_fen() == {"a": 7}


def test_a_contribution_that_is_no_fact_of_the_scheme_is_refused_by_name():
    by = scheme({"kind": "contribution", "label": LABEL, "parties": ["a", "b"], "fact": "worth"})
    assert share(by, 10, {"worth": contributed("ba", (1, 4))}).paid_fen() == {"a": 8, "b": 2}
    for fact in (7, {}, contributed("ac", (1, 1)), contributed("ab", (0, 0))):
        with pytest.raises(InputError) as refusal:
            share(by, 10, {"worth": fact})
        assert refusal.value.field.startswith("facts.worth")
    statement = share(by, 10, {"worth": contributed("ba", (1, 4))}).to_dict()
    statement["facts"]["worth"]["uses"][0]["value_fen"] = 2
    with pytest.raises(InputError):
        recompute_distribution(statement)


def test_what_a_sum_did_not_reach_is_told():
    fee = {"kind": "fixed", "party": "a", "label": LABEL, "amount_fen": 80}
    stated = {"kind": "fixed", "party": "b", "label": LABEL, "fact": "audit_fen"}
    statement = share(scheme(fee, stated, pool(one("c", "1"))), 100, {"audit_fen": 30})
    assert statement.paid_fen() == {"a": 80, "b": 20, "c": 0}
    assert statement.unrecovered_fen == {"audit_fen": 10}
    assert share(scheme(fee, pool(one("c", "1"))), 50).unrecovered_fen == {"fixed_1": 30}


@given(runs())
@settings(max_examples=15, deadline=None)
def test_what_flows_sums_to_the_amount_and_every_step_has_its_sentence(case):
    document, [(amount, stated), *_] = case
    statement = share(document, amount, stated)
    moved = flows(statement)
    assert sum(flow.amount_fen for flow in moved) == amount
    assert all(flow.way for flow in moved)
    told = explain(statement.scheme, {"operator": "运营公司"})
    assert len(told) == len(list(every_step(document["steps"])))
    assert not any("operator" in sentence.zh for sentence in told)
