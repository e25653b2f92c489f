"""Rows of trades made at an exchange: their canonical form, and what of them is wrong, all at once.

    columns  trade, voucher, buyer (social credit code), on, amount_yuan (VAT included); unit, quantity
    row      {"amount_fen":10600,"buyer":"91…","on":"2026-03-02","quantity":1,"trade":"T-1",
              "unit":"产品数量","v":1,"voucher":"…"}

Columns of text are judged as columns (polars), never row by row; amounts are whole fen, in integers.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from ledger import salted_rows
from ledger.errors import LedgerError
from ledger.party_codes import check_uscc
from ledger.prices import PIECE
from ledger.proof.encoding import INT_MAX
from ledger.row_faults import FORMS, Reasons, told
from ledger.salted_rows import as_lines
from ledger.tables.events import Columns
from ledger.tables.tabular_cells import days_of
from ledger.trading import VAT_PCT
from valuation.pricing import UNITS

COLUMNS: Final = Columns(
    ("trade", "voucher", "buyer", "on", "amount_yuan"),
    ("trade", "voucher", "buyer", "on", "amount_yuan", "unit", "quantity"),
    {
        "交易编号": "trade", "成交编号": "trade", "凭证编号": "voucher", "凭证": "voucher",
        "买方统一社会信用代码": "buyer", "买方": "buyer", "成交日期": "on", "日期": "on",
        "金额（元）": "amount_yuan", "金额(元)": "amount_yuan", "金额": "amount_yuan",
        "成交金额": "amount_yuan", "成交金额(元)": "amount_yuan", "成交金额（元）": "amount_yuan",
        "计费单位": "unit", "单位": "unit", "数量": "quantity",
    },
)  # fmt: skip
AMOUNT: Final = r"^(0|[1-9][0-9]{0,10})(?:\.([0-9]{1,2}))?$"
QUANTITY: Final = r"^[1-9][0-9]{0,15}$"
TRADE: Final = r"^[!#-\[\]-~]{1,64}$"
NET: Final = (200 * pl.col("fen") + 100 + VAT_PCT) // (2 * (100 + VAT_PCT))  # `trading.net_of`
VOUCHER: Final = r'^[^"\\\x00-\x1f]{1,64}$'
REASONS: Final[Reasons] = {
    **FORMS,
    "trade": (
        "“{value}”不是 1 至 64 个可见 ASCII 字符（不含空格、引号、反斜杠）",
        "“{value}” is not 1 to 64 visible ASCII characters without blank, quote or backslash",
    ),
    "trade_twice": ("交易 {value} 已在第 {fact} 行出现", "the trade {value} stands in line {fact} already"),
    "recorded": ("交易 {value} 已记录于 {fact}", "the trade {value} is recorded already: {fact}"),
    "buyer": (
        "“{value}”不是统一社会信用代码",
        "“{value}” is no unified social credit code",
    ),
    "on": ("“{value}”不是日期；请写成 2026-01-31", "“{value}” is no day; write 2026-01-31"),
    "outside": ("日期 {value} 不在 {fact} 之内", "the day {value} is outside {fact}"),
    "amount": (
        "“{value}”不是大于 0、最多两位小数的金额（元）",
        "“{value}” is no amount in yuan above 0 with at most two decimals",
    ),
    "unit": ("“{value}”不是计费单位：{fact}", "“{value}” is no unit that is charged by: {fact}"),
    "quantity": (
        "“{value}”不是 1 至 9007199254740991 的整数",
        "“{value}” is no whole number from 1 to 9007199254740991",
    ),
    "voucher": (
        "凭证 {value} 不存在，或不属于协议 {fact}",
        "there is no voucher {value} under agreement {fact}",
    ),
    "not_valid": ("凭证 {value} 现为 {fact}", "the voucher {value} is {fact}"),
    "term": (
        "日期 {value} 不在凭证有效期 {fact} 之内",
        "the day {value} is outside the voucher's term {fact}",
    ),
    "no_cap": (
        "定价 {fact} 未对该产品按此计费单位设定上限",
        "price setting {fact} sets no cap for this product by this unit",
    ),
    "cap": ("金额 {value} 高于收费上限：{fact}", "the amount {value} is above the cap: {fact}"),
}  # fmt: skip


@dataclass(frozen=True)
class Term:
    """What a voucher is for trades: its state where it is not valid, and its first and last day."""

    state: str
    since: str
    until: str


@dataclass(frozen=True)
class Cap:
    """At most `cap_fen` for `per` units; 0 for `per`: the price setting has no line for it."""

    cap_fen: int
    per: int
    said: str


def prepared(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows without blanks around, with `day`, `fen`, `net` and `count`; null where there is none."""
    frame = rows.with_columns(pl.exclude("line").str.strip_chars())
    cents = pl.col("amount_yuan").str.extract(AMOUNT, 2).fill_null("").str.pad_end(2, "0")
    whole = pl.col("amount_yuan").str.extract(AMOUNT, 1).cast(pl.Int64, strict=False)
    frame = frame.with_columns(
        unit=_or("unit", PIECE), quantity=_or("quantity", "1"),
        day=days_of(pl.col("on")),
        fen=100 * whole + cents.cast(pl.Int64, strict=False),
    )  # fmt: skip
    return frame.with_columns(
        net=NET,
        count=pl.when(pl.col("quantity").str.contains(QUANTITY))
        .then(pl.col("quantity").cast(pl.Int64, strict=False)),
    )  # fmt: skip


def _or(column: str, due: str) -> pl.Expr:
    """A column that may be left out, with what it means then."""
    return pl.when(pl.col(column).fill_null("") == "").then(pl.lit(due)).otherwise(pl.col(column))


def faults_of_form(frame: pl.DataFrame, lacking: set[str]) -> Iterator[pl.DataFrame]:
    """What is wrong with rows by themselves, as who signs them can know."""
    given = {c: pl.col(c).is_not_null() & (pl.col(c) != "") for c in COLUMNS.needed}
    nothing = pl.lit("")
    for column in COLUMNS.needed:
        if column not in lacking:
            yield told(frame.filter(~given[column]), column, "missing", nothing)
    rules = [
        ("trade", "trade", given["trade"] & ~pl.col("trade").str.contains(TRADE), nothing),
        ("voucher", "voucher", given["voucher"] & ~pl.col("voucher").str.contains(VOUCHER), nothing),
        ("on", "on", given["on"] & pl.col("day").is_null(), nothing),
        ("amount_yuan", "amount", given["amount_yuan"] & ~(pl.col("fen") > 0).fill_null(False), nothing),
        ("unit", "unit", ~pl.col("unit").is_in(list(UNITS)), pl.lit("、".join(UNITS))),
        ("quantity", "quantity", ~(pl.col("count") <= INT_MAX).fill_null(False), nothing),
        ("buyer", "buyer", given["buyer"] & pl.col("buyer").is_in(_no_codes(frame["buyer"])), nothing),
    ]  # fmt: skip
    hit = frame.select(**{str(n): bad.any() for n, (_, _, bad, _) in enumerate(rules)}).row(0)
    for bad_one, (column, code, bad, fact) in zip(hit, rules, strict=True):
        if bad_one:
            yield told(frame.filter(bad), column, code, fact)
    if frame["trade"].n_unique() < frame.height:
        again = frame.filter(given["trade"] & pl.col("trade").is_duplicated()).with_columns(
            first=pl.col("line").first().over("trade").cast(pl.String)
        )
        yield told(
            again.filter(~pl.col("trade").is_first_distinct()),
            "trade",
            "trade_twice",
            pl.col("first"),
        )


def _no_codes(buyers: pl.Series) -> list[str]:
    """Those of the buyers that are no social credit codes in their one spelling."""
    odd = []
    for one in buyers.unique().drop_nulls().to_list():
        try:
            if check_uscc(one) != one:
                odd.append(one)
        except LedgerError:
            odd.append(one)
    return odd


def faults_of_terms(
    frame: pl.DataFrame, agreement: str, terms: Mapping[str, Term], from_on: str, until_on: str
) -> Iterator[pl.DataFrame]:
    """What of the rows is outside the period, under no voucher of the agreement, or not in its term."""
    known = pl.DataFrame(
        [(key, one.state, one.since, one.until) for key, one in terms.items()], orient="row",
        schema=dict.fromkeys(("voucher", "state", "since", "until"), pl.String),
    )  # fmt: skip
    frame = frame.join(known, on="voucher", how="left", maintain_order="left")
    day = pl.col("day")
    for column, code, bad, fact in (
        ("on", "outside", (day < from_on) | (day > until_on), pl.lit(f"{from_on} – {until_on}")),
        ("voucher", "voucher", pl.col("voucher").str.contains(VOUCHER) & pl.col("state").is_null(),
         pl.lit(agreement)),
        ("voucher", "not_valid", pl.col("state") != "valid", pl.col("state")),
        ("on", "term", (day < pl.col("since")) | (day > pl.col("until")),
         pl.concat_str(pl.col("since"), pl.lit(" – "), pl.col("until"))),
    ):  # fmt: skip
        yield told(frame.filter(bad.fill_null(False)), column, code, fact)


def faults_of_caps(
    frame: pl.DataFrame, caps: Mapping[tuple[str, str, str], Cap]
) -> Iterator[pl.DataFrame]:
    """What is above its cap of (voucher, day, unit): amount · per > cap · quantity."""
    if not caps:
        return
    known = pl.DataFrame(
        [(*key, one.cap_fen, one.per, one.said) for key, one in caps.items()], orient="row",
        schema={"voucher": pl.String, "day": pl.String, "unit": pl.String, "cap": pl.Int64,
                "per": pl.Int64, "said": pl.String},
    )  # fmt: skip
    frame = frame.join(known, on=["voucher", "day", "unit"], maintain_order="left")
    wide = pl.Int128
    above = pl.col("fen").cast(wide) * pl.col("per").cast(wide) > (
        pl.col("cap").cast(wide) * pl.col("count").cast(wide)
    )
    yield told(frame.filter(pl.col("per") == 0), "unit", "no_cap", pl.col("said"))
    over = frame.filter((pl.col("per") > 0) & above.fill_null(False))
    yield told(over, "amount_yuan", "cap", pl.col("said"))


def spelled(frame: pl.DataFrame) -> pl.Series:
    """Each good row in its canonical form."""
    return frame.select(
        row=pl.concat_str(
            pl.lit('{"amount_fen":'), "fen", pl.lit(',"buyer":"'), "buyer", pl.lit('","on":"'), "day",
            pl.lit('","quantity":'), "count", pl.lit(',"trade":"'), "trade", pl.lit('","unit":"'),
            "unit", pl.lit('","v":1,"voucher":"'), "voucher", pl.lit('"}'),
        )
    )["row"]  # fmt: skip


def digest_of(rows: pl.Series) -> str:
    """The digest over canonical rows, each ended by a line feed."""
    content = hashlib.sha256()
    for start in range(0, len(rows), salted_rows.CHUNK):
        content.update(as_lines(rows.slice(start, salted_rows.CHUNK).to_frame()))
    return f"sha256:{content.hexdigest()}"


def taken_apart(rows: list[bytes]) -> pl.DataFrame:
    """Stored rows as `row`, `trade`, `day`, `fen`, `net`, and whether each is a canonical row (`fits`)."""
    row = pl.Series("row", rows, dtype=pl.Binary).cast(pl.String)
    part = row.str.split_exact('"', 28).struct
    frame = pl.DataFrame({
        "row": row, "fen": part.field("field_2"), "buyer": part.field("field_5"),
        "day": part.field("field_9"), "count": part.field("field_12"), "trade": part.field("field_15"),
        "unit": part.field("field_19"), "voucher": part.field("field_25"),
    })  # fmt: skip
    frame = frame.with_columns(
        fen=pl.col("fen").str.strip_chars(":,").cast(pl.Int64, strict=False),
        count=pl.col("count").str.strip_chars(":,").cast(pl.Int64, strict=False),
    )
    again: Any = spelled(frame)
    return frame.with_columns(
        fits=(again == frame["row"]).fill_null(value=False),
        net=NET,
    )
