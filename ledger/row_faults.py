"""What is wrong with rows of a file, told at once in both languages: line, column, value, reason.

A fault has a code; what each code says stands in the reasons of its kind of file. Faults are a table
(`ledger.tables.events.FAULTS`), since a file of a million rows can have as many.
"""

import io
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import polars as pl

from ledger.errors import Invalid
from ledger.tables.events import FAULTS, VALUE_CHARS
from ledger.tabular import Problem

PROBLEMS_TOLD: Final = 1_000
Reasons = Mapping[str, tuple[str, str]]
"""code → what is wrong, in both languages; {value} is what stands there, {fact} the other side of it"""
# what every kind of file can have
FORMS: Final[Reasons] = {
    "missing": ("未填写", "nothing is given"),
    "no_column": ("文件缺少该列", "the file has no such column"),
    "unknown_column": (
        "未知列，不予接收（不得包含个人信息列）",
        "unknown column; no others are taken, so that no personal data come in",
    ),
    "twice": ("同一列出现两次", "the column stands there twice"),
    "wide": ("单元格多于表头的 {fact} 列", "more cells than the header's {fact}"),
    "digits_lost": (
        "“{value}”是超过 15 位的数字，末尾数字已被表格软件改写；请将该列设为文本后重新填写",
        "“{value}” is a number of more than 15 digits, whose last ones the spreadsheet has lost: make the "
        "column text and enter it again",
    ),
    "long_line": ("该行超过 {fact} 字节", "the line has more than {fact} bytes"),
}


class Unusable(Invalid):
    """Some lines cannot be used; `faults` has all of them, `reasons` what their codes say."""

    faults: pl.DataFrame
    reasons: Reasons


def told(rows: pl.DataFrame, column: str, code: str, fact: pl.Expr) -> pl.DataFrame:
    """A fault of a code for each of the rows, at a column, with one fact more."""
    return rows.select(
        "line", column=pl.lit(column), value=pl.col(column).fill_null("").str.head(VALUE_CHARS),
        code=pl.lit(code), fact=fact,
    ).cast(FAULTS)  # fmt: skip


def refuse(faults: pl.DataFrame, name: str, reasons: Reasons) -> NoReturn:
    """Raise Unusable: the first `PROBLEMS_TOLD` faults as `problems`, all of them as `faults`."""
    faults = faults.sort("line", "column", maintain_order=True)
    error = Unusable(
        "{count} lines of {name} cannot be used; nothing was stored. Mend them and hand the file in again.",
        name=name, count=faults["line"].n_unique(),
        problems=[
            _problem(one, reasons).as_dict()
            for one in faults.head(PROBLEMS_TOLD).iter_rows(named=True)
        ],
    )  # fmt: skip
    error.faults, error.reasons = faults, reasons
    raise error


def _problem(fault: dict[str, Any], reasons: Reasons) -> Problem:
    zh, en = (text.format(**fault) for text in reasons[fault["code"]])
    return Problem("error", fault["code"], None, fault["line"], fault["column"] or None, zh, en,
                   fault["value"])  # fmt: skip


def faults_csv(error: Unusable) -> bytes:
    """All faults as a CSV that a spreadsheet opens; what would be a formula there is marked as text."""
    value = pl.when(pl.col("value").str.contains(r"^[=+@\-\t]")).then(
        pl.concat_str(pl.lit("'"), "value")
    ).otherwise("value")  # fmt: skip
    faults = error.faults
    told = [
        faults.filter(pl.col("code") == code).with_columns(
            reason_zh=_filled(zh), reason_en=_filled(en)
        )
        for code, (zh, en) in error.reasons.items()
    ]
    table = pl.concat(told).sort("line", "column", maintain_order=True).with_columns(value=value)
    out = io.BytesIO()
    table.select("line", "column", "value", "reason_zh", "reason_en").write_csv(
        out, include_bom=True
    )
    return out.getvalue()


def _filled(template: str) -> pl.Expr:
    pieces = [
        pl.col(piece[1:-1]) if piece in ("{value}", "{fact}") else pl.lit(piece)
        for piece in re.split(r"(\{[a-z]+\})", template)
        if piece
    ]
    return pl.concat_str(pieces)
