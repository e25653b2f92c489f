"""Pictures: well-formed whatever comes in, on the paper, told in words, and as long as the numbers are."""

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from webapp.pages import charts

HOSTILE = [
    "<script>alert(1)</script>",
    '"/><rect onload="x"',
    "&amp; ' 锟斤拷",
    "甲" * 400,
    "",
    "\u202e",
]
SVG = "{http://www.w3.org/2000/svg}"
FEN = st.integers(-(2**53), 2**53)
TEXT = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=60
)


def say(fen: int) -> str:
    return charts.short_amount(fen, "zh")


def read(picture: Markup) -> ET.Element:
    """The picture as XML; it has a name and a sentence, no script, no style, and stays on its paper."""
    text = str(picture).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    root = ET.fromstring(text)
    _, _, wide, tall = map(float, root.attrib["viewBox"].split())
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"]
    assert root.find(f"{SVG}title") is not None
    for one in root.iter():
        assert one.tag.removeprefix(SVG) in (
            "svg",
            "title",
            "desc",
            "text",
            "rect",
            "line",
            "polyline",
        )
        assert not {"style", "href"} & set(one.attrib)
        assert not [name for name in one.attrib if name.startswith("on")]
        if one.tag == f"{SVG}rect":
            x, y, w, h = (float(one.attrib[name]) for name in ("x", "y", "width", "height"))
            assert w >= 0
            assert h >= 0
            assert -0.1 <= x <= x + w <= wide + 1.1, one.attrib
            assert y + h <= tall + 0.1
    return root


def boxes(picture: Markup, kind: str) -> list[float]:
    """How wide the boxes of a kind are."""
    return [
        float(one.attrib["width"]) for one in read(picture).iter(f"{SVG}rect")
        if one.attrib["class"] == kind
    ]  # fmt: skip


# -- whatever comes in -------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_and_nothing_else(name: str) -> None:
    pictures = [
        charts.shares(name, name, [(name, [charts.Share(name, Fraction(1, 3), name)])]),
        charts.heat(name, name, [name], [(name, [1])]),
        charts.histogram(name, name, [(0, 1, 1)], [(name, 0)], say),
        charts.tornado(name, name, 1, [(name, name, 0, 2)], say),
        charts.lines(name, name, [1, 2], [(name, [1, 2])], say),
        charts.amounts(name, name, [(name, 1, name)], say, (name, 1)),
    ]
    for picture in pictures:
        root = read(picture)
        assert root.find(f"{SVG}title").text == (name or None)  # type: ignore[union-attr]
        assert "<script" not in str(picture)


@given(st.lists(st.tuples(TEXT, FEN, TEXT), max_size=8), FEN)
def test_any_amounts_are_drawn(rows: list[tuple[str, int, str]], whole: int) -> None:
    read(charts.amounts("t", "d", rows, say, ("w", whole)))


@given(FEN, st.lists(st.tuples(TEXT, TEXT, FEN, FEN), max_size=8))
def test_any_tornado_is_drawn(base: int, bars: list[tuple[str, str, int, int]]) -> None:
    read(charts.tornado("t", "d", base, bars, say))


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=7, unique=True).map(sorted), st.data())
def test_any_series_are_drawn(at: list[int], data: st.DataObject) -> None:
    ys = st.lists(FEN, min_size=len(at), max_size=len(at))
    read(charts.lines("t", "d", at, [(name, data.draw(ys)) for name in "abcd"], say))


@given(
    st.lists(st.integers(-(10**12), 10**12), min_size=2, max_size=41, unique=True).map(sorted),
    st.data(),
)
def test_any_histogram_is_drawn(edges: list[int], data: st.DataObject) -> None:
    bins = [(a, b, data.draw(st.integers(0, 10**6))) for a, b in itertools.pairwise(edges)]
    marks = [(f"P{n}", data.draw(st.sampled_from(edges))) for n in (5, 50, 95)]
    read(charts.histogram("t", "d", bins, marks, say))


@given(st.lists(st.tuples(TEXT, st.fractions(-1, 2)), max_size=6))
def test_any_shares_are_drawn(found: list[tuple[str, Fraction]]) -> None:
    read(
        charts.shares("t", "d", [("g", [charts.Share(name, share, "n") for name, share in found])])
    )


@given(st.integers(0, 20), st.data())
def test_any_counts_are_drawn(wide: int, data: st.DataObject) -> None:
    counts = st.lists(st.none() | st.integers(0, 10**12), min_size=wide, max_size=wide)
    rows = [(data.draw(TEXT), data.draw(counts)) for _ in range(data.draw(st.integers(0, 5)))]
    read(charts.heat("t", "d", [f"{n:04d}" for n in range(wide)], rows))


# -- what the lengths say ----------------------------------------------------------------------


def test_bars_are_as_long_as_the_amounts_and_equal_ones_alike() -> None:
    picture = charts.amounts("t", "d", [("a", 100, ""), ("b", 50, ""), ("c", 50, "")], say)
    assert boxes(picture, "good") == [352.0, 176.0, 176.0]
    assert boxes(charts.amounts("t", "d", [("a", 0, ""), ("b", 0, "")], say), "good") == [1.0, 1.0]
    both = charts.amounts("t", "d", [("a", 100, ""), ("b", -100, "")], say)
    assert boxes(both, "good") == boxes(both, "bad") == [176.0]


def test_what_is_lacking_is_seen_however_little_it_is() -> None:
    almost = charts.shares("t", "d", [("", [charts.Share("a", Fraction(10**9 - 1, 10**9), "")])])
    assert boxes(almost, "good") == [350.0]
    assert boxes(almost, "lack") == [352.0]
    full = charts.shares("t", "d", [("", [charts.Share("a", Fraction(1), "")])])
    assert (boxes(full, "good"), boxes(full, "lack")) == ([352.0], [])
    none = charts.shares("t", "d", [("", [charts.Share("a", Fraction(0), "")])])
    assert (boxes(none, "good"), boxes(none, "lack")) == ([], [352.0])


def test_the_depth_of_a_cell_tells_the_magnitude() -> None:
    picture = charts.heat("t", "d", list("abcdefg"), [("r", [None, 0, 9, 10, 999, 9_999, 10**9])])
    kinds = [one.attrib["class"] for one in read(picture).iter(f"{SVG}rect")]
    assert kinds == ["none", "heat0", "heat1", "heat2", "heat3", "heat4", "heat5"]


def test_a_tornado_stands_around_its_base() -> None:
    picture = charts.tornado("t", "d", 100, [("a", "", 80, 110), ("b", "", 95, 105)], say)
    assert boxes(picture, "down") == [pytest.approx(226.7, abs=0.1), pytest.approx(56.7, abs=0.1)]
    assert boxes(picture, "good") == [pytest.approx(113.3, abs=0.1), pytest.approx(56.7, abs=0.1)]
    one_side = charts.tornado("t", "d", 100, [("a", "", 110, 120)], say)
    assert boxes(one_side, "good") == [340.0]
    assert boxes(one_side, "down") == [170.0]


def test_marks_that_are_close_stand_in_lines_of_their_own() -> None:
    picture = charts.histogram(
        "t", "d", [(0, 100, 1)], [("P50", 50), ("P51", 51), ("P99", 99)], say
    )
    places = {one.text: float(one.attrib["y"]) for one in read(picture).iter(f"{SVG}text")}
    assert places["P50"] != places["P51"]
    assert places["P50"] == places["P99"]


@pytest.mark.parametrize(
    ("fen", "lang", "text"),
    [
        (0, "zh", "0.00"), (99, "en", "0.99"), (-5, "zh", "-0.05"), (123_456_00, "zh", "12.35 万"),
        (123_456_00, "en", "123.5 k"), (10**15, "zh", "100,000 亿"), (10**15, "en", "10,000 bn"),
        (-128_040_000, "zh", "-128.0 万"), (999_999, "zh", "9,999.99"), (1_000_000, "zh", "1.000 万"),
    ],
)  # fmt: skip
def test_an_amount_is_short_and_has_its_unit(fen: int, lang: str, text: str) -> None:
    assert charts.short_amount(fen, lang) == text


@pytest.mark.parametrize("say_too_long", [lambda fen: "9" * 200])
def test_long_words_do_not_widen_the_paper(say_too_long: Callable[[int], str]) -> None:
    picture: Any = charts.amounts("t", "d", [("a", 1, "")], say_too_long, ("w", 1))
    assert re.search(r'viewBox="0 0 360 ', str(picture))
