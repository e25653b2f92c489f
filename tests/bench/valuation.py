"""What a range by Monte Carlo costs beside plain Python loops over the draws.

Ours is the whole of `simulation.analyse` on a million draws: the ends checked by the method itself, ten
years discounted by the worksheet's formulas, every value to the fen, mean, percentiles, convergence and
histogram.
Beside it, on fewer draws and scaled to a million (to their favour: sorting is not linear):

- the same worksheet in a plain loop: the formulas of its steps in floats, draw by draw, for any method;
- this one model written out by hand in a plain loop, which can do nothing else, with no checks;
- the exact method itself, run once per draw.
"""

import random
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

from valuation import methods, simulation
from valuation.formulas import Number, Symbol, parse

DRAWS = 1_000_000
LOOPED = 50_000
EXACT = 200
ROUNDS = 5
YEARS = 10
REVENUE = [10_000_000_00 + 500_000_00 * t for t in range(YEARS)]
PARTS = ("risk_free", "management", "circulation", "data_security", "regulatory")
DOCUMENT: dict[str, Any] = {
    "method": "income",
    "version": "1",
    "inputs": {
        "model": "share_of_revenue",
        "rate": dict.fromkeys(PARTS, "0.02"),
        "periods": [{"revenue_fen": revenue, "share": "1/20"} for revenue in REVENUE],
    },
}
RATE = {"at": "rate.management", "distribution": "uniform", "low": "0.01", "high": "0.03"}
SHARE = {"distribution": "triangular", "low": "0.02", "mode": "0.05", "high": "0.11"}


def by_hand(count: int, by_year: bool) -> list[float]:
    """The model written out: mean and percentiles of `count` draws."""
    values = []
    for _ in range(count):
        rate = 0.08 + random.uniform(0.01, 0.03)
        share, value = random.triangular(0.02, 0.11, 0.05), 0.0
        for t, revenue in enumerate(REVENUE, start=1):
            if by_year:
                share = random.triangular(0.02, 0.11, 0.05)
            value += revenue * share / (1 + rate) ** t
        values.append(round(value))
    return statistics(values)


def by_worksheet(count: int, by_year: bool) -> list[float]:
    """The worksheet's formulas, parsed once, in floats: mean and percentiles of `count` draws."""
    figure = methods.run(DOCUMENT)
    steps = [(step.symbol, step.formula and parse(step.formula)) for step in figure.steps]
    values, made = {step.symbol: float(step.value) for step in figure.steps}, []
    for _ in range(count):
        values["i_man"] = random.uniform(0.01, 0.03)
        share = random.triangular(0.02, 0.11, 0.05)
        for t in range(1, YEARS + 1):
            values[f"K_{t}"] = random.triangular(0.02, 0.11, 0.05) if by_year else share
        for symbol, tree in steps:
            if tree:
                values[symbol] = evaluated(tree, values)
        made.append(values["P"])
    return statistics(made)


def evaluated(node: Any, values: dict[str, float]) -> float:
    """A formula's tree in floats, for what this model's formulas are made of."""
    if isinstance(node, Symbol):
        return values[node.name]
    if isinstance(node, Number):
        return float(node.value)
    args = [evaluated(arg, values) for arg in node.args]
    return OPERATIONS[node.name](*args)


OPERATIONS: dict[str, Callable[..., float]] = {
    "+": lambda a, b: a + b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "sum": lambda *args: sum(args),
    "round_half_up": round,
}


def statistics(values: list[float]) -> list[float]:
    values.sort()
    count = len(values)
    return [sum(values) / count, *(values[count * p // 100] for p in simulation.PERCENTILES)]


def exact(count: int) -> None:
    """The method itself with its fractions, run for each draw."""
    for _ in range(count):
        rate = {
            **DOCUMENT["inputs"]["rate"],
            "management": str(Fraction(random.randrange(999), 9999)),
        }
        methods.run({**DOCUMENT, "inputs": {**DOCUMENT["inputs"], "rate": rate}})


def measured(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bench_valuation() -> None:
    """Two uncertain inputs and eleven, by turns with the loops; the best of each."""
    one = [RATE, {"at": "periods[*].share", **SHARE}]
    each = [RATE, *({"at": f"periods[{t}].share", **SHARE} for t in range(YEARS))]
    for what, inputs, by_year in (("2 inputs", one, False), (f"{YEARS + 1} inputs", each, True)):
        request = {"range": {"seed": 7, "draws": DRAWS, "inputs": inputs}}
        works: dict[str, tuple[int, Callable[[], object]]] = {
            "ours": (DRAWS, partial(simulation.analyse, DOCUMENT, request)),
            "the worksheet in a loop": (LOOPED // 10, partial(by_worksheet, LOOPED // 10, by_year)),
            "this model by hand in a loop": (LOOPED, partial(by_hand, LOOPED, by_year)),
            "the exact method": (EXACT, partial(exact, EXACT)),
        }
        best = dict.fromkeys(works, 0.0)
        for _ in range(ROUNDS):
            for name, (count, work) in works.items():
                best[name] = max(best[name], count / measured(work))
        ours = best.pop("ours")
        beside = ", ".join(
            f"{ours / rate:,.0f} × {name} ({rate:,.0f}/s)" for name, rate in best.items()
        )
        print(f"{f'ten years drawn, {what} uncertain':34} {ours:12,.0f}/s   {beside}")


if __name__ == "__main__":
    bench_valuation()
