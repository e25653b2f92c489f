"""A table is read by what the file is, in the encoding it is in, or refused with what to do."""

import contextlib
import gzip
import io
import lzma
import struct
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Invalid
from ledger.tables.file_kinds import Limits, sniff
from ledger.tables.text_tables import clean, detect_encoding
from ledger.tabular import read_table

DATA = Path(__file__).parents[2] / "data"
TRADITIONAL = (
    "編號,資料名稱,提供機關\r\n1,桃園市登革熱確診個案分布,衛生局\r\n2,公務出國報告,研考會\r\n"
)
SIMPLIFIED = "编号,资源名称,提供方\n1,城市道路交通流量,市交通局\n2,企业登记信息,市场监管局\n"


def workbook(*rows: list[Any], sheets: tuple[str, ...] = ("目录",), at: int = 0) -> bytes:
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    for sheet_name in sheets:
        sheet = book.add_worksheet(sheet_name)
        for number, row in enumerate(rows if sheet_name == sheets[0] else []):
            for column, value in enumerate(row):
                if isinstance(value, date):
                    sheet.write_datetime(at + number, column, value, day)
                elif value is not None:
                    sheet.write(at + number, column, value)
    book.close()
    return target.getvalue()


def old_workbook(rows: list[list[str | float]], *, protected: bool = False) -> bytes:
    """A BIFF8 workbook in a compound file, with one sheet named 甲."""

    def record(kind: int, body: bytes) -> bytes:
        return struct.pack("<HH", kind, len(body)) + body

    def bof(kind: int) -> bytes:
        return record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0, 0, 0, 6))

    cells = b""
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            place = struct.pack("<HHH", r, c, 0)
            if isinstance(value, str):
                body = struct.pack("<HB", len(value), 1) + value.encode("utf-16-le")
                cells += record(0x0204, place + body)
            else:
                cells += record(0x0203, place + struct.pack("<d", value))
    password = record(0x002F, b"\x01\x00\x01\x00\x01\x00" + b"\x07" * 48) if protected else b""
    name = struct.pack("<BB", 1, 1) + "甲".encode("utf-16-le")
    head_length = len(bof(5)) + len(password) + 4 + 6 + len(name) + 4
    stream = bof(5) + password + record(0x0085, struct.pack("<IH", head_length, 0) + name)
    stream += record(0x000A, b"") + bof(0x10) + cells + record(0x000A, b"")
    stream += b"\x00" * (max(4096, -(-len(stream) // 512) * 512) - len(stream))

    def entry(title: str, kind: int, child: int, start: int, size: int) -> bytes:
        raw = title.encode("utf-16-le") + b"\x00\x00"
        return (
            raw.ljust(64, b"\x00")
            + struct.pack("<HBB", len(raw), kind, 1)
            + struct.pack("<III", 0xFFFFFFFF, 0xFFFFFFFF, child)
            + b"\x00" * 36
            + struct.pack("<IQ", start, size)
        )

    count = len(stream) // 512
    fat = [0xFFFFFFFD, 0xFFFFFFFE, *range(3, count + 2), 0xFFFFFFFE]
    assert len(fat) <= 128
    directory = entry("Root Entry", 5, 1, 0xFFFFFFFE, 0)
    directory += entry("Workbook", 2, 0xFFFFFFFF, 2, len(stream))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 16
    header += struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + b"\x00" * 6
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    header += struct.pack("<109I", 0, *[0xFFFFFFFF] * 108)
    sectors = struct.pack("<128I", *fat, *[0xFFFFFFFF] * (128 - len(fat)))
    return header + sectors + directory.ljust(512, b"\x00") + stream


# ---------------------------------------------------------------- workbooks


def test_the_real_catalogue_is_read_with_its_row_numbers() -> None:
    table = read_table(DATA / "catalogue_taoyuan_2018.xlsx")
    assert (table.format, table.sheet, table.encoding) == ("xlsx", "開放資料供應清單", None)
    assert (len(table.header), len(table.rows)) == (26, 1429)
    assert table.rows[0].number == table.first_row_number == 2
    assert table.rows[-1].number == 1430
    assert table.rows[0].cells[:2] == ("1", "桃園市臨時暨短期照顧服務之委託單位")
    assert table.problems == ()


def test_cells_become_text_without_point_zero_and_dates_become_iso() -> None:
    data = workbook(
        ["a", "b", "c", "d", "e", "f"],
        [1.0, 0.25, True, datetime(2018, 3, 2, 18, 40), datetime(2018, 3, 2), "\u3000市\xa0府 "],
    )
    assert read_table(data).rows[0].cells == (
        "1", "0.25", "TRUE", "2018-03-02 18:40:00", "2018-03-02", "市 府",
    )  # fmt: skip


def test_blank_rows_are_skipped_and_the_numbers_stay_those_of_the_spreadsheet() -> None:
    data = workbook(["a", "b"], [None, None], [1, 2], [" ", "\u3000"], [3, 4], at=2)
    table = read_table(data)
    assert (table.header_row_number, table.first_row_number) == (3, 4)
    assert [row.number for row in table.rows] == [5, 7]


def test_a_title_line_above_the_header_is_passed_over_and_told() -> None:
    table = read_table(workbook(["某市数据目录"], ["编号", "名称"], [1, "甲"]))
    assert table.header == ("编号", "名称")
    assert [problem.code for problem in table.problems] == ["title_line"]


def test_repeated_headers_and_wider_rows_are_reported() -> None:
    table = read_table(b"a,b,a\n1,2,3\n1,2,3,4\n")
    assert table.repeated_headers == ("a",)
    assert [(one.code, one.row) for one in table.problems] == [
        ("header_repeated", 1), ("row_wider", 3),
    ]  # fmt: skip
    assert table.header == ("a", "b", "a", "")
    assert table.rows[0].cells == ("1", "2", "3", "")


def test_a_sheet_is_chosen_by_name_and_a_wrong_name_lists_those_there() -> None:
    data = workbook(["a", "b"], [1, 2], sheets=("甲", "乙"))
    assert read_table(data, sheet="甲").sheets == ("甲", "乙")
    with pytest.raises(Invalid, match="甲、乙"):
        read_table(data, sheet="丙")


def test_an_identifier_stored_as_a_long_number_is_told_to_have_lost_digits() -> None:
    table = read_table(workbook(["证号", "x"], [36042619910101007, 1]))
    assert [problem.code for problem in table.problems] == ["digits_lost"]


def test_an_old_workbook_is_read() -> None:
    table = read_table(old_workbook([["编号", "名称"], [1.0, "交通流量"], [2.0, "企业登记"]]))
    assert (table.format, table.sheet) == ("xls", "甲")
    assert [row.cells for row in table.rows] == [("1", "交通流量"), ("2", "企业登记")]


def test_an_old_workbook_with_a_far_cell_is_refused_before_it_takes_memory() -> None:
    data = bytearray(old_workbook([["a", "b"], [1.0, 2.0]]))
    place = data.index(struct.pack("<HHHHHd", 0x0203, 14, 1, 1, 0, 2.0))
    data[place + 4 : place + 8] = struct.pack("<HH", 65_535, 255)
    with pytest.raises(Invalid) as refusal:
        read_table(bytes(data))
    assert refusal.value.facts["limit"] == "cells"


def far_workbook(reference: str = 'r="XFD1048576"') -> bytes:
    """A sound workbook whose only cell is moved to the far corner."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(["x"]))) as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as sink,
    ):
        for name in source.namelist():
            body = source.read(name)
            if name.endswith("sheet1.xml"):
                body = body.replace(b'c r="A1"', b"c " + reference.encode())
            sink.writestr(name, body)
    return target.getvalue()


@pytest.mark.parametrize(
    "reference", ['r="XFD1048576"', "r='xfd1048576'", 'r="XFD1"', 'r="A999999"']
)
def test_a_cell_in_the_far_corner_is_refused_before_it_takes_memory(reference: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_table(far_workbook(reference))
    assert refusal.value.facts["limit"] in {"rows", "columns", "cells"}


@pytest.mark.parametrize("hidden", ["styles2.dat", "theme/theme9.xml", "Drawing.vml"])
def test_a_sheet_under_another_name_is_measured_all_the_same(hidden: str) -> None:
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(far_workbook())) as source,
        zipfile.ZipFile(target, "w") as sink,
    ):
        for name in source.namelist():
            body = source.read(name).replace(b"worksheets/sheet1.xml", hidden.encode())
            sink.writestr(name.replace("worksheets/sheet1.xml", hidden), body)
    with pytest.raises(Invalid, match=r"more than|damaged"):
        read_table(target.getvalue())


def test_a_zip_bomb_is_refused() -> None:
    target = io.BytesIO(workbook(["x"]))
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/big.bin", bytes(3_000_000))
    with pytest.raises(Invalid, match="unpacks to more than"):
        read_table(target.getvalue(), limits=Limits(unzipped_bytes=2_000_000))


# ---------------------------------------------------------------- text files


@pytest.mark.parametrize(
    ("text", "codec", "found"),
    [
        (TRADITIONAL, "big5", "big5"),
        (TRADITIONAL, "gb18030", "gb18030"),
        (SIMPLIFIED, "gbk", "gb18030"),
        (SIMPLIFIED, "utf-8", "utf-8"),
        (TRADITIONAL, "utf-8-sig", "utf-8-sig"),
        (SIMPLIFIED, "utf-16", "utf-16"),
    ],
)
def test_a_text_file_is_read_in_the_encoding_it_is_in(text: str, codec: str, found: str) -> None:
    table = read_table(text.encode(codec), "目录.csv")
    assert table.encoding == found
    assert table.header == tuple(text.splitlines()[0].split(","))
    assert ",".join(table.rows[1].cells) == text.splitlines()[2]


WORDS = sorted(
    {
        cell
        for row in read_table(DATA / "catalogue_taoyuan_2018.xlsx").rows
        for cell in row.cells[1:3]
    }
)
STREETS = [row.cells[1] for row in read_table(DATA / "streets.csv").rows]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=3, max_size=30))
def test_traditional_text_in_big5_is_never_taken_for_gb18030(words: list[str]) -> None:
    data = "\n".join(words).encode("big5", "ignore")
    assert detect_encoding(data)[0] == "big5"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS + STREETS[:9000:10]), min_size=3, max_size=30))
def test_text_in_gb18030_is_never_taken_for_big5(words: list[str]) -> None:
    assert detect_encoding("\n".join(words).encode("gb18030"))[0] == "gb18030"


def test_the_encoding_may_be_given_and_must_then_hold() -> None:
    data = SIMPLIFIED.encode("gbk")
    assert read_table(data, encoding="GBK").header[0] == "编号"
    with pytest.raises(Invalid, match="not legal utf-8"):
        read_table(data, encoding="utf-8")
    with pytest.raises(Invalid, match="latin-1 is not taken"):
        read_table(data, encoding="latin-1")


def test_utf8_with_a_bad_byte_is_not_taken_for_gb18030() -> None:
    data = (SIMPLIFIED * 20).encode()
    with pytest.raises(Invalid, match="illegal byte in line 2"):
        read_table(data.replace("城".encode(), b"\xff\xfe\xff", 1))
    with pytest.raises(Invalid, match="middle of a character"):
        read_table(data.rstrip()[:-1])


def test_a_quoted_line_end_is_one_row_and_blank_lines_count() -> None:
    table = read_table(b'a\tb\n"x\r\ny"\t1\n\n z \t2\n')
    assert table.format == "tsv"
    assert [(row.number, row.cells) for row in table.rows] == [(2, ("x\ny", "1")), (4, ("z", "2"))]


def test_packed_text_is_read_and_a_cut_archive_refused() -> None:
    for pack in (gzip.compress, lzma.compress):
        packed = pack(SIMPLIFIED.encode() * 50)
        assert read_table(packed).header[1] == "资源名称"
        with pytest.raises(Invalid, match="truncated"):
            read_table(packed[:-20])


def test_an_open_quotation_mark_is_refused_with_its_line() -> None:
    with pytest.raises(Invalid, match="not legal CSV") as refusal:
        read_table(b'a,b\n1,"2\n3,4\n')
    assert refusal.value.facts["line"] >= 2


# ---------------------------------------------------------------- what is no table


def zipped(name: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, "x")
    return target.getvalue()


LOCKED = old_workbook([["a"]]).replace(
    "Workbook".encode("utf-16-le"), "Other___".encode("utf-16-le")
)
SEALED = (
    old_workbook([["a"]])
    .replace(
        "Workbook".encode("utf-16-le") + b"\x00" * 46,
        "EncryptedPackage".encode("utf-16-le") + b"\x00" * 30,
    )
    .replace(struct.pack("<HBB", 18, 2, 1), struct.pack("<HBB", 34, 2, 1))
)


@pytest.mark.parametrize(
    ("data", "kind", "word"),
    [
        (b"", "empty", "is empty"),
        (b" \r\n\t\n", "empty", "is empty"),
        (b"%PDF-1.7 ...", "pdf", "is a PDF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "image", "an image"),
        (b"\xff\xd8\xff\xe0 JFIF", "image", "an image"),
        (zipped("readme.txt"), "zip", "unpack it"),
        (zipped("word/document.xml"), "docx", "Word"),
        (zipped("xl/workbook.bin"), "xlsb", "XLSX"),
        (b"Rar!\x1a\x07", "archive", "archive"),
        (workbook(["a", "b"], [1, 2])[:-200], "truncated", "again"),
        (b"<html><table><tr><td>1</td></tr></table></html>", "html", "HTML"),
        ("\ufeff  <TABLE border=1><tr>".encode(), "html", "HTML"),
        (b'<?xml version="1.0"?><Workbook/>', "xml", "XML"),
        (b'[{"a": 1}]', "json", "JSON"),
        (b"a,b\n\x00\x01\x02", "binary", "binary"),
        (LOCKED, "ole", "no Excel workbook"),
        (SEALED, "protected", "password"),
        (old_workbook([["a"]])[:1400], "truncated", "again"),
        (old_workbook([["a"]], protected=True), "protected", "password"),
    ],
)
def test_what_is_no_table_is_named_with_what_to_do(data: bytes, kind: str, word: str) -> None:
    with pytest.raises(Invalid, match=word) as refusal:
        read_table(data, "目录.xls")
    assert refusal.value.facts["kind"] == kind
    assert "目录.xls" in refusal.value.sentence


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(file_bytes=5), "file_bytes"),
        (Limits(rows=1), "rows"),
        (Limits(columns=1), "columns"),
        (Limits(cell_chars=2), "cell_chars"),
        (Limits(cells=1), "cells"),
    ],
)
def test_each_limit_refuses_and_names_itself(limits: Limits, limit: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_table(b"a,b\n111,2\n3,4\n", limits=limits)
    assert refusal.value.facts["limit"] == limit


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"none\.csv cannot be read"):
        read_table(tmp_path / "none.csv")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_and_never_break(data: bytes) -> None:
    for whole in (data, b"PK\x03\x04" + data, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + data):
        try:
            table = read_table(whole)
        except Invalid:
            continue
        assert all(len(row.cells) == len(table.header) for row in table.rows)


SOUND = (workbook(["a", "b"], [1, "二"], [3, 4.5]), old_workbook([["a", "b"], [1.0, "二"]]))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SOUND), st.data())
def test_a_workbook_with_changed_bytes_is_read_or_refused(
    sound: bytes, data: st.DataObject
) -> None:
    changed = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 8))):
        changed[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Invalid):
        read_table(bytes(changed))


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


def test_two_letters_that_begin_a_picture_may_also_begin_a_header() -> None:
    assert sniff(b"BM,name\n1,2\n") == "text"
    assert sniff(b"BM\x00\x00\x10") == "image"
