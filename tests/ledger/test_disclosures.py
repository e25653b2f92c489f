"""The disclosure workbooks: what LibreOffice computes, and what a finance officer fills in wrongly."""

from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from ledger import disclosures
from ledger.disclosures import CHECKED, DIFFERS, FITS, HEAD_ROW, MAIN
from tests.ledger.test_recalculation import calc, recalculated
from tests.valuation.test_disclosure import filled
from valuation import disclosure
from valuation.disclosure_tables import TABLES

BIG = filled(movements={
    "purchased": {"gross_open_fen": 10**13 - 1, "gross_inc_purchase_fen": 10**12 + 7, "amort_inc_fen": 33},
    "developed": {"gross_open_fen": 10**13 + 3, "gross_dec_disposal_fen": 10**13 + 3},
    "other": {"gross_inc_fen": 9, "gross_inc_other_fen": 9, "impair_inc_fen": 2},
}, prior={"purchased": {"gross_close_fen": 10**13 - 1}})  # fmt: skip


def edited(change: Any, name: str = "intangible") -> bytes:
    """The template as a person fills it in."""
    book = openpyxl.load_workbook(BytesIO(disclosures.template(name)))
    page = book[MAIN]
    page["B2"], page["B3"], page["B4"] = "数据公司", "2026-01-01", "2026-12-31"
    change(page)
    target = BytesIO()
    book.save(target)
    return target.getvalue()


@pytest.mark.parametrize("name", TABLES)
def test_a_workbook_reads_back_as_what_it_was_written_from(name: str) -> None:
    form = TABLES[name]
    moves = {form.columns[0].id: {"gross_open_fen": 12_345, "gross_inc_purchase_fen": 5}}
    given = filled(name, movements=moves, further={"appraisal": "无"}, template="state_owned")
    made = disclosure.run(given)
    found = disclosures.read(disclosures.to_bytes(made), "a.xlsx")
    assert not found.problems
    again = disclosure.run(found.document)
    assert (again.amounts, again.further()) == (made.amounts, made.further())


def test_what_is_typed_wrongly_is_told_by_sheet_row_and_column() -> None:
    def change(page: Any) -> None:
        page["C9"], page["D9"], page["E9"] = "一百", "1,234.50", 1.005
        page["C11"] = "=1+1"
        page.delete_rows(HEAD_ROW + 23)

    found = disclosures.read(edited(change), "t.xlsx")
    told = {(one.code, one.sheet, one.row, one.column) for one in found.problems}
    assert {("no_number", MAIN, 9, "C"), ("decimals", MAIN, 9, "E"), ("not_computed", MAIN, 11, "C"),
            ("row_missing", MAIN, None, None)} <= told  # fmt: skip
    assert found.document["movements"]["developed"]["gross_open_fen"] == 123_450


@pytest.mark.slow
@calc
def test_libreoffice_computes_the_same_fen_also_after_an_input_is_changed(tmp_path: Path) -> None:
    made = disclosure.run(BIG)
    path = tmp_path / "a.xlsx"
    path.write_bytes(disclosures.to_bytes(made))
    compare(recalculated(path), made)
    book = openpyxl.load_workbook(path)
    book[MAIN].cell(HEAD_ROW + 2, 3).value = 123_456_789_012.34
    changed = tmp_path / "b.xlsx"
    book.save(changed)
    movements = {
        **BIG["movements"],
        "purchased": {**BIG["movements"]["purchased"], "gross_open_fen": 12_345_678_901_234},
    }
    sheets = recalculated(changed)
    compare(sheets, disclosure.run({**BIG, "movements": movements}))
    assert DIFFERS in [row[4] for row in sheets[CHECKED]], "the period before closed otherwise"


def compare(sheets: dict[str, list[list[Any]]], made: disclosure.Disclosure) -> None:
    for k, row in enumerate(made.table.rows):
        cells = sheets[MAIN][HEAD_ROW + k]
        assert cells[0] == row.zh
        if row.kind != "section":
            fen = [round(float(cell or 0) * 100) for cell in cells[2:6]]
            assert fen == list(made.amounts[row.id].values()), row.id
            assert cells[6] == FITS
