"""A file of usage events is opened as columns of text: NDJSON, CSV, Parquet or a workbook, by what it is.

`read_rows` opens another kind of rows, whose `Columns` it is told, from CSV or a workbook.

Every column comes as text, however the file spells it, so that each kind of file gives the same batch:
`ledger.usage` judges the texts. Text files may be UTF-8 (with or without mark), UTF-16 with mark,
GB18030 or Big5. `line` is the line of an NDJSON file, the row a spreadsheet shows of a CSV or workbook,
and the place of the row (from 1) in a Parquet file.

NDJSON is parsed a piece at a time; what has more than `ROWS_MAX` rows or `BYTES_MAX` bytes is refused.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Final

import orjson
import polars as pl

from ledger import tabular
from ledger.errors import Invalid
from ledger.import_templates import refuse_blank
from ledger.tables import file_kinds, text_tables

ROWS_MAX: Final = 5_000_000
BYTES_MAX: Final = 2_000_000_000
LINE_BYTES_MAX: Final = 65_536
PIECE_BYTES: Final = 16_000_000
PIECE_ROWS: Final = 500_000
SAMPLE_BYTES: Final = 16_000_000
VALUE_CHARS: Final = 80  # of what stands at a faulty place, enough to know it by
NEEDED: Final = ("at", "event", "kind", "licence", "quantity", "unit")
COLUMNS: Final = (*NEEDED, "digest", "v")
ALIASES: Final = {
    "时间": "at", "发生时间": "at", "事件编号": "event", "类型": "kind", "许可编号": "licence",
    "许可": "licence", "订单号": "licence", "数量": "quantity", "单位": "unit", "摘要": "digest",
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Which columns a kind of file has: those it needs, all, and other names for them."""

    needed: tuple[str, ...]
    all: tuple[str, ...]
    aliases: Mapping[str, str]

    def meant(self, title: str) -> str:
        """The column that a title names, else the title itself in lower case."""
        plain = text_tables.clean(title)
        return self.aliases.get(plain, plain.lower())


EVENTS: Final = Columns(NEEDED, COLUMNS, ALIASES)
FAULTS: Final = pl.Schema({
    "line": pl.UInt32, "column": pl.String, "value": pl.String, "code": pl.String, "fact": pl.String,
})  # fmt: skip
ROWS: Final = pl.Schema({"line": pl.UInt32, **dict.fromkeys(COLUMNS, pl.String)})
KINDS: Final = ("ndjson", "csv", "parquet")


@dataclass(frozen=True, slots=True)
class EventFile:
    """The rows of a file, all columns of `COLUMNS` as text, and what of it is no row.

    `faults` has line, column, value, code and one fact more; the codes' sentences stand in
    `ledger.usage`. A column that the file lacks is null throughout.
    """

    kind: str
    rows: pl.DataFrame
    faults: pl.DataFrame


def read_events(path: Path, name: str) -> EventFile:
    """The events of a file; raises Invalid for what is none of these kinds, or too large.

    A workbook has room for some 200,000; more of them are told to come as CSV.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(SAMPLE_BYTES)
    except OSError as error:
        raise file_kinds.unreadable(name, error) from error
    if size > BYTES_MAX:
        raise Invalid("{name} is larger than {most} bytes; split it.", name=name, most=BYTES_MAX)
    if start.startswith(b"PAR1"):
        return _parquet(path, name)
    kind = file_kinds.sniff(start)
    if kind in ("xlsx", "xls"):
        try:
            return _workbook(path, name, EVENTS)
        except Invalid as error:
            if "limit" not in error.facts:
                raise
        raise Invalid(
            "{name} is a workbook, which has no room for events by the million: save its sheet as "
            "CSV UTF-8 and hand that in.",
            name=name,
        )
    if start.startswith((b"\x1f\x8b", b"\xfd7zXZ\x00")):
        raise Invalid("{name} is packed; unpack it first.", name=name)
    if kind not in ("text", "json"):
        file_kinds.refuse(kind, name)
    with TemporaryDirectory(prefix="events-") as folder:
        plain = _as_utf8(path, Path(folder), start, name)
        with plain.open("rb") as file:
            first = file.read(PIECE_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if first == b"[":
            raise Invalid(
                "{name} is one JSON list; NDJSON has one object a line, without brackets around.",
                name=name,
            )
        return _ndjson(plain, name) if first == b"{" else _csv(plain, name, EVENTS)


def read_rows(path: Path, name: str, columns: Columns) -> EventFile:
    """The rows of a CSV or of a workbook's first visible sheet; raises Invalid for anything else."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(SAMPLE_BYTES)
    except OSError as error:
        raise file_kinds.unreadable(name, error) from error
    if size > BYTES_MAX:
        raise Invalid("{name} is larger than {most} bytes; split it.", name=name, most=BYTES_MAX)
    kind = file_kinds.sniff(start)
    if kind in ("xlsx", "xls"):
        return _workbook(path, name, columns)
    if kind != "text":
        file_kinds.refuse(kind, name)
    with TemporaryDirectory(prefix="rows-") as folder:
        return _csv(_as_utf8(path, Path(folder), start, name), name, columns)


def _workbook(path: Path, name: str, columns: Columns) -> EventFile:
    table = tabular.read_table(path, name)
    refuse_blank(table)
    ids = [f"c{index}" for index in range(len(table.header))]
    frame = pl.DataFrame(
        [(row.number, *row.cells) for row in table.rows], orient="row",
        schema={"line": pl.UInt32, **dict.fromkeys(ids, pl.String)},
    )  # fmt: skip
    lost = [
        (row, columns.meant(table.header[at]), value, "digits_lost", "")
        for at, (row, value) in table.lost_digits.items()
    ]
    faults = [pl.DataFrame(lost, schema=FAULTS, orient="row")]
    return _table(table.format, frame, table.header, ids, faults, columns)


def _as_utf8(path: Path, folder: Path, start: bytes, name: str) -> Path:
    """The file itself where it is UTF-8, else a copy that is."""
    if not start.startswith(file_kinds.BOM_16):
        try:
            with path.open("r", encoding="utf-8", newline="") as text:
                while text.read(1 << 20):
                    pass
            return path
        except UnicodeDecodeError:
            pass
    sample = start if len(start) < SAMPLE_BYTES else start[: start.rfind(b"\n") + 1]
    codec = text_tables.detect_encoding(sample, name)[0]
    copy = folder / "utf8"
    try:
        with (
            path.open("r", encoding=codec, newline="") as source,
            copy.open("w", encoding="utf-8", newline="") as sink,
        ):
            while piece := source.read(1 << 20):
                sink.write(piece)
    except UnicodeDecodeError:
        raise Invalid("{name} is not {encoding} throughout.", name=name, encoding=codec) from None
    return copy


# ---------------------------------------------------------------- NDJSON


def _ndjson(path: Path, name: str) -> EventFile:
    frames: list[pl.DataFrame] = []
    faults: list[tuple[Any, ...]] = []
    count = 0
    with path.open("rb") as file:
        for first, lines in _pieces(file, name):
            frame = _objects(first, lines, faults)
            count += frame.height
            _check_rows(count, name)
            frames.append(frame)
    rows = pl.concat(frames, rechunk=False) if frames else pl.DataFrame(schema=ROWS)
    return EventFile("ndjson", rows, pl.DataFrame(faults, schema=FAULTS, orient="row"))


def _pieces(file: BinaryIO, name: str) -> Iterator[tuple[int, list[bytes]]]:
    """The lines of a file, a piece at a time, each with the number of its first line."""
    number, rest = 1, b""
    while piece := file.read(PIECE_BYTES):
        if number == 1 and not rest:
            piece = piece.removeprefix(b"\xef\xbb\xbf")
        head, found, tail = (rest + piece).rpartition(b"\n")
        rest = tail
        if len(rest) > PIECE_BYTES:
            raise Invalid(
                "Line {line} of {name} does not end; is it NDJSON?", name=name, line=number
            )
        if found:
            lines = head.split(b"\n")
            yield number, lines
            number += len(lines)
    if rest:
        yield number, [rest]


def _objects(first: int, lines: list[bytes], faults: list[tuple[Any, ...]]) -> pl.DataFrame:
    """The objects of some lines as columns; what is no object of these columns becomes a fault."""
    numbers: Sequence[int] = range(first, first + len(lines))
    try:
        found = [orjson.loads(line) for line in lines]
        regular = set(map(type, found)) <= {dict} and max(map(len, lines)) <= LINE_BYTES_MAX
    except orjson.JSONDecodeError:
        regular = False
    if not regular:
        numbers, found = _one_by_one(first, lines, faults)
    shapes = set(map(tuple, found))
    names = {key: ALIASES.get(key.strip(), key.strip()) for shape in shapes for key in shape}
    odd = {key for key, column in names.items() if column not in COLUMNS}
    double = any(len({names[k] for k in shape}) < len(shape) for shape in shapes)
    if odd or double:
        for number, one in zip(numbers, found, strict=True):
            seen: set[str] = set()
            for key, value in one.items():
                if key in odd:
                    faults.append((number, key[:VALUE_CHARS], _text(value), "unknown_column", ""))
                elif names[key] in seen:
                    faults.append((number, names[key], _text(value), "twice", ""))
                seen.add(names[key])
    data: dict[str, pl.Series] = {"line": pl.Series("line", numbers, dtype=pl.UInt32)}
    for column in COLUMNS:
        keys = [key for key, meant in names.items() if meant == column]
        if not keys:
            data[column] = pl.Series(column, [None], dtype=pl.String).new_from_index(0, len(found))
        elif len(keys) == 1:
            data[column] = _column(column, [one.get(keys[0]) for one in found])
        else:
            data[column] = _column(
                column, [next((one[k] for k in keys if k in one), None) for one in found]
            )
    return pl.DataFrame(data)


def _one_by_one(
    first: int, lines: list[bytes], faults: list[tuple[Any, ...]]
) -> tuple[list[int], list[dict[str, Any]]]:
    """The lines that are objects, with their numbers; blank ones are passed over, others are faults."""
    numbers, found = [], []
    for number, line in enumerate(lines, start=first):
        if not line.strip():
            continue
        shown = line[: 4 * VALUE_CHARS].decode("utf-8", "replace").strip()[:VALUE_CHARS]
        if len(line) > LINE_BYTES_MAX:
            faults.append((number, "", shown, "long_line", str(LINE_BYTES_MAX)))
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            faults.append((number, "", shown, "not_json", str(error.colno)))
            continue
        if type(value) is not dict:
            faults.append((number, "", shown, "not_object", ""))
            continue
        numbers.append(number)
        found.append(value)
    return numbers, found


def _column(name: str, values: list[Any]) -> pl.Series:
    try:
        return pl.Series(name, values, dtype=pl.String, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        return pl.Series(name, map(_text, values), dtype=pl.String)


def _text(value: Any) -> str | None:
    """A JSON value as the text of a cell."""
    if value is None or type(value) is str:
        return value
    return str(value) if type(value) is int else orjson.dumps(value).decode()


# ---------------------------------------------------------------- CSV and Parquet


def _csv(path: Path, name: str, columns: Columns) -> EventFile:
    with path.open("r", encoding="utf-8-sig", newline="") as text:
        start = text.read(100_000)
    delimiter = text_tables.guess_delimiter(start)
    try:
        header = next(csv.reader(start.splitlines(keepends=True), delimiter=delimiter), [])
    except csv.Error:
        header = []
    ids = [
        f"c{index}" for index in range(len(header) + 1)
    ]  # one more: what is too wide shows there
    try:
        frame = pl.read_csv(
            path, has_header=False, schema=dict.fromkeys(ids, pl.String), separator=delimiter,
            missing_columns="insert", truncate_ragged_lines=True, row_index_name="line",
            row_index_offset=1, n_rows=ROWS_MAX + 2, glob=False,
        )  # fmt: skip
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        raise Invalid(text_tables.BAD_CSV, name=name, line=_bad_line(path, delimiter)) from None
    # A quotation mark that is never closed swallows all rows after it, and is told so.
    if _open_quote(frame, ids):
        raise Invalid(text_tables.BAD_CSV, name=name, line=_bad_line(path, delimiter))
    frame = frame.slice(1)
    blank = pl.all_horizontal(pl.col(ids).is_null() | (pl.col(ids).str.strip_chars() == ""))
    if frame.select(blank.any()).item():
        frame = frame.filter(~blank)
    _check_rows(frame.height, name)
    wide = frame.filter(pl.col(ids[-1]).is_not_null()).select(
        "line", column=pl.lit(""), value=pl.col(ids[-1]).str.head(VALUE_CHARS),
        code=pl.lit("wide"), fact=pl.lit(str(len(header))),
    )  # fmt: skip
    return _table("csv", frame, header, ids[:-1], [wide], columns)


def _open_quote(frame: pl.DataFrame, ids: list[str]) -> bool:
    """Whether the last row's last cell holds line ends, as it does when its quote is never closed."""
    if not frame.height:
        return False
    return any(
        "\n" in str(value).strip() or len(str(value)) > LINE_BYTES_MAX
        for value in frame.row(frame.height - 1, named=True).values()
        if type(value) is str
    )


def _bad_line(path: Path, delimiter: str) -> int:
    with path.open("r", encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        before = 0
        try:
            for _ in reader:
                before = reader.line_num
        except csv.Error:
            return before + 1
    return before


def _parquet(path: Path, name: str) -> EventFile:
    try:
        scan = pl.scan_parquet(path, glob=False)
        schema = scan.collect_schema()
        _check_rows(int(scan.select(pl.len()).collect().item()), name)
        wanted = [column for column in schema if EVENTS.meant(column) in COLUMNS]
        texts = [_as_text(column, schema[column]) for column in wanted]
        frames, size = [], 0
        for start in range(0, ROWS_MAX, PIECE_ROWS):
            frame = scan.slice(start, PIECE_ROWS).select(texts).collect()
            size += int(frame.estimated_size())
            if size > BYTES_MAX:
                raise Invalid(
                    "{name} unpacks to more than {most} bytes; split it.", name=name, most=BYTES_MAX
                )
            frames.append(frame)
            if frame.height < PIECE_ROWS:
                break
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise Invalid("{name} is no Parquet file we can read: {why}.", name=name, why=why) from None
    rows = pl.concat(frames).with_row_index("line", offset=1)
    header = list(schema)
    ids = [column if column in rows.columns else "" for column in header]
    return _table("parquet", rows, header, ids, [], EVENTS)


def _as_text(column: str, kind: Any) -> pl.Expr:
    """A typed column as text; an instant without zone is left so, and judged as such later."""
    cells = pl.col(column)
    if isinstance(kind, pl.Datetime):
        if kind.time_zone is None:
            return cells.dt.strftime("%Y-%m-%dT%H:%M:%S")
        return cells.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(kind, pl.List | pl.Struct | pl.Array | pl.Binary | pl.Object):
        return pl.lit(str(kind)).alias(column)
    return cells.cast(pl.String)


def _table(
    kind: str, frame: pl.DataFrame, header: Sequence[str], ids: Sequence[str],
    faults: list[pl.DataFrame], columns: Columns,
) -> EventFile:  # fmt: skip
    """The columns we know under our names; those that lack, stand twice or are unknown are faults."""
    found: dict[str, str] = {}
    told: list[tuple[Any, ...]] = []
    for title, id_ in zip(header, ids, strict=True):
        column = columns.meant(title)
        if column not in columns.all:
            told.append((1, title[:VALUE_CHARS], "", "unknown_column", ""))
        elif column in found:
            told.append((1, column, title, "twice", ""))
        else:
            found[column] = id_
    told += [(1, column, "", "no_column", "") for column in columns.needed if column not in found]
    rows = frame.select(
        pl.col("line").cast(pl.UInt32),
        *(
            (pl.col(found[c]) if c in found else pl.lit(None, dtype=pl.String)).alias(c)
            for c in columns.all
        ),
    )
    faulty = pl.DataFrame(told, schema=FAULTS, orient="row")
    return EventFile(kind, rows, pl.concat([faulty, *(one.cast(FAULTS) for one in faults)]))


def _check_rows(count: int, name: str) -> None:
    if count > ROWS_MAX:
        raise Invalid("{name} has more than {most} rows; split it.", name=name, most=ROWS_MAX)
