"""The statistical report as a workbook: definitions, live sums, and checks with live differences."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from ledger.spreadsheet import Target, Workbook
from ledger.statistics_definitions import INDICATORS
from ledger.tabular import column_letters

WITHHELD = "不公布 withheld"
RULES = {"flow": "期内 within the period", "stock": "期末 at its end"}
UNITS = {"count": "个、次 count", "fen": "分 fen"}


def write(report: Mapping[str, Any], target: Target) -> None:
    """Write a report (`statistics.report`); what is withheld there is a word here, and no number."""
    with Workbook(target) as book:
        _tables(book, book.sheet("统计表 Tables"), report)
        _checks(book, book.sheet("核对 Checks"), report)
        _definitions(book, book.sheet("定义 Definitions"), report)


def to_bytes(report: Mapping[str, Any]) -> bytes:
    """The workbook of a report."""
    target = BytesIO()
    write(report, target)
    return target.getvalue()


def _tables(book: Workbook, page: Any, report: Mapping[str, Any]) -> None:
    page.set_column(0, 0, 34)
    page.set_column(1, len(report["periods"]) + 1, 18)
    title = f"统计报告 Statistical report {report['from']} – {report['until']}"
    page.write_string(0, 0, title, book.bold)
    at = 2
    for table in report["tables"]:
        at = _table(book, page, table, report["periods"], at) + 2


def _table(
    book: Workbook, page: Any, table: Mapping[str, Any], periods: list[Mapping[str, Any]], at: int
) -> int:
    """One table from a row on; returns the row after it."""
    heads = [table["code"] + " " + table["zh"] + " " + table["en"]]
    labels = [
        one["label"] if one["whole"] else f"{one['from']} – {one['until']}" for one in periods
    ]
    heads += [periods[-1]["until"]] if table["at_end"] else labels
    has_total = table["rule"] == "flow"
    for column, text in enumerate([*heads, *(["合计 Total"] if has_total else [])]):
        page.write_string(at, column, text, book.head)
    first, last = at + 1, at + len(table["rows"])
    end = column_letters(len(heads) - 1)
    for n, row in enumerate(table["rows"]):
        here = first + n
        page.write_string(here, 0, f"{row['zh']} {row['en']}", book.text)
        for column, value in enumerate(row["values"], start=1):
            _number(book, page, here, column, value)
        if has_total and row["total"] is not None and table["adds_up"]:
            summed = f"=SUM(B{here + 1}:{end}{here + 1})"
            page.write_formula(here, len(heads), summed, book.fen, row["total"])
        elif has_total:
            _number(book, page, here, len(heads), row["total"])
    together = table["together"]
    if together is None:
        return last + 1
    page.write_string(last + 1, 0, "合计 Total", book.bold)
    for column, value in enumerate(
        [*together["values"], *([together["total"]] if has_total else [])], start=1
    ):
        n = column - 1
        parts = [row["total"] if n == len(together["values"]) else row["values"][n]
                 for row in table["rows"]]  # fmt: skip
        if value is None or None in parts:
            _number(book, page, last + 1, column, value)
            continue
        letter = column_letters(column)
        summed = f"=SUM({letter}{first + 1}:{letter}{last + 1})"
        page.write_formula(last + 1, column, summed, book.fen, value)
    return last + 2


def _number(book: Workbook, page: Any, row: int, column: int, value: int | None) -> None:
    if value is None:
        page.write_string(row, column, WITHHELD, book.text)
    else:
        page.write_number(row, column, value, book.fen)


def _checks(book: Workbook, page: Any, report: Mapping[str, Any]) -> None:
    heads = ("代码 Code", "核对 Check", "左 Left", "右 Right", "差 Difference", "结果 Result")
    for column, (text, width) in enumerate(zip(heads, (8, 70, 20, 20, 16, 22), strict=True)):
        page.set_column(column, column, width)
        page.write_string(0, column, text, book.head)
    for n, one in enumerate(report["checks"]):
        at, row = n + 1, n + 2
        page.write_string(at, 0, one["code"], book.text)
        page.write_string(at, 1, f"{one['zh']} / {one['en']} ({UNITS[one['unit']]})", book.text)
        _number(book, page, at, 2, one["left"])
        _number(book, page, at, 3, one["right"])
        word = "一致 agrees" if one["holds"] else "不一致 differs"
        if one["left"] is None:
            page.write_string(at, 5, word, book.text)
            continue
        page.write_formula(at, 4, f"=C{row}-D{row}", book.fen, one["left"] - one["right"])
        result = f'=IF(E{row}=0,"一致 agrees","不一致 differs")'
        page.write_formula(at, 5, result, book.text, word)


def _definitions(book: Workbook, page: Any, report: Mapping[str, Any]) -> None:
    heads = (
        ("代码 Code", 8), ("指标 Indicator", 40), ("定义 Definition", 80), ("单位 Unit", 16),
        ("时点规则 Period rule", 24), ("来源 Source", 50),
    )  # fmt: skip
    for column, (text, width) in enumerate(heads):
        page.set_column(column, column, width)
        page.write_string(0, column, text, book.head)
    for row, one in enumerate(INDICATORS.values(), start=1):
        told = (
            one.code, f"{one.zh} {one.en}", f"{one.defined_zh} {one.defined_en}", UNITS[one.unit],
            RULES[one.rule], one.source,
        )  # fmt: skip
        for column, text in enumerate(told):
            page.write_string(row, column, text, book.text)
    notes = [
        "日期按记录入账之日(北京时间)。 By the day of the record, in Asia/Shanghai.",
        f"制表日期 Made on {report['made_on']}",
    ]
    if not report["full"]:
        notes.append(
            "金额如涉及不足三方，或所在季度未结束，不予公布。 Amounts that rest on fewer than three "
            "parties, or are of a quarter that is not over, are withheld."
        )
    for row, text in enumerate(notes, start=len(INDICATORS) + 2):
        page.write_string(row, 1, text)
