"""An exchange's report of its trades is read and matched with those it confirmed here, by the million.

Both sides are columns: `trade` (the exchange's own number, unique), `amount_fen`, `day`; a report also has
`row`. What differs is told as `bank_matching.Finding`, at most `FINDINGS_MAX` of them.
"""

import io
from datetime import date

import polars as pl

from ledger import bank_files
from ledger.bank_files import ALIASES, refuse, row_fault
from ledger.bank_matching import Finding
from ledger.errors import Faults, Invalid
from ledger.tables import file_kinds, text_tables
from ledger.tables.file_kinds import LIMITS
from ledger.tabular import read_table

ROWS_MAX = 2_000_000
FINDINGS_MAX = 1_000
COLUMNS = ("trade", "amount", "day")
AMOUNT = r"^(0|[1-9][0-9]{0,10})(\.[0-9]{1,2})?$"
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
FAULTY = {
    "bad_trade": "row {row}: the number of the trade is missing",
    "bad_amount": "row {row}: {given} is no amount in yuan",
    "bad_day": "row {row}: {day} is no day",
    "outside": "row {row}: {day} is outside the days stated",
}


def read_report(data: bytes, name: str) -> pl.DataFrame:
    """The trades of a report: row, trade, amount_fen, day; raises Invalid naming the faulty rows."""
    frame = _cells(data, name)
    titles = {title.strip().lower().replace(" ", ""): title for title in frame.columns}
    taken = {
        column: next((titles[one] for one in ALIASES[column] if one in titles), None)
        for column in COLUMNS
    }
    missing = [ALIASES[column][0] for column, at in taken.items() if at is None]
    if missing:
        raise Invalid(
            "{name} lacks the columns {columns}; it has {known}.", name=name,
            columns="、".join(missing), known="、".join(frame.columns[1:]),
        )  # fmt: skip
    text = {column: pl.col(str(at)).fill_null("").str.strip_chars() for column, at in taken.items()}
    amount = text["amount"].str.strip_chars_start("￥¥").str.replace_all(",", "")
    given = frame.select(
        "row", trade=text["trade"], amount=amount,
        day=text["day"].str.slice(0, 10).str.replace_all("/", "-"),
    ).filter(~((pl.col("trade") == "") & (pl.col("amount") == ""))
             & ~pl.col("trade").str.contains("^(合计|总计)"))  # fmt: skip
    whole = amount_parts("amount")
    checked = given.with_columns(
        bad_trade=(pl.col("trade") == "") | (pl.col("trade").str.len_chars() > 100),
        bad_amount=~pl.col("amount").str.contains(AMOUNT),
        bad_day=~pl.col("day").str.contains(DAY)
        | pl.col("day").str.to_date("%Y-%m-%d", strict=False).is_null(),
    )
    _refuse(checked, name)
    return given.select("row", "trade", whole.alias("amount_fen"), "day")


def check_days(report: pl.DataFrame, name: str, from_on: date, until_on: date) -> None:
    """Raise Invalid naming the rows of a report that lie outside its days."""
    inside = pl.col("day").is_between(pl.lit(from_on.isoformat()), pl.lit(until_on.isoformat()))
    _refuse(report.with_columns(outside=~inside), name)


def match_trades(here: pl.DataFrame, there: pl.DataFrame, name: str) -> tuple[int, list[Finding]]:
    """How many trades agree in number, amount and day, and what differs; raises Invalid beyond the most."""
    ours, again_here = _once(here)
    theirs, again_there = _once(there)
    both = ours.join(theirs, on="trade", how="full", coalesce=True, suffix="_there")
    missing_here = pl.col("amount_fen").is_null()
    missing_there = pl.col("amount_fen_there").is_null()
    amount = pl.col("amount_fen") != pl.col("amount_fen_there")
    day = pl.col("day") != pl.col("day_there")
    kind = (
        pl.when(missing_here).then(pl.lit("missing_here"))
        .when(missing_there).then(pl.lit("missing_there"))
        .when(amount).then(pl.lit("amount"))
        .when(day).then(pl.lit("day"))
    )  # fmt: skip
    judged = both.with_columns(kind=kind)
    differing = judged.filter(pl.col("kind").is_not_null())
    count = differing.height + again_here.height + again_there.height
    if count > FINDINGS_MAX:
        raise Invalid(
            "{name} and the confirmed trades differ in {count} rows, more than {most}: is it the report of "
            "this agreement and of these days?",
            name=name, count=count, most=FINDINGS_MAX,
        )  # fmt: skip
    made = []
    for one in differing.sort("trade").iter_rows(named=True):
        theirs_told = None if one["kind"] == "missing_there" else {
            "amount_fen": one["amount_fen_there"], "day": one["day_there"], "reference": one["trade"],
            "row": one["row"],
        }  # fmt: skip
        ours_told = None if one["kind"] == "missing_here" else {
            "amount_fen": one["amount_fen"], "day": one["day"], "reference": one["trade"],
        }  # fmt: skip
        made.append(Finding(one["kind"], theirs_told, ours_told))
    for again, is_theirs in ((again_there, True), (again_here, False)):
        for one in again.sort("trade").iter_rows(named=True):
            found = {"amount_fen": one["amount_fen"], "day": one["day"], "reference": one["trade"],
                     **({"row": one["row"]} if is_theirs else {})}  # fmt: skip
            made.append(
                Finding("twice", found if is_theirs else None, None if is_theirs else found)
            )
    return judged.height - differing.height, made


def amount_parts(column: str) -> pl.Expr:
    """A column of amounts in yuan as whole fen, without a float between."""
    parts = pl.col(column).str.splitn(".", 2).struct
    cents = parts.field("field_1").fill_null("").str.pad_end(2, "0")
    whole = parts.field("field_0").cast(pl.Int64, strict=False)
    return whole * 100 + cents.cast(pl.Int64, strict=False)


def _once(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The first row of each trade, and those that come again."""
    first = pl.col("trade").is_first_distinct()
    return frame.filter(first), frame.filter(~first)


def _refuse(checked: pl.DataFrame, name: str) -> None:
    """Raise Invalid naming each row in which a column of `FAULTY` holds, where there are any."""
    bad = checked.filter(pl.any_horizontal(*(one for one in FAULTY if one in checked.columns)))
    faults = Faults()
    for one in bad.limit(bank_files.FAULTS_MAX + 1).iter_rows(named=True):
        for column, template in FAULTY.items():
            if one.get(column):
                row_fault(template, faults, int(one["row"]), day=one["day"] or "-",
                          given=one.get("amount") or "-")  # fmt: skip
    refuse(faults, name)


def _cells(data: bytes, name: str) -> pl.DataFrame:
    """All cells as text with the number of their row; text files by columns, workbooks by rows."""
    data, name = file_kinds.load(data, name, LIMITS)
    if file_kinds.sniff(data) != "text":
        table = read_table(data, name)
        columns = {title: [row.cells[at] for row in table.rows] for at, title in enumerate(table.header)
                   if title}  # fmt: skip
        return pl.DataFrame({"row": [row.number for row in table.rows], **columns})
    text = text_tables.decode(data, name)[0].removeprefix("\ufeff")
    delimiter = text_tables.guess_delimiter(text[:100_000])
    try:
        frame = pl.read_csv(
            io.BytesIO(text.encode()), separator=delimiter, infer_schema=False, row_index_name="row",
            row_index_offset=2, n_rows=ROWS_MAX + 1, truncate_ragged_lines=True,
        )  # fmt: skip
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        raise Invalid(text_tables.BAD_CSV, name=name, line=1) from None
    if frame.height > ROWS_MAX:
        raise Invalid("{name} has more than {most} rows; split it.", name=name, most=ROWS_MAX)
    return frame
