"""What a data file's dates say is measured here: steps, series, period, freshness and order.

    rule                                   indicator   what is counted
    cumulative                               0104      steps of each group in time
    expected.record_count, series, per_group 0202      records
    period                                   0501      cells that are a date
    freshness                                0502      groups
    order                                    0503      steps in the order of the file

A cell that is no date is left out. `quality_checks` keeps the checks and their first faults.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import and_
from typing import Any

import polars as pl

from ledger.quality.checks import Measuring, hash_of
from ledger.quality.data_file import ROW, VALUE_BYTES, filled, parts
from ledger.quality.rules import as_day


def measure_times(work: Measuring) -> None:
    """How many records there are, how their counts grow, and what their dates say."""
    rules, expected = work.rules, work.rules.get("expected") or {}
    rows = work.file.row_count
    for number, rule in enumerate(rules.get("cumulative") or []):
        measure_cumulative(work, f"cumulative[{number}]", rule)
    if count := expected.get("record_count"):
        work.note("expected.record_count", "0202", min(rows, count), count)
    if series := expected.get("series"):
        _measure_series(work, series)
    if rule := expected.get("per_group"):
        _measure_groups(work, rule)
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
    rows = work.file.frame.select(
        *by,
        work.moment(rule["order"]).alias("moment"),
        ROW,
        *[work.number(name).alias(f"v{n}") for n, name in enumerate(names)],
    ).filter(pl.col("moment").is_not_null())
    counted = dict.fromkeys(names, 0)
    fallen: dict[str, list[pl.DataFrame]] = {name: [] for name in names}
    for mine in _parts_by_group(work, by, len(names) + 1):
        steps = (
            rows.filter(mine)
            .sort([*by, "moment", ROW])
            .with_columns(
                step=_follows(by), **{f"p{n}": pl.col(f"v{n}").shift(1) for n in range(len(names))}
            )
            .filter("step")
            .collect(engine="streaming")
        )
        for n, name in enumerate(names):
            now, before = pl.col(f"v{n}"), pl.col(f"p{n}")
            both = steps.filter(now.is_not_null() & before.is_not_null())
            faults = both.filter(now < before)
            counted[name] += both.height
            fallen[name].append(
                faults.select(ROW, now.alias(work.file.id(name)), before.alias("against"))
            )
    for name in names:
        faults = pl.concat(fallen[name]).sort(ROW)
        a = counted[name] - faults.height
        work.note(f"{path}.{name}", "0104", a, counted[name], [work.file.id(name)], faults)


def _parts_by_group(work: Measuring, by: Sequence[str], width: int) -> list[pl.Expr]:
    """Conditions that part the rows, each group whole, so that a part's columns fit in memory."""
    if not by:
        return [pl.lit(True)]
    return parts(hash_of(by), work.file.row_count * VALUE_BYTES * width)


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


def _measure_groups(work: Measuring, rule: dict[str, Any]) -> None:
    """Records there are in each group and records there should be; a group with more is full."""
    by = work.by(rule)
    groups = (
        work.file.frame.group_by(by)
        .agg(there=pl.len().cast(pl.Int64), row=pl.col(ROW).min())
        .filter(pl.all_horizontal(filled(pl.col(by))))
        .collect(engine="streaming")
    )
    if counts := rule.get("counts"):
        wanted = pl.DataFrame({by[0]: list(counts), "due": list(counts.values())})
        groups = wanted.join(groups, on=by, how="left").with_columns(pl.col("there").fill_null(0))
    else:
        groups = groups.with_columns(due=pl.lit(rule["count"]))
    there = pl.min_horizontal("there", "due")
    faults = (
        groups.filter(pl.col("there") < pl.col("due"))
        .sort(pl.col("due") - pl.col("there"), ROW, descending=[True, False], nulls_last=True)
        .with_columns(against=pl.format("{} of {}", "there", "due"))
    )
    a, b = groups.select(there.sum(), pl.col("due").sum()).row(0)
    work.note("expected.per_group", "0202", a, b, by, faults)


def _measure_period(work: Measuring, rule: dict[str, Any]) -> None:
    column_id, day = work.file.id(rule["column"]), work.moment(rule["column"]).cast(pl.Date)
    outside = ~day.is_between(as_day(rule["from"]), as_day(rule["to"]))
    b, wrong = (work.period.b, work.period.wrong) if work.period else (0, 0)
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
    rows = work.file.frame.select(
        *by, work.moment(rule["column"]).alias("moment"), pl.col(column_id).alias("text"), ROW
    ).filter(moment.is_not_null())
    count, faults = 0, []
    for piece in _in_order(work, rows, by):
        steps = piece.with_columns(step=_follows(by), wrong=backward, against=text.shift(1)).filter(
            "step"
        )
        count += steps.height
        faults.append(steps.filter("wrong").select(ROW, text.alias(column_id), "against"))
    wrong = pl.concat(faults).sort(ROW) if faults else pl.DataFrame()
    work.note("order", "0503", count - wrong.height, count, [column_id], wrong)


def _in_order(work: Measuring, rows: pl.LazyFrame, by: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The rows group by group in the order of the file, in pieces; each begins with the last one's end."""
    if by:
        for mine in _parts_by_group(work, by, 1):
            yield rows.filter(mine).sort([*by, ROW]).collect(engine="streaming")
        return
    last = None
    for piece in rows.collect_batches(
        chunk_size=1_000_000, maintain_order=True, engine="streaming"
    ):
        if piece.height:
            yield piece if last is None else pl.concat([last, piece])
            last = piece.tail(1)
