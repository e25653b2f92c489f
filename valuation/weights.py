"""The analytic hierarchy process turns pairwise judgements into weights, and says how far they contradict.

a_ij tells how many times criterion i matters as much as j, on the scale 1 to 9, with a_ji = 1 / a_ij. The
weights are the principal eigenvector of the matrix, λmax its eigenvalue; CI = (λmax - n) / (n - 1);
CR = CI / RI. Judgements with CR >= 0.1 are refused, and the one that most deserves mending is named.

Source: T. L. Saaty's method; RI for n = 1 to 10 as in eight independent program sources, which agree up to
10 only, hence n <= 10; scale 1 to 9.
"""

from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np

from valuation import InputError, NoSolution, inputs
from valuation.money import allocate, exact_text, round_half_up
from valuation.worksheet import Figure, Worksheet

VERSION = "1"
SOURCE = "层次分析法 AHP (Saaty)"
SOURCE_RI = "平均随机一致性指标 RI, n=1..10 (Saaty; 八个独立来源一致 eight sources agree)"

RI = tuple(
    Fraction(v) for v in ("0", "0", "0.58", "0.90", "1.12", "1.24", "1.32", "1.41", "1.45", "1.49")
)
"""Random index for n = 1 to 10."""

MAX_CR = Fraction(1, 10)
"""Judgements are consistent enough below this ratio."""

DECIMALS = 6
"""Decimals of the weights; their sum is exactly 1."""

_VECTOR_DECIMALS = 24
_ROUNDS = 20_000


def ahp(*, criteria: Sequence[str], matrix: Sequence[Sequence[Any]]) -> Figure:
    """Return the weights of the criteria as six-place decimals that sum to 1, with λmax, CI and CR.

    Parameters
    ----------
    criteria : n names, 1 <= n <= 10, all different
    matrix : n rows of n ratios such as ``"1/3"``, from 1/9 to 9, with 1 on the diagonal and a_ji = 1 / a_ij

    Returns
    -------
    Figure : result CR; outputs w_1 … w_n (`weights_of`), lambda_max, CI and CR

    Raises
    ------
    InputError : names the judgement, such as ``matrix[0][2]``; also for CR >= 0.1, where the field is the
        judgement above the diagonal whose change to another step of the scale lowers CR most

    Notes
    -----
    The eigenvector is found by power iteration in 50-digit decimal arithmetic, the same on every machine,
    and written down to 24 decimals as an input; λmax is the mean of (A·v)_i / v_i, recomputed from it in
    the open. The weights are the vector rounded to 6 decimals such that they sum to 1 (`money.allocate`).

    Examples
    --------
    >>> matrix = [[1, 2, 4], ["1/2", 1, 2], ["1/4", "1/2", 1]]
    >>> figure = ahp(criteria=["质量", "规模", "时效"], matrix=matrix)
    >>> figure.display(), [str(w) for w in weights_of(figure).values()]
    ('0', ['571429/1000000', '142857/500000', '142857/1000000'])
    """
    names = [
        inputs.text(name, f"criteria[{k}]")
        for k, name in enumerate(inputs.sequence(criteria, "criteria", 1, len(RI)))
    ]
    for k, name in enumerate(names):
        if name in names[:k]:
            raise InputError(f"criteria[{k}]", f"{name} stands there twice")
    judgements = _matrix(matrix, len(names))
    vector = _eigenvector(judgements)
    figure = _worksheet(names, judgements, vector)
    ratio_cr = figure.value
    if ratio_cr >= MAX_CR:
        i, j, better, mended = _to_mend(judgements)
        others = "" if mended < MAX_CR else ", and another judgement must be mended after it"
        raise InputError(
            f"matrix[{i}][{j}]",
            f"the judgements contradict each other: CR = {_decimal(ratio_cr)}, but must be below 0.1;"
            f" most deserves mending: {names[i]} against {names[j]} is {exact_text(judgements[i][j])};"
            f" with {exact_text(better)} in its place CR would be {_decimal(mended)}{others}",
        )
    return figure


def weights_of(figure: Figure) -> dict[str, Fraction]:
    """Return the weights of an `ahp` figure by criterion; they sum to exactly 1.

    >>> figure = ahp(criteria=["质量", "规模"], matrix=[[1, 3], ["1/3", 1]])
    >>> {name: str(weight) for name, weight in weights_of(figure).items()}
    {'质量': '3/4', '规模': '1/4'}
    """
    return {
        step.zh.removesuffix(": 权重"): step.value
        for step in figure.steps
        if step.symbol.startswith("w_")
    }


def _matrix(matrix: object, n: int) -> list[list[Fraction]]:
    rows = inputs.sequence(matrix, "matrix", n, n)
    exact: list[list[Fraction]] = []
    problems: list[tuple[str, str]] = []
    for i, row in enumerate(rows):
        exact.append([])
        with inputs.gathering(problems):
            for j, entry in enumerate(inputs.sequence(row, f"matrix[{i}]", n, n)):
                with inputs.gathering(problems):
                    at = f"matrix[{i}][{j}]"
                    exact[i].append(inputs.number(entry, at, least=Fraction(1, 9), most=9))
    if problems:
        raise InputError.of(problems)
    for i in range(n):
        if exact[i][i] != 1:
            told = "must be 1: a criterion matters as much as itself"
            problems.append((f"matrix[{i}][{i}]", told))
        for j in range(i):
            if exact[i][j] * exact[j][i] != 1:
                told = f"is {exact_text(exact[i][j])}, but must be {exact_text(1 / exact[j][i])}"
                problems.append(
                    (f"matrix[{i}][{j}]", f"{told}, the reciprocal of matrix[{j}][{i}]")
                )
    if problems:
        raise InputError.of(problems)
    return exact


def _eigenvector(matrix: list[list[Fraction]]) -> list[Fraction]:
    """The principal eigenvector, entries to 24 decimals; their sum is 1 up to that."""
    with localcontext(Context(prec=50)):
        rows = [[Decimal(a.numerator) / Decimal(a.denominator) for a in row] for row in matrix]
        vector = [Decimal(1) / len(rows)] * len(rows)
        tolerance = Decimal(10) ** -(_VECTOR_DECIMALS + 10)
        for _ in range(_ROUNDS):
            product = [sum(a * x for a, x in zip(row, vector, strict=True)) for row in rows]
            total = sum(product)
            following = [Decimal(x) / total for x in product]
            moved = max(abs(x - y) for x, y in zip(following, vector, strict=True))
            vector = following
            if moved < tolerance:
                break
        else:
            raise NoSolution("the power iteration found no eigenvector within 20,000 rounds")
        scale = 10**_VECTOR_DECIMALS
        return [Fraction(round_half_up(Fraction(x) * scale), scale) for x in vector]


def _worksheet(names: list[str], matrix: list[list[Fraction]], vector: list[Fraction]) -> Figure:
    n = len(names)
    sheet = Worksheet()
    for i in range(n):
        for j in range(i + 1, n):
            zh, en = f"{names[i]} 比 {names[j]}", f"{names[i]} against {names[j]}"
            sheet.given(
                f"a_{i + 1}_{j + 1}", zh, en, matrix[i][j], "1", "判断 judgement, 1-9 标度 scale"
            )
    for i in range(n):
        zh, en = f"{names[i]}: 特征向量", f"{names[i]}: principal eigenvector"
        sheet.given(
            f"v_{i + 1}",
            zh,
            en,
            vector[i],
            "1",
            f"{SOURCE}, 幂法 power iteration, 24位小数 decimals",
        )
    for i in range(n):
        terms = [
            f"v_{j + 1}"
            if i == j
            else f"a_{i + 1}_{j + 1} * v_{j + 1}"
            if i < j
            else f"v_{j + 1} / a_{j + 1}_{i + 1}"
            for j in range(n)
        ]
        zh, en = f"{names[i]}: (A·v)/v", f"{names[i]}: (A·v)/v"
        sheet.step(f"l_{i + 1}", zh, en, f"sum({', '.join(terms)}) / v_{i + 1}", "1", SOURCE)
    formula = f"round_half_up(sum({', '.join(f'l_{i + 1}' for i in range(n))}) / {n}, 12)"
    sheet.step("lambda_max", "最大特征值", "λmax", formula, "1", SOURCE, "12位小数 to 12 decimals")
    if n > 1:
        formula = f"(lambda_max - {n}) / ({n} - 1)"
        sheet.step("CI", "一致性指标", "consistency index", formula, "1", SOURCE)
    else:
        sheet.given("CI", "一致性指标", "consistency index", 0, "1", SOURCE)
    sheet.given("RI", "平均随机一致性指标", "random index", RI[n - 1], "1", SOURCE_RI)
    if n > 2:
        sheet.step("CR", "一致性比例", "consistency ratio", "CI / RI", "1", SOURCE)
    else:
        sheet.given(
            "CR",
            "一致性比例",
            "consistency ratio",
            0,
            "1",
            f"{SOURCE}: n <= 2 总是一致 always consistent",
        )
    units = 10**DECIMALS
    total = sum(vector)
    whole, _ = allocate(units, [units * x / total for x in vector])
    for i in range(n):
        zh, en = f"{names[i]}: 权重", f"{names[i]}: weight"
        source = f"{SOURCE}, 特征向量取6位小数且合计为1 the vector to 6 decimals, summing to 1"
        sheet.given(f"w_{i + 1}", zh, en, Fraction(whole[i], units), "1", source)
    formula = f"sum({', '.join(f'w_{i + 1}' for i in range(n))})"
    sheet.step("w", "权重合计", "sum of the weights", formula, "1", SOURCE)
    outputs = (*(f"w_{i + 1}" for i in range(n)), "lambda_max", "CI", "CR")
    return sheet.figure("ahp", VERSION, "CR", outputs)


def _to_mend(matrix: list[list[Fraction]]) -> tuple[int, int, Fraction, Fraction]:
    """(i, j, a better judgement, the CR with it): the one change to a step of the scale that helps most.

    Every change is tried in floating point; of those that help alike the smallest is taken, then the
    first. The CR told is computed anew as `ahp` does.
    """
    scale = [Fraction(1, k) for k in range(9, 1, -1)] + [Fraction(k) for k in range(1, 10)]
    n = len(matrix)
    floats = np.array([[float(a) for a in row] for row in matrix])
    changes = [(i, j, to) for i in range(n) for j in range(i + 1, n) for to in scale]
    tried = np.repeat(floats[None], len(changes), axis=0)
    for k, (i, j, to) in enumerate(changes):
        tried[k, i, j], tried[k, j, i] = float(to), float(1 / to)
    largest = np.linalg.eigvals(tried).real.max(axis=1).round(6)

    def order(k: int) -> tuple[float, Fraction, int]:
        i, j, to = changes[k]
        factor = to / matrix[i][j]
        return float(largest[k]), max(factor, 1 / factor), k

    i, j, better = changes[min(range(len(changes)), key=order)]
    mended = [list(row) for row in matrix]
    mended[i][j], mended[j][i] = better, 1 / better
    names = [str(k) for k in range(n)]
    return i, j, better, _worksheet(names, mended, _eigenvector(mended)).value


def _decimal(value: Fraction) -> str:
    scaled = round_half_up(value * 10**DECIMALS)
    return f"{scaled // 10**DECIMALS}.{scaled % 10**DECIMALS:06d}"
