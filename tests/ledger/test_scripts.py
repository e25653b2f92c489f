"""Text folded for comparing: what is alike, and that places found are places in the text as written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.scripts import fold, pieces, simplified, snippet, spans, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("資料", "资料"), ("臺灣 公車", "台湾 公车"), ("Ｃｙｃｌｅ", "cycle"), ("ＡＢ－１", "ab 1"),
        ("café", "CAFE"), ("cafe\u0301", "café"), ("ﬁne", "fine"), ("㍿", "株式會社"), ("①", "1"),
        ("307001001/000001", "307001001／000001"), ("a\u3000b", "a b"),
        ("🚌公車", "公车"), ("Straße", "STRASSE"),
    ],
)  # fmt: skip
def test_what_is_written_differently_and_means_the_same_folds_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_a_question_is_parted_by_blanks_and_commas_not_by_the_signs_of_a_code() -> None:
    assert words("公車、路線，307/1\u3000ab-c 公车 !!! ") == ["公车", "路线", "307 1", "ab c"]
    assert words("\ud800 🚌 ，") == []


def test_places_are_those_of_the_text_as_written() -> None:
    assert spans("㍿公車ﬁne", ["公车"]) == [(1, 3)]
    assert pieces("桃園 ＧＭＰ動物", ["gmp", "动物"]) == [("桃園 ", False), ("ＧＭＰ動物", True)]
    assert pieces("a—b", ["a b"]) == [("a—b", True)]
    assert pieces("<b>&", ["x"]) == [("<b>&", False)]


def test_a_snippet_has_what_was_found_and_says_where_it_was_cut() -> None:
    found = snippet("頭" * 300 + "公車" + "尾" * 300, ["公车"])
    assert found[0] == ("…", False)
    assert found[-1] == ("…", False)
    assert ("公車", True) in found
    assert sum(len(text) for text, _ in found) <= 122
    assert snippet("短", ["x"]) == [("短", False)]


@given(st.text(max_size=40))
def test_folding_once_more_changes_nothing_and_pieces_are_the_whole_text(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert len(simplified(text)) == len(text)
    assert "".join(part for part, _ in pieces(text, words(text))) == text
    for word in words(text):
        assert any(hit for _, hit in pieces(text, [word])), word
