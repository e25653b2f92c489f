"""`shuzheng contribution`, `verify` of what it wrote, and `share` of many statements."""

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner

from valuation.contribution import run
from webapp.cli import main
from webapp.documents import read_text
from webapp.pages.contribution import EXAMPLES

SAMPLED = """
v: 1
game: formula
formula: sum_usage ** 2 * max_quality
sampling: {seed: 7, draws: 2000}
players: [{id: a, usage: 3, quality: 0.5}, {id: b, usage: 4, quality: 0.25}]
"""
SERIES = """
scheme:
  v: 1
  name: {zh: 固定比例, en: fixed shares}
  steps: [{kind: pool, label: {zh: 余额, en: rest}, shares: [
    {party: 运营机构, share: 2/3}, {party: treasury, share: 1/3}]}]
statements: [{amount_yuan: "10.00", name: order 1}, {amount_yuan: "0.01"}, {amount_yuan: "0.01"}]
"""


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUZHENG_LANG", "en")


def shuzheng(*arguments: Any, code: int = 0) -> str:
    done = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_a_contribution_is_told_written_and_computed_again(tmp_path: Path) -> None:
    for game, text in EXAMPLES.items():
        (tmp_path / f"{game}.yaml").write_text(text, "utf-8")
        told = shuzheng("contribution", tmp_path / f"{game}.yaml", "-o", tmp_path / f"{game}.json")
        outcome = run(read_text(text))
        assert len(told.splitlines()) == len(outcome.values)
        assert json.loads((tmp_path / f"{game}.json").read_bytes()) == outcome.to_dict()
        told = shuzheng("verify", tmp_path / f"{game}.json", "--recompute", code=2)
        assert "Computed once more, contribution is the same." in told
    data = (tmp_path / "uses.json").read_text("utf-8")
    share = str(run(read_text(EXAMPLES["uses"])).shares["气象局"])
    (tmp_path / "uses.json").write_text(data.replace(f'"share":"{share}"', '"share":"1"'), "utf-8")
    told = shuzheng("verify", tmp_path / "uses.json", "--recompute", code=1)
    assert "does not recompute: players[0]" in told
    (tmp_path / "uses.json").write_text(data.replace('"v":1,', '"v": 1,'), "utf-8")
    shuzheng("verify", tmp_path / "uses.json", code=1)


def test_what_was_sampled_says_how_far_it_may_be_off(tmp_path: Path) -> None:
    (tmp_path / "game.yaml").write_text(SAMPLED)
    told = shuzheng("contribution", tmp_path / "game.yaml", "-o", tmp_path / "game.xlsx")
    bound = run(read_text(SAMPLED)).bound_fen
    assert f"off by at most {bound // 100}.{bound % 100:02d} yuan" in told
    cell = openpyxl.load_workbook(tmp_path / "game.xlsx").worksheets[0].cell(2, 1).value
    assert f"at most {bound} fen" in cell
    data = json.loads(shuzheng("contribution", tmp_path / "game.yaml", "--json"))
    assert data["bound_fen"] == bound


def test_wrong_games_and_endings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "game.yaml").write_text(SAMPLED.replace("draws: 2000", "draws: 7"))
    assert "sampling.draws: is 7" in shuzheng("contribution", tmp_path / "game.yaml", code=1)
    (tmp_path / "game.yaml").write_text(SAMPLED)
    told = shuzheng("contribution", tmp_path / "game.yaml", "-o", tmp_path / "game.pdf", code=1)
    assert told == "refused: Write to a file that ends in .json or .xlsx.\n"


def test_many_statements_are_shared_in_order(tmp_path: Path) -> None:
    (tmp_path / "series.yaml").write_text(SERIES, "utf-8")
    told = shuzheng("share", tmp_path / "series.yaml", "-o", tmp_path / "series.json")
    assert told == "运营机构  6.68\ntreasury  3.34\n"
    data = json.loads((tmp_path / "series.json").read_bytes())
    assert data["paid_fen"] == [[667, 333], [1, 0], [0, 1]]
    assert json.loads(shuzheng("share", tmp_path / "series.yaml", "--json")) == data
    shuzheng("share", tmp_path / "series.yaml", "-o", tmp_path / "series.xlsx", code=1)
