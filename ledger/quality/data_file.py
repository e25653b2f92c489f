"""A data file is opened as columns of text, however large: CSV, TSV or workbook, also .gz and .xz.

Cells stay text, so that an identifier keeps its leading zeros; `typed` reads them as numbers or
dates where a question asks for it. A cell of blanks only counts as blank, a row of blank cells is no
row. Row numbers are those that a spreadsheet shows.

Text files up to `IN_MEMORY_BYTES` are held in memory once; larger ones are scanned anew, in a stream,
for each question.
"""

import csv
import gzip
import hashlib
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from os import PathLike
from pathlib import Path
from typing import Any, Final

import polars as pl

from ledger import tabular
from ledger.errors import Invalid
from ledger.tables import file_kinds, text_tables

IN_MEMORY_BYTES: Final = 256_000_000
MOST_BYTES: Final = 20_000_000_000
TYPES: Final = ("text", "integer", "decimal", "date", "datetime", "boolean")
ROW: Final = "row"  # internal names: `row`, and c0, c1, … so that no header can be an expression


@dataclass(frozen=True, slots=True)
class DataFile:
    """An open file; `digest` is of the file, `content_digest` of what it unpacks to.

    `frame` has the columns `row`, c0, c1, … in the order of `header`.
    """

    name: str
    digest: str
    content_digest: str
    size_bytes: int
    format: str
    encoding: str | None
    header: tuple[str, ...]
    frame: pl.LazyFrame

    def id(self, name: str) -> str:
        """The internal name of a column."""
        return f"c{self.header.index(name)}"

    def ids(self, names: Sequence[str]) -> list[str]:
        """The internal names of columns."""
        return [self.id(name) for name in names]

    def column_name(self, column_id: str) -> str:
        """The name of a column from its internal name."""
        return self.header[int(column_id[1:])]

    def value_counts(self, name: str) -> pl.DataFrame:
        """Each distinct `value` with its count `n`, first `row`, `length`, and whether `filled`."""
        return (
            self.frame.group_by(pl.col(self.id(name)).alias("value"))
            .agg(n=pl.len().cast(pl.Int64), row=pl.col(ROW).min())
            .with_columns(length=pl.col("value").str.len_chars(), filled=filled(pl.col("value")))
            .sort("row")
            .collect(engine="streaming")
        )

    def ask(self, question: pl.Expr) -> int:
        """The one number that an expression over the rows gives."""
        return int(self.frame.select(question).collect(engine="streaming").item() or 0)


@contextmanager
def opened(path: str | PathLike[str], encoding: str | None = None) -> Iterator[DataFile]:
    """The file, while it is open; raises Invalid for what is no table."""
    path = Path(path)
    try:
        digest, size = _digest(path), path.stat().st_size
        with path.open("rb") as raw:
            start = raw.read(8)
        if start.startswith(file_kinds.WORKBOOK_MAGIC):
            yield _workbook(path, digest, size)
            return
        with tempfile.TemporaryDirectory(prefix="profile-") as folder:
            yield _text_file(path, Path(folder), digest, size, encoding)
    except OSError as error:
        raise file_kinds.unreadable(path.name, error) from error


def _digest(path: Path) -> str:
    with path.open("rb") as raw:
        return "sha256:" + hashlib.file_digest(raw, "sha256").hexdigest()


def _check_header(header: Sequence[str], name: str) -> None:
    blank = [str(number) for number, title in enumerate(header, start=1) if not title]
    repeated = tabular.repeated(header)
    if blank or repeated:
        raise Invalid(
            "The header of {name} is not usable: columns without name: {blank}; names standing"
            " twice: {repeated}.",
            name=name, blank=", ".join(blank) or "-", repeated=", ".join(sorted(repeated)) or "-",
        )  # fmt: skip


def _workbook(path: Path, digest: str, size: int) -> DataFile:
    table = tabular.read_table(path)
    _check_header(table.header, path.name)
    data: dict[str, Any] = {ROW: [row.number for row in table.rows]}
    for index in range(len(table.header)):
        data[f"c{index}"] = [row.cells[index] for row in table.rows]
    schema = {key: pl.Int64 if key == ROW else pl.String for key in data}
    frame = pl.DataFrame(data, schema=schema).lazy()
    return DataFile(path.name, digest, digest, size, table.format, None, table.header, frame)


# ---------------------------------------------------------------- text files


def _text_file(path: Path, folder: Path, digest: str, size: int, encoding: str | None) -> DataFile:
    name = path.name
    plain = _unpacked(path, folder)
    content_digest = digest if plain is path else _digest(plain)
    if encoding:
        codec = text_tables.named_encoding(encoding, name)
    else:
        codec = "utf-8" if _is_in(plain, "utf-8") else _detected(plain, name)
    if (encoding or codec != "utf-8") and not _is_in(plain, codec):
        raise Invalid("{name} is not {encoding} throughout.", name=name, encoding=codec)
    if codec != "utf-8":
        plain = _as_utf8(plain, folder, codec)
    with plain.open("r", encoding="utf-8-sig", newline="") as text:
        start = text.read(100_000)
    delimiter = text_tables.guess_delimiter(start)
    try:
        titles = next(csv.reader(start.splitlines(keepends=True), delimiter=delimiter), [])
    except csv.Error:
        titles = []
    header = tuple(" ".join(text_tables.clean(title).split()) for title in titles)
    if not any(header):
        raise Invalid("The first line of {name} is blank: it must hold the header.", name=name)
    _check_header(header, name)
    if _count_quotes(plain) % 2:  # one left open would swallow rows unseen
        _refuse_bad_rows(plain, delimiter, len(header), name)
    frame = _scan(plain, delimiter, len(header), name)
    form = "tsv" if delimiter == "\t" else "csv"
    return DataFile(name, digest, content_digest, size, form, codec, header, frame)


def _unpacked(path: Path, folder: Path) -> Path:
    """The file itself, or what it unpacks to; raises Invalid for what is no text."""
    name, plain = path.name, folder / "plain"
    with path.open("rb") as raw:
        stream = file_kinds.unpacking(raw)
        try:
            piece = stream.read(1 << 20)
            if piece.startswith(file_kinds.WORKBOOK_MAGIC):
                raise Invalid("{name} is a packed workbook; unpack it first.", name=name)
            kind = file_kinds.sniff(piece)
            if kind != "text":
                file_kinds.refuse(kind, name)
            if stream is raw:
                return path
            with plain.open("wb") as target:
                while piece:
                    target.write(piece)
                    if target.tell() > MOST_BYTES:
                        raise Invalid(
                            "{name} unpacks to more than {most} bytes.", name=name, most=MOST_BYTES
                        )
                    piece = stream.read(1 << 20)
        except (EOFError, gzip.BadGzipFile, LZMAError, zlib.error):
            file_kinds.refuse("truncated", name)
    return plain


def _is_in(plain: Path, codec: str) -> bool:
    try:
        with plain.open("r", encoding=codec, newline="") as text:
            while text.read(1 << 20):
                pass
    except UnicodeError:
        return False
    return True


def _detected(plain: Path, name: str) -> str:
    with plain.open("rb") as raw:
        sample = raw.read(16_000_000)
    if len(sample) == 16_000_000:
        sample = sample[: sample.rfind(b"\n") + 1]
    return text_tables.detect_encoding(sample, name)[0]


def _as_utf8(plain: Path, folder: Path, codec: str) -> Path:
    target = folder / "utf8"
    with (
        plain.open("r", encoding=codec, newline="") as source,
        target.open("w", encoding="utf-8", newline="") as sink,
    ):
        while piece := source.read(1 << 20):
            sink.write(piece)
    return target


def _count_quotes(plain: Path) -> int:
    with plain.open("rb") as raw:
        return sum(piece.count(b'"') for piece in iter(lambda: raw.read(1 << 20), b""))


def _scan(plain: Path, delimiter: str, width: int, name: str) -> pl.LazyFrame:
    ids = [f"c{index}" for index in range(width)]
    # The header line is read as a row and cut off, so that odd headers cannot confuse the reader.
    frame = (
        pl.scan_csv(
            plain,
            has_header=False,
            schema=dict.fromkeys(ids, pl.String),
            separator=delimiter,
            empty_string_is_null=False,
            row_index_name=ROW,
            row_index_offset=1,
            glob=False,
        )
        .slice(1)
        .with_columns(pl.col(ids).fill_null(""), pl.col(ROW).cast(pl.Int64))
        .filter(pl.any_horizontal(filled(pl.col(ids))))
    )
    try:
        if plain.stat().st_size <= IN_MEMORY_BYTES:
            return frame.collect(engine="streaming").lazy()
        frame.select(pl.all().is_null().sum()).collect(engine="streaming")  # shows every fault now
    except pl.exceptions.PolarsError as error:
        _refuse_bad_rows(plain, delimiter, width, name)
        raise Invalid(text_tables.BAD_CSV, name=name, line=0) from error
    return frame


def _refuse_bad_rows(plain: Path, delimiter: str, width: int, name: str) -> None:
    """Raises Invalid with the rows wider than the header, or the line where a quote is wrong."""
    wide: list[int] = []
    with plain.open("r", encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for number, record in enumerate(reader, start=1):
                if len(record) > width and len(wide) < 5:
                    wide.append(number)
        except csv.Error as error:
            if not wide:
                raise Invalid(text_tables.BAD_CSV, name=name, line=reader.line_num) from error
    if wide:
        raise Invalid(
            "{name}: rows {listing} have more cells than the header's {width}; a delimiter may"
            " stand unquoted.",
            name=name, width=width, rows=wide, listing=", ".join(map(str, wide)),
        )  # fmt: skip


# ---------------------------------------------------------------- types of cells

_PATTERNS: Final = {
    "integer": r"^-?(0|[1-9][0-9]{0,17})$",
    "decimal": r"^-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,9})?$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "datetime": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?$",
    "boolean": r"^(?i:true|false|yes|no|0|1|是|否)$",
}


def filled(cells: pl.Expr) -> pl.Expr:
    """Whether a cell holds more than blanks."""
    return cells.str.strip_chars() != ""


def typed(cells: pl.Expr, kind: str, form: str | None = None) -> pl.Expr:
    """The text as a value of its type, null where it is none; text and boolean stay text.

    `form` is the strftime form of a date or datetime, ISO 8601 without it.
    """
    if kind in {"text", "boolean"}:
        return cells
    if form is None:
        cells = pl.when(cells.str.contains(_PATTERNS[kind])).then(cells)
    if kind == "integer":
        return cells.cast(pl.Int64, strict=False)
    if kind == "decimal":
        return cells.cast(pl.Decimal(38, 9), strict=False)
    if kind == "date":
        return cells.str.to_date(form or "%Y-%m-%d", strict=False)
    if form is None:
        cells = cells.str.replace("T", " ").str.replace(r"^([^ ]+ [0-9]{2}:[0-9]{2})$", "${1}:00")
    return cells.str.to_datetime(form or "%Y-%m-%d %H:%M:%S", strict=False, time_unit="ms")


def is_type(cells: pl.Expr, kind: str, form: str | None = None) -> pl.Expr:
    """Whether the text is a value of the type."""
    if kind == "text":
        return pl.lit(True)
    if kind == "boolean":
        return cells.str.contains(_PATTERNS["boolean"])
    return typed(cells, kind, form).is_not_null()


def observed_type(values: pl.DataFrame) -> str:
    """The narrowest type that all filled values have; digits of one length over one are text (a code).

    `values` are the filled rows of `DataFile.value_counts`; "blank" without any.
    """
    if values.is_empty():
        return "blank"
    for kind in ("integer", "decimal", "date", "datetime"):
        if values.select(is_type(pl.col("value"), kind).all()).item():
            lengths = values["length"]
            if kind == "integer" and values.height > 2 and lengths.min() == lengths.max() != 1:
                return "text"
            return kind
    return "text"
