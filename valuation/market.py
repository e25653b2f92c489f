"""Market approach: the value is what comparable assets fetched, adjusted. P = Σ Q_i · X1_i · … · X5_i.

The sum runs over the parts of the asset (its data sets), each with its comparables. Several comparables
for one part are averaged with stated weights, never added. X1 quality, X2 supply and demand, X3 date (the
price index at the valuation date over that at the comparable's trade), X4 capacity (the subject's over
the comparable's), X5 other.

Source: 数据资产评估指导意见 (中评协〔2023〕17号), market approach; from memory, to be verified. That
comparables of one part are averaged is our reading.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from valuation import InputError, inputs
from valuation.money import exact_text
from valuation.worksheet import Figure, Worksheet

VERSION = "1"
SOURCE = "中评协〔2023〕17号 市场法 market approach (from memory, to be verified 待核实)"

_KEYS = (
    "name",
    "price_fen",
    "weight",
    "quality",
    "supply_demand",
    "date",
    "capacity",
    "other",
    "basis",
)


def appraise(*, parts: Sequence[Mapping[str, Any]]) -> Figure:
    """Return the value by the market approach, in fen, rounded once at the end, half up.

    Parameters
    ----------
    parts : 1 to 50 objects ``{"name": text, "comparables": [...]}``; each comparable has

        ========================  ==========================================================
        ``name``                  what was traded
        ``price_fen``             Q, int >= 0
        ``weight``                ratio > 0; the weights of one part sum to 1
        ``quality``               X1, ratio > 0
        ``supply_demand``         X2, ratio > 0
        ``date``                  X3: ``{"valuation_index", "comparable_index"}``, ratios > 0
        ``capacity``              X4: ``{"subject", "comparable"}``, ratios > 0, same unit
        ``other``                 X5, ratio > 0
        ``basis``                 why it is comparable, and how the factors were found
        ========================  ==========================================================

    Raises
    ------
    InputError : names the field, such as ``parts[0].comparables[1].price_fen``

    Examples
    --------
    >>> figure = appraise(parts=[{"name": "停车数据", "comparables": [{"name": "某市停车数据",
    ...     "price_fen": 1_000_000_00, "weight": 1, "quality": "6/5", "supply_demand": "0.9",
    ...     "date": {"valuation_index": 110, "comparable_index": 100},
    ...     "capacity": {"subject": 2, "comparable": 1}, "other": 1, "basis": "公开成交"}]}])
    >>> figure.display()
    '2376000.00'
    """
    sheet = Worksheet()
    totals = []
    problems: list[tuple[str, str]] = []
    for k, part in enumerate(inputs.sequence(parts, "parts", 1, 50), start=1):
        with inputs.gathering(problems):
            totals.append(_part(sheet, k, part, f"parts[{k - 1}]"))
    if problems:
        raise InputError.of(problems)
    sheet.step(
        "P",
        "评估值(市场法)",
        "value, market approach",
        f"round_half_up(sum({', '.join(totals)}))",
        "fen",
        SOURCE,
        "四舍五入至分 half up to 1 fen",
    )
    sheet.note(
        "同一部分的多个可比案例按所列权重平均，不相加。",
        "Several comparables for one part are averaged by the stated weights, not added.",
    )
    return sheet.figure("market", VERSION, "P", (*totals, "P"))


def _part(sheet: Worksheet, k: int, part: object, field: str) -> str:
    """Write part k, the weighted mean of its comparables; return its symbol."""
    entry = inputs.mapping(part, field, ("name", "comparables"))
    name = inputs.text(entry["name"], f"{field}.name")
    where = f"{field}.comparables"
    terms, weights, problems = [], Fraction(0), list[tuple[str, str]]()
    for j, comparable in enumerate(inputs.sequence(entry["comparables"], where, 1, 20), start=1):
        with inputs.gathering(problems):
            weights += _comparable(sheet, f"{k}_{j}", comparable, f"{where}[{j - 1}]")
            terms.append(f"w_{k}_{j} * A_{k}_{j}")
    if weights != 1 and not problems:
        told = f"have weights that sum to {exact_text(weights)}, but must sum to 1"
        problems.append((where, told))
    if problems:
        raise InputError.of(problems)
    formula = f"sum({', '.join(terms)})"
    sheet.step(f"P_{k}", f"{name}: 价值", f"{name}: value of the part", formula, "fen", SOURCE)
    return f"P_{k}"


def _comparable(sheet: Worksheet, at: str, comparable: object, field: str) -> Fraction:
    """Write one comparable's inputs and its adjusted value A; return its weight."""
    entry = inputs.mapping(comparable, field, _KEYS)
    name = inputs.text(entry["name"], f"{field}.name")
    basis = inputs.text(entry["basis"], f"{field}.basis")

    def given(symbol: str, zh: str, en: str, value: object, where: str) -> Fraction:
        exact = inputs.number(value, f"{field}.{where}", above=0)
        return sheet.given(f"{symbol}_{at}", f"{name}: {zh}", f"{name}: {en}", exact, "1", basis)

    def quotient(symbol: str, zh: str, en: str, top: str, bottom: str) -> None:
        formula = f"{top}_{at} / {bottom}_{at}"
        sheet.step(f"{symbol}_{at}", f"{name}: {zh}", f"{name}: {en}", formula, "1", SOURCE)

    price = inputs.money(entry["price_fen"], f"{field}.price_fen", 0)
    sheet.given(f"Q_{at}", f"{name}: 可比对象价值", f"{name}: price", price, "fen", basis)
    weight = given("w", "权重", "weight", entry["weight"], "weight")
    given("X1", "质量调整系数", "quality factor", entry["quality"], "quality")
    given("X2", "供求调整系数", "supply and demand factor", entry["supply_demand"], "supply_demand")
    date = inputs.mapping(entry["date"], f"{field}.date", ("valuation_index", "comparable_index"))
    given(
        "I1",
        "评估基准日价格指数",
        "price index at valuation",
        date["valuation_index"],
        "date.valuation_index",
    )
    given(
        "I0",
        "可比案例交易日价格指数",
        "price index at the trade",
        date["comparable_index"],
        "date.comparable_index",
    )
    quotient("X3", "期日调整系数", "date factor", "I1", "I0")
    capacity = inputs.mapping(entry["capacity"], f"{field}.capacity", ("subject", "comparable"))
    given("N1", "评估对象容量", "capacity of the subject", capacity["subject"], "capacity.subject")
    given(
        "N0",
        "可比案例容量",
        "capacity of the comparable",
        capacity["comparable"],
        "capacity.comparable",
    )
    quotient("X4", "容量调整系数", "capacity factor", "N1", "N0")
    given("X5", "其他调整系数", "other factor", entry["other"], "other")
    factors = ", ".join(f"{symbol}_{at}" for symbol in ("Q", "X1", "X2", "X3", "X4", "X5"))
    sheet.step(
        f"A_{at}", f"{name}: 调整后价值", f"{name}: adjusted", f"product({factors})", "fen", SOURCE
    )
    return weight
