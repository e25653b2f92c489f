"""The way of one yuan in docs/finance.md, walked with its commands in a demo home."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.story.conftest import Demo

DOCUMENT = Path(__file__).parents[2] / "docs" / "finance.md"


def commands() -> list[list[str]]:
    text = DOCUMENT.read_text(encoding="utf-8")
    walk = text[text.index("## The way of one yuan") :]
    return [shlex.split(line) for line in re.findall(r"^shuzheng (.*)$", walk, re.MULTILINE)]


@pytest.mark.slow
def test_one_yuan_is_followed_from_a_trade_to_a_payee_s_proof(demo: Demo) -> None:
    """Each station tells the same money; who reads the last one needs no registry."""
    [day] = re.findall(
        r"closed until ([0-9-]+);", demo.invoke(*_at(demo, ["finance", "list"])).output
    )
    names = {"2026-10-01": day, "home": str(demo.home)}
    told = []
    for words in commands():
        line = [names.get(word, word).replace("home/demo", str(demo.folder)) for word in words]
        line = [re.sub(r"\b(XY|FP|ZF)2026-", rf"\g<1>{day[:4]}-", word) for word in line]
        if "--rpc" in line:  # the story asked the node itself; without one nobody can tell
            line = [*line[: line.index("--rpc")], "--offline"]
        done = demo.invoke(*line)
        assert done.exit_code == (2 if line[0] == "verify" else 0), (line, done.output)
        told.append(done.output)
    trades, takings, line, account, payout, _, verdict = told
    assert "DEMO-BANK-0001  380000.00" in trades
    assert "358490.57" in takings
    assert "169284.91" in line
    assert "169284.91  214284.91" in account
    assert account.rstrip().endswith("214284.91  0.00  0.00")
    assert {one["state"] for one in json.loads(payout)["lines"]} == {"paid"}
    assert "line.json" in demo.output
    assert verdict
    proof = (demo.folder / "line.json").read_bytes()
    assert b"91000000DEM000003F" in proof
    assert b"11000000DEM0000061" not in proof


def _at(demo: Demo, words: list[str]) -> list[str]:
    return [*words, "--home", str(demo.home)]
