"""A revenue scheme places every fen, and its statement recomputes; operator, treasury, holder."""

import copy
import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valuation import InputError
from valuation.formulas import evaluate
from valuation.sharing import check, recompute_distribution, run, share
from valuation.worksheet import recompute

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden/valuation/sharing.json").read_text("utf-8")
)
SCHEME = GOLDEN["document"]["scheme"]
LABEL = {"zh": "项目", "en": "heading"}


def pool(**shares):
    entries = [{"party": party, "share": part} for party, part in shares.items()]
    return {"kind": "pool", "label": LABEL, "shares": entries}


def scheme(*steps):
    return {"v": 1, "name": LABEL, "steps": list(steps)}


def recover(party="operator", fact="cost_fen", **caps):
    return {"kind": "recover", "party": party, "label": LABEL, "fact": fact, **caps}


def treasury(part):
    return {"kind": "share", "party": "treasury", "label": LABEL, "ratio": part}


def test_the_golden_statement():
    statement = run(GOLDEN["document"])
    assert [[line.party, line.kind, line.amount_fen] for line in statement.lines] == GOLDEN["lines"]
    assert statement.to_dict()["deficits_after"] == GOLDEN["deficits_after"]
    assert statement.unrecovered_fen == GOLDEN["unrecovered_fen"]


@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)), min_size=1, max_size=20),
    st.lists(st.integers(0, 9), min_size=2, max_size=4).filter(any),
)
@settings(max_examples=40, deadline=None)
def test_costs_first_then_fixed_shares_leave_nobody_a_fen_off_over_many_statements(
    statements, weights
):
    parties = {f"party{k}": f"{w}/{sum(weights)}" for k, w in enumerate(weights)}
    one = scheme(recover("party0", cap_ratio="1/2"), treasury("0.07"), pool(**parties))
    carried = {}
    for amount, cost in statements:
        statement = share(one, amount, {"cost_fen": cost}, carried)
        carried = statement.deficits_after
        assert sum(line.amount_fen for line in statement.lines) == amount
        assert all(line.amount_fen >= 0 for line in statement.lines)
        assert max(abs(short) for short in carried.values()) < 1
        assert statement.lines[0].amount_fen == min(cost, amount // 2)
        assert statement.derivation.value == amount


def test_every_line_follows_from_its_own_steps():
    statement = run(GOLDEN["document"])
    for line in statement.lines:
        values = {}
        for step in line.steps:
            values[step.symbol] = evaluate(step.formula, values) if step.formula else step.value
            assert values[step.symbol] == step.value
        assert values[line.symbol] == line.amount_fen


def test_a_payee_does_not_see_the_parts_of_other_payees_of_the_pool():
    statement = run(GOLDEN["document"])
    mine = next(line for line in statement.lines if line.party == "holder")
    assert not any("processor" in step.zh or "operator" in step.zh for step in mine.steps)


def test_a_party_with_several_parts_is_paid_exactly_in_sum():
    one = scheme(treasury("1/10"), pool(treasury="1/3", operator="2/3"))
    carried = {}
    for amount in (101, 7, 0, 1, 55):
        statement = share(one, amount, deficits=carried)
        carried = statement.deficits_after
        assert [line.kind for line in statement.lines] == ["share", "pool", "pool"]
        assert sum(statement.paid_fen().values()) == amount
        assert abs(carried["treasury"]) < 1
        assert recompute(statement.derivation) == amount


def test_a_party_that_left_keeps_its_deficit_and_gets_whole_fen_only():
    statement = share(scheme(pool(operator="1")), 10, deficits={"gone": "3/2", "operator": "-3/2"})
    assert statement.paid_fen() == {"operator": 9, "gone": 1}
    assert statement.lines[-1].kind == "carried"
    assert statement.deficits_after == {"operator": Fraction(-1, 2), "gone": Fraction(1, 2)}
    statement = share(scheme(pool(operator="1")), 10, deficits={"gone": "1/2", "operator": "-1/2"})
    assert statement.paid_fen() == {"operator": 10}
    assert statement.deficits_after["gone"] == Fraction(1, 2)


def test_a_share_of_the_gross_may_come_before_the_costs():
    one = scheme(treasury("1/3"), recover(), pool(operator="1/2", holder="1/2"))
    statement = share(one, 100, {"cost_fen": 1000})
    assert statement.paid_fen() == {"operator": 66, "treasury": 34, "holder": 0}
    assert statement.unrecovered_fen == {"cost_fen": 934}


def test_a_cap_bounds_what_is_recovered():
    for caps, recovered in (({}, 80), ({"cap_fen": 30}, 30), ({"cap_ratio": "0.255"}, 25)):
        statement = share(scheme(recover(**caps), pool(holder="1")), 100, {"cost_fen": 80})
        assert statement.lines[0].amount_fen == recovered


def test_a_statement_survives_json_and_recomputes():
    statement = run(GOLDEN["document"])
    data = json.loads(json.dumps(statement.to_dict()))
    assert recompute_distribution(data).to_dict() == data


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from leaves(entry, (*path, key))
    elif isinstance(value, list):
        for k, entry in enumerate(value):
            yield from leaves(entry, (*path, k))
    else:
        yield path


STATEMENT = run(GOLDEN["document"]).to_dict()


def test_a_statement_that_was_touched_anywhere_is_refused():
    for path in leaves(STATEMENT):
        if path[0] == "derivation" or path[:2] == ("scheme", "name"):
            continue  # the name of a scheme decides nothing; the derivation has its own test
        data = copy.deepcopy(STATEMENT)
        target = data
        for key in path[:-1]:
            target = target[key]
        old = target[path[-1]]
        target[path[-1]] = old + 1 if isinstance(old, int) else old + "1"
        with pytest.raises(InputError):
            print(path, recompute_distribution(data))


@pytest.mark.parametrize(
    ("key", "value"), [("v", True), ("v", 1.0), ("amount_fen", 800001.0), ("seal", 1)]
)
def test_a_statement_in_another_type_is_refused(key, value):
    with pytest.raises(InputError, match=key):
        recompute_distribution({**STATEMENT, key: value})


def test_a_left_over_fen_moved_to_another_party_is_refused():
    data = copy.deepcopy(STATEMENT)
    steps = {step["symbol"]: step for step in data["derivation"]["steps"]}
    steps["n_2"]["value"], steps["n_3"]["value"] = "0", "1"
    steps["paid_2"]["value"], steps["paid_3"]["value"] = "216000", "108001"
    steps["after_2"]["value"], steps["after_3"]["value"] = "27/50", "-73/100"
    assert recompute(data["derivation"]) == 800001  # the arithmetic holds, the rule does not
    with pytest.raises(InputError) as refusal:
        recompute_distribution(data)
    assert refusal.value.field == "derivation"


def test_all_problems_of_a_scheme_are_listed_at_once():
    bad = scheme(
        pool(a="1/2", b="0.4"),
        {"kind": "levels"},
        recover("", "Cost", cap_fen=-1, cap_ratio="2"),
        {**treasury("-1"), "to": "x"},
        treasury("1.5"),
    )
    with pytest.raises(InputError) as refusal:
        check({**bad, "name": {"zh": "x"}})
    assert [field for field, _ in refusal.value.problems] == [
        "scheme.name.en",
        "scheme.steps[0].shares",
        "scheme.steps[0]",
        "scheme.steps[1].kind",
        "scheme.steps[2].party",
        "scheme.steps[2].fact",
        "scheme.steps[2].cap_fen",
        "scheme.steps[2].cap_ratio",
        "scheme.steps[3].to",
        "scheme.steps[4].ratio",
        "scheme.steps[4]",
    ]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        {},
        {"v": 1, "name": LABEL},
        scheme(),
        scheme(recover()),
        scheme(pool(), pool(a="1")),
        scheme(pool(a="1/2", b=0.5)),
        scheme(pool(a=1.0)),
        scheme(pool(a="1"), pool(a="1")),
        scheme(7),
        scheme(recover(), recover(), pool(a="1")),
        {**scheme(pool(a="1")), "v": True},
        scheme(pool(a="-1", b="2")),
    ],
)
def test_a_scheme_that_does_not_place_every_fen_is_refused(bad):
    with pytest.raises(InputError, match="scheme"):
        check(bad)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount_yuan": "-0.01"}, "amount_fen"),
        ({"amount_yuan": 1.5}, "amount_yuan"),
        ({"amount_fen": 5}, "amount_fen"),
        ({"facts": {}}, "facts.platform_cost_fen"),
        ({"facts": {"platform_cost_fen": -1}}, "facts.platform_cost_fen"),
        ({"facts": {"platform_cost_fen": 1, "rent_fen": 1}}, "facts.rent_fen"),
        ({"facts": [1]}, "facts"),
        ({"deficits": {"operator": 0.5}}, "deficits.operator"),
        ({"deficits": {"operator": "0.5"}}, "deficits.operator"),
        ({"deficits": {"operator": "1/0"}}, "deficits.operator"),
        ({"deficits": {"operator": 20_000}}, "deficits.operator"),
        ({"deficits": [{"party": "a", "fen": "0"}] * 2}, "deficits[1].party"),
        ({"deficits": "none"}, "deficits"),
        ({"note": "x"}, "note"),
    ],
)
def test_a_document_that_is_not_well_formed_is_refused_by_name(change, field):
    with pytest.raises(InputError) as refusal:
        run({**GOLDEN["document"], **change})
    assert refusal.value.field == field
