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
Flows come at the end of each period, or in its middle (exponent t - 1/2). The first and the last period may
be shorter than the others (stub periods), and the asset may have a finite life; see `appraise`.

Source: 数据资产评估指导意见 (中评协〔2023〕17号), income approach. The direct model was read in its
appendix; the others are from memory, to be verified. The middle of the period is our convention, and so is
how stub periods and the end of the life count.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from valuation import InputError, inputs
from valuation.money import exact_text
from valuation.worksheet import Figure, Worksheet

VERSION = "1"
_RULE = "中评协〔2023〕17号 收益法 income approach"
SOURCE_DIRECT = f"{_RULE}, 附录 appendix: F_t = R_t"
SOURCE = f"{_RULE} (from memory, to be verified 待核实)"

_OURS = "本系统约定 convention of ours"

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
    rate_basis: Mapping[str, Any] | None = None,
    first_period: str | int | Fraction | None = None,
    last_period: str | int | Fraction | None = None,
    life: str | int | Fraction | None = None,
) -> Figure:
    """Return the present value of the forecast income, in fen, rounded once at the end, half up.

    Parameters
    ----------
    model : a key of `MODELS`
    periods : 1 to 60 objects, the periods 1..n in order, of one length but for stubs. Their keys by model:
        direct ``income_fen``; share_of_revenue ``revenue_fen`` (>= 0) and ``share``; share_of_profit
        ``profit_fen`` and ``share``; excess ``income_fen`` and ``contributions`` (`CONTRIBUTIONS`, each
        >= 0); incremental ``with_fen`` and ``without_fen``. ``share`` is a ratio from 0 to 1. Incomes may
        be negative.
    rate : the five parts of `RATE_PARTS`, ratios >= 0 per period; their sum stays below 1 (a guard, ours)
    timing : a key of `TIMINGS`
    rate_basis : why each part of the rate is what it is: texts under keys of `RATE_PARTS`, any of them
    first_period, last_period : length of period 1 and of period n, ratios above 0 and at most 1, in lengths
        of a full period, such as ``"5/12"``; the income stated is that of the shorter period. `last_period`
        needs two periods
    life : periods from the valuation date after which the asset brings nothing, a ratio above 0 and at most
        60; it ends the last period itself, so `last_period` is not given with it

    Raises
    ------
    InputError : names the field, such as ``periods[2].share``

    Notes
    -----
    End of period: v_t = 1 / (1 + i)^t, exact. Middle: v_t = g / (1 + i)^t with g = √(1 + i) to 40 decimals
    (exact where rational), which moves no amount within ±2^53 fen by 10^-20 fen. Then PV_t = F_t · v_t.

    With a stub or a life, period t begins at s_t = d_1 + … + d_(t-1), with the lengths d = 1 but for stubs.
    h_t = max(0, min(1, (life - s_t) / d_t)) is its part within the life (1 without one). Its exponent is
    e_t = s_t + h_t · d_t at its end, s_t + h_t · d_t / 2 in its middle; v_t = (1 + i)^-e_t to 40 decimals
    (exact where rational); PV_t = F_t · h_t · v_t: income flows evenly and ends with the life.

    Examples
    --------
    >>> rate = {"risk_free": "0.02", "management": "0.02", "circulation": "0.02", "data_security": "0.02",
    ...     "regulatory": "0.02"}
    >>> flows = [{"income_fen": f} for f in (1_100_000_00, 1_210_000_00, 1_331_000_00)]
    >>> appraise(model="direct", periods=flows, rate=rate).display()
    '3000000.00'

    A first period of half a year is discounted by √1.21 = 1.1, the next by 1.1 · 1.21; and an asset that
    lives two and a half years earns half of the third year's income, and nothing in the fourth:

    >>> rate = {**dict.fromkeys(rate, 0), "risk_free": "0.21"}
    >>> flows = [{"income_fen": f} for f in (1_100_000_00, 1_331_000_00)]
    >>> appraise(model="direct", periods=flows, rate=rate, first_period="1/2").display()
    '2000000.00'
    >>> rate = dict.fromkeys(rate, 0)
    >>> appraise(model="direct", periods=[{"income_fen": 100_00}] * 4, rate=rate, life="2.5").display()
    '250.00'
    """
    inputs.choice(model, "model", MODELS)
    inputs.choice(timing, "timing", TIMINGS)
    sheet = Worksheet()
    flows = inputs.sequence(periods, "periods", 1, MAX_PERIODS)
    problems: list[tuple[str, str]] = []
    with inputs.gathering(problems):
        _discount_rate(sheet, rate, rate_basis)
    stated = {"first": first_period, "last": last_period, "life": life}
    calendar = None
    if any(value is not None for value in stated.values()):
        with inputs.gathering(problems):
            calendar = _Calendar(sheet, timing, len(flows), stated)
    if timing == "mid" and not calendar and not problems:
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
    for t, period in enumerate(flows, start=1):
        with inputs.gathering(problems):
            _income(sheet, model, t, period, f"periods[{t - 1}]")
        if problems:
            continue
        values.append(f"PV_{t}")
        label = f"第{t}期折现系数", f"discount factor of period {t}"
        if calendar:
            counted = calendar.period(t)
            rounding = "无理数时取40位小数 to 40 decimals where irrational"
            sheet.step(f"v_{t}", *label, f"power(1 + i, -e_{t})", "1", SOURCE, rounding)
        else:
            counted = ""
            shift = "g" if timing == "mid" else "1"
            sheet.step(f"v_{t}", *label, f"{shift} / (1 + i) ** {t}", "1", SOURCE)
        sheet.step(
            values[-1],
            f"第{t}期收益现值",
            f"present value of period {t}",
            f"F_{t} * {counted}v_{t}",
            "fen",
            SOURCE,
        )
    if problems:
        raise InputError.of(problems)
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
    if calendar:
        calendar.notes()
    if value < 0:
        sheet.note(
            "现值为负：预测收益不支持正的价值。",
            "The present value is negative: the forecast supports no positive value.",
        )
    return sheet.figure("income", VERSION, "P", ("i", "P"))


class _Calendar:
    """Where stub periods and the end of a life put the income of each period."""

    def __init__(
        self, sheet: Worksheet, timing: str, count: int, stated: Mapping[str, Any]
    ) -> None:
        self.sheet, self.timing, self.count = sheet, timing, count
        self.first, self.last, self.life = (
            self._length(stated["first"], "first_period", "d_1", "首期长度", "length of period 1"),
            self._length(
                stated["last"], "last_period", f"d_{count}", "末期长度", f"length of period {count}"
            ),
            self._length(stated["life"], "life", "life", "经济寿命", "economic life", MAX_PERIODS),
        )
        if self.last is not None and count < 2:
            raise InputError("last_period", "needs two periods: of one alone, state first_period")
        if self.last is not None and self.life is not None:
            raise InputError(
                "last_period", "is not given with life, which ends the last period itself"
            )

    def _length(
        self, given: Any, field: str, symbol: str, zh: str, en: str, most: int = 1
    ) -> Fraction | None:
        if given is None:
            return None
        value = inputs.number(given, field, above=0, most=most)
        return self.sheet.given(symbol, zh, en, value, "periods", "输入 input")

    def period(self, t: int) -> str:
        """Write when period t's income comes (e_t); return the factor that counts it, empty for all."""
        stub = (t == 1 and self.first is not None) or (t == self.count and self.last is not None)
        before = ["d_1"] if self.first is not None and t > 1 else []
        before += [str(t - 1 - len(before))] if t - 1 > len(before) else []
        part, counted = f"d_{t}" if stub else "1", ""
        if self.life is not None:
            left = " - ".join(["life", *before])
            left = f"({left})" if stub and before else left
            inside = f"{left} / {part}" if stub else left
            zh, en = f"第{t}期在寿命内的部分", f"part of period {t} within the life"
            self.sheet.step(f"h_{t}", zh, en, f"max(0, min(1, {inside}))", "1", _OURS)
            part, counted = f"h_{t} * {part}" if stub else f"h_{t}", f"h_{t} * "
        part += " / 2" if self.timing == "mid" else ""
        zh, en = TIMINGS[self.timing]
        self.sheet.step(
            f"e_{t}",
            f"第{t}期收益时点(距评估基准日, {zh})",
            f"when income of period {t} comes, from the valuation date ({en})",
            " + ".join([*before, part]),
            "periods",
            _OURS,
        )
        return counted

    def notes(self) -> None:
        """Say what was assumed of the periods."""
        for length, zh, en in ((self.first, "首期", "first"), (self.last, "末期", "last")):
            if length is not None:
                self.sheet.note(
                    f"{zh}长度为 {exact_text(length)} 期，所列收益即该期内的收益，不折算为整期。",
                    f"The {en} period is {exact_text(length)} of a full one; its income is that of it.",
                )
        if self.life is None:
            return
        life, span = (
            exact_text(self.life),
            self.count - 1 + (1 if self.first is None else self.first),
        )
        self.sheet.note(
            f"经济寿命自评估基准日起 {life} 期，其后收益为 0；寿命终了的那一期按时间比例计入收益。",
            f"The asset lives {life} periods from the valuation date; income after that is 0, and that"
            " of the period in which it ends counts by its part of the time.",
        )
        if span < self.life:
            self.sheet.note(
                f"预测只覆盖 {exact_text(span)} 期，短于经济寿命；未预测各期的收益未计入。",
                f"The forecast covers {exact_text(span)} periods, less than the life; what is not forecast"
                " is not counted.",
            )


def _discount_rate(
    sheet: Worksheet, rate: Mapping[str, Any], basis: Mapping[str, Any] | None
) -> None:
    names = [key for key, *_ in RATE_PARTS]
    entries = inputs.mapping(rate, "rate", names)
    total, problems = Fraction(0), list[tuple[str, str]]()
    for key in names:
        with inputs.gathering(problems):
            total += inputs.number(entries[key], f"rate.{key}", least=0, below=1)
    if problems:
        raise InputError.of(problems)
    inputs.number(total, "rate", least=0, below=1)
    if total.denominator > MAX_RATE_TERM:
        raise InputError("rate", "is over-precise: its denominator exceeds 10^12")
    why = {} if basis is None else inputs.mapping(basis, "rate_basis", (), names)
    for key, symbol, zh, en in RATE_PARTS:
        value = inputs.number(entries[key], f"rate.{key}")
        source = inputs.text(why[key], f"rate_basis.{key}") if key in why else "输入 input"
        sheet.given(symbol, zh, en, value, "per_period", source)
    symbols = ", ".join(symbol for _, symbol, _, _ in RATE_PARTS)
    sheet.step("i", "折现率", "discount rate", f"sum({symbols})", "per_period", SOURCE)


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
