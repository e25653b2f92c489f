"""A data file is opened as columns of text, however large: CSV, TSV (also .gz, .xz), workbook, Parquet.

Cells stay text, so that an identifier keeps its leading zeros; `typed` reads them as numbers or
dates where a question asks for it. A cell of blanks only counts as blank, a row of blank cells is no
row. Row numbers are those that a spreadsheet shows.

A table that takes up to `HELD_BYTES` is held in memory once; a larger one is scanned anew, in a stream,
for each question, which reads the columns it needs only. What must be counted by value or by row is
counted in parts of `COUNTED_BYTES`, so that memory does not grow with the file (docs/quality.md).
"""

import csv
import gzip
import hashlib
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from os import PathLike
from pathlib import Path
from typing import Any, Final

import polars as pl

from ledger import tabular
from ledger.errors import Invalid
from ledger.quality import parquet
from ledger.quality.personal_data import mask_embedded
from ledger.tables import file_kinds, text_tables

HELD_BYTES: Final = 1_000_000_000
COUNTED_BYTES: Final = 600_000_000
VALUE_BYTES: Final = 64  # what a value takes beside its text while values are counted
CELL_BYTES: Final = 16  # what a cell takes beside a text of more than twelve bytes
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
    row_count: int
    text_bytes: tuple[int, ...]

    def id(self, name: str) -> str:
        """The internal name of a column."""
        return f"c{self.header.index(name)}"

    def ids(self, names: Sequence[str]) -> list[str]:
        """The internal names of columns."""
        return [self.id(name) for name in names]

    def column_name(self, column_id: str) -> str:
        """The name of a column from its internal name."""
        return self.header[int(column_id[1:])]

    def value_parts(self, name: str) -> Iterator[pl.DataFrame]:
        """The distinct values of a column in parts: `value`, count `n`, first `row`, `length`, `filled`.

        There is one part, unless the values would take more than `COUNTED_BYTES` while they are
        counted; each value is in one part with all its cells.
        """
        value = pl.col(self.id(name)).alias("value")
        size = self.text_bytes[self.header.index(name)]
        count = self.row_count
        if count * VALUE_BYTES + size > COUNTED_BYTES:
            about = self.ask(value.approx_n_unique()) * 11 // 10
            count, size = min(count, about), size * about // max(count, about)
        for mine in parts(value.hash(), count * VALUE_BYTES + size):
            yield (
                self.frame.filter(mine)
                .group_by(value)
                .agg(n=pl.len().cast(pl.Int64), row=pl.col(ROW).min())
                .with_columns(
                    length=pl.col("value").str.len_chars(), filled=filled(pl.col("value"))
                )
                .collect(engine="streaming")
            )

    def ask(self, question: pl.Expr) -> int:
        """The one number that an expression over the rows gives."""
        return int(self.frame.select(question).collect(engine="streaming").item() or 0)


def parts(number: pl.Expr, wanted_bytes: int) -> list[pl.Expr]:
    """Conditions that part the rows by a whole number, so that each part takes its share of memory."""
    count = max(1, -(-wanted_bytes // COUNTED_BYTES))
    return [number % count == part for part in range(count)] if count > 1 else [pl.lit(True)]


@contextmanager
def opened(path: str | PathLike[str], encoding: str | None = None) -> Iterator[DataFile]:
    """The file, while it is open; raises Invalid for what is no table."""
    path = Path(path)
    try:
        with (
            ThreadPoolExecutor(1) as beside,  # the bytes are digested while the table is read
            tempfile.TemporaryDirectory(prefix="profile-") as folder,
        ):
            with path.open("rb") as raw:
                start = raw.read(8)
            size = path.stat().st_size
            if start.startswith(file_kinds.WORKBOOK_MAGIC):
                yield _workbook(path, _digest(path), size)
            elif start.startswith(parquet.MAGIC):
                yield _parquet(path, beside.submit(_digest, path), size)
            else:
                yield _text_file(path, Path(folder), beside, size, encoding)
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
            name=name, blank=", ".join(blank) or "-",
            repeated=mask_embedded(", ".join(sorted(repeated))) or "-",
        )  # fmt: skip
    if told := [title for title in header if mask_embedded(title) != title]:
        raise Invalid(
            "The first row of {name} holds personal data ({listing}) and so seems to be no header; put"
            " the names of the columns above it.",
            name=name, listing=", ".join(map(mask_embedded, told)),
        )  # fmt: skip


def _workbook(path: Path, digest: str, size: int) -> DataFile:
    table = tabular.read_table(path)
    _check_header(table.header, path.name)
    data: dict[str, Any] = {ROW: [row.number for row in table.rows]}
    for index in range(len(table.header)):
        data[f"c{index}"] = [row.cells[index] for row in table.rows]
    schema = {key: pl.Int64 if key == ROW else pl.String for key in data}
    frame = pl.DataFrame(data, schema=schema).lazy()
    facts = path.name, digest, digest, size, table.format, None, table.header
    return DataFile(*facts, frame, *_measured(frame, len(table.header)))


def _parquet(path: Path, digesting: Future[str], size: int) -> DataFile:
    header, frame, held_bytes = parquet.as_text(path, ROW)
    _check_header(header, path.name)
    try:
        frame, row_count, sizes = _settled(frame, len(header), held_bytes)
    except pl.exceptions.PolarsError as error:
        raise parquet.damaged(path.name) from error
    digest = digesting.result()
    facts = path.name, digest, digest, size, "parquet", None, header
    return DataFile(*facts, frame, row_count, sizes)


def _measured(frame: pl.LazyFrame, width: int) -> tuple[int, tuple[int, ...]]:
    """(the count of rows, the bytes of text in each column)."""
    sizes = [pl.col(f"c{index}").str.len_bytes().sum().cast(pl.Int64) for index in range(width)]
    count, *sums = frame.select(pl.len(), *sizes).collect(engine="streaming").row(0)
    return count, tuple(sums)


def _settled(
    frame: pl.LazyFrame, width: int, held_bytes: int
) -> tuple[pl.LazyFrame, int, tuple[int, ...]]:
    """The rows that are not blank, held in memory when they fit, all looked at once; see `_measured`."""
    if held_bytes <= HELD_BYTES:
        frame = frame.collect(engine="streaming").lazy()
    count, sizes = _measured(frame, width)  # reads every cell and so shows every fault now
    # A blank row has a blank first cell, and few tables have one: only they pay for looking further.
    if frame.select((~filled(pl.col("c0"))).any()).collect(engine="streaming").item():
        ids = [f"c{index}" for index in range(width)]
        blank = ~pl.any_horizontal(filled(pl.col(ids)))
        if blank_count := frame.select(blank.sum()).collect(engine="streaming").item():
            frame = frame.filter(~blank)
            frame = frame.collect().lazy() if held_bytes <= HELD_BYTES else frame
            count -= blank_count
    return frame, count, sizes


# ---------------------------------------------------------------- text files


def _text_file(
    path: Path, folder: Path, beside: Executor, size: int, encoding: str | None
) -> DataFile:
    """The file as UTF-8, if it is that throughout, which reading it tells; else in what it is."""
    name = path.name
    digesting = beside.submit(_digest, path)
    plain = _unpacked(path, folder)
    digesting_content = digesting if plain is path else beside.submit(_digest, plain)
    codec = text_tables.named_encoding(encoding, name) if encoding else "utf-8"
    columns: _Columns | None = None
    if codec == "utf-8":
        try:
            columns = _columns(plain, name, beside)
        except (Invalid, pl.exceptions.PolarsError, UnicodeDecodeError):
            if _is_in(plain, codec):
                raise
    if columns is None:
        codec = codec if encoding else _detected(plain, name)
        if not _is_in(plain, codec):
            raise Invalid("{name} is not {encoding} throughout.", name=name, encoding=codec)
        columns = _columns(_as_utf8(plain, folder, codec), name, beside)
    form, header, frame, row_count, sizes = columns
    digest, content_digest = digesting.result(), digesting_content.result()
    return DataFile(
        name, digest, content_digest, size, form, codec, header, frame, row_count, sizes
    )


_Columns = tuple[str, tuple[str, ...], pl.LazyFrame, int, tuple[int, ...]]


def _columns(plain: Path, name: str, beside: Executor) -> _Columns:
    """(form, header, rows, their count, bytes of text by column) of a text file in UTF-8."""
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
    counting = beside.submit(_count_quotes, plain)
    size = plain.stat().st_size
    rows = size * (start.count("\n") + 1) // max(1, len(start.encode()))
    held_bytes = size + rows * CELL_BYTES * (len(header) + 1)
    try:
        settled = _settled(_scan(plain, delimiter, len(header)), len(header), held_bytes)
    except pl.exceptions.PolarsError as error:
        _refuse_bad_rows(plain, delimiter, len(header), name)
        raise Invalid(text_tables.BAD_CSV, name=name, line=0) from error
    if counting.result() % 2:  # one left open would swallow rows unseen
        _refuse_bad_rows(plain, delimiter, len(header), name)
    return "tsv" if delimiter == "\t" else "csv", header, *settled


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


def _scan(plain: Path, delimiter: str, width: int) -> pl.LazyFrame:
    ids = [f"c{index}" for index in range(width)]
    # The header line is read as a row and cut off, so that odd headers cannot confuse the reader.
    return (
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
    )


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


def typed(cells: pl.Expr, kind: str, form: str | None = None, known: bool = False) -> pl.Expr:
    """The text as a value of its type, null where it is none; text and boolean stay text.

    `form` is the strftime form of a date or datetime, ISO 8601 without it. `known`: every cell that
    is filled was seen to be of the type.
    """
    if kind in {"text", "boolean"}:
        return cells
    if form is None and not known:
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
