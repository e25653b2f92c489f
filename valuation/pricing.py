"""The price of authorised operation of public data: R_max = C + C · r + taxes - excess of the prior cycle.

`cap` computes the maximum permitted revenue (最高准许收入) and holds the caps and fees of products against
it; `review` compares a cycle's actual revenue with it and says who adjusts what (the yearly report:
`price_report`). Use for public governance (公共治理) and public benefit (公益事业) is free.

Every amount is in one base, VAT included: what a user pays and what is published is the price
with tax, and what the price holds of VAT counts among the taxes of R_max. That is ours, as is all that is
marked so in the sources of the steps.

Source: 发改价格〔2025〕65号 (in force 2025-03-01), found in a stored text.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Any

from valuation import InputError, inputs
from valuation.cost import write_items
from valuation.fields import BASIS, CURRENCY, NAME, Description, Field, factor, money
from valuation.money import yuan
from valuation.worksheet import Figure, Worksheet

VERSION = "1"
NOTICE = "发改价格〔2025〕65号"
SOURCE = f"{NOTICE} 最高准许收入 maximum permitted revenue (found)"
OURS = "本系统约定 ours"
SOURCE_CHECK = f"{OURS}: Σ 上限×计划数量 ≤ 最高准许收入; {NOTICE} gives no equation"
SOURCE_DEVIATION = f"{NOTICE} 偏离 deviation (found); both directions counted: {OURS}"
SOURCE_CARRIED = (
    f"{NOTICE} 超出部分下一周期扣除, 可平滑 deducted next cycle (found); equal parts: {OURS}"
)

ITEMS = (
    ("platform_fen", "C_plat", "授权运营相关平台建设和运维成本", "platform: building and running"),
    (
        "handling_fen",
        "C_hand",
        "数据传输、汇聚、存储、治理等成本",
        "transport, gathering, storage, governance of data",
    ),
    ("staff_fen", "C_staff", "人力资源成本", "staff"),
    ("acquisition_fen", "C_acq", "获取公共数据资源的相关支出", "obtaining public data"),
    ("period_fen", "C_period", "期间费用", "period expenses"),
    ("subsidy_fen", "C_sub", "政府补助(扣减)", "government subsidies, deducted"),
)
"""The items of C: key, symbol, name in Chinese and English; all are added but the last."""

UNITS = {
    "产品数量": "products",
    "服务次数": "times a service is used",
    "服务时间": "time of service",
    "数据调用量": "calls of data",
}
"""What is charged by (计费单位): the notice's words, in English."""

PURPOSES = {
    "governance": ("公共治理(免费)", "public governance (free)"),
    "benefit": ("公益事业(免费)", "public benefit (free)"),
    "industry": ("产业发展、行业发展(收费)", "industry (charged for)"),
}
FREE = ("governance", "benefit")

STAGES = {
    "trial": ("试行收费标准(运营不满一年)", "trial fees: no full year of operation yet"),
    "set": ("正式收费标准", "formal fees: a full year of operation"),
}
POINTS_MAX = 6
CYCLE_YEARS_MAX = 3
DEVIATION_MAX = Fraction(1, 10)
ACTIONS = {
    "none": (
        "实际收入与最高准许收入相符，无须调整。",
        "Revenue is as permitted: nothing is adjusted.",
    ),
    "fees": (
        "偏离不超过 10%：运营机构在授权主体指导下调整具体收费标准，上限不变。",
        "The deviation is at most 10 %: the operator adjusts single fees, guided by the authorising body; "
        "the caps stay.",
    ),
    "caps": (
        "偏离超过 10%：由授权主体调整各产品和服务的收费上限标准。",
        "The deviation is more than 10 %: the authorising body adjusts the caps of the products.",
    ),
}
"""What follows from a deviation, and who does it."""

_TO_THE_FEN = "四舍五入至分 half up to 1 fen"


def cap(
    *,
    survey_year: int,
    rate: Mapping[str, Any],
    markup_points: str | int | Fraction,
    markup_basis: str,
    tax_fen: int,
    tax_basis: str,
    excess_fen: int,
    stage: str,
    months_operated: int,
    cycle_years: int,
    products: Sequence[Mapping[str, Any]],
    lines: Mapping[str, Any] | None = None,
    platform_fen: int | None = None,
    handling_fen: int | None = None,
    staff_fen: int | None = None,
    acquisition_fen: int | None = None,
    period_fen: int | None = None,
    subsidy_fen: int | None = None,
) -> Figure:
    """Return the maximum permitted revenue, R_max = C + C · r + T - E, in fen, rounded once, half up.

    C = platform + handling + staff + acquisition + period - subsidy; r = b + s / 100.

    Parameters
    ----------
    platform_fen, …, subsidy_fen : int >= 0, each unless its lines are stated
    lines : what an item consists of, instead of its amount (`cost.write_items`)
    survey_year : of the cost survey (成本调查)
    rate : b: ``{"value": fraction per year >= 0, "year": the year before the survey, "source": text}``, the
        average yield of 10-year government bonds; which curve and days, the source says
    markup_points, markup_basis : s in percentage points, 0 to 6, and why
    tax_fen, tax_basis : T >= 0, and which taxes it holds
    excess_fen : E >= 0, what a prior cycle took beyond its R_max and this one deducts
    stage, months_operated : ``trial`` below twelve months of operation, then ``set``
    cycle_years : when it is reviewed, 1 to 3
    products : 1 to 200 of ``{"name", "unit", "purpose", "cap_fen", "fee_fen", "quantity"}`` with, where
        stated, ``registration`` (its code; without one it is all that no other line names) and ``per``
        (the units the cap and the fee are for, default 1)

    Raises
    ------
    InputError : names the field, such as ``products[1].fee_fen``; also where subsidies exceed the cost or
        the excess what may be taken (the notice leaves both open; refused here, which is ours), and where
        caps times planned quantities exceed R_max

    Examples
    --------
    >>> figure = cap(platform_fen=400, handling_fen=300, staff_fen=200, acquisition_fen=100,
    ...     period_fen=50, subsidy_fen=50, survey_year=2025,
    ...     rate={"value": "0.02", "year": 2024, "source": "中债国债收益率曲线"},
    ...     markup_points=5, markup_basis="批复", tax_fen=60, tax_basis="税费", excess_fen=30,
    ...     stage="trial", months_operated=0, cycle_years=3,
    ...     products=[{"name": "接口", "unit": "数据调用量", "purpose": "industry", "cap_fen": 10,
    ...                "fee_fen": 9, "quantity": 100}])
    >>> figure.display(), figure["S"].value
    ('11.00', Fraction(1000, 1))
    """
    sheet, problems = Worksheet(), list[tuple[str, str]]()
    amounts = (platform_fen, handling_fen, staff_fen, acquisition_fen, period_fen, subsidy_fen)
    with inputs.gathering(problems):
        write_items(sheet, ITEMS, amounts, lines, SOURCE)
        added = " + ".join(symbol for _, symbol, _, _ in ITEMS[:-1])
        cost = sheet.step("C", "经营成本", "cost of operation", f"{added} - C_sub", "fen", SOURCE)
        if cost < 0:
            at = "lines.subsidy" if lines and "subsidy" in lines else "subsidy_fen"
            raise InputError(at, f"exceeds the cost by {yuan(-int(cost))} yuan")
    with inputs.gathering(problems):
        _rate(sheet, survey_year, rate)
    with inputs.gathering(problems):
        why = inputs.text(markup_basis, "markup_basis")
        points = inputs.number(markup_points, "markup_points", least=0, most=POINTS_MAX)
        sheet.given("s", "加点(百分点)", "mark-up, in percentage points", points, "1", why)
    for amount, key, symbol, zh, en, basis in (
        (tax_fen, "tax_fen", "T", "税金", "taxes", tax_basis),
        (excess_fen, "excess_fen", "E", "上一周期超出部分", "excess of the prior cycle", None),
    ):
        with inputs.gathering(problems):
            source = "输入 input" if basis is None else inputs.text(basis, "tax_basis")
            sheet.given(symbol, zh, en, inputs.money(amount, key, 0), "fen", source)
    with inputs.gathering(problems):
        _stage(sheet, stage, months_operated)
    with inputs.gathering(problems):
        years = whole(cycle_years, "cycle_years", 1, CYCLE_YEARS_MAX)
        sheet.given("n_cycle", "评估周期(年)", "years until the review", years, "count", NOTICE)
    if not problems:
        sheet.step(
            "r", "准许利润率", "permitted rate of profit", "b + s / 100", "per_period", SOURCE
        )
        sheet.step("profit", "准许利润", "permitted profit", "C * r", "fen", SOURCE)
        top = sheet.step(
            "R_max", "最高准许收入", "maximum permitted revenue",
            "round_half_up(C + profit + T - E)", "fen", SOURCE, _TO_THE_FEN,
        )  # fmt: skip
        if top < 0:
            told = (
                f"is {yuan(-int(top))} yuan more than may be taken: smooth it over several cycles"
            )
            problems.append(("excess_fen", told))
    terms = _products(sheet, products, problems)
    if problems:
        raise InputError.of(problems)
    sheet.step(
        "S", "上限×计划数量合计", "caps times planned quantities", f"sum({', '.join(terms)})", "fen",
        SOURCE_CHECK,
    )  # fmt: skip
    room = sheet.step(
        "room", "最高准许收入余量", "what is left below R_max", "R_max - S", "fen", OURS
    )
    if room < 0:
        planned, top_yuan = yuan(ceil(top - room)), yuan(int(top))
        told = f"have caps times quantities of {planned} yuan, but R_max is {top_yuan} yuan"
        raise InputError("products", told)
    sheet.note(
        "各金额均含增值税：公示的收费标准为含税价，价格所含增值税计入税金(本系统约定)。",
        "All amounts include VAT: published fees do, and the VAT they hold counts among the taxes (ours).",
    )
    return sheet.figure("price_cap", VERSION, "R_max", ("C", "r", "profit", "R_max", "S", "room"))


def _rate(sheet: Worksheet, survey_year: object, given: object) -> None:
    """b, whose year is the one before the survey."""
    year = whole(survey_year, "survey_year", 1990, 2200)
    entry = inputs.mapping(given, "rate", ("value", "year", "source"))
    problems: list[tuple[str, str]] = []
    with inputs.gathering(problems):
        if whole(entry["year"], "rate.year", 1990, 2200) != year - 1:
            raise InputError("rate.year", f"must be {year - 1}, the year before the cost survey")
    with inputs.gathering(problems):
        value = inputs.number(entry["value"], "rate.value", least=0, below=1)
        source = f"{year - 1}: {inputs.text(entry['source'], 'rate.source')}"
        zh = f"{year - 1}年10年期国债平均收益率"
        en = f"average yield of 10-year government bonds, {year - 1}"
        sheet.given("b", zh, en, value, "per_period", source)
    if problems:
        raise InputError.of(problems)


def _stage(sheet: Worksheet, stage: object, months_operated: object) -> None:
    months = whole(months_operated, "months_operated", 0, 1200)
    chosen = inputs.choice(stage, "stage", STAGES)
    if (chosen == "trial") != (months < 12):
        told = (
            f"cannot be {chosen} after {months} months: fees are on trial for less than a full year"
        )
        raise InputError("stage", told)
    zh, en = STAGES[chosen]
    sheet.given("m", "已运营月数", "months of operation", months, "count", f"{NOTICE} {zh} {en}")


def _products(sheet: Worksheet, products: object, problems: list[tuple[str, str]]) -> list[str]:
    """Write each product's cap, planned quantity, fee; return the symbols of cap times quantity."""
    terms, seen = [], set[tuple[str, str, str]]()
    entries: Sequence[Any] = ()
    with inputs.gathering(problems):
        entries = inputs.sequence(products, "products")
    keys = ("name", "unit", "purpose", "cap_fen", "fee_fen", "quantity")
    for k, product in enumerate(entries, start=1):
        with inputs.gathering(problems):
            at, found = f"products[{k - 1}]", list[tuple[str, str]]()
            entry = inputs.mapping(product, at, keys, ("registration", "per"))
            name = inputs.text(entry["name"], f"{at}.name")
            with inputs.gathering(found):
                unit = inputs.choice(entry["unit"], f"{at}.unit", UNITS)
                purpose = inputs.choice(entry["purpose"], f"{at}.purpose", PURPOSES)
                code = (
                    inputs.text(entry["registration"], f"{at}.registration")
                    if "registration" in entry
                    else ""
                )
                if (code, unit, purpose) in seen:
                    raise InputError(
                        f"{at}.unit", f"{code or '*'}, {unit}, {purpose} stand there twice"
                    )
                seen.add((code, unit, purpose))
                source = f"{code or '*'} {PURPOSES[purpose][0]}"
            with inputs.gathering(found):
                most = inputs.money(entry["cap_fen"], f"{at}.cap_fen", 0)
                fee = inputs.money(entry["fee_fen"], f"{at}.fee_fen", 0)
                per = whole(entry.get("per", 1), f"{at}.per", 1, 10**9)
                if not found and purpose in FREE and (most or fee):
                    field = f"{at}.cap_fen" if most else f"{at}.fee_fen"
                    raise InputError(field, f"must be 0: use for {purpose} is free ({NOTICE})")
                if fee > most:
                    told = f"of {name} is {yuan(fee)} yuan, above its cap of {yuan(most)} yuan"
                    raise InputError(f"{at}.fee_fen", told)
            with inputs.gathering(found):
                quantity = inputs.number(entry["quantity"], f"{at}.quantity", least=0)
            if found:
                raise InputError.of(found)
            amount = "" if per == 1 else f" / {per}"
            sheet.given(
                f"cap_{k}", f"{name}: 每{unit}收费上限{amount}", f"{name}: cap per {UNITS[unit]}{amount}",
                most, "fen", source,
            )  # fmt: skip
            sheet.given(
                f"fee_{k}", f"{name}: 收费标准{amount}", f"{name}: fee{amount}", fee, "fen", source
            )
            sheet.given(
                f"q_{k}", f"{name}: 计划数量({unit})", f"{name}: planned {UNITS[unit]}", quantity, "count",
                source,
            )  # fmt: skip
            sheet.step(
                f"S_{k}", f"{name}: 上限×计划数量", f"{name}: cap times planned quantity",
                f"cap_{k} * q_{k}{amount}", "fen", SOURCE_CHECK,
            )  # fmt: skip
            terms.append(f"S_{k}")
    return terms


def review(*, years: Sequence[Mapping[str, Any]], smooth_over: int = 1, basis: str) -> Figure:
    """Return how far a cycle's revenue deviates from what was permitted, d = |A - R_max| / R_max, exactly.

    Up to 10 % the operator adjusts fees, beyond it the authorising body adjusts caps; what was taken beyond
    R_max is deducted in the next cycle, or in equal parts of whole fen over several.

    Parameters
    ----------
    years : the cycle, 1 to 3 of ``{"year", "permitted_fen": R_max > 0 of that year, "revenue_fen" >= 0}``;
        instead of the revenue ``products``: ``{"name", "revenue_fen"}``, 1 to 200
    smooth_over : cycles over which the excess is spread, 1 to 10
    basis : where the revenue was taken from

    Raises
    ------
    InputError : names the field, such as ``years[0].permitted_fen``

    Examples
    --------
    >>> figure = review(years=[{"year": 2025, "permitted_fen": 1100, "revenue_fen": 1221}], basis="账")
    >>> figure.display(), figure["excess"].value, action(figure)
    ('11/100', Fraction(121, 1), 'caps')
    """
    sheet, problems, seen = Worksheet(), list[tuple[str, str]](), set[int]()
    with inputs.gathering(problems):
        inputs.text(basis, "basis")
    with inputs.gathering(problems):
        spread = whole(smooth_over, "smooth_over", 1, 10)
    entries: Sequence[Any] = ()
    with inputs.gathering(problems):
        entries = inputs.sequence(years, "years", 1, CYCLE_YEARS_MAX)
    for k, entry in enumerate(entries, start=1):
        with inputs.gathering(problems):
            _year(sheet, entry, k, seen, basis)
    if problems:
        raise InputError.of(problems)
    count = range(1, len(entries) + 1)
    for symbol, zh, en, part in (
        ("A", "周期实际收入", "actual revenue of the cycle", "A"),
        ("R_max", "周期最高准许收入", "permitted revenue of the cycle", "R"),
    ):
        total = ", ".join(f"{part}_{k}" for k in count)
        sheet.step(symbol, zh, en, f"sum({total})", "fen", SOURCE)
    write_deviation(sheet)
    sheet.step(
        "excess", "超出部分(下一周期扣除)", "excess, deducted from the next cycle on",
        "max(A - R_max, 0)", "fen", SOURCE_CARRIED,
    )  # fmt: skip
    parts = [f"E_{k}" for k in range(1, spread + 1)]
    for k, symbol in enumerate(parts, start=1):
        sheet.step(
            symbol, f"其后第{k}周期扣除", f"deducted in cycle {k} from now",
            f"floor(excess * {k} / {spread}) - floor(excess * {k - 1} / {spread})", "fen", SOURCE_CARRIED,
            "向下取整至分 down to whole fen",
        )  # fmt: skip
    figure = sheet.figure("price_review", VERSION, "d", ("A", "R_max", "d", "excess", *parts))
    sheet.note(*ACTIONS[action(figure)])
    if figure["excess"].value == 0 and figure.value:
        sheet.note(
            "实际收入低于最高准许收入的部分不结转(本系统约定)。",
            "What was taken less than permitted is not carried over (ours).",
        )
    return sheet.figure("price_review", VERSION, "d", figure.outputs)


def _year(sheet: Worksheet, given: object, k: int, seen: set[int], basis: str) -> None:
    """A year of a cycle: what was permitted, what was taken in."""
    at = f"years[{k - 1}]"
    entry = inputs.mapping(given, at, ("year", "permitted_fen"), ("revenue_fen", "products"))
    year = whole(entry["year"], f"{at}.year", 1990, 2200)
    if year in seen:
        raise InputError(f"{at}.year", f"{year} stands there twice")
    seen.add(year)
    if ("revenue_fen" in entry) == ("products" in entry):
        told = "is given twice, see products" if "products" in entry else "is missing"
        raise InputError(f"{at}.revenue_fen", told)
    top = inputs.money(entry["permitted_fen"], f"{at}.permitted_fen", 1)
    sheet.given(f"R_{k}", f"{year}年最高准许收入", f"permitted in {year}", top, "fen", "price_cap")
    name = (f"A_{k}", f"{year}年实际收入", f"revenue of {year}")
    if "products" not in entry:
        taken = inputs.money(entry["revenue_fen"], f"{at}.revenue_fen", 0)
        sheet.given(*name, taken, "fen", basis)
        return
    terms, problems = [], list[tuple[str, str]]()
    for j, product in enumerate(inputs.sequence(entry["products"], f"{at}.products"), start=1):
        with inputs.gathering(problems):
            where, symbol = f"{at}.products[{j - 1}]", f"A_{k}_{j}"
            one = inputs.mapping(product, where, ("name", "revenue_fen"))
            called = inputs.text(one["name"], f"{where}.name")
            taken = inputs.money(one["revenue_fen"], f"{where}.revenue_fen", 0)
            sheet.given(symbol, f"{year}年 {called}", f"{called}, {year}", taken, "fen", basis)
            terms.append(symbol)
    if problems:
        raise InputError.of(problems)
    sheet.step(*name, f"sum({', '.join(terms)})", "fen", SOURCE)


def write_deviation(sheet: Worksheet) -> None:
    """Write d = |A - R_max| / R_max down, from the steps A and R_max > 0.

    >>> sheet = Worksheet()
    >>> _ = sheet.given("A", "", "", 9, "fen", ""), sheet.given("R_max", "", "", 10, "fen", "")
    >>> write_deviation(sheet)
    >>> sheet.figure("example", "1", "d").display()
    '1/10'
    """
    sheet.step(
        "d", "实际收入与最高准许收入的偏离", "deviation of revenue from R_max",
        "max(A - R_max, R_max - A) / R_max", "1", SOURCE_DEVIATION,
    )  # fmt: skip


def action(figure: Figure) -> str:
    """What a deviation `d` leads to, a key of `ACTIONS`: exactly 10 % is still the operator's.

    >>> figure = review(years=[{"year": 2025, "permitted_fen": 10, "revenue_fen": 11}], basis="账")
    >>> figure["d"].value, action(figure)
    (Fraction(1, 10), 'fees')
    """
    deviation = figure["d"].value
    return "none" if deviation == 0 else "fees" if deviation <= DEVIATION_MAX else "caps"


def whole(value: object, field: str, least: int, most: int) -> int:
    """Return `value` if it is an integer from `least` to `most`; raise InputError otherwise.

    >>> whole("3", "cycle_years", 1, 3)
    3
    """
    exact = inputs.number(value, field, least=least, most=most)
    if exact.denominator != 1:
        raise InputError(field, "must be a whole number")
    return int(exact)


# fmt: off
COSTS = (
    *(money(key, zh, en, unless=f"lines.{key.removesuffix('_fen')}") for key, _, zh, en in ITEMS),
    Field("lines", "object", "各项成本的明细(代替合计)", "lines of a cost, instead of its amount",
          optional=True, fields=tuple(
        Field(key.removesuffix("_fen"), "list", zh, en, bounds="1 to 200", optional=True,
              fields=(NAME, money("amount", "金额", "amount"), BASIS))
        for key, _, zh, en in ITEMS)),
)
UNIT = Field("unit", "choice", "计费单位", "charged by", choices=tuple(UNITS))
YEAR = Field("year", "integer", "年度", "year", "", "1990 to 2200")

DESCRIPTIONS: dict[str, Description] = {
    "price_cap": Description(
        "最高准许收入和收费上限", "maximum permitted revenue and caps",
        "R_max = C + C * r + T - E; r = b + s / 100", SOURCE, VERSION, (
        *COSTS,
        Field("survey_year", "integer", "成本调查年度", "year of the cost survey", "", "1990 to 2200"),
        Field("rate", "object", "10年期国债平均收益率 b(调查前一年)",
              "b: average yield of 10-year government bonds, the year before the survey", fields=(
            factor("value", "平均收益率", "average yield", ">= 0", unit="fraction per year"),
            YEAR,
            Field("source", "text", "来源(曲线、取数日期)", "source: which curve, which days"))),
        factor("markup_points", "加点 s(百分点)", "mark-up s, percentage points", "0 to 6"),
        Field("markup_basis", "text", "加点依据", "basis of the mark-up"),
        money("tax", "税金 T(含价格所含增值税)", "taxes T, the VAT in the price among them"),
        Field("tax_basis", "text", "税金构成", "which taxes"),
        money("excess", "上一周期超出部分 E(扣减)", "excess E of the prior cycle, deducted"),
        Field("stage", "choice", "阶段", "stage", choices=tuple(STAGES)),
        Field("months_operated", "integer", "已运营月数", "months of operation", "", "0 to 1200"),
        Field("cycle_years", "integer", "评估周期(年)", "years until the review", "", "1 to 3"),
        Field("products", "list", "产品和服务", "products and services", bounds="1 to 200", fields=(
            NAME,
            Field("registration", "text", "登记号(空: 其余全部产品)",
                  "registration code; empty: all others", optional=True),
            UNIT,
            Field("purpose", "choice", "用途", "purpose", choices=tuple(PURPOSES)),
            money("cap", "收费上限(含税)", "cap, VAT included"),
            money("fee", "收费标准(含税)", "fee, VAT included"),
            Field("per", "integer", "每多少单位(默认1)", "units the cap is for (default 1)", "", ">= 1",
                  optional=True),
            factor("quantity", "计划数量", "planned quantity", ">= 0", unit=""))),
        CURRENCY)),
    "price_review": Description(
        "价格周期评估", "periodic review of the price",
        "d = |A - R_max| / R_max", SOURCE_DEVIATION, VERSION, (
        Field("years", "list", "周期内各年", "years of the cycle", bounds="1 to 3", fields=(
            YEAR,
            money("permitted", "最高准许收入", "maximum permitted revenue", "> 0"),
            money("revenue", "实际收入(含税)", "actual revenue, VAT included", optional=True),
            Field("products", "list", "分产品实际收入(代替合计)", "revenue by product, instead",
                  bounds="1 to 200", optional=True,
                  fields=(NAME, money("revenue", "实际收入(含税)", "revenue, VAT included"))))),
        Field("smooth_over", "integer", "超出部分分几个周期扣除(默认1)",
              "cycles over which the excess is spread (default 1)", "", "1 to 10", optional=True),
        BASIS,
        CURRENCY)),
}
"""What the methods ask for."""
# fmt: on

COMPUTE: dict[str, Callable[[Mapping[str, Any]], Figure]] = {
    "price_cap": lambda given: cap(**given),
    "price_review": lambda given: review(**given),
}
"""The methods over their inputs."""
