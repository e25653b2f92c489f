"""A table is read out of a workbook or a text file, by what the file is and not by what it is called.

`read_table` takes XLSX, XLS, CSV or TSV and returns the cells as text, each row with the number that
the spreadsheet shows for it. It opens no database and keeps nothing.

Text files come in UTF-8 (with or without mark), UTF-16 with mark, GB18030 (which contains GBK) or
Big5. Decoding is strict: a file that needs one replacement character is refused. Nearly every byte
string is legal GB18030, and much of it legal Big5 too, so between those two the text decides:

    measure = share of the non-ASCII characters that are common
    common  = first level of GB 2312 (3,755 characters) or of Big5 (5,401), and their punctuation

The higher measure wins; on a tie the share of `FREQUENT` characters decides, then GB18030. A margin
below `CLOSE` is reported as a notice, and the caller can always name the encoding himself.

What a hostile file could do is bounded by `Limits`: a workbook is unzipped once in a stream and the
box around its filled cells is measured before the reader, which reserves that box, may see it (a
workbook of 5 KB with one cell at XFD1048576 would otherwise ask for 550 GB).
"""

import codecs
import csv
import datetime
import gzip
import io
import lzma
import os
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NoReturn
from xml.parsers import expat

from python_calamine import (
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from ledger.errors import Invalid

Severity = Literal["error", "notice"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest input that is read; one unit more is refused, never cut off.

    `cells` counts the box around the filled cells of one sheet, `unzipped_bytes` all that a
    compressed file unpacks to. `cell_chars` is what Excel itself allows.
    """

    file_bytes: int = 100_000_000
    unzipped_bytes: int = 500_000_000
    rows: int = 200_000
    columns: int = 1_000
    cells: int = 5_000_000
    cell_chars: int = 32_767


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to tell about one place of a file.

    An "error" makes its row unusable, a "notice" does not. `code` is stable; `row` is the number
    that the spreadsheet shows, None when the whole column or file is meant.
    """

    severity: Severity
    code: str
    sheet: str | None
    row: int | None
    column: str | None
    reason_zh: str
    reason_en: str
    value: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The problem as plain values, ASCII keys."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Row:
    """One row that is not blank; `number` is 1-based, as the spreadsheet shows it."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A header and its rows; every row has as many cells as the header, blank ones are "".

    `format` is what the content is. `sheets` names all sheets of a workbook, `sheet` the one read.
    `first_row_number` is the number of the first row under the header, also when it is blank.
    """

    name: str
    format: Literal["xlsx", "xls", "csv", "tsv"]
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    sheet: str | None
    sheets: tuple[str, ...]
    encoding: str | None
    header_row_number: int
    first_row_number: int
    repeated_headers: tuple[str, ...]
    problems: tuple[Problem, ...]


def read_table(
    path_or_bytes: str | os.PathLike[str] | bytes,
    name: str | None = None,
    *,
    encoding: str | None = None,
    sheet: str | None = None,
    limits: Limits = LIMITS,
) -> Table:
    """The table in a file, whatever its name says it is.

    `name` is what messages call the file (default: the path's last part). `encoding` is for text
    files: utf-8, utf-16, gb18030 or big5; `sheet` for workbooks, default the first visible sheet
    that is not empty. The header is the first row that is not blank; a line of one cell above
    a wider row counts as a title and is passed over.

    Raises Invalid, with what the file is and what to do, for everything that is not such a table,
    is protected, damaged, beyond `limits`, or not in one encoding throughout.
    """
    data, name = _load(path_or_bytes, name, limits)
    data = _unpacked(data, name, limits)
    kind = sniff(data)
    if kind == "xlsx":
        grid = _workbook_cells(data, name, sheet, "xlsx", limits)
    elif kind == "xls":
        grid = _workbook_cells(data, name, sheet, "xls", limits)
    elif kind == "text":
        if sheet is not None:
            raise Invalid(
                "{name} is a text file and has no sheets; do not name one.",
                name=name,
                sheet=sheet,
            )
        grid = _text_cells(data, name, encoding, limits)
    else:
        _refuse_kind(kind, name)
    return _table(grid, name, limits)


# ---------------------------------------------------------------- what the file is

_REFUSALS: Final[dict[str, str]] = {
    "empty": "{name} is empty; export it again.",
    "pdf": "{name} is a PDF; give the original table as XLSX, XLS or CSV.",
    "image": "{name} is an image; give the original table as XLSX, XLS or CSV.",
    "zip": "{name} is a ZIP archive and no workbook; unpack it and give the table inside.",
    "archive": "{name} is an archive; unpack it and give the table inside.",
    "docx": "{name} is a Word document; save its table as XLSX or CSV.",
    "pptx": "{name} is a presentation; save its table as XLSX or CSV.",
    "ods": "{name} is an OpenDocument file; save it as XLSX or CSV.",
    "xlsb": "{name} is a binary workbook (XLSB); save it as XLSX.",
    "ole": "{name} is an old Office file but no Excel workbook; save its table as XLSX or CSV.",
    "protected": "{name} is protected by a password; remove the protection and save it again.",
    "truncated": "{name} is truncated or damaged; fetch or export it again.",
    "html": "{name} is an HTML page, whatever its name says; open it in a spreadsheet program and"
    " save it as XLSX or CSV.",
    "xml": "{name} is an XML document; open it in a spreadsheet program and save it as XLSX or CSV.",
    "json": "{name} is JSON; convert it to CSV or XLSX.",
    "binary": "{name} is a binary file and no table; give XLSX, XLS or CSV.",
}


def _refuse_kind(kind: str, name: str, **facts: Any) -> NoReturn:
    raise Invalid(_REFUSALS[kind], name=name, kind=kind, **facts)


_MAGIC: Final = (
    (b"%PDF", "pdf"),
    (b"\x89PNG", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"BM", "bmp?"),
    (b"II*\x00", "image"),
    (b"MM\x00*", "image"),
    (b"Rar!", "archive"),
    (b"7z\xbc\xaf", "archive"),
    (b"BZh", "bzip?"),
    (b"\x28\xb5\x2f\xfd", "archive"),
    (b"{\\rtf", "docx"),
)
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BOM_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def sniff(data: bytes) -> str:
    """What the bytes are: "xlsx", "xls", "text", or a key of the refusals ("pdf", "html", …)."""
    if not data.strip(b" \t\r\n\x00\xef\xbb\xbf"):
        return "empty"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _sniff_zip(data)
    if data.startswith(_OLE):
        return _sniff_ole(data)
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            if kind.endswith("?"):  # two letters may also begin a header: only bytes decide
                if b"\x00" in data[:512]:
                    return "image" if kind == "bmp?" else "archive"
                continue
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image"
    if b"\x00" in data and not data.startswith(_BOM_16):
        return "binary"
    return _sniff_text(data)


def _sniff_text(data: bytes) -> str:
    start = data[:2000].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if re.match(rb"<!doctype html|<(html|head|body|table|meta|div|script|style)\b", start):
        return "html"
    if start.startswith((b"<?xml", b"<workbook")):
        return "html" if b"<html" in start else "xml"
    if re.match(rb'\{\s*"|\[\s*[\{\["]', start):
        return "json"
    return "text"


def _sniff_zip(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                kind = archive.read("mimetype")
                if kind.startswith(b"application/vnd.oasis.opendocument"):
                    return "ods"
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, zlib.error):
        return "truncated"
    folded = {member.lower() for member in names}
    if "xl/workbook.bin" in folded:
        return "xlsb"
    if "xl/workbook.xml" in folded:
        return "xlsx"
    if "word/document.xml" in folded:
        return "docx"
    if "ppt/presentation.xml" in folded:
        return "pptx"
    return "zip"


def _sniff_ole(data: bytes) -> str:
    try:
        streams = _ole_entries(data)
    except (struct.error, IndexError, ValueError):
        return "truncated"
    if "EncryptedPackage" in streams:
        return "protected"
    if "Workbook" in streams or "Book" in streams:
        return "xls"
    return "ole"


# ---------------------------------------------------------------- loading and unpacking


def _load(
    source: str | os.PathLike[str] | bytes, name: str | None, limits: Limits
) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        data, name = source, name or "文件"
        if len(data) > limits.file_bytes:
            _too_large(name, "file_bytes", limits.file_bytes, len(data))
        return data, name
    path = Path(source)
    name = name or path.name
    try:
        size = path.stat().st_size
        if size > limits.file_bytes:
            _too_large(name, "file_bytes", limits.file_bytes, size)
        return path.read_bytes(), name
    except OSError as error:
        raise Invalid(
            "{name} cannot be read: {cause}.",
            name=name,
            cause=error.strerror or str(error),
        ) from error


_LIMIT_SENTENCES: Final = {
    "file_bytes": "{name} is larger than {most} bytes; split it.",
    "unzipped_bytes": "{name} unpacks to more than {most} bytes; split it.",
    "rows": "{name} has more than {most} rows; split it or delete what lies far below the table.",
    "columns": "{name} has more than {most} columns; delete what lies far beside the table.",
    "cells": "The table in {name} spans more than {most} cells; split it or clean it up.",
    "cell_chars": "Row {row} of {name} has a cell of more than {most} characters; shorten it.",
}


def _too_large(name: str, what: str, limit: int, found: int | None, **facts: Any) -> NoReturn:
    raise Invalid(_LIMIT_SENTENCES[what], name=name, limit=what, most=limit, found=found, **facts)


def unpacking(source: BinaryIO) -> BinaryIO | gzip.GzipFile | lzma.LZMAFile:
    """The stream itself, or what a gzip or xz stream unpacks to, decided by its first bytes."""
    head = source.read(6)
    source.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=source)
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(source)
    return source


def _unpacked(data: bytes, name: str, limits: Limits) -> bytes:
    stream = unpacking(io.BytesIO(data))
    if isinstance(stream, io.BytesIO):
        return data
    try:
        plain = stream.read(limits.unzipped_bytes + 1)
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        _refuse_kind("truncated", name)
    if len(plain) > limits.unzipped_bytes:
        _too_large(name, "unzipped_bytes", limits.unzipped_bytes, None)
    return plain


# ---------------------------------------------------------------- workbooks


@dataclass(slots=True)
class _Grid:
    """All rows as read, blank ones too, so that index + 1 is the row's number."""

    rows: Iterator[list[str]]
    format: Literal["xlsx", "xls", "csv", "tsv"]
    sheet: str | None
    sheets: tuple[str, ...]
    encoding: str | None
    problems: list[Problem]


def _workbook_cells(
    data: bytes, name: str, sheet: str | None, kind: Literal["xlsx", "xls"], limits: Limits
) -> _Grid:
    if kind == "xlsx":
        _measure_xlsx(data, name, limits)
    else:
        _measure_xls(data, name, limits)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheets = tuple(
            meta.name for meta in book.sheets_metadata if meta.typ == SheetTypeEnum.WorkSheet
        )
        visible = [
            meta.name
            for meta in book.sheets_metadata
            if meta.typ == SheetTypeEnum.WorkSheet and meta.visible == SheetVisibleEnum.Visible
        ]
        if sheet is not None and sheet not in sheets:
            known = "、".join(sheets)
            raise Invalid(
                "{name} has no sheet {sheet}; it has: {known}.",
                name=name,
                known=known,
                sheet=sheet,
                sheets=list(sheets),
            )
        chosen, rows, others = None, [], []
        for candidate in [sheet] if sheet is not None else visible:
            read = book.get_sheet_by_name(candidate)
            if chosen is None and (sheet is not None or read.end is not None):
                chosen, rows = candidate, read.to_python(skip_empty_area=False)
            elif read.end is not None:
                others.append(candidate)
    except Invalid:
        raise
    except PasswordError:
        _refuse_kind("protected", name)
    except BaseException as error:  # the reader is compiled code and may also panic
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError | AssertionError):
            raise
        _refuse_kind("truncated", name, cause=type(error).__name__)
    if chosen is None:
        raise Invalid(
            "All visible sheets of {name} are empty; check the file.",
            name=name,
            sheets=list(sheets),
        )
    problems = [
        Problem(
            "notice",
            "sheet_not_read",
            other,
            None,
            None,
            f"只读取了工作表“{chosen}”，未读取“{other}”。",
            f"Only sheet {chosen} was read; {other} was not.",
        )
        for other in others
    ]
    texts = ([_cell_text(value) for value in row] for row in rows)
    problems += _long_numbers(rows, chosen)
    return _Grid(texts, kind, chosen, sheets, None, problems)


def _cell_text(value: Any) -> str:
    """A cell as text: numbers without ".0" or exponent, dates ISO 8601.

    >>> _cell_text(12.0), _cell_text(0.25), _cell_text(1e20)
    ('12', '0.25', '100000000000000000000')
    >>> _cell_text(datetime.datetime(2018, 3, 2)), _cell_text(True)
    ('2018-03-02', 'TRUE')
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = format(Decimal(repr(value)), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime.datetime):
        if value.time() == datetime.time(0):
            return value.date().isoformat()
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return str(value)
    return clean(str(value))


def _long_numbers(rows: list[list[Any]], sheet: str) -> list[Problem]:
    """A notice for each column with a number of 16 digits or more: spreadsheets keep only 15."""
    found: dict[int, tuple[int, float]] = {}
    for number, row in enumerate(rows, start=1):
        for index, value in enumerate(row):
            if isinstance(value, float) and abs(value) >= 1e15 and index not in found:
                found[index] = (number, value)
    return [
        Problem(
            "notice",
            "digits_lost",
            sheet,
            number,
            str(index + 1),
            "数字超过 15 位，表格软件已丢失末尾数字；编号请以文本格式保存。",
            "A number of more than 15 digits: the spreadsheet has lost its last ones;"
            " store identifiers as text.",
            _cell_text(value),
        )
        for index, (number, value) in sorted(found.items())
    ]


_REFERENCE: Final = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")


class _Box:
    """The box around the filled cells of one sheet's XML, as expat walks through it."""

    def __init__(self, name: str, member: str, limits: Limits) -> None:
        self.name, self.member, self.limits = name, member, limits
        self.row = self.column = 0
        self.top = self.left = 1 << 30
        self.bottom = self.right = 0
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.StartDoctypeDeclHandler = self.doctype

    def doctype(self, *_: Any) -> None:
        _refuse_kind("truncated", self.name, member=self.member, cause="DOCTYPE")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if tag == "c":
            match = _REFERENCE.fullmatch(attributes.get("r", ""))
            if match:
                self.column = _column_number(match[1])
                self.row = int(match[2])
            else:
                self.column += 1
        elif tag == "row":
            given = attributes.get("r", "")
            self.row = int(given) if given.isdecimal() and len(given) < 9 else self.row + 1
            self.column = 0
        elif tag in {"v", "is"}:
            self.note(self.row, self.column)
        elif (
            tag == "Relationship"
            and self.member.lower().endswith("workbook.xml.rels")
            and attributes.get("Target", "").lower().endswith(".vml")
        ):
            _refuse_kind("truncated", self.name, member=self.member, cause="vml")

    def note(self, row: int, column: int) -> None:
        self.top, self.bottom = min(self.top, row), max(self.bottom, row)
        self.left, self.right = min(self.left, column), max(self.right, column)
        limits = self.limits
        if row > limits.rows:
            _too_large(self.name, "rows", limits.rows, row)
        if column > limits.columns:
            _too_large(self.name, "columns", limits.columns, column)
        if self.bottom * self.right > limits.cells:
            _too_large(self.name, "cells", limits.cells, self.bottom * self.right)


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


def _may_be_sheet(member: str, start: bytes) -> bool:
    """Whether a member is XML, whatever its name: the workbook may call any member a sheet.

    Old drawings (.vml) are often no sound XML; they are passed over, and none may be a sheet.
    """
    bare = start.removeprefix(codecs.BOM_UTF8).lstrip()
    return bare.startswith((b"<", *_BOM_16)) and not member.lower().endswith(".vml")


def _measure_xlsx(data: bytes, name: str, limits: Limits) -> None:
    """Unzips every member once, in pieces, and refuses what is too large, damaged or locked."""
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                if info.flag_bits & 1:
                    _refuse_kind("protected", name)
                walker, first = None, True
                with archive.open(info) as member:
                    while piece := member.read(1 << 18):
                        total += len(piece)
                        if total > limits.unzipped_bytes:
                            _too_large(name, "unzipped_bytes", limits.unzipped_bytes, None)
                        if first and _may_be_sheet(info.filename, piece):
                            walker = _Box(name, info.filename, limits)
                        first = False
                        if walker:
                            walker.parser.Parse(piece, False)
                if walker:
                    walker.parser.Parse(b"", True)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        expat.ExpatError,
    ) as error:
        _refuse_kind("truncated", name, cause=type(error).__name__)


# ---------------------------------------------------------------- the old container, [MS-CFB] and [MS-XLS]

_FREE: Final = 0xFFFFFFFA  # and above: not a sector


def _ole_chain(data: bytes, fat: list[int], start: int, sector_bytes: int) -> bytes:
    pieces, seen = [], 0
    while start < _FREE:
        seen += 1
        if seen > len(fat):
            raise ValueError("a chain of sectors runs in a circle")
        begin = (start + 1) * sector_bytes
        piece = data[begin : begin + sector_bytes]
        if not piece:
            raise ValueError("a sector lies behind the end of the file")
        pieces.append(piece)
        start = fat[start]
    return b"".join(pieces)


def _ole_fat(data: bytes) -> tuple[list[int], int]:
    shift = struct.unpack_from("<H", data, 30)[0]
    if shift not in {9, 12}:
        raise ValueError("sector size")
    sector_bytes = 1 << shift
    count = struct.unpack_from("<I", data, 44)[0]
    if count > len(data) // sector_bytes + 1:
        raise ValueError("more allocation sectors than the file can hold")
    places = list(struct.unpack_from("<109I", data, 76))
    next_place = struct.unpack_from("<I", data, 68)[0]
    entries = sector_bytes // 4
    while next_place < _FREE and len(places) < count + 109 + entries:
        more = struct.unpack_from(f"<{entries}I", data, (next_place + 1) * sector_bytes)
        places += more[:-1]
        next_place = more[-1]
    fat: list[int] = []
    for place in places[:count]:
        fat += struct.unpack_from(f"<{entries}I", data, (place + 1) * sector_bytes)
    return fat, sector_bytes


def _ole_entries(data: bytes) -> dict[str, tuple[int, int]]:
    """Name → (first sector, size in bytes) of every entry in the container's directory."""
    fat, sector_bytes = _ole_fat(data)
    directory = _ole_chain(data, fat, struct.unpack_from("<I", data, 48)[0], sector_bytes)
    entries = {}
    for at in range(0, len(directory) - 127, 128):
        length = struct.unpack_from("<H", directory, at + 64)[0]
        if 2 <= length <= 64:
            name = directory[at : at + length - 2].decode("utf-16-le", "replace")
            entries[name] = struct.unpack_from("<II", directory, at + 116)
    return entries


_CELL_RECORDS: Final = frozenset(  # DIMENSIONS is only a claim; these carry cells
    {0x0006, 0x00BD, 0x00BE, 0x00D6, 0x00FD, 0x0201, 0x0203, 0x0204, 0x0205, 0x027E, 0x0206, 0x0406}
)


def _measure_xls(data: bytes, name: str, limits: Limits) -> None:
    """Walks through the BIFF records: a password, a damage or too large a box is refused."""
    try:
        entries = _ole_entries(data)
        start, size = entries.get("Workbook") or entries["Book"]
        if size < struct.unpack_from("<I", data, 56)[0]:
            return  # a stream below 4 KB cannot hold enough sheets to matter
        fat, sector_bytes = _ole_fat(data)
        stream = _ole_chain(data, fat, start, sector_bytes)[:size]
        if len(stream) < size:
            _refuse_kind("truncated", name)
        at, area, bottom, right = 0, 0, 0, 0
        while at + 4 <= len(stream):
            kind, length = struct.unpack_from("<HH", stream, at)
            if kind == 0x002F:
                _refuse_kind("protected", name)
            if kind == 0x0809:
                area, bottom, right = area + bottom * right, 0, 0
            elif kind in _CELL_RECORDS and length >= 6:
                row, column = struct.unpack_from("<HH", stream, at + 4)
                if kind in {0x00BD, 0x00BE}:  # several cells: the last column closes the record
                    column = struct.unpack_from("<H", stream, at + 2 + length)[0]
                bottom, right = max(bottom, row + 1), max(right, column + 1)
                if area + bottom * right > limits.cells:
                    _too_large(name, "cells", limits.cells, area + bottom * right)
            at += 4 + length
    except (struct.error, IndexError, ValueError, KeyError) as error:
        _refuse_kind("truncated", name, cause=type(error).__name__)


# ---------------------------------------------------------------- text files

ENCODINGS: Final = {
    "utf8": "utf-8",
    "utf-8": "utf-8",
    "utf-8-sig": "utf-8",
    "utf-16": "utf-16",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "gb18030": "gb18030",
    "cp936": "gb18030",
    "big5": "big5",
    "big5-hkscs": "big5hkscs",
    "big5hkscs": "big5hkscs",
    "cp950": "cp950",
}
CLOSE: Final = Decimal("0.05")
FREQUENT: Final = frozenset(
    "的一是不在有人我他这這个個们們中来來上大为為和国國地到以说說时時要就出会會可也你对對生能而子那得于於着著下"
    "自之年过過发發后後作里裡用道行所然家种種事成方多经經么麼去法学學如都同现現当當没沒动動面起看定天分还還进進"
    "好小部其些主样樣理心本前开開但因只从從想实實日军軍者意无無力它与與长長把机機十民第公此已工使情明性知全三又"
    "关關点點正业業外将將两兩高间間由问問很最重并並物手应應战戰向头頭文体體政美相见見被利什二等产產或新己制身果"
    "加西斯月话話合回特代内內信表化老给給世位次度门門任常先海通教儿兒原东東声聲提立及比员員解水名真论論处處走义"
    "義各入几幾口认認条條平系系气氣题題活尔爾更别別打女变變四神总總何电電数數安少报報才结結反受目太量再感建务務"
    "做接必场場件计計管期市直德资資命山金指克许許统統区區保至队隊形社便空决決治展马馬科司五基眼书書非则則听聽白"
    "却卻界达達光放强強即像难難且权權思王象完设設式色路记記南品住告类類求据據程北边邊死张張该該交规規万萬取拉格"
    "望觉覺术術领領共确確传傳师師观觀清今切院让讓识識候带帶导導争爭运運省县縣镇鎮乡鄉村街城码碼编編号號称稱桃园園"
    "机關機提供更新频頻率档檔案格欄栏位连連网網址描述备備注註费費"
)


@cache
def common_characters() -> frozenset[str]:
    """The first levels of GB 2312 and of Big5 with their punctuation, from Python's own codecs."""
    found = set()
    for codec, leads, trails in (
        ("gb2312", (*range(0xB0, 0xD8), 0xA1, 0xA3), range(0xA1, 0xFF)),
        ("big5", (*range(0xA4, 0xC7), 0xA1, 0xA2), (*range(0x40, 0x7F), *range(0xA1, 0xFF))),
    ):
        for lead in leads:
            for trail in trails:
                try:
                    found.add(bytes((lead, trail)).decode(codec))
                except UnicodeDecodeError:
                    continue
    return frozenset(found)


def measure(text: str) -> tuple[Decimal, Decimal]:
    """(share of common, share of frequent) characters among the non-ASCII ones; (1, 1) without any.

    >>> measure("更新频率")[0], measure("abc")
    (Decimal('1'), (Decimal('1'), Decimal('1')))
    """
    counts = Counter(text)
    for code in range(128):
        counts.pop(chr(code), None)
    total = sum(counts.values())
    if not total:
        return Decimal(1), Decimal(1)
    common = common_characters()
    return (
        Decimal(sum(n for ch, n in counts.items() if ch in common)) / total,
        Decimal(sum(n for ch, n in counts.items() if ch in FREQUENT)) / total,
    )


def detect_encoding(data: bytes, name: str = "文件") -> tuple[str, Decimal]:
    """(encoding, margin) of a whole text file; margin is 1 when nothing else was possible.

    The encoding is "utf-8", "utf-8-sig", "utf-16", "gb18030", "big5", "cp950" or "big5hkscs".
    Raises Invalid when none decodes the file throughout, or when it is UTF-8 but for a few bytes.
    """
    if data.startswith(codecs.BOM_UTF8):
        _decode(data, "utf-8-sig", name)
        return "utf-8-sig", Decimal(1)
    if data.startswith(_BOM_16):
        _decode(data, "utf-16", name)
        return "utf-16", Decimal(1)
    try:
        data.decode("utf-8")
        return "utf-8", Decimal(1)
    except UnicodeDecodeError as error:
        _refuse_damaged_utf8(data, error, name)
    candidates = []
    for family in (("gb18030",), ("big5", "cp950", "big5hkscs")):
        for codec in family:
            try:
                candidates.append((*measure(data.decode(codec)), codec))
                break
            except UnicodeDecodeError:
                continue
    if not candidates:
        raise Invalid(
            "The encoding of {name} is none of UTF-8, GB18030, Big5, or the file is damaged;"
            " save it as UTF-8.",
            name=name,
        )
    best = max(candidates, key=lambda found: found[:2])
    margin = min((best[0] - other[0] for other in candidates if other is not best), default=1)
    return best[2], Decimal(margin)


def _refuse_damaged_utf8(data: bytes, error: UnicodeDecodeError, name: str) -> None:
    """GB18030 reads almost anything, so nearly-UTF-8 must be refused before it is asked."""
    kept = data.decode("utf-8", "ignore").encode()
    wide = len(data.translate(None, _ASCII))
    lost = len(data) - len(kept)
    if wide and lost * 20 <= wide - lost:
        line = data.count(b"\n", 0, error.start) + 1
        cut = error.end == len(data) and error.reason == "unexpected end of data"
        raise Invalid(
            "{name} is UTF-8 but ends in the middle of a character; export it again."
            if cut
            else "{name} is UTF-8 but has an illegal byte in line {line}; export it again.",
            name=name,
            line=line,
            offset=error.start,
        )


_ASCII: Final = bytes(range(128))


def _decode(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Invalid(
            "Line {line} of {name} is not legal {encoding}; check the encoding.",
            name=name,
            encoding=encoding,
            line=line,
            offset=error.start,
        ) from error


def named_encoding(given: str, name: str) -> str:
    """Python's codec for an encoding that a person named; Invalid for one we do not take."""
    codec = ENCODINGS.get(given.strip().lower().replace("_", "-"))
    if codec is None:
        known = ", ".join(sorted(ENCODINGS))
        raise Invalid(
            "Encoding {encoding} is not taken; known: {known}.",
            name=name,
            encoding=given,
            known=known,
        )
    return codec


def _text_cells(data: bytes, name: str, given: str | None, limits: Limits) -> _Grid:
    problems: list[Problem] = []
    if given is None:
        encoding, margin = detect_encoding(data, name)
        if margin < CLOSE:
            problems.append(
                Problem(
                    "notice",
                    "encoding_close",
                    None,
                    None,
                    None,
                    f"编码按 {encoding} 读取，但依据较弱；如有乱码请指定编码。",
                    f"Read as {encoding} on weak grounds; name the encoding if the text looks"
                    " wrong.",
                    encoding,
                )
            )
    else:
        encoding = named_encoding(given, name)
        if encoding == "utf-8" and data.startswith(codecs.BOM_UTF8):
            encoding = "utf-8-sig"
    text = _decode(data, encoding, name)
    delimiter = guess_delimiter(text)
    kind: Literal["csv", "tsv"] = "tsv" if delimiter == "\t" else "csv"
    return _Grid(_records(text, delimiter, name, limits), kind, None, (), encoding, problems)


def guess_delimiter(text: str) -> str:
    """The delimiter that stands most often outside quotes in the first line with content.

    >>> guess_delimiter('a\\tb,c\\td'), guess_delimiter('one'), guess_delimiter('"a;b",c')
    ('\\t', ',', ',')
    """
    line = next((line for line in text[:100_000].splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", line)
    return max(",\t;|", key=bare.count)


def _records(text: str, delimiter: str, name: str, limits: Limits) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for record in reader:
            yield [clean(cell) for cell in record]
    except csv.Error as error:
        line = reader.line_num
        if "field larger" in str(error):
            _too_large(name, "cell_chars", limits.cell_chars, None, row=line)
        raise Invalid(
            "{name} is not legal CSV near line {line}: a quotation mark is not closed or out of"
            " place; export it again.",
            name=name,
            line=line,
        ) from error


# ---------------------------------------------------------------- from cells to a table

_SPACES: Final = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u3000\u2002\u2003\u2007\u2009\u202f", " "),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", None),
        **{chr(code): None for code in range(32) if chr(code) not in "\t\n\r"},
        "\x7f": None,
    }
)


def clean(text: str) -> str:
    """The text without blanks at its ends; full-width and no-break spaces become plain ones.

    Invisible and control characters go, line ends inside a cell become a line feed.

    >>> clean('\\u3000桃園市\\xa0政府 \\r\\n')
    '桃園市 政府'
    """
    return text.translate(_SPACES).replace("\r\n", "\n").replace("\r", "\n").strip()


def _table(grid: _Grid, name: str, limits: Limits) -> Table:
    kept: list[tuple[int, list[str]]] = []
    for number, cells in enumerate(grid.rows, start=1):
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        if len(cells) > limits.columns:
            _too_large(name, "columns", limits.columns, len(cells), row=number)
        longest = max(map(len, cells))
        if longest > limits.cell_chars:
            _too_large(name, "cell_chars", limits.cell_chars, longest, row=number)
        kept.append((number, cells))
        if len(kept) > limits.rows:
            _too_large(name, "rows", limits.rows, None)
    problems = list(grid.problems)
    while len(kept) > 1 and _filled(kept[0][1]) == 1 and _filled(kept[1][1]) > 1:
        number, cells = kept.pop(0)
        problems.append(
            Problem(
                "notice",
                "title_line",
                grid.sheet,
                number,
                None,
                "表头上方的标题行未作为数据读取。",
                "A title line above the header was passed over.",
                next(cell for cell in cells if cell),
            )
        )
    if not kept:
        _refuse_kind("empty", name)
    header_number, head = kept.pop(0)
    width = max([len(head), *(len(cells) for _, cells in kept)])
    if width * len(kept) > limits.cells:
        _too_large(name, "cells", limits.cells, width * len(kept))
    header = tuple(" ".join(cell.split()) for cell in head) + ("",) * (width - len(head))
    repeated = tuple(title for title, n in Counter(header).items() if title and n > 1)
    problems += _header_problems(header, repeated, len(head), kept, grid.sheet, header_number)
    return Table(
        name=name,
        format=grid.format,
        header=header,
        rows=tuple(
            Row(number, tuple(cells) + ("",) * (width - len(cells))) for number, cells in kept
        ),
        sheet=grid.sheet,
        sheets=grid.sheets,
        encoding=grid.encoding,
        header_row_number=header_number,
        first_row_number=header_number + 1,
        repeated_headers=repeated,
        problems=tuple(problems),
    )


def _filled(cells: list[str]) -> int:
    return sum(1 for cell in cells if cell)


def _header_problems(
    header: tuple[str, ...],
    repeated: tuple[str, ...],
    named: int,
    kept: list[tuple[int, list[str]]],
    sheet: str | None,
    header_number: int,
) -> list[Problem]:
    problems = [
        Problem(
            "notice",
            "header_repeated",
            sheet,
            header_number,
            title,
            f"列名“{title}”出现 {header.count(title)} 次。",
            f"The column name {title} stands {header.count(title)} times.",
            title,
        )
        for title in repeated
    ]
    for number, cells in kept:
        if len(cells) > named:
            problems.append(
                Problem(
                    "notice",
                    "row_wider",
                    sheet,
                    number,
                    None,
                    f"该行有 {len(cells)} 个单元格，多于表头的 {named} 列；可能是分隔符未加引号。",
                    f"The row has {len(cells)} cells, the header {named}; a delimiter may stand"
                    " unquoted.",
                    cells[named],
                )
            )
            if len(problems) > 100:
                break
    return problems
