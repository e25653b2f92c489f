"""Data as a produced asset of national accounts: what was formed, by sum of costs, and the stock of it.

Own-account capital formation has no market price, so it is worth what it cost:

    formation = labour + intermediate consumption + consumption of fixed capital
                + other taxes less subsidies on production + net return to capital
    short cut = Σ wage_j · time_share_j · (1 + overhead) · (1 + capital)
    stock     K_t = (1 - δ) · K_(t-1) + I_t                          by perpetual inventory

Scope: only what is used in production for more than a year is capital; of a shorter use the formation is
0. Phenomena observed for free count 0; explicit payments for them count, as intermediate consumption
(ours). A non-market producer has no net return. Sources: the 2025 SNA (adopted in March 2025, data is a
produced asset); its formulas here are from memory, to be verified. The table of industries, regions and
years stands in `valuation.national_table`.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from valuation import InputError, inputs
from valuation.fields import BASIS, CURRENCY, NAME, Description, Field, factor, money
from valuation.money import exact_text
from valuation.worksheet import Figure, Worksheet

VERSION = "1"
SOURCE = (
    "2025 SNA 自给性资本形成 own-account capital formation (from memory, to be verified 待核实)"
)
SOURCE_STOCK = "2025 SNA 永续盘存法 perpetual inventory (from memory, to be verified 待核实)"
OURS = "本系统选择 ours"

MODELS = {"sum_of_costs": ("成本合计", "sum of costs"), "short_cut": ("简易法", "short cut")}
PRODUCERS = {
    "market": ("市场生产者", "market producer"),
    "non_market": ("非市场生产者", "non-market producer"),
}
COMPONENTS = (
    ("labour_fen", "L", "劳动者报酬", "compensation of employees"),
    ("intermediate_fen", "IC", "中间消耗", "intermediate consumption"),
    ("fixed_capital_consumption_fen", "CFC", "固定资本消耗", "consumption of fixed capital"),
    ("net_taxes_on_production_fen", "T", "其他生产税净额", "other taxes less subsidies on production"),
    ("net_return_fen", "R", "资本净回报", "net return to capital"),
)  # fmt: skip
"""The costs that a formation is the sum of: key, symbol, name in Chinese and English."""

DECLINING = Fraction(2)
"""Declining-balance rate: δ = rate / service life, double declining unless another one is stated (ours)."""

_TO_THE_FEN = "四舍五入至分 half up to 1 fen"
_LONGER = Fraction(1)  # year: a shorter use is none of capital
_YEARS = 100


def capital_formation(
    *,
    model: str,
    producer: str,
    use_years: str | int | Fraction,
    labour: Sequence[Mapping[str, Any]],
    intermediate_fen: int | None = None,
    observed: Sequence[Mapping[str, Any]] | None = None,
    fixed_capital_consumption_fen: int | None = None,
    net_taxes_on_production_fen: int | None = None,
    net_return_fen: int | None = None,
    overhead: str | int | Fraction | None = None,
    capital: str | int | Fraction | None = None,
) -> Figure:
    """Return the gross own-account formation of data capital in fen, rounded once at the end, half up.

    ``sum_of_costs``: (L + IC + CFC + T + R) · c, L = Σ wage_j · time_share_j;
    ``short_cut``: Σ wage_j · time_share_j · (1 + overhead) · (1 + capital) · c,
    c = 1 where the data is used for more than one year, else 0.

    Parameters
    ----------
    model : ``sum_of_costs`` or ``short_cut``
    producer : ``market`` or ``non_market``
    use_years : ratio > 0, for how long it is used in production
    labour : 1 to 200 ``{"name": text, "wages_fen": int >= 0, "time_share": ratio from 0 to 1}``
    intermediate_fen, fixed_capital_consumption_fen : int >= 0, of the sum of costs
    observed : what was observed, ``{"name", "payment_fen": int >= 0, "basis"}``; free of charge: 0
    net_taxes_on_production_fen : int, below 0 where subsidies are larger
    net_return_fen : int >= 0, of a market producer only
    overhead, capital : ratios >= 0, of the short cut

    Raises
    ------
    InputError : names the field, such as ``net_return_fen`` of a non-market producer

    Source: 2025 SNA, from memory; the short cut as in Statistics Canada's study of 2019.

    Examples
    --------
    >>> figure = capital_formation(model="short_cut", producer="market", use_years=3, overhead="50/100",
    ...     capital="3/100", labour=[{"name": "录入", "wages_fen": 1_000_000, "time_share": "4/10"},
    ...                              {"name": "建库", "wages_fen": 2_000_000, "time_share": "3/10"}])
    >>> figure.value_fen
    1545000
    """
    inputs.choice(model, "model", MODELS)
    inputs.choice(producer, "producer", PRODUCERS)
    problems: list[tuple[str, str]] = []
    stated: dict[str, Any] = {
        "intermediate_fen": intermediate_fen,
        "fixed_capital_consumption_fen": fixed_capital_consumption_fen,
        "net_taxes_on_production_fen": net_taxes_on_production_fen,
        "net_return_fen": net_return_fen,
        "observed": observed,
        "overhead": overhead,
        "capital": capital,
    }
    of_short_cut = ("overhead", "capital")
    for key, value in stated.items():
        of_model = (key in of_short_cut) == (model == "short_cut")
        needed = of_model and key != "observed"
        if key == "net_return_fen" and producer == "non_market":
            needed = False
            if value:
                problems.append((key, "must be 0 or left out: a non-market producer has none"))
        if needed and value is None:
            problems.append((key, "is missing"))
        elif not of_model and value is not None:
            problems.append((key, f"is not asked by the model {model}"))
    sheet = Worksheet()
    with inputs.gathering(problems):
        _labour(sheet, labour)
    with inputs.gathering(problems):
        years = inputs.number(use_years, "use_years", above=0, most=_YEARS)
        sheet.given("n", "使用年限", "years of use in production", years, "periods", "输入 input")
        longer = int(years > _LONGER)
        rule = f"{SOURCE}: 使用一年以上 used for more than one year"
        sheet.given("c", "计入资本(1)或否(0)", "capital (1) or not (0)", longer, "1", rule)
        if not longer:
            sheet.note(
                "使用不超过一年，不计入资本形成，属当期中间消耗。",
                "Used for a year or less, it is no capital formation but consumption of the period.",
            )
    if model == "short_cut":
        formula = "round_half_up(L * (1 + k_o) * (1 + k_c) * c)"
        labels = {"overhead": ("k_o", "间接费用率"), "capital": ("k_c", "资本加成率")}
        for key, (symbol, zh) in labels.items():
            with inputs.gathering(problems):
                if stated[key] is not None:
                    value = inputs.number(stated[key], key, least=0)
                    sheet.given(symbol, zh, f"{key} mark-up", value, "1", "输入 input")
        sheet.note(
            "简易法只计人员时间，间接费用与资本按比率加成；比率由填报人说明。",
            "The short cut counts people's time; the reporter states the mark-ups of overhead and capital.",
        )
    else:
        formula = "round_half_up((L + IC + CFC + T + R) * c)"
        _costs(sheet, stated, problems)
    if producer == "non_market":
        sheet.note(
            "非市场生产者不计资本净回报(凭记忆，待核实)。",
            "A non-market producer has no net return to capital (from memory, to be verified).",
        )
    if problems:
        raise InputError.of(problems)
    total = sheet.step(
        "P", "数据资本形成总额", "gross formation of data capital", formula, "fen", SOURCE, _TO_THE_FEN
    )  # fmt: skip
    if total < 0:
        raise InputError(
            "net_taxes_on_production_fen", "makes the formation less than 0: check the subsidies"
        )
    outputs = ("L", "c", "P") if model == "short_cut" else ("L", "IC", "CFC", "T", "R", "c", "P")
    return sheet.figure("capital_formation", VERSION, "P", outputs)


def _labour(sheet: Worksheet, labour: object) -> None:
    """L = Σ wage_j · time_share_j."""
    terms, problems = [], list[tuple[str, str]]()
    for k, one in enumerate(inputs.sequence(labour, "labour"), start=1):
        with inputs.gathering(problems):
            at = f"labour[{k - 1}]"
            entry = inputs.mapping(one, at, ("name", "wages_fen", "time_share"))
            with inputs.gathering(problems):
                name = inputs.text(entry["name"], f"{at}.name")
                wages = inputs.money(entry["wages_fen"], f"{at}.wages_fen", 0)
                share = inputs.number(entry["time_share"], f"{at}.time_share", least=0, most=1)
                zh, en = f"{name}: 报酬", f"{name}: compensation"
                sheet.given(f"w_{k}", zh, en, wages, "fen", "输入 input")
                zh, en = f"{name}: 用于数据的工时比重", f"{name}: share of working time"
                sheet.given(f"s_{k}", zh, en, share, "1", "输入 input")
                zh, en = f"{name}: 计入", f"{name}: counted"
                sheet.step(f"l_{k}", zh, en, f"w_{k} * s_{k}", "fen", SOURCE)
                terms.append(f"l_{k}")
    if problems:
        raise InputError.of(problems)
    _, symbol, zh, en = COMPONENTS[0]
    sheet.step(symbol, zh, en, f"sum({', '.join(terms)})", "fen", SOURCE)


def _costs(sheet: Worksheet, stated: Mapping[str, Any], problems: list[tuple[str, str]]) -> None:
    """The four components beside labour; what is paid for observed things is part of IC."""
    paid: list[str] = []
    with inputs.gathering(problems):
        given = stated["observed"] if stated["observed"] is not None else []
        for k, one in enumerate(inputs.sequence(given, "observed", 0), start=1):
            with inputs.gathering(problems):
                at = f"observed[{k - 1}]"
                entry = inputs.mapping(one, at, ("name", "payment_fen", "basis"))
                name = inputs.text(entry["name"], f"{at}.name")
                amount = inputs.money(entry["payment_fen"], f"{at}.payment_fen", 0)
                basis = inputs.text(entry["basis"], f"{at}.basis")
                zh, en = f"观测付费: {name}", f"paid for what was observed: {name}"
                sheet.given(f"o_{k}", zh, en, amount, "fen", basis)
                paid.append(f"o_{k}")
    for key, symbol, zh, en in COMPONENTS[1:]:
        with inputs.gathering(problems):
            least = None if key == "net_taxes_on_production_fen" else 0
            amount = inputs.money(stated[key] if stated[key] is not None else 0, key, least)
            if symbol == "IC" and paid:
                sheet.given("IC_0", f"{zh}: 其他", f"{en}: other", amount, "fen", "输入 input")
                formula = f"sum({', '.join(['IC_0', *paid][: inputs.MAX_LIST])})"
                if len(paid) == inputs.MAX_LIST:
                    formula += f" + {paid[-1]}"
                rule = (
                    f"{OURS}: 显性付费计入中间消耗 explicit payments are intermediate consumption"
                )
                sheet.step(symbol, zh, en, formula, "fen", rule)
            else:
                sheet.given(symbol, zh, en, amount, "fen", "输入 input")


def depreciation(
    given: Mapping[str, Any], where: str = ""
) -> tuple[Fraction, Fraction | None, Fraction]:
    """Return (δ, service life, declining-balance rate) of ``delta``, or ``life`` with ``declining``.

    δ = declining / life, double declining (2) unless stated otherwise (ours). One of ``delta`` and
    ``life`` must be stated; δ lies above 0 and is at most 1. Raises InputError.

    >>> depreciation({"life": "5"})
    (Fraction(2, 5), Fraction(5, 1), Fraction(2, 1))
    >>> depreciation({"delta": "0.2"})[0]
    Fraction(1, 5)
    """  # fmt: skip
    at = f"{where}." if where else ""
    delta, life, rate = (given.get(key) for key in ("delta", "life", "declining"))
    if (delta is None) == (life is None):
        told = "is missing: state it, or the service life" if delta is None else (
            "is given twice, also by the service life")  # fmt: skip
        raise InputError(f"{at}delta", told)
    if delta is not None:
        if rate is not None:
            raise InputError(f"{at}declining", "belongs to a service life, and none is stated")
        return inputs.number(delta, f"{at}delta", above=0, most=1), None, DECLINING
    years = inputs.number(life, f"{at}life", above=0, most=_YEARS)
    times = DECLINING if rate is None else inputs.number(rate, f"{at}declining", above=0)
    if times > years:
        raise InputError(
            f"{at}life", f"is {exact_text(years)}, but must be at least {exact_text(times)}"
        )
    return times / years, years, times


def capital_stock(
    *,
    years: Sequence[Mapping[str, Any]],
    delta: str | int | Fraction | None = None,
    life: str | int | Fraction | None = None,
    declining: str | int | Fraction | None = None,
    initial_fen: int | None = None,
    growth: str | int | Fraction | None = None,
    basis: str,
) -> Figure:
    """Return the stock of data capital at the end of the last year in fen, by perpetual inventory.

    K_t = (1 - δ) · K_(t-1) + I_t, each year half up to the fen (ours: a year follows from the figures
    published for the year before). Where deflators are stated, I_t is formation / deflator, half up to
    the fen, and stocks are in prices of the year whose deflator is 1.

    Parameters
    ----------
    years : 1 to 100 in order without gaps, ``{"year": int, "formation_fen": int >= 0}``, and in all or
        none of them ``"deflator": ratio > 0``
    delta : rate of depreciation a year, > 0, <= 1; or
    life, declining : service life in years, δ = declining / life, declining 2 unless stated (ours)
    initial_fen : stock before the first year, int >= 0, in the same prices; or
    growth : g > -δ; then K_0 = I_1 / (g + δ), as if formation had always grown by g a year (ours)
    basis : how rate and initial stock were found

    Raises
    ------
    InputError : names the field, such as ``years[2].year``

    Source: 2025 SNA, from memory.

    Examples
    --------
    >>> figure = capital_stock(delta="1/5", initial_fen=1000, basis="示例",
    ...     years=[{"year": 2021, "formation_fen": 300}, {"year": 2022, "formation_fen": 300}])
    >>> figure["K_2021"].value, figure.value_fen
    (Fraction(1100, 1), 1180)
    >>> capital_stock(delta="1/5", growth="1/20", basis="示例",
    ...     years=[{"year": 2021, "formation_fen": 300}])["K_0"].value
    Fraction(1200, 1)
    """
    sheet, problems = Worksheet(), list[tuple[str, str]]()
    why = inputs.text(basis, "basis")
    rate = None
    with inputs.gathering(problems):
        rate, lasts, times = depreciation({"delta": delta, "life": life, "declining": declining})
        if lasts is None:
            sheet.given("delta", "折旧率", "rate of depreciation δ", rate, "1", why)
        else:
            sheet.given("N", "使用年限", "service life", lasts, "periods", why)
            sheet.given("m", "余额递减倍数", "declining-balance rate", times, "1", OURS)
            en = "rate of depreciation δ"
            sheet.step("delta", "折旧率", en, "m / N", "1", f"{OURS}: δ = m / N")
    known: list[tuple[int, int, Fraction | None]] = []
    with inputs.gathering(problems):
        known = _years(years)
    if (initial_fen is None) == (growth is None):
        told = (
            "is missing: state it, or a growth" if growth is None else "is given twice, by growth"
        )
        problems.append(("initial_fen", told))
    pace = None
    with inputs.gathering(problems):
        if growth is not None:
            pace = inputs.number(growth, "growth", above=-(rate or 0))
        elif initial_fen is not None:
            inputs.money(initial_fen, "initial_fen", 0)
    if problems:
        raise InputError.of(problems)
    for year, amount, deflator in known:
        zh, en = f"{year} 年资本形成", f"formation of {year}"
        if deflator is None:
            sheet.given(f"I_{year}", zh, en, amount, "fen", "输入 input")
            continue
        sheet.given(
            f"N_{year}", f"{zh}(现价)", f"{en}, current prices", amount, "fen", "输入 input"
        )
        named = f"{year} 年平减指数", f"deflator of {year}"
        sheet.given(f"d_{year}", *named, deflator, "1", "输入 input")
        formula = f"round_half_up(N_{year} / d_{year})"
        label = f"{zh}(不变价)", f"{en}, constant prices"
        sheet.step(f"I_{year}", *label, formula, "fen", SOURCE_STOCK, _TO_THE_FEN)
    label = "期初存量", "stock before the first year"
    if pace is None:
        sheet.given("K_0", *label, initial_fen or 0, "fen", why)
    else:
        sheet.given("g", "此前年增长率", "growth a year before", pace, "1", why)
        formula = f"round_half_up(I_{known[0][0]} / (g + delta))"
        rule = f"{OURS}: K_0 = I_1 / (g + δ)"
        sheet.step("K_0", *label, formula, "fen", rule, _TO_THE_FEN)
    before = "K_0"
    for year, _, _ in known:
        label = f"{year} 年末存量", f"stock at the end of {year}"
        formula = f"round_half_up((1 - delta) * {before} + I_{year})"
        before = f"K_{year}"
        sheet.step(before, *label, formula, "fen", SOURCE_STOCK, _TO_THE_FEN)
    if known[0][2] is not None:
        sheet.note(
            "存量按平减指数为 1 的年份的价格计，期初存量须为同一价格。",
            "Stocks are in prices of the year whose deflator is 1; so must be the stock before the first.",
        )
    return sheet.figure("capital_stock", VERSION, before, ("delta", "K_0", before))


def _years(years: object) -> list[tuple[int, int, Fraction | None]]:
    """Each year, its formation and its deflator; all faults at once."""
    made: list[tuple[int, int, Fraction | None]] = []
    problems: list[tuple[str, str]] = []
    given = inputs.sequence(years, "years", 1, _YEARS)
    deflated = any(isinstance(one, Mapping) and "deflator" in one for one in given)
    keys = ("year", "formation_fen", *(["deflator"] if deflated else []))
    last = None
    for k, one in enumerate(given):
        with inputs.gathering(problems):
            at = f"years[{k}]"
            entry = inputs.mapping(one, at, keys)
            year = calendar_year(entry["year"], f"{at}.year")
            if last is not None and year != last + 1:
                problems.append((f"{at}.year", f"is {year}, but must be {last + 1}: no gaps"))
            last = year
            amount = inputs.money(entry["formation_fen"], f"{at}.formation_fen", 0)
            deflator = None
            if deflated:
                deflator = inputs.number(entry["deflator"], f"{at}.deflator", above=0)
            made.append((year, amount, deflator))
    if problems:
        raise InputError.of(problems)
    return made


def calendar_year(value: object, field: str) -> int:
    """Return `value` if it is a year from 1900 to 2199; raise InputError otherwise.

    >>> calendar_year(2020, "year")
    2020
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1900 <= value <= 2199:
        raise InputError(field, "must be a year from 1900 to 2199")
    return value


# fmt: off
_LABOUR = (
    NAME,
    money("wages", "报酬总额", "compensation"),
    factor("time_share", "用于数据的工时比重", "share of working time", "0 to 1"),
)

_OBSERVED = (NAME, money("payment", "付费(免费为0)", "paid (0 where free)"), BASIS)

_SUM, _CUT = ("sum_of_costs",), ("short_cut",)

DESCRIPTIONS: dict[str, Description] = {
    "capital_formation": Description(
        "数据资本形成(成本合计)", "formation of data capital, sum of costs",
        "P = (L + IC + CFC + T + R) * c, or sum(w_j * s_j) * (1 + k_o) * (1 + k_c) * c",
        SOURCE, VERSION, (
            Field("model", "choice", "计算方法", "way of computing", choices=tuple(MODELS)),
            Field("producer", "choice", "生产者类型", "kind of producer", choices=tuple(PRODUCERS)),
            factor("use_years", "使用年限(一年以上才计入)", "years of use (more than 1 counts)",
                   "> 0, <= 100", unit="years"),
            Field("labour", "list", "人员(岗位)", "people, by occupation", bounds="1 to 200",
                  fields=_LABOUR),
            money("intermediate_fen", "中间消耗", "intermediate consumption", only=_SUM, optional=True),
            Field("observed", "list", "观测对象(免费计0, 付费计入)",
                  "what was observed (free counts 0)", bounds="0 to 200", only=_SUM,
                  optional=True, fields=_OBSERVED),
            money("fixed_capital_consumption_fen", "固定资本消耗", "consumption of fixed capital",
                  only=_SUM, optional=True),
            money("net_taxes_on_production_fen", "其他生产税净额", "other taxes less subsidies",
                  "", only=_SUM, optional=True),
            money("net_return_fen", "资本净回报(仅市场生产者)", "net return (market producers only)",
                  only=_SUM, optional=True),
            factor("overhead", "间接费用率", "mark-up for overhead", ">= 0", only=_CUT,
                   optional=True),
            factor("capital", "资本加成率", "mark-up for capital", ">= 0", only=_CUT, optional=True),
            CURRENCY)),
    "capital_stock": Description(
        "数据资本存量(永续盘存)", "stock of data capital, perpetual inventory",
        "K_t = (1 - delta) * K_(t-1) + I_t", SOURCE_STOCK, VERSION, (
            factor("delta", "年折旧率 δ(或使用年限)", "δ a year (or the service life)", "> 0, <= 1",
                   optional=True),
            factor("life", "使用年限", "service life", "> 0, <= 100", unit="years", optional=True),
            factor("declining", "余额递减倍数(默认2)", "declining-balance rate (default 2)",
                   optional=True),
            money("initial_fen", "期初存量(或此前增长率)", "stock before (or growth)", optional=True),
            factor("growth", "此前年增长率 g", "growth a year before, g", "> -δ", optional=True),
            Field("years", "list", "年度", "years in order", bounds="1 to 100", fields=(
                Field("year", "integer", "年份", "year", bounds="1900 to 2199"),
                money("formation", "资本形成", "formation"),
                factor("deflator", "平减指数(全填或全不填)", "deflator (all or none)",
                       optional=True))),
            BASIS,
            CURRENCY)),
}
# fmt: on

COMPUTE = {
    "capital_formation": lambda given: capital_formation(**given),
    "capital_stock": lambda given: capital_stock(**given),
}
