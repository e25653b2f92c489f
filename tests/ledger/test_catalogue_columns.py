"""Columns find their fields by name, by what stands in them, and as somebody said the last time."""

from typing import Any

import pytest

from ledger.catalogue_columns import LEFT_OUT, guess
from ledger.catalogue_mapping import apply
from ledger.catalogue_rules import LOOKED_AT, breaches
from ledger.errors import Invalid
from ledger.tables.file_kinds import LIMITS
from ledger.tables.workbook_safety import _Look
from ledger.tabular import Table, column_letters, read_table

LINES = [
    line.split("|")
    for line in (
        "307001001/000001|区划代码|市数据局|11000000DEM000002L|每年|无条件共享|有条件开放|2026-01-02|CSV|"
        "全国乡级行政区划的代码与名称，按省市县逐级对应排列|code、name、area|13800138000",
        "307001001/000002|路灯位置|市城管局|11000000DEM0000061|每月|有条件共享|不予开放|2026-02-03|XLSX|"
        "全市路灯的位置与编号，含所属道路和维护单位的名称|lamp、road、keeper|13900139000",
        "307001001/000003|桥梁名录|市交通局|12000000DEM000001E|不定期|不予共享|不予开放|2025-12-31|PDF|"
        "全市公路桥梁的名称、长度、建成年份和技术状况等级|bridge、length、year|13700137000",
    )
]


def headless(encoding: str = "utf-8", lines: list[Any] | None = None) -> Table:
    text = "\n".join(",".join(line) for line in lines or LINES)
    return read_table(text.encode(encoding), "目录.csv", headless=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
def test_a_table_without_a_header_is_known_by_what_stands_in_it(encoding: str) -> None:
    table = headless(encoding)
    assert table.header[:3] == ("A", "B", "C")
    assert [row.number for row in table.rows] == [1, 2, 3]
    mapping = guess(table.header, rows=table.rows)
    assert [column.field for column in mapping.columns] == [
        "code", "title", "provider", "provider_code", "update_cycle", "sharing", "opening",
        "published_on", "format", "summary", "items", None,
    ]  # fmt: skip
    assert mapping.columns[11].why == "personal", "telephones"
    rows, problems = apply(table, mapping)
    assert [row["row"] for row in rows] == [1, 2, 3]
    assert not [one for one in problems if one.severity == "error"]
    assert "13800138000" not in str(rows)


def test_a_traditional_table_without_a_header_is_read_as_well() -> None:
    lines = [
        ("A1", "公車路線", "交通局", "每週", "有條件共享"),
        ("A2", "公園位置", "工務局", "每月", "無條件共享"),
    ]
    table = headless("big5", lines)
    assert table.encoding == "big5"
    fields = [column.field for column in guess(table.header, rows=table.rows).columns]
    assert fields == ["code", "title", "provider", "update_cycle", "sharing"]


def test_columns_are_called_as_in_a_spreadsheet() -> None:
    assert [column_letters(n) for n in (0, 25, 26, 51, 52, 701, 702)] == [
        "A", "Z", "AA", "AZ", "BA", "ZZ", "AAA",
    ]  # fmt: skip


def test_the_header_may_stand_in_a_row_that_is_named() -> None:
    data = "某市数据目录,2026,,\n制表,数据局,x,y\n\n编号,名称,提供方,备注\n1,甲,局,\n".encode()
    table = read_table(data, "a.csv", header_row=4)
    assert (table.header, table.header_row_number) == (("编号", "名称", "提供方", "备注"), 4)
    assert [row.number for row in table.rows] == [5]
    for wrong in (3, 99):
        with pytest.raises(Invalid, match=f"Row {wrong} of a.csv is blank or not there"):
            read_table(data, "a.csv", header_row=wrong)
    with pytest.raises(Invalid, match="no header row"):
        read_table(data, "a.csv", header_row=4, headless=True)
    with pytest.raises(Invalid, match="empty"):
        read_table(b" \n", "a.csv", headless=True)


def test_what_somebody_said_of_a_column_is_known_again() -> None:
    header = ["编号", "名称", "提供方", "天气", "摘要"]
    said = guess(header).with_field(3, "notes").with_field(4, None)
    assert said.memory() == [None, None, None, "notes", LEFT_OUT]
    again = guess(header, remembered=said.memory())
    assert [column.field for column in again.columns] == [
        "code",
        "title",
        "provider",
        "notes",
        None,
    ]
    assert [column.why for column in again.columns][3:] == ["remembered", "remembered"]
    corrected = again.with_field(3, "summary")
    assert corrected.memory()[3] == "summary"
    assert guess(header[:4], remembered=said.memory()) == guess(header[:4]), "another header"


def test_of_one_kind_of_notice_so_many_are_told_and_the_others_counted() -> None:
    lines = "".join(f"{n},资源{n},局,随缘{n}\n" for n in range(30))
    table = read_table(f"编号,名称,提供方,更新周期\n{lines}".encode(), "a.csv")
    rows, problems = apply(table, guess(table.header), most=20)
    assert len(rows) == 30
    told = [one for one in problems if one.code == "cycle_unknown"]
    assert [one.row for one in told] == list(range(2, 22))
    [more] = [one for one in problems if one.code == "more_alike"]
    assert (more.column, more.value, more.severity) == ("更新周期", "10", "notice")
    bad = "".join(f"{n},,局\n" for n in range(30))
    table = read_table(f"编号,名称,提供方\n{bad}".encode(), "a.csv")
    _, problems = apply(table, guess(table.header), most=20)
    assert sum(one.severity == "error" for one in problems) == 30, "every bad row at once"


def test_a_value_for_all_rows_counts_where_a_cell_says_nothing() -> None:
    table = read_table("编号,名称,提供方,开放类型\n1,甲,局,\n2,乙,局,不予开放\n".encode(), "a.csv")
    rows, _ = apply(table, guess(table.header), defaults={"opening": "无条件开放", "sharing": "1"})
    assert [row["opening"] for row in rows] == ["unconditional", "not_open"]
    assert {row["sharing"] for row in rows} == {"unconditional"}


def test_the_rules_look_at_nothing_but_what_they_say_they_look_at() -> None:
    class Watched(dict[str, Any]):
        seen: set[str] = set()

        def get(self, key: str, default: Any = None) -> Any:
            self.seen.add(key)
            return super().get(key, default)

    for sharing in ("conditional", "not_shared", "unconditional"):
        for opening in ("conditional", "unconditional", "not_open"):
            for extra in ({}, {"grading": "核心", "person_count": 5, "sensitive_person_count": 1},
                          {"impacts": ["economy:serious"], "personal_information": "general"}):  # fmt: skip
                given = Watched(sharing=sharing, opening=opening, format=["CSV"], **extra)
                list(breaches("307001", given))
    assert Watched.seen <= set(LOOKED_AT)


# ---------------------------------------------------------------- a workbook is looked at before it is read


def look(*pieces: bytes, member: str = "xl/worksheets/sheet1.xml") -> _Look:
    made = _Look(member, pieces[0], LIMITS)
    for piece in pieces:
        made.at(piece)
    return made


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        (b'<row r="1"><c r="A1" s="1"><v>1</v></c><c r="Z200" t="s"><v>1</v></c></row>', True),
        (b'<cols><col min="1"/></cols><row r="9"/>', True),
        (b'<c r="XFD1048576"><v>1</v></c>', False),  # too large a box
        (b'<c r="A999999"><v>1</v></c>', False),
        (b'<c r="ZZZ1"><v>1</v></c>', False),
        (b"<c><v>1</v></c>", False),  # without a place
        (b'<c\nr="A1"><v>1</v></c>', False),  # written otherwise: looked at as XML
        (b"<c r='A1'><v>1</v></c>", False),
        (b'<c  r="A1"><v>1</v></c>', False),
        (b'<c s="1" r="A1"><v>1</v></c>', False),
        (b'<c r="&#88;FD1048576"><v>1</v></c>', False),
        (b'<x:c r="A1"><x:v>1</x:v></x:c>', False),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>', False),
        (b"\xff\xfe<\x00c\x00", False),
    ],
)
def test_only_what_is_understood_in_whole_passes_unread(text: bytes, harmless: bool) -> None:
    assert look(text).is_harmless() is harmless
    for cut in range(3, len(text), 2):  # wherever a piece ends
        assert look(text[:cut], text[cut:]).is_harmless() is harmless, cut


def test_relations_are_always_read_as_xml() -> None:
    assert not look(b"<a/>", member="xl/_rels/workbook.xml.rels").is_harmless()
