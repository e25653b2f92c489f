"""A workbook is measured before the reader may see it, so that a hostile one takes no memory.

The reader reserves the box around a sheet's filled cells: a workbook of 5 KB with one cell at
XFD1048576 would ask for 550 GB. So an XLSX is unzipped once in a stream and an XLS walked through
record by record; too large a box, a password and a damage are refused.
"""

import codecs
import io
import lzma
import re
import struct
import zipfile
import zlib
from typing import Any, Final
from xml.parsers import expat

from ledger.tables.file_kinds import BOM_16, Limits, refuse, refuse_size

# ---------------------------------------------------------------- XLSX

_REFERENCE: Final = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")


def measure_xlsx(data: bytes, name: str, limits: Limits) -> None:
    """Unzips every member once, in pieces, and refuses what is too large, damaged or locked.

    Where a look at the bytes does not show that a member is harmless, it is walked through as XML.
    """
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                if info.flag_bits & 1:
                    refuse("protected", name)
                look: _Look | None = None
                with archive.open(info) as member:
                    first = True
                    while piece := member.read(1 << 18):
                        total += len(piece)
                        if total > limits.unzipped_bytes:
                            refuse_size(name, "unzipped_bytes", limits.unzipped_bytes)
                        if first and _may_be_sheet(info.filename, piece):
                            look = _Look(info.filename, piece, limits)
                        first = False
                        if look and not look.unsure:
                            look.at(piece)
                if look and not look.is_harmless():
                    _look_closer(archive, info, name, limits, look.unsure)
    except (
        zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError,
        RuntimeError, ValueError, expat.ExpatError,
    ) as error:  # fmt: skip
        refuse("truncated", name, cause=type(error).__name__)


def _look_closer(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, limits: Limits, unsure: bool
) -> None:
    """Notes every row of a member, where that says enough; else goes through it as XML: exact, and slow."""
    if not unsure:
        look = _Look(info.filename, b"", limits, near=9)
        with archive.open(info) as member:
            while piece := member.read(1 << 18):
                look.at(piece)
        if look.is_harmless():
            return
    walker = _Box(name, info.filename, limits)
    with archive.open(info) as member:
        while piece := member.read(1 << 18):
            walker.parser.Parse(piece, False)
        walker.parser.Parse(b"", True)


def _names_sheets(member: str) -> bool:
    """Whether a member says which members the sheets are."""
    return member.lower().endswith("workbook.xml.rels")


class _Look:
    """What the bytes of a member show of its cells: at most too many, never too few.

    It is sure of UTF-8 without declarations in which each cell begins `<c r="A1"`, as all programs write
    it. A reference is then letters and digits that stand there as such, also inside a comment.
    """

    _PREFIXED: Final = re.compile(rb":(?:c|row|v|is)[\s/>]")  # maybe an element that matters
    _ODD: Final = re.compile(rb'<c(?=[ >/\n\r\t])(?! r="[A-Z]{1,3}[0-9]{1,7}")')
    _FAR_COLUMN: Final = re.compile(rb'<c r="([A-Z]{2,3})[0-9]')
    _TOKEN: Final = 64  # more than any of these takes

    def __init__(self, member: str, start: bytes, limits: Limits, near: int = 99_999) -> None:
        self.limits, self.rest = limits, b""
        # Which of the first columns and rows (up to `near`) a cell is in, nobody asks.
        self.columns, self.rows = {b"Z"}, {b"%d" % near}
        digits = b"%d,7" % (len(str(near)) + 1)
        self.far_row = re.compile(rb'<c r="[A-Z]{1,3}([0-9]{%b})"' % digits)
        self.unsure = start.startswith(BOM_16) or _names_sheets(member)

    def at(self, piece: bytes) -> None:
        """Looks at the next piece; a token that its end may cut stays for the one after it."""
        text = self.rest + piece
        cut = text.rfind(b"<", max(0, len(text) - self._TOKEN))
        text, self.rest = (text, b"") if cut < 0 else (text[:cut], text[cut:])
        self._look(text)

    def _look(self, text: bytes) -> None:
        odd = self._ODD.search(text) or self._PREFIXED.search(text)
        self.unsure |= b"<!" in text or odd is not None
        self.columns.update(self._FAR_COLUMN.findall(text))
        self.rows.update(self.far_row.findall(text))

    def is_harmless(self) -> bool:
        """Whether the whole member was understood and its box is within the limits."""
        self._look(self.rest)
        if self.unsure:
            return False
        right = max(_column_number(one.decode()) for one in self.columns)
        bottom = max(map(int, self.rows))
        most = self.limits
        return bottom <= most.rows and right <= most.columns and bottom * right <= most.cells


def _may_be_sheet(member: str, start: bytes) -> bool:
    """Whether a member is XML, whatever its name: the workbook may call any member a sheet.

    Old drawings (.vml) are often no sound XML; they are passed over, and none may be a sheet.
    """
    bare = start.removeprefix(codecs.BOM_UTF8).lstrip()
    return bare.startswith((b"<", *BOM_16)) and not member.lower().endswith(".vml")


class _Box:
    """The box around the filled cells of one sheet's XML, as expat walks through it."""

    def __init__(self, name: str, member: str, limits: Limits) -> None:
        self.name, self.member, self.limits = name, member, limits
        self.row = self.column = self.bottom = self.right = 0
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.StartDoctypeDeclHandler = self.doctype

    def doctype(self, *_: Any) -> None:
        refuse("truncated", self.name, member=self.member, cause="DOCTYPE")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if tag == "c":
            match = _REFERENCE.fullmatch(attributes.get("r", ""))
            if match:
                self.column, self.row = _column_number(match[1]), int(match[2])
            else:
                self.column += 1
        elif tag == "row":
            given = attributes.get("r", "")
            self.row = int(given) if given.isdecimal() and len(given) < 9 else self.row + 1
            self.column = 0
        elif tag in {"v", "is"}:
            self.fill()
        elif (
            tag == "Relationship"
            and _names_sheets(self.member)
            and attributes.get("Target", "").lower().endswith(".vml")
        ):
            refuse("truncated", self.name, member=self.member, cause="vml")

    def fill(self) -> None:
        if self.row <= self.bottom and self.column <= self.right:
            return
        self.bottom, self.right = max(self.bottom, self.row), max(self.right, self.column)
        for limit, most, found in (
            ("rows", self.limits.rows, self.row),
            ("columns", self.limits.columns, self.column),
            ("cells", self.limits.cells, self.bottom * self.right),
        ):
            if found > most:
                refuse_size(self.name, limit, most, found)


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


# ---------------------------------------------------------------- XLS, by [MS-CFB] and [MS-XLS]

_FREE: Final = 0xFFFFFFFA  # and above: not a sector
_BOF: Final = 0x0809  # a sheet begins
_FILEPASS: Final = 0x002F
_ROWS_OF_CELLS: Final = {0x00BD, 0x00BE}  # the last column closes the record
_CELLS: Final = {  # DIMENSIONS is only a claim; these carry cells
    0x0006, 0x00D6, 0x00FD, 0x0201, 0x0203, 0x0204, 0x0205, 0x027E, 0x0206, 0x0406, *_ROWS_OF_CELLS,
}  # fmt: skip


def measure_xls(data: bytes, name: str, limits: Limits) -> None:
    """Walks through the records: no workbook, a password, a damage or too large a box is refused."""
    try:
        fat, sector_bytes = _sectors(data)
        entries = _entries(data, fat, sector_bytes)
        if "EncryptedPackage" in entries:
            refuse("protected", name)
        start, size = entries.get("Workbook") or entries.get("Book") or refuse("ole", name)
        if size < struct.unpack_from("<I", data, 56)[0]:
            return  # a stream below 4 KB cannot hold enough sheets to matter
        stream = _chain(data, fat, start, sector_bytes)[:size]
        if len(stream) < size:
            refuse("truncated", name)
        at, area, bottom, right = 0, 0, 0, 0
        while at + 4 <= len(stream):
            kind, length = struct.unpack_from("<HH", stream, at)
            if kind == _FILEPASS:
                refuse("protected", name)
            if kind == _BOF:
                area, bottom, right = area + bottom * right, 0, 0
            elif kind in _CELLS and length >= 6:
                row, column = struct.unpack_from("<HH", stream, at + 4)
                if kind in _ROWS_OF_CELLS:
                    column = struct.unpack_from("<H", stream, at + 2 + length)[0]
                bottom, right = max(bottom, row + 1), max(right, column + 1)
                if area + bottom * right > limits.cells:
                    refuse_size(name, "cells", limits.cells, area + bottom * right)
            at += 4 + length
    except (struct.error, IndexError, ValueError) as error:
        refuse("truncated", name, cause=type(error).__name__)


def _sectors(data: bytes) -> tuple[list[int], int]:
    """(the number of the sector that follows each sector, bytes a sector)."""
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


def _chain(data: bytes, fat: list[int], start: int, sector_bytes: int) -> bytes:
    pieces: list[bytes] = []
    while start < _FREE:
        if len(pieces) == len(fat):
            raise ValueError("a chain of sectors runs in a circle")
        begin = (start + 1) * sector_bytes
        piece = data[begin : begin + sector_bytes]
        if not piece:
            raise ValueError("a sector lies behind the end of the file")
        pieces.append(piece)
        start = fat[start]
    return b"".join(pieces)


def _entries(data: bytes, fat: list[int], sector_bytes: int) -> dict[str, tuple[int, int]]:
    """Name → (first sector, size in bytes) of every entry in the container's directory."""
    directory = _chain(data, fat, struct.unpack_from("<I", data, 48)[0], sector_bytes)
    entries = {}
    for at in range(0, len(directory) - 127, 128):
        length = struct.unpack_from("<H", directory, at + 64)[0]
        if 2 <= length <= 64:
            name = directory[at : at + length - 2].decode("utf-16-le", "replace")
            entries[name] = struct.unpack_from("<II", directory, at + 116)
    return entries
