"""Columns find their fields, rows become resources, and every fault is told at once."""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.catalogue_mapping import FIELDS, apply, guess
from ledger.catalogue_values import (
    CYCLES,
    read_count,
    read_cycle,
    read_date,
    read_formats,
    split_list,
)
from ledger.errors import Invalid
from ledger.tabular import Problem, Table, read_table

DATA = Path(__file__).parents[2] / "data"
REAL = read_table(DATA / "catalogue_taoyuan_2018.xlsx")


def table(text: str) -> Table:
    return read_table(text.encode(), "目录.csv")


def imported(text: str, **options: Any) -> tuple[list[dict[str, Any]], list[Problem]]:
    read = table(text)
    return apply(read, guess(read.header), **options)


def codes(problems: list[Problem]) -> list[tuple[str, int | None, str]]:
    return [(one.severity, one.row, one.code) for one in problems]


# ---------------------------------------------------------------- the real catalogue


def test_all_rows_of_the_real_catalogue_are_imported_with_its_faults_counted() -> None:
    resources, problems = apply(REAL, guess(REAL.header), strict=True)
    assert len(resources) == 1429
    assert Counter((one.severity, one.code) for one in problems) == {
        ("notice", "column_repeats"): 3,
        ("notice", "column_blank"): 3,
        ("notice", "column_partly_blank"): 7,
        ("notice", "format_respelt"): 16,
        ("notice", "cell_blank"): 11,
        ("notice", "date_republican"): 6,
        ("notice", "date_unreadable"): 1,
        ("notice", "count_respelt"): 3,
        ("notice", "link_unreadable"): 1,
        ("notice", "title_repeated"): 1,
    }


def test_the_one_repeated_title_of_the_real_catalogue_is_a_notice_naming_both_rows() -> None:
    _, problems = apply(REAL, guess(REAL.header))
    (repeated,) = [one for one in problems if one.code == "title_repeated"]
    assert (repeated.row, repeated.column) == (597, "資料名稱")
    assert "445" in repeated.reason_zh
    assert "445" in repeated.reason_en


def test_the_real_catalogue_is_brought_to_our_values() -> None:
    resources, _ = apply(REAL, guess(REAL.header))
    assert Counter(one["update_cycle"] for one in resources) == {
        "irregular": 876, "annual": 318, "monthly": 74, "quarterly": 57, "continuous": 48,
        "semiannual": 27, "daily": 27, "weekly": 2,
    }  # fmt: skip
    assert len({one["provider"] for one in resources}) == 34
    assert all(one["provider_code"] for one in resources)
    assert len({one["category"] for one in resources}) == 15
    formats = Counter(word for one in resources for word in one["format"] or [])
    assert len(formats) == 20
    assert (formats["CSV"], formats["SHP"]) == (1217, 12)
    assert sum(one["record_count"] is not None for one in resources) == 495
    assert sum(one["format"] is None for one in resources) == 11


def test_a_real_row_becomes_this_resource() -> None:
    resources, _ = apply(REAL, guess(REAL.header))
    known = {key: value for key, value in resources[4].items() if value is not None}
    assert known.pop("items") == split_list(known["items_text"], ",")
    assert known.pop("items_text").startswith("區,地價稅_稅籍戶數")
    assert known.pop("keywords") == [
        "稅籍數",
        "使用牌照稅",
        "實徵稅額",
        "土地增值稅",
        "地價稅",
        "契稅",
    ]
    assert known.pop("source_url").startswith("https://data.tycg.gov.tw//opendata/")
    assert known == {
        "sheet": "開放資料供應清單", "row": 6, "code": "5",
        "title": "104年各稅稅籍數及實徵稅額統計表-按區別",
        "provider": "地方稅務局", "provider_code": "380260000D",
        "summary": "104年各稅(包含地價稅、使用牌照稅、土地增值稅及契稅)稅籍數及實徵稅額統計表-按區別",
        "format": ["CSV"], "format_text": "CSV", "update_cycle": "irregular",
        "update_cycle_text": "不定期", "published_on": "2017-02-22", "updated_on": "2017-02-22",
        "category": "公共資訊", "category_count": 921, "kind": "原始資料", "record_count": 13,
        "period_from": "2015-01-01", "period_to": "2015-12-31",
        "licence": "政府資料開放授權條款－第1版", "encoding": ["UTF-8"],
    }  # fmt: skip


def test_a_resource_has_every_field_and_plain_values_only() -> None:
    resources, _ = apply(REAL, guess(REAL.header))
    for resource in resources:
        assert set(FIELDS) <= set(resource)
        for value in resource.values():
            assert value is None or isinstance(value, str | int | list)
            assert not isinstance(value, list) or all(isinstance(part, str) for part in value)


# ---------------------------------------------------------------- columns


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        (["信息资源代码", "信息资源名称", "信息资源提供方", "提供方代码", "信息资源摘要"],
         ["code", "title", "provider", "provider_code", "summary"]),
        (["資料集編號", "資料集名稱", "提供機關", "備註", "更新頻率"],
         ["code", "title", "provider", "notes", "update_cycle"]),
        (["ID", "Dataset Title", "publisher", "dct:accrualPeriodicity", "landingPage"],
         ["code", "title", "provider", "update_cycle", "source_url"]),
        (["资源编号(必填)", "＊资源名称", "责任部门", "共享 类型", "是否向社会开放"],
         ["code", "title", "provider", "sharing", "opening"]),
        (["编号", "联系人", "联系电话", "天气", ""], ["code", None, None, None, None]),
    ],
)  # fmt: skip
def test_headers_in_three_tongues_find_their_fields(
    header: list[str], fields: list[str | None]
) -> None:
    assert [column.field for column in guess(header).columns] == fields


def test_no_synonym_stands_under_two_fields() -> None:
    seen: dict[str, str] = {}
    for field in FIELDS.values():
        for synonym in field.synonyms:
            assert seen.setdefault(synonym, field.name) == field.name


def test_each_field_is_found_by_its_own_chinese_and_english_name() -> None:
    for field in FIELDS.values():
        assert guess([field.zh]).columns[0].field == field.name
        assert guess([field.name]).columns[0].field == field.name


def test_columns_of_persons_are_left_out_and_told() -> None:
    resources, problems = imported("编号,名称,提供方,联系人,联系电话\n1,甲,乙,张三,13800138000\n")
    assert "张三" not in str(resources)
    assert [one.column for one in problems if one.code == "column_personal"] == [
        "联系人",
        "联系电话",
    ]


def test_an_unknown_column_is_a_notice_and_under_strict_a_refusal() -> None:
    text = "编号,名称,提供方,天气\n1,甲,乙,晴\n"
    assert ("notice", None, "column_unknown") in codes(imported(text)[1])
    with pytest.raises(Invalid, match="天气"):
        imported(text, strict=True)


def test_all_missing_columns_are_named_with_the_headers_seen() -> None:
    with pytest.raises(Invalid, match="Headers seen: 天气、名称") as refusal:
        imported("天气,名称\n晴,甲\n")
    assert refusal.value.facts["missing"] == ["code", "provider"]


def test_a_default_stands_in_for_a_missing_column() -> None:
    resources, _ = imported("编号,名称\n1,甲\n", defaults={"provider": "市交通局"})
    assert resources[0]["provider"] == "市交通局"
    with pytest.raises(Invalid, match="colour"):
        imported("编号,名称\n1,甲\n", defaults={"colour": "red"})


def test_a_person_may_give_a_column_another_field() -> None:
    read = table("编号,名称,提供方,天气\n1,甲,乙,晴\n")
    mapping = guess(read.header).with_field(3, "summary").with_field(1, None).with_field(0, "title")
    assert mapping.fields == {"title": 0, "provider": 2, "summary": 3}
    assert mapping.columns[1].why == "ignored"
    with pytest.raises(Invalid, match="no field colour"):
        mapping.with_field(0, "colour")
    with pytest.raises(Invalid, match="no column 9"):
        mapping.with_field(8, "code")


def test_a_mapping_of_another_table_is_refused() -> None:
    with pytest.raises(Invalid, match="anew"):
        apply(table("编号,名称,提供方\n1,甲,乙\n"), guess(["a"]))


def test_two_columns_for_one_field_that_differ_are_told() -> None:
    _, problems = imported("编号,名称,提供方,数据来源,更新周期,更新频率\n1,甲,乙,系统,每月,每年\n")
    (one,) = [one for one in problems if one.code == "column_differs"]
    assert (one.column, one.value) == ("更新频率", "1")


# ---------------------------------------------------------------- rows

GOOD = "9,好,交通局\n"


def test_every_bad_row_is_told_at_once_and_only_good_rows_are_kept() -> None:
    long = "长" * 201
    resources, problems = imported(
        f"编号,名称,提供方\n1,甲,局\n1,乙,局\n,丙,局\n3,,局\n4,{long},局\n,,局\n7,甲,\n{GOOD}"
    )
    errors = [one for one in codes(problems) if one[0] == "error"]
    assert errors == [
        ("error", 3, "code_repeated"),
        ("error", 4, "code_missing"),
        ("error", 5, "title_missing"),
        ("error", 6, "too_long"),
        ("error", 7, "code_missing"),
        ("error", 7, "title_missing"),
        ("error", 8, "provider_missing"),
    ]
    assert [one["row"] for one in resources] == [2, 9]


def test_a_problem_speaks_both_tongues_and_shortens_its_value() -> None:
    _, problems = imported(f"编号,名称,提供方\n1,{'长' * 300},局\n")
    (one,) = [one for one in problems if one.severity == "error"]
    assert one.as_dict() == {
        "severity": "error", "code": "too_long", "sheet": None, "row": 2, "column": "名称",
        "reason_zh": "资源名称有 300 字，超过 200 字。",
        "reason_en": "The title has 300 characters, more than 200.", "value": "长" * 79 + "…",
    }  # fmt: skip


def test_what_cannot_be_read_stays_text_or_none_and_is_told() -> None:
    resources, problems = imported(
        "编号,名称,提供方,更新周期,发布日期,数据量,资源格式,共享类型,开放类型,链接\n"
        "1,甲,局,有空时,很久以前,若干,奇怪,也许,也许,见附件\n"
    )
    one = resources[0]
    assert (one["update_cycle"], one["update_cycle_text"]) == (None, "有空时")
    assert (one["published_on"], one["record_count"]) == ("很久以前", None)
    assert (one["format"], one["sharing"], one["opening"]) == (["奇怪"], None, None)
    assert {code for _, row, code in codes(problems) if row == 2} == {
        "cycle_unknown", "date_unreadable", "count_unreadable", "format_unknown", "sharing_unknown",
        "opening_unknown", "link_unreadable",
    }  # fmt: skip


def test_a_flag_of_personal_information_is_read_as_yes_or_kept_as_it_is_written() -> None:
    cells = ("是", "有", "含", "涉及", "包含", "yes", "y", "1", "true", "也许")
    lines = "".join(f"{n},甲{n},局,不予开放,{cell}\n" for n, cell in enumerate(cells))
    resources, problems = imported("编号,名称,提供方,开放类型,是否含个人信息\n" + lines)
    *read, unread = resources
    assert {one["personal_information"] for one in read} == {"general"}
    assert not any("personal_information_text" in one for one in read)
    assert (unread["personal_information"], unread["personal_information_text"]) == (None, "也许")
    told = [row for _, row, code in codes(problems) if code == "personal_information_unknown"]
    assert told == [len(cells) + 1]


def test_a_grade_is_read_by_the_level_it_names_or_kept_as_it_is_written() -> None:
    cells = ("核心数据（一级）", "重要数据3级", "一般数据（2级）", "三级", "重要或一般")
    lines = "".join(f"{n},甲{n},局,不予开放,{cell}\n" for n, cell in enumerate(cells))
    resources, problems = imported("编号,名称,提供方,开放类型,数据分级\n" + lines)
    assert [(one["grading"], one.get("grading_text")) for one in resources] == [
        ("core", None), ("important", None), ("general", None), (None, "三级"), (None, "重要或一般"),
    ]  # fmt: skip
    assert [row for _, row, code in codes(problems) if code == "grading_unknown"] == [5, 6]


def test_the_rules_on_sharing_and_opening_are_checked() -> None:
    _, problems = imported(
        "编号,名称,提供方,共享类型,共享条件,开放类型\n"
        "1,甲,局,有条件共享,,不予开放\n2,乙,局,不予共享,,无条件开放\n3,丙,局,2,函商,3\n"
    )
    told = [(row, code) for _, row, code in codes(problems) if row]
    assert told == [
        (2, "sharing_condition_missing"), (3, "sharing_basis_missing"), (3, "open_but_not_shared"),
    ]  # fmt: skip


def test_a_credit_code_with_a_wrong_check_character_is_told() -> None:
    text = "编号,名称,提供方,提供方代码\n1,甲,局,91110000600037341L\n2,乙,局,911100006000373411\n"
    _, problems = imported(text)
    assert [row for _, row, code in codes(problems) if code == "provider_code_check"] == [3]


def test_a_blank_provider_code_is_no_fault_when_the_provider_carries_it() -> None:
    resources, problems = imported("编号,名称,提供方,提供方代码\n1,甲,380160000A 【地政局】,\n")
    assert resources[0]["provider_code"] == "380160000A"
    assert "cell_blank" not in {one.code for one in problems}


# ---------------------------------------------------------------- spellings


@pytest.mark.parametrize(
    ("spelling", "freq"),
    [
        ("每日", "daily"), ("每天更新", "daily"), ("每週", "weekly"), ("每周一次", "weekly"),
        ("每月", "monthly"), ("月", "monthly"), ("每季", "quarterly"), ("每季度", "quarterly"),
        ("每半年", "semiannual"), ("半年", "semiannual"), ("每年", "annual"), ("年度", "annual"),
        ("不定期", "irregular"), ("即時", "continuous"), ("实时", "continuous"), ("4", "monthly"),
        ("Monthly", "monthly"), ("一次性", "never"), ("每两年", "biennial"), ("随缘", None),
    ],
)  # fmt: skip
def test_spellings_of_the_update_cycle_mean_one_value(spelling: str, freq: str | None) -> None:
    assert read_cycle(spelling) == freq


def test_each_cycle_is_read_back_from_its_own_names() -> None:
    for cycle in CYCLES.values():
        assert read_cycle(cycle.zh) == read_cycle(cycle.freq) == cycle.freq


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("SHX, SBX, DBF, PRJ, QPJ, SHP, CPG, SBN", ["SHP"]),
        ("DBF", ["DBF"]),
        ("ARCGIS, CSV, SHAPEFILE, KML, GEOJSON, URL",
         ["ARCGIS", "CSV", "SHP", "KML", "GEOJSON", "URL"]),
        ("excel文件；接口", ["XLSX", "API"]),
        (".xls/.xlsx", ["XLS", "XLSX"]),
        ("ｃｓｖ", ["CSV"]),
    ],
)  # fmt: skip
def test_spellings_of_formats_become_one_list(text: str, formats: list[str]) -> None:
    assert read_formats(text)[0] == formats


@given(st.dates(min_value=date(1912, 1, 1)))
def test_every_date_is_read_back_in_all_its_spellings(day: date) -> None:
    iso = day.isoformat()
    y, m, d = day.year, day.month, day.day
    for text in (iso, f"{y}/{m}/{d}", f"{y}.{m:02}.{d:02}", f"{y}年{m}月{d}日", f"{iso} 23:59:59"):
        assert read_date(text) == (iso, "read")
    if 10 <= y - 1911 <= 199:
        assert read_date(f"{y - 1911}-{m}-{d}") == (iso, "republican")


@pytest.mark.parametrize("text", ["2018-02-30", "20107-12-15", "2018", "201802", "", "1/2/2018"])
def test_an_impossible_date_stays_as_it_is(text: str) -> None:
    kept, how = read_date(text)
    assert kept == text
    assert how == ("read" if text == "2018" else "unreadable")


@given(st.integers(0, 10**12))
def test_a_count_is_read_with_separators_and_counting_words(count: int) -> None:
    assert read_count(str(count)) == (count, True)
    assert read_count(f"{count}條") == (count, False)
    assert read_count(f"{count:,}")[0] == count


@given(st.text(alphabet="ab(（)）,、；\n "))
def test_no_character_of_a_list_is_lost_but_separators_and_repeats(text: str) -> None:
    parts = split_list(text)
    assert all(part == part.strip() != "" for part in parts)
    assert {char for char in text if char in "ab"} == {
        c for part in parts for c in part if c in "ab"
    }
