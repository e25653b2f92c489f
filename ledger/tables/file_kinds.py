"""What a file is, told by its bytes and not by its name; what is no table is refused with what to do.

`Limits` bounds what is read at all, `load` brings a file in and unpacks gzip and xz, `sniff` names
its kind. One table holds the sentence of each refusal.
"""

import codecs
import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from ledger.errors import Invalid


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

_LIMIT_SENTENCES: Final = {
    "file_bytes": "{name} is larger than {most} bytes; split it.",
    "unzipped_bytes": "{name} unpacks to more than {most} bytes; split it.",
    "rows": "{name} has more than {most} rows; split it or delete what lies far below the table.",
    "columns": "{name} has more than {most} columns; delete what lies far beside the table.",
    "cells": "The table in {name} spans more than {most} cells; split it or clean it up.",
    "cell_chars": "Row {row} of {name} has a cell of more than {most} characters; shorten it.",
}
_REFUSALS: Final = {
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


def refuse(kind: str, name: str, **facts: Any) -> NoReturn:
    """Raises Invalid with what a file of this kind is and what to do."""
    raise Invalid(_REFUSALS[kind], name=name, kind=kind, **facts)


def refuse_size(
    name: str, limit: str, most: int, found: int | None = None, **facts: Any
) -> NoReturn:
    """Raises Invalid with the limit that was passed."""
    raise Invalid(_LIMIT_SENTENCES[limit], name=name, limit=limit, most=most, found=found, **facts)


# ---------------------------------------------------------------- loading


def load(
    source: str | os.PathLike[str] | bytes, name: str | None, limits: Limits
) -> tuple[bytes, str]:
    """(the bytes of a file, out of gzip or xz, and what messages call it)."""
    if isinstance(source, bytes):
        data, name = source, name or "文件"
        size = len(data)
    else:
        path = Path(source)
        name = name or path.name
        try:
            size = path.stat().st_size
            data = path.read_bytes() if size <= limits.file_bytes else b""
        except OSError as error:
            raise unreadable(name, error) from error
    if size > limits.file_bytes:
        refuse_size(name, "file_bytes", limits.file_bytes, size)
    return _unpacked(data, name, limits), name


def unreadable(name: str, error: OSError) -> Invalid:
    """The refusal of a file that the system does not give out."""
    cause = error.strerror or str(error)
    return Invalid("{name} cannot be read: {cause}.", name=name, cause=cause)


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
        refuse("truncated", name)
    if len(plain) > limits.unzipped_bytes:
        refuse_size(name, "unzipped_bytes", limits.unzipped_bytes)
    return plain


# ---------------------------------------------------------------- what the bytes are

BOM_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
WORKBOOK_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_Magic = tuple[tuple[bytes, str], ...]
_MAGIC: Final[_Magic] = (
    (b"%PDF", "pdf"),
    (b"\x89PNG", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"II*\x00", "image"),
    (b"MM\x00*", "image"),
    (b"Rar!", "archive"),
    (b"7z\xbc\xaf", "archive"),
    (b"\x28\xb5\x2f\xfd", "archive"),
    (b"{\\rtf", "docx"),
)
_LETTERS: Final[_Magic] = ((b"BM", "image"), (b"BZh", "archive"))  # may also begin a header


def sniff(data: bytes) -> str:
    """What the bytes are: "text", "xlsx", "xls", or a key of the refusals ("pdf", "html", …).

    "xls" is any old Office file; `workbook_safety.measure_xls` looks inside.
    """
    if not data.strip(b" \t\r\n\x00\xef\xbb\xbf"):
        return "empty"
    if data.startswith(WORKBOOK_MAGIC):
        return _sniff_zip(data) if data.startswith(b"PK") else "xls"
    for magic, kind in _MAGIC + _LETTERS if b"\x00" in data[:512] else _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image"
    if b"\x00" in data and not data.startswith(BOM_16):
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


_MEMBERS: Final = {
    "xl/workbook.bin": "xlsb",
    "xl/workbook.xml": "xlsx",
    "word/document.xml": "docx",
    "ppt/presentation.xml": "pptx",
}


def _sniff_zip(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = {member.lower() for member in archive.namelist()}
            if "mimetype" in archive.namelist() and archive.getinfo("mimetype").file_size < 200:
                kind = archive.read("mimetype")
                if kind.startswith(b"application/vnd.oasis.opendocument"):
                    return "ods"
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, zlib.error):
        return "truncated"
    return next((kind for member, kind in _MEMBERS.items() if member in names), "zip")
