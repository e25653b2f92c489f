"""Every method by name, over one JSON document: what it asks for, and the figure with its steps.

A document::

    {"method": "cost", "version": "1", "inputs": {…}}

`version` is the version of the method's rules, so that a figure stays recomputable when they change.
Amounts are integer fen under keys in ``_fen``, or yuan as text under ``_yuan``; every other number is an
integer or an exact text (``"0.05"``, ``"7/100"``). Floats are refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from valuation import InputError, cost, income, inputs, market, quality, reconciliation, weights
from valuation.worksheet import Figure, recompute


@dataclass(frozen=True)
class Field:
    """One input: its key (amounts without ``_yuan``/``_fen``), kind, unit, bounds in words, and names.

    `kind` is money, ratio, integer, text, choice, list or object; `fields` are the entries of an object,
    or of each object of a list. `only` names the choices of `model` for which the field is asked.
    """

    key: str
    kind: str
    zh: str
    en: str
    unit: str = ""
    bounds: str = ""
    choices: tuple[str, ...] = ()
    fields: "tuple[Field, ...]" = ()
    optional: bool = False
    only: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The description in JSON types."""
        return {
            "bounds": self.bounds,
            "choices": list(self.choices),
            "en": self.en,
            "fields": [field.to_dict() for field in self.fields],
            "key": self.key,
            "kind": self.kind,
            "only": list(self.only),
            "optional": self.optional,
            "unit": self.unit,
            "zh": self.zh,
        }


@dataclass(frozen=True)
class Description:
    """What a method is called, what it computes, where that stands, and what it asks for."""

    zh: str
    en: str
    formula: str
    source: str
    version: str
    fields: tuple[Field, ...]

    def to_dict(self) -> dict[str, Any]:
        """The description in JSON types."""
        return {
            "en": self.en,
            "fields": [field.to_dict() for field in self.fields],
            "formula": self.formula,
            "source": self.source,
            "version": self.version,
            "zh": self.zh,
        }


def run(document: Mapping[str, Any]) -> Figure:
    """Return the figure of a document, which it carries along.

    Raises InputError whose field is a path in the document, such as ``inputs.periods[2].share``; also for
    a method or version that is not known, and for keys that are not.
    """
    plain = inputs.in_fen(document)
    entries = inputs.mapping(plain, "", ("method", "version", "inputs"))
    method = inputs.choice(entries["method"], "method", METHODS)
    version = DESCRIPTIONS[method].version
    if entries["version"] != version:
        raise InputError(
            "version", f"must be {version!r}, the version of {method} that is known here"
        )
    keys = {name: one for one in DESCRIPTIONS[method].fields for name in _names(one)}
    required = [_names(one)[0] for one in DESCRIPTIONS[method].fields if not one.optional]
    inputs.mapping(entries["inputs"], "inputs", required, keys)
    try:
        figure = _COMPUTE[method](entries["inputs"])
    except InputError as error:
        raise InputError.of([(f"inputs.{where}", what) for where, what in error.problems]) from None
    return Figure(
        figure.method,
        figure.version,
        figure.result,
        figure.steps,
        figure.outputs,
        figure.notes,
        plain,
    )


def verify(data: Figure | Mapping[str, Any]) -> Figure:
    """Return the figure of `to_dict` if every step recomputes and the steps are those of its method.

    The arithmetic is checked by `worksheet.recompute`; then the document it carries is run again, and the
    two must be equal throughout. Raises InputError that names what differs.
    """
    figure = data if isinstance(data, Figure) else Figure.from_dict(data)
    recompute(figure)
    if figure.document is None:
        raise InputError("document", "is missing, so that only the arithmetic can be recomputed")
    own, given = run(figure.document).to_dict(), figure.to_dict()
    for key, value in own.items():
        if given[key] != value:
            at = _first_step(value, given[key]) if key == "steps" else ""
            raise InputError(key, f"differs from what the method gives for the document{at}")
    return figure


def _first_step(own: list[Any], given: list[Any]) -> str:
    """Where two lists of steps part."""
    known = [step for step, other in zip(own, given, strict=False) if step != other]
    return f", first at {(known or own[len(given) :] or given[len(own) :])[0]['symbol']}"


def describe(method: str) -> dict[str, Any]:
    """Return what a method asks for, in JSON types; raises InputError for an unknown one."""
    return DESCRIPTIONS[inputs.choice(method, "method", DESCRIPTIONS)].to_dict()


def _names(field: Field) -> list[str]:
    return [field.key + "_fen"] if field.kind == "money" else [field.key]


def _reconcile(given: Mapping[str, Any]) -> Figure:
    figures = []
    for k, entry in enumerate(inputs.sequence(given["figures"], "figures", 1, 20)):
        field = f"figures[{k}]"
        known = inputs.mapping(entry, field, ("document", "weight", "reason"))
        try:
            figure = run(known["document"])
        except InputError as error:
            at = f"{field}.document"
            raise InputError.of(
                [(f"{at}.{where}", what) for where, what in error.problems]
            ) from None
        figures.append((figure, known["weight"], known["reason"]))
    return reconciliation.reconcile(figures)


_COMPUTE: dict[str, Callable[[Mapping[str, Any]], Figure]] = {
    "cost": lambda given: cost.appraise(**given),
    "income": lambda given: income.appraise(**given),
    "market": lambda given: market.appraise(**given),
    "quality": lambda given: quality.score(**given),
    "ahp": lambda given: weights.ahp(**given),
    "reconcile": _reconcile,
}


def _named(method: str) -> Callable[[Mapping[str, Any]], Figure]:
    def value(document: Mapping[str, Any]) -> Figure:
        if isinstance(document, Mapping) and document.get("method") != method:
            raise InputError("method", f"must be {method!r}")
        return run(document)

    value.__doc__ = f"Return the figure of a document of the method {method} (`run`)."
    return value


METHODS: dict[str, Callable[[Mapping[str, Any]], Figure]] = {
    name: _named(name) for name in _COMPUTE
}
"""Each method as a function from its document to its figure."""

_BASIS = Field("basis", "text", "依据", "basis")
_WEIGHT = Field("weight", "ratio", "权重", "weight", "1", "> 0")

DESCRIPTIONS: dict[str, Description] = {
    "cost": Description(
        "成本法",
        "cost approach",
        "P = C * delta",
        cost.SOURCE,
        cost.VERSION,
        (
            *(
                Field(key.removesuffix("_fen"), "money", zh, en, "CNY", ">= 0")
                for key, _, zh, en in cost.ITEMS
            ),
            Field(
                "factors",
                "list",
                "价值调整系数(连乘)",
                "value adjustment factors, multiplied",
                bounds="0 to 50",
                fields=(
                    Field("zh", "text", "中文名称", "name in Chinese"),
                    Field("en", "text", "英文名称", "name in English"),
                    Field("value", "ratio", "系数", "factor", "1", "> 0"),
                    _BASIS,
                ),
            ),
        ),
    ),
    "income": Description(
        "收益法",
        "income approach",
        "P = sum(F_t / (1 + i)^t, t = 1..n)",
        income.SOURCE,
        income.VERSION,
        (
            Field(
                "model", "choice", "收益预测模型", "model of income", choices=tuple(income.MODELS)
            ),
            Field(
                "timing",
                "choice",
                "收益时点",
                "when income comes",
                choices=tuple(income.TIMINGS),
                optional=True,
                bounds="默认期末 default end",
            ),
            Field(
                "rate",
                "object",
                "折现率构成(合计<1)",
                "parts of the discount rate (sum below 1)",
                fields=tuple(
                    Field(key, "ratio", zh, en, "fraction per period", ">= 0")
                    for key, _, zh, en in income.RATE_PARTS
                ),
            ),
            Field(
                "periods",
                "list",
                "收益期",
                "periods in order",
                bounds="1 to 60",
                fields=(
                    Field("income", "money", "收益", "income", "CNY", only=("direct", "excess")),
                    Field(
                        "revenue",
                        "money",
                        "总收入",
                        "revenue",
                        "CNY",
                        ">= 0",
                        only=("share_of_revenue",),
                    ),
                    Field("profit", "money", "总利润", "profit", "CNY", only=("share_of_profit",)),
                    Field(
                        "share",
                        "ratio",
                        "分成率",
                        "share",
                        "1",
                        "0 to 1",
                        only=("share_of_revenue", "share_of_profit"),
                    ),
                    Field(
                        "contributions",
                        "object",
                        "其他相关资产贡献",
                        "contributions of other assets",
                        only=("excess",),
                        fields=tuple(
                            Field(key.removesuffix("_fen"), "money", zh, en, "CNY", ">= 0")
                            for key, _, zh, en in income.CONTRIBUTIONS
                        ),
                    ),
                    Field(
                        "with",
                        "money",
                        "使用数据资产的息税前利润",
                        "EBIT with the asset",
                        "CNY",
                        only=("incremental",),
                    ),
                    Field(
                        "without",
                        "money",
                        "不使用的息税前利润",
                        "EBIT without it",
                        "CNY",
                        only=("incremental",),
                    ),
                ),
            ),
        ),
    ),
    "market": Description(
        "市场法",
        "market approach",
        "P = sum(Q_i * X1_i * X2_i * X3_i * X4_i * X5_i, i = 1..m)",
        market.SOURCE,
        market.VERSION,
        (
            Field(
                "parts",
                "list",
                "资产组成部分(数据集)",
                "parts of the asset (data sets)",
                bounds="1 to 50",
                fields=(
                    Field("name", "text", "名称", "name"),
                    Field(
                        "comparables",
                        "list",
                        "可比案例(权重合计为1)",
                        "comparables (weights sum to 1)",
                        bounds="1 to 20",
                        fields=(
                            Field("name", "text", "名称", "name"),
                            Field("price", "money", "可比对象价值", "price", "CNY", ">= 0"),
                            _WEIGHT,
                            Field("quality", "ratio", "质量调整系数", "X1 quality", "1", "> 0"),
                            Field(
                                "supply_demand",
                                "ratio",
                                "供求调整系数",
                                "X2 supply, demand",
                                "1",
                                "> 0",
                            ),
                            Field(
                                "date",
                                "object",
                                "期日调整(价格指数)",
                                "X3 date: price indices",
                                fields=(
                                    Field(
                                        "valuation_index",
                                        "ratio",
                                        "评估基准日",
                                        "at valuation",
                                        "",
                                        "> 0",
                                    ),
                                    Field(
                                        "comparable_index",
                                        "ratio",
                                        "交易日",
                                        "at the trade",
                                        "",
                                        "> 0",
                                    ),
                                ),
                            ),
                            Field(
                                "capacity",
                                "object",
                                "容量调整(同一单位)",
                                "X4 capacity, same unit",
                                fields=(
                                    Field(
                                        "subject", "ratio", "评估对象", "of the subject", "", "> 0"
                                    ),
                                    Field(
                                        "comparable",
                                        "ratio",
                                        "可比案例",
                                        "of the comparable",
                                        "",
                                        "> 0",
                                    ),
                                ),
                            ),
                            Field("other", "ratio", "其他调整系数", "X5 other", "1", "> 0"),
                            _BASIS,
                        ),
                    ),
                ),
            ),
        ),
    ),
    "quality": Description(
        "数据质量得分",
        "data quality score",
        "S = sum(w_k * X_k) / sum(w_k); X = A / B, or 1 - A / B where smaller is better",
        quality.SOURCE,
        quality.VERSION,
        (
            Field(
                "indicators",
                "list",
                "指标",
                "indicators",
                bounds="1 to 20",
                fields=(
                    Field(
                        "code",
                        "choice",
                        "指标代码",
                        "code of the indicator",
                        choices=tuple(quality.INDICATORS),
                    ),
                    _WEIGHT,
                    Field(
                        "a",
                        "integer",
                        "满足要求的元素个数 A",
                        "A",
                        "count",
                        "0 to b",
                        optional=True,
                    ),
                    Field("b", "integer", "被评价元素个数 B", "B", "count", ">= 0", optional=True),
                    Field(
                        "not_measured",
                        "text",
                        "未测量原因(代替A、B)",
                        "why not measured (instead of a, b)",
                        optional=True,
                    ),
                ),
            ),
        ),
    ),
    "ahp": Description(
        "层次分析法权重",
        "weights by the analytic hierarchy process",
        "A v = lambda_max v; CI = (lambda_max - n) / (n - 1); CR = CI / RI < 0.1",
        weights.SOURCE,
        weights.VERSION,
        (
            Field("criteria", "list", "准则名称", "names of the criteria", bounds="1 to 10"),
            Field(
                "matrix",
                "list",
                "判断矩阵(行)",
                "matrix of judgements, by rows",
                "1",
                "1/9 to 9, a_ji = 1 / a_ij",
            ),
        ),
    ),
    "reconcile": Description(
        "多种方法综合",
        "several figures, weighted",
        "P = sum(w_k * P_k)",
        reconciliation.SOURCE,
        reconciliation.VERSION,
        (
            Field(
                "figures",
                "list",
                "各方法结果(权重合计为1)",
                "figures (weights sum to 1)",
                bounds="1 to 20",
                fields=(
                    Field("document", "object", "该方法的输入文件", "document of the method"),
                    Field("weight", "ratio", "权重", "weight", "1", "0 to 1"),
                    Field("reason", "text", "理由", "reason"),
                ),
            ),
        ),
    ),
}
"""What each method asks for; the command line prints its help from here."""
