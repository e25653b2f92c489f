"""Two figures compared: every effect by hand where it can be, and always a sum that is the difference."""

import copy
import itertools
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valuation import InputError, comparison
from valuation.comparison import compare
from valuation.methods import run
from valuation.worksheet import Figure

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden/valuation/methods.json").read_text("utf-8")
)
CASES = {case["name"]: case["document"] for case in GOLDEN["cases"]}
INCOME = run(CASES["income end of period"])
RECONCILED = run(CASES["reconciled"])


def changed(figure: Figure, *changes: tuple[tuple[str | int, ...], Any]) -> Figure:
    """The figure whose inputs differ at the paths given; None takes the entry away."""
    document = copy.deepcopy(figure.document)
    assert document is not None
    for path, value in changes:
        target = document["inputs"]
        for key in path[:-1]:
            target = target[key]
        if value is None:
            del target[path[-1]]
        else:
            target[path[-1]] = value
    return run(document)


def told(old: Figure, new: Figure) -> list[tuple[str, int]]:
    """The effects by the paths of what changed; they sum to the difference."""
    made = compare(old, new)
    assert sum(effect.effect_fen for effect in made.effects) == made.difference_fen
    return [("+".join(one.at for one in e.changes), e.effect_fen) for e in made.effects]


def test_a_rate_and_then_a_period_by_hand() -> None:
    """1,100,000/1.2 + 1,210,000/1.44 + 1,331,000/1.728 = 2,527,199.07; without the third 1,756,944.44."""
    new = changed(INCOME, (("rate", "management"), "0.12"), (("periods", 2), None))
    assert told(INCOME, new) == [("rate.management", -472_800_93), ("periods[2]", -770_254_63)]
    back = compare(new, INCOME)
    assert [(e.changes[0].kind, e.changes[0].at) for e in back.effects] == [
        ("changed", "rate.management"), ("added", "periods[2]"),
    ]  # fmt: skip
    assert back.effects[1].zh == "收益期 · 第3项"
    assert back.effects[0].changes[0].old == "0.12"


def test_a_price_and_then_the_weights_of_two_approaches_by_hand() -> None:
    """3/4 x 900,000 + 1/4 x 2,613,600 = 1,328,400; half and half 1,756,800 (before: 1,269,000)."""
    price = ("figures", 1, "document", "inputs", "parts", 0, "comparables", 0, "price_fen")
    new = changed(
        RECONCILED, (price, 110_000_000), (("figures", 0, "weight"), "1/2"),
        (("figures", 1, "weight"), "0.5"), (("figures", 0, "reason"), "另一理由"),
    )  # fmt: skip
    assert told(RECONCILED, new) == [
        ("figures[1].document.inputs.parts[0].comparables[0].price_fen", 59_400_00),
        ("figures[0].weight+figures[1].weight", 428_400_00),
    ]
    made = compare(RECONCILED, new)
    assert made.texts == ("figures[0].reason",)
    assert made.effects[0].zh == "市场法 · 停车数据 · 可比案例1 · 可比对象价值"
    assert made.effects[0].changes[0].unit == "fen"


def test_an_approach_that_is_added_goes_with_the_weights() -> None:
    alone = run({
        "method": "reconcile", "version": "1",
        "inputs": {"figures": [{**RECONCILED.document["inputs"]["figures"][0], "weight": 1}]},
    })  # fmt: skip
    assert told(alone, RECONCILED) == [("figures[0].weight+figures[1]", 369_000_00)]
    assert told(RECONCILED, alone) == [("figures[0].weight+figures[1]", -369_000_00)]


def test_factors_are_known_by_name_and_their_order_is_no_change() -> None:
    def factor(zh: str, value: str) -> dict[str, str]:
        return {"zh": zh, "en": zh, "value": value, "basis": "评价"}

    cost = run(CASES["cost"])
    old = changed(cost, (("factors",), [factor("质量", "0.9"), factor("流通", "1.1")]))
    turned = changed(cost, (("factors",), [factor("流通", "1.1"), factor("质量", "9/10")]))
    assert told(old, turned) == []
    new = changed(cost, (("factors",), [factor("时效", "0.5"), factor("流通", "1.1")]))
    assert told(old, new) == [("factors[0]", -495_000_00), ("factors[0]", 55_000_00)]
    assert [e.zh for e in compare(old, new).effects] == ["时效", "质量"]


def test_what_the_method_refuses_alone_changes_together() -> None:
    old = changed(INCOME, (("rate", "risk_free"), "0"), (("rate", "management"), "0.9"))
    new = changed(INCOME, (("rate", "risk_free"), "0.9"), (("rate", "management"), "0"))
    assert told(old, new) == [("rate.risk_free+rate.management", 0)]


def test_another_method_version_or_model_gives_the_two_values_only() -> None:
    for old, reason in (
        (run(CASES["cost"]), "method"),
        (run(CASES["share of revenue"]), "model"),
        (Figure(**{**vars(INCOME), "document": {**INCOME.document, "version": "0"}}), "version"),
    ):
        made = compare(old, INCOME)
        assert (made.reason, made.effects) == (reason, ())
        assert made.difference_fen == INCOME.value_fen - old.value_fen
    share = {**RECONCILED.document["inputs"]["figures"][0], "document": CASES["share of revenue"]}
    direct = {**share, "document": INCOME.document}
    pair = [changed(RECONCILED, (("figures", 0), one)) for one in (share, direct)]
    assert told(*pair) == [("figures[0].document", 75 * (3_000_000 - 100_000))]


def test_what_does_not_recompute_is_not_compared() -> None:
    data = INCOME.to_dict()
    data["steps"][0]["value"] = "1/100"
    with pytest.raises(InputError) as refusal:
        compare(INCOME, Figure.from_dict(data))
    assert refusal.value.field == "new.steps"
    with pytest.raises(InputError, match=r"old.document: is missing"):
        compare(Figure(**{**vars(INCOME), "document": None}), INCOME)
    with pytest.raises(InputError, match=r"old.figure: is no amount"):
        compare(run(CASES["perfectly consistent"]), INCOME)
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(InputError, match="nested"):
        compare(INCOME, Figure(**{**vars(INCOME), "document": {"inputs": deep}}))


def test_very_many_changes_are_told_by_larger_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    flows = [{"income_fen": 1_000_00 + t} for t in range(60)]
    old = changed(INCOME, (("periods",), flows))
    new = changed(
        INCOME, (("periods",), [{"income_fen": 2 * one["income_fen"]} for one in flows]),
        (("rate", "management"), "0.03"),
    )  # fmt: skip
    assert len(told(old, new)) == 61
    monkeypatch.setattr(comparison, "MAX_WORK", 100)
    told_short = told(old, new)
    assert [at.partition("[")[0] for at, _ in told_short] == ["rate.management", "periods"]
    assert compare(old, new).effects[1].zh.endswith("等60项")


def test_the_steps_of_both_stand_side_by_side_where_they_are_the_same() -> None:
    new = changed(INCOME, (("rate", "management"), "0.12"), (("periods", 2), None))
    pairs = {pair.symbol: pair for pair in compare(INCOME, new).steps}
    assert (pairs["i"].old, pairs["i"].new) == ("1/10", "1/5")
    assert (pairs["v_1"].old, pairs["v_1"].new) == ("10/11", "5/6")
    assert "F_3" not in pairs
    assert pairs["P"].unit == "fen"


def test_the_order_is_the_method_s_and_not_that_of_the_keys() -> None:
    new = changed(INCOME, (("rate", "management"), "0.12"), (("periods", 2), None))
    document = json.loads(json.dumps(new.document, sort_keys=True))
    assert compare(INCOME, run(document)).effects == compare(INCOME, new).effects


def test_a_comparison_is_canonical_json_and_says_that_its_order_counts() -> None:
    data = compare(INCOME, changed(INCOME, (("rate", "management"), "0.12"))).to_dict()
    assert json.loads(json.dumps(data)) == data
    assert "otherwise" in data["order"]["en"]
    assert data["difference_fen"] == data["new_fen"] - data["old_fen"] == -472_800_93


# -- any two documents of one method -----------------------------------------------------------

FEN = st.integers(0, 10**12)
RATIO = st.fractions(Fraction(1, 100), 2, max_denominator=100).map(str)
NAMES = st.sampled_from(["质量", "流通", "场景", "时效"])


def _factor(name: str, value: str) -> dict[str, str]:
    return {"zh": name, "en": name, "value": value, "basis": "b"}


FACTORS = st.dictionaries(NAMES, RATIO, max_size=4).map(
    lambda found: [_factor(name, value) for name, value in found.items()]
)
COST = st.fixed_dictionaries({
    **dict.fromkeys(("preparatory_fen", "direct_fen", "indirect_fen", "opportunity_fen", "taxes_fen"), FEN),
    "factors": FACTORS,
}).map(lambda given: {"method": "cost", "version": "1", "inputs": given})  # fmt: skip
LINES = st.dictionaries(st.sampled_from(["采集", "清洗", "人工"]), FEN, min_size=1).map(
    lambda found: [{"name": name, "amount_fen": fen, "basis": "b"} for name, fen in found.items()]
)


def _by_lines(document: dict[str, Any], lines: list[dict[str, Any]]) -> dict[str, Any]:
    given = {key: value for key, value in document["inputs"].items() if key != "direct_fen"}
    return {**document, "inputs": {**given, "lines": {"direct": lines}}}


COST = st.one_of(COST, st.builds(_by_lines, COST, LINES))
PARTS = ("risk_free", "management", "circulation", "data_security", "regulatory")
RATE = st.fixed_dictionaries(
    {part: st.fractions(0, Fraction(19, 100), max_denominator=100).map(str) for part in PARTS}
)
DIRECT = st.fixed_dictionaries(
    {
        "model": st.just("direct"), "rate": RATE,
        "periods": st.lists(
            st.fixed_dictionaries({"income_fen": st.integers(-(10**10), 10**12)}), min_size=1, max_size=4
        ),
    },
    optional={
        "timing": st.sampled_from(["end", "mid"]), "first_period": st.sampled_from(["1/2", "0.75"]),
        "life": st.sampled_from(["3/4", "5/2", "4"]), "rate_basis": st.just({"management": "调查"}),
    },
).map(lambda given: {"method": "income", "version": "1", "inputs": given})  # fmt: skip


def _weighed(entries: list[dict[str, Any]], parts: list[int]) -> list[dict[str, Any]]:
    used = parts[: len(entries)]
    return [
        {**entry, "weight": str(Fraction(part, sum(used)))}
        for entry, part in zip(entries, used, strict=True)
    ]


WEIGHTS = st.lists(st.integers(1, 9), min_size=4, max_size=4)
COMPARABLE = st.fixed_dictionaries({
    "name": NAMES, "price_fen": FEN, "quality": RATIO, "supply_demand": RATIO, "other": RATIO,
    "date": st.fixed_dictionaries({"valuation_index": RATIO, "comparable_index": RATIO}),
    "capacity": st.fixed_dictionaries({"subject": RATIO, "comparable": RATIO}), "basis": st.just("b"),
})  # fmt: skip
PART = st.builds(
    lambda name, entries, weights: {"name": name, "comparables": _weighed(entries, weights)},
    NAMES, st.lists(COMPARABLE, min_size=1, max_size=3), WEIGHTS,
)  # fmt: skip
MARKET = st.lists(PART, min_size=1, max_size=2).map(
    lambda parts: {"method": "market", "version": "1", "inputs": {"parts": parts}}
)
SEVERAL = st.builds(
    lambda documents, weights: {
        "method": "reconcile", "version": "1",
        "inputs": {"figures": _weighed([{"document": one, "reason": "r"} for one in documents], weights)},
    },
    st.lists(st.one_of(COST, DIRECT, MARKET), min_size=1, max_size=3), WEIGHTS,
)  # fmt: skip


@given(st.one_of(*[st.tuples(one, one) for one in (COST, DIRECT, MARKET, SEVERAL)]))
def test_the_effects_of_any_two_documents_sum_to_the_difference(
    pair: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    old, new = map(run, pair)
    made = compare(old, new)
    assert made.reason == ""
    assert made.difference_fen == new.value_fen - old.value_fen
    assert sum(effect.effect_fen for effect in made.effects) == made.difference_fen
    assert compare(old, old).effects == ()
    values = [old.value_fen, *(effect.value_fen for effect in made.effects)]
    assert [after - before for before, after in itertools.pairwise(values)] == [
        effect.effect_fen for effect in made.effects
    ]
