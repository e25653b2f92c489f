"""A spreadsheet we hand out recomputes itself: live formulas, cached values, no injected formula."""

import json
import math
import re
import zipfile
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import openpyxl
import pytest

from ledger.spreadsheet import write_distribution, write_figure
from tests.ledger.test_recalculation import Draw
from tests.ledger.test_reports import ANALYSIS
from valuation import InputError, methods, sharing
from valuation.worksheet import Step, Worksheet

GOLDEN = Path(__file__).parents[1] / "golden/valuation"
CASES = json.loads((GOLDEN / "methods.json").read_text("utf-8"))["cases"]
RATE = dict.fromkeys(("risk_free", "management", "circulation", "data_security"), "0.013")
LONG = {
    "method": "income",
    "version": "1",
    "inputs": {
        "model": "share_of_revenue",
        "timing": "mid",
        "rate": {**RATE, "regulatory": "1/70"},
        "periods": [{"revenue_yuan": f"{1234567 + 991 * t}.89", "share": "1/7"} for t in range(30)],
    },
}
FIGURES = [methods.run(case["document"]) for case in CASES] + [methods.run(LONG)]
STATEMENT = sharing.run(json.loads((GOLDEN / "sharing.json").read_text("utf-8"))["document"])


def written(write, thing):
    file = BytesIO()
    write(thing, file)
    return file.getvalue()


def opened(data, values=False):
    return openpyxl.load_workbook(BytesIO(data), data_only=values)


def rows_of(page):
    """The row of each symbol on a sheet of steps."""
    cells = [page.cell(row, 2) for row in range(10, page.max_row + 1)]
    return {cell.value: cell.row for cell in cells if cell.value and cell.value != "符号 Symbol"}


def recalculate(book):
    """All cells of a workbook as a stranger's program computes them from inputs and formulas, in floats."""

    def half_up(value, digits):
        scaled = abs(value) * 10**digits
        return math.copysign(math.floor(scaled + 0.5) / 10**digits, value)

    names = {
        "SUM": lambda *args: math.fsum(
            x for arg in args for x in (arg if isinstance(arg, list) else [arg])
        ),
        "PRODUCT": lambda *args: math.prod(args),
        "MIN": min,
        "MAX": max,
        "INT": math.floor,
        "ROUND": half_up,
        "POWER": pow,
        "SQRT": math.sqrt,
        "LN": math.log,
        "IF": lambda so, one, other: one if so else other,
    }
    done = {}

    def cell(sheet, address):
        address = address.replace("$", "")
        if (sheet, address) not in done:
            value = book[sheet][address].value
            done[sheet, address] = formula(sheet, value) if str(value).startswith("=") else value
        return done[sheet, address]

    def area(sheet, first, last):
        return [
            cell(sheet, one.coordinate) for row in book[sheet][f"{first}:{last}"] for one in row
        ]

    def formula(sheet, text):
        text = re.sub(
            r"'([^']+)'!(\$?[A-Z]+\$?\d+)",
            lambda m: f"cell({m[1]!r}, '{m[2].replace('$', '#')}')",
            text[1:],
        )
        text = re.sub(r"([A-Z]+\d+):([A-Z]+\d+)", r"area(sheet, '#\1', '#\2')", text)
        text = re.sub(r"(?<!['#\w])\$?([A-Z])\$?(\d+)", r"cell(sheet, '#\1\2')", text).replace(
            "#", ""
        )
        return eval(
            text, {"__builtins__": {}}, {**names, "cell": cell, "area": area, "sheet": sheet}
        )

    return cell


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.method)
def test_every_step_is_a_live_formula_whose_value_is_cached(figure):
    data = written(write_figure, figure)
    formulas, values = opened(data).worksheets[0], opened(data, values=True).worksheets[0]
    rows = rows_of(formulas)
    assert sorted(rows) == sorted(step.symbol for step in figure.steps)
    for step in figure.steps:
        row = rows[step.symbol]
        assert (formulas.cell(row, 4).value or "") == step.formula
        cached = values.cell(row, 5).value
        assert cached == pytest.approx(float(step.value), rel=1e-15)
        if step.formula:
            assert str(formulas.cell(row, 5).value).startswith("=")
        else:  # an input is a marked cell, or a fraction of two marked cells
            columns = "IJ" if formulas[f"I{row}"].value is not None else "E"
            for column in columns:
                assert formulas[f"{column}{row}"].fill.fgColor.rgb == "FFFFF8D6"
                assert isinstance(formulas[f"{column}{row}"].value, int | float)
    assert [formulas[f"E{row}"].value for row in (3, 5)] == [f"=$E${rows[figure.result]}", "=E3-E4"]
    assert values["E4"].value == pytest.approx(float(figure.value), rel=1e-15)
    assert formulas.freeze_panes == "D8"
    assert formulas.cell(9, 1).value == "序号 No."


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.method)
def test_a_stranger_s_recalculation_agrees_to_the_fen(figure):
    book = opened(written(write_figure, figure))
    cell = recalculate(book)
    name = book.sheetnames[0]
    rows = rows_of(book.worksheets[0])
    for step in figure.steps:
        assert cell(name, f"E{rows[step.symbol]}") == pytest.approx(
            float(step.value), rel=1e-12, abs=1e-9
        )
    if figure.unit == "fen":
        assert round(cell(name, "E2") * 100) == figure.value_fen


@pytest.mark.parametrize(
    "make", ["cost", "cost_by_item", "cost_expert_9", "market", "beside_a_tie", "few_years"]
)
def test_a_stranger_s_recalculation_of_ten_trillion_fen_agrees_to_the_fen(make):
    for seed in range(4):
        draw = Draw(seed)
        if make == "few_years":  # a stub and a life, so that logarithms and powers occur
            document = draw.income("share_of_revenue", "mid", stub=True)
            document["inputs"] |= {"periods": document["inputs"]["periods"][:1] * 2, "life": "1.6"}
        else:
            document = getattr(draw, make)()
        figure = methods.run(document)
        book = opened(written(write_figure, figure))
        assert [name.partition(",")[0] for name in book.sheetnames] == [
            "计算 Derivation",
            "长数 Long",
        ]
        assert recalculate(book)(book.sheetnames[0], "E3") == figure.value_fen
        cached = opened(written(write_figure, figure), values=True).worksheets
        limbs = [cached[1].cell(row, 4 + k).value for row in range(4, cached[1].max_row + 1)
                 for k in range(8)]  # fmt: skip
        assert all(type(limb) is int for limb in limbs)
        assert max(map(abs, limbs)) <= 5_000_000, "or products would leave the doubles"


def test_an_amount_is_computed_in_cells_until_a_fen_could_be_missed():
    def sheets(amount, factor):
        given = dict.fromkeys(("indirect", "opportunity", "preparatory", "taxes"), 0)
        inputs = {f"{key}_fen": value for key, value in given.items()} | {"direct_fen": amount}
        inputs["factors"] = [{"zh": "甲", "en": "a", "value": factor, "basis": "b"}]
        figure = methods.run({"method": "cost", "version": "1", "inputs": inputs})
        return len(opened(written(write_figure, figure)).sheetnames)

    assert sheets(999_999_999, "0.77") == 1
    assert sheets(1_000_000_000, "0.77") == 2, "a large amount"
    assert sheets(1_000_001, "0.5") == 2, "a tie"
    assert sheets(100_000_000, "0.123456785") == 2, "next to a tie"


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (Draw(1).beside_a_tie(10**7 + 19), False),
        (Draw(1).beside_a_tie(10**12 + 39), True),  # nearer than 10^-10 of a fen
        ({**Draw(1).cost(), "inputs": Draw(1).cost()["inputs"] | {"factors": [
            {"zh": "甲", "en": "a", "value": value, "basis": "b"}
            for value in ("1000000000000",) * 3 + ("1/1000000000000",) * 3
        ]}}, True),  # on the way beyond what the limbs hold
    ],
)  # fmt: skip
def test_a_workbook_says_where_it_cannot_keep_the_fen(document, told):
    figure = methods.run(document)
    page = opened(written(write_figure, figure)).worksheets[0]
    assert bool(page["C6"].value) == told
    assert (
        opened(written(write_figure, figure), values=True).worksheets[0]["E3"].value
        == figure.value_fen
    )


def test_an_analysis_becomes_sheets_of_values_that_say_how_they_are_recomputed():
    file = BytesIO()
    write_figure(ANALYSIS.figure, file, ANALYSIS)
    book = opened(file.getvalue())
    spread, bars, even = (
        [[cell.value for cell in row] for row in book[name].iter_rows()]
        for name in ("区间 Range", "敏感性 Sensitivity", "盈亏平衡 Breakeven")
    )
    for rows in (spread, bars, even):
        assert "--analysis" in rows[1][0]
        assert not [cell for row in rows for cell in row if str(cell).startswith("=")]
    facts = {row[0]: row[1] for row in spread if row[1] is not None}
    found = ANALYSIS.range
    assert facts["随机种子 Seed"] == found.seed
    assert ["抽样次数 Draws", found.draws] in [row[:2] for row in spread]
    assert facts["随机数发生器 Generator"] == found.generator
    assert facts["平均值 Mean"] == found.mean_fen
    for pct, fen in found.percentiles:
        assert facts[f"P{pct}"] == fen
    bins = [[*one] for one in found.histogram]
    assert [row[:3] for row in spread][-len(bins) :] == bins
    assert [found.convergence[-1].draws, found.convergence[-1].mean_fen] in [
        row[:2] for row in spread
    ]
    (bar,) = ANALYSIS.tornado
    assert bars[4][1:6] == [bar.at, bar.low, bar.high, bar.low_value_fen, bar.high_value_fen]
    solved = {row[0]: row[1] for row in even}
    assert solved["求得的输入 Input found"] == ANALYSIS.breakeven.found
    assert solved["该输入下的值(分) Value there, fen"] == ANALYSIS.breakeven.value_fen
    again = BytesIO()
    write_figure(ANALYSIS.figure, again, ANALYSIS)
    assert again.getvalue() == file.getvalue()


def test_a_changed_input_changes_the_result():
    book = opened(written(write_figure, methods.run(CASES[4]["document"])))
    page = book.worksheets[0]
    page[f"E{rows_of(page)['C_dir']}"].value += 1_000_00
    assert recalculate(book)(page.title, "E2") == pytest.approx(900_000 + 900)


def test_the_lines_of_a_statement_refer_to_their_derivation():
    data = written(write_distribution, STATEMENT)
    book = opened(data)
    cell = recalculate(book)
    lines = book.worksheets[0]
    for row, line in enumerate(STATEMENT.lines, start=4):
        assert lines.cell(row, 2).value == line.party
        assert lines.cell(row, 4).value.startswith("='计算 Derivation'!")
        assert cell(lines.title, f"D{row}") == line.amount_fen
        assert opened(data, values=True).worksheets[0].cell(row, 4).value == line.amount_fen
    assert cell(lines.title, f"D{4 + len(STATEMENT.lines)}") == STATEMENT.amount_fen
    for page in book.worksheets:  # on paper one page wide
        assert (page.page_setup.orientation, page.page_setup.paperSize) == ("landscape", 9)
        assert (page.sheet_properties.pageSetUpPr.fitToPage, page.page_setup.fitToHeight) == (
            True,
            0,
        )


@pytest.mark.parametrize(
    "start", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("x")', "{=1}", "a://b", "12"]
)
def test_text_never_becomes_a_formula(start):
    sheet = Worksheet()
    sheet.given("C", start, start, 1, "fen", start)
    sheet.note(start, start)
    page = opened(written(write_figure, sheet.figure(start, start, "C"))).worksheets[0]
    for address in ("C10", "G10"):
        assert page[address].data_type == "s"
        assert page[address].value.startswith(start)
    assert page["A1"].data_type == "s"
    assert [c.coordinate for row in page.iter_rows() for c in row if c.data_type == "f"] == [
        "E2", "E3", "E5",
    ]  # fmt: skip


def test_the_same_figure_gives_the_same_bytes():
    for write, thing in ((write_figure, FIGURES[0]), (write_distribution, STATEMENT)):
        assert written(write, thing) == written(write, thing)
    with zipfile.ZipFile(BytesIO(written(write_figure, FIGURES[0]))) as archive:
        assert b"2025-01-01T00:00:00Z" in archive.read("docProps/core.xml")


def test_a_figure_that_does_not_recompute_is_not_written(tmp_path):
    figure = FIGURES[4]
    steps = tuple(
        Step(**{**vars(step), "value": step.value + Fraction(1)}) if step.symbol == "P" else step
        for step in figure.steps
    )
    with pytest.raises(InputError) as refusal:
        write_figure(type(figure)(**{**vars(figure), "steps": steps}), tmp_path / "figure.xlsx")
    assert refusal.value.field == "P"
    assert not (tmp_path / "figure.xlsx").exists()
