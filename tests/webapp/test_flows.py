"""The picture of where the money flows: in its frame, escaped, with every fen; the commands of schemes."""

import json
import re
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.valuation import scheme_cases
from valuation.sharing import recompute_distribution, run, share
from webapp.cli import main
from webapp.documents import read_text
from webapp.pages import flows
from webapp.pages.charts import WIDTH

SCHEMES = sorted((Path(__file__).parents[2] / "data/schemes").glob("*.yaml"))
LONG = {name: f"{name} <b>&很长很长的一个收款单位名称有限责任公司" for name in scheme_cases.PARTIES}


def numbers(text):
    return [Fraction(one) for one in re.findall(r"-?[0-9]+(?:\.[0-9]+)?", text)]


def inside(svg):
    """Hold every mark of a picture against its frame."""
    tree = ET.fromstring(svg)
    _, _, wide, tall = numbers(tree.attrib["viewBox"])
    assert wide == WIDTH
    for mark in tree.iter():
        tag, at = mark.tag.rpartition("}")[2], mark.attrib
        if tag == "path":
            places = numbers(at["d"])
            assert all(0 <= x <= wide for x in places[::2])
            assert all(0 <= y <= tall for y in places[1::2])
        elif tag == "rect":
            assert 0 <= Fraction(at["x"]) <= wide - Fraction(at["width"])
            assert 0 <= Fraction(at["y"]) <= tall - Fraction(at["height"])
        elif tag == "text":
            assert 0 < Fraction(at["y"]) <= tall
    return tree


@given(scheme_cases.schemes(), st.data())
@settings(max_examples=20, deadline=None)
def test_nothing_leaves_the_picture_and_names_are_escaped(scheme, data):
    amount = data.draw(st.integers(0, 10**13))
    statement = share(scheme, amount, data.draw(scheme_cases.stated(scheme)))
    drawn = flows.picture(statement, LONG, "zh")
    inside(drawn)
    assert "<b>" not in drawn
    assert sum(row["amount_fen"] for row in flows.rows(statement, LONG)) == amount
    assert flows.as_file(drawn) == flows.as_file(flows.picture(statement, LONG, "zh"))


@pytest.mark.parametrize("path", SCHEMES, ids=lambda path: path.stem)
def test_the_bands_into_a_payee_are_as_high_as_what_it_gets(path):
    statement = run(read_text(path.read_text("utf-8")))
    tree = inside(flows.as_file(flows.picture(statement, {}, "en")).decode())
    bars = {}
    for rect in tree.iter("{http://www.w3.org/2000/svg}rect"):
        if Fraction(rect.attrib["x"]) > WIDTH - 20:
            bars[rect[0].text.partition(" ")[0]] = Fraction(rect.attrib["height"])
    for party, fen in statement.paid_fen().items():
        assert abs(bars[party] - Fraction(fen * flows.TALL, statement.amount_fen)) <= 1


def shuzheng(*arguments, code=0):
    done = CliRunner().invoke(main, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_a_scheme_is_explained_and_its_picture_written(tmp_path, monkeypatch):
    monkeypatch.setenv("SHUZHENG_LANG", "en")
    path = next(one for one in SCHEMES if one.stem == "nested")
    said = shuzheng("scheme", "explain", path)
    assert "   2.2.1. lead fee: bureau_a is first paid a fixed 100.00 yuan" in said
    again = tmp_path / "again.yaml"
    again.write_text(shuzheng("scheme", "explain", path, "--yaml"), "utf-8")
    assert shuzheng("scheme", "explain", again) == said
    shuzheng("share", path, "-o", tmp_path / "out.svg")
    inside((tmp_path / "out.svg").read_text("utf-8"))
    shuzheng("share", path, "-o", tmp_path / "out.json")
    assert (
        recompute_distribution(json.loads((tmp_path / "out.json").read_bytes())).amount_fen
        == 300_001
    )
    refused = shuzheng("share", path, "-o", tmp_path / "x.txt", code=1)
    assert refused == "refused: Write to a file that ends in .json, .xlsx or .svg.\n"


def test_a_refusal_names_every_path_in_the_reader_s_language(tmp_path, monkeypatch):
    text = SCHEMES[-1].read_text("utf-8").replace("3/10", "30%").replace('"5000.00"', '"-1"')
    (tmp_path / "bad.yaml").write_text(text, "utf-8")
    monkeypatch.setenv("SHUZHENG_LANG", "en")
    said = shuzheng("scheme", "explain", tmp_path / "bad.yaml", code=1)
    assert "scheme.steps[2].shares[1].share: is '30%': write it as 3/10" in said
    monkeypatch.setenv("SHUZHENG_LANG", "zh")
    said = shuzheng("scheme", "explain", tmp_path / "bad.yaml", code=1)
    assert "scheme.steps[2].shares[1].share：为 '30%'：请写作 3/10" in said
    assert "scheme.steps[0].cap_fen：为 -100 分，至少应为 0 分" in said
