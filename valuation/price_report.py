"""The yearly report on the price of authorised operation, due on 31 March of the following year.

It holds what the notice asks for: 整体经营状况, 成本开支, 实际收入及利润, 销售规模及收入, the deviation of
actual revenue from the maximum permitted one, and 收费标准调整. All amounts include VAT, as in `pricing`.

Source: 发改价格〔2025〕65号 (in force 2025-03-01), found in a stored text. That profit is revenue less
cost, before taxes, is ours.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from valuation import InputError, inputs
from valuation.cost import write_items
from valuation.fields import BASIS, CURRENCY, NAME, Description, Field, factor, money
from valuation.pricing import (
    ACTIONS,
    COSTS,
    ITEMS,
    NOTICE,
    OURS,
    UNIT,
    UNITS,
    YEAR,
    action,
    whole,
    write_deviation,
)
from valuation.worksheet import Figure, Worksheet

VERSION = "1"
SOURCE = f"{NOTICE} 年度报告 yearly report (found)"
SOURCE_PROFIT = f"{OURS}: 税前, 实际收入 - 成本开支 before tax"


def due_on(year: int) -> date:
    """Return the day by which the report on a year is due.

    >>> due_on(2025).isoformat()
    '2026-03-31'
    """
    return date(year + 1, 3, 31)


def report(
    *,
    year: int,
    overview: str,
    permitted_fen: int,
    sales: Sequence[Mapping[str, Any]],
    adjustments: Sequence[Mapping[str, Any]],
    basis: str,
    lines: Mapping[str, Any] | None = None,
    platform_fen: int | None = None,
    handling_fen: int | None = None,
    staff_fen: int | None = None,
    acquisition_fen: int | None = None,
    period_fen: int | None = None,
    subsidy_fen: int | None = None,
) -> Figure:
    """Return the profit of a year, A - C, with all that the report due on 31 March holds.

    Parameters
    ----------
    year : that it covers; it is due on 31 March of the next one
    overview : 整体经营状况 in words
    platform_fen, …, subsidy_fen, lines : 成本开支 as in `cap`
    sales : 销售规模及收入: 0 to 200 of ``{"name", "unit", "quantity" >= 0, "revenue_fen" >= 0}``
    permitted_fen : R_max > 0 of the year
    adjustments : 收费标准调整: 0 to 200 of ``{"name", "old_fen", "new_fen", "from_on": day, "ground"}``
    basis : where sales and revenue were taken from

    Raises
    ------
    InputError : names the field, such as ``sales[0].quantity``

    Examples
    --------
    >>> figure = report(year=2025, overview="平稳", permitted_fen=1000, basis="账", platform_fen=600,
    ...     handling_fen=0, staff_fen=0, acquisition_fen=0, period_fen=0, subsidy_fen=0,
    ...     sales=[{"name": "接口", "unit": "数据调用量", "quantity": 90, "revenue_fen": 900}],
    ...     adjustments=[])
    >>> figure.display(), str(figure["d"].value), figure.notes[0].en[:31]
    ('3.00', '1/10', 'The report on 2025 is due on 20')
    """
    sheet, problems = Worksheet(), list[tuple[str, str]]()
    with inputs.gathering(problems):
        covered = whole(year, "year", 1990, 2200)
        day = due_on(covered).isoformat()
        sheet.note(
            f"{covered}年报告由授权主体于 {day} 前报发展改革部门和数据管理部门。",
            f"The report on {covered} is due on {day}, from the authorising body to the development and "
            "reform and the data authorities.",
        )
    with inputs.gathering(problems):
        told = inputs.text(overview, "overview")
        sheet.note(f"整体经营状况: {told}", f"State of operation: {told}")
    with inputs.gathering(problems):
        inputs.text(basis, "basis")
    amounts = (platform_fen, handling_fen, staff_fen, acquisition_fen, period_fen, subsidy_fen)
    with inputs.gathering(problems):
        write_items(sheet, ITEMS, amounts, lines, SOURCE)
        added = " + ".join(symbol for _, symbol, _, _ in ITEMS[:-1])
        sheet.step("C", "成本开支", "cost", f"{added} - C_sub", "fen", SOURCE)
    terms: list[str] = []
    entries: Sequence[Any] = ()
    with inputs.gathering(problems):
        entries = inputs.sequence(sales, "sales", 0)
    for k, one in enumerate(entries, start=1):
        with inputs.gathering(problems):
            at = f"sales[{k - 1}]"
            entry = inputs.mapping(one, at, ("name", "unit", "quantity", "revenue_fen"))
            name = inputs.text(entry["name"], f"{at}.name")
            unit = inputs.choice(entry["unit"], f"{at}.unit", UNITS)
            quantity = inputs.number(entry["quantity"], f"{at}.quantity", least=0)
            taken = inputs.money(entry["revenue_fen"], f"{at}.revenue_fen", 0)
            zh, en = f"{name}: 销售规模({unit})", f"{name}: {UNITS[unit]} sold"
            sheet.given(f"q_{k}", zh, en, quantity, "count", basis)
            sheet.given(f"A_{k}", f"{name}: 实际收入", f"{name}: revenue", taken, "fen", basis)
            terms.append(f"A_{k}")
    with inputs.gathering(problems):
        top = inputs.money(permitted_fen, "permitted_fen", 1)
        sheet.given("R_max", "最高准许收入", "maximum permitted revenue", top, "fen", "price_cap")
    _adjustments(sheet, adjustments, problems)
    if problems:
        raise InputError.of(problems)
    total = f"sum({', '.join(terms)})" if terms else "0"
    sheet.step("A", "实际收入", "actual revenue", total, "fen", SOURCE)
    write_deviation(sheet)
    sheet.step("P", "实际利润(税前)", "profit before tax", "A - C", "fen", SOURCE_PROFIT)
    figure = sheet.figure("price_report", VERSION, "P", ("C", "A", "P", "R_max", "d"))
    sheet.note(*ACTIONS[action(figure)])
    return sheet.figure("price_report", VERSION, "P", figure.outputs)


def _adjustments(sheet: Worksheet, given: object, problems: list[tuple[str, str]]) -> None:
    """The fees that were changed in the year."""
    entries: Sequence[Any] = ()
    with inputs.gathering(problems):
        entries = inputs.sequence(given, "adjustments", 0)
    for k, one in enumerate(entries, start=1):
        with inputs.gathering(problems):
            at = f"adjustments[{k - 1}]"
            entry = inputs.mapping(one, at, ("name", "old_fen", "new_fen", "from_on", "ground"))
            name, day, ground = (
                inputs.text(entry[key], f"{at}.{key}") for key in ("name", "from_on", "ground")
            )
            for key, symbol, zh, en in (
                ("old_fen", "old", "原收费标准", "fee before"), ("new_fen", "new", "新收费标准", "new fee"),
            ):  # fmt: skip
                amount = inputs.money(entry[key], f"{at}.{key}", 0)
                source = f"{day} {ground}"
                sheet.given(
                    f"{symbol}_{k}", f"{name}: {zh}", f"{name}: {en}", amount, "fen", source
                )


# fmt: off
DESCRIPTIONS: dict[str, Description] = {
    "price_report": Description(
        "价格年度报告(3月31日前)", "yearly report on the price, due 31 March",
        "P = A - C; d = |A - R_max| / R_max", SOURCE, VERSION, (
        YEAR,
        Field("overview", "text", "整体经营状况", "state of operation"),
        *COSTS,
        Field("sales", "list", "销售规模及收入", "sales and revenue", bounds="0 to 200", fields=(
            NAME, UNIT, factor("quantity", "销售规模", "quantity", ">= 0", unit=""),
            money("revenue", "实际收入(含税)", "revenue, VAT included"))),
        money("permitted", "最高准许收入", "maximum permitted revenue", "> 0"),
        Field("adjustments", "list", "收费标准调整", "fees that were changed", bounds="0 to 200",
              fields=(
            NAME, money("old", "原收费标准", "fee before"), money("new", "新收费标准", "new fee"),
            Field("from_on", "text", "执行日期", "from (day)"),
            Field("ground", "text", "理由", "ground"))),
        BASIS,
        CURRENCY)),
}
# fmt: on

COMPUTE: dict[str, Callable[[Mapping[str, Any]], Figure]] = {
    "price_report": lambda given: report(**given),
}
