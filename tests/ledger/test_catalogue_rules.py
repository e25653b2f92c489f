"""What the elements of a resource must say together, and what a table is told of it."""

import doctest
from typing import Any

import pytest

from ledger import catalogue_rules, catalogue_values
from ledger.catalogue_fields import FIELDS, INNER
from ledger.catalogue_mapping import apply, guess
from ledger.catalogue_rules import breaches, decode
from ledger.tabular import read_table

OPEN = {"sharing": "unconditional", "opening": "unconditional"}


@pytest.mark.parametrize(
    ("elements", "told"),
    [
        ({}, []),
        (OPEN, []),
        ({"sharing": "conditional"}, ["sharing_condition"]),
        ({"sharing": "conditional", "sharing_condition": "函商"}, []),
        ({"opening": "conditional"}, ["opening_condition"]),
        ({"return_flow": "conditional"}, ["return_condition"]),
        ({"return_flow": "yes"}, []),
        ({"sharing": "not_shared", "opening": "not_open"}, ["sharing_basis"]),
        ({"sharing": "not_shared", "sharing_basis": "法", "opening": "conditional",
          "opening_condition": "申请"}, ["opening"]),
        (OPEN | {"personal_information": "none"}, []),
        (OPEN | {"personal_information": "general"}, ["opening"]),
        (OPEN | {"personal_information": "sensitive"}, ["opening"]),
        (OPEN | {"personal_information": None, "personal_information_text": "也许"}, ["opening"]),
        (OPEN | {"personal_information": "也许"}, ["opening"]),
        (OPEN | {"personal_information": "不含个人信息"}, []),
        (OPEN | {"personal_information": ""}, []),
        (OPEN | {"person_count": 3, "personal_information_text": "也许"},
         ["opening", "personal_information"]),
        ({"opening": "conditional", "opening_condition": "申请", "personal_information": "general"}, []),
        (OPEN | {"grading": "general"}, []),
        (OPEN | {"grading": "important"}, ["opening"]),
        (OPEN | {"important_list": "yes"}, ["opening"]),
        ({"opening": "conditional", "opening_condition": "申请", "grading": "important"}, []),
        ({"opening": "conditional", "opening_condition": "申请", "grading": "core"}, ["opening"]),
        ({"opening": "not_open", "grading": "core"}, []),
        ({"opening": "not_open", "grading": "机密级"}, ["grading"]),
        (OPEN | {"grading": None, "grading_text": "国家秘密（机密级）"}, ["grading"]),
        (OPEN | {"grading_text": "绝对"}, []),
        (OPEN | {"grading": "重要数据3级"}, ["opening"]),
        ({"grading": "general", "impacts": ["economy:serious"]}, ["grading"]),
        ({"grading": "core", "impacts": ["economy:serious"]}, []),
        ({"person_count": 3}, ["personal_information"]),
        ({"person_count": 3, "personal_information": "general"}, []),
        ({"sensitive_person_count": 3, "personal_information": "general"}, ["personal_information"]),
        ({"sensitive_person_count": 3, "personal_information": "sensitive"}, []),
        ({"format": ["MYSQL"], "sharing_mode": "共享平台方式-文件"}, ["sharing_mode"]),
        ({"format": ["CSV"], "sharing_mode": "数据库"}, ["sharing_mode"]),
        ({"format": ["CSV"], "sharing_mode": "文件"}, []),
        ({"format": ["MYSQL"], "sharing_mode": "接口"}, []),
    ],
)  # fmt: skip
def test_each_rule_is_told_at_its_element(elements: dict[str, Any], told: list[str]) -> None:
    found = list(breaches("X-1", elements))
    assert [one.at for one in found] == told
    for one in found:
        assert all("{" not in said for said in one.sentences())


@pytest.mark.parametrize(
    ("code", "fits"),
    [
        ("307001001/000001", True), ("101002/1", True), ("6587", True), ("A-1", True), ("京-1/2", True),
        ("30700/1", False), ("907001001/1", False), ("307001001/", False), ("307001001／000001", False),
    ],
)  # fmt: skip
def test_a_code_that_looks_like_the_guide_s_must_be_one(code: str, fits: bool) -> None:
    assert ([one.code for one in breaches(code, {})] == []) is fits


def test_a_directory_code_is_decoded() -> None:
    assert decode("307001001/000001") == {
        "class": "3", "item": "07", "heading": "001", "subheading": "001", "sequence": "000001",
    }  # fmt: skip
    assert catalogue_rules.CLASSES["3"][0] == "部门信息资源目录"


def imported(text: str) -> Any:
    table = read_table(text.encode(), "a.csv")
    return apply(table, guess(table.header))


def test_a_table_brings_every_new_element_in_our_words() -> None:
    header = (
        "编号,名称,提供方,责任部门,更新机制,使用方式,是否回流,回流条件,不予共享依据,影响对象及程度,"
        "是否列入重要数据目录,是否含个人信息,个人信息人数,敏感个人信息人数,是否出境,关键信息基础设施运营者,数据分级"
    )
    row = "1,甲,局,数据处,接口,核验,有條件,申请,,經濟運行：严重；個人權益：一般,否,敏感,100,5,是,否,重要"
    (one,), problems = imported(f"{header}\n{row}\n")
    assert [p.code for p in problems if p.row] == []
    assert {name: one[name] for name in FIELDS if one[name] is not None} == {
        "code": "1", "title": "甲", "provider": "局", "responsible": "数据处",
        "update_mechanism": "接口", "way_of_use": "核验", "return_flow": "conditional",
        "return_condition": "申请", "impacts": ["economy:serious", "person:ordinary"],
        "important_list": "no", "personal_information": "sensitive", "person_count": 100,
        "sensitive_person_count": 5, "export_planned": "yes", "ciio": "no", "grading": "important",
    }  # fmt: skip


def test_a_table_that_names_one_department_names_the_provider() -> None:
    (one,), _ = imported("编号,名称,责任部门\n1,甲,局\n")
    assert (one["provider"], one["responsible"]) == ("局", None)


def test_what_a_table_must_not_hold_makes_its_row_unusable() -> None:
    text = "编号,名称,提供方,数据分级,开放类型,个人信息\n" + "\n".join((
        "1,甲,局,涉密,不予开放,无", "2,乙,局,核心,有条件开放,无", "3,丙,局,一般,无条件开放,敏感",
        "4,丁,局,绝对,不予开放,也许", "5,戊,局,一般,无条件开放,无",
    ))  # fmt: skip
    resources, problems = imported(text)
    assert [one["code"] for one in resources] == ["4", "5"]
    assert [(p.row, p.code) for p in problems if p.severity == "error"] == [
        (2, "grading_secret"), (3, "open_but_core"), (4, "open_but_personal"),
    ]  # fmt: skip
    assert (resources[0]["grading"], resources[0]["grading_text"]) == (None, "绝对")
    assert {p.code for p in problems if p.row == 5} == {
        "grading_unknown", "personal_information_unknown",
    }  # fmt: skip


@pytest.mark.parametrize(
    "cell", ["是", "有", "含", "涉及", "包含", "yes", "Y", "1", "TRUE", "也许", "部分"]
)
def test_a_row_open_to_all_is_unusable_when_its_flag_says_yes_or_what_nobody_can_read(
    cell: str,
) -> None:
    header = "编号,名称,提供方,共享类型,开放类型,是否含个人信息"
    text = f"{header}\n1,甲,局,无条件共享,无条件开放,{cell}\n2,乙,局,无条件共享,无条件开放,否\n"
    resources, problems = imported(text)
    assert [one["code"] for one in resources] == ["2"]
    errors = [(p.row, p.code) for p in problems if p.severity == "error"]
    assert errors == [(2, "open_but_personal")]


@pytest.mark.parametrize(
    "cell", ["秘密级", "机密级", "绝密级", "涉密（机密）", "国家秘密（机密级）"]
)
@pytest.mark.parametrize("opening", ["不予开放", "无条件开放"])
def test_a_row_of_a_state_secret_is_unusable_however_it_is_written(cell: str, opening: str) -> None:
    resources, problems = imported(
        f"编号,名称,提供方,数据分级,开放类型\n1,甲,局,{cell},{opening}\n"
    )
    assert resources == []
    (one,) = [one for one in problems if one.row]
    assert (one.severity, one.code) == ("error", "grading_secret")
    assert one.reason_zh == "涉密数据不在本目录登记，该行无法导入。"


def test_every_coded_value_is_read_in_each_of_its_spellings() -> None:
    for name, values in catalogue_values.CODED.items():
        for value, spellings in values.items():
            for spelling in (value, *spellings):
                assert catalogue_values.read_choice(spelling, values) == value, (name, spelling)


@pytest.mark.parametrize(
    ("updated_on", "cycle", "expected"),
    [
        ("2026-03-02", "continuous", "2026-03-03"), ("2026-03-02", "daily", "2026-03-03"),
        ("2026-02-28", "weekly", "2026-03-07"), ("2026-03-02", "threeTimesAMonth", "2026-03-13"),
        ("2026-03-02", "biweekly", "2026-03-16"), ("2026-03-02", "semimonthly", "2026-03-18"),
        ("2024-01-30", "monthly", "2024-02-29"), ("2026-12-31", "bimonthly", "2027-02-28"),
        ("2026-11-30", "quarterly", "2027-02-28"), ("2026-08-31", "semiannual", "2027-02-28"),
        ("2024-02-29", "annual", "2025-02-28"), ("2024-02-29", "biennial", "2026-02-28"),
        ("2024-02-29", "triennial", "2027-02-28"), ("2026-01", "monthly", "2026-02-28"),
        ("2026", "quarterly", "2027-03-31"), ("2026-03-02", "never", None), ("2026-13-01", "daily", None),
        ("9999-12-31", "annual", None), ("2026-03-02", "", None),
    ],
)  # fmt: skip
def test_data_are_within_their_cycle_until_its_last_day(
    updated_on: str, cycle: str, expected: str | None
) -> None:
    assert catalogue_values.stale_on(updated_on, cycle) == expected


def test_every_cycle_but_the_irregular_has_an_end() -> None:
    timeless = {
        one.freq for one in catalogue_values.CYCLES.values() if not (one.days or one.months)
    }
    assert timeless == {"irregular", "never"}


def test_what_is_weighed_inside_is_not_told_outside() -> None:
    assert set(FIELDS) >= INNER
    given = dict.fromkeys(FIELDS, "x") | {"impacts_text": "x"}
    assert set(catalogue_rules.outside(given)) == set(FIELDS) - INNER


def test_the_examples_in_the_text_hold() -> None:
    assert doctest.testmod(catalogue_rules).failed == doctest.testmod(catalogue_values).failed == 0
