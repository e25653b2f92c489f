"""What each method is called, what it computes, where that stands, and what it asks for."""

from valuation import (
    accounting,
    amortisation,
    cost,
    impairment,
    income,
    market,
    national,
    price_report,
    pricing,
    quality,
    reconciliation,
    weights,
)
from valuation.fields import BASIS, CURRENCY, NAME, WEIGHT, Description, Field, factor, money

# fmt: off
_COMPONENTS = tuple(key.removesuffix("_fen") for key, *_ in cost.ITEMS)

_COST = (
    *(money(f"{item}_fen", zh, en, unless=f"lines.{item}")
      for item, (_, _, zh, en) in zip(_COMPONENTS, cost.ITEMS, strict=True)),
    Field("lines", "object", "各项成本的明细(代替合计)", "lines of a cost, instead of its amount",
          optional=True, fields=tuple(
        Field(key.removesuffix("_fen"), "list", zh, en, bounds="1 to 200", optional=True,
              fields=(NAME, money("amount", "金额", "amount"), BASIS))
        for key, _, zh, en in cost.ITEMS)),
    Field("factors", "list", "价值调整系数(连乘)", "value adjustment factors, multiplied",
          bounds="0 to 50", fields=(
        Field("zh", "text", "中文名称", "name in Chinese"),
        Field("en", "text", "英文名称", "name in English"),
        factor("value", "系数", "factor"),
        BASIS,
        Field("applies_to", "list", "适用的成本项(默认全部)", "costs it applies to (default all)",
              choices=_COMPONENTS, optional=True))),
    CURRENCY,
)

_VOLUMES = (
    factor("open", "开放数据量", "open data", ">= 0", unit=""),
    factor("public", "公共数据量", "public data", ">= 0", unit=""),
    factor("shared", "共享数据量", "shared data", ">= 0", unit=""),
)

_EXPERT_9 = (
    money("total_cost", "总成本 TC", "total cost TC"),
    factor("return_on_cost", "成本投资回报率 R", "return on cost R", ">= 0"),
    factor("quality", "数据质量系数 α", "quality coefficient α", "0 to 1"),
    Field("transmission", "object", "传播系数 a, b, c", "transmission coefficients a, b, c",
          fields=tuple(factor(one.key, zh, f"of {one.en}", ">= 0") for one, zh in zip(
              _VOLUMES, ("开放数据 a", "公共数据 b", "共享数据 c"), strict=True))),
    Field("volumes", "object", "数据量(同一单位)", "volumes, in one unit",
          fields=(*_VOLUMES, factor("total", "总数据量", "all data", "> 0", unit=""))),
    Field("monopoly", "object", "数据垄断系数 l", "monopoly coefficient l", fields=(
        factor("system", "系统数据量", "volume in the system", ">= 0", unit=""),
        factor("industry", "行业数据总量", "volume in the industry", "> 0", unit=""))),
    factor("risk", "数据价值实现风险系数 r", "risk coefficient r", "0 to 1"),
    BASIS,
    CURRENCY,
)

_PERIOD = (
    money("income", "收益", "income", "", only=("direct", "excess")),
    money("revenue", "总收入", "revenue", only=("share_of_revenue",)),
    money("profit", "总利润", "profit", "", only=("share_of_profit",)),
    factor("share", "分成率", "share", "0 to 1", only=("share_of_revenue", "share_of_profit")),
    Field("contributions", "object", "其他相关资产贡献", "contributions of other assets",
          only=("excess",), fields=tuple(money(key, zh, en) for key, _, zh, en
                                         in income.CONTRIBUTIONS)),
    money("with", "使用数据资产的息税前利润", "EBIT with the asset", "", only=("incremental",)),
    money("without", "不使用的息税前利润", "EBIT without it", "", only=("incremental",)),
)

_INCOME = (
    Field("model", "choice", "收益预测模型", "model of income", choices=tuple(income.MODELS)),
    Field("timing", "choice", "收益时点", "when income comes", choices=tuple(income.TIMINGS),
          optional=True, bounds="默认期末 default end"),
    Field("rate", "object", "折现率构成(合计<1)", "parts of the discount rate (sum below 1)",
          fields=tuple(factor(key, zh, en, ">= 0", unit="fraction per period")
                       for key, _, zh, en in income.RATE_PARTS)),
    Field("rate_basis", "object", "折现率各项的依据", "basis of each part of the rate",
          optional=True, fields=tuple(Field(key, "text", zh, en, optional=True)
                                      for key, _, zh, en in income.RATE_PARTS)),
    factor("first_period", "首期长度(不足一期时)", "length of period 1, if shorter", "> 0, <= 1",
            unit="periods", optional=True),
    factor("last_period", "末期长度(不足一期时)", "length of the last period, if shorter",
            "> 0, <= 1", unit="periods", optional=True),
    factor("life", "经济寿命(其后收益为0)", "economic life; income after it is 0", "> 0, <= 60",
            unit="periods", optional=True),
    Field("periods", "list", "收益期", "periods in order", bounds="1 to 60", fields=_PERIOD),
    CURRENCY,
)

_COMPARABLE = (
    NAME,
    money("price", "可比对象价值", "price"),
    WEIGHT,
    factor("quality", "质量调整系数", "X1 quality"),
    factor("supply_demand", "供求调整系数", "X2 supply, demand"),
    Field("date", "object", "期日调整(价格指数)", "X3 date: price indices", fields=(
        factor("valuation_index", "评估基准日", "at valuation", unit=""),
        factor("comparable_index", "交易日", "at the trade", unit=""))),
    Field("capacity", "object", "容量调整(同一单位)", "X4 capacity, same unit", fields=(
        factor("subject", "评估对象", "of the subject", unit=""),
        factor("comparable", "可比案例", "of the comparable", unit=""))),
    factor("other", "其他调整系数", "X5 other"),
    BASIS,
)

_MARKET = (
    Field("parts", "list", "资产组成部分(数据集)", "parts of the asset (data sets)",
          bounds="1 to 50", fields=(NAME, Field(
              "comparables", "list", "可比案例(权重合计为1)", "comparables (weights sum to 1)",
              bounds="1 to 20", fields=_COMPARABLE))),
    CURRENCY,
)

_QUALITY = (
    Field("indicators", "list", "指标", "indicators", bounds="1 to 20", fields=(
        Field("code", "choice", "指标代码", "code of the indicator",
              choices=tuple(quality.INDICATORS)),
        WEIGHT,
        Field("a", "integer", "满足要求的元素个数 A", "A", "count", "0 to b", optional=True),
        Field("b", "integer", "被评价元素个数 B", "B", "count", ">= 0", optional=True),
        Field("not_measured", "text", "未测量原因(代替A、B)",
              "why not measured (instead of a, b)", optional=True))),
)

_AHP = (
    Field("criteria", "list", "准则名称", "names of the criteria", bounds="1 to 10"),
    Field("matrix", "list", "判断矩阵(行)", "matrix of judgements, by rows", "1",
          "1/9 to 9, a_ji = 1 / a_ij"),
)

_RECONCILE = (
    Field("figures", "list", "各方法结果(权重合计为1)", "figures (weights sum to 1)",
          bounds="1 to 20", fields=(
        Field("document", "object", "该方法的输入文件", "document of the method"),
        Field("weight", "ratio", "权重", "weight", "1", "0 to 1"),
        Field("reason", "text", "理由", "reason"))),
)

DESCRIPTIONS: dict[str, Description] = {
    "cost": Description(
        "成本法", "cost approach", "P = C * delta", cost.SOURCE, cost.VERSION, _COST),
    "cost_expert_9": Description(
        "成本法(专家指引第9号)", "cost approach of expert guidance no. 9",
        "P = TC * (1 + R) * U; U = alpha * beta * (1 + l) * (1 - r)",
        cost.SOURCE_EXPERT_9, cost.VERSION_EXPERT_9, _EXPERT_9),
    "income": Description(
        "收益法", "income approach", "P = sum(F_t / (1 + i)^t, t = 1..n)",
        income.SOURCE, income.VERSION, _INCOME),
    "market": Description(
        "市场法", "market approach", "P = sum(Q_i * X1_i * X2_i * X3_i * X4_i * X5_i, i = 1..m)",
        market.SOURCE, market.VERSION, _MARKET),
    "quality": Description(
        "数据质量得分", "data quality score",
        "S = sum(w_k * X_k) / sum(w_k); X = A / B, or 1 - A / B where smaller is better",
        quality.SOURCE, quality.VERSION, _QUALITY),
    "ahp": Description(
        "层次分析法权重", "weights by the analytic hierarchy process",
        "A v = lambda_max v; CI = (lambda_max - n) / (n - 1); CR = CI / RI < 0.1",
        weights.SOURCE, weights.VERSION, _AHP),
    "reconcile": Description(
        "多种方法综合", "several figures, weighted", "P = sum(w_k * P_k)",
        reconciliation.SOURCE, reconciliation.VERSION, _RECONCILE),
}
"""What each method asks for; the command line prints its help from here."""
# fmt: on

DESCRIPTIONS |= pricing.DESCRIPTIONS
DESCRIPTIONS |= price_report.DESCRIPTIONS
DESCRIPTIONS |= accounting.DESCRIPTIONS | amortisation.DESCRIPTIONS | impairment.DESCRIPTIONS
DESCRIPTIONS |= national.DESCRIPTIONS
