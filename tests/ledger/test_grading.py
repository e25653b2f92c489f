"""Grading by GB/T 43697-2024: every cell of the matrix, the stricter ground, every spelling."""

import doctest

import pytest

from ledger import grading
from ledger.errors import Invalid

CELLS = {
    "national_security": "core core important",
    "economy": "core important general",
    "social_order": "core important general",
    "public_interest": "core important general",
    "organisation": "general general general",
    "person": "general general general",
}


@pytest.mark.parametrize(
    ("touched", "degree", "expected"),
    [
        (touched, degree, expected)
        for touched, row in CELLS.items()
        for degree, expected in zip(("extreme", "serious", "ordinary"), row.split(), strict=True)
    ],
)
def test_each_cell_of_the_matrix_gives_its_level(touched: str, degree: str, expected: str) -> None:
    assert grading.level([(touched, degree)]) == (
        expected, [grading.Ground("impact", expected, touched, degree)],
    )  # fmt: skip


def test_of_several_objects_the_strictest_prevails_and_each_ground_is_told() -> None:
    level, grounds = grading.level([("economy", "serious"), ("person", "extreme")])
    assert level == "important"
    assert [one.level for one in grounds] == ["important", "general"]


def test_harm_to_none_is_general_and_an_unknown_object_is_refused() -> None:
    assert grading.level([]) == ("general", [])
    with pytest.raises(Invalid, match="weather"):
        grading.level([("weather", "serious")])


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, None),
        ({"grading": "不知道"}, None),
        ({"grading": "general"}, "general"),
        ({"grading": "重要"}, "important"),
        ({"impacts": ["person:extreme"]}, "general"),
        ({"grading": "general", "impacts": ["economy:serious"]}, "important"),
        ({"grading": "core", "impacts": ["economy:ordinary"]}, "core"),
        ({"important_list": "yes"}, "important"),
        ({"important_list": "no"}, None),
        ({"grading": "core", "important_list": "yes"}, "core"),
        ({"impacts": None, "grading": None, "important_list": None}, None),
        ({"grading": "涉密数据"}, "core"),
        ({"grading": None, "grading_text": "涉密（机密）"}, "core"),
        ({"grading": "重要数据3级"}, "important"),
        ({"grading": None, "grading_text": "重要数据3级"}, "important"),
        ({"grading": "general", "grading_text": "重要数据3级"}, "general"),
        ({"grading_text": "绝对"}, None),
    ],
)
def test_a_resource_s_grade_is_the_strictest_of_its_grounds(
    elements: dict[str, object], expected: str | None
) -> None:
    assert grading.effective(elements) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("核心数据", "core"), ("核心", "core"), ("CORE", "core"), ("重要级", "important"),
        ("重要數據", "important"), ("一般", "general"), ("一般数据4级", "general"), ("5", None), ("", None),
        ("核心数据（一级）", "core"), ("国家核心数据", "core"), ("重要数据3级", "important"),
        ("一般数据（2级）", "general"), ("L1（一般数据）", "general"), ("级别：重要", "important"),
        ("重要/一般", None), ("一般数据（重要级）", None), ("core 或重要", None),
        ("非重要数据", None), ("一般以上", None), ("高于一般", None), ("not important", None),
        ("重要（important）", "important"),
        ("一般（机密）", None), ("核心（国家秘密）", None), ("三级", None),
    ],
)  # fmt: skip
def test_a_grade_is_read_in_every_spelling(text: str, expected: str | None) -> None:
    assert grading.read_level(text) == expected


@pytest.mark.parametrize(
    "text",
    ["涉密", "涉密数据", "機密", "绝密", "Secret", "秘密", "秘密级", "机密级", "絕密級", "涉密（机密）",
     "国家秘密（机密级）", "核心（涉密）", "不涉密？机密"],
)  # fmt: skip
def test_state_secrets_are_known_as_such(text: str) -> None:
    assert grading.is_secret(text)
    assert grading.effective({"grading_text": text}) == "core"


@pytest.mark.parametrize(
    "text", ["非涉密", "不涉密", "非涉密数据", "不涉及国家秘密", "商业秘密", "核心", ""]
)
def test_what_is_no_state_secret_is_not_taken_for_one(text: str) -> None:
    assert not grading.is_secret(text)


def test_impacts_are_read_with_any_mark_between_object_and_degree() -> None:
    text = "国家安全：特别严重；公共利益（一般危害）、economy:serious；组织-轻微；个人=严重损害"
    assert grading.read_impacts(text) == (
        ["national_security:extreme", "public_interest:ordinary", "economy:serious",
         "organisation:ordinary", "person:serious"], [],
    )  # fmt: skip
    assert grading.read_impacts("国家安全") == ([], ["国家安全"])


def test_the_examples_in_the_text_hold() -> None:
    assert doctest.testmod(grading).failed == 0
