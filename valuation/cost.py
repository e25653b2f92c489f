"""Cost approach: the value is what it cost, adjusted by stated factors. P = C · δ.

C is the sum of preparatory, direct, indirect and opportunity cost and of taxes; δ is the product of value
adjustment factors (quality, circulation, scene, timeliness …), each with its basis. δ is never applied
silently: without factors it is 1, and the figure says so.

`appraise_expert_9` is the older form with a return on cost and a coefficient U of four parts:
P = TC · (1 + R) · U.

Sources: 数据资产评估指导意见 (中评协〔2023〕17号), cost approach; 资产评估专家指引第9号——数据资产评估
(2019, expert advice, not binding). Both from memory, to be verified.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from valuation import InputError, inputs
from valuation.worksheet import Figure, Worksheet

VERSION = "1"
SOURCE = "中评协〔2023〕17号 成本法 cost approach (from memory, to be verified 待核实)"

VERSION_EXPERT_9 = "1"
SOURCE_EXPERT_9 = (
    "资产评估专家指引第9号 成本法 expert guidance no. 9, cost approach"
    " (from memory, to be verified 待核实)"
)

ITEMS = (
    ("preparatory_fen", "C_pre", "前期费用", "preparatory cost"),
    ("direct_fen", "C_dir", "直接成本", "direct cost"),
    ("indirect_fen", "C_ind", "间接成本", "indirect cost"),
    ("opportunity_fen", "C_opp", "机会成本", "opportunity cost"),
    ("taxes_fen", "C_tax", "相关税费", "taxes"),
)
"""The items of C: key, symbol, name in Chinese and English; each in fen, at least 0."""

_TO_THE_FEN = "四舍五入至分 half up to 1 fen"


def appraise(
    *,
    factors: Sequence[Mapping[str, Any]],
    preparatory_fen: int | None = None,
    direct_fen: int | None = None,
    indirect_fen: int | None = None,
    opportunity_fen: int | None = None,
    taxes_fen: int | None = None,
    lines: Mapping[str, Any] | None = None,
) -> Figure:
    """Return the value by the cost approach, P = C · δ, in fen, rounded once at the end, half up.

    Parameters
    ----------
    preparatory_fen, direct_fen, indirect_fen, opportunity_fen, taxes_fen : int >= 0, each unless its lines
        are stated
    lines : what an item consists of, instead of its amount: under ``preparatory``, ``direct``,
        ``indirect``, ``opportunity``, ``taxes`` lists of 1 to 200
        ``{"name": text, "amount_fen": int >= 0, "basis": text}``, whose sum is the item
    factors : ``{"zh": name, "en": name, "value": ratio > 0, "basis": why}`` each; may be empty (δ = 1).
        With ``"applies_to": ["direct", …]`` a factor adjusts those items only, else all of C

    Raises
    ------
    InputError : names the field, such as ``lines.direct[0].amount_fen`` or ``factors[1].applies_to[0]``

    Notes
    -----
    Where a factor names items, P = Σ C_k · δ_k with δ_k the product of the factors that apply to item k.

    Examples
    --------
    >>> figure = appraise(preparatory_fen=100_000_00, direct_fen=500_000_00, indirect_fen=200_000_00,
    ...     opportunity_fen=150_000_00, taxes_fen=50_000_00,
    ...     factors=[{"zh": "质量", "en": "quality", "value": "9/10", "basis": "score of 2025-06"}])
    >>> figure.display()
    '900000.00'
    >>> figure = appraise(preparatory_fen=0, indirect_fen=200_00, opportunity_fen=0, taxes_fen=0,
    ...     lines={"direct": [{"name": "采集", "amount_fen": 300_00, "basis": "合同"},
    ...                       {"name": "清洗", "amount_fen": 100_00, "basis": "工时"}]},
    ...     factors=[{"zh": "时效", "en": "timeliness", "value": "1/2", "basis": "每年更新",
    ...               "applies_to": ["direct"]}])
    >>> figure.display(), figure["C_dir"].formula
    ('400.00', 'sum(C_dir_1, C_dir_2)')
    """
    amounts = (preparatory_fen, direct_fen, indirect_fen, opportunity_fen, taxes_fen)
    items = [key.removesuffix("_fen") for key, *_ in ITEMS]
    sheet, problems = Worksheet(), list[tuple[str, str]]()
    with inputs.gathering(problems):
        write_items(sheet, ITEMS, amounts, lines, SOURCE)
        total = ", ".join(symbol for _, symbol, _, _ in ITEMS)
        sheet.step("C", "重置成本", "total cost", f"sum({total})", "fen", SOURCE)

    names, applies = [], dict[str, list[str]]()
    for k, factor in enumerate(inputs.sequence(factors, "factors", 0, 50), start=1):
        with inputs.gathering(problems):
            field, symbol = f"factors[{k - 1}]", f"delta_{k}"
            entry = inputs.mapping(factor, field, ("zh", "en", "value", "basis"), ("applies_to",))
            value = inputs.number(entry["value"], f"{field}.value", above=0)
            zh, en, basis = (
                inputs.text(entry[key], f"{field}.{key}") for key in ("zh", "en", "basis")
            )
            sheet.given(symbol, zh, en, value, "1", basis)
            names.append(symbol)
            if "applies_to" in entry:
                applies[symbol] = _items(entry["applies_to"], f"{field}.applies_to", items)
    if problems:
        raise InputError.of(problems)
    if applies:
        return _by_item(sheet, names, applies)
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
    formula = "round_half_up(C * delta)"
    sheet.step("P", "评估值(成本法)", "value, cost approach", formula, "fen", SOURCE, _TO_THE_FEN)
    return sheet.figure("cost", VERSION, "P", ("C", "delta", "P"))


def write_items(
    sheet: Worksheet,
    items: Sequence[tuple[str, str, str, str]],
    amounts: Sequence[int | None],
    lines: Mapping[str, Any] | None,
    source: str,
) -> None:
    """Write each item of a cost down: its amount, or its lines and their sum.

    Parameters
    ----------
    items : key in ``_fen``, symbol, name in Chinese and English, of each
    amounts : in fen, at least 0, in the order of the items; None where an item has lines
    lines : under an item's key without ``_fen``, 1 to 200 ``{"name", "amount_fen", "basis"}``

    Raises
    ------
    InputError : names every item that is missing, given twice or wrong, such as
        ``lines.direct[0].amount_fen``

    Examples
    --------
    >>> sheet = Worksheet()
    >>> write_items(sheet, ITEMS[:2], (5, None),
    ...     {"direct": [{"name": "采集", "amount_fen": 3, "basis": "合同"}]}, "example")
    >>> sheet.step("C", "成本", "cost", "C_pre + C_dir", "fen", "example")
    Fraction(8, 1)
    """
    names = [key.removesuffix("_fen") for key, *_ in items]
    stated = {} if lines is None else inputs.mapping(lines, "lines", (), names)
    problems = [
        (f"{name}_fen", "is missing" if amount is None else f"is given twice, see lines.{name}")
        for name, amount in zip(names, amounts, strict=True)
        if (amount is None) != (name in stated)
    ]
    if problems:
        raise InputError.of(problems)
    for (key, symbol, zh, en), name, amount in zip(items, names, amounts, strict=True):
        with inputs.gathering(problems):
            if name in stated:
                _lines(sheet, stated[name], f"lines.{name}", (symbol, zh, en), source)
            else:
                sheet.given(symbol, zh, en, inputs.money(amount, key, 0), "fen", "输入 input")
    if problems:
        raise InputError.of(problems)


def _lines(
    sheet: Worksheet, lines: object, field: str, item: tuple[str, str, str], source: str
) -> None:
    """Write the lines of an item, and their sum as the item."""
    symbol, zh, en = item
    symbols, problems = [], list[tuple[str, str]]()
    for k, line in enumerate(inputs.sequence(lines, field), start=1):
        with inputs.gathering(problems):
            where = f"{field}[{k - 1}]"
            entry = inputs.mapping(line, where, ("name", "amount_fen", "basis"))
            name = inputs.text(entry["name"], f"{where}.name")
            amount = inputs.money(entry["amount_fen"], f"{where}.amount_fen", 0)
            basis = inputs.text(entry["basis"], f"{where}.basis")
            symbols.append(f"{symbol}_{k}")
            sheet.given(symbols[-1], f"{zh}: {name}", f"{en}: {name}", amount, "fen", basis)
    if problems:
        raise InputError.of(problems)
    sheet.step(symbol, zh, en, f"sum({', '.join(symbols)})", "fen", source)


def _items(given: object, field: str, items: Sequence[str]) -> list[str]:
    """The items a factor applies to, each once."""
    chosen = [
        inputs.choice(item, f"{field}[{k}]", items)
        for k, item in enumerate(inputs.sequence(given, field, 1, len(items)))
    ]
    for k, item in enumerate(chosen):
        if item in chosen[:k]:
            raise InputError(f"{field}[{k}]", f"{item} stands there twice")
    return chosen


def _by_item(sheet: Worksheet, names: list[str], applies: Mapping[str, list[str]]) -> Figure:
    """Each item times the factors that apply to it; the value is their sum."""
    terms = []
    for key, symbol, zh, en in ITEMS:
        item = key.removesuffix("_fen")
        factors = [name for name in names if item in applies.get(name, [item])]
        terms.append(symbol.replace("C_", "A_"))
        formula = f"product({', '.join([symbol, *factors])})"
        sheet.step(terms[-1], f"{zh}: 调整后", f"{en}, adjusted", formula, "fen", SOURCE)
    formula = f"round_half_up(sum({', '.join(terms)}))"
    sheet.step("P", "评估值(成本法)", "value, cost approach", formula, "fen", SOURCE, _TO_THE_FEN)
    sheet.note(
        "部分价值调整系数只适用于所列成本项，价值为各项调整后之和。",
        "Some factors adjust the stated items of cost only; the value is the sum of the adjusted items.",
    )
    return sheet.figure("cost", VERSION, "P", ("C", *terms, "P"))


def appraise_expert_9(
    *,
    total_cost_fen: int,
    return_on_cost: str | int | Fraction,
    quality: str | int | Fraction,
    transmission: Mapping[str, Any],
    volumes: Mapping[str, Any],
    monopoly: Mapping[str, Any],
    risk: str | int | Fraction,
    basis: str,
) -> Figure:
    """Return the value by the cost approach of expert guidance no. 9, in fen, rounded once at the end.

    P = TC · (1 + R) · U, U = α · β · (1 + l) · (1 - r), with
    β = (a · open + b · public + c · shared) / total and l = volume in the system / volume in the industry.

    Parameters
    ----------
    total_cost_fen : TC, int >= 0
    return_on_cost : R, ratio >= 0
    quality : α, ratio from 0 to 1
    transmission : a, b, c under ``open``, ``public``, ``shared``; ratios >= 0
    volumes : ``open``, ``public``, ``shared`` and ``total`` > 0, ratios >= 0 in one unit; the three are
        parts of the total, and what does not circulate counts 0
    monopoly : ``system`` and ``industry`` > 0, ratios >= 0 in one unit; system at most industry
    risk : r, ratio from 0 to 1: management, circulation, development and security risk together
    basis : how the coefficients were found

    Raises
    ------
    InputError : names the field, such as ``volumes.total``

    Examples
    --------
    >>> figure = appraise_expert_9(total_cost_fen=1_000_000_00, return_on_cost="1/10", quality="4/5",
    ...     transmission={"open": 2, "public": "3/2", "shared": 1},
    ...     volumes={"open": 10, "public": 20, "shared": 30, "total": 100},
    ...     monopoly={"system": 1, "industry": 4}, risk="1/5", basis="示例")
    >>> figure.display(), str(figure["beta"].value), str(figure["U"].value)
    ('704000.00', '4/5', '16/25')
    """
    sheet = Worksheet()
    why, source = inputs.text(basis, "basis"), SOURCE_EXPERT_9

    def given(symbol: str, zh: str, en: str, value: Any, field: str, **bounds: int) -> Fraction:
        exact = inputs.number(value, field, **{"least": 0, **bounds})
        return sheet.given(symbol, zh, en, exact, "1", why)

    amount = inputs.money(total_cost_fen, "total_cost_fen", 0)
    sheet.given("TC", "总成本", "total cost", amount, "fen", "输入 input")
    given("R", "成本投资回报率", "return on cost", return_on_cost, "return_on_cost")
    given("alpha", "数据质量系数", "quality coefficient α", quality, "quality", most=1)
    kinds = (("open", "a", "开放数据"), ("public", "b", "公共数据"), ("shared", "c", "共享数据"))
    keys = [key for key, _, _ in kinds]
    coefficients = inputs.mapping(transmission, "transmission", keys)
    sizes = inputs.mapping(volumes, "volumes", (*keys, "total"))
    for key, symbol, zh in kinds:
        value = coefficients[key]
        en = f"transmission coefficient of {key} data"
        given(symbol, f"{zh}传播系数", en, value, f"transmission.{key}")
    circulating = sum(
        given(f"V_{key}", f"{zh}量", f"volume of {key} data", sizes[key], f"volumes.{key}")
        for key, _, zh in kinds
    )
    field = "volumes.total"
    total = given("V_total", "总数据量", "volume of all data", sizes["total"], field, above=0)
    if circulating > total:
        raise InputError(field, "is less than the open, public and shared data together")
    formula = "(a * V_open + b * V_public + c * V_shared) / V_total"
    sheet.step("beta", "数据流通系数", "circulation coefficient β", formula, "1", source)
    parts = inputs.mapping(monopoly, "monopoly", ("system", "industry"))
    en = "volume in the industry"
    whole = given("N_ind", "行业数据总量", en, parts["industry"], "monopoly.industry", above=0)
    own = given("N_sys", "系统数据量", "volume in the system", parts["system"], "monopoly.system")
    if own > whole:
        raise InputError("monopoly.system", "is more than the volume in the industry")
    sheet.step("l", "数据垄断系数", "monopoly coefficient l", "N_sys / N_ind", "1", source)
    given("r", "数据价值实现风险系数", "risk coefficient r", risk, "risk", most=1)
    formula = "alpha * beta * (1 + l) * (1 - r)"
    sheet.step("U", "数据效用", "utility coefficient U", formula, "1", source)
    formula = "round_half_up(TC * (1 + R) * U)"
    label = "评估值(成本法, 专家指引第9号)", "value, cost approach of expert guidance no. 9"
    sheet.step("P", *label, formula, "fen", source, _TO_THE_FEN)
    sheet.note(
        "专家指引第9号为专家意见，不具约束力；未流通的数据在流通系数中按 0 计。",
        "Expert guidance no. 9 is advice and does not bind; data that does not circulate counts 0 in β.",
    )
    return sheet.figure("cost_expert_9", VERSION_EXPERT_9, "P", ("TC", "beta", "l", "U", "P"))
