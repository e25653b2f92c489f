"""The disclosure tables of 财会〔2023〕11号 as workbooks: written with live formulas, read when filled in.

The blank table is the template that a finance officer fills in; a filled one has the same cells. Yellow
cells are inputs, every other amount is a formula, each row is checked in the last column (相符, 不符).
Beside the table stand what else is to be disclosed, the checks against other figures, and appraised
values: these never enter the table (财会〔2025〕33号). Amounts are yuan with two decimals; sums are rounded
to the fen, so that a program that counts in binary shows the same fen up to 10^13 fen and beyond.
"""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from io import BytesIO
from typing import Any

from ledger.errors import Invalid
from ledger.spreadsheet import A4, Page, Workbook
from ledger.tabular import Problem, Table, column_letters, read_table
from valuation import disclosure
from valuation.disclosure import Disclosure
from valuation.disclosure_tables import CHECKS, TABLES, TOTAL, Row
from valuation.disclosure_tables import Table as Form

MAIN, FURTHER, CHECKED, APPRAISED = (
    "披露表 Table",
    "补充披露 Further",
    "核对 Checks",
    "评估 Appraisals",
)
HEAD_ROW = 7  # as the spreadsheet numbers it; the rows of the table follow
FIRST_COLUMN = 2  # 0-based: two columns of labels before the amounts
NOT_DISCLOSED = "未披露"
FITS, DIFFERS, NOT_GIVEN = "相符", "不符", "未提供"
MOST_FEN = 2**53 - 1
_UNCOMPUTED = re.compile(
    rb'<c r="([A-Z]{1,3})([0-9]{1,7})"[^>]*><f\b[^>]*(?:/>|>[^<]*</f>)(?:<v></v>|<v/>)?</c>'
)


# -- writing -------------------------------------------------------------------------------------


def to_bytes(made: Disclosure) -> bytes:
    """The workbook of a disclosure."""
    return _written(made, blank=False)


def template(name: str) -> bytes:
    """The blank workbook of a table; raises Invalid for a name that is none."""
    if name not in TABLES:
        raise Invalid(
            "There is no disclosure table {name}: {known}.", name=name, known=", ".join(TABLES)
        )
    day = {"from": "2026-01-01", "to": "2026-12-31"}
    empty = {"table": name, "entity": "-", "period": day, "movements": {}}
    return _written(disclosure.run(empty), blank=True)


def _written(made: Disclosure, blank: bool) -> bytes:
    target = BytesIO()
    with Workbook(target) as book:
        writer = _Writer(book, made, blank)
        writer.main()
        writer.further()
        writer.checks()
        if made.document.get("appraisals"):
            writer.appraisals()
    return target.getvalue()


class _Writer:
    """The sheets of one disclosure."""

    def __init__(self, book: Workbook, made: Disclosure, blank: bool) -> None:
        self.house, self.made, self.blank, self.form = book, made, blank, made.table
        self.columns = (*made.table.columns, TOTAL)
        self.at = {row.id: HEAD_ROW + k for k, row in enumerate(made.table.rows, start=1)}
        money = {"num_format": "#,##0.00", "border": 1}
        self.input = book.book.add_format({**money, "bg_color": "#FFF8D6"})
        self.amount = book.book.add_format(money)
        self.label = book.book.add_format({"border": 1, "text_wrap": True, "valign": "top"})
        self.section = book.book.add_format({"border": 1, "bold": True, "bg_color": "#F2F2F2"})
        self.typed = book.book.add_format({"border": 1, "bg_color": "#FFF8D6", "text_wrap": True})

    def page(self, name: str, title: str, widths: tuple[int, ...], landscape: bool) -> Any:
        """A sheet of A4 that prints on one page's width."""
        page = self.house.book.add_worksheet(name, Page)
        page.set_paper(A4)
        page.fit_to_pages(1, 0)
        if landscape:
            page.set_landscape()
        for k, width in enumerate(widths):
            page.set_column(k, k, width)
        page.write_string(0, 0, title, self.house.bold)
        return page

    def headings(self, page: Any, row: int, titles: tuple[str, ...]) -> None:
        for k, title in enumerate(titles):
            page.write_string(row, k, title, self.house.head)

    def main(self) -> None:
        """The table itself."""
        form, given = self.form, self.made.document
        page = self.page(MAIN, f"{form.zh} / {form.en}", (24, 30, 18, 18, 18, 18, 10), True)
        facts = (
            ("编制单位 Entity", given["entity"]),
            ("期间自 Period from", given["period"]["from"]),
            ("期间至 Period to", given["period"]["to"]),
            ("模版 Template", self.made.template),
        )
        for k, (title, value) in enumerate(facts, start=1):
            page.write_string(k, 0, title, self.label)
            page.write_string(k, 1, "" if self.blank and k < 4 else value, self.typed)
        page.write_string(
            5, 0, "单位：元。黄色单元格填写，其余为公式；减少按正数填写；评估值不得填入。 Yuan; fill in the"
            " yellow cells, a decrease as a positive number, never an appraised value.",
        )  # fmt: skip
        titles = tuple(f"{one.zh} {one.en}" for one in self.columns)
        self.headings(page, HEAD_ROW - 1, ("项目", "item", *titles, "核对 Check"))
        for row in form.rows:
            at = self.at[row.id] - 1
            form_of = self.section if row.kind == "section" else self.label
            page.write_string(at, 0, form.label(row, self.made.template), form_of)
            page.write_string(at, 1, row.en, form_of)
            for k, column in enumerate(self.columns):
                self._cell(page, row, at, FIRST_COLUMN + k, column.id)
            self._check(page, row, at, FIRST_COLUMN + len(self.columns))
        page.freeze_panes(HEAD_ROW, 2)
        page.repeat_rows(HEAD_ROW - 1)

    def _cell(self, page: Any, row: Row, at: int, k: int, column: str) -> None:
        if row.kind == "section":
            page.write_blank(at, k, None, self.section)
            return
        value = _yuan(self.made.amounts[row.id][column])
        parts = self.form.parts(row.id) and (row.id, column) not in self.made.stated
        if column == TOTAL.id or row.plus or parts:
            page.write_formula(at, k, self._formula(row, k, column), self.amount, value)
        elif self.blank:
            page.write_blank(at, k, None, self.input)
        else:
            page.write_number(at, k, value, self.input)

    def _formula(self, row: Row, k: int, column: str) -> str:
        """What a derived cell is: the sum of the columns, of the parts, or of the rows it consists of."""
        letter = column_letters(k)
        if column == TOTAL.id:
            first, last = column_letters(FIRST_COLUMN), column_letters(k - 1)
            return f"=ROUND(SUM({first}{self.at[row.id]}:{last}{self.at[row.id]}),2)"
        terms = [f"{letter}{self.at[name]}" for name in row.plus or self.form.parts(row.id)]
        less = "".join(f"-{letter}{self.at[name]}" for name in row.minus)
        return f"=ROUND({'+'.join(terms)}{less},2)"

    def _check(self, page: Any, row: Row, at: int, k: int) -> None:
        """Whether a row is what it should be in every column, also after a cell was overwritten."""
        if row.kind == "section":
            page.write_blank(at, k, None, self.section)
            return
        letters = [column_letters(FIRST_COLUMN + n) for n in range(len(self.columns))]
        holds = []
        for letter in letters if row.plus else ():
            terms = "+".join(f"{letter}{self.at[name]}" for name in row.plus)
            less = "".join(f"-{letter}{self.at[name]}" for name in row.minus)
            holds.append(f"ROUND({letter}{at + 1}-({terms}{less}),2)=0")
        for letter in letters if self.form.parts(row.id) else ():
            parts = "+".join(f"{letter}{self.at[name]}" for name in self.form.parts(row.id))
            holds.append(f"ROUND({letter}{at + 1}-({parts}),2)>=0")
        across = "-".join(f"{letter}{at + 1}" for letter in [letters[-1], *letters[:-1]])
        holds.append(f"ROUND({across},2)=0")
        bad = any(
            fault.row == row.id and fault.check in ("of_which",) for fault in self.made.faults
        )
        formula = f'=IF(AND({",".join(holds)}),"{FITS}","{DIFFERS}")'
        page.write_formula(at, k, formula, self.label, DIFFERS if bad else FITS)

    def further(self) -> None:
        """What else is to be disclosed, with what was stated."""
        page = self.page(FURTHER, "补充披露事项 Further items to disclose", (24, 60, 60), False)
        self.headings(page, 1, ("编号 Id", "事项 Item", f"披露内容 Stated (空白即{NOT_DISCLOSED})"))
        said = self.made.further()
        for k, (name, (zh, en)) in enumerate(self.form.further.items(), start=2):
            page.write_string(k, 0, name, self.label)
            page.write_string(k, 1, f"{zh} / {en}", self.label)
            stated = said[name] or ("" if self.blank else NOT_DISCLOSED)
            page.write_string(k, 2, stated, self.typed)

    def checks(self) -> None:
        """The table against the period before and against other tables, and every fault found."""
        page = self.page(CHECKED, "核对 Checks", (30, 36, 20, 20, 12, 44), True)
        self.headings(
            page,
            1,
            ("编号 Id", "核对项目 What is held", "本表 Here", "对照 Against", "结果 Result"),
        )
        at = 2
        given = self.made.document
        for k, column in enumerate(self.form.columns):
            for row in self.form.rows:
                if row.kind == "closing":
                    prior = given.get("prior", {}).get(column.id, {}).get(f"{row.id}_fen")
                    opening = row.plus[0]
                    told = f"{column.zh} 期初 = 上期期末: {self._section_of(row)}"
                    cell = f"'{MAIN}'!{column_letters(FIRST_COLUMN + k)}{self.at[opening]}"
                    fen = self.made.amounts[opening][column.id]
                    self._against(
                        page, at, f"prior.{column.id}.{row.id}", told, cell, fen, prior, "="
                    )
                    at += 1
        key, zh, _ = self.form.whole
        sign = "=" if self.form.id == "inventory" else "<="
        last = column_letters(FIRST_COLUMN + len(self.form.columns))
        for name in self.form.within:
            row = self.form.row(name)
            told = f"合计 {self._section_of(row)} {row.zh} {sign} {zh}"
            other = given.get(key, {}).get(f"{name}_fen")
            fen = self.made.amounts[name][TOTAL.id]
            cell = f"'{MAIN}'!{last}{self.at[name]}"
            self._against(page, at, f"{key}.{name}", told, cell, fen, other, sign)
            at += 1
        if self.made.faults:
            at += 1
            self.headings(
                page,
                at,
                ("项目 Row", "列 Column", "填列 Stated", "应为 Expected", "程度", "核对 Check"),
            )
        for fault in self.made.faults:
            at += 1
            told_of = fault.to_dict(self.form)
            severity, zh, en = CHECKS[fault.check]
            page.write_string(
                at, 0, f"{told_of['row_num']} {told_of['row_zh']} {fault.item}", self.label
            )
            page.write_string(at, 1, str(told_of["column_zh"]), self.label)
            page.write_number(at, 2, _yuan(fault.stated_fen), self.amount)
            page.write_number(at, 3, _yuan(fault.expected_fen), self.amount)
            page.write_string(at, 4, severity, self.label)
            page.write_string(at, 5, f"{zh} / {en}", self.label)

    def _section_of(self, row: Row) -> str:
        """The label of the section a row stands in."""
        return self.form.label(self.form.row(row.id.partition("_")[0]), self.made.template)

    def _against(
        self,
        page: Any,
        at: int,
        name: str,
        told: str,
        cell: str,
        fen: int,
        other: int | None,
        sign: str,
    ) -> None:
        """A line that holds a cell of the table against an amount that can be filled in."""
        page.write_string(at, 0, name, self.label)
        page.write_string(at, 1, told, self.label)
        page.write_formula(at, 2, f"={cell}", self.amount, _yuan(fen))
        if other is None:
            page.write_blank(at, 3, None, self.input)
            result = NOT_GIVEN
        else:
            page.write_number(at, 3, _yuan(other), self.input)
            result = FITS if (fen == other if sign == "=" else fen <= other) else DIFFERS
        here = f"ROUND(C{at + 1}-D{at + 1},2){sign}0"
        formula = f'=IF(ISBLANK(D{at + 1}),"{NOT_GIVEN}",IF({here},"{FITS}","{DIFFERS}"))'
        page.write_formula(at, 4, formula, self.label, result)

    def appraisals(self) -> None:
        """Appraised values, told beside the table."""
        page = self.page(
            APPRAISED, "评估情况(不入表) Appraisals, beside the table", (30, 20, 14, 30, 60), True
        )
        page.write_string(
            1,
            0,
            "评估值只披露，不入账（财会〔2025〕33号）。 Disclosed, never booked.",
        )
        self.headings(page, 2, ("名称 Name", "评估值(元) Value, yuan", "基准日 As of", "方法 Method",
                            "信息来源、假设和限制 Sources, assumptions, limits"))  # fmt: skip
        for k, one in enumerate(self.made.document["appraisals"], start=3):
            page.write_string(k, 0, one["name"], self.label)
            page.write_number(k, 1, _yuan(one["value_fen"]), self.amount)
            for n, key in enumerate(("on", "method", "assumptions"), start=2):
                page.write_string(k, n, one[key], self.label)


def _yuan(fen: int) -> float:
    """An amount as a cell holds it: the double nearest to the yuan, exact to the fen up to 2^53 fen."""
    return fen / 100


# -- reading -------------------------------------------------------------------------------------


@dataclass
class Filled:
    """What a filled-in workbook says: the document, what cannot be read, and where each field stands."""

    document: dict[str, Any]
    problems: list[Problem] = field(default_factory=list)
    places: dict[str, tuple[str, int, str]] = field(
        default_factory=dict
    )  # path → sheet, row, column

    def note(self, code: str, sheet: str, row: int | None, column: str | None, zh: str, en: str,
            value: str | None = None) -> None:  # fmt: skip
        """Note that something at a place cannot be read."""
        self.problems.append(Problem("error", code, sheet, row, column, zh, en, value))


def read(data: bytes, name: str) -> Filled:
    """What a workbook of `template` says, once it is filled in; every cell that cannot be read is named.

    Blank input cells count 0. Raises Invalid where the file is no such workbook.
    """
    sheet = read_table(data, name, sheet=MAIN, headless=True)
    rows = {row.number: row.cells for row in sheet.rows}
    title = _text(rows.get(1, ()), 0)
    form = next((one for one in TABLES.values() if one.zh in title), None)
    if form is None:
        raise Invalid("{name} is none of our disclosure tables: take the template.", name=name)
    facts = [_text(rows.get(k, ()), 1) for k in (2, 3, 4, 5)]
    document: dict[str, Any] = {
        "table": form.id, "entity": facts[0], "period": {"from": facts[1], "to": facts[2]},
        "movements": {},
    }  # fmt: skip
    if facts[3]:
        document["template"] = facts[3]
    made = Filled(document)
    for path, row in (("entity", 2), ("period.from", 3), ("period.to", 4), ("template", 5)):
        made.places[path] = (MAIN, row, "B")
    _read_main(made, form, rows, _uncomputed(data))
    names = set(sheet.sheets)
    if FURTHER in names:
        _read_further(made, form, read_table(data, name, sheet=FURTHER, headless=True))
    if CHECKED in names:
        _read_checks(made, form, read_table(data, name, sheet=CHECKED, headless=True))
    return made


def _read_main(
    made: Filled, form: Form, rows: Mapping[int, tuple[str, ...]], uncomputed: set[tuple[int, int]]
) -> None:
    columns = (*form.columns, TOTAL)
    head = rows.get(HEAD_ROW, ())
    for k, column in enumerate(columns, start=FIRST_COLUMN):
        if not _text(head, k).startswith(column.zh):
            made.note("column", MAIN, HEAD_ROW, column_letters(k), f"此列应为“{column.zh}”。",
                     f"This column must be “{column.zh}”.", _text(head, k))  # fmt: skip
    found = {number: _bare(_text(cells, 0)) for number, cells in rows.items() if number > HEAD_ROW}
    at = HEAD_ROW
    for row in form.rows:
        labels = {_bare(row.zh), _bare(form.variants.get(row.id, row.zh))}
        place = next((n for n in sorted(found) if n > at and found[n] in labels), None)
        if place is None:
            made.note(
                "row_missing",
                MAIN,
                None,
                None,
                f"缺少行“{row.zh}”。",
                f"The row “{row.zh}” is missing.",
            )
            continue
        for n in sorted(found):
            if at < n < place:
                made.note("row_unknown", MAIN, n, "A", f"“{found[n]}”不是本表的行，或次序有误。",
                         f"“{found[n]}” is no row of this table, or out of order.", found[n])  # fmt: skip
        at = place
        if row.kind == "section":
            continue
        for k, column in enumerate(columns, start=FIRST_COLUMN):
            own = not row.plus and column.id != TOTAL.id and not form.parts(row.id)
            if (place, k) in uncomputed and own:
                made.note(
                    "not_computed", MAIN, place, column_letters(k), "公式没有计算结果：请重算并保存。",
                    "The formula has no result: recalculate and save.",
                )  # fmt: skip
            fen = _amount(made, MAIN, place, k, _text(rows[place], k))
            if fen is None:
                continue
            path = f"movements.{column.id}.{row.id}_fen"
            made.document["movements"].setdefault(column.id, {})[f"{row.id}_fen"] = fen
            made.places[path] = (MAIN, place, column_letters(k))
    _drop_computed(made, form)


def _drop_computed(made: Filled, form: Form) -> None:
    """Leave out what is as it follows from the rest: it was computed there, and not stated."""
    moves = made.document["movements"]
    for cells in moves.values():
        for row in form.rows:
            parts = form.parts(row.id)
            if parts and cells.get(f"{row.id}_fen") == sum(cells.get(f"{p}_fen", 0) for p in parts):
                del cells[f"{row.id}_fen"]
    stated = {column: {k: max(v, 0) for k, v in cells.items()} for column, cells in moves.items()}
    day = {"from": "2026-01-01", "to": "2026-12-31"}
    alone = {"table": form.id, "entity": "-", "period": day, "movements": stated}
    for name, amounts in disclosure.run(alone).amounts.items():
        for column, cells in moves.items():
            free = form.row(name).plus or column == TOTAL.id
            if free and cells.get(f"{name}_fen") == amounts[column]:
                del cells[f"{name}_fen"]
    made.document["movements"] = {column: cells for column, cells in moves.items() if cells}


def _read_further(made: Filled, form: Form, sheet: Table) -> None:
    said = {}
    for row in sheet.rows:
        name, text = _text(row.cells, 0), _text(row.cells, 2)
        if name in form.further:
            made.places[f"further.{name}"] = (FURTHER, row.number, "C")
            if text and text != NOT_DISCLOSED:
                said[name] = text
    if said:
        made.document["further"] = said


def _read_checks(made: Filled, form: Form, sheet: Table) -> None:
    columns = {column.id for column in form.columns}
    for row in sheet.rows:
        first, _, rest = _text(row.cells, 0).partition(".")
        column, _, name = rest.partition(".")
        if first == "prior" and column in columns:
            path, to = f"prior.{rest}_fen", ("prior", column, f"{name}_fen")
        elif first == form.whole[0]:
            path, to = f"{first}.{rest}_fen", (first, "", f"{rest}_fen")
        else:
            continue
        fen = _amount(made, CHECKED, row.number, 3, _text(row.cells, 3))
        if fen is None:
            continue
        made.places[path] = (CHECKED, row.number, "D")
        entries = made.document.setdefault(to[0], {})
        (entries.setdefault(to[1], {}) if to[1] else entries)[to[2]] = fen


def _amount(made: Filled, sheet: str, row: int, k: int, text: str) -> int | None:
    """The fen of a cell in yuan; None for a blank one and for one that is no amount, which is noted."""
    bare = text.replace("，", ",").replace("¥", "").replace("￥", "").strip()
    if re.fullmatch(r"-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", bare, re.ASCII):
        bare = bare.replace(",", "")
    if bare in ("", "-", "—", "——"):
        return None
    letter = column_letters(k)
    try:
        fen = Decimal(bare) * 100
    except InvalidOperation:
        fen = Decimal("NaN")
    if not fen.is_finite() or not re.fullmatch(r"-?[0-9.]+", bare, re.ASCII):
        made.note("no_number", sheet, row, letter, f"“{text[:60]}”不是金额：请填写以元为单位的数字。",
                 f"“{text[:60]}” is no amount: enter a number in yuan.", text[:60])  # fmt: skip
        return None
    whole = fen.to_integral_value()
    if abs(fen - whole) > Decimal("0.0001"):
        made.note("decimals", sheet, row, letter, f"{text[:60]} 多于两位小数：请按分取整。",
                 f"{text[:60]} has more than two decimals: round it to the fen.", text[:60])  # fmt: skip
        return None
    if abs(whole) > MOST_FEN:
        made.note(
            "too_large", sheet, row, letter, "金额过大。", "The amount is too large.", text[:60]
        )
        return None
    return int(whole)


def _text(cells: tuple[str, ...], k: int) -> str:
    return cells[k].strip() if k < len(cells) else ""


def _bare(label: str) -> str:
    """A label without blanks, in which templates differ."""
    return re.sub(r"\s", "", label).replace(":", "：")


def _uncomputed(data: bytes) -> set[tuple[int, int]]:
    """The cells (row, column from 0) of the first sheet whose formula was saved without its result."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            text = archive.read("xl/worksheets/sheet1.xml")
    except (zipfile.BadZipFile, KeyError):
        return set()
    return {(int(row), _number(letters.decode())) for letters, row in _UNCOMPUTED.findall(text)}


def _number(letters: str) -> int:
    made = 0
    for letter in letters:
        made = made * 26 + ord(letter) - 64
    return made - 1
