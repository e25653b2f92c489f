"""What a data file's dates say is measured here: steps, series, period, freshness and order.

    rule                                   indicator   what is counted
    cumulative                               0104      steps of each group in time
    expected.record_count, expected.series   0202      records
    period                                   0501      cells that are a date
    freshness                                0502      groups
    order                                    0503      steps in the order of the file

A cell that is no date is left out. `quality_checks` keeps the checks and their first faults.
"""

from collections.abc import Sequence
from functools import reduce
from operator import and_
from typing import Any

import polars as pl

from ledger.quality.checks import Measuring
from ledger.quality.data_file import ROW
from ledger.quality.rules import as_day


def measure_times(work: Measuring, rows: int) -> None:
    """How many records there are, how their counts grow, and what their dates say."""
    rules, expected = work.rules, work.rules.get("expected") or {}
    for number, rule in enumerate(rules.get("cumulative") or []):
        measure_cumulative(work, f"cumulative[{number}]", rule)
    if count := expected.get("record_count"):
        work.note("expected.record_count", "0202", min(rows, count), count)
    if series := expected.get("series"):
        _measure_series(work, series)
    if rule := rules.get("period"):
        _measure_period(work, rule)
    if rule := rules.get("freshness"):
        _measure_freshness(work, rule)
    if rule := rules.get("order"):
        measure_order(work, rule)


def _follows(by: Sequence[str]) -> pl.Expr:
    """Whether a row follows another one of its group, in sorted rows."""
    alike = [pl.col(one).eq_missing(pl.col(one).shift(1)) for one in by]
    return reduce(and_, alike, pl.col(ROW).shift(1) > 0)


def measure_cumulative(work: Measuring, path: str, rule: dict[str, Any]) -> None:
    """Each step in time, in each group, of counts that should never fall."""
    by, names = work.by(rule), rule["columns"]
    steps = (
        work.file.frame.select(
            *by,
            work.moment(rule["order"]).alias("moment"),
            ROW,
            *[work.number(name).alias(f"v{n}") for n, name in enumerate(names)],
        )
        .filter(pl.col("moment").is_not_null())
        .sort([*by, "moment", ROW])
        .with_columns(
            step=_follows(by), **{f"p{n}": pl.col(f"v{n}").shift(1) for n in range(len(names))}
        )
        .filter("step")
        .collect(engine="streaming")
    )
    for n, name in enumerate(names):
        now, before, column_id = pl.col(f"v{n}"), pl.col(f"p{n}"), work.file.id(name)
        both = steps.filter(now.is_not_null() & before.is_not_null())
        fallen = both.filter(now < before).sort(ROW)
        faults = fallen.select(ROW, now.alias(column_id), before.alias("against"))
        a = both.height - fallen.height
        work.note(f"{path}.{name}", "0104", a, both.height, [column_id], faults)


def _days_by_group(work: Measuring, rule: dict[str, Any], column: str, *wanted: pl.Expr,
                   ) -> pl.DataFrame:  # fmt: skip
    """What is wanted of the `day` of each group, and the group's last `row`."""
    by = work.by(rule)
    return (
        work.file.frame.select(*by, work.moment(column).cast(pl.Date).alias("day"), ROW)
        .filter(pl.col("day").is_not_null())
        .group_by(by or pl.lit(0).alias("all"))
        .agg(*wanted, row=pl.col(ROW).max())
        .collect(engine="streaming")
    )


def _measure_series(work: Measuring, rule: dict[str, Any]) -> None:
    """Records there are and records there should be, one a day (month, year) in each group."""
    day = pl.col("day")
    step = {
        "day": day.cast(pl.Int32),
        "month": day.dt.year().cast(pl.Int32) * 12 + day.dt.month(),
        "year": day.dt.year().cast(pl.Int32),
    }[rule["every"]]
    there = step.n_unique().cast(pl.Int64).alias("there")
    due = (step.max() - step.min() + 1).cast(pl.Int64).alias("due")
    groups = _days_by_group(work, rule, rule["order"], there, due)
    gaps = groups.filter(pl.col("there") < pl.col("due")).sort(
        pl.col("due") - pl.col("there"), ROW, descending=[True, False]
    )
    faults = gaps.with_columns(against=pl.format("{} of {}", "there", "due"))
    ids = work.by(rule) or [work.file.id(rule["order"])]
    work.note("expected.series", "0202", groups["there"].sum(), groups["due"].sum(), ids, faults)


def _measure_period(work: Measuring, rule: dict[str, Any]) -> None:
    column_id, day = work.file.id(rule["column"]), work.moment(rule["column"]).cast(pl.Date)
    outside = ~day.is_between(as_day(rule["from"]), as_day(rule["to"]))
    b = work.file.ask(day.is_not_null().sum())
    wrong = work.file.ask(outside.sum())
    faults = work.file.frame.filter(outside).select(ROW, column_id)
    work.note("period", "0501", b - wrong, b, [column_id], faults if wrong else None)


def _measure_freshness(work: Measuring, rule: dict[str, Any]) -> None:
    as_of = work.as_of or as_day(rule.get("as_of"))
    if as_of is None:
        return
    newest = pl.col("day").max().alias("against")
    groups = _days_by_group(work, rule, rule["column"], newest)
    days = (pl.lit(as_of) - pl.col("against")).dt.total_days()
    late = groups.filter(days > rule["at_most_days"]).sort("against", ROW)
    ids = work.by(rule) or [work.file.id(rule["column"])]
    work.note("freshness", "0502", groups.height - late.height, groups.height, ids, late)


def measure_order(work: Measuring, rule: dict[str, Any]) -> None:
    """Each step from a row to the next one of its group, in the order of the file."""
    by, column_id = work.by(rule), work.file.id(rule["column"])
    moment, text = pl.col("moment"), pl.col("text")
    before = moment.shift(1)
    backward = moment > before if rule.get("direction") == "descending" else moment < before
    steps = (
        work.file.frame.select(
            *by, work.moment(rule["column"]).alias("moment"), pl.col(column_id).alias("text"), ROW
        )
        .filter(moment.is_not_null())
        .sort([*by, ROW])
        .select(
            ROW, text.alias(column_id), step=_follows(by), wrong=backward, against=text.shift(1)
        )
        .filter("step")
        .collect(engine="streaming")
    )
    wrong = steps.filter("wrong").sort(ROW)
    work.note("order", "0503", steps.height - wrong.height, steps.height, [column_id], wrong)
