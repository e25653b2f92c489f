"""Cost approach: the value is what it cost, adjusted by stated factors. P = C · δ.

C is the sum of preparatory, direct, indirect and opportunity cost and of taxes; δ is the product of value
adjustment factors (quality, circulation, scene, timeliness …), each with its basis. δ is never applied
silently: without factors it is 1, and the figure says so.

Source: 数据资产评估指导意见 (中评协〔2023〕17号), cost approach; from memory, to be verified.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from valuation import inputs
from valuation.worksheet import Figure, Worksheet

VERSION = "1"
SOURCE = "中评协〔2023〕17号 成本法 cost approach (from memory, to be verified 待核实)"

ITEMS = (
    ("preparatory_fen", "C_pre", "前期费用", "preparatory cost"),
    ("direct_fen", "C_dir", "直接成本", "direct cost"),
    ("indirect_fen", "C_ind", "间接成本", "indirect cost"),
    ("opportunity_fen", "C_opp", "机会成本", "opportunity cost"),
    ("taxes_fen", "C_tax", "相关税费", "taxes"),
)
"""The items of C: key, symbol, name in Chinese and English; each in fen, at least 0."""


def appraise(
    *,
    preparatory_fen: int,
    direct_fen: int,
    indirect_fen: int,
    opportunity_fen: int,
    taxes_fen: int,
    factors: Sequence[Mapping[str, Any]],
) -> Figure:
    """Return the value by the cost approach, P = C · δ, in fen, rounded once at the end, half up.

    Parameters
    ----------
    preparatory_fen, direct_fen, indirect_fen, opportunity_fen, taxes_fen : int >= 0
    factors : ``{"zh": name, "en": name, "value": ratio > 0, "basis": why}`` each; may be empty (δ = 1)

    Raises
    ------
    InputError : names the field

    Examples
    --------
    >>> figure = appraise(preparatory_fen=100_000_00, direct_fen=500_000_00, indirect_fen=200_000_00,
    ...     opportunity_fen=150_000_00, taxes_fen=50_000_00,
    ...     factors=[{"zh": "质量", "en": "quality", "value": "9/10", "basis": "score of 2025-06"}])
    >>> figure.display()
    '900000.00'
    """
    amounts = {
        "preparatory_fen": preparatory_fen,
        "direct_fen": direct_fen,
        "indirect_fen": indirect_fen,
        "opportunity_fen": opportunity_fen,
        "taxes_fen": taxes_fen,
    }
    sheet = Worksheet()
    for key, symbol, zh, en in ITEMS:
        amount = inputs.money(amounts[key], key, 0)
        sheet.given(symbol, zh, en, amount, "fen", "输入 input")
    total = ", ".join(symbol for _, symbol, _, _ in ITEMS)
    sheet.step("C", "重置成本", "total cost", f"sum({total})", "fen", SOURCE)

    names = []
    for k, factor in enumerate(inputs.sequence(factors, "factors", 0, 50), start=1):
        field = f"factors[{k - 1}]"
        entry = inputs.mapping(factor, field, ("zh", "en", "value", "basis"))
        value = inputs.number(entry["value"], f"{field}.value", above=0)
        zh, en = inputs.text(entry["zh"], f"{field}.zh"), inputs.text(entry["en"], f"{field}.en")
        names.append(f"delta_{k}")
        sheet.given(names[-1], zh, en, value, "1", inputs.text(entry["basis"], f"{field}.basis"))
    if names:
        formula = f"product({', '.join(names)})"
        sheet.step("delta", "价值调整系数", "value adjustment δ", formula, "1", SOURCE)
    else:
        sheet.given(
            "delta", "价值调整系数", "value adjustment δ", 1, "1", "未作调整 no factor was stated"
        )
        sheet.note(
            "未说明任何价值调整因素，δ 取 1。", "No adjustment factor was stated, so δ is 1."
        )
    sheet.step(
        "P",
        "评估值(成本法)",
        "value, cost approach",
        "round_half_up(C * delta)",
        "fen",
        SOURCE,
        "四舍五入至分 half up to 1 fen",
    )
    return sheet.figure("cost", VERSION, "P", ("C", "delta", "P"))
