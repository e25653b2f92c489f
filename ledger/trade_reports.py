"""An exchange's report of its trades is read and matched with those it confirmed here, by the million.

Both sides are columns: `trade` (the exchange's own number, unique), `amount_fen`, `day`; a report also has
`row`. What differs is told as `bank_matching.Finding`, at most `FINDINGS_MAX` of them.
"""

import io
from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger import bank_files
from ledger.agreements import Agreement
from ledger.bank_files import refuse, row_fault
from ledger.bank_matching import Finding
from ledger.confirmations import Confirmation, Trade
from ledger.errors import Faults, Invalid
from ledger.import_templates import refuse_blank
from ledger.parties import Party
from ledger.settlements import Settlement
from ledger.tables import file_kinds, text_tables
from ledger.tables.file_kinds import LIMITS
from ledger.tables.tabular_cells import AMOUNT, AMOUNT_FEN_MAX, FULL_WIDTH, days_of
from ledger.tabular import read_table

ROWS_MAX = 2_000_000
FINDINGS_MAX = 1_000
FAULTY = {
    "wider": bank_files.WIDER,
    "bad_trade": "row {row}: the number of the trade is missing",
    "bad_amount": "row {row}: {given} is no amount in yuan",
    "bad_day": "row {row}: {day} is no day",
    "outside": "row {row}: {day} is outside the days stated",
}


def read_report(data: bytes, name: str) -> pl.DataFrame:
    """The trades of a report: row, trade, amount_fen, day; raises Invalid naming the faulty rows."""
    header, frame, lost = _cells(data, name)
    places = bank_files.places(name, header, *bank_files.REPORT)
    faults = Faults()
    bank_files.name_lost_digits(faults, places, lost)
    text = {
        column: pl.col(f"c{at}").fill_null("").str.strip_chars() for column, at in places.items()
    }
    amount = (
        text["amount"].str.replace_many(FULL_WIDTH).str.strip_prefix("¥").str.strip_suffix("元")
    )
    last = max(at for at, title in enumerate(header) if title.strip())
    beyond = [pl.col(f"c{at}").fill_null("") != "" for at in range(last + 1, len(header))]
    given = frame.with_columns(
        trade=text["trade"], amount=amount.str.strip_chars(),
        day=pl.coalesce(days_of(text["day"]), text["day"]), bad_day=days_of(text["day"]).is_null(),
        wider=pl.any_horizontal(pl.lit(False), *beyond),
    )  # fmt: skip
    given = given.with_columns(
        bad_trade=(pl.col("trade") == "") | (pl.col("trade").str.len_chars() > 100),
        bad_amount=~(pl.col("amount").str.contains(AMOUNT)
                     & (amount_parts("amount") <= AMOUNT_FEN_MAX).fill_null(False)),
    )  # fmt: skip
    totals = [
        (int(one["line"]), str(one["amount"]), part)
        for one in given.filter("bad_day").iter_rows(named=True)
        if (part := bank_files.of_a_part(
            [one[f"c{at}"] for at in range(len(header))], one["day"], [one["trade"]]
        )) is not None
    ]  # fmt: skip
    rows = given.filter(~pl.col("line").is_in([line for line, _, _ in totals])).rename(
        {"line": "row"}
    )
    _refuse(rows, name, faults)
    made = rows.select("row", "trade", amount_parts("amount").alias("amount_fen"), "day")
    bank_files.check_totals(faults, totals, made["row"].to_list(), made["amount_fen"].to_list())
    refuse(faults, name)
    return made


def check_days(report: pl.DataFrame, name: str, from_on: date, until_on: date) -> None:
    """Raise Invalid naming the rows of a report that lie outside its days."""
    inside = pl.col("day").is_between(pl.lit(from_on.isoformat()), pl.lit(until_on.isoformat()))
    _refuse(report.with_columns(outside=~inside), name)


def first_day(session: Session, agreement: Agreement, exchange: Party) -> str | None:
    """The day of the first trade that an exchange confirmed under an agreement."""
    return session.scalar(
        select(func.min(Settlement.day))
        .join(Confirmation, Confirmation.id == Settlement.source_id)
        .where(
            Settlement.agreement_id == agreement.id, Settlement.kind == "trade",
            Confirmation.exchange_id == exchange.id,
        )
    )  # fmt: skip


def confirmed_trades(
    session: Session, agreement: Agreement, exchange: Party, from_on: date, until_on: date
) -> pl.DataFrame:
    """What an exchange confirmed under an agreement on some days: trade, amount_fen, day."""
    found = session.execute(
        select(Trade.trade, Settlement.amount_fen, Settlement.day)
        .join(Confirmation, Confirmation.id == Settlement.source_id)
        .join(Trade, (Trade.batch == Confirmation.no) & (Trade.n == Settlement.row))
        .where(
            Settlement.agreement_id == agreement.id, Settlement.kind == "trade",
            Settlement.day.between(from_on.isoformat(), until_on.isoformat()),
            Confirmation.exchange_id == exchange.id,
        )
    ).all()  # fmt: skip
    shape = {"trade": pl.String, "amount_fen": pl.Int64, "day": pl.String}
    rows = pl.DataFrame(list(map(tuple, found)), schema=shape, orient="row")
    return rows.with_columns(pl.col("trade").str.strip_prefix(f"{exchange.uscc} "))


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
    parts = pl.col(column).str.replace_all(",", "", literal=True).str.splitn(".", 2).struct
    cents = parts.field("field_1").fill_null("").str.pad_end(2, "0")
    whole = parts.field("field_0").cast(pl.Int64, strict=False)
    return whole * 100 + cents.cast(pl.Int64, strict=False)


def _once(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The first row of each trade, and those that come again."""
    first = pl.col("trade").is_first_distinct()
    return frame.filter(first), frame.filter(~first)


def _refuse(checked: pl.DataFrame, name: str, faults: Faults | None = None) -> None:
    """Raise Invalid naming each row in which a column of `FAULTY` holds, and the faults known before."""
    bad = checked.filter(pl.any_horizontal(*(one for one in FAULTY if one in checked.columns)))
    faults = faults or Faults()
    for one in bad.limit(bank_files.FAULTS_MAX + 1).iter_rows(named=True):
        for column, template in FAULTY.items():
            if one.get(column):
                row_fault(template, faults, int(one["row"]), day=one["day"] or "-",
                          given=one.get("amount") or "-")  # fmt: skip
    refuse(faults, name)


def _cells(
    data: bytes, name: str
) -> tuple[Sequence[str], pl.DataFrame, Mapping[int, tuple[int, str]]]:
    """(the headings, the rows that are not blank, `Table.lost_digits`).

    Of rows there are `line` and a text column `c0`, `c1` … for each heading. Text files are read by
    columns, workbooks by rows. Headings are kept apart, since they may be alike.
    """
    data, name = file_kinds.load(data, name, LIMITS)
    if file_kinds.sniff(data) != "text":
        table = read_table(data, name)
        refuse_blank(table)
        columns = {
            f"c{at}": [row.cells[at] for row in table.rows] for at in range(len(table.header))
        }
        shape = {"line": pl.UInt32, **dict.fromkeys(columns, pl.String)}
        lines = [row.number for row in table.rows]
        return (
            table.header,
            pl.DataFrame({"line": lines, **columns}, schema=shape),
            table.lost_digits,
        )
    text = text_tables.decode(data, name)[0].removeprefix("\ufeff")
    delimiter = text_tables.guess_delimiter(text[:100_000])
    first = next((line for line in text[:100_000].splitlines() if line.strip()), "")
    # one column more than there are headings, for what stands beyond them
    wide = delimiter * (first.count(delimiter) + 1) + "\n"
    try:
        frame = pl.read_csv(
            io.BytesIO((wide + text).encode()), separator=delimiter, has_header=False, infer_schema=False,
            row_index_name="line", n_rows=ROWS_MAX + 3, truncate_ragged_lines=True,
        )  # fmt: skip
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        raise Invalid(text_tables.BAD_CSV, name=name, line=1) from None
    texts = frame.columns[1:]
    frame = frame.rename({title: f"c{at}" for at, title in enumerate(texts)})
    frame = frame.filter(
        pl.any_horizontal(pl.exclude("line").str.strip_chars().fill_null("") != "")
    )
    if frame.height > ROWS_MAX + 1:
        raise Invalid("{name} has more than {most} rows; split it.", name=name, most=ROWS_MAX)
    header = [str(title or "") for title in frame.row(0)[1:]] if frame.height else []
    return header, frame[1:], {}
