"""The disclosure tables: every row and column as printed, identities, and each fault at its place."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valuation import InputError
from valuation.disclosure import closing_of, recompute, run
from valuation.disclosure_tables import TABLES, TOTAL

PRINTED = json.loads(
    (Path(__file__).parents[1] / "golden/books/disclosure_rows.json").read_text("utf-8")
)
YEAR = {"from": "2026-01-01", "to": "2026-12-31"}


def filled(table="intangible", **more):
    return {"table": table, "entity": "数据公司", "period": YEAR, **more}


@pytest.mark.parametrize("name", TABLES)
def test_rows_and_columns_are_those_of_the_rule(name):
    form, printed = TABLES[name], PRINTED[name]
    assert form.zh == printed["title"]
    assert ["项目", *(one.zh for one in form.columns), TOTAL.zh] == printed["columns"]
    rows = [[n, r.id, r.zh, r.level, r.kind] for n, r in enumerate(form.rows, start=1)]
    assert rows == printed["rows"]
    formulas = {r.id: " - ".join([" + ".join(r.plus), *r.minus]) for r in form.rows if r.plus}
    assert formulas == printed["formulas"]
    assert list(form.further) == printed["further"]


def test_a_table_worked_by_hand():
    made = run(filled(movements={
        "purchased": {"gross_open_yuan": "1000.00", "gross_inc_purchase_yuan": "200.00",
                      "gross_dec_disposal_yuan": "50.00", "amort_open_yuan": "300.00",
                      "amort_inc_yuan": "100.00", "amort_dec_disposal_yuan": "20.00"},
        "developed": {"gross_inc_development_yuan": "500.50", "impair_inc_yuan": "0.50"},
    }))  # fmt: skip
    assert made.holds
    assert not made.faults
    assert {name: made.amounts[name]["total"] for name in (
        "gross_close", "amort_close", "impair_close", "carrying_close", "carrying_open",
    )} == {"gross_close": 165_050, "amort_close": 38_000, "impair_close": 50,
           "carrying_close": 127_000, "carrying_open": 70_000}  # fmt: skip


AMOUNT = st.integers(0, 10**13)


@pytest.mark.parametrize("name", TABLES)
@given(data=st.data())
def test_the_identities_hold_and_the_next_period_opens_with_what_this_one_closed(name, data):
    form = TABLES[name]
    leaves = [
        r.id for r in form.rows if not r.plus and r.kind != "section" and not form.parts(r.id)
    ]
    moves = {one.id: {f"{leaf}_fen": data.draw(AMOUNT) for leaf in leaves} for one in form.columns}
    made = run(filled(name, movements=moves))
    for row in form.rows:
        for column, fen in made.amounts.get(row.id, {}).items():
            if row.plus:
                cells = {r: made.amounts[r][column] for r in (*row.plus, *row.minus)}
                assert fen == sum(cells[r] for r in row.plus) - sum(cells[r] for r in row.minus)
    assert {fault.check for fault in made.faults} <= {"negative"}
    assert recompute(made.to_dict()) == made
    if made.holds:
        closing = closing_of(made)
        opening = {
            c: {k.replace("close", "open"): v for k, v in one.items()} for c, one in closing.items()
        }
        assert run(filled(name, movements=opening, prior=closing)).holds


def test_every_fault_is_told_at_once_with_its_row_and_column():
    made = run(filled(
        movements={
            "purchased": {"gross_open_fen": 100, "gross_close_fen": 99, "carrying_open_fen": 7,
                          "gross_inc_fen": 10, "gross_inc_purchase_fen": 11},
            "other": {"amort_inc_fen": 5, "amort_dec_fen": 3, "amort_dec_disposal_fen": 2},
            "total": {"gross_open_fen": 101},
        },
        prior={"purchased": {"gross_close_fen": 98}}, all_intangible={"gross_close_fen": 1},
    ))  # fmt: skip
    assert {(f.check, f.row, f.column) for f in made.faults} == {
        ("roll_forward", "gross_close", "purchased"), ("carrying", "carrying_open", "purchased"),
        ("of_which", "gross_inc", "purchased"), ("incomplete", "amort_dec", "other"),
        ("negative", "carrying_close", "other"), ("total", "gross_open", "total"),
        ("comparative", "gross_open", "purchased"), ("within", "gross_close", "total"),
    }  # fmt: skip
    assert not made.holds
    note = run(filled("inventory", movements={}, inventory_note={"gross_open_fen": 1}))
    assert [(f.check, f.row) for f in note.faults] == [("tie", "gross_open")]


def test_items_with_their_movements_give_the_same_table():
    item = {"name": "甲", "column": "purchased", "movements": [
        {"on": "2025-03-01", "row": "gross_inc_purchase", "amount_fen": 900, "basis": "发票"},
        {"on": "2025-12-31", "row": "amort_inc", "amount_fen": 200, "basis": "摊销表"},
        {"on": "2026-12-31", "row": "amort_inc", "amount_fen": 300, "basis": "摊销表"}]}  # fmt: skip
    made = run(filled(items=[item]))
    assert made.amounts["gross_open"]["purchased"] == 900
    assert made.amounts["amort_open"]["purchased"] == 200
    assert made.amounts["carrying_close"]["total"] == 400
    late = {**item["movements"][2], "amount_fen": 800}
    bad = run(filled(items=[{**item, "movements": [*item["movements"][:2], late]}]))
    assert ("item", "甲") in {(fault.check, fault.item) for fault in bad.faults}


def test_an_appraised_value_stands_beside_the_table_and_in_no_cell_of_it():
    moves = {"purchased": {"gross_open_fen": 100}}
    told = {
        "name": "甲",
        "value_fen": 999,
        "on": "2026-12-31",
        "method": "收益法",
        "assumptions": "无",
    }
    made = run(filled(movements=moves, appraisals=[told]))
    assert made.amounts == run(filled(movements=moves)).amounts
    for wrong in (
        {"movements": {"purchased": {"appraised_fen": 5}}},
        {"movements": {"purchased": {"appraisal": "PG2026-0001"}}},
        {"items": [{"name": "甲", "column": "purchased", "movements": [
            {"on": "2026-01-01", "row": "gross_inc_other", "amount_fen": 5, "basis": "评估报告"}]}]},
    ):  # fmt: skip
        with pytest.raises(InputError, match="never be booked"):
            run(filled(**wrong))


def test_every_field_that_cannot_be_read_is_named_at_once():
    with pytest.raises(InputError) as refusal:
        run({"table": "intangible", "entity": " ", "period": {"from": "2026-02-30", "to": "x"},
             "movements": {"purchased": {"gross_open_fen": -1, "amort_inc_fen": "1"}},
             "further": {"useful_life": ""}})  # fmt: skip
    assert {at for at, _ in refusal.value.problems} == {
        "entity", "period.from", "period.to", "further.useful_life",
        "movements.purchased.gross_open_fen", "movements.purchased.amort_inc_fen",
    }  # fmt: skip
