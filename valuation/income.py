"""Income approach: the value is what the asset will bring, discounted. P = Σ F_t / (1 + i)^t, t = 1..n.

F_t by one of the models, in fen per period:

==================  =====================  ================================================
`direct`            F = R                  R: earnings before interest and tax 息税前利润
`share_of_revenue`  F = R · K              R: total revenue 总收入, K: its share 收入提成率
`share_of_profit`   F = R · K              R: total profit 总利润, K: its share 净利润分成率
`excess`            F = R - Σ C_k          C: contributions of the other assets 其他相关资产贡献
`incremental`       F = RY - RN            with and without the asset 使用 / 不使用数据资产
==================  =====================  ================================================

i = risk-free rate + premiums for management, circulation, data-security and regulatory risk, per period.
Flows come at the end of each period, or in its middle (exponent t - 1/2).

Source: 数据资产评估指导意见 (中评协〔2023〕17号), income approach. The direct model was read in its
appendix; the others are from memory, to be verified. The middle of the period is our convention.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from valuation import InputError, inputs
from valuation.worksheet import Figure, Worksheet

VERSION = "1"
_RULE = "中评协〔2023〕17号 收益法 income approach"
SOURCE_DIRECT = f"{_RULE}, 附录 appendix: F_t = R_t"
SOURCE = f"{_RULE} (from memory, to be verified 待核实)"

MODELS = {
    "direct": ("直接收益预测", "direct income"),
    "share_of_revenue": ("分成收益预测(收入)", "share of revenue"),
    "share_of_profit": ("分成收益预测(利润)", "share of profit"),
    "excess": ("超额收益预测", "excess income"),
    "incremental": ("增量收益预测", "incremental income"),
}
"""The models of F_t, with their names in Chinese and English."""

TIMINGS = {"end": ("期末", "end of period"), "mid": ("期中", "middle of period")}
"""When a period's income comes."""

RATE_PARTS = (
    ("risk_free", "i_free", "无风险报酬率", "risk-free rate"),
    ("management", "i_man", "管理风险溢价", "premium for management risk"),
    ("circulation", "i_cir", "流通风险溢价", "premium for circulation risk"),
    ("data_security", "i_sec", "数据安全风险溢价", "premium for data-security risk"),
    ("regulatory", "i_reg", "监管风险溢价", "premium for regulatory risk"),
)
"""What the discount rate is built from: key, symbol, names; fractions per period, at least 0."""

CONTRIBUTIONS = (
    ("current_fen", "cur", "流动资产贡献", "contribution of current assets"),
    ("fixed_fen", "fix", "固定资产贡献", "contribution of fixed assets"),
    ("intangible_fen", "int", "其他无形资产贡献", "contribution of other intangible assets"),
    ("workforce_fen", "wor", "组合劳动力贡献", "contribution of the assembled workforce"),
)
"""The contributions of other assets in the excess model: key, part of the symbol, names; fen >= 0."""

MAX_PERIODS = 60
"""Guard for the number of periods (ours, not law)."""

MAX_RATE_TERM = 10**12
"""The discount rate's denominator is at most this, so that 60 exact periods stay short enough to print."""


def appraise(
    *,
    model: str,
    periods: Sequence[Mapping[str, Any]],
    rate: Mapping[str, Any],
    timing: str = "end",
) -> Figure:
    """Return the present value of the forecast income, in fen, rounded once at the end, half up.

    Parameters
    ----------
    model : a key of `MODELS`
    periods : 1 to 60 objects, the periods 1..n in order, all of one length. Their keys by model:
        direct ``income_fen``; share_of_revenue ``revenue_fen`` (>= 0) and ``share``; share_of_profit
        ``profit_fen`` and ``share``; excess ``income_fen`` and ``contributions`` (`CONTRIBUTIONS`, each
        >= 0); incremental ``with_fen`` and ``without_fen``. ``share`` is a ratio from 0 to 1. Incomes may
        be negative.
    rate : the five parts of `RATE_PARTS`, ratios >= 0 per period; their sum stays below 1 (a guard, ours)
    timing : a key of `TIMINGS`

    Raises
    ------
    InputError : names the field, such as ``periods[2].share``

    Notes
    -----
    End of period: v_t = 1 / (1 + i)^t, exact. Middle: v_t = g / (1 + i)^t with g = √(1 + i) to 40 decimals
    (exact where rational), which moves no amount within ±2^53 fen by 10^-20 fen. Then PV_t = F_t · v_t.

    Examples
    --------
    >>> rate = {"risk_free": "0.02", "management": "0.02", "circulation": "0.02", "data_security": "0.02",
    ...     "regulatory": "0.02"}
    >>> flows = [{"income_fen": f} for f in (1_100_000_00, 1_210_000_00, 1_331_000_00)]
    >>> appraise(model="direct", periods=flows, rate=rate).display()
    '3000000.00'
    """
    inputs.choice(model, "model", MODELS)
    inputs.choice(timing, "timing", TIMINGS)
    sheet = Worksheet()
    _discount_rate(sheet, rate)
    if timing == "mid":
        sheet.step(
            "g",
            "期中调整 √(1+i)",
            "shift to the middle of the period, √(1+i)",
            "root(1 + i)",
            "1",
            "期中折现为本系统约定 mid-period convention: ours",
            "无理数时取40位小数 to 40 decimals where irrational",
        )
    values = []
    for t, period in enumerate(inputs.sequence(periods, "periods", 1, MAX_PERIODS), start=1):
        _income(sheet, model, t, period, f"periods[{t - 1}]")
        shift = "g" if timing == "mid" else "1"
        sheet.step(
            f"v_{t}",
            f"第{t}期折现系数",
            f"discount factor of period {t}",
            f"{shift} / (1 + i) ** {t}",
            "1",
            SOURCE,
        )
        values.append(f"PV_{t}")
        sheet.step(
            values[-1],
            f"第{t}期收益现值",
            f"present value of period {t}",
            f"F_{t} * v_{t}",
            "fen",
            SOURCE,
        )
    value = sheet.step(
        "P",
        f"评估值(收益法, {MODELS[model][0]}, {TIMINGS[timing][0]})",
        f"value, income approach, {MODELS[model][1]}, {TIMINGS[timing][1]}",
        f"round_half_up(sum({', '.join(values)}))",
        "fen",
        SOURCE,
        "四舍五入至分 half up to 1 fen",
    )
    zh, en = TIMINGS[timing]
    sheet.note(f"收益按{zh}折现。", f"Income is discounted from the {en}.")
    if value < 0:
        sheet.note(
            "现值为负：预测收益不支持正的价值。",
            "The present value is negative: the forecast supports no positive value.",
        )
    return sheet.figure("income", VERSION, "P", ("i", "P"))


def _discount_rate(sheet: Worksheet, rate: Mapping[str, Any]) -> None:
    entries = inputs.mapping(rate, "rate", [key for key, *_ in RATE_PARTS])
    total = sum(
        inputs.number(entries[key], f"rate.{key}", least=0, below=1) for key, *_ in RATE_PARTS
    )
    inputs.number(total, "rate", least=0, below=1)
    if total.denominator > MAX_RATE_TERM:
        raise InputError("rate", "is over-precise: its denominator exceeds 10^12")
    for key, symbol, zh, en in RATE_PARTS:
        value = inputs.number(entries[key], f"rate.{key}")
        sheet.given(symbol, zh, en, value, "per_period", "输入 input")
    names = ", ".join(symbol for _, symbol, _, _ in RATE_PARTS)
    sheet.step("i", "折现率", "discount rate", f"sum({names})", "per_period", SOURCE)


def _income(sheet: Worksheet, model: str, t: int, period: object, field: str) -> None:
    """Write the inputs of period t and the step F_t."""

    def amount(
        entry: Mapping[str, Any], key: str, symbol: str, zh: str, en: str, least: int | None = None
    ) -> None:
        value = inputs.money(entry[key], f"{where}.{key}", least)
        sheet.given(symbol, f"第{t}期{zh}", f"{en} of period {t}", value, "fen", "输入 input")

    where, source = field, SOURCE
    if model == "direct":
        entry = inputs.mapping(period, field, ("income_fen",))
        amount(entry, "income_fen", f"R_{t}", "息税前利润", "EBIT")
        formula, source = f"R_{t}", SOURCE_DIRECT
    elif model in ("share_of_revenue", "share_of_profit"):
        of_revenue = model == "share_of_revenue"
        key = "revenue_fen" if of_revenue else "profit_fen"
        entry = inputs.mapping(period, field, (key, "share"))
        if of_revenue:
            amount(entry, key, f"R_{t}", "总收入", "revenue", 0)
        else:
            amount(entry, key, f"R_{t}", "总利润", "profit")
        share = inputs.number(entry["share"], f"{field}.share", least=0, most=1)
        zh = "收入提成率" if of_revenue else "净利润分成率"
        sheet.given(f"K_{t}", f"第{t}期{zh}", f"share in period {t}", share, "1", "输入 input")
        formula = f"R_{t} * K_{t}"
    elif model == "excess":
        entry = inputs.mapping(period, field, ("income_fen", "contributions"))
        amount(entry, "income_fen", f"R_{t}", "收益", "income")
        where = f"{field}.contributions"
        parts = inputs.mapping(entry["contributions"], where, [key for key, *_ in CONTRIBUTIONS])
        for key, short, zh, en in CONTRIBUTIONS:
            amount(parts, key, f"C_{t}_{short}", zh, en, 0)
        names = ", ".join(f"C_{t}_{short}" for _, short, _, _ in CONTRIBUTIONS)
        formula = f"R_{t} - sum({names})"
    else:
        entry = inputs.mapping(period, field, ("with_fen", "without_fen"))
        amount(entry, "with_fen", f"RY_{t}", "使用数据资产的息税前利润", "EBIT with the asset")
        amount(
            entry, "without_fen", f"RN_{t}", "不使用数据资产的息税前利润", "EBIT without the asset"
        )
        formula = f"RY_{t} - RN_{t}"
    sheet.step(
        f"F_{t}",
        f"第{t}期数据资产收益额",
        f"income from the asset in period {t}",
        formula,
        "fen",
        source,
    )
