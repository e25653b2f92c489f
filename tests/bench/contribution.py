"""What contributions and allocations cost beside the same rules in plain loops.

Shapley values of twenty players: a loop over the million coalitions as one would write it with care (values
in a list, weights by size at hand, each marginal added where it belongs), in floats; ours in floats, ours
exact in integers, and the whole of `contribution.run` from a formula to shares.

A million statements' lines, two hundred thousand statements of five payees one after another: the rule of
`money.allocate` written plainly with Fractions, on fewer statements, beside `allocation.allocate_many`; and
amounts of at most twenty fen, where many statements depend on the one before and are settled alone.
"""

import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from math import ceil, factorial, floor
from typing import Any

import numpy as np

from valuation import contribution
from valuation.allocation import allocate_many
from valuation.shapley import shapley, shapley_floats

PLAYERS = 20
ROUNDS = 7
STATEMENTS = 200_000
LOOPED = 4_000
SHARES = [Fraction(s, 32) for s in (8, 8, 6, 5, 5)]
DOCUMENT: dict[str, Any] = {
    "v": 1,
    "game": "formula",
    "formula": "round_half_up(min(sum_usage, 6000) * 250 * sum_usage_quality / sum_usage) - sum_cost",
    "players": [
        {"id": f"source {k}", "usage": 37 * k + 11, "cost_fen": 900 * k, "quality": f"{50 + k}/100"}
        for k in range(PLAYERS)
    ],
}


def in_a_loop(values: list[float]) -> list[float]:
    """Shapley values in floats, coalition by coalition."""
    n = len(values).bit_length() - 1
    weights = [factorial(s) * factorial(n - 1 - s) / factorial(n) for s in range(n)]
    found = [0.0] * n
    for coalition, value in enumerate(values):
        weight = weights[size] if (size := coalition.bit_count()) < n else 0.0
        for i in range(n):
            bit = 1 << i
            if not coalition & bit:
                found[i] += weight * (values[coalition | bit] - value)
    return found


def naive_allocate(
    total: int, parts: list[Fraction], deficits: list[Fraction]
) -> tuple[list[int], list[Fraction]]:
    """The rule of `money.allocate` as it reads, with Fractions."""
    due = [before + part for before, part in zip(deficits, parts, strict=True)]
    paid = [max(0, floor(claim)) for claim in due]
    while (left := total - sum(paid)) > 0:
        below = [k for k in range(len(paid)) if parts[k] and paid[k] < ceil(due[k])]
        nearest = min(below, key=lambda k: (ceil((paid[k] + 1 - due[k]) * total / parts[k]), k))
        paid[nearest] += 1
    assert not left
    return paid, [claim - got for claim, got in zip(due, paid, strict=True)]


def naive_series(amounts: list[int]) -> list[list[int]]:
    deficits, lines = [Fraction(0)] * len(SHARES), []
    for amount in amounts:
        paid, deficits = naive_allocate(amount, [amount * share for share in SHARES], deficits)
        lines.append(paid)
    return lines


def measured(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bench_contribution() -> None:
    """Twenty players, by turns with the loop; the best of each."""
    random = np.random.Generator(np.random.PCG64(8))
    whole = random.integers(0, 2**40, 1 << PLAYERS)
    whole[0] = 0
    floats, listed = whole.astype(np.float64), whole.astype(float).tolist()
    works: dict[str, tuple[int, Callable[[], object]]] = {  # how often a turn, since some take 2 ms
        "floats": (40, partial(shapley_floats, floats)),
        "exact": (20, partial(shapley, whole)),
        "document": (5, partial(contribution.run, DOCUMENT)),
        "loop": (1, partial(in_a_loop, listed)),
    }
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, (times, work) in works.items():
            best[name] = min(best[name], *(measured(work) for _ in range(times)), float("inf"))
    exact = [float(value) for value in shapley(whole)]
    assert np.allclose(in_a_loop(listed), exact, rtol=1e-6)
    assert np.allclose(shapley_floats(floats), exact, rtol=1e-6)
    print(
        f"{'Shapley values of 20, in floats':34} {1 / best['floats']:12,.0f}/s   "
        f"{best['loop'] / best['floats']:,.0f} × a plain loop ({best['loop']:.2f} s); exact "
        f"{best['exact'] * 1000:.1f} ms; exact from a formula to shares {best['document'] * 1000:.0f} ms"
    )


def bench_allocation() -> None:
    """A million lines, by turns with the plain rule; the best of each."""
    random = np.random.Generator(np.random.PCG64(8))
    for what, most in (("up to 10,000 yuan", 10**6), ("up to 0.20 yuan", 20)):
        amounts = random.integers(1, most, STATEMENTS, endpoint=True)
        some = amounts[:LOOPED].tolist()
        ours, plain = 0.0, 0.0
        for _ in range(ROUNDS):
            ours = max(
                ours, amounts.size * len(SHARES) / measured(partial(allocate_many, amounts, SHARES))
            )
            plain = max(plain, LOOPED * len(SHARES) / measured(partial(naive_series, some)))
        assert allocate_many(some, SHARES)[0].tolist() == naive_series(some)
        print(
            f"{'lines allocated, ' + what:34} {ours:12,.0f}/s   {ours / plain:,.0f} × plain Fractions "
            f"({plain:,.0f}/s)"
        )


if __name__ == "__main__":
    bench_contribution()
    bench_allocation()
