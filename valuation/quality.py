"""The quality score of a data set is the weighted mean of its measured indicators, from 0 to 1.

Each indicator is X = A / B (elements that meet it over elements evaluated); the two where smaller is
better, 数据重复率 and 脏数据出现率, count 1 - A / B. What was not measured is left out, its weight spread
over the rest in proportion, and the figure says so: nothing is ever assumed to be perfect.

Source: GB/T 36344-2018 信息技术 数据质量评价指标, its 6 dimensions and 20 indicators as restated in
published catalogues; the standard's own text was not read. It sets no weights (from memory, to be
verified): they are an input, which `weights` can find.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from valuation import InputError, NoSolution, inputs
from valuation.money import exact_text
from valuation.worksheet import Figure, Worksheet

VERSION = "1"
SOURCE = "GB/T 36344-2018 X=A/B"
SOURCE_INVERSE = "GB/T 36344-2018 X=A/B; 越小越好, 计 1-X (as in DB31/T 1523-2024: 1-A/B)"
SOURCE_SCORE = (
    "加权平均 weighted mean; 标准未规定权重 the standard sets no weights (to be verified 待核实)"
)

MAX_COUNT = 2**53 - 1


@dataclass(frozen=True)
class Indicator:
    """An indicator of the standard: code, names, what A and B count, and whether smaller is better."""

    code: str
    zh: str
    en: str
    a: str
    b: str
    inverse: bool


DIMENSIONS = {
    "01": ("规范性", "conformity"),
    "02": ("完整性", "completeness"),
    "03": ("准确性", "accuracy"),
    "04": ("一致性", "consistency"),
    "05": ("时效性", "timeliness"),
    "06": ("可访问性", "accessibility"),
}
"""The six dimensions: code, name in Chinese and English (ours)."""

INDICATORS = {
    indicator.code: indicator
    for indicator in (
        Indicator(
            "0101",
            "数据标准",
            "data standard",
            "elements meeting the data standard",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0102",
            "数据模型",
            "data model",
            "elements meeting the data model",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0103",
            "元数据",
            "metadata",
            "elements meeting the metadata definition",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0104",
            "业务规则",
            "business rule",
            "elements meeting the business rule",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0105",
            "权威参考数据",
            "authoritative reference data",
            "elements meeting the reference data rule",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0106",
            "安全规范",
            "security rule",
            "elements meeting the security rule",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0201",
            "数据元素完整性",
            "element completeness",
            "elements that have a value",
            "elements expected to have a value",
            False,
        ),
        Indicator(
            "0202",
            "数据记录完整性",
            "record completeness",
            "elements that have a value",
            "elements expected to have a value",
            False,
        ),
        Indicator(
            "0301",
            "数据内容正确性",
            "content correctness",
            "elements that are correct",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0302",
            "数据格式合规性",
            "format compliance",
            "elements meeting the format requirement",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0303", "数据重复率", "duplicate rate", "duplicate elements", "elements evaluated", True
        ),
        Indicator(
            "0304",
            "数据唯一性",
            "uniqueness",
            "elements meeting uniqueness",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0305",
            "脏数据出现率",
            "dirty data rate",
            "elements with dirty data",
            "elements evaluated",
            True,
        ),
        Indicator(
            "0401",
            "相同数据一致性",
            "same data consistency",
            "elements meeting consistency",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0402",
            "关联数据一致性",
            "related data consistency",
            "elements meeting consistency",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0501",
            "基于时间段的正确性",
            "correctness over a period",
            "elements valid for the period",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0502",
            "基于时间点及时性",
            "timeliness at a point",
            "elements that are timely",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0503",
            "时序性",
            "temporal order",
            "elements in the right order",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0601",
            "可访问",
            "accessible",
            "elements that can be accessed when needed",
            "elements evaluated",
            False,
        ),
        Indicator(
            "0602",
            "可用性",
            "availability",
            "elements usable in their life span",
            "elements evaluated",
            False,
        ),
    )
}
"""The twenty indicators by their four-digit code; the first two digits are the dimension."""


def score(*, indicators: Sequence[Mapping[str, Any]]) -> Figure:
    """Return the quality score, a pure number from 0 to 1, exact.

    Parameters
    ----------
    indicators : objects ``{"code", "weight", "a", "b"}`` for what was measured, with integers
        0 <= a <= b, or ``{"code", "weight", "not_measured": reason}``. Weights are ratios > 0, and only
        their proportion counts. An indicator with b = 0 is not applicable, and is left out likewise.

    Returns
    -------
    Figure : outputs S (the score) and M (the share of all weight that was measured)

    Raises
    ------
    InputError : names the field, such as ``indicators[3].a``
    NoSolution : nothing was measured

    Examples
    --------
    >>> figure = score(indicators=[{"code": "0303", "weight": 1, "a": 3, "b": 60},
    ...     {"code": "0601", "weight": 1, "not_measured": "已询问，未答复"}])
    >>> figure.display(), str(figure["M"].value)
    ('19/20', '1/2')
    """
    sheet = Worksheet()
    terms: list[str] = []
    weights: list[str] = []
    left_out: list[str] = []
    seen: set[str] = set()
    problems: list[tuple[str, str]] = []
    for k, entry in enumerate(inputs.sequence(indicators, "indicators", 1, len(INDICATORS))):
        with inputs.gathering(problems):
            code, is_measured = _indicator(sheet, entry, f"indicators[{k}]", seen)
            (weights if is_measured else left_out).append(f"w_{code}")
            terms += [f"w_{code} * X_{code}"] if is_measured else []
    if problems:
        raise InputError.of(problems)
    if not terms:
        raise NoSolution("no indicator was measured, so there is no quality score")
    formula = f"sum({', '.join(weights)})"
    measured = sheet.step(
        "W", "已测量指标的权重合计", "weight measured", formula, "1", SOURCE_SCORE
    )
    if left_out:
        formula = f"sum({', '.join(left_out)})"
        sheet.step("U", "未测量指标的权重合计(剔除)", "weight left out", formula, "1", SOURCE_SCORE)
    formula = "W / (W + U)" if left_out else "W / W"
    share = sheet.step(
        "M", "已测量权重占比", "share of weight measured", formula, "1", SOURCE_SCORE
    )
    assert measured > 0
    formula = f"sum({', '.join(terms)}) / W"
    sheet.step("S", "数据质量得分", "data quality score", formula, "1", SOURCE_SCORE)
    if share != 1:
        sheet.note(
            f"已测量指标占全部权重的 {exact_text(share)}。",
            f"The measured indicators carry {exact_text(share)} of all weight.",
        )
    return sheet.figure("quality", VERSION, "S", ("S", "M"))


def document(
    measured: Sequence[Mapping[str, Any]],
    asked: Sequence[Mapping[str, Any]] = (),
    weights: Mapping[str, Fraction] | None = None,
) -> dict[str, Any]:
    """Return the document of the method `quality` for what a profile measured and what it had to ask.

    Parameters
    ----------
    measured : objects with ``code``, ``a`` and ``b``, as the indicators of a profile
    asked : objects with ``code`` and ``question_zh``; they stand there as not measured, so that the
        figure tells which share of all weight was measured
    weights : weight by criterion, such as `weights.weights_of` gives; a criterion is an indicator or a
        dimension, by code or name. A dimension's weight is shared evenly by its indicators in the
        document that are no criterion themselves. Without weights all weigh the same.

    Raises
    ------
    InputError : ``weights``: a criterion that is none or has no indicator here, an indicator without any

    Examples
    --------
    >>> found = [{"code": "0201", "a": 9, "b": 10}, {"code": "0202", "a": 1, "b": 1}]
    >>> made = document(found, weights={"完整性": Fraction(1)})
    >>> [one["weight"] for one in made["inputs"]["indicators"]]
    ['1/2', '1/2']
    >>> score(**made["inputs"]).display()
    '19/20'
    """
    entries: list[dict[str, Any]] = [
        {"a": one["a"], "b": one["b"], "code": one["code"]} for one in measured
    ]
    entries += [{"code": one["code"], "not_measured": one["question_zh"]} for one in asked]
    entries.sort(key=lambda entry: str(entry["code"]))
    shares = _shares([entry["code"] for entry in entries], weights)
    given = [{**entry, "weight": exact_text(shares[entry["code"]])} for entry in entries]
    return {"inputs": {"indicators": given}, "method": "quality", "version": VERSION}


def _shares(codes: Sequence[str], weights: Mapping[str, Fraction] | None) -> dict[str, Fraction]:
    """The weight of each indicator."""
    if weights is None:
        return dict.fromkeys(codes, Fraction(1))
    names = {code: code for code in (*DIMENSIONS, *INDICATORS)}
    names |= {one.zh: code for code, one in INDICATORS.items()}
    names |= {one.en: code for code, one in INDICATORS.items()}
    names |= {name: code for code, pair in DIMENSIONS.items() for name in pair}
    unknown = [name for name in weights if name not in names]
    if unknown:
        raise InputError(
            "weights",
            f"{', '.join(unknown)} is no indicator and no dimension of the standard;"
            f" known: {', '.join(names)}",
        )
    by_code = {names[name]: weight for name, weight in weights.items()}
    shares = {code: by_code[code] for code in codes if code in by_code}
    idle = [code for code in by_code if code in INDICATORS and code not in codes]
    for dimension in DIMENSIONS:
        mine = [code for code in codes if code not in by_code and code.startswith(dimension)]
        if dimension in by_code and not mine:
            idle.append(dimension)
        elif dimension in by_code:
            shares |= dict.fromkeys(mine, by_code[dimension] / len(mine))
    without = [code for code in codes if code not in shares]
    if idle or without:
        raise InputError(
            "weights",
            f"must give each indicator a weight, by itself or by its dimension; without one:"
            f" {', '.join(without) or '-'}; weights of what is not here: {', '.join(idle) or '-'}",
        )
    return shares


def _indicator(sheet: Worksheet, entry: object, field: str, seen: set[str]) -> tuple[str, bool]:
    """Write one indicator down; return its code, and whether it was measured."""
    if isinstance(entry, Mapping) and "not_measured" in entry:
        given = inputs.mapping(entry, field, ("code", "weight", "not_measured"))
        reason = inputs.text(given["not_measured"], f"{field}.not_measured")
    else:
        given = inputs.mapping(entry, field, ("code", "weight", "a", "b"))
        reason = ""
    code = inputs.choice(given["code"], f"{field}.code", INDICATORS)
    if code in seen:
        raise InputError(f"{field}.code", f"{code} stands there twice")
    seen.add(code)
    weight = inputs.number(given["weight"], f"{field}.weight", above=0)
    one = INDICATORS[code]
    sheet.given(f"w_{code}", f"{one.zh}: 权重", f"{one.en}: weight", weight, "1", "输入 input")
    if not reason:
        a, b = _count(given["a"], f"{field}.a"), _count(given["b"], f"{field}.b")
        if a > b:
            raise InputError(f"{field}.a", f"is {a}, more than the {b} elements evaluated")
        if b:
            _measured(sheet, one, a, b)
            return code, True
        reason = "不适用：评价元素个数为0 not applicable: no element to evaluate"
    sheet.note(
        f"{code} {one.zh}未计入（{reason}），其权重按比例分摊到其余指标。",
        f"{code} {one.en} is left out ({reason}); its weight goes to the others in proportion.",
    )
    return code, False


def _measured(sheet: Worksheet, one: Indicator, a: int, b: int) -> None:
    sheet.given(f"A_{one.code}", f"{one.zh}: A", f"{one.en}: {one.a}", Fraction(a), "count", SOURCE)
    sheet.given(f"B_{one.code}", f"{one.zh}: B", f"{one.en}: {one.b}", Fraction(b), "count", SOURCE)
    quotient = f"A_{one.code} / B_{one.code}"
    formula, source = (f"1 - {quotient}", SOURCE_INVERSE) if one.inverse else (quotient, SOURCE)
    sheet.step(
        f"X_{one.code}", f"{one.code} {one.zh}", f"{one.code} {one.en}", formula, "1", source
    )


def _count(value: object, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise InputError(
            field, f"is {value!r}, but must be an integer number of elements, at least 0"[:200]
        )
    return value
