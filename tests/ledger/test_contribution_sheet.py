"""A contribution's workbook: LibreOffice finds the values, shares and losses from the coalitions anew."""

from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import openpyxl
import pytest

from ledger.contribution_sheet import COALITIONS, FIRST, to_bytes, write_contribution
from tests.ledger.test_recalculation import calc, recalculated
from valuation.contribution import Contribution, run

PLAYERS = "贡献 Contribution"


def table(n: int, seed: int = 1) -> Contribution:
    draw = Random(seed)
    names = [f"来源{i} =A1+{i}" for i in range(n)]
    return run({
        "v": 1, "game": "table", "players": [{"id": name} for name in names],
        "coalitions": [
            {"of": [names[i] for i in range(n) if c >> i & 1],
             "value_fen": draw.randrange(-(10**9), 10**13)}
            for c in range(1, 1 << n)
        ],
    })  # fmt: skip


def uses(n: int) -> Contribution:
    return run({
        "v": 1, "game": "uses", "players": [{"id": f"p{i}", "cost_fen": 7 * i} for i in range(n)],
        "uses": [{"value_fen": 10_001 * (i + 1), "needs": [f"p{i}", f"p{(i * 3 + 1) % n}"]}
                 for i in range(n) if i != (i * 3 + 1) % n],
    })  # fmt: skip


def near(found: Any, exact: Fraction) -> bool:
    return abs(found - float(exact)) <= 1e-9 * max(1, abs(float(exact)))


def agrees(rows: list[list[Any]], outcome: Contribution) -> None:
    for k, name in enumerate(outcome.values):
        row = rows[FIRST + k]
        assert row[0] == name
        assert near(row[1], outcome.values[name] / 100)
        assert near(row[2], outcome.shares[name])
        assert near(row[3], outcome.lost[name] / 100)
        assert near(row[4], outcome.lost_shares[name])
    total = rows[FIRST + len(outcome.values)]
    assert near(total[1], outcome.total / 100)
    assert near(total[2], Fraction(1))


def test_the_values_in_the_cells_are_those_of_the_contribution(tmp_path: Path) -> None:
    outcome = table(3)
    write_contribution(outcome, tmp_path / "c.xlsx")
    assert (tmp_path / "c.xlsx").read_bytes() == to_bytes(outcome)
    cached = openpyxl.load_workbook(tmp_path / "c.xlsx", data_only=True)
    agrees([[cell.value for cell in row] for row in cached[PLAYERS].iter_rows()], outcome)
    live = openpyxl.load_workbook(tmp_path / "c.xlsx")
    assert live[PLAYERS].cell(FIRST + 1, 2).value.startswith("=SUMPRODUCT(")
    assert live[COALITIONS].cell(FIRST + 2, 1).value == "来源0 =A1+0"  # text, no formula
    assert live[COALITIONS].max_row == FIRST + 8


def test_of_many_players_the_values_are_numbers_and_the_shares_formulas(tmp_path: Path) -> None:
    write_contribution(uses(30), tmp_path / "c.xlsx")
    book = openpyxl.load_workbook(tmp_path / "c.xlsx")
    assert book.sheetnames == [PLAYERS]
    assert isinstance(book[PLAYERS].cell(FIRST + 1, 2).value, int | float)
    assert book[PLAYERS].cell(FIRST + 1, 3).value.startswith("=IF(")


@pytest.mark.slow
@calc
@pytest.mark.parametrize(
    "outcome",
    [table(1), table(3), table(8), uses(6), uses(30)],
    ids=lambda one: f"{len(one.values)}-{one.how}",
)
def test_libreoffice_computes_the_same(outcome: Contribution, tmp_path: Path) -> None:
    write_contribution(outcome, tmp_path / "c.xlsx")
    agrees(recalculated(tmp_path / "c.xlsx")[PLAYERS], outcome)


@pytest.mark.slow
@calc
def test_a_changed_coalition_changes_the_shares_as_the_library_says(tmp_path: Path) -> None:
    before = table(4)
    document = before.document
    write_contribution(before, tmp_path / "c.xlsx")
    book = openpyxl.load_workbook(tmp_path / "c.xlsx")
    book[COALITIONS].cell(FIRST + 1 + 0b0110, 2).value = 123_456.78
    book.save(tmp_path / "changed.xlsx")
    document["coalitions"][0b0110 - 1]["value_fen"] = 12_345_678
    agrees(recalculated(tmp_path / "changed.xlsx")[PLAYERS], run(document))
