"""A figure handed out as a spreadsheet recomputes itself: every step is a live formula over its inputs.

One row is one step: number, symbol, name, formula as text, value, unit, source. Inputs are constants,
steps are formulas that refer to cells, and the exact value is cached, so that a viewer that does not
recalculate shows it too. A spreadsheet counts in binary floating point: it agrees with the exact value to
the fen for amounts up to about ten million yuan, and to fifteen digits beyond; the exact value is that of
the figure's JSON. To make roundings agree, a number is rounded to six further decimals before it is
rounded or cut off.

Text never becomes a formula: whatever begins with ``=``, ``+``, ``-`` or ``@`` is stored as text. The same
figure gives the same bytes.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO
from typing import Any

import xlsxwriter

from valuation import InputError
from valuation.sharing import Distribution
from valuation.worksheet import UNITS, Apply, Figure, Node, Number, Symbol, parse, recompute

Target = str | os.PathLike[str] | BytesIO

_MADE = datetime(2025, 1, 1, tzinfo=UTC).replace(tzinfo=None)
"""The creation time of every workbook, so that its bytes depend on the figure alone."""

_HEADINGS = (
    ("序号 No.", 8),
    ("符号 Symbol", 14),
    ("名称 Label", 52),
    ("公式 Formula", 44),
    ("值 Value", 24),
    ("单位 Unit", 20),
    ("来源 Source", 60),
    ("舍入 Rounding", 34),
)
_VALUE_COLUMN = 4
_LARGEST = 2**53
"""Integers up to this are exact in a spreadsheet's cell."""


def write_figure(figure: Figure, target: Target) -> None:
    """Write a figure as an XLSX workbook with live formulas to a path or a `BytesIO`.

    Raises `InputError` (of `valuation`) where the figure's steps do not recompute, so that no cached value
    ever differs from its formula.
    """
    recompute(figure)
    with _Workbook(target) as book:
        book.steps(figure, "计算 Derivation", f"{figure.method} v{figure.version}")


def write_distribution(distribution: Distribution, target: Target) -> None:
    """Write a revenue sharing as an XLSX workbook: its lines, and their derivation with live formulas.

    The amounts of the lines refer to the derivation's cells. The left-over fen of each party are inputs
    there: which party gets them is decided by `valuation.money.allocate`, and not by a cell formula.
    """
    with _Workbook(target) as book:
        book.lines(distribution)


class _Workbook:
    """A workbook under construction, with the formats of the house."""

    def __init__(self, target: Target) -> None:
        path = target if isinstance(target, BytesIO) else os.fspath(target)
        self.book = xlsxwriter.Workbook(
            path,
            {
                "in_memory": True,
                "strings_to_formulas": False,
                "strings_to_numbers": False,
                "strings_to_urls": False,
            },
        )
        self.book.set_properties({"title": "数证 Shuzheng", "created": _MADE})
        self.book.set_calc_mode("auto")
        self.bold = self.book.add_format({"bold": True})
        self.head = self.book.add_format(
            {"bold": True, "bg_color": "#DCE6F1", "border": 1, "text_wrap": True, "valign": "top"}
        )
        self.text = self.book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
        self.fen = self.book.add_format({"num_format": "#,##0", "valign": "top"})
        self.yuan = self.book.add_format({"num_format": "#,##0.00", "bold": True})
        self.number = self.book.add_format({"num_format": "General", "valign": "top"})

    def __enter__(self) -> "_Workbook":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.book.close()

    def steps(self, figure: Figure, name: str, title: str) -> dict[str, str]:
        """Add a sheet of all steps; return the cell of each symbol, with the sheet's name."""
        page = self.book.add_worksheet(name)
        top = 4  # rows above the table: title, result, an empty one, headings
        cells = {step.symbol: f"$E${top + row + 1}" for row, step in enumerate(figure.steps)}
        page.write_string(0, 0, title, self.bold)
        page.write_string(1, 0, "结果 Result", self.bold)
        result = figure[figure.result]
        page.write_string(1, 2, f"{result.zh} / {result.en}", self.bold)
        if result.unit == "fen":
            formula = f"={cells[result.symbol]}/100"
            page.write_formula(1, _VALUE_COLUMN, formula, self.yuan, _cached(result.value / 100))
            page.write_string(1, _VALUE_COLUMN + 1, "元 yuan", self.bold)
        else:
            formula = f"={cells[result.symbol]}"
            page.write_formula(1, _VALUE_COLUMN, formula, self.bold, _cached(result.value))
        self._headings(page, _HEADINGS, top - 1)
        for row, step in enumerate(figure.steps):
            at = top + row
            zh, en = UNITS[step.unit]
            page.write_number(at, 0, row + 1, self.number)
            page.write_string(at, 1, step.symbol, self.text)
            page.write_string(at, 2, f"{step.zh} / {step.en}", self.text)
            page.write_string(at, 3, step.formula, self.text)
            self._value(page, at, step.formula, step.value, step.unit, cells)
            page.write_string(at, 5, f"{zh} {en}", self.text)
            page.write_string(at, 6, step.source, self.text)
            page.write_string(at, 7, step.rounding, self.text)
        for row, note in enumerate(figure.notes):
            page.write_string(
                top + len(figure.steps) + 1 + row, 0, f"注 Note: {note.zh} / {note.en}"
            )
        page.freeze_panes(top, 3)
        return {symbol: f"'{name}'!{cell}" for symbol, cell in cells.items()}

    def lines(self, distribution: Distribution) -> None:
        """Add the sheet of lines and, after it, their derivation."""
        page = self.book.add_worksheet("分配单 Lines")
        cells = self.steps(distribution.derivation, "计算 Derivation", "收益分配 Revenue sharing")
        name = distribution.scheme["name"]
        page.write_string(0, 0, f"{name['zh']} / {name['en']}", self.bold)
        headings = (
            ("序号 No.", 8),
            ("收款方 Party", 30),
            ("项目 Heading", 44),
            ("金额(分) Amount, fen", 22),
            ("金额(元) Amount, yuan", 22),
        )
        self._headings(page, headings, 2)
        for row, line in enumerate(distribution.lines):
            at = 3 + row
            page.write_number(at, 0, row + 1, self.number)
            page.write_string(at, 1, line.party, self.text)
            page.write_string(at, 2, f"{line.zh} / {line.en}", self.text)
            page.write_formula(at, 3, f"={cells[line.symbol]}", self.fen, line.amount_fen)
            value = _cached(Fraction(line.amount_fen, 100))
            page.write_formula(at, 4, f"=D{at + 1}/100", self.yuan, value)
        end = 3 + len(distribution.lines)
        page.write_string(end, 2, "合计 Total", self.bold)
        page.write_formula(end, 3, f"=SUM(D4:D{end})", self.fen, distribution.amount_fen)
        value = _cached(Fraction(distribution.amount_fen, 100))
        page.write_formula(end, 4, f"=D{end + 1}/100", self.yuan, value)
        page.freeze_panes(3, 2)

    def _headings(self, page: Any, headings: tuple[tuple[str, int], ...], row: int) -> None:
        for column, (heading, width) in enumerate(headings):
            page.set_column(column, column, width)
            page.write_string(row, column, heading, self.head)

    def _value(
        self,
        page: Any,
        row: int,
        formula: str,
        value: Fraction,
        unit: str,
        cells: Mapping[str, str],
    ) -> None:
        form = self.fen if unit == "fen" and value.denominator == 1 else self.number
        if formula:
            text = "=" + _excel(parse(formula), cells)
            page.write_formula(row, _VALUE_COLUMN, text, form, _cached(value))
        elif _terminates(value) or max(abs(value.numerator), value.denominator) > _LARGEST:
            page.write_number(row, _VALUE_COLUMN, _cached(value), form)
        else:
            text = f"={value.numerator}/{value.denominator}"
            page.write_formula(row, _VALUE_COLUMN, text, form, _cached(value))


def _cached(value: Fraction) -> int | float:
    """The value as a spreadsheet holds it: an integer where exact, else the nearest double."""
    whole = value.denominator == 1 and abs(value.numerator) <= _LARGEST
    return value.numerator if whole else float(value)


def _terminates(value: Fraction) -> bool:
    """Whether a value is a decimal number of at most 15 significant digits."""
    scaled = value * 10**15
    return Fraction(repr(float(value))) == value and scaled.denominator == 1


def _excel(node: Node, cells: Mapping[str, str]) -> str:
    """A formula's tree in the language of spreadsheets, every operation in parentheses."""
    if isinstance(node, Number):
        return str(_cached(node.value))
    if isinstance(node, Symbol):
        return cells[node.name]
    args = [_excel(arg, cells) for arg in node.args]
    match node.name:
        case "+" | "-" | "*" | "/":
            return f"({args[0]}{node.name}{args[1]})"
        case "**" | "power":
            return f"POWER({args[0]},{args[1]})"
        case "neg":
            return f"(0-{args[0]})"
        case "root":
            return f"SQRT({args[0]})"
        case "floor":
            return f"INT(ROUND({args[0]},6))"
        case "round_half_up":
            decimals = _decimals(node)
            return f"ROUND(ROUND({args[0]},{decimals + 6}),{decimals})"
        case "sum" | "product" | "min" | "max":
            return f"{node.name.upper()}({','.join(args)})"
    raise AssertionError(f"no spreadsheet formula for {node.name}")


def _decimals(node: Apply) -> int:
    """To how many decimals a `round_half_up` rounds; the methods write that as a literal."""
    if len(node.args) == 1:
        return 0
    if not isinstance(node.args[1], Number):
        raise InputError(
            "formula", "rounds to a computed number of decimals, which no cell formula can"
        )
    return int(node.args[1].value)
