"""A figure handed out as a spreadsheet recomputes itself: every step is a live formula over its inputs.

One row is one step: number, symbol, name, formula as text, value, unit, source. The inputs stand on top in
yellow cells; steps are formulas that refer to cells, and the exact value is cached, so that a viewer that
does not recalculate shows it too. Beside the result stand its exact value at export and the difference.

The result is the same fen wherever it is recalculated, up to 10^13 fen and beyond (tried with random
documents of every method in LibreOffice, ties among them). A cell counts in binary floating point, about
fifteen digits. That is enough below ten million yuan: a number is rounded to six further decimals before
it is rounded or cut off. From there on, and where a smaller amount lies within 1/1000 fen of a tie, what
is rounded is computed in long numbers on a second sheet (`ledger.long_numbers`), also after an input is
changed. What is not rounded (a discount factor, a score) agrees to about fifteen digits. The limits: where
an exact value lies within 10^-10 fen of a tie, but is none, or a number is beyond those of the long ones,
the workbook says that it may differ; an input of more than fifteen digits is changed in its limbs on the
second sheet.

Text never becomes a formula: whatever begins with ``=``, ``+``, ``-`` or ``@`` is stored as text. The same
figure gives the same bytes.
"""

import math
import operator
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO
from typing import Any

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from ledger.long_numbers import Given, LongNumbers
from valuation import InputError
from valuation.formulas import Apply, Node, Number, Symbol, parse
from valuation.money import round_half_up
from valuation.sharing import Distribution
from valuation.simulation import Analysis
from valuation.worksheet import UNITS, Figure, Step, recompute

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
    ("分子 Numerator", 18),
    ("分母 Denominator", 18),
)
_VALUE_COLUMN = 4
A4 = 9  # as the file format numbers paper sizes
_LARGEST = 2**53
"""Integers up to this are exact in a spreadsheet's cell."""

_DIGITS_15 = 10**15
"""Terms of a fraction up to this stay exact in a cell that a person edits: programs show 15 digits."""

LONG_FROM_FEN = 10**9
"""From this amount on (ten million yuan), what is rounded is computed in long numbers."""

_BEYOND = (
    "本表重算结果可能与精确值不同：数值过大，或过于接近舍入界限。"
    " Recalculated, this may differ from the exact value: a number is too large, or too near to where it is"
    " rounded."
)

_CLOSE = 1e-3
"""A smaller amount is, too, where it lies this near (in fen) to where rounding goes the other way."""

_ROUNDING = re.compile(r"\b(?:round_half_up|floor)\(")


def write_figure(figure: Figure, target: Target, analysis: Analysis | None = None) -> None:
    """Write a figure as an XLSX workbook with live formulas to a path or a `BytesIO`.

    The range, sensitivity and breakeven of an `analysis` become sheets of values, since no cell formula
    draws from a distribution.

    Raises `InputError` (of `valuation`) where the figure's steps do not recompute, so that no cached value
    ever differs from its formula.
    """
    recompute(figure)
    with Workbook(target) as book:
        book.steps(figure, "计算 Derivation", f"{figure.method} v{figure.version}")
        if analysis is not None:
            book.analysis(analysis)


def write_distribution(
    distribution: Distribution, target: Target, parts: Sequence[tuple[str, int]] = ()
) -> None:
    """Write a revenue sharing as an XLSX workbook: its lines, and their derivation with live formulas.

    The amounts of the lines refer to the derivation's cells. The left-over fen of each party are inputs
    there: which party gets them is decided by `valuation.money.allocate`, and not by a cell formula.
    `parts` are what the amount is the sum of, each with its fen; below them stands what is left over
    when the lines are taken from them, which is nought.
    """
    if parts and sum(fen for _, fen in parts) != distribution.amount_fen:
        raise AssertionError("the parts do not sum to the amount")
    with Workbook(target) as book:
        book.lines(distribution, parts)


class Page(Worksheet):  # type: ignore[misc]
    """A sheet whose formulas are written as they are.

    XlsxWriter looks each of them through for thirty functions newer than the file format, which takes half
    of the time; ours use none of them.
    """

    def _prepare_formula(self, formula: str, expand_future_functions: bool = False) -> str:
        del expand_future_functions
        return formula.removeprefix("=")


class Workbook:
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
        marked = {"bg_color": "#FFF8D6", "border": 1, "valign": "top"}
        self.marked = self.book.add_format({**marked, "num_format": "General"})
        self.marked_fen = self.book.add_format({**marked, "num_format": "#,##0"})
        self.number = self.book.add_format({"num_format": "General", "valign": "top"})

    def __enter__(self) -> "Workbook":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.book.close()

    def sheet(self, name: str, heading: int | None = None) -> Page:
        """Add a sheet that prints on A4 across, one page wide, the row `heading` again on each page."""
        page: Page = self.book.add_worksheet(name, Page)
        page.set_landscape()
        page.set_paper(A4)
        page.fit_to_pages(1, 0)
        if heading is not None:
            page.repeat_rows(heading)
        return page

    def steps(self, figure: Figure, name: str, title: str) -> dict[str, str]:
        """Add a sheet of inputs and steps; return the cell of each symbol, with the sheet's name."""
        page = self.sheet(name)
        given = [step for step in figure.steps if not step.formula]
        derived = [step for step in figure.steps if step.formula]
        top = 9  # the first input's row; above it the title, the result, a heading
        below = top + len(given) + 3  # the first step's row
        rows = {step.symbol: top + k for k, step in enumerate(given)}
        rows |= {step.symbol: below + k for k, step in enumerate(derived)}
        cells = {symbol: f"$E${row + 1}" for symbol, row in rows.items()}
        number = {step.symbol: k for k, step in enumerate(figure.steps, start=1)}

        page.write_string(0, 0, title, self.bold)
        self._result(page, figure, cells[figure.result])
        page.write_string(
            6, 0, "黄色单元格是输入，可以修改，其余随之重算。 Yellow cells are inputs: change them, and all"
            " else follows.",
        )  # fmt: skip
        page.write_string(top - 2, 0, "输入 Inputs", self.bold)
        self._headings(page, _HEADINGS, top - 1)
        page.write_string(below - 2, 0, "步骤 Steps", self.bold)
        self._headings(page, _HEADINGS[:8], below - 1)
        for step in figure.steps:
            at = rows[step.symbol]
            zh, en = UNITS[step.unit]
            page.write_number(at, 0, number[step.symbol], self.number)
            page.write_string(at, 1, step.symbol, self.text)
            page.write_string(at, 2, f"{step.zh} / {step.en}", self.text)
            page.write_string(at, 3, step.formula, self.text)
            page.write_string(at, 5, f"{zh} {en}", self.text)
            page.write_string(at, 6, step.source, self.text)
            page.write_string(at, 7, step.rounding, self.text)
        entered = {
            step.symbol: self._input(page, rows[step.symbol], step, f"'{name}'!") for step in given
        }
        long = None
        if _needs_long(figure):
            sheet = self.book.add_worksheet(f"长数 Long, {name}", Page)
            by_symbol = {step.symbol: step for step in figure.steps}
            long = LongNumbers(sheet, by_symbol, entered, self.number, self.head, self.marked)
        for step in derived:
            form = self.fen if step.unit == "fen" and step.value.denominator == 1 else self.number
            text = "=" + _excel(parse(step.formula), cells, long)
            page.write_formula(rows[step.symbol], _VALUE_COLUMN, text, form, cached(step.value))
        if long and not long.exact:
            page.write_string(5, 2, _BEYOND, self.bold)
        for row, note in enumerate(figure.notes):
            page.write_string(below + len(derived) + 1 + row, 0, f"注 Note: {note.zh} / {note.en}")
        page.freeze_panes(7, 3)
        return {symbol: f"'{name}'!{cell}" for symbol, cell in cells.items()}

    def _result(self, page: Any, figure: Figure, cell: str) -> None:
        """The result on top, in yuan and fen; beside it what it was at export, and the difference."""
        result = figure[figure.result]
        in_fen = result.unit == "fen"
        page.write_string(1, 0, "结果 Result", self.bold)
        page.write_string(1, 2, f"{result.zh} / {result.en}", self.bold)
        if in_fen:
            yuan = cached(result.value / 100)
            page.write_formula(1, _VALUE_COLUMN, f"={cell}/100", self.yuan, yuan)
            page.write_string(1, _VALUE_COLUMN + 1, "元 yuan", self.bold)
        zh, en = UNITS[result.unit]
        form = self.fen if in_fen and result.value.denominator == 1 else self.number
        at_export = "导出时的精确值 Exact value at export"
        for row, text, formula in (
            (2, "现算值 Value computed here", f"={cell}"),
            (3, at_export, ""),
            (4, "差(改动输入前为0) Difference, 0 until an input is changed", "=E3-E4"),
        ):
            page.write_string(row, 2, text, self.text)
            value = cached(result.value) if row < 4 else 0
            if formula:
                page.write_formula(row, _VALUE_COLUMN, formula, form, value)
            else:
                page.write_number(row, _VALUE_COLUMN, value, form)
            page.write_string(row, _VALUE_COLUMN + 1, f"{zh} {en}", self.text)

    def _input(self, page: Any, row: int, step: Step, sheet: str) -> Given | None:
        """Write an input into the cells that hold it exactly; None where no cell can."""
        value = step.value
        decimals = _decimals_of(value)
        fraction = max(abs(value.numerator), value.denominator) <= _DIGITS_15
        if decimals is None and fraction:
            page.write_number(row, 8, value.numerator, self.marked)
            page.write_number(row, 9, value.denominator, self.marked)
            formula = f"=I{row + 1}/J{row + 1}"
            page.write_formula(row, _VALUE_COLUMN, formula, self.number, cached(value))
            return Given(f"{sheet}$I${row + 1}", 0, f"{sheet}$J${row + 1}", value)
        form = self.marked_fen if step.unit == "fen" and value.denominator == 1 else self.marked
        page.write_number(row, _VALUE_COLUMN, cached(value), form)
        if decimals is None:
            return None
        return Given(f"{sheet}$E${row + 1}", decimals, None, value)

    def analysis(self, analysis: Analysis) -> None:
        """Add a sheet of values for each part of an analysis."""
        if (found := analysis.range) is not None:
            page = self._values_page("区间 Range")
            facts = (
                ("随机种子 Seed", found.seed),
                ("抽样次数 Draws", found.draws),
                ("随机数发生器 Generator", found.generator),
                ("评估值 Value", found.base_fen),
                ("平均值 Mean", found.mean_fen),
                ("标准差 Standard deviation", found.deviation_fen),
                ("平均值的标准误差 Standard error of the mean", found.error_fen),
            )
            row = self._table(page, 3, (("项目 Item", 44), ("值(分) Value, fen", 24)), facts)
            percentiles = [(f"P{pct}", fen) for pct, fen in found.percentiles]
            row = self._table(page, row, ("分位 Percentile", "值(分) Value, fen"), percentiles)
            columns = ("抽样次数 Draws", "平均值 Mean", "P5", "P50", "P95", "标准误差 Error")
            keys = ("draws", "mean_fen", "p5_fen", "p50_fen", "p95_fen", "error_fen")
            checkpoints = [[getattr(point, key) for key in keys] for point in found.convergence]
            row = self._table(page, row, columns, checkpoints)
            bins = ("自(分) From, fen", "至(分) Until, fen", "次数 Count")
            self._table(page, row, bins, found.histogram)
        if analysis.tornado:
            page = self._values_page("敏感性 Sensitivity")
            shown = ("at", "low", "high", "low_value_fen", "high_value_fen")
            bars = [[f"{bar.zh} / {bar.en}", *(getattr(bar, key) for key in shown),
                     abs(bar.high_value_fen - bar.low_value_fen)]
                    for bar in analysis.tornado]  # fmt: skip
            columns_wide = (
                ("输入 Input", 44), ("位置 Path", 30), ("低 Low", 20), ("高 High", 20),
                ("低时的值(分) Value at low, fen", 24), ("高时的值(分) Value at high, fen", 24),
                ("差(分) Spread, fen", 24),
            )  # fmt: skip
            self._table(page, 3, columns_wide, bars)
        if (even := analysis.breakeven) is not None:
            page = self._values_page("盈亏平衡 Breakeven")
            solved = (
                ("输入 Input", f"{even.zh} / {even.en}"),
                ("位置 Path", even.at),
                ("目标值(分) Target, fen", even.target_fen),
                ("求得的输入 Input found", even.found),
                ("该输入下的值(分) Value there, fen", even.value_fen),
                ("搜索下限 Searched from", even.low),
                ("搜索上限 Searched to", even.high),
                ("二分次数 Halvings", even.steps),
            )
            self._table(page, 3, (("项目 Item", 44), ("值 Value", 44)), solved)

    def _values_page(self, name: str) -> Any:
        page = self.book.add_worksheet(name, Page)
        page.write_string(0, 0, name, self.bold)
        page.write_string(
            1, 0, "本表只有数值，不含公式；用 shuzheng value … --analysis 重算。 Values, no formulas:"
            " recomputed by shuzheng value … --analysis.",
        )  # fmt: skip
        return page

    def _table(
        self, page: Any, row: int, headings: Iterable[Any], lines: Iterable[Iterable[Any]]
    ) -> int:
        """Write headings (with widths, where a column has not got its own) and lines of values.

        Returns the row where the next table begins.
        """
        for column, heading in enumerate(headings):
            text, width = (heading, 0) if isinstance(heading, str) else heading
            page.write_string(row, column, text, self.head)
            if width or column > 1:
                page.set_column(column, column, width or 24)
        for line in lines:
            row += 1
            for column, value in enumerate(line):
                if isinstance(value, int) and abs(value) <= _LARGEST:
                    page.write_number(row, column, value, self.fen)
                else:
                    page.write_string(row, column, str(value), self.text)
        return row + 2

    def lines(self, distribution: Distribution, parts: Sequence[tuple[str, int]] = ()) -> None:
        """Add the sheet of lines and, after it, their derivation."""
        page = self.sheet("分配单 Lines")
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
            value = cached(Fraction(line.amount_fen, 100))
            page.write_formula(at, 4, f"=D{at + 1}/100", self.yuan, value)
        end = 3 + len(distribution.lines)
        page.write_string(end, 2, "合计 Total", self.bold)
        page.write_formula(end, 3, f"=SUM(D4:D{end})", self.fen, distribution.amount_fen)
        value = cached(Fraction(distribution.amount_fen, 100))
        page.write_formula(end, 4, f"=D{end + 1}/100", self.yuan, value)
        page.freeze_panes(3, 2)
        if parts:
            self._parts(page, parts, end)

    def _parts(self, page: Any, parts: Sequence[tuple[str, int]], end: int) -> None:
        """Below the lines: what the amount is the sum of, and that the lines distribute all of it."""
        top = end + 2
        rows = [
            *((name, fen, None) for name, fen in parts),
            ("待分配金额 Amount to distribute", sum(fen for _, fen in parts),
             f"=SUM(D{top + 1}:D{top + len(parts)})"),
            ("差额 Difference", 0, f"=D{top + len(parts) + 1}-D{end + 1}"),
        ]  # fmt: skip
        for at, (name, fen, formula) in enumerate(rows, start=top):
            page.write_string(at, 2, name, self.text)
            if formula is None:
                page.write_number(at, 3, fen, self.marked_fen)
            else:
                page.write_formula(at, 3, formula, self.fen, fen)
            page.write_formula(at, 4, f"=D{at + 1}/100", self.yuan, cached(Fraction(fen, 100)))

    def _headings(self, page: Any, headings: tuple[tuple[str, int], ...], row: int) -> None:
        for column, (heading, width) in enumerate(headings):
            page.set_column(column, column, width)
            page.write_string(row, column, heading, self.head)


def cached(value: Fraction) -> int | float:
    """The value as a spreadsheet holds it: an integer where exact, else the nearest double."""
    whole = value.denominator == 1 and abs(value.numerator) <= _LARGEST
    return value.numerator if whole else float(value)


def _decimals_of(value: Fraction) -> int | None:
    """How many decimals (0, 7 or 14) a cell needs for a number of 15 digits; None where it holds it not."""
    if value.denominator == 1 and abs(value.numerator) <= _LARGEST:
        return 0
    for decimals, below in ((14, 10), (7, 10**8)):
        if abs(value) < below and (value * 10**decimals).denominator == 1:
            return decimals
    return None


def _needs_long(figure: Figure) -> bool:
    """Whether doubles may miss the fen: a large amount, or one close to where it is rounded."""
    rounds = [
        step for step in figure.steps if step.unit == "fen" and _ROUNDING.search(step.formula)
    ]
    if not rounds:
        return False
    if any(step.unit == "fen" and abs(step.value) >= LONG_FROM_FEN for step in figure.steps):
        return True
    doubles: dict[str, float] = {}
    for step in figure.steps:
        doubles[step.symbol] = (
            _double(parse(step.formula), doubles) if step.formula else float(step.value)
        )
    for step in rounds:
        node = parse(step.formula)
        if isinstance(node, Apply) and node.name == "round_half_up":
            beyond = _double(node.args[0], doubles) % 1
            if abs(beyond - 0.5) < _CLOSE:
                return True
    return False


def _double(node: Node, values: Mapping[str, float]) -> float:
    """A formula as a spreadsheet computes it, in doubles."""
    if isinstance(node, Number):
        return float(node.value)
    if isinstance(node, Symbol):
        return values[node.name]
    args = [_double(arg, values) for arg in node.args]
    return float(_IN_DOUBLES[node.name](*args))


_IN_DOUBLES: dict[str, Callable[..., float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "power": operator.pow,
    "neg": operator.neg,
    "root": math.sqrt,
    "floor": math.floor,
    "round_half_up": lambda x, d=0.0: float(round_half_up(Fraction(x) * 10 ** int(d))) / 10**d,
    "sum": lambda *args: sum(args),
    "product": lambda *args: math.prod(args),
    "min": min,
    "max": max,
}


def _excel(node: Node, cells: Mapping[str, str], long: LongNumbers | None = None) -> str:
    """A formula's tree in the language of spreadsheets, every operation in parentheses.

    Where there are long numbers, what is rounded to an integer is rounded there.
    """
    if isinstance(node, Number):
        return str(cached(node.value))
    if isinstance(node, Symbol):
        return cells[node.name]
    if long and (node.name == "floor" or (node.name == "round_half_up" and len(node.args) == 1)):
        return long.integer(node)
    args = [_excel(arg, cells, long) for arg in node.args]
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
