"""A Parquet file is read as the text that a CSV file of the same table would hold, in a stream.

    column                      text
    integer, decimal            its digits, a decimal with all places of its type
    float                       digits without exponent and without ".0"; NaN, inf and -inf as words
    boolean                     true, false
    date, time                  2024-01-31, 08:30:00
    timestamp                   2024-01-31 08:30:00, with its fraction where that is not zero, by the
                                clock of its time zone; the zone itself is not written
    text, dictionary            as it is
    null                        ""

A row has the number that it would have in a spreadsheet whose first row is the header.
"""

from decimal import Decimal
from pathlib import Path
from typing import Final

import polars as pl

from ledger.errors import Invalid
from ledger.tabular import number_text

MAGIC: Final = (b"PAR1", b"PARE")
_NUMBER: Final = "\x00row"  # no column's name
_SAMPLE_ROWS: Final = 10_000


def damaged(name: str) -> Invalid:
    """The refusal of a file whose columns cannot be read to the end."""
    return Invalid(
        "{name} is a damaged or encrypted Parquet file; export it again, without encryption.",
        name=name,
    )


def as_text(path: Path, row: str) -> tuple[tuple[str, ...], pl.LazyFrame, int]:
    """(header, rows of text with their number as `row` and c0, c1, …, bytes they take in memory).

    Raises Invalid for a file that is damaged or encrypted, and naming all columns whose cells are
    no single values.
    """
    with path.open("rb") as raw:
        start = raw.read(4)
        raw.seek(max(0, path.stat().st_size - 4))
        end = raw.read(4)
    if start != b"PAR1" or end != b"PAR1":
        raise damaged(path.name)
    try:
        # A file alone, even if its name looks like a pattern or a folder's key=value.
        found = pl.scan_parquet(
            path, glob=False, hive_partitioning=False, row_index_name=_NUMBER, row_index_offset=2
        )
        schema = {name: kind for name, kind in found.collect_schema().items() if name != _NUMBER}
        if not schema:
            raise Invalid("{name} has no columns.", name=path.name)
        other = [f"{name} ({kind})" for name, kind in schema.items() if not _is_single(kind)]
        if other:
            raise Invalid(
                "{name} has columns whose cells are no single values: {listing}; write each value"
                " in a column of its own, or leave them out.",
                name=path.name, listing="; ".join(other),
            )  # fmt: skip
        header = tuple(" ".join(name.split()) for name in schema)
        cells = [
            _text(pl.col(name), kind).fill_null("").alias(f"c{index}")
            for index, (name, kind) in enumerate(schema.items())
        ]
        frame = found.select(pl.col(_NUMBER).cast(pl.Int64).alias(row), *cells)
        count = found.select(pl.len()).collect().item()
        sample = found.head(_SAMPLE_ROWS).select(cells).collect()
    except pl.exceptions.PolarsError as error:
        raise damaged(path.name) from error
    each = sample.estimated_size() // max(1, sample.height) + 8 + 8 * len(header)
    return header, frame, count * each


def _is_single(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind.base_type() in {
        pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Date, pl.Datetime, pl.Time, pl.Null,
    }  # fmt: skip


def _text(cells: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if kind.is_float():
        return cells.cast(pl.String).map_batches(
            _without_exponents, return_dtype=pl.String, is_elementwise=True
        )
    if kind.base_type() == pl.Datetime:
        return cells.dt.strftime("%Y-%m-%d %H:%M:%S%.f")
    if kind == pl.Time:
        return cells.dt.strftime("%H:%M:%S%.f")
    return cells.cast(pl.String)


def _without_exponents(texts: pl.Series) -> pl.Series:
    """Numbers as `tabular.number_text` writes them; few have an exponent."""
    plain = texts.str.replace(r"\.0$", "")
    odd = plain.filter(plain.str.contains("[0-9]e")).unique()
    if odd.is_empty():
        return plain
    digits = [number_text(Decimal(one)) for one in odd]
    return plain.replace(odd, pl.Series(digits, dtype=pl.String))
