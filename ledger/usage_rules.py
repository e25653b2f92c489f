"""What is wrong with rows of usage: every fault of every row at once, told in both languages.

Columns of text are judged as columns (polars), never row by row; a file of good rows costs one look a
rule. Times without zone are Shanghai's; fractions of a second are dropped.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

import polars as pl

from ledger.proof.encoding import INT_MAX
from ledger.row_faults import FORMS, told
from ledger.tables.events import NEEDED, ROWS

KINDS: Final = ("delivery", "use", "query")
KIND_WORDS: Final = {"交付": "delivery", "使用": "use", "查询": "query", "调用": "query"}
SPELLED: Final = r"^\d{4}-\d{2}-\d{2}T[0-2]\d:[0-5]\d:[0-5]\dZ$"
TIME: Final = (
    r"^(\d{4})[-/](\d{1,2})[-/](\d{1,2})[Tt ] *(\d{1,2}):([0-5]\d)(?::([0-5]\d)(?:[.,]\d{1,9})?)?"
    r" *(?:([Zz])|([+-])(\d{2}):?([0-5]\d))?$"
)
SHANGHAI_MINUTES: Final = 480
EVENT: Final = r"^[!#-\[\]-~]{1,64}$"
QUANTITY: Final = r"^[1-9][0-9]{0,15}$"
UNIT: Final = r"^\pL[\pL\pN%/._-]{0,15}$"
DIGEST: Final = r"^sha256:[0-9a-f]{64}$"
# code → what is wrong, in both languages; {value} is what stands there, {fact} the other side of it
REASONS: Final = {
    **FORMS,
    "not_json": ("第 {fact} 个字符处不是合法 JSON", "no legal JSON at character {fact}"),
    "not_object": ("该行不是 JSON 对象", "the line is no JSON object"),
    "time": (
        "“{value}”不是可识别的时间；请写成 2026-01-31T08:00:00Z，或不带时区的北京时间 2026-01-31 16:00:00",
        "“{value}” is no time; write 2026-01-31T08:00:00Z, or without zone, which is read as Shanghai's, "
        "2026-01-31 16:00:00",
    ),
    "future": ("时间 {value} 晚于现在", "the time {value} lies in the future"),
    "event": (
        "“{value}”不是 1 至 64 个可见 ASCII 字符（不含空格、引号、反斜杠）",
        "“{value}” is not 1 to 64 visible ASCII characters without blank, quote or backslash",
    ),
    "event_twice": ("事件 {value} 已在第 {fact} 行出现", "the event {value} stands in line {fact} already"),
    "recorded": ("事件 {value} 已记录于 {fact}", "the event {value} is recorded already: {fact}"),
    "kind": (
        "“{value}”不是 delivery（交付）、use（使用）或 query（查询）",
        "“{value}” is none of delivery, use, query",
    ),
    "licence": (
        "许可 {value} 不存在，或不在您的凭证之下",
        "there is no licence {value}, or none under your vouchers",
    ),
    "term": (
        "时间 {value} 不在许可期限 {fact} 之内",
        "the time {value} is outside the licence's term {fact}",
    ),
    "revoked": (
        "时间 {value} 晚于许可的撤销时间 {fact}",
        "the time {value} is after the licence was revoked, {fact}",
    ),
    "quantity": (
        "“{value}”不是 1 至 9007199254740991 的整数",
        "“{value}” is no whole number from 1 to 9007199254740991",
    ),
    "unit": ("“{value}”不是简短的计量单位", "“{value}” is no short word for a unit"),
    "digest": ("“{value}”不是 sha256:<64 位十六进制>", "“{value}” is not sha256:<64 hex digits>"),
    "v": ("版本“{value}”未知，应为 1", "the version “{value}” is unknown; it is 1"),
}  # fmt: skip


def prepared(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows without blanks around, with `spelled` and `second` of each time, and quantity as `count`."""
    frame = rows.with_columns(pl.exclude("line").str.strip_chars())
    spelled, moment = _moments(frame["at"])
    return frame.with_columns(
        pl.col("kind")
        if set(frame["kind"].unique()) <= {*KINDS}
        else pl.col("kind").replace(KIND_WORDS),
        pl.when(pl.col("digest") != "").then("digest").alias("digest"),
        spelled.alias("spelled"),
        second=moment.dt.epoch("s"),
        count=pl.col("quantity").cast(pl.Int64, strict=False),
    )


def with_terms(frame: pl.DataFrame, terms: Mapping[str, tuple[int, int, int]]) -> pl.DataFrame:
    """Each row with the term of its licence: `since`, `until` and `revoked`; null where there is none."""
    bounds = pl.DataFrame(
        [(key, *term) for key, term in terms.items()], orient="row",
        schema={"licence": pl.String, "since": pl.Int64, "until": pl.Int64, "revoked": pl.Int64},
    )  # fmt: skip
    return frame.join(bounds, on="licence", how="left", maintain_order="left")


def _moments(at: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Each time as records spell it, and as an instant; null where it is none."""
    if at.str.contains(SPELLED).all() and not at.null_count():
        moments = at.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="ms", strict=False)
        return at, moments
    part = [pl.col("at").struct.field(str(n)) for n in range(1, 11)]
    two = [part[n].str.zfill(2) for n in (1, 2, 3)]
    local = pl.concat_str(
        part[0], pl.lit("-"), two[0], pl.lit("-"), two[1], pl.lit("T"), two[2], pl.lit(":"),
        part[4], pl.lit(":"), part[5].fill_null("00"),
    ).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="ms", strict=False)  # fmt: skip
    minutes = part[8].cast(pl.Int64) * 60 + part[9].cast(pl.Int64)
    east = (
        pl.when(part[6].is_not_null()).then(0)
        .when(part[7] == "+").then(minutes)
        .when(part[7] == "-").then(-minutes)
        .otherwise(SHANGHAI_MINUTES)
    )  # fmt: skip
    moments = (
        at.str.extract_groups(TIME).alias("at").to_frame()
        .select(at=local - pl.duration(minutes=east))["at"]
    )  # fmt: skip
    return moments.dt.strftime("%Y-%m-%dT%H:%M:%SZ"), moments


def faults_of(frame: pl.DataFrame, now: datetime, lacking: set[str]) -> Iterator[pl.DataFrame]:
    """Every fault of the rows, by column; `lacking` columns are told once, not on each row."""
    given = {column: pl.col(column).is_not_null() & (pl.col(column) != "") for column in ROWS}
    second, event = pl.col("second"), pl.col("event")
    known = pl.col("since").is_not_null()
    rules: list[tuple[str, str, pl.Expr, pl.Expr]] = [
        (column, "missing", ~given[column], pl.lit(""))
        for column in NEEDED
        if column not in lacking
    ]
    forms = {"event": EVENT, "unit": UNIT, "digest": DIGEST}
    rules += [
        (column, column, given[column] & ~pl.col(column).str.contains(form), pl.lit(""))
        for column, form in forms.items()
    ]
    rules += [
        ("kind", "kind", given["kind"] & ~pl.col("kind").is_in(KINDS), pl.lit("")),
        ("v", "v", given["v"] & (pl.col("v") != "1"), pl.lit("")),
        ("quantity", "quantity", given["quantity"] & ~(
            pl.col("quantity").str.contains(QUANTITY) & (pl.col("count") <= INT_MAX)
        ), pl.lit("")),
        ("licence", "licence", given["licence"] & ~known, pl.lit("")),
        ("at", "time", given["at"] & second.is_null(), pl.lit("")),
        ("at", "future", second > int(now.timestamp()), pl.lit("")),
        ("at", "term", (second < pl.col("since")) | (second > pl.col("until")), pl.concat_str(
            _seconds(pl.col("since")), pl.lit(" – "), _seconds(pl.col("until")))),
        ("at", "revoked", second > pl.col("revoked"), _seconds(pl.col("revoked"))),
    ]  # fmt: skip
    hit = frame.select(
        **{str(n): bad.any() for n, (_, _, bad, _) in enumerate(rules)}, height=pl.len(),
        distinct=event.n_unique(),
    ).row(0, named=True)  # fmt: skip
    for n, (column, code, bad, fact) in enumerate(rules):
        if hit[str(n)]:
            yield told(frame.filter(bad), column, code, fact)
    if hit["distinct"] < hit["height"]:
        again = frame.filter(given["event"]).select("line", "event")
        again = again.filter(event.is_duplicated()).with_columns(
            first=pl.col("line").first().over("event").cast(pl.String)
        )
        yield told(
            again.filter(~event.is_first_distinct()), "event", "event_twice", pl.col("first")
        )


def _seconds(column: pl.Expr) -> pl.Expr:
    return pl.from_epoch(column, "s").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
